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
        line = connection.shortcut(send)
        assert line is not None
        for size in SIZES:
            while line.waiting():  # noqa: ASYNC110 — nobody announces it
                await asyncio.sleep(0.001)
            line.write(connection.message(bytes([size % 251]) * size))
            await send({"type": "websocket.send", "text": str(size)})
        await receive()

    async with served(app, ws_per_message_deflate=False) as address, connect(address, max_size=None) as client:
        for size in SIZES:
            assert await client.recv() == bytes([size % 251]) * size
            assert await client.recv() == str(size)


async def test_who_takes_nothing_has_something_waiting() -> None:
    full = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        connection.keep_short(send)
        line = connection.shortcut(send)
        assert line is not None
        for _ in range(1000):
            line.write(connection.message(bytes(100_000)))
            if line.waiting():
                full.set()
                break
            await asyncio.sleep(0)
        await receive()

    async with served(app, ws_per_message_deflate=False) as address, connect(address, max_size=None) as client:
        async with asyncio.timeout(10):
            await full.wait()
        client.transport.abort()


async def test_a_line_whose_viewer_has_gone_takes_and_loses_what_comes_or_says_so() -> None:
    outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        line = connection.shortcut(send)
        assert line is not None
        while (await receive())["type"] != "websocket.disconnect":
            pass
        for _ in range(20):
            try:
                line.write(connection.message(b"late"))
            except RuntimeError:
                outcome.set_result("said")
                return
            await asyncio.sleep(0.01)
        outcome.set_result("lost")

    async with served(app, ws_per_message_deflate=False) as address:
        async with connect(address) as client:
            await client.close()
        assert await outcome in ("said", "lost")


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
