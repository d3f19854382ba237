"""POVCAM Interface Specifications, Version 1.0, sections 5 and 6: acquisition of information and setting values."""

from devices.cgi import Access, Choice, Command, Field, Fixed, Kind, MomentField, NumberField, Records, Whole
from devices.families.povcam.commands.row import numbers, row, texts


def _get(
    command_id: str,
    section: str,
    title: str,
    *reply: Field,
    access: Access = Access.LIVE,
    note: str = "",
) -> Command:
    return row(
        command_id,
        section,
        title,
        kind=Kind.READ,
        access=access,
        reply=reply,
        note=note,
    )


# --- 5.1 - 5.4 --------------------------------------------------------------------------------------------------------
GET_PRIORITY_MODE = _get("get_priority_mode", "5.1", "Priority mode acquisition", Field("priority_mode"))
GET_BASIC = _get(
    "get_basic",
    "5.2",
    "Basic settings information acquisition",
    *texts("cam_title", "plugin_download", "plugin_disp"),
)
GET_TIME = _get(
    "get_time",
    "5.3",
    "NTP settings information acquisition",
    *texts("time_adjust", "ntp_addr_dhcp", "ntp_addr"),
    *numbers("ntp_port", "ntp_interval"),
    access=Access.ADMIN,
)
GET_DATE_TIME = _get(
    "get_date_time",
    "5.4",
    "Clock settings information acquisition",
    Field("display"),
    *numbers("date_year", "date_month", "date_day", "date_hour", "date_min", "date_sec", "timezone"),
    *texts("summer_time", "start_month", "start_week", "start_dotw"),
    NumberField("start_hour"),
    *texts("end_month", "end_week", "end_dotw"),
    NumberField("end_hour"),
    Field("is_summer_time"),
    note="timezone may be 1 to 74; the document explains 1 to 33 (see date_time).",
)

# --- 5.5 VideoOverIP screen information acquisition -------------------------------------------------------------------
# Channel 2 is missing or invalid when it cannot be transmitted. Quality is printed "fine/low1/5": "fine/low" with the
# 1/5 of jpeg_quality fallen onto it.
GET_VIDEO_OVER_IP = _get(
    "get_video_over_ip",
    "5.5",
    "VideoOverIP screen information acquisition",
    Field("livestart_stream"),
    NumberField("jpeg_quality"),
    *texts("resol_stream1", "jpeg_transmit1", "jpeg_interval1"),
    *(
        Field(f"h264_{name}_ch{channel}")
        for name in (
            *("transmit", "rtsp_mode", "resolution", "f_priority", "framerate", "bandwidth", "bandwidth_min"),
            *("quality", "unimulti", "unicast_port", "unicast_audio_port"),
            *("multicast_addr", "multicast_port", "multicast_ttl"),
        )
        for channel in (1, 2)
    ),
    note="In a random order. What cannot be transmitted is missing or invalid.",
)

# --- 5.6 Audio settings information acquisition -----------------------------------------------------------------------
# The answer is "see set_audio".
GET_AUDIO = _get(
    "get_audio",
    "5.6",
    "Audio settings information acquisition",
    *texts("audio", "audio_encoder", "audio_sens", "audio_bitrate", "audio_alc", "plugin_power", "audio_transmit"),
    *texts("equalizer", "audio_lv_auto", "mic_select"),
    note="For the response data, see set_audio.",
)

# --- 5.7 - 5.10 -------------------------------------------------------------------------------------------------------
GET_MULTI_SCREEN = _get(
    "get_multi_screen",
    "5.7",
    "Multi-screen settings information acquisition",
    *(Field(f"multi_{word}{number}") for number in range(1, 17) for word in ("addr", "name")),
)
GET_NETWORK = _get(
    "get_network",
    "5.8",
    "Network settings information acquisition",
    *texts("ip4_dhcp", "ip4_addr", "ip4_netmask", "ip4_gateway", "ip4_pri_server", "ip4_sec_server"),
    NumberField("port"),
    *texts("dns", "rtp_packet_max", "mss", "bandwidth", "time"),
    NumberField("rtsp_port", note="0 (Fixed); setdata_list tells the port"),
    access=Access.ADMIN,
)
GET_UPNP = _get("get_upnp", "5.9", "UPnP settings information acquisition", Field("upnp_portmap"), access=Access.ADMIN)
GET_STATUS = _get(
    "get_status",
    "5.10",
    "UPnP execution result",
    NumberField("http_port"),
    Field("http_status"),
    NumberField("https_port"),
    *texts("https_status", "addr"),
    access=Access.ADMIN,
)

# --- 5.11 System log information acquisition --------------------------------------------------------------------------
# The separator is a yen sign: the byte 5C in Japanese character sets, A5 in Latin 1 (U+FF65 to whoever takes that for
# Japanese), U+00A5 or its wide form in UTF-8. Records end with "$"; there are no line feeds.
GET_SYSTEMLOG = row(
    "get_systemlog",
    "5.11",
    "System log",
    kind=Kind.READ,
    access=Access.ADMIN,
    params=(
        Fixed(name="type", value="eventlog"),
        Whole(name="num", low=1, high=300, note="Acquisition number"),
        Whole(name="index", low=1, high=300, note="Acquisition start position"),
    ),
    shape=Records(
        columns=(
            NumberField("no"),
            MomentField("time", forms=("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S")),
            Field("code"),
            Field("description"),
        ),
        end=r"\$",
        between=r"[\\\u00a5\uffe5\uff65]",
    ),
)

