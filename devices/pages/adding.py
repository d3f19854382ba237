"""Adding devices: by hand, and the simulated ones that show a new installation around."""

from __future__ import annotations

import re
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.guards import page
from accounts.models import User
from accounts.policy import Action, reaches
from accounts.problems import Problem
from devices import demo, fleet, probing
from devices.forms import NewDevice
from devices.models import Family, Site


@page(Action.CONFIGURE)
def add(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    form = NewDevice(request.user, reaches_everything(request), request.POST or None)
    if request.method == "POST" and form.is_valid():
        values = dict(form.cleaned_data)
        values["site"] = values.pop("new_site", "") or values["site"]
        values["tags"] = values["tags"].split(",")
        try:
            if not Site.objects.filter(name=values["site"]).exists():
                fleet.add_site(request, values["site"])
            device = fleet.add_device(request, **values)
        except Problem as problem:
            form.add_error(problem.field if problem.field in form.fields else None, problem.sentence)
        else:
            messages.success(request, f"{device.name} was added and is being asked what it is.")
            return redirect("devices:device", device.pk)
    status = 400 if form.errors else 200
    return render(request, "devices/add.html", {"form": form}, status=status)


@page(Action.CONFIGURE)
@require_POST
async def probe(request: HttpRequest) -> HttpResponse:
    """A part of the page: which family answers at the address that was typed, and what it tells of itself."""
    context: dict[str, Any] = {}
    try:
        found = await probing.probe(request, _address(request))
    except Problem as problem:
        context["problem"] = problem.sentence
    else:
        typed = request.POST.get("name", "").strip()
        form = await sync_to_async(NewDevice)(
            request.user,
            await sync_to_async(reaches_everything)(request),
            initial={"family": found.family, "name": typed or _name_for(found)},
        )
        context |= {"found": found, "label": Family(found.family).label, "form": form}
    return await sync_to_async(render)(request, "devices/parts/found.html", context)


def _address(request: HttpRequest) -> dict[str, Any]:
    sent = request.POST
    port = sent.get("port", "").strip()
    if port and not re.fullmatch(r"[0-9]{1,5}", port):
        raise Problem(400, "The port must be a number from 1 to 65535.", "port")
    return {
        "scheme": sent.get("scheme", "http"),
        "host": sent.get("host", ""),
        "port": int(port) if port else None,
        "username": sent.get("username", ""),
        "password": sent.get("password", ""),
        "family": sent.get("family", ""),
    }


def _name_for(found: probing.Found) -> str:
    """What the device calls its only camera, if it is one; else its model."""
    names = list(found.identity.cameras.values())
    title = str(found.identity.facts.get("title") or "")
    return (title or (names[0] if len(names) == 1 else "") or found.identity.model or "")[:100]


@page(Action.CONFIGURE)
@require_POST
def add_demo(request: HttpRequest) -> HttpResponse:
    _whole_installation(request)
    try:
        demo.create_demo_fleet(request)
        messages.success(request, "The demo devices are being started.")
    except Problem as problem:
        messages.error(request, problem.sentence)
    return redirect("home")


@page(Action.CONFIGURE)
@require_POST
def remove_demo(request: HttpRequest) -> HttpResponse:
    _whole_installation(request)
    removed = demo.remove_demo_fleet(request)
    messages.success(request, f"{removed} demo devices were removed." if removed else "There are no demo devices.")
    return redirect("home")


def _whole_installation(request: HttpRequest) -> None:
    if not reaches_everything(request):
        raise PermissionDenied("Only who may reach everything may add or remove the demo devices.")


def reaches_everything(request: HttpRequest) -> bool:
    return all(reach.everything for reach in reaches(request.user))
