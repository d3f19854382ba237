"""Single pictures, asked for again and again: for cameras that send nothing else, or through a line that lets nothing
else pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from devices.errors import Busy, DeviceError, NoAnswer
from devices.families import driver_for
from devices.families.base import Stream
from devices.gateway import Gateway
from devices.models import Camera
from streaming.media import Unit
from streaming.sources.http_parts import JpegLine

# From the beginning of one to that of the next: as often as leaves the device time for others.
INTERVAL = 1.0
FAILURES = 3  # in a row end the stream


class StillsUpstream:
    def __init__(self, camera: Camera, stream: Stream, on_unit: Callable[[Unit], None]) -> None:
        self.lost = asyncio.Event()
        self.lost_reason = ""
        self._camera = camera
        self._way = stream.transport
        self._line = JpegLine(on_unit)

    def want_sound(self, wanted: bool) -> None:
        pass

    def figures(self) -> dict[str, int]:
        return self._line.figures()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        driver, gateway = driver_for(self._camera.device), Gateway(self._camera.device)
        failures = 0
        while True:
            due = loop.time() + INTERVAL
            try:
                self._line.take(await driver.still(gateway, self._camera, self._way))
                failures = 0
            except (Busy, NoAnswer) as error:
                failures += 1
                if failures >= FAILURES:
                    return self._lose(error)
            except DeviceError as error:
                return self._lose(error)
            await asyncio.sleep(due - loop.time())

    def _lose(self, error: DeviceError) -> None:
        self.lost_reason = str(error)
        self.lost.set()


@asynccontextmanager
async def open_stills(camera: Camera, stream: Stream, on_unit: Callable[[Unit], None]) -> AsyncIterator[StillsUpstream]:
    upstream = StillsUpstream(camera, stream, on_unit)
    running = asyncio.create_task(upstream.run(), name="stills")
    try:
        yield upstream
    finally:
        running.cancel()
        await asyncio.wait([running])
