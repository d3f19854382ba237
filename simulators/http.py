"""A small HTTP/1.1 server over asyncio streams: one request per connection, as most of these devices do it, or many
(`keep_alive`); in the clear or with TLS.

Strategy: the server owns sockets, limits and deadlines; what to answer is one coroutine given to it. It accepts bare
LF and odd header spacing, and says what it cannot accept: `BadRequest` becomes a 4xx and a call of `on_malformed`.

The request target stays the raw text from the wire, because how a client writes its query is what a simulator checks.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

MAX_LINE = 8 * 1024
MAX_HEADERS = 64
MAX_BODY = 64 * 1024
MAX_CONNECTIONS = 64
READ_SECONDS = 10.0  # for a whole request; a client that is slower is not worth a connection
WRITE_SECONDS = 10.0  # for a reader that has stopped reading


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    peer: str
    """The client's address."""
    who: str = "-"
    """The user's name, once the device has made sure of it."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True)
class Dialect:
    """How a family's web server writes the head of every answer."""

    version: str = "HTTP/1.1"
    headers: tuple[tuple[str, str], ...] = ()
    """What it tells of itself, first."""
    reasons: Mapping[int, str] = field(default_factory=dict)
    """Its own words where they differ from the standard's."""
    colon: str = ": "
    connection: bool = True
    """Whether it says what becomes of the connection."""

    def head(self, status: int, headers: tuple[tuple[str, str], ...], keep: bool = False) -> bytes:
        lines = [f"{self.version} {status} {self.reasons.get(status) or HTTPStatus(status).phrase}"]
        said = (("Connection", "Keep-Alive" if keep else "close"),) if self.connection else ()
        lines += [f"{name}{self.colon}{value}" for name, value in (*self.headers, *headers, *said)]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


@dataclass(frozen=True)
class Response:
    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()
    tail: bytes = b""
    """Sent after the body and not counted in Content-Length."""
    broken_off: bool = False
    """The connection ends in the middle: of the body, or of the head when there is no body."""


@dataclass(frozen=True)
class Stream:
    """An answer without an end: the parts are sent as they come, until the client or the iterator has enough."""

    content_type: str
    parts: AsyncGenerator[bytes, None]
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RawBytes:
    """Bytes that need not be HTTP, then the end of the connection."""

    data: bytes


@dataclass(frozen=True)
class Reset:
    """No answer: the connection is torn down."""


@dataclass(frozen=True)
class Silence:
    """No answer: the connection stays open until the client gives up."""


Answer = Response | Stream | RawBytes | Reset | Silence
Handler = Callable[[Request], Awaitable[Answer]]


class BadRequest(Exception):
    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass
