"""The pages of jobs and of the library. What they change goes through the API."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.guards import page, thing_for
from accounts.policy import Action, Someone, may, those_allowed
from devices.models import Camera, Device
from recordings import jobs, library
from recordings.forms import FileFilter
from recordings.models import File, Job, JobState

M = TypeVar("M", bound=Model)

JOBS_PER_PAGE = 50
ITEMS_PER_PAGE = 200
FILES_PER_PAGE = 48  # full rows of 2, 3, 4, 6 and 8
FILES_OF_A_JOB = 24


# --- Jobs -------------------------------------------------------------------------------------------------------------
@page(Action.WATCH)
@require_safe
def job_list(request: HttpRequest) -> HttpResponse:
    asked = request.GET.get("state", "")
    state = JobState(asked) if asked in JobState.values else None
    rows = Job.objects.visible_to(request.user).select_related("created_by")
    if state is not None:
        rows = rows.filter(state=state)
    shown = Paginator(rows, JOBS_PER_PAGE).get_page(request.GET.get("page"))
    counted = jobs.counts([job.pk for job in shown])
    mine = _may_steer(request.user, list(shown))
    context = {
        "jobs": shown,
        "rows": [{"job": job, "items": counted.get(job.pk, {}), "mine": job.pk in mine} for job in shown],
        "state": state,
        "states": JobState.choices,
        "query": urlencode({"state": state}) if state else "",
    }
    return render(request, "recordings/jobs.html", context)


@page(Action.WATCH)
@require_safe
def job_page(request: HttpRequest, job: int) -> HttpResponse:
    found = thing_for(request, Job, Action.WATCH, pk=job)
    items = Paginator(found.items.all(), ITEMS_PER_PAGE).get_page(request.GET.get("page"))
    context: dict[str, Any] = {
        "job": found,
        "device": _seen(Device.objects.visible_to(request.user), found.device_id),
        "items": items,
        "counted": jobs.counts([found.pk]).get(found.pk, {}),
        "mine": found.pk in _may_steer(request.user, [found]),
    }
    if may(request.user, Action.PLAYBACK):
        files = File.objects.visible_to(request.user).filter(job=found)
        context |= {"files": files[:FILES_OF_A_JOB], "files_total": files.count()}
    return render(request, "recordings/job.html", context)


def _may_steer(user: Someone, shown: list[Job]) -> set[int]:
    """The jobs that this user may cancel and have done again: whoever may ask for one of their kind."""
    by_action: dict[Action, list[int]] = {}
    for job in shown:
        kind = jobs.KINDS.get(job.kind)
        by_action.setdefault(kind.action if kind else Action.CONFIGURE, []).append(job.pk)
    return {pk for action, keys in by_action.items() for pk in those_allowed(user, action, Job, keys)}


# --- The library ------------------------------------------------------------------------------------------------------
@page(Action.PLAYBACK)
@require_safe
def file_list(request: HttpRequest) -> HttpResponse:
    user = request.user
    form = FileFilter(request.GET, devices=Device.objects.visible_to(user), cameras=Camera.objects.visible_to(user))
    found = library.searched(File.objects.visible_to(user), form.wish()).select_related("camera")
    asked = {name: value for name, value in request.GET.items() if value and name in form.fields}
    context = {
        "form": form,
        "files": Paginator(found, FILES_PER_PAGE).get_page(request.GET.get("page")),
        "filtered": bool(asked),
        "query": urlencode(asked),
    }
    return render(request, "recordings/library.html", context)


@page(Action.PLAYBACK)
@require_safe
def file_page(request: HttpRequest, file: int) -> HttpResponse:
    user = request.user
    found = thing_for(request, File, Action.PLAYBACK, pk=file)
    context = {
        "file": found,
        "is_there": library.where(found).is_file(),
        "device": _seen(Device.objects.visible_to(user), found.device_id),
        "camera": _seen(Camera.objects.visible_to(user), found.camera_id),
        "job": _seen(Job.objects.visible_to(user), found.job_id),
        "may_export": may(user, Action.EXPORT, found),
        "may_delete": may(user, Action.DELETE, found),
        "most_notes": library.MOST_NOTES,
    }
    return render(request, "recordings/file.html", context)


def _seen(rows: QuerySet[M], pk: int | None) -> M | None:
    """What a page leads on to, if there is such a thing and its user may see it."""
    return rows.filter(pk=pk).first() if pk is not None else None
