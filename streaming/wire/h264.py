"""H.264 over RTP (RFC 6184, packetization modes 0 and 1) → access units; and what a sequence parameter set tells.

    single NAL unit   [NAL header][…]                              types 1–23
    STAP-A            [24][size, 2 bytes][NAL unit][size][NAL unit]…
    FU-A              [28][S E R type][part of a NAL unit without its header]

An access unit ends with the packet that carries the marker, or where the timestamp changes. Parameter sets, delimiters
and filler leave it; they travel in the track. An access unit is handed out only when nothing of it can be missing and
everything it refers to was handed out too: the first is a key picture (IDR) with SPS and PPS known, and after a loss
everything is dropped, and counted, up to the next one. A skipped half second is better than a smeared picture.

After a gap in the sequence numbers, the access unit that follows counts as whole only if it begins with a delimiter or
an SPS; anything else may have lost its first packets with the gap.

Tolerated: STAP-A around parameter sets or slices; parameter sets sent once or with each key picture, whole or in FU-A;
a missing marker; a sender that starts over; packets without content. Not accepted: interleaved modes (STAP-B, MTAP,
FU-B), which no device we know uses. A picture is limited to MAX_UNIT bytes and MAX_PIECES pieces.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from streaming.media import AccessUnit, VideoTrack
from streaming.wire import Malformed
from streaming.wire.rtp import Packet, Unwrapper

MAX_UNIT = 8 * 1024 * 1024  # a 4K key picture at the highest quality has about 2 MB
MAX_PIECES = 16_384
MAX_PARAMETER_SET = 1024
MAX_PPS = 16
MAX_SIDE = 16_384

SLICE, IDR, SPS, PPS, DELIMITER = 1, 5, 7, 8, 9
STAP_A, FU_A = 24, 28
_SETS = frozenset({SPS, PPS})
_DROPPED = frozenset({DELIMITER, 10, 11, 12})  # delimiter, end of sequence, end of stream, filler
_APART = _SETS | _DROPPED  # what leaves the access unit
_BEGINNINGS = frozenset({SPS, DELIMITER})
_LENGTH = struct.Struct("!I")
_SHORT = struct.Struct("!H")
_NOTHING: tuple[AccessUnit, ...] = ()


class Depacketizer:
    """Packets in, access units out. Its counters are plain attributes."""

    def __init__(self) -> None:
        self.dropped = 0  # access units not handed out: damaged, or waiting for a key picture
        self.malformed = 0  # packets that made no sense
        self.track: VideoTrack | None = None
        self._clock = Unwrapper()
        self._expected = -1
        self._waiting_for_key = True
        self._sps = b""
        self._pps: dict[int, bytes] = {}
        self._sets_changed = False
        # The access unit under construction.
        self._timestamp = -1
        self._pieces: list[bytes] = []
        self._size = 0
        self._key = False
        self._damaged = False
        self._open = False  # something of it has arrived
        # The fragmented NAL unit under construction: where its pieces begin, or -1.
        self._fragment_at = -1
        self._fragment_type = 0

    def push(self, packet: Packet, received: float) -> Sequence[AccessUnit]:
        marker, _, sequence, timestamp, _, _, data, start, end = packet
        done = _NOTHING
        gap = sequence != self._expected
        self._expected = (sequence + 1) & 0xFFFF
        if timestamp != self._timestamp:
            if self._open:  # it ended without a marker
                done = self._finish(received, whole=not gap)
            self._timestamp = timestamp
        kind = data[start] & 0x1F if start < end else 0
        if gap:
            self._waiting_for_key = True
            if self._open or not _begins_unit(kind, data, start, end):
                self._damaged = True
                self._pieces.clear()
        self._open = True
        if self._damaged:
            pass  # nothing can mend it; its end is awaited
        elif kind == FU_A:
            self._take_fragment(data, start, end)
        elif kind == STAP_A:
            self._take_aggregate(data, start + 1, end)
        elif kind:
            self._take(data[start:end])
        else:
            self.malformed += 1  # empty, or of no type: it carries nothing that a picture could miss
        if marker:
            finished = self._finish(received, whole=True)
            return (*done, *finished) if done else finished
        return done

    # --- NAL units ----------------------------------------------------------------------------------------------------
    def _take(self, nal: bytes) -> None:
        kind = nal[0] & 0x1F
        if self._fragment_at >= 0 or nal[0] & 0x80 or not 0 < kind < 24:
            # A fragmented unit without its end, the forbidden bit, or a type that may not stand here.
            self._refuse()
        elif kind in _SETS:
            self._take_parameter_set(kind, nal)
        elif kind not in _DROPPED:
            self._key = self._key or kind == IDR
            self._append(_LENGTH.pack(len(nal)), 4)
            self._append(nal, len(nal))

    def _take_aggregate(self, data: bytes, at: int, end: int) -> None:
        while at + 2 < end:
            size = data[at] << 8 | data[at + 1]
            at += 2
            if size == 0 or at + size > end:
                break
            self._take(data[at : at + size])
            at += size
        if at != end:
            self._refuse()

    def _take_fragment(self, data: bytes, start: int, end: int) -> None:
        if end - start < 3:
            self._refuse()
            return
        header = data[start + 1]
        if header & 0x80:
            kind = header & 0x1F
            if self._fragment_at >= 0 or data[start] & 0x80 or not 0 < kind < 24:
                self._refuse()
                return
            self._fragment_at = len(self._pieces)
            self._fragment_type = kind
            self._append(b"", 4)  # its length, known at its end
            self._append(bytes((data[start] & 0x60 | kind,)), 1)
        elif self._fragment_at < 0 or header & 0x1F != self._fragment_type:
            self._refuse()
            return
        self._append(data[start + 2 : end], end - start - 2)
        if header & 0x40 and self._fragment_at >= 0:
            self._end_fragment()

    def _end_fragment(self) -> None:
        at, kind = self._fragment_at, self._fragment_type
        self._fragment_at = -1
        pieces = self._pieces
        if kind in _APART:
            nal = b"".join(pieces[at + 1 :])
            del pieces[at:]
            self._take(nal)
            return
        pieces[at] = _LENGTH.pack(sum(map(len, pieces[at + 1 :])))
        self._key = self._key or kind == IDR

    def _append(self, piece: bytes, size: int) -> None:
        self._size += size
        if self._size > MAX_UNIT or len(self._pieces) >= MAX_PIECES:
            self._refuse()
        else:
            self._pieces.append(piece)

    def _refuse(self) -> None:
        """This packet cannot be used, and so neither can its access unit."""
        self.malformed += 1
        self._damaged = True
        self._fragment_at = -1
        self._pieces.clear()
        self._size = 0

    # --- Parameter sets -----------------------------------------------------------------------------------------------
    def _take_parameter_set(self, kind: int, nal: bytes) -> None:
        try:
            if len(nal) > MAX_PARAMETER_SET:
                raise Malformed(f"a parameter set of {len(nal)} bytes")
            if kind == SPS:
                if nal != self._sps:
                    parse_sps(nal)
                    self._sps = nal
                    self._sets_changed = True
                return
            number = _Bits(nal[1:]).ue()
            if self._pps.get(number) != nal:
                if number not in self._pps and len(self._pps) >= MAX_PPS:
                    raise Malformed("too many picture parameter sets")
                self._pps[number] = nal
                self._sets_changed = True
        except Malformed:
            self.malformed += 1
            self._damaged = True

    def _use_parameter_sets(self) -> None:
        self._sets_changed = False
        if self._sps and self._pps:
            info = parse_sps(self._sps)
            config = configuration(self._sps, tuple(self._pps.values()), info)
            self.track = VideoTrack("h264", info.codec, info.width, info.height, config)

    # --- Access units -------------------------------------------------------------------------------------------------
    def _finish(self, received: float, *, whole: bool) -> tuple[AccessUnit, ...]:
        pieces, key = self._pieces, self._key
        good = whole and not self._damaged and self._fragment_at < 0
        empty = not pieces and not self._damaged  # parameter sets that travel alone, ahead of their picture
        self._pieces = []
        self._size = 0
        self._key = self._damaged = self._open = False
        self._fragment_at = -1
        if good and empty:
            return _NOTHING
        if self._sets_changed and good and key:
            self._use_parameter_sets()
        if good and key and self.track is not None:
            self._waiting_for_key = False
        elif not good or self._sets_changed:
            # Also when parameter sets change between key pictures: what follows may refer to them.
            self._waiting_for_key = True
        if self._waiting_for_key or self.track is None:
            self.dropped += 1
            return _NOTHING
        return (AccessUnit(self.track, self._clock.unwrap(self._timestamp), received, key, b"".join(pieces)),)


def _begins_unit(kind: int, data: bytes, start: int, end: int) -> bool:
    if kind == STAP_A and start + 3 < end:
        kind = data[start + 3] & 0x1F
    return kind in _BEGINNINGS


_PROFILES_WITH_DEPTHS = frozenset({100, 110, 122, 144})  # of which avcC says more (ISO/IEC 14496-15, 5.3.3.1)


def configuration(sps: bytes, pps: Sequence[bytes], info: SpsInfo) -> bytes:
    """The decoder configuration record, avcC (ISO/IEC 14496-15, 5.3.3.1.2)."""
    parts = [bytes((1, sps[1], sps[2], sps[3], 0xFF, 0xE1)), _SHORT.pack(len(sps)), sps, bytes((len(pps),))]
    for each in pps:
        parts += (_SHORT.pack(len(each)), each)
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


class _Bits:
    """Bits of a NAL unit's payload, without its emulation prevention bytes."""

    def __init__(self, payload: bytes) -> None:
        plain = payload.replace(b"\x00\x00\x03", b"\x00\x00")
        self._bits = int.from_bytes(plain, "big")
        self._left = 8 * len(plain)

    def u(self, count: int) -> int:
        if count > self._left:
            raise Malformed("a parameter set is cut off")
        self._left -= count
        return (self._bits >> self._left) & ((1 << count) - 1)

    def ue(self) -> int:
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 32:
                raise Malformed("a number in a parameter set is too long")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        value = self.ue()
        return (value + 1) // 2 if value & 1 else -(value // 2)


_WITH_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def parse_sps(nal: bytes) -> SpsInfo:
    if len(nal) < 4 or nal[0] & 0x1F != SPS:
        raise Malformed("this is no sequence parameter set")
    profile = nal[1]
    bits = _Bits(nal[4:])
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
    return SpsInfo(f"avc1.{nal[1:4].hex()}", width, height, chroma, luma_depth, chroma_depth)
