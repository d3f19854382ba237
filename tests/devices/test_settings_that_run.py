"""Values that change by themselves, as a clock does: shown, and no change of anybody's."""

from typing import Any

import pytest

from devices.models import Device
from tests.devices.conftest import Api, Simulator

pytestmark = pytest.mark.django_db(transaction=True)

CLOCK = [f"date_{part}" for part in ("year", "month", "day", "hour", "min", "sec")]


@pytest.fixture
def path(saved_device: Device) -> str:
    return f"devices/{saved_device.pk}"


def clock(api: Api, path: str) -> dict[str, Any]:
    return dict(api("GET", f"{path}/settings/clock")[1]["values"])


def run_on(simulator: Simulator, seconds: int) -> None:
    simulator.side_door("fault", {"kind": "clock-skew", "seconds": seconds})


def setting_the_clock(simulator: Simulator) -> list[str]:
    return [target for target in simulator.targets if "/date_time?" in target]


def test_all_values_put_back_with_one_edited_leave_the_clock_alone(admin: Api, path: str, simulator: Simulator) -> None:
    values = clock(admin, path)
    clock(admin, path)  # somebody else looks, too
    run_on(simulator, 3 * 3600 + 61)
    other = "0" if values["display"] == "1" else "1"
    status, done = admin("PUT", f"{path}/settings/clock", {"values": values | {"display": other}})
    assert status == 200
    assert done["changed"] == {"display": [values["display"], other]}
    assert done["differing"] == {}
    assert setting_the_clock(simulator) == [f"/cgi-bin/date_time?display={other}"]
    # What a change answered may be put back as well.
    run_on(simulator, 5 * 3600)
    status, again = admin("PUT", f"{path}/settings/clock", {"values": done["values"]})
    assert (status, again["changed"], len(setting_the_clock(simulator))) == (200, {}, 1)
    assert simulator.violations == []


def test_a_clock_that_is_meant_is_set(admin: Api, path: str, simulator: Simulator) -> None:
    values = clock(admin, path)
    wanted = values | {"date_year": 2030}
    status, done = admin("PUT", f"{path}/settings/clock", {"values": wanted})
    assert status == 200
    assert done["changed"]["date_year"] == [values["date_year"], 2030]
    assert done["differing"] == {}, "that it runs on is no refusal"
    (sent,) = setting_the_clock(simulator)
    assert "date_year=2030&" in sent
    assert simulator.violations == []


def test_a_clock_is_no_difference_between_snapshots_and_an_address_is(
    admin: Api, path: str, simulator: Simulator
) -> None:
    _, first = admin("POST", f"{path}/snapshots")
    run_on(simulator, 7 * 3600 + 61)
    body = {"values": {"gateway": "127.0.0.254"}, "confirm": True}
    assert admin("PUT", f"{path}/settings/network", body)[0] == 200
    _, second = admin("POST", f"{path}/snapshots")
    _, found = admin("GET", f"{path}/snapshots/{first['id']}/diff/{second['id']}")
    assert {group: list(each) for group, each in found["differences"].items()} == {"network": ["gateway"]}
