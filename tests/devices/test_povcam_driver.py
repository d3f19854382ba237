"""Every verb of the driver against the strict simulator, over real sockets, with nothing for it to complain about."""

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis

from devices import uids
from devices.cgi import BadValue
from devices.errors import Busy, DeviceError, NotSupported, Refused, WrongAnswer
from devices.families import driver_for
from devices.families.base import Driver, Ptz, Stream
from devices.gateway import Gateway
from devices.models import Camera, Device
from simulators.povcam import PovcamSimulator
from tests.devices.conftest import PASSWORD, Scripted, Simulator, http, unsaved_device


@pytest.fixture
def rtp_socket() -> Iterator[socket.socket]:
    """Bound to an even port, as RTP wants it."""
    for port in range(45000, 46000, 2):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):
            receiver.bind(("127.0.0.1", port))
            receiver.setblocking(False)
            break
        receiver.close()
    yield receiver
    receiver.close()


async def packets(receiver: socket.socket, count: int) -> list[bytes]:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(15):
        return [await loop.sock_recv(receiver, 2048) for _ in range(count)]


async def test_it_tells_who_it_is(device: Device, simulator: Simulator) -> None:
    identity = await driver_for(device).identify(Gateway(device))
    assert identity.model
    assert identity.model.startswith("AG-")
    assert identity.serial
    assert identity.firmware
    assert identity.mac
    assert len(identity.mac.split(":")) == 6
    assert list(identity.cameras) == [1]
    assert identity.facts["streams"]["h264"]["width"] in (640, 1280, 1920, 3840)
    assert simulator.violations == []


async def test_it_tells_how_it_is(device: Device, simulator: Simulator) -> None:
    health = await driver_for(device).health(Gateway(device))
    assert health.facts["activity"] in ("imaging", "recording")
    assert isinstance(health.facts["recording"], bool)
    assert [card["slot"] for card in health.facts["cards"]] == [1, 2]
    assert health.problems == []
    assert simulator.violations == []


async def test_it_sends_pictures_while_a_session_is_open_and_not_after(
    device: Device, simulator: Simulator, rtp_socket: socket.socket
) -> None:
    driver = driver_for(device)
    device.status = (await driver.identify(Gateway(device))).facts
    stream = driver.streams(Camera(device=device, number=1))[0]
    port = rtp_socket.getsockname()[1]
    async with driver.rtp_session(Gateway(device), stream, port=port) as session:
        received = await packets(rtp_socket, 20)
        assert all(packet[0] >> 6 == 2 for packet in received), "RTP version 2"
        assert session.port == port
        assert not session.lost.is_set()
        assert [lease.port for lease in await uids.leases()] == [port]
        assert [each["streaming"]["port"] for each in simulator.sessions] == [port]
    assert simulator.sessions == []
    assert await uids.leases() == []
    assert simulator.violations == []


async def test_start_and_stop_name_the_same_port_and_uid(
    device: Device, simulator: Simulator, rtp_socket: socket.socket
) -> None:
    driver = driver_for(device)
    port = rtp_socket.getsockname()[1]
    async with driver.rtp_session(Gateway(device), Stream("h264_2", "h264", None, None, None, "rtp"), port=port):
        await packets(rtp_socket, 1)
    getuid, start, stop = simulator.targets
    assert getuid == "/cgi-bin/getuid?FILE=2&vcodec=h264_2&reply=info"
    assert start.startswith(f"/cgi-bin/h264?my_port={port}&connect=start&protocol=rtp&UID=")
    assert start.endswith("&stream=2")
    assert stop == start.replace("connect=start", "connect=stop")
    assert simulator.violations == []


async def test_a_running_stream_is_kept_alive(device: Device, simulator: Simulator, rtp_socket: socket.socket) -> None:
    driver = driver_for(device)
    stream = Stream("h264", "h264", None, None, None, "rtp")
    async with driver.rtp_session(Gateway(device), stream, port=rtp_socket.getsockname()[1]):
        (lease,) = await uids.leases()
        await driver.keep_alive(Gateway(device), lease)
        assert simulator.targets[-1] == f"/cgi-bin/keep_alive?mode=h.264&protocol=rtp&UID={lease.uid}&stream=1"
    assert simulator.violations == []


