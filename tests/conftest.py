"""What tests of several rooms share: a real Redis on a unix socket."""

import subprocess
import time
from collections.abc import Iterator

import pytest
import redis
from django.conf import settings

from vms import environment
from vms.tools import redis_server_command


@pytest.fixture(scope="session")
def redis_process() -> Iterator[subprocess.Popen[bytes]]:
    """One Redis for the whole run, where the settings expect it."""
    sockets = environment.socket_dir(settings.DATA_DIR)
    sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
    process = subprocess.Popen(redis_server_command(settings.DATA_DIR), stdout=subprocess.DEVNULL)
    client = redis.Redis.from_url(settings.REDIS_URL)
    deadline = time.monotonic() + 10
    while True:
        try:
            client.ping()
            break
        except redis.ConnectionError:
            assert time.monotonic() < deadline and process.poll() is None, "the tests' Redis did not start"
            time.sleep(0.02)
    yield process
    client.close()
    process.terminate()
    process.wait(10)


@pytest.fixture
def redis_client(redis_process: subprocess.Popen[bytes]) -> Iterator["redis.Redis"]:
    """An empty Redis."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushall()
    yield client
    client.close()
