"""Simulated devices in a process of their own, and a product that has them. For benchmarks that need whole devices."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from vms.bench.product import ROOT, Product

PASSWORD = "pw4bench"  # noqa: S105  of what exists only while this runs; IPCam takes eight characters
USERS = {"ipro": "ADMIN"}  # the others: admin
PASSWORD_OF_ADMIN = "correct horse battery"  # noqa: S105
PATIENCE = 60.0


@dataclass(frozen=True)
class Device:
    """A simulated one: what its side door tells and takes."""

    family: str
    name: str
    port: int

    def side_door(self, name: str) -> dict[str, Any]:
        told: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.port}/_sim/{name}", timeout=10).json()
        return told

    def inject(self, kind: str, **details: Any) -> None:
        answer = httpx.post(f"http://127.0.0.1:{self.port}/_sim/fault", json={"kind": kind, **details}, timeout=10)
        answer.raise_for_status()


@contextlib.contextmanager
def simulated(described: Sequence[dict[str, Any]]) -> Iterator[tuple[list[Device], int]]:
    """These devices, as simulators/fleet.py takes them without port and password, and the id of their process."""
    entries = [
        {"port": 0, "user": USERS.get(each["family"], "admin"), "password": PASSWORD, "name": f"Bench {number}", **each}
        for number, each in enumerate(described, 1)
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"devices": entries}, file)
        file.flush()
        command = [sys.executable, "-m", "simulators", "fleet", "--control", "--config", file.name]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            # "simulating povcam http://127.0.0.1:40001", in their order
            lines = [process.stdout.readline() for _ in entries]
            if not all(lines):
                raise SystemExit("the simulated devices did not start")
            ports = [int(line.rpartition(":")[2]) for line in lines]
            yield (
                [Device(each["family"], each["name"], port) for each, port in zip(entries, ports, strict=True)],
                process.pid,
            )
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def product(*arguments: str, **variables: str) -> Iterator[tuple[Product, httpx.Client]]:
    """A product of its own without devices, and a client of its interface that may do everything."""
    with tempfile.TemporaryDirectory(prefix="vms-bench-") as folder:
        running = Product(
            Path(folder) / "var", "--no-demo", *arguments, VMS_ADMIN_PASSWORD=PASSWORD_OF_ADMIN, **variables
        )
        running.start()
        try:
            token = running.manage("apitoken", "admin").stdout.strip()
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=f"{running.url}/api/v1/", headers=headers, timeout=30) as api:
                yield running, api
            running.stop()
        finally:
            running.kill()


def add(api: httpx.Client, device: Device, **options: Any) -> int:
    """Add it to the product; its id."""
    entry = {
        "name": device.name,
        "family": device.family,
        "scheme": "http",
        "host": "127.0.0.1",
        "port": device.port,
        "username": USERS.get(device.family, "admin"),
        "password": PASSWORD,
        "options": options,
    }
    answer = api.post("devices", json=entry)
    if answer.status_code != 201:
        raise SystemExit(f"the product did not take {device.name}: {answer.text}")
    return int(answer.json()["id"])


def cameras(api: httpx.Client, device: int, count: int) -> list[int]:
    """The ids of this device's cameras, once so many of them can be watched."""
    found: list[int] = []

    def there() -> bool:
        listed = api.get("cameras", params={"limit": 500}).raise_for_status().json()["results"]
        found[:] = [each["id"] for each in listed if each["device"] == device and each["streams"]]
        return len(found) >= count

    until(there, f"the product found {len(found)} of {count} cameras")
    return found


def until(holds: Callable[[], bool], otherwise: str, within: float = PATIENCE) -> None:
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"{otherwise} within {within:.0f} s")
        time.sleep(0.1)
