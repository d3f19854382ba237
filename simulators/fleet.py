"""Many devices in one process, described by a JSON file:

{"devices": [{"family": "povcam", "host": "127.0.0.1", "port": 8101, "name": "Gate", "seed": 1, "password": "…"}, …]}

Every key but `family` is an argument of the family's class; what is left out has the class's default. A family takes
only the settings its class has.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulators.device import SimulatedDevice
from simulators.registry import FAMILIES

PLAIN: Mapping[str, type | tuple[type, ...]] = {
    "host": str,
    "port": int,
    "name": str,
    "seed": int,
    "user": str,
    "password": str,
    "live_user": str,
    "live_password": str,
    "user_auth": bool,
    "auth_scheme": str,
    "system_frequency": str,
    "uid_seconds": (int, float),
    "max_uids": int,
    "reboot_seconds": (int, float),
    "control": bool,
    "tls": bool,
    "cameras": int,
    "ptz_steps": int,
    "oddities": str,
    "work_seconds": (int, float),
    "cards": list,
    "clips": int,
    "clip_seconds": int,
    "small_clips": bool,
    "fill": (int, float),
    "head": bool,
    "rtsp_port": int,
    "looped": bool,
    "small_4k": bool,
    "smtp_port": int,
    "loginfree_path": str,
    "codecs": str,
    "audio": str,
    "pictures": str,
    "size": str,
    "rate": int,
    "kilobits": int,
    "recorded_hours": (int, float),
}
"""What a device may be told in a file or on the command line."""
CHOICES = {
    "auth_scheme": ("digest", "basic", "both"),
    "system_frequency": ("59.94", "50"),
    "pictures": ("live", "loop"),
}
LARGEST = 1_000_000  # bytes of a description: more is not a fleet


class FleetError(ValueError):
    """The description cannot be used; the message says why."""


def make_device(family: object, arguments: Mapping[str, Any]) -> SimulatedDevice:
    if not isinstance(family, str) or family not in FAMILIES:
        raise FleetError(f"There is no simulator for the family {family!r}; there are: {', '.join(FAMILIES)}.")
    known = settings(family)
    for name, value in arguments.items():
        if name not in known:
            raise FleetError(f"A simulated {family} has no setting '{name}'; it has: {', '.join(known)}.")
        kind = PLAIN[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise FleetError(f"The setting '{name}' cannot be {value!r}.")
        if name in CHOICES and value not in CHOICES[name]:
            raise FleetError(f"The setting '{name}' must be {' or '.join(CHOICES[name])}, not {value!r}.")
    if not 0 <= arguments.get("port", 0) <= 65535:
        raise FleetError(f"{arguments['port']} is not a port.")
    try:
        return FAMILIES[family](**arguments)
    except ValueError as error:
        raise FleetError(str(error)) from error


def settings(family: str) -> list[str]:
    """What a device of this family may be told."""
    taken = inspect.signature(FAMILIES[family]).parameters
    return [name for name in PLAIN if name in taken]


def read_fleet(path: Path, *, control: bool = False) -> list[SimulatedDevice]:
    """The devices a file describes; `control` opens the side door of all of them."""
    try:
        if path.stat().st_size > LARGEST:
            raise FleetError(f"{path} is too large for the description of a fleet.")
        described = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FleetError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        if isinstance(error, FleetError):
            raise
        raise FleetError(f"{path} is not JSON: {error}.") from error
    entries = described.get("devices") if isinstance(described, dict) else None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise FleetError(f'{path} must hold {{"devices": [...]}} with at least one device.')
    devices = []
    for number, entry in enumerate(entries, 1):
        arguments = {name: value for name, value in entry.items() if name != "family"}
        if control:
            arguments["control"] = True
        try:
            devices.append(make_device(entry.get("family"), arguments))
        except FleetError as error:
            raise FleetError(f"Device {number} of {path}: {error}") from error
    return devices
