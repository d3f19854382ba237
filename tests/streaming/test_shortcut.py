"""Messages written past Channels and uvicorn are the messages a browser gets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import connect

from streaming import connection

App = Callable[[Any, Any, Any], Any]


@asynccontextmanager
async def served(app: App, **config: Any) -> AsyncIterator[str]:
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, lifespan="off", log_config=None, ws="websockets-sansio", **config)
    )
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 — uvicorn tells it no other way
        await asyncio.sleep(0.01)
    try:
        yield f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        await running


async def accepted(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})


SIZES = (0, 1, 125, 126, 65_535, 65_536, 200_000)


async def test_messages_of_every_size_arrive_between_those_sent_the_long_way() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        write = connection.shortcut(send)
        assert write is not None
        for size in SIZES:
            while not write(bytes([size % 251]) * size):  # noqa: ASYNC110 — nobody announces it
                await asyncio.sleep(0.001)
            await send({"type": "websocket.send", "text": str(size)})
        await receive()

    async with served(app, ws_per_message_deflate=False) as address, connect(address, max_size=None) as client:
        for size in SIZES:
            assert await client.recv() == bytes([size % 251]) * size
            assert await client.recv() == str(size)


async def test_nothing_is_written_while_something_waits_to_be() -> None:
    refused = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        connection.keep_short(send)
        write = connection.shortcut(send)
        assert write is not None
        for _ in range(1000):
            if not write(bytes(100_000)):
                refused.set()
                break
            await asyncio.sleep(0)
        await receive()

    async with served(app, ws_per_message_deflate=False) as address, connect(address, max_size=None) as client:
        async with asyncio.timeout(10):
            await refused.wait()
        client.transport.abort()


async def test_nothing_is_written_after_the_socket_was_closed() -> None:
    after: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        write = connection.shortcut(send)
        assert write is not None
        await send({"type": "websocket.close", "code": 4409, "reason": "no"})
        after.set_result(write(b"late"))

    async with served(app, ws_per_message_deflate=False) as address, connect(address) as client:
        await client.wait_closed()
        assert client.close_code == 4409
        assert await after is False


async def test_where_messages_are_compressed_there_is_no_shortcut() -> None:
    found: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        found.set_result(connection.shortcut(send))
        await receive()

    async with served(app, ws_per_message_deflate=True) as address, connect(address):
        assert await found is None


@pytest.mark.parametrize("send", [None, object(), lambda message: None])
def test_another_server_has_none(send: object) -> None:
    assert connection.shortcut(send) is None
