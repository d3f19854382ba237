"""The pictures and the sound of the archive, made when somebody wants them.

A GOP is drawn and encoded by itself, so it is the same whoever asks for it and whenever. That takes some ten
milliseconds, so those asked for last are kept, and the one that will probably be asked for next is made in advance.
Its pictures show their number, mod 65536, in their strip, and their time in UTC on their clock. Where live pictures
come from a loop, recorded ones do, too: then they cost nothing, and show their number as counted from unit 0 of the
archive, mod the length of the loop.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from simulators import h264, h265
from simulators.ipro.archive import Coding, Unit
from simulators.ipro.dressing import Dressed
from simulators.ipro.information import H265, JPEG
from simulators.loops import SECONDS, Loop, loop
from simulators.picture import Picture
from simulators.sound import pitch, sound_loop
from simulators.stills import JpegEncoder
from simulators.video import VideoFormat

KEPT_BYTES = 32 * 1024 * 1024
JPEG_QUALITY = 75
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Pictures = list[list[bytes]]
"""The NAL units of each picture; of JPEG, one file."""


@dataclass(frozen=True)
class Sound:
    units: list[bytes]
    start: Fraction
    end: Fraction


@dataclass
class _Easel:
    """Where one camera's pictures of one kind are drawn, one after the other."""

    picture: Picture
    jpeg: JpegEncoder | None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Reel:
    def __init__(self, *, seed: Callable[[int], int], loops: bool, kilobits: int) -> None:
        """`seed`: what a camera's pictures show of it."""
        self._seed = seed
        self._loops = loops
        self._kilobits = kilobits
        self._easels: dict[tuple[int, Coding], _Easel] = {}
        self._kept: OrderedDict[tuple[Unit, int], Pictures] = OrderedDict()
        self._size = 0
        self._making: dict[tuple[Unit, int], asyncio.Task[Pictures]] = {}

    async def pictures(self, unit: Unit, since: int = 0) -> Pictures:
        """The unit's pictures; those between the first and number `since` are left out, and not referred to."""
        key = self._key(unit, since)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        return await asyncio.shield(self._made(key))

    def expect(self, unit: Unit) -> None:
        """Somebody will probably ask for this unit."""
        key = self._key(unit, 0)
        if key not in self._kept:
            self._made(key)

    def rest(self) -> None:
        """Make nothing more for nobody."""
        for task in self._making.values():
            task.cancel()

    def _key(self, unit: Unit, since: int) -> tuple[Unit, int]:
        if self._loops and unit.coding.codec != JPEG:
            unit = replace(unit, index=unit.index % SECONDS)
        return unit, since

    def _made(self, key: tuple[Unit, int]) -> asyncio.Task[Pictures]:
        if key not in self._making:
            self._making[key] = asyncio.create_task(self._keep(key))
        return self._making[key]

    async def _keep(self, key: tuple[Unit, int]) -> Pictures:
        try:
            made = await asyncio.to_thread(self._make, *key)
        finally:
            del self._making[key]
        self._kept[key] = made
        self._size += _size(made)
        while self._size > KEPT_BYTES and len(self._kept) > 1:
            self._size -= _size(self._kept.popitem(last=False)[1])
        return made

    async def sound(self, codec: str, unit: Unit) -> Sound:
        """What was heard while a unit of seconds was recorded: the pieces that begin in it."""
        made = await asyncio.to_thread(sound_loop, codec, pitch(self._seed(unit.camera)))
        low, high = (math.ceil(moment * made.rate / made.samples) for moment in (unit.start, unit.end))
        pieces = [made.units[number % len(made.units)] for number in range(low, high)]
        start, end = (Fraction(number * made.samples, made.rate) for number in (low, high))
        return Sound(pieces, start, end)

    def _make(self, unit: Unit, since: int) -> Pictures:
        coding = unit.coding
        wanted = [0, *range(max(since, 1), coding.count)]
        if coding.codec == JPEG:
            return self._drawn(unit, wanted)
        if self._loops:
            seed, name = self._seed(unit.camera), f"Camera {unit.camera}"
            video = VideoFormat(coding.width, coding.height, Fraction(coding.rate), self._kilobits)
            made = loop(coding.codec.lower(), video, seed=seed, name=name)
            source, numbers = made, [unit.index * coding.count + number for number in wanted]
        else:
            source, numbers = Loop(tuple(map(tuple, self._drawn(unit, wanted)))), list(range(len(wanted)))
        dressed = Dressed(coding.codec, source)
        return [dressed.frame(number) for number in numbers]

    def _drawn(self, unit: Unit, wanted: list[int]) -> Pictures:
        easel = self._easel(unit)
        coding = unit.coding
        with easel.lock:
            encode = self._encoder(easel, coding)
            made = []
            for count, number in enumerate(wanted):
                when = EPOCH + timedelta(microseconds=math.floor(unit.time(number) * 1_000_000))
                made.append(encode(easel.picture.draw(unit.first + number, when), count))
            return made

    def _encoder(self, easel: _Easel, coding: Coding) -> Callable[..., list[bytes]]:
        if easel.jpeg is not None:
            jpeg = easel.jpeg
            return lambda planes, _: [jpeg.encode(planes)]
        rate = Fraction(coding.rate)
        if coding.codec == H265:
            return h265.Encoder(coding.width, coding.height, rate).encode
        return h264.Encoder(coding.width, coding.height, rate, self._kilobits, delimiters=True).encode

    def _easel(self, unit: Unit) -> _Easel:
        key = unit.camera, unit.coding
        if key not in self._easels:
            width, height, still = unit.coding.width, unit.coding.height, unit.coding.codec == JPEG
            name = f"Camera {unit.camera}"
            picture = Picture(width, height, seed=self._seed(unit.camera), name=name, full_range=still)
            encoder = JpegEncoder(width, height, JPEG_QUALITY) if still else None
            self._easels[key] = _Easel(picture, encoder)
        return self._easels[key]


def _size(pictures: Pictures) -> int:
    return sum(len(piece) for picture in pictures for piece in picture)
