"""Slices of H.264 written by hand, so that each picture of a clip shows its own number and nothing is encoded for it.

Strategy: a clip repeats one group of pictures, whose middle was encoded once (see film.py). What differs from picture
to picture are slices of their own, above and below the middle: the band with the clip's name, and the strip that a
program can read. A slice is independent of its neighbours, so one may be replaced as long as its header belongs to the
picture it is put into.

Contract: the stream is x264's with CAVLC, one reference picture, no B pictures, no weighting, no interlace and no
deblocking; `Headers` refuses any other. Slices are NAL units without start code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from simulators.picture import STRIP_BLOCKS, strip_bits

P, I = 5, 7  # noqa: E741 -- slice types that say: the whole picture is of this type
IDR = 5  # type of a NAL unit
_LONGEST_HEADER = 64  # bytes: many times what one has
_EMULATED = re.compile(rb"\x00\x00(?=[\x00-\x03])")
_PREVENTED = re.compile(rb"\x00\x00\x03")

# The strip's blocks are flat: each macroblock is predicted from the one on its left (or above), and where the colour
# changes one DC level says by how much. With quantiser 36 a DC level is two and a half steps of luma.
STRIP_QUANTISER = 36
_FROM_GREY = {0: -45, 1: 43}  # 128 to 16, and to 236
_CHANGE = {0: -88, 1: 88}
_VERTICAL, _HORIZONTAL, _FLAT = 1, 2, 3  # mb_type of Intra 16x16 without AC, by its prediction
_NOTHING = "111"  # chroma predicted from DC, no change of quantiser, no luma DC


class Bits:
    """Reads bits of a NAL unit's payload, whose emulation prevention has been taken out."""

    def __init__(self, payload: bytes) -> None:
        self.text = f"{int.from_bytes(payload, 'big'):0{8 * len(payload)}b}" if payload else ""
        self.at = 0

    def u(self, count: int) -> int:
        self.at += count
        return int(self.text[self.at - count : self.at], 2)

    def ue(self) -> int:
        zeros = self.text.index("1", self.at) - self.at
        self.at += zeros
        return self.u(zeros + 1) - 1

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def ue(value: int) -> str:
    code = f"{value + 1:b}"
    return "0" * (len(code) - 1) + code


def se(value: int) -> str:
    return ue(2 * value - 1 if value > 0 else -2 * value)


def unit(reference: int, kind: int, bits: str) -> bytes:
    """A NAL unit of these bits: the stop bit, alignment and emulation prevention are added."""
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    payload = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return bytes([reference << 5 | kind]) + _EMULATED.sub(b"\x00\x00\x03", payload)


def payload_of(nal: bytes) -> bytes:
    return _PREVENTED.sub(b"\x00\x00", nal[1:])


@dataclass(frozen=True)
class Place:
    """Where a slice belongs: what the headers of one picture's slices have in common."""

    reference: int
    kind: int
    frame: int
    idr: int
    order: int

    @property
    def key(self) -> bool:
        return self.kind == IDR


