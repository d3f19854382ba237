"""The pages of jobs: how far they are, as it happens, and what can be done about them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import Role, User
from accounts.policy import Action
from devices.models import Camera
from recordings import jobs
from recordings.models import Job, JobItem, JobState
from tests.pages.conftest import DESKTOP, PHONE, Visit
from tests.pages.test_in_a_browser import check

both_sizes = pytest.mark.parametrize("visit", [DESKTOP, PHONE], ids=["desktop", "phone"], indirect=True)


async def nothing(run: jobs.Run, item: jobs.Item) -> None: ...


@pytest.fixture
def made(fleet: dict[str, Camera], monkeypatch: pytest.MonkeyPatch, redis_client: object) -> dict[JobState, Job]:
    """One job in each state."""
    monkeypatch.setitem(jobs.KINDS, "test", jobs.Kind("test", Action.EXPORT, nothing))
    monkeypatch.setattr(jobs, "start_soon", lambda: None)
    device, now = fleet["Gate B"].device, timezone.now()
    found = {}
    for state in JobState:
        job = found[state] = Job.objects.create(
            kind="test",
            device=device,
            device_name=device.name,
            state=state,
            progress={JobState.DONE: 1.0, JobState.QUEUED: 0.0}.get(state, 0.4),
            error="The card was pulled." if state == JobState.FAILED else "",
            message="Reading B.MP4." if state == JobState.RUNNING else "",
            started_at=None if state == JobState.QUEUED else now - timedelta(minutes=4),
            heartbeat_at=now,
            ended_at=now if state in jobs.ENDED else None,
            prepared=True,
        )
        for number, (name, item_state) in enumerate([("A.MP4", JobState.DONE), ("B.MP4", state)], 1):
            error = "The card was pulled." if item_state == JobState.FAILED else ""
            JobItem.objects.create(
                job=job, number=number, name=name, state=item_state, size=4_000_000, done=1_000_000, error=error
            )
    return found


def kinds(client: Client, query: str = "") -> list[str]:
    return re.findall(r'data-job="\d+" data-state="(\w+)"', client.get(f"/jobs/{query}").content.decode())


@pytest.mark.django_db
def test_the_newest_comes_first_and_states_are_told(as_admin: Client, made: dict[JobState, Job]) -> None:
    assert kinds(as_admin) == ["cancelled", "failed", "done", "running", "queued"]
    page = as_admin.get("/jobs/").content.decode()
    assert "The card was pulled." in page
    assert "1 of 2" in page
    assert "about 6 min left" in page


@pytest.mark.django_db
@pytest.mark.parametrize("state", JobState)
def test_they_are_found_by_state(as_admin: Client, made: dict[JobState, Job], state: JobState) -> None:
    assert kinds(as_admin, f"?state={state}") == [state]


@pytest.mark.django_db
def test_a_state_that_is_none_finds_all(as_admin: Client, made: dict[JobState, Job]) -> None:
    assert len(kinds(as_admin, "?state=nonsense")) == 5


@pytest.mark.django_db
def test_one_sees_only_jobs_of_what_one_may_see(
    person: Callable[..., User], fleet: dict[str, Camera], made: dict[JobState, Job]
) -> None:
    client = Client()
    client.force_login(person("olga", Role.OPERATOR, fleet["Parking East"].device.site))
    assert kinds(client) == []
    assert client.get(f"/jobs/{made[JobState.DONE].pk}/").status_code == 404


@pytest.mark.django_db
def test_who_may_not_ask_for_one_is_not_offered_to_cancel_it(
    person: Callable[..., User], as_admin: Client, made: dict[JobState, Job]
) -> None:
    viewer = Client()
    viewer.force_login(person("eve"))
    for path in ("/jobs/", f"/jobs/{made[JobState.RUNNING].pk}/"):
        assert "data-call" in as_admin.get(path).content.decode()
        assert "data-call" not in viewer.get(path).content.decode()


@pytest.mark.django_db
def test_without_jobs_the_page_says_what_there_will_be(as_admin: Client) -> None:
    assert "No jobs yet" in as_admin.get("/jobs/").content.decode()


# --- In a browser -----------------------------------------------------------------------------------------------------
@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
class TestInABrowser:
    @both_sizes
    @pytest.mark.parametrize("state", [None, JobState.RUNNING, JobState.FAILED])
    def test_the_pages_are_accessible_and_fit(
        self, visit: Visit, admin: User, made: dict[JobState, Job], state: JobState | None
    ) -> None:
        visit.sign_in(admin)
        visit.go(f"/jobs/{made[state].pk}/" if state else "/jobs/")
        check(visit, "jobs")

    @pytest.mark.parametrize("of_one", [False, True])
    def test_bars_move_as_it_goes_and_its_end_is_shown(
        self, visit: Visit, admin: User, made: dict[JobState, Job], of_one: bool
    ) -> None:
        job = made[JobState.RUNNING]
        visit.sign_in(admin)
        visit.go(f"/jobs/{job.pk}/" if of_one else "/jobs/")
        shown = visit.page.locator(f'[data-job="{job.pk}"]')
        expect(shown.locator("[data-share]")).to_have_text("40 %")
        told = {"type": "job", "job": job.pk, "device": job.device_id, "kind": "test", "state": "running"}
        visit.sockets[0].send(json.dumps({**told, "progress": 0.656, "message": "Reading C.MP4."}))
        expect(shown.locator("[data-share]")).to_have_text("65 %")
        expect(shown.locator("[data-words]")).to_have_text("Reading C.MP4.")
        assert shown.locator("progress").evaluate("bar => bar.value") == 0.656
        Job.objects.filter(pk=job.pk).update(state=JobState.DONE, progress=1.0)
        visit.sockets[0].send(json.dumps({**told, "state": "done", "progress": 1.0, "message": ""}))
        expect(shown.locator(".chip").first).to_have_text("Done")
        assert visit.complaints == []

    def test_a_new_job_appears(self, visit: Visit, admin: User, made: dict[JobState, Job]) -> None:
        visit.sign_in(admin)
        visit.go("/jobs/")
        job = jobs.create(jobs.KINDS["test"], user=admin, device=made[JobState.DONE].device)
        visit.sockets[0].send(
            json.dumps({"type": "job", "job": job.pk, "state": "queued", "progress": 0, "message": ""})
        )
        expect(visit.page.locator("[data-job]")).to_have_count(6)

    def test_what_failed_is_done_again_and_then_cancelled(
        self, visit: Visit, admin: User, made: dict[JobState, Job]
    ) -> None:
        job = made[JobState.FAILED]
        visit.sign_in(admin)
        visit.go("/jobs/")
        row = visit.page.locator(f'[data-job="{job.pk}"]')
        row.get_by_role("button", name="Do again").click()
        expect(row.locator(".chip")).to_have_text("Queued")
        row.get_by_role("button", name="Cancel").click()
        expect(row.locator(".chip")).to_have_text("Cancelled")
        assert Job.objects.get(pk=job.pk).state == JobState.CANCELLED

    def test_what_is_refused_says_why(self, visit: Visit, admin: User, made: dict[JobState, Job]) -> None:
        job = made[JobState.RUNNING]
        visit.sign_in(admin)
        visit.go(f"/jobs/{job.pk}/")
        Job.objects.filter(pk=job.pk).update(state=JobState.DONE)
        visit.page.get_by_role("button", name="Cancel").click()
        expect(visit.page.locator(".toast.error")).to_contain_text("This job has ended already")
