"""HTTP to devices: one short exchange, with deadlines and limits, and the log-in schemes they use.

httpx carries the bytes. What devices need is around it: the query string goes out as it was built, no header is sent
that was not asked for (some answer 400 to an Accept), nothing of the environment is used, no redirect is followed, one
connection per request, and a deadline for each phase. The log-in is negotiated by our own code, since httpx's Digest
fails on `Basic …, Digest …` joined in one header and cannot fall back to Basic; those functions are pure.

Nothing here knows about pacing, credentials at rest or retries: that is the gateway's.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from weakref import WeakKeyDictionary

import httpx

from devices.errors import NoAnswer, NotSupported, WrongAnswer

CONNECT_SECONDS = 4.0
FIRST_BYTE_SECONDS = 8.0
TOTAL_SECONDS = 10.0
# The largest short answer documented is a list of settings of a few kB; a page of a web menu may be ten times that.
ANSWER_LIMIT = 512 * 1024
HOSTS_KEPT = 2048  # pools kept per process; the least recently used goes first


# --- One exchange -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Address:
    scheme: str
    host: str
    port: int
    tls: str = "verify"  # verify | off; pin is not offered yet

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: httpx.Headers
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return decode(self.body)


def decode(body: bytes) -> str:
    """Text as the devices write it: nobody states the encoding; some write Japanese."""
    for encoding in ("utf-8", "cp932"):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    return body.decode("latin-1")


async def exchange(
    address: Address,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    seconds: float = TOTAL_SECONDS,
) -> Answer:
    """Send one request (`target` is path and query exactly as they go out) and read its short answer.

    Raises NoAnswer when nothing came in time and WrongAnswer when what came is not HTTP, too long, or a redirect.
    """
    client = _client(address.tls if address.scheme == "https" else "verify")
    host = f"[{address.host}]" if ":" in address.host else address.host
    url = httpx.URL(f"{address.scheme}://{host}:{address.port}").copy_with(raw_path=target.encode("ascii"))
    # As bytes, since httpx would refuse a user name that is not ASCII.
    request = client.build_request(
        method, url, headers={name.encode(): value.encode() for name, value in (headers or {}).items()}
    )
    if method == "POST":
        request.headers["Content-Length"] = "0"
    try:
        async with asyncio.timeout(seconds):
            response = await client.send(request, stream=True)
            try:
                body = await _body(response, address)
            finally:
                await response.aclose()
    except TimeoutError as error:
        raise NoAnswer(
            f"{address} did not answer within {seconds:.0f} s. Is it switched on, and not overloaded?"
        ) from error
    except httpx.ConnectTimeout as error:
        raise NoAnswer(f"Nothing answers at {address}. Check the address, the cable and the power.") from error
    except httpx.PoolTimeout as error:
        raise NoAnswer(f"Too many requests to {address} are waiting already. Try again in a moment.") from error
    except httpx.TimeoutException as error:
        raise NoAnswer(
            f"{address} took the connection but did not answer. Try again; if it stays so, restart it."
        ) from error
    except httpx.ConnectError as error:
        raise _no_connection(address, error) from error
    except httpx.RemoteProtocolError as error:
        raise WrongAnswer(
            f"What {address} answers is not HTTP. Check the port and the scheme (http or https)."
        ) from error
    except httpx.DecodingError as error:
        raise WrongAnswer(f"{address} sent an answer that cannot be unpacked.") from error
    except httpx.TransportError as error:
        raise NoAnswer(f"The connection to {address} broke. Try again.") from error
    if 300 <= response.status_code < 400:
        raise WrongAnswer(f"{address} sends us elsewhere instead of answering. Check the port, and http or https.")
    return Answer(response.status_code, response.headers, body)


async def _body(response: httpx.Response, address: Address) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > ANSWER_LIMIT:
            raise WrongAnswer(f"{address} sends more than {ANSWER_LIMIT // 1024} kB where a short answer belongs.")
        parts.append(part)
    return b"".join(parts)


def _no_connection(address: Address, error: httpx.ConnectError) -> NoAnswer | WrongAnswer:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return WrongAnswer(
                f"The certificate of {address} is not trusted. Install a trusted one, or set the TLS option to off."
            )
        if isinstance(cause, ssl.SSLError):
            return WrongAnswer(f"{address} does not speak TLS as we do. Check the port, and http or https.")
        cause = cause.__cause__ or cause.__context__
    return NoAnswer(f"Nothing answers at {address}. Check the address, the port and the power.")


# --- Clients ----------------------------------------------------------------------------------------------------------
class _PoolPerHost(httpx.AsyncBaseTransport):
    """One plain client for many hosts spends most of its time searching one long list of connections; a small pool per
    host does not."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._pools: OrderedDict[tuple[str, str, int | None], httpx.AsyncHTTPTransport] = OrderedDict()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = (request.url.scheme, request.url.host, request.url.port)
        pool = self._pools.get(host)
        if pool is None:
            # Keep-alive is promised but not kept by most devices: one connection per request.
            limits = httpx.Limits(max_connections=8, max_keepalive_connections=0)
            pool = self._pools[host] = httpx.AsyncHTTPTransport(verify=self._context, trust_env=False, limits=limits)
            if len(self._pools) > HOSTS_KEPT:
                self._pools.popitem(last=False)  # holds no idle connection; a running answer keeps its own alive
        else:
            self._pools.move_to_end(host)
        return await pool.handle_async_request(request)

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, httpx.AsyncClient]] = WeakKeyDictionary()


