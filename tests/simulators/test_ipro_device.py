"""What the simulated recorder steers, keeps and tells of itself, and its certificate."""

import asyncio
import contextlib
import csv
import io
import re
import ssl
from datetime import datetime

import httpx
import pytest

from simulators.fleet import FleetError, make_device
from simulators.ipro import IproSimulator
from simulators.ipro.records import Disks, Zone
from tests.simulators.helpers import raw
from tests.simulators.recorder import ADMIN, CALM, Recorder

# Camera control


async def test_ptz_as_in_4_1_1(recorder):
    uid = await recorder.login()
    for pan, tilt, zoom in ((15, 0, 0), (15, 1, 2), (15, 2, 2), (15, 1, 0), (0, 0, 0)):
        query = f"UID={uid}&CH=1&PAN={pan}&TILT={tilt}&ZOOM={zoom}&PC=AS60"
        reply = await recorder.ask(f"directctrl.cgi?{query}")
        assert (reply.status_code, reply.content) == (200, b"")
    assert (recorder.violations, recorder.notes) == ([], [])


@pytest.mark.parametrize(
    ("speeds", "moved"),
    [
        ("PAN=16&TILT=0&ZOOM=0", (60, 0, 1)),
        ("PAN=-8&TILT=0&ZOOM=0", (-30, 0, 1)),
        ("PAN=0&TILT=16&ZOOM=0", (0, 40, 1)),  # down
        ("PAN=0&TILT=-4&ZOOM=0", (0, -10, 1)),
        ("PAN=0&TILT=0&ZOOM=4", (0, 0, 9)),
        ("PAN=4", (15, 0, 1)),
        ("TILT=8&ZOOM=2", (0, 20, 5)),
    ],
)
async def test_a_camera_moves_until_it_is_stopped(recorder, speeds, moved):
    uid = await recorder.login()
    await recorder.ask(f"directctrl.cgi?UID={uid}&CH=3&{speeds}&PC=AS60")
    assert recorder.camera(3)["moving"]
    await recorder.fault(kind="pass-time", seconds=1)
    await recorder.ask(f"directctrl.cgi?UID={uid}&CH=3&PAN=0&TILT=0&ZOOM=0&PC=AS60")
    rest = recorder.camera(3)
    assert not rest["moving"]
    assert (rest["pan"], rest["tilt"], rest["zoom"]) == pytest.approx(moved, abs=5)
    assert recorder.camera(1)["pan"] == 0
    assert (recorder.violations, recorder.notes) == ([], [])


async def test_a_movement_nobody_stops_ends_after_two_seconds_and_is_noted(recorder):
    uid = await recorder.login()
    await recorder.ask(f"directctrl.cgi?UID={uid}&CH=1&PAN=4&TILT=0&ZOOM=0&PC=AS60")
    await recorder.fault(kind="pass-time", seconds=30)
    await recorder.ask("/_sim/state")
    assert not recorder.camera(1)["moving"]
    assert recorder.camera(1)["pan"] == 30.0
    assert recorder.notes == ["ran_out"]


async def test_a_movement_repeated_each_second_goes_on(recorder):
    uid = await recorder.login()
    for _ in range(4):
        await recorder.ask(f"directctrl.cgi?UID={uid}&CH=1&PAN=4&TILT=0&ZOOM=0&PC=AS60")
        await recorder.fault(kind="pass-time", seconds=1)
    assert recorder.camera(1)["moving"]
    assert recorder.camera(1)["pan"] == pytest.approx(60, abs=5)
    assert recorder.notes == []


async def test_an_axis_left_out_goes_on(recorder):
    uid = await recorder.login()
    await recorder.ask(f"directctrl.cgi?UID={uid}&CH=1&PAN=4&PC=AS60")
    await recorder.ask(f"directctrl.cgi?UID={uid}&CH=1&ZOOM=0&PC=AS60")
    assert recorder.camera(1)["moving"]
    await recorder.ask(f"directctrl.cgi?UID={uid}&CH=1&PAN=0&PC=AS60")
    assert not recorder.camera(1)["moving"]


async def test_a_camera_does_not_turn_further_than_it_can(recorder):
    uid = await recorder.login()
    for _ in range(8):
        await recorder.ask(f"directctrl.cgi?UID={uid}&CH=1&PAN=16&TILT=-16&ZOOM=-4&PC=AS60")
        await recorder.fault(kind="pass-time", seconds=1)
    here = recorder.camera(1)
    assert (here["pan"], here["tilt"], here["zoom"]) == (175.0, -30.0, 1.0)


