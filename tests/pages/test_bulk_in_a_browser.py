"""One action on all devices that match a search, however many pages they fill."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from django.test import Client
from playwright.sync_api import expect

from accounts.models import AuditEntry, Role, User
from devices.models import Device, Site
from tests.pages.conftest import PHONE, Visit
from tests.pages.test_in_a_browser import both_sizes, check

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 130  # more than a page shows


@pytest.fixture
def many(redis_client: redis.Redis, db: None) -> list[Device]:
    north, south = Site.objects.create(name="North"), Site.objects.create(name="South")
    rows = [
        Device(name=f"Gate {number:03}", family="povcam", host=f"10.0.{number // 250}.{number % 250}", site=north)
        for number in range(MANY)
    ]
    Device.objects.bulk_create([*rows, Device(name="Roof", family="hama", host="10.1.0.1", site=south)])
    return list(Device.objects.order_by("pk"))


def test_what_matches_is_told_to_who_may_act_on_it(
    as_admin: Client, person: Callable[..., User], many: list[Device]
) -> None:
    def found(client: Client, query: str = "") -> list[str]:
        answer = client.get(f"/devices/matching/?{query}")
        assert answer.status_code == 200
        return [each["name"] for each in answer.json()["devices"]]

    assert len(found(as_admin)) == MANY + 1
    assert found(as_admin, "text=roof") == ["Roof"]
    assert found(as_admin, "site=South&sort=-name") == ["Roof"]
    assert found(as_admin, "text=nothing") == []
    local = Client()
    local.force_login(person("sven", Role.ADMIN, Site.objects.get(name="South")))
    assert found(local) == ["Roof"]
    operator = Client()
    operator.force_login(person("olga", Role.OPERATOR))
    assert operator.get("/devices/matching/").status_code == 403


def _select_all_found(visit: Visit, query: str = "text=gate") -> None:
    visit.go(f"/devices/?{query}")
    visit.page.get_by_label("Select all devices shown").check()
    visit.page.get_by_role("button", name=f"Select all {MANY} found").click()
    expect(visit.page.locator("#bulk")).to_contain_text(f"{MANY} devices selected")


@pytest.mark.browser
def test_all_that_match_are_asked_about_and_then_done(visit: Visit, admin: User, many: list[Device]) -> None:
    page = visit.page
    visit.sign_in(admin)
    _select_all_found(visit)
    page.get_by_role("button", name="Disable").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Disable {MANY} devices?")
    dialog.get_by_role("button", name="Cancel").click()
    assert Device.objects.filter(enabled=False).count() == 0, "nothing was agreed to"
    page.get_by_role("button", name="Disable").click()
    dialog.get_by_role("button", name="Yes, do it").click()
    expect(dialog).to_contain_text(f"{MANY} of {MANY} devices are done", timeout=60_000)
    assert Device.objects.filter(enabled=False).count() == MANY
    assert Device.objects.get(name="Roof").enabled
    assert AuditEntry.objects.filter(action="change device").count() == MANY
    check(visit, "what became of it")
    dialog.get_by_role("button", name="Close").click()
    expect(page.locator("#bulk")).to_be_hidden()
    expect(page.locator("#fleet tbody")).to_contain_text("Disabled")
    assert visit.complaints == []


@pytest.mark.browser
def test_what_fails_is_told_by_name_and_the_rest_is_done(visit: Visit, admin: User, many: list[Device]) -> None:
    page = visit.page
    visit.sign_in(admin)
    _select_all_found(visit)
    Device.objects.filter(name="Gate 007").delete()
    page.get_by_role("button", name="Move").click()
    page.get_by_role("dialog").get_by_label("Site").select_option("South")
    page.get_by_role("dialog").get_by_role("button", name="Move").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Move {MANY} devices to South?")
    dialog.get_by_role("button", name="Yes, do it").click()
    expect(dialog).to_contain_text(f"{MANY - 1} of {MANY} devices are done, 1 failed", timeout=60_000)
    expect(dialog.get_by_role("listitem")).to_have_text("Gate 007: There is no such device.")
    assert Device.objects.filter(site__name="South").count() == MANY


@pytest.mark.browser
def test_it_can_be_stopped_on_the_way(visit: Visit, admin: User, many: list[Device]) -> None:
    page = visit.page
    visit.sign_in(admin)
    _select_all_found(visit)
    pieces = []

    def hold_the_second(route) -> None:  # type: ignore[no-untyped-def]
        pieces.append(route)
        if len(pieces) != 2:
            route.continue_()

    page.route("**/api/v1/devices/bulk", hold_the_second)
    page.get_by_role("button", name="Disable").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Yes, do it").click()
    expect(dialog).to_contain_text("20 of 130: 20 done.")
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Stop").click()
    pieces[1].continue_()
    expect(dialog).to_contain_text("40 of 130 devices are done, 90 were left alone.")
    assert Device.objects.filter(enabled=False).count() == 40


@pytest.mark.browser
@both_sizes
def test_the_question_is_accessible_and_fits(visit: Visit, admin: User, many: list[Device]) -> None:
    visit.sign_in(admin)
    if visit.page.viewport_size == {"width": PHONE[0], "height": PHONE[1]}:
        visit.go("/devices/?text=gate")
        visit.page.evaluate("document.querySelector('[data-all]').click()")
    else:
        visit.go("/devices/?text=gate")
        visit.page.get_by_label("Select all devices shown").check()
    visit.page.get_by_role("button", name=f"Select all {MANY} found").click()
    visit.page.get_by_role("button", name="Clock").click()
    visit.page.get_by_role("button", name="Set their clocks to ours").click()
    expect(visit.page.get_by_role("dialog")).to_contain_text("Set the clocks of 130 devices?")
    check(visit, "the question")
