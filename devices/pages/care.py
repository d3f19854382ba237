"""What only the device itself knows: its log, its cards and disks; and who holds places on it."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.guards import page
from accounts.policy import Action
from accounts.problems import Problem
from devices import uids
from devices.families import driver_for
from devices.families.base import Capability, Store
from devices.gateway import Gateway
from devices.models import Camera, Device
from devices.pages.frame import ask, device_for, framed, is_part


@page(Action.CONFIGURE)
@require_safe
async def log_page(request: HttpRequest, device: int) -> HttpResponse:
    shown = await sync_to_async(device_for)(request, device, Action.CONFIGURE, Capability.LOG)
    return await _asked(request, shown, "log", "entries", driver_for(shown).log(Gateway(shown)))


@page(Action.WATCH)
@require_safe
async def storage_page(request: HttpRequest, device: int) -> HttpResponse:
    shown = await sync_to_async(device_for)(request, device, Action.WATCH, Capability.STORAGE)
    return await _asked(request, shown, "storage", "stores", _stores(shown))


async def _stores(device: Device) -> list[dict[str, Any]]:
    stores = await driver_for(device).storage(Gateway(device))
    return [{**vars(each), "used_percent": _used_percent(each)} for each in stores]


def _used_percent(store: Store) -> int | None:
    if not store.size_gb or store.free_gb is None:
        return None
    return round(100 * (store.size_gb - store.free_gb) / store.size_gb)


async def _asked(
    request: HttpRequest, device: Device, tab: str, name: str, answering: Coroutine[Any, Any, Any]
) -> HttpResponse:
    """The frame at once; what the device tells, when its part is asked for."""
    context: dict[str, Any] = {}
    template = f"devices/{tab}.html"
    if is_part(request):
        template = f"devices/parts/{tab}.html"
        try:
            context[name] = await ask(device, answering)
        except Problem as problem:
            context["failed"] = problem.sentence
    else:
        answering.close()
    framing = await sync_to_async(framed)(request, device, f"device-{tab}", **context)
    return await sync_to_async(render)(request, template, framing)


@page(Action.CONFIGURE)
@require_safe
async def sessions_page(request: HttpRequest, device: int) -> HttpResponse:
    """The UIDs we hold on the device, and for whom."""
    shown = await sync_to_async(device_for)(request, device, Action.CONFIGURE, Capability.LIVE)
    context: dict[str, Any] = {}
    try:
        names = await sync_to_async(_camera_names)(request, shown)
        context["held"] = [_held(each, names) for each in await uids.held(shown.pk)]
    except Problem as problem:
        context["failed"] = problem.sentence
    framing = await sync_to_async(framed)(request, shown, "device-sessions", **context)
    return await sync_to_async(render)(request, "devices/sessions.html", framing)


def _camera_names(request: HttpRequest, device: Device) -> dict[int, str]:
    visible = Camera.objects.visible_to(request.user).filter(device=device)
    return {camera.number: camera.name for camera in visible}


def _held(held: uids.Held, names: dict[int, str]) -> dict[str, Any]:
    return {
        "kind": held.kind,
        "since": datetime.fromtimestamp(held.since, UTC),
        "uses": [
            {
                "mode": use.mode,
                "camera": names.get(use.camera, f"camera {use.camera}") if use.camera else "",
                "holder": use.holder,
                "since": datetime.fromtimestamp(use.since, UTC),
            }
            for use in held.uses
        ],
    }
