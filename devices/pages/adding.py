"""Adding devices: by hand, and the simulated ones that show a new installation around."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.guards import page
from accounts.models import User
from accounts.policy import Action, reaches
from accounts.problems import Problem
from devices import demo, fleet
from devices.forms import NewDevice
from devices.models import Site


@page(Action.CONFIGURE)
def add(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    form = NewDevice(request.user, reaches_everything(request), request.POST or None)
    if request.method == "POST" and form.is_valid():
        values = dict(form.cleaned_data)
        values["site"] = values.pop("new_site", "") or values["site"]
        try:
            if not Site.objects.filter(name=values["site"]).exists():
                fleet.add_site(request, values["site"])
            device = fleet.add_device(request, **values)
        except Problem as problem:
            form.add_error(problem.field if problem.field in form.fields else None, problem.sentence)
        else:
            messages.success(request, f"{device.name} was added and is being asked what it is.")
            return redirect("home")
    status = 400 if form.errors else 200
    return render(request, "devices/add.html", {"form": form}, status=status)


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
