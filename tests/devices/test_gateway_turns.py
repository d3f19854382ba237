"""Turns before a device: lanes, crashed holders, and what keeps a device from ever locking us out, with real
processes."""

import asyncio
import contextlib
import subprocess
import sys
import time
from itertools import pairwise

import pytest
import redis
from django.conf import settings

from devices import turns
from devices.cgi import Kind
from devices.errors import Busy, DeviceError, Unauthorised
from devices.gateway import Gateway
from devices.turns import Turn
from tests.devices.conftest import Scripted, http, unsaved_device
from tests.devices.test_gateway import DIGEST, command

ENVIRONMENT = {
    "DATA_DIR": str(settings.DATA_DIR),
    "SECRET_KEY": settings.SECRET_KEY,
    "DJANGO_SETTINGS_MODULE": "vms.settings",
    "PYTHONPATH": str(settings.BASE_DIR),
}


async def start(script: str, *arguments: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, *map(str, arguments)),
        env=ENVIRONMENT,
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
    )


# --- Lanes ------------------------------------------------------------------------------------------------------------
async def test_each_lane_keeps_its_own_rest_and_the_exempt_keep_none(scripted: Scripted) -> None:
    """As a recorder wants it: a long rest between general commands, a short one for cameras, none for pulls."""
    general = command(path="/general", gap=300)
    camera = command(id="camera", path="/camera", lane="camera", gap=100, kind=Kind.CONTROL)
    pull = command(id="pull", path="/pull", gap=0)
    at: list[tuple[str, float]] = []

    def answer(request: bytes) -> bytes:
        at.append((request.split()[1].decode(), time.monotonic()))
        return http(200)

    scripted.answers = [answer]
    gateway = Gateway(unsaved_device(scripted.port))
    await asyncio.gather(
        *(gateway.ask(general) for _ in range(3)),
        *(gateway.ask(camera) for _ in range(3)),
        *(gateway.ask(pull) for _ in range(6)),
    )
    times = {path: [when for each, when in at if each == path] for path in ("/general", "/camera", "/pull")}
    # Lower bounds only: a slow machine can make rests longer, never shorter.
    assert all(later - earlier >= 0.3 for earlier, later in pairwise(times["/general"]))
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(times["/camera"]))
    assert [len(each) for each in times.values()] == [3, 3, 6]
    # With the rest of the general ones, the fourth pull would come after the third of them.
    assert sorted(times["/pull"])[3] < max(times["/general"]), "a pull waits for no rest"


async def test_who_has_no_patience_is_told_at_once(redis_client: "redis.Redis") -> None:
    turn = Turn("1", "a", {"any": 60_000})
    await turn.leave(await turn.enter())
    with pytest.raises(Busy):
        await Turn("1", "a", {"any": 60_000}).enter(patience=0.05)


# --- Crashes ----------------------------------------------------------------------------------------------------------
HOLDER = """
import asyncio, sys
import django
django.setup()
from devices.turns import Turn

async def main():
    async with Turn(sys.argv[1], "a", {}).taken():
        print("in", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_turn_lasts_as_long_as_its_holder_lives_and_little_longer(redis_client: "redis.Redis") -> None:
    holder = await start(HOLDER, "a place")
    try:
        assert holder.stdout is not None
        assert await asyncio.wait_for(holder.stdout.readline(), 20) == b"in\n"
        with pytest.raises(Busy):
            await Turn("a place", "b", {}).enter(patience=turns.TURN_SECONDS + 1)
        holder.kill()
        await holder.wait()
        assert redis_client.pttl("vms:turn:a place:turn") <= turns.TURN_SECONDS * 1000
        await Turn("a place", "b", {}).enter(patience=turns.TURN_SECONDS + 5)
    finally:
        with contextlib.suppress(ProcessLookupError):
            holder.kill()


# --- Lock-out ---------------------------------------------------------------------------------------------------------
GUESSER = """
import asyncio, sys
import django
django.setup()
from devices.errors import Unauthorised
from devices.gateway import Gateway
from tests.devices.conftest import unsaved_device
from tests.devices.test_gateway import command

async def main():
    for number in range(8):
        device = unsaved_device(int(sys.argv[1]), pk=int(sys.argv[2]), password=f"{sys.argv[2]} {number}")
        for _ in range(2):
            try:
                await Gateway(device).ask(command())
            except Unauthorised as error:
                print(error)

