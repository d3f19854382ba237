"""Parameters: which values a document allows, how each stands on the wire, and how it is read back.

`write` turns a value into the text before percent-encoding, or refuses with `BadValue`; `read` is its inverse, so that
`read(write(value))` is the value in its canonical form. A value outside the document is never bent to fit.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from accounts.problems import Problem

Value = str | int | float | list[Any] | tuple[Any, ...]
Values = Mapping[str, Value | None]

P = TypeVar("P", bound="Param")


class BadValue(Problem, ValueError):
    """A value the document does not allow. Nothing was sent; the API answers 400 and names the field."""

    def __init__(self, parameter: str, sentence: str) -> None:
        super().__init__(400, sentence, field=parameter or None)
        self.parameter = parameter


# What a value is limited to where nothing says so.
UNLIMITED: dict[str, Any] = {"fixed": None, "choices": None, "min": None, "max": None, "max_length": None}


@dataclass(frozen=True, kw_only=True)
class Param:
    """One parameter; the subclasses say which values the document allows.

    `name` is unique within a command; `wire` is its spelling on the wire where that differs, as for a parameter that
    the document sends twice. `note` are the document's words.
    """

    name: str
    wire: str = ""
    required: bool = False
    secret: bool = False  # opens something as a password does: never shown, never logged
    note: str = ""
    type: str = field(default="text", init=False)

    @property
    def spelling(self) -> str:
        return self.wire or self.name

    def write(self, value: Value) -> str:
        """The value as it stands in the query before percent-encoding; BadValue when the document does not allow it."""
        raise NotImplementedError

    def read(self, text: str) -> Value:
        """The value that `write` made this text of; BadValue when it made no such text."""
        if self.write(text) != text:
            raise self.refuse(text, f"the spelling {self.write(text)}")
        return text

    def facts(self) -> dict[str, Any]:
        """What the published catalogue says of this parameter; null is what the document does not limit."""
        return {
            "name": self.name,
            "type": self.type,
            "required": self.required,
            "secret": self.secret,
            "wire": self.spelling,
            "note": self.note,
            **UNLIMITED,
        }

    def allowed(self) -> str:
        """The document's limits in words, for sentences and tables."""
        raise NotImplementedError

    def refuse(self, value: Value, allowed: str = "") -> BadValue:
        shown = "that value" if self.secret else repr(value)
        return BadValue(self.name, f"{self.name} cannot be {shown}; use {allowed or self.allowed()}.")


def _text(value: Value) -> str:
    """Numbers and words as they are; lists and truth values are no text."""
    return "" if isinstance(value, bool | list | tuple) else str(value)


@dataclass(frozen=True, kw_only=True)
class Fixed(Param):
    """Always sent, always the same."""

    value: str
    required: bool = True
    type: str = field(default="fixed", init=False)

    def write(self, value: Value) -> str:
        if str(value) != self.value:
            raise self.refuse(value)
        return self.value

    def allowed(self) -> str:
        return f"{self.value} (the document fixes it)"

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "fixed": self.value}


@dataclass(frozen=True, kw_only=True)
class Choice(Param):
    """One of a few words; `choices` maps each to what it means.

    `only_for` ties words to an option of the device: `{"12.5": ("system_frequency", "50")}`.
    """

    choices: Mapping[str, str]
    only_for: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    type: str = field(default="choice", init=False)

    def write(self, value: Value) -> str:
        if isinstance(value, bool) or str(value) not in self.choices:
            raise self.refuse(value)
        return str(value)

    def allowed(self) -> str:
        return "one of " + ", ".join(self.choices) if len(self.choices) > 1 else next(iter(self.choices))

    def facts(self) -> dict[str, Any]:
        tied = {word: {option: value} for word, (option, value) in self.only_for.items()}
        return {**super().facts(), "choices": dict(self.choices)} | ({"choices_for": tied} if tied else {})

    def narrowed(self, words: Collection[str]) -> Choice:
        """Only the words this device has; all of them when it claims to have none, which cannot be meant."""
        kept = {word: label for word, label in self.choices.items() if word in words}
        return replace(self, choices=kept) if kept else self

    def for_options(self, options: Mapping[str, Any]) -> Choice:
        """Only the words that fit the options of this device."""

        def fits(word: str) -> bool:
            option, value = self.only_for.get(word, ("", ""))
            return option not in options or str(options[option]) == value

        return self.narrowed([word for word in self.choices if fits(word)]) if self.only_for else self


