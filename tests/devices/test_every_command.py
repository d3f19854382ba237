"""Every command of every document can be run by hand over the API, against the strict simulators and with nothing for
them to complain about; or the answer says why not. Where the document wants a session first, one is lent."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounts.models import AuditEntry
from devices import cgi, console
from devices.cgi import Choice, Command, Fixed, Param, Text, Whole
from devices.families import driver_class
from devices.models import Device
from tests.devices.conftest import Api, Simulator, start_simulators

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_database]

SECRET = "secret12"
MOMENT = "2024-02-16T23:01:00"
# How each family is started, so that what its commands act on is there.
OPTIONS: dict[str, tuple[str, ...]] = {
    "povcam": ("--user-auth",),
    "ipro": ("--cameras", "4"),
    "ipcam": ("--user-auth",),
    "hama": (),
}
RTP = {"my_port": 50500, "protocol": "rtp"}
# What the documents' own words ask for beyond the first value each parameter allows.
EXAMPLES: dict[str, dict[str, Any]] = {
    "povcam getuid": {"reply": "info"},
    "povcam jpeg": {"connect": "start", "framerate": "1", "resolution": "640"},
    "povcam h264": {"connect": "start", **RTP},
    "povcam audio": {"connect": "start", **RTP},
    "povcam keep_alive": {"mode": "h.264", "protocol": "rtp"},
    "povcam camctrl": {"zoom": "up"},
    "povcam directctrl": {"zoom": 1},
    "povcam set_basic": {"cam_title": "UCK20"},
    "povcam time": {"time_adjust": "1", "ntp_addr_dhcp": "0", "ntp_addr": "192.168.0.1"},
    "povcam set_audio": {"audio": "0"},
    "povcam set_https": {"https_port": 8443},
    "povcam initial": {"cmd": "reset", "Randomnum": "0123456789abcdef"},
    "povcam get_systemlog": {"type": "eventlog"},
    "povcam date_time": {
        "date_year": 2018,
        "date_month": 1,
        "date_day": 1,
        "date_hour": 0,
        "date_min": 0,
        "date_sec": 0,
    },
    "povcam get_clip_list": {"index": 1, "device": "sd1"},
    "povcam set_jpeg": {"jpeg_interval1": "5"},
    "povcam setdata": {"LIVESIZE": "640"},
    "povcam set_h264": {"h264_transmit": "1"},
    "povcam set_h264_2": {"h264_transmit": "1"},
    "povcam set_rtsp": {"h264_rtsp_mode": "1"},
    "povcam multi_screen": {"multi_addr1": "192.168.0.100"},
    "povcam network": {"dhcp": "0"},
    "povcam set_sdrec_mode": {"mode": "avchd_ps_1080_60p_28m"},
    "povcam sdctrl": {"save": "end"},
    "povcam set_ftp": {"username": "cam"},
    # What is missing of these comes from the list of clips that is asked for first.
    "povcam del_clip_file": {"fileno": [1]},
    "povcam get_clip_file": {},
    "povcam send_ftpserver": {"select_type": "fileno", "fileno": [1]},
    "ipro live_rtp": {"CAM": 1, "CMD": "START", "COMP": "H264", "PORT": 50500},
    "ipro setup_playback": {"MASK": "1000000000000000"},
    "ipro step": {"TIMEF": f"{MOMENT}.20"},
    "ipro move_16": {"PAN": 4, "TILT": 0, "ZOOM": 0},
    "ipro move_256": {"PAN": 4, "TILT": 0, "ZOOM": 0},
    "ipro download": {"STARTTIME": "2024-02-16T23:01:00", "ENDTIME": "2024-02-16T23:11:00"},
    "ipcam set_system": {"CameraName": "Hall"},
    "ipcam set_datetime": {"TimeZone": "0"},
    "ipcam set_user_access": {"AccessControlEnable": "1"},
    "ipcam add_user": {"UserName": "bob", "UserPassword": "x12345", "UserPrivilege": "0"},
    "ipcam delete_user": {"UserName": "bob"},
    "ipcam com_port": {"ComOut": "41"},
    "hama set_audio_volume": {"enet_audio_mic_vol": 50, "enet_audio_output_vol": 50},
}
# More of the same command: what it does depends on them.
MORE: list[tuple[str, str, dict[str, Any]]] = [
    ("povcam", "set_audio", {"audio": "in", "audio_sens": "middle", "mic_select": "internal"}),
    ("povcam", "audio", {"connect": "start", **RTP}),
    ("povcam", "h264", {"connect": "stop", **RTP}),
    ("povcam", "h264", {"connect": "start", **RTP, "stream": "2"}),
    ("povcam", "audio", {"connect": "stop", **RTP}),
    ("povcam", "audio", {"connect": "start", "protocol": "http"}),
    ("povcam", "audio", {"connect": "stop", "protocol": "http"}),
    ("povcam", "jpeg", {"connect": "stop"}),
    ("povcam", "keep_alive", {"mode": "h.264_2", "protocol": "rtp", "stream": "2"}),
    ("povcam", "keep_alive", {"mode": "audio", "protocol": "rtp"}),
    ("povcam", "keep_alive", {"mode": "jpeg", "protocol": "http"}),
    ("povcam", "sdctrl", {"save": "start"}),
    ("ipro", "live_rtp", {"CAM": 2, "CMD": "STOP", "COMP": "H264", "PORT": 50500}),
    ("ipro", "live_rtp", {"CAM": 1, "CMD": "START", "COMP": "AUDIO", "PORT": 50500}),
    ("ipro", "live_http_start", {"CAM": 1, "COMP": "AUDIO"}),
]
# What simulators have not in them, or what the answer says no to: status, and words of the sentence.
REFUSED: dict[str, tuple[int, str]] = {
    "povcam audio": (409, "switched off"),  # until it is switched on, below
    "povcam sdctrl": (409, "cannot do sdctrl as it is now"),  # nothing is recorded
    "povcam https_crt_key": (409, "cannot do https_crt_key as it is now"),
}
GOES_AWAY = {"initial", "restart", "factory_reset"}  # so that it cannot be asked what it thinks of us
FAMILIES = list(OPTIONS)


def example(param: Param) -> Any:
    match param:
        case Choice():
            return next(iter(param.choices))
        case Whole():
            return max(param.low, 1)
        case Text() if param.name == "common_name":
            return "camera.example"
        case Text():
            return "Door"
    return MOMENT


def example_of(family: str, command: Command) -> dict[str, Any]:
    given = dict(EXAMPLES.get(f"{family} {command.id}", {}))
    for param in command.params:
        if param.required and param.name not in given and param.name != "UID" and not isinstance(param, Fixed):
            given[param.name] = example(param)
    if not given and (first := next((param for param in command.params if isinstance(param, Choice)), None)):
        stand_in = {param.name: "0" for param in command.params if param.name == "UID"}
        try:
            cgi.request(command, stand_in)
        except cgi.BadValue:
            given[first.name] = example(first)
    return given


CASES = [
    *((family, command.id, None) for family in FAMILIES for command in driver_class(family).catalogue),
    *MORE,
]


@pytest.fixture(autouse=True)
def short_taste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "TASTE_SECONDS", 0.5)


@pytest.fixture(scope="module")
def running() -> Iterator[Callable[[str], Simulator]]:
    """One simulator of each family, another when something was done to it that others would notice."""
    with start_simulators() as start:
        known: dict[str, Simulator] = {}

        def simulator(family: str, *, fresh: bool = False) -> Simulator:
            if fresh or family not in known:
                known[family] = start(*OPTIONS[family], family=family, password=SECRET)
            return known[family]

        yield simulator


@pytest.mark.parametrize(("family", "command_id", "params"), CASES)
def test_it_runs_or_the_answer_says_why_not(
    admin: Api,
    saved_device: Device,
    running: Callable[..., Simulator],
    family: str,
    command_id: str,
    params: dict[str, Any] | None,
) -> None:
    command = next(each for each in driver_class(family).catalogue if each.id == command_id)
    simulator = running(family)
    before = len(simulator.violations)
    status = {"channels": 16, "registered": [1, 2, 3, 4]} if family == "ipro" else {}
    Device.objects.update(family=family, port=simulator.port, password=SECRET, status=status)
    path = f"devices/{saved_device.pk}/commands"
    given = example_of(family, command) if params is None else params
    if any(param.name == "list_id" for param in command.params):
        given |= of_a_clip(admin, path, command)
    dangerous = bool(command.danger_of(given)) or command_id in GOES_AWAY
    code, answer = admin("POST", f"{path}/{command_id}", {"params": given, "confirm": dangerous})
    deadline = time.monotonic() + 20
    while command_id == "https_download_csr" and code == 409 and time.monotonic() < deadline:
        code, answer = admin("POST", f"{path}/{command_id}")  # the recorder is still making it
    usual = (422, "cannot be run") if command.unrunnable else (200, "")
    expected, words = usual if params else REFUSED.get(f"{family} {command_id}", usual)
    assert code == expected, answer
    if expected != 200:
        assert words in answer["error"]
    assert_audited(command_id, expected)
    if command_id not in GOES_AWAY:
        assert simulator.violations[before:] == []
        assert_given_back(simulator)
    if dangerous:
        running(family, fresh=True)


def of_a_clip(admin: Api, path: str, command: Command) -> dict[str, Any]:
    code, listed = admin("POST", f"{path}/get_clip_list", {"params": {"index": 1, "device": "sd1", "format": "mp4"}})
    assert code == 200, listed
    known = {"list_id": listed["fields"]["list_id"], "filename": listed["fields"]["rows"][0]["filename"]}
    return {name: value for name, value in known.items() if name in {param.name for param in command.params}}


def assert_given_back(simulator: Simulator) -> None:
    """No UID stays behind on the device."""
    deadline = time.monotonic() + 10
    while simulator.sessions:
        assert time.monotonic() < deadline, "a UID was left behind"
        time.sleep(0.05)


def assert_audited(command_id: str, expected: int) -> None:
    if expected == 422:
        return
    entry = AuditEntry.objects.filter(action="run command").latest("id")
    assert entry.detail["command"] == command_id
