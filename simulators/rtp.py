"""RTP as the simulated devices send it: numbering, header extension, and how each codec's units become payloads.

    V=2 P=0 X CC=0 | M PT | sequence number               M: the last packet of a picture; the sequence starts at random
    timestamp | SSRC 0                                    the timestamp starts at random too
    0x0000 | length in words | additional information     only when X is set: the first packet of a picture

Video runs at 90 kHz. A NAL unit that fits goes alone, a larger one in fragments: of H.264 FU-A (RFC 6184), of H.265 FU
(RFC 7798). One AAC unit is one packet, with the AU header its device's document wants. Everything else is bare.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Literal

PAYLOAD_TYPE_H264 = 98
CLOCK = 90_000
MTU = 1400  # largest RTP packet, header included: fits every link a camera is put on
FU_A, FU = 28, 49

Fragmenter = Callable[[bytes, int], list[bytes]]
"""A NAL unit and the room of a payload to the payloads that carry it."""


class Numbering:
    """The header of each packet of one stream to one receiver."""

    def __init__(self, payload_type: int) -> None:
        self.payload_type = payload_type
        self.sequence = random.randrange(0x10000)
        self.offset = random.randrange(0x1_0000_0000)

    def packet(self, payload: bytes, ticks: int, *, marker: bool, information: bytes = b"") -> bytes:
        """`ticks` is the payload's time on the stream's clock; `information` has a multiple of four bytes."""
        first = 0x90 if information else 0x80
        second = self.payload_type | (0x80 if marker else 0)
        header = struct.pack("!BBHII", first, second, self.sequence, self.timestamp(ticks), 0)
        self.sequence = (self.sequence + 1) & 0xFFFF
        return header + extension(information) + payload

    def timestamp(self, ticks: int) -> int:
        return (self.offset + ticks) & 0xFFFFFFFF


class Packetizer:
    """The packets of one receiver's pictures."""

    def __init__(
        self, *, payload_type: int = PAYLOAD_TYPE_H264, mtu: int = MTU, fragments: Fragmenter | None = None
    ) -> None:
        self.numbering = Numbering(payload_type)
        self._fragments = fragments or h264_payloads
        self._room = mtu - 12

    def packets(self, units: list[bytes], ticks: int, information: bytes = b"") -> list[bytes]:
        """One picture's packets. `ticks` is its time in 1/90000 s."""
        # The extension's room is kept free in each packet: whichever comes first carries it.
        room = self._room - len(extension(information))
        payloads = [payload for unit in units for payload in self._fragments(unit, room)]
        last = len(payloads) - 1
        return [
            self.numbering.packet(payload, ticks, marker=index == last, information=information if index == 0 else b"")
            for index, payload in enumerate(payloads)
        ]


def extension(information: bytes) -> bytes:
    return struct.pack("!HH", 0, len(information) // 4) + information if information else b""


def h264_payloads(unit: bytes, room: int) -> list[bytes]:
    if len(unit) <= room:
        return [unit]
    return _fragments(bytes([unit[0] & 0xE0 | FU_A]), unit[0] & 0x1F, unit[1:], room)


def h265_payloads(unit: bytes, room: int) -> list[bytes]:
    if len(unit) <= room:
        return [unit]
    kind = unit[0] >> 1 & 0x3F
    return _fragments(bytes([unit[0] & 0x81 | FU << 1, unit[1]]), kind, unit[2:], room)


def _fragments(header: bytes, kind: int, body: bytes, room: int) -> list[bytes]:
    """Both standards mark the first fragment with bit 7 and the last with bit 6, before the unit's own type."""
    size = room - len(header) - 1
    return [
        header
        + bytes([kind | (0x80 if start == 0 else 0) | (0x40 if start + size >= len(body) else 0)])
        + body[start : start + size]
        for start in range(0, len(body), size)
    ]


def aac_payload(unit: bytes, header: Literal["rfc3640", "bare", "none"]) -> bytes:
    """One AAC unit with an AU header of four bytes (RFC 3640: their length in bits, then size and index), of two bytes
    (size and index alone), or without one."""
    size = struct.pack("!H", len(unit) << 3)
    return {"rfc3640": struct.pack("!H", 16) + size, "bare": size, "none": b""}[header] + unit
