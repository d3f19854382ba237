"""Long work with devices and files: what a job is, who runs it, and how it survives.

A job is a row with items; its row is the only truth. Whoever runs it writes a heartbeat into it each BEAT_SECONDS, with
how far it is. Nothing waits in a queue of messages: each worker's beat looks for jobs that may start, so neither a lost
message nor a lost Redis loses work.

    start    a queued job is claimed by one conditional UPDATE, which also counts its attempts; limits in total and per
             device are looked at first
    crash    a running job without a heartbeat for ORPHAN_SECONDS is queued again. What its items have finished stays
             finished; the one under way is begun again
    sleep    a runner that finds another attempt in the row stops and writes nothing
    cancel   a flag in the row, seen with the next heartbeat: the runner's task is cancelled, which lets a kind stop the
             device, too
    retry    what failed or was cancelled is queued again

What is to be done says its kind (`Kind`): functions on the process's event loop. They raise ItemFailed or a DeviceError
with a sentence when one item cannot be done, JobFailed when none of the rest can.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from accounts.models import User
from accounts.policy import Action
from accounts.problems import Problem
from devices import events, loop
from devices.errors import DeviceError
from devices.models import Camera, Device
from recordings.models import Job, JobItem, JobState

log = logging.getLogger(__name__)

AT_ONCE = 4  # jobs that run, in the whole installation
BEAT_SECONDS = 2.0
ORPHAN_SECONDS = 20.0
CANCEL_SECONDS = 20.0  # what stopping the device may take
MOST_ITEMS = 20_000
ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)

in_database = partial(database_sync_to_async, thread_sensitive=False)


class ItemFailed(Exception):
    """This item cannot be done; the others may. The text is a sentence."""


class JobFailed(Exception):
    """Nothing more of this job can be done. The text is a sentence."""


@dataclass(eq=False)
class Item:
    """What a kind's functions see of an item; they set `size` and `done` as they go."""

    pk: int
    number: int
    name: str
    facts: dict[str, Any]
    size: int | None = None
    done: int = 0
    state: JobState = JobState.QUEUED
    error: str = ""

    @property
    def progress(self) -> float:
        if self.state is JobState.DONE:
            return 1.0
        return min(1.0, self.done / self.size) if self.size else 0.0


@dataclass(frozen=True)
class NewItem:
    name: str
    facts: dict[str, Any] = field(default_factory=dict)
    size: int | None = None


@dataclass(eq=False)
class Run:
    """A job under way, as its kind's functions see it."""

    pk: int
    attempt: int
    device: Device | None
    camera: Camera | None
    params: dict[str, Any]
    user: User | None
    items: list[Item] = field(default_factory=list)
    message: str = ""  # what it is doing, for who watches

    @property
    def progress(self) -> float:
        return progress_of((item.size, item.progress) for item in self.items)


@dataclass(frozen=True)
class Kind:
    """What one sort of job does. `prepare` names the items, unless whoever asked did; it is called until it has come to
    its end once. `finish` is called when every item was done, and may be called again after a crash."""

    name: str
    action: Action  # what it takes to ask for one, to cancel it and to have it retried
    do: Callable[[Run, Item], Awaitable[None]]
    prepare: Callable[[Run], Awaitable[Sequence[NewItem]]] | None = None
    finish: Callable[[Run], Awaitable[None]] | None = None
    at_once: int = 1  # items
    per_device: int = 1  # jobs of its lane that one device bears
    lane: str = "card"  # jobs of different lanes do not wait for one another


KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    KINDS[kind.name] = kind
    return kind


def progress_of(items: Iterable[tuple[int | None, float]]) -> float:
    """Of a whole job: by size where sizes are known, a part each otherwise."""
    found = list(items)
    if not found:
        return 0.0
    known = [size for size, _ in found if size]
    usual = sum(known) / len(known) if known else 1.0
    return sum((size or usual) * share for size, share in found) / sum(size or usual for size, _ in found)


