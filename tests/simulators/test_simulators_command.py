"""python -m simulators: one device, a fleet, and what is said when it cannot be."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from simulators.fleet import FleetError, make_device, read_fleet

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, "-m", "simulators", *arguments],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.communicate(timeout=10)


def refusal(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "simulators", *arguments], cwd=ROOT, text=True, capture_output=True, timeout=20
    )
    assert done.returncode != 0
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr.strip()


def ask(url: str, target: str) -> httpx.Response:
    return httpx.get(f"{url}{target}", trust_env=False, timeout=5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_device_says_where_it_is_and_ends_when_told(number):
    with process("povcam", "--port", "0", "--name", "Yard", "--seed", "9", "--control") as started:
        words = started.stdout.readline().split()
        assert words[:2] == ["simulating", "povcam"]
        url = words[2]
        assert "cam_title=Yard\r\n" in ask(url, "/cgi-bin/get_basic").text
        assert ask(url, "/_sim/sessions").json() == {"sessions": []}
        with httpx.stream("GET", f"{url}/cgi-bin/mjpeg", trust_env=False) as reply:  # an open stream must not hinder it
            assert reply.status_code == 200
            started.send_signal(number)
            assert started.wait(3) == 0


def test_the_password_given_is_the_one_wanted():
    with process("povcam", "--port", "0", "--user", "boss", "--password", "pear", "--user-auth") as started:
        url = started.stdout.readline().split()[2]
        assert ask(url, "/cgi-bin/get_state").status_code == 401
        auth = httpx.DigestAuth("boss", "pear")
        assert httpx.get(f"{url}/cgi-bin/get_state", auth=auth, trust_env=False).status_code == 200


def test_a_recorder_is_told_its_cameras_and_speaks_tls():
    with process("ipro", "--port", "0", "--cameras", "20", "--tls", "--user", "boss", "--password", "pear") as started:
        url = started.stdout.readline().split()[2]
        assert url.startswith("https://")
        auth = httpx.DigestAuth("boss", "pear")
        text = httpx.get(f"{url}/cgi-bin/as_getinfo.cgi?FILE=2", auth=auth, verify=False, trust_env=False).text
        assert text.count("CH=1\r\n") == 20
        assert text.count("CH=0\r\n") == 12


def test_a_busy_port_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal("povcam", "--port", str(port))
    assert said == f"No device can be simulated at http://127.0.0.1:{port}: Address already in use."


def test_a_fleet_is_many_devices_with_names_of_their_own(tmp_path):
    devices = [{"family": "povcam", "port": 0, "name": f"Camera {seed}", "seed": seed} for seed in range(1, 5)]
    devices.append({"family": "povcam", "host": "127.0.0.2", "port": 0, "name": "Elsewhere", "seed": 5})
    config = tmp_path / "fleet.json"
    config.write_text(json.dumps({"devices": devices}))
    with process("fleet", "--config", str(config), "--control") as started:
        urls = [started.stdout.readline().split()[2] for _ in devices]
        assert len(set(urls)) == 5
        for device, url in zip(devices, urls, strict=True):
            assert f"cam_title={device['name']}\r\n" in ask(url, "/cgi-bin/get_basic").text
            assert len(ask(url, "/_sim/requests").json()["requests"]) == 1
        started.terminate()
        assert started.wait(5) == 0


def test_a_fleet_with_one_busy_port_starts_no_device(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = tmp_path / "fleet.json"
        config.write_text(json.dumps({"devices": [{"family": "povcam", "port": port}]}))
        assert str(port) in refusal("fleet", "--config", str(config))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is not JSON"),
        ("[]", "must hold"),
        ('{"devices": []}', "must hold"),
        ('{"devices": [1]}', "must hold"),
        ('{"devices": [{"port": 1}]}', "Device 1 .* no simulator for the family None"),
        ('{"devices": [{"family": "povcam"}, {"family": "toaster"}]}', "Device 2 .*'toaster'"),
        ('{"devices": [{"family": "povcam", "colour": "red"}]}', "no setting 'colour'"),
        ('{"devices": [{"family": "povcam", "port": "80"}]}', "'port' cannot be '80'"),
        ('{"devices": [{"family": "povcam", "port": true}]}', "'port' cannot be True"),
        ('{"devices": [{"family": "povcam", "port": 70000}]}', "70000 is not a port"),
        ('{"devices": [{"family": "povcam", "auth_scheme": "none"}]}', "digest or basic or both"),
    ],
)
def test_a_wrong_description_is_explained(tmp_path, content, says):
    config = tmp_path / "fleet.json"
    config.write_text(content)
    with pytest.raises(FleetError, match=says):
        read_fleet(config)


def test_a_missing_description_is_one_sentence(tmp_path):
    assert refusal("fleet", "--config", str(tmp_path / "none.json")).endswith(
        "cannot be read: No such file or directory."
    )


def test_a_family_that_is_not_there_is_named():
    with pytest.raises(FleetError, match="toaster"):
        make_device("toaster", {})


def test_the_simulators_import_nothing_of_the_product():
    script = "import sys, simulators.__main__, simulators.testing; print(*sorted(m.split('.')[0] for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, text=True, capture_output=True, check=True)
    loaded = set(done.stdout.split())
    assert "simulators" in loaded
    assert not loaded & {"vms", "accounts", "devices", "streaming", "recordings", "django"}
