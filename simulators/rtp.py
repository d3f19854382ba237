"""H.264 in RTP as POVCAM section 15 lays it out.

    V=2 P=0 X CC=0 | M PT=98 | sequence number        M: the last packet of a picture; the sequence starts at random
    timestamp, 90 kHz | SSRC 0
    0x0000 | length in words | additional information  only when X is set: the first packet of a picture

A NAL unit that fits goes alone (RFC 6184, single NAL unit packet), a larger one in FU-A fragments.
"""

from __future__ import annotations

import random
import struct

PAYLOAD_TYPE_H264 = 98
CLOCK = 90_000
MTU = 1400  # largest RTP packet, header included: fits every link a camera is put on
FU_A = 28


class Packetizer:
    """The packets of one receiver: a sequence number and a clock of its own."""

    def __init__(self, *, payload_type: int = PAYLOAD_TYPE_H264, mtu: int = MTU) -> None:
        self._payload_type = payload_type
        self._mtu = mtu
        self._sequence = random.randrange(0x10000)
        self._offset = random.randrange(0x1_0000_0000)

    def packets(self, units: list[bytes], ticks: int, information: bytes = b"") -> list[bytes]:
        """One picture's packets. `ticks` is its time in 1/90000 s; `information` a multiple of four bytes."""
        extension = struct.pack("!HH", 0, len(information) // 4) + information if information else b""
        room = self._mtu - 12
        payloads: list[bytes] = []
        for unit in units:
            # Reserve the extension's room for each unit: whichever comes first carries it.
            payloads += _payloads(unit, room - len(extension))
        timestamp = (self._offset + ticks) & 0xFFFFFFFF
        last = len(payloads) - 1
        packets = []
        for index, payload in enumerate(payloads):
            carried = extension if index == 0 else b""
            first = 0x90 if carried else 0x80
            second = self._payload_type | (0x80 if index == last else 0)
            packets.append(struct.pack("!BBHII", first, second, self._sequence, timestamp, 0) + carried + payload)
            self._sequence = (self._sequence + 1) & 0xFFFF
        return packets


def _payloads(unit: bytes, room: int) -> list[bytes]:
    if len(unit) <= room:
        return [unit]
    indicator, kind, body = unit[0] & 0xE0 | FU_A, unit[0] & 0x1F, unit[1:]
    size = room - 2
    fragments = []
    for start in range(0, len(body), size):
        header = kind | (0x80 if start == 0 else 0) | (0x40 if start + size >= len(body) else 0)
        fragments.append(bytes([indicator, header]) + body[start : start + size])
    return fragments
