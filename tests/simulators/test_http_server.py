"""The simulators' web server: tolerant where old clients need it, with limits where nobody does."""

import asyncio

import pytest

from simulators import http
from tests.simulators.helpers import raw


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /cgi-bin/get_basic HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /cgi-bin/get_basic HTTP/1.1\nHost: x\n\n",
        b"GET /cgi-bin/get_basic HTTP/1.0\r\n\r\n",
        b"GET /cgi-bin/get_basic HTTP/1.1\r\nhost :x\r\nConnection:keep-alive\r\n\r\n",
        b"GET /cgi-bin/get_basic HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_plain_requests_are_answered_and_the_connection_closed(client, request_bytes):
    reply = await raw(client.device, request_bytes)
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close" in head
    assert f"\r\nContent-Length: {len(body)}".encode() in head
    assert client.violations == []


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET cgi-bin/get_basic HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / SIP/2.0\r\n\r\n", 400),
        (b"GET /cgi-bin/get_basic HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nno colon here\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 100 + b"\r\n", 431),
    ],
)
async def test_what_is_not_http_is_refused_and_remembered(client, request_bytes, status):
    reply = await raw(client.device, request_bytes)
    assert reply.startswith(f"HTTP/1.1 {status} ".encode())
    assert client.violations == ["malformed"]


async def test_a_client_that_connects_and_leaves_is_no_mistake(client):
    _, writer = await asyncio.open_connection(client.device.host, client.device.port)
    writer.close()
    await writer.wait_closed()
    assert (await client.ask("get_basic")).status_code == 200
    assert client.violations == []


async def test_a_client_that_never_finishes_its_request_is_dropped(client, monkeypatch):
    monkeypatch.setattr(http, "READ_SECONDS", 0.2)
    assert await raw(client.device, b"GET / HTTP/1.1\r\nHost") == b""


async def test_too_many_connections_are_turned_away(client, monkeypatch):
    monkeypatch.setattr(http, "MAX_CONNECTIONS", 3)
    idle = [await asyncio.open_connection(client.device.host, client.device.port) for _ in range(3)]
    assert (await client.ask("get_basic")).status_code == 503
    for _, writer in idle:
        writer.close()
        await writer.wait_closed()
    assert (await client.ask("get_basic")).status_code == 200


async def test_a_head_request_gets_no_body(client):
    reply = await raw(client.device, b"HEAD /cgi-bin/get_basic HTTP/1.1\r\nHost: x\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 405 ")
    assert reply.endswith(b"\r\n\r\n")
