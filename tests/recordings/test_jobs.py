"""Jobs: whatever happens to who runs them, what is done is done once and what is not is told."""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.utils import timezone

from accounts.models import Grant, Role, User
from accounts.policy import Action
from accounts.problems import Problem
from devices.errors import Busy
from devices.events import CHANNEL
from devices.models import Device, Site
from recordings import jobs
from recordings.jobs import Item, ItemFailed, JobFailed, Kind, NewItem, Run
from recordings.models import Job, JobState
from tests.api.caller import PASSWORD, Caller


class Workshop:
    """A kind of job whose items the test lets go on, and fail."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.stopped: list[str] = []
        self.finished = 0
        self.listed = 0
        self.held: set[str] = set()
        self.failing: dict[str, Exception] = {}
        self.kind = Kind("test", Action.EXPORT, self.do, self.prepare, self.finish)

    async def prepare(self, run: Run) -> list[NewItem]:
        self.listed += 1
        return [NewItem(name, {"fact": name}, size=100) for name in run.params["names"]]

    async def do(self, run: Run, item: Item) -> None:
        assert item.facts == {"fact": item.name}
        self.begun.append(item.name)
        item.done = 50
        try:
            while item.name in self.held:  # noqa: ASYNC110 — let go by another thread
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.stopped.append(item.name)
            raise
        if error := self.failing.get(item.name):
            raise error

    async def finish(self, run: Run) -> None:
        self.finished += 1


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch) -> Workshop:
    workshop = Workshop()
    monkeypatch.setitem(jobs.KINDS, "test", workshop.kind)
    monkeypatch.setattr(jobs, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(jobs, "start_soon", lambda: None)
    return workshop


@pytest.fixture
def device(transactional_db: None, redis_client: redis.Redis) -> Device:
    return Device.objects.create(
        name="Recorder", family="povcam", host="x.test", site=Site.objects.create(name="North")
    )


@pytest.fixture
def ask(workshop: Workshop, device: Device) -> Callable[..., Job]:
    def make(*names: str, on: Device | None = None, **options: Any) -> Job:
        return jobs.create(workshop.kind, user=None, device=on or device, params={"names": names}, **options)

    return make


def until(job: Job, true: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + 20
    while True:
        job = Job.objects.get(pk=job.pk)
        if true(job):
            return job
        assert time.monotonic() < deadline, (job.state, job.message, job.error)
        time.sleep(0.01)


def ended(job: Job) -> Job:
    return until(job, lambda job: job.state in jobs.ENDED)


def states(job: Job) -> dict[str, str]:
    return dict(job.items.values_list("name", "state"))


def test_a_job_does_its_items_and_is_done(ask: Callable[..., Job], workshop: Workshop):
    job = ask("a", "b", "c")
    jobs.tend()
    job = ended(job)
    assert (job.state, job.progress, job.error) == (JobState.DONE, 1.0, "")
    assert workshop.begun == ["a", "b", "c"]
    assert (workshop.listed, workshop.finished) == (1, 1)


def test_how_far_it_is_shows_while_it_runs_and_is_told(
    ask: Callable[..., Job], workshop: Workshop, redis_client: redis.Redis
):
    workshop.held = {"b"}
    ear = redis_client.pubsub(ignore_subscribe_messages=True)
    ear.subscribe(CHANNEL)
    ear.get_message(timeout=5)  # that it is subscribed
    job = ask("a", "b")
    jobs.tend()
    job = until(job, lambda job: job.progress == 0.75)
    assert states(job) == {"a": "done", "b": "running"}
    workshop.held.clear()
    ended(job)
    told = []
    while len(told) < 100 and (message := ear.get_message(timeout=0.5)) is not None:
        told.append(json.loads(message["data"]))
    assert [told[0]["state"], told[-1]["state"]] == ["queued", "done"]
    assert {"job": job.pk, "device": job.device_id, "progress": 0.75}.items() <= told[-2].items()


def test_an_item_that_fails_says_why_and_the_others_are_done(ask: Callable[..., Job], workshop: Workshop):
    workshop.failing = {"b": ItemFailed("The card was pulled."), "c": Busy("It records.")}
    job = ask("a", "b", "c", "d")
    jobs.tend()
    job = ended(job)
    assert (job.state, job.error) == (JobState.FAILED, "2 of 4 failed.")
    assert dict(job.items.values_list("name", "error")) == {
        "a": "",
        "b": "The card was pulled.",
        "c": "It records.",
        "d": "",
    }
    assert workshop.finished == 0


def test_only_what_failed_is_done_again(ask: Callable[..., Job], workshop: Workshop):
    workshop.failing = {"b": ItemFailed("No.")}
    job = ask("a", "b", "c")
    jobs.tend()
    ended(job)
    workshop.failing = {}
    jobs.retry(job)
    jobs.tend()
    assert ended(job).state == JobState.DONE
    assert workshop.begun == ["a", "b", "c", "b"]


def test_when_nothing_more_can_be_done_the_rest_is_not_tried(ask: Callable[..., Job], workshop: Workshop):
    workshop.failing = {"b": JobFailed("The disk is full.")}
    job = ask("a", "b", "c")
    jobs.tend()
    job = ended(job)
    assert (job.state, job.error) == (JobState.FAILED, "The disk is full.")
    assert workshop.begun == ["a", "b"]
    assert states(job) == {"a": "done", "b": "failed", "c": "failed"}


def test_a_mistake_of_ours_is_said_to_be_one(ask: Callable[..., Job], workshop: Workshop):
    workshop.failing = {"a": ZeroDivisionError()}
    job = ask("a", "b")
    jobs.tend()
    job = ended(job)
    assert states(job) == {"a": "failed", "b": "done"}
    assert "mistake in this system" in job.items.get(name="a").error


def test_cancelling_stops_what_is_under_way_and_keeps_what_is_done(ask: Callable[..., Job], workshop: Workshop):
    workshop.held = {"b"}
    job = ask("a", "b", "c")
    jobs.tend()
    until(job, lambda job: states(job).get("b") == "running")
    jobs.cancel(job)
    job = ended(job)
    assert job.state == JobState.CANCELLED
    assert states(job) == {"a": "done", "b": "cancelled", "c": "cancelled"}
    assert workshop.stopped == ["b"]
    with pytest.raises(Problem, match="ended already"):
        jobs.cancel(job)


def test_what_has_not_begun_is_cancelled_at_once(ask: Callable[..., Job], workshop: Workshop):
    job = ask("a")
    jobs.cancel(job)
    assert Job.objects.get(pk=job.pk).state == JobState.CANCELLED
    jobs.tend()
    assert workshop.begun == []


def test_a_device_that_is_removed_takes_its_jobs_with_it(ask: Callable[..., Job], workshop: Workshop, device: Device):
    workshop.held = {"a"}
    job = ask("a")
    jobs.tend()
    until(job, lambda job: states(job).get("a") == "running")
    device.delete()
    assert ended(job).state == JobState.CANCELLED
    assert workshop.stopped == ["a"]


# --- Limits -----------------------------------------------------------------------------------------------------------
def test_one_device_bears_one_of_a_lane_and_all_together_no_more_than_a_few(
    ask: Callable[..., Job], workshop: Workshop, device: Device
):
    first, second = ask("a"), ask("b")
    assert [pk for pk, _ in jobs.claim()] == [first.pk]
    others = [
        ask("c", on=Device.objects.create(name=f"R{number}", family="povcam", host=f"r{number}.test", site=device.site))
        for number in range(jobs.AT_ONCE)
    ]
    assert [pk for pk, _ in jobs.claim()] == [each.pk for each in others[: jobs.AT_ONCE - 1]]
    assert jobs.claim() == []
    Job.objects.filter(pk=first.pk).update(state=JobState.DONE)
    assert [pk for pk, _ in jobs.claim()] == [second.pk]


def test_what_matters_more_comes_first(ask: Callable[..., Job], workshop: Workshop):
    ask("a")
    urgent = ask("b", priority=5)
    assert [pk for pk, _ in jobs.claim()] == [urgent.pk]


def test_two_workers_never_claim_the_same(ask: Callable[..., Job], workshop: Workshop):
    job = ask("a")
    stale = Job.objects.get(pk=job.pk)
    assert jobs.claim() == [(job.pk, 1)]
    assert not Job.objects.filter(pk=job.pk, state=JobState.QUEUED, attempt=stale.attempt).update(attempt=9)


# --- Crashes ----------------------------------------------------------------------------------------------------------
def silent(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now() - timedelta(seconds=jobs.ORPHAN_SECONDS + 1))


def test_a_job_whose_runner_died_goes_on_and_does_nothing_twice(ask: Callable[..., Job], workshop: Workshop):
    job = ask("a", "b")
    # It was claimed, had listed and done its first item when its process ended.
    assert jobs.claim() == [(job.pk, 1)]
    run = jobs._load(job.pk, 1)
    assert run is not None
    jobs._prepared(run, asyncio.run(workshop.prepare(run)))
    run.items[0].state = JobState.DONE
    jobs._keep_item(run, run.items[0])
    run.items[1].state = JobState.RUNNING
    jobs._beat(run)
    jobs.tend()
    assert Job.objects.get(pk=job.pk).state == JobState.RUNNING, "a heartbeat is there"
    silent(job)
    jobs.tend()
    job = ended(job)
    assert (job.state, job.attempt) == (JobState.DONE, 2)
    assert workshop.begun == ["b"]
    assert workshop.listed == 1


def test_a_runner_that_slept_writes_nothing_over_its_successor(ask: Callable[..., Job], workshop: Workshop):
    job = ask("a")
    assert jobs.claim() == [(job.pk, 1)]
    sleeper = jobs._load(job.pk, 1)
    assert sleeper is not None
    silent(job)
    jobs.tend()
    assert ended(job).state == JobState.DONE
    assert jobs._beat(sleeper) is None
    jobs._end(sleeper, JobState.FAILED, "late")
    assert Job.objects.get(pk=job.pk).state == JobState.DONE
    with pytest.raises(JobFailed):
        jobs._prepared(sleeper, [])


def test_a_runner_that_finds_a_successor_stops_its_work(ask: Callable[..., Job], workshop: Workshop):
    workshop.held = {"a"}
    job = ask("a")
    jobs.tend()
    until(job, lambda job: states(job).get("a") == "running")
    Job.objects.filter(pk=job.pk).update(attempt=2)
    deadline = time.monotonic() + 10
    while not workshop.stopped and time.monotonic() < deadline:
        time.sleep(0.01)
    assert workshop.stopped == ["a"]
    assert Job.objects.get(pk=job.pk).state == JobState.RUNNING


def test_old_jobs_are_forgotten(ask: Callable[..., Job], workshop: Workshop):
    old, young, waiting = ask("a"), ask("b"), ask("c")
    for job, days in ((old, 91), (young, 1)):
        Job.objects.filter(pk=job.pk).update(
            state=JobState.DONE, ended_at=timezone.now() - timedelta(days=days), created_at=timezone.now()
        )
    jobs.forget_old()
    assert set(Job.objects.values_list("pk", flat=True)) == {young.pk, waiting.pk}


# --- The API ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def caller(device: Device) -> Callable[[Role], Caller]:
    def make(role: Role, site: Site | None = None) -> Caller:
        user = User.objects.create_user(f"{role} {site}", PASSWORD, role=role)
        Grant.objects.create(user=user, site=site)
        return Caller(user)

    return make


def test_a_job_is_told_with_its_items(ask: Callable[..., Job], caller: Callable[..., Caller], workshop: Workshop):
    workshop.failing = {"b": ItemFailed("No.")}
    job = ask("a", "b")
    jobs.tend()
    ended(job)
    call = caller(Role.OPERATOR)
    told = call("GET", f"jobs/{job.pk}").json()
    assert told["state"] == "failed"
    assert told["items"] == [
        {"name": "a", "state": "done", "progress": 1.0, "size": 100, "error": ""},
        {"name": "b", "state": "failed", "progress": 0.5, "size": 100, "error": "No."},
    ]
    assert told["files"] == []
    page = call("GET", "jobs?state=failed").json()
    assert (page["count"], page["results"][0]["items_failed"]) == (1, 1)
    workshop.failing = {}
    assert call("POST", f"jobs/{job.pk}/retry").json()["state"] == "queued"
    assert call("POST", f"jobs/{job.pk}/cancel").json()["state"] == "cancelled"
    assert call("POST", f"jobs/{job.pk}/cancel").status_code == 409


def test_who_may_not_see_the_device_does_not_see_its_jobs(
    ask: Callable[..., Job], caller: Callable[..., Caller], device: Device
):
    job = ask("a")
    elsewhere = caller(Role.ADMIN, Site.objects.create(name="South"))
    assert elsewhere("GET", "jobs").json()["count"] == 0
    assert elsewhere("GET", f"jobs/{job.pk}").status_code == 404
    viewer = caller(Role.VIEWER, device.site)
    assert viewer("GET", f"jobs/{job.pk}").status_code == 200
    assert viewer("POST", f"jobs/{job.pk}/cancel").status_code == 403
    assert Job.objects.get(pk=job.pk).state == JobState.QUEUED


def test_the_jobs_of_everybody_cost_a_fixed_number_of_queries(
    ask: Callable[..., Job], caller: Callable[..., Caller], django_assert_max_num_queries: Any
) -> None:
    for _ in range(30):
        ask("a")
    call = caller(Role.OPERATOR)
    with django_assert_max_num_queries(16):
        assert call("GET", "jobs?limit=30").json()["count"] == 30
