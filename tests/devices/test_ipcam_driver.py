"""Every verb of the driver against the strict simulator, over real sockets, with nothing for it to complain about; the
ways of other firmware too."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from devices.cgi import BadValue, Choice, Group, Whole, hidden, kept, schema, why_not_kept
from devices.errors import NotSupported, Refused, Unauthorised, WrongAnswer
from devices.exchanges import forget, recent
from devices.families import driver_for
from devices.families.base import Capability, Stream, Switch, User
from devices.families.ipcam import commands as ipcam
from devices.families.ipcam import groups
from devices.gateway import Gateway
from devices.models import Camera, Device
from tests.devices.conftest import Scripted, Simulator, http, unsaved_device

PASSWORD = "secret12"  # the camera takes eight characters at most


def ipcam_device(port: int, **fields: Any) -> Device:
    return unsaved_device(port, **{"family": "ipcam", "password": PASSWORD} | fields)


@pytest.fixture
def start(start_simulator: Callable[..., Simulator]) -> Callable[..., Simulator]:
    def start(*oddities: str) -> Simulator:
        odd = ["--oddities", ",".join(oddities)] if oddities else []
        return start_simulator("--user-auth", *odd, family="ipcam", password=PASSWORD)

    return start


@pytest.fixture
def simulator(start: Callable[..., Simulator]) -> Simulator:
    return start()


@pytest.fixture
def device(simulator: Simulator, redis_client: redis.Redis) -> Device:
    return ipcam_device(simulator.port)


@pytest.fixture
def camera(device: Device) -> Camera:
    return Camera(device=device, number=1)


def state(simulator: Simulator) -> dict[str, Any]:
    return dict(simulator.side_door("state")["state"])


# --- What it is and how it is -----------------------------------------------------------------------------------------
async def test_it_tells_who_and_how_it_is(device: Device, simulator: Simulator, camera: Camera) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    identity = await driver.identify(gateway)
    assert identity.model
    assert identity.model.startswith("CAS-3")
    assert identity.firmware
    assert identity.mac
    assert len(identity.mac.split(":")) == 6
    assert identity.serial is None, "the document gives none"
    assert identity.cameras == {1: identity.facts["title"]}
    device.status = identity.facts
    health = await driver.health(gateway)
    assert health.facts["switches"] == dict.fromkeys(("Trigger1", "Trigger2", "ImageUpload", "ImageEmail"), False)
    assert abs(health.facts["clock_skew_seconds"]) <= 5
    assert health.problems == []
    assert driver.streams(camera) == [
        Stream("mjpeg", "mjpeg", 640, 480, 15.0, "mjpeg"),
        Stream("stills", "mjpeg", 640, 480, None, "stills"),
    ]
    assert (await driver.snapshot(gateway, camera)).startswith(b"\xff\xd8")
    assert simulator.violations == []


def test_a_frame_rate_left_to_the_camera_is_not_invented() -> None:
    device = ipcam_device(80, status={"picture": {"resolution": "1", "frame_rate": "0"}})
    mjpeg, _ = driver_for(device).streams(Camera(device=device, number=1))
    assert (mjpeg.width, mjpeg.height, mjpeg.fps) == (320, 240, None)
    device.status = {}
    mjpeg, _ = driver_for(device).streams(Camera(device=device, number=1))
    assert (mjpeg.width, mjpeg.height, mjpeg.fps) == (None, None, None)


async def test_something_else_at_the_address_is_not_taken_for_an_ipcam(scripted: Scripted) -> None:
    scripted.answers = [http(200, "<html><body>It works!</body></html>")]
    device = ipcam_device(scripted.port)
    with pytest.raises(WrongAnswer, match="does not answer as an IPCam"):
        await driver_for(device).identify(Gateway(device))


async def test_what_a_model_lacks_is_null(scripted: Scripted) -> None:
    scripted.answers = [http(200, "Model=CAS-300\r\nMACAddress=00-11-22-aa-bb\r\n"), http(404)]
    device = ipcam_device(scripted.port)
    identity = await driver_for(device).identify(Gateway(device))
    assert (identity.model, identity.mac, identity.firmware) == ("CAS-300", None, None)
    assert identity.cameras == {1: "Gate"}
    assert identity.facts["picture"] == {"resolution": None, "frame_rate": None}
    assert identity.facts["zone_minutes"] is None


async def test_a_model_without_triggers_is_well(scripted: Scripted) -> None:
    scripted.answers = [http(404), http(200, "CGIVersion=2\r\n")]
    device = ipcam_device(scripted.port)
    health = await driver_for(device).health(Gateway(device))
    assert health.facts["switches"] is None
    assert health.problems == []


# --- Steering ---------------------------------------------------------------------------------------------------------
async def test_it_moves_in_steps_that_end_by_themselves(device: Device, simulator: Simulator, camera: Camera) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    await driver.turn_to(gateway, camera, pan=100, tilt=50)
    assert await driver.position(gateway, camera) == (100, 50)
    await driver.move(gateway, camera, pan=1, tilt=0, zoom=0)
    pan, tilt = await driver.position(gateway, camera)
    assert (abs(pan - 100), tilt) == (10, 50)
    await driver.move(gateway, camera, pan=0, tilt=-0.2, zoom=0)
    moved_pan, moved_tilt = await driver.position(gateway, camera)
    assert (moved_pan, abs(moved_tilt - tilt)) == (pan, 2)
    asked = len(simulator.targets)
    await driver.move(gateway, camera, pan=0, tilt=0, zoom=0)
    assert len(simulator.targets) == asked, "there is nothing to stop"
    assert simulator.violations == []


STEPS = [
    (1, 0, ["PanSingleMoveDegree=10&TiltSingleMoveDegree=1&PanTiltSingleMove=5"]),
    (-0.04, 0, ["PanSingleMoveDegree=1&TiltSingleMoveDegree=1&PanTiltSingleMove=3"]),
    (0, 0.5, ["PanSingleMoveDegree=1&TiltSingleMoveDegree=5&PanTiltSingleMove=1"]),
    (
        -1,
        -0.3,
        [
            "PanSingleMoveDegree=10&TiltSingleMoveDegree=3&PanTiltSingleMove=3",
            "PanSingleMoveDegree=10&TiltSingleMoveDegree=3&PanTiltSingleMove=7",
        ],
    ),
]


async def test_right_and_up_are_positive_and_diagonals_are_two_steps(device: Device, camera: Camera) -> None:
    for pan, tilt, steps in STEPS:
        forget(device.pk)
        await driver_for(device).move(Gateway(device), camera, pan=pan, tilt=tilt, zoom=0)
        assert [each.form for each in reversed(recent(device.pk)) if each.status == 204] == steps


async def test_presets_are_kept_where_it_looks(device: Device, simulator: Simulator, camera: Camera) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    ptz = driver.ptz(camera)
    assert (ptz.presets, ptz.preset_names, ptz.home, ptz.swing, ptz.zoom, ptz.focus) == (
        24,
        True,
        True,
        True,
        False,
        (),
    )
    await driver.turn_to(gateway, camera, pan=30, tilt=20)
    await driver.set_preset(gateway, camera, 3, "Tür, 1 & +")
    await driver.home(gateway, camera)
    assert (state(simulator)["pan"], state(simulator)["tilt"]) != (30, 20)
    await driver.goto_preset(gateway, camera, 3)
    assert (state(simulator)["pan"], state(simulator)["tilt"]) == (30, 20)
    assert "Tür, 1 & +" in str(state(simulator)["presets"])
    await driver.swing(gateway, camera, True)
    assert state(simulator)["swinging"] is True
    await driver.swing(gateway, camera, False)
    await driver.clear_preset(gateway, camera, 3)
    assert state(simulator)["presets"] == {}
    assert simulator.violations == []


async def test_what_it_cannot_do_is_refused_before_anything_is_sent(
    device: Device, simulator: Simulator, camera: Camera
) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    with pytest.raises(NotSupported, match="cannot zoom"):
        await driver.move(gateway, camera, pan=1, tilt=0, zoom=0.5)
    for number in (0, 25):
        with pytest.raises(BadValue):
            await driver.set_preset(gateway, camera, number)
        with pytest.raises(BadValue):
            await driver.goto_preset(gateway, camera, number)
    with pytest.raises(BadValue):
        await driver.set_preset(gateway, camera, 1, "thirteen char")
    with pytest.raises(BadValue):
        await driver.aux(gateway, camera, 3, True)
    with pytest.raises(BadValue):
        await driver.switch(gateway, "Trigger3", True)
    with pytest.raises(BadValue):
        await driver.change_password(gateway, "")
    for verb in (driver.focus(gateway, camera, "near"), driver.log(gateway), driver.storage(gateway)):
        with pytest.raises(NotSupported):
            await verb
    assert simulator.targets == []


async def test_a_camera_that_does_not_tell_where_it_looks_keeps_no_preset(scripted: Scripted) -> None:
    part = "--x\r\nContent-Length: 2\r\nDate: 2008-10-01 15:37:53\r\nContent-Type: image/jpeg\r\n\r\nab\r\n\r\n"
    scripted.answers = [http(200, part * 4, "Content-Type: multipart/x-mixed-replace;boundary=--x")]
    device = ipcam_device(scripted.port)
    with pytest.raises(NotSupported, match="does not tell where it looks"):
        await driver_for(device).set_preset(Gateway(device), Camera(device=device, number=1), 1)
    assert len(scripted.requests) == 1


# --- Triggers, serial port, users -------------------------------------------------------------------------------------
async def test_triggers_are_switched_and_read_back(device: Device, simulator: Simulator, camera: Camera) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    assert not any(each.on for each in await driver.switches(gateway))
    await driver.aux(gateway, camera, 2, True)
    for name in ("Trigger1", "ImageUpload", "ImageEmail"):
        assert Switch(name, dict(_labels())[name], True) in await driver.switch(gateway, name, True)
    assert set(state(simulator)["io"].values()) == {"1"}
    assert Switch("Trigger1", "Trigger 1", False) in await driver.switch(gateway, "Trigger1", False)
    assert simulator.violations == []


def _labels() -> list[tuple[str, str]]:
    return [("Trigger1", "Trigger 1"), ("ImageUpload", "FTP upload"), ("ImageEmail", "E-mail")]


async def test_its_serial_port_sends_what_it_is_given(device: Device, simulator: Simulator) -> None:
    await driver_for(device).send_serial(Gateway(device), "a=1&b+ü\r\n")
    assert [each.encode("latin-1").decode() for each in state(simulator)["com_output"]] == ["a=1&b+ü\r\n"]
    assert simulator.violations == []


async def test_its_users_are_added_changed_and_removed(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    rights = driver.user_rights()
    assert await driver.users(gateway) == []
    assert await driver.set_user(gateway, "bob", "pass wor", "0") == [User("bob", "0", rights["0"])]
    assert await driver.set_user(gateway, "bob", "another", "1") == [User("bob", "1", rights["1"])]
    assert [user.name for user in await driver.set_user(gateway, "ann", "x", "0")] == ["bob", "ann"]
    assert await driver.remove_user(gateway, "bob") == [User("ann", "0", rights["0"])]
    said = str(recent(device.pk))
    assert "pass wor" not in said
    assert "another" not in said
    assert simulator.violations == []


async def test_a_changed_password_is_proven_before_it_is_ours(device: Device, simulator: Simulator) -> None:
    await driver_for(device).change_password(Gateway(device), "n+w & pw")
    with pytest.raises(Unauthorised):
        await driver_for(device).switches(Gateway(device))
    device.password = "n+w & pw"
    await driver_for(device).switches(Gateway(device))
    assert simulator.violations == []


async def test_a_password_that_is_not_ours_is_not_changed(scripted: Scripted) -> None:
    scripted.answers = [http(200, "AdminID=root\r\nAdminPassword=x\r\n")]
    device = ipcam_device(scripted.port)
    with pytest.raises(Refused, match="do not log in to Gate as its administrator"):
        await driver_for(device).change_password(Gateway(device), "new")
    assert len(scripted.requests) == 1


# --- Clock, restart ---------------------------------------------------------------------------------------------------
ZONES = [{}, {"TimeZone": "-8"}, {"TimeZone": "+13"}, {"TimeZoneIndex": "60"}, {"TimeZoneIndex": "17"}]


async def test_its_clock_is_set_in_its_own_zone(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    moment = datetime(2024, 2, 29, 23, 30, tzinfo=UTC)
    await driver.write_group(gateway, groups.DATETIME, {"DateTimeMode": "1"})
    for zone in ZONES:
        if zone:
            await driver.write_group(gateway, groups.DATETIME, zone)
        await driver.set_clock(gateway, moment)
        told = await driver.clock(gateway)
        assert told is not None
        assert timedelta(0) <= told - moment < timedelta(seconds=10), zone
    assert simulator.violations == []


async def test_it_is_given_a_time_server(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    await driver.write_group(gateway, groups.DATETIME, {"DateTimeMode": "1"})
    await driver.set_ntp(gateway, "time.example.org")
    values = await driver.read_group(gateway, groups.DATETIME)
    expected = {"DateTimeMode": "0", "TimeServerIPAddress": "time.example.org", "TimeServerProtocol": "0"}
    assert {name: values[name] for name in expected} == expected
    assert simulator.violations == []


async def test_a_clock_that_a_time_server_sets_is_left_to_it(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    await driver.set_ntp(gateway, "time.example.org")
    with pytest.raises(Refused, match=r"time server \(time\.example\.org\).*switch that off.*Set manually"):
        await driver.set_clock(gateway, datetime(2024, 2, 29, tzinfo=UTC))
    values = await driver.read_group(gateway, groups.DATETIME)
    assert values["DateTimeMode"] == "0", "bulk actions switch no time server off"
    await driver.write_group(gateway, groups.DATETIME, {"DateTimeMode": "1"})
    await driver.set_clock(gateway, datetime(2024, 2, 29, tzinfo=UTC))
    assert simulator.violations == []


async def test_a_clock_that_is_wrong_is_a_problem_until_it_is_set(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    device.status = (await driver.identify(gateway)).facts
    await driver.write_group(gateway, groups.DATETIME, {"DateTimeMode": "1"})
    await driver.set_clock(gateway, datetime.now(UTC) - timedelta(minutes=5))
    health = await driver.health(gateway)
    assert abs(health.facts["clock_skew_seconds"] + 300) <= 5
    (problem,) = health.problems
    assert "time server" in problem
    device.status = {**device.status, "problems": health.problems}
    await driver.set_clock(gateway, datetime.now(UTC))
    assert (await driver.health(gateway)).problems == []
    assert simulator.violations == []


async def test_a_clock_without_a_zone_is_neither_read_nor_set(scripted: Scripted) -> None:
    scripted.answers = [http(200, "Date=2024-02-29\r\nTime=23:30:00\r\nTimeZoneIndex=0\r\n")]
    device = ipcam_device(scripted.port)
    assert await driver_for(device).clock(Gateway(device)) is None
    with pytest.raises(NotSupported, match="Set that first"):
        await driver_for(device).set_clock(Gateway(device), datetime(2024, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(("verb", "form"), [("restart", "Reset=Yes"), ("factory_reset", "FactoryReset=Yes")])
async def test_it_is_restarted_and_reset(device: Device, verb: str, form: str) -> None:
    await getattr(driver_for(device), verb)(Gateway(device))
    last = recent(device.pk)[0]
    assert (last.method, last.target, last.form, last.status) == ("POST", "/reset.cgi", form, 204)


# --- Settings ---------------------------------------------------------------------------------------------------------
async def test_every_group_is_read_whole(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    for group in driver.groups:
        values = await driver.read_group(gateway, group)
        assert [name for name, value in values.items() if value is None] == [], group.id
    assert simulator.violations == []


def test_every_setting_of_every_group_has_its_field_and_parameter() -> None:
    for group in groups.GROUPS:
        told = {name for ask in group.reads for name in ask.command.replies}
        assert {setting.told_as for setting in group.settings} <= told
        assert {each["name"] for each in schema(group)} == {setting.name for setting in group.settings}
        for facts in schema(group):
            assert facts["label"], facts
            assert facts["restorable"] or facts["name"] in ("AdminID", "Date", "Time")
    written = {setting.sent_as for group in groups.GROUPS for setting in group.settings}
    settable = {param.name for row in ipcam.CATALOGUE if row.id.startswith("set_") for param in row.params}
    elsewhere = {"ConfigReboot", "AdminID", "AdminPassword", "Trigger1", "Trigger2", "ImageUpload", "ImageEmail"}
    assert settable - written == elsewhere, "what the document lets be set is in a group or has a verb of its own"


async def test_only_what_changes_is_sent_and_without_a_restart(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    before = await driver.read_group(gateway, groups.IMAGE)
    written = await driver.write_group(gateway, groups.IMAGE, {**before, "Mirror": 3, "BrightnessControl": 100})
    assert written.changed == {"Mirror": ("0", "3"), "BrightnessControl": (64, 100)}
    assert written.differing == {}
    forms = [each.form for each in recent(device.pk) if each.form]
    assert forms == ["BrightnessControl=100&Mirror=3&ConfigReboot=No"]
    assert simulator.violations == []


async def test_the_clock_goes_with_its_mode_only(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    with pytest.raises(BadValue, match="only together with DateTimeMode=1"):
        await driver.write_group(gateway, groups.DATETIME, {"Time": "12:00:00"})
    await driver.write_group(gateway, groups.DATETIME, {"DateTimeMode": "1", "Time": "12:00:00"})
    assert simulator.violations == []


async def test_a_snapshot_restored_after_random_changes_brings_every_restorable_value_back(
    device: Device, simulator: Simulator
) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    chance = random.Random(5)
    for group in driver.groups:
        snapshot = kept(group, await driver.read_group(gateway, group))
        assert set(snapshot) == {each.name for each in group.settings if not why_not_kept(group, each)}
        changed = await driver.write_group(gateway, group, _random_change(group, snapshot, chance))
        assert changed.changed
        assert changed.differing == {}
        restored = await driver.write_group(gateway, group, snapshot, restoring=True)
        assert restored.differing == {}, group.id
        assert kept(group, restored.values) == snapshot, group.id
    assert simulator.violations == []


def _random_change(group: Group, snapshot: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Another value for every setting that can be brought back, allowed beside each other; the address stays."""
    changes: dict[str, Any] = {}
    for setting in group.settings:
        rule = group.rule(setting)
        if why_not_kept(group, setting) or rule is None or setting.name in _ADDRESS:
            continue
        if isinstance(rule, Choice):
            changes[setting.name] = chance.choice([word for word in rule.choices if word != snapshot[setting.name]])
        elif isinstance(rule, Whole):
            changes[setting.name] = chance.randrange(rule.low, rule.high)
        elif rule.type in ("host", "ipv4"):
            changes[setting.name] = f"10.{chance.randrange(256)}.1.2"
        elif setting.name.endswith(("Start", "Stop")):
            changes[setting.name] = f"{chance.randrange(24):02}:12:35"
        elif setting.name == "PreSharedKey":
            changes[setting.name] = f"a longer secret {chance.randrange(100)}"
        elif setting.name.startswith("Key"):
            changes[setting.name] = "abcdefghijklm"
        else:
            changes[setting.name] = f"x{chance.randrange(100)}"
    keys = {"WEPEncryption": "3", "WEPKeyFormat": "0"}
    return changes | {name: value for name, value in keys.items() if name in changes}


