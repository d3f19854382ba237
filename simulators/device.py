"""What every simulated device has: a web server, users, a memory of what its clients did, faults, and a restart.

Contract for a family: give `commands` (path to `Command`) and `run`; override `find`, `needed`, `check`, `pace`,
`not_allowed`, `unknown`, `forget`, `wake`, `family_fault`, `sessions` and `state` where the family has something to
say. The base authenticates, checks and paces each request, and turns `Refused` into a noted violation and the device's
refusal.

Three lists tell a test what happened, oldest first: `violations` (what the document does not allow), `notes` (what is
unwise or merely interesting: asked too fast, login failed, unknown UID), `requests` (everything that was asked). The
same is told by the side door of `sidedoor.py` when the device was made with `control=True`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from simulators import checking, sidedoor
from simulators.auth import Allowed, Authenticator, Challenged, Failed, Level, LockedOut, LockOut, Scheme, User
from simulators.certificate import Certificate
from simulators.checking import Command, Pace, Refused
from simulators.http import Answer, Dialect, HttpServer, RawBytes, Request, Reset, Response, Silence, Stream

REMEMBERED = 10_000  # entries of each list; the oldest go first
PATIENCE = 0.01  # seconds: a client that waited long enough must not be blamed for the network's and scheduler's jitter
GARBAGE = b"\x00\xff\x13 not a web server \x7f\r\n\r\n"


@dataclass(frozen=True)
class Remark:
    """A violation or a note."""

    time: float
    kind: str
    detail: str
    target: str
    peer: str


@dataclass(frozen=True)
class Asked:
    """One request as it was answered. Status 0: no HTTP answer was given."""

    time: float
    method: str
    target: str
    status: int
    who: str
    peer: str


@dataclass
class Fault:
    """Something that goes wrong.

    On requests (`times` of them, 0 = until `clear`; `path` limits it to paths that start so, `mode` to a method):
    hang, reset, garbage, status (`status`), slow (`seconds`), half (the answer breaks off). At once: reboot (away for
    `seconds`), new-certificate (of a device with TLS), clear, and the family's own.
    """

    kind: str
    times: int = 1
    path: str = "/"
    status: int = 503
    seconds: float = 0.0
    every: int = 0
    mode: str = ""
    number: int = 0


REQUEST_FAULTS = ("hang", "reset", "garbage", "status", "slow", "half")


@dataclass(frozen=True)
class Manners:
    """The gaps a device wants between requests of one client, in seconds."""

    command: float = 0.130
    state: float = 1.0


class SimulatedDevice:
    family: ClassVar[str]
    faults: ClassVar[tuple[str, ...]] = ()
    """The kinds of fault this family adds."""
    keep_alive: ClassVar[bool] = False
    """Whether a connection stays open for the next request."""

    commands: Mapping[str, Command]

    def __init__(
        self,
        *,
        host: str,
        port: int,
        name: str,
        seed: int,
        users: tuple[User, ...],
        realm: str,
        user_auth: bool,
        auth_scheme: Scheme,
        lockout: LockOut | None,
        manners: Manners | None,
        control: bool,
        tls: bool = False,
        dialect: Dialect | None = None,
    ) -> None:
        self.name, self.seed = name, seed
        self.user_auth = user_auth
        self.started = time.monotonic()
        self._violations: deque[Remark] = deque(maxlen=REMEMBERED)
        self._notes: deque[Remark] = deque(maxlen=REMEMBERED)
        self._requests: deque[Asked] = deque(maxlen=REMEMBERED)
        self.authenticator = Authenticator(
            users, realm=realm, scheme=auth_scheme, clock=time.monotonic, lockout=lockout or LockOut()
        )
        self._manners = manners or Manners()
        self._control = control
        self.certificate = Certificate(f"{self.family} {seed}", host) if tls else None
        self._server = HttpServer(
            host,
            port,
            self._handle,
            self._malformed,
            tls=self.certificate.context if self.certificate else None,
            keep_alive=self.keep_alive,
            dialect=dialect or Dialect(),
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._faults: list[Fault] = []
        self._last_asked: dict[tuple[str, str], float] = {}
        self._restart: asyncio.Task[None] | None = None

    # The device's life

    @property
    def host(self) -> str:
        return self._server.host

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def url(self) -> str:
        return f"{'https' if self.certificate else 'http'}://{self.host}:{self.port}"

    # Copies, because a test may read them from another thread while the device adds to them.

    @property
    def violations(self) -> list[Remark]:
        return list(self._violations)

    @property
    def notes(self) -> list[Remark]:
        return list(self._notes)

    @property
    def requests(self) -> list[Asked]:
        return list(self._requests)

    async def start(self) -> None:
        """Listen; an address that cannot be listened on raises OSError."""
        await self.listen()
        self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.gather(self._restart, return_exceptions=True)
        self.forget()
        await self.hang_up()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def reboot(self, seconds: float) -> None:
        """Go away for a while and come back without sessions, with all settings."""
        if self._restart is None or self._restart.done():
            self._restart = asyncio.create_task(self._reboot(seconds))

    async def _reboot(self, seconds: float) -> None:
        await asyncio.sleep(0.05)  # the answer to whoever asked for it leaves first
        self.forget()
        self.authenticator.forget()
        await self.hang_up()
        await asyncio.sleep(seconds)
        self.wake()
        while True:
            try:
                await self.listen()
                return
            except OSError:  # somebody took the port meanwhile: a device keeps its address, so wait for it
                await asyncio.sleep(0.2)

    # What a family gives

    async def listen(self) -> None:
        """Take the device's addresses; what is listened to already is left alone. Raises OSError."""
        await self._server.start()

    async def hang_up(self) -> None:
        """Leave the device's addresses and drop who is connected."""
        await self._server.stop()

    async def run(self, command: Command, values: dict[str, str], request: Request) -> Answer:
        raise NotImplementedError

    def find(self, request: Request) -> Command | None:
        """The command that is meant, or None for a path that is no command."""
        return self.commands.get(request.path)

    def needed(self, command: Command) -> Level:
        """What a user must be allowed to give this command."""
        return command.level if self.user_auth or command.level > Level.LIVE else Level.NOBODY

    def not_allowed(self) -> Response:
        """The answer to somebody who is known, but may not do this."""
        return Response(403)

    def check(self, command: Command, request: Request) -> dict[str, str]:
        """The request's values; raises `Refused` for what the document does not allow."""
        return checking.check(command, request)

    def pace(self, command: Command, values: dict[str, str], request: Request) -> None:
        """Note a request that came too soon."""
        if command.pace is Pace.PICTURE:
            return
        if command.pace is Pace.STATE:
            self.expect_gap("pacing-state", "state", self._manners.state, request)
        self.expect_gap("pacing-command", "command", self._manners.command, request)

    def unknown(self, request: Request) -> Response:
        """A path that is no command."""
        self.note("unknown_path", f"There is no {request.path}.", request)
        return Response(404)

    def forget(self) -> None:
        """What does not survive a restart."""

    def wake(self) -> None:
        """What a restart brings into force, before the device listens again."""

    def move_to(self, host: str) -> None:
        """Listen at another address from the next start on."""
        self._server.host = host

    def family_fault(self, fault: Fault) -> None:
        """Carry out a fault of this family's own kind."""

    def sessions(self) -> Iterable[dict[str, Any]]:
        return ()

    def state(self) -> dict[str, Any]:
        """What a test may want to see of the device beyond its sessions."""
        return {}

    # What tests do

    def inject(self, kind: str, **details: Any) -> None:
        """Let something go wrong, from any thread. The kinds and details are those of `Fault`."""
        if kind not in (*REQUEST_FAULTS, "reboot", "new-certificate", "clear", *self.faults):
            raise ValueError(f"A {self.family} has no fault '{kind}'.")
        if kind == "new-certificate" and self.certificate is None:
            raise ValueError("A device without TLS has no certificate.")
        fault = Fault(kind, **details)
        if self._loop is None:
            raise RuntimeError("The device has not been started.")
        self._loop.call_soon_threadsafe(self._apply, fault)

    def _apply(self, fault: Fault) -> None:
        if fault.kind == "clear":
            self._faults.clear()
            self.family_fault(fault)
        elif fault.kind == "reboot":
            self.reboot(fault.seconds)
        elif fault.kind == "new-certificate":
            assert self.certificate is not None
            self.certificate.renew()
        elif fault.kind in REQUEST_FAULTS:
            self._faults.append(fault)
        else:
            self.family_fault(fault)

    def forget_remarks(self) -> None:
        self._violations.clear()
        self._notes.clear()
        self._requests.clear()

    # Requests

    def violation(self, kind: str, detail: str, request: Request) -> None:
        self._violations.append(Remark(time.time(), kind, detail, request.target, request.peer))

    def note(self, kind: str, detail: str, request: Request) -> None:
        self._notes.append(Remark(time.time(), kind, detail, request.target, request.peer))

    def _malformed(self, peer: str, sentence: str) -> None:
        self._violations.append(Remark(time.time(), "malformed", sentence, "", peer))

    async def _handle(self, request: Request) -> Answer:
        if self._control and request.path.startswith(sidedoor.PREFIX):
            return sidedoor.answer(self, request)
        arrived = time.time()
        who = "-"
        fault = self._next_fault(request)
        answer = await self._disturbed(fault) if fault else None
        if answer is None:
            answer, who = await self._answer(request)
        if fault is not None and fault.kind == "half" and isinstance(answer, Response):
            answer = dataclasses.replace(answer, broken_off=True)
        status = answer.status if isinstance(answer, Response) else 200 if isinstance(answer, Stream) else 0
        self._requests.append(Asked(arrived, request.method, request.target, status, who, request.peer))
        return answer

    def _next_fault(self, request: Request) -> Fault | None:
        meant = (fault for fault in self._faults if request.path.startswith(fault.path))
        fault = next((fault for fault in meant if fault.mode in ("", request.method)), None)
        if fault is not None and fault.times:
            fault.times -= 1
            if not fault.times:
                self._faults.remove(fault)
        return fault

    async def _disturbed(self, fault: Fault) -> Answer | None:
        match fault.kind:
            case "hang":
                return Silence()
            case "reset":
                return Reset()
            case "garbage":
                return RawBytes(GARBAGE)
            case "status":
                return Response(fault.status)
            case "slow":
                await asyncio.sleep(fault.seconds)
        return None

    async def _answer(self, request: Request) -> tuple[Answer, str]:
        command = self.find(request)
        if command is None:
            return self.unknown(request), "-"
        needed = self.needed(command)
        user: User | None = None
        if needed > Level.NOBODY:
            admitted = self._admit(request, needed)
            if isinstance(admitted, Response):
                return admitted, "-"
            user = admitted
        who = user.name if user else "-"
        request = dataclasses.replace(request, who=who)
        try:
            values = self.check(command, request)
            self.pace(command, values, request)
            return await self.run(command, values, request), who
        except Refused as refused:
            self.violation(refused.kind, str(refused), request)
            headers = (("Allow", ", ".join(command.methods)),) if refused.kind == "method" else ()
            return Response(refused.status, headers=(*headers, *refused.headers)), who

    def _admit(self, request: Request, needed: Level) -> User | Response:
        outcome = self.authenticator.check(request)
        match outcome:
            case Challenged(headers):
                return Response(401, headers=headers)
            case Failed(headers, careless):
                if careless:
                    self.violation("digest", careless, request)
                self.note("login_failed", "The credentials are wrong.", request)
                return Response(401, headers=headers)
            case LockedOut():
                self.note("locked_out", "Asked again while locked out after failed logins.", request)
                return Response(403)
            case Allowed(user):
                if user.level < needed:
                    self.note("not_allowed", f"{user.name} may not do this.", request)
                    return self.not_allowed()
                return user

    def expect_gap(self, kind: str, lane: str, wanted: float, request: Request) -> None:
        """Note a request that follows the client's last one in this lane too soon; the next is measured from it."""
        now = time.monotonic()
        last = self._last_asked.get((request.peer, lane))
        self._last_asked[(request.peer, lane)] = now
        if last is not None and now - last < wanted - PATIENCE:
            detail = f"{round((now - last) * 1000)} ms after the last one; the device wants {round(wanted * 1000)} ms."
            self.note(kind, detail, request)


class CannotListen(Exception):
    """An address is taken or is not this machine's; the message says which and why."""


async def serve(devices: Iterable[SimulatedDevice], until: asyncio.Event) -> None:
    """Run devices until the event; those already started are stopped when one cannot start."""
    async with contextlib.AsyncExitStack() as running:
        for device in devices:
            try:
                await running.enter_async_context(device)
            except OSError as error:
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise CannotListen(f"No device can be simulated at {device.url}: {reason}.") from error
            print(f"simulating {device.family} {device.url}", flush=True)
        await until.wait()
