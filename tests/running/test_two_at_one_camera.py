"""Two people want one camera: who has it keeps it, an administrator takes it, and the loser is told: by the answer, by
the events' socket and on the page. Over real HTTP, with users who have their own grants."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from websockets.sync.client import connect

from devices.ptz import HOLD_SECONDS
from tests.devices.conftest import PASSWORD, USER, Simulator, start_simulators
from vms.bench.product import Product

pytestmark = [pytest.mark.running, pytest.mark.every_database]
PHRASE = "a long enough passphrase"
PATIENCE = 60.0


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with start_simulators() as start:
        yield start()


@pytest.fixture(scope="module")
def api_of(product: Product) -> Callable[[str], httpx.Client]:
    def make(name: str) -> httpx.Client:
        token = product.manage("apitoken", name).stdout.strip()
        return httpx.Client(base_url=f"{product.url}/api/v1/", headers={"Authorization": f"Bearer {token}"}, timeout=20)

    return make


@pytest.fixture(scope="module")
def camera(api_of: Callable[[str], httpx.Client], simulator: Simulator) -> int:
    """A camera of one device, and two operators: ann may steer this site, bob this camera alone."""
    admin = api_of("admin")
    site = until(lambda: admin.post("sites", json={"name": "Yard"}).json(), "no site")
    body = {"family": "povcam", "host": "127.0.0.1", "port": simulator.port, "username": USER, "password": PASSWORD}
    device = admin.post("devices", json={**body, "site": site["id"]})
    assert device.status_code == 201, device.text

    def found() -> int:
        cameras = admin.get("cameras").json()["results"]
        return next((each["id"] for each in cameras if each["device"] == device.json()["id"]), 0)

    camera = until(found, "the device was never looked at")
    for name, grant in (("ann", {"site": site["id"]}), ("bob", {"camera": camera})):
        made = admin.post("users", json={"username": name, "password": PHRASE, "role": "operator", "grants": [grant]})
        assert made.status_code == 201, made.text
    return int(camera)


def until(holds: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if found := holds():
                return found
        except (OSError, httpx.HTTPError):
            pass  # the simulator is still starting
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def zoom(api: httpx.Client, camera: int, speed: float) -> httpx.Response:
    return api.post(f"cameras/{camera}/ptz", json={"zoom": speed})


def zoom_speed(simulator: Simulator) -> int:
    return int(simulator.side_door("state")["state"]["head"]["zoom_speed"])


def holder(api: httpx.Client, camera: int) -> str | None:
    told: str | None = api.get(f"cameras/{camera}/ptz").json()["holder"]
    return told


def test_who_has_it_keeps_it_until_the_time_is_over_and_an_administrator_takes_it(
    product: Product, api_of: Callable[[str], httpx.Client], camera: int, simulator: Simulator
) -> None:
    ann, bob, admin = api_of("ann"), api_of("bob"), api_of("admin")
    headers = {"Authorization": ann.headers["authorization"]}
    with connect(f"{product.url.replace('http', 'ws', 1)}/ws/events/", additional_headers=headers) as socket:
        assert zoom(ann, camera, 0.5).status_code == 204
        assert zoom_speed(simulator) > 0
        for speed in (-1, 0):
            refused = zoom(bob, camera, speed)
            assert refused.status_code == 409
            assert refused.json()["error"].startswith("ann is steering")
        assert zoom_speed(simulator) > 0, "nobody else stops it"
        assert holder(bob, camera) == "ann"

        assert zoom(admin, camera, -0.5).status_code == 204
        assert zoom_speed(simulator) < 0
        assert holder(ann, camera) == "admin"
        refused = zoom(ann, camera, 0.5)
        assert refused.status_code == 409
        assert refused.json()["error"].startswith("admin is steering")
        heard = []
        while len(heard) < 2:
            message = json.loads(socket.recv(timeout=PATIENCE))
            if message["type"] == "camera.steered" and message["camera"] == camera:
                heard.append((message["by"], message.get("instead_of")))
        assert heard == [("ann", None), ("admin", "ann")]
    assert zoom(admin, camera, 0).status_code == 204

    began = time.monotonic()
    until(lambda: zoom(bob, camera, 0.5).status_code == 204, "it never became free")
    assert time.monotonic() - began > HOLD_SECONDS - 3, "it was held for some time after the last command"
    assert holder(ann, camera) == "bob"
    assert zoom(bob, camera, 0).status_code == 204
    audited = admin.get("audit", params={"action": "steer camera"}).json()["results"]
    assert {"admin", "ann", "bob"} <= {each["username"] for each in audited}, audited[:3]
    assert simulator.violations == []


def hold_down(page: Page, name: str) -> None:
    """Hold this button; again, when the camera was too slow for the first time, as the page then says."""
    for _ in range(5):
        page.get_by_role("button", name=name).hover()
        with page.expect_response(lambda answer: answer.url.endswith("/ptz")) as told:
            page.mouse.down()
        if told.value.status == 204:
            return
        page.mouse.up()
    pytest.fail(f"it was never moved: {told.value.status} {told.value.text()}")


def test_on_the_page_the_loser_sees_who_took_it(
    product: Product,
    api_of: Callable[[str], httpx.Client],
    camera: int,
    simulator: Simulator,
    chromium: Browser,
) -> None:
    admin = api_of("admin")
    until(lambda: holder(admin, camera) is None, "it is held still")
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    try:
        page = context.new_page()
        page.goto(f"{product.url}/sign-in/?next=/cameras/{camera}/")
        page.get_by_label("User name").fill("ann")
        page.get_by_label("Password", exact=True).fill(PHRASE)
        page.keyboard.press("Enter")
        hold_down(page, "Zoom in")
        told = page.locator("[data-holder]")
        expect(told).to_have_text("ann is steering")
        with page.expect_response(lambda answer: answer.url.endswith("/ptz") and answer.status == 409):
            assert zoom(admin, camera, -0.5).status_code == 204
        expect(told).to_have_text("admin took over from ann")
        expect(page.get_by_text("admin is steering").first).to_be_visible()
        assert zoom_speed(simulator) < 0, "the page's own stop does not reach what somebody else moves"
        page.mouse.up()
        assert zoom(admin, camera, 0).status_code == 204
    finally:
        context.close()
    assert simulator.violations == []
