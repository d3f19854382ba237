"""API tokens: keys for programs. Shown once, kept as a SHA-256 digest, bounded by role, grants and expiry.

A digest without salt is enough: a token is 256 random bits, which nobody can guess, unlike a password.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import DatabaseError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts import audit
from accounts.grants import GrantSpec, check_grants, grants_of, write_grants
from accounts.models import ApiToken, Role, User
from accounts.policy import role_of
from accounts.problems import Problem

log = logging.getLogger(__name__)

PREFIX = "vms_"
SHOWN = len(PREFIX) + 6  # characters that tell tokens apart in a list
MOST_TOKENS = 100  # of one user
NOTE_USE_EVERY = timedelta(minutes=1)


def _digest(plain: str) -> str:
    return hashlib.sha256(plain.encode()).hexdigest()


def create(
    by: audit.By,
    user: User,
    *,
    name: str,
    role: Role | None = None,
    expires: datetime | None = None,
    grants: Iterable[GrantSpec] = (),
) -> tuple[ApiToken, str]:
    """A new token of this user, and its text, which is not kept.

    It can do no more than its user; and made with another token, no more and no longer than that one.
    """
    name = name.strip()
    if not name or len(name) > 100:
        raise Problem(400, "Give the token a name of 1 to 100 characters.", "name")
    acting = audit.actor_of(by).user
    maker = acting.acting_token if acting else None
    most = Role(user.role)
    if maker is not None:
        most = min(most, Role(maker.role), key=lambda each: each.rank)
    role = most if role is None else role
    if role.rank > most.rank:
        raise Problem(400, f"The role may not exceed {most.label.lower()}.", "role")
    if expires is not None and expires <= timezone.now():
        raise Problem(400, "The expiry lies in the past.", "expires")
    wanted = check_grants(grants)
    if maker is not None:
        if maker.expires is not None:
            expires = min(expires or maker.expires, maker.expires)
        if narrow := grants_of(maker):
            wanted = wanted or narrow
            if not set(wanted) <= set(narrow):
                raise Problem(400, "A token cannot make one with grants it does not have itself.", "grants")
    plain = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        if user.tokens.count() >= MOST_TOKENS:
            raise Problem(409, f"A user can have {MOST_TOKENS} tokens; delete one that is no longer used.")
        token = ApiToken.objects.create(
            user=user, name=name, role=role, prefix=plain[:SHOWN], digest=_digest(plain), expires=expires
        )
        write_grants(token, wanted)
        audit.record(
            by,
            "create token",
            token,
            user=user.username,
            role=role.value,
            expires=expires,
            grants=[str(each) for each in wanted],
        )
    return token, plain


def find(plain: str) -> ApiToken | None:
    """The token with this text, if it is one and has not expired."""
    if not plain.startswith(PREFIX) or len(plain) > 100 or not plain.isascii():
        return None
    token = ApiToken.objects.select_related("user").filter(digest=_digest(plain)).first()
    if token is None or token.expired:
        return None
    _note_use(token)
    return token


def _note_use(token: ApiToken) -> None:
    now = timezone.now()
    if token.last_used is not None and token.last_used > now - NOTE_USE_EVERY:
        return
    stale = Q(last_used__isnull=True) | Q(last_used__lte=now - NOTE_USE_EVERY)
    try:
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used=now)
    except DatabaseError as error:  # a full disk must not keep programs from reading
        log.warning("The use of a token could not be noted: %s", error)


def user_of(plain: str) -> User | None:
    """Whom a token speaks for; the policy narrows the user by the token. None for a token that opens nothing."""
    token = find(plain)
    if token is None or role_of(_acting(token)) is None:
        return None
    return _acting(token)


def _acting(token: ApiToken) -> User:
    user = token.user
    user.acting_token = token
    return user


def delete(by: audit.By, token: ApiToken) -> None:
    with transaction.atomic():
        audit.record(by, "delete token", token, user=token.user.username)
        token.delete()
