"""How the fleet is watched: who is due, what one look at a device finds, and what of it is kept.

A sorted set in Redis holds when each enabled device is due; the database says which devices there are, and the set
follows it. Claiming is atomic, and a claim's own time stamp is its ticket: of two beats, workers or redelivered tasks
only one holds the valid ticket, so no device is looked at twice for one turn. A claim whose worker died becomes due
again by itself.

What changes with every look (last seen, counters, misses) is kept in Redis, written once per shard; the row is written
only when something else changed, and changes of state become events.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from asgiref.sync import sync_to_async
from django.utils import timezone

from devices import events, history, passwords, trust
from devices.coordination import coordinated_sync, key
from devices.errors import Busy, DeviceError, NoAnswer, NoCoordination, Replaced, Unauthorised, WrongAnswer
from devices.families import driver_for
from devices.families.base import Health, Identity
from devices.gateway import Gateway
from devices.models import Camera, Device, Sample, State
from devices.options import COMMON, value_of

logger = logging.getLogger(__name__)

SHARD = 200
DUE_AT_ONCE = 2000
LOOKS_AT_ONCE = 100  # per shard; each holds a few sockets
CLAIM_SECONDS = 60  # from the beat to the worker
LOOK_SECONDS = 25.0  # for one device, all commands together
SHARD_SECONDS = 90.0
FOLLOW_SECONDS = 5  # how often the set is brought in line with the database
MISSES_UNTIL_OFFLINE = 2
SOON_SECONDS = 2.0  # after the first miss: was it a hiccup?
SLOWEST_SECONDS = 60.0  # the back-off for devices that are away
IDENTIFY_SECONDS = 60.0  # how often a well device is asked again who it is and what it sends
MEMORY_SECONDS = 7 * 24 * 3600

_DUE = key("poll", "due")
_WATCH = "watch the fleet"
_NOW = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
"""
# KEYS: due. ARGV: how many, milliseconds a claim lasts. Answers id, ticket, id, ticket …
_CLAIM = (
    _NOW
    + """
local ticket = string.format('%.0f', now + ARGV[2])
local claimed = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])) do
  redis.call('ZADD', KEYS[1], ticket, id)
  table.insert(claimed, id)
  table.insert(claimed, ticket)
end
return claimed
"""
)
# KEYS: due. ARGV: milliseconds, id, ticket, id, ticket … Gives each valid ticket a new time; answers id, new ticket, …
_RENEW = (
    _NOW
    + """
local kept = {}
for i = 2, #ARGV, 2 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and string.format('%.0f', score) == ARGV[i + 1] then
    local ticket = string.format('%.0f', now + ARGV[1] + 1)
    redis.call('ZADD', KEYS[1], ticket, ARGV[i])
    table.insert(kept, ARGV[i])
    table.insert(kept, ticket)
  end
end
return kept
"""
)
# KEYS: due. ARGV: id, ticket, milliseconds from now, … A device made due meanwhile by others stays so.
_NEXT = (
    _NOW
    + """
for i = 1, #ARGV, 3 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and string.format('%.0f', score) == ARGV[i + 1] then
    redis.call('ZADD', KEYS[1], now + ARGV[i + 2], ARGV[i])
  end
end
return 1
"""
)

Ticket = tuple[int, str]  # device id, time stamp


# --- Whose turn it is -------------------------------------------------------------------------------------------------
def follow_database(known: Iterable[int]) -> None:
    """Bring the set in line with the enabled devices; new ones are spread over the first seconds."""
    with coordinated_sync(_WATCH) as redis:
        scheduled = {int(each) for each in cast(list[str], redis.zrange(_DUE, 0, -1))}
        wanted = set(known)
        now = _redis_ms(redis)
        pipe = redis.pipeline(transaction=False)
        if gone := scheduled - wanted:
            pipe.zrem(_DUE, *gone)
        if new := wanted - scheduled:
            spread = min(len(new) * 20, 10_000)
            pipe.zadd(_DUE, {str(each): now + random.randrange(spread) for each in new}, nx=True)  # noqa: S311
        pipe.expire(_DUE, MEMORY_SECONDS)
        pipe.execute()


def time_to_follow() -> bool:
    """True for one caller every FOLLOW_SECONDS."""
    with coordinated_sync(_WATCH) as redis:
        return bool(redis.set(key("poll", "followed"), "1", nx=True, ex=FOLLOW_SECONDS))


def claim_due() -> list[Ticket]:
    with coordinated_sync(_WATCH) as redis:
        return _tickets(redis.eval(_CLAIM, 1, _DUE, str(DUE_AT_ONCE), str(CLAIM_SECONDS * 1000)))


def begin(tickets: Sequence[Ticket]) -> list[Ticket]:
    """The tickets that are still valid, renewed for the time a shard may take."""
    with coordinated_sync(_WATCH) as redis:
        arguments = [text for device, ticket in tickets for text in (str(device), ticket)]
        return _tickets(redis.eval(_RENEW, 1, _DUE, str(int(SHARD_SECONDS * 1000)), *arguments))


