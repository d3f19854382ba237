"""The document's own sequences and examples, asked of the simulated recorder, and what it refuses."""

import asyncio
import re

import httpx
import pytest

from simulators.ipro import IproSimulator
from simulators.ipro.device import Gaps
from tests.simulators.helpers import eventually, raw
from tests.simulators.recorder import ADMIN, CALM, Recorder


async def test_live_over_rtp_as_in_2_1_1(recorder):
    uid = await recorder.login()
    for target in (
        f"hdrctl.cgi?UID={uid}&SCREEN=16X&PC=AS60",
        f"push.cgi?UID={uid}&CAM=1&CMD=START&COMP=H264&PORT=40000",
        f"push.cgi?UID={uid}&CAM=1&CMD=START&COMP=AUDIO&PORT=40002",
        f"push.cgi?UID={uid}&CAM=2&CMD=START&COMP=H265&PORT=40004",
        f"status.cgi?UID={uid}&PC=AS60",
    ):
        reply = await recorder.ask(target)
        assert (reply.status_code, reply.content) == (200, b"")
    session = recorder.session(uid)
    assert session["live"] == [
        {"camera": 1, "compression": "H264", "port": 40000},
        {"camera": 2, "compression": "H265", "port": 40004},
    ]
    assert session["audio"] == [{"camera": 1, "compression": "AUDIO", "port": 40002}]
    for target in (
        f"push.cgi?UID={uid}&CAM=1&CMD=STOP&COMP=AUDIO&PORT=40002",
        f"push.cgi?UID={uid}&CAM=1&CMD=STOP&COMP=H264&PORT=40000",
        f"push.cgi?UID={uid}&CAM=2&CMD=STOP&COMP=H265&PORT=40004",
    ):
        assert await recorder.says(target) == 200
    assert recorder.session(uid)["live"] == recorder.session(uid)["audio"] == []
    assert await recorder.says(f"logout.cgi?UID={uid}") == 200
    assert recorder.session(uid) is None
    assert (recorder.violations, recorder.notes) == ([], [])


@pytest.mark.parametrize("ending", ["", "&INTERNETMODE=ON"], ids=["as in the sequence", "as in the table"])
@pytest.mark.parametrize("compression", ["H264", "H265", "JPEG"])
async def test_live_over_http_as_in_2_2_1(recorder, compression, ending):
    uid = await recorder.live()
    start = f"push.cgi?UID={uid}&CAM=1&CMD=START&COMP={compression}&INTERNETMODE=ON"
    watching = asyncio.create_task(recorder.ask(start))
    await eventually(lambda: recorder.session(uid)["live"])
    assert not watching.done()
    assert await recorder.says(f"push.cgi?UID={uid}&CAM=1&CMD=STOP&COMP={compression}{ending}") == 200
    reply = await watching
    assert reply.headers["content-type"] == "multipart/x-mixed-replace; boundary=--myboundary"
    assert (recorder.violations, recorder.notes) == ([], [])


async def test_audio_ends_with_its_video(recorder):
    uid = await recorder.live()
    await recorder.ask(f"push.cgi?UID={uid}&CAM=1&CMD=START&COMP=H264&PORT=40000")
    listening = asyncio.create_task(recorder.ask(f"push.cgi?UID={uid}&CAM=1&CMD=START&COMP=AUDIO&INTERNETMODE=ON"))
    await eventually(lambda: recorder.session(uid)["audio"])
    await recorder.ask(f"push.cgi?UID={uid}&CAM=1&CMD=STOP&COMP=H264&PORT=40000")
    assert (await listening).status_code == 200
    assert recorder.session(uid)["audio"] == []


PLAYBACK = [
    # 3.1.2 to 3.1.7, as the examples have them
    "PLAYCMD=BPLAY&2ND=OFF&TIMEF=22120108300000&NOTIME=ON",
    "PLAYCMD=PAUSE&2ND=OFF&TIMEF=22120108301000&SMOOTH=OFF&NOTIME=ON",
    "PLAYCMD=NEXTFRAME&2ND=OFF&TIMEF=22111412000020&NOTIME=ON",
    "PLAYCMD=PREVFRAME&2ND=OFF&TIMEF=22111412000041&NOTIME=ON",
    "PLAYCMD=GOTODATE&2ND=OFF&TIMEF=22120109201500&SDBACKUP=0&NOTIME=ON",
    "PLAYCMD=FF&2ND=OFF&TIMEF=22120110300000&SMOOTH=OFF&NOTIME=ON",
    "PLAYCMD=REW&2ND=OFF&TIMEF=35123123595900&SMOOTH=OFF&NOTIME=ON",
    "PLAYCMD=STOP&2ND=OFF&TIMEF=22120111231400",
]


