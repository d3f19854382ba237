"""The IPCamCGI document as data: the exact bytes of every command, what it refuses, and how its answers are read."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.cgi import Access, BadValue, Choice, Command, Kind, decode, encode, masked, read_reply, request
from devices.families.ipcam import commands as ipcam
from devices.families.ipcam.stamp import Stamp, read_stamp
from devices.families.ipcam.zones import ZONES, minutes_east
from tests.devices.strategies import values_of

# Command, values, path, parameters as sent. They stand in the body of a POST; a command without is a GET.
GOLDEN: list[tuple[Command, dict[str, Any], str, str]] = [
    # 3.1
    (ipcam.GET_CGI_VERSION, {}, "/cgiversion.cgi", ""),
    (ipcam.QUERY_SYSTEM, {}, "/isystem.cgi", ""),
    (ipcam.GET_SYSTEM, {}, "/system.cgi", ""),
    (
        ipcam.SET_SYSTEM,
        {"ConfigReboot": "No", "LEDControl": 2, "Location": "Tür 1, Hof: links", "CameraName": "a.b-c_d+e&f"},
        "/system.cgi",
        "CameraName=a.b-c_d%2Be%26f&Location=T%C3%BCr%201,%20Hof:%20links&LEDControl=2&ConfigReboot=No",
    ),
    (
        ipcam.SET_SYSTEM,
        {"AdminID": "root", "AdminPassword": "s=c%t"},
        "/system.cgi",
        "AdminID=root&AdminPassword=s%3Dc%25t",
    ),
    (ipcam.GET_DATETIME, {}, "/datetime.cgi", ""),
    (
        ipcam.SET_DATETIME,
        {"Time": "06:12:35", "Date": "2004-09-01", "DateTimeMode": 1, "ConfigReboot": "No"},
        "/datetime.cgi",
        "DateTimeMode=1&Date=2004-09-01&Time=06:12:35&ConfigReboot=No",
    ),
    (
        ipcam.SET_DATETIME,
        {"DateTimeMode": "0", "TimeServerIPAddress": "pool.ntp.org", "TimeServerProtocol": "0", "TimeZone": "+13"},
        "/datetime.cgi",
        "DateTimeMode=0&TimeServerIPAddress=pool.ntp.org&TimeServerProtocol=0&TimeZone=%2B13",
    ),
    (ipcam.SET_DATETIME, {"TimeZone": "0", "TimeZoneIndex": 31}, "/datetime.cgi", "TimeZone=0&TimeZoneIndex=31"),
    (ipcam.SET_DATETIME, {"TimeZone": "-12"}, "/datetime.cgi", "TimeZone=-12"),
    # 3.2
    (ipcam.GET_USER_ACCESS, {}, "/user.cgi", ""),
    (ipcam.SET_USER_ACCESS, {"AccessControlEnable": 0}, "/user.cgi", "AccessControlEnable=0"),
    (ipcam.GET_USER_LIST, {}, "/userlist.cgi", ""),
    (
        ipcam.ADD_USER,
        {"UserPrivilege": 1, "UserName": "bob", "UserPassword": "pass wor"},
        "/userlist.cgi",
        "UserName=bob&UserPassword=pass%20wor&UserPrivilege=1&UserAdd=Yes",
    ),
    (ipcam.DELETE_USER, {"UserName": "bob"}, "/userlist.cgi", "UserName=bob&UserDelete=Yes"),
    (ipcam.GET_ACTIVE_USER, {}, "/activeuser.cgi", ""),
    # 3.3
    (ipcam.QUERY_IMAGE, {}, "/iimage.cgi", ""),
    (ipcam.GET_IMAGE, {}, "/image.cgi", ""),
    (
        ipcam.SET_IMAGE,
        {"Mirror": 3, "BrightnessControl": 128, "FrameRate": 0, "ConfigReboot": "Yes"},
        "/image.cgi",
        "FrameRate=0&BrightnessControl=128&Mirror=3&ConfigReboot=Yes",
    ),
    # 3.4
    (ipcam.QUERY_NETWORK, {}, "/inetwork.cgi", ""),
    (ipcam.GET_NETWORK, {}, "/network.cgi", ""),
    (
        ipcam.SET_NETWORK,
        {
            "SecondHTTPPortEnable": 3,
            "SecondHTTPPort": 81,
            "DDNSProvider": "@Net DDNS",
            "PPPoEPASSWORD": "p",
            "IPAddressMode": 5,
        },
        "/network.cgi",
        "IPAddressMode=5&PPPoEPASSWORD=p&DDNSProvider=%40Net%20DDNS&SecondHTTPPortEnable=3&SecondHTTPPort=81",
    ),
    (
        ipcam.SET_NETWORK,
        {"IPAddress": "192.168.0.20", "DDNSProvider": "www.DynDNS.org(Free)"},
        "/network.cgi",
        "IPAddress=192.168.0.20&DDNSProvider=www.DynDNS.org%28Free%29",
    ),
    (ipcam.QUERY_WIRELESS, {}, "/iwireless.cgi", ""),
    (ipcam.GET_WIRELESS, {}, "/wireless.cgi", ""),
    (
        ipcam.SET_WIRELESS,
        {"WEPEncryption": 2, "WEPKeyFormat": 1, "Key4": "0123456789", "TxKey": "Key 4", "TransmissionRate": "5.5 Mb"},
        "/wireless.cgi",
        "TransmissionRate=5.5%20Mb&WEPEncryption=2&WEPKeyFormat=1&Key4=0123456789&TxKey=Key%204",
    ),
    # 3.5
    (ipcam.GET_UPLOAD, {}, "/upload.cgi", ""),
    (
        ipcam.SET_UPLOAD,
        {
            "FTPScheduleFileMode": 2,
            "FTPManualFileMode": 1,
            "FTPScheduleTimeStart": "06:12:35",
            "FTPDirectoryPath": "/cam/1",
            "FTPScheduleFramePerSecond": "Auto",
        },
        "/upload.cgi",
        "FTPDirectoryPath=%2Fcam%2F1&FTPScheduleTimeStart=06:12:35&FTPScheduleFramePerSecond=Auto&FTPScheduleFileMode=2"
        "&FTPManualFileMode=1",
    ),
    (ipcam.GET_EMAIL, {}, "/email.cgi", ""),
    (
        ipcam.SET_EMAIL,
        {"EmailReceiverAddress": "guard@example.org", "EmailScheduleDay": 65, "EmailSMTPServerAddress": ""},
        "/email.cgi",
        "EmailSMTPServerAddress=&EmailReceiverAddress=guard%40example.org&EmailScheduleDay=65",
    ),
    # 3.6
    (ipcam.RESTART, {}, "/reset.cgi", "Reset=Yes"),
    (ipcam.FACTORY_RESET, {}, "/reset.cgi", "FactoryReset=Yes"),
    # 4.1
    (ipcam.IMAGE_JPG, {}, "/image.jpg", ""),
    (ipcam.MJPEG, {}, "/mjpeg.cgi", ""),
    # 5.1
    (ipcam.GET_IO, {}, "/iocontrol.cgi", ""),
    (ipcam.SET_TRIGGER, {"Trigger2": 0, "Trigger1": 1}, "/iocontrol.cgi", "Trigger1=1&Trigger2=0"),
    (ipcam.SET_TRIGGER, {"Trigger2": 1}, "/iocontrol.cgi", "Trigger2=1"),
    (ipcam.SET_IMAGE_UPLOAD, {"ImageUpload": 1}, "/iocontrol.cgi", "ImageUpload=1"),
    (ipcam.SET_IMAGE_EMAIL, {"ImageEmail": 0}, "/iocontrol.cgi", "ImageEmail=0"),
    (
        ipcam.SINGLE_MOVE,
        {"PanTiltSingleMove": 5, "TiltSingleMoveDegree": 1, "PanSingleMoveDegree": 10},
        "/pantiltcontrol.cgi",
        "PanSingleMoveDegree=10&TiltSingleMoveDegree=1&PanTiltSingleMove=5",
    ),
    (ipcam.GOTO_PRESET, {"PanTiltPresetPositionMove": 0}, "/pantiltcontrol.cgi", "PanTiltPresetPositionMove=0"),
    (
        ipcam.SET_PRESET,
        {"SetName": "", "SetPosition": 24, "PanTiltVertical": 135, "PanTiltHorizontal": 340},
        "/pantiltcontrol.cgi",
        "PanTiltHorizontal=340&PanTiltVertical=135&SetPosition=24&SetName=",
    ),
    (ipcam.CLEAR_PRESET, {"ClearPosition": 1}, "/pantiltcontrol.cgi", "ClearPosition=1"),
    (ipcam.SWING, {"PanTiltSwingMode": 2}, "/pantiltcontrol.cgi", "PanTiltSwingMode=2"),
    (
        ipcam.MOVE_POSITION,
        {"PanTiltVertical": 0, "PanTiltHorizontal": 170},
        "/pantiltcontrol.cgi",
        "PanTiltHorizontal=170&PanTiltVertical=0&PanTiltPositionMove=true",
    ),
    (ipcam.COM_PORT, {"ComOut": "ZOOM=1\r"}, "/comport.cgi", "ComOut=ZOOM%3D1%0D&ComSend=Yes"),
]


@pytest.mark.parametrize(("row", "values", "path", "sent"), GOLDEN, ids=lambda each: getattr(each, "id", ""))
def test_the_request_is_exactly_the_documents(row: Command, values: dict[str, Any], path: str, sent: str) -> None:
    made = request(row, values)
    assert made.target == path, "parameters of a POST are in its body only"
    assert made.method == ("POST" if sent else "GET")
    assert made.body == sent.encode()
    assert made.content_type == ("application/x-www-form-urlencoded" if sent else "")


@pytest.mark.parametrize(("row", "values", "path", "sent"), GOLDEN, ids=lambda each: getattr(each, "id", ""))
def test_section_3_may_be_sent_as_get_too(row: Command, values: dict[str, Any], path: str, sent: str) -> None:
    assert ("GET" in row.methods) == (not sent or row.section.startswith("3."))
    if sent and "GET" in row.methods:
        assert request(row, values, "GET").target == f"{path}?{sent}"
        assert request(row, values, "GET").body == b""


def test_every_command_of_the_catalogue_has_a_golden_request() -> None:
    assert {row.id for row, *_ in GOLDEN} == {row.id for row in ipcam.CATALOGUE}
    assert len(ipcam.CATALOGUE) == len({row.id for row in ipcam.CATALOGUE})


def test_the_twenty_paths_of_the_document_are_there_and_the_one_it_misprints() -> None:
    paths = {row.path for row in ipcam.CATALOGUE}
    assert len(paths) == 21
    assert paths >= {"/iimage.cgi", "/image.cgi"}


def test_section_3_is_the_administrators() -> None:
    for row in ipcam.CATALOGUE:
        if row.section.startswith("3."):
            assert row.access is Access.ADMIN, row.id
        else:
            assert row.access is (Access.LIVE if row.section.startswith("4.") else Access.CONTROL), row.id


# --- What is refused --------------------------------------------------------------------------------------------------
MOVE = {"PanSingleMoveDegree": 1, "TiltSingleMoveDegree": 1}


@pytest.mark.parametrize(
    ("row", "values", "sentence"),
    [
        (ipcam.SET_SYSTEM, {}, "set_system needs at least one of its settings."),
        (ipcam.SET_SYSTEM, {"ConfigReboot": "No"}, "set_system needs at least one of its settings."),
        (ipcam.SET_SYSTEM, {"CameraName": "x" * 33},
         f"CameraName cannot be {'x' * 33!r}; use at most 32 characters."),
        (ipcam.SET_SYSTEM, {"AdminPassword": "123456789"},
         "AdminPassword cannot be that value; use at most 8 characters."),
        (ipcam.SET_DATETIME, {"Date": "2004-09-01"}, "Date can be set only together with DateTimeMode=1."),
        (ipcam.SET_DATETIME, {"Time": "06:12:35", "DateTimeMode": "0"},
         "Time can be set only together with DateTimeMode=1."),
        (ipcam.SET_IMAGE, {"FrameRate": 10}, "FrameRate cannot be 10; use one of 0, 1, 5, 7, 15, 20."),
        (ipcam.SET_IMAGE, {"BrightnessControl": 0}, "BrightnessControl cannot be 0; use a whole number from 1 to 128."),
        (ipcam.SET_NETWORK, {"SecondHTTPPortEnable": 1}, "SecondHTTPPortEnable cannot be 1; use one of 0, 3."),
        (ipcam.SET_NETWORK, {"IPAddress": "192.168.0.256"},
         "IPAddress cannot be '192.168.0.256'; use an IPv4 address."),
        (ipcam.SINGLE_MOVE, {**MOVE, "PanTiltSingleMove": 0},
         "PanTiltSingleMove cannot be 0; use one of 1, 3, 4, 5, 7."),
        (ipcam.SINGLE_MOVE, {"PanTiltSingleMove": 4, "PanSingleMoveDegree": 1},
         "pantilt_single_move needs TiltSingleMoveDegree."),
        (ipcam.SWING, {"PanTiltSwingMode": 1}, "PanTiltSwingMode cannot be 1; use one of 0, 2."),
        (ipcam.CLEAR_PRESET, {"ClearPosition": 0}, "ClearPosition cannot be 0; use a whole number from 1 to 24."),
        (ipcam.SET_PRESET, {"PanTiltHorizontal": 0, "PanTiltVertical": 0, "SetPosition": 0, "SetName": ""},
         "SetPosition cannot be 0; use a whole number from 1 to 24."),
        (ipcam.SET_TRIGGER, {}, "Give at least one of Trigger1, Trigger2."),
        (ipcam.SET_IMAGE_UPLOAD, {"ImageUpload": 1, "ImageEmail": 1},
         "set_image_upload has no parameter ImageEmail; it knows ImageUpload."),
        (ipcam.COM_PORT, {"ComOut": "x" * 257}, f"ComOut cannot be {'x' * 257!r}; use 1 to 256 characters."),
        (ipcam.SET_WIRELESS, {"Key1": "abcde"}, "Key1 needs WEPEncryption with it."),
        (ipcam.SET_WIRELESS, {"PreSharedKey": "short"},
         "PreSharedKey cannot be that value; use 8 to 63 ASCII characters or 64 hexadecimal digits."),
    ],
)  # fmt: skip
def test_what_the_document_does_not_allow_is_refused_with_a_sentence(
    row: Command, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadValue) as refused:
        request(row, values)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("hours", ["1", "+0", "14", "-13", "+01"])
def test_a_zone_is_written_with_its_sign(hours: str) -> None:
    with pytest.raises(BadValue):
        encode(ipcam.SET_DATETIME, {"TimeZone": hours})


@pytest.mark.parametrize(
    ("encryption", "form", "key", "fits"),
    [
        ("2", "0", "abcde", True),
        ("2", "0", "abcdefghijklm", False),
        ("3", "0", "abcdefghijklm", True),
        ("3", "0", "abcde", False),
        ("2", "1", "0123456789", True),
        ("2", "1", "012345678g", False),
        ("3", "1", "0123456789abcdef0123456789", True),
        ("3", "1", "0123456789", False),
        ("0", "0", "abcde", True),
        ("4", "0", "abcdefghijklm", True),
        ("0", "0", "abcdef", False),
        ("0", "1", "abcde", False),
    ],
)
def test_a_key_fits_its_encryption_and_format(encryption: str, form: str, key: str, fits: bool) -> None:
    values = {"WEPEncryption": encryption, "WEPKeyFormat": form, "Key2": key}
    if fits:
        assert f"Key2={key}" in encode(ipcam.SET_WIRELESS, values)
    else:
        with pytest.raises(BadValue, match="Key2"):
            encode(ipcam.SET_WIRELESS, values)


@given(st.sampled_from(ipcam.CATALOGUE).flatmap(lambda row: st.tuples(st.just(row), values_of(row))))
def test_what_is_written_is_read_back_for_every_command(pair: tuple[Command, dict[str, Any]]) -> None:
    row, values = pair
    sent = encode(row, values)
    assert decode(row, sent) == values
    assert not {"+", "%2C", "%3A", " "} & {sent[at : at + size] for size in (1, 3) for at in range(len(sent))}


def test_secrets_and_dangers_are_marked() -> None:
    secrets = {param.name for row in ipcam.CATALOGUE for param in row.params if param.secret}
    assert secrets == {
        *("AdminPassword", "UserPassword", "PPPoEPASSWORD", "DDNSPassword", "FTPPassword", "EmailPassword"),
        *("Key1", "Key2", "Key3", "Key4", "PreSharedKey"),
    }
    told = {field.name for row in ipcam.CATALOGUE for field in row.reply if field.secret}
    assert told == secrets, "the camera answers all of them in clear"
    assert "secret" not in str(masked(ipcam.SET_SYSTEM, {"AdminPassword": "secret"}))
    assert {row.id for row in ipcam.CATALOGUE if row.danger} == {
        *("set_user_access", "set_network", "set_wireless", "restart", "factory_reset")
    }
    assert {row.id for row in ipcam.CATALOGUE if row.may_be_silent} == {
        row.id for row in ipcam.CATALOGUE if row.kind is Kind.CONTROL
    }


# --- What is read -----------------------------------------------------------------------------------------------------
def test_system_information_is_read_as_printed() -> None:
    text = (
        "CameraName=Gate\r\nLocation=\r\nModel=CAS-370W\r\nFirmwareVersion=3.06 (2008-10-06)\r\n"
        "MACAddress=00 FF 5C 8A 13 18\r\nIPAddress=192.168.0.20\r\nEthernetLink=Yes\r\nEthernetSpeed=100M bps\r\n"
        "EthernetDuplex=Full Duplex\r\n"
    )
    told = read_reply(ipcam.QUERY_SYSTEM, text)
    assert told["FirmwareVersion"] == "3.06 (2008-10-06)"
    assert told["MACAddress"] == "00 FF 5C 8A 13 18"
    assert told["Location"] == ""
    assert told["EthernetDuplex"] == "Full Duplex"


def test_io_is_read_from_one_line() -> None:
    text = "Trigger1=0&Trigger2=1&ImageUpload=0&ImageEmail=1&CurrentTime=2008-10-01 15:37:53"
    assert read_reply(ipcam.GET_IO, text) == {
        "Trigger1": False,
        "Trigger2": True,
        "ImageUpload": False,
        "ImageEmail": True,
        "CurrentTime": "2008-10-01T15:37:53",
    }
    lines = "trigger1=1\r\nTrigger2=x\r\nCurrentTime=10-01-2008 03:37:53 PM\r\n"
    told = read_reply(ipcam.GET_IO, lines)
    assert (told["Trigger1"], told["Trigger2"], told["ImageEmail"]) == (True, None, None)
    assert told["CurrentTime"] == "2008-10-01T15:37:53"


def test_users_are_read_whatever_blanks_stand_before_the_sign() -> None:
    text = (
        "UserName =ann\r\nUserPassword =one\r\nUserPrivilege =0\r\n"
        "<result>x</result>\r\nUserName=bob\r\nUserPassword=\r\nUserPrivilege=1\r\n"
    )
    rows = read_reply(ipcam.GET_USER_LIST, text)["rows"]
    assert [(row["UserName"], row["UserPassword"], row["UserPrivilege"]) for row in rows] == [
        ("ann", "one", "0"),
        ("bob", "", "1"),
    ]
    assert read_reply(ipcam.GET_USER_LIST, "")["rows"] == []


def test_active_users_are_read_by_the_documents_spelling() -> None:
    text = (
        "UserIPAddress =192.168.0.7\r\nUserName =ann\r\nAccessDateTime =2008-10-01 10:39:46\r\n"
        "MinisecondPerPacket =66\r\nUserIPAddress=192.168.0.8\r\nUserName =\r\n"
    )
    first, second = read_reply(ipcam.GET_ACTIVE_USER, text)["rows"]
    assert first == {
        "UserIPAddress": "192.168.0.7",
        "UserName": "ann",
        "AccessDateTime": "2008-10-01T10:39:46",
        "MinisecondPerPacket": 66,
    }
    assert (second["UserIPAddress"], second["MinisecondPerPacket"]) == ("192.168.0.8", None)


def test_units_behind_numbers_are_left_off() -> None:
    text = "VideoResolution=640 x 480\r\nFrameSize=15200 Bytes\r\nLightFrequency=50 Hz\r\n"
    told = read_reply(ipcam.QUERY_IMAGE, text)
    assert (told["FrameSize"], told["LightFrequency"], told["VideoResolution"]) == (15200, 50, "640 x 480")


def test_names_with_blanks_and_in_another_case_are_read() -> None:
    told = read_reply(ipcam.GET_UPLOAD, "FTPSchedule FileMode=2\r\nftpmanualfilemode=1\r\nFTPPortNumber=21\r\n")
    assert (told["FTPScheduleFileMode"], told["FTPManualFileMode"], told["FTPPortNumber"]) == ("2", "1", 21)
    assert read_reply(ipcam.QUERY_NETWORK, "UpnP=Enable (IP : 2.66.78.51)\r\n")["UPnP"] == "Enable (IP : 2.66.78.51)"


@given(st.sampled_from(ipcam.CATALOGUE), st.text(max_size=200))
def test_no_text_is_too_odd_to_read(row: Command, text: str) -> None:
    read_reply(row, text)


# --- Beside each picture ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2008-10-01 15:37:53 IO_00000001_PT_170_068", "2008-10-01T15:37:53"),
        ("10-01-2008 03:37:53 PM IO_00000001_PT_170_068", "2008-10-01T15:37:53"),
        (" 10-01-2008 12:00:00 AM  IO_00000001_PT_170_068", "2008-10-01T00:00:00"),
        ("99-99-2008 03:37:53 IO_00000001_PT_170_068", None),
    ],
)
def test_the_rightmost_bit_beside_a_picture_is_the_first_trigger(text: str, moment: str | None) -> None:
    stamp = read_stamp(text)
    assert stamp.at == (None if moment is None else datetime.fromisoformat(moment))
    assert stamp.switches == {"Trigger1": True, "Trigger2": False, "ImageUpload": False, "ImageEmail": False}
    assert stamp.position == (170, 68)


@pytest.mark.parametrize(
    ("digits", "names"),
    [
        ("00000000", set()),
        ("00000010", {"Trigger2"}),
        ("00001100", {"ImageUpload", "ImageEmail"}),
        ("10000000", {"Trigger1"}),  # as the document counts
        ("01010000", {"Trigger2", "ImageEmail"}),
        ("11110001", {"Trigger1"}),  # nobody counts so; the vendor's viewer would read this
    ],
)
def test_the_half_in_which_something_is_set_tells_how_a_camera_counts(digits: str, names: set[str]) -> None:
    switches = read_stamp(f"2008-10-01 15:37:53 IO_{digits}_PT_170_068").switches
    assert switches is not None
    assert {name for name, on in switches.items() if on} == names


@pytest.mark.parametrize("text", ["", "2008", "IO_2_PT_1_2", "nonsense \x00"])
def test_a_stamp_that_tells_nothing_is_empty(text: str) -> None:
    assert read_stamp(text) == Stamp(None, None, None)


@given(st.text(max_size=100))
def test_no_stamp_is_too_odd_to_read(text: str) -> None:
    read_stamp(text)


@pytest.mark.parametrize(
    ("index", "minutes"),
    [("0", None), ("1", -720), ("17", -270), ("30", 0), ("60", 345), ("84", 780), ("85", None), ("", None)],
)
def test_a_zone_of_the_table_is_so_far_from_gmt(index: str, minutes: int | None) -> None:
    assert minutes_east(index) == minutes


def test_the_table_of_zones_is_whole() -> None:
    assert [int(index) for index in ZONES] == list(range(85))
    param = ipcam.SET_DATETIME.param("TimeZoneIndex")
    assert isinstance(param, Choice)
    assert param.choices is ZONES
