"""`manage.py bench poll`: how fast a fleet is polled, and what one poll costs.

N devices on loopback, a Redis and a database of the bench's own, and a Celery worker as `manage.py up` starts it. Each
round makes every device due and lets `devices.tasks.poll_due` do the rest; after it, in the same worker, the yardstick:
one plain Celery task per device that asks the same and writes the row. A poll is one whole look at a device that is
well: what its driver sends, and all that is kept of it. Once a minute a look also asks who the device is; rounds in
which that fell are told apart (`identifying`).

Promises: at least 4 times the devices per second of the yardstick, at most 0.8 ms of CPU per poll (of the worker with
all its processes, from their start of a round to its end).

The devices are `vms.bench.replay`, in processes of their own so that their CPU is not counted: what a strict simulator
answered, many times over. `--simulators` takes simulators themselves instead, slower and each of them strict; then the
output tells their violations.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from celery import shared_task

from vms import environment, tools
from vms.bench.product import OWN, ROOT

FAMILIES = ("povcam", "ipcam", "hama")
USERS = dict.fromkeys(FAMILIES, "admin")
PASSWORD = "pw4bench"  # noqa: S105  of devices that exist only while this runs; IPCam takes eight characters
START_SECONDS = 30.0
ROUND_SECONDS = 120.0
# A POVCAM's get_state wants a second of rest, which is not what is measured.
REST_SECONDS = 1.2
LONG_AFTER = 3600  # seconds until a device is due by itself: not while this runs


def run(arguments: list[str]) -> dict[str, Any]:
    _options(arguments)
    with tempfile.TemporaryDirectory(prefix="vms-bench-") as folder:
        variables = {name: value for name, value in os.environ.items() if name not in (*OWN, "DATABASE_URL")}
        variables |= {"DATA_DIR": str(Path(folder) / "var"), "LOG_LEVEL": "WARNING"}
        # Settings are read once in a process, and this one's are those of the user's own installation.
        command = [sys.executable, "-m", "vms.bench.poll", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)  # it has said why
    *log, last = done.stdout.splitlines()
    for line in log:
        print(line, file=sys.stderr)
    figures: dict[str, Any] = json.loads(last)
    return figures


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="manage.py bench poll")
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--family", choices=FAMILIES, default="povcam")
    parser.add_argument("--auth", choices=("basic", "digest"), default="basic")
    parser.add_argument("--concurrency", type=int, default=2, help="processes of the worker; `up` has 2")
    parser.add_argument("--simulators", action="store_true", help="a simulator for each device; for tens of them")
    options = parser.parse_args(arguments)
    if not (1 <= options.devices <= 10_000 and 1 <= options.rounds <= 100 and 1 <= options.concurrency <= 64):
        parser.error("--devices takes 1 to 10000, --rounds 1 to 100, --concurrency 1 to 64.")
    return options


# --- The devices ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Fleet:
    """Listening devices: their ports, what each was asked since the last call, and what they found wrong with it."""

    ports: list[int]
    asked: Callable[[], list[Counter[str]]]
    violations: Callable[[], list[Any]]


@contextlib.contextmanager
def _replayed(options: argparse.Namespace) -> Iterator[Fleet]:
    with _simulators(options, 1) as original:
        command = [sys.executable, "-m", "vms.bench.replay", str(original.ports[0]), str(options.devices)]
        command += [options.auth, USERS[options.family]]
        with _child(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            questions, answers = process.stdin, process.stdout
            assert questions is not None
            assert answers is not None

            def told(line: str) -> Any:
                questions.write(f"{line}\n")
                questions.flush()
                return json.loads(answers.readline())

            ports = told(PASSWORD)
            yield Fleet(ports, lambda: [Counter(each) for each in told("")], original.violations)


@contextlib.contextmanager
def _simulators(options: argparse.Namespace, count: int) -> Iterator[Fleet]:
    one = {"family": options.family, "port": 0, "password": PASSWORD, "user": USERS[options.family]}
    # Before the replay the simulator asks for Basic, whatever the replay asks for.
    one |= {"auth_scheme": options.auth if options.simulators else "basic"}
    if options.family != "hama":
        one["user_auth"] = True
    config = environment.data_dir() / "fleet.json"
    config.write_text(json.dumps({"devices": [one] * count}))
    command = [sys.executable, "-m", "simulators", "fleet", "--control", "--config", str(config)]
    with _child(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        # "simulating povcam http://127.0.0.1:40001"
        ports = [int(process.stdout.readline().rpartition(":")[2]) for _ in range(count)]

        violations: list[Any] = []

        def asked() -> list[Counter[str]]:
            """Read and emptied, since a simulator remembers only so much."""
            found = []
            for port in ports:
                requests = _side_door(port, "requests")
                violations.extend(_side_door(port, "violations"))
                httpx.post(f"http://127.0.0.1:{port}/_sim/forget", timeout=10).raise_for_status()
                found.append(Counter(each["target"] for each in requests if each["status"] != 401))
            return found

        yield Fleet(ports, asked, lambda: [*violations, *(each for p in ports for each in _side_door(p, "violations"))])


def _side_door(port: int, name: str) -> list[Any]:
    found: list[Any] = httpx.get(f"http://127.0.0.1:{port}/_sim/{name}", timeout=10).json()[name]
    return found


@contextlib.contextmanager
def _child(command: list[str], **how: Any) -> Iterator[subprocess.Popen[Any]]:
    process = subprocess.Popen(command, cwd=ROOT, **{"stdout": sys.stderr, **how})
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# --- The yardstick ----------------------------------------------------------------------------------------------------
@shared_task(name="bench.look_plainly")  # type: ignore[untyped-decorator]  # Celery's have no types
def look_plainly(device_id: int, targets: list[str], auth: str) -> None:
    """What one would write at first: ask one device, write its row."""
    from django.utils import timezone

    from devices.models import Device, State

    device = Device.objects.get(pk=device_id)
    word = device.password.reveal()
    login = httpx.DigestAuth(device.username, word) if auth == "digest" else httpx.BasicAuth(device.username, word)
    found = dict(device.status)
    # Without the certificates of the system, whose reading alone would cost more than everything else.
    with httpx.Client(auth=login, timeout=10, verify=False, trust_env=False) as client:  # noqa: S501  plain HTTP
        for target in targets:
            answer = client.get(f"http://{device.host}:{device.port}{target}").raise_for_status()
            found["plain"] = dict(line.split("=", 1) for line in answer.text.splitlines() if "=" in line)
    device.status, device.state, device.last_seen = found, State.ONLINE, timezone.now()
    device.save(update_fields=["status", "state", "last_seen"])


@shared_task(name="bench.hand_out_plainly")  # type: ignore[untyped-decorator]
def hand_out_plainly(targets: list[str], auth: str) -> None:
    from devices.models import Device

    for device_id in Device.objects.filter(enabled=True).values_list("pk", flat=True):
        look_plainly.apply_async((device_id, targets, auth), queue="poll")


# --- The measurement --------------------------------------------------------------------------------------------------
def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Inside the bench's own data directory. Django is set up here, since its settings are those of that directory."""
    import django

    data = environment.data_dir()
    environment.socket_dir(data).mkdir(mode=0o700, parents=True, exist_ok=True)
    (data / "run").mkdir(mode=0o700, exist_ok=True)
    os.environ["DJANGO_SETTINGS_MODULE"] = "vms.settings"
    django.setup()
    from django.core.management import call_command

    worker = [sys.executable, "-m", "celery", "-A", "vms.celery", "--quiet", "worker", "--loglevel", "WARNING"]
    worker += ["--queues", "default,poll,uids,jobs", "--concurrency", str(options.concurrency)]
    worker += ["--without-gossip", "--without-mingle", "--include", "vms.bench.poll"]
    call_command("migrate", interactive=False, verbosity=0)
    devices = _simulators(options, options.devices) if options.simulators else _replayed(options)
    redis_command = tools.redis_server_command(data)
    with _child(redis_command, stdout=subprocess.DEVNULL) as redis_server, devices as fleet, _child(worker) as process:
        _until(_beats, START_SECONDS, "the worker did not start")
        round_of = _Rounds(options, fleet, process.pid, redis_server.pid)
        first = round_of.ours()
        if unwell := round_of.unwell():
            raise SystemExit(f"The benchmark ended early: {unwell} devices are not online.")
        targets = sorted(round_of.ours().targets)  # without the questions who it is: those come once a minute
        ours, plain, identifying = [], [], []
        for _ in range(options.rounds):
            each = round_of.ours()
            if each.targets.keys() > set(targets):
                identifying.append(each)
                each = round_of.ours()
            ours.append(each)
            plain.append(round_of.plain(targets))
        rounds = {"ours": ours, "yardstick": plain, "first_look": [first], "identifying": identifying}
        return _figures(options, rounds, targets, fleet.violations())


