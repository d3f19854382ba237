"""The clock of a POVCAM (4.2, 5.4): it tells local time, a zone by number, and rules for summer time. Pure."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from devices.families.povcam.commands import ZONES

_PARTS = ("year", "month", "day", "hour", "min", "sec")
_SUMMER = timedelta(hours=1)


def told(values: Mapping[str, Any]) -> datetime | None:
    """The moment the device's clock shows, in UTC; None when it does not tell all of it, or a zone unknown to us."""
    parts = [values.get(f"date_{part}") for part in _PARTS]
    if not all(isinstance(part, int) for part in parts):
        return None
    try:
        local = datetime(*parts)  # type: ignore[arg-type]
    except ValueError:
        return None
    summer = values.get("is_summer_time")
    return in_utc(values, local, in_summer=None if summer is None else str(summer) == "1")


def in_utc(values: Mapping[str, Any], local: datetime, *, in_summer: bool | None = None) -> datetime | None:
    """What a local time of the device is in UTC, by its zone and its rules; None when its zone is unknown to us."""
    offset = _offset(values)
    if offset is None:
        return None
    if in_summer is None:
        in_summer = _in_summer(values, local)
    try:
        return (local - offset - (_SUMMER if in_summer else timedelta())).replace(tzinfo=UTC)
    except OverflowError:  # the first or the last day there is
        return None


def to_set(values: Mapping[str, Any], now: datetime) -> dict[str, int] | None:
    """What to set so that the clock shows this moment in the device's zone; None when its zone is unknown to us.

    Whether it is summer time then follows from the rules, not from what the clock, which may be wrong, believes now.
    """
    offset = _offset(values)
    if offset is None:
        return None
    local = now.astimezone(UTC).replace(tzinfo=None) + offset
    if _in_summer(values, local):
        local += _SUMMER
    numbers = (local.year, local.month, local.day, local.hour, local.minute, local.second)
    return {f"date_{part}": number for part, number in zip(_PARTS, numbers, strict=True)}


def _offset(values: Mapping[str, Any]) -> timedelta | None:
    zone = str(values.get("timezone") or "")
    minutes = ZONES.get(int(zone)) if zone.isdigit() else None
    return None if minutes is None else timedelta(minutes=minutes)


def _in_summer(values: Mapping[str, Any], local: datetime) -> bool:
    """0: never, 1: always, 2: between two turns of the year, which may lie on either side of New Year."""
    if str(values.get("summer_time")) != "2":
        return str(values.get("summer_time")) == "1"
    start, end = _turn(values, "start", local.year), _turn(values, "end", local.year)
    if start is None or end is None:
        return False
    return start <= local < end if start < end else not end <= local < start


def _turn(values: Mapping[str, Any], which: str, year: int) -> datetime | None:
    """The nth (5: the last) such day of a month, at an hour."""
    parts = [str(values.get(f"{which}_{part}")) for part in ("month", "week", "dotw", "hour")]
    if not all(part.isdigit() for part in parts):
        return None
    month, week, sunday_based, hour = map(int, parts)
    if not (1 <= month <= 12 and 1 <= week <= 5 and 0 <= sunday_based <= 6 and 0 <= hour <= 23):
        return None
    first_weekday, days = monthrange(year, month)
    first = 1 + (sunday_based - 1 - first_weekday) % 7  # Python counts from Monday
    day = first + 7 * (week - 1)
    return datetime(year, month, day if day <= days else day - 7, hour)
