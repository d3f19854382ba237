"""Sites and devices: the rows, and asking a device how it is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja import Field, Query, Schema, Status

from accounts.api_base import Body, Bool, Int, Page, Paging, paged
from accounts.guards import endpoint, thing_for
from accounts.policy import Action
from accounts.problems import Problem
from devices import fleet, polling
from devices.api.routing import router
from devices.families import driver_for
from devices.models import Device, Site


# --- Sites ------------------------------------------------------------------------------------------------------------
class SiteIn(Body):
    name: str = Field(max_length=100)


class SiteOut(Schema):
    id: int
    name: str


@router.get("sites", response=Page[SiteOut])
@endpoint(Action.WATCH)
def list_sites(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    return paged(Site.objects.visible_to(request.user), paging)


@router.post("sites", response={201: SiteOut})
@endpoint(Action.CONFIGURE)
def add_site(request: HttpRequest, body: SiteIn) -> Status[Site]:
    return Status(201, fleet.add_site(request, body.name))


@router.get("sites/{int:site_id}", response=SiteOut)
@endpoint(Action.WATCH)
def get_site(request: HttpRequest, site_id: int) -> Site:
    return thing_for(request, Site, Action.WATCH, pk=site_id)


@router.patch("sites/{int:site_id}", response=SiteOut)
@endpoint(Action.CONFIGURE)
def rename_site(request: HttpRequest, site_id: int, body: SiteIn) -> Site:
    return fleet.rename_site(request, thing_for(request, Site, Action.CONFIGURE, pk=site_id), body.name)


class SiteRemoval(Schema):
    move_to: int | None = Field(None, description="The site its devices go to; needed when it has any.")


@router.delete("sites/{int:site_id}", response={204: None})
@endpoint(Action.CONFIGURE)
def remove_site(request: HttpRequest, site_id: int, how: Query[SiteRemoval]) -> Status[None]:
    """409 for a site with devices while it is not said where they go. The grants on the site end with it."""
    fleet.remove_site(request, thing_for(request, Site, Action.CONFIGURE, pk=site_id), how.move_to)
    return Status(204, None)


# --- Devices ----------------------------------------------------------------------------------------------------------
class DeviceIn(Body):
    name: str = Field("", max_length=100, description="What people call it; its host if left out.")
    family: str = Field(max_length=10)
    scheme: str = Field("http", max_length=5)
    host: str = Field(max_length=255)
    port: Int | None = Field(None, description="80 or 443 if left out, as the scheme has it.")
    username: str = Field("", max_length=64)
    password: str = Field("", max_length=128, description="Write only.")
    site: Int | str | None = Field(None, description="A site's id or name.")
    options: dict[str, Any] = Field({}, description="What the family knows; see `families`.")
    enabled: Bool = True
    tags: list[str] = Field([], max_length=fleet.MOST_TAGS, description="Words of yours to find it by.")


class DeviceChange(Body):
    """Only what is given changes."""

    name: str = Field("", max_length=100)
    family: str = Field("", max_length=10)
    scheme: str = Field("", max_length=5)
    host: str = Field("", max_length=255)
    port: Int = 0
    username: str = Field("", max_length=64)
    password: str = Field("", max_length=128, description="Write only.")
    site: Int | str = Field("", description="A site's id or name.")
    options: dict[str, Any] = Field({}, description="Replaces all options.")
    enabled: Bool = True
    tags: list[str] = Field([], max_length=fleet.MOST_TAGS, description="Replaces all tags.")


class DeviceOut(Schema):
    id: int
    name: str
    family: str
    scheme: str
    host: str
    port: int
    username: str
    site: int
    site_name: str
    options: dict[str, Any]
    enabled: bool
    simulated: bool
    tags: list[str]
    state: str
    model: str | None
    serial: str | None
    mac: str | None
    firmware: str | None
    last_seen: datetime | None
    last_error: str
    back_by: datetime | None = Field(description="It restarts, and is expected back until then; null when it does not.")
    capabilities: list[str]
    status: dict[str, Any] = Field(description="What the device last told; null is what it did not tell.")


def device_out(device: Device, memory: polling.Memory | None) -> dict[str, Any]:
    status = dict(device.status)
    if memory is not None and memory.fleeting and "now" in status:
        status["now"] = {**status["now"], **memory.fleeting}
    same = ("name", "family", "scheme", "host", "port", "username", "options", "enabled", "simulated", "state")
    told = ("model", "serial", "mac", "firmware", "last_error", "back_by")
    return {
        **{name: getattr(device, name) for name in (*same, *told)},
        "id": device.pk,
        "site": device.site_id,
        "site_name": device.site.name,
        "tags": [tag.name for tag in device.tags.all()],
        "last_seen": polling.last_seen(device, memory),
        "capabilities": sorted(driver_for(device).capabilities),
        "status": status,
    }


def one_device_out(device: Device) -> dict[str, Any]:
    return device_out(device, polling.remembered([device.pk]).get(device.pk))


class DeviceFilter(Schema):
    search: str = Field("", max_length=100, description="Words of its name, address, model, serial, MAC, site or tags.")
    site: int | None = None
    family: str = Field("", max_length=10)
    state: str = Field("", max_length=12)
    tag: str = Field("", max_length=40)
    enabled: bool | None = None


@router.get("devices", response=Page[DeviceOut])
@endpoint(Action.WATCH)
def list_devices(request: HttpRequest, wanted: Query[DeviceFilter], paging: Query[Paging]) -> dict[str, Any]:
    found = fleet.searched(Device.objects.visible_to(request.user), wanted.search)
    exact = {"site": wanted.site, "family": wanted.family, "state": wanted.state, "enabled": wanted.enabled}
    found = found.filter(**{name: value for name, value in exact.items() if value not in (None, "")})
    if wanted.tag:
        found = found.filter(tags__name=wanted.tag)
    page = paged(found.select_related("site").prefetch_related("tags"), paging)
    memories = polling.remembered([device.pk for device in page["results"]])
    page["results"] = [device_out(device, memories.get(device.pk)) for device in page["results"]]
    return page


@router.post("devices", response={201: DeviceOut})
@endpoint(Action.CONFIGURE)
def add_device(request: HttpRequest, body: DeviceIn) -> Status[dict[str, Any]]:
    return Status(201, one_device_out(fleet.add_device(request, **body.dict())))


@router.get("devices/{int:device_id}", response=DeviceOut)
@endpoint(Action.WATCH)
def get_device(request: HttpRequest, device_id: int) -> dict[str, Any]:
    return one_device_out(thing_for(request, Device, Action.WATCH, pk=device_id))


@router.patch("devices/{int:device_id}", response=DeviceOut)
@endpoint(Action.CONFIGURE)
def change_device(request: HttpRequest, device_id: int, body: DeviceChange) -> dict[str, Any]:
    device = thing_for(request, Device, Action.CONFIGURE, pk=device_id)
    return one_device_out(fleet.change_device(request, device, body.dict(exclude_unset=True)))


@router.delete("devices/{int:device_id}", response={204: None})
@endpoint(Action.CONFIGURE)
def remove_device(request: HttpRequest, device_id: int) -> Status[None]:
    fleet.remove_device(request, thing_for(request, Device, Action.CONFIGURE, pk=device_id))
    return Status(204, None)


@router.post("devices/{int:device_id}/poll", response=DeviceOut)
@endpoint(Action.WATCH)
async def poll_device(request: HttpRequest, device_id: int) -> dict[str, Any]:
    """Ask the device now. 502 when it answers wrongly or refuses, 504 when it does not answer."""
    device = await sync_to_async(thing_for)(request, Device, Action.WATCH, pk=device_id)
    if not device.enabled:
        raise Problem(409, "This device is disabled. Enable it first.")
    await polling.look_now(device)
    return await sync_to_async(lambda: one_device_out(Device.objects.select_related("site").get(pk=device_id)))()
