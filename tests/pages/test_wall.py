"""The live wall's page and its saved views, as the server tells them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import Role, User
from devices.models import Camera, Device, Site
from streaming.models import WallView
from streaming.wall import MOST_VIEWS

pytestmark = pytest.mark.django_db


def text(response: Any) -> str:
    return str(response.content.decode())


def offered(page: str) -> set[str]:
    """The names of the cameras in the tree."""
    return set(re.findall(r'data-camera="\d+" data-device="\d+" data-name="([^"]+)"', page))


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def send(client: Client, method: str, path: str, body: Any = None) -> Any:
    return client.generic(method, f"/api/v1/{path}", json.dumps(body or {}), content_type="application/json")


def view_of(*cameras: int | None, **changes: Any) -> dict[str, Any]:
    return {"name": "Perimeter", "layout": "4", "cameras": list(cameras), **changes}


@pytest.fixture
def olga(person: Callable[..., User], fleet: dict[str, Camera]) -> User:
    """Watches one site."""
    return person("olga", Role.OPERATOR, fleet["Gate B"].device.site)


# --- The page ---------------------------------------------------------------------------------------------------------
def test_the_wall_offers_the_cameras_one_may_watch_and_no_others(olga: User) -> None:
    page = text(signed_in(olga).get("/"))
    assert offered(page) == {"Gate B", "Roof", "Cold store"}
    assert "Parking East" not in page
    assert "North" not in page


def test_every_camera_says_its_state_in_a_word(as_admin: Client, fleet: dict[str, Camera]) -> None:
    Device.objects.filter(pk=fleet["Roof"].device_id).update(enabled=False)
    page = text(as_admin.get("/"))
    leaves = dict(re.findall(r'data-name="([^"]+)".*?data-state-word>([^<]+)<', page))
    assert leaves["Parking East"] == "Online"
    assert leaves["Gate B"] == "Offline"
    assert leaves["Roof"] == "Disabled"


def test_a_recorder_is_a_branch_of_its_own(as_admin: Client, fleet: dict[str, Camera]) -> None:
    recorder = Device.objects.create(
        name="Recorder 7", family="ipro", host="192.0.2.70", site=Site.objects.get(name="North")
    )
    for number in (1, 2, 3):
        Camera.objects.create(device=recorder, number=number, name=f"Aisle {number}")
    page = text(as_admin.get("/"))
    assert re.search(r'<summary class="device">.*?Recorder 7</span><span class="note">3<', page, re.S)
    assert "Parking East device" not in re.findall(r"<summary.*?</summary>", page, re.S)


def test_hundreds_of_cameras_cost_as_few_queries_as_one(
    as_admin: Client, fleet: dict[str, Camera], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    site = Site.objects.get(name="North")
    for number in range(20):
        device = Device.objects.create(name=f"Many {number}", family="ipro", host=f"192.0.2.{100 + number}", site=site)
        Camera.objects.bulk_create(Camera(device=device, number=n, name=f"{number}.{n}") for n in range(1, 17))
    with django_assert_max_num_queries(30):
        page = text(as_admin.get("/"))
    assert len(offered(page)) == 20 * 16 + len(fleet)


def test_who_may_not_steer_is_offered_no_steering(
    as_admin: Client, person: Callable[..., User], fleet: dict[str, Camera]
) -> None:
    assert "data-steering" in text(as_admin.get("/"))
    assert "data-steering" not in text(signed_in(person("vera")).get("/"))


def test_the_clock_is_told_to_who_is_signed_in(client: Client, as_admin: Client) -> None:
    assert as_admin.get("/live/clock/").json()["now"] > 1_700_000_000
    assert client.get("/live/clock/").status_code == 302


# --- Views ------------------------------------------------------------------------------------------------------------
def test_a_view_is_kept_for_its_user_alone(olga: User, as_admin: Client, fleet: dict[str, Camera]) -> None:
    hers = signed_in(olga)
    saved = send(hers, "POST", "views", view_of(fleet["Gate B"].pk, None, fleet["Roof"].pk))
    assert saved.status_code == 201, saved.content
    assert saved.json()["cameras"] == [fleet["Gate B"].pk, None, fleet["Roof"].pk]
    assert [view["name"] for view in hers.get("/api/v1/views").json()["results"]] == ["Perimeter"]
    assert as_admin.get("/api/v1/views").json()["count"] == 0
    assert "Perimeter" in text(hers.get("/"))
    assert "Perimeter" not in text(as_admin.get("/"))


def test_a_view_of_somebody_else_does_not_exist(olga: User, as_admin: Client) -> None:
    saved = send(signed_in(olga), "POST", "views", view_of()).json()
    for method in ("PATCH", "DELETE"):
        assert send(as_admin, method, f"views/{saved['id']}").status_code == 404
    assert WallView.objects.count() == 1


def test_a_shared_view_shows_each_only_what_they_may_watch(
    olga: User, as_admin: Client, fleet: dict[str, Camera]
) -> None:
    shown = [fleet["Parking East"].pk, fleet["Gate B"].pk]
    assert send(as_admin, "POST", "views", view_of(*shown, shared=True)).status_code == 201
    (seen,) = signed_in(olga).get("/api/v1/views").json()["results"]
    assert seen["cameras"] == [None, fleet["Gate B"].pk]
    assert (seen["own"], seen["owner"]) == (False, "root")
    assert send(signed_in(olga), "PATCH", f"views/{seen['id']}", {"name": "Mine"}).status_code == 404


def test_only_administrators_share(olga: User) -> None:
    refused = send(signed_in(olga), "POST", "views", view_of(shared=True))
    assert refused.status_code == 403
    assert "administrators" in refused.json()["error"]


def test_a_camera_one_may_not_watch_cannot_be_put_into_a_view(olga: User, fleet: dict[str, Camera]) -> None:
    refused = send(signed_in(olga), "POST", "views", view_of(fleet["Parking East"].pk))
    assert (refused.status_code, refused.json()["field"]) == (400, "cameras")


def test_a_camera_stands_on_the_wall_once(olga: User, fleet: dict[str, Camera]) -> None:
    refused = send(signed_in(olga), "POST", "views", view_of(fleet["Gate B"].pk, fleet["Gate B"].pk))
    assert (refused.status_code, refused.json()["error"]) == (400, "Each camera stands on the wall once.")


def test_a_camera_that_is_gone_leaves_an_empty_tile(olga: User, fleet: dict[str, Camera]) -> None:
    hers = signed_in(olga)
    saved = send(hers, "POST", "views", view_of(fleet["Gate B"].pk, fleet["Roof"].pk)).json()
    fleet["Gate B"].device.delete()
    assert hers.get("/api/v1/views").json()["results"][0]["cameras"] == [None, fleet["Roof"].pk]
    renamed = send(hers, "PATCH", f"views/{saved['id']}", {"name": "Roof alone"})
    assert renamed.status_code == 200, renamed.content


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"name": "   "}, 400, "name"),
        ({"name": "x" * 61}, 400, "name"),
        ({"layout": "7"}, 400, "layout"),
        ({"layout": "1", "cameras": [None, None]}, 400, "cameras"),
        ({"cameras": [True]}, 400, "cameras"),
        ({"cameras": [None] * 26}, 400, "cameras"),
        ({"colour": "red"}, 400, "colour"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(olga: User, changes: dict[str, Any], status: int, field: str) -> None:
    refused = send(signed_in(olga), "POST", "views", view_of(**changes))
    assert refused.status_code == status, refused.content
    assert refused.json()["field"].startswith(field)
    assert not WallView.objects.exists()


def test_two_views_of_a_user_cannot_have_one_name(olga: User) -> None:
    hers = signed_in(olga)
    send(hers, "POST", "views", view_of())
    again = send(hers, "POST", "views", view_of())
    assert again.status_code == 409
    assert "called Perimeter already" in again.json()["error"]


def test_views_are_limited(olga: User) -> None:
    WallView.objects.bulk_create(
        WallView(user=olga, name=f"View {n}", layout="1", cameras=[]) for n in range(MOST_VIEWS)
    )
    refused = send(signed_in(olga), "POST", "views", view_of())
    assert refused.status_code == 409
    assert "Delete one" in refused.json()["error"]
