"""The list of devices: who sees what, how it is searched and sorted."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import Role, User
from devices.models import Camera, Device, Site, Tag

pytestmark = pytest.mark.django_db


def names(client: Client, query: str = "") -> list[str]:
    answer = client.get(f"/devices/{query}")
    assert answer.status_code == 200
    return re.findall(r'<th scope="row"><span><a href="/devices/\d+/">(.+?) device</a>', answer.content.decode())


def test_all_devices_are_listed_by_site(as_admin: Client, fleet: dict[str, Camera]) -> None:
    assert names(as_admin) == ["Demo entrance", "Corridor", "Parking East", "Cold store", "Gate B", "Roof"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_others_see_what_is_granted_and_can_change_nothing(
    person: Callable[..., User], fleet: dict[str, Camera], role: Role
) -> None:
    client = Client()
    client.force_login(person("olga", role, Site.objects.get(name="North")))
    assert names(client) == ["Corridor", "Parking East"]
    page = client.get("/devices/").content.decode()
    assert "Add a device" not in page
    assert 'name="device"' not in page
    assert "South" not in page


def test_who_reaches_nothing_is_told_what_to_do(person: Callable[..., User], fleet: dict[str, Camera]) -> None:
    client = Client()
    client.force_login(person("olga", Role.VIEWER, Site.objects.create(name="Empty")))
    assert names(client) == []
    assert "Ask an administrator to grant you" in client.get("/devices/").content.decode()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?text=gate", ["Gate B"]),
        ("?text=south+192.0.2.5", ["Cold store"]),
        ("?text=ag-umr20", ["Roof"]),
        ("?text=night", ["Corridor"]),
        ("?state=offline", ["Gate B"]),
        ("?state=trouble", ["Corridor", "Gate B", "Roof"]),
        ("?state=disabled", ["Cold store"]),
        ("?state=online&site=North", ["Parking East"]),
        ("?tag=night", ["Corridor"]),
        ("?family=hama", []),
        ("?state=nonsense&text=gate", ["Gate B"]),
    ],
)
def test_the_list_is_searched_by_words_and_choices(
    as_admin: Client, fleet: dict[str, Camera], query: str, found: list[str]
) -> None:
    fleet["Corridor"].device.tags.add(Tag.objects.create(name="night"), Tag.objects.create(name="north"))
    Device.objects.filter(name="Roof device").update(model="AG-UMR20")
    Device.objects.filter(name="Cold store device").update(enabled=False)
    assert names(as_admin, query) == found


def test_the_list_is_sorted_either_way_and_what_is_missing_comes_last(
    as_admin: Client, fleet: dict[str, Camera]
) -> None:
    Device.objects.filter(name="Roof device").update(model="B")
    Device.objects.filter(name="Gate B device").update(model="A")
    assert names(as_admin, "?sort=model")[:2] == ["Gate B", "Roof"]
    assert names(as_admin, "?sort=-model")[:2] == ["Roof", "Gate B"]
    assert names(as_admin, "?sort=nonsense") == names(as_admin)


def test_a_search_that_finds_nothing_says_so(as_admin: Client, fleet: dict[str, Camera]) -> None:
    assert "No device matches" in as_admin.get("/devices/?text=nothing-is-called-this").content.decode()


def test_an_installation_without_devices_says_how_to_begin(as_admin: Client) -> None:
    page = as_admin.get("/devices/").content.decode()
    assert "No devices yet" in page
    assert "Add the demo devices" in page


def test_the_tags_of_devices_one_may_not_see_are_not_offered(
    person: Callable[..., User], fleet: dict[str, Camera]
) -> None:
    fleet["Gate B"].device.tags.add(Tag.objects.create(name="vault"))
    client = Client()
    client.force_login(person("olga", Role.VIEWER, Site.objects.get(name="North")))
    assert "vault" not in client.get("/devices/").content.decode()
