"""Every verb of the recorder's driver against the strict simulator, over real sockets, with nothing for it to complain
about: neither a violation of the document nor of the rests it wants."""

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from accounts.models import Role
from devices import polling, uids
from devices.cgi import BadValue
from devices.errors import Busy, NoAnswer, NotSupported, Refused, Unauthorised, WrongAnswer
from devices.families import driver_for
from devices.families.base import Capability, Ptz
from devices.families.ipro import commands as cgi
from devices.families.ipro import memory
from devices.families.ipro.driver import IproDriver
from devices.gateway import Gateway
from devices.models import Camera, Device, Site
from tests.devices.conftest import Scripted, Simulator, http, unsaved_device

START: dict[str, Any] = {"family": "ipro"}


@pytest.fixture
def recorder(start_simulator: Callable[..., Simulator], redis_client: redis.Redis) -> Iterator[Simulator]:
    """It watches us: at the end there must be nothing it complains about."""
    simulator = start_simulator("--cameras", "4", **START)
    yield simulator
    answer = simulator.side_door("violations")
    assert answer["violations"] == []
    assert [note for note in answer["notes"] if note["kind"].startswith("pacing")] == []


@pytest.fixture
def device(recorder: Simulator) -> Device:
    return recorder_row(recorder.port)


def recorder_row(port: int, **fields: Any) -> Device:
    return unsaved_device(port, **{"family": "ipro", "name": "Vault", "status": {"channels": 16}} | fields)


def camera(device: Device, number: int = 1) -> Camera:
    return Camera(device=device, number=number)


def steered(recorder: Simulator, number: int = 1) -> dict[str, Any]:
    return dict(recorder.side_door("state")["state"]["cameras"][str(number)])


def without_uid(targets: list[str]) -> list[str]:
    return [re.sub(r"(?<=[?&]UID=)[0-9]+", "7", target).removeprefix("/cgi-bin/") for target in targets]


LOGGING_IN = ["as_getinfo.cgi?FILE=2", "dlogin.cgi?UID=-1", "hdrctl.cgi?UID=7&SCREEN=16X&PC=AS60"]


# --- What it is and how it is -----------------------------------------------------------------------------------------
async def test_it_tells_its_cameras_and_nothing_it_cannot_know(device: Device, recorder: Simulator) -> None:
    identity = await driver_for(device).identify(Gateway(device))
    assert list(identity.cameras.items()) == [(number, f"Vault {number}") for number in (1, 2, 3, 4)]
    assert identity.facts == {"channels": 16, "max_uids": 16, "registered": [1, 2, 3, 4]}
    assert (identity.model, identity.serial, identity.mac, identity.firmware) == (None, None, None, None)


async def test_its_model_is_known_once_we_have_logged_in(device: Device, recorder: Simulator) -> None:
    driver, gateway = IproDriver(device), Gateway(device)
    await driver.focus(gateway, camera(device), "auto")
    assert (await memory.title(gateway) or "").startswith("Network Disk Recorder ")
    identity = await driver.identify(gateway)
    assert identity.model
    assert "Network" not in identity.model


async def test_it_tells_how_it_is(device: Device, recorder: Simulator) -> None:
    recorder.side_door("fault", {"kind": "camera", "number": 3, "mode": "lost"})
    health = await driver_for(device).health(Gateway(device))
    assert health.problems == ["The recorder has lost camera 3."]
    assert health.facts["cameras"] == {"1": "ok", "2": "ok", "3": "lost", "4": "ok"}
    assert (health.facts["uids_used"], health.facts["uids_max"]) == (0, 16)
    assert health.facts["recording"] is True
    first = health.facts["disks"][0]
    assert first["name"] == "MAIN-1"
    assert first["recording"] is True
    assert 0 <= first["free_gb"] <= first["size_gb"]
    assert first["oldest"] < first["newest"]


async def test_a_full_recorder_is_a_problem(device: Device, recorder: Simulator) -> None:
    recorder.side_door("fault", {"kind": "fill-uids", "number": 16})
    health = await driver_for(device).health(Gateway(device))
    assert health.facts["uids_used"] == 16
    assert "All 16 places" in health.problems[0]


