"""Groups of settings: which commands read and write what belongs together.

Forms, validation, snapshots and differences derive from a `Group`. Everything here is pure: `values_from` makes a
group's values of replies, `plan` makes the requests that bring a device from its current values to wanted ones, with
nothing that need not be sent, and `kept` tells which values a snapshot can bring back.

Exact on writing, open on reading: a value the document does not let us set is kept as the device told it, so that it
is shown, and never written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from devices.cgi.commands import HIDDEN, Command, OnlyWhen, encode
from devices.cgi.params import UNLIMITED, BadValue, Ipv4, Param, Values

Narrow = Callable[[Command], Command]


@dataclass(frozen=True)
class Ask:
    """A command with the values it is asked with."""

    command: Command
    values: Values = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One value of a group. `reply` is its field in what is read, `param` its parameter in the writing command; both
    are `name` when left out, and None where it cannot be read or not be written.

    - `write` overrides the group's writing command.
    - `words` maps what the device answers to what is written (`{"0": "off"}`).
    - `octets`: an IPv4 address that is written as four parameters, `param` with 1 to 4 behind it.
    - `together`: settings with the same word are always sent together, as the document shows them.
    - `fleeting`: it changes by itself, in words ("The clock runs by itself."): no difference, and never restored.
    - `unrestored`: why a snapshot leaves it alone all the same, in words.
    """

    name: str
    reply: str | None = ""
    param: str | None = ""
    write: Command | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    octets: bool = False
    together: str = ""
    label: str = ""
    help: str = ""
    fleeting: str = ""
    unrestored: str = ""

    @property
    def told_as(self) -> str | None:
        return self.name if self.reply == "" else self.reply

    @property
    def sent_as(self) -> str | None:
        return self.name if self.param == "" else self.param


@dataclass(frozen=True, kw_only=True)
class Group:
    """Settings that are read and written together. `extra` always goes with a write (`ConfigReboot=No`).

    `moves` names the settings that change where the device is reached: `{"host": "IP_addr", "port": "port"}`.
    """

    id: str
    title: str
    settings: tuple[Setting, ...]
    reads: tuple[Ask, ...] = ()
    write: Command | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    moves: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def fleeting(self) -> frozenset[str]:
        """The settings that change by themselves."""
        return frozenset(setting.name for setting in self.settings if setting.fleeting)

    def setting(self, name: str) -> Setting:
        for setting in self.settings:
            if setting.name == name:
                return setting
        known = ", ".join(setting.name for setting in self.settings)
        raise BadValue(name, f"{self.title} has no setting {name}; it knows {known}.")

    def writer(self, setting: Setting) -> Command | None:
        return None if setting.sent_as is None else setting.write or self.write

    def parameters(self, setting: Setting) -> tuple[str, ...]:
        """What it is sent as; none when it cannot be written."""
        if setting.sent_as is None:
            return ()
        return tuple(f"{setting.sent_as}{place}" for place in range(1, 5)) if setting.octets else (setting.sent_as,)

    def commands(self) -> list[Command]:
        """Every command this group uses, the reading ones first."""
        writers = [self.writer(setting) for setting in self.settings]
        found = [*(ask.command for ask in self.reads), *(writer for writer in writers if writer)]
        return list({command.id: command for command in found}.values())

    def rule(self, setting: Setting, narrow: Narrow = lambda command: command) -> Param | None:
        """What may be written, under the setting's name; None when it cannot be written."""
        writer = self.writer(setting)
        if writer is None:
            return None
        name = str(setting.sent_as)
        if setting.octets:
            return Ipv4(name=setting.name, note=writer.param(f"{name}1").note)
        return replace(narrow(writer).param(name), name=setting.name)


@dataclass(frozen=True)
class Plan:
    """The requests to send in order, and what they change: name → (old, new)."""

    requests: list[Ask]
    changed: dict[str, tuple[Any, Any]]


