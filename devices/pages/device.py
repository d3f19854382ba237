"""One device: how it is, what it is, and what an administrator does with it as a whole."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.guards import page, thing_for
from accounts.policy import Action, may
from accounts.problems import Problem
from devices import care, fleet, polling, trust
from devices.facts import Fact, facts_of, tables_of
from devices.forms import EditDevice
from devices.models import Device
from devices.options import value_of
from devices.pages.adding import reaches_everything
from devices.pages.frame import device_for, driver_of, framed


@page(Action.WATCH)
@require_safe
def overview(request: HttpRequest, device: int) -> HttpResponse:
    shown = device_for(request, device, Action.WATCH)
    return render(request, "devices/device.html", _overview(request, shown))


def _overview(request: HttpRequest, device: Device, **more: Any) -> dict[str, Any]:
    context = framed(request, device, "device", **more)
    status = dict(device.status)
    now = {**(status.pop("now", None) or {}), **context["fleeting"]}
    return {
        **context,
        "recording": bool(now.get("recording")),
        "may_record": may(request.user, Action.RECORD, device),
        "problems": status.pop("problems", []) if device.enabled else [],
        "now": facts_of(now),
        "tables": tables_of(now),
        "told": facts_of(status),
        "options": _options(device),
        "cameras": device.cameras.visible_to(request.user),
        "restart_consequence": care.restart_consequence(device),
        "reset_consequence": care.reset_consequence(device),
        "offered": trust.short(device.certificate_offered) if device.certificate_offered else "",
    }


def _options(device: Device) -> list[Fact]:
    """Those that were set; all others are as the family has them."""
    driver = driver_of(device)
    known = [option for option in driver.options if option.name in device.options] if driver else []
    return [Fact(option.name, str(value_of((option,), device.options, option.name))) for option in known]


@page(Action.WATCH)
@require_POST
async def poll(request: HttpRequest, device: int) -> HttpResponse:
    """Ask it now, for somebody who does not want to wait for its turn."""
    asked = await sync_to_async(thing_for)(request, Device, Action.WATCH, pk=device)
    try:
        if not asked.enabled:
            raise Problem(409, f"{asked.name} is disabled. Enable it first.")
        await polling.look_now(asked)
    except Problem as problem:
        messages.error(request, problem.sentence)
    else:
        messages.success(request, f"{asked.name} has answered.")
    return redirect("devices:device", device)


@page(Action.CONFIGURE)
@require_POST
def enable(request: HttpRequest, device: int) -> HttpResponse:
    changed = thing_for(request, Device, Action.CONFIGURE, pk=device)
    on = request.POST.get("on") == "1"
    fleet.change_device(request, changed, {"enabled": on})
    messages.success(
        request,
        f"{changed.name} is enabled and is being asked how it is."
        if on
        else f"{changed.name} is disabled: it is not asked any more, and its pictures cannot be opened.",
    )
    return redirect("devices:device", device)


@page(Action.CONFIGURE)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, device: int) -> HttpResponse:
    edited = device_for(request, device, Action.CONFIGURE)
    driver = driver_of(edited)
    form = EditDevice(
        request.user,
        edited,
        driver.options if driver else (),
        reaches_everything(request),
        request.POST if request.method == "POST" else None,
    )
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                edited = fleet.change_device(request, edited, form.changes())
            except Problem as problem:
                form.tell(problem)
                status = problem.status
            else:
                messages.success(request, f"{edited.name} is changed.")
                return redirect("devices:device", edited.pk)
    return render(request, "devices/edit.html", framed(request, edited, "device", form=form), status=status)


@page(Action.CONFIGURE)
@require_POST
def delete(request: HttpRequest, device: int) -> HttpResponse:
    deleted = device_for(request, device, Action.CONFIGURE)
    if request.POST.get("confirm", "").strip() != deleted.name:
        problem = f"Nothing was deleted: type {deleted.name} to confirm."
        return render(request, "devices/device.html", _overview(request, deleted, problem=problem), status=400)
    fleet.remove_device(request, deleted)
    messages.success(request, f"{deleted.name} is deleted.")
    return redirect("devices:list")


@page(Action.CONFIGURE)
@require_POST
def accept(request: HttpRequest, device: int) -> HttpResponse:
    """The device that answers now takes the place of the one we knew."""
    return _trusting(request, device, trust.accept_replacement, "is the new device here and is being asked what it is")


@page(Action.CONFIGURE)
@require_POST
def trust_certificate(request: HttpRequest, device: int) -> HttpResponse:
    return _trusting(request, device, trust.trust_new_certificate, "is trusted with its new certificate")


def _trusting(request: HttpRequest, device: int, act: Any, done: str) -> HttpResponse:
    trusted = thing_for(request, Device, Action.CONFIGURE, pk=device)
    try:
        act(request, trusted)
    except Problem as problem:
        messages.error(request, problem.sentence)
    else:
        polling.look_soon(trusted)
        messages.success(request, f"{trusted.name} {done}.")
    return redirect("devices:device", device)
