"""What a device writes beside its pictures, handed on as it changes.

The pictures do not wait for it. However often it changes, it is handed on once in EVERY seconds: each change of a
switch, and of where the camera looks the newest. What stays the same is said again after AGAIN seconds, since a look at
the device that began before a change may have been kept after it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from devices import beside
from devices.errors import NoCoordination
from devices.families import driver_for
from devices.families.base import Beside
from devices.models import Camera

logger = logging.getLogger(__name__)

EVERY = 0.5
AGAIN = 10.0
WAITING = 16  # changes; of more in one stretch the oldest are left out


class Telling:
    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._driver = driver_for(camera.device)
        self._clock = asyncio.get_running_loop().time
        self._last: Beside | None = None
        self._again = 0.0
        self._waiting: deque[Beside] = deque(maxlen=WAITING)
        self._task: asyncio.Task[None] | None = None

    def take(self, headers: Mapping[str, str]) -> None:
        """Those of one picture."""
        told = self._driver.beside(headers)
        if told is None or (told == self._last and self._clock() < self._again):
            return
        if self._waiting and self._waiting[-1].switches == told.switches:
            self._waiting.pop()  # it has only turned further
        self._waiting.append(told)
        self._last, self._again = told, self._clock() + AGAIN
        if self._task is None:
            self._task = asyncio.create_task(self._tell(), name="beside pictures")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._last is not None and self._last.position is not None:
            await beside.forget(self._camera)

    async def _tell(self) -> None:
        try:
            while self._waiting:
                told = self._waiting.popleft()
                try:
                    await beside.keep(self._camera, told)
                except NoCoordination:
                    pass  # it is said again
                except Exception:
                    logger.exception("what is told beside pictures could not be kept")
                await asyncio.sleep(EVERY)
        finally:
            self._task = None


@asynccontextmanager
async def telling(camera: Camera) -> AsyncIterator[Telling]:
    told = Telling(camera)
    try:
        yield told
    finally:
        await told.close()
