"""IP Camera CGI Interface (IPCamCGI), Ver. 1.2, as data: sections 3 to 5, in the order of the document.

How the document was read, where it leaves something open:

- A setter takes any of its parameters and at least one. ConfigReboot says whether the camera restarts after it; we
  always say which, since the document gives no default.
- Setters are documented for GET and POST. POST is used, with the parameters in its body: so passwords are in no
  address. Section 5 is documented for POST only.
- Everything of section 3 is the administrator's ("Only administrators can access this CGI group"). Section 5 is for
  users of privilege 1 ("view, PanTilt Control and Image Upload/E-mail").
- A camera tells a host that is not set as nothing, which may therefore be set too.
- Values marked "Reserved" or "Can't modify" are not among the choices: they are never sent.
- Real cameras answer section 5 and a restart with nothing at all: that is a yes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from devices.cgi import (
    Access,
    Bytes,
    Choice,
    Command,
    Constraint,
    Field,
    Fixed,
    Groups,
    Host,
    Ipv4,
    Joined,
    Kind,
    MomentField,
    Needs,
    Nothing,
    NumberField,
    OnlyWhen,
    Param,
    Post,
    Rule,
    Text,
    Value,
    Whole,
    any_of,
    flag,
    flag_field,
    numbered,
)
from devices.cgi import Moment as DateOrTime
from devices.families.ipcam.zones import ZONES

# Newer firmware writes dates the American way.
STAMPS = ("%Y-%m-%d %H:%M:%S", "%m-%d-%Y %I:%M:%S %p")
_PORT = Whole(name="", low=1, high=65535)
_RESTART = Choice(
    name="ConfigReboot",
    choices={"No": "Set configuration and no reboot", "Yes": "Set configuration and reboot"},
)


@dataclass(frozen=True, kw_only=True)
class Data(Text):
    """What goes out of the COM port as it is: control characters too, since devices there end lines with them."""

    def write(self, value: Value) -> str:
        text = "" if isinstance(value, bool | list | tuple) else str(value)
        if not self.min_length <= len(text) <= self.max_length:
            raise self.refuse(value)
        return text


def _reading(command_id: str, section: str, title: str, path: str, *reply: Field, note: str = "") -> Command:
    return Command(
        id=command_id,
        section=section,
        title=title,
        path=path,
        methods=("GET",),
        access=Access.ADMIN,
        kind=Kind.READ,
        reply=reply,
        note=note,
    )


def _setting(
    reading: Command,
    command_id: str,
    section: str,
    title: str,
    *params: Param,
    constraints: tuple[Constraint, ...] = (),
    note: str = "",
    danger: str = "",
    danger_for: Mapping[str, tuple[str, ...]] | None = None,
) -> Command:
    """A setter answers with all that its reading command tells."""
    names = [param.name for param in params]
    return Command(
        id=command_id,
        section=section,
        title=title,
        path=reading.path,
        methods=("POST", "GET"),
        access=Access.ADMIN,
        kind=Kind.WRITE,
        params=(*params, _RESTART),
        constraints=(_at_least_one(command_id, names), *constraints),
        reply=reading.reply,
        post=Post.FORM,
        note=note,
        danger=danger,
        danger_for=danger_for or {},
    )


def _at_least_one(command_id: str, names: list[str]) -> Rule:
    sentence = f"{command_id} needs at least one of its settings."
    return Rule("", sentence, lambda given: any(name in given for name in names))


def _control(
    command_id: str,
    section: str,
    title: str,
    path: str,
    *params: Param,
    constraints: tuple[Constraint, ...] = (),
    note: str = "",
) -> Command:
    return Command(
        id=command_id,
        section=section,
        title=title,
        path=path,
        methods=("POST",),
        access=Access.CONTROL,
        kind=Kind.CONTROL,
        params=params,
        constraints=constraints,
        shape=Nothing(),
        post=Post.FORM,
        note=note,
        may_be_silent=True,
    )


def _told(*params: Param) -> tuple[Field, ...]:
    """What a reading command tells of the parameters its setter takes."""
    return tuple(
        NumberField(param.name) if isinstance(param, Whole) else Field(param.name, secret=param.secret)
        for param in params
    )


def _named(param: Param, name: str, note: str = "") -> Param:
    return replace(param, name=name, note=note)


def _secret(name: str, max_length: int, note: str) -> Text:
    return Text(name=name, max_length=max_length, secret=True, note=note)


def _days(name: str) -> Whole:
    return Whole(
        name=name,
        low=0,
        high=127,
        note="Bit0→Sun, Bit1→Mon, Bit2→Tue, Bit3→Wed, Bit4→Thu, Bit5→Fri, Bit6→Sat (0: Disable, 1: Enable)",
    )


def _time(name: str, note: str) -> DateOrTime:
    return DateOrTime(name=name, unit="time", form="%H:%M:%S", written="hh:mm:ss", note=note)


# --- 3.1 Device information -------------------------------------------------------------------------------------------
GET_CGI_VERSION = _reading(
    "get_cgi_version", "3.1.1", "Get CGI interface version", "/cgiversion.cgi", Field("CGIVersion")
)
QUERY_SYSTEM = _reading(
    "query_system",
    "3.1.2",
    "Query system information",
    "/isystem.cgi",
    Field("CameraName"),
    Field("Location"),
    Field("Model"),
    Field("FirmwareVersion"),
    # Shown with blanks between the pairs here (00 FF 5C 8A 13 18), with colons in 1.2.
    Field("MACAddress"),
    Field("IPAddress"),
    Field("EthernetLink"),
    Field("EthernetSpeed"),
    Field("EthernetDuplex"),
)
_SYSTEM = (
    Text(name="CameraName", max_length=32, note="Camera name"),
    Text(name="Location", max_length=64, note="Camera location"),
    Text(name="AdminID", min_length=1, max_length=12, note="Admin username"),
    _secret("AdminPassword", 8, "Admin password"),
    Choice(name="LEDControl", choices={"0": "Normal", "1": "OFF", "2": "Dummy"}, note="LED control"),
)
GET_SYSTEM = _reading("get_system", "3.1.3", "Get system configuration", "/system.cgi", *_told(*_SYSTEM))
SET_SYSTEM = _setting(
    GET_SYSTEM,
    "set_system",
    "3.1.4",
    "Set system configuration",
    *_SYSTEM,
    note="AdminID and AdminPassword are the log-in we use at the camera ourselves; see «Change its password».",
)
_DATETIME = (
    Choice(
        name="DateTimeMode",
        choices={"0": "Synchronized with time server", "1": "Set manually"},
        note="How the clock is set",
    ),
    Host(name="TimeServerIPAddress", max_length=64, blank=True, note="NTP time server host name or IP address"),
    Choice(name="TimeServerProtocol", choices={"0": "NTP", "1": "Time"}, note="Time server protocol"),
    # 0 stands without a sign and the zones east of it with a plus.
    Choice(
        name="TimeZone",
        choices={
            text: f"GMT{text}" if text != "0" else "GMT"
            for text in (f"{hours:+d}" if hours > 0 else str(hours) for hours in range(-12, 14))
        },
        note="Time zone",
    ),
    Choice(name="TimeZoneIndex", choices=ZONES, note="Time zone ID"),
    DateOrTime(name="Date", unit="date", form="%Y-%m-%d", written="yyyy-mm-dd", note="Date"),
    _time("Time", "Time"),
)
GET_DATETIME = _reading(
    "get_datetime",
    "3.1.5",
    "Get system date and time",
    "/datetime.cgi",
    *_told(*_DATETIME[:5]),
    MomentField("Date", forms=("%Y-%m-%d", "%m-%d-%Y")),
    MomentField("Time", forms=("%H:%M:%S", "%I:%M:%S %p")),
)
SET_DATETIME = _setting(
    GET_DATETIME,
    "set_datetime",
    "3.1.6",
    "Set system date and time",
    *_DATETIME,
    constraints=(OnlyWhen("Date", "DateTimeMode", ("1",)), OnlyWhen("Time", "DateTimeMode", ("1",))),
)

# --- 3.2 Users --------------------------------------------------------------------------------------------------------
# 0 is Enable here, against every other switch of the document; shown in words wherever people see it.
_ACCESS = Choice(name="AccessControlEnable", choices={"0": "Enable", "1": "Disable"}, note="User access control")
GET_USER_ACCESS = _reading("get_user_access", "3.2.1", "Get user access control", "/user.cgi", *_told(_ACCESS))
SET_USER_ACCESS = _setting(
    GET_USER_ACCESS,
    "set_user_access",
    "3.2.2",
    "Set user access control",
    _ACCESS,
    danger="With access control disabled, everybody who reaches the camera sees its picture without a password.",
    danger_for={"AccessControlEnable": ("1",)},
)
RIGHTS = {"0": "View only", "1": "View, PanTilt Control and Image Upload/E-mail"}
_USER = (
    Text(name="UserName", required=True, min_length=1, max_length=12, note="User name"),
    replace(_secret("UserPassword", 8, "User password"), required=True),
    Choice(
        name="UserPrivilege",
        required=True,
        choices=RIGHTS,
        note="User privilege",
    ),
)
GET_USER_LIST = replace(
    _reading("get_user_list", "3.2.3", "Get user list", "/userlist.cgi", *_told(*_USER)), shape=Groups()
)
_USER_LIST = replace(GET_USER_LIST, methods=("POST", "GET"), kind=Kind.WRITE, post=Post.FORM)
ADD_USER = replace(
    _USER_LIST,
    id="add_user",
    section="3.2.4",
    title="Add one user",
    params=(*_USER, Fixed(name="UserAdd", value="Yes", note="add one user")),
    note="A user of that name who is there already is changed.",
)
DELETE_USER = replace(
    _USER_LIST,
    id="delete_user",
    section="3.2.5",
    title="Delete one user",
    params=(_USER[0], Fixed(name="UserDelete", value="Yes", note="delete one user")),
)
GET_ACTIVE_USER = replace(
    _reading(
        "get_active_user",
        "3.2.6",
        "Get active user",
        "/activeuser.cgi",
        Field("UserIPAddress"),
        Field("UserName"),
        MomentField("AccessDateTime", forms=STAMPS),
        NumberField("MinisecondPerPacket", ("MillisecondPerPacket",)),
    ),
    shape=Groups(),
)

# --- 3.3 Image --------------------------------------------------------------------------------------------------------
# Printed as GET /image.cgi, which is 3.3.2; the other three queries of the document put an i in front, as cameras do.
QUERY_IMAGE = _reading(
    "query_image",
    "3.3.1",
    "Query image information",
    "/iimage.cgi",
    Field("VideoResolution"),
    Field("CompressionRate"),
    Field("FrameRate"),
    NumberField("FrameSize", unit="Bytes"),
    NumberField("LightFrequency", unit="Hz"),
    note="The document prints this as /image.cgi; that is asked when the camera does not know /iimage.cgi.",
)
_IMAGE = (
    Choice(
        name="VideoResolution",
        choices={"0": "160 x 120", "1": "320 x 240", "2": "640 x 480"},
        note="Video resolution",
    ),
    Choice(
        name="CompressionRate",
        choices={"0": "Very Low", "1": "Low", "2": "Medium", "3": "High", "4": "Very High"},
        note="Compression rate",
    ),
    Choice(
        name="FrameRate",
        choices={"0": "Auto", **{str(rate): f"{rate} fps" for rate in (1, 5, 7, 15, 20)}},
        note="Frame rate",
    ),
    Whole(name="BrightnessControl", low=1, high=128, note="Brightness control"),
    Whole(name="ContrastControl", low=1, high=128, note="Contrast control"),
    Whole(name="SaturationControl", low=1, high=128, note="Saturation control"),
    Choice(name="LightFrequency", choices={"0": "50 Hz", "1": "60 Hz"}, note="Light frequency"),
    # Bit0 is the horizontal mirror, Bit1 the vertical one.
    Choice(
        name="Mirror",
        choices={"0": "Off", "1": "Horizontal", "2": "Vertical", "3": "Horizontal and vertical"},
        note="Mirror",
    ),
    flag("AntiFlickerEnable", "Anti-Flicker Disable", "Anti-Flicker Enable", "Anti-Flicker"),
)
GET_IMAGE = _reading("get_image", "3.3.2", "Get image configuration", "/image.cgi", *_told(*_IMAGE))
SET_IMAGE = _setting(GET_IMAGE, "set_image", "3.3.3", "Set image configuration", *_IMAGE)

# --- 3.4 Network ------------------------------------------------------------------------------------------------------
QUERY_NETWORK = _reading(
    "query_network",
    "3.4.1",
    "Query network information",
    "/inetwork.cgi",
    Field("IPAddress"),
    Field("SubnetMask"),
    Field("DefaultGateway"),
    Field("PrimaryDNSAddress"),
    Field("SecondaryDNSAddress"),
    Field("DynamicDNS"),
    Field("SecondaryHTTPPort"),
    Field("UPnP"),  # printed UpnP
)
# Table 2; which of them a model knows, its web page tells.
PROVIDERS = {
    "www.dlinkddns.com": "members.dyndns.org",
    "WWW.ORAY.NET": "NEWHPH002.ORAY.NET",
    "corede.net": "Corede.net",
    "www.DynDNS.org(Custom)": "members.dyndns.org",
    "www.DynDNS.org(Free)": "members.dyndns.org",
    "DynDNS.org(Custom)": "members.dyndns.org",
    "DynDNS.org(Free)": "members.dyndns.org",
    "DynDNS": "members.dyndns.org",
    "Cn99": "www.3322.org",
    "DyNS": "www.dyns.cx",
    "TZO.com": "cgi.tzo.com",
    "dhs.org": "members.dhs.org",
    "Ivy Network": "dp-21.net",
    "@Net DDNS": "atddns.hs.home.ne.jp",
    "Sharella": "ns.sharella.com",
    "51Wireless": "ns.ca.51wireless.com",
    "PLANEX CyberGate": "ddns.cybergate.planex.co.jp",
    "Address.net": "www.address.net",
}
_NETWORK = (
    Choice(name="IPAddressMode", choices={"1": "Fixed IP", "4": "DHCP", "5": "PPPoE"}, note="IP address mode"),
    Ipv4(name="IPAddress", note="IP address"),
    Ipv4(name="SubnetMask", note="Subnet mask"),
    Ipv4(name="DefaultGateway", note="Default gateway"),
    Text(name="PPPoEUserID", max_length=64, note="PPPoE user name"),
    _secret("PPPoEPASSWORD", 32, "PPPoE password"),
    Ipv4(name="DNSIPAddress1", note="Primary DNS server"),
    Ipv4(name="DNSIPAddress2", note="Secondary DNS server"),
    flag("DDNSEnable", "Disable", "Enable", "Dynamic DNS"),
    Choice(
        name="DDNSProvider",
        choices={name: f"{name} ({uri})" for name, uri in PROVIDERS.items()},
        note="Dynamic DNS provider (different support for each OEM model)",
    ),
    Text(name="DDNSHostName", max_length=64, note="DDNS host name"),
    Text(name="DDNSUserName", max_length=64, note="DDNS user name"),
    _secret("DDNSPassword", 32, "DDNS password"),
    Choice(name="SecondHTTPPortEnable", choices={"0": "Disable", "3": "Enable"}, note="Second HTTP port"),
    _named(_PORT, "SecondHTTPPort", "TCP port number for HTTP"),
    flag("UPnPEnable", "Disable", "Enable", "UPnP"),
)
GET_NETWORK = _reading("get_network", "3.4.2", "Get network configuration", "/network.cgi", *_told(*_NETWORK))
SET_NETWORK = _setting(
    GET_NETWORK,
    "set_network",
    "3.4.3",
    "Set network configuration",
    *_NETWORK,
    danger="The camera may then be reached at another address or port only, or not at all.",
    danger_for={
        **dict.fromkeys(("IPAddressMode", "IPAddress", "SubnetMask", "DefaultGateway"), ()),
        **dict.fromkeys(("PPPoEUserID", "PPPoEPASSWORD", "SecondHTTPPortEnable", "SecondHTTPPort"), ()),
    },
)
QUERY_WIRELESS = _reading(
    "query_wireless",
    "3.4.4",
    "Query wireless information",
    "/iwireless.cgi",
    Field("ConnectionMode"),
    Field("WirelessLink"),
    Field("SSID"),
    NumberField("WirelessChannel"),
    Field("TransmissionRate"),
    Field("WEPEncryption"),
)
_MEGABITS = "1 2 5.5 11 6 9 12 18 24 36 48 54"
_RATES = ("Fully Automatic", *(f"{rate} Mb" for rate in _MEGABITS.split()))
_KEYS = numbered(
    Text(
        name="Key{n}",
        min_length=5,
        max_length=26,
        secret=True,
        pattern=r"[!-~](?:[ -~]*[!-~])?",
        described="5 (64 bits) or 13 (128 bits) ASCII characters, or 10 or 26 hexadecimal digits",
        note="WEP key {n}",
    ),
    1,
    4,
)
_WIRELESS = (
    Choice(name="ConnectionMode", choices={"0": "Infrastructure", "1": "Ad-Hoc"}, note="Connection mode"),
    Text(name="SSID", max_length=32, note="ESSID"),
    Whole(name="WirelessChannel", low=1, high=14, note="Wireless selected channel"),
    Choice(
        name="TransmissionRate", choices={rate: rate for rate in _RATES}, note="Wireless selected transmission rate"
    ),
    Choice(
        name="WEPEncryption",
        choices={"0": "Disable", "2": "64 bits", "3": "128 bits", "4": "WPA-PSK / WPA2-PSK"},
        note="Encryption",
    ),
    Choice(name="WEPKeyFormat", choices={"0": "ASCII", "1": "HEX"}, note="WEP key format"),
    *_KEYS,
    Choice(name="TxKey", choices={f"Key {n}": f"Key {n}" for n in range(1, 5)}, note="Selected using key"),
    Whole(name="BeaconInterval", low=1, high=65535, note="Beacon interval"),
    Choice(name="Preamble", choices={"0": "Long", "1": "Short"}, note="Preamble"),
    Choice(
        name="AuthenticationType",
        choices={"0": "Open System", "1": "Shared Key", "2": "Both"},
        note="Authentication type",
    ),
    Text(
        name="PreSharedKey",
        min_length=8,
        max_length=64,
        secret=True,
        pattern=r"[ -~]{8,63}|[0-9A-Fa-f]{64}",
        described="8 to 63 ASCII characters or 64 hexadecimal digits",
        note="Pre-shared key for WPA-PSK / WPA2-PSK",
    ),
)
_KEY_LENGTHS = {"2": (5,), "3": (13,)}  # ASCII characters; twice as many hexadecimal digits


def _key_fits(name: str) -> Rule:
    """How long a key is depends on encryption and format, which therefore go with it."""

    def fits(given: Mapping[str, str]) -> bool:
        key = given.get(name)
        if key is None:
            return True
        lengths = _KEY_LENGTHS.get(given.get("WEPEncryption", ""), (5, 13))
        if given.get("WEPKeyFormat") == "1":
            return (
                len(key) // 2 in lengths and len(key) % 2 == 0 and all(each in "0123456789abcdefABCDEF" for each in key)
            )
        return len(key) in lengths

    sentence = (
        f"{name} does not fit: with 64 bits use 5 ASCII characters or 10 hexadecimal digits, with 128 bits 13 or 26, "
        "as WEPKeyFormat says."
    )
    return Rule(name, sentence, fits)


GET_WIRELESS = _reading("get_wireless", "3.4.5", "Get wireless configuration", "/wireless.cgi", *_told(*_WIRELESS))
SET_WIRELESS = _setting(
    GET_WIRELESS,
    "set_wireless",
    "3.4.6",
    "Set wireless configuration",
    *_WIRELESS,
    constraints=(
        *(Needs(key.name, other) for key in _KEYS for other in ("WEPEncryption", "WEPKeyFormat")),
        *(_key_fits(key.name) for key in _KEYS),
    ),
    danger="A camera on the wireless network may lose its connection and not come back by itself.",
)

# --- 3.5 Event handling -----------------------------------------------------------------------------------------------
# FTPScheduleFileMode and FTPManualFileMode are printed with a blank in them, which no parameter can have (2.1).
_FILE_MODES = {"0": "Overwrite", "1": "Date/Time", "2": "Sequence Number"}
_UPLOAD = (
    Host(name="FTPHostAddress", max_length=64, blank=True, note="FTP server host name or IP address"),
    _named(_PORT, "FTPPortNumber", "FTP server port number"),
    Text(name="FTPUserName", max_length=32, note="FTP login user name"),
    _secret("FTPPassword", 32, "FTP login password"),
    Text(name="FTPDirectoryPath", max_length=64, note="FTP initial path"),
    flag("FTPPassiveMode", "No", "Yes", "Passive mode"),
    flag("FTPScheduleEnable", "Disable", "Enable", "Scheduled upload"),
    Choice(name="FTPScheduleMode", choices={"0": "Always", "1": "Schedule"}, note="Schedule mode"),
    _days("FTPScheduleDay"),
    _time("FTPScheduleTimeStart", "Schedule start"),
    _time("FTPScheduleTimeStop", "Schedule stop"),
    Choice(
        name="FTPScheduleVideoFrequencyMode",
        choices={"0": "Frames/Second", "1": "Seconds/Frame"},
        note="Video frequency mode",
    ),
    Choice(
        name="FTPScheduleFramePerSecond",
        choices={"1": "1", "2": "2", "3": "3", "Auto": "Auto"},
        note="When FTPScheduleVideoFrequencyMode is Frames/Second",
    ),
    _named(_PORT, "FTPScheduleSecondPerFrame", "When FTPScheduleVideoFrequencyMode is Seconds/Frame"),
    Text(name="FTPScheduleBaseFileName", max_length=32, note="Base file name of scheduled upload"),
    Choice(name="FTPScheduleFileMode", choices=_FILE_MODES, note="File mode of scheduled upload"),
    _named(_PORT, "FTPScheduleMaxFileSequenceNumber", "Max file sequence number of scheduled upload"),
    flag("FTPManualEnable", "Disable", "Enable", "Manual upload"),
    Text(name="FTPManualBaseFileName", max_length=32, note="Base file name of manual upload"),
    Choice(name="FTPManualFileMode", choices=_FILE_MODES, note="File mode of manual upload"),
    _named(_PORT, "FTPManualMaxFileSequenceNumber", "Max file sequence number of manual upload"),
)
GET_UPLOAD = _reading("get_upload", "3.5.1", "Get FTP upload configuration", "/upload.cgi", *_told(*_UPLOAD))
SET_UPLOAD = _setting(GET_UPLOAD, "set_upload", "3.5.2", "Set FTP upload configuration", *_UPLOAD)
_EMAIL = (
    Host(name="EmailSMTPServerAddress", max_length=64, blank=True, note="SMTP server address"),
    # "A host or IP address" for the two below is a slip: they are e-mail addresses.
    Text(name="EmailSenderAddress", max_length=64, note="Sender e-mail address"),
    Text(name="EmailReceiverAddress", max_length=64, note="Receiver e-mail address"),
    Text(name="EmailUserName", max_length=64, note="User name"),
    _secret("EmailPassword", 32, "User password"),
    flag("EmailScheduleEnable", "Disable", "Enable", "Scheduled e-mail"),
    Choice(name="EmailScheduleMode", choices={"0": "Always", "1": "Schedule"}, note="Schedule mode"),
    _days("EmailScheduleDay"),
    _time("EmailScheduleTimeStart", "Schedule start"),
    _time("EmailScheduleTimeStop", "Schedule stop"),
    _named(_PORT, "EmailScheduleInterval", "Seconds between two scheduled e-mails"),
    flag("EmailManualEnable", "Disable", "Enable", "Manual e-mail"),
    _named(_PORT, "EmailManualInterval", "Seconds between two manual e-mails"),
)
GET_EMAIL = _reading("get_email", "3.5.3", "Get e-mail configuration", "/email.cgi", *_told(*_EMAIL))
SET_EMAIL = _setting(GET_EMAIL, "set_email", "3.5.4", "Set e-mail configuration", *_EMAIL)

# --- 3.6 System tools -------------------------------------------------------------------------------------------------
_RESET = Command(
    id="restart",
    section="3.6.1",
    title="Restart the camera",
    path="/reset.cgi",
    methods=("POST", "GET"),
    access=Access.ADMIN,
    kind=Kind.CONTROL,
    params=(Fixed(name="Reset", value="Yes"),),
    shape=Nothing(),
    post=Post.FORM,
    may_be_silent=True,
    danger="The camera restarts: it gives no picture for a minute or two.",
)
RESTART = _RESET
FACTORY_RESET = replace(
    _RESET,
    id="factory_reset",
    section="3.6.2",
    title="Reset all configurations to the factory default",
    params=(Fixed(name="FactoryReset", value="Yes"),),
    danger=(
        "Every setting of the camera is lost, its network address and its users with their passwords too. It may not "
        "be reachable from here afterwards."
    ),
)

# --- 4.1 JPEG image ---------------------------------------------------------------------------------------------------
IMAGE_JPG = Command(
    id="image_jpg",
    section="4.1.1",
    title="Get a JPEG image",
    path="/image.jpg",
    methods=("GET",),
    access=Access.LIVE,
    kind=Kind.PICTURE,
    shape=Bytes(),
    note="Returns a JPEG image with the default resolution and compression as defined in the configuration.",
)
MJPEG = replace(
    IMAGE_JPG,
    id="mjpeg",
    section="4.1.2",
    title="Get motion JPEG image stream",
    path="/mjpeg.cgi",
    note="Returns a multipart image stream with the default resolution and compression, each image with its position.",
)

# --- 5.1 Remote control -----------------------------------------------------------------------------------------------
GET_IO = Command(
    id="get_io",
    section="5.1.1",
    title="Get Trigger/FTP upload/E-mail image status",
    path="/iocontrol.cgi",
    methods=("GET",),
    access=Access.CONTROL,
    kind=Kind.READ,
    reply=(
        flag_field("Trigger1"),
        flag_field("Trigger2"),
        flag_field("ImageUpload"),
        flag_field("ImageEmail"),
        MomentField("CurrentTime", forms=STAMPS),
    ),
    shape=Joined(),
)
SET_TRIGGER = _control(
    "set_trigger",
    "5.1.2",
    "Control I/O trigger",
    "/iocontrol.cgi",
    flag("Trigger1"),
    flag("Trigger2"),
    constraints=(any_of("Trigger1", "Trigger2"),),
)
SET_IMAGE_UPLOAD = _control(
    "set_image_upload", "5.1.3", "Control FTP upload", "/iocontrol.cgi", replace(flag("ImageUpload"), required=True)
)
SET_IMAGE_EMAIL = _control(
    "set_image_email", "5.1.4", "Control e-mail", "/iocontrol.cgi", replace(flag("ImageEmail"), required=True)
)
_PAN_TILT = "/pantiltcontrol.cgi"
PAN_LIMIT, TILT_LIMIT = 340, 135
_HORIZONTAL = Whole(name="PanTiltHorizontal", required=True, low=0, high=PAN_LIMIT, note="Horizontal position")
_VERTICAL = Whole(name="PanTiltVertical", required=True, low=0, high=TILT_LIMIT, note="Vertical position")
SINGLE_MOVE = _control(
    "pantilt_single_move",
    "5.1.5",
    "PanTilt Single Move",
    _PAN_TILT,
    Whole(name="PanSingleMoveDegree", required=True, low=1, high=10, note="Pan movement degree in a step"),
    Whole(name="TiltSingleMoveDegree", required=True, low=1, high=10, note="Tilt movement degree in a step"),
    # 0, 2, 6 and 8 are reserved; sibling models move diagonally at some of them.
    Choice(
        name="PanTiltSingleMove",
        required=True,
        choices={"1": "Up", "3": "Left", "4": "Home", "5": "Right", "7": "Down"},
    ),
)
GOTO_PRESET = _control(
    "pantilt_goto_preset",
    "5.1.6",
    "PanTilt Preset Position Move",
    _PAN_TILT,
    Whole(name="PanTiltPresetPositionMove", required=True, low=0, high=24, note="0→Home Position, n→Preset n Position"),
)
# Position 0 is Home: "Can't modify".
SET_PRESET = _control(
    "pantilt_set_preset",
    "5.1.7",
    "PanTilt Set Preset Position",
    _PAN_TILT,
    _HORIZONTAL,
    _VERTICAL,
    Whole(name="SetPosition", required=True, low=1, high=24, note="Preset position"),
    Text(name="SetName", required=True, max_length=12, note="Name"),
)
CLEAR_PRESET = _control(
    "pantilt_clear_preset",
    "5.1.8",
    "PanTilt Clear Preset Position",
    _PAN_TILT,
    Whole(name="ClearPosition", required=True, low=1, high=24, note="Preset position"),
)
# 1 is reserved.
SWING = _control(
    "pantilt_swing",
    "5.1.9",
    "PanTilt Swing Mode",
    _PAN_TILT,
    Choice(name="PanTiltSwingMode", required=True, choices={"0": "Disable", "2": "Preset Position Swing"}),
)
MOVE_POSITION = _control(
    "pantilt_move_position",
    "5.1.10",
    "PanTilt Move Position",
    _PAN_TILT,
    _HORIZONTAL,
    _VERTICAL,
    Fixed(name="PanTiltPositionMove", value="true", note="Move to position"),
)
COM_PORT = _control(
    "com_port",
    "5.1.11",
    "Output com port",
    "/comport.cgi",
    # The document gives no length; more than a line or two is no command for a device on a serial line.
    Data(name="ComOut", required=True, min_length=1, max_length=256, note="Output data"),
    Fixed(name="ComSend", value="Yes", note="Set com port to send data"),
)

CATALOGUE = (
    GET_CGI_VERSION,
    QUERY_SYSTEM,
    GET_SYSTEM,
    SET_SYSTEM,
    GET_DATETIME,
    SET_DATETIME,
    GET_USER_ACCESS,
    SET_USER_ACCESS,
    GET_USER_LIST,
    ADD_USER,
    DELETE_USER,
    GET_ACTIVE_USER,
    QUERY_IMAGE,
    GET_IMAGE,
    SET_IMAGE,
    QUERY_NETWORK,
    GET_NETWORK,
    SET_NETWORK,
    QUERY_WIRELESS,
    GET_WIRELESS,
    SET_WIRELESS,
    GET_UPLOAD,
    SET_UPLOAD,
    GET_EMAIL,
    SET_EMAIL,
    RESTART,
    FACTORY_RESET,
    IMAGE_JPG,
    MJPEG,
    GET_IO,
    SET_TRIGGER,
    SET_IMAGE_UPLOAD,
    SET_IMAGE_EMAIL,
    SINGLE_MOVE,
    GOTO_PRESET,
    SET_PRESET,
    CLEAR_PRESET,
    SWING,
    MOVE_POSITION,
    COM_PORT,
)
