"""Films and sound made by another implementation (FFmpeg's encoders, through PyAV), each picture of another grey."""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise

import av
from PIL import Image

TICKS = 3000  # of 90 kHz, from picture to picture
SIZE = (96, 64)
DARKEST, STEP = 20, 6


@dataclass(frozen=True)
class Picture:
    time: int  # when it is shown
    nals: tuple[bytes, ...]


def nal_units(annex_b: bytes) -> tuple[bytes, ...]:
    """Between start codes of three or four bytes."""
    return tuple(piece.rstrip(b"\0") for piece in annex_b.split(b"\0\0\1")[1:])


@cache
def encoded(codec: str, count: int, options: tuple[tuple[str, str], ...] = ()) -> tuple[Picture, ...]:
    """Pictures in the order of decoding. Picture n is shown at n · TICKS and is of its own grey."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height = SIZE
    encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", Fraction(1, 90_000), Fraction(30)
    encoder.gop_size = 12
    encoder.options = dict(options)
    packets = []
    for number in range(count):
        frame = av.VideoFrame.from_image(Image.new("RGB", SIZE, (DARKEST + STEP * number,) * 3)).reformat(
            format="yuv420p"
        )
        frame.pts, frame.time_base = number * TICKS, Fraction(1, 90_000)
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return tuple(Picture(packet.pts, nal_units(bytes(packet))) for packet in packets)


def x264(count: int = 36, **options: str) -> tuple[Picture, ...]:
    chosen = {"preset": "veryfast", "x264-params": "scenecut=0:weightp=0", **options}
    return encoded("libx264", count, tuple(sorted(chosen.items())))


def x265(count: int = 36, params: str = "bframes=0", **options: str) -> tuple[Picture, ...]:
    chosen = {"preset": "ultrafast", "x265-params": f"log-level=none:crf=8:scenecut=0:keyint=12:{params}", **options}
    return encoded("libx265", count, tuple(sorted(chosen.items())))


def shown(mp4: bytes) -> list[int]:
    """The numbers of the pictures as a decoder shows them."""
    with av.open(io.BytesIO(mp4)) as container:
        return [number_of(frame) for frame in container.decode(video=0)]


def number_of(frame: av.VideoFrame) -> int:
    grey = frame.to_image().convert("L").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    return round((grey - DARKEST) / STEP)


@dataclass(frozen=True)
class Sound:
    config: bytes
    frames: tuple[bytes, ...]


@cache
def aac(rate: int = 48_000, channels: int = 1, count: int = 40) -> Sound:
    """A tone of 440 Hz."""
    layout = "mono" if channels == 1 else "stereo"
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = rate, layout, "fltp", 64_000
    encoder.open()
    packets = []
    for number in range(count):
        packets += encoder.encode(tone(rate, layout, "fltp", 1024, number * 1024))
    return Sound(bytes(encoder.extradata or b""), tuple(bytes(packet) for packet in packets))


def tone(rate: int, layout: str, form: str, samples: int, begin: int) -> av.AudioFrame:
    frame = av.AudioFrame(form, layout, samples)
    values = [0.4 * math.sin(2 * math.pi * 440 * (begin + n) / rate) for n in range(samples)]
    if form == "fltp":
        data = struct.pack(f"<{samples}f", *values)
    else:
        data = struct.pack(f"<{samples}h", *(round(32767 * value) for value in values))
    for plane in frame.planes:
        plane.update(data + bytes(plane.buffer_size - len(data)))
    frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
    return frame


def pitch(frames: list[av.AudioFrame]) -> float:
    """How often the first channel rises through zero, in Hz; without the first tenth, in which coders settle."""
    resampler = av.AudioResampler(format="s16", layout="mono")
    data = b"".join(
        bytes(out.planes[0])[: 2 * out.samples] for frame in [*frames, None] for out in resampler.resample(frame)
    )
    values = struct.unpack(f"<{len(data) // 2}h", data)
    rate = frames[0].sample_rate
    values = values[rate // 10 :]
    rises = sum(before < 0 <= after for before, after in pairwise(values))
    return rises * rate / len(values)
