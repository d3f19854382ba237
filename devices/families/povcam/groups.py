"""The settings of a POVCAM: the commands of sections 4, 7, 8 and 11 that set them beside those that tell them.

They are restored in this order: first what decides which other values there are.
"""

from devices.cgi import Ask, Command, Group, Setting
from devices.families.povcam import commands as cgi

_READ_VIDEO = (Ask(cgi.GET_VIDEO_OVER_IP),)
_ADDRESS = "Where a device is reached is changed by hand only."
_RUNS = "The clock runs by itself."

PRIORITY = Group(
    id="priority",
    title="Priority mode",
    reads=(Ask(cgi.GET_PRIORITY_MODE),),
    write=cgi.SET_PRIORITY_MODE,
    settings=(
        Setting(
            name="mode",
            reply="priority_mode",
            label="Priority mode",
            help="Decides which streams, resolutions and recording modes there are.",
        ),
    ),
)
BASIC = Group(
    id="basic",
    title="Basic settings",
    reads=(Ask(cgi.GET_BASIC),),
    write=cgi.SET_BASIC,
    settings=(
        Setting(name="cam_title", help="The name the device shows of itself."),
        Setting(name="plugin_download", help="For the device's own pages."),
        Setting(name="plugin_disp", help="For the device's own pages."),
    ),
)
CLOCK = Group(
    id="clock",
    title="Clock",
    reads=(Ask(cgi.GET_DATE_TIME),),
    write=cgi.DATE_TIME,
    settings=(
        Setting(name="display", help="Shows the time in the picture."),
        *(
            Setting(name=f"date_{part}", together="date", fleeting=_RUNS)
            for part in ("year", "month", "day", "hour", "min", "sec")
        ),
        Setting(name="timezone", label="Time zone"),
        Setting(name="summer_time"),
        *(
            Setting(name=f"{turn}_{part}", together=turn)
            for turn in ("start", "end")
            for part in ("month", "week", "dotw", "hour")
        ),
        Setting(name="is_summer_time", param=None, label="Summer time now"),
    ),
)
NTP = Group(
    id="ntp",
    title="Time server (NTP)",
    reads=(Ask(cgi.GET_TIME),),
    write=cgi.TIME,
    settings=(
        Setting(name="time_adjust", label="Time adjustment"),
        Setting(name="ntp_addr_dhcp", label="Address of the NTP server from DHCP"),
        Setting(name="ntp_addr", label="NTP server"),
        Setting(name="ntp_port", label="NTP port"),
        Setting(name="ntp_interval", label="Interval in hours"),
    ),
)
JPEG = Group(
    id="jpeg",
    title="JPEG",
    reads=_READ_VIDEO,
    write=cgi.SET_JPEG,
    settings=(
        Setting(name="jpeg_transmit1"),
        Setting(name="resol_stream1"),
        Setting(name="jpeg_interval1"),
        Setting(name="jpeg_quality", help="The device tells only 1 (fine) or 5 (normal)."),
    ),
)


def _h264(group_id: str, channel: int, write: Command) -> Group:
    return Group(
        id=group_id,
        title=f"H.264({channel})",
        reads=_READ_VIDEO,
        write=write,
        settings=(
            Setting(name="h264_transmit", reply=f"h264_transmit_ch{channel}"),
            Setting(name="h264_rtsp_mode", reply=f"h264_rtsp_mode_ch{channel}"),
            Setting(name="h264_resolution", reply=f"h264_resolution_ch{channel}"),
            Setting(name="f_priority", reply=f"h264_f_priority_ch{channel}"),
            Setting(name="framerate", reply=f"h264_framerate_ch{channel}", label="Frame rate"),
            Setting(name="h264_bandwidth", reply=f"h264_bandwidth_ch{channel}"),
            Setting(name="h264_bandwidth_min", reply=f"h264_bandwidth_min_ch{channel}"),
            # Printed as "fine/low1/5" (5.5).
            Setting(name="h264_quality", reply=f"h264_quality_ch{channel}", words={"low1": "low"}),
            Setting(name="h264_unimulti", reply=f"h264_unimulti_ch{channel}"),
            Setting(name="unicast_port", reply=f"h264_unicast_port_ch{channel}"),
            Setting(name="unicast_audio_port", reply=f"h264_unicast_audio_port_ch{channel}"),
            Setting(name="multicast_addr", reply=f"h264_multicast_addr_ch{channel}"),
            Setting(name="multicast_port", reply=f"h264_multicast_port_ch{channel}"),
            Setting(name="multicast_ttl", reply=f"h264_multicast_ttl_ch{channel}"),
        ),
    )


