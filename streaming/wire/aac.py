"""AAC over RTP (RFC 3640, mode AAC-hbr) and the shorter ways in which cameras send it → pieces of sound.

    RFC 3640      [length of the AU headers in bits, 2 bytes][size 13, index 3]… [AU][AU]…     i-PRO: "4 bytes"
    bare header   [size 13, index 3][AU]                                                       POVCAM: "2 bytes"
    raw           [AU]                                                                         i-PRO over HTTP
    ADTS          [sync 12, …, object type 2, rate 4, …, size 13, …; 7 or 9 bytes][AU]         POVCAM over HTTP

Which of the first three it is, each packet tells by its sizes: the first if they add up, else the second if it does,
else the third; but after one packet of the first kind nothing else counts. Over HTTP there are never headers, and the
caller says so. An access unit (AU) may be larger than a packet: then each packet carries a part of it under the same
header, and the last one the marker.

ADTS (ISO/IEC 13818-7, 6.2) is a stream without packets: `AdtsFramer` finds its frames by their beginnings and sizes,
skips and counts what is between them, and counts time from zero.

The decoder's configuration (AudioSpecificConfig, ISO/IEC 14496-3, 1.6.2.1) comes from SDP. Where there is none, it is
AAC-LC of the rate that the caller says, and the first AU that begins with one tells whether there are one channel or
two; AUs before that are dropped.

Tolerated: any number of AUs in a packet; times missing altogether, which are then counted. Not accepted: interleaving
(an index other than 0), auxiliary data, other header widths, which no device we know uses. Limits: MAX_AU bytes for an
AU, as its header has; an AU of which a part is missing is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from streaming.media import AudioTrack, AudioUnit
from streaming.wire import Malformed
from streaming.wire.rtp import Unwrapper

MAX_AU = 0x1FFF
MAX_PAYLOAD = 65_536
MAX_CONFIG = 64

RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
LOW_COMPLEXITY = 2
_SINGLE, _PAIR = 0, 1  # the first element of an AU: one channel, or two


def asc(rate: int, channels: int) -> bytes:
    """The AudioSpecificConfig of AAC-LC: object type 5 bits, rate 4, channels 4, three flags that are off."""
    if rate not in RATES or not 1 <= channels <= 2:
        raise Malformed(f"AAC of {rate} Hz and {channels} channels")
    return (LOW_COMPLEXITY << 11 | RATES.index(rate) << 7 | channels << 3).to_bytes(2, "big")


def track_of(config: bytes) -> tuple[AudioTrack, int]:
    """The track that an AudioSpecificConfig describes, and how many samples each of its AUs lasts."""
    if not 2 <= len(config) <= MAX_CONFIG:
        raise Malformed(f"an AAC configuration of {len(config)} bytes")
    bits = int.from_bytes(config[:9].ljust(9, b"\0"), "big")
    kind = bits >> 67 & 0x1F
    index = bits >> 63 & 0x0F
    if index == 15:  # the rate itself stands here
        rate, at = bits >> 39 & 0xFFFFFF, 39
    elif index < len(RATES):
        rate, at = RATES[index], 63
    else:
        raise Malformed(f"AAC rate number {index}")
    channels = bits >> at - 4 & 0x0F
    short = bits >> at - 5 & 1
    if kind != LOW_COMPLEXITY or not 1 <= channels <= 2 or not RATES[-1] <= rate <= RATES[0]:
        raise Malformed(f"AAC object type {kind}, {rate} Hz, {channels} channels")
    return AudioTrack("aac", f"mp4a.40.{kind}", rate, channels, config), 960 if short else 1024


def is_rfc3640(payload: bytes) -> bool:
    """Whether these are AU headers and AUs whose sizes add up: hardly by chance, so it tells AAC from other codecs."""
    return bool(_units(payload))


class Framer:
    """Payloads in, pieces of sound out. Its counters are plain attributes."""

    def __init__(self, rate: int = 48_000, channels: int = 0, config: bytes = b"", *, headers: bool = True) -> None:
        """With a configuration, rate and channels do not matter; with 0 channels the first AU tells their number.
        Without headers each payload is one AU."""
        self.malformed = 0  # payloads that made no sense
        self.dropped = 0  # AUs of which something is missing, or which came before the configuration was known
        self.track: AudioTrack | None = None
        self._rate = rate
        self._samples = 1024
        if config or channels:
            self.track, self._samples = track_of(config or asc(rate, channels))
        self._headers = headers
        self._rfc3640 = False  # such headers were seen
        self._clock = Unwrapper()
        self._following = 0  # the time of the next AU, if none is told
        # The AU of which only a part is here.
        self._size = 0
        self._part = b""
        self._timestamp: int | None = None

    def push(
        self, payload: bytes, timestamp: int | None, received: float, *, marker: bool = True
    ) -> Sequence[AudioUnit]:
        """`timestamp` is that of RTP, in samples; None where sound comes without one."""
        if not 0 < len(payload) <= MAX_PAYLOAD:
            self.malformed += 1
            return ()
        units = self._whole(payload, timestamp, marker)
        if not units:
            return ()
        if self.track is None:
            self._guess(units[0])
            if self.track is None:
                self.dropped += len(units)
                return ()
        time = self._following if timestamp is None else self._clock.unwrap(timestamp)
        self._following = time + self._samples * len(units)
        return [
            AudioUnit(self.track, time + number * self._samples, received, self._samples, data)
            for number, data in enumerate(units)
        ]

    def _whole(self, payload: bytes, timestamp: int | None, marker: bool) -> list[bytes]:
        """The AUs that are complete with this payload."""
        if self._size:
            return self._continued(payload, timestamp, marker)
        if self._headers:
            units = _units(payload)
            if units:
                self._rfc3640 = True
                return units
            if len(payload) > 4 and _part_of(payload) > len(payload) - 4 and (self._rfc3640 or not marker):
                if marker:
                    self.dropped += 1  # the last part, and the first never came
                else:
                    self._size, self._part = _part_of(payload), payload[4:]
                    self._timestamp = timestamp
                return []
            header = int.from_bytes(payload[:2], "big")
            if header >> 3 == len(payload) - 2 and header & 7 == 0 and len(payload) > 2 and not self._rfc3640:
                return [payload[2:]]
        if len(payload) > MAX_AU or self._rfc3640:
            self.malformed += 1
            return []
        return [payload]

    def _continued(self, payload: bytes, timestamp: int | None, marker: bool) -> list[bytes]:
        size, part = self._size, self._part
        self._size, self._part = 0, b""
        if _part_of(payload) != size or timestamp != self._timestamp:
            self.dropped += 1
            return self._whole(payload, timestamp, marker)
        part += payload[4:]
        if len(part) == size:
            return [part]
        if marker or len(part) > size:
            self.dropped += 1
            return []
        self._size, self._part = size, part
        return []

    def _guess(self, unit: bytes) -> None:
        first = unit[0] >> 5
        if first in (_SINGLE, _PAIR):
            self.track, self._samples = track_of(asc(self._rate, 1 if first == _SINGLE else 2))


ADTS_HEADER = 7
ADTS_SAMPLES = 1024


class AdtsFramer:
    """A stream of ADTS frames in, pieces of sound out. Its counters are plain attributes."""

    def __init__(self) -> None:
        self.skipped = 0  # bytes that belonged to no frame
        self.track: AudioTrack | None = None
        self._buffer = bytearray()
        self._time = 0

    def push(self, data: bytes, received: float) -> Sequence[AudioUnit]:
        buffer = self._buffer
        buffer += data
        units = []
        at = 0
        while len(buffer) - at >= ADTS_HEADER + 2:
            size = _adts_size(buffer, at)
            if not size:
                at += 1
                self.skipped += 1
                continue
            if len(buffer) - at < size:
                break
            head = ADTS_HEADER if buffer[at + 1] & 1 else ADTS_HEADER + 2
            unit = bytes(buffer[at + head : at + size])
            rate = RATES[buffer[at + 2] >> 2 & 0x0F]
            at += size
            if (first := unit[0] >> 5) in (_SINGLE, _PAIR):
                self.track, _ = track_of(asc(rate, 1 if first == _SINGLE else 2))
            if self.track is not None:  # what comes before the first sound has none
                units.append(AudioUnit(self.track, self._time, received, ADTS_SAMPLES, unit))
            self._time += ADTS_SAMPLES
        del buffer[:at]
        return units


def _adts_size(buffer: bytearray, at: int) -> int:
    """How long the frame of AAC-LC is that begins here; 0 when none does."""
    if buffer[at] != 0xFF or buffer[at + 1] & 0xF6 != 0xF0 or buffer[at + 2] >> 6 != LOW_COMPLEXITY - 1:
        return 0
    size = (buffer[at + 3] & 3) << 11 | buffer[at + 4] << 3 | buffer[at + 5] >> 5
    head = ADTS_HEADER if buffer[at + 1] & 1 else ADTS_HEADER + 2
    one = buffer[at + 6] & 3 == 0  # AU in the frame, less one
    return size if size > head and one and buffer[at + 2] >> 2 & 0x0F < len(RATES) else 0


def _part_of(payload: bytes) -> int:
    """How large the AU is that this payload has a part of, if it has a part of one."""
    return int.from_bytes(payload[2:4], "big") >> 3 if payload[:2] == b"\0\x10" else 0


def _units(payload: bytes) -> list[bytes]:
    """The AUs of a payload by RFC 3640; none when it is not one, or does not add up."""
    bits = int.from_bytes(payload[:2], "big")
    at = 2 + bits // 8
    if bits == 0 or bits % 16 or at > len(payload):
        return []
    units = []
    for header in range(2, at, 2):
        size = payload[header] << 5 | payload[header + 1] >> 3
        if size == 0 or payload[header + 1] & 7:
            return []
        units.append(payload[at : at + size])
        at += size
    return units if at == len(payload) else []
