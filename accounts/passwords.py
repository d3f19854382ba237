"""Proving who one is by a password, with failures counted per user name and address (django-axes): five, and that pair
waits a quarter of an hour.

Nothing in the answer, and as far as we can help it nothing in its timing, tells whether a user name exists: Django
hashes the password for unknown names too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_cool_off
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth import authenticate
from django.db.models import Max, Sum
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.models import User
from accounts.requests import client_address

LONGEST_NAME = 64
LONGEST_PASSWORD = 1000
WRONG = "The user name or the password is wrong."


@dataclass(frozen=True)
class Refusal:
    """Why a password proved nothing. With `retry_after` (seconds) the pair is locked out: answer 429."""

    sentence: str
    retry_after: int | None = None


@dataclass(frozen=True)
class Lockout:
    username: str
    address: str
    until: datetime


def prove(request: HttpRequest, username: str, password: str, action: str) -> User | Refusal:
    """The active user with this name and password. Failures are audited under the action they were tried for."""
    # Lower case: "Ann" and "ann" are one user, so they must be one count of failures.
    name = username.strip().lower()
    typed = audit.Actor(address=client_address(request), name=name)
    if not name or len(name) > LONGEST_NAME or len(password) > LONGEST_PASSWORD or "\x00" in name + password:
        return Refusal(WRONG)
    bare = _bare(request)
    if not AxesProxyHandler.is_allowed(bare, {"username": name}):
        audit.record(typed, action, result="refused", reason="locked out")
        return _locked_out(name, typed.address)
    user = authenticate(bare, username=name, password=password)
    if user is None:
        audit.record(typed, action, result="failed")
        if AxesProxyHandler.is_allowed(bare, {"username": name}):
            return Refusal(WRONG)
        audit.record(typed, "lock out", result="refused")
        return _locked_out(name, typed.address)
    assert isinstance(user, User)
    return user


def _bare(request: HttpRequest) -> HttpRequest:
    """The request without what was sent in it: the counter of failures keeps what it is shown, and forms for passwords
    have secrets in every field."""
    bare = HttpRequest()
    bare.META = {name: value for name, value in request.META.items() if name != "QUERY_STRING"}
    bare.path, bare.method = request.path, request.method
    return bare


def _locked_out(name: str, address: str) -> Refusal:
    until = max((each.until for each in lockouts(name) if each.address == address), default=None)
    seconds = math.ceil((until - timezone.now()).total_seconds()) if until else int(_cool_off().total_seconds())
    seconds = max(1, seconds)
    minutes = math.ceil(seconds / 60)
    return Refusal(
        "Too many failed attempts for this user from this address. "
        f"Try again in {minutes} {'minute' if minutes == 1 else 'minutes'}, or ask an administrator.",
        retry_after=seconds,
    )


def _cool_off() -> timedelta:
    return get_cool_off() or timedelta()


def lockouts(username: str | None = None) -> list[Lockout]:
    """Who is locked out now, from where, and until when."""
    attempts = AccessAttempt.objects.filter(attempt_time__gt=timezone.now() - _cool_off())
    if username is not None:
        attempts = attempts.filter(username=username.lower())
    pairs = (
        attempts.values("username", "ip_address")
        .annotate(failures=Sum("failures_since_start"), latest=Max("attempt_time"))
        .filter(failures__gte=settings.AXES_FAILURE_LIMIT)
        .order_by("-latest")
    )
    return [
        Lockout(pair["username"] or "", pair["ip_address"] or "", pair["latest"] + _cool_off()) for pair in pairs[:1000]
    ]
