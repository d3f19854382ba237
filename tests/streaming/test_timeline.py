"""One timeline per stream: contiguous, at the sender's pace, and at the time of arrival."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.wire.timeline import Timeline

RATE = 90_000


def placed(units: list[tuple[int, float]], timeline: Timeline | None = None) -> list[tuple[int, int]]:
    timeline = timeline or Timeline(RATE, origin=0.0)
    return [timeline.place(time, received) for time, received in units]


def film(
    fps: float, seconds: float, *, begin: float = 100.0, jitter: float = 0.0, seed: int = 1
) -> list[tuple[int, float]]:
    """What a camera sends: its own clock, and when it arrives."""
    dice = random.Random(seed)
    count = round(fps * seconds)
    return [(round(n * RATE / fps), begin + n / fps + dice.uniform(0, jitter)) for n in range(count)]


@given(
    st.lists(st.tuples(st.integers(-(2**33), 2**33), st.floats(0, 1e6, allow_nan=False)), min_size=2, max_size=60),
    st.integers(0, 2000),
)
def test_each_unit_begins_where_the_one_before_ended_and_lasts(units: list[tuple[int, float]], lasting: int):
    timeline = Timeline(RATE, origin=0.0)
    end: int | None = None
    for time, received in units:
        start, duration = timeline.place(time, received, lasting)
        assert end is None or start == end
        assert duration > 0
        end = start + duration


@pytest.mark.parametrize("fps", [5, 12.5, 15, 25, 29.97, 60])
def test_pictures_last_as_long_as_the_camera_takes_for_them(fps: float):
    durations = [duration for _, duration in placed(film(fps, 60))]
    assert all(duration == pytest.approx(RATE / fps, rel=0.06) for duration in durations[3:])
    assert all(duration == pytest.approx(RATE / fps, rel=0.02) for duration in durations[20:])


def test_the_first_pictures_are_soon_where_they_arrive():
    """Whatever the very first was said to last."""
    (start, _) = placed(film(10, 2))[-1]
    assert start / RATE == pytest.approx(placed(film(10, 1))[0][0] / RATE + 19 / 10, abs=0.02)


@pytest.mark.parametrize("fps", [1, 2, 5, 10])
def test_slow_pictures_stand_where_they_arrive_from_the_third_on(fps: float):
    for (start, _), (_, received) in list(zip(placed(film(fps, 10)), film(fps, 10), strict=True))[3:]:
        assert start / RATE == pytest.approx(received, abs=0.05)


@given(st.integers(0, 2**32), st.floats(5, 60), st.floats(0, 0.1))
@settings(max_examples=50)
def test_it_stays_near_the_time_of_arrival_whatever_the_jitter(seed: int, fps: float, jitter: float):
    units = film(fps, 60, jitter=jitter, seed=seed)
    for (start, _), (_, received) in zip(placed(units), units, strict=True):
        assert abs(start / RATE - received) <= jitter + 2 / fps + 0.05


def test_a_camera_whose_clock_is_wrong_does_not_run_away():
    """A clock that is 0.1 % fast would be a second ahead after a quarter of an hour."""
    units = [(round(n * RATE / 25 * 1.001), 100 + n / 25) for n in range(25 * 900)]
    start, _ = placed(units)[-1]
    assert abs(start / RATE - units[-1][1]) < 0.1


def test_the_first_picture_after_a_hole_lasts_over_it():
    units = film(25, 2)
    resumed = [(time + round(0.8 * RATE), received + 0.8) for time, received in film(25, 2, begin=102)]
    resumed = [(time + 2 * RATE, received) for time, received in resumed]
    spots = placed(units + resumed)
    first = spots[len(units)]
    assert first[1] / RATE == pytest.approx(0.84, abs=0.03)
    following = spots[len(units) + 1]
    assert following[0] / RATE == pytest.approx(resumed[1][1], abs=0.03)


def test_a_stream_opened_anew_goes_on_at_its_time_whatever_the_camera_counts_from():
    units = film(25, 2)
    again = film(25, 2, begin=107.0)  # the camera counts from zero again, 5 s later
    spots = placed(units + again)
    assert spots[len(units)][0] == sum(spots[len(units) - 1])
    assert spots[len(units) + 1][0] / RATE == pytest.approx(again[1][1], abs=0.05)


def test_pictures_held_up_on_the_way_move_nothing():
    units = film(25, 10)
    late = [(time, 106.0 if 104 <= received < 106 else received) for time, received in units]
    for (start, duration), (_, wanted) in zip(placed(late), units, strict=True):
        assert start / RATE == pytest.approx(wanted, abs=0.1)
        assert duration < RATE / 25 * 1.1


def test_another_rate_is_followed_soon():
    units = film(30, 3)
    slower = [(time + 3 * RATE, received) for time, received in film(5, 4, begin=103.0)]
    spots = placed(units + slower)
    assert [duration for _, duration in spots[-10:]] == pytest.approx([RATE / 5] * 10, rel=0.05)
    assert spots[-1][0] / RATE == pytest.approx(slower[-1][1], abs=0.25)


def test_sound_and_picture_that_arrive_together_stand_together():
    pictures = placed(film(15, 30, jitter=0.02))
    sound = Timeline(48_000, origin=0.0)
    start = 0
    for n in range(30 * 48_000 // 1024):
        start, _ = sound.place(n * 1024, 100 + n * 1024 / 48_000, 1024)
    assert start / 48_000 == pytest.approx(pictures[-1][0] / RATE, abs=0.15)


def test_lost_sound_is_a_hole_too():
    timeline = Timeline(8000, origin=0.0)
    for n in range(50):
        timeline.place(n * 160, 10 + n * 0.02, 160)
    start, duration = timeline.place(100 * 160, 12.0, 160)
    assert start / 8000 == pytest.approx(11.0, abs=0.05)
    assert (start + duration) / 8000 == pytest.approx(12.02, abs=0.05)