async def test_playback_as_in_3_1(recorder):
    uid = await recorder.playing()
    for command in PLAYBACK[:-1]:
        assert await recorder.says(f"hdrctl.cgi?UID={uid}&PC=AS60&{command}") == 200
        playback = recorder.session(uid)["playback"]
        assert (playback["cameras"], playback["command"]) == ([1, 2], re.match(r"PLAYCMD=(\w+)", command)[1])
    assert playback["at"] == "2035-12-31T23:59:59+00:00"
    for path in ("camera", "playaudio"):
        assert await recorder.says(f"{path}.cgi?UID={uid}&CAM=2") == 200
    assert await recorder.says(f"hdrctl.cgi?UID={uid}&PC=AS60&{PLAYBACK[-1]}") == 200
    assert recorder.session(uid)["playback"] is None
    assert await recorder.says(f"push.cgi?UID={uid}&CAM=1&CMD=START&COMP=H264&PORT=40000") == 200  # 3.1.7
    assert (recorder.violations, recorder.notes) == ([], [])


async def test_hundredths_of_a_second_are_kept(recorder):
    uid = await recorder.playing()
    await recorder.ask(f"hdrctl.cgi?UID={uid}&PC=AS60&{PLAYBACK[1]}")
    await recorder.ask(f"hdrctl.cgi?UID={uid}&PC=AS60&{PLAYBACK[2]}")
    assert recorder.session(uid)["playback"]["at"] == "2022-11-14T12:00:00.200000+00:00"


async def test_a_playback_may_begin_at_a_time(recorder):
    uid = await recorder.login()
    await recorder.ask(f"hdrctl.cgi?UID={uid}&PC=AS60&MASK=0100000000000000")
    assert await recorder.says(f"hdrctl.cgi?UID={uid}&PC=AS60&{PLAYBACK[4]}") == 200
    assert recorder.session(uid)["playback"]["cameras"] == [2]
    assert recorder.violations == []


async def test_fast_again_is_faster_up_to_the_eighth_step(recorder):
    uid = await recorder.playing()
    speeds = []
    for command in [PLAYBACK[5]] * 9 + [PLAYBACK[6]]:
        await recorder.ask(f"hdrctl.cgi?UID={uid}&PC=AS60&{command}")
        speeds.append(recorder.session(uid)["playback"]["speed"])
    assert speeds == [1, 2, 3, 4, 5, 6, 7, 8, 8, 1]


async def test_a_download_of_a_time_without_recordings(recorder):
    uid = await recorder.login()
    query = f"UID={uid}&STARTTIME=231115000000&ENDTIME=231115010000&KIND=MP4VO&CAM=1&PC=AS60"
    reply = await recorder.ask(f"httpdl.cgi?{query}")
    assert reply.headers["content-type"] == "multipart/form-data; boundary=--myboundary"
    assert reply.text.startswith("--myboundary\r\n")
    assert 'X-Prev-Filename: filename = ""\r\nX-RecData-Satus: 1\r\n' in reply.text
    assert (recorder.violations, recorder.notes) == ([], ["nothing_recorded"])


async def test_the_login_page_is_the_documents(recorder):
    reply = await recorder.ask("dlogin.cgi?UID=-1", auth=ADMIN)
    assert reply.headers["content-type"] == "text/html"
    assert (reply.headers["cache-control"], reply.headers["connection"]) == ("no-cache", "Keep-Alive")
    assert "<title>Network Disk Recorder WJ-NX400</title>\r\n" in reply.text
    uid = re.search(r'this\.location\.href = "\./hdrctl\.cgi\?UID=(\d{19})&HTML=camindex\.html"', reply.text)[1]
    assert recorder.session(uid)["who"] == "ADMIN"


@pytest.mark.parametrize("digits", [1, 5, 19])
async def test_a_uid_has_as_many_digits_as_the_model_wants(digits):
    async with IproSimulator(uid_digits=digits, gaps=CALM) as device:
        assert len(await Recorder(device).login()) == digits


