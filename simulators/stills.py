"""Full-range planes as JPEG, by FFmpeg's encoder: for streams of pictures, where Pillow's costs twice as much.

The pictures have the standard's Huffman tables in one segment and no comment.
"""

from __future__ import annotations

from fractions import Fraction

import av

from simulators.picture import Planes

FINEST, COARSEST = 2, 31  # of FFmpeg's quantiser
COMMENT = b"\xff\xfe"


class JpegEncoder:
    """Pictures of one size and quality (1 to 95, as Pillow's). Not safe for two threads at once."""

    def __init__(self, width: int, height: int, quality: int) -> None:
        codec = av.CodecContext.create("mjpeg", "w")
        codec.width, codec.height = width, height
        codec.pix_fmt = "yuvj420p"
        codec.time_base = Fraction(1, 30)
        codec.thread_count = 1
        codec.qmin = codec.qmax = min(max(round((100 - quality) / 4), FINEST), COARSEST)
        codec.options = {"huffman": "default"}
        codec.open()
        self._codec = codec
        self._size = width, height
        self._given = 0

    def encode(self, planes: Planes) -> bytes:
        frame = av.VideoFrame(*self._size, "yuvj420p")
        for target, plane in zip(frame.planes, planes, strict=True):
            target.update(plane.tobytes())
        frame.pts = self._given
        self._given += 1
        (packet,) = self._codec.encode(frame)
        return _without_comment(bytes(packet))


def _without_comment(picture: bytes) -> bytes:
    """FFmpeg writes its name first."""
    if picture[2:4] != COMMENT:
        return picture
    return picture[:2] + picture[4 + int.from_bytes(picture[4:6], "big") :]
