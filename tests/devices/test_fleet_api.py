"""Sites, devices and cameras over the API: the contract's shapes, and who may do what."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.test import Client

from accounts.models import AuditEntry, Grant, Role, User
from devices.families import driver_class
from devices.models import Camera, Device, Site, State
from tests.devices.conftest import PASSWORD, Api, Simulator, free_port

BODY = {"family": "povcam", "host": "192.168.0.10", "username": "admin", "password": PASSWORD}


def test_a_device_is_added_with_the_contracts_fields(admin: Api, redis_client: redis.Redis) -> None:
    status, device = admin("POST", "devices", BODY | {"name": "Gate", "options": {"keep_alive_seconds": 20}})
    assert status == 201
    assert device.pop("id") > 0
    site = device.pop("site")
    assert device == {
        "name": "Gate",
        "family": "povcam",
        "scheme": "http",
        "host": "192.168.0.10",
        "port": 80,
        "username": "admin",
        "site_name": "Main site",
        "options": {"keep_alive_seconds": 20},
        "enabled": True,
        "simulated": False,
        "tags": [],
        "state": "unknown",
        "model": None,
        "serial": None,
        "mac": None,
        "firmware": None,
        "last_seen": None,
        "last_error": "",
        "back_by": None,
        "capabilities": [
            "clips",
            "clock",
            "live",
            "log",
            "ntp",
            "ptz",
            "recording",
            "restart",
            "settings",
            "snapshot",
            "storage",
        ],
        "status": {},
    }
    assert admin("GET", "sites") == (200, {"count": 1, "results": [{"id": site, "name": "Main site"}]})
    row = Device.objects.get()
    assert row.password.reveal() == PASSWORD
    assert redis_client.zscore("vms:poll:due", row.pk) is not None, "it is looked at now"
    entry = AuditEntry.objects.get(action="add device")
    assert PASSWORD not in str(entry.detail)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"family": "betamax"}, "family"),
        ({"scheme": "gopher"}, "scheme"),
        ({"host": "http://192.168.0.10"}, "host"),
        ({"host": "192.168.0.10:80"}, "host"),
        ({"host": "300.1.1.1"}, "host"),
        ({"host": "a b"}, "host"),
        ({"host": ""}, "host"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"port": "80"}, None),
        ({"username": "a\nb"}, "username"),
        ({"site": "Nowhere"}, "site"),
        ({"site": 999}, "site"),
        ({"options": {"colour": "red"}}, "options.colour"),
        ({"options": {"tls": "maybe"}}, "options.tls"),
        ({"options": {"poll_seconds": 0}}, "options.poll_seconds"),
        ({"options": {"poll_seconds": True}}, "options.poll_seconds"),
        ({"options": {"legacy": "yes"}}, "options.legacy"),
        ({"options": {"transport": "carrier pigeon"}}, "options.transport"),
        ({"colour": "red"}, "colour"),
        ({"state": "online"}, "state"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(admin: Api, changes: dict[str, Any], field: str | None) -> None:
    status, error = admin("POST", "devices", BODY | changes)
    assert status == 400
    assert error["error"]
    if field:
        assert error["field"] == field
    assert not Device.objects.exists()


def test_a_family_without_a_driver_is_not_supported_yet(admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.families._DRIVERS", {})
    monkeypatch.setattr("devices.fleet.driver_class", driver_class.__wrapped__)  # nothing is remembered
    status, error = admin("POST", "devices", BODY)
    assert status == 422
    assert "not supported yet" in error["error"]


@pytest.mark.parametrize("host", ["192.168.0.10", " 192.168.0.10 ", "CAM.example.", "::1", "[0:0:0:0:0:0:0:1]"])
def test_one_address_is_one_device(admin: Api, host: str) -> None:
    for each in ("192.168.0.10", "cam.example", "::1"):
        assert admin("POST", "devices", BODY | {"host": each})[0] == 201
    status, error = admin("POST", "devices", BODY | {"host": host})
    assert status == 409
    assert error["field"] == "host"
    assert admin("POST", "devices", BODY | {"host": host, "port": 8080})[0] == 201


def test_a_change_keeps_the_rest(admin: Api) -> None:
    _, device = admin("POST", "devices", BODY)
    path = f"devices/{device['id']}"
    Device.objects.update(state=State.ONLINE, serial="L6TQD0048")
    status, changed = admin("PATCH", path, {"name": "Yard", "options": {"system_frequency": 50}})
    assert status == 200
    assert changed["name"] == "Yard"
    assert changed["options"] == {"system_frequency": "50"}
    assert changed["serial"] == "L6TQD0048"
    assert Device.objects.get().password.reveal() == PASSWORD
    _, moved = admin("PATCH", path, {"host": "192.168.0.11"})
    assert moved["serial"] is None, "another address may be another device"
    assert moved["state"] == "unknown"
    assert admin("PATCH", path, {"family": "ipro"})[0] == 409
    assert admin("PATCH", path, {"name": None})[0] == 400
    assert admin("PATCH", path, {"password": "another password"})[0] == 200
    assert Device.objects.get().password.reveal() == "another password"
    assert "another password" not in str(list(AuditEntry.objects.values_list("detail", flat=True)))


def test_moving_to_a_taken_address_is_refused(admin: Api) -> None:
    admin("POST", "devices", BODY)
    _, other = admin("POST", "devices", BODY | {"host": "192.168.0.11"})
    assert admin("PATCH", f"devices/{other['id']}", {"host": "192.168.0.10"})[0] == 409
    assert admin("GET", f"devices/{other['id']}")[1]["host"] == "192.168.0.11"


def test_a_removed_device_is_gone_with_its_cameras(admin: Api, redis_client: redis.Redis) -> None:
    _, device = admin("POST", "devices", BODY)
    Camera.objects.create(device_id=device["id"], name="Gate")
    assert admin("DELETE", f"devices/{device['id']}") == (204, None)
    assert admin("GET", f"devices/{device['id']}")[0] == 404
    assert admin("GET", "cameras") == (200, {"count": 0, "results": []})
    assert redis_client.zscore("vms:poll:due", device["id"]) is None
    assert AuditEntry.objects.filter(action="remove device").exists()


def test_a_camera_tells_what_can_be_watched(admin: Api) -> None:
    _, device = admin("POST", "devices", BODY | {"name": "Gate"})
    streams = {"h264": {"width": 1920, "max_fps": 60}}
    Device.objects.update(status={"streams": streams}, state=State.ONLINE)
    camera = Camera.objects.create(device_id=device["id"], name="Gate")
    stream = {"id": "h264", "codec": "h264", "width": 1920, "height": 1080, "fps": 60.0, "transport": "rtp"}
    small = {"codec": "mjpeg", "width": 640, "height": 360}
    moving = {"id": "mjpeg", **small, "fps": 15.0, "transport": "mjpeg"}
    stills = {"id": "stills", **small, "fps": None, "transport": "stills"}
    expected = {
        "id": camera.pk,
        "device": device["id"],
        "device_name": "Gate",
        "site": device["site"],
        "number": 1,
        "name": "Gate",
        "state": "online",
        "simulated": False,
        "streams": [stream, moving, stills],
        "audio": False,
        "ptz": {"zoom": True, "focus": ["near", "far", "auto"], "iris": ["open", "close", "reset"]},
    }
    assert admin("GET", f"cameras/{camera.pk}") == (200, expected)
    assert admin("GET", "cameras") == (200, {"count": 1, "results": [expected]})
    admin("PATCH", f"devices/{device['id']}", {"name": "Yard"})
    assert admin("GET", f"cameras/{camera.pk}")[1]["name"] == "Yard", "nobody named the camera itself"


# --- Who may ----------------------------------------------------------------------------------------------------------
def test_roles(api_of: Callable[..., Api], admin: Api) -> None:
    _, device = admin("POST", "devices", BODY)
    for role in (Role.VIEWER, Role.OPERATOR):
        api = api_of(role)
        assert api("GET", "devices")[1]["count"] == 1
        assert api("POST", "devices", BODY | {"host": "192.168.0.11"})[0] == 403
        assert api("PATCH", f"devices/{device['id']}", {"name": "x"})[0] == 403
        assert api("DELETE", f"devices/{device['id']}")[0] == 403
        assert api("POST", "sites", {"name": "x"})[0] == 403
    assert Client().get("/api/v1/devices").status_code == 401


def test_an_administrator_of_one_site_stays_in_it(api_of: Callable[..., Api], admin: Api) -> None:
    _, north = admin("POST", "sites", {"name": "North"})
    _, south = admin("POST", "sites", {"name": "South"})
    assert admin("POST", "sites", {"name": "North"})[0] == 409
    _, foreign = admin("POST", "devices", BODY | {"site": "South"})
    local = api_of(Role.ADMIN, Site.objects.get(name="North"))
    assert local("GET", "sites") == (200, {"count": 1, "results": [north]})
    assert local("POST", "sites", {"name": "East"})[0] == 403
    assert local("GET", f"devices/{foreign['id']}")[0] == 404
    assert local("POST", "devices", BODY | {"host": "10.0.0.1", "site": south["id"]})[0] == 400
    status, mine = local("POST", "devices", BODY | {"host": "10.0.0.1"})
    assert (status, mine["site_name"]) == (201, "North")
    assert local("PATCH", f"devices/{mine['id']}", {"site": "South"})[0] == 400
    camera = Camera.objects.create(device_id=foreign["id"], name="Gate")
    Grant.objects.create(user=User.objects.get(username=f"{Role.ADMIN}1"), camera=camera)
    assert local("GET", f"devices/{foreign['id']}")[0] == 200
    assert local("PATCH", f"devices/{foreign['id']}", {"name": "x"})[0] == 403, "one camera is not the device"


# --- Asking now -------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_polling_answers_the_fresh_status(admin: Api, simulator: Simulator) -> None:
    _, device = admin("POST", "devices", BODY | {"host": "127.0.0.1", "port": simulator.port, "name": "Gate"})
    status, polled = admin("POST", f"devices/{device['id']}/poll")
    assert status == 200
    assert polled["state"] == "online"
    assert polled["model"].startswith("AG-")
    assert polled["last_seen"]
    assert polled["status"]["now"]["counter"] == "00:00:00"
    assert [camera["name"] for camera in admin("GET", "cameras")[1]["results"]] == ["Gate"]
    assert admin("GET", f"devices/{device['id']}")[1] == polled
    assert simulator.violations == []


@pytest.mark.django_db(transaction=True)
def test_polling_says_what_is_wrong(admin: Api, simulator: Simulator) -> None:
    _, away = admin("POST", "devices", BODY | {"host": "127.0.0.1", "port": free_port()})
    status, error = admin("POST", f"devices/{away['id']}/poll")
    assert (status, "Nothing answers" in error["error"]) == (504, True)
    assert admin("POST", f"devices/{away['id']}/poll")[0] == 504
    assert admin("GET", f"devices/{away['id']}")[1]["state"] == "offline"
    wrong = BODY | {"host": "127.0.0.1", "port": simulator.port, "password": "wrong"}
    _, device = admin("POST", "devices", wrong)
    status, error = admin("POST", f"devices/{device['id']}/poll")
    assert (status, "user name and password" in error["error"]) == (409, True)
    assert admin("GET", f"devices/{device['id']}")[1]["state"] == "unauthorised"
    admin("PATCH", f"devices/{device['id']}", {"password": PASSWORD})
    assert admin("POST", f"devices/{device['id']}/poll")[1]["state"] == "online"
    admin("PATCH", f"devices/{device['id']}", {"enabled": False})
    assert admin("POST", f"devices/{device['id']}/poll")[0] == 409


def test_families_and_their_options_are_told(admin: Api) -> None:
    family = next(each for each in admin("GET", "families")[1] if each["id"] == "povcam")
    assert {option["name"] for option in family["options"]} >= {"tls", "legacy", "poll_seconds", "keep_alive_seconds"}
