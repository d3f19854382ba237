"""Every verb of the driver against the strict simulator, over real sockets, with nothing for it to complain about; the
ways of other firmware too."""

import asyncio
import base64
import random
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
import redis

from devices.cgi import BadValue, Choice, kept, schema
from devices.errors import NotSupported, Unauthorised, WrongAnswer
from devices.families import driver_for
from devices.families.base import Capability, Ptz, Stream
from devices.families.hama import commands as hama
from devices.families.hama import groups
from devices.gateway import Gateway
from devices.models import Camera, Device
from devices.options import BadOption, checked
from tests.devices.conftest import USER, Scripted, Simulator, http, unsaved_device

PASSWORD = "secret12"


def hama_device(port: int, **fields: Any) -> Device:
    return unsaved_device(port, **{"family": "hama", "password": PASSWORD} | fields)


@pytest.fixture
def start(start_simulator: Callable[..., Simulator]) -> Callable[..., Simulator]:
    def start(*oddities: str, options: tuple[str, ...] = ()) -> Simulator:
        odd = ["--oddities", ",".join(oddities)] if oddities else []
        return start_simulator(*odd, *options, family="hama", password=PASSWORD)

    return start


@pytest.fixture
def simulator(start: Callable[..., Simulator]) -> Simulator:
    return start()


@pytest.fixture
def device(simulator: Simulator, redis_client: redis.Redis) -> Device:
    return hama_device(simulator.port)


@pytest.fixture
def camera(device: Device) -> Camera:
    return Camera(device=device, number=1)


def state(simulator: Simulator) -> dict[str, Any]:
    return dict(simulator.side_door("state")["state"])


# --- What it is and how it is -----------------------------------------------------------------------------------------
async def test_it_tells_who_and_how_it_is(device: Device, simulator: Simulator, camera: Camera) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    identity = await driver.identify(gateway)
    assert identity.model == "IP - Cam M360"
    assert identity.firmware == "v1.32"
    assert identity.mac
    assert len(identity.mac.split(":")) == 6
    assert identity.serial is None, "the document gives none"
    assert identity.cameras == {1: "Gate"}
    device.status = identity.facts
    health = await driver.health(gateway)
    assert health.facts == {"users": 0, "most_users": 16}
    assert driver.streams(camera) == [
        Stream("mjpeg", "mjpeg", 640, 480, 15.0, "mjpeg", audio=True),
        Stream("stills", "mjpeg", 640, 480, None, "stills"),
    ]
    assert (await driver.snapshot(gateway, camera)).startswith(b"\xff\xd8")
    assert not any("," in target for target in simulator.targets), "each group is asked for alone, as the document does"
    assert simulator.violations == []


async def test_something_else_at_the_address_is_not_taken_for_a_hama(scripted: Scripted) -> None:
    scripted.answers = [http(200, "<html><body>It works!</body></html>")]
    device = hama_device(scripted.port)
    with pytest.raises(WrongAnswer, match="does not answer as a HAMA camera"):
        await driver_for(device).identify(Gateway(device))


async def test_what_a_model_lacks_is_null_and_stays_offered(scripted: Scripted) -> None:
    scripted.answers = [http(200, "root.Brand.Brand=Edimax\r\n"), http(404)]
    device = hama_device(scripted.port)
    identity = await driver_for(device).identify(Gateway(device))
    assert (identity.model, identity.mac, identity.firmware) == (None, None, None)
    assert (identity.facts["ptz"], identity.facts["audio"], identity.facts["formats"]) == (None, None, None)
    device.status = identity.facts
    driver = driver_for(device)
    assert driver.ptz(Camera(device=device)).pan_tilt is True
    assert driver.groups == groups.GROUPS
    mjpeg, stills = driver.streams(Camera(device=device))
    assert (mjpeg.width, mjpeg.fps, mjpeg.audio, stills.transport) == (None, None, False, "stills")


async def test_a_wrong_password_is_said_so(simulator: Simulator, redis_client: redis.Redis) -> None:
    device = hama_device(simulator.port, password="wrong")
    with pytest.raises(Unauthorised):
        await driver_for(device).identify(Gateway(device))


