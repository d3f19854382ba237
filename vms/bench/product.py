"""A whole running product in a directory of its own, started as a user starts it. Benchmarks and tests drive it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from vms import environment

ROOT = Path(__file__).resolve().parent.parent.parent
# What a surrounding test run or shell may have set must not reach into the product under test.
OWN = ("DATA_DIR", "SECRET_KEY", "REDIS_URL", "HOST", "PORT", "DEMO", "ALLOWED_HOSTS", "DJANGO_ALLOW_ASYNC_UNSAFE")


class NotReady(Exception):
    """It ended or took too long; the text holds its log."""


class Product:
    """`manage.py up` as a child process. `start()` returns when it is ready."""

    def __init__(self, data: Path, *arguments: str, **variables: str) -> None:
        self.data = data
        self.command = [sys.executable, "manage.py", "up", "--port", "0", "--data-dir", str(data), *arguments]
        inherited = {key: value for key, value in os.environ.items() if key not in OWN}
        self.environment = {**inherited, **variables}
        self.lines: list[str] = []
        self.ready_after = 0.0
        self.url = ""

    def start(self, within: float = 60.0) -> Product:
        began = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(within) or not self.url:
            self.kill()
            raise NotReady("\n".join(self.lines[-60:]))
        self.ready_after = time.monotonic() - began
        return self

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if found := re.fullmatch(r"ready (http://\S+)\n?", line):
                self.url = found.group(1)
            elif line.startswith("sign in "):
                self._ready.set()
        self._ready.set()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of the product, on the same data directory."""
        variables = {**self.environment, "DATA_DIR": str(self.data), "PORT": str(self.port) if self.url else "8000"}
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60)

    def children(self) -> dict[str, int]:
        """The process ids of the parts, by the name the supervisor gives them."""
        marks = {
            "redis": "redis-server",
            "web": "vms.web",
            "worker": "vms.celery\0--quiet\0worker",
            "beat": "vms.celery\0--quiet\0beat",
            "intake": "recordings.intake",
            "simulators": "simulators\0fleet",
        }
        found = {}
        for pid in self._descendants(direct=True):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_text()
            except OSError:
                continue
            for name, mark in marks.items():
                if mark in command:
                    found[name] = pid
        return found

    def _descendants(self, direct: bool = False) -> list[int]:
        parents: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if fields[0] != "Z":
                    parents.setdefault(int(fields[1]), []).append(int(entry.name))
        found = list(parents.get(self.process.pid, []))
        if not direct:
            for pid in found:
                found.extend(parents.get(pid, []))
        return found

    def tree(self) -> list[int]:
        return [self.process.pid, *self._descendants()]

    def stop(self, within: float = 15.0) -> float:
        """Ask it to stop, as Ctrl-C does; how long it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(within)
        self._reader.join(5)
        return time.monotonic() - began

    def kill(self) -> None:
        """Leave nothing of it behind, whatever state it is in."""
        for pid in reversed(self.tree()) if self.process.poll() is None else []:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(10)
        sockets = environment.socket_dir(self.data)
        for path in [sockets / "redis.sock"]:
            path.unlink(missing_ok=True)
