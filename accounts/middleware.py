"""What every request needs before a view sees it: the scheme behind a trusted proxy, and a session that lasts.

Who may enter which view is not decided here but at each view's own door (accounts.guards), also that a user who must
choose a new password gets nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse

from accounts.requests import forwarded_scheme

RENEWED = "renewed"  # the session's key for when its life last began anew


def _believe_proxy(request: HttpRequest) -> None:
    scheme = forwarded_scheme(request.META.get("REMOTE_ADDR") or "", request.META.get("HTTP_X_FORWARDED_PROTO", ""))
    if scheme is None:
        return
    scope: dict[str, Any] | None = getattr(request, "scope", None)
    if scope is not None:
        scope["scheme"] = scheme
    else:
        request.META["wsgi.url_scheme"] = scheme


def _renew_session(request: HttpRequest) -> None:
    """Begin a signed-in session's life anew once half of it is over: one write in a week, and no wall logged out.

    Only sessions that the view has read anyway are looked at, so that this costs nothing and asks no database.
    """
    session = request.session
    if not session.accessed or SESSION_KEY not in session:
        return
    age = time.time() - session.get(RENEWED, 0)
    if not 0 <= age < settings.SESSION_COOKIE_AGE / 2:  # below 0: the clock was set back
        session[RENEWED] = int(time.time())


class Account:
    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        _believe_proxy(request)
        if self.is_async:
            return self._answer(request)
        response: HttpResponse = self.get_response(request)
        _renew_session(request)
        return response

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        response: HttpResponse = await self.get_response(request)
        _renew_session(request)
        return response
