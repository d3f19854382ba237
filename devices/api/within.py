"""What a device keeps and drives itself: its users, its triggers and switches, its serial port."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Field, Query, Schema, Status

from accounts.api_base import Body, Bool, Page, Paging, paged
from accounts.guards import endpoint
from accounts.policy import Action
from devices import care
from devices.api.routing import device_to_talk_to, router


# --- Users ------------------------------------------------------------------------------------------------------------
class DeviceUserOut(Schema):
    name: str
    rights: str = Field(description="A value of the document.")
    rights_label: str


class DeviceUsersOut(Page[DeviceUserOut]):
    rights: dict[str, str] = Field(description="What a user may be allowed: value → label.")


class DeviceUserIn(Body):
    name: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=128, description="Write only.")
    rights: str = Field(max_length=20, description="One of the values that GET lists.")


@router.get("devices/{int:device_id}/users", response=DeviceUsersOut)
@endpoint(Action.CONFIGURE)
async def list_device_users(request: HttpRequest, device_id: int, paging: Query[Paging]) -> dict[str, Any]:
    """The users the device itself keeps, read now; no passwords. 422 where the document has no such list."""
    device = await device_to_talk_to(request, Action.CONFIGURE, device_id)
    return {**paged(await care.users(device), paging), "rights": care.user_rights(device)}


@router.post("devices/{int:device_id}/users", response=DeviceUsersOut)
@endpoint(Action.CONFIGURE)
async def set_device_user(request: HttpRequest, device_id: int, body: DeviceUserIn) -> dict[str, Any]:
    """Adds a user, or changes the one of that name; answers all users then. 409 for the user we log in with: its
    password changes with `devices/{id}/password`."""
    device = await device_to_talk_to(request, Action.CONFIGURE, device_id)
    found = await care.set_user(request, device, body.name, body.password, body.rights)
    return {"count": len(found), "results": found, "rights": care.user_rights(device)}


@router.delete("devices/{int:device_id}/users/{path:name}", response={204: None})
@endpoint(Action.CONFIGURE)
async def remove_device_user(request: HttpRequest, device_id: int, name: str) -> Status[None]:
    device = await device_to_talk_to(request, Action.CONFIGURE, device_id)
    await care.remove_user(request, device, name)
    return Status(204, None)


# --- Switches and the serial port -------------------------------------------------------------------------------------
class SwitchOut(Schema):
    id: str
    label: str
    on: bool | None = Field(description="Null where the device does not tell.")


class SwitchIn(Body):
    on: Bool


class SerialIn(Body):
    data: str = Field(min_length=1, max_length=256, description="Sent as it is, line ends and all.")


@router.get("devices/{int:device_id}/switches", response=Page[SwitchOut])
@endpoint(Action.CONFIGURE)
async def list_switches(request: HttpRequest, device_id: int, paging: Query[Paging]) -> dict[str, Any]:
    """Its triggers and the like, asked now. 422 where the document has none."""
    device = await device_to_talk_to(request, Action.CONFIGURE, device_id)
    return paged(await care.switches(device), paging)


@router.post("devices/{int:device_id}/switches/{str:switch}", response=Page[SwitchOut])
@endpoint(Action.CONFIGURE)
async def set_switch(request: HttpRequest, device_id: int, switch: str, body: SwitchIn) -> dict[str, Any]:
    """Switches one of them, and answers how all are then."""
    device = await device_to_talk_to(request, Action.CONFIGURE, device_id)
    found = await care.switch(request, device, switch, body.on)
    return {"count": len(found), "results": found}


@router.post("devices/{int:device_id}/serial", response={204: None})
@endpoint(Action.CONFIGURE)
async def send_serial(request: HttpRequest, device_id: int, body: SerialIn) -> Status[None]:
    """Sends out of the device's serial port. The device does not tell what became of it."""
    device = await device_to_talk_to(request, Action.CONFIGURE, device_id)
    await care.send_serial(request, device, body.data)
    return Status(204, None)
