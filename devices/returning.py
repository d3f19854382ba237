"""Devices that were told to restart: awaited until they answer again, or until they should have.

What is awaited stands in the row, so that it outlives every process. While it does, beat has the device looked at every
few seconds, and judges what the look found: an answer some time after the command means that it is back, since it may
answer a little longer before it goes down. Only one judge tells each end: whoever clears the row.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.audit import By
from devices import events, fleet, history, polling
from devices.cgi import Group
from devices.families.base import Written
from devices.models import Device, State

RETURN_SECONDS = 180  # restarts take a minute or two
SETTLE_SECONDS = 15  # how long a device may still answer after it was told


def expect(device: Device) -> None:
    """It goes away now, and is expected back in a while."""
    now = timezone.now()
    device.away_since, device.back_by = now, now + timedelta(seconds=RETURN_SECONDS)
    device.save(update_fields=["away_since", "back_by"])
    events.publish("device.changed", device=device.pk)


def follow(by: By, device: Device, group: Group, written: Written) -> None:
    """A change of its settings may have moved it: reach it where it went, and await it there."""
    if written.moved and fleet.follow(by, device, _address(device, group, written)):
        expect(device)


def _address(device: Device, group: Group, written: Written) -> dict[str, Any]:
    """Where the device is reached from now on, as our row has it. HTTPS has a port of its own."""
    moved = {part: value for part, value in written.moved.items() if part in ("scheme", "host", "port")}
    scheme = moved.get("scheme", device.scheme)
    if "https_port" in group.moves and scheme == "https":
        moved["port"] = written.values.get(group.moves["https_port"]) or 443
    elif scheme != device.scheme:
        moved.setdefault("port", 80)
    return moved


def judge() -> None:
    """Who is back, and who should be? All others are looked at again soon."""
    awaited = list(Device.objects.filter(back_by__isnull=False))
    memories = polling.remembered([device.pk for device in awaited])
    now = timezone.now()
    for device in awaited:
        if not device.enabled:
            _no_longer(device)  # nobody looks at it, so nobody can tell
        elif _has_answered(device, memories.get(device.pk), now):
            if _no_longer(device):
                history.happened("device.back", device, f"{device.name} is back: {_how(device)}")
        elif device.back_by is not None and now >= device.back_by:
            if _no_longer(device):
                history.happened("device.not_back", device, _missing(device))
        else:
            polling.look_soon(device)


def _has_answered(device: Device, memory: polling.Memory | None, now: datetime) -> bool:
    assert device.away_since is not None
    settled = device.away_since + timedelta(seconds=SETTLE_SECONDS)
    if device.state in (State.UNAUTHORISED, State.REPLACED):
        return now >= settled  # it answers, though nothing we could use
    seen = polling.last_seen(device, memory)
    return seen is not None and seen >= settled


def _how(device: Device) -> str:
    match device.state:
        case State.UNAUTHORISED:
            return "it answers, but refuses our user name and password. Enter those that it has now."
        case State.REPLACED:
            return "but what answers at its address says that it is another device."
        case _:
            return f"it answers at {device.host}:{device.port}."


def _missing(device: Device) -> str:
    return (
        f"{device.name} did not come back at {device.host}:{device.port} in time. Look at its power and its network. "
        "If its address has changed, by DHCP for instance, find the new one at your router or DHCP server"
        f"{f' by its MAC address {device.mac}' if device.mac else ''}, and enter it here."
    )


def _no_longer(device: Device) -> bool:
    """Wait no longer; True for the one who says so first."""
    rows = Device.objects.filter(pk=device.pk, back_by=device.back_by)
    if not rows.update(back_by=None, away_since=None):
        return False
    events.publish("device.changed", device=device.pk)
    return True
