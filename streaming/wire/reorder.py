"""From when pictures are shown to when they are decoded.

RTP carries the time of showing (RFC 6184, 5.1; RFC 7798, 4.1), and with B pictures a stream is not in that order: a
picture travels behind those it refers to, which may be shown after it. A browser wants both times, the decode times
growing and none after the picture is shown.

`DecodeTimes` works as an encoder does. If at most N pictures overtake any other (the depth), the n-th picture is
decoded when the (n - N)-th in the order of showing is shown; the times seen so far, sorted, tell that. The depth comes
from the stream's parameter sets or, where those do not tell, is learned: a picture whose turn has already passed makes
it deeper, and is itself shown late, once. What was learned and not needed for a while is forgotten again.

Without B pictures (depth 0) both times are the same. A key picture far from what came before it begins anew, so that
lost pictures lie before it and not in it. Tolerated: times that jump or step back, which also begin anew.
"""

from __future__ import annotations

from bisect import bisect_right, insort

from streaming.media import CLOCK_RATE

MAX_DEPTH = 16  # pictures; both standards' largest
FIRST_INTERVAL = CLOCK_RATE // 30
LONGEST = 2 * CLOCK_RATE  # further apart than this is another beginning
FORGET = 8  # key pictures; some groups of pictures have no B pictures


class DecodeTimes:
    """Times of pictures in the order of decoding, as they come."""

    def __init__(self, reorder: int = 0) -> None:
        self.depth = min(reorder, MAX_DEPTH)
        self.learned = 0  # how often the depth had to grow
        self._told = self.depth
        self._needed = 0  # the depth that was really there, in the last few groups of pictures
        self._groups = 0
        self._interval = FIRST_INTERVAL
        self._shown: list[int] = []  # the latest times of showing since the beginning, sorted: all that may still count
        self._last = 0  # the latest decode time

    def place(self, time: int, key: bool) -> tuple[int, int]:
        """The decode time of the picture shown at `time`, and how much later it is shown. Decode times grow, except
        where the sender's clock steps back."""
        shown = self._shown
        if shown and not (key or self.depth) and 0 < (interval := time - shown[-1]) < LONGEST:  # as nearly always
            shown.append(time)
            if len(shown) > MAX_DEPTH + 1:
                del shown[0]
            self._interval, self._last = interval, time
            return time, 0
        if key:
            self._look_back()
        if not shown or self._is_beginning(time, time - shown[-1], key):
            decode = time - self.depth * self._interval
            if shown and shown[-1] < time:
                decode = max(decode, self._last + 1)
            self._shown = [time]
            self._last = decode
            return decode, max(0, time - decode)
        if time < shown[-1]:
            self._needed = max(self._needed, len(shown) - bisect_right(shown, time))
        insort(shown, time)
        if len(shown) > MAX_DEPTH + 1:
            del shown[0]
        decode = self._turn()
        while decode > time and self.depth < MAX_DEPTH:
            self.depth += 1
            self.learned += 1
            decode = self._turn()
        if decode <= self._last:
            decode = self._last + 1
        elif decode - self._last < LONGEST:
            self._interval = decode - self._last
        self._last = decode
        return decode, max(0, time - decode)

    def _look_back(self) -> None:
        """A depth that is not needed would only hold pictures back: a clock that stepped back a little taught it."""
        self._groups += 1
        if self._groups > FORGET:
            self.depth = min(self.depth, max(self._told, self._needed))
            self._groups = self._needed = 0

    def _turn(self) -> int:
        shown = self._shown
        missing = self.depth + 1 - len(shown)
        return shown[0] - missing * self._interval if missing > 0 else shown[-1 - self.depth]

    def _is_beginning(self, time: int, step: int, key: bool) -> bool:
        if key:
            # Up to 2^depth - 1 pictures are commonly shown between two that follow each other, and none after a key
            # picture that was decoded before it.
            return step > ((1 << min(self.depth, 4)) + 1) * self._interval or step < 0
        return not -LONGEST < step < LONGEST
