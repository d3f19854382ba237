"""One RTP stream, whichever way its packets come: over UDP, inside an RTSP connection, as parts of an HTTP answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from streaming.media import Unit
from streaming.wire import Malformed, h264, h265, rtp
from streaming.wire.nal import Assembler


class Framing(Protocol):
    """Packets in order in, units out."""

    @property
    def malformed(self) -> int: ...

    @property
    def dropped(self) -> int: ...

    def push(self, packet: rtp.Packet, received: float) -> Sequence[Unit]: ...


PLAIN = 12  # bytes of a header that has nothing but what every header has
# The same in the documents that fix them (POVCAM 15.1, i-PRO 2.1.3); others come from SDP.
H264, AAC, H265, SOUND = 98, 99, 101, 97


def pictures() -> dict[int, Framing]:
    """What becomes of pictures of either codec: the payload type tells which it is."""
    return {H264: h264.Depacketizer(), H265: h265.Depacketizer()}


class RtpLine:
    """Packets as bytes in, units out to `on_unit`. Its counters are plain attributes."""

    def __init__(self, framings: Mapping[int, Framing], on_unit: Callable[[Unit], None]) -> None:
        """`framings` says what becomes of each payload type."""
        self.packets = 0
        self.bytes = 0
        self.foreign = 0  # of another payload type
        self.malformed = 0
        self._framings = dict(framings)
        self._sequencer = rtp.Sequencer()
        self._on_unit = on_unit
        # How the next piece of a fragmented picture begins: its first two bytes, and those behind its number.
        self._head = self._middle = b""
        self._assembler: Assembler

    def take(self, datagrams: Sequence[bytes]) -> None:
        now = time.time()
        self.packets += len(datagrams)
        self.bytes += sum(map(len, datagrams))
        at, count = 0, len(datagrams)
        while at < count:
            if self._middle:
                at = self._take_middles(datagrams, at)
                if at == count:
                    break
            self._take_one(datagrams[at], now)
            at += 1
        # Only now: what waits behind a gap may have been mended by this very burst.
        for each in self._sequencer.overdue(now):
            self._frame(self._framings[each.payload_type], each, now)

    def _take_one(self, datagram: bytes, now: float) -> None:
        self._middle = b""
        try:
            packet = rtp.parse(datagram)
        except Malformed:
            self.malformed += 1
            return
        framing = self._framings.get(packet.payload_type)
        if framing is None:
            self.foreign += 1
            return
        for each in self._sequencer.push(packet, now):
            self._frame(framing, each, now)
        if packet.start == PLAIN and isinstance(framing, Assembler) and (middle := framing.middle):
            self._assembler = framing
            self._head = bytes((0x80, packet.payload_type))
            self._middle = datagram[4:PLAIN] + middle

    def _frame(self, framing: Framing, packet: rtp.Packet, now: float) -> None:
        for unit in framing.push(packet, now):
            self._on_unit(unit)

    def _take_middles(self, datagrams: Sequence[bytes], at: int) -> int:
        """Take the next pieces of a fragmented picture, which nine packets of ten are: all that tells one from another
        is its number. Answers where they end."""
        following, head, middle = self._sequencer.following, self._head, self._middle
        begin = 4 + len(middle)
        pieces = []
        for datagram in datagrams[at:] if at else datagrams:
            if (
                datagram[4:begin] != middle
                or datagram[2] << 8 | datagram[3] != following
                or datagram[:2] != head
                or len(datagram) == begin
            ):
                break
            pieces.append(datagram[begin:])
            following = (following + 1) & 0xFFFF
        if pieces:
            self._assembler.extend(pieces)
            self._sequencer.advance(len(pieces))
        return at + len(pieces)

    def figures(self) -> dict[str, int]:
        return {
            "packets": self.packets,
            "bytes": self.bytes,
            "foreign": self.foreign,
            "malformed": self.malformed + sum(each.malformed for each in self._framings.values()),
            "lost": self._sequencer.lost,
            "reordered": self._sequencer.reordered,
            "late": self._sequencer.late,
            "dropped": sum(each.dropped for each in self._framings.values()),
        }
