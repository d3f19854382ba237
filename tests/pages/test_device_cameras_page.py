"""The cameras of a device on their page: what is offered of steering, and to whom."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from playwright.sync_api import expect

from accounts.models import Grant, Role, User
from devices.models import Camera, Device, Preset
from tests.devices.conftest import Simulator
from tests.pages.conftest import Visit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def camera(saved_device: Device) -> Camera:
    return Camera.objects.create(device=saved_device, number=1, name="Gate")


def of_family(camera: Camera, family: str) -> str:
    Device.objects.filter(pk=camera.device_id).update(family=family, status={"ptz": True, "registered": [1]})
    return f"/devices/{camera.device_id}/cameras/{camera.pk}/"


def test_the_first_camera_is_shown(as_admin: Client, camera: Camera) -> None:
    answer = as_admin.get(f"/devices/{camera.device_id}/cameras/")
    assert answer.headers["Location"] == f"/devices/{camera.device_id}/cameras/{camera.pk}/"


def test_a_device_without_cameras_says_when_they_appear(as_admin: Client, saved_device: Device) -> None:
    assert "No cameras yet" in as_admin.get(f"/devices/{saved_device.pk}/cameras/").content.decode()


@pytest.mark.parametrize(
    ("family", "has", "lacks"),
    [
        ("povcam", ("Zoom in", "Focus", "Iris"), ("Pan and tilt", "Presets", "Home")),
        ("ipcam", ("Pan and tilt", "Home", "Swing between presets", "Output 2"), ("Zoom in", "Iris")),
        ("hama", ("Pan and tilt", "Home", "Presets"), ("Zoom in", "Swing between presets")),
    ],
)
def test_each_family_offers_what_it_has_and_nothing_else(
    as_admin: Client, camera: Camera, family: str, has: tuple[str, ...], lacks: tuple[str, ...]
) -> None:
    page = as_admin.get(of_family(camera, family)).content.decode()
    assert all(word in page for word in has)
    assert not any(word in page for word in lacks)


def test_a_viewer_may_watch_but_not_steer(person: Callable[..., User], camera: Camera) -> None:
    client = Client()
    client.force_login(person("vera", Role.VIEWER))
    page = client.get(f"/devices/{camera.device_id}/cameras/{camera.pk}/").content.decode()
    assert "You may watch this camera, but not steer it." in page
    assert "data-steer" not in page


def test_who_may_see_one_camera_sees_no_other(person: Callable[..., User], camera: Camera) -> None:
    other = Camera.objects.create(device=camera.device, number=2, name="Vault")
    user = User.objects.create_user("olga", None, role=Role.OPERATOR)
    Grant.objects.create(user=user, camera=camera)
    client = Client()
    client.force_login(user)
    page = client.get(f"/devices/{camera.device_id}/cameras/{camera.pk}/").content.decode()
    assert "Zoom in" in page
    assert "Vault" not in page
    assert client.get(f"/devices/{camera.device_id}/cameras/{other.pk}/").status_code == 404


def test_presets_are_shown_by_their_names(as_admin: Client, camera: Camera) -> None:
    Preset.objects.create(camera=camera, number=7, name="Loading ramp")
    page = as_admin.get(of_family(camera, "hama")).content.decode()
    assert "Loading ramp" in page
    assert 'data-ask="presets/7/goto"' in page


# --- In a browser -----------------------------------------------------------------------------------------------------
def zooms(simulator: Simulator) -> list[str]:
    return [target.rpartition("=")[2] for target in simulator.targets if "directctrl" in target]


@pytest.mark.browser
def test_a_held_button_moves_and_letting_go_stops(
    visit: Visit, admin: User, camera: Camera, simulator: Simulator
) -> None:
    visit.sign_in(admin)
    visit.go(f"/devices/{camera.device_id}/cameras/{camera.pk}/")
    button = visit.page.get_by_role("button", name="Zoom in")
    button.hover()
    visit.page.mouse.down()
    with visit.page.expect_response(lambda answer: answer.url.endswith("/ptz") and answer.status == 204):
        pass
    with visit.page.expect_response(lambda answer: answer.url.endswith("/ptz") and answer.status == 204):
        visit.page.mouse.up()
    visit.page.wait_for_load_state("networkidle")
    sent = zooms(simulator)
    assert int(sent[0]) > 0
    assert sent[-1] == "0"
    assert visit.complaints == []


@pytest.mark.browser
def test_a_held_key_moves_and_a_window_that_loses_the_focus_stops(
    visit: Visit, admin: User, camera: Camera, simulator: Simulator
) -> None:
    visit.sign_in(admin)
    visit.go(f"/devices/{camera.device_id}/cameras/{camera.pk}/")
    with visit.page.expect_response(lambda answer: answer.url.endswith("/ptz")):
        visit.page.keyboard.down("-")
    expect(visit.page.locator("button.held")).to_have_text("Zoom out")
    with visit.page.expect_response(lambda answer: answer.url.endswith("/ptz")):
        visit.page.evaluate("dispatchEvent(new Event('blur'))")
    expect(visit.page.locator("button.held")).to_have_count(0)
    visit.page.wait_for_load_state("networkidle")
    sent = zooms(simulator)
    assert int(sent[0]) < 0
    assert sent[-1] == "0"


@pytest.mark.browser
def test_what_the_camera_refuses_is_said(visit: Visit, admin: User, camera: Camera) -> None:
    Device.objects.update(port=9)
    visit.sign_in(admin)
    visit.go(f"/devices/{camera.device_id}/cameras/{camera.pk}/")
    visit.page.get_by_role("button", name="Near").click()
    expect(visit.page.locator(".toast.error")).to_contain_text("Nothing answers at 127.0.0.1:9.")
