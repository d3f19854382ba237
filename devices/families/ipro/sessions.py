"""The life of our UIDs on a recorder (1.3, 6.1, 6.2).

A recorder has about 16 UIDs for everybody, and a log-in beyond that silently cuts off another client. So we take few
and give them back:

- Live pictures and steering share one UID, whatever process they are in: up to 16 pictures, each camera once. Playback
  and downloads, which may not share with live, have one each.
- Before each log-in the recorder is asked how many UIDs are taken. Some are left for other people's clients, and some
  more by playbacks and downloads, so that live pictures can always be had. When there is none we wait a little, and
  then say so.
- One process logs in at a time, so that two do not take the same last place, and the second finds the UID of the first.
- The keeper keeps each UID alive when nothing was sent with it for KEEP_ALIVE_SECONDS, and gives it back when all its
  holders have died (`devices.uids`, `devices.keeping`).
- Sound goes with the UID of its picture, on which it depends. It is a part of the UID's lease like the picture.
- 401 means that the UID is gone: everybody who shares it is told, and the next one logs in again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

from devices import leases, uids
from devices.cgi import Command, Values
from devices.errors import DeviceError, NoCoordination, Queued, SessionGone, WrongAnswer
from devices.families.ipro import commands as cgi
from devices.families.ipro import memory
from devices.gateway import Gateway, Reply, Streamed
from devices.uids import UidLease

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 60  # a UID lives 90 s after its last use
READING_SECONDS = 3.0  # as_getinfo may be asked no more often
PLACE_WAIT_SECONDS = 8.0
STEERING_WAIT_SECONDS = 1.5  # what comes later than this is not what the person at the joystick wants any more
LOOK_AGAIN_SECONDS = 0.5
LOCK_SECONDS = 30.0
LOCK_LOOK_SECONDS = 0.1
LOCK_WAIT_SECONDS = 25.0
END_SECONDS = 10.0
DOWNLOADS_AT_ONCE = 2
# Places left beyond the reserve, where a recorder has enough: live before playback before downloads.
_LEFT_FREE: dict[uids.Kind, int] = {"live": 0, "playback": 1, "download": 2}
_ENOUGH = 8

# Steering has no holder that renews it: each command does, in whatever process, and 30 s after the last one the keeper
# ends it.
STEERING = "steering"

# When this process last kept a UID alive by itself, while Redis was away: id of the lease → the loop's clock.
_kept_alive: dict[str, float] = {}
# Openings nobody waits for any more, and endings; held here, since the loop keeps only weak references.
_unfinished: set[asyncio.Future[None]] = set()


@dataclass
class Session:
    """A UID of ours, or our part of one. When `lost` is set the recorder no longer knows it: leave, and open again."""

    gateway: Gateway
    lease: UidLease
    whole: UidLease | None  # what the lease is a part of
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    lost_reason: str = ""
    on_lost: Callable[[str], None] = lambda reason: None
    may_be_sending: bool = False  # a picture was started and must be stopped

    @property
    def carrier(self) -> UidLease:
        """The lease that stands for the UID itself."""
        return self.whole or self.lease

    async def ask(self, command: Command, values: Values | None = None) -> Reply:
        """Send a command with our UID. SessionGone ends the UID for everybody who shares it."""
        try:
            reply = await self.gateway.ask(command, self.with_uid(values))
        except SessionGone as error:
            await self.gone(str(error))
            raise
        await self._was_used()
        return reply

    @contextlib.asynccontextmanager
    async def stream(self, command: Command, values: Values | None = None) -> AsyncIterator[Streamed]:
        """Send a command whose answer may last."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                answer = await stack.enter_async_context(self.gateway.stream(command, self.with_uid(values)))
            except SessionGone as error:
                await self.gone(str(error))
                raise
            await self._was_used()
            yield answer

    def with_uid(self, values: Values | None) -> Values:
        return {**(values or {}), "UID": self.lease.uid}

    async def gone(self, reason: str) -> None:
        """The recorder does not know the UID any more."""
        self.set_lost(reason)
        with contextlib.suppress(NoCoordination):
            await uids.forget(self.carrier, reason)
        logger.info("a UID is gone from a recorder", extra={"device": self.lease.device, "kind": self.lease.kind})

    def set_lost(self, reason: str) -> None:
        self.lost_reason = self.lost_reason or reason
        self.on_lost(self.lost_reason)
        self.lost.set()

    async def _was_used(self) -> None:
        with contextlib.suppress(NoCoordination):
            await uids.kept_alive(self.carrier, again_in=KEEP_ALIVE_SECONDS)


