"""The pages of what a device keeps and drives itself, in a browser, with a camera that answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from django.test import Client
from playwright.sync_api import expect

from accounts.models import Role, User
from devices.models import Device, Event, Site
from tests.devices.conftest import Simulator, unsaved_device
from tests.pages.conftest import Visit
from tests.pages.test_in_a_browser import both_sizes, check

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "secret12"  # the camera takes eight characters at most


@pytest.fixture
def camera_simulator(start_simulator: Callable[..., Simulator]) -> Simulator:
    return start_simulator("--user-auth", family="ipcam", password=SECRET)


@pytest.fixture
def row(camera_simulator: Simulator, redis_client: redis.Redis, db: None) -> Device:
    row = unsaved_device(camera_simulator.port, family="ipcam", password=SECRET, name="Lobby", state="online")
    row.pk, row.site = None, Site.objects.create(name="Yard")
    row.save()
    return row


def test_only_families_that_have_it_offer_it(as_admin: Client, row: Device) -> None:
    other = Device.objects.create(name="Hut", family="hama", host="192.0.2.9", site=row.site)
    with_it = as_admin.get(f"/devices/{row.pk}/").content.decode()
    without = as_admin.get(f"/devices/{other.pk}/").content.decode()
    for word in ("Outputs", "Reset to factory settings", f"/devices/{row.pk}/users/"):
        assert word in with_it
        assert word.replace(f"/{row.pk}/", f"/{other.pk}/") not in without
    assert as_admin.get(f"/devices/{other.pk}/users/").status_code == 404
    assert as_admin.get(f"/devices/{other.pk}/outputs/").status_code == 404


def test_they_are_for_administrators(person: Callable[..., User], row: Device) -> None:
    client = Client()
    client.force_login(person("olga", Role.OPERATOR))
    assert client.get(f"/devices/{row.pk}/users/").status_code == 403
    assert client.get(f"/devices/{row.pk}/outputs/").status_code == 403
    assert "factory" not in client.get(f"/devices/{row.pk}/").content.decode()


@pytest.mark.browser
def test_a_user_of_the_camera_is_added_changed_and_removed(
    visit: Visit, admin: User, row: Device, camera_simulator: Simulator
) -> None:
    page = visit.page
    visit.sign_in(admin)
    visit.go(f"/devices/{row.pk}/users/")
    expect(page.get_by_text("It keeps no users")).to_be_visible()
    page.get_by_role("button", name="Add a user").click()
    page.get_by_label("Name", exact=True).fill("bob")
    page.get_by_label("Password", exact=True).fill("pass wor")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#users")).to_contain_text("View only")
    check(visit, "users")
    page.get_by_role("button", name="Change bob").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Password", exact=True).fill("another1")
    dialog.get_by_label("May").select_option(index=1)
    dialog.get_by_role("button", name="Change", exact=True).click()
    expect(page.locator("#users")).to_contain_text("PanTilt Control")
    visit.go(f"/devices/{row.pk}/users/")  # so that nothing of the change is under way any more
    page.get_by_role("button", name="Remove bob").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("It keeps no users")).to_be_visible()
    assert visit.complaints == []
    assert camera_simulator.violations == []


@pytest.mark.browser
def test_what_the_camera_does_not_take_is_said(visit: Visit, admin: User, row: Device) -> None:
    visit.sign_in(admin)
    visit.go(f"/devices/{row.pk}/users/")
    visit.page.get_by_role("button", name="Add a user").click()
    visit.page.get_by_label("Name", exact=True).fill("bob")
    visit.page.get_by_label("Password", exact=True).fill("nine char")
    visit.page.get_by_role("button", name="Add", exact=True).click()
    expect(visit.page.get_by_text("UserPassword cannot be that value")).to_be_visible()
    expect(visit.page.get_by_role("dialog")).to_be_visible()


@pytest.mark.browser
def test_a_trigger_is_switched_and_the_serial_port_used(
    visit: Visit, admin: User, row: Device, camera_simulator: Simulator
) -> None:
    page = visit.page
    visit.sign_in(admin)
    visit.go(f"/devices/{row.pk}/outputs/")
    first = page.locator("#switches li", has_text="Trigger 1")
    expect(first).to_contain_text("Off")
    first.get_by_role("button", name="Switch on").click()
    expect(first.locator(".chip")).to_contain_text("On")
    check(visit, "outputs")
    page.get_by_label("Send", exact=True).fill("MOVE 1")
    page.get_by_label("and at its end").select_option(label="CR and LF")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("It was sent.")).to_be_visible()
    assert camera_simulator.side_door("state")["state"]["com_output"] == ["MOVE 1\r\n"]
    assert visit.complaints == []
    assert camera_simulator.violations == []


@pytest.mark.browser
def test_a_factory_reset_needs_the_name(visit: Visit, admin: User, row: Device) -> None:
    page = visit.page
    visit.sign_in(admin)
    visit.go(f"/devices/{row.pk}/")
    page.get_by_text("More", exact=True).click()
    page.get_by_role("button", name="Reset to factory settings").click()
    expect(page.get_by_role("dialog")).to_contain_text("Every setting of Lobby")
    button = page.get_by_role("button", name="Reset it")
    expect(button).to_be_disabled()
    page.get_by_role("dialog").get_by_role("textbox").fill("Lobby")
    button.click()
    expect(page.get_by_text("was told to go back to its factory settings.").first).to_be_visible()
    assert Event.objects.filter(type="device.reset", device=row).exists()


@both_sizes
@pytest.mark.browser
@pytest.mark.parametrize("tab", ["users", "outputs"])
def test_a_camera_that_is_away_says_so(visit: Visit, tab: str, admin: User, row: Device) -> None:
    Device.objects.filter(pk=row.pk).update(port=9)
    visit.sign_in(admin)
    visit.go(f"/devices/{row.pk}/{tab}/")
    expect(visit.page.get_by_text("The device did not tell")).to_be_visible()
    check(visit, tab)
