"""Files over HTTP: which bytes are asked for, and their way to whoever asks.

Reading happens in a few threads of its own, a piece at a time and only when the one before has gone out: a slow client
costs an open file and nothing else, and the event loop never waits for a disk.

`asked_range` follows RFC 9110: one range of bytes is answered; several at once, and what is no range at all, are as if
nothing had been asked, which the RFC allows.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

PIECE = 256 * 1024  # bytes; larger ones gain nothing here
_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.IGNORECASE)

_threads = ThreadPoolExecutor(4, "files")


class Unsatisfiable(Exception):
    """The range begins behind the end of the file."""


def asked_range(header: str, size: int) -> tuple[int, int] | None:
    """The first and the last byte that are asked for; None for all of it. Raises Unsatisfiable."""
    found = _RANGE.fullmatch(header.strip())
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        if int(found[2]) == 0 or size == 0:
            raise Unsatisfiable
        return max(0, size - int(found[2])), size - 1
    first, last = int(found[1]), int(found[2]) if found[2] else size - 1
    if found[2] and last < first:
        return None
    if first >= size:
        raise Unsatisfiable
    return first, min(last, size - 1)


class Source(Protocol):
    """Bytes, piece by piece, read by threads; no bytes are the end. `close` may be called at any time."""

    def read(self) -> bytes: ...
    def close(self) -> None: ...


class OpenFile:
    """A file on disk, from `seek` on."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._guard = threading.Lock()  # closing waits for who reads: its number may belong to another file afterwards
        status = os.fstat(self._file.fileno())
        self.size, self.changed = status.st_size, status.st_mtime
        self._left = self.size

    def seek(self, first: int, last: int) -> None:
        self._file.seek(first)
        self._left = last - first + 1

    def read(self) -> bytes:
        with self._guard:
            if self._file.closed:
                return b""
            data = self._file.read(min(PIECE, self._left)) or b""
            self._left -= len(data)
            return data

    def close(self) -> None:
        with self._guard:
            self._file.close()


class Pieces:
    """A source as the content of a response. The framework calls `close` when it has ended, however it ended."""

    def __init__(self, source: Source, threads: ThreadPoolExecutor = _threads, first: bytes = b"") -> None:
        self._source, self._threads, self._first = source, threads, first

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        data, self._first = self._first, b""
        data = data or await asyncio.get_running_loop().run_in_executor(self._threads, self._source.read)
        if not data:
            self.close()
            raise StopAsyncIteration
        return data

    def close(self) -> None:
        self._source.close()
