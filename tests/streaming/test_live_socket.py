"""/ws/live/<camera>/ as the contract promises it."""

import asyncio
from collections.abc import Callable

import pytest

from accounts.models import Grant
from devices.models import Camera
from streaming.sources import Source, SourceFailed, SourceRefused
from tests.streaming.conftest import Person
from tests.streaming.film import Film, numbers_seen
from tests.streaming.memory import MemoryCamera
from tests.streaming.sockets import Socket

pytestmark = pytest.mark.django_db(transaction=True)

Watch = Callable[..., Socket]


@pytest.fixture
async def pictures(film: Film, monkeypatch: pytest.MonkeyPatch) -> MemoryCamera:
    """What every camera of the test sends."""
    pictures = MemoryCamera(film)
    pictures.asked: list[tuple[int, str]] = []

    def source(camera: int, stream: str) -> Source:
        pictures.asked.append((camera, stream))
        return pictures.source

    monkeypatch.setattr("streaming.consumers.device_source", source)
    return pictures


async def live(socket: Socket) -> bytes:
    """Everything up to and including the init segment, which is returned."""
    assert (await socket.told())["type"] == "status"
    message = await socket.told()
    while message["type"] != "init":
        message = await socket.told()
    return await socket.picture()


async def test_messages_come_in_the_promised_order(watch: Watch, new_camera, new_person, pictures: MemoryCamera):
    camera, ann = new_camera(), new_person()
    socket = watch(ann, f"/ws/live/{camera.pk}/?stream=auto&audio=0&codecs=avc1,hvc1")
    await socket.connect()
    await pictures.opened.wait()
    pictures.send(3)
    assert (await socket.told())["state"] in ("connecting", "live")
    init = await socket.told()
    if init["type"] == "status":
        init = await socket.told()
    codec = pictures.units[0].track.codec
    assert init == {
        "type": "init",
        "mime": f'video/mp4; codecs="{codec}"',
        "stream": "h264",
        "transcoded": False,
        "sound": False,
        "transport": "rtp",
        "width": 640,
        "height": 360,
    }
    segment = await socket.picture()
    assert segment[4:8] == b"ftyp"
    fragments = [await socket.picture() for _ in range(3)]
    assert {fragment[4:8] for fragment in fragments} == {b"prft"}
    assert numbers_seen(segment + b"".join(fragments)) == [0, 1, 2]


async def test_the_stream_asked_for_is_opened(watch: Watch, new_camera, new_person, pictures: MemoryCamera):
    camera = new_camera()
    socket = watch(new_person(), f"/ws/live/{camera.pk}/?stream=h264_2")
    await socket.connect()
    await pictures.opened.wait()
    assert pictures.asked == [(camera.pk, "h264_2")]


async def test_a_paused_viewer_gets_nothing_until_it_resumes(
    watch: Watch, new_camera, new_person, pictures: MemoryCamera
):
    socket = watch(new_person(), f"/ws/live/{new_camera().pk}/")
    await socket.connect()
    await pictures.opened.wait()
    pictures.send()
    await live(socket)
    await socket.picture()
    await socket.send('{"type": "pause"}')
    await asyncio.sleep(0.05)
    pictures.send(20)
    assert await socket.receive_nothing(0.1)
    await socket.send('{"type": "resume"}')
    assert (await socket.picture())[4:8] == b"prft"


async def test_a_slow_viewer_is_told_what_was_dropped(watch: Watch, new_camera, new_person, pictures: MemoryCamera):
    socket = watch(new_person(), f"/ws/live/{new_camera().pk}/")
    await socket.connect()
    await pictures.opened.wait()
    pictures.send(2)
    await live(socket)
    await socket.picture()
    await socket.picture()
    pictures.send(45)
    assert await socket.told() == {"type": "dropped", "frames": 43}


# --- Who may not, and what cannot be ----------------------------------------------------------------------------------
async def refused(socket: Socket) -> tuple[int, str]:
    await socket.connect()
    return await socket.closing()


async def test_nobody_watches_without_signing_in(watch: Watch, new_camera):
    assert (await refused(watch(None, f"/ws/live/{new_camera().pk}/")))[0] == 4401


