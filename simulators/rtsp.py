"""A small RTSP/1.0 server over asyncio streams (RFC 2326), with binary data between the messages.

Strategy: the server owns sockets, limits and deadlines; what to answer is one coroutine given to it, and what arrives
as interleaved data goes to one function. Requests are the `Request` of http.py, so that users and violations are
treated alike: the target is the raw URL. Connections stay open as long as the client wants.

Message framing is strict (three words, RTSP/1.0, `Name: value`, CSeq); what is not RTSP is told by `on_malformed` and
answered with 400 or 505, and the connection ends.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from simulators.http import RawBytes, Request, Reset, Silence

MAX_LINE = 4 * 1024
MAX_HEADERS = 32
MAX_BODY = 16 * 1024
MAX_CONNECTIONS = 64
READ_SECONDS = 10.0  # for the rest of a message that has begun
MOST_WAITING = 2 * 1024 * 1024  # bytes for a client that reads too slowly; packets that come then are lost

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    451: "Parameter Not Understood",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    457: "Invalid Range",
    460: "Only Aggregate Operation Allowed",
    461: "Unsupported Transport",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "RTSP Version not supported",
}


@dataclass(frozen=True)
class Reply:
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    broken_off: bool = False
    """The connection ends in the middle of the answer."""
    then: Callable[[], None] | None = None
    """What happens once the answer is on its way."""


Answer = Reply | RawBytes | Reset | Silence


class Connection:
    """One client. `closing` is called once, when it has gone."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.peer = str(writer.get_extra_info("peername")[0])
        self.local = str(writer.get_extra_info("sockname")[0])
        self.last_number = 0
        """The CSeq of the last request."""
        self.closing: list[Callable[[], None]] = []

    def send(self, channel: int, data: bytes) -> None:
        """Interleaved data, lost when the client reads too slowly."""
        transport = self._writer.transport
        if transport.is_closing() or transport.get_write_buffer_size() > MOST_WAITING:
            return
        self._writer.write(struct.pack("!BBH", 0x24, channel, len(data)) + data)

    def cut(self, channel: int, data: bytes) -> None:
        """Half a packet of interleaved data, and the end of the connection."""
        self._writer.write(struct.pack("!BBH", 0x24, channel, len(data)) + data[: len(data) // 2])
        self._writer.close()


Handler = Callable[[Request, Connection], Awaitable[Answer]]


@dataclass
class RtspServer:
    host: str
    port: int
    handler: Handler
    on_data: Callable[[Connection, int, bytes], None]
    """Called with the channel and the bytes of each piece of interleaved data."""
    on_malformed: Callable[[str, str], None]
    """Called with the client's address and a sentence for each message that is not RTSP."""
    _server: asyncio.Server | None = field(default=None, init=False)
    _connections: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict, init=False)

    @property
    def connections(self) -> int:
        return len(self._connections)

    async def start(self) -> None:
        """Listen, if it does not yet. With port 0 the system chooses one, which is kept for later starts."""
        if self._server is not None:
            return
        self._server = await asyncio.start_server(self._connected, self.host, self.port, limit=MAX_LINE)
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

    async def move(self, port: int) -> None:
        """Listen at another port; who is connected stays so. Raises OSError when it cannot be had."""
        if port == self.port:
            return
        server = await asyncio.start_server(self._connected, self.host, port, limit=MAX_LINE)
        if self._server is not None:
            self._server.close()
        self._server, self.port = server, port

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._connections[task] = writer
        connection = Connection(writer)
        try:
            while await self._serve(reader, writer, connection):
                pass
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()  # the client went away or stopped in the middle: there is nobody to tell
        finally:
            del self._connections[task]
            for close in connection.closing:
                close()
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: Connection) -> bool:
        """One message or piece of data; whether the connection is good for another."""
        first = await reader.read(1)
        if not first:
            return False
        try:
            async with asyncio.timeout(READ_SECONDS):
                if first == b"$":
                    channel, length = struct.unpack("!BH", await reader.readexactly(3))
                    self.on_data(connection, channel, await reader.readexactly(length))
                    return True
                request = await _read_request(first, reader, connection.peer)
        except _NotRtsp as error:
            self.on_malformed(connection.peer, str(error))
            writer.write(_written(Reply(error.status), error.number))
            return False
        answer = await self.handler(request, connection)
        match answer:
            case Reply():
                message = _written(answer, request.header("cseq"))
                writer.write(message[: len(message) // 2] if answer.broken_off else message)
                if answer.then is not None:
                    answer.then()
                return not answer.broken_off
            case RawBytes():
                writer.write(answer.data)
            case Reset():
                # Without lingering the system sends RST instead of an orderly end.
                opened = writer.get_extra_info("socket")
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            case Silence():
                while await reader.read(1024):
                    pass
        return False


class _NotRtsp(Exception):
    def __init__(self, sentence: str, status: int = 400, number: str | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.number = number


async def _read_request(first: bytes, reader: asyncio.StreamReader, peer: str) -> Request:
    start = first.decode("latin-1") + await _line(reader)
    words = start.split(" ")
    if len(words) != 3 or not words[0].isupper():
        raise _NotRtsp(f"'{start[:120]}' is not a request line.")
    headers: list[tuple[str, str]] = []
    while line := await _line(reader):
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise _NotRtsp(f"'{line[:80]}' is not a header line.")
        if len(headers) >= MAX_HEADERS:
            raise _NotRtsp("Too many headers.")
        headers.append((name, value.strip()))
    request = Request(words[0], words[1], tuple(headers), b"", peer)
    number = request.header("cseq")
    if words[2] != "RTSP/1.0":
        raise _NotRtsp(f"The version is RTSP/1.0, not '{words[2][:20]}'.", 505, number)
    if number is None or not number.isascii() or not number.isdecimal() or len(number) > 9:
        raise _NotRtsp("A request needs a CSeq.")
    length = request.header("content-length")
    if length is None:
        return request
    if not length.isascii() or not length.isdecimal() or int(length) > MAX_BODY:
        raise _NotRtsp(f"'{length[:20]}' is not a Content-Length to be taken.", 400, number)
    return Request(words[0], words[1], tuple(headers), await reader.readexactly(int(length)), peer)


async def _line(reader: asyncio.StreamReader) -> str:
    try:
        line = await reader.readuntil(b"\r\n")
    except asyncio.LimitOverrunError as error:
        raise _NotRtsp("A line of the request is too long.") from error
    return line[:-2].decode("latin-1")


def _written(reply: Reply, number: str | None) -> bytes:
    lines = [f"RTSP/1.0 {reply.status} {REASONS.get(reply.status, 'Error')}"]
    if number is not None:
        lines.append(f"CSeq: {number}")
    lines += [f"{name}: {value}" for name, value in reply.headers]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + reply.body


def transport_fields(value: str) -> tuple[str, dict[str, str]]:
    """A Transport header: its protocol, and its parameters with an empty text for those without a value."""
    protocol, *rest = (piece.strip() for piece in value.split(";"))
    pairs = (piece.partition("=") for piece in rest)
    return protocol, {name.strip().lower(): content.strip() for name, _, content in pairs}


def port_pair(text: str, most: int = 65535) -> tuple[int, int] | None:
    """Two numbers such as 5000-5001, the second one higher; None for anything else."""
    low, dash, high = text.partition("-")
    if not dash or not all(part.isascii() and part.isdecimal() and len(part) <= 5 for part in (low, high)):
        return None
    pair = int(low), int(high)
    return pair if pair[1] == pair[0] + 1 <= most else None
