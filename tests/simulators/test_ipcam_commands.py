"""What the simulated IPCam answers, keeps and refuses."""

import base64
import re
from collections.abc import AsyncIterator
from urllib.parse import quote, unquote

import httpx
import pytest

from simulators.ipcam import IpcamSimulator
from tests.simulators.cameras import ADMIN, Camera, fields
from tests.simulators.helpers import raw

NOON = 1_800_000_000.0  # 2027-01-15 08:00:00 in Greenwich


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=5, verify=False) as http:
        yield http


@pytest.fixture
async def camera(http) -> AsyncIterator[Camera]:
    async with IpcamSimulator(seed=7, name="Yard", reboot_seconds=0.1, now=lambda: NOON, control=True) as device:
        yield Camera(device, http)


@pytest.fixture
async def odd(http, request) -> AsyncIterator[Camera]:
    async with IpcamSimulator(seed=7, name="Yard", oddities=request.param, now=lambda: NOON) as device:
        yield Camera(device, http)


def oddity(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("odd", names, indirect=True)


TABLES = {
    "/cgiversion.cgi": "CGIVersion",
    "/isystem.cgi": "CameraName Location Model FirmwareVersion MACAddress IPAddress EthernetLink EthernetSpeed "
    "EthernetDuplex",
    "/system.cgi": "CameraName Location AdminID AdminPassword LEDControl",
    "/datetime.cgi": "DateTimeMode TimeServerIPAddress TimeServerProtocol TimeZone TimeZoneIndex Date Time",
    "/user.cgi": "AccessControlEnable",
    "/iimage.cgi": "VideoResolution CompressionRate FrameRate FrameSize LightFrequency",
    "/image.cgi": "VideoResolution CompressionRate FrameRate BrightnessControl ContrastControl SaturationControl "
    "LightFrequency Mirror AntiFlickerEnable",
    "/inetwork.cgi": "IPAddress SubnetMask DefaultGateway PrimaryDNSAddress SecondaryDNSAddress DynamicDNS "
    "SecondaryHTTPPort UpnP",
    "/network.cgi": "IPAddressMode IPAddress SubnetMask DefaultGateway PPPoEUserID PPPoEPASSWORD DNSIPAddress1 "
    "DNSIPAddress2 DDNSEnable DDNSProvider DDNSHostName DDNSUserName DDNSPassword SecondHTTPPortEnable SecondHTTPPort "
    "UPnPEnable",
    "/iwireless.cgi": "ConnectionMode WirelessLink SSID WirelessChannel TransmissionRate WEPEncryption",
    "/wireless.cgi": "ConnectionMode SSID WirelessChannel TransmissionRate WEPEncryption WEPKeyFormat Key1 Key2 Key3 "
    "Key4 TxKey BeaconInterval Preamble AuthenticationType PreSharedKey",
    "/upload.cgi": "FTPHostAddress FTPPortNumber FTPUserName FTPPassword FTPDirectoryPath FTPPassiveMode "
    "FTPScheduleEnable FTPScheduleMode FTPScheduleDay FTPScheduleTimeStart FTPScheduleTimeStop "
    "FTPScheduleVideoFrequencyMode FTPScheduleFramePerSecond FTPScheduleSecondPerFrame FTPScheduleBaseFileName "
    "FTPScheduleFileMode FTPScheduleMaxFileSequenceNumber FTPManualEnable FTPManualBaseFileName FTPManualFileMode "
    "FTPManualMaxFileSequenceNumber",
    "/email.cgi": "EmailSMTPServerAddress EmailSenderAddress EmailReceiverAddress EmailUserName EmailPassword "
    "EmailScheduleEnable EmailScheduleMode EmailScheduleDay EmailScheduleTimeStart EmailScheduleTimeStop "
    "EmailScheduleInterval EmailManualEnable EmailManualInterval",
}


@pytest.mark.parametrize("path", TABLES)
async def test_every_table_is_read_whole_and_in_the_documents_order(camera, path):
    reply = await camera.get(path)
    assert list(fields(reply)) == TABLES[path].split()
    assert reply.headers["content-type"] == "text/html"
    assert camera.violations == camera.notes == []


async def test_answers_are_http_1_0_of_the_cameras_own_server(camera):
    credentials = base64.b64encode(b"admin:12345")
    reply = await raw(
        camera.device, b"GET /cgiversion.cgi HTTP/1.0\r\nAuthorization: Basic " + credentials + b"\r\n\r\n"
    )
    head, body = reply.split(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"HTTP/1.0 200 OK",
        b"Server: Camera Web Server/1.0",
        b"Auther: Steven Wu",
        b"Content-Type: text/html",
        b"Content-Length: 14",
    ]
    assert body == b"CGIVersion=2\r\n"


async def test_the_queries_use_words(camera):
    told = fields(await camera.get("/isystem.cgi"))
    assert re.fullmatch(r"00 FF 5C( [0-9A-F]{2}){3}", told["MACAddress"])
    assert re.fullmatch(r"\d\.\d\d \(\d{4}-\d\d-\d\d\)", told["FirmwareVersion"])
    assert (told["CameraName"], told["IPAddress"], told["EthernetLink"]) == ("Yard", "127.0.0.1", "Yes")

    await camera.get("/image.cgi?VideoResolution=0&CompressionRate=4&FrameRate=0&LightFrequency=1")
    told = fields(await camera.get("/iimage.cgi"))
    assert re.fullmatch(r"\d+ Bytes", told.pop("FrameSize"))
    assert list(told.values()) == ["160 x 120", "Very High", "Auto", "60 Hz"]

    told = fields(await camera.get("/inetwork.cgi"))
    assert (told["DynamicDNS"], told["SecondaryHTTPPort"], told["UpnP"]) == (
        "Disable",
        "Disable (Port : 81)",
        "Disable",
    )
    await camera.get("/network.cgi?DDNSEnable=1&SecondHTTPPortEnable=3&SecondHTTPPort=8080&UPnPEnable=1")
    told = fields(await camera.get("/inetwork.cgi"))
    assert told["DynamicDNS"] == "Enable"
    assert told["SecondaryHTTPPort"] == "Enable (Port : 8080)"
    assert told["UpnP"] == "Enable (IP : 127.0.0.1)"

    await camera.get("/wireless.cgi?ConnectionMode=1&SSID=yard&TransmissionRate=5.5%20Mb&WEPEncryption=4")
    told = fields(await camera.get("/iwireless.cgi"))
    assert told["SSID"].startswith("yard (MAC : 00 ")
    assert (told["ConnectionMode"], told["TransmissionRate"]) == ("Adhoc", "5.5 M bps")
    assert told["WEPEncryption"] == "WPA-PSK / WPA2-PSK"
    assert camera.violations == []


TEXT = ["", "plain", "G%C3%A4ste%20%26%20Tor=1,2:3%2B%23%25"]
TIMES = ["00:00:00", "06:12:35", "23:59:59"]
NUMBER = ["1", "100", "65535"]
FLAG = ["1", "0"]
KEYS = ["abcde", "13characters%21"]
WRITABLE = {
    "/system.cgi": {
        "CameraName": [*TEXT, "x" * 32],
        "Location": [*TEXT, "x" * 64],
        "LEDControl": ["0", "1", "2"],
    },
    "/datetime.cgi": {
        "DateTimeMode": FLAG,
        "TimeServerIPAddress": ["", "192.168.0.90", "time.example.org"],
        "TimeServerProtocol": FLAG,
        "TimeZone": [*map(str, range(-12, 1)), *(f"%2B{hours}" for hours in range(1, 14))],
        "TimeZoneIndex": [str(index) for index in range(85)],
    },
    "/user.cgi": {"AccessControlEnable": ["0", "1"]},
    "/image.cgi": {
        "VideoResolution": ["0", "1", "2"],
        "CompressionRate": ["0", "1", "2", "3", "4"],
        "FrameRate": ["0", "1", "5", "7", "15", "20"],
        "BrightnessControl": ["1", "128"],
        "ContrastControl": ["1", "128"],
        "SaturationControl": ["1", "128"],
        "LightFrequency": FLAG,
        "Mirror": ["3", "2", "1", "0"],
        "AntiFlickerEnable": FLAG,
    },
    "/network.cgi": {
        "IPAddressMode": ["5", "4", "1"],
        "IPAddress": ["192.168.0.90", "255.255.255.255", "0.0.0.0"],
        "SubnetMask": ["255.255.0.0"],
        "DefaultGateway": ["10.0.0.1"],
        "PPPoEUserID": [*TEXT, "x" * 64],
        "PPPoEPASSWORD": [*TEXT, "x" * 32],
        "DNSIPAddress1": ["9.9.9.9"],
        "DNSIPAddress2": ["8.8.8.8"],
        "DDNSEnable": FLAG,
        "DDNSProvider": [
            "www.dlinkddns.com",
            "www.DynDNS.org(Custom)",
            "Ivy%20Network",
            "%40Net%20DDNS",
            "Address.net",
        ],
        "DDNSHostName": [*TEXT, "x" * 64],
        "DDNSUserName": [*TEXT, "x" * 64],
        "DDNSPassword": [*TEXT, "x" * 32],
        "SecondHTTPPortEnable": ["3", "0"],
        "SecondHTTPPort": NUMBER,
        "UPnPEnable": FLAG,
    },
    "/wireless.cgi": {
        "ConnectionMode": FLAG,
        "SSID": [*TEXT, "x" * 32],
        "WirelessChannel": ["1", "14"],
        "TransmissionRate": ["Fully%20Automatic", "1%20Mb", "5.5%20Mb", "54%20Mb"],
        "WEPKeyFormat": FLAG,
        "Key1": KEYS,
        "Key2": KEYS,
        "Key3": KEYS,
        "Key4": KEYS,
        "TxKey": ["Key%201", "Key%204"],
        "BeaconInterval": NUMBER,
        "Preamble": FLAG,
        "AuthenticationType": ["0", "1", "2"],
        "PreSharedKey": ["8letters", "x" * 63, "0123456789abcdefABCDEF0123456789" * 2],
        "WEPEncryption": ["2", "3", "4", "0"],
    },
    "/upload.cgi": {
        "FTPHostAddress": ["", "ftp.example.org", "10.1.2.3"],
        "FTPPortNumber": NUMBER,
        "FTPUserName": [*TEXT, "x" * 32],
        "FTPPassword": [*TEXT, "x" * 32],
        "FTPDirectoryPath": ["", "/cam/1", "x" * 64],
        "FTPPassiveMode": FLAG,
        "FTPScheduleEnable": FLAG,
        "FTPScheduleMode": FLAG,
        "FTPScheduleDay": ["0", "62", "127"],
        "FTPScheduleTimeStart": TIMES,
        "FTPScheduleTimeStop": TIMES,
        "FTPScheduleVideoFrequencyMode": FLAG,
        "FTPScheduleFramePerSecond": ["1", "2", "3", "Auto"],
        "FTPScheduleSecondPerFrame": NUMBER,
        "FTPScheduleBaseFileName": [*TEXT, "x" * 32],
        "FTPScheduleFileMode": ["0", "1", "2"],
        "FTPScheduleMaxFileSequenceNumber": NUMBER,
        "FTPManualEnable": FLAG,
        "FTPManualBaseFileName": [*TEXT, "x" * 32],
        "FTPManualFileMode": ["0", "1", "2"],
        "FTPManualMaxFileSequenceNumber": NUMBER,
    },
    "/email.cgi": {
        "EmailSMTPServerAddress": ["", "mail.example.org"],
        "EmailSenderAddress": ["", "yard@example.org"],
        "EmailReceiverAddress": ["", "guard+yard@example.org".replace("+", "%2B")],
        "EmailUserName": [*TEXT, "x" * 64],
        "EmailPassword": [*TEXT, "x" * 32],
        "EmailScheduleEnable": FLAG,
        "EmailScheduleMode": FLAG,
        "EmailScheduleDay": ["0", "127"],
        "EmailScheduleTimeStart": TIMES,
        "EmailScheduleTimeStop": TIMES,
        "EmailScheduleInterval": NUMBER,
        "EmailManualEnable": FLAG,
        "EmailManualInterval": NUMBER,
    },
}


@pytest.mark.parametrize("path", WRITABLE)
async def test_every_setting_is_written_by_get_or_post_and_reads_back(camera, path):
    def told(reply: httpx.Response) -> dict[str, str]:
        # Date and Time follow the zone: a test of their own looks at them.
        return {name: value for name, value in fields(reply).items() if name not in ("Date", "Time")}

    before = told(await camera.get(path))
    written = dict(before)
    for name, values in WRITABLE[path].items():
        for number, value in enumerate(values):
            if number % 2:
                reply = await camera.get(f"{path}?{name}={value}")
            else:
                reply = await camera.post(path, f"{name}={value}&ConfigReboot=No")
            written[name] = unquote(value)
            assert told(reply) == written, (name, value)
            assert told(await camera.get(path)) == written
    assert set(WRITABLE[path]) | {"AdminID", "AdminPassword"} >= set(before)
    everything = "&".join(f"{name}={quote(value, safe=':,')}" for name, value in before.items())
    assert told(await camera.post(path, everything)) == before
    assert camera.violations == []


@pytest.mark.parametrize(
    ("encryption", "form", "right", "wrong"),
    [
        ("2", "0", "a%20b%26c", "13characters%21"),
        ("3", "0", "13characters%21", "abcde"),
        ("2", "1", "0123456789", "012345678901234567890123456789"[:26]),
        ("3", "1", "0123456789abcdefABCDEF0123", "0123456789"),
        ("2", "1", "abcdefABCD", "ghijklmnop"),
        ("0", "0", "abcde", "0123456789"),
    ],
)
async def test_a_key_is_as_long_as_encryption_and_format_want_it(camera, encryption, form, right, wrong):
    start = f"/wireless.cgi?WEPEncryption={encryption}&WEPKeyFormat={form}"
    assert (await camera.get(f"{start}&Key3={right}")).status_code == 200
    assert camera.violations == []
    before = fields(await camera.get("/wireless.cgi"))
    assert (await camera.get(f"{start}&Key3={wrong}")).status_code == 400
    assert camera.violations == ["value"]
    assert fields(await camera.get("/wireless.cgi")) == before


async def test_the_administrator_may_change_his_name_and_password(camera):
    told = fields(await camera.post("/system.cgi", "AdminID=boss&AdminPassword=p%C3%A4r%26"))
    assert (told["AdminID"], told["AdminPassword"]) == ("boss", "pär&")
    assert (await camera.get("/system.cgi")).status_code == 401
    assert (await camera.get("/system.cgi", httpx.BasicAuth("boss", "pär&"))).status_code == 200


# 3.1.5, 3.1.6


async def test_the_clock_is_set_by_hand_and_runs_on(http):
    now = NOON
    async with IpcamSimulator(now=lambda: now) as device:
        camera = Camera(device, http)
        told = fields(await camera.get("/datetime.cgi"))
        assert (told["Date"], told["Time"]) == ("2027-01-15", "08:00:00")
        told = fields(await camera.get("/datetime.cgi?DateTimeMode=1&TimeZone=%2B1&Date=2004-09-01&Time=06:12:35"))
        assert (told["Date"], told["Time"], told["TimeZone"]) == ("2004-09-01", "06:12:35", "+1")
        now += 86_405
        told = fields(await camera.get("/datetime.cgi"))
        assert (told["Date"], told["Time"]) == ("2004-09-02", "06:12:40")
        told = fields(await camera.get("/datetime.cgi?TimeZone=-3"))
        assert (told["Date"], told["Time"]) == ("2004-09-02", "02:12:40")
        told = fields(await camera.get("/datetime.cgi?Time=00:00:00"))
        assert (told["Date"], told["Time"]) == ("2004-09-02", "00:00:00")
        assert "CurrentTime=2004-09-02 00:00:00" in (await camera.get("/iocontrol.cgi")).text
        told = fields(await camera.get("/datetime.cgi?DateTimeMode=0&Date=1999-01-01"))
        assert (told["Date"], told["Time"]) == ("2027-01-16", "05:00:05")
        assert (camera.violations, camera.notes) == ([], ["clock_ignored"])


ZONES = {1: -12, 2: -11, 6: -8, 9: -7, 13: -6, 16: -5, 17: -4.5, 21: -4, 22: -3.5, 26: -3, 29: -1, 30: 0, 31: 0, 36: 1}
ZONES |= {37: 2, 45: 2, 50: 3, 51: 3.5, 54: 4, 55: 4.5, 59: 5.5, 60: 5.75, 62: 6, 63: 6.5, 65: 7, 70: 8, 73: 9, 75: 9.5}
ZONES |= {80: 10, 81: 11, 83: 12, 84: 13}


@pytest.mark.parametrize(("index", "hours"), ZONES.items())
async def test_the_zone_table_decides_the_local_time(camera, index, hours):
    told = fields(await camera.get(f"/datetime.cgi?TimeZoneIndex={index}&TimeZone=%2B5"))
    minutes = (8 * 60 + round(hours * 60)) % 1440
    assert told["Time"] == f"{minutes // 60:02d}:{minutes % 60:02d}:00"


# 3.2


async def test_users_are_added_listed_changed_and_deleted(camera):
    assert (await camera.get("/userlist.cgi")).text == ""
    await camera.get("/userlist.cgi?UserName=guard&UserPassword=tulip&UserPrivilege=1&UserAdd=Yes")
    reply = await camera.post("/userlist.cgi", "UserName=visitor&UserPassword=&UserPrivilege=0&UserAdd=Yes\r\n\r\n")
    assert reply.text == (
        "UserName=guard\r\nUserPassword=tulip\r\nUserPrivilege=1\r\n"
        "UserName=visitor\r\nUserPassword=\r\nUserPrivilege=0\r\n"
    )
    await camera.get("/userlist.cgi?UserName=guard&UserPassword=rose&UserPrivilege=0&UserAdd=Yes")
    reply = await camera.get("/userlist.cgi?UserName=visitor&UserDelete=Yes")
    assert reply.text == "UserName=guard\r\nUserPassword=rose\r\nUserPrivilege=0\r\n"
    assert (await camera.get("/userlist.cgi?UserName=nobody&UserDelete=Yes")).text == reply.text
    assert (camera.violations, camera.notes) == ([], ["no_such_user"])


async def test_the_user_list_fills_up(camera):
    for number in range(20):
        await camera.get(f"/userlist.cgi?UserName=u{number}&UserPassword=x&UserPrivilege=0&UserAdd=Yes")
    reply = await camera.get("/userlist.cgi?UserName=late&UserPassword=x&UserPrivilege=0&UserAdd=Yes")
    assert (reply.status_code, camera.notes) == (500, ["list_full"])


async def test_access_control_0_is_on(camera):
    assert fields(await camera.get("/user.cgi")) == {"AccessControlEnable": "1"}
    assert (await camera.get("/image.jpg", None)).status_code == 200
    assert (await camera.post("/iocontrol.cgi", "Trigger1=1", None)).status_code == 204
    await camera.get("/user.cgi?AccessControlEnable=0")
    reply = await camera.get("/image.jpg", None)
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith('Basic realm="')
    assert (await camera.get("/image.jpg")).status_code == 200


async def test_a_privilege_is_what_a_user_may_do(camera):
    await camera.get("/user.cgi?AccessControlEnable=0")
    await camera.get("/userlist.cgi?UserName=watch&UserPassword=a&UserPrivilege=0&UserAdd=Yes")
    await camera.get("/userlist.cgi?UserName=steer&UserPassword=b&UserPrivilege=1&UserAdd=Yes")
    watch, steer = httpx.BasicAuth("watch", "a"), httpx.BasicAuth("steer", "b")
    home = "PanTiltPresetPositionMove=0"
    for who, image, status, control, settings in [
        (watch, 200, 200, 401, 401),
        (steer, 200, 200, 204, 401),
        (ADMIN, 200, 200, 204, 200),
        (httpx.BasicAuth("watch", "b"), 401, 401, 401, 401),
    ]:
        assert (await camera.get("/image.jpg", who)).status_code == image
        assert (await camera.get("/iocontrol.cgi", who)).status_code == status
        assert (await camera.post("/pantiltcontrol.cgi", home, who)).status_code == control
        assert (await camera.get("/cgiversion.cgi", who)).status_code == settings
    assert camera.notes.count("not_allowed") == 3
    assert camera.notes.count("login_failed") == 4


@pytest.mark.parametrize("path", [*TABLES, "/userlist.cgi", "/activeuser.cgi", "/reset.cgi?Reset=Yes"])
async def test_configuration_needs_the_administrator_even_without_access_control(camera, path):
    assert (await camera.get(path, None)).status_code == 401
    assert (await camera.get(path, httpx.BasicAuth("admin", "wrong"))).status_code == 401
    assert camera.violations == []


# 3.4, 3.6


async def settled(camera: Camera) -> None:
    """Until a restart is over."""
    await camera.device._restart


async def test_a_restart_keeps_settings_users_and_presets(camera):
    await camera.get("/system.cgi?Location=north")
    await camera.post("/pantiltcontrol.cgi", "PanTiltHorizontal=20&PanTiltVertical=30&SetPosition=4&SetName=gate")
    for restart in ("/reset.cgi?Reset=Yes", "/system.cgi?ConfigReboot=Yes"):
        assert (await camera.get(restart)).status_code in (204, 200)
        await settled(camera)
        assert fields(await camera.get("/system.cgi"))["Location"] == "north"
    assert camera.device.state()["presets"] == {4: [20, 30, "gate"]}
    reply = await camera.post("/reset.cgi", "Reset=Yes")
    assert (reply.status_code, reply.content) == (204, b"")
    await settled(camera)
    assert camera.violations == []


async def test_the_factory_settings_come_back(camera):
    before = {path: fields(await camera.get(path)) for path in WRITABLE}
    await camera.get("/user.cgi?AccessControlEnable=0")
    await camera.get("/userlist.cgi?UserName=guard&UserPassword=tulip&UserPrivilege=1&UserAdd=Yes")
    await camera.get("/datetime.cgi?DateTimeMode=1&Date=2004-09-01&TimeZoneIndex=60")
    await camera.post("/pantiltcontrol.cgi", "PanTiltHorizontal=20&PanTiltVertical=30&PanTiltPositionMove=true")
    await camera.post("/system.cgi", "AdminID=boss&AdminPassword=pear")
    assert (await camera.get("/reset.cgi?FactoryReset=Yes", httpx.BasicAuth("boss", "pear"))).status_code == 204
    await settled(camera)
    assert {path: fields(await camera.get(path)) for path in WRITABLE} == before
    assert (await camera.get("/userlist.cgi")).text == ""
    assert camera.device.position == (170, 68)


async def test_a_new_address_is_used_after_the_restart(camera):
    assert fields(await camera.get("/network.cgi?IPAddress=127.0.0.9&ConfigReboot=No"))["IPAddress"] == "127.0.0.9"
    assert fields(await camera.get("/isystem.cgi"))["IPAddress"] == "127.0.0.1"
    old = camera.device.url
    await camera.get("/reset.cgi?Reset=Yes")
    await settled(camera)
    assert camera.device.url == old.replace("127.0.0.1", "127.0.0.9")
    assert fields(await camera.get("/isystem.cgi"))["IPAddress"] == "127.0.0.9"
    with pytest.raises(httpx.ConnectError):
        await camera.http.get(old)
    await camera.get("/network.cgi?IPAddress=192.168.0.90&ConfigReboot=Yes")  # not on this machine: it stays
    await settled(camera)
    assert fields(await camera.get("/inetwork.cgi"))["IPAddress"] == "127.0.0.9"
    await camera.get("/network.cgi?IPAddressMode=4&ConfigReboot=Yes")
    await settled(camera)
    assert camera.device.url == old


# 5


async def test_inputs_and_outputs_are_switched_and_told(camera):
    reply = await camera.get("/iocontrol.cgi")
    told = "Trigger1=0&Trigger2=0&ImageUpload=0&ImageEmail=0&CurrentTime=2027-01-15 08:00:00\r\n"
    assert reply.text == told
    for body in ("Trigger1=1&Trigger2=1", "Trigger1=0", "ImageUpload=1", "ImageEmail=1"):
        reply = await camera.post("/iocontrol.cgi", body)
        assert (reply.status_code, reply.content) == (204, b"")
    reply = await camera.get("/iocontrol.cgi")
    assert reply.text.startswith("Trigger1=0&Trigger2=1&ImageUpload=1&ImageEmail=1&")
    assert camera.violations == []


async def test_single_moves_turn_by_degrees_and_stop_at_the_end(camera):
    async def move(pan: int, tilt: int, direction: int) -> tuple[int, int]:
        body = f"PanSingleMoveDegree={pan}&TiltSingleMoveDegree={tilt}&PanTiltSingleMove={direction}"
        assert (await camera.post("/pantiltcontrol.cgi", body)).status_code == 204
        return camera.device.position

    assert await move(5, 3, 1) == (170, 71)
    assert await move(5, 3, 3) == (165, 71)
    assert await move(10, 1, 5) == (175, 71)
    assert await move(1, 10, 7) == (175, 61)
    assert await move(1, 1, 4) == (170, 68)
    for _ in range(18):
        pan, tilt = await move(10, 10, 5)
    assert (pan, tilt) == (340, 68)
    for _ in range(8):
        pan, tilt = await move(10, 10, 1)
    assert (pan, tilt) == (340, 135)
    assert camera.violations == []


async def test_presets_are_set_visited_swung_through_and_cleared(camera):
    async def control(body: str) -> tuple[int, int]:
        assert (await camera.post("/pantiltcontrol.cgi", body)).status_code == 204
        return camera.device.position

    await control("PanTiltHorizontal=10&PanTiltVertical=20&SetPosition=24&SetName=gate%20north")
    await control("PanTiltHorizontal=340&PanTiltVertical=135&SetPosition=1&SetName=")
    assert await control("PanTiltHorizontal=0&PanTiltVertical=0&PanTiltPositionMove=true") == (0, 0)
    assert await control("PanTiltPresetPositionMove=24") == (10, 20)
    assert await control("PanTiltPresetPositionMove=0") == (170, 68)
    assert await control("PanTiltPresetPositionMove=7") == (170, 68)
    assert camera.notes == ["no_such_preset"]
    assert await control("PanTiltSwingMode=2") == (340, 135)
    assert camera.device.state()["swinging"] is True
    assert await control("PanTiltSwingMode=0") == (340, 135)
    assert camera.device.state()["swinging"] is False
    await control("ClearPosition=24")
    assert camera.device.state()["presets"] == {1: [340, 135, ""]}
    assert camera.violations == []


async def test_swinging_goes_from_preset_to_preset(http):
    now = NOON
    async with IpcamSimulator(now=lambda: now) as device:
        camera = Camera(device, http)
        for number, pan in ((3, 30), (1, 10), (2, 20)):
            body = f"PanTiltHorizontal={pan}&PanTiltVertical=0&SetPosition={number}&SetName=p"
            await camera.post("/pantiltcontrol.cgi", body)
        await camera.post("/pantiltcontrol.cgi", "PanTiltSwingMode=2")
        seen = []
        for seconds in (1, 6, 11, 16):
            now = NOON + seconds
            seen.append(device.position[0])
        assert seen == [10, 20, 30, 10]


async def test_what_is_sent_to_the_com_port_is_kept_byte_for_byte(camera):
    assert (await camera.post("/comport.cgi", "ComOut=%FF%01%00hello%20%E2%82%AC&ComSend=Yes")).status_code == 204
    assert (await camera.post("/comport.cgi", "ComSend=Yes&ComOut=2")).status_code == 204
    assert list(camera.device.com_output) == [b"\xff\x01\x00hello \xe2\x82\xac", b"2"]
    assert camera.violations == []


# What is refused

REFUSALS = [
    # method, kind, target, body
    ("PUT", "method", "/system.cgi", "Location=x"),
    ("HEAD", "method", "/image.jpg", ""),
    ("POST", "method", "/cgiversion.cgi", ""),
    ("POST", "method", "/isystem.cgi", ""),
    ("POST", "method", "/mjpeg.cgi", ""),
    ("GET", "method", "/iocontrol.cgi?Trigger1=1", ""),
    ("GET", "method", "/pantiltcontrol.cgi?PanTiltPresetPositionMove=1", ""),
    ("GET", "method", "/comport.cgi?ComOut=x&ComSend=Yes", ""),
    ("GET", "body", "/system.cgi", "Location=x"),
    ("POST", "query", "/system.cgi?Location=x", ""),
    ("POST", "query", "/system.cgi?Location=x", "Location=x"),
    ("POST", "missing_parameter", "/system.cgi", ""),
    ("GET", "unknown_parameter", "/system.cgi?Colour=red", ""),
    ("GET", "unknown_parameter", "/system.cgi?location=x", ""),
    ("GET", "unknown_parameter", "/system.cgi?LocatIon=x&CameraName=y", ""),
    ("GET", "duplicate_parameter", "/system.cgi?Location=x&Location=y", ""),
    ("GET", "malformed", "/system.cgi?Location", ""),
    ("GET", "encoding", "/system.cgi?Location=a+b", ""),
    ("POST", "encoding", "/system.cgi", "Location=a+b"),
    ("POST", "encoding", "/system.cgi", "Location=a b"),
    ("POST", "encoding", "/system.cgi", "Location=a\r\nCameraName=b"),
    ("GET", "encoding", "/system.cgi?Location=a%2Cb", ""),
    ("GET", "encoding", "/system.cgi?Location=%FC", ""),
    ("GET", "encoding", "/system.cgi?Location=100%", ""),
    ("GET", "value", "/system.cgi?Location=a%0D%0AAdminID=b", ""),
    ("GET", "value", "/system.cgi?CameraName=" + 33 * "x", ""),
    ("GET", "value", "/system.cgi?Location=" + 65 * "x", ""),
    ("GET", "value", "/system.cgi?AdminID=", ""),
    ("GET", "value", "/system.cgi?AdminID=" + 13 * "x", ""),
    ("GET", "value", "/system.cgi?AdminPassword=123456789", ""),
    ("GET", "value", "/system.cgi?LEDControl=3", ""),
    ("GET", "value", "/system.cgi?ConfigReboot=yes", ""),
    ("GET", "value", "/datetime.cgi?TimeZone=1", ""),
    ("GET", "value", "/datetime.cgi?TimeZone=%2B14", ""),
    ("GET", "encoding", "/datetime.cgi?TimeZone=+1", ""),
    ("GET", "value", "/datetime.cgi?TimeZoneIndex=85", ""),
    ("GET", "value", "/datetime.cgi?TimeZoneIndex=05", ""),
    ("GET", "value", "/datetime.cgi?DateTimeMode=1&Date=2023-02-29", ""),
    ("GET", "value", "/datetime.cgi?DateTimeMode=1&Date=23-02-28", ""),
    ("GET", "value", "/datetime.cgi?DateTimeMode=1&Time=24:00:00", ""),
    ("GET", "value", "/datetime.cgi?DateTimeMode=1&Time=6:12:35", ""),
    ("GET", "encoding", "/datetime.cgi?Time=06%3A12%3A35", ""),
    ("GET", "value", "/datetime.cgi?TimeServerIPAddress=a%20b", ""),
    ("GET", "value", "/user.cgi?AccessControlEnable=2", ""),
    ("GET", "value", "/user.cgi?AccessControlEnable=Yes", ""),
    ("GET", "missing_parameter", "/userlist.cgi?UserName=guard&UserPassword=x&UserPrivilege=1", ""),
    ("GET", "missing_parameter", "/userlist.cgi?UserName=guard&UserAdd=Yes", ""),
    ("GET", "missing_parameter", "/userlist.cgi?UserName=guard", ""),
    ("GET", "value", "/userlist.cgi?UserName=guard&UserPassword=x&UserPrivilege=2&UserAdd=Yes", ""),
    ("GET", "value", "/userlist.cgi?UserName=admin&UserPassword=x&UserPrivilege=1&UserAdd=Yes", ""),
    ("GET", "value", "/userlist.cgi?UserName=1234567890123&UserDelete=Yes", ""),
    ("GET", "value", "/userlist.cgi?UserName=guard&UserDelete=No", ""),
    (
        "GET",
        "unknown_parameter",
        "/userlist.cgi?UserName=g&UserPassword=x&UserPrivilege=1&UserAdd=Yes&UserDelete=Yes",
        "",
    ),
    ("GET", "value", "/image.cgi?FrameRate=10", ""),
    ("GET", "value", "/image.cgi?BrightnessControl=0", ""),
    ("GET", "value", "/image.cgi?SaturationControl=129", ""),
    ("GET", "value", "/image.cgi?Mirror=4", ""),
    ("GET", "unknown_parameter", "/iimage.cgi?VideoResolution=1", ""),
    ("GET", "value", "/network.cgi?IPAddressMode=2", ""),
    ("GET", "value", "/network.cgi?IPAddress=192.168.0", ""),
    ("GET", "value", "/network.cgi?IPAddress=192.168.0.256", ""),
    ("GET", "value", "/network.cgi?IPAddress=", ""),
    ("GET", "value", "/network.cgi?SecondHTTPPortEnable=1", ""),
    ("GET", "value", "/network.cgi?SecondHTTPPort=0", ""),
    ("GET", "value", "/network.cgi?DDNSProvider=dyndns", ""),
    ("GET", "unknown_parameter", "/network.cgi?PPPoEPassword=x", ""),
    ("GET", "value", "/wireless.cgi?WEPEncryption=1", ""),
    ("GET", "value", "/wireless.cgi?TransmissionRate=54", ""),
    ("GET", "value", "/wireless.cgi?TxKey=1", ""),
    ("GET", "value", "/wireless.cgi?WirelessChannel=15", ""),
    ("GET", "value", "/wireless.cgi?PreSharedKey=7letter", ""),
    ("GET", "value", "/wireless.cgi?PreSharedKey=" + 64 * "x", ""),
    ("GET", "value", "/wireless.cgi?Key1=", ""),
    ("GET", "unknown_parameter", "/upload.cgi?FTPSchedule%20FileMode=1", ""),
    ("GET", "value", "/upload.cgi?FTPScheduleFileMode=3", ""),
    ("GET", "value", "/upload.cgi?FTPScheduleFramePerSecond=-1", ""),
    ("GET", "value", "/upload.cgi?FTPScheduleDay=128", ""),
    ("GET", "value", "/upload.cgi?FTPPortNumber=65536", ""),
    ("GET", "value", "/email.cgi?EmailScheduleInterval=0", ""),
    ("GET", "value", "/email.cgi?EmailSenderAddress=a%20b", ""),
    ("GET", "missing_parameter", "/reset.cgi", ""),
    ("GET", "value", "/reset.cgi?Reset=yes", ""),
    ("GET", "unknown_parameter", "/reset.cgi?Reset=Yes&FactoryReset=Yes", ""),
    ("GET", "unknown_parameter", "/mjpeg.cgi?resolution=1", ""),
    ("POST", "missing_parameter", "/iocontrol.cgi", ""),
    ("POST", "value", "/iocontrol.cgi", "Trigger1=on"),
    ("POST", "unknown_parameter", "/iocontrol.cgi", "Trigger3=1"),
    ("POST", "unknown_parameter", "/iocontrol.cgi", "Trigger1=1&ImageUpload=1"),
    ("POST", "missing_parameter", "/pantiltcontrol.cgi", "PanTiltSingleMove=1"),
    ("POST", "missing_parameter", "/pantiltcontrol.cgi", "PanSingleMoveDegree=1&TiltSingleMoveDegree=1"),
    ("POST", "value", "/pantiltcontrol.cgi", "PanSingleMoveDegree=11&TiltSingleMoveDegree=1&PanTiltSingleMove=1"),
    ("POST", "value", "/pantiltcontrol.cgi", "PanSingleMoveDegree=0&TiltSingleMoveDegree=1&PanTiltSingleMove=1"),
    ("POST", "value", "/pantiltcontrol.cgi", "PanSingleMoveDegree=1&TiltSingleMoveDegree=1&PanTiltSingleMove=9"),
    ("POST", "reserved", "/pantiltcontrol.cgi", "PanSingleMoveDegree=1&TiltSingleMoveDegree=1&PanTiltSingleMove=0"),
    ("POST", "reserved", "/pantiltcontrol.cgi", "PanSingleMoveDegree=1&TiltSingleMoveDegree=1&PanTiltSingleMove=2"),
    ("POST", "reserved", "/pantiltcontrol.cgi", "PanSingleMoveDegree=1&TiltSingleMoveDegree=1&PanTiltSingleMove=6"),
    ("POST", "reserved", "/pantiltcontrol.cgi", "PanSingleMoveDegree=1&TiltSingleMoveDegree=1&PanTiltSingleMove=8"),
    ("POST", "value", "/pantiltcontrol.cgi", "PanTiltPresetPositionMove=25"),
    ("POST", "unknown_parameter", "/pantiltcontrol.cgi", "PanTiltPresetPositionMove=1&PanTiltSwingMode=0"),
    ("POST", "value", "/pantiltcontrol.cgi", "PanTiltHorizontal=1&PanTiltVertical=1&SetPosition=0&SetName=x"),
    ("POST", "missing_parameter", "/pantiltcontrol.cgi", "PanTiltHorizontal=1&PanTiltVertical=1&SetPosition=1"),
    (
        "POST",
        "value",
        "/pantiltcontrol.cgi",
        "PanTiltHorizontal=1&PanTiltVertical=1&SetPosition=1&SetName=1234567890123",
    ),
    ("POST", "value", "/pantiltcontrol.cgi", "ClearPosition=0"),
    ("POST", "reserved", "/pantiltcontrol.cgi", "PanTiltSwingMode=1"),
    ("POST", "value", "/pantiltcontrol.cgi", "PanTiltSwingMode=3"),
    ("POST", "value", "/pantiltcontrol.cgi", "PanTiltHorizontal=341&PanTiltVertical=1&PanTiltPositionMove=true"),
    ("POST", "value", "/pantiltcontrol.cgi", "PanTiltHorizontal=1&PanTiltVertical=136&PanTiltPositionMove=true"),
    ("POST", "value", "/pantiltcontrol.cgi", "PanTiltHorizontal=1&PanTiltVertical=1&PanTiltPositionMove=1"),
    ("POST", "missing_parameter", "/pantiltcontrol.cgi", "PanTiltHorizontal=1&PanTiltVertical=1"),
    ("POST", "missing_parameter", "/comport.cgi", "ComOut=x"),
    ("POST", "value", "/comport.cgi", "ComOut=&ComSend=Yes"),
    ("GET", "path_case", "/SYSTEM.CGI", ""),
    ("GET", "path_case", "/MJPEG.CGI", ""),
    ("GET", "unknown_command", "/imagery.cgi", ""),
]


@pytest.mark.parametrize(("method", "kind", "target", "body"), REFUSALS)
async def test_what_the_document_does_not_allow_is_refused_and_changes_nothing(camera, method, kind, target, body):
    settings, state = {path: dict(table) for path, table in camera.device.settings.items()}, camera.device.state()
    if method == "POST":
        reply = await camera.post(target, body)
    else:
        reply = await camera.get(target, method=method, content=body.encode() or None)
    status = 404 if kind in ("path_case", "unknown_command") else 400
    assert (reply.status_code, camera.violations) == (status, [kind])
    assert (camera.device.settings, camera.device.state()) == (settings, state)


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain"])
async def test_a_body_that_is_no_form_is_refused(camera, kind):
    reply = await camera.post("/system.cgi", "Location=x", headers={"Content-Type": kind})
    assert (reply.status_code, camera.violations) == (400, ["content_type"])


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n\r\n"])
async def test_a_form_needs_no_content_type_and_may_end_in_line_ends(camera, end):
    body = b"Trigger2=1" + end
    head = f"POST /iocontrol.cgi HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    assert (await raw(camera.device, head + body)).startswith(b"HTTP/1.0 204 No Content\r\n")
    assert camera.device.io["Trigger2"] == "1"
    assert camera.violations == []


async def test_paths_of_other_families_are_no_mistake(camera):
    for path in ("/", "/favicon.ico", "/cgi-bin/getinfo?FILE=1", "/camera-cgi/admin/param.cgi?action=list&group=Brand"):
        assert (await camera.get(path, None)).status_code == 404
    assert (camera.violations, set(camera.notes)) == ([], {"unknown_path"})


async def test_an_internal_error_is_told_in_the_documents_words(camera):
    camera.device.inject("status", status=500)
    reply = await raw(camera.device, b"GET /image.jpg HTTP/1.0\r\n\r\n")
    assert reply.startswith(b"HTTP/1.0 500 Internal Error\r\n")


# How other firmware differs


@oddity("control-204-body", "control-200", "control-empty")
async def test_control_answers_as_other_firmware_does(odd):
    body = b"Trigger1=1"
    head = b"POST /iocontrol.cgi HTTP/1.0\r\nContent-Length: 10\r\n\r\n"
    reply = await raw(odd.device, head + body)
    (name,) = odd.device.oddities
    start, end = {
        "control-204-body": (b"HTTP/1.0 204 No Content\r\n", b"<html>OK</html>\r\n"),
        "control-200": (b"HTTP/1.0 200 OK\r\n", b"Content-Length: 0\r\n\r\n"),
        "control-empty": (b"", b""),
    }[name]
    assert reply.startswith(start)
    assert reply.endswith(end)
    assert bool(reply) == bool(start)
    assert odd.device.io["Trigger1"] == "1"


@oddity("result-lines,lower-case-names,colon-mac,tight-headers")
async def test_oddities_of_texts(odd):
    lines = (await odd.get("/isystem.cgi")).text.split("\r\n")
    assert lines[:2] == ["<result>", "cameraname=Yard"]
    assert lines[-2:] == ["</result>", ""]
    assert any(re.fullmatch(r"macaddress=([0-9A-F]{2}:){5}[0-9A-F]{2}", line) for line in lines)
    assert b"\r\nContent-Type:image/jpeg\r\n" in await raw(odd.device, b"GET /image.jpg HTTP/1.0\r\n\r\n")


@oddity("spaced-names")
async def test_names_with_the_documents_spaces(odd):
    assert "\r\nFTPSchedule FileMode=1\r\n" in (await odd.get("/upload.cgi")).text
    reply = await odd.get("/userlist.cgi?UserName=g&UserPassword=x&UserPrivilege=1&UserAdd=Yes")
    assert reply.text == "UserName =g\r\nUserPassword =x\r\nUserPrivilege =1\r\n"


@oddity("field-values")
async def test_a_firmware_with_its_own_values(odd):
    for target in ("FTPScheduleFramePerSecond=Auto", "FTPManualFileMode=2", "FTPPortNumber=22&ConfigReboot=No"):
        assert (await odd.get(f"/upload.cgi?{target}")).status_code == 400
    assert (odd.violations, odd.notes) == ([], 3 * ["field_values"])
    told = fields(await odd.get("/upload.cgi?FTPScheduleFramePerSecond=-1&FTPManualFileMode=3&ConfigReboot=no"))
    assert (told["FTPScheduleFramePerSecond"], told["FTPManualFileMode"]) == ("-1", "3")
    assert odd.violations == []


@oddity("post-broken")
async def test_a_firmware_that_takes_no_post(odd):
    assert (await odd.post("/pantiltcontrol.cgi", "PanTiltPresetPositionMove=0")).status_code == 400
    assert (odd.violations, odd.notes) == ([], ["post_broken"])
    assert (await odd.get("/iocontrol.cgi?Trigger1=1")).status_code == 204
    assert odd.device.io["Trigger1"] == "1"
    assert odd.violations == []


@oddity("no-iimage")
async def test_a_firmware_without_the_query_about_the_image(odd):
    assert (await odd.get("/iimage.cgi")).status_code == 404
    assert (odd.violations, odd.notes) == ([], ["not_this_model"])
    assert fields(await odd.get("/image.cgi"))["VideoResolution"] == "2"


@oddity("diagonals")
async def test_a_model_that_moves_diagonally(odd):
    for direction, position in ((0, (168, 71)), (2, (170, 74)), (6, (168, 71)), (8, (170, 68))):
        body = f"PanSingleMoveDegree=2&TiltSingleMoveDegree=3&PanTiltSingleMove={direction}"
        assert (await odd.post("/pantiltcontrol.cgi", body)).status_code == 204
        assert odd.device.position == position
    assert odd.violations == []


@pytest.mark.parametrize("wrong", [{"oddities": "purple"}, {"user": "x" * 13}, {"password": "123456789"}])
def test_what_no_ipcam_can_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"purple|at most"):
        IpcamSimulator(**wrong)
