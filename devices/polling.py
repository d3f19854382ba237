"""How the fleet is watched: who is due, what one look at a device finds, and what of it is kept.

A sorted set in Redis holds when each enabled device is due; the database says which devices there are, and the set
follows it. Claiming is atomic, and a claim's own time stamp is its ticket: of two beats, workers or redelivered tasks
only one holds the valid ticket, so no device is looked at twice for one turn. A claim whose worker died becomes due
again by itself. Devices are claimed a beat before they are due, and the next look counts from when this one was due, so
that neither beats nor slow answers move the schedule; who is late by more than a whole turn misses it.

What changes with every look (last seen, counters, misses) is kept in Redis, written once per batch; the row is written
only when something else changed, and changes of state become events. Looks at one device may overlap, since people ask
for them, too: one is kept only where nothing was kept since it began to be prepared; else it is compared anew with what
is there by now, or dropped when a later look was kept. So each change is told once, and the last look counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

from asgiref.sync import sync_to_async
from django.db import transaction
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
AHEAD_SECONDS = 1.25  # how long before it is due a device is claimed: a beat, and what one may come late
CLAIM_SECONDS = 60  # from the beat to the worker
LOOK_SECONDS = 25.0  # for one device, all commands together
HELD_SECONDS = 6.0  # how long a worker holds a claim; it renews it while it lives
LATE_SPREAD = (0.8, 1.0)  # of its usual wait, for a device whose turn was missed: not all come together ever after
KEEP_TRIES = 3  # to keep a look while others are kept
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
# A ticket is the score that its claim gave the device, a slash, and when the device was due.
_TICKET = """
local function is_valid(id, ticket)
  local score = redis.call('ZSCORE', KEYS[1], id)
  return score and string.format('%.0f', score) == string.match(ticket, '^%d+')
end
local function due_of(ticket) return string.match(ticket, '%d+$') end
"""
# KEYS: due. ARGV: how many, milliseconds a claim lasts, milliseconds ahead. Answers id, ticket, id, ticket …
_CLAIM = (
    _NOW
    + """
local stamp = string.format('%.0f', now + ARGV[2])
local claimed = {}
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now + ARGV[3], 'WITHSCORES', 'LIMIT', 0, ARGV[1])
for i = 1, #found, 2 do
  redis.call('ZADD', KEYS[1], stamp, found[i])
  table.insert(claimed, found[i])
  table.insert(claimed, stamp .. '/' .. string.format('%.0f', found[i + 1]))
end
return claimed
"""
)
# KEYS: due. ARGV: milliseconds, id, ticket, id, ticket … Gives each valid ticket a new time; answers id, new ticket, …
_RENEW = (
    _NOW
    + _TICKET
    + """
local kept = {}
for i = 2, #ARGV, 2 do
  if is_valid(ARGV[i], ARGV[i + 1]) then
    local stamp = string.format('%.0f', now + ARGV[1])
    redis.call('ZADD', KEYS[1], stamp, ARGV[i])
    table.insert(kept, ARGV[i])
    table.insert(kept, stamp .. '/' .. due_of(ARGV[i + 1]))
  end
end
return kept
"""
)
# KEYS: due. ARGV: id, ticket, milliseconds from when it was due, milliseconds from now if that is over, …
# A device made due meanwhile by others stays so.
_NEXT = (
    _NOW
    + _TICKET
    + """
for i = 1, #ARGV, 4 do
  if is_valid(ARGV[i], ARGV[i + 1]) then
    local at = due_of(ARGV[i + 1]) + ARGV[i + 2]
    if at <= now then at = now + ARGV[i + 3] end
    redis.call('ZADD', KEYS[1], at, ARGV[i])
  end
end
return 1
"""
)
# KEYS: memories. ARGV: JSON of seconds they are kept, before: when the looks were that they replace, now: the new ones.
# Answers the numbers of those that replace another one by now, which were not written.
_REMEMBER = """
local given = cjson.decode(ARGV[1])
local beaten = {}
for i, name in ipairs(KEYS) do
  local text = redis.call('GET', name)
  local looked = text and cjson.decode(text).looked or 0
  if looked == given.before[i] then
    redis.call('SET', name, given.now[i], 'EX', given.seconds)
  else
    table.insert(beaten, i)
  end
