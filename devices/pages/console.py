"""Any command of the vendor's document by hand, and what was last said to the device: for administrators."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from accounts.guards import page
from accounts.policy import Action
from accounts.problems import Problem, Unconfirmed
from devices import console, exchanges
from devices.cgi import BadValue, Command, Param
from devices.families.base import Driver
from devices.fields import DocumentField, field_of, text_of
from devices.models import Device
from devices.pages.frame import ask, device_for, driver_of, framed


@page(Action.CONSOLE)
@require_http_methods(["GET", "HEAD", "POST"])
async def console_page(request: HttpRequest, device: int, command: str = "") -> HttpResponse:
    shown = await sync_to_async(device_for)(request, device, Action.CONSOLE)
    driver = driver_of(shown)
    if driver is None:
        raise Http404(f"{shown.name} has no commands.")
    context: dict[str, Any] = {"sections": _sections(driver)}
    status = 200
    if command:
        chosen = _command(driver, command)
        fields = _fields(chosen, request, driver)
        context |= {"command": chosen, "fields": fields}
        if request.method == "POST":
            more, status = await _run(request, shown, chosen, driver, fields)
            context |= more
    return await sync_to_async(render)(
        request,
        "devices/console.html",
        await sync_to_async(framed)(request, shown, "device-console", **context),
        status=status,
    )


def _sections(driver: Driver) -> list[tuple[str, list[Command]]]:
    """The document's commands under its own section numbers' first part."""
    ordered = driver.catalogue
    return [
        (name, list(each)) for name, each in groupby(ordered, key=lambda command: command.section.partition(".")[0])
    ]


def _command(driver: Driver, command_id: str) -> Command:
    if command_id not in {command.id for command in driver.catalogue}:
        raise Http404("The vendor's document has no such command.")
    return driver.command(command_id)


def _fields(
    command: Command, request: HttpRequest, driver: Driver, *, keep_secrets: bool = False
) -> list[DocumentField]:
    typed = request.POST if request.method == "POST" else None
    filled_in = {"required": False, "help": "Left out, one is lent for this command and given back."}
    facts = (
        {**param.facts(), "allowed": param.allowed(), "may_be_empty": _may_be_empty(param)}
        | (filled_in if param.name in driver.fills_in(command) else {})
        for param in command.params
    )
    return [field_of(each, each["fixed"], typed, keep_secrets=keep_secrets) for each in facts]


def _may_be_empty(param: Param) -> bool:
    try:
        return param.write("") == ""
    except BadValue:
        return False


async def _run(
    request: HttpRequest, device: Device, command: Command, driver: Driver, fields: list[DocumentField]
) -> tuple[dict[str, Any], int]:
    # An empty field is left out, unless the document wants its parameter, or it was said to be sent so.
    params = {
        each.name: request.POST.get(f"to.{each.name}", "")
        for each in fields
        if each.kind != "fixed" and (request.POST.get(f"to.{each.name}") or each.required or each.empty)
    }
    confirmed = request.POST.get("confirm") == "1"
    try:
        answer = await ask(device, console.run(request, device, command.id, params, confirmed=confirmed))
    except Unconfirmed as asked:
        return {
            "danger": asked.consequence,
            "fields": _fields(command, request, driver, keep_secrets=True),
        }, asked.status
    except Problem as problem:
        name = (problem.field or "").removeprefix("params.")
        for each in fields:
            if each.name == name:
                each.error = problem.sentence
                return {}, problem.status
        return {"problem": problem.sentence}, problem.status
    rows = [(name, _plain(value)) for name, value in answer.fields.items()]
    return {"answer": answer, "answer_rows": rows}, 200


def _plain(value: Any) -> str:
    nested = isinstance(value, dict) or (isinstance(value, list) and any(isinstance(each, dict) for each in value))
    return json.dumps(value, ensure_ascii=False, default=str) if nested else text_of(value)


@page(Action.CONSOLE)
@require_safe
def exchanges_page(request: HttpRequest, device: int) -> HttpResponse:
    shown = device_for(request, device, Action.CONSOLE)
    context: dict[str, Any] = {}
    try:
        context["exchanges"] = exchanges.recent(shown.pk)
    except Problem as problem:
        context["failed"] = problem.sentence
    return render(request, "devices/exchanges.html", framed(request, shown, "device-exchanges", **context))
