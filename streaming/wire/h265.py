"""H.265 over RTP (RFC 7798) → access units; and what a sequence parameter set tells.

    single NAL unit          [NAL header, 2 bytes][…]                       types 0–47
    aggregation packet (AP)  [48, 2 bytes][size, 2 bytes][NAL unit][size][NAL unit]…
    fragmentation unit (FU)  [49, 2 bytes][S E type][part of a NAL unit without its header]

How units are put together, and when one is dropped: `nal`. A key picture is any random access point (IRAP: IDR, CRA or
BLA); VPS, SPS and PPS must be known. Where decoding begins at a CRA picture, or at any BLA, the pictures that lead it
(RASL) refer to what came before and cannot be decoded: they are dropped and counted.

Tolerated: everything that `nal` tolerates; joining in the middle of a group (delimiter, PPS and SEI first, VPS and SPS
only with the next key picture); parameter sets only in SDP; layers above the first, which decoders leave out; usage
information (VUI) that makes no sense, since nothing is read from it. Not accepted: decoding order numbers
(sprop-max-don-diff above 0) and PACI packets (50), which no device we know uses.
"""

from __future__ import annotations

from dataclasses import dataclass

from streaming.media import AccessUnit, VideoTrack
from streaming.wire import Malformed
from streaming.wire.bits import Bits
from streaming.wire.nal import MAX_PPS, MAX_SIDE, SHORT, Assembler

VPS, SPS, PPS, DELIMITER = 32, 33, 34, 35
CRA = 21
_BLA = frozenset({16, 17, 18})
_RASL = frozenset({8, 9})


class Depacketizer(Assembler):
    HEADER, SHIFT, MASK = 2, 1, 0x3F
    AGGREGATE, FRAGMENT = 48, 49
    PLAIN = frozenset(range(48))
    KEYS = frozenset(range(16, 24))
    SLICES = frozenset({0, 1})
    SETS = frozenset({VPS, SPS, PPS})
    DROPPED = frozenset({DELIMITER, 36, 37, 38})  # delimiter, end of sequence, end of stream, filler
    BEGINNINGS = frozenset({VPS, SPS, DELIMITER})

    def __init__(self) -> None:
        super().__init__()
        self._vps = b""
        self._sps = b""
        self._pps: dict[int, bytes] = {}
        self._skip_leading = False

    def _learn(self, kind: int, nal: bytes) -> bool:
        if nal[0] & 1 or nal[1] >> 3:
            return False  # of another layer
        if kind == PPS:
            number = Bits(nal[2:]).ue()
            if self._pps.get(number) == nal:
                return False
            if number not in self._pps and len(self._pps) >= MAX_PPS:
                raise Malformed("too many picture parameter sets")
            self._pps[number] = nal
            return True
        if kind == VPS:
            changed, self._vps = nal != self._vps, nal
            return changed
        if nal == self._sps:
            return False
        parse_sps(nal)
        self._sps = nal
        return True

    def _described(self) -> VideoTrack | None:
        if not self._vps or not self._sps or not self._pps:
            return None
        info = parse_sps(self._sps)
        config = configuration(info, [self._vps], [self._sps], list(self._pps.values()))
        return VideoTrack("h265", info.codec, info.width, info.height, config, info.reorder)

    def _finish(self, received: float, *, whole: bool) -> tuple[AccessUnit, ...]:
        entering = self._waiting_for_key
        done = super()._finish(received, whole=whole)
        if done and done[0].key:
            kind = _slice_type(done[0].data)
            self._skip_leading = kind in _BLA or (kind == CRA and entering)
        elif done and self._skip_leading and _slice_type(done[0].data) in _RASL:
            self.dropped += 1
            return ()
        return done


def _slice_type(data: bytes) -> int:
    """The type of the first slice of a picture."""
    at = 0
    while at + 4 < len(data):
        kind = data[at + 4] >> 1 & 0x3F
        if kind < VPS:
            return kind
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    return -1


