"""What was last said to a device and what it answered, for support: a ring of RING_LENGTH exchanges in Redis.

Nothing secret gets in. Headers are left out altogether, so no cookie and no log-in; parameters and reply items that are
secret by the catalogue or by their names are hidden; and so are, wherever they stand, the secrets this exchange itself
knows: what was sent in secret parameters, and the device's password. Redaction comes before shortening, and is pure.

The gateway writes the ring together with giving its turn back, in one round trip.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import cast
from urllib.parse import quote, quote_plus, unquote_plus

from accounts.audit import sounds_secret
from devices.cgi import HIDDEN, Command, Field, FoundField, Request
from devices.coordination import coordinated_sync, key

RING_LENGTH = 50
RING_SECONDS = 7 * 24 * 3600
SHOWN = 500  # characters of an answer
_LOOKED_AT = 2 * SHOWN  # characters of an answer that are searched for secrets

_NAME = re.compile(r"""(?<![\w.-])([\w.-]{1,200}+)["']?[ \t]*[=:][ \t]*""")
_TAG = re.compile(r"<([\w.:-]{1,64})[^<>]*>([^<]*)")
_VALUE_END = re.compile(r"[&\r\n<]|\Z")
_HEADER = re.compile(r"(?im)^[ \t]*((?:proxy-)?authorization|(?:set-)?cookie2?)[ \t]*:.*$")
_LOGIN_WORDS = re.compile(r"(?i)\b(Basic|Bearer|Digest)[ \t]+[^\r\n<]+")


@dataclass(frozen=True)
class Exchange:
    at: str  # ISO 8601, UTC
    command: str
    method: str
    target: str
    form: str  # the body of a POST that has one
    status: int | None  # None: no answer
    milliseconds: int
    answer: str
    error: str
    undocumented: bool  # sent only because the option legacy is on

    def text(self) -> str:
        return json.dumps(vars(self), ensure_ascii=False, separators=(",", ":"))


def ring_key(device_id: int) -> str:
    return key("exchanges", device_id)


def recent(device_id: int) -> list[Exchange]:
    """The last exchanges with a device, newest first. Raises NoCoordination when Redis is away."""
    with coordinated_sync("show what was said to a device") as redis:
        texts = cast(list[str], redis.lrange(ring_key(device_id), 0, RING_LENGTH - 1))
    return [Exchange(**json.loads(text)) for text in texts]


def forget(device_id: int) -> None:
    with coordinated_sync("forget what was said to a device") as redis:
        redis.delete(ring_key(device_id))


def described(
    command: Command,
    request: Request,
    *,
    password: str,
    began: datetime,
    milliseconds: int,
    status: int | None = None,
    answer: str = "",
    error: str = "",
    undocumented: bool = False,
) -> Exchange:
    """One exchange as it may be kept and shown."""
    path, mark, query = request.target.partition("?")
    form = request.body.decode("ascii", "replace")
    secrets = {*_secrets_sent(command, query), *_secrets_sent(command, form), password}
    return Exchange(
        at=began.astimezone(UTC).isoformat(timespec="milliseconds"),
        command=command.id,
        method=request.method,
        target=path + mark + hidden_query(command, query),
        form=hidden_query(command, form),
        status=status,
        milliseconds=milliseconds,
        answer=_shortened(command, answer, secrets),
        error=without_literals(error, secrets),
        undocumented=undocumented,
    )


def _shortened(command: Command, answer: str, secrets: set[str]) -> str:
    shown = without_secrets(command, answer[:_LOOKED_AT], secrets)
    if len(answer) > _LOOKED_AT:
        # A secret that was cut in two cannot be recognised, and hiding others may have moved it to the front.
        longest = max(len(spelling) for each in ("", *secrets) for spelling in _spellings(each))
        shown = shown[: len(shown) - longest] + "…"
    return shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + "…"


