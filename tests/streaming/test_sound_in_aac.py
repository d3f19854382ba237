"""Sound of the telephone's codecs as a browser plays it."""

import math
from itertools import pairwise

import pytest

from streaming.media import AccessUnit, AudioTrack, AudioUnit, Unit, VideoTrack
from streaming.sound import FRAME, RATE, InAac
from tests.streaming.hearing import ENCODERS, coded, heard, samples_of, tone

EACH = 320  # samples of a packet: 40 ms
UP = RATE // 8000


def units_of(kind: str, hertz: float = 440, count: int = 50, begin: int = 0) -> list[AudioUnit]:
    track = AudioTrack(kind, kind, 8000, 1, b"")
    return [
        AudioUnit(track, begin + number * EACH, (number + 1) * EACH / 8000, EACH, data)
        for number, data in enumerate(coded(kind, tone(hertz, count * EACH)))
    ]


def in_aac(units: list[AudioUnit]) -> list[AudioUnit]:
    found: list[Unit] = []
    line = InAac(found.append)
    for unit in units:
        line.take(unit)
    assert line.errors == 0
    return [unit for unit in found if isinstance(unit, AudioUnit)]


@pytest.mark.parametrize("kind", ENCODERS)
def test_the_tone_is_the_same(kind: str):
    found = in_aac(units_of(kind))
    assert {(each.track.kind, each.track.codec, each.track.rate) for each in found} == {("aac", "mp4a.40.2", RATE)}
    assert heard(found) == pytest.approx(440, rel=0.01)


def test_times_follow_each_other_and_a_frame_is_received_with_the_last_of_what_it_holds():
    found = in_aac(units_of("pcmu", begin=8000))
    assert [each.time for each in found] == [UP * 8000 + (number - 1) * FRAME for number in range(len(found))]
    for each in found[1:]:
        assert each.received == pytest.approx((each.time + FRAME) / RATE - 1.0)  # seconds of sound up to its end


def test_sound_stands_where_it_stood():
    """Half a second of silence, then a tone."""
    silence = tone(440, 4000)
    for number in range(len(silence)):
        silence[number] = 0
    sound = silence + tone(440, 8000)
    track = AudioTrack("pcmu", "pcmu", 8000, 1, b"")
    found = in_aac([AudioUnit(track, n * EACH, 0.0, EACH, each) for n, each in enumerate(coded("pcmu", sound))])
    samples = samples_of(found[0].track, (each.data for each in found))
    first = next(number for number, each in enumerate(samples) if abs(each) > 0.05)
    assert (first + found[0].time) / RATE == pytest.approx(0.5, abs=0.02)


def test_what_comes_late_is_little():
    """Sound that went in comes out before three frames more went in."""
    found: list[Unit] = []
    line = InAac(found.append)
    for unit in units_of("pcmu"):
        line.take(unit)
        gone_in = UP * (unit.time + unit.samples)
        come_out = found[-1].time + FRAME if found else 0
        assert gone_in - come_out <= 3 * FRAME


def test_missing_sound_leaves_a_gap_in_the_times():
    units = units_of("pcmu")
    found = in_aac(units[:20] + units[30:])
    steps = {b.time - a.time for a, b in pairwise(found)}
    assert steps == {FRAME, FRAME + UP * 10 * EACH}
    assert found[-1].time == pytest.approx(UP * units[-1].time, abs=3 * FRAME)


def test_what_cannot_be_decoded_is_counted_and_skipped():
    gsm = AudioTrack("gsm", "gsm", 8000, 1, b"")
    found: list[Unit] = []
    line = InAac(found.append)
    for number in range(60):
        data = bytes(32) if number % 10 == 5 else b"\xd8\x20\xa2\xe2\x22" + b"\x50\x0c\xa0\x0c\xff\x32\x0b" * 4
        line.take(AudioUnit(gsm, number * 160, 0.0, 160, data))
    assert line.errors == 6
    assert len(found) >= math.floor(54 * 160 * UP / FRAME) - 3


def test_aac_and_pictures_pass_untouched():
    picture = AccessUnit(VideoTrack("jpeg", "jpeg", 64, 64, b""), 0, 0.0, True, b"picture")
    sound = AudioUnit(AudioTrack("aac", "mp4a.40.2", 48_000, 1, b"\x11\x88"), 0, 0.0, 1024, b"sound")
    found: list[Unit] = []
    line = InAac(found.append)
    line.take(picture)
    line.take(sound)
    assert found[0] is picture
    assert found[1] is sound


def test_another_codec_in_the_middle_is_followed():
    first, second = units_of("pcmu", 440), units_of("g726le", 1000, begin=50 * EACH)
    assert heard(in_aac(first + second)[-20:]) == pytest.approx(1000, rel=0.01)
