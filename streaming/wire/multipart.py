"""Endless multipart answers (multipart/x-mixed-replace, after RFC 2046, section 5.1) as cameras send them → parts.

    --boundary ⏎  name: value ⏎ … ⏎  ⏎  body ⏎  --boundary ⏎ …

A part is handed out as soon as its last byte is here, which its length tells; waiting for the delimiter behind it would
cost the time until the next picture. A length is believed when the picture it cuts out ends as a JPEG does, or when
lengths were right before. Otherwise the delimiter must follow; where it does not, the part goes as far as the next
delimiter, wherever that is, and the wrong length is counted. After three wrong ones in a row lengths are not read any
more; what stands between parts now and then is not their fault.

Tolerated, because cameras do it:
- a boundary parameter that has the dashes in front already, or behind, is quoted, has spaces in it, or is missing (then
  the first line with two dashes in front tells). So a line is a delimiter when it equals the parameter but for dashes
  around it. One with dashes behind is a delimiter like others, not the end: the stream ends when its connection does;
- a stream that begins without a delimiter, or with blank lines, or with something else, which is skipped and counted;
- delimiters that come twice; lines that end with LF alone; headers in any order and case, folded, or none at all;
- no length, or a wrong one; several line ends after the body, or, where its length is right, none.

Limits: MAX_HEAD bytes of headers, MAX_PART bytes of body. Beyond them, and only there, the stream is Malformed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from streaming.wire import Malformed

MAX_HEAD = 8 * 1024
MAX_PART = 8 * 1024 * 1024
MAX_LINE = 512  # of a delimiter; a boundary has 70 characters at most
MAX_WRONG_LENGTHS = 3

_LINE_ENDS = b"\r\n"
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_HEADER = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+[ \t]*:")
_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]*)"|([^;\r\n]*))', re.IGNORECASE)


class Part(NamedTuple):
    headers: Mapping[str, str]  # names in lower case
    body: bytes


def boundary_of(content_type: str) -> bytes:
    """What stands between the dashes of a delimiter line; nothing when the parameter is missing."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        return b""
    return (found[1] or found[2] or "").strip(" \t'\"").strip("-").encode("latin-1", "replace")


