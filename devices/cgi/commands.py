"""Commands: one row of a document each, and the exact bytes that ask for it.

Parameters keep the documented order, nothing is merged, `, : . - _` stay raw, a space is `%20` and everything else is
percent-encoded UTF-8. `decode` is the inverse of `encode`. Conditions between parameters are checked before anything is
sent, as values are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from urllib.parse import quote, unquote

from devices.cgi.params import BadValue, Choice, Fixed, Param, Values
from devices.cgi.replies import Field, KeyValues, Shape

HIDDEN = "••••••"  # stands where a secret is not shown


class Access(StrEnum):
    """What the device wants of the user it is asked by."""

    LIVE = "live"  # may watch
    CONTROL = "control"  # may also steer and trigger
    ADMIN = "admin"


class Kind(StrEnum):
    READ = "read"  # asks, changes nothing
    WRITE = "write"  # changes a setting
    CONTROL = "control"  # makes the device do something: move, record, restart
    SESSION = "session"  # opens, keeps or ends a transmission
    PICTURE = "picture"  # answers with pictures or sound, perhaps without end
    FILE = "file"  # answers with a file


class Post(StrEnum):
    """Where the parameters of a POST stand."""

    QUERY = "query"  # in the address; the body is empty
    FORM = "form"  # in the body, urlencoded


# --- Conditions between parameters ------------------------------------------------------------------------------------
# Each tells whether it `holds` for the given texts, and which `companion` must go with its parameter at a value.
@dataclass(frozen=True)
class OnlyWhen:
    """`parameter` may be given only together with `other` as one of `values` (any value when there are none)."""

    parameter: str
    other: str
    values: tuple[str, ...] = ()

    def sentence(self) -> str:
        values = " or ".join(f"{self.other}={value}" for value in self.values) or self.other
        return f"{self.parameter} can be set only together with {values}."

    def holds(self, given: Mapping[str, str]) -> bool:
        if self.parameter not in given:
            return True
        return self.other in given and (not self.values or given[self.other] in self.values)

    def companion(self, value: str) -> str:
        return self.other

    def facts(self) -> dict[str, Any]:
        return {"parameter": self.parameter, "only_with": self.other, "values": list(self.values)}


@dataclass(frozen=True)
class Needs:
    """When `parameter` is given (as one of `values`, if there are any), `other` must be given too."""

    parameter: str
    other: str
    values: tuple[str, ...] = ()

    def sentence(self) -> str:
        values = " or ".join(f"{self.parameter}={value}" for value in self.values) or self.parameter
        return f"{values} needs {self.other} with it."

    def holds(self, given: Mapping[str, str]) -> bool:
        if self.parameter not in given or (self.values and given[self.parameter] not in self.values):
            return True
        return self.other in given

    def companion(self, value: str) -> str:
        return self.other if not self.values or value in self.values else ""

    def facts(self) -> dict[str, Any]:
        return {"parameter": self.parameter, "needs": self.other, "values": list(self.values)}


@dataclass(frozen=True)
class Rule:
    """Anything else, as a function of the given parameters (their texts) and a sentence that names `parameter`."""

    parameter: str
    text: str
    check: Callable[[Mapping[str, str]], bool]

    def sentence(self) -> str:
        return self.text

    def holds(self, given: Mapping[str, str]) -> bool:
        return self.check(given)

    def companion(self, value: str) -> str:
        return ""

    def facts(self) -> dict[str, Any]:
        return {"parameter": self.parameter}


def any_of(*names: str) -> Rule:
    """At least one of these must be given."""
    text = f"Give at least one of {', '.join(names)}."
    return Rule(names[0], text, lambda given: any(name in given for name in names))


Constraint = OnlyWhen | Needs | Rule


# --- Commands ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Command:
    """One row of a vendor document.

    The first of `methods` is the one that is used. `gap` is the rest the device wants after any command of the same
    `lane` before the next, `own_gap` the rest between two of this one (both in milliseconds); the gateway keeps them
    for all processes together.

    `danger` is the sentence that says what running it does to people, and `danger_for` which parameters do it (at which
    values; any where there are none); without them it does so whatever is given. `unrunnable` is the reason why it is
    never sent.
    """

    id: str
    section: str
    path: str
    methods: tuple[str, ...]
    access: Access
    kind: Kind
    title: str = ""
    params: tuple[Param, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    reply: tuple[Field, ...] = ()
    shape: Shape = field(default_factory=KeyValues)
    post: Post = Post.QUERY
    note: str = ""
    danger: str = ""
    danger_for: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unrunnable: str = ""
    lane: str = "any"
    gap: int = 0
    own_gap: int = 0
    may_be_silent: bool = False  # the device may close without an answer and mean yes
    may_redirect: bool = False  # a redirect means yes; it is not followed
    undocumented: bool = False  # a form known from real devices only; drivers send it when the option legacy allows it
    uid_is_login: bool = False  # a 401 says that the UID is gone, not that the user is refused

    def param(self, name: str) -> Param:
        return next(param for param in self.params if param.name == name)

    @property
    def replies(self) -> list[str]:
        """The names of what the reply holds."""
        return self.shape.names(self.reply)

    def danger_of(self, given: Mapping[str, Any]) -> str:
        """What running it with these parameters does to people; empty when nothing to speak of."""
        if not self.danger_for:
            return self.danger
        dangerous = (
            name in self.danger_for and (not self.danger_for[name] or str(value) in self.danger_for[name])
            for name, value in given.items()
            if value is not None
        )
        return self.danger if any(dangerous) else ""

    def narrowed(self, words: Mapping[str, list[str]]) -> Command:
        """With the choices a device says it has: parameter name → words."""

        def one(param: Param) -> Param:
            return param.narrowed(words[param.name]) if isinstance(param, Choice) and param.name in words else param

        return replace(self, params=tuple(one(param) for param in self.params)) if words else self

    def for_options(self, options: Mapping[str, Any]) -> Command:
        """With the choices that fit the options of a device."""
        if not any(isinstance(param, Choice) and param.only_for for param in self.params):
            return self
        params = (param.for_options(options) if isinstance(param, Choice) else param for param in self.params)
        return replace(self, params=tuple(params))

    def facts(self) -> dict[str, Any]:
        """What the published catalogue says of this command."""
        return {
            "id": self.id,
            "section": self.section,
            "title": self.title,
            "path": self.path,
            "methods": list(self.methods),
            "access": self.access.value,
            "kind": self.kind.value,
            "params": [param.facts() for param in self.params],
            "reply": self.replies,
            "reply_kind": self.shape.kind,
            "constraints": [{**each.facts(), "sentence": each.sentence()} for each in self.constraints],
            "note": self.note,
            "danger": self.danger or None,
            "danger_for": {name: list(values) for name, values in self.danger_for.items()},
            "runnable": not self.unrunnable,
            "not_runnable": self.unrunnable or None,
        }


@dataclass(frozen=True)
class Request:
    """The exact bytes of a command: its target as sent, and for a form its body."""

    method: str
    target: str
    body: bytes = b""
    content_type: str = ""


def escape(text: str) -> str:
    """Percent-encode as the devices expect it: `, : . - _` raw, `%20` for a space."""
    return quote(text, safe=",:").replace("~", "%7E")


def texts(command: Command, values: Values | None = None) -> dict[str, str]:
    """What each parameter will read on the wire, in the documented order; BadValue when the document forbids it."""
    if command.unrunnable:
        raise BadValue("", f"{command.id} cannot be run: {command.unrunnable}")
    given = {name: value for name, value in (values or {}).items() if value is not None}
    known = {param.name for param in command.params}
    for name in given:
        if name not in known:
            allowed = ", ".join(param.name for param in command.params) or "none"
            raise BadValue(name, f"{command.id} has no parameter {name}; it knows {allowed}.")
    written: dict[str, str] = {}
    for param in command.params:
        value = given.get(param.name)
        if value is None and isinstance(param, Fixed) and param.required:
            value = param.value
        if value is not None:
            written[param.name] = param.write(value)
        elif param.required:
            raise BadValue(param.name, f"{command.id} needs {param.name}.")
    for constraint in command.constraints:
        if not constraint.holds(written):
            raise BadValue(constraint.parameter, constraint.sentence())
    return written


def encode(command: Command, values: Values | None = None) -> str:
    """The exact query string, without the question mark; BadValue when the document does not allow the values."""
    return _query(command, texts(command, values))


def shown(command: Command, values: Values | None = None) -> str:
    """The query string for people's eyes: secrets are hidden."""
    written = texts(command, values)
    secrets = {param.name for param in command.params if param.secret}
    return _query(command, {name: text for name, text in written.items() if name not in secrets}, hidden=secrets)


