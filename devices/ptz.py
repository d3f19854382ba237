"""Steering: who holds a camera, and movement that always ends.

What a camera shall do is one record in Redis (the *wish*): speeds, and until when. Whoever changes the wish, or finds
it overdue, becomes the camera's driver for as long as it takes to send it: only the driver talks to the device, and
looks at the wish again before it lets go. So commands reach the device in the order of wishes, whatever process they
came from, and the last one is the one that counts.

A command may have to wait, before a device that is busy or has no place for us. Right before it goes out, in its turn,
the driver asks whether it is still wanted: a movement goes out neither after the button was released nor after its
time. One that did not go out is withdrawn, whoever asked for it is told, and nothing is stopped that never moved.

A movement ends when it is told to, and by itself MOVE_SECONDS after the last command of its holder: the process that
began it watches over it, and a Celery task ends what is overdue because that process is gone. A stop of what moves, or
may move, is tried again until it gets through. Where a device ends movements by itself, they are sent again as often as
it needs.

A holder keeps the camera for HOLD_SECONDS after the last command. An administrator takes it from an operator; everybody
else is told who has it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async

from accounts import audit
from accounts.audit import By
from accounts.policy import role_of
from accounts.problems import Problem
from devices import beside, events, trust
from devices.cgi import BadValue, Command, Kind
from devices.coordination import coordinated, coordinated_sync, key
from devices.errors import Busy, DeviceError, NoAnswer, NoCoordination, NotSupported, Queued, Refused, Unauthorised
from devices.families import driver_for
from devices.families.base import Driver, Ptz
from devices.gateway import Gateway, Reply
from devices.models import Camera, Device
from devices.working import bad_values_refused, to_the_end

logger = logging.getLogger(__name__)

MOVE_SECONDS = 2.0
HOLD_SECONDS = 10.0
# A camera this long overdue has lost the process that watched over it.
OVERDUE_SECONDS = 0.5
DRIVING_SECONDS = 1.5  # renewed while a command is sent; a dead driver is replaced after this
LOOK_SECONDS = 0.25  # how often a driver looks whether what it sends is still wanted, and says that it is alive
ANSWER_SECONDS = 2.0  # what a device may take to answer a movement that is over, before it is told to stop
WATCH_SECONDS = 0.5
WISH_SECONDS = 600  # how long a stop that does not get through is remembered
STOP_AGAIN_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 10.0, 20.0, 20.0, 30.0, 30.0)
# What a command waits for a process that is sending another, at most: longer than any single one takes.
WAIT_SECONDS = 35.0
ENDED_SECONDS = 30  # how long it is remembered that a movement has ended; its watchers look much more often
ERROR_SECONDS = 30
Speeds = tuple[float, float, float]
STILL: Speeds = (0.0, 0.0, 0.0)
_DOING = "steer cameras"
# After these the device has not done what it was told, for certain.
_NOT_DONE = (NotSupported, Refused, Unauthorised, Busy, NoCoordination)

_DUE = key("ptz", "due")
# KEYS: wish, due, driver, ended, errors (the beginning of the name). The clock is Redis's, in milliseconds.
#
# The wish has: seq, its number; pan, tilt, zoom; till (0: a stop); sent, the number that the device was told last, and
# sent_at; tried and not_before, of a stop that failed; moves, there only when the camera moves by a wish of ours: '1',
# or '?' while the first command is under way.
_HEAD = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local function text(number) return string.format('%.0f', number) end
local function number(name) return tonumber(redis.call('HGET', KEYS[1], name) or '0') end
local function moves() return redis.call('HEXISTS', KEYS[1], 'moves') == 1 end
local function wish(seq, pan, tilt, zoom, till)
  redis.call('HSET', KEYS[1], 'seq', text(seq), 'pan', pan, 'tilt', tilt, 'zoom', zoom, 'till', text(till),
    'tried', '0', 'not_before', '0')
end
local function wish_a_stop() wish(math.max(number('seq') + 1, now), '0.0', '0.0', '0.0', 0) end
local function forget(camera, seconds)
  redis.call('SET', KEYS[4], text(number('seq')), 'EX', seconds)
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], camera)
end
"""
# ARGV: camera, pan, tilt, zoom, milliseconds it may go on (0: a stop), seconds the wish is remembered, '1' when the
# camera is known to move. Answers its number; a movement that goes on keeps its own.
_WISH = (
    _HEAD
    + """
local seq = number('seq')
local now_wished = redis.call('HMGET', KEYS[1], 'pan', 'tilt', 'zoom')
local till = ARGV[5] == '0' and 0 or now + ARGV[5]
local same = now_wished[1] == ARGV[2] and now_wished[2] == ARGV[3] and now_wished[3] == ARGV[4]
if till > 0 and number('till') > now and same then
  redis.call('HSET', KEYS[1], 'till', text(till))
else
  seq = math.max(seq + 1, now)
  wish(seq, ARGV[2], ARGV[3], ARGV[4], till)
end
if ARGV[7] == '1' then redis.call('HSET', KEYS[1], 'moves', '1') end
redis.call('ZADD', KEYS[2], till > 0 and till or now, ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[6])
redis.call('EXPIRE', KEYS[2], ARGV[6])
return text(seq)
"""
)
# ARGV: camera, token, milliseconds a driver may be silent, milliseconds between two sendings of a movement (0: once),
# seconds it is remembered that a movement ended, the error of a movement that did not go out in time, seconds an error
# is remembered. Answers {send, number, pan, tilt, zoom} and makes the caller the driver; else {busy|wait, milliseconds}
# or {gone, the number that ended last}.
_NEXT = (
    _HEAD
    + """
local driver = redis.call('GET', KEYS[3])
if driver and driver ~= ARGV[2] then return {'busy', '50'} end
local function let_go(...)
  if driver then redis.call('DEL', KEYS[3]) end
  return {...}
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return let_go('gone', redis.call('GET', KEYS[4]) or '0')
end
local seq, till, sent, sent_at = number('seq'), number('till'), number('sent'), number('sent_at')
if till > 0 and now >= till then
  if sent ~= seq then redis.call('SET', KEYS[5] .. text(seq), ARGV[6], 'EX', ARGV[7]) end
  if not moves() then
    forget(ARGV[1], ARGV[5])
    return let_go('gone', text(seq))
  end
  wish_a_stop()
  seq, till = number('seq'), 0
end
local wait
if sent ~= seq then
  wait = number('not_before') - now
elseif till > 0 then
  wait = till - now
  if ARGV[4] ~= '0' then wait = math.min(wait, sent_at + ARGV[4] - now) end
else
  forget(ARGV[1], ARGV[5])
  return let_go('gone', text(seq))
end
if wait > 0 then
  redis.call('ZADD', KEYS[2], till > 0 and till or now + wait, ARGV[1])
  return let_go('wait', text(wait))
end
redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
local speeds = redis.call('HMGET', KEYS[1], 'pan', 'tilt', 'zoom')
return {'send', text(seq), speeds[1], speeds[2], speeds[3]}
"""
)
# ARGV: token, number, milliseconds a driver may be silent, '1' when it is about to go out, '1' for a movement. Answers
# whether it is still wanted: yes, late (its time is over) or no (another one is).
_WANTED = (
    _HEAD
    + """
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return 'no' end
redis.call('PEXPIRE', KEYS[3], ARGV[3])
if redis.call('HGET', KEYS[1], 'seq') ~= ARGV[2] then return 'no' end
if ARGV[5] == '1' and now >= number('till') then return 'late' end
if ARGV[4] == '1' and ARGV[5] == '1' then redis.call('HSETNX', KEYS[1], 'moves', '?') end
return 'yes'
"""
)
# ARGV: token, number, what became of it (sent, undone: certainly not, unsure), milliseconds until it is tried again,
# '1' for a movement, camera, seconds it is remembered that a movement ended.
# A movement that failed becomes a stop, unless nothing moves; a stop that failed is tried again later, if there is
# something to stop.
_SENT = (
    _HEAD
    + """
if redis.call('GET', KEYS[3]) ~= ARGV[1] or redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local undone, movement = ARGV[3] == 'undone', ARGV[5] == '1'
if not undone then
  redis.call('HSET', KEYS[1], 'sent', ARGV[2], 'sent_at', text(now))
  if movement then redis.call('HSET', KEYS[1], 'moves', '1') else redis.call('HDEL', KEYS[1], 'moves') end
elseif redis.call('HGET', KEYS[1], 'moves') == '?' then
  redis.call('HDEL', KEYS[1], 'moves')
end
if ARGV[3] == 'sent' or redis.call('HGET', KEYS[1], 'seq') ~= ARGV[2] then return 0 end
if not moves() then
  forget(ARGV[6], ARGV[7])
elseif movement then
  wish_a_stop()
else
  redis.call('HINCRBY', KEYS[1], 'tried', 1)
  redis.call('HSET', KEYS[1], 'not_before', text(now + ARGV[4]))
end
return 0
"""
)
# ARGV: number. Answers what became of a wish: sent (or another one counts), waiting, or late (its time is over).
_BECAME = (
    _HEAD
    + """
if redis.call('EXISTS', KEYS[1]) == 0 or number('sent') >= tonumber(ARGV[1]) then return 'sent' end
if redis.call('HGET', KEYS[1], 'seq') ~= ARGV[1] then return 'sent' end
if number('till') > 0 and now >= number('till') then return 'late' end
return 'waiting'
"""
)
# ARGV: number. A movement that was not sent yet is over.
_WITHDRAW = (
    _HEAD
    + """
if redis.call('HGET', KEYS[1], 'seq') ~= ARGV[1] or number('till') == 0 then return 0 end
redis.call('HSET', KEYS[1], 'till', text(now))
return 1
"""
)
# KEYS: holder. ARGV: user, name, rank, milliseconds. Answers {1, '' | whose it was, 1 if it is new} or {0, who has it,
# milliseconds}.
_HOLD = """
local held = redis.call('HMGET', KEYS[1], 'user', 'name', 'rank')
local other = held[1] and held[1] ~= ARGV[1]
if other and tonumber(held[3]) >= tonumber(ARGV[3]) then return {0, held[2], redis.call('PTTL', KEYS[1])} end
redis.call('HSET', KEYS[1], 'user', ARGV[1], 'name', ARGV[2], 'rank', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {1, other and held[2] or '', held[1] == ARGV[1] and 0 or 1}
"""


