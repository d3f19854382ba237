"""A Redis that is away, or does not answer, is noticed at once and said in a sentence."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest
import redis
from django.conf import settings

from devices import coordination, polling
from devices.coordination import coordinated, coordinated_sync, run_script
from devices.errors import NoCoordination
from devices.polling import Memory, Outcome
from tests.devices.conftest import unsaved_device


class Silent:
    """Takes every connection and answers nothing, as a Redis that stands still."""

    def __init__(self, path: Path) -> None:
        self.connections = 0
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                self.connections += 1

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for each in (self._listener, *self._open):
            each.close()


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Silent]:
    server = Silent(tmp_path / "redis.sock")
    monkeypatch.setattr(settings, "REDIS_URL", f"unix://{tmp_path}/redis.sock")
    monkeypatch.setattr(coordination, "_clients", WeakKeyDictionary())
    monkeypatch.setattr(coordination, "_ANSWER_SECONDS", 0.1)
    yield server
    server.close()


def test_a_redis_that_does_not_answer_is_asked_once(silent: Silent) -> None:
    with pytest.raises(NoCoordination, match="does not answer"), coordinated_sync("look") as redis:
        redis.get("anything")
    assert silent.connections == 1


async def test_a_block_has_an_end_however_many_answers_it_waits_for(
    silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordination, "_ANSWER_SECONDS", 30.0)
    monkeypatch.setattr(coordination, "_BLOCK_SECONDS", 0.1)
    async with asyncio.timeout(10):
        with pytest.raises(NoCoordination):
            async with coordinated() as redis:
                await redis.get("anything")


async def test_who_waits_for_a_look_is_told_at_once_that_redis_does_not_answer(
    silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def not_asked(*_: object, **__: object) -> None:
        raise AssertionError("the device is not asked")

    monkeypatch.setattr(polling, "look", not_asked)
    with pytest.raises(NoCoordination):
        await polling.look_now(unsaved_device(1))
    assert silent.connections == 1


async def test_nothing_is_kept_of_a_look_that_redis_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ended(device: object, *_: object, **__: object) -> Outcome:
        return Outcome(unsaved_device(1), datetime.now(UTC), error=NoCoordination())

    def not_kept(*_: object) -> None:
        raise AssertionError("Redis is asked once more")

    monkeypatch.setattr(polling, "_recalled", lambda ids: {1: Memory()})
    monkeypatch.setattr(polling, "look", ended)
    monkeypatch.setattr(polling, "store", not_kept)
    with pytest.raises(NoCoordination):
        await polling.look_now(unsaved_device(1))


async def test_a_cancellation_that_the_library_swallows_is_raised_all_the_same() -> None:
    begun = asyncio.Event()

    async def swallowing() -> None:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async def using() -> None:
        with coordination.cancellation_kept():
            await swallowing()
        raise AssertionError("it went on")

    task = asyncio.create_task(using())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


# --- Scripts ----------------------------------------------------------------------------------------------------------
COUNT = "return {redis.call('INCRBY', KEYS[1], ARGV[1]), ARGV[1]}"


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many scripts each round trip took along."""
    sizes: list[int] = []
    round_trip = coordination._round_trip

    async def counted(some: list[Any]) -> list[Any]:
        sizes.append(len(some))
        return await round_trip(some)

    monkeypatch.setattr(coordination, "_round_trip", counted)
    return sizes


async def test_scripts_asked_for_together_share_round_trips_and_each_gets_its_own_answer(
    redis_client: redis.Redis, trips: list[int]
) -> None:
    asked = [run_script(COUNT, ["sum"], (number,)) for number in range(250)]
    answers = await asyncio.gather(*asked)
    assert [int(answer[1]) for answer in answers] == list(range(250))
    assert redis_client.get("sum") == str(sum(range(250))).encode(), "each ran once"
    assert trips == [100, 100, 50]


async def test_a_script_that_fails_spoils_no_other(redis_client: redis.Redis) -> None:
    good, bad = run_script(COUNT, ["sum"], (1,)), run_script("return redis.call('NONSENSE')", ["sum"], ())
    assert await good == [1, "1"]
    with pytest.raises(NoCoordination):
        await bad


async def test_a_script_runs_although_who_asked_has_left(redis_client: redis.Redis) -> None:
    left = run_script(COUNT, ["sum"], (5,))
    left.cancel()
    assert await run_script(COUNT, ["sum"], (1,)) == [6, "1"]


async def test_all_whose_scripts_wait_for_a_redis_that_does_not_answer_are_told(
    silent: Silent, trips: list[int]
) -> None:
    first = run_script(COUNT, ["sum"], (1,))
    await asyncio.sleep(0)
    later = run_script(COUNT, ["sum"], (1,))
    async with asyncio.timeout(10):
        for each in (first, later):
            with pytest.raises(NoCoordination):
                await each
    assert trips == [1], "the second waited for the same silence"
