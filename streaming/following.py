"""Follows what becomes of the devices whose streams are open: one that is disabled, moved to another address or set to
another way of sending is not watched any further as it was.

A relay opens its device by the row as it was then. While streams are open, one task per process compares the rows each
CHECK_SECONDS, and has the relays of changed ones open anew; what is then wrong the opening says.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from django.db import DatabaseError, InterfaceError

from devices.models import Camera
from streaming.relay import Relays

log = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
CHANGED = "The settings of its device were changed here; asking it anew."

# What an opening depends on.
_FIELDS = ("enabled", "family", "scheme", "host", "port", "options")

_task: asyncio.Task[None] | None = None


def follow(relays: Relays) -> None:
    """Be at it while any stream is open. To be called whenever one may have been opened."""
    global _task
    if _task is None or _task.done() or _task.get_loop() is not asyncio.get_running_loop():
        _task = asyncio.get_running_loop().create_task(_follow(relays), name="following devices")


async def _follow(relays: Relays) -> None:
    known: dict[int, tuple[object, ...]] = {}
    while cameras := {camera for camera, _ in relays.all()}:
        try:
            now = await rows_of(cameras)
        except (DatabaseError, InterfaceError) as error:
            log.warning("whether devices were changed cannot be seen: %s", error)
            now = known
        for camera in cameras:
            if camera in known and now.get(camera) != known[camera]:
                log.info("a device was changed while it is watched", extra={"camera": camera})
                for stream, relay in relays.of(camera).items():
                    if "~" not in stream:
                        relay.open_anew(CHANGED)
        known = now
        await asyncio.sleep(CHECK_SECONDS)


async def rows_of(cameras: Collection[int]) -> dict[int, tuple[object, ...]]:
    """By camera, what its device's openings depend on."""
    names = ["pk", *(f"device__{name}" for name in _FIELDS)]
    rows = Camera.objects.filter(pk__in=cameras).values_list(*names)
    return {row[0]: tuple(row[1:]) async for row in rows}
