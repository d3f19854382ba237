"""Where a request really comes from, when reverse proxies stand in between.

X-Forwarded-* headers can be written by anybody, so they are believed only as far as settings.TRUSTED_PROXIES (addresses
or networks) vouch for them: the list of addresses is walked from our end, and the first one that is not a trusted proxy
is the client.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

UNKNOWN = "0.0.0.0"  # noqa: S104 -- not an address to bind: the client of a unix socket has none
MOST_HOPS = 20


@lru_cache(maxsize=8)
def _networks(entries: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(entry, strict=False) for entry in entries)
    except ValueError as error:
        raise ImproperlyConfigured(f"TRUSTED_PROXIES: {error}. Use addresses or networks such as 10.0.0.0/8.") from None


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it: maybe in brackets, maybe with a port, maybe IPv4 inside IPv6."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def is_trusted_proxy(peer: str) -> bool:
    address = _parsed(peer)
    return address is not None and any(address in network for network in _networks(tuple(settings.TRUSTED_PROXIES)))


def _resolve(peer: str, forwarded_for: str) -> str:
    found = str(_parsed(peer) or UNKNOWN)
    for hop in reversed(forwarded_for.split(",")[-MOST_HOPS:]):
        if not is_trusted_proxy(found):
            break
        address = _parsed(hop)
        if address is None:
            break
        found = str(address)
    return found


def client_address(request: HttpRequest) -> str:
    return _resolve(request.META.get("REMOTE_ADDR") or "", request.META.get("HTTP_X_FORWARDED_FOR", ""))


def scope_headers(scope: Mapping[str, Any]) -> dict[str, str]:
    """An ASGI scope's headers by lower-case name; of a repeated one all values, joined as HTTP joins them."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope.get("headers", ()):
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def scope_address(scope: Mapping[str, Any]) -> str:
    peer = (scope.get("client") or ("",))[0]
    return _resolve(peer, scope_headers(scope).get("x-forwarded-for", ""))


def forwarded_scheme(peer: str, forwarded_proto: str) -> str | None:
    """The scheme the browser used, where a trusted proxy tells it."""
    scheme = forwarded_proto.rpartition(",")[2].strip().lower()
    return scheme if scheme in ("http", "https") and is_trusted_proxy(peer) else None


class _TooLarge(Exception):
    """The body has more bytes than a request may bring."""


class LimitBody:
    """ASGI: answer 413 to a body over DATA_UPLOAD_MAX_MEMORY_SIZE as soon as that is known.

    Django itself would first write the whole body to a temporary file, however long it is, and then look only at the
    length that the client claims.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        claimed = scope_headers(scope).get("content-length", "0")
        if not claimed.isdigit() or int(claimed[:20]) > limit:
            return await self._answer(limit, send)
        seen = 0

        async def counting() -> dict[str, Any]:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _TooLarge
            return message

        try:
            await self.app(scope, counting, send)
        except _TooLarge:  # raised while Django reads the body, before it answers anything
            await self._answer(limit, send)

    @staticmethod
    async def _answer(limit: int, send: Send) -> None:
        body = json.dumps(
            {"error": f"The body is larger than the {limit // 1024} KiB that a request may bring."}
        ).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})