async def test_a_camera_out_of_reach_does_not_exist(watch: Watch, new_camera, new_person):
    yard, gate = new_camera("Yard"), new_camera("Gate")
    ann = new_person("ann", yard)
    assert (await refused(watch(ann, f"/ws/live/{gate.pk}/")))[0] == 4404
    assert (await refused(watch(ann, "/ws/live/999999/")))[0] == 4404


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("stream=../etc", "stream"),
        ("audio=yes", "audio"),
        ("codecs=<script>", "codecs"),
        ("stream=h264&stream=h264_2", "twice"),
        ("volume=11", "volume"),
        ("&&", "cannot be read"),
        ("stream=%ff", "stream"),
    ],
)
async def test_a_senseless_address_is_named(watch: Watch, new_camera, new_person, query: str, word: str):
    code, reason = await refused(watch(new_person(), f"/ws/live/{new_camera().pk}/?{query}"))
    assert code == 4400
    assert word in reason


async def test_a_stream_the_camera_does_not_have(watch: Watch, new_camera, new_person):
    code, reason = await refused(watch(new_person(), f"/ws/live/{new_camera().pk}/?stream=h265"))
    assert (code, reason) == (4422, "This camera does not offer a stream h265.")


async def test_a_camera_that_has_not_told_its_streams(watch: Watch, new_camera, new_person):
    assert (await refused(watch(new_person(), f"/ws/live/{new_camera(status={}).pk}/")))[0] == 4422


async def test_a_browser_that_cannot_play_it(watch: Watch, new_camera, new_person):
    code, reason = await refused(watch(new_person(), f"/ws/live/{new_camera().pk}/?codecs=hvc1"))
    assert code == 4422
    assert "H.264" in reason


@pytest.mark.parametrize(
    ("problem", "code"),
    [(SourceRefused("H.264 is off."), 4409), (SourceRefused("It has no H.264.", supported=False), 4422)],
)
async def test_a_device_that_refuses(
    watch: Watch, new_camera, new_person, pictures: MemoryCamera, problem: Exception, code: int
):
    pictures.problem = problem
    assert await refused(watch(new_person(), f"/ws/live/{new_camera().pk}/")) == (code, str(problem))


async def test_a_mistake_of_ours_closes_the_socket_with_a_sentence(
    watch: Watch, new_camera, new_person, pictures: MemoryCamera, monkeypatch
):
    monkeypatch.setattr("streaming.watching.Watching.next", None)
    code, reason = await refused(watch(new_person(), f"/ws/live/{new_camera().pk}/"))
    assert code == 1011
    assert "mistake in this system" in reason


async def test_a_device_that_does_not_answer_is_offline_and_the_socket_stays(
    watch: Watch, new_camera, new_person, pictures: MemoryCamera
):
    pictures.problem = SourceFailed("The camera does not answer.")
    socket = watch(new_person(), f"/ws/live/{new_camera().pk}/")
    await socket.connect()
    while (status := await socket.told())["state"] == "connecting":
        pass
    assert status == {"type": "status", "state": "offline", "detail": "The camera does not answer."}
    pictures.problem = None
    await asyncio.wait_for(pictures.opened.wait(), 10)
    pictures.send()
    assert (await socket.told())["state"] == "live"


@pytest.mark.parametrize("message", ["nonsense", "[]", '"pause"', '{"type": "explode"}', "x" * 2000])
async def test_a_senseless_message_closes_the_socket(
    watch: Watch, new_camera, new_person, pictures: MemoryCamera, message: str
):
    socket = watch(new_person(), f"/ws/live/{new_camera().pk}/")
    await socket.connect()
    await socket.send(message)
    assert (await socket.closing())[0] == 4400


async def test_a_withdrawn_grant_ends_the_picture(watch: Watch, new_camera, new_person, pictures: MemoryCamera):
    gate: Camera = new_camera()
    ann: Person = new_person("ann", gate)
    bob: Person = new_person("bob", gate)
    hers, his = watch(ann, f"/ws/live/{gate.pk}/"), watch(bob, f"/ws/live/{gate.pk}/")
    await hers.connect()
    await his.connect()
    await pictures.opened.wait()
    pictures.send(2)
    await live(hers)
    await live(his)
    await Grant.objects.filter(user=ann.user).adelete()
    async with asyncio.timeout(5):
        assert (await hers.closing())[0] == 4404
    await his.picture()
    await his.picture()
    pictures.send()
    assert (await his.picture())[4:8] == b"prft"
