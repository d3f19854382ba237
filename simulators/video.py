"""Live pictures: one encoder per stream however many receive it, and none while nobody does.

`VideoSource` draws, encodes and sends while it has receivers. Frame numbers follow the device's clock (frame n is taken
n / rate seconds after the device started), so the number in the picture's strip tells when it was taken. Drawing and
encoding happen on a thread of the source's own; a frame's packets are spread over half of the frame's time, as a
camera's network chip does, so that a large picture does not arrive as one burst.

What sends the pictures is an `Outlet`: a UDP port (`Receiver`) or an HTTP answer (`multipart.Parts`). What makes them
is `Frames`: a picture drawn and encoded now, or a loop that was encoded before (`loops.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Protocol, runtime_checkable

from simulators import h264, h265
from simulators.picture import Picture
from simulators.rtp import CLOCK, MTU, Packetizer
from simulators.stills import JpegEncoder

BURST = 8  # packets sent at once
LATE = 1.0  # seconds behind the clock after which frames are skipped instead of caught up
STILLS_RATE = 30


@dataclass(frozen=True)
class VideoFormat:
    width: int
    height: int
    rate: Fraction
    kilobits: int
    """The most per second; 0, and H.265 always, is a constant quality."""


class Frames(Protocol):
    at_hand: bool
    """Whether a frame costs next to nothing, so that no thread is needed for it."""

    def frame(self, number: int) -> list[bytes]:
        """The NAL units of the frame of this number; numbers only grow."""


@runtime_checkable
class Reordered(Protocol):
    """Frames that come in the order a decoder wants them, which is not the order they are shown in."""

    @property
    def shown(self) -> int:
        """The number of the frame that came last."""


class Drawn:
    """Pictures drawn and encoded as they are wanted."""

    at_hand = False

    def __init__(self, codec: str, video: VideoFormat, *, seed: int, name: str, delimiters: bool = False) -> None:
        self._picture = Picture(video.width, video.height, seed=seed, name=name)
        self._encoder: h264.Encoder | h265.Encoder
        if codec == "h265":
            self._encoder = h265.Encoder(video.width, video.height, video.rate)
        else:
            self._encoder = h264.Encoder(video.width, video.height, video.rate, video.kilobits, delimiters=delimiters)

    def frame(self, number: int) -> list[bytes]:
        return self._encoder.encode(self._picture.draw(number, datetime.now()), number)


class Outlet(Protocol):
    """What one receiver is sent through."""

    @property
    def packetizer(self) -> Packetizer: ...

    def send(self, packet: bytes) -> None: ...

    def close(self) -> None: ...


class Receiver:
    """Where packets go: one client's port, or with a `ttl` a multicast group."""

    def __init__(
        self,
        host: str,
        port: int,
        local_host: str,
        *,
        packetizer: Packetizer | None = None,
        mtu: int = MTU,
        ttl: int = 0,
    ) -> None:
        self.host, self.port = host, port
        self.packetizer = packetizer or Packetizer(mtu=mtu)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((local_host, 0))
        if ttl:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(local_host))

    def send(self, packet: bytes) -> None:
        # A full buffer or a port nobody listens on loses the packet, as it would on a wire.
        with contextlib.suppress(OSError):
            self._socket.sendto(packet, (self.host, self.port))

    def close(self) -> None:
        self._socket.close()


@dataclass
class _Line:
    """An outlet, and what befalls packets on the way to it."""

    outlet: Outlet
    passed: int = 0
    held: list[tuple[int, bytes]] = field(default_factory=list)
    """Packets that come late, each with the number of the packet it follows."""

    def send(self, packet: bytes, source: VideoSource) -> None:
        self.passed += 1
        if source.late_every and self.passed % source.late_every == 0:
            self.held.append((self.passed + source.late_by, packet))
        elif not (source.lose_every and self.passed % source.lose_every == 0):
            self.outlet.send(packet)
        while self.held and self.held[0][0] <= self.passed:
            self.outlet.send(self.held.pop(0)[1])


def seconds_and_hundredths(wall: float, size: int) -> bytes:
    """When a picture was taken, as POVCAM writes it into its packets."""
    return struct.pack("!II", int(wall), int(wall % 1 * 100))


