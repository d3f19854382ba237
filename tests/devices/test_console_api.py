"""Any command of the document by hand: checked, asked twice where it hurts, audited, its secrets masked."""

from collections.abc import Callable

import pytest

from accounts.models import AuditEntry, Role
from devices.models import Device, Snapshot
from tests.devices.conftest import PASSWORD, Api, Simulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def path(saved_device: Device) -> str:
    return f"devices/{saved_device.pk}/commands"


def test_a_command_answers_status_fields_and_text(admin: Api, path: str, simulator: Simulator) -> None:
    status, answer = admin("POST", f"{path}/get_basic")
    assert status == 200
    assert answer["status"] == 200
    assert answer["fields"]["cam_title"]
    assert f"cam_title={answer['fields']['cam_title']}" in answer["text"]
    entry = AuditEntry.objects.get(action="run command")
    assert entry.detail["command"] == "get_basic"
    assert simulator.violations == []


def test_what_it_writes_is_remembered_before(admin: Api, path: str, simulator: Simulator) -> None:
    status, answer = admin("POST", f"{path}/set_basic", {"params": {"cam_title": "By hand"}})
    assert (status, answer["status"], answer["fields"]) == (200, 204, {})
    snapshot = Snapshot.objects.get()
    assert list(snapshot.values) == ["basic"]
    assert "/cgi-bin/set_basic?cam_title=By%20hand" in simulator.targets


@pytest.mark.parametrize(
    ("command", "params", "status", "field"),
    [
        ("get_nothing", {}, 404, None),
        ("set_basic", {"cam_title": "x" * 300}, 400, "params.cam_title"),
        ("set_basic", {"colour": 1}, 400, "params.colour"),
        ("getuid", {}, 400, None),
        ("https_install_signed", {}, 422, None),
        ("initial", {"cmd": "reset", "Randomnum": "0123456789abcdef"}, 409, "confirm"),
    ],
)
def test_what_cannot_be_run_is_refused_and_nothing_is_sent(
    admin: Api, path: str, simulator: Simulator, command: str, params: dict[str, object], status: int, field: str | None
) -> None:
    answered, error = admin("POST", f"{path}/{command}", {"params": params})
    assert answered == status, error
    if field:
        assert error["field"] == field
    assert simulator.targets == []


def test_a_dangerous_command_runs_when_confirmed(admin: Api, path: str, simulator: Simulator) -> None:
    body = {"params": {"cmd": "reset", "Randomnum": "0123456789abcdef"}, "confirm": True}
    assert admin("POST", f"{path}/initial", body)[0] == 200
    assert AuditEntry.objects.get(action="run command").detail["command"] == "initial"


def test_secrets_do_not_come_back(admin: Api, path: str, saved_device: Device) -> None:
    _, answer = admin("POST", f"{path}/getuid", {"params": {"FILE": 2, "vcodec": "h264", "reply": "info"}})
    assert answer["fields"]["UID"] == "••••••"
    assert "UID=••••••" in answer["text"]
    _, answer = admin("POST", f"{path}/set_ftp", {"params": {"username": "cam", "password": "OpensSesame7"}})
    assert answer["status"] in (200, 204)
    told = str(list(AuditEntry.objects.values())) + str(admin("GET", f"devices/{saved_device.pk}/exchanges")[1])
    assert "OpensSesame7" not in told
    assert PASSWORD not in told


def test_a_picture_is_described_not_sent(admin: Api, path: str) -> None:
    status, answer = admin("POST", f"{path}/camera", {"params": {}})
    assert status == 200
    assert "image/jpeg" in answer["text"]


def test_it_is_for_administrators(api_of: Callable[..., Api], path: str, simulator: Simulator) -> None:
    for role in (Role.VIEWER, Role.OPERATOR):
        assert api_of(role)("POST", f"{path}/get_basic")[0] == 403
    assert simulator.targets == []


def test_what_the_device_refuses_is_said_and_audited(admin: Api, path: str, simulator: Simulator) -> None:
    simulator.side_door("fault", {"kind": "status", "status": 403, "path": "/cgi-bin/get_basic"})
    assert admin("POST", f"{path}/get_basic")[0] == 409
    assert AuditEntry.objects.get(action="run command").result == "failed"


