"""What every request gets: an id that the log and the error pages share, and the headers that keep a page ours."""

import logging
import secrets
import time
from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from vms import logs

log = logging.getLogger("vms.http")
SLOW = 2.0  # seconds

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]


class _Middleware:
    """Runs in whichever world the request is in, so that no thread is hopped for it."""

    sync_capable = async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._call_async(request)
        self.before(request)
        response = self.get_response(request)
        assert isinstance(response, HttpResponseBase)
        self.after(request, response)
        return response

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        self.before(request)
        response = self.get_response(request)
        assert not isinstance(response, HttpResponseBase)
        done = await response
        self.after(request, done)
        return done

    def before(self, request: HttpRequest) -> None: ...

    def after(self, request: HttpRequest, response: HttpResponseBase) -> None: ...


class RequestContext(_Middleware):
    def before(self, request: HttpRequest) -> None:
        request.request_id = secrets.token_hex(6)  # type: ignore[attr-defined]
        request.began = time.perf_counter()  # type: ignore[attr-defined]
        logs.context.set({"request": request.request_id})  # type: ignore[attr-defined]

    def after(self, request: HttpRequest, response: HttpResponseBase) -> None:
        response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        took = time.perf_counter() - request.began  # type: ignore[attr-defined]
        # Changes, failures and slowness are worth a line; a wall that looks at pages all day is not.
        noteworthy = request.method not in ("GET", "HEAD", "OPTIONS") or response.status_code >= 500 or took > SLOW
        if noteworthy and request.path not in logs.PROBES:
            level = logging.ERROR if response.status_code >= 500 else logging.INFO
            log.log(level, "%s %s %d %.0f ms", request.method, request.path, response.status_code, took * 1000)


class SecurityHeaders(_Middleware):
    def after(self, request: HttpRequest, response: HttpResponseBase) -> None:
        response.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
        response.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
        # Pages show what this user may see now: a browser's cache must not show it to the next one.
        if "text/html" in response.get("Content-Type", "") and not request.path.startswith(f"/{settings.STATIC_URL}"):
            response.setdefault("Cache-Control", "no-store")
