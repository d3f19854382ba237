"""POVCAM Interface Specifications, Version 1.0, section 4: various settings.

Where the English and the Japanese text differ, or a table is broken by its layout, a comment tells the choice made.
"""

from dataclasses import replace

from devices.cgi import (
    Access,
    Choice,
    Command,
    Hex,
    Host,
    Ipv4,
    Kind,
    Needs,
    OnlyWhen,
    Param,
    Text,
    Whole,
    flag,
    numbered,
    octet,
)
from devices.families.povcam.commands.row import frame_rates, row, setter

_PORT = Whole(name="port", low=1, high=65535)
# The settings themselves say 1024 to 50000; the list of setting values (6.) adds "only even numbers".
_STREAM_PORT = Whole(name="unicast_port", low=1024, high=50000, step=2)

# --- 4.1 Priority mode / basic settings -------------------------------------------------------------------------------
SET_PRIORITY_MODE = setter(
    "set_priority_mode",
    "4.1",
    "Priority mode setting",
    Choice(
        name="mode",
        required=True,
        choices={"ip": "IP", "rec_pb": "REC/PB", "ip_4k": "IP(4K)", "rec_pb_4k": "REC/PB(4K)"},
    ),
    danger=(
        "Running pictures and a running recording may end while the device changes over, and other streams, "
        "resolutions and recording modes are available afterwards."
    ),
)
SET_BASIC = setter(
    "set_basic",
    "4.1",
    "Basic settings",
    Text(name="cam_title", max_length=20, note="Camera title"),
    Choice(
        name="plugin_download",
        choices={"enable": "Allowed", "disable": "Not allowed"},
        note="Auto installation of plug-in software",
    ),
    Choice(
        name="plugin_disp", choices={"0": "Real time consideration (Off)", "1": "Smooth display (On)"}, note="Display"
    ),
)

# --- 4.2 NTP / clock settings -----------------------------------------------------------------------------------------
# ntp_interval and timezone have slipped one column to the left in the English tables.
TIME = setter(
    "time",
    "4.2",
    "NTP settings",
    Choice(name="time_adjust", choices={"0": "Manual", "1": "Synchronized with the NTP server"}),
    Choice(name="ntp_addr_dhcp", choices={"0": "OFF (manual input)", "1": "ON (acquired from DHCP)"}),
    Ipv4(name="ntp_addr", blank=True, note="IP address (IPv4)"),
    replace(_PORT, name="ntp_port"),
    Whole(name="ntp_interval", low=1, high=24, note="Hours"),
)
# Number → the offset from GMT in minutes.
ZONES = {
    number: (-1 if text[0] == "-" else 1) * (int(text[1:3]) * 60 + int(text[4:]))
    for number, text in enumerate(
        [
            "-11:00",
            "-10:00",
            "-09:00",
            "-08:00",
            "-07:00",
            "-06:00",
            "-05:00",
            "-04:30",
            "-04:00",
            "-03:30",
            "-03:00",
            "-02:00",
            "-01:00",
            "+00:00",
            "+01:00",
            "+02:00",
            "+03:00",
            "+03:30",
            "+04:00",
            "+04:30",
            "+05:00",
            "+05:30",
            "+05:45",
            "+06:00",
            "+06:30",
            "+07:00",
            "+08:00",
            "+09:00",
            "+09:30",
            "+10:00",
            "+11:00",
            "+12:00",
            "+12:45",
        ],
        1,
    )
}


def _zone(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"GMT{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}" if minutes else "GMT"


_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_WEEKS = {"1": "First week", "2": "Second week", "3": "Third week", "4": "Fourth week", "5": "Last week"}
_DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]


def _turn(which: str, word: str) -> tuple[Param, ...]:
    """When summer time starts or ends: the week and day of a month, and the hour."""
    return (
        Choice(
            name=f"{which}_month",
            choices={str(number): name for number, name in enumerate(_MONTHS, 1)},
            note=f"Summer time {word}: month",
        ),
        Choice(name=f"{which}_week", choices=_WEEKS, note=f"Summer time {word}: week"),
        Choice(
            name=f"{which}_dotw",
            choices={str(number): name for number, name in enumerate(_DAYS)},
            note=f"Summer time {word}: day of the week",
        ),
        Whole(name=f"{which}_hour", low=0, high=23, note=f"Summer time {word}: hour"),
    )