class Parser:
    """Bytes in, whole parts out. Its counters are plain attributes."""

    def __init__(self, content_type: str) -> None:
        self.wrong_lengths = 0
        self._wrong_in_a_row = 0
        self.skipped = 0  # times that something stood where a delimiter should
        self._boundary: bytes | None = boundary_of(content_type) or None
        self._delimiter = b""  # the line as it was last seen
        self._buffer = bytearray()
        self._step = self._read_beginning
        self._searched = 0  # up to where there is no delimiter in the buffer
        self._headers: Mapping[str, str] = {}
        self._length: int | None = None
        self._believed = False
        self._parts: list[Part] = []

    def feed(self, data: bytes) -> list[Part]:
        self._buffer += data
        while self._step():
            pass
        parts, self._parts = self._parts, []
        return parts

    # --- Steps: each consumes something and is true, or is false when it needs more bytes -----------------------------
    def _read_beginning(self) -> bool:
        line = self._next_line()
        if line is None:
            return False
        if not self._is_delimiter(line) and _HEADER.match(line):
            self._step = self._read_head  # the stream begins without a delimiter
            return True
        self._step = self._read_delimiter
        return True

    def _read_delimiter(self) -> bool:
        line = self._next_line()
        if line is None:
            return False
        if self._is_delimiter(line):
            if self._believed:
                self._wrong_in_a_row = 0
            self._delimiter = line.strip()
            del self._buffer[: len(line)]
            self._step = self._read_head
            return True
        self.skipped += 1
        self._wrong_length(self._believed)
        self._believed = False
        self._searched = 0
        self._step = self._skip
        return True

    def _skip(self) -> bool:
        found = self._find_delimiter()
        if found is None:
            # What is left may hold the first bytes of a delimiter.
            surplus = len(self._buffer) - 2 * MAX_LINE
            if surplus > 0:
                del self._buffer[:surplus]
                self._searched = max(0, self._searched - surplus)
            return False
        del self._buffer[: found[1]]
        self._step = self._read_head
        return True

    def _read_head(self) -> bool:
        buffer = self._buffer
        if buffer.startswith((b"\n", b"\r\n")):
            end, block = buffer.index(b"\n") + 1, b""
        else:
            if buffer.startswith(b"-"):
                line = self._next_line()
                if line is None:
                    return False
                if self._is_delimiter(line):  # once more
                    del buffer[: len(line)]
                    return True
            found = _HEAD_END.search(buffer, 0, MAX_HEAD)
            if found is None:
                if len(buffer) >= MAX_HEAD:
                    raise Malformed(f"a part's headers do not end within {MAX_HEAD} bytes")
                return False
            end, block = found.end(), bytes(buffer[: found.start()])
        self._headers, length = _parse_head(block)
        self._length = length if self._wrong_in_a_row < MAX_WRONG_LENGTHS else None
        del buffer[:end]
        self._searched = 0
        self._step = self._read_body if self._length is not None else self._search_end
        return True

    def _read_body(self) -> bool:
        length = self._length
        assert length is not None
        buffer = self._buffer
        if len(buffer) < length:
            return False
        if self._believed or _ends_as_jpeg(buffer, length):
            self._hand_out(length, length)
            return True
        follows = self._delimiter_follows(length)
        if follows is None:
            return False
        if follows:
            self._believed = True
            self._hand_out(length, length)
        else:
            self._wrong_length(True)
            self._step = self._search_end
        return True

    def _search_end(self) -> bool:
        found = self._find_delimiter()
        if found is None:
            if len(self._buffer) > MAX_PART:
                raise Malformed(f"a part does not end within {MAX_PART} bytes")
            return False
        end = found[0]
        if self._buffer.endswith(b"\n", 0, end):
            end -= 1
            if self._buffer.endswith(b"\r", 0, end):
                end -= 1
        self._hand_out(end, found[0])
        return True

    def _hand_out(self, end: int, consumed: int) -> None:
        with memoryview(self._buffer) as view:
            body = bytes(view[:end])
        del self._buffer[:consumed]
        self._parts.append(Part(self._headers, body))
        self._step = self._read_delimiter

    def _wrong_length(self, wrong: bool) -> None:
        self.wrong_lengths += wrong
        self._wrong_in_a_row += wrong

    # --- Delimiters ---------------------------------------------------------------------------------------------------
    def _next_line(self) -> bytes | None:
        """The next line that is not blank, at the beginning of the buffer now; a long one is cut. None: need more."""
        buffer = self._buffer
        if buffer[:1] in _LINE_ENDS:
            blank = len(buffer) - len(buffer.lstrip(_LINE_ENDS))
            del buffer[:blank]
        end = buffer.find(b"\n", 0, MAX_LINE)
        if end < 0:
            return None if len(buffer) < MAX_LINE else bytes(buffer[:MAX_LINE])
        return bytes(buffer[: end + 1])

    def _is_delimiter(self, line: bytes) -> bool:
        text = line.strip()
        if self._boundary is None:
            if not (text.startswith(b"--") and text.isascii()):
                return False
            self._boundary = text.strip(b"-")
        return text.strip(b"-") == self._boundary and (bool(self._boundary) or text.startswith(b"--"))

    def _delimiter_follows(self, at: int) -> bool | None:
        buffer = self._buffer
        end = len(buffer)
        while at < end and buffer[at] in _LINE_ENDS:
            at += 1
        expected = self._delimiter or b"--" + (self._boundary or b"")
        seen = buffer[at : at + len(expected)]
        if not expected.startswith(seen):
            return False
        return True if len(seen) == len(expected) else None

    def _find_delimiter(self) -> tuple[int, int] | None:
        """Where the first whole line that is a delimiter begins and ends."""
        buffer = self._buffer
        at = self._searched
        needle = self._boundary or b"--"
        while (found := buffer.find(needle, at)) >= 0:
            end = buffer.find(b"\n", found, found + MAX_LINE)
            if end < 0 and len(buffer) < found + MAX_LINE:
                self._searched = found  # the rest of this line is still to come
                return None
            earliest = max(0, found - MAX_LINE)
            begin = max(earliest, buffer.rfind(b"\n", earliest, found) + 1)
            if end >= 0 and self._is_delimiter(bytes(buffer[begin : end + 1])):
                return begin, end + 1
            at = found + len(needle)
        self._searched = max(at, len(buffer) - len(needle) + 1)
        return None


def _ends_as_jpeg(buffer: bytearray, length: int) -> bool:
    """Whether these first bytes are one JPEG, with line ends around it at most."""
    head = bytes(buffer[: min(8, length)]).lstrip(_LINE_ENDS)
    return head.startswith(b"\xff\xd8") and buffer[max(0, length - 8) : length].rstrip(_LINE_ENDS).endswith(b"\xff\xd9")


@lru_cache(maxsize=256)  # most parts of a stream have one of a few heads: lengths of full packets
def _parse_head(block: bytes) -> tuple[Mapping[str, str], int | None]:
    headers: dict[str, str] = {}
    name = ""
    for line in block.decode("latin-1").split("\n"):
        if line[:1] in (" ", "\t") and name:
            headers[name] = f"{headers[name]} {line.strip()}".strip()
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower() if colon else ""
        if name:
            headers[name] = value.strip()
    text = headers.get("content-length", "")
    length = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else MAX_PART + 1
    return MappingProxyType(headers), length if length <= MAX_PART else None
