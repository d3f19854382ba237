"""Sound and pictures of one session are put together by their sender's clock, as soon as it tells."""

import pytest

from streaming.media import CLOCK_RATE, AccessUnit, AudioTrack, AudioUnit, Unit, VideoTrack
from streaming.sources.together import FURTHEST, SenderClock, Together
from streaming.wire.rtcp import SenderReport

PICTURE = VideoTrack("h264", "avc1.64001f", 640, 360, b"")
SOUND = AudioTrack("aac", "mp4a.40.2", 48_000, 1, b"")
EPOCH = 2_208_988_800
# Where the sender's streams stood at BEGAN by its clock, which is a day off ours.
BEGAN, PICTURES_AT, SOUND_AT = 86_400.0, 0xFFFF_0000, 1234


def report(wall: float, timestamp: int) -> SenderReport:
    return SenderReport(0, round((wall + EPOCH) * 2**32), timestamp & 0xFFFFFFFF, 0, 0, ())


def picture(at: float, delay: float) -> AccessUnit:
    """Taken so many seconds after the beginning; our clock began then."""
    return AccessUnit(PICTURE, PICTURES_AT + round(at * CLOCK_RATE), at + delay, True, b"")


def sound(at: float, delay: float) -> AudioUnit:
    return AudioUnit(SOUND, SOUND_AT + round(at * 48_000), at + delay, 1024, b"")


class Session:
    def __init__(self) -> None:
        self.found: list[Unit] = []
        self.together = Together(self.found.append)
        self.together.sound = SenderClock(48_000)

    def report(self, at: float = 0.0, *, pictures: bool = True, sound: bool = True) -> None:
        if pictures:
            self.together.pictures.report(report(BEGAN + at, PICTURES_AT + round(at * CLOCK_RATE)))
        if sound:
            assert self.together.sound is not None
            self.together.sound.report(report(BEGAN + at, SOUND_AT + round(at * 48_000)))

    def play(self, seconds: float, *, pictures: float, sounds: float, begin: float = 0.0) -> AudioUnit:
        """Both, on their way for so long; answers the last of the sound."""
        for number in range(round(seconds * 25)):
            self.together.take(picture(begin + number / 25, pictures))
            self.together.take(sound(begin + number / 25, sounds))
        last = self.found[-1]
        assert isinstance(last, AudioUnit)
        return last


def late(unit: AudioUnit) -> float:
    """How long it was on its way, as it is told now."""
    return unit.received - (unit.time - SOUND_AT) / 48_000


@pytest.mark.parametrize("sounds", [0.02, 0.4])
def test_sound_is_taken_as_if_it_had_come_with_the_pictures(sounds: float):
    session = Session()
    session.report()
    assert late(session.play(10, pictures=0.2, sounds=sounds)) == pytest.approx(0.2, abs=0.001)


@pytest.mark.parametrize("lacking", ["pictures", "sound"])
def test_until_both_are_reported_on_the_arrival_counts(lacking: str):
    session = Session()
    session.report(**{lacking: False})
    assert late(session.play(2, pictures=0.2, sounds=0.4)) == pytest.approx(0.4)


def test_a_sender_without_a_clock_changes_nothing():
    session = Session()
    session.together.pictures.report(SenderReport(0, 0, PICTURES_AT, 0, 0, ()))
    session.report(pictures=False)
    assert late(session.play(2, pictures=0.2, sounds=0.4)) == pytest.approx(0.4)


def test_clocks_that_say_what_cannot_be_are_not_believed():
    session = Session()
    session.report()
    session.together.sound.report(report(BEGAN + FURTHEST + 5, SOUND_AT))
    assert late(session.play(2, pictures=0.2, sounds=0.4)) == pytest.approx(0.4)


def test_a_clock_that_is_set_meanwhile_is_followed():
    session = Session()
    session.report()
    session.play(4, pictures=0.2, sounds=0.4)
    session.together.pictures.report(report(BEGAN + 3600 + 4, PICTURES_AT + 4 * CLOCK_RATE))
    session.together.sound.report(report(BEGAN + 3600 + 4, SOUND_AT + 4 * 48_000))
    assert late(session.play(2, pictures=0.2, sounds=0.4, begin=4)) == pytest.approx(0.2, abs=0.001)


def test_pictures_are_passed_on_as_they_are():
    session = Session()
    session.report()
    session.together.take(picture(1.0, 0.2))
    assert session.found == [picture(1.0, 0.2)]
