"""The recorder's UIDs: at most 16 for everybody, each dead after 90 s without a command.

A login beyond the limit ends the UID of the lowest priority, among equals the one issued first, and tells its holder
nothing. A user whose priority is below that of every UID in use is refused instead.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from simulators.http import Request
from simulators.ipro.archive import Unit

SHOWN_KEPT = 64


def _nothing() -> None:
    pass


@dataclass(eq=False)
class LiveStream:
    camera: int
    compression: str
    port: int | None
    """Where RTP goes; None: over HTTP."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    on_end: Callable[[], None] = _nothing
    """Called once when it ends, whatever ends it."""
    broken: Callable[[], None] = _nothing
    """Ends it without a STOP: its client has gone, or it broke off."""
    cut: bool = False
    """Break off in the middle of the next picture."""

    def end(self) -> None:
        if not self.ended.is_set():
            self.ended.set()
            self.on_end()


@dataclass
class Playback:
    command: str
    at: datetime | None
    """The last TIMEF; None: from the beginning."""
    speed: int = 0
    """The step of fast forward or reverse, 1 to 8."""
    seen: dict[int, Unit] = field(default_factory=dict)
    """What each camera was shown last since the position was given."""
    heard: dict[int, Unit] = field(default_factory=dict)
    shown: deque[Unit] = field(default_factory=lambda: deque(maxlen=SHOWN_KEPT))
    """Of all cameras, since playback began."""
    empty_at: dict[str, float] = field(default_factory=dict)
    """When each pull was last answered that there is nothing; until the next command."""


@dataclass
class Session:
    uid: str
    priority: int
    begun: float
    heard: float
    login: Request | None
    """How it was asked for; None: it belongs to somebody else's client, which keeps it alive by itself."""
    live_ready: bool = False
    live: dict[int, LiveStream] = field(default_factory=dict)
    audio: dict[int, LiveStream] = field(default_factory=dict)
    mask: frozenset[int] = frozenset()
    playback: Playback | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Its UID is dead: what still runs with it breaks off."""
    switched: defaultdict[int, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    """When each camera's streams were last started or stopped."""

    def stop_live(self, camera: int) -> None:
        for streams in (self.live, self.audio):
            if stream := streams.pop(camera, None):
                stream.end()

    def stop_audio(self, camera: int) -> None:
        if stream := self.audio.pop(camera, None):
            stream.end()


class Uids:
    def __init__(self, *, clock: Callable[[], float], seconds: float, most: int, digits: int) -> None:
        self.most = most
        self._clock = clock
        self._seconds = seconds
        self._digits = digits
        self._sessions: dict[str, Session] = {}  # in the order of issue
        self._issued: deque[str] = deque(maxlen=10_000)

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def issue(self, priority: int, login: Request | None) -> tuple[Session | None, Session | None]:
        """A new session, None when it is refused; and the session that had to give way to it."""
        victim = None
        if len(self) >= self.most:
            victim = min(self, key=lambda session: session.priority)  # the first of equals
            if victim.priority > priority:
                return None, None
            self.end(victim)
        uid = self._new_uid()
        self._issued.append(uid)
        now = self._clock()
        self._sessions[uid] = session = Session(uid, priority, now, now, login)
        return session, victim

    def _new_uid(self) -> str:
        low = 10 ** (self._digits - 1)
        while (uid := str(random.randrange(low, 10 * low))) in self._issued:
            pass
        return uid

    def find(self, uid: str) -> Session | None:
        return self._sessions.get(uid)

    def heard(self, session: Session) -> None:
        """A command came with its UID: it lives for another while."""
        session.heard = self._clock()

    def was_issued(self, uid: str) -> bool:
        return uid in self._issued

    def end(self, session: Session) -> None:
        del self._sessions[session.uid]
        session.ended.set()
        for camera in list(session.live):
            session.stop_live(camera)

    def end_expired(self) -> list[Session]:
        expired = [session for session in self if session.login and self._clock() >= self._dies(session)]
        for session in expired:
            self.end(session)
        return expired

    def next_expiry(self) -> float | None:
        return min((self._dies(session) for session in self if session.login), default=None)

    def _dies(self, session: Session) -> float:
        return session.heard + self._seconds
