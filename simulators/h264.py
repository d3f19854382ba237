"""Planes in, H.264 access units out, as POVCAM section 15.3 describes its small sizes: High profile, CAVLC, no B
frames, a GOP of about one second, parameter sets in band before each IDR picture.

The encoder holds nothing back: every call returns the access unit of the frame just given. x264 runs on the caller's
thread (and releases the GIL), so a stream costs one thread and no pool.
"""

from __future__ import annotations

import re
from fractions import Fraction

import av

from simulators.picture import Planes

NAL_IDR, NAL_SPS, NAL_PPS = 5, 7, 8
_START_CODE = re.compile(rb"\x00\x00\x00?\x01")


def split_annex_b(stream: bytes) -> list[bytes]:
    """The NAL units of an Annex B byte stream, without start codes."""
    return [unit for unit in _START_CODE.split(stream) if unit]


class Encoder:
    def __init__(self, width: int, height: int, rate: Fraction, kilobits: int, *, delimiters: bool = False) -> None:
        """`delimiters`: each access unit begins with its delimiter."""
        keyint = max(1, round(rate))
        codec = av.CodecContext.create("libx264", "w")
        codec.width, codec.height = width, height
        codec.pix_fmt = "yuv420p"
        codec.framerate = rate
        codec.time_base = 1 / rate
        codec.thread_count = 1
        codec.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "crf": "20",
            "maxrate": f"{kilobits}k",
            "bufsize": f"{kilobits}k",
            # 8x8dct makes the stream High profile; ultrafast alone would fall to Baseline.
            "x264-params": f"8x8dct=1:cabac=0:bframes=0:keyint={keyint}:min-keyint={keyint}:scenecut=0"
            f":aud={delimiters:d}",
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
