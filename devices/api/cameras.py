"""Cameras: what can be watched, and what of steering works."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Field, Query, Schema, Status

from accounts.api_base import Body, Bool, Int, Number, Page, Paging, paged
from accounts.guards import endpoint, thing_for
from accounts.policy import Action
from devices import beside, presets, ptz
from devices.api.routing import camera_to_talk_to, router
from devices.families.base import Stream
from devices.learned import known_streams
from devices.models import Camera


class StreamOut(Schema):
    id: str
    codec: str | None = Field(description="Null until a picture was seen, where the device does not tell it.")
    width: int | None
    height: int | None
    fps: float | None
    transport: str

    @staticmethod
    def resolve_codec(stream: Stream) -> str | None:
        return stream.codec or None


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
    streams = known_streams(camera)
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
        "ptz": ptz.works(camera),
    }


@router.get("cameras", response=Page[CameraOut])
@endpoint(Action.WATCH)
def list_cameras(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    return paged(Camera.objects.visible_to(request.user).select_related("device"), paging, camera_out)


@router.get("cameras/{int:camera_id}", response=CameraOut)
@endpoint(Action.WATCH)
def get_camera(request: HttpRequest, camera_id: int) -> dict[str, Any]:
    return camera_out(thing_for(request, Camera, Action.WATCH, pk=camera_id))


# --- Steering ---------------------------------------------------------------------------------------------------------
class MoveIn(Body):
    """Speeds from -1 to 1: right, up and tele are positive, 0 stops."""

    pan: Number = 0.0
    tilt: Number = 0.0
    zoom: Number = 0.0


class PointIn(Body):
    """0,0 is the top left of the picture and 1,1 the bottom right."""

    x: Number
    y: Number


class PositionIn(Body):
    """In the device's own degrees, from 0."""

    pan: Int
    tilt: Int


class PositionOut(Schema):
    pan: int
    tilt: int


class FocusIn(Body):
    mode: str = Field(max_length=20, description="near, far or auto")


class IrisIn(Body):
    mode: str = Field(max_length=20, description="open, close or reset")


class AuxIn(Body):
    number: Int
    on: Bool


class SwingIn(Body):
    on: Bool


class SteeringOut(Schema):
    works: dict[str, Any] = Field(description="What of steering works; what is not in it is not offered.")
    holder: str | None = Field(description="Who steers it now.")
    moving: bool
    position: PositionOut | None = Field(
        description="Where it looks, if its pictures tell and somebody watches; the event camera.position follows it."
    )


class PresetIn(Body):
    number: Int | None = Field(None, description="The first that is not used when left out.")
    name: str = Field("", max_length=100)


class PresetName(Body):
    name: str = Field(max_length=100)


class PresetOut(Schema):
    number: int
    name: str
    set: bool | None = Field(description="true: set through us; null: not known, cameras do not tell")
    picture: datetime | None = Field(description="When …/presets/{number}/picture.jpg was taken; null: there is none.")


@router.get("cameras/{int:camera_id}/ptz", response=SteeringOut)
@endpoint(Action.WATCH)
async def get_steering(request: HttpRequest, camera_id: int) -> dict[str, Any]:
    camera = await camera_to_talk_to(request, Action.WATCH, camera_id)
    works, moving = ptz.works(camera), await ptz.is_moving(camera)
    told = await beside.position(camera)
    position = {"pan": told[0], "tilt": told[1]} if told else None
    return {"works": works, "holder": await ptz.holder(camera), "moving": moving, "position": position}


@router.post("cameras/{int:camera_id}/ptz", response={204: None})
@endpoint(Action.STEER)
async def move(request: HttpRequest, camera_id: int, body: MoveIn) -> Status[None]:
    """The movement ends by itself 2 s after the last command: send it again at least each second while it shall go on,
    and zeros to stop. 409 with who has the camera while somebody else steers it; 422 for what it cannot do."""
    camera = await camera_to_talk_to(request, Action.STEER, camera_id)
    await ptz.move(request, camera, pan=body.pan, tilt=body.tilt, zoom=body.zoom)
    return Status(204, None)


@router.post("cameras/{int:camera_id}/center", response={204: None})
@endpoint(Action.STEER)
async def center(request: HttpRequest, camera_id: int, body: PointIn) -> Status[None]:
    camera = await camera_to_talk_to(request, Action.STEER, camera_id)
    await ptz.center(request, camera, x=body.x, y=body.y)
    return Status(204, None)


