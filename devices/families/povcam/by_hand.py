"""The POVCAM's commands by hand. Transmissions want a UID (2.1), and some a transmission that runs: each gets a UID of
its own, is brought there, and gives the UID back. The device answers 500 to what it cannot do as it is now (8.7)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from devices.cgi import Command, Values
from devices.errors import Busy, DeviceError, Failed, NotSupported, Refused
from devices.families.by_hand import ByHand
from devices.families.povcam import commands as cgi
from devices.gateway import Gateway, Reply

if TYPE_CHECKING:
    from devices.families.povcam.driver import PovcamDriver

# The stop that gives a UID back names the port of its start; where there was none, any will do.
_NO_PORT = 50000
_VCODEC_OF_STREAM = {"1": "h264", "2": "h264_2"}
_VCODEC_OF_MODE = {"h.264": "h264", "h.264_2": "h264_2", "jpeg": "jpeg", "audio": "h264"}


@asynccontextmanager
async def prepared(driver: PovcamDriver, gateway: Gateway, command: Command, values: Values) -> AsyncIterator[ByHand]:
    run = ByHand(values)
    try:
        async with AsyncExitStack() as afterwards:
            if needs_uid(command) and values.get("UID") is None:
                await _lend(driver, gateway, command, run, afterwards)
            elif command.id == cgi.VIEW.id and values.get("action") == "snapshot":
                await driver.ask(gateway, cgi.VIEW, {"action": "start"})
                run.tell("action=start was sent first, without which it gives no picture.")
            yield run
            if command.id == cgi.GETUID.id and run.reply is not None and (uid := _uid_in(run.reply)):
                await _give_back(driver, gateway, str(values["vcodec"]), uid, _NO_PORT)
                run.tell("The UID that it got was given back.")
    except Failed as error:
        raise Refused(
            f"{driver.device.name} says that it cannot do {command.id} as it is now (500). It may lack a card, a clip "
            "or a file that this needs, be in a mode that does not allow it, or have it switched off."
        ) from error


def needs_uid(command: Command) -> bool:
    return any(param.name == "UID" for param in command.params)


def lasts(command: Command, values: Values) -> bool:
    return command.id == cgi.AUDIO.id and (values.get("protocol"), values.get("connect")) == ("http", "start")


async def _lend(
    driver: PovcamDriver, gateway: Gateway, command: Command, run: ByHand, afterwards: AsyncExitStack
) -> None:
    values = run.values
    if command.id == cgi.KEEP_ALIVE.id:
        vcodec = _VCODEC_OF_MODE[str(values["mode"])]
    elif command.id == cgi.JPEG.id:
        vcodec = "jpeg"
    else:
        vcodec = _VCODEC_OF_STREAM[str(values.get("stream") or "1")]
    uid = await _get_uid(driver, gateway, vcodec)
    port = values.get("my_port")

    async def give_back() -> None:
        await _give_back(driver, gateway, vcodec, uid, int(str(port)) if port else _NO_PORT)

    afterwards.push_async_callback(give_back)
    given: dict[str, object] = {name: value for name, value in values.items() if value is not None}
    streams = command.id == cgi.H264.id or (command.id == cgi.KEEP_ALIVE.id and str(values["mode"]).startswith("h.264"))
    if streams:
        given.setdefault("stream", "2" if vcodec == "h264_2" else "1")
    run.values = {**given, "UID": uid}  # type: ignore[dict-item]
    run.tell("It was run with a UID that was lent for it and given back.")
    if values.get("connect") == "start":
        await _will_be_stopped(driver, gateway, command, run, afterwards)
    elif values.get("connect") == "stop":
        await _started_first(driver, gateway, command, run, afterwards)


async def _will_be_stopped(
    driver: PovcamDriver, gateway: Gateway, command: Command, run: ByHand, afterwards: AsyncExitStack
) -> None:
    run.tell("What it started was stopped again.")
    if command.id == cgi.AUDIO.id:

        async def stop() -> None:
            with suppress(DeviceError):  # giving the UID back ends it too
                await driver.ask(gateway, command, {**run.values, "connect": "stop"})

        if lasts(command, run.values):
            run.stop = stop
        else:
            afterwards.push_async_callback(stop)


async def _started_first(
    driver: PovcamDriver, gateway: Gateway, command: Command, run: ByHand, afterwards: AsyncExitStack
) -> None:
    start: Values = {**run.values, "connect": "start"}
    run.tell("It was started first, so that there was something to stop.")
    if command.id == cgi.JPEG.id:
        await afterwards.enter_async_context(gateway.stream(command, {"framerate": "1", "resolution": "640", **start}))
    elif lasts(command, start):
        await afterwards.enter_async_context(gateway.stream(command, start))
    else:
        await driver.ask(gateway, command, start)


async def _get_uid(driver: PovcamDriver, gateway: Gateway, vcodec: str) -> str:
    reply = await driver.ask(gateway, cgi.GETUID, {"vcodec": vcodec, "reply": "info"})
    name = driver.device.name
    if reply.status == 204:
        raise NotSupported(f"{name} does not offer {vcodec} now. Check its priority mode and its transmission.")
    if uid := _uid_in(reply):
        return uid
    raise Busy(f"{name} has no place left for another viewer. Close one elsewhere, then try again.")


def _uid_in(reply: Reply) -> str:
    """In lines, or in the script that the device's own page asks for."""
    found = re.search(r"""\bUID\s*[:=]\s*["']?([0-9]{1,19})\b""", reply.text)
    return found[1] if found and int(found[1]) else ""


async def _give_back(driver: PovcamDriver, gateway: Gateway, vcodec: str, uid: str, port: int) -> None:
    """What was stopped already gave it back; what is left the device forgets by itself."""
    with suppress(DeviceError):
        if vcodec == "jpeg":
            await driver.ask(gateway, cgi.JPEG, {"connect": "stop", "UID": uid})
        else:
            stream = "2" if vcodec == "h264_2" else "1"
            values: Values = {"my_port": port, "connect": "stop", "protocol": "rtp", "UID": uid, "stream": stream}
            await driver.ask(gateway, cgi.H264, values)
