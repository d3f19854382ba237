"""Looks the installation over and names each problem together with its cure.

A check yields findings; it never changes anything and never raises. `manage.py doctor` prints them.
"""

import os
import shutil
import socket
import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from accounts.models import Grant, Role, User
from accounts.secrets import unreadable_secrets
from vms import environment, health, tools

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    level: Level
    about: str
    text: str


def examine() -> Iterator[Finding]:
    for check in CHECKS:
        try:
            yield from check()
        except (DatabaseError, OSError, redis.RedisError) as error:
            about = check.__name__.removeprefix("check_").replace("_", " ")
            yield Finding("problem", about, f"could not be looked at: {str(error).strip() or type(error).__name__}")


def check_data_directory() -> Iterator[Finding]:
    data = settings.DATA_DIR
    if not data.exists():
        yield Finding("note", "data directory", f"{data} does not exist yet; the first start makes it.")
        return
    if data.stat().st_mode & 0o077:
        yield Finding("problem", "data directory", f"{data} can be read by other users: chmod 700 {data}")
    key = data / "secret_key"
    if key.exists() and stat.S_IMODE(key.stat().st_mode) != 0o600:
        yield Finding("problem", "secret key", f"{key} can be read by other users: chmod 600 {key}")
    (data / "run").mkdir(mode=0o700, exist_ok=True)
    if sentence := health.check_data_directory():
        yield Finding("problem", "data directory", sentence)
    else:
        free = shutil.disk_usage(data).free
        yield Finding("ok", "data directory", f"{data}, {free / 2**30:.1f} GB free")


def check_database() -> Iterator[Finding]:
    if connection.vendor == "sqlite":
        name = settings.DATABASES["default"]["NAME"]
        if not os.path.exists(name):  # noqa: PTH110 — the setting is a string
            yield Finding("note", "database", "does not exist yet; the first start makes it.")
            return
        if sentence := health.check_database():
            yield Finding("problem", "database", sentence)
            return
        trial = sqlite3.connect(name, timeout=5)
        [verdict] = trial.execute("PRAGMA quick_check(1)").fetchone()
        trial.close()
        if verdict != "ok":
            yield Finding("problem", "database", f"is damaged ({verdict}). Restore {name} from a backup.")
            return
    elif sentence := health.check_database():
        yield Finding("problem", "database", sentence + " Check DATABASE_URL.")
        return
    executor = MigrationExecutor(connection)
    if waiting := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        yield Finding(
            "problem", "database", f"{len(waiting)} changes wait: run `manage.py prepare`, or start with `up`."
        )
    else:
        yield Finding("ok", "database", f"{connection.vendor}, up to date")


def check_secrets() -> Iterator[Finding]:
    if "accounts_user" not in connection.introspection.table_names():
        return
    lost = unreadable_secrets()
    for name in lost:
        yield Finding(
            "problem",
            "secrets",
            f"{name} cannot be read with the present SECRET_KEY. Put back the key it was saved with (SECRET_KEY, "
            "SECRET_KEY_FALLBACKS, or the secret_key file of the data directory), or enter it anew. "
            "Nothing was overwritten.",
        )
    if not lost:
        yield Finding("ok", "secrets", "all can be read")


def check_administrators() -> Iterator[Finding]:
    if "accounts_grant" not in connection.introspection.table_names():
        return
    everywhere = Grant.objects.filter(site=None, camera=None, user__isnull=False).values("user")
    able = User.objects.filter(role=Role.ADMIN, is_active=True, pk__in=everywhere).count()
    if User.objects.exists() and not able:
        yield Finding("problem", "administrators", "nobody can administer everything; run `manage.py prepare`.")
    if (settings.DATA_DIR / "initial-admin-password").exists():
        yield Finding("note", "administrators", "the one-time password of the first start has not been used yet.")


def check_redis() -> Iterator[Finding]:
    embedded = not environment.text("REDIS_URL")
    try:
        info = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2).info("server")
        yield Finding("ok", "redis", f"{info['redis_version']} answers")
        return
    except redis.RedisError as error:
        if not embedded:
            text = f"does not answer ({str(error).strip()}). Start it, or correct REDIS_URL."
            yield Finding("problem", "redis", text)
            return
    try:
        yield Finding("ok", "redis", f"embedded, from {tools.redis_server()} (not running now)")
    except tools.MissingTool as missing:
        yield Finding("problem", "redis", str(missing))


def check_ports() -> Iterator[Finding]:
    ranges = {"RTP_PORTS": settings.RTP_PORTS, "FTP_PASSIVE_PORTS": settings.FTP_PASSIVE_PORTS}
    single = {"PORT": settings.PORT, "FTP_PORT": settings.FTP_PORT, "SMTP_PORT": settings.SMTP_PORT}
    for name, (low, high) in ranges.items():
        for other, port in single.items():
            if low <= port <= high:
                yield Finding(
                    "problem", "ports", f"{other} ({port}) lies inside {name} ({low}-{high}); choose another."
                )
    (a, b), (c, d) = ranges.values()
    if a <= d and c <= b:
        yield Finding("problem", "ports", "RTP_PORTS and FTP_PASSIVE_PORTS overlap; choose ranges apart.")
    low, high = settings.RTP_PORTS
    if high - low < 3:
        yield Finding("problem", "ports", "RTP_PORTS is too small: each RTP stream takes two ports.")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind(("", low))
        except OSError:
            yield Finding(
                "note", "ports", f"UDP port {low}, the first of RTP_PORTS, is in use; the next free one is taken."
            )


def check_media() -> Iterator[Finding]:
    import av

    needed: list[tuple[str, Literal["r", "w"]]] = [
        *(("h264", "r"), ("hevc", "r"), ("mjpeg", "r"), ("aac", "r")),
        *(("libx264", "w"), ("aac", "w")),
    ]
    for name, mode in needed:
        try:
            av.Codec(name, mode)
        except (ValueError, av.FFmpegError):
            doing = "decode" if mode == "r" else "encode"
            yield Finding("problem", "media", f"PyAV cannot {doing} {name}; reinstall it: make clean install")
    yield Finding("ok", "media", f"PyAV {av.__version__}")


def check_safety() -> Iterator[Finding]:
    if os.getuid() == 0:
        yield Finding("note", "safety", "this runs as root and need not: make a user for it.")
    if settings.DEBUG:
        yield Finding("problem", "safety", "DEBUG is on: error pages show internals. Unset DEBUG.")
    if "*" in settings.ALLOWED_HOSTS:
        yield Finding("problem", "safety", "ALLOWED_HOSTS is *: name the hosts users reach the product by.")
    if not settings.HTTPS_ONLY and settings.HOST not in ("127.0.0.1", "localhost", "::1"):
        text = "passwords cross the network in the clear: put a TLS proxy in front and set HTTPS_ONLY=1."
        yield Finding("note", "safety", text)


CHECKS: list[Callable[[], Iterator[Finding]]] = [
    check_data_directory,
    check_database,
    check_secrets,
    check_administrators,
    check_redis,
    check_ports,
    check_media,
    check_safety,
]
