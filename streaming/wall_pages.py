"""The live wall's page, steering from it, and the server's clock for whoever measures how old a picture is."""

from __future__ import annotations

import time

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.guards import page, thing_for
from accounts.policy import Action, Standing, may
from devices.models import Camera, Device
from devices.pages.cameras import steering
from streaming import wall


@page(Action.WATCH)
@require_safe
def live_wall(request: HttpRequest) -> HttpResponse:
    user = request.user
    sites = wall.tree(user)
    cameras = [leaf.camera for site in sites for branch in site.branches for leaf in branch.leaves]
    devices = Device.objects.visible_to(user)
    context = {
        "sites": sites,
        "cameras": cameras,
        "devices": [] if cameras else list(devices[:1]),
        "layouts": wall.LAYOUTS,
        "views": wall.told(user, wall.views(user)),
        "demo": devices.filter(simulated=True).exists(),
        "demo_camera": next((camera for camera in cameras if camera.device.simulated), None),
        "may_configure": may(user, Action.CONFIGURE),
        "may_everything": may(user, Action.MANAGE_USERS),
        "may_steer": may(user, Action.STEER),
    }
    return render(request, "streaming/wall.html", context)


@page(Action.STEER)
@require_safe
def wall_steering(request: HttpRequest, camera: int) -> HttpResponse:
    """The panel for one camera, to stand beside the wall."""
    shown = thing_for(request, Camera, Action.STEER, pk=camera)
    return render(request, "streaming/wall_steering.html", {"camera": shown, **steering(request, shown)})


@page(Standing.SIGNED_IN)
@require_safe
@never_cache
def clock(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"now": time.time()})
