"""The history of a device on its page: snapshots taken, compared and brought back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import Role, User
from devices.models import Device, Snapshot

pytestmark = pytest.mark.django_db(transaction=True)


def part(client: Client, path: str) -> str:
    return client.get(path, headers={"HX-Request": "true"}).content.decode()


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.fixture
def history(saved_device: Device) -> str:
    return f"/devices/{saved_device.pk}/history/"


def changed(snapshot: Snapshot, **values: Any) -> Snapshot:
    """Another snapshot, as if the device had been set differently."""
    other = {group: dict(each) for group, each in snapshot.values.items()}
    other["basic"] |= values
    return Snapshot.objects.create(device=snapshot.device, kind="manual", values=other)


def take(client: Client, history: str) -> Snapshot:
    answer = client.post(f"{history}snapshots/", {"note": "before the fair"})
    snapshot = Snapshot.objects.get(kind="manual")
    assert answer.headers["Location"] == f"{history}snapshots/{snapshot.pk}/"
    return snapshot


def test_a_snapshot_is_taken_and_shown(as_admin: Client, history: str) -> None:
    assert "No snapshot yet" in as_admin.get(history).content.decode()
    snapshot = take(as_admin, history)
    page = words(as_admin.get(f"{history}snapshots/{snapshot.pk}/").content.decode())
    assert "By hand, by root: before the fair" in page
    assert "H.264(1)" in page
    assert "before the fair" in as_admin.get(history).content.decode()


def test_two_snapshots_are_compared(as_admin: Client, history: str) -> None:
    first = take(as_admin, history)
    second = changed(first, cam_title="West wing")
    page = words(as_admin.get(f"{history}snapshots/compare/?first={first.pk}&second={second.pk}").content.decode())
    assert "West wing" in page
    same = as_admin.get(f"{history}snapshots/compare/?first={first.pk}&second={first.pk}").content.decode()
    assert "No difference" in same


def test_a_snapshot_is_compared_with_the_device_as_it_is(as_admin: Client, history: str) -> None:
    other = changed(take(as_admin, history), cam_title="West wing")
    path = f"{history}snapshots/compare/?first={other.pk}&second=now"
    assert "this may take a while" in as_admin.get(path).content.decode()
    assert "West wing" in part(as_admin, path)


def test_a_snapshot_is_brought_back_after_it_was_shown_what_that_changes(as_admin: Client, history: str) -> None:
    other = changed(take(as_admin, history), cam_title="West wing")
    path = f"{history}snapshots/{other.pk}/restore/"
    assert "Bring the snapshot back" in part(as_admin, path)
    done = as_admin.post(path)
    assert done.status_code == 200
    assert "<ins>West wing</ins>" in done.content.decode()
    assert "Left alone, and why" in done.content.decode()
    assert "West wing" not in part(as_admin, path), "now there is no difference"


def test_a_dangerous_one_is_asked_about_once_more(as_admin: Client, history: str) -> None:
    snapshot = take(as_admin, history)
    snapshot.values["priority"]["mode"] = "rec_pb_4k"
    snapshot.save()
    path = f"{history}snapshots/{snapshot.pk}/restore/"
    first = as_admin.post(path)
    assert first.status_code == 409
    assert "Yes, bring it back" in first.content.decode()
    assert as_admin.post(path, {"confirm": "1"}).status_code == 200


def test_a_snapshot_is_deleted(as_admin: Client, history: str) -> None:
    snapshot = take(as_admin, history)
    as_admin.post(f"{history}snapshots/{snapshot.pk}/delete/")
    assert not Snapshot.objects.exists()
    assert as_admin.get(f"{history}snapshots/{snapshot.pk}/").status_code == 404


@pytest.mark.parametrize("query", ["", "?first=abc", "?first=99999", "?first=99999999999999999999"])
def test_snapshots_that_are_not_there_are_not_found(as_admin: Client, history: str, query: str) -> None:
    assert as_admin.get(f"{history}snapshots/compare/{query}").status_code == 404


def test_snapshots_are_for_administrators(person: Callable[..., User], history: str, saved_device: Device) -> None:
    snapshot = Snapshot.objects.create(device=saved_device, kind="manual", values={"basic": {"cam_title": "x"}})
    client = Client()
    client.force_login(person("olga", Role.OPERATOR))
    assert client.get(history).status_code == 200
    assert "Snapshots" not in client.get(history).content.decode()
    for path in ("", "restore/"):
        assert client.get(f"{history}snapshots/{snapshot.pk}/{path}").status_code == 403
    assert client.post(f"{history}snapshots/").status_code == 403
