"""Fixtures of the simulators' tests."""

import contextlib
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from simulators.device import Manners
from simulators.ipro import IproSimulator
from simulators.povcam import PovcamSimulator
from tests.simulators.helpers import Client, RtpPort
from tests.simulators.recorder import CALM, Recorder
from tests.simulators.servers import FtpServer


@pytest.fixture
async def device() -> AsyncIterator[PovcamSimulator]:
    """A recorder in no hurry: the pacing tests make their own."""
    manners = Manners(command=0, state=0)
    async with PovcamSimulator(
        seed=7, name="Gate north", small_clips=True, clip_seconds=2, control=True, manners=manners
    ) as device:
        yield device


@pytest.fixture
def client(device: PovcamSimulator) -> Client:
    return Client(device)


@pytest.fixture
async def quick() -> AsyncIterator[Client]:
    """A recorder with two cards that needs moments where others need seconds."""
    manners = Manners(command=0, state=0)
    async with PovcamSimulator(
        seed=7,
        cards=(64, 32),
        small_clips=True,
        clip_seconds=2,
        work_seconds=0.2,
        reboot_seconds=0.2,
        manners=manners,
        control=True,
    ) as device:
        yield Client(device)


@pytest.fixture
async def worker() -> AsyncIterator[tuple[Client, Callable[[float], None]]]:
    """A recorder whose time stands still, so that its work lasts until the test lets seconds pass. A few seconds are
    ten."""
    async with PovcamSimulator(
        seed=7, cards=(64, 32), work_seconds=10, reboot_seconds=0.2, manners=Manners(command=0, state=0), control=True
    ) as device:
        passed = [time.monotonic()]
        device.cards.now = lambda: sum(passed)
        yield Client(device), passed.append


@pytest.fixture
def make_port():
    ports: list[RtpPort] = []

    def make(host: str = "127.0.0.1") -> RtpPort:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        while True:  # a port of the device's own settings ends at 50000
            with contextlib.suppress(OSError):
                opened.bind((host, random.randrange(20000, 30000, 2)))
                break
        ports.append(RtpPort(opened))
        return ports[-1]

    yield make
    for port in ports:
        port.socket.close()


@pytest.fixture
def make_port_at():
    """UDP ports at an address: a free one, or the one so much higher than another's."""
    ports: list[RtpPort] = []

    def make(host: str, lowest: int, plus: int = 0, of: RtpPort | None = None) -> RtpPort:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        while True:
            number = of.number + plus if of is not None else random.randrange(lowest, lowest + 8000, 2)
            with contextlib.suppress(OSError):
                opened.bind((host, number))
                break
        ports.append(RtpPort(opened))
        return ports[-1]

    yield make
    for port in ports:
        port.socket.close()


@pytest.fixture
def make_pair(make_port_at):
    """Two UDP ports, one after the other: for packets and for reports."""

    def make() -> tuple[RtpPort, RtpPort]:
        first = make_port_at("127.0.0.1", 20_000)
        return first, make_port_at("127.0.0.1", 0, plus=1, of=first)

    return make


@pytest.fixture
def rtp_port(make_port) -> RtpPort:
    return make_port()


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    """A recorder in no hurry: the pacing tests make their own."""
    async with IproSimulator(seed=7, control=True, gaps=CALM) as device:
        recorder = Recorder(device)
        async with recorder.http:
            yield recorder


@pytest.fixture
def ftp_server(tmp_path) -> Iterator[FtpServer]:
    with FtpServer(tmp_path) as server:
        yield server