async def test_the_picture_without_a_log_in_is_where_the_option_says(
    start: Callable[..., Simulator], redis_client: redis.Redis
) -> None:
    simulator = start(options=("--loginfree-path", "/open/door.jpg"))
    device = hama_device(simulator.port, username="", password="", options={"loginfree_path": "/open/door.jpg"})
    reply = await driver_for(device).ask(Gateway(device), hama.LOGINFREE_JPG)
    assert reply.body.startswith(b"\xff\xd8")
    assert simulator.targets == ["/open/door.jpg"]
    assert simulator.violations == []


@pytest.mark.parametrize("path", ["loginfree.jpg", "/a b", "/x?y=1", "", 7, "/" + "x" * 100])
def test_a_path_that_is_none_is_refused_with_a_sentence(path: Any) -> None:
    options = driver_for(hama_device(80)).options
    assert checked(options, {"loginfree_path": "/a/b_c-1.jpg"})
    with pytest.raises(BadOption, match="use a path such as /loginfree"):
        checked(options, {"loginfree_path": path})


# --- Steering ---------------------------------------------------------------------------------------------------------
def steered(simulator: Simulator) -> list[str]:
    return [target.rpartition("?")[2].removeprefix("enet_source=cp.asp&") for target in simulator.targets]


MOVES = [
    (1.0, 0.0, "right"),
    (1.0, 0.2, "right"),
    (0.7, 0.7, "upright"),
    (0.0, 1.0, "up"),
    (-1.0, 1.0, "upleft"),
    (-1.0, 0.0, "left"),
    (-0.8, -1.0, "downleft"),
    (0.0, -1.0, "down"),
    (1.0, -1.0, "downright"),
]


async def test_it_moves_one_step_in_eight_directions(device: Device, simulator: Simulator, camera: Camera) -> None:
    for pan, tilt, _ in MOVES:
        await driver_for(device).move(Gateway(device), camera, pan=pan, tilt=tilt, zoom=0)
    directions = [each.removeprefix("move=") for each in steered(simulator) if each.startswith("move=")]
    assert directions == [direction for *_, direction in MOVES]
    asked = len(simulator.targets)
    await driver_for(device).move(Gateway(device), camera, pan=0, tilt=0, zoom=0)
    assert len(simulator.targets) == asked, "there is nothing to stop"
    assert simulator.violations == []


async def test_its_speed_is_set_when_it_changes_and_not_with_every_step(
    device: Device, simulator: Simulator, camera: Camera
) -> None:
    for speed in (1.0, 1.0, 0.1, 0.1, 1.0):
        await driver_for(device).move(Gateway(device), camera, pan=speed, tilt=0, zoom=0)
    assert steered(simulator) == [
        *("enet_avs_pt_speed=1", "move=right", "move=right"),
        *("enet_avs_pt_speed=9", "move=right", "move=right"),
        *("enet_avs_pt_speed=1", "move=right"),
    ]
    await driver_for(device).write_group(Gateway(device), groups.STEERING, {"enet_avs_pt_speed": "5"})
    await driver_for(device).move(Gateway(device), camera, pan=0.5, tilt=0, zoom=0)
    assert steered(simulator)[-2:] == ["enet_avs_pt_speed=5", "move=right"]
    assert simulator.violations == []


async def test_presets_and_the_middle(device: Device, simulator: Simulator, camera: Camera) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    await driver.set_preset(gateway, camera, 2, "Tür, 1 & +")
    await driver.set_preset(gateway, camera, 3)
    assert "Tür, 1 & +" in str(state(simulator)["presets"])
    await driver.goto_preset(gateway, camera, 2)
    await driver.home(gateway, camera)
    await driver.clear_preset(gateway, camera, 2, "Tür, 1 & +")
    await driver.clear_preset(gateway, camera, 3)
    assert state(simulator)["presets"] == {}
    assert simulator.side_door("violations") == {"violations": [], "notes": []}


