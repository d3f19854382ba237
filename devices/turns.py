"""Turn-taking before a device, shared by all processes through Redis.

Before a command a process *enters*: one process at a time, no sooner than the device's rest after the last command of
the same lane, and not at all while a breaker is open. After it, it *leaves*, saying how the log-in went and what was
said. The Digest challenge travels along, so that all processes use one nonce and 401 answers stay rare. How often a
nonce was used must never be told wrongly, or a device takes the next use for an attack. So who is in has the challenge
to itself until it gives it back; one that was not given back, since its process died, is not used again, nor one that a
Redis has from a memory that it saved before it was killed.

Devices lock out who is refused too often, so there are two breakers. Two refused log-ins with the same user name and
password pause these for a minute. And since a password may be corrected and be wrong again, an address is left alone
while ADDRESS_REFUSALS log-ins of the last minute were refused there, whatever they were made of.

A device is its address here, so that a probe, a row and its successor share one turn. Times are Redis's own, so clocks
of machines do not matter; every key expires. A turn is short and renewed while it lasts: a crashed process blocks a
device for TURN_SECONDS at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from devices.coordination import key, run_script
from devices.errors import NoCoordination, Queued, Unauthorised
from devices.exchanges import RING_LENGTH, RING_SECONDS
from devices.http import Challenge

logger = logging.getLogger(__name__)

REFUSALS_ALLOWED = 2
PAUSE_SECONDS = 60
# The strictest lock-out known is more than 8 refusals in 30 s. A turn adds two at most. Who was accepted before may go
# on a little longer: the refusals may be somebody else's typing.
ADDRESS_REFUSALS = 4
ADDRESS_REFUSALS_WHEN_KNOWN = 6
ADDRESS_SECONDS = 60
CHALLENGE_SECONDS = 600
PATIENCE_SECONDS = 15.0
TURN_SECONDS = 4.0
BEAT_SECONDS = 1.0
# How often a waiting process looks whether the device is free; a command of a camera takes about this long.
LOOK_MILLISECONDS = 25

_KEYS = key("turn")
_CLOCK = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + tonumber(clock[2]) / 1000
"""
# What is given comes as one JSON: each argument by itself costs the client as much as all of them so.
# KEYS: turn, pause, challenge, refused at this address, lanes…
# ARGV: JSON of token, turn_ms: how long the turn may last, challenge_ms: how long the challenge is kept, refusal_ms:
# how long a refusal counts, allowed and allowed_known: refusals at this address without and with a challenge.
# Answers {"in", challenge, count, Redis's run} | {"wait", milliseconds (0: somebody is in)} | {"paused", milliseconds}.
_ENTER = (
    _CLOCK
    + """
local given = cjson.decode(ARGV[1])
local paused = redis.call('PTTL', KEYS[2])
if paused > 0 then return {'paused', paused} end
local challenge = redis.call('HGET', KEYS[3], 'challenge')
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - given.refusal_ms)
local over = redis.call('ZCARD', KEYS[4]) - (challenge and given.allowed_known or given.allowed)
if over >= 0 then
  local last = tonumber(redis.call('ZRANGE', KEYS[4], over, over, 'WITHSCORES')[2])
  return {'paused', math.ceil(last + given.refusal_ms - now)}
end
if redis.call('EXISTS', KEYS[1]) == 1 then return {'wait', 0} end
local wait = 0
for i = 5, #KEYS do
  local free = tonumber(redis.call('GET', KEYS[i]) or '0')
  if free - now > wait then wait = free - now end
end
if wait > 0 then return {'wait', math.ceil(wait)} end
redis.call('SET', KEYS[1], given.token, 'PX', given.turn_ms)
if not challenge then return {'in', '', 0, ''} end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
local kept = redis.call('HMGET', KEYS[3], 'count', 'run', 'out')
if kept[2] ~= run or kept[3] then return {'in', '', 0, run} end
redis.call('HSET', KEYS[3], 'out', '1')
redis.call('PEXPIRE', KEYS[3], given.challenge_ms)
return {'in', challenge, tonumber(kept[1] or '0'), run}
"""
)
# KEYS: turn. ARGV: token, milliseconds.
_RENEW = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
"""
# KEYS: turn, pause, challenge, refused at this address, refusals of this log-in, ring of exchanges, lanes…
# ARGV: JSON of token, refused: refusals now, accepted: whether the log-in was, challenge to keep ("" forgets it), its
# count, run: of the Redis that was entered ("": not known), challenge_ms: how long it is kept, allowed: refusals,
# pause_s, refusal_s: how long one counts, ring: its length, ring_s: how long it is kept, gaps: milliseconds of each
# lane; then exchanges…
_LEAVE = (
    _CLOCK
    + """
