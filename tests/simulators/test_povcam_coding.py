"""How pictures are coded for each size and rate (section 15.3), what 3840x2160 at 30 does to time, and the loop."""

from fractions import Fraction
from itertools import pairwise

import pytest

from simulators.device import Manners
from simulators.picture import read_strip
from simulators.povcam import PovcamSimulator
from simulators.povcam.media import Coded
from simulators.video import VideoFormat
from tests.simulators.helpers import Client, decode
from tests.simulators.test_povcam_streaming import start

SMALL = 640, 360


def kinds(picture: list[bytes]) -> list[int]:
    return [unit[0] & 0x1F for unit in picture]


def profile_and_cabac(picture: list[bytes]) -> tuple[int, bool]:
    sps = next(unit for unit in picture if unit[0] & 0x1F == 7)
    pps = next(unit for unit in picture if unit[0] & 0x1F == 8)
    # The PPS begins with its own number and the SPS's, both 0 and so one bit each; then the entropy coder.
    assert pps[1] & 0xC0 == 0xC0
    return sps[1], bool(pps[1] & 0x20)


@pytest.mark.parametrize(
    ("width", "height", "rate", "cabac", "held", "gop"),
    [
        (640, 360, 15, False, 0, 15),
        (1280, 720, 60, False, 0, 60),
        (1920, 1080, 30, False, 0, 30),
        (1920, 1080, 60, True, 0, 60),
        (3840, 2160, 15, True, 0, 8),
        (3840, 2160, 30, True, 2, 15),
        (3840, 2160, 25, True, 2, 12),
    ],
)
def test_each_size_and_rate_is_coded_as_the_table_says(width, height, rate, cabac, held, gop):
    coded = Coded(VideoFormat(width, height, Fraction(rate), 4096), SMALL, seed=5, name="x")
    pictures, shown = [], []
    for number in range(3 * gop):
        picture = coded.frame(number)
        assert bool(picture) == (number >= held)
        if picture:
            pictures.append(picture)
            shown.append(coded.shown)
    assert profile_and_cabac(pictures[0]) == (100, cabac)
    assert all(kinds(picture)[0] == 9 for picture in pictures)
    keys = [number for number, picture in zip(shown, pictures, strict=True) if 5 in kinds(picture)]
    assert keys[:2] == [0, gop]
    assert all(kinds(picture)[1:3] == [7, 8] for picture in pictures if 5 in kinds(picture))
    assert (shown == sorted(shown)) == (held == 0)


async def test_large_pictures_at_thirty_come_out_of_the_order_of_their_times(make_port):
    port = make_port()
    video = {1: VideoFormat(3840, 2160, Fraction(30), 8192)}
    async with PovcamSimulator(seed=7, streams=video, small_4k=True, manners=Manners(0, 0)) as device:
        await start(Client(device), port.number)
        pictures = await port.pictures(45)
        assert [remark.kind for remark in device.violations] == []
    times = [after.timestamp for before, after in pairwise([None, *port.packets]) if not before or before.marker]
    steps = [(after - before + 2**31) % 2**32 - 2**31 for before, after in pairwise(times)]
    assert min(steps) < 0 < max(steps)
    assert {step % 3000 for step in steps} == {0}
    order = sorted(range(len(times)), key=lambda place: (times[place] - times[0] + 2**31) % 2**32)
    strips = [read_strip(frame.to_image()) for frame in decode(pictures)]
    taken = [(times[place] - times[order[0]]) % 2**32 // 3000 for place in order]
    assert strips == [(7, strips[0][1] + number) for number in taken]
    assert taken == sorted(set(taken))


async def test_recorders_can_share_a_loop(make_port):
    one, two = make_port(), make_port()
    async with (
        PovcamSimulator(seed=1, looped=True, manners=Manners(0, 0)) as first,
        PovcamSimulator(seed=2, looped=True, manners=Manners(0, 0)) as second,
    ):
        await start(Client(first), one.number, 2)
        await start(Client(second), two.number, 2)
        for port in (one, two):
            pictures = await port.pictures(40)
            first_key = next(place for place, picture in enumerate(pictures) if 5 in kinds(picture))
            strips = [read_strip(frame.to_image()) for frame in decode(pictures[first_key:])]
            assert {seed for seed, _ in strips} == {0}
            assert all(0 < (after - before) % 60 < 30 for (_, before), (_, after) in pairwise(strips))
