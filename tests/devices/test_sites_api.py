"""Sites are renamed and removed; their devices never go with them."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from accounts.models import AuditEntry, Grant, Role, User
from devices.models import Device, Event, Site
from tests.devices.conftest import Api

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sites(redis_client: redis.Redis, db: None) -> tuple[Site, Site]:
    north, south = Site.objects.create(name="North"), Site.objects.create(name="South")
    for number in (1, 2):
        Device.objects.create(name=f"Gate {number}", family="povcam", host=f"192.0.2.{number}", site=north)
    return north, south


def test_a_site_is_renamed(admin: Api, sites: tuple[Site, Site]) -> None:
    north, _ = sites
    assert admin("PATCH", f"sites/{north.pk}", {"name": " Yard "}) == (200, {"id": north.pk, "name": "Yard"})
    assert admin("GET", f"sites/{north.pk}")[1]["name"] == "Yard"
    assert AuditEntry.objects.get(action="rename site").detail == {"before": "North"}


@pytest.mark.parametrize(("name", "status"), [("South", 409), ("", 400), ("  ", 400), ("x" * 101, 400), (5, 400)])
def test_a_name_that_cannot_be_is_refused(admin: Api, sites: tuple[Site, Site], name: Any, status: int) -> None:
    answered, error = admin("PATCH", f"sites/{sites[0].pk}", {"name": name})
    assert (answered, error["field"]) == (status, "name")
    assert Site.objects.filter(name="North").exists()


def test_a_site_with_devices_goes_only_when_it_is_said_where_they_go(admin: Api, sites: tuple[Site, Site]) -> None:
    north, south = sites
    Event.objects.create(type="x", device=Device.objects.first(), site=north, name="Gate 1", text="x")
    status, error = admin("DELETE", f"sites/{north.pk}")
    assert (status, error["field"]) == (409, "move_to")
    assert "2 devices" in error["error"]
    for target, expected in ((north.pk, 400), (999999, 400), ("x", 400)):
        assert admin("DELETE", f"sites/{north.pk}?move_to={target}")[0] == expected
    assert Device.objects.filter(site=north).count() == 2
    assert admin("DELETE", f"sites/{north.pk}?move_to={south.pk}") == (204, None)
    assert set(Device.objects.values_list("site", flat=True)) == {south.pk}
    assert Event.objects.get(type="x").site == south, "what happened to a device goes with it"
    assert not Site.objects.filter(pk=north.pk).exists()
    assert AuditEntry.objects.get(action="remove site").detail == {"moved": 2, "grants_ended": 0}
    assert admin("DELETE", f"sites/{north.pk}")[0] == 404


def test_grants_on_it_end_and_open_nothing_else(
    admin: Api, api_of: Callable[..., Api], sites: tuple[Site, Site]
) -> None:
    north, south = sites
    local = api_of(Role.VIEWER, north)
    assert local("GET", "devices")[1]["count"] == 2
    assert admin("DELETE", f"sites/{north.pk}?move_to={south.pk}")[0] == 204
    assert local("GET", "devices")[1]["count"] == 0
    assert not Grant.objects.filter(user__role=Role.VIEWER).exists()
    assert User.objects.filter(role=Role.VIEWER).exists()


def test_who_does_not_reach_everything_may_not(api_of: Callable[..., Api], sites: tuple[Site, Site]) -> None:
    north, south = sites
    local = api_of(Role.ADMIN, north)
    assert local("PATCH", f"sites/{north.pk}", {"name": "Mine"})[0] == 403
    assert local("DELETE", f"sites/{north.pk}")[0] == 403
    assert local("DELETE", f"sites/{south.pk}")[0] == 404
    for role in (Role.VIEWER, Role.OPERATOR):
        assert api_of(role)("DELETE", f"sites/{north.pk}")[0] == 403
