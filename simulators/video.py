"""Live pictures: one encoder per stream however many receive it, and none while nobody does.

`VideoSource` draws, encodes and sends while it has receivers. Frame numbers follow the device's clock (frame n is taken
n / rate seconds after the device started), so the number in the picture's strip tells when it was taken. Drawing and
encoding happen on a thread of the source's own; a frame's packets are spread over half of the frame's time, as a
camera's network chip does, so that a large picture does not arrive as one burst.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from simulators.h264 import Encoder
from simulators.picture import Picture, jpeg
from simulators.rtp import CLOCK, MTU, Packetizer

BURST = 8  # packets sent at once
LATE = 1.0  # seconds behind the clock after which frames are skipped instead of caught up
STILLS_RATE = 30


@dataclass(frozen=True)
class VideoFormat:
    width: int
    height: int
    rate: Fraction
    kilobits: int


class Receiver:
    """Where packets go: one client's port, or with a `ttl` a multicast group."""

    def __init__(self, host: str, port: int, local_host: str, *, mtu: int = MTU, ttl: int = 0) -> None:
        self.host, self.port = host, port
        self.packetizer = Packetizer(mtu=mtu)
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


class VideoSource:
    def __init__(self, video: VideoFormat, *, seed: int, name: str, started: float) -> None:
        self.format = video
        self.name = name
        self.silent_until = 0.0
        """Nothing is sent before this time of the monotonic clock."""
        self.lose_every = 0
        """Each n-th packet is lost on the way; 0 loses none."""
        self._seed = seed
        self._started = started
        self._receivers: list[Receiver] = []
        self._task: asyncio.Task[None] | None = None
        self._sent = 0

    @property
    def encoding(self) -> bool:
        return self._task is not None

    def add(self, receiver: Receiver) -> None:
        self._receivers.append(receiver)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def remove(self, receiver: Receiver) -> None:
        """Send nothing more to this receiver; the last one gone stops the encoder."""
        self._receivers.remove(receiver)
        receiver.close()
        if not self._receivers and self._task is not None:
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

    async def _run(self) -> None:
        rate = float(self.format.rate)
        loop = asyncio.get_running_loop()
        pool = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        try:
            picture, encoder = await loop.run_in_executor(pool, self._prepare)
            number = self._next_number()
            while True:
                await asyncio.sleep(self._started + number / rate - time.monotonic())
                units = await loop.run_in_executor(pool, _encode, picture, encoder, number)
                await self._send(units, number)
                number += 1
                if time.monotonic() > self._started + number / rate + LATE:
                    number = self._next_number()
        finally:
            pool.shutdown(wait=False)

    def _next_number(self) -> int:
        return math.ceil((time.monotonic() - self._started) * self.format.rate)

    def _prepare(self) -> tuple[Picture, Encoder]:
        video = self.format
        picture = Picture(video.width, video.height, seed=self._seed, name=self.name)
        return picture, Encoder(video.width, video.height, video.rate, video.kilobits)

    async def _send(self, units: list[bytes], number: int) -> None:
        if time.monotonic() < self.silent_until:
            return
        ticks = int(number * CLOCK / self.format.rate)
        now = time.time()
        information = struct.pack("!II", int(now), int(now % 1 * 100))
        queues = [(receiver, receiver.packetizer.packets(units, ticks, information)) for receiver in self._receivers]
        longest = max((len(packets) for _, packets in queues), default=0)
        pause = BURST / (2 * float(self.format.rate) * longest) if longest else 0.0
        for start in range(0, longest, BURST):
            if start:
                await asyncio.sleep(pause)
            for receiver, packets in queues:
                for packet in packets[start : start + BURST]:
                    self._sent += 1
                    if receiver in self._receivers and not (self.lose_every and self._sent % self.lose_every == 0):
                        receiver.send(packet)


def _encode(picture: Picture, encoder: Encoder, number: int) -> list[bytes]:
    return encoder.encode(picture.draw(number, datetime.now()), number)


class Stills:
    """JPEG pictures of one size, drawn when asked for and shared by whoever asks for the same one."""

    def __init__(self, width: int, height: int, *, seed: int, name: str, started: float, quality: int = 85) -> None:
        self._size, self._seed, self._name = (width, height), seed, name
        self._picture: Picture | None = None  # made when first wanted: a fleet is mostly not looked at
        self._quality = quality
        self._started = started
        self._lock = asyncio.Lock()
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
        if self._picture is None:
            self._picture = Picture(*self._size, seed=self._seed, name=self._name, full_range=True)
        return jpeg(self._picture.draw(number, datetime.now()), self._quality)


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
