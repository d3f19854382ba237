"""`manage.py bench relay`: what a picture costs on its way from RTP to the viewers' sockets, beside yardsticks.

One JSON line with a case each: 1080p30 at 4 Mbit/s, sent by a process of its own to viewers in another, so that only
the relay's CPU is counted. The yardsticks run in the same run, before and after what they measure:

    pipe     a bare UDP→WebSocket pipe on the same loop and server: one message per picture by its marker, no parsing
    remux    PyAV takes the same RTP in a thread per stream and muxes fragmented MP4 to nowhere

Ages count from the moment at which a picture's first packet was sent to its arrival in the viewer's process, so they
hold the sending of a picture's packets and the reading by the viewer, too. Memory is private and dirty.

The first picture and the delay in a browser are what `manage.py bench player` measures.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vms.bench import film
from vms.bench.product import ROOT

STREAMS, VIEWERS, STALLED = 32, 100, 20
RATE = 30
SETTLE_SECONDS = 8.0  # by then the first picture of each camera was kept, which is decoding it


class Part:
    """A process of the benchmark: a line in, a line out."""

    def __init__(self, module: str, *arguments: str, stdout: int | None = subprocess.PIPE) -> None:
        self._name = module
        command = [sys.executable, "-m", f"vms.bench.{module}", *arguments]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=stdout, text=True)

    def read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a part of the benchmark has ended: {self._name}")
        told: dict[str, Any] = json.loads(line)
        return told

    def tell(self, text: str = "") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def ask(self, text: str = "") -> dict[str, Any]:
        self.tell(text)
        return self.read()

    def end(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def part(module: str, *arguments: str, stdout: int | None = subprocess.PIPE) -> Iterator[Part]:
    process = Part(module, *arguments, stdout=stdout)
    try:
        yield process
    finally:
        process.end()


class Bench:
    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._seconds = seconds

    @contextlib.contextmanager
    def running(
        self, what: str, streams: int, viewers: list[int], *options: str, loss: float = 0.0, reorder: int = 0
    ) -> Iterator[tuple[Part, Part | None, Part]]:
        """The server, its viewers and the sender, all at work."""
        with part("relay_server", what, "--streams", str(streams), *options) as server:
            ready = server.read()
            ports = ",".join(map(str, ready["ports"]))
            sending = ("film", str(self._path), "--ports", ports, "--loss", str(loss), "--reorder", str(reorder))
            with contextlib.ExitStack() as stack:
                client = None
                if viewers:
                    client = stack.enter_context(self.client(ready["port"], viewers))
                sender = stack.enter_context(part(*sending, stdout=None))
                time.sleep(SETTLE_SECONDS)
                yield server, client, sender

    @contextlib.contextmanager
    def client(self, port: int, viewers: list[int], *options: str) -> Iterator[Part]:
        self.port = port
        with part("relay_client", str(port), "--each", ",".join(map(str, viewers)), *options) as client:
            client.read()
            yield client

    def counted(self, server: Part, client: Part | None) -> tuple[dict[str, Any], dict[str, Any]]:
        server.ask()
        if client is not None:
            client.ask("count")
        time.sleep(self._seconds)
        used = server.ask()
        return used, client.ask("count") if client is not None else {}

    # --- Cases --------------------------------------------------------------------------------------------------------
    def many_streams(self) -> dict[str, Any]:
        """32 streams with a viewer each."""
        costs: dict[str, list[float]] = {"pipe": [], "relay": [], "remux": []}
        ages: dict[str, dict[str, Any]] = {}
        everybody = list(range(STREAMS))
        for what in ("pipe", "relay", "remux", "relay", "pipe"):
            with self.running(what, STREAMS, [] if what == "remux" else everybody) as (server, client, _):
                used, seen = self.counted(server, client)
                costs[what].append(1e6 * used["cpu"] / used["frames"])
                if seen:
                    ages[what] = seen
        best = {what: min(each) for what, each in costs.items()}
        return {
            "us_per_frame": {what: [round(each, 1) for each in found] for what, found in costs.items()},
            "to_pipe": round(best["relay"] / best["pipe"], 2),
            "to_remux": round(best["relay"] / best["remux"], 2),
            "age_p50_ms": ages["relay"]["age_p50_ms"],
            "age_p99_ms": ages["relay"]["age_p99_ms"],
            "pipe_age_p50_ms": ages["pipe"]["age_p50_ms"],
            "pipe_age_p99_ms": ages["pipe"]["age_p99_ms"],
        }

    def many_viewers(self) -> dict[str, Any]:
        """One stream with 100 viewers: CPU for each picture of each viewer; and the same with one viewer, to leave out
        what the stream itself costs."""
        costs: dict[str, list[float]] = {"pipe": [], "relay": []}
        for what in ("pipe", "relay", "relay", "pipe"):
            with self.running(what, 1, [0] * VIEWERS) as (server, client, _):
                used, seen = self.counted(server, client)
                costs[what].append(1e6 * used["cpu"] / seen["frames"])
        return {
            "us_per_viewer_frame": {what: [round(each, 2) for each in found] for what, found in costs.items()},
            "to_pipe": round(min(costs["relay"]) / min(costs["pipe"]), 2),
        }

    def memory(self) -> dict[str, Any]:
        with part("relay_server", "relay", "--streams", str(STREAMS)) as server:
            ready = server.read()
            before = server.ask()["memory"]
            ports = ",".join(map(str, ready["ports"]))
            with (
                self.client(ready["port"], list(range(STREAMS))),
                part("film", str(self._path), "--ports", ports, stdout=None),
            ):
                time.sleep(SETTLE_SECONDS + 2)
                streams = server.ask()["memory"]
                with self.client(ready["port"], [0] * VIEWERS):
                    time.sleep(SETTLE_SECONDS)
                    viewers = server.ask()["memory"]
        return {
            "stream_mb": round((streams - before) / STREAMS / 1e6, 2),
            "viewer_kb": round((viewers - streams) / VIEWERS / 1e3, 1),
        }

    def warm_start(self) -> dict[str, Any]:
        """From the handshake of one who comes to a running stream to its first picture."""
        with self.running("relay", 1, [0]) as (_, client, _sender):
            assert client is not None
            return {name: round(value, 2) for name, value in client.ask("join 60").items()}

    def half_rate(self) -> dict[str, Any]:
        """A viewer whose line carries half of what the camera sends."""
        with (
            self.running("relay", 1, [0]) as (_, _client, _sender),
            self.client(self.port, [0], "--bytes-per-second", "250000") as slow,
        ):
            slow.ask("count")
            time.sleep(max(20.0, self._seconds))
            seen = slow.ask("count")
        return {
            "lag_max_ms": seen["age_max_ms"],
            "limit_ms": 1500,  # a GOP and half a second
            "dropped": seen["dropped"],
            "resumed_elsewhere_than_on_key_pictures": seen["broken"],
        }

    def bad_line(self) -> dict[str, Any]:
        """0.3 % of all packets lost; and none lost, but up to 8 places late."""
        with self.running("relay", 4, [0, 1, 2, 3], loss=0.003) as (server, client, _):
            lossy, _ = self.counted(server, client)
        with self.running("relay", 4, [0, 1, 2, 3], reorder=8) as (server, client, _):
            mixed, _ = self.counted(server, client)
        return {
            "loss": {"packets": lossy["upstream_lost"], "pictures_left_out": lossy["upstream_dropped"]},
            "reorder": {"packets": mixed["upstream_reordered"], "pictures_lost": mixed["upstream_dropped"]},
        }

    def upstream_back(self) -> dict[str, Any]:
        """The camera falls silent for 5 s, is asked again, and comes back: the same sockets show it."""
        with self.running("relay", 1, [0], "--silence", "1") as (server, client, sender):
            assert client is not None
            server.ask()
            sender.tell()
            time.sleep(5)
            client.ask("count")
            sender.tell()
            back = time.time()
            time.sleep(4)
            seen, used = client.ask("count"), server.ask()
        return {
            "pictures": seen["frames"],
            "reopened": used["openings"],
            "after_ms": round(1000 * (seen["last"] - back - (seen["frames"] - 1) / RATE)),
            "key_picture_every_ms": 1000,
        }

    def stalled_viewers(self) -> dict[str, Any]:
        """20 viewers that take nothing beside ten that do."""
        with self.running("relay", 1, [0] * 10) as (server, client, _):
            assert client is not None
            before, calm = self.counted(server, client)
            client.ask(f"stall {STALLED}")
            client.ask("count")
            time.sleep(8)  # they are dropped after 10 s
            during, seen = server.ask(), client.ask("count")
        return {
            "memory_mb": round((during["memory"] - before["memory"]) / 1e6, 2),
            "p99_before_ms": calm["age_p99_ms"],
            "p99_ms": seen["age_p99_ms"],
            "ratio": round(seen["age_p99_ms"] / calm["age_p99_ms"], 2),
        }


CASES = (
    "many_streams",
    "many_viewers",
    "memory",
    "warm_start",
    "half_rate",
    "bad_line",
    "upstream_back",
    "stalled_viewers",
)


def run(arguments: list[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="manage.py bench relay")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each measurement lasts")
    parser.add_argument("--case", action="append", choices=CASES, help="one of them; may be given again (default: all)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vms-bench-") as folder:
        path = Path(folder) / "film"
        film.make(path)
        bench = Bench(path, given.seconds)
        return {case: getattr(bench, case)() for case in given.case or CASES}
