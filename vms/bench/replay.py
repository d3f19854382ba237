"""Many devices that cost almost nothing: what one simulated device answers, given again at many ports.

`python -m vms.bench.replay PORT COUNT AUTH USER` stands before the strict simulator at PORT, which asks for Basic; the
password comes as the first line of the input. A request that was not made before goes there, so that it is judged and
answered as the family's document has it; the same request at any of the COUNT ports afterwards gets the same bytes. A
simulator for each device would cost more than what is to be measured. With AUTH `digest` the ports ask for Digest and
look whether it is right, since such a log-in is never the same twice.

Speaks JSON lines: its ports at first; then, for every further line of input, how often each port was asked since the
last, and with which targets. It ends when its input does.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import resource
import secrets
import sys
from collections import Counter
from typing import cast

import uvloop

HEAD_LIMIT = 16 * 1024
SIMULATOR_SECONDS = 10.0
REALM = "a simulated device"
REFUSAL = (
    "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n"
    f'WWW-Authenticate: Digest realm="{REALM}", nonce="{{}}", algorithm=MD5, qop="auth"\r\n\r\n'
)


class Answers:
    """What the simulator said, by what was asked and as whom."""

    def __init__(self, port: int, auth: str, user: str, password: str) -> None:
        self._port = port
        self._auth, self._user, self._password = auth, user, password
        self._known: dict[tuple[bytes, bytes], bytes] = {}
        self._asking: dict[tuple[bytes, bytes], asyncio.Task[bytes]] = {}
        self._basic = b"Basic " + base64.b64encode(f"{user}:{password}".encode())

    def known(self, line: bytes, login: bytes, nonce: str) -> bytes | None:
        """None when the simulator has to be asked first."""
        if self._auth == "digest":
            if not self._digest_is_right(line, login.decode("latin-1"), nonce):
                return REFUSAL.format(nonce).encode()
            login = self._basic
        return self._known.get((line, login))

    async def asked(self, line: bytes, login: bytes) -> bytes:
        """The simulator's answer; it is asked once, however many want to know."""
        what = (line, self._basic if self._auth == "digest" else login)
        if what not in self._asking:
            self._asking[what] = asyncio.create_task(self._ask(*what))
        return await asyncio.shield(self._asking[what])

    async def _ask(self, line: bytes, login: bytes) -> bytes:
        headers = b"Host: 127.0.0.1\r\n" + (b"Authorization: %s\r\n" % login if login else b"")
        async with asyncio.timeout(SIMULATOR_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                writer.write(b"%s\r\n%s\r\n" % (line, headers))
                answer = await reader.read(-1)
            finally:
                writer.close()
        self._known[line, login] = answer
        return answer

    def _digest_is_right(self, line: bytes, login: str, nonce: str) -> bool:
        sent = dict(re.findall(r'(\w+)="?([^",]*)', login))
        method, target, _ = line.decode("latin-1").split(" ", 2)
        secret = _md5(f"{self._user}:{REALM}:{self._password}")
        proof = f"{secret}:{nonce}:{sent.get('nc')}:{sent.get('cnonce')}:auth:{_md5(f'{method}:{target}')}"
        return sent.get("nonce") == nonce and sent.get("uri") == target and sent.get("response") == _md5(proof)


class Device:
    """One port, and what it was asked since somebody last wanted to know."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.nonce = secrets.token_hex(16)
        self.targets: Counter[str] = Counter()


class Connection(asyncio.Protocol):
    """One request without a body, and its answer."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._request += data
        if len(self._request) > HEAD_LIMIT:
            self._transport.abort()
        elif self._request.endswith(b"\r\n\r\n"):
            line, _, headers = self._request.partition(b"\r\n")
            login = re.search(rb"(?im)^authorization: *(.*?)\r$", headers)
            self._answer_to(line, login[1] if login else b"")

    def _answer_to(self, line: bytes, login: bytes) -> None:
        device = self._device
        answer = device.answers.known(line, login, device.nonce)
        if answer is None:
            self._task = asyncio.create_task(self._answer_later(line, login))
        else:
            self._answer(line, answer)

    async def _answer_later(self, line: bytes, login: bytes) -> None:
        try:
            self._answer(line, await self._device.answers.asked(line, login))
        except (OSError, TimeoutError):
            self._transport.abort()

    def _answer(self, line: bytes, answer: bytes) -> None:
        if not answer.startswith(b"HTTP/1.1 401"):
            self._device.targets[line.split(b" ")[1].decode("latin-1")] += 1
        self._transport.write(answer)
        self._transport.close()


async def serve(port: int, count: int, auth: str, user: str) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    answers = Answers(port, auth, user, (await reader.readline()).decode().rstrip("\n"))
    devices = [Device(answers) for _ in range(count)]
    servers = [await loop.create_server(lambda each=each: Connection(each), "127.0.0.1", 0) for each in devices]  # type: ignore[misc]
    _say([server.sockets[0].getsockname()[1] for server in servers])
    while await reader.readline():
        _say([device.targets for device in devices])
        for device in devices:
            device.targets = Counter()


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    port, count, auth, user = sys.argv[1:]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the usual 1024 would do for some hundred devices
    uvloop.run(serve(int(port), int(count), auth, user))
