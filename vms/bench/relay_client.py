"""Viewers of the relay's benchmark, in a process of their own.

    python -m vms.bench.relay_client PORT [--each 0,1,2…] [--kind messages] [--stalled 20] [--bytes-per-second 250000]

Each line on standard input starts counting anew, and what was counted is told. Ages are those of pictures when they
arrive here, by the moment that the sender put into them.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import socket
import time
from array import array
from typing import Any

import uvloop

from vms.bench.film import STAMP, STAMP_UUID

HEAD = 512  # how far into a message the stamp stands at most


class Viewer(asyncio.Protocol):
    """As little of a WebSocket client as will do: frames from the server are not masked and not split."""

    def __init__(self, path: str, seen: Seen, rate: int = 0) -> None:
        self.dropped = 0
        self.broken = 0  # a picture after a gap that is not a key picture
        self._path = path
        self._seen = seen
        self._rate = rate
        self._buffer = bytearray()
        self._shaken = False
        self._after_gap = False
        self.asked_at = time.perf_counter()
        self.first_at = 0.0
        self.transport: asyncio.Transport | None = None
        self._credit_at = 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if self._rate and self.transport is not None:
            # Reads no faster than its line would.
            loop = asyncio.get_running_loop()
            self._credit_at = max(self._credit_at, loop.time()) + len(data) / self._rate
            self.transport.pause_reading()
            loop.call_at(self._credit_at, self.transport.resume_reading)
        buffer = self._buffer
        buffer += data
        if not self._shaken:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._shaken = True
            del buffer[: end + 4]
        at = 0
        while len(buffer) - at >= 2:
            size, head = buffer[at + 1], 2
            if size == 126:
                size, head = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
            elif size == 127:
                size, head = int.from_bytes(buffer[at + 2 : at + 10], "big"), 10
            if len(buffer) - at < head + size:
                break
            self._take(buffer[at] & 0x0F, bytes(buffer[at + head : at + head + size]))
            at += head + size
        del buffer[:at]

    def _take(self, kind: int, message: bytes) -> None:
        if kind == 1:
            told = json.loads(message)
            if told["type"] == "dropped":
                self.dropped += told["frames"]
                self._after_gap = True
            return
        if kind != 2 or message[4:8] == b"ftyp":
            return
        now = time.time()
        if not self.first_at:
            self.first_at = time.perf_counter()
        if self._after_gap:
            self._after_gap = False
            self.broken += not _is_key(message)
        place = message.find(STAMP_UUID, 0, HEAD)
        self._seen.take(now, None if place < 0 else now - STAMP.unpack_from(message, place + len(STAMP_UUID))[0])


def _is_key(fragment: bytes) -> bool:
    """The flags of trun's sample: 0x02000000 for one that depends on no other."""
    at = fragment.find(b"trun")
    return at > 0 and fragment[at + 24 : at + 28] == b"\x02\x00\x00\x00"


class Seen:
    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.ages = array("d")
        self.frames = 0
        self.last = 0.0
        self.longest_pause = 0.0

    def take(self, now: float, age: float | None) -> None:
        self.frames += 1
        if age is not None:
            self.ages.append(age)
        if self.last:
            self.longest_pause = max(self.longest_pause, now - self.last)
        self.last = now

    def told(self) -> dict[str, float]:
        ages = sorted(self.ages)

        def at(share: float) -> float:
            return round(1000 * ages[min(len(ages) - 1, int(share * len(ages)))], 3) if ages else 0.0

        return {
            "frames": self.frames,
            "age_p50_ms": at(0.5),
            "age_p99_ms": at(0.99),
            "age_max_ms": at(1.0),
            "last": self.last,
            "longest_pause_ms": round(1000 * self.longest_pause, 1),
        }


class Stalled(asyncio.Protocol):
    """Asks, and reads nothing ever."""

    def __init__(self, path: str) -> None:
        self._viewer = Viewer(path, Seen())

    def connection_made(self, transport: Any) -> None:
        self._viewer.connection_made(transport)
        transport.pause_reading()


async def run(given: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    seen = Seen()
    path = "/ws/live/{}/?stream=h264"
    viewers: list[Viewer] = []

    async def join(camera: int) -> Viewer:
        viewer = Viewer(path.format(camera), seen, given.bytes_per_second)
        line = socket.socket()
        if given.bytes_per_second:
            # What is slow is to be the line, which holds next to nothing, and not a reader with megabytes before it.
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        line.setblocking(False)
        await loop.sock_connect(line, ("127.0.0.1", given.port))
        await loop.create_connection(lambda: viewer, sock=line)
        viewers.append(viewer)
        return viewer

    for camera in map(int, given.each.split(",")):
        await join(camera)
    print("{}", flush=True)
    commands: asyncio.Queue[bytes] = asyncio.Queue()
    loop.add_reader(0, lambda: commands.put_nowait(os.read(0, 1000)))
    while command := await commands.get():
        match command.decode().split():
            case ["count"]:
                told: dict[str, Any] = seen.told()
                told |= {"dropped": sum(v.dropped for v in viewers), "broken": sum(v.broken for v in viewers)}
                seen.clear()
            case ["stall", number]:
                for _ in range(int(number)):
                    await loop.create_connection(lambda: Stalled(path.format(0)), "127.0.0.1", given.port)
                told = {}
            case ["join", number]:
                waits = []
                for _ in range(int(number)):
                    viewer = await join(0)
                    while not viewer.first_at:  # noqa: ASYNC110 — looked at as finely as is measured
                        await asyncio.sleep(0.0005)
                    waits.append(viewer.first_at - viewer.asked_at)
                    assert viewer.transport is not None
                    viewer.transport.abort()
                    viewers.remove(viewer)
                    await asyncio.sleep(0.02)
                waits.sort()
                told = {"p50_ms": 1000 * waits[len(waits) // 2], "p99_ms": 1000 * waits[int(0.99 * (len(waits) - 1))]}
            case _:
                raise SystemExit(f"what is {command!r}?")
        print(json.dumps(told), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--each", required=True, help="the camera of each viewer")
    parser.add_argument("--bytes-per-second", type=int, default=0)
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
