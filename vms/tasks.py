"""Tasks about the product itself."""

from celery import shared_task
from celery.signals import task_postrun, task_prerun, worker_ready

from vms import health, logs


@shared_task
def heartbeat() -> None:
    """Proves that the schedule, Redis and a worker work together; `/readyz` looks for it."""
    health.beat()


@worker_ready.connect
def first_heartbeat(**_: object) -> None:
    heartbeat.delay()


@task_prerun.connect
def name_task_in_log(task_id: str, task: object, **_: object) -> None:
    logs.context.set({"task": task_id[:8]})


@task_postrun.connect
def forget_task_in_log(**_: object) -> None:
    logs.context.set({})
