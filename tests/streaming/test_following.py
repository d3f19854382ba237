"""A device that is changed while it is watched is not shown any further as it was."""

import asyncio

import pytest

from devices.models import Camera, Device
from streaming import following
from streaming.relay import Relays, Timing
from streaming.sources import SourceRefused
from streaming.viewer import State, Viewer
from tests.streaming.film import Film
from tests.streaming.memory import MemoryCamera

pytestmark = pytest.mark.django_db(transaction=True)


async def to_the_end(viewer: Viewer) -> None:
    async with asyncio.timeout(20):
        while True:
            await viewer.next()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "CHECK_SECONDS", 0.02)


@pytest.mark.parametrize("change", [{"port": 8081}, {"host": "elsewhere.test"}, {"options": {"transport": "rtsp-tcp"}}])
async def test_a_device_that_was_moved_is_asked_anew(new_camera, film: Film, change: dict):
    camera: Camera = await asyncio.to_thread(new_camera)
    pictures, relays = MemoryCamera(film), Relays(Timing(first_retry=0.001, tick=0.01))
    with relays.watch(camera.pk, "h264", pictures.source, lambda: None):
        following.follow(relays)
        await pictures.opened.wait()
        await asyncio.sleep(0.1)
        assert pictures.openings == 1, "nothing was changed"
        await Device.objects.filter(pk=camera.device_id).aupdate(**change)
        async with asyncio.timeout(20):
            while pictures.openings < 2:  # noqa: ASYNC110 — nobody tells
                await asyncio.sleep(0.01)
    await relays.close_all()


async def test_a_device_that_is_disabled_is_watched_by_nobody_any_more(new_camera, film: Film):
    camera: Camera = await asyncio.to_thread(new_camera)
    pictures, relays = MemoryCamera(film), Relays(Timing(first_retry=0.001, tick=0.01))
    with relays.watch(camera.pk, "h264", pictures.source, lambda: None) as viewer:
        following.follow(relays)
        await pictures.opened.wait()
        pictures.send()
        await asyncio.sleep(0.1)
        pictures.problem = SourceRefused("It is switched off in this system.")  # as the source of a real one says
        await Device.objects.filter(pk=camera.device_id).aupdate(enabled=False)
        with pytest.raises(SourceRefused):
            await to_the_end(viewer)
    await relays.close_all()


async def test_nobody_looks_at_the_database_while_nothing_is_watched(new_camera, film: Film):
    camera: Camera = await asyncio.to_thread(new_camera)
    pictures, relays = MemoryCamera(film), Relays(Timing(linger=0.01))
    with relays.watch(camera.pk, "h264", pictures.source, lambda: None) as viewer:
        following.follow(relays)
        assert (await viewer.next()).state is State.CONNECTING
    async with asyncio.timeout(20):
        assert following._task is not None
        await following._task
