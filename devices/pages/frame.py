"""What all pages of one device share: its name and state above, and a tab for each thing it has and one may see."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from django.http import Http404, HttpRequest

from accounts.guards import thing_for
from accounts.policy import Action, may
from accounts.problems import Problem
from devices import polling
from devices.errors import NotSupported
from devices.families import driver_for
from devices.families.base import Capability, Driver
from devices.models import Device

T = TypeVar("T")


@dataclass(frozen=True)
class Tab:
    label: str
    icon: str
    view: str
    action: Action
    needs: Capability | None = None  # what the device must have


TABS = (
    Tab("Overview", "info", "device", Action.WATCH),
    Tab("Cameras", "video", "device-cameras", Action.WATCH),
    Tab("Settings", "sliders-horizontal", "device-settings", Action.CONFIGURE, Capability.SETTINGS),
    Tab("History", "history", "device-history", Action.WATCH),
    Tab("Users", "user", "device-users", Action.CONFIGURE, Capability.USERS),
    Tab("Outputs", "power", "device-switches", Action.CONFIGURE, Capability.SWITCHES),
    Tab("Log", "scroll-text", "device-log", Action.CONFIGURE, Capability.LOG),
    Tab("Storage", "hard-drive", "device-storage", Action.WATCH, Capability.STORAGE),
    Tab("Sessions", "users", "device-sessions", Action.CONFIGURE, Capability.LIVE),
    Tab("Exchanges", "messages-square", "device-exchanges", Action.CONSOLE),
    Tab("Console", "terminal", "device-console", Action.CONSOLE),
)
WITHOUT_DRIVER = ("device", "device-history")


def device_for(request: HttpRequest, device_id: int, action: Action, needs: Capability | None = None) -> Device:
    """The device, if its user may do this with it and it has what the page is about; with all that its pages show."""
    thing_for(request, Device, action, pk=device_id)
    device = Device.objects.select_related("site").prefetch_related("tags", "cameras").get(pk=device_id)
    if needs is not None:
        driver = driver_of(device)
        if driver is None or needs not in driver.capabilities:
            raise Http404(f"{device.name} has nothing of this kind.")
    return device


async def ask(device: Device, answering: Coroutine[Any, Any, T]) -> T:
    """Await what talks to a device, unless we switched it off."""
    if not device.enabled:
        answering.close()
        raise Problem(409, f"{device.name} is disabled. Enable it first.")
    return await answering


def driver_of(device: Device) -> Driver | None:
    """None for a family whose driver is not there (any more): such a device can still be looked at and removed."""
    try:
        return driver_for(device)
    except NotSupported:
        return None


def framed(request: HttpRequest, device: Device, tab: str, **more: Any) -> dict[str, Any]:
    """The context of a device's page. `tab` is the name of the view whose tab is marked."""
    driver = driver_of(device)
    capabilities = driver.capabilities if driver else frozenset()
    memory = polling.remembered([device.pk]).get(device.pk)
    allowed = {action: may(request.user, action, device) for action in {each.action for each in TABS}}
    return {
        "device": device,
        "driver": driver,
        "capabilities": capabilities,
        "last_seen": polling.last_seen(device, memory),
        "fleeting": memory.fleeting if memory else {},
        "may_configure": may(request.user, Action.CONFIGURE, device),
        "tabs": [
            {"label": each.label, "icon": each.icon, "view": f"devices:{each.view}", "current": each.view == tab}
            for each in TABS
            if allowed[each.action]
            and (each.needs is None or each.needs in capabilities)
            and (driver is not None or each.view in WITHOUT_DRIVER)
        ],
        **more,
    }


def is_part(request: HttpRequest) -> bool:
    """Does a page ask for the part of it that comes from the device itself? Its frame is there at once, without it."""
    return request.headers.get("HX-Request") == "true"
