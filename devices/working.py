"""How services do their work with devices: to the end once begun, one change at a time, refusals as Problems."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from accounts.problems import Problem
from devices import leases
from devices.cgi import BadValue
from devices.errors import Busy, NoCoordination
from devices.models import Device

logger = logging.getLogger(__name__)

T = TypeVar("T")

CHANGING_SECONDS = 30.0  # a change whose process died blocks the next for this long at most

# Held here, since the loop keeps only weak references and whoever waited may be gone.
_running: set[asyncio.Task[Any]] = set()


async def to_the_end(coroutine: Coroutine[Any, Any, T]) -> T:
    """Wait for it; should the caller go away meanwhile, it goes on: nothing stays half done for a closed browser."""
    task = asyncio.create_task(coroutine)
    _running.add(task)
    task.add_done_callback(_done)
    return await asyncio.shield(task)


def _done(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled():
        task.exception()  # whoever still waits is told; if nobody does, nobody misses it


@contextmanager
def bad_values_refused(prefix: str = "") -> Iterator[None]:
    """A value the document does not allow becomes a 400 that names its field; nothing was sent."""
    try:
        yield
    except BadValue as error:
        field = f"{prefix}{error.parameter}" if error.parameter else prefix.rstrip(".") or None
        raise Problem(400, str(error), field) from error


def refuse_nested(values: Mapping[str, Any], prefix: str) -> None:
    """Values of commands are texts, numbers and lists of these; nothing else has a spelling of its own."""
    for name, value in values.items():
        if not all(
            isinstance(each, str | int | float | None) for each in (value if isinstance(value, list) else [value])
        ):
            raise Problem(400, f"{name[:40]} must be a text, a number or a list of these.", f"{prefix}{name[:40]}")


@asynccontextmanager
async def changing(device: Device) -> AsyncIterator[None]:
    """Only one change of a device's settings at a time, whichever process makes it."""
    lease = await leases.take(f"settings:{device.pk}", secrets.token_hex(8), CHANGING_SECONDS)
    if lease is None:
        raise Busy(f"Somebody else is changing {device.name} right now. Wait a moment, then look at it again.")
    renewing = asyncio.create_task(_renewed(lease))
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.wait([renewing])
        try:
            await leases.release(lease)
        except NoCoordination:
            logger.warning("the lease of a change ends by itself", extra={"device": device.pk})


async def _renewed(lease: leases.Lease) -> None:
    while True:
        await asyncio.sleep(CHANGING_SECONDS / 3)
        try:
            await leases.renew(lease, CHANGING_SECONDS)
        except NoCoordination:
            continue
