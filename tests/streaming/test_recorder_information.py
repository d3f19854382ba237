"""What a recorder tells inside its pictures: read when somebody asks, shown among the figures of a stream."""

import struct
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from accounts.models import Role
from devices.models import Camera
from simulators.ipro import IproSimulator
from streaming import relay
from streaming.sources import information
from streaming.sources.information import Noted
from streaming.sources.open import device_source
from streaming.viewer import State
from tests.streaming.seeing import pieces, stuck, until


def item(number: int, data: bytes) -> bytes:
    return struct.pack("!HH", number, len(data) + 4) + data


def word(number: int, value: int) -> bytes:
    return item(number, struct.pack("!HH", value, 0))


def moment(number: int, seconds: int, *, west: int = 0, hours: int = 0) -> bytes:
    return item(number, struct.pack("!IBBBB", seconds, west, hours, 0, 0))


def noted(*items: bytes, camera: int = 3, received: float = 1000.0) -> Noted:
    found = Noted(camera)
    found.note((b"".join(items),), received)
    return found


def test_nothing_is_told_where_nothing_came():
    assert Noted(1).told() == {}
    assert Noted(1).remark == ""


def test_times_are_told_in_the_recorders_zone_and_compared_with_ours():
    told = noted(moment(0x0007, 1002, hours=9), word(0x000A, 25), moment(0x0011, 1001, west=1, hours=5)).told()
    assert told["time"].isoformat() == "1970-01-01T09:16:42.250000+09:00"
    assert told["camera_time"].isoformat() == "1969-12-31T19:16:41-05:00"
    assert told["clock_off"] == 2.25


def test_a_zone_that_cannot_be_is_none():
    told = noted(moment(0x0007, 1000, hours=200)).told()
    assert told["time"] == datetime.fromtimestamp(1000, UTC)


@pytest.mark.parametrize(
    ("status", "doing"),
    [(0x01, "live"), (0x02, "playback"), (0x05, "fast reverse"), (0x06, "paused"), (0x00, None), (0x77, None)],
)
def test_what_it_is_doing_is_told_in_words(status: int, doing: str | None):
    assert noted(word(0x0004, 3), item(0x000D, bytes((status, 0, 0, 0)))).told()["doing"] == doing


def test_pictures_of_another_camera_are_not_shown_without_a_word():
    assert noted(word(0x0004, 3)).remark == ""
    assert noted(moment(0x0007, 1000)).remark == ""  # it does not tell
    assert "its camera 4, though camera 3" in noted(word(0x0004, 4)).remark


def test_what_says_that_it_is_no_picture_is_none():
    assert noted(word(0x000C, 0)).shows_nothing
    assert not noted(word(0x000C, 1)).shows_nothing
    assert not noted(word(0x0004, 3)).shows_nothing


def test_it_is_read_once_however_often_it_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    read: list[object] = []
    parse = information.ipro_info.parse_all
    monkeypatch.setattr(information.ipro_info, "parse_all", lambda chunks: read.append(chunks) or parse(chunks))
    found = noted(word(0x0004, 3))
    found.told()
    assert found.remark == ""
    assert len(read) == 1


# --- From a recorder --------------------------------------------------------------------------------------------------
@pytest.fixture
async def recorder(request: pytest.FixtureRequest) -> AsyncIterator[IproSimulator]:
    async with IproSimulator(seed=3, size="320x192", oddities=request.param) as recorder:
        yield recorder
        await relay.close_all()
        assert list(recorder.violations) == []


@pytest.fixture
def camera_of(recorder: IproSimulator, new_camera: Callable[..., Camera]):
    async def make(transport: str) -> Camera:
        where = {"family": "ipro", "host": "127.0.0.1", "port": recorder.port, "username": "ADMIN", "password": "12345"}
        options = {"transport": transport, "tls": "off"}
        camera = await sync_to_async(new_camera)(**where, status={"channels": 16}, options=options)
        camera.learned = {"video": {"codec": "h264", "transport": transport}}
        await camera.asave()
        return camera

    return make


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis_client")
@pytest.mark.parametrize("recorder", ["", "all-information", "no-extension"], indirect=True)
@pytest.mark.parametrize("transport", ["rtp", "http", "mjpeg"])
async def test_it_stands_beside_the_figures_of_the_stream(
    recorder: IproSimulator, camera_of, new_person: Callable, transport: str, request: pytest.FixtureRequest
):
    oddity = request.node.callspec.params["recorder"]
    camera = await camera_of(transport)
    stream = "jpeg" if transport == "mjpeg" else "video"
    otto = await sync_to_async(new_person)("otto", role=Role.OPERATOR)
    with relay.relays.watch(camera.pk, stream, device_source(camera.pk, stream), stuck) as viewer:
        await pieces(viewer, 3)
        answer = await AsyncClient().get("/api/v1/streams", headers={"Authorization": f"Bearer {otto.bearer}"})
        told = answer.json()["results"][0]["recorder"]
        assert relay.relays.all()[camera.pk, stream].status == (State.LIVE, "")
        if oddity == "no-extension":
            assert told is None
            return
        assert told["camera"] == 1
        assert abs(told["clock_off"]) < 5
        assert abs(datetime.fromisoformat(told["time"]) - datetime.now(UTC)) < timedelta(seconds=30)
        assert told["time"].endswith("+01:00")  # the zone of the simulated recorder
        if oddity == "all-information":
            assert told["doing"] == "live"
            assert told["recording_rate"] > 0
            assert told["camera_time"] is not None
    await until(lambda: not relay.figures())
