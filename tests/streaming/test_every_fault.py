"""Every way in which pictures arrive, against everything that its strict simulated device can do wrong.

Whatever happens, what is shown is right: pictures of the right camera, in their order, none twice, none damaged; and
afterwards they go on, on the same socket. Nothing is asked that the documents do not allow, and all is given back.
"""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import pytest
from asgiref.sync import sync_to_async
from PIL import Image

from devices import keeping, uids
from devices.models import Camera
from simulators.device import SimulatedDevice
from simulators.hama import HamaSimulator
from simulators.ipcam import IpcamSimulator
from simulators.ipro import IproSimulator
from simulators.picture import read_strip
from simulators.povcam import PovcamSimulator
from simulators.video import VideoFormat
from streaming.relay import Relays, Timing
from streaming.ring import Fragment
from streaming.sources import open as opening
from streaming.viewer import Init, State, Status, Viewer
from tests.streaming.seeing import until, watch

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.one_database,
    pytest.mark.usefixtures("redis_client"),
]

STREAMS = {1: VideoFormat(640, 360, Fraction(15), 1000), 2: VideoFormat(320, 180, Fraction(15), 500)}
POVCAM_TOLD = {
    "streams": {
        "h264": {"transmits": True, "width": 640, "max_fps": 15},
        "h264_2": {"transmits": True, "width": 320, "max_fps": 15},
    }
}


# --- Ways -------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Way:
    family: str
    transport: str
    stream: str
    number: int = 1  # of the camera
    codec: str = ""  # where the device does not tell it
    tls: bool = False

    def __str__(self) -> str:
        return " ".join(filter(None, (self.family, self.transport, self.codec, "tls" if self.tls else "")))

    @property
    def seed(self) -> int:
        """What its pictures show of the camera."""
        return 16 * 7 + self.number if self.family == "ipro" else 7

    def device(self) -> SimulatedDevice:
        if self.family == "povcam":
            return PovcamSimulator(seed=7, streams=STREAMS)
        if self.family == "ipro":
            return IproSimulator(seed=7, size="320x192", tls=self.tls)
        return {"ipcam": IpcamSimulator, "hama": HamaSimulator}[self.family](seed=7)


PACKETS = [
    Way("povcam", "rtp", "h264"),
    Way("povcam", "rtsp-tcp", "h264"),
    Way("povcam", "rtsp-udp", "h264"),
    Way("ipro", "rtp", "video", 1, "h264"),
    Way("ipro", "rtp", "video", 4, "h265"),
    Way("ipro", "http", "video", 1, "h264"),
    Way("ipro", "http", "video", 4, "h265"),
    Way("ipro", "http", "video", 1, "h264", tls=True),
]
DATAGRAMS = [way for way in PACKETS if way.transport in ("rtp", "rtsp-udp")]
JPEG = [
    Way("povcam", "mjpeg", "mjpeg"),
    Way("povcam", "jpeg", "mjpeg"),
    Way("ipro", "mjpeg", "jpeg"),
    Way("ipro", "mjpeg", "jpeg", tls=True),
    Way("ipcam", "mjpeg", "mjpeg"),
    Way("hama", "mjpeg", "mjpeg"),
]
STILLS = [
    Way("povcam", "stills", "stills"),
    Way("povcam", "camera", "stills"),
    Way("ipcam", "stills", "stills"),
    Way("hama", "stills", "stills"),
    Way("hama", "loginfree", "stills"),
]
RECORDERS = [way for way in PACKETS if way.family == "ipro" and not way.tls]
PARTS = [way for way in (*PACKETS, *JPEG) if way.transport in ("http", "mjpeg") and way.family != "povcam"]


