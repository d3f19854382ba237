"""Sound that a device sends beside the pictures, in a transmission of its own.

Whoever opens pictures opens a `Switch` beside them. It does nothing until somebody wants to hear. Then it asks the
device for sound, and stops it a little after the last one who wanted it. It lives as long as the pictures do: they come
first, and with them it ends and begins again, as the documents want it (i-PRO 2.1.2.2).

    RTP         to another port of ours: AAC, or what an i-PRO sends under the same payload type (`TypeLess`)
    HTTP        i-PRO: parts, whose Content-Type tells the codec, with a byte in front of the sound (2.3.7)
                HAMA: bare GSM frames, also within parts
                others: AAC with ADTS headers

Whatever goes wrong with sound stays here: pictures go on. It is told once in the log, counted in the figures, kept as a
sentence in `problem`, and tried again with growing, jittered pauses. A camera that has no microphone says yes and sends
nothing; that is found out, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from devices.errors import DeviceError
from devices.families import driver_for
from devices.families.base import HttpSession, Picture, RtpSession, Sound
from devices.gateway import Gateway
from devices.models import Camera
from streaming.media import AudioUnit
from streaming.sources import SourceFailed, lines
from streaming.sources.lines import Framing, RtpLine
from streaming.wire import Malformed, aac, g711, multipart, rtp, sound

logger = logging.getLogger(__name__)

LINGER = 3.0  # seconds; who switches sound off and on again should not make the device stop and start
FIRST_SOUND = 8.0  # seconds until a device that said yes should have sent some
SILENCE = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
AAC_RATE = 48_000  # the only one that the documents name


# --- By RTP -----------------------------------------------------------------------------------------------------------
class Aac:
    """Packets of AAC in, units out."""

    def __init__(self) -> None:
        self._framer = aac.Framer(AAC_RATE)

    @property
    def malformed(self) -> int:
        return self._framer.malformed

    @property
    def dropped(self) -> int:
        return self._framer.dropped

    def push(self, packet: rtp.Packet, received: float) -> Sequence[AudioUnit]:
        return self._framer.push(packet.payload, packet.timestamp, received, marker=packet.marker)


class G711:
    """G.711 of a device that does not tell its law: it is heard (`wire.g711`). Nothing is passed on until it is clear,
    but for sound that tells nothing for too long."""

    LONGEST = 16_000  # bytes, two seconds

    def __init__(self) -> None:
        self._heard = b""
        self._framer: sound.Framer | None = None

    @property
    def malformed(self) -> int:
        return self._framer.malformed if self._framer is not None else 0

    def push(self, payload: bytes, timestamp: int | None, received: float) -> Sequence[AudioUnit]:
        if self._framer is None:
            self._heard += payload
            law = g711.law_of(self._heard)
            if law is None and len(self._heard) < self.LONGEST:
                return ()
            self._heard, self._framer = b"", sound.Framer(law or _G711_LAWS[0])
        return self._framer.push(payload, timestamp, received)


_G711_LAWS = ("pcmu", "pcma")  # Japan's first
Telephone = sound.Framer | G711


def _telephone(kind: str, law: str) -> Telephone:
    """`law` is that of G.711, or "" when nobody knows."""
    if kind not in _G711_LAWS:
        return sound.Framer(kind)
    return sound.Framer(law) if law else G711()


class TypeLess:
    """Sound of an i-PRO recorder, whose packets do not tell their codec (2.3.6).

    AAC shows by its headers, which add up. Otherwise the time from one packet to the next tells: that of G.711 is a
    sample for each byte, that of G.726 two. Some count samples, others the ticks of pictures.
    """

    _CLOCKS = (sound.RATE, 90_000)

    def __init__(self, described: Sound) -> None:
        self._g726 = f"g726{described.g726}"
        self._g711 = described.g711
        self._aac: Aac | None = None
        self._telephone: Telephone | None = None
        self._ticks = 1.0  # of the packets' clock for each sample
        self._before: rtp.Packet | None = None
        self._dropped = 0

    @property
    def malformed(self) -> int:
        return sum(each.malformed for each in (self._aac, self._telephone) if each is not None)

    @property
    def dropped(self) -> int:
        return self._dropped + (self._aac.dropped if self._aac is not None else 0)

    def push(self, packet: rtp.Packet, received: float) -> Sequence[AudioUnit]:
        if self._aac is None and aac.is_rfc3640(packet.payload):
            self._aac = Aac()
        if self._aac is not None:
            return self._aac.push(packet, received)
        if self._telephone is None:
            self._decide(packet)
        if self._telephone is None:
            self._dropped += 1
            return ()
        return self._telephone.push(packet.payload, round(packet.timestamp / self._ticks), received)

    def _decide(self, packet: rtp.Packet) -> None:
        before, self._before = self._before, packet
        if before is None or packet.sequence != (before.sequence + 1) & 0xFFFF:
            return
        size = len(before.payload) - (len(before.payload) % 80 == 1)
        elapsed = (packet.timestamp - before.timestamp) & 0xFFFFFFFF
        if not size or not 0 < elapsed < 90_000:
            return
        kinds = {
            (kind, clock / sound.RATE): abs(elapsed / (size * samples * clock / sound.RATE) - 1)
            for kind, samples in (("pcmu", 1), (self._g726, 2))
            for clock in self._CLOCKS
        }
        (kind, self._ticks), _ = min(kinds.items(), key=lambda entry: entry[1])
        self._telephone = _telephone(kind, self._g711)


# --- Over HTTP --------------------------------------------------------------------------------------------------------
class Stream(Protocol):
    """Pieces of an answer's body in, units out."""

    def feed(self, piece: bytes, received: float) -> Sequence[AudioUnit]: ...

    @property
    def malformed(self) -> int: ...