UID_COMMANDS = [
    "hdrctl.cgi?UID={}&SCREEN=16X&PC=AS60",
    "hdrctl.cgi?UID={}&PC=AS60&MASK=0100000000000000",
    "push.cgi?UID={}&CAM=1&CMD=START&COMP=H264&PORT=40000",
    "camera.cgi?UID={}&CAM=2",
    "playaudio.cgi?UID={}&CAM=2",
    "directctrl.cgi?UID={}&CH=1&PAN=15&TILT=0&ZOOM=0&PC=AS60",
    "camctl.cgi?UID={}&CH=1&CMD=PRESET&NO=1&PC=AS60",
    "loglist.cgi?UID={}&KIND=ERR&HTML=as_errorlog.html",
    "logout.cgi?UID={}",
    "status.cgi?UID={}&PC=AS60",
    "httpdl.cgi?UID={}&STARTTIME=231115000000&ENDTIME=231115010000&KIND=MP4&CAM=1&PC=AS60",
    *(f"hdrctl.cgi?UID={{}}&PC=AS60&{command}" for command in PLAYBACK),
]


@pytest.mark.parametrize("target", UID_COMMANDS)
async def test_a_command_without_its_uid_is_asked_to_log_in(recorder, target):
    reply = await recorder.ask(re.sub(r"UID=\{\}&?", "", target).removesuffix("?"))
    assert (reply.status_code, recorder.violations) == (401, ["missing_uid"])
    assert 'realm="Network disk recorder"' in reply.headers["www-authenticate"]


@pytest.mark.parametrize("target", UID_COMMANDS)
async def test_a_uid_nobody_issued_is_a_violation(recorder, target):
    reply = await recorder.ask(target.format("7888"))
    assert (reply.status_code, recorder.violations) == (401, ["uid"])
    assert reply.headers["www-authenticate"].startswith("Digest ")


NEEDS_NO_UID = ["dlogin.cgi?UID=-1", "as_getinfo.cgi?FILE=2", "recordedtime.cgi"]


@pytest.mark.parametrize("target", NEEDS_NO_UID)
async def test_what_carries_no_uid_wants_credentials(recorder, target):
    assert await recorder.says(target) == 401
    assert (await recorder.ask(target, auth=httpx.DigestAuth("ADMIN", "wrong"))).status_code == 401
    assert (await recorder.ask(target, auth=ADMIN)).status_code == 200
    assert (recorder.violations, recorder.notes) == ([], ["login_failed"])


@pytest.mark.parametrize("target", NEEDS_NO_UID)
async def test_without_user_authentication_nothing_is_asked(target):
    async with IproSimulator(user_auth=False, gaps=CALM) as device:
        assert await Recorder(device).says(target) == 200


@pytest.mark.parametrize("target", [*NEEDS_NO_UID, *(command.format("1") for command in UID_COMMANDS)])
@pytest.mark.parametrize("method", ["POST", "HEAD"])
async def test_every_command_is_a_get(recorder, target, method):
    reply = await recorder.ask(target, method, auth=ADMIN)
    assert (reply.status_code, reply.headers["allow"], recorder.violations) == (405, "GET", ["method"])


