"""What H.264 and H.265 have in common on their way from packets to access units. See `h264` and `h265`.

    single NAL unit     [header][…]
    aggregate           [header][size, 2 bytes][NAL unit][size][NAL unit]…
    fragment            [header][S E type][part of a NAL unit without its header]

An access unit ends with the packet that carries the marker, or where the timestamp changes. Parameter sets, delimiters
and filler leave it; they travel in the track. An access unit is handed out only when nothing of it can be missing and
everything it refers to was handed out too: the first is a key picture with its parameter sets known, and after a loss
everything is dropped, and counted, up to the next one. A skipped half second is better than a smeared picture.

After a gap in the sequence numbers, the access unit that follows counts as whole only if it begins with a delimiter or
a parameter set; anything else may have lost its first packets with the gap.

A picture is limited to MAX_UNIT bytes and MAX_PIECES pieces.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

from streaming.media import AccessUnit, VideoTrack
from streaming.wire import Malformed
from streaming.wire.rtp import SHORT_HEADER, Packet, Unwrapper

MAX_UNIT = 8 * 1024 * 1024  # a 4K key picture at the highest quality has about 2 MB
MAX_PIECES = 16_384
MAX_PARAMETER_SET = 2048
MAX_PPS = 16
MAX_SIDE = 16_384

LENGTH = struct.Struct("!I")
SHORT = struct.Struct("!H")
_NOTHING: tuple[AccessUnit, ...] = ()


class Assembler(ABC):
    """Packets in, access units out. Its counters are plain attributes."""

    HEADER: ClassVar[int]  # bytes of a NAL unit's header
    SHIFT: ClassVar[int]  # where in its first byte the type stands
    MASK: ClassVar[int]  # and how wide it is
    AGGREGATE: ClassVar[int]
    FRAGMENT: ClassVar[int]
    PLAIN: ClassVar[frozenset[int]]  # types that a NAL unit of its own may have
    KEYS: ClassVar[frozenset[int]]
    SLICES: ClassVar[frozenset[int]]  # of pictures that refer to others
    SETS: ClassVar[frozenset[int]]
    DROPPED: ClassVar[frozenset[int]]  # delimiters, filler: nothing a picture needs
    BEGINNINGS: ClassVar[frozenset[int]]  # with which an access unit certainly begins

    def __init__(self) -> None:
        self.dropped = 0  # access units not handed out: damaged, or waiting for a key picture
        self.malformed = 0  # packets that made no sense
        self.track: VideoTrack | None = None
        self._clock = Unwrapper()
        self._expected = -1
        self._waiting_for_key = True
        self._sets_changed = False
        # The access unit under construction.
        self._timestamp = -1
        self._pieces: list[bytes] = []
        self._size = 0
        self._key = False
        self._damaged = False
        self._open = False  # something of it has arrived
        # The fragmented NAL unit under construction: where its pieces begin, or -1; and how its packets begin.
        self._fragment_at = -1
        self._fragment_type = 0
        self._middle = b""

    def offer(self, parameter_sets: Iterable[bytes]) -> None:
        """Parameter sets that came another way, as in SDP. What the stream itself says replaces them."""
        for nal in parameter_sets:
            kind = nal[0] >> self.SHIFT & self.MASK if len(nal) > self.HEADER else -1
            if kind in self.SETS:
                try:
                    self._keep(kind, nal)
                except Malformed:
                    self.malformed += 1

    @property
    def following(self) -> int:
        """The number of the packet that would follow without a gap."""
        return self._expected

    def push_plain(self, packets: Sequence[bytes], received: float, *, marker: bool) -> Sequence[AccessUnit] | None:
        """Packets from the following one on, without a gap, with nothing but 12 bytes of header; `marker` is the last
        one's. None, and nothing done, if they are not all of one picture."""
        timestamp = int.from_bytes(packets[0][4:8], "big")
        if marker and self.track is not None and not (self._open or self._waiting_for_key or self._sets_changed):
            only_slice = self._only_slice(packets)
            if only_slice:
                self._expected = (self._expected + len(packets)) & 0xFFFF
                self._timestamp = timestamp
                return (AccessUnit(self.track, self._clock.unwrap(timestamp), received, False, only_slice),)
        if [packet[4:8] for packet in packets].count(packets[0][4:8]) != len(packets):
            return None
        self._expected = (self._expected + len(packets)) & 0xFFFF
        done = self._turn_to(timestamp, gap=False, received=received)
        self._open = True
        at, count = 0, len(packets)
        while at < count and not self._damaged:
            packet = packets[at]
            self._take_payload(packet, SHORT_HEADER, len(packet))
            at += 1
            if self._fragment_at >= 0 and at < count:
                at += self._take_middles(packets[at:])
        return self._with_marker(done, received) if marker else done

    def push(self, packet: Packet, received: float) -> Sequence[AccessUnit]:
        marker, _, sequence, timestamp, _, _, data, start, end = packet
        gap = sequence != self._expected
        self._expected = (sequence + 1) & 0xFFFF
        done = self._turn_to(timestamp, gap=gap, received=received)
        if gap:
            self._waiting_for_key = True
            if self._open or not self._begins_unit(data, start, end):
                self._damage()
        self._open = True
        if not self._damaged:  # else nothing can mend it; its end is awaited
            self._take_payload(data, start, end)
        return self._with_marker(done, received) if marker else done

    def _turn_to(self, timestamp: int, *, gap: bool, received: float) -> Sequence[AccessUnit]:
        """The access unit that ends here without a marker, if one does."""
        if timestamp == self._timestamp:
            return _NOTHING
        done = self._finish(received, whole=not gap) if self._open else _NOTHING
        self._timestamp = timestamp
        return done

    def _with_marker(self, done: Sequence[AccessUnit], received: float) -> Sequence[AccessUnit]:
        finished = self._finish(received, whole=True)
        return (*done, *finished) if done else finished

    def _only_slice(self, packets: Sequence[bytes]) -> bytes:
        """The picture, if it is nothing but a slice in fragments, perhaps behind a delimiter, and refers to others: so
        are 29 of 30. Otherwise nothing."""
        head, at = packets[0], 0
        if (
            len(head) > SHORT_HEADER
            and head[SHORT_HEADER] >> self.SHIFT & self.MASK in self.DROPPED
            and len(packets) > 1
        ):
            if packets[1][4:SHORT_HEADER] != head[4:SHORT_HEADER]:
                return b""
            head, at = packets[1], 1
        begin = SHORT_HEADER + self.HEADER + 1
        if len(head) <= begin or head[SHORT_HEADER] >> self.SHIFT & self.MASK != self.FRAGMENT:
            return b""
        kind = head[begin - 1] & self.MASK
        if head[begin - 1] != 0x80 | kind or kind not in self.SLICES or head[SHORT_HEADER] & 0x80:
            return b""
        indicator = head[SHORT_HEADER : begin - 1]
        # Timestamp and source, then what tells a piece of a unit.
        ahead = head[4 : begin - 1]
        heads = [packet[4:begin] for packet in packets[at + 1 :]]
        pieces = [packet[begin:] for packet in packets[at:]]
        if (
            not heads
            or heads.pop() != ahead + bytes((0x40 | kind,))
            or heads.count(ahead + bytes((kind,))) != len(heads)
            or b"" in pieces
        ):
            return b""
        size = self.HEADER + sum(map(len, pieces))
        first = indicator[0] & ~(self.MASK << self.SHIFT) | kind << self.SHIFT
        return b"".join((LENGTH.pack(size), bytes((first, *indicator[1:])), *pieces))

    # --- NAL units ----------------------------------------------------------------------------------------------------
    def _take_payload(self, data: bytes, start: int, end: int) -> None:
        at = start + self.HEADER
        kind = data[start] >> self.SHIFT & self.MASK if at <= end else -1
        if kind == self.FRAGMENT:
            self._take_fragment(data, start, end)
        elif kind == self.AGGREGATE:
            self._take_aggregate(data, at, end)
        elif kind >= 0:
            self._take(data[start:end])
        else:
            self.malformed += 1  # too short to carry anything that a picture could miss

    def _take(self, nal: bytes) -> None:
        kind = nal[0] >> self.SHIFT & self.MASK
        if self._fragment_at >= 0 or nal[0] & 0x80 or kind not in self.PLAIN or len(nal) < self.HEADER:
            # A fragmented unit without its end, the forbidden bit, or a type that may not stand here.
            self._refuse()
        elif kind in self.SETS:
            try:
                self._keep(kind, nal)
            except Malformed:
                self._refuse()
        elif kind not in self.DROPPED:
            self._key = self._key or kind in self.KEYS
            self._append(LENGTH.pack(len(nal)), 4)
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
        at = start + self.HEADER
        if end - at < 2:
            self._refuse()
            return
        flags = data[at]
        kind = flags & self.MASK
        if flags & 0x80:
            if self._fragment_at >= 0 or data[start] & 0x80 or kind not in self.PLAIN:
                self._refuse()
                return
            self._fragment_at = len(self._pieces)
            self._fragment_type = kind
            self._middle = bytes((*data[start:at], kind))
            self._append(b"", 4)  # its length, known at its end
            kept = data[start] & ~(self.MASK << self.SHIFT)
            self._append(bytes((kept | kind << self.SHIFT, *data[start + 1 : at])), self.HEADER)
        elif self._fragment_at < 0 or kind != self._fragment_type:
            self._refuse()
            return
        self._append(data[at + 1 : end], end - at - 1)
        if flags & 0x40 and self._fragment_at >= 0:
            self._end_fragment()

    def _take_middles(self, packets: Sequence[bytes]) -> int:
        """Take the next pieces of the fragmented unit under way, without its last, and answer how many that were. Nine
        packets of ten are such pieces, and all begin in the same way."""
        middle = self._middle
        begin = SHORT_HEADER + len(middle)
        pieces = []
        for packet in packets:
            if packet[SHORT_HEADER:begin] != middle or len(packet) == begin:
                break
            pieces.append(packet[begin:])
        self._size += sum(map(len, pieces))
        self._pieces += pieces
        if self._size > MAX_UNIT or len(self._pieces) > MAX_PIECES:
            self._refuse()
        return len(pieces)

    def _end_fragment(self) -> None:
        at, kind = self._fragment_at, self._fragment_type
        self._fragment_at = -1
        pieces = self._pieces
        if kind in self.SETS or kind in self.DROPPED:
            nal = b"".join(pieces[at + 1 :])
            del pieces[at:]
            self._take(nal)
            return
        pieces[at] = LENGTH.pack(sum(map(len, pieces[at + 1 :])))
        self._key = self._key or kind in self.KEYS

    def _append(self, piece: bytes, size: int) -> None:
        self._size += size
        if self._size > MAX_UNIT or len(self._pieces) >= MAX_PIECES:
            self._refuse()
        else:
            self._pieces.append(piece)

    def _refuse(self) -> None:
        """This packet cannot be used, and so neither can its access unit."""
        self.malformed += 1
        self._damage()

    def _damage(self) -> None:
        self._damaged = True
        self._fragment_at = -1
        self._pieces.clear()
        self._size = 0

    def _begins_unit(self, data: bytes, start: int, end: int) -> bool:
        if start + self.HEADER > end:
            return False
        kind = data[start] >> self.SHIFT & self.MASK
        first = start + self.HEADER + 2
        if kind == self.AGGREGATE and first < end:
            kind = data[first] >> self.SHIFT & self.MASK
        return kind in self.BEGINNINGS

    # --- Parameter sets -----------------------------------------------------------------------------------------------
    def _keep(self, kind: int, nal: bytes) -> None:
        if len(nal) > MAX_PARAMETER_SET:
            raise Malformed(f"a parameter set of {len(nal)} bytes")
        if self._learn(kind, nal):
            self._sets_changed = True

    @abstractmethod
    def _learn(self, kind: int, nal: bytes) -> bool:
        """Keep a parameter set; whether it is another than before. Raises Malformed."""

    @abstractmethod
    def _described(self) -> VideoTrack | None:
        """The track by the parameter sets known; None while some are missing."""

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
            self._sets_changed = False
            self.track = self._described() or self.track
        if good and key and self.track is not None:
            self._waiting_for_key = False
        elif not good or self._sets_changed:
            # Also when parameter sets change between key pictures: what follows may refer to them.
            self._waiting_for_key = True
        if self._waiting_for_key or self.track is None:
            self.dropped += 1
            return _NOTHING
        return (AccessUnit(self.track, self._clock.unwrap(self._timestamp), received, key, b"".join(pieces)),)