@pytest.mark.parametrize(
    ("x", "y", "pan", "tilt"), [(16, 16, 0, 0), (32, 32, -30, -17), (0, 0, 30, 17), (8, 16, 15, 0)]
)
async def test_centering_counts_from_the_lower_right(recorder, x, y, pan, tilt):
    uid = await recorder.login()
    query = f"UID={uid}&CH=1&CMD=CENTERING&CTRL=START&X={x}&Y={y}&PC=AS60"
    assert await recorder.says(f"camctl.cgi?{query}") == 200
    assert (recorder.camera(1)["pan"], recorder.camera(1)["tilt"]) == (pan, tilt)


async def test_focus_iris_and_aux(recorder):
    uid = await recorder.login()

    async def send(command: str) -> dict:
        assert await recorder.says(f"camctl.cgi?UID={uid}&CH=1&{command}&PC=AS60") == 200
        return recorder.camera(1)

    assert (await send("CMD=FOCUS&CTRL=FAR&CTRL=START"))["focus"] == 1
    assert (await send("CMD=FOCUS&CTRL=AUTO&CTRL=START"))["focus"] == 0
    assert (await send("CMD=FOCUS&CTRL=NEAR&CTRL=START"))["focus"] == -1
    assert (await send("CMD=IRIS&CTRL=OPEN&CTRL=START"))["iris"] == 1
    assert (await send("CMD=IRIS&CTRL=RESET&CTRL=START"))["iris"] == 0
    assert (await send("CMD=IRIS&CTRL=CLOSE&CTRL=START"))["iris"] == -1
    assert (await send("CMD=AUX1&CTRL=OPEN"))["aux"] == [1]
    assert (await send("CMD=AUX8&CTRL=OPEN"))["aux"] == [1, 8]
    assert (await send("CMD=AUX1&CTRL=CLOSE"))["aux"] == [8]
    assert (recorder.violations, recorder.notes) == ([], [])


async def test_presets_are_kept_and_recalled(recorder):
    uid = await recorder.login()
    await recorder.ask(f"camctl.cgi?UID={uid}&CH=1&CMD=CENTERING&CTRL=START&X=0&Y=16&PC=AS60")
    assert await recorder.says(f"camctl.cgi?UID={uid}&CH=1&CMD=PRESETPRG&NO=256&PC=AS60") == 200
    await recorder.ask(f"camctl.cgi?UID={uid}&CH=1&CMD=CENTERING&CTRL=START&X=32&Y=0&PC=AS60")
    assert recorder.camera(1)["pan"] == 0
    assert await recorder.says(f"camctl.cgi?UID={uid}&CH=1&CMD=PRESET&NO=256&PC=AS60") == 200
    assert recorder.camera(1)["pan"] == 30
    assert recorder.notes == []
    assert await recorder.says(f"camctl.cgi?UID={uid}&CH=1&CMD=PRESET&NO=1&PC=AS60") == 200
    assert (recorder.camera(1)["pan"], recorder.notes) == (30, ["preset_unset"])


