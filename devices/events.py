"""Small messages about devices and cameras, from any process to every open socket.

One Redis channel carries them. They are hints to look again, not the truth: when Redis is away they are lost, and
nothing depends on them. A message names the device or camera it is about, so that each socket passes on only what its
user may see.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from asgiref.sync import sync_to_async

from devices.coordination import coordinated_sync, key
from devices.errors import NoCoordination

logger = logging.getLogger(__name__)

CHANNEL = key("events")
LIMIT = 4096  # bytes; an event is a hint, not a document


def publish(event: str, *, device: int | None = None, camera: int | None = None, **about: Any) -> None:
    """Tell everybody who may see this device or camera. Never raises for want of Redis."""
    message: dict[str, Any] = {"type": event, **about}
    if device is not None:
        message["device"] = device
    if camera is not None:
        message["camera"] = camera
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > LIMIT:
        raise ValueError(f"The event {event} is larger than {LIMIT} bytes.")
    try:
        with coordinated_sync("publish an event") as redis:
            redis.publish(CHANNEL, text)
    except NoCoordination:
        logger.warning("an event was lost, since Redis is away", extra={"event": event})


async def publish_soon(event: str, *, device: int | None = None, camera: int | None = None, **about: Any) -> None:
    """`publish` for coroutines."""
    await sync_to_async(publish, thread_sensitive=False)(event, device=device, camera=camera, **about)
