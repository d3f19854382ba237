"""Section 2: live pictures and sound, by RTP to the client's port or as the parts of an HTTP answer.

Each camera has one encoder and one sound, made when first wanted and at rest while nobody receives them. A started
stream flows while its camera answers and sends what the stream was started for; else it stays open and silent.

    COMP   RTP                                   HTTP
    H264   PT 98, 90 kHz                         a packet a part, application/octet-stream
    H265   PT 101, 90 kHz                        the same
    JPEG   -                                     a picture a part, image/jpeg, comments before it
    AUDIO  PT 97, clock of its samples           a unit a part with a 0x00 before it, by its kind
           AAC behind an AU header of 4 bytes    AAC without
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial

from simulators.http import Answer, Request, Response, Stream
from simulators.ipro import information, replies
from simulators.ipro.cameras import Camera, Status
from simulators.ipro.dressing import Dressed
from simulators.ipro.information import H264, H265, JPEG, Shot
from simulators.ipro.records import Zone
from simulators.ipro.uids import LiveStream
from simulators.loops import loop
from simulators.multipart import Parts, Passage, Tampering, part
from simulators.picture import picture_size
from simulators.rtp import Numbering, Packetizer, aac_payload, h264_payloads, h265_payloads
from simulators.sound import SoundSource
from simulators.video import Drawn, Frames, Receiver, Stills, VideoFormat, VideoSource

AUDIO = "AUDIO"
PAYLOAD_TYPE = {H264: 98, H265: 101, AUDIO: 97}
FRAGMENTS = {H264: h264_payloads, H265: h265_payloads}
# What a camera sends unless told otherwise: H.265 is dear to encode.
OWN_SIZE, OWN_RATE = {H264: (640, 360), H265: (512, 288), JPEG: (640, 360)}, {H264: 15, H265: 10, JPEG: 5}
LOOP_KILOBITS = 4000
JPEG_RATE, JPEG_QUALITY = 5, 75
PLACEHOLDER_SECONDS = 1.0
AUDIO_KIND = {
    "aac": "audio/48kaac-lc",
    "g726": "audio/g.726-32K",
    "g726le": "audio/g.726-32K",
    "g711u": "audio/g.711-64K",  # the document does not tell this one
    "g711a": "audio/g.711-64K",
}
NO_SOUND = "none"
END = f"{replies.BOUNDARY}--\r\n".encode()


@dataclass(frozen=True)
class Plan:
    """What the recorder's cameras send. `codecs` goes round: the first camera has the first."""

    codecs: tuple[str, ...]
    audio: str
    size: tuple[int, int] | None
    rate: int | None
    kilobits: int
    """The most a second; 0: a constant quality."""
    loops: bool

    def codec(self, camera: int) -> str:
        return self.codecs[(camera - 1) % len(self.codecs)]

    def video(self, codec: str) -> VideoFormat:
        width, height = self.size or OWN_SIZE[codec]
        return VideoFormat(width, height, Fraction(self.rate or OWN_RATE[codec]), self.kilobits)


def plan(*, codecs: str, audio: str, pictures: str, size: str, rate: int, kilobits: int) -> Plan:
    """An empty size, rate 0 and 0 kilobits leave it to the cameras. Raises ValueError for what no camera sends."""
    names = tuple(name.strip().upper() for name in codecs.split(","))
    if unknown := set(names) - {H264, H265, JPEG}:
        raise ValueError(f"A camera sends {H264}, {H265} or {JPEG}, not {', '.join(sorted(unknown))}.")
    if audio not in (*AUDIO_KIND, NO_SOUND):
        raise ValueError(f"Sound is {', '.join(AUDIO_KIND)} or {NO_SOUND}, not {audio}.")
    if pictures not in ("live", "loop"):
        raise ValueError(f"Pictures are live or loop, not {pictures}.")
    if not 0 <= rate <= 60 or not (kilobits == 0 or 64 <= kilobits <= 50_000):
        raise ValueError("A camera sends up to 60 pictures and 64 to 50000 kbit a second.")
    loops = pictures == "loop"
    if loops and not kilobits:
        kilobits = LOOP_KILOBITS
    return Plan(names, audio, picture_size(size) if size else None, rate or None, kilobits, loops)


