"""What a device tells beside its pictures, without being asked: how its switches are, and where it looks.

Whoever receives the pictures hands it on when it has changed. Switches are facts like those that a look finds
(`polling.told`), so that each change is told once, whoever saw it first. Where a camera looks changes all the time
while it turns: it goes to the open pages, is kept in Redis for KEPT_SECONDS, and never touches the database.
"""

from __future__ import annotations

import json
import logging

from asgiref.sync import sync_to_async

from devices import events, polling
from devices.coordination import coordinated, key
from devices.errors import NoCoordination
from devices.families.base import Beside
from devices.models import Camera

logger = logging.getLogger(__name__)

KEPT_SECONDS = 30
_DOING = "tell where a camera looks"


async def keep(camera: Camera, told: Beside) -> None:
    if told.switches is not None:
        await sync_to_async(polling.told)(camera.device_id, {"switches": dict(told.switches)})
    if told.position is not None:
        pan, tilt = told.position
        text = json.dumps([pan, tilt])
        async with coordinated(_DOING) as redis:
            before = await redis.set(_key(camera), text, ex=KEPT_SECONDS, get=True)
        if before != text:
            await events.publish_soon("camera.position", camera=camera.pk, pan=pan, tilt=tilt)


async def forget(camera: Camera) -> None:
    """Nobody receives its pictures any more: where it looks now is not known."""
    try:
        async with coordinated(_DOING) as redis:
            await redis.delete(_key(camera))
    except NoCoordination:
        logger.warning("where a camera looked is forgotten by itself", extra={"device": camera.device_id})


async def position(camera: Camera) -> tuple[int, int] | None:
    """Where it looks, if its pictures tell it just now."""
    async with coordinated(_DOING) as redis:
        text = await redis.get(_key(camera))
    if text is None:
        return None
    pan, tilt = json.loads(text)
    return pan, tilt


def _key(camera: Camera) -> str:
    return key("ptz", "position", camera.pk)
