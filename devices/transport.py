"""The httpx transport for devices: one connection per request, read by our own tolerant parser.

Strategy: asyncio streams below, `wire_http` for what comes, httpx around it. Most devices promise keep-alive and do not
keep it, so every request has a connection of its own, and at most so many of them go to one host at once. The request
goes out as it was built, in one write.

Deadlines come with each request in httpx's own extension `timeout`: `connect` (name, TCP and TLS together), `pool` (a
place at the host), `write`, `first_byte` (until the first byte of the answer) and `read` (between two pieces of it).
There is no total here; who wants one sets it around. More of our own extensions:

- `certificate`: an async function that is given the SHA-256 of the TLS certificate before anything is sent, and raises
  what shall stop the exchange
- `target`: path and query exactly as they go out, instead of the URL's
- `body_limit`: bytes of the body, None for a stream; `long`: True when the answer may last, so that it is counted apart

The answer's extension `complete` is a function that tells, once the body was read, whether all of it came.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx

from devices.wire_http import AnswerReader, BadAnswer, End, Event, Head, Limits, Piece

EXCHANGES_PER_HOST = 8
# A recorder sends each picture and each sound over a connection of its own: sixteen of both, twice.
STREAMS_PER_HOST = 64
PIECE = 64 * 1024


class ClosedSilently(httpx.RemoteProtocolError):
    """The device took the request and closed without a byte."""


class DeviceTransport(httpx.AsyncBaseTransport):
    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._places: dict[tuple[str, int, bool], _Places] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        deadlines: dict[str, float | None] = request.extensions.get("timeout") or {}
        host, port = request.url.host, request.url.port or (443 if request.url.scheme == "https" else 80)
        leave = await self._enter(host, port, bool(request.extensions.get("long")), deadlines.get("pool"))
        connection: _Connection | None = None
        try:
            context = self._context if request.url.scheme == "https" else None
            connection = await _connect(host, port, context, deadlines.get("connect"), leave)
            if context is not None and (check := request.extensions.get("certificate")) is not None:
                await check(connection.certificate)
            return await _converse(connection, request, deadlines)
        except BaseException:
            if connection is not None:
                connection.close()
            else:
                leave()
            raise

    async def _enter(self, host: str, port: int, long: bool, seconds: float | None) -> Callable[[], None]:
        """Take a place at the host; answers the function that gives it back."""
        name = (host, port, long)
        places = self._places.get(name)
        if places is None:
            places = self._places[name] = _Places(STREAMS_PER_HOST if long else EXCHANGES_PER_HOST)
        places.users += 1
        taken = False

        def leave() -> None:
            places.users -= 1
            if taken:
                places.free.release()
            if not places.users:
                self._places.pop(name, None)

        try:
            if places.free.locked():
                async with asyncio.timeout(seconds):
                    await places.free.acquire()
            else:
                await places.free.acquire()
            taken = True
        except TimeoutError as error:
            leave()
            raise httpx.PoolTimeout("no place at the host") from error
        except BaseException:
            leave()
            raise
        return leave


class _Places:
    """The connections one host may have at once."""

    def __init__(self, count: int) -> None:
        self.users = 0  # who holds or waits for one
        self.free = asyncio.Semaphore(count)


class _Connection:
    """One connection, which closes once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, leave: Callable[[], None]) -> None:
        self.reader = reader
        self.writer = writer
        self._leave: Callable[[], None] | None = leave

    @property
    def certificate(self) -> str:
        secured = self.writer.get_extra_info("ssl_object")
        encoded = secured.getpeercert(binary_form=True) or b""
        return hashlib.sha256(encoded).hexdigest()

    def close(self) -> None:
        """At once, without a goodbye that many devices never answer: it is whole, or nobody wants the rest."""
        if self._leave is None:
            return
        self.writer.transport.abort()
        self._leave()
        self._leave = None


async def _connect(
    host: str, port: int, context: ssl.SSLContext | None, seconds: float | None, leave: Callable[[], None]
) -> _Connection:
    tls: dict[str, Any] = {}
    if context is not None:
        tls = {"ssl": context, "server_hostname": host}
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(host, port, limit=PIECE, **tls)
    except TimeoutError as error:
        raise httpx.ConnectTimeout("nobody took the connection in time") from error
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that cannot be one
        raise httpx.ConnectError(str(error)) from error
    return _Connection(reader, writer, leave)


async def _converse(
    connection: _Connection, request: httpx.Request, deadlines: dict[str, float | None]
) -> httpx.Response:
    """Send the request and read as far as the end of the answer's head."""
    reader = AnswerReader(request.method, Limits(body=request.extensions.get("body_limit")))
    with _as_httpx():
        connection.writer.write(_encoded(request))
        await _within(connection.writer.drain(), deadlines.get("write"), httpx.WriteTimeout)
    body = _Body(connection, reader, deadlines.get("read"))
    seconds = deadlines.get("first_byte", deadlines.get("read"))
    while True:
        events = await body.more(seconds)
        if events:
            break
        if not reader.silent:
            seconds = deadlines.get("read")
    head, *body.waiting = events
    assert isinstance(head, Head)
    if reader.done:
        connection.close()
    return httpx.Response(
        head.status,
        headers=list(head.headers),
        stream=body,
        extensions={"http_version": b"HTTP/" + head.version, "reason_phrase": head.reason, "complete": body.complete},
    )


class _Body(httpx.AsyncByteStream):
    """What follows the head, as it comes."""

    def __init__(self, connection: _Connection, reader: AnswerReader, idle: float | None) -> None:
        self._connection = connection
        self._reader = reader
        self._idle = idle
        self._complete = False
        self.waiting: list[Event] = []

    def complete(self) -> bool:
        return self._complete

    async def more(self, seconds: float | None) -> list[Event]:
        """The next events; none yet when what came was no whole line."""
        with _as_httpx():
            data = await _within(self._connection.reader.read(PIECE), seconds, httpx.ReadTimeout)
            if data:
                return self._reader.feed(data)
            if self._reader.silent:
                raise ClosedSilently("closed without an answer")
            return self._reader.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        events, self.waiting = self.waiting, []
        while True:
            for event in events:
                if isinstance(event, Piece):
                    yield event.data
                elif isinstance(event, End):
                    self._complete = event.complete
                    self._connection.close()
                    return
            events = await self.more(self._idle)

    async def aclose(self) -> None:
        self._connection.close()


def _encoded(request: httpx.Request) -> bytes:
    """The request as bytes: what was asked for and nothing else."""
    target = request.extensions.get("target", request.url.raw_path)
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), target)]
    lines += [b"%s: %s" % pair for pair in request.headers.raw]
    return b"\r\n".join([*lines, b"", request.content])


async def _within(waiting: Awaitable[Any], seconds: float | None, late: type[httpx.TimeoutException]) -> Any:
    try:
        async with asyncio.timeout(seconds):
            return await waiting
    except TimeoutError as error:
        raise late("too late") from error


@contextlib.contextmanager
def _as_httpx() -> Any:
    """What goes wrong on an open connection, as httpx names it."""
    try:
        yield
    except BadAnswer as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except OSError as error:  # TLS errors too
        raise httpx.ReadError(str(error)) from error