CONTROL_REFUSALS = [
    ("directctrl.cgi?UID={}&CH=1&PC=AS60", "missing_parameter"),
    ("directctrl.cgi?UID={}&CH=1&PAN=0&TILT=0&ZOOM=0", "missing_parameter"),
    ("directctrl.cgi?UID={}&PAN=0&TILT=0&ZOOM=0&PC=AS60", "missing_parameter"),
    ("directctrl.cgi?UID={}&CH=1&PAN=17&TILT=0&ZOOM=0&PC=AS60", "value"),
    ("directctrl.cgi?UID={}&CH=1&PAN=0&TILT=-17&ZOOM=0&PC=AS60", "value"),
    ("directctrl.cgi?UID={}&CH=1&PAN=0&TILT=0&ZOOM=5&PC=AS60", "value"),
    ("directctrl.cgi?UID={}&CH=1&PAN=0.5&TILT=0&ZOOM=0&PC=AS60", "value"),
    ("directctrl.cgi?UID={}&CH=1&PAN=-0&TILT=0&ZOOM=0&PC=AS60", "value"),
    ("directctrl.cgi?UID={}&CH=1&PAN=+1&TILT=0&ZOOM=0&PC=AS60", "encoding"),
    ("directctrl.cgi?UID={}&CH=1&TILT=0&PAN=0&ZOOM=0&PC=AS60", "order"),
    ("directctrl.cgi?UID={}&CAM=1&PAN=0&TILT=0&ZOOM=0&PC=AS60", "unknown_parameter"),
    ("directctrl.cgi?UID={}&CH=1&PAN=0&TILT=0&Z00OM=0&PC=AS60", "unknown_parameter"),
    ("directctrl.cgi?UID={}&CH=9&PAN=0&TILT=0&ZOOM=0&PC=AS60", "camera"),
    ("camctl.cgi?UID={}&CH=1&CMD=CENTERING&CTRL=START&X=33&Y=0&PC=AS60", "value"),
    ("camctl.cgi?UID={}&CH=1&CMD=CENTERING&CTRL=START&X=0&Y=-1&PC=AS60", "value"),
    ("camctl.cgi?UID={}&CH=1&CMD=CENTERING&X=0&Y=0&PC=AS60", "missing_parameter"),
    ("camctl.cgi?UID={}&CH=1&CMD=CENTERING&CTRL=START&Y=0&X=0&PC=AS60", "order"),
    ("camctl.cgi?UID={}&CAM=1&CMD=CENTERING&CTRL=START&X=0&Y=0&PC=AS60", "unknown_parameter"),
    ("camctl.cgi?UID={}&CH=1&CMD=FOCUS&CTRL=FAR&PC=AS60", "missing_parameter"),
    ("camctl.cgi?UID={}&CH=1&CMD=FOCUS&CTRL=START&CTRL=FAR&PC=AS60", "value"),
    ("camctl.cgi?UID={}&CH=1&CMD=FOCUS&CTRL=OPEN&CTRL=START&PC=AS60", "value"),
    ("camctl.cgi?UID={}&CH=1&CMD=FOCUS&CTRL=FAR&CTRL=START&CTRL=START&PC=AS60", "duplicate_parameter"),
    ("camctl.cgi?UID={}&CH=1&CMD=IRIS&ACTRL=OPEN&CTRL=START&PC=AS60", "unknown_parameter"),
    ("camctl.cgi?UID={}&CH=1&CMD=IRIS&CTRL=AUTO&CTRL=START&PC=AS60", "value"),
    ("camctl.cgi?UID={}&CH=1&CMD=PRESET&NO=0&PC=AS60", "value"),
    ("camctl.cgi?UID={}&CH=1&CMD=PRESET&NO=257&PC=AS60", "value"),
    ("camctl.cgi?UID={}&CH=1&CMD=PRESETPRG&PC=AS60", "missing_parameter"),
    ("camctl.cgi?UID={}&CH=1&CMD=AUX9&CTRL=OPEN&PC=AS60", "value"),
    ("camctl.cgi?UID={}&CH=1&CMD=AUX1&CTRL=START&PC=AS60", "value"),
    ("camctl.cgi?UID={}&CH=1&CMD=AUX1&CTRL=OPEN&CTRL=START&PC=AS60", "duplicate_parameter"),
    ("camctl.cgi?UID={}&CH=1&CMD=HOME&PC=AS60", "value"),
]


@pytest.mark.parametrize(("target", "kind"), CONTROL_REFUSALS)
async def test_a_wrong_camera_control_moves_nothing(recorder, target, kind):
    uid = await recorder.login()
    before = recorder.camera(1)
    assert await recorder.says(target.format(uid)) == 400
    assert recorder.violations == [kind]
    assert recorder.camera(1) == before


async def test_cameras_of_256_steps():
    async with IproSimulator(ptz_steps=256, gaps=CALM) as device:
        recorder = Recorder(device)
        uid = await recorder.login()
        move = "directctrl.cgi?UID={}&CH=1&PAN={}&TILT={}&ZOOM=0&PC=AS60"
        assert await recorder.says(move.format(uid, 256, -256)) == 200
        assert await recorder.says(move.format(uid, 257, 0)) == 400
        assert recorder.violations == ["value"]


