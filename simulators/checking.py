"""Commands as data, and the strict check of a request against them.

A `Command` reads like a row of the vendor's table: where, how, who, and its parameters in the table's order. `check`
takes the raw query and returns the values, or raises `Refused` with a kind (for tests), a sentence, and the status
the device gives. What the document does not allow is refused: another method, an unknown or repeated parameter,
another order, a value outside the list, an escape where the character itself is shown, a '+' for a space.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote_to_bytes

from simulators.auth import Level
from simulators.http import Request


class Refused(Exception):
    def __init__(self, kind: str, sentence: str, status: int = 400, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.status = status
        self.headers = headers


class Pace(Enum):
    """How often a command may come."""

    COMMAND = "command"
    STATE = "state"
    PICTURE = "picture"  # as often as the client likes


@dataclass(frozen=True)
class Param:
    name: str
    allowed: Callable[[str], bool]
    meaning: str
    required: bool = True


def choice(name: str, *values: str, required: bool = True) -> Param:
    return Param(name, lambda value: value in values, " or ".join(values), required)


def number(name: str, low: int, high: int, required: bool = True) -> Param:
    def allowed(value: str) -> bool:
        return re.fullmatch(r"0|[1-9][0-9]{0,9}", value) is not None and low <= int(value) <= high

    return Param(name, allowed, f"{low} to {high}", required)


def text(name: str, longest: int, required: bool = True) -> Param:
    return Param(name, lambda value: len(value) <= longest, f"a text of at most {longest} characters", required)


def pattern(name: str, expression: str, meaning: str, required: bool = True) -> Param:
    return Param(name, lambda value: re.fullmatch(expression, value) is not None, meaning, required)


@dataclass(frozen=True)
class Command:
    path: str
    methods: tuple[str, ...]
    level: Level
    params: tuple[Param, ...] = ()
    pace: Pace = Pace.COMMAND
    at_least_one: bool = False
    """A setter whose parameters may each be left out, but not all."""
    ordered: bool = True
    """Whether the document fixes the order of the parameters."""
    action: str = ""
    """What the device does, where several commands share a path."""


def meant(commands: Sequence[Command], method: str, names: Collection[str]) -> Command:
    """Of the commands that share a path, the one that knows most of the names sent; between equals, one asked by this
    method, then one without parameters."""

    def likeness(command: Command) -> tuple[int, bool, bool]:
        known = {param.name for param in command.params}
        return len(known.intersection(names)), method in command.methods, not known

    return max(commands, key=likeness)


# What a query shows as itself in the documents' examples: an escape for one of these is a client's mistake.
_SHOWN_RAW = re.compile(rb"[A-Za-z0-9,:.\-_]")


def check(command: Command, request: Request) -> dict[str, str]:
    return check_pairs(command, asked(command, request))


def asked(command: Command, request: Request) -> list[tuple[str, str]]:
    """The parameters in the order sent, if method and body are those of such a command."""
    if request.method not in command.methods:
        allowed = " or ".join(command.methods)
        raise Refused("method", f"{command.path} is asked by {allowed}, not {request.method}.", 405)
    if request.body:
        raise Refused("body", f"{command.path} takes its parameters in the query, not in a body.")
    return split_query(request.query)


def check_pairs(command: Command, sent: list[tuple[str, str]]) -> dict[str, str]:
    known = [param.name for param in command.params]
    names = [name for name, _ in sent]
    for name in names:
        if name not in known:
            raise Refused("unknown_parameter", f"{command.path} has no parameter '{name}'.")
        if names.count(name) > 1:
            raise Refused("duplicate_parameter", f"'{name}' is given twice.")
    if command.ordered and names != sorted(names, key=known.index):
        raise Refused(
            "order", f"The parameters of {command.path} come as {', '.join(known)}; sent: {', '.join(names)}."
        )
    values = dict(sent)
    for param in command.params:
        if param.name in values:
            if not param.allowed(values[param.name]):
                raise Refused("value", f"{param.name} must be {param.meaning}, not '{values[param.name]}'.")
        elif param.required:
            raise Refused("missing_parameter", f"{command.path} needs {param.name}.")
    if command.at_least_one and not values:
        raise Refused("missing_parameter", f"{command.path} needs one of {', '.join(known)}.")
    return values


def split_query(query: str, errors: str = "strict") -> list[tuple[str, str]]:
    """Names and decoded values in the order sent; `errors` is what becomes of a value that is not UTF-8."""
    if not query:
        return []
    if not query.isascii():
        raise Refused("encoding", "The query has characters outside ASCII that are not escaped.")
    if "+" in query:
        raise Refused("encoding", "A space is %20 and a plus sign %2B: '+' is neither.")
    if "%" in re.sub(r"%[0-9A-Fa-f]{2}", "", query):
        raise Refused("encoding", "A '%' in the query is not followed by two hexadecimal digits.")
    for escape in re.findall(r"%[0-9A-Fa-f]{2}", query):
        if _SHOWN_RAW.fullmatch(unquote_to_bytes(escape)):
            raise Refused("encoding", f"{escape} stands for a character that the document shows as itself.")
    pairs = []
    for piece in query.split("&"):
        name, equals, value = piece.partition("=")
        if not equals or not name:
            raise Refused("malformed", f"'{piece}' is not name=value.")
        try:
            pairs.append((unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode(errors=errors)))
        except UnicodeDecodeError:
            raise Refused("encoding", f"'{piece}' is not UTF-8.") from None
    return pairs
