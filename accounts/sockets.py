"""Sockets: who is at the other end, whether they may be, and whether they still may.

`Authenticate` finds out who it is, from the session's cookie (then the Origin must be ours: a browser sends cookies to
whoever asks) or from an API token. `GuardedConsumer` asks the policy before its subclass does anything, and refuses
after the handshake, so that browsers see the close code. While a socket is open, one task per process asks again every
two seconds for all of them at once, and closes those whose reason to be open is gone.

No channel layer is used here: Redis being away must not end a running picture.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from asgiref.sync import ThreadSensitiveContext
from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, InterfaceError, models
from django.http import Http404, parse_cookie
from django.http.request import validate_host
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from accounts import tokens
from accounts.models import ApiToken, User
from accounts.policy import Action, Policy, Someone, Standing, allowed, may, those_allowed, why_not
from accounts.requests import App, Receive, Scope, Send, scope_address, scope_headers

log = logging.getLogger(__name__)

NOT_SIGNED_IN = 4401
NOT_ALLOWED = 4403
NO_SUCH_THING = 4404
TRY_AGAIN = 1013
OUR_FAULT = 1011

RECHECK_EVERY = 2.0  # seconds; with the check and the closing well within the five that are promised
RECHECK_DEADLINE = 10.0
CLOSING_DEADLINE = 3.0
LONGEST_REASON = 123  # bytes: what a close frame holds


class SocketRefused(Exception):
    """Raised by a consumer's `enter`: close with this code, and the sentence as the reason."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


# --- Who is it? -------------------------------------------------------------------------------------------------------
def _users_of_sessions(keys: Iterable[str]) -> dict[str, User]:
    """The active users of those sessions that have not ended: not by time, sign-out, nor a changed password."""
    store = SessionStore()
    found = {
        session.session_key: store.decode(session.session_data)
        for session in Session.objects.filter(session_key__in=set(keys), expire_date__gt=timezone.now())
    }
    ids = {int(data[SESSION_KEY]) for data in found.values() if SESSION_KEY in data}
    users = User.objects.filter(is_active=True).in_bulk(ids)
    signed_in = {}
    for key, data in found.items():
        user = users.get(int(data.get(SESSION_KEY, 0)))
        if user is None:
            continue
        proof = data.get(HASH_SESSION_KEY, "")
        hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
        if any(constant_time_compare(proof, each) for each in hashes):
            signed_in[key] = user
    return signed_in


def _same_origin(origin: str, host: str) -> bool:
    """Did the page that opens this socket come from us (or from an origin that the settings trust)?"""
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    parts = urlsplit(origin)
    usual_port = {"http": ":80", "https": ":443"}.get(parts.scheme)
    if usual_port is None or not parts.netloc:
        return False
    return parts.netloc.lower().removesuffix(usual_port) == host.lower().removesuffix(usual_port)


