"""Section 5, reading settings and the log, and section 6, the list of setting values."""

from __future__ import annotations

from simulators.auth import Level
from simulators.checking import Command, Param, choice, number
from simulators.povcam.catalogue.words import cgi

# 5.12: the name to ask for, and the name section 6 answers with. Four of the names are not in section 6. Spelled as
# in the Japanese document where the two differ.
ITEMS = {
    "img_mode": "IMAGESELECT",
    "imgratio": "IMAGERATIO",
    "img_fps": "IMAGEFPS",
    "livestream": "LIVESTREAM",
    "liveint": "LIVEINT",
    "livequalbase": "LIVEQUALBASE",
    "livesize": "LIVESIZE",
    "livequal": "LIVEQUAL",
    "h264": "H264",
    "h264rtspmode": "H264RTSPMODE",
    "h264bwc": "H264BWC",
    "nrh264bwc": "NRH264BWC",
    "h264bwcmin": "H264BWCMIN",
    "h264rtspmode_2": "H264RTSPMODE_2",
    "rtspport": "RTSPPORT",
    "h264size": "H264SIZE",
    "h264qual": "H264QUAL",
    "h264rint": "H264RINT",
    "h264mtd": "H264MTD",
    "h264mladd1": "H264MLADD1",
    "h264mladd2": "H264MLADD2",
    "h264mladd3": "H264MLADD3",
    "h264mladd4": "H264MLADD4",
    "h264mlport": "H264MLPORT",
    "h264mlttl": "H264MLTTL",
    "h264uniport": "H264UNIPORT",
    "h264uniport2": "H264UNIPORT2",
    "h264profile": "H264PROFILE",
    "h264codind": "H264CODIND",
    "h264_2": "H264_2",
    "h264bwc_2": "H264BWC_2",
    "h264size_2": "H264SIZE_2",
    "h264qual_2": "H264QUAL_2",
    "h264rint_2": "H264RINT_2",
    "h264mtd_2": "H264MTD_2",
    "h264mladd1_2": "H264MLADD1_2",
    "h264mladd2_2": "H264MLADD2_2",
    "h264mladd3_2": "H264MLADD3_2",
    "h264mladd4_2": "H264MLADD4_2",
    "h264mlport_2": "H264MLPORT_2",
    "h264mlttl_2": "H264MLTTL_2",
    "h.264uniport_2": "H264UNIPORT_2",  # so printed in both documents, the only name with a dot
    "h264uniport_2": "H264UNIPORT_2",
    "h264uniport2_2": "H264UNIPORT2_2",
    "h264profile_2": "H264PROFILE_2",
    "h264codind_2": "H264CODIND_2",
    "h264mlauto": "H264MLAUTO",
    "h264mlauto_2": "H264MLAUTO_2",
    "audio_level": "AUDIO_LEVEL",
    "audio_sens": "AUDIOSENS",
    "nrlivequal": "NRLIVEQUAL",
    "nrh264size": "NRH264SIZE",
    "nrh264qual": "NRH264QUAL",
    "nrh264bwc_2": "NRH264BWC_2",
    "nrh264size_2": "NRH264SIZE_2",
    "nrh264qual_2": "NRH264QUAL_2",
    "h264fpriority": "H264FPRIORITY",
    "h264nrframerate": "H264NRFRAMERATE",
    "h264fpriority_2": "H264FPRIORITY_2",
    "h264nrframerate_2": "H264NRFRAMERATE_2",
    "h264bwcmin_2": "H264BWCMIN_2",
    "liveframerate": "LIVEFRAMERATE",
    "plugin_halftone_jpeg": "PLUGIN_HALFTONE_JPEG",
    "plugin_halftone_h264": "PLUGIN_HALFTONE_H264",
}


def information() -> tuple[Command, ...]:
    def live(name: str) -> Command:
        return cgi(name, "GET", Level.LIVE)

    def admin(name: str, *params: Param) -> Command:
        return cgi(name, "GET", Level.ADMIN, *params)

    return (
        live("get_priority_mode"),  # 5.1
        live("get_basic"),  # 5.2
        admin("get_time"),  # 5.3
        live("get_date_time"),  # 5.4
        live("get_video_over_ip"),  # 5.5
        live("get_audio"),  # 5.6
        live("get_multi_screen"),  # 5.7
        admin("get_network"),  # 5.8
        admin("get_upnp"),  # 5.9
        admin("get_status"),  # 5.10
        admin(  # 5.11
            "get_systemlog",
            choice("type", "eventlog"),
            number("num", 1, 300, required=False),
            number("index", 1, 300, required=False),
        ),
        admin("getdata", choice("req", *ITEMS, required=False)),  # 5.12
        live("setdata"),  # 6
    )
