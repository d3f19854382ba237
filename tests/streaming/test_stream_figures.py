"""What runs, who takes it and how it arrives: over the API, and for Prometheus."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from accounts.models import Role
from devices.models import Camera
from streaming.relay import Relays, Timing, relays
from streaming.ring import Fragment
from streaming.viewer import Init, Viewer
from tests.streaming.conftest import Person
from tests.streaming.film import RATE, Film
from tests.streaming.memory import MemoryCamera

pytestmark = pytest.mark.django_db(transaction=True)


def stuck() -> None:
    raise AssertionError("nobody is stuck here")


@pytest.fixture
async def stream(film: Film) -> AsyncIterator[MemoryCamera]:
    yield MemoryCamera(film)
    await relays.close_all()


async def streams(person: Person, path: str = "/api/v1/streams"):
    return await AsyncClient().get(path, headers={"Authorization": f"Bearer {person.bearer}"})


async def pictures(viewer: Viewer, count: int) -> None:
    async with asyncio.timeout(10):
        while count:
            count -= isinstance(await viewer.next(), Fragment)


async def test_operators_see_what_runs_and_who_takes_it(new_camera, new_person: Callable, stream: MemoryCamera):
    camera: Camera = await sync_to_async(new_camera)()
    otto: Person = await sync_to_async(new_person)("otto", role=Role.OPERATOR)
    with (
        relays.watch(camera.pk, "h264", stream.source, stuck, who="ann") as keeps_up,
        relays.watch(camera.pk, "h264", stream.source, stuck, who="bob") as slow,
    ):
        await stream.opened.wait()
        stream.send(2)
        await pictures(keeps_up, 2)
        await pictures(slow, 2)
        stream.send(2 * RATE)
        await pictures(keeps_up, 2)
        answer = await streams(otto)
        assert answer.status_code == 200
        (told,) = answer.json()["results"]
        assert (told["camera"], told["stream"], told["state"], told["width"]) == (camera.pk, "h264", "live", 640)
        assert (told["codec"], told["gop"], told["openings"]) == (stream.units[0].track.codec, RATE, 1)
        assert told["gop_seconds"] == pytest.approx(1.0, abs=0.2)
        assert told["upstream"] == {"lost": 3}
        assert told["first_after"] >= 0
        ann, bob = told["viewers"]
        assert (ann["who"], bob["who"], bob["frames"], bob["dropped"]) == ("ann", "bob", 2, 0)
        assert bob["lag"] > 0
        assert ann["first_after"] >= 0
        await pictures(slow, 1)
        ann, bob = (await streams(otto)).json()["results"][0]["viewers"]
        assert bob["dropped"] > 0


async def test_only_streams_of_cameras_in_reach_are_told(new_camera, new_person: Callable, stream: MemoryCamera):
    camera: Camera = await sync_to_async(new_camera)()
    other: Camera = await sync_to_async(new_camera)("Yard")
    otto: Person = await sync_to_async(new_person)("otto", other, role=Role.OPERATOR)
    ann: Person = await sync_to_async(new_person)("ann")
    with relays.watch(camera.pk, "h264", stream.source, stuck):
        assert (await streams(otto)).json() == {"count": 0, "results": []}
        assert (await streams(ann)).status_code == 403


async def test_each_viewer_and_stream_is_measured_for_prometheus(
    new_camera, new_person: Callable, stream: MemoryCamera
):
    camera: Camera = await sync_to_async(new_camera)()
    ann: Person = await sync_to_async(new_person)(role=Role.OPERATOR)
    with relays.watch(camera.pk, "h264", stream.source, stuck) as viewer:
        await stream.opened.wait()
        stream.send(2)
        await pictures(viewer, 2)
        lines = (await streams(ann, "/metrics")).content.decode().splitlines()
        labels = f'camera="{camera.pk}",stream="h264",viewer="{viewer.number}"'
        assert f"vms_viewer_frames_total{{{labels}}} 2.0" in lines
        assert f"vms_viewer_dropped_total{{{labels}}} 0.0" in lines
        assert f"vms_viewer_lag{{{labels}}} 0.0" in lines
        assert any(line.startswith(f"vms_viewer_first_after{{{labels}}}") for line in lines)
        stream_labels = f'camera="{camera.pk}",stream="h264"'
        for name in ("jitter", "first_after", "gop_seconds", "viewer_lag", "upstream_lost_total"):
            assert any(line.startswith(f"vms_stream_{name}{{{stream_labels}}}") for line in lines), name
        assert "vms_converted_streams 0.0" in lines


async def test_jitter_tells_how_unevenly_pictures_come(film: Film):
    async def jitter_of(late: float) -> float:
        """With every other picture so many seconds late."""
        own, source = Relays(Timing(linger=60)), MemoryCamera(film)
        source.units = [
            unit._replace(received=100 + number / RATE + late * (number % 2))
            for number, unit in enumerate(source.units)
        ]
        with own.watch(1, "h264", source.source, stuck):
            await source.opened.wait()
            source.send(60)
            jitter = own.figures()[1, "h264"]["jitter"]
        await own.close_all()
        return jitter

    assert await jitter_of(0.0) == pytest.approx(0.0, abs=1e-4)
    assert await jitter_of(0.02) == pytest.approx(0.02, rel=0.1)


async def test_time_to_the_first_picture_counts_from_the_opening(film: Film):
    own, source = Relays(Timing(first_picture=60, silence=60, linger=60)), MemoryCamera(film)
    with own.watch(1, "h264", source.source, stuck) as viewer:
        await source.opened.wait()
        assert "first_after" not in own.figures()[1, "h264"]
        assert viewer.first_after is None
        await asyncio.sleep(0.05)
        source.send(1)
        async with asyncio.timeout(10):
            while not isinstance(await viewer.next(), Init):
                pass
        assert own.figures()[1, "h264"]["first_after"] >= 0.05
        assert viewer.first_after >= 0.05
    await own.close_all()
