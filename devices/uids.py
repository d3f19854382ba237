"""The ledger of UIDs: who holds which place on which device, in Redis.

A device hands out a UID for a transmission and forgets it only when told to stop, or when nobody keeps it alive. So
every UID is a lease with a record that outlives its holder. The holder (a web process) renews it while the picture
runs; `devices.keeping`, run by Celery, keeps it alive on the device, and stops it when the holder has gone.

- A renewal writes the whole record again, so the ledger heals by itself after Redis lost its memory.
- A lease that ended on the device leaves a mark; the holder sees it within CHECK_SECONDS and lets go.
- While Redis is away the holder keeps the picture alive itself: nobody else can be sending commands then.

UIDs open the device as a password does: they are in the record, and in no log or error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from devices.coordination import coordinated, key
from devices.errors import DeviceError, NoCoordination, NotSupported, Refused, WrongAnswer

logger = logging.getLogger(__name__)

RENEW_SECONDS = 10.0
CHECK_SECONDS = 2.0
# A holder silent for this long is dead: three missed renewals. With the keeper's beat of 5 s and the stop command, its
# lease is off the device well within 60 s.
HOLDER_SECONDS = 30.0
RECORD_SECONDS = 3600
# What is being stopped or kept alive is not handed out again before this, unless the worker that took it died.
CLAIM_SECONDS = 25.0
RETRY_SECONDS = 5.0
STOPS_TRIED = 4

_PREFIX = key("uids", "")  # vms:uids:
_DOING = "keep track of transmissions"

# Common to all scripts: KEYS[1] is the prefix; the clock is Redis's, in milliseconds.
_CLOCK = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local record, gone = KEYS[1] .. 'record:', KEYS[1] .. 'gone:'
local holders, due = KEYS[1] .. 'holders', KEYS[1] .. 'due'
"""
# ARGV: id, record, seconds it lives, milliseconds until the holder counts as dead, milliseconds to the first
# keep-alive. Answers why the lease is gone, or ''.
_HOLD = (
    _CLOCK
    + """
local reason = redis.call('GET', gone .. ARGV[1])
if reason then return reason end
redis.call('SET', record .. ARGV[1], ARGV[2], 'EX', ARGV[3])
redis.call('ZADD', holders, now + ARGV[4], ARGV[1])
redis.call('ZADD', due, 'NX', now + ARGV[5], ARGV[1])
redis.call('EXPIRE', holders, ARGV[3])
redis.call('EXPIRE', due, ARGV[3])
return ''
"""
)
# ARGV: id, why the lease is gone ('' leaves no mark), seconds the mark lives.
_FORGET = (
    _CLOCK
    + """
redis.call('DEL', record .. ARGV[1])
redis.call('ZREM', holders, ARGV[1])
redis.call('ZREM', due, ARGV[1])
if ARGV[2] ~= '' then redis.call('SET', gone .. ARGV[1], ARGV[2], 'EX', ARGV[3]) end
return 1
"""
)
# ARGV: milliseconds a claim lasts. Answers {records whose holder is dead, records to keep alive}, each claimed.
_CLAIM = (
    _CLOCK
    + """
local dead, quiet = {}, {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', holders, '-inf', now)) do
  local text = redis.call('GET', record .. id)
  redis.call('ZREM', due, id)
  if text then
    redis.call('ZADD', holders, now + ARGV[1], id)
    table.insert(dead, text)
  else
    redis.call('ZREM', holders, id)
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now)) do
  local text = redis.call('GET', record .. id)
  if text then
    redis.call('ZADD', due, now + ARGV[1], id)
    table.insert(quiet, text)
  else
    redis.call('ZREM', due, id)
  end
end
return {dead, quiet}
"""
)
# ARGV: which list, id, milliseconds from now. Only moves what is still there.
_LATER = (
    _CLOCK
    + """
return redis.call('ZADD', KEYS[1] .. ARGV[1], 'XX', now + ARGV[3], ARGV[2])
"""
)


def this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass(frozen=True)
class UidLease:
    """A place on a device. `mode` is the kind of transmission in the driver's words, `port` ours."""

    device: int
    uid: str = field(repr=False)
    mode: str
    port: int
    keep_alive_seconds: int
    holder: str = field(default_factory=this_process)
    id: str = field(default_factory=lambda: secrets.token_hex(8))


async def _run(script: str, *arguments: object) -> Any:
    async with coordinated(_DOING) as redis:
        return await cast(Any, redis.eval(script, 1, _PREFIX, *map(str, arguments)))