@dataclass(frozen=True)
class Round:
    seconds: float
    cpu: float  # seconds of the worker with its processes
    redis_cpu: float
    targets: Counter[str]  # what all devices together were asked
    fewest: int  # commands one device was asked, at least and at most
    most: int


class _Rounds:
    """Runs one round after the other over the same devices."""

    def __init__(self, options: argparse.Namespace, fleet: Fleet, worker: int, redis_server: int) -> None:
        from devices.models import Device, Site

        self._options, self._fleet = options, fleet
        self._worker, self._redis_server = worker, redis_server
        site = Site.objects.create(name="Bench")
        rows = [
            Device(
                name=f"Device {number}",
                family=options.family,
                host="127.0.0.1",
                port=port,
                username=USERS[options.family],
                password=PASSWORD,
                site=site,
                options={"poll_seconds": LONG_AFTER},
            )
            for number, port in enumerate(fleet.ports, 1)
        ]
        Device.objects.bulk_create(rows)

    def ours(self) -> Round:
        from devices import polling
        from devices.coordination import shared_sync
        from vms.celery import app

        redis = shared_sync()

        polling.follow_database(self._ids())
        polling.time_to_follow()  # was done just now

        def hand_out() -> None:
            redis.zadd(polling._DUE, {str(each): 1 for each in self._ids()})
            for _ in range(0, self._options.devices, polling.DUE_AT_ONCE):
                app.send_task("devices.tasks.poll_due")

        def done() -> bool:
            later = int((time.time() + LONG_AFTER / 2) * 1000)
            return bool(redis.zcount(polling._DUE, later, "+inf") == self._options.devices)

        return self._round(hand_out, done)

    def plain(self, targets: list[str]) -> Round:
        from django.utils import timezone

        from devices.models import Device
        from vms.celery import app

        began = timezone.now()
        return self._round(
            lambda: app.send_task("bench.hand_out_plainly", (targets, self._options.auth), queue="poll"),
            lambda: bool(Device.objects.filter(last_seen__gt=began).count() == self._options.devices),
        )

    def unwell(self) -> int:
        from devices.models import Device, State

        return Device.objects.exclude(state=State.ONLINE).count()

    def _ids(self) -> list[int]:
        from devices.models import Device

        return list(Device.objects.values_list("pk", flat=True))

    def _round(self, hand_out: Callable[[], object], done: Callable[[], bool]) -> Round:
        time.sleep(REST_SECONDS)
        self._fleet.asked()
        cpu, redis_cpu, began = _cpu_seconds(self._worker), _cpu_seconds(self._redis_server), time.monotonic()
        hand_out()
        _until(done, ROUND_SECONDS, "a round did not come to its end")
        seconds = time.monotonic() - began
        cpu, redis_cpu = _cpu_seconds(self._worker) - cpu, _cpu_seconds(self._redis_server) - redis_cpu
        asked = self._fleet.asked()
        commands = [each.total() for each in asked]
        return Round(seconds, cpu, redis_cpu, sum(asked, Counter()), min(commands), max(commands))


