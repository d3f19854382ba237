"""What all processes remember together of a recorder, in Redis, each with an expiry: what it last said of itself, its
title, and which of its cameras it refused to steer. Without it a recorder is only asked again."""

from __future__ import annotations

import contextlib
from typing import Any, cast

from devices.cgi import Command, read_reply
from devices.coordination import coordinated, key
from devices.errors import NoCoordination
from devices.gateway import Gateway

READING_SECONDS = 60.0
TITLE_SECONDS = 30 * 24 * 3600
STEERING_SECONDS = 24 * 3600
# The document does not say how a recorder refuses to steer a camera that cannot be steered, and a busy one refuses too.
REFUSALS_UNTIL_UNSTEERABLE = 3


# --- Readings ---------------------------------------------------------------------------------------------------------
async def reading(gateway: Gateway, command: Command, *, younger_than: float = 0.0) -> dict[str, Any]:
    """The reply to a command that only reads; one that somebody got less than so many seconds ago will do."""
    name = _key(gateway, "reading", command.id)
    if younger_than > 0:
        async with coordinated() as redis:
            pipe = redis.pipeline()
            pipe.get(name)
            pipe.pttl(name)
            text, left = await pipe.execute()
        if text is not None and READING_SECONDS - left / 1000 <= younger_than:
            return read_reply(command, text)
    reply = await gateway.ask(command)
    async with coordinated() as redis:
        await redis.set(name, reply.text, px=int(READING_SECONDS * 1000))
    return reply.fields


async def forget_reading(gateway: Gateway, command: Command) -> None:
    async with coordinated() as redis:
        await redis.delete(_key(gateway, "reading", command.id))


# --- Title ------------------------------------------------------------------------------------------------------------
async def remember_title(gateway: Gateway, title: str) -> None:
    async with coordinated() as redis:
        await redis.set(_key(gateway, "title"), title, ex=TITLE_SECONDS)


async def title(gateway: Gateway) -> str | None:
    async with coordinated() as redis:
        return cast("str | None", await redis.get(_key(gateway, "title")))


# --- Steering ---------------------------------------------------------------------------------------------------------
async def note_steering(gateway: Gateway, camera: int, *, refused: bool) -> int:
    """How often in a row the recorder has refused to steer this camera."""
    name = _key(gateway, "unsteerable")
    with contextlib.suppress(NoCoordination):
        async with coordinated() as redis:
            if not refused:
                await cast(Any, redis.hdel(name, str(camera)))
                return 0
            pipe = redis.pipeline()
            pipe.hincrby(name, str(camera), 1)
            pipe.expire(name, STEERING_SECONDS)
            count, _ = await pipe.execute()
            return int(count)
    return 0


async def unsteerable(gateway: Gateway) -> list[int]:
    """The cameras that the recorder refused to steer so often that they probably cannot be steered."""
    async with coordinated() as redis:
        refusals = await cast(Any, redis.hgetall(_key(gateway, "unsteerable")))
    return sorted(int(camera) for camera, count in refusals.items() if int(count) >= REFUSALS_UNTIL_UNSTEERABLE)


def _key(gateway: Gateway, *parts: str) -> str:
    return key("ipro", gateway.address, *parts)
