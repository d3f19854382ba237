"""One loop to many ports, for benchmarks."""

import json
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction

import pytest

from simulators import load
from simulators.picture import read_strip
from simulators.video import VideoFormat
from tests.simulators.helpers import Packet, decode, units

SMALL = VideoFormat(640, 360, Fraction(15), 1000)


@pytest.fixture
def ports() -> Iterator[list[socket.socket]]:
    opened = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    for each in opened:
        each.setblocking(False)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        each.bind(("127.0.0.1", 0))
    yield opened
    for each in opened:
        each.close()


def received(port: socket.socket) -> list[Packet]:
    packets = []
    while True:
        try:
            packets.append(Packet.parse(port.recv(2000)))
        except BlockingIOError:
            return packets


def test_every_port_gets_all_pictures(ports):
    sent = load.send([port.getsockname()[1] for port in ports], seconds=1.5, video=SMALL)
    assert (sent.streams, sent.lost) == (3, 0)
    counts = []
    for port in ports:
        packets = received(port)
        first = packets[0].sequence
        assert [packet.sequence for packet in packets] == [(first + n) % 65536 for n in range(len(packets))]
        pictures, picture = [], []
        for packet in packets:
            picture.append(packet)
            if packet.marker:
                pictures.append(units(picture))
                picture = []
        strips = [read_strip(frame.to_image()) for frame in decode(pictures)]
        assert strips == [(0, number) for number in range(len(strips))]
        counts.append(len(packets))
    assert sent.packets == sum(counts)


def test_it_is_a_command(ports):
    number = random.randrange(45_000, 49_000)
    command = [sys.executable, "-m", "simulators", "load", "--ports", f"{number}-{number + 1}", "--seconds", "0.2"]
    command += ["--width", "640", "--height", "360", "--rate", "15", "--kilobits", "1000"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    begun, told = ran.stdout.splitlines()
    assert begun == f"sending 2 streams to 127.0.0.1:{number}-{number + 1}"
    assert json.loads(told)["streams"] == 2


def test_ports_that_are_none_are_one_sentence():
    command = [sys.executable, "-m", "simulators", "load", "--ports", "high"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (1, "'high' is no range of ports such as 40000-40031.\n")