def schema(group: Group, narrow: Narrow = lambda command: command) -> list[dict[str, Any]]:
    """What a form needs to know of each setting."""
    return [_facts(group, setting, narrow) for setting in group.settings]


def _facts(group: Group, setting: Setting, narrow: Narrow) -> dict[str, Any]:
    rule = group.rule(setting, narrow)
    told = {"name": setting.name, "type": "text", "secret": False, "note": "", **UNLIMITED}  # never sent, so no rule
    facts = rule.facts() if rule else told
    why_left = why_not_kept(group, setting)
    writer = group.writer(setting)
    names = {setting.sent_as}
    conditions = [each.sentence() for each in writer.constraints if each.parameter in names] if writer else []
    conditions += _to_give_with(group, setting)
    return {
        **facts,
        "required": False,
        "label": setting.label or facts["note"] or setting.name,
        "help": setting.help,
        "allowed": rule.allowed() if rule else None,
        "read_only": rule is None,
        "write_only": setting.told_as is None,
        "restorable": not why_left,
        "not_restorable": why_left or None,
        "conditions": conditions,
    }


def _to_give_with(group: Group, setting: Setting) -> list[str]:
    """What the document wants beside this and the device never tells, so that nobody can fill it in."""
    writer = group.writer(setting)
    others = [
        other.name
        for other in group.settings
        if writer and other is not setting and other.told_as is None and _is_written_by(group, other.name, writer)
        if writer.param(str(other.sent_as)).required
    ]
    if not others:
        return []
    verb = "they are set together, and the device never tells them" if len(others) > 1 else "it is set together with it"
    return [f"Give {' and '.join(others)} with it: {verb}."]


def why_not_kept(group: Group, setting: Setting) -> str:
    """Why a snapshot cannot bring this setting back; empty when it can."""
    if why := setting.fleeting or setting.unrestored:
        return why
    if group.writer(setting) is None:
        return "The device tells it but does not let it be set."
    return "The device never tells it." if setting.told_as is None else ""


