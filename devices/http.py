"""HTTP to devices: one request and its answer, with deadlines and limits, and the log-in schemes they use.

httpx's requests and answers over our own transport carry the bytes; its client is left out, since it keeps cookies for
all hosts together, writes whole addresses into the log, and costs as much again. The query string goes out as it was
built, no header is sent that was not asked for (some answer 400 to an Accept), nothing of the environment is used, no
redirect is followed, and every phase has a deadline. `exchange` reads a short answer whole; `opened` hands over an
answer that may last. The log-in is negotiated by our own code, since httpx's Digest fails on `Basic …, Digest …` joined
in one header and cannot fall back to Basic; those functions are pure.

Nothing here knows about pacing, credentials at rest or retries: that is the gateway's.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast
from weakref import WeakKeyDictionary

import httpx

from devices import transport
from devices.cgi import Request
from devices.errors import ClosedSilently, Interrupted, NoAnswer, NotSupported, WrongAnswer
from devices.transport import Body, DeviceTransport

CONNECT_SECONDS = 4.0
FIRST_BYTE_SECONDS = 8.0
IDLE_SECONDS = 8.0  # between two pieces of a short answer
TOTAL_SECONDS = 10.0
OPENING_SECONDS = 10.0  # until the headers of an answer that lasts
STREAM_IDLE_SECONDS = 15.0
# The largest short answer documented is a list of settings of a few kB; a page of a web menu may be ten times that.
ANSWER_LIMIT = 512 * 1024


# --- One exchange -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Address:
    scheme: str
    host: str
    port: int
    tls: str = "verify"  # verify | pin | off
    legacy: bool = False  # also TLS 1.0 and ciphers that are weak now

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: httpx.Headers
    body: bytes = field(repr=False)
    whole: bool = True  # False: the device closed before it sent as much as it said

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


# Is given the SHA-256 of a TLS certificate before anything is sent; raises a DeviceError when it is not to be trusted.
CertificateCheck = Callable[[str], Awaitable[None]]


class OpenAnswer:
    """An answer whose head has come; its body comes while it is read."""

    def __init__(self, address: Address, response: httpx.Response) -> None:
        self._address = address
        self._response = response
        self.status = response.status_code
        self.headers = response.headers

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes, without end if need be. Raises NoAnswer when it falls silent, Interrupted when the
        connection breaks; an orderly end ends it."""
        with _in_our_words(self._address):
            async for piece in _body(self._response):
                yield piece

    @property
    def whole(self) -> bool:
        """Did all of the body come, as far as the device said how long it is? Known at its end."""
        return _body(self._response).complete


async def exchange(
    address: Address,
    request: Request,
    *,
    headers: Mapping[str, str] | None = None,
    seconds: float = TOTAL_SECONDS,
    limit: int = ANSWER_LIMIT,
    redirects_answer: bool = False,
    check_certificate: CertificateCheck | None = None,
) -> Answer:
    """Send one request and read its short answer.

    Raises NoAnswer when nothing came in time and WrongAnswer when what came is not HTTP, too long, or a redirect
    (unless `redirects_answer`: then it is an answer like others, and still nobody follows it).
    """
    try:
        async with asyncio.timeout(seconds):
            response = await _sent(address, request, headers, IDLE_SECONDS, limit, redirects_answer, check_certificate)
            try:
                body = _body(response)
                with _in_our_words(address):
                    text = await body.whole()
            finally:
                await response.aclose()
    except TimeoutError as error:
        raise NoAnswer(
            f"{address} did not answer within {seconds:.0f} s. Is it switched on, and not overloaded?"
        ) from error
    if response.headers.get("content-encoding", "").strip().lower() in ("gzip", "x-gzip", "deflate"):
        text = _unpacked(address, text, limit)
    return Answer(response.status_code, response.headers, text, body.complete)


