"""The audit: who did what, when, from where, on which thing, and how it ended.

`record` adds an entry, `search` finds entries, `csv_chunks` exports them. Entries are never changed; `forget_before`
removes old ones and says so in the audit itself. Nothing secret gets in: values under keys that sound like secrets are
masked, and so are `Secret`s and passwords inside addresses.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any

from asgiref.sync import sync_to_async
from django.db.models import Model, Q
from django.http import HttpRequest

from accounts.models import AuditEntry, AuditQuerySet, User
from accounts.requests import client_address, scope_address
from accounts.secrets import MASK, Secret

LONGEST_TEXT = 500
MOST_ITEMS = 100
DEEPEST = 6
ROWS_PER_CHUNK = 500

_SECRET_PARTS = ("passw", "secret", "token", "credential", "passphrase")
_SECRET_WORDS = {"pwd", "psk", "pin", "key", "apikey", "uid", "auth", "authorization", "cookie", "sessionid"}
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_URL_LOGIN = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/@]+@")


@dataclass(frozen=True)
class Actor:
    """Who acts, and from where. `name` stands in where there is no user: what was typed at a failed sign-in."""

    user: User | None = None
    address: str = ""
    name: str = ""

    @classmethod
    def of_request(cls, request: HttpRequest) -> Actor:
        user = request.user
        return cls(user if user.is_authenticated else None, client_address(request))

    @classmethod
    def of_scope(cls, scope: Mapping[str, Any]) -> Actor:
        user = scope.get("user")
        return cls(user if isinstance(user, User) else None, scope_address(scope))


@dataclass(frozen=True)
class About:
    """A thing as the audit names it; taken from a row with `about` before the row goes away."""

    type: str
    id: str = ""
    name: str = ""


By = HttpRequest | Actor | User | None


def actor_of(by: By) -> Actor:
    if isinstance(by, Actor):
        return by
    if isinstance(by, HttpRequest):
        return Actor.of_request(by)
    return Actor(user=by)


def about(thing: Model | About) -> About:
    if isinstance(thing, About):
        return thing
    return About(thing._meta.model_name or "", str(thing.pk), str(thing))


def sounds_secret(key: str) -> bool:
    lowered = key.lower()
    if any(part in lowered for part in _SECRET_PARTS):
        return True
    return any(word.lower() in _SECRET_WORDS for word in _WORDS.findall(key))


def _clean_text(text: str, longest: int = LONGEST_TEXT) -> str:
    """As a database takes it: no NUL, no half characters, not endless."""
    text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    return text if len(text) <= longest else text[: longest - 1] + "…"


def redacted(value: Any, depth: int = 0) -> Any:
    """The value as plain JSON, with its secrets masked and its size bounded."""
    if isinstance(value, Secret):
        return str(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth >= DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        pairs = ((str(key), each) for key, each in islice(value.items(), MOST_ITEMS))
        return {
            _clean_text(key): MASK if sounds_secret(key) and each else redacted(each, depth + 1) for key, each in pairs
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(each, depth + 1) for each in islice(value, MOST_ITEMS)]
    if isinstance(value, date | datetime):
        return value.isoformat()
    return _clean_text(_URL_LOGIN.sub(rf"\1:{MASK}@", str(value)))


def record(by: By, action: str, thing: Model | About | None = None, *, result: str = "ok", **detail: Any) -> AuditEntry:
    """Add an entry. With `by` None it was the system itself."""
    actor = actor_of(by)
    user = actor.user
    token = user.acting_token if user else None
    named = about(thing) if thing is not None else About("")
    return AuditEntry.objects.create(
        user_id=user.pk if user else None,
        user_name=_clean_text(user.username if user else actor.name, 64),
        token_name=token.name if token else "",
        address=actor.address,
        action=action,
        thing_type=_clean_text(named.type, 32),
        thing_id=_clean_text(named.id, 64),
        thing_name=_clean_text(named.name, 200),
        result=AuditEntry.Result(result),
        detail=redacted(detail),
    )


arecord = sync_to_async(record)


def search(
    *,
    who: str = "",
    action: str = "",
    thing_type: str = "",
    thing_id: str = "",
    result: str = "",
    text: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> AuditQuerySet:
    """Entries, newest first. `who` is a user name; `text` is looked for in names, addresses and actions."""
    found = AuditEntry.objects.all()
    if who:
        found = found.filter(user_name__iexact=who)
    exact = {"action": action, "thing_type": thing_type, "thing_id": thing_id, "result": result}
    found = found.filter(**{name: value for name, value in exact.items() if value})
    if since is not None:
        found = found.filter(at__gte=since)
    if until is not None:
        found = found.filter(at__lt=until)
    if text:
        anywhere = Q()
        for name in ("user_name", "token_name", "thing_name", "address", "action"):
            anywhere |= Q(**{f"{name}__icontains": text})
        found = found.filter(anywhere)
    return found


COLUMNS = ("at", "user", "token", "address", "action", "thing type", "thing id", "thing name", "result", "detail")


def _defused(cell: str) -> str:
    """Text that a spreadsheet would run as a formula is made plain text by a leading apostrophe."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _cells(entry: AuditEntry) -> list[str]:
    cells = [
        entry.at.isoformat(),
        entry.user_name,
        entry.token_name,
        entry.address,
        entry.action,
        entry.thing_type,
        entry.thing_id,
        entry.thing_name,
        entry.result,
        json.dumps(entry.detail, ensure_ascii=False) if entry.detail else "",
    ]
    return [_defused(cell) for cell in cells]


def _csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def csv_chunks(entries: AuditQuerySet) -> Iterator[str]:
    """The entries as CSV, in pieces. Each piece is one query of its own, so that no cursor stays open between them."""
    yield _csv([list(COLUMNS)])
    entries = entries.order_by("-pk")
    last: int | None = None
    while True:
        piece = list((entries if last is None else entries.filter(pk__lt=last))[:ROWS_PER_CHUNK])
        if not piece:
            return
        yield _csv([_cells(entry) for entry in piece])
        last = piece[-1].pk


async def acsv_chunks(entries: AuditQuerySet) -> AsyncIterator[str]:
    chunks = csv_chunks(entries)

    def next_chunk() -> str | None:
        return next(chunks, None)

    while (chunk := await sync_to_async(next_chunk)()) is not None:
        yield chunk


def forget_before(moment: datetime, by: By) -> int:
    """Retention: remove entries from before the moment, and record that it was done."""
    count = AuditEntry.objects.filter(at__lt=moment).discard()
    record(by, "forget audit", before=moment, entries=count)
    return count
