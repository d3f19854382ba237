"""Section 6.3: recordings as files, inside one multipart answer.

Each part has three headers of the recorder's own, the middle parts of a file the same as its first one:

    X-Temp-FileName: filename = "…"    the file this part's data belongs to; "" in the last part, which has no data
    X-Prev-Filename: filename = "…"    what the file before is to be called, in the first part after it; else ""
    X-RecData-Satus: 0                 1 nothing recorded, 2 MP4 of JPEG, 3 two downloads run already: one part, no file

A file holds whole GOPs: all that have something of the time asked for, so the first one may begin up to a second
earlier. Times are UTC ("local-download-times": the recorder's own). Where the document is silent:
  - END == START is nothing; an END inside a minute is taken as its end;
  - an MP4 is split where codec or size change, and where it is large; its sound is AAC, whatever was recorded. Its
    timeline is that of the clock, from its first picture on, also across a gap ("gap-splits": a gap begins a file).
    Its creation_time is the second of the first picture. JPEG in between is left out; nothing else is status 2;
  - N3R and N3A are opaque: a page that names the kind, then what playback would send. N3N lists what is recorded.
    KIND=N3 is two files, the pictures' first;
  - "1000" in the document's names counts the files of an answer;
  - a download goes on while its UID lives, and breaks off in the middle of a part when it dies.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import av

from simulators.http import Stream
from simulators.ipro import containers, replies
from simulators.ipro.archive import Archive, Unit
from simulators.ipro.information import H265, JPEG, Played
from simulators.ipro.live import NO_SOUND
from simulators.ipro.records import Zone
from simulators.ipro.reel import Pictures, Reel, Sound
from simulators.multipart import part
from simulators.sound import ENCODERS

AT_ONCE = 2
PIECE = 64 * 1024
# A file is sent when it is whole. Pictures that are drawn for it take seconds for so much, those of loops none.
LARGEST_DRAWN, LARGEST_LOOPED = 3 * 1024 * 1024, 64 * 1024 * 1024
NORMAL, NOTHING, WRONG_CODEC, BUSY = range(4)
MP4_KINDS, WITH_SOUND = ("MP4", "MP4VO"), ("MP4", "N3")
CLOCK = 90_000
TOO_LONG = 100  # bytes a wrong length is off by
END = f"{replies.BOUNDARY}--\r\n".encode()

ODDITIES = {
    "local-download-times": "STARTTIME and ENDTIME are the recorder's local time",
    "gap-splits": "a gap in the recordings begins another file",
    "bare-parts": "the middle parts of a download have no names and no status",
}


@dataclass(frozen=True)
class Order:
    camera: int
    start: float
    end: float
    kind: str
    asked: str
    """STARTTIME as it was written."""


@dataclass
class Faults:
    busy: int = 0
    """So many downloads of others run."""
    cuts: int = 0
    """So many of the next parts with data end half way, and their downloads with them."""
    wrong_lengths: int = 0
    """So many of the next parts with data say that they are longer."""
    stalled_until: float = 0.0
    pause: float = 0.0
    """Seconds between two parts."""
    split_seconds: float = 0.0
    """A file holds no more than this much of the recordings; 0: as much as it can."""


class _Broken(Exception):
    """The answer ends here."""


class Downloads:
    def __init__(
        self, archive: Archive, reel: Reel, *, sound: str, zone: Zone, oddities: frozenset[str], largest: int
    ) -> None:
        self.faults = Faults()
        self.running = 0
        self._archive = archive
        self._reel = reel
        self._sound = sound
        self._zone = zone
        self._oddities = oddities
        self._largest = largest

    def order(self, camera: int, start: datetime, end: datetime, kind: str, asked: str) -> Order:
        local = "local-download-times" in self._oddities
        offset = (self._zone.local(0.0) - datetime(1970, 1, 1)).total_seconds() if local else 0.0
        until = end.timestamp()
        until += -until % 60
        return Order(camera, start.timestamp() - offset, until - offset, kind, asked)

    def answer(self, order: Order, uid_ended: asyncio.Event, note: Callable[[int], None]) -> Stream:
        """`note` is called with the status if it is another than 0."""
        content_type = f"multipart/form-data; boundary={replies.BOUNDARY}"
        return Stream(content_type, self._parts(order, uid_ended, note))

    def _status(self, order: Order, units: list[Unit]) -> int:
        if self.running + self.faults.busy >= AT_ONCE:
            return BUSY
        if not units:
            return NOTHING
        if order.kind in MP4_KINDS and all(unit.coding.codec == JPEG for unit in units):
            return WRONG_CODEC
        return NORMAL

    def _units(self, order: Order) -> list[Unit]:
        if order.start == order.end:
            return []
        return list(self._archive.between(order.camera, order.start, order.end))

    # Parts

    async def _parts(
        self, order: Order, uid_ended: asyncio.Event, note: Callable[[int], None]
    ) -> AsyncGenerator[bytes, None]:
        units = self._units(order)
        status = self._status(order, units)
        if status != NORMAL:
            note(status)
            yield part(replies.BOUNDARY, (*_headers("", "", status), "Content-Length: 0"), b"") + END
            return
        self.running += 1
        try:
            async for piece in self._file_parts(order, units, uid_ended):
                yield piece
            yield END
        except _Broken:
            return
        finally:
            self.running -= 1

    async def _file_parts(self, order: Order, units: list[Unit], uid_ended: asyncio.Event) -> AsyncIterator[bytes]:
        before, number = "", 0
        async for suffix, content in self._files(order, units):
            number += 1
            name = f"{order.camera:03}_{order.asked}_{1000 * number}_7f_00_01"
            for at in range(0, len(content), PIECE):
                headers = _headers(f"{name}.tmp", before, NORMAL)
                if at and "bare-parts" in self._oddities:
                    headers = headers[:1]
                before = ""
                async for piece in self._sent(headers, content[at : at + PIECE], uid_ended):
                    yield piece
            before = f"{name}.{suffix}"
        async for piece in self._sent(_headers("", before, NORMAL), b"", uid_ended):
            yield piece

    async def _sent(self, headers: tuple[str, ...], body: bytes, uid_ended: asyncio.Event) -> AsyncIterator[bytes]:
        await _wait(self.faults.pause if body else 0.0, uid_ended)
        while (left := self.faults.stalled_until - time.monotonic()) > 0 and not uid_ended.is_set():
            await _wait(min(left, 0.1), uid_ended)
        faults = self.faults
        length = len(body)
        if body and faults.wrong_lengths:
            faults.wrong_lengths -= 1
            length += TOO_LONG
        whole = part(replies.BOUNDARY, (*headers, f"Content-Length: {length}"), body)
        cut = uid_ended.is_set()
        if body and faults.cuts:
            faults.cuts -= 1
            cut = True
        if cut:
            yield whole[: len(whole) // 2]
            raise _Broken
        yield whole

    # Files

    async def _files(self, order: Order, units: list[Unit]) -> AsyncIterator[tuple[str, bytes]]:
        if order.kind in MP4_KINDS:
            pictures = [unit for unit in units if unit.coding.codec != JPEG]
            async for file in self._mp4(pictures, order.kind in WITH_SOUND and self._sound != NO_SOUND):
                yield "mp4", file
        elif order.kind == "LIST":
            yield "n3n", _list(self._archive, order)
        else:
            async for file in self._opaque("N3R", units):
                yield "n3r", file
            if order.kind in WITH_SOUND and self._sound != NO_SOUND:
                seconds = list(self._archive.between(order.camera, order.start, order.end, seconds=True))
                async for file in self._opaque("N3A", seconds):
                    yield "n3a", file

    async def _mp4(self, units: list[Unit], sound: bool) -> AsyncIterator[bytes]:
        file: Mp4 | None = None
        for before, unit in itertools.pairwise([None, *units]):
            assert unit is not None
            if file is not None and self._splits(file, before, unit):
                yield await asyncio.to_thread(file.close)
                file = None
            file = file or Mp4(unit, sound)
            pictures = await self._reel.pictures(unit)
            heard = None
            if sound:
                heard = await self._reel.sound("aac", Unit(unit.camera, unit.coding.of_seconds, unit.index))
            await asyncio.to_thread(file.add, unit, pictures, heard)
        if file is not None:
            yield await asyncio.to_thread(file.close)

    def _splits(self, file: Mp4, before: Unit | None, unit: Unit) -> bool:
        assert before is not None
        limit = self.faults.split_seconds
        return (
            unit.coding != before.coding
            or file.size >= self._largest
            or ("gap-splits" in self._oddities and unit.start != before.end)
            or (limit > 0 and unit.end - file.start > limit)
        )

    async def _opaque(self, kind: str, units: list[Unit]) -> AsyncIterator[bytes]:
        content = bytearray(_opaque_head(kind))
        for unit in units:
            content += await (self._n3r(unit) if kind == "N3R" else self._n3a(unit))
            if len(content) >= self._largest:
                yield bytes(content)
                content = bytearray(_opaque_head(kind))
        yield bytes(content)

    async def _n3r(self, unit: Unit) -> bytes:
        made = await self._reel.pictures(unit)
        images = [image[0] if unit.coding.codec == JPEG else containers.annex_b(image) for image in made]
        size, count = sum(map(len, images)), len(images)
        told = Played(unit.camera, unit.coding.codec, unit.start, size, count, unit.coding.rate, "PLAY", 0)
        times = [unit.time(number) for number in range(count)]
        return containers.pictures(
            told, images, times, self._zone, end=unit.end, from_camera=False, oddities=frozenset()
        )

    async def _n3a(self, unit: Unit) -> bytes:
        heard = await self._reel.sound(self._sound, unit)
        return containers.sound(
            self._sound, unit.camera, heard.units, heard.start, heard.end, self._zone, oddities=frozenset()
        )


class Mp4:
    """One file while it is written."""

    def __init__(self, first: Unit, sound: bool) -> None:
        coding = first.coding
        self.start = first.start
        self._file = io.BytesIO()
        self._container = av.open(self._file, "w", format="mp4")
        self._container.metadata["creation_time"] = datetime.fromtimestamp(float(first.start), UTC).isoformat()
        name = "hevc" if coding.codec == H265 else "h264"
        size: dict[str, Any] = {"width": coding.width, "height": coding.height}
        self._video = self._container.add_mux_stream(name, time_base=Fraction(1, CLOCK), **size)
        self._audio: av.AudioStream | None = None
        if sound:
            # Its encoder is not used: it writes what a decoder has to be told.
            self._audio = self._container.add_stream("aac", rate=ENCODERS["aac"]().rate, layout="mono")
        self._container.start_encoding()

    @property
    def size(self) -> int:
        return self._file.tell()

    def add(self, unit: Unit, pictures: Pictures, sound: Sound | None) -> None:
        for number, units in enumerate(pictures):
            packet = av.Packet(containers.annex_b(units))
            packet.stream, packet.time_base = self._video, Fraction(1, CLOCK)
            packet.pts = packet.dts = round((unit.time(number) - self.start) * CLOCK)
            packet.duration = round(Fraction(CLOCK, unit.coding.rate))
            packet.is_keyframe = number == 0
            self._container.mux(packet)
        if sound is None or self._audio is None:
            return
        rate = self._audio.rate
        length = round((sound.end - sound.start) * rate / len(sound.units))
        for number, piece in enumerate(sound.units):
            packet = av.Packet(piece)
            packet.stream, packet.time_base = self._audio, Fraction(1, rate)
            packet.pts = packet.dts = round((sound.start - self.start) * rate) + number * length
            packet.duration = length
            self._container.mux(packet)

    def close(self) -> bytes:
        self._container.close()
        return self._file.getvalue()


async def _wait(seconds: float, ended: asyncio.Event) -> None:
    if seconds <= 0:
        return
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        return


def _headers(temporary: str, before: str, status: int) -> tuple[str, ...]:
    return (
        "Content-type: application/octet-stream",
        f'X-Temp-FileName: filename = "{temporary}"',
        f'X-Prev-Filename: filename = "{before}"',
        f"X-RecData-Satus: {status}",  # the recorder's spelling
    )


def _opaque_head(kind: str) -> bytes:
    return f"{kind}\0a simulated recorder's own format".encode().ljust(containers.PAGE, b"\0")


def _list(archive: Archive, order: Order) -> bytes:
    spans = [
        {"camera": order.camera, "start": max(span.start, order.start), "end": min(span.end, order.end)}
        for span in archive.spans(order.camera)
        if span.start < order.end and span.end > order.start
    ]
    return b"N3N\0" + json.dumps(spans).encode()