end
return beaten
"""

Ticket = tuple[int, str]  # device id, and what proves the claim


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
        milliseconds = (str(CLAIM_SECONDS * 1000), str(int(AHEAD_SECONDS * 1000)))
        return _tickets(redis.eval(_CLAIM, 1, _DUE, str(DUE_AT_ONCE), *milliseconds))


def begin(tickets: Sequence[Ticket]) -> list[Ticket]:
    """The tickets that are still valid, renewed for HELD_SECONDS."""
    with coordinated_sync(_WATCH) as redis:
        arguments = [text for device, ticket in tickets for text in (str(device), ticket)]
        return _tickets(redis.eval(_RENEW, 1, _DUE, str(int(HELD_SECONDS * 1000)), *arguments))


def seconds_until_due(ticket: Ticket) -> float:
    """As it was when `begin` renewed the ticket, by the clock of Redis."""
    stamp, _, due = ticket[1].partition("/")
    return max(0.0, (int(due) - int(stamp)) / 1000 + HELD_SECONDS)


def come_again(next_looks: Sequence[tuple[Ticket, float]]) -> None:
    """When each is due again, counted from when it was due, in seconds."""
    arguments: list[str] = []
    for (device, ticket), seconds in next_looks:
        when_late = seconds * random.uniform(*LATE_SPREAD)  # noqa: S311  spread, not secret
        arguments += [str(device), ticket, str(int(seconds * 1000)), str(int(when_late * 1000))]
    if arguments:
        with coordinated_sync(_WATCH) as redis:
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

    looked: float = 0.0  # Unix time at which the look began that was kept last
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
    """Keep what the looks found, each at another device; answers after how many seconds each device is due again."""
    after: dict[int, float] = {}
    beaten = _store(outcomes, memories, after)
    for _ in range(KEEP_TRIES - 1):
        if not beaten:
            break
        memories = remembered([outcome.device.pk for outcome in beaten])
        rows = Device.objects.in_bulk([outcome.device.pk for outcome in beaten])
        later = [
            replace(outcome, device=rows[outcome.device.pk])
            for outcome in beaten
            if outcome.device.pk in rows and memories.get(outcome.device.pk, Memory()).looked < outcome.at.timestamp()
        ]
        beaten = _store(later, memories, after)
    return after


@dataclass
class _Finding:
    """What a look means, compared with what was known when it was prepared."""

    outcome: Outcome
    state: State
    before: Memory
    memory: Memory
    changed: dict[str, Any]  # columns of the row
    sample: Sample | None


def _store(outcomes: Sequence[Outcome], memories: Mapping[int, Memory], after: dict[int, float]) -> list[Outcome]:
    """Answers those that were not kept, because another look at the device was kept meanwhile."""
    findings = [_finding(outcome, memories.get(outcome.device.pk) or Memory()) for outcome in outcomes]
    for each in findings:
        device = each.outcome.device
        after[device.pk] = seconds_until_next(device, each.state, each.memory.misses)
    beaten = _remember(findings)
    kept = [each for number, each in enumerate(findings) if number not in beaten and _store_row(each)]
    history.keep_samples([each.sample for each in kept if each.sample is not None])
    return [findings[number].outcome for number in sorted(beaten)]


def _finding(outcome: Outcome, before: Memory) -> _Finding:
    device, health = outcome.device, outcome.health
    memory = replace(before, looked=outcome.at.timestamp())
    state, memory.misses = state_after(device.state, before.misses, outcome)
    if outcome.error is None:
        memory.last_seen = outcome.at.isoformat()
        memory.fleeting = _fleeting(health)
        if outcome.identity is not None:
            memory.identified = outcome.at.timestamp()
    changed = _changes(outcome, state)
    sample = None
    if history.is_due(outcome.at, before.sampled, state_changed="state" in changed, facts_changed="status" in changed):
        memory.sampled = outcome.at.timestamp()
        sample = Sample(
            device_id=device.pk, at=outcome.at, state=state, facts=dict(health.facts) if health is not None else {}
        )
    return _Finding(outcome, state, before, memory, changed, sample)


def _remember(findings: Sequence[_Finding]) -> set[int]:
    """Answers the numbers of those that were beaten; none when Redis is away, and nothing is remembered."""
    if not findings:
        return set()
    names = [_memory_key(each.outcome.device.pk) for each in findings]
    given = {
        "seconds": MEMORY_SECONDS,
        "before": [each.before.looked for each in findings],
        "now": [json.dumps(vars(each.memory)) for each in findings],
    }
    try:
        with coordinated_sync(_WATCH) as redis:
            beaten = cast(list[int], redis.eval(_REMEMBER, len(names), *names, json.dumps(given)))
    except NoCoordination:
        logger.warning("looks at devices are not remembered, since Redis is away")
        return set()
    return {number - 1 for number in beaten}


def _changes(outcome: Outcome, state: State) -> dict[str, Any]:
    """The columns of the row that are to be another from now on."""
    device = outcome.device
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
    return {name: value for name, value in facts.items() if getattr(device, name) != value}


def _store_row(finding: _Finding) -> bool:
    """Write what changed and tell of it. False when the row is no longer what was looked at."""
    device, changed, before = finding.outcome.device, finding.changed, finding.outcome.device.status
    if changed and not _write(device, changed, finding.memory):
        return False
    new_cameras = _store_cameras(device, finding.outcome.identity)
    if "state" in changed:
        logger.info("%s is now %s", device.name, finding.state.value, extra={"device": device.pk})
        history.state_changed(device, finding.state, device.last_error)
    if "status" in changed:
        history.facts_changed(device, before, device.status)
    if new_cameras or (changed.keys() - {"state", "last_error"}):
        events.publish("device.changed", device=device.pk)
    return True


def told(device_id: int, facts: Mapping[str, Any]) -> None:
    """What a device told by itself between two looks."""
    with transaction.atomic():
        device = Device.objects.select_for_update().filter(pk=device_id, enabled=True).first()
        if device is None:
            return
        before = device.status
        now = {**(before.get("now") or {}), **facts}
        if now == before.get("now"):
            return
        device.status = {**before, "now": now}
        device.save(update_fields=["status"])
    history.facts_changed(device, before, device.status)
    events.publish("device.changed", device=device_id)


def _write(device: Device, changed: Mapping[str, Any], memory: Memory) -> bool:
    seen = {name: getattr(device, name) for name in ("state", *changed)}
    with transaction.atomic():
        # The address too: what was found at an old one says nothing about the new one.
        rows = Device.objects.filter(pk=device.pk, host=device.host, port=device.port, enabled=True)
        if rows.select_for_update().values(*seen).first() != seen:
            return False
        seen_at = {"last_seen": datetime.fromisoformat(memory.last_seen)} if memory.last_seen else {}
        rows.update(**changed, **seen_at)
    for name, value in {**changed, **seen_at}.items():
        setattr(device, name, value)
    return True


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
