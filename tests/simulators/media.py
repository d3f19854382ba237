"""Help for the tests of simulated pictures and sound: readers that share no code with the simulators or the product."""

import array
import asyncio
import contextlib
import io
import math
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import av
from PIL import Image

from simulators.device import SimulatedDevice
from simulators.picture import read_strip
from tests.simulators.helpers import Packet, units

DELIMITER = b"--myboundary"


class Opened:
    """An HTTP stream of parts, read with a plain socket and taken at the document's word."""

    def __init__(self, device: SimulatedDevice, target: str) -> None:
        self._device = device
        self._request = f"GET /cgi-bin/{target} HTTP/1.1\r\nHost: recorder\r\n\r\n".encode()
        self.head = b""

    async def __aenter__(self) -> "Opened":
        tls = None
        if self._device.certificate:
            tls = ssl.create_default_context()
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        self._reader, self._writer = await asyncio.open_connection(self._device.host, self._device.port, ssl=tls)
        self._writer.write(self._request)
        self.head = await self._wait(self._reader.readuntil(b"\r\n\r\n"))
        return self

    async def __aexit__(self, *_) -> None:
        self._writer.close()

    async def _wait(self, reading: Awaitable[bytes]) -> bytes:
        return await asyncio.wait_for(reading, 5)

    async def line(self) -> bytes:
        return await self._wait(self._reader.readuntil(b"\r\n"))

    async def part(self) -> tuple[dict[str, str], bytes]:
        """Headers and body of the next part; EOFError when the stream has ended in order."""
        line = await self.line()
        if line == DELIMITER + b"--\r\n":
            raise EOFError
        assert line == DELIMITER + b"\r\n", line
        headers = {}
        while (line := await self.line()) != b"\r\n":
            name, _, value = line.decode().strip().partition(": ")
            headers[name] = value
        body = await self._wait(self._reader.readexactly(int(headers["Content-Length"])))
        assert await self.line() == b"\r\n"
        return headers, body

    async def packet(self) -> Packet:
        headers, body = await self.part()
        assert headers == {"Content-type": "application/octet-stream", "Content-Length": str(len(body))}
        return Packet.parse(body)

    async def rest(self) -> bytes:
        return await self._wait(self._reader.read())

    async def ends(self) -> bool:
        """Whether the stream ends in order, after whole parts."""
        with contextlib.suppress(EOFError):
            while True:
                await self.part()
        return await self.rest() == b""

    async def silent(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._reader.read(1), seconds)
        except TimeoutError:
            return True
        return False


async def picture(receive: Callable[[], Awaitable[Packet]]) -> list[Packet]:
    """The packets of the next picture."""
    packets = [await receive()]
    while not packets[-1].marker:
        packets.append(await receive())
    return packets


def units_of_h265(packets: list[Packet]) -> list[bytes]:
    """Single NAL units and FU, by RFC 7798."""
    found: list[bytes] = []
    open_unit = False
    for packet in packets:
        payload = packet.payload
        if payload[0] >> 1 & 0x3F != 49:
            assert not open_unit
            found.append(payload)
            continue
        assert open_unit is not bool(payload[2] & 0x80)
        if not open_unit:
            found.append(bytes([payload[0] & 0x81 | (payload[2] & 0x3F) << 1, payload[1]]))
        found[-1] += payload[3:]
        open_unit = not payload[2] & 0x40
    assert not open_unit
    return found


def kinds(codec: str, found: list[bytes]) -> list[int]:
    return [unit[0] & 0x1F if codec == "h264" else unit[0] >> 1 & 0x3F for unit in found]


def assembled(codec: str, packets: list[Packet]) -> list[bytes]:
    return units(packets) if codec == "h264" else units_of_h265(packets)


@dataclass
class Seen:
    """What a decoder made of pictures: their sizes and strips."""

    sizes: list[tuple[int, int]]
    strips: list[tuple[int, int]]

    def numbers(self, seed: int) -> list[int]:
        assert {shown for shown, _ in self.strips} == {seed}
        return [number for _, number in self.strips]


def seen(codec: str, pictures: list[list[bytes]]) -> Seen:
    decoder = av.CodecContext.create("hevc" if codec == "h265" else codec, "r")
    frames = []
    for number, found in enumerate(pictures):
        packet = av.Packet(b"".join(b"\0\0\0\1" + unit for unit in found))
        packet.pts = number
        frames += decoder.decode(packet)
    frames += decoder.decode(None)
    images = [frame.to_image() for frame in frames]
    return Seen([image.size for image in images], [read_strip(image) for image in images])


def strip(jpeg: bytes) -> tuple[int, int] | None:
    return read_strip(Image.open(io.BytesIO(jpeg)))


def entries(information: bytes) -> dict[int, bytes]:
    """Section 7: an id and the data of each entry, whose length counts both words before the data too."""
    found = {}
    while information:
        identifier, length = int.from_bytes(information[:2], "big"), int.from_bytes(information[2:4], "big")
        assert 4 <= length <= len(information)
        assert identifier not in found
        found[identifier] = information[4:length]
        information = information[length:]
    return found


def samples(codec: str, found: list[bytes], *, rate: int, config: bytes | None = None) -> list[float]:
    """Decoded sound, -1 to 1."""
    decoder = av.CodecContext.create(codec, "r")
    decoder.sample_rate, decoder.layout = rate, "mono"
    if codec.startswith("g726"):
        decoder.options = {"bits_per_coded_sample": "4"}
    if config:
        decoder.extradata = config
    heard: list[float] = []
    for unit in found:
        for frame in decoder.decode(av.Packet(unit)):
            floating = frame.format.name.startswith("flt")
            plane = bytes(frame.planes[0])[: frame.samples * (4 if floating else 2)]
            values = array.array("f" if floating else "h", plane)
            heard += values if floating else (value / 32768 for value in values)
    return heard


def strength(heard: list[float], frequency: float, rate: int) -> float:
    """How much of a frequency there is."""
    turn = 2 * math.pi * frequency / rate
    across = sum(value * math.cos(turn * index) for index, value in enumerate(heard))
    up = sum(value * math.sin(turn * index) for index, value in enumerate(heard))
    return 2 * math.hypot(across, up) / len(heard)


def is_tone(heard: list[float], frequency: float, rate: int) -> bool:
    """Whether this frequency stands out among its neighbours and overtones."""
    own = strength(heard, frequency, rate)
    others = [strength(heard, other, rate) for other in (frequency * 0.7, frequency * 1.45, frequency * 2, 2600)]
    return own > 0.02 and own > 4 * max(others)
