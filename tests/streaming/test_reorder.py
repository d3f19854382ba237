"""Decode times from times of showing, and B pictures as a decoder shows them in the end."""

import io
from itertools import pairwise

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.media import AccessUnit
from streaming.wire import fmp4, h264, h265
from streaming.wire.reorder import MAX_DEPTH, DecodeTimes
from tests.streaming import coded
from tests.streaming.coded import TICKS
from tests.streaming.packer import packets, put_together


def boxed(units: list[AccessUnit], times: DecodeTimes) -> bytes:
    placed = [times.place(unit.time, unit.key) for unit in units]
    begin = 100 * TICKS - placed[0][0]
    parts = [fmp4.init_segment(units[0].track)]
    for number, (unit, (decode, offset)) in enumerate(zip(units, placed, strict=True)):
        following = placed[number + 1][0] if number + 1 < len(placed) else decode + TICKS
        parts.append(fmp4.fragment(number, decode + begin, following - decode, unit.key, 1.0, unit.data, offset))
    return b"".join(parts)


def units_of(pictures: tuple[coded.Picture, ...], *, with_h265: bool) -> list[AccessUnit]:
    depacketizer = h265.Depacketizer() if with_h265 else h264.Depacketizer()
    units = put_together(depacketizer, packets(pictures, h265=with_h265))
    assert depacketizer.dropped == depacketizer.malformed == 0
    return units


@pytest.mark.parametrize(
    ("film", "depth"),
    [
        (lambda: coded.x264(bf="0"), 0),
        (lambda: coded.x264(bf="1"), 1),
        (lambda: coded.x264(bf="3"), 2),
        (lambda: coded.x265(params="bframes=0"), 0),
        (lambda: coded.x265(params="bframes=2:b-pyramid=0"), 1),
        (lambda: coded.x265(params="bframes=3:b-pyramid=1"), 2),
        (lambda: coded.x265(params="bframes=3:b-pyramid=1:open-gop=0"), 2),
    ],
    ids=["h264", "h264-b", "h264-pyramid", "h265", "h265-b", "h265-open", "h265-pyramid"],
)
def test_a_film_with_b_pictures_is_shown_in_order_and_in_time(film, depth: int):
    pictures = film()
    units = units_of(pictures, with_h265=pictures[0].nals[0][0] == 0x40)
    assert units[0].track.reorder == depth
    times = DecodeTimes(units[0].track.reorder)
    mp4 = boxed(units, times)
    assert times.learned == 0
    assert coded.shown(mp4) == list(range(36))
    with av.open(io.BytesIO(mp4)) as container:
        samples = [packet for packet in container.demux(video=0) if packet.size]
        begin = min(packet.pts for packet in samples)
        assert [packet.pts - begin for packet in samples] == [unit.time for unit in units]
        assert [later.dts - earlier.dts for earlier, later in pairwise(samples)] == [TICKS] * 35
        assert all(packet.dts <= packet.pts for packet in samples)


def test_a_film_whose_parameter_sets_tell_nothing_is_learned():
    units = units_of(coded.x264(bf="3"), with_h265=False)
    times = DecodeTimes()
    placed = [times.place(unit.time, unit.key) for unit in units]
    assert times.depth == 2
    shown = [decode + offset for decode, offset in placed]
    assert shown[5:] == [unit.time for unit in units][5:]  # only the pictures of the lesson stand elsewhere
    assert [later[0] - earlier[0] for earlier, later in pairwise(placed[8:])] == [TICKS] * (len(placed) - 9)


def test_without_b_pictures_both_times_are_the_same():
    times = DecodeTimes()
    assert [times.place(n * 3000 + n % 3, n == 0) for n in range(5)] == [(n * 3000 + n % 3, 0) for n in range(5)]


def test_lost_pictures_lie_before_the_key_picture_and_not_in_it():
    times = DecodeTimes(2)
    order = [0, 4, 2, 1, 3, 8, 6, 5, 7]
    for n in order:
        times.place(n * TICKS, n == 0)
    assert times.place(30 * TICKS, True) == (28 * TICKS, 2 * TICKS)
    assert [times.place((30 + n) * TICKS, False) for n in order[1:5]] == [
        ((28 + turn) * TICKS, (2 + n - turn) * TICKS) for turn, n in enumerate(order[1:5], 1)
    ]


def test_what_a_clock_taught_that_stepped_back_a_little_is_forgotten():
    times = DecodeTimes()
    taken = [*range(40), *range(25, 400)]  # half a second back, in the middle of a group of pictures
    offsets = [times.place(n * TICKS, place % 15 == 0)[1] for place, n in enumerate(taken)]
    assert max(offsets) > 10 * TICKS
    assert times.depth == 0
    assert offsets[-100:] == [0] * 100


def test_groups_without_b_pictures_between_do_not_make_it_forget():
    times = DecodeTimes()
    for group in range(40):
        order = [0, 1, 2, 3, 4, 5] if group % 7 else [0, 3, 1, 2, 5, 4]
        for n in order:
            times.place((6 * group + n) * TICKS, n == 0)
    assert (times.depth, times.learned) == (1, 1)


def test_a_clock_that_steps_back_begins_anew():
    times = DecodeTimes(1)
    for n in range(1000, 1010):
        times.place(n * TICKS, n == 1000)
    assert times.place(0, True) == (-TICKS, TICKS)
    assert times.place(TICKS, False) == (0, TICKS)


@given(
    st.integers(0, 20),
    st.lists(st.tuples(st.integers(-(2**34), 2**34) | st.integers(0, 200_000), st.booleans()), max_size=120),
)
@settings(max_examples=2000)
def test_whatever_times_come_no_picture_is_shown_before_it_is_decoded(depth: int, pictures: list[tuple[int, bool]]):
    times = DecodeTimes(depth)
    placed = []
    for time, key in pictures:
        placed.append(times.place(time, key))
        assert placed[-1][1] >= 0
        assert times.depth <= MAX_DEPTH
        assert len(times._shown) <= MAX_DEPTH + 1
    backwards = {n for n in range(1, len(placed)) if placed[n][0] <= placed[n - 1][0]}
    assert all(pictures[n][0] < max(time for time, _ in pictures[:n]) for n in backwards)


@given(st.integers(1, 4), st.integers(0, 2**33), st.randoms(use_true_random=False))
def test_any_order_within_its_depth_is_placed_exactly(depth: int, begin: int, dice):
    """Pictures overtaken by at most `depth` others, as no standard forbids."""
    waiting = [(0, 0)]
    order = []
    for n in range(1, 80):
        waiting.append((n, len(order)))
        dice.shuffle(waiting)
        # One that `depth` others have already overtaken must come now.
        overdue = sorted(waiting)[0]
        ahead = sum(each > overdue[0] for each in order)
        order.append((overdue if ahead >= depth or dice.random() < 0.4 else waiting[0])[0])
        waiting = [each for each in waiting if each[0] != order[-1]]
    order = order[order.index(0) :]
    assert all(sum(other > n for other in order[:place]) <= depth for place, n in enumerate(order))
    times = DecodeTimes(depth)
    placed = [times.place(begin + n * TICKS, place == 0) for place, n in enumerate(order)]
    assert times.learned == 0
    assert all(decode + offset == begin + n * TICKS for (decode, offset), n in zip(placed, order, strict=True))
    assert all(later[0] > earlier[0] for earlier, later in pairwise(placed))
