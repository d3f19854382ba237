"""The i-PRO document as data: the exact bytes of every command, what is refused, and what its examples read as."""

from typing import Any

import pytest

from devices.cgi import BadValue, Kind, decode, encode, read_reply, request
from devices.families import driver_for
from devices.families.ipro import commands as cgi
from tests.devices.conftest import unsaved_device

AT = "2022-12-01T10:30:00"

# One line per command of the document, as its examples and sequences print it.
GOLDEN: list[tuple[str, dict[str, Any], str]] = [
    ("setup_live", {}, "hdrctl.cgi?UID=7888&SCREEN=16X&PC=AS60"),
    (
        "live_rtp",
        {"CAM": 1, "CMD": "START", "COMP": "H264", "PORT": 40000},
        "push.cgi?UID=7888&CAM=1&CMD=START&COMP=H264&PORT=40000",
    ),
    (
        "live_rtp",
        {"CAM": 128, "CMD": "STOP", "COMP": "AUDIO", "PORT": 65535},
        "push.cgi?UID=7888&CAM=128&CMD=STOP&COMP=AUDIO&PORT=65535",
    ),
    ("live_http_start", {"CAM": 1, "COMP": "JPEG"}, "push.cgi?UID=7888&CAM=1&CMD=START&COMP=JPEG&INTERNETMODE=ON"),
    ("live_http_stop", {"CAM": 1, "COMP": "H264"}, "push.cgi?UID=7888&CAM=1&CMD=STOP&COMP=H264"),
    ("get_gop", {"CAM": 2}, "camera.cgi?UID=7888&CAM=2"),
    ("get_playback_audio", {"CAM": 2}, "playaudio.cgi?UID=7888&CAM=2"),
    ("setup_playback", {"MASK": "0100000000000000"}, "hdrctl.cgi?UID=7888&PC=AS60&MASK=0100000000000000"),
    ("play", {}, "hdrctl.cgi?UID=7888&PC=AS60&PLAYCMD=PLAY&2ND=OFF&TIMEF=AS60_UNKNOWN&NOTIME=ON"),
    ("reverse", {"TIMEF": AT}, "hdrctl.cgi?UID=7888&PC=AS60&PLAYCMD=BPLAY&2ND=OFF&TIMEF=22120110300000&NOTIME=ON"),
    (
        "pause",
        {"TIMEF": AT},
        "hdrctl.cgi?UID=7888&PC=AS60&PLAYCMD=PAUSE&2ND=OFF&TIMEF=22120110300000&SMOOTH=OFF&NOTIME=ON",
    ),
    (
        "step",
        {"PLAYCMD": "NEXTFRAME", "TIMEF": "2022-11-14T12:00:00.20"},
        "hdrctl.cgi?UID=7888&PC=AS60&PLAYCMD=NEXTFRAME&2ND=OFF&TIMEF=22111412000020&NOTIME=ON",
    ),
    (
        "step",
        {"PLAYCMD": "PREVFRAME", "TIMEF": "2022-11-14T12:00:01"},
        "hdrctl.cgi?UID=7888&PC=AS60&PLAYCMD=PREVFRAME&2ND=OFF&TIMEF=22111412000100&NOTIME=ON",
    ),
    (
        "go_to_date",
        {"TIMEF": "2022-12-01T09:20:15"},
        "hdrctl.cgi?UID=7888&PC=AS60&PLAYCMD=GOTODATE&2ND=OFF&TIMEF=22120109201500&SDBACKUP=0&NOTIME=ON",
    ),
    (
        "fast",
        {"PLAYCMD": "FF", "TIMEF": AT},
        "hdrctl.cgi?UID=7888&PC=AS60&PLAYCMD=FF&2ND=OFF&TIMEF=22120110300000&SMOOTH=OFF&NOTIME=ON",
    ),
    (
        "stop_playback",
        {"TIMEF": "2022-12-01T11:23:14"},
        "hdrctl.cgi?UID=7888&PC=AS60&PLAYCMD=STOP&2ND=OFF&TIMEF=22120111231400",
    ),
    (
        "move_16",
        {"CH": 1, "PAN": 15, "TILT": -1, "ZOOM": 2},
        "directctrl.cgi?UID=7888&CH=1&PAN=15&TILT=-1&ZOOM=2&PC=AS60",
    ),
    ("move_16", {"CH": 1, "PAN": 0}, "directctrl.cgi?UID=7888&CH=1&PAN=0&PC=AS60"),
    (
        "move_256",
        {"CH": 1, "PAN": -256, "TILT": 256, "ZOOM": -4},
        "directctrl.cgi?UID=7888&CH=1&PAN=-256&TILT=256&ZOOM=-4&PC=AS60",
    ),
    ("center", {"CH": 1, "X": 0, "Y": 32}, "camctl.cgi?UID=7888&CH=1&CMD=CENTERING&CTRL=START&X=0&Y=32&PC=AS60"),
    ("focus", {"CH": 1, "CTRL": "FAR"}, "camctl.cgi?UID=7888&CH=1&CMD=FOCUS&CTRL=FAR&CTRL=START&PC=AS60"),
    ("iris", {"CH": 1, "CTRL": "RESET"}, "camctl.cgi?UID=7888&CH=1&CMD=IRIS&CTRL=RESET&CTRL=START&PC=AS60"),
    ("set_preset", {"CH": 1, "NO": 256}, "camctl.cgi?UID=7888&CH=1&CMD=PRESETPRG&NO=256&PC=AS60"),
    ("go_to_preset", {"CH": 1, "NO": 1}, "camctl.cgi?UID=7888&CH=1&CMD=PRESET&NO=1&PC=AS60"),
    ("aux", {"CH": 1, "CMD": "AUX8", "CTRL": "OPEN"}, "camctl.cgi?UID=7888&CH=1&CMD=AUX8&CTRL=OPEN&PC=AS60"),
    ("get_error_log", {}, "loglist.cgi?UID=7888&KIND=ERR&HTML=as_errorlog.html"),
    ("get_event_log", {}, "loglist.cgi?UID=7888&KIND=EVENT&HTML=as_eventlog.html"),
    ("get_recorded_time", {}, "recordedtime.cgi"),
    ("get_info", {}, "as_getinfo.cgi?FILE=2"),
    ("login", {}, "dlogin.cgi?UID=-1"),
    ("logout", {}, "logout.cgi?UID=7888"),
    ("keep_alive", {}, "status.cgi?UID=7888&PC=AS60"),
    (
        "download",
        {"STARTTIME": "2023-11-15T00:00:00", "ENDTIME": "2023-11-15T01:00:00", "KIND": "MP4VO", "CAM": 1},
        "httpdl.cgi?UID=7888&STARTTIME=231115000000&ENDTIME=231115010000&KIND=MP4VO&CAM=1&PC=AS60",
    ),
]

