"""A clip as an MP4 file, written piece by piece: ftyp, mdat, moov, and `free` up to the size the clip has.

The index comes after the pictures, as a recorder writes it, which does not know beforehand how long it will record. So
a file that was cut off cannot be played. Pictures and sound are interleaved by groups of pictures; each picture is
filled up to the mode's bit rate with a user data SEI, because a file must not have filler data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby

from simulators.povcam.film import KEY_SHARE, Film, Shape, Title
from simulators.povcam.sound import LOOP_UNITS, RATE, SAMPLES, SPECIFIC_CONFIG, tone

SOUND_KILOBITS, CHANNELS = 128, 2
SHARE = 0.93  # of the bit rate for pictures; sound and the index need the rest
TIMESCALE = 1000  # of the movie
EPOCH = datetime(1904, 1, 1)
MATRIX = struct.pack("!9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
FILL_UUID = bytes.fromhex("7cd2f5c1a4b14b1c9d15e0a83f6f2b71")  # ours: nobody else's user data
DELIMITERS = b"\x09\x10", b"\x09\x30"  # of a key picture, of any other
FREE = bytes(256 * 1024)


def pieces(film: Film, title: Title, seconds: int, size: int) -> Iterator[bytes]:
    """The file's bytes, exactly `size` of them."""
    shape = film.shape
    count = shape.pictures(seconds)
    sizes = _picture_sizes(shape)
    units = tone(film.tone, SOUND_KILOBITS, CHANNELS)
    head = _box(b"ftyp", b"mp42", struct.pack("!I", 0), b"mp42", b"isom", b"avc1")
    group_bytes: list[int] = []
    sound_counts: list[int] = []
    heard = 0
    groups = [(first, min(first + shape.group, count)) for first in range(0, count, shape.group)]
    for first, end in groups:
        sound_end = _units_until(end, shape)
        group_bytes.append(sum(sizes[: end - first]))
        sound_counts.append(sound_end - heard)
        heard = sound_end
    sound_bytes = []
    heard = 0
    for number in sound_counts:
        sound_bytes.append(sum(len(units[at % LOOP_UNITS]) for at in range(heard, heard + number)))
        heard += number
    media = sum(group_bytes) + sum(sound_bytes)
    start = len(head) + 16
    yield head + struct.pack("!I4sQ", 1, b"mdat", 16 + media)
    heard = 0
    for shots, number in zip(film.shots(title, count), sound_counts, strict=True):
        body = [_sample(film, shot.still, shot.band, shot.strip, sizes[shot.still]) for shot in shots]
        body += [units[at % LOOP_UNITS] for at in range(heard, heard + number)]
        heard += number
        yield b"".join(body)
    video_at, sound_at = [], []
    at = start
    for pictures, sound in zip(group_bytes, sound_bytes, strict=True):
        video_at.append(at)
        sound_at.append(at + pictures)
        at += pictures + sound
    video_sizes = [size for first, end in groups for size in sizes[: end - first]]
    sound_sizes = [len(units[number % LOOP_UNITS]) for number in range(heard)]
    index = _moov(
        film, title, count, [end - first for first, end in groups], video_sizes, video_at,
        sound_counts, sound_sizes, sound_at,
    )  # fmt: skip
    yield index
    yield from _free(size - at - len(index))


def _picture_sizes(shape: Shape) -> list[int]:
    """What each picture of a group takes."""
    seconds = shape.group / shape.rate
    budget = (shape.bytes_per_second * SHARE - SOUND_KILOBITS * 125) * float(seconds)
    share = int(budget / (shape.group - 1 + KEY_SHARE))
    return [share * KEY_SHARE, *[share] * (shape.group - 1)]


