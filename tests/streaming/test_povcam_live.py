"""From a strict simulated recorder to fragments: asked for by CGI, received as RTP, given back in order."""

import asyncio
from collections.abc import AsyncIterator
from fractions import Fraction

import pytest
from asgiref.sync import sync_to_async

from devices.models import Camera, Device
from simulators.povcam import PovcamSimulator
from simulators.video import VideoFormat
from streaming.relay import Relays, Timing
from streaming.ring import Fragment
from streaming.sources.open import device_source
from streaming.viewer import Init, State, Status, Viewer
from tests.streaming.film import numbers_seen

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.one_database,
    pytest.mark.usefixtures("redis_client"),
]

STREAMS = {1: VideoFormat(640, 360, Fraction(15), 1000), 2: VideoFormat(320, 180, Fraction(15), 500)}


@pytest.fixture
async def recorder() -> AsyncIterator[PovcamSimulator]:
    async with PovcamSimulator(seed=7, streams=STREAMS) as recorder:
        yield recorder


@pytest.fixture
async def camera(recorder: PovcamSimulator, new_camera) -> Camera:
    return await sync_to_async(new_camera)(host="127.0.0.1", port=recorder.port, username="admin", password="12345")


@pytest.fixture
async def relays(recorder: PovcamSimulator) -> AsyncIterator[Relays]:
    """Closed while the recorder still answers."""
    relays = Relays(Timing(silence=1.0, linger=0.05, first_retry=0.05, tick=0.05))
    yield relays
    await relays.close_all()


def stuck() -> None:
    raise AssertionError("this viewer was not expected to be stuck")


async def pictures(viewer: Viewer, count: int) -> bytes:
    """An init segment and so many pictures."""
    parts: list[bytes] = []
    async with asyncio.timeout(20):
        while len(parts) < 1 + count:
            item = await viewer.next()
            if isinstance(item, Init):
                parts = [item.segment]
            elif isinstance(item, Fragment) and parts:
                parts.append(item.data)
    return b"".join(parts)


async def state(viewer: Viewer, wanted: State) -> Status:
    async with asyncio.timeout(20):
        while True:
            item = await viewer.next()
            if isinstance(item, Status) and item.state is wanted:
                return item


async def closed(relays: Relays) -> None:
    async with asyncio.timeout(15):
        while relays.figures():  # noqa: ASYNC110 — nobody announces it
            await asyncio.sleep(0.01)


def in_order(numbers: list[int]) -> bool:
    """No picture twice or out of its place. (A recorder on a busy machine leaves numbers out itself.)"""
    return numbers == sorted(set(numbers))


async def test_pictures_arrive_whole_and_in_order_and_everything_is_given_back(
    relays: Relays, recorder: PovcamSimulator, camera: Camera
):
    with (
        relays.watch(camera.pk, "h264", device_source(camera.pk, "h264"), stuck) as one,
        relays.watch(camera.pk, "h264", device_source(camera.pk, "h264"), stuck) as two,
    ):
        mine, yours = await asyncio.gather(pictures(one, 40), pictures(two, 40))
        assert mine == yours
        assert in_order(numbers_seen(mine))
        assert len(list(recorder.sessions())) == 1
        assert relays.figures()[camera.pk, "h264"]["upstream_lost"] == 0
    await closed(relays)
    assert list(recorder.sessions()) == []
    assert list(recorder.violations) == []


async def test_both_streams_of_a_camera_at_once(relays: Relays, recorder: PovcamSimulator, camera: Camera):
    with (
        relays.watch(camera.pk, "h264", device_source(camera.pk, "h264"), stuck) as large,
        relays.watch(camera.pk, "h264_2", device_source(camera.pk, "h264_2"), stuck) as small,
    ):
        assert in_order(numbers_seen(await pictures(large, 5)))
        assert in_order(numbers_seen(await pictures(small, 5)))
    await closed(relays)
    assert list(recorder.violations) == []


async def test_a_recorder_that_stops_sending_is_asked_again(relays: Relays, recorder: PovcamSimulator, camera: Camera):
    with relays.watch(camera.pk, "h264", device_source(camera.pk, "h264"), stuck) as viewer:
        await pictures(viewer, 3)
        recorder.inject("stop-frames", seconds=1.5)
        await state(viewer, State.STALLED)
        await state(viewer, State.LIVE)


async def test_lost_packets_cost_pictures_but_damage_none(relays: Relays, recorder: PovcamSimulator, camera: Camera):
    recorder.inject("lose-packets", every=40)
    with relays.watch(camera.pk, "h264", device_source(camera.pk, "h264"), stuck) as viewer:
        numbers = numbers_seen(await pictures(viewer, 40))
        assert numbers == sorted(set(numbers))
        figures = relays.figures()[camera.pk, "h264"]
        assert figures["upstream_lost"] > 0
        assert figures["upstream_dropped"] > 0


async def test_a_wrong_password_is_a_refusal_with_a_sentence(relays: Relays, recorder: PovcamSimulator, new_camera):
    recorder.user_auth = True
    camera = await sync_to_async(new_camera)(host="127.0.0.1", port=recorder.port, username="admin", password="wrong")
    with (
        relays.watch(camera.pk, "h264", device_source(camera.pk, "h264"), stuck) as viewer,
        pytest.raises(Exception, match="password"),
    ):
        await state(viewer, State.LIVE)
    await closed(relays)


async def test_a_device_that_is_switched_off_here_is_not_asked(
    relays: Relays, recorder: PovcamSimulator, camera: Camera
):
    await Device.objects.filter(pk=camera.device_id).aupdate(enabled=False)
    with (
        relays.watch(camera.pk, "h264", device_source(camera.pk, "h264"), stuck) as viewer,
        pytest.raises(Exception, match="switched off"),
    ):
        await state(viewer, State.LIVE)
    assert list(recorder.requests) == []


async def test_a_recorder_that_is_away_is_tried_until_it_is_back(
    relays: Relays, recorder: PovcamSimulator, camera: Camera
):
    with relays.watch(camera.pk, "h264", device_source(camera.pk, "h264"), stuck) as viewer:
        await pictures(viewer, 3)
        recorder.reboot(1.0)
        status = await state(viewer, State.STALLED)
        assert status.detail
        await state(viewer, State.LIVE)
