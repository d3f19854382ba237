"""The cameras of a device: what each sends, and steering it."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from accounts.guards import page
from accounts.policy import Action, may
from devices import presets, ptz
from devices.models import Camera
from devices.pages.frame import device_for, driver_of, framed

ALL_PRESETS = 16  # so many are all shown; of more only those that were set here


@page(Action.WATCH)
@require_safe
def cameras_page(request: HttpRequest, device: int, camera: int | None = None) -> HttpResponse:
    shown = device_for(request, device, Action.WATCH)
    driver = driver_of(shown)
    if driver is None:
        raise Http404(f"{shown.name} has no cameras we can show.")
    cameras = list(Camera.objects.visible_to(request.user).filter(device=shown).select_related("device"))
    if camera is None and cameras:
        return redirect("devices:device-camera", device, cameras[0].pk)
    chosen = next((each for each in cameras if each.pk == camera), None)
    if camera is not None and chosen is None:
        raise Http404(f"{shown.name} has no such camera.")
    context: dict[str, Any] = {"cameras": cameras, "camera": chosen}
    if chosen is not None:
        context |= {"streams": driver.streams(chosen), **steering(request, chosen)}
    return render(request, "devices/cameras.html", framed(request, shown, "device-cameras", **context))


def steering(request: HttpRequest, camera: Camera) -> dict[str, Any]:
    """What the panel beside a picture needs (templates/devices/parts/steer.html), wherever it stands."""
    works = ptz.offered(camera)
    known = presets.listed(camera)
    return {
        "ptz": works,
        "works": ptz.works(camera),
        "aux": range(1, works.aux + 1),
        "presets": known if len(known) <= ALL_PRESETS else [each for each in known if each.set],
        "preset_count": len(known),
        "may_steer": may(request.user, Action.STEER, camera) and camera.device.enabled,
    }
