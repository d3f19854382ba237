"""What the recorder keeps over a restart, as it leaves the factory.

Values are the document's texts, and a field has the name of the parameter that sets it: a setter is one assignment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

from simulators.povcam.catalogue.settings import SCREENS
from simulators.video import VideoFormat

SystemFrequency = Literal["59.94", "50"]
NOWHERE = "0.0.0.0"  # noqa: S104 -- an address that is not set; nothing listens there


@dataclass
class Basic:
    cam_title: str
    plugin_download: str = "enable"
    plugin_disp: str = "0"


@dataclass
class Ntp:
    time_adjust: str = "0"
    ntp_addr_dhcp: str = "0"
    ntp_addr: str = ""
    ntp_port: str = "123"
    ntp_interval: str = "24"


@dataclass
class Clock:
    display: str = "0"
    timezone: str = "14"
    summer_time: str = "0"
    start_month: str = "3"
    start_week: str = "5"
    start_dotw: str = "0"
    start_hour: str = "1"
    end_month: str = "10"
    end_week: str = "5"
    end_dotw: str = "0"
    end_hour: str = "2"


@dataclass
class Jpeg:
    jpeg_quality: str = "1"
    resol_stream1: str = "640"
    jpeg_transmit1: str = "1"
    jpeg_interval1: str = "5"


@dataclass
class H264:
    h264_resolution: str
    framerate: str
    h264_bandwidth: str
    unicast_port: str
    unicast_audio_port: str
    multicast_addr: str
    multicast_port: str
    h264_transmit: str = "1"
    h264_rtsp_mode: str = "0"
    f_priority: str = "1"
    h264_bandwidth_min: str = "1024"
    h264_quality: str = "fine"
    h264_unimulti: str = "uni"
    multicast_ttl: str = "16"


@dataclass
class Audio:
    audio: str = "off"
    audio_encoder: str = "aac"
    audio_sens: str = "middle"
    audio_bitrate: str = "128"
    audio_alc: str = "0"
    plugin_power: str = "0"
    audio_transmit: str = "1"
    equalizer: str = "off"
    audio_lv_auto: str = "1"
    mic_select: str = "external"


@dataclass
class Screen:
    """One frame of the multi-screen page."""

    addr: str = ""
    name: str = ""


@dataclass
class Network:
    """The address and the port are those the web server listens on, not settings of their own."""

    dhcp: str = "0"
    IP_addr: str = ""  # set to an address the simulator cannot have; empty: the one it listens on
    netmask: str = "255.255.255.0"
    gateway: str = "192.168.0.1"
    dns: str = "manual"
    pri_server: str = NOWHERE
    sec_server: str = NOWHERE
    rtp_packet_max: str = "1500"
    mss: str = "1460"
    time: str = "20"
    bandwidth: str = "0"


@dataclass
class Https:
    live: str = "http"
    https_port: str = "443"


@dataclass
class Recording:
    mode: str
    device: str = "sd1"
    recorder_num: str = "0"
    folder: int = 1
    """The number in the names of MP4 clips, raised by contentnum_reset."""


@dataclass
class Ftp:
    server_addr: str = NOWHERE
    username: str = ""
    password: str = field(default="", repr=False)
    port_num: str = "21"
    mode: str = "passive"
    dirname: str = ""


@dataclass
class Settings:
    system_frequency: SystemFrequency
    basic: Basic
    h264: dict[int, H264]
    recording: Recording
    priority_mode: str = "ip"
    livestart: str = "h264"
    rtsp_port: str = "554"
    volume_lv: str = "12"
    upnp_portmap: str = "0"
    ntp: Ntp = field(default_factory=Ntp)
    clock: Clock = field(default_factory=Clock)
    jpeg: Jpeg = field(default_factory=Jpeg)
    audio: Audio = field(default_factory=Audio)
    screens: dict[int, Screen] = field(default_factory=lambda: {place: Screen() for place in range(1, SCREENS + 1)})
    network: Network = field(default_factory=Network)
    https: Https = field(default_factory=Https)
    ftp: Ftp = field(default_factory=Ftp)

    def become(self, other: Settings) -> None:
        """Take over all values of another set."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))


def factory_settings(
    title: str, seed: int, system_frequency: SystemFrequency, streams: Mapping[int, VideoFormat]
) -> Settings:
    return Settings(
        system_frequency,
        Basic(title),
        {number: _h264(number, seed, video) for number, video in streams.items()},
        Recording(default_mode(system_frequency)),
    )


def default_mode(system_frequency: SystemFrequency) -> str:
    return "avchd_ps_1080_50p_28m" if system_frequency == "50" else "avchd_ps_1080_60p_28m"


def _h264(number: int, seed: int, video: VideoFormat) -> H264:
    first = number == 1
    return H264(
        h264_resolution=str(video.width),
        framerate=f"{float(video.rate):g}",
        h264_bandwidth=str(video.kilobits),
        unicast_port="32004" if first else "32014",
        unicast_audio_port="33004" if first else "33114",
        multicast_addr=f"239.192.{seed % 256}.{number}",
        multicast_port="37004" if first else "37014",
    )


def assign(target: object, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        setattr(target, name, value)
