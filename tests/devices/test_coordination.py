"""A Redis that is away, or does not answer, is noticed at once and said in a sentence."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakKeyDictionary

import pytest
from django.conf import settings

from devices import coordination, polling
from devices.coordination import coordinated, coordinated_sync
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