@dataclass(frozen=True, kw_only=True)
class Whole(Param):
    """A whole number in a range; with `step`, only every so many from `low` on."""

    low: int
    high: int
    step: int = 1
    type: str = field(default="number", init=False)

    def write(self, value: Value) -> str:
        text = _text(value)
        # int() would also take " 1", "1_0" and digits of other scripts; the wire takes none of them.
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise self.refuse(value)
        number = int(text)
        if not self.low <= number <= self.high or (number - self.low) % self.step:
            raise self.refuse(value)
        return str(number)

    def read(self, text: str) -> Value:
        super().read(text)
        return int(text)

    def allowed(self) -> str:
        if self.step == 2:
            return f"an {'odd' if self.low % 2 else 'even'} number from {self.low} to {self.high}"
        steps = f" in steps of {self.step}" if self.step > 1 else ""
        return f"a whole number from {self.low} to {self.high}{steps}"

    def facts(self) -> dict[str, Any]:
        step = {"step": self.step} if self.step > 1 else {}
        return {**super().facts(), "min": self.low, "max": self.high} | step


@dataclass(frozen=True, kw_only=True)
class Digits(Param):
    """A number the device gave us, handed back as it came: leading zeros and all."""

    max_length: int
    type: str = field(default="digits", init=False)

    def write(self, value: Value) -> str:
        text = _text(value)
        if not re.fullmatch(rf"[0-9]{{1,{self.max_length}}}", text):
            raise self.refuse(value)
        return text

    def allowed(self) -> str:
        return f"1 to {self.max_length} digits"

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "max_length": self.max_length}


@dataclass(frozen=True, kw_only=True)
class Text(Param):
    """Free text of a length, without control characters; `pattern` (said as `described`) limits it further.

    `max_bytes` is for documents that count UTF-8 bytes.
    """

    max_length: int
    min_length: int = 0
    max_bytes: int = 0
    pattern: str = ""
    described: str = ""

    def write(self, value: Value) -> str:
        if isinstance(value, bool | list | tuple):
            raise self.refuse(value, "text")
        text = str(value)
        if len(text) > self.max_length or (self.max_bytes and len(text.encode(errors="replace")) > self.max_bytes):
            raise self.refuse(value)
        if len(text) < self.min_length:
            raise self.refuse(value)
        if not all(character.isprintable() for character in text):
            raise self.refuse(value, "printable characters only")
        if self.pattern and not re.fullmatch(self.pattern, text):
            raise self.refuse(value)
        return text

    def allowed(self) -> str:
        if self.described:
            return self.described
        least = f"{self.min_length} to " if self.min_length else "at most "
        most = f" ({self.max_bytes} bytes)" if self.max_bytes else ""
        return f"{least}{self.max_length} characters{most}"

    def facts(self) -> dict[str, Any]:
        least = {"min_length": self.min_length} if self.min_length else {}
        return {**super().facts(), "max_length": self.max_length} | least


@dataclass(frozen=True, kw_only=True)
class Hex(Param):
    """Hexadecimal digits, exactly so many."""

    length: int
    type: str = field(default="hex", init=False)

    def write(self, value: Value) -> str:
        text = _text(value)
        if not re.fullmatch(rf"[0-9A-Fa-f]{{{self.length}}}", text):
            raise self.refuse(value)
        return text

    def allowed(self) -> str:
        return f"{self.length} hexadecimal digits"

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "max_length": self.length}


@dataclass(frozen=True, kw_only=True)
class Ipv4(Param):
    """An IPv4 address in dotted form; `low` and `high` bound its first octet."""

    low: int = 0
    high: int = 255
    blank: bool = False  # the empty text is allowed and clears it
    type: str = field(default="ipv4", init=False)

    def write(self, value: Value) -> str:
        text = _text(value)
        if self.blank and value == "":
            return ""
        if not _is_ipv4(text) or not self.low <= int(text.split(".")[0]) <= self.high:
            raise self.refuse(value)
        return text

    def allowed(self) -> str:
        bounds = "" if (self.low, self.high) == (0, 255) else f" from {self.low}.0.0.0 to {self.high}.255.255.255"
        return f"an IPv4 address{bounds}" + (" or nothing" if self.blank else "")

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "max_length": 15}


@dataclass(frozen=True, kw_only=True)
class Host(Param):
    """A host name or an IPv4 address; with `port`, `:1` to `:65535` may follow."""

    max_length: int = 255
    port: bool = False
    blank: bool = False
    type: str = field(default="host", init=False)

    def write(self, value: Value) -> str:
        text = _text(value)
        if self.blank and value == "":
            return ""
        host, port = text, ""
        if self.port and ":" in text:
            host, _, port = text.partition(":")
            if not re.fullmatch(r"[1-9][0-9]{0,4}", port) or int(port) > 65535:
                raise self.refuse(value)
        if len(text) > self.max_length or not _is_host(host):
            raise self.refuse(value)
        return text

    def allowed(self) -> str:
        port = ", :1 to :65535 may follow" if self.port else ""
        empty = " or nothing" if self.blank else ""
        return f"a host name or IPv4 address of at most {self.max_length} characters{port}{empty}"

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "max_length": self.max_length}


