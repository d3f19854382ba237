"""The texts a POVCAM answers with: key=value lines that end in CRLF, in the order of the document's tables."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from simulators.video import VideoFormat

Pairs = list[tuple[str, object]]


@dataclass
class Settings:
    """What the recorder keeps over a restart."""

    cam_title: str
    streams: dict[int, VideoFormat]
    plugin_download: str = "enable"
    plugin_disp: str = "0"
    priority_mode: str = "ip"


@dataclass(frozen=True)
class Identity:
    """Numbers that differ from device to device, made from the seed."""

    seed: int
    mac: str = field(init=False)
    serial: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha256(f"povcam {self.seed}".encode()).hexdigest().upper()
        object.__setattr__(self, "mac", f"A8-13-74-{digest[0:2]}-{digest[2:4]}-{digest[4:6]}")
        object.__setattr__(self, "serial", f"S7TQ{int(digest[6:12], 16) % 100000:05d}")


def lines(pairs: Pairs) -> bytes:
    return "".join(f"{key}={value}\r\n" for key, value in pairs).encode()


def script(pairs: Pairs) -> bytes:
    """The form for the camera's own web pages (reply=browser)."""
    return ("{" + ",\r\n".join(f"{key}:{value}" for key, value in pairs) + "}\r\n").encode()


def uid_reply(uid: int, vcodec: str, settings: Settings, http_port: int, seed: int) -> Pairs:
    stream = settings.streams[2 if vcodec == "h264_2" else 1]
    number = 2 if vcodec == "h264_2" else 1
    group = (239, 192, seed % 256, number)
    return [
        ("UID", uid),
        ("ImageFormat", vcodec),
        ("ImageCaptureMode", "2m"),
        ("ratio", "16_9"),
        ("Maxfps", _max_fps(settings)),
        ("StreamMode", 1),
        ("iBitrate", stream.kilobits),
        ("iResolution", stream.width),
        ("iQuality", "fine"),
        ("sDelivery", "uni"),
        ("iUniPort", 32004 if number == 1 else 32014),
        *((f"iMultiAdd{index}", octet) for index, octet in enumerate(group, 1)),
        ("iMultiAdd", ".".join(map(str, group))),
        ("iMultiPort", 37004 if number == 1 else 37014),
        ("aEnable", "off"),
        ("aEnc", 2),
        ("aBitrate", 128),
        ("aBitrate2", 64),
        ("aInterval", 20),
        ("aInPort", 33004 if number == 1 else 33114),
        ("aOutInterval", 640),
        ("aOutPort", 34004),
        ("aOutStatus", "off"),
        ("aOutUID", 0),
        ("ePort", 31004),
        ("sAlarm", "off"),
        ("SDrec", "disable"),
        ("SDrec2", "disable"),
        ("sAUX", "disable"),
        ("iHttpPort", http_port),
        ("iMultiAuto_h264", 0),
        ("iMultiAuto_h264_2", 0),
        ("sRtspMode_h264", 0),
        ("sRtspMode_h264_2", 0),
    ]


def device_information(settings: Settings, seed: int, model: str, version: str) -> Pairs:
    identity = Identity(seed)
    pairs: Pairs = [
        ("MAC", identity.mac),
        ("SERIAL", identity.serial),
        ("VERSION", version),
        ("NAME", model),
        ("SDrec", "disable"),
        ("SDrec2", "disable"),
        ("sAlarm", "off"),
        ("sAUX", "off"),
        ("ePort", 31004),
        ("aEnable", "off"),
        ("aEnc", 2),
        ("aBitrate", 128),
        ("aBitrate2", 64),
        ("aInterval", 20),
        ("aOutInterval", 640),
        ("aOutPort", 34004),
        ("aOutStatus", "off"),
        ("aOutUID", 0),
        ("aInPort_h264", 33004),
        ("aInPort_h264_2", 33114),
        ("sRtspMode_h264", 0),
        ("sRtspMode_h264_2", 0),
        ("ImageCaptureMode", "2m"),
        ("ratio", "16_9"),
        ("Maxfps", _max_fps(settings)),
        ("StreamMode", 1),
    ]
    for number, suffix in ((1, "h264"), (2, "h264_2")):
        stream = settings.streams[number]
        pairs += [
            (f"iTransmit_{suffix}", 1),
            (f"sDelivery_{suffix}", "uni"),
            (f"iBitrate_{suffix}", stream.kilobits),
            (f"iResolution_{suffix}", stream.width),
            (f"iQuality_{suffix}", "fine"),
            (f"iMultiAuto_{suffix}", 0),
        ]
    return pairs


