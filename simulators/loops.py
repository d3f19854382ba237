"""Pictures encoded in advance and sent over and over, so that many large streams cost little more than sending.

A loop is a few seconds of the test picture with a field of grain, because the test picture alone is too easy: with it
the encoder needs the bit rate it is given, in key pictures and in others as a camera would. Frame numbers in the strip
run from 0 and begin again with the loop. A process encodes each loop once.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from PIL import Image

from simulators import h264, h265
from simulators.picture import Picture, Planes
from simulators.video import VideoFormat

SECONDS = 4
KEPT = 64  # loops; a 4 Mbit/s one has 2 MB

Key = tuple[str, VideoFormat, int, str]
_loops: dict[Key, Loop] = {}
_encoding = threading.Lock()


@dataclass
class Loop:
    pictures: tuple[tuple[bytes, ...], ...]
    """The NAL units of each."""
    at_hand: bool = True

    def frame(self, number: int) -> list[bytes]:
        return list(self.pictures[number % len(self.pictures)])


def loop(codec: str, video: VideoFormat, *, seed: int, name: str) -> Loop:
    """The loop of this description; the first one who asks waits for it."""
    key = codec, video, seed, name
    with _encoding:
        if key not in _loops:
            if len(_loops) >= KEPT:
                del _loops[next(iter(_loops))]
            _loops[key] = _encode(codec, video, seed, name)
        return _loops[key]


def _encode(codec: str, video: VideoFormat, seed: int, name: str) -> Loop:
    picture = Picture(video.width, video.height, seed=seed, name=name)
    grain = _Grain(video.width, video.height, seed)
    encoder: h264.Encoder | h265.Encoder
    if codec == "h265":
        encoder = h265.Encoder(video.width, video.height, video.rate, video.kilobits)
    else:
        encoder = h264.Encoder(video.width, video.height, video.rate, video.kilobits, delimiters=True)
    began = datetime(2026, 1, 1)
    # A GOP is as many pictures as a second has, rounded: whole GOPs, so that the loop has no seam. The first one is
    # left out: with nothing spent yet, an encoder allows itself too much.
    gop = max(1, round(video.rate))
    pictures = []
    for count in range((SECONDS + 1) * gop):
        number = max(count - gop, 0)
        planes = picture.draw(number, began + timedelta(seconds=float(number / video.rate)))
        units = encoder.encode(grain.over(planes, count), count)
        if count >= gop:
            pictures.append(tuple(units))
    return Loop(tuple(pictures))


class _Grain:
    """Noise in the upper right quarter, another cut of it in each picture."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        self._left, self._size = width // 2, (width // 2, height // 4)
        dice = random.Random(seed)
        size = (self._size[0] + 64, self._size[1] + 64)
        self._noise = Image.frombytes("L", size, dice.randbytes(size[0] * size[1])).point(lambda level: 64 + level // 2)

    def over(self, planes: Planes, number: int) -> Planes:
        x, y = number * 37 % 64, number * 23 % 64
        cut = self._noise.crop((x, y, x + self._size[0], y + self._size[1]))
        planes[0].paste(cut, (self._left, 0))
        return planes