def masked(command: Command, values: Values) -> dict[str, Any]:
    """The values for audit and transcripts: secrets are hidden."""
    secrets = {param.name for param in command.params if param.secret}
    return {name: HIDDEN if name in secrets and value is not None else value for name, value in values.items()}


def request(command: Command, values: Values | None = None, method: str = "") -> Request:
    """What is sent: the query in the address, or as the body of a POST where the document says so."""
    method = method or command.methods[0]
    query = encode(command, values)
    if method == "POST" and command.post is Post.FORM:
        return Request(method, command.path, query.encode(), "application/x-www-form-urlencoded")
    return Request(method, f"{command.path}?{query}" if query else command.path)


def decode(command: Command, query: str) -> dict[str, Any]:
    """The values a query of this command carries, in canonical form; BadValue when it is none of this command."""
    values: dict[str, Any] = {}
    rest = list(command.params)
    for part in filter(None, query.split("&")):
        wire, _, text = part.partition("=")
        param = next((param for param in rest if param.spelling == unquote(wire)), None)
        if param is None:
            raise BadValue(unquote(wire), f"{command.id} has no parameter {unquote(wire)} at that place.")
        rest.remove(param)
        values[param.name] = param.read(unquote(text, errors="strict"))
    texts(command, values)
    return values


def read_reply(command: Command, text: str) -> dict[str, Any]:
    return command.shape.read(command.reply, text)


def _query(command: Command, written: Mapping[str, str], hidden: set[str] | None = None) -> str:
    parts = []
    for param in command.params:
        if hidden and param.name in hidden:
            parts.append(f"{escape(param.spelling)}={HIDDEN}")
        elif param.name in written:
            parts.append(f"{escape(param.spelling)}={escape(written[param.name])}")
    return "&".join(parts)
