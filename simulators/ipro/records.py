"""What the recorder keeps: its local time, its two logs and its disks.

Logs and disks grow with the clock, and only when somebody looks: the disks by what the cameras record, the event log by
a motion alarm every few minutes.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

MOST_ENTRIES = 1000
GIGABYTES_PER_HOUR = 1.8  # of one camera at 4 Mbit/s


@dataclass(frozen=True)
class Zone:
    """Where the recorder stands: minutes ahead of UTC, and whether it is summer there."""

    minutes: int
    summer: bool

    def local(self, wall: float) -> datetime:
        """What its clock shows; summer time is an hour more than the zone says."""
        ahead = timedelta(minutes=self.minutes, hours=int(self.summer))
        return datetime.fromtimestamp(wall, UTC).replace(tzinfo=None) + ahead

    def name(self) -> str:
        hours, minutes = divmod(abs(self.minutes), 60)
        return f"GMT{'-' if self.minutes < 0 else '+'}{hours:02}:{minutes:02}"

    def flag(self) -> str:
        return "1" if self.summer else "0"


@dataclass(frozen=True)
class Entry:
    wall: float
    text: str


@dataclass
class Logs:
    seed: int
    cameras: int
    now: float
    """When the recorder was switched on."""
    errors: deque[Entry] = field(default_factory=lambda: deque(maxlen=MOST_ENTRIES))
    events: deque[Entry] = field(default_factory=lambda: deque(maxlen=MOST_ENTRIES))

    def __post_init__(self) -> None:
        self._chance = random.Random(f"log {self.seed}")
        self._next = self.now - 6 * 3600  # a recorder that has been there for a while
        camera = self._chance.randint(1, self.cameras)
        self.lost = camera, self.now - 5.0 * 3600, self.now - 4.8 * 3600
        """A camera that did not answer for a while, and when."""
        self.errors.append(Entry(self.lost[1], f"CAM {camera} COMMUNICATION ERROR"))
        self.errors.append(Entry(self.lost[2], f"CAM {camera} COMMUNICATION RECOVERED"))
        self.grow(self.now)

    def grow(self, now: float) -> None:
        while self._next <= now:
            self.events.append(Entry(self._next, f"SITE(VMD)-{self._chance.randint(1, self.cameras)}"))
            self._next += self._chance.uniform(300, 900)


@dataclass
class Disks:
    """Disks that are filled one after the other, and from the first again: each is a stretch of one ring."""

    capacities: tuple[int, ...]
    """In GB."""
    hourly: float
    """GB recorded in an hour."""
    began: float
    """When recording began."""

    def fill(self, now: float) -> None:
        """Let all disks be full, as if recording had begun long ago."""
        self.began = min(self.began, now - 1.1 * sum(self.capacities) / self.hourly * 3600)

    def oldest(self, now: float) -> float:
        """Since when anything is held."""
        written = (now - self.began) / 3600 * self.hourly
        return self._when(max(0.0, written - sum(self.capacities)))

    def rows(self, now: float) -> Iterator[tuple[int, bool, int, tuple[float, float] | None]]:
        """Of each disk: capacity, whether it is being written, what remains, and from when to when it holds."""
        whole = sum(self.capacities)
        written = (now - self.began) / 3600 * self.hourly
        laps, place = divmod(written, whole)
        start = 0
        for capacity in self.capacities:
            end = start + capacity
            writing = start <= place < end
            since, until = laps * whole + start, min(laps * whole + end, written)
            if place < start:  # not reached in this lap: all of the last one
                since, until = since - whole, since - whole + capacity
            elif writing and laps:  # what was written a lap ago is still there, but for what has been overwritten
                since = written - whole
            if until <= 0:
                yield capacity, writing, capacity, None
            else:
                remains = end - place if writing and not laps else 0
                yield capacity, writing, int(remains), (self._when(since), self._when(until))
            start = end

    def _when(self, gigabytes: float) -> float:
        return self.began + gigabytes / self.hourly * 3600
