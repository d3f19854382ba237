"""Where each picture and each piece of sound stands for the browser, and how long it lasts.

A Media Source drops everything up to the next key picture when two pictures stand more than two durations apart, and
may not recover from a step back. So every unit begins where the one before ended, without a gap ever and without
waiting for the next one: how long it lasts is estimated, as the smoothed interval of the sender's clock, which a
camera's nominal rate often is not.

All timelines of a process count from one moment, and each is held near the time at which its units arrive: its pace is
bent by at most BEND, which nobody sees or hears. So sound and picture, and the large and the small stream of a camera,
can be mixed by putting their fragments after each other. Only the first few may be bent more: what the very first was
said to last, before anything was known, must not stay between sound and picture.

    a hole            pictures were lost, or the stream was opened anew: the first picture after it lasts over the hole,
                      so that sound and picture are together again at once
    a burst           what was held up on the way comes late and all at once; the sender's clock tells, and nothing
                      moves
    another rate      an interval far out of line is a hole, not a pace; when it comes again and again it is the pace
"""

from __future__ import annotations

FIRST = 1 / 30  # seconds that the very first picture is said to last, before there is any interval
LONGEST = 2.0  # seconds; a longer interval is none between two pictures
SHORT = 1.5  # times what the first picture was said to last
HOLE = 3.0  # times the present pace
PERSISTENT = 3  # holes in a row make a new pace
SMOOTHED = 8  # intervals
GAIN = 1 / 64  # of its distance from the arrival each unit makes good
BEND = 1 / 100
FIRST_FEW = 16
FIRST_GAIN, FIRST_BEND = 1 / 8, 1 / 20


class Timeline:
    def __init__(self, rate: int, origin: float) -> None:
        """`origin` is the Unix time that is zero, the same for all that is to be mixed."""
        self._rate = rate
        self._origin = origin
        self._longest = LONGEST * rate
        self._position = 0.0
        self._pace = FIRST * rate
        self._settled = False
        self._intervals = 0
        self._placed = 0
        self._last: int | None = None
        self._holes = 0

    def place(self, time: int, received: float, lasting: int = 0) -> tuple[int, int]:
        """Where a unit of the sender's `time` begins, and how long it lasts. Sound tells by itself how long that is."""
        arrival = (received - self._origin) * self._rate
        last, self._last = self._last, time
        hole = False
        if last is None:
            self._position = max(0.0, arrival)
        elif (
            self._settled
            and not lasting
            and 0 < (interval := time - last) <= HOLE * self._pace  # as nearly always
            and interval <= self._longest
        ):
            self._holes = 0
            self._intervals += 1
            self._pace += (interval - self._pace) / (SMOOTHED if self._intervals > SMOOTHED else self._intervals)
        else:
            hole = self._is_hole(time - last, lasting)
        position, pace = self._position, self._pace
        behind = arrival - position
        if hole and behind > 0:
            self._position += behind + pace
        else:
            gain, bend = GAIN, BEND
            if self._placed < FIRST_FEW:
                self._placed += 1
                gain, bend = FIRST_GAIN, FIRST_BEND
            bend *= pace
            bent = behind * gain
            self._position += pace + (bend if bent > bend else -bend if bent < -bend else bent)
        start, end = round(position), round(self._position)
        if end <= start:
            self._position = end = start + 1
        return start, end - start

    def _is_hole(self, interval: int, lasting: int) -> bool:
        """Whether something is missing before this unit; learns the pace on the way."""
        if lasting:
            before, self._pace = self._pace, float(lasting)
            return not 0 < interval < 2 * before
        if not 0 < interval <= self._longest:
            return True
        if self._settled:
            self._holes += 1
            if self._holes < PERSISTENT:
                return True
        # What the first picture was said to last was a guess. Where it was far too short, the second makes it good.
        short = not self._settled and interval > SHORT * self._pace
        self._holes = 0
        self._pace = float(interval)
        self._settled, self._intervals = True, 1
        return short