_ADDRESS = ("IPAddressMode", "IPAddress", "SubnetMask", "DefaultGateway")


def test_secrets_are_hidden() -> None:
    for group, name in (
        (groups.NETWORK, "DDNSPassword"),
        (groups.NETWORK, "PPPoEPASSWORD"),
        (groups.WIRELESS, "Key1"),
        (groups.WIRELESS, "PreSharedKey"),
        (groups.UPLOAD, "FTPPassword"),
        (groups.EMAIL, "EmailPassword"),
    ):
        assert "secret" not in str(hidden(group, {name: "secret"}))


async def test_a_fixed_address_that_changes_restarts_the_camera_and_is_told(
    device: Device, simulator: Simulator
) -> None:
    written = await driver_for(device).write_group(Gateway(device), groups.NETWORK, {"IPAddress": "127.0.0.2"})
    assert written.moved == {"host": "127.0.0.2"}
    assert [each.form for each in recent(device.pk) if each.form] == ["IPAddress=127.0.0.2&ConfigReboot=Yes"]


async def test_another_way_to_an_address_waits_for_a_restart(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    written = await driver.write_group(gateway, groups.NETWORK, {"IPAddressMode": "4", "IPAddress": "10.0.0.9"})
    assert written.moved == {}
    assert written.values["IPAddressMode"] == "4"
    assert simulator.violations == []


async def test_after_access_control_is_changed_a_picture_is_asked_for_without_a_password(
    device: Device, simulator: Simulator
) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    written = await driver.write_group(gateway, groups.ACCESS, {"AccessControlEnable": "1"})
    assert (written.values, written.differing) == ({"AccessControlEnable": "1"}, {})
    asked = [each for each in recent(device.pk) if each.target == "/image.jpg"]
    assert [each.status for each in asked] == [200]
    assert simulator.violations == []


async def test_a_camera_that_means_the_contrary_by_access_control_is_told_of(scripted: Scripted) -> None:
    def answer(request: bytes) -> bytes:
        if request.startswith(b"GET /image.jpg"):
            return http(401, "", 'WWW-Authenticate: Basic realm="x"')
        return http(200, f"AccessControlEnable={len(scripted.requests) // 2}\r\n")

    scripted.answers = [answer]
    device = ipcam_device(scripted.port)
    write = Group(
        id="access", title="", reads=groups.ACCESS.reads, settings=groups.ACCESS.settings, write=_as_get(groups.ACCESS)
    )
    written = await driver_for(device).write_group(Gateway(device), write, {"AccessControlEnable": "1"})
    assert written.differing == {"AccessControlEnable": ("1", "0")}


def _as_get(group: Group) -> Any:
    """The scripted device reads no bodies."""
    assert group.write
    return replace(group.write, methods=("GET",))


# --- The ways of other firmware ---------------------------------------------------------------------------------------
ODDITIES = [
    *("result-lines", "control-204-body", "control-200", "control-empty", "lower-case-names", "spaced-names"),
    *("american-date", "leftmost-io", "bare-boundary", "vendor-part-headers", "tight-headers", "colon-mac"),
    *("no-iimage", "diagonals"),
]
TOGETHER = [
    ("result-lines", "control-204-body", "lower-case-names", "american-date", "bare-boundary", "no-iimage"),
    ("control-200", "spaced-names", "leftmost-io", "tight-headers", "colon-mac"),
    ("control-empty", "vendor-part-headers", "diagonals"),
]


def test_every_oddity_is_met() -> None:
    assert {each for few in TOGETHER for each in few} == set(ODDITIES)


@pytest.mark.parametrize("oddities", TOGETHER, ids="+".join)
async def test_other_firmware_is_understood(
    start: Callable[..., Simulator], redis_client: redis.Redis, oddities: tuple[str, ...]
) -> None:
    simulator = start(*oddities)
    device = ipcam_device(simulator.port)
    driver, gateway, camera = driver_for(device), Gateway(device), Camera(device=device, number=1)
    identity = await driver.identify(gateway)
    assert identity.model
    assert identity.mac
    assert len(identity.mac) == 17
    device.status = identity.facts
    health = await driver.health(gateway)
    assert health.facts["switches"]["Trigger1"] is False
    assert abs(health.facts["clock_skew_seconds"]) <= 5
    for group in driver.groups:
        values = await driver.read_group(gateway, group)
        assert [name for name, value in values.items() if value is None] == [], group.id
    await driver.turn_to(gateway, camera, pan=12, tilt=34)
    assert await driver.position(gateway, camera) == (12, 34)
    await driver.move(gateway, camera, pan=1, tilt=1, zoom=0)
    assert Switch("Trigger1", "Trigger 1", True) in await driver.switch(gateway, "Trigger1", True)
    assert [user.name for user in await driver.set_user(gateway, "bob", "x", "0")] == ["bob"]
    moment = datetime(2024, 2, 29, 23, 30, tzinfo=UTC)
    await driver.write_group(gateway, groups.DATETIME, {"DateTimeMode": "1"})
    await driver.set_clock(gateway, moment)
    told = await driver.clock(gateway)
    assert told is not None
    assert timedelta(0) <= told - moment < timedelta(seconds=10)
    written = await driver.write_group(gateway, groups.UPLOAD, {"FTPManualFileMode": "2"})
    assert written.values["FTPManualFileMode"] == "2"
    assert (await driver.ask(gateway, ipcam.QUERY_IMAGE)).fields["FrameRate"]
    assert simulator.violations == []


async def test_a_camera_that_reads_no_forms_is_set_by_get(
    start: Callable[..., Simulator], redis_client: redis.Redis
) -> None:
    """Documented for settings; for steering it is not, and then the option legacy decides."""
    simulator = start("post-broken")
    device = ipcam_device(simulator.port)
    written = await driver_for(device).write_group(Gateway(device), groups.IMAGE, {"Mirror": 1})
    assert written.values["Mirror"] == "1"
    assert simulator.targets[-2] == "/image.cgi?Mirror=1&ConfigReboot=No"
    camera = Camera(device=device, number=1)
    with pytest.raises(Refused):
        await driver_for(device).home(Gateway(device), camera)
    device.options = {"legacy": True}
    await driver_for(device).home(Gateway(device), camera)
    assert recent(device.pk)[0].undocumented is True
    assert simulator.violations == []


async def test_words_of_the_field_are_tried_only_where_the_option_allows_it(
    start: Callable[..., Simulator], redis_client: redis.Redis
) -> None:
    simulator = start("field-values")
    device = ipcam_device(simulator.port)
    wanted = {"FTPScheduleFramePerSecond": "Auto", "FTPManualFileMode": "2", "FTPPortNumber": 2121}
    with pytest.raises(Refused):
        await driver_for(device).write_group(Gateway(device), groups.UPLOAD, wanted)
    assert not any(each.undocumented for each in recent(device.pk))
    device.options = {"legacy": True}
    written = await driver_for(device).write_group(Gateway(device), groups.UPLOAD, wanted)
    assert {name: written.values[name] for name in wanted} == wanted
    assert written.differing == {}
    tried = [each for each in recent(device.pk) if each.undocumented and each.method == "POST"]
    assert [each.form for each in tried] == [
        "FTPPortNumber=2121&FTPScheduleFramePerSecond=-1&FTPManualFileMode=3&ConfigReboot=no"
    ]


def test_its_options_and_capabilities() -> None:
    driver = driver_for(ipcam_device(80))
    assert driver.option("transport") == "auto"
    assert not driver.capabilities & {Capability.LOG, Capability.STORAGE, Capability.RECORDING}
    assert driver.capabilities >= {Capability.USERS, Capability.PASSWORD, Capability.SWITCHES, Capability.RESTART}
