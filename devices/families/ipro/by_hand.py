"""The recorder's commands by hand. Most want a UID, and many a session in a state that only other commands bring about
(2.1.1, 2.2.1, 3.1): each gets a UID of its own, is brought there, and gives the UID back. What runs for others is not
touched: live pictures and steering share a UID that these commands could disturb, so only those that steer or read use
it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from devices.cgi import Command, Kind, Values
from devices.errors import DeviceError, SessionGone
from devices.families.by_hand import ByHand
from devices.families.ipro import commands as cgi
from devices.families.ipro.sessions import Session
from devices.gateway import Gateway
from devices.uids import Kind as UidKind

if TYPE_CHECKING:
    from devices.families.ipro.driver import IproDriver

_LIVE = frozenset({cgi.LIVE_RTP.id, cgi.LIVE_HTTP_START.id, cgi.LIVE_HTTP_STOP.id})
_SOUND = "AUDIO"
_CHANNELS = 16  # of a recorder that has not told


@asynccontextmanager
async def prepared(driver: IproDriver, gateway: Gateway, command: Command, values: Values) -> AsyncIterator[ByHand]:
    if command.id == cgi.LOGIN.id:
        async with _logged_in(gateway, values) as run:
            yield run
        return
    if not command.uid_is_login or values.get("UID") is not None:
        yield ByHand(values)
        return
    async with driver.uid(gateway, _kind(command), command.id) as session:
        run = ByHand(session.with_uid(values), "It was run with a UID that was lent for it and given back.")
        try:
            async with AsyncExitStack() as afterwards:
                await _Preparing(driver, session, command, values, run, afterwards).prepare()
                yield run
            if command.id == cgi.LOGOUT.id:
                run.note = "A UID was taken for it, which it gave back."
                session.set_lost("It was logged out by hand.")
        except SessionGone as error:
            await session.gone(str(error))
            raise


@asynccontextmanager
async def _logged_in(gateway: Gateway, values: Values) -> AsyncIterator[ByHand]:
    """Nobody is shown a UID, so nobody could give it back."""
    run = ByHand(values)
    yield run
    uid = run.reply.fields["UID"] if run.reply else None
    if uid:
        await gateway.ask(cgi.LOGOUT, {"UID": uid})
        run.tell("The UID that it got was given back.")


def _kind(command: Command) -> UidKind:
    if command.id == cgi.DOWNLOAD.id:
        return "download"
    apart = command.kind is Kind.SESSION or command.kind is Kind.PICTURE
    return "playback" if apart else "live"


class _Preparing:
    """The session of one command, brought to where the document has it before this command."""

    def __init__(
        self,
        driver: IproDriver,
        session: Session,
        command: Command,
        values: Values,
        run: ByHand,
        afterwards: AsyncExitStack,
    ) -> None:
        self.driver, self.session, self.command = driver, session, command
        self.values, self.run, self.afterwards = values, run, afterwards

    async def prepare(self) -> None:
        if self.command.id in _LIVE:
            await self._live()
        elif self.command.section.startswith("3.") and self.command.id != cgi.SETUP_PLAYBACK.id:
            await self._playback()

    async def _ask(self, command: Command, values: Values | None = None) -> None:
        await self.session.ask(self.driver.narrowed(command), values)

    def _later(self, command: Command, values: Values) -> None:
        async def clean_up() -> None:
            if not self.session.lost.is_set():
                with suppress(DeviceError):  # the log-out that follows ends it too
                    await self._ask(command, values)

        self.afterwards.push_async_callback(clean_up)

    # --- Live (2.1.2, 2.2.2) ------------------------------------------------------------------------------------------
    async def _live(self) -> None:
        await self._ask(cgi.SETUP_LIVE)
        picture = {name: self.values[name] for name in ("CAM", "COMP", "PORT") if name in self.values}
        by_rtp = self.command.id == cgi.LIVE_RTP.id
        start = self._start_by_rtp if by_rtp else self._start_by_http
        if picture["COMP"] == _SOUND:
            await start({**picture, "COMP": "H264"})
            self.run.tell("The picture that its sound belongs to was started first, and stopped again.")
        if self.command.id == cgi.LIVE_HTTP_START.id:
            self.run.stop = self._stop_by_http(picture)
            self.run.tell("What it started was stopped again.")
        elif by_rtp and self.values["CMD"] == "START":
            self._later(cgi.LIVE_RTP, {**picture, "CMD": "STOP"})
            self.run.tell("What it started was stopped again.")
        else:
            await start(picture, stopping=False)
            self.run.tell("It was started first, so that there was something to stop.")

    async def _start_by_rtp(self, picture: Values, *, stopping: bool = True) -> None:
        await self._ask(cgi.LIVE_RTP, {**picture, "CMD": "START"})
        if stopping:
            self._later(cgi.LIVE_RTP, {**picture, "CMD": "STOP"})

    async def _start_by_http(self, picture: Values, *, stopping: bool = True) -> None:
        """It is stopped while its connection is open still (2.2.1.1)."""
        command = self.driver.narrowed(cgi.LIVE_HTTP_START)
        await self.afterwards.enter_async_context(self.session.stream(command, picture))
        if stopping:
            self._later(cgi.LIVE_HTTP_STOP, picture)

    def _stop_by_http(self, picture: Values) -> Callable[[], Awaitable[None]]:
        async def stop() -> None:
            with suppress(DeviceError):
                await self._ask(cgi.LIVE_HTTP_STOP, picture)

        return stop

    # --- Playback (3.1) -----------------------------------------------------------------------------------------------
    async def _playback(self) -> None:
        await self._ask(cgi.SETUP_PLAYBACK, {"MASK": self._mask()})
        at = str(self.values.get("TIMEF") or datetime.now(UTC).isoformat())[:19]
        if self.command.id not in (cgi.PLAY.id, cgi.GO_TO_DATE.id):
            await self._ask(cgi.PLAY)
        if self.command.id == cgi.STEP.id:
            await self._ask(cgi.PAUSE, {"TIMEF": at})
        if self.command.id == cgi.STOP_PLAYBACK.id:
            self.run.tell("A playback was begun first, so that there was something to stop.")
        else:
            self._later(cgi.STOP_PLAYBACK, {"TIMEF": at})
            self.run.tell("A playback was begun for it and stopped again.")

    def _mask(self) -> str:
        status = self.driver.device.status
        camera = int(str(self.values.get("CAM") or next(iter(status.get("registered") or [1]))))
        count = max(int(status.get("channels") or _CHANNELS), camera)
        return "".join("1" if number == camera else "0" for number in range(1, count + 1))
