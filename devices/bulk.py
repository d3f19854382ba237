"""One action on many devices: each is done or refused by itself, and every one is answered for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.policy import Action, may
from accounts.problems import Problem
from devices import fleet, polling, trust
from devices.cgi import Host
from devices.families import driver_for
from devices.gateway import Gateway
from devices.models import Device
from devices.working import bad_values_refused, to_the_end

MOST = 1000
MOST_ASKED = 200  # of the actions that talk to devices
AT_ONCE = 20
ASK_SECONDS = 60.0


@dataclass(frozen=True)
class Done:
    device: int
    ok: bool
    error: str = ""


@dataclass(frozen=True)
class Wish:
    """What shall be done, and with what."""

    action: str
    site: int | str | None = None
    server: str = ""
    tags: tuple[str, ...] = ()


ROWS = ("enable", "disable", "move", "tag", "untag")  # touch our rows only
ASKED = ("poll", "set_clock", "set_ntp")  # talk to the devices


async def run(request: HttpRequest, ids: Sequence[int], wish: Wish) -> list[Done]:
    _check(ids, wish)
    return await to_the_end(_run(request, list(dict.fromkeys(ids)), wish))


def _check(ids: Sequence[int], wish: Wish) -> None:
    if wish.action not in (*ROWS, *ASKED):
        raise Problem(400, f"The action must be one of {', '.join((*ROWS, *ASKED))}.", "action")
    most = MOST if wish.action in ROWS else MOST_ASKED
    if not 1 <= len(ids) <= most:
        raise Problem(400, f"Name from 1 to {most} devices.", "devices")
    if wish.action == "move" and wish.site is None:
        raise Problem(400, "Say which site to move them to.", "site")
    if wish.action in ("tag", "untag") and not wish.tags:
        raise Problem(400, "Say which tags.", "tags")
    if wish.action == "set_ntp":
        with bad_values_refused():
            Host(name="server", max_length=253).write(wish.server)


async def _run(request: HttpRequest, ids: list[int], wish: Wish) -> list[Done]:
    gate = asyncio.Semaphore(AT_ONCE if wish.action in ASKED else 1)  # one writer at a time is as fast

    async def one(device_id: int) -> Done:
        async with gate:
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    await _do(request, device_id, wish)
            except Problem as problem:
                return Done(device_id, False, problem.sentence)
            except PermissionDenied as denied:
                return Done(device_id, False, str(denied))
            except TimeoutError:
                return Done(device_id, False, f"This took more than {ASK_SECONDS:.0f} s.")
            return Done(device_id, True)

    return list(await asyncio.gather(*map(one, ids)))


async def _do(request: HttpRequest, device_id: int, wish: Wish) -> None:
    device = await sync_to_async(_device)(request, device_id)
    if wish.action in ROWS:
        await sync_to_async(_change_row)(request, device, wish)
        return
    if not device.enabled:
        raise Problem(409, f"{device.name} is disabled. Enable it first.")
    asking: dict[str, Callable[[], Awaitable[None]]] = {
        "poll": lambda: polling.look_now(device),
        "set_clock": lambda: set_clock(request, device),
        "set_ntp": lambda: set_ntp(request, device, wish.server),
    }
    await asking[wish.action]()


def _device(request: HttpRequest, device_id: int) -> Device:
    device = Device.objects.visible_to(request.user).select_related("site").filter(pk=device_id).first()
    if device is None:
        raise Problem(404, "There is no such device.")
    if not may(request.user, Action.CONFIGURE, device):
        raise PermissionDenied(f"You may not configure {device.name}.")
    return device


def _change_row(request: HttpRequest, device: Device, wish: Wish) -> None:
    changes: dict[str, Any]
    tags = {tag.name for tag in device.tags.all()}
    match wish.action:
        case "enable" | "disable":
            changes = {"enabled": wish.action == "enable"}
        case "move":
            changes = {"site": wish.site}
        case "tag":
            changes = {"tags": sorted(tags | set(fleet.checked_tags(wish.tags)))}
        case _:
            changes = {"tags": sorted(tags - set(fleet.checked_tags(wish.tags)))}
    fleet.change_device(request, device, changes)


async def set_clock(request: HttpRequest, device: Device) -> None:
    """Set the device's clock to ours."""
    trust.refuse_writing(device)
    with bad_values_refused():
        await driver_for(device).set_clock(Gateway(device), timezone.now())
    await audit.arecord(request, "set clock", device)


async def set_ntp(request: HttpRequest, device: Device, server: str) -> None:
    trust.refuse_writing(device)
    with bad_values_refused():
        await driver_for(device).set_ntp(Gateway(device), server)
    await audit.arecord(request, "set time server", device, server=server)
