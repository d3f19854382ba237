"""What sections 2.1 to 2.3 let a recorder tell of itself, in the order of the document's tables."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from simulators.povcam.settings import Settings, SystemFrequency

Pairs = list[tuple[str, object]]

MODEL = "AG-UMR20"
VERSION = "V1.02"


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


def uid_reply(uid: int, vcodec: str, settings: Settings, http_port: int) -> Pairs:
    h264 = settings.h264[2 if vcodec == "h264_2" else 1]
    audio = settings.audio
    return [
        ("UID", uid),
        ("ImageFormat", vcodec),
        ("ImageCaptureMode", "2m"),
        ("ratio", "16_9"),
        ("Maxfps", _max_fps(settings)),
        ("StreamMode", 1),
        ("iBitrate", h264.h264_bandwidth),
        ("iResolution", h264.h264_resolution),
        ("iQuality", h264.h264_quality),
        ("sDelivery", h264.h264_unimulti),
        ("iUniPort", h264.unicast_port),
        *((f"iMultiAdd{place}", octet) for place, octet in enumerate(h264.multicast_addr.split("."), 1)),
        ("iMultiAdd", h264.multicast_addr),
        ("iMultiPort", h264.multicast_port),
        ("aEnable", audio.audio),
        ("aEnc", 2),
        ("aBitrate", audio.audio_bitrate),
        ("aBitrate2", 64),
        ("aInterval", 20),
        ("aInPort", h264.unicast_audio_port),
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


def device_information(settings: Settings, seed: int) -> Pairs:
    identity = Identity(seed)
    audio = settings.audio
    pairs: Pairs = [
        ("MAC", identity.mac),
        ("SERIAL", identity.serial),
        ("VERSION", VERSION),
        ("NAME", MODEL),
        ("SDrec", "disable"),
        ("SDrec2", "disable"),
        ("sAlarm", "off"),
        ("sAUX", "off"),
        ("ePort", 31004),
        ("aEnable", audio.audio),
        ("aEnc", 2),
        ("aBitrate", audio.audio_bitrate),
        ("aBitrate2", 64),
        ("aInterval", 20),
        ("aOutInterval", 640),
        ("aOutPort", 34004),
        ("aOutStatus", "off"),
        ("aOutUID", 0),
        ("aInPort_h264", settings.h264[1].unicast_audio_port),
        ("aInPort_h264_2", settings.h264[2].unicast_audio_port),
        ("sRtspMode_h264", 0),
        ("sRtspMode_h264_2", 0),
        ("ImageCaptureMode", "2m"),
        ("ratio", "16_9"),
        ("Maxfps", _max_fps(settings)),
        ("StreamMode", 1),
    ]
    for number, suffix in ((1, "h264"), (2, "h264_2")):
        h264 = settings.h264[number]
        pairs += [
            (f"iTransmit_{suffix}", 1),
            (f"sDelivery_{suffix}", h264.h264_unimulti),
            (f"iBitrate_{suffix}", h264.h264_bandwidth),
            (f"iResolution_{suffix}", h264.h264_resolution),
            (f"iQuality_{suffix}", h264.h264_quality),
            (f"iMultiAuto_{suffix}", 0),
        ]
    return pairs


def capability(system_frequency: SystemFrequency) -> Pairs:
    """The document's table, stray commas included: it does not say how the groups are written, this is
    group.key=value."""
    fastest = "25" if system_frequency == "50" else "30"
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
    slow, fast = (25, 50) if settings.system_frequency == "50" else (30, 60)
    return fast if any(h264.framerate == str(fast) for h264 in settings.h264.values()) else slow
