"""`manage.py bench soak [--minutes 30]`: whether the product stays as it is while everything around it comes and goes.

The whole product in a directory of its own, with simulated devices of all families. Viewers come, look at a camera for
a while, and go: some pause, change streams, ask for sound, take nothing for longer than the server bears, or vanish
without a word. Devices lose packets, fall silent, break off, forget their UIDs and restart. Every minute a line of
JSON tells, on the error output, what each process takes, what is open and what was shown; the last line, on the
output, has the verdict:

    flat      the private memory of no process grew in the second half: a straight line through it rises by less than
              LIMIT a minute beyond its own uncertainty. Below ten minutes this says little
    back      some time after the last viewer has gone: no relay, no UID in the ledger or on a device, no more UDP
              ports nor open files than before the first viewer
    mistakes  sockets that were closed for a reason of ours, exceptions in the log, and what strict devices found wrong
              with how they were spoken to

The same seed does the same things in the same order; what comes of it depends on the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from vms.bench import fleet
from vms.bench.product import Product

# Two cameras by RTP, one by RTSP; a recorder whose every fourth camera sends H.265; two that send JPEG.
FLEET: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({"family": "povcam", "looped": True}, {}),
    ({"family": "povcam", "looped": True}, {"transport": "rtsp-tcp"}),
    ({"family": "povcam", "looped": True}, {"transport": "rtsp-udp"}),
    ({"family": "ipro", "cameras": 4, "pictures": "loop", "kilobits": 500}, {}),
    ({"family": "ipro", "cameras": 2, "pictures": "loop", "kilobits": 500}, {"transport": "http"}),
    ({"family": "ipcam"}, {}),
    ({"family": "hama"}, {}),
)
CAMERAS = {"povcam": 1, "ipcam": 1, "hama": 1}
FAULTS: dict[str, tuple[dict[str, Any], ...]] = {
    "povcam": (
        {"kind": "lose-packets", "every": 50},
        {"kind": "late-packets", "every": 30, "number": 4},
        {"kind": "stop-frames", "seconds": 6},
        {"kind": "stop-sound", "seconds": 6},
        {"kind": "cut-frames"},
        {"kind": "lose-uids"},
        {"kind": "lose-sessions"},
        {"kind": "hang", "times": 2},
        {"kind": "reboot", "seconds": 3},
    ),
    "ipro": (
        {"kind": "lose-packets", "every": 50},
        {"kind": "late-packets", "every": 30, "times": 4},
        {"kind": "stop-frames", "seconds": 6},
        {"kind": "stop-sound", "seconds": 6},
        {"kind": "cut-streams"},
        {"kind": "garbage-parts", "every": 40},
        {"kind": "lose-uids"},
        {"kind": "status", "status": 503, "times": 2},
        {"kind": "reboot", "seconds": 3},
    ),
    "ipcam": ({"kind": "stop-frames", "seconds": 6}, {"kind": "cut-streams"}, {"kind": "garbage-parts", "every": 7}),
    "hama": ({"kind": "stop-frames", "seconds": 6}, {"kind": "cut-streams"}, {"kind": "reboot", "seconds": 3}),
}
FAULT_EVERY = 15.0  # seconds; each is switched off again after FAULT_LASTS
FAULT_LASTS = 10.0
VIEWERS = 12
STALL_SECONDS = 13.0  # the server bears 10
STALL_DRAIN_SECONDS = 5.0
SAMPLE_SECONDS = 5.0
RETURN_SECONDS = 120.0  # a POVCAM forgets the UID of sound alone 90 s after the last sign of life
LIMIT = 100_000  # bytes a minute
SPARE_FILES = 6  # connections to database and Redis that a pool has opened meanwhile
FAIR_CLOSES = frozenset({1000, 1001, 1006, 1013, 4409, 4422})  # 1006: by this end, or by the server for taking nothing


def run(arguments: list[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="manage.py bench soak")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--viewers", type=int, default=VIEWERS, help="how many at a time")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    if not (0 < given.minutes <= 24 * 60 and 1 <= given.viewers <= 200):
        parser.error("--minutes takes up to 1440, --viewers 1 to 200.")
    with fleet.simulated([described for described, _ in FLEET]) as (devices, _), fleet.product() as (product, api):
        ids = [fleet.add(api, device, **options) for device, (_, options) in zip(devices, FLEET, strict=True)]
        cameras = [
            camera
            for number, (described, _) in zip(ids, FLEET, strict=True)
            for camera in fleet.cameras(api, number, described.get("cameras", CAMERAS.get(described["family"], 1)))
        ]
        soak = Soak(product, api, devices, ids, cameras, given.seed)
        return asyncio.run(soak.run(given.viewers, 60 * given.minutes))


class Soak:
    def __init__(
        self,
        product: Product,
        api: httpx.Client,
        devices: list[fleet.Device],
        ids: list[int],
        cameras: list[int],
        seed: int,
    ) -> None:
        self._product = product
        self._api = api
        self._devices = devices
        self._ids = ids
        self._cameras = cameras
        self._dice = random.Random(seed)  # noqa: S311
        self._headers = {"Authorization": api.headers["authorization"]}
        self._counts: Counter[str] = Counter()
        self._closed: Counter[str] = Counter()
        self._samples: list[tuple[float, dict[str, dict[str, int]]]] = []

    async def run(self, viewers: int, seconds: float) -> dict[str, Any]:
        # What is opened once and kept is opened before anything is compared: a look at every camera.
        await asyncio.gather(*(self._visit(camera, "watch", 5.0) for camera in self._cameras))
        before = await self._returned({})
        _say({"before": before})
        self._counts.clear()
        self._closed.clear()
        ends = time.monotonic() + seconds
        tasks = [asyncio.create_task(self._viewer(random.Random(self._dice.random()), ends)) for _ in range(viewers)]  # noqa: S311
        tasks += [asyncio.create_task(self._trouble(ends)), asyncio.create_task(self._look(ends))]
        await asyncio.gather(*tasks)
        _say({"closing": True, **await self._now()})
        await asyncio.to_thread(self._clear)
        after = await self._returned(before)
        return self._verdict(before, after, seconds)

    # --- Viewers ------------------------------------------------------------------------------------------------------
    async def _viewer(self, dice: random.Random, ends: float) -> None:
        while (left := ends - time.monotonic()) > 0:
            way = dice.choice(("watch", "watch", "pause", "change", "sound", "stall", "vanish"))
            stay = STALL_SECONDS if way == "stall" else dice.uniform(2.0, 25.0)
            await self._visit(dice.choice(self._cameras), way, min(stay, left), dice)
            await asyncio.sleep(min(dice.uniform(0.0, 4.0), max(0.0, ends - time.monotonic())))

    async def _visit(self, camera: int, way: str, seconds: float, dice: random.Random | None = None) -> None:
        """One stay at one camera."""
        self._counts[f"visits to {way}"] += 1
        dice = dice or self._dice
        codecs = dice.choice(("avc1,mp4a", "avc1,hvc1,mp4a"))
        query = f"codecs={codecs}&audio={dice.choice((0, 0, 1))}&width={dice.choice((320, 640, 1280))}"
        address = f"{self._product.url.replace('http', 'ws', 1)}/ws/live/{camera}/?{query}"
        how: dict[str, Any] = {"additional_headers": self._headers, "max_size": None, "compression": None}
        try:
            async with connect(address, max_queue=4, close_timeout=5, ping_interval=None, proxy=None, **how) as socket:
                await self._stay(socket, way, seconds, dice)
                if way == "vanish":
                    socket.transport.abort()
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else 1006
            self._closed[f"{code} {closed.rcvd.reason if closed.rcvd else ''}".strip()] += 1
        except (OSError, TimeoutError, InvalidHandshake) as error:
            self._closed[f"not opened: {type(error).__name__}"] += 1

    async def _stay(self, socket: ClientConnection, way: str, seconds: float, dice: random.Random) -> None:
        if way == "stall":
            await asyncio.sleep(seconds)
            with suppress(TimeoutError):  # there was nothing to send, or its devices came back just now
                async with asyncio.timeout(STALL_DRAIN_SECONDS):
                    async for _ in socket:  # what the server had sent before it gave up, and then its close
                        pass
            return
        ends = time.monotonic() + seconds
        say = asyncio.create_task(self._say(socket, way, dice))
        try:
            while (left := ends - time.monotonic()) > 0:
                try:
                    async with asyncio.timeout(left):
                        message = await socket.recv()
                except TimeoutError:
                    return
                if isinstance(message, bytes):
                    self._counts["pictures"] += 1  # and pieces of sound
        finally:
            say.cancel()
            with suppress(asyncio.CancelledError, ConnectionClosed):
                await say

    @staticmethod
    async def _say(socket: ClientConnection, way: str, dice: random.Random) -> None:
        """What this visitor wants of the server, again and again."""
        for turn in range(1000):
            await asyncio.sleep(dice.uniform(1.0, 4.0))
            if way == "pause":
                message: dict[str, Any] = {"type": "resume" if turn % 2 else "pause"}
            elif way == "change":
                message = {
                    "type": "show",
                    "quality": dice.choice(("low", "auto", "high")),
                    "width": dice.choice((320, 1280)),
                }
            elif way == "sound":
                message = {"type": "sound", "on": turn % 2 == 0}
            else:
                return
            await socket.send(json.dumps(message))

    # --- Trouble ------------------------------------------------------------------------------------------------------
    async def _trouble(self, ends: float) -> None:
        while ends - time.monotonic() > FAULT_EVERY:
            await asyncio.sleep(FAULT_EVERY - FAULT_LASTS)
            device = self._dice.choice(self._devices)
            fault = self._dice.choice(FAULTS[device.family])
            self._counts["faults"] += 1
            await asyncio.to_thread(device.inject, **fault)
            await asyncio.sleep(FAULT_LASTS)
            with suppress(httpx.HTTPError):  # it may still be restarting; then nothing is left to switch off
                await asyncio.to_thread(device.inject, "clear")

    def _clear(self) -> None:
        for device in self._devices:
            fleet.until(lambda device=device: _cleared(device), f"{device.name} did not come back")  # type: ignore[misc]

    # --- What is looked at --------------------------------------------------------------------------------------------
    async def _look(self, ends: float) -> None:
        told = time.monotonic()
        while (left := ends - time.monotonic()) > 0:
            await asyncio.sleep(min(SAMPLE_SECONDS, left))
            self._samples.append((time.monotonic(), await asyncio.to_thread(self._processes)))
            if time.monotonic() - told >= 60:
                told = time.monotonic()
                line = {"minute": round((told - self._samples[0][0] + SAMPLE_SECONDS) / 60), **await self._now()}
                _say(line)

    def _processes(self) -> dict[str, dict[str, int]]:
        """What each part takes; a worker's own processes are counted with it."""
        found = {"supervisor": _taken([self._product.process.pid])}
        for name, pid in self._product.children().items():
            found[name] = _taken([pid, *_children(pid)])
        return found

    async def _now(self) -> dict[str, Any]:
        return {
            "processes": self._samples[-1][1] if self._samples else await asyncio.to_thread(self._processes),
            **await asyncio.to_thread(self._held),
            "shown": self._counts["pictures"],
            "visits": sum(count for name, count in self._counts.items() if name.startswith("visits")),
            "faults": self._counts["faults"],
        }

    def _held(self) -> dict[str, Any]:
        """What watching takes and must give back."""
        web = self._product.children()["web"]
        ledger = [
            self._api.get(f"devices/{number}/sessions").raise_for_status().json()["count"] for number in self._ids
        ]
        return {
            "relays": self._api.get("streams").raise_for_status().json()["count"],
            "uids": sum(ledger),
            "on_devices": sum(_sessions(device) for device in self._devices),
            "udp_ports": _udp_ports(web),
            "files": _files(web),
        }

    async def _returned(self, before: dict[str, Any]) -> dict[str, Any]:
        """What is held once it is back to `before`, or has had the time for it."""
        deadline = time.monotonic() + RETURN_SECONDS
        while True:
            held = await asyncio.to_thread(self._held)
            if not _left_behind(before, held) or time.monotonic() > deadline:
                return held
            await asyncio.sleep(1)

    # --- What comes of it ---------------------------------------------------------------------------------------------
    def _verdict(self, before: dict[str, Any], after: dict[str, Any], seconds: float) -> dict[str, Any]:
        half = self._samples[len(self._samples) // 2 :]
        growth = {}
        for name in half[-1][1] if half else ():
            line = [(moment, each[name]["private"]) for moment, each in half if name in each]
            growth[name] = _growth(line)
        grown = [name for name, (rise, doubt) in growth.items() if rise - 2 * doubt > LIMIT]
        unfair = {what: count for what, count in self._closed.items() if not _is_fair(what)}
        violations = Counter(
            f"{device.family}: {each['kind']}: {each['detail'][:200]}"
            for device in self._devices
            for each in device.side_door("violations")["violations"]
        )
        errors = [line for line in self._product.lines if "Traceback" in line or " ERROR " in line]
        behind = _left_behind(before, after)
        return {
            "minutes": round(seconds / 60, 1),
            "flat": not grown,
            "bytes_per_minute": {name: [round(rise), round(doubt)] for name, (rise, doubt) in growth.items()},
            "back": not behind,
            "left_behind": behind,
            "before": before,
            "after": after,
            "memory": half[-1][1] if half else {},
            "shown": self._counts["pictures"],
            "visits": {
                name.removeprefix("visits to "): n for name, n in self._counts.items() if name.startswith("visits")
            },
            "faults": self._counts["faults"],
            "closes": dict(self._closed),
            "mistakes": {"closes": unfair, "violations": dict(violations), "log": errors[:5]},
        }


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), file=sys.stderr, flush=True)


