"""The ledger of UIDs: who holds which place on which device, in Redis.

A device hands out a UID for a transmission and forgets it only when told to stop, or when nobody keeps it alive. So
every UID is a lease with a record that outlives its holder. The holder (a web process) renews it while the picture
runs; `devices.keeping`, run by Celery, keeps it alive on the device, and stops it when the holder has gone.

- A renewal writes the whole record again, so the ledger heals by itself after Redis lost its memory.
- A lease that ended on the device leaves a mark; the holder sees it within CHECK_SECONDS and lets go.
- While Redis is away the holder keeps the picture alive itself: nobody else can be sending commands then.
- Nor can anybody renew then. So a keeper that was kept from running gives each lease one more life before it counts as
  dead; one only, so that a keeper that is always late still finds the dead.

Where a device gives one UID for several things (a recorder: 16 live pictures and steering), the UID is a lease by
itself, the *whole*, and each thing that uses it a *part*: a lease of its own, with its own holder, in whatever process.
A part `join`s a whole that has room for it and renews it along with itself; the last part that `leave`s is told so, to
give the UID back. A whole whose parts have all died is stopped by the keeper as any lease is.

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
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, cast

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
# A whole outlives its parts a little, so that the keeper stops these first.
WHOLE_SECONDS = HOLDER_SECONDS + 15.0
# A keeper that did not run for this long, three beats, was kept from it, and what did so may have kept holders from
# renewing. Well below what a lease has left when it is to be renewed.
KEPT_AWAY_SECONDS = 15.0
# After Redis lost its memory every part is back within one renewal; until then nobody can say which is the last.
FRESH_SECONDS = RENEW_SECONDS + 2.0

Kind = Literal["live", "playback", "download"]

_PREFIX = key("uids", "")  # vms:uids:
_DOING = "keep track of transmissions"

# Common to all scripts: KEYS[1] is the prefix; the clock is Redis's, in milliseconds.
_CLOCK = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local record, gone = KEYS[1] .. 'record:', KEYS[1] .. 'gone:'
local holders, due = KEYS[1] .. 'holders', KEYS[1] .. 'due'
local parts, wholes, fresh = KEYS[1] .. 'parts:', KEYS[1] .. 'wholes:', KEYS[1] .. 'fresh:'
local looked, excused = KEYS[1] .. 'looked', KEYS[1] .. 'excused'
"""
# The parts of a whole as {id, camera, …}, without those whose record is gone.
_PARTS = """
local function parts_of(whole)
  local kept, flat = {}, redis.call('HGETALL', parts .. whole)
  for i = 1, #flat, 2 do
    if redis.call('EXISTS', record .. flat[i]) == 1 then
      table.insert(kept, flat[i])
      table.insert(kept, flat[i + 1])
    else
      redis.call('HDEL', parts .. whole, flat[i])
    end
  end
  return kept
end
"""
# ARGV: id, record, seconds it lives, milliseconds until the holder counts as dead, milliseconds to the first
# keep-alive (0: none of its own), the whole it is a part of, its camera, the device if others may join it, '1' if it is
# new, milliseconds a whole that Redis had forgotten counts as fresh. Answers why the lease is gone, or ''.
_HOLD = (
    _CLOCK
    + """
if ARGV[9] == '1' then redis.call('DEL', gone .. ARGV[1]) end
local reason = redis.call('GET', gone .. ARGV[1])
if reason then return reason end
if ARGV[6] ~= '' then
  reason = redis.call('GET', gone .. ARGV[6])
  if reason then return reason end
  redis.call('HSET', parts .. ARGV[6], ARGV[1], ARGV[7])
  redis.call('EXPIRE', parts .. ARGV[6], ARGV[3])
end
if ARGV[8] ~= '' and (ARGV[9] == '1' or redis.call('EXISTS', record .. ARGV[1]) == 0) then
  redis.call('ZADD', wholes .. ARGV[8], now, ARGV[1])
  if ARGV[9] ~= '1' then redis.call('SET', fresh .. ARGV[1], '1', 'PX', ARGV[10]) end
end
redis.call('SET', record .. ARGV[1], ARGV[2], 'EX', ARGV[3])
redis.call('ZADD', holders, now + ARGV[4], ARGV[1])
redis.call('SREM', excused, ARGV[1])
if ARGV[5] ~= '0' then redis.call('ZADD', due, 'NX', now + ARGV[5], ARGV[1]) end
redis.call('EXPIRE', holders, ARGV[3])
redis.call('EXPIRE', due, ARGV[3])
if ARGV[8] ~= '' then redis.call('EXPIRE', wholes .. ARGV[8], ARGV[3]) end
return ''
"""
)
# ARGV: the part's id, its record without UID, its camera (0: no picture), device, pictures a whole may carry, seconds a
# record lives, milliseconds until the part and until the whole count as dead. A part that is in already stays where it
# is. Answers the whole's record, or ''.
_JOIN = (
    _CLOCK
    + _PARTS
    + """
local found = ''
for _, whole in ipairs(redis.call('ZRANGE', wholes .. ARGV[4], 0, -1)) do
  if redis.call('EXISTS', record .. whole) == 0 then
    redis.call('ZREM', wholes .. ARGV[4], whole)
  else
    local pictures, fits, flat = 0, true, parts_of(whole)
    for i = 1, #flat, 2 do
      if flat[i] == ARGV[1] then found = whole end
      if flat[i + 1] ~= '0' then pictures = pictures + 1 end
      if flat[i + 1] == ARGV[3] and ARGV[3] ~= '0' then fits = false end
    end
    if ARGV[3] ~= '0' and pictures >= tonumber(ARGV[5]) then fits = false end
    if found ~= whole and found == '' and fits then found = whole end
  end
  if redis.call('HEXISTS', parts .. whole, ARGV[1]) == 1 then break end
end
if found == '' then return '' end
local text = redis.call('GET', record .. found)
redis.call('DEL', gone .. ARGV[1])
local part = cjson.decode(ARGV[2])
part['uid'] = cjson.decode(text)['uid']
part['of'] = found
redis.call('SET', record .. ARGV[1], cjson.encode(part), 'EX', ARGV[6])
redis.call('HSET', parts .. found, ARGV[1], ARGV[3])
redis.call('EXPIRE', parts .. found, ARGV[6])
redis.call('ZADD', holders, now + ARGV[7], ARGV[1])
redis.call('ZADD', holders, now + ARGV[8], found)
redis.call('SREM', excused, ARGV[1], found)
redis.call('EXPIRE', record .. found, ARGV[6])
return text
"""
)
# ARGV: the part's id, the whole's id, the whole's record, device, seconds a record lives, milliseconds the whole may
# wait for parts that have not come back yet. Answers 'last' when the caller is to give the UID back, else ''.
_LEAVE = (
    _CLOCK
    + _PARTS
    + """
redis.call('DEL', record .. ARGV[1])
redis.call('ZREM', holders, ARGV[1])
redis.call('HDEL', parts .. ARGV[2], ARGV[1])
if redis.call('EXISTS', gone .. ARGV[2]) == 1 then return '' end
if #parts_of(ARGV[2]) > 0 then return '' end
if redis.call('EXISTS', record .. ARGV[2]) == 1 and redis.call('EXISTS', fresh .. ARGV[2]) == 0 then
  redis.call('ZREM', wholes .. ARGV[4], ARGV[2])
  return 'last'
end
redis.call('SET', record .. ARGV[2], ARGV[3], 'EX', ARGV[5])
redis.call('ZADD', holders, now + ARGV[6], ARGV[2])
redis.call('EXPIRE', holders, ARGV[5])
return ''
"""
)
# ARGV: id, why the lease is gone ('' leaves no mark), seconds the mark lives, the whole it is a part of, device.
_FORGET = (
    _CLOCK
    + """
redis.call('DEL', record .. ARGV[1])
redis.call('ZREM', holders, ARGV[1])
redis.call('ZREM', due, ARGV[1])
redis.call('SREM', excused, ARGV[1])
redis.call('ZREM', wholes .. ARGV[5], ARGV[1])
for _, part in ipairs(redis.call('HKEYS', parts .. ARGV[1])) do
  redis.call('DEL', record .. part)
  redis.call('ZREM', holders, part)
end
redis.call('DEL', parts .. ARGV[1], fresh .. ARGV[1])
if ARGV[4] ~= '' then redis.call('HDEL', parts .. ARGV[4], ARGV[1]) end
if ARGV[2] ~= '' then redis.call('SET', gone .. ARGV[1], ARGV[2], 'EX', ARGV[3]) end
return 1
"""
)
# ARGV: milliseconds a claim lasts, milliseconds without a look after which the keeper was kept from it, milliseconds of
# another life, seconds a record lives. Answers {records whose holder is dead, records to keep alive}, each claimed.
_CLAIM = (
    _CLOCK
    + """
local last = tonumber(redis.call('GET', looked) or now)
redis.call('SET', looked, string.format('%.0f', now), 'EX', ARGV[4])
if now - last > tonumber(ARGV[2]) then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', holders, '-inf', now + ARGV[3])) do
    if redis.call('SADD', excused, id) == 1 then redis.call('ZADD', holders, now + ARGV[3], id) end
  end
  redis.call('EXPIRE', excused, ARGV[4])
end
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
    """A place on a device. `mode` is the kind of transmission in the driver's words, `port` ours.

    A part is `of` a whole, and has its UID; what others may join is a whole and is `shared`. `camera` is the number of
    the camera whose picture a part stands for, 0 when it stands for none; `sound` is the number of the one whose sound
    it stands for. `since` is Unix time.
    """

    device: int
    uid: str = field(repr=False)
    mode: str
    port: int
    keep_alive_seconds: int
    holder: str = field(default_factory=this_process)
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    kind: Kind = "live"
    camera: int = 0
    of: str = ""
    shared: bool = False
    sound: int = 0
    since: int = field(default_factory=lambda: int(time.time()))


async def _run(script: str, *arguments: object) -> Any:
    async with coordinated(_DOING) as redis:
        return await cast(Any, redis.eval(script, 1, _PREFIX, *map(str, arguments)))


async def hold(lease: UidLease, *, new: bool = False) -> str:
    """Write the lease, or renew it. Answers why it is gone, or '' when it is ours."""
    gone = await _run(
        _HOLD,
        lease.id,
        json.dumps(asdict(lease)),
        RECORD_SECONDS,
        _ms(WHOLE_SECONDS if lease.shared else HOLDER_SECONDS),
        0 if lease.of else lease.keep_alive_seconds * 1000,
        lease.of,
        lease.camera,
        lease.device if lease.shared else "",
        int(new),
        _ms(FRESH_SECONDS),
    )
    return str(gone)


async def join(part: UidLease, *, pictures: int) -> tuple[UidLease, UidLease] | None:
    """Become a part of a whole of this device that carries fewer than so many pictures, none of them of the same
    camera: the part as it is now, and the whole. None when there is no such whole. Whoever is in already is renewed."""
    text = await _run(
        _JOIN,
        part.id,
        json.dumps(asdict(part)),
        part.camera,
        part.device,
        pictures,
        RECORD_SECONDS,
        _ms(HOLDER_SECONDS),
        _ms(WHOLE_SECONDS),
    )
    if not text:
        return None
    whole = UidLease(**json.loads(text))
    return replace(part, uid=whole.uid, of=whole.id), whole


async def leave(part: UidLease, whole: UidLease) -> bool:
    """The part has ended. True when it was the last, so that the UID is to be given back; nobody can join it then."""
    said = await _run(
        _LEAVE, part.id, whole.id, json.dumps(asdict(whole)), whole.device, RECORD_SECONDS, _ms(FRESH_SECONDS)
    )
    return bool(said)


async def find(lease_id: str) -> UidLease | None:
    async with coordinated(_DOING) as redis:
        text = await redis.get(f"{_PREFIX}record:{lease_id}")
    return UidLease(**json.loads(text)) if text else None


async def forget(lease: UidLease, reason: str = "") -> None:
    """The lease has ended on the device, with all its parts; with a reason, their holders are told."""
    await _run(_FORGET, lease.id, reason, RECORD_SECONDS, lease.of, lease.device)


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
    dead, quiet = await _run(_CLAIM, _ms(CLAIM_SECONDS), _ms(KEPT_AWAY_SECONDS), _ms(HOLDER_SECONDS), RECORD_SECONDS)
    return [UidLease(**json.loads(text)) for text in dead], [UidLease(**json.loads(text)) for text in quiet]


async def leases() -> list[UidLease]:
    """Everything in the ledger, for people to look at."""
    async with coordinated(_DOING) as redis:
        ids = await cast(Any, redis.zrange(_PREFIX + "holders", 0, -1))
        texts = await redis.mget([f"{_PREFIX}record:{each}" for each in ids]) if ids else []
    return [UidLease(**json.loads(text)) for text in texts if text]


@dataclass(frozen=True)
class Held:
    """One UID of ours on a device, for people to look at: what it is for, since when (Unix time), and what is done with
    it by which process. The UID itself is nobody's business."""

    kind: Kind
    since: int
    uses: tuple[Use, ...]


@dataclass(frozen=True)
class Use:
    mode: str
    camera: int  # 0: of no camera
    holder: str
    since: int


async def held(device: int) -> list[Held]:
    """Who holds what on a device, the oldest first."""
    ours = [lease for lease in await leases() if lease.device == device]
    ours.sort(key=lambda lease: (lease.since, lease.id))

    def use(lease: UidLease) -> Use:
        return Use(lease.mode, lease.camera or lease.sound, lease.holder, lease.since)

    wholes = {part.of for part in ours if part.of}
    return [
        Held(
            lease.kind,
            lease.since,
            tuple(use(part) for part in ours if part.of == lease.id) if lease.id in wholes else (use(lease),),
        )
        for lease in ours
        if not lease.of
    ]


def ends_the_lease(error: DeviceError) -> bool:
    """Did the device say that it no longer knows the UID? Silence, a queue or a closed door do not say so."""
    return isinstance(error, Refused | NotSupported | WrongAnswer)


@contextlib.asynccontextmanager
async def holding(
    lease: UidLease,
    on_lost: Callable[[str], None],
    keep_alive: Callable[[], Awaitable[None]],
    whole: UidLease | None = None,
) -> AsyncIterator[None]:
    """Renew the lease, and the whole it is a part of, in the background while the block runs; `on_lost` is called once,
    with a sentence."""
    task = asyncio.create_task(_hold_on(lease, whole, on_lost, keep_alive), name=f"lease {lease.id}")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _hold_on(
    lease: UidLease,
    whole: UidLease | None,
    on_lost: Callable[[str], None],
    keep_alive: Callable[[], Awaitable[None]],
) -> None:
    clock = asyncio.get_running_loop().time
    renew_at = clock() + RENEW_SECONDS
    keep_alive_at: float | None = None  # only while Redis is away
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        try:
            if clock() >= renew_at or keep_alive_at is not None:
                reason = await hold(lease) or (await hold(whole) if whole else "")
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
        marks = await redis.mget([f"{_PREFIX}gone:{each}" for each in (lease.id, lease.of) if each])
    return str(next(filter(None, marks), ""))


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
