"""RTCP (RFC 3550, section 6): what the sender tells about its stream, and what it is told about our reception.

    a datagram (or interleaved frame) is a chain of    [V=2 P count][type][length in words − 1] …

`parse` reads sender reports (SR, 200), receiver reports (RR, 201) and goodbyes (BYE, 203) and passes over everything
else. `receiver_report` writes an RR with an SDES CNAME, as each report must have one. `Reception` counts what the RR
tells: appendix A.1 (sequence numbers that go on growing), A.3 (loss), A.8 (jitter; of the packets that share a time, as
those of a picture do, the first alone, since the others leave one after the other on purpose).

Tolerated, because cameras do it: any SSRC, also zero or changing; a chain that begins with something else than a report
(RFC 5506); padding; blocks about other streams. A packet whose length does not fit is Malformed, with all that came
before it in the datagram. Limit: MAX_PACKETS packets in a datagram.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from streaming.wire import Malformed

SR, RR, SDES, BYE = 200, 201, 202, 203
MAX_PACKETS = 32
MAX_CNAME = 255
MAX_DROPOUT = 3000  # packets; a longer step is another beginning (A.1)
LONGEST = 60  # seconds; a longer delay between two packets is another timeline and no jitter

_HEAD = struct.Struct("!BBH")
_SENDER = struct.Struct("!IIIIII")  # SSRC, NTP time (2), RTP time, packets, octets
_BLOCK = struct.Struct("!IIIIII")  # SSRC, loss, highest sequence, jitter, last SR, delay since
_NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970


@dataclass(frozen=True, slots=True)
class Block:
    """How one stream is received."""

    ssrc: int
    fraction_lost: int  # in 256ths, since the report before
    lost: int  # since the beginning; negative when packets came twice
    highest: int  # sequence number, with the count of its cycles above
    jitter: int  # in ticks of the stream's clock
    last_report: int  # the middle of the NTP time of the last SR
    delay: int  # since it came, in 65536ths of a second


@dataclass(frozen=True, slots=True)
class SenderReport:
    ssrc: int
    ntp: int  # 64 bits
    timestamp: int  # RTP time of the same moment
    packets: int
    octets: int
    blocks: tuple[Block, ...]

    @property
    def time(self) -> float:
        """Unix time by the sender's wall clock; before 1970 if it has none."""
        return self.ntp / 0x1_0000_0000 - _NTP_EPOCH


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    ssrc: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Bye:
    ssrcs: tuple[int, ...]
    reason: str


def parse(datagram: bytes) -> list[SenderReport | ReceiverReport | Bye]:
    found: list[SenderReport | ReceiverReport | Bye] = []
    at, end = 0, len(datagram)
    if end < 4:
        raise Malformed(f"an RTCP packet has at least 4 bytes, this one {end}")
    for _ in range(MAX_PACKETS):
        if at >= end:
            return found
        if at + 4 > end:
            raise Malformed("an RTCP packet is cut off")
        first, kind, words = _HEAD.unpack_from(datagram, at)
        if first >> 6 != 2:
            raise Malformed(f"RTCP version {first >> 6} instead of 2")
        finish = at + 4 + 4 * words
        if finish > end:
            raise Malformed("an RTCP packet is longer than its datagram")
        body = datagram[at + 4 : finish]
        if first & 0x20:
            padding = body[-1] if body else 0
            if not 1 <= padding <= len(body):
                raise Malformed(f"{padding} bytes of RTCP padding in {len(body)}")
            body = body[:-padding]
        count = first & 0x1F
        if kind == SR:
            found.append(_sender_report(body, count))
        elif kind == RR:
            found.append(_receiver_report(body, count))
        elif kind == BYE:
            found.append(_bye(body, count))
        at = finish
    raise Malformed("too many RTCP packets in one datagram")


def _sender_report(body: bytes, count: int) -> SenderReport:
    if len(body) < 24 + 24 * count:
        raise Malformed("a sender report is cut off")
    ssrc, seconds, fraction, timestamp, packets, octets = _SENDER.unpack_from(body)
    return SenderReport(ssrc, seconds << 32 | fraction, timestamp, packets, octets, _blocks(body, 24, count))


def _receiver_report(body: bytes, count: int) -> ReceiverReport:
    if len(body) < 4 + 24 * count:
        raise Malformed("a receiver report is cut off")
    return ReceiverReport(int.from_bytes(body[:4], "big"), _blocks(body, 4, count))


