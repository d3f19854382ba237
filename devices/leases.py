"""Owner leases in Redis: one holder at a time, for a limited time, with a fencing number.

A lease that is not renewed ends by itself, so a crashed holder blocks nobody for long. The fencing number only grows:
whoever compares it can tell a holder that slept past its lease from the one that followed. It is at least Redis's clock
in microseconds, so that it keeps growing even when Redis lost its memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from devices.coordination import coordinated, key

# KEYS: lease, counter. ARGV: owner, value, milliseconds. Answers the fencing number, or nothing when it is held.
_TAKE = """
if redis.call('EXISTS', KEYS[1]) == 1 then return false end
local now = redis.call('TIME')
local fence = tonumber(now[1]) * 1000000 + tonumber(now[2])
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
if fence <= last then fence = last + 1 end
local text = string.format('%.0f', fence)
redis.call('SET', KEYS[2], text, 'EX', 86400)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'value', ARGV[2], 'fence', text)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return text
"""
# KEYS: lease. ARGV: owner, fence, milliseconds (0 ends it).
_RENEW = """
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return 0 end
if ARGV[3] == '0' then redis.call('DEL', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1
"""


@dataclass(frozen=True)
class Lease:
    """`value` is for others to read: where the holder is reached, for example."""

    name: str
    owner: str
    fence: int
    value: str = ""


async def take(name: str, owner: str, seconds: float, *, value: str = "") -> Lease | None:
    """The lease, or None when somebody holds it."""
    async with coordinated(f"take {name}") as redis:
        fence = cast(Any, await redis.eval(_TAKE, 2, _key(name), key("fence"), owner, value, _ms(seconds)))
    return Lease(name, owner, int(fence), value) if fence else None


async def renew(lease: Lease, seconds: float) -> bool:
    """False when it is no longer ours: whatever it protected must be let go."""
    return await _set(lease, _ms(seconds))


async def release(lease: Lease) -> bool:
    """True when it was still ours until now."""
    return await _set(lease, "0")


async def read(name: str) -> Lease | None:
    """Who holds it now."""
    async with coordinated(f"read {name}") as redis:
        held = cast(dict[str, str], await cast(Any, redis.hgetall(_key(name))))
    return Lease(name, held["owner"], int(held["fence"]), held["value"]) if held else None


async def _set(lease: Lease, milliseconds: str) -> bool:
    async with coordinated(f"renew {lease.name}") as redis:
        kept = await cast(Any, redis.eval(_RENEW, 1, _key(lease.name), lease.owner, str(lease.fence), milliseconds))
    return bool(kept)


def _key(name: str) -> str:
    return key("lease", name)


def _ms(seconds: float) -> str:
    return str(max(1, int(seconds * 1000)))
