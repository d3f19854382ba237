"""Users, what they may reach, their API tokens, and the audit of what was done."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, NoReturn

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone


class Role(models.TextChoices):
    """In rising order of power; each may do all that the one before it may."""

    VIEWER = "viewer", "Viewer"
    OPERATOR = "operator", "Operator"
    ADMIN = "admin", "Administrator"

    @property
    def rank(self) -> int:
        return list(Role).index(self)


class UserManager(BaseUserManager["User"]):
    def create_user(self, username: str, password: str | None = None, **fields: object) -> User:
        user = self.model(username=username, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        # Telephones write a capital where a name begins; "Ann" and "ann" cannot be two people (see the constraint).
        return self.get(username__iexact=username)


class User(AbstractBaseUser):
    username = models.CharField(
        max_length=64,
        unique=True,
        validators=[
            RegexValidator(r"\A[\w.@+-]+\Z", "Use letters without accents, digits and . @ + - _ only.", flags=re.ASCII)
        ],
    )
    full_name = models.CharField(max_length=100, blank=True)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)
    is_active = models.BooleanField(default=True)
    # Set for a password that somebody else has seen; nothing but choosing a new one is possible until it is cleared.
    must_change_password = models.BooleanField(default=False)
    # The short welcome is shown until it is closed once.
    welcomed = models.BooleanField(default=False)
    created = models.DateTimeField(default=timezone.now)
    # How often all sessions of this user were ended at once. A session proves that it began after the last time.
    sessions_ended = models.PositiveIntegerField(default=0)

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    class Meta:
        ordering = ("username",)
        constraints = (models.UniqueConstraint(Lower("username"), name="username_is_unique_whatever_its_case"),)

    # The token a request came with, if it did; accounts.policy narrows the user's power by it. Never stored.
    acting_token: ApiToken | None = None

    def __str__(self) -> str:
        return self.username

    def get_session_auth_hash(self) -> str:
        return self._of_this_count(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        return map(self._of_this_count, super().get_session_auth_fallback_hash())

    def _of_this_count(self, proof: str) -> str:
        return f"{proof}:{self.sessions_ended}" if self.sessions_ended else proof


class ApiToken(models.Model):
    """A key for programs. Only its SHA-256 is kept; `prefix` (its first characters) lets people tell tokens apart.

    Whether it is narrowed is kept apart from the grants it is narrowed to: these go away together with the sites and
    cameras they are about, and the token must not reach more for that.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    narrowed = models.BooleanField(default=False)
    created = models.DateTimeField(default=timezone.now)
    expires = models.DateTimeField(null=True, blank=True)
    last_used = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created",)
        verbose_name = "token"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def expired(self) -> bool:
        return self.expires is not None and self.expires <= timezone.now()


class Grant(models.Model):
    """What a user may reach, or what a token is narrowed to: everything, one site, or one camera.

    Sites and cameras live in the room above; they are named by label, so that nothing here imports them, and the
    database still removes a grant together with the thing it is about.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, blank=True, related_name="grants")
    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, null=True, blank=True, related_name="grants")
    site = models.ForeignKey("devices.Site", on_delete=models.CASCADE, null=True, blank=True, related_name="grants")
    camera = models.ForeignKey("devices.Camera", on_delete=models.CASCADE, null=True, blank=True, related_name="grants")

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="grant_has_one_holder",
                condition=models.Q(user__isnull=True, token__isnull=False)
                | models.Q(user__isnull=False, token__isnull=True),
            ),
            models.CheckConstraint(
                name="grant_is_about_one_thing", condition=models.Q(site__isnull=True) | models.Q(camera__isnull=True)
            ),
        )

    def __str__(self) -> str:
        return f"{self.site or self.camera or 'everything'}"

    @property
    def everything(self) -> bool:
        return self.site_id is None and self.camera_id is None


class AppendOnly(Exception):
    """Somebody tried to change or remove what was recorded."""

    def __init__(self) -> None:
        super().__init__("The audit can be added to and read; entries cannot be changed or removed.")


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnly

    def delete(self) -> NoReturn:
        raise AppendOnly

    def bulk_update(self, objs: Iterable[AuditEntry], fields: Any, batch_size: int | None = None) -> NoReturn:
        raise AppendOnly

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[AuditEntry]:
        if kwargs.get("update_conflicts"):
            raise AppendOnly
        return super().bulk_create(*args, **kwargs)

    def discard(self) -> int:
        """For accounts.audit.forget_before alone, which records that it was done."""
        return self._raw_delete(self.db)


class AuditEntry(models.Model):
    """Who did what, when, from where, on which thing, and how it ended. See accounts.audit.

    People and things are kept by id and name in plain columns: an entry outlives what it tells of. The database refuses
    updates by a trigger of its own (migration 0002).
    """

    class Result(models.TextChoices):
        OK = "ok", "Done"
        REFUSED = "refused", "Refused"
        FAILED = "failed", "Failed"

    at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)
    user_id = models.BigIntegerField(null=True, db_index=True)
    user_name = models.CharField(max_length=64, blank=True)
    token_name = models.CharField(max_length=100, blank=True)
    address = models.CharField(max_length=45, blank=True)
    action = models.CharField(max_length=64, db_index=True)
    thing_type = models.CharField(max_length=32, blank=True)
    thing_id = models.CharField(max_length=64, blank=True)
    thing_name = models.CharField(max_length=200, blank=True)
    result = models.CharField(max_length=8, choices=Result.choices, default=Result.OK)
    detail: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ("-at", "-pk")
        base_manager_name = "objects"
        indexes = (models.Index(fields=("thing_type", "thing_id"), name="audit_by_thing"),)

    def __str__(self) -> str:
        return f"{self.user_name or 'somebody'}: {self.action} {self.thing_name}".strip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding or kwargs.get("force_update"):
            raise AppendOnly
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly
