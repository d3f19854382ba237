"""A camera in memory, as a source: the test says what it sends and how it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from streaming.media import AudioUnit, Unit
from tests.streaming.film import Film, units_of


class MemoryCamera:
    def __init__(self, film: Film) -> None:
        self.units = units_of(film)
        self.sent = 0
        self.openings = 0
        self.sound_wanted = False
        self.closings = 0
        self.problem: Exception | None = None
        self.lost = asyncio.Event()
        self.lost_reason = ""
        self.may_close = asyncio.Event()
        self.may_close.set()
        self.opened = asyncio.Event()
        self._on_unit: Callable[[Unit], None] | None = None

    @asynccontextmanager
    async def source(self, on_unit: Callable[[Unit], None]) -> AsyncIterator[MemoryCamera]:
        self.openings += 1
        if self.problem is not None:
            raise self.problem
        self.lost.clear()
        self._on_unit = on_unit
        self.opened.set()
        try:
            yield self
        finally:
            self.opened.clear()
            self._on_unit = None
            await self.may_close.wait()
            self.closings += 1

    def want_sound(self, wanted: bool) -> None:
        self.sound_wanted = wanted

    def figures(self) -> dict[str, int]:
        return {"lost": 3}

    def say(self, unit: AudioUnit) -> None:
        assert self._on_unit is not None
        self._on_unit(unit)

    def send(self, count: int = 1) -> None:
        assert self._on_unit is not None
        for _ in range(count):
            self._on_unit(self.units[self.sent % len(self.units)])
            self.sent += 1
