"""H.264 over RTP (RFC 6184, packetization modes 0 and 1) → access units; and what a sequence parameter set tells.

    single NAL unit   [NAL header][…]                              types 1–23
    STAP-A            [24][size, 2 bytes][NAL unit][size][NAL unit]…
    FU-A              [28][S E R type][part of a NAL unit without its header]

How units are put together, and when one is dropped: `nal`. A key picture is an IDR; SPS and PPS must be known.

Tolerated: STAP-A around parameter sets or slices; parameter sets sent once or with each key picture, whole or in FU-A,
or only in SDP; a missing marker; a sender that starts over; packets without content; usage information (VUI) cut off or
wrong. Not accepted: interleaved modes (STAP-B, MTAP, FU-B), which no device we know uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streaming.media import VideoTrack
from streaming.wire import Malformed
from streaming.wire.bits import Bits
from streaming.wire.nal import MAX_PPS, MAX_SIDE, SHORT, Assembler

IDR, SPS, PPS, DELIMITER = 5, 7, 8, 9


class Depacketizer(Assembler):
    HEADER, SHIFT, MASK = 1, 0, 0x1F
    AGGREGATE, FRAGMENT = 24, 28
    PLAIN = frozenset(range(24))
    KEYS = frozenset({IDR})
    SLICES = frozenset({1})
    SETS = frozenset({SPS, PPS})
    DROPPED = frozenset({0, DELIMITER, 10, 11, 12})  # of no type, delimiter, end of sequence, end of stream, filler
    BEGINNINGS = frozenset({SPS, DELIMITER})

    def __init__(self) -> None:
        super().__init__()
        self._sps = b""
        self._pps: dict[int, bytes] = {}

    def _learn(self, kind: int, nal: bytes) -> bool:
        if kind == SPS:
            if nal == self._sps:
                return False
            parse_sps(nal)
            self._sps = nal
            return True
        number = Bits(nal[1:]).ue()
        if self._pps.get(number) == nal:
            return False
        if number not in self._pps and len(self._pps) >= MAX_PPS:
            raise Malformed("too many picture parameter sets")
        self._pps[number] = nal
        return True

    def _described(self) -> VideoTrack | None:
        if not self._sps or not self._pps:
            return None
        info = parse_sps(self._sps)
        config = configuration(self._sps, tuple(self._pps.values()), info)
        return VideoTrack("h264", info.codec, info.width, info.height, config, info.reorder)


_PROFILES_WITH_DEPTHS = frozenset({100, 110, 122, 144})  # of which avcC says more (ISO/IEC 14496-15, 5.3.3.1)


def configuration(sps: bytes, pps: Sequence[bytes], info: SpsInfo) -> bytes:
    """The decoder configuration record, avcC (ISO/IEC 14496-15, 5.3.3.1.2)."""
    parts = [bytes((1, sps[1], sps[2], sps[3], 0xFF, 0xE1)), SHORT.pack(len(sps)), sps, bytes((len(pps),))]
    for each in pps:
        parts += (SHORT.pack(len(each)), each)
    if sps[1] in _PROFILES_WITH_DEPTHS:
        parts.append(bytes((0xFC | info.chroma_format, 0xF8 | info.luma_depth - 8, 0xF8 | info.chroma_depth - 8, 0)))
    return b"".join(parts)


# --- Sequence parameter sets (H.264, sections 7.3.2.1.1 and E.1) ------------------------------------------------------
@dataclass(frozen=True, slots=True)
class SpsInfo:
    codec: str
    width: int
    height: int
    chroma_format: int
    luma_depth: int
    chroma_depth: int
    reorder: int  # pictures decoded ahead of one that is shown before them; 0 also when it does not tell


_EXTENDED_SAR = 255
MAX_REORDER = 16
_WITH_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def parse_sps(nal: bytes) -> SpsInfo:
    if len(nal) < 4 or nal[0] & 0x1F != SPS:
        raise Malformed("this is no sequence parameter set")
    profile = nal[1]
    bits = Bits(nal[4:])
    bits.ue()  # seq_parameter_set_id
    chroma, separate_planes = 1, 0
    luma_depth = chroma_depth = 8
    if profile in _WITH_CHROMA:
        chroma = bits.ue()
        if chroma > 3:
            raise Malformed(f"chroma format {chroma}")
        if chroma == 3:
            separate_planes = bits.u(1)
        luma_depth, chroma_depth = 8 + bits.ue(), 8 + bits.ue()
        if max(luma_depth, chroma_depth) > 14:
            raise Malformed(f"samples of {luma_depth} and {chroma_depth} bits")
        bits.u(1)  # lossless flag
        if bits.u(1):
            for index in range(8 if chroma != 3 else 12):
                if bits.u(1):
                    _skip_scaling_list(bits, 16 if index < 6 else 64)
    bits.ue()  # log2_max_frame_num_minus4
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.u(1)
        bits.se()
        bits.se()
        cycle = bits.ue()
        if cycle > 255:
            raise Malformed(f"{cycle} reference frames in a cycle")
        for _ in range(cycle):
            bits.se()
    elif order != 2:
        raise Malformed(f"picture order count type {order}")
    bits.ue()
    bits.u(1)  # reference frames, gaps allowed
    columns, rows = bits.ue() + 1, bits.ue() + 1
    frames_only = bits.u(1)
    if not frames_only:
        bits.u(1)
    bits.u(1)  # direct_8x8_inference_flag
    left = right = top = bottom = 0
    if bits.u(1):
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
    array_type = 0 if separate_planes else chroma
    unit_x = 2 if array_type in (1, 2) else 1
    unit_y = (2 if array_type == 1 else 1) * (2 - frames_only)
    width = 16 * columns - unit_x * (left + right)
    height = 16 * rows * (2 - frames_only) - unit_y * (top + bottom)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise Malformed(f"a picture of {width}×{height}")
    # With order type 2 the order of decoding is the order of showing.
    reorder = 0 if order == 2 else _reorder(bits)
    return SpsInfo(f"avc1.{nal[1:4].hex()}", width, height, chroma, luma_depth, chroma_depth, reorder)


def _reorder(bits: Bits) -> int:
    """The last but one thing that the usage information (VUI, E.1.1) tells, if it tells it and if it makes sense."""
    try:
        if not bits.u(1):
            return 0
        if bits.u(1) and bits.u(8) == _EXTENDED_SAR:
            bits.u(32)
        if bits.u(1):  # overscan
            bits.u(1)
        if bits.u(1):  # video signal: format, full range
            bits.u(4)
            if bits.u(1):  # colours
                bits.u(24)
        if bits.u(1):  # where chroma samples stand
            bits.ue()
            bits.ue()
        if bits.u(1):  # timing
            bits.u(65)
        models = _skip_hrd(bits) + _skip_hrd(bits)
        if models:
            bits.u(1)  # low delay
        bits.u(1)  # picture structure in SEI
        if not bits.u(1):
            return 0
        bits.u(1)  # motion vectors over boundaries
        for _ in range(4):  # sizes of pictures, blocks and vectors
            bits.ue()
        reorder = bits.ue()
        return reorder if reorder <= min(bits.ue(), MAX_REORDER) else 0
    except Malformed:
        return 0


def _skip_hrd(bits: Bits) -> int:
    if not bits.u(1):
        return 0
    count = bits.ue() + 1
    if count > 32:
        raise Malformed(f"{count} buffer models")
    bits.u(8)
    for _ in range(count):
        bits.ue()
        bits.ue()
        bits.u(1)
    bits.u(20)
    return 1