def _cleared(device: fleet.Device) -> bool:
    try:
        device.inject("clear")
    except httpx.HTTPError:
        return False
    return True


def _is_fair(what: str) -> bool:
    code = what.partition(" ")[0]
    return code.isdigit() and int(code) in FAIR_CLOSES


def _left_behind(before: dict[str, Any], held: dict[str, Any]) -> dict[str, int]:
    allowed = {"relays": 0, "uids": 0, "on_devices": 0}
    if before:
        allowed |= {"udp_ports": before["udp_ports"], "files": before["files"] + SPARE_FILES}
    return {name: held[name] - most for name, most in allowed.items() if held[name] > most}


def _sessions(device: fleet.Device) -> int:
    try:
        told = len(device.side_door("sessions")["sessions"])
        return told + len(device.side_door("state")["state"].get("rtsp", {}).get("sessions", ()))
    except httpx.HTTPError:
        return 0  # it restarts


def _growth(line: list[tuple[float, int]]) -> tuple[float, float]:
    """Bytes a minute of a straight line through it, and that number's standard error."""
    if len(line) < 4:
        return 0.0, 0.0
    minutes = [moment / 60 for moment, _ in line]
    taken = [float(each) for _, each in line]
    if min(taken) == max(taken):
        return 0.0, 0.0
    slope, start = statistics.linear_regression(minutes, taken)
    rest = sum((each - start - slope * minute) ** 2 for minute, each in zip(minutes, taken, strict=True))
    spread = sum((minute - statistics.fmean(minutes)) ** 2 for minute in minutes)
    return slope, (rest / (len(line) - 2) / spread) ** 0.5


# --- Of processes -----------------------------------------------------------------------------------------------------
def _taken(pids: list[int]) -> dict[str, int]:
    found = {"private": 0, "pss": 0, "files": 0}
    for pid in pids:
        with suppress(OSError):  # it has just ended
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in rollup if line.endswith(" kB")}
            found["private"] += sizes["Private_Dirty"] + sizes["Private_Clean"]
            found["pss"] += sizes["Pss"]
            found["files"] += _files(pid)
    return found


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _files(pid: int) -> int:
    with suppress(OSError):
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return 0


def _udp_ports(pid: int) -> int:
    """How many UDP sockets this process has."""
    sockets = set()
    for name in ("udp", "udp6"):
        with suppress(OSError):
            sockets |= {line.split()[9] for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]}
    count = 0
    with suppress(OSError):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                count += str(each.readlink()).removeprefix("socket:[").removesuffix("]") in sockets
    return count