class HttpServer:
    host: str
    port: int
    handler: Handler
    on_malformed: Callable[[str, str], None]
    """Called with the client's address and a sentence for each request that is not HTTP."""
    tls: ssl.SSLContext | None = None
    keep_alive: bool = False
    dialect: Dialect = field(default_factory=Dialect)
    _server: asyncio.Server | None = field(default=None, init=False)
    _connections: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict, init=False)

    async def start(self) -> None:
        """Listen. With port 0 the system chooses one, which is kept for later starts."""
        self._server = await asyncio.start_server(
            self._connected,
            self.host,
            self.port,
            limit=MAX_LINE,
            ssl=self.tls,
            ssl_handshake_timeout=READ_SECONDS if self.tls else None,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for task, writer in list(self._connections.items()):
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            while await self._serve(reader, writer):
                pass
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            writer.transport.abort()  # the client went away or stopped reading: there is nobody to tell
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            del self._connections[task]
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the connection is good for another."""
        peer = str(writer.get_extra_info("peername")[0])
        if len(self._connections) > MAX_CONNECTIONS:
            await self._send(writer, Response(503))
            return False
        try:
            async with asyncio.timeout(READ_SECONDS):
                request = await _read_request(reader, peer)
        except BadRequest as error:
            self.on_malformed(peer, str(error))
            await self._send(writer, Response(error.status))
            return False
        if request is None:
            return False
        keep = self.keep_alive and (request.header("connection") or "").lower() != "close"
        answer = await self.handler(request)
        match answer:
            case Response():
                await self._send(writer, answer, head_only=request.method == "HEAD", keep=keep)
                return keep and not answer.broken_off
            case Stream():
                await self._send_stream(reader, writer, answer)
            case RawBytes():
                writer.write(answer.data)
                await _drain(writer)
            case Reset():
                # Without lingering the system sends RST instead of an orderly end.
                opened = writer.get_extra_info("socket")
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            case Silence():
                while await reader.read(1024):
                    pass
        return False

    async def _send(
        self, writer: asyncio.StreamWriter, response: Response, head_only: bool = False, keep: bool = False
    ) -> None:
        content: tuple[tuple[str, str], ...] = ()
        if response.status != HTTPStatus.NO_CONTENT or response.body:  # a 204 with a body is a fault made on purpose
            content = (("Content-Type", response.content_type), ("Content-Length", str(len(response.body))))
        head = self.dialect.head(response.status, (*content, *response.headers), keep)
        if response.broken_off:
            body = response.body
            writer.write(head + body[: len(body) // 2] if body else head[: len(head) // 2])
        else:
            writer.write(head if head_only else head + response.body + response.tail)
        await _drain(writer)

    async def _send_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: Stream) -> None:
        writer.write(self.dialect.head(200, (("Content-Type", stream.content_type), *stream.headers)))
        sending = asyncio.create_task(self._send_parts(writer, stream))
        # A stream that has nothing to show would never find out that its client has gone.
        leaving = asyncio.create_task(_left(reader))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            results = await asyncio.gather(sending, leaving, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]

    async def _send_parts(self, writer: asyncio.StreamWriter, stream: Stream) -> None:
        async with contextlib.aclosing(stream.parts) as parts:
            async for part in parts:
                writer.write(part)
                await _drain(writer)


async def _left(reader: asyncio.StreamReader) -> None:
    """Wait until the client has closed its side; what it still says is of no interest."""
    with contextlib.suppress(OSError):
        while await reader.read(4096):
            pass


async def _read_request(reader: asyncio.StreamReader, peer: str) -> Request | None:
    start = await _line(reader)
    if start is None:
        return None  # connected and left, as port checks do
    words = start.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
        raise BadRequest(f"'{start[:80]}' is not a request line.")
    headers: list[tuple[str, str]] = []
    while line := await _line(reader):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise BadRequest(f"'{line[:80]}' is not a header line.")
        headers.append((name.strip(), value.strip()))
        if len(headers) > MAX_HEADERS:
            raise BadRequest("Too many headers.", 431)
    if line is None:
        raise BadRequest("The request ended inside its headers.")
    request = Request(words[0], words[1], tuple(headers), b"", peer)
    if words[2] == "HTTP/1.1" and request.header("host") is None:
        raise BadRequest("An HTTP/1.1 request needs a Host header.")
    if request.header("transfer-encoding") is not None:
        raise BadRequest("These devices know no Transfer-Encoding in requests.", 411)
    length = request.header("content-length")
    if length is None:
        if request.method in ("POST", "PUT"):
            raise BadRequest(f"A {request.method} needs a Content-Length.", 411)
        return request
    if not length.isascii() or not length.isdecimal():
        raise BadRequest(f"'{length[:20]}' is not a Content-Length.")
    if int(length) > MAX_BODY:
        raise BadRequest("The body is too large.", 413)
    body = await reader.readexactly(int(length))
    return Request(request.method, request.target, request.headers, body, peer)


async def _line(reader: asyncio.StreamReader) -> str | None:
    """One line without its end; None when the connection ended before it."""
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError as error:
        raise BadRequest("A line of the request is too long.", 431) from error
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise BadRequest("The request ended inside a line.") from error
        return None
    return line.rstrip(b"\r\n").decode("latin-1")


async def _drain(writer: asyncio.StreamWriter) -> None:
    async with asyncio.timeout(WRITE_SECONDS):
        await writer.drain()
