"""Planes in, H.265 access units out: Main profile, no B frames, a GOP of about one second, parameter sets in band
before each IDR picture, a delimiter before each access unit.

As with H.264 the encoder holds nothing back and runs on the caller's thread. The quality is constant, not the bit rate,
unless one is given, and everything that only makes pictures better is off. Even so x265 is four times as dear as x264,
which is why simulated cameras of this codec show fewer pictures a second.
"""

from __future__ import annotations

from fractions import Fraction

import av

from simulators.h264 import split_annex_b
from simulators.picture import Planes

NAL_IDR_W_RADL, NAL_IDR_N_LP, NAL_VPS, NAL_SPS, NAL_PPS, NAL_DELIMITER, NAL_SEI = 19, 20, 32, 33, 34, 35, 39


class Encoder:
    def __init__(self, width: int, height: int, rate: Fraction, kilobits: int | None = None) -> None:
        """`kilobits`: this many a second instead of a constant quality, at some cost."""
        steady = f"bitrate={kilobits}:vbv-maxrate={kilobits}:vbv-bufsize={kilobits}"
        keyint = max(1, round(rate))
        codec = av.CodecContext.create("libx265", "w")
        codec.width, codec.height = width, height
        codec.pix_fmt = "yuv420p"
        codec.framerate = rate
        codec.time_base = 1 / rate
        codec.thread_count = 1
        codec.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x265-params": ":".join(
                (
                    f"keyint={keyint}:min-keyint={keyint}:scenecut=0:open-gop=0:bframes=0",
                    "repeat-headers=1:aud=1:info=0:hash=0",
                    "pools=none:frame-threads=1:wpp=0:log-level=none",
                    steady if kilobits else "qp=30",
                    "aq-mode=0:cutree=0:weightp=0:rc-lookahead=0",
                    "ctu=16:max-tu-size=16:rd=1:no-deblock=1:no-sao=1",
                )
            ),
        }
        codec.open()
        self._codec = codec
        self._size = width, height

    def encode(self, planes: Planes, number: int) -> list[bytes]:
        """The NAL units of one frame."""
        frame = av.VideoFrame(*self._size, "yuv420p")
        for target, plane in zip(frame.planes, planes, strict=True):
            target.update(plane.tobytes())
        frame.pts = number
        return [unit for packet in self._codec.encode(frame) for unit in split_annex_b(bytes(packet))]
