"""The life of a recorder's UIDs: 16 for everybody, 90 s without a command, and who has to give way."""

import asyncio

import httpx
import pytest

from simulators.ipro import IproSimulator
from tests.simulators.helpers import eventually
from tests.simulators.recorder import ADMIN, CALM, Recorder

GUARD = httpx.DigestAuth("guard", "tulip")


async def used(recorder: Recorder) -> tuple[int, int]:
    text = (await recorder.ask("as_getinfo.cgi?FILE=2", auth=ADMIN)).text
    told = dict(line.split("=") for line in text.split("\r\n") if "=" in line)
    return int(told["USEDUID"]), int(told["MAXUID"])


async def alive(recorder: Recorder, uid: str) -> bool:
    return await recorder.says(f"status.cgi?UID={uid}&PC=AS60") == 200


async def test_uids_in_use_are_counted(recorder):
    assert await used(recorder) == (0, 16)
    uids = [await recorder.login() for _ in range(3)]
    assert len(set(uids)) == 3
    assert await used(recorder) == (3, 16)
    await recorder.ask(f"logout.cgi?UID={uids[0]}")
    assert await used(recorder) == (2, 16)


async def test_a_uid_dies_after_90_s_without_a_command(recorder):
    uid = await recorder.live()
    await recorder.ask(f"push.cgi?UID={uid}&CAM=1&CMD=START&COMP=H264&PORT=40000")
    await recorder.fault(kind="pass-time", seconds=89)
    assert await used(recorder) == (1, 16)
    await recorder.fault(kind="pass-time", seconds=1.5)
    assert await used(recorder) == (0, 16)
    reply = await recorder.ask(f"status.cgi?UID={uid}&PC=AS60")
    assert reply.status_code == 401
    assert (recorder.violations, recorder.notes) == ([], ["uid_expired", "dead_uid"])


@pytest.mark.parametrize(
    "target",
    [
        "status.cgi?UID={}&PC=AS60",
        "directctrl.cgi?UID={}&CH=1&PAN=0&TILT=0&ZOOM=0&PC=AS60",
        "loglist.cgi?UID={}&KIND=ERR&HTML=as_errorlog.html",
        "hdrctl.cgi?UID={}&SCREEN=16X&PC=AS60",
    ],
)
async def test_every_command_with_a_uid_gives_it_another_90_s(recorder, target):
    uid = await recorder.login()
    for _ in range(3):
        await recorder.fault(kind="pass-time", seconds=80)
        assert await recorder.says(target.format(uid)) == 200
    assert await used(recorder) == (1, 16)


async def test_a_refused_command_gives_a_uid_nothing(recorder):
    uid = await recorder.login()
    await recorder.fault(kind="pass-time", seconds=80)
    assert await recorder.says(f"status.cgi?UID={uid}&PC=AS61") == 400
    await recorder.fault(kind="pass-time", seconds=20)
    assert not await alive(recorder, uid)


async def test_a_short_life_ends_by_itself_with_its_streams():
    async with IproSimulator(uid_seconds=0.3, gaps=CALM) as device:
        recorder = Recorder(device)
        uid = await recorder.live()
        reply = await recorder.ask(f"push.cgi?UID={uid}&CAM=1&CMD=START&COMP=H264&INTERNETMODE=ON")
        assert reply.status_code == 200  # the end of the stream came with the end of the UID
        assert list(device.sessions()) == []


async def test_a_dead_uid_is_not_healed_by_credentials(recorder):
    uid = await recorder.login()
    await recorder.ask(f"logout.cgi?UID={uid}")
    reply = await recorder.ask(f"status.cgi?UID={uid}&PC=AS60", auth=httpx.DigestAuth("ADMIN", "12345"))
    assert reply.status_code == 401
    assert (recorder.violations, recorder.notes) == ([], ["dead_uid"] * 2)


async def test_one_login_too_many_silently_ends_the_first_uid(recorder):
    uids = [await recorder.login() for _ in range(17)]
    assert await used(recorder) == (16, 16)
    assert [await alive(recorder, uid) for uid in uids[:3]] == [False, True, True]
    assert recorder.notes == ["evicted", "dead_uid"]
    assert recorder.violations == []


async def test_the_first_is_by_issue_not_by_use():
    async with IproSimulator(max_uids=2, gaps=CALM) as device:
        recorder = Recorder(device)
        first, second = await recorder.login(), await recorder.login()
        await alive(recorder, first)
        await recorder.login()
        assert [await alive(recorder, uid) for uid in (first, second)] == [False, True]


async def test_lower_priority_gives_way_first_and_the_lowest_is_refused():
    async with IproSimulator(max_uids=3, live_user="guard", live_password="tulip", gaps=CALM) as device:
        recorder = Recorder(device)
        admin = await recorder.login()
        guards = [await recorder.login(GUARD) for _ in range(2)]
        assert recorder.session(guards[0])["priority"] < recorder.session(admin)["priority"]
        second = await recorder.login()
        assert [await alive(recorder, uid) for uid in (admin, *guards)] == [True, False, True]
        third = await recorder.login()
        assert not await alive(recorder, guards[1])
        assert (await recorder.ask("dlogin.cgi?UID=-1", auth=GUARD)).status_code == 503
        assert recorder.notes[-1] == "login_refused"
        assert [await alive(recorder, uid) for uid in (admin, second, third)] == [True] * 3