async def test_a_camera_without_ptz_has_iris_and_aux_only(recorder):
    uid = await recorder.login()
    for target in (
        f"directctrl.cgi?UID={uid}&CH=2&PAN=1&TILT=0&ZOOM=0&PC=AS60",
        f"camctl.cgi?UID={uid}&CH=2&CMD=PRESET&NO=1&PC=AS60",
        f"camctl.cgi?UID={uid}&CH=2&CMD=FOCUS&CTRL=AUTO&CTRL=START&PC=AS60",
    ):
        assert await recorder.says(target) == 503
    assert await recorder.says(f"camctl.cgi?UID={uid}&CH=2&CMD=IRIS&CTRL=RESET&CTRL=START&PC=AS60") == 200
    assert await recorder.says(f"camctl.cgi?UID={uid}&CH=2&CMD=AUX2&CTRL=OPEN&PC=AS60") == 200
    assert (recorder.violations, recorder.notes) == ([], ["no_ptz"] * 3)


# Recorder information


async def test_connections_are_told_as_in_5_3_1(recorder):
    await recorder.fault(kind="camera", number=3, mode="lost")
    reply = await recorder.ask("as_getinfo.cgi?FILE=2", auth=ADMIN)
    assert reply.headers["content-type"] == "text/html"
    lines = reply.text.split("\r\n")
    assert (lines[0], lines[-2], lines[-1]) == ("<HTML>", "</HTML>", "")
    assert lines[1:-4] == [f"CAM_CONNECT_{n:02}CH={2 if n == 3 else int(n <= 8)}" for n in range(1, 17)]
    assert lines[-4:-2] == ["MAXUID=16", "USEDUID=0"]


@pytest.mark.parametrize(("cameras", "channels"), [(1, 16), (17, 32), (100, 128), (128, 128)])
async def test_a_larger_recorder_supports_more(cameras, channels):
    async with IproSimulator(cameras=cameras, gaps=CALM) as device:
        text = (await Recorder(device).ask("as_getinfo.cgi?FILE=2", auth=ADMIN)).text
        told = re.findall(r"^CAM_CONNECT_(\d+)CH=(\d)\r$", text, re.MULTILINE)
        assert [number for number, _ in told] == [f"{n:02}" for n in range(1, channels + 1)]
        assert [status for _, status in told].count("1") == cameras


@pytest.mark.parametrize("query", ["", "?FILE=1", "?FILE=2&FILE=2", "?UID=1&FILE=2"])
async def test_connections_are_asked_for_by_file_2_alone(recorder, query):
    assert (await recorder.ask(f"as_getinfo.cgi{query}", auth=ADMIN)).status_code == 400
    assert len(recorder.violations) == 1


async def log(recorder: Recorder, uid: str, kind: str) -> list[list[str]]:
    word, page = {"ERR": ("ERROR", "as_errorlog.html"), "EVENT": ("EVENT", "as_eventlog.html")}[kind]
    reply = await recorder.ask(f"loglist.cgi?UID={uid}&KIND={kind}&HTML={page}")
    name, count, entries, *rest = reply.text.split("\r\n")
    assert (name, rest) == (f"FILENAME={page}", ["", ""])
    cells = next(csv.reader(io.StringIO(entries.removeprefix(f"{word}_LOG="))))
    assert count == f"{word}_LOG_NO={len(cells) // 5}"
    return [cells[at : at + 5] for at in range(0, len(cells), 5)]


async def test_a_lost_camera_grows_the_error_log(recorder):
    uid = await recorder.login()
    before = await log(recorder, uid, "ERR")
    await recorder.fault(kind="camera", number=3, mode="lost")
    assert await recorder.says(f"directctrl.cgi?UID={uid}&CH=3&PAN=1&TILT=0&ZOOM=0&PC=AS60") == 503
    await recorder.fault(kind="camera", number=3, mode="found")
    after = await log(recorder, uid, "ERR")
    assert after[:-2] == before
    assert [entry[3] for entry in after[-2:]] == ["CAM 3 COMMUNICATION ERROR", "CAM 3 COMMUNICATION RECOVERED"]
    assert after[-1][0] == f"{len(after):03}"
    assert (after[-1][2], after[-1][4]) == ("0", "GMT+01:00")
    assert datetime.strptime(after[-1][1], "%Y/%m/%d %H:%M:%S")
    assert recorder.notes == ["camera_lost"]


