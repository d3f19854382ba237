"""One upstream, many viewers."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import av
import pytest

from streaming.connection import Line
from streaming.media import AudioTrack, AudioUnit, Unit
from streaming.relay import Relays, Timing
from streaming.ring import Fragment
from streaming.sources import SourceFailed, SourceRefused, Upstream
from streaming.viewer import Dropped, Ended, Init, Item, State, Status, Viewer
from streaming.wire import fmp4
from tests.streaming.film import RATE, Film, make_film, numbers_seen, units_of
from tests.streaming.memory import MemoryCamera

FOREVER = Timing(first_picture=60, silence=60, linger=60, first_retry=0.001, longest_retry=0.01, abandon=60, tick=0.005)
SHORT = Timing(
    first_picture=0.1, silence=0.05, linger=0.02, first_retry=0.001, longest_retry=0.01, abandon=0.05, tick=0.005
)


@pytest.fixture
async def camera(film: Film) -> MemoryCamera:
    return MemoryCamera(film)


@pytest.fixture
async def relays() -> AsyncIterator[Relays]:
    relays = Relays(FOREVER)
    yield relays
    await relays.close_all()


@pytest.fixture
async def hasty() -> AsyncIterator[Relays]:
    """Relays with no patience."""
    relays = Relays(SHORT)
    yield relays
    await relays.close_all()


def stuck() -> None:
    raise AssertionError("this viewer was not expected to be stuck")


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 — about states that nobody announces
            await asyncio.sleep(0.002)


async def items(viewer: Viewer, count: int) -> list[Item]:
    async with asyncio.timeout(10):
        return [await viewer.next() for _ in range(count)]


async def fragments(viewer: Viewer, count: int) -> list[Fragment]:
    """The next pictures, whatever else is told between."""
    found: list[Fragment] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            item = await viewer.next()
            if isinstance(item, Fragment):
                found.append(item)
    return found


def shown(init: Init, parts: list[Fragment]) -> list[int]:
    return numbers_seen(init.segment + b"".join(part.data for part in parts))


async def states(viewer: Viewer, wanted: State) -> Status:
    async with asyncio.timeout(10):
        while True:
            item = await viewer.next()
            if isinstance(item, Status) and item.state is wanted:
                return item


async def test_a_viewer_gets_status_then_init_then_pictures_from_a_key_picture(relays: Relays, camera: MemoryCamera):
    with relays.watch(1, "h264", camera.source, stuck) as viewer:
        assert (await items(viewer, 1))[0].state is State.CONNECTING
        await camera.opened.wait()
        camera.send(3)
        status, init, *pictures = await items(viewer, 5)
        assert status == Status(State.LIVE, "")
        assert init.mime == f'video/mp4; codecs="{camera.units[0].track.codec}"'
        assert [picture.key for picture in pictures] == [True, False, False]
        assert shown(init, pictures) == [0, 1, 2]


async def test_who_comes_later_starts_at_once_at_the_newest_key_picture(relays: Relays, camera: MemoryCamera):
    with relays.watch(1, "h264", camera.source, stuck):
        await camera.opened.wait()
        camera.send(RATE + 5)
        with relays.watch(1, "h264", camera.source, stuck) as late:
            status, init, *pictures = await items(late, 7)
            assert status.state is State.LIVE
            assert shown(init, pictures) == [*range(RATE, RATE + 5)]
            camera.send()
            assert shown(init, pictures + await fragments(late, 1)) == [*range(RATE, RATE + 6)]
    assert camera.openings == 1


async def test_all_viewers_share_the_same_bytes(relays: Relays, camera: MemoryCamera):
    with (
        relays.watch(1, "h264", camera.source, stuck) as one,
        relays.watch(1, "h264", camera.source, stuck) as two,
    ):
        await camera.opened.wait()
        camera.send(4)
        for mine, yours in zip(await fragments(one, 4), await fragments(two, 4), strict=True):
            assert mine.data is yours.data


async def test_streams_are_kept_apart(relays: Relays, camera: MemoryCamera, film: Film):
    other = MemoryCamera(film)
    with (
        relays.watch(1, "h264", camera.source, stuck),
        relays.watch(1, "h264_2", other.source, stuck),
    ):
        await camera.opened.wait()
        await other.opened.wait()
        assert set(relays.figures()) == {(1, "h264"), (1, "h264_2")}


async def test_other_parameter_sets_bring_a_new_init_segment_before_their_key_picture(
    relays: Relays, camera: MemoryCamera
):
    smaller = units_of(make_film(3, width=320, height=180))
    with relays.watch(1, "h264", camera.source, stuck) as viewer:
        await camera.opened.wait()
        camera.send(2)
        await fragments(viewer, 2)
        camera.units[2:5] = smaller
        camera.send(3)
        init, *pictures = await items(viewer, 4)
        assert isinstance(init, Init)
        assert (init.track.width, init.track.height) == (320, 180)
        assert shown(init, pictures) == [0, 1, 2]


# --- Slow viewers -----------------------------------------------------------------------------------------------------
async def test_a_slow_viewer_goes_on_at_the_newest_key_picture_and_is_told(relays: Relays, camera: MemoryCamera):
    with relays.watch(1, "h264", camera.source, stuck) as viewer:
        await camera.opened.wait()
        camera.send(2)
        await fragments(viewer, 2)
        camera.send(3 * RATE)  # 2 … 46: two more key pictures than it can have
        dropped, *pictures = await items(viewer, 3)
        assert dropped == Dropped(3 * RATE - 2)
        assert viewer.dropped == 3 * RATE - 2
        assert pictures[0].key
        assert relays.figures()[1, "h264"]["viewer_drops"] == 3 * RATE - 2


async def test_a_viewer_that_is_a_little_behind_loses_nothing(relays: Relays, camera: MemoryCamera):
    with relays.watch(1, "h264", camera.source, stuck) as viewer:
        await camera.opened.wait()
        camera.send(RATE - 3)
        await fragments(viewer, RATE - 3)
        camera.send(6)  # a key picture among them
        await fragments(viewer, 6)
        assert viewer.dropped == 0


async def test_the_ring_holds_a_gop_and_half_a_second(relays: Relays, camera: MemoryCamera):
    with relays.watch(1, "h264", camera.source, stuck):
        await camera.opened.wait()
        for _ in range(60):
            camera.send()
            figures = relays.figures()[1, "h264"]
            (relay,) = relays._relays.values()
            assert len(relay.pictures.pieces) <= RATE + RATE // 2 + 2
            assert figures["ring_bytes"] == sum(len(each.data) for each in relay.pictures.pieces)


async def test_a_ring_without_key_pictures_is_bounded(relays: Relays, camera: MemoryCamera, monkeypatch):
    monkeypatch.setattr("streaming.relay.MAX_RING_BYTES", 1)
    with relays.watch(1, "h264", camera.source, stuck) as viewer:
        await camera.opened.wait()
        for _ in range(RATE):
            camera.send()
            await fragments(viewer, 1)  # who keeps up loses nothing
        with relays.watch(1, "h264", camera.source, stuck) as late:
            await items(late, 1)
            camera.send()  # the next key picture
            assert [each.key for each in await fragments(late, 1)] == [True]
    assert viewer.dropped == 0


async def test_a_stuck_viewer_is_dropped(hasty: Relays, camera: MemoryCamera):
    noticed = asyncio.Event()
    with (
        hasty.watch(1, "h264", camera.source, noticed.set) as busy,
        hasty.watch(1, "h264", camera.source, stuck) as fine,
    ):
        await camera.opened.wait()
        camera.send()
        await fragments(busy, 1)  # and now it is sending it, for ever
        async with asyncio.timeout(10):
            while not noticed.is_set():
                if camera.opened.is_set():
                    camera.send()
                item = asyncio.ensure_future(fine.next())
                await asyncio.wait([item], timeout=0.01)
                item.cancel()
        with pytest.raises(Ended):
            await busy.next()


async def test_a_paused_viewer_gets_nothing_and_resumes_with_the_present(relays: Relays, camera: MemoryCamera):
    with relays.watch(1, "h264", camera.source, stuck) as viewer:
        await camera.opened.wait()
        camera.send(2)
        await fragments(viewer, 2)
        viewer.pause()
        camera.send(2 * RATE)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(viewer.next(), 0.02)
        viewer.resume()
        (picture,) = await items(viewer, 1)
        assert picture.key
        assert viewer.dropped == 0


# --- The upstream -----------------------------------------------------------------------------------------------------
async def test_the_upstream_is_closed_a_little_after_the_last_viewer(hasty: Relays, camera: MemoryCamera):
    with hasty.watch(1, "h264", camera.source, stuck):
        await camera.opened.wait()
    assert camera.closings == 0
    await until(lambda: camera.closings == 1 and not hasty.figures())


async def test_who_comes_back_soon_finds_the_same_upstream(relays: Relays, camera: MemoryCamera):
    with relays.watch(1, "h264", camera.source, stuck):
        await camera.opened.wait()
        camera.send(3)
    with relays.watch(1, "h264", camera.source, stuck) as again:
        assert len(await fragments(again, 3)) == 3
    assert camera.openings == 1


async def test_who_comes_while_it_is_being_closed_gets_a_new_upstream_after_it(hasty: Relays, camera: MemoryCamera):
    camera.may_close.clear()
    with hasty.watch(1, "h264", camera.source, stuck):
        await camera.opened.wait()
    await until(lambda: not camera.opened.is_set())
    with hasty.watch(1, "h264", camera.source, stuck) as viewer:
        camera.may_close.set()
        await camera.opened.wait()
        assert (camera.openings, camera.closings) == (2, 1)
        camera.send()
        await fragments(viewer, 1)


async def test_silence_is_noticed_and_the_stream_opened_anew_on_the_same_socket(hasty: Relays, camera: MemoryCamera):
    with hasty.watch(1, "h264", camera.source, stuck) as viewer:
        await camera.opened.wait()
        camera.send(3)
        init = next(item for item in await items(viewer, 5) if isinstance(item, Init))
        status = await states(viewer, State.STALLED)
        assert "No picture" in status.detail
        await until(lambda: camera.openings >= 2 and camera.opened.is_set())
        camera.sent = RATE
        camera.send(3)
        await states(viewer, State.LIVE)
        after = await items(viewer, 3)
        # The same parameter sets need no new init segment, and the timeline goes on without a gap.
        assert all(isinstance(item, Fragment) for item in after)
        assert shown(init, after) == [RATE, RATE + 1, RATE + 2]
        with av.open(io.BytesIO(init.segment + b"".join(item.data for item in after))) as container:
            assert next(container.demux(video=0)).dts == pytest.approx(3 * 6000, abs=4000)


async def test_a_lost_session_is_opened_anew(relays: Relays, camera: MemoryCamera):
    with relays.watch(1, "h264", camera.source, stuck) as viewer:
        await camera.opened.wait()
        camera.lost_reason = "The camera has forgotten us."
        camera.lost.set()
        assert (await states(viewer, State.STALLED)).detail == "The camera has forgotten us."
        await until(lambda: camera.openings == 2)


async def test_a_failed_first_dial_is_tried_again(relays: Relays, camera: MemoryCamera):
    camera.problem = SourceFailed("The camera does not answer.")
    with relays.watch(1, "h264", camera.source, stuck) as viewer:
        assert await states(viewer, State.OFFLINE) == Status(State.OFFLINE, "The camera does not answer.")
        await until(lambda: camera.openings > 3)
        camera.problem = None
        await camera.opened.wait()
        camera.send()
        await states(viewer, State.LIVE)


async def test_a_refusal_ends_the_viewers_and_is_not_repeated(relays: Relays, camera: MemoryCamera):
    camera.problem = SourceRefused("H.264 is switched off at the camera.")
    with relays.watch(1, "h264", camera.source, stuck) as viewer:
        with pytest.raises(SourceRefused, match="switched off"):
            await items(viewer, 3)
        await until(lambda: not relays.figures())
    assert camera.openings == 1


async def test_a_mistake_of_ours_ends_the_viewers_with_a_sentence(relays: Relays, camera: MemoryCamera, caplog):
    camera.problem = ZeroDivisionError()
    with relays.watch(1, "h264", camera.source, stuck) as viewer, pytest.raises(Ended, match="mistake"):
        await items(viewer, 3)
    assert "mistake of ours" in caplog.text


async def test_closing_all_ends_viewers_and_closes_upstreams(relays: Relays, camera: MemoryCamera, film: Film):
    other = MemoryCamera(film)
    with (
        relays.watch(1, "h264", camera.source, stuck) as one,
        relays.watch(2, "h264", other.source, stuck) as two,
    ):
        waiting = [asyncio.ensure_future(states(viewer, State.LIVE)) for viewer in (one, two)]
        await camera.opened.wait()
        await other.opened.wait()
        await relays.close_all()
        assert (camera.closings, other.closings) == (1, 1)
        for each in waiting:
            with pytest.raises(Ended):
                await each
    assert not relays.figures()


async def test_figures_tell_what_a_stream_delivers(hasty: Relays, camera: MemoryCamera):
    with hasty.watch(1, "h264", camera.source, stuck) as viewer:
        await camera.opened.wait()
        camera.send(RATE + 2)
        await fragments(viewer, 2)
        figures = hasty.figures()[1, "h264"]
        assert (figures["frames"], figures["viewers"], figures["gop"], figures["upstream_lost"]) == (
            RATE + 2,
            1,
            RATE,
            3,
        )
        assert hasty.status(1, "h264") == Status(State.LIVE, "")


async def test_closing_what_is_closing_already_lets_it_say_its_goodbye(hasty: Relays, camera: MemoryCamera):
    closing, closed = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def source(on_unit: Callable[[Unit], None]) -> AsyncIterator[Upstream]:
        async with camera.source(on_unit) as upstream:
            try:
                yield upstream
            finally:
                closing.set()
                await asyncio.sleep(0.05)  # the device takes its time to answer
                closed.set()

    with hasty.watch(1, "h264", source, stuck):
        await camera.opened.wait()
    await asyncio.wait_for(closing.wait(), 10)
    await hasty.close_all()
    assert closed.is_set()


# --- In step ----------------------------------------------------------------------------------------------------------
class FakeLine:
    """What a viewer's transport is to the relay."""

    def __init__(self) -> None:
        self.full = False
        self.closed = False
        self.written: list[bytes] = []

    def waiting(self) -> int:
        return 1 if self.full else 0

    def write(self, message: tuple[bytes, bytes]) -> None:
        if self.closed:
            raise RuntimeError("the handler is closed")
        self.written.append(message[1])


