"""What the relay's benchmark measures, in a process of its own: the relay behind its socket, or one of its yardsticks.

    python -m vms.bench.relay_server relay --streams 32      as in the product: RTP → relay → Channels → uvicorn
    python -m vms.bench.relay_server pipe --streams 32       a bare pipe on the same loop and server: the datagrams of a
                                                             picture, up to its marker, go to the transport as they are
    python -m vms.bench.relay_server remux --streams 32      PyAV takes the same RTP and muxes it to nowhere

It prints `{"port": …, "ports": […]}`, and for each line on standard input what it has used and done since the last.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop

BURST = 128


def rss() -> int:
    """Bytes of memory of this process's own."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) * 1024
    raise OSError("no Private_Dirty in smaps_rollup")


class Report:
    """Answers each line on standard input with the CPU seconds and frames since the one before."""

    def __init__(self, figures: Callable[[], dict[str, float]]) -> None:
        self._figures = figures
        self._before: dict[str, float] = {}
        self._at = 0.0

    def say(self) -> None:
        now = {"cpu": time.process_time(), "memory": rss(), "at": time.monotonic(), **self._figures()}
        since = {name: value - self._before.get(name, 0.0) for name, value in now.items()}
        self._before = now
        print(json.dumps({**since, "memory": now["memory"]}), flush=True)


def _ports(count: int) -> list[socket.socket]:
    found: list[socket.socket] = []
    while len(found) < count:
        line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        line.bind(("127.0.0.1", 0))
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        line.setblocking(False)
        if line.getsockname()[1] % 2 == 0:
            found.append(line)
        # an odd one stays taken until this function ends, so that it does not come again at once
    return found


async def serve(app: Any, lines: list[socket.socket], report: Report) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        port=0,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 — uvicorn tells it no other way
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    gc.collect()
    gc.freeze()
    print(json.dumps({"port": port, "ports": [line.getsockname()[1] for line in lines]}), flush=True)
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def command() -> None:
        if os.read(0, 1000):
            report.say()
        elif not ended.done():
            ended.set_result(None)

    loop.add_reader(0, command)
    await ended
    server.should_exit = True
    await running


# --- The relay --------------------------------------------------------------------------------------------------------
def relay_app(lines: list[socket.socket], silence: float) -> tuple[Any, Report]:
    import django

    django.setup()
    from channels.routing import URLRouter
    from django.contrib.auth.models import AnonymousUser
    from django.urls import path

    from devices.families.base import Stream
    from devices.models import Camera, Device
    from streaming import consumers, ownership, relay
    from streaming.media import Unit
    from streaming.sources import lines as framings
    from streaming.sources.lines import RtpLine
    from streaming.sources.rtp_udp import RtpReceiver

    class Upstream:
        def __init__(self, receiver: RtpReceiver) -> None:
            self.lost, self.lost_reason, self._receiver = asyncio.Event(), "", receiver

        def want_sound(self, wanted: bool) -> None:
            pass

        def figures(self) -> dict[str, int]:
            return self._receiver.figures()

    def source(camera: int, stream: str) -> Any:
        @asynccontextmanager
        async def opened(on_unit: Callable[[Unit], None]) -> AsyncIterator[Upstream]:
            line = RtpLine(framings.pictures(), on_unit)
            receiver = RtpReceiver(lines[camera], frozenset({"127.0.0.1"}), line)
            try:
                yield Upstream(receiver)
            finally:
                receiver.close()

        return opened

    class Consumer(consumers.LiveConsumer):
        """Everything but who may: there is no database here."""

        async def connect(self) -> None:
            self.thing = Camera(pk=self.kwargs["camera"], device=Device(pk=1, family="povcam"))
            await self.enter()

    relays = relay.Relays(relay.Timing(silence=silence))
    for name, value in {
        "device_source": source,
        "streams_of": lambda camera: [Stream("h264", "h264", 1920, 1080, 30, "rtp")],
    }.items():
        setattr(consumers, name, value)
    ownership.relays = relays  # type: ignore[attr-defined]  # not its export, but what it answers with
    router = URLRouter([path("ws/live/<int:camera>/", Consumer.as_asgi())])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await router({**scope, "user": AnonymousUser()}, receive, send)

    def figures() -> dict[str, float]:
        streams = list(relays.figures().values())
        names = ("frames", "openings", "viewer_drops", "upstream_lost", "upstream_dropped", "upstream_reordered")
        told = {name: float(sum(each.get(name, 0) for each in streams)) for name in names}
        return {**told, "sent": sum(v.frames for r in relays._relays.values() for v in r.viewers)}

    return app, Report(figures)


