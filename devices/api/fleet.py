"""Many devices at once: probe an address, import and export the fleet as CSV, act on several, tags."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Schema

from accounts import audit
from accounts.api_base import Body, Int, Page, Paging, paged
from accounts.guards import endpoint
from accounts.policy import Action
from accounts.problems import Problem
from devices import bulk, fleet_csv, probing
from devices.api.routing import router
from devices.models import Device, Tag

CSV = {"text/csv": {"schema": {"type": "string"}}}


# --- Probe ------------------------------------------------------------------------------------------------------------
class ProbeIn(Body):
    scheme: str = Field("", max_length=5, description="http or https; found out if left out.")
    host: str = Field(max_length=255)
    port: Int | None = Field(None, description="80 or 443 if left out, as the scheme has it.")
    username: str = Field("", max_length=64)
    password: str = Field("", max_length=128)
    family: str = Field("", max_length=10, description="Ask this one only.")
    options: dict[str, Any] = Field({}, description="As for a device; families take those they know.")


class FoundCamera(Schema):
    number: int
    name: str


class FoundOut(Schema):
    family: str
    scheme: str
    port: int
    model: str | None
    serial: str | None
    mac: str | None
    firmware: str | None
    cameras: list[FoundCamera]
    capabilities: list[str]
    device: int | None = Field(description="The device at this address that there is already.")


@router.post("devices/probe", response=FoundOut)
@endpoint(Action.CONFIGURE)
async def probe(request: HttpRequest, body: ProbeIn) -> dict[str, Any]:
    """Which family answers there? Nothing is added. Its home page is opened first, without the log-in; where that does
    not tell, each family's identifying request is tried in turn. `family` spares the device both. Without `scheme`,
    port 443 means https; elsewhere http is tried, and https once where what answers does not understand that.

    409 when the log-in is refused, 422 when it is none we know, 504 when nothing answers."""
    found = await probing.probe(request, body.dict())
    identity = found.identity
    return {
        "family": found.family,
        "scheme": found.scheme,
        "port": found.port,
        **{name: getattr(identity, name) for name in ("model", "serial", "mac", "firmware")},
        "cameras": [{"number": number, "name": name} for number, name in sorted(identity.cameras.items())],
        "capabilities": sorted(found.capabilities),
        "device": found.device,
    }


# --- CSV --------------------------------------------------------------------------------------------------------------
class ImportQuery(Schema):
    dry_run: bool = Field(False, description="Tell what would change, and change nothing.")


class ImportedRow(Schema):
    line: int
    action: str = Field(description="add, change or same")
    name: str
    address: str
    changes: dict[str, list[Any]] = Field(description="name → [old, new]")


class ImportOut(Schema):
    dry_run: bool
    added: int
    changed: int
    unchanged: int
    sites: list[str] = Field(description="Sites that are new.")
    results: list[ImportedRow]


@router.post(
    "devices/import",
    response=ImportOut,
    openapi_extra={"requestBody": {"required": True, "content": CSV}},
)
@endpoint(Action.CONFIGURE)
def import_devices(request: HttpRequest, how: Query[ImportQuery]) -> dict[str, Any]:
    """Adds and changes devices; an address is a device, and none is removed. All rows or none: what is wrong is told
    with its line. Send the table as the body, or as the one file of a form."""
    done = fleet_csv.import_table(request, _table(request), dry_run=how.dry_run)
    return {
        "dry_run": done.dry_run,
        "added": done.count("add"),
        "changed": done.count("change"),
        "unchanged": done.count("same"),
        "sites": done.sites,
        "results": done.rows,
    }


def _table(request: HttpRequest) -> bytes:
    if request.content_type != "multipart/form-data":
        return request.body
    files = [file for _, several in request.FILES.lists() for file in several]
    if len(files) != 1:
        raise Problem(400, "Send exactly one file.")
    return bytes(files[0].read())


@router.get("devices/export.csv", openapi_extra={"responses": {200: {"description": "OK", "content": CSV}}})
@endpoint(Action.CONFIGURE)
def export_devices(request: HttpRequest) -> HttpResponse:
    """All devices the caller may see, as import takes them back. No passwords."""
    devices = Device.objects.visible_to(request.user).select_related("site").prefetch_related("tags")
    audit.record(request, "export devices")
    headers = {"Content-Disposition": 'attachment; filename="devices.csv"'}
    table = "".join(fleet_csv.export(devices))
    return HttpResponse(table, content_type="text/csv; charset=utf-8", headers=headers)


# --- Several at once --------------------------------------------------------------------------------------------------
class BulkIn(Body):
    devices: list[Int] = Field(max_length=bulk.MOST)
    action: str = Field(max_length=20, description="enable, disable, move, tag, untag, poll, set_clock or set_ntp")
    site: Int | str | None = Field(None, description="For move: a site's id or name.")
    server: str = Field("", max_length=253, description="For set_ntp.")
    tags: list[str] = Field([], max_length=20, description="For tag and untag.")


class DoneOut(Schema):
    device: int
    ok: bool
    error: str


class BulkOut(Schema):
    results: list[DoneOut]


@router.post("devices/bulk", response=BulkOut)
@endpoint(Action.CONFIGURE)
async def act_on_many(request: HttpRequest, body: BulkIn) -> dict[str, Any]:
    """Each device is done or refused by itself, and answered for."""
    wish = bulk.Wish(body.action, body.site, body.server, tuple(body.tags))
    return {"results": await bulk.run(request, body.devices, wish)}


class TagOut(Schema):
    name: str


@router.get("tags", response=Page[TagOut])
@endpoint(Action.WATCH)
def list_tags(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """The tags of the devices the caller may see."""
    return paged(Tag.objects.filter(devices__in=Device.objects.visible_to(request.user)).distinct(), paging)