BY_ID = {command.id: command for command in cgi.CATALOGUE}


def given(command_id: str, values: dict[str, Any]) -> dict[str, Any]:
    has_uid = any(param.name == "UID" and param.secret for param in BY_ID[command_id].params)
    return {**({"UID": "7888"} if has_uid else {}), **values}


@pytest.mark.parametrize(("command_id", "values", "target"), GOLDEN)
def test_each_command_is_sent_as_the_document_prints_it(command_id: str, values: dict[str, Any], target: str) -> None:
    sent = request(BY_ID[command_id], given(command_id, values))
    assert (sent.method, sent.target, sent.body) == ("GET", f"/cgi-bin/{target}", b"")


@pytest.mark.parametrize(("command_id", "values", "target"), GOLDEN)
def test_each_command_is_understood_as_it_was_meant(command_id: str, values: dict[str, Any], target: str) -> None:
    command = BY_ID[command_id]
    query = encode(command, given(command_id, values))
    assert encode(command, decode(command, query)) == query


def test_no_command_is_missing() -> None:
    assert {command_id for command_id, _, _ in GOLDEN} == set(BY_ID)
    assert len(BY_ID) == len(cgi.CATALOGUE)
    paths = {command.path.removeprefix("/cgi-bin/").removesuffix(".cgi") for command in cgi.CATALOGUE}
    assert paths == {
        *("dlogin", "hdrctl", "push", "status", "logout", "camera", "playaudio"),
        *("directctrl", "camctl", "loglist", "recordedtime", "as_getinfo", "httpdl"),
    }


def test_what_rests_and_what_does_not() -> None:
    """3 s after general commands, 0.2 s after steering; what the sequences send in a row is free."""
    rests = {command.id: (command.lane, command.gap) for command in cgi.CATALOGUE if command.gap}
    general = {"get_error_log", "get_event_log", "get_recorded_time", "get_info"}
    general |= {"reverse", "pause", "go_to_date", "fast"}
    steering = {"move_16", "move_256", "center", "focus", "iris", "set_preset", "go_to_preset", "aux", "step"}
    assert rests == dict.fromkeys(general, ("general", 3000)) | dict.fromkeys(steering, ("control", 200))
    assert cgi.START_AT_DATE.gap == 0, "as the start of a playback it is part of the sequence"


def test_a_uid_is_a_secret_and_a_log_in() -> None:
    for command in cgi.CATALOGUE:
        has_uid = any(param.name == "UID" and param.secret for param in command.params)
        assert command.uid_is_login is has_uid
        assert has_uid is (command.id not in ("login", "get_info", "get_recorded_time"))


