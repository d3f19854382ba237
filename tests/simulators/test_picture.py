"""The test picture and the strip a program reads from it."""

import io
from datetime import datetime
from fractions import Fraction

import pytest
from PIL import Image

from simulators.h264 import Encoder
from simulators.picture import Picture, jpeg, read_strip, strip_bits
from tests.simulators.helpers import decode

NOON = datetime(2026, 11, 20, 12, 0, 0, 250_000)


def still(number: int, seed: int = 7) -> Image.Image:
    picture = Picture(640, 360, seed=seed, name="Gate", full_range=True)
    return Image.open(io.BytesIO(jpeg(picture.draw(number, NOON))))


@pytest.mark.parametrize(("seed", "frame"), [(0, 0), (7, 1), (255, 65535), (200, 43690), (1, 21845)])
def test_the_strip_tells_seed_and_frame(seed, frame):
    assert read_strip(still(frame, seed)) == (seed, frame)


def test_the_strip_wraps_seed_and_frame():
    assert read_strip(still(65536 + 5, seed=256 + 3)) == (3, 5)


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 720), (320, 180), (213, 120)])
def test_the_strip_survives_scaling(size):
    assert read_strip(still(12345).resize(size)) == (7, 12345)


def test_the_strip_is_where_the_documentation_says():
    image = still(4321).convert("L")
    points = [(int((index + 0.5) / 32 * image.width), int(23 / 24 * image.height)) for index in range(32)]
    assert [int(image.getpixel(point) > 128) for point in points] == strip_bits(7, 4321)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_plain_picture_has_no_strip(level):
    assert read_strip(Image.new("RGB", (640, 360), (level, level, level))) is None


def test_a_wrong_block_is_noticed():
    image = still(99)
    for block in range(32):
        spoilt = image.copy()
        box = (block * 20, 330, block * 20 + 20, 360)
        spoilt.paste(Image.eval(image.crop(box), lambda level: 255 - level), box)
        assert read_strip(spoilt) is None


def test_pictures_of_two_devices_look_different():
    one, other = still(1, seed=1).getpixel((320, 10)), still(1, seed=2).getpixel((320, 10))
    assert sum(abs(a - b) for a, b in zip(one, other, strict=True)) > 60


def test_the_ball_and_the_clock_move_and_leave_no_trace():
    fresh = Picture(640, 360, seed=7, name="Gate").draw(50, NOON)
    used = Picture(640, 360, seed=7, name="Gate")
    before = [plane.tobytes() for plane in used.draw(1, NOON.replace(second=59))]
    planes = used.draw(50, NOON)
    assert [plane.tobytes() for plane in planes] == [plane.tobytes() for plane in fresh]
    assert [plane.tobytes() for plane in planes] != before


def test_an_impossible_size_is_refused():
    with pytest.raises(ValueError, match="multiple of 32"):
        Picture(650, 360, seed=1, name="")


@pytest.mark.parametrize(("width", "height", "rate"), [(1280, 720, 30), (640, 360, 15)])
def test_h264_is_high_profile_with_parameter_sets_before_each_key_picture(width, height, rate):
    picture = Picture(width, height, seed=7, name="Gate")
    encoder = Encoder(width, height, Fraction(rate), 4096)
    pictures = [encoder.encode(picture.draw(number, NOON), number) for number in range(2 * rate + 1)]
    kinds = [[unit[0] & 0x1F for unit in units] for units in pictures]
    keys = [number for number, found in enumerate(kinds) if 5 in found]
    assert keys == [0, rate, 2 * rate]
    assert all(kinds[key][:2] == [7, 8] for key in keys)
    assert pictures[0][0][1] == 100  # profile_idc: High
    frames = decode(pictures)
    assert [read_strip(frame.to_image()) for frame in frames] == [(7, number) for number in range(2 * rate + 1)]
    assert not any(frame.pict_type == 3 for frame in frames)  # B
