"""The door of every view: each states its policy, and nobody gets past it otherwise.

`page` guards pages (session; redirects to the sign-in), `endpoint` marks an operation of the API, `machine` guards
other views that programs call (metrics, files). All three set `.policy` on the view, by which a test finds views
without one. What a view does with a single thing is asked once more, by `thing_for`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseForbidden
from django.middleware.csrf import CsrfViewMiddleware
from django.shortcuts import resolve_url
from django.views.decorators.csrf import csrf_exempt
from ninja.operation import Operation

from accounts import audit, tokens
from accounts.api_base import error_of
from accounts.models import User
from accounts.policy import Action, Policy, Reachable, Someone, Standing, allowed, may, role_of, why_not
from accounts.problems import Problem

log = logging.getLogger(__name__)

View = Callable[..., Any]
V = TypeVar("V", bound=View)
M = TypeVar("M", bound=Model)
SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
NOT_SIGNED_IN = "Sign in, or send an API token (Authorization: Bearer …)."


def _note_refusal(request: HttpRequest, policy: Policy, thing: Model | None = None) -> None:
    """Refused attempts to change something are worth an entry; refused looks are not."""
    if request.method in SAFE_METHODS:
        return
    audit.record(request, str(policy), thing, result="refused", route=f"{request.method} {request.path}")


# --- Pages ------------------------------------------------------------------------------------------------------------
def _redirect(request: HttpRequest, url: str) -> HttpResponse:
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return HttpResponse(status=302, headers={"Location": url})


def _came_from(request: HttpRequest) -> str:
    """Where to return to after signing in: the page, also when a part of it was asked for or something was sent."""
    if request.headers.get("HX-Request") == "true":
        current = urlsplit(request.headers.get("HX-Current-URL", ""))
        path = f"/{current.path.lstrip('/')}"  # "//elsewhere" would lead there
        return f"{path}?{current.query}" if current.query else path
    return request.get_full_path() if request.method in SAFE_METHODS else ""


def _turned_away(request: HttpRequest, policy: Policy) -> HttpResponse | None:
    """What somebody gets who may not enter this page; None for who may. Loads the user (not for public pages)."""
    if policy is Standing.PUBLIC:
        return None
    user = request.user
    if not user.is_authenticated:
        back = _came_from(request)
        query = f"?{urlencode({'next': back})}" if back not in ("", "/") else ""
        return _redirect(request, resolve_url(settings.LOGIN_URL) + query)
    if allowed(user, policy):
        return None
    if role_of(user) is None and user.must_change_password:
        return _redirect(request, resolve_url("accounts:password"))
    _note_refusal(request, policy)
    raise PermissionDenied(why_not(user, policy))


def page(policy: Policy) -> Callable[[V], V]:
    """Guard a page, sync or async."""

    def decorate(view: V) -> V:
        guarded: Any
        if iscoroutinefunction(view):

            @wraps(view)
            async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
                turned_away = await sync_to_async(_turned_away)(request, policy)
                return turned_away or await view(request, *args, **kwargs)
        else:

            @wraps(view)
            def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
                return _turned_away(request, policy) or view(request, *args, **kwargs)

        guarded.policy = policy
        return guarded  # type: ignore[no-any-return]

    return decorate


# --- Programs ---------------------------------------------------------------------------------------------------------
class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> HttpResponseForbidden:
        return HttpResponseForbidden(reason)  # not the page that people get: nobody sees it


def _is_forged(request: HttpRequest) -> bool:
    """Does a request of a session lack the CSRF token? (Django does not ask for it at views that programs call.)"""
    request.csrf_processing_done = False  # type: ignore[attr-defined]
    check = _CsrfCheck(lambda _: HttpResponse())
    check.process_request(request)
    return check.process_view(request, lambda _: HttpResponse(), (), {}) is not None


def _authenticated(request: HttpRequest) -> Someone:
    """Whom a request speaks for: by its token if it brings one, else by its session (then with the CSRF token)."""
    header = request.headers.get("Authorization", "")
    if header:
        scheme, _, plain = header.partition(" ")
        user = tokens.user_of(plain.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            raise Problem(401, "This token is unknown, expired or of a disabled user; make a new one.")
        return user
    if not request.user.is_authenticated:
        return AnonymousUser()
    if request.method not in SAFE_METHODS and _is_forged(request):
        raise Problem(
            403, "The CSRF token is missing or wrong: send it in the X-CSRFToken header, or use an API token."
        )
    return request.user


def admit(request: HttpRequest, policy: Policy) -> None:
    """Let a program in, or raise the Problem that says why not. Sets request.user."""
    if policy is Standing.PUBLIC:
        return
    user = _authenticated(request)
    request.user = user
    if not isinstance(user, User):
        raise Problem(401, NOT_SIGNED_IN)
    if not allowed(user, policy):
        _note_refusal(request, policy)
        raise Problem(403, why_not(user, policy))


class Door:
    """Stands before an operation of the API; the operation's body is not even read for who may not enter."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def __call__(self, request: HttpRequest) -> bool:
        admit(request, self.policy)
        return True


def endpoint(policy: Policy) -> Callable[[V], V]:
    """Guard an operation of the API. Goes directly under the router's decorator; the function itself stays as it is."""

    def decorate(view: V) -> V:
        def place_door(operation: Operation) -> None:
            operation.auth_param = operation.auth_callbacks = [Door(policy)]

        marked: Any = view
        marked.policy = policy
        marked._ninja_contribute_to_operation = [place_door]
        return view

    return decorate


def machine(policy: Policy) -> Callable[[V], V]:
    """Guard a view outside the API that programs call: the same rule and the same form of errors."""

    def decorate(view: V) -> V:
        guarded: Any
        if iscoroutinefunction(view):

            @wraps(view)
            async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
                try:
                    await sync_to_async(admit)(request, policy)
                    return await view(request, *args, **kwargs)  # type: ignore[no-any-return]
                except (Problem, Http404, PermissionDenied) as error:
                    return error_of(error)
        else:

            @wraps(view)
            def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
                try:
                    admit(request, policy)
                    return view(request, *args, **kwargs)  # type: ignore[no-any-return]
                except (Problem, Http404, PermissionDenied) as error:
                    return error_of(error)

        guarded.policy = policy
        return csrf_exempt(guarded)  # type: ignore[no-any-return]  # `admit` asks for it, of sessions only

    return decorate


# --- Things -----------------------------------------------------------------------------------------------------------
def one_of(rows: QuerySet[M], **lookup: Any) -> M:
    """The one row among those that the caller may see; Http404, with a sentence for people, if it is not there."""
    found = rows.filter(**lookup).first()
    if found is None:
        raise Http404(f"There is no such {rows.model._meta.verbose_name}, or you may not see it.")
    return found


def thing_for(request: HttpRequest, model: type[M], action: Action, **lookup: Any) -> M:
    """The one thing a view is about, if its user may do this with it.

    What they may not see does not exist for them (Http404); what they see but may not touch is refused with a sentence.
    """
    rows: Reachable = model._default_manager  # type: ignore[assignment]
    thing = one_of(rows.visible_to(request.user), **lookup)
    if not may(request.user, action, thing):
        _note_refusal(request, action, thing)
        raise PermissionDenied(why_not(request.user, action, thing))
    return thing  # type: ignore[no-any-return]