# --- Asking -----------------------------------------------------------------------------------------------------------
def create(
    kind: Kind,
    *,
    user: User | None,
    device: Device | None,
    camera: Camera | None = None,
    params: dict[str, Any] | None = None,
    items: Sequence[NewItem] | None = None,
    priority: int = 0,
) -> Job:
    """Queue a job. Its items, if they are known already."""
    if items is not None and len(items) > MOST_ITEMS:
        raise Problem(400, f"A job has at most {MOST_ITEMS} items; these are {len(items)}.")
    with transaction.atomic():
        job = Job.objects.create(
            kind=kind.name,
            device=device,
            device_name=device.name if device else "",
            camera=camera,
            params=params or {},
            priority=priority,
            created_by=user,
            prepared=items is not None,
        )
        _add_items(job.pk, items or ())
        transaction.on_commit(start_soon)
        transaction.on_commit(partial(_tell, job))
    return job


def start_soon() -> None:
    """Have a worker look for jobs now; should that fail, the next beat does."""
    from recordings.tasks import tend_jobs

    with contextlib.suppress(Exception):  # the broker is away; nothing is lost by it
        tend_jobs.apply_async(expires=5, retry=False)


def cancel(job: Job) -> None:
    """Cancel it, or say why there is nothing to cancel."""
    now = timezone.now()
    never_begun = Job.objects.filter(pk=job.pk, state=JobState.QUEUED)
    with transaction.atomic():
        if never_begun.update(state=JobState.CANCELLED, ended_at=now, message="Cancelled before it began."):
            job.items.exclude(state=JobState.DONE).update(state=JobState.CANCELLED)
        elif not Job.objects.filter(pk=job.pk, state=JobState.RUNNING).update(cancel_asked=True):
            raise Problem(409, f"This job has ended already: it is {_fresh(job).get_state_display().lower()}.")
    _tell(_fresh(job))


def retry(job: Job) -> None:
    """Queue again what was not done."""
    again = Job.objects.filter(pk=job.pk, state__in=(JobState.FAILED, JobState.CANCELLED))
    with transaction.atomic():
        if not again.update(state=JobState.QUEUED, error="", message="", ended_at=None, cancel_asked=False):
            raise Problem(409, f"Only what failed or was cancelled is done again; this job is {_fresh(job).state}.")
        job.items.exclude(state=JobState.DONE).update(state=JobState.QUEUED, error="", done=0)
        transaction.on_commit(start_soon)
    _tell(_fresh(job))


