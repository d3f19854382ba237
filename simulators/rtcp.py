"""RTCP (RFC 3550, section 6) as a simulated device sends and reads it.

A device sends compound packets of a sender report and its name (SR, SDES). `read` takes what a client sends: reports,
in a compound packet that begins with one and whose lengths add up; anything else raises `RtcpError` with a sentence.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

SENDER_REPORT, RECEIVER_REPORT, DESCRIPTION, BYE, APPLICATION = range(200, 205)
KINDS = range(200, 208)  # up to RFC 3611 and the feedback of RFC 4585
CNAME = 1
SINCE_1900 = 2_208_988_800  # seconds from NTP's epoch to Unix's
INTERVAL = 5.0
"""Seconds between sender reports (POVCAM section 14)."""


class RtcpError(ValueError):
    """Not RTCP; the message says why."""


@dataclass(frozen=True)
class Block:
    """What a receiver says of one sender."""

    source: int
    lost: int
    highest: int
    jitter: int


@dataclass(frozen=True)
class Report:
    """A receiver report, or the blocks of a sender report."""

    reporter: int
    blocks: tuple[Block, ...]


def sender_report(name: str, wall: float, timestamp: int, packets: int, octets: int, source: int = 0) -> bytes:
    """What was sent until the moment `wall` (Unix time), which is `timestamp` on the stream's clock."""
    seconds = int(wall)
    fraction = int((wall - seconds) * 2**32)
    counts = packets & 0xFFFFFFFF, octets & 0xFFFFFFFF
    moment = (seconds + SINCE_1900) & 0xFFFFFFFF, fraction, timestamp & 0xFFFFFFFF
    report = struct.pack("!BBHIIIIII", 0x80, SENDER_REPORT, 6, source, *moment, *counts)
    text = name.encode()[:255]
    item = struct.pack("!IBB", source, CNAME, len(text)) + text
    item += bytes(4 - len(item) % 4)  # the list of items ends with at least one zero
    return report + struct.pack("!BBH", 0x81, DESCRIPTION, len(item) // 4) + item


def read(data: bytes) -> list[Report]:
    reports = []
    position = 0
    while position < len(data):
        if len(data) - position < 4:
            raise RtcpError("An RTCP packet is shorter than its header.")
        first, kind, words = struct.unpack_from("!BBH", data, position)
        end = position + 4 + 4 * words
        if first >> 6 != 2:
            raise RtcpError(f"RTCP has version 2, not {first >> 6}.")
        if kind not in KINDS:
            raise RtcpError(f"There is no RTCP packet type {kind}.")
        if position == 0 and kind not in (SENDER_REPORT, RECEIVER_REPORT):
            raise RtcpError("An RTCP packet begins with a report.")
        if end > len(data):
            raise RtcpError("An RTCP packet is shorter than it says.")
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            start = position + (28 if kind == SENDER_REPORT else 8)
            reports.append(_report(data, position + 4, start, end, first & 0x1F))
        position = end
    if not reports:
        raise RtcpError("An RTCP packet is empty.")
    return reports


def _report(data: bytes, reporter_at: int, start: int, end: int, count: int) -> Report:
    if start + 24 * count > end:
        raise RtcpError(f"A report of {count} blocks is too short for them.")
    blocks = []
    for position in range(start, start + 24 * count, 24):
        source, losses, highest, jitter = struct.unpack_from("!IIII", data, position)
        blocks.append(Block(source, losses & 0xFFFFFF, highest, jitter))
    (reporter,) = struct.unpack_from("!I", data, reporter_at)
    return Report(reporter, tuple(blocks))