async def test_a_guard_replaces_a_guard():
    async with IproSimulator(max_uids=2, live_user="guard", live_password="tulip", gaps=CALM) as device:
        recorder = Recorder(device)
        admin, guard, other = await recorder.login(), await recorder.login(GUARD), await recorder.login(GUARD)
        assert [await alive(recorder, uid) for uid in (admin, guard, other)] == [True, False, True]


async def test_others_can_hold_uids_and_do_not_let_them_expire(recorder):
    await recorder.fault(kind="fill-uids", number=15)
    await recorder.fault(kind="pass-time", seconds=1000)
    assert await used(recorder) == (15, 16)
    mine = await recorder.login()
    assert await used(recorder) == (16, 16)
    await recorder.fault(kind="fill-uids", number=3)
    assert await used(recorder) == (4, 16)
    await recorder.fault(kind="clear")
    assert await used(recorder) == (1, 16)
    assert await alive(recorder, mine)
    assert recorder.notes == []


async def test_logging_in_to_a_full_recorder_hurts_somebody_and_is_noted(recorder):
    await recorder.fault(kind="fill-uids", number=16)
    await recorder.login()
    assert [session["who"] for session in recorder.device.sessions()].count("somebody else") == 15
    assert recorder.notes == ["evicted"]
    assert "somebody else's" in recorder.device.notes[0].detail


async def test_others_can_end_our_uid(recorder):
    uid = await recorder.live()
    watching = asyncio.create_task(recorder.ask(f"push.cgi?UID={uid}&CAM=1&CMD=START&COMP=H264&INTERNETMODE=ON"))
    await eventually(lambda: recorder.session(uid)["live"])
    await recorder.fault(kind="fill-uids", number=16)
    assert (await watching).status_code == 200
    assert not await alive(recorder, uid)
    assert recorder.notes == ["evicted", "dead_uid"]


async def test_others_of_low_priority_give_way_and_of_high_priority_refuse(recorder):
    uid = await recorder.login()
    await recorder.fault(kind="fill-uids", number=16, mode="low")
    assert await alive(recorder, uid)
    await recorder.fault(kind="fill-uids", number=0)
    await recorder.fault(kind="fill-uids", number=16, mode="high")
    assert not await alive(recorder, uid)
    assert (await recorder.ask("dlogin.cgi?UID=-1", auth=ADMIN)).status_code == 503


async def test_uids_can_be_lost(recorder):
    uid = await recorder.login()
    await recorder.fault(kind="fill-uids", number=5)
    await recorder.fault(kind="lose-uids")
    assert await used(recorder) == (0, 16)
    assert not await alive(recorder, uid)
    assert (recorder.violations, recorder.notes) == ([], ["dead_uid"])


async def test_a_reboot_loses_uids_and_keeps_the_rest(recorder):
    uid = await recorder.login()
    await recorder.ask(f"camctl.cgi?UID={uid}&CH=1&CMD=CENTERING&CTRL=START&X=0&Y=16&PC=AS60")
    await recorder.ask(f"camctl.cgi?UID={uid}&CH=1&CMD=PRESETPRG&NO=9&PC=AS60")
    await recorder.fault(kind="reboot", seconds=0.2)
    away = 0
    while True:
        try:
            if not await alive(recorder, uid):
                break
        except httpx.TransportError:
            away += 1
        await asyncio.sleep(0.02)
    assert away
    assert (recorder.camera(1)["pan"], recorder.camera(1)["presets"]) == (30.0, [9])


@pytest.mark.parametrize(
    "details",
    [
        {"kind": "fill-uids", "number": 17},
        {"kind": "fill-uids", "number": -1},
        {"kind": "fill-uids", "number": 1, "mode": "royal"},
        {"kind": "camera", "number": 17, "mode": "lost"},
        {"kind": "camera", "number": 1, "mode": "painted"},
        {"kind": "event", "number": 0},
        {"kind": "new-certificate"},
        {"kind": "card"},
        {"kind": "stop-frames", "number": 17},
        {"kind": "codec", "number": 1, "mode": "MPEG4"},
        {"kind": "erase", "mode": "2026-11-20T12:05:00Z/2026-11-20T12:00:00Z"},
        {"kind": "erase", "mode": "yesterday"},
        {"kind": "erase", "mode": "2026-11-20T12:00:00/2026-11-20T12:05:00"},
        {"kind": "erase", "number": 17, "mode": "2026-11-20T12:00:00Z/2026-11-20T12:05:00Z"},
        {"kind": "spoil-gops", "mode": "stolen"},
        {"kind": "size", "number": 1, "mode": "641x360"},
    ],
)
async def test_an_impossible_fault_is_refused(recorder, details):
    reply = await recorder.fault(**details)
    assert reply.status_code == 400
    assert reply.json()["error"]
