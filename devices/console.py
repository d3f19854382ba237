"""The console: any command of a device's document by hand, checked, its secrets masked, its dangers told first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from asgiref.sync import sync_to_async

from accounts import audit
from accounts.audit import By, sounds_secret
from accounts.problems import Problem, Unconfirmed
from devices import cgi, events, polling, returning, snapshots
from devices.cgi import HIDDEN, Command, Fixed, Kind, Values
from devices.errors import DeviceError
from devices.exchanges import without_secrets
from devices.families import driver_for
from devices.families.base import Driver
from devices.families.by_hand import ByHand
from devices.gateway import Gateway, Reply
from devices.models import Device
from devices.working import bad_values_refused, refuse_nested, to_the_end

LONGEST_TEXT = 64 * 1024  # characters of an answer that are shown
# Of pictures, sound and files only so much is looked at, to say what comes.
TASTE_BYTES = 256 * 1024
TASTE_SECONDS = 3.0


@dataclass(frozen=True)
class Answer:
    status: int
    fields: dict[str, Any]
    text: str
    note: str = ""  # what was done beside it


async def run(by: By, device: Device, command_id: str, params: Mapping[str, Any], *, confirmed: bool = False) -> Answer:
    """Run a command. Problem 404 when the document has none of this name, 422 when it cannot be run, 400 when a
    parameter is not allowed, 409 when it is dangerous and was not confirmed, or would change the log-in that we use:
    then nothing was sent."""
    driver = driver_for(device)
    if command_id not in {command.id for command in driver.catalogue}:
        raise Problem(404, f"Devices of this family have no command {command_id[:40]}. See the family's commands.")
    command = driver.command(command_id)
    if command.unrunnable:
        raise Problem(422, f"{command.id} cannot be run: {command.unrunnable}")
    refuse_nested(params, "params.")
    fills_in = driver.fills_in(command)
    params = {name: value for name, value in params.items() if name not in fills_in or value not in (None, "")}
    with bad_values_refused("params."):
        cgi.request(command, {**dict.fromkeys(fills_in, "0"), **params})
    settable = [param.name for param in command.params if not isinstance(param, Fixed)]
    if command.kind is Kind.WRITE and settable and not params:
        raise Problem(400, f"{command.id} sets what it is given. Give at least one of {', '.join(settable)}.", "params")
    if name := driver.changes_login(command, params):
        raise Problem(
            409,
            f"{command.id} with {name} would change the log-in that we use, and lock us out. It was not sent. "
            "«Change its password» on the overview changes it there and here together; another user name is set on the "
            "device's own pages, then entered here.",
            f"params.{name}",
        )
    if (danger := command.danger_of(params)) and not confirmed:
        raise Unconfirmed(danger, "run it")
    return await to_the_end(_run(by, device, driver, command, params))


async def _run(by: By, device: Device, driver: Driver, command: Command, params: Values) -> Answer:
    gateway = Gateway(device)
    if command.kind is Kind.WRITE:
        await _snapshot_before(by, device, driver, gateway, command)
    detail: dict[str, Any] = {"command": command.id, "params": cgi.masked(command, params)}
    try:
        answer = await _ask(device, driver, gateway, command, params)
    except DeviceError as error:
        await audit.arecord(by, "run command", device, result="failed", **detail, error=error.sentence)
        raise
    done = {"beside": answer.note} if answer.note else {}
    await audit.arecord(by, "run command", device, **detail, status=answer.status, **done)
    if driver.restarts(command, params):
        await sync_to_async(returning.expect)(device)
    if command.kind in (Kind.WRITE, Kind.CONTROL):
        await sync_to_async(polling.look_soon)(device)
        await events.publish_soon("device.changed", device=device.pk)
    return answer


async def _ask(device: Device, driver: Driver, gateway: Gateway, command: Command, params: Values) -> Answer:
    async with driver.prepared(gateway, command, params) as run:
        if driver.lasts(command, run.values):
            answer = await _taste(gateway, command, run)
        else:
            run.reply = await driver.ask(gateway, command, run.values)
            answer = _told(device, command, run.values, run.reply)
    return replace(answer, note=run.note)


def _told(device: Device, command: Command, values: Values, reply: Reply) -> Answer:
    secret_params = {param.name for param in command.params if param.secret or sounds_secret(param.name)}
    known = {str(value) for name, value in values.items() if name in secret_params and value}
    text = without_secrets(command, reply.text[:LONGEST_TEXT], known | {device.password.reveal()})
    return Answer(reply.status, hidden_fields(command, reply.fields), text)


async def _taste(gateway: Gateway, command: Command, run: ByHand) -> Answer:
    """What kind of thing comes, and how much of it at first; it may have no end."""
    size, ended = 0, False
    async with gateway.stream(command, run.values) as streamed:
        try:
            async with asyncio.timeout(TASTE_SECONDS):
                async for piece in streamed.pieces:
                    size += len(piece)
                    if size >= TASTE_BYTES:
                        break
                else:
                    ended = True
        except TimeoutError:
            pass
        await run.stop()
        kind = streamed.headers.get("content-type", "something it does not name")[:100]
        text = f"({kind}, {size} bytes{'' if ended else ' and more'})"
        return Answer(streamed.status, {}, text)


async def _snapshot_before(by: By, device: Device, driver: Driver, gateway: Gateway, command: Command) -> None:
    """Of the groups this command writes, where they can be read; where not, the command is run all the same."""
    for group in driver.groups:
        writers = {writer.id for setting in group.settings if (writer := group.writer(setting))}
        if command.id not in writers:
            continue
        try:
            values = await driver.read_group(gateway, group)
        except DeviceError:
            continue
        await sync_to_async(snapshots.keep_before)(by, device, group, values, f"before {command.id} of the console")


def hidden_fields(command: Command, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A reply's fields with its secrets masked, in rows as well."""
    columns = getattr(command.shape, "columns", ())
    secret = {field.name for field in (*command.reply, *columns) if field.secret}
    found = _hidden(fields, secret)
    assert isinstance(found, dict)
    return found


def _hidden(value: Any, secret: set[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if each and (name in secret or sounds_secret(str(name))) else _hidden(each, secret)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_hidden(each, secret) for each in value]
    return value
