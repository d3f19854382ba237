"""Live sound: a tone of the device's own that beeps at the full second, encoded in advance.

Samples follow the device's clock as pictures do (sample k is heard k / rate seconds after the device started), so the
beep falls on the pictures whose number is a multiple of their rate, and pictures and sound can be held against each
other. The tone repeats itself each second, so after a whole number of seconds and units a loop of units has no seam.
A process encodes each loop once, when it is first listened to: sending is all that sound costs then.

    codec      units                                   clock
    aac        AAC-LC, 48 kHz, mono, 1024 samples      48 kHz
    g711u g711a  G.711, 40 ms                           8 kHz
    g726 g726le  G.726 at 32 kbit/s, 40 ms: the first sample in the high half of a byte (AAL2), or in the low (RFC 3551)
    gsm        GSM 06.10, 20 ms in 33 bytes             8 kHz
"""

from __future__ import annotations

import array
import asyncio
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, cast

import av

from simulators import gsm

LOUD, QUIET = 12_000, 3_000  # of 32767: the beep and the tone between beeps
BEEP_SECONDS = 0.1
WARM_UP = 10  # units an encoder is given before a loop begins
LATE = 1.0  # seconds behind the clock after which sound is skipped instead of caught up
AUDIO_SPECIFIC_CONFIG = bytes.fromhex("1188")
"""AAC-LC, 48 kHz, one channel: what a decoder of the `aac` units has to be told."""


def pitch(seed: int) -> int:
    """The tone of a device in hertz: a multiple of 20 from 300 to 680."""
    return 300 + 20 * (seed % 20)


def second(rate: int, frequency: int) -> array.array[int]:
    """The samples of one second, of 16 bits."""
    return array.array(
        "h",
        (
            round((LOUD if index < BEEP_SECONDS * rate else QUIET) * math.sin(2 * math.pi * frequency * index / rate))
            for index in range(rate)
        ),
    )


class UnitEncoder(Protocol):
    rate: int
    samples: int
    """How many samples a call of `encode` takes."""
    unit_samples: int
    """How many samples are in a unit."""
    padding: int
    """How many samples of silence come out before the first."""

    def encode(self, samples: array.array[int]) -> list[bytes]:
        """The units that are ready now."""


class _Aac:
    rate, samples, unit_samples, padding = 48_000, 1024, 1024, 1024

    def __init__(self) -> None:
        self._codec = _opened("aac", self.rate, "fltp", bit_rate=64_000)
        self._given = 0

    def encode(self, samples: array.array[int]) -> list[bytes]:
        frame = _frame("fltp", array.array("f", (sample / 32768 for sample in samples)), self.rate, self._given)
        self._given += len(samples)
        return [bytes(packet) for packet in self._codec.encode(frame)]


class _Pcm:
    rate, samples, unit_samples, padding = 8000, 320, 320, 0

    def __init__(self, codec: str) -> None:
        self._codec = _opened(codec, self.rate, "s16")

    def encode(self, samples: array.array[int]) -> list[bytes]:
        return [bytes(packet) for packet in self._codec.encode(_frame("s16", samples, self.rate, 0))]


class _G726:
    # The encoder wants 2048 samples at once; with 4 bits a sample the stream may be cut at any byte.
    rate, samples, unit_samples, padding = 8000, 2048, 320, 0

    def __init__(self, codec: str) -> None:
        self._codec = _opened(codec, self.rate, "s16", bit_rate=32_000)
        self._given = 0
        self._rest = b""

    def encode(self, samples: array.array[int]) -> list[bytes]:
        frame = _frame("s16", samples, self.rate, self._given)
        self._given += len(samples)
        ready = self._rest + b"".join(bytes(packet) for packet in self._codec.encode(frame))
        size = self.unit_samples // 2
        whole = len(ready) // size * size
        self._rest = ready[whole:]
        return [ready[at : at + size] for at in range(0, whole, size)]


