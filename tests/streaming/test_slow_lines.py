"""Viewers behind slow and dead lines, on a real server: they harm nobody, and are told or dropped."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable
from itertools import pairwise

import pytest
import uvicorn
from asgiref.sync import sync_to_async
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from devices.models import Camera
from streaming.relay import Relays, Timing
from tests.streaming.conftest import Person
from tests.streaming.film import RATE, Film
from tests.streaming.memory import MemoryCamera

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_database]

HEAVY = 200_000  # bytes per picture: a few fill every buffer between us and the viewer


@pytest.fixture
async def heavy(film: Film, monkeypatch: pytest.MonkeyPatch) -> MemoryCamera:
    """A camera with pictures that no buffer hides."""
    camera = MemoryCamera(film)
    camera.units = [unit._replace(data=unit.data + bytes(HEAVY)) for unit in camera.units]
    monkeypatch.setattr("streaming.consumers.device_source", lambda camera_id, stream_id: camera.source)
    return camera


@pytest.fixture
async def relays(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Relays]:
    relays = Relays(Timing(first_picture=60, silence=60, linger=0.01, abandon=1.0, tick=0.05))
    monkeypatch.setattr("streaming.ownership.relays", relays)
    yield relays
    await relays.close_all()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    from vms.asgi import application

    config = uvicorn.Config(
        application, port=0, lifespan="off", log_config=None, ws_per_message_deflate=False, timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 — uvicorn announces it so
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


@pytest.fixture
async def dial(port: int, new_camera, new_person) -> Callable[[], connect]:
    camera: Camera = await sync_to_async(new_camera)()
    ann: Person = await sync_to_async(new_person)()

    def make() -> connect:
        return connect(
            f"ws://localhost:{port}/ws/live/{camera.pk}/",
            additional_headers={"Authorization": f"Bearer {ann.bearer}"},
            compression=None,
            max_queue=1,  # reads no further than one message ahead: what we do not take stays on the line
            close_timeout=0.2,
        )

    return make


async def number_and_kind(viewer: ClientConnection) -> tuple[int, bool] | dict:
    """A fragment's sequence number and whether it is a key picture; or what is told."""
    while True:
        message = await asyncio.wait_for(viewer.recv(), 10)
        if isinstance(message, str):
            return json.loads(message)
        if message[4:8] == b"prft":
            number = struct.unpack_from(">I", message, message.index(b"mfhd") + 8)[0]
            flags = struct.unpack_from(">I", message, message.index(b"trun") + 24)[0]
            return number, flags == 0x0200_0000


async def pictures(viewer: ClientConnection, last: int) -> tuple[list[tuple[int, bool]], list[int]]:
    """What comes up to that picture, and how many were dropped on the way."""
    seen: list[tuple[int, bool]] = []
    dropped: list[int] = []
    while not seen or seen[-1][0] < last:
        item = await number_and_kind(viewer)
        if isinstance(item, tuple):
            seen.append(item)
        elif item["type"] == "dropped":
            dropped.append(item["frames"])
    return seen, dropped


async def test_a_slow_viewer_skips_to_a_key_picture_and_others_lose_nothing(heavy: MemoryCamera, relays: Relays, dial):
    async with dial() as slow, dial() as quick:
        await heavy.opened.wait()
        whole: list[int] = []
        for number in range(1, 3 * RATE + 2):
            heavy.send()
            seen, dropped = await pictures(quick, number)
            whole += [each for each, _ in seen]
            assert dropped == []
        assert whole == list(range(1, 3 * RATE + 2))
        seen, dropped = await pictures(slow, 3 * RATE + 1)
        assert sum(dropped) == 3 * RATE + 1 - len(seen) > 0
        for (before, _), (after, key) in pairwise(seen):
            assert after == before + 1 or key  # only a key picture may follow a hole


async def test_a_viewer_that_takes_nothing_is_dropped_and_others_go_on(heavy: MemoryCamera, relays: Relays, dial):
    async with dial() as dead, dial() as quick:
        await heavy.opened.wait()
        number = 0
        async with asyncio.timeout(20):
            while relays.figures().popitem()[1]["viewers"] == 2:
                number += 1
                heavy.send()
                await pictures(quick, number)
                await asyncio.sleep(0.02)
        heavy.send()
        await pictures(quick, number + 1)
        with pytest.raises(ConnectionClosed):
            await pictures(dead, number + 1)
