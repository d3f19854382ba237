"""`/ws/events/`: what happens, to those who may see it, also after Redis was away."""

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings

from accounts import tokens
from accounts.models import Grant, Role, User
from devices import consumers, events
from devices.models import Camera, Device, Site
from vms.asgi import application
from vms.tools import redis_server

pytestmark = pytest.mark.django_db(transaction=True)
RESYNC = {"type": "resync"}


def make_device(name: str) -> Device:
    site = Site.objects.create(name=name)
    device = Device.objects.create(name=name, family="povcam", host=f"{name}.test", site=site)
    Camera.objects.create(device=device, name=name)
    return device


def make_token(name: str, **grant: Any) -> str:
    user = User.objects.create_user(name, None, role=Role.VIEWER)
    Grant.objects.create(user=user, **grant)
    return tokens.create(None, user, name="test")[1]


class Socket(ApplicationCommunicator):
    """A browser's end of `/ws/events/`."""

    def __init__(self, token: str = "") -> None:
        headers = [(b"host", b"testserver")]
        headers += [(b"authorization", f"Bearer {token}".encode())] if token else []
        scope = {
            "type": "websocket",
            "path": "/ws/events/",
            "headers": headers,
            "query_string": b"",
            "subprotocols": [],
        }
        super().__init__(application, scope)

    async def open(self) -> None:
        await self.send_input({"type": "websocket.connect"})
        assert (await self.receive_output(10))["type"] == "websocket.accept"

    async def hear(self) -> Any:
        return json.loads((await self.receive_output(10))["text"])

    async def disconnect(self) -> None:
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(10)


Connect = Callable[[str], Awaitable[Socket]]


@pytest.fixture
async def connect(redis_client: redis.Redis) -> AsyncIterator[Connect]:
    opened: list[Socket] = []

    async def make(token: str) -> Socket:
        socket = Socket(token)
        await socket.open()
        opened.append(socket)
        return socket

    yield make
    for socket in opened:
        await socket.disconnect()


async def test_everybody_hears_what_they_may_see_and_nothing_else(connect: Connect) -> None:
    north = await sync_to_async(make_device)("north")
    south = await sync_to_async(make_device)("south")
    camera = await Camera.objects.aget(device=south)
    everything = await connect(await sync_to_async(make_token)("ann"))
    site_only = await connect(await sync_to_async(make_token)("bob", site=north.site))
    camera_only = await connect(await sync_to_async(make_token)("eve", camera=camera))
    for socket in (everything, site_only, camera_only):
        assert await socket.hear() == RESYNC, "from here on nothing is missed"
    await events.publish_soon("device.state", device=north.pk, state="online")
    await events.publish_soon("camera.state", camera=camera.pk, state="live")
    await events.publish_soon("nobody", about="nothing in particular")
    await events.publish_soon("device.state", device=south.pk, state="offline")
    of_north = {"type": "device.state", "device": north.pk, "state": "online"}
    of_camera = {"type": "camera.state", "camera": camera.pk, "state": "live"}
    of_south = {"type": "device.state", "device": south.pk, "state": "offline"}
    assert [await everything.hear() for _ in range(3)] == [of_north, of_camera, of_south]
    assert await site_only.hear() == of_north
    assert [await camera_only.hear() for _ in range(2)] == [of_camera, of_south]
    assert await site_only.receive_nothing(0.2)


async def test_a_withdrawn_grant_counts_within_seconds(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "VISIBILITY_SECONDS", 0.0)
    north = await sync_to_async(make_device)("north")
    socket = await connect(await sync_to_async(make_token)("bob", site=north.site))
    assert await socket.hear() == RESYNC
    await Grant.objects.all().adelete()
    await events.publish_soon("device.state", device=north.pk)
    assert await socket.receive_nothing(0.5)


async def test_all_sockets_of_a_process_share_one_subscription(connect: Connect, redis_client: redis.Redis) -> None:
    token = await sync_to_async(make_token)("ann")
    sockets = [await connect(token) for _ in range(5)]
    for socket in sockets:
        assert await socket.hear() == RESYNC
    assert redis_client.pubsub_numsub(events.CHANNEL) == [(events.CHANNEL.encode(), 1)]


async def test_without_signing_in_nothing_is_heard(redis_client: redis.Redis) -> None:
    socket = Socket()
    await socket.open()
    assert (await socket.receive_output(10))["code"] == 4401


async def test_a_socket_far_behind_is_told_to_look_at_everything_anew(connect: Connect) -> None:
    north = await sync_to_async(make_device)("north")
    socket = await connect(await sync_to_async(make_token)("ann"))
    assert await socket.hear() == RESYNC
    (consumer,) = consumers._subscription()._sockets
    text = json.dumps({"type": "device.state", "device": north.pk})
    for _ in range(consumers.EVENTS_WAITING + 1):  # without a chance to send in between
        consumer.offer(text)
    assert await socket.hear() == RESYNC
    assert await socket.receive_nothing(0.2)


@pytest.fixture
def own_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], subprocess.Popen[bytes]]:
    """A Redis that the test may kill, at an address of its own."""
    path = tmp_path / "redis.sock"
    monkeypatch.setattr(settings, "REDIS_URL", f"unix://{path}")

    def start() -> subprocess.Popen[bytes]:
        command = [redis_server(), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        client = redis.Redis(
            unix_socket_path=str(path), retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 100)
        )
        client.ping()
        client.close()
        return process

    return start


async def test_sockets_stay_open_while_redis_is_away_and_hear_again_afterwards(
    own_redis: Callable[[], subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    north = await sync_to_async(make_device)("north")
    token = await sync_to_async(make_token)("ann")
    server = own_redis()
    try:
        socket = Socket(token)
        await socket.open()
        assert await socket.hear() == RESYNC
        server.send_signal(signal.SIGKILL)
        server.wait(10)
        await events.publish_soon("device.state", device=north.pk)  # lost, and nobody minds
        assert await socket.receive_nothing(0.3)
        server = own_redis()
        assert await socket.hear() == RESYNC
        await events.publish_soon("device.state", device=north.pk, state="online")
        assert (await socket.hear())["state"] == "online"
        await socket.disconnect()
    finally:
        server.kill()
        server.wait(10)


async def test_the_subscription_ends_with_the_last_socket(connect: Connect, redis_client: redis.Redis) -> None:
    socket = await connect(await sync_to_async(make_token)("ann"))
    assert await socket.hear() == RESYNC
    await socket.disconnect()
    async with asyncio.timeout(10):
        while redis_client.pubsub_numsub(events.CHANNEL)[0][1]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def test_an_event_is_small() -> None:
    with pytest.raises(ValueError, match="larger than"):
        events.publish("x", about="y" * events.LIMIT)
