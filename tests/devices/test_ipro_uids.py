"""The recorder's UIDs: few are taken, shared, kept alive, given back, and got again when the recorder forgot them."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from django.conf import settings

from devices import keeping, uids
from devices.errors import Busy, DeviceError, NoAnswer, NoCoordination, SessionGone
from devices.families import driver_for
from devices.families.base import RtpSession
from devices.families.ipro import commands as cgi
from devices.families.ipro import memory, sessions
from devices.families.ipro.driver import IproDriver
from devices.gateway import Gateway
from devices.models import Camera, Device
from devices.uids import UidLease
from tests.devices.conftest import Scripted, Simulator, http
from tests.devices.test_ipro_driver import LOGGING_IN, recorder_row, without_uid

HOLDERS, DUE = "vms:uids:holders", "vms:uids:due"


@pytest.fixture
def recorder(start_simulator: Callable[..., Simulator], redis_client: redis.Redis) -> Simulator:
    return start_simulator("--cameras", "16", family="ipro")


@pytest.fixture
def device(recorder: Simulator) -> Device:
    return recorder_row(recorder.port)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Holders look and renew often, so that tests need not wait."""
    monkeypatch.setattr(uids, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(uids, "RENEW_SECONDS", 0.05)


def complaints(recorder: Simulator) -> list[Any]:
    """What the recorder found wrong with us: violations, and commands that came too fast."""
    answer = recorder.side_door("violations")
    return answer["violations"] + [note for note in answer["notes"] if note["kind"].startswith("pacing")]


@contextlib.asynccontextmanager
async def watching(device: Device, number: int, *, codec: str = "h264", port: int = 0) -> AsyncIterator[RtpSession]:
    driver = driver_for(device)
    (stream,) = driver.streams(Camera(device=device, number=number))
    stream = replace(stream, codec=codec)
    async with driver.rtp_session(Gateway(device), stream, port=port or 41000 + 2 * number) as session:
        yield session


def holders_died(redis_client: redis.Redis, *, mode: str = "") -> None:
    """As if HOLDER_SECONDS had passed without a renewal, for all leases or those of one mode."""
    for each in redis_client.zrange(HOLDERS, 0, -1):
        record = json.loads(redis_client.get(f"vms:uids:record:{each.decode()}") or b"{}")
        if mode in ("", record.get("mode")):
            redis_client.zadd(HOLDERS, {each: 1})


def keep_alive_is_due(redis_client: redis.Redis) -> None:
    for each in redis_client.zrange(DUE, 0, -1):
        redis_client.zadd(DUE, {each: 1})


async def beat(device: Device) -> None:
    """One beat of the keeper."""
    await keeping.keep(*await uids.claim(), {device.pk: device})


# --- One UID for many -------------------------------------------------------------------------------------------------
async def test_a_picture_is_started_and_stopped_as_the_document_shows(device: Device, recorder: Simulator) -> None:
    async with watching(device, 1, port=41002) as session:
        assert (session.port, session.source) == (41002, "127.0.0.1")
        assert not session.lost.is_set()
        assert len(recorder.sessions) == 1
    assert without_uid(recorder.targets) == [
        *LOGGING_IN,
        "push.cgi?UID=7&CAM=1&CMD=START&COMP=H264&PORT=41002",
        "push.cgi?UID=7&CAM=1&CMD=STOP&COMP=H264&PORT=41002",
        "logout.cgi?UID=7",
    ]
    assert recorder.sessions == []
    assert await uids.leases() == []
    assert complaints(recorder) == []


async def test_pictures_and_steering_share_one_uid_and_the_last_gives_it_back(
    device: Device, recorder: Simulator, redis_client: redis.Redis
) -> None:
    driver = driver_for(device)
    async with watching(device, 1):
        async with watching(device, 3):
            await driver.focus(Gateway(device), Camera(device=device, number=1), "auto")
            (session,) = recorder.sessions
            assert len(session["live"]) == 2
            (held,) = await uids.held(device.pk)
            assert sorted((use.mode, use.camera) for use in held.uses) == [("h264", 1), ("h264", 3), ("steering", 0)]
        assert len(recorder.sessions) == 1
    assert len(recorder.sessions) == 1, "steering still has it"
    holders_died(redis_client, mode="steering")
    await beat(device)
    assert recorder.sessions == []
    assert await uids.leases() == []
    assert without_uid(recorder.targets).count("dlogin.cgi?UID=-1") == 1
    assert complaints(recorder) == []


async def test_many_who_come_at_once_log_in_once(device: Device, recorder: Simulator) -> None:
    async with contextlib.AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(watching(device, number)) for number in range(1, 9)))
        (session,) = recorder.sessions
        assert len(session["live"]) == 8
    assert without_uid(recorder.targets).count("dlogin.cgi?UID=-1") == 1
    assert without_uid(recorder.targets).count("logout.cgi?UID=7") == 1
    assert recorder.sessions == []
    assert complaints(recorder) == []


