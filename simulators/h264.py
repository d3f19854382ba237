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

NAL_IDR, NAL_SEI, NAL_SPS, NAL_PPS, NAL_DELIMITER = 5, 6, 7, 8, 9
_START_CODE = re.compile(rb"\x00\x00\x00?\x01")


def split_annex_b(stream: bytes) -> list[bytes]:
    """The NAL units of an Annex B byte stream, without start codes."""
    return [unit for unit in _START_CODE.split(stream) if unit]


class Encoder:
    shown = 0
    """The number of the picture that came out last: with B pictures not the one that was given last."""

    def __init__(
        self,
        width: int,
        height: int,
        rate: Fraction,
        kilobits: int,
        *,
        delimiters: bool = False,
        cabac: bool = False,
        b_pictures: int = 0,
        gop_seconds: float = 1.0,
        slice_rows: int = 0,
    ) -> None:
        """`kilobits`: the most a second; 0 is a constant quality, which costs a third less. `delimiters`: each access
        unit begins with its delimiter. `b_pictures` between two others make the encoder
        hold back as many and one more, and then give the pictures in the order a decoder wants them. `slice_rows`: each
        slice has so many rows of macroblocks; 0 is one slice for a whole picture."""
        keyint = max(1, round(rate * Fraction(gop_seconds)))
        most = f"{kilobits}k"
        limits = {"crf": "20", "maxrate": most, "bufsize": most} if kilobits else {"qp": "24"}
        codec = av.CodecContext.create("libx264", "w")
        codec.width, codec.height = width, height
        codec.pix_fmt = "yuv420p"
        codec.framerate = rate
        codec.time_base = 1 / rate
        codec.thread_count = 1
        codec.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            **limits,
            # 8x8dct makes the stream High profile; ultrafast alone would fall to Baseline.
            "x264-params": f"8x8dct=1:cabac={cabac:d}:bframes={b_pictures}:b-adapt=0:b-pyramid=none:open-gop=0"
            f":keyint={keyint}:min-keyint={keyint}:scenecut=0:aud={delimiters:d}"
            f":slice-max-mbs={slice_rows * (-(-width // 16))}",
        }
        codec.open()
        self._codec = codec
        self._size = width, height

    def encode(self, planes: Planes, number: int) -> list[bytes]:
        """The NAL units of one frame; of none while the first ones are held back."""
        frame = av.VideoFrame(*self._size, "yuv420p")
        for target, plane in zip(frame.planes, planes, strict=True):
            target.update(plane.tobytes())
        frame.pts = number
        units: list[bytes] = []
        for packet in self._codec.encode(frame):
            units += split_annex_b(bytes(packet))
            self.shown = number if packet.pts is None else packet.pts
        return units
