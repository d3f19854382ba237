"""Jobs: how far they are, cancel, do again."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from ninja import Query, Router, Schema

from accounts import audit
from accounts.api_base import Page, Paging, paged
from accounts.guards import endpoint, thing_for
from accounts.policy import Action
from recordings import jobs
from recordings.models import Job, JobItem, JobState

router = Router(tags=["jobs"])


class ItemOut(Schema):
    name: str
    state: str
    progress: float
    size: int | None
    error: str


class JobOut(Schema):
    id: int
    kind: str
    device: int | None
    device_name: str
    camera: int | None
    state: str
    progress: float
    message: str
    error: str
    seconds_left: float | None
    priority: int
    created_at: datetime
    created_by: str | None
    started_at: datetime | None
    ended_at: datetime | None
    items_total: int
    items_done: int
    items_failed: int
    files: list[int]


class JobWithItems(JobOut):
    items: list[ItemOut]


def job_out(job: Job, counted: dict[str, int]) -> dict[str, object]:
    return {
        **{name: getattr(job, name) for name in ("kind", "device_name", "state", "progress", "message", "error")},
        **{name: getattr(job, name) for name in ("priority", "created_at", "started_at", "ended_at")},
        "id": job.pk,
        "device": job.device_id,
        "camera": job.camera_id,
        "created_by": job.created_by.username if job.created_by else None,
        "seconds_left": jobs.seconds_left(job),
        "items_total": counted.get("total", 0),
        "items_done": counted.get("done", 0),
        "items_failed": counted.get("failed", 0),
        "files": [file.pk for file in job.files.all()],
    }


def job_with_items(job: Job) -> dict[str, object]:
    return {
        **job_out(job, jobs.counts([job.pk]).get(job.pk, {})),
        "items": [_item_out(each) for each in job.items.all()],
    }


def _item_out(item: JobItem) -> dict[str, object]:
    share = 1.0 if item.state == JobState.DONE else min(1.0, item.done / item.size) if item.size else 0.0
    return {"name": item.name, "state": item.state, "progress": share, "size": item.size, "error": item.error}


class Which(Schema):
    state: JobState | None = None
    device: int | None = None


@router.get("jobs", response=Page[JobOut])
@endpoint(Action.WATCH)
def list_jobs(request: HttpRequest, which: Query[Which], paging: Query[Paging]) -> dict[str, object]:
    """Newest first."""
    rows = Job.objects.visible_to(request.user).select_related("created_by").prefetch_related("files")
    if which.state is not None:
        rows = rows.filter(state=which.state)
    if which.device is not None:
        rows = rows.filter(device=which.device)
    page = paged(rows, paging)
    counted = jobs.counts([job.pk for job in page["results"]])
    page["results"] = [job_out(job, counted.get(job.pk, {})) for job in page["results"]]
    return page


@router.get("jobs/{int:job_id}", response=JobWithItems)
@endpoint(Action.WATCH)
def get_job(request: HttpRequest, job_id: int) -> dict[str, object]:
    """With its items."""
    return job_with_items(thing_for(request, Job, Action.WATCH, pk=job_id))


@router.post("jobs/{int:job_id}/cancel", response=JobWithItems)
@endpoint(Action.WATCH)
def cancel_job(request: HttpRequest, job_id: int) -> dict[str, object]:
    """What is under way is stopped on the device, too; what is done stays done."""
    job = _mine(request, job_id)
    jobs.cancel(job)
    audit.record(request, "cancel a job", job.device, job=job.pk, kind=job.kind)
    return get_job(request, job_id)


@router.post("jobs/{int:job_id}/retry", response=JobWithItems)
@endpoint(Action.WATCH)
def retry_job(request: HttpRequest, job_id: int) -> dict[str, object]:
    """What failed or was cancelled is done again; what is done is not."""
    job = _mine(request, job_id)
    jobs.retry(job)
    audit.record(request, "retry a job", job.device, job=job.pk, kind=job.kind)
    return get_job(request, job_id)


def _mine(request: HttpRequest, job_id: int) -> Job:
    """The job, for whoever may ask for one of its kind."""
    job = thing_for(request, Job, Action.WATCH, pk=job_id)
    kind = jobs.KINDS.get(job.kind)
    return thing_for(request, Job, kind.action if kind else Action.CONFIGURE, pk=job_id)
