"""The demo fleet: made on a first start, spoken to as real devices, gone with one click."""

import asyncio
import json
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, Grant, Role, User
from accounts.problems import Problem
from accounts.secrets import Secret
from devices import demo, fleet, loop, polling
from devices.errors import NoCoordination
from devices.families import driver_class, families
from devices.models import Device, Site
from tests.devices.conftest import free_port

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis) -> None:
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)
    monkeypatch.setattr(demo, "FIRST_PORT", free_port())
    monkeypatch.setattr(demo, "LAST_PORT", 65535)


def written() -> list[dict[str, Any]]:
    return list(json.loads(demo.path().read_text())["devices"])


def test_it_is_rows_and_a_file_nobody_else_may_read() -> None:
    devices = demo.create_demo_fleet()
    families = [device.family for device in devices]
    assert {family: families.count(family) for family in families} == {"povcam": 2, "ipro": 1, "ipcam": 1, "hama": 1}
    assert [device.name for device in devices][:2] == ["Demo entrance", "Demo yard"]
    assert all(device.simulated and device.site.name == "Demo" for device in devices)
    assert stat.S_IMODE(demo.path().stat().st_mode) == 0o600
    for device, entry in zip(devices, written(), strict=True):
        assert entry.pop("password") == device.password.reveal() != ""
        assert entry.pop("seed") > 0
        assert entry == {
            "family": device.family,
            "host": "127.0.0.1",
            "port": device.port,
            "user": device.username,
            "name": device.name,
            **demo.SETTINGS[device.family],
        }
    for kind in ("port", "seed", "password"):
        assert len({entry[kind] for entry in written()}) == len(devices)
    with pytest.raises(Problem, match="there already"):
        demo.create_demo_fleet()


def test_it_goes_without_a_trace() -> None:
    demo.create_demo_fleet()
    real = fleet.add_device(None, family="povcam", host="192.168.0.10")
    assert demo.remove_demo_fleet() == len(demo.FLEET)
    assert list(Device.objects.all()) == [real]
    assert not demo.path().exists()
    assert not Site.objects.filter(name="Demo").exists()
    assert demo.remove_demo_fleet() == 0


def test_a_device_stays_itself_when_another_goes() -> None:
    first, *_ = demo.create_demo_fleet()
    before = written()
    fleet.remove_device(None, first)
    demo.write_file()
    assert written() == before[1:]


def test_a_site_that_is_used_otherwise_stays() -> None:
    demo.create_demo_fleet()
    fleet.add_device(None, family="povcam", host="192.168.0.10", site="Demo")
    demo.remove_demo_fleet()
    assert Site.objects.filter(name="Demo").exists()


def test_a_port_taken_by_somebody_else_is_left_to_them() -> None:
    first, second, *_ = demo.create_demo_fleet()
    with socket.create_server(("127.0.0.1", first.port)):
        demo.refresh_demo_ports()
        taken, kept = first.port, second.port
        first.refresh_from_db()
        second.refresh_from_db()
    assert first.port != taken
    assert second.port == kept
    assert [entry["port"] for entry in written()][:2] == [first.port, second.port]


@pytest.fixture
def simulators() -> Iterator[Callable[[], None]]:
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = [sys.executable, "-m", "simulators", "fleet", "--control", "--config", str(demo.path())]
        running.append(subprocess.Popen(command, cwd=settings.BASE_DIR, stdout=subprocess.DEVNULL))
        deadline = time.monotonic() + 60
        for entry in written():
            while True:
                try:
                    socket.create_connection(("127.0.0.1", entry["port"]), 1).close()
                    break
                except OSError:
                    assert time.monotonic() < deadline, "the simulators did not start"
                    time.sleep(0.05)

    yield start
    for process in running:
        process.terminate()
        process.wait(10)


def test_a_port_where_our_simulator_runs_is_kept(simulators: Callable[[], None]) -> None:
    devices = demo.create_demo_fleet()
    simulators()
    demo.refresh_demo_ports()
    ports = [device.port for device in devices]
    assert list(Device.objects.order_by("pk").values_list("port", flat=True)) == ports


