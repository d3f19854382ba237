"""Sound of strict simulated devices, in every way the documents give it: heard, in step with the pictures, given back.

The simulated sound is a tone that is loud at the full second, when the number of the picture is a multiple of their
rate.
"""

import asyncio
import io
import json
import statistics
from collections.abc import AsyncIterator
from fractions import Fraction
from functools import partial
from itertools import pairwise

import av
import httpx
import pytest
from asgiref.sync import sync_to_async

from devices import keeping, uids
from devices.api.cameras import camera_out
from devices.models import Camera
from simulators.hama import HamaSimulator
from simulators.ipro import IproSimulator
from simulators.picture import read_strip
from simulators.povcam import PovcamSimulator
from simulators.video import VideoFormat
from streaming.choice import Rendition
from streaming.relay import Relays, Timing
from streaming.ring import Fragment
from streaming.sources import sound
from streaming.sources.open import device_source
from streaming.transcode import Converted
from streaming.viewer import Init, State, Status, Viewer
from tests.streaming.conftest import TOLD
from tests.streaming.seeing import pieces, state, stuck, until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.one_database,
    pytest.mark.usefixtures("redis_client"),
]

SECONDS = 3.2  # of sound, so that some beeps are in it
IN_STEP = 0.15


@pytest.fixture
async def ipro() -> AsyncIterator[IproSimulator]:
    async with IproSimulator(seed=3, size="320x192") as recorder:
        yield recorder
        assert list(recorder.violations) == []


@pytest.fixture
async def hama() -> AsyncIterator[HamaSimulator]:
    async with HamaSimulator(seed=9) as camera:
        yield camera
        assert list(camera.violations) == []


@pytest.fixture
async def povcam() -> AsyncIterator[PovcamSimulator]:
    streams = {1: VideoFormat(640, 360, Fraction(15), 1000), 2: VideoFormat(320, 180, Fraction(15), 500)}
    async with PovcamSimulator(seed=7, streams=streams) as recorder:
        yield recorder
        assert list(recorder.violations) == []


@pytest.fixture
async def relays(ipro: IproSimulator, hama: HamaSimulator, povcam: PovcamSimulator) -> AsyncIterator[Relays]:
    """Closed while the devices still answer."""
    relays = Relays(Timing(silence=2.0, linger=0.05, first_retry=0.05, tick=0.05))
    yield relays
    await relays.close_all()


@pytest.fixture
def camera_of(new_camera):
    async def make(device: IproSimulator | HamaSimulator | PovcamSimulator, **fields: object) -> Camera:
        user = {"username": "ADMIN" if device.family == "ipro" else "admin", "password": "12345"}
        where = {"family": device.family, "host": "127.0.0.1", "port": device.port}
        return await sync_to_async(new_camera)(f"Camera {device.family}", **where, **user, **fields)

    return make


@pytest.fixture
def recorder_camera(camera_of, ipro: IproSimulator):
    async def make(transport: str = "rtp", **options: object) -> Camera:
        camera = await camera_of(
            ipro, status={"channels": 16}, options={"transport": transport, "tls": "off", **options}
        )
        camera.learned = {"video": {"codec": "h264", "transport": transport}}
        await camera.asave()
        return camera

    return make


async def switch_on(povcam: PovcamSimulator) -> None:
    """Audio is off as a POVCAM comes."""
    async with httpx.AsyncClient(base_url=povcam.url, auth=httpx.DigestAuth("admin", "12345")) as client:
        answer = await client.post("/cgi-bin/set_audio?audio=1&audio_sens=middle&audio_transmit=1")
        assert answer.is_success


def listen(relays: Relays, camera: Camera, stream: str):
    return relays.watch(camera.pk, stream, device_source(camera.pk, stream), stuck, sound=True)


def is_sound(piece: Fragment) -> bool:
    return piece.data[12:16] == b"\0\0\0\2"


async def with_sound(viewer: Viewer, seconds: float = SECONDS) -> tuple[Init, list[Fragment]]:
    """So much of the newest stream that has sound."""
    init: Init | None = None
    parts: list[Fragment] = []
    async with asyncio.timeout(60):
        while not parts or parts[-1].start - parts[0].start < seconds:
            item = await viewer.next()
            if isinstance(item, Init):
                init, parts = item, []
            elif isinstance(item, Fragment) and init is not None and init.sound is not None:
                parts.append(item)
    assert init is not None
    assert "mp4a.40.2" in init.mime
    return init, parts