# --- Redaction --------------------------------------------------------------------------------------------------------
def hidden_query(command: Command, query: str) -> str:
    """A query string with its secrets hidden; what was not sent is not shown either."""
    is_secret = _secret_parameters(command)

    def one(part: str) -> str:
        name, mark, value = part.partition("=")
        return f"{name}={HIDDEN}" if mark and value and is_secret(unquote_plus(name)) else part

    return "&".join(map(one, query.split("&")))


def without_secrets(command: Command, text: str, secrets: Iterable[str]) -> str:
    """An answer with everything hidden that is secret by the catalogue, by its name, or because we sent it."""
    if any(column.secret for column in getattr(command.shape, "columns", ())):
        return f"(not shown: {command.id} answers a list with secrets in it)" if text else ""
    fields = [field for field in command.reply if field.secret]
    for field in fields:
        if isinstance(field, FoundField):
            for pattern in field.patterns:
                text = re.sub(pattern, _first_group_hidden, text, flags=re.IGNORECASE)
    plain = text.casefold()  # hardly any answer has these: to look for the words first is much cheaper
    if "authorization" in plain or "cookie" in plain:
        text = _HEADER.sub(rf"\1: {HIDDEN}", text)
    if "basic" in plain or "bearer" in plain or "digest" in plain:
        text = _LOGIN_WORDS.sub(rf"\1 {HIDDEN}", text)
    return without_literals(_without_named(text, _secret_items(fields)), secrets)


def without_literals(text: str, secrets: Iterable[str]) -> str:
    """A text without these secrets, however they are spelled. Short ones only where they stand alone: a password `1`
    must not hide every digit."""
    spellings = {spelling for each in secrets if each for spelling in _spellings(each)}
    for spelling in sorted(spellings, key=len, reverse=True):
        if spelling in text:
            pattern = re.escape(spelling)
            text = re.sub(pattern if len(spelling) > 3 else rf"(?<!\w){pattern}(?!\w)", HIDDEN, text)
    return text


@lru_cache(maxsize=1024)
def _spellings(secret: str) -> frozenset[str]:
    return frozenset(form(secret) for form in (str, quote, quote_plus, html.escape, _raw_quoted))


def _raw_quoted(text: str) -> str:
    return quote(text, safe="")


def _without_named(text: str, is_secret: Callable[[str], bool]) -> str:
    parts: list[str] = []
    at = 0
    for match in _NAME.finditer(text):
        if is_secret(match[1]) and match.start() >= at:
            value = match.end()
            end = cast(re.Match[str], _VALUE_END.search(text, value)).start()
            if end > value:
                parts += [text[at:value], HIDDEN]
                at = end
    text = "".join([*parts, text[at:]]) if parts else text
    return _TAG.sub(lambda tag: tag[0][: -len(tag[2])] + HIDDEN if tag[2] and is_secret(tag[1]) else tag[0], text)


def _first_group_hidden(match: re.Match[str]) -> str:
    start, end = match.span(1)
    return match[0][: start - match.start()] + HIDDEN + match[0][end - match.start() :]


@lru_cache(maxsize=4096)
def _sounds_secret(name: str) -> bool:
    return sounds_secret(name) or name.lower().endswith("pass")


def _secret_parameters(command: Command) -> Callable[[str], bool]:
    names = {param.spelling for param in command.params if param.secret}
    return lambda name: name in names or _sounds_secret(name)


def _secret_items(fields: Iterable[Field]) -> Callable[[str], bool]:
    names = {name.lower() for field in fields for name in (field.name, *field.aliases)}
    if not names:
        return _sounds_secret
    return lambda name: _sounds_secret(name) or name.lower() in names or name.rpartition(".")[2].lower() in names


def _secrets_sent(command: Command, query: str) -> set[str]:
    is_secret = _secret_parameters(command)
    pairs = (part.partition("=") for part in query.split("&"))
    values = {value for name, _, value in pairs if value and is_secret(unquote_plus(name))}
    return values | {unquote_plus(value) for value in values}