def _client(tls: str) -> httpx.AsyncClient:
    """The client of the running event loop for this way of trusting certificates."""
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    if tls not in clients:
        timeout = httpx.Timeout(FIRST_BYTE_SECONDS, connect=CONNECT_SECONDS, pool=FIRST_BYTE_SECONDS)
        client = httpx.AsyncClient(
            transport=_PoolPerHost(_tls_context(tls)), timeout=timeout, trust_env=False, follow_redirects=False
        )
        for name in list(client.headers):
            del client.headers[name]
        clients[tls] = client
    return clients[tls]


@lru_cache(maxsize=2)
def _tls_context(tls: str) -> ssl.SSLContext:
    if tls == "verify":
        return ssl.create_default_context()
    if tls == "off":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    raise NotSupported(f"The TLS option {tls!r} is not available; set it to verify or off.")


# --- Log-in -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Challenge:
    """What a device asks for: `scheme` is "basic" or "digest"; the rest is Digest's."""

    scheme: str
    realm: str = ""
    nonce: str = ""
    opaque: str = ""
    algorithm: str = "MD5"
    qop: str = ""  # "auth", or nothing for the old form
    stale: bool = False


_PIECE = re.compile(r"""[\s,]*(?:([\w-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"?|([^\s,]*))|([^\s,]+))""")
_HASHES = {"MD5": "md5", "MD5-SESS": "md5", "SHA-256": "sha256", "SHA-256-SESS": "sha256"}


def parse_challenges(headers: list[str]) -> list[Challenge]:
    """Every challenge we can answer, of one or several WWW-Authenticate headers, joined by commas or not.

    A word without `=` begins a challenge. Values may be quoted or not, commas may trail, qop may lack.
    """
    found: list[tuple[str, dict[str, str]]] = []
    for header in headers:
        for match in _PIECE.finditer(header):
            name, quoted, plain, word = match.groups()
            if word is not None:
                found.append((word.lower(), {}))
            elif found:
                value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
                found[-1][1].setdefault(name.lower(), value)
    challenges = (_challenge(scheme, values) for scheme, values in found)
    return [challenge for challenge in challenges if challenge is not None]


def _challenge(scheme: str, values: dict[str, str]) -> Challenge | None:
    realm = values.get("realm", "")
    if scheme == "basic":
        return Challenge("basic", realm)
    if scheme != "digest":
        return None
    algorithm = values.get("algorithm", "").upper() or "MD5"
    offered = re.findall(r"[\w-]+", values.get("qop", "").lower())
    if algorithm not in _HASHES or (offered and "auth" not in offered):
        return None
    return Challenge(
        "digest",
        realm,
        values.get("nonce", ""),
        values.get("opaque", ""),
        algorithm,
        "auth" if offered else "",
        values.get("stale", "").lower() == "true",
    )


def best(challenges: list[Challenge]) -> Challenge | None:
    """Digest before Basic, SHA-256 before MD5."""
    ranks = {"basic": 0, "digest": 1}
    return max(challenges, key=lambda each: (ranks[each.scheme], _HASHES[each.algorithm] == "sha256"), default=None)


def authorization(
    challenge: Challenge, username: str, password: str, method: str, target: str, *, count: int, cnonce: str
) -> str:
    """The Authorization header's value; `count` is how often this nonce was used, this time included."""
    if challenge.scheme == "basic":
        return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")

    def digest(text: str) -> str:
        return hashlib.new(_HASHES[challenge.algorithm], text.encode(), usedforsecurity=False).hexdigest()

    secret = digest(f"{username}:{challenge.realm}:{password}")
    if challenge.algorithm.endswith("-SESS"):
        secret = digest(f"{secret}:{challenge.nonce}:{cnonce}")
    asked = digest(f"{method}:{target}")
    counter = f"{count:08x}"
    if challenge.qop:
        response = digest(f"{secret}:{challenge.nonce}:{counter}:{cnonce}:{challenge.qop}:{asked}")
    else:
        response = digest(f"{secret}:{challenge.nonce}:{asked}")
    parts = [
        f"username={_quoted(username)}",
        f"realm={_quoted(challenge.realm)}",
        f"nonce={_quoted(challenge.nonce)}",
        f"uri={_quoted(target)}",
        f'response="{response}"',
        f"algorithm={challenge.algorithm.replace('-SESS', '-sess')}",
    ]
    if challenge.opaque:
        parts.append(f"opaque={_quoted(challenge.opaque)}")
    if challenge.qop:
        parts += [f"qop={challenge.qop}", f"nc={counter}"]
    if challenge.qop or challenge.algorithm.endswith("-SESS"):
        parts.append(f'cnonce="{cnonce}"')
    return "Digest " + ", ".join(parts)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