def _figures(
    options: argparse.Namespace, rounds: dict[str, list[Round]], targets: list[str], violations: list[Any]
) -> dict[str, Any]:
    devices, ours, plain = options.devices, rounds["ours"], rounds["yardstick"]

    def rate(each: Round) -> float:
        return float(devices / each.seconds)

    def milliseconds(each: Round) -> float:
        return float(1000 * each.cpu / devices)

    def told(rounds: list[Round]) -> dict[str, Any]:
        return {
            "devices_per_s": [round(rate(each)) for each in rounds],
            "cpu_ms_per_poll": [round(milliseconds(each), 3) for each in rounds],
            "redis_cpu_ms_per_poll": [round(1000 * each.redis_cpu / devices, 3) for each in rounds],
            "commands_per_device": [min(each.fewest for each in rounds), max(each.most for each in rounds)],
        }

    return {
        "devices": devices,
        "family": options.family,
        "auth": options.auth,
        "devices_are": "simulators" if options.simulators else "replays of one simulator's answers",
        "worker_processes": options.concurrency,
        "asked": targets,
        "devices_per_s": round(statistics.median(map(rate, ours))),
        "yardstick_devices_per_s": round(statistics.median(map(rate, plain))),
        "times_yardstick": round(statistics.median(rate(a) / rate(b) for a, b in zip(ours, plain, strict=True)), 2),
        "cpu_ms_per_poll": round(statistics.median(map(milliseconds, ours)), 3),
        "yardstick_cpu_ms_per_poll": round(statistics.median(map(milliseconds, plain)), 3),
        "rounds": {name: told(each) for name, each in rounds.items() if each},
        "violations": len(violations),
    }


def _beats() -> bool:
    from devices.coordination import shared_sync

    return shared_sync().get("vms:heartbeat") is not None


def _until(holds: Callable[[], bool], within: float, otherwise: str) -> None:
    from redis import RedisError

    deadline = time.monotonic() + within
    while True:
        with contextlib.suppress(RedisError):
            if holds():
                return
        if time.monotonic() > deadline:
            raise SystemExit(f"The benchmark ended early: {otherwise} within {within:.0f} s.")
        time.sleep(0.01)


def _cpu_seconds(pid: int) -> float:
    """Of a process and its children, those that ended included."""
    ticks = 0
    for each in (pid, *_children(pid)):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:13] if each != pid else fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


if __name__ == "__main__":
    print(json.dumps(measure(_options(sys.argv[1:]))))
