"""Help for the tests of the simulated cameras: a client that sends exactly what it is told to, and a reader of their
streams. Neither shares code with the simulators or with the product."""

import asyncio
import base64
import contextlib
from dataclasses import dataclass

import httpx

from simulators.device import SimulatedDevice

ADMIN = httpx.BasicAuth("admin", "12345")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Camera:
    device: SimulatedDevice
    http: httpx.AsyncClient

    async def get(self, target: str, auth: httpx.Auth | None = ADMIN, method: str = "GET", **more) -> httpx.Response:
        # httpx would tidy the query up: the raw path keeps it as the test wrote it.
        url = httpx.URL(self.device.url).copy_with(raw_path=target.encode("latin-1"))
        return await self.http.request(method, url, auth=auth, **more)

    async def post(self, path: str, body: str | bytes, auth: httpx.Auth | None = ADMIN, **more) -> httpx.Response:
        more = {"headers": FORM, "content": body, **more}
        return await self.get(path, auth, "POST", **more)

    @property
    def violations(self) -> list[str]:
        return [remark.kind for remark in self.device.violations]

    @property
    def notes(self) -> list[str]:
        return [remark.kind for remark in self.device.notes]


def fields(reply: httpx.Response) -> dict[str, str]:
    assert reply.status_code == 200, (reply.status_code, reply.text)
    assert reply.text.endswith("\r\n")
    return dict(line.split("=", 1) for line in reply.text.removesuffix("\r\n").split("\r\n"))


class Watching:
    """A stream being read with a plain socket."""

    def __init__(self, device: SimulatedDevice, target: str, user: str = "admin", password: str = "12345") -> None:
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._request = f"GET {target} HTTP/1.0\r\nAuthorization: Basic {credentials}\r\n\r\n".encode()
        self._device = device
        self.head = b""

    async def __aenter__(self) -> "Watching":
        self._reader, self._writer = await asyncio.open_connection(self._device.host, self._device.port)
        self._writer.write(self._request)
        self.head = await self.until(b"\r\n\r\n")
        return self

    async def __aexit__(self, *_) -> None:
        self._writer.close()

    async def until(self, end: bytes) -> bytes:
        return await asyncio.wait_for(self._reader.readuntil(end), 5)

    async def exactly(self, count: int) -> bytes:
        return await asyncio.wait_for(self._reader.readexactly(count), 5)

    async def end(self) -> None:
        """Read on until the device closes."""
        with contextlib.suppress(ConnectionResetError):
            await asyncio.wait_for(self._reader.read(), 5)
