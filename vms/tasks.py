"""Tasks about the product itself."""

from datetime import timedelta

from celery import shared_task
from celery.signals import task_postrun, task_prerun, worker_ready
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from accounts import audit
from vms import health, logs


@shared_task
def heartbeat() -> None:
    """Proves that the schedule, Redis and a worker work together; `/readyz` looks for it."""
    health.beat()


@shared_task
def tidy() -> None:
    """Forget what has had its time: ended sessions, and audit entries past their retention."""
    call_command("clearsessions")
    if settings.AUDIT_DAYS:
        audit.forget_before(timezone.now() - timedelta(days=settings.AUDIT_DAYS), by=None)


@worker_ready.connect
def first_heartbeat(**_: object) -> None:
    heartbeat.delay()


@task_prerun.connect
def name_task_in_log(task_id: str, **_: object) -> None:
    logs.context.set({"task": task_id[:8]})


@task_postrun.connect
def forget_task_in_log(**_: object) -> None:
    logs.context.set(None)
