"""One RTP stream, whichever way its packets come: over UDP, inside an RTSP connection, as parts of an HTTP answer.

Packets of pictures are gathered until the last one of a picture is there, since nothing can be done with less. Nearly
always they are plain then: each with the shortest header and the number after the last one's. That is seen in one
comparison, and the picture is put together as a whole. Everything else (longer headers, gaps, disorder, damage, other
payload types) goes packet by packet through parser, sequencer and depacketizer, to the same end.

Sound is not gathered: each packet of it is a piece of its own.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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


# The same in the documents that fix them (POVCAM 15.1, i-PRO 2.1.3); others come from SDP.
H264, AAC, H265, SOUND = 98, 99, 101, 97
GATHERED = 128  # packets at most: a large key picture is worked off on the way
BARE = b"\x80"  # the first byte of a packet whose header has no more than every header
MARKED = b"\x80"  # what the second byte of a packet with a marker is at least


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
        self._assemblers = {kind: each for kind, each in framings.items() if isinstance(each, Assembler)}
        self._sequencer = rtp.Sequencer()
        self._on_unit = on_unit
        self._gathered: list[bytes] = []

    def take(self, datagrams: Sequence[bytes]) -> None:
        self.packets += len(datagrams)
        self.bytes += sum(map(len, datagrams))
        gathered = self._gathered
        gathered += datagrams
        last = gathered[-1]
        if (
            last[1:2] < MARKED
            and last[4:8] == gathered[0][4:8]  # else a picture has ended without a marker
            and len(gathered) < GATHERED
            and self._sequencer.following >= 0  # else one that was missing may be among them
            and self._assemblers
        ):
            return
        self._gathered = []
        now = time.time()
        if not self._take_plain(gathered, now):
            for run in _runs(gathered):
                if not self._take_plain(run, now):
                    for datagram in run:
                        self._take_one(datagram, now)
        # Only now: what waits behind a gap may have been mended by these very packets.
        for packet in self._sequencer.overdue(now):
            self._push(self._framings[packet.payload_type], packet, now)

    def _take_plain(self, datagrams: Sequence[bytes], now: float) -> bool:
        """Take what is a whole picture or the beginning of one, in plain packets without a gap; whether it is that."""
        first, last, count = datagrams[0], datagrams[-1], len(datagrams)
        following = self._sequencer.following
        if len(first) < rtp.SHORT_HEADER or len(last) < 2 or not 0 <= following <= 0x10000 - count:
            return False
        kind = first[1] & 0x7F
        assembler = self._assemblers.get(kind)
        if assembler is None or assembler.following != following:
            return False
        begin = 0x80 << 24 | kind << 16 | following
        words = list(range(begin, begin + count))
        words[-1] |= (last[1] & 0x80) << 16
        if b"".join([each[:4] for each in datagrams]) != struct.pack(f"!{count}I", *words):
            return False
        units = assembler.push_plain(datagrams, now, marker=last[1] >= 0x80)
        if units is None:
            return False
        self._sequencer.advance(count)
        for unit in units:
            self._on_unit(unit)
        return True

    def _take_one(self, datagram: bytes, now: float) -> None:
        try:
            packet = rtp.parse(datagram)
        except Malformed:
            self.malformed += 1
            return
        framing = self._framings.get(packet.payload_type)
        if framing is None:
            self.foreign += 1
            return
        for following in self._sequencer.push(packet, now):
            self._push(framing, following, now)

    def _push(self, framing: Framing, packet: rtp.Packet, now: float) -> None:
        for unit in framing.push(packet, now):
            self._on_unit(unit)

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


def _runs(datagrams: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """What may be plain each by itself: packets up to a marker. One with a longer header stands alone; where a device
    sends extensions, they stand in a picture's first packets."""
    begin = 0
    for at, each in enumerate(datagrams):
        if each[:1] != BARE:
            if begin < at:
                yield datagrams[begin:at]
            yield datagrams[at : at + 1]
            begin = at + 1
        elif each[1:2] >= MARKED:
            yield datagrams[begin : at + 1]
            begin = at + 1
    if begin < len(datagrams):
        yield datagrams[begin:]