@pytest.mark.parametrize("shorter_rests", [{}], ids=["full rests"])
async def test_who_just_asked_need_not_wait_to_ask_again(
    device: Device, recorder: Simulator, shorter_rests: dict[int, int]
) -> None:
    """Who it is and how it is come from one reading; the disks are asked for once a minute."""
    driver, gateway = driver_for(device), Gateway(device)
    await driver.identify(gateway)
    await driver.health(gateway)
    await driver.health(gateway)
    assert without_uid(recorder.targets).count("recordedtime.cgi") == 1
    # Three questions, two readings; a machine that is slow enough to let the first one grow old may take a third.
    assert 2 <= without_uid(recorder.targets).count("as_getinfo.cgi?FILE=2") <= 3


async def test_a_wrong_password_is_told_as_such(recorder: Simulator) -> None:
    device = recorder_row(recorder.port, password="wrong")
    with pytest.raises(Unauthorised):
        await driver_for(device).identify(Gateway(device))


async def test_something_else_at_the_address_is_told_as_such(scripted: Scripted) -> None:
    device = recorder_row(scripted.port)
    with pytest.raises(WrongAnswer, match="does not answer as an i-PRO recorder"):
        await driver_for(device).identify(Gateway(device))


async def test_its_disks(device: Device, recorder: Simulator) -> None:
    stores = await driver_for(device).storage(Gateway(device))
    assert stores
    assert all(store.kind == "disk" and store.present and store.size_gb for store in stores)
    assert stores[0].oldest is not None
    assert datetime.fromisoformat(stores[0].oldest)


async def test_its_log_has_errors_and_events_the_newest_first(device: Device, recorder: Simulator) -> None:
    recorder.side_door("fault", {"kind": "event", "number": 5})
    recorder.side_door("fault", {"kind": "camera", "number": 3, "mode": "lost"})
    entries = await driver_for(device).log(Gateway(device))
    assert {entry.code for entry in entries} == {"error", "event"}
    times = [entry.at for entry in entries]
    assert times == sorted(times, key=str, reverse=True)
    assert all(entry.text and entry.at and entry.utc and entry.number for entry in entries)
    assert recorder.sessions == [], "its UID was given back"
    assert without_uid(recorder.targets) == [
        *LOGGING_IN,
        "loglist.cgi?UID=7&KIND=ERR&HTML=as_errorlog.html",
        "loglist.cgi?UID=7&KIND=EVENT&HTML=as_eventlog.html",
        "logout.cgi?UID=7",
    ]


async def test_log_times_are_told_in_utc_too(scripted: Scripted) -> None:
    page = "<script>location='./hdrctl.cgi?UID=13313&HTML=camindex.html'</script>"
    info = "CAM_CONNECT_01CH=1\r\nMAXUID=16\r\nUSEDUID=0\r\n"
    errors = 'ERROR_LOG="001","2024/07/01 02:10:00","1","A","GMT+03:30","002","2024/01/01 02:10:00","0","B","GMT-03:30"'

    def answer(request: bytes) -> bytes:
        texts = {b"dlogin": page, b"as_getinfo": info, b"KIND=ERR": errors}
        return http(200, next((text for word, text in texts.items() if word in request), ""))

    scripted.answers = [answer]
    device = recorder_row(scripted.port)
    entries = await driver_for(device).log(Gateway(device))
    assert [(entry.number, entry.utc) for entry in entries] == [
        (1, datetime(2024, 6, 30, 21, 40, tzinfo=UTC)),
        (2, datetime(2024, 1, 1, 5, 40, tzinfo=UTC)),
    ]


# --- What it offers ---------------------------------------------------------------------------------------------------
def test_what_it_offers_and_what_not() -> None:
    device = recorder_row(1)
    driver = driver_for(device)
    assert driver.capabilities == {Capability.LIVE, Capability.PTZ, Capability.LOG, Capability.STORAGE}
    assert driver.groups == ()
    assert driver.ptz(camera(device)).presets == 256
    assert not driver.ptz(camera(device)).preset_clear
    device.status["now"] = {"without_ptz": [2]}
    assert driver.ptz(camera(device, 2)) == Ptz()


async def test_what_it_lacks_is_said(device: Device) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    for lacking in (
        driver.clear_preset(gateway, camera(device), 1),
        driver.home(gateway, camera(device)),
        driver.swing(gateway, camera(device), True),
        driver.clock(gateway),
        driver.restart(gateway),
        driver.record(gateway, True),
    ):
        with pytest.raises(NotSupported, match="Vault cannot"):
            await lacking


