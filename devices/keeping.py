"""Keeps leased transmissions alive on their devices, and stops those whose holder has gone. Run by Celery.

No database here: the task hands in the devices. Each lease is claimed in Redis, so any number of workers may run this
at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from devices import uids
from devices.errors import DeviceError, NoCoordination
from devices.families import driver_for
from devices.gateway import Gateway
from devices.models import Device
from devices.uids import UidLease

logger = logging.getLogger(__name__)

COMMANDS_AT_ONCE = 50


async def keep(dead: list[UidLease], quiet: list[UidLease], devices: Mapping[int, Device]) -> None:
    """Stop what `uids.claim` found dead and keep alive what it found quiet."""
    gate = asyncio.Semaphore(COMMANDS_AT_ONCE)

    async def one(lease: UidLease, stop: bool) -> None:
        device = devices.get(lease.device)
        async with gate:
            try:
                if device is None:
                    await uids.forget(lease, "The device was removed.")
                elif stop:
                    await _stop(device, lease)
                else:
                    await _keep_alive(device, lease)
            except NoCoordination:
                logger.warning("Redis went away while keeping transmissions alive", extra={"device": lease.device})

    # Parts before wholes: a part is stopped with the UID of its whole, and the last one gives that back.
    await asyncio.gather(
        *(one(lease, True) for lease in dead if not lease.shared), *(one(lease, False) for lease in quiet)
    )
    await asyncio.gather(*(one(lease, True) for lease in dead if lease.shared))


async def _stop(device: Device, lease: UidLease) -> None:
    if lease.shared and await uids.find(lease.id) is None:
        return  # its last part has given it back meanwhile
    try:
        await driver_for(device).stop(Gateway(device), lease)
    except NoCoordination:
        raise
    except DeviceError as error:
        if not uids.ends_the_lease(error) and await uids.count_stop(lease) < uids.STOPS_TRIED:
            await uids.retry_stop(lease)
            return
    await uids.forget(lease, "Its holder did not renew it in time, so the transmission was stopped.")
    logger.info("released a transmission whose holder has gone", extra={"device": device.pk, "mode": lease.mode})


async def _keep_alive(device: Device, lease: UidLease) -> None:
    try:
        await driver_for(device).keep_alive(Gateway(device), lease)
    except NoCoordination:
        raise
    except DeviceError as error:
        if uids.ends_the_lease(error):
            logger.warning(
                "the device ended a transmission: %s", error, extra={"device": device.pk, "mode": lease.mode}
            )
            await uids.forget(lease, str(error))
        else:
            await uids.kept_alive(lease, again_in=uids.RETRY_SECONDS)
        return
    await uids.kept_alive(lease, again_in=lease.keep_alive_seconds)


async def end_all(device: Device) -> None:
    """Stop everything we hold on a device that is being removed; holders are told. Parts before wholes."""
    ours = [lease for lease in await uids.leases() if lease.device == device.pk]
    for some in ([lease for lease in ours if not lease.shared], [lease for lease in ours if lease.shared]):
        await asyncio.gather(*(_end(device, lease) for lease in some))


async def _end(device: Device, lease: UidLease) -> None:
    try:
        await driver_for(device).stop(Gateway(device), lease)
    except NoCoordination:
        raise
    except DeviceError as error:
        logger.warning("a transmission of a removed device ends by itself: %s", error, extra={"device": device.pk})
    await uids.forget(lease, "The device was removed.")