# --- What works, and for whom -----------------------------------------------------------------------------------------
def works(camera: Camera) -> dict[str, Any]:
    """What of steering this camera can do; what it lacks is not in it."""
    ptz = driver_for(camera.device).ptz(camera)
    hidden = {"repeat_seconds"} if ptz.presets else {"repeat_seconds", "preset_names", "preset_clear"}
    return {name: value for name, value in asdict(ptz).items() if value and name not in hidden}


def offered(camera: Camera) -> Ptz:
    return driver_for(camera.device).ptz(camera)


def lacks(camera: Camera, what: str) -> NotSupported:
    return NotSupported(f"{camera} cannot {what}.")


async def hold(by: By, camera: Camera) -> None:
    """Take the camera, or keep it. Problem 409 with who has it when it is somebody else's."""
    user = audit.actor_of(by).user
    rank = await sync_to_async(lambda: getattr(role_of(user), "rank", 0) if user else 0)()
    name = user.username if user else "the product itself"
    async with coordinated(_DOING) as redis:
        arguments = (str(user.pk) if user else "-", name, str(rank), str(int(HOLD_SECONDS * 1000)))
        taken, other, more = await cast(Any, redis.eval(_HOLD, 1, key("ptz", "holder", camera.pk), *arguments))
    if not taken:
        seconds = max(1, round(int(more) / 1000))
        raise Problem(409, f"{other} is steering {camera} now. It is free {seconds} s after the last command.")
    if other and await _is_wished(camera):
        await _wish(camera, STILL)
        await to_the_end(_drive(camera))
    if more:
        about = {"instead_of": other} if other else {}
        await audit.arecord(by, "steer camera", camera, **about)
        await events.publish_soon("camera.steered", camera=camera.pk, by=name, **about)


