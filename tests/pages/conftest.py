"""People, cameras and a browser for the tests of pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, WebSocketRoute
from pytest_django.live_server_helper import LiveServer

from accounts.models import Grant, Role, User
from devices.models import Camera, Device, Site
from tests.devices.conftest import (  # noqa: F401  a device that answers
    saved_device,
    shorter_rests,
    simulator,
    start_simulator,
)
from vms import health

PASSWORD = "a long enough passphrase"
DESKTOP, PHONE = (1440, 900), (390, 844)


@pytest.fixture(autouse=True)
def problems(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is wrong with the server: nothing, unless a test says so."""
    found: list[str] = []
    monkeypatch.setattr(health, "problems", lambda: found)
    return found


@pytest.fixture
def fleet(db: None) -> dict[str, Camera]:
    """Three sites, a camera for each state, one of them simulated."""
    cameras = {}
    for number, (site, name, state, simulated) in enumerate(
        [
            ("North", "Parking East", "online", False),
            ("North", "Corridor", "degraded", False),
            ("South", "Gate B", "offline", False),
            ("South", "Roof", "unauthorised", False),
            ("South", "Cold store", "unknown", False),
            ("Demo", "Demo entrance", "online", True),
        ],
        start=1,
    ):
        device = Device.objects.create(
            name=f"{name} device",
            family="povcam",
            host=f"192.0.2.{number}",
            site=Site.objects.get_or_create(name=site)[0],
            state=state,
            simulated=simulated,
            last_error="Nothing answers at this address." if state == "offline" else "",
        )
        cameras[name] = Camera.objects.create(device=device, number=1, name=name)
    return cameras


@pytest.fixture
def person(db: None) -> Callable[..., User]:
    """`person("olga", Role.OPERATOR, site)`: without sites, everything is in reach."""

    def make(username: str, role: Role = Role.VIEWER, *sites: Site, **fields: Any) -> User:
        user = User.objects.create_user(username, PASSWORD, role=role, **{"welcomed": True, **fields})
        for site in sites or (None,):
            Grant.objects.create(user=user, site=site)
        return user

    return make


@pytest.fixture
def admin(person: Callable[..., User]) -> User:
    return person("root", Role.ADMIN)


@pytest.fixture
def as_admin(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


# --- The browser ------------------------------------------------------------------------------------------------------
@dataclass
class Visit:
    """A browser window on the product. The events socket ends in the test: the test's server speaks only HTTP."""

    page: Page
    context: BrowserContext
    url: str
    complaints: list[str] = field(default_factory=list)
    sockets: list[WebSocketRoute] = field(default_factory=list)
    server_is_away: bool = False

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)
        self.page.wait_for_load_state("networkidle")

    def sign_in(self, user: User) -> None:
        client = Client()
        client.force_login(user)
        self.context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": self.url}])

    def overflow(self) -> int:
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def answer(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        if self.server_is_away:
            socket.close(code=1012)

    def hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@pytest.fixture
def visit(chromium: Browser, live_server: LiveServer, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A window of the size given by the mark's parameter, or of a desktop."""
    width, height = getattr(request, "param", DESKTOP)
    small = (width, height) == PHONE
    context = chromium.new_context(
        viewport={"width": width, "height": height}, has_touch=small, is_mobile=small, reduced_motion="reduce"
    )
    visit = Visit(context.new_page(), context, live_server.url)
    visit.page.route_web_socket("**/ws/events/", visit.answer)
    visit.page.route_web_socket("**/ws/live/**", lambda socket: None)
    visit.page.on("console", visit.hear)
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    yield visit
    context.close()