def test_a_stream_whose_format_nobody_has_seen_is_tried_in_both() -> None:
    device = recorder_row(1)
    driver = driver_for(device)
    (stream,) = driver.streams(camera(device, 3))
    assert (stream.codec, stream.width, stream.height, stream.fps) == ("", None, None, None)
    assert (stream.camera, stream.transport) == (3, "rtp")
    ways = [("h265", "rtp"), ("h264", "rtp"), ("h265", "http"), ("h264", "http")]
    assert [(each.codec, each.transport) for each in driver.candidates(stream)] == ways
    known = replace(stream, codec="h264")
    assert driver.candidates(known) == [known, replace(known, transport="http")]


def test_pictures_come_as_the_option_says() -> None:
    for option, transport, codec in (("http", "http", ""), ("mjpeg", "mjpeg", "mjpeg"), ("rtp", "rtp", "")):
        device = recorder_row(1, options={"transport": option})
        (stream,) = driver_for(device).streams(camera(device))
        assert (stream.transport, stream.codec) == (transport, codec)


def test_a_recorder_is_pinned_unless_told_otherwise() -> None:
    assert Gateway(recorder_row(1, scheme="https")).address.tls == "pin"
    assert Gateway(recorder_row(1, scheme="https", options={"tls": "verify"})).address.tls == "verify"


async def test_it_speaks_tls(start_simulator: Callable[..., Simulator], redis_client: redis.Redis) -> None:
    recorder = start_simulator("--tls", **START)
    device = recorder_row(recorder.port, scheme="https", options={"tls": "off"})
    assert (await driver_for(device).identify(Gateway(device))).cameras