@pytest.mark.parametrize(
    ("command_id", "values", "named"),
    [
        ("setup_live", {"UID": "12345678901234567890"}, "UID"),
        ("setup_live", {"UID": "-1"}, "UID"),
        ("setup_live", {"SCREEN": "1X"}, "SCREEN"),
        ("live_rtp", {"CAM": 0, "CMD": "START", "COMP": "H264", "PORT": 40000}, "CAM"),
        ("live_rtp", {"CAM": 129, "CMD": "START", "COMP": "H264", "PORT": 40000}, "CAM"),
        ("live_rtp", {"CAM": 1, "CMD": "START", "COMP": "JPEG", "PORT": 40000}, "COMP"),
        ("live_rtp", {"CAM": 1, "CMD": "START", "COMP": "H264"}, "PORT"),
        ("live_rtp", {"CAM": 1, "CMD": "START", "COMP": "H264", "PORT": 65536}, "PORT"),
        ("live_http_stop", {"CAM": 1, "COMP": "H264", "INTERNETMODE": "ON"}, "INTERNETMODE"),
        ("setup_playback", {"MASK": "0120"}, "MASK"),
        ("setup_playback", {"MASK": ""}, "MASK"),
        ("reverse", {"TIMEF": "2021-12-31T23:59:59"}, "TIMEF"),
        ("reverse", {"TIMEF": "2036-01-01T00:00:00"}, "TIMEF"),
        ("reverse", {"TIMEF": "2022-11-14T12:00:00.20"}, "TIMEF"),
        ("step", {"PLAYCMD": "NEXTFRAME", "TIMEF": "2022-11-14T12:00:00.200"}, "TIMEF"),
        ("step", {"PLAYCMD": "NEXTFRAME", "TIMEF": "2022-02-30T12:00:00.20"}, "TIMEF"),
        ("step", {"PLAYCMD": "NEXTFRAME", "TIMEF": "2021-11-14T12:00:00.20"}, "TIMEF"),
        ("move_16", {"CH": 1, "PAN": 17}, "PAN"),
        ("move_256", {"CH": 1, "TILT": -257}, "TILT"),
        ("move_256", {"CH": 1, "ZOOM": 5}, "ZOOM"),
        ("center", {"CH": 1, "X": 33, "Y": 0}, "X"),
        ("focus", {"CH": 1, "CTRL": "START"}, "CTRL"),
        ("set_preset", {"CH": 1, "NO": 257}, "NO"),
        ("aux", {"CH": 1, "CMD": "AUX9", "CTRL": "OPEN"}, "CMD"),
        ("get_info", {"UID": "7888"}, "UID"),
        ("get_recorded_time", {"UID": "7888"}, "UID"),
    ],
)
def test_what_the_document_does_not_allow_is_refused(command_id: str, values: dict[str, Any], named: str) -> None:
    with pytest.raises(BadValue) as caught:
        request(BY_ID[command_id], given(command_id, values))
    assert caught.value.parameter == named
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("start", "end", "named"),
    [
        ("2023-11-15T00:00:30", "2023-11-15T00:10:00", "STARTTIME"),
        ("2023-11-15T00:00:00", "2023-11-15T00:10:01", "ENDTIME"),
        ("2023-11-15T00:00:00", "2023-11-15T01:01:00", "ENDTIME"),
        ("2023-11-15T00:10:00", "2023-11-15T00:00:00", "ENDTIME"),
    ],
)
def test_a_download_is_whole_minutes_and_an_hour_at_most(start: str, end: str, named: str) -> None:
    values = {"UID": "7888", "STARTTIME": start, "ENDTIME": end, "KIND": "MP4", "CAM": 1}
    with pytest.raises(BadValue) as caught:
        encode(cgi.DOWNLOAD, values)
    assert caught.value.parameter == named


def test_a_recorder_at_hand_narrows_cameras_and_mask() -> None:
    driver = driver_for(unsaved_device(1, family="ipro", status={"channels": 16}))
    mask = driver.command("setup_playback")
    assert encode(mask, {"UID": "1", "MASK": "01" * 8}).endswith("MASK=0101010101010101")
    for wrong in ("0" * 15, "0" * 17):
        with pytest.raises(BadValue, match="16 digits"):
            encode(mask, {"UID": "1", "MASK": wrong})
    with pytest.raises(BadValue, match="from 1 to 16"):
        encode(driver.command("get_gop"), {"UID": "1", "CAM": 17})


# --- Replies: the document's own examples -----------------------------------------------------------------------------
def test_the_log_of_errors() -> None:
    text = (
        "FILENAME=as_errorlog.html\r\nERROR_LOG_NO=2\r\n"
        'ERROR_LOG="001""2021/11/14 14:10:00","0","CAM 3 COMMUNICATION ERROR","GMT+03:00","002"\r\n'
        ',"2021/11/14 14:48:00","0","CAM 3 COMMUNICATION RECOVERED","GMT+03:00"\r\n\r\n'
    )
    fields = read_reply(cgi.GET_ERROR_LOG, text)
    assert (fields["FILENAME"], fields["ERROR_LOG_NO"]) == ("as_errorlog.html", 2)
    first, second = fields["rows"]
    assert first == {
        "number": 1,
        "time": "2021-11-14T14:10:00",
        "summer_time": False,
        "text": "CAM 3 COMMUNICATION ERROR",
        "zone": "GMT+03:00",
    }
    assert (second["number"], second["text"]) == (2, "CAM 3 COMMUNICATION RECOVERED")


