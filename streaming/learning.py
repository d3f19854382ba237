"""Finds out what a camera sends before anybody waits for its picture.

Some devices do not tell the format of a camera; asked for a wrong one they say yes and send nothing. Finding that out
takes seconds for each camera, which nobody should spend before a wall. So cameras whose format nobody knows are opened
once, soon after they were found: the source remembers what brought a picture (`streaming.sources.open`), and the
picture is kept as the camera's last one.

That is nobody's urgent wish, so it is modest: one device at a time in the whole system, FEW of its cameras at once, on
the UID that live pictures share; never while somebody watches the camera, and it stops at once when somebody begins to.
A camera that sends nothing is tried again after longer and longer pauses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import groupby

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from devices import leases, uids
from devices.coordination import coordinated, key
from devices.errors import DeviceError, NoCoordination
from devices.families import driver_class, families
from devices.models import Camera, State
from streaming import snapshots
from streaming.media import AccessUnit, Unit
from streaming.sources import SourceFailed
from streaming.sources.open import device_source, streams_of

logger = logging.getLogger(__name__)

FEW = 4
CAMERA_SECONDS = 45.0  # each way to ask is given some seconds for its first picture
RUN_SECONDS = 20.0  # after which no other camera is begun; the next run goes on
LEASE_SECONDS = 120.0
LOOK_SECONDS = 0.5
FIRST_PAUSE, LONGEST_PAUSE = 30, 6 * 3600
TRIES_SECONDS = 7 * 24 * 3600
_DOING = "find out what cameras send"
_LEASE = "find out what cameras send"


# --- Which ------------------------------------------------------------------------------------------------------------
def unknown() -> list[Camera]:
    """Cameras that can be asked now and of which nobody knows what they send, device by device."""
    silent = [family for family in families() if not driver_class(family).tells_codecs]
    rows = Camera.objects.filter(
        learned={},
        device__family__in=silent,
        device__enabled=True,
        device__state__in=(State.ONLINE, State.DEGRADED),
    )
    found = rows.select_related("device").order_by("device", "number")
    return [camera for camera in found if _unknown_stream(camera)]


def _unknown_stream(camera: Camera) -> str | None:
    try:
        return next((stream.id for stream in streams_of(camera) if not stream.codec), None)
    except DeviceError:
        return None


# --- A run ------------------------------------------------------------------------------------------------------------
async def learn(cameras: Sequence[Camera]) -> list[int]:
    """Find out about some of these cameras, of the first device that has any whose time has come. Answers of which it
    is known now; nothing when another process is at it."""
    lease = await leases.take(_LEASE, uids.this_process(), LEASE_SECONDS)
    if lease is None:
        return []
    try:
        await sync_to_async(close_old_connections)()
        due = await _due(cameras)
        for _, of_device in groupby(due, key=lambda camera: camera.device_id):
            return await _learn_few_at_a_time(list(of_device))
        return []
    finally:
        await leases.release(lease)


async def _learn_few_at_a_time(cameras: list[Camera]) -> list[int]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    waiting, learned = iter(cameras), []

    async def one_after_the_other() -> None:
        for camera in waiting:
            if loop.time() - began > RUN_SECONDS:
                return
            if await _learn_one(camera):
                learned.append(camera.pk)

    async with asyncio.TaskGroup() as group:
        for _ in range(FEW):
            group.create_task(one_after_the_other())
    return sorted(learned)


async def _learn_one(camera: Camera) -> bool:
    stream = _unknown_stream(camera)
    if stream is None or await _is_watched(camera):
        return False
    opening = asyncio.create_task(_first_picture(camera, stream), name=f"learn {camera.pk}")
    watching = asyncio.create_task(_until_watched(camera))
    try:
        async with asyncio.timeout(CAMERA_SECONDS):
            await asyncio.wait((opening, watching), return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():
            return False  # somebody watches it now, and finds out by that
        picture = opening.result()
    except (TimeoutError, SourceFailed) as error:
        logger.info("%s: it is not known yet what it sends: %s", camera, error or "no picture in time")
        await _pause(camera)
        return False
    finally:
        # Also an opening that is given up closes what it opened, in the order that the document wants.
        opening.cancel()
        watching.cancel()
        await asyncio.wait((opening, watching))
    logger.info("%s sends %s", camera, picture.track.kind, extra={"device": camera.device_id})
    await snapshots.keep(camera.pk, picture.track, picture.data, picture.received)
    return True


async def _first_picture(camera: Camera, stream: str) -> AccessUnit:
    picture: asyncio.Future[AccessUnit] = asyncio.get_running_loop().create_future()

    def take(unit: Unit) -> None:
        if isinstance(unit, AccessUnit) and unit.key and not picture.done():
            picture.set_result(unit)

    async with device_source(camera.pk, stream)(take):
        return await picture


# --- Who else ---------------------------------------------------------------------------------------------------------
async def _is_watched(camera: Camera) -> bool:
    ours = uids.this_process()
    try:
        return any(
            lease.device == camera.device_id and lease.camera == camera.number and lease.holder != ours
            for lease in await uids.leases()
        )
    except NoCoordination:
        return True  # nobody can tell; later is fine


async def _until_watched(camera: Camera) -> None:
    while not await _is_watched(camera):  # noqa: ASYNC110 — it may be in another process, which tells only Redis
        await asyncio.sleep(LOOK_SECONDS)


# --- Again ------------------------------------------------------------------------------------------------------------
async def _due(cameras: Sequence[Camera]) -> list[Camera]:
    """Those that are not paused."""
    if not cameras:
        return []
    async with coordinated(_DOING) as redis:
        pauses = await redis.mget([_key(camera, "pause") for camera in cameras])
    return [camera for camera, pause in zip(cameras, pauses, strict=True) if pause is None]


async def _pause(camera: Camera) -> None:
    async with coordinated(_DOING) as redis:
        tries = int(await redis.incr(_key(camera, "tries")))
        await redis.expire(_key(camera, "tries"), TRIES_SECONDS)
        await redis.set(_key(camera, "pause"), "1", ex=min(FIRST_PAUSE * 2 ** min(tries - 1, 16), LONGEST_PAUSE))


def _key(camera: Camera, what: str) -> str:
    return key("learn", camera.pk, what)
