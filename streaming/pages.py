"""The page of one camera."""

from contextlib import suppress
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.guards import page, thing_for
from accounts.policy import Action
from devices.errors import DeviceError
from devices.models import Camera
from devices.pages.cameras import steering
from streaming.sources.open import streams_of


@page(Action.WATCH)
def camera(request: HttpRequest, camera: int) -> HttpResponse:
    shown = thing_for(request, Camera, Action.WATCH, pk=camera)
    try:
        streams, cannot = streams_of(shown), ""
    except DeviceError as error:
        streams, cannot = [], str(error)
    context: dict[str, Any] = {"camera": shown, "streams": streams, "cannot": cannot}
    with suppress(DeviceError):  # without a driver there is nothing to steer with either
        context |= steering(request, shown)
    return render(request, "streaming/camera.html", context)