@pytest.mark.parametrize("known", [True, False])
def test_a_simulator_of_another_installation_is_not_taken_for_ours(known: bool, simulators: Callable[[], None]) -> None:
    demo.create_demo_fleet()
    simulators()
    theirs = written()
    # The same rows at the same ports, made at another time: one password may even be the same.
    Device.objects.exclude(family="povcam").update(password="ours")
    Device.objects.update(created=timezone.now())
    if known:
        Device.objects.filter(family="povcam").update(serial="of ours")
    else:
        Device.objects.update(password="ours")
    demo.refresh_demo_ports()
    for kind in ("port", "seed"):
        assert not {entry[kind] for entry in theirs} & {entry[kind] for entry in written()}


def test_a_password_that_cannot_be_read_keeps_its_simulator_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    first, *_ = demo.create_demo_fleet()
    before = written()
    Device.objects.filter(pk=first.pk).update(password=Secret.from_stored("of another key"))
    demo.refresh_demo_ports()
    assert written() == before
    assert Device.objects.get(pk=first.pk).password.stored == "of another key"
    assert caplog.text == ""


def test_a_password_that_is_nowhere_leaves_its_simulator_out(caplog: pytest.LogCaptureFixture) -> None:
    first, *others = demo.create_demo_fleet()
    demo.path().unlink()
    Device.objects.filter(pk=first.pk).update(password=Secret.from_stored("of another key"))
    demo.refresh_demo_ports()
    assert [entry["name"] for entry in written()] == [device.name for device in others]
    assert f"the demo device {first.name} is not started" in caplog.text
    Device.objects.update(password=Secret.from_stored("of another key"))
    demo.path().unlink()
    demo.refresh_demo_ports()
    assert not demo.path().exists(), "the simulators' process has nothing to do"


def test_a_port_whose_device_we_cannot_ask_is_kept(
    simulators: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    demo.create_demo_fleet()
    simulators()
    before = written()

    async def away(*_: object) -> None:
        raise NoCoordination

    for family in families():
        monkeypatch.setattr(driver_class(family), "identify", away)
    demo.refresh_demo_ports()
    assert written() == before


@pytest.mark.django_db(transaction=True)
def test_the_simulated_devices_answer_as_rows_say(simulators: Callable[[], None], client: Client) -> None:
    devices = demo.create_demo_fleet()
    simulators()
    user = User.objects.create_user("ann", None, role=Role.ADMIN)
    Grant.objects.create(user=user)
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    for device in devices:
        answer = client.get(f"/api/v1/devices/{device.pk}")
        assert answer.status_code == 200

    async def looks() -> list[polling.Outcome]:
        return await asyncio.gather(*(polling.look(device, polling.Memory()) for device in devices))

    outcomes = loop.run(looks(), 60)
    assert [outcome.error for outcome in outcomes] == [None] * len(devices)
    assert [outcome.health.problems for outcome in outcomes if outcome.health] == [[]] * len(devices)
    for device in devices:
        with urllib.request.urlopen(f"http://127.0.0.1:{device.port}/_sim/violations", timeout=5) as told:
            assert json.load(told)["violations"] == []


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 403), (Role.OPERATOR, 403), (Role.ADMIN, 302)])
def test_who_may_add_and_remove_it(client: Client, role: Role, status: int) -> None:
    user = User.objects.create_user("ann", None, role=role)
    Grant.objects.create(user=user)
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    assert client.post("/demo/add/").status_code == status
    assert demo.exists() == (status == 302)
    assert client.get("/demo/add/").status_code in (403, 405)
    assert client.post("/demo/remove/").status_code == status
    assert not demo.exists()
    if status == 302:
        done = AuditEntry.objects.values_list("action", flat=True)
        assert {"add device", "remove device"} <= set(done)


def test_an_administrator_of_one_site_may_not(client: Client) -> None:
    user = User.objects.create_user("ann", None, role=Role.ADMIN)
    Grant.objects.create(user=user, site=Site.objects.create(name="North"))
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    assert client.post("/demo/add/").status_code == 403
    assert not demo.exists()
