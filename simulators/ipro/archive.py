"""What the recorder's disks hold of each camera, to the picture: nothing is stored, everything follows from the clock.

A camera takes picture number n at n / rate seconds after 1970 began (UTC), so a number tells the instant and an instant
the number. Pictures are kept in units: a GOP of one second, or of a camera of JPEG one picture. The GOPs of camera c
begin with the pictures whose number leaves (4 (c - 1)) mod rate when it is divided by the rate: those of camera 1 with
the full second, those of others elsewhere in it. A unit is kept if it lies wholly in one span of recording.

Recording began some hours before the recorder was switched on and goes on. Three kinds of gaps are in it: one of all
cameras, when the recorder was off; a short one of each camera; and the time in which a camera did not answer, of which
the error log tells. A camera that is set to another codec or size begins another span.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from simulators.ipro.information import JPEG

PHASE_STEP = 4
RECORDER_OFF = (3 * 3600.0, 600.0)
"""How long before the switching on, and for how long."""
SHORT_GAP = 37.0

Gap = tuple[float, float]


@dataclass(frozen=True)
class Coding:
    """How a camera's pictures are recorded."""

    codec: str
    width: int
    height: int
    rate: int
    count: int
    """Pictures in a unit."""
    phase: int
    """The number of the first picture of unit 0."""

    @property
    def of_seconds(self) -> Coding:
        """The same divided into seconds, as sound is."""
        return replace(self, count=self.rate)


def coding(camera: int, codec: str, width: int, height: int, rate: int) -> Coding:
    phase = PHASE_STEP * (camera - 1) % rate
    return Coding(codec, width, height, rate, 1 if codec == JPEG else rate, phase)


@dataclass(frozen=True)
class Unit:
    """A GOP, a picture of JPEG, or the second of sound that belongs to it. Times are seconds after 1970 began."""

    camera: int
    coding: Coding
    index: int

    @property
    def first(self) -> int:
        """The number of its first picture."""
        return self.coding.phase + self.index * self.coding.count

    def time(self, picture: int) -> Fraction:
        """When its n-th picture was taken, from 0."""
        return Fraction(self.first + picture, self.coding.rate)

    @property
    def start(self) -> Fraction:
        return self.time(0)

    @property
    def last(self) -> Fraction:
        return self.time(self.coding.count - 1)

    @property
    def end(self) -> Fraction:
        """When what comes next begins."""
        return self.time(self.coding.count)


def hundredths(moment: Fraction) -> int:
    """As the recorder tells a time: what is less than a hundredth of a second is cut off."""
    return math.floor(100 * moment)


@dataclass(frozen=True)
class Span:
    """A time in which a camera was recorded in one way."""

    camera: int
    start: float
    end: float
    coding: Coding

    def unit(self, index: int) -> Unit | None:
        return Unit(self.camera, self.coding, index) if self.low <= index <= self.high else None

    @property
    def low(self) -> int:
        return self.index_from(Fraction(self.start))

    @property
    def high(self) -> int:
        return math.floor((Fraction(self.end) * self.coding.rate - self.coding.phase) / self.coding.count) - 1

    def index_from(self, moment: Fraction) -> int:
        """The first unit that begins then or later, whether it is kept or not."""
        return math.ceil((moment * self.coding.rate - self.coding.phase) / self.coding.count)


class Archive:
    def __init__(
        self, first: Callable[[int], Coding], *, oldest: Callable[[], float], now: Callable[[], float]
    ) -> None:
        """`first`: how a camera was recorded in the beginning; `oldest`: since when the disks hold anything."""
        self._first = first
        self._oldest = oldest
        self._now = now
        began = math.floor(now())
        off = began - RECORDER_OFF[0]
        self._common: list[Gap] = [(off, off + RECORDER_OFF[1])]
        self._began = began
        self._gaps: defaultdict[int, list[Gap]] = defaultdict(list)
        self._stopped: dict[int, float] = {}
        self._changes: defaultdict[int, list[tuple[float, Coding]]] = defaultdict(list)

    # What becomes of the recordings

    def erase(self, camera: int, start: float, end: float) -> None:
        """Leave a gap; camera 0: in the recordings of all."""
        (self._gaps[camera] if camera else self._common).append((start, end))

    def stop(self, camera: int) -> None:
        self._stopped.setdefault(camera, self._now())

    def go_on(self, camera: int) -> None:
        stopped = self._stopped.pop(camera, None)
        if stopped is not None:
            self.erase(camera, stopped, self._now())

    def change(self, camera: int, new: Coding) -> None:
        """Record in another way from now on."""
        self._changes[camera].append((self._now(), new))

    def coding(self, camera: int) -> Coding:
        """How a camera is recorded now."""
        return self._changes[camera][-1][1] if self._changes[camera] else self._first(camera)

    # What there is

    def spans(self, camera: int, *, seconds: bool = False) -> list[Span]:
        """From old to new; `seconds`: divided as sound is."""
        edges = [(self._oldest(), self._first(camera)), *self._changes[camera]]
        ends = [*(at for at, _ in edges[1:]), min(self._now(), self._stopped.get(camera, math.inf))]
        short = self._began - 1200 - 60 * camera
        gaps = sorted([*self._common, *self._gaps[camera], (short, short + SHORT_GAP)])
        return [
            Span(camera, start, end, made.of_seconds if seconds else made)
            for (begin, made), finish in zip(edges, ends, strict=True)
            for start, end in _without(max(begin, self._oldest()), finish, gaps)
        ]

    def starting_from(self, camera: int, moment: Fraction, *, seconds: bool = False) -> Unit | None:
        """The first unit that begins then or later."""
        for span in self.spans(camera, seconds=seconds):
            if unit := span.unit(max(span.low, span.index_from(moment))):
                return unit
        return None

    def starting_before(self, camera: int, moment: Fraction, *, seconds: bool = False) -> Unit | None:
        """The last unit that begins earlier."""
        for span in reversed(self.spans(camera, seconds=seconds)):
            if unit := span.unit(min(span.high, span.index_from(moment) - 1)):
                return unit
        return None

    def showing_from(self, camera: int, moment: Fraction) -> Unit | None:
        """The first unit with a picture that was taken then or later."""
        for span in self.spans(camera):
            into = Fraction(span.coding.count - 1, span.coding.rate)
            if unit := span.unit(max(span.low, span.index_from(moment - into))):
                return unit
        return None

    def near(self, camera: int, told: int, *, seconds: bool = False) -> Unit | None:
        """The unit with the picture that is seen at a time told in hundredths of a second, or the next one."""
        after = Fraction(told + 1, 100)
        unit = self.starting_before(camera, after, seconds=seconds)
        if unit is not None and unit.end >= after:
            return unit
        return self.starting_from(camera, after, seconds=seconds)

    def between(self, camera: int, start: float, end: float, *, seconds: bool = False) -> Iterator[Unit]:
        """All units that hold something of this time."""
        for span in self.spans(camera, seconds=seconds):
            index = max(span.low, span.index_from(Fraction(start)) - 1)
            while (unit := span.unit(index)) and unit.start < end:
                if unit.end > start:
                    yield unit
                index += 1


def _without(start: float, end: float, gaps: list[Gap]) -> Iterator[Gap]:
    for begin, finish in gaps:
        if finish <= start or begin >= end:
            continue
        if begin > start:
            yield start, begin
        start = max(start, finish)
    if start < end:
        yield start, end
