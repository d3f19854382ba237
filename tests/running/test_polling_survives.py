"""The fleet is looked at on schedule, by whatever workers there are, and no device twice as often: also when a worker
or Redis is killed in the middle of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.devices.conftest import PASSWORD, Simulator, start_simulators
from vms.bench.product import ROOT, Product

pytestmark = [pytest.mark.running, pytest.mark.every_database]
PATIENCE = 90.0
POLL_SECONDS = 2
# What each look of a family asks exactly once.
ASKED = {"hama": "Properties.VideoServer", "povcam": "get_state"}


class Fleet:
    """Simulated devices that the product looks at, and when it did."""

    def __init__(self, product: Product, start: Callable[..., Simulator]) -> None:
        token = product.manage("apitoken", "admin").stdout.strip()
        self.api = httpx.Client(
            base_url=f"{product.url}/api/v1/", headers={"Authorization": f"Bearer {token}"}, timeout=20
        )
        self.devices: list[tuple[str, int, Simulator]] = []
        for number, family in enumerate(("hama", "hama", "hama", "povcam", "povcam")):
            simulator = start(*(["--user-auth"] if family == "povcam" else []), family=family)
            body = {"family": family, "host": "127.0.0.1", "port": simulator.port, "name": f"{family} {number}"}
            login = {"username": "admin", "password": PASSWORD}
            answer = self.api.post("devices", json={**body, **login, "options": {"poll_seconds": POLL_SECONDS}})
            assert answer.status_code == 201, answer.text
            self.devices.append((family, answer.json()["id"], simulator))

    def looks(self) -> list[list[float]]:
        """Of each device, when it was looked at."""
        return [
            [each["time"] for each in simulator.side_door("requests")["requests"] if wanted(family, each)]
            for family, _, simulator in self.devices
        ]

    def looked_at_again(self, times: int) -> None:
        """Wait until each has been."""
        before = [len(each) for each in self.looks()]
        until(
            lambda: all(len(now) >= then + times for now, then in zip(self.looks(), before, strict=True)),
            lambda: f"looks before: {before}; now: {[len(each) for each in self.looks()]}",
        )

    def states(self) -> set[str]:
        return {self.api.get(f"devices/{device}").json()["state"] for _, device, _ in self.devices}

    def went_well(self, since: float) -> None:
        """None was doubled: no more looks than the time has room for; and no device has anything against us."""
        for (family, device, simulator), looks in zip(self.devices, self.looks(), strict=True):
            seen = [at for at in looks if at >= since]
            assert len(seen) <= (seen[-1] - seen[0]) / POLL_SECONDS + 2, f"{family} {device}: {seen}"
            assert simulator.violations == []


def wanted(family: str, asked: dict[str, Any]) -> bool:
    return ASKED[family] in asked["target"] and asked["status"] != 401


def until(holds: Callable[[], Any], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what()
        time.sleep(0.2)


@pytest.fixture(scope="module")
def fleet(product: Product) -> Iterator[Fleet]:
    with start_simulators() as start:
        fleet = Fleet(product, start)
        fleet.looked_at_again(2)
        until(lambda: fleet.states() == {"online"}, lambda: str(fleet.states()))
        yield fleet


@pytest.fixture
def another_worker(product: Product) -> Iterator[subprocess.Popen[bytes]]:
    """A second worker on the same Redis and database, as on a second machine."""
    command = [sys.executable, "-m", "celery", "-A", "vms.celery", "--quiet", "worker", "--hostname", "second@%h"]
    command += ["--queues", "default,poll,uids,jobs", "--concurrency", "2", "--without-gossip", "--without-mingle"]
    environment = {**product.environment, "DATA_DIR": str(product.data), "DJANGO_SETTINGS_MODULE": "vms.settings"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    yield process
    kill_group(process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """The worker and its pool, at once, as a machine goes that loses its power."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait(10)


def test_two_workers_share_the_fleet_and_one_killed_takes_none_with_it(
    product: Product, fleet: Fleet, another_worker: subprocess.Popen[bytes]
) -> None:
    began = time.time()
    fleet.looked_at_again(5)
    assert another_worker.poll() is None, "the second worker ended"
    kill_group(another_worker)
    fleet.looked_at_again(5)
    os.kill(product.children()["worker"], signal.SIGKILL)
    fleet.looked_at_again(5)
    fleet.went_well(began)
    assert fleet.states() == {"online"}


def test_redis_killed_is_there_again_and_the_fleet_is_looked_at(product: Product, fleet: Fleet) -> None:
    began = time.time()
    for _ in range(2):
        before = product.children()["redis"]
        os.kill(before, signal.SIGKILL)
        until(lambda before=before: product.children().get("redis", before) != before, lambda: "no Redis came back")
        fleet.looked_at_again(5)
    fleet.went_well(began)
    until(lambda: fleet.states() == {"online"}, lambda: str(fleet.states()))
