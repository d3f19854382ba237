"""Bringing a file into the library: written under a temporary name, made sure to be on the disk, then put in its place.

    library/.incoming/<mark>.<attempt>   what is being received; nobody looks there
    library/YYYY/MM/DD/<name>            what is whole, under the day it was recorded

A file takes its place by one rename, after its bytes are on the disk, and its folder after that: whatever happens, a
name in the library stands for a whole file. Rows are made afterwards; a file that lies in its place without a row is
what a crash in between left, and whoever brings the same again takes its place. The SHA-256 is reckoned while the bytes
pass, in the thread that writes them: the event loop waits for neither.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from django.conf import settings

BLOCK = 1024 * 1024  # written at once; the next is received meanwhile
RESERVE = 256 * 2**20  # bytes that stay free: databases live here, too
LOOK_AGAIN = 64 * 2**20  # bytes after which the room is looked at again; others write as well
LEFT_SECONDS = 24 * 3600.0  # what was not written to for so long is nobody's work any more
_UNSAFE = re.compile(r"[^\w.-]+", re.ASCII)


class NoRoom(Exception):
    """The disk is full. The text is a sentence."""


@dataclass(frozen=True)
class Received:
    path: Path
    size: int
    sha256: str


def folder() -> Path:
    return Path(settings.DATA_DIR) / "library"


def _incoming() -> Path:
    return folder() / ".incoming"


def safe_name(text: str) -> str:
    """As a part of a path, whatever it was: no separators, no dots in front, not too long."""
    cleaned = _UNSAFE.sub("-", text).strip("-.")[-100:].lstrip("-.")
    return cleaned or "file"


class Incoming:
    """A file on its way. One task writes it."""

    def __init__(self, path: Path, file: int) -> None:
        self._path = path
        self._file = file
        self._hash = hashlib.sha256()
        self._block = bytearray()
        self._writing: asyncio.Future[None] | None = None
        self._looked_at = 0
        self.size = 0

    async def write(self, data: bytes) -> None:
        """Raises NoRoom, before it gets so far if that can be seen."""
        self.size += len(data)
        self._block += data
        if len(self._block) < BLOCK:
            return
        if self.size - self._looked_at >= LOOK_AGAIN:
            self._looked_at = self.size
            await asyncio.to_thread(make_sure_of_room, len(self._block))
        await self._settled()
        block, self._block = self._block, bytearray()
        self._writing = asyncio.ensure_future(asyncio.to_thread(self._put, block))

    async def end(self) -> Received:
        """When all of it is on the disk."""
        await self._settled()
        block, self._block = self._block, bytearray()
        self._writing = asyncio.ensure_future(asyncio.to_thread(self._put_last, block))
        await self._settled()
        return Received(self._path, self.size, self._hash.hexdigest())

    async def _settled(self) -> None:
        """Until what a thread is writing is written; it goes on where the one who waits is cancelled."""
        if self._writing is None:
            return
        try:
            await asyncio.shield(self._writing)
        except OSError as error:
            raise NoRoom(_full_or_broken(error)) from error

    async def close(self) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])
            if not self._writing.cancelled():
                self._writing.exception()  # whoever wrote was told, or left before
        os.close(self._file)

    def _put(self, block: bytearray) -> None:
        self._hash.update(block)
        rest = memoryview(block)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def _put_last(self, block: bytearray) -> None:
        self._put(block)
        os.fsync(self._file)


@asynccontextmanager
async def receiving(mark: str, attempt: int, size: int | None) -> AsyncIterator[Incoming]:
    """A temporary file, gone at the end of the block unless it was kept. `mark` names what is received: what earlier
    attempts at it left is removed first."""
    path = _incoming() / f"{safe_name(mark)}.{attempt}"
    file = await asyncio.to_thread(_opened, path, size)
    incoming = Incoming(path, file)
    try:
        try:
            yield incoming
        finally:
            await incoming.close()
    finally:
        path.unlink(missing_ok=True)


def _opened(path: Path, size: int | None) -> int:
    try:
        _made(path.parent)
        for left in path.parent.glob("*"):
            earlier = left.name.rpartition(".")[0] == path.stem
            if earlier or time.time() - left.stat().st_mtime > LEFT_SECONDS:
                left.unlink(missing_ok=True)
        make_sure_of_room(size or 0)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise NoRoom(_full_or_broken(error)) from error


def make_sure_of_room(size: int) -> None:
    """Raises NoRoom when so many bytes more would fill the disk."""
    free = shutil.disk_usage(folder()).free
    if size + RESERVE > free:
        raise NoRoom(
            f"The library's disk is full: {_readable(size)} more and {_readable(RESERVE)} in reserve do not fit into "
            f"the {_readable(free)} that are free. Delete files or give it a larger disk, then do the job again."
        )


def _full_or_broken(error: OSError) -> str:
    return (
        f"The library's folder cannot be written ({error.strerror or error}). Make room on its disk or mend it, then "
        "do the job again."
    )


def _readable(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def put_in_place(received: Received, day: date | None, name: str) -> str:
    """Rename it to where it belongs; answers its path within the library. Blocks. What lies there already is replaced:
    the caller knows that no row stands for it."""
    relative = place(day, name)
    target = folder() / relative
    _made(target.parent)
    received.path.replace(target)
    _synced(target.parent)
    return relative


def place(day: date | None, name: str) -> str:
    dated = f"{day:%Y/%m/%d}" if day else "undated"
    return f"{dated}/{safe_name(name)}"


def _made(path: Path) -> None:
    """The folder and those above it, as far as the library's, each kept by the disk before anything lies in it."""
    if path.is_dir():
        return
    if path != folder():
        _made(path.parent)
    path.mkdir(mode=0o700, parents=path == folder(), exist_ok=True)
    _synced(path.parent)


def _synced(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
