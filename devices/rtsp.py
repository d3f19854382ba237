"""RTSP to devices, as far as it is like HTTP: the log-in, the breaker before it, and what is noted for support.

Whoever talks RTSP keeps the connection and its deadlines; here stands what must be the same for all that is said to a
device. Its log-ins are counted together with those of commands, for the device counts them together too: the first
exchanges of a session, which log in, take a turn. The nonce is the connection's own, since an RTSP server need not know
that of the web server beside it. No session number and no log-in gets into what is noted.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, cast

from devices import trust
from devices.coordination import coordinated
from devices.errors import DeviceError, NoCoordination, Unauthorised, WrongAnswer
from devices.exchanges import RING_LENGTH, RING_SECONDS, SHOWN, Exchange, ring_key, without_literals
from devices.gateway import Gateway
from devices.http import Challenge, authorization, best, parse_challenges
from devices.models import Device
from devices.turns import Login, Turn


class RtspDoor(Gateway):
    """The door to one device for one RTSP connection."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._challenge: Challenge | None = None
        self._count = 0

    @asynccontextmanager
    async def logging_in(self) -> AsyncIterator[Login]:
        """A turn for the exchanges in which the device may ask who we are. Raises Unauthorised while a breaker is
        open."""
        self._password()
        trust.refuse_writing(self.device)
        turn = Turn(str(self.address), self._login_mark(), {}, ring_key(self.device.pk))
        async with turn.taken() as login:
            yield login

    def authorization(self, method: str, url: str) -> dict[str, str]:
        """The header to send, once the device has asked for it."""
        if self._challenge is None:
            return {}
        self._count += 1
        value = authorization(
            self._challenge,
            self.device.username,
            self._password(),
            method,
            url,
            count=self._count,
            cnonce=secrets.token_hex(8),
        )
        return {"Authorization": value}

    async def challenged(self, offered: Sequence[str], login: Login | None, *, again: bool) -> None:
        """The device answered 401. Returns when it is worth asking once more; `again` says that this was done already.

        As with HTTP: a nonce may run out without a word, so a known one that is refused for another is not yet the end.
        """
        known, challenge = self._challenge, best(parse_challenges(list(offered)))
        renewed = challenge is not None and known is not None and (challenge.stale or challenge.nonce != known.nonce)
        if known is not None and (challenge is None or not challenge.stale):
            await self._count_refusal(login)
        if known is not None and (again or not renewed):
            self._challenge = None
            raise Unauthorised(f"{self.address} refuses our user name and password. Correct them for this device.")
        if challenge is None:
            raise WrongAnswer(
                f"{self.address} asks for a log-in of a kind we do not know. Set the device to Basic or Digest."
            )
        if not self.device.username:
            raise Unauthorised(f"{self.address} asks for a user name and password. Enter them for this device.")
        self._challenge, self._count = challenge, 0

    def accepted(self, login: Login | None) -> None:
        """The device answered something else than 401."""
        if login is not None and self._challenge is not None:
            login.accepted = True

    async def _count_refusal(self, login: Login | None) -> None:
        if login is not None:
            login.refused += 1
            return
        with suppress(DeviceError):  # in the middle of a session; a breaker that is open needs no more counting
            async with self.logging_in() as counted:
                counted.refused += 1

    async def note(
        self,
        method: str,
        url: str,
        *,
        began: float,
        status: int | None,
        answer: str,
        error: str,
        hidden: str,
        login: Login | None,
    ) -> None:
        """Keep what was said. `began` is Unix time, `hidden` what must not be seen besides the password."""
        secret = {self._password(), hidden}
        shown = without_literals(answer[: 2 * SHOWN], secret)
        noted = Exchange(
            at=datetime.fromtimestamp(began, UTC).isoformat(timespec="milliseconds"),
            command="rtsp",
            method=method,
            target=without_literals(url, secret),
            form="",
            status=status,
            milliseconds=round((time.time() - began) * 1000),
            answer=shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + "…",
            error=without_literals(error, secret),
            undocumented=False,
        ).text()
        if login is not None:
            login.said.append(noted)
            return
        ring = ring_key(self.device.pk)
        with suppress(NoCoordination):  # it is only a note
            async with coordinated("keep what was said to a device") as redis:
                pipeline = redis.pipeline(transaction=False)
                pipeline.lpush(ring, noted)
                pipeline.ltrim(ring, 0, RING_LENGTH - 1)
                pipeline.expire(ring, RING_SECONDS)
                await cast(Any, pipeline.execute())
