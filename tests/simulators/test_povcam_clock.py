"""The recorder's clock runs, can be set, and knows zones and summer time."""

from datetime import UTC, datetime, timedelta

import pytest

from simulators.povcam.clock import RunningClock, turn
from tests.simulators.helpers import ADMIN, Client

SECOND = timedelta(seconds=1)
EUROPE = (
    "summer_time=2&start_month=3&start_week=5&start_dotw=0&start_hour=1&end_month=10&end_week=5&end_dotw=0&end_hour=2"
)
SOUTH = (
    "summer_time=2&start_month=10&start_week=1&start_dotw=0&start_hour=2&end_month=4&end_week=1&end_dotw=0&end_hour=3"
)


def shown(told: dict[str, str]) -> datetime:
    return datetime(*(int(told[f"date_{part}"]) for part in ("year", "month", "day", "hour", "min", "sec")))


async def set_to(client: Client, when: datetime, rest: str = "") -> None:
    date = f"date_year={when.year}&date_month={when.month}&date_day={when.day}"
    time = f"date_hour={when.hour}&date_min={when.minute}&date_sec={when.second}"
    await client.set(f"date_time?{date}&{time}{rest}")


def utc() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


async def test_it_starts_with_the_right_time_in_greenwich(client):
    before = utc().replace(microsecond=0)
    told = await client.read("get_date_time")
    assert before <= shown(told) <= utc()
    assert (told["timezone"], told["summer_time"], told["is_summer_time"]) == ("14", "0", "0")


async def test_it_runs_on_from_where_it_was_set(client):
    asked = utc()
    await set_to(client, datetime(2030, 5, 17, 23, 59, 58))
    told = shown(await client.read("get_date_time"))
    assert datetime(2030, 5, 17, 23, 59, 58) <= told <= datetime(2030, 5, 17, 23, 59, 58) + (utc() - asked) + SECOND


async def test_another_zone_moves_what_is_shown_and_not_the_moment(client):
    for zone, minutes in ((1, -660), (8, -270), (10, -210), (14, 0), (23, 345), (28, 540), (33, 765)):
        before = utc().replace(microsecond=0)
        await client.set(f"date_time?timezone={zone}")
        told = shown(await client.read("get_date_time")) - timedelta(minutes=minutes)
        assert before <= told <= utc()


async def test_a_date_is_local_in_the_zone_set_with_it(client):
    await set_to(client, datetime(2026, 1, 2, 3, 4, 5), "&timezone=28")
    await client.set("date_time?timezone=14")
    told = shown(await client.read("get_date_time"))
    assert timedelta() <= told - datetime(2026, 1, 1, 18, 4, 5) < 10 * SECOND


async def test_part_of_a_date_leaves_the_rest(client):
    await set_to(client, datetime(2026, 1, 2, 3, 4, 5))
    await client.set("date_time?date_hour=20&date_min=30")
    told = shown(await client.read("get_date_time"))
    assert timedelta() <= told - datetime(2026, 1, 2, 20, 30, 5) < 10 * SECOND


async def test_summer_time_by_hand_is_an_hour_more(client):
    await set_to(client, datetime(2026, 1, 2, 3, 4, 5), "&summer_time=0")
    await client.set("date_time?summer_time=1")
    told = await client.read("get_date_time")
    assert timedelta() <= shown(told) - datetime(2026, 1, 2, 4, 4, 5) < 10 * SECOND
    assert told["is_summer_time"] == "1"


@pytest.mark.parametrize(
    ("season", "wall", "summer"),
    [
        (EUROPE, datetime(2026, 3, 29, 0, 59, 0), "0"),
        (EUROPE, datetime(2026, 3, 29, 2, 0, 0), "1"),  # the last Sunday of March; one o'clock became two
        (EUROPE, datetime(2026, 7, 1), "1"),
        (EUROPE, datetime(2026, 10, 25, 0, 30), "1"),
        (EUROPE, datetime(2026, 10, 25, 2, 0), "0"),
        (EUROPE, datetime(2026, 12, 24), "0"),
        (SOUTH, datetime(2026, 12, 24), "1"),
        (SOUTH, datetime(2026, 1, 1), "1"),
        (SOUTH, datetime(2026, 7, 1), "0"),
        (SOUTH, datetime(2026, 4, 5, 1, 30), "1"),
        (SOUTH, datetime(2026, 4, 5, 3, 0), "0"),
    ],
)
async def test_summer_time_comes_and_goes_by_itself(client, season, wall, summer):
    await set_to(client, wall, f"&{season}")
    told = await client.read("get_date_time")
    assert timedelta() <= shown(told) - wall < 10 * SECOND
    assert told["is_summer_time"] == summer


def test_a_turn_is_the_numbered_weekday_or_the_last():
    assert turn(2026, "3", "5", "0", "1") == datetime(2026, 3, 29, 1)
    assert turn(2026, "2", "5", "0", "0") == datetime(2026, 2, 22)
    assert turn(2026, "3", "1", "0", "2") == datetime(2026, 3, 1, 2)
    assert turn(2026, "11", "1", "0", "2") == datetime(2026, 11, 1, 2)
    assert turn(2026, "10", "2", "6", "2") == datetime(2026, 10, 10, 2)


async def test_ntp_puts_it_right_at_once(client):
    client.device.inject("clock-skew", seconds=-7200)
    while abs(shown(await client.read("get_date_time")) - utc()) < timedelta(hours=1):
        pass
    await client.set("time?time_adjust=1&ntp_addr=192.168.0.1")
    assert abs(shown(await client.read("get_date_time")) - utc()) < 10 * SECOND
    assert "Clock synchronised" in (await client.ask("get_systemlog?type=eventlog", auth=ADMIN)).text


async def test_ntp_undoes_a_date_set_by_hand_after_its_interval(client, monkeypatch):
    await client.set("time?time_adjust=1&ntp_interval=1")
    await set_to(client, datetime(2020, 1, 1))
    assert shown(await client.read("get_date_time")).year == 2020
    clock: RunningClock = client.device.clock
    monkeypatch.setattr(clock, "_set_at", clock._set_at - 3600)
    assert shown(await client.read("get_date_time")).year != 2020


async def test_the_clock_dates_clips_and_the_log(quick):
    await set_to(quick, datetime(2031, 2, 3, 4, 5, 6))
    await quick.ask("sdctrl?save=start")
    await quick.until("get_state", rec="on")
    await quick.ask("sdctrl?save=end")
    await quick.until("get_state", rec="off")
    listed = (await quick.ask("get_clip_list?index=16&format=avchd")).text
    assert "\r\n18,S0AA001000001860,02/03/2031 04:05:" in listed
    log = (await quick.ask("get_systemlog?type=eventlog&num=1", auth=ADMIN)).text
    assert log == "1\\02/03/2031 04:05\\0602\\Recording to sd1 ended$"