def values_from(group: Group, replies: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The group's values out of what its reads answered; None is what the device did not tell."""
    told: dict[str, Any] = {}
    for reply in replies:
        for name, value in reply.items():
            if told.get(name) is None:
                told[name] = value
    return {
        setting.name: _read(group, setting, told.get(setting.told_as))
        for setting in group.settings
        if setting.told_as is not None
    }


def _read(group: Group, setting: Setting, value: Any) -> Any:
    if value is None:
        return None
    text = setting.words.get(str(value), value)
    rule = group.rule(setting)
    if rule is None:
        return text
    try:
        return rule.read(rule.write(text))
    except BadValue:
        return text  # the device is outside its document; shown as it is, refused when written


def kept(group: Group, values: Mapping[str, Any], narrow: Narrow = lambda command: command) -> dict[str, Any]:
    """Those of the values a snapshot can bring back: told by the device, and such as the document lets us set."""
    found = {}
    for setting in group.settings:
        value = values.get(setting.name)
        rule = group.rule(setting, narrow)
        if value is None or rule is None or why_not_kept(group, setting) or not _may_write(rule, value):
            continue
        found[setting.name] = value
    return found


def hidden(group: Group, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they may be shown: secrets are hidden."""
    secrets = {setting.name for setting in group.settings if (rule := group.rule(setting)) and rule.secret}
    return {name: HIDDEN if name in secrets and value else value for name, value in values.items()}


def plan(
    group: Group,
    current: Mapping[str, Any],
    wanted: Mapping[str, Any],
    narrow: Narrow = lambda command: command,
    *,
    restoring: bool = False,
) -> Plan:
    """What to send so that the device has the wanted values; BadValue, and nothing planned, when one is not allowed.

    Only what changes is sent, with what the document wants beside it. While `restoring`, a value that may be set only
    while another has a certain value is set under that value first, and the other brought back afterwards.
    """
    changes: dict[str, Any] = {}
    for name in wanted:
        group.setting(name)  # refuses what is none of the group's
    for name, setting in ((setting.name, setting) for setting in group.settings if setting.name in wanted):
        value, rule = wanted[name], group.rule(setting, narrow)
        if rule is None:
            if value == current.get(name):
                continue  # who sends back all that was told does not mean to set it
            raise BadValue(name, f"{name} can be read but not set.")
        if value is None or (rule.secret and value == HIDDEN):
            continue
        new = rule.read(rule.write(value))
        if current.get(name) != new:
            changes[name] = new
    target = {**current, **changes}
    requests = []
    for writer in _writers(group, changes):
        names = [name for name in changes if _is_written_by(group, name, writer)]
        stages = _stages(group, writer, names, current, target) if restoring else [(names, target)]
        for stage, values in stages:
            sent = _expanded(group, _with_companions(group, writer, narrow, stage, values))
            encode(narrow(writer), sent)
            requests.append(Ask(narrow(writer), sent))
    return Plan(requests, {name: (current.get(name), new) for name, new in changes.items()})


def _writers(group: Group, names: Iterable[str]) -> list[Command]:
    found = [group.writer(group.setting(name)) for name in names]
    return list({command.id: command for command in found if command}.values())


def _is_written_by(group: Group, name: str, writer: Command) -> bool:
    used = group.writer(group.setting(name))
    return used is not None and used.id == writer.id


def _by_parameter(group: Group, writer: Command) -> dict[str, Setting]:
    return {str(each.sent_as): each for each in group.settings if _is_written_by(group, each.name, writer)}


def _with_companions(
    group: Group, writer: Command, narrow: Narrow, names: list[str], values: Mapping[str, Any]
) -> dict[str, Any]:
    """The changed settings and those that the document wants sent with them, as they are or shall be.

    A companion at a value we may not set (a zone beyond the document's list) stays behind.
    """
    settings = _by_parameter(group, writer)
    sent = {str(group.setting(name).sent_as) for name in names}
    words = {group.setting(name).together for name in names} - {""}
    sent |= {parameter for parameter, each in settings.items() if each.together in words}
    for _ in writer.constraints:  # each round may add one that a further condition speaks of
        for constraint in writer.constraints:
            setting = settings.get(constraint.parameter)
            if setting is not None and constraint.parameter in sent:
                sent.add(constraint.companion(str(values.get(setting.name))))
    found = {}
    for parameter, each in settings.items():
        value = values.get(each.name)
        rule = group.rule(each, narrow)
        if parameter in sent and value is not None and rule and (each.name in names or _may_write(rule, value)):
            found[each.name] = value
    return found


def _stages(
    group: Group, writer: Command, names: list[str], current: Mapping[str, Any], target: Mapping[str, Any]
) -> list[tuple[list[str], dict[str, Any]]]:
    """The changes of one command, split where a condition does not hold in the end."""
    settings = _by_parameter(group, writer)
    last = list(names)
    stages = []
    for constraint in writer.constraints:
        setting = settings.get(constraint.parameter)
        if not isinstance(constraint, OnlyWhen) or setting is None or setting.name not in last:
            continue
        other = settings.get(constraint.other)
        if other is None or not constraint.values or str(target.get(other.name)) in constraint.values:
            continue
        now = str(current.get(other.name))
        under = now if now in constraint.values else constraint.values[0]
        last.remove(setting.name)
        stages.append(([setting.name], {**target, other.name: under}))
        if target.get(other.name) is not None and other.name not in last:
            last.append(other.name)
    return [*stages, (last, dict(target))] if last else stages


def _expanded(group: Group, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as parameters of the command, with what always goes with them."""
    expanded: dict[str, Any] = dict(group.extra)
    for name, value in values.items():
        setting = group.setting(name)
        if setting.octets:
            octets = map(int, str(value).split("."))
            expanded |= dict(zip(group.parameters(setting), octets, strict=True))
        else:
            expanded[str(setting.sent_as)] = value
    return expanded


def _may_write(rule: Param, value: Any) -> bool:
    try:
        rule.write(value)
    except BadValue:
        return False
    return True
