"""Turn-taking before a device, shared by all processes through Redis.

Before a command a process *enters*: one process at a time, no sooner than the device's rest after the last command, and
not at all while the breaker is open. After it, it *leaves*, saying how the log-in went; two refused log-ins open the
breaker for a minute, since devices lock out who tries more often. The Digest challenge travels along, so that all
processes use one nonce and 401 answers stay rare.

Times are Redis's own, so clocks of machines do not matter; every key expires, so a crashed process blocks a device for
no longer than its command could have taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from devices.coordination import coordinated, key
from devices.errors import Busy, NoCoordination, Unauthorised
from devices.http import Challenge

REFUSALS_ALLOWED = 2
PAUSE_SECONDS = 60
CHALLENGE_SECONDS = 600
PATIENCE_SECONDS = 15.0
# How often a waiting process looks whether the device is free; a command of a camera takes about this long.
LOOK_MILLISECONDS = 25

# KEYS: turn, pause, challenge, lanes… ARGV: token, milliseconds the turn may last, milliseconds the challenge is kept.
# Answers {"in", challenge, count} | {"wait", milliseconds (0: somebody is in), 0} | {"paused", milliseconds, 0}.
_ENTER = """
local paused = redis.call('PTTL', KEYS[2])
if paused > 0 then return {'paused', paused, 0} end
if redis.call('EXISTS', KEYS[1]) == 1 then return {'wait', 0, 0} end
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + tonumber(clock[2]) / 1000
local wait = 0
for i = 4, #KEYS do
  local free = tonumber(redis.call('GET', KEYS[i]) or '0')
  if free - now > wait then wait = free - now end
end
if wait > 0 then return {'wait', math.ceil(wait), 0} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local challenge = redis.call('HGET', KEYS[3], 'challenge')
if not challenge then return {'in', '', 0} end
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return {'in', challenge, tonumber(redis.call('HGET', KEYS[3], 'count') or '0')}
"""
# KEYS: turn, pause, challenge, refusals, lanes… ARGV: token, refusals now, log-in accepted (0/1), challenge to keep
# ("" forgets it), its count, milliseconds it is kept, refusals allowed, pause in seconds, gaps in milliseconds…
_LEAVE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + tonumber(clock[2]) / 1000
for i = 5, #KEYS do
  local gap = tonumber(ARGV[i + 4])
  if gap > 0 then redis.call('SET', KEYS[i], string.format('%.3f', now + gap), 'PX', gap) end
end
if ARGV[4] == '' then
  redis.call('DEL', KEYS[3])
else
  redis.call('HSET', KEYS[3], 'challenge', ARGV[4], 'count', ARGV[5])
  redis.call('PEXPIRE', KEYS[3], ARGV[6])
end
if ARGV[3] == '1' then redis.call('DEL', KEYS[4]) end
local refused = tonumber(ARGV[2])
if refused > 0 then
  local count = redis.call('INCRBY', KEYS[4], refused)
  redis.call('EXPIRE', KEYS[4], ARGV[8])
  if count >= tonumber(ARGV[7]) then
    redis.call('SET', KEYS[2], '1', 'EX', ARGV[8])
    redis.call('DEL', KEYS[4])
  end
end
return 1
"""

# Turns being given back after their taker was cancelled; held here, since the loop keeps only weak references.
_abandoned: set[asyncio.Future[None]] = set()


@dataclass
class Login:
    """What one turn knows and learns about logging in."""

    challenge: Challenge | None = None
    count: int = 0  # how often the challenge's nonce was used
    refused: int = 0  # log-ins refused in this turn
    accepted: bool = False


@dataclass(frozen=True)
class Turn:
    """A place before one device: `device` names it, `login` one set of credentials (never the credentials themselves),
    `lanes` the rests to keep after this command, in milliseconds."""

    device: str
    login: str
    lanes: Mapping[str, int]
    seconds: float
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    async def enter(self, patience: float = PATIENCE_SECONDS) -> Login:
        """Wait for the turn. Raises Busy, Unauthorised (the breaker is open) or NoCoordination."""
        try:
            async with asyncio.timeout(patience):
                while True:
                    looking = asyncio.ensure_future(self._look())
                    try:
                        state, about, count = await asyncio.shield(looking)
                    except asyncio.CancelledError:
                        # The turn may be ours by now; nobody would give it back.
                        looking.add_done_callback(self._abandon)
                        raise
                    if state == "in":
                        return Login(_load(about), count)
                    if state == "paused":
                        raise paused(int(about) / 1000)
                    wait = int(about) or random.uniform(0.5, 1.5) * LOOK_MILLISECONDS  # noqa: S311  spread, not secret
                    await asyncio.sleep(wait / 1000)
        except TimeoutError as error:
            raise Busy("The device is busy with other commands. Try again in a moment.") from error

    async def _look(self) -> tuple[str, str, int]:
        keys = [
            self._key("turn"),
            self._key("pause", self.login),
            self._key("challenge", self.login),
            *self._lane_keys(),
        ]
        arguments = (self.token, int(self.seconds * 1000), CHALLENGE_SECONDS * 1000)
        async with coordinated() as redis:
            state, about, count = await cast(Any, redis.eval(_ENTER, len(keys), *keys, *arguments))
        return str(state), str(about), int(count)

    def _abandon(self, looking: asyncio.Future[tuple[str, str, int]]) -> None:
        if looking.cancelled() or looking.exception() is not None:
            return
        state, about, count = looking.result()
        if state == "in":
            leaving = asyncio.ensure_future(self._leave_quietly(Login(_load(about), count)))
            _abandoned.add(leaving)
            leaving.add_done_callback(_abandoned.discard)

    async def _leave_quietly(self, login: Login) -> None:
        with contextlib.suppress(NoCoordination):  # then it ends by its expiry
            await self.leave(login)

    async def leave(self, login: Login) -> None:
        keys = [
            self._key("turn"),
            self._key("pause", self.login),
            self._key("challenge", self.login),
            self._key("refusals", self.login),
            *self._lane_keys(),
        ]
        arguments = (
            self.token,
            login.refused,
            int(login.accepted),
            json.dumps(asdict(login.challenge)) if login.challenge else "",
            login.count,
            CHALLENGE_SECONDS * 1000,
            REFUSALS_ALLOWED,
            PAUSE_SECONDS,
            *self.lanes.values(),
        )
        async with coordinated() as redis:
            await cast(Any, redis.eval(_LEAVE, len(keys), *keys, *map(str, arguments)))

    def _lane_keys(self) -> list[str]:
        return [self._key("lane", lane) for lane in self.lanes]

    def _key(self, *parts: str) -> str:
        return key("turn", self.device, *parts)


def paused(seconds: float) -> Unauthorised:
    return Unauthorised(
        "The device refused our user name and password. So that it does not lock us out, nothing is sent for another "
        f"{seconds:.0f} s. Correct the user name and password of this device."
    )


def _load(text: str) -> Challenge | None:
    return Challenge(**json.loads(text)) if text else None
