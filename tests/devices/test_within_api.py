"""What a device keeps and drives itself: its users, switches and serial port; and its way back to the factory."""

from collections.abc import Callable

import pytest
import redis

from accounts.models import AuditEntry, Role
from devices import exchanges
from devices.models import Device, Event, Site
from tests.devices.conftest import Api, Simulator, unsaved_device

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "secret12"  # the camera takes eight characters at most


@pytest.fixture
def camera_simulator(start_simulator: Callable[..., Simulator]) -> Simulator:
    return start_simulator("--user-auth", family="ipcam", password=SECRET)


@pytest.fixture
def row(camera_simulator: Simulator, redis_client: redis.Redis, db: None) -> Device:
    row = unsaved_device(camera_simulator.port, family="ipcam", password=SECRET)
    row.pk, row.site = None, Site.objects.create(name="Yard")
    row.save()
    return row


@pytest.fixture
def path(row: Device) -> str:
    return f"devices/{row.pk}"


def test_its_users_are_listed_added_changed_and_removed(admin: Api, path: str, camera_simulator: Simulator) -> None:
    status, found = admin("GET", f"{path}/users")
    assert (status, found["count"]) == (200, 0)
    view, control = list(found["rights"])
    status, found = admin("POST", f"{path}/users", {"name": "bob", "password": "pass wor", "rights": view})
    assert (status, [each["name"] for each in found["results"]]) == (200, ["bob"])
    assert found["results"][0]["rights_label"] == found["rights"][view]
    _, found = admin("POST", f"{path}/users", {"name": "bob", "password": "another1", "rights": control})
    assert [each["rights"] for each in found["results"]] == [control]
    assert admin("DELETE", f"{path}/users/bob")[0] == 204
    assert admin("DELETE", f"{path}/users/bob")[0] == 404
    assert admin("GET", f"{path}/users")[1]["count"] == 0
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions.count("set device user") == 2
    assert actions.count("remove device user") == 1
    assert camera_simulator.violations == []


def test_a_name_is_taken_as_it_is_whatever_is_in_it(admin: Api, path: str, camera_simulator: Simulator) -> None:
    view = next(iter(admin("GET", f"{path}/users")[1]["rights"]))
    assert admin("POST", f"{path}/users", {"name": "a/b c&d", "password": "x", "rights": view})[0] == 200
    assert admin("DELETE", f"{path}/users/a%2Fb%20c%26d")[0] == 204
    assert camera_simulator.violations == []


def test_passwords_of_its_users_are_seen_nowhere(admin: Api, path: str, row: Device) -> None:
    answer = admin("POST", f"{path}/users", {"name": "bob", "password": "Sesame77", "rights": "0"})
    assert admin("POST", f"{path}/users", {"name": "bob", "password": "Sesame77 and more", "rights": "0"})[0] == 400
    told = str(answer) + str(admin("GET", f"{path}/users")) + str(list(AuditEntry.objects.values()))
    told += str(exchanges.recent(row.pk)) + str(admin("GET", f"{path}/exchanges"))
    assert "Sesame77" not in told


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "a name too long", "password": "x", "rights": "0"}, "name"),
        ({"name": "bob", "password": "nine char", "rights": "0"}, "password"),
        ({"name": "bob", "password": "x", "rights": "7"}, "rights"),
        ({"name": "bob", "password": "x", "rights": "0", "admin": True}, "admin"),
        ({"name": "", "password": "x", "rights": "0"}, "name"),
    ],
)
def test_what_the_document_forbids_of_a_user_is_refused_unsent(
    admin: Api, path: str, camera_simulator: Simulator, body: dict[str, object], field: str
) -> None:
    status, error = admin("POST", f"{path}/users", body)
    assert (status, error["field"]) == (400, field)
    assert camera_simulator.targets == []


def test_the_user_we_log_in_with_is_not_changed_here(admin: Api, path: str, row: Device) -> None:
    for method, where, body in (
        ("POST", "users", {"name": row.username, "password": "x", "rights": "0"}),
        ("DELETE", f"users/{row.username}", None),
    ):
        status, error = admin(method, f"{path}/{where}", body)
        assert (status, error["field"]) == (409, "name")
        assert "Change its password" in error["error"]


