"""`manage.py bench player`: how soon and how smoothly a real browser shows pictures.

The whole product in a directory of its own, simulated recorders that send loops encoded in advance, and Chromium
without a window, on this machine. One JSON line with a case each:

    first_picture   A page is open, and the stream runs since others watch it. From putting a <live-player> into the
                    page to its first picture having been painted; and to its showing the present.
                    Reach: p50 300 ms; stretch: 150 ms.
    age             One player of 1080p30 at 4 Mbit/s over RTP: from a picture's first packet to its being on screen.
                    Reach: p50 150 ms, p99 250 ms, no stall; stretch: 100 and 150 ms.
    wall            16 players of 640x360 at 15 pictures a second on the wall's page.
                    Reach: one stall each at most, less than 1 % of the pictures missing; stretch: none.

The age is a true one: no clock of the product's takes part. A simulated picture has its number in its pixels, and
picture number n is sent n / rate seconds after its device started, which the device tells; if it sends late, that
counts as age, too. Every tenth picture on the screen is read; those between follow from the media time the browser
tells of each picture, and are left out if the next one read does not agree. A picture is on the screen when the browser
expects it to be visible (`expectedDisplayTime`). All clocks are this machine's.

A stall is a `waiting` event while pictures play. Missing are the pictures that were not presented, of all that the
media time went through. `longest_ms` is the longest that one picture stood. `busy_percent` is how busy the machine was
meanwhile, with everything: above 85 or so the figures tell of it, not of the player.
"""

from __future__ import annotations

import argparse
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vms.bench import fleet
from vms.bench.browser import chromium, signed_in
from vms.bench.product import Product

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CASES = ("first_picture", "age", "wall")
LARGE: dict[str, Any] = {
    "family": "ipro",
    "cameras": 1,
    "codecs": "H264",
    "pictures": "loop",
    "size": "1920x1080",
    "rate": 30,
}
LARGE |= {"kilobits": 4000}
SMALL: dict[str, Any] = {
    "family": "ipro",
    "cameras": 16,
    "codecs": "H264",
    "pictures": "loop",
    "size": "640x360",
    "rate": 15,
}
SMALL |= {"kilobits": 1000}
LOOP_SECONDS = 4  # of the simulators' loops; a picture's number begins again with its loop
READ_EVERY = 10
SETTLE_SECONDS = 6.0
YOUNG_MS = 400
SCRIPT = f"() => {{ {Path(__file__).with_name('player.js').read_text()} }}"