def _unpacked(address: Address, body: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever it is
    try:
        unpacked = unpacker.decompress(body, limit)
    except zlib.error as error:
        raise WrongAnswer(f"{address} sent an answer that cannot be unpacked.") from error
    if unpacker.unconsumed_tail:
        raise WrongAnswer(f"{address} sends more than {limit // 1024} kB where a short answer belongs.")
    return unpacked


@contextlib.asynccontextmanager
async def opened(
    address: Address,
    request: Request,
    *,
    headers: Mapping[str, str] | None = None,
    idle_seconds: float = STREAM_IDLE_SECONDS,
    redirects_answer: bool = False,
    check_certificate: CertificateCheck | None = None,
) -> AsyncIterator[OpenAnswer]:
    """Send one request and hand over its answer as soon as its head is here; there is no limit in time for the rest."""
    try:
        async with asyncio.timeout(OPENING_SECONDS):
            response = await _sent(address, request, headers, idle_seconds, None, redirects_answer, check_certificate)
    except TimeoutError as error:
        raise _fell_silent(address) from error
    try:
        yield OpenAnswer(address, response)
    finally:
        await response.aclose()


async def _sent(
    address: Address,
    request: Request,
    headers: Mapping[str, str] | None,
    idle_seconds: float,
    body_limit: int | None,
    redirects_answer: bool,
    check_certificate: CertificateCheck | None,
) -> httpx.Response:
    """The answer, of which the head is here. Whoever gets it closes it. Without a limit of its body it may last."""
    if address.scheme == "https" and address.tls == "pin" and check_certificate is None:
        raise ValueError("A pinned certificate needs somebody who compares it.")
    given = dict(headers or {})
    if request.content_type:
        given["Content-Type"] = request.content_type
    built = httpx.Request(
        request.method,
        _url(address),
        # As bytes, since httpx would refuse a user name that is not ASCII.
        headers={name.encode(): value.encode() for name, value in given.items()},
        content=request.body or None,
        extensions={
            "target": request.target.encode("ascii"),
            "timeout": {
                "connect": CONNECT_SECONDS,
                "pool": FIRST_BYTE_SECONDS,
                "first_byte": FIRST_BYTE_SECONDS,
                "read": idle_seconds,
            },
            "body_limit": body_limit,
            "long": body_limit is None,
            "certificate": check_certificate,
        },
    )
    with _in_our_words(address):
        response = await _transport(address).handle_async_request(built)
    if 300 <= response.status_code < 400 and not redirects_answer:
        await response.aclose()
        raise WrongAnswer(f"{address} sends us elsewhere instead of answering. Check the port, and http or https.")
    return response


def _body(response: httpx.Response) -> Body:
    return cast(Body, response.stream)


@lru_cache(maxsize=4096)
def _url(address: Address) -> httpx.URL:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return httpx.URL(f"{address.scheme}://{host}:{address.port}")


@contextlib.contextmanager
def _in_our_words(address: Address) -> Iterator[None]:
    try:
        yield
    except httpx.ConnectTimeout as error:
        raise NoAnswer(f"Nothing answers at {address}. Check the address, the cable and the power.") from error
    except httpx.PoolTimeout as error:
        raise NoAnswer(f"Too many requests to {address} are waiting already. Try again in a moment.") from error
    except httpx.TimeoutException as error:
        raise _fell_silent(address) from error
    except httpx.ConnectError as error:
        raise _no_connection(address, error) from error
    except transport.ClosedSilently as error:
        raise ClosedSilently(
            f"{address} closed the connection without an answer. Try again; if it stays so, restart it."
        ) from error
    except httpx.RemoteProtocolError as error:
        raise WrongAnswer(f"{address} {error}. Check the port and the scheme (http or https).") from error
    except httpx.TransportError as error:
        raise Interrupted(f"The connection to {address} broke. Try again.") from error


def _fell_silent(address: Address) -> NoAnswer:
    return NoAnswer(f"{address} took the connection but fell silent. Try again; if it stays so, restart it.")


def _no_connection(address: Address, error: httpx.ConnectError) -> NoAnswer | WrongAnswer:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return WrongAnswer(
            f"The certificate of {address} is not trusted. Install a trusted one, or set the TLS option to pin: then "
            "the one it has now is trusted, and a change is noticed."
        )
    # Some say that they do not understand us by closing.
    closed = isinstance(cause, ConnectionError) and not isinstance(cause, ConnectionRefusedError)
    if isinstance(cause, ssl.SSLError) or (closed and address.scheme == "https"):
        return WrongAnswer(
            f"{address} does not speak TLS as we do. Check the port, and http or https; an old device may need the "
            "option legacy."
        )
    return NoAnswer(f"Nothing answers at {address}. Check the address, the port and the power.")


_LEGACY_SERVER_CONNECT = 0x4  # OpenSSL's; Python names it from 3.12 on

# --- Transports -------------------------------------------------------------------------------------------------------
_transports: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, bool], DeviceTransport]] = WeakKeyDictionary()


def _transport(address: Address) -> DeviceTransport:
    """The transport of the running event loop for this way of trusting certificates. It keeps nothing open."""
    transports = _transports.setdefault(asyncio.get_running_loop(), {})
    kind = (address.tls, address.legacy) if address.scheme == "https" else ("", False)
    if kind not in transports:
        transports[kind] = DeviceTransport(tls_context(*kind) if kind[0] else None)
    return transports[kind]


@lru_cache(maxsize=8)
def tls_context(tls: str, legacy: bool) -> ssl.SSLContext:
    if tls == "verify":
        context = ssl.create_default_context()
    elif tls in ("pin", "off"):
        # A pinned certificate is compared by the transport, before anything is sent.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        raise NotSupported(f"The TLS option {tls!r} is not available; set it to verify, pin or off.")
    if legacy:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.options |= _LEGACY_SERVER_CONNECT
    return context


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
