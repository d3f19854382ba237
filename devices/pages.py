"""The few actions of pages about devices."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.guards import page
from accounts.policy import Action, reaches
from accounts.problems import Problem
from devices import demo


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
    if not all(reach.everything for reach in reaches(request.user)):
        raise PermissionDenied("Only who may reach everything may add or remove the demo devices.")
