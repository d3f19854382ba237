"""Sound as a browser plays it: whatever is not AAC (G.711, G.726, GSM 06.10) becomes AAC.

The codecs of the telephone cost next to nothing to decode, and AAC of one channel little to encode: some 3 ms of a
core for a second of sound, in steps of a tenth of a millisecond. So it is done where the sound arrives, on the event
loop.

    RATE        32 kHz. The telephone's codecs have 8, but a frame of AAC is 1024 samples whatever the rate, and what is
                heard is late by up to three frames: one that fills, and two that the encoder looks ahead. That is 96 ms
                here, and would be 192 ms at half the rate, for which the pictures would have to wait
    times       each AAC frame stands where the sound that it holds stood, and was received when the last of it was, as
                if the sound of a packet came little by little. The encoder's first frame is what leads in to the sound
    what cannot be decoded is skipped and counted; sound that is missing leaves a gap in the times, as it came
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import av

from streaming.media import AccessUnit, AudioTrack, AudioUnit, Unit

logger = logging.getLogger(__name__)

RATE = 32_000
FRAME = 1024
BITS_PER_SECOND = 48_000
TICK = Fraction(1, RATE)
CODEC = "mp4a.40.2"
_DECODERS = {"pcmu": "pcm_mulaw", "pcma": "pcm_alaw", "g726le": "g726le", "g726be": "g726", "gsm": "gsm"}


class _Piece(NamedTuple):
    """A stretch of sound that went into the encoder."""

    position: int  # of its first sample among all that went in, at RATE
    samples: int
    time: int  # by the sender's clock, at RATE
    received: float


class Converter:
    """Sound of one track in, AAC out. Its counters are plain attributes."""

    def __init__(self, track: AudioTrack) -> None:
        self.errors = 0  # pieces that could not be decoded
        self.source = track
        self._decoder = _decoder(track)
        self._resampler = av.AudioResampler("fltp", "mono", RATE, frame_size=FRAME)
        self._encoder = _encoder()
        self._track = AudioTrack("aac", CODEC, RATE, 1, bytes(self._encoder.extradata or b""))
        self._ratio = Fraction(RATE, track.rate)
        self._decoded = 0  # samples so far, at the track's own rate
        self._pieces: deque[_Piece] = deque()

    def convert(self, unit: AudioUnit) -> list[AudioUnit]:
        found: list[AudioUnit] = []
        try:
            frames = self._decoder.decode(av.Packet(unit.data))
        except av.FFmpegError:
            self.errors += 1
            return found
        time = unit.time
        for frame in frames:
            self._note(time, frame.samples, unit.received)
            frame.pts, frame.time_base = self._decoded, Fraction(1, self.source.rate)
            self._decoded += frame.samples
            time += frame.samples
            for ready in self._resampler.resample(frame):
                for packet in self._encoder.encode(ready):
                    found.append(self._unit(packet.pts or 0, bytes(packet)))
        return found

    def _note(self, time: int, samples: int, received: float) -> None:
        position = round(self._decoded * self._ratio)
        length = round((self._decoded + samples) * self._ratio) - position
        self._pieces.append(_Piece(position, length, round(time * self._ratio), received))

    def _unit(self, position: int, data: bytes) -> AudioUnit:
        pieces = self._pieces
        while len(pieces) > 1 and pieces[0].position + pieces[0].samples <= position:
            pieces.popleft()
        first = last = pieces[0]
        for each in pieces:
            if each.position >= position + FRAME:
                break
            last = each
        after = last.position + last.samples - position - FRAME  # of what was received with it, stands behind it
        return AudioUnit(self._track, first.time + position - first.position, last.received - after / RATE, FRAME, data)


def _decoder(track: AudioTrack) -> av.AudioCodecContext:
    decoder = av.CodecContext.create(_DECODERS[track.kind], "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate = track.rate
    decoder.layout = "mono"
    if track.kind.startswith("g726"):
        decoder.options = {"bits_per_coded_sample": "4"}  # 32 kbit/s
    return decoder


def _encoder() -> av.AudioCodecContext:
    encoder = av.CodecContext.create("aac", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "mono", "fltp"
    encoder.bit_rate, encoder.time_base = BITS_PER_SECOND, TICK
    encoder.options = {"aac_coder": "fast"}  # a third of the time of the usual one
    encoder.open()
    return encoder


class InAac:
    """Passes units on to `on_unit`, sound as AAC. Its counters are plain attributes."""

    def __init__(self, on_unit: Callable[[Unit], None]) -> None:
        self.errors = 0
        self._on_unit = on_unit
        self._converter: Converter | None = None

    def take(self, unit: Unit) -> None:
        if isinstance(unit, AccessUnit) or unit.track.kind == "aac":
            self._on_unit(unit)
            return
        converter = self._converter
        if converter is None or converter.source != unit.track:
            self._converter = converter = Converter(unit.track)
        before = converter.errors
        for each in converter.convert(unit):
            self._on_unit(each)
        if converter.errors != before:
            self.errors += 1
            if self.errors == 1:
                logger.warning("a piece of sound (%s) cannot be decoded and is left out", unit.track.kind)
