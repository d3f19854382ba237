"""Groups of settings: planned purely, then written to the strict simulator and read back."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.cgi import (
    HIDDEN,
    BadValue,
    Choice,
    Group,
    Whole,
    encode,
    hidden,
    kept,
    plan,
    schema,
    values_from,
    why_not_kept,
)
from devices.errors import NotSupported, Refused
from devices.families import driver_for
from devices.families.base import Driver
from devices.families.povcam import clock, groups
from devices.gateway import Gateway
from devices.models import Device
from tests.devices.conftest import Scripted, Simulator, http, unsaved_device


def sent(group: Group, current: dict[str, Any], wanted: dict[str, Any], **how: Any) -> list[str]:
    return [
        f"{ask.command.id}?{encode(ask.command, ask.values)}" for ask in plan(group, current, wanted, **how).requests
    ]


# --- Planning, pure ---------------------------------------------------------------------------------------------------
H264 = {"f_priority": "1", "h264_bandwidth_min": 1024, "h264_bandwidth": "4096", "multicast_addr": "239.192.0.20"}
AUDIO = {"audio": "in", "audio_sens": "middle", "mic_select": "external"}
NETWORK = {"IP_addr": "192.168.0.10", "netmask": "255.255.255.0", "port": 80, "dhcp": "0"}


@pytest.mark.parametrize(
    ("group", "current", "wanted", "requests"),
    [
        (groups.BASIC, {"cam_title": "a", "plugin_disp": "0"}, {"cam_title": "b"}, ["set_basic?cam_title=b"]),
        (groups.BASIC, {"cam_title": "a", "plugin_disp": "0"}, {"cam_title": "a", "plugin_disp": 0}, []),
        (groups.H264, H264, {"h264_bandwidth": 8192}, ["set_h264?h264_bandwidth=8192"]),
        (
            groups.H264,
            {**H264, "f_priority": "2"},
            {"h264_bandwidth_min": 2048},
            ["set_h264?f_priority=2&h264_bandwidth_min=2048"],
        ),
        (
            groups.H264,
            H264,
            {"h264_bandwidth_min": 2048, "f_priority": 2},
            ["set_h264?f_priority=2&h264_bandwidth_min=2048"],
        ),
        (groups.H264_2, H264, {"multicast_addr": "239.1.2.3"}, ["set_h264_2?multicast_addr=239.1.2.3"]),
        (groups.AUDIO, AUDIO, {"audio": "off"}, ["set_audio?audio=off"]),
        (groups.AUDIO, {**AUDIO, "audio": "off"}, {"audio": "in"}, ["set_audio?audio=in&audio_sens=middle"]),
        (groups.AUDIO, AUDIO, {"audio_sens": "sdi"}, ["set_audio?audio=in&audio_sens=sdi"]),
        (
            groups.AUDIO,
            AUDIO,
            {"mic_select": "internal", "volume_lv": 7},
            ["set_audio?mic_select=internal", "set_volume_lv?volume_lv=7"],
        ),
        (
            groups.NETWORK,
            NETWORK,
            {"IP_addr": "192.168.0.11"},
            ["network?IP_addr1=192&IP_addr2=168&IP_addr3=0&IP_addr4=11"],
        ),
        (
            groups.RECORDING,
            {"device": "sd1", "recorder_num": 0},
            {"recorder_num": 3, "device": "sd2"},
            ["set_sdrec_target?device=sd2", "set_recorder_num?recorder_num=3"],
        ),
        (groups.FTP, {"username": "a"}, {"password": HIDDEN, "username": "b"}, ["set_ftp?username=b"]),
        (groups.FTP, {"username": "a"}, {"password": "secret"}, ["set_ftp?password=secret"]),
        (groups.LIVE, {"stream": "jpeg", "rtsp_port": 554}, {"rtsp_port": 8554}, ["set_rtsp?rtsp_port=8554"]),
        (
            groups.CLOCK,
            {
                **{"date_year": 2026, "date_month": 1, "date_day": 2, "date_hour": 3, "date_min": 4, "date_sec": 5},
                **{"timezone": 50, "display": "0"},
            },
            {"date_min": 6},
            ["date_time?date_year=2026&date_month=1&date_day=2&date_hour=3&date_min=6&date_sec=5"],
        ),
    ],
)  # fmt: skip
def test_only_what_changes_is_sent_with_what_belongs_to_it(
    group: Group, current: dict[str, Any], wanted: dict[str, Any], requests: list[str]
) -> None:
    assert sent(group, current, wanted) == requests


@pytest.mark.parametrize(
    ("group", "current", "wanted", "sentence"),
    [
        (groups.BASIC, {}, {"title": "x"}, "Basic settings has no setting title; it knows cam_title, "),
        (groups.CLOCK, {}, {"is_summer_time": 1}, "is_summer_time can be read but not set."),
        (groups.CLOCK, {"timezone": 50}, {"timezone": 51}, "timezone cannot be 51; use one of 1, 2, "),
        (
            groups.H264,
            H264,
            {"h264_bandwidth_min": 2048},
            "h264_bandwidth_min can be set only together with f_priority=2.",
        ),
        (groups.H264, H264, {"unicast_port": 1025}, "unicast_port cannot be 1025; use an even number from 1024 to "),
        (groups.NETWORK, NETWORK, {"IP_addr": "1.2.3"}, "IP_addr cannot be '1.2.3'; use an IPv4 address."),
    ],
)  # fmt: skip
def test_what_the_document_does_not_allow_is_refused_and_nothing_planned(
    group: Group, current: dict[str, Any], wanted: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadValue) as refused:
        plan(group, current, wanted)
    assert str(refused.value).startswith(sentence)


def test_a_restore_sets_what_is_bound_to_another_value_first_and_then_brings_that_back() -> None:
    now = {"f_priority": "1", "h264_bandwidth_min": 2048}
    assert sent(groups.H264, now, {"f_priority": "1", "h264_bandwidth_min": 1024}, restoring=True) == [
        "set_h264?f_priority=2&h264_bandwidth_min=1024",
        "set_h264?f_priority=1",
    ]
    now = {"audio": "in", "audio_sens": "line_middle"}
    assert sent(groups.AUDIO, now, {"audio": "off", "audio_sens": "middle"}, restoring=True) == [
        "set_audio?audio=in&audio_sens=middle",
        "set_audio?audio=off",
    ]


def test_snapshots_leave_alone_what_cannot_or_must_not_be_brought_back() -> None:
    told = {"timezone": 50, "date_year": 2026, "is_summer_time": "1", "display": "1", "start_hour": None}
    assert kept(groups.CLOCK, told) == {"display": "1"}
    assert kept(groups.NETWORK, {**NETWORK, "pri_server": "1.1.1.1"}) == {"pri_server": "1.1.1.1"}
    facts = {each["name"]: each for each in schema(groups.CLOCK) + schema(groups.FTP)}
    assert facts["date_year"]["not_restorable"] == "The clock runs by itself."
    assert facts["is_summer_time"]["read_only"]
    assert facts["password"]["write_only"]
    assert facts["password"]["secret"]
    assert not facts["password"]["restorable"]
    assert facts["timezone"]["restorable"]
    assert facts["timezone"]["choices"]["14"] == "GMT"


def test_secrets_are_hidden_in_a_groups_values() -> None:
    assert hidden(groups.FTP, {"username": "a", "password": "b"}) == {"username": "a", "password": HIDDEN}


def test_what_a_device_tells_beyond_its_document_is_shown_as_it_is() -> None:
    read = values_from(
        groups.H264, [{"h264_quality_ch1": "low1", "h264_bandwidth_ch1": "768", "h264_transmit_ch1": "2"}]
    )
    assert (read["h264_quality"], read["h264_bandwidth"], read["h264_transmit"]) == ("low", "768", "2")
    assert read["h264_resolution"] is None
    assert values_from(groups.AUDIO, [{"audio": "1", "audio_sens": "lmiddle"}])["audio"] == "in"


def test_every_setting_of_every_group_has_its_field_and_parameter() -> None:
    for group in groups.GROUPS:
        told = {name for ask in group.reads for name in ask.command.replies}
        for setting in group.settings:
            assert setting.told_as is None or setting.told_as in told, f"{group.id}.{setting.name}"
            assert group.rule(setting) is not None or setting.sent_as is None
        assert set(group.moves.values()) <= {setting.name for setting in group.settings}


# --- The clock, pure --------------------------------------------------------------------------------------------------
BERLIN = {
    **{"timezone": 15, "summer_time": "2", "start_month": "3", "start_week": "5", "start_dotw": "0", "start_hour": 2},
    **{"end_month": "10", "end_week": "5", "end_dotw": "0", "end_hour": 3},
}
SYDNEY = {
    **{"timezone": 30, "summer_time": "2", "start_month": "10", "start_week": "1", "start_dotw": "0", "start_hour": 2},
    **{"end_month": "4", "end_week": "1", "end_dotw": "0", "end_hour": 3},
}


@pytest.mark.parametrize(
    ("zone", "now", "local"),
    [
        (BERLIN, "2026-07-01T10:00:00", "2026-07-01T12:00:00"),
        (BERLIN, "2026-01-01T10:00:00", "2026-01-01T11:00:00"),
        (BERLIN, "2026-03-29T00:59:59", "2026-03-29T01:59:59"),
        (BERLIN, "2026-03-29T01:00:00", "2026-03-29T03:00:00"),
        (BERLIN, "2026-10-26T00:00:00", "2026-10-26T01:00:00"),
        (SYDNEY, "2026-12-31T23:00:00", "2027-01-01T10:00:00"),
        (SYDNEY, "2026-07-01T00:00:00", "2026-07-01T10:00:00"),
        (SYDNEY, "2026-10-04T00:00:00", "2026-10-04T11:00:00"),
        ({**BERLIN, "summer_time": "1"}, "2026-01-01T10:00:00", "2026-01-01T12:00:00"),
        ({**BERLIN, "summer_time": "0"}, "2026-07-01T10:00:00", "2026-07-01T11:00:00"),
        ({"timezone": "8"}, "2026-01-01T00:00:00", "2025-12-31T19:30:00"),
    ],
)
def test_the_clock_is_set_in_the_devices_zone(zone: dict[str, Any], now: str, local: str) -> None:
    values = clock.to_set(zone, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert values is not None
    assert datetime(*values.values()) == datetime.fromisoformat(local)


@given(
    st.datetimes(datetime(2014, 1, 1), datetime(2034, 12, 31), timezones=st.just(UTC)).map(
        lambda moment: moment.replace(microsecond=0)
    ),
    st.sampled_from([BERLIN, SYDNEY, {"timezone": 33, "summer_time": "0"}]),
)
def test_a_clock_that_was_set_tells_the_same_moment(now: datetime, zone: dict[str, Any]) -> None:
    values = clock.to_set(zone, now)
    assert values is not None
    told = clock.told({**zone, **values})
    assert told is not None
    # In the hour that comes twice the clock alone does not tell which it is; the device tells is_summer_time then.
    assert abs(told - now) in (timedelta(0), timedelta(hours=1))
    if now.month not in (3, 4, 10):
        assert told == now


@pytest.mark.parametrize("values", [{}, {"timezone": 50}, {"timezone": "x"}, {"timezone": None}])
def test_a_zone_unknown_to_us_is_not_guessed(values: dict[str, Any]) -> None:
    full = {"date_year": 2026, "date_month": 1, "date_day": 1, "date_hour": 0, "date_min": 0, "date_sec": 0}
    assert clock.told({**full, **values}) is None
    assert clock.to_set(values, datetime.now(UTC)) is None


def test_a_clock_with_nonsense_is_not_read() -> None:
    full = {"date_year": 2026, "date_month": 13, "date_day": 1, "date_hour": 0, "date_min": 0, "date_sec": 0}
    assert clock.told({**full, "timezone": 14}) is None


# --- With the simulator -----------------------------------------------------------------------------------------------
async def test_every_group_is_read_whole(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    for group in driver.groups:
        values = await driver.read_group(gateway, group)
        assert [name for name, value in values.items() if value is None] == [], group.id
    assert simulator.violations == []


async def test_a_change_is_sent_alone_read_back_and_told(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    before = await driver.read_group(gateway, groups.BASIC)
    written = await driver.write_group(
        gateway, groups.BASIC, {"cam_title": "Gate 3", "plugin_disp": before["plugin_disp"]}
    )
    assert written.changed == {"cam_title": (before["cam_title"], "Gate 3")}
    assert written.differing == {}
    assert written.values == {**before, "cam_title": "Gate 3"}
    assert [target for target in simulator.targets if "set_" in target] == ["/cgi-bin/set_basic?cam_title=Gate%203"]
    assert simulator.violations == []


async def test_a_refused_value_sends_nothing(device: Device, simulator: Simulator) -> None:
    with pytest.raises(BadValue):
        await driver_for(device).write_group(Gateway(device), groups.BASIC, {"cam_title": "x" * 21})
    assert not any("set_" in target for target in simulator.targets)


async def test_a_snapshot_restored_after_random_changes_brings_every_restorable_value_back(
    device: Device, simulator: Simulator
) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    device.status = (await driver.identify(gateway)).facts
    chance = random.Random(5)
    for group in driver.groups:
        if group is groups.PRIORITY:
            continue  # changes what all the others are; it has a test of its own
        snapshot = kept(group, await driver.read_group(gateway, group))
        changed = await driver.write_group(gateway, group, _random_change(driver, group, chance))
        assert changed.differing == {} or group is groups.JPEG, "the device tells a JPEG quality of 1 or 5 only"
        restored = await driver.write_group(gateway, group, snapshot, restoring=True)
        assert restored.differing == {}, group.id
        assert kept(group, restored.values) == snapshot, group.id
    assert simulator.violations == []


def _random_change(driver: Driver, group: Group, chance: random.Random) -> dict[str, Any]:
    """Another value for every setting that can be brought back, allowed beside each other."""
    changes: dict[str, Any] = {}
    for setting in group.settings:
        rule = group.rule(setting, driver.narrowed)
        if why_not_kept(group, setting) or rule is None:
            continue
        if isinstance(rule, Choice):
            # The modes "from 720" are for a recorder without a camera head, and this one has a head.
            changes[setting.name] = chance.choice([word for word in rule.choices if "_from_720" not in word])
        elif isinstance(rule, Whole):
            changes[setting.name] = rule.low + chance.randrange((rule.high - rule.low) // rule.step) * rule.step
        elif rule.type in ("host", "ipv4"):
            changes[setting.name] = f"239.{chance.randrange(256)}.1.2"
        else:
            changes[setting.name] = f"x{chance.randrange(100)}"
    conditions = {"f_priority": "2", "audio": "in"}
    return changes | {name: value for name, value in conditions.items() if name in changes}


async def test_another_priority_mode_brings_other_settings(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    written = await driver.write_group(gateway, groups.PRIORITY, {"mode": "rec_pb"})
    assert written.values == {"mode": "rec_pb"}
    device.status = (await driver.identify(gateway)).facts
    assert groups.H264_2 not in driver.groups
    await driver.read_group(gateway, groups.H264)
    assert simulator.violations == []


async def test_where_a_network_change_leads_is_told(device: Device, simulator: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    written = await driver.write_group(gateway, groups.NETWORK, {"IP_addr": "127.0.0.2", "port": 8081})
    assert written.moved == {"host": "127.0.0.2", "port": 8081}
    assert written.values["IP_addr"] == "127.0.0.2"
    assert simulator.violations == []


# --- What only a scripted device does ---------------------------------------------------------------------------------
async def test_a_device_that_keeps_another_value_is_told_of(scripted: Scripted) -> None:
    answers = [b"jpeg_quality=5\r\n", b"", b"jpeg_quality=1\r\n"]
    scripted.answers = [http(200, answer.decode()) for answer in answers]
    device = unsaved_device(scripted.port)
    written = await driver_for(device).write_group(Gateway(device), groups.JPEG, {"jpeg_quality": 3})
    assert written.changed == {"jpeg_quality": (5, 1)}
    assert written.differing == {"jpeg_quality": (3, 1)}


async def test_when_the_second_request_fails_it_says_that_the_first_was_done(scripted: Scripted) -> None:
    first = "mode=avchd_ps_1080_60p_28m\r\ndevice=sd1\r\nrecorder_num=0\r\n"
    scripted.answers = [http(200, first), http(200, first), http(200, first), http(200, ""), http(403)]
    device = unsaved_device(scripted.port)
    with pytest.raises(Refused, match="Some of the changes were made; read the settings again"):
        await driver_for(device).write_group(Gateway(device), groups.RECORDING, {"device": "sd2", "recorder_num": 1})


def test_what_the_device_says_of_itself_narrows_what_may_be_set() -> None:
    choices = {"set_h264": {"h264_resolution": ["640", "1280"], "framerate": ["25", "50"]}}
    device = unsaved_device(80, status={"choices": choices, "priority_mode": "ip"}, options={"system_frequency": "50"})
    driver = driver_for(device)
    facts = {each["name"]: each for each in schema(groups.H264, driver.narrowed)}
    assert list(facts["h264_resolution"]["choices"]) == ["640", "1280"]
    assert list(facts["framerate"]["choices"]) == ["25", "50"]
    assert "mp4_2160_30p_50m" not in driver.command("set_sdrec_mode").params[0].facts()["choices"]


def test_with_rec_pb_priority_there_is_no_second_stream() -> None:
    driver = driver_for(unsaved_device(80, status={"priority_mode": "rec_pb_4k"}))
    assert "h264_2" not in [group.id for group in driver.groups]
    with pytest.raises(NotSupported, match="has no settings h264_2"):
        driver.group("h264_2")
    with pytest.raises(BadValue, match=r"there is no H\.264"):
        encode(driver.command("set_h264_2"), {"h264_transmit": 1})
    with pytest.raises(BadValue, match="vcodec cannot be 'h264_2'"):
        encode(driver.command("getuid"), {"vcodec": "h264_2"})
    assert "mp4_2160_30p_50m" in driver.command("set_sdrec_mode").params[0].facts()["choices"]


def test_a_command_the_family_lacks_is_said_so() -> None:
    with pytest.raises(NotSupported, match="have no command format_everything"):
        driver_for(unsaved_device(80)).command("format_everything")