# --- Opening ----------------------------------------------------------------------------------------------------------
@contextlib.asynccontextmanager
async def opened(
    gateway: Gateway, kind: uids.Kind, mode: str, *, reserve: int, camera: int = 0, port: int = 0
) -> AsyncIterator[Session]:
    """A UID for the block, held, kept alive, and given back at its end whatever happens. `mode` says what for."""
    lease = UidLease(
        device=gateway.device.pk,
        uid="",
        mode=mode,
        port=port,
        keep_alive_seconds=KEEP_ALIVE_SECONDS,
        kind=kind,
        camera=camera,
    )
    async with _held(await _open_for_sure(gateway, lease, reserve)) as session:
        yield session


@contextlib.asynccontextmanager
async def beside(gateway: Gateway, picture: UidLease, mode: str, *, port: int = 0) -> AsyncIterator[Session]:
    """The UID that carries a picture, for its sound: it goes only with the picture, and does not count as another."""
    whole = await uids.find(picture.of)
    if whole is None:
        raise SessionGone(f"{gateway.device.name} no longer sends the picture that this sound belongs to. Try again.")
    lease = replace(
        picture, mode=mode, port=port, camera=0, sound=picture.camera, id=secrets.token_hex(8), since=int(time.time())
    )
    async with _held(Session(gateway, lease, whole)) as session:
        if gone := await uids.hold(lease, new=True):
            session.set_lost(gone)
            raise SessionGone(gone)
        yield session


@contextlib.asynccontextmanager
async def _held(session: Session) -> AsyncIterator[Session]:
    async def keep_alive() -> None:
        await _keep_alive_from_here(session)

    try:
        async with uids.holding(session.lease, session.set_lost, keep_alive, session.whole):
            yield session
    finally:
        await asyncio.shield(_in_the_background(_end(session)))


async def steering(gateway: Gateway, *, reserve: int) -> Session:
    """The shared UID of this recorder, for one command that steers a camera. Nothing is to be closed."""
    lease = UidLease(
        device=gateway.device.pk,
        uid="",
        mode=STEERING,
        port=0,
        keep_alive_seconds=KEEP_ALIVE_SECONDS,
        id=f"{STEERING}-{gateway.device.pk}",
    )
    return await _open_for_sure(gateway, lease, reserve)


async def _open_for_sure(gateway: Gateway, lease: UidLease, reserve: int) -> Session:
    """Open, and close again what was opened for somebody who was cancelled meanwhile."""
    opening = asyncio.ensure_future(_open(gateway, lease, reserve))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        _in_the_background(_end_unwanted(opening))
        raise


async def _end_unwanted(opening: asyncio.Future[Session]) -> None:
    with contextlib.suppress(DeviceError):
        await _end(await opening)


async def _open(gateway: Gateway, lease: UidLease, reserve: int) -> Session:
    clock = asyncio.get_running_loop().time
    name = f"log-in at {gateway.address}"
    began = clock()
    while True:
        if session := await _join(gateway, lease):
            return session
        lock = await leases.take(name, lease.id, LOCK_SECONDS)
        if lock is None:
            if clock() - began > LOCK_WAIT_SECONDS:
                raise Queued(f"{gateway.device.name} is busy with other log-ins. Try again in a moment.")
            await asyncio.sleep(LOCK_LOOK_SECONDS)
            continue
        try:
            # Whoever had the lock before may have logged in.
            if session := await _join(gateway, lease):
                return session
            full = await _why_full(gateway, lease.kind, reserve)
            if not full:
                return await _log_in(gateway, lease)
        finally:
            with contextlib.suppress(NoCoordination):
                await leases.release(lock)
        if clock() - began > (STEERING_WAIT_SECONDS if lease.mode == STEERING else PLACE_WAIT_SECONDS):
            raise Queued(full)
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def _join(gateway: Gateway, lease: UidLease) -> Session | None:
    if lease.kind != "live":
        return None
    joined = await uids.join(lease, pictures=cgi.STREAMS_OF_A_UID)
    return Session(gateway, *joined) if joined else None


async def _why_full(gateway: Gateway, kind: uids.Kind, reserve: int) -> str:
    """Why no UID can be taken now, in a sentence; "" when one can."""
    name = gateway.device.name
    ours = await uids.held(gateway.device.pk)
    if kind == "download" and sum(each.kind == "download" for each in ours) >= DOWNLOADS_AT_ONCE:
        return f"{name} gives {DOWNLOADS_AT_ONCE} downloads at once, and as many are running. Wait for one to end."
    info = await memory.reading(gateway, cgi.GET_INFO, younger_than=READING_SECONDS)
    most = info["MAXUID"] or cgi.MAX_UIDS
    used = info["USEDUID"] if info["USEDUID"] is not None else len(ours)
    left_free = reserve + (_LEFT_FREE[kind] if most >= _ENOUGH else 0)
    if used + left_free < most:
        return ""
    return (
        f"{name} has {used} of its {most} places for clients taken, {len(ours)} of them by us; {left_free} stay free "
        "for others. Close a picture, playback or download there, then try again."
    )