local given = cjson.decode(ARGV[1])
if redis.call('GET', KEYS[1]) == given.token then redis.call('DEL', KEYS[1]) end
for i = 7, #KEYS do
  local gap = given.gaps[i - 6]
  redis.call('SET', KEYS[i], string.format('%.3f', now + gap), 'PX', gap)
end
if given.challenge == '' then
  redis.call('DEL', KEYS[3])
else
  local run = given.run ~= '' and given.run or string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
  redis.call('HSET', KEYS[3], 'challenge', given.challenge, 'count', given.count, 'run', run)
  redis.call('HDEL', KEYS[3], 'out')
  redis.call('PEXPIRE', KEYS[3], given.challenge_ms)
end
if given.accepted then redis.call('DEL', KEYS[5]) end
for i = 1, given.refused do
  redis.call('ZADD', KEYS[4], now, given.token .. i)
  redis.call('EXPIRE', KEYS[4], given.refusal_s)
end
if given.refused > 0 then
  local count = redis.call('INCRBY', KEYS[5], given.refused)
  redis.call('EXPIRE', KEYS[5], given.pause_s)
  if count >= given.allowed then
    redis.call('SET', KEYS[2], '1', 'EX', given.pause_s)
    redis.call('DEL', KEYS[5])
  end
end
if #ARGV > 1 then
  for i = 2, #ARGV do redis.call('LPUSH', KEYS[6], ARGV[i]) end
  redis.call('LTRIM', KEYS[6], 0, given.ring - 1)
  redis.call('EXPIRE', KEYS[6], given.ring_s)
