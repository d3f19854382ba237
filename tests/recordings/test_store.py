"""The library's folder: a name in it stands for a whole file, whatever happens."""

import errno
import hashlib
import os
import time
from datetime import date
from pathlib import Path

import pytest
from django.conf import settings

from recordings import store
from recordings.store import NoRoom


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)
    return tmp_path / "library"


def files(library: Path) -> list[str]:
    return sorted(str(path.relative_to(library)) for path in library.rglob("*") if path.is_file())


async def test_what_was_received_lies_under_its_day_with_its_hash(library: Path):
    data = os.urandom(3 * store.BLOCK + 17)
    async with store.receiving("item-1", 1, len(data)) as incoming:
        for at in range(0, len(data), 100_000):
            await incoming.write(data[at : at + 100_000])
        received = await incoming.end()
        assert files(library) == [".incoming/item-1.1"]
        path = store.put_in_place(received, date(2026, 11, 25), "clip.mts")
    assert (received.size, received.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert files(library) == [path] == ["2026/11/25/clip.mts"]
    assert (library / path).read_bytes() == data
    assert {oct(each.stat().st_mode & 0o777) for each in [library, library / "2026", library / "2026/11/25"]} == {
        "0o700"
    }


async def test_what_was_not_kept_is_gone(library: Path):
    async def left() -> None:
        async with store.receiving("item-1", 1, None) as incoming:
            await incoming.write(bytes(2 * store.BLOCK))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await left()
    assert files(library) == []


async def test_leavings_of_earlier_attempts_and_of_long_ago_are_removed_and_others_stay(library: Path):
    folder = library / ".incoming"
    folder.mkdir(parents=True)
    for name in ("item-1.1", "item-1.2", "item-11.1", "item-2.1", "item-3.1"):
        (folder / name).write_bytes(b"half")
    long_ago = time.time() - 2 * store.LEFT_SECONDS
    os.utime(folder / "item-3.1", (long_ago, long_ago))
    async with store.receiving("item-1", 3, 0):
        assert files(library) == [".incoming/item-1.3", ".incoming/item-11.1", ".incoming/item-2.1"]


async def test_a_disk_that_fills_while_we_write_is_said(library: Path, monkeypatch: pytest.MonkeyPatch):
    def full(file: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def written() -> None:
        async with store.receiving("item-1", 1, None) as incoming:
            for _ in range(3):
                await incoming.write(bytes(store.BLOCK))
            await incoming.end()

    monkeypatch.setattr(store.os, "write", full)
    with pytest.raises(NoRoom, match="No space left on device"):
        await written()
    assert files(library) == []


async def test_what_does_not_fit_is_not_begun(library: Path, monkeypatch: pytest.MonkeyPatch):
    usage = store.shutil.disk_usage("/")._replace(free=store.RESERVE + 10)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(NoRoom, match="disk is full"):
        async with store.receiving("item-1", 1, 11):
            pass
    async with store.receiving("item-1", 1, 10):
        pass


async def test_others_who_fill_the_disk_meanwhile_are_noticed(library: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "LOOK_AGAIN", 2 * store.BLOCK)
    usage = store.shutil.disk_usage("/")._replace(free=0)

    async def written() -> None:
        async with store.receiving("item-1", 1, None) as incoming:
            monkeypatch.setattr(store.shutil, "disk_usage", lambda path: usage)
            for _ in range(3):
                await incoming.write(bytes(store.BLOCK))

    with pytest.raises(NoRoom, match="disk is full"):
        await written()


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("S1AA001000000160.mts", "S1AA001000000160.mts"),
        ("../../etc/passwd", "etc-passwd"),
        (".hidden", "hidden"),
        ("a/b\\c:d\0e\nf", "a-b-c-d-e-f"),
        ("", "file"),
        ("...", "file"),
        ("録画.mp4", "mp4"),
        ("x" * 300 + ".mp4", "x" * 96 + ".mp4"),
    ],
)
def test_names_are_harmless(name: str, safe: str):
    assert store.safe_name(name) == safe


def test_a_recording_whose_day_nobody_tells_has_a_place_too():
    assert store.place(None, "x.mp4") == "undated/x.mp4"