async def kept_alive(simulator: PovcamSimulator, rtp_socket: socket.socket, *, legacy: bool, times: int) -> list[str]:
    """The modes that were sent, and what was answered; of so many keep-alives."""
    device = unsaved_device(simulator.port, options={"legacy": legacy})
    driver = driver_for(device)
    stream = Stream("h264_2", "h264", None, None, None, "rtp")
    async with driver.rtp_session(Gateway(device), stream, port=rtp_socket.getsockname()[1]):
        (lease,) = await uids.leases()
        for _ in range(times):
            await driver.keep_alive(Gateway(device), lease)
            (session,) = simulator.sessions()
            assert str(session["uid"]) == lease.uid
    found = [each for each in simulator.requests if "keep_alive" in each.target]
    return [f"{each.target.partition('mode=')[2].partition('&')[0]} {each.status}" for each in found]


@pytest.mark.usefixtures("redis_client")
async def test_old_firmware_is_kept_alive_by_its_own_words_where_that_is_allowed(rtp_socket: socket.socket) -> None:
    async with PovcamSimulator(oddities="short-keep-alive", password=PASSWORD) as simulator:
        told = await kept_alive(simulator, rtp_socket, legacy=True, times=2)
        assert told == ["h.264_2 403", "h264_2 200", "h264_2 200"]  # and it is remembered
        assert simulator.violations == []


@pytest.mark.usefixtures("redis_client")
async def test_old_firmware_is_not_asked_in_words_of_no_document_else(rtp_socket: socket.socket) -> None:
    async with PovcamSimulator(oddities="short-keep-alive", password=PASSWORD) as simulator:
        with pytest.raises(Refused):
            await kept_alive(simulator, rtp_socket, legacy=False, times=1)
        assert [each.target for each in simulator.requests if "mode=h264" in each.target] == []


@pytest.mark.usefixtures("redis_client")
async def test_where_the_documents_words_do_they_are_used(rtp_socket: socket.socket) -> None:
    async with PovcamSimulator(password=PASSWORD) as simulator:
        assert await kept_alive(simulator, rtp_socket, legacy=True, times=2) == ["h.264_2 200", "h.264_2 200"]


async def test_a_cancelled_viewer_leaves_nothing_behind(
    device: Device, simulator: Simulator, rtp_socket: socket.socket
) -> None:
    driver = driver_for(device)
    stream = Stream("h264", "h264", None, None, None, "rtp")
    opened = asyncio.Event()

    async def watch() -> None:
        async with driver.rtp_session(Gateway(device), stream, port=rtp_socket.getsockname()[1]):
            opened.set()
            await asyncio.sleep(3600)

    viewer = asyncio.create_task(watch())
    await asyncio.wait_for(opened.wait(), 15)
    viewer.cancel()
    await asyncio.wait([viewer])
    assert await uids.leases() == []
    assert any("connect=stop" in target for target in simulator.targets)
    assert simulator.violations == []


# --- Steering, recording, care ----------------------------------------------------------------------------------------
CAMERA = Camera(number=1)


