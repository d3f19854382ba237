"""One event loop per worker process, in a thread of its own, for the whole life of the process.

Celery's tasks are plain functions; what they do with many devices at once runs here, so that clients and connections
live from task to task. The loop is made on first use in the process that uses it: after the worker's fork.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}  # process id → loop


def run(coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
    """Run a coroutine on the process's loop and wait for its result; TimeoutError ends it after `seconds`."""
    return asyncio.run_coroutine_threadsafe(asyncio.wait_for(coroutine, seconds), _loop()).result()


def start(coroutine: Coroutine[Any, Any, object]) -> None:
    """Have a coroutine run on the process's loop; nobody waits for it."""
    asyncio.run_coroutine_threadsafe(coroutine, _loop())


def _loop() -> asyncio.AbstractEventLoop:
    with _lock:
        loop = _loops.get(os.getpid())
        if loop is None:
            loop = _loops[os.getpid()] = uvloop.new_event_loop()
            # What is there by now lives as long as the process. Looking through it again and again for garbage would
            # cost more than a tenth of all polling.
            gc.collect()
            gc.freeze()
            threading.Thread(target=loop.run_forever, name="devices", daemon=True).start()
        return loop
