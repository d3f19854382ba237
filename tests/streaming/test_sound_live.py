"""Sound of strict simulated devices, in every way the documents give it: heard, in step with the pictures, given back.

The simulated sound is a tone that is loud at the full second, when the number of the picture is a multiple of their
rate.
"""

import asyncio
import io
import statistics
from collections.abc import AsyncIterator
from fractions import Fraction
from functools import partial
from itertools import pairwise

import av
import httpx
import pytest
from asgiref.sync import sync_to_async

from devices.models import Camera
from simulators.hama import HamaSimulator
from simulators.ipro import IproSimulator
from simulators.picture import read_strip
from simulators.povcam import PovcamSimulator
from simulators.video import VideoFormat
from streaming.choice import Rendition
from streaming.relay import Relays, Timing
from streaming.ring import Fragment
from streaming.sources.open import device_source
from streaming.transcode import converted
from streaming.viewer import Init, Viewer
from tests.streaming.seeing import stuck, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_client")]

SECONDS = 3.2  # of sound, so that some beeps are in it
IN_STEP = 0.15


@pytest.fixture
async def ipro() -> AsyncIterator[IproSimulator]:
    async with IproSimulator(seed=3, size="320x192") as recorder:
        yield recorder
        assert list(recorder.violations) == []


@pytest.fixture
async def hama() -> AsyncIterator[HamaSimulator]:
    async with HamaSimulator(seed=9) as camera:
        yield camera
        assert list(camera.violations) == []


@pytest.fixture
async def povcam() -> AsyncIterator[PovcamSimulator]:
    streams = {1: VideoFormat(640, 360, Fraction(15), 1000), 2: VideoFormat(320, 180, Fraction(15), 500)}
    async with PovcamSimulator(seed=7, streams=streams) as recorder:
        yield recorder
        assert list(recorder.violations) == []


@pytest.fixture
async def relays(ipro: IproSimulator, hama: HamaSimulator, povcam: PovcamSimulator) -> AsyncIterator[Relays]:
    """Closed while the devices still answer."""
    relays = Relays(Timing(silence=2.0, linger=0.05, first_retry=0.05, tick=0.05))
    yield relays
    await relays.close_all()


@pytest.fixture
def camera_of(new_camera):
    async def make(device: IproSimulator | HamaSimulator | PovcamSimulator, **fields: object) -> Camera:
        user = {"username": "ADMIN" if device.family == "ipro" else "admin", "password": "12345"}
        where = {"family": device.family, "host": "127.0.0.1", "port": device.port}
        return await sync_to_async(new_camera)(f"Camera {device.family}", **where, **user, **fields)

    return make


@pytest.fixture
def recorder_camera(camera_of, ipro: IproSimulator):
    async def make(transport: str = "rtp", **options: object) -> Camera:
        camera = await camera_of(
            ipro, status={"channels": 16}, options={"transport": transport, "tls": "off", **options}
        )
        camera.learned = {"video": {"codec": "h264", "transport": transport}}
        await camera.asave()
        return camera

    return make


async def switch_on(povcam: PovcamSimulator) -> None:
    """Audio is off as a POVCAM comes."""
    async with httpx.AsyncClient(base_url=povcam.url, auth=httpx.DigestAuth("admin", "12345")) as client:
        answer = await client.post("/cgi-bin/set_audio?audio=1&audio_sens=middle&audio_transmit=1")
        assert answer.is_success


def listen(relays: Relays, camera: Camera, stream: str):
    return relays.watch(camera.pk, stream, device_source(camera.pk, stream), stuck, sound=True)


def is_sound(piece: Fragment) -> bool:
    return piece.data[12:16] == b"\0\0\0\2"


async def with_sound(viewer: Viewer, seconds: float = SECONDS) -> tuple[Init, list[Fragment]]:
    """So much of the newest stream that has sound."""
    init: Init | None = None
    parts: list[Fragment] = []
    async with asyncio.timeout(60):
        while not parts or parts[-1].start - parts[0].start < seconds:
            item = await viewer.next()
            if isinstance(item, Init):
                init, parts = item, []
            elif isinstance(item, Fragment) and init is not None and init.sound is not None:
                parts.append(item)
    assert init is not None
    assert "mp4a.40.2" in init.mime
    return init, parts


