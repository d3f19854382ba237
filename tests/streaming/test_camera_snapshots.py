"""Single pictures of a camera: of its stream, of its device, or the last that was kept."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.http import HttpResponse
from django.test import AsyncClient
from PIL import Image

from devices import pictures
from devices.errors import NoAnswer
from devices.families.ipcam.driver import IpcamDriver
from devices.models import Camera
from simulators.picture import read_strip
from streaming import snapshots
from streaming.jpegs import NoPicture, jpeg_of, scaled
from streaming.media import AccessUnit, VideoTrack
from streaming.relay import Relay, relays
from tests.streaming.conftest import Person
from tests.streaming.film import RATE, Film, units_of
from tests.streaming.memory import MemoryCamera

pytestmark = pytest.mark.django_db(transaction=True)

Look = Callable[..., Any]


def jpeg(number: int = 0, width: int = 640) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (width, width * 9 // 16), (number, 90, 90)).save(written, "JPEG")
    return written.getvalue()


def size_of(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


def number_in(data: bytes) -> int:
    strip = read_strip(Image.open(io.BytesIO(data)))
    assert strip is not None
    return strip[1]


def now(units: list[AccessUnit]) -> list[AccessUnit]:
    return [unit._replace(received=time.time()) for unit in units]


@pytest.fixture
async def stream(film: Film) -> AsyncIterator[MemoryCamera]:
    source = MemoryCamera(film)
    source.units = now(source.units)
    yield source
    await relays.close_all()


@pytest.fixture
async def look(new_person) -> Look:
    """`await look(camera, last=1)` asks for its snapshot.jpg."""
    ann: Person = await sync_to_async(new_person)()

    async def ask(camera: Camera, **query: object) -> HttpResponse:
        headers = {"Authorization": f"Bearer {ann.bearer}"}
        return await AsyncClient().get(f"/api/v1/cameras/{camera.pk}/snapshot.jpg", query, headers=headers)

    return ask


@pytest.fixture
def still_camera(new_camera, monkeypatch: pytest.MonkeyPatch) -> Camera:
    """One whose device gives single pictures; `asked` counts how many."""
    camera = new_camera("Still", family="ipcam")
    camera.asked = 0

    async def snapshot(driver: IpcamDriver, gateway: object, which: Camera) -> bytes:
        camera.asked += 1
        await asyncio.sleep(0.01)
        if camera.problem is not None:
            raise camera.problem
        return jpeg(camera.asked)

    camera.problem = None
    monkeypatch.setattr(IpcamDriver, "snapshot", snapshot)
    monkeypatch.setattr(snapshots, "_answered", {})
    return camera


def stuck() -> None:
    raise AssertionError("nobody is stuck here")


# --- Of a stream ------------------------------------------------------------------------------------------------------
async def test_a_running_stream_gives_its_newest_key_picture(look: Look, new_camera, stream: MemoryCamera):
    camera = await sync_to_async(new_camera)(family="ipro")  # which gives no single pictures
    with relays.watch(camera.pk, "h264", stream.source, stuck):
        await stream.opened.wait()
        stream.send(RATE + 3)
        answer = await look(camera)
        assert answer.status_code == 200
        assert answer["Content-Type"] == "image/jpeg"
        assert answer["X-Picture-Origin"] == "stream"
        assert "no-store" in answer["Cache-Control"]
        assert 0 <= float(answer["X-Picture-Age"]) < 60
        taken = parsedate_to_datetime(answer["Last-Modified"]).timestamp()
        assert taken == int(stream.units[RATE].received)
        assert (size_of(answer.content), number_in(answer.content)) == ((640, 360), RATE)


async def test_a_picture_is_decoded_once_however_many_ask(
    look: Look, new_camera, stream: MemoryCamera, monkeypatch: pytest.MonkeyPatch
):
    decoded: list[int] = []

    def counted(track: VideoTrack, data: bytes, width: int | None = None) -> bytes:
        decoded.append(len(data))
        return jpeg_of(track, data, width)

    monkeypatch.setattr(snapshots, "jpeg_of", counted)
    camera = await sync_to_async(new_camera)(family="ipro")  # which gives no single pictures
    with relays.watch(camera.pk, "h264", stream.source, stuck):
        await stream.opened.wait()
        stream.send(2)
        taken = await asyncio.gather(*(snapshots.take(camera) for _ in range(10)))
        assert len({id(each.data) for each in taken}) == 1
        assert (await snapshots.take(camera)).data is taken[0].data
        assert len(decoded) == 1
        stream.send(RATE)
        await snapshots.take(camera)
        assert len(decoded) == 2


async def test_a_stream_that_stands_still_counts_as_none(look: Look, new_camera, stream: MemoryCamera):
    camera = await sync_to_async(new_camera)(family="ipro")  # which gives no single pictures
    stream.units = [unit._replace(received=time.time() - 60) for unit in stream.units]
    with relays.watch(camera.pk, "h264", stream.source, stuck):
        await stream.opened.wait()
        stream.send(2)
        assert (await look(camera)).status_code == 404


async def test_it_is_made_as_small_as_wanted(look: Look, new_camera, stream: MemoryCamera):
    camera = await sync_to_async(new_camera)(family="ipro")  # which gives no single pictures
    with relays.watch(camera.pk, "h264", stream.source, stuck):
        await stream.opened.wait()
        stream.send(2)
        assert size_of((await look(camera, width=320)).content) == (320, 180)
        assert size_of((await look(camera, width=4000)).content) == (640, 360)
        for senseless in ("0", "100000", "wide"):
            assert (await look(camera, width=senseless)).status_code == 400


# --- Of the device ----------------------------------------------------------------------------------------------------
async def test_without_a_stream_the_device_is_asked_once_however_many_ask(look: Look, still_camera: Camera):
    answers = await asyncio.gather(*(look(still_camera) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer["X-Picture-Origin"] for answer in answers} == {"device"}
    assert still_camera.asked == 1  # also of those that came a moment later
    snapshots._answered.clear()  # a second later
    await look(still_camera)
    assert still_camera.asked == 2


async def test_what_the_device_gave_is_kept(look: Look, still_camera: Camera):
    answer = await look(still_camera)
    kept = await look(still_camera, last=1)
    assert kept["X-Picture-Origin"] == "kept"
    assert kept.content == answer.content
    assert still_camera.asked == 1


async def test_when_the_device_does_not_answer_the_last_picture_is_given_with_its_age(look: Look, still_camera: Camera):
    still_camera.problem = NoAnswer("Nothing answers there. Check the address.")
    answer = await look(still_camera)
    assert answer.status_code == 504
    assert answer.json() == {"error": "Nothing answers there. Check the address."}
    pictures.keep(still_camera.pk, jpeg(), time.time() - 3600)
    answer = await look(still_camera)
    assert (answer.status_code, answer["X-Picture-Origin"]) == (200, "kept")
    assert float(answer["X-Picture-Age"]) >= 3599
    assert still_camera.asked == 1  # and that it failed is remembered for a second, too


async def test_a_device_that_is_switched_off_here_is_not_asked(look: Look, still_camera: Camera):
    still_camera.device.enabled = False
    await still_camera.device.asave()
    assert (await look(still_camera)).status_code == 404
    assert still_camera.asked == 0


# --- The last that was kept -------------------------------------------------------------------------------------------
async def test_no_picture_at_all_is_said_or_quietly_so(look: Look, new_camera):
    camera = await sync_to_async(new_camera)(family="ipro")  # which gives no single pictures
    answer = await look(camera)
    assert answer.status_code == 404
    assert "no picture of Gate yet" in answer.json()["error"]
    answer = await look(camera, last=1)
    assert (answer.status_code, answer.content) == (204, b"")


async def test_the_last_picture_is_kept_when_a_stream_ends(look: Look, new_camera, stream: MemoryCamera):
    camera = await sync_to_async(new_camera)(family="ipro")  # which gives no single pictures
    with relays.watch(camera.pk, "h264", stream.source, stuck):
        await stream.opened.wait()
        stream.send(RATE + 1)
        assert pictures.kept(camera.pk) is None
    await relays.close_all()
    kept = pictures.kept(camera.pk)
    assert kept is not None
    assert number_in(kept.data) == RATE
    assert kept.at == pytest.approx(stream.units[RATE].received)
    assert (await look(camera, last=1, width=320)).status_code == 200


async def test_nothing_is_kept_of_a_camera_that_was_removed_meanwhile(new_camera, stream: MemoryCamera):
    camera = await sync_to_async(new_camera)(family="ipro")  # which gives no single pictures
    with relays.watch(camera.pk, "h264", stream.source, stuck):
        await stream.opened.wait()
        stream.send(1)
        number = camera.pk
        await camera.adelete()
    await relays.close_all()
    assert pictures.kept(number) is None


async def test_who_may_not_watch_gets_no_picture(new_camera, new_person):
    camera, other = await sync_to_async(new_camera)(), await sync_to_async(new_camera)("Yard")
    pictures.keep(camera.pk, jpeg(), time.time())
    ann: Person = await sync_to_async(new_person)("ann", other)
    path, headers = f"/api/v1/cameras/{camera.pk}/snapshot.jpg?last=1", {"Authorization": f"Bearer {ann.bearer}"}
    assert (await AsyncClient().get(path, headers=headers)).status_code == 404
    assert (await AsyncClient().get(f"/api/v1/cameras/{camera.pk}/snapshot.jpg")).status_code == 401


# --- JPEG -------------------------------------------------------------------------------------------------------------
def test_a_key_picture_becomes_a_jpeg_and_garbage_does_not(film: Film):
    unit = units_of(film)[0]
    assert size_of(jpeg_of(unit.track, unit.data)) == (640, 360)
    assert size_of(jpeg_of(unit.track, unit.data, 100)) == (100, 56)
    for garbage in (b"", unit.data[:40], b"\0" * 100):
        with pytest.raises(NoPicture):
            jpeg_of(unit.track, garbage)


def test_a_jpeg_is_only_touched_to_make_it_smaller():
    whole = jpeg()
    assert scaled(whole, 640) is whole
    assert size_of(scaled(whole, 160)) == (160, 90)
    for garbage in (b"", whole[:30], b"\xff\xd8\xff\xe0" + b"\0" * 50):
        with pytest.raises(NoPicture):
            scaled(garbage, 160)


async def test_a_running_stream_is_kept_now_and_then(monkeypatch: pytest.MonkeyPatch, film: Film):
    """By the relay's own clock, and not of what is made from another stream here."""
    from streaming.relay import Relays, Timing

    seen: list[tuple[int, str]] = []

    def note(camera: int, stream: str, relay: Relay) -> None:
        seen.append((camera, stream))

    own = Relays(Timing(first_picture=60, silence=60, linger=60, tick=0.005, keep_first=0.01, keep_again=0.01))
    own.on_picture = note
    source = MemoryCamera(film)
    with own.watch(1, "h264", source.source, stuck):
        await source.opened.wait()
        source.send(1)
        async with asyncio.timeout(10):
            while len(seen) < 3:  # noqa: ASYNC110 — nobody announces it
                await asyncio.sleep(0.005)
    await own.close_all()
    assert set(seen) == {(1, "h264")}
