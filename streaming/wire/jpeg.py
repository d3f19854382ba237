"""JPEG pictures (ITU-T T.81, annex B) as cameras send them → pictures that every browser shows.

    SOI  segment …  SOF  segment …  SOS  coded data  EOI          segment: [FF kind][length, with itself][…]

`repair` walks the segments and gives back one clean picture: from the last SOI before the scan to the first EOI after
it. Comments are taken out and handed over, since recorders put information in them (see `ipro_info`).

Tolerated, because cameras do it:
- line ends or other bytes in front; a chain of SOI and comment before the picture (i-PRO), which browsers refuse;
- no Huffman tables, as in MJPEG: the standard ones (annex K.3) are put in;
- no EOI: it is put behind; and anything after it, which is cut off;
- a segment whose length is wrong: the next SOI, if there is one before the scan, begins anew.

Not accepted: pictures coded in ways that browsers do not show (lossless, arithmetic), without a size, or without a
scan. Limits: MAX_SIZE bytes, MAX_SEGMENTS segments before the scan. How large a picture must be to be one is for the
caller to say: a recorder answers 39×37 where a camera has no JPEG.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from streaming.wire import Malformed

MAX_SIZE = 16 * 1024 * 1024
MAX_SEGMENTS = 256
MAX_COMMENTS = 16

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_SOF_SHOWN = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive
_SOF_OTHER = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_DHT, _SOS, _COMMENT = 0xC4, 0xDA, 0xFE
# In coded data FF is followed by 00, by a restart marker, or by more FF; anything else is a marker.
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class Jpeg(NamedTuple):
    data: bytes
    width: int
    height: int
    comments: tuple[bytes, ...]  # in their order, also those of the chain in front
    whole: bool  # it ended as it should; otherwise it may have been cut off


def repair(data: bytes) -> Jpeg:
    size = len(data)
    if size > MAX_SIZE:
        raise Malformed(f"a JPEG picture of {size} bytes")
    begin = at = _next_picture(data, 0)
    at += 2
    comments: list[bytes] = []
    kept: list[bytes] = []  # segments before the scan
    untouched = True  # so far the picture can stay as it is
    width = height = 0
    tables = False
    for _ in range(MAX_SEGMENTS):
        if at + 4 > size:
            raise Malformed("a JPEG picture without a scan")
        kind = data[at + 1]
        if data[at] != 0xFF or kind in (0x00, 0xD8, 0xD9) or 0xD0 <= kind <= 0xD7:
            # Another beginning; or a length led astray, and the next beginning is looked for.
            begin = at = _next_picture(data, at)
            at += 2
            kept, untouched, width, height, tables = [], True, 0, 0, False
            continue
        if kind in (0x01, 0xFF):  # without a length: filling
            at += 1 if kind == 0xFF else 2
            continue
        end = at + 2 + (data[at + 2] << 8 | data[at + 3])
        if kind == _SOS:
            break
        if kind == _COMMENT:
            untouched = False
            if len(comments) < MAX_COMMENTS:
                comments.append(data[at + 4 : end])
            at = end
            continue
        if kind in _SOF_SHOWN and at + 9 <= size:
            height, width = data[at + 5] << 8 | data[at + 6], data[at + 7] << 8 | data[at + 8]
        elif kind in _SOF_OTHER:
            raise Malformed(f"JPEG coding {kind:02X}, which browsers do not show")
        tables = tables or kind == _DHT
        kept.append(data[at:end])
        at = end
    else:
        raise Malformed("a JPEG picture of too many segments")
    if not (width and height):
        raise Malformed("a JPEG picture without a size")
    finish, whole = _end_of_scans(data, at)
    if finish <= at:
        raise Malformed("a JPEG picture without a scan")
    if untouched and tables and whole and begin == 0 and finish == size:
        return Jpeg(data, width, height, tuple(comments), True)
    clean = b"".join((_SOI, *kept, b"" if tables else STANDARD_TABLES, data[at:finish], b"" if whole else _EOI))
    return Jpeg(clean, width, height, tuple(comments), whole)


def _next_picture(data: bytes, at: int) -> int:
    found = data.find(_SOI, at)
    if found < 0:
        raise Malformed("no JPEG picture begins here")
    return found


def _end_of_scans(data: bytes, at: int) -> tuple[int, bool]:
    """Where the picture ends, EOI included, and whether it has one. A progressive picture has several scans."""
    while True:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if at + 4 > len(data) or end > len(data):
            return at, False  # cut off within the segment that begins here
        at = end
        found = _MARKER_IN_SCAN.search(data, at)
        if found is None:
            # A lone FF at the very end would make the EOI behind it unreadable.
            return len(data.rstrip(b"\xff")), False
        at = found.start()
        if data[at + 1] == 0xD9:
            return at + 2, True
        if data[at + 1] == 0xD8:
            return at, False  # the next picture begins without this one having ended


# --- The standard Huffman tables (T.81, annex K.3) --------------------------------------------------------------------
def _table(number: int, counts: str, values: bytes) -> bytes:
    """`counts`: how many codes there are of 1 … 16 bits."""
    return bytes((number, *map(int, counts.split()))) + values


_DC_VALUES = bytes(range(12))
_LUMA_AC = bytes.fromhex(
    "01020300041105122131410613516107227114328191A1082342B1C11552D1F02433627282090A161718191A25262728292A3435363738393A"
    "434445464748494A535455565758595A636465666768696A737475767778797A838485868788898A92939495969798999AA2A3A4A5A6A7A8A9AA"
    "B2B3B4B5B6B7B8B9BAC2C3C4C5C6C7C8C9CAD2D3D4D5D6D7D8D9DAE1E2E3E4E5E6E7E8E9EAF1F2F3F4F5F6F7F8F9FA"
)
_CHROMA_AC = bytes.fromhex(
    "000102031104052131061241510761711322328108144291A1B1C109233352F0156272D10A162434E125F11718191A262728292A35363738393A"
    "434445464748494A535455565758595A636465666768696A737475767778797A82838485868788898A92939495969798999AA2A3A4A5A6A7A8A9AA"
    "B2B3B4B5B6B7B8B9BAC2C3C4C5C6C7C8C9CAD2D3D4D5D6D7D8D9DAE2E3E4E5E6E7E8E9EAF2F3F4F5F6F7F8F9FA"
)
_TABLES = (
    _table(0x00, "0 1 5 1 1 1 1 1 1 0 0 0 0 0 0 0", _DC_VALUES)
    + _table(0x10, "0 2 1 3 3 2 4 3 5 5 4 4 0 0 1 125", _LUMA_AC)
    + _table(0x01, "0 3 1 1 1 1 1 1 1 1 1 0 0 0 0 0", _DC_VALUES)
    + _table(0x11, "0 2 1 2 4 4 3 4 7 5 4 4 0 1 2 119", _CHROMA_AC)
)
STANDARD_TABLES = b"\xff\xc4" + (2 + len(_TABLES)).to_bytes(2, "big") + _TABLES
