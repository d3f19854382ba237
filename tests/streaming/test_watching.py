"""One socket, several streams: going over without a gap, and never to what cannot be shown."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise

import pytest

from devices.families.base import Stream
from streaming import connection
from streaming.choice import Choice, Rendition, Wanted
from streaming.media import AccessUnit
from streaming.relay import Relays, Timing
from streaming.ring import Fragment
from streaming.sources import SourceRefused
from streaming.viewer import Ended, Init, Item, State, Status
from streaming.watching import Watching
from streaming.wire import fmp4
from tests.streaming.film import RATE, Film, make_film, units_of
from tests.streaming.memory import MemoryCamera

PATIENT = Timing(first_picture=60, silence=60, linger=0.02, first_retry=0.001, longest_retry=0.01, tick=0.005)
LARGE = Choice(Stream("large", "h264", 640, 360, RATE, "rtp"))
SMALL = Choice(Stream("small", "h264", 320, 180, RATE, "rtp"))
SMALLER = replace(SMALL, rendition=Rendition.H264)


def stuck() -> None:
    raise AssertionError("this viewer was not expected to be stuck")


@pytest.fixture
async def relays() -> AsyncIterator[Relays]:
    relays = Relays(PATIENT)
    yield relays
    await relays.close_all()


@pytest.fixture
async def cameras(film: Film) -> dict[str, MemoryCamera]:
    small = MemoryCamera(film)
    small.units = units_of(make_film(45, width=320, height=180))
    return {"large": MemoryCamera(film), "small": small}


def watching(relays: Relays, cameras: dict[str, MemoryCamera], choice: Choice = LARGE) -> Watching:
    return Watching(relays, 1, Wanted(), choice, lambda choice: cameras[choice.name].source, stuck)


def send(camera: MemoryCamera) -> None:
    """The next picture, as it would arrive now."""
    unit = camera.units[camera.sent % len(camera.units)]
    camera.units[camera.sent % len(camera.units)] = unit._replace(received=time.time())
    camera.send()


async def take(watching: Watching, count: int) -> list[Item]:
    async with asyncio.timeout(10):
        return [await watching.next() for _ in range(count)]


async def until_init(watching: Watching, width: int, *cameras: MemoryCamera) -> list[Item]:
    """What came up to the init segment of a track that wide, while these cameras go on sending."""
    found: list[Item] = []
    async with asyncio.timeout(20):
        while True:
            coming = asyncio.ensure_future(watching.next())
            while not coming.done():
                for camera in cameras:
                    if camera.opened.is_set():
                        send(camera)
                await asyncio.wait([coming], timeout=0.01)
            found.append(coming.result())
            if isinstance(found[-1], Init) and found[-1].track.width == width:
                return found


async def test_it_goes_over_at_a_key_picture_and_the_times_go_on(relays: Relays, cameras: dict[str, MemoryCamera]):
    large, small = cameras["large"], cameras["small"]
    with watching(relays, cameras) as socket:
        await until_init(socket, 640, large)
        socket.show(SMALL, Wanted())
        before = await until_init(socket, 320, large, small)
        assert socket.choice == SMALL
        send(small)
        after = await take(socket, 2)
        assert isinstance(after[0], Fragment)
        assert after[0].key
        starts = [each.start for each in [*before, *after] if isinstance(each, Fragment)]
        assert starts == sorted(set(starts))
        assert len(starts) > 3
    async with asyncio.timeout(10):
        while relays.figures():  # noqa: ASYNC110 — nobody tells
            await asyncio.sleep(0.01)
    assert (large.closings, small.closings) == (1, 1)


async def test_the_old_stream_goes_on_until_the_new_one_is_there(relays: Relays, cameras: dict[str, MemoryCamera]):
    large = cameras["large"]
    with watching(relays, cameras) as socket:
        await until_init(socket, 640, large)
        await take(socket, 1)
        socket.show(SMALL, Wanted())
        for _ in range(5):
            send(large)
            (picture,) = await take(socket, 1)
            assert isinstance(picture, Fragment)
        assert socket.choice == LARGE


async def test_a_stalled_stream_keeps_nobody_from_going_over(relays: Relays, cameras: dict[str, MemoryCamera]):
    with watching(relays, cameras) as socket:
        (first,) = await take(socket, 1)
        assert isinstance(first, Status)
        waiting = asyncio.ensure_future(until_init(socket, 320, cameras["small"]))
        await asyncio.sleep(0.02)
        socket.show(SMALL, Wanted())
        await waiting
        assert socket.choice == SMALL


async def test_a_stream_that_cannot_be_had_leaves_the_old_one_and_is_said(
    relays: Relays, cameras: dict[str, MemoryCamera]
):
    cameras["small"].problem = SourceRefused("H.264 (2) is switched off.")
    with watching(relays, cameras) as socket:
        await until_init(socket, 640, cameras["large"])
        socket.show(SMALL, Wanted())
        async with asyncio.timeout(10):
            while not isinstance(item := await socket.next(), Status):
                pass
        assert item.state is State.LIVE
        assert "H.264 (2) is switched off." in item.detail
        send(cameras["large"])
        assert isinstance((await take(socket, 1))[0], Fragment)


async def test_who_changes_his_mind_twice_gets_what_he_wanted_last(relays: Relays, cameras: dict[str, MemoryCamera]):
    with watching(relays, cameras) as socket:
        await until_init(socket, 640, cameras["large"])
        socket.show(SMALL, Wanted())
        socket.show(LARGE, Wanted())
        send(cameras["large"])
        assert all(not isinstance(item, Init) for item in await take(socket, 2))
        assert socket.choice == LARGE


async def test_what_the_browser_cannot_play_is_converted_though_nobody_knew_before(
    relays: Relays, cameras: dict[str, MemoryCamera]
):
    strange = MemoryCamera.__new__(MemoryCamera)
    strange.__dict__ |= cameras["small"].__dict__
    strange.units = [AccessUnit(replace(unit.track, kind="h265"), *unit[1:]) for unit in cameras["small"].units]
    cameras = {"small": strange, SMALLER.name: cameras["large"]}
    with watching(relays, cameras, SMALL) as socket:
        found = await until_init(socket, 640, strange, cameras[SMALLER.name])
        assert not any(isinstance(item, Fragment) for item in found)
        assert socket.choice == SMALLER


async def test_the_end_of_the_stream_ends_it(relays: Relays, cameras: dict[str, MemoryCamera]):
    with watching(relays, cameras) as socket:
        await take(socket, 1)
        closing = asyncio.ensure_future(relays.close_all())
        with pytest.raises(Ended):
            await take(socket, 5)
        await closing


async def test_two_streams_in_the_same_moment_change_at_the_first_key_picture(
    relays: Relays, cameras: dict[str, MemoryCamera]
):
    """Whichever of the two comes a little sooner, and though the new one stands a little before the old one."""
    large, small = cameras["large"], cameras["small"]
    with watching(relays, cameras, SMALL) as socket, relays.watch(1, "large", large.source, stuck):
        await until_init(socket, 320, small, large)
        for _ in range(RATE):
            send(large)  # it begins a little before the small one, each time
            send(small)
            await asyncio.sleep(0.002)
        socket.show(LARGE, Wanted())
        while (large.sent % len(large.units)) % RATE != 0:
            send(large)
            send(small)
        found: list[Item] = []
        for _ in range(8):
            send(large)
            send(small)
        async with asyncio.timeout(10):
            while not (found and isinstance(found[-1], Init) and found[-1].track.width == 640):
                found.append(await socket.next())
            found += [await socket.next() for _ in range(6)]
        pictures = [each for each in found if isinstance(each, Fragment)]
        places = [fmp4.place_of(each.data) for each in pictures]
        assert all(start == before + lasting for (before, lasting), (start, _) in pairwise(places[-6:]))
        starts = [start for start, _ in places]
        assert starts == sorted(set(starts))


async def test_sound_that_was_switched_on_stays_on_when_the_stream_changes(
    relays: Relays, cameras: dict[str, MemoryCamera]
):
    with watching(relays, cameras) as socket:
        await until_init(socket, 640, cameras["large"])
        socket.hear(True)
        socket.show(SMALL, Wanted())
        await until_init(socket, 320, cameras["large"], cameras["small"])
        assert cameras["small"].sound_wanted
        socket.hear(False)
        socket.show(LARGE, Wanted())
        await until_init(socket, 640, cameras["large"], cameras["small"])
        assert not cameras["large"].sound_wanted


async def test_what_is_paused_stays_so_when_the_stream_changes(relays: Relays, cameras: dict[str, MemoryCamera]):
    with watching(relays, cameras) as socket:
        await until_init(socket, 640, cameras["large"])
        socket.pause()
        socket.show(SMALL, Wanted())
        coming = asyncio.ensure_future(socket.next())
        for _ in range(2 * RATE):
            for camera in cameras.values():
                if camera.opened.is_set():
                    send(camera)
            await asyncio.sleep(0.001)
            while coming.done() and isinstance(coming.result(), Status):
                coming = asyncio.ensure_future(socket.next())
        assert not coming.done()
        coming.cancel()
        socket.resume()
        await until_init(socket, 320, *cameras.values())


async def test_going_back_before_the_other_came_is_as_if_nothing_had_been(
    relays: Relays, cameras: dict[str, MemoryCamera]
):
    line = connection.Line(lambda: 0, lambda message: None)
    with watching(relays, cameras) as socket:
        socket._direct = line
        socket._now.viewer.use(line)
        await until_init(socket, 640, cameras["large"])
        socket.show(SMALL, Wanted())
        assert socket._now.viewer.line is None
        socket.show(LARGE, Wanted())
        assert socket._now.viewer.line is line