# --- Our own log-in, and values that are empty ------------------------------------------------------------------------
@pytest.fixture
def camera(start_simulator: Callable[..., Simulator], saved_device: Device) -> Simulator:
    """A camera whose document has commands for its administrator and its users."""
    simulator = start_simulator("--user-auth", family="ipcam", password="secret12")
    Device.objects.update(family="ipcam", port=simulator.port, password="secret12")
    return simulator


@pytest.mark.parametrize(
    ("command", "params", "field"),
    [
        ("set_system", {"AdminPassword": "another1"}, "AdminPassword"),
        ("set_system", {"CameraName": "Hall", "AdminID": "root"}, "AdminID"),
        ("add_user", {"UserName": "admin", "UserPassword": "x", "UserPrivilege": "0"}, "UserName"),
        ("delete_user", {"UserName": "admin"}, "UserName"),
    ],
)
def test_what_would_change_our_own_log_in_is_never_sent(
    admin: Api, path: str, camera: Simulator, command: str, params: dict[str, str], field: str
) -> None:
    status, error = admin("POST", f"{path}/{command}", {"params": params, "confirm": True})
    assert (status, error["field"]) == (409, f"params.{field}")
    assert "Change its password" in error["error"]
    assert "confirm" not in error, "there is nothing to agree to"
    assert camera.targets == []


def test_what_does_not_change_our_log_in_runs_without_being_asked_twice(
    admin: Api, path: str, camera: Simulator
) -> None:
    assert admin("POST", f"{path}/set_system", {"params": {"CameraName": "Hall", "ConfigReboot": "No"}})[0] == 200
    user = {"UserName": "bob", "UserPassword": "x", "UserPrivilege": "0"}
    assert admin("POST", f"{path}/add_user", {"params": user})[0] == 200
    assert camera.violations == []


def test_an_empty_value_is_sent_where_the_document_has_one(admin: Api, path: str, camera: Simulator) -> None:
    params = {"Location": "", "ConfigReboot": "No"}
    assert admin("POST", f"{path}/set_system", {"params": params})[0] == 200
    assert admin("POST", f"{path}/get_system")[1]["fields"]["Location"] in ("", None)
    assert admin("POST", f"{path}/set_network", {"params": {"IPAddress": ""}, "confirm": True})[0] == 400
    assert camera.violations == []


# --- What is lent -----------------------------------------------------------------------------------------------------
def test_a_uid_is_lent_and_what_was_done_is_told_and_audited(admin: Api, path: str, simulator: Simulator) -> None:
    params = {"my_port": 50500, "connect": "start", "protocol": "rtp", "UID": ""}
    status, answer = admin("POST", f"{path}/h264", {"params": params})
    assert status == 200
    assert answer["note"] == (
        "It was run with a UID that was lent for it and given back. What it started was stopped again."
    )
    assert AuditEntry.objects.get(action="run command").detail["beside"] == answer["note"]
    started = next(target for target in simulator.targets if "connect=start" in target)
    uid = started.partition("UID=")[2].partition("&")[0]
    assert uid.isdigit()
    everything = str(answer) + str(list(AuditEntry.objects.values())) + str(admin("GET", f"{path[:-9]}/exchanges")[1])
    assert f"UID={uid}" not in everything
    assert f"'{uid}'" not in everything
    assert simulator.sessions == []
    assert simulator.violations == []


def test_a_command_that_needs_nothing_beside_it_says_nothing(admin: Api, path: str) -> None:
    assert admin("POST", f"{path}/get_basic")[1]["note"] == ""


def test_setting_nothing_is_not_sent(admin: Api, path: str, simulator: Simulator) -> None:
    status, error = admin("POST", f"{path}/set_basic")
    assert (status, error["field"]) == (400, "params")
    assert "Give at least one of cam_title" in error["error"]
    assert simulator.targets == []


def test_what_the_device_cannot_do_now_is_a_refusal(admin: Api, path: str) -> None:
    status, error = admin("POST", f"{path}/sdctrl", {"params": {"save": "end"}})
    assert status == 409
    assert "as it is now" in error["error"]