class Parts:
    """i-PRO: each part has a byte 00, then what one RTP packet would carry."""

    def __init__(self, content_type: str, described: Sound) -> None:
        self.malformed = 0
        self._parser = multipart.Parser(content_type)
        self._described = described
        self._framer: aac.Framer | Telephone | None = None
        self._kind = ""

    def feed(self, piece: bytes, received: float) -> Sequence[AudioUnit]:
        return [unit for part in self._parser.feed(piece) for unit in self._part(part, received)]

    def _part(self, part: multipart.Part, received: float) -> Sequence[AudioUnit]:
        content_type = part.headers.get("content-type", "")
        kind = sound.kind_of(content_type, self._described.g726)
        try:
            body = sound.without_lead(part.body)
        except Malformed:
            kind = None
        if kind is None:
            self.malformed += 1
            return ()
        if kind != self._kind or self._framer is None:
            self._kind, self._framer = kind, _framer(kind, content_type, self._described.g711)
        return self._framer.push(body, None, received)


def _framer(kind: str, content_type: str, law: str) -> aac.Framer | Telephone:
    if kind != "aac":
        return _telephone(kind, law)
    told = re.search(r"([0-9]{1,2})k", content_type)
    rate = 1000 * int(told[1]) if told else AAC_RATE
    return aac.Framer(rate if rate in aac.RATES else AAC_RATE, headers=False)


class Gsm:
    """HAMA: frames without anything around them, or within parts, for the document shows the one and says the other."""

    def __init__(self, content_type: str) -> None:
        self._parser = multipart.Parser(content_type) if content_type.lower().startswith("multipart/") else None
        self._framer = sound.GsmFramer()

    @property
    def malformed(self) -> int:
        return self._framer.skipped

    def feed(self, piece: bytes, received: float) -> Sequence[AudioUnit]:
        bodies = [piece] if self._parser is None else [part.body for part in self._parser.feed(piece)]
        return [unit for body in bodies for unit in self._framer.push(body, received)]


class Adts:
    def __init__(self) -> None:
        self._framer = aac.AdtsFramer()

    @property
    def malformed(self) -> int:
        return self._framer.skipped

    def feed(self, piece: bytes, received: float) -> Sequence[AudioUnit]:
        return self._framer.push(piece, received)


