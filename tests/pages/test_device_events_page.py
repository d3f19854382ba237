"""Events, and how a device was, on their pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Role, User
from devices import history
from devices.models import Camera, Device, Event, Sample, Site, State

pytestmark = pytest.mark.django_db


@pytest.fixture
def happened(fleet: dict[str, Camera]) -> None:
    gate, parking = fleet["Gate B"].device, fleet["Parking East"].device
    history.state_changed(gate, State.OFFLINE, "Nothing answers.")
    history.happened("device.recording", parking, f"{parking} records.", recording=True)
    history.happened("device.problem", parking, f"{parking}: The card reports an error.", problem="The card…")


def rows(client: Client, query: str = "") -> list[str]:
    page = client.get(f"/events/{query}").content.decode()
    return re.findall(r'<td class="text" data-label="What">(.*?)</td>', page)


def test_the_newest_comes_first(as_admin: Client, happened: None) -> None:
    assert rows(as_admin) == [
        "Parking East device: The card reports an error.",
        "Parking East device records.",
        "Gate B device does not answer. Nothing answers.",
    ]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?text=card+parking", 1),
        ("?type=states", 1),
        ("?type=problems", 1),
        ("?site=North", 2),
        ("?since=2000-01-01T00:00", 3),
        ("?until=2000-01-01T00:00", 0),
        ("?type=nonsense", 3),
    ],
)
def test_events_are_searched(as_admin: Client, happened: None, query: str, count: int) -> None:
    assert len(rows(as_admin, query)) == count


def test_one_sees_only_what_happened_to_what_one_may_see(person: Callable[..., User], happened: None) -> None:
    client = Client()
    client.force_login(person("olga", Role.VIEWER, Site.objects.get(name="South")))
    assert rows(client) == ["Gate B device does not answer. Nothing answers."]


def test_an_event_stays_when_its_device_goes(as_admin: Client, happened: None) -> None:
    Device.objects.get(name="Gate B device").delete()
    page = as_admin.get("/events/").content.decode()
    assert "(removed)" in page
    assert len(rows(as_admin)) == 3


def test_a_list_without_events_says_what_will_stand_there(as_admin: Client) -> None:
    assert "Nothing has happened yet" in as_admin.get("/events/").content.decode()
    assert "Nothing found" in as_admin.get("/events/?text=x").content.decode()


def test_the_history_of_a_device_tells_its_own_events_only(as_admin: Client, happened: None) -> None:
    gate = Device.objects.get(name="Gate B device")
    page = as_admin.get(f"/devices/{gate.pk}/history/").content.decode()
    assert "Gate B device does not answer." in page
    assert "Parking East device records." not in page
    assert Event.objects.count() == 3


def test_a_strip_tells_how_much_of_the_known_time_a_device_answered(as_admin: Client, fleet: dict[str, Camera]) -> None:
    device, now = fleet["Gate B"].device, timezone.now()
    for hours, state in ((40, "unknown"), (12, "online"), (9, "degraded"), (6, "offline")):
        Sample.objects.create(device=device, at=now - timedelta(hours=hours), state=state)
    page = as_admin.get(f"/devices/{device.pk}/history/").content.decode()
    assert "Answered 50.0 % of the last 24 hours" in page
    assert 'width="125.0" height="10" class="good"' in page
    assert "Online since" in page


def test_a_device_never_looked_at_has_no_strip(as_admin: Client, fleet: dict[str, Camera]) -> None:
    page = as_admin.get(f"/devices/{fleet['Roof'].device_id}/history/").content.decode()
    assert page.count("not known") == 3
