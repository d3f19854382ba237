"""One upstream per camera and stream, however many watch.

The first viewer opens it, the last one's leaving closes it a little later. What arrives is boxed once, into one
immutable `bytes` per picture, which the ring and all viewers share. The ring holds the pictures since the newest key
picture (and half a second before it); a viewer is a cursor on it, so it costs no copy and no queue.

    viewer starts          the init segment, then the ring from its newest key picture: a picture at once
    viewer falls behind    the ring moves on past its cursor; it goes on at the newest key picture and is told how many
                           pictures it missed. So it lags at most a GOP and half a second, whatever its line does
    viewer takes nothing   for 10 s while there is something: it is dropped
    upstream silent        3 s without a picture: "stalled", opened anew
    upstream fails         "offline", tried again with growing, jittered pauses; also when it never opened. One that
                           could not be reached and can be again is asked at once
    device changed         disabled, moved to another address: opened anew (see `following`)
    upstream refuses       the device said no and will again: its viewers are sent away with the device's sentence

Everything runs on one event loop. Per picture and viewer there is one write to its line, or one wake-up where that must
wait, and nothing else; whatever needs a clock (watchdog, rates, abandoned viewers) happens in `_look_after`, twice a
second.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from streaming import connection
from streaming.connection import Line
from streaming.media import CLOCK_RATE, AccessUnit, AudioTrack, AudioUnit, Unit, VideoTrack
from streaming.ring import Fragment, Ring
from streaming.sources import Source, SourceFailed, SourceRefused, Upstream, remark_of, sound_problem_of, told_of
from streaming.viewer import Ended, Init, State, Status, Viewer
from streaming.wire import fmp4
from streaming.wire.reorder import DecodeTimes
from streaming.wire.timeline import Timeline

log = logging.getLogger(__name__)

# What zero means on all timelines of this process. A little in the past, so that nothing stands before it.
ORIGIN = time.time() - 10.0
# A ring larger than this (a camera that hardly ever sends a key picture) is emptied; who joins then waits for the next.
MAX_RING_BYTES = 16 * 1024 * 1024
# What stays in the ring before the newest key picture, so that a viewer a few pictures behind loses none.
GRACE = 0.5
# Sound is kept as long as the pictures it belongs to, and no longer than this when there are none.
MAX_SOUND = 12.0


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
    knock: float = 0.5  # how often a device that is away is looked for
    mute: float = 1.0  # a sound track that is announced and silent stops a browser's pictures
    keep_first: float = 5.0  # how long it is live before its picture is kept for the first time, and then how often
    keep_again: float = 300.0  # it costs 20 ms; and another is kept when it ends


class Relay:
    """One stream of one camera. Counters are plain attributes."""

    def __init__(
        self,
        name: str,
        source: Source,
        timing: Timing,
        on_idle: Callable[[Relay], None],
        on_picture: Callable[[Relay], None] = lambda relay: None,
    ) -> None:
        """`on_picture` is called now and then while pictures come, and before the last ones are forgotten."""
        self.name = name
        self.status = Status(State.CONNECTING, "")
        self.sound_problem = ""  # why there is none, though somebody wants to hear
        self.init: Init | None = None
        self.init_with_sound: Init | None = None  # while there is sound
        self.pictures = Ring()
        self.sound = Ring()
        self.viewers: set[Viewer] = set()
        self.in_step: dict[Viewer, Line] = {}  # those that wait for the next picture and nothing else
        self.frames = 0
        self.bytes = 0
        self.dropped = 0  # by viewers that are gone
        self.fps = 0.0
        self.bit_rate = 0.0
        self.openings = 0
        self.gop = 0  # pictures from one key picture to the next, lately
        self.gop_seconds = 0.0
        self.jitter = 0.0  # seconds by which pictures come earlier or later than they should, smoothed (RFC 3550 A.8)
        self.first_after: float | None = None  # seconds from the last opening to its first picture
        self._source = source
        self._timing = timing
        self._on_idle = on_idle
        self._on_picture = on_picture
        self._keep_at = 0.0  # by the loop's clock; 0: not live yet
        self._asked_at: float | None = None  # by the loop's clock; None: its first picture is here
        self._transit = 0.0  # of the latest picture: from the sender's clock to ours
        self._live: VideoTrack | None = None  # that of the latest picture, while there are pictures
        self._order = DecodeTimes()
        self._timeline = Timeline(CLOCK_RATE, ORIGIN)
        self._sound_timeline: Timeline | None = None
        self._sound_track: AudioTrack | None = None
        self._sound_at = 0.0  # by the loop's clock
        self._no_sound: Status | None = None  # of a stream that runs
        self._upstream: Upstream | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._again = ""  # why it is to be opened anew
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
        self.ask_for_sound()

    def leave(self, viewer: Viewer) -> None:
        viewer.fall_out()
        self.viewers.discard(viewer)
        self.dropped += viewer.dropped
        self.ask_for_sound()
        if not self.viewers and self._task is not None and self._leaving is None:
            self._leaving = asyncio.get_running_loop().call_later(self._timing.linger, self._stop)

    def ask_for_sound(self) -> None:
        if self._upstream is not None:
            self._upstream.want_sound(any(viewer.sound or viewer.on_sound for viewer in self.viewers))

    async def close(self) -> None:
        for viewer in list(self.viewers):
            viewer.end(Ended("The service is closing."))
        self._stop()
        if self._task is not None:
            await asyncio.wait([self._task])

    @property
    def status_for_listeners(self) -> Status:
        """With why they hear nothing, which is of no interest to the others."""
        no_sound = self._no_sound
        return no_sound if no_sound is not None and self.status.state is State.LIVE else self.status

    def figures(self) -> dict[str, float]:
        upstream = self._upstream.figures() if self._upstream is not None else {}
        return {
            "viewers": len(self.viewers),
            "frames": self.frames,
            "bytes": self.bytes,
            "fps": self.fps,
            "bit_rate": self.bit_rate,
            "gop": self.gop,
            "gop_seconds": self.gop_seconds,
            "jitter": self.jitter,
            **({} if self.first_after is None else {"first_after": self.first_after}),
            "viewer_lag": max((viewer.lag for viewer in tuple(self.viewers)), default=0.0),
            "ring_bytes": self.pictures.bytes + self.sound.bytes,
            "openings": self.openings,
            "viewer_drops": self.dropped + sum(viewer.dropped for viewer in tuple(self.viewers)),
            **{f"upstream_{name}": value for name, value in upstream.items()},
        }

    def told(self) -> dict[str, Any]:
        """What the device tells in its stream, beside the pictures."""
        return told_of(self._upstream) if self._upstream is not None else {}

    def newest_key(self) -> tuple[int, Fragment] | None:
        """The newest picture that can be decoded alone, and its number."""
        ring = self.pictures
        if ring.newest_key < ring.first:
            return None
        return ring.newest_key, ring.pieces[ring.newest_key - ring.first]

    # --- The upstream -------------------------------------------------------------------------------------------------
    def _start(self) -> None:
        self.status = Status(State.CONNECTING, "Asking the camera for pictures.")
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._finished)

    def _stop(self) -> None:
        """Have the upstream closed. Once: a second time would cut short what is being said to the device."""
        if self._task is not None and not self._stopping:
            self._stopping = True
            self._task.cancel()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a relay ended by a mistake of ours", exc_info=error, extra={"stream": self.name})
            for viewer in list(self.viewers):
                viewer.end(Ended("This stream ended by a mistake in this system; its log tells more."))
        self._on_picture(self)
        self.init = self._live = None
        self.pictures.clear()
        self._end_sound()
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
                self._again = ""
                self._asked_at, self._live, self._keep_at = asyncio.get_running_loop().time(), None, 0.0
                async with self._source(self._take) as upstream:
                    self._upstream = upstream
                    self.ask_for_sound()
                    self._remark(upstream)
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
                self.sound_problem, self._no_sound = "", None
            if self._stopping:
                return  # a source that fails while it is being closed tells that instead
            if self.frames != frames_before:
                pause = timing.first_retry
            # Many cameras behind one switch come back together; they should not be asked all at once.
            await self._rest(pause * random.uniform(0.7, 1.3))  # noqa: S311
            if not getattr(self._source, "own_pace", False):
                pause = min(2 * pause, timing.longest_retry)

    async def _rest(self, seconds: float) -> None:
        """Wait before the device is asked again: until then, or until it can be reached again."""
        knock = getattr(self._source, "knock", None)
        deadline = asyncio.get_running_loop().time() + seconds
        away = False
        while not self._again and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, self._timing.knock * random.uniform(0.7, 1.0)))  # noqa: S311
            if knock is not None and left > self._timing.knock:
                reached = await knock()
                if reached and away:
                    break
                away = not reached
        self._again = ""

    def open_anew(self, detail: str) -> None:
        """Its device is to be asked again, for a reason that viewers are told."""
        self._again = detail

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
            if self._again:
                return self._again
            if self.frames != seen:
                seen, quiet_since, patience = self.frames, now, self._timing.silence
            elif now - quiet_since >= patience:
                return f"No picture for {now - quiet_since:.0f} s; asking the camera again."
            self._look_after(now)
            self._remark(upstream)

    def _remark(self, upstream: Upstream) -> None:
        """Say what is to be said of a stream that runs."""
        if self.status.state is not State.LIVE:
            return
        remark, problem = remark_of(upstream), sound_problem_of(upstream)
        if (self.status.detail, self.sound_problem) != (remark, problem):
            self.sound_problem = problem
            if self.status.detail != remark:  # else who hears nothing anyway is told nothing
                self.status = Status(State.LIVE, remark)
            self._no_sound = Status(State.LIVE, f"{remark} {problem}".lstrip()) if problem else None
            for viewer in self.viewers:
                viewer.wake()

    def _look_after(self, now: float) -> None:
        elapsed = now - self._counted_at
        if elapsed >= 1.0:
            frames, size = self._counted
            self.fps = (self.frames - frames) / elapsed
            self.bit_rate = 8 * (self.bytes - size) / elapsed
            self._counted_at, self._counted = now, (self.frames, self.bytes)
        if self.status.state is State.LIVE and now >= self._keep_at:
            if self._keep_at:
                self._on_picture(self)
            self._keep_at = now + (self._timing.keep_again if self._keep_at else self._timing.keep_first)
        if self.init_with_sound is not None and now - self._sound_at >= self._timing.mute:
            self._end_sound()
        for viewer in list(self.viewers):
            if viewer.busy(now) >= self._timing.abandon:
                viewer.end(Ended("Your connection took no pictures for too long."))

    def _tell(self, state: State, detail: str) -> None:
        """Say that there are no pictures just now."""
        self._live = None
        if self.status != (state, detail):
            self.status = Status(state, detail)
            log.warning("no live picture: %s", detail, extra={"stream": self.name})
            for viewer in self.viewers:
                viewer.wake()

    # --- Pictures and sound -------------------------------------------------------------------------------------------
    def _take(self, unit: Unit) -> None:
        if isinstance(unit, AudioUnit):
            self._take_sound(unit)
        else:
            self._take_picture(unit)

    def _take_picture(self, unit: AccessUnit) -> None:
        # This is done for every picture of every camera, and its cost is mostly that of fetching code that was not used
        # for a while: hence one piece, and what is seldom stands elsewhere.
        track, time, received, key, content = unit
        if track is not self._live:
            self._go_live(unit)
        ordered, offset = self._order.place(time, key)
        transit = received - ordered / CLOCK_RATE
        self.jitter += (abs(transit - self._transit) - self.jitter) / 16
        self._transit = transit
        decode_time, duration = self._timeline.place(ordered, received)
        start = decode_time / CLOCK_RATE
        ring = self.pictures
        if key:
            if ring.newest_key >= ring.first:
                self.gop = ring.following - ring.newest_key
                self.gop_seconds = start - ring.pieces[ring.newest_key - ring.first].start
            ring.trim(start - GRACE)
        elif ring.bytes > MAX_RING_BYTES:
            ring.clear()
        data = fmp4.fragment(ring.following + 1, decode_time, duration, key, received, content, offset)
        shown = start + offset / CLOCK_RATE if offset else start
        picture = Fragment(data, key, start, shown, received, time, len(data) - len(content))
        if self.in_step:
            self._hand_on(data)
        ring.append(picture)
        self.frames += 1
        self.bytes += len(data)
        if len(self.in_step) != len(self.viewers):
            for viewer in self.viewers:
                if viewer not in self.in_step:
                    viewer.wake()

    def _hand_on(self, data: bytes) -> None:
        """Write the next picture to those in step; who cannot take it at once falls out, and takes it by itself."""
        message = connection.message(data)
        slow = []
        for viewer, (waiting, write) in self.in_step.items():
            try:
                if waiting():
                    slow.append(viewer)
                else:
                    write(message)
            except RuntimeError:  # its connection is closed
                slow.append(viewer)
        for viewer in slow:
            viewer.fall_out()

    def _go_live(self, unit: AccessUnit) -> None:
        """The first picture of an upstream, or of a track."""
        for viewer in self.viewers:
            viewer.fall_out()  # it is to be told something first
        self._live = unit.track
        self._transit = unit.received - unit.time / CLOCK_RATE
        if self.init is None or self.init.track != unit.track:
            self.init = _init(unit.track)
            self.init_with_sound = None  # until its next piece
            self._order = DecodeTimes(unit.track.reorder)
            self.pictures.clear()
        if self.status.state is not State.LIVE:
            self.status = Status(State.LIVE, "")
            log.info("live", extra={"stream": self.name})
        if self._asked_at is not None:
            self.first_after, self._asked_at = asyncio.get_running_loop().time() - self._asked_at, None

    def _take_sound(self, unit: AudioUnit) -> None:
        self._sound_at = asyncio.get_running_loop().time()
        track = unit.track
        if self._sound_timeline is None or self._sound_track != track:
            self._sound_timeline, self._sound_track = Timeline(track.rate, ORIGIN), track
            self.sound.clear()
            self.init_with_sound = None
        decode_time, duration = self._sound_timeline.place(unit.time, unit.received, unit.samples)
        ring = self.sound
        data = fmp4.audio_fragment(ring.following + 1, decode_time, duration, unit.received, unit.data)
        start = decode_time / track.rate
        ring.append(Fragment(data, True, start, start, unit.received, unit.time, len(data) - len(unit.data)))
        self._trim_sound()
        if self.init_with_sound is None and self.init is not None:
            self.init_with_sound = _init(self.init.track, track)
        for viewer in self.viewers:
            if viewer.sound:
                viewer.wake()
            if viewer.on_sound is not None:
                viewer.on_sound(unit)

    def _trim_sound(self) -> None:
        ring = self.sound
        oldest = ring.pieces[-1].start - MAX_SOUND
        if self.pictures.pieces:
            oldest = max(oldest, self.pictures.pieces[0].start)
        if ring.pieces[0].start < oldest - 1:  # seldom, for it costs a look at every piece
            ring.trim(oldest)

    def _end_sound(self) -> None:
        """No sound for a while: viewers go on without it."""
        self.init_with_sound = None
        self._sound_timeline = None
        self.sound.clear()
        for viewer in self.viewers:
            viewer.wake()


def _init(track: VideoTrack, sound: AudioTrack | None = None) -> Init:
    codecs = track.codec if sound is None else f"{track.codec}, {sound.codec}"
    if track.kind == "jpeg":
        return Init("", b"", track, sound)  # no browser plays it from MP4: it is always converted
    return Init(f'video/mp4; codecs="{codecs}"', fmp4.init_segment(track, sound), track, sound)


class Relays:
    """The relays of one process, by what they carry."""

    def __init__(self, timing: Timing | None = None) -> None:
        # Called with the camera, the stream and its relay now and then while pictures come, and before they are gone:
        # it takes what it wants of them at once, and answers what remains to be done with it.
        self.on_picture: Callable[[int, str, Relay], Coroutine[Any, Any, None] | None] | None = None
        self._timing = timing or Timing()
        self._relays: dict[tuple[int, str], Relay] = {}
        self._keeping: set[asyncio.Task[None]] = set()

    @contextmanager
    def watch(
        self,
        camera: int,
        stream: str,
        source: Source,
        on_stuck: Callable[[], None],
        *,
        sound: bool = False,
        after: float = -1.0,
        who: str = "",
    ) -> Iterator[Viewer]:
        """A viewer of this stream. `on_stuck` is called when it is ended while it is busy with an item. It begins with
        a key picture later than `after` on the timeline. `who` it is shows beside its figures."""
        relay = self._relays.get((camera, stream))
        if relay is None:
            on_picture = partial(self._picture_of, camera, stream)
            relay = Relay(f"{camera}/{stream}", source, self._timing, self._forget, on_picture)
            self._relays[camera, stream] = relay
        viewer = Viewer(relay, on_stuck, sound=sound, after=after, who=who)
        relay.join(viewer)
        try:
            yield viewer
        finally:
            relay.leave(viewer)

    def figures(self) -> dict[tuple[int, str], dict[str, float]]:
        """What each stream costs and delivers now, for metrics and the health page."""
        return {key: relay.figures() for key, relay in self._relays.items()}

    def all(self) -> dict[tuple[int, str], Relay]:
        """By camera and stream, as they are now."""
        return dict(self._relays)

    def of(self, camera: int) -> dict[str, Relay]:
        """The streams of one camera that are open, and their renditions."""
        return {stream: relay for (each, stream), relay in self._relays.items() if each == camera}

    def status(self, camera: int, stream: str) -> Status | None:
        relay = self._relays.get((camera, stream))
        return relay.status if relay else None

    async def close_all(self) -> None:
        """Close every upstream as its device wants it; the sources bound how long that takes."""
        await asyncio.gather(*(relay.close() for relay in list(self._relays.values())))
        if self._keeping:
            await asyncio.wait(self._keeping)

    def _picture_of(self, camera: int, stream: str, relay: Relay) -> None:
        todo = self.on_picture(camera, stream, relay) if self.on_picture is not None else None
        if todo is not None:
            keeping = asyncio.get_running_loop().create_task(todo, name="keep a picture")
            self._keeping.add(keeping)
            keeping.add_done_callback(self._keeping.discard)

    def _forget(self, relay: Relay) -> None:
        for key, each in list(self._relays.items()):
            if each is relay:
                del self._relays[key]


relays = Relays()
figures = relays.figures
close_all = relays.close_all
