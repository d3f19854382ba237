"""Replies: liberal in what is accepted.

A reply has documented fields and a shape. Unknown keys, missing keys, odd spacing and surrounding HTML never raise; a
value that is not of its type reads as None. Shapes with rows (lists of clips, logs, users) put them under `rows`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any


# --- Fields -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Field:
    """One item of a reply. `aliases` are other spellings met in the documents or on real devices."""

    name: str
    aliases: tuple[str, ...] = ()
    secret: bool = False
    note: str = field(default="", kw_only=True)

    def read(self, text: str) -> Any:
        return text

    def take(self, folded: Mapping[str, str]) -> Any:
        """This field out of the reply's items, whose names are folded; None when it is not among them."""
        for name in (self.name, *self.aliases):
            if (text := folded.get(fold(name))) is not None:
                return self.read(text)
        return None


@dataclass(frozen=True)
class NumberField(Field):
    """A number, None when the device writes something else (`-----` for an absent card).

    `unit` is what the device writes behind it: `1529GB`.
    """

    unit: str = field(default="", kw_only=True)

    def read(self, text: str) -> int | float | None:
        text = text.partition(self.unit)[0].strip() if self.unit else text
        if re.fullmatch(r"-?[0-9]{1,18}", text):
            return int(text)
        return float(text) if re.fullmatch(r"-?[0-9]{1,18}\.[0-9]{1,18}", text) else None


@dataclass(frozen=True)
class OnOffField(Field):
    """`on` or `off`, in any case; `words` for devices that say it otherwise."""

    words: Mapping[str, bool] = field(default_factory=lambda: {"on": True, "off": False}, kw_only=True)

    def read(self, text: str) -> bool | None:
        return self.words.get(text.lower())


def flag_field(name: str, *aliases: str) -> OnOffField:
    """0 or 1."""
    return OnOffField(name, aliases, words={"1": True, "0": False})


@dataclass(frozen=True)
class ListField(Field):
    """Values between commas; stray blanks and empty places are dropped."""

    def read(self, text: str) -> list[str]:
        return [item for item in (part.strip() for part in text.split(",")) if item]


@dataclass(frozen=True)
class MomentField(Field):
    """A date, time or both as ISO text; `forms` are tried in turn (strptime). The device's local time stays bare."""

    forms: tuple[str, ...] = field(default=("%Y-%m-%d %H:%M:%S",), kw_only=True)

    def read(self, text: str) -> str | None:
        for form in self.forms:
            try:
                moment = datetime.datetime.strptime(text.strip(), form)
            except ValueError:
                continue
            date, time = "%Y" in form or "%y" in form, "%H" in form or "%I" in form
            return (moment if date and time else moment.date() if date else moment.time()).isoformat()
        return None


@dataclass(frozen=True)
class NumberedField(Field):
    """Items whose names differ by a number (`CAM_CONNECT_01CH`): number → value. The number is the pattern's group."""

    pattern: str = field(kw_only=True)
    of: Field = field(default_factory=lambda: Field(""), kw_only=True)

    def take(self, folded: Mapping[str, str]) -> dict[int, Any]:
        matches = ((re.fullmatch(self.pattern, name, re.IGNORECASE), text) for name, text in folded.items())
        return {int(match[1]): self.of.read(text) for match, text in matches if match}


@dataclass(frozen=True)
class FoundField(Field):
    """Something inside a page: the first group of the first of `patterns` that is found."""

    patterns: tuple[str, ...] = field(kw_only=True)

    def search(self, text: str) -> Any:
        matches = (re.search(pattern, text, re.IGNORECASE) for pattern in self.patterns)
        match = next((match for match in matches if match), None)
        return None if match is None else self.read(match[1])


# --- Shapes -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Shape:
    """How the items lie in a reply's text."""

    kind: str = field(default="", init=False)

    def read(self, fields: tuple[Field, ...], text: str) -> dict[str, Any]:
        raise NotImplementedError

    def names(self, fields: tuple[Field, ...]) -> list[str]:
        return [each.name for each in fields]


@dataclass(frozen=True)
class KeyValues(Shape):
    """`key=value` lines. `prefix` is dropped from names that carry it (`root.`)."""

    prefix: str = ""
    kind: str = field(default="key=value", init=False)

    def read(self, fields: tuple[Field, ...], text: str) -> dict[str, Any]:
        return read_fields(fields, parse_key_values(text, prefix=self.prefix))


@dataclass(frozen=True)
class Joined(Shape):
    """`key=value&key=value` on one line."""

    kind: str = field(default="key=value joined by &", init=False)

    def read(self, fields: tuple[Field, ...], text: str) -> dict[str, Any]:
        return read_fields(fields, parse_key_values(text.replace("&", "\n")))


@dataclass(frozen=True)
class Groups(Shape):
    """`key=value` lines that repeat, a group for each thing; a key that was already there opens the next group."""

    kind: str = field(default="repeated groups", init=False)

    def read(self, fields: tuple[Field, ...], text: str) -> dict[str, Any]:
        groups: list[dict[str, str]] = []
        known = {fold(name) for each in fields for name in (each.name, *each.aliases)}
        for name, value in _pairs(text):
            if fold(name) in known:
                if not groups or name in groups[-1]:
                    groups.append({})
                groups[-1][name] = value
        return {"rows": [read_fields(fields, group) for group in groups]}


