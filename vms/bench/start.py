"""`manage.py bench start`: how fast the product stands, how much it takes, how soon a killed part is back.

Promises: ready ≤ 5 s on an empty data directory, ≤ 3 s warm; the idle tree ≤ 450 MB PSS without the simulators; any
child killed with -9 serves again within 5 s; stopped ≤ 10 s with sockets open.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import redis
from websockets.sync.client import ClientConnection, connect

from vms import environment
from vms.bench.product import Product


def pss(pids: list[int]) -> int:
    """Proportional set size in kB: shared pages are counted once, split among those who share them."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def until(holds: Callable[[], bool], within: float = 30.0) -> float:
    began = time.monotonic()
    while not _quietly(holds):
        if time.monotonic() - began > within:
            raise TimeoutError(f"not within {within:.0f} s")
        time.sleep(0.02)
    return time.monotonic() - began


def _quietly(holds: Callable[[], bool]) -> bool:
    try:
        return holds()
    except (OSError, httpx.HTTPError, redis.RedisError):
        return False


def back(product: Product, part: str, old: int) -> Callable[[], bool]:
    """What proves that a killed part is there again and does its work."""
    store = redis.Redis.from_url(environment.redis_url(product.data), socket_timeout=1)
    killed = time.time()

    def renewed() -> bool:
        return product.children().get(part, old) != old

    def beating() -> bool:
        return float(store.get("vms:heartbeat") or 0) > killed

    def answers(port: int) -> bool:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True

    proofs: dict[str, Callable[[], bool]] = {
        "web": lambda: httpx.get(f"{product.url}/healthz", timeout=5).status_code == 200,
        "worker": beating,
        "beat": beating,
        "redis": lambda: bool(store.ping()),
        "intake": lambda: True,
        "simulators": lambda: answers(simulated_port(product)),
    }
    return lambda: renewed() and proofs[part]()


def is_ready(url: str) -> bool:
    return httpx.get(f"{url}/readyz", timeout=5).status_code == 200


def simulated_port(product: Product) -> int:
    import json

    return int(json.loads((product.data / "demo.json").read_text())["devices"][0]["port"])


def open_sockets(product: Product) -> list[ClientConnection]:
    token = product.manage("apitoken", "admin").stdout.strip()
    headers = {"Authorization": f"Bearer {token}"}
    found = httpx.get(f"{product.url}/api/v1/cameras", headers=headers, timeout=10).json()["results"]
    cameras = [camera for camera in found if any(stream["codec"] == "h264" for stream in camera["streams"])]
    base = product.url.replace("http", "ws", 1)
    paths = ["/ws/events/"] * 5 + [f"/ws/live/{camera['id']}/?codecs=avc1" for camera in cameras for _ in range(3)]
    sockets = [connect(base + path, additional_headers=headers, max_size=None) for path in paths]
    for connection in sockets[5:]:
        while isinstance(connection.recv(timeout=20), str):  # until the picture is there
            pass
    return sockets


def run(arguments: list[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="manage.py bench start")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    cold, warm, stopped, restarts = [], [], [], {}
    memory: dict[str, float] = {}
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="vms-bench-") as folder:
            data = Path(folder) / "var"
            product = Product(data).start()
            cold.append(product.ready_after)
            try:
                if number == 0:
                    time.sleep(15)  # let start-up work settle before looking at what idling takes
                    parts = product.children()
                    without = [pid for pid in product.tree() if pid != parts["simulators"]]
                    memory = {"tree_mb": round(pss(without) / 1024, 1)}
                    memory |= {f"{name}_mb": round(pss([pid]) / 1024, 1) for name, pid in parts.items()}
                    for part, pid in parts.items():
                        os.kill(pid, signal.SIGKILL)
                        restarts[part] = round(until(back(product, part, pid)), 2)
                        until(partial(is_ready, product.url))
                sockets = open_sockets(product)
                stopped.append(product.stop())
                for connection in sockets:
                    connection.close()
                warm_product = Product(data).start()
                warm.append(warm_product.ready_after)
                warm_product.stop()
            finally:
                product.kill()
    return {
        "ready_cold_s": round(statistics.median(cold), 2),
        "ready_warm_s": round(statistics.median(warm), 2),
        "pss": memory,
        "back_after_kill_s": restarts,
        "stop_with_open_sockets_s": round(max(stopped), 2),
        "rounds": options.rounds,
    }
