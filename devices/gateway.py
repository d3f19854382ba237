"""The only door to a device: every command goes through `Gateway.ask`, or `Gateway.stream` when its answer may last.

It validates the command against the document before anything is sent, waits for the device's turn (shared by all
processes), logs in as the device wants, keeps deadlines and limits, repeats only what is safe to repeat, and turns what
comes back into a `Reply` or into one of our own errors, each a sentence with the next step. What was said is kept for
support (`devices.exchanges`); passwords, UIDs and queries never enter a log line or an error text.

What no document tells is tried only when the documented form was refused and the device's option `legacy` is on; then
it shows in the exchanges as undocumented.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
from django.conf import settings

from accounts.secrets import UnreadableSecret
from devices import cgi, trust
from devices.cgi import Command, Kind, Request, Values, read_reply
from devices.errors import (
    Busy,
    ClosedSilently,
    DeviceError,
    Failed,
    Interrupted,
    NotSupported,
    Queued,
    Refused,
    SessionGone,
    Unauthorised,
    UnreadablePassword,
    WrongAnswer,
)
from devices.exchanges import described, ring_key
from devices.http import (
    ANSWER_LIMIT,
    STREAM_IDLE_SECONDS,
    TOTAL_SECONDS,
    Address,
    Answer,
    OpenAnswer,
    authorization,
    best,
    exchange,
    opened,
    parse_challenges,
)
from devices.models import Device, Family
from devices.turns import PATIENCE_SECONDS, Login, Turn

T = TypeVar("T", Answer, OpenAnswer)

AGAIN_SECONDS = (0.1, 0.4)  # before a read is repeated, drawn at random: not all who were cut off come back at once
_CHANGES = frozenset({Kind.WRITE, Kind.CONTROL, Kind.SESSION})
# Transmissions are not among them: they change nothing that stays, and keeping them alive would cost a read each time.
_CONFIRMED = frozenset({Kind.WRITE, Kind.CONTROL})
CONFIRMED_TRIES = 3  # before somebody who waits for the device again and again is told that it is busy
# What web servers of these devices answer to a form they do not know.
_FORM_REFUSED = frozenset({400, 405, 501})
_RANDOM_NUMBER = Request("GET", "/cgi-bin/get_randomnum")


@dataclass(frozen=True)
class Reply:
    """A successful answer (any 2xx)."""

    command: Command
    status: int
    text: str
    body: bytes = b""
    whole: bool = True  # False: less came than the device said, twice the same

    @property
    def fields(self) -> dict[str, Any]:
        """The documented fields, typed; None for what is missing."""
        return read_reply(self.command, self.text)


@dataclass(frozen=True)
class Streamed:
    """A successful answer that may last: `pieces` is its body as it comes, and `whole` tells at its end whether all of
    it came, as far as the device said how long it is."""

    command: Command
    status: int
    headers: httpx.Headers
    pieces: AsyncIterator[bytes]
    whole: Callable[[], bool]


class Gateway:
    """The door to one device. Cheap to make, keeps nothing open, and knows the device as it was when it was made: make
    one for each thing to do. It touches the database only when a certificate is new to it, or another device answers.
    """

    # How long ago it may have been confirmed who the device is when something is changed there; see `devices.trust`.
    confirmed_within: float = trust.CHANGE_SECONDS

    def __init__(self, device: Device) -> None:
        self.device = device
        self.legacy = bool(device.options.get("legacy", False))
        self.address = Address(device.scheme, device.host, device.port, _tls(device), self.legacy)

    def __repr__(self) -> str:
        return f"<Gateway {self.device.pk} {self.address}>"

    async def ask(
        self,
        command: Command,
        values: Values | None = None,
        *,
        seconds: float = TOTAL_SECONDS,
        limit: int = ANSWER_LIMIT,
        patience: float = PATIENCE_SECONDS,
        taking_turns: bool = True,
    ) -> Reply:
        """Send one command of the catalogue and return its successful reply.

        Raises BadValue before anything is sent, else a DeviceError. `taking_turns=False` is for the one case where
        nobody else can be talking to the device: keeping a running picture alive while Redis is away.
        """
        request = cgi.request(command, values)
        self._may_be_sent(command)

        async def send(request: Request, headers: dict[str, str], undocumented: bool, login: Login) -> Answer:
            return await self._noted(command, request, undocumented, login, exchanged(request, headers))

        async def exchanged(request: Request, headers: dict[str, str]) -> Answer:
            return await exchange(
                self.address,
                request,
                headers=headers,
                seconds=seconds,
                limit=limit,
                redirects_answer=command.may_redirect,
                check_certificate=self._certificate_check(),
            )

        async def once() -> Answer:
            if not taking_turns:
                return await self._talk(command, request, send, Login())
            async with self._confirmed_turn(command, patience) as login:
                await self.last_word(command)
                return await self._talk(command, request, send, login)

        try:
            answer = await self._repeated(once) if taking_turns and command.kind is Kind.READ else await once()
        except ClosedSilently:
            if not command.may_be_silent:
                raise
            return Reply(command, 204, "")
        self._check(command, answer.status)
        body = b"" if answer.status == 204 else answer.body
        return Reply(command, answer.status, replace(answer, body=body).text, body, answer.whole)

    @asynccontextmanager
    async def stream(
        self,
        command: Command,
        values: Values | None = None,
        *,
        idle_seconds: float = STREAM_IDLE_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> AsyncIterator[Streamed]:
        """Send one command whose answer may have no end. The turn ends when its head is here; its body has no total
        deadline, but NoAnswer when it is silent for `idle_seconds`. Leaving the block closes the connection."""
        request = cgi.request(command, values)
        self._may_be_sent(command)
        async with AsyncExitStack() as stack:

            async def send(request: Request, headers: dict[str, str], undocumented: bool, login: Login) -> OpenAnswer:
                # An answer that is not the one we keep (a challenge) is closed before the next is asked for.
                await stack.aclose()
                answer = opened(
                    self.address,
                    request,
                    headers=headers,
                    idle_seconds=idle_seconds,
                    redirects_answer=command.may_redirect,
                    check_certificate=self._certificate_check(),
                )
                return await self._noted(command, request, undocumented, login, stack.enter_async_context(answer))

            async with self._confirmed_turn(command, patience) as login:
                answer = await self._talk(command, request, send, login)
            self._check(command, answer.status)
            yield Streamed(command, answer.status, answer.headers, answer.pieces(), lambda: answer.whole)

    async def last_word(self, command: Command) -> None:
        """Comes in the turn, right before the command goes out. Who may change their mind meanwhile raises here."""

    # --- Before -------------------------------------------------------------------------------------------------------
    def _may_be_sent(self, command: Command) -> None:
        self._password()
        if command.undocumented and not self.legacy:
            raise NotSupported(
                f"No document tells this form of {command.id}. An administrator can allow it with the option legacy."
            )
        if command.kind in _CHANGES:
            trust.refuse_writing(self.device)

    def _confirmed_turn(self, command: Command, patience: float) -> AbstractAsyncContextManager[Login]:
        """The turn of a command. Before one that changes something it is confirmed that this is the device we know."""
        turn = self._turn(command)
        if command.kind in _CONFIRMED and trust.can_be_confirmed(self.device):
            return self._confirming(turn, patience)
        return turn.taken(patience)

    @asynccontextmanager
    async def _confirming(self, turn: Turn, patience: float) -> AsyncIterator[Login]:
        """Asking who it is takes a turn of its own, with the rests that it needs. Who waits long for the next asks
        again: the device may have been away meanwhile."""
        from devices.families import driver_for  # the families import the gateway

        async def marks() -> tuple[str | None, str | None]:
            told = await driver_for(self.device).marks(self)
            return told.mac, told.serial

        clock = asyncio.get_running_loop().time
        for _ in range(CONFIRMED_TRIES):
            until = clock() + await trust.confirm(self.device, marks, within=self.confirmed_within)
            async with turn.taken(patience) as login:
                if clock() <= until:
                    yield login
                    return
        raise Queued(f"{self.device.name} is busy with other commands. Try again in a moment.")

    def _turn(self, command: Command) -> Turn:
        lanes = {command.lane: command.gap, f"of {command.id}": command.own_gap}
        return Turn(
            place=str(self.address),
            login=self._login_mark(),
            lanes={lane: gap for lane, gap in lanes.items() if gap},
            ring=ring_key(self.device.pk) if self.device.pk is not None else "",
        )

    def _login_mark(self) -> str:
        """Tells credentials apart without telling them: new ones start with a clean record."""
        text = f"{self.address}\0{self.device.username}\0{self._password()}"
        return hmac.new(settings.SECRET_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()[:16]

    def _password(self) -> str:
        try:
            password: str = self.device.password.reveal()
        except UnreadableSecret:
            raise UnreadablePassword(self.device.name or str(self.address)) from None
        return password

    def _certificate_check(self) -> Callable[[str], Awaitable[None]] | None:
        if self.address.tls != "pin":
            return None

        async def check(offered: str) -> None:
            await trust.check_certificate(self.device, offered)

        return check

    # --- Talking ------------------------------------------------------------------------------------------------------
    async def _repeated(self, once: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask, and once more when the connection broke or the answer is shorter than the device said.

        Some devices always count wrong: the same answer twice is the whole answer.
        """
        first: Answer | None = None
        try:
            first = await once()
            if first.whole:
                return first
        except Interrupted:
            pass
        await asyncio.sleep(random.uniform(*AGAIN_SECONDS))  # noqa: S311  spread, not secret
        second = await once()
        if second.whole or (first is not None and first.body == second.body):
            return second
        raise Interrupted(
            f"{self.address} breaks off in the middle of its answer. Try again; if it stays so, restart it."
        )

    async def _talk(
        self,
        command: Command,
        request: Request,
        send: Callable[[Request, dict[str, str], bool, Login], Awaitable[T]],
        login: Login,
    ) -> T:
        """One command, in its documented form, and where allowed in others when that was refused."""
        answer = await self._logged_in(command, request, send, login, undocumented=command.undocumented)
        if not self.legacy or answer.status not in _FORM_REFUSED:
            return answer
        async for other in self._other_forms(command, request, answer.status, login):
            answer = await self._logged_in(command, other, send, login, undocumented=True)
            if answer.status not in _FORM_REFUSED:
                break
        return answer

    async def _other_forms(
        self, command: Command, request: Request, status: int, login: Login
    ) -> AsyncIterator[Request]:
        """The undocumented forms known from real devices."""
        query = request.body.decode("ascii") or request.target.partition("?")[2]
        if self.device.family == Family.POVCAM and status == 400 and "Randomnum=" not in query:
            number = await self._random_number(command, login)
            if number:
                yield replace(request, target=f"{request.target}{'&' if query else '?'}Randomnum={number}")
        if self.device.family == Family.IPRO and query.count("&CTRL=") == 2:
            yield replace(request, target=request.target.replace("&CTRL=START", ""))
        if request.method == "POST":
            yield Request("GET", f"{command.path}?{query}" if query else command.path)

    async def _random_number(self, command: Command, login: Login) -> str:
        """What newer firmware of the vendor's wants to see in each command; "" when this one does not know it."""

        async def send(request: Request, headers: dict[str, str], undocumented: bool, login: Login) -> Answer:
            answer = exchange(self.address, request, headers=headers, check_certificate=self._certificate_check())
            return await self._noted(command, request, undocumented, login, answer)

        answer = await self._logged_in(command, _RANDOM_NUMBER, send, login, undocumented=True)
        found = re.search(r"(?:Randomnum\s*=\s*)?\b([0-9A-Za-z]{4,32})\b\s*$", answer.text[:200], re.IGNORECASE)
        return found[1] if found and answer.status == 200 else ""

    async def _logged_in(
        self,
        command: Command,
        request: Request,
        send: Callable[[Request, dict[str, str], bool, Login], Awaitable[T]],
        login: Login,
        *,
        undocumented: bool = False,
    ) -> T:
        """One exchange, or two when the device asks who we are. Learns the challenge and how the log-in went.

        A challenge that is known was accepted before; so when it is refused and another nonce offered, either the nonce
        ran out (not every device says so) or the password was changed: one more try tells.
        """
        if command.uid_is_login:
            # No other log-in is sent along, so that a UID that is gone is never counted as a wrong password.
            answer = await send(request, {}, undocumented, login)
            if answer.status == 401:
                raise SessionGone(f"{self.address} no longer knows the UID we used. A new one is needed; try again.")
            return answer
        known = login.challenge if self.device.username else None
        answer = await send(request, self._headers(request, login), undocumented, login)
        if answer.status != 401:
            login.accepted = known is not None
            return answer
        challenge = best(parse_challenges(answer.headers.get_list("www-authenticate")))
        if known is not None:
            if challenge is None or not (challenge.stale or challenge.nonce != known.nonce):
                raise self._refused_login(login)
            login.refused += not challenge.stale
        if challenge is None:
            raise WrongAnswer(
                f"{self.address} asks for a log-in of a kind we do not know. Set the device to Basic or Digest."
            )
        if not self.device.username:
            raise Unauthorised(f"{self.address} asks for a user name and password. Enter them for this device.")
        login.challenge, login.count = challenge, 0
        answer = await send(request, self._headers(request, login), undocumented, login)
        if answer.status == 401:
            raise self._refused_login(login)
        login.accepted = True
        return answer

    def _headers(self, request: Request, login: Login) -> dict[str, str]:
        if login.challenge is None or not self.device.username:
            return {}
        login.count += 1
        value = authorization(
            login.challenge,
            self.device.username,
            self._password(),
            request.method,
            request.target,
            count=login.count,
            cnonce=secrets.token_hex(8),
        )
        return {"Authorization": value}

    def _refused_login(self, login: Login) -> Unauthorised:
        login.refused += 1
        login.challenge = None  # only challenges that were answered rightly are kept for the next command
        return Unauthorised(f"{self.address} refuses our user name and password. Correct them for this device.")

    async def _noted(
        self, command: Command, request: Request, undocumented: bool, login: Login, answering: Awaitable[T]
    ) -> T:
        """Await an answer and note what was said."""
        began, clock = datetime.now(UTC), time.monotonic()
        status: int | None = None
        text, error = "", ""
        try:
            answer = await answering
            status = answer.status
            if isinstance(answer, Answer):
                text = _shown(answer)
                error = "" if answer.whole else "Shorter than the device said."
            return answer
        except DeviceError as caught:
            error = str(caught)
            raise
        except asyncio.CancelledError:
            error = "We gave up waiting."
            raise
        finally:
            noted = described(
                command,
                request,
                password=self._password(),
                began=began,
                milliseconds=round((time.monotonic() - clock) * 1000),
                status=status,
                answer=text,
                error=error,
                undocumented=undocumented or command.undocumented,
            )
            login.said.append(noted.text())

    # --- What it answered ---------------------------------------------------------------------------------------------
    def _check(self, command: Command, status: int) -> None:
        if not (200 <= status < 300 or (command.may_redirect and 300 <= status < 400)):
            raise self._error(command, status)

    def _error(self, command: Command, status: int) -> DeviceError:
        if status == 403:
            return Refused(
                f"{self.address} forbids {command.id} to this user. Give the device an administrator's log-in."
            )
        if status in (404, 405, 501):
            return NotSupported(f"{self.address} does not know {command.id} ({status}). Check its model and firmware.")
        if status in (429, 503):
            return Busy(f"{self.address} is busy ({status}). Try again in a moment.")
        if 400 <= status < 500:
            return Refused(
                f"{self.address} refuses {command.id} ({status}). It may be in a mode that does not allow it."
            )
        return Failed(f"{self.address} failed at {command.id} ({status}). Try again; if it stays so, restart it.")


def _tls(device: Device) -> str:
    """The option as set, or as the family has it by default."""
    from devices.families import driver_class  # the families import the gateway
    from devices.options import value_of

    return str(value_of(driver_class(device.family).options, device.options, "tls"))


def _shown(answer: Answer) -> str:
    """A text answer as it is; of others what they are."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.partition("/")[0] in ("image", "audio", "video") or kind == "application/octet-stream":
        return f"({kind}, {len(answer.body)} bytes)"
    if b"\0" in answer.body[:1000] or answer.body.startswith(b"\xff\xd8"):
        return f"({len(answer.body)} bytes that are no text)"
    return answer.text