def beeps(init: Init, parts: list[Fragment], rate: int) -> tuple[list[float], list[float]]:
    """When it beeps, and when it should by the pictures."""
    heard: list[tuple[float, float]] = []  # when, how loud
    seen: list[float] = []
    with av.open(io.BytesIO(init.segment + b"".join(part.data for part in parts))) as container:
        for packet in container.demux():
            for frame in packet.decode():
                assert frame.pts is not None
                assert frame.time_base is not None
                when = float(frame.pts * frame.time_base)
                if isinstance(frame, av.AudioFrame):
                    samples = memoryview(bytes(frame.planes[0])).cast("f")[: frame.samples]
                    step = frame.sample_rate // 100
                    heard += [
                        (when + at / frame.sample_rate, max(map(abs, samples[at : at + step])))
                        for at in range(0, len(samples) - step + 1, step)
                    ]
                elif isinstance(frame, av.VideoFrame):
                    strip = read_strip(frame.to_image())
                    if strip is not None and strip[1] % rate == 0:
                        seen.append(when)
    limit = 2 * statistics.median(loud for _, loud in heard[10:])
    assert limit > 0.01, "this is silence"
    begins = [now for before, now in pairwise(heard[10:]) if before[1] <= limit < now[1]]
    onsets = [when for when, _ in begins]
    return [each for number, each in enumerate(onsets) if number == 0 or each - onsets[number - 1] > 0.5], seen


def assert_in_step(init: Init, parts: list[Fragment], rate: int = 15) -> None:
    heard, seen = beeps(init, parts, rate)
    assert heard
    assert seen
    for when in seen[1:-1] or seen:
        assert min(abs(when - each) for each in heard) < IN_STEP, (heard, seen)


# --- POVCAM -----------------------------------------------------------------------------------------------------------
async def test_a_povcam_is_heard_in_step_and_everything_is_given_back(
    relays: Relays, povcam: PovcamSimulator, camera_of
):
    await switch_on(povcam)
    camera = await camera_of(povcam)
    with listen(relays, camera, "h264") as viewer:
        init, parts = await with_sound(viewer)
        assert_in_step(init, parts)
        assert len(list(povcam.sessions())) == 1  # sound needs no place of its own
    await until(lambda: not relays.figures())
    assert list(povcam.sessions()) == []


async def test_a_povcam_without_sound_shows_its_pictures(relays: Relays, povcam: PovcamSimulator, camera_of):
    camera = await camera_of(povcam)
    with listen(relays, camera, "h264") as viewer:
        await until(lambda: relays.figures()[camera.pk, "h264"].get("upstream_sound_openings", 0) > 0)
        while not isinstance(item := await viewer.next(), Fragment):
            pass
        assert not is_sound(item)
    await until(lambda: not relays.figures())
    assert list(povcam.sessions()) == []


# --- i-PRO ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("transport", ["rtp", "http"])
async def test_a_recorder_is_heard_in_step_and_its_uid_is_given_back(
    relays: Relays, ipro: IproSimulator, recorder_camera, transport: str
):
    camera = await recorder_camera(transport)
    with listen(relays, camera, "video") as viewer:
        init, parts = await with_sound(viewer)
        assert_in_step(init, parts)
        assert len(list(ipro.sessions())) == 1
    await until(lambda: not relays.figures())
    assert list(ipro.sessions()) == []


# --- HAMA -------------------------------------------------------------------------------------------------------------
async def test_a_hama_is_heard_in_step_with_its_converted_pictures(relays: Relays, hama: HamaSimulator, camera_of):
    camera = await camera_of(hama, status={})
    original = partial(relays.watch, camera.pk, "mjpeg", device_source(camera.pk, "mjpeg"))
    with relays.watch(camera.pk, "mjpeg~h264", converted(original, Rendition.H264), stuck, sound=True) as viewer:
        init, parts = await with_sound(viewer)
        assert_in_step(init, parts, rate=30)
    await until(lambda: not relays.figures())
