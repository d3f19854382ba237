"""Clips on cards: what is there and which of it we have, bring it home, delete it, format the card."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema, Status
from pydantic import BeforeValidator

from accounts import audit
from accounts.api_base import Body, Bool, Page, Paging, paged
from accounts.guards import endpoint, thing_for
from accounts.models import User
from accounts.policy import Action
from accounts.problems import Problem
from devices.api.routing import device_to_talk_to, talkable_device
from devices.errors import NotSupported
from devices.families.base import Clip
from devices.models import Device
from recordings import clips, jobs
from recordings.clips import Card, safe_to_format
from recordings.jobs_api import JobWithItems, job_with_items

router = Router(tags=["clips"])


def _number(value: Any) -> Any:
    """Devices call the slots sd1 and sd2."""
    return {"1": 1, "2": 2, "sd1": 1, "sd2": 2}.get(value, value) if isinstance(value, str) else value


Slot = Annotated[Literal[1, 2], BeforeValidator(_number)]
Format = Literal["avchd", "mp4"]


class ClipOut(Schema):
    name: str
    slot: int
    format: str
    number: int = Field(description="Where it is in the device's list.")
    recorded: str = Field(description='The device\'s local time; "" where it tells none.')
    start: datetime | None = Field(description="The same in UTC, where the device tells its zone.")
    seconds: int | None
    copied: int | None = Field(description="The file that is its verified copy.")


class SlotOut(Schema):
    slot: int
    present: bool | None = Field(description="null where the device does not tell.")
    clips: int
    safe_to_format: bool | None = Field(description="Every clip has a verified copy; null when not all was looked at.")
    reason: str


class ClipsOut(Page[ClipOut]):
    slots: list[SlotOut]


class Which(Schema):
    slot: Slot | None = None
    format: Format | None = None


class JobIn(Body):
    action: Literal["download", "ftp", "delete"]
    clips: Annotated[list[str], Field(min_length=1, max_length=jobs.MOST_ITEMS)] | Literal["all"]
    slot: Slot
    format: Format


class FormatIn(Body):
    slot: Slot
    confirm: Bool = Field(False, description="Needed; without it, what would be lost is answered.")


@router.get("devices/{int:device_id}/clips", response=ClipsOut)
@endpoint(Action.PLAYBACK)
async def list_clips(
    request: HttpRequest, device_id: int, which: Query[Which], paging: Query[Paging]
) -> dict[str, Any]:
    """What is on its cards, asked now: all pages, of both slots and formats where none is named."""
    device = await device_to_talk_to(request, Action.PLAYBACK, device_id)
    cards = await clips.look(
        device, (which.slot,) if which.slot else clips.SLOTS, (which.format,) if which.format else ()
    )
    found = [(card, clip) for card in cards for listing in card.listings.values() for clip in listing.clips]
    return {
        **paged(found, paging, lambda pair: _clip_out(device, *pair)),
        "slots": [_slot_out(device, card) for card in cards],
    }


def _clip_out(device: Device, card: Card, clip: Clip) -> dict[str, Any]:
    same = {name: getattr(clip, name) for name in ("name", "slot", "format", "number", "recorded", "seconds")}
    return {**same, "start": clip.begun, "copied": card.copies.get(clips.key_of(device, clip))}


def _slot_out(device: Device, card: Card) -> dict[str, Any]:
    safety = safe_to_format(device, card)
    return {
        "slot": card.slot,
        "present": card.present,
        "clips": sum(len(listing.clips) for listing in card.listings.values()),
        "safe_to_format": safety.safe,
        "reason": safety.reason,
    }


@router.post("devices/{int:device_id}/clips/jobs", response={201: JobWithItems})
@endpoint(Action.EXPORT)
def ask_for_clips(request: HttpRequest, device_id: int, body: JobIn) -> Status[dict[str, Any]]:
    """Save clips in the library, or delete them from the card (for who may delete). What is in the library already is
    not fetched again."""
    action = Action.DELETE if body.action == "delete" else Action.EXPORT
    device = talkable_device(request, action, device_id)
    clips.needs_clips(device)
    if body.action == "ftp":
        raise NotSupported("Clips are not sent by FTP yet. Use download: it brings the same files here.")
    names = "all" if body.clips == "all" else clips.names_wanted(body.clips)
    kind = clips.DELETE if body.action == "delete" else clips.DOWNLOAD
    wanted: dict[str, Any] = {"slot": body.slot, "format": body.format, "clips": names}
    job = jobs.create(kind, user=_user(request), device=device, params=wanted)
    audit.record(request, f"{body.action} clips", device, job=job.pk, **wanted)
    return Status(201, job_with_items(job))


@router.post("devices/{int:device_id}/format", response={201: JobWithItems})
@endpoint(Action.FORMAT)
async def format_card(request: HttpRequest, device_id: int, body: FormatIn) -> Status[dict[str, Any]]:
    """Erases a card. 409 with what would be lost while `confirm` is not true."""
    device = await device_to_talk_to(request, Action.FORMAT, device_id)
    try:
        agreed = await clips.agreed_to_format(device, body.slot, confirmed=body.confirm)
    except Problem as problem:
        if body.confirm:
            await audit.arecord(request, "format card", device, result="failed", slot=body.slot, error=problem.sentence)
        raise
    return Status(201, await sync_to_async(_format_job)(request, device, agreed))


def _format_job(request: HttpRequest, device: Device, agreed: dict[str, Any]) -> dict[str, Any]:
    device = thing_for(request, Device, Action.FORMAT, pk=device.pk)  # the card was looked at for a while
    job = jobs.create(clips.FORMAT, user=_user(request), device=device, params=agreed)
    lost = len(agreed["without_copy"]) if agreed["without_copy"] is not None else None
    audit.record(request, "format card", device, job=job.pk, slot=agreed["slot"], clips_without_copy=lost)
    return job_with_items(job)


def _user(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None
