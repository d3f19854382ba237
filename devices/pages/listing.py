"""The list of all devices one may see: searched, sorted, kept up to date by the events socket."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from accounts.guards import page
from accounts.policy import Action, may
from accounts.problems import Problem
from devices import bulk, fleet, polling
from devices.forms import DeviceFilter
from devices.models import Device, DeviceQuerySet, Site, State, Tag

DEVICES_PER_PAGE = 100
SORTED_BY = {
    "name": ("name",),
    "site": ("site__name", "name"),
    "state": ("state", "site__name", "name"),
    "model": ("model", "name"),
    "address": ("host", "port"),
}


@page(Action.WATCH)
@require_safe
def device_list(request: HttpRequest) -> HttpResponse:
    visible = Device.objects.visible_to(request.user)
    form = DeviceFilter(request.GET, sites=Site.objects.visible_to(request.user), tags=_tags(visible))
    chosen = form.chosen()
    sort = request.GET.get("sort", "")
    found = _sorted(_found(visible, chosen), sort).select_related("site").prefetch_related("tags")
    devices = Paginator(found, DEVICES_PER_PAGE).get_page(request.GET.get("page"))
    memories = polling.remembered([device.pk for device in devices])
    asked = {name: value for name, value in request.GET.items() if value and name in form.fields}
    context = {
        "form": form,
        "devices": devices,
        "rows": [
            {"device": device, "last_seen": polling.last_seen(device, memories.get(device.pk))} for device in devices
        ],
        "filtered": bool(chosen),
        "sort": sort if sort.lstrip("-") in SORTED_BY else "site",
        "filter_query": urlencode(asked),
        "query": urlencode({**asked, "sort": sort} if sort else asked),
        "may_configure": may(request.user, Action.CONFIGURE),
        "sites": Site.objects.controlled_by(request.user),
        "may_everything": may(request.user, Action.MANAGE_USERS),
    }
    return render(request, "devices/list.html", context)


@page(Action.CONFIGURE)
@require_safe
def matching(request: HttpRequest) -> JsonResponse:
    """All devices that match the search of the list's address, and that may be acted upon: for selecting them all."""
    visible = Device.objects.controlled_by(request.user)
    form = DeviceFilter(request.GET, sites=Site.objects.visible_to(request.user), tags=_tags(visible))
    found = _sorted(_found(visible, form.chosen()), request.GET.get("sort", ""))
    return JsonResponse({"devices": [{"id": key, "name": name} for key, name in found.values_list("pk", "name")]})


def _tags(visible: DeviceQuerySet) -> QuerySet[Tag]:
    return Tag.objects.filter(devices__in=visible).distinct()


def _found(devices: DeviceQuerySet, chosen: dict[str, Any]) -> DeviceQuerySet:
    devices = fleet.searched(devices, chosen.get("text", ""))
    match chosen.get("state"):
        case "disabled":
            devices = devices.filter(enabled=False)
        case "trouble":
            devices = devices.filter(enabled=True).exclude(state__in=(State.ONLINE, State.UNKNOWN))
        case str(state):
            devices = devices.filter(enabled=True, state=state)
    if site := chosen.get("site"):
        devices = devices.filter(site__name=site)
    if family := chosen.get("family"):
        devices = devices.filter(family=family)
    if tag := chosen.get("tag"):
        devices = devices.filter(tags__name=tag)
    return devices


def _sorted(devices: DeviceQuerySet, sort: str) -> DeviceQuerySet:
    names = SORTED_BY.get(sort.lstrip("-"), SORTED_BY["site"])
    down = sort.startswith("-")
    # What has no value comes last, whichever way it is sorted.
    order = [F(name).desc(nulls_last=True) if down else F(name).asc(nulls_last=True) for name in names]
    return devices.order_by(*order, "pk")


# --- Several at once --------------------------------------------------------------------------------------------------
FAILURES_TOLD = 5
_DONE = {
    "enable": "enabled",
    "disable": "disabled",
    "move": "moved",
    "tag": "tagged",
    "untag": "rid of the tags",
    "poll": "asked",
    "set_clock": "set to our clock",
    "set_ntp": "given the time server",
}


@page(Action.CONFIGURE)
@require_POST
async def act_on_many(request: HttpRequest) -> HttpResponse:
    """What the bar below the list does with the selected devices; each is done or refused by itself."""
    sent = request.POST
    action = sent.get("action", "")
    wish = bulk.Wish(
        action, sent.get("site") or None, sent.get("server", "").strip(), tuple(sent.get("tags", "").split(","))
    )
    ids = [int(each) for each in sent.getlist("device") if each.isascii() and each.isdecimal() and len(each) < 10]
    try:
        done = await bulk.run(request, ids, wish)
    except Problem as problem:
        messages.error(request, problem.sentence)
    else:
        await sync_to_async(_tell)(request, done, _DONE[action])
    back = sent.get("back", "")
    return redirect(f"{reverse('devices:list')}?{back}" if back else "devices:list")


def _tell(request: HttpRequest, done: list[bulk.Done], word: str) -> None:
    failed = [each for each in done if not each.ok]
    well = len(done) - len(failed)
    if well:
        messages.success(request, f"{well} {'device is' if well == 1 else 'devices are'} {word}.")
    if not failed:
        return
    names = dict(
        Device.objects.visible_to(request.user)
        .filter(pk__in=[each.device for each in failed])
        .values_list("pk", "name")
    )
    told = [f"{names.get(each.device, 'A device')}: {each.error}" for each in failed[:FAILURES_TOLD]]
    more = f" And {len(failed) - FAILURES_TOLD} more." if len(failed) > FAILURES_TOLD else ""
    messages.error(request, " ".join(told) + more)
