"""The Redis that all processes share: one client per event loop, one for threads, and one way to say it is away.

All keys of this product begin with `vms:`; every key has an expiry, so that nothing outlives its owner for long.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from weakref import WeakKeyDictionary

import redis
import redis.asyncio as aioredis
from django.conf import settings
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError
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

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, aioredis.Redis] = WeakKeyDictionary()


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
            task = asyncio.current_task()
            cancelled_before = task.cancelling() if task else 0
            yield shared()
            # redis-py loses a cancellation that meets its look whether a pooled connection is still usable.
            if task and task.cancelling() > cancelled_before:
                raise asyncio.CancelledError
    except (RedisError, OSError) as error:
        raise NoCoordination(doing) from error


@contextmanager
def coordinated_sync(doing: str) -> Iterator[redis.Redis]:
    try:
        yield shared_sync()
    except (RedisError, OSError) as error:
        raise NoCoordination(doing) from error
