"""What every part of the API is built from: bodies, pages of lists, the one form of errors, a strict reader of JSON.

Errors are `{"error": "a sentence", "field": "what it is about"?}` with the right status, from wherever they come.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, NoReturn, TypeVar

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.utils.datastructures import MultiValueDict
from ninja import Schema
from ninja.errors import HttpError, ValidationError
from ninja.parser import Parser
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Strict

from accounts.problems import LastAdministrator, Problem, Unconfirmed

__all__ = [
    "Body", "Bool", "ErrorOut", "Int", "LastAdministrator", "Moment", "Number", "Page", "Paging", "Problem",
    "StrictJson", "error_of", "error_response", "left_out", "paged",
]  # fmt: skip

log = logging.getLogger(__name__)

T = TypeVar("T")

# JSON knows types: 1 is not "1", and true is not 1.
Int = Annotated[int, Strict()]
Bool = Annotated[bool, Strict()]
Number = Annotated[float, Field(allow_inf_nan=False), Strict()]

DEEPEST_JSON = 32
LARGEST_INT = 2**63 - 1  # what the databases hold
MAX_LIMIT = 1000


class Body(Schema):
    """The base of request bodies: a field that is not known is a mistake, not something to ignore."""

    model_config = ConfigDict(extra="forbid")


def left_out(**kwargs: Any) -> Any:
    """A field that may be missing, but when it is there has its type: null is no value for it.

    For PATCH bodies (`body.dict(exclude_unset=True)` has what was sent) and for answers with fields that come and go.
    """

    def without_default(schema: dict[str, Any]) -> None:
        schema.pop("default", None)

    return Field(None, json_schema_extra=without_default, **kwargs)


def _moment(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _MOMENT.match(value):
        raise ValueError("must be a time such as 2026-11-20T12:00:00Z")
    return value


def _in_utc(value: datetime) -> datetime:
    if not 1970 < value.year < 2200:
        raise ValueError("must lie between 1971 and 2199")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
# A time as text; without an offset it is UTC. The bounds keep every conversion within what databases hold.
Moment = Annotated[datetime, BeforeValidator(_moment), AfterValidator(_in_utc)]


class ErrorOut(Schema):
    """What every error looks like."""

    error: str = Field(description="A sentence that says what went wrong and what would do.")
    field: str = left_out(description="The field or parameter it is about; left out when there is none.")
    confirm: str = left_out(description="What it would do to people, where that has to be confirmed first.")


class Paging(Schema):
    limit: int = Field(100, ge=1, le=MAX_LIMIT, description="How many results at most.")
    offset: int = Field(0, ge=0, le=2**31 - 1, description="How many results to skip.")


class Page(Schema, Generic[T]):
    count: int = Field(description="How many there are in all.")
    results: list[T]


def paged(
    rows: QuerySet[Any] | Sequence[Any], paging: Paging, make: Callable[[Any], Any] | None = None
) -> dict[str, Any]:
    """One page of the rows, each turned by `make` into what the answer's schema takes."""
    count = rows.count() if isinstance(rows, QuerySet) else len(rows)
    piece = rows[paging.offset : paging.offset + paging.limit]
    return {"count": count, "results": [make(row) if make else row for row in piece]}


# --- Errors -----------------------------------------------------------------------------------------------------------
def error_response(
    status: int, sentence: str, field: str | None = None, retry_after: int | None = None, confirm: str = ""
) -> HttpResponse:
    body = {"error": sentence}
    if field:
        body["field"] = field
    if confirm:
        body["confirm"] = confirm
    response = JsonResponse(body, status=status, json_dumps_params={"ensure_ascii": False})
    if status == 401:
        response["WWW-Authenticate"] = "Bearer"
    if retry_after is not None:
        response["Retry-After"] = str(math.ceil(retry_after))
    return response


_PHRASES = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}


def _of_validation(error: ValidationError) -> HttpResponse:
    """The first thing that is wrong, as a sentence that names it."""
    first = error.errors[0]
    source, *steps = first["loc"]
    if source in ("body", "form", "file") and steps:
        steps = steps[1:]  # the name of our function's argument says nothing to the caller
    field = ".".join(str(step) for step in steps if not str(step).startswith("function-"))
    subject = f"«{field}»" if field else "The body"
    phrase = _PHRASES.get(first["type"])
    if phrase is None:
        phrase = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
        if first["type"] == "value_error" and phrase.endswith("."):
            return error_response(400, phrase, field)  # a sentence of our own
    return error_response(400, f"{subject} {phrase}.", field)