def _units_until(pictures: int, shape: Shape) -> int:
    """How many units of sound begin before so many pictures have been shown."""
    return -(-pictures * RATE * shape.rate.denominator // (SAMPLES * shape.rate.numerator))


def _sample(film: Film, at: int, band: bytes, strip: bytes, size: int) -> bytes:
    still = film.stills[at]
    sets = (film.sps, film.pps) if still.place.key else ()
    around = [DELIMITERS[not still.place.key], *sets]
    slices = [band, *still.middle, strip]
    rest = size - sum(4 + len(nal) for nal in (*around, *slices))
    if rest % 256 == 7:  # no message has this size (its own size takes bytes too): leave the delimiter out
        rest += 4 + len(around.pop(0))
    if rest < 32:
        raise ValueError(f"A picture of {size - rest} bytes does not fit into {size}.")
    return b"".join(struct.pack("!I", len(nal)) + nal for nal in (*around, _fill(rest - 4), *slices))


def _fill(size: int) -> bytes:
    """A user data SEI of so many bytes."""
    within = size - 4  # but for the NAL unit's type, the message's, the size's last byte, and the stop bit
    payload = within - within // 256
    lengths = b"\xff" * (payload // 255) + bytes([payload % 255])
    return b"\x06\x05" + lengths + FILL_UUID + b"\x55" * (payload - len(FILL_UUID)) + b"\x80"


def _free(size: int) -> Iterator[bytes]:
    if size < 16:
        raise ValueError("The clip is larger than its size.")
    yield struct.pack("!I4sQ", 1, b"free", size)
    left = size - 16
    while left:
        yield FREE[:left]
        left -= min(left, len(FREE))


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack("!I4s", 8 + len(body), kind) + body


def _full(kind: bytes, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack("!I", flags), *parts)


def _moov(
    film: Film,
    title: Title,
    count: int,
    group_counts: list[int],
    video_sizes: list[int],
    video_at: list[int],
    sound_counts: list[int],
    sound_sizes: list[int],
    sound_at: list[int],
) -> bytes:
    shape = film.shape
    made = int((title.begun - EPOCH).total_seconds())
    scale, step = shape.rate.numerator, shape.rate.denominator
    long = count * step * TIMESCALE // scale
    video = _trak(
        1, made, long, scale, count * step, b"vide",
        _full(b"vmhd", 1, bytes(8)),
        _video_entry(film),
        _full(b"stts", 0, struct.pack("!3I", 1, count, step)),
        _stss(video_sizes, shape.group),
        group_counts, video_sizes, video_at, shape.width, shape.height,
    )  # fmt: skip
    sound = _trak(
        2, made, long, RATE, len(sound_sizes) * SAMPLES, b"soun",
        _full(b"smhd", 0, bytes(4)),
        _sound_entry(),
        _full(b"stts", 0, struct.pack("!3I", 1, len(sound_sizes), SAMPLES)),
        b"",
        sound_counts, sound_sizes, sound_at, 0, 0,
    )  # fmt: skip
    head = _full(
        b"mvhd", 0, struct.pack("!4I", made, made, TIMESCALE, long), struct.pack("!IH", 0x10000, 0x100),
        bytes(10), MATRIX, bytes(24), struct.pack("!I", 3),
    )  # fmt: skip
    return _box(b"moov", head, video, sound)


def _trak(
    number: int,
    made: int,
    long: int,
    scale: int,
    duration: int,
    kind: bytes,
    media_head: bytes,
    entry: bytes,
    times: bytes,
    keys: bytes,
    counts: list[int],
    sizes: list[int],
    offsets: list[int],
    width: int,
    height: int,
) -> bytes:
    track_head = _full(
        b"tkhd", 3, struct.pack("!5I", made, made, number, 0, long), bytes(8),
        struct.pack("!4H", 0, 0, 0 if width else 0x100, 0), MATRIX, struct.pack("!2I", width << 16, height << 16),
    )  # fmt: skip
    table = _box(
        b"stbl",
        _full(b"stsd", 0, struct.pack("!I", 1), entry),
        times,
        keys,
        _stsc(counts),
        _full(b"stsz", 0, struct.pack(f"!2I{len(sizes)}I", 0, len(sizes), *sizes)),
        _full(b"co64", 0, struct.pack(f"!I{len(offsets)}Q", len(offsets), *offsets)),
    )
    where = _box(b"dinf", _full(b"dref", 0, struct.pack("!I", 1), _full(b"url ", 1)))
    media = _box(
        b"mdia",
        _full(b"mdhd", 0, struct.pack("!4I2H", made, made, scale, duration & 0xFFFFFFFF, 0x55C4, 0)),
        _full(b"hdlr", 0, bytes(4), kind, bytes(12), b"\0"),
        _box(b"minf", media_head, where, table),
    )
    return _box(b"trak", track_head, media)


def _stsc(counts: Iterable[int]) -> bytes:
    entries = []
    chunk = 1
    for count, same in groupby(counts):
        entries.append(struct.pack("!3I", chunk, count, 1))
        chunk += len(list(same))
    return _full(b"stsc", 0, struct.pack("!I", len(entries)), *entries)


def _stss(sizes: list[int], group: int) -> bytes:
    keys = range(1, len(sizes) + 1, group)
    return _full(b"stss", 0, struct.pack(f"!I{len(keys)}I", len(keys), *keys))


def _video_entry(film: Film) -> bytes:
    sps, pps = film.sps, film.pps
    sets = struct.pack("!BH", 0xE1, len(sps)) + sps + struct.pack("!BH", 1, len(pps)) + pps
    extension = b"\xfd\xf8\xf8\0" if sps[1] >= 100 else b""  # 4:2:0, eight bits
    config = _box(b"avcC", bytes([1, sps[1], sps[2], sps[3], 0xFF]), sets, extension)
    return _box(
        b"avc1", bytes(6), struct.pack("!H", 1), bytes(16), struct.pack("!2H", film.shape.width, film.shape.height),
        struct.pack("!3IH", 0x480000, 0x480000, 0, 1), bytes(32), struct.pack("!Hh", 24, -1), config,
    )  # fmt: skip


def _sound_entry() -> bytes:
    specific = bytes.fromhex(SPECIFIC_CONFIG[CHANNELS])
    decoder = _descriptor(5, specific)
    bits = SOUND_KILOBITS * 1000
    config = _descriptor(4, struct.pack("!BB", 0x40, 0x15) + bytes(3) + struct.pack("!2I", bits, bits) + decoder)
    stream = _descriptor(3, struct.pack("!HB", 2, 0) + config + _descriptor(6, b"\x02"))
    return _box(
        b"mp4a", bytes(6), struct.pack("!H", 1), bytes(8), struct.pack("!4HI", CHANNELS, 16, 0, 0, RATE << 16),
        _full(b"esds", 0, stream),
    )  # fmt: skip


def _descriptor(tag: int, body: bytes) -> bytes:
    return bytes([tag, len(body)]) + body