async def holder(camera: Camera) -> str | None:
    async with coordinated(_DOING) as redis:
        return cast(str | None, await cast(Any, redis.hget(key("ptz", "holder", camera.pk), "name")))


async def quiet_seconds(camera: Camera) -> float:
    """How long ago somebody last steered it through us; HOLD_SECONDS when it was that long ago or longer."""
    async with coordinated(_DOING) as redis:
        left = int(await redis.pttl(key("ptz", "holder", camera.pk)))
    return HOLD_SECONDS - max(0, left) / 1000


# --- Moving -----------------------------------------------------------------------------------------------------------
async def move(by: By, camera: Camera, *, pan: float, tilt: float, zoom: float) -> None:
    """Move at these speeds until told otherwise, MOVE_SECONDS at most; all zeros stop it."""
    for name, speed in (("pan", pan), ("tilt", tilt), ("zoom", zoom)):
        if not -1 <= speed <= 1:
            raise Problem(400, f"{name} must lie between -1 and 1; 0 stops.", name)
    ptz = offered(camera)
    if (pan or tilt) and not ptz.pan_tilt:
        raise lacks(camera, "be panned or tilted")
    if zoom and not ptz.zoom:
        raise lacks(camera, "be zoomed")
    if not (ptz.pan_tilt or ptz.zoom):
        raise lacks(camera, "be moved")
    speeds = (float(pan), float(tilt), float(zoom))
    # Who only stops what nobody holds does not keep others out.
    if speeds != STILL or await holder(camera) is not None:
        await hold(by, camera)
    number = await _wish(camera, speeds)
    await to_the_end(_begin(camera, number, watched=speeds != STILL))