async def in_step(viewer: Viewer, line: FakeLine) -> asyncio.Task[Item | None]:
    """Its task, when it waits for the next picture and nothing else."""
    viewer.use(Line(line.waiting, line.write))
    waiting = asyncio.create_task(viewer.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    return waiting


async def ended(task: asyncio.Task[Item | None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def test_who_is_in_step_gets_each_picture_on_its_line_and_is_not_woken(relays: Relays, camera: MemoryCamera):
    with (
        relays.watch(1, "h264", camera.source, stuck) as viewer,
        relays.watch(1, "h264", camera.source, stuck) as other,
    ):
        await camera.opened.wait()
        camera.send()
        (first,) = await fragments(viewer, 1)
        line = FakeLine()
        waiting = await in_step(viewer, line)
        camera.send(3)
        await asyncio.sleep(0)
        assert not waiting.done()
        assert viewer.frames == 4
        assert viewer.lag == 0
        assert [first.data, *line.written] == [picture.data for picture in await fragments(other, 4)]
        assert viewer.shown == other.shown
        await ended(waiting)
        assert viewer.frames == 4


async def test_a_line_on_which_bytes_wait_is_left_alone_and_nothing_is_lost_or_repeated(
    relays: Relays, camera: MemoryCamera
):
    with relays.watch(1, "h264", camera.source, stuck) as viewer:
        await camera.opened.wait()
        camera.send()
        (first,) = await fragments(viewer, 1)
        line = FakeLine()
        waiting = await in_step(viewer, line)
        camera.send(2)
        line.full = True
        camera.send(2)
        third = await waiting
        (fourth,) = await fragments(viewer, 1)
        line.full = False
        again = await in_step(viewer, line)
        camera.send()
        assert [first.data, *line.written[:2], third.data, fourth.data, line.written[2]] == [
            picture.data for picture in pictures_of(relays)
        ]
        await ended(again)


async def test_a_line_that_has_closed_leaves_the_others_in_step(relays: Relays, camera: MemoryCamera):
    with (
        relays.watch(1, "h264", camera.source, stuck) as viewer,
        relays.watch(1, "h264", camera.source, stuck) as other,
    ):
        await camera.opened.wait()
        camera.send()
        await fragments(viewer, 1)
        await fragments(other, 1)
        gone, line = FakeLine(), FakeLine()
        gone.closed = True
        waiting, staying = await in_step(viewer, gone), await in_step(other, line)
        camera.send(2)
        assert isinstance(await waiting, Fragment)
        assert len(line.written) == 2
        await ended(staying)


@pytest.mark.parametrize("what", ["status", "init", "pause", "interrupt", "end", "hear"])
async def test_whatever_else_is_to_happen_to_a_viewer_happens_before_the_next_picture(
    relays: Relays, camera: MemoryCamera, film: Film, what: str
):
    with relays.watch(1, "h264", camera.source, stuck) as viewer:
        await camera.opened.wait()
        camera.send()
        await fragments(viewer, 1)
        line = FakeLine()
        waiting = await in_step(viewer, line)
        relay = relays.all()[1, "h264"]
        match what:
            case "status":
                relay._tell(State.STALLED, "No picture.")
            case "init":
                relay.init = None
                relay._live = None
            case "pause":
                viewer.pause()
            case "interrupt":
                viewer.interrupt()
            case "end":
                viewer.end(Ended("enough"))
            case "hear":
                viewer.hear(True)
        camera.send(RATE)
        assert line.written == []
        await ended(waiting)


def pictures_of(relays: Relays) -> list[Fragment]:
    return relays.all()[1, "h264"].pictures.pieces


# --- Asking again -----------------------------------------------------------------------------------------------------
class Away:
    """A source whose device is away for some knocks, then there again."""

    def __init__(self, camera: MemoryCamera) -> None:
        self.camera = camera
        self.there = False
        self.knocks = 0

    @asynccontextmanager
    async def __call__(self, on_unit: Callable[[Unit], None]) -> AsyncIterator[Upstream]:
        if not self.there:
            self.camera.openings += 1
            raise SourceFailed("It does not answer.")
        async with self.camera.source(on_unit) as upstream:
            yield upstream

    async def knock(self) -> bool:
        self.knocks += 1
        return self.there


async def test_a_device_that_can_be_reached_again_is_asked_at_once(camera: MemoryCamera):
    patient = Relays(replace(FOREVER, first_retry=60.0, longest_retry=60.0, knock=0.005))
    source = Away(camera)
    with patient.watch(1, "h264", source, stuck) as viewer:
        await states(viewer, State.OFFLINE)
        await until(lambda: source.knocks > 2)
        assert camera.openings == 1
        source.there = True
        async with asyncio.timeout(10):
            await camera.opened.wait()
    await patient.close_all()


async def test_a_device_that_was_there_all_along_is_not_asked_sooner(camera: MemoryCamera):
    patient = Relays(replace(FOREVER, first_retry=60.0, longest_retry=60.0, knock=0.005))
    source = Away(camera)
    source.there = True
    camera.problem = SourceFailed("It is busy.")
    with patient.watch(1, "h264", source, stuck) as viewer:
        await states(viewer, State.OFFLINE)
        await until(lambda: source.knocks > 5)
        assert camera.openings == 1
    await patient.close_all()


async def test_it_is_opened_anew_when_its_device_was_changed(relays: Relays, camera: MemoryCamera):
    with relays.watch(1, "h264", camera.source, stuck) as viewer:
        await camera.opened.wait()
        camera.send()
        await fragments(viewer, 1)
        relays.all()[1, "h264"].open_anew("The settings of its device were changed.")
        assert (await states(viewer, State.STALLED)).detail == "The settings of its device were changed."
        await until(lambda: camera.openings == 2)


# --- Tracks that come and go ------------------------------------------------------------------------------------------
async def test_sound_that_begins_waits_for_a_key_picture_so_that_nothing_is_shown_twice(
    relays: Relays, camera: MemoryCamera
):
    with relays.watch(1, "h264", camera.source, stuck, sound=True) as viewer:
        await camera.opened.wait()
        camera.send(3)
        init, *before = [item for item in await items(viewer, 5) if not isinstance(item, Status)]
        camera.say(sound_unit(0))
        after: list[Item] = []
        async with asyncio.timeout(10):
            while not (after and isinstance(after[-1], Init)):
                camera.send()
                after.append(await viewer.next())
        numbers = shown(init, [*before, *(each for each in after if isinstance(each, Fragment))])
        assert numbers == list(range(RATE)), "each picture once, up to the next key picture"
        assert after[-1].sound is not None
        assert (await fragments(viewer, 1))[0].key


async def test_sound_that_ends_with_the_stream_brings_no_old_pictures(hasty: Relays, camera: MemoryCamera):
    with hasty.watch(1, "h264", camera.source, stuck, sound=True) as viewer:
        await camera.opened.wait()
        camera.say(sound_unit(0))
        camera.send(4)
        camera.say(sound_unit(1))
        seen = [each.start for each in await fragments(viewer, 5) if fmp4.is_picture(each.data)]
        await states(viewer, State.STALLED)
        following = asyncio.create_task(viewer.next())
        async with asyncio.timeout(10):
            while camera.openings < 2 or not following.done():
                await asyncio.sleep(0.005)
                if camera.openings == 2 and camera.opened.is_set():
                    camera.send(RATE - camera.sent % RATE + 1)  # up to a key picture
                while following.done() and not isinstance(item := following.result(), Fragment):
                    following = asyncio.create_task(viewer.next())
                    await asyncio.sleep(0.005)
        assert isinstance(item, Fragment)
        assert item.start not in seen


def sound_unit(number: int) -> AudioUnit:
    track = AudioTrack("aac", "mp4a.40.2", 48_000, 1, b"\x11\x88")
    return AudioUnit(track, 1024 * number, time.time(), 1024, b"sound")
