"""Users, what they may reach, their API tokens, and the audit of what was done."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.core.validators import RegexValidator
from django.db import models
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


class User(AbstractBaseUser):
    username = models.CharField(
        max_length=64,
        unique=True,
        validators=[RegexValidator(r"\A[\w.@+-]+\Z", "Use letters, digits and . @ + - _ only.")],
    )
    full_name = models.CharField(max_length=100, blank=True)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)
    is_active = models.BooleanField(default=True)
    # Set for a password that somebody else has seen; nothing but choosing a new one is possible until it is cleared.
    must_change_password = models.BooleanField(default=False)
    # The short welcome is shown until it is closed once.
    welcomed = models.BooleanField(default=False)
    created = models.DateTimeField(default=timezone.now)

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    # The token a request came with, if it did; accounts.policy narrows the user's power by it. Never stored.
    acting_token: ApiToken | None = None

    def __str__(self) -> str:
        return self.username


class ApiToken(models.Model):
    """A key for programs. Only its SHA-256 is kept; `prefix` (its first characters) lets people tell tokens apart."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    created = models.DateTimeField(default=timezone.now)
    expires = models.DateTimeField(null=True, blank=True)
    last_used = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created",)

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