async def stop(camera: Camera) -> None:
    """Stop it, whoever holds it, if it moves by a wish of ours."""
    if await _is_wished(camera):
        await _wish(camera, STILL)
        await to_the_end(_drive(camera))


async def stop_all_of(cameras: Sequence[Camera]) -> None:
    await asyncio.gather(*map(stop, cameras))


async def stop_all_watched() -> None:
    """Before this process ends: stop what it watches over."""
    watches = _watches.get(asyncio.get_running_loop(), {})
    await stop_all_of([watch.camera for watch in watches.values()])


async def _begin(camera: Camera, number: str, *, watched: bool) -> None:
    try:
        await _until_sent(camera, number)
    finally:
        if watched:
            _watch(camera, number)


async def _until_sent(camera: Camera, number: str) -> None:
    """Drive the camera, or wait for who drives it, until this wish has been sent or has been overtaken by another; or
    say why it was not."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while await _drive(camera) == "busy":
        became = str(await _run(_BECAME, camera, number))
        if became == "sent":
            break
        if became == "late" or clock() - began > WAIT_SECONDS:
            await _run(_WITHDRAW, camera, number)
            raise _not_in_time(camera)
        await asyncio.sleep(0.025)
    async with coordinated(_DOING) as redis:
        failed = await redis.get(_error_key(camera, number))
    if failed:
        raise Problem(**json.loads(failed))


def _not_in_time(camera: Camera) -> Busy:
    return Busy(f"{camera} was busy with other commands for too long, so it was not sent this one. Try again.")


async def _drive(camera: Camera) -> str:
    """Send what is wished until nothing is left to send. Answers busy (another does it), gone (it stands still), lost
    (nobody knows), or for how many milliseconds there is nothing to do."""
    driver = driver_for(camera.device)
    repeat = int((driver.ptz(camera).repeat_seconds or 0) * 1000)
    token = secrets.token_hex(8)
    while True:
        found = await _next(camera, token, repeat)
        if found[0] == "gone":
            watch = _watched(camera)
            return "lost" if watch and int(watch.number) > int(found[1]) else "gone"
        if found[0] != "send":
            return found[1] if found[0] == "wait" else found[0]
        await _send(driver, _Sending(camera, token, found[1], cast(Speeds, tuple(map(float, found[2:5])))))


async def _send(driver: Driver, sending: _Sending) -> None:
    camera, number = sending.camera, sending.number
    pan, tilt, zoom = sending.speeds
    moving = asyncio.create_task(driver.move(_SteeringGateway(sending), camera, pan=pan, tilt=tilt, zoom=zoom))
    error: DeviceError | None = None
    try:
        await _wanted_until_done(sending, moving)
    except NotWanted:
        return await _sent(sending, "unsure" if sending.went_out_at else "undone")
    except DeviceError as caught:
        error = caught
    except BadValue as caught:
        error = NotSupported(str(caught))
    except Exception:
        logger.exception("a movement failed", extra={"camera": camera.pk})
        error = DeviceError(f"{camera} could not be moved. The log tells more.")
    if error is None:
        return await _sent(sending, "sent")
    await _tell(camera, number, error)
    if sending.movement:
        await _sent(sending, "unsure" if sending.went_out_at and not isinstance(error, _NOT_DONE) else "undone")
    elif isinstance(error, NotSupported):
        await _sent(sending, "sent")  # what knows no stop needs none
    else:
        await _stop_failed(sending, error)


async def _stop_failed(sending: _Sending, error: DeviceError) -> None:
    camera = sending.camera
    async with coordinated(_DOING) as redis:
        told, moves = await cast(Any, redis.hmget(_wish_key(camera.pk), "tried", "moves"))
    tried = int(told or 0)
    if moves is None:
        await _sent(sending, "undone")  # nothing of ours moves; who asked is told
    elif tried >= len(STOP_AGAIN_SECONDS):
        logger.error("a camera could not be told to stop: %s", error, extra={"camera": camera.pk})
        await events.publish_soon("camera.not_stopped", camera=camera.pk, error=error.sentence[:500])
        await _sent(sending, "sent")
    else:
        logger.warning("a camera is told to stop again: %s", error, extra={"camera": camera.pk})
        await _sent(sending, "undone", STOP_AGAIN_SECONDS[tried])


# --- Sending what is still wanted -------------------------------------------------------------------------------------
class NotWanted(Queued):
    """It was not sent: meanwhile something else is wished."""


class _Late(Queued):
    """It was not sent: its time is over."""


@dataclass
class _Sending:
    """A wish that is being sent, by the driver that has this token."""

    camera: Camera
    token: str
    number: str
    speeds: Speeds
    asking: bool = False  # the device is asked something, be it only what comes before
    went_out_at: float = 0.0  # the loop's clock; 0 while it waits

    @property
    def movement(self) -> bool:
        return self.speeds != STILL

    async def still_wanted(self, *, going_out: bool = False) -> None:
        """Raises when it is not, and says that the driver is alive."""
        arguments = (self.token, self.number, int(DRIVING_SECONDS * 1000), int(going_out), int(self.movement))
        wanted = await _run(_WANTED, self.camera, *arguments)
        if wanted == "late":
            raise _Late(_not_in_time(self.camera).sentence)
        if wanted != "yes":
            raise NotWanted("Something else is wished by now.")


class _SteeringGateway(Gateway):
    """Asks in its turn, right before something goes out, whether it is still wanted."""

    def __init__(self, sending: _Sending) -> None:
        super().__init__(sending.camera.device)
        self.sending = sending
        self.confirmed_within = trust.STEERING_SECONDS if sending.movement else trust.STOP_SECONDS

    async def last_word(self, command: Command) -> None:
        if command.kind in (Kind.CONTROL, Kind.WRITE):
            await self.sending.still_wanted(going_out=True)
            self.sending.went_out_at = asyncio.get_running_loop().time()
        self.sending.asking = True

    async def ask(self, *args: Any, **how: Any) -> Reply:
        try:
            return await super().ask(*args, **how)
        except _NOT_DONE:
            self.sending.went_out_at = 0.0
            raise
        finally:
            self.sending.asking = False


async def _wanted_until_done(sending: _Sending, moving: asyncio.Task[None]) -> None:
    """Await it, as long as it is wanted. What waits is given up at once, and a movement that has gone out when there
    was time enough to answer it: the stop that follows must not come late. A stop that has gone out is always awaited.
    """
    clock = asyncio.get_running_loop().time
    try:
        while True:
            done, _ = await asyncio.wait([moving], timeout=LOOK_SECONDS)
            if done:
                return moving.result()
            try:
                await sending.still_wanted()
            except NoCoordination:
                continue  # it cannot go out now either
            except Queued as error:
                if not sending.went_out_at:
                    if isinstance(error, _Late) and sending.asking:
                        raise NoAnswer(f"{sending.camera} does not answer, so it was not moved. Try again.") from None
                    raise
                if sending.movement and clock() - sending.went_out_at > ANSWER_SECONDS:
                    raise NoAnswer(
                        f"{sending.camera} did not answer in time, and is told to stop. Look whether it moves, and try "
                        "again."
                    ) from None
    finally:
        moving.cancel()
        await asyncio.wait([moving])
        if not moving.cancelled():
            moving.exception()  # which was told, or came too late to matter


# --- Watching over movements ------------------------------------------------------------------------------------------
@dataclass
class _Watch:
    camera: Camera
    number: str  # the latest wish that it is for
    task: asyncio.Task[None]


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, _Watch]] = WeakKeyDictionary()  # of cameras


def _watched(camera: Camera) -> _Watch | None:
    return _watches.get(asyncio.get_running_loop(), {}).get(camera.pk)


def _watch(camera: Camera, number: str) -> None:
    """Have this process look after a movement until it has ended."""
    if watch := _watched(camera):
        watch.number = number
        return
    watches = _watches.setdefault(asyncio.get_running_loop(), {})
    task = asyncio.create_task(_watch_over(camera), name=f"steering camera {camera.pk}")
    watches[camera.pk] = _Watch(camera, number, task)
    task.add_done_callback(lambda _: watches.pop(camera.pk, None))


async def _watch_over(camera: Camera) -> None:
    clock = asyncio.get_running_loop().time
    alone_since: float | None = None
    while True:
        wait = WATCH_SECONDS
        try:
            found = await _drive(camera)
            alone_since = None
            if found == "gone":
                return
            if found == "lost":
                # Redis lost its memory. Whether the camera still moves nobody knows, and nobody else would stop it.
                number = await _wish(camera, STILL, moves=True)
                _watch(camera, number)
                continue
            if found != "busy":
                wait = min(WATCH_SECONDS, int(found) / 1000)
        except NoCoordination:
            # Nobody else can command the camera now, and nobody can prolong the movement: it ends.
            alone_since = clock() if alone_since is None else alone_since
            if clock() - alone_since >= MOVE_SECONDS and await _stopped_alone(camera):
                return
        await asyncio.sleep(max(wait, 0.02))


class _AloneGateway(Gateway):
    """Without turns: Redis is away, so nobody else is talking to the device."""

    async def ask(self, *args: Any, **how: Any) -> Reply:
        return await super().ask(*args, **{**how, "taking_turns": False})


async def _stopped_alone(camera: Camera) -> bool:
    try:
        await driver_for(camera.device).move(_AloneGateway(camera.device), camera, pan=0, tilt=0, zoom=0)
    except DeviceError as error:
        logger.warning("a camera is told to stop again: %s", error, extra={"camera": camera.pk})
        return False
    return True


def overdue() -> list[int]:
    """The cameras that nobody looked after in time."""
    with coordinated_sync(_DOING) as redis:
        seconds, micros = redis.time()
        latest = seconds * 1000 + micros // 1000 - int(OVERDUE_SECONDS * 1000)
        return [int(each) for each in cast(list[str], redis.zrangebyscore(_DUE, "-inf", latest))]


async def end_overdue(overdue: Sequence[int], cameras: Sequence[Camera]) -> None:
    """Stop these cameras. One that has gone is forgotten."""
    gone = set(overdue) - {camera.pk for camera in cameras}
    if gone:
        async with coordinated(_DOING) as redis:
            await redis.zrem(_DUE, *map(str, gone))

    async def one(camera: Camera) -> None:
        try:
            await _drive(camera)
        except DeviceError as error:
            logger.warning("a camera could not be stopped yet: %s", error, extra={"camera": camera.pk})

    await asyncio.gather(*map(one, cameras))


# --- Everything else that is steered ----------------------------------------------------------------------------------
async def center(by: By, camera: Camera, *, x: float, y: float) -> None:
    for name, place in (("x", x), ("y", y)):
        if not 0 <= place <= 1:
            raise Problem(400, f"{name} must lie between 0 and 1; 0,0 is the top left.", name)
    if not offered(camera).center:
        raise lacks(camera, "be centred on a point")
    await _act(by, camera, "center", x=x, y=y)


async def focus(by: By, camera: Camera, mode: str) -> None:
    _mode(camera, "focus", mode, offered(camera).focus)
    await _act(by, camera, "focus", mode=mode)


async def iris(by: By, camera: Camera, mode: str) -> None:
    _mode(camera, "iris", mode, offered(camera).iris)
    await _act(by, camera, "iris", mode=mode)


def _mode(camera: Camera, verb: str, mode: str, modes: tuple[str, ...]) -> None:
    known = {"focus": ("near", "far", "auto"), "iris": ("open", "close", "reset")}[verb]
    if mode not in known:
        raise Problem(400, f"{verb} cannot be {mode[:20]}; use one of {', '.join(known)}.", "mode")
    if mode not in modes:
        raise lacks(camera, f"do {verb} {mode}" + (f"; it knows {', '.join(modes)}" if modes else ""))


async def aux(by: By, camera: Camera, number: int, on: bool) -> None:
    count = offered(camera).aux
    if not count:
        raise lacks(camera, "switch an auxiliary output")
    if not 1 <= number <= count:
        raise Problem(400, f"number must be from 1 to {count}.", "number")
    await _act(by, camera, "aux", number=number, on=on)
    await audit.arecord(by, "switch aux", camera, number=number, on=on)


async def home(by: By, camera: Camera) -> None:
    if not offered(camera).home:
        raise lacks(camera, "go to a home position")
    await _act(by, camera, "home")


async def swing(by: By, camera: Camera, on: bool) -> None:
    if not offered(camera).swing:
        raise lacks(camera, "swing between presets")
    await _act(by, camera, "swing", on=on)


async def turn_to(by: By, camera: Camera, *, pan: int, tilt: int) -> None:
    """Turn to a position, in the device's degrees."""
    limits = offered(camera).positions
    if limits is None:
        raise lacks(camera, "turn to a position")
    for name, degrees, highest in (("pan", pan, limits[0]), ("tilt", tilt, limits[1])):
        if not 0 <= degrees <= highest:
            raise Problem(400, f"{name} must lie between 0 and {highest} degrees.", name)
    await _act(by, camera, "turn_to", pan=pan, tilt=tilt)


