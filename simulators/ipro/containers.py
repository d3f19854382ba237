"""What playback sends, 3.3: a unit of pictures, and about a second of sound.

    pictures (3.3.1)                                      sound (3.3.2)
    FF15 H.264, FF16 H.265 | length, or FFD8FFFE JPEG     FF03 G.711 and G.726, FF13 AAC | camera
         recorder's and first picture's information            size of the data
    12 reserved                                           FF12 | 003C, of FF13 alone: with FF03 four zeros
    FF06 | 0044, GOP and PIC information                       start, end, zones, codec, 28 reserved
    FF05 | padding, length, 16 reserved, picture          data; of AAC in units of FF14 | length, padding, AU info
    information, FF05 ..., for each other picture
                                                          padded to 4096

Readings. The text does not tell from where a length counts, and its figures have lost their arrows: here every length
counts the two words of its own header and everything up to the end of what it belongs to. FF15 thus ends with the
information, before the 12 reserved bytes; FF05 with the padding after its picture; the comment of a JPEG counts its own
two bytes, as JPEG does. Another reading of each is an oddity (`LENGTHS`, `ODDITIES`). "GOP end" is the time of its last
picture. The data of sound is counted without its header and without the padding at the end.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction

from simulators.ipro import information
from simulators.ipro.archive import hundredths
from simulators.ipro.information import H264, H265, JPEG, Played
from simulators.ipro.records import Zone
from simulators.rtp import aac_payload

PAGE = 4096
CHUNK = {H264: b"\xff\x15", H265: b"\xff\x16", JPEG: b"\xff\xd8\xff\xfe"}
START_CODE = b"\x00\x00\x00\x01"
PACKET_HEADER, AUDIO_HEADER = 24, 68
RESERVED = 12
AAC, G711, G726 = "aac", "g711", "g726"

LENGTHS = {
    # How much less than from FF05 to the end of the padding; the last one leaves the padding out as well.
    "packet-length-after": 8,
    "packet-length-own": 16,
    "packet-length-data": PACKET_HEADER,
    "packet-length-unpadded": PACKET_HEADER,
}
ODDITIES = {
    "chunk-length-bare": "the length of FF15 and FF16 does not count its own four bytes, that of a JPEG not its two",
    "chunk-length-reserved": "the length of FF15, FF16 and FFD8FFFE counts the 12 reserved bytes, too",
    "packet-length-after": "the length of FF05 counts what comes after it, from its 16 reserved bytes on",
    "packet-length-own": "the length of FF05 counts its header, but for the 16 reserved bytes, and the picture",
    "packet-length-data": "the length of FF05 counts the picture and its padding",
    "packet-length-unpadded": "the length of FF05 counts the picture alone",
    "gop-ends-with-the-next": "the end of a GOP is when the next one begins",
    "no-camera-information": "no camera adds information to its recorded pictures",
    "short-audio-header": "the header of G.711 and G.726 leaves the omitted word out: it has 64 bytes",
    "audio-size-whole": "the audio data size counts the header, too",
    "audio-zero-first": "0x00 stands before the sound: of AAC before each unit",
    "au-length-bare": "the length of FF14 does not count its own four bytes",
    "au-id-ff04": "units of AAC begin with FF04, as the note says, not with FF14, as the table does",
    "au-header": "units of AAC have an AU header, and say so",
}
"""What recorders may do otherwise, where the document can be read in two ways."""


def pictures(
    told: Played,
    images: Sequence[bytes],
    times: Sequence[Fraction],
    zone: Zone,
    *,
    end: Fraction,
    from_camera: bool,
    oddities: frozenset[str],
) -> bytes:
    """`times` of the images; `end`: when what comes next begins."""
    if "no-camera-information" in oddities:
        from_camera = False

    def own(index: int) -> bytes:
        return information.from_the_camera(times[index], zone) if from_camera and images else b""

    body = _chunk(CHUNK[told.compression], information.played(told, zone) + own(0), oddities)
    body += bytes(RESERVED)
    last = end if "gop-ends-with-the-next" in oddities or not times else times[-1]
    body += b"\xff\x06\x00\x44" + bytes(16) + _moment(last, zone) + _moment(told.start, zone)
    body += bytes(16) + struct.pack("!IB", int(told.start), hundredths(told.start) % 100) + bytes(3 + 8)
    for index, image in enumerate(images):
        body += (own(index) if index else b"") + _packet(image, oddities)
    return _paged(body)


def annex_b(units: Sequence[bytes]) -> bytes:
    return b"".join(START_CODE + unit for unit in units)


def sound(
    codec: str,
    camera: int,
    units: Sequence[bytes],
    start: Fraction,
    end: Fraction,
    zone: Zone,
    *,
    oddities: frozenset[str],
) -> bytes:
    """`codec` as sound.py names it."""
    aac = codec == AAC
    zero = b"\x00" if "audio-zero-first" in oddities else b""
    data = (
        b"".join(_unit(unit, zero, oddities) for unit in units) if aac else (zero + b"".join(units) if units else b"")
    )
    short = "short-audio-header" in oddities and not aac
    header = AUDIO_HEADER - 4 * short
    size = len(data) + (header if "audio-size-whole" in oddities else 0)
    body = (b"\xff\x13" if aac else b"\xff\x03") + struct.pack("!HI", camera, size)
    if not short:
        body += b"\xff\x12\x00\x3c" if aac else bytes(4)
    kind = bytes((codec.startswith(G711), 0, 0, 0)) if not aac else bytes(4)
    body += information.packed_time(start, zone, first=0)
    body += struct.pack("!I", int(end)) + bytes(4) + information.zone_bytes(zone) + kind + bytes(4 + 28)
    return _paged(body + data)


def _chunk(mark: bytes, content: bytes, oddities: frozenset[str]) -> bytes:
    own = 2 if mark == CHUNK[JPEG] else 4
    length = len(content) + (0 if "chunk-length-bare" in oddities else own)
    if "chunk-length-reserved" in oddities:
        length += RESERVED
    return mark + struct.pack("!H", length) + content


def _packet(image: bytes, oddities: frozenset[str]) -> bytes:
    padding = -len(image) % 4
    length = PACKET_HEADER + len(image) + padding
    for name in LENGTHS.keys() & oddities:
        length -= LENGTHS[name]
    if "packet-length-unpadded" in oddities:
        length -= padding
    return struct.pack("!HHI", 0xFF05, padding, length) + bytes(16) + image + bytes(padding)


def _unit(unit: bytes, zero: bytes, oddities: frozenset[str]) -> bytes:
    with_header = "au-header" in oddities
    data = zero + (aac_payload(unit, "rfc3640") if with_header else unit)
    padding = -len(data) % 4
    length = len(data) + padding + (4 if "au-length-bare" in oddities else 8)
    mark = 0xFF04 if "au-id-ff04" in oddities else 0xFF14
    return struct.pack("!HHBBH", mark, length, padding, with_header, 0) + data + bytes(padding)


def _moment(moment: Fraction, zone: Zone) -> bytes:
    return information.packed_time(moment, zone, first=hundredths(moment) % 100)


def _paged(body: bytes) -> bytes:
    return body + bytes(-len(body) % PAGE)
