"""API tokens: keys for programs. Shown once, kept as a SHA-256 digest, bounded by role, grants and expiry.

A digest without salt is enough: a token is 256 random bits, which nobody can guess, unlike a password.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import DatabaseError, connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts import audit
from accounts.grants import EVERYTHING, GrantSpec, check_grants, grants_of, write_grants
from accounts.models import ApiToken, Grant, Role, User
from accounts.policy import Action, may, role_of
from accounts.problems import Problem

log = logging.getLogger(__name__)

PREFIX = "vms_"
SHOWN = len(PREFIX) + 6  # characters that tell tokens apart in a list
MOST_TOKENS = 100  # of one user
NOTE_USE_EVERY = timedelta(minutes=1)
LONGEST_WAIT_MS = 100  # to note a use, while somebody else writes


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
    narrowed = bool(wanted)
    if maker is not None:
        if maker.expires is not None:
            expires = min(expires or maker.expires, maker.expires)
        if maker.narrowed:
            narrow = grants_of(maker)
            narrowed = True
            wanted = wanted or narrow
            if EVERYTHING not in narrow and not set(wanted) <= set(narrow):
                raise Problem(400, "A token cannot make one with grants it does not have itself.", "grants")
    plain = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        if user.tokens.count() >= MOST_TOKENS:
            raise Problem(409, f"A user can have {MOST_TOKENS} tokens; delete one that is no longer used.")
        token = ApiToken.objects.create(
            user=user,
            name=name,
            role=role,
            prefix=plain[:SHOWN],
            digest=_digest(plain),
            expires=expires,
            narrowed=narrowed,
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


def manageable_by(user: User) -> QuerySet[ApiToken]:
    """The tokens this user sees and may revoke: their own; for who manages users, everybody's.

    With a token: itself, and of those only the ones that can do no more than it can.
    """
    found = ApiToken.objects.select_related("user").prefetch_related("grants")
    if not may(user, Action.MANAGE_USERS):
        found = found.filter(user=user)
    acting = user.acting_token
    if acting is None:
        return found
    most = role_of(user)
    weaker = Q(role__in=[role for role in Role if most is not None and role.rank <= most.rank])
    if acting.narrowed and EVERYTHING not in (grants := grants_of(acting)):
        sites = [spec.site_id for spec in grants if spec.site_id is not None]
        cameras = [spec.camera_id for spec in grants if spec.camera_id is not None]
        covered = Q(site__in=sites) | Q(camera__in=cameras) | Q(camera__device__site__in=sites)
        beyond = Grant.objects.filter(token=OuterRef("pk")).exclude(covered)
        weaker &= Q(~Exists(beyond), narrowed=True)
    return found.filter(Q(pk=acting.pk) | weaker)


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
        with _hardly_waiting():
            ApiToken.objects.filter(stale, pk=token.pk).update(last_used=now)
    except DatabaseError as error:  # neither a full disk nor a long write of others may keep programs from reading
        log.warning("The use of a token could not be noted: %s", error)


@contextmanager
def _hardly_waiting() -> Iterator[None]:
    """What is written in here gives up after LONGEST_WAIT_MS where others hold the lock it needs."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            (usual,) = cursor.execute("PRAGMA busy_timeout").fetchone()
            cursor.execute(f"PRAGMA busy_timeout = {LONGEST_WAIT_MS}")
            try:
                yield
            finally:
                cursor.execute(f"PRAGMA busy_timeout = {usual}")
    else:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {LONGEST_WAIT_MS}")
            yield


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
