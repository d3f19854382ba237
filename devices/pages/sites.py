"""Sites: the places devices belong to, and by which people are given access. Added, renamed, removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.guards import page, thing_for
from accounts.policy import Action
from accounts.problems import Problem
from devices import fleet
from devices.models import Site
from devices.pages.adding import reaches_everything


@page(Action.CONFIGURE)
@require_safe
def site_list(request: HttpRequest) -> HttpResponse:
    if not reaches_everything(request):
        raise PermissionDenied("Only who may reach everything may look after the sites.")
    sites = Site.objects.annotate(
        device_count=Count("devices", distinct=True), grant_count=Count("grants", distinct=True)
    )
    return render(request, "devices/sites.html", {"sites": sites})


@page(Action.CONFIGURE)
@require_POST
def add(request: HttpRequest) -> HttpResponse:
    name = request.POST.get("name", "")
    return _done(request, lambda: f"{fleet.add_site(request, name)} is added.")


@page(Action.CONFIGURE)
@require_POST
def rename(request: HttpRequest, site: int) -> HttpResponse:
    renamed = thing_for(request, Site, Action.CONFIGURE, pk=site)
    before, name = renamed.name, request.POST.get("name", "")
    return _done(request, lambda: f"{before} is now {fleet.rename_site(request, renamed, name)}.")


@page(Action.CONFIGURE)
@require_POST
def remove(request: HttpRequest, site: int) -> HttpResponse:
    removed = thing_for(request, Site, Action.CONFIGURE, pk=site)
    sent = request.POST.get("move_to", "")
    move_to = int(sent) if sent.isascii() and sent.isdecimal() and len(sent) < 10 else None
    name = removed.name

    def do() -> str:
        moved = fleet.remove_site(request, removed, move_to)
        return f"{name} is removed{f', its {moved} devices are moved' if moved else ''}."

    return _done(request, do)


def _done(request: HttpRequest, do: Callable[[], Any]) -> HttpResponse:
    try:
        messages.success(request, do())
    except Problem as problem:
        messages.error(request, problem.sentence)
    return redirect("devices:sites")
