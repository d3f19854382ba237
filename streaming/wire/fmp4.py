"""Fragmented MP4 (ISO/IEC 14496-12, -14 and -15) as a browser's Media Source takes it.

    init segment    ftyp moov            once per parameter set; track 1 is the picture, track 2 the sound, if any
    fragment        prft moof mdat       one picture, or one piece of sound, each sent as soon as it is there

All are boxed by hand. A muxer always holds one picture back, because it wants to know the next one's time; here the
length of a picture is estimated (`timeline`). The init segment is a hundred lines of fixed layout, so it needs no
muxer either: nothing to configure, the same bytes whatever library is installed, and this package stays pure.

Fragments of both tracks may follow each other in any order. Pictures stand in the order of decoding; one that is shown
later than it is decoded carries the distance (`offset`, see `reorder`).

`prft` holds the wall-clock time at which the picture reached us (flags 8: a moment of our choosing, always the same),
since the timeline itself says nothing about it; and the time at which that picture is shown.

Pictures are H.264 or H.265, sound is AAC. Nothing else is put into these boxes: no browser would play it.
"""

from __future__ import annotations

import struct

from streaming.media import CLOCK_RATE, AudioTrack, VideoTrack

VIDEO_TRACK, AUDIO_TRACK = 1, 2

_U32 = struct.Struct(">I")
_NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970
_KEY_FLAGS = 0x0200_0000  # depends on no other
_DELTA_FLAGS = 0x0101_0000  # depends on others, and is no place to start

# A fragment is one prft, one moof with one traf of one sample, and the head of the mdat: constant but for ten numbers.
_NUMBERED = struct.Struct(">16sQQ20sI36sQ20sIIII4s")
_SHIFTED = struct.Struct(">16sQQ20sI36sQ20sIIIII4s")  # the same, and the distance from decoding to showing


def _constant(track: int, *, shifted: bool = False) -> tuple[bytes, bytes, bytes, bytes]:
    """What stands before each group of numbers."""
    prft, mfhd, tfhd, tfdt, trun = 32, 16, 16, 20, 36 if shifted else 32
    traf = 8 + tfhd + tfdt + trun
    moof = 8 + mfhd + traf
    sample = 0x0000_0F01 if shifted else 0x0000_0701  # its duration, size and flags, and perhaps the distance
    return (
        struct.pack(">I4sII", prft, b"prft", 0x0100_0008, track),  # version 1, flags 8; then NTP time and media time
        struct.pack(">I4sI4sI", moof, b"moof", mfhd, b"mfhd", 0),  # then the sequence number
        struct.pack(">I4sI4sIII4sI", traf, b"traf", tfhd, b"tfhd", 0x0002_0000, track, tfdt, b"tfdt", 0x0100_0000),
        struct.pack(">I4sIII", trun, b"trun", sample, 1, moof + 8),  # where the data begin
    )


_VIDEO, _LATER_VIDEO, _AUDIO = _constant(VIDEO_TRACK), _constant(VIDEO_TRACK, shifted=True), _constant(AUDIO_TRACK)


def fragment(
    sequence: int, decode_time: int, duration: int, key: bool, received: float, data: bytes, offset: int = 0
) -> bytes:
    """One picture, shown `offset` ticks after its decode time. `data` are NAL units behind their lengths, `received` is
    Unix time."""
    size = len(data)
    ntp = int((received + _NTP_EPOCH) * 0x1_0000_0000)
    flags = _KEY_FLAGS if key else _DELTA_FLAGS
    sequence &= 0xFFFF_FFFF
    if offset:
        prft, moof, traf, trun = _LATER_VIDEO
        shown, end = decode_time + offset, 8 + size
        later = (trun, duration, size, flags, offset, end, b"mdat")
        return _SHIFTED.pack(prft, ntp, shown, moof, sequence, traf, decode_time, *later) + data
    prft, moof, traf, trun = _VIDEO
    sample = (trun, duration, size, flags, 8 + size, b"mdat")
    return _NUMBERED.pack(prft, ntp, decode_time, moof, sequence, traf, decode_time, *sample) + data


# Where the numbers of a picture's fragment stand, with or without a distance to its showing.
_PRFT_TRACK, _PRFT_TIME, _TFDT_TIME, _DURATION = 12, 24, 92, 120


def is_picture(piece: bytes) -> bool:
    return int.from_bytes(piece[_PRFT_TRACK : _PRFT_TRACK + 4], "big") == VIDEO_TRACK


def place_of(picture: bytes) -> tuple[int, int]:
    """Its decode time and its duration."""
    decode_time = int.from_bytes(picture[_TFDT_TIME : _TFDT_TIME + 8], "big")
    return decode_time, int.from_bytes(picture[_DURATION : _DURATION + 4], "big")


def placed(picture: bytes, decode_time: int, duration: int) -> bytes:
    """The same picture elsewhere on the timeline."""
    moved = bytearray(picture)
    shown = int.from_bytes(picture[_PRFT_TIME : _PRFT_TIME + 8], "big") + decode_time - place_of(picture)[0]
    struct.pack_into(">Q", moved, _PRFT_TIME, shown)
    struct.pack_into(">Q", moved, _TFDT_TIME, decode_time)
    struct.pack_into(">I", moved, _DURATION, duration)
    return bytes(moved)


