"""The settings of a device, a group at a time: read when the page is opened, changed, and what that did."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.guards import page
from accounts.policy import Action
from accounts.problems import Problem, Unconfirmed
from devices import settings
from devices.families import driver_for
from devices.families.base import Capability
from devices.fields import DocumentField, changed, field_of, text_of
from devices.masks import shown_schema
from devices.models import Device
from devices.pages.frame import ask, device_for, framed, is_part


@page(Action.CONFIGURE)
@require_http_methods(["GET", "HEAD", "POST"])
async def settings_page(request: HttpRequest, device: int, group: str = "") -> HttpResponse:
    shown = await sync_to_async(device_for)(request, device, Action.CONFIGURE, Capability.SETTINGS)
    driver = driver_for(shown)
    if not group:
        return redirect("devices:device-settings-group", device, driver.groups[0].id)
    chosen = next((each for each in driver.groups if each.id == group), None)
    if chosen is None:
        raise Http404(f"{shown.name} has no such settings.")
    context: dict[str, Any] = {"groups": settings.groups(shown), "group": settings.facts(chosen)}
    template, status = "devices/settings.html", 200
    if request.method == "POST":
        more, status = await _changed(request, shown, group, shown_schema(chosen, driver.narrowed))
        context |= more
    elif is_part(request):
        template = "devices/parts/settings_group.html"
        context |= await _read(shown, group)
    return await _rendered(request, shown, template, context, status)


@sync_to_async
def _rendered(
    request: HttpRequest, device: Device, template: str, context: dict[str, Any], status: int
) -> HttpResponse:
    return render(request, template, framed(request, device, "device-settings", **context), status=status)


async def _read(device: Device, group: str) -> dict[str, Any]:
    try:
        values, schema = await ask(device, settings.read(device, group))
    except Problem as problem:
        return {"failed": problem.sentence}
    return {"fields": [field_of(facts, values.get(facts["name"])) for facts in schema]}


async def _changed(
    request: HttpRequest, device: Device, group: str, schema: list[dict[str, Any]]
) -> tuple[dict[str, Any], int]:
    """Make the change; what was typed stays when it was refused."""
    wanted = changed((facts["name"] for facts in schema), request.POST)
    if not wanted:
        return {**await _read(device, group), "nothing": True}, 200
    try:
        confirmed = request.POST.get("confirm") == "1"
        done = await ask(device, settings.change(request, device, group, wanted, confirmed=confirmed))
    except Unconfirmed as asked:
        fields = [field_of(facts, None, request.POST, keep_secrets=True) for facts in schema]
        return {"fields": fields, "danger": asked.consequence, "wanted": _wanted(fields, wanted)}, asked.status
    except Problem as problem:
        fields = [field_of(facts, None, request.POST) for facts in schema]
        return {"fields": fields, **_told(fields, problem)}, problem.status
    labels = {facts["name"]: facts["label"] for facts in schema}
    return {
        "fields": [field_of(facts, done.values.get(facts["name"])) for facts in schema],
        "done": True,
        "changed": _rows(labels, done.changed),
        "differing": _rows(labels, done.differing),
        "moved": done.moved,
        "snapshot": done.snapshot,
    }, 200


def _told(fields: list[DocumentField], problem: Problem) -> dict[str, Any]:
    """The sentence stands beside its field; without one, above the form."""
    name = (problem.field or "").removeprefix("values.")
    for each in fields:
        if each.name == name:
            each.error = problem.sentence
            return {}
    return {"problem": problem.sentence}


def _wanted(fields: list[DocumentField], wanted: dict[str, str]) -> list[tuple[str, str, str]]:
    return [
        (each.label, each.was, "••••••" if each.kind == "password" else each.text)
        for each in fields
        if each.name in wanted
    ]


def _rows(labels: dict[str, str], pairs: dict[str, tuple[Any, Any]]) -> list[tuple[str, str, str]]:
    return [(labels.get(name, name), text_of(old), text_of(new)) for name, (old, new) in pairs.items()]
