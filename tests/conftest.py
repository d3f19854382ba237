"""What tests of several rooms share: a real Redis on a unix socket, and a whole running product."""

import contextlib
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
import redis
from django.conf import settings
from django.db import connection
from playwright.sync_api import Browser, expect, sync_playwright
from pytest_django.plugin import DjangoDbBlocker

from devices.cgi import Command
from devices.gateway import Gateway
from devices.turns import Turn
from vms import environment
from vms.bench.product import Product
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


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """SQLite in a file and not in memory: only there do several threads wait for one another as in the product."""
    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(settings.DATA_DIR / "tests.sqlite3")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Threads in which asynchronous code asked the database keep their connections as long as they live, and PostgreSQL
    drops no database that somebody is connected to."""
    yield
    if connection.vendor != "postgresql":
        return
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A real browser. Per module, since Playwright keeps an event loop in this thread while it is there, and tests of
    asynchronous code in other modules need the thread without one."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.skip("no browser: install Chromium, or name one with CHROMIUM=…")
    expect.set_options(timeout=30_000)  # as Playwright waits for everything else: machines that run tests are busy
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


# Machines that run tests are busy; nothing here is about time.
hypothesis.settings.register_profile("vms", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("vms")

# What makes a password slow to guess makes tests slow that have many people in them.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

ADMIN_PASSWORD = "correct horse battery"


@contextlib.contextmanager
def own_database() -> Iterator[dict[str, str]]:
    """The variables that give a product under test a database of its own; SQLite needs none."""
    server = os.environ.get("DATABASE_URL", "")
    if not server.startswith("postgresql"):
        yield {}
        return
    import psycopg

    name = f"product_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield {"DATABASE_URL": server.replace("/vms?", f"/{name}?")}
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The whole product, running, with its demo fleet; `admin` signs in with ADMIN_PASSWORD."""
    data = tmp_path_factory.mktemp("product") / "var"
    with own_database() as variables:
        running = Product(data, VMS_ADMIN_PASSWORD=ADMIN_PASSWORD, **variables).start()
        try:
            yield running
        finally:
            running.stop()
            running.kill()


@pytest.fixture
def shorter_rests() -> dict[int, int]:
    """Rests after commands, in milliseconds, and what becomes of them, where simulators know of it (tests/devices)."""
    return {}


@pytest.fixture(autouse=True)
def _shorter_rests(shorter_rests: dict[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Gateway._turn

    def turn(gateway: Gateway, command: Command) -> Turn:
        made = usual(gateway, command)
        return replace(made, lanes={lane: shorter_rests.get(rest, rest) for lane, rest in made.lanes.items()})

    monkeypatch.setattr(Gateway, "_turn", turn)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Names of tests go from process to process, into reports, and to the command line of a second try."""
    if isinstance(val, str | bytes) and len(val) > 60:
        return f"{argname} of {len(val)}"
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On the second database only that runs again whose outcome may depend on it. Without a PostgreSQL it is named and
    skipped."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items[:] = _with_products_spread(items)
    if os.environ.get("VMS_TESTS_DATABASE") != "postgresql":
        return
    again = [item for item in items if _depends_on_the_database(item)]
    if not os.environ.get("DATABASE_URL"):
        for item in again:
            item.add_marker(pytest.mark.skip(reason="PostgreSQL's programs are not installed"))
    config.hook.pytest_deselected(items=[item for item in items if item not in again])
    items[:] = again


def _depends_on_the_database(item: pytest.Item) -> bool:
    """What touches one. Of those that drive a browser or a whole product, only those that say so: the others look at
    the same rows through yet another window."""
    fixtures = set(getattr(item, "fixturenames", ()))
    if item.get_closest_marker("every_database"):
        return True
    if item.get_closest_marker("one_database") or fixtures & {"chromium", "product"}:
        return False
    return bool(item.get_closest_marker("django_db") or fixtures & {"db", "transactional_db", "live_server"})


def _with_products_spread(items: list[pytest.Item]) -> list[pytest.Item]:
    """Files are handed out in this order to the processes that run tests. Those that start whole products load the
    machine most, and those about pictures take longest: they come one at a time rather than together, and none last."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    marks = ("running", "one_database")
    heavy = [each for each in files.values() if any(each[0].get_closest_marker(mark) for mark in marks)]
    light = [each for each in files.values() if each not in heavy]
    between = len(light) // len(heavy) if heavy else 0
    for number, each in enumerate(heavy):
        light.insert(number * (between + 1), each)
    return [item for each in light for item in each]
