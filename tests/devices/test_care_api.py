"""Status and history, the device's own log and cards, who uses it, recording, passwords, and what happened."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from asgiref.sync import async_to_sync
from django.utils import timezone

from accounts.models import AuditEntry, Grant, Role, User
from devices import families, history, passwords, polling, tasks, uids
from devices.errors import NoAnswer, Refused, Unauthorised
from devices.families.base import Health
from devices.models import Device, Event, Sample, Site, State
from devices.polling import Memory, Outcome
from tests.devices.conftest import PASSWORD, Api, Simulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def path(saved_device: Device) -> str:
    return f"devices/{saved_device.pk}"


@pytest.fixture
def row(redis_client: redis.Redis) -> Device:
    return Device.objects.create(name="Gate", family="povcam", host="10.0.0.1", site=Site.objects.create(name="North"))


def seen(device: Device, minutes: float = 0, error: Exception | None = None, **facts: Any) -> None:
    """A look at it so many minutes later."""
    at = timezone.now() + timedelta(minutes=minutes)
    health = None if error else Health(facts={"recording": False} | facts, problems=facts.pop("problems", []))
    memories = polling.remembered([device.pk])
    polling.store([Outcome(device, at, error=error, health=health)], memories)  # type: ignore[arg-type]


# --- History ----------------------------------------------------------------------------------------------------------
def test_changes_of_state_become_events_and_samples(row: Device, admin: Api) -> None:
    seen(row)
    for minutes in (1, 2):
        seen(row, minutes, NoAnswer("Nothing answers."))
    seen(row, 3)
    _, found = admin("GET", "events?type=device.state")
    assert [event["detail"]["state"] for event in found["results"]] == ["online", "offline", "online"]
    newest = found["results"][1]
    assert newest["text"] == "Gate does not answer. Nothing answers."
    assert (newest["device"], newest["device_name"]) == (row.pk, "Gate")
    _, status = admin("GET", f"devices/{row.pk}/status")
    assert status["state"] == "online"
    assert status["now"] == {"recording": False}
    assert [sample["state"] for sample in status["history"]["results"]] == ["online", "offline", "online"]


def test_facts_that_change_all_the_time_are_thinned(row: Device) -> None:
    seen(row, 0, free=50.0)
    for step in range(1, 30):
        seen(row, step / 6, free=50.0 - step)
    at_changes = Sample.objects.count()
    assert 2 <= at_changes <= 6, "30 looks in 5 minutes"
    for minutes in range(6, 60):
        seen(row, minutes, free=1.0)
    assert Sample.objects.count() - at_changes <= 5, "an hour without a change"
    assert Event.objects.count() == 1


def test_recording_and_problems_become_events(row: Device, admin: Api) -> None:
    seen(row)
    seen(row, 1, recording=True)
    seen(row, 2, recording=True, problems=["The card is full."])
    seen(row, 3, recording=False)
    texts = [event["text"] for event in admin("GET", f"events?device={row.pk}")[1]["results"]]
    assert texts[::-1] == [
        "Gate is online.",
        "Gate records.",
        "Gate works, but not as it should.",
        "Gate: The card is full.",
        "Gate is online.",
        "Gate has stopped recording.",
        "Gate: no longer so: The card is full.",
    ]


def test_events_since_a_moment(row: Device, admin: Api) -> None:
    for hours in (3, 2, 1):
        history.happened("device.state", row, f"{hours} hours ago")
    for hours, event in zip((3, 2, 1), Event.objects.order_by("pk"), strict=True):
        Event.objects.filter(pk=event.pk).update(at=timezone.now() - timedelta(hours=hours))
    since = (datetime.now(UTC) - timedelta(hours=2, minutes=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    status, found = admin("GET", f"events?since={since}")
    assert (status, found["count"]) == (200, 2)
    assert admin("GET", f"events?until={since}")[1]["count"] == 1
    assert admin("GET", "events?since=yesterday")[0] == 400
    assert admin("GET", "events?limit=1&offset=1")[1]["results"][0]["text"] == "2 hours ago"


def test_events_are_for_those_who_may_see_the_device(row: Device, api_of: Callable[..., Api]) -> None:
    history.happened("device.state", row, "something")
    elsewhere = Site.objects.create(name="South")
    assert api_of(Role.VIEWER, row.site)("GET", "events")[1]["count"] == 1
    assert api_of(Role.VIEWER, elsewhere)("GET", "events")[1]["count"] == 0
    row.cameras.create(number=1, name="a")
    row.cameras.create(number=2, name="b")
    one = api_of(Role.VIEWER, elsewhere)
    for camera in row.cameras.all():
        Grant.objects.create(user=User.objects.latest("pk"), camera=camera)
    assert one("GET", "events")[1]["count"] == 1, "once, however many ways lead to it"
    row.delete()
    assert api_of(Role.VIEWER, Site.objects.get(name="North"))("GET", "events")[1]["results"][0]["device"] is None


def test_what_is_old_is_forgotten(row: Device, settings: Any) -> None:
    settings.EVENT_DAYS, settings.HISTORY_DAYS = 10, 5
    for days in (4, 6, 11):
        at = timezone.now() - timedelta(days=days)
        Event.objects.create(type="x", device=row, site=row.site, name="Gate", text="x", at=at)
        Sample.objects.create(device=row, at=at, state=State.ONLINE)
    tasks.forget_old()
    assert (Event.objects.count(), Sample.objects.count()) == (2, 1)
    settings.EVENT_DAYS = settings.HISTORY_DAYS = 0
    tasks.forget_old()
    assert (Event.objects.count(), Sample.objects.count()) == (2, 1)


def test_a_removed_device_leaves_no_half_history(row: Device) -> None:
    gone = Device.objects.get(pk=row.pk)
    row.delete()
    history.happened("device.state", gone, "x")
    history.keep_samples([Sample(device=gone, at=timezone.now(), state=State.ONLINE)])
    assert (Event.objects.count(), Sample.objects.count()) == (0, 0)
    assert Memory().sampled == 0


# --- The device itself ------------------------------------------------------------------------------------------------
def test_the_devices_log_is_read_and_searched(admin: Api, path: str, simulator: Simulator) -> None:
    status, log = admin("GET", f"{path}/log")
    assert status == 200
    assert log["count"] == len(log["results"]) >= 1
    assert set(log["results"][0]) == {"number", "at", "utc", "code", "text"}
    word = log["results"][0]["text"].split()[0]
    _, found = admin("GET", f"{path}/log?search={word.upper()}")
    assert 1 <= found["count"] <= log["count"]
    assert all(word.lower() in entry["text"].lower() for entry in found["results"])
    assert admin("GET", f"{path}/log?search=zzzz")[1]["count"] == 0
    assert simulator.violations == []


def test_its_cards_are_told(admin: Api, path: str) -> None:
    status, storage = admin("GET", f"{path}/storage")
    assert (status, storage["count"]) == (200, 2)
    assert storage["results"][0]["name"] == "slot 1"


def test_who_holds_places_is_told_without_the_uid(admin: Api, path: str, saved_device: Device) -> None:
    lease = uids.UidLease(device=saved_device.pk, uid="1234567890", mode="h264", port=40000, keep_alive_seconds=30)
    async_to_sync(uids.hold)(lease)
    other = uids.UidLease(device=saved_device.pk + 1, uid="1", mode="h264", port=40002, keep_alive_seconds=30)
    async_to_sync(uids.hold)(other)
    status, found = admin("GET", f"{path}/sessions")
    assert (status, found["count"]) == (200, 1)
    (use,) = found["results"][0]["uses"]
    assert (use["mode"], use["holder"], use["camera"]) == ("h264", uids.this_process(), None)
    assert "1234567890" not in str(found)


def until_it_records(admin: Api, path: str, on: bool) -> None:
    deadline = time.monotonic() + 20
    while admin("POST", f"{path}/poll")[1]["status"]["now"]["recording"] is not on:
        assert time.monotonic() < deadline, "it never said so"


def test_recording_starts_and_stops(admin: Api, path: str, simulator: Simulator) -> None:
    assert admin("POST", f"{path}/recording", {"on": True}) == (200, {"on": True})
    until_it_records(admin, path, True)
    assert admin("POST", f"{path}/recording", {"on": False})[0] == 200
    until_it_records(admin, path, False)
    assert {"start recording", "stop recording"} <= set(AuditEntry.objects.values_list("action", flat=True))
    assert admin("POST", f"{path}/recording", {"on": "yes"})[0] == 400


def test_a_restart_waits_for_a_yes(admin: Api, path: str, simulator: Simulator) -> None:
    assert admin("POST", f"{path}/restart")[0] == 409
    assert simulator.targets == []
    assert admin("POST", f"{path}/restart", {"confirm": True})[0] == 204
    assert any("initial?cmd=reset" in target for target in simulator.targets)
    assert Event.objects.filter(type="device.restart").exists()


def test_what_the_document_has_no_way_to_is_422(admin: Api, path: str, saved_device: Device) -> None:
    status, error = admin("POST", f"{path}/password", {"password": "new one"})
    assert status == 422
    assert "password" in error["error"]
    saved_device.refresh_from_db()
    assert saved_device.password.reveal() == PASSWORD
    assert not saved_device.password_next
    assert AuditEntry.objects.get(action="change device password").result == "failed"


def test_roles(api_of: Callable[..., Api], path: str, simulator: Simulator) -> None:
    viewer, operator = api_of(Role.VIEWER), api_of(Role.OPERATOR)
    assert viewer("GET", f"{path}/status")[0] == 200
    assert viewer("POST", f"{path}/recording", {"on": True})[0] == 403
    for api in (viewer, operator):
        for what in ("log", "sessions", "exchanges"):
            assert api("GET", f"{path}/{what}")[0] == 403
        for what in ("restart", "password", "certificate", "replacement"):
            assert api("POST", f"{path}/{what}", {"password": "x"} if what == "password" else None)[0] == 403
    assert simulator.targets == []


# --- Passwords --------------------------------------------------------------------------------------------------------
class Lock(families.driver_class("povcam")):  # type: ignore[misc]
    """A device whose password can be changed: what it accepts now, and what goes wrong."""

    accepted = PASSWORD
    error: Exception | None = None
    heard = True

    async def change_password(self, gateway: Any, password: str) -> None:
        if Lock.heard:
            Lock.accepted = password
        if Lock.error:
            raise Lock.error

    async def identify(self, gateway: Any) -> None:  # type: ignore[override]
        if self.device.password != Lock.accepted:
            raise Unauthorised("It refuses our password.")


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch, row: Device) -> type[Lock]:
    monkeypatch.setattr(passwords, "driver_for", Lock)
    for name, value in (("accepted", PASSWORD), ("error", None), ("heard", True)):
        monkeypatch.setattr(Lock, name, value)
    Device.objects.update(password=PASSWORD)
    return Lock


@pytest.mark.parametrize(
    ("error", "heard", "status", "stored"),
    [
        (None, True, 204, "new one"),
        (Refused("No."), False, 409, PASSWORD),
        (NoAnswer("Nothing answers."), True, 204, "new one"),
        (NoAnswer("Nothing answers."), False, 504, PASSWORD),
    ],
)
def test_our_password_follows_the_devices(
    admin: Api, row: Device, lock: type[Lock], error: Exception | None, heard: bool, status: int, stored: str
) -> None:
    lock.error, lock.heard = error, heard
    assert admin("POST", f"devices/{row.pk}/password", {"password": "new one"})[0] == status
    row.refresh_from_db()
    assert row.password.reveal() == stored == lock.accepted
    assert "new one" not in str(list(AuditEntry.objects.values()))


def test_what_stayed_unclear_is_settled_when_the_old_one_is_refused(row: Device, lock: type[Lock]) -> None:
    row.refresh_from_db()
    row.password_next = "new one"  # the process died after the device was told
    row.save()
    lock.accepted = "new one"
    assert async_to_sync(passwords.settle)(row)
    row.refresh_from_db()
    assert (row.password.reveal(), bool(row.password_next)) == ("new one", False)
    assert not async_to_sync(passwords.settle)(row)