async def test_the_same_camera_twice_needs_another_uid(device: Device, recorder: Simulator) -> None:
    async with watching(device, 1, port=41002), watching(device, 1, port=41004):
        assert sorted(len(session["live"]) for session in recorder.sessions) == [1, 1]
        assert len(await uids.held(device.pk)) == 2
    assert recorder.sessions == []
    assert complaints(recorder) == []


async def test_the_seventeenth_picture_needs_another_uid(scripted: Scripted) -> None:
    device = recorder_row(scripted.port, status={})
    scripted.answers = [answering()]
    async with contextlib.AsyncExitStack() as stack:
        for number in range(1, 17):
            await stack.enter_async_context(watching(device, number))
        assert len(await uids.held(device.pk)) == 1
        await stack.enter_async_context(watching(device, 17))
        assert sorted(len(held.uses) for held in await uids.held(device.pk)) == [1, 16]
    assert await uids.leases() == []


async def test_playback_and_download_never_share(device: Device, recorder: Simulator) -> None:
    driver = IproDriver(device)
    async with (
        watching(device, 1),
        driver.uid(Gateway(device), "playback", "playback", camera=1) as playback,
        driver.uid(Gateway(device), "download", "download") as download,
    ):
        carried = {playback.lease.uid, download.lease.uid}
        assert len(carried) == 2
        assert len(recorder.sessions) == 3
        assert sorted(held.kind for held in await uids.held(device.pk)) == ["download", "live", "playback"]
    assert recorder.sessions == []
    assert complaints(recorder) == []


