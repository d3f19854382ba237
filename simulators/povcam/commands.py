"""The commands of the document that this simulator carries out, in the document's order and with its sections.

Parameters stand in the order of the document's tables, which is the order of its examples; the simulator wants them so.
"""

from __future__ import annotations

from simulators.auth import Level
from simulators.checking import Command, Pace, Param, choice, number, pattern, text

JPEG_RATES = {"59.94": ("1", "5", "15", "30"), "50": ("1", "5", "12.5", "25")}


def _uid() -> Param:
    return number("UID", 1, 2**31 - 1)


def commands(system_frequency: str) -> dict[str, Command]:
    rates = JPEG_RATES[system_frequency]
    table = (
        # 2.1 Transmission user management
        Command(
            "/cgi-bin/getuid",
            ("GET",),
            Level.LIVE,
            (
                choice("FILE", "2"),
                choice("vcodec", "jpeg", "h264", "h264_2"),
                choice("reply", "browser", "info", required=False),
            ),
        ),
        # 2.2 Device information
        Command("/cgi-bin/getinfo", ("GET",), Level.LIVE, (choice("FILE", "1"),)),
        # 2.3 Capability
        Command("/cgi-bin/get_capability", ("POST", "GET"), Level.LIVE),
        # 2.4 JPEG
        Command(
            "/cgi-bin/jpeg",
            ("GET",),
            Level.LIVE,
            (
                choice("connect", "start", "stop"),
                choice("framerate", *rates, required=False),  # needed to start: checked there
                choice("resolution", "640", required=False),
                _uid(),
            ),
        ),
        Command(
            "/cgi-bin/mjpeg",
            ("GET",),
            Level.LIVE,
            (choice("resolution", "640", required=False), choice("framerate", *rates, required=False)),
            pace=Pace.PICTURE,
        ),
        Command(
            "/cgi-bin/view.cgi",
            ("GET",),
            Level.LIVE,
            (choice("action", "snapshot", "start", "stop"), number("n", 0, 9_999_999_999, required=False)),
            pace=Pace.PICTURE,
        ),
        Command(
            "/cgi-bin/camera",
            ("GET",),
            Level.LIVE,
            (choice("resolution", "640", required=False), number("page", 0, 9_999_999_999, required=False)),
            pace=Pace.PICTURE,
        ),
        # 2.7 H.264
        Command(
            "/cgi-bin/h264",
            ("GET",),
            Level.LIVE,
            (
                number("my_port", 1024, 65535),
                choice("connect", "start", "stop"),
                choice("protocol", "rtp", required=False),
                _uid(),
                choice("stream", "1", "2"),
            ),
        ),
        Command(
            "/cgi-bin/keep_alive",
            ("GET",),
            Level.LIVE,
            (
                choice("mode", "h.264", "h.264_2", "jpeg", "audio"),
                choice("protocol", "rtp", "http"),
                _uid(),
                choice("stream", "1", "2", required=False),  # the example for JPEG has none; needed for H.264
            ),
        ),
        # 4.1 Priority mode, basic settings
        Command(
            "/cgi-bin/set_priority_mode",
            ("POST",),
            Level.ADMIN,
            (choice("mode", "ip", "rec_pb", "ip_4k", "rec_pb_4k"),),
        ),
        Command(
            "/cgi-bin/set_basic",
            ("POST",),
            Level.ADMIN,
            (
                text("cam_title", 20, required=False),
                choice("plugin_download", "enable", "disable", required=False),
                choice("plugin_disp", "0", "1", required=False),
            ),
            at_least_one=True,
        ),
        # 4.8 Restarting: the table wants 16 hexadecimal digits, its example has five
        Command(
            "/cgi-bin/initial",
            ("POST",),
            Level.ADMIN,
            (choice("cmd", "reset"), pattern("Randomnum", r"[0-9A-Fa-f]{1,16}", "up to 16 hexadecimal digits")),
        ),
        # 5.1, 5.2 Reading them
        Command("/cgi-bin/get_priority_mode", ("GET",), Level.LIVE),
        Command("/cgi-bin/get_basic", ("GET",), Level.LIVE),
        # 9.1 SD card state
        Command("/cgi-bin/get_state", ("GET",), Level.LIVE, pace=Pace.STATE),
    )
    return {command.path: command for command in table}


# Commands the document has and this simulator does not carry out: answered 404 and noted, never counted as a mistake.
NOT_SIMULATED = frozenset(
    f"/cgi-bin/{name}"
    for name in (
        "audio",
        "camctrl",
        "directctrl",
        "aw_ptz",
        "aw_cam",
        "time",
        "date_time",
        "set_jpeg",
        "setdata",
        "set_h264",
        "set_h264_2",
        "set_rtsp",
        "set_livestart",
        "set_audio",
        "set_volume_lv",
        "multi_screen",
        "network",
        "easyipset",
        "set_bandwidth",
        "set_rtp",
        "upnp",
        "get_time",
        "get_date_time",
        "get_video_over_ip",
        "get_audio",
        "get_multi_screen",
        "get_network",
        "get_upnp",
        "get_status",
        "get_systemlog",
        "getdata",
        "https_self_signed",
        "https_signed",
        "https_crt_key",
        "set_https",
        "https_creat_self_signed",
        "https_creat_signed",
        "https_download_csr",
        "https_install_signed",
        "https_change_crt_key",
        "renewal",
        "get_https",
        "get_crt_key",
        "set_sdrec_mode",
        "get_sdrec_mode",
        "set_sdrec_target",
        "get_sdrec_target",
        "set_recorder_num",
        "contentnum_reset",
        "get_recorder_num",
        "sdctrl",
        "sdcard",
        "get_progress",
        "get_clip_list",
        "del_clip_file",
        "get_clip_file",
        "set_ftp",
        "get_ftp",
        "send_ftpserver",
        "cancel_send_ftpserver",
    )
)
