"""One upstream per camera and stream, however many watch.

The first viewer opens it, the last one's leaving closes it a little later. What arrives is boxed once, into one
immutable `bytes` per picture, which the ring and all viewers share. The ring holds the pictures since the newest key
picture (and half a second before it); a viewer is a cursor on it, so it costs no copy and no queue.

    viewer starts          the init segment, then the ring from its newest key picture: a picture at once
    viewer falls behind    the ring moves on past its cursor; it goes on at the newest key picture and is told how many
                           pictures it missed. So it lags at most a GOP and half a second, whatever its line does
    viewer takes nothing   for 10 s while there is something: it is dropped
    upstream silent        3 s without a picture: "stalled", opened anew
    upstream fails         "offline", tried again with growing, jittered pauses; also when it never opened
    upstream refuses       the device said no and will again: its viewers are sent away with the device's sentence

Everything runs on one event loop. Per picture and viewer there is one wake-up and nothing else; whatever needs a clock
(watchdog, rates, abandoned viewers) happens in `_look_after`, twice a second.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from streaming.media import CLOCK_RATE, AccessUnit, VideoTrack
from streaming.sources import Source, SourceFailed, SourceRefused, Upstream
from streaming.wire import fmp4

log = logging.getLogger(__name__)

# A ring larger than this (a camera that hardly ever sends a key picture) is emptied; who joins then waits for the next.
MAX_RING_BYTES = 16 * 1024 * 1024
# What stays in the ring before the newest key picture, so that a viewer a few pictures behind loses none.
GRACE = CLOCK_RATE // 2


@dataclass(frozen=True)
class Timing:
    """Seconds. Tests use shorter ones."""

    first_picture: float = 6.0  # a camera may wait for its next key picture and needs a moment to start
    silence: float = 3.0
    linger: float = 5.0
    first_retry: float = 0.5
    longest_retry: float = 10.0
    abandon: float = 10.0
    tick: float = 0.5


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


class Fragment(NamedTuple):
    data: bytes
    key: bool
    decode_time: int


class Dropped(NamedTuple):
    frames: int


Item = Fragment | Init | Status | Dropped


class Ended(Exception):
    """There will be nothing more for this viewer, for a reason of ours; the text is a sentence for it."""


class Viewer:
    """One who watches: `await next()` in a loop. Counters are plain attributes."""

    def __init__(self, relay: Relay, on_stuck: Callable[[], None]) -> None:
        self.frames = 0
        self.dropped = 0
        self.paused = False
        self.ended: Exception | None = None
        self._relay = relay
        self._on_stuck = on_stuck
        self._cursor = -1  # the number of the next picture; -1: start at the newest key picture
        self._missed = 0  # dropped and not told yet
        self._told: Status | None = None
        self._init: Init | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._items = 0  # handed out, of any kind
        self._items_seen = 0
        self._busy_since: float | None = None

    async def next(self) -> Item:
        """What this viewer gets next. Raises Ended or SourceRefused when there will be nothing more."""
        while True:
            if self.ended is not None:
                raise self.ended
            item = self._ready()
            if item is not None:
                self._items += 1
                return item
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        """Go on with the present; what was missed meanwhile is not counted as dropped."""
        self.paused = False
        self._cursor = -1
        self.wake()

    def wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

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
        if self._told is not relay.status:
            self._told = relay.status
            return relay.status
        if self.paused or self._cursor == relay.following:
            return None
        if self._cursor < relay.first:  # it has just come, or the ring has moved on past it
            if relay.newest_key < 0:
                return None
            if self._cursor >= 0:
                self._missed += relay.newest_key - self._cursor
            self._cursor = relay.newest_key
        if self._missed:
            missed, self._missed = self._missed, 0
            self.dropped += missed
            return Dropped(missed)
        if self._init is not relay.init:
            self._init = relay.init
            return relay.init
        fragment = relay.ring[self._cursor - relay.first]
        self._cursor += 1
        self.frames += 1
        return fragment


class Relay:
    """One stream of one camera. Counters are plain attributes."""

    def __init__(self, name: str, source: Source, timing: Timing, on_idle: Callable[[Relay], None]) -> None:
        self.name = name
        self.status = Status(State.CONNECTING, "")
        self.init: Init | None = None
        # The ring: the pictures numbered first … following - 1, and which of them is the newest key picture (-1: none).
        self.ring: list[Fragment] = []
        self.first = 0
        self.following = 0
        self.newest_key = -1
        self.viewers: set[Viewer] = set()
        self.frames = 0
        self.bytes = 0
        self.dropped = 0  # by viewers that are gone
        self.fps = 0.0
        self.bit_rate = 0.0
        self.openings = 0
        self._source = source
        self._timing = timing
        self._on_idle = on_idle
        self._timeline = fmp4.Timeline()
        self._ring_bytes = 0
        self._upstream: Upstream | None = None
        self._task: asyncio.Task[None] | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._counted_at = 0.0
        self._counted = (0, 0)

    # --- Viewers ------------------------------------------------------------------------------------------------------
    def join(self, viewer: Viewer) -> None:
        self.viewers.add(viewer)
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if self._task is None:
            self._start()

    def leave(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)
        self.dropped += viewer.dropped
        if not self.viewers and self._task is not None and self._leaving is None:
            self._leaving = asyncio.get_running_loop().call_later(self._timing.linger, self._task.cancel)

    async def close(self) -> None:
        for viewer in list(self.viewers):
            viewer.end(Ended("The service is closing."))
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def figures(self) -> dict[str, float]:
        upstream = self._upstream.figures() if self._upstream is not None else {}
        return {
            "viewers": len(self.viewers),
            "frames": self.frames,
            "bytes": self.bytes,
            "fps": self.fps,
            "bit_rate": self.bit_rate,
            "gop": self.following - self.newest_key if self.newest_key >= 0 else 0,
            "ring_bytes": self._ring_bytes,
            "openings": self.openings,
            "viewer_drops": self.dropped + sum(viewer.dropped for viewer in self.viewers),
            **{f"upstream_{name}": value for name, value in upstream.items()},
        }

    # --- The upstream -------------------------------------------------------------------------------------------------
    def _start(self) -> None:
        self.status = Status(State.CONNECTING, "Asking the camera for pictures.")
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a relay ended by a mistake of ours", exc_info=error, extra={"stream": self.name})
            for viewer in list(self.viewers):
                viewer.end(Ended("This stream ended by a mistake in this system; its log tells more."))
        self.init = None
        self._forget_pictures()
        if any(viewer.ended is None for viewer in self.viewers):
            self._start()  # somebody came while it was being closed
        else:
            self._on_idle(self)

    async def _run(self) -> None:
        timing = self._timing
        pause = timing.first_retry
        while True:
            frames_before = self.frames
            try:
                self.openings += 1
                async with self._source(self._take) as upstream:
                    self._upstream = upstream
                    detail = await self._until_lost(upstream)
                    self._tell(State.STALLED, detail)  # before the closing, which may take its time
            except SourceRefused as refusal:
                log.warning("the device refuses the stream: %s", refusal, extra={"stream": self.name})
                for viewer in list(self.viewers):
                    viewer.end(refusal)
                return
            except SourceFailed as failure:
                self._tell(State.OFFLINE, str(failure))
            finally:
                self._upstream = None
            if self.frames != frames_before:
                pause = timing.first_retry
            # Many cameras behind one switch come back together; they should not be asked all at once.
            await asyncio.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311
            pause = min(2 * pause, timing.longest_retry)

    async def _until_lost(self, upstream: Upstream) -> str:
        """Watches over an open upstream; returns, with a sentence, when it should be opened anew."""
        loop = asyncio.get_running_loop()
        seen, quiet_since = self.frames, loop.time()
        patience = self._timing.first_picture
        self._counted_at, self._counted = quiet_since, (self.frames, self.bytes)
        while True:
            try:
                async with asyncio.timeout(self._timing.tick):
                    await upstream.lost.wait()
                return upstream.lost_reason or "The camera's stream ended; asking for it again."
            except TimeoutError:
                now = loop.time()
            if self.frames != seen:
                seen, quiet_since, patience = self.frames, now, self._timing.silence
            elif now - quiet_since >= patience:
                return f"No picture for {now - quiet_since:.0f} s; asking the camera again."
            self._look_after(now)

    def _look_after(self, now: float) -> None:
        elapsed = now - self._counted_at
        if elapsed >= 1.0:
            frames, size = self._counted
            self.fps = (self.frames - frames) / elapsed
            self.bit_rate = 8 * (self.bytes - size) / elapsed
            self._counted_at, self._counted = now, (self.frames, self.bytes)
        for viewer in list(self.viewers):
            if viewer.busy(now) >= self._timing.abandon:
                viewer.end(Ended("Your connection took no pictures for too long."))

    def _tell(self, state: State, detail: str) -> None:
        """Say that there are no pictures just now."""
        if self.status != (state, detail):
            self.status = Status(state, detail)
            log.warning("no live picture: %s", detail, extra={"stream": self.name})
            for viewer in self.viewers:
                viewer.wake()

    # --- Pictures -----------------------------------------------------------------------------------------------------
    def _take(self, unit: AccessUnit) -> None:
        if self.init is None or self.init.track != unit.track:
            track = unit.track
            self.init = Init(f'video/mp4; codecs="{track.codec}"', fmp4.init_segment(track), track)
            self._forget_pictures()
        if self.status.state is not State.LIVE:
            self.status = Status(State.LIVE, "")
            log.info("live", extra={"stream": self.name})
        decode_time, duration = self._timeline.place(unit.time)
        number = self.following
        data = fmp4.fragment(number + 1, decode_time, duration, unit.key, unit.received, unit.data)
        if unit.key:
            self._trim(decode_time - GRACE)
            self.newest_key = number
        elif self._ring_bytes > MAX_RING_BYTES:
            self._forget_pictures()
        self.ring.append(Fragment(data, unit.key, decode_time))
        self.following = number + 1
        self._ring_bytes += len(data)
        self.frames += 1
        self.bytes += len(data)
        for viewer in self.viewers:
            viewer.wake()

    def _trim(self, horizon: int) -> None:
        ring = self.ring
        count = next((index for index, each in enumerate(ring) if each.decode_time >= horizon), len(ring))
        self._ring_bytes -= sum(len(each.data) for each in ring[:count])
        del ring[:count]
        self.first += count

    def _forget_pictures(self) -> None:
        self.ring.clear()
        self._ring_bytes = 0
        self.first = self.following
        self.newest_key = -1


class Relays:
    """The relays of one process, by what they carry."""

    def __init__(self, timing: Timing | None = None) -> None:
        self._timing = timing or Timing()
        self._relays: dict[tuple[int, str], Relay] = {}

    @contextmanager
    def watch(self, camera: int, stream: str, source: Source, on_stuck: Callable[[], None]) -> Iterator[Viewer]:
        """A viewer of this stream. `on_stuck` is called when it is ended while it is busy with an item."""
        relay = self._relays.get((camera, stream))
        if relay is None:
            relay = Relay(f"{camera}/{stream}", source, self._timing, self._forget)
            self._relays[camera, stream] = relay
        viewer = Viewer(relay, on_stuck)
        relay.join(viewer)
        try:
            yield viewer
        finally:
            relay.leave(viewer)

    def figures(self) -> dict[tuple[int, str], dict[str, float]]:
        """What each stream costs and delivers now, for metrics and the health page."""
        return {key: relay.figures() for key, relay in self._relays.items()}

    def status(self, camera: int, stream: str) -> Status | None:
        relay = self._relays.get((camera, stream))
        return relay.status if relay else None

    async def close_all(self) -> None:
        """Close every upstream as its device wants it; the sources bound how long that takes."""
        await asyncio.gather(*(relay.close() for relay in list(self._relays.values())))

    def _forget(self, relay: Relay) -> None:
        for key, each in list(self._relays.items()):
            if each is relay:
                del self._relays[key]


relays = Relays()
figures = relays.figures
close_all = relays.close_all
