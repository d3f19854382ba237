"""Is the product well? One list of sentences, for `/readyz`, the status bar and the log.

Each check answers None or a sentence that says what is wrong, what it means and what to do. All checks are bounded in
time, and their answers are shared by all who ask within a second.
"""

import asyncio
import logging
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse

from accounts.guards import page
from accounts.policy import Standing

log = logging.getLogger(__name__)

HEARTBEAT = "vms:heartbeat"
HEARTBEAT_LATE = 20.0  # seconds; it comes every 5
DISK_LOW = 200 * 1024 * 1024
DISK_FULL = 16 * 1024 * 1024
CLOCK_JUMP = 2.0  # seconds; time servers slew smaller errors away
CLOCK_REMEMBERED = 600.0
WATCH_EVERY = 5.0
FRESH = 1.0
STARTED, STARTING = time.monotonic(), 20.0  # a worker that is not there yet is no news while all of it starts

_redis = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


def beat() -> None:
    _redis.set(HEARTBEAT, time.time(), ex=600)


def check_database() -> str | None:
    if connection.vendor == "sqlite":
        return _check_sqlite()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return f"The database does not answer ({_first_line(error)}). Nothing can be changed until it does."
    finally:
        connection.close()
    return None


def _check_sqlite() -> str | None:
    """Take the write lock for a moment: reading alone would not notice a locked or read-only file."""
    name = settings.DATABASES["default"]["NAME"]
    try:
        trial = sqlite3.connect(f"file:{name}?mode=rw", uri=True, timeout=2.0, isolation_level=None)
        try:
            trial.execute("BEGIN IMMEDIATE")
            # An update of nothing still has to be writable, which BEGIN alone does not ask for.
            trial.execute("UPDATE django_migrations SET name = name WHERE 0")
            trial.execute("ROLLBACK")
        finally:
            trial.close()
    except sqlite3.Error as error:
        text = _first_line(error)
        if "locked" in text:
            return (
                "The database is locked by another program, so nothing can be changed. Close whatever has opened "
                f"{name}; it heals by itself."
            )
        return f"The database cannot be written ({text}). Check the data directory {settings.DATA_DIR}."
    return None


def check_data_directory() -> str | None:
    free = None
    try:
        free = shutil.disk_usage(settings.DATA_DIR).free
        trial = settings.DATA_DIR / "run" / f".health.{threading.get_ident()}"
        trial.write_bytes(b"x" * 4096)
        trial.unlink()
    except OSError as error:
        full = f"; {free // 2**20} MB free" if free is not None else ""
        return (
            f"The data directory {settings.DATA_DIR} cannot be written ({error.strerror}{full}). Make room or mend it."
        )
    if free < DISK_FULL:
        return f"The disk is full ({free // 2**20} MB free): nothing can be recorded or changed. Make room."
    if free < DISK_LOW:
        return f"The disk is nearly full ({free // 2**20} MB free). Make room before recordings fail."
    return None


def check_redis() -> str | None:
    try:
        _redis.ping()
    except redis.RedisError:
        return (
            "Redis does not answer: running pictures go on, but no camera can be steered, polled or newly opened. "
            "It is started again by itself if it is the embedded one."
        )
    return None


def check_worker() -> str | None:
    try:
        last = _redis.get(HEARTBEAT)
    except redis.RedisError:
        return None  # said by check_redis already
    age = time.time() - float(last) if last else None
    if age is None:
        return "The background worker has not reported yet: devices are not polled and jobs do not run."
    if age > HEARTBEAT_LATE:
        return f"The background worker has been silent for {age:.0f} s: devices are not polled and jobs do not run."
    return None


@dataclass
class Clock:
    """Notices that the wall clock was set: the one thing that moves it against the monotonic clock."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic
    offset: float | None = None
    jumped_at: float = 0.0
    jump: float = 0.0

    def check(self) -> str | None:
        steady = self.steady()
        offset = self.wall() - steady
        if self.offset is not None and abs(offset - self.offset) > CLOCK_JUMP:
            self.jump, self.jumped_at = offset - self.offset, steady
        self.offset = offset
        if self.jump and steady - self.jumped_at < CLOCK_REMEMBERED:
            direction = "forward" if self.jump > 0 else "back"
            return (
                f"This server's clock was set {direction} by {abs(self.jump):.0f} s: times of recordings and events "
                "around that moment are off. Keep it right with a time server (NTP)."
            )
        return None


@dataclass
class Board:
    """The latest findings, and how old they are."""

    checks: dict[str, Callable[[], str | None]]
    found: dict[str, str] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    checked: float = -1e9
    lock: threading.Lock = field(default_factory=threading.Lock)

    def problems(self, max_age: float = FRESH) -> dict[str, str]:
        with self.lock:
            if time.monotonic() - self.checked > max_age:
                found = {name: sentence for name, check in self.checks.items() if (sentence := check())}
                self.report(found)
                self.found, self.checked = found, time.monotonic()
            return self.found

    def report(self, found: dict[str, str]) -> None:
        """Say in the log what begins and what ends, not what merely goes on."""
        for name, sentence in found.items():
            if name not in self.told and not (name == "worker" and time.monotonic() - STARTED < STARTING):
                log.error(sentence)
                self.told.add(name)
        for name in self.told - found.keys():
            log.info("%s: well again", name)
        self.told &= found.keys()


clock = Clock()
board = Board(
    {
        "database": check_database,
        "data directory": check_data_directory,
        "redis": check_redis,
        "worker": check_worker,
        "clock": clock.check,
    }
)


def problems() -> list[str]:
    return list(board.problems(max_age=WATCH_EVERY).values())


async def watch() -> None:
    """Look now and then even when nobody asks, so that the log tells when a problem began."""
    while True:
        await asyncio.to_thread(board.problems)
        await asyncio.sleep(WATCH_EVERY)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@page(Standing.PUBLIC)
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


@page(Standing.PUBLIC)
def readyz(request: HttpRequest) -> HttpResponse:
    """Can it do its work? A clock that was set is worth telling, but no reason to send users elsewhere."""
    found = board.problems()
    ready = not (found.keys() - {"clock"}) or (
        found.keys() <= {"clock", "data directory"} and "nearly" in found.get("data directory", "")
    )
    return JsonResponse({"ready": ready, "problems": list(found.values())}, status=200 if ready else 503)
