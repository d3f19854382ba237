"""What a clip shows and sounds like: pictures with the clip's name and their own number, and a tone.

Strategy: a group of pictures is encoded once for a format and a device (`Film`), however long and however many its
clips are. Each picture of a clip is that group's picture at the same place with two bands of its own: on top the clip's
name and the time of its recording, encoded once per group, and at the bottom the strip of picture.py, written by hand
(slices.py). So a clip of hours needs no memory, and costs a few microseconds per picture.

The strip shows the last eight bits of the clip's number as its seed, and the picture's number in the clip from 0.
Sound is the device's tone, which beeps at each full second of the clip: AAC in MP4, AC-3 in AVCHD.

Where a real recorder differs: interlaced formats have whole pictures of half the rate, all formats have square pixels
and no B pictures, and how much a picture takes is the same for all but the first of a group.
"""

from __future__ import annotations

import array
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

import av
from PIL import Image, ImageDraw, ImageFont

from simulators import h264
from simulators.picture import STRIP_SHARE, Picture
from simulators.povcam.slices import IDR, Headers, Place
from simulators.povcam.sound import RATE as SOUND_RATE
from simulators.sound import pitch, second

KEPT = 16  # films of a process; one takes as much as its group of pictures
KEY_SHARE = 4  # the first picture of a group takes as much as so many others
AC3_SAMPLES, AC3_KILOBITS, AC3_SIZE = 1536, 192, 768
AC3_UNITS = 125  # four seconds: a whole number of units and of seconds
SMALL = 512, 288  # the strip's blocks are macroblocks then
SMALL_KILOBITS = 2000


@dataclass(frozen=True)
class Shape:
    """A recording mode's pictures."""

    width: int
    height: int
    rate: Fraction
    kilobits: int
    avchd: bool

    @property
    def group(self) -> int:
        """Pictures in a group: half a second of 2160 lines, else one second."""
        return round(self.rate / 2) if self.height == 2160 else round(self.rate)

    @property
    def bytes_per_second(self) -> int:
        return self.kilobits * 125

    def pictures(self, seconds: int) -> int:
        return max(1, round(seconds * self.rate))


