"""Sites, devices and the cameras they bring."""

from __future__ import annotations

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from accounts.policy import Someone, within_reach
from accounts.secrets import EncryptedField


class SiteQuerySet(models.QuerySet["Site"]):
    def visible_to(self, user: Someone) -> SiteQuerySet:
        return self.filter(within_reach(user, site="pk", camera="devices__cameras")).distinct()

    def controlled_by(self, user: Someone) -> SiteQuerySet:
        return self.filter(within_reach(user, site="pk", camera=None))


class Site(models.Model):
    name = models.CharField(max_length=100, unique=True)
    objects = SiteQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class State(models.TextChoices):
    UNKNOWN = "unknown", "Unknown"  # not asked yet
    ONLINE = "online", "Online"
    DEGRADED = "degraded", "Degraded"
    OFFLINE = "offline", "Offline"
    UNAUTHORISED = "unauthorised", "Unauthorised"
    REPLACED = "replaced", "Replaced"  # another device answers at the address


class Family(models.TextChoices):
    POVCAM = "povcam", "Panasonic POVCAM"
    IPRO = "ipro", "i-PRO recorder"
    IPCAM = "ipcam", "IPCamCGI camera"
    HAMA = "hama", "HAMA camera"


class DeviceQuerySet(models.QuerySet["Device"]):
    def visible_to(self, user: Someone) -> DeviceQuerySet:
        return self.filter(within_reach(user, site="site", camera="cameras")).distinct()

    def controlled_by(self, user: Someone) -> DeviceQuerySet:
        """The devices this user may act on as a whole: a grant on one camera of a recorder is not enough."""
        return self.filter(within_reach(user, site="site", camera=None))


class Device(models.Model):
    name = models.CharField(max_length=100)
    family = models.CharField(max_length=10, choices=Family.choices)
    scheme = models.CharField(max_length=5, choices=[("http", "http"), ("https", "https")], default="http")
    host = models.CharField(max_length=255)
    port = models.PositiveIntegerField(default=80, validators=[MinValueValidator(1), MaxValueValidator(65535)])
    username = models.CharField(max_length=64, blank=True)
    password = EncryptedField(blank=True)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="devices")
    options: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    enabled = models.BooleanField(default=True)
    simulated = models.BooleanField(default=False)  # a device of the demo fleet
    created = models.DateTimeField(default=timezone.now)
    # SHA-256 of the TLS certificate we trust (option tls: pin), and of another one that was offered since and refused.
    certificate = models.CharField(max_length=64, blank=True, default="")
    certificate_offered = models.CharField(max_length=64, blank=True, default="")

    # What the device last told of itself. What it does not tell stays null.
    state = models.CharField(max_length=12, choices=State.choices, default=State.UNKNOWN)
    model = models.CharField(max_length=100, null=True, blank=True)
    serial = models.CharField(max_length=100, null=True, blank=True)
    mac = models.CharField(max_length=17, null=True, blank=True)
    firmware = models.CharField(max_length=100, null=True, blank=True)
    last_seen = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    status: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)

    objects = DeviceQuerySet.as_manager()

    class Meta:
        ordering = ("name", "pk")
        constraints = (models.UniqueConstraint(fields=("host", "port"), name="device_address_is_unique"),)

    def __str__(self) -> str:
        return self.name


class CameraQuerySet(models.QuerySet["Camera"]):
    def visible_to(self, user: Someone) -> CameraQuerySet:
        return self.filter(within_reach(user, site="device__site", camera="pk"))

    def controlled_by(self, user: Someone) -> CameraQuerySet:
        return self.visible_to(user)


class Camera(models.Model):
    """One picture a device brings: a camera head, or one channel of a recorder."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="cameras")
    number = models.PositiveIntegerField(default=1)
    name = models.CharField(max_length=100)
    objects = CameraQuerySet.as_manager()

    class Meta:
        ordering = ("device__name", "number")
        constraints = (models.UniqueConstraint(fields=("device", "number"), name="camera_number_is_unique"),)

    def __str__(self) -> str:
        return self.name
