"""A wall of sixteen cameras of one recorder, through the product's own sockets: one log-in and one UID carry them all,
and no camera waits for the picture of another."""

from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from asgiref.sync import sync_to_async

from devices import uids
from devices.models import Camera, State
from simulators.ipro import IproSimulator
from streaming import relay
from streaming.sources import open as opening
from tests.streaming.seeing import until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.one_database,
    pytest.mark.usefixtures("redis_client"),
]

TILES = 16
H265 = range(4, TILES + 1, 4)  # the simulated recorder's cameras that send it


@pytest.fixture
async def recorder() -> AsyncIterator[IproSimulator]:
    async with IproSimulator(seed=3, cameras=TILES, size="160x96", rate=5) as recorder:
        yield recorder
        await relay.close_all()
        assert list(recorder.violations) == []
        assert list(recorder.sessions()) == []
        assert await uids.leases() == []


@pytest.fixture
def cameras_of(recorder: IproSimulator, new_camera: Callable[..., Camera]):
    def make(*, learned: bool) -> list[Camera]:
        first = new_camera(
            "Camera 1",
            family="ipro",
            host="127.0.0.1",
            port=recorder.port,
            username="ADMIN",
            password="12345",
            status={"channels": TILES},
            options={"tls": "off"},
            state=State.ONLINE,
        )
        others = [Camera(device=first.device, number=number, name=f"Camera {number}") for number in range(2, TILES + 1)]
        cameras = [first, *Camera.objects.bulk_create(others)]
        for camera in cameras if learned else []:
            codec = "h265" if camera.number in H265 else "h264"
            camera.learned = {"video": {"codec": codec, "transport": "rtp"}}
            camera.save()
        return cameras

    return sync_to_async(make)


def asked(recorder: IproSimulator, path: str, **values: str) -> list[dict[str, str]]:
    found = []
    for each in recorder.requests:
        parts = urlsplit(each.target)
        given = {name: word for name, (word, *_) in parse_qs(parts.query).items()}
        if parts.path.endswith(f"/{path}.cgi") and values.items() <= given.items():
            found.append(given)
    return found


def pictures(cameras: list[Camera]) -> int:
    """Of how many of them there is one."""
    return sum(figures["frames"] > 0 for (camera, _), figures in relay.figures().items() if camera in _ids(cameras))


def _ids(cameras: list[Camera]) -> set[int]:
    return {camera.pk for camera in cameras}


async def all_open(watch, new_person, cameras: list[Camera]) -> None:
    person = await sync_to_async(new_person)()
    for camera in cameras:
        await watch(person, f"/ws/live/{camera.pk}/?codecs=avc1,hvc1&width=320").connect()


async def test_every_camera_is_started_before_any_has_sent_a_picture(
    recorder: IproSimulator, cameras_of, watch, new_person
):
    cameras = await cameras_of(learned=True)
    recorder.inject("stop-frames", number=0)
    await all_open(watch, new_person, cameras)
    await until(lambda: len(asked(recorder, "push", CMD="START")) == TILES)
    assert pictures(cameras) == 0
    recorder.inject("clear")
    await until(lambda: pictures(cameras) == TILES)
    starts = asked(recorder, "push", CMD="START")
    assert {int(each["CAM"]) for each in starts} == set(range(1, TILES + 1))
    assert len(starts) == TILES  # each was asked once, in its own format
    assert {int(each["CAM"]) for each in starts if each["COMP"] == "H265"} == set(H265)
    assert len(asked(recorder, "dlogin")) == 1
    assert len({each["UID"] for each in starts}) == 1
    assert len(list(recorder.sessions())) == 1


async def test_a_camera_that_sends_nothing_holds_up_no_other(recorder: IproSimulator, cameras_of, watch, new_person):
    cameras = await cameras_of(learned=True)
    recorder.inject("stop-frames", number=1)
    await all_open(watch, new_person, cameras)
    await until(lambda: pictures(cameras[1:]) == TILES - 1)
    assert pictures(cameras[:1]) == 0
    recorder.inject("clear")
    await until(lambda: pictures(cameras) == TILES)


async def test_formats_that_nobody_knows_are_found_out_with_one_log_in(
    recorder: IproSimulator, cameras_of, watch, new_person, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(opening, "FIRST_PACKET_SECONDS", 1.5)
    cameras = await cameras_of(learned=False)
    await all_open(watch, new_person, cameras)
    await until(lambda: pictures(cameras) == TILES)
    assert len(asked(recorder, "dlogin")) == 1
    assert len(list(recorder.sessions())) == 1
    for camera in cameras:
        await camera.arefresh_from_db()
        assert camera.learned["video"]["codec"] == ("h265" if camera.number in H265 else "h264")