# --- 5.12 Other setting values acquisition ----------------------------------------------------------------------------
_STREAM_ITEMS = {
    "": "transmission ON/OFF",
    "rtspmode": "Internet mode ON/OFF",
    "bwc": "bit rate per client",
    "bwcmin": "bit rate per client (minimum)",
    "size": "resolution",
    "qual": "image quality",
    "rint": "refresh cycle",
    "mtd": "transmission method",
    **{f"mladd{at}": f"multicast address, octet {at}" for at in (1, 2, 3, 4)},
    "mlport": "multicast port number",
    "mlttl": "multicast TTL",
    "uniport": "unicast (video) port number",
    "uniport2": "unicast (audio) port number",
    "profile": "profile",
    "codind": "encoding system",
    "mlauto": "multicast auto start",
    "fpriority": "transmission mode",
    "nrframerate": "frame rate",
}
_UNSTOPPED = {"bwc": "bit rate per client", "size": "resolution", "qual": "image quality"}
# The English table has h264bwcmmin_2 and plugin_half_tone_*; the Japanese one, taken here, h264bwcmin_2 and
# plugin_halftone_*. Both print h.264uniport_2 where every other item has no dot: it is allowed either way.
_ITEMS = {
    "img_mode": "Imaging mode",
    "imgratio": "Image ratio",
    "img_fps": "Frame rate",
    "livestream": "Live screen initial stream selection",
    "liveint": "JPEG(1) refresh interval",
    "livequalbase": "JPEG(1) default image quality",
    "livesize": "JPEG(1) image resolution",
    "livequal": "JPEG(1) image quality",
    "liveframerate": "Live screen initial frame rate (JPEG)",
    "rtspport": "RTSP server port number",
    **{f"h264{item}": f"H.264(1) {text}" for item, text in _STREAM_ITEMS.items()},
    **{f"h264{item}_2": f"H.264(2) {text}" for item, text in _STREAM_ITEMS.items()},
    "h.264uniport_2": "H.264(2) unicast (video) port number",
    "nrlivequal": "JPEG image quality at which transmission does not stop",
    **{f"nrh264{item}": f"H.264(1) {text} at which transmission does not stop" for item, text in _UNSTOPPED.items()},
    **{f"nrh264{item}_2": f"H.264(2) {text} at which transmission does not stop" for item, text in _UNSTOPPED.items()},
    "audio_level": "Audio authorization and authentication level setting",
    "audio_sens": "Sound collection sensitivity",
    "plugin_halftone_jpeg": "Half-tone function for JPEG images in Active X",
    "plugin_halftone_h264": "Half-tone function for H.264 movies in Active X",
}

# --- 6. Acquiring the list of setting values --------------------------------------------------------------------------
_BOTH = (
    *("H264", "H264RTSPMODE", "H264BWC", "H264BWCMIN", "NRH264BWC", "H264SIZE", "NRH264SIZE", "H264FPRIORITY"),
    *("H264NRFRAMERATE", "H264QUAL", "NRH264QUAL", "H264RINT", "H264MTD"),
    *("H264MLADD1", "H264MLADD2", "H264MLADD3", "H264MLADD4", "H264MLADD", "H264MLPORT", "H264MLTTL"),
    *("H264UNIPORT", "H264UNIPORT2", "H264PROFILE", "H264MLAUTO"),
)
SETTING_VALUES = (
    *texts("CAMTITLE", "IMAGESELECT", "IMAGERATIO", "IMAGEFPS", "LIVESTREAM", "LIVEINT", "LIVEQUALBASE", "LIVESIZE"),
    *texts("LIVEQUAL", "STREAMMODE"),
    *(Field(f"{name}{ending}") for name in _BOTH for ending in ("", "_2")),
    NumberField("RTSPPORT"),
    *texts("AUDIO", "AUDIOSENS", "PLUGIN_POWER", "AUDIOMIC", "AUDIOBITRATE", "AUDIOENC"),
    *texts("PLUGIN_HALFTONE_JPEG", "PLUGIN_HALFTONE_H264"),
)
GETDATA = row(
    "getdata",
    "5.12",
    "Other setting values acquisition",
    kind=Kind.READ,
    access=Access.ADMIN,
    params=(Choice(name="req", choices=_ITEMS, note="The item; without it, all setting values"),),
    # An item is answered under the name it has in the list of section 6.
    reply=SETTING_VALUES,
)
# `setdata` is two things in the document: with parameters it sets (4.3, POST), without any it lists (6., GET).
SETDATA_LIST = row(
    "setdata_list",
    "6",
    "Acquisition of list of setting values",
    kind=Kind.READ,
    path="/cgi-bin/setdata",
    reply=SETTING_VALUES,
)

COMMANDS = (
    GET_PRIORITY_MODE,
    GET_BASIC,
    GET_TIME,
    GET_DATE_TIME,
    GET_VIDEO_OVER_IP,
    GET_AUDIO,
    GET_MULTI_SCREEN,
    GET_NETWORK,
    GET_UPNP,
    GET_STATUS,
    GET_SYSTEMLOG,
    GETDATA,
    SETDATA_LIST,
)