def shape_of(mode: str, small: bool = False) -> Shape:
    """The shape of a recording mode of section 8.1, whose name tells it; `small`: pictures of 512x288 for tests and
    demonstrations, at the same rate."""
    kind, *parts = mode.split("_")
    height = next(int(part) for part in parts if part in ("720", "1080", "2160"))
    fields = next(part for part in parts if part[:2].isdecimal() and part[2:] in ("p", "i"))
    kilobits = next(int(part[:-1]) for part in parts if part[:-1].isdecimal() and part.endswith("m")) * 1000
    count = int(fields[:2])
    rate = Fraction(count) if count in (25, 50) else Fraction(count * 1000, 1001)
    if fields.endswith("i"):
        rate /= 2
    width, height = SMALL if small else (height * 16 // 9, height)
    return Shape(width, height, rate, SMALL_KILOBITS if small else kilobits, kind == "avchd")


@dataclass(frozen=True)
class Title:
    """What a clip shows of itself."""

    name: str
    number: int
    begun: datetime


@dataclass(frozen=True)
class Still:
    """A picture of the group without its bands."""

    place: Place
    middle: tuple[bytes, ...]
    """The slices between the bands."""


@dataclass(frozen=True)
class Shot:
    """One picture of a clip, as NAL units."""

    number: int
    still: int
    """Its place in the group."""
    band: bytes
    strip: bytes


class Film:
    """The group of pictures all clips of a shape and a device share."""

    def __init__(self, shape: Shape, seed: int) -> None:
        self.shape = shape
        rows = -(-shape.height // 16)
        self.band_rows = max(2, rows // 11)
        # The strip begins where a slice does, and not below where it must.
        strip_top = shape.height * (STRIP_SHARE - 1) // STRIP_SHARE // 16
        self.strip_row = strip_top // self.band_rows * self.band_rows
        self.sps, self.pps, pictures = self._encode(seed)
        self._headers = Headers(self.sps, self.pps)
        columns = self._headers.columns
        top, bottom = self.band_rows // self.band_rows, self.strip_row // self.band_rows
        self.stills = tuple(Still(self._headers.place(slices[0]), tuple(slices[top:bottom])) for slices in pictures)
        self._unchanged = {
            at: self._headers.still(still.place, 0, columns * self.band_rows)
            for at, still in enumerate(self.stills)
            if not still.place.key
        }
        self.tone = pitch(seed)

    def _encode(self, seed: int) -> tuple[bytes, bytes, list[list[bytes]]]:
        shape = self.shape
        picture = Picture(shape.width, shape.height, seed=seed, name="")
        encoder = self._encoder(shape.height, gop_seconds=float(shape.group / shape.rate), slice_rows=self.band_rows)
        cell, top = shape.height // 12, shape.height // 3 // 2 * 2
        blank = Image.new("L", (11 * cell, shape.height // 6), 16)
        groups = []
        sets: dict[int, bytes] = {}
        for number in range(shape.group):
            # There and back again, so that the ball does not jump where the group repeats.
            planes = picture.draw(min(number, shape.group - number), datetime(2000, 1, 1))
            if not number:
                planes[0].paste(blank, ((shape.width - blank.width) // 2, top))  # the clock, which would stand still
            units = encoder.encode(planes, number)
            sets |= {nal[0] & 31: nal for nal in units if nal[0] & 31 in (h264.NAL_SPS, h264.NAL_PPS)}
            groups.append([nal for nal in units if nal[0] & 31 in (1, IDR)])
        return sets[h264.NAL_SPS], sets[h264.NAL_PPS], groups

    def _encoder(self, height: int, *, gop_seconds: float, slice_rows: int) -> h264.Encoder:
        shape = self.shape
        return h264.Encoder(shape.width, height, shape.rate, 0, gop_seconds=gop_seconds, slice_rows=slice_rows)

    def shots(self, title: Title, count: int) -> Iterator[list[Shot]]:
        """A clip's pictures, a group at a time."""
        encoder = self._encoder(16 * self.band_rows, gop_seconds=0, slice_rows=0)
        for first in range(0, count, self.shape.group):
            when = title.begun + timedelta(seconds=float(first / self.shape.rate))
            band = self._band(encoder, f"{title.name}  {when:%Y-%m-%d %H:%M:%S}", first)
            yield [
                Shot(
                    number,
                    number - first,
                    self._unchanged.get(number - first, band),
                    self._headers.strip(self.stills[number - first].place, title.number, number, self.strip_row),
                )
                for number in range(first, min(first + self.shape.group, count))
            ]

    def _band(self, encoder: h264.Encoder, text: str, number: int) -> bytes:
        """The slice that shows a line of text at the top of a group's first picture."""
        size = self.shape.width, 16 * self.band_rows
        luma = Image.new("L", size, 16)
        font = ImageFont.load_default(size[1] // 2)
        ImageDraw.Draw(luma).text((size[0] // 2, size[1] // 2), text, fill=235, font=font, anchor="mm")
        grey = Image.new("L", (size[0] // 2, size[1] // 2), 128)
        units = encoder.encode((luma, grey, grey), number)
        coded = next(nal for nal in units if nal[0] & 31 == IDR)
        quantiser, macroblocks = self._headers.coded(coded)
        return self._headers.write(self.stills[0].place, 0, quantiser, macroblocks)


_films: dict[tuple[Shape, int], Film] = {}
_ac3: dict[int, tuple[bytes, ...]] = {}
_making = threading.Lock()


def film(shape: Shape, seed: int) -> Film:
    """The film of this shape and device; the first one who asks waits for it."""
    key = shape, seed
    with _making:
        if key not in _films:
            if len(_films) >= KEPT:
                del _films[next(iter(_films))]
            _films[key] = Film(shape, seed)
        return _films[key]


def ac3(frequency: int) -> tuple[bytes, ...]:
    """Four seconds of the tone as units of AC-3, which can be repeated; the first one who asks waits for them."""
    with _making:
        if frequency not in _ac3:
            _ac3[frequency] = _encode_ac3(frequency)
        return _ac3[frequency]


def _encode_ac3(frequency: int) -> tuple[bytes, ...]:
    codec = av.CodecContext.create("ac3", "w")
    codec.sample_rate, codec.layout, codec.format = SOUND_RATE, "stereo", "fltp"
    codec.bit_rate = AC3_KILOBITS * 1000
    codec.open()
    samples = array.array("f", (level / 32768 for level in second(SOUND_RATE, frequency)))
    thrice = samples * 3
    units: list[bytes] = []
    warm_up = AC3_UNITS // 4  # nearly a second, which sounds like the one before it would
    for number in range(-warm_up, AC3_UNITS):
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=AC3_SAMPLES)
        frame.sample_rate, frame.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
        frame.pts = (number + warm_up) * AC3_SAMPLES
        start = number * AC3_SAMPLES % SOUND_RATE
        for plane in frame.planes:
            plane.update(thrice[start : start + AC3_SAMPLES].tobytes())
        units += [bytes(packet) for packet in codec.encode(frame)]
    return tuple(units[warm_up:])
