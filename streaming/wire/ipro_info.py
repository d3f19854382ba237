"""Additional information of i-PRO recorders (i-PRO 7), which stands in the RTP header extension of live video and sound
and in comments of live JPEG pictures.

    [id, 2 bytes][length, 2 bytes, with these four][data] …

    0004 camera    0005 compression    0006 size       0007 time       0008 picture    0009 rate    000A time, 10 ms
    000B reserved  000C picture there  000D status     0011, 0012 time and 10 ms by the camera's clock
    0027 start codes                   0028 long-term reference        0029 show the IDR picture

Times are Unix time (UTC); the time zone beside them is for display only. What is not there is None.

Tolerated: any order; ids of later firmware, which are skipped; data longer than documented. A length that does not fit
ends the reading, and `whole` is false: what came before it is good.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

# The items that there are, and how many bytes of data each has at least.
_SIZES = {
    **dict.fromkeys((0x0004, 0x0005, 0x0008, 0x0009, 0x000A, 0x000C, 0x000D, 0x0012, 0x0027, 0x0028, 0x0029), 2),
    0x0006: 4,
    0x0007: 8,
    0x000B: 8,
    0x0011: 8,
}
_COMPRESSIONS = {0x0003: "h264", 0x0004: "h265"}
_HEAD = struct.Struct("!HH")
_WORD = struct.Struct("!H")
_MOMENT = struct.Struct("!IBBBB")  # seconds; sign, hours and minutes of the time zone; summer time


class Playing(IntEnum):
    """What the recorder is doing for this stream (7.1.2, status information)."""

    UNDEFINED = 0x00
    LIVE = 0x01
    PLAYBACK = 0x02
    REVERSE = 0x03
    FAST_FORWARD = 0x04
    FAST_REVERSE = 0x05
    PAUSE = 0x06
    NEXT_IMAGE = 0x07
    PREVIOUS_IMAGE = 0x08
    DOWNLOADING = 0x41
    DOWNLOADED = 0x42


_STATES = frozenset(Playing)


@dataclass(frozen=True, slots=True)
class Moment:
    time: float  # Unix time, with the hundredths if they are told
    offset_minutes: int  # of the recorder's time zone, east of Greenwich
    summer: bool


@dataclass(frozen=True, slots=True)
class Status:
    playing: Playing | int  # an int: a state of later firmware
    speed: int  # steps of fast forward or reverse, 1 … 8; 0: undefined


@dataclass(frozen=True, slots=True)
class Information:
    camera: int | None  # its number in the recorder
    compression: str | None  # h264 or h265
    data_size: int | None
    recorded: Moment | None  # by the recorder's clock
    taken: Moment | None  # by the camera's clock
    picture: int | None  # its number
    rate: float | None  # pictures per second, as set for recording
    has_picture: bool | None
    status: Status | None
    start_codes: bool | None  # NAL units stand behind start codes
    long_term: bool | None  # the stream may use long-term references
    long_term_here: bool | None  # and this group of pictures does
    show_idr: bool | None  # None also: no IDR, or one of a stream to which this does not apply
    whole: bool


def parse(data: bytes) -> Information:
    """From the extension of one RTP packet."""
    return parse_all((data,))


def parse_all(chunks: Iterable[bytes]) -> Information:
    """From the comments of one JPEG: the recorder's, then the camera's. Of an item told twice the first counts."""
    items: dict[int, bytes] = {}
    readable = [_take_apart(chunk, items) for chunk in chunks]

    def word(item: int) -> int | None:
        return _WORD.unpack_from(items[item])[0] if item in items else None

    compression, long_term, show, rate = word(0x0005), word(0x0028), word(0x0029), word(0x0009)
    return Information(
        camera=word(0x0004),
        compression=None if compression is None else _COMPRESSIONS.get(compression),
        data_size=int.from_bytes(items[0x0006][:4], "big") if 0x0006 in items else None,
        recorded=_moment(items.get(0x0007), word(0x000A)),
        taken=_moment(items.get(0x0011), word(0x0012)),
        picture=word(0x0008),
        rate=None if rate is None else rate / 10,
        has_picture=_flag(word(0x000C)),
        status=_status(items.get(0x000D)),
        start_codes=_flag(word(0x0027)),
        long_term=None if long_term is None else long_term in (0x10, 0x11),
        long_term_here=None if long_term is None else long_term == 0x11,
        show_idr=None if show not in (1, 2) else show == 1,
        whole=all(readable),
    )


def _take_apart(data: bytes, items: dict[int, bytes]) -> bool:
    """The items by their ids; whether all of it could be read."""
    at, end = 0, len(data)
    whole = True
    while at + 4 <= end:
        item, length = _HEAD.unpack_from(data, at)
        if length < 4 or at + length > end:
            break
        if item not in _SIZES:
            pass  # of later firmware
        elif length - 4 < _SIZES[item]:
            whole = False
        else:
            items.setdefault(item, data[at + 4 : at + length])
        at += length
    return whole and not any(data[at:])  # a rest of zeros is filling


def _flag(value: int | None) -> bool | None:
    return None if value is None else value == 1


def _moment(data: bytes | None, hundredths: int | None) -> Moment | None:
    if data is None:
        return None
    seconds, west, hours, minutes, summer = _MOMENT.unpack_from(data)
    offset = 60 * hours + minutes
    fraction = hundredths / 100 if hundredths is not None and hundredths < 100 else 0.0
    return Moment(seconds + fraction, -offset if west == 1 else offset, summer == 1)


def _status(data: bytes | None) -> Status | None:
    if data is None:
        return None
    return Status(Playing(data[0]) if data[0] in _STATES else data[0], data[1])
