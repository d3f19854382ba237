"""A change is asked about twice when it does something to people, and only then; what is said is true of it."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from devices.families.ipcam import commands as ipcam
from devices.families.povcam import commands as povcam
from devices.models import Device, Site
from tests.devices.conftest import Api, Simulator, unsaved_device

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ipcam_simulator(start_simulator: Callable[..., Simulator]) -> Simulator:
    return start_simulator("--user-auth", family="ipcam", password="secret12")


@pytest.fixture
def ipcam_path(ipcam_simulator: Simulator, redis_client: redis.Redis, db: None) -> str:
    row = unsaved_device(ipcam_simulator.port, family="ipcam", password="secret12")
    row.pk = None
    row.site = Site.objects.create(name="Roof")
    row.save()
    return f"devices/{row.pk}"


@pytest.fixture
def path(saved_device: Device) -> str:
    return f"devices/{saved_device.pk}"


def put(api: Api, path: str, group: str, **values: Any) -> tuple[int, Any]:
    return api("PUT", f"{path}/settings/{group}", {"values": values})


def danger(api: Api, path: str, group: str) -> str | None:
    (found,) = [each for each in api("GET", f"{path}/settings")[1]["results"] if each["id"] == group]
    return None if found["danger"] is None else str(found["danger"])


@pytest.mark.parametrize(
    ("group", "values"),
    [
        ("system", {"CameraName": "North gate"}),
        ("system", {"Location": "Roof", "LEDControl": "1"}),
        ("network", {"DNSIPAddress1": "192.168.0.7"}),
        ("network", {"UPnPEnable": "1"}),
        ("network", {"DDNSHostName": "gate.example.com"}),
        ("access", {"AccessControlEnable": "0"}),
    ],
)
def test_a_harmless_change_of_an_ipcam_is_not_asked_about(
    admin: Api, ipcam_path: str, ipcam_simulator: Simulator, group: str, values: dict[str, Any]
) -> None:
    admin("PUT", f"{ipcam_path}/settings/access", {"values": {"AccessControlEnable": "1"}, "confirm": True})
    status, answer = put(admin, ipcam_path, group, **values)
    assert (status, answer.get("error")) == (200, None)
    assert set(answer["changed"]) >= set(values)
    assert ipcam_simulator.violations == []


@pytest.mark.parametrize(
    ("group", "values", "word"),
    [
        ("network", {"SubnetMask": "255.255.0.0"}, "address"),
        ("network", {"SecondHTTPPort": 8081}, "port"),
        ("access", {"AccessControlEnable": "1"}, "without a password"),
    ],
)
def test_a_dangerous_change_of_an_ipcam_is_asked_about(
    admin: Api, ipcam_path: str, ipcam_simulator: Simulator, group: str, values: dict[str, Any], word: str
) -> None:
    status, answer = put(admin, ipcam_path, group, **values)
    assert (status, answer["field"]) == (409, "confirm")
    assert word in answer["error"]
    assert all(target.count("=") == 0 for target in ipcam_simulator.targets), "nothing was sent"


@pytest.mark.parametrize(
    ("group", "values"),
    [
        ("transmission", {"mss": "1280"}),
        ("transmission", {"bandwidth": "1024", "rtp_size": "1280"}),
        ("network", {"dns": "auto"}),
        ("network", {"pri_server": "192.168.0.7"}),
    ],
)
def test_a_harmless_change_of_a_povcam_is_not_asked_about(
    admin: Api, path: str, simulator: Simulator, group: str, values: dict[str, Any]
) -> None:
    status, answer = put(admin, path, group, **values)
    assert (status, answer.get("error")) == (200, None)
    assert set(answer["changed"]) >= set(values)
    assert simulator.violations == []


@pytest.mark.parametrize(
    "values",
    [{"gateway": "192.168.0.254"}, {"netmask": "255.255.0.0", "dns": "auto"}, {"port": 8081}],
)
def test_a_dangerous_change_of_a_povcam_is_asked_about(
    admin: Api, path: str, simulator: Simulator, values: dict[str, Any]
) -> None:
    status, answer = put(admin, path, "network", **values)
    assert (status, answer["field"]) == (409, "confirm")
    assert "another address or port" in answer["error"]
    assert all("/get_" in target for target in simulator.targets), "nothing was sent"


def test_only_groups_in_which_something_is_dangerous_are_marked(admin: Api, path: str, ipcam_path: str) -> None:
    assert danger(admin, path, "transmission") is None
    assert "another address or port" in str(danger(admin, path, "network"))
    assert "pictures" in str(danger(admin, path, "priority"))
    assert danger(admin, ipcam_path, "system") is None
    assert "another address" in str(danger(admin, ipcam_path, "network"))


def test_a_danger_is_of_the_parameters_that_are_given() -> None:
    assert povcam.NETWORK.danger_of({"mss": "1280", "port": None}) == ""
    assert povcam.NETWORK.danger_of({"IP_addr3": 4}) == povcam.NETWORK.danger
    assert povcam.HTTPS_SELF_SIGNED.danger_of({"mode": "get_info"}) == ""
    assert povcam.HTTPS_SELF_SIGNED.danger_of({"mode": "delete"}) == povcam.HTTPS_SELF_SIGNED.danger
    assert povcam.INITIAL.danger_of({"cmd": "reset"}) == povcam.INITIAL.danger
    assert ipcam.SET_USER_ACCESS.danger_of({"AccessControlEnable": "0"}) == ""


def test_what_a_danger_is_tied_to_exists() -> None:
    for row in (*povcam.CATALOGUE, *ipcam.CATALOGUE):
        assert row.danger or not row.danger_for
        for name, values in row.danger_for.items():
            param = row.param(name)
            assert all(param.read(param.write(value)) == value for value in values)