@dataclass(frozen=True, kw_only=True)
class Mac(Param):
    """A MAC address, six pairs of hexadecimal digits between colons."""

    type: str = field(default="mac", init=False)

    def write(self, value: Value) -> str:
        text = _text(value)
        if not re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}", text):
            raise self.refuse(value)
        return text

    def allowed(self) -> str:
        return "a MAC address such as 00:40:8C:CD:00:00"

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "max_length": 17}


_ISO = {
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "time": r"[0-9]{2}:[0-9]{2}:[0-9]{2}",
    "datetime": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}",
}


@dataclass(frozen=True, kw_only=True)
class Moment(Param):
    """A date, a time or both: given as ISO text (`2022-11-14T12:00:00`), sent in the document's `form` (strftime)."""

    unit: Literal["date", "time", "datetime"]
    form: str
    written: str  # how the document prints the form: yyyy-mm-dd
    first_year: int = 1970
    last_year: int = 2099
    type: str = field(default="", init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "type", self.unit)

    def write(self, value: Value) -> str:
        text = _text(value)
        if not re.fullmatch(_ISO[self.unit], text):
            raise self.refuse(value)
        try:
            moment = datetime.datetime.fromisoformat(f"2000-01-01T{text}" if self.unit == "time" else text)
        except ValueError:
            raise self.refuse(value) from None
        if self.unit != "time" and not self.first_year <= moment.year <= self.last_year:
            raise self.refuse(value)
        return moment.strftime(self.form)

    def read(self, text: str) -> Value:
        try:
            moment = datetime.datetime.strptime(text, self.form)
        except ValueError:
            raise self.refuse(text, self.written) from None
        iso = {"date": "%Y-%m-%d", "time": "%H:%M:%S", "datetime": "%Y-%m-%dT%H:%M:%S"}[self.unit]
        value = moment.strftime(iso)
        if self.write(value) != text:  # strptime also takes 1:2:3
            raise self.refuse(text, self.written)
        return value

    def allowed(self) -> str:
        example = {"date": "2024-02-16", "time": "23:01:14", "datetime": "2024-02-16T23:01:14"}[self.unit]
        years = "" if self.unit == "time" else f", year {self.first_year} to {self.last_year}"
        return f"a {'date and time' if self.unit == 'datetime' else self.unit} such as {example}{years}"


@dataclass(frozen=True, kw_only=True)
class List(Param):
    """Several values between separators: `fileno=1,2`. A single value, or the text as sent, may be given too."""

    of: Param
    max_items: int
    separator: str = ","
    type: str = field(default="list", init=False)

    def write(self, value: Value) -> str:
        items = value.split(self.separator) if isinstance(value, str) else value
        items = list(items) if isinstance(items, list | tuple) else [items]
        if not 1 <= len(items) <= self.max_items:
            raise BadValue(
                self.name, f"{self.name} cannot have {len(items)} values; use 1 to {self.max_items} of them."
            )
        each = replace(self.of, name=self.name, secret=self.secret)
        return self.separator.join(each.write(item) for item in items)

    def read(self, text: str) -> Value:
        self.write(text)
        return [self.of.read(item) for item in text.split(self.separator)]

    def allowed(self) -> str:
        return f"1 to {self.max_items} values, each {self.of.allowed()}"

    def facts(self) -> dict[str, Any]:
        inner = self.of.facts()
        limits = {name: inner[name] for name in ("choices", "min", "max", "max_length")}
        return {**super().facts(), **limits, "of": self.of.type, "max_items": self.max_items}


def octet(name: str, note: str = "", low: int = 0, high: int = 255) -> Whole:
    return Whole(name=name, low=low, high=high, note=note)


def flag(name: str, off: str = "Off", on: str = "On", note: str = "") -> Choice:
    """0 or 1, as most documents write a switch."""
    return Choice(name=name, choices={"0": off, "1": on}, note=note)


def numbered(param: P, first: int, last: int) -> tuple[P, ...]:
    """The family of a parameter whose name holds `{n}`: multi_addr1 … multi_addr16."""
    return tuple(
        replace(
            param,
            name=param.name.format(n=number),
            wire=param.wire.format(n=number),
            note=param.note.format(n=number),
        )
        for number in range(first, last + 1)
    )


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_host(text: str) -> bool:
    if re.fullmatch(r"[0-9.]*", text):
        return _is_ipv4(text)
    label = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
    return re.fullmatch(rf"{label}(\.{label})*", text) is not None
