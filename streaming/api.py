"""Single pictures, and what streams cost and deliver."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema

from accounts.api_base import Page, Paging, paged
from accounts.guards import endpoint, thing_for
from accounts.policy import Action
from devices.api.pictures import JPEG, picture_response
from devices.models import Camera
from streaming import snapshots
from streaming.relay import Relay, relays

router = Router(tags=["live"])

NONE = {"description": "There never was a picture of it. Only with last=1."}


# --- Single pictures --------------------------------------------------------------------------------------------------
class Which(Schema):
    width: int | None = Field(None, ge=16, le=4096, description="Pixels it is wide at most; else as it is.")
    last: bool = Field(False, description="The last picture there is, at once: the device is not asked.")


def _of_camera(request: HttpRequest, camera_id: int) -> Camera:
    camera = thing_for(request, Camera, Action.WATCH, pk=camera_id)
    assert camera.device.name  # loads it: what follows is asynchronous
    return camera


@router.get("cameras/{int:camera_id}/snapshot.jpg", openapi_extra={"responses": {200: JPEG, 204: NONE}})
@endpoint(Action.WATCH)
async def snapshot(request: HttpRequest, camera_id: int, which: Query[Which]) -> HttpResponse:
    """The newest picture: of the stream if one runs, else a fresh one of the device, else the last that was kept.
    X-Picture-Age tells its age in seconds, and X-Picture-Origin where it came from: stream, device or kept."""
    camera = await sync_to_async(_of_camera)(request, camera_id)
    found = await (snapshots.last if which.last else snapshots.take)(camera, which.width)
    if found is None and which.last:
        return HttpResponse(status=204)  # a wall asks for many, and no picture is no mistake there
    if found is None:
        raise Http404(f"There is no picture of {camera} yet: it gives none by itself, and nobody has watched it.")
    response = picture_response(found.data, found.at)
    response["X-Picture-Origin"] = str(found.origin)
    return response


# --- Figures ----------------------------------------------------------------------------------------------------------
class ViewerOut(Schema):
    who: str = Field(description="A user, or what else takes this stream.")
    since: datetime
    frames: int
    dropped: int = Field(description="Pictures left out because its line was too slow.")
    lag: float = Field(description="Seconds of pictures that wait here for it.")
    first_after: float | None = Field(description="Seconds until it got its first picture.")


class RecorderOut(Schema):
    """What a recorder tells in its pictures; null is what it does not tell."""

    camera: int | None = Field(description="The number of the camera at the recorder.")
    time: datetime | None = Field(description="When the recorder had the latest picture, by its clock.")
    camera_time: datetime | None = Field(description="When it was taken, by the camera's clock.")
    clock_off: float | None = Field(
        description="Seconds by which the recorder's clock is ahead of ours, less what the picture took to come here."
    )
    recording_rate: float | None = Field(description="Pictures per second as set for recording.")
    doing: str | None = Field(description="live, playback …")


class StreamOut(Schema):
    camera: int
    camera_name: str
    stream: str = Field(description="The stream's id; ~ and a form behind it when it is converted here.")
    state: str
    detail: str
    transport: str | None = Field(description="How it came when it last came.")
    codec: str | None
    width: int | None
    height: int | None
    fps: float
    bit_rate: float
    gop: int = Field(description="Pictures from one key picture to the next.")
    gop_seconds: float
    jitter: float = Field(description="Seconds by which pictures come early or late, smoothed.")
    first_after: float | None = Field(description="Seconds from asking the device to its first picture.")
    openings: int = Field(description="How often the device was asked for it since somebody watches.")
    viewer_drops: int
    upstream: dict[str, float] = Field(
        description="What the way it arrives counts: packets, lost, reordered …; load_permille of a core if converted."
    )
    recorder: RecorderOut | None = Field(description="null where pictures bring no such information.")
    viewers: list[ViewerOut]


def _stream_out(camera: Camera, stream: str, relay: Relay) -> dict[str, Any]:
    figures = relay.figures()
    track = relay.init.track if relay.init is not None else None
    same = ("fps", "bit_rate", "gop", "gop_seconds", "jitter", "openings", "viewer_drops")
    return {
        "camera": camera.pk,
        "camera_name": camera.name,
        "stream": stream,
        "state": relay.status.state,
        "detail": relay.status.detail,
        "transport": (camera.learned.get(stream.partition("~")[0]) or {}).get("transport"),
        "codec": track.codec if track else None,
        "width": track.width if track else None,
        "height": track.height if track else None,
        **{name: figures[name] for name in same},
        "first_after": relay.first_after,
        "upstream": {
            name.removeprefix("upstream_"): value for name, value in figures.items() if name.startswith("upstream_")
        },
        "recorder": relay.told() or None,
        "viewers": [
            {
                "who": viewer.who,
                "since": datetime.fromtimestamp(viewer.since, UTC),
                "frames": viewer.frames,
                "dropped": viewer.dropped,
                "lag": viewer.lag,
                "first_after": viewer.first_after,
            }
            for viewer in sorted(relay.viewers, key=lambda each: each.number)
        ],
    }


@router.get("streams", response=Page[StreamOut])
@endpoint(Action.DIAGNOSE)
async def list_streams(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """The streams that run now in the web process that answers, of the cameras that the caller may watch."""
    running = relays.all()
    seen = await sync_to_async(_visible)(request, {camera for camera, _ in running})
    mine = [(seen[camera], stream, relay) for (camera, stream), relay in sorted(running.items()) if camera in seen]
    return paged(mine, paging, lambda each: _stream_out(*each))


def _visible(request: HttpRequest, cameras: set[int]) -> dict[int, Camera]:
    return {each.pk: each for each in Camera.objects.visible_to(request.user).filter(pk__in=cameras)}
