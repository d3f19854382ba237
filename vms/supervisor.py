"""`manage.py up`: the whole product as one process tree, supervised.

    supervisor ─┬─ redis        embedded, unless REDIS_URL names one
                ├─ web          pages, API, sockets, relay (the first one also prepares the database)
                ├─ worker       Celery: polling, UIDs, jobs
                ├─ beat         Celery: what is due when
                ├─ intake       receivers for what devices send on their own
                └─ simulators   the demo fleet, while demo.json is in the data directory

Strategy: everything that can be refused is refused before anything starts (data directory, lock, address). The
listening socket belongs to the supervisor, so a web process that dies takes no connection attempt with it: they wait
until it is back. A part that ends is started again with back-off. Stopping goes from the pages down, Redis last, within
10 s. Nothing is left behind even when the supervisor itself is killed: the kernel signals its children (Linux).

This module loads neither Django nor anything else but the standard library: it must start at once and stay small.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from vms import environment, tools

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0  # seconds before a part that ended is started again
STEADY_AFTER = 20.0  # a part that ran this long has earned the first pause again
READY_WITHIN = 60.0
MINIMUM_FREE = 64 * 1024 * 1024  # bytes of disk below which starting would only fail later and less clearly
UNUSABLE = 78  # exit status of a part that says: starting me again will not help (EX_CONFIG)
LONGEST_LINE = 16 * 1024
ROOT = Path(__file__).resolve().parent.parent

SIMULATOR_NOISE = ("simulating ",)
REDIS_NOISE = (
    *("oO0OoO0OoO0Oo", "Redis version=", "Configuration loaded", "Server initialized", "Memory overcommit", "bye bye"),
    *("Received SIGTERM", "User requested shutdown"),
)
WORKER_NOISE = ("Warm shutdown",)

# Stopping: these together stay below the promised 10 s.
STOP_DEVICES_USERS, STOP_SIMULATORS, STOP_REDIS, KILL_WAIT = 5.0, 1.5, 1.5, 1.0
ASK_AGAIN = 1.5


class CannotStart(Exception):
    """Why nothing was started: one sentence for the user."""


@dataclass
class Part:
    """One child process and what is needed to keep it."""

    name: str
    command: list[str]
    noise: tuple[str, ...] = ()  # lines with one of these say nothing to anybody
    stop_signal: int = signal.SIGTERM
    wanted: Callable[[], bool] = lambda: True
    process: asyncio.subprocess.Process | None = None
    started: float = 0.0
    restarts: int = 0
    keeper: asyncio.Task[None] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="manage.py up", description="Start the whole product and keep it running.")
    parser.add_argument("--host", default=environment.text("HOST", "127.0.0.1"), help="address to serve on")
    parser.add_argument("--port", type=int, default=environment.number("PORT", 8000, 0, 65535), help="port to serve on")
    parser.add_argument("--data-dir", default=str(environment.data_dir()), help="folder that all state lives under")
    parser.add_argument(
        "--demo",
        action=argparse.BooleanOptionalAction,
        default=environment.flag("DEMO", True),
        help="add simulated devices at a first start with no device",
    )
    parser.add_argument("--workers", type=int, default=1, help="number of web processes")
    options = parser.parse_args(arguments)
    if not 1 <= options.workers <= 64:
        parser.error("--workers takes a number from 1 to 64.")
    if not 0 <= options.port <= 65535:
        parser.error("--port takes a number from 0 to 65535 (0: any free port).")
    return options


def open_data_dir(data: Path) -> None:
    """Make the data directory if need be, and make sure that it can be written and is not full."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data / "run").mkdir(mode=0o700, exist_ok=True)
        environment.socket_dir(data).mkdir(mode=0o700, exist_ok=True)
        trial = data / "run" / f".trial.{os.getpid()}"
        trial.write_bytes(b"x" * 4096)
        trial.unlink()
        free = shutil.disk_usage(data).free
    except OSError as error:
        raise CannotStart(
            f"The data directory {data} cannot be written ({error.strerror}). Make room or give it to this user, or "
            "choose another with --data-dir."
        ) from error
    if environment.socket_dir(data).stat().st_uid != os.getuid():
        raise CannotStart(f"{environment.socket_dir(data)} belongs to another user. Remove it and start again.")
    if free < MINIMUM_FREE:
        raise CannotStart(
            f"The disk of the data directory {data} is full ({free // 2**20} MB free, {MINIMUM_FREE // 2**20} MB "
            "needed). Make room, or choose another with --data-dir."
        )