def error_of(error: Exception) -> HttpResponse:
    """The answer to any exception that leaves an endpoint."""
    match error:
        case Unconfirmed():
            return error_response(error.status, error.sentence, error.field, confirm=error.consequence)
        case Problem():
            return error_response(error.status, error.sentence, error.field, error.retry_after)
        case ValidationError():
            return _of_validation(error)
        case HttpError():
            cause = error.__cause__  # the framework wraps what our parser raises
            if isinstance(cause, Problem | RequestDataTooBig | UnreadablePostError):
                return error_of(cause)
            return error_response(error.status_code, str(error))
        case Http404():
            return error_response(404, str(error) or "There is nothing at this address.")
        case PermissionDenied():
            return error_response(403, str(error) or "You may not do this.")
        case RequestDataTooBig():
            return error_response(413, "The body is too large.")
        case UnreadablePostError():
            return error_response(400, "The body ended early.")
        case OperationalError() | InterfaceError():
            log.error("The database could not be used: %s", error)
            return error_response(503, "The database cannot be used just now. Try again in a moment.", retry_after=5)
        case DatabaseError():
            log.exception("A request asked the database for something it cannot do")
            return error_response(500, "Something went wrong on our side; the log tells more.")
        case _:
            log.error("An endpoint failed", exc_info=error)
            return error_response(500, "Something went wrong on our side; the log tells more.")


# --- JSON -------------------------------------------------------------------------------------------------------------
def _storable(text: str) -> bool:
    """No NUL (PostgreSQL refuses it) and no half of a surrogate pair (nothing can encode it)."""
    return "\x00" not in text and not any("\ud800" <= each <= "\udfff" for each in text)


def _whole_number(digits: str) -> int:
    if len(digits) > 20 or abs(number := int(digits)) > LARGEST_INT:
        raise Problem(400, f"The body has a number that is too large: {digits[:20]}….")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise Problem(400, f"The body has a number that is too large: {digits[:20]}.")
    return number


def _no_constant(name: str) -> NoReturn:
    raise Problem(400, f"The body is not JSON: {name} is no JSON value.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Problem(400, f"«{twice[:100]}» stands twice in the same object.", twice[:100])
    return found


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole_number, parse_float=_float, parse_constant=_no_constant
)


def _check_texts_and_depth(value: Any) -> None:
    waiting: list[tuple[Any, int]] = [(value, 1)]
    while waiting:
        each, depth = waiting.pop()
        if depth > DEEPEST_JSON:
            raise Problem(400, f"The body is nested more than {DEEPEST_JSON} levels deep.")
        if isinstance(each, str) and not _storable(each):
            raise Problem(400, "A text in the body has a character that cannot be stored (NUL, or half a character).")
        if isinstance(each, dict):
            waiting.extend((key, depth) for key in each)
            waiting.extend((below, depth + 1) for below in each.values())
        elif isinstance(each, list):
            waiting.extend((below, depth + 1) for below in each)


def parse_json(raw: bytes) -> Any:
    """JSON as RFC 8259 has it and our databases can hold it; a Problem (400) for anything else."""
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise Problem(400, "The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise Problem(400, f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise Problem(400, f"The body is nested more than {DEEPEST_JSON} levels deep.") from None
    _check_texts_and_depth(value)
    return value


class StrictJson(Parser):
    """The API's reader of requests."""

    def parse_body(self, request: HttpRequest) -> Any:
        if request.content_type != "application/json":
            raise Problem(415, "Send the body as application/json.")
        return parse_json(request.body)

    def parse_querydict(
        self, data: MultiValueDict[str, Any], list_fields: list[str], request: HttpRequest
    ) -> dict[str, Any]:
        for key, values in data.lists():
            for value in values:
                if isinstance(value, str) and not _storable(key + value):
                    name = key[:100].encode(errors="replace").decode().replace("\x00", "?")
                    raise Problem(400, f"«{name}» has a character that cannot be stored.", name)
            if len(values) > 1 and key not in list_fields:
                raise Problem(400, f"«{key[:100]}» stands twice in the address.", key[:100])
        return super().parse_querydict(data, list_fields, request)