LIVE_REFUSALS = [
    # what to send after a live set-up; kind, status
    ("hdrctl.cgi?UID={}&SCREEN=1X&PC=AS60", "value", 400),
    ("hdrctl.cgi?UID={}&SCREEN=16X&PC=AS61", "value", 400),
    ("hdrctl.cgi?UID={}&PC=AS60&SCREEN=16X", "order", 400),
    ("hdrctl.cgi?UID={}&SCREEN=16X", "missing_parameter", 400),
    ("hdrctl.cgi?UID={}&HTML=camindex.html", "unknown_parameter", 400),
    ("hdrctl.cgi?UID={}&&SCREEN=16X&PC=AS60", "malformed", 400),
    ("hdrctl.cgi?UID={}&SCREEN=16X&PC=AS60&", "malformed", 400),
    ("hdrctl.cgi?UID={}&SCREEN%20=16X&PC=AS60", "unknown_parameter", 400),
    ("hdrctl.cgi?UID={}&SCREEN=%2016X&PC=AS60", "value", 400),
    ("hdrctl.cgi?UID={}&SCREEN=16X&PC=AS%36%30", "encoding", 400),
    ("hdrctl.cgi?UID={}&screen=16X&PC=AS60", "unknown_parameter", 400),
    ("hdrctl.cgi?UID={}&SCREEN=16X&SCREEN=16X&PC=AS60", "duplicate_parameter", 400),
    ("push.cgi?UID={}&CAM=0&CMD=START&COMP=H264&PORT=40000", "value", 400),
    ("push.cgi?UID={}&CAM=17&CMD=START&COMP=H264&PORT=40000", "value", 400),
    ("push.cgi?UID={}&CAM=01&CMD=START&COMP=H264&PORT=40000", "value", 400),
    ("push.cgi?UID={}&CAM=9&CMD=START&COMP=H264&PORT=40000", "camera", 400),
    ("push.cgi?UID={}&CAM=1&CMD=PAUSE&COMP=H264&PORT=40000", "value", 400),
    ("push.cgi?UID={}&CAM=1&CMD=START&COMP=JPEG&PORT=40000", "value", 400),
    ("push.cgi?UID={}&CAM=1&CMD=START&COMP=h264&PORT=40000", "value", 400),
    ("push.cgi?UID={}&CAM=1&CMD=START&COMP=H264&PORT=80", "value", 400),
    ("push.cgi?UID={}&CAM=1&CMD=START&COMP=H264&PORT=65536", "value", 400),
    ("push.cgi?UID={}&CAM=1&CMD=START&COMP=H264&INTERNETMODE=0N", "value", 400),
    ("push.cgi?UID={}&CAM=1&CMD=START&COMP=H264&PORT=40000&INTERNETMODE=ON", "unknown_parameter", 400),
    ("push.cgi?UID={}&CAM=1&CMD=START&COMP=H264", "missing_parameter", 400),
    ("push.cgi?UID={}&CMD=START&CAM=1&COMP=H264&PORT=40000", "order", 400),
    ("push.cgi?UID={}&CAM=1&CMD=START&COMP=H264&PORT=40000&PC=AS60", "unknown_parameter", 400),
    ("push.cgi?UID={}&CAM=1&CMD=START&COMP=AUDIO&PORT=40000", "sequence", 503),
    ("status.cgi?UID={}", "missing_parameter", 400),
    ("status.cgi?UID=0x1&PC=AS60", "value", 400),
    ("status.cgi?UID=-1&PC=AS60", "value", 400),
    ("status.cgi?PC=AS60&UID={}", "order", 400),
    ("logout.cgi?UID={}&PC=AS60", "unknown_parameter", 400),
    ("camera.cgi?UID={}&CAM=2", "sequence", 503),
    ("hdrctl.cgi?UID={}&PC=AS60&" + PLAYBACK[4], "sequence", 503),
    ("hdrctl.cgi?UID={}&PC=AS60&MASK=01000000", "value", 400),
    ("hdrctl.cgi?UID={}&PC=AS60&MASK=0000000000000000", "value", 400),
    ("hdrctl.cgi?UID={}&PC=AS60&MASK=0000000020000000", "value", 400),
    ("hdrctl.cgi?UID={}&PC=AS60&MASK=0000000010000000", "camera", 400),
    ("loglist.cgi?UID={}&KIND=ACCESS&HTML=as_errorlog.html", "value", 400),
    ("loglist.cgi?UID={}&KIND=ERR&HTML=as_eventlog.html", "value", 400),
    ("loglist.cgi?UID={}&KIND=ERR", "missing_parameter", 400),
    ("httpdl.cgi?UID={}&STARTTIME=231115000000&ENDTIME=231115010001&KIND=MP4&CAM=1&PC=AS60", "value", 400),
    ("httpdl.cgi?UID={}&STARTTIME=231115000000&ENDTIME=231114235900&KIND=MP4&CAM=1&PC=AS60", "value", 400),
    ("httpdl.cgi?UID={}&STARTTIME=231115000030&ENDTIME=231115000100&KIND=MP4&CAM=1&PC=AS60", "value", 400),
    ("httpdl.cgi?UID={}&STARTTIME=211115000000&ENDTIME=211115010000&KIND=MP4&CAM=1&PC=AS60", "value", 400),
    ("httpdl.cgi?UID={}&STARTTIME=231115000000&ENDTIME=231115010000&KIND=MP5&CAM=1&PC=AS60", "value", 400),
    ("httpdl.cgi?UID={}&STARTTIME=231115000000&ENDTIME=231115010000&KIND=MP4&CAM=9&PC=AS60", "camera", 400),
    ("reboot.cgi?UID={}", "unknown_command", 404),
]


