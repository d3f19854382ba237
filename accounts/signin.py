"""Signing in and out, and lifting a lock-out (accounts.passwords says when one falls)."""

from __future__ import annotations

import time

from axes.utils import reset
from django.contrib.auth import login, logout
from django.http import HttpRequest

from accounts import audit
from accounts.middleware import RENEWED
from accounts.models import User
from accounts.passwords import Lockout, Refusal, lockouts, prove
from accounts.users import forget_one_time_password

__all__ = ["Lockout", "Refusal", "lockouts", "sign_in", "sign_out", "unlock"]


def sign_in(request: HttpRequest, username: str, password: str) -> User | Refusal:
    """Check a name and password; on success this request's session is the user's."""
    user = prove(request, username, password, "sign in")
    if isinstance(user, Refusal):
        return user
    login(request, user)
    request.session[RENEWED] = int(time.time())
    audit.record(request, "sign in")
    forget_one_time_password(user)
    return user


def sign_out(request: HttpRequest) -> None:
    if request.user.is_authenticated:
        audit.record(request, "sign out")
    logout(request)


def unlock(by: audit.By, user: User) -> int:
    """Forget this user's failed attempts, from wherever. The number of counts forgotten."""
    forgotten: int = reset(username=user.username.lower())
    audit.record(by, "unlock user", user)
    return forgotten
