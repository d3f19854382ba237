"""Section 6: the list of setting values, in the order of its table."""

from __future__ import annotations

from collections.abc import Callable

from simulators.povcam.settings import H264, Settings


def setting_list(settings: Settings) -> list[tuple[str, object]]:
    first, second = settings.h264[1], settings.h264[2]

    def both(name: str, value: Callable[[H264], object]) -> list[tuple[str, object]]:
        return [(name, value(first)), (f"{name}_2", value(second))]

    def octets(h264: H264, suffix: str) -> list[tuple[str, object]]:
        return [(f"H264MLADD{place}{suffix}", octet) for place, octet in enumerate(h264.multicast_addr.split("."), 1)]

    jpeg, audio = settings.jpeg, settings.audio
    return [
        ("CAMTITLE", settings.basic.cam_title),
        ("IMAGESELECT", "2m"),
        ("IMAGERATIO", "16_9"),
        ("IMAGEFPS", "30"),
        ("LIVESTREAM", settings.livestart),
        ("LIVEINT", jpeg.jpeg_interval1),
        ("LIVEQUALBASE", "1"),
        ("LIVESIZE", jpeg.resol_stream1),
        ("LIVEQUAL", jpeg.jpeg_quality),
        ("STREAMMODE", "1"),
        *both("H264", lambda h264: h264.h264_transmit),
        *both("H264RTSPMODE", lambda h264: h264.h264_rtsp_mode),
        *both("H264BWC", lambda h264: h264.h264_bandwidth),
        *both("H264BWCMIN", lambda h264: h264.h264_bandwidth_min),
        *both("NRH264BWC", lambda h264: h264.h264_bandwidth_min),
        *both("H264SIZE", lambda h264: h264.h264_resolution),
        *both("NRH264SIZE", lambda h264: h264.h264_resolution),
        *both("H264FPRIORITY", lambda h264: h264.f_priority),
        *both("H264NRFRAMERATE", lambda h264: h264.framerate),
        *both("H264QUAL", lambda h264: h264.h264_quality),
        *both("NRH264QUAL", lambda h264: "normal"),
        *both("H264RINT", lambda h264: "1"),
        *both("H264MTD", lambda h264: h264.h264_unimulti),
        *octets(first, ""),
        *octets(second, "_2"),
        *both("H264MLADD", lambda h264: h264.multicast_addr),
        *both("H264MLPORT", lambda h264: h264.multicast_port),
        *both("H264MLTTL", lambda h264: h264.multicast_ttl),
        *both("H264UNIPORT", lambda h264: h264.unicast_port),
        *both("H264UNIPORT2", lambda h264: h264.unicast_audio_port),
        *both("H264PROFILE", lambda h264: "0"),
        ("RTSPPORT", settings.rtsp_port),
        *both("H264MLAUTO", lambda h264: "0"),
        ("AUDIO", audio.audio),
        ("AUDIOSENS", audio.audio_sens),
        ("PLUGIN_POWER", audio.plugin_power),
        ("AUDIOMIC", audio.mic_select),
        ("AUDIOBITRATE", audio.audio_bitrate),
        ("AUDIOENC", "2"),
        ("PLUGIN_HALFTONE_JPEG", "0"),
        ("PLUGIN_HALFTONE_H264", "0"),
    ]