# --- What is seen -----------------------------------------------------------------------------------------------------
@dataclass
class Seen:
    """By one viewer. Each new init begins a new film."""

    viewer: Viewer
    relays: Relays
    camera: Camera
    way: Way
    init: Init | None = None
    parts: list[Fragment] = field(default_factory=list)
    states: list[State] = field(default_factory=list)

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(45):
            while not enough():
                item = await self.viewer.next()
                if isinstance(item, Init):
                    self.check()
                    self.init, self.parts = item, []
                elif isinstance(item, Fragment):
                    self.parts.append(item)
                elif isinstance(item, Status):
                    self.states.append(item.state)

    async def pictures(self, count: int) -> None:
        """So many more."""
        wanted = self.viewer.frames + count
        await self.until(lambda: self.viewer.frames >= wanted)

    async def state(self, wanted: State) -> None:
        before = len(self.states)
        await self.until(lambda: wanted in self.states[before:])

    @property
    def figures(self) -> dict[str, float]:
        return self.relays.figures()[self.camera.pk, self.way.stream]

    def check(self) -> int:
        """Everything that was shown so far is right; answers how many pictures that were."""
        if self.init is None:
            return 0
        strips = [read_strip(image) for image in self._images()]
        assert all(strip is not None for strip in strips), "a damaged picture was shown"
        shown = [strip for strip in strips if strip is not None]
        assert {seed for seed, _ in shown} <= {self.way.seed}
        numbers = [number for _, number in shown]
        if self.init.track.kind == "jpeg":
            assert numbers == sorted(numbers)  # a camera on a busy machine may send one twice
        else:
            assert numbers == sorted(set(numbers))
        return len(numbers)

    def _images(self) -> Iterator[Image.Image]:
        assert self.init is not None
        if self.init.track.kind == "jpeg":
            for part in self.parts:
                yield Image.open(io.BytesIO(part.content))
            return
        film = self.init.segment + b"".join(part.data for part in self.parts)
        if self.parts:
            with av.open(io.BytesIO(film)) as container:
                for frame in container.decode(video=0):
                    yield frame.to_image()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "FIRST_PACKET_SECONDS", 1.5)
    monkeypatch.setattr(opening, "FIRST_PICTURE_SECONDS", 4.0)


@pytest.fixture
def watching(new_camera: Callable[..., Camera], hasty: None):
    @contextlib.asynccontextmanager
    async def watching(way: Way, learned: str = "") -> AsyncIterator[tuple[Seen, SimulatedDevice]]:
        """A viewer that has seen some pictures, and the device; `learned` is the codec that is believed."""
        async with way.device() as device:
            relays = Relays(Timing(silence=1.5, linger=0.05, first_retry=0.05, tick=0.05))
            options: dict[str, Any] = {"transport": way.transport, "tls": "pin" if way.tls else "off"}
            if isinstance(device, PovcamSimulator):
                options["rtsp_port"] = int(device.rtsp_url.split(":")[2].partition("/")[0])
            camera = await sync_to_async(new_camera)(
                "Gate",
                family=way.family,
                scheme="https" if way.tls else "http",
                host="127.0.0.1",
                port=device.port,
                username="ADMIN" if way.family == "ipro" else "admin",
                password="12345",
                options=options,
                status={"povcam": POVCAM_TOLD, "ipro": {"channels": 16}}.get(way.family, {}),
            )
            codec = learned or way.codec
            camera.number = way.number
            camera.learned = {way.stream: {"codec": codec, "transport": way.transport}} if codec else {}
            await camera.asave()
            try:
                with watch(relays, camera, way.stream) as viewer:
                    seen = Seen(viewer, relays, camera, way)
                    await seen.pictures(1 if way in STILLS else 3)
                    yield seen, device
                    seen.check()
                await until(lambda: not relays.figures())
            finally:
                await relays.close_all()
            # What could not be given back, because the device was away, is left to the keeper.
            await keeping.keep(await uids.leases(), [], {camera.device.pk: camera.device})
            assert list(device.violations) == []
            assert list(device.sessions()) == []
            assert await uids.leases() == []

    return watching


