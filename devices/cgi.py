"""The small language the vendor documents are written in.

A `Command` is one row of a document: path, methods, access level, its parameters in the documented order, and what the
reply holds. Everything here is pure: `encode` turns values into the exact query string or refuses with `BadValue`, a
sentence that names the parameter and what is allowed; `read_reply` turns a reply's text into typed values.

Exact in what we send: parameters keep the documented order, nothing is merged, `, : . - _` stay raw, a space is `%20`
and everything else is percent-encoded UTF-8. Liberal in what we accept: unknown keys, missing keys, odd spacing and
surrounding HTML never raise; a value that is not of its type reads as None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote

Value = str | int
Values = Mapping[str, Value | None]


class BadValue(ValueError):
    """A value the document does not allow. Nothing was sent."""

    def __init__(self, parameter: str, sentence: str) -> None:
        super().__init__(sentence)
        self.parameter = parameter


class Access(StrEnum):
    LIVE = "live"
    ADMIN = "admin"


class Kind(StrEnum):
    READ = "read"  # asks, changes nothing
    WRITE = "write"  # changes a setting
    SESSION = "session"  # opens, keeps or ends a transmission
    PICTURE = "picture"  # answers with pictures or sound, perhaps without end


# --- Parameters -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Param:
    """One parameter; the subclasses say which values the document allows."""

    name: str
    required: bool = False
    secret: bool = False  # opens the device as a password does: never shown, never logged
    note: str = ""
    type: str = field(default="text", init=False)

    def write(self, value: Value) -> str:
        """The value as it stands in the query before percent-encoding; BadValue when the document does not allow it."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """What the published catalogue says of this parameter."""
        return {"name": self.name, "type": self.type, "required": self.required, "secret": self.secret}

    def refuse(self, value: Value, allowed: str) -> BadValue:
        shown = "that value" if self.secret else repr(value)
        return BadValue(self.name, f"{self.name} cannot be {shown}; use {allowed}.")


@dataclass(frozen=True, kw_only=True)
class Fixed(Param):
    """Always sent, always the same."""

    value: str
    required: bool = True
    type: str = field(default="fixed", init=False)

    def write(self, value: Value) -> str:
        if str(value) != self.value:
            raise self.refuse(value, f"{self.value} (the document fixes it)")
        return self.value

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "fixed": self.value}


@dataclass(frozen=True, kw_only=True)
class Choice(Param):
    """One of a few words; `choices` maps each to what it means."""

    choices: Mapping[str, str]
    type: str = field(default="choice", init=False)

    def write(self, value: Value) -> str:
        if str(value) not in self.choices:
            raise self.refuse(value, "one of " + ", ".join(self.choices))
        return str(value)

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "choices": dict(self.choices)}


@dataclass(frozen=True, kw_only=True)
class Whole(Param):
    """A whole number in a range."""

    low: int
    high: int
    type: str = field(default="number", init=False)

    def write(self, value: Value) -> str:
        text = str(value)
        # int() would also take " 1", "1_0" and digits of other scripts; the wire takes none of them.
        if (
            isinstance(value, bool)
            or not re.fullmatch(r"-?[0-9]{1,18}", text)
            or not self.low <= int(text) <= self.high
        ):
            raise self.refuse(value, f"a whole number from {self.low} to {self.high}")
        return str(int(text))

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "min": self.low, "max": self.high}


@dataclass(frozen=True, kw_only=True)
class Digits(Param):
    """A number the device gave us, handed back as it came: leading zeros and all."""

    max_length: int
    type: str = field(default="digits", init=False)

    def write(self, value: Value) -> str:
        text = str(value)
        if isinstance(value, bool) or not re.fullmatch(rf"[0-9]{{1,{self.max_length}}}", text):
            raise self.refuse(value, f"1 to {self.max_length} digits")
        return text

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "max_length": self.max_length}


@dataclass(frozen=True, kw_only=True)
class Text(Param):
    """Free text up to a length, without control characters."""

    max_length: int

    def write(self, value: Value) -> str:
        text = str(value)
        if len(text) > self.max_length:
            raise self.refuse(value, f"at most {self.max_length} characters")
        if not all(character.isprintable() for character in text):
            raise self.refuse(value, "printable characters only")
        return text

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "max_length": self.max_length}


# --- Reply fields -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Field:
    """One item of a key=value reply. `aliases` are other spellings met in the documents or on real devices."""

    name: str
    aliases: tuple[str, ...] = ()
    secret: bool = False

    def read(self, text: str) -> Any:
        return text


@dataclass(frozen=True)
class NumberField(Field):
    """A number, None when the device writes something else (`-----` for an absent card)."""

    def read(self, text: str) -> int | float | None:
        if re.fullmatch(r"-?[0-9]{1,18}", text):
            return int(text)
        return float(text) if re.fullmatch(r"-?[0-9]{1,18}\.[0-9]{1,18}", text) else None


@dataclass(frozen=True)
class OnOffField(Field):
    def read(self, text: str) -> bool | None:
        return {"on": True, "off": False}.get(text.lower())


# --- Commands ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Command:
    """One row of a vendor document.

    `gap` is the rest the device wants after any command before the next, `own_gap` the rest between two of this one
    (both in milliseconds); the gateway keeps them for all processes together.
    """

    id: str
    section: str
    path: str
    methods: tuple[str, ...]
    access: Access
    kind: Kind
    params: tuple[Param, ...] = ()
    reply: tuple[Field, ...] = ()
    gap: int = 0
    own_gap: int = 0

    def facts(self) -> dict[str, Any]:
        """What the published catalogue says of this command."""
        return {
            "id": self.id,
            "section": self.section,
            "path": self.path,
            "methods": list(self.methods),
            "access": self.access.value,
            "kind": self.kind.value,
            "params": [param.facts() for param in self.params],
            "reply": [each.name for each in self.reply],
        }


def escape(text: str) -> str:
    """Percent-encode as the devices expect it: `, : . - _` raw, `%20` for a space."""
    return quote(text, safe=",:").replace("~", "%7E")


def encode(command: Command, values: Values | None = None) -> str:
    """The exact query string, without the question mark; BadValue when the document does not allow the values."""
    given = {name: value for name, value in (values or {}).items() if value is not None}
    known = {param.name for param in command.params}
    for name in given:
        if name not in known:
            allowed = ", ".join(param.name for param in command.params) or "none"
            raise BadValue(name, f"{command.id} has no parameter {name}; it knows {allowed}.")
    parts = []
    for param in command.params:
        value = given.get(param.name)
        if value is None and isinstance(param, Fixed) and param.required:
            value = param.value
        if value is None:
            if param.required:
                raise BadValue(param.name, f"{command.id} needs {param.name}.")
            continue
        parts.append(f"{escape(param.name)}={escape(param.write(value))}")
    return "&".join(parts)


_LINE = re.compile(r"\s*([\w.]+)\s*=\s*(.*?)\s*$")


def parse_key_values(text: str) -> dict[str, str]:
    """The `key=value` lines of a reply; other lines (HTML around them, blank ones) are passed over.

    Empty values are kept. Of a key that comes twice the first counts, as web pages of these devices read it.
    """
    found: dict[str, str] = {}
    for line in re.split(r"[\r\n]+", text):
        if match := _LINE.match(line):
            found.setdefault(match[1], match[2])
    return found


def read_fields(fields: tuple[Field, ...], raw: Mapping[str, str]) -> dict[str, Any]:
    """The documented fields as typed values; what is missing or not of its type is None."""
    folded = {name.lower(): text for name, text in reversed(list(raw.items()))}
    values: dict[str, Any] = {}
    for each in fields:
        texts = (folded.get(name.lower()) for name in (each.name, *each.aliases))
        text = next((text for text in texts if text is not None), None)
        values[each.name] = None if text is None else each.read(text)
    return values


def read_reply(command: Command, text: str) -> dict[str, Any]:
    return read_fields(command.reply, parse_key_values(text))
