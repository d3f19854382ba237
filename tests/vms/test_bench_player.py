"""The benchmarks of pictures in a browser and of the long run say what they measure, and reckon it rightly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vms.bench import browser, player, soak
from vms.bench.product import OWN, ROOT


def bench(data: Path, *arguments: str) -> dict[str, Any]:
    variables = {name: value for name, value in os.environ.items() if name not in (*OWN, "DATABASE_URL")}
    command = [sys.executable, "manage.py", "bench", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env={**variables, "DATA_DIR": str(data)}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1, "one line of JSON"
    told: dict[str, Any] = json.loads(done.stdout)
    return told


# --- They run ---------------------------------------------------------------------------------------------------------
@pytest.mark.running
@pytest.mark.browser
def test_a_browser_is_watched_in_every_case(tmp_path: Path) -> None:
    if not browser.path():
        pytest.skip("no browser: install Chromium, or name one with CHROMIUM=…")
    told = bench(tmp_path, "player", "--seconds", "5", "--rounds", "2")
    assert told["bench"] == "player"
    assert told["chromium"]
    first, age, wall = (told[case] for case in player.CASES)
    assert 0 < first["p50_ms"] <= first["max_ms"]
    assert first["rounds"] == 2
    assert age["size"] == [1920, 1080]
    assert age["pictures"] > 0, "numbers were read from the pictures"
    assert 0 < age["p50_ms"] <= age["p99_ms"] <= age["max_ms"]
    assert {"stalls", "missing_percent", "longest_ms", "product_tells_ms", "busy_percent"} <= age.keys()
    assert wall["players"] == len(wall["stalls"]) == 16
    assert {"stalls_max", "missing_percent", "missing_percent_max", "dropped_by_server", "longest_ms"} <= wall.keys()


@pytest.mark.running
def test_a_short_soak_gives_back_all_it_took(tmp_path: Path) -> None:
    told = bench(tmp_path, "soak", "--minutes", "0.2", "--viewers", "4")
    assert told["bench"] == "soak"
    assert told["shown"] > 0
    assert told["left_behind"] == {}
    assert told["back"] is True
    assert told["mistakes"] == {"closes": {}, "violations": {}, "log": []}
    assert {"web", "worker", "beat", "redis", "supervisor"} <= told["bytes_per_minute"].keys()
    assert {"relays", "uids", "on_devices", "udp_ports", "files"} <= told["after"].keys()


# --- What is missing is said ------------------------------------------------------------------------------------------
def test_without_a_browser_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="no Chromium: install it"), browser.chromium():
        pass


@pytest.mark.parametrize("arguments", [["--seconds", "0"], ["--rounds", "0"], ["--case", "sound"]])
def test_what_cannot_be_measured_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        player.run(arguments)
    with pytest.raises(SystemExit):
        soak.run(["--minutes", "0"])


# --- The figures ------------------------------------------------------------------------------------------------------
RATE = 30


def shown(numbers: list[int], age: float, started: float, read_every: int = 10) -> dict[str, Any]:
    """What the page tells when it shows pictures of these numbers, each `age` seconds after it was sent."""
    pictures = [
        [
            5 + n / RATE,
            1000 * (n / RATE + age),
            1000 * (n / RATE + age),
            place,
            n % 120 if place % read_every == 0 else None,
        ]
        for place, n in enumerate(numbers)
    ]
    return {"pictures": pictures, "origin": 1000 * started, "waits": 0, "seeks": 0, "dropped": {"server": 0, "late": 0}}


def test_the_age_of_every_picture_follows_from_the_numbers_read() -> None:
    seen = shown(list(range(100, 301)), 0.12, started=1000.0)
    ages = player.ages_of(seen, 1000.0, RATE)
    assert len(ages) == 200
    assert all(each == pytest.approx(0.12) for each in ages)


def test_pictures_between_numbers_that_do_not_agree_are_left_out() -> None:
    seen = shown(list(range(0, 101)), 0.2, started=0.0)
    seen["pictures"][50][4] = 7
    assert len(player.ages_of(seen, 0.0, RATE)) == 80


def test_pictures_that_were_not_presented_are_missing() -> None:
    numbers = [n for n in range(300) if n not in (40, 41, 200)]
    told = player.smoothness(shown(numbers, 0.1, started=0.0), RATE)
    assert (told["expected"], told["missing"]) == (299, 3)
    assert told["longest_ms"] == 100


def test_a_player_that_stood_all_the_time_has_missed_everything() -> None:
    told = player.smoothness({**shown([3], 0.1, started=0.0), "seconds": 2.0}, RATE)
    assert (told["missing"], told["missing_percent"], told["longest_ms"]) == (60, 100.0, 2000)


def test_growth_is_a_line_with_its_doubt() -> None:
    rise, doubt = soak._growth([(60.0 * minute, 50_000_000 + 2_000_000 * minute) for minute in range(10)])
    assert rise == pytest.approx(2_000_000)
    assert doubt == pytest.approx(0, abs=1)
    noisy = [(60.0 * minute, 50_000_000 + 300_000 * (-1) ** minute) for minute in range(10)]
    rise, doubt = soak._growth(noisy)
    assert abs(rise) < 2 * doubt


def test_what_was_not_given_back_is_named() -> None:
    before = {"relays": 0, "uids": 0, "on_devices": 0, "udp_ports": 2, "files": 40}
    assert soak._left_behind(before, {**before, "files": 41}) == {}
    assert soak._left_behind(before, {**before, "uids": 1, "udp_ports": 4}) == {"uids": 1, "udp_ports": 2}
    assert soak._left_behind({}, {**before, "relays": 3}) == {"relays": 3}
