"""What happened to devices: searched and live, for those who may see them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.guards import page
from accounts.policy import Action
from devices.forms import EventFilter
from devices.models import Event, Site

EVENTS_PER_PAGE = 50


@page(Action.WATCH)
@require_safe
def event_list(request: HttpRequest) -> HttpResponse:
    visible = Event.objects.visible_to(request.user)
    form = EventFilter(request.GET, sites=Site.objects.visible_to(request.user))
    chosen = form.chosen()
    found = _found(visible, chosen).select_related("device", "site")
    asked = {name: value for name, value in request.GET.items() if value and name in form.fields}
    context = {
        "form": form,
        "events": Paginator(found, EVENTS_PER_PAGE).get_page(request.GET.get("page")),
        "filtered": bool(chosen),
        "query": urlencode(asked),
    }
    return render(request, "devices/events.html", context)


def _found(events: QuerySet[Event], chosen: dict[str, Any]) -> QuerySet[Event]:
    for word in str(chosen.get("text", "")).split():
        events = events.filter(Q(text__icontains=word) | Q(name__icontains=word) | Q(site__name__icontains=word))
    if kind := chosen.get("type"):
        events = events.filter(type__in=EventFilter.KINDS[kind])
    if site := chosen.get("site"):
        events = events.filter(site__name=site)
    if since := chosen.get("since"):
        events = events.filter(at__gte=since)
    if until := chosen.get("until"):
        events = events.filter(at__lt=until)
    return events
