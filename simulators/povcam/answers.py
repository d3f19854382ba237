"""What the recorder's chapters share: the shape of an action and of its answers.

An action that finds the client at fault raises `checking.Refused` (a violation); one that the recorder's state does not
allow raises `Declined` (a note: the client could not know, or the document foresees it).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from simulators.http import Answer, Request, Response

Values = dict[str, str]
Action = Callable[[Values, Request], Coroutine[Any, Any, Answer]]
Pairs = Sequence[tuple[str, object]]

OK = Response(200)
DONE = Response(204)
"""Setters have nothing to tell."""


class Declined(Exception):
    def __init__(self, kind: str, sentence: str, status: int = 500, body: bytes = b"") -> None:
        super().__init__(sentence)
        self.kind = kind
        self.status = status
        self.body = body


def lines(pairs: Pairs) -> bytes:
    return "".join(f"{key}={value}\r\n" for key, value in pairs).encode()


def told(pairs: Pairs) -> Response:
    """key=value lines that end in CRLF."""
    return Response(200, lines(pairs))


def script(pairs: Pairs) -> Response:
    """The form for the camera's own web pages (reply=browser)."""
    return Response(200, ("{" + ",\r\n".join(f"{key}:{value}" for key, value in pairs) + "}\r\n").encode())
