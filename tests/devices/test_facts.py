"""What a device tells, in words: nothing made up, nothing left out."""

from typing import Any

import pytest

from devices.facts import facts_of, tables_of, text_of


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("recording", True, "yes"),
        ("recording", None, None),
        ("title", "", None),
        ("free_gb", 57.0, "57 GB"),
        ("clock_skew_seconds", -0.25, "-0.25 s"),
        ("uids_used", 0, "0"),
        ("registered", [1, 2], "1, 2"),
        ("without_ptz", [], "none"),
        ("cameras", {"1": "ok", "2": "lost", "3": "ok", "4": None}, "ok: 1, 3; lost: 2; not told: 4"),
        ("switches", {"Trigger1": True, "Trigger2": False}, "on: Trigger1; off: Trigger2"),
        ("picture", {"resolution": "640x480", "frame_rate": 15}, "resolution 640x480, frame rate 15"),
    ],
)
def test_a_fact_reads_as_people_say_it(name: str, value: Any, text: str | None) -> None:
    assert text_of(name, value) == text


def test_lists_of_things_are_tables_and_internals_are_not_shown() -> None:
    told = {"recording": True, "cards": [{"slot": 1, "free_gb": 2.5}, {"slot": 2}], "streams": {"a": {"width": 1}}}
    assert [fact.label for fact in facts_of(told)] == ["Recording"]
    (cards,) = tables_of(told)
    assert (cards.label, cards.columns, cards.rows) == ("Cards", ["Slot", "Free"], [["1", "2.5 GB"], ["2", None]])