async def test_what_it_cannot_do_is_refused_before_anything_is_sent(
    device: Device, simulator: Simulator, camera: Camera
) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    with pytest.raises(NotSupported, match="cannot zoom"):
        await driver.move(gateway, camera, pan=1, tilt=0, zoom=0.5)
    for number in (-1, 256):
        with pytest.raises(BadValue):
            await driver.goto_preset(gateway, camera, number)
    with pytest.raises(BadValue):
        await driver.set_preset(gateway, camera, 1, "x" * 33)
    lacking = (
        driver.clock(gateway),
        driver.set_ntp(gateway, "a"),
        driver.log(gateway),
        driver.restart(gateway),
        driver.users(gateway),
        driver.change_password(gateway, "x"),
        driver.swing(gateway, camera, True),
        driver.aux(gateway, camera, 1, True),
        driver.turn_to(gateway, camera, pan=1, tilt=1),
    )
    for verb in lacking:
        with pytest.raises(NotSupported):
            await verb
    assert simulator.targets == []
    assert driver.capabilities == {Capability.SETTINGS, Capability.PTZ, Capability.SNAPSHOT}


async def test_without_ptz_nothing_of_it_is_offered(start: Callable[..., Simulator], redis_client: redis.Redis) -> None:
    simulator = start("no-ptz")
    device = hama_device(simulator.port)
    device.status = (await driver_for(device).identify(Gateway(device))).facts
    driver = driver_for(device)
    assert driver.ptz(Camera(device=device)) == Ptz()
    assert Capability.PTZ not in driver.capabilities
    assert groups.STEERING not in driver.groups
    assert Capability.PTZ in driver_for(hama_device(80)).capabilities, "other cameras keep it"
    assert simulator.violations == []


