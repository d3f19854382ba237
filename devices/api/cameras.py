"""Cameras: what can be watched, and what of steering works."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Field, Query, Schema

from accounts.api_base import Page, Paging, paged
from accounts.guards import endpoint, thing_for
from accounts.policy import Action
from devices.api.routing import router
from devices.families import driver_for
from devices.models import Camera


class StreamOut(Schema):
    id: str
    codec: str
    width: int | None
    height: int | None
    fps: float | None
    transport: str


class CameraOut(Schema):
    id: int
    device: int
    device_name: str
    site: int
    number: int
    name: str
    state: str
    simulated: bool
    streams: list[StreamOut]
    audio: bool
    ptz: dict[str, Any] = Field(description="What works; empty when it cannot be steered.")


def camera_out(camera: Camera) -> dict[str, Any]:
    device = camera.device
    streams = driver_for(device).streams(camera)
    return {
        "id": camera.pk,
        "device": device.pk,
        "device_name": device.name,
        "site": device.site_id,
        "number": camera.number,
        "name": camera.name,
        "state": device.state,
        "simulated": device.simulated,
        "streams": streams,
        "audio": any(stream.audio for stream in streams),
        "ptz": {},
    }


@router.get("cameras", response=Page[CameraOut])
@endpoint(Action.WATCH)
def list_cameras(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    return paged(Camera.objects.visible_to(request.user).select_related("device"), paging, camera_out)


@router.get("cameras/{int:camera_id}", response=CameraOut)
@endpoint(Action.WATCH)
def get_camera(request: HttpRequest, camera_id: int) -> dict[str, Any]:
    return camera_out(thing_for(request, Camera, Action.WATCH, pk=camera_id))
