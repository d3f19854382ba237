"""Sound beside pictures: for those who want it, while there is some."""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from fractions import Fraction

import av
import pytest

from streaming.media import AudioTrack, AudioUnit
from streaming.relay import Relays, Timing
from streaming.ring import Fragment
from streaming.viewer import Init, Item, Viewer
from tests.streaming.film import RATE, Film
from tests.streaming.memory import MemoryCamera

TIMING = Timing(first_picture=60, silence=60, linger=60, tick=0.02, mute=0.6)
RATE_OF_SOUND = 16_000


def tone(seconds: float) -> list[AudioUnit]:
    """AAC as a microphone beside the camera sends it."""
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE_OF_SOUND, "mono", "fltp"
    encoder.time_base = Fraction(1, RATE_OF_SOUND)
    encoder.open()
    track = AudioTrack("aac", "mp4a.40.2", RATE_OF_SOUND, 1, bytes(encoder.extradata))
    units = []
    for number in range(round(seconds * RATE_OF_SOUND / 1024)):
        frame = av.AudioFrame("fltp", "mono", 1024)
        frame.sample_rate, frame.pts, frame.time_base = RATE_OF_SOUND, number * 1024, encoder.time_base
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        units += [
            AudioUnit(track, (packet.pts or 0) + 1024, 0.0, 1024, bytes(packet)) for packet in encoder.encode(frame)
        ]
    return units


@pytest.fixture
async def camera(film: Film) -> MemoryCamera:
    return MemoryCamera(film)


@pytest.fixture
async def relays() -> AsyncIterator[Relays]:
    relays = Relays(TIMING)
    yield relays
    await relays.close_all()


def stuck() -> None:
    raise AssertionError("this viewer was not expected to be stuck")


def send_both(camera: MemoryCamera, seconds: float, sound: list[AudioUnit]) -> None:
    """Pictures and sound as they would arrive together."""
    began = time.time()
    pieces = iter(sound)
    ahead = 0.0
    for number in range(round(seconds * RATE)):
        camera.units[camera.sent % len(camera.units)] = camera.units[camera.sent % len(camera.units)]._replace(
            received=began + number / RATE
        )
        camera.send()
        while ahead <= number / RATE and (unit := next(pieces, None)) is not None:
            camera.say(unit._replace(received=began + ahead))
            ahead += 1024 / RATE_OF_SOUND


async def everything(viewer: Viewer, until: float = 0.1) -> list[Item]:
    """What a viewer gets until nothing comes any more."""
    found: list[Item] = []
    while True:
        try:
            async with asyncio.timeout(until):
                item = await viewer.next()
        except TimeoutError:
            return found
        assert item is not None
        found.append(item)


def is_sound(piece: Item) -> bool:
    return isinstance(piece, Fragment) and piece.data[12:16] == b"\0\0\0\2"  # prft's track


async def test_sound_is_announced_with_its_first_piece_and_both_can_be_played(relays: Relays, camera: MemoryCamera):
    with relays.watch(1, "h264", camera.source, stuck, sound=True) as viewer:
        await camera.opened.wait()
        assert camera.sound_wanted
        send_both(camera, 0.9, tone(0.9))
        found = await everything(viewer)
    inits = [item for item in found if isinstance(item, Init)]
    assert "mp4a.40.2" in inits[-1].mime
    pieces = [item for item in found[found.index(inits[-1]) + 1 :] if isinstance(item, Fragment)]
    assert pieces[0].key
    assert not is_sound(pieces[0])
    with av.open(io.BytesIO(inits[-1].segment + b"".join(each.data for each in pieces))) as container:
        times: dict[str, list[float]] = {"video": [], "audio": []}
        for packet in container.demux():
            if packet.dts is not None:
                times[packet.stream.type].append(float(packet.dts * packet.time_base))
                packet.decode()
    assert len(times["video"]) == round(0.9 * RATE)
    assert len(times["audio"]) >= 10
    assert times["audio"][0] == pytest.approx(times["video"][0], abs=0.1)
    assert times["audio"][-1] == pytest.approx(times["video"][-1], abs=0.15)


async def test_who_wants_no_sound_gets_none(relays: Relays, camera: MemoryCamera):
    with (
        relays.watch(1, "h264", camera.source, stuck) as quiet,
        relays.watch(1, "h264", camera.source, stuck, sound=True),
    ):
        await camera.opened.wait()
        send_both(camera, 0.9, tone(0.9))
        found = await everything(quiet)
    assert not any(is_sound(item) for item in found)
    assert [item.mime.count("mp4a") for item in found if isinstance(item, Init)] == [0]


async def test_sound_is_asked_for_only_while_somebody_wants_it(relays: Relays, camera: MemoryCamera):
    with relays.watch(1, "h264", camera.source, stuck) as viewer:
        await camera.opened.wait()
        assert not camera.sound_wanted
        viewer.hear(True)
        assert camera.sound_wanted
        viewer.hear(False)
        assert not camera.sound_wanted


async def test_when_sound_falls_silent_pictures_go_on_without_it(relays: Relays, camera: MemoryCamera):
    """A track that is announced and silent would stop the pictures in a browser."""
    with relays.watch(1, "h264", camera.source, stuck, sound=True) as viewer:
        await camera.opened.wait()
        send_both(camera, 0.9, tone(0.5))
        await everything(viewer)
        async with asyncio.timeout(10):
            camera.send()
            while not isinstance(item := await viewer.next(), Init):  # with the next key picture
                camera.send()
                await asyncio.sleep(0.05)
        assert "mp4a" not in item.mime
        (first, *_) = await everything(viewer)
        assert isinstance(first, Fragment)
        assert first.key
        # and when it comes back it is announced again
        send_both(camera, 1.1, tone(1.1))
        assert "mp4a" in [item.mime for item in await everything(viewer) if isinstance(item, Init)][-1]


async def test_who_hears_later_does_so_from_the_next_key_picture_on_and_sees_nothing_twice(
    relays: Relays, camera: MemoryCamera
):
    with (
        relays.watch(1, "h264", camera.source, stuck, sound=True),
        relays.watch(1, "h264", camera.source, stuck) as late,
    ):
        await camera.opened.wait()
        send_both(camera, 1.4, tone(1.4))
        seen = [item.start for item in await everything(late) if isinstance(item, Fragment)]
        late.hear(True)
        assert await everything(late) == []
        send_both(camera, 1.1, tone(1.1))
        found = await everything(late)
        at = next(number for number, item in enumerate(found) if isinstance(item, Init))
        init, first, *others = found[at:]
        assert isinstance(init, Init)
        assert init.sound is not None
        assert isinstance(first, Fragment)
        assert first.key
        heard = [item for item in others if is_sound(item)]
        assert heard
        assert all(each.start >= first.start for each in heard)
        pictures = [item.start for item in found if isinstance(item, Fragment) and not is_sound(item)]
        assert [*seen, *pictures] == sorted({*seen, *pictures})


async def test_sound_alone_is_kept_within_bounds(relays: Relays, camera: MemoryCamera):
    with relays.watch(1, "h264", camera.source, stuck, sound=True):
        await camera.opened.wait()
        camera.send()
        unit = tone(0.3)[0]
        for number in range(2000):
            camera.say(unit._replace(time=number * 1024, received=time.time() + number * 1024 / RATE_OF_SOUND))
        (relay,) = relays._relays.values()
        assert len(relay.sound.pieces) * 1024 / RATE_OF_SOUND < 15