# --- Steering ---------------------------------------------------------------------------------------------------------
async def test_steering_logs_in_once_and_stops_with_zeros(device: Device, recorder: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    await driver.move(gateway, camera(device), pan=0.5, tilt=0.25, zoom=-1)
    assert steered(recorder)["moving"] is True
    await driver.move(gateway, camera(device), pan=0, tilt=0, zoom=0)
    assert steered(recorder)["moving"] is False
    assert without_uid(recorder.targets) == [
        *LOGGING_IN,
        "directctrl.cgi?UID=7&CH=1&PAN=8&TILT=-4&ZOOM=-4&PC=AS60",
        "directctrl.cgi?UID=7&CH=1&PAN=0&TILT=0&ZOOM=0&PC=AS60",
    ]
    (held,) = await uids.held(device.pk)
    assert [(use.mode, use.camera) for use in held.uses] == [("steering", 0)]


@pytest.mark.parametrize(
    ("speed", "steps", "step"),
    [(1, 16, 16), (-1, 16, -16), (0, 16, 0), (0.001, 16, 1), (-0.001, 256, -1), (0.5, 256, 128), (2, 16, 16)],
)
async def test_a_speed_becomes_a_step(scripted: Scripted, speed: float, steps: int, step: int) -> None:
    sent = await steering_requests(
        scripted, lambda d, g, c: d.move(g, c, pan=speed, tilt=speed, zoom=0), ptz_steps=str(steps)
    )
    assert sent == [f"directctrl.cgi?UID=7&CH=1&PAN={step}&TILT={-step}&ZOOM=0&PC=AS60"]


@pytest.mark.parametrize(
    ("x", "y", "grid"),
    [(0, 0, "X=32&Y=32"), (1, 1, "X=0&Y=0"), (0.5, 0.5, "X=16&Y=16"), (0.25, 1, "X=24&Y=0"), (1, 0, "X=0&Y=32")],
)
async def test_a_point_in_the_picture_becomes_one_of_the_grid(
    scripted: Scripted, x: float, y: float, grid: str
) -> None:
    sent = await steering_requests(scripted, lambda d, g, c: d.center(g, c, x=x, y=y))
    assert sent == [f"camctl.cgi?UID=7&CH=1&CMD=CENTERING&CTRL=START&{grid}&PC=AS60"]


async def steering_requests(scripted: Scripted, verb: Callable[..., Any], **options: Any) -> list[str]:
    def answer(request: bytes) -> bytes:
        if b"as_getinfo" in request:
            return http(200, "CAM_CONNECT_01CH=1\r\nMAXUID=16\r\nUSEDUID=0\r\n")
        return http(200, "hdrctl.cgi?UID=13313&HTML" if b"dlogin" in request else "")

    scripted.answers = [answer]
    device = recorder_row(scripted.port, options=options)
    await verb(driver_for(device), Gateway(device), camera(device))
    targets = [request.split(b" ")[1].decode() for request in scripted.requests]
    return without_uid(targets)[len(LOGGING_IN) :]


async def test_every_other_verb_of_steering(device: Device, recorder: Simulator) -> None:
    driver, gateway, first = driver_for(device), Gateway(device), camera(device)
    for mode in ("near", "far", "auto"):
        await driver.focus(gateway, first, mode)
    for mode in ("open", "close", "reset"):
        await driver.iris(gateway, first, mode)
    await driver.center(gateway, first, x=0.25, y=0.75)
    await driver.aux(gateway, first, 8, True)
    assert len(steered(recorder)["aux"]) == 1
    await driver.aux(gateway, first, 8, False)
    assert steered(recorder)["aux"] == []
    await driver.set_preset(gateway, first, 256, "Gate")
    assert steered(recorder)["presets"] == [256]
    await driver.goto_preset(gateway, first, 256)
    ctrl = "camctl.cgi?UID=7&CH=1&CMD="
    assert without_uid(recorder.targets)[len(LOGGING_IN) :] == [
        *(f"{ctrl}FOCUS&CTRL={word}&CTRL=START&PC=AS60" for word in ("NEAR", "FAR", "AUTO")),
        *(f"{ctrl}IRIS&CTRL={word}&CTRL=START&PC=AS60" for word in ("OPEN", "CLOSE", "RESET")),
        f"{ctrl}CENTERING&CTRL=START&X=24&Y=8&PC=AS60",
        f"{ctrl}AUX8&CTRL=OPEN&PC=AS60",
        f"{ctrl}AUX8&CTRL=CLOSE&PC=AS60",
        f"{ctrl}PRESETPRG&NO=256&PC=AS60",
        f"{ctrl}PRESET&NO=256&PC=AS60",
    ]


async def test_a_bad_value_takes_no_uid(device: Device, recorder: Simulator) -> None:
    driver, gateway, first = driver_for(device), Gateway(device), camera(device)
    for bad in (
        driver.focus(gateway, first, "sharp"),
        driver.aux(gateway, first, 9, True),
        driver.goto_preset(gateway, first, 257),
        driver.center(gateway, first, x=1.5, y=0),
        driver.move(gateway, camera(device, 17), pan=1, tilt=0, zoom=0),
    ):
        with pytest.raises(BadValue):
            await bad
    assert recorder.targets == []


async def test_a_camera_that_is_refused_again_and_again_is_no_longer_offered(
    device: Device, recorder: Simulator
) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    for refusal in range(1, memory.REFUSALS_UNTIL_UNSTEERABLE + 1):
        probably = refusal == memory.REFUSALS_UNTIL_UNSTEERABLE
        with pytest.raises(NotSupported if probably else (Busy, Refused)):
            await driver.focus(gateway, camera(device, 2), "auto")
    assert (await driver.health(gateway)).facts["without_ptz"] == [2]
    await driver.focus(gateway, camera(device, 1), "auto")


async def test_one_success_makes_refusals_forgotten(scripted: Scripted) -> None:
    device = recorder_row(scripted.port)
    gateway = Gateway(device)
    for _ in range(memory.REFUSALS_UNTIL_UNSTEERABLE):
        await memory.note_steering(gateway, 5, refused=True)
    assert await memory.unsteerable(gateway) == [5]
    await memory.note_steering(gateway, 5, refused=False)
    assert await memory.unsteerable(gateway) == []


async def test_a_single_ctrl_is_tried_only_where_undocumented_forms_are_allowed(scripted: Scripted) -> None:
    def answer(request: bytes) -> bytes:
        if b"as_getinfo" in request:
            return http(200, "CAM_CONNECT_01CH=1\r\nMAXUID=16\r\nUSEDUID=0\r\n")
        if b"CTRL=START" in request:
            return http(400)
        return http(200, "hdrctl.cgi?UID=13313&HTML" if b"dlogin" in request else "")

    scripted.answers = [answer]
    strict, legacy = recorder_row(scripted.port), recorder_row(scripted.port, options={"legacy": True})
    with pytest.raises(Refused):
        await driver_for(strict).iris(Gateway(strict), camera(strict), "open")
    assert scripted.requests[-1].count(b"CTRL=") == 2
    await driver_for(legacy).iris(Gateway(legacy), camera(legacy), "open")
    assert b"CMD=IRIS&CTRL=OPEN&PC=AS60 " in scripted.requests[-1]


# --- Any command of the document --------------------------------------------------------------------------------------
async def test_a_command_by_hand_without_the_uid_it_needs_is_lent_one(device: Device, recorder: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    for command_id, values in (("get_error_log", {}), ("go_to_preset", {"CH": 1, "NO": 3})):
        command = driver.command(command_id)
        assert driver.fills_in(command) == {"UID"}
        async with driver.prepared(gateway, command, values) as run:
            assert len(recorder.sessions) == 1
            await driver.ask(gateway, command, run.values)
        assert run.note
        assert recorder.sessions == []


async def test_a_command_by_hand_disturbs_nothing_that_runs(device: Device, recorder: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    async with driver.uid(gateway, "live", "h264", camera=1):
        (before,) = recorder.sessions
        for command_id in ("setup_live", "logout", "keep_alive"):
            command = driver.command(command_id)
            async with driver.prepared(gateway, command, {}) as run:
                await driver.ask(gateway, command, run.values)
            assert [session["uid"] for session in recorder.sessions] == [before["uid"]]


async def test_a_uid_of_ones_own_can_be_used(device: Device, recorder: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    uid = (await driver.ask(gateway, cgi.LOGIN)).fields["UID"]
    await driver.ask(gateway, cgi.KEEP_ALIVE, {"UID": uid})
    await driver.ask(gateway, cgi.LOGOUT, {"UID": uid})
    assert recorder.sessions == []


async def test_many_commands_at_once_keep_the_rests(device: Device, recorder: Simulator) -> None:
    """The fixture looks at the notes on pacing."""
    driver, gateway = driver_for(device), Gateway(device)
    await asyncio.gather(
        *(driver.goto_preset(gateway, camera(device), 1) for _ in range(5)),
        driver.identify(gateway),
        driver.storage(gateway),
    )


async def test_the_poller_finds_all_it_looks_for(device: Device, recorder: Simulator) -> None:
    recorder.side_door("fault", {"kind": "camera", "number": 2, "mode": "lost"})
    outcome = await polling.look(device, polling.Memory())
    assert outcome.error is None
    assert outcome.identity is not None
    assert outcome.health is not None
    assert polling.state_after("unknown", 0, outcome) == ("degraded", 0)


async def test_a_restarting_recorder_is_offline_and_comes_back(device: Device, recorder: Simulator) -> None:
    recorder.side_door("fault", {"kind": "reboot", "seconds": 3})
    outcome = await polling.look(device, polling.Memory())
    assert isinstance(outcome.error, NoAnswer | Busy)
    for _ in range(60):
        outcome = await polling.look(device, polling.Memory())
        if outcome.error is None:
            break
        await asyncio.sleep(0.5)
    assert outcome.error is None


def test_the_api_says_null_for_what_is_not_known(redis_client: redis.Redis, api_of: Callable[..., Any]) -> None:
    site = Site.objects.create(name="Bank")
    row = recorder_row(1)
    row.pk, row.site = None, site
    row.save()
    shown = Camera.objects.create(device=row, number=3, name="Hall")
    status, answer = api_of(Role.VIEWER, site)("GET", f"cameras/{shown.pk}")
    assert status == 200
    (stream,) = answer["streams"]
    assert (stream["codec"], stream["width"], stream["fps"], stream["transport"]) == (None, None, None, "rtp")


async def test_a_recorder_that_has_no_place_for_us_is_not_taken_for_one_that_cannot_steer(
    device: Device, recorder: Simulator
) -> None:
    """It has forgotten our UID, and others took all places meanwhile."""
    driver, gateway = IproDriver(device), Gateway(device)
    await driver.focus(gateway, camera(device), "auto")
    recorder.side_door("fault", {"kind": "lose-uids"})
    recorder.side_door("fault", {"kind": "fill-uids", "number": 16})
    await memory.forget_reading(gateway, cgi.GET_INFO)
    with pytest.raises(Busy, match="16 of its 16 places"):
        await driver.focus(gateway, camera(device), "auto")
    assert await memory.note_steering(gateway, 1, refused=True) == 1, "it had not refused to steer until now"
