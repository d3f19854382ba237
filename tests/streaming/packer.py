"""A small RTP packetizer, written for the tests alone, for H.264 (RFC 6184) and H.265 (RFC 7798)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from streaming.media import AccessUnit
from streaming.wire import rtp
from streaming.wire.nal import Assembler
from tests.streaming.coded import Picture


def packets(
    pictures: Iterable[Picture], *, h265: bool = False, mtu: int = 400, first: int = 1, aggregate: bool = True
) -> list[bytes]:
    found: list[bytes] = []
    for picture in pictures:
        payloads: list[bytes] = []
        small: list[bytes] = []
        for nal in picture.nals:
            if aggregate and len(nal) < 100:
                small.append(nal)
                continue
            payloads += [*gathered(small, h265), *pieces(nal, h265, mtu)]
            small = []
        payloads += gathered(small, h265)
        for number, payload in enumerate(payloads):
            marker = 0x80 if number == len(payloads) - 1 else 0
            head = struct.pack("!BBHII", 0x80, 98 | marker, (first + len(found)) & 0xFFFF, picture.time & 0xFFFFFFFF, 5)
            found.append(head + payload)
    return found


def gathered(nals: list[bytes], h265: bool) -> list[bytes]:
    if len(nals) < 2:
        return nals
    head = b"\x60\x01" if h265 else b"\x78"
    return [head + b"".join(struct.pack("!H", len(nal)) + nal for nal in nals)]


def pieces(nal: bytes, h265: bool, mtu: int) -> list[bytes]:
    if len(nal) <= mtu:
        return [nal]
    if h265:
        head, kind, body = bytes((nal[0] & 0x81 | 49 << 1, nal[1])), nal[0] >> 1 & 0x3F, nal[2:]
    else:
        head, kind, body = bytes((nal[0] & 0xE0 | 28,)), nal[0] & 0x1F, nal[1:]
    cut = [body[at : at + mtu] for at in range(0, len(body), mtu)]
    last = len(cut) - 1
    return [
        head + bytes((kind | (0x80 if number == 0 else 0) | (0x40 if number == last else 0),)) + piece
        for number, piece in enumerate(cut)
    ]


def put_together(depacketizer: Assembler, datagrams: Iterable[bytes]) -> list[AccessUnit]:
    sequencer = rtp.Sequencer()
    return [
        unit
        for datagram in datagrams
        for packet in sequencer.push(rtp.parse(datagram))
        for unit in depacketizer.push(packet, 1.0)
    ]
