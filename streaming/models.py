"""What people keep of the live wall: which cameras they look at together."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.policy import Someone


class WallViewQuerySet(models.QuerySet["WallView"]):
    def visible_to(self, user: Someone) -> WallViewQuerySet:
        return self.filter(Q(user=user.pk) | Q(shared=True))

    def controlled_by(self, user: Someone) -> WallViewQuerySet:
        return self.filter(user=user.pk)


class WallView(models.Model):
    """A saved wall. Of a shared one everybody sees the cameras they may watch, and only its owner changes it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="wall_views")
    name = models.CharField(max_length=60)
    layout = models.CharField(max_length=4)  # one of streaming.wall.LAYOUTS
    # Camera ids, tile by tile; null is an empty tile. Cameras that are gone stay until it is saved again.
    cameras: models.JSONField[list[Any], list[Any]] = models.JSONField(default=list)
    shared = models.BooleanField(default=False)
    created = models.DateTimeField(default=timezone.now)
    objects = WallViewQuerySet.as_manager()

    class Meta:
        ordering = ("pk",)
        verbose_name = "view"
        constraints = (models.UniqueConstraint(fields=("user", "name"), name="view_name_is_unique_to_its_user"),)

    def __str__(self) -> str:
        return self.name
