"""Pictures in the parts of an HTTP answer: JPEG each, or one RTP packet each (i-PRO 2.2).

The answer has no end; when it ends all the same, or is silent too long, the stream is lost and opened anew.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from devices.errors import DeviceError
from devices.families import driver_for
from devices.families.base import HttpSession, Stream
from devices.gateway import Gateway
from devices.models import Camera
from streaming.media import CLOCK_RATE, AccessUnit, Unit, VideoTrack
from streaming.sources import information, lines
from streaming.sources.beside import Telling, telling
from streaming.sources.information import Noted
from streaming.sources.lines import RtpLine
from streaming.sources.sound import Switch, beside
from streaming.wire import Malformed, jpeg
from streaming.wire.multipart import Parser

logger = logging.getLogger(__name__)

# A recorder answers a tiny picture where its camera sends no JPEG.
NARROWEST = 64


class JpegLine:
    """JPEG as it came in, access units out. Its time is that of its arrival: nothing else tells one."""

    def __init__(self, on_unit: Callable[[Unit], None], noted: Noted | None = None) -> None:
        self.pictures = 0
        self.bytes = 0
        self.malformed = 0
        self.placeholders = 0
        self._on_unit = on_unit
        self._noted = noted
        self._sends_whole = False
        self._track = VideoTrack("jpeg", "jpeg", 0, 0, b"")

    def take(self, data: bytes) -> None:
        self.bytes += len(data)
        try:
            picture = jpeg.repair(data)
        except Malformed:
            self.malformed += 1
            return
        noted = self._noted
        if noted is not None and picture.comments:
            noted.note(picture.comments, time.time())
        if picture.width < NARROWEST or (noted is not None and noted.shows_nothing):
            self.placeholders += 1
            return
        self._sends_whole = self._sends_whole or picture.whole
        if self._sends_whole and not picture.whole:
            self.malformed += 1  # cut off; a camera that never ends its pictures as it should is believed
            return
        self.pictures += 1
        if (picture.width, picture.height) != (self._track.width, self._track.height):
            self._track = VideoTrack("jpeg", "jpeg", picture.width, picture.height, b"")
        now = time.time()
        self._on_unit(AccessUnit(self._track, round(now * CLOCK_RATE), now, True, picture.data))

    def figures(self) -> dict[str, int]:
        return {
            "packets": self.pictures,
            "bytes": self.bytes,
            "malformed": self.malformed,
            "placeholders": self.placeholders,
        }


class PartsUpstream:
    """Reads an open answer until it ends or the stream is closed."""

    def __init__(
        self,
        session: HttpSession,
        line: RtpLine | JpegLine,
        take: Callable[[Mapping[str, str], bytes], None],
        sound: Switch,
        told: Telling,
        noted: Noted | None,
    ) -> None:
        self._session = session
        self._line = line
        self._sound = sound
        self._take = take
        self._told = told
        self._noted = noted
        self._parser = Parser(session.answer.headers.get("content-type", ""))
        self._reading = asyncio.create_task(self._read(), name="parts of an answer")

    @property
    def lost(self) -> asyncio.Event:
        return self._session.lost

    @property
    def lost_reason(self) -> str:
        return self._session.lost_reason

    @property
    def remark(self) -> str:
        return self._noted.remark if self._noted is not None else ""

    def told(self) -> dict[str, Any]:
        return self._noted.told() if self._noted is not None else {}

    @property
    def sound_problem(self) -> str:
        return self._sound.problem

    def want_sound(self, wanted: bool) -> None:
        self._sound.want(wanted)

    def figures(self) -> dict[str, int]:
        return {
            **self._line.figures(),
            **self._sound.figures(),
            "wrong_lengths": self._parser.wrong_lengths,
            "skipped": self._parser.skipped,
        }

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])

    async def _read(self) -> None:
        reason = "The device ended its stream; asking for it again."
        try:
            async for piece in self._session.answer.pieces:
                for part in self._parser.feed(piece):
                    self._take(part.headers, part.body)
                    self._told.take(part.headers)
        except DeviceError as error:
            reason = str(error)
        except Malformed as error:
            reason = f"The device sends something else than pictures: {error}."
        except Exception:
            logger.exception("a picture could not be taken")
            reason = "A mistake in this system ended the stream; its log tells more."
        self._session.lost_reason = self._session.lost_reason or reason
        self._session.lost.set()


@asynccontextmanager
async def _open(
    camera: Camera,
    stream: Stream,
    line: RtpLine | JpegLine,
    take: Callable[[Mapping[str, str], bytes], None],
    on_unit: Callable[[Unit], None],
    noted: Noted | None,
) -> AsyncIterator[PartsUpstream]:
    async with (
        driver_for(camera.device).http_session(Gateway(camera.device), stream) as session,
        beside(camera, session, on_unit) as sound,
        telling(camera) as told,
    ):
        upstream = PartsUpstream(session, line, take, sound, told, noted)
        try:
            yield upstream
        finally:
            await upstream.close()


def _noted(camera: Camera, stream: Stream) -> Noted | None:
    return Noted(stream.camera) if driver_for(camera.device).informs else None


@asynccontextmanager
async def open_rtp_over_http(
    camera: Camera, stream: Stream, on_unit: Callable[[Unit], None]
) -> AsyncIterator[PartsUpstream]:
    noted = _noted(camera, stream)
    line = RtpLine(lines.pictures() if noted is None else information.pictures(noted), on_unit)
    async with _open(camera, stream, line, lambda headers, body: line.take([body]), on_unit, noted) as upstream:
        yield upstream


@asynccontextmanager
async def open_pictures_over_http(
    camera: Camera, stream: Stream, on_unit: Callable[[Unit], None]
) -> AsyncIterator[PartsUpstream]:
    noted = _noted(camera, stream)
    line = JpegLine(on_unit, noted)
    async with _open(camera, stream, line, lambda headers, body: line.take(body), on_unit, noted) as upstream:
        yield upstream
