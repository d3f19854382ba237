"""What a POVCAM tells of itself between the lines: a password it does not take, a clock that is wrong, a card that is
full."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import redis

from devices.errors import Unauthorised
from devices.families import driver_for
from devices.families.base import Health
from devices.gateway import Gateway
from devices.models import Device, Site, State
from devices.polling import Memory, look
from tests.devices.conftest import Api, Scripted, Simulator, http, unsaved_device


async def health(device: Device, *, identify: bool = True) -> Health:
    driver, gateway = driver_for(device), Gateway(device)
    if identify:
        await driver.identify(gateway)
    found = await driver.health(gateway)
    device.status = {**device.status, "problems": found.problems}
    return found


# --- Passwords --------------------------------------------------------------------------------------------------------
@pytest.fixture
def open_simulator(start_simulator: Callable[..., Simulator]) -> Simulator:
    """As it leaves the factory: pictures need no password."""
    return start_simulator()


async def test_a_wrong_password_is_noticed_where_pictures_need_none(
    open_simulator: Simulator, redis_client: redis.Redis
) -> None:
    device = unsaved_device(open_simulator.port, password="wrong", state=State.ONLINE)
    for _ in range(3):
        outcome = await look(device, Memory(), identify=True)
        assert isinstance(outcome.error, Unauthorised)
    assert open_simulator.violations == []


async def test_without_a_user_only_what_needs_none_is_asked(
    open_simulator: Simulator, redis_client: redis.Redis
) -> None:
    device = unsaved_device(open_simulator.port, username="", password="")
    identity = await driver_for(device).identify(Gateway(device))
    assert identity.serial
    assert all(each["status"] == 200 for each in open_simulator.side_door("requests")["requests"])
    assert open_simulator.violations == []


@pytest.mark.django_db(transaction=True)
def test_a_probe_with_a_wrong_password_says_so(admin: Api, open_simulator: Simulator) -> None:
    Site.objects.create(name="Yard")
    address = {"host": "127.0.0.1", "port": open_simulator.port, "username": "admin", "password": "wrong"}
    status, answer = admin("POST", "devices/probe", address)
    assert status == 409
    assert "password" in answer["error"]


async def test_a_model_without_what_is_asked_for_the_password_is_well(scripted: Scripted) -> None:
    told = http(200, "NAME=AG-UCK20\r\nSERIAL=1\r\n")
    scripted.answers = [lambda asked: http(404) if b"/get_time " in asked else told]
    device = unsaved_device(scripted.port)
    assert (await driver_for(device).identify(Gateway(device))).model == "AG-UCK20"


# --- Clock ------------------------------------------------------------------------------------------------------------
async def test_its_clock_is_looked_at(device: Device, simulator: Simulator) -> None:
    found = await health(device)
    assert "clock_skew_seconds" in found.fleeting
    assert abs(found.facts["clock_skew_seconds"]) <= 2
    assert found.problems == []
    assert simulator.violations == []


async def test_a_wrong_clock_is_a_problem_until_it_is_set(device: Device, simulator: Simulator) -> None:
    simulator.side_door("fault", {"kind": "clock-skew", "seconds": 300})
    found = await health(device)
    assert abs(found.facts["clock_skew_seconds"] - 300) <= 2
    (problem,) = found.problems
    assert "Set its clock" in problem
    await driver_for(device).set_clock(Gateway(device), datetime.now(UTC))
    found = await health(device, identify=False)
    assert (found.facts["clock_skew_seconds"], found.problems) == (None, []), "not known until it is looked at again"
    assert (await health(device)).problems == []


async def test_a_clock_at_the_limit_is_not_told_of_again_and_again(device: Device, simulator: Simulator) -> None:
    told = []
    for seconds in (55, 66, 55, 55, 40, 55):
        simulator.side_door("fault", {"kind": "clock-skew", "seconds": seconds})
        told.append(bool((await health(device)).problems))
    assert told == [False, True, True, True, False, False]


async def test_a_clock_without_a_zone_we_know_is_no_problem(scripted: Scripted) -> None:
    scripted.answers = [http(200, "NAME=AG-UCK20\r\nrec=off\r\ntimezone=50\r\ndate_year=2026\r\n")]
    device = unsaved_device(scripted.port)
    found = await health(device)
    assert (found.facts["clock_skew_seconds"], found.problems) == (None, [])


# --- Cards ------------------------------------------------------------------------------------------------------------
async def test_a_full_card_is_a_problem(device: Device, simulator: Simulator) -> None:
    simulator.side_door("fault", {"kind": "card", "number": 1, "mode": "full"})
    found = await health(device)
    assert found.facts["cards"][0]["free_gb"] == 0
    (problem,) = found.problems
    assert problem.startswith("The card in slot 1 is full")


@pytest.mark.parametrize(
    ("free", "size", "word"),
    [
        (0, 64, "is full"),
        (1, 64, "nearly full"),
        (3, 64, "nearly full"),
        (4, 64, ""),
        (1, 8, ""),
        (0, 0, ""),
        ("-----", 64, ""),
    ],
)
async def test_when_a_card_is_full_or_nearly_so(scripted: Scripted, free: object, size: int, word: str) -> None:
    scripted.answers = [http(200, f"rec=off\r\nsd_insert=on\r\nsd_rem={free}\r\nsd_org={size}\r\n")]
    problems = (await health(unsaved_device(scripted.port), identify=False)).problems
    assert [word in problem for problem in problems] == ([True] if word else [])


async def test_an_empty_slot_is_no_full_card(scripted: Scripted) -> None:
    scripted.answers = [http(200, "rec=off\r\nsd_insert=off\r\nsd_rem=0\r\nsd_org=64\r\n")]
    assert (await health(unsaved_device(scripted.port), identify=False)).problems == []
