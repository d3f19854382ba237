"""How a device is and was, what it keeps of itself, who uses it; recording, restarting; and what happened."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.db.models import Q
from django.http import HttpRequest
from ninja import Field, Query, Schema, Status

from accounts import audit
from accounts.api_base import Body, Bool, Moment, Page, Paging, paged
from accounts.guards import endpoint, thing_for
from accounts.policy import Action
from accounts.problems import Problem
from devices import care, passwords, polling, trust, uids
from devices.api.routing import device_to_talk_to, router
from devices.families import driver_for
from devices.families.base import LogEntry, Store
from devices.gateway import Gateway
from devices.models import Device, Event, Sample
from devices.working import to_the_end


# --- Status and history -----------------------------------------------------------------------------------------------
class SampleOut(Schema):
    at: datetime
    state: str
    facts: dict[str, Any]


class StatusOut(Schema):
    state: str
    last_seen: datetime | None
    last_error: str
    problems: list[str] = Field(description="Sentences; any of them makes the device degraded.")
    now: dict[str, Any] = Field(description="What it told at the last look; null is what it did not tell.")
    about: dict[str, Any] = Field(description="What it told of itself when it was last identified.")
    history: Page[SampleOut] = Field(description="At each change, and now and then in between; newest first.")


class Period(Schema):
    since: Moment | None = None
    until: Moment | None = None

    def of(self, name: str = "at") -> Q:
        q = Q()
        if self.since is not None:
            q &= Q(**{f"{name}__gte": self.since})
        if self.until is not None:
            q &= Q(**{f"{name}__lt": self.until})
        return q


@router.get("devices/{int:device_id}/status", response=StatusOut)
@endpoint(Action.WATCH)
def get_status(request: HttpRequest, device_id: int, period: Query[Period], paging: Query[Paging]) -> dict[str, Any]:
    """What the last look at the device found, and its history. (`POST devices/{id}/poll` looks now.)"""
    device = thing_for(request, Device, Action.WATCH, pk=device_id)
    memory = polling.remembered([device.pk]).get(device.pk)
    status = dict(device.status)
    now = {**(status.pop("now", None) or {}), **(memory.fleeting if memory else {})}
    problems = status.pop("problems", None) or []
    return {
        "state": device.state,
        "last_seen": polling.last_seen(device, memory),
        "last_error": device.last_error,
        "problems": problems,
        "now": now,
        "about": status,
        "history": paged(Sample.objects.filter(period.of(), device=device), paging),
    }


# --- What the device itself keeps -------------------------------------------------------------------------------------
class LogEntryOut(Schema):
    number: int | None
    at: str | None = Field(description="The device's local time.")
    utc: datetime | None = Field(description="Only where the device tells its zone.")
    code: str
    text: str


class StoreOut(Schema):
    name: str
    kind: str
    present: bool | None
    size_gb: float | None
    free_gb: float | None
    state: str
    oldest: str | None
    newest: str | None


class LogFilter(Schema):
    search: str = Field("", max_length=100, description="Only entries with this text, time or code.")


class UseOut(Schema):
    mode: str
    camera: int | None = Field(description="The number of the camera whose picture it is.")
    holder: str = Field(description="The process that holds it.")
    since: datetime


class SessionOut(Schema):
    kind: str
    since: datetime
    uses: list[UseOut]


@router.get("devices/{int:device_id}/log", response=Page[LogEntryOut])
@endpoint(Action.CONFIGURE)
async def read_log(
    request: HttpRequest, device_id: int, wanted: Query[LogFilter], paging: Query[Paging]
) -> dict[str, Any]:
    """The device's own log, read now, newest first."""
    device = await device_to_talk_to(request, Action.CONFIGURE, device_id)
    entries = await driver_for(device).log(Gateway(device))
    return paged([entry for entry in entries if _says(entry, wanted.search)], paging)


def _says(entry: LogEntry, search: str) -> bool:
    return search.casefold() in f"{entry.at or ''} {entry.code} {entry.text}".casefold()


@router.get("devices/{int:device_id}/storage", response=Page[StoreOut])
@endpoint(Action.WATCH)
async def read_storage(request: HttpRequest, device_id: int, paging: Query[Paging]) -> dict[str, Any]:
    """Its cards or disks, asked now."""
    device = await device_to_talk_to(request, Action.WATCH, device_id)
    stores: list[Store] = await driver_for(device).storage(Gateway(device))
    return paged(stores, paging)


@router.get("devices/{int:device_id}/sessions", response=Page[SessionOut])
@endpoint(Action.CONFIGURE)
async def list_sessions(request: HttpRequest, device_id: int, paging: Query[Paging]) -> dict[str, Any]:
    """The places on the device that we hold: what for, since when, and in which process. `devices/{id}/status` tells
    how many the device has given to everybody, where it tells that."""
    device = await sync_to_async(thing_for)(request, Device, Action.CONFIGURE, pk=device_id)
    return paged([_session(held) for held in await uids.held(device.pk)], paging)