def test_the_log_of_events() -> None:
    text = (
        "FILENAME=as_eventlog.html\r\nEVENT_LOG_NO=2\r\n"
        'EVENT_LOG="001","2024/04/24 12:30:00","0","SITE(VMD)-2","GMT+09:00","002","2024/04/24 11:45:00","0",'
        '"SITE(VMD)-1","GMT+09:00" \r\n\r\n'
    )
    rows = read_reply(cgi.GET_EVENT_LOG, text)["rows"]
    assert [(row["number"], row["time"], row["text"]) for row in rows] == [
        (1, "2024-04-24T12:30:00", "SITE(VMD)-2"),
        (2, "2024-04-24T11:45:00", "SITE(VMD)-1"),
    ]


def test_an_empty_log() -> None:
    assert read_reply(cgi.GET_ERROR_LOG, "FILENAME=as_errorlog.html\r\nERROR_LOG_NO=0\r\n")["rows"] == []


def test_the_disks() -> None:
    text = (
        "Recording information\r\n\r\nDisk,Capacity,Remain capacity,Recorded time range\r\n"
        "MAIN-1,4001GB(R),1529GB,2021/11/14,0,13:00:00,2021/12/24,0,15:30:12\r\n"
        "MAIN-2,4001GB,3710GB,,,,,, \r\nMAIN-5,,,,,,,, \r\nEXT5-9,,,,,,,, \r\n"
    )
    rows = read_reply(cgi.GET_RECORDED_TIME, text)["rows"]
    assert rows[0] == {
        "disk": "MAIN-1",
        "capacity": "4001GB(R)",
        "remaining": 1529,
        "oldest_date": "2021-11-14",
        "oldest_summer_time": False,
        "oldest_time": "13:00:00",
        "newest_date": "2021-12-24",
        "newest_summer_time": False,
        "newest_time": "15:30:12",
    }
    assert [(row["disk"], row["capacity"], row["remaining"], row["oldest_date"]) for row in rows[1:]] == [
        ("MAIN-2", "4001GB", 3710, None),
        ("MAIN-5", None, None, None),
        ("EXT5-9", None, None, None),
    ]


def test_the_connections_of_cameras() -> None:
    text = (
        "<HTML>\r\nCAM_CONNECT_01CH=1\r\nCAM_CONNECT_02CH=1\r\nCAM_CONNECT_03CH=2\r\nCAM_CONNECT_04CH=2\r\n"
        "CAM_CONNECT_05CH=0\r\nCAM_CONNECT_99CH=0\r\nCAM_CONNECT_100CH=0\r\nCAM_CONNECT_128CH=0\r\n"
        "MAXUID=16\r\nUSEDUID=1\r\n</HTML>\r\n"
    )
    fields = read_reply(cgi.GET_INFO, text)
    assert fields["CAM_CONNECT"] == {1: 1, 2: 1, 3: 2, 4: 2, 5: 0, 99: 0, 100: 0, 128: 0}
    assert (fields["MAXUID"], fields["USEDUID"]) == (16, 1)


LOGIN_PAGE = """<html>
<head>
<link rel="stylesheet" type="text/css" href="../rec_common_mlt.css">
<title>Network Disk Recorder WJ-NX400</title>
</head>
<body>
<script type="text/javascript">
<!--
this.location.href = "./hdrctl.cgi?UID={uid}&HTML=camindex.html"+ RetTempParam();
//-->
</script>
</body>
</html>
"""


@pytest.mark.parametrize("uid", ["13313", "9223372036854775807", "0000000000000000001"])
def test_the_uid_in_the_page_after_a_log_in(uid: str) -> None:
    fields = read_reply(cgi.LOGIN, LOGIN_PAGE.replace("{uid}", uid))
    assert fields == {"UID": uid, "title": "Network Disk Recorder WJ-NX400"}


def test_a_page_without_a_uid() -> None:
    fields = read_reply(cgi.LOGIN, "<html>All places are taken. hdrctl.cgi?UID=12345678901234567890</html>")
    assert fields == {"UID": None, "title": None}


def test_only_what_moves_or_opens_something_counts_as_a_change() -> None:
    reads = {command.id for command in cgi.CATALOGUE if command.kind is Kind.READ}
    assert reads == {"get_error_log", "get_event_log", "get_recorded_time", "get_info"}