class Headers:
    """Reads and writes the slice headers of a stream with these parameter sets."""

    def __init__(self, sps: bytes, pps: bytes) -> None:
        bits = Bits(payload_of(sps))
        profile = bits.u(8)
        bits.u(16)
        bits.ue()
        if profile >= 100 and (bits.ue(), bits.ue(), bits.ue(), bits.u(1), bits.u(1)) != (1, 0, 0, 0, 0):
            raise ValueError("Only 4:2:0 with 8 bits and flat scaling is understood.")
        self._frame_bits = bits.ue() + 4
        order_type = bits.ue()
        if order_type == 1:
            raise ValueError("Picture order count type 1 is not understood.")
        self._order_bits = bits.ue() + 4 if order_type == 0 else 0
        bits.ue()
        bits.u(1)
        self.columns = bits.ue() + 1
        self.rows = bits.ue() + 1
        if not bits.u(1):
            raise ValueError("Interlaced pictures are not understood.")
        bits = Bits(payload_of(pps))
        bits.ue()
        bits.ue()
        if (bits.u(1), bits.u(1), bits.ue(), bits.ue()) != (0, 0, 0, 0):
            raise ValueError("CABAC, slice groups and more than one reference picture are not understood.")
        bits.ue()
        if bits.u(1) or bits.u(2):
            raise ValueError("Weighted prediction is not understood.")
        self._quantiser = bits.se() + 26
        bits.se()
        bits.se()
        self._deblocking = bits.u(1) == 1
        if not self._deblocking:
            raise ValueError("Without control of deblocking, slices would run into each other.")

    def place(self, nal: bytes) -> Place:
        """The picture a slice belongs to."""
        return self._read(nal[:_LONGEST_HEADER])[0]

    def coded(self, nal: bytes) -> tuple[int, str]:
        """A slice's quantiser and the bits of its macroblocks."""
        return self._read(nal)[1:]

    def _read(self, nal: bytes) -> tuple[Place, int, str]:
        bits = Bits(payload_of(nal))
        reference, kind = nal[0] >> 5, nal[0] & 31
        bits.ue()
        slice_type = bits.ue() % 5
        bits.ue()
        frame = bits.u(self._frame_bits)
        idr = bits.ue() if kind == IDR else 0
        order = bits.u(self._order_bits) if self._order_bits else 0
        if slice_type == P % 5 and bits.u(2):
            raise ValueError("A reordered list of references is not understood.")
        if reference:
            bits.u(2 if kind == IDR else 1)
        quantiser = self._quantiser + bits.se()
        if bits.ue() != 1:
            raise ValueError("Deblocked slices are not understood.")
        return Place(reference, kind, frame, idr, order), quantiser, bits.text[bits.at :].rstrip("0")[:-1]

    def write(self, place: Place, first: int, quantiser: int, macroblocks: str) -> bytes:
        header = ue(first) + ue(I if place.key else P) + ue(0) + f"{place.frame:0{self._frame_bits}b}"
        if place.key:
            header += ue(place.idr)
        if self._order_bits:
            header += f"{place.order:0{self._order_bits}b}"
        if not place.key:
            header += "00"  # the usual number of references, in the usual order
        if place.reference:
            header += "00" if place.key else "0"
        header += se(quantiser - self._quantiser) + ue(1)
        return unit(place.reference, place.kind, header + macroblocks)

    def still(self, place: Place, first: int, count: int) -> bytes:
        """A slice that repeats what the picture before shows there."""
        return self.write(place, first, self._quantiser, ue(count))

    def strip(self, place: Place, seed: int, number: int, first_row: int) -> bytes:
        """The strip of picture.py over all rows from this one on."""
        row = _first_row(self.columns, place.key, strip_bits(seed, number))
        below = _macroblock(_VERTICAL, place.key) + _NOTHING
        rest = below * (self.columns * (self.rows - first_row - 1))
        return self.write(place, first_row * self.columns, STRIP_QUANTISER, row + rest)


@cache
def _macroblock(mb_type: int, key: bool) -> str:
    """In a P slice, intra types come after the five of its own, and each is preceded by 'none skipped'."""
    return ue(mb_type) if key else ue(0) + ue(mb_type + 5)


@cache
def _level(level: int) -> str:
    """One luma DC coefficient: TotalCoeff 1 without trailing ones, an escaped level, no zeros before it."""
    code = (2 * level - 2 if level > 0 else -2 * level - 1) - 2
    return "000101" + "0" * 15 + "1" + f"{code - 30:012b}" + "1"


def _first_row(columns: int, key: bool, blocks: list[int]) -> str:
    """The macroblocks of the strip's first row."""
    pieces = [_macroblock(_FLAT, key), "11", _level(_FROM_GREY[blocks[0]])]
    same = _macroblock(_HORIZONTAL, key) + _NOTHING
    changed = _macroblock(_HORIZONTAL, key) + "11"
    edges = _edges(columns)
    before, at = blocks[0], 1
    for colour, edge in zip(blocks, edges, strict=True):
        if colour != before:
            pieces += (same * (edge - at), changed, _level(_CHANGE[colour]))
            before, at = colour, edge + 1
    pieces.append(same * (columns - at))
    return "".join(pieces)


@cache
def _edges(columns: int) -> list[int]:
    """The macroblock each block of the strip begins with: the one whose middle is in it."""
    return [-(-(2 * columns * block - STRIP_BLOCKS) // (2 * STRIP_BLOCKS)) for block in range(STRIP_BLOCKS)]
