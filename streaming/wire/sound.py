"""Sound of the telephone's codecs → pieces of sound.

    G.711       one byte per sample (pcmu, pcma)                                     RFC 3551, 4.5.14
    G.726-32    two samples per byte, the first in the lower half (g726le, RFC 3551, 4.5.4) or in the upper (g726be,
                AAL2); nothing in the stream tells which: it is the device's setting
    GSM 06.10   160 samples in 33 bytes, the first of which begins with 1101         RFC 3551, 4.5.8

i-PRO puts one byte 00 before the sound: always over HTTP (`without_lead`), and sometimes before G.726, whose packets
are multiples of 10 ms otherwise.

GSM of HAMA cameras comes as a bare stream over HTTP, without lengths. `GsmFramer` finds its frames by their beginnings;
a stream that has none after 0.2 s is µ-law, whatever the document says. It counts time from zero.

Tolerated: any cut of the stream; bytes between frames, which are skipped and counted. Limit: MAX_PAYLOAD bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from streaming.media import AudioTrack, AudioUnit
from streaming.wire import Malformed
from streaming.wire.rtp import Unwrapper

MAX_PAYLOAD = 65_536
RATE = 8_000

_SAMPLES_PER_BYTE = {"pcmu": 1, "pcma": 1, "g726le": 2, "g726be": 2}


def kind_of(content_type: str, g726: str = "le") -> str | None:
    """The codec that a part's Content-Type means, as the devices write it; None when it means none of ours."""
    text = content_type.lower()
    if "aac" in text:
        return "aac"
    if "726" in text:
        return f"g726{g726}"
    if "alaw" in text or "pcma" in text:
        return "pcma"
    return "pcmu" if any(word in text for word in ("711", "pcm", "basic", "ulaw", "mulaw")) else None


def without_lead(body: bytes) -> bytes:
    """i-PRO sound over HTTP without the byte in front of it (i-PRO 2.3.7)."""
    if len(body) < 2:
        raise Malformed("a part without sound")
    return body[1:]


class Framer:
    """G.711 and G.726 of one channel: payloads in, pieces of sound out."""

    def __init__(self, kind: str, rate: int = RATE) -> None:
        self.malformed = 0
        self.track = AudioTrack(kind, kind, rate, 1, b"")
        self._per_byte = _SAMPLES_PER_BYTE[kind]
        self._clock = Unwrapper()
        self._following = 0

    def push(self, payload: bytes, timestamp: int | None, received: float) -> Sequence[AudioUnit]:
        """`timestamp` is that of RTP, in samples; None where sound comes without one."""
        if self._per_byte == 2 and len(payload) % 80 == 1 and payload[0] == 0:
            payload = payload[1:]
        if not 0 < len(payload) <= MAX_PAYLOAD:
            self.malformed += 1
            return ()
        samples = len(payload) * self._per_byte
        time = self._following if timestamp is None else self._clock.unwrap(timestamp)
        self._following = time + samples
        return (AudioUnit(self.track, time, received, samples, payload),)


FRAME, FRAME_SAMPLES = 33, 160
_SIGN = 0xD
SIGNS = 6  # frames in a row that begin as they should: by chance once in 16 million places
_NEEDED = FRAME * SIGNS  # bytes in which one place at least shows that many


class GsmFramer:
    """A stream of GSM frames in, pieces of sound out. Its counters are plain attributes."""

    def __init__(self) -> None:
        self.skipped = 0  # bytes that belonged to no frame
        self.track: AudioTrack | None = None  # until it is clear what this is
        self._buffer = bytearray()
        self._in_step = False  # a frame begins where the buffer does
        self._time = 0

    def push(self, data: bytes, received: float) -> Sequence[AudioUnit]:
        buffer = self._buffer
        buffer += data
        if self.track is None:
            self._decide()
        if self.track is None:
            return ()
        if self.track.kind != "gsm":
            return [self._taken(self.track, len(buffer), len(buffer), received)] if buffer else ()
        units = []
        while len(buffer) >= FRAME and (self._in_step or self._find_step(len(buffer) - _NEEDED)):
            if buffer[0] >> 4 == _SIGN:
                units.append(self._taken(self.track, FRAME, FRAME_SAMPLES, received))
            else:
                self._in_step = False
        return units

    def _taken(self, track: AudioTrack, size: int, samples: int, received: float) -> AudioUnit:
        unit = AudioUnit(track, self._time, received, samples, bytes(self._buffer[:size]))
        del self._buffer[:size]
        self._time += samples
        return unit

    def _decide(self) -> None:
        if len(self._buffer) >= _NEEDED + FRAME:
            kind = "gsm" if self._find_step(FRAME) else "pcmu"
            self.track = AudioTrack(kind, kind, RATE, 1, b"")

    def _find_step(self, places: int) -> bool:
        """Look for frames at the first `places` bytes, and skip what is before them."""
        buffer = self._buffer
        for begin in range(places):
            if all(buffer[begin + FRAME * number] >> 4 == _SIGN for number in range(SIGNS)):
                self.skipped += begin
                del buffer[:begin]
                self._in_step = True
                return True
        if self.track is not None and places > 0:
            self.skipped += places
            del buffer[:places]
        return False