def _fresh(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def _add_items(job: int, items: Sequence[NewItem]) -> None:
    JobItem.objects.bulk_create(
        [
            JobItem(job_id=job, number=number, name=item.name[:200], facts=item.facts, size=item.size)
            for number, item in enumerate(items, 1)
        ],
        batch_size=500,
    )


def _tell(job: Job) -> None:
    events.publish(
        "job",
        device=job.device_id,
        job=job.pk,
        kind=job.kind,
        state=str(job.state),
        progress=round(job.progress, 4),
        message=job.message,
    )


# --- Starting and looking after ---------------------------------------------------------------------------------------
def tend() -> None:
    """Queue again what lost its runner, and start what may start. Run by beat, each BEAT_SECONDS, by any worker."""
    for job in _requeue_orphans():
        log.warning("a job lost its runner and is queued again", extra={"job": job})
    for pk, attempt in claim():
        loop.start(run(pk, attempt))


def _requeue_orphans() -> list[int]:
    silent = timezone.now() - timedelta(seconds=ORPHAN_SECONDS)
    found = list(Job.objects.filter(state=JobState.RUNNING, heartbeat_at__lt=silent).values_list("pk", "attempt"))
    return [
        pk
        for pk, attempt in found
        if Job.objects.filter(pk=pk, attempt=attempt, state=JobState.RUNNING, heartbeat_at__lt=silent).update(
            state=JobState.QUEUED, message="Begun again: the process that ran it has gone."
        )
    ]


def claim() -> list[tuple[int, int]]:
    """The jobs that start here now, each with the number of its attempt."""
    running = list(Job.objects.filter(state=JobState.RUNNING).values_list("device_id", "kind"))
    room = AT_ONCE - len(running)
    if room <= 0:
        return []
    busy: dict[tuple[int | None, str], int] = {}
    for device, kind in running:
        busy[device, _lane(kind)] = busy.get((device, _lane(kind)), 0) + 1
    claimed: list[tuple[int, int]] = []
    queued = Job.objects.filter(state=JobState.QUEUED, kind__in=KINDS).order_by("-priority", "created_at", "pk")
    for job in queued.only("pk", "kind", "device_id", "attempt", "progress").iterator(200):
        turn = job.device_id, _lane(job.kind)
        if job.device_id is not None and busy.get(turn, 0) >= KINDS[job.kind].per_device:
            continue
        now = timezone.now()
        if Job.objects.filter(pk=job.pk, state=JobState.QUEUED, attempt=job.attempt).update(
            state=JobState.RUNNING,
            attempt=job.attempt + 1,
            started_at=now,
            started_progress=job.progress,
            heartbeat_at=now,
            ended_at=None,
        ):
            claimed.append((job.pk, job.attempt + 1))
            busy[turn] = busy.get(turn, 0) + 1
            if len(claimed) == room:
                break
    return claimed


def _lane(kind: str) -> str:
    known = KINDS.get(kind)
    return known.lane if known else kind


# --- Running ----------------------------------------------------------------------------------------------------------
async def run(pk: int, attempt: int) -> None:
    """Run a claimed job to its end, its cancellation, or until another attempt is found in its row."""
    run = await in_database(_load)(pk, attempt)
    if run is None:
        return
    outcome, error = JobState.FAILED, "It ended by a mistake in this system; its log tells more."
    work = asyncio.create_task(_work(run, KINDS[await in_database(_kind_of)(pk)]), name=f"job {pk}")
    try:
        verdict = await _until_ended(run, work)
        if verdict is None:
            return  # another attempt runs it
        outcome, error = verdict
    except Exception:
        log.exception("a job ended by a mistake of ours", extra={"job": pk})
    finally:
        if not work.done():
            work.cancel()
            await asyncio.wait([work], timeout=CANCEL_SECONDS)
    with contextlib.suppress(Exception):  # with the database away its heartbeat stops, and it is begun again
        await in_database(_end)(run, outcome, error)


async def _until_ended(run: Run, work: asyncio.Task[None]) -> tuple[JobState, str] | None:
    cancelled = False
    while not work.done():
        await asyncio.wait([work], timeout=BEAT_SECONDS)
        if work.done():
            break
        try:
            asked = await in_database(_beat)(run)
        except Exception as error:
            log.warning("how far a job is was not kept: %s", error, extra={"job": run.pk})
            continue
        if asked is None:
            return None
        if asked and not cancelled:
            cancelled = True
            run.message = "Being cancelled."
            work.cancel()
            await asyncio.wait([work], timeout=CANCEL_SECONDS)
            break
    if cancelled:
        return JobState.CANCELLED, ""
    if work.cancelled():
        raise RuntimeError("somebody else cancelled it")
    problem = work.exception()
    if isinstance(problem, JobFailed | DeviceError):
        return JobState.FAILED, str(problem)
    if problem is not None:
        raise problem
    failed = [item for item in run.items if item.state is JobState.FAILED]
    if not failed:
        return JobState.DONE, ""
    return JobState.FAILED, failed[0].error if len(run.items) == 1 else f"{len(failed)} of {len(run.items)} failed."


async def _work(run: Run, kind: Kind) -> None:
    if not run.items and kind.prepare is not None:
        run.message = "Looking what there is to do."
        await in_database(_prepared)(run, await kind.prepare(run))
    waiting = [item for item in run.items if item.state is not JobState.DONE]
    waiting.reverse()

    async def work_off() -> None:
        while waiting:
            await _one(run, kind, waiting.pop())

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(kind.at_once, len(waiting))):
                group.create_task(work_off())
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    if kind.finish is not None and all(item.state is JobState.DONE for item in run.items):
        await kind.finish(run)


async def _one(run: Run, kind: Kind, item: Item) -> None:
    item.state, item.error = JobState.RUNNING, ""
    try:
        await kind.do(run, item)
        item.state, item.done = JobState.DONE, item.size or item.done
    except (ItemFailed, DeviceError) as error:
        item.state, item.error = JobState.FAILED, str(error)
    except OSError as error:
        item.state, item.error = JobState.FAILED, f"{error.strerror or error}."
    except (JobFailed, asyncio.CancelledError):
        raise
    except Exception:
        log.exception("an item of a job failed by a mistake of ours", extra={"job": run.pk, "item": item.name})
        item.state, item.error = JobState.FAILED, "It failed by a mistake in this system; its log tells more."
    await in_database(_keep_item)(run, item)


