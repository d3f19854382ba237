"""Section 7, additional information: what the recorder tells of a picture or sound in RTP header extensions, in the
comments before a JPEG and before what it plays.

    id, 2 bytes | length, 2 bytes, of all of it | data
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from PIL import Image

from simulators.ipro.records import Zone

H264, H265, JPEG = "H264", "H265", "JPEG"
COMPRESSION = {H264: 3, H265: 4}
LIVE = 1
PLAYED = {
    "PLAY": 2,
    "GOTODATE": 2,
    "BPLAY": 3,
    "FF": 4,
    "REW": 5,
    "PAUSE": 6,
    "NEXTFRAME": 7,
    "PREVFRAME": 8,
}
"""What 0x000D tells of each command."""
SIGN_BIT, SUMMER_BIT = 0x80, 0x40  # of "TZ info": the text has lost their places
COMMENT = b"\xff\xd8\xff\xfe"
CAMERAS_OWN = 0x8001  # the document does not say what a camera writes about itself: an id it does not list
PLACEHOLDER_SIZE = (39, 37)
PLACEHOLDER_BYTES = 701


@dataclass(frozen=True)
class Shot:
    """A picture of a camera, as far as the recorder tells of it."""

    camera: int
    compression: str
    wall: float
    size: int
    rate: Fraction


def short(shot: Shot, zone: Zone) -> bytes:
    """What recorders tell of each picture: camera and time."""
    return _word(0x0004, shot.camera) + _time(0x0007, shot.wall, zone) + _hundredths(0x000A, shot.wall)


def all_of_it(shot: Shot, zone: Zone) -> bytes:
    """Every id of 7.1.1, in its order."""
    return b"".join(
        (
            _word(0x0004, shot.camera),
            _word(0x0005, COMPRESSION.get(shot.compression, 0)),
            _entry(0x0006, struct.pack("!I", shot.size)),
            _time(0x0007, shot.wall, zone),
            _word(0x0008, 1),
            _word(0x0009, round(10 * shot.rate)),
            _hundredths(0x000A, shot.wall),
            _entry(0x000B, bytes(8)),
            _word(0x000C, 1),
            _entry(0x000D, bytes((LIVE, 0, 0, 0))),
            of_the_camera(shot.wall, zone),
            _word(0x0027, 0),
            _word(0x0028, 0),
            _word(0x0029, 0),
        )
    )


@dataclass(frozen=True)
class Played:
    """What the recorder tells of a unit of pictures that it plays."""

    camera: int
    compression: str
    start: Fraction
    size: int
    """Bytes of all its pictures."""
    pictures: int
    rate: int
    command: str
    speed: int
    long_term: int = 0
    """0x0028: whether the stream has long-term reference pictures, and whether this unit has one."""
    show: int = 0
    """0x0029: 1 its first picture is to be shown, 2 it is not."""


def played(told: Played, zone: Zone) -> bytes:
    """Every id that 7.1.1 marks for playback, in its order."""
    return b"".join(
        (
            _word(0x0004, told.camera),
            _word(0x0005, COMPRESSION.get(told.compression, 0)),
            _entry(0x0006, struct.pack("!I", told.size)),
            _time(0x0007, told.start, zone),
            _word(0x0008, told.pictures),
            _word(0x0009, 10 * told.rate),
            _hundredths(0x000A, told.start),
            _entry(0x000B, bytes(8)),
            _word(0x000C, int(told.pictures > 0)),
            _entry(0x000D, bytes((PLAYED[told.command], told.speed, 0, 0))),
            _word(0x0027, 1),
            _word(0x0028, told.long_term),
            _word(0x0029, told.show),
        )
    )


def from_the_camera(moment: Fraction, zone: Zone) -> bytes:
    """What an i-PRO camera writes beside each picture that is recorded: its time, and what only cameras understand."""
    return of_the_camera(moment, zone) + _entry(CAMERAS_OWN, b"camera" + bytes(2))


def of_the_camera(wall: float | Fraction, zone: Zone) -> bytes:
    """The camera's own time, which is all the recorder tells of live sound."""
    return _time(0x0011, wall, zone) + _hundredths(0x0012, wall)


def comments(recorder: bytes, camera: bool) -> bytes:
    """What stands before a JPEG: the recorder's comment and perhaps the camera's, each with a start of its own."""
    return _comment(recorder) + (_comment(_entry(CAMERAS_OWN, b"camera" + bytes(2))) if camera else b"")


@cache
def placeholder() -> bytes:
    """The picture a recorder shows for a camera that sends it no JPEG."""
    file = io.BytesIO()
    Image.new("L", PLACEHOLDER_SIZE, 40).save(file, "JPEG", quality=50)
    picture = file.getvalue()
    filler = PLACEHOLDER_BYTES - len(picture)
    return picture[:2] + b"\xff\xfe" + struct.pack("!H", filler - 2) + bytes(filler - 4) + picture[2:]


def _comment(entries: bytes) -> bytes:
    return COMMENT + struct.pack("!H", len(entries) + 2) + entries


def _entry(identifier: int, data: bytes) -> bytes:
    return struct.pack("!HH", identifier, len(data) + 4) + data


def _word(identifier: int, value: int) -> bytes:
    return _entry(identifier, struct.pack("!HH", value, 0))


def packed_time(moment: Fraction, zone: Zone, *, first: int) -> bytes:
    """Seconds, and then a byte of one's own, hours and minutes of the zone, and TZ info."""
    hours, minutes = divmod(abs(zone.minutes), 60)
    zone_bits = (SIGN_BIT if zone.minutes < 0 else 0) | (SUMMER_BIT if zone.summer else 0)
    return struct.pack("!IBBBB", int(moment), first, hours, minutes, zone_bits)


def _time(identifier: int, wall: float | Fraction, zone: Zone) -> bytes:
    return _entry(identifier, struct.pack("!I", int(wall)) + zone_bytes(zone))


def zone_bytes(zone: Zone) -> bytes:
    """Sign, hours and minutes, summer time: a byte each."""
    hours, minutes = divmod(abs(zone.minutes), 60)
    return bytes((zone.minutes < 0, hours, minutes, zone.summer))


def _hundredths(identifier: int, wall: float | Fraction) -> bytes:
    return _word(identifier, int(wall % 1 * 100))