@dataclass(frozen=True)
class Rows(Shape):
    """Lines of cells (CSV without quotes), those whose first cell matches `first`; `key=value` lines around them."""

    columns: tuple[Field, ...]
    first: str = r"[0-9]+"
    separator: str = ","
    kind: str = field(default="csv", init=False)

    def read(self, fields: tuple[Field, ...], text: str) -> dict[str, Any]:
        rows = []
        for line in re.split(r"[\r\n]+", text):
            cells = [cell.strip() for cell in line.split(self.separator)]
            if len(cells) > 1 and re.fullmatch(self.first, cells[0]):
                rows.append(_row(self.columns, cells))
        return {**read_fields(fields, parse_key_values(text)), "rows": rows}

    def names(self, fields: tuple[Field, ...]) -> list[str]:
        return [each.name for each in (*self.columns, *fields)]


@dataclass(frozen=True)
class Records(Shape):
    """Records without line feeds: `end` parts records, `between` parts their cells (both regular expressions)."""

    columns: tuple[Field, ...]
    end: str
    between: str
    first: str = r"[0-9]+"
    kind: str = field(default="records", init=False)

    def read(self, fields: tuple[Field, ...], text: str) -> dict[str, Any]:
        rows = []
        for record in re.split(self.end, text):
            # The last cell is free text and may hold the separator.
            cells = [cell.strip() for cell in re.split(self.between, record, maxsplit=len(self.columns) - 1)]
            if len(cells) > 1 and re.fullmatch(self.first, cells[0]):
                rows.append(_row(self.columns, cells))
        return {"rows": rows}

    def names(self, fields: tuple[Field, ...]) -> list[str]:
        return [each.name for each in self.columns]


@dataclass(frozen=True)
class Quoted(Shape):
    """Quoted cells after `KEY=`, so many to a row, wherever commas and line feeds fell: `LOG="001","…"`."""

    key: str
    columns: tuple[Field, ...]
    kind: str = field(default="quoted rows", init=False)

    def read(self, fields: tuple[Field, ...], text: str) -> dict[str, Any]:
        head, found, tail = text.partition(f"{self.key}=")
        cells = re.findall(r'"([^"]*)"', tail) if found else []
        size = len(self.columns)
        rows = [_row(self.columns, cells[at : at + size]) for at in range(0, len(cells) - size + 1, size)]
        return {**read_fields(fields, parse_key_values(head)), "rows": rows}

    def names(self, fields: tuple[Field, ...]) -> list[str]:
        return [each.name for each in (*fields, *self.columns)]


@dataclass(frozen=True)
class Sections(Shape):
    """Groups of parameters, as `group.name=value` or under `[group]` lines; all of it is kept under `items`."""

    kind: str = field(default="groups of key=value", init=False)

    def read(self, fields: tuple[Field, ...], text: str) -> dict[str, Any]:
        items: dict[str, str] = {}
        group = ""
        for line in re.split(r"[\r\n]+", text):
            if heading := re.fullmatch(r"\s*\[\s*([\w.-]+)\s*\]\s*", line):
                group = heading[1] + "."
            elif match := _LINE.match(line):
                items.setdefault(group + match[1], match[2].strip())
        return {**read_fields(fields, items), "items": items}


@dataclass(frozen=True)
class Page(Shape):
    """An HTML page in which things are found by pattern; its fields are FoundFields."""

    kind: str = field(default="page", init=False)

    def read(self, fields: tuple[Field, ...], text: str) -> dict[str, Any]:
        return {each.name: each.search(text) for each in fields if isinstance(each, FoundField)}


@dataclass(frozen=True)
class Bytes(Shape):
    """Pictures, sound or a file: nothing to be read as text."""

    kind: str = field(default="bytes", init=False)

    def read(self, fields: tuple[Field, ...], text: str) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Nothing(Shape):
    """The status says it all (204 No Content)."""

    kind: str = field(default="nothing", init=False)

    def read(self, fields: tuple[Field, ...], text: str) -> dict[str, Any]:
        return {}


# --- Reading ----------------------------------------------------------------------------------------------------------
_LINE = re.compile(r"\s*([\w.-]+(?: [\w.-]+)*)\s*=(.*)")


@lru_cache(maxsize=4096)
def fold(name: str) -> str:
    """Names are compared without regard to case and blanks: devices write them otherwise than their documents."""
    return name.replace(" ", "").lower()


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in re.split(r"[\r\n]+", text):
        if match := _LINE.match(line):
            yield match[1], match[2].strip()


def parse_key_values(text: str, prefix: str = "") -> dict[str, str]:
    """The `key=value` lines of a reply; other lines (HTML around them, blank ones) are passed over.

    Empty values are kept. Of a key that comes twice the first counts, as web pages of these devices read it.
    """
    found: dict[str, str] = {}
    for name, value in _pairs(text):
        bare = name[len(prefix) :] if prefix and name.lower().startswith(prefix.lower()) else name
        found.setdefault(bare, value)
    return found


def read_fields(fields: tuple[Field, ...], raw: Mapping[str, str]) -> dict[str, Any]:
    """The documented fields as typed values; what is missing or not of its type is None."""
    folded = {fold(name): text for name, text in reversed(list(raw.items()))}
    return {each.name: each.take(folded) for each in fields}


def _row(columns: tuple[Field, ...], cells: list[str]) -> dict[str, Any]:
    return {
        column.name: column.read(cells[at]) if at < len(cells) and cells[at] != "" else None
        for at, column in enumerate(columns)
    }
