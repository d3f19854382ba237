"""Proving who one is by a password, with failures counted by django-axes.

Five for a user name from an address, and that pair waits a quarter of an hour. Thirty from an address whatever the
names, and that address waits until fewer than thirty lie within the last quarter of an hour.

The audit has each failure that was counted and each lock-out, but no attempt made while locked out: whoever goes on
trying must not fill it.

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
MOST_FAILURES_OF_ADDRESS = 30  # over all names: more than an office of people behind one address mistypes
WRONG = "The user name or the password is wrong."


@dataclass(frozen=True)
class Refusal:
    """Why a password proved nothing. With `retry_after` (seconds) it is locked out: answer 429."""

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
    if locked_out := _locked_out(bare, name, typed.address):
        return locked_out
    user = authenticate(bare, username=name, password=password)
    if user is None:
        audit.record(typed, action, result="failed")
        locked_out = _locked_out(bare, name, typed.address)
        if locked_out is None:
            return Refusal(WRONG)
        audit.record(typed, "lock out", result="refused", told=locked_out.sentence)
        return locked_out
    assert isinstance(user, User)
    return user


def _bare(request: HttpRequest) -> HttpRequest:
    """The request without what was sent in it: the counter of failures keeps what it is shown, and forms for passwords
    have secrets in every field."""
    bare = HttpRequest()
    bare.META = {name: value for name, value in request.META.items() if name != "QUERY_STRING"}
    bare.path, bare.method = request.path, request.method
    return bare


def _locked_out(bare: HttpRequest, name: str, address: str) -> Refusal | None:
    of_address = _address_locked_until(address)
    if of_address is not None:
        return _wait("Too many failed attempts from this address. Try again in {}.", of_address)
    if AxesProxyHandler.is_allowed(bare, {"username": name}):
        return None
    of_pair = max(
        (each.until for each in lockouts(name) if each.address == address), default=timezone.now() + _cool_off()
    )
    return _wait(
        "Too many failed attempts for this user from this address. Try again in {}, or ask an administrator.", of_pair
    )


def _wait(sentence: str, until: datetime) -> Refusal:
    seconds = max(1, math.ceil((until - timezone.now()).total_seconds()))
    minutes = math.ceil(seconds / 60)
    return Refusal(sentence.format(f"{minutes} {'minute' if minutes == 1 else 'minutes'}"), retry_after=seconds)


def _address_locked_until(address: str) -> datetime | None:
    """When this address may try again, if it has failed too often over all names."""
    recent = AccessAttempt.objects.filter(ip_address=address, attempt_time__gt=timezone.now() - _cool_off())
    failures = 0
    latest: datetime
    newest = recent.order_by("-attempt_time").values_list("failures_since_start", "attempt_time")
    for count, latest in newest[:MOST_FAILURES_OF_ADDRESS]:  # each counts for one at least
        failures += count
        if failures >= MOST_FAILURES_OF_ADDRESS:
            return latest + _cool_off()
    return None


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
