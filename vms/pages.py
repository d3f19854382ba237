"""The cameras, the status bar, the styleguide, the error pages, and what the frame around every page shows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import InterfaceError, OperationalError
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.api_base import error_response
from accounts.guards import page
from accounts.policy import Action, Policy, Someone, Standing, allowed, may
from devices import polling
from devices.models import Camera, Device
from vms import health


# --- The frame --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Page:
    """One entry of the rail. `views` are the beginnings of the view names that belong to it."""

    label: str
    icon: str
    key: str
    view: str
    policy: Policy
    views: tuple[str, ...]
    last: bool = False  # the first of those at the rail's lower end


PAGES = (
    Page("Live", "layout-grid", "l", "home", Action.WATCH, ("home",)),
    Page("Cameras", "video", "c", "cameras", Action.WATCH, ("cameras", "streaming:camera")),
    Page(
        "Devices",
        "cctv",
        "d",
        "devices:list",
        Action.WATCH,
        ("devices:list", "devices:device", "devices:add", "devices:import", "devices:site"),
    ),
    Page("Library", "film", "b", "recordings:library", Action.PLAYBACK, ("recordings:library",)),
    Page("Jobs", "list-checks", "j", "recordings:jobs", Action.WATCH, ("recordings:job",)),
    Page("Events", "activity", "e", "devices:events", Action.WATCH, ("devices:events",)),
    Page("Users", "users", "u", "accounts:users", Action.MANAGE_USERS, ("accounts:user",), last=True),
    Page("API tokens", "key-round", "t", "accounts:tokens", Standing.SIGNED_IN, ("accounts:token",)),
    Page("Audit", "scroll-text", "a", "accounts:audit", Action.READ_AUDIT, ("accounts:audit",)),
)


def _rail(request: HttpRequest) -> list[dict[str, Any]]:
    match = request.resolver_match
    here = match.view_name if match else ""
    return [
        {
            "label": each.label,
            "icon": each.icon,
            "key": each.key,
            "url": reverse(each.view),
            "current": here.startswith(each.views),
            "last": each.last,
        }
        for each in PAGES
        if allowed(request.user, each.policy)
    ]


def shell(request: HttpRequest) -> dict[str, Any]:
    """The context of all pages. The rail is made only where a template shows it, so pages without cost no query."""
    rail: Callable[[], list[dict[str, Any]]] = cache(lambda: _rail(request))
    return {"version": settings.VERSION, "rail": rail}


# --- Pages ------------------------------------------------------------------------------------------------------------
@page(Action.WATCH)
@require_safe
def cameras(request: HttpRequest) -> HttpResponse:
    """All cameras at a glance, and how their devices are."""
    user = request.user
    shown = list(
        Camera.objects.visible_to(user)
        .select_related("device__site")
        .order_by("device__site__name", "device__name", "number")
    )
    devices = list(Device.objects.visible_to(user).select_related("site").order_by("site__name", "name"))
    memories = polling.remembered([device.pk for device in devices])
    context = {
        "cameras": shown,
        "devices": devices,
        "rows": [(device, polling.last_seen(device, memories.get(device.pk))) for device in devices],
        "demo": any(device.simulated for device in devices),
        "may_configure": may(user, Action.CONFIGURE),
        # Who may add and remove the demo devices is who may manage everything, as devices.pages.adding asks it.
        "may_everything": may(user, Action.MANAGE_USERS),
    }
    return render(request, "pages/cameras.html", context)


@page(Standing.SIGNED_IN)
@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """What the status bar shows. Every open page asks every few seconds: two queries, and checks that are shared."""
    return JsonResponse(
        {"version": settings.VERSION, "problems": health.problems(), "cameras": _cameras_by_state(request.user)}
    )


def _cameras_by_state(user: Someone) -> dict[str, int]:
    rows = (
        Camera.objects.visible_to(user).order_by().values_list("device__enabled", "device__state").annotate(Count("pk"))
    )
    counts = {"online": 0, "degraded": 0, "offline": 0}
    for enabled, state, count in rows:
        shown = state if enabled else "disabled"
        counts[shown] = counts.get(shown, 0) + count
    return counts


@page(Standing.SIGNED_IN)
@require_safe
def styleguide(request: HttpRequest) -> HttpResponse:
    """All components on one page, to look at and to test against."""
    from vms.styleguide import SampleForm, sample_devices

    form = SampleForm({"name": "", "address": "camera east", "slot": "1"})
    form.is_valid()
    context = {
        "form": form,
        "devices": sample_devices(),
        "page_of": Paginator(range(1240), 50).page(3),
        "states": ["online", "degraded", "offline", "unauthorised", "replaced", "unknown", "disabled"],
        "swatches": ["ground", "panel", "raised", "accent", "good", "warn", "bad", "info", "sim"],
    }
    return render(request, "pages/styleguide.html", context)


# --- When something goes wrong ----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Failure:
    """An error as a person reads it: what happened, why, what to do."""

    status: int
    title: str
    why: str
    advice: str


BAD_REQUEST = Failure(
    400,
    "The server did not understand this request",
    "Something in the address or in what was sent is not as it should be, or it is larger than allowed.",
    "Go back, check what you entered, and try again.",
)
WRONG_HOST = Failure(
    400,
    "This server does not answer to this name",
    "It is reached here under a name that it was not told about.",
    "Use the address it prints when it starts, or add this name to ALLOWED_HOSTS.",
)
FORBIDDEN = Failure(
    403,
    "You may not do this",
    "Your role or your grants do not cover it.",
    "Ask an administrator if you need it.",
)
CSRF = Failure(
    403,
    "This form is no longer valid",
    "The page it was on is too old, or cookies are blocked, so it cannot be told whether you sent it.",
    "Load the page again and repeat what you did. If that does not help, allow cookies for this site.",
)
NOT_FOUND = Failure(
    404,
    "There is nothing here",
    "It was removed, the address is wrong, or it is something you may not see.",
    "Check the address, or start again from the cameras.",
)
BROKEN = Failure(
    500,
    "Something went wrong in the server",
    "This is a mistake of the product, not yours. It was written to the log.",
    "Try again. If it happens again, tell your administrator the request's number below.",
)
NO_DATABASE = Failure(
    503,
    "The database is not available",
    "The server is running, but it cannot reach or write its database just now. Pictures already open go on.",
    "Wait a moment and try again. If it lasts, an administrator finds the cause on /readyz and in the log.",
)


def _answer(request: HttpRequest, failure: Failure, why: str = "") -> HttpResponse:
    """The error page, or the API's form of it. Needs neither the database nor a session: both may be what is broken."""
    if request.path.startswith("/api/"):
        return error_response(failure.status, why or f"{failure.title}. {failure.why}")
    context = {
        "failure": failure,
        "why": why or failure.why,
        "request_id": getattr(request, "request_id", ""),
    }
    response = HttpResponse(render_to_string("pages/failure.html", context), status=failure.status)
    if failure.status == 503:
        response["Retry-After"] = "5"
    return response


def _sentence(exception: Exception | None) -> str:
    """What was said when it was raised, if that was meant for people (a URL resolver's Http404 is not)."""
    said = exception.args[0] if exception and exception.args else ""
    return said if isinstance(said, str) else ""


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    wrong_host = type(exception).__name__ == "DisallowedHost"
    return _answer(request, WRONG_HOST if wrong_host else BAD_REQUEST)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, FORBIDDEN, _sentence(exception) if isinstance(exception, PermissionDenied) else "")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, NOT_FOUND, _sentence(exception) if isinstance(exception, Http404) else "")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _answer(request, CSRF)


def server_error(request: HttpRequest) -> HttpResponse:
    error = sys.exc_info()[1]
    return _answer(request, NO_DATABASE if isinstance(error, OperationalError | InterfaceError) else BROKEN)
