"""Who was told to restart is awaited: told when it is back, and when it should be but is not."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from asgiref.sync import async_to_sync
from django.utils import timezone

from devices import polling, returning, tasks
from devices.errors import DeviceError, NoAnswer, Unauthorised
from devices.families.base import Health
from devices.models import Device, Event, Site, Snapshot
from devices.polling import Outcome
from tests.devices.conftest import Api, Simulator, free_port, unsaved_device

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "secret12"


@pytest.fixture
def row(redis_client: redis.Redis, db: None) -> Device:
    site = Site.objects.create(name="North")
    return Device.objects.create(
        name="Gate", family="povcam", host="192.0.2.1", site=site, state="online", mac="00:11:22:33:44:55"
    )


def told(device: Device) -> list[tuple[str, str]]:
    kinds = ("device.back", "device.not_back")
    return list(Event.objects.filter(device=device, type__in=kinds).order_by("pk").values_list("type", "text"))


def seen(device: Device, after: float, error: DeviceError | None = None) -> None:
    """A look at it so many seconds after it was told to restart."""
    device.refresh_from_db()
    assert device.away_since is not None
    at = device.away_since + timedelta(seconds=after)
    outcome = Outcome(device, at, error=error, health=None if error else Health())
    polling.store([outcome], polling.remembered([device.pk]))


def later(device: Device, seconds: float) -> None:
    """As if it had been told so much earlier."""
    device.refresh_from_db()
    assert device.away_since is not None
    assert device.back_by is not None
    passed = timedelta(seconds=seconds)
    Device.objects.filter(pk=device.pk).update(away_since=device.away_since - passed, back_by=device.back_by - passed)


def test_an_answer_of_some_time_after_means_it_is_back_and_is_told_once(row: Device) -> None:
    returning.expect(row)
    seen(row, 2)
    tasks.await_returns()
    assert told(row) == [], "it had not gone down yet"
    seen(row, 30, NoAnswer("Nothing answers."))
    tasks.await_returns()
    assert told(row) == []
    seen(row, 60)
    tasks.await_returns()
    tasks.await_returns()
    assert told(row) == [("device.back", "Gate is back: it answers at 192.0.2.1:80.")]
    row.refresh_from_db()
    assert (row.away_since, row.back_by) == (None, None)


def test_one_that_does_not_come_back_is_told_with_what_to_do(row: Device) -> None:
    returning.expect(row)
    later(row, returning.RETURN_SECONDS + 1)
    tasks.await_returns()
    tasks.await_returns()
    ((kind, text),) = told(row)
    assert kind == "device.not_back"
    assert "00:11:22:33:44:55" in text


def test_one_that_refuses_us_afterwards_is_back_too(row: Device) -> None:
    returning.expect(row)
    seen(row, 20, Unauthorised("It refuses our password."))
    tasks.await_returns()
    assert told(row) == []
    later(row, 60)
    tasks.await_returns()
    ((kind, text),) = told(row)
    assert kind == "device.back"
    assert "refuses our user name and password" in text


def test_while_it_is_awaited_it_is_looked_at_soon(row: Device) -> None:
    polling.follow_database([row.pk])
    ((_, ticket),) = _due(row)
    polling.come_again([((row.pk, ticket), 60.0)])
    assert polling.claim_due() == []
    returning.expect(row)
    tasks.await_returns()
    assert [device for device, _ in polling.claim_due()] == [row.pk]


def _due(device: Device) -> list[tuple[int, str]]:
    polling.look_soon(device)
    return polling.claim_due()


@pytest.mark.parametrize("change", [{"enabled": False}, {"host": "192.0.2.9"}])
def test_nobody_waits_for_one_that_is_switched_off_or_set_elsewhere(
    admin: Api, row: Device, change: dict[str, Any]
) -> None:
    returning.expect(row)
    assert admin("PATCH", f"devices/{row.pk}", change)[0] == 200
    tasks.await_returns()
    later_on = Device.objects.get(pk=row.pk)
    assert later_on.back_by is None
    assert told(row) == []


def test_a_recorder_that_restarts_is_awaited_until_it_answers(
    admin: Api, saved_device: Device, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(returning, "SETTLE_SECONDS", 2)
    path = f"devices/{saved_device.pk}"
    before = timezone.now()
    assert admin("POST", f"{path}/restart", {"confirm": True})[0] == 204
    _, shown = admin("GET", path)
    assert shown["back_by"] > before.isoformat()
    deadline = time.monotonic() + 60
    while not told(saved_device):
        assert time.monotonic() < deadline, "it was never told to be back"
        try:
            async_to_sync(polling.look_now)(Device.objects.get(pk=saved_device.pk))
        except DeviceError:
            time.sleep(0.2)
        tasks.await_returns()
    assert told(saved_device)[0][0] == "device.back"
    assert admin("GET", path)[1]["back_by"] is None
    assert simulator.violations == []


def test_a_restart_by_the_console_is_awaited_too(admin: Api, saved_device: Device, simulator: Simulator) -> None:
    path = f"devices/{saved_device.pk}"
    body = {"params": {"cmd": "reset", "Randomnum": "0123456789abcdef"}, "confirm": True}
    assert admin("POST", f"{path}/commands/get_basic")[0] == 200
    assert admin("GET", path)[1]["back_by"] is None
    assert admin("POST", f"{path}/commands/initial", body)[0] == 200
    assert admin("GET", path)[1]["back_by"] is not None


# --- Addresses --------------------------------------------------------------------------------------------------------
@pytest.fixture
def camera(start_simulator: Callable[..., Simulator], redis_client: redis.Redis, db: None) -> Device:
    simulator = start_simulator("--user-auth", family="ipcam", password=SECRET)
    row = unsaved_device(simulator.port, family="ipcam", password=SECRET)
    row.pk, row.site = None, Site.objects.create(name="Yard")
    row.save()
    return row


def test_one_that_moves_is_awaited_where_it_went(admin: Api, saved_device: Device, simulator: Simulator) -> None:
    port = free_port()
    body = {"values": {"port": port}, "confirm": True}
    assert admin("PUT", f"devices/{saved_device.pk}/settings/network", body)[0] == 200
    saved_device.refresh_from_db()
    assert saved_device.port == port
    assert saved_device.back_by is not None


@pytest.mark.parametrize(("mode", "word"), [("4", "DHCP"), ("5", "PPPoE")])
def test_before_a_camera_gets_an_address_nobody_knows_it_is_said_what_to_do(
    admin: Api, camera: Device, mode: str, word: str
) -> None:
    path = f"devices/{camera.pk}/settings/network"
    status, asked = admin("PUT", path, {"values": {"IPAddressMode": mode}})
    assert status == 409
    assert word in asked["confirm"]
    assert "under Edit" in asked["confirm"]
    assert admin("GET", path)[1]["values"]["IPAddressMode"] == "1", "nothing was sent"
    assert word not in admin("PUT", path, {"values": {"SecondHTTPPort": 8081}})[1]["confirm"]
    assert admin("PUT", path, {"values": {"IPAddressMode": mode}, "confirm": True})[0] == 200
    camera.refresh_from_db()
    assert camera.host == "127.0.0.1", "it is where it was until it restarts"


def test_a_recorder_with_dhcp_is_not_looked_for_at_its_fixed_address(
    admin: Api, saved_device: Device, simulator: Simulator
) -> None:
    path = f"devices/{saved_device.pk}/settings/network"
    values = {"dhcp": "1", "IP_addr": "192.0.2.77"}
    status, asked = admin("PUT", path, {"values": values})
    assert status == 409
    assert "DHCP" in asked["confirm"]
    assert admin("PUT", path, {"values": values, "confirm": True})[0] in (200, 502, 504)
    saved_device.refresh_from_db()
    assert saved_device.host == "127.0.0.1"


def test_a_snapshot_that_brings_another_address_back_is_followed(admin: Api, camera: Device) -> None:
    _, taken = admin("POST", f"devices/{camera.pk}/snapshots", {})
    snapshot = Snapshot.objects.get(pk=taken["id"])
    snapshot.values["network"]["IPAddress"] = "127.0.0.2"
    snapshot.save()
    status, done = admin("POST", f"devices/{camera.pk}/snapshots/{snapshot.pk}/restore", {"confirm": True})
    assert (status, done["failed"]) == (200, {})
    camera.refresh_from_db()
    assert camera.host == "127.0.0.2"
    assert camera.back_by is not None
