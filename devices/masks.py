"""What of a group of settings may be shown, and what has to be said before it is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from accounts.audit import sounds_secret
from devices.cgi import HIDDEN, Choice, Group, Narrow, Setting, Whole, schema


def secret_names(group: Group) -> set[str]:
    """The settings that open something: by the catalogue, on either side, or (texts) by their name."""
    told = {field.name: field.secret for ask in group.reads for field in ask.command.reply}
    return {setting.name for setting in group.settings if told.get(setting.told_as or "") or _opens(group, setting)}


def _opens(group: Group, setting: Setting) -> bool:
    rule = group.rule(setting)
    if rule is not None and (rule.secret or isinstance(rule, Choice | Whole)):
        return rule.secret
    return sounds_secret(setting.name)


def shown(group: Group, values: Mapping[str, Any]) -> dict[str, Any]:
    secret = secret_names(group)
    return {name: HIDDEN if name in secret and value else value for name, value in values.items()}


def shown_pairs(group: Group, pairs: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    secret = secret_names(group)
    return {
        name: (HIDDEN if old else old, HIDDEN if new else new) if name in secret else (old, new)
        for name, (old, new) in pairs.items()
    }


def shown_schema(group: Group, narrow: Narrow) -> list[dict[str, Any]]:
    secret = secret_names(group)
    return [{**each, "secret": each["name"] in secret} for each in schema(group, narrow)]


def dangers(group: Group, changes: Mapping[str, Any]) -> str:
    """What changing settings to these values does to people; empty when nothing to speak of."""
    return _sentences(
        writer.danger_of(dict.fromkeys(group.parameters(setting), changes[setting.name]))
        for setting in group.settings
        if setting.name in changes and (writer := group.writer(setting)) is not None
    )


def possible_dangers(group: Group) -> str:
    """What changes of the group's settings may do to people."""
    return _sentences(
        writer.danger
        for setting in group.settings
        if (writer := group.writer(setting)) is not None
        and (not writer.danger_for or any(name in writer.danger_for for name in group.parameters(setting)))
    )


def _sentences(found: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(filter(None, found)))
