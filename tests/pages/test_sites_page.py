"""The page of sites."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from playwright.sync_api import expect

from accounts.models import Role, User
from devices.models import Camera, Device, Site
from tests.pages.conftest import Visit
from tests.pages.test_in_a_browser import both_sizes, check

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_is_for_who_reaches_everything(person: Callable[..., User], fleet: dict[str, Camera]) -> None:
    client = Client()
    client.force_login(person("sven", Role.ADMIN, Site.objects.get(name="North")))
    assert client.get("/sites/").status_code == 403
    assert "/sites/" not in client.get("/devices/").content.decode()


def test_what_is_wrong_is_said(as_admin: Client, fleet: dict[str, Camera]) -> None:
    north = Site.objects.get(name="North")
    for path, sent, sentence in (
        ("add/", {"name": "South"}, "There is a site South already."),
        (f"{north.pk}/rename/", {"name": ""}, "The name must not be empty."),
        (f"{north.pk}/remove/", {}, "North has 2 devices."),
        (f"{north.pk}/remove/", {"move_to": "x"}, "North has 2 devices."),
    ):
        page = as_admin.post(f"/sites/{path}", sent, follow=True)
        assert sentence in page.content.decode()
    assert Site.objects.filter(name="North").exists()


@pytest.mark.browser
def test_a_site_is_renamed_and_removed_with_its_devices_moved(
    visit: Visit, admin: User, fleet: dict[str, Camera]
) -> None:
    page = visit.page
    visit.sign_in(admin)
    visit.go("/devices/")
    page.get_by_role("link", name="Sites").click()
    page.get_by_role("button", name="Rename South").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Harbour")
    page.get_by_role("dialog").get_by_role("button", name="Rename").click()
    expect(page.locator("tbody")).to_contain_text("Harbour")
    page.get_by_role("button", name="Remove North").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Its 2 devices go to").select_option("Harbour")
    dialog.get_by_role("button", name="Remove the site").click()
    expect(page.get_by_text("North is removed, its 2 devices are moved.")).to_be_visible()
    assert Device.objects.filter(site__name="Harbour").count() == 5
    assert visit.complaints == []


@pytest.mark.browser
@both_sizes
def test_it_is_accessible_and_fits(visit: Visit, admin: User, fleet: dict[str, Camera]) -> None:
    visit.sign_in(admin)
    visit.go("/sites/")
    check(visit, "sites")
