"""The settings of a device, by groups of its document: read now, checked, changed, read back.

Nothing is sent before every value is allowed by the document; only what changes is sent. What a change would do to
people is told first: where a group is dangerous, the change has to be confirmed. Secrets never leave here: what is
answered, audited and told is masked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from asgiref.sync import sync_to_async

from accounts import audit
from accounts.audit import By
from accounts.problems import Problem, Unconfirmed
from devices import events, polling, returning, snapshots, trust
from devices.cgi import HIDDEN, Group, plan
from devices.coordination import coordinated, key
from devices.families import driver_for
from devices.families.base import Driver, Written
from devices.gateway import Gateway
from devices.masks import dangers, possible_dangers, secret_names, shown, shown_pairs, shown_schema
from devices.models import Device
from devices.working import bad_values_refused, changing, refuse_nested, to_the_end

LONGEST_GROUP = 200  # settings in one request
# What was told of a clock and comes back so is not meant to be set, however long a form lay open meanwhile.
TOLD_SECONDS = 12 * 3600
TOLD_MOST = 50  # of each group: several people and programs may be looking at it


@dataclass(frozen=True)
class Change:
    """What became of a change, as it may be shown."""

    values: dict[str, Any]
    changed: dict[str, tuple[Any, Any]]
    differing: dict[str, tuple[Any, Any]]
    moved: dict[str, Any]
    snapshot: int | None  # what the group was before


def groups(device: Device) -> list[dict[str, Any]]:
    return [facts(group) for group in driver_for(device).groups]


def facts(group: Group) -> dict[str, Any]:
    return {
        "id": group.id,
        "title": group.title,
        "note": group.note,
        "danger": possible_dangers(group) or None,
        "writable": any(group.writer(setting) for setting in group.settings),
    }


def group_of(driver: Driver, group_id: str) -> Group:
    group = next((group for group in driver.groups if group.id == group_id), None)
    if group is None:
        known = ", ".join(each.id for each in driver.groups) or "none"
        raise Problem(404, f"{driver.device.name} has no settings {group_id[:40]}; it has {known}.")
    return group


async def read(device: Device, group_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The values, as the device tells them now, and what a form needs to know of each."""
    driver = driver_for(device)
    group = group_of(driver, group_id)
    values = await driver.read_group(Gateway(device), group)
    await _remember_told(device, group, values)
    return shown(group, values), shown_schema(group, driver.narrowed)


async def change(
    by: By, device: Device, group_id: str, wanted: Mapping[str, Any], *, confirmed: bool = False
) -> Change:
    """Bring settings of a group to the wanted values. Problem 400 before anything is sent when one is not allowed, 409
    when the change is dangerous and was not confirmed."""
    if not wanted:
        raise Problem(400, "Say what to change: values is empty.", "values")
    if len(wanted) > LONGEST_GROUP:
        raise Problem(400, f"Change at most {LONGEST_GROUP} settings at once.", "values")
    refuse_nested(wanted, "values.")
    driver = driver_for(device)
    group = group_of(driver, group_id)
    secret = secret_names(group)
    # What was shown masked and comes back so is not meant to be written.
    wanted = {name: value for name, value in wanted.items() if not (name in secret and value == HIDDEN)}
    trust.refuse_writing(device)
    wanted = await _without_what_was_told(device, group, wanted)
    return await to_the_end(_change(by, device, driver, group, wanted, confirmed))


async def _change(
    by: By, device: Device, driver: Driver, group: Group, wanted: Mapping[str, Any], confirmed: bool
) -> Change:
    gateway = Gateway(device)
    async with changing(device):
        before = await driver.read_group(gateway, group)
        with bad_values_refused("values."):
            todo = plan(group, before, wanted, driver.narrowed)
        if not todo.requests:
            await _remember_told(device, group, before)
            return Change(shown(group, before), {}, {}, {}, None)
        target = {name: new for name, (_, new) in todo.changed.items()}
        danger = " ".join(filter(None, (dangers(group, target), driver.unreachable_after(group, target))))
        if danger and not confirmed:
            raise Unconfirmed(danger, "do it")
        snapshot = await sync_to_async(snapshots.keep_before)(by, device, group, before, f"before {group.title}")
        try:
            with bad_values_refused("values."):
                written = await driver.write_group(gateway, group, wanted)
        except Problem as problem:
            await audit.arecord(
                by,
                "change settings",
                device,
                result="failed",
                group=group.id,
                wanted=shown(group, dict(wanted)),
                error=problem.sentence,
            )
            raise
        await sync_to_async(_changed)(by, device, group, written)
        await _remember_told(device, group, written.values)
    return Change(
        shown(group, written.values),
        shown_pairs(group, written.changed),
        shown_pairs(group, written.differing),
        written.moved,
        snapshot.pk,
    )


# --- Values that change by themselves ---------------------------------------------------------------------------------
async def _remember_told(device: Device, group: Group, values: Mapping[str, Any]) -> None:
    told = {name: values[name] for name in sorted(group.fleeting) if values.get(name) is not None}
    if not told:
        return
    async with coordinated() as redis:
        pipe = redis.pipeline()
        pipe.lpush(_told_key(device, group), json.dumps(told))
        pipe.ltrim(_told_key(device, group), 0, TOLD_MOST - 1)
        pipe.expire(_told_key(device, group), TOLD_SECONDS)
        await pipe.execute()


async def _without_what_was_told(device: Device, group: Group, wanted: Mapping[str, Any]) -> dict[str, Any]:
    running = {name: wanted[name] for name in wanted if name in group.fleeting}
    if not running:
        return dict(wanted)
    async with coordinated() as redis:
        readings = [json.loads(told) for told in await cast(Any, redis.lrange(_told_key(device, group), 0, -1))]
    if any(all(name in told and told[name] == value for name, value in running.items()) for told in readings):
        return {name: value for name, value in wanted.items() if name not in running}
    return dict(wanted)


def _told_key(device: Device, group: Group) -> str:
    return key("settings", "told", device.pk, group.id)


def _changed(by: By, device: Device, group: Group, written: Written) -> None:
    pairs = {name: list(pair) for name, pair in shown_pairs(group, written.changed).items()}
    audit.record(by, "change settings", device, group=group.id, changed=pairs)
    returning.follow(by, device, group, written)
    polling.look_soon(device)
    events.publish("device.settings", device=device.pk, group=group.id)