def _blocks(body: bytes, at: int, count: int) -> tuple[Block, ...]:
    blocks = []
    for number in range(count):
        ssrc, loss, highest, jitter, last, delay = _BLOCK.unpack_from(body, at + 24 * number)
        lost = loss & 0xFFFFFF
        blocks.append(Block(ssrc, loss >> 24, lost - (lost >> 23 << 24), highest, jitter, last, delay))
    return tuple(blocks)


def _bye(body: bytes, count: int) -> Bye:
    if len(body) < 4 * count:
        raise Malformed("a goodbye is cut off")
    rest = body[4 * count :]
    reason = rest[1 : 1 + rest[0]].decode("utf-8", "replace") if rest else ""
    return Bye(struct.unpack_from(f"!{count}I", body), reason)


def receiver_report(ssrc: int, cname: str, blocks: Sequence[Block] = ()) -> bytes:
    """What we send: an RR, and who we are."""
    report = _HEAD.pack(0x80 | len(blocks), RR, 1 + 6 * len(blocks)) + struct.pack("!I", ssrc)
    for each in blocks:
        loss = each.fraction_lost << 24 | each.lost & 0xFFFFFF
        report += _BLOCK.pack(each.ssrc, loss, each.highest, each.jitter, each.last_report, each.delay)
    name = cname.encode()[:MAX_CNAME]
    # Chunks end with one zero at least, at a whole word.
    chunk = struct.pack("!IBB", ssrc, 1, len(name)) + name + b"\0"
    chunk += bytes(-len(chunk) % 4)
    return report + _HEAD.pack(0x81, SDES, len(chunk) // 4) + chunk


class Reception:
    """What is told of one stream's reception. Times are seconds of any steady clock."""

    _LOST_LIMIT = 0x7FFFFF  # 24 bits with a sign

    def __init__(self, rate: int) -> None:
        self.received = 0
        self.jitter = 0.0  # in ticks
        self._rate = rate
        self._ssrc = 0
        self._first = -1  # the number that the count began with
        self._highest = 0  # with cycles
        self._expected_before = 0
        self._received_before = 0
        self._timestamp = 0
        self._arrival = 0.0
        self._report = 0  # the middle of the last SR's NTP time
        self._reported = 0.0

    def packet(self, sequence: int, timestamp: int, ssrc: int, arrival: float) -> None:
        """To be told of each packet as it comes, also out of order."""
        self._ssrc = ssrc
        step = (sequence - self._highest) & 0xFFFF
        if self._first < 0 or MAX_DROPOUT < step < 0x10000 - MAX_DROPOUT:
            # The beginning, or a sender that starts over: the count does too.
            self._first = self._highest = sequence
            self.received = self._expected_before = self._received_before = 0
        else:
            if step < 0x8000:
                self._highest += step
            if timestamp == self._timestamp:
                self.received += 1
                return
            elapsed = (timestamp - self._timestamp) & 0xFFFFFFFF
            elapsed -= elapsed >> 31 << 32
            late = abs((arrival - self._arrival) * self._rate - elapsed)
            if late < LONGEST * self._rate:
                self.jitter += (late - self.jitter) / 16
        self.received += 1
        self._timestamp, self._arrival = timestamp, arrival

    def sender_report(self, report: SenderReport, arrival: float) -> None:
        self._report = report.ntp >> 16 & 0xFFFFFFFF
        self._reported = arrival

    @property
    def expected(self) -> int:
        return self._highest - self._first + 1 if self._first >= 0 else 0

    @property
    def lost(self) -> int:
        return self.expected - self.received

    def block(self, now: float) -> Block | None:
        """What happened since the last call; None before the first packet."""
        if self._first < 0:
            return None
        expected = self.expected - self._expected_before
        lost = expected - (self.received - self._received_before)
        self._expected_before, self._received_before = self.expected, self.received
        delay = int((now - self._reported) * 65_536) if self._report else 0
        return Block(
            ssrc=self._ssrc,
            fraction_lost=min(255, (lost << 8) // expected) if expected > 0 and lost > 0 else 0,
            lost=max(-self._LOST_LIMIT, min(self._LOST_LIMIT, self.lost)),
            highest=self._highest & 0xFFFFFFFF,
            jitter=int(self.jitter) & 0xFFFFFFFF,
            last_report=self._report,
            delay=max(0, min(0xFFFFFFFF, delay)),
        )
