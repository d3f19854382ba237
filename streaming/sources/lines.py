"""One RTP stream, whichever way its packets come: over UDP, inside an RTSP connection, as parts of an HTTP answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from streaming.media import Unit
from streaming.wire import Malformed, h264, h265, rtp


class Framing(Protocol):
    """Packets in order in, units out."""

    malformed: int
    dropped: int

    def push(self, packet: rtp.Packet, received: float) -> Sequence[Unit]: ...


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

    def take(self, datagrams: Sequence[bytes]) -> None:
        now = time.time()
        self.packets += len(datagrams)
        self.bytes += sum(map(len, datagrams))
        framings, order, on_unit = self._framings, self._sequencer.push, self._on_unit
        for datagram in datagrams:
            try:
                packet = rtp.parse(datagram)
            except Malformed:
                self.malformed += 1
                continue
            framing = framings.get(packet.payload_type)
            if framing is None:
                self.foreign += 1
                continue
            for each in order(packet, now):
                for unit in framing.push(each, now):
                    on_unit(unit)
        # Only now: what waits behind a gap may have been mended by this very burst.
        for each in self._sequencer.overdue(now):
            for unit in framings[each.payload_type].push(each, now):
                on_unit(unit)

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
