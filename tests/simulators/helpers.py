"""Help for the simulators' tests: plain clients that share no code with the simulators or with the product."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import av
import httpx

from simulators.device import SimulatedDevice
from simulators.povcam import PovcamSimulator

ADMIN = httpx.DigestAuth("admin", "12345")


@dataclass
class Client:
    """Asks a simulated device with the target exactly as written."""

    device: PovcamSimulator

    async def ask(self, target: str, method: str = "GET", auth: httpx.Auth | None = None, **more) -> httpx.Response:
        # httpx would tidy the query up: the raw path keeps it as the test wrote it.
        path = target if target.startswith("/") else f"/cgi-bin/{target}"
        url = httpx.URL(self.device.url).copy_with(raw_path=path.encode("latin-1"))
        # Without verification nothing loads the list of CAs, which takes longer than a whole exchange.
        async with httpx.AsyncClient(trust_env=False, timeout=5, verify=False) as client:
            return await client.request(method, url, auth=auth, **more)

    async def uid(self, vcodec: str = "h264") -> int:
        reply = await self.ask(f"getuid?FILE=2&vcodec={vcodec}&reply=info")
        return int(fields(reply)["UID"])

    async def set(self, target: str) -> None:
        """A setting that must be taken."""
        reply = await self.ask(target, "POST", ADMIN)
        assert (reply.status_code, reply.content) == (204, b""), f"{target}: {reply.status_code} {reply.text}"

    async def read(self, target: str) -> dict[str, str]:
        """What a command of key=value lines tells, asked as an administrator."""
        reply = await self.ask(target, auth=ADMIN)
        assert reply.status_code == 200, f"{target}: {reply.status_code} {reply.text}"
        return fields(reply)

    async def until(self, target: str, **expected: str) -> dict[str, str]:
        """Ask until it tells this."""
        async with asyncio.timeout(5):
            while True:
                told = await self.read(target)
                if expected.items() <= told.items():
                    return told
                await asyncio.sleep(0.02)

    async def restarted(self, times: int = 1) -> None:
        """Wait until the device's own log says that it was switched on again so many times."""
        async with asyncio.timeout(5):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    reply = await self.ask("get_systemlog?type=eventlog", auth=ADMIN)
                    if reply.text.count("Power on") > times:
                        return
                await asyncio.sleep(0.02)

    @property
    def violations(self) -> list[str]:
        return [remark.kind for remark in self.device.violations]

    @property
    def notes(self) -> list[str]:
        return [remark.kind for remark in self.device.notes]


def fields(reply: httpx.Response) -> dict[str, str]:
    assert reply.text.endswith("\r\n")
    return dict(line.split("=", 1) for line in reply.text.removesuffix("\r\n").split("\r\n"))


@dataclass(frozen=True)
class Packet:
    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    extension: bytes | None
    payload: bytes

    @classmethod
    def parse(cls, data: bytes) -> "Packet":
        assert data[0] >> 6 == 2, "RTP version"
        assert not data[0] & 0x2F, "no padding, no CSRC"
        start, extension = 12, None
        if data[0] & 0x10:
            assert data[12:14] == b"\0\0", "extension profile 0"
            start = 16 + 4 * int.from_bytes(data[14:16], "big")
            extension = data[16:start]
        return cls(
            bool(data[1] & 0x80),
            data[1] & 0x7F,
            int.from_bytes(data[2:4], "big"),
            int.from_bytes(data[4:8], "big"),
            int.from_bytes(data[8:12], "big"),
            extension,
            data[start:],
        )


@dataclass
class RtpPort:
    """A UDP socket that collects RTP."""

    socket: socket.socket
    packets: list[Packet] = field(default_factory=list)

    @property
    def number(self) -> int:
        return self.socket.getsockname()[1]

    async def receive(self) -> Packet:
        data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, 65536), 5)
        assert len(data) <= 1400
        packet = Packet.parse(data)
        self.packets.append(packet)
        return packet

    async def pictures(self, count: int) -> list[list[bytes]]:
        """The NAL units of the next whole pictures."""
        pictures: list[list[bytes]] = []
        while len(pictures) < count:
            packets = [await self.receive()]
            while not packets[-1].marker:
                packets.append(await self.receive())
            pictures.append(units(packets))
        return pictures

    async def silent(self, seconds: float) -> bool:
        """Whether nothing comes for so long, what was on its way aside."""
        await asyncio.sleep(0.1)
        while True:
            try:
                self.socket.recv(65536)
            except BlockingIOError:
                break
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, 65536), seconds)
        except TimeoutError:
            return True
        return False


def units(packets: list[Packet]) -> list[bytes]:
    """Single NAL units and FU-A, by RFC 6184."""
    assert len({packet.timestamp for packet in packets}) == 1
    found: list[bytes] = []
    open_unit = False
    for packet in packets:
        payload = packet.payload
        if payload[0] & 0x1F != 28:
            assert not open_unit
            found.append(payload)
        elif payload[1] & 0x80:
            assert not open_unit
            found.append(bytes([payload[0] & 0xE0 | payload[1] & 0x1F]) + payload[2:])
            open_unit = True
        else:
            assert open_unit
            found[-1] += payload[2:]
            open_unit = not payload[1] & 0x40
    assert not open_unit
    return found


def decode(pictures: list[list[bytes]]) -> list[av.VideoFrame]:
    codec = av.CodecContext.create("h264", "r")
    frames: list[av.VideoFrame] = []
    for number, picture in enumerate(pictures):
        packet = av.Packet(b"".join(b"\0\0\0\1" + unit for unit in picture))
        packet.pts = number
        frames += codec.decode(packet)
    return frames + codec.decode(None)


async def eventually(fact: Callable[[], object], seconds: float = 5) -> None:
    """Wait until it is so; a test fails when it does not become so in time."""
    async with asyncio.timeout(seconds):
        while not fact():  # noqa: ASYNC110 -- the fact is another program's state, which tells nobody
            await asyncio.sleep(0.02)


async def raw(device: SimulatedDevice, request: bytes) -> bytes:
    """Everything a device says to these bytes until it closes."""
    reader, writer = await asyncio.open_connection(device.host, device.port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()
