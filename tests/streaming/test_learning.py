"""What a recorder's cameras send is found out before anybody waits for it, modestly."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable

import pytest
from asgiref.sync import sync_to_async

from devices import pictures, uids
from devices.models import Camera, Device, State
from devices.uids import UidLease
from simulators.ipro import IproSimulator
from streaming import learning
from streaming.sources import open as opening

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_client")]

H264, H265 = 1, 4  # cameras of the simulated recorder


@pytest.fixture
async def recorder() -> AsyncIterator[IproSimulator]:
    async with IproSimulator(seed=3, size="320x192") as recorder:
        yield recorder
        assert list(recorder.violations) == []
        assert list(recorder.sessions()) == []
        assert await uids.leases() == []


@pytest.fixture
async def cameras(recorder: IproSimulator, new_camera: Callable[..., Camera], monkeypatch) -> list[Camera]:
    first = await sync_to_async(new_camera)(
        "Camera 1",
        family="ipro",
        host="127.0.0.1",
        port=recorder.port,
        username="ADMIN",
        password="12345",
        status={"channels": 16},
        options={"tls": "off", "transport": "rtp"},
        state=State.ONLINE,
    )
    second = await Camera.objects.acreate(device=first.device, number=H265, name="Camera 4")
    return [first, second]


async def learn() -> list[int]:
    return await learning.learn(await sync_to_async(learning.unknown)())


def somebody(camera: Camera) -> UidLease:
    """Another process, which has the picture of this camera."""
    return UidLease(camera.device_id, "1", "h264", 40_002, 60, holder="elsewhere:1", camera=camera.number)


async def test_formats_are_found_out_and_first_pictures_kept(cameras: list[Camera]):
    assert await learn() == [camera.pk for camera in cameras]
    for camera, codec in zip(cameras, ("h264", "h265"), strict=True):
        await camera.arefresh_from_db()
        assert camera.learned["video"]["codec"] == codec
        assert pictures.kept(camera.pk) is not None
    assert await sync_to_async(learning.unknown)() == []


async def test_what_the_others_of_a_device_send_is_tried_first(recorder: IproSimulator, cameras: list[Camera]):
    first, other = cameras
    stream = opening.streams_of(first)[0]
    assert await opening._usual(first, stream) == {}
    await Camera.objects.filter(pk=other.pk).aupdate(learned={"video": {"codec": "h264", "transport": "rtp"}})
    assert await opening._usual(first, stream) == {"codec": "h264", "transport": "rtp"}
    assert await learn() == [first.pk]
    started = [each.target for each in recorder.requests if "CMD=START" in each.target]
    assert len(started) == 1  # no wrong one before
    assert "COMP=H264" in started[0]


async def test_a_camera_that_somebody_watches_is_left_alone(cameras: list[Camera]):
    lease = somebody(cameras[0])
    await uids.hold(lease, new=True)
    assert await learn() == [cameras[1].pk]
    await uids.forget(lease)


async def test_it_stops_when_somebody_begins_to_watch(cameras: list[Camera], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(opening, "FIRST_PACKET_SECONDS", 60.0)  # the first guess is wrong, and would take so long
    monkeypatch.setattr(learning, "LOOK_SECONDS", 0.05)
    running = asyncio.create_task(learning.learn(cameras[:1]))
    async with asyncio.timeout(20):
        while not await uids.leases():  # noqa: ASYNC110 — nobody announces it
            await asyncio.sleep(0.02)
        lease = dataclasses.replace(somebody(cameras[0]), id="another")
        await uids.hold(lease, new=True)
        assert await running == []
    await uids.forget(lease)
    assert await learning._due(cameras) == cameras  # that was no failure


async def test_a_camera_that_sends_nothing_is_tried_again_later_and_later(
    recorder: IproSimulator, cameras: list[Camera], monkeypatch: pytest.MonkeyPatch
):
    for patience in ("FIRST_PACKET_SECONDS", "FIRST_PICTURE_SECONDS"):
        monkeypatch.setattr(opening, patience, 0.1)
    recorder.inject("stop-frames", number=0)
    await asyncio.sleep(0)
    assert await learn() == []
    assert await learning._due(cameras) == []
    async with learning.coordinated() as redis:
        assert 0 < await redis.ttl(learning._key(cameras[0], "pause")) <= learning.FIRST_PAUSE
        await redis.delete(learning._key(cameras[0], "pause"))
    assert await learn() == []
    async with learning.coordinated() as redis:
        assert await redis.ttl(learning._key(cameras[0], "pause")) > learning.FIRST_PAUSE


async def test_two_processes_are_never_at_it_at_once(cameras: list[Camera]):
    results = await asyncio.gather(learning.learn(cameras), learning.learn(cameras))
    assert sorted(map(len, results)) == [0, 2]


async def test_only_cameras_that_can_be_asked_and_need_it_are_unknown(cameras: list[Camera], new_camera):
    await sync_to_async(new_camera)("Dome")  # of a family that tells
    device = cameras[0].device

    async def unknown(**change: object) -> list[int]:
        await Device.objects.filter(pk=device.pk).aupdate(**change)
        found = await sync_to_async(learning.unknown)()
        await Device.objects.filter(pk=device.pk).aupdate(enabled=True, state=State.ONLINE, options={})
        return [camera.number for camera in found]

    assert await unknown() == [H264, H265]
    assert await unknown(state=State.DEGRADED) == [H264, H265]
    assert await unknown(state=State.OFFLINE) == []
    assert await unknown(enabled=False) == []
    assert await unknown(options={"transport": "mjpeg"}) == []
    await Camera.objects.filter(number=H264).aupdate(learned={"video": {"codec": "h264"}})
    assert await unknown() == [H265]
