"""Sound in tests: tones made and found again."""

from __future__ import annotations

import array
import math
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise

import av

from streaming.media import AudioTrack, AudioUnit

ENCODERS = {"pcmu": "pcm_mulaw", "pcma": "pcm_alaw", "g726le": "g726le", "g726be": "g726"}
LOUD = 8000


def tone(hertz: float, samples: int, rate: int = 8000) -> array.array[int]:
    return array.array("h", (round(LOUD * math.sin(2 * math.pi * hertz * n / rate)) for n in range(samples)))


def coded(kind: str, sound: array.array[int], each: int = 320, rate: int = 8000) -> list[bytes]:
    """The sound in packets of a telephone's codec, of so many samples each."""
    encoder = av.CodecContext.create(ENCODERS[kind], "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "s16"
    encoder.time_base = Fraction(1, rate)
    if kind.startswith("g726"):
        encoder.bit_rate = 32_000
    packets = []
    for start in range(0, len(sound), each):
        frame = av.AudioFrame("s16", "mono", each)
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        plane = frame.planes[0]
        plane.update(sound[start : start + each].tobytes().ljust(plane.buffer_size, b"\0"))
        packets.append(b"".join(bytes(packet) for packet in encoder.encode(frame)))
    # G.726's encoder chooses the size of its packets itself; the bytes follow each other all the same.
    size = each if kind.startswith("pcm") else each // 2
    stream = b"".join(packets)
    return [stream[at : at + size] for at in range(0, len(stream) - size + 1, size)]


def samples_of(track: AudioTrack, pieces: Iterable[bytes]) -> list[float]:
    """AAC decoded, of the first channel, from -1 to 1."""
    decoder = av.CodecContext.create("aac", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.extradata = track.config
    found: list[float] = []
    for piece in pieces:
        for frame in decoder.decode(av.Packet(piece)):
            found += memoryview(bytes(frame.planes[0])).cast("f")[: frame.samples].tolist()
    return found


def frequency(samples: list[float], rate: int) -> float:
    """Of a plain tone, by its crossings of zero."""
    crossings = [number for number, (a, b) in enumerate(pairwise(samples)) if a < 0 <= b]
    assert len(crossings) >= 5, "this is silence"
    return rate * (len(crossings) - 1) / (crossings[-1] - crossings[0])


def heard(units: list[AudioUnit]) -> float:
    """The tone in the middle of some pieces of AAC."""
    track = units[0].track
    samples = samples_of(track, (each.data for each in units))
    return frequency(samples[len(samples) // 4 : -len(samples) // 4], track.rate)