def stream_of(described: Sound, headers: Mapping[str, str]) -> Stream:
    content_type = headers.get("content-type", "")
    if described.codec == "gsm":
        return Gsm(content_type)
    if content_type.lower().startswith("multipart/"):
        return Parts(content_type, described)
    if "aac" in content_type.lower():
        return Adts()
    raise SourceFailed(f"The device sends sound as {content_type[:40] or 'nothing known'}, which cannot be played.")


class Untimed:
    """Times for sound that comes without any: they are counted, and where some is missing they are moved on.

    What was only held up on the way comes all at once later, and nothing was missing. So sound is missing when for
    WINDOW seconds none came as early as was counted.
    """

    WINDOW = 2.0
    MISSING = 0.15

    def __init__(self, on_unit: Callable[[AudioUnit], None]) -> None:
        self._on_unit = on_unit
        self._began = 0.0
        self._moved = 0
        self._behind: deque[tuple[float, float]] = deque()  # when, and by how much it came later than counted

    def take(self, unit: AudioUnit) -> None:
        rate = unit.track.rate
        now = unit.received
        counted = (unit.time + self._moved) / rate
        if not self._behind:
            self._began = now - counted
        self._behind.append((now, now - self._began - counted))
        while self._behind[0][0] < now - self.WINDOW:
            self._behind.popleft()
            if (missing := min(behind for _, behind in self._behind)) > self.MISSING:
                self._moved += round(missing * rate)
                self._behind = deque((when, behind - missing) for when, behind in self._behind)
        self._on_unit(unit._replace(time=unit.time + self._moved))


# --- A transmission ---------------------------------------------------------------------------------------------------
class Line:
    """An open transmission of sound."""

    def __init__(self, session: RtpSession | HttpSession, figures: Callable[[], dict[str, int]]) -> None:
        self.session = session
        self.figures = figures


Opening = Callable[[Callable[[AudioUnit], None]], AbstractAsyncContextManager[Line]]


@asynccontextmanager
async def _by_rtp(
    camera: Camera, described: Sound, picture: Picture, on_unit: Callable[[AudioUnit], None]
) -> AsyncIterator[Line]:
    from streaming.sources.rtp_udp import Ear, addresses_of  # which opens a switch beside its pictures

    framings: dict[int, Framing] = {lines.AAC: Aac(), lines.SOUND: TypeLess(described)}

    def take(unit: object) -> None:
        assert isinstance(unit, AudioUnit)
        on_unit(unit)

    with contextlib.closing(Ear(await addresses_of(camera.device.host), RtpLine(framings, take))) as ear:
        driver = driver_for(camera.device)
        async with driver.rtp_sound(Gateway(camera.device), picture, port=ear.port, move=ear.move) as session:
            yield Line(session, ear.figures)


@asynccontextmanager
async def _by_http(
    camera: Camera, described: Sound, picture: Picture, on_unit: Callable[[AudioUnit], None]
) -> AsyncIterator[Line]:
    async with driver_for(camera.device).http_sound(Gateway(camera.device), picture) as session:
        stream = stream_of(described, session.answer.headers)
        reading = asyncio.create_task(_read(session, stream, Untimed(on_unit).take), name="sound of an answer")
        try:
            yield Line(session, lambda: {"malformed": stream.malformed})
        finally:
            reading.cancel()
            await asyncio.wait([reading])


async def _read(session: HttpSession, stream: Stream, on_unit: Callable[[AudioUnit], None]) -> None:
    reason = "The device ended its sound."
    try:
        async for piece in session.answer.pieces:
            units = stream.feed(piece, time.time())
            # What came together was spoken one after the other.
            following = sum(unit.samples for unit in units)
            for unit in units:
                following -= unit.samples
                on_unit(unit._replace(received=unit.received - following / unit.track.rate))
    except DeviceError as error:
        reason = str(error)
    except Malformed as error:
        reason = f"The device sends something else than sound: {error}."
    except Exception:
        logger.exception("a piece of sound could not be taken")
        reason = "A mistake in this system ended the sound; its log tells more."
    session.lost_reason = session.lost_reason or reason
    session.lost.set()


