"""Whether a recording is whole and can be played: what is missing is noticed, wherever it is missing."""

from pathlib import Path

import pytest

from recordings import verify
from recordings.verify import Unsound, check
from simulators.device import Manners
from simulators.povcam import PovcamSimulator

SECONDS = 4


@pytest.fixture(scope="module")
def films() -> dict[str, bytes]:
    """Clips as the simulated recorder has them: MP4 and AVCHD."""
    recorder = PovcamSimulator(small_clips=True, clips=4, clip_seconds=SECONDS, manners=Manners(0, 0))
    card = recorder.cards.slots["sd1"]
    assert card is not None
    found = {clip.format: clip for clip in card.clips}
    return {kind: b"".join(recorder._clips.content(found[form])) for kind, form in (("mp4", "mp4"), ("mts", "avchd"))}


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "film"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", ["mp4", "mts"])
def test_a_whole_recording_is_sound(films: dict[str, bytes], tmp_path: Path, kind: str):
    found = check(write(tmp_path, films[kind]), kind=kind, size=len(films[kind]), seconds=SECONDS)
    assert abs(found.duration - SECONDS) < 0.1
    assert (found.codec, found.width, found.height) == ("h264", 512, 288)


@pytest.mark.parametrize("kind", ["mp4", "mts"])
@pytest.mark.parametrize("left", [0.0, 0.1, 0.5, 0.7])
def test_one_that_ends_early_is_not(films: dict[str, bytes], tmp_path: Path, kind: str, left: float):
    with pytest.raises(Unsound):
        check(write(tmp_path, films[kind][: int(len(films[kind]) * left) // 192 * 192]), kind=kind, seconds=SECONDS)


@pytest.mark.parametrize("kind", ["mp4", "mts"])
def test_the_last_bytes_count(films: dict[str, bytes], tmp_path: Path, kind: str):
    with pytest.raises(Unsound, match="ends in the middle"):
        check(write(tmp_path, films[kind][:-1]), kind=kind)


@pytest.mark.parametrize("kind", ["mp4", "mts"])
def test_its_length_and_its_duration_are_as_announced(films: dict[str, bytes], tmp_path: Path, kind: str):
    path = write(tmp_path, films[kind])
    with pytest.raises(Unsound, match="were announced"):
        check(path, kind=kind, size=len(films[kind]) + 1)
    with pytest.raises(Unsound, match=r"lasts 4\.0 s where the device says 9 s"):
        check(path, kind=kind, seconds=9)
    assert check(path, kind=kind, seconds=None)


@pytest.mark.parametrize("kind", ["mp4", "mts"])
@pytest.mark.parametrize("data", [b"", b"<html>busy</html>" * 500, bytes(100_000), b"ErrorNo=3\r\n"])
def test_what_is_no_recording_is_not_taken_for_one(tmp_path: Path, kind: str, data: bytes):
    with pytest.raises(Unsound):
        check(write(tmp_path, data), kind=kind)


def test_pictures_that_cannot_be_decoded_are_noticed(films: dict[str, bytes], tmp_path: Path):
    film = bytearray(films["mp4"])
    at = film.index(b"mdat") + 4
    film[at : at + len(film) // 2] = bytes(len(film) // 2)
    with pytest.raises(Unsound):
        check(write(tmp_path, bytes(film)), kind="mp4", seconds=SECONDS)


def test_boxes_without_end_end(tmp_path: Path):
    with pytest.raises(Unsound):
        check(write(tmp_path, (8).to_bytes(4, "big") + b"free" * 1 + bytes(4)), kind="mp4")
    many = ((8).to_bytes(4, "big") + b"free") * (verify._MOST_BOXES + 1)
    with pytest.raises(Unsound):
        check(write(tmp_path, many), kind="mp4")