def lock_data_dir(data: Path, patience: float = 12.0) -> IO[str]:
    """Take the lock that keeps a second instance out; the children inherit it, so it lasts as long as any of them.

    Patience is for what a killed supervisor left to die; a living one is refused at once.
    """
    file = (data / "run" / "lock").open("a+")
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip()
            alive = holder.isdigit() and Path(f"/proc/{holder}").exists()
            if alive or time.monotonic() > deadline:
                raise CannotStart(
                    f"Another instance (process {holder or 'unknown'}) uses the data directory {data}. Stop it, or "
                    "choose another with --data-dir."
                ) from error
            time.sleep(0.1)
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    os.set_inheritable(file.fileno(), True)
    return file


def bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        reason = "is used by another program" if error.errno == 98 else f"cannot be used ({error.strerror})"
        raise CannotStart(f"Port {port} on {host} {reason}. Stop it, or choose another with --port.") from error
    listener.set_inheritable(True)
    return listener


def die_with_parent(number: int) -> Callable[[], None]:
    """For a child, before it executes: have the kernel send it this signal when the supervisor dies."""
    parent = os.getpid()
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def arrange() -> None:
        if libc is not None:
            libc.prctl(1, number)  # PR_SET_PDEATHSIG
            if os.getppid() != parent:  # it died before we could ask
                os._exit(1)

    return arrange


class Log:
    """One line per line of any part, with the part's name in front."""

    def __init__(self) -> None:
        self.quiet = False

    def say(self, part: str, line: str) -> None:
        self.write(f"{part:<10} │ {line}")

    def write(self, line: str) -> None:
        # Whoever read our output may be gone (a closed terminal, a full disk): the product runs on.
        with contextlib.suppress(OSError, ValueError):
            print(line, flush=True)


