"""One who watches a relay: a cursor on its ring of pictures, and one on its ring of sound.

It costs no copy and no queue. What it gets next is decided when it asks for it, so it can never be behind by more than
the ring is long.

One that has everything and waits for the next picture alone is in step. Those in step have no state of their own: the
relay writes each picture to their lines as it comes, and their place is its own. Whatever else is to happen to one
(a word to be told, a pause, bytes that wait on its line) takes it out of step first.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from streaming.media import AudioTrack, AudioUnit, VideoTrack
from streaming.ring import Fragment

if TYPE_CHECKING:
    from streaming.connection import Line
    from streaming.relay import Relay

_numbers = itertools.count(1)
# By how much a stream may stand behind another of the same camera on the timeline: their pictures come by ways of
# different length.
SAME_MOMENT = 0.12
LONG_GROUP = 2.0  # seconds from key picture to key picture; for longer nobody should wait with a picture that stands
FRESH = 1.0


class State(StrEnum):
    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    OFFLINE = "offline"


class Status(NamedTuple):
    state: State
    detail: str  # a sentence; empty when all is well


class Init(NamedTuple):
    mime: str
    segment: bytes
    track: VideoTrack
    sound: AudioTrack | None = None


class Dropped(NamedTuple):
    frames: int


Item = Fragment | Init | Status | Dropped


class Ended(Exception):
    """There will be nothing more for this viewer, for a reason of ours; the text is a sentence for it."""


class Viewer:
    """`await next()` in a loop. Counters are plain attributes."""

    def __init__(
        self,
        relay: Relay,
        on_stuck: Callable[[], None],
        *,
        sound: bool = False,
        after: float = -1.0,
        who: str = "",
    ) -> None:
        self.number = next(_numbers)
        self.who = who
        self.since = time.time()
        self.dropped = 0
        self.first_after: float | None = None  # seconds from its coming to its first picture
        self.paused = False
        self.sound = sound  # whether it wants to hear, too
        self.on_sound: Callable[[AudioUnit], None] | None = None  # who takes sound as it comes, out of turn
        self.line: Line | None = None  # for pictures while it is in step
        self.ended: Exception | None = None
        self._relay = relay
        self._on_stuck = on_stuck
        self._cursor = -1  # the number of the next picture; -1: begin at the newest key picture
        self._heard = -1  # the number of the next piece of sound; -1: begin with the pictures
        self.after = after  # on the timeline: it begins with a key picture later than this
        self._begun_at = 0.0  # on the timeline
        self._told: Status | None = None
        self._init: Init | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._in_step_since = -1  # the number of the first picture it got so; -1: it is not in step
        self._frames = 0
        self._last: Fragment | None = None
        self._interrupted = False
        self._items = 0  # handed out, of any kind
        self._items_seen = 0
        self._busy_since: float | None = None

    async def next(self) -> Item | None:
        """What this viewer gets next; None after an interruption. Raises Ended or SourceRefused when there will be
        nothing more."""
        while True:
            if self.ended is not None:
                raise self.ended
            if self._interrupted:
                self._interrupted = False
                return None
            item = self._ready()
            if item is not None:
                self._items += 1
                return item
            self._waiter = asyncio.get_running_loop().create_future()
            self._fall_in()
            try:
                await self._waiter
            finally:
                self.fall_out()
                self._waiter = None

    @property
    def frames(self) -> int:
        """How many pictures it got."""
        since = self._in_step_since
        return self._frames + (self._relay.pictures.following - since if since >= 0 else 0)

    @property
    def last(self) -> Fragment | None:
        """The last picture it got."""
        pieces = self._relay.pictures.pieces
        return pieces[-1] if self._in_step_since >= 0 and pieces else self._last

    @property
    def shown(self) -> float:
        """Where on the timeline the last picture it got begins; -1: none."""
        last = self.last
        return -1.0 if last is None else last.start

    @property
    def lag(self) -> float:
        """How many seconds of pictures wait here for this viewer."""
        pictures = self._relay.pictures
        if self.paused or self._in_step_since >= 0 or self._cursor < 0 or self._cursor >= pictures.following:
            return 0.0
        try:
            return pictures.pieces[-1].start - pictures.pieces[max(0, self._cursor - pictures.first)].start
        except IndexError:  # asked from another thread, while they change
            return 0.0

    @property
    def sound_problem(self) -> str:
        """Why there is no sound though somebody wants it."""
        return self._relay.sound_problem

    def figures(self) -> dict[str, float]:
        return {
            "frames": self.frames,
            "dropped": self.dropped,
            "lag": self.lag,
            **({} if self.first_after is None else {"first_after": self.first_after}),
        }

    def pause(self) -> None:
        self.fall_out()
        self.paused = True

    def resume(self) -> None:
        """Go on with the present; what was missed meanwhile is not counted as dropped."""
        self.paused = False
        self._cursor = -1
        self.wake()

    def interrupt(self) -> None:
        """Have `next` return, though there is nothing."""
        self._interrupted = True
        self.wake()

    def hear(self, on: bool) -> None:
        """Have sound, too, or no more."""
        self.sound = on
        self._relay.ask_for_sound()
        self.wake()

    def tap_sound(self, on_sound: Callable[[AudioUnit], None] | None) -> None:
        """Have the units of sound as they come instead, boxed for nobody yet."""
        self.on_sound = on_sound
        self._relay.ask_for_sound()

    def use(self, line: Line | None) -> None:
        """Have pictures written to this line while in step; None: never."""
        self.fall_out()
        self.line = line

    def wake(self) -> None:
        self.fall_out()
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fall_in(self) -> None:
        relay = self._relay
        if (
            self.line is not None
            and self._cursor == relay.pictures.following
            and self._init is relay.init
            and not (self.paused or self.sound)
        ):
            self._in_step_since = self._cursor
            relay.in_step[self] = self.line

    def fall_out(self) -> None:
        """Go on alone from here."""
        if self._in_step_since >= 0:
            self._frames, self._last = self.frames, self.last
            self._cursor = self._relay.pictures.following
            self._in_step_since = -1
            del self._relay.in_step[self]

    def end(self, reason: Exception) -> None:
        self.ended = reason
        if self._waiter is None:
            self._on_stuck()
        else:
            self.wake()

    def busy(self, now: float) -> float:
        """For how many seconds it has been at the same item. A viewer that waits for the next one is not busy."""
        if self._waiter is not None or self._items != self._items_seen:
            self._items_seen = self._items
            self._busy_since = None
        elif self._busy_since is None:
            self._busy_since = now
        return 0.0 if self._busy_since is None else now - self._busy_since

    def _ready(self) -> Item | None:
        relay = self._relay
        status = relay.status_for_listeners if self.sound else relay.status
        if self._told is not status:
            self._told = status
            return status
        if self.paused:
            return None
        pictures = relay.pictures
        init = relay.init_with_sound if self.sound and relay.init_with_sound is not None else relay.init
        picture = None
        if pictures.first <= self._cursor < pictures.following:
            picture = pictures.pieces[self._cursor - pictures.first]
        if self._cursor < pictures.first or (init is not self._init and self._may_turn_to(init, picture)):
            return self._begin(init)
        if self._init is not None and self._init.sound is not None:
            sound = self._next_sound(picture)
            if sound is not None:
                return sound
        if picture is not None:
            self._cursor += 1
            self._frames += 1
            self._last = picture
        return picture

    def _may_turn_to(self, init: Init | None, picture: Fragment | None) -> bool:
        """Whether to go over to other tracks now. Sound that comes or goes waits for the next key picture, so that
        nothing is shown twice; only where that would take long, and a browser stands still for want of sound, one goes
        back to the last."""
        known = self._init
        if known is None or init is None or known.track != init.track or (picture is not None and picture.key):
            return True
        relay = self._relay
        fell_silent = known.sound is not None and relay.init_with_sound is None
        pieces = relay.pictures.pieces
        return (
            fell_silent
            and relay.gop_seconds > LONG_GROUP
            and bool(pieces)
            and time.time() - pieces[-1].received < FRESH
        )

    def _begin(self, init: Init | None) -> Item | None:
        """It has just come, or the ring has moved on past it, or the tracks are others now: on from a key picture."""
        pictures = self._relay.pictures
        newest = pictures.newest_key
        if newest < 0:
            return None
        start = pictures.pieces[newest - pictures.first].start
        if self._init is None and self.after >= 0 and start <= self.after - SAME_MOMENT:
            return None
        missed = newest - self._cursor if self._cursor >= 0 else 0
        self._cursor = newest
        self._heard = -1
        self._begun_at = pictures.pieces[newest - pictures.first].start
        if missed > 0:
            self.dropped += missed
            return Dropped(missed)
        if init is not self._init:
            self._init = init
            if self.first_after is None:
                self.first_after = time.time() - self.since  # the picture comes right behind
            return init
        return self._ready()

    def _next_sound(self, picture: Fragment | None) -> Fragment | None:
        """The next piece of sound that stands before the next picture."""
        ring = self._relay.sound
        if self._heard < ring.first:
            self._heard = ring.number_from(self._begun_at)
        if self._heard == ring.following:
            return None
        piece = ring.pieces[self._heard - ring.first]
        if picture is not None and piece.start > picture.start:
            return None
        self._heard += 1
        return piece