async def test_only_two_downloads_at_once(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PLACE_WAIT_SECONDS", 0)
    device = recorder_row(scripted.port)
    scripted.answers = [answering()]
    driver = IproDriver(device)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(driver.uid(Gateway(device), "download", "download"))
        with pytest.raises(Busy, match="2 downloads at once"):
            await stack.enter_async_context(driver.uid(Gateway(device), "download", "download"))
    assert await uids.leases() == []


def answering(used: int = 0, most: int = 16, **more: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """A recorder that says yes to everything and gives the UIDs 1001, 1002, …"""
    given = iter(range(1001, 2000))

    def answer(request: bytes) -> bytes:
        for word, special in more.items():
            if word.encode() in request:
                return special(request)
        if b"as_getinfo" in request:
            return http(200, f"CAM_CONNECT_01CH=1\r\nMAXUID={most}\r\nUSEDUID={used}\r\n")
        return http(200, f"hdrctl.cgi?UID={next(given)}&HTML" if b"dlogin" in request else "")

    return answer


# --- When places are short --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("used", "kind"), [(14, "live"), (13, "playback"), (12, "download"), (16, "live")])
async def test_the_last_places_are_left_to_others(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, used: int, kind: uids.Kind
) -> None:
    monkeypatch.setattr(sessions, "PLACE_WAIT_SECONDS", 0)
    device = recorder_row(scripted.port)
    scripted.answers = [answering(used)]
    with pytest.raises(Busy, match=f"{used} of its 16 places"):
        async with IproDriver(device).uid(Gateway(device), kind, "test"):
            pass
    scripted.answers = [answering(used - 1)]
    await memory.forget_reading(Gateway(device), cgi.GET_INFO)
    if used < 16:
        async with IproDriver(device).uid(Gateway(device), kind, "test"):
            pass


async def test_the_reserve_is_an_administrators_choice(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PLACE_WAIT_SECONDS", 0)
    device = recorder_row(scripted.port, options={"uid_reserve": 0})
    scripted.answers = [answering(15)]
    async with IproDriver(device).uid(Gateway(device), "live", "test"):
        pass


async def test_a_full_recorder_loses_no_other_client_and_the_sentence_says_why(
    device: Device, recorder: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "PLACE_WAIT_SECONDS", 0)
    recorder.side_door("fault", {"kind": "fill-uids", "number": 16})
    with pytest.raises(Busy, match="Vault has 16 of its 16 places for clients taken, 0 of them by us"):
        await driver_for(device).log(Gateway(device))
    assert without_uid(recorder.targets) == ["as_getinfo.cgi?FILE=2"]
    assert await uids.leases() == []
    assert complaints(recorder) == []


async def test_who_waits_gets_the_place_that_becomes_free(device: Device, recorder: Simulator) -> None:
    recorder.side_door("fault", {"kind": "fill-uids", "number": 16})

    async def make_room() -> None:
        async with asyncio.timeout(10):
            while not recorder.targets:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        recorder.side_door("fault", {"kind": "fill-uids", "number": 0})

    async with asyncio.TaskGroup() as group:
        group.create_task(make_room())
        async with watching(device, 1):
            pass
    assert complaints(recorder) == []


async def test_no_place_and_a_picture_running_still_steers(
    device: Device, recorder: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(device, 1):
        recorder.side_door("fault", {"kind": "fill-uids", "number": 15})
        await driver_for(device).focus(Gateway(device), Camera(device=device, number=1), "auto")
    assert complaints(recorder) == []


# --- Kept alive -------------------------------------------------------------------------------------------------------
async def test_a_quiet_uid_is_kept_alive_once_whatever_it_carries(
    device: Device, recorder: Simulator, redis_client: redis.Redis
) -> None:
    async with watching(device, 1), watching(device, 3):
        await beat(device)
        assert "status.cgi" not in "".join(recorder.targets), "it was used just now"
        keep_alive_is_due(redis_client)
        await beat(device)
        await beat(device)
        assert without_uid(recorder.targets).count("status.cgi?UID=7&PC=AS60") == 1
    assert complaints(recorder) == []


async def test_other_commands_keep_a_uid_alive_too(
    device: Device, recorder: Simulator, redis_client: redis.Redis
) -> None:
    async with watching(device, 1):
        keep_alive_is_due(redis_client)
        await driver_for(device).focus(Gateway(device), Camera(device=device, number=1), "auto")
        await beat(device)
        assert "status.cgi" not in "".join(recorder.targets)
        (left,) = [score for _, score in redis_client.zrange(DUE, 0, -1, withscores=True)]
        seconds = left / 1000 - redis_client.time()[0]
        assert sessions.KEEP_ALIVE_SECONDS - 5 < seconds <= sessions.KEEP_ALIVE_SECONDS + 1
    assert sessions.KEEP_ALIVE_SECONDS + uids.RETRY_SECONDS + 5 < 90, "in time, with the beat and one more try"


async def test_while_redis_is_away_one_of_many_parts_keeps_the_uid_alive(
    hurry: None, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = recorder_row(scripted.port)
    scripted.answers = [answering()]

    async def away(*_: object) -> str:
        raise NoCoordination

    async with watching(device, 1) as one, watching(device, 2) as two:
        with monkeypatch.context() as outage:
            outage.setattr(uids, "_run", away)
            outage.setattr(uids, "_gone", away)
            async with asyncio.timeout(10):
                while b"status.cgi" not in scripted.requests[-1]:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            assert sum(b"status.cgi" in request for request in scripted.requests) == 1
        assert not one.lost.is_set()
        assert not two.lost.is_set()


# --- Lost -------------------------------------------------------------------------------------------------------------
async def test_everybody_who_shares_a_lost_uid_is_told_and_comes_back(
    hurry: None, device: Device, recorder: Simulator, redis_client: redis.Redis
) -> None:
    async with watching(device, 1) as one, watching(device, 3) as three:
        recorder.side_door("fault", {"kind": "lose-uids"})
        keep_alive_is_due(redis_client)
        await beat(device)
        async with asyncio.timeout(10):
            await asyncio.gather(one.lost.wait(), three.lost.wait())
        assert "no longer knows the UID" in one.lost_reason
        assert one.lost_reason == three.lost_reason
    assert await uids.leases() == []
    stops = [target for target in recorder.targets if "CMD=STOP" in target]
    assert stops == [], "there is nothing left to stop"
    async with watching(device, 1):
        assert len(recorder.sessions) == 1
    assert recorder.sessions == []


async def test_steering_logs_in_again_once_when_its_uid_is_gone(device: Device, recorder: Simulator) -> None:
    driver, gateway, first = driver_for(device), Gateway(device), Camera(device=device, number=1)
    await driver.focus(gateway, first, "auto")
    recorder.side_door("fault", {"kind": "lose-uids"})
    await driver.focus(gateway, first, "far")
    assert without_uid(recorder.targets).count("dlogin.cgi?UID=-1") == 2
    assert len(recorder.sessions) == 1
    assert len(await uids.held(device.pk)) == 1


async def test_a_picture_that_joins_a_lost_uid_logs_in_again_once(device: Device, recorder: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    await driver.focus(gateway, Camera(device=device, number=1), "auto")
    recorder.side_door("fault", {"kind": "lose-uids"})
    async with watching(device, 1) as session:
        assert not session.lost.is_set()
        (now,) = recorder.sessions
        assert len(now["live"]) == 1
    assert recorder.sessions == []
    assert await uids.leases() == []


async def test_a_recorder_that_forgets_at_once_is_not_asked_for_ever(scripted: Scripted) -> None:
    device = recorder_row(scripted.port)
    scripted.answers = [answering(directctrl=lambda request: http(401))]
    with pytest.raises(SessionGone):
        await driver_for(device).move(Gateway(device), Camera(device=device, number=1), pan=0, tilt=0, zoom=0)
    assert sum(b"dlogin" in request for request in scripted.requests) == 2
    assert await uids.held(device.pk) == []


async def test_after_a_restart_of_the_recorder_pictures_come_back(
    hurry: None, device: Device, recorder: Simulator, redis_client: redis.Redis
) -> None:
    async with watching(device, 1) as session:
        recorder.side_door("fault", {"kind": "reboot", "seconds": 0.2})
        await asyncio.sleep(0.5)
        keep_alive_is_due(redis_client)
        await beat(device)
        await asyncio.wait_for(session.lost.wait(), 10)
    async with watching(device, 1):
        assert len(recorder.sessions) == 1
    assert recorder.sessions == []


async def test_dead_uids_never_look_like_a_wrong_password(device: Device, recorder: Simulator) -> None:
    driver, gateway = driver_for(device), Gateway(device)
    for _ in range(12):
        with pytest.raises(SessionGone):
            await gateway.ask(cgi.KEEP_ALIVE, {"UID": "123"})
    assert (await driver.identify(gateway)).cameras


# --- Given back -------------------------------------------------------------------------------------------------------
async def test_too_many_starts_are_told_as_such(scripted: Scripted) -> None:
    device = recorder_row(scripted.port)
    scripted.answers = [answering(**{"CMD=START": lambda request: http(204)})]
    with pytest.raises(Busy, match="too often"):
        async with watching(device, 1):
            pass
    assert not any(b"CMD=STOP" in request for request in scripted.requests), "nothing was started"
    assert await uids.leases() == []


async def test_a_start_that_may_have_worked_is_stopped(scripted: Scripted) -> None:
    device = recorder_row(scripted.port)
    scripted.answers = [answering(**{"CMD=START": lambda request: b""})]
    with pytest.raises(NoAnswer):
        async with watching(device, 1):
            pass
    assert sum(b"CMD=START" in request for request in scripted.requests) == 1, "it is never repeated blindly"
    assert b"CMD=STOP" in scripted.requests[-2]
    assert b"logout.cgi" in scripted.requests[-1]


async def test_a_cancelled_viewer_leaves_nothing_behind(device: Device, recorder: Simulator) -> None:
    opened = asyncio.Event()

    async def watch() -> None:
        async with watching(device, 1):
            opened.set()
            await asyncio.sleep(3600)

    viewer = asyncio.create_task(watch())
    await asyncio.wait_for(opened.wait(), 10)
    viewer.cancel()
    await asyncio.wait([viewer])
    await until_all_is_given_back(recorder)
    assert complaints(recorder) == []


async def test_who_gives_up_while_logging_in_leaves_nothing_behind(device: Device, recorder: Simulator) -> None:
    recorder.side_door("fault", {"kind": "slow", "seconds": 0.3})

    async def watch() -> None:
        async with watching(device, 1):
            await asyncio.sleep(3600)

    viewer = asyncio.create_task(watch())
    async with asyncio.timeout(10):
        while not any("as_getinfo" in target for target in recorder.targets):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    viewer.cancel()
    await asyncio.wait([viewer])
    await until_all_is_given_back(recorder)
    assert await uids.leases() == []
    assert complaints(recorder) == []


async def until_all_is_given_back(recorder: Simulator) -> None:
    async with asyncio.timeout(10):
        while sessions._unfinished:
            await asyncio.wait(set(sessions._unfinished))
    assert recorder.sessions == []


async def test_what_cannot_be_given_back_now_is_left_to_the_keeper(scripted: Scripted) -> None:
    device = recorder_row(scripted.port)
    scripted.answers = [answering(logout=lambda request: http(503))]
    async with watching(device, 1):
        pass
    assert [lease.shared for lease in await uids.leases()].count(True) == 1
    scripted.answers = [answering()]
    await beat(device)
    assert b"logout.cgi?UID=1001 " in scripted.requests[-1]
    assert await uids.leases() == []


async def test_the_keeper_stops_the_pictures_of_the_dead_and_leaves_the_others_alone(
    device: Device, recorder: Simulator, redis_client: redis.Redis
) -> None:
    async with watching(device, 1, codec="h264"), watching(device, 3, codec="h265"):
        holders_died(redis_client, mode="h265")
        await beat(device)
        (session,) = recorder.sessions
        assert len(session["live"]) == 1
        assert "CAM=3&CMD=STOP&COMP=H265&PORT=41006" in recorder.targets[-1]
        (held,) = await uids.held(device.pk)
        assert [use.camera for use in held.uses] == [1]
    assert recorder.sessions == []
    assert complaints(recorder) == []


async def test_the_last_dead_holder_takes_the_uid_along(
    device: Device, recorder: Simulator, redis_client: redis.Redis
) -> None:
    driver = driver_for(device)
    await driver.focus(Gateway(device), Camera(device=device, number=1), "auto")
    holders_died(redis_client)
    await beat(device)
    assert recorder.sessions == []
    assert await uids.leases() == []
    assert without_uid(recorder.targets)[-1] == "logout.cgi?UID=7"
    assert without_uid(recorder.targets).count("logout.cgi?UID=7") == 1
    await driver.focus(Gateway(device), Camera(device=device, number=1), "auto")
    assert len(recorder.sessions) == 1, "and who steers again logs in again"
    assert complaints(recorder) == []


async def test_a_uid_whose_parts_are_all_gone_is_given_back(scripted: Scripted, redis_client: redis.Redis) -> None:
    """Its last part could not be stopped and was forgotten at last."""
    device = recorder_row(scripted.port)
    whole = UidLease(1, "1001", "shared", 0, 60, shared=True)
    part = UidLease(1, "1001", "h264", 41002, 60, camera=1, of=whole.id)
    for lease in (whole, part):
        await uids.hold(lease, new=True)
    await uids.forget(part)
    holders_died(redis_client)
    await beat(device)
    assert [request.split()[1] for request in scripted.requests] == [b"/cgi-bin/logout.cgi?UID=1001"]
    assert await uids.leases() == []


async def test_after_redis_lost_its_memory_nobody_is_cut_off(
    hurry: None, device: Device, recorder: Simulator, redis_client: redis.Redis
) -> None:
    """The first to leave cannot know yet whether others are there, and so leaves the UID alone."""
    async with watching(device, 1) as staying:
        async with watching(device, 3):
            redis_client.flushall()
        assert len(recorder.sessions) == 1
        async with asyncio.timeout(10):
            while not (held := await uids.held(device.pk)) or not held[0].uses[0].camera:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert not staying.lost.is_set()
        assert [use.camera for use in held[0].uses] == [1]
    holders_died(redis_client)
    await beat(device)
    assert recorder.sessions == []
    assert await uids.leases() == []


# --- Several processes ------------------------------------------------------------------------------------------------
HOLDER = """
import asyncio, sys
import django
django.setup()
from devices.families import driver_for
from devices.families.base import Stream
from devices.gateway import Gateway
from tests.devices.test_ipro_driver import recorder_row

async def main():
    device = recorder_row(int(sys.argv[1]))
    camera = int(sys.argv[2])
    stream = Stream("video", "h264", None, None, None, "rtp", camera=camera)
    async with driver_for(device).rtp_session(Gateway(device), stream, port=41000 + 2 * camera):
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


@pytest.fixture
def holders() -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    running: list[subprocess.Popen[bytes]] = []

    def start(port: int, camera: int) -> "subprocess.Popen[bytes]":
        environment = {"DATA_DIR": str(settings.DATA_DIR), "SECRET_KEY": settings.SECRET_KEY}
        environment |= {"DJANGO_SETTINGS_MODULE": "vms.settings", "PYTHONPATH": str(settings.BASE_DIR)}
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(port), str(camera)],
            env=environment,
            cwd=settings.BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


async def test_two_processes_share_one_uid_and_a_killed_one_takes_only_its_own_along(
    device: Device, recorder: Simulator, redis_client: redis.Redis, holders: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    first, second = (holders(recorder.port, camera) for camera in (1, 3))
    for process in (first, second):
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == b"open\n"
    (session,) = recorder.sessions
    assert len(session["live"]) == 2
    assert without_uid(recorder.targets).count("dlogin.cgi?UID=-1") == 1
    (held,) = await uids.held(device.pk)
    assert len({use.holder for use in held.uses}) == 2

    os.kill(first.pid, signal.SIGKILL)
    await asyncio.to_thread(first.wait)
    for lease in await uids.leases():
        if lease.holder.endswith(f":{first.pid}") and lease.of:
            redis_client.zadd(HOLDERS, {lease.id: 1})
    await beat(device)
    (session,) = recorder.sessions
    assert len(session["live"]) == 1

    await asyncio.to_thread(second.communicate, b"\n")
    assert recorder.sessions == []
    assert await uids.leases() == []
    assert complaints(recorder) == []


# --- What is shown ----------------------------------------------------------------------------------------------------
async def test_no_uid_is_shown_or_logged(
    device: Device, recorder: Simulator, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    async with watching(device, 1) as session:
        (mine,) = {lease.uid for lease in await uids.leases()}
        shown = [repr(await uids.held(device.pk)), repr(await uids.leases()), repr(session), caplog.text]
        ring = redis_client.lrange("vms:exchanges:1", 0, -1)
    shown += [caplog.text, *(each.decode() for each in ring)]
    assert len(ring) >= 4
    assert not any(mine in text for text in shown)


async def test_an_error_says_no_uid(scripted: Scripted) -> None:
    device = recorder_row(scripted.port)
    scripted.answers = [answering(directctrl=lambda request: http(500))]
    with pytest.raises(DeviceError) as caught:
        await driver_for(device).move(Gateway(device), Camera(device=device, number=1), pan=0, tilt=0, zoom=0)
    assert "1001" not in str(caught.value)


async def test_nobody_joins_a_uid_before_it_is_set_up(
    device: Device, recorder: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever did could start a picture that the recorder is not ready for, should its turn come first."""
    ask = sessions.Session.ask

    async def late(self: sessions.Session, command: Any, values: Any = None) -> Any:
        if command is cgi.SETUP_LIVE:
            await asyncio.sleep(0.5)
        return await ask(self, command, values)

    monkeypatch.setattr(sessions.Session, "ask", late)
    together = asyncio.Barrier(3)

    async def one(number: int) -> None:
        async with watching(device, number):
            await together.wait()

    first = asyncio.create_task(one(1))
    async with asyncio.timeout(20):
        while not await uids.leases():  # noqa: ASYNC110 — nobody announces it
            await asyncio.sleep(0.01)
    await asyncio.gather(first, *(one(number) for number in (2, 3)))
    paths = [target.partition("?")[0].rpartition("/")[2] for target in recorder.targets]
    assert paths.index("hdrctl.cgi") < paths.index("push.cgi")
    assert paths.count("dlogin.cgi") == 1
    assert complaints(recorder) == []
    assert await uids.leases() == []