@pytest.mark.parametrize(("target", "kind", "status"), LIVE_REFUSALS)
async def test_what_the_document_does_not_allow_is_refused(recorder, target, kind, status):
    uid = await recorder.live()
    assert await recorder.says(target.format(uid)) == status
    assert recorder.violations == [kind]
    assert recorder.session(uid)["live"] == []


PLAYBACK_REFUSALS = [
    ("PLAYCMD=PLAY&2ND=5OFF&TIMEF=AS60_UNKNOWN&NOTIME=ON", "value", 400),
    ("PLAYCMD=PLAY&2ND=OFF&TIMEF=AS60_UNKNOWN&NOTIME=0N", "value", 400),
    ("PLAYCMD=PLAY&2ND=OFF&TIMEF=22120108300000&NOTIME=ON", "value", 400),
    ("PLAYCMD=PLAY&&2ND=OFF&TIMEF=AS60_UNKNOWN&NOTIME=ON", "malformed", 400),
    ("PLAYCMD=SLOW&2ND=OFF&TIMEF=22120108300000&NOTIME=ON", "value", 400),
    ("PLAYCMD%20=%20BPLAY&2ND=OFF&TIMEF=22120108300000&NOTIME=ON", "unknown_parameter", 400),
    ("PLAYCMD=BPLAY&2ND=OFF&TIMEF=22120108300020&NOTIME=ON", "value", 400),
    ("PLAYCMD=BPLAY&2ND=OFF&TIMEF=21120108300000&NOTIME=ON", "value", 400),
    ("PLAYCMD=BPLAY&2ND=OFF&TIMEF=36010108300000&NOTIME=ON", "value", 400),
    ("PLAYCMD=BPLAY&2ND=OFF&TIMEF=23022908300000&NOTIME=ON", "value", 400),
    ("PLAYCMD=BPLAY&2ND=OFF&TIMEF=22120124000000&NOTIME=ON", "value", 400),
    ("PLAYCMD=BPLAY&2ND=OFF&TIMEF=AS60_UNKNOWN&NOTIME=ON", "value", 400),
    ("PLAYCMD=BPLAY&2ND=OFF&TIMEF=22120108300000", "missing_parameter", 400),
    ("PLAYCMD=BPLAY&2ND=OFF&TIMEF=22120108300000&SMOOTH=OFF&NOTIME=ON", "unknown_parameter", 400),
    ("PLAYCMD=PAUSE&2ND=OFF&TIMEF=22120108301000&NOTIME=ON", "missing_parameter", 400),
    ("PLAYCMD=PAUSE&2ND=OFF&TIMEF=22120108301000&SMOOTH=ON&NOTIME=ON", "value", 400),
    ("PLAYCMD=PAUSE&2ND=OFF&TIMEF=22120108301000&NOTIME=ON&SMOOTH=OFF", "order", 400),
    ("PLAYCMD=GOTODATE&2ND=OFF&TIMEF=22120109201500&SDBACKUP=1&NOTIME=ON", "value", 400),
    ("PLAYCMD=GOTODATE&2ND=OFF&TIMEF=22120109201500&NOTIME=ON", "missing_parameter", 400),
    ("PLAYCMD=STOP&2ND=OFF&TIMEF=22120111231400&NOTIME=ON", "unknown_parameter", 400),
    ("PLAYCMD=NEXTFRAME&2ND=OFF&TIMEF=22111412000020&NOTIME=ON", "sequence", 503),
    ("SCREEN=16X", "order", 400),
]


@pytest.mark.parametrize(("command", "kind", "status"), PLAYBACK_REFUSALS)
async def test_a_wrong_playback_command_changes_nothing(recorder, command, kind, status):
    uid = await recorder.playing()
    before = recorder.session(uid)["playback"]
    assert await recorder.says(f"hdrctl.cgi?UID={uid}&PC=AS60&{command}") == status
    assert recorder.violations == [kind]
    assert recorder.session(uid)["playback"] == before


