"""What a device keeps and drives itself: its users, its triggers and switches, its serial port.

The frame comes at once, what the device tells when its part is asked for; changes go through the API.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.guards import page
from accounts.policy import Action
from accounts.problems import Problem
from devices import care
from devices.families import driver_for
from devices.families.base import Capability
from devices.pages.frame import ask, device_for, framed, is_part


@page(Action.CONFIGURE)
@require_safe
async def users_page(request: HttpRequest, device: int) -> HttpResponse:
    shown = await sync_to_async(device_for)(request, device, Action.CONFIGURE, Capability.USERS)
    context: dict[str, Any] = {"rights": care.user_rights(shown)}
    template = "devices/users.html"
    if is_part(request):
        template = "devices/parts/users.html"
        try:
            context["users"] = await ask(shown, care.users(shown))
        except Problem as problem:
            context["failed"] = problem.sentence
    framing = await sync_to_async(framed)(request, shown, "device-users", **context)
    return await sync_to_async(render)(request, template, framing)


@page(Action.CONFIGURE)
@require_safe
async def switches_page(request: HttpRequest, device: int) -> HttpResponse:
    shown = await sync_to_async(device_for)(request, device, Action.CONFIGURE, Capability.SWITCHES)
    context: dict[str, Any] = {"serial": Capability.SERIAL in driver_for(shown).capabilities}
    template = "devices/switches.html"
    if is_part(request):
        template = "devices/parts/switches.html"
        try:
            context["switches"] = await ask(shown, care.switches(shown))
        except Problem as problem:
            context["failed"] = problem.sentence
    framing = await sync_to_async(framed)(request, shown, "device-switches", **context)
    return await sync_to_async(render)(request, template, framing)
