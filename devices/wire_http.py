"""HTTP answers off the wire, however old the web server that wrote them.

Strategy: sans-I/O. `AnswerReader.feed` takes what came and returns what it means, in order: one `Head`, then `Piece`s
of the body, then one `End`; `close` says that the other side closed. Nothing is kept but a line that is not finished
yet, so memory is bounded by `Limits`. What cannot be an answer raises `BadAnswer`, a phrase that completes "the
device …".

Tolerated, since real cameras send it:
- empty lines before the status line; `http/1.1`, `HTTP/1.1 200OK`, no reason phrase; lines that end in LF alone
- no status line at all (HTTP/0.9), when what comes instead is what the documents answer: HTML, `key=value`, a picture
- header lines without a colon (passed over), with space before it, folded lines
- a Content-Length that is not a number or is given twice differently: the body then ends with the connection, as it
  does without a length; a body shorter than its length is kept, and its End is not `complete`
- a body after 204 and whatever comes after the end: dropped; 1xx answers before the real one: passed over

Not tolerated: other protocols, chunks without a size, and anything beyond the limits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

INTERIM_ANSWERS = 8  # 1xx answers before the real one
CHUNK_LINE = 1024  # bytes of a chunk's size and its extensions


class BadAnswer(Exception):
    """What came is not an answer, or more than we take. Completes the sentence "the device …"."""


@dataclass(frozen=True)
class Limits:
    head: int = 64 * 1024  # bytes of all header lines together, status line and blank lines included
    lines: int = 200
    body: int | None = None  # None: no limit, for streams


@dataclass(frozen=True)
class Head:
    status: int
    reason: bytes
    version: bytes  # b"1.1"; b"0.9" when there was no status line
    headers: tuple[tuple[bytes, bytes], ...]

    def values(self, name: bytes) -> list[bytes]:
        """Every value of a header; `name` in lower case."""
        return [value for each, value in self.headers if each.lower() == name]


@dataclass(frozen=True)
class Piece:
    data: bytes = field(repr=False)

    def __repr__(self) -> str:
        return f"Piece({len(self.data)} bytes)"


@dataclass(frozen=True)
class End:
    complete: bool = True  # False: the connection ended before the body did


Event = Head | Piece | End

_STATUS = re.compile(rb"[ \t]*HTTP(?:/[ ]?(\d(?:\.\d+)?))?[ \t]+(\d{3})(?!\d)[ \t]*(.*)", re.IGNORECASE | re.DOTALL)
# What an answer without a status line may begin with, and what such a beginning may still become.
_BARE = re.compile(rb"<|--|\xff\xd8|[\w.-]{1,64}[ \t]*=", re.ASCII)
_MAYBE_BARE = re.compile(rb"-|\xff|[\w.-]{1,64}[ \t]*", re.ASCII)
_CHUNK = re.compile(rb"[ \t]*([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?", re.DOTALL)
_NUMBER = re.compile(rb"[0-9]{1,18}")
_CONTROLS = bytes(byte for byte in range(32) if byte != 9) + b"\x7f"
_BLANK = b" \t\r\n"


class AnswerReader:
    """Reads one answer to a request of the given method."""

    def __init__(self, method: str = "GET", limits: Limits = Limits()) -> None:
        self._method = method
        self._limits = limits
        self._buffer = bytearray()
        self._head_bytes = 0  # of head lines that were taken
        self._lines = 0
        self._interim = 0
        self._status: tuple[int, bytes, bytes] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._left = 0  # of the body or of the chunk
        self._body = 0  # bytes of it handed out
        self._read: Callable[[], list[Event] | None] = self._start
        self._ends_with_connection = False
        self.done = False

    def feed(self, data: bytes) -> list[Event]:
        """What these bytes mean. Everything after the answer is dropped."""
        events: list[Event] = []
        self._buffer += data
        while not self.done:
            found = self._read()
            if found is None:
                break
            events += found
        if self.done:
            self._buffer.clear()
        return events

    def close(self) -> list[Event]:
        """The other side closed: what that means. BadAnswer when the head never came to its end."""
        if self.done:
            return []
        if self._read in (self._start, self._header):
            raise BadAnswer("closed the connection in the middle of its answer")
        self.done = True
        self._buffer.clear()
        return [End(complete=self._ends_with_connection)]

    @property
    def silent(self) -> bool:
        """Nothing came at all so far, or nothing but blank lines."""
        return self._status is None and not self._interim and not self._buffer.strip(_BLANK)

    # --- Head ---------------------------------------------------------------------------------------------------------
    def _start(self) -> list[Event] | None:
        """Before the status line, where there may be empty lines, or no status line."""
        kept = self._buffer.lstrip(_BLANK)
        self._count_head(len(self._buffer) - len(kept))
        self._buffer = kept
        if not kept:
            return None
        start = bytes(kept[:80])
        if b"HTTP".startswith(start[:4].upper()):
            line = self._line()
            if line is None:
                return None
            match = _STATUS.fullmatch(line)
            if match is None:
                raise BadAnswer("begins its answer with something that is not an HTTP status")
            version = match[1] or b"1.0"
            self._status = int(match[2]), match[3].rstrip().translate(None, _CONTROLS), version
            self._read = self._header
            return []
        if _BARE.match(start):
            return self._bare()
        # Until a line is whole it may still become one of those.
        if len(start) < 80 and _MAYBE_BARE.fullmatch(start):
            return None
        raise BadAnswer("answers something that is not HTTP")

    def _bare(self) -> list[Event]:
        self._status = 200, b"", b"0.9"
        return self._begin_body()

    def _header(self) -> list[Event] | None:
        line = self._line()
        if line is None:
            return None
        if not line:
            return self._begin_body()
        self._lines += 1
        if self._lines > self._limits.lines:
            raise BadAnswer(f"sends more than {self._limits.lines} header lines")
        if line[0] in b" \t":
            if self._headers and (more := _value(line)):
                name, value = self._headers[-1]
                self._headers[-1] = name, (value + b" " + more).strip()
            return []
        name, colon, value = line.partition(b":")
        name = name.strip().translate(None, _CONTROLS)
        if colon and name and name.isascii():
            self._headers.append((name, _value(value)))
        return []

    def _line(self) -> bytes | None:
        """One line without its end; None until it is whole."""
        end = self._buffer.find(b"\n")
        if end < 0:
            self._check_head(len(self._buffer))
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._count_head(end + 1)
        return line.rstrip(b"\r")

    def _count_head(self, size: int) -> None:
        self._check_head(size)
        self._head_bytes += size

    def _check_head(self, more: int) -> None:
        if self._head_bytes + more > self._limits.head:
            raise BadAnswer(f"sends more than {self._limits.head // 1024} kB of headers")

    # --- Body ---------------------------------------------------------------------------------------------------------
    def _begin_body(self) -> list[Event]:
        assert self._status is not None
        status, reason, version = self._status
        if 100 <= status < 200:
            self._interim += 1
            if self._interim > INTERIM_ANSWERS:
                raise BadAnswer("promises an answer again and again, and none comes")
            self._status, self._headers, self._read = None, [], self._start
            return []
        head = Head(status, reason, version, tuple(self._headers))
        if self._method == "HEAD" or status in (204, 304):
            self.done = True
            return [head, End()]
        if any(b"chunked" in value.lower() for value in head.values(b"transfer-encoding")):
            self._read = self._chunk_size
            return [head]
        length = _length(head)
        if length is None:
            self._ends_with_connection = True
            self._read = self._until_close
            return [head]
        self._check_body(length)
        if length == 0:
            self.done = True
            return [head, End()]
        self._left = length
        self._read = self._counted
        return [head]

    def _until_close(self) -> list[Event] | None:
        return self._hand_out(len(self._buffer)) if self._buffer else None

    def _counted(self) -> list[Event] | None:
        if not self._buffer:
            return None
        events = self._hand_out(min(self._left, len(self._buffer)))
        if self._left == 0:
            self.done = True
            events.append(End())
        return events

    def _chunk_size(self) -> list[Event] | None:
        line = self._chunk_line()
        if line is None:
            return None
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise BadAnswer("sends a chunk without its size")
        self._left = int(match[1], 16)
        if self._left == 0:
            self._read = self._trailer
            return []
        self._check_body(self._body + self._left)
        self._read = self._chunk
        return []

    def _chunk(self) -> list[Event] | None:
        if not self._buffer:
            return None
        events = self._hand_out(min(self._left, len(self._buffer)))
        if self._left == 0:
            self._read = self._chunk_end
        return events

    def _chunk_end(self) -> list[Event] | None:
        line = self._chunk_line()
        if line is None:
            return None
        if line:
            raise BadAnswer("sends a chunk that is longer than its size")
        self._read = self._chunk_size
        return []

    def _trailer(self) -> list[Event] | None:
        line = self._line()
        if line is None:
            return None
        self._lines += 1
        if self._lines > self._limits.lines:
            raise BadAnswer(f"sends more than {self._limits.lines} header lines")
        if line:
            return []
        self.done = True
        return [End()]

    def _chunk_line(self) -> bytes | None:
        end = self._buffer.find(b"\n", 0, CHUNK_LINE)
        if end < 0:
            if len(self._buffer) >= CHUNK_LINE:
                raise BadAnswer("sends a chunk without its size")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.rstrip(b"\r")

    def _hand_out(self, size: int) -> list[Event]:
        self._check_body(self._body + size)
        if size == len(self._buffer):
            data, self._buffer = bytes(self._buffer), bytearray()
        else:
            data = bytes(self._buffer[:size])
            del self._buffer[:size]
        self._body += size
        self._left -= size
        return [Piece(data)]

    def _check_body(self, size: int) -> None:
        if self._limits.body is not None and size > self._limits.body:
            raise BadAnswer(f"sends more than {self._limits.body // 1024} kB where a short answer belongs")


def _value(text: bytes) -> bytes:
    return text.translate(None, _CONTROLS).strip()


def _length(head: Head) -> int | None:
    """The length of the body, None when it is not told or not told clearly."""
    told = {part.strip() for value in head.values(b"content-length") for part in value.split(b",")}
    if len(told) != 1:
        return None
    (text,) = told
    return int(text) if _NUMBER.fullmatch(text) else None
