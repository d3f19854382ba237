"""Section 4, the settings: all by POST and for administrators, except that audio may also be set by GET."""

from __future__ import annotations

from simulators.auth import Level
from simulators.checking import Command, Param, choice, number, pattern, text
from simulators.povcam.catalogue.words import cgi, even, multicast, octets, screen_address, setter

JPEG_INTERVALS = {"59.94": ("5", "15", "30"), "50": ("5", "12.5", "25")}
H264_RATES = {"59.94": ("5", "15", "30", "60"), "50": ("5", "12.5", "25", "50")}
# kbit/s, as the table lists them: 1024 to 51200; H.264(2) ends at 24576
BANDWIDTHS = tuple(str(512 * step) for step in (2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 80, 100))
NETWORK_BANDWIDTHS = ("0", "1024", "2048", "4096", "8192", "16384", "32768", "10000")
SCREENS = 16


def settings(system_frequency: str) -> tuple[Command, ...]:
    return (
        *_basic(),
        *_clock(),
        *_video_over_ip(system_frequency),
        *_audio(),
        *_network(),
    )


def _basic() -> tuple[Command, ...]:
    return (
        # 4.1 Priority mode, basic settings
        cgi("set_priority_mode", "POST", Level.ADMIN, choice("mode", "ip", "rec_pb", "ip_4k", "rec_pb_4k")),
        setter(
            "set_basic",
            text("cam_title", 20),
            choice("plugin_download", "enable", "disable"),
            choice("plugin_disp", "0", "1"),
        ),
        # 4.8 Restarting: the table wants 16 hexadecimal digits, its example has five
        cgi(
            "initial",
            "POST",
            Level.ADMIN,
            choice("cmd", "reset"),
            pattern("Randomnum", r"[0-9A-Fa-f]{1,16}", "16 hexadecimal digits"),
        ),
    )


def _clock() -> tuple[Command, ...]:
    # 4.2 NTP and clock
    def season(prefix: str) -> tuple[Param, ...]:
        return (
            number(f"{prefix}_month", 1, 12),
            number(f"{prefix}_week", 1, 5),
            number(f"{prefix}_dotw", 0, 6),
            number(f"{prefix}_hour", 0, 23),
        )

    return (
        setter(
            "time",
            choice("time_adjust", "0", "1"),
            choice("ntp_addr_dhcp", "0", "1"),
            pattern("ntp_addr", r"[A-Za-z0-9.\-_]{0,255}", "an address or a host name"),
            number("ntp_port", 1, 65535),
            number("ntp_interval", 1, 24),
        ),
        setter(
            "date_time",
            choice("display", "0", "1"),
            number("date_year", 2013, 2035),
            number("date_month", 1, 12),
            number("date_day", 1, 31),
            number("date_hour", 0, 23),
            number("date_min", 0, 59),
            number("date_sec", 0, 59),
            number("timezone", 1, 33),
            choice("summer_time", "0", "1", "2"),
            *season("start"),
            *season("end"),
        ),
    )


def _video_over_ip(system_frequency: str) -> tuple[Command, ...]:
    # 4.3 Video over IP
    first = (
        choice("h264_transmit", "0", "1"),
        choice("h264_rtsp_mode", "0", "1"),
        choice("h264_resolution", "640", "1280", "1920", "3840"),
        choice("f_priority", "0", "1", "2"),
        choice("framerate", *H264_RATES[system_frequency]),
        choice("h264_bandwidth", *BANDWIDTHS),
        number("h264_bandwidth_min", 1024, 51200),
        choice("h264_quality", "fine", "low"),
        choice("h264_unimulti", "uni", "multi", "uni_manual"),
        even("unicast_port", 1024, 50000),
        even("unicast_audio_port", 1024, 50000),
        *octets("multicast_addr", 224, 239),
        multicast("multicast_addr"),
        number("multicast_port", 1024, 50000),
        number("multicast_ttl", 1, 254),
    )
    smaller = {
        "h264_resolution": choice("h264_resolution", "640", "1280"),
        "framerate": choice("framerate", *H264_RATES[system_frequency][:3]),
        "h264_bandwidth": choice("h264_bandwidth", *BANDWIDTHS[: BANDWIDTHS.index("24576") + 1]),
        "h264_bandwidth_min": number("h264_bandwidth_min", 1024, 24576),
    }
    return (
        setter(
            "set_jpeg",
            number("jpeg_quality", 0, 9),
            choice("resol_stream1", "640"),
            choice("jpeg_transmit1", "0", "1"),
            choice("jpeg_interval1", *JPEG_INTERVALS[system_frequency]),
        ),
        setter("setdata", choice("LIVESIZE", "640"), number("LIVEQUAL", 0, 9)),
        setter("set_h264", *first),
        setter("set_h264_2", *(smaller.get(param.name, param) for param in first)),
        setter(
            "set_rtsp",
            number("rtsp_port", 1, 65535),
            choice("h264_rtsp_mode", "0", "1"),
            choice("h264_rtsp_mode2", "0", "1"),
        ),
        setter("set_livestart", choice("stream", "h264", "h264_2", "jpeg")),
    )


def _audio() -> tuple[Command, ...]:
    # 4.4 Audio, 4.5 Multi-screen
    frames = range(1, SCREENS + 1)
    return (
        setter(
            "set_audio",
            choice("audio", "off", "in", "0", "1"),
            choice("audio_encoder", "aac"),
            choice("audio_sens", "middle", "line_middle", "sdi"),
            choice("audio_bitrate", "64", "96", "128"),
            choice("audio_alc", "0", "1"),
            choice("plugin_power", "0", "1"),
            choice("audio_transmit", "0", "1"),
            choice("equalizer", "off", "low_cut"),
            choice("audio_lv_auto", "0", "1"),
            choice("mic_select", "external", "internal"),
            methods="POST/GET",
        ),
        setter("set_volume_lv", number("volume_lv", 0, 23)),
        setter(
            "multi_screen",
            *(screen_address(f"multi_addr{frame}") for frame in frames),
            *(text(f"multi_name{frame}", 20) for frame in frames),
        ),
    )


def _network() -> tuple[Command, ...]:
    # 4.6 Network, 4.7 UPnP
    return (
        setter(
            "network",
            choice("dhcp", "0", "1"),
            *octets("IP_addr"),
            *octets("netmask"),
            *octets("gateway"),
            number("port", 1, 65535),
            choice("dns", "manual", "auto"),
            *octets("pri_server"),
            *octets("sec_server"),
            choice("rtp_packet_max", "1500", "1280"),
            choice("mss", "1460", "1280", "1024"),
            choice("time", "20", "unlimited"),
            choice("bandwidth", *NETWORK_BANDWIDTHS),
            number("rtsp_port", 1, 65535),
        ),
        setter("easyipset", choice("time", "unlimited", "20")),
        setter("set_bandwidth", choice("bandwidth", *NETWORK_BANDWIDTHS)),
        setter("set_rtp", choice("rtp_size", "1280", "1500")),
        setter("upnp", choice("upnp_portmap", "0", "1")),
    )
