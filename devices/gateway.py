"""The only door to a device: every command goes through `Gateway.ask`.

It validates the command against the document before anything is sent, waits for the device's turn (shared by all
processes), logs in as the device wants, keeps deadlines and limits, and turns what comes back into a `Reply` or into
one of our own errors, each a sentence with the next step. Passwords, UIDs and queries never enter a log line or an
error text.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from devices.cgi import Command, Values, encode, read_reply
from devices.errors import Busy, DeviceError, NoCoordination, NotSupported, Refused, Unauthorised, WrongAnswer
from devices.http import TOTAL_SECONDS, Address, Answer, authorization, best, exchange, parse_challenges
from devices.models import Device
from devices.turns import Login, Turn

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reply:
    """A successful answer (any 2xx)."""

    command: Command
    status: int
    text: str

    @property
    def fields(self) -> dict[str, Any]:
        """The documented fields, typed; None for what is missing."""
        return read_reply(self.command, self.text)


class Gateway:
    """The door to one device. Cheap to make; it keeps nothing open. It never touches the database."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.address = Address(device.scheme, device.host, device.port, str(device.options.get("tls", "verify")))

    def __repr__(self) -> str:
        return f"<Gateway {self.device.pk} {self.address}>"

    async def ask(
        self,
        command: Command,
        values: Values | None = None,
        *,
        seconds: float = TOTAL_SECONDS,
        taking_turns: bool = True,
    ) -> Reply:
        """Send one command of the catalogue and return its successful reply.

        Raises BadValue before anything is sent, else a DeviceError. `taking_turns=False` is for the one case where
        nobody else can be talking to the device: keeping a running picture alive while Redis is away.
        """
        query = encode(command, values)
        target = f"{command.path}?{query}" if query else command.path
        method = command.methods[0]
        if not taking_turns:
            answer = await self._talk(method, target, seconds, Login())
            return self._reply(command, answer)
        turn = self._turn(command, seconds)
        login = await turn.enter()
        try:
            answer = await self._talk(method, target, seconds, login)
        finally:
            await self._leave(turn, login)
        return self._reply(command, answer)

    def _turn(self, command: Command, seconds: float) -> Turn:
        return Turn(
            device=str(self.device.pk),
            login=self._login_mark(),
            lanes={"any": command.gap, command.id: command.own_gap},
            seconds=2 * seconds + 1,  # two exchanges at most, and their own deadlines come first
        )

    def _login_mark(self) -> str:
        """Tells credentials apart without telling them: new ones start with a clean record."""
        text = f"{self.address}\0{self.device.username}\0{self.device.password.reveal()}"
        return hmac.new(settings.SECRET_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()[:16]

    async def _leave(self, turn: Turn, login: Login) -> None:
        """Give the turn back, even while we are being cancelled; when Redis just went away it ends by its expiry."""
        leaving = asyncio.ensure_future(turn.leave(login))
        try:
            await asyncio.shield(leaving)
        except NoCoordination:
            logger.warning("a turn could not be given back; it ends by itself", extra={"device": self.device.pk})

    async def _talk(self, method: str, target: str, seconds: float, login: Login) -> Answer:
        """One exchange, or two when the device asks who we are. Learns the challenge and how the log-in went.

        A challenge that is known was accepted before; so when it is refused and another nonce offered, either the nonce
        ran out (not every device says so) or the password was changed: one more try tells.
        """
        known = login.challenge if self.device.username else None
        answer = await self._send(method, target, seconds, login)
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
        answer = await self._send(method, target, seconds, login)
        if answer.status == 401:
            raise self._refused_login(login)
        login.accepted = True
        return answer

    async def _send(self, method: str, target: str, seconds: float, login: Login) -> Answer:
        headers: dict[str, str] = {}
        if login.challenge is not None and self.device.username:
            login.count += 1
            headers["Authorization"] = authorization(
                login.challenge,
                self.device.username,
                self.device.password.reveal(),
                method,
                target,
                count=login.count,
                cnonce=secrets.token_hex(8),
            )
        return await exchange(self.address, method, target, headers=headers, seconds=seconds)

    def _refused_login(self, login: Login) -> Unauthorised:
        login.refused += 1
        login.challenge = None  # only challenges that were answered rightly are kept for the next command
        return Unauthorised(f"{self.address} refuses our user name and password. Correct them for this device.")

    def _reply(self, command: Command, answer: Answer) -> Reply:
        if 200 <= answer.status < 300:
            return Reply(command, answer.status, "" if answer.status == 204 else answer.text)
        raise self._error(command, answer.status)

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
        return WrongAnswer(f"{self.address} failed at {command.id} ({status}). Try again; if it stays so, restart it.")