def beeps(init: Init, parts: list[Fragment], rate: int) -> tuple[list[float], list[float]]:
    """When it beeps, and when it should by the pictures."""
    heard: list[tuple[float, float]] = []  # when, how loud
    seen: list[float] = []
    with av.open(io.BytesIO(init.segment + b"".join(part.data for part in parts))) as container:
        for packet in container.demux():
            for frame in packet.decode():
                assert frame.pts is not None
                assert frame.time_base is not None
                when = float(frame.pts * frame.time_base)
                if isinstance(frame, av.AudioFrame):
                    samples = memoryview(bytes(frame.planes[0])).cast("f")[: frame.samples]
                    step = frame.sample_rate // 100
                    heard += [
                        (when + at / frame.sample_rate, max(map(abs, samples[at : at + step])))
                        for at in range(0, len(samples) - step + 1, step)
                    ]
                elif isinstance(frame, av.VideoFrame):
                    strip = read_strip(frame.to_image())
                    if strip is not None and strip[1] % rate <= 1:  # a camera may send every second one only
                        seen.append(when - strip[1] % rate / rate)
    limit = 2 * statistics.median(loud for _, loud in heard[10:])
    assert limit > 0.01, "this is silence"
    begins = [now for before, now in pairwise(heard[10:]) if before[1] <= limit < now[1]]
    onsets = [when for when, _ in begins]
    return [each for number, each in enumerate(onsets) if number == 0 or each - onsets[number - 1] > 0.5], seen


def assert_in_step(init: Init, parts: list[Fragment], rate: int = 15) -> None:
    """Every beep that is heard is at a full second of the pictures."""
    heard, seen = beeps(init, parts, rate)
    assert heard
    for when in heard:
        assert min(abs(when - each) for each in seen) < IN_STEP, (heard, seen)


# --- POVCAM -----------------------------------------------------------------------------------------------------------
async def test_a_povcam_is_heard_in_step_and_everything_is_given_back(
    relays: Relays, povcam: PovcamSimulator, camera_of
):
    await switch_on(povcam)
    camera = await camera_of(povcam)
    with listen(relays, camera, "h264") as viewer:
        init, parts = await with_sound(viewer)
        assert_in_step(init, parts)
        assert len(list(povcam.sessions())) == 1  # sound needs no place of its own
    await until(lambda: not relays.figures())
    assert list(povcam.sessions()) == []


async def test_a_povcam_without_sound_shows_its_pictures_and_tells_who_listens(
    relays: Relays, povcam: PovcamSimulator, camera_of
):
    camera = await camera_of(povcam)
    source = device_source(camera.pk, "h264")
    with listen(relays, camera, "h264") as viewer, relays.watch(camera.pk, "h264", source, stuck) as deaf:
        status = await state(viewer, State.LIVE)
        while not status.detail:
            status = await state(viewer, State.LIVE)
        assert "sends no sound. Switch its audio" in status.detail
        async with asyncio.timeout(20):
            while deaf.frames < 5:
                item = await deaf.next()
                assert not isinstance(item, Status) or "sound" not in item.detail
        shown = viewer.frames
        async with asyncio.timeout(20):
            while viewer.frames < shown + 5:
                item = await viewer.next()
                assert not isinstance(item, Init) or item.sound is None
    await until(lambda: not relays.figures())
    assert list(povcam.sessions()) == []


async def test_why_nothing_is_heard_is_told_as_soon_as_somebody_wants_to_hear_and_no_longer(
    relays: Relays, povcam: PovcamSimulator, camera_of, hasty: None
):
    camera = await camera_of(povcam)
    with relays.watch(camera.pk, "h264", device_source(camera.pk, "h264"), stuck) as viewer:
        await pieces(viewer, 1)
        viewer.hear(True)
        while not (status := await state(viewer, State.LIVE)).detail:
            pass
        assert "sends no sound" in status.detail
        viewer.hear(False)
        while (status := await state(viewer, State.LIVE)).detail:
            pass


async def test_who_sees_a_converted_picture_is_told_too_why_nothing_is_heard(
    relays: Relays, povcam: PovcamSimulator, camera_of, hasty: None
):
    camera = await camera_of(povcam)
    original = partial(relays.watch, camera.pk, "h264", device_source(camera.pk, "h264"))
    with relays.watch(camera.pk, "h264~low", Converted(original, Rendition.LOW), stuck, sound=True) as viewer:
        while not (status := await state(viewer, State.LIVE)).detail:
            pass
        assert "sends no sound" in status.detail


