"""Steering over the API, against a simulated recorder whose head zooms and focuses but does not turn."""

import time
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from accounts.models import AuditEntry, Role
from devices import families, ptz, tasks
from devices.families.base import Ptz
from devices.models import Camera, Device, Preset
from tests.devices.conftest import Api, Simulator, free_port

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def camera(saved_device: Device) -> Camera:
    return Camera.objects.create(device=saved_device, name="Gate")


def head_of(simulator: Simulator) -> dict[str, Any]:
    return dict(simulator.side_door("state")["state"]["head"])


def until_still(simulator: Simulator) -> None:
    deadline = time.monotonic() + 15
    while head_of(simulator)["zoom_speed"]:
        assert time.monotonic() < deadline, "it went on moving"
        tasks.stop_cameras()
        time.sleep(0.1)


def test_it_moves_and_stops(admin: Api, camera: Camera, simulator: Simulator) -> None:
    path = f"cameras/{camera.pk}"
    assert admin("POST", f"{path}/ptz", {"zoom": 0.5}) == (204, None)
    assert head_of(simulator)["zoom_speed"] > 0
    assert admin("GET", f"{path}/ptz")[1] == {
        "works": {"zoom": True, "focus": ["near", "far", "auto"], "iris": ["open", "close", "reset"]},
        "holder": "admin0",
        "moving": True,
        "position": None,
    }
    assert admin("POST", f"{path}/ptz", {"pan": 0, "tilt": 0, "zoom": 0})[0] == 204
    assert head_of(simulator)["zoom_speed"] == 0
    assert admin("GET", f"{path}/ptz")[1]["moving"] is False
    assert AuditEntry.objects.filter(action="steer camera").count() == 1
    assert simulator.violations == []


def test_it_stops_although_the_process_that_began_it_is_gone(admin: Api, camera: Camera, simulator: Simulator) -> None:
    """Each request of this test has an event loop of its own, which ends with it: nobody watches over the movement."""
    admin("POST", f"cameras/{camera.pk}/ptz", {"zoom": -1})
    assert head_of(simulator)["zoom_speed"] < 0
    until_still(simulator)
    assert ptz.overdue() == []
    assert simulator.violations == []


def test_focus_and_iris(admin: Api, camera: Camera, simulator: Simulator) -> None:
    path = f"cameras/{camera.pk}"
    assert admin("POST", f"{path}/focus", {"mode": "near"})[0] == 204
    assert admin("POST", f"{path}/focus", {"mode": "auto"})[0] == 204
    assert admin("POST", f"{path}/iris", {"mode": "open"})[0] == 204
    assert head_of(simulator)["iris"] > 0
    assert simulator.violations == []