DATE_TIME = setter(
    "date_time",
    "4.2",
    "Clock settings",
    flag("display", "off", "on", note="Display"),
    Whole(name="date_year", low=2013, high=2035, note="Year"),
    Whole(name="date_month", low=1, high=12, note="Month"),
    Whole(name="date_day", low=1, high=31, note="Day"),
    Whole(name="date_hour", low=0, high=23, note="Hour"),
    Whole(name="date_min", low=0, high=59, note="Minutes"),
    Whole(name="date_sec", low=0, high=59, note="Seconds"),
    # Can be set from 1 to 33; get_date_time (5.4) may tell 1 to 74, of which the document explains no more than these.
    Choice(name="timezone", choices={str(number): _zone(minutes) for number, minutes in ZONES.items()}, note="Zone"),
    Choice(
        name="summer_time",
        choices={
            "0": "Summer time is not set (Out)",
            "1": "Summer time is set (In)",
            "2": "Summer time is auto-adjusted according to Start/End (Auto)",
        },
        note="Summer time",
    ),
    *_turn("start", "starts"),
    *_turn("end", "ends"),
)

# --- 4.3 Video over IP settings ---------------------------------------------------------------------------------------
_QUALITY = Whole(name="jpeg_quality", low=0, high=9, note="0 to 4: High image quality, 5 to 9: Low image quality")
_JPEG_SIZE = Choice(name="resol_stream1", choices={"640": "640x360"}, note="Resolution of JPEG(1)")
SET_JPEG = setter(
    "set_jpeg",
    "4.3",
    "JPEG settings",
    _QUALITY,
    _JPEG_SIZE,
    # Printed as "jpeg_transmit 1": a line break, as the Japanese text shows.
    flag("jpeg_transmit1", "OFF Do not transmit", "ON Transmit", note="JPEG transmission"),
    replace(frame_rates("5", "15(12.5)", "30(25)"), name="jpeg_interval1", note="Frame rate of JPEG(1)"),
)
SETDATA = setter(
    "setdata",
    "4.3",
    "JPEG stream settings",
    replace(_JPEG_SIZE, name="LIVESIZE"),
    replace(_QUALITY, name="LIVEQUAL"),
)
_BIT_RATES = (
    *(1024, 1536, 2048, 3072, 4096, 6144, 8192, 10240, 12288, 14336, 16384, 20480, 24576),
    *(32768, 40960, 51200),
)
_SIZES = {"640": "640x360", "1280": "1280x720", "1920": "1920x1080", "3840": "3840x2160"}


def _h264_stream(command_id: str, number: int, sizes: tuple[str, ...], rates: Choice, highest: int) -> Command:
    return setter(
        command_id,
        "4.3",
        f"H.264({number}) stream settings",
        # Printed as "h264_transmit 1" for stream 1: its first value, as the Japanese text shows.
        flag("h264_transmit", "OFF Do not transmit", "ON Transmit", note="H.264 transmission"),
        flag("h264_rtsp_mode", "OFF", "ON", note="Internet mode settings"),
        Choice(name="h264_resolution", choices={size: _SIZES[size] for size in sizes}, note="Resolution"),
        Choice(
            name="f_priority",
            choices={"0": "Fixed bit rate", "1": "Frame rate priority", "2": "Best effort transmission"},
            note="Transmission priority",
        ),
        rates,
        Choice(
            name="h264_bandwidth",
            choices={str(rate): f"{rate} kbps" for rate in _BIT_RATES if rate <= highest},
            note="Bit rate per client",
        ),
        Whole(name="h264_bandwidth_min", low=1024, high=highest, note="Minimum bit rate per client (kbps)"),
        # "Fine" with a capital in one of the English tables; everywhere else it is written small.
        Choice(
            name="h264_quality",
            choices={"fine": "Image quality priority", "low": "Motion priority"},
            note="Image quality",
        ),
        Choice(
            name="h264_unimulti",
            choices={"uni": "Unicast (auto)", "multi": "Multicast", "uni_manual": "Unicast (manual)"},
            note="Transmission type",
        ),
        replace(_STREAM_PORT, note="Unicast port (image)"),
        replace(_STREAM_PORT, name="unicast_audio_port", note="Unicast port (audio)"),
        # multicast_addr in the Japanese text; the English one has multicast_address_r, its cell broken at "addr/r".
        octet("multicast_addr1", "Multicast address, first octet", 224, 239),
        octet("multicast_addr2", "Multicast address, second octet"),
        octet("multicast_addr3", "Multicast address, third octet"),
        octet("multicast_addr4", "Multicast address, fourth octet"),
        Ipv4(name="multicast_addr", low=224, high=239, note="Multicast address"),
        Whole(name="multicast_port", low=1024, high=50000, note="Multicast port"),
        Whole(name="multicast_ttl", low=1, high=254, note="Multicast TTL"),
        constraints=(OnlyWhen("h264_bandwidth_min", "f_priority", ("2",)),),
    )


