"""Sound and pictures of one session, put together by their sender's clock (RTCP sender reports, RFC 3550, 6.4.1).

Both are placed by when they come here (decision 15), so what one of them waits on its way more than the other would be
heard. A sender that reports on both tells when it had each of them, by one clock. Then sound is taken as if it had been
on its way as long as pictures are, on the average: it is given another time of arrival, and nothing else is changed.

Until there is a report of each, and where the clocks say what cannot be, the arrival counts as it was.
"""

from __future__ import annotations

from collections.abc import Callable

from streaming.media import CLOCK_RATE, AccessUnit, AudioUnit, Unit
from streaming.wire.rtcp import SenderReport

FURTHEST = 2.0  # seconds between what the clocks say and the arrival; beyond, the clocks are wrong
SMOOTHING = 1 / 16


class SenderClock:
    """When a sender had what stands at a time of one of its streams."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._known: tuple[float, int] | None = None

    def report(self, report: SenderReport) -> None:
        if report.ntp:  # else it has no clock
            self._known = report.time, report.timestamp

    def of(self, time: int) -> float | None:
        if self._known is None:
            return None
        wall, timestamp = self._known
        ticks = (time - timestamp) & 0xFFFFFFFF
        ticks -= ticks >> 31 << 32
        return wall + ticks / self._rate


class Together:
    def __init__(self, on_unit: Callable[[Unit], None]) -> None:
        self.pictures = SenderClock(CLOCK_RATE)
        self.sound: SenderClock | None = None
        self._on_unit = on_unit
        self._delay: float | None = None  # of pictures, from the sender's clock to ours

    def take(self, unit: Unit) -> None:
        self._on_unit(self._moved(unit) if isinstance(unit, AudioUnit) else self._noted(unit))

    def _noted(self, unit: AccessUnit) -> AccessUnit:
        sent = self.pictures.of(unit.time)
        if sent is not None:
            delay = unit.received - sent
            jumped = self._delay is None or abs(delay - self._delay) > FURTHEST  # its clock was set
            before = delay if jumped or self._delay is None else self._delay
            self._delay = before + (delay - before) * SMOOTHING
        return unit

    def _moved(self, unit: AudioUnit) -> AudioUnit:
        sent = self.sound.of(unit.time) if self.sound is not None else None
        if sent is None or self._delay is None:
            return unit
        received = sent + self._delay
        return unit._replace(received=received) if abs(received - unit.received) < FURTHEST else unit
