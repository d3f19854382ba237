"""Sites, devices and the cameras they bring; and what is kept of them: snapshots, presets, events, samples."""

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


class Tag(models.Model):
    """A word of ours to find devices by."""

    name = models.CharField(max_length=40, unique=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


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
    password_next = EncryptedField(blank=True, default="")  # while it is being changed; see devices.passwords
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="devices")
    options: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    tags = models.ManyToManyField(Tag, related_name="devices", blank=True)
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
    # While it restarts: since when, and until when it is expected back; see devices.returning.
    away_since = models.DateTimeField(null=True, blank=True)
    back_by = models.DateTimeField(null=True, blank=True, db_index=True)

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
    # stream → what was seen of it (codec, width, height) and how it last came (transport); the device does not tell
    learned = models.JSONField(default=dict, blank=True)
    objects = CameraQuerySet.as_manager()

    class Meta:
        ordering = ("device__name", "number")
        constraints = (models.UniqueConstraint(fields=("device", "number"), name="camera_number_is_unique"),)

    def __str__(self) -> str:
        return self.name


class Snapshot(models.Model):
    """What the settings of a device were at a moment. Secret values are apart, encrypted."""

    class Kind(models.TextChoices):
        MANUAL = "manual", "By hand"
        NIGHTLY = "nightly", "Nightly"
        BEFORE = "before", "Before a change"

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="snapshots")
    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    # Who took it or made the change, and what for; names, since both outlive the user.
    by = models.CharField(max_length=64, blank=True)
    note = models.CharField(max_length=200, blank=True)
    # group → setting → value; of a snapshot before a change, only the groups that were changed
    values: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    secrets = EncryptedField(blank=True)  # the same shape as JSON; see devices.snapshots
    # group → why it could not be read
    unread: models.JSONField[dict[str, str], dict[str, str]] = models.JSONField(default=dict)

    class Meta:
        ordering = ("-at", "-pk")
        indexes = (models.Index(fields=("device", "kind", "at")),)

    def __str__(self) -> str:
        return f"{self.device} of {self.at:%Y-%m-%d %H:%M}"


class Preset(models.Model):
    """The name we gave a preset; the device keeps only its number."""

    camera = models.ForeignKey(Camera, on_delete=models.CASCADE, related_name="presets")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ("number",)
        constraints = (models.UniqueConstraint(fields=("camera", "number"), name="preset_number_is_unique"),)

    def __str__(self) -> str:
        return self.name or f"preset {self.number}"


class EventQuerySet(models.QuerySet["Event"]):
    def visible_to(self, user: Someone) -> EventQuerySet:
        return self.filter(within_reach(user, site="site", camera="device__cameras")).distinct()

    def controlled_by(self, user: Someone) -> EventQuerySet:
        return self.filter(within_reach(user, site="site", camera=None))


class Event(models.Model):
    """Something that happened to a device. It stays when the device goes, for those who reach its site."""

    at = models.DateTimeField(default=timezone.now)
    type = models.CharField(max_length=40)
    device = models.ForeignKey(Device, on_delete=models.SET_NULL, null=True, related_name="events")
    site = models.ForeignKey(Site, on_delete=models.SET_NULL, null=True, related_name="events")
    name = models.CharField(max_length=100)  # of the device, as it was called then
    text = models.TextField()  # a sentence
    detail: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ("-at", "-pk")
        indexes = (models.Index(fields=("at",)), models.Index(fields=("device", "at")))

    def __str__(self) -> str:
        return f"{self.type} of {self.name}"


class Sample(models.Model):
    """How a device was at a moment: at each change, and now and then in between."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="samples")
    at = models.DateTimeField()
    state = models.CharField(max_length=12, choices=State.choices)
    facts: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)

    class Meta:
        ordering = ("-at", "-pk")
        indexes = (models.Index(fields=("device", "at")), models.Index(fields=("at",)))

    def __str__(self) -> str:
        return f"{self.device} at {self.at:%Y-%m-%d %H:%M}"
