"""What is wrong is said in a sentence, once when it begins and once when it ends."""

import logging

import pytest

from vms.health import Board, Clock


class Times:
    def __init__(self) -> None:
        self.wall, self.steady = 1_000_000.0, 50.0

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def clock(times: Times) -> Clock:
    made = Clock(wall=lambda: times.wall, steady=lambda: times.steady)
    assert made.check() is None
    return made


def test_time_that_merely_passes_is_no_problem(times: Times, clock: Clock) -> None:
    for _ in range(100):
        times.pass_by(60)
        times.wall += 0.01  # a time server slewing
        assert clock.check() is None


@pytest.mark.parametrize(("jump", "words"), [(3600.0, "forward by 3600 s"), (-90.0, "back by 90 s")])
def test_a_clock_that_was_set_is_told_for_a_while(times: Times, clock: Clock, jump: float, words: str) -> None:
    times.wall += jump
    assert words in (clock.check() or "")
    times.pass_by(300)
    assert words in (clock.check() or "")
    times.pass_by(301)
    assert clock.check() is None


def test_the_log_says_what_begins_and_what_ends(caplog: pytest.LogCaptureFixture) -> None:
    state = {"sentence": ""}
    board = Board({"disk": lambda: state["sentence"] or None})
    with caplog.at_level(logging.INFO, "vms.health"):
        board.problems(max_age=-1)
        state["sentence"] = "The disk is full."
        board.problems(max_age=-1)
        board.problems(max_age=-1)
        state["sentence"] = ""
        board.problems(max_age=-1)
    assert [record.getMessage() for record in caplog.records] == ["The disk is full.", "disk: well again"]


def test_those_who_ask_together_share_one_answer() -> None:
    asked = []
    board = Board({"disk": lambda: asked.append(1) or None})
    for _ in range(50):
        board.problems(max_age=60)
    assert len(asked) == 1