def each(ways: list[Way]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("way", ways, ids=str)


# --- Faults -----------------------------------------------------------------------------------------------------------
@each(PACKETS)
async def test_lost_packets_cost_pictures_and_damage_none(watching, way: Way):
    async with watching(way) as (seen, device):
        device.inject("lose-packets", every=25)
        await until(lambda: seen.figures["upstream_lost"] > 0 and seen.figures["upstream_dropped"] > 0)
        device.inject("clear")
        await seen.pictures(20)
        assert seen.check() > 0
        assert seen.figures["openings"] == 1


@each(DATAGRAMS)
async def test_packets_in_another_order_cost_nothing(watching, way: Way):
    async with watching(way) as (seen, device):
        device.inject("late-packets", every=7, **({"number": 3} if way.family == "povcam" else {"times": 3}))
        await seen.until(lambda: seen.figures["upstream_reordered"] > 5)
        await seen.pictures(5)
        assert seen.figures["upstream_lost"] == seen.figures["upstream_dropped"] == 0


@each([*PACKETS, *JPEG])
async def test_a_picture_that_freezes_is_asked_for_again(watching, way: Way):
    async with watching(way) as (seen, device):
        device.inject("stop-frames", seconds=2.5)
        await seen.state(State.STALLED)
        await seen.state(State.LIVE)
        await seen.pictures(3)


@each([*PACKETS, *JPEG])
async def test_a_stream_that_is_cut_in_the_middle_of_a_picture_is_asked_for_again(watching, way: Way):
    async with watching(way) as (seen, device):
        device.inject("cut-frames" if way.family == "povcam" else "cut-streams")
        await seen.state(State.STALLED)
        await seen.state(State.LIVE)
        await seen.pictures(3)


@each([*PACKETS, *JPEG, *STILLS])
async def test_a_device_that_restarts_is_tried_until_it_is_back(watching, way: Way):
    async with watching(way) as (seen, device):
        device.reboot(1.0)
        if way not in STILLS:  # of those a few may fail
            await seen.state(State.STALLED)
            await seen.state(State.LIVE)
        await seen.pictures(3)


@each([way for way in PACKETS if way.family == "ipro" or way.transport != "rtsp-udp"])
async def test_another_size_comes_on_the_same_socket(watching, way: Way):
    async with watching(way) as (seen, device):
        if way.family == "povcam":
            device.inject("resize", number=1, mode="1280")
        else:
            device.inject("size", number=way.number, mode="640x384")
        wide = 1280 if way.family == "povcam" else 640
        await seen.until(lambda: seen.init is not None and seen.init.track.width == wide)
        await seen.pictures(5)
        assert seen.figures["openings"] == 1


@each(RECORDERS)
async def test_another_codec_is_found_out_on_the_same_socket(watching, way: Way):
    other = {"h264": "h265", "h265": "h264"}[way.codec]
    async with watching(way) as (seen, device):
        device.inject("codec", number=way.number, mode=other.upper())
        await seen.state(State.STALLED)
        await seen.until(lambda: seen.init is not None and seen.init.track.kind == other)
        await seen.pictures(3)
        await seen.camera.arefresh_from_db()
        assert seen.camera.learned["video"]["codec"] == other


@each(RECORDERS)
async def test_a_format_that_was_believed_and_brings_silence_is_corrected(watching, way: Way):
    other = {"h264": "h265", "h265": "h264"}[way.codec]
    async with watching(way, learned=other) as (seen, _):
        await seen.pictures(2)
        assert seen.init.track.kind == way.codec
        await seen.camera.arefresh_from_db()
        assert seen.camera.learned["video"]["codec"] == way.codec


@each(PARTS)
async def test_bytes_that_belong_to_no_part_cost_no_picture(watching, way: Way):
    async with watching(way) as (seen, device):
        device.inject("garbage-parts", every=5)
        await seen.until(lambda: seen.figures["upstream_skipped"] > 0)
        await seen.pictures(8)
        assert seen.figures["openings"] == 1


@each([way for way in PACKETS if way.family == "povcam"])
async def test_a_session_that_the_recorder_has_lost_is_begun_anew(watching, way: Way):
    async with watching(way) as (seen, device):
        device.inject("lose-uids" if way.transport == "rtp" else "lose-sessions")
        await seen.state(State.STALLED)
        await seen.state(State.LIVE)


@each([way for way in (*PACKETS, *JPEG) if way.family == "ipro"])
async def test_a_uid_that_the_recorder_has_lost_is_asked_for_anew(watching, way: Way):
    async with watching(way) as (seen, device):
        device.inject("lose-uids")
        await seen.state(State.STALLED)
        await seen.state(State.LIVE)
