"""`/ws/events/`: what happens to devices and cameras, to everybody who may see them.

One Redis subscription per process feeds all its sockets. While Redis is away the sockets stay open; when the
subscription stands again each is told to look at everything anew (`resync`), since events were missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

from channels.db import database_sync_to_async
from redis.exceptions import RedisError

from accounts.policy import Standing
from accounts.sockets import GuardedConsumer
from devices.coordination import cancellation_kept, shared
from devices.events import CHANNEL
from devices.models import Camera, Device

logger = logging.getLogger(__name__)

RESYNC = '{"type":"resync"}'
VISIBILITY_SECONDS = 3.0  # how long what a user may see is believed; a withdrawn grant counts within it
EVENTS_WAITING = 200  # per socket; one that is further behind is told to look at everything anew
LISTEN_SECONDS = 30.0
SLOWEST_RETRY = 10.0


class EventsConsumer(GuardedConsumer):
    policy = Standing.SIGNED_IN

    async def enter(self) -> None:
        self._waiting: asyncio.Queue[str] = asyncio.Queue(EVENTS_WAITING)
        self._devices: set[int] = set()
        self._cameras: set[int] = set()
        self._seen_at = float("-inf")
        await self.accept()
        self._sender = asyncio.create_task(self._send_waiting(), name="events of a socket")
        _subscription().join(self)

    async def leave(self) -> None:
        _subscription().part(self)
        if sender := getattr(self, "_sender", None):
            sender.cancel()
            await asyncio.wait([sender])

    def offer(self, text: str) -> None:
        """Called by the subscription; never waits."""
        if self._waiting.full():
            while not self._waiting.empty():
                self._waiting.get_nowait()
            text = RESYNC
        self._waiting.put_nowait(text)

    async def _send_waiting(self) -> None:
        while True:
            text = await self._waiting.get()
            if text is RESYNC or await self._may_see(json.loads(text)):
                await self.send(text_data=text)

    async def _may_see(self, event: dict[str, Any]) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._seen_at > VISIBILITY_SECONDS:
            self._devices, self._cameras = await database_sync_to_async(self._visible)()
            self._seen_at = now
        if "camera" in event:
            return event["camera"] in self._cameras
        return event.get("device") in self._devices

    def _visible(self) -> tuple[set[int], set[int]]:
        devices = Device.objects.visible_to(self.user).values_list("pk", flat=True)
        cameras = Camera.objects.visible_to(self.user).values_list("pk", flat=True)
        return set(devices), set(cameras)


class Subscription:
    """The process's one ear at the channel; listens while anybody is there to be told."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._sockets: set[EventsConsumer] = set()
        self._task: asyncio.Task[None] | None = None
        self._standing = False

    def join(self, socket: EventsConsumer) -> None:
        self._sockets.add(socket)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep_listening(), name="events")
        elif self._standing:
            socket.offer(RESYNC)  # from here on nothing is missed

    def part(self, socket: EventsConsumer) -> None:
        self._sockets.discard(socket)
        if not self._sockets and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _keep_listening(self) -> None:
        retry = 0.5
        while True:
            try:
                async with contextlib.aclosing(shared().pubsub(ignore_subscribe_messages=True)) as pubsub:
                    with cancellation_kept():
                        await pubsub.subscribe(CHANNEL)
                        await pubsub.get_message(ignore_subscribe_messages=True, timeout=LISTEN_SECONDS)
                    retry = 0.5
                    self._standing = True
                    self._tell(RESYNC)
                    while True:
                        with cancellation_kept():
                            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=LISTEN_SECONDS)
                        if message is not None and message["type"] == "message":
                            self._tell(message["data"])
            except (RedisError, OSError) as error:
                logger.warning("events are not heard, since Redis is away: %s", type(error).__name__)
            except Exception:
                logger.exception("listening to events failed")
            finally:
                self._standing = False
            await asyncio.sleep(retry)
            retry = min(2 * retry, SLOWEST_RETRY)

    def _tell(self, text: str) -> None:
        for socket in self._sockets:
            socket.offer(text)


_current: Subscription | None = None


def _subscription() -> Subscription:
    """The subscription of the running loop (a process has one loop; tests have several, one after another)."""
    global _current
    if _current is None or _current.loop is not asyncio.get_running_loop():
        _current = Subscription()
    return _current
