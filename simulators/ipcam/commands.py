"""The commands of the document in its order and with its sections.

Several commands share a path: what is asked with parameters sets, what is asked without reads, and the remote control
has a form for each thing it does. `action` names what the device does for a form. The document fixes no order of
parameters; a table that sets may be sent in part, the forms of section 5 are wanted whole.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

from simulators.auth import Level
from simulators.checking import Command, Param, choice, number, pattern

OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
HOST = r"[A-Za-z0-9.\-]"
TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
EARLIEST, LATEST = 1970, 9998  # years
PAN, TILT, PRESETS = 340, 135, 24


def string(name: str, longest: int, shortest: int = 0) -> Param:
    return pattern(
        name,
        rf"[^\x00-\x1f\x7f]{{{shortest},{longest}}}",
        f"a text of {shortest} to {longest} characters, none of them a control character",
    )


def host(name: str) -> Param:
    return pattern(name, rf"{HOST}{{0,64}}", "a host name or an address of at most 64 characters")


def mail(name: str) -> Param:
    return pattern(name, rf"({HOST}|[@_+]){{0,64}}", "an address of at most 64 characters")


def address(name: str) -> Param:
    return pattern(name, rf"{OCTET}(\.{OCTET}){{3}}", "four numbers from 0 to 255 with dots between")


def moment(name: str) -> Param:
    return pattern(name, TIME, "a time as hh:mm:ss")


def day(name: str) -> Param:
    def allowed(value: str) -> bool:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            return False
        try:
            return EARLIEST <= date.fromisoformat(value).year <= LATEST
        except ValueError:
            return False

    return Param(name, allowed, "a date as yyyy-mm-dd")


def key(name: str) -> Param:
    # Which of the lengths is right depends on WEPEncryption and WEPKeyFormat: the device looks.
    return pattern(
        name, r"[ -~]{5}|[ -~]{10}|[ -~]{13}|[ -~]{26}", "5 or 13 characters, or 10 or 26 hexadecimal digits"
    )


# A choice's numbers come in the document's order, so that a word may be found by its place.
RESOLUTIONS = ("160 x 120", "320 x 240", "640 x 480")
COMPRESSIONS = ("Very Low", "Low", "Medium", "High", "Very High")
TIME_ZONES = (*(str(hours) for hours in range(-12, 1)), *(f"+{hours}" for hours in range(1, 14)))
TRANSMISSION_RATES = (
    "Fully Automatic",
    *(f"{rate} Mb" for rate in ("1", "2", "5.5", "11", "6", "9", "12", "18", "24", "36", "48", "54")),
)
DDNS_PROVIDERS = (  # table 2
    "www.dlinkddns.com",
    "WWW.ORAY.NET",
    "corede.net",
    "www.DynDNS.org(Custom)",
    "www.DynDNS.org(Free)",
    "DynDNS.org(Custom)",
    "DynDNS.org(Free)",
    "DynDNS",
    "Cn99",
    "DyNS",
    "TZO.com",
    "dhs.org",
    "Ivy Network",
    "@Net DDNS",
    "Sharella",
    "51Wireless",
    "PLANEX CyberGate",
    "Address.net",
)

SETTINGS: dict[str, tuple[Param, ...]] = {
    # 3.1.3
    "/system.cgi": (
        string("CameraName", 32),
        string("Location", 64),
        string("AdminID", 12, shortest=1),
        string("AdminPassword", 8),
        choice("LEDControl", "0", "1", "2"),
    ),
    # 3.1.5
    "/datetime.cgi": (
        choice("DateTimeMode", "0", "1"),
        host("TimeServerIPAddress"),
        choice("TimeServerProtocol", "0", "1"),
        choice("TimeZone", *TIME_ZONES),
        number("TimeZoneIndex", 0, 84),
        day("Date"),
        moment("Time"),
    ),
    # 3.2.1
    "/user.cgi": (choice("AccessControlEnable", "0", "1"),),
    # 3.3.2
    "/image.cgi": (
        choice("VideoResolution", "0", "1", "2"),
        choice("CompressionRate", "0", "1", "2", "3", "4"),
        choice("FrameRate", "0", "1", "5", "7", "15", "20"),
        number("BrightnessControl", 1, 128),
        number("ContrastControl", 1, 128),
        number("SaturationControl", 1, 128),
        choice("LightFrequency", "0", "1"),
        number("Mirror", 0, 3),
        choice("AntiFlickerEnable", "0", "1"),
    ),
    # 3.4.2
    "/network.cgi": (
        choice("IPAddressMode", "1", "4", "5"),
        address("IPAddress"),
        address("SubnetMask"),
        address("DefaultGateway"),
        string("PPPoEUserID", 64),
        string("PPPoEPASSWORD", 32),
        address("DNSIPAddress1"),
        address("DNSIPAddress2"),
        choice("DDNSEnable", "0", "1"),
        choice("DDNSProvider", *DDNS_PROVIDERS),
        string("DDNSHostName", 64),
        string("DDNSUserName", 64),
        string("DDNSPassword", 32),
        choice("SecondHTTPPortEnable", "0", "3"),
        number("SecondHTTPPort", 1, 65535),
        choice("UPnPEnable", "0", "1"),
    ),
    # 3.4.5
    "/wireless.cgi": (
        choice("ConnectionMode", "0", "1"),
        string("SSID", 32),
        number("WirelessChannel", 1, 14),
        choice("TransmissionRate", *TRANSMISSION_RATES),
        choice("WEPEncryption", "0", "2", "3", "4"),
        choice("WEPKeyFormat", "0", "1"),
        key("Key1"),
        key("Key2"),
        key("Key3"),
        key("Key4"),
        choice("TxKey", "Key 1", "Key 2", "Key 3", "Key 4"),
        number("BeaconInterval", 1, 65535),
        choice("Preamble", "0", "1"),
        choice("AuthenticationType", "0", "1", "2"),
        pattern("PreSharedKey", r"[ -~]{8,63}|[0-9A-Fa-f]{64}", "8 to 63 ASCII characters or 64 hexadecimal digits"),
    ),
    # 3.5.1
    "/upload.cgi": (
        host("FTPHostAddress"),
        number("FTPPortNumber", 1, 65535),
        string("FTPUserName", 32),
        string("FTPPassword", 32),
        string("FTPDirectoryPath", 64),
        choice("FTPPassiveMode", "0", "1"),
        choice("FTPScheduleEnable", "0", "1"),
        choice("FTPScheduleMode", "0", "1"),
        number("FTPScheduleDay", 0, 127),
        moment("FTPScheduleTimeStart"),
        moment("FTPScheduleTimeStop"),
        choice("FTPScheduleVideoFrequencyMode", "0", "1"),
        choice("FTPScheduleFramePerSecond", "1", "2", "3", "Auto"),
        number("FTPScheduleSecondPerFrame", 1, 65535),
        string("FTPScheduleBaseFileName", 32),
        choice("FTPScheduleFileMode", "0", "1", "2"),
        number("FTPScheduleMaxFileSequenceNumber", 1, 65535),
        choice("FTPManualEnable", "0", "1"),
        string("FTPManualBaseFileName", 32),
        choice("FTPManualFileMode", "0", "1", "2"),
        number("FTPManualMaxFileSequenceNumber", 1, 65535),
    ),
    # 3.5.3
    "/email.cgi": (
        host("EmailSMTPServerAddress"),
        mail("EmailSenderAddress"),
        mail("EmailReceiverAddress"),
        string("EmailUserName", 64),
        string("EmailPassword", 32),
        choice("EmailScheduleEnable", "0", "1"),
        choice("EmailScheduleMode", "0", "1"),
        number("EmailScheduleDay", 0, 127),
        moment("EmailScheduleTimeStart"),
        moment("EmailScheduleTimeStop"),
        number("EmailScheduleInterval", 1, 65535),
        choice("EmailManualEnable", "0", "1"),
        number("EmailManualInterval", 1, 65535),
    ),
}
"""The tables that are read and set, by path."""


def _command(
    path: str, methods: tuple[str, ...], level: Level, action: str, *params: Param, part: bool = False
) -> Command:
    return Command(path, methods, level, params, at_least_one=part, ordered=False, action=action)


def _get(path: str, action: str, level: Level = Level.ADMIN) -> Command:
    return _command(path, ("GET",), level, action)


def _set(path: str, action: str, *params: Param, part: bool = False) -> Command:
    return _command(path, ("GET", "POST"), Level.ADMIN, action, *params, part=part)


def _control(path: str, action: str, *params: Param, part: bool = False) -> Command:
    return _command(path, ("POST",), Level.CONTROL, action, *params, part=part)


def _settings(path: str) -> tuple[Command, Command]:
    params = (replace(param, required=False) for param in SETTINGS[path])
    return _get(path, "read"), _set(path, "set", *params, REBOOT, part=True)


REBOOT = choice("ConfigReboot", "Yes", "No", required=False)
USER_NAME = string("UserName", 12, shortest=1)
EITHER = ("0", "1")

COMMANDS: tuple[Command, ...] = (
    # 3.1 Device information
    _get("/cgiversion.cgi", "version"),
    _get("/isystem.cgi", "system_information"),
    *_settings("/system.cgi"),
    *_settings("/datetime.cgi"),
    # 3.2 Users
    *_settings("/user.cgi"),
    _get("/userlist.cgi", "users"),
    _set(
        "/userlist.cgi",
        "add_user",
        USER_NAME,
        string("UserPassword", 8),
        choice("UserPrivilege", *EITHER),
        choice("UserAdd", "Yes"),
    ),
    _set("/userlist.cgi", "delete_user", USER_NAME, choice("UserDelete", "Yes")),
    _get("/activeuser.cgi", "active_users"),
    # 3.3 Image. The document prints /image.cgi for the query too, which is the path of the settings.
    _get("/iimage.cgi", "image_information"),
    *_settings("/image.cgi"),
    # 3.4 Network
    _get("/inetwork.cgi", "network_information"),
    *_settings("/network.cgi"),
    _get("/iwireless.cgi", "wireless_information"),
    *_settings("/wireless.cgi"),
    # 3.5 Event handling
    *_settings("/upload.cgi"),
    *_settings("/email.cgi"),
    # 3.6 System tools
    _set("/reset.cgi", "restart", choice("Reset", "Yes")),
    _set("/reset.cgi", "factory_reset", choice("FactoryReset", "Yes")),
    # 4.1 JPEG
    _get("/image.jpg", "still", Level.LIVE),
    _get("/mjpeg.cgi", "stream", Level.LIVE),
    # 5.1 Remote control
    _get("/iocontrol.cgi", "io", Level.LIVE),
    _control(
        "/iocontrol.cgi",
        "set_io",
        choice("Trigger1", *EITHER, required=False),
        choice("Trigger2", *EITHER, required=False),
        part=True,
    ),
    _control("/iocontrol.cgi", "set_io", choice("ImageUpload", *EITHER)),
    _control("/iocontrol.cgi", "set_io", choice("ImageEmail", *EITHER)),
    _control(
        "/pantiltcontrol.cgi",
        "move",
        number("PanSingleMoveDegree", 1, 10),
        number("TiltSingleMoveDegree", 1, 10),
        number("PanTiltSingleMove", 0, 8),
    ),
    _control("/pantiltcontrol.cgi", "go_to_preset", number("PanTiltPresetPositionMove", 0, PRESETS)),
    _control(
        "/pantiltcontrol.cgi",
        "set_preset",
        number("PanTiltHorizontal", 0, PAN),
        number("PanTiltVertical", 0, TILT),
        number("SetPosition", 0, PRESETS),
        string("SetName", 12),
    ),
    _control("/pantiltcontrol.cgi", "clear_preset", number("ClearPosition", 0, PRESETS)),
    _control("/pantiltcontrol.cgi", "swing", number("PanTiltSwingMode", 0, 2)),
    _control(
        "/pantiltcontrol.cgi",
        "go_to",
        number("PanTiltHorizontal", 0, PAN),
        number("PanTiltVertical", 0, TILT),
        choice("PanTiltPositionMove", "true"),
    ),
    _control("/comport.cgi", "com_output", Param("ComOut", bool, "some data"), choice("ComSend", "Yes")),
)

BY_PATH: dict[str, tuple[Command, ...]] = {
    path: tuple(command for command in COMMANDS if command.path == path)
    for path in dict.fromkeys(command.path for command in COMMANDS)
}