# --- i-PRO ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("transport", ["rtp", "http"])
async def test_a_recorder_is_heard_in_step_and_its_uid_is_given_back(
    relays: Relays, ipro: IproSimulator, recorder_camera, transport: str
):
    camera = await recorder_camera(transport)
    with listen(relays, camera, "video") as viewer:
        init, parts = await with_sound(viewer)
        assert_in_step(init, parts)
        assert len(list(ipro.sessions())) == 1
    await until(lambda: not relays.figures())
    assert list(ipro.sessions()) == []


# --- HAMA -------------------------------------------------------------------------------------------------------------
async def test_a_hama_is_heard_in_step_with_its_converted_pictures(relays: Relays, hama: HamaSimulator, camera_of):
    camera = await camera_of(hama, status={})
    original = partial(relays.watch, camera.pk, "mjpeg", device_source(camera.pk, "mjpeg"))
    with relays.watch(camera.pk, "mjpeg~h264", Converted(original, Rendition.H264), stuck, sound=True) as viewer:
        init, parts = await with_sound(viewer)
        assert_in_step(init, parts, rate=30)
    await until(lambda: not relays.figures())


# --- Every codec of a recorder ----------------------------------------------------------------------------------------
@pytest.fixture
async def recorder_of(relays: Relays, new_camera) -> AsyncIterator[object]:
    """A recorder whose cameras send sound of this kind, and its first camera."""
    opened: list[IproSimulator] = []

    async def make(audio: str, transport: str, g726: str) -> Camera:
        recorder = await IproSimulator(seed=3, size="320x192", audio=audio).__aenter__()
        opened.append(recorder)
        options = {"transport": transport, "tls": "off", "g726": g726}
        where = {"family": "ipro", "host": "127.0.0.1", "port": recorder.port, "username": "ADMIN", "password": "12345"}
        camera = await sync_to_async(new_camera)("Gate", **where, status={"channels": 16}, options=options)
        camera.learned = {"video": {"codec": "h264", "transport": transport}}
        await camera.asave()
        return camera

    yield make
    await relays.close_all()
    for each in opened:
        assert list(each.sessions()) == []
        assert list(each.violations) == []
        await each.stop()


@pytest.mark.parametrize("transport", ["rtp", "http"])
@pytest.mark.parametrize(("audio", "g726"), [("g711u", "le"), ("g711a", "le"), ("g726", "be"), ("g726le", "le")])
async def test_a_recorder_is_heard_whatever_its_codec(
    relays: Relays, recorder_of, transport: str, audio: str, g726: str
):
    camera = await recorder_of(audio, transport, g726)
    with listen(relays, camera, "video") as viewer:
        init, parts = await with_sound(viewer, 2.2)
        assert_in_step(init, parts)


# --- When it is wanted, and when there is none ------------------------------------------------------------------------
@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "LINGER", 0.1)
    monkeypatch.setattr(sound, "SILENCE", 1.5)
    monkeypatch.setattr(sound, "FIRST_PAUSE", 0.2)


def sends_sound(device: IproSimulator | PovcamSimulator) -> bool:
    return any(session["audio"] for session in device.sessions())


async def test_sound_is_asked_of_the_device_only_while_somebody_wants_it(
    relays: Relays, povcam: PovcamSimulator, camera_of, hasty: None
):
    await switch_on(povcam)
    camera = await camera_of(povcam)
    with relays.watch(camera.pk, "h264", device_source(camera.pk, "h264"), stuck) as viewer:
        await pieces(viewer, 3)
        assert not sends_sound(povcam)
        viewer.hear(True)
        await with_sound(viewer, 0.5)
        assert sends_sound(povcam)
        viewer.hear(False)
        await until(lambda: not sends_sound(povcam))
        async with asyncio.timeout(30):
            while not isinstance(item := await viewer.next(), Init):  # with the next key picture
                pass
        assert item.sound is None
        assert relays.figures()[camera.pk, "h264"]["openings"] == 1
        viewer.hear(True)
        await with_sound(viewer, 0.5)


