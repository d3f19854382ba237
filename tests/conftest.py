"""What tests of several rooms share: a real Redis on a unix socket."""

import os
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
            assert process.poll() is None, "the tests' Redis ended"
            assert time.monotonic() < deadline, "the tests' Redis did not start"
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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On the second database only what touches a database runs again; without a PostgreSQL it is named and skipped."""
    if os.environ.get("VMS_TESTS_DATABASE") != "postgresql":
        return
    databases = {"db", "transactional_db", "live_server", "product"}
    touching = [
        item
        for item in items
        if item.get_closest_marker("django_db") or databases & set(getattr(item, "fixturenames", ()))
    ]
    if not os.environ.get("DATABASE_URL"):
        for item in touching:
            item.add_marker(pytest.mark.skip(reason="PostgreSQL's programs are not installed"))
    config.hook.pytest_deselected(items=[item for item in items if item not in touching])
    items[:] = touching
