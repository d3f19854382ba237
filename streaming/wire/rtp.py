"""RTP packets (RFC 3550, section 5.1) and their order.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    |V=2|P|X|  CC   |M|     PT      |       sequence number         |
    |                           timestamp                           |
    |                             SSRC                              |
    |                    CSRC × CC, then, if X is set:              |
    |      defined by profile       |  length (32-bit words)        |
    |                       header extension                        |

`parse` gives one packet or raises Malformed. `Sequencer` puts packets back in order: it holds up to WINDOW packets
while one is missing, then gives the missing one up. Where packets come seldom (sound, a still picture) that would take
long, so whoever reads the socket also asks for what is `overdue`, after it has read all that was there: a process that
was held up must not take its own delay for the network's. What comes after a gap is for the depacketizer to judge; it
sees the gap in the sequence numbers.

Tolerated, because cameras do it: any SSRC, also zero or changing (never used to tell streams apart); extensions with
profile 0; padding. A sender that starts over with other sequence numbers is followed from its second packet on.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from streaming.wire import Malformed

_HEADER = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")

SHORT_HEADER = 12  # bytes of a header that has nothing but what every header has

# A packet may come this many places late. Waiting costs nothing when a packet is really lost: its picture and the ones
# after it are dropped up to the next key frame anyway.
WINDOW = 8
PATIENCE = 0.010  # seconds that a missing packet is awaited, when nothing else decides
# Further ahead or behind than this is no disorder but another stream (RFC 3550, appendix A.1: MAX_DROPOUT).
MAX_JUMP = 3000


class Packet(NamedTuple):
    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    extension: bytes  # without its own header
    # The payload is data[start:end]; it is not cut out here, since most of it is copied once more when pictures are put
    # together.
    data: bytes
    start: int
    end: int

    @property
    def payload(self) -> bytes:
        return self.data[self.start : self.end]


def parse(datagram: bytes) -> Packet:
    end = len(datagram)
    if end < SHORT_HEADER:
        raise Malformed(f"an RTP packet has at least {SHORT_HEADER} bytes, this one {end}")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(datagram)
    extension = b""
    start = SHORT_HEADER
    if first != 0x80:  # anything but the plain header that nearly every packet has
        if first >> 6 != 2:
            raise Malformed(f"RTP version {first >> 6} instead of 2")
        start += 4 * (first & 0x0F)
        if first & 0x10:
            if start + 4 > end:
                raise Malformed("the RTP header extension is cut off")
            words = _EXTENSION.unpack_from(datagram, start)[1]
            start += 4
            extension = datagram[start : start + 4 * words]
            start += 4 * words
        if start > end:
            raise Malformed("the RTP header is longer than its packet")
        if first & 0x20:
            padding = datagram[end - 1]
            if not 1 <= padding <= end - start:
                raise Malformed(f"{padding} bytes of RTP padding in a payload of {end - start}")
            end -= padding
    return Packet(second >= 0x80, second & 0x7F, sequence, timestamp, ssrc, extension, datagram, start, end)


class Sequencer:
    """Packets in, packets in order out. Its counters are plain attributes."""

    def __init__(self) -> None:
        self.lost = 0
        self.reordered = 0  # came late, but in time
        self.late = 0  # came too late, or twice
        self.restarts = 0
        self._expected = -1  # none yet
        self._held: dict[int, Packet] = {}
        self._waiting_since = 0.0  # when the first of those held came, by the clock of whoever reads the socket
        self._suspect = -1  # the number that would confirm that the sender has started over

    def push(self, packet: Packet, received: float = 0.0) -> Sequence[Packet]:
        sequence = packet.sequence
        if sequence == self._expected and not self._held:
            self._expected = (sequence + 1) & 0xFFFF
            return (packet,)
        if self._expected < 0:
            self._expected = sequence
        ahead = (sequence - self._expected) & 0xFFFF
        if ahead > MAX_JUMP and ahead < 0x10000 - MAX_JUMP:
            return self._perhaps_restarted(packet)
        if ahead > MAX_JUMP or sequence in self._held:
            self.late += 1
            return ()
        if ahead == 0 and self._held:
            self.reordered += 1
        if not self._held:
            self._waiting_since = received
        self._held[sequence] = packet
        if ahead and len(self._held) > WINDOW:
            self._give_up()
        return self._run(received)

    @property
    def following(self) -> int:
        """The number that comes next, if nothing is missing; otherwise -1."""
        return -1 if self._held else self._expected

    def advance(self, count: int) -> None:
        """So many packets came in order, from the following one on, and were taken by who read them."""
        self._expected = (self._expected + count) & 0xFFFF

    def overdue(self, now: float) -> Sequence[Packet]:
        """What was held for a missing packet too long; to be asked for when all that had come was pushed."""
        if not self._held or now - self._waiting_since < PATIENCE:
            return ()
        run: list[Packet] = []
        while self._held:
            self._give_up()
            run += self._run(now)
        return run

    def _give_up(self) -> None:
        """Wait no longer for what is missing before the first packet held."""
        nearest = min((each - self._expected) & 0xFFFF for each in self._held)
        self.lost += nearest
        self._expected = (self._expected + nearest) & 0xFFFF

    def _run(self, received: float) -> list[Packet]:
        """The packets that follow each other without a gap."""
        run: list[Packet] = []
        while (packet := self._held.pop(self._expected, None)) is not None:
            run.append(packet)
            self._expected = (self._expected + 1) & 0xFFFF
        if run:
            self._waiting_since = received  # those still held wait for another packet
        return run

    def _perhaps_restarted(self, packet: Packet) -> Sequence[Packet]:
        following = (packet.sequence + 1) & 0xFFFF
        if packet.sequence != self._suspect:
            self._suspect = following
            return ()
        self.restarts += 1
        self._suspect = -1
        self._held.clear()
        self._expected = following
        return (packet,)


class Unwrapper:
    """32-bit timestamps as numbers that go on growing."""

    def __init__(self) -> None:
        self._last: int | None = None

    def unwrap(self, timestamp: int) -> int:
        if self._last is None:
            self._last = timestamp
        else:
            step = (timestamp - self._last) & 0xFFFFFFFF
            self._last += step if step < 0x80000000 else step - 0x100000000
        return self._last
