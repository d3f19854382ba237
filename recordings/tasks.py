"""What Celery does for jobs. The rows are the truth (see `jobs`), so each task is safe to run twice, or not at all."""

from __future__ import annotations

from celery import shared_task

from recordings import jobs


@shared_task(name="recordings.tasks.tend_jobs", time_limit=30)
def tend_jobs() -> None:
    """Start what may start, and queue again what lost its runner. Run by beat, each 2 s."""
    jobs.tend()


@shared_task(name="recordings.tasks.forget_old")
def forget_old() -> None:
    """Run by beat, once a night."""
    jobs.forget_old()
