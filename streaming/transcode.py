"""Pictures and sound in a form that a browser plays, or that fits a thin line. Made only when somebody needs it, and
once for all who need the same.

To the relay a converted stream is a source like any other; to the stream it is made from, it is one more viewer. So it
starts at once with the pictures at hand, goes on at the newest key picture when it cannot keep up, and costs the
device nothing.

Decoding and encoding run in one thread per stream (both release the interpreter's lock), and their time is counted.
There are at most MOST at once, and no new one begins while they take more than BUSY of the machine's cores: the
pictures of those who watch already come first.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from fractions import Fraction

import av
from av.video.frame import PictureType

from streaming.choice import LOW_WIDTH, Rendition
from streaming.media import CLOCK_RATE, AccessUnit, Unit, VideoTrack
from streaming.ring import Fragment
from streaming.sources import SourceFailed, SourceRefused
from streaming.viewer import Ended, Init, State, Status, Viewer
from streaming.wire import h264

CORES = os.cpu_count() or 1
MOST = 4 * CORES
BUSY = 0.75
MOST_IN_DECODER = 64  # pictures
KEY_SECONDS = 1.0  # who joins finds a key picture at most this old
TICK = Fraction(1, CLOCK_RATE)
_DECODERS = {"h264": "h264", "h265": "hevc", "jpeg": "mjpeg"}
_START_CODE = re.compile(rb"\x00\x00\x00?\x01")


@dataclass(frozen=True)
class Form:
    """How a rendition is made."""

    width: int  # at most
    interval: float  # seconds between two pictures, at least
    rate: Fraction  # pictures per second that the bits are shared out to
    kilobits: int


FORMS = {
    Rendition.H264: Form(width=1920, interval=0.0, rate=Fraction(25), kilobits=4000),
    Rendition.LOW: Form(width=LOW_WIDTH, interval=1 / 12, rate=Fraction(12), kilobits=350),
}


class TooMuch(SourceRefused):
    """This system converts all it can; it has nothing to do with the device."""


class Load:
    """What converting costs this process now."""

    def __init__(self) -> None:
        self._threads: dict[object, float] = {}  # who converts → its share of a core lately

    def __len__(self) -> int:
        return len(self._threads)

    @property
    def cores(self) -> float:
        return sum(self._threads.values())

    def tell(self, who: object, share: float) -> None:
        self._threads[who] = share

    @contextmanager
    def counted(self, who: object) -> Iterator[None]:
        if len(self) >= MOST or self.cores > BUSY * CORES:
            raise TooMuch(
                f"This picture would have to be converted for your browser, and this system converts {len(self)} "
                "already, which is all it can. Close another converted picture, or watch with a browser that plays it."
            )
        self._threads[who] = 0.0
        try:
            yield
        finally:
            del self._threads[who]


load = Load()


# --- Pictures ---------------------------------------------------------------------------------------------------------
class Converter:
    """Coded pictures of one track in, H.264 access units out. Used by one thread."""

    def __init__(self, track: VideoTrack, form: Form) -> None:
        self._form = form
        decoder = av.CodecContext.create(_DECODERS[track.kind], "r")
        assert isinstance(decoder, av.VideoCodecContext)
        self._decoder = decoder
        self._decoder.thread_count = 1
        if track.config:
            decoder.extradata = track.config
        if track.reorder == 0:  # otherwise it waits for pictures that might have to be shown first
            decoder.flags |= av.codec.context.Flags.low_delay
        self._encoder: av.VideoCodecContext | None = None
        self._track: VideoTrack | None = None
        self._size = (0, 0)
        self._key_at = float("-inf")
        self._taken_at = float("-inf")
        self._times: dict[int, int] = {}  # of the sender, by those of showing

    def convert(self, moment: float, time: int, received: float, data: bytes) -> list[AccessUnit]:
        """`moment` is when it is shown, in seconds; `time` the sender's, which stays the picture's."""
        packet = av.Packet(data)
        packet.pts = packet.dts = round(moment * CLOCK_RATE)
        packet.time_base = TICK
        self._times[packet.pts] = time
        if len(self._times) > MOST_IN_DECODER:
            del self._times[next(iter(self._times))]
        units: list[AccessUnit] = []
        for frame in self._decoder.decode(packet):
            shown = float((frame.pts or 0) * TICK)
            # A tenth of leeway, since pictures never come exactly on time.
            if shown - self._taken_at < 0.9 * self._form.interval:
                continue
            self._taken_at = shown
            time = self._times.get(frame.pts or 0, round(shown * CLOCK_RATE))
            units += self._encode(frame, shown, time, received)
        return units

    def _encode(self, frame: av.VideoFrame, shown: float, time: int, received: float) -> list[AccessUnit]:
        if self._encoder is None or self._size != (frame.width, frame.height):
            self._open_encoder(frame)
        encoder = self._encoder
        assert encoder is not None
        small = frame.reformat(width=encoder.width, height=encoder.height, format="yuv420p", dst_color_range="MPEG")
        small.pts = round(shown * CLOCK_RATE)
        small.time_base = TICK
        small.pict_type = PictureType.NONE
        if shown - self._key_at >= KEY_SECONDS:
            self._key_at = shown
            small.pict_type = PictureType.I
        return [unit for packet in encoder.encode(small) for unit in self._units(bytes(packet), time, received)]

    def _open_encoder(self, frame: av.VideoFrame) -> None:
        self._size = frame.width, frame.height
        width = min(frame.width, self._form.width) & ~1
        height = max(2, round(frame.height * width / frame.width) & ~1)
        encoder = av.CodecContext.create("libx264", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base = TICK
        # Without a rate the encoder takes the clock's for it, and leaves each picture next to no bits.
        encoder.framerate = self._form.rate
        encoder.thread_count = 1
        kilobits = self._form.kilobits
        encoder.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "crf": "23",
            "maxrate": f"{kilobits}k",
            "bufsize": f"{kilobits // 2}k",
            "forced-idr": "1",
            "x264-params": "scenecut=0:keyint=infinite",
        }
        self._encoder, self._track, self._key_at = encoder, None, float("-inf")

    def _units(self, annex_b: bytes, time: int, received: float) -> Iterator[AccessUnit]:
        pieces: list[bytes] = []
        sets: dict[int, bytes] = {}
        key = False
        for nal in filter(None, _START_CODE.split(annex_b)):
            kind = nal[0] & 0x1F
            if kind in (h264.SPS, h264.PPS):
                sets[kind] = nal
            elif kind != h264.DELIMITER:
                key = key or kind == h264.IDR
                pieces += (len(nal).to_bytes(4, "big"), nal)
        if len(sets) == 2:
            info = h264.parse_sps(sets[h264.SPS])
            config = h264.configuration(sets[h264.SPS], (sets[h264.PPS],), info)
            self._track = VideoTrack("h264", info.codec, info.width, info.height, config)
        if self._track is not None and pieces:
            yield AccessUnit(self._track, time, received, key, b"".join(pieces))


class _Conversion:
    """An open conversion, as its relay sees it."""

    def __init__(self, viewer: Viewer, on_unit: Callable[[Unit], None]) -> None:
        self.lost = asyncio.Event()
        self.lost_reason = ""
        self.pictures = 0
        self.share = 0.0  # of a core
        self.remark = ""  # that of the stream it is made from
        self._viewer = viewer
        self._on_unit = on_unit

    @property
    def sound_problem(self) -> str:
        return self._viewer.sound_problem

    def want_sound(self, wanted: bool) -> None:
        """Sound needs no change, so it is passed on as it comes."""
        self._viewer.tap_sound(self._on_unit if wanted else None)

    def figures(self) -> dict[str, int]:
        return {"converted": self.pictures, "skipped": self._viewer.dropped, "load_permille": round(1000 * self.share)}

    async def run(self, form: Form, track: VideoTrack) -> None:
        """Until the stream it is made from ends."""
        loop = asyncio.get_running_loop()
        converter = Converter(track, form)
        began, used = loop.time(), 0.0
        with ThreadPoolExecutor(1, "transcode") as thread:
            while True:
                item = await self._viewer.next()
                if isinstance(item, Init) and item.track != track:
                    track, converter = item.track, Converter(item.track, form)
                if isinstance(item, Status):
                    self.remark = item.detail if item.state is State.LIVE else ""
                if not isinstance(item, Fragment):
                    continue
                units, seconds = await loop.run_in_executor(thread, _timed, converter, item)
                self.pictures += len(units)
                for unit in units:
                    self._on_unit(unit)
                used += seconds
                if (now := loop.time()) - began >= 1.0:
                    self.share = used / (now - began)
                    load.tell(self, self.share)
                    began, used = now, 0.0


def _timed(converter: Converter, piece: Fragment) -> tuple[list[AccessUnit], float]:
    before = time.thread_time()
    try:
        units = converter.convert(piece.shown, piece.time, piece.received, piece.content)
    except av.FFmpegError:
        units = []  # no decoder understands this picture; the next ones are tried
    return units, time.thread_time() - before


Watch = Callable[[Callable[[], None]], AbstractContextManager[Viewer]]


class Converted:
    """The source of a rendition. `watch` gives a viewer of the stream it is made from."""

    own_pace = True  # the stream it is made from pauses by itself

    def __init__(self, watch: Watch, rendition: Rendition) -> None:
        self._watch = watch
        self._rendition = rendition

    @asynccontextmanager
    async def __call__(self, on_unit: Callable[[Unit], None]) -> AsyncIterator[_Conversion]:
        # Whoever converts is never stuck for longer than a picture takes.
        with self._watch(lambda: None) as viewer:
            conversion = _Conversion(viewer, on_unit)
            with load.counted(conversion):
                track = await _track_of(viewer)
                running = asyncio.create_task(conversion.run(FORMS[self._rendition], track), name="transcode")
                running.add_done_callback(lambda task: conversion.lost.set())
                try:
                    yield conversion
                finally:
                    running.cancel()
                    await asyncio.wait([running])
                    _raise_why(running)


async def _track_of(viewer: Viewer) -> VideoTrack:
    """What the stream it is made from turns out to be, which may take its time."""
    try:
        while not isinstance(item := await viewer.next(), Init):
            if isinstance(item, Status) and item.state is State.OFFLINE:
                raise SourceFailed(item.detail)
    except Ended as ended:
        raise SourceFailed(str(ended)) from ended
    return item.track


def _raise_why(ended: asyncio.Task[None]) -> None:
    """What ended the stream it is made from ends this one too."""
    if ended.cancelled():
        return
    error = ended.exception()
    if isinstance(error, Ended):
        raise SourceFailed(str(error)) from error
    if error is not None:
        raise error
