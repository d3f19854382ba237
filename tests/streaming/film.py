"""A short film: real H.264 of the simulators' test picture, its packets, and how to look at what comes out."""

from __future__ import annotations

import io
import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

import av

from simulators.h264 import Encoder
from simulators.picture import Picture, read_strip
from simulators.rtp import Packetizer
from streaming.media import CLOCK_RATE, AccessUnit
from streaming.wire import fmp4, rtp
from streaming.wire.h264 import Depacketizer
from streaming.wire.timeline import Timeline

RATE = 15
TICKS = 90_000 // RATE
WIDTH, HEIGHT = 640, 360


@dataclass(frozen=True)
class Film:
    frames: list[list[bytes]]  # NAL units of each picture; a key picture each RATE pictures

    def packets(self, mtu: int = 1400) -> list[list[bytes]]:
        packetizer = Packetizer(mtu=mtu)
        return [packetizer.packets(units, number * TICKS) for number, units in enumerate(self.frames)]


def make_film(count: int, *, seed: int = 7, width: int = WIDTH, height: int = HEIGHT) -> Film:
    picture = Picture(width, height, seed=seed, name="Test")
    encoder = Encoder(width, height, Fraction(RATE), 1000)
    when = datetime(2026, 1, 1, tzinfo=UTC)
    return Film([encoder.encode(picture.draw(number, when), number) for number in range(count)])


class Chain:
    """Datagrams in, access units out, as a source does it."""

    def __init__(self) -> None:
        self.sequencer = rtp.Sequencer()
        self.depacketizer = Depacketizer()

    def push(self, datagram: bytes, received: float = 1.0) -> list[AccessUnit]:
        return [
            unit
            for packet in self.sequencer.push(rtp.parse(datagram))
            for unit in self.depacketizer.push(packet, received)
        ]

    def push_all(self, datagrams: Iterable[bytes]) -> list[AccessUnit]:
        return [unit for datagram in datagrams for unit in self.push(datagram)]


def units_of(film: Film) -> list[AccessUnit]:
    return Chain().push_all(packet for packets in film.packets() for packet in packets)


def mp4_of(units: list[AccessUnit]) -> bytes:
    """What one viewer gets, one after the other."""
    timeline = Timeline(CLOCK_RATE, origin=units[0].received)
    parts = [fmp4.init_segment(units[0].track)]
    for number, unit in enumerate(units):
        parts.append(
            fmp4.fragment(number, *timeline.place(unit.time, unit.received), unit.key, unit.received, unit.data)
        )
    return b"".join(parts)


def numbers_seen(mp4: bytes, seed: int = 7) -> list[int]:
    """The frame numbers that the decoded pictures show; fails when a picture is damaged so that it shows none."""
    numbers = []
    with av.open(io.BytesIO(mp4)) as container:
        for frame in container.decode(video=0):
            strip = read_strip(frame.to_image())
            assert strip is not None, "a decoded picture has no readable strip"
            assert strip[0] == seed
            numbers.append(strip[1])
    return numbers


def shuffled_within(packets: list[bytes], places: int, seed: int) -> list[bytes]:
    """The packets in another order, none more than `places` late."""
    dice = random.Random(seed)
    keyed = sorted((index + dice.uniform(0, places), index) for index in range(len(packets)))
    return [packets[index] for _, index in keyed]
