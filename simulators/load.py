"""Load for benchmarks: one loop of H.264 in RTP to many ports, with as little work as can be.

    python -m simulators load --ports 40000-40031 --seconds 60

Every port gets the same pictures, framed as a POVCAM recorder frames them, each a part of a frame's time after the one
before it, so that ports do not receive in step. A picture's packets leave in pieces over half of a frame's time, a
piece in one system call where the system can cut it into datagrams itself (UDP_SEGMENT, Linux). It prints `sending …`
once it begins, and at the end one JSON line with what was sent and what that cost.

The strip of the pictures shows seed 0 and the number within the loop. Frame n is taken n / rate seconds after the
start, which the first packet of each picture tells as a POVCAM recorder does.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from simulators.loops import loop
from simulators.rtp import CLOCK, Packetizer
from simulators.video import BURST, Frames, VideoFormat, seconds_and_hundredths

UDP_SEGMENT = 103  # linux/udp.h; Python's socket module does not name it
CANNOT = (errno.EINVAL, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EIO)
FULL_HD = VideoFormat(1920, 1080, Fraction(30), 4000)


@dataclass
class Sent:
    streams: int
    seconds: float = 0.0
    frames: int = 0
    packets: int = 0
    octets: int = 0
    lost: int = 0
    """Pieces the system did not take."""
    worst_delay: float = 0.0
    """The latest a piece left, in seconds after its time."""
    cpu_percent: float = 0.0


@dataclass(frozen=True)
class Piece:
    delay: float
    """Seconds after the picture's time."""
    packets: tuple[bytes, ...]
    """Of one size but for the last, which may be smaller."""


def send(
    ports: Sequence[int], *, seconds: float, host: str = "127.0.0.1", video: VideoFormat = FULL_HD, begun: bool = False
) -> Sent:
    """Send for so long and tell what was sent; with `begun` print a line when it begins."""
    pictures = loop("h264", video, seed=0, name="Load")
    sockets = [_connected(host, port) for port in ports]
    try:
        if begun:
            print(f"sending {len(ports)} streams to {host}:{ports[0]}-{ports[-1]}", flush=True)
        return _run(sockets, pictures, video, seconds)
    finally:
        for each in sockets:
            each.close()


def _run(sockets: list[socket.socket], pictures: Frames, video: VideoFormat, seconds: float) -> Sent:
    interval = float(1 / video.rate)
    packetizer = Packetizer()
    sent = Sent(len(sockets))
    started, wall, cpu = time.monotonic(), time.time(), time.process_time()
    made: dict[int, list[Piece]] = {}
    # When, which port, which picture, which piece of it.
    due = [(index * interval / len(sockets), index, 0, 0) for index in range(len(sockets))]
    heapq.heapify(due)
    while due[0][0] < seconds:
        when, index, number, place = due[0]
        now = time.monotonic() - started
        if when > now:
            time.sleep(when - now)
            now = time.monotonic() - started
        if number not in made:
            information = seconds_and_hundredths(wall + number * interval, 0)
            units = pictures.frame(number)
            made[number] = _pieces(packetizer.packets(units, int(number * CLOCK / video.rate), information), interval)
            made.pop(number - 2, None)  # no port is further behind than one picture
        pieces = made[number]
        sent.worst_delay = max(sent.worst_delay, now - when)
        _send(sockets[index], pieces[place].packets, sent)
        base = when - pieces[place].delay
        if place + 1 < len(pieces):
            heapq.heapreplace(due, (base + pieces[place + 1].delay, index, number, place + 1))
        else:
            sent.frames += 1
            heapq.heapreplace(due, (base + interval, index, number + 1, 0))
    sent.seconds = round(time.monotonic() - started, 3)
    sent.cpu_percent = round(100 * (time.process_time() - cpu) / sent.seconds, 2)
    sent.worst_delay = round(sent.worst_delay, 4)
    return sent


def _pieces(packets: list[bytes], interval: float) -> list[Piece]:
    groups: list[list[bytes]] = []
    for packet in packets:
        last = groups[-1] if groups else []
        if last and len(last) < BURST and len(last[-1]) == len(last[0]) >= len(packet):
            last.append(packet)
        else:
            groups.append([packet])
    step = interval / 2 / len(groups)
    return [Piece(place * step, tuple(group)) for place, group in enumerate(groups)]


def _send(target: socket.socket, packets: tuple[bytes, ...], sent: Sent) -> None:
    size = sum(map(len, packets))
    try:
        if len(packets) == 1:
            target.send(packets[0])
        else:
            segment = struct.pack("=H", len(packets[0]))
            target.sendmsg(packets, [(socket.IPPROTO_UDP, UDP_SEGMENT, segment)])
    except OSError as error:
        if error.errno not in CANNOT:  # nobody listens, or the buffer is full: as on a wire
            sent.lost += 1
            return
        for packet in packets:
            with contextlib.suppress(OSError):
                target.send(packet)
    sent.packets += len(packets)
    sent.octets += size


def _connected(host: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.connect((host, port))
    return opened
