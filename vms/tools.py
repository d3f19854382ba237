"""Programs of others that the product starts, and where they are found. No Django here: the supervisor uses it too."""

import shutil
import sys
from pathlib import Path

from vms import environment

NO_REDIS = (
    "There is no redis-server on this machine. Install it (Debian: apt install redis-server; macOS: brew install "
    "redis), or set REDIS_URL to a server that runs elsewhere."
)


class MissingTool(Exception):
    """The text says which program is missing and how to get it."""


def redis_server() -> str:
    """The system's own Redis if there is one, else the binary that the installation put beside Python."""
    beside = Path(sys.prefix) / "bin" / "redis-server"
    found = shutil.which("redis-server") or (str(beside) if beside.exists() else None)
    if found is None:
        raise MissingTool(NO_REDIS)
    return found


def redis_server_command(data: Path) -> list[str]:
    """An embedded Redis: no port, one socket that only we can open, and its memory kept across restarts.

    Leases of device sessions must survive a crash, or sessions would leak on the devices; so it saves often, and it
    goes on answering when the disk is full (what it holds is rebuilt by its owners within seconds).
    """
    sockets = environment.socket_dir(data)
    return [
        redis_server(),
        *("--port", "0"),
        *("--unixsocket", str(sockets / "redis.sock"), "--unixsocketperm", "700"),
        *("--dir", str(data / "run"), "--dbfilename", "redis.rdb"),
        *("--save", "10", "1", "--stop-writes-on-bgsave-error", "no"),
        *("--maxmemory", "256mb", "--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning", "--daemonize", "no"),
    ]
