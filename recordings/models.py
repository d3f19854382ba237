"""Jobs and what they are made of, and the library: files that were brought home or sent in."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.policy import Someone, within_reach
from devices.models import Camera, Device


class JobQuerySet(models.QuerySet["Job"]):
    def visible_to(self, user: Someone) -> JobQuerySet:
        return self.filter(within_reach(user, site="device__site", camera="camera"))

    def controlled_by(self, user: Someone) -> JobQuerySet:
        return self.visible_to(user)


class JobState(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class Job(models.Model):
    """Long work. Who runs it writes its heartbeat; `attempt` tells a runner that slept from the one that followed."""

    kind = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    device = models.ForeignKey(Device, null=True, on_delete=models.SET_NULL, related_name="jobs")
    device_name = models.CharField(max_length=100)  # also when the device is gone
    camera = models.ForeignKey(Camera, null=True, on_delete=models.SET_NULL, related_name="jobs")
    params = models.JSONField(default=dict)
    priority = models.SmallIntegerField(default=0)  # higher ones first
    progress = models.FloatField(default=0.0)
    message = models.CharField(max_length=300, blank=True)
    error = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)  # of the latest attempt
    started_progress = models.FloatField(default=0.0)  # what was done before it
    ended_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0)
    prepared = models.BooleanField(default=False)  # its items are known
    cancel_asked = models.BooleanField(default=False)
    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes = (
            models.Index(fields=["state", "-priority", "created_at"]),
            models.Index(fields=["-created_at", "-id"]),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class JobItem(models.Model):
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="items")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    size = models.BigIntegerField(null=True)  # bytes, where it is known
    done = models.BigIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)
    facts = models.JSONField(default=dict)  # what its kind must know to do it

    class Meta:
        ordering = ("job", "number")
        constraints = (models.UniqueConstraint(fields=["job", "number"], name="one_item_per_number"),)

    def __str__(self) -> str:
        return self.name


class FileQuerySet(models.QuerySet["File"]):
    def visible_to(self, user: Someone) -> FileQuerySet:
        return self.filter(within_reach(user, site="site", camera="camera"))

    def controlled_by(self, user: Someone) -> FileQuerySet:
        return self.visible_to(user)


class File(models.Model):
    """A file of the library: on disk, whole, and as it came."""

    class Origin(models.TextChoices):
        CARD = "card", "Card"  # pulled from a card
        PUSHED = "pushed", "Sent by the recorder"  # a clip that the device sent by FTP
        EXPORT = "export", "Export"  # downloaded from a recorder's disks
        UPLOAD = "upload", "Upload"  # sent by a camera of its own accord

    class Verified(models.TextChoices):
        PENDING = "pending", "Not checked yet"
        PLAYABLE = "playable", "Whole and playable"
        WHOLE = "whole", "Whole"  # its size and hash are known; nobody can look inside
        DAMAGED = "damaged", "Damaged"
        MISSING = "missing", "Missing"

    name = models.CharField(max_length=200)
    path = models.CharField(max_length=400, unique=True)  # within the library's folder
    key = models.CharField(max_length=300, unique=True, null=True)  # what it is a copy of: brought home once only
    kind = models.CharField(max_length=10)  # mp4, mts, n3, jpg …
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    origin = models.CharField(max_length=10, choices=Origin.choices)
    verified = models.CharField(max_length=10, choices=Verified.choices, default=Verified.PENDING)
    remark = models.CharField(max_length=300, blank=True)  # what the check found
    checked_at = models.DateTimeField(null=True)
    site = models.ForeignKey("devices.Site", null=True, on_delete=models.SET_NULL, related_name="files")
    device = models.ForeignKey(Device, null=True, on_delete=models.SET_NULL, related_name="files")
    device_name = models.CharField(max_length=100, blank=True)
    camera = models.ForeignKey(Camera, null=True, on_delete=models.SET_NULL, related_name="files")
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="files")
    start = models.DateTimeField(null=True)  # of what it shows
    end = models.DateTimeField(null=True)
    duration = models.FloatField(null=True)  # seconds, as its container tells
    notes = models.TextField(blank=True, max_length=2000)
    locked = models.BooleanField(default=False)  # nothing deletes it
    created_at = models.DateTimeField(default=timezone.now)
    objects = FileQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes = (
            models.Index(fields=["-created_at", "-id"]),
            models.Index(fields=["site", "-created_at", "-id"]),  # the same, for who may see one site
            models.Index(fields=["camera", "start"]),
            models.Index(fields=["device", "start"]),
        )

    def __str__(self) -> str:
        return self.name
