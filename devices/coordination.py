"""The Redis that all processes share: one client per event loop, one for threads, and one way to say it is away.

Scripts, which every command to a device needs two of, share round trips: what is asked for while Redis is busy with
earlier ones goes out together. A round trip of their own costs each four times as much, and a fleet is polled by
hundreds at once.

All keys of this product begin with `vms:`; every key has an expiry, so that nothing outlives its owner for long.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import redis
import redis.asyncio as aioredis
from django.conf import settings
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, NoScriptError, RedisError
from redis.retry import Retry

from devices.errors import NoCoordination

# Quick to notice that Redis is away: callers have deadlines of their own, and people and device commands wait behind.
_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 2.0
_BLOCK_SECONDS = 3.0  # for all of `coordinated`: of a new connection the library awaits several answers, twice
# One silent try again, for a connection of the pool that died with the Redis before this one. A Redis that does not
# answer is not asked twice.
_TRIED_AGAIN = (ConnectionError,)
_CONNECTIONS = 32  # per event loop; each is busy for well under a millisecond
_SCRIPTS_AT_ONCE = 100  # others of Redis wait behind them, some 20 µs for each

_Waiting = tuple[str, tuple[str | int, ...], "asyncio.Future[Any]"]  # script, numbered keys and arguments, answer

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, aioredis.Redis] = WeakKeyDictionary()
_scripts: WeakKeyDictionary[asyncio.AbstractEventLoop, _Scripts] = WeakKeyDictionary()


def key(*parts: object) -> str:
    return ":".join(("vms", *map(str, parts)))


def shared() -> aioredis.Redis:
    """The client of the running event loop."""
    loop = asyncio.get_running_loop()
    client = _clients.get(loop)
    if client is None:
        # A crowd waits for a connection; the plain pool would refuse whoever comes after its last one.
        pool = aioredis.BlockingConnectionPool.from_url(
            settings.REDIS_URL,
            max_connections=_CONNECTIONS,
            timeout=_ANSWER_SECONDS,
            decode_responses=True,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            retry=AsyncRetry(NoBackoff(), 1, supported_errors=_TRIED_AGAIN),
        )
        client = _clients[loop] = aioredis.Redis.from_pool(pool)
    return client


def shared_sync() -> redis.Redis:
    """The client for threads; safe across forks, since its pool notices them."""
    return _sync_client(settings.REDIS_URL)


@lru_cache(maxsize=2)
def _sync_client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_connect_timeout=_CONNECT_SECONDS,
        socket_timeout=_ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 1, supported_errors=_TRIED_AGAIN),
    )


@asynccontextmanager
async def coordinated(doing: str = "send commands to devices") -> AsyncIterator[aioredis.Redis]:
    """Redis for a block of a few commands, and nothing else; its errors become NoCoordination, a sentence that says
    what cannot be done."""
    try:
        async with asyncio.timeout(_BLOCK_SECONDS):
            with cancellation_kept():
                yield shared()
    except (RedisError, OSError) as error:
        raise NoCoordination(doing) from error


@contextmanager
def cancellation_kept() -> Iterator[None]:
    """For whoever uses `shared()` by itself: redis-py loses a cancellation that meets its look whether a connection is
    still usable. It is raised at the end of the block then."""
    task = asyncio.current_task()
    cancelled_before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > cancelled_before:
            raise asyncio.CancelledError


def run_script(script: str, keys: Sequence[str], arguments: Sequence[str | int]) -> asyncio.Future[Any]:
    """Have a script run; its answer is on its way even when nobody waits for it any more. NoCoordination when Redis is
    away."""
    loop = asyncio.get_running_loop()
    scripts = _scripts.get(loop)
    if scripts is None:
        scripts = _scripts[loop] = _Scripts()
    return scripts.run(script, (len(keys), *keys, *arguments))


async def look_up(name: str) -> str | None:
    """What a key holds. For what every look at a device needs: it shares round trips as scripts do."""
    found: str | None = await run_script("return redis.call('GET', KEYS[1])", [name], ())
    return found


class _Scripts:
    """The scripts of one event loop that wait for their answers. One round trip at a time."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    def run(self, script: str, given: tuple[str | int, ...]) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((script, given, answer))
        if self._task is None:
            self._task = asyncio.create_task(self._run_all(), name="scripts")
        return answer

    async def _run_all(self) -> None:
        some: list[_Waiting] = []
        try:
            while self._waiting:
                some, self._waiting = self._waiting[:_SCRIPTS_AT_ONCE], self._waiting[_SCRIPTS_AT_ONCE:]
                try:
                    answers = await _round_trip(some)
                except NoCoordination as error:
                    # Who asked meanwhile has waited for the same silence.
                    some, self._waiting = some + self._waiting, []
                    answers = [error] * len(some)
                for (_, _, future), answer in zip(some, answers, strict=True):
                    _settle(future, answer)
        finally:
            self._task = None
            for _, _, future in (*some, *self._waiting):
                future.cancel()  # those that are settled do not mind


async def _round_trip(some: Sequence[_Waiting]) -> list[Any]:
    """By their digests, which are much shorter; in full those that Redis does not know (yet, or any more)."""
    async with coordinated() as redis:
        pipe = redis.pipeline(transaction=False)
        for script, given, _ in some:
            pipe.execute_command("EVALSHA", _digest(script), *given)
        answers: list[Any] = await pipe.execute(raise_on_error=False)
        unknown = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        for number in unknown:
            script, given, _ = some[number]
            pipe.execute_command("EVAL", script, *given)
        for number, answer in zip(unknown, await pipe.execute(raise_on_error=False) if unknown else (), strict=True):
            answers[number] = answer
    return answers


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        error = NoCoordination()
        error.__cause__ = answer
        future.set_exception(error)
    else:
        future.set_result(answer)


@lru_cache(maxsize=16)
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


@contextmanager
def coordinated_sync(doing: str) -> Iterator[redis.Redis]:
    try:
        yield shared_sync()
    except (RedisError, OSError) as error:
        raise NoCoordination(doing) from error