H264 = _h264("h264", 1, cgi.SET_H264)
H264_2 = _h264("h264_2", 2, cgi.SET_H264_2)
LIVE = Group(
    id="live",
    title="Live screen and RTSP",
    reads=(*_READ_VIDEO, Ask(cgi.SETDATA_LIST)),
    settings=(
        Setting(name="stream", reply="livestart_stream", write=cgi.SET_LIVESTART),
        # get_network always tells 0; the list of setting values tells the port.
        Setting(name="rtsp_port", reply="RTSPPORT", write=cgi.SET_RTSP),
    ),
)
AUDIO = Group(
    id="audio",
    title="Audio",
    reads=(Ask(cgi.GET_AUDIO),),
    write=cgi.SET_AUDIO,
    settings=(
        Setting(name="audio", words={"0": "off", "1": "in"}),
        Setting(name="audio_sens", words={"lmiddle": "middle"}),
        Setting(name="mic_select"),
        Setting(name="plugin_power"),
        Setting(name="audio_transmit"),
        Setting(name="audio_encoder", words={"2": "aac"}),
        Setting(name="audio_bitrate"),
        Setting(name="audio_alc"),
        Setting(name="equalizer"),
        Setting(name="audio_lv_auto"),
        Setting(name="volume_lv", reply=None, write=cgi.SET_VOLUME_LV),
    ),
)
MULTI_SCREEN = Group(
    id="multi_screen",
    title="Multi-screen",
    reads=(Ask(cgi.GET_MULTI_SCREEN),),
    write=cgi.MULTI_SCREEN,
    settings=tuple(Setting(name=f"multi_{word}{number}") for number in range(1, 17) for word in ("addr", "name")),
)
RECORDING = Group(
    id="recording",
    title="Recording",
    reads=(Ask(cgi.GET_SDREC_MODE), Ask(cgi.GET_SDREC_TARGET), Ask(cgi.GET_RECORDER_NUM)),
    settings=(
        Setting(name="mode", write=cgi.SET_SDREC_MODE),
        Setting(name="device", write=cgi.SET_SDREC_TARGET),
        Setting(name="recorder_num", write=cgi.SET_RECORDER_NUM),
    ),
)
FTP = Group(
    id="ftp",
    title="FTP server",
    reads=(Ask(cgi.GET_FTP),),
    write=cgi.SET_FTP,
    settings=(
        Setting(name="server_addr"),
        Setting(name="port_num"),
        Setting(name="username"),
        Setting(name="password", reply=None),
        Setting(name="mode"),
        Setting(name="dirname", help="The device makes it when it is missing; better make it beforehand."),
    ),
)
TRANSMISSION = Group(
    id="transmission",
    title="Transmission",
    reads=(Ask(cgi.GET_NETWORK),),
    settings=(
        Setting(name="bandwidth", words={"10000": "0"}, write=cgi.SET_BANDWIDTH),
        Setting(name="rtp_size", reply="rtp_packet_max", write=cgi.SET_RTP),
        Setting(name="mss", write=cgi.NETWORK),
        Setting(name="time", write=cgi.EASYIPSET, label="Easy IP Setup after power-on"),
    ),
)
UPNP = Group(
    id="upnp",
    title="UPnP",
    reads=(Ask(cgi.GET_UPNP), Ask(cgi.GET_STATUS)),
    write=cgi.UPNP,
    settings=(
        Setting(name="upnp_portmap"),
        Setting(name="http_port", param=None, label="HTTP port outside"),
        Setting(name="http_status", param=None, label="HTTP port forwarding"),
        Setting(name="https_port", param=None, label="HTTPS port outside"),
        Setting(name="https_status", param=None, label="HTTPS port forwarding"),
        Setting(name="addr", param=None, label="Address outside"),
    ),
)
HTTPS = Group(
    id="https",
    title="HTTPS",
    reads=(Ask(cgi.GET_HTTPS),),
    write=cgi.SET_HTTPS,
    moves={"scheme": "live", "https_port": "https_port"},
    settings=(
        Setting(name="live", unrestored=_ADDRESS),
        Setting(name="https_port", unrestored=_ADDRESS),
    ),
    note="The document recommends the device's own pages for these.",
)
NETWORK = Group(
    id="network",
    title="Network",
    reads=(Ask(cgi.GET_NETWORK),),
    write=cgi.NETWORK,
    moves={"host": "IP_addr", "port": "port"},
    settings=(
        Setting(name="dhcp", reply="ip4_dhcp", unrestored=_ADDRESS),
        Setting(name="IP_addr", reply="ip4_addr", octets=True, label="IP address", unrestored=_ADDRESS),
        Setting(name="netmask", reply="ip4_netmask", octets=True, label="Subnet mask", unrestored=_ADDRESS),
        Setting(name="gateway", reply="ip4_gateway", octets=True, label="Default gateway", unrestored=_ADDRESS),
        Setting(name="port", unrestored=_ADDRESS),
        Setting(name="dns"),
        Setting(name="pri_server", reply="ip4_pri_server", octets=True, label="Primary DNS server"),
        Setting(name="sec_server", reply="ip4_sec_server", octets=True, label="Secondary DNS server"),
    ),
)

GROUPS = (
    PRIORITY,
    BASIC,
    NTP,
    CLOCK,
    JPEG,
    H264,
    H264_2,
    LIVE,
    AUDIO,
    MULTI_SCREEN,
    RECORDING,
    FTP,
    TRANSMISSION,
    UPNP,
    HTTPS,
    NETWORK,
)
