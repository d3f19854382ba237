"""The cameras, the status bar's answer, the frame, and what a person reads when something goes wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.db import OperationalError
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import Role, User
from devices import polling
from devices.models import Camera, Device
from vms import pages

pytestmark = pytest.mark.django_db


def text(response: object) -> str:
    return response.content.decode()  # type: ignore[attr-defined, no-any-return]


# --- Cameras ----------------------------------------------------------------------------------------------------------
def test_the_page_of_cameras_shows_those_one_may_watch_and_no_others(
    client: Client, person: Callable[..., User], fleet: dict[str, Camera]
) -> None:
    client.force_login(person("olga", Role.VIEWER, fleet["Gate B"].device.site))
    page = text(client.get("/cameras/"))
    assert f'href="/cameras/{fleet["Gate B"].pk}/"' in page
    assert "Parking East" not in page
    assert "North" not in page


def test_simulated_devices_always_say_so(as_admin: Client, fleet: dict[str, Camera]) -> None:
    page = text(as_admin.get("/cameras/"))
    tiles = re.findall(r'<a class="tile".*?</a>', page, re.S)
    marked = [tile for tile in tiles if "Simulated" in tile]
    assert len(tiles) == 6
    assert len(marked) == 1
    assert "Demo entrance" in marked[0]


def test_a_disabled_device_is_shown_as_such_whatever_its_last_state(as_admin: Client, fleet: dict[str, Camera]) -> None:
    Device.objects.filter(pk=fleet["Parking East"].device_id).update(enabled=False)
    tile = re.search(
        rf'<a class="tile" href="/cameras/{fleet["Parking East"].pk}/".*?</a>', text(as_admin.get("/cameras/")), re.S
    )
    assert tile is not None
    assert "Disabled" in tile.group()


def seen(page: str, device: Device) -> str:
    row = re.search(rf'<tr data-filter-item data-device="{device.pk}">.*?</tr>', page, re.S)
    assert row is not None
    return row.group()


def test_the_page_of_cameras_tells_when_each_device_was_last_seen_as_polling_knows_it(
    as_admin: Client, fleet: dict[str, Camera], redis_client: redis.Redis
) -> None:
    device, other = fleet["Parking East"].device, fleet["Corridor"].device
    Device.objects.filter(pk=device.pk).update(last_seen=datetime(2026, 11, 23, 12, 0, tzinfo=UTC))
    redis_client.set(f"vms:poll:memory:{device.pk}", json.dumps({"last_seen": "2026-11-24T12:00:07+00:00"}), ex=60)
    page = text(as_admin.get("/cameras/"))
    assert "2026-11-24 12:00:07" in seen(page, device)
    assert "2026-11-23" not in page
    assert "never" in seen(page, other)


def test_the_page_of_cameras_asks_redis_once_for_all_devices(
    as_admin: Client, fleet: dict[str, Camera], redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    remembered = polling.remembered
    monkeypatch.setattr(polling, "remembered", lambda ids: asked.append(len(ids)) or remembered(ids))
    as_admin.get("/cameras/")
    assert asked == [len(fleet)]


def test_the_page_of_cameras_without_redis_tells_what_the_database_knows(
    as_admin: Client, fleet: dict[str, Camera], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "REDIS_URL", f"unix://{settings.DATA_DIR}/nobody.sock")
    device = fleet["Parking East"].device
    Device.objects.filter(pk=device.pk).update(last_seen=datetime(2026, 11, 23, 12, 0, tzinfo=UTC))
    assert "2026-11-23 12:00:00" in seen(text(as_admin.get("/cameras/")), device)


def test_an_empty_home_leads_on(client: Client, as_admin: Client, person: Callable[..., User]) -> None:
    assert "Add the demo devices" in text(as_admin.get("/"))
    client.force_login(person("olga"))
    page = text(client.get("/"))
    assert "Ask an administrator to grant you a site" in page
    assert "Add the demo devices" not in page


def test_the_welcome_is_shown_until_it_is_closed(
    client: Client, person: Callable[..., User], fleet: dict[str, Camera]
) -> None:
    client.force_login(person("anna", Role.ADMIN, welcomed=False))
    page = text(client.get("/"))
    assert "Welcome, anna" in page
    assert "Remove the demo devices" in page
    assert client.post("/welcome/close/")["Location"] == "/"
    assert "Welcome, anna" not in text(client.get("/"))


def test_a_viewer_is_welcomed_without_what_only_administrators_do(
    client: Client, person: Callable[..., User], fleet: dict[str, Camera]
) -> None:
    client.force_login(person("olga", welcomed=False))
    page = text(client.get("/"))
    assert "Welcome, olga" in page
    assert "Remove the demo devices" not in page


# --- The frame --------------------------------------------------------------------------------------------------------
def test_the_rail_has_the_pages_one_may_open_and_marks_the_present_one(
    client: Client, as_admin: Client, person: Callable[..., User]
) -> None:
    def rail(page: str) -> list[str]:
        return re.findall(r'<a href="([^"]+)" data-go', page)

    assert rail(text(as_admin.get("/users/"))) == [
        "/",
        "/cameras/",
        "/devices/",
        "/library/",
        "/jobs/",
        "/events/",
        "/users/",
        "/tokens/",
        "/audit/",
    ]
    assert re.findall(r'data-go="(\w)" aria-current="page"', text(as_admin.get("/users/new/"))) == ["u"]
    client.force_login(person("olga"))
    assert rail(text(client.get("/"))) == ["/", "/cameras/", "/devices/", "/jobs/", "/events/", "/tokens/"]


def test_pages_for_everybody_ask_the_database_nothing(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        assert client.get("/sign-in/").status_code == 200


def test_pages_have_nothing_inline_and_nothing_from_elsewhere(as_admin: Client, fleet: dict[str, Camera]) -> None:
    for path in ("/", "/cameras/", "/users/", "/tokens/", "/audit/", "/styleguide/", "/password/", "/nothing/"):
        page = text(as_admin.get(path))
        assert not re.search(r"\sstyle=|<style|\son\w+=", page), path
        assert not re.search(r"<script(?![^>]*(src=|application/json))", page), path
        assert not re.search(r"(src|href)=\"(https?:)?//", page), path


def test_every_icon_that_is_asked_for_is_in_the_sprite() -> None:
    root = Path(settings.BASE_DIR)
    has = re.findall(r'<symbol id="([\w-]+)"', (root / "static/icons.svg").read_text())
    assert has == sorted(set(has))
    wanted = {look.icon for look in pages_looks()} | {page.icon for page in pages.PAGES}
    for template in root.glob("templates/**/*.html"):
        wanted |= set(re.findall(r'{% icon "([\w-]+)" %}', template.read_text()))
    for script in root.glob("static/js/*.js"):
        wanted |= set(re.findall(r'\bicon\("([\w-]+)"\)', script.read_text()))
    assert wanted <= set(has)


def pages_looks() -> list[object]:
    from vms.templatetags.ui import LOOKS

    return list(LOOKS.values())


# --- Status -----------------------------------------------------------------------------------------------------------
def test_the_status_counts_only_what_one_may_see(
    client: Client, as_admin: Client, person: Callable[..., User], fleet: dict[str, Camera], problems: list[str]
) -> None:
    problems.append("The disk is full.")
    everything = json.loads(as_admin.get("/status/").content)
    assert everything["cameras"] == {"online": 2, "degraded": 1, "offline": 1, "unauthorised": 1, "unknown": 1}
    assert everything["problems"] == ["The disk is full."]
    assert everything["version"] == settings.VERSION
    client.force_login(person("olga", Role.VIEWER, fleet["Gate B"].device.site))
    assert json.loads(client.get("/status/").content)["cameras"] == {
        "online": 0, "degraded": 0, "offline": 1, "unauthorised": 1, "unknown": 1,
    }  # fmt: skip


def test_the_status_costs_little(
    as_admin: Client, fleet: dict[str, Camera], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    as_admin.get("/status/")  # renews the session, which it does once in a week
    with django_assert_max_num_queries(4):  # session, user, grants, counts
        as_admin.get("/status/")


# --- When something goes wrong ----------------------------------------------------------------------------------------
def assert_tells(response: object, status: int, title: str) -> str:
    page = text(response)
    assert response.status_code == status  # type: ignore[attr-defined]
    assert f"<h1>{title}</h1>" in page
    assert "<dt>Why</dt>" in page
    assert "<dt>What to do</dt>" in page
    assert response["X-Request-ID"] in page  # type: ignore[index]
    return page


def test_what_is_not_there_is_told(client: Client) -> None:
    assert_tells(client.get("/nothing/here/"), 404, "There is nothing here")


def test_a_refusal_says_why(client: Client, person: Callable[..., User]) -> None:
    client.force_login(person("olga"))
    page = assert_tells(client.get("/users/"), 403, "You may not do this")
    assert "This needs the role administrator; yours is viewer." in page


def test_a_form_without_its_token_is_told(admin: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    assert_tells(client.post("/sign-out/"), 403, "This form is no longer valid")


def test_a_wrong_host_is_told(client: Client) -> None:
    page = assert_tells(
        client.get("/", headers={"host": "evil.example"}), 400, "This server does not answer to this name"
    )
    assert "ALLOWED_HOSTS" in page


def test_a_mistake_of_ours_is_told_without_its_details(as_admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(pages, "may", broken)
    as_admin.raise_request_exception = False
    page = assert_tells(as_admin.get("/cameras/"), 500, "Something went wrong in the server")
    assert "secret detail" not in page


def test_a_database_that_is_away_is_told_as_that(as_admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise OperationalError("could not connect")

    monkeypatch.setattr(pages, "may", away)
    as_admin.raise_request_exception = False
    response = as_admin.get("/cameras/")
    assert_tells(response, 503, "The database is not available")
    assert response["Retry-After"] == "5"


def test_programs_get_errors_in_their_form(as_admin: Client) -> None:
    response = as_admin.get("/api/nothing/")
    assert response.status_code == 404
    assert list(json.loads(response.content)) == ["error"]


def test_the_restarting_page_stands_alone_and_reloads_itself() -> None:
    page = (Path(settings.BASE_DIR) / "templates/restarting.html").read_text()
    assert '<meta http-equiv="refresh"' in page
    assert not re.search(r"src=|href=|{[{%]|<script", page)
