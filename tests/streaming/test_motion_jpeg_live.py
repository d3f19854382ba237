"""Motion JPEG of strict simulated IPCam and HAMA cameras, and stills: to the relay, and converted for a browser."""

import asyncio
import io
from collections.abc import AsyncIterator
from functools import partial

import av
import pytest
from asgiref.sync import sync_to_async
from PIL import Image

from devices.models import Camera
from simulators.device import SimulatedDevice
from simulators.hama import HamaSimulator
from simulators.ipcam import IpcamSimulator
from simulators.picture import read_strip
from streaming.choice import Rendition, Wanted, choose
from streaming.relay import Relays, Timing
from streaming.sources.open import device_source, streams_of
from streaming.transcode import Converted
from tests.streaming.seeing import pieces, stuck, until, watch

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.one_database,
    pytest.mark.usefixtures("redis_client"),
]


@pytest.fixture(params=["ipcam", "hama"])
async def device(request: pytest.FixtureRequest) -> AsyncIterator[SimulatedDevice]:
    make = {"ipcam": IpcamSimulator, "hama": HamaSimulator}[request.param]
    async with make(seed=9) as device:
        yield device
        assert list(device.violations) == []


@pytest.fixture
async def relays(device: SimulatedDevice) -> AsyncIterator[Relays]:
    relays = Relays(Timing(silence=1.0, linger=0.05, first_retry=0.05, tick=0.05))
    yield relays
    await relays.close_all()


@pytest.fixture
async def camera(device: SimulatedDevice, new_camera) -> Camera:
    make = partial(new_camera, family=device.family, host="127.0.0.1", port=device.port, status={})
    return await sync_to_async(make)(username="admin", password="12345")


def number(jpeg: bytes) -> int:
    strip = read_strip(Image.open(io.BytesIO(jpeg)))
    assert strip is not None
    assert strip[0] == 9
    return strip[1]


@pytest.mark.parametrize("stream", ["mjpeg", "stills"])
async def test_pictures_arrive_whole_and_in_order(relays: Relays, camera: Camera, stream: str):
    with watch(relays, camera, stream) as viewer:
        init, parts = await pieces(viewer, {"mjpeg": 20, "stills": 3}[stream])
        seen = [number(part.content) for part in parts]
        assert seen == sorted(seen)  # a busy camera may send one twice
        assert (init.track.kind, init.track.width) == ("jpeg", Image.open(io.BytesIO(parts[0].content)).width)
    await until(lambda: not relays.figures())


async def test_a_hama_gives_stills_without_a_log_in(new_camera):
    async with HamaSimulator(seed=9, loginfree_path="/front/door.jpg") as device:
        relays = Relays(Timing(linger=0.05, first_retry=0.05, tick=0.05))
        make = partial(new_camera, family="hama", host="127.0.0.1", port=device.port, status={})
        options = {"transport": "loginfree", "loginfree_path": "/front/door.jpg"}
        camera = await sync_to_async(make)(options=options)  # no user, no password
        assert choose(streams_of(camera), Wanted()).stream.id == "stills"
        with watch(relays, camera, "stills") as viewer:
            _, parts = await pieces(viewer, 2)
            assert [number(part.content) for part in parts] == sorted({number(part.content) for part in parts})
        await relays.close_all()
        assert {each.target for each in device.requests} == {"/front/door.jpg"}
        assert list(device.violations) == []


async def test_a_browser_gets_them_converted(relays: Relays, camera: Camera):
    choice = choose(streams_of(camera), Wanted())
    assert (choice.stream.id, choice.rendition) == ("mjpeg", Rendition.H264)
    original = partial(relays.watch, camera.pk, "mjpeg", device_source(camera.pk, "mjpeg"))
    with relays.watch(camera.pk, choice.name, Converted(original, choice.rendition), stuck) as viewer:
        init, parts = await pieces(viewer, 20)
    with av.open(io.BytesIO(init.segment + b"".join(part.data for part in parts))) as film:
        strips = [read_strip(frame.to_image()) for frame in film.decode(video=0)]
    seen = [strip[1] for strip in strips if strip is not None]
    assert len(seen) == len(strips)
    assert len(seen) >= 19
    assert seen == sorted(seen)  # a busy camera may send one twice


async def test_one_upstream_however_many_watch(relays: Relays, camera: Camera, device: SimulatedDevice):
    with watch(relays, camera, "mjpeg") as one, watch(relays, camera, "mjpeg") as two:
        (_, mine), (_, yours) = await asyncio.gather(pieces(one, 5), pieces(two, 5))
        assert mine[0].data is yours[0].data
        assert relays.figures()[camera.pk, "mjpeg"]["openings"] == 1