@pytest.mark.parametrize("command", [*PLAYBACK[:4], *PLAYBACK[5:7]])
async def test_a_playback_has_to_begin_first(recorder, command):
    uid = await recorder.login()
    await recorder.ask(f"hdrctl.cgi?UID={uid}&PC=AS60&MASK=0100000000000000")
    assert await recorder.says(f"hdrctl.cgi?UID={uid}&PC=AS60&{command}") == 503
    assert recorder.violations == ["sequence"]


async def test_a_camera_that_is_not_masked_is_not_played(recorder):
    uid = await recorder.playing()
    assert await recorder.says(f"camera.cgi?UID={uid}&CAM=3") == 503
    assert recorder.violations == ["sequence"]


async def test_live_and_playback_do_not_share_a_uid(recorder):
    playing = await recorder.playing()
    live = await recorder.live()
    assert await recorder.says(f"hdrctl.cgi?UID={playing}&SCREEN=16X&PC=AS60") == 503
    assert await recorder.says(f"push.cgi?UID={playing}&CAM=1&CMD=START&COMP=H264&PORT=40000") == 503
    await recorder.ask(f"push.cgi?UID={live}&CAM=1&CMD=START&COMP=H264&PORT=40000")
    assert await recorder.says(f"hdrctl.cgi?UID={live}&PC=AS60&MASK=0100000000000000") == 503
    assert recorder.violations == ["sequence"] * 3
    assert recorder.session(live)["playback"] is None


async def test_a_live_start_wants_its_set_up(recorder):
    uid = await recorder.login()
    assert await recorder.says(f"push.cgi?UID={uid}&CAM=1&CMD=START&COMP=H264&PORT=40000") == 503
    assert recorder.violations == ["sequence"]


async def test_the_same_camera_twice_wants_another_uid(recorder):
    first, second = await recorder.live(), await recorder.live()
    start = "push.cgi?UID={}&CAM=1&CMD=START&COMP=H264&PORT={}"
    assert await recorder.says(start.format(first, 40000)) == 200
    assert await recorder.says(start.format(first, 40002)) == 503
    assert recorder.violations == ["same_camera"]
    assert await recorder.says(start.format(second, 40002)) == 200


async def test_a_uid_carries_sixteen_cameras_and_their_audio():
    async with IproSimulator(cameras=17, gaps=CALM) as device:
        recorder = Recorder(device)
        uid = await recorder.live()
        for camera in range(1, 17):
            for compression in ("H264", "AUDIO"):
                target = f"push.cgi?UID={uid}&CAM={camera}&CMD=START&COMP={compression}&PORT={40000 + camera}"
                assert await recorder.says(target) == 200
        assert await recorder.says(f"push.cgi?UID={uid}&CAM=17&CMD=START&COMP=H264&PORT=40100") == 503
        assert recorder.violations == ["too_many_streams"]
        uid = await recorder.login()
        assert await recorder.says(f"hdrctl.cgi?UID={uid}&PC=AS60&MASK={'1' * 17 + '0' * 15}") == 400


@pytest.mark.parametrize(
    "stop",
    ["COMP=H265&PORT=40000", "COMP=H264&PORT=40002", "COMP=H264", "COMP=H264&INTERNETMODE=ON"],
)
async def test_a_stop_has_to_match_its_start(recorder, stop):
    uid = await recorder.live()
    await recorder.ask(f"push.cgi?UID={uid}&CAM=1&CMD=START&COMP=H264&PORT=40000")
    assert await recorder.says(f"push.cgi?UID={uid}&CAM=1&CMD=STOP&{stop}") == 400
    assert recorder.violations == ["mismatch"]
    assert recorder.session(uid)["live"]


async def test_a_stop_that_finds_nothing_is_noted(recorder):
    uid = await recorder.live()
    assert await recorder.says(f"push.cgi?UID={uid}&CAM=1&CMD=STOP&COMP=H264&PORT=40000") == 200
    assert await recorder.says(f"hdrctl.cgi?UID={uid}&PC=AS60&{PLAYBACK[-1]}") == 200
    assert (recorder.violations, recorder.notes) == ([], ["nothing_to_stop"] * 2)


async def test_too_many_starts_and_stops_are_answered_204(recorder):
    uid = await recorder.live()
    commands = [f"push.cgi?UID={uid}&CAM=1&CMD={command}&COMP=H264&PORT=40000" for command in ("START", "STOP")]
    assert [await recorder.says(target) for target in commands * 4] == [200] * 8
    assert await recorder.says(commands[0]) == 204
    assert await recorder.says(commands[0].replace("CAM=1", "CAM=2")) == 200
    await recorder.fault(kind="pass-time", seconds=11)
    assert await recorder.says(commands[0]) == 200
    assert (recorder.violations, recorder.notes) == ([], ["too_many"])


