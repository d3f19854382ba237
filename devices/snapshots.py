"""Snapshots of a device's settings: taken by hand, each night and before each change; compared, and brought back.

A snapshot holds every value the device told. What can be brought back is what its document marks as restorable: clock,
counters, addresses, and what can only be read or only be written are left alone, and it is said why. Secret values are
kept apart, encrypted, and answered masked.

Whole snapshots keep the most recent ones only; one by hand stays until somebody removes it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.utils import timezone

from accounts import audit
from accounts.audit import By
from accounts.problems import Problem, Unconfirmed
from accounts.secrets import UnreadableSecret
from devices import events, polling, returning, trust
from devices.cgi import Group, kept, why_not_kept
from devices.errors import (
    CertificateChanged,
    DeviceError,
    NoAnswer,
    NoCoordination,
    NotSupported,
    Replaced,
    Unauthorised,
    WrongAnswer,
)
from devices.families import driver_for
from devices.families.base import Driver
from devices.gateway import Gateway
from devices.masks import dangers, secret_names, shown, shown_pairs
from devices.models import Device, Snapshot
from devices.working import bad_values_refused, changing, to_the_end

logger = logging.getLogger(__name__)

Values = dict[str, dict[str, Any]]  # group → setting → value

KEPT = {Snapshot.Kind.NIGHTLY: 60, Snapshot.Kind.BEFORE: 100}  # of each device; older ones are forgotten
MOST_BY_HAND = 200
READ_SECONDS = 180.0  # all groups of one device; a recorder rests 3 s between two commands
NIGHTLY_AT_ONCE = 20
NIGHTLY_SHARD = 100
NIGHTLY_SECONDS = 900.0
NIGHTLY_EVERY = timedelta(hours=12)  # a task that is delivered twice takes no second one

# After these nothing else would be answered either.
_HOPELESS = (NoAnswer, Unauthorised, NoCoordination, Replaced, CertificateChanged)


@dataclass(frozen=True)
class Reading:
    values: Values
    unread: dict[str, str]  # group → why


@dataclass
class Restored:
    """What became of a restore, per group; values as they may be shown."""

    changed: dict[str, dict[str, tuple[Any, Any]]] = field(default_factory=dict)
    differing: dict[str, dict[str, tuple[Any, Any]]] = field(default_factory=dict)
    left: dict[str, dict[str, str]] = field(default_factory=dict)  # setting → why it was left alone
    failed: dict[str, str] = field(default_factory=dict)
    snapshot: int | None = None  # how the device was before


# --- Taking -----------------------------------------------------------------------------------------------------------
async def read_all(device: Device) -> Reading:
    """Every group, as the device tells it now. What one group refuses does not keep the others from being read. Raises
    Replaced when another device answers: it is asked first who it is, for the last look may be a minute old."""
    driver, gateway = driver_for(device), Gateway(device)
    values: Values = {}
    unread: dict[str, str] = {}
    if not driver.groups:
        raise NotSupported(f"{device.name} has no settings to take a snapshot of.")
    try:
        async with asyncio.timeout(READ_SECONDS):
            await _refuse_another_device(device, driver, gateway)
            for group in driver.groups:
                try:
                    values[group.id] = await driver.read_group(gateway, group)
                except _HOPELESS:
                    raise
                except DeviceError as error:
                    unread[group.id] = str(error)
    except TimeoutError as error:
        raise NoAnswer(f"{device.name} took more than {READ_SECONDS:.0f} s to tell its settings.") from error
    if not values:
        raise WrongAnswer(f"{device.name} told none of its settings. {next(iter(unread.values()))}")
    return Reading(values, unread)


async def _refuse_another_device(device: Device, driver: Driver, gateway: Gateway) -> None:
    try:
        trust.refuse_writing(device)
        identity = await driver.identify(gateway)
        trust.check_identity(device, mac=identity.mac, serial=identity.serial)
    except Replaced as error:
        raise Replaced(
            f"Another device answers at {device.host}:{device.port} than the one that was set up, so nothing is kept "
            "of its settings. An administrator can accept it as the new device here."
        ) from error


async def take(by: By, device: Device, note: str = "") -> Snapshot:
    """A snapshot by hand."""
    if await device.snapshots.filter(kind=Snapshot.Kind.MANUAL).acount() >= MOST_BY_HAND:
        raise Problem(409, f"There are {MOST_BY_HAND} snapshots by hand already. Remove some first.")
    reading = await read_all(device)
    return await sync_to_async(_take)(by, device, reading, note)


def _take(by: By, device: Device, reading: Reading, note: str) -> Snapshot:
    snapshot = keep(by, device, Snapshot.Kind.MANUAL, reading, note)
    audit.record(by, "take snapshot", device, snapshot=snapshot.pk)
    return snapshot


def keep(by: By, device: Device, kind: Snapshot.Kind, reading: Reading, note: str = "") -> Snapshot:
    known = _known(driver_for(device))
    open_values: Values = {}
    secret_values: Values = {}
    for group_id, values in reading.values.items():
        secret = secret_names(known[group_id])
        open_values[group_id] = {name: value for name, value in values.items() if name not in secret}
        if hidden := {name: values[name] for name in values if name in secret}:
            secret_values[group_id] = hidden
    user = audit.actor_of(by).user
    snapshot = Snapshot.objects.create(
        device=device,
        kind=kind,
        by=user.username if user else "",
        note=note[:200],
        values=open_values,
        secrets=json.dumps(secret_values) if secret_values else "",
        unread=reading.unread,
    )
    if kind in KEPT:
        old = device.snapshots.filter(kind=kind).values_list("pk", flat=True)[KEPT[kind] :]
        device.snapshots.filter(pk__in=list(old)).delete()
    return snapshot


def keep_before(by: By, device: Device, group: Group, values: Mapping[str, Any], note: str) -> Snapshot:
    """What one group was just before a change of it."""
    return keep(by, device, Snapshot.Kind.BEFORE, Reading({group.id: dict(values)}, {}), note)


def remove(by: By, snapshot: Snapshot) -> None:
    audit.record(by, "remove snapshot", snapshot.device, snapshot=snapshot.pk, of=snapshot.at)
    snapshot.delete()


def values_of(snapshot: Snapshot) -> Values:
    """All of it, secrets too; for restoring and comparing only."""
    values = {group: dict(settings) for group, settings in snapshot.values.items()}
    if snapshot.secrets:
        try:
            secret = json.loads(snapshot.secrets.reveal())
        except UnreadableSecret as error:
            raise Problem(409, str(error)) from error
        for group, settings in secret.items():
            values.setdefault(group, {}).update(settings)
    return values


def _known(driver: Driver) -> dict[str, Group]:
    """Also the groups the device has not at present: a snapshot may hold them."""
    return {group.id: group for group in (*driver.all_groups, *driver.groups)}


# --- Looking ----------------------------------------------------------------------------------------------------------
def shown_values(snapshot: Snapshot) -> Values:
    return _shown(driver_for(snapshot.device), values_of(snapshot))


def _shown(driver: Driver, values: Values) -> Values:
    known = _known(driver)
    return {group_id: shown(known[group_id], each) for group_id, each in values.items() if group_id in known}


def differences(driver: Driver, first: Values, second: Values) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Group → setting → (in the first, in the second), masked; of the groups that both hold. What changes by itself is
    no difference."""
    found = {}
    for group in _known(driver).values():
        if group.id not in first or group.id not in second:
            continue
        one, other = first[group.id], second[group.id]
        pairs = {
            name: (one.get(name), other.get(name))
            for name in (setting.name for setting in group.settings if not setting.fleeting)
            if one.get(name) != other.get(name)
        }
        if pairs:
            found[group.id] = shown_pairs(group, pairs)
    return found


