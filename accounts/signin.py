"""Signing in and out. Failures are counted per user name and address (django-axes): five, and that pair waits.

Nothing in the answer, and as far as we can help it nothing in its timing, tells whether a user name exists: Django
hashes the password for unknown names too.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_cool_off
from axes.models import AccessAttempt
from axes.utils import reset
from django.conf import settings
from django.contrib.auth import authenticate, login, logout
from django.db.models import Max, Sum
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.middleware import RENEWED
from accounts.models import User
from accounts.requests import client_address
from accounts.users import LONGEST_PASSWORD, forget_one_time_password

LONGEST_NAME = 64


@dataclass(frozen=True)
class Refusal:
    """Why somebody was not let in. With `retry_after` (seconds) they are locked out: answer 429."""

    sentence: str
    retry_after: int | None = None


@dataclass(frozen=True)
class Lockout:
    username: str
    address: str
    until: datetime


def sign_in(request: HttpRequest, username: str, password: str) -> User | Refusal:
    """Check a name and password; on success this request's session is the user's."""
    # Lower case: "Ann" and "ann" are one user, so they must be one count of failures.
    name = username.strip().lower()
    typed = audit.Actor(address=client_address(request), name=name)
    if not name or len(name) > LONGEST_NAME or len(password) > LONGEST_PASSWORD or "\x00" in name + password:
        return Refusal("The user name or the password is wrong.")
    if not AxesProxyHandler.is_allowed(request, {"username": name}):
        audit.record(typed, "sign in", result="refused", reason="locked out")
        return _locked_out(name, typed.address)
    user = authenticate(request, username=name, password=password)
    if user is None:
        locked = bool(getattr(request, "axes_locked_out", False))
        request.axes_locked_out = False  # type: ignore[attr-defined]  # we answer ourselves, not its middleware
        audit.record(typed, "sign in", result="failed")
        if locked:
            audit.record(typed, "lock out", result="refused")
            return _locked_out(name, typed.address)
        return Refusal("The user name or the password is wrong.")
    assert isinstance(user, User)
    login(request, user)
    request.session[RENEWED] = int(time.time())
    audit.record(audit.Actor(user, typed.address), "sign in")
    forget_one_time_password(user)
    return user


def sign_out(request: HttpRequest) -> None:
    if request.user.is_authenticated:
        audit.record(request, "sign out")
    logout(request)


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


def unlock(by: audit.By, user: User) -> int:
    """Forget this user's failed attempts, from wherever. The number of counts forgotten."""
    forgotten: int = reset(username=user.username.lower())
    audit.record(by, "unlock user", user)
    return forgotten