# --- When it is wanted ------------------------------------------------------------------------------------------------
class Switch:
    """Sound while somebody wants it. `problem` is why there is none though it is wanted, in a sentence."""

    def __init__(self, name: str, opening: Opening | None, on_unit: Callable[[AudioUnit], None]) -> None:
        """Without `opening` the device has no sound to ask for here."""
        self.problem = ""
        self.units = 0
        self.openings = 0
        self._name = name
        self._opening = opening
        self._on_unit = on_unit
        self._wanted = False
        self._changed = asyncio.Event()
        self._line: Line | None = None
        self._task: asyncio.Task[None] | None = None

    def want(self, wanted: bool) -> None:
        if self._opening is None or wanted == self._wanted:
            return
        self._wanted = wanted
        self._changed.set()
        if wanted and self._task is None:
            self._task = asyncio.create_task(self._run(self._opening), name="sound")

    def figures(self) -> dict[str, int]:
        if not self.openings:
            return {}
        told = self._line.figures() if self._line is not None else {}
        return {
            "sound_units": self.units,
            "sound_openings": self.openings,
            **{f"sound_{name}": value for name, value in told.items()},
        }

    async def close(self) -> None:
        self._opening = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, opening: Opening) -> None:
        pause = FIRST_PAUSE
        while True:
            if not self._wanted:
                self._changed.clear()
                self.problem = ""
                await self._changed.wait()
                pause = FIRST_PAUSE
                continue
            units, problem = self.units, ""
            try:
                self.openings += 1
                async with opening(self._take) as line:
                    self._line = line
                    problem = await self._until_it_ends(line)
            except (DeviceError, SourceFailed) as error:
                problem = str(error)
            except Exception:
                logger.exception("sound ended by a mistake of ours", extra={"stream": self._name})
                problem = "A mistake in this system ended the sound; its log tells more."
            finally:
                self._line = None
            if self.units != units:
                pause = FIRST_PAUSE
            if problem and self._wanted:
                self._tell(problem)
                await self._changed_within(pause * random.uniform(0.7, 1.3))  # noqa: S311
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _until_it_ends(self, line: Line) -> str:
        """Why it should be opened anew, in a sentence; "" when nobody wants it any more."""
        loop = asyncio.get_running_loop()
        units, quiet_since, patience = self.units, loop.time(), FIRST_SOUND
        unwanted_since: float | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await line.session.lost.wait()
                return line.session.lost_reason or "The device's sound ended."
            now = loop.time()
            if self._wanted:
                unwanted_since = None
            elif unwanted_since is None:
                unwanted_since = now
            elif now - unwanted_since >= LINGER:
                return ""
            if self.units != units:
                units, quiet_since, patience = self.units, now, SILENCE
            elif now - quiet_since >= patience:
                return "The camera sends no sound. Check that its microphone and its sound are switched on."

    async def _changed_within(self, seconds: float) -> None:
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _take(self, unit: AudioUnit) -> None:
        self.units += 1
        self.problem = ""
        self._on_unit(unit)

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            logger.warning("no sound: %s", problem, extra={"stream": self._name})


@asynccontextmanager
async def beside(camera: Camera, picture: Picture, on_unit: Callable[[AudioUnit], None]) -> AsyncIterator[Switch]:
    """A switch for the sound of a picture that is open while the block runs."""
    described = driver_for(camera.device).sound(picture.stream)

    def opening(on_unit: Callable[[AudioUnit], None]) -> AbstractAsyncContextManager[Line]:
        assert described is not None
        way = _by_rtp if described.transport == "rtp" else _by_http
        return way(camera, described, picture, on_unit)

    switch = Switch(f"{camera.pk}/{picture.stream.id}", opening if described is not None else None, on_unit)
    try:
        yield switch
    finally:
        await switch.close()
