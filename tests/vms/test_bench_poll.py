"""The benchmark of polling measures what it says: every device, once a round, by us and by the yardstick."""

from typing import Any

import pytest

from vms.bench import poll


def bench(*arguments: str) -> dict[str, Any]:
    return poll.run(["--devices", "5", "--rounds", "2", "--concurrency", "1", *arguments])


def rounds_are_whole(figures: dict[str, Any], commands: int) -> None:
    """The first look also asks who a device is; after it each round asks each device once what its driver asks."""
    for who in ("ours", "yardstick"):
        told = figures["rounds"][who]
        assert told["commands_per_device"] == [commands, commands], who
        assert len(told["devices_per_s"]) == len(told["cpu_ms_per_poll"]) == 2
    least, most = figures["rounds"]["first_look"]["commands_per_device"]
    assert least == most > commands
    assert figures["violations"] == 0


def test_each_round_asks_every_device_once() -> None:
    figures = bench("--auth", "digest")
    rounds_are_whole(figures, 1)
    assert figures["asked"] == ["/cgi-bin/get_state"]
    assert figures["devices_are"] == "replays of one simulator's answers"
    for name in ("devices_per_s", "yardstick_devices_per_s", "times_yardstick", "yardstick_cpu_ms_per_poll"):
        assert figures[name] > 0, name
    assert figures["cpu_ms_per_poll"] >= 0  # five polls may be less than the clock of the processor tells


def test_simulators_themselves_find_nothing_wrong_with_it() -> None:
    figures = bench("--simulators")
    rounds_are_whole(figures, 1)
    assert figures["devices_are"] == "simulators"


@pytest.mark.parametrize("arguments", [["--devices", "0"], ["--family", "toaster"], ["--rounds", "x"]])
def test_what_cannot_be_measured_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        poll.run(arguments)
