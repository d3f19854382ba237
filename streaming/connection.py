"""What ASGI has no words for: a viewer's connection below the socket.

A kernel left to itself buffers megabytes for a slow viewer, which is seconds of pictures that are old when they arrive
and that nobody can take back. So a viewer's send buffer is kept small: then the socket's backpressure is felt within a
fraction of a second, and the relay moves the viewer on. And a peer that takes nothing can only be dropped, since a
close frame would wait behind what it does not take.

And a picture that a hundred viewers get needs no copy and no task switch for each of them: its bytes go to their
transports as they are, behind the few bytes of a WebSocket frame's head (RFC 6455, 5.2). That is done only while
nothing waits to be written; else the long way, through Channels and uvicorn, waits until something may.

Under uvicorn the transport is found behind `send`. Where it is not found (another server, a test) the portable way
remains: slow viewers are noticed later, and stuck ones end with their TCP connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

# Linux doubles it. What is under way may fill it (enough for 5 Mbit/s over 200 ms of round trip); what has not been
# sent yet is kept much shorter, for on a thin line even this would be seconds.
SEND_BUFFER = 64 * 1024
UNSENT = 16 * 1024


def transport_of(send: Any) -> asyncio.WriteTransport | None:
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    return transport if hasattr(transport, "abort") and hasattr(transport, "get_extra_info") else None


def keep_short(send: Any) -> None:
    """Keep what may wait unsent to this viewer small."""
    transport = transport_of(send)
    line = transport.get_extra_info("socket") if transport is not None else None
    if line is not None and line.family in (socket.AF_INET, socket.AF_INET6):
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)


class Line(NamedTuple):
    """Past everything between us and a viewer's transport; for messages only while nothing waits there."""

    waiting: Callable[[], int]  # bytes
    write: Callable[
        [tuple[bytes, bytes]], None
    ]  # one call to the kernel, without a copy; RuntimeError once it is closed


def shortcut(send: Any) -> Line | None:
    """The line to this viewer; None where there is no such way, or messages are compressed."""
    protocol: Any = getattr(send, "__self__", None)
    conn: Any = getattr(protocol, "conn", None)
    transport = transport_of(send)
    if transport is None or getattr(conn, "extensions", None) != [] or not hasattr(protocol, "close_sent"):
        return None
    return Line(transport.get_write_buffer_size, transport.writelines)


def message(data: bytes) -> tuple[bytes, bytes]:
    """A binary message as it goes over every such line."""
    size = len(data)
    if size < 126:
        return bytes((0x82, size)), data
    if size < 0x10000:
        return b"\x82\x7e" + size.to_bytes(2, "big"), data
    return b"\x82\x7f" + size.to_bytes(8, "big"), data


def drop(send: Any) -> None:
    """End the connection now, with whatever it still has to say."""
    transport = transport_of(send)
    if transport is not None:
        transport.abort()
