"""Users of a simulated device, and how it asks who is there: Digest (RFC 7616 with MD5, qop=auth), Basic, or both.

`Authenticator.check` answers with one of
  `Allowed(user)`       the credentials are right,
  `Challenged(…)`       none were sent, or the nonce is too old (`stale=true`, which is nobody's failure),
  `Failed(…)`           wrong ones were sent: this counts, and more than eight within 30 s lock the address out,
  `LockedOut()`         the address has to wait.
A Digest that is right but carelessly made (another uri than the one asked for, a counter used twice) is `Failed` with a
sentence, because a device that looks closely refuses it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import sys
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

from simulators.http import Request

Scheme = Literal["digest", "basic", "both"]
MAX_NONCES = 1000


class Level(IntEnum):
    """What a user of the device may do; each level includes the ones below."""

    NOBODY = 0
    LIVE = 1
    CONTROL = 2
    ADMIN = 3


@dataclass(frozen=True)
class User:
    name: str
    password: str = field(repr=False)
    level: Level


@dataclass(frozen=True)
class Allowed:
    user: User


@dataclass(frozen=True)
class Challenged:
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Failed:
    headers: tuple[tuple[str, str], ...]
    careless: str | None = None
    """The sentence that says what was wrong with how the credentials were made; None: they are simply wrong."""


@dataclass(frozen=True)
class LockedOut:
    pass


Outcome = Allowed | Challenged | Failed | LockedOut


@dataclass
class LockOut:
    """More than `failures` failed logins within `window` seconds close the door to an address for `seconds`."""

    failures: int = 8
    window: float = 30.0
    seconds: float = 30.0


NO_LOCK_OUT = LockOut(failures=sys.maxsize)


class Authenticator:
    def __init__(
        self,
        users: tuple[User, ...],
        *,
        realm: str,
        scheme: Scheme,
        clock: Callable[[], float],
        lockout: LockOut,
        nonce_seconds: float = 300.0,
    ) -> None:
        self.set_users(users)
        self._realm = realm
        self._scheme = scheme
        self._clock = clock
        self._lockout = lockout
        self._nonce_seconds = nonce_seconds
        self._nonces: dict[str, tuple[float, int]] = {}  # nonce to when it was given and the last counter used
        self._failures: defaultdict[str, deque[float]] = defaultdict(deque)
        self._locked_until: dict[str, float] = {}

    def set_users(self, users: tuple[User, ...]) -> None:
        """Of several with the same name the last counts."""
        self._users = {user.name: user for user in users}

    def forget(self) -> None:
        """What a restart forgets: nonces and failures."""
        self._nonces.clear()
        self._failures.clear()
        self._locked_until.clear()

    def challenge(self) -> tuple[tuple[str, str], ...]:
        """The headers that ask for credentials."""
        return self._challenge()

    def check(self, request: Request) -> Outcome:
        now = self._clock()
        if self._locked_until.get(request.peer, 0.0) > now:
            return LockedOut()
        header = request.header("authorization")
        if header is None:
            return Challenged(self._challenge())
        scheme, _, rest = header.partition(" ")
        if scheme.lower() == "digest" and self._scheme != "basic":
            outcome = self._digest(request, _parameters(rest), now)
        elif scheme.lower() == "basic" and self._scheme != "digest":
            outcome = self._basic(rest)
        else:
            outcome = Failed(self._challenge(), f"'{scheme}' credentials were not asked for.")
        if isinstance(outcome, Failed):
            self._count_failure(request.peer, now)
        return outcome

    def _count_failure(self, peer: str, now: float) -> None:
        failures = self._failures[peer]
        failures.append(now)
        while failures and failures[0] <= now - self._lockout.window:
            failures.popleft()
        if len(failures) > self._lockout.failures:
            self._locked_until[peer] = now + self._lockout.seconds
            failures.clear()

    def _challenge(self, stale: bool = False) -> tuple[tuple[str, str], ...]:
        headers = []
        if self._scheme != "basic":
            nonce = secrets.token_hex(16)
            while len(self._nonces) >= MAX_NONCES:
                del self._nonces[next(iter(self._nonces))]  # the oldest
            self._nonces[nonce] = (self._clock(), 0)
            text = f'Digest realm="{self._realm}", nonce="{nonce}", algorithm=MD5, qop="auth"'
            headers.append(("WWW-Authenticate", text + (", stale=true" if stale else "")))
        if self._scheme != "digest":
            headers.append(("WWW-Authenticate", f'Basic realm="{self._realm}"'))
        return tuple(headers)

    def _basic(self, encoded: str) -> Outcome:
        try:
            name, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return Failed(self._challenge(), "The Basic credentials are not base64 of a text.")
        user = self._users.get(name)
        if user is None or not secrets.compare_digest(user.password.encode(), password.encode()):
            return Failed(self._challenge())
        return Allowed(user)

    def _digest(self, request: Request, sent: dict[str, str], now: float) -> Outcome:
        missing = [
            name
            for name in ("username", "realm", "nonce", "uri", "qop", "nc", "cnonce", "response")
            if name not in sent
        ]
        if missing:
            return Failed(self._challenge(), f"The Digest lacks {', '.join(missing)}.")
        if sent["uri"] != request.target:
            return Failed(self._challenge(), f"The Digest is for {sent['uri']}, the request for {request.target}.")
        if sent["realm"] != self._realm or sent["qop"] != "auth":
            return Failed(self._challenge(), "The Digest's realm or qop is not the one of the challenge.")
        if not re.fullmatch(r"[0-9a-f]{8}", sent["nc"]):
            return Failed(self._challenge(), "The Digest's nc is not eight hexadecimal digits.")
        user = self._users.get(sent["username"])
        if user is None:
            return Failed(self._challenge())
        secret = _md5(f"{user.name}:{self._realm}:{user.password}")
        asked = _md5(f"{request.method}:{request.target}")
        right = _md5(f"{secret}:{sent['nonce']}:{sent['nc']}:{sent['cnonce']}:auth:{asked}")
        if not secrets.compare_digest(right, sent["response"].lower()):
            return Failed(self._challenge())
        given, last = self._nonces.get(sent["nonce"], (None, 0))
        if given is None or given <= now - self._nonce_seconds:
            return Challenged(self._challenge(stale=True))
        counter = int(sent["nc"], 16)
        if counter <= last:
            return Failed(self._challenge(), f"The Digest's nc {sent['nc']} was used before.")
        self._nonces[sent["nonce"]] = (given, counter)
        return Allowed(user)


def _parameters(text: str) -> dict[str, str]:
    pairs = re.findall(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))', text)
    return {name.lower(): quoted or bare for name, quoted, bare in pairs}


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
