"""Section 7, additional information: what the recorder tells of a picture or sound in RTP header extensions and in the
comments before a JPEG.

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


def of_the_camera(wall: float, zone: Zone) -> bytes:
    """The camera's own time, which is all the recorder tells of sound."""
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


def _time(identifier: int, wall: float, zone: Zone) -> bytes:
    hours, minutes = divmod(abs(zone.minutes), 60)
    return _entry(identifier, struct.pack("!IBBBB", int(wall), zone.minutes < 0, hours, minutes, zone.summer))


def _hundredths(identifier: int, wall: float) -> bytes:
    return _word(identifier, int(wall % 1 * 100))