def configuration(info: SpsInfo, vps: list[bytes], sps: list[bytes], pps: list[bytes]) -> bytes:
    """The decoder configuration record, hvcC (ISO/IEC 14496-15, 8.3.3.1.2)."""
    parts = [
        b"\x01",
        info.profile,  # profile, compatibility, constraints, level: 12 bytes as in the SPS
        # No least segmentation, parallelism unknown.
        bytes((0xF0, 0, 0xFC, 0xFC | info.chroma_format, 0xF8 | info.luma_depth - 8, 0xF8 | info.chroma_depth - 8)),
        # Frame rate unknown; layers in time, and whether they nest; lengths of 4 bytes; three arrays.
        bytes((0, 0, info.temporal_layers << 3 | info.nested << 2 | 3, 3)),
    ]
    for kind, units in ((VPS, vps), (SPS, sps), (PPS, pps)):
        parts.append(bytes((0x80 | kind,)) + SHORT.pack(len(units)))  # complete: none comes in the stream
        for unit in units:
            parts += (SHORT.pack(len(unit)), unit)
    return b"".join(parts)


# --- Sequence parameter sets (H.265, section 7.3.2.2) -----------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class SpsInfo:
    codec: str
    width: int
    height: int
    chroma_format: int
    luma_depth: int
    chroma_depth: int
    profile: bytes
    temporal_layers: int
    nested: bool
    reorder: int  # pictures decoded ahead of one that is shown before them


MAX_REORDER = 16


def parse_sps(nal: bytes) -> SpsInfo:
    if len(nal) < 3 or nal[0] >> 1 & 0x3F != SPS:
        raise Malformed("this is no sequence parameter set")
    bits = Bits(nal[2:])
    bits.u(4)  # which VPS
    layers = bits.u(3) + 1
    nested = bool(bits.u(1))
    if layers > 7:
        raise Malformed(f"{layers} layers in time")
    profile = bits.u(96).to_bytes(12, "big")
    _skip_layers(bits, layers - 1)
    bits.ue()  # seq_parameter_set_id
    chroma = bits.ue()
    if chroma > 3:
        raise Malformed(f"chroma format {chroma}")
    separate_planes = bits.u(1) if chroma == 3 else 0
    width, height = bits.ue(), bits.ue()
    if bits.u(1):
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        array_type = 0 if separate_planes else chroma
        width -= (2 if array_type in (1, 2) else 1) * (left + right)
        height -= (2 if array_type == 1 else 1) * (top + bottom)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise Malformed(f"a picture of {width}×{height}")
    luma_depth, chroma_depth = 8 + bits.ue(), 8 + bits.ue()
    if max(luma_depth, chroma_depth) > 15:
        raise Malformed(f"samples of {luma_depth} and {chroma_depth} bits")
    bits.ue()  # log2_max_pic_order_cnt_lsb_minus4
    reorder = 0
    for _ in range(layers if bits.u(1) else 1):  # each layer's, or the highest one's alone: the last counts
        bits.ue()
        reorder = bits.ue()
        bits.ue()
    if reorder > MAX_REORDER:
        raise Malformed(f"{reorder} pictures to put in order")
    codec = _codec(profile)
    return SpsInfo(codec, width, height, chroma, luma_depth, chroma_depth, profile, layers, nested, reorder)


def _skip_layers(bits: Bits, count: int) -> None:
    """What is told of lower layers in time (7.3.3)."""
    if not count:
        return
    present = [(bits.u(1), bits.u(1)) for _ in range(count)]
    bits.u(2 * (8 - count))
    for profile, level in present:
        bits.u(88 * profile + 8 * level)


def _codec(profile: bytes) -> str:
    """What a browser is asked (ISO/IEC 14496-15, annex E): hvc1.1.6.L93.B0"""
    space = ("", "A", "B", "C")[profile[0] >> 6]
    compatible = int(f"{int.from_bytes(profile[1:5], 'big'):032b}"[::-1], 2)
    tier = "H" if profile[0] & 0x20 else "L"
    constraints = "".join(f".{each:X}" for each in profile[5:11].rstrip(b"\0"))
    return f"hvc1.{space}{profile[0] & 0x1F}.{compatible:X}.{tier}{profile[11]}{constraints}"