def state() -> Pairs:
    """A recorder at rest with a card of 64 GB in the first slot and none in the second."""
    return [
        ("rec", "off"),
        ("pre_rec", "off"),
        ("rec_counter", "00:00:00"),
        ("ftp_send", "off"),
        ("play", "off"),
        ("del_file", "off"),
        ("download", "off"),
        ("sd_format", "off"),
        ("sd_insert", "on"),
        ("sd_repair", "off"),
        ("sd_error", "off"),
        ("sd_rem", 57),
        ("sd_org", 59),
        ("sd2_insert", "off"),
        ("sd2_repair", "off"),
        ("sd2_error", "off"),
        ("sd2_rem", "-----"),
        ("sd2_org", "-----"),
    ]


def basic(settings: Settings) -> Pairs:
    return [
        ("cam_title", settings.cam_title),
        ("plugin_download", settings.plugin_download),
        ("plugin_disp", settings.plugin_disp),
    ]


def capability(settings: Settings) -> Pairs:
    """The document's table, stray commas included: it does not say how the groups are written, this is
    group.key=value."""
    fastest = "30" if _max_fps(settings) == 30 else "25"
    sizes = "3840x2160, 1920x1080, 1280x720, 640x360"
    rates = "5,12.5,15,25,30,50,60"
    bandwidth = "1024,1536,2048, ,3072,4096,6144,8192,10240,12288,14336,16384,20480,24576,32768,40960,51200"
    pairs: Pairs = [
        ("common.capability_version", "1.00"),
        ("common.category", "camera"),
        ("video_server.basic.type", "fixed_dome"),
        ("video_server.basic.fisheye", "no"),
        ("video_server.basic.analogue_input.supported", "ntsc,pal"),
        ("video_server.cam_ctrl.ptz.supported", "yes"),
        ("video_server.cam_ctrl.ptz.zoom", 20),
        ("video_server.cam_ctrl.ptz.el_zoom", 30),
        ("video_server.cam_ctrl.ptz.command", "camctrl,direct_16,direct_256d,direct_256r"),
        ("video_server.cam_ctrl.brightness.supported", "yes"),
        ("video_server.cam_ctrl.brightness.command", "camctrl_bright,camctrl_IRIS"),
        ("video_server.cam_ctrl.abf.supported", "no"),
        ("video_server.cam_ctrl.focus.supported", "yes"),
        ("video_server.cam_ctrl.auto_focus.supported", "yes"),
        ("video_server.cam_ctrl.bw.supported", "no"),
        ("video_server.cam_ctrl.auto_mode.supported", "no"),
        ("video_server.cam_ctrl.preset.supported", "no"),
        ("video_server.image.sensor.aspect_ratio", "16_9"),
        ("video_server.image.format", "jpeg, mjpeg, h264"),
        ("video_server.image.mode", "2m_r16_9"),
        ("video_server.image.jpeg.resolution", "640x360"),
        ("video_server.image.jpeg.quality", "0,1,2,3,4,5,6,7,8,9"),
        ("video_server.image.jpeg.resolution_each_mode.2m_r16_9", "640x360"),
        ("video_server.image.jpeg.resolution_each_mode_all.2m_r16_9", "640x360"),
        ("video_server.image.jpeg.max_size.640x360", "60,60,60,60,60,30,30,30,30,30,"),
        ("video_server.image.mjpeg.resolution", "640x360"),
        ("video_server.image.mjpeg.quality", "0,1,2,3,4,5,6,7,8,9"),
        ("video_server.image.mjpeg.framerate", ",".join(str(rate) for rate in range(1, int(fastest) + 1))),
        ("video_server.image.mjpeg.max_framerate.2m_r16_9", fastest),
        ("video_server.image.mjpeg.resolution_each_mode.2m_r16_9", "640x360"),
        ("video_server.image.mjpeg.resolution_each_mode_all.2m_r16_9", "640x360"),
    ]
    for group in ("video_server.image.h264", "video_server.image.h264-2"):
        pairs += [
            (f"{group}.resolution", sizes),
            (f"{group}.stream_mode", "bitrate, framerate, best_effort"),
            (f"{group}.quality", "fine, normal"),
            (f"{group}.bandwidth", bandwidth),
            (f"{group}.framerate", rates),
            (f"{group}.resolution_each_mode.2m_r16_9", sizes),
            (f"{group}.max_framerate.2m_r16_9", 60),
        ]
    pairs += [
        ("video_server.audio.transmission", "input"),
        ("video_server.audio.audio_input.number", 1),
        ("video_server.audio.audio_input.encode_type", "aac-1c_64K,aac-1c_96K,aac-1c_128K"),
        ("video_server.sdcard.supported", "yes"),
        ("video_server.sdcard.media_type", "sd, sdhc, sdxc"),
        ("video_server.sdcard.replay_mp4.supported", "no"),
        ("video_server.network.nw_bandwidth", "1024,2048,4096, ,8192,16384,32768"),
        ("video_server.network.ipv6.supported", "no"),
        ("video_server.network.https.supported", "yes"),
        ("video_server.vmd.supported", "no"),
    ]
    return pairs


def _max_fps(settings: Settings) -> int:
    return max(round(stream.rate) for stream in settings.streams.values())