# --- Settings ---------------------------------------------------------------------------------------------------------
async def test_every_group_is_read_whole(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    device.status = (await driver.identify(gateway)).facts
    assert driver.groups == groups.GROUPS
    for group in driver.groups:
        values = await driver.read_group(gateway, group)
        # Of VBR the quality is told, of CBR the bit rate; on which scale, a change has to show first.
        missing = ["bitrate", "Compression"] if group.id == "mpeg4" else []
        assert [name for name, value in values.items() if value is None] == missing
    assert simulator.violations == []


def test_every_setting_of_every_group_has_its_field_and_parameter() -> None:
    for group in groups.GROUPS:
        told = {name for ask in group.reads for name in ask.command.replies}
        assert {setting.told_as for setting in group.settings} - {None} <= told
        assert {each["name"] for each in schema(group)} == {setting.name for setting in group.settings}
        assert all(facts["label"] for facts in schema(group))
    written = {setting.sent_as for group in groups.GROUPS for setting in group.settings}
    settable = {param.name for row in hama.CATALOGUE if row.id.startswith("set_") for param in row.params}
    assert settable - written == {"action", "enet_source"}


async def test_each_change_is_a_request_of_its_own_and_is_read_back(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    written = await driver.write_group(gateway, groups.MJPEG, {"Resolution": "320x240", "Compression": 4, "FPS": 15})
    assert written.changed == {"Resolution": ("640x480", "320x240"), "Compression": ("3", "4")}
    assert written.differing == {}
    assert [target for target in simulator.targets if "update" in target] == [
        "/camera-cgi/admin/param.cgi?action=update&Image.I0.Appearance.Resolution=320x240",
        "/camera-cgi/admin/param.cgi?action=update&Image.I0.Appearance.Compression=4",
    ]
    assert simulator.violations == []


@pytest.mark.parametrize(("oddity", "told"), [("", 5), ("same-quality", 7)])
async def test_mpeg4_quality_is_written_on_one_scale_and_told_raw(
    start: Callable[..., Simulator], redis_client: redis.Redis, oddity: str, told: int
) -> None:
    simulator = start(*filter(None, [oddity]))
    device = hama_device(simulator.port)
    driver, gateway = driver_for(device), Gateway(device)
    written = await driver.write_group(gateway, groups.MPEG4, {"Compression": 7})
    assert written.values["compression_told"] == told
    assert (written.values["Compression"], written.differing) == ("7", {}), (
        "what it tells after a change shows the scale"
    )
    assert (await driver.read_group(gateway, groups.MPEG4))["Compression"] == "7"
    assert state(simulator)["parameters"]["Image.I1.Appearance.Compression"] == "7"
    with pytest.raises(BadValue):
        await driver.write_group(gateway, groups.MPEG4, {"compression_told": 9})
    assert simulator.violations == []


@pytest.mark.parametrize(("oddity", "less"), [("", 2), ("same-quality", 0)])
async def test_mpeg4_quality_is_restored_from_what_the_camera_told(
    start: Callable[..., Simulator], redis_client: redis.Redis, oddity: str, less: int
) -> None:
    simulator = start(*filter(None, [oddity]))
    device = hama_device(simulator.port)
    driver, gateway = driver_for(device), Gateway(device)
    snapshot = await driver.read_group(gateway, groups.MPEG4)
    assert (snapshot["compression_told"], snapshot["Compression"]) == (9 - less, None), (
        "on which scale is not known yet"
    )
    await asyncio.to_thread(_set_by_somebody_else, simulator, "Image.I1.Appearance.Compression=5")
    recalled = await driver.recalled(groups.MPEG4, snapshot, await driver.read_group(gateway, groups.MPEG4))
    restored = await driver.write_group(gateway, groups.MPEG4, recalled, restoring=True)
    assert state(simulator)["parameters"]["Image.I1.Appearance.Compression"] == "9"
    assert restored.differing == {}
    assert (restored.values["compression_told"], restored.values["Compression"]) == (9 - less, "9")
    assert (await driver.recalled(groups.MPEG4, snapshot, {}))["Compression"] == "9"
    assert simulator.violations == []


@pytest.mark.parametrize(("told", "quality"), [(13, "13"), (3, "5"), (9, None), (8, None)])
async def test_only_what_can_be_meant_in_one_way_is_understood(
    scripted: Scripted, told: int, quality: str | None
) -> None:
    scripted.answers = [http(200, f"Image.I1.Appearance.compression={told}\r\n")]
    device = hama_device(scripted.port)
    values = await driver_for(device).read_group(Gateway(device), groups.MPEG4)
    assert (values["Compression"], values["compression_told"]) == (quality, told)


def _set_by_somebody_else(simulator: Simulator, update: str) -> None:
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    address = f"http://127.0.0.1:{simulator.port}/camera-cgi/admin/param.cgi?action=update&{update}"
    with urllib.request.urlopen(
        urllib.request.Request(address, headers={"Authorization": f"Basic {login}"}), timeout=5
    ):
        pass


async def test_bit_rate_control_is_told_in_words_and_written_in_numbers(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    assert (await driver.read_group(gateway, groups.MPEG4))["stats"] == "1"
    written = await driver.write_group(gateway, groups.MPEG4, {"stats": 0, "bitrate": 800000})
    assert (written.values["stats"], written.values["bitrate"], written.differing) == ("0", "800000", {})
    assert simulator.violations == []


async def test_what_is_never_told_is_set_and_not_restored(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    written = await driver.write_group(gateway, groups.FLIP, {"enet_avs_flip_mode": 3})
    assert written.changed == {"enet_avs_flip_mode": (None, "3")}
    audio: dict[str, Any] = {"enet_audio_enable": "No", "enet_audio_mic_vol": 10, "enet_audio_output_vol": 100}
    written = await driver.write_group(gateway, groups.AUDIO, audio)
    assert written.values["enet_audio_enable"] == "No"
    with pytest.raises(BadValue, match="set_audio_volume needs enet_audio_mic_vol"):
        await driver.write_group(gateway, groups.AUDIO, {"enet_audio_enable": "Yes"})
    told = state(simulator)["parameters"]
    assert (told["enet_avs_flip_mode"], told["enet_audio_mic_vol"], told["enet_audio_output_vol"]) == ("3", "10", "100")
    restorable = {
        (group.id, facts["name"]) for group in groups.GROUPS for facts in schema(group) if facts["restorable"]
    }
    assert restorable == {
        *(("mjpeg", name) for name in ("Resolution", "Compression", "FPS")),
        *(("mpeg4", name) for name in ("Resolution", "stats", "bitrate", "Compression", "FPS")),
        ("default_format", "enet_avs_default_dual_mode"),
    }
    assert simulator.violations == []


async def test_a_snapshot_restored_after_random_changes_brings_every_restorable_value_back(
    device: Device, simulator: Simulator
) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    device.status = (await driver.identify(gateway)).facts
    await driver.write_group(gateway, groups.MPEG4, {"stats": 0, "bitrate": 500000})
    chance = random.Random(5)
    for group in (groups.MJPEG, groups.MPEG4, groups.DEFAULT_FORMAT):
        snapshot = kept(group, await driver.read_group(gateway, group))
        changes: dict[str, Any] = {}
        for name, value in snapshot.items():
            rule = group.rule(group.setting(name), driver.narrowed)
            assert isinstance(rule, Choice)
            changes[name] = chance.choice([word for word in rule.choices if word != value])
        await driver.write_group(gateway, group, changes)
        restored = await driver.write_group(gateway, group, snapshot, restoring=True)
        assert restored.differing == {}
        assert kept(group, restored.values) == snapshot
    assert simulator.violations == []


def test_what_has_to_be_given_together_is_said() -> None:
    conditions = {facts["name"]: facts["conditions"] for facts in schema(groups.AUDIO)}
    assert conditions["enet_audio_enable"] == [
        "Give enet_audio_mic_vol and enet_audio_output_vol with it: they are set together, and the device never tells "
        "them."
    ]
    assert "Give enet_audio_output_vol with it" in conditions["enet_audio_mic_vol"][0]
    assert "Give enet_audio_mic_vol with it" in conditions["enet_audio_output_vol"][0]
    assert conditions["codec"] == []
    assert all(not facts["conditions"] for facts in (*schema(groups.MJPEG), *schema(groups.FLIP)))


async def test_both_volumes_are_set_without_the_switch(device: Device, simulator: Simulator) -> None:
    volumes = {"enet_audio_mic_vol": 10, "enet_audio_output_vol": 100}
    await driver_for(device).write_group(Gateway(device), groups.AUDIO, volumes)
    told = state(simulator)["parameters"]
    assert (told["enet_audio_enable"], told["enet_audio_mic_vol"], told["enet_audio_output_vol"]) == (
        "Yes",
        "10",
        "100",
    )
    assert simulator.violations == []


def test_that_steering_changes_the_speed_is_said() -> None:
    (speed,) = schema(groups.STEERING)
    assert "Steering from here changes it" in speed["help"]


def test_only_resolutions_the_camera_says_it_has_may_be_set() -> None:
    device = hama_device(80, status={"resolutions": {"I0": ["640x480", "160x120"], "I1": None}})
    driver = driver_for(device)
    command = driver.command("set_mjpeg_resolution")
    assert command.params[1].facts()["choices"] == {"640x480": "640x480"}
    assert len(driver.command("set_mpeg4_resolution").params[1].facts()["choices"]) == 3


def test_groups_the_camera_lacks_are_left_out() -> None:
    device = hama_device(80, status={"formats": ["mjpeg"], "flips": False, "ptz": True})
    assert [group.id for group in driver_for(device).groups] == ["mjpeg", "audio", "steering", "information"]
    device.status = {"formats": ["mpeg4"]}
    assert driver_for(device).streams(Camera(device=device)) == [], "the document gives no address for MPEG4"


# --- The ways of other firmware ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "oddities",
    [
        ("root-everywhere", "single-group", "folded-content-type", "enet-page"),
        ("no-root", "lower-case-names", "http11"),
    ],
    ids="+".join,
)
async def test_other_firmware_is_understood(
    start: Callable[..., Simulator], redis_client: redis.Redis, oddities: tuple[str, ...]
) -> None:
    simulator = start(*oddities)
    device = hama_device(simulator.port)
    gateway, camera = Gateway(device), Camera(device=device, number=1)
    identity = await driver_for(device).identify(gateway)
    assert (identity.model, identity.firmware) == ("IP - Cam M360", "v1.32")
    assert identity.facts["ptz"] is True
    assert identity.facts["resolutions"]["I1"] == ["1024x768", "640x480", "320x240"]
    device.status = identity.facts
    driver = driver_for(device)
    for group in (groups.MJPEG, groups.AUDIO, groups.DEFAULT_FORMAT, groups.INFORMATION):
        values = await driver.read_group(gateway, group)
        assert [name for name, value in values.items() if value is None] == [], group.id
    written = await driver.write_group(gateway, groups.DEFAULT_FORMAT, {"enet_avs_default_dual_mode": "1"})
    assert written.values == {"enet_avs_default_dual_mode": "1"}
    await driver.move(gateway, camera, pan=1, tilt=1, zoom=0)
    assert (await driver.snapshot(gateway, camera)).startswith(b"\xff\xd8")
    async with gateway.stream(hama.VIDEO_MJPG) as streamed:
        async for piece in streamed.pieces:
            assert b"--myboundary" in piece[:200]
            break
    assert simulator.violations == []
