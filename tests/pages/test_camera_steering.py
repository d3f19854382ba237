"""Steering beside the live picture: for whom, for which cameras, and that it always stops."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.test import Client
from playwright.sync_api import Page, Route, expect

from accounts.models import Role, User
from devices.models import Camera, Device, Site
from tests.devices.conftest import Simulator, unsaved_device
from tests.pages.conftest import PHONE, Visit
from tests.pages.test_in_a_browser import both_sizes, check

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def camera(saved_device: Device) -> Camera:
    Device.objects.update(state="online", status={"streams": {"h264": {"width": 1920, "max_fps": 30}}})
    return Camera.objects.create(device=saved_device, number=1, name="Gate")


def test_it_is_offered_to_who_may_steer(person: Callable[..., User], camera: Camera) -> None:
    shown = {}
    for role in (Role.VIEWER, Role.OPERATOR):
        client = Client()
        client.force_login(person(f"{role}", role))
        shown[role] = client.get(f"/cameras/{camera.pk}/").content.decode()
    assert "data-steer" in shown[Role.OPERATOR]
    assert "steer.js" in shown[Role.OPERATOR]
    assert "data-steer" not in shown[Role.VIEWER]
    assert "steer.js" not in shown[Role.VIEWER]


def test_it_is_not_offered_where_the_camera_or_the_device_cannot(as_admin: Client, camera: Camera) -> None:
    Device.objects.update(family="hama", status={"ptz": False})
    assert "data-steer" not in as_admin.get(f"/cameras/{camera.pk}/").content.decode()
    Device.objects.update(family="povcam", status={}, enabled=False)
    assert "data-steer" not in as_admin.get(f"/cameras/{camera.pk}/").content.decode()


def test_what_only_some_cameras_can_is_offered_of_those_only(as_admin: Client, camera: Camera) -> None:
    offered = {}
    for family in ("povcam", "ipro", "ipcam"):
        Device.objects.update(family=family)
        page = as_admin.get(f"/cameras/{camera.pk}/").content.decode()
        can = re.search(r'data-can="([a-z_ ]*)"', page)
        hints = [hint for hint in ("Drag:", "Wheel, or two fingers:", "Click:") if hint in page]
        assert can is not None
        assert len(hints) == len(can[1].split()), "what it can by hand is told, and nothing else"
        offered[family] = (can[1].split(), "data-turn" in page)
    everything = ["pan_tilt", "zoom", "center"]
    assert offered == {"povcam": (["zoom"], False), "ipro": (everything, False), "ipcam": (["pan_tilt"], True)}


# --- In a browser -----------------------------------------------------------------------------------------------------
def zoom_speed(simulator: Simulator) -> int:
    return int(simulator.side_door("state")["state"]["head"]["zoom_speed"])


def until(page: Page, true: Callable[[], bool], what: str) -> None:
    for _ in range(600):
        if true():
            return
        page.wait_for_timeout(50)
    pytest.fail(what)


def _leave(page: Page) -> None:
    page.goto("about:blank")


def _hide(page: Page) -> None:
    page.evaluate(
        "Object.defineProperty(document, 'hidden', { value: true, configurable: true });"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )


def _let_go(page: Page) -> None:
    page.mouse.up()


def _lose_the_focus(page: Page) -> None:
    page.evaluate("dispatchEvent(new Event('blur'))")


@pytest.mark.browser
@pytest.mark.parametrize("gone", [_let_go, _leave, _hide, _lose_the_focus])
def test_the_camera_stops_when_the_button_is_let_go_or_the_page_goes(
    visit: Visit, admin: User, camera: Camera, simulator: Simulator, gone: Callable[[Page], None]
) -> None:
    visit.sign_in(admin)
    visit.go(f"/cameras/{camera.pk}/")
    visit.page.get_by_role("button", name="Zoom in").hover()
    with visit.page.expect_response(lambda answer: answer.url.endswith("/ptz") and answer.status == 204):
        visit.page.mouse.down()
    assert zoom_speed(simulator) > 0
    gone(visit.page)
    until(visit.page, lambda: zoom_speed(simulator) == 0, "it goes on moving")
    last = [target for target in simulator.targets if "directctrl" in target][-1]
    assert last.endswith("zoom=0"), "the page said stop; nothing else ended it"
    assert simulator.violations == []


@pytest.mark.browser
def test_a_button_that_is_held_before_the_page_is_whole_counts(visit: Visit, admin: User, camera: Camera) -> None:
    sent: list[Any] = []
    scripts: list[Route] = []

    def take(route: Route) -> None:
        sent.append(route.request.post_data_json)
        route.fulfill(status=204)

    visit.page.route("**/api/v1/cameras/*/ptz", take)
    visit.page.route(re.compile(r"/steer(\.\w+)?\.js"), lambda route: scripts.append(route))
    visit.sign_in(admin)
    visit.page.goto(f"{visit.url}/cameras/{camera.pk}/", wait_until="commit")
    visit.page.get_by_role("button", name="Zoom in").hover()
    visit.page.mouse.down()
    until(visit.page, lambda: bool(scripts), "the script was not asked for")
    assert sent == []
    scripts.pop().continue_()
    until(visit.page, lambda: bool(sent), "what is held is not heard")
    assert sent[0]["zoom"] > 0
    visit.page.mouse.move(5, 5)
    visit.page.mouse.up()
    until(visit.page, lambda: sent[-1] == {"pan": 0, "tilt": 0, "zoom": 0}, "it was not stopped")
    assert visit.complaints == []


@pytest.mark.browser
def test_keys_steer_it_too(visit: Visit, admin: User, camera: Camera, simulator: Simulator) -> None:
    visit.sign_in(admin)
    visit.go(f"/cameras/{camera.pk}/")
    with visit.page.expect_response(lambda answer: answer.url.endswith("/ptz") and answer.status == 204):
        visit.page.keyboard.down("+")
    assert zoom_speed(simulator) > 0
    with visit.page.expect_response(lambda answer: answer.url.endswith("/ptz") and answer.status == 204):
        visit.page.keyboard.up("+")
    visit.page.wait_for_load_state("networkidle")
    assert zoom_speed(simulator) == 0
    assert visit.complaints == []


@pytest.mark.browser
@both_sizes
def test_the_page_with_its_panel_is_accessible_and_fits(visit: Visit, admin: User, camera: Camera) -> None:
    for family in ("ipro", "ipcam"):
        Device.objects.update(family=family)
        visit.sign_in(admin)
        visit.go(f"/cameras/{camera.pk}/")
        expect(visit.page.locator("[data-steer]")).to_be_visible()
        check(visit, f"the page of a camera of {family}")


@pytest.mark.browser
@pytest.mark.parametrize("visit", [PHONE], indirect=True)
def test_a_finger_on_a_phone_reaches_every_button(visit: Visit, admin: User, camera: Camera) -> None:
    visit.sign_in(admin)
    visit.go(f"/cameras/{camera.pk}/")
    for name in ("Zoom in", "Near", "Reset"):
        button = visit.page.get_by_role("button", name=name)
        button.scroll_into_view_if_needed()
        expect(button).to_be_in_viewport()


@pytest.mark.browser
def test_it_turns_to_degrees_and_tells_where_it_looks(
    visit: Visit, admin: User, start_simulator: Callable[..., Simulator], redis_client: redis.Redis
) -> None:
    simulator = start_simulator("--user-auth", family="ipcam", password="secret12")
    row = unsaved_device(simulator.port, family="ipcam", password="secret12")
    row.pk, row.site = None, Site.objects.create(name="Yard")
    row.save()
    camera = Camera.objects.create(device=row, number=1, name="Lobby")
    visit.sign_in(admin)
    visit.go(f"/cameras/{camera.pk}/")
    visit.page.get_by_label("Pan (°)").fill("40")
    visit.page.get_by_label("Tilt (°)").fill("20")
    with visit.page.expect_response(lambda answer: answer.url.endswith("/position") and answer.status == 204):
        visit.page.get_by_role("button", name="Turn", exact=True).click()
    visit.page.get_by_label("Pan (°)").fill("0")
    visit.page.get_by_role("button", name="Where does it look?").click()
    expect(visit.page.get_by_label("Pan (°)")).to_have_value("40")
    expect(visit.page.get_by_label("Tilt (°)")).to_have_value("20")
    assert simulator.violations == []
