"""The page of a camera: how it is and what happened to it, beside its picture, as it happens."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import WebSocketRoute, expect

from accounts.models import Role, User
from devices.models import Camera, Device, Event
from tests.pages.conftest import DESKTOP, PHONE, Visit
from tests.pages.test_in_a_browser import check

pytestmark = pytest.mark.django_db(transaction=True)

both_sizes = pytest.mark.parametrize("visit", [DESKTOP, PHONE], ids=["desktop", "phone"], indirect=True)


def happened(device: Device, text: str, kind: str = "device.problem", ago: int = 0, **detail: str) -> None:
    at = timezone.now() - timedelta(seconds=ago)
    Event.objects.create(type=kind, device=device, site=device.site, name=device.name, text=text, at=at, detail=detail)


@pytest.fixture
def camera(fleet: dict[str, Camera]) -> Camera:
    """Something is wrong with it, since a minute."""
    camera = fleet["Corridor"]
    Device.objects.filter(pk=camera.device_id).update(
        last_error="The card is nearly full.",
        last_seen=timezone.now(),
        status={
            "streams": {"h264": {"transmits": True, "width": 1920, "max_fps": 30}},
            "problems": ["The card is nearly full.", "Its clock is wrong."],
            "now": {"recording": True, "free_gb": 1.25},
        },
    )
    camera.device.refresh_from_db()
    happened(camera.device, "Corridor device is degraded.", "device.state", ago=60, state="degraded")
    return camera


def test_it_tells_how_the_camera_is_and_since_when(as_admin: Client, camera: Camera) -> None:
    page = as_admin.get(f"/cameras/{camera.pk}/").content.decode()
    health = page[page.index('id="health-title"') : page.index('id="events-title"')]
    since = Event.objects.get().at
    assert "Degraded" in health
    assert f'since <time datetime="{since.isoformat()[:19]}' in health
    assert health.count("The card is nearly full.") == 1
    assert "Its clock is wrong." in health
    assert "Last answered" in health
    assert "1.25 GB" in health


def test_since_when_is_not_told_of_another_state(as_admin: Client, camera: Camera) -> None:
    Device.objects.filter(pk=camera.device_id).update(state="online")
    assert "since <time" not in as_admin.get(f"/cameras/{camera.pk}/").content.decode()


def test_it_shows_the_ten_latest_events_of_its_device(
    as_admin: Client, camera: Camera, fleet: dict[str, Camera]
) -> None:
    for number in range(12):
        happened(camera.device, f"Event number {number}.", ago=30 - number)
    happened(fleet["Roof"].device, "Something of another device.")
    page = as_admin.get(f"/cameras/{camera.pk}/").content.decode()
    shown = [number for number in range(12) if f"Event number {number}." in page]
    assert shown == list(range(2, 12))
    assert page.index("Event number 11.") < page.index("Event number 10."), "the newest is not first"
    assert "another device" not in page
    assert f'href="/devices/{camera.device_id}/history/"' in page


# --- In a browser -----------------------------------------------------------------------------------------------------
@pytest.mark.browser
def test_events_and_health_follow_what_happens(visit: Visit, admin: User, camera: Camera) -> None:
    visit.sign_in(admin)
    visit.go(f"/cameras/{camera.pk}/")
    page = visit.page
    expect(page.locator(".happened li")).to_have_count(1)
    Device.objects.filter(pk=camera.device_id).update(state="offline", last_error="Nothing answers there.")
    happened(camera.device, "Corridor device is offline.", "device.state", state="offline")
    told = {"type": "device.state", "device": camera.device_id, "name": "Corridor device", "state": "offline"}
    visit.sockets[-1].send(json.dumps(told))
    expect(page.locator(".happened li").first).to_contain_text("Corridor device is offline.")
    expect(page.locator(".happened li")).to_have_count(2)
    expect(page.locator("#beside")).to_contain_text("Nothing answers there.")
    expect(page.locator(".topbar .chip[data-state]")).to_contain_text("Offline")
    assert visit.complaints == []


@pytest.mark.browser
def test_what_happens_to_other_devices_does_not_concern_it(
    visit: Visit, admin: User, camera: Camera, fleet: dict[str, Camera]
) -> None:
    visit.sign_in(admin)
    visit.go(f"/cameras/{camera.pk}/")
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    happened(camera.device, "An event that nobody told of.")
    visit.sockets[-1].send(json.dumps({"type": "device.changed", "device": fleet["Roof"].device_id}))
    visit.page.wait_for_timeout(1200)
    assert [url for url in asked if url.endswith(f"/cameras/{camera.pk}/")] == []
    visit.sockets[-1].send(json.dumps({"type": "device.changed", "device": camera.device_id}))
    expect(visit.page.locator(".happened li").first).to_contain_text("nobody told of")


@pytest.mark.browser
def test_its_stream_is_told_in_figures(visit: Visit, admin: User, camera: Camera) -> None:
    init = {
        "type": "init", "mime": 'video/mp4; codecs="avc1.64001f"', "stream": "h264", "transcoded": False,
        "sound": False, "width": 1920, "height": 1080, "transport": "rtsp-tcp",
    }  # fmt: skip
    visit.page.route_web_socket("**/ws/live/**", lambda socket: socket.send(json.dumps(init)))
    visit.sign_in(admin)
    visit.go(f"/cameras/{camera.pk}/")
    figures = visit.page.locator("[data-figures]")
    expect(figures).to_contain_text("1920 × 1080, h264")
    expect(figures).to_contain_text("RTSP-TCP")


@pytest.mark.browser
def test_a_camera_that_tells_its_streams_at_last_is_shown(visit: Visit, admin: User, camera: Camera) -> None:
    Device.objects.filter(pk=camera.device_id).update(status={})
    visit.sign_in(admin)
    visit.go(f"/cameras/{camera.pk}/")
    expect(visit.page.get_by_text("has not told yet which streams")).to_be_visible()
    told = {"streams": {"h264": {"transmits": True, "width": 1920, "max_fps": 30}}}
    Device.objects.filter(pk=camera.device_id).update(status=told)
    visit.sockets[-1].send(json.dumps({"type": "device.changed", "device": camera.device_id}))
    expect(visit.page.locator("live-player")).to_be_visible()


@pytest.mark.browser
@both_sizes
def test_it_is_accessible_and_fits(visit: Visit, person: Callable[..., User], camera: Camera) -> None:
    happened(camera.device, "x" * 200)
    for role in (Role.VIEWER, Role.OPERATOR):
        visit.sign_in(person(f"{role}", role))
        visit.go(f"/cameras/{camera.pk}/")
        check(visit, f"the page of a camera for {role}")


# --- A right that is withdrawn ----------------------------------------------------------------------------------------
@pytest.mark.browser
@pytest.mark.parametrize("code", [4401, 4403, 4404])
def test_a_withdrawn_right_takes_the_picture_and_a_given_one_brings_it_back(
    visit: Visit, admin: User, camera: Camera, code: int
) -> None:
    sockets: list[WebSocketRoute] = []
    visit.page.route_web_socket("**/ws/live/**", lambda socket: sockets.append(socket))
    visit.sign_in(admin)
    visit.go(f"/cameras/{camera.pk}/")
    player = visit.page.locator("live-player")
    draw = """each => {
      const canvas = each.shadowRoot.querySelector("canvas");
      canvas.width = canvas.height = 20;
      canvas.hidden = false;
      each.setAttribute("data-picture", "");
    }"""
    player.evaluate(draw)  # a picture that is kept
    sockets[-1].close(code=code, reason="You may no longer see it.")
    expect(player).to_have_attribute("data-state", "refused")
    expect(player.locator(".message")).to_contain_text("You may no longer see it.")
    expect(player.locator("canvas")).to_be_hidden()
    expect(player).not_to_have_attribute("data-picture", "")
    assert player.evaluate("each => each.shadowRoot.querySelector('canvas').width") == 0
    tried = len(sockets)
    for _ in range(600):
        if len(sockets) > tried:
            break
        visit.page.wait_for_timeout(50)
    assert len(sockets) > tried, "it is not tried again"
    expect(player.locator(".message")).to_contain_text("You may no longer see it.")  # until it is known otherwise
    sockets[-1].send(json.dumps({"type": "status", "state": "live", "detail": ""}))
    expect(player).to_have_attribute("data-state", "live")
    expect(player.locator(".message")).to_be_hidden()