# --- The yardsticks ---------------------------------------------------------------------------------------------------
def pipe_app(lines: list[socket.socket]) -> tuple[Any, Report]:
    """One message per picture, the datagrams as they came, to everybody who watches."""
    watching: dict[int, set[asyncio.Transport]] = {}
    counted = {"frames": 0.0, "sent": 0.0}

    def start(number: int) -> None:
        line, viewers = lines[number], watching.setdefault(number, set())
        receive, parts = line.recv, list[bytes]()

        def drain() -> None:
            try:
                for _ in range(BURST):
                    datagram = receive(9216)
                    parts.append(datagram)
                    if datagram[1] & 0x80:
                        message = b"".join(parts)
                        parts.clear()
                        counted["frames"] += 1
                        counted["sent"] += len(viewers)
                        size = len(message)
                        wide = size >= 0x10000
                        head = bytes((0x82, 127 if wide else 126)) + size.to_bytes(8 if wide else 2, "big")
                        for viewer in viewers:
                            viewer.writelines((head, message))
            except BlockingIOError:
                pass

        asyncio.get_running_loop().add_reader(line.fileno(), drain)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        number = int(scope["path"].split("/")[3])
        if number not in watching:
            start(number)
        await receive()
        await send({"type": "websocket.accept"})
        transport = send.__self__.transport
        watching[number].add(transport)
        while (await receive())["type"] != "websocket.disconnect":
            pass
        watching[number].discard(transport)

    return app, Report(lambda: dict(counted))


def remux(count: int) -> None:
    """Each stream in a thread: RTP from a port, as SDP tells, into fragmented MP4 that goes nowhere."""
    import av

    class Nowhere:
        def write(self, data: bytes) -> int:
            return len(data)

    held = _ports(count)
    numbers = [line.getsockname()[1] for line in held]
    for line in held:
        line.close()
    counted = [0] * count

    def run(index: int) -> None:
        sdp = (
            f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {numbers[index]} RTP/AVP 98\n"
            "a=rtpmap:98 H264/90000\na=fmtp:98 packetization-mode=1\n"
        )
        with tempfile.NamedTemporaryFile("w", suffix=".sdp") as file:
            file.write(sdp)
            file.flush()
            options = {"protocol_whitelist": "file,udp,rtp", "buffer_size": str(4 * 1024 * 1024)}
            with (
                av.open(file.name, options=options) as source,
                av.open(Nowhere(), "w", "mp4", options={"movflags": "frag_every_frame+empty_moov"}) as sink,
            ):
                stream = sink.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.dts is not None:
                        packet.stream = stream
                        sink.mux(packet)
                    counted[index] += 1

    for index in range(count):
        threading.Thread(target=run, args=(index,), daemon=True).start()
    print(json.dumps({"port": 0, "ports": numbers}), flush=True)
    report = Report(lambda: {"frames": float(sum(counted))})
    for _ in sys.stdin:
        report.say()
    os._exit(0)  # libavformat's readers do not let themselves be called off


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vms.settings")
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("relay", "pipe", "remux"))
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--silence", type=float, default=3.0)
    given = parser.parse_args()
    if given.what == "remux":
        remux(given.streams)
        return
    lines = _ports(given.streams)
    app, report = relay_app(lines, given.silence) if given.what == "relay" else pipe_app(lines)
    uvloop.run(serve(app, lines, report))


if __name__ == "__main__":
    main()
