"""A small picture of each preset, taken when the camera was told to keep it or has gone to it.

A camera that has just been told to go somewhere needs some seconds, and its stream some more for the next key picture.
Whatever moves it meanwhile makes the picture one of somewhere else: then there is none this time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from django.dispatch import receiver

from devices import events, pictures, presets, ptz
from devices.errors import NoCoordination
from devices.models import Camera
from streaming import snapshots
from streaming.jpegs import NoPicture

log = logging.getLogger(__name__)

WIDTH = 240
TRAVEL_SECONDS = 4.0  # from one end to the other takes a head some seconds; who set it, or was shown it, stands there
PICTURE_SECONDS = 6.0
LEEWAY = 0.5  # between our taking note of the command and now

_taking: dict[int, asyncio.Task[None]] = {}  # camera → what is being taken; a later command makes it void


@receiver(presets.told)
async def _told(camera: Camera, number: int, is_set: bool, **_: Any) -> None:
    if (before := _taking.pop(camera.pk, None)) is not None and before.get_loop() is asyncio.get_running_loop():
        before.cancel()
    task = asyncio.create_task(_take(camera, number, 0.0 if is_set else TRAVEL_SECONDS), name="preset's picture")
    _taking[camera.pk] = task
    task.add_done_callback(lambda ended: _taking.pop(camera.pk) if _taking.get(camera.pk) is ended else None)


async def _take(camera: Camera, number: int, travel: float) -> None:
    began = time.monotonic()
    await asyncio.sleep(travel)
    try:
        found = await snapshots.taken_after(camera, time.time(), PICTURE_SECONDS)
        if found is None or not await _still_there(camera, time.monotonic() - began):
            return
        small = await snapshots.made_smaller(found.data, WIDTH)
        await asyncio.to_thread(pictures.keep, camera.pk, small, found.at, preset=number)
    except (NoPicture, NoCoordination, OSError) as error:
        log.info("a preset got no picture: %s", error, extra={"camera": camera.pk})
        return
    await events.publish_soon("camera.presets", camera=camera.pk)


async def _still_there(camera: Camera, seconds: float) -> bool:
    """Nobody steered it since, as far as that was through us."""
    quiet = await ptz.quiet_seconds(camera) >= min(seconds, ptz.HOLD_SECONDS) - LEEWAY
    return quiet and not await ptz.is_moving(camera)
