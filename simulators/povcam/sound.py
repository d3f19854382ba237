"""Live sound as section 15.4 sends it: AAC-LC at 48 kHz, one unit of 1024 samples at a time.

The sound is a loop of eight seconds, encoded once for each bit rate however many devices and clients there are: the
device's own tone, louder for a moment at each full second, or silence while the input is off. Eight seconds are a whole
number of units and the tone repeats itself each second, so the loop has no seam. Unit n holds the samples from n * 1024
on since the device started: sound and pictures share one clock, and the beep falls on the pictures whose number is a
multiple of their rate.
"""

from __future__ import annotations

import array
import asyncio
import math
import threading
import time
from collections.abc import AsyncGenerator
from fractions import Fraction

import av

from simulators.sound import Listener, pitch, second

RATE = 48_000
SAMPLES = 1024  # of a unit
LOOP_UNITS = 375  # eight seconds
WARM_UP = 10  # units an encoder is given before the loop, so that its first unit sounds like one in the middle
PADDING = 1  # units of silence that come out of the encoder first
LATE = 1.0  # seconds behind the clock after which sound is skipped instead of caught up
SPECIFIC_CONFIG = {1: "1188", 2: "1190"}
"""What a decoder is told of the units, by their number of channels."""

Units = tuple[bytes, ...]
Key = tuple[int, int, int]  # the tone in hertz (0: silence), kbit/s, channels
_loops: dict[Key, Units] = {}
_encoding = threading.Lock()


class Sound:
    """The sound of one device."""

    def __init__(self, *, seed: int, started: float, channels: int = 2) -> None:
        self.channels = channels
        self.kilobits = 128
        self.heard = True
        """Whether the tone is heard, or silence."""
        self.silent_until = 0.0
        """Nothing is sent before this time of the monotonic clock."""
        self._frequency = pitch(seed)
        self._started = started
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._task is not None

    def add(self, listener: Listener) -> None:
        self._listeners.append(listener)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def remove(self, listener: Listener) -> None:
        """No more for this one; the last one gone ends the work."""
        if listener in self._listeners:
            self._listeners.remove(listener)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    async def framed(self, ended: asyncio.Event) -> AsyncGenerator[bytes, None]:
        """The units with an ADTS header each, which tells what they are, until the event."""
        waiting: asyncio.Queue[bytes] = asyncio.Queue(100)

        def hear(unit: bytes, sample: int, wall: float) -> None:
            if not waiting.full():  # a client that reads too slowly loses sound
                waiting.put_nowait(adts(unit, self.channels))

        self.add(hear)
        ending = asyncio.create_task(ended.wait())
        try:
            while not ended.is_set():
                getting = asyncio.create_task(waiting.get())
                await asyncio.wait((getting, ending), return_when=asyncio.FIRST_COMPLETED)
                if getting.done():
                    yield getting.result()
                else:
                    getting.cancel()
        finally:
            ending.cancel()
            self.remove(hear)

    async def _run(self) -> None:
        number = self._next_number()
        units: Units = ()
        key: Key = (-1, 0, 0)
        while True:
            if key != self._key:
                key = self._key
                units = await asyncio.to_thread(tone, *key)
                number = self._next_number()
            # A unit is there when its last sample has been heard.
            await asyncio.sleep(self._started + (number + 1) * SAMPLES / RATE - time.monotonic())
            now = time.monotonic()
            if now >= self.silent_until:
                wall = time.time() - now + self._started + number * SAMPLES / RATE
                for listener in list(self._listeners):
                    listener(units[number % LOOP_UNITS], number * SAMPLES, wall)
            number += 1
            if now > self._started + number * SAMPLES / RATE + LATE:
                number = self._next_number()

    @property
    def _key(self) -> Key:
        return self._frequency if self.heard else 0, self.kilobits, self.channels

    def _next_number(self) -> int:
        return math.ceil((time.monotonic() - self._started) * RATE / SAMPLES)


def tone(frequency: int, kilobits: int, channels: int) -> Units:
    """The units of the loop; the first one who asks waits for it."""
    key = frequency, kilobits, channels
    with _encoding:
        if key not in _loops:
            _loops[key] = _encode(*key)
        return _loops[key]


def adts(unit: bytes, channels: int) -> bytes:
    """The unit behind the header of an AAC-LC stream at 48 kHz (ISO 13818-7)."""
    length = len(unit) + 7
    profile, rate_index = 1, 3
    head = bytes((0xFF, 0xF1, profile << 6 | rate_index << 2 | channels >> 2))
    tail = (channels & 3) << 38 | length << 21 | 0x7FF << 10
    return head + (tail >> 8).to_bytes(4, "big") + unit


def _encode(frequency: int, kilobits: int, channels: int) -> Units:
    codec = av.CodecContext.create("aac", "w")
    codec.sample_rate, codec.layout, codec.format = RATE, "mono" if channels == 1 else "stereo", "fltp"
    codec.bit_rate = kilobits * 1000
    codec.open()
    levels = second(RATE, frequency) if frequency else array.array("h", bytes(2 * RATE))
    samples = array.array("f", (level / 32768 for level in levels))
    twice = samples + samples
    packets: list[bytes] = []
    for number in range(-WARM_UP, LOOP_UNITS + PADDING):
        frame = av.AudioFrame(format="fltp", layout=codec.layout.name, samples=SAMPLES)
        frame.sample_rate, frame.pts, frame.time_base = RATE, (number + WARM_UP) * SAMPLES, Fraction(1, RATE)
        start = number * SAMPLES % RATE
        for plane in frame.planes:
            plane.update(twice[start : start + SAMPLES].tobytes())
        packets += [bytes(packet) for packet in codec.encode(frame)]
    packets += [bytes(packet) for packet in codec.encode(None)]
    first = WARM_UP + PADDING
    return tuple(packets[first : first + LOOP_UNITS])