# --- In the database --------------------------------------------------------------------------------------------------
def _load(pk: int, attempt: int) -> Run | None:
    job = Job.objects.select_related("device", "camera", "created_by").filter(pk=pk, attempt=attempt).first()
    if job is None or job.state != JobState.RUNNING:
        return None
    run = Run(pk, attempt, job.device, job.camera, dict(job.params), job.created_by)
    run.items = _items_of(pk)
    return run


def _items_of(pk: int) -> list[Item]:
    rows = JobItem.objects.filter(job=pk).order_by("number")
    return [
        Item(row.pk, row.number, row.name, dict(row.facts), row.size, row.done, JobState(row.state)) for row in rows
    ]


def _kind_of(pk: int) -> str:
    return Job.objects.values_list("kind", flat=True).get(pk=pk)


def _prepared(run: Run, items: Sequence[NewItem]) -> None:
    if len(items) > MOST_ITEMS:
        raise JobFailed(f"A job has at most {MOST_ITEMS} items; these are {len(items)}. Choose fewer.")
    with transaction.atomic():
        if not _ours(run).update(prepared=True):
            raise JobFailed("Another process runs this job.")
        _add_items(run.pk, items)
    run.items = _items_of(run.pk)


def _ours(run: Run) -> Any:
    return Job.objects.filter(pk=run.pk, attempt=run.attempt, state=JobState.RUNNING)


def _beat(run: Run) -> bool | None:
    """Keep how far it is. Whether it is to be cancelled; None when it is not ours any more."""
    now = timezone.now()
    if not _ours(run).update(heartbeat_at=now, progress=run.progress, message=run.message[:300]):
        return None
    under_way = [item for item in run.items if item.state is JobState.RUNNING]
    for item in under_way:
        JobItem.objects.filter(pk=item.pk).update(state=item.state, done=item.done, size=item.size)
    job = Job.objects.get(pk=run.pk)
    _tell(job)
    # A device that was removed takes its jobs with it.
    return job.cancel_asked or (run.device is not None and job.device_id is None)


def _keep_item(run: Run, item: Item) -> None:
    """What is done is done: kept before anything else begins."""
    JobItem.objects.filter(pk=item.pk, job__attempt=run.attempt).update(
        state=item.state, done=item.done, size=item.size, error=item.error[:500]
    )


def _end(run: Run, outcome: JobState, error: str) -> None:
    with transaction.atomic():
        left = JobItem.objects.filter(job=run.pk, state__in=(JobState.QUEUED, JobState.RUNNING))
        ended = _ours(run).update(
            state=outcome,
            error=error[:500],
            message=run.message[:300] if outcome is JobState.DONE else "",
            progress=1.0 if outcome is JobState.DONE else run.progress,
            ended_at=timezone.now(),
        )
        if not ended:
            return
        left.update(state=JobState.CANCELLED if outcome is JobState.CANCELLED else JobState.FAILED)
    job = Job.objects.get(pk=run.pk)
    log.info("a job has ended: %s", outcome, extra={"job": run.pk, "kind": job.kind})
    _tell(job)


def forget_old() -> int:
    """Forget jobs that ended long ago; their files stay. Run by beat, once a night."""
    before = timezone.now() - timedelta(days=settings.JOBS_KEPT_DAYS)
    return Job.objects.filter(state__in=ENDED, ended_at__lt=before).delete()[0]


def seconds_left(job: Job) -> float | None:
    """How long it will still take, by how fast it was since it last began; None while that cannot be told."""
    if job.state != JobState.RUNNING or job.started_at is None:
        return None
    gained = job.progress - job.started_progress
    elapsed = (timezone.now() - job.started_at).total_seconds()
    return (1 - job.progress) * elapsed / gained if gained > 0.005 and elapsed > 2 else None


def counts(jobs: Any) -> dict[int, dict[str, int]]:
    """How many items of each of these jobs are in each state."""
    rows = (
        JobItem.objects.filter(job__in=jobs)
        .values_list("job")
        .annotate(
            total=Count("pk"),
            done=Count("pk", filter=Q(state=JobState.DONE)),
            failed=Count("pk", filter=Q(state=JobState.FAILED)),
        )
    )
    return {job: {"total": total, "done": done, "failed": failed} for job, total, done, failed in rows}