class VideoSource:
    def __init__(
        self,
        video: VideoFormat,
        *,
        seed: int,
        name: str,
        started: float,
        frames: Callable[[VideoFormat, int, str], Frames] | None = None,
        information: Callable[[float, int], bytes] = seconds_and_hundredths,
    ) -> None:
        """`frames` makes the frames of a format, a seed and a name; `information` what a picture's first packet tells
        besides, from the time it was taken and its size."""
        self.format = video
        self.name = name
        self.silent_until = 0.0
        """Nothing is sent before this time of the monotonic clock."""
        self.lose_every = 0
        """Each n-th packet to a receiver is lost on the way; 0 loses none."""
        self.late_every, self.late_by = 0, 1
        """Each n-th packet to a receiver comes so many packets later."""
        self._seed = seed
        self._started = started
        self._frames = frames or _drawn_h264
        self._information = information
        self._lines: list[_Line] = []
        self._task: asyncio.Task[None] | None = None
        self._cut: Callable[[], None] | None = None

    @property
    def encoding(self) -> bool:
        return self._task is not None

    def add(self, outlet: Outlet) -> None:
        self._lines.append(_Line(outlet))
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def remove(self, outlet: Outlet) -> None:
        """Send nothing more through this outlet; the last one gone stops the encoder."""
        self.take_off(outlet)
        outlet.close()

    def take_off(self, outlet: Outlet) -> None:
        """Send nothing more through this outlet, and leave it open."""
        self._lines = [line for line in self._lines if line.outlet is not outlet]
        if not self._lines and self._task is not None:
            self._task.cancel()
            self._task = None

    def change(self, video: VideoFormat) -> None:
        """Encode so from now on; who receives sees new parameter sets and a key picture."""
        if video == self.format:
            return
        self.format = video
        if self._task is not None:
            self._task.cancel()
            self._task = asyncio.create_task(self._run())

    def cut(self, then: Callable[[], None]) -> None:
        """Stop in the middle of the next picture of more than one packet, and do this then."""
        self._cut = then

    async def _run(self) -> None:
        rate = float(self.format.rate)
        loop = asyncio.get_running_loop()
        pool = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        try:
            frames = await loop.run_in_executor(pool, self._frames, self.format, self._seed, self.name)
            reordered = frames if isinstance(frames, Reordered) else None
            number = self._next_number()
            while True:
                due = self._started + number / rate
                await asyncio.sleep(due - time.monotonic())
                if frames.at_hand:
                    units = frames.frame(number)
                else:
                    units = await loop.run_in_executor(pool, frames.frame, number)
                shown = reordered.shown if reordered else number
                await self._send(units, shown, time.time() - time.monotonic() + due)
                number += 1
                if time.monotonic() > self._started + number / rate + LATE:
                    number = self._next_number()
        finally:
            pool.shutdown(wait=False)

    def _next_number(self) -> int:
        return math.ceil((time.monotonic() - self._started) * self.format.rate)

    async def _send(self, units: list[bytes], number: int, wall: float) -> None:
        if time.monotonic() < self.silent_until:
            return
        ticks = int(number * CLOCK / self.format.rate)
        information = self._information(wall, sum(map(len, units)))
        queues = [(line, line.outlet.packetizer.packets(units, ticks, information)) for line in self._lines]
        longest = max((len(packets) for _, packets in queues), default=0)
        cut, ends = None, longest
        if self._cut is not None and longest > 1:
            cut, self._cut, ends = self._cut, None, longest // 2
        pause = BURST / (2 * float(self.format.rate) * longest) if longest else 0.0
        for start in range(0, ends, BURST):
            if start:
                await asyncio.sleep(pause)
            for line, packets in queues:
                if line not in self._lines:
                    continue
                for packet in packets[start : min(start + BURST, ends)]:
                    line.send(packet, self)
        if cut is not None:
            cut()


def _drawn_h264(video: VideoFormat, seed: int, name: str) -> Frames:
    return Drawn("h264", video, seed=seed, name=name)


class Stills:
    """JPEG pictures of one size, drawn when asked for and shared by whoever asks for the same one."""

    def __init__(self, width: int, height: int, *, seed: int, name: str, started: float, quality: int = 85) -> None:
        self._size, self._seed, self._name = (width, height), seed, name
        self._picture: Picture | None = None  # made when first wanted: a fleet is mostly not looked at
        self._quality = quality
        self._started = started
        self._lock = asyncio.Lock()
        self._drawing = threading.Lock()  # who asked may have gone while a thread still draws
        self._number = -1
        self._jpeg = b""

    @property
    def last(self) -> bytes:
        """The picture that was asked for last; empty before the first."""
        return self._jpeg

    async def latest(self) -> bytes:
        async with self._lock:
            number = int((time.monotonic() - self._started) * STILLS_RATE)
            if number != self._number:
                self._jpeg = await asyncio.to_thread(self._draw, number)
                self._number = number
            return self._jpeg

    def _draw(self, number: int) -> bytes:
        with self._drawing:
            if self._picture is None:
                self._picture = Picture(*self._size, seed=self._seed, name=self._name, full_range=True)
                self._encoder = JpegEncoder(*self._size, self._quality)
            return self._encoder.encode(self._picture.draw(number, datetime.now()))


class Flow:
    """When the next picture of a stream of stills is due: at its rate, and not while a test wants silence."""

    def __init__(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._end: asyncio.TimerHandle | None = None

    def stop(self, seconds: float) -> None:
        """Let the streams stand, open and silent; 0 seconds: until `resume`."""
        self.resume()
        self._flowing.clear()
        if seconds:
            self._end = asyncio.get_running_loop().call_later(seconds, self._flowing.set)

    def resume(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None
        self._flowing.set()

    async def next(self, due: float, interval: float) -> float:
        """Wait for the picture after the one that was due then; its time."""
        due = max(due + interval, time.monotonic() - LATE)
        await asyncio.sleep(due - time.monotonic())
        await self._flowing.wait()
        return due
