"""The demo fleet: simulated devices that make a fresh installation show something.

Rows of ours and a file (`demo.json` in the data directory, mode 0600) that tells the simulators' process what to be.
The supervisor starts that process while the file is there. The devices are spoken to exactly as real ones are.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from pathlib import Path

from django.conf import settings
from django.db import transaction

from accounts.audit import By
from accounts.problems import Problem
from devices import fleet, loop
from devices.cgi import Request, parse_key_values
from devices.errors import DeviceError
from devices.http import Address, exchange
from devices.models import Device, Site

SITE = "Demo"
HOST = "127.0.0.1"
FIRST_PORT, LAST_PORT = 18080, 18979
NAMES = ("Demo entrance", "Demo yard")
SEEDS = 255  # a picture tells its seed in eight bits


def exists() -> bool:
    return Device.objects.filter(simulated=True).exists()


def create_demo_fleet(by: By = None) -> list[Device]:
    """Add the demo devices and the file for the simulators."""
    if exists():
        raise Problem(409, "The demo devices are there already.")
    ports = _free_ports(len(NAMES))
    with transaction.atomic():
        site, _ = Site.objects.get_or_create(name=SITE)
        devices = [
            fleet.add_device(
                by,
                family="povcam",
                name=name,
                host=HOST,
                port=port,
                username="admin",
                password=secrets.token_urlsafe(12),
                site=site,
                simulated=True,
            )
            for name, port in zip(NAMES, ports, strict=True)
        ]
    write_file()
    return devices


def remove_demo_fleet(by: By = None) -> int:
    """Remove the demo devices, their site when nothing else is in it, and the file; answers how many devices went."""
    devices = list(Device.objects.filter(simulated=True))
    for device in devices:
        fleet.remove_device(by, device)
    Site.objects.filter(name=SITE, devices__isnull=True).delete()
    path().unlink(missing_ok=True)
    return len(devices)


def refresh_demo_ports() -> None:
    """Before a start: where a port has been taken by somebody else, pick another; then write the file again.

    A port where our simulator answers is not taken: only the web process started again, not the whole product.
    """
    for device in Device.objects.filter(simulated=True):
        if not _is_free(device.port) and not _answers_as_ours(device):
            (port,) = _free_ports(1)
            fleet.change_device(None, device, {"port": port})
    if exists():
        write_file()


def path() -> Path:
    return settings.DATA_DIR / "demo.json"


def write_file() -> None:
    """Complete or not at all, and for nobody else to read: it holds the passwords."""
    entries = [
        {
            "family": device.family,
            "host": device.host,
            "port": device.port,
            "user": device.username,
            "password": device.password.reveal(),
            "name": device.name,
            # Its own for good: a serial number that moves on when another device goes would mean it was replaced.
            "seed": 1 + (device.pk - 1) % SEEDS,
        }
        for device in Device.objects.filter(simulated=True).order_by("pk")
    ]
    draft = path().with_suffix(f".{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"devices": entries}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path())


def _answers_as_ours(device: Device) -> bool:
    question = exchange(Address("http", device.host, device.port), Request("GET", "/cgi-bin/getinfo?FILE=1"), seconds=2)
    try:
        answer = loop.run(question, 5)
    except DeviceError:
        return False
    serial = parse_key_values(answer.text).get("SERIAL")
    return serial is not None and device.serial in (None, serial)


def _free_ports(count: int) -> list[int]:
    taken = set(Device.objects.filter(host=HOST).values_list("port", flat=True))
    found: list[int] = []
    for port in range(FIRST_PORT, LAST_PORT + 1):
        if port not in taken and _is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise Problem(409, f"There are no {count} free ports between {FIRST_PORT} and {LAST_PORT} for the demo devices.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As a server would, which may follow one that just closed.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