def test_switches_are_told_and_switched(admin: Api, path: str, camera_simulator: Simulator) -> None:
    _, found = admin("GET", f"{path}/switches")
    assert {each["id"]: each["on"] for each in found["results"]} == dict.fromkeys(
        ("Trigger1", "Trigger2", "ImageUpload", "ImageEmail"), False
    )
    status, found = admin("POST", f"{path}/switches/Trigger2", {"on": True})
    assert status == 200
    assert [each["id"] for each in found["results"] if each["on"]] == ["Trigger2"]
    assert AuditEntry.objects.get(action="switch").detail == {"switch": "Trigger2", "on": True}
    assert admin("POST", f"{path}/switches/Trigger9", {"on": True})[0] == 400
    assert admin("POST", f"{path}/switches/Trigger2", {"on": 1})[0] == 400
    assert camera_simulator.violations == []


def test_the_serial_port_sends_what_it_is_given(admin: Api, path: str, camera_simulator: Simulator) -> None:
    assert admin("POST", f"{path}/serial", {"data": "MOVE 1\r\n"}) == (204, None)
    assert any(target.startswith("/comport.cgi") for target in camera_simulator.targets)
    for data in ("", "x" * 257):
        assert admin("POST", f"{path}/serial", {"data": data})[0] == 400
    assert AuditEntry.objects.get(action="send serial").detail == {"data": "MOVE 1\r\n"}
    assert camera_simulator.violations == []


def test_a_factory_reset_says_what_it_does_and_waits_for_a_yes(
    admin: Api, path: str, camera_simulator: Simulator
) -> None:
    for body in (None, {}, {"confirm": False}):
        status, error = admin("POST", f"{path}/factory-reset", body)
        assert (status, error["field"]) == (409, "confirm")
        assert "every setting" in error["confirm"].lower()
        assert error["error"].startswith(error["confirm"])
    assert camera_simulator.targets == []
    assert admin("POST", f"{path}/factory-reset", {"confirm": True}) == (204, None)
    assert Event.objects.filter(type="device.reset").exists()
    assert AuditEntry.objects.get(action="reset device").result == "ok"


def test_what_goes_wrong_is_said_and_audited(admin: Api, path: str, camera_simulator: Simulator) -> None:
    camera_simulator.side_door("fault", {"kind": "status", "status": 503, "path": "/userlist.cgi"})
    status, error = admin("POST", f"{path}/users", {"name": "bob", "password": "x", "rights": "0"})
    assert status in (409, 502)
    assert error["error"].endswith(".")
    assert AuditEntry.objects.get(action="set device user").result == "failed"


# --- Families that lack it, people who may not ------------------------------------------------------------------------
VERBS = [
    ("GET", "users", None),
    ("POST", "users", {"name": "bob", "password": "x", "rights": "0"}),
    ("DELETE", "users/bob", None),
    ("GET", "switches", None),
    ("POST", "switches/Trigger1", {"on": True}),
    ("POST", "serial", {"data": "x"}),
    ("POST", "factory-reset", {"confirm": True}),
]


@pytest.mark.parametrize("family", ["povcam", "ipro", "hama"])
@pytest.mark.parametrize(("method", "what", "body"), VERBS, ids=[f"{method} {what}" for method, what, _ in VERBS])
def test_what_a_family_lacks_is_422_and_nothing_is_sent(
    admin: Api, redis_client: redis.Redis, family: str, method: str, what: str, body: dict[str, object] | None
) -> None:
    # Nobody listens there: whatever was sent would be a 504.
    row = Device.objects.create(name="X", family=family, host="127.0.0.1", port=9, site=Site.objects.create(name="S"))
    status, error = admin(method, f"devices/{row.pk}/{what}", body)
    assert status == 422, error
    assert error["error"].startswith("X cannot ")


def test_it_is_for_administrators(api_of: Callable[..., Api], path: str, camera_simulator: Simulator) -> None:
    for role in (Role.VIEWER, Role.OPERATOR):
        api = api_of(role)
        for method, what, body in VERBS:
            assert api(method, f"{path}/{what}", body)[0] == 403
    assert camera_simulator.targets == []
