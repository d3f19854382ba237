"""A clip as AVCHD's transport stream, written piece by piece: packets of 192 bytes, H.264 and AC-3.

Each picture of a group takes as many packets in every group, and a group takes a multiple of 16 of them. So the packets
of a picture are made once, and only what differs is written into them: times, counters of arrival and the two bands,
each of which has filler data behind it up to the room it may take. Null packets in the middle of each group bring the
file to the size the clip has.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import accumulate

from simulators.povcam.film import AC3_SAMPLES, AC3_SIZE, AC3_UNITS, KEY_SHARE, Film, Shape, Shot, Title, ac3
from simulators.povcam.sound import RATE

PACKET, BODY = 192, 184
CLOCK, SYSTEM_CLOCK = 90_000, 27_000_000
MAP, VIDEO, SOUND, NOTHING = 0x100, 0x1011, 0x1100, 0x1FFF
BEGINS = CLOCK  # the first picture's time; the clock is half a second behind, which a decoder has to fetch it
SHARE = 0.9  # of the bit rate for pictures and sound; null packets have the rest
HEAD, CLOCK_FIELD = 14, 8
ARRIVALS = 0x3FFFFFFF  # what a packet's time of arrival has bits for
NULLS = 1024  # packets in one piece
_START = b"\0\0\0\1"
_DELIMITERS = _START + b"\x09\x10", _START + b"\x09\x30"


def pieces(film: Film, title: Title, seconds: int, size: int) -> Iterator[bytes]:
    """The file's bytes, exactly `size` of them, which must be a multiple of a packet."""
    shape = film.shape
    count = shape.pictures(seconds)
    units = ac3(film.tone)
    packets = _Packets(film)
    heard = written = 0
    for group, shots in enumerate(film.shots(title, count)):
        parts = _tables(group, _ticks(shots[0].number, shape, SYSTEM_CLOCK))
        gap = 0
        for shot in shots:
            parts.append(packets.of(shot))
            until = _units_until(shot.number + 1, shape)
            parts += [_sound(units[number % AC3_UNITS], number) for number in range(heard, until)]
            heard = until
            if shot.still == shape.group // 2:
                gap = len(parts)
        written += sum(map(len, parts))
        # Up to the share of the file that so many pictures have.
        nulls = (size * (shots[-1].number + 1) // count - written) // PACKET
        if nulls < 0:
            raise ValueError("The clip is larger than its size.")
        written += nulls * PACKET
        yield b"".join(parts[: gap or len(parts)])
        yield from _nulls(nulls)
        yield b"".join(parts[gap or len(parts) :])


def packets_of(shape: Shape) -> list[int]:
    """How many packets each picture of a group takes."""
    seconds = float(shape.group / shape.rate)
    sound = RATE / AC3_SAMPLES * len(_sound(bytes(AC3_SIZE), 0))
    share = int((shape.bytes_per_second * SHARE - sound) * seconds / (shape.group - 1 + KEY_SHARE) / PACKET)
    key = share * KEY_SHARE
    return [key - (key + share * (shape.group - 1)) % 16, *[share] * (shape.group - 1)]


class _Packets:
    """The packets of each picture of a group, into which those of a clip are written."""

    def __init__(self, film: Film) -> None:
        self._film = film
        self._counts = packets_of(film.shape)
        self._first = [0, *accumulate(self._counts)]
        self._made: dict[int, _Made] = {}

    def of(self, shot: Shot) -> bytes:
        shape = self._film.shape
        made = self._made.get(shot.still) or self._made.setdefault(shot.still, self._make(shot))
        packets = bytearray(made.packets)
        time = BEGINS + _ticks(shot.number, shape, CLOCK)
        packets[10:16] = _clock(time - BEGINS // 2)
        packets[25:30] = _time(time)
        if shot.still == 0:
            _write(packets, made.band_at, _filled(shot.band, made.band_room))
        _write(packets, made.strip_at, _filled(shot.strip, made.strip_room))
        count = len(packets) // PACKET
        step = _ticks(1, shape, SYSTEM_CLOCK) // count
        arrival = _ticks(shot.number, shape, SYSTEM_CLOCK) & ARRIVALS
        times: Iterable[int] = range(arrival, arrival + count * step, step)
        if arrival + count * step > ARRIVALS:
            times = (time & ARRIVALS for time in times)
        arrivals = struct.pack(f"!{count}I", *times)
        for place in range(4):
            packets[place::PACKET] = arrivals[place::4]
        return bytes(packets)

    def _make(self, shot: Shot) -> _Made:
        film, still = self._film, self._film.stills[shot.still]
        count = self._counts[shot.still]
        sets = _START + film.sps + _START + film.pps if still.place.key else b""
        before = _DELIMITERS[not still.place.key] + sets
        band = _START + shot.band
        if still.place.key:
            band = _filled(shot.band, 2 * len(shot.band) + 64)
        middle = b"".join(_START + nal for nal in still.middle)
        made = _Made(bytearray(count * PACKET), HEAD + len(before), len(band), 0, 2 * len(shot.strip) + 64)
        made.strip_at = made.band_at + len(band) + len(middle)
        end = made.strip_at + made.strip_room
        rest = count * BODY - CLOCK_FIELD - end
        if rest < 16:
            raise ValueError(f"A picture of {end} bytes does not fit into {count} packets.")
        for number in range(count):
            begins, control = (0x4000, 0x30) if number == 0 else (0, 0x10)
            counter = self._first[shot.still] + number & 15
            made.packets[number * PACKET + 4 : number * PACKET + 8] = struct.pack(
                "!BHB", 0x47, begins | VIDEO, control | counter
            )
        made.packets[8:10] = bytes([CLOCK_FIELD - 1, 0x50 if still.place.key else 0x10])
        head = b"\0\0\1\xe0\0\0\x84\x80\x05" + _time(0)
        strip = _filled(shot.strip, made.strip_room)
        _write(made.packets, 0, head + before + band + middle + strip + _filler(rest))
        return made


class _Made:
    def __init__(self, packets: bytearray, band_at: int, band_room: int, strip_at: int, strip_room: int) -> None:
        self.packets = packets
        self.band_at, self.band_room = band_at, band_room
        self.strip_at, self.strip_room = strip_at, strip_room


def _write(packets: bytearray, at: int, content: bytes) -> None:
    """Put content into the bodies of a picture's packets, from this byte of their bodies on."""
    done = 0
    while done < len(content):
        number, within = divmod(at + done + CLOCK_FIELD, BODY)  # the first one's body is shorter by the clock
        start = number * PACKET + PACKET - BODY + within
        length = min(BODY - within, len(content) - done)
        packets[start : start + length] = content[done : done + length]
        done += length


def _filled(nal: bytes, room: int) -> bytes:
    """A NAL unit and filler data up to the room it may take."""
    return _START + nal + _filler(room - len(_START) - len(nal))


def _filler(size: int) -> bytes:
    if size < 6:
        raise ValueError("A band of a picture is larger than its room.")
    return _START + b"\x0c" + b"\xff" * (size - 6) + b"\x80"


def _ticks(number: int, shape: Shape, clock: int) -> int:
    return number * clock * shape.rate.denominator // shape.rate.numerator


def _units_until(pictures: int, shape: Shape) -> int:
    """How many units of sound begin before so many pictures have been shown."""
    return -(-pictures * RATE * shape.rate.denominator // (AC3_SAMPLES * shape.rate.numerator))


def _clock(ticks: int) -> bytes:
    return struct.pack("!IH", ticks >> 1 & 0xFFFFFFFF, (ticks & 1) << 15 | 0x7E00)


def _time(ticks: int) -> bytes:
    """A presentation time of a PES header without a decoding time."""
    return struct.pack("!BHH", 0x21 | ticks >> 29 & 0x0E, (ticks >> 14 & 0xFFFE) | 1, ticks << 1 & 0xFFFE | 1)


def _sound(unit: bytes, number: int) -> bytes:
    """The packets of a unit of sound."""
    time = BEGINS + number * AC3_SAMPLES * CLOCK // RATE
    content = struct.pack("!3sBHBBB", b"\0\0\1", 0xBD, len(unit) + 8, 0x84, 0x80, 5) + _time(time) + unit
    bodies = [content[at : at + BODY] for at in range(0, len(content), BODY)]
    arrival = number * AC3_SAMPLES * SYSTEM_CLOCK // RATE
    packets = []
    for place, body in enumerate(bodies):
        counter = number * len(bodies) + place & 15
        packets.append(_packet(SOUND, counter, body, arrival & ARRIVALS, begins=place == 0))
    return b"".join(packets)


def _packet(pid: int, counter: int, body: bytes, arrival: int, *, begins: bool) -> bytes:
    """One packet; a body that is too short is stuffed in front."""
    stuffing = BODY - len(body)
    field = b""
    if stuffing:
        field = bytes([stuffing - 1]) + (b"\0" + b"\xff" * (stuffing - 2) if stuffing > 1 else b"")
    control = 0x30 if stuffing else 0x10
    return struct.pack("!IBHB", arrival, 0x47, 0x4000 * begins | pid, control | counter) + field + body


def _tables(group: int, arrival: int) -> list[bytes]:
    """What is where: the programme, and its streams."""
    counter, arrival = group & 15, arrival & ARRIVALS
    bodies = {pid: b"\0" + section for pid, section in ((0, _PROGRAMMES), (MAP, _STREAMS))}
    return [_packet(pid, counter, body.ljust(BODY, b"\xff"), arrival, begins=True) for pid, body in bodies.items()]


def _nulls(count: int) -> Iterator[bytes]:
    null = struct.pack("!IBHB", 0, 0x47, NOTHING, 0x10) + b"\xff" * BODY
    while count:
        yield null * min(count, NULLS)
        count -= min(count, NULLS)


def _section(table: int, content: bytes) -> bytes:
    head = struct.pack("!BH", table, 0xB000 | len(content) + 9) + struct.pack("!HBBB", 1, 0xC1, 0, 0)
    return head + content + struct.pack("!I", _crc(head + content))


def _crc(data: bytes) -> int:
    """The CRC-32 of MPEG-2, which is not the one of zlib: highest bit first, and not inverted."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


_PROGRAMMES = _section(0, struct.pack("!HH", 1, 0xE000 | MAP))
_STREAMS = _section(
    2,
    struct.pack("!HH", 0xE000 | VIDEO, 0xF000 | 6) + b"\x05\x04HDMV"
    + struct.pack("!BHH", 0x1B, 0xE000 | VIDEO, 0xF000)
    + struct.pack("!BHH", 0x81, 0xE000 | SOUND, 0xF000),
)  # fmt: skip
