"""Simulators for tests that are not asynchronous: `with running(device): …` runs it on an event loop of its own
thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import TypeVar

from simulators.device import SimulatedDevice

START_SECONDS = 10.0

Device = TypeVar("Device", bound=SimulatedDevice)


@contextlib.contextmanager
def running(device: Device) -> Iterator[Device]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=f"simulated {device.family}", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(device.start(), loop).result(START_SECONDS)
        try:
            yield device
        finally:
            asyncio.run_coroutine_threadsafe(device.stop(), loop).result(START_SECONDS)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_SECONDS)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