async def test_sound_that_falls_silent_leaves_the_pictures_alone_and_is_asked_for_again(
    relays: Relays, ipro: IproSimulator, recorder_camera, hasty: None
):
    camera = await recorder_camera()
    with listen(relays, camera, "video") as viewer:
        await with_sound(viewer, 0.5)
        ipro.inject("stop-sound", number=1)
        async with asyncio.timeout(20):
            while not isinstance(item := await viewer.next(), Init):
                pass
        assert item.sound is None
        async with asyncio.timeout(20):
            seen = 0
            while seen < 5:
                seen += isinstance(await viewer.next(), Fragment)
        figures = relays.figures()[camera.pk, "video"]
        assert figures["openings"] == 1
        await until(lambda: relays.figures()[camera.pk, "video"]["upstream_sound_openings"] > 1)
        ipro.inject("clear")
        await with_sound(viewer, 0.5)


async def test_sound_begins_again_with_pictures_that_began_again(
    relays: Relays, ipro: IproSimulator, recorder_camera, hasty: None
):
    camera = await recorder_camera("http")
    with listen(relays, camera, "video") as viewer:
        await with_sound(viewer, 0.5)
        ipro.inject("cut-streams")
        await state(viewer, State.STALLED)
        await state(viewer, State.LIVE)
        async with asyncio.timeout(20):
            while not (isinstance(item := await viewer.next(), Fragment) and is_sound(item)):
                pass


# --- On the socket ----------------------------------------------------------------------------------------------------
async def test_on_the_socket_sound_is_switched_on_and_off(watch, new_person, povcam: PovcamSimulator, camera_of, hasty):
    await switch_on(povcam)
    camera = await camera_of(povcam)
    person = await sync_to_async(new_person)()
    socket = watch(person, f"/ws/live/{camera.pk}/?audio=1")
    await socket.connect()

    async def begun(*, heard: bool) -> None:
        """The next init that has sound, or has none, and what follows it."""
        async with asyncio.timeout(30):
            while True:
                message = await socket.receive()
                if isinstance(message, str) and '"init"' in message and json.loads(message)["sound"] is heard:
                    break
        assert ("mp4a.40.2" in json.loads(message)["mime"]) is heard
        assert (await socket.picture())[4:8] == b"ftyp"

    await begun(heard=True)
    await socket.send('{"type":"sound","on":false}')
    await begun(heard=False)
    await until(lambda: not sends_sound(povcam))
    await socket.send('{"type":"sound","on":true}')
    await begun(heard=True)


@pytest.mark.parametrize(
    ("family", "told", "can_be_heard"),
    [
        ("povcam", {**TOLD, "audio_on": True}, True),
        ("povcam", {**TOLD, "audio_on": False}, False),
        ("hama", {"audio": True}, True),
        ("hama", {"audio": False}, False),
        ("ipro", {}, True),  # recorders do not tell
        ("ipcam", {}, False),
    ],
)
async def test_cameras_tell_whether_they_can_be_heard(new_camera, family: str, told: dict, can_be_heard: bool):
    camera = await sync_to_async(new_camera)(family=family, status=told)
    assert (await sync_to_async(camera_out)(camera))["audio"] is can_be_heard


# --- When we die ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("family", ["povcam", "ipro"])
async def test_what_a_dead_process_left_sounding_is_stopped(
    relays: Relays, povcam: PovcamSimulator, ipro: IproSimulator, camera_of, recorder_camera, family: str
):
    if family == "povcam":
        await switch_on(povcam)
    device, stream = (povcam, "h264") if family == "povcam" else (ipro, "video")
    camera = await (camera_of(povcam) if family == "povcam" else recorder_camera())
    with listen(relays, camera, stream) as viewer:
        await with_sound(viewer, 0.3)
        left = await uids.leases()
        assert sum(lease.mode == "audio" for lease in left) == 1
        await keeping.keep(left, [], {camera.device.pk: camera.device})
        assert await uids.leases() == []
        assert list(device.sessions()) == []


# --- Beside motion JPEG -----------------------------------------------------------------------------------------------
async def test_a_povcam_is_heard_over_http_beside_motion_jpeg(relays: Relays, povcam: PovcamSimulator, camera_of):
    await switch_on(povcam)
    camera = await camera_of(povcam, options={"transport": "mjpeg"})
    original = partial(relays.watch, camera.pk, "mjpeg", device_source(camera.pk, "mjpeg"))
    with relays.watch(camera.pk, "mjpeg~h264", Converted(original, Rendition.H264), stuck, sound=True) as viewer:
        init, parts = await with_sound(viewer)
        assert_in_step(init, parts, rate=15)
    await until(lambda: not relays.figures())
    assert not sends_sound(povcam)
    assert await uids.leases() == []