async def test_the_event_log_grows_by_itself_and_runs_from_new_to_old(recorder):
    uid = await recorder.login()
    await recorder.fault(kind="event", number=5)
    before = await log(recorder, uid, "EVENT")
    assert before[0][3] == "SITE(VMD)-5"
    assert before == sorted(before, key=lambda entry: entry[1], reverse=True)
    await recorder.fault(kind="pass-time", seconds=3600)
    uid = await recorder.login()
    after = await log(recorder, uid, "EVENT")
    assert len(after) >= len(before) + 4
    assert [entry[1:] for entry in after[-len(before) :]] == [entry[1:] for entry in before]


async def test_a_log_holds_a_thousand_entries(recorder):
    await recorder.fault(kind="pass-time", seconds=40 * 86400)
    entries = await log(recorder, await recorder.login(), "EVENT")
    assert (len(entries), entries[-1][0]) == (1000, "1000")


async def test_logs_show_the_recorders_own_time():
    async with IproSimulator(zone=Zone(-210, summer=True), gaps=CALM) as device:
        recorder = Recorder(device)
        uid = await recorder.login()
        device.inject("event", number=1)
        await asyncio.sleep(0)
        entry = (await log(recorder, uid, "EVENT"))[0]
        assert (entry[2], entry[4]) == ("1", "GMT-03:30")


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        (Zone(0, False), "1970-01-02 00:00:00"),
        (Zone(540, False), "1970-01-02 09:00:00"),
        (Zone(-210, True), "1970-01-01 21:30:00"),
    ],
)
def test_summer_time_is_an_hour_on_top_of_the_zone(zone, shown):
    assert str(zone.local(86400)) == shown


async def test_recorded_time_as_in_5_2_1(recorder):
    reply = await recorder.ask("recordedtime.cgi", auth=ADMIN)
    assert reply.headers["content-type"] == "text/plain"
    lines = reply.text.split("\r\n")
    assert lines[:3] == ["Recording information", "", "Disk,Capacity,Remain capacity,Recorded time range"]
    rows = [line.split(",") for line in lines[3:-1]]
    assert [row[0] for row in rows][:2] == ["MAIN-1", "MAIN-2"]
    assert (len(rows), rows[-1][0]) == (9 + 5 * 9, "EXT5-9")
    assert {len(row) for row in rows} == {9}
    assert rows[0][1] == "4001GB(R)"
    assert rows[1] == ["MAIN-2", "4001GB", "4001GB", "", "", "", "", "", ""]
    assert rows[2][1:] == [""] * 8
    since, until = (datetime.strptime(" ".join(rows[0][at : at + 3]), "%Y/%m/%d 0 %H:%M:%S") for at in (3, 6))
    assert since < until


async def test_disks_fill_and_are_then_overwritten(recorder):
    async def rows() -> list[list[str]]:
        text = (await recorder.ask("recordedtime.cgi", auth=ADMIN)).text
        return [line.split(",") for line in text.split("\r\n")[3:5]]

    first = await rows()
    await recorder.fault(kind="pass-time", seconds=3600)
    later = await rows()
    assert int(first[0][2].removesuffix("GB")) - int(later[0][2].removesuffix("GB")) in (14, 15)  # 8 cameras of 1.8 GB
    assert (later[0][3:6], later[0][6:]) != (first[0][3:6], first[0][6:])
    await recorder.fault(kind="fill-disks")
    full = await rows()
    assert [row[2] for row in full] == ["0GB", "0GB"]
    assert sum(row[1].endswith("(R)") for row in full) == 1


