"""The ledger of UIDs: nothing is leaked on a device, whoever dies, and whatever Redis forgets."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
import redis
from django.conf import settings

from devices import keeping, uids
from devices.errors import NoAnswer, NoCoordination, Refused
from devices.families import driver_for
from devices.families.base import RtpSession, Stream
from devices.gateway import Gateway
from devices.models import Device
from devices.uids import UidLease
from tests.devices.conftest import PASSWORD, Scripted, Simulator, http, unsaved_device

H264 = Stream("h264", "h264", None, None, None, "rtp")
HOLDERS, DUE = "vms:uids:holders", "vms:uids:due"


def lease(**changes: Any) -> UidLease:
    return UidLease(**{"device": 1, "uid": "263", "mode": "h264", "port": 40000, "keep_alive_seconds": 30} | changes)


def holder_died(redis_client: redis.Redis) -> None:
    """As if HOLDER_SECONDS had passed without a renewal."""
    for each in redis_client.zrange(HOLDERS, 0, -1):
        redis_client.zadd(HOLDERS, {each: 1})


def keep_alive_is_due(redis_client: redis.Redis) -> None:
    for each in redis_client.zrange(DUE, 0, -1):
        redis_client.zadd(DUE, {each: 1})


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Holders look and renew often, so that tests need not wait."""
    monkeypatch.setattr(uids, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(uids, "RENEW_SECONDS", 0.05)


# --- The ledger itself ------------------------------------------------------------------------------------------------
async def test_a_lease_is_written_renewed_and_forgotten(redis_client: redis.Redis) -> None:
    mine = lease()
    assert await uids.hold(mine) == ""
    assert await uids.hold(mine) == ""
    assert await uids.leases() == [mine]
    await uids.forget(mine)
    assert await uids.leases() == []
    assert redis_client.keys("vms:uids:*") == []


async def test_everything_in_the_ledger_has_an_end(redis_client: redis.Redis) -> None:
    await uids.hold(lease())
    await uids.forget(lease(), "gone")
    assert all(redis_client.ttl(each) > 0 for each in redis_client.keys("*"))


async def test_a_renewal_restores_what_redis_forgot(redis_client: redis.Redis) -> None:
    mine = lease()
    await uids.hold(mine)
    redis_client.flushall()
    assert await uids.hold(mine) == ""
    assert await uids.leases() == [mine]
    assert redis_client.zscore(DUE, mine.id) is not None, "and it is kept alive again"


async def test_a_healthy_lease_is_neither_stopped_nor_kept_alive_too_often(redis_client: redis.Redis) -> None:
    await uids.hold(lease())
    assert await uids.claim() == ([], [])


async def test_each_piece_of_work_is_handed_to_one_worker(redis_client: redis.Redis) -> None:
    leases = [lease(port=port) for port in range(40000, 40020, 2)]
    for each in leases:
        await uids.hold(each)
    keep_alive_is_due(redis_client)
    claims = await asyncio.gather(*(uids.claim() for _ in range(5)))
    claimed = [each for _, quiet in claims for each in quiet]
    assert sorted(each.port for each in claimed) == [each.port for each in leases]
    holder_died(redis_client)
    claims = await asyncio.gather(*(uids.claim() for _ in range(5)))
    assert sorted(each.port for dead, _ in claims for each in dead) == [each.port for each in leases]


async def test_a_lease_whose_end_is_known_is_not_renewed(redis_client: redis.Redis) -> None:
    mine = lease()
    await uids.hold(mine)
    await uids.forget(mine, "The device ended it.")
    assert await uids.hold(mine) == "The device ended it."
    assert await uids.leases() == []


async def test_who_had_our_port_before_is_stopped_at_once(redis_client: redis.Redis) -> None:
    dead, elsewhere, other_port, mine = lease(), lease(holder="other-machine:7"), lease(port=40002), lease(device=2)
    for each in (dead, elsewhere, other_port, mine):
        await uids.hold(each)
    await uids.supersede(mine)
    assert await uids.claim() == ([dead], [])


LOOKED = "vms:uids:looked"


def keeper_was_kept_away(redis_client: redis.Redis) -> None:
    """As if its last look had been some beats ago."""
    seconds, _ = redis_client.time()
    redis_client.set(LOOKED, int((seconds - uids.KEPT_AWAY_SECONDS - 1) * 1000), ex=60)


async def test_who_could_not_renew_while_redis_stood_still_is_not_dead(redis_client: redis.Redis) -> None:
    mine = lease()
    await uids.hold(mine)
    assert await uids.claim() == ([], [])
    holder_died(redis_client)  # nobody could renew…
    keeper_was_kept_away(redis_client)  # …nor look
    assert await uids.claim() == ([], [])
    assert await uids.claim() == ([], []), "a whole life to renew in, not just one round"
    assert await uids.hold(mine) == ""


async def test_a_lease_about_to_end_while_redis_stood_still_has_a_life_too(redis_client: redis.Redis) -> None:
    mine = lease()
    await uids.hold(mine)
    seconds, _ = redis_client.time()
    redis_client.zadd(HOLDERS, {mine.id: (seconds + 1) * 1000})
    keeper_was_kept_away(redis_client)
    assert await uids.claim() == ([], [])
    left = redis_client.zscore(HOLDERS, mine.id)
    assert isinstance(left, float)
    assert left > (seconds + uids.HOLDER_SECONDS - 1) * 1000


async def test_a_keeper_that_is_always_late_still_finds_the_dead(redis_client: redis.Redis) -> None:
    mine = lease()
    await uids.hold(mine)
    for _ in range(2):  # a renewal in between deserves another life
        await uids.hold(mine)
        holder_died(redis_client)
        keeper_was_kept_away(redis_client)
        assert await uids.claim() == ([], [])
    holder_died(redis_client)
    keeper_was_kept_away(redis_client)
    assert await uids.claim() == ([mine], [])


async def test_a_redis_that_really_stood_still_cuts_nothing(
    hurry: None,
    monkeypatch: pytest.MonkeyPatch,
    redis_process: subprocess.Popen[bytes],
    redis_client: redis.Redis,
) -> None:
    monkeypatch.setattr(uids, "HOLDER_SECONDS", 0.5)
    monkeypatch.setattr(uids, "KEPT_AWAY_SECONDS", 0.5)
    lost: list[str] = []
    mine = lease()
    await uids.hold(mine)
    await uids.claim()

    async def keep_alive() -> None:
        return None

    async with uids.holding(mine, lost.append, keep_alive):
        os.kill(redis_process.pid, signal.SIGSTOP)
        try:
            looking = asyncio.create_task(uids.claim())  # before any holder, as soon as Redis goes on
            await asyncio.sleep(1.5)
        finally:
            os.kill(redis_process.pid, signal.SIGCONT)
        assert await looking == ([], [])
        await asyncio.sleep(uids.RENEW_SECONDS * 3)
        dead, _ = await uids.claim()
    assert (dead, lost) == ([], [])


def test_a_uid_is_never_shown() -> None:
    assert "263" not in repr(lease())


# --- The keeper -------------------------------------------------------------------------------------------------------
async def test_the_keeper_keeps_alive_what_is_due(scripted: Scripted, redis_client: redis.Redis) -> None:
    device = unsaved_device(scripted.port)
    await uids.hold(lease(mode="h264_2"))
    keep_alive_is_due(redis_client)
    await keeping.keep(*await uids.claim(), {1: device})
    assert b"/cgi-bin/keep_alive?mode=h.264_2&protocol=rtp&UID=263&stream=2 " in scripted.requests[0]
    assert await uids.claim() == ([], [])
    assert len(await uids.leases()) == 1


async def test_the_keeper_stops_what_a_dead_holder_left(scripted: Scripted, redis_client: redis.Redis) -> None:
    await uids.hold(lease())
    holder_died(redis_client)
    await keeping.keep(*await uids.claim(), {1: unsaved_device(scripted.port)})
    assert b"/cgi-bin/h264?my_port=40000&connect=stop&protocol=rtp&UID=263&stream=1 " in scripted.requests[0]
    assert await uids.leases() == []


async def test_a_stop_nobody_answered_is_tried_again_but_not_for_ever(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise NoAnswer("away")

    monkeypatch.setattr("devices.families.povcam.driver.PovcamDriver.stop", away)
    await uids.hold(lease())
    tries = 0
    while await uids.leases():
        holder_died(redis_client)
        await keeping.keep(*await uids.claim(), {1: unsaved_device(1)})
        tries += 1
        assert tries <= uids.STOPS_TRIED
    assert tries == uids.STOPS_TRIED


async def test_a_busy_device_is_asked_again_soon_and_loses_nothing(
    scripted: Scripted, redis_client: redis.Redis
) -> None:
    scripted.answers = [http(503)]
    mine = lease()
    await uids.hold(mine)
    keep_alive_is_due(redis_client)
    await keeping.keep(*await uids.claim(), {1: unsaved_device(scripted.port)})
    assert await uids.hold(mine) == ""
    now = redis_client.time()[0] * 1000
    assert redis_client.zscore(DUE, mine.id) - now <= (uids.RETRY_SECONDS + 2) * 1000


async def test_a_lease_of_a_removed_device_is_forgotten(redis_client: redis.Redis) -> None:
    mine = lease()
    await uids.hold(mine)
    keep_alive_is_due(redis_client)
    await keeping.keep(*await uids.claim(), {})
    assert await uids.hold(mine) == "The device was removed."


# --- The holder -------------------------------------------------------------------------------------------------------
async def open_session(device: Device, opened: "asyncio.Future[RtpSession]", port: int = 40000) -> None:
    async with driver_for(device).rtp_session(Gateway(device), H264, port=port) as session:
        opened.set_result(session)
        await session.lost.wait()


async def test_the_holder_is_told_when_the_device_ended_it(
    hurry: None, scripted: Scripted, redis_client: redis.Redis
) -> None:
    scripted.answers = [http(200, "UID=263\r\n"), http(200), http(403), http(200)]
    device = unsaved_device(scripted.port)
    opened: asyncio.Future[RtpSession] = asyncio.get_running_loop().create_future()
    viewer = asyncio.create_task(open_session(device, opened))
    session = await asyncio.wait_for(opened, 10)
    keep_alive_is_due(redis_client)
    await keeping.keep(*await uids.claim(), {1: device})
    await asyncio.wait_for(viewer, 10)
    assert "forbids keep_alive" in session.lost_reason
    assert await uids.leases() == []


async def test_the_holder_restores_its_lease_after_redis_lost_its_memory(
    hurry: None, scripted: Scripted, redis_client: redis.Redis
) -> None:
    scripted.answers = [http(200, "UID=263\r\n"), http(200)]
    opened: asyncio.Future[RtpSession] = asyncio.get_running_loop().create_future()
    viewer = asyncio.create_task(open_session(unsaved_device(scripted.port), opened))
    await asyncio.wait_for(opened, 10)
    (before,) = await uids.leases()
    redis_client.flushall()
    async with asyncio.timeout(10):
        while await uids.leases() != [before]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    viewer.cancel()
    await asyncio.wait([viewer])
    assert await uids.leases() == []


async def test_while_redis_is_away_the_holder_keeps_its_picture_alive_itself(
    hurry: None, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = asyncio.Event()
    lost: list[str] = []

    async def keep_alive() -> None:
        kept.set()

    async def away(*_: object) -> str:
        raise NoCoordination

    mine = lease()
    await uids.hold(mine)
    with monkeypatch.context() as outage:
        outage.setattr(uids, "_run", away)
        outage.setattr(uids, "_gone", away)
        async with uids.holding(mine, lost.append, keep_alive):
            await asyncio.wait_for(kept.wait(), 10)
    assert lost == []


async def test_while_redis_is_away_a_device_that_ended_it_is_believed(
    hurry: None, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def keep_alive() -> None:
        raise Refused("It is gone.")

    async def away(*_: object) -> str:
        raise NoCoordination

    monkeypatch.setattr(uids, "_run", away)
    monkeypatch.setattr(uids, "_gone", away)
    async with uids.holding(lease(), told.set_result, keep_alive):
        assert await asyncio.wait_for(told, 10) == "It is gone."


async def test_what_cannot_be_stopped_at_the_end_is_left_to_the_keeper(
    scripted: Scripted, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.answers = [http(200, "UID=263\r\n"), http(200), http(503), http(200)]
    device = unsaved_device(scripted.port)
    async with driver_for(device).rtp_session(Gateway(device), H264, port=40000):
        pass
    dead, _ = await uids.claim()
    assert [each.uid for each in dead] == ["263"]
    await keeping.keep(dead, [], {1: device})
    assert b"connect=stop" in scripted.requests[-1]
    assert await uids.leases() == []


HOLDER = """
import asyncio, sys
import django
django.setup()
from devices.families import driver_for
from devices.families.base import Stream
from devices.gateway import Gateway
from tests.devices.conftest import unsaved_device

async def main():
    device = unsaved_device(int(sys.argv[1]))
    stream = Stream("h264", "h264", None, None, None, "rtp")
    async with driver_for(device).rtp_session(Gateway(device), stream, port=46000):
        print("open", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_killed_holders_stream_is_stopped_on_the_device(
    device: Device, simulator: Simulator, redis_client: redis.Redis
) -> None:
    environment = {"DATA_DIR": str(settings.DATA_DIR), "SECRET_KEY": settings.SECRET_KEY}
    environment |= {"DJANGO_SETTINGS_MODULE": "vms.settings", "PYTHONPATH": str(settings.BASE_DIR)}
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDER, str(simulator.port)),
        env=environment,
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert await asyncio.wait_for(holder.stdout.readline(), 30) == b"open\n"
    assert len(simulator.sessions) == 1
    os.kill(holder.pid, signal.SIGKILL)
    await holder.wait()
    assert await uids.claim() == ([], []), "its lease still has some seconds"
    holder_died(redis_client)
    await keeping.keep(*await uids.claim(), {1: device})
    assert simulator.sessions == []
    assert await uids.leases() == []
    assert simulator.violations == []
    assert uids.HOLDER_SECONDS + 5 + 10 < 60, "the beat and the stop itself come on top"


async def test_no_uid_and_no_password_in_the_log(
    device: Device, simulator: Simulator, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "devices")
    async with driver_for(device).rtp_session(Gateway(device), H264, port=46000):
        (mine,) = await uids.leases()
    assert f"UID={mine.uid}" not in caplog.text
    assert PASSWORD not in caplog.text
