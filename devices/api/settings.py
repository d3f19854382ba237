"""Settings of a device, read and changed now, and its snapshots."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest
from ninja import Field, Query, Schema, Status

from accounts.api_base import Body, Bool, Page, Paging, paged
from accounts.guards import endpoint, thing_for
from accounts.policy import Action
from devices import settings, snapshots
from devices.api.routing import device_to_talk_to, router
from devices.models import Device, Snapshot


# --- Settings ---------------------------------------------------------------------------------------------------------
class GroupOut(Schema):
    id: str
    title: str
    note: str
    danger: str | None = Field(description="What a change does to people; it must then be confirmed.")
    writable: bool


class SettingsOut(Schema):
    values: dict[str, Any] = Field(description="As the device tells them now; null is what it does not tell.")
    schema_: list[dict[str, Any]] = Field(alias="schema", description="What may be written, in the document's words.")


class SettingsIn(Body):
    values: dict[str, Any]
    confirm: Bool = Field(False, description="Needed where the change is dangerous.")


class SettingsChanged(Schema):
    values: dict[str, Any] = Field(description="Read back from the device.")
    changed: dict[str, list[Any]] = Field(description="name → [old, new]")
    differing: dict[str, list[Any]] = Field(description="name → [asked for, got]: the device did something else.")
    moved: dict[str, Any] = Field(description="Where the device is reached from now on, when that changed.")
    snapshot: int | None = Field(description="The snapshot that was taken before; null when nothing was to change.")


@router.get("devices/{int:device_id}/settings", response=Page[GroupOut])
@endpoint(Action.CONFIGURE)
def list_settings(request: HttpRequest, device_id: int, paging: Query[Paging]) -> dict[str, Any]:
    """The groups of settings the device has."""
    return paged(settings.groups(thing_for(request, Device, Action.CONFIGURE, pk=device_id)), paging)


@router.get("devices/{int:device_id}/settings/{str:group}", response=SettingsOut, by_alias=True)
@endpoint(Action.CONFIGURE)
async def read_settings(request: HttpRequest, device_id: int, group: str) -> dict[str, Any]:
    """Reads the device now."""
    device = await device_to_talk_to(request, Action.CONFIGURE, device_id)
    values, schema = await settings.read(device, group)
    return {"values": values, "schema": schema}


@router.put("devices/{int:device_id}/settings/{str:group}", response=SettingsChanged)
@endpoint(Action.CONFIGURE)
async def change_settings(request: HttpRequest, device_id: int, group: str, body: SettingsIn) -> settings.Change:
    """Everything is checked against the document before anything is sent; only what changes is sent, then read back.
    409 with what it would do to people when it is dangerous and `confirm` is not true."""
    device = await device_to_talk_to(request, Action.CONFIGURE, device_id)
    return await settings.change(request, device, group, body.values, confirmed=body.confirm)


# --- Snapshots --------------------------------------------------------------------------------------------------------
class SnapshotIn(Body):
    note: str = Field("", max_length=200)


class SnapshotOut(Schema):
    id: int
    at: datetime
    kind: str = Field(description="manual, nightly, or before (a change)")
    by: str
    note: str
    groups: list[str]
    unread: dict[str, str] = Field(description="group → why it could not be read")


class SnapshotValuesOut(SnapshotOut):
    values: dict[str, dict[str, Any]] = Field(description="group → setting → value; secrets are masked")


class Differences(Schema):
    differences: dict[str, dict[str, list[Any]]] = Field(description="group → setting → [in the first, in the second]")


class RestoreIn(Body):
    confirm: Bool = Field(False, description="Needed where what is brought back is dangerous.")


class RestoredOut(Schema):
    changed: dict[str, dict[str, list[Any]]] = Field(description="group → setting → [old, new]")
    differing: dict[str, dict[str, list[Any]]] = Field(description="group → setting → [asked for, got]")
    left: dict[str, dict[str, str]] = Field(description="group → setting → why it was left alone")
    failed: dict[str, str] = Field(description="group → why it could not be brought back")
    snapshot: int | None = Field(description="The snapshot that was taken before.")


def snapshot_out(snapshot: Snapshot) -> dict[str, Any]:
    same = ("at", "kind", "by", "note", "unread")
    return {**{name: getattr(snapshot, name) for name in same}, "id": snapshot.pk, "groups": list(snapshot.values)}


def _snapshot(request: HttpRequest, device_id: int, snapshot_id: int) -> Snapshot:
    device = thing_for(request, Device, Action.CONFIGURE, pk=device_id)
    snapshot = device.snapshots.select_related("device").filter(pk=snapshot_id).first()
    if snapshot is None:
        raise Http404(f"{device.name} has no such snapshot.")
    return snapshot


@router.get("devices/{int:device_id}/snapshots", response=Page[SnapshotOut])
@endpoint(Action.CONFIGURE)
def list_snapshots(request: HttpRequest, device_id: int, paging: Query[Paging]) -> dict[str, Any]:
    """Newest first."""
    device = thing_for(request, Device, Action.CONFIGURE, pk=device_id)
    return paged(device.snapshots.defer("secrets"), paging, snapshot_out)


@router.post("devices/{int:device_id}/snapshots", response={201: SnapshotOut})
@endpoint(Action.CONFIGURE)
async def take_snapshot(request: HttpRequest, device_id: int, body: SnapshotIn | None = None) -> Status[dict[str, Any]]:
    """Reads every group of settings now."""
    device = await device_to_talk_to(request, Action.CONFIGURE, device_id)
    return Status(201, snapshot_out(await snapshots.take(request, device, body.note if body else "")))


@router.get("devices/{int:device_id}/snapshots/{int:snapshot_id}", response=SnapshotValuesOut)
@endpoint(Action.CONFIGURE)
def get_snapshot(request: HttpRequest, device_id: int, snapshot_id: int) -> dict[str, Any]:
    snapshot = _snapshot(request, device_id, snapshot_id)
    return {**snapshot_out(snapshot), "values": snapshots.shown_values(snapshot)}


@router.delete("devices/{int:device_id}/snapshots/{int:snapshot_id}", response={204: None})
@endpoint(Action.CONFIGURE)
def remove_snapshot(request: HttpRequest, device_id: int, snapshot_id: int) -> Status[None]:
    snapshots.remove(request, _snapshot(request, device_id, snapshot_id))
    return Status(204, None)


@router.get("devices/{int:device_id}/snapshots/{int:snapshot_id}/diff/{int:other_id}", response=Differences)
@endpoint(Action.CONFIGURE)
def compare_snapshots(request: HttpRequest, device_id: int, snapshot_id: int, other_id: int) -> dict[str, Any]:
    """What differs between two snapshots, in the groups that both hold. Secrets that differ are masked."""
    first, second = _snapshot(request, device_id, snapshot_id), _snapshot(request, device_id, other_id)
    return {"differences": snapshots.diff(first, second)}


@router.get("devices/{int:device_id}/snapshots/{int:snapshot_id}/diff", response=Differences)
@endpoint(Action.CONFIGURE)
async def compare_with_now(request: HttpRequest, device_id: int, snapshot_id: int) -> dict[str, Any]:
    """What differs between a snapshot and the device as it is now."""
    await device_to_talk_to(request, Action.CONFIGURE, device_id)
    snapshot = await sync_to_async(_snapshot)(request, device_id, snapshot_id)
    return {"differences": await snapshots.drift(snapshot)}


@router.post("devices/{int:device_id}/snapshots/{int:snapshot_id}/restore", response=RestoredOut)
@endpoint(Action.CONFIGURE)
async def restore_snapshot(
    request: HttpRequest, device_id: int, snapshot_id: int, body: RestoreIn | None = None
) -> snapshots.Restored:
    """Brings every restorable value back, and says what was left alone and why. 409 with what it would do to people
    when that is dangerous and `confirm` is not true; then nothing was sent."""
    await device_to_talk_to(request, Action.CONFIGURE, device_id)
    snapshot = await sync_to_async(_snapshot)(request, device_id, snapshot_id)
    return await snapshots.restore(request, snapshot, confirmed=bool(body and body.confirm))