def come_again(next_looks: Sequence[tuple[Ticket, float]]) -> None:
    with coordinated_sync(_WATCH) as redis:
        arguments = [
            text for (device, ticket), seconds in next_looks for text in (str(device), ticket, str(int(seconds * 1000)))
        ]
        if arguments:
            redis.eval(_NEXT, 1, _DUE, *arguments)


def look_soon(device: Device) -> None:
    """Make a device due now, or no longer, after it was added, changed or removed. Harmless when Redis is away: the set
    follows the database anyway."""
    try:
        with coordinated_sync(_WATCH) as redis:
            if device.enabled and device.pk is not None:
                redis.zadd(_DUE, {str(device.pk): _redis_ms(redis)})
    except NoCoordination:
        logger.warning("a device will be looked at later, since Redis is away", extra={"device": device.pk})


def _redis_ms(redis: Any) -> int:
    seconds, micros = redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


def _tickets(flat: Any) -> list[Ticket]:
    return [(int(device), str(ticket)) for device, ticket in zip(flat[::2], flat[1::2], strict=True)]


# --- One look ---------------------------------------------------------------------------------------------------------
@dataclass
class Memory:
    """What is remembered of a device from look to look, in Redis."""

    misses: int = 0
    last_seen: str = ""  # ISO 8601, UTC
    identified: float = 0.0  # Unix time
    sampled: float = 0.0  # Unix time
    fleeting: dict[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """What one look at a device found."""

    device: Device
    at: datetime
    error: DeviceError | None = None
    identity: Identity | None = None
    health: Health | None = None


async def look(device: Device, memory: Memory, *, identify: bool = False) -> Outcome:
    """Ask a device how it is, and who it is when that is not known or was long ago. Never raises DeviceError."""
    at = timezone.now()
    outcome = Outcome(device, at)
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            driver = driver_for(device)
            gateway = Gateway(device)
            due = at.timestamp() - memory.identified >= IDENTIFY_SECONDS
            if identify or due or memory.misses or device.state not in (State.ONLINE, State.DEGRADED):
                identity = await driver.identify(gateway)
                trust.check_identity(device, mac=identity.mac, serial=identity.serial)
                outcome.identity = identity
            outcome.health = await driver.health(gateway)
    except Unauthorised as error:
        outcome.error = error
        with contextlib.suppress(DeviceError, TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await passwords.settle(device)  # the next look uses the new one
    except DeviceError as error:
        outcome.error = error
    except TimeoutError:
        outcome.error = NoAnswer(f"{device.name} took more than {LOOK_SECONDS:.0f} s to tell how it is.")
    except Exception:
        logger.exception("a look at a device failed", extra={"device": device.pk})
        outcome.error = WrongAnswer(f"{device.name} answered something we cannot read. The log tells more.")
    return outcome


async def look_at_all(devices: Sequence[Device], memories: Mapping[int, Memory]) -> list[Outcome]:
    gate = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def one(device: Device) -> Outcome:
        async with gate:
            return await look(device, memories.get(device.pk) or Memory())

    return list(await asyncio.gather(*map(one, devices)))


def remembered(ids: Sequence[int]) -> dict[int, Memory]:
    """What Redis remembers of these devices; nothing when it is away."""
    try:
        return _recalled(ids)
    except NoCoordination:
        return {}


def _recalled(ids: Sequence[int]) -> dict[int, Memory]:
    if not ids:
        return {}
    with coordinated_sync(_WATCH) as redis:
        texts = cast(list[str | None], redis.mget([_memory_key(each) for each in ids]))
    return {each: Memory(**json.loads(text)) for each, text in zip(ids, texts, strict=True) if text}


def forget(device_id: int) -> None:
    try:
        with coordinated_sync(_WATCH) as redis:
            redis.zrem(_DUE, str(device_id))
            redis.delete(_memory_key(device_id))
    except NoCoordination:
        logger.warning("what is remembered of a device ends by itself later", extra={"device": device_id})


def _memory_key(device_id: int) -> str:
    return key("poll", "memory", device_id)


async def look_now(device: Device) -> None:
    """Look at a device for somebody who waits. Keeps what was found, then raises what went wrong.

    Without Redis nothing can be found, which is said at once: what does not answer is not asked again and again."""
    memories = await sync_to_async(_recalled)([device.pk])
    outcome = await look(device, memories.get(device.pk) or Memory(), identify=True)
    if isinstance(outcome.error, NoCoordination):
        raise outcome.error
    await sync_to_async(store)([outcome], memories)
    if outcome.error is not None:
        raise outcome.error


# --- What it means ----------------------------------------------------------------------------------------------------
def state_after(previous: str, misses: int, outcome: Outcome) -> tuple[State, int]:
    """The state and the number of misses in a row. One miss is a hiccup; MISSES_UNTIL_OFFLINE are an absence.

    A device that was replaced stays so, whatever else goes wrong, until the one we know answers or an administrator
    accepts the new one: meanwhile nothing is written to it.
    """
    match outcome.error:
        case None:
            degraded = outcome.health is not None and outcome.health.problems
            return (State.DEGRADED if degraded else State.ONLINE), 0
        case Replaced():
            return State.REPLACED, 0
        case error if previous == State.REPLACED:
            return State.REPLACED, misses + isinstance(error, NoAnswer)
        case NoAnswer():
            misses += 1
            return (State.OFFLINE if misses >= MISSES_UNTIL_OFFLINE else State(previous)), misses
        case Unauthorised():
            return State.UNAUTHORISED, 0
        case Busy() | NoCoordination():
            return State(previous), misses
        case _:
            return State.DEGRADED, 0


def seconds_until_next(device: Device, state: State, misses: int) -> float:
    usual = float(value_of(COMMON, device.options, "poll_seconds"))
    if state == State.UNAUTHORISED:
        return max(usual, SLOWEST_SECONDS)
    if misses == 0:
        return usual
    if misses < MISSES_UNTIL_OFFLINE:
        return min(usual, SOON_SECONDS)
    doublings = min(misses - MISSES_UNTIL_OFFLINE, 10)
    return max(usual, min(SLOWEST_SECONDS, usual * 2.0**doublings))


def store(outcomes: Sequence[Outcome], memories: Mapping[int, Memory]) -> dict[int, float]:
    """Keep what the looks found; answers after how many seconds each device is due again."""
    after: dict[int, float] = {}
    kept: dict[int, Memory] = {}
    samples: list[Sample] = []
    for outcome in outcomes:
        device = outcome.device
        memory = memories.get(device.pk) or Memory()
        state, memory.misses = state_after(device.state, memory.misses, outcome)
        if outcome.error is None:
            memory.last_seen = outcome.at.isoformat()
            memory.fleeting = _fleeting(outcome.health)
            if outcome.identity is not None:
                memory.identified = outcome.at.timestamp()
        kept[device.pk] = memory
        after[device.pk] = seconds_until_next(device, state, memory.misses)
        changed = _store_row(outcome, state, memory)
        if changed is not None and history.is_due(
            outcome.at, memory.sampled, state_changed="state" in changed, facts_changed="status" in changed
        ):
            memory.sampled = outcome.at.timestamp()
            facts = dict(outcome.health.facts) if outcome.health is not None else {}
            samples.append(Sample(device_id=device.pk, at=outcome.at, state=state, facts=facts))
    history.keep_samples(samples)
    try:
        with coordinated_sync(_WATCH) as redis:
            pipe = redis.pipeline(transaction=False)
            for device_id, memory in kept.items():
                pipe.set(_memory_key(device_id), json.dumps(vars(memory)), ex=MEMORY_SECONDS)
            pipe.execute()
    except NoCoordination:
        logger.warning("looks at devices are not remembered, since Redis is away")
    return after


def _store_row(outcome: Outcome, state: State, memory: Memory) -> set[str] | None:
    """Write what changed; answers the changed columns, or None when the row is no longer what was looked at."""
    device = outcome.device
    before = device.status
    facts: dict[str, Any] = {"state": state, "last_error": str(outcome.error or "")}
    status = dict(device.status)
    if outcome.identity is not None:
        identity = outcome.identity
        facts |= {
            "model": identity.model,
            "serial": identity.serial,
            "mac": identity.mac,
            "firmware": identity.firmware,
        }
        status |= identity.facts
    if outcome.health is not None:
        stable = {name: value for name, value in outcome.health.facts.items() if name not in outcome.health.fleeting}
        status |= {"now": stable, "problems": outcome.health.problems}
    facts["status"] = status
    changed = {name: value for name, value in facts.items() if getattr(device, name) != value}
    if changed:
        if memory.last_seen:
            changed["last_seen"] = datetime.fromisoformat(memory.last_seen)
        # The address too: what was found at an old one says nothing about the new one.
        rows = Device.objects.filter(pk=device.pk, host=device.host, port=device.port, enabled=True)
        if not rows.update(**changed):
            return None
        for name, value in changed.items():
            setattr(device, name, value)
    new_cameras = _store_cameras(device, outcome.identity)
    if "state" in changed:
        logger.info("%s is now %s", device.name, state.value, extra={"device": device.pk})
        history.state_changed(device, state, device.last_error)
    if "status" in changed:
        history.facts_changed(device, before, device.status)
    if new_cameras or (changed.keys() - {"state", "last_seen", "last_error"}):
        events.publish("device.changed", device=device.pk)
    return set(changed)


def _store_cameras(device: Device, identity: Identity | None) -> bool:
    """Every camera a device brings gets a row once; its name is then ours to change."""
    if identity is None:
        return False
    known = set(Camera.objects.filter(device=device).values_list("number", flat=True))
    new = [
        Camera(device=device, number=number, name=name[:100])
        for number, name in identity.cameras.items()
        if number not in known
    ]
    Camera.objects.bulk_create(new, ignore_conflicts=True)
    return bool(new)


def _fleeting(health: Health | None) -> dict[str, Any]:
    return {} if health is None else {name: health.facts.get(name) for name in health.fleeting}


def last_seen(device: Device, memory: Memory | None) -> datetime | None:
    if memory is not None and memory.last_seen:
        return datetime.fromisoformat(memory.last_seen).astimezone(UTC)
    return device.last_seen
