"""Settings over the API: read now, checked, changed, read back, remembered; and never a secret in sight."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from accounts.models import AuditEntry, Role
from devices import exchanges
from devices.models import Device, Snapshot
from tests.devices.conftest import PASSWORD, Api, Simulator, free_port

pytestmark = pytest.mark.django_db(transaction=True)

FTP_PASSWORD = "SesameOpens99"


@pytest.fixture
def path(saved_device: Device) -> str:
    return f"devices/{saved_device.pk}"


def change(api: Api, path: str, group: str, confirm: bool = False, **values: Any) -> tuple[int, Any]:
    return api("PUT", f"{path}/settings/{group}", {"values": values} | ({"confirm": True} if confirm else {}))


def test_the_groups_are_told(admin: Api, path: str) -> None:
    status, groups = admin("GET", f"{path}/settings")
    assert status == 200
    by_id = {group["id"]: group for group in groups["results"]}
    assert groups["count"] == len(by_id) > 10
    assert by_id["basic"] == {"id": "basic", "title": "Basic settings", "note": "", "danger": None, "writable": True}
    assert "network" in by_id
    assert by_id["network"]["danger"]


def test_a_group_is_read_from_the_device_with_what_may_be_written(admin: Api, path: str, simulator: Simulator) -> None:
    status, basic = admin("GET", f"{path}/settings/basic")
    assert status == 200
    assert isinstance(basic["values"]["cam_title"], str)
    (title,) = [each for each in basic["schema"] if each["name"] == "cam_title"]
    assert title["max_length"]
    assert title["secret"] is False
    assert "/cgi-bin/get_basic" in simulator.targets
    assert admin("GET", f"{path}/settings/colours")[0] == 404


def test_a_change_is_sent_and_read_back(admin: Api, path: str, simulator: Simulator) -> None:
    _, before = admin("GET", f"{path}/settings/basic")
    old = before["values"]["cam_title"]
    status, done = change(admin, path, "basic", cam_title="North gate", plugin_disp=before["values"]["plugin_disp"])
    assert status == 200
    assert done["changed"] == {"cam_title": [old, "North gate"]}
    assert done["values"]["cam_title"] == "North gate"
    assert done["differing"] == {}
    (sent,) = [target for target in simulator.targets if "set_basic" in target]
    assert sent == "/cgi-bin/set_basic?cam_title=North%20gate", "only what changes is sent"
    assert admin("GET", f"{path}/settings/basic")[1]["values"]["cam_title"] == "North gate"
    entry = AuditEntry.objects.get(action="change settings")
    assert entry.detail == {"group": "basic", "changed": {"cam_title": [old, "North gate"]}}
    snapshot = Snapshot.objects.get(pk=done["snapshot"])
    assert (snapshot.kind, snapshot.values["basic"]["cam_title"]) == ("before", old)
    assert simulator.violations == []


def test_nothing_is_sent_when_nothing_changes(admin: Api, path: str, simulator: Simulator) -> None:
    _, before = admin("GET", f"{path}/settings/basic")
    status, done = change(admin, path, "basic", **before["values"])
    assert (status, done["changed"], done["snapshot"]) == (200, {}, None)
    assert not any("set_basic" in target for target in simulator.targets)
    assert not Snapshot.objects.exists()


@pytest.mark.parametrize(
    ("group", "values", "field"),
    [
        ("basic", {"cam_title": "x" * 300}, "values.cam_title"),
        ("basic", {"colour": "red"}, "values.colour"),
        ("basic", {}, "values"),
        ("basic", {"cam_title": {"a": 1}}, "values.cam_title"),
        ("basic", {"cam_title": ["a"]}, "values.cam_title"),
        ("clock", {"is_summer_time": 1}, "values.is_summer_time"),
        ("ntp", {"ntp_port": 70000}, "values.ntp_port"),
        ("ntp", {"ntp_port": True}, "values.ntp_port"),
    ],
)
def test_what_the_document_forbids_is_refused_before_anything_is_sent(
    admin: Api, path: str, simulator: Simulator, group: str, values: dict[str, Any], field: str
) -> None:
    status, error = change(admin, path, group, **values)
    assert (status, error.get("field")) == (400, field)
    assert all("/get_" in target or "/getdata" in target for target in simulator.targets)
    assert not Snapshot.objects.exists()


def test_secrets_are_masked_everywhere(admin: Api, path: str, saved_device: Device) -> None:
    status, done = change(admin, path, "ftp", server_addr="192.168.0.7", username="cam", password=FTP_PASSWORD)
    assert status == 200
    assert done["changed"]["password"] == [None, "••••••"]
    everything = json.dumps(done)
    everything += str(list(AuditEntry.objects.values()))
    everything += str(list(Snapshot.objects.values("values", "unread")))
    everything += str(exchanges.recent(saved_device.pk))
    everything += json.dumps(admin("GET", f"{path}/exchanges")[1])
    everything += json.dumps(admin("GET", f"{path}/settings/ftp")[1])
    assert FTP_PASSWORD not in everything
    assert PASSWORD not in everything
    # What came masked and goes back masked is no wish.
    status, done = change(admin, path, "ftp", server_addr="192.168.0.8", password="••••••")
    assert (status, list(done["changed"])) == (200, ["server_addr"])


def test_a_dangerous_change_says_what_it_does_and_waits_for_a_yes(
    admin: Api, path: str, simulator: Simulator, saved_device: Device
) -> None:
    port = free_port()
    status, error = change(admin, path, "network", port=port)
    assert (status, error["field"]) == (409, "confirm")
    assert "address" in error["error"]
    assert not any("set_network" in target or "/network" in target for target in simulator.targets)
    status, done = change(admin, path, "network", confirm=True, port=port)
    assert status == 200
    assert done["moved"] == {"port": port}
    saved_device.refresh_from_db()
    assert saved_device.port == port, "it is followed to where it went"
    assert saved_device.serial is None
    assert AuditEntry.objects.filter(action="follow device").exists()


def test_only_administrators_read_or_change_settings(
    api_of: Callable[..., Api], path: str, simulator: Simulator
) -> None:
    for role in (Role.VIEWER, Role.OPERATOR):
        api = api_of(role)
        assert api("GET", f"{path}/settings")[0] == 403
        assert api("GET", f"{path}/settings/basic")[0] == 403
        assert change(api, path, "basic", cam_title="x")[0] == 403
    assert simulator.targets == []


def test_what_goes_wrong_at_the_device_is_said(
    admin: Api, saved_device: Device, path: str, redis_client: redis.Redis
) -> None:
    Device.objects.update(port=free_port())
    assert admin("GET", f"{path}/settings/basic")[0] == 504
    assert change(admin, path, "basic", cam_title="x")[0] == 504
    Device.objects.update(enabled=False)
    assert admin("GET", f"{path}/settings/basic")[0] == 409
    Device.objects.update(enabled=True, state="replaced")
    status, error = change(admin, path, "basic", cam_title="x")
    assert status == 409
    assert "Another device" in error["error"]


def test_a_failed_change_is_audited_and_its_snapshot_kept(admin: Api, path: str, simulator: Simulator) -> None:
    simulator.side_door("fault", {"kind": "status", "status": 500, "path": "/cgi-bin/set_basic"})
    status, error = change(admin, path, "basic", cam_title="North")
    assert status == 502
    assert error["error"]
    assert AuditEntry.objects.get(action="change settings").result == "failed"
    assert Snapshot.objects.count() == 1


def test_two_changes_at_once_wait_for_no_one(
    admin: Api, path: str, redis_client: redis.Redis, saved_device: Device
) -> None:
    redis_client.hset(f"vms:lease:settings:{saved_device.pk}", mapping={"owner": "x", "fence": 1, "value": ""})
    status, error = change(admin, path, "basic", cam_title="x")
    assert status == 409
    assert "Somebody else" in error["error"]