asyncio.run(main())
"""


class LockingDevice:
    """More than 8 refused log-ins, and it is shut for us for good."""

    def __init__(self) -> None:
        self.refused = 0
        self.crowd = 0
        self.inside = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.inside += 1
        self.crowd = max(self.crowd, self.inside)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            self.refused += b"Authorization" in request
            writer.write(http(401, "", DIGEST.format(self.refused)))
            await writer.drain()
        self.inside -= 1
        writer.close()


async def test_no_number_of_processes_and_corrected_passwords_makes_a_device_lock_us_out(
    redis_client: "redis.Redis",
) -> None:
    device = LockingDevice()
    async with await asyncio.start_server(device.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        guessers = [await start(GUESSER, port, number) for number in (1, 2, 3)]
        outputs = await asyncio.wait_for(asyncio.gather(*(each.communicate() for each in guessers)), 90)
    assert [each.returncode for each in guessers] == [0, 0, 0]
    said = [line for output, _ in outputs for line in output.decode().splitlines()]
    assert len(said) == 3 * 16, "each try was answered"
    assert device.refused == turns.ADDRESS_REFUSALS
    assert device.crowd == 1
    assert sum("nothing is sent until" in line for line in said) == 3 * 16 - device.refused


async def test_the_pause_of_an_address_ends(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "ADDRESS_SECONDS", 1)
    scripted.answers = [http(401, "", DIGEST.format("n"))]
    for number in range(8):
        with pytest.raises(Unauthorised):
            await Gateway(unsaved_device(scripted.port, password=f"wrong {number}")).ask(command())
    right = Gateway(unsaved_device(scripted.port))
    with pytest.raises(Unauthorised, match="nothing is sent until"):
        await right.ask(command())
    await asyncio.sleep(1.1)
    scripted.answers = [http(401, "", DIGEST.format("n")), http(200, "in")]
    assert (await right.ask(command())).text == "in"


async def test_who_was_accepted_goes_on_while_others_guess(scripted: Scripted) -> None:
    scripted.answers = [http(401, "", DIGEST.format("n")), http(200)]
    right = Gateway(unsaved_device(scripted.port))
    await right.ask(command())
    scripted.answers = [http(401, "", DIGEST.format("n"))]
    for number in range(8):
        with pytest.raises(Unauthorised):
            await Gateway(unsaved_device(scripted.port, password=f"wrong {number}")).ask(command())
    scripted.answers = [http(200, "still in")]
    assert (await right.ask(command())).text == "still in"


async def test_a_changed_password_after_guesses_stays_below_every_lock_out(scripted: Scripted) -> None:
    """The worst mixture: others guess, and then the device also refuses those who were accepted before."""
    known = [Gateway(unsaved_device(scripted.port, username=f"user{number}")) for number in range(4)]
    for gateway in known:
        scripted.answers = [http(401, "", DIGEST.format("n1")), http(200)]
        await gateway.ask(command())
    before = len(scripted.requests)
    scripted.answers = [lambda _: http(401, "", DIGEST.format(f"m{len(scripted.requests)}"))]
    for number in range(8):
        with pytest.raises(DeviceError):
            await Gateway(unsaved_device(scripted.port, password=f"wrong {number}")).ask(command())
    for _ in range(3):
        for gateway in known:
            with pytest.raises(DeviceError):
                await gateway.ask(command())
    refused = [request for request in scripted.requests[before:] if b"Authorization" in request]
    assert turns.ADDRESS_REFUSALS <= len(refused) <= 7


# --- A Redis that forgets ---------------------------------------------------------------------------------------------
async def test_a_redis_that_started_again_is_told_the_rules_again(
    scripted: Scripted, redis_client: "redis.Redis"
) -> None:
    gateway = Gateway(unsaved_device(scripted.port))
    await gateway.ask(command())
    redis_client.script_flush()
    redis_client.flushall()
    assert (await gateway.ask(command())).text == "a=1\r\n"


async def test_a_crowd_larger_than_the_connections_to_redis_waits_its_turn(redis_client: "redis.Redis") -> None:
    async def one(number: int) -> None:
        async with Turn(f"place {number}", "a", {}).taken():
            await asyncio.sleep(0)

    await asyncio.gather(*map(one, range(300)))
    assert redis_client.keys("vms:turn:*") == []