@router.get("cameras/{int:camera_id}/position", response=PositionOut)
@endpoint(Action.WATCH)
async def get_position(request: HttpRequest, camera_id: int) -> dict[str, Any]:
    """Where it looks now, as its pictures tell while somebody watches them, else asked; 422 for a camera that does not
    tell."""
    pan, tilt = await ptz.position(await camera_to_talk_to(request, Action.WATCH, camera_id))
    return {"pan": pan, "tilt": tilt}


@router.post("cameras/{int:camera_id}/position", response={204: None})
@endpoint(Action.STEER)
async def turn_to(request: HttpRequest, camera_id: int, body: PositionIn) -> Status[None]:
    """Turns to a position; `ptz.positions` of the camera has the highest degrees."""
    camera = await camera_to_talk_to(request, Action.STEER, camera_id)
    await ptz.turn_to(request, camera, pan=body.pan, tilt=body.tilt)
    return Status(204, None)


@router.post("cameras/{int:camera_id}/focus", response={204: None})
@endpoint(Action.STEER)
async def focus(request: HttpRequest, camera_id: int, body: FocusIn) -> Status[None]:
    camera = await camera_to_talk_to(request, Action.STEER, camera_id)
    await ptz.focus(request, camera, body.mode)
    return Status(204, None)


@router.post("cameras/{int:camera_id}/iris", response={204: None})
@endpoint(Action.STEER)
async def iris(request: HttpRequest, camera_id: int, body: IrisIn) -> Status[None]:
    camera = await camera_to_talk_to(request, Action.STEER, camera_id)
    await ptz.iris(request, camera, body.mode)
    return Status(204, None)


@router.post("cameras/{int:camera_id}/aux", response={204: None})
@endpoint(Action.STEER)
async def switch_aux(request: HttpRequest, camera_id: int, body: AuxIn) -> Status[None]:
    camera = await camera_to_talk_to(request, Action.STEER, camera_id)
    await ptz.aux(request, camera, body.number, body.on)
    return Status(204, None)


@router.post("cameras/{int:camera_id}/home", response={204: None})
@endpoint(Action.STEER)
async def go_home(request: HttpRequest, camera_id: int) -> Status[None]:
    await ptz.home(request, await camera_to_talk_to(request, Action.STEER, camera_id))
    return Status(204, None)


@router.post("cameras/{int:camera_id}/swing", response={204: None})
@endpoint(Action.STEER)
async def swing(request: HttpRequest, camera_id: int, body: SwingIn) -> Status[None]:
    await ptz.swing(request, await camera_to_talk_to(request, Action.STEER, camera_id), body.on)
    return Status(204, None)


@router.get("cameras/{int:camera_id}/presets", response=Page[PresetOut])
@endpoint(Action.WATCH)
def list_presets(request: HttpRequest, camera_id: int, paging: Query[Paging]) -> dict[str, Any]:
    """Every number the camera has, with our names."""
    return paged(presets.listed(thing_for(request, Camera, Action.WATCH, pk=camera_id)), paging)


@router.post("cameras/{int:camera_id}/presets", response={201: PresetOut})
@endpoint(Action.STEER)
async def set_preset(request: HttpRequest, camera_id: int, body: PresetIn) -> Status[presets.Known]:
    """Keeps where the camera looks now."""
    camera = await camera_to_talk_to(request, Action.STEER, camera_id)
    return Status(201, await presets.set_here(request, camera, body.name, body.number))


@router.patch("cameras/{int:camera_id}/presets/{int:number}", response=PresetOut)
@endpoint(Action.STEER)
def rename_preset(request: HttpRequest, camera_id: int, number: int, body: PresetName) -> presets.Known:
    """Our name for it only."""
    camera = thing_for(request, Camera, Action.STEER, pk=camera_id)
    return presets.rename(request, camera, number, body.name)


@router.post("cameras/{int:camera_id}/presets/{int:number}/goto", response={204: None})
@endpoint(Action.STEER)
async def go_to_preset(request: HttpRequest, camera_id: int, number: int) -> Status[None]:
    await presets.goto(request, await camera_to_talk_to(request, Action.STEER, camera_id), number)
    return Status(204, None)


@router.delete("cameras/{int:camera_id}/presets/{int:number}", response={204: None})
@endpoint(Action.STEER)
async def clear_preset(request: HttpRequest, camera_id: int, number: int) -> Status[None]:
    await presets.clear(request, await camera_to_talk_to(request, Action.STEER, camera_id), number)
    return Status(204, None)
