"""The page of one camera: its picture, steering, how it is and what happened lately."""

from contextlib import suppress
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from accounts.guards import page, thing_for
from accounts.policy import Action, may
from devices import polling
from devices.errors import DeviceError
from devices.facts import facts_of
from devices.models import Camera, Device, Event
from devices.pages.cameras import steering
from streaming.sources.open import streams_of

LATEST_EVENTS = 10


@page(Action.WATCH)
def camera(request: HttpRequest, camera: int) -> HttpResponse:
    shown = thing_for(request, Camera, Action.WATCH, pk=camera)
    try:
        streams, cannot = streams_of(shown), ""
    except DeviceError as error:
        streams, cannot = [], str(error)
    context: dict[str, Any] = {
        "camera": shown,
        "streams": streams,
        "cannot": cannot,
        "may_diagnose": may(request.user, Action.DIAGNOSE, shown),
        "events": _events(request, shown.device).select_related("device")[:LATEST_EVENTS],
        "today": timezone.now().replace(hour=0, minute=0, second=0, microsecond=0),
        **_health(request, shown.device),
    }
    with suppress(DeviceError):  # without a driver there is nothing to steer with either
        context |= steering(request, shown)
    return render(request, "streaming/camera.html", context)


def _events(request: HttpRequest, device: Device) -> Any:
    return Event.objects.visible_to(request.user).filter(device=device)


def _health(request: HttpRequest, device: Device) -> dict[str, Any]:
    memory = polling.remembered([device.pk]).get(device.pk)
    now = {**(device.status.get("now") or {}), **(memory.fleeting if memory else {})}
    return {
        "since": _since(request, device) if device.enabled else None,
        "last_seen": polling.last_seen(device, memory),
        "trouble": device.last_error if device.enabled and device.state != "online" else "",
        "problems": device.status.get("problems", []) if device.enabled else [],
        "now": facts_of(now),
    }


def _since(request: HttpRequest, device: Device) -> datetime | None:
    """When it came to be as it is, if that is known."""
    changed = _events(request, device).filter(type="device.state").first()
    return changed.at if changed is not None and changed.detail.get("state") == device.state else None