def diff(first: Snapshot, second: Snapshot) -> dict[str, dict[str, tuple[Any, Any]]]:
    return differences(driver_for(first.device), values_of(first), values_of(second))


async def drift(snapshot: Snapshot) -> dict[str, dict[str, tuple[Any, Any]]]:
    """What differs between a snapshot and the device now."""
    reading = await read_all(snapshot.device)
    return differences(driver_for(snapshot.device), values_of(snapshot), reading.values)


# --- Bringing back ----------------------------------------------------------------------------------------------------
async def restore(by: By, snapshot: Snapshot, *, confirmed: bool = False) -> Restored:
    """Bring every restorable value of a snapshot back. 409 when that is dangerous and was not confirmed; then, and when
    the device cannot be read, nothing was sent."""
    trust.refuse_writing(snapshot.device)
    return await to_the_end(_restore(by, snapshot, confirmed))


async def _restore(by: By, snapshot: Snapshot, confirmed: bool) -> Restored:
    device = snapshot.device
    driver, gateway = driver_for(device), Gateway(device)
    wanted = values_of(snapshot)
    done = Restored()
    async with changing(device):
        now = await read_all(device)
        for group in driver.groups:
            if group.id in wanted:
                recalled = await driver.recalled(group, wanted[group.id], now.values.get(group.id, {}))
                wanted[group.id] = dict(recalled)
        if (danger := _dangers(driver, wanted, now.values)) and not confirmed:
            raise Unconfirmed(danger, "bring the snapshot back")
        before = await sync_to_async(keep)(
            by, device, Snapshot.Kind.BEFORE, now, f"before restoring the snapshot of {snapshot.at:%Y-%m-%d %H:%M} UTC"
        )
        done.snapshot = before.pk
        for group in driver.groups:
            values = wanted.get(group.id)
            if values is None:
                continue
            done.left |= {group.id: _left(driver, group, values)}
            if not _to_change(driver, group, values, now.values.get(group.id, {})):
                continue
            try:
                with bad_values_refused():
                    written = await driver.write_group(gateway, group, values, restoring=True)
            except _HOPELESS as error:
                done.failed[group.id] = str(error)
                break
            except Problem as problem:
                done.failed[group.id] = problem.sentence
                continue
            if written.changed:
                done.changed[group.id] = shown_pairs(group, written.changed)
            await sync_to_async(returning.follow)(by, device, group, written)
            if written.differing:
                done.differing[group.id] = shown_pairs(group, written.differing)
        for group_id in wanted:
            if group_id not in {group.id for group in driver.groups}:
                done.failed[group_id] = f"{device.name} does not have these settings now."
        done.left = {group_id: each for group_id, each in done.left.items() if each}
        await sync_to_async(_restored)(by, snapshot, done)
    return done