def test_a_ring_of_disks():
    def held(hour: int) -> list:
        rows = Disks((10, 20), hourly=1.0, began=0.0).rows(hour * 3600)
        return [(writing, left, span and tuple(wall // 3600 for wall in span)) for _, writing, left, span in rows]

    assert held(4) == [(True, 6, (0, 4)), (False, 20, None)]
    assert held(15) == [(False, 0, (0, 10)), (True, 15, (10, 15))]
    assert held(34) == [(True, 0, (4, 34)), (False, 0, (10, 30))]
    assert held(45) == [(False, 0, (30, 40)), (True, 0, (15, 45))]
    assert held(61) == [(True, 0, (31, 61)), (False, 0, (40, 60))]


async def test_an_unregistered_camera_ends_its_streams(recorder):
    uid = await recorder.live()
    await recorder.ask(f"push.cgi?UID={uid}&CAM=2&CMD=START&COMP=H264&PORT=40000")
    await recorder.fault(kind="camera", number=2, mode="unregistered")
    await recorder.ask("/_sim/state")
    assert recorder.session(uid)["live"] == []


# Faults of every device, and the certificate


async def test_it_hangs_resets_and_talks_nonsense(recorder):
    await recorder.fault(kind="hang")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(recorder.login(), 0.3)
    for kind, error in (("reset", httpx.TransportError), ("garbage", httpx.RemoteProtocolError)):
        await recorder.fault(kind=kind)
        with pytest.raises(error):
            await recorder.login()
    await recorder.fault(kind="status", status=503, path="/cgi-bin/dlogin.cgi")
    assert (await recorder.ask("dlogin.cgi?UID=-1", auth=ADMIN)).status_code == 503
    assert await recorder.login()


async def test_the_side_door_shows_sessions_and_cameras(recorder):
    uid = await recorder.login()
    told = (await recorder.ask("/_sim/sessions")).json()["sessions"]
    assert [(entry["uid"], entry["who"], entry["peer"]) for entry in told] == [(uid, "ADMIN", "127.0.0.1")]
    state = (await recorder.ask("/_sim/state")).json()["state"]
    assert state["used_uids"] == 1
    assert (state["cameras"]["1"]["ptz"], state["cameras"]["2"]["ptz"], state["cameras"]["9"]["status"]) == (1, 0, 0)


def trusting(device: IproSimulator) -> httpx.AsyncClient:
    context = ssl.create_default_context(cadata=device.certificate.pem.decode())
    return httpx.AsyncClient(trust_env=False, timeout=5, verify=context)


async def test_with_tls_it_shows_a_certificate_of_its_own():
    async with IproSimulator(tls=True, control=True, gaps=CALM) as device:
        assert device.url.startswith("https://")
        recorder = Recorder(device, trusting(device))
        uid = await recorder.login()
        watching = asyncio.create_task(raw_tls(device, f"/cgi-bin/status.cgi?UID={uid}&PC=AS60"))
        assert (await watching).startswith(b"HTTP/1.1 200 OK")
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            async with httpx.AsyncClient(trust_env=False) as stranger:
                await stranger.get(device.url)


async def raw_tls(device: IproSimulator, target: str) -> bytes:
    context = ssl.create_default_context(cadata=device.certificate.pem.decode())
    reader, writer = await asyncio.open_connection(device.host, device.port, ssl=context)
    try:
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.2"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return await reader.read()
    finally:
        writer.close()


async def test_the_certificate_changes_on_demand_and_only_then():
    async with IproSimulator(tls=True, control=True, gaps=CALM) as device, IproSimulator(tls=True) as again:
        assert device.certificate.pem == again.certificate.pem  # as after a new start
        old = trusting(device)
        async with old:
            assert (await Recorder(device, old).ask("/_sim/fault", "POST", json={"kind": "new-certificate"})).is_success
        assert device.certificate.pem != again.certificate.pem
        context = ssl.create_default_context(cadata=again.certificate.pem.decode())
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(device.host, device.port, ssl=context)
        async with trusting(device) as new:
            assert await Recorder(device, new).login()


async def test_two_recorders_have_two_certificates():
    pems = {IproSimulator(seed=seed, tls=True).certificate.pem for seed in (1, 2)}
    assert len(pems) == 2


async def test_plain_http_to_a_tls_port_gets_nothing():
    async with IproSimulator(tls=True, gaps=CALM) as device:
        with contextlib.suppress(ConnectionResetError):
            assert not (await raw(device, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).startswith(b"HTTP")
        async with trusting(device) as http:
            assert await Recorder(device, http).login()


def test_a_fleet_may_hold_recorders():
    made = make_device("ipro", {"port": 0, "cameras": 40, "tls": True, "ptz_steps": 256, "user": "boss"})
    assert isinstance(made, IproSimulator)
    assert made.url.startswith("https://")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"cameras": 0}, "1 to 128 cameras, not 0"),
        ({"cameras": 129}, "1 to 128 cameras, not 129"),
        ({"ptz_steps": 8}, "16 or 256 steps, not 8"),
        ({"system_frequency": "50"}, "ipro has no setting 'system_frequency'"),
        ({"tls": "yes"}, "'tls' cannot be 'yes'"),
    ],
)
def test_an_impossible_recorder_is_explained(arguments, says):
    with pytest.raises(FleetError, match=says):
        make_device("ipro", arguments)