async def _log_in(gateway: Gateway, lease: UidLease) -> Session:
    """A new UID, in the ledger before anything else is done with it."""
    answer = (await gateway.ask(cgi.LOGIN)).fields
    uid = answer["UID"]
    if not uid or int(uid) == 0:
        raise WrongAnswer(f"{gateway.device.name} gave no user ID. Check that it is an i-PRO recorder, then try again.")
    if lease.kind != "live":
        session = Session(gateway, replace(lease, uid=uid), None)
        await uids.hold(session.lease, new=True)
    else:
        whole = UidLease(
            device=lease.device,
            uid=uid,
            mode="shared",
            port=0,
            keep_alive_seconds=KEEP_ALIVE_SECONDS,
            kind=lease.kind,
            shared=True,
        )
        session = Session(gateway, replace(lease, uid=uid, of=whole.id), whole)
        await uids.hold(session.lease, new=True)
        # Nobody may join it before it is set up: their start would come before that.
        await uids.hold(replace(whole, shared=False), new=True)
    await memory.forget_reading(gateway, cgi.GET_INFO)
    if answer["title"]:
        await memory.remember_title(gateway, answer["title"])
    if session.whole is not None:
        try:
            await session.ask(cgi.SETUP_LIVE)
        except DeviceError:
            await _end(session)
            raise
        await uids.hold(session.whole, new=True)
    return session


# --- Ending -----------------------------------------------------------------------------------------------------------
def stop_request(lease: UidLease) -> tuple[Command, dict[str, str | int]] | None:
    """What stops the picture or sound a lease stands for: the same camera, format and port as its start."""
    camera = lease.camera or lease.sound
    if lease.kind != "live" or not camera:
        return None
    values: dict[str, str | int] = {"UID": lease.uid, "CAM": camera, "CMD": "STOP", "COMP": lease.mode.upper()}
    return (cgi.LIVE_RTP, {**values, "PORT": lease.port}) if lease.port else (cgi.LIVE_HTTP_STOP, values)


async def release(gateway: Gateway, lease: UidLease, *, stopping: bool = True) -> None:
    """Stop what a lease stands for and give its UID back when nobody else uses it; forgetting it is the caller's."""
    whole = await uids.find(lease.of) if lease.of else None
    if lease.of and whole is None:
        return  # the UID is gone, and what it carried with it
    asked = stop_request(lease) if stopping else None
    if asked is not None:
        await _stop(gateway, whole or lease, *asked)
    if whole is None:
        await gateway.ask(cgi.LOGOUT, {"UID": lease.uid})
    elif await uids.leave(lease, whole):
        await _log_out(gateway, whole)


async def _stop(gateway: Gateway, carrier: UidLease, command: Command, values: Values) -> None:
    """A no of the recorder is as good as a yes, for there is nothing to stop then."""
    try:
        await gateway.ask(command, values)
    except SessionGone as error:
        await uids.forget(carrier, str(error))
        raise
    except DeviceError as error:
        if not uids.ends_the_lease(error):
            raise


async def _log_out(gateway: Gateway, whole: UidLease) -> None:
    """What cannot be given back now is left to the keeper."""
    try:
        await gateway.ask(cgi.LOGOUT, {"UID": whole.uid})
    except DeviceError as error:
        if not uids.ends_the_lease(error):
            await uids.abandon(whole)
            raise
    await uids.forget(whole)


async def _end(session: Session) -> None:
    gateway, lease = session.gateway, session.lease
    _kept_alive.pop(session.carrier.id, None)
    try:
        async with asyncio.timeout(END_SECONDS):
            if not session.lost.is_set():
                try:
                    await release(gateway, lease, stopping=session.may_be_sending)
                except DeviceError as error:
                    if not uids.ends_the_lease(error):
                        raise
            await uids.forget(lease)
    except (DeviceError, TimeoutError) as error:
        logger.warning("a UID is left for the keeper to give back: %s", error, extra={"device": lease.device})
        try:
            await uids.abandon(lease)
        except NoCoordination:
            logger.warning("it runs out by itself", extra={"device": lease.device})


def _in_the_background(coroutine: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
    task = asyncio.ensure_future(coroutine)
    _unfinished.add(task)
    task.add_done_callback(_unfinished.discard)
    return task


async def _keep_alive_from_here(session: Session) -> None:
    """While Redis is away. Many parts of one UID do this at once; one of them is enough."""
    now = asyncio.get_running_loop().time()
    last = _kept_alive.get(session.carrier.id)
    if last is not None and now - last < KEEP_ALIVE_SECONDS / 2:
        return
    _kept_alive[session.carrier.id] = now
    await session.gateway.ask(cgi.KEEP_ALIVE, {"UID": session.lease.uid}, taking_turns=False)