async def position(camera: Camera) -> tuple[int, int]:
    """Where it looks now: pan and tilt in the device's degrees. Nobody needs to hold it for that."""
    if offered(camera).positions is None:
        raise lacks(camera, "tell where it looks")
    if told := await beside.position(camera):
        return told
    return await driver_for(camera.device).position(Gateway(camera.device), camera)


async def _act(by: By, camera: Camera, verb: str, **arguments: Any) -> None:
    await hold(by, camera)
    await to_the_end(act(camera, verb, **arguments))


async def act(camera: Camera, verb: str, **arguments: Any) -> None:
    """One verb of the driver, now."""
    gateway = Gateway(camera.device)
    gateway.confirmed_within = trust.STEERING_SECONDS
    with bad_values_refused():
        await getattr(driver_for(camera.device), verb)(gateway, camera, **arguments)


# --- Redis ------------------------------------------------------------------------------------------------------------
def _wish_key(camera_id: int) -> str:
    return key("ptz", "wish", camera_id)


def _driver_key(camera: Camera) -> str:
    return key("ptz", "driver", camera.pk)


def _error_key(camera: Camera, number: str) -> str:
    return key("ptz", "error", camera.pk, number)


async def _run(script: str, camera: Camera, *arguments: object) -> Any:
    keys = (_wish_key(camera.pk), _DUE, _driver_key(camera), key("ptz", "ended", camera.pk), _error_key(camera, ""))
    async with coordinated(_DOING) as redis:
        return await cast(Any, redis.eval(script, len(keys), *keys, *map(str, arguments)))