async def test_a_logout_in_the_middle_of_a_stream_ends_it_and_is_noted(recorder):
    uid = await recorder.live()
    watching = asyncio.create_task(recorder.ask(f"push.cgi?UID={uid}&CAM=1&CMD=START&COMP=H264&INTERNETMODE=ON"))
    await eventually(lambda: recorder.session(uid)["live"])
    assert await recorder.says(f"logout.cgi?UID={uid}") == 200
    assert (await watching).status_code == 200
    assert recorder.notes == ["logout_while_busy"]


async def test_raw_spaces_in_a_query_are_not_http(recorder):
    request = b"GET /cgi-bin/hdrctl.cgi?UID=1&PC=AS60&PLAYCMD = BPLAY HTTP/1.1\r\nHost: x\r\n\r\n"
    assert (await raw(recorder.device, request)).startswith(b"HTTP/1.1 400 ")
    assert recorder.violations == ["malformed"]


async def test_a_connection_serves_many_commands(recorder):
    uid = await recorder.login()
    keep = f"GET /cgi-bin/status.cgi?UID={uid}&PC=AS60 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    end = keep.replace(b"Host: x", b"Host: x\r\nConnection: close")
    answers = await raw(recorder.device, keep * 2 + end)
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert (answers.count(b"Connection: Keep-Alive"), answers.count(b"Connection: close")) == (2, 1)


async def test_general_commands_want_three_seconds_between_them():
    async with IproSimulator(gaps=Gaps(general=60, camera=60)) as device:
        recorder = Recorder(device)

        def hurried() -> list[str]:
            return [kind for kind in recorder.notes if kind.startswith("pacing")]

        uid = await recorder.playing()
        await recorder.ask("as_getinfo.cgi?FILE=2", auth=ADMIN)
        for target in (
            f"status.cgi?UID={uid}&PC=AS60",
            f"camera.cgi?UID={uid}&CAM=1",
            f"playaudio.cgi?UID={uid}&CAM=1",
        ):
            await recorder.ask(target)
        assert recorder.notes == []
        await recorder.ask("recordedtime.cgi", auth=ADMIN)
        await recorder.ask(f"hdrctl.cgi?UID={uid}&PC=AS60&{PLAYBACK[1]}")
        await recorder.ask(f"hdrctl.cgi?UID={uid}&PC=AS60&{PLAYBACK[2]}")
        assert hurried() == ["pacing-general"] * 2
        await recorder.ask(f"hdrctl.cgi?UID={uid}&PC=AS60&{PLAYBACK[3]}")
        assert hurried()[2:] == ["pacing-step"]
        await recorder.ask(f"directctrl.cgi?UID={uid}&CH=1&PAN=0&PC=AS60")
        await recorder.ask(f"camctl.cgi?UID={uid}&CH=1&CMD=AUX1&CTRL=OPEN&PC=AS60")
        assert hurried()[3:] == ["pacing-camera"]
        await recorder.ask(f"hdrctl.cgi?UID={uid}&PC=AS60&{PLAYBACK[4]}")  # a jump in a running playback
        assert hurried()[4:] == ["pacing-general"]
        assert recorder.violations == []


async def test_a_patient_client_is_not_noted():
    async with IproSimulator(gaps=Gaps(general=0.2, camera=0.05)) as device:
        recorder = Recorder(device)
        uid = await recorder.live()
        for _ in range(2):
            await recorder.ask("as_getinfo.cgi?FILE=2", auth=ADMIN)
            for _ in range(3):
                await recorder.ask(f"directctrl.cgi?UID={uid}&CH=1&PAN=0&PC=AS60")
                await asyncio.sleep(0.08)
        assert recorder.notes == []


async def test_free_commands_come_one_at_a_time(recorder):
    uid = await recorder.live()
    await recorder.fault(kind="slow", seconds=0.3)
    await asyncio.gather(*(recorder.ask(f"status.cgi?UID={uid}&PC=AS60") for _ in range(2)))
    assert (recorder.violations, recorder.notes) == ([], ["overlap"])
