"""The one router of this room, and what its operations share."""

from __future__ import annotations

from typing import TypeVar

from asgiref.sync import sync_to_async
from django.db.models import Model
from django.http import HttpRequest
from ninja import Router

from accounts.guards import thing_for
from accounts.policy import Action
from accounts.problems import Problem
from devices.models import Camera, Device

M = TypeVar("M", bound=Model)

router = Router(tags=["devices"])


def talkable_device(request: HttpRequest, action: Action, device_id: int) -> Device:
    """A device that somebody wants to talk to now: in reach, and not switched off by us."""
    device = thing_for(request, Device, action, pk=device_id)
    _refuse_disabled(device)
    return device


def talkable_camera(request: HttpRequest, action: Action, camera_id: int) -> Camera:
    camera = thing_for(request, Camera, action, pk=camera_id)
    _refuse_disabled(camera.device)  # loads it: what follows is asynchronous
    return camera


def _refuse_disabled(device: Device) -> None:
    if not device.enabled:
        raise Problem(409, f"{device.name} is disabled. Enable it first.")


async def device_to_talk_to(request: HttpRequest, action: Action, device_id: int) -> Device:
    return await sync_to_async(talkable_device)(request, action, device_id)


async def camera_to_talk_to(request: HttpRequest, action: Action, camera_id: int) -> Camera:
    return await sync_to_async(talkable_camera)(request, action, camera_id)
