"""How jobs and files are put into words on pages, and what their states look like: never by colour alone."""

from __future__ import annotations

from dataclasses import dataclass

from django import template

from recordings import jobs, library
from recordings.models import File, Job, JobItem, JobState

register = template.Library()


@dataclass(frozen=True)
class Look:
    word: str
    tone: str
    icon: str


JOB_LOOKS = {
    JobState.QUEUED: Look("Queued", "idle", "clock"),
    JobState.RUNNING: Look("Running", "info", "play"),
    JobState.DONE: Look("Done", "good", "circle-check"),
    JobState.FAILED: Look("Failed", "bad", "circle-x"),
    JobState.CANCELLED: Look("Cancelled", "warn", "ban"),
}
FILE_LOOKS = {
    File.Verified.PENDING: Look("Not checked yet", "idle", "circle-question-mark"),
    File.Verified.PLAYABLE: Look("Whole and playable", "good", "circle-check"),
    File.Verified.WHOLE: Look("Whole", "good", "circle-check"),
    File.Verified.DAMAGED: Look("Damaged", "bad", "triangle-alert"),
    File.Verified.MISSING: Look("Missing", "bad", "circle-x"),
}
KINDS = {
    "download": "Bring clips home",
    "ftp": "Send clips by FTP",
    "delete": "Delete clips",
    "format": "Format a card",
    "export": "Export a recording",
}


@register.filter
def job_look(state: str) -> Look:
    return JOB_LOOKS[JobState(state)]


@register.filter
def file_look(verified: str) -> Look:
    return FILE_LOOKS[File.Verified(verified)]


@register.filter
def kind_in_words(kind: str) -> str:
    return KINDS.get(kind) or kind.replace("_", " ").capitalize()


@register.filter
def time_left(job: Job) -> str:
    """About how long it will still take; empty while that cannot be told."""
    seconds = jobs.seconds_left(job)
    if seconds is None:
        return ""
    if seconds < 60:
        return "less than a minute left"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min left"
    return f"about {round(seconds / 3600)} h left"


@register.filter
def percent(share: float) -> int:
    """Rounded down: what is not done is not at 100 %."""
    return int(share * 100)


@register.filter
def share_done(item: JobItem) -> float:
    if item.state == JobState.DONE:
        return 1.0
    return min(1.0, item.done / item.size) if item.size else 0.0


@register.filter
def lasting(seconds: float | None) -> str:
    """0:07, 12:30, 1:02:03."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@register.filter
def way_of_showing(file: File) -> str:
    """How its page shows it: film, remuxed, still, or nothing when only a download helps."""
    kind = file.kind.lower()
    if kind in library.PLAYED_AS_IT_IS:
        return "film"
    if kind in library.REMUXED:
        return "remuxed"
    return "still" if kind in library.STILLS else ""
