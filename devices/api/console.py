"""Any command of a device's document by hand, for administrators; and what was last said to a device."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import HttpRequest
from ninja import Field, Query, Schema

from accounts.api_base import Body, Bool, Page, Paging, paged
from accounts.guards import endpoint, thing_for
from accounts.policy import Action
from devices import console, exchanges
from devices.api.routing import device_to_talk_to, router
from devices.models import Device


class CommandIn(Body):
    params: dict[str, Any] = Field(
        {},
        description="As the catalogue has them; see families/{family}/commands. A UID may be left out: one is lent.",
    )
    confirm: Bool = Field(False, description="Needed for a command with a danger.")


class CommandAnswer(Schema):
    status: int = Field(description="The device's HTTP status.")
    fields: dict[str, Any] = Field(description="The documented fields of the reply, typed; null for what is missing.")
    text: str = Field(description="The reply as it came, secrets masked.")
    note: str = Field(
        description="What was done beside it: the UID of a session that was lent for it, what was started first or "
        "stopped again. Empty when nothing was."
    )


class ExchangeOut(Schema):
    at: str
    command: str
    method: str
    target: str
    form: str
    status: int | None
    milliseconds: int
    answer: str
    error: str
    undocumented: bool


@router.post("devices/{int:device_id}/commands/{str:command}", response=CommandAnswer)
@endpoint(Action.CONSOLE)
async def run_command(
    request: HttpRequest, device_id: int, command: str, body: CommandIn | None = None
) -> console.Answer:
    """409 with what it would do to people when it is dangerous and `confirm` is not true; 422 when it is never sent."""
    device = await device_to_talk_to(request, Action.CONSOLE, device_id)
    params, confirmed = (body.params, body.confirm) if body else ({}, False)
    return await console.run(request, device, command, params, confirmed=confirmed)


@router.get("devices/{int:device_id}/exchanges", response=Page[ExchangeOut])
@endpoint(Action.CONSOLE)
def list_exchanges(request: HttpRequest, device_id: int, paging: Query[Paging]) -> dict[str, Any]:
    """What was last said to the device and what it answered, newest first; nothing secret is in it."""
    device = thing_for(request, Device, Action.CONSOLE, pk=device_id)
    return paged(exchanges.recent(device.pk), paging, asdict)
