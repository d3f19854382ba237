"""A film as a camera sends it, for the relay's benchmark: encoded once, then sent over RTP by a process of its own.

    python -m vms.bench.film FILE --ports 40000,40002 [--loss 0.003] [--reorder 8]

1080p30 at 4 Mbit/s unless the file was made otherwise. Every fifth picture has, behind its delimiter, an SEI unit that
holds the moment at which it was sent, so that whoever receives it knows how old it is. A line on standard input pauses
and resumes.
"""

from __future__ import annotations

import argparse
import random
import socket
import struct
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
from av.filter import Graph

MTU = 1400
H264 = 98
# SEI, "user data unregistered" (H.264, D.1.6): type, size, a UUID of ours, then the time; the last byte ends it.
STAMP_UUID = b"relay bench time"
STAMP = struct.Struct("!d")
KEPT = (1, 5, 7, 8)  # slices and parameter sets; encoders add what cameras do not send
STAMPED = 5  # every so many pictures
DELIMITER = b"\x09\xf0"
_START = b"\x00\x00\x00\x01"


def make(
    path: Path, width: int = 1920, height: int = 1080, rate: int = 30, kilobits: int = 4000, gops: int = 3
) -> None:
    """Some seconds of a moving test picture, one key picture a second."""
    graph = Graph()
    source = graph.add("testsrc2", f"size={width}x{height}:rate={rate}")
    sink = graph.add("buffersink")
    noise = graph.add("noise", "alls=12:allf=t")
    form = graph.add("format", "yuv420p")
    source.link_to(noise)
    noise.link_to(form)
    form.link_to(sink)
    graph.configure()
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, rate), Fraction(rate)
    encoder.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "x264-params": f"keyint={rate}:min-keyint={rate}:scenecut=0:bframes=0:nal-hrd=cbr:force-cfr=1:sliced-threads=0"
        f":bitrate={kilobits}:vbv-maxrate={kilobits}:vbv-bufsize={kilobits // 4}",
    }
    with path.open("wb") as file:
        for number in range(gops * rate):
            frame = sink.pull()
            assert isinstance(frame, av.VideoFrame)
            frame.pts, frame.time_base = number, encoder.time_base
            frame.pict_type = av.video.frame.PictureType.NONE
            for packet in encoder.encode(frame):
                data = bytes(packet)
                file.write(struct.pack("!I", len(data)) + data)


def read(path: Path) -> list[list[bytes]]:
    """The NAL units of each picture."""
    content, at, pictures = path.read_bytes(), 0, []
    while at < len(content):
        (size,) = struct.unpack_from("!I", content, at)
        annex_b = content[at + 4 : at + 4 + size].replace(_START, _START[1:])
        pictures.append([unit for unit in annex_b.split(_START[1:]) if unit and unit[0] & 0x1F in KEPT])
        at += 4 + size
    return pictures


def stamp(moment: float) -> bytes:
    return bytes((6, 5, len(STAMP_UUID) + STAMP.size)) + STAMP_UUID + STAMP.pack(moment) + b"\x80"


def payloads(units: list[bytes]) -> list[bytes]:
    """RFC 6184, packetization mode 1."""
    found = []
    for unit in units:
        if len(unit) <= MTU:
            found.append(unit)
            continue
        pieces = [unit[at : at + MTU] for at in range(1, len(unit), MTU)]
        for number, piece in enumerate(pieces):
            ends = (number == 0) << 7 | (number == len(pieces) - 1) << 6
            found.append(bytes((unit[0] & 0x60 | 28, ends | unit[0] & 0x1F)) + piece)
    return found


class Sender:
    """The same film to all ports, each a little later than the one before."""

    def __init__(self, path: Path, rate: int, ports: list[int], loss: float, reorder: int) -> None:
        self._film = [payloads(units) for units in read(path)]
        self._rate = rate
        self._dice = random.Random(1)  # noqa: S311
        self._loss, self._reorder = loss, reorder
        self._lines = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in ports]
        for line, port in zip(self._lines, ports, strict=True):
            line.connect(("127.0.0.1", port))
        self.paused = threading.Event()

    def run(self) -> None:
        began, sequence = time.monotonic(), 0
        number = 0
        while True:
            if self.paused.is_set():
                time.sleep(0.005)
                began = time.monotonic() - number / self._rate
                continue
            picture = self._film[number % len(self._film)]
            head = struct.Struct("!BBHII")
            before = 1 + (number % STAMPED == 0)
            count = len(picture) + before
            timestamp = number * 90_000 // self._rate & 0xFFFFFFFF
            for index, line in enumerate(self._lines):
                wait = began + (number + index / len(self._lines)) / self._rate - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
                for at in self._order(count):
                    body = picture[at - before] if at >= before else stamp(time.time()) if at else DELIMITER
                    marker = (at == count - 1) << 7
                    packet = head.pack(0x80, marker | H264, (sequence + at) & 0xFFFF, timestamp, index) + body
                    if self._loss and self._dice.random() < self._loss:
                        continue
                    try:
                        line.send(packet)
                    except OSError:
                        continue  # nobody listens yet, or any more
            sequence += count
            number += 1

    def _order(self, count: int) -> list[int]:
        places = list(range(count))
        if self._reorder:
            keyed = sorted((at + self._dice.uniform(0, self._reorder), at) for at in places)
            places = [at for _, at in keyed]
        return places


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--ports", required=True)
    parser.add_argument("--rate", type=int, default=30)
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("--reorder", type=int, default=0, help="how many places late a packet may be")
    given = parser.parse_args()
    sender = Sender(given.file, given.rate, [int(port) for port in given.ports.split(",")], given.loss, given.reorder)
    threading.Thread(target=sender.run, daemon=True).start()
    for _ in sys.stdin:  # its end ends this process
        if sender.paused.is_set():
            sender.paused.clear()
        else:
            sender.paused.set()


if __name__ == "__main__":
    main()
