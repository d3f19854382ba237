"""Pictures made fit for a browser: the right ones, in order, and no more of them than the machine can bear."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from itertools import pairwise

import pytest

from streaming import transcode
from streaming.choice import Rendition
from streaming.relay import Relays, Timing
from streaming.ring import Fragment
from streaming.sources import SourceFailed, SourceRefused
from streaming.transcode import FORMS, Converted, Converter, Load
from streaming.viewer import Init, State, Status, Viewer
from tests.streaming.film import RATE, Film, make_film, mp4_of, numbers_seen, units_of
from tests.streaming.memory import MemoryCamera

PATIENT = Timing(first_picture=60, silence=60, linger=0.02, first_retry=0.001, longest_retry=0.01, tick=0.005)


@pytest.fixture
async def camera(film: Film) -> MemoryCamera:
    return MemoryCamera(film)


@pytest.fixture
async def relays() -> AsyncIterator[Relays]:
    relays = Relays(PATIENT)
    yield relays
    await relays.close_all()


def watch_converted(relays: Relays, camera: MemoryCamera, rendition: Rendition):
    source = Converted(partial(relays.watch, 1, "h264", camera.source), rendition)
    return relays.watch(1, f"h264~{rendition}", source, lambda: None)


async def send_slowly(relays: Relays, camera: MemoryCamera, count: int) -> None:
    """Each picture when the one before was converted."""
    await camera.opened.wait()
    async with asyncio.timeout(30):
        for _ in range(count):
            camera.send()
            (converting,) = relays._relays[1, "h264"].viewers
            while converting.frames < camera.sent or converting._waiter is None:  # noqa: ASYNC110 — nobody tells
                await asyncio.sleep(0.001)


async def pictures(viewer: Viewer, count: int) -> tuple[Init, list[Fragment]]:
    init, found = None, []
    async with asyncio.timeout(20):
        while len(found) < count:
            item = await viewer.next()
            if isinstance(item, Init):
                init = item
            elif isinstance(item, Fragment):
                found.append(item)
    assert init is not None
    return init, found


async def test_every_picture_comes_out_once_and_in_order(relays: Relays, camera: MemoryCamera):
    with watch_converted(relays, camera, Rendition.H264) as viewer:
        seeing = asyncio.create_task(pictures(viewer, 20))
        await send_slowly(relays, camera, 20)
        init, found = await seeing
    assert init.track.kind == "h264"
    assert (init.track.width, init.track.height) == (640, 360)
    assert numbers_seen(init.segment + b"".join(each.data for each in found)) == list(range(20))


@pytest.mark.parametrize("rendition", [Rendition.H264, Rendition.LOW])
def test_pictures_are_as_good_after_a_while_as_in_the_beginning(film: Film, rendition: Rendition):
    units = units_of(film)
    converter = Converter(units[0].track, FORMS[rendition])
    made = [
        made
        for number in range(20 * RATE)
        for made in converter.convert(number / RATE, 3000 * number, 0.0, units[number % len(units)].data)
    ]
    numbers = numbers_seen(mp4_of(made))  # fails when a picture shows none
    assert len(numbers) > 5 * RATE
    late = made[-3 * RATE :]
    size = 8 * sum(len(each.data) for each in late) / (late[-1].time - late[0].time) * 90
    assert 0.02 * FORMS[rendition].kilobits < size < 1.2 * FORMS[rendition].kilobits


async def test_a_picture_keeps_its_place_in_time_and_when_it_reached_us(relays: Relays, camera: MemoryCamera):
    with (
        relays.watch(1, "h264", camera.source, lambda: None) as original,
        watch_converted(relays, camera, Rendition.H264) as viewer,
    ):
        await camera.opened.wait()
        camera.units = [unit._replace(received=1e9 + n / RATE) for n, unit in enumerate(camera.units)]
        camera.send(3)
        _, before = await pictures(original, 3)
        _, after = await pictures(viewer, 3)
    assert [each.received for each in after] == [each.received for each in before]
    assert [each.start for each in after] == pytest.approx([each.start for each in before], abs=0.05)


async def test_a_rendition_for_thin_lines_is_small_and_slow(relays: Relays):
    camera = MemoryCamera(make_film(45, width=1280, height=720))
    with watch_converted(relays, camera, Rendition.LOW) as viewer:
        seeing = asyncio.create_task(pictures(viewer, 20))
        await send_slowly(relays, camera, 45)
        init, found = await seeing
    assert (init.track.width, init.track.height) == (640, 360)
    steps = [after.start - before.start for before, after in pairwise(found)]
    assert min(steps[1:]) > 1.3 / RATE  # every second one of its 15 pictures per second, not more than 12
    size = sum(len(each.data) for each in found)
    assert 8 * size / (found[-1].start - found[0].start) < 700_000


async def test_all_who_need_it_share_one_conversion_and_one_upstream(relays: Relays, camera: MemoryCamera):
    with (
        watch_converted(relays, camera, Rendition.LOW) as one,
        watch_converted(relays, camera, Rendition.LOW) as two,
    ):
        await camera.opened.wait()
        camera.send(2)
        (_, mine), (_, yours) = await pictures(one, 1), await pictures(two, 1)
        assert mine[0].data is yours[0].data
        assert len(transcode.load) == 1
    assert camera.openings == 1


async def test_nothing_is_converted_after_the_last_viewer_has_left(relays: Relays, camera: MemoryCamera):
    with watch_converted(relays, camera, Rendition.LOW) as viewer:
        await camera.opened.wait()
        camera.send(2)
        await pictures(viewer, 1)
    async with asyncio.timeout(10):
        while relays.figures() or len(transcode.load):  # noqa: ASYNC110 — nobody announces it
            await asyncio.sleep(0.01)
    assert camera.closings == 1


async def test_when_the_machine_is_full_the_next_is_refused_with_a_sentence(
    relays: Relays, camera: MemoryCamera, monkeypatch
):
    monkeypatch.setattr(transcode, "MOST", 0)
    with watch_converted(relays, camera, Rendition.LOW) as viewer, pytest.raises(SourceRefused, match="converts"):
        await pictures(viewer, 1)


def test_a_busy_machine_counts_as_full():
    load = Load()
    with load.counted("a"):
        load.tell("a", transcode.BUSY * transcode.CORES + 0.01)
        with pytest.raises(SourceRefused), load.counted("b"):
            pass
    with load.counted("b"):
        assert len(load) == 1


async def test_a_camera_that_is_away_is_said_to_be_so(relays: Relays, camera: MemoryCamera):
    camera.problem = SourceFailed("The camera does not answer.")
    with watch_converted(relays, camera, Rendition.LOW) as viewer:
        async with asyncio.timeout(10):
            while (item := await viewer.next()) != Status(State.OFFLINE, "The camera does not answer."):
                assert isinstance(item, Status)


async def test_a_refusal_of_the_camera_reaches_who_watches_the_converted_picture(relays: Relays, camera: MemoryCamera):
    camera.problem = SourceRefused("H.264 is switched off.")
    with watch_converted(relays, camera, Rendition.LOW) as viewer, pytest.raises(SourceRefused, match="switched off"):
        await pictures(viewer, 1)


async def test_another_size_of_the_original_brings_another_size_of_the_converted(relays: Relays, camera: MemoryCamera):
    with watch_converted(relays, camera, Rendition.H264) as viewer:
        await camera.opened.wait()
        camera.send(1)
        await pictures(viewer, 1)
        camera.units[1:4] = units_of(make_film(3, width=320, height=180))
        camera.send(3)
        init, _ = await pictures(viewer, 1)
    assert (init.track.width, init.track.height) == (320, 180)
