"""One request to a raw socket that plays every brokenness of a device, and what we make of it."""

import asyncio
import contextlib
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from devices import http as devices_http
from devices import transport
from devices.cgi import Request
from devices.errors import ClosedSilently, DeviceError, Interrupted, NoAnswer, NotSupported, WrongAnswer
from devices.http import Address, exchange, opened
from tests.devices.certificates import fingerprint, make_certificate, serving
from tests.devices.conftest import free_port

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ASK = Request("GET", "/x")
OK = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def device(serve: Serve, context: ssl.SSLContext | None = None, **fields: Any) -> AsyncIterator[Address]:
    """A device that does with each connection what `serve` says, after it has read the request."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await reader.readuntil(b"\r\n\r\n")
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Address("https" if context else "http", "127.0.0.1", port, **fields)


def saying(*pieces: bytes) -> Serve:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return serve


async def endlessly(writer: asyncio.StreamWriter, piece: bytes, pause: float = 0.0) -> None:
    while not writer.is_closing():
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause)


async def until_gone(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


# --- Short answers ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("wire", "body", "whole"),
    [
        ((b"HTTP/1.0 200 OK\r\n\r\n", b"a=1"), b"a=1", True),
        ((b"\r\nhttp/1.1 200OK\nno header\nContent-", b"Length : 3\n\na", b"=1"), b"a=1", True),
        ((OK + b"Content-Length: 90\r\n\r\na=1",), b"a=1", False),
        ((b"a=1\r\n",), b"a=1\r\n", True),
        ((b"HTTP/1.1 204 No\r\n\r\nbody",), b"", True),
        ((OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n0\r\n\r\n",), b"a=1", True),
    ],
    ids=["1.0", "sloppy", "short", "0.9", "204", "chunked"],
)
async def test_what_old_devices_answer_is_read(wire: tuple[bytes, ...], body: bytes, whole: bool) -> None:
    async with device(saying(*wire)) as address:
        answer = await exchange(address, ASK)
    assert (answer.body, answer.whole) == (body, whole)


async def test_an_answer_with_a_length_does_not_wait_for_the_connection_to_close() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Connection: Keep-Alive\r\nContent-Length: 3\r\n\r\na=1")
        await reader.read()

    async with device(serve) as address:
        assert (await exchange(address, ASK)).body == b"a=1"


async def test_packed_answers_are_unpacked_within_the_limit() -> None:
    packed = gzip.compress(b"a=1")
    bomb = gzip.compress(bytes(10_000_000))
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    async with device(saying(head % len(packed) + packed)) as address:
        assert (await exchange(address, ASK)).body == b"a=1"
    async with device(saying(head % len(bomb) + bomb)) as address:
        with pytest.raises(WrongAnswer, match="more than 512 kB"):
            await exchange(address, ASK)
    async with device(saying(head % 3 + b"abc")) as address:
        with pytest.raises(WrongAnswer, match="unpacked"):
            await exchange(address, ASK)


async def test_a_form_goes_into_the_body_with_its_type_and_nothing_after_it() -> None:
    got: list[bytes] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 204 No\r\n\r\n")
        got.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        form = Request("POST", "/setup.cgi", b"A=1&B=x%20y", "application/x-www-form-urlencoded")
        await exchange(Address("http", "127.0.0.1", port), form)
        await asyncio.sleep(0.05)
    assert got == [
        b"POST /setup.cgi HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port
        + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 11\r\n\r\nA=1&B=x%20y"
    ]


# --- Broken answers ---------------------------------------------------------------------------------------------------
async def slow_drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Content-Length: 1000\r\n\r\n")
    await endlessly(writer, b"x", 0.02)


async def slow_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await endlessly(writer, OK[:1], 0.02)


async def half_then_silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Content-Length: 1000\r\n\r\nhalf")
    await reader.read()


async def huge_headers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)
    await endlessly(writer, b"X-Header: " + b"y" * 1000 + b"\r\n")


async def endless_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"\r\n")
    await endlessly(writer, b"x" * 10_000)


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Content-Length: 1000\r\n\r\nhalf")
    await writer.drain()
    await asyncio.sleep(0.05)
    raw = writer.get_extra_info("socket")
    raw.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SOL_SOCKET, SO_LINGER: close with a reset
    writer.transport.abort()


@pytest.mark.parametrize(
    ("serve", "error", "about"),
    [
        (until_gone, NoAnswer, "did not answer within"),
        (slow_drip, NoAnswer, "did not answer within"),
        (slow_head, NoAnswer, "did not answer within"),
        (half_then_silence, NoAnswer, "did not answer within"),
        (huge_headers, WrongAnswer, "64 kB of headers"),
        (endless_body, WrongAnswer, "more than 512 kB"),
        (reset, Interrupted, "broke"),
        (saying(), ClosedSilently, "without an answer"),
        (saying(b"\r\n\r\n"), ClosedSilently, "without an answer"),
        (saying(b"HTTP/1.1 200 OK\r\nConte"), WrongAnswer, "in the middle"),
        (saying(b"SSH-2.0-x\r\n"), WrongAnswer, "not HTTP"),
        (saying(b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\n\r\n"), WrongAnswer, "elsewhere"),
    ],
    ids=[
        *("hang", "slow drip", "slow head", "half then silence", "huge headers", "endless body", "reset"),
        *("closed", "blank", "half a head", "ssh", "redirect"),
    ],
)
async def test_every_brokenness_ends_in_time_with_a_sentence(
    serve: Serve, error: type[DeviceError], about: str
) -> None:
    async with device(serve) as address:
        with pytest.raises(error, match=about) as caught:
            await exchange(address, ASK, seconds=0.4 if error is NoAnswer else 5)
    assert type(caught.value) is error
    assert str(caught.value).endswith((".", "?"))


@pytest.mark.parametrize("phase", ["FIRST_BYTE_SECONDS", "IDLE_SECONDS"])
async def test_each_phase_has_a_deadline_of_its_own(phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices_http, phase, 0.1)
    async with device(until_gone if phase == "FIRST_BYTE_SECONDS" else half_then_silence) as address:
        with pytest.raises(NoAnswer, match="fell silent"):
            await exchange(address, ASK, seconds=30)


async def test_an_address_that_takes_no_connection_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(devices_http, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
    with pytest.raises(NoAnswer, match="the cable and the power"):
        await exchange(Address("http", "127.0.0.1", 9), ASK)


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid", "x" * 70 + ".example"])
async def test_nobody_at_the_address(host: str) -> None:
    with pytest.raises(NoAnswer, match="Check the address"):
        await exchange(Address("http", host, free_port()), ASK)


async def test_cookies_are_not_sent_back_nor_to_anybody_else() -> None:
    got: list[bytes] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK + b"Set-Cookie: session=1; Path=/\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        address = Address("http", "127.0.0.1", server.sockets[0].getsockname()[1])
        await exchange(address, ASK)
        await exchange(address, ASK)
    assert len(got) == 2
    assert got[0] == got[1]


async def test_a_redirect_can_be_an_answer_and_is_never_followed() -> None:
    wire = b"HTTP/1.0 302 Redirect\r\nLocation: http://127.0.0.1:1/x\r\n\r\n"
    async with device(saying(wire)) as address:
        answer = await exchange(address, ASK, redirects_answer=True)
    assert answer.status == 302


# --- Many at once -----------------------------------------------------------------------------------------------------
async def test_a_host_gets_so_many_connections_and_no_more() -> None:
    inside = crowd = 0

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal inside, crowd
        inside += 1
        crowd = max(crowd, inside)
        await asyncio.sleep(0.02)
        inside -= 1
        writer.write(OK + b"Content-Length: 0\r\n\r\n")

    async with device(serve) as address:
        await asyncio.gather(*(exchange(address, ASK) for _ in range(30)))
        assert crowd == transport.EXCHANGES_PER_HOST
        assert devices_http._transport(address)._places == {}


async def test_places_are_given_back_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices_http, "FIRST_BYTE_SECONDS", 0.2)
    async with device(until_gone) as address:
        waiting = [asyncio.create_task(exchange(address, ASK)) for _ in range(12)]
        await asyncio.sleep(0.05)
        for task in waiting[:4]:
            task.cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(each, NoAnswer) for each in results] == [False] * 4 + [True] * 8
        places = devices_http._transport(address)._places
        assert places == {}


# --- Answers that last ------------------------------------------------------------------------------------------------
async def test_a_stream_comes_as_it_is_sent_for_longer_than_any_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices_http, "FIRST_BYTE_SECONDS", 0.2)
    monkeypatch.setattr(devices_http, "OPENING_SECONDS", 0.3)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Content-Type: multipart/x-mixed-replace; boundary=--x\r\n\r\n")
        await endlessly(writer, b"--x\r\n\r\n" + b"y" * 1000, 0.02)

    async with device(serve) as address:
        got = 0
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with opened(address, ASK, idle_seconds=5) as answer:
            assert answer.headers["content-type"].startswith("multipart/")
            async for piece in answer.pieces():
                got += len(piece)
                if loop.time() - began > 0.5:
                    break
        assert got > 10_000
        assert devices_http._transport(address)._places == {}


async def test_a_stream_that_falls_silent_is_noticed() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"\r\nfirst")
        await reader.read()

    async with device(serve) as address, opened(address, ASK, idle_seconds=0.2) as answer:
        pieces = answer.pieces()
        assert await anext(pieces) == b"first"
        with pytest.raises(NoAnswer, match="silent"):
            await anext(pieces)


async def test_a_stream_that_ends_ends_and_one_that_breaks_says_so() -> None:
    async with device(saying(OK + b"\r\nall")) as address, opened(address, ASK) as answer:
        assert [piece async for piece in answer.pieces()] == [b"all"]
        assert answer.whole
    async with device(reset) as address, opened(address, ASK) as answer:
        pieces = answer.pieces()
        assert await anext(pieces) == b"half"
        with pytest.raises(Interrupted):
            await anext(pieces)


async def test_a_head_that_never_ends_opens_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices_http, "OPENING_SECONDS", 0.2)
    async with device(slow_head) as address:
        with pytest.raises(NoAnswer):
            async with opened(address, ASK):
                pytest.fail("nothing was opened")


async def test_leaving_a_stream_closes_its_connection() -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"\r\nfirst")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        gone.set()

    async with device(serve) as address:
        async with opened(address, ASK) as answer:
            assert await anext(answer.pieces()) == b"first"
        await asyncio.wait_for(gone.wait(), 5)


async def test_a_slow_reader_slows_the_device_and_fills_no_memory() -> None:
    sent = 0

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(OK + b"\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async with device(serve) as address, opened(address, ASK) as answer:
        pieces = answer.pieces()
        await anext(pieces)
        before = -1
        while sent != before:  # until the device can send no more
            before = sent
            await asyncio.sleep(0.2)
        assert sent < 30_000_000, "what the kernel holds, not what we do"
        await anext(pieces)


# --- TLS --------------------------------------------------------------------------------------------------------------
async def test_a_certificate_nobody_vouches_for_is_refused_unless_verification_is_off(tmp_path: Path) -> None:
    context = serving(make_certificate(tmp_path, "camera"))
    async with device(saying(OK + b"Content-Length: 3\r\n\r\na=1"), context) as address:
        with pytest.raises(WrongAnswer, match="is not trusted"):
            await exchange(address, ASK)
        off = Address("https", address.host, address.port, "off")
        assert (await exchange(off, ASK)).body == b"a=1"


async def test_the_certificate_is_looked_at_before_anything_is_sent(tmp_path: Path) -> None:
    path = make_certificate(tmp_path, "camera")
    got: list[bytes] = []
    seen: list[str] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            got.append(await reader.read())
        writer.close()

    async def refuse(offered: str) -> None:
        seen.append(offered)
        raise WrongAnswer("Not this one.")

    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=serving(path)) as server:
        address = Address("https", "127.0.0.1", server.sockets[0].getsockname()[1], "pin")
        with pytest.raises(WrongAnswer, match="Not this one"):
            await exchange(address, ASK, headers={"Authorization": "secret"}, check_certificate=refuse)
        await asyncio.sleep(0.05)
    assert seen == [fingerprint(path)]
    assert b"".join(got) == b""


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated")
@pytest.mark.parametrize("legacy", [False, True])
async def test_old_tls_is_spoken_only_where_it_is_allowed(legacy: bool, tmp_path: Path) -> None:
    context = serving(make_certificate(tmp_path, "old", weak=True), old=True)
    async with device(saying(OK + b"Content-Length: 3\r\n\r\na=1"), context, tls="off", legacy=legacy) as address:
        if legacy:
            assert (await exchange(address, ASK)).body == b"a=1"
        else:
            with pytest.raises(WrongAnswer, match="option legacy"):
                await exchange(address, ASK)


async def test_tls_that_ends_without_a_goodbye_is_an_end(tmp_path: Path) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\na=1")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    async with device(serve, serving(make_certificate(tmp_path, "camera")), tls="off") as address:
        assert (await exchange(address, ASK)).body == b"a=1"


async def test_plain_http_where_tls_is_expected_is_told() -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        address = Address("https", "127.0.0.1", server.sockets[0].getsockname()[1], "off")
        with pytest.raises(WrongAnswer, match="does not speak TLS as we do"):
            await exchange(address, ASK)


async def test_an_unknown_way_of_trusting_is_refused() -> None:
    with pytest.raises(NotSupported, match="verify, pin or off"):
        await exchange(Address("https", "127.0.0.1", 9, "maybe"), ASK)


async def test_pinning_without_anybody_who_compares_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="who compares"):
        await exchange(Address("https", "127.0.0.1", 9, "pin"), ASK)
