"""Making, changing and removing users; the rules that hold whoever asks, page or API.

Every change is audited in the transaction that makes it. The last active administrator with a grant on everything
stays: all changes that could remove it wait for one another (`_guarding_administrators`), so that two at once cannot
each count on the other's administrator.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from accounts import audit
from accounts.grants import EVERYTHING, GrantSpec, check_grants, grants_of, write_grants
from accounts.models import Role, User
from accounts.passwords import LONGEST_PASSWORD, Refusal, prove
from accounts.problems import LastAdministrator, Problem

ONE_TIME_PASSWORD_FILE = "initial-admin-password"  # noqa: S105 -- the name of a file


def _administrators() -> Any:
    """The active administrators with a grant on everything."""
    return User.objects.filter(
        role=Role.ADMIN, is_active=True, grants__site__isnull=True, grants__camera__isnull=True, grants__isnull=False
    )


@contextmanager
def _guarding_administrators() -> Iterator[None]:
    """A transaction that must leave an administrator behind, if it found one."""
    with transaction.atomic():
        # SQLite let us in alone already (transaction_mode IMMEDIATE); PostgreSQL waits here for others like us.
        list(User.objects.select_for_update().filter(role=Role.ADMIN).order_by("pk").values_list("pk"))
        had_one = _administrators().exists()
        yield
        if had_one and not _administrators().exists():
            raise LastAdministrator


def _check_password(password: str, user: User, field: str = "password") -> None:
    if "\x00" in password or len(password) > LONGEST_PASSWORD:
        raise Problem(400, f"A password has at most {LONGEST_PASSWORD} characters, and no NUL among them.", field)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Problem(400, " ".join(error.messages), field) from None


def _checked_fields(user: User) -> None:
    try:
        user.clean_fields(exclude=["password"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise Problem(400, " ".join(messages), field) from None
    if User.objects.filter(username__iexact=user.username).exclude(pk=user.pk).exists():
        raise Problem(409, f"There is a user {user.username} already.", "username")


@contextmanager
def _unique_name(user: User) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise Problem(409, f"There is a user {user.username} already.", "username") from None


def create_user(
    by: audit.By,
    *,
    username: str,
    password: str,
    full_name: str = "",
    role: Role = Role.VIEWER,
    is_active: bool = True,
    must_change_password: bool = True,
    grants: Iterable[GrantSpec] = (),
) -> User:
    user = User(
        username=username,
        full_name=full_name,
        role=role,
        is_active=is_active,
        must_change_password=must_change_password,
    )
    _checked_fields(user)
    _check_password(password, user)
    user.set_password(password)
    wanted = check_grants(grants)
    with _unique_name(user), transaction.atomic():
        user.save()
        write_grants(user, wanted)
        audit.record(by, "create user", user, role=role, grants=[str(each) for each in wanted])
    return user


def update_user(
    by: audit.By,
    user: User,
    *,
    username: str | None = None,
    full_name: str | None = None,
    role: Role | None = None,
    is_active: bool | None = None,
    password: str | None = None,
    must_change_password: bool | None = None,
    grants: Iterable[GrantSpec] | None = None,
) -> User:
    """Change what is given and leave the rest.

    Disabling ends the user's sessions for good; tokens do not work meanwhile, and do again once the user is enabled.
    A password set here was chosen by somebody else than its user, who must therefore choose another at the next
    sign-in, unless told otherwise.
    """
    wanted = None if grants is None else check_grants(grants)
    actor = audit.actor_of(by).user
    if password is not None and actor is not None and actor.pk == user.pk:
        raise Problem(400, "Change your own password on your own page, where the present one is asked for.", "password")
    with _guarding_administrators():
        try:
            user = User.objects.get(pk=user.pk)  # as it is now that nobody else can change it
        except User.DoesNotExist:
            raise Problem(404, "This user has just been deleted by somebody else.") from None
        given = {
            "username": username,
            "full_name": full_name,
            "role": role,
            "is_active": is_active,
            "must_change_password": must_change_password,
        }
        changed: dict[str, Any] = {}
        for name, value in given.items():
            if value is not None and value != getattr(user, name):
                changed[name] = [getattr(user, name), value]
                setattr(user, name, value)
        if "is_active" in changed and not user.is_active:
            user.sessions_ended += 1
        _checked_fields(user)
        if password is not None:
            _check_password(password, user)
            user.set_password(password)
            user.must_change_password = True if must_change_password is None else must_change_password
        with _unique_name(user), transaction.atomic():
            user.save()
        if wanted is not None:
            before = grants_of(user)
            write_grants(user, wanted)
            if set(before) != set(wanted):
                changed["grants"] = [[str(each) for each in before], [str(each) for each in wanted]]
        if changed:
            audit.record(by, "change user", user, changed=changed)
        if password is not None:
            audit.record(by, "set password", user)
    return user


def delete_user(by: audit.By, user: User) -> None:
    with _guarding_administrators():
        audit.record(by, "delete user", user)
        User.objects.filter(pk=user.pk).delete()


def change_own_password(request: HttpRequest, current: str, new: str) -> None:
    """The user's own choice: this session goes on, all others end."""
    user = request.user
    assert isinstance(user, User)
    if user.acting_token is not None:
        audit.record(request, "change password", user, result="refused")
        raise Problem(403, "A token cannot change its user's password. Sign in with a browser and change it there.")
    proof = prove(request, user.username, current, "change password")
    if isinstance(proof, Refusal):
        if proof.retry_after:
            raise Problem(429, proof.sentence, retry_after=proof.retry_after)
        raise Problem(400, "That is not your present password.", "current")
    if current == new:
        raise Problem(400, "Choose a password that differs from the present one.", "new")
    _check_password(new, user, "new")
    with transaction.atomic():
        user.set_password(new)
        user.must_change_password = False
        user.save(update_fields=["password", "must_change_password"])
        audit.record(request, "change password", user)
    update_session_auth_hash(request, user)
    forget_one_time_password(user)


def forget_one_time_password(user: User) -> None:
    """The file that tells the first administrator's password has done its work once an administrator has signed in."""
    if user.role == Role.ADMIN:
        (settings.DATA_DIR / ONE_TIME_PASSWORD_FILE).unlink(missing_ok=True)


def first_administrator(username: str, password: str | None) -> str | None:
    """Make the first user, if there is none: an administrator with a grant on everything.

    Without a password given, a one-time password is made and returned; it opens nothing but the page to choose another.
    """
    with transaction.atomic():
        if User.objects.exists():
            return None
        made = None if password else secrets.token_urlsafe(12)
        user = User(username=username, role=Role.ADMIN, must_change_password=made is not None)
        _checked_fields(user)
        if password:
            _check_password(password, user)
        user.set_password(password or made)
        user.save()
        write_grants(user, [EVERYTHING])
        audit.record(None, "create user", user, role=Role.ADMIN, grants=[str(EVERYTHING)])
    return made
