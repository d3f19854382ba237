"""What a device tells, in words for people: names spelled out, units behind figures, and null as what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Where the name alone, spelled out, would mislead.
_LABELS = {
    "activity": "Doing",
    "ftp_sending": "Sending by FTP",
    "pre_recording": "Recording before the event",
    "counter": "Recording counter",
    "audio_on": "Audio",
    "priority_mode": "Priority mode",
    "clock_skew_seconds": "Its clock is off by",
    "uids_used": "UIDs used, by everybody",
    "uids_max": "UIDs it has",
    "max_uids": "UIDs it has",
    "without_ptz": "Cameras without steering",
    "registered": "Cameras registered",
    "picture": "Picture as set",
    "clock_skew": "Its clock is off by",
}
_UNITS = {"_gb": "GB", "_mb": "MB", "_seconds": "s", "_minutes": "min", "_percent": "%", "_kbps": "kbit/s"}
# Looked at by the product, not by people.
_INTERNAL = {"streams", "choices", "controls", "capability", "capabilities"}


@dataclass(frozen=True)
class Fact:
    label: str
    value: str | None  # None: the device does not tell it


@dataclass(frozen=True)
class Table:
    """Things of one kind that a device tells of: its cards, its disks."""

    label: str
    columns: list[str]
    rows: list[list[str | None]]


def facts_of(told: Mapping[str, Any]) -> list[Fact]:
    """The single facts; what holds more than one value is told elsewhere."""
    return [
        Fact(label_of(name), text_of(name, value))
        for name, value in told.items()
        if name not in _INTERNAL and not _is_table(value) and not _is_nested(value)
    ]


def tables_of(told: Mapping[str, Any]) -> list[Table]:
    tables = []
    for name, value in told.items():
        if name in _INTERNAL or not _is_table(value):
            continue
        columns = list(dict.fromkeys(column for row in value for column in row))
        rows = [[text_of(column, row.get(column)) for column in columns] for row in value]
        tables.append(Table(label_of(name), [label_of(column) for column in columns], rows))
    return tables


def label_of(name: str) -> str:
    if name in _LABELS:
        return _LABELS[name]
    for ending in _UNITS:
        name = name.removesuffix(ending)
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def text_of(name: str, value: Any) -> str | None:
    if value is None or value in ("", [], {}):
        return None if value in (None, "") else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        value = f"{value:.2f}".rstrip("0").rstrip(".")
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    if isinstance(value, dict):
        value = _each(value)
    unit = next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")
    return f"{value} {unit}".strip()


def _each(things: Mapping[str, Any]) -> str:
    """Several things: numbered ones and switches by how they are (`ok: 1, 2; lost: 3`), others one after the other."""
    if not all(str(name).isdecimal() or isinstance(value, bool) for name, value in things.items()):
        return ", ".join(
            f"{label_of(name).lower()} {text_of(name, value) or 'not told'}" for name, value in things.items()
        )
    groups: dict[str, list[str]] = {}
    for name, value in things.items():
        groups.setdefault({True: "on", False: "off"}.get(value) or text_of("", value) or "not told", []).append(
            str(name)
        )
    return "; ".join(f"{value}: {', '.join(names)}" for value, names in groups.items())


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(each, dict | list) for each in value.values())


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)