SET_H264 = _h264_stream("set_h264", 1, tuple(_SIZES), frame_rates("5", "15(12.5)", "30(25)", "60(50)"), 51200)
SET_H264_2 = _h264_stream("set_h264_2", 2, ("640", "1280"), frame_rates("5", "15(12.5)", "30(25)"), 24576)
# "OFF Do not Transmit" stands beside both internet modes, as if they were the transmission.
SET_RTSP = setter(
    "set_rtsp",
    "4.3",
    "RTSP settings",
    replace(_PORT, name="rtsp_port", note="RTSP port; set to 554 according to factory settings"),
    flag("h264_rtsp_mode", "OFF", "ON", note="Internet mode settings of H264(1)"),
    flag("h264_rtsp_mode2", "OFF", "ON", note="Internet mode settings of H264(2)"),
)
_STREAMS = {"h264": "H264(1)", "h264_2": "H264(2)", "jpeg": "JPEG(1)"}
SET_LIVESTART = setter(
    "set_livestart",
    "4.3",
    "Live screen initial stream selection",
    Choice(name="stream", required=True, choices=_STREAMS, note="Live screen initial stream"),
)

# --- 4.4 Audio settings -----------------------------------------------------------------------------------------------
SET_AUDIO = setter(
    "set_audio",
    "4.4",
    "Audio settings",
    Choice(name="audio", choices={"off": "OFF", "in": "ON", "0": "OFF", "1": "ON"}, note="Audio input"),
    Choice(name="audio_encoder", choices={"aac": "AAC (fixed)"}, note="Encoder settings"),
    # Both tables print "lmiddle" as the value; their own explanation, every example and AUDIOSENS (6.) say middle.
    Choice(
        name="audio_sens",
        choices={"middle": "Microphone", "line_middle": "Line", "sdi": "SDI"},
        note="Sound collection",
    ),
    Choice(name="audio_bitrate", choices={"64": "64 Kbps", "96": "96 Kbps", "128": "128 Kbps"}, note="Audio bit rate"),
    flag("audio_alc", "ALC settings OFF", "ALC settings ON", note="ALC"),
    flag("plugin_power", note="Plug-in power"),
    flag("audio_transmit", note="Audio transmission"),
    Choice(name="equalizer", choices={"off": "Off", "low_cut": "Low cut"}, note="Equalizer"),
    flag("audio_lv_auto", "Off (manual setting)", "On (auto setting)", note="Audio level"),
    Choice(
        name="mic_select",
        choices={"external": "External microphone", "internal": "Internal microphone"},
        note="Microphone",
    ),
    methods=("POST", "GET"),
    constraints=(
        Needs("audio", "audio_sens", ("in", "1")),
        OnlyWhen("audio_sens", "audio", ("in", "1")),
    ),
    note="When enabling audio input, audio and audio_sens go together; otherwise the device answers with an error.",
)
SET_VOLUME_LV = setter(
    "set_volume_lv",
    "4.4",
    "Volume level setting",
    Whole(name="volume_lv", low=0, high=23, required=True, note="Volume level"),
)

# --- 4.5 Multi-screen settings ----------------------------------------------------------------------------------------
# The quotation marks of the document's value column are not sent, as its example shows.
MULTI_SCREEN = setter(
    "multi_screen",
    "4.5",
    "Multi-screen settings",
    *numbered(Host(name="multi_addr{n}", port=True, blank=True, note="Address of camera {n}"), 1, 16),
    *numbered(Text(name="multi_name{n}", max_length=20, note="Name of camera {n}"), 1, 16),
)

# --- 4.6 Network settings ---------------------------------------------------------------------------------------------
_PLACES = ("First", "Second", "Third", "Fourth")


