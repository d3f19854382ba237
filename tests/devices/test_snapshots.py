"""Snapshots: taken, compared, brought back; secrets encrypted inside and masked outside."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import AuditEntry
from devices import snapshots, tasks
from devices.models import Device, Snapshot
from tests.devices.conftest import Api, Simulator, free_port

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def path(saved_device: Device) -> str:
    return f"devices/{saved_device.pk}"


def values(api: Api, path: str, group: str) -> dict[str, Any]:
    return api("GET", f"{path}/settings/{group}")[1]["values"]


def put(api: Api, path: str, group: str, **wanted: Any) -> dict[str, Any]:
    status, done = api("PUT", f"{path}/settings/{group}", {"values": wanted, "confirm": True})
    assert status == 200, done
    return dict(done)


def test_a_snapshot_holds_all_groups_and_is_listed_newest_first(admin: Api, path: str, simulator: Simulator) -> None:
    status, first = admin("POST", f"{path}/snapshots", {"note": "after the installation"})
    assert status == 201
    assert (first["kind"], first["note"], first["by"]) == ("manual", "after the installation", "admin0")
    assert {"basic", "clock", "network", "h264"} <= set(first["groups"])
    status, second = admin("POST", f"{path}/snapshots")
    assert [each["id"] for each in admin("GET", f"{path}/snapshots")[1]["results"]] == [second["id"], first["id"]]
    _, whole = admin("GET", f"{path}/snapshots/{first['id']}")
    assert whole["values"]["basic"] == values(admin, path, "basic")
    assert admin("GET", f"{path}/snapshots/999")[0] == 404
    assert simulator.violations == []


def test_a_restore_brings_back_what_was_changed_and_says_what_it_left(
    admin: Api, path: str, simulator: Simulator
) -> None:
    _, snapshot = admin("POST", f"{path}/snapshots")
    groups = ("basic", "ntp", "jpeg", "audio", "h264")
    before = {group: values(admin, path, group) for group in groups}
    put(admin, path, "basic", cam_title="Changed")
    put(admin, path, "ntp", ntp_interval=7)
    put(admin, path, "ftp", server_addr="192.168.0.7")
    status, drift = admin("GET", f"{path}/snapshots/{snapshot['id']}/diff")
    assert status == 200
    assert drift["differences"]["basic"] == {"cam_title": [before["basic"]["cam_title"], "Changed"]}
    assert drift["differences"]["ntp"] == {"ntp_interval": [before["ntp"]["ntp_interval"], 7]}

    status, done = admin("POST", f"{path}/snapshots/{snapshot['id']}/restore")
    assert status == 200, done
    assert done["failed"] == {}
    assert done["differing"] == {}
    assert done["changed"]["basic"] == {"cam_title": ["Changed", before["basic"]["cam_title"]]}
    assert set(done["changed"]) == {"basic", "ntp", "ftp"}
    assert "by itself" in done["left"]["clock"]["date_min"]
    assert done["left"]["clock"]["is_summer_time"] == "The device tells it but does not let it be set."
    assert done["left"]["ftp"]["password"] == "The device never tells it."
    assert {group: values(admin, path, group) for group in groups} == before
    assert Snapshot.objects.get(pk=done["snapshot"]).values["basic"]["cam_title"] == "Changed"
    assert AuditEntry.objects.filter(action="restore snapshot", result="ok").exists()
    assert simulator.violations == []


def test_a_dangerous_restore_waits_for_a_yes(admin: Api, path: str, simulator: Simulator) -> None:
    _, snapshot = admin("POST", f"{path}/snapshots")
    modes = next(
        each["choices"] for each in admin("GET", f"{path}/settings/priority")[1]["schema"] if each["name"] == "mode"
    )
    now = values(admin, path, "priority")["mode"]
    other = next(mode for mode in modes if mode != now)
    put(admin, path, "priority", mode=other)
    status, error = admin("POST", f"{path}/snapshots/{snapshot['id']}/restore")
    assert (status, error["field"]) == (409, "confirm")
    status, done = admin("POST", f"{path}/snapshots/{snapshot['id']}/restore", {"confirm": True})
    assert status == 200
    assert done["changed"]["priority"] == {"mode": [other, now]}


def test_two_snapshots_are_compared(admin: Api, path: str) -> None:
    _, first = admin("POST", f"{path}/snapshots")
    old = values(admin, path, "basic")["cam_title"]
    put(admin, path, "basic", cam_title="Other")
    _, second = admin("POST", f"{path}/snapshots")
    _, found = admin("GET", f"{path}/snapshots/{first['id']}/diff/{second['id']}")
    assert found["differences"]["basic"] == {"cam_title": [old, "Other"]}
    assert set(found["differences"]) <= {"basic", "clock"}, "only the clock runs by itself"
    assert admin("GET", f"{path}/snapshots/{first['id']}/diff/999")[0] == 404


def test_secret_values_are_encrypted_inside_and_masked_outside(
    saved_device: Device, admin: Api, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from devices.families.povcam import groups

    told = {"server_addr": "ftp.example", "username": "cam", "password": "told by some device"}
    snapshot = snapshots.keep_before(None, saved_device, groups.FTP, told, "")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM devices_snapshot")
        assert "told by some device" not in str(cursor.fetchall())
    assert snapshots.values_of(Snapshot.objects.get()) == {"ftp": told}
    _, shown = admin("GET", f"{path}/snapshots/{snapshot.pk}")
    assert shown["values"]["ftp"] == {**told, "password": "••••••"}
    other = snapshots.keep_before(None, saved_device, groups.FTP, {**told, "password": "another"}, "")
    _, found = admin("GET", f"{path}/snapshots/{snapshot.pk}/diff/{other.pk}")
    assert found["differences"] == {"ftp": {"password": ["••••••", "••••••"]}}
    assert "another" not in json.dumps(found)


def test_only_the_most_recent_automatic_ones_are_kept(
    saved_device: Device, monkeypatch: pytest.MonkeyPatch, admin: Api, path: str
) -> None:
    from devices.families.povcam import groups

    monkeypatch.setitem(snapshots.KEPT, Snapshot.Kind.BEFORE, 3)
    _, manual = admin("POST", f"{path}/snapshots")
    kept = [snapshots.keep_before(None, saved_device, groups.BASIC, {"cam_title": str(n)}, "").pk for n in range(5)]
    assert set(Snapshot.objects.values_list("pk", flat=True)) == {manual["id"], *kept[-3:]}
    monkeypatch.setattr(snapshots, "MOST_BY_HAND", 1)
    assert admin("POST", f"{path}/snapshots")[0] == 409
    assert admin("DELETE", f"{path}/snapshots/{manual['id']}")[0] == 204
    assert admin("POST", f"{path}/snapshots")[0] == 201


def test_each_night_every_device_that_answers_is_kept_once(saved_device: Device, simulator: Simulator) -> None:
    away = Device.objects.create(
        name="Away", family="povcam", host="127.0.0.1", port=free_port(), site=saved_device.site
    )
    Device.objects.create(name="Off", family="povcam", host="10.0.0.1", site=saved_device.site, enabled=False)
    assert snapshots.due_tonight() == [saved_device.pk, away.pk]
    tasks.snapshot_shard([saved_device.pk, away.pk])
    assert Snapshot.objects.get().kind == "nightly"
    assert snapshots.due_tonight() == [away.pk]
    tasks.snapshot_shard([saved_device.pk])
    assert Snapshot.objects.count() == 1, "a task that is delivered twice does it once"
    Snapshot.objects.update(at=timezone.now() - timedelta(days=1))
    assert snapshots.due_tonight() == [saved_device.pk, away.pk]


def test_a_device_that_does_not_answer_leaves_no_half_snapshot(admin: Api, path: str) -> None:
    Device.objects.update(port=free_port())
    assert admin("POST", f"{path}/snapshots")[0] == 504
    assert not Snapshot.objects.exists()


def test_nothing_is_kept_of_another_device(admin: Api, path: str, saved_device: Device, simulator: Simulator) -> None:
    Device.objects.update(state="replaced")
    status, error = admin("POST", f"{path}/snapshots")
    assert status == 409
    assert "Another device" in error["error"]
    assert "nothing is kept" in error["error"]
    saved_device.refresh_from_db()
    assert asyncio.run(snapshots.read_many([saved_device])) == []
    assert simulator.targets == []
    assert not Snapshot.objects.exists()


def test_a_device_that_was_replaced_since_it_was_last_looked_at_is_noticed(
    admin: Api, path: str, saved_device: Device, simulator: Simulator
) -> None:
    Device.objects.update(state="online", serial="ANOTHER")
    status, error = admin("POST", f"{path}/snapshots")
    assert status == 409
    assert "Another device" in error["error"]
    saved_device.refresh_from_db()
    assert asyncio.run(snapshots.read_many([saved_device])) == []
    assert not Snapshot.objects.exists()


def test_what_one_group_refuses_keeps_no_other_from_being_read(admin: Api, path: str, simulator: Simulator) -> None:
    simulator.side_door("fault", {"kind": "status", "status": 403, "path": "/cgi-bin/get_upnp"})
    status, snapshot = admin("POST", f"{path}/snapshots")
    assert status == 201
    assert list(snapshot["unread"]) == ["upnp"]
    assert "upnp" not in snapshot["groups"]
