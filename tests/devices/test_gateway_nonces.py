"""No Digest count is ever used twice, whatever dies meanwhile: a device may take a replay for an attack. Against a
strict simulator, with a Redis and with processes that are killed."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakKeyDictionary

import pytest
import redis
from django.conf import settings

from devices import coordination, turns
from devices.families import driver_for
from devices.families.povcam import commands as cgi
from devices.gateway import Gateway
from devices.models import Device
from tests.devices.conftest import Simulator, unsaved_device
from tests.devices.test_gateway_turns import start
from vms import environment
from vms.tools import redis_server_command


class OwnRedis:
    """A Redis of the product's own kind, which the test may kill. What it saved it has again when it is back."""

    def __init__(self, data: Path) -> None:
        self.data, self.path = data, environment.socket_dir(data) / "redis.sock"
        (data / "run").mkdir(parents=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(redis_server_command(self.data), stdout=subprocess.DEVNULL)
        retry = redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 200)
        self.client = redis.Redis(unix_socket_path=str(self.path), retry=retry)
        self.client.ping()

    def kill(self) -> None:
        self.client.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.path.unlink(missing_ok=True)


@pytest.fixture
def own_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnRedis]:
    server = OwnRedis(tmp_path / "var")
    monkeypatch.setattr(settings, "REDIS_URL", f"unix://{server.path}")
    monkeypatch.setattr(coordination, "_clients", WeakKeyDictionary())
    yield server
    server.kill()


async def ask(device: Device, times: int) -> None:
    for _ in range(times):
        await driver_for(device).ask(Gateway(device), cgi.GET_BASIC)


async def test_a_redis_that_came_back_with_an_old_memory_makes_nobody_count_again(
    simulator: Simulator, own_redis: OwnRedis
) -> None:
    device = unsaved_device(simulator.port)
    await ask(device, 2)
    own_redis.client.save()
    await ask(device, 3)
    own_redis.kill()
    own_redis.start()
    assert own_redis.client.keys("*challenge*"), "it has the challenge again, with the count of then"
    await ask(device, 2)
    assert simulator.violations == []


async def test_a_redis_that_goes_on_lets_one_challenge_do(simulator: Simulator, own_redis: OwnRedis) -> None:
    device = unsaved_device(simulator.port)
    await ask(device, 2)
    own_redis.client.save()
    await ask(device, 2)
    answers = simulator.side_door("requests")["requests"]
    assert [each["status"] for each in answers] == [401, 200, 200, 200, 200]


_KILLED_IN_ITS_TURN = """
import asyncio, os, signal, django
django.setup()
from devices import http, turns
from devices.families import driver_for
from devices.families.povcam import commands as cgi
from devices.gateway import Gateway
from tests.devices.conftest import unsaved_device
import sys
device = unsaved_device(int(sys.argv[1]))
def dies(self, login): os.kill(os.getpid(), signal.SIGKILL)
turns.Turn.leaving = dies
asyncio.run(driver_for(device).ask(Gateway(device), cgi.GET_BASIC))
"""


async def test_a_process_killed_in_its_turn_leaves_no_count_to_be_used_again(
    simulator: Simulator, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = unsaved_device(simulator.port)
    await ask(device, 2)
    process = await start(_KILLED_IN_ITS_TURN, simulator.port)
    assert await process.wait() == -signal.SIGKILL
    await ask(device, 2)
    assert simulator.violations == []
    assert len(simulator.targets) == 5, "it had sent its command"


async def test_a_turn_that_was_lost_does_not_share_its_count(
    simulator: Simulator, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stood still for longer than its turn goes on, while another has the next."""
    device = unsaved_device(simulator.port)
    await ask(device, 1)
    gateway = Gateway(device)
    slow = gateway._turn(cgi.GET_BASIC)
    login = await slow.enter()
    login.count += 1  # what it sends now
    redis_client.delete(f"{turns._KEYS}:{gateway.address}:turn")
    await ask(device, 2)
    await slow.leave(login)
    await ask(device, 2)
    assert simulator.violations == []
