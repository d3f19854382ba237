"""RTSP with a strict simulated POVCAM: faults, log-ins, reports, keep-alive, and the sound of a session."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from fractions import Fraction

import pytest
from asgiref.sync import sync_to_async

from devices import exchanges
from devices.models import Camera
from simulators.povcam import PovcamSimulator
from simulators.video import VideoFormat
from streaming.relay import Relays, Timing
from streaming.ring import Fragment
from streaming.sources import rtsp
from streaming.sources.open import device_source
from streaming.viewer import Init, State, Viewer
from tests.simulators.helpers import Client
from tests.streaming.film import numbers_seen
from tests.streaming.seeing import pieces, state, stuck, until, watch

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.one_database,
    pytest.mark.usefixtures("redis_client"),
]

STREAMS = {1: VideoFormat(640, 360, Fraction(15), 1000), 2: VideoFormat(320, 180, Fraction(15), 500)}
TOLD = {
    "streams": {
        "h264": {"transmits": True, "width": 640, "max_fps": 15},
        "h264_2": {"transmits": True, "width": 320, "max_fps": 15},
    },
    "audio_on": True,
}
MakeCamera = Callable[..., Awaitable[Camera]]


@asynccontextmanager
async def ready(**how: object) -> AsyncIterator[PovcamSimulator]:
    async with PovcamSimulator(**{"seed": 7, "streams": STREAMS, **how}) as recorder:
        yield recorder
        assert list(recorder.violations) == []
        assert sessions(recorder) == []


@pytest.fixture
async def recorder() -> AsyncIterator[PovcamSimulator]:
    async with ready() as recorder:
        yield recorder


@asynccontextmanager
async def relaying(**timing: float) -> AsyncIterator[Relays]:
    relays = Relays(Timing(**{"silence": 1.5, "linger": 0.05, "first_retry": 0.05, "tick": 0.05, **timing}))
    try:
        yield relays
    finally:
        await relays.close_all()


@pytest.fixture
async def relays(recorder: PovcamSimulator) -> AsyncIterator[Relays]:
    """Closed while the recorder still answers."""
    async with relaying() as relays:
        yield relays


@pytest.fixture
def camera_of(new_camera) -> MakeCamera:
    async def make(recorder: PovcamSimulator, transport: str = "rtsp-tcp", **fields: object) -> Camera:
        rtsp_port = int(recorder.rtsp_url.split(":")[2].partition("/")[0])
        known = {"host": "127.0.0.1", "port": recorder.port, "username": "admin", "password": "12345", "status": TOLD}
        options = {"transport": transport, "rtsp_port": rtsp_port}
        return await sync_to_async(new_camera)("Stage", **{**known, "options": options, **fields})

    return make


def sessions(recorder: PovcamSimulator) -> list[dict]:
    return recorder.state()["rtsp"]["sessions"]


def methods(recorder: PovcamSimulator) -> list[str]:
    return [each.method for each in recorder.requests if each.target.startswith("rtsp:")]


def numbers(init: Init, parts: list[Fragment]) -> list[int]:
    return numbers_seen(init.segment + b"".join(part.data for part in parts))


def in_order(found: list[int]) -> bool:
    """No picture twice or out of its place. (A recorder on a busy machine leaves numbers out itself.)"""
    return found == sorted(set(found))


# --- Packets and pictures ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("transport", ["rtp", "rtsp-tcp"])
async def test_pictures_that_refer_to_later_ones_are_shown_in_their_order(camera_of: MakeCamera, transport: str):
    streams = {1: VideoFormat(3840, 2160, Fraction(30), 2000), 2: STREAMS[2]}
    async with ready(streams=streams, small_4k=True) as recorder, relaying() as relays:
        camera = await camera_of(recorder, transport)
        with watch(relays, camera, "h264") as viewer:
            init, parts = await pieces(viewer, 40)
        assert init.track.reorder > 0
        seen = numbers(init, parts)
        assert len(seen) > 30
        assert in_order(seen)
        await until(lambda: not relays.figures())


# --- Requests ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"])
@pytest.mark.parametrize("fault", ["hang", "reset", "garbage", "half", "status", "slow"])
async def test_a_request_that_fails_is_tried_again(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera, monkeypatch, fault: str, method: str
):
    monkeypatch.setattr(rtsp, "ANSWER_SECONDS", 1.0)
    how = {"status": {"status": 500}, "slow": {"seconds": 0.3}}.get(fault, {})
    recorder.inject(fault, path="rtsp:", mode=method, **how)
    await asyncio.sleep(0)
    camera = await camera_of(recorder)
    with watch(relays, camera, "h264") as viewer:
        assert in_order(numbers(*await pieces(viewer, 3)))


async def test_a_session_unknown_when_it_shall_play_is_begun_anew(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera
):
    recorder.inject("status", path="rtsp:", mode="PLAY", status=454)
    await asyncio.sleep(0)
    with watch(relays, await camera_of(recorder), "h264") as viewer:
        await pieces(viewer, 2)


async def test_a_stream_that_is_not_transmitted_is_a_sentence(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera
):
    await Client(recorder).set("set_h264?h264_transmit=0")
    with (
        watch(relays, await camera_of(recorder), "h264") as viewer,
        pytest.raises(Exception, match=r"Enable H\.264 transmission"),
    ):
        await state(viewer, State.LIVE)


async def test_nothing_at_the_port_is_a_sentence(relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera):
    camera = await camera_of(recorder, options={"transport": "rtsp-tcp", "rtsp_port": 9})
    with watch(relays, camera, "h264") as viewer:
        assert "rtsp_port" in (await state(viewer, State.OFFLINE)).detail


@pytest.mark.parametrize("transport", ["rtsp-tcp", "rtsp-udp"])
async def test_the_session_is_kept_alive_and_the_recorder_told_how_pictures_come(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera, monkeypatch, transport: str
):
    monkeypatch.setattr(rtsp, "LONGEST_KEEP_ALIVE", 0.3)
    monkeypatch.setattr(rtsp, "REPORT_SECONDS", 0.2)
    with watch(relays, await camera_of(recorder, transport), "h264") as viewer:
        await pieces(viewer, 2)
        await until(lambda: sessions(recorder)[0]["receiver_reports"]["1"] > 1)
        await until(lambda: methods(recorder).count("GET_PARAMETER") > 1)
    await until(lambda: not relays.figures())
    assert methods(recorder)[-1] == "TEARDOWN"


async def test_a_session_that_is_forgotten_is_noticed_by_its_keep_alive(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera, monkeypatch
):
    monkeypatch.setattr(rtsp, "LONGEST_KEEP_ALIVE", 0.3)
    with watch(relays, await camera_of(recorder, "rtsp-udp"), "h264") as viewer:
        await pieces(viewer, 2)
        recorder.inject("lose-sessions")
        assert "no longer knows" in (await state(viewer, State.STALLED)).detail
        await state(viewer, State.LIVE)


@pytest.mark.parametrize("oddity", ["rtptime-dots", "comma-rtp-info", "announced-ssrc", "sprop"])
async def test_what_other_firmware_writes_otherwise_is_understood(camera_of: MakeCamera, monkeypatch, oddity: str):
    monkeypatch.setattr(rtsp, "REPORT_SECONDS", 0.2)
    async with ready(oddities=oddity) as recorder, relaying() as relays:
        with watch(relays, await camera_of(recorder), "h264") as viewer:
            assert in_order(numbers(*await pieces(viewer, 5)))
            await until(lambda: sessions(recorder)[0]["receiver_reports"]["1"] > 0)
        await until(lambda: not relays.figures())


# --- Log-in -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("scheme", ["digest", "basic"])
async def test_it_logs_in_as_the_recorder_asks_and_nothing_secret_is_noted(camera_of: MakeCamera, scheme: str):
    async with (
        ready(user_auth=True, auth_scheme=scheme, password="a secret pear") as recorder,
        relaying() as relays,
    ):
        camera = await camera_of(recorder, password="a secret pear")
        with watch(relays, camera, "h264") as viewer:
            await pieces(viewer, 2)
            (session,) = sessions(recorder)
        await until(lambda: not relays.figures())
        asked = [each for each in recorder.requests if each.target.startswith("rtsp:")]
        assert [each.status for each in asked] == [401, *[200] * (len(asked) - 1)]
    noted = await sync_to_async(exchanges.recent)(camera.device_id)
    assert [each.method for each in reversed(noted)] == [each.method for each in asked]
    assert "H264/90000" in next(each.answer for each in noted if each.method == "DESCRIBE")
    text = "".join(each.text() for each in noted)
    assert "pear" not in text
    assert session["session"] not in text


async def test_a_wrong_password_is_a_refusal_with_a_sentence_and_locks_nobody_out(camera_of: MakeCamera):
    async with ready(user_auth=True) as recorder, relaying() as relays:
        camera = await camera_of(recorder, password="wrong")
        for _ in range(6):
            with watch(relays, camera, "h264") as viewer, pytest.raises(Exception, match="password"):
                await state(viewer, State.LIVE)
            await until(lambda: not relays.figures())
        assert sum(remark.kind == "login_failed" for remark in recorder.notes) == 2


# --- Sound ------------------------------------------------------------------------------------------------------------
def listened(relays: Relays, camera: Camera, *, sound: bool):
    return relays.watch(camera.pk, "h264", device_source(camera.pk, "h264"), stuck, sound=sound)


async def heard(viewer: Viewer) -> Init:
    async with asyncio.timeout(20):
        while not (isinstance(item := await viewer.next(), Init) and item.sound is not None):
            pass
    return item


@pytest.mark.parametrize("transport", ["rtsp-tcp", "rtsp-udp"])
async def test_sound_is_passed_on_while_somebody_wants_it_and_needs_no_other_session(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera, transport: str
):
    await Client(recorder).set("set_audio?audio=1&audio_sens=middle")
    camera = await camera_of(recorder, transport)
    with listened(relays, camera, sound=False) as viewer:
        init, _ = await pieces(viewer, 5)
        assert init.sound is None
        viewer.hear(True)
        assert (await heard(viewer)).mime.endswith('mp4a.40.2"')
        recorder.inject("stop-sound")
        async with asyncio.timeout(20):
            while not (isinstance(item := await viewer.next(), Init) and item.sound is None):
                pass
        await pieces_more(viewer, 5)
        recorder.inject("clear")
        await heard(viewer)
        assert relays.figures()[camera.pk, "h264"]["openings"] == 1
    await until(lambda: not relays.figures())
    assert methods(recorder) == ["OPTIONS", "DESCRIBE", "SETUP", "SETUP", "PLAY", "TEARDOWN"]


async def pieces_more(viewer: Viewer, count: int) -> None:
    async with asyncio.timeout(20):
        while count:
            count -= isinstance(await viewer.next(), Fragment)


async def test_without_sound_of_its_own_the_session_has_pictures_alone(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera
):
    await Client(recorder).set("set_audio?audio_transmit=0")
    camera = await camera_of(recorder)
    with listened(relays, camera, sound=True) as viewer:
        init, parts = await pieces(viewer, 5)
        assert init.sound is None
        assert in_order(numbers(init, parts))
        assert "no sound by RTSP" in relays.all()[camera.pk, "h264"].status_for_listeners.detail
    await until(lambda: not relays.figures())
    assert methods(recorder).count("SETUP") == 1


async def test_sound_that_is_refused_costs_no_picture(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera, monkeypatch
):
    refused = rtsp.Connection.ask

    async def ask(self, method, url, headers=None, *, login=None):
        if url.endswith("trackID=2"):
            raise rtsp.NotSupported("No sound here.")
        return await refused(self, method, url, headers, login=login)

    monkeypatch.setattr(rtsp.Connection, "ask", ask)
    with listened(relays, await camera_of(recorder), sound=True) as viewer:
        await pieces(viewer, 5)


@pytest.mark.parametrize("oddity", ["bare-au-header", "no-au-header", "full-au-header", "mono-sound"])
async def test_sound_is_heard_however_it_is_framed(camera_of: MakeCamera, oddity: str):
    async with ready(oddities=oddity) as recorder, relaying() as relays:
        await Client(recorder).set("set_audio?audio=1&audio_sens=middle")
        with listened(relays, await camera_of(recorder), sound=True) as viewer:
            init = await heard(viewer)
            assert init.sound is not None
            assert init.sound.kind == "aac"
        await until(lambda: not relays.figures())
