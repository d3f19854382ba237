"""Changing the password of a device and ours for it together.

The new password is stored beside the old one before the device is told, so that whatever happens in between, one of the
two we have is right. When it stays unclear which, both are kept, and the polling settles it: where the old one is
refused, the new one is tried.
"""

from __future__ import annotations

import copy
import logging

from asgiref.sync import sync_to_async

from accounts import audit
from accounts.audit import By
from accounts.problems import Problem
from devices import events, trust
from devices.errors import Busy, DeviceError, NoCoordination, NotSupported, Refused, Unauthorised
from devices.families import driver_for
from devices.gateway import Gateway
from devices.models import Device
from devices.working import bad_values_refused, changing, to_the_end

logger = logging.getLogger(__name__)

# After these the device has kept its old password, for certain.
_KEPT = (NotSupported, Refused, Busy, Unauthorised, NoCoordination)


async def change(by: By, device: Device, password: str) -> None:
    """Problem 422 where the family's document has no way to; 400 for a password the document does not allow."""
    trust.refuse_writing(device)
    await to_the_end(_change(by, device, password))


async def _change(by: By, device: Device, password: str) -> None:
    async with changing(device):
        await sync_to_async(_remember)(device, password)
        try:
            with bad_values_refused():
                await driver_for(device).change_password(Gateway(device), password)
        except Problem as problem:
            certain = isinstance(problem, _KEPT) or not isinstance(problem, DeviceError)
            if certain or not await _accepts_next(device):
                if certain:
                    await sync_to_async(_remember)(device, "")
                await audit.arecord(by, "change device password", device, result="failed", error=problem.sentence)
                raise
        await sync_to_async(_adopt)(by, device)


async def settle(device: Device) -> bool:
    """The old password was refused: is the new one in force? Then it is ours from now on."""
    if not device.password_next or not await _accepts_next(device):
        return False
    await sync_to_async(_adopt)(None, device)
    return True


async def _accepts_next(device: Device) -> bool:
    changed = copy.copy(device)
    changed.password = device.password_next
    try:
        await driver_for(changed).identify(Gateway(changed))
    except DeviceError:
        return False
    return True


def _remember(device: Device, password: str) -> None:
    device.password_next = password
    device.save(update_fields=["password_next"])


def _adopt(by: By, device: Device) -> None:
    device.password, device.password_next = device.password_next, ""
    device.save(update_fields=["password", "password_next"])
    audit.record(by, "change device password", device)
    events.publish("device.changed", device=device.pk)