def audio_fragment(sequence: int, decode_time: int, duration: int, received: float, data: bytes) -> bytes:
    """One piece of sound; times are in samples."""
    size = len(data)
    ntp = int((received + _NTP_EPOCH) * 0x1_0000_0000)
    prft, moof, traf, trun = _AUDIO
    sample = (trun, duration, size, _KEY_FLAGS, 8 + size, b"mdat")
    return _NUMBERED.pack(prft, ntp, decode_time, moof, sequence & 0xFFFF_FFFF, traf, decode_time, *sample) + data


# --- The init segment -------------------------------------------------------------------------------------------------
def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return _U32.pack(8 + len(body)) + kind + body


def _full_box(kind: bytes, version_and_flags: int, *parts: bytes) -> bytes:
    return _box(kind, _U32.pack(version_and_flags), *parts)


def _u16(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def _u32(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


_UNITY_MATRIX = _u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_FULL_VOLUME = 0x0100


def init_segment(video: VideoTrack, audio: AudioTrack | None = None) -> bytes:
    """What a decoder must know before the first fragment."""
    tracks = [
        _track(
            VIDEO_TRACK,
            CLOCK_RATE,
            _full_box(b"hdlr", 0, _u32(0), b"vide", bytes(12), b"video\0"),
            _full_box(b"vmhd", 1, _u16(0, 0, 0, 0)),
            _video_entry(video),
            size=(video.width, video.height),
        )
    ]
    if audio is not None:
        tracks.append(
            _track(
                AUDIO_TRACK,
                audio.rate,
                _full_box(b"hdlr", 0, _u32(0), b"soun", bytes(12), b"sound\0"),
                _full_box(b"smhd", 0, _u16(0, 0)),
                _mp4a(audio),
                volume=_FULL_VOLUME,
            )
        )
    numbers = range(1, len(tracks) + 1)
    movie = _full_box(
        b"mvhd",
        0,
        _u32(0, 0, CLOCK_RATE, 0, 0x10000),
        _u16(_FULL_VOLUME, 0),
        bytes(8),
        _UNITY_MATRIX,
        bytes(24),
        _u32(len(tracks) + 1),  # the next track's number
    )
    extends = _box(b"mvex", *(_full_box(b"trex", 0, _u32(number, 1, 0, 0, 0)) for number in numbers))
    return _box(b"ftyp", b"iso6", _u32(0), b"iso6", b"mp41") + _box(b"moov", movie, *tracks, extends)


def _track(
    number: int,
    rate: int,
    handler: bytes,
    media_header: bytes,
    entry: bytes,
    *,
    size: tuple[int, int] = (0, 0),
    volume: int = 0,
) -> bytes:
    header = _full_box(
        b"tkhd",
        0x0000_0003,  # enabled, in the movie
        _u32(0, 0, number, 0, 0),
        bytes(8),
        _u16(0, 0, volume, 0),
        _UNITY_MATRIX,
        _u32(size[0] << 16, size[1] << 16),
    )
    media = _box(
        b"mdia",
        _full_box(b"mdhd", 0, _u32(0, 0, rate, 0), _u16(0x55C4, 0)),  # language "und"
        handler,
        _box(
            b"minf",
            media_header,
            _box(b"dinf", _full_box(b"dref", 0, _u32(1), _full_box(b"url ", 1))),
            _box(
                b"stbl",
                _full_box(b"stsd", 0, _u32(1), entry),
                _full_box(b"stts", 0, _u32(0)),
                _full_box(b"stsc", 0, _u32(0)),
                _full_box(b"stsz", 0, _u32(0, 0)),
                _full_box(b"stco", 0, _u32(0)),
            ),
        ),
    )
    return _box(b"trak", header, media)


# hvc1, not hev1: parameter sets stand here alone, as some browsers insist.
_ENTRIES = {"h264": (b"avc1", b"avcC"), "h265": (b"hvc1", b"hvcC")}


def _video_entry(track: VideoTrack) -> bytes:
    kind, configuration = _ENTRIES[track.kind]
    return _box(
        kind,
        bytes(6),
        _u16(1),  # data reference
        bytes(16),
        _u16(track.width, track.height),
        _u32(0x0048_0000, 0x0048_0000, 0),  # 72 dpi
        _u16(1),  # frames per sample
        bytes(32),  # no compressor's name
        _u16(24, 0xFFFF),  # colour, no colour table
        _box(configuration, track.config),
    )


def _mp4a(track: AudioTrack) -> bytes:
    decoder = _descriptor(
        0x04,
        bytes((0x40, 0x15)),  # AAC; an audio stream
        bytes(11),  # sizes of its buffer and rates: not told
        _descriptor(0x05, track.config),
    )
    stream = _descriptor(0x03, bytes(3), decoder, _descriptor(0x06, b"\x02"))  # 2: as MP4 files have it
    return _box(
        b"mp4a",
        bytes(6),
        _u16(1),  # data reference
        bytes(8),
        _u16(track.channels, 16, 0, 0),  # bits per sample
        _u32(min(track.rate, 0xFFFF) << 16),  # what does not fit stands in the configuration
        _full_box(b"esds", 0, stream),
    )


def _descriptor(tag: int, *parts: bytes) -> bytes:
    """ISO/IEC 14496-1, 8.3.3; none of ours has 128 bytes."""
    body = b"".join(parts)
    return bytes((tag, len(body))) + body