end
return 1
"""
)


@dataclass
class Login:
    """What one turn knows and learns about logging in, and what was said in it."""

    challenge: Challenge | None = None
    count: int = 0  # how often the challenge's nonce was used
    refused: int = 0  # log-ins refused in this turn
    accepted: bool = False
    run: str = ""  # of the Redis that was entered
    said: list[str] = field(default_factory=list)  # exchanges, as they are kept


@dataclass(frozen=True)
class Turn:
    """A place before one device: `place` is its address, `login` stands for one set of credentials (never the
    credentials themselves), `lanes` the rests to keep after this command, in milliseconds, `ring` where exchanges are
    kept."""

    place: str
    login: str
    lanes: Mapping[str, int]
    ring: str = ""
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    def taken(self, patience: float = PATIENCE_SECONDS) -> _Taken:
        """Enter, keep the turn for the block, and leave, even while being cancelled."""
        return _Taken(self, patience)

    async def enter(self, patience: float = PATIENCE_SECONDS) -> Login:
        """Wait for the turn. Raises Busy, Unauthorised (a breaker is open) or NoCoordination."""
        try:
            async with asyncio.timeout(patience):
                while True:
                    looking = self._looking()
                    try:
                        state, about, *more = await asyncio.shield(looking)
                    except asyncio.CancelledError:
                        # The turn may be ours by now; nobody would give it back.
                        looking.add_done_callback(self._abandon)
                        raise
                    if state == "in":
                        return _login(about, *more)
                    if state == "paused":
                        raise paused(int(about) / 1000)
                    wait = int(about) or random.uniform(0.5, 1.5) * LOOK_MILLISECONDS  # noqa: S311  spread, not secret
                    await asyncio.sleep(wait / 1000)
        except TimeoutError as error:
            raise Queued("The device is busy with other commands. Try again in a moment.") from error

    def _looking(self) -> asyncio.Future[Any]:
        keys = [*self._common_keys(), *self._lane_keys()]
        given = {
            "token": self.token,
            "turn_ms": int(TURN_SECONDS * 1000),
            "challenge_ms": CHALLENGE_SECONDS * 1000,
            "refusal_ms": ADDRESS_SECONDS * 1000,
            "allowed": ADDRESS_REFUSALS,
            "allowed_known": ADDRESS_REFUSALS_WHEN_KNOWN,
        }
        return run_script(_ENTER, keys, (json.dumps(given),))

    async def beat(self) -> None:
        """Keep the turn while its command runs. When Redis is away it ends, which nobody else can notice either."""
        while True:
            with contextlib.suppress(NoCoordination):
                await run_script(_RENEW, [self._key("turn")], (self.token, int(TURN_SECONDS * 1000)))
            await asyncio.sleep(BEAT_SECONDS)

    def _abandon(self, looking: asyncio.Future[Any]) -> None:
        if looking.cancelled() or looking.exception() is not None:
            return
        state, about, *more = looking.result()
        if state == "in":
            self.leaving(_login(about, *more))

    async def leave(self, login: Login) -> None:
        await self.leaving(login)

    def leaving(self, login: Login) -> asyncio.Future[Any]:
        """On its way, whether somebody waits for it or not."""
        keys = [*self._common_keys(), self._key(f"refusals:{self.login}"), self.ring, *self._lane_keys()]
        given = {
            "token": self.token,
            "refused": login.refused,
            "accepted": login.accepted,
            "challenge": json.dumps(vars(login.challenge)) if login.challenge else "",
            "count": login.count,
            "run": login.run,
            "challenge_ms": CHALLENGE_SECONDS * 1000,
            "allowed": REFUSALS_ALLOWED,
            "pause_s": PAUSE_SECONDS,
            "refusal_s": ADDRESS_SECONDS,
            "ring": RING_LENGTH,
            "ring_s": RING_SECONDS,
            "gaps": list(self.lanes.values()),
        }
        leaving = run_script(_LEAVE, keys, (json.dumps(given), *(login.said if self.ring else ())))
        leaving.add_done_callback(_note_failure)
        return leaving

    def _common_keys(self) -> list[str]:
        names = ("turn", f"pause:{self.login}", f"challenge:{self.login}", "refused")
        return list(map(self._key, names))

    def _lane_keys(self) -> list[str]:
        return [self._key(f"lane:{lane}") for lane in self.lanes]

    def _key(self, name: str) -> str:
        return f"{_KEYS}:{self.place}:{name}"


class _Taken:
    """A turn for the length of a block. A class, since a generator costs more than all else it does."""

    def __init__(self, turn: Turn, patience: float) -> None:
        self._turn, self._patience = turn, patience
        self._beating: asyncio.Task[None] | None = None  # most turns are over before the first beat

    async def __aenter__(self) -> Login:
        self._login = await self._turn.enter(self._patience)
        self._first_beat = asyncio.get_running_loop().call_later(BEAT_SECONDS, self._begin_beating)
        return self._login

    def _begin_beating(self) -> None:
        self._beating = asyncio.create_task(self._turn.beat())

    async def __aexit__(self, *_: object) -> None:
        self._first_beat.cancel()
        if self._beating is not None:
            self._beating.cancel()
        with contextlib.suppress(NoCoordination):  # which is in the log then
            await asyncio.shield(self._turn.leaving(self._login))


def _note_failure(leaving: asyncio.Future[Any]) -> None:
    if not leaving.cancelled() and leaving.exception() is not None:
        logger.warning("a turn could not be given back; it ends by itself")


def paused(seconds: float) -> Unauthorised:
    # A moment and not a number of seconds: the sentence is kept, and read later.
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    return Unauthorised(
        "The device refused our user name and password. So that it does not lock us out, nothing is sent until "
        f"{until:%H:%M:%S} UTC. Correct the user name and password of this device."
    )


def _login(challenge: str, count: int, run: str) -> Login:
    return Login(Challenge(**json.loads(challenge)) if challenge else None, int(count), run=run)
