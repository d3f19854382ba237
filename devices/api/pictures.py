"""Pictures over the API: JPEG that nobody on the way keeps, with its age."""

from __future__ import annotations

import time
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.http import http_date
from ninja import Field, Query, Schema

from accounts.guards import endpoint, thing_for
from accounts.policy import Action
from devices import pictures
from devices.api.routing import router
from devices.models import Camera

AGE = {"description": "Seconds since it was taken.", "schema": {"type": "number"}}
TAKEN = {"description": "When it was taken.", "schema": {"type": "string"}}
JPEG: dict[str, Any] = {
    "description": "A JPEG.",
    "headers": {"Last-Modified": TAKEN, "X-Picture-Age": AGE},
    "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
}


def picture_response(data: bytes, at: float) -> HttpResponse:
    age = max(0.0, time.time() - at)
    # What was allowed to be seen a minute ago may not be now: nothing but the page itself keeps it.
    headers = {"Cache-Control": "private, no-store", "Last-Modified": http_date(at), "X-Picture-Age": f"{age:.1f}"}
    return HttpResponse(data, content_type="image/jpeg", headers=headers)


class Taken(Schema):
    taken: str = Field("", max_length=40, description="Says nothing; it gives another picture another address.")


@router.get("cameras/{int:camera_id}/presets/{int:number}/picture.jpg", openapi_extra={"responses": {200: JPEG}})
@endpoint(Action.WATCH)
def preset_picture(request: HttpRequest, camera_id: int, number: int, which: Query[Taken]) -> HttpResponse:
    """What the camera saw there, small; 404 until there is one. It is taken when the preset is set or gone to."""
    camera = thing_for(request, Camera, Action.WATCH, pk=camera_id)
    picture = pictures.kept(camera.pk, number)
    if picture is None:
        raise Http404(f"There is no picture of preset {number} yet. Go to it while somebody watches the camera.")
    return picture_response(picture.data, picture.at)
