"""The list of all devices one may see: searched, sorted, kept up to date by the events socket."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.guards import page
from accounts.policy import Action, may
from devices import polling
from devices.forms import DeviceFilter
from devices.models import Device, Site, State, Tag

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
        "may_everything": may(request.user, Action.MANAGE_USERS),
    }
    return render(request, "devices/list.html", context)


def _tags(visible: QuerySet[Device]) -> QuerySet[Tag]:
    return Tag.objects.filter(devices__in=visible).distinct()


def _found(devices: QuerySet[Device], chosen: dict[str, Any]) -> QuerySet[Device]:
    for word in str(chosen.get("text", "")).split():
        devices = devices.filter(
            Q(name__icontains=word)
            | Q(host__icontains=word)
            | Q(model__icontains=word)
            | Q(serial__icontains=word)
            | Q(mac__icontains=word)
            | Q(firmware__icontains=word)
            | Q(site__name__icontains=word)
            | Q(tags__name__icontains=word)
        )
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
    return devices.distinct()


def _sorted(devices: QuerySet[Device], sort: str) -> QuerySet[Device]:
    names = SORTED_BY.get(sort.lstrip("-"), SORTED_BY["site"])
    down = sort.startswith("-")
    # What has no value comes last, whichever way it is sorted.
    order = [F(name).desc(nulls_last=True) if down else F(name).asc(nulls_last=True) for name in names]
    return devices.order_by(*order, "pk")