def _restored(by: By, snapshot: Snapshot, done: Restored) -> None:
    changed = {group: {name: list(pair) for name, pair in pairs.items()} for group, pairs in done.changed.items()}
    result = "failed" if done.failed else "ok"
    audit.record(
        by,
        "restore snapshot",
        snapshot.device,
        result=result,
        snapshot=snapshot.pk,
        changed=changed,
        failed=done.failed,
    )
    polling.look_soon(snapshot.device)
    events.publish("device.settings", device=snapshot.device_id, group="")


def _to_change(driver: Driver, group: Group, values: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
    wanted = kept(group, values, driver.narrowed)
    return {name for name, value in wanted.items() if now.get(name) != value}


def _dangers(driver: Driver, wanted: Values, now: Values) -> str:
    found = []
    for group in driver.groups:
        values = wanted.get(group.id, {})
        names = _to_change(driver, group, values, now.get(group.id, {}))
        found.append(dangers(group, {name: values[name] for name in names}))
    return " ".join(dict.fromkeys(filter(None, found)))


def _left(driver: Driver, group: Group, values: Mapping[str, Any]) -> dict[str, str]:
    """Why settings of the snapshot are left alone."""
    back = kept(group, values, driver.narrowed)
    return {
        setting.name: why_not_kept(group, setting)
        or (
            "The device did not tell it."
            if values.get(setting.name) is None
            else "Its document does not let this value be set now."
        )
        for setting in group.settings
        if setting.name not in back
    }


# --- Each night -------------------------------------------------------------------------------------------------------
async def read_many(devices: Sequence[Device]) -> list[tuple[Device, Reading]]:
    """What the devices that answer tell of their settings."""
    gate = asyncio.Semaphore(NIGHTLY_AT_ONCE)

    async def one(device: Device) -> tuple[Device, Reading] | None:
        async with gate:
            try:
                return (device, await read_all(device)) if driver_for(device).groups else None
            except DeviceError as error:
                logger.warning("no nightly snapshot: %s", error, extra={"device": device.pk})
            except Exception:
                logger.exception("a nightly snapshot failed", extra={"device": device.pk})
            return None

    return [found for found in await asyncio.gather(*map(one, devices)) if found is not None]


def due_tonight() -> list[int]:
    recent = Snapshot.objects.filter(kind=Snapshot.Kind.NIGHTLY, at__gte=timezone.now() - NIGHTLY_EVERY)
    return list(
        Device.objects.filter(enabled=True)
        .exclude(pk__in=recent.values("device"))
        .order_by("pk")
        .values_list("pk", flat=True)
    )