async def hold(lease: UidLease) -> str:
    """Write the lease, or renew it. Answers why it is gone, or '' when it is ours."""
    gone = await _run(
        _HOLD,
        lease.id,
        json.dumps(asdict(lease)),
        RECORD_SECONDS,
        int(HOLDER_SECONDS * 1000),
        lease.keep_alive_seconds * 1000,
    )
    return str(gone)


async def forget(lease: UidLease, reason: str = "") -> None:
    """The lease has ended on the device; with a reason, its holder is told."""
    await _run(_FORGET, lease.id, reason, RECORD_SECONDS)


async def abandon(lease: UidLease) -> None:
    """Its holder could not stop it: the keeper shall, at its next beat."""
    await _run(_LATER, "holders", lease.id, 0)


async def supersede(lease: UidLease) -> None:
    """Its holder owns the port now; so whoever on this machine had the port before is dead, and what they left would
    be sent to us: the keeper shall stop it at once."""
    host = lease.holder.rpartition(":")[0]
    for other in await leases():
        if other.id != lease.id and other.port == lease.port and other.holder.rpartition(":")[0] == host:
            await abandon(other)


async def retry_stop(lease: UidLease) -> None:
    await _run(_LATER, "holders", lease.id, int(RETRY_SECONDS * 1000))


async def count_stop(lease: UidLease) -> int:
    """How often stopping it was tried, this time included. A device that stays away has forgotten it anyway."""
    async with coordinated(_DOING) as redis:
        tried = int(await redis.incr(f"{_PREFIX}stops:{lease.id}"))
        await redis.expire(f"{_PREFIX}stops:{lease.id}", RECORD_SECONDS)
    return tried


async def kept_alive(lease: UidLease, *, again_in: float) -> None:
    await _run(_LATER, "due", lease.id, int(again_in * 1000))


async def claim() -> tuple[list[UidLease], list[UidLease]]:
    """The leases whose holder is dead, and those to be kept alive now. Each is handed to one caller only."""
    dead, quiet = await _run(_CLAIM, int(CLAIM_SECONDS * 1000))
    return [UidLease(**json.loads(text)) for text in dead], [UidLease(**json.loads(text)) for text in quiet]


async def leases() -> list[UidLease]:
    """Everything in the ledger, for people to look at."""
    async with coordinated(_DOING) as redis:
        ids = await cast(Any, redis.zrange(_PREFIX + "holders", 0, -1))
        texts = await redis.mget([f"{_PREFIX}record:{each}" for each in ids]) if ids else []
    return [UidLease(**json.loads(text)) for text in texts if text]


def ends_the_lease(error: DeviceError) -> bool:
    """Did the device say that it no longer knows the UID? Silence, a queue or a closed door do not say so."""
    return isinstance(error, Refused | NotSupported | WrongAnswer)


@contextlib.asynccontextmanager
async def holding(
    lease: UidLease, on_lost: Callable[[str], None], keep_alive: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    """Renew the lease in the background while the block runs; `on_lost` is called once, with a sentence."""
    task = asyncio.create_task(_hold_on(lease, on_lost, keep_alive), name=f"lease {lease.id}")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _hold_on(lease: UidLease, on_lost: Callable[[str], None], keep_alive: Callable[[], Awaitable[None]]) -> None:
    clock = asyncio.get_running_loop().time
    renew_at = clock() + RENEW_SECONDS
    keep_alive_at: float | None = None  # only while Redis is away
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        try:
            if clock() >= renew_at or keep_alive_at is not None:
                reason = await hold(lease)
                renew_at = clock() + RENEW_SECONDS
            else:
                reason = await _gone(lease)
            keep_alive_at = None
        except NoCoordination:
            if keep_alive_at is None:
                logger.warning("Redis is away; keeping a picture alive from here", extra={"device": lease.device})
                keep_alive_at = clock()
            if clock() < keep_alive_at:
                continue
            keep_alive_at = clock() + lease.keep_alive_seconds
            reason = await _keep_alive_from_here(keep_alive)
        if reason:
            on_lost(reason)
            return


async def _keep_alive_from_here(keep_alive: Callable[[], Awaitable[None]]) -> str:
    try:
        await keep_alive()
    except DeviceError as error:
        return str(error) if ends_the_lease(error) else ""
    return ""


async def _gone(lease: UidLease) -> str:
    async with coordinated(_DOING) as redis:
        return str(await redis.get(f"{_PREFIX}gone:{lease.id}") or "")