@pytest.mark.parametrize(
    ("what", "body", "status", "field"),
    [
        ("ptz", {"zoom": 1.5}, 400, "zoom"),
        ("ptz", {"zoom": "1"}, 400, "zoom"),
        ("ptz", {"zoom": None}, 400, "zoom"),
        ("ptz", {"speed": 1}, 400, "speed"),
        ("ptz", {"pan": 0.5}, 422, None),
        ("ptz", {"tilt": -0.5, "zoom": 1}, 422, None),
        ("center", {"x": 0.5, "y": 0.5}, 422, None),
        ("center", {"x": 2, "y": 0.5}, 400, "x"),
        ("focus", {"mode": "sharp"}, 400, "mode"),
        ("iris", {}, 400, "mode"),
        ("aux", {"number": 1, "on": True}, 422, None),
        ("home", None, 422, None),
        ("swing", {"on": True}, 422, None),
        ("presets", {"name": "Door"}, 422, None),
        ("presets/1/goto", None, 422, None),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_sent(
    admin: Api, camera: Camera, simulator: Simulator, what: str, body: Any, status: int, field: str | None
) -> None:
    answered, error = admin("POST", f"cameras/{camera.pk}/{what}", body)
    assert (answered, error.get("field")) == (status, field), error
    assert simulator.targets == []


def test_roles_and_reach(api_of: Callable[..., Api], admin: Api, camera: Camera, simulator: Simulator) -> None:
    viewer, operator = api_of(Role.VIEWER), api_of(Role.OPERATOR)
    assert viewer("POST", f"cameras/{camera.pk}/ptz", {"zoom": 1})[0] == 403
    assert viewer("GET", f"cameras/{camera.pk}/presets") == (200, {"count": 0, "results": []})
    assert operator("POST", f"cameras/{camera.pk}/ptz", {"zoom": 1})[0] == 204
    assert admin("POST", "cameras/999/ptz", {"zoom": 1})[0] == 404
    other = api_of(Role.OPERATOR)
    status, error = other("POST", f"cameras/{camera.pk}/ptz", {"zoom": 1})
    assert status == 409
    assert "is steering" in error["error"]
    assert admin("POST", f"cameras/{camera.pk}/ptz", {"zoom": 1})[0] == 204
    assert operator("POST", f"cameras/{camera.pk}/ptz", {"zoom": 0})[0] == 409


def test_what_goes_wrong_is_said(admin: Api, camera: Camera) -> None:
    Device.objects.update(port=free_port())
    assert admin("POST", f"cameras/{camera.pk}/ptz", {"zoom": 1})[0] == 504
    Device.objects.update(enabled=False)
    assert admin("POST", f"cameras/{camera.pk}/ptz", {"zoom": 1})[0] == 409


class Dome(families.driver_class("povcam")):  # type: ignore[misc]
    """A driver with presets, for what the recorder lacks."""

    told: ClassVar[list[tuple[Any, ...]]] = []

    def ptz(self, camera: Camera) -> Ptz:
        return Ptz(pan_tilt=True, center=True, aux=2, presets=4, home=True)

    async def set_preset(self, gateway: Any, camera: Camera, number: int, name: str = "") -> None:
        self.told.append(("set", number, name))

    async def goto_preset(self, gateway: Any, camera: Camera, number: int) -> None:
        self.told.append(("goto", number))

    async def clear_preset(self, gateway: Any, camera: Camera, number: int, name: str = "") -> None:
        self.told.append(("clear", number, name))

    async def center(self, gateway: Any, camera: Camera, *, x: float, y: float) -> None:
        self.told.append(("center", x, y))

    async def aux(self, gateway: Any, camera: Camera, number: int, on: bool) -> None:
        self.told.append(("aux", number, on))


@pytest.fixture
def dome(monkeypatch: pytest.MonkeyPatch) -> type[Dome]:
    monkeypatch.setattr(ptz, "driver_for", Dome)
    monkeypatch.setattr(Dome, "told", [])
    return Dome


def test_presets_have_our_names(admin: Api, camera: Camera, dome: type[Dome]) -> None:
    path = f"cameras/{camera.pk}/presets"
    assert admin("POST", path, {"name": "Door"}) == (
        201,
        {"number": 1, "name": "Door", "set": True, "picture": None},
    )
    assert admin("POST", path, {"name": "Yard", "number": 3})[0] == 201
    assert admin("POST", path, {})[1]["number"] == 2
    assert admin("PATCH", f"{path}/3", {"name": "Back yard"})[0] == 200
    _, listed = admin("GET", path)
    assert listed["count"] == 4
    assert [(each["name"], each["set"]) for each in listed["results"]] == [
        ("Door", True),
        ("", True),
        ("Back yard", True),
        ("", None),
    ]
    assert admin("POST", f"{path}/4/goto")[0] == 204, "a number that we have not set may be set all the same"
    assert admin("DELETE", f"{path}/3")[0] == 204
    assert not Preset.objects.filter(number=3).exists()
    assert admin("POST", f"{path}/5/goto")[1]["field"] == "number"
    assert admin("POST", path, {"number": 0})[0] == 400
    assert dome.told == [("set", 1, ""), ("set", 3, ""), ("set", 2, ""), ("goto", 4), ("clear", 3, "Back yard")]
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"set preset", "go to preset", "clear preset"} <= actions


def test_center_and_aux(admin: Api, camera: Camera, dome: type[Dome]) -> None:
    path = f"cameras/{camera.pk}"
    assert admin("POST", f"{path}/center", {"x": 0, "y": 0.25})[0] == 204
    assert admin("POST", f"{path}/aux", {"number": 2, "on": True})[0] == 204
    assert admin("POST", f"{path}/aux", {"number": 3, "on": True})[0] == 400
    assert admin("POST", f"{path}/aux", {"number": True, "on": 1})[0] == 400
    assert dome.told == [("center", 0.0, 0.25), ("aux", 2, True)]
    assert admin("GET", f"{path}")[1]["ptz"] == {
        "pan_tilt": True, "center": True, "aux": 2, "presets": 4, "preset_clear": True, "home": True,
    }  # fmt: skip


def test_a_camera_without_positions_says_so_and_is_sent_nothing(
    admin: Api, camera: Camera, simulator: Simulator
) -> None:
    for method, body in (("GET", None), ("POST", {"pan": 1, "tilt": 1})):
        status, error = admin(method, f"cameras/{camera.pk}/position", body)
        assert status == 422
        assert error["error"].startswith("Gate cannot ")
    assert simulator.targets == []


def test_positions_are_turned_to_and_told(
    api_of: Callable[..., Api], saved_device: Device, start_simulator: Callable[..., Simulator]
) -> None:
    turning = start_simulator("--user-auth", family="ipcam", password="secret12")
    Device.objects.update(family="ipcam", port=turning.port, password="secret12")
    camera = Camera.objects.create(device=saved_device, name="Lobby")
    operator, viewer = api_of(Role.OPERATOR), api_of(Role.VIEWER)
    path = f"cameras/{camera.pk}/position"
    assert operator("POST", path, {"pan": 40, "tilt": 20}) == (204, None)
    assert viewer("GET", path) == (200, {"pan": 40, "tilt": 20})
    assert viewer("POST", path, {"pan": 1, "tilt": 1})[0] == 403
    for body, field in (({"pan": -1, "tilt": 0}, "pan"), ({"pan": 0, "tilt": 999}, "tilt"), ({"pan": 1}, "tilt")):
        status, error = operator("POST", path, body)
        assert (status, error["field"]) == (400, field)
    assert turning.violations == []