async def _wish(camera: Camera, speeds: Speeds, *, moves: bool = False) -> str:
    milliseconds = 0 if speeds == STILL else int(MOVE_SECONDS * 1000)
    return str(await _run(_WISH, camera, camera.pk, *speeds, milliseconds, WISH_SECONDS, int(moves)))


async def _next(camera: Camera, token: str, repeat: int) -> list[str]:
    late = _as_told(_not_in_time(camera))
    arguments = (camera.pk, token, int(DRIVING_SECONDS * 1000), repeat, ENDED_SECONDS, late, ERROR_SECONDS)
    return [str(each) for each in await _run(_NEXT, camera, *arguments)]


async def _sent(sending: _Sending, what: str, again_in: float = 0) -> None:
    again = int(again_in * 1000)
    arguments = (sending.token, sending.number, what, again, int(sending.movement), sending.camera.pk, ENDED_SECONDS)
    await _run(_SENT, sending.camera, *arguments)


async def _tell(camera: Camera, number: str, error: DeviceError) -> None:
    """Leave the error for whoever waits for this wish."""
    async with coordinated(_DOING) as redis:
        await redis.set(_error_key(camera, number), _as_told(error), ex=ERROR_SECONDS)


def _as_told(error: DeviceError) -> str:
    return json.dumps({"status": error.status, "sentence": error.sentence})


async def _is_wished(camera: Camera) -> bool:
    async with coordinated(_DOING) as redis:
        return bool(await cast(Any, redis.exists(_wish_key(camera.pk))))


async def is_moving(camera: Camera) -> bool:
    """Does it move by a wish of ours, or may it? What still waits to be sent moves nothing."""
    async with coordinated(_DOING) as redis:
        return bool(await cast(Any, redis.hexists(_wish_key(camera.pk), "moves")))


def cameras_of(device: Device) -> list[Camera]:
    return list(Camera.objects.filter(device=device).select_related("device"))
