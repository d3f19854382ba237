"""The demo fleet: simulated devices that make a fresh installation show something.

Rows of ours and a file (`demo.json` in the data directory, mode 0600) that tells the simulators' process what to be.
The supervisor starts that process while the file is there. The devices are spoken to exactly as real ones are.

A password that cannot be read (SECRET_KEY is another) is left alone: its simulator stays what the file says it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import secrets
import socket
from datetime import UTC
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts.audit import By
from accounts.problems import Problem
from devices import fleet, loop, trust
from devices.errors import Busy, DeviceError, NoCoordination
from devices.families import driver_for
from devices.gateway import Gateway
from devices.models import Device, Site

logger = logging.getLogger(__name__)

SITE = "Demo"
HOST = "127.0.0.1"
FIRST_PORT, LAST_PORT = 18080, 18979
FLEET = (
    ("povcam", "Demo entrance"),
    ("povcam", "Demo yard"),
    ("ipro", "Demo recorder"),
    ("ipcam", "Demo office"),
    ("hama", "Demo hall"),
)
# What a simulator is told besides. All ask for a password, whatever for: only ours takes ours.
SETTINGS: dict[str, dict[str, Any]] = {
    "povcam": {"user_auth": True},
    "ipro": {"user_auth": True, "cameras": 8},
    "ipcam": {"user_auth": True},
    "hama": {},
}
USERS = {"ipro": "ADMIN"}  # the others: admin
PASSWORD_LENGTH = {"ipcam": 8}  # the others: 16
WHO_IS_THERE_SECONDS = 5.0


def exists() -> bool:
    return Device.objects.filter(simulated=True).exists()


def create_demo_fleet(by: By = None) -> list[Device]:
    """Add the demo devices and the file for the simulators."""
    if exists():
        raise Problem(409, "The demo devices are there already.")
    ports = _free_ports(len(FLEET))
    with transaction.atomic():
        site, _ = Site.objects.get_or_create(name=SITE)
        devices = [
            fleet.add_device(
                by,
                family=family,
                name=name,
                host=HOST,
                port=port,
                username=USERS.get(family, "admin"),
                password=secrets.token_urlsafe(16)[: PASSWORD_LENGTH.get(family, 16)],
                site=site,
                simulated=True,
            )
            for (family, name), port in zip(FLEET, ports, strict=True)
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

    A port where our simulator answers is not taken: only the web process started again, not the whole product. Nor is
    one of which we cannot tell.
    """
    occupied = [
        device
        for device in Device.objects.filter(simulated=True)
        if device.password.readable and not _is_free(device.port)
    ]
    for device in loop.run(_not_ours(occupied), 2 * WHO_IS_THERE_SECONDS):
        (port,) = _free_ports(1)
        fleet.change_device(None, device, {"port": port})
    if exists():
        write_file()


def path() -> Path:
    return settings.DATA_DIR / "demo.json"


def write_file() -> None:
    """Complete or not at all, and for nobody else to read: it holds the passwords."""
    before = _passwords_in_the_file()
    entries = []
    for device in Device.objects.filter(simulated=True).order_by("pk"):
        seed = _seed(device)
        password = device.password.reveal() if device.password.readable else before.get(seed)
        if password is None:
            logger.warning(
                "the demo device %s is not started: its password cannot be read, because SECRET_KEY has changed. Put "
                "the earlier key back, or remove the demo devices and add them again",
                device.name,
                extra={"device": device.pk},
            )
            continue
        entries.append(
            {
                "family": device.family,
                "host": device.host,
                "port": device.port,
                "user": device.username,
                "password": password,
                "name": device.name,
                "seed": seed,
                **SETTINGS[device.family],
            }
        )
    if not entries:
        path().unlink(missing_ok=True)
        return
    draft = path().with_suffix(f".{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"devices": entries}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path())


def _passwords_in_the_file() -> dict[int, str]:
    """By seed; nothing when the file is not there, or is not as we write it."""
    try:
        return {entry["seed"]: entry["password"] for entry in json.loads(path().read_text())["devices"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _seed(device: Device) -> int:
    """What makes a simulated device one of a kind: its serial number and MAC address come from it.

    Its own for good: a serial number that moves on when another device goes would mean it was replaced. And of this
    installation alone, so that the simulators of another are never taken for ours: two are not made in the same
    microsecond. Its lowest eight bits, which a picture shows, tell the devices of a fleet apart.
    """
    born = hashlib.sha256(device.created.astimezone(UTC).isoformat().encode()).digest()
    return int.from_bytes(born[:3], "big") << 8 | device.pk % 256


async def _not_ours(devices: list[Device]) -> list[Device]:
    """Those at whose address somebody else listens."""
    answers = await asyncio.gather(*map(_is_somebody_elses, devices))
    return [device for device, somebody_elses in zip(devices, answers, strict=True) if somebody_elses]


async def _is_somebody_elses(device: Device) -> bool:
    """Only our own simulator takes its password and is who it was."""
    try:
        async with asyncio.timeout(WHO_IS_THERE_SECONDS):
            told = await driver_for(device).identify(Gateway(device))
        trust.check_identity(device, mac=told.mac, serial=told.serial)
    except (Busy, NoCoordination):
        return False
    except (DeviceError, TimeoutError):
        return True
    return False


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
