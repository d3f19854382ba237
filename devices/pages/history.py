"""What became of a device: how it was, what happened, and its snapshots of settings, compared and brought back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.guards import page
from accounts.policy import Action
from accounts.problems import Problem, Unconfirmed
from devices import snapshots
from devices.cgi import schema
from devices.families import driver_for
from devices.families.base import Capability
from devices.fields import text_of
from devices.models import Device, Event, Snapshot, State
from devices.pages.frame import ask, device_for, framed, is_part
from devices.snapshots import Restored

EVENTS_PER_PAGE = 25
STRIP_WIDTH = 1000
STRIPS = ((timedelta(days=1), "24 hours"), (timedelta(days=7), "7 days"), (timedelta(days=30), "30 days"))
NOW = "now"  # stands for the device as it is, where a snapshot could be named
Pairs = Mapping[str, Mapping[str, tuple[Any, Any]]]


@dataclass(frozen=True)
class ChangedGroup:
    title: str
    rows: list[tuple[str, ...]]


@page(Action.WATCH)
@require_safe
def history_page(request: HttpRequest, device: int) -> HttpResponse:
    shown = device_for(request, device, Action.WATCH)
    events = Paginator(Event.objects.visible_to(request.user).filter(device=shown), EVENTS_PER_PAGE)
    context = framed(
        request,
        shown,
        "device-history",
        events=events.get_page(request.GET.get("page")),
        strips=[_strip(shown, timezone.now(), length, label) for length, label in STRIPS],
    )
    if context["may_configure"] and Capability.SETTINGS in context["capabilities"]:
        context["snapshots"] = shown.snapshots.defer("values", "secrets")
    return render(request, "devices/history.html", context)


@dataclass(frozen=True)
class Span:
    """A while in one state, on a strip that is STRIP_WIDTH wide."""

    state: str
    since: datetime
    left: float
    width: float


@dataclass(frozen=True)
class Strip:
    label: str
    spans: list[Span]
    available: float | None  # percent of the time that is known; None when nothing is


def _strip(device: Device, now: datetime, length: timedelta, label: str) -> Strip:
    """How the device was over a time: each sample tells until the next. Before the first nothing is known."""
    begin = now - length
    rows = list(device.samples.filter(at__gte=begin, at__lte=now).order_by("at", "pk").values_list("at", "state"))
    last_before = device.samples.filter(at__lt=begin).values_list("state", flat=True).first()
    if last_before is not None:
        rows.insert(0, (begin, last_before))
    changes = [row for at, row in enumerate(rows) if at == 0 or row[1] != rows[at - 1][1]]
    spans = []
    for (since, state), (until, _) in pairwise([*changes, (now, "")]):
        left, width = ((moment / length) * STRIP_WIDTH for moment in (since - begin, until - since))
        spans.append(Span(state, since, round(left, 2), round(width, 2)))
    known = sum(span.width for span in spans if span.state != State.UNKNOWN)
    well = sum(span.width for span in spans if span.state in (State.ONLINE, State.DEGRADED))
    return Strip(label, spans, round(100 * well / known, 1) if known else None)


# --- Snapshots --------------------------------------------------------------------------------------------------------
def _snapshot(request: HttpRequest, device_id: int, snapshot_id: int) -> Snapshot:
    device = device_for(request, device_id, Action.CONFIGURE, Capability.SETTINGS)
    snapshot = device.snapshots.select_related("device").filter(pk=snapshot_id).first()
    if snapshot is None:
        raise Http404(f"{device.name} has no such snapshot.")
    return snapshot


@page(Action.CONFIGURE)
@require_POST
async def take(request: HttpRequest, device: int) -> HttpResponse:
    shown = await sync_to_async(device_for)(request, device, Action.CONFIGURE, Capability.SETTINGS)
    try:
        taken = await ask(shown, snapshots.take(request, shown, request.POST.get("note", "").strip()[:200]))
    except Problem as problem:
        messages.error(request, problem.sentence)
        return redirect("devices:device-history", device)
    return redirect("devices:device-snapshot", device, taken.pk)


@page(Action.CONFIGURE)
@require_safe
def snapshot_page(request: HttpRequest, device: int, snapshot: int) -> HttpResponse:
    shown = _snapshot(request, device, snapshot)
    labels = _Labels(shown.device)
    try:
        values, problem = snapshots.shown_values(shown), ""
    except Problem as error:  # its secrets cannot be read any more
        values, problem = shown.values, error.sentence
    groups = [
        ChangedGroup(
            labels.title(group),
            [(labels.setting(group, name), name, text_of(value)) for name, value in each.items()],
        )
        for group, each in values.items()
    ]
    context = {
        "snapshot": shown,
        "groups": groups,
        "unread": {labels.title(group): why for group, why in shown.unread.items()},
        "others": shown.device.snapshots.exclude(pk=shown.pk).defer("values", "secrets"),
        "problem": problem,
    }
    return render(request, "devices/snapshot.html", framed(request, shown.device, "device-history", **context))


@page(Action.CONFIGURE)
@require_safe
async def compare(request: HttpRequest, device: int) -> HttpResponse:
    """Two snapshots, or one and the device as it is now; the latter is asked once the page is there."""
    first = await sync_to_async(_snapshot)(request, device, _number(request.GET.get("first")))
    other = request.GET.get("second", NOW)
    context: dict[str, Any] = {"first": first, "template": "devices/compare.html"}
    try:
        if other != NOW:
            second = await sync_to_async(_snapshot)(request, device, _number(other))
            found = await sync_to_async(snapshots.diff)(first, second)
            context |= {"second": second, "groups": _Labels(first.device).pairs(found), "compared": True}
        elif is_part(request):
            context["template"] = "devices/parts/differences.html"
            found = await ask(first.device, snapshots.drift(first))
            context |= {"groups": _Labels(first.device).pairs(found), "compared": True}
    except Problem as problem:
        context["failed"] = problem.sentence
    return await _rendered(request, first.device, context)


@page(Action.CONFIGURE)
@require_http_methods(["GET", "HEAD", "POST"])
async def restore(request: HttpRequest, device: int, snapshot: int) -> HttpResponse:
    """First what would change, then what was changed. Dangerous changes are asked about once more in between."""
    shown = await sync_to_async(_snapshot)(request, device, snapshot)
    labels = _Labels(shown.device)
    context: dict[str, Any] = {"snapshot": shown, "template": "devices/restore.html"}
    status = 200
    try:
        if request.method == "POST":
            confirmed = request.POST.get("confirm") == "1"
            done = await ask(shown.device, snapshots.restore(request, shown, confirmed=confirmed))
            context |= {"done": done, **labels.restored(done)}
        elif is_part(request):
            context["template"] = "devices/parts/restoring.html"
            found = await ask(shown.device, snapshots.drift(shown))
            context |= {"groups": labels.pairs(found), "compared": True}
    except Unconfirmed as asked:
        status = asked.status
        context["danger"] = asked.consequence
    except Problem as problem:
        status = 200 if is_part(request) else problem.status
        context["failed"] = problem.sentence
    return await _rendered(request, shown.device, context, status)


@page(Action.CONFIGURE)
@require_POST
def delete(request: HttpRequest, device: int, snapshot: int) -> HttpResponse:
    snapshots.remove(request, _snapshot(request, device, snapshot))
    messages.success(request, "The snapshot is deleted.")
    return redirect("devices:device-history", device)


@sync_to_async
def _rendered(request: HttpRequest, device: Device, context: dict[str, Any], status: int = 200) -> HttpResponse:
    template = context.pop("template")
    return render(request, template, framed(request, device, "device-history", **context), status=status)


def _number(text: str | None) -> int:
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise Http404("There is no such snapshot.")
    return int(text)


class _Labels:
    """The names of groups and settings as people know them; also of such as the device has not at present."""

    def __init__(self, device: Device) -> None:
        driver = driver_for(device)
        self._groups = {group.id: group for group in (*driver.all_groups, *driver.groups)}
        self._settings: dict[str, dict[str, str]] = {}

    def title(self, group: str) -> str:
        return self._groups[group].title if group in self._groups else group

    def setting(self, group: str, name: str) -> str:
        if group not in self._settings:
            known = self._groups.get(group)
            self._settings[group] = {facts["name"]: facts["label"] for facts in schema(known)} if known else {}
        return self._settings[group].get(name, name)

    def pairs(self, found: Pairs) -> list[ChangedGroup]:
        return [
            ChangedGroup(
                self.title(group),
                [(self.setting(group, name), text_of(old), text_of(new)) for name, (old, new) in each.items()],
            )
            for group, each in found.items()
        ]

    def restored(self, done: Restored) -> dict[str, Any]:
        return {
            "changed": self.pairs(done.changed),
            "differing": self.pairs(done.differing),
            "left": [
                ChangedGroup(self.title(group), [(self.setting(group, name), why) for name, why in each.items()])
                for group, each in done.left.items()
            ],
            "failures": {self.title(group): why for group, why in done.failed.items()},
        }
