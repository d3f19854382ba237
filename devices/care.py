"""What a device is told to do beside its settings and its steering: restart, forget all, switch, send, keep users.

What does something to people says so first (`Unconfirmed`) and is done only when it was agreed to. All of it is
audited, failures too; passwords of a device's users go in and never come out. What a family lacks is NotSupported,
before anything is sent.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from asgiref.sync import sync_to_async

from accounts import audit
from accounts.audit import By
from accounts.problems import Problem, Unconfirmed
from devices import history, polling, returning, trust
from devices.errors import NotSupported
from devices.families import driver_for
from devices.families.base import Capability, Switch, User
from devices.gateway import Gateway
from devices.models import Device
from devices.working import bad_values_refused, changing, to_the_end

T = TypeVar("T")


async def _audited(by: By, action: str, device: Device, doing: Awaitable[T], **detail: Any) -> T:
    try:
        with bad_values_refused():
            done = await doing
    except Problem as problem:
        await audit.arecord(by, action, device, result="failed", **detail, error=problem.sentence)
        raise
    await audit.arecord(by, action, device, **detail)
    return done


def _needs(device: Device, capability: Capability, what: str) -> None:
    if capability not in driver_for(device).capabilities:
        raise NotSupported(f"{device.name} cannot {what}; devices of its family do not offer it.")


# --- Restart and factory reset ----------------------------------------------------------------------------------------
def restart_consequence(device: Device) -> str:
    return f"{device.name} will be away for a minute or two; pictures and a running recording end."


def reset_consequence(device: Device) -> str:
    return (
        f"Every setting of {device.name} goes back to how it left the factory, its network address, its users and all "
        "passwords too. It may not be reachable from here afterwards, and then has to be set up on site. Its snapshots "
        "stay here, but cannot be brought back before it is reachable again."
    )


async def restart(by: By, device: Device, *, confirmed: bool) -> None:
    _needs(device, Capability.RESTART, "be restarted from here")
    if not confirmed:
        raise Unconfirmed(restart_consequence(device), "restart it")
    trust.refuse_writing(device)
    await to_the_end(_restart(by, device))


async def _restart(by: By, device: Device) -> None:
    await _audited(by, "restart device", device, driver_for(device).restart(Gateway(device)))
    await sync_to_async(history.happened)("device.restart", device, f"{device.name} was told to restart.")
    await sync_to_async(returning.expect)(device)


async def factory_reset(by: By, device: Device, *, confirmed: bool) -> None:
    _needs(device, Capability.FACTORY_RESET, "be reset from here")
    if not confirmed:
        raise Unconfirmed(reset_consequence(device), "reset it")
    trust.refuse_writing(device)
    await to_the_end(_factory_reset(by, device))


async def _factory_reset(by: By, device: Device) -> None:
    await _audited(by, "reset device", device, driver_for(device).factory_reset(Gateway(device)))
    text = f"{device.name} was told to go back to its factory settings."
    await sync_to_async(history.happened)("device.reset", device, text)
    await sync_to_async(returning.expect)(device)


# --- Users the device keeps -------------------------------------------------------------------------------------------
def user_rights(device: Device) -> dict[str, str]:
    """What a user of this device may be allowed: value → label."""
    return driver_for(device).user_rights()


async def users(device: Device) -> list[User]:
    return await driver_for(device).users(Gateway(device))


async def set_user(by: By, device: Device, name: str, password: str, rights: str) -> list[User]:
    """Add a user or change the one of that name; answers all users then."""
    _needs(device, Capability.USERS, "have users added")
    _refuse_ours(device, name)
    trust.refuse_writing(device)

    async def do() -> list[User]:
        async with changing(device):
            doing = driver_for(device).set_user(Gateway(device), name, password, rights)
            return await _audited(by, "set device user", device, doing, user=name, rights=rights)

    return await to_the_end(do())


async def remove_user(by: By, device: Device, name: str) -> list[User]:
    _needs(device, Capability.USERS, "have users removed")
    _refuse_ours(device, name)
    trust.refuse_writing(device)

    async def do() -> list[User]:
        driver, gateway = driver_for(device), Gateway(device)
        async with changing(device):
            if not any(user.name == name for user in await driver.users(gateway)):
                raise Problem(404, f"{device.name} has no user {name[:40]}.")
            return await _audited(by, "remove device user", device, driver.remove_user(gateway, name), user=name)

    return await to_the_end(do())


def _refuse_ours(device: Device, name: str) -> None:
    """Changed here, our own log-in would no longer fit, and nobody could put it right from here."""
    if name == device.username:
        raise Problem(
            409,
            f"We log in to {device.name} as {name} ourselves. Use «Change its password» instead: it changes "
            "there and here together.",
            "name",
        )


# --- Switches and the serial port -------------------------------------------------------------------------------------
async def switches(device: Device) -> list[Switch]:
    return await driver_for(device).switches(Gateway(device))


async def switch(by: By, device: Device, switch_id: str, on: bool) -> list[Switch]:
    """Answers how all of them are then."""
    _needs(device, Capability.SWITCHES, "be switched")
    trust.refuse_writing(device)

    async def do() -> list[Switch]:
        doing = driver_for(device).switch(Gateway(device), switch_id, on)
        found = await _audited(by, "switch", device, doing, switch=switch_id, on=on)
        await sync_to_async(polling.look_soon)(device)
        return found

    return await to_the_end(do())


async def send_serial(by: By, device: Device, data: str) -> None:
    """Out of the device's serial port, as it is. What hangs on it is told, not checked: nobody can know it."""
    _needs(device, Capability.SERIAL, "send out of a serial port")
    trust.refuse_writing(device)
    doing = driver_for(device).send_serial(Gateway(device), data)
    await to_the_end(_audited(by, "send serial", device, doing, data=data))
