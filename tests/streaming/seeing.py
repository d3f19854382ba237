"""Watching a relay in tests, from a strict simulated device to decoded pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from devices.models import Camera
from streaming.relay import Relays
from streaming.ring import Fragment
from streaming.sources.open import device_source
from streaming.viewer import Init, State, Status, Viewer


def stuck() -> None:
    raise AssertionError("this viewer was not expected to be stuck")


def watch(relays: Relays, camera: Camera, stream: str):
    return relays.watch(camera.pk, stream, device_source(camera.pk, stream), stuck)


async def pieces(viewer: Viewer, count: int, seconds: float = 30) -> tuple[Init, list[Fragment]]:
    """The newest init segment and so many pictures of it."""
    init: Init | None = None
    parts: list[Fragment] = []
    async with asyncio.timeout(seconds):
        while len(parts) < count:
            item = await viewer.next()
            if isinstance(item, Init):
                init, parts = item, []
            elif isinstance(item, Fragment):
                parts.append(item)
    assert init is not None
    return init, parts


async def state(viewer: Viewer, wanted: State) -> Status:
    async with asyncio.timeout(40):
        while True:
            item = await viewer.next()
            if isinstance(item, Status) and item.state is wanted:
                return item


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 — nobody announces it
            await asyncio.sleep(0.01)
