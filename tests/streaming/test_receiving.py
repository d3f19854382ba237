"""UDP ports and who may send to them."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from streaming.media import AccessUnit
from streaming.sources import SourceFailed, lines, ports
from streaming.sources.lines import RtpLine
from streaming.sources.rtp_udp import RtpReceiver, addresses_of
from tests.streaming.film import Film, units_of


@pytest.fixture(autouse=True)
def _few_ports(settings) -> None:
    settings.RTP_PORTS = (45_001, 45_008)


def test_ports_are_even_and_each_is_given_once():
    opened = [ports.open_port() for _ in range(3)]
    try:
        numbers = {each.getsockname()[1] for each in opened}
        assert len(numbers) == 3
        assert numbers <= {45_002, 45_004, 45_006, 45_008}
    finally:
        for each in opened:
            each.close()


def test_a_port_somebody_else_holds_is_passed_over():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", 45_004))
        opened = [ports.open_port() for _ in range(3)]
        numbers = sorted(each.getsockname()[1] for each in opened)
        for each in opened:
            each.close()
    assert numbers == [45_002, 45_006, 45_008]


def test_when_none_is_free_the_sentence_says_what_to_do():
    opened = [ports.open_port() for _ in range(4)]
    try:
        with pytest.raises(SourceFailed, match="RTP_PORTS"):
            ports.open_port()
    finally:
        for each in opened:
            each.close()
    ports.open_port().close()  # and a freed one is used again


def test_a_freed_port_comes_back_last():
    first = ports.open_port()
    number = first.getsockname()[1]
    first.close()
    with ports.open_port() as second:
        assert second.getsockname()[1] != number


class Listening:
    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self.port = ports.open_port()
        self.line = RtpLine(lines.pictures(), self.units.append)
        self.receiver = RtpReceiver(self.port, frozenset({"127.0.0.1"}), self.line)
        self.address = ("127.0.0.1", self.port.getsockname()[1])

    async def until(self, packets: int) -> None:
        async with asyncio.timeout(5):
            while self.line.packets + self.receiver.foreign < packets:  # noqa: ASYNC110 — nobody announces it
                await asyncio.sleep(0.002)


@pytest.fixture
async def listening() -> AsyncIterator[Listening]:
    listening = Listening()
    yield listening
    listening.receiver.close()
    listening.port.close()


def sender(host: str = "127.0.0.1") -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    return made


async def test_pictures_sent_to_the_port_come_out_whole(listening: Listening, film: Film):
    packets = [each for packets in film.packets() for each in packets]
    with sender() as camera:
        for count, packet in enumerate(packets, 1):
            camera.sendto(packet, listening.address)
            await listening.until(count)
    assert [unit.data for unit in listening.units] == [unit.data for unit in units_of(film)]
    assert listening.receiver.figures()["lost"] == 0


async def test_only_the_device_is_listened_to(listening: Listening, film: Film):
    packets = film.packets()[0]
    with sender("127.0.0.2") as stranger, sender() as camera, sender() as late:
        stranger.sendto(packets[0], listening.address)
        await listening.until(1)
        assert listening.receiver.foreign == 1
        camera.sendto(packets[0], listening.address)
        await listening.until(2)
        # From here on the kernel takes packets of this very sender only.
        late.sendto(b"\x80" * 50, listening.address)
        stranger.sendto(b"\x80" * 50, listening.address)
        for packet in packets[1:]:
            camera.sendto(packet, listening.address)
        await listening.until(1 + len(packets))
    figures = listening.receiver.figures()
    assert (figures["packets"], figures["foreign"], figures["malformed"]) == (len(packets), 1, 0)
    assert len(listening.units) == 1


async def test_rubbish_and_other_payload_types_are_counted(listening: Listening, film: Film):
    packets = film.packets()[0]
    other = bytearray(packets[0])
    other[1] = 99
    with sender() as camera:
        for packet in (b"rubbish", bytes(other), *packets):
            camera.sendto(packet, listening.address)
        await listening.until(2 + len(packets))
    figures = listening.receiver.figures()
    assert (figures["malformed"], figures["foreign"]) == (1, 1)
    assert len(listening.units) == 1


async def test_a_name_that_cannot_be_found_is_a_sentence():
    with pytest.raises(SourceFailed, match="host name"):
        await addresses_of("no-such-host.invalid")