def _is_ours(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return validate_host(name.lower().removesuffix("."), settings.ALLOWED_HOSTS)


class Authenticate:
    """ASGI middleware for WebSockets. Sets scope["user"], ["session_key"] (if by session) and ["address"].

    scope["unreadable"] is True when the database could not be asked: then nobody is let in, and told to try again.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope_headers(scope)
        scope = {**scope, "user": AnonymousUser(), "address": scope_address(scope), "unreadable": False}
        host = headers.get("host", "")
        if not _is_ours(host):
            log.warning("A socket was refused: the host %r is not one of ALLOWED_HOSTS", host[:100])
            return await self._turn_away(receive, send)
        session_key = parse_cookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME, "")
        authorization = headers.get("authorization", "")
        try:
            if authorization:
                scheme, _, plain = authorization.partition(" ")
                if scheme.lower() == "bearer":
                    user = await database_sync_to_async(tokens.user_of)(plain.strip())
                    scope["user"] = user or AnonymousUser()
            elif session_key:
                if not _same_origin(headers.get("origin", ""), host):
                    log.warning(
                        "A socket was refused: its Origin %r is neither %r nor in CSRF_TRUSTED_ORIGINS",
                        headers.get("origin", "")[:100],
                        host[:100],
                    )
                    return await self._turn_away(receive, send)
                users = await database_sync_to_async(_users_of_sessions)([session_key])
                if session_key in users:
                    scope["user"] = users[session_key]
                    scope["session_key"] = session_key
        except (DatabaseError, InterfaceError) as error:
            log.error("A socket could not be authenticated: %s", error)
            scope["unreadable"] = True
        await self.app(scope, receive, send)

    @staticmethod
    async def _turn_away(receive: Receive, send: Send) -> None:
        """Refuse the handshake itself (HTTP 403): a foreign page need not learn more."""
        await receive()
        await send({"type": "websocket.close", "code": NOT_ALLOWED})


# --- May they? --------------------------------------------------------------------------------------------------------
class GuardedConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """A socket with a policy. Subclasses say what it is about (`find_thing`), serve (`enter`), clean up (`leave`)."""

    policy: ClassVar[Policy]
    channel_layer_alias = "none"

    user: Someone
    thing: models.Model | None = None

    def find_thing(self) -> models.Model | None:
        """The thing this socket is about, among those `self.user` may see; ObjectDoesNotExist if there is none.

        Runs in a worker thread, where the database may be asked.
        """
        return None

    async def enter(self) -> None:
        """Accept and start serving. Returns soon: messages of the client wait until it has."""
        raise NotImplementedError

    async def leave(self) -> None:
        """Free what `enter` took. Called exactly once, however far `enter` came and whatever ended the socket."""

    @property
    def kwargs(self) -> dict[str, Any]:
        """What the route's pattern captured."""
        found: dict[str, Any] = self.scope["url_route"]["kwargs"]
        return found

    # What follows is the frame around the subclass.
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._accepted = self._closing = self._left = False
        self.user = scope["user"]
        try:
            await super().__call__(scope, receive, send)
        finally:
            _open.discard(self)
            await self._leave_once()

    async def dispatch(self, message: dict[str, Any]) -> None:
        try:
            await super().dispatch(message)
        except StopConsumer:
            raise
        except SocketRefused as refused:
            await self.refuse(refused.code, refused.sentence)
        except OSError as error:  # what servers raise when the client has gone meanwhile
            log.info("A socket's client went away: %r", error)
            await self._leave_once()
        except Exception:
            log.exception("A socket failed")
            await self.refuse(OUR_FAULT, "Something went wrong on our side; the log tells more.")

    async def connect(self) -> None:
        if self.scope["unreadable"]:
            raise SocketRefused(TRY_AGAIN, "The database cannot be read just now; try again in a moment.")
        try:
            await database_sync_to_async(self._authorise)()
        except (DatabaseError, InterfaceError) as error:
            log.error("A socket could not be authorised: %s", error)
            raise SocketRefused(TRY_AGAIN, "The database cannot be read just now; try again in a moment.") from None
        _open.add(self)
        _watch()
        await self.enter()

    def _authorise(self) -> None:
        if self.policy is not Standing.PUBLIC and not isinstance(self.user, User):
            raise SocketRefused(NOT_SIGNED_IN, "You are not signed in.")
        try:
            self.thing = self.find_thing()
        except (ObjectDoesNotExist, Http404):
            raise SocketRefused(NO_SUCH_THING, "There is nothing here, or nothing you may see.") from None
        if isinstance(self.policy, Action):
            fine = may(self.user, self.policy, self.thing)
        else:
            fine = allowed(self.user, self.policy)
        if not fine:
            raise SocketRefused(NOT_ALLOWED, why_not(self.user, self.policy, self.thing))

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        if not self._closing:
            await super().websocket_receive(message)

    async def accept(self, *args: Any, **kwargs: Any) -> None:
        self._accepted = True
        await super().accept(*args, **kwargs)

    async def disconnect(self, code: int) -> None:
        _open.discard(self)
        await self._leave_once()

    async def refuse(self, code: int, sentence: str) -> None:
        """Close with a code and a reason, after the handshake: before it, browsers would see neither."""
        _open.discard(self)
        if self._closing or self._left:
            return
        self._closing = True
        try:
            if not self._accepted:
                await self.accept()
            await self.close(code=code, reason=short_reason(sentence))
        finally:
            await self._leave_once()

    async def _leave_once(self) -> None:
        if self._left:
            return
        self._left = True
        try:
            await self.leave()
        except Exception:
            log.exception("A socket could not clean up")


def short_reason(sentence: str) -> str:
    raw = sentence.encode()
    return sentence if len(raw) <= LONGEST_REASON else raw[: LONGEST_REASON - 3].decode(errors="ignore") + "…"


# --- May they still? --------------------------------------------------------------------------------------------------
_open: set[GuardedConsumer] = set()
_watcher: asyncio.Task[None] | None = None


@dataclass(frozen=True)
class _Ground:
    """What an open socket rests on; sockets that rest on the same are checked once."""

    session_key: str
    token_id: int | None
    policy: Policy
    model: type[models.Model] | None
    key: Any


def _ground_of(socket: GuardedConsumer) -> _Ground:
    token = socket.user.acting_token if isinstance(socket.user, User) else None
    return _Ground(
        session_key=socket.scope.get("session_key", ""),
        token_id=token.pk if token else None,
        policy=socket.policy,
        model=type(socket.thing) if socket.thing is not None else None,
        key=socket.thing.pk if socket.thing is not None else None,
    )


def _fallen(grounds: set[_Ground]) -> dict[_Ground, SocketRefused]:
    """Those that no longer hold, and why. Asks the database once per user and policy, not once per socket."""
    by_session = _users_of_sessions(each.session_key for each in grounds if each.session_key)
    by_token: dict[int, User] = {}
    for token in ApiToken.objects.select_related("user").filter(pk__in={each.token_id for each in grounds}):
        if not token.expired and token.user.is_active:
            token.user.acting_token = token
            by_token[token.pk] = token.user

    fallen: dict[_Ground, SocketRefused] = {}
    groups: dict[tuple[str, int | None, Policy, type[models.Model] | None], list[_Ground]] = defaultdict(list)
    for each in grounds:
        groups[each.session_key, each.token_id, each.policy, each.model].append(each)
    for (session_key, token_id, policy, model), group in groups.items():
        if policy is Standing.PUBLIC:
            continue
        user = by_token.get(token_id) if token_id is not None else by_session.get(session_key)
        if user is None:
            reason = SocketRefused(NOT_SIGNED_IN, "You are no longer signed in.")
            fallen.update(dict.fromkeys(group, reason))
        elif not allowed(user, policy):
            reason = SocketRefused(NOT_ALLOWED, why_not(user, policy))
            fallen.update(dict.fromkeys(group, reason))
        elif model is not None:
            keys = {each.key for each in group}
            good = those_allowed(user, policy, model, keys)
            seen = keys if good == keys else those_allowed(user, Standing.SIGNED_IN, model, keys)
            for each in group:
                if each.key in good:
                    continue
                if each.key in seen:
                    fallen[each] = SocketRefused(NOT_ALLOWED, "Your grants no longer cover all of it.")
                else:
                    fallen[each] = SocketRefused(NO_SUCH_THING, "This is gone, or you may no longer see it.")
    return fallen


async def recheck() -> None:
    """Ask once for every open socket whether it may stay, and close those that may not.

    What cannot be asked stays as it was: a picture that runs goes on while the database is away.
    """
    sockets = {socket: _ground_of(socket) for socket in _open}
    if not sockets:
        return
    try:
        async with asyncio.timeout(RECHECK_DEADLINE):
            fallen = await database_sync_to_async(_fallen)(set(sockets.values()))
    except (DatabaseError, InterfaceError, TimeoutError) as error:
        log.warning("Open sockets could not be checked, and stay: %s", error or "the database did not answer")
        return
    closing = [
        asyncio.wait_for(socket.refuse(fallen[ground].code, fallen[ground].sentence), CLOSING_DEADLINE)
        for socket, ground in sockets.items()
        if ground in fallen
    ]
    for result in await asyncio.gather(*closing, return_exceptions=True):
        if isinstance(result, Exception):
            log.info("A socket whose permission ended closed badly: %r", result)


async def _keep_checking() -> None:
    global _watcher
    async with ThreadSensitiveContext():  # a thread of its own: never behind a page that waits
        while _open:
            await asyncio.sleep(RECHECK_EVERY)
            try:
                await recheck()
            except Exception:
                log.exception("Open sockets could not be checked, and stay")
        _watcher = None  # before the thread is given back, which takes a moment: whoever comes now starts another


def _watch() -> None:
    global _watcher
    loop = asyncio.get_running_loop()
    if _watcher is None or _watcher.done() or _watcher.get_loop() is not loop:
        _watcher = loop.create_task(_keep_checking(), name="recheck open sockets")
