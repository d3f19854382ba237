"""Single pictures of a camera: the newest of a stream that runs, else a fresh one of the device, else the last we kept.

    a stream runs here     its newest picture that can be decoded alone, decoded once however many ask
    no stream runs here    the device is asked where it gives single pictures: one question at a time however many ask,
                           and at most one per DEVICE_SECONDS
    neither                the last picture on disk (devices.pictures), with its age

That one is kept when a stream has begun, each five minutes and when it ends; so a wall shows at once what was seen
last.

Decoding happens in one thread, beside the event loop: it never takes more than a core, and streams come first.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from django.db import DatabaseError

from devices import pictures
from devices.errors import DeviceError, NoAnswer, WrongAnswer
from devices.families import driver_for
from devices.families.base import Capability
from devices.gateway import Gateway
from devices.models import Camera
from streaming.jpegs import NoPicture, jpeg_of, scaled
from streaming.media import VideoTrack
from streaming.relay import Relay, relays
from streaming.wire import Malformed, jpeg

log = logging.getLogger(__name__)

T = TypeVar("T")

FRESH_SECONDS = 15.0  # a stream whose newest key picture is older stands still; cameras send one each 10 s at least
DEVICE_SECONDS = 1.0
ANSWER_SECONDS = 6.0  # what a device may take for one picture, its queue included
KEPT_WIDTH = 1280  # some 200 kB per camera
LOOK_SECONDS = 0.2

_thread = ThreadPoolExecutor(1, "snapshots")


class Origin(StrEnum):
    STREAM = "stream"
    DEVICE = "device"
    KEPT = "kept"


@dataclass(frozen=True)
class Snapshot:
    data: bytes  # JPEG
    at: float  # Unix time at which it reached us
    origin: Origin


async def take(camera: Camera, width: int | None = None) -> Snapshot | None:
    """The newest picture of this camera there is, at most so many pixels wide; None when there never was one. Raises
    DeviceError when the device should have given one and there is no older one either."""
    if found := await _of_stream(camera.pk):
        return await _at_most(found, width)
    problem: DeviceError | None = None
    if camera.device.enabled:
        try:
            if found := await of_device(camera):
                return await _at_most(found, width)
        except DeviceError as error:
            problem = error
    found = await _kept(camera.pk)
    if found is None and problem is not None:
        raise problem
    return await _at_most(found, width) if found else None


async def last(camera: Camera, width: int | None = None) -> Snapshot | None:
    """What there is without asking the device, for who waits for the stream."""
    found = await _kept(camera.pk) or await _of_stream(camera.pk)
    return await _at_most(found, width) if found else None


async def taken_after(camera: Camera, moment: float, seconds: float) -> Snapshot | None:
    """One that reached us after this moment (Unix time): of a stream that runs, waiting at most so long for its next
    key picture, else of the device. None when there is none."""
    deadline = asyncio.get_running_loop().time() + seconds
    while _best(camera.pk) is not None and asyncio.get_running_loop().time() < deadline:
        found = await _of_stream(camera.pk)
        if found is not None and found.at >= moment:
            return found
        await asyncio.sleep(LOOK_SECONDS)
    try:
        return await of_device(camera)
    except DeviceError:
        return None


async def _at_most(found: Snapshot, width: int | None) -> Snapshot:
    if width is None:
        return found
    try:
        return Snapshot(await made_smaller(found.data, width), found.at, found.origin)
    except NoPicture:
        return found  # whoever asked may understand what we do not


async def made_smaller(data: bytes, width: int) -> bytes:
    """At most so many pixels wide. Raises NoPicture."""
    made: bytes = await _in_the_thread(scaled, data, width)
    return made


async def _kept(camera: int) -> Snapshot | None:
    found = await asyncio.to_thread(pictures.kept, camera)
    return Snapshot(found.data, found.at, Origin.KEPT) if found else None


async def _in_the_thread(work: Any, *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(_thread, work, *arguments)


class _Shared:
    """Work that is done once for all who ask for it meanwhile. It goes on when one of them gives up."""

    def __init__(self) -> None:
        self._running: dict[object, asyncio.Task[Any]] = {}

    async def done(self, what: object, work: Coroutine[Any, Any, T]) -> T:
        loop = asyncio.get_running_loop()
        task = self._running.get(what)
        if task is None or task.get_loop() is not loop:
            task = self._running[what] = loop.create_task(work, name=f"snapshot {what}")
            task.add_done_callback(lambda ended: self._forget(what, ended))
        else:
            work.close()
        result: T = await asyncio.shield(task)
        return result

    def _forget(self, what: object, ended: asyncio.Task[Any]) -> None:
        if self._running.get(what) is ended:
            del self._running[what]
        if not ended.cancelled():
            ended.exception()  # told to whoever waited, if anybody still does


_shared = _Shared()


# --- Of a stream ------------------------------------------------------------------------------------------------------
_decoded: WeakKeyDictionary[Relay, tuple[int, bytes]] = WeakKeyDictionary()  # the number of the picture, and its JPEG


def _best(camera: int) -> Relay | None:
    """The largest stream of this camera that runs in this process and is not made from another here."""
    running = [
        relay
        for stream, relay in relays.of(camera).items()
        if "~" not in stream and relay.init is not None and relay.newest_key() is not None
    ]
    return max(running, key=lambda each: each.init.track.width if each.init else 0, default=None)


async def _of_stream(camera: int) -> Snapshot | None:
    relay = _best(camera)
    newest = relay.newest_key() if relay is not None else None
    if relay is None or newest is None or time.time() - newest[1].received > FRESH_SECONDS:
        return None
    try:
        return await _shared.done(("stream", camera), _decode(relay))
    except NoPicture as error:
        log.info("a picture cannot be decoded: %s", error, extra={"stream": relay.name})
        return None


async def _decode(relay: Relay) -> Snapshot:
    newest, init = relay.newest_key(), relay.init
    if newest is None or init is None:
        raise NoPicture("the stream has just ended")
    number, piece = newest
    known = _decoded.get(relay)
    if known is None or known[0] != number:
        known = number, await _in_the_thread(jpeg_of, init.track, piece.content)
        _decoded[relay] = known
    return Snapshot(known[1], piece.received, Origin.STREAM)


def keep_newest(camera: int, stream: str, relay: Relay) -> Coroutine[Any, Any, None] | None:
    """Keep the newest picture of a stream on disk; the relay asks for it now and then, and before it forgets it."""
    newest, init = relay.newest_key(), relay.init
    if "~" in stream or newest is None or init is None:
        return None
    _, piece = newest
    return keep(camera, init.track, piece.content, piece.received)


async def keep(camera: int, track: VideoTrack, data: bytes, at: float) -> None:
    """Keep a coded picture as the last of its camera. Never raises: it is only something to look at meanwhile."""
    try:
        made = await _in_the_thread(jpeg_of, track, data, KEPT_WIDTH)
        if await Camera.objects.filter(pk=camera).aexists():  # it may just have been removed
            await asyncio.to_thread(pictures.keep, camera, made, at)
    except (NoPicture, OSError, DatabaseError) as error:
        log.warning("the last picture of a camera is not kept: %s", error, extra={"camera": camera})


# --- Of the device ----------------------------------------------------------------------------------------------------
_answered: dict[int, tuple[float, Snapshot | DeviceError]] = {}  # camera → when it was asked, and what it gave


async def of_device(camera: Camera) -> Snapshot | None:
    """A picture that the device makes now; None where it cannot."""
    driver = driver_for(camera.device)
    if Capability.SNAPSHOT not in driver.capabilities:
        return None
    before = _answered.get(camera.pk)
    if before is not None and 0 <= time.monotonic() - before[0] < DEVICE_SECONDS:
        if isinstance(before[1], DeviceError):
            raise before[1]
        return before[1]
    return await _shared.done(("device", camera.pk), _ask(camera))


async def _ask(camera: Camera) -> Snapshot:
    driver = driver_for(camera.device)
    began = time.monotonic()
    answer: Snapshot | DeviceError
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            data = await driver.snapshot(Gateway(camera.device), camera)
        answer = Snapshot(jpeg.repair(data).data, time.time(), Origin.DEVICE)
    except TimeoutError:
        answer = NoAnswer(f"{camera.device} gave no picture within {ANSWER_SECONDS:.0f} s. Try again in a moment.")
    except Malformed as error:
        answer = WrongAnswer(f"{camera.device} gave something that is no picture: {error}. Try again in a moment.")
    except DeviceError as error:
        answer = error
    _answered[camera.pk] = began, answer
    asyncio.get_running_loop().call_later(DEVICE_SECONDS, _forget_answer, camera.pk, began)
    if isinstance(answer, DeviceError):
        raise answer
    try:
        made = await made_smaller(answer.data, KEPT_WIDTH)
        await asyncio.to_thread(pictures.keep, camera.pk, made, answer.at)
    except (NoPicture, OSError) as error:
        log.warning("the last picture of a camera is not kept: %s", error, extra={"camera": camera.pk})
    return answer


def _forget_answer(camera: int, began: float) -> None:
    if camera in _answered and _answered[camera][0] == began:
        del _answered[camera]


relays.on_picture = keep_newest