class _Gsm:
    rate, samples, unit_samples, padding = gsm.RATE, gsm.SAMPLES, gsm.SAMPLES, 0

    def __init__(self) -> None:
        self._before = 0

    def encode(self, samples: array.array[int]) -> list[bytes]:
        unit = gsm.encode(samples, self._before)
        self._before = samples[-1]
        return [unit]


ENCODERS: dict[str, Callable[[], UnitEncoder]] = {
    "aac": _Aac,
    "g711u": lambda: _Pcm("pcm_mulaw"),
    "g711a": lambda: _Pcm("pcm_alaw"),
    "g726": lambda: _G726("g726"),
    "g726le": lambda: _G726("g726le"),
    "gsm": _Gsm,
}

Listener = Callable[[bytes, int, float], None]
"""Takes a unit, its time in samples since the device started, and the same on the wall's clock."""


@dataclass(frozen=True)
class SoundLoop:
    units: tuple[bytes, ...]
    rate: int
    samples: int
    """In each unit. Unit n of a device holds its samples from n times this on."""


_loops: dict[tuple[str, int], SoundLoop] = {}
_encoding = threading.Lock()


def sound_loop(codec: str, frequency: int) -> SoundLoop:
    """The loop of this tone; the first one who asks waits for it."""
    key = codec, frequency
    with _encoding:
        if key not in _loops:
            _loops[key] = _encode(codec, frequency)
        return _loops[key]


def _encode(codec: str, frequency: int) -> SoundLoop:
    encoder = ENCODERS[codec]()
    rate, length = encoder.rate, encoder.unit_samples
    count = math.lcm(rate, length) // length
    # An encoder needs a while to sound as it does in the middle.
    before = WARM_UP + encoder.padding // length
    twice = second(rate, frequency) * 2
    at = -WARM_UP * length
    units: list[bytes] = []
    while len(units) < before + count:
        start = at % rate
        units += encoder.encode(twice[start : start + encoder.samples])
        at += encoder.samples
    return SoundLoop(tuple(units[before : before + count]), rate, length)


class SoundSource:
    def __init__(self, codec: str, *, seed: int, started: float) -> None:
        self.codec = codec
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
        """Send nothing more to this listener; the last one gone stops the sound."""
        self._listeners.remove(listener)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        loop = await asyncio.to_thread(sound_loop, self.codec, self._frequency)
        seconds = loop.samples / loop.rate
        number = self._next(seconds)
        while True:
            # A unit is there when its last sample has been heard.
            await asyncio.sleep(self._started + (number + 1) * seconds - time.monotonic())
            self._send(loop.units[number % len(loop.units)], number * loop.samples, loop.rate)
            number += 1
            if time.monotonic() > self._started + (number + 1) * seconds + LATE:
                number = self._next(seconds)

    def _next(self, seconds: float) -> int:
        return math.ceil((time.monotonic() - self._started) / seconds)

    def _send(self, unit: bytes, sample: int, rate: int) -> None:
        now = time.monotonic()
        if now < self.silent_until:
            return
        wall = time.time() - now + self._started + sample / rate
        for listener in list(self._listeners):
            listener(unit, sample, wall)


def _opened(name: str, rate: int, kind: str, bit_rate: int | None = None) -> av.AudioCodecContext:
    codec = cast(av.AudioCodecContext, av.CodecContext.create(name, "w"))
    codec.sample_rate, codec.layout, codec.format = rate, "mono", kind
    if bit_rate is not None:
        codec.bit_rate = bit_rate
    codec.open()
    return codec


def _frame(kind: str, samples: array.array[int] | array.array[float], rate: int, given: int) -> av.AudioFrame:
    frame = av.AudioFrame(format=kind, layout="mono", samples=len(samples))
    frame.sample_rate, frame.pts, frame.time_base = rate, given, Fraction(1, rate)
    frame.planes[0].update(samples.tobytes())
    return frame
