"""`make test` believes a failure when it happens twice, and hides none that happened once."""

from pathlib import Path

import pytest

from tests import run

ONCE = """
import pathlib, pytest

def once(name):
    seen = pathlib.Path(__file__).with_name(name)
    first = not seen.exists()
    seen.touch()
    return first

@pytest.mark.parametrize("what", ["a/b.c::d [x]", "plain"])
def test_fails_the_first_time(what):
    assert not once(what.replace("/", ""))

@pytest.fixture
def ends_badly():
    yield
    assert not once("end")

def test_fails_as_it_ends_the_first_time(ends_badly): pass

class TestInAClass:
    def test_fails_the_first_time(self):
        assert not once("class")

def test_passes(): pass

@pytest.mark.skip
def test_is_skipped(): pass
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run, "ROOT", tmp_path)
    (tmp_path / "tests").mkdir()
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p xdist.plugin"}

    def of(text: str) -> tuple[bool, run.Tally]:
        (tmp_path / "tests" / "test_it.py").write_text(text)
        tally = run.Tally()
        return run.suite(tally, ["-n0"], environment), tally

    return of


def test_what_failed_once_passes_and_is_named(suite) -> None:
    passed, tally = suite(ONCE)
    assert passed
    assert (tally.passed, tally.failed, tally.skipped) == (5, 0, 1)
    assert sorted(tally.tried_again) == [
        "tests/test_it.py::TestInAClass::test_fails_the_first_time",
        "tests/test_it.py::test_fails_as_it_ends_the_first_time",
        "tests/test_it.py::test_fails_the_first_time[a/b.c::d [x]]",
        "tests/test_it.py::test_fails_the_first_time[plain]",
    ]


def test_what_fails_twice_fails_the_run(suite) -> None:
    passed, tally = suite(ONCE + "def test_fails(): assert False")
    assert not passed
    assert (tally.passed, tally.failed, len(tally.tried_again)) == (5, 1, 4)


def test_when_much_fails_nothing_is_tried_again(suite) -> None:
    many = run.SECOND_TRIES + 1
    passed, tally = suite(f"""
import pytest
@pytest.mark.parametrize("number", range({many}))
def test_fails(number):
    with open(f"{{number}}", "x"):
        assert False
""")
    assert not passed
    assert (tally.passed, tally.failed, tally.tried_again) == (0, many, [])


def test_a_file_that_cannot_be_read_fails_the_run(suite) -> None:
    passed, tally = suite("import nothing_of_this_name")
    assert not passed
    assert tally.failed == 1