class Supervisor:
    def __init__(self, options: argparse.Namespace, listener: socket.socket, lock: IO[str], log: Log) -> None:
        self.options, self.listener, self.lock, self.log = options, listener, lock, log
        self.data = Path(options.data_dir)
        self.host, self.port = options.host, listener.getsockname()[1]
        self.stopping = asyncio.Event()
        self.hurry = asyncio.Event()
        self.failure: str | None = None
        self.embedded = not environment.text("REDIS_URL")
        self.environment = {
            **os.environ,
            "DATA_DIR": str(self.data),
            "HOST": self.host,
            "PORT": str(self.port),
            "DEMO": "1" if options.demo else "0",
            "REDIS_URL": environment.redis_url(self.data),
            "DJANGO_SETTINGS_MODULE": "vms.settings",
            "PYTHONUNBUFFERED": "1",
        }
        self.parts = self.plan()

    def plan(self) -> list[Part]:
        python, fd = sys.executable, str(self.listener.fileno())
        celery = [python, "-m", "celery", "-A", "vms.celery", "--quiet"]
        log_level = ["--loglevel", "WARNING"]
        parts = []
        if self.embedded:
            parts.append(Part("redis", tools.redis_server_command(self.data), noise=REDIS_NOISE))
        for index in range(self.options.workers):
            name = "web" if index == 0 else f"web-{index + 1}"
            parts.append(Part(name, [python, "-m", "vms.web", "--fd", fd, *(["--prepare"] if index == 0 else [])]))
        queues = ["--queues", "default,poll,uids,jobs", "--concurrency", "2"]
        worker = [*celery, "worker", *queues, "--without-gossip", "--without-mingle", *log_level]
        parts.append(Part("worker", worker, noise=WORKER_NOISE))
        parts.append(Part("beat", [*celery, "beat", "--pidfile", "", *log_level]))
        parts.append(Part("intake", [python, "-m", "recordings.intake"]))
        demo = self.data / "demo.json"
        fleet = [python, "-m", "simulators", "fleet", "--config", str(demo)]
        parts.append(Part("simulators", fleet, noise=SIMULATOR_NOISE, wanted=demo.exists))
        return parts

    def named(self, *names: str) -> list[Part]:
        return [part for part in self.parts if part.name in names or part.name.partition("-")[0] in names]

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    # --- one part ---------------------------------------------------------------------------------------------------

    async def start(self, part: Part) -> None:
        part.process = await asyncio.create_subprocess_exec(
            *part.command,
            env=self.environment,
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(self.listener.fileno(), self.lock.fileno()),
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
        part.started = time.monotonic()

    async def relay_output(self, part: Part) -> None:
        assert part.process is not None
        assert part.process.stdout is not None
        rest = b""
        while chunk := await part.process.stdout.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self.say(part, line)
        self.say(part, rest)

    def say(self, part: Part, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text and not any(each in text for each in part.noise):
            self.log.say(part.name, text)

    async def keep(self, part: Part) -> None:
        """Run this part as long as it is wanted, starting it again when it ends."""
        pause = FIRST_PAUSE
        while not self.stopping.is_set():
            if not part.wanted():
                await self.sleep(0.5)
                continue
            await self.start(part)
            assert part.process is not None
            output = asyncio.create_task(self.relay_output(part))
            unwanted = asyncio.create_task(self.stop_when_unwanted(part))
            status = await part.process.wait()
            unwanted.cancel()
            self.kill_group(part)  # whatever it leaves of its own children
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(output, 1)
            if self.stopping.is_set() or not part.wanted():
                continue
            if status == UNUSABLE and not self.log.quiet:
                self.fail(f"{part.name} cannot start; the lines above say why.")
                return
            if time.monotonic() - part.started > STEADY_AFTER:
                pause = FIRST_PAUSE
            part.restarts += 1
            ended = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            self.log.say("supervisor", f"{part.name} {ended}; starting it again in {pause:.1f} s")
            await self.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def stop_when_unwanted(self, part: Part) -> None:
        while part.wanted():
            await self.sleep(0.5)
            if self.stopping.is_set():
                return  # `stop` ends all parts in their order, Redis last
        self.signal(part, part.stop_signal)

    async def sleep(self, seconds: float) -> None:
        """Sleep, but not through the order to stop."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)

    def signal(self, part: Part, number: int) -> None:
        if part.running and part.process is not None:
            with contextlib.suppress(ProcessLookupError):
                part.process.send_signal(number)

    def kill_group(self, part: Part) -> None:
        if part.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(part.process.pid, signal.SIGKILL)

    # --- all of them ------------------------------------------------------------------------------------------------

    def fail(self, sentence: str) -> None:
        self.failure = self.failure or sentence
        self.stopping.set()

    def order_to_stop(self) -> None:
        if self.stopping.is_set():
            self.hurry.set()
        self.stopping.set()

    def begin(self, *names: str) -> None:
        for part in self.named(*names):
            part.keeper = asyncio.create_task(self.keep(part))

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.order_to_stop)
        announce = asyncio.create_task(self.bring_up())
        await self.stopping.wait()
        announce.cancel()
        await self.stop()
        if self.failure:
            self.log.write(self.failure)
        return 1 if self.failure else 0

    async def bring_up(self) -> None:
        """Redis, then the first web process (it prepares the database) beside the worker; the rest once it answers."""
        self.begin("redis")
        if self.embedded and not await self.until(self.redis_answers):
            return self.fail("The embedded Redis does not answer; the lines above say why.")
        self.named("web")[0].keeper = asyncio.create_task(self.keep(self.named("web")[0]))
        self.begin("worker")
        if not await self.until(lambda: self.get("/healthz") == 200):
            return self.fail(f"The web process did not answer within {READY_WITHIN:.0f} s; the lines above say why.")
        for part in self.named("web")[1:]:
            part.keeper = asyncio.create_task(self.keep(part))
        self.begin("beat", "intake", "simulators")
        if not await self.until(lambda: self.get("/readyz") == 200 and self.all_started()):
            return self.fail(f"The product was not ready within {READY_WITHIN:.0f} s; {self.url}/readyz says why.")
        self.log.quiet = True
        self.log.write(f"ready {self.url}")
        self.log.write(self.sign_in_line())
        return None

    def all_started(self) -> bool:
        return all(part.running for part in self.parts if part.wanted()) and self.demo_answers()

    def demo_answers(self) -> bool:
        """The simulators listen: a first look at the demo fleet must not find it offline."""
        try:
            devices = json.loads((self.data / "demo.json").read_text())["devices"]
        except (OSError, ValueError, KeyError):
            return True  # there is no demo fleet
        for device in devices:
            try:
                socket.create_connection((device["host"], device["port"]), 0.5).close()
            except OSError:
                return False
        return True

    async def until(self, holds: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + READY_WITHIN
        while not self.stopping.is_set() and time.monotonic() < deadline:
            if await asyncio.to_thread(holds):
                return True
            await self.sleep(0.04)
        return False

    def redis_answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(environment.socket_dir(self.data) / "redis.sock"))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
        return False

    def get(self, path: str) -> int:
        """The status that our own door answers with; 0 for no answer."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 — compared, not bound
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(host, self.port, timeout=2)
            try:
                connection.request("GET", path, headers={"Host": "localhost"})
                return connection.getresponse().status
            finally:
                connection.close()
        return 0

    def sign_in_line(self) -> str:
        kept = self.data / "initial-admin-password"
        with contextlib.suppress(OSError):
            name, _, password = kept.read_text().strip().partition("\n")
            return f"sign in as {name} with the one-time password {password} (kept in {kept} until then)"
        return "sign in with your account"

    async def stop(self) -> None:
        began = time.monotonic()
        await self.end(self.named("web", "beat", "intake", "worker"), STOP_DEVICES_USERS)
        await self.end(self.named("simulators"), STOP_SIMULATORS)
        await self.end(self.named("redis"), STOP_REDIS)
        with contextlib.suppress(OSError):
            self.lock.truncate(0)
        self.log.say("supervisor", f"stopped in {time.monotonic() - began:.1f} s")

    async def end(self, parts: list[Part], patience: float) -> None:
        """Ask these parts to stop, more than once if need be, and kill what is still there when patience ends."""
        keepers = [part.keeper for part in parts if part.keeper is not None]
        if not keepers:
            return
        waiting = asyncio.gather(*keepers, return_exceptions=True)
        hurry = asyncio.create_task(self.hurry.wait())
        everything: list[asyncio.Future[Any]] = [waiting, hurry]
        deadline = time.monotonic() + patience
        while (left := deadline - time.monotonic()) > 0 and not waiting.done() and not hurry.done():
            # Asked again, since Python programs can lose a signal: its exception may fall into a place that drops it.
            for part in parts:
                self.signal(part, part.stop_signal)
            await asyncio.wait(everything, timeout=min(ASK_AGAIN, left), return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        for part in parts:
            if part.running:
                self.log.say("supervisor", f"{part.name} did not stop when asked; killing it")
                self.kill_group(part)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(waiting, KILL_WAIT)


def check_settings(variables: dict[str, str]) -> None:
    """Have every variable read once, in a process of its own, so that a bad one is refused before anything starts."""
    code = "import sys\ntry:\n import vms.settings\nexcept Exception as problem:\n sys.exit(str(problem))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise CannotStart(done.stderr.strip() or "The settings cannot be read.")


def check_redis(url: str) -> None:
    """A Redis that runs elsewhere has to be there before we start; which of its answers are right, the parts see."""
    parts = urlsplit(url)
    try:
        if parts.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(3)
                client.connect(parts.path)
        else:
            socket.create_connection((parts.hostname or "localhost", parts.port or 6379), 3).close()
    except OSError as error:
        where = parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"
        raise CannotStart(
            f"The Redis of REDIS_URL does not answer at {where} ({error.strerror or error}). "
            "Start it, or unset REDIS_URL."
        ) from error


def main(arguments: Sequence[str]) -> int:
    os.umask(0o077)
    try:
        options = parse(arguments)
        data = Path(options.data_dir).expanduser().absolute()
        options.data_dir = str(data)
        if url := environment.text("REDIS_URL"):
            environment.redis_url(data)
            check_redis(url)
        else:
            tools.redis_server()
        open_data_dir(data)
        lock = lock_data_dir(data)
        listener = bind(options.host, options.port)
        check_settings({**os.environ, "DATA_DIR": str(data), "HOST": options.host})
    except (CannotStart, environment.BadEnvironment, tools.MissingTool) as problem:
        print(problem, file=sys.stderr)
        return 1

    async def supervise() -> int:
        return await Supervisor(options, listener, lock, Log()).run()

    return asyncio.run(supervise())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