def run(arguments: list[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="manage.py bench player")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long pictures are watched")
    parser.add_argument("--rounds", type=int, default=20, help="how many first pictures")
    parser.add_argument("--case", action="append", choices=CASES, help="one of them; may be given again (default: all)")
    given = parser.parse_args(arguments)
    if not (1 <= given.seconds <= 3600 and 1 <= given.rounds <= 1000):
        parser.error("--seconds takes 1 to 3600, --rounds 1 to 1000.")
    cases = given.case or CASES
    figures: dict[str, Any] = {}
    with chromium() as browser:
        version = browser.version
        if {"first_picture", "age"} & set(cases):
            with installed(LARGE) as (product, device, cameras):
                if "first_picture" in cases:
                    figures["first_picture"] = first_picture(browser, product, cameras[0], given.rounds)
                if "age" in cases:
                    figures["age"] = age(browser, product, device, cameras[0], given.seconds)
        if "wall" in cases:
            with installed(SMALL) as (product, device, cameras):
                figures["wall"] = wall(browser, product, cameras, given.seconds)
    return {**figures, "chromium": version}


@contextmanager
def installed(described: dict[str, Any]) -> Iterator[tuple[Product, fleet.Device, list[int]]]:
    """A product with this recorder, once its cameras can be watched."""
    with fleet.simulated([described]) as ((device,), _), fleet.product() as (product, api):
        yield product, device, fleet.cameras(api, fleet.add(api, device), described["cameras"])


# --- Cases ------------------------------------------------------------------------------------------------------------
def first_picture(browser: Browser, product: Product, camera: int, rounds: int) -> dict[str, Any]:
    with signed_in(browser, product.url, 1280, 800) as page, watched(product, camera):
        page.goto(f"{product.url}/cameras/{camera}/")
        page.evaluate(SCRIPT)
        live(page, 1)
        times = [page.evaluate(f"bench.appear({YOUNG_MS})") for _ in range(rounds)]
    firsts = sorted(each["first"] for each in times)
    presents = sorted(each["present"] or math.inf for each in times)
    return {
        "p50_ms": round(at(firsts, 0.5)),
        "max_ms": round(firsts[-1]),
        "present_p50_ms": finite(at(presents, 0.5)),
        "present_max_ms": finite(presents[-1]),
        "rounds": rounds,
    }


def age(browser: Browser, product: Product, device: fleet.Device, camera: int, seconds: float) -> dict[str, Any]:
    with signed_in(browser, product.url) as page:
        page.goto(f"{product.url}/cameras/{camera}/")
        page.evaluate(SCRIPT)
        live(page, 1)
        started = device.side_door("state")["started"]
        (seen,) = seen_by_all(page, seconds, READ_EVERY)
    rate = int(LARGE["rate"])
    ages = sorted(1000 * each for each in ages_of(seen, started, rate))
    return {
        "p50_ms": finite(at(ages, 0.5)),
        "p99_ms": finite(at(ages, 0.99)),
        "max_ms": finite(at(ages, 1.0)),
        "pictures": len(ages),
        **smoothness(seen, rate),
        "product_tells_ms": finite(seen["told"]["latency"]),
        "target_ms": seen["told"]["target"],
        "size": seen["told"]["size"],
        "busy_percent": seen["busy_percent"],
    }


def wall(browser: Browser, product: Product, cameras: list[int], seconds: float) -> dict[str, Any]:
    with signed_in(browser, product.url) as page:
        page.get_by_role("button", name="16", exact=True).click()
        kept = {"layout": "16", "cameras": cameras, "view": None}
        page.evaluate(
            "now => localStorage.setItem('wall:' + document.getElementById('wall').dataset.user, JSON.stringify(now))",
            kept,
        )
        page.reload()
        page.evaluate(SCRIPT)
        live(page, len(cameras))
        seen = seen_by_all(page, seconds, 0)
    players = [smoothness(each, int(SMALL["rate"])) for each in seen]
    expected = sum(each["expected"] for each in players)
    missing = sum(each["missing"] for each in players)
    return {
        "players": len(players),
        "stalls": [each["stalls"] for each in players],
        "stalls_max": max(each["stalls"] for each in players),
        "seeks": [each["seeks"] for each in players],
        "missing": missing,
        "missing_percent": round(100 * missing / max(1, expected), 2),
        "missing_percent_max": max(each["missing_percent"] for each in players),
        "dropped_by_server": sum(each["dropped_by_server"] for each in players),
        "longest_ms": max(each["longest_ms"] for each in players),
        "busy_percent": seen[0]["busy_percent"],
    }


# --- In the page ------------------------------------------------------------------------------------------------------
def live(page: Page, players: int) -> None:
    """Wait until all show pictures, and a little for what only happens at first."""
    page.wait_for_function(
        "count => document.querySelectorAll('live-player[data-state=live][data-picture]').length === count",
        arg=players,
        timeout=60_000,
    )
    page.wait_for_timeout(1000 * SETTLE_SECONDS)


def seen_by_all(page: Page, seconds: float, each: int) -> list[dict[str, Any]]:
    page.evaluate(
        "each => { window.stops = [...document.querySelectorAll('live-player')].map((p) => bench.watch(p, each)); }",
        each,
    )
    busy, could = processor_time()
    page.wait_for_timeout(1000 * seconds)
    busy, could = processor_time()[0] - busy, processor_time()[1] - could
    seen: list[dict[str, Any]] = page.evaluate("stops.map((stop) => stop())")
    for one in seen:
        one |= {"seconds": seconds, "busy_percent": round(100 * busy / could)}
    return seen


@contextmanager
def watched(product: Product, camera: int) -> Iterator[None]:
    """Somebody else watches: the stream runs."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    token = product.manage("apitoken", "admin").stdout.strip()
    address = f"{product.url.replace('http', 'ws', 1)}/ws/live/{camera}/?codecs=avc1"
    with connect(address, additional_headers={"Authorization": f"Bearer {token}"}, max_size=None) as socket:

        def take() -> None:
            try:
                while True:
                    socket.recv()
            except ConnectionClosed:
                return

        taking = threading.Thread(target=take, daemon=True)
        taking.start()
        yield
    taking.join(10)


# --- Figures ----------------------------------------------------------------------------------------------------------
def ages_of(seen: dict[str, Any], started: float, rate: int) -> list[float]:
    """Seconds from each picture's first packet to its being on the screen."""
    loop = LOOP_SECONDS * rate
    read = [(place, picture) for place, picture in enumerate(seen["pictures"]) if picture[4] is not None]
    found = []
    for (place, (begin, _, _, _, number)), (following, (end, _, _, _, after)) in pairwise(read):
        if (number + round((end - begin) * rate) - after) % loop:
            continue
        for media, display, *_ in seen["pictures"][place:following]:
            on_screen = (seen["origin"] + display) / 1000
            which = number + round((media - begin) * rate)
            # Which turn of the loop it was: the latest that could have been sent by now.
            turns = math.floor((on_screen - started - which / rate) / LOOP_SECONDS)
            found.append(on_screen - started - which / rate - turns * LOOP_SECONDS)
    return found


def smoothness(seen: dict[str, Any], rate: int) -> dict[str, Any]:
    pictures = seen["pictures"]
    expected = presented = 0
    longest = 0.0
    for (media, _, at, count, _), (media_after, _, at_after, count_after, _) in pairwise(pictures):
        steps = count_after - count
        presented += max(1, steps)  # it counts from zero again with a new source
        expected += round((media_after - media) * rate)
        if steps == 1:
            longest = max(longest, at_after - at)
    if len(pictures) < 2:  # it stood all the time
        expected, longest = round(seen["seconds"] * rate), 1000 * seen["seconds"]
    missing = max(0, expected - presented)
    return {
        "stalls": seen["waits"],
        "seeks": seen["seeks"],
        "expected": expected,
        "missing": missing,
        "missing_percent": round(100 * missing / max(1, expected), 2),
        "dropped_by_server": seen["dropped"]["server"],
        "dropped_late": seen["dropped"]["late"],
        "longest_ms": round(longest),
    }


def processor_time() -> tuple[float, float]:
    """What all processors of this machine have done, and all they could have done."""
    told = [float(each) for each in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]
    return sum(told) - told[3] - told[4], sum(told)


def at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else math.inf


def finite(value: float | None) -> int | None:
    return None if value is None or math.isinf(value) else round(value)