def _session(held: uids.Held) -> dict[str, Any]:
    uses = [
        {"mode": use.mode, "camera": use.camera or None, "holder": use.holder, "since": _moment(use.since)}
        for use in held.uses
    ]
    return {"kind": held.kind, "since": _moment(held.since), "uses": uses}


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# --- What it is told to do --------------------------------------------------------------------------------------------
class RecordingIn(Body):
    on: Bool


class RecordingOut(Schema):
    on: bool


class Confirmed(Body):
    confirm: Bool = Field(False, description="Needed; without it, what would happen is answered.")


class PasswordIn(Body):
    password: str = Field(min_length=1, max_length=128, description="The new one; write only.")


@router.post("devices/{int:device_id}/recording", response=RecordingOut)
@endpoint(Action.RECORD)
async def record(request: HttpRequest, device_id: int, body: RecordingIn) -> dict[str, Any]:
    """Starts or stops recording on the device."""
    device = await device_to_talk_to(request, Action.RECORD, device_id)
    return await to_the_end(_record(request, device, body.on))


async def _record(request: HttpRequest, device: Device, on: bool) -> dict[str, Any]:
    action = "start recording" if on else "stop recording"
    try:
        await driver_for(device).record(Gateway(device), on)
    except Problem as problem:
        await audit.arecord(request, action, device, result="failed", error=problem.sentence)
        raise
    await audit.arecord(request, action, device)
    await sync_to_async(polling.look_soon)(device)
    return {"on": on}


@router.post("devices/{int:device_id}/restart", response={204: None})
@endpoint(Action.CONFIGURE)
async def restart(request: HttpRequest, device_id: int, body: Confirmed | None = None) -> Status[None]:
    """Restarts the device; events tell when it is back, or that it did not come back. 409 with what it does to people
    while `confirm` is not true."""
    device = await device_to_talk_to(request, Action.CONFIGURE, device_id)
    await care.restart(request, device, confirmed=bool(body and body.confirm))
    return Status(204, None)


@router.post("devices/{int:device_id}/factory-reset", response={204: None})
@endpoint(Action.CONFIGURE)
async def factory_reset(request: HttpRequest, device_id: int, body: Confirmed | None = None) -> Status[None]:
    """Puts the device back to its factory settings, where its document has a way to; 422 elsewhere. 409 with what it
    does to people while `confirm` is not true."""
    device = await device_to_talk_to(request, Action.CONFIGURE, device_id)
    await care.factory_reset(request, device, confirmed=bool(body and body.confirm))
    return Status(204, None)


@router.post("devices/{int:device_id}/password", response={204: None})
@endpoint(Action.CONFIGURE)
async def change_password(request: HttpRequest, device_id: int, body: PasswordIn) -> Status[None]:
    """Changes the password at the device and here, together; 422 where the document has no way to."""
    device = await device_to_talk_to(request, Action.CONFIGURE, device_id)
    await passwords.change(request, device, body.password)
    return Status(204, None)


@router.post("devices/{int:device_id}/certificate", response={204: None})
@endpoint(Action.CONFIGURE)
def trust_certificate(request: HttpRequest, device_id: int) -> Status[None]:
    """Trust the certificate that was refused last (option `tls: pin`)."""
    trust.trust_new_certificate(request, thing_for(request, Device, Action.CONFIGURE, pk=device_id))
    return Status(204, None)


@router.post("devices/{int:device_id}/replacement", response={204: None})
@endpoint(Action.CONFIGURE)
def accept_replacement(request: HttpRequest, device_id: int) -> Status[None]:
    """Take the device that answers now for this one."""
    device = thing_for(request, Device, Action.CONFIGURE, pk=device_id)
    trust.accept_replacement(request, device)
    polling.look_soon(device)
    return Status(204, None)


# --- Events -----------------------------------------------------------------------------------------------------------
class EventOut(Schema):
    id: int
    at: datetime
    type: str
    device: int | None = Field(description="null once the device was removed")
    device_name: str
    site: int | None
    text: str
    detail: dict[str, Any]


class EventFilter(Period):
    device: int | None = None
    type: str = Field("", max_length=40)


def event_out(event: Event) -> dict[str, Any]:
    same = {name: getattr(event, name) for name in ("at", "type", "text", "detail")}
    return {
        **same,
        "id": event.pk,
        "device": event.device_id,
        "device_name": event.name,
        "site": event.site_id,
    }


@router.get("events", response=Page[EventOut])
@endpoint(Action.WATCH)
def list_events(request: HttpRequest, wanted: Query[EventFilter], paging: Query[Paging]) -> dict[str, Any]:
    """What happened to the devices the caller may see, newest first."""
    found = Event.objects.visible_to(request.user).filter(wanted.of())
    if wanted.device is not None:
        found = found.filter(device=wanted.device)
    if wanted.type:
        found = found.filter(type=wanted.type)
    return paged(found, paging, event_out)
