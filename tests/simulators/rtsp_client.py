"""A plain RTSP client for the simulators' tests; it shares no code with the simulators or with the product."""

import asyncio
import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass, field

from simulators.povcam import PovcamSimulator
from tests.simulators.helpers import Packet, units


@dataclass(frozen=True)
class Told:
    status: int
    head: str
    """The answer's lines, as they came."""
    body: str

    def __getitem__(self, name: str) -> str:
        unfolded = re.sub(r"\r\n[ \t]+", " ", self.head)
        return re.search(rf"^{name}: (.*?)\r?$", unfolded, re.MULTILINE)[1]


@dataclass
class RtspClient:
    device: PovcamSimulator
    stream: int = 1
    session: str = ""
    data: dict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    number: int = 1

    @property
    def url(self) -> str:
        return self.device.rtsp_url[:-1] + str(self.stream)

    async def __aenter__(self) -> "RtspClient":
        host, _, port = self.url.removeprefix("rtsp://").partition("/")[0].partition(":")
        self.reader, self.writer = await asyncio.open_connection(host, int(port))
        return self

    async def __aexit__(self, *_) -> None:
        self.writer.close()

    async def raw(self, text: str) -> Told:
        self.writer.write(text.encode())
        return await asyncio.wait_for(self._answer(), 5)

    async def ask(self, method: str, url: str | None = None, body: str = "", **headers: str) -> Told:
        """Ask as the document's examples do; `_` in a header's name stands for `-`."""
        self.number += 1
        suffix = "" if method in ("OPTIONS", "DESCRIBE") else "/"
        lines = [f"{method} {url or self.url + suffix} RTSP/1.0", f"CSeq: {self.number}", "User-Agent: test"]
        if self.session and "Session" not in headers:
            lines.append(f"Session: {self.session}")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value]
        return await self.raw("\r\n".join((*lines, "", body)))

    async def setup(self, transport: str, track: int = 1) -> Told:
        told = await self.ask("SETUP", f"{self.url}/trackID={track}", Transport=transport)
        if told.status == 200:
            self.session = told["Session"].partition(";")[0]
        return told

    async def play(self) -> Told:
        return await self.ask("PLAY", Range="npt=0.000-")

    async def _answer(self) -> Told:
        """The next message; data between is collected."""
        while await self._piece(await self.reader.readexactly(1)):
            pass
        head = self._head
        length = re.search(r"^Content-Length: (\d+)\r$", head, re.MULTILINE)
        body = await self.reader.readexactly(int(length[1])) if length else b""
        return Told(int(head.split(" ")[1]), head, body.decode())

    async def _piece(self, first: bytes) -> bool:
        if first == b"$":
            header = await self.reader.readexactly(3)
            self.data[header[0]].append(await self.reader.readexactly(int.from_bytes(header[1:], "big")))
            return True
        self._head = (first + await self.reader.readuntil(b"\r\n\r\n")).decode()
        return False

    async def more(self, channel: int, count: int) -> list[bytes]:
        """Wait until so many pieces have come on a channel."""
        async with asyncio.timeout(10):
            while len(self.data[channel]) < count:
                assert await self._piece(await self.reader.readexactly(1))
        return self.data[channel]

    async def pictures(self, count: int, channel: int = 20) -> list[list[bytes]]:
        """The NAL units of the next whole pictures."""
        packets: list[Packet] = [Packet.parse(data) for data in self.data[channel]]
        while sum(packet.marker for packet in packets) < count:
            data = await self.more(channel, len(self.data[channel]) + 1)
            packets.append(Packet.parse(data[-1]))
        found, picture = [], []
        for packet in packets:
            picture.append(packet)
            if packet.marker:
                found.append(units(picture))
                picture = []
        return found

    def send(self, channel: int, data: bytes) -> None:
        self.writer.write(b"$" + bytes([channel]) + len(data).to_bytes(2, "big") + data)


TCP = "RTP/AVP/TCP;unicast;interleaved=0-1"


def digest(challenge: str, user: str, password: str, method: str, url: str) -> str:
    """The Authorization header that answers a challenge for the first time (RFC 7616, qop=auth)."""
    realm, nonce = (re.search(rf'{name}="([^"]*)"', challenge)[1] for name in ("realm", "nonce"))

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    secret, asked = md5(f"{user}:{realm}:{password}"), md5(f"{method}:{url}")
    response = md5(f"{secret}:{nonce}:00000001:0a4f113b:auth:{asked}")
    return (
        f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{url}", algorithm=MD5, qop=auth, '
        f'nc=00000001, cnonce="0a4f113b", response="{response}"'
    )