def _address(name: str, note: str) -> tuple[Whole, ...]:
    return tuple(octet(f"{name}{at}", f"{note} {place} octet") for at, place in enumerate(_PLACES, 1))


_EASY_IP = Choice(
    name="time",
    choices={"20": "20 minutes", "unlimited": "Unlimited"},
    note="Effective limit of Easy IP Setup",
)
_BANDWIDTH = Choice(
    name="bandwidth",
    choices={
        "0": "Unlimited",
        **{str(rate): f"{rate} kbps" for rate in (1024, 2048, 4096, 8192, 16384, 32768)},
        "10000": "Unlimited",
    },
    note="Transmission volume of entire network",
)
_MOVED = (
    "The device may be reached at another address or port afterwards, and running pictures end. A wrong address makes "
    "it unreachable over the network."
)
NETWORK = setter(
    "network",
    "4.6",
    "Network settings",
    Choice(name="dhcp", choices={"0": "DHCP OFF (Static settings)", "1": "DHCP ON"}, note="DHCP"),
    *_address("IP_addr", "IP address"),
    *_address("netmask", "Subnet mask"),
    *_address("gateway", "Default gateway"),
    replace(_PORT, note="HTTP port"),
    Choice(name="dns", choices={"manual": "Manual setting", "auto": "Auto setting"}, note="DNS"),
    *_address("pri_server", "Primary server address (DNS)"),
    *_address("sec_server", "Secondary server address (DNS)"),
    Choice(
        name="rtp_packet_max",
        choices={"1500": "Unlimited (1500 byte)", "1280": "Limited (1280 byte)"},
        note="RTP packet max. transmission size",
    ),
    Choice(
        name="mss",
        choices={"1460": "Unlimited (1460 byte)", "1280": "Limited (1280 byte)", "1024": "Limited (1024 byte)"},
        note="Max. segment size of TCP (MSS)",
    ),
    _EASY_IP,
    _BANDWIDTH,
    replace(_PORT, name="rtsp_port", note="The RTSP waiting port"),
    danger=_MOVED,
    danger_for=dict.fromkeys(
        ("dhcp", "port", *(f"{name}{at}" for name in ("IP_addr", "netmask", "gateway") for at in range(1, 5))), ()
    ),
)
EASYIPSET = setter("easyipset", "4.6", "Easy IP Setup protocol settings", replace(_EASY_IP, required=True))
SET_BANDWIDTH = setter(
    "set_bandwidth", "4.6", "Transmission volume of entire network", replace(_BANDWIDTH, required=True)
)
SET_RTP = setter(
    "set_rtp",
    "4.6",
    "Max. packet length settings",
    Choice(
        name="rtp_size",
        required=True,
        choices={"1280": "Max. packet length limit", "1500": "Normal packet length"},
        note="RTP packet length",
    ),
)

# --- 4.7 UPnP settings ------------------------------------------------------------------------------------------------
UPNP = setter(
    "upnp",
    "4.7",
    "UPnP settings",
    Choice(name="upnp_portmap", required=True, choices={"0": "Disabled", "1": "Enabled"}, note="Auto port-forwarding"),
)

# --- 4.8 Restarting ---------------------------------------------------------------------------------------------------
# A device that restarts may not come to answer.
INITIAL = row(
    "initial",
    "4.8",
    "Initialization",
    kind=Kind.CONTROL,
    methods=("POST",),
    access=Access.ADMIN,
    params=(
        Choice(name="cmd", required=True, choices={"reset": "Camera restart"}),
        # 16 characters in the table, 5 in its example; the table is followed.
        Hex(name="Randomnum", length=16, required=True, note="Hexadecimal string of 16 single-byte characters"),
    ),
    danger="The device restarts: pictures and a running recording end, and it is away for about a minute.",
    may_be_silent=True,
)

COMMANDS = (
    SET_PRIORITY_MODE,
    SET_BASIC,
    TIME,
    DATE_TIME,
    SET_JPEG,
    SETDATA,
    SET_H264,
    SET_H264_2,
    SET_RTSP,
    SET_LIVESTART,
    SET_AUDIO,
    SET_VOLUME_LV,
    MULTI_SCREEN,
    NETWORK,
    EASYIPSET,
    SET_BANDWIDTH,
    SET_RTP,
    UPNP,
    INITIAL,
)
