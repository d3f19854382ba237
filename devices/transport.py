"""The httpx transport for devices: one connection per request, read by our own tolerant parser.

Strategy: an asyncio protocol below, `wire_http` for what comes, httpx around it. (asyncio's streams, with a timeout
around each step, cost as much as everything else of an exchange; a fleet is polled through here.) Most devices promise
keep-alive and do not keep it, so every request has a connection of its own, and at most so many of them go to one host
at once. The request goes out as it was built, in one write.

Deadlines come with each request in httpx's own extension `timeout`: `connect` (name, TCP and TLS together), `pool` (a
place at the host), `first_byte` (from the request to the first byte of the answer) and `read` (between two pieces of
it). There is no total here; who wants one sets it around. More of our own extensions:

- `certificate`: an async function that is given the SHA-256 of the TLS certificate before anything is sent, and raises
  what shall stop the exchange
- `target`: path and query exactly as they go out, instead of the URL's
- `body_limit`: bytes of the body, None for a stream; `long`: True when the answer may last, so that it is counted apart

The answer's stream is a `Body`, which can also be read as a whole and tells whether all of it came.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import httpx

from devices.wire_http import AnswerReader, BadAnswer, End, Event, Head, Limits, Piece

EXCHANGES_PER_HOST = 8
# A recorder sends each picture and each sound over a connection of its own: sixteen of both, twice.
STREAMS_PER_HOST = 64
WAITING = 64 * 1024  # bytes that came and nobody has read; a device that sends more has to wait


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


class _Connection(asyncio.Protocol):
    """One connection, which closes once. One task reads it."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave: Callable[[], None] | None = leave
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._came = b""
        self._over = False  # nothing more will come
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None

    # --- What asyncio tells -------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._came = self._came + data if self._came else data
        if len(self._came) > WAITING and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._over = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._over = True
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # --- What is done with it -----------------------------------------------------------------------------------------
    @property
    def certificate(self) -> str:
        assert self._transport is not None
        secured = self._transport.get_extra_info("ssl_object")
        encoded = secured.getpeercert(binary_form=True) or b""
        return hashlib.sha256(encoded).hexdigest()

    def write(self, data: bytes) -> None:
        """Without waiting: a request is small, and whoever does not take it does not answer in time either."""
        assert self._transport is not None
        self._transport.write(data)

    async def read(self, seconds: float | None) -> bytes:
        """What came, b"" at the end; httpx.ReadTimeout when nothing comes in time."""
        if not self._came and not self._over:
            self._reader = self._loop.create_future()
            timer = self._loop.call_later(seconds, _too_late, self._reader) if seconds is not None else None
            try:
                await self._reader
            finally:
                self._reader = None
                if timer is not None:
                    timer.cancel()
        data, self._came = self._came, b""
        if data:
            if len(data) > WAITING and self._transport is not None and not self._over:
                self._transport.resume_reading()
        elif self._error is not None:
            raise self._error
        return data

    def close(self) -> None:
        """At once, without a goodbye that many devices never answer: it is whole, or nobody wants the rest."""
        if self._leave is None:
            return
        if self._transport is not None:
            self._transport.abort()
        self._leave()
        self._leave = None


def _too_late(reader: asyncio.Future[None]) -> None:
    if not reader.done():
        reader.set_exception(httpx.ReadTimeout("too late"))


async def _connect(
    host: str, port: int, context: ssl.SSLContext | None, seconds: float | None, leave: Callable[[], None]
) -> _Connection:
    tls: dict[str, Any] = {}
    if context is not None:
        tls = {"ssl": context, "server_hostname": host}
    connection = _Connection(leave)
    try:
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().create_connection(lambda: connection, host, port, **tls)
    except TimeoutError as error:
        raise httpx.ConnectTimeout("nobody took the connection in time") from error
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that cannot be one
        raise httpx.ConnectError(str(error)) from error
    return connection


async def _converse(
    connection: _Connection, request: httpx.Request, deadlines: dict[str, float | None]
) -> httpx.Response:
    """Send the request and read as far as the end of the answer's head."""
    reader = AnswerReader(request.method, Limits(body=request.extensions.get("body_limit")))
    connection.write(_encoded(request))
    body = Body(connection, reader, deadlines.get("read"))
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
        extensions={"http_version": b"HTTP/" + head.version, "reason_phrase": head.reason},
    )


class Body(httpx.AsyncByteStream):
    """What follows the head, as it comes."""

    def __init__(self, connection: _Connection, reader: AnswerReader, idle: float | None) -> None:
        self._connection = connection
        self._reader = reader
        self._idle = idle
        self.complete = False  # known at its end
        self.waiting: list[Event] = []

    async def more(self, seconds: float | None) -> list[Event]:
        """The next events; none yet when what came was no whole line."""
        try:
            data = await self._connection.read(seconds)
            if data:
                return self._reader.feed(data)
            if self._reader.silent:
                raise ClosedSilently("closed without an answer")
            return self._reader.close()
        except BadAnswer as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        except OSError as error:  # TLS errors too
            raise httpx.ReadError(str(error)) from error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self._next()) is not None:
            yield piece

    async def whole(self) -> bytes:
        pieces = []
        while (piece := await self._next()) is not None:
            pieces.append(piece)
        return b"".join(pieces)

    async def _next(self) -> bytes | None:
        """The next piece, None at the end."""
        while True:
            while self.waiting:
                event = self.waiting.pop(0)
                if isinstance(event, Piece):
                    return event.data
                if isinstance(event, End):
                    self.complete = event.complete
                    self._connection.close()
                    return None
            self.waiting = await self.more(self._idle)

    async def aclose(self) -> None:
        self._connection.close()


def _encoded(request: httpx.Request) -> bytes:
    """The request as bytes: what was asked for and nothing else."""
    target = request.extensions.get("target", request.url.raw_path)
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), target)]
    lines += [b"%s: %s" % pair for pair in request.headers.raw]
    return b"\r\n".join([*lines, b"", request.content])