@dataclass
class Troubles:
    """What goes wrong on one camera's way to its receivers."""

    silent_until: float = 0.0
    mute_until: float = 0.0
    lose_every: int = 0
    late_every: int = 0
    late_by: int = 1


@dataclass
class Flow:
    """A stream that was started, and what carries it."""

    stream: LiveStream
    outlet: Receiver | Parts | None
    """None: a stream of JPEG looks for its pictures itself."""
    listener: Callable[[bytes, int, float], None] | None = None
    attached: bool = False


@dataclass
class View:
    """One camera's pictures and sound."""

    camera: Camera
    codec: str
    has_jpeg: bool
    video: VideoSource
    sound: SoundSource
    stills: Stills
    troubles: Troubles = field(default_factory=Troubles)
    flows: list[Flow] = field(default_factory=list)


class Live:
    def __init__(
        self,
        cameras: Iterable[Camera],
        plan: Plan,
        *,
        seed: int,
        started: float,
        zone: Zone,
        host: Callable[[], str],
        skipped: Callable[[], float],
        oddities: frozenset[str],
    ) -> None:
        self.tampering = Tampering()
        self._plan = plan
        self._seed = seed
        self._started = started
        self._zone = zone
        self._host = host
        self._skipped = skipped
        self._oddities = oddities
        self._cameras = {camera.number: camera for camera in cameras}
        self._views: dict[int, View] = {}  # made when first wanted

    # What the recorder does

    def start(self, stream: LiveStream, request: Request, left: Callable[[], None]) -> Answer:
        """Begin to send; `left` is called when an HTTP client goes away without a STOP, or the stream breaks off."""
        view = self._view(stream.camera)
        flow = self._flow(view, stream, request)
        view.flows.append(flow)
        stream.on_end = partial(self._ended, view, flow)
        flow.stream.broken = left
        self._settle(view)
        if stream.port is not None:
            return Response(200)
        pieces = flow.outlet.stream() if isinstance(flow.outlet, Parts) else self._pictures(view, stream)
        kind = f"multipart/x-mixed-replace; boundary={replies.BOUNDARY}"
        return Stream(kind, _until_left(pieces, stream))

    def changed(self, number: int) -> None:
        """The camera answers again or no longer."""
        if number in self._views:
            self._settle(self._views[number])

    def state(self, number: int) -> dict[str, object]:
        """What a test may want to see."""
        view = self._views.get(number)
        if view is None:
            codec = self._plan.codec(number)
            video, encoding, listened = self._plan.video(codec), False, False
        else:
            codec, video = view.codec, view.video.format
            encoding, listened = view.video.encoding, view.sound.running
        size = f"{video.width}x{video.height}"
        return {"codec": codec, "size": size, "rate": float(video.rate), "encoding": encoding, "sound": listened}

    # What tests break; number 0 means every camera

    def silence(self, number: int, until: float) -> None:
        for view in self._chosen(number):
            view.troubles.silent_until = until
            self._impose(view)

    def mute(self, number: int, until: float) -> None:
        for view in self._chosen(number):
            view.troubles.mute_until = until
            self._impose(view)

    def lose(self, number: int, every: int) -> None:
        for view in self._chosen(number):
            view.troubles.lose_every = every
            self._impose(view)

    def delay(self, number: int, every: int, by: int) -> None:
        for view in self._chosen(number):
            view.troubles.late_every, view.troubles.late_by = every, by
            self._impose(view)

    def cut(self, number: int) -> None:
        """Break what streams off: pictures in the middle of one, and all that belongs to them."""
        for view in self._chosen(number):
            if view.video.encoding:
                view.video.cut(partial(self._break_off, view))
            for flow in list(view.flows):
                if flow.outlet is None:
                    flow.stream.cut = True

    def switch_codec(self, number: int, codec: str) -> None:
        """The camera is set to another codec: who asked for the old one gets nothing more."""
        for view in self._chosen(number):
            for flow in view.flows:
                self._attach(view, flow, False)
            view.codec, view.has_jpeg = codec, view.has_jpeg or codec == JPEG
            view.video = self._source(view.camera.number, codec)
            self._impose(view)
            self._settle(view)

    def switch_size(self, number: int, width: int, height: int) -> None:
        """The camera is set to another size, within its running streams."""
        for view in self._chosen(number):
            now = view.video.format
            view.video.change(VideoFormat(width, height, now.rate, now.kilobits))

    def clear(self) -> None:
        self.tampering.clear()
        for view in self._views.values():
            view.troubles = Troubles()
            self._impose(view)

    # One camera

    def _chosen(self, number: int) -> list[View]:
        if number:
            return [self._view(number)]
        registered = (camera for camera in self._cameras.values() if camera.status is not Status.NOT_REGISTERED)
        return [self._view(camera.number) for camera in registered]

    def _view(self, number: int) -> View:
        if number not in self._views:
            codec = self._plan.codec(number)
            seed, name = self.seed(number), _name(number)
            width, height = self._plan.size or OWN_SIZE[codec]
            self._views[number] = View(
                self._cameras[number],
                codec,
                codec != H265,
                self._source(number, codec),
                SoundSource(self._plan.audio, seed=seed, started=self._started),
                Stills(width, height, seed=seed, name=name, started=self._started, quality=JPEG_QUALITY),
            )
        return self._views[number]

    def seed(self, number: int) -> int:
        """What a camera's pictures show of it."""
        return (16 * self._seed + number) % 256

    def _source(self, number: int, codec: str) -> VideoSource:
        video = self._plan.video(codec)
        return VideoSource(
            video,
            seed=self.seed(number),
            name=_name(number),
            started=self._started,
            frames=partial(_frames, codec, self._plan.loops),
            information=partial(self._information, number, codec, video.rate),
        )

    def _information(self, number: int, codec: str, rate: Fraction, wall: float, size: int) -> bytes:
        if "no-extension" in self._oddities:
            return b""
        shot = Shot(number, codec, wall + self._skipped(), size, rate)
        tell = information.all_of_it if "all-information" in self._oddities else information.short
        return tell(shot, self._zone)

    def _impose(self, view: View) -> None:
        troubles, video = view.troubles, view.video
        video.silent_until, video.lose_every = troubles.silent_until, troubles.lose_every
        video.late_every, video.late_by = troubles.late_every, troubles.late_by
        view.sound.silent_until = max(troubles.silent_until, troubles.mute_until)

    # One stream

    def _flow(self, view: View, stream: LiveStream, request: Request) -> Flow:
        comp = stream.compression
        if comp == JPEG:
            return Flow(stream, None)
        packetizer = Packetizer(payload_type=PAYLOAD_TYPE[comp], fragments=FRAGMENTS.get(comp))
        outlet: Receiver | Parts
        if stream.port is not None:
            outlet = Receiver(request.peer, stream.port, self._host(), packetizer=packetizer)
        else:
            outlet = Parts(packetizer, self._part_of(comp), self.tampering, END)
        listener = None
        if comp == AUDIO:
            listener = self._by_http(outlet) if stream.port is None else self._by_rtp(outlet)
        return Flow(stream, outlet, listener)

    def _part_of(self, comp: str) -> Callable[[bytes], bytes]:
        if comp == AUDIO:
            return partial(self._part, f"Content-Type: {AUDIO_KIND.get(self._plan.audio, AUDIO_KIND['aac'])}")
        return partial(self._part, "Content-type: application/octet-stream")

    def _part(self, kind: str, body: bytes) -> bytes:
        length = () if "no-part-length" in self._oddities else (f"Content-Length: {len(body)}",)
        return part(replies.BOUNDARY, (kind, *length), body)

    def _by_rtp(self, outlet: Receiver | Parts) -> Callable[[bytes, int, float], None]:
        numbering = Numbering(PAYLOAD_TYPE[AUDIO])
        header = "rfc3640" if self._plan.audio == "aac" else None

        def send(unit: bytes, sample: int, wall: float) -> None:
            payload = aac_payload(unit, "rfc3640") if header else unit
            told = b"" if "no-extension" in self._oddities else information.of_the_camera(wall, self._zone)
            outlet.send(numbering.packet(payload, sample, marker=True, information=told))

        return send

    def _by_http(self, outlet: Receiver | Parts) -> Callable[[bytes, int, float], None]:
        def send(unit: bytes, sample: int, wall: float) -> None:
            outlet.send(b"\x00" + unit)

        return send

    def _settle(self, view: View) -> None:
        """Let flow what can."""
        for flow in view.flows:
            comp = flow.stream.compression
            sent = self._plan.audio != NO_SOUND if comp == AUDIO else comp == view.codec
            self._attach(view, flow, view.camera.status is Status.NORMAL and sent)

    def _attach(self, view: View, flow: Flow, wanted: bool) -> None:
        if wanted == flow.attached or flow.outlet is None:
            return
        flow.attached = wanted
        if flow.listener is not None:
            (view.sound.add if wanted else view.sound.remove)(flow.listener)
        elif wanted:
            view.video.add(flow.outlet)
        else:
            view.video.take_off(flow.outlet)

    def _ended(self, view: View, flow: Flow) -> None:
        self._attach(view, flow, False)
        view.flows.remove(flow)
        if flow.outlet is not None:
            flow.outlet.close()

    def _break_off(self, view: View) -> None:
        for flow in list(view.flows):
            if isinstance(flow.outlet, Parts):
                flow.outlet.cut()
            flow.stream.broken()

    # 2.3.5 JPEG

    async def _pictures(self, view: View, stream: LiveStream) -> AsyncGenerator[bytes, None]:
        passage = Passage(self.tampering)
        due = time.monotonic()
        while not stream.ended.is_set():
            seconds = 1 / JPEG_RATE
            if view.camera.status is Status.NORMAL and time.monotonic() >= view.troubles.silent_until:
                if view.has_jpeg:
                    body = await self._picture(view)
                else:
                    body, seconds = information.placeholder(), PLACEHOLDER_SECONDS
                whole = passage.of(self._part("Content-type: image/jpeg", body))
                if stream.cut and not passage.ended:
                    whole, passage.ended = whole[: len(whole) // 2], True
                yield whole
                if passage.ended:
                    return
            due = max(due + seconds, time.monotonic())
            try:
                async with asyncio.timeout(due - time.monotonic()):
                    await stream.ended.wait()
            except TimeoutError:
                continue
        yield END

    async def _picture(self, view: View) -> bytes:
        number = view.camera.number
        picture = await view.stills.latest()
        told = self._information(number, JPEG, Fraction(JPEG_RATE), time.time(), len(picture))
        return information.comments(told, camera=view.camera.ptz) + picture


async def _until_left(pieces: AsyncGenerator[bytes, None], stream: LiveStream) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in pieces:
            yield piece
    finally:
        await pieces.aclose()
        if not stream.ended.is_set():
            stream.broken()


def _name(number: int) -> str:
    return f"Camera {number}"


def _frames(codec: str, looped: bool, video: VideoFormat, seed: int, name: str) -> Frames:
    kind = codec.lower()
    if looped:
        return Dressed(codec, loop(kind, video, seed=seed, name=name))
    return Dressed(codec, Drawn(kind, video, seed=seed, name=name, delimiters=True))
