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
