"""Who may see what and who may do what. The only place that decides it.

Pages, API, sockets and files all ask here: `may(user, action, thing)` for one thing, `Thing.objects.visible_to(user)`
for many. A role says *what kind* of action a user may do at all; grants say *on what*. A token can only narrow both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q

from accounts.models import Grant, Role, User


class Action(StrEnum):
    WATCH = "watch"  # live pictures, snapshots, states, events
    DIAGNOSE = "diagnose"  # how streams arrive, and who watches what
    STEER = "steer"  # pan, tilt, zoom, presets
    RECORD = "record"  # start and stop a recording on the device
    PLAYBACK = "playback"
    EXPORT = "export"  # bring recordings home, download files
    CONFIGURE = "configure"  # add devices, change settings, restart
    DELETE = "delete"
    FORMAT = "format"
    CONSOLE = "console"  # any documented command by hand
    MANAGE_USERS = "manage users"
    READ_AUDIT = "read audit"


MINIMUM_ROLE: dict[Action, Role] = {
    Action.WATCH: Role.VIEWER,
    Action.DIAGNOSE: Role.OPERATOR,
    Action.STEER: Role.OPERATOR,
    Action.RECORD: Role.OPERATOR,
    Action.PLAYBACK: Role.OPERATOR,
    Action.EXPORT: Role.OPERATOR,
    Action.CONFIGURE: Role.ADMIN,
    Action.DELETE: Role.ADMIN,
    Action.FORMAT: Role.ADMIN,
    Action.CONSOLE: Role.ADMIN,
    Action.MANAGE_USERS: Role.ADMIN,
    Action.READ_AUDIT: Role.ADMIN,
}
# These are about the whole installation: an administrator of one site may not do them.
NEEDS_EVERYTHING = {Action.MANAGE_USERS, Action.READ_AUDIT}


class Standing(StrEnum):
    """The policies of routes that ask for no action."""

    PUBLIC = "public"  # anyone, signed in or not
    SIGNED_IN = "signed in"  # any active user
    NEW_PASSWORD = "new password"  # noqa: S105 -- any active user, even one who must choose a new password first


Policy = Action | Standing
Someone = User | AnonymousUser


@dataclass(frozen=True)
class Reach:
    """What one holder of grants can reach."""

    everything: bool
    sites: frozenset[int]
    cameras: frozenset[int]

    def q(self, site: str, camera: str | None) -> Q:
        """The rows in reach, given the lookups that lead from a row to its site and to its camera(s)."""
        if self.everything:
            return Q()
        q = Q(**{f"{site}__in": self.sites})
        return q | Q(**{f"{camera}__in": self.cameras}) if camera else q


class Reachable(Protocol):
    """What a model's manager must offer for `may` to decide about one of its rows."""

    def visible_to(self, user: Someone) -> models.QuerySet[Any]: ...
    def controlled_by(self, user: Someone) -> models.QuerySet[Any]: ...


def _reach(grants: models.QuerySet[Grant]) -> Reach:
    rows = list(grants.values_list("site_id", "camera_id"))
    return Reach(
        everything=any(site is None and camera is None for site, camera in rows),
        sites=frozenset(site for site, _ in rows if site is not None),
        cameras=frozenset(camera for _, camera in rows if camera is not None),
    )


def reaches(user: Someone) -> list[Reach]:
    """All the reaches a thing must be within: the user's, and the token's where it is narrowed."""
    if not isinstance(user, User) or not user.is_active:
        return [Reach(False, frozenset(), frozenset())]
    found = [_reach(Grant.objects.filter(user=user))]
    if user.acting_token is not None and user.acting_token.narrowed:
        found.append(_reach(Grant.objects.filter(token=user.acting_token)))
    return found


def within_reach(user: Someone, *, site: str, camera: str | None) -> Q:
    q = Q()
    for reach in reaches(user):
        q &= reach.q(site, camera)
    return q


def role_of(user: Someone) -> Role | None:
    """The role in force: none for who may do nothing now, and the lower of the user's and the token's."""
    if not isinstance(user, User) or not user.is_active:
        return None
    role = Role(user.role)
    token = user.acting_token
    if token is None:
        # A password somebody else has seen opens nothing. (Tokens are made knowingly and stand on their own.)
        return None if user.must_change_password else role
    if token.expired:
        return None
    return min(role, Role(token.role), key=lambda each: each.rank)


def may(user: Someone, action: Action, thing: models.Model | None = None) -> bool:
    role = role_of(user)
    if role is None or role.rank < MINIMUM_ROLE[action].rank:
        return False
    if action in NEEDS_EVERYTHING and not all(reach.everything for reach in reaches(user)):
        return False
    if thing is None:
        return True
    rows: Reachable = type(thing)._default_manager  # type: ignore[assignment]
    found = rows.visible_to(user) if action is Action.WATCH else rows.controlled_by(user)
    return found.filter(pk=thing.pk).exists()


def allowed(user: Someone, policy: Policy) -> bool:
    """May this user come in at all through a door with this policy? (What is behind it asks `may` again per thing.)"""
    if isinstance(policy, Action):
        return may(user, policy)
    if policy is Standing.PUBLIC:
        return True
    if policy is Standing.NEW_PASSWORD:
        return isinstance(user, User) and user.is_active and not (user.acting_token and user.acting_token.expired)
    return role_of(user) is not None


def why_not(user: Someone, policy: Policy, thing: models.Model | None = None) -> str:
    """The sentence for somebody who is signed in and was refused."""
    role = role_of(user)
    if role is None:
        if isinstance(user, User) and user.is_active and user.acting_token is None:
            return "Choose a new password first: the present one was given to you by somebody else."
        return "This account or token is no longer valid."
    if not isinstance(policy, Action):
        return "You may not do this."
    needed = MINIMUM_ROLE[policy]
    if role.rank < needed.rank:
        return f"This needs the role {needed.label.lower()}; yours is {role.label.lower()}."
    if policy in NEEDS_EVERYTHING and not all(reach.everything for reach in reaches(user)):
        return "This concerns the whole installation and needs a grant on everything."
    if thing is not None:
        return f"Your grants do not cover all of {thing}."
    return "You may not do this."


def those_allowed(user: Someone, policy: Policy, rows: type[models.Model], keys: Iterable[Any]) -> set[Any]:
    """Of these rows' keys, the ones `may` would say yes to: the same question for many things at once."""
    if not allowed(user, policy):
        return set()
    manager: Reachable = rows._default_manager  # type: ignore[assignment]
    acting = isinstance(policy, Action) and policy is not Action.WATCH
    found = manager.controlled_by(user) if acting else manager.visible_to(user)
    return set(found.filter(pk__in=list(keys)).values_list("pk", flat=True))
