"""The event log of section 5.11: the newest entry is number 1, and 300 are kept."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from simulators.povcam.clock import RunningClock

KEPT = 300
YEN = "\\"  # byte 5C, which Japanese character sets show as a yen sign


@dataclass(frozen=True)
class Entry:
    when: datetime
    code: int
    text: str


class EventLog:
    def __init__(self, clock: RunningClock) -> None:
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=KEPT)

    def add(self, code: int, text: str, when: datetime | None = None) -> None:
        self._entries.appendleft(Entry(when or self._clock.local(), code, text))

    def read(self, index: int, number: int) -> bytes:
        """`number` entries from the `index`-th on."""
        entries = list(self._entries)[index - 1 : index - 1 + number]
        return "".join(
            YEN.join((str(place), f"{entry.when:%m/%d/%Y %H:%M}", f"{entry.code:04d}", entry.text)) + "$"
            for place, entry in enumerate(entries, index)
        ).encode()