async def test_it_zooms_at_a_speed_and_stops(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    for zoom in (1, -0.1, 0.5, 0):
        await driver.move(gateway, CAMERA, pan=0, tilt=0, zoom=zoom)
    assert [target.split("?")[1] for target in simulator.targets] == ["zoom=4", "zoom=-1", "zoom=2", "zoom=0"]
    assert simulator.violations == []


async def test_it_focuses_and_changes_its_iris(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    offered = driver.ptz(CAMERA)
    for mode in offered.focus:
        await driver.focus(gateway, CAMERA, mode)
    for mode in offered.iris:
        await driver.iris(gateway, CAMERA, mode)
    queries = [target.split("?")[1] for target in simulator.targets]
    assert queries == ["focus=-3", "focus=3", "focus=on", "iris=up", "iris=down", "iris=0"]
    assert simulator.violations == []


async def test_what_a_camera_head_cannot_do_is_not_offered_and_not_sent(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    offered = driver.ptz(CAMERA)
    assert offered == Ptz(zoom=True, focus=("near", "far", "auto"), iris=("open", "close", "reset"))
    for refused in (
        driver.move(gateway, CAMERA, pan=1, tilt=0, zoom=0),
        driver.center(gateway, CAMERA, x=0.5, y=0.5),
        driver.goto_preset(gateway, CAMERA, 1),
        driver.set_preset(gateway, CAMERA, 1),
        driver.clear_preset(gateway, CAMERA, 1),
        driver.home(gateway, CAMERA),
        driver.swing(gateway, CAMERA, True),
        driver.aux(gateway, CAMERA, 1, True),
    ):
        with pytest.raises(NotSupported):
            await refused
    with pytest.raises(BadValue, match="focus cannot be 'far away'; use one of near, far, auto"):
        await driver.focus(gateway, CAMERA, "far away")
    assert simulator.targets == []


async def until(driver: Driver, gateway: Gateway, recording: bool) -> None:
    async with asyncio.timeout(15):
        while (await driver.health(gateway)).facts["recording"] is not recording:
            pass  # the gateway leaves a second between two


async def test_it_records_and_stops_and_asking_twice_is_no_failure(
    start_simulator: Callable[..., Simulator], redis_client: redis.Redis
) -> None:
    simulator = start_simulator("--work-seconds", "0.2")
    device = unsaved_device(simulator.port)
    driver, gateway = driver_for(device), Gateway(device)
    for on in (True, False):
        for _ in range(2):
            await driver.record(gateway, on)
            await until(driver, gateway, on)
    assert simulator.violations == []


async def test_without_a_card_it_says_so(start_simulator: Callable[..., Simulator], redis_client: redis.Redis) -> None:
    simulator = start_simulator("--cards", "0", "0")
    device = unsaved_device(simulator.port)
    with pytest.raises(Refused, match="has no card to record on"):
        await driver_for(device).record(Gateway(device), True)
    stores = await driver_for(device).storage(Gateway(device))
    assert [store.present for store in stores] == [False, False]
    assert simulator.violations == []


async def test_its_clock_is_set_in_its_own_zone(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    await driver.write_group(gateway, driver.group("clock"), {"timezone": 28, "summer_time": 1})
    now = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    await driver.set_clock(gateway, now)
    assert simulator.targets[-1] == (
        "/cgi-bin/date_time?date_year=2026&date_month=3&date_day=4&date_hour=15&date_min=6&date_sec=7"
    )
    told = await driver.clock(gateway)
    assert told is not None
    assert now <= told < now + timedelta(minutes=5)
    assert simulator.violations == []


async def test_it_is_given_a_time_server(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    await driver.set_ntp(gateway, "192.0.2.7")
    values = await driver.read_group(gateway, driver.group("ntp"))
    assert (values["time_adjust"], values["ntp_addr"], values["ntp_addr_dhcp"]) == ("1", "192.0.2.7", "0")
    with pytest.raises(BadValue, match=r"ntp_addr cannot be 'time\.example'; use an IPv4 address"):
        await driver.set_ntp(gateway, "time.example")
    assert simulator.violations == []


async def test_its_log_and_cards_are_read(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    entries = await driver.log(gateway)
    assert entries
    assert all(entry.at and entry.text for entry in entries)
    assert [entry.at for entry in entries] == sorted((entry.at for entry in entries), key=str, reverse=True)
    slots = {store.name: store for store in await driver.storage(gateway)}
    assert slots["slot 1"].present
    assert slots["slot 1"].size_gb
    assert slots["slot 2"].free_gb is None
    assert simulator.violations == []


async def test_it_is_restarted(device: Device, simulator: Simulator) -> None:
    await driver_for(device).restart(Gateway(device))
    assert re.fullmatch(r"/cgi-bin/initial\?cmd=reset&Randomnum=[0-9a-f]{16}", simulator.targets[-1])
    assert simulator.violations == []


def test_what_get_capability_denies_is_not_offered() -> None:
    controls = {"zoom": True, "focus": True, "auto": False, "iris": False}
    driver = driver_for(unsaved_device(80, status={"controls": controls}))
    assert driver.ptz(CAMERA) == Ptz(zoom=True, focus=("near", "far"))


async def test_it_tells_what_it_can_be_set_to(device: Device, simulator: Simulator) -> None:
    driver = driver_for(device)
    facts = (await driver.identify(Gateway(device))).facts
    assert set(facts["controls"]) == {"zoom", "focus", "auto", "iris"}
    choices = facts["choices"]
    assert set(choices["set_h264"]["h264_resolution"]) <= {"640", "1280", "1920", "3840"}
    assert set(choices["set_h264"]["f_priority"]) == {"0", "1", "2"}
    assert "0" in choices["set_bandwidth"]["bandwidth"]


# --- What only a scripted device does ---------------------------------------------------------------------------------
async def test_a_recorder_silent_in_standby_does_not_lose_its_cards(scripted: Scripted) -> None:
    scripted.answers = [http(403)]
    device = unsaved_device(scripted.port)
    stores = await driver_for(device).storage(Gateway(device))
    assert [store.present for store in stores] == [None, None], "not known is not absent"


async def test_a_refusal_that_get_state_does_not_explain_is_told(scripted: Scripted) -> None:
    scripted.answers = [http(500), http(200, "rec=off\r\nsd_insert=on\r\n")]
    device = unsaved_device(scripted.port)
    with pytest.raises(Refused, match=r"does not start recording\. Look at its card and its mode"):
        await driver_for(device).record(Gateway(device), True)


async def test_a_zone_the_document_does_not_explain_is_not_guessed(scripted: Scripted) -> None:
    scripted.answers = [http(200, "timezone=50\r\ndate_year=2026\r\n")]
    device = unsaved_device(scripted.port)
    assert await driver_for(device).clock(Gateway(device)) is None
    with pytest.raises(NotSupported, match="Set its time zone first"):
        await driver_for(device).set_clock(Gateway(device), datetime.now(UTC))


GETINFO = http(200, "MAC=A8-13-74-BF-40-FD\r\nSERIAL=L6TQD0048\r\nVERSION=V2.10\r\nNAME=AG-UCK20\r\nMaxfps=\r\n")


@pytest.mark.parametrize(
    "silence", [http(204), http(200, ""), http(403), http(404)], ids=["204", "empty", "403", "404"]
)
async def test_a_recorder_silent_in_playback_or_standby_is_well(scripted: Scripted, silence: bytes) -> None:
    scripted.answers = [silence, http(200, "priority_mode=rec_pb\r\n")]
    health = await driver_for(unsaved_device(scripted.port)).health(Gateway(unsaved_device(scripted.port)))
    assert health.facts == {"activity": "playback or standby", "priority_mode": "rec_pb", "clock_skew_seconds": None}
    assert health.problems == []


async def test_a_card_in_error_degrades_the_device(scripted: Scripted) -> None:
    scripted.answers = [http(200, "rec=off\r\nsd_insert=on\r\nsd_error=on\r\nsd_rem=-----\r\n")]
    device = unsaved_device(scripted.port)
    health = await driver_for(device).health(Gateway(device))
    assert health.problems == ["The card in slot 1 reports an error."]
    assert health.facts["cards"][0]["free_gb"] is None
    assert health.facts["cards"][1]["inserted"] is None, "a card slot the device does not speak of is unknown"


async def test_something_else_at_the_address_is_not_taken_for_a_povcam(scripted: Scripted) -> None:
    scripted.answers = [http(200, "<html><body>It works!</body></html>")]
    device = unsaved_device(scripted.port)
    with pytest.raises(WrongAnswer, match="does not answer as a POVCAM"):
        await driver_for(device).identify(Gateway(device))


async def test_missing_and_empty_values_are_null(scripted: Scripted) -> None:
    scripted.answers = [GETINFO, http(200, ""), http(200, "")]
    device = unsaved_device(scripted.port)
    identity = await driver_for(device).identify(Gateway(device))
    assert identity.mac == "A8:13:74:BF:40:FD"
    assert identity.facts["streams"]["h264"] == {
        "transmits": None,
        "width": None,
        "max_fps": None,
        "bitrate": None,
        "quality": None,
        "delivery": None,
    }
    assert identity.facts["priority_mode"] is None


H264 = Stream("h264", "h264", None, None, None, "rtp")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http(204), NotSupported),
        (http(200, "Access Limit"), Busy),
        (http(200, "UID=-1\r\n"), Busy),
        (http(200, "nothing of use"), WrongAnswer),
        (http(200, "UID=5\r\nsDelivery=multi\r\n"), NotSupported),
        (http(503), Busy),
    ],
    ids=["204", "limit", "minus one", "no uid", "multicast", "503"],
)
async def test_a_refused_uid_starts_nothing(scripted: Scripted, answer: bytes, error: type[DeviceError]) -> None:
    scripted.answers = [answer]
    device = unsaved_device(scripted.port)
    with pytest.raises(error):
        async with driver_for(device).rtp_session(Gateway(device), H264, port=40000):
            pytest.fail("a session without a UID")
    assert len(scripted.requests) == 1
    assert await uids.leases() == []


async def test_a_uid_in_the_form_of_the_web_page_is_read(scripted: Scripted) -> None:
    scripted.answers = [http(200, "{UID:263,ImageFormat:'h264',sDelivery:\"uni\"}"), http(204)]
    device = unsaved_device(scripted.port)
    async with driver_for(device).rtp_session(Gateway(device), H264, port=40000):
        pass
    assert b"my_port=40000&connect=start&protocol=rtp&UID=263&stream=1 " in scripted.requests[1]
    assert b"my_port=40000&connect=stop&protocol=rtp&UID=263&stream=1 " in scripted.requests[2]


async def test_a_start_the_device_refused_is_not_stopped(scripted: Scripted) -> None:
    scripted.answers = [http(200, "UID=263\r\n"), http(403)]
    device = unsaved_device(scripted.port)
    with pytest.raises(Refused):
        async with driver_for(device).rtp_session(Gateway(device), H264, port=40000):
            pytest.fail("the start was refused")
    assert len(scripted.requests) == 2
    assert await uids.leases() == []


def test_without_h264_2_in_rec_pb_priority() -> None:
    streams = {"h264": {"width": 1920, "max_fps": 60}, "h264_2": {"width": 640, "max_fps": 30}}
    device = unsaved_device(80, status={"priority_mode": "rec_pb", "streams": streams})
    assert driver_for(device).streams(Camera(device=device)) == [
        Stream("h264", "h264", 1920, 1080, 60, "rtp"),
        Stream("mjpeg", "mjpeg", 640, 360, 15, "mjpeg"),
        Stream("stills", "mjpeg", 640, 360, None, "stills"),
    ]
    device.status["priority_mode"] = "ip"
    names = [each.id for each in driver_for(device).streams(Camera(device=device))]
    assert names == ["h264", "h264_2", "mjpeg", "stills"]


@pytest.mark.parametrize(("body", "error"), [("ER1:x", Refused), ("Er3", Refused), ("ErrorNo=3\r\n", Busy)])
async def test_an_error_under_200_ok_is_an_error(scripted: Scripted, body: str, error: type[DeviceError]) -> None:
    scripted.answers = [http(200, body)]
    device = unsaved_device(scripted.port)
    with pytest.raises(error):
        await driver_for(device).identify(Gateway(device))
