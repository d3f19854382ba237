"""Typed readers of the environment, and the few facts that the supervisor and the settings must agree on.

Nothing here imports Django: the supervisor uses it too.
"""

import hashlib
import ipaddress
import os
import secrets
import tempfile
from pathlib import Path

# A unix socket's path may have 107 characters on Linux and 103 on macOS; deep data directories get a short stand-in.
SOCKET_PATH_LIMIT = 100
SHORTEST_KEY = 32


class BadEnvironment(Exception):
    """A variable has a value that cannot be used; the text says which, and what would do."""


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool) -> bool:
    value = text(name).lower()
    if not value:
        return default
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off"):
        return False
    raise BadEnvironment(f"{name} is {value!r}; use 1 or 0.")


def number(name: str, default: int, low: int, high: int) -> int:
    value = text(name)
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
        raise BadEnvironment(f"{name} is {value!r}; use a whole number from {low} to {high}.")
    return int(value)


def words(name: str, default: list[str] | None = None) -> list[str]:
    value = text(name)
    return [word.strip() for word in value.split(",") if word.strip()] if value else list(default or [])


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = text(name, default)
    if value not in allowed:
        raise BadEnvironment(f"{name} is {value!r}; use one of {', '.join(allowed)}.")
    return value


def url(name: str, default: str, schemes: tuple[str, ...]) -> str:
    """A URL with one of these schemes. It may hold a password, so it is never repeated in what we say."""
    value = text(name, default)
    if value.partition("://")[0] not in schemes or "://" not in value:
        raise BadEnvironment(f"{name} cannot be used; it begins with {' or '.join(f'{each}://' for each in schemes)}.")
    return value


def networks(name: str) -> list[str]:
    """Addresses and networks, such as 10.0.0.1 and 10.89.0.0/24."""
    found = words(name)
    for each in found:
        try:
            ipaddress.ip_network(each, strict=False)
        except ValueError:
            raise BadEnvironment(f"{name} has {each!r}; use addresses or networks such as 10.89.0.0/24.") from None
    return found


def port_range(name: str, default: str) -> tuple[int, int]:
    value = text(name, default)
    first, _, last = value.partition("-")
    if first.isdigit() and (last or first).isdigit():
        low, high = int(first), int(last or first)
        if 1 <= low <= high <= 65535:
            return low, high
    raise BadEnvironment(f"{name} is {value!r}; use a range of ports such as {default}.")


def data_dir() -> Path:
    """The folder all state lives under; relative to where the command is run."""
    return Path(text("DATA_DIR", "var")).expanduser().absolute()


def socket_dir(data: Path) -> Path:
    """Where unix sockets live: inside the data directory, or in a private stand-in where its path is too long."""
    inside = data / "run"
    if len(os.fsencode(str(inside / "redis.sock"))) <= SOCKET_PATH_LIMIT:
        return inside
    mark = hashlib.sha256(os.fsencode(str(data))).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"vms-{os.getuid()}-{mark}"


def redis_url(data: Path) -> str:
    return url("REDIS_URL", f"unix://{socket_dir(data) / 'redis.sock'}", ("redis", "rediss", "unix"))


def secret_key(data: Path) -> str:
    """The key that signs sessions and encrypts device secrets: from the environment, else made once and kept.

    A kept key is never overwritten. Two processes that start together agree on one key, since the file appears
    complete or not at all (written aside, then linked into place).
    """
    if given := text("SECRET_KEY"):
        if len(given) < SHORTEST_KEY:
            raise BadEnvironment(f"SECRET_KEY is too short to be a key; use {SHORTEST_KEY} random characters or more.")
        return given
    kept = data / "secret_key"
    if not kept.exists():
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = data / f".secret_key.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(64))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, kept)
        except FileExistsError:
            pass  # another process was first: its key counts
        finally:
            draft.unlink()
    key = kept.read_text().strip()
    if len(key) < SHORTEST_KEY:
        raise BadEnvironment(f"{kept} holds no usable key; restore it from a backup, or set SECRET_KEY.")
    return key
