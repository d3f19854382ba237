"""The simulated cameras by name: on the command line, in a fleet, and with what goes wrong for every device."""

import asyncio
import json

import httpx
import pytest

from simulators.fleet import FleetError, make_device
from simulators.hama import HamaSimulator
from simulators.ipcam import IpcamSimulator
from simulators.testing import running
from tests.simulators.cameras import ADMIN, Camera
from tests.simulators.helpers import raw
from tests.simulators.test_simulators_command import ask, process, refusal

STILL = {IpcamSimulator: "/image.jpg", HamaSimulator: "/loginfree.jpg"}
both = pytest.mark.parametrize("family", STILL)


def test_a_fleet_of_cameras_runs_in_one_process(tmp_path):
    devices = [
        {"family": "ipcam", "port": 0, "name": "Yard", "seed": 1, "user_auth": True, "oddities": "colon-mac"},
        {"family": "hama", "port": 0, "name": "Hall", "seed": 2, "loginfree_path": "/hall.jpg", "password": "pear"},
    ]
    config = tmp_path / "fleet.json"
    config.write_text(json.dumps({"devices": devices}))
    with process("fleet", "--config", str(config), "--control") as started:
        words = [started.stdout.readline().split() for _ in devices]
        assert [family for _, family, _ in words] == ["ipcam", "hama"]
        yard, hall = [url for *_, url in words]
        assert ask(yard, "/image.jpg").status_code == 401
        assert httpx.get(f"{yard}/image.jpg", auth=ADMIN, trust_env=False).status_code == 200
        assert ask(hall, "/hall.jpg").headers["content-type"] == "image/jpeg"
        assert ask(hall, "/_sim/state").json()["state"]["streaming"] == 0
        started.terminate()
        assert started.wait(5) == 0


@pytest.mark.parametrize("family", ["ipcam", "hama"])
def test_one_camera_is_started_by_its_familys_name(family):
    with process(family, "--port", "0", "--seed", "3", "--control") as started:
        words = started.stdout.readline().split()
        assert words[:2] == ["simulating", family]
        assert ask(words[2], "/_sim/violations").json() == {"violations": [], "notes": []}


@pytest.mark.parametrize(
    ("family", "arguments", "says"),
    [
        ("ipcam", {"oddities": "purple"}, "no oddity 'purple'; there are: result-lines,"),
        ("hama", {"oddities": "no-root,purple"}, "no oddity 'purple'; there are: root-everywhere,"),
        ("ipcam", {"password": "a-long-password"}, "passwords of at most 8"),
        ("ipcam", {"system_frequency": "50"}, "has no setting 'system_frequency'"),
        ("hama", {"user_auth": True}, "has no setting 'user_auth'"),
        ("hama", {"loginfree_path": "hall.jpg"}, "cannot be at 'hall.jpg'"),
    ],
)
def test_what_a_family_has_not_is_explained(family, arguments, says):
    with pytest.raises(FleetError, match=says):
        make_device(family, arguments)


def test_an_unknown_oddity_is_one_sentence_on_the_command_line():
    assert refusal("hama", "--port", "0", "--oddities", "purple").startswith("There is no oddity 'purple'")


@both
async def test_a_camera_can_hang_reset_talk_nonsense_and_be_slow(family):
    request = f"GET {STILL[family]} HTTP/1.0\r\n\r\n".encode()
    async with family(control=True) as device:
        device.inject("hang")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(raw(device, request), 0.3)
        device.inject("reset")
        await asyncio.sleep(0)
        with pytest.raises(ConnectionResetError):
            await raw(device, request)
        device.inject("garbage")
        await asyncio.sleep(0)
        assert not (await raw(device, request)).startswith(b"HTTP")
        device.inject("status", status=503)
        await asyncio.sleep(0)
        assert (await raw(device, request)).startswith(b"HTTP/1.0 503 ")
        device.inject("slow", seconds=0.5)
        asking = asyncio.create_task(raw(device, request))
        await asyncio.sleep(0.2)
        assert not asking.done()
        assert (await asking).startswith(b"HTTP/1.0 200 ")


@both
async def test_a_camera_asks_for_digest_where_told_to(family):
    target = {IpcamSimulator: "/cgiversion.cgi", HamaSimulator: "/jpg/image.jpg"}[family]
    async with (
        family(auth_scheme="digest") as device,
        httpx.AsyncClient(trust_env=False, timeout=5, verify=False) as http,
    ):
        camera = Camera(device, http)
        assert (await camera.get(target)).status_code == 401
        assert (await camera.get(target, httpx.DigestAuth("admin", "12345"))).status_code == 200


@both
async def test_many_failed_logins_lock_nobody_out(family):
    target = {IpcamSimulator: "/cgiversion.cgi", HamaSimulator: "/jpg/image.jpg"}[family]
    async with family() as device, httpx.AsyncClient(trust_env=False, timeout=5, verify=False) as http:
        camera = Camera(device, http)
        for _ in range(12):
            assert (await camera.get(target, httpx.BasicAuth("admin", "no"))).status_code == 401
        assert (await camera.get(target)).status_code == 200


@both
def test_a_synchronous_test_can_run_a_camera(family):
    with running(family(seed=3)) as device:
        assert httpx.get(f"{device.url}{STILL[family]}", trust_env=False).status_code == 200
        assert [asked.status for asked in device.requests] == [200]


@both
async def test_two_cameras_differ_in_their_mac(family):
    async with (
        family(seed=1) as one,
        family(seed=2) as two,
        httpx.AsyncClient(trust_env=False, timeout=5, verify=False) as http,
    ):
        group = "Network.Interface.I0.Active.MACAddress"
        target = {
            IpcamSimulator: "/isystem.cgi",
            HamaSimulator: f"/camera-cgi/admin/param.cgi?action=list&group={group}",
        }[family]
        told = [(await Camera(device, http).get(target)).text for device in (one, two)]
        lines = [next(line for line in text.splitlines() if "MACAddress" in line) for text in told]
        assert lines[0] != lines[1]
