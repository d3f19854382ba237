"""Fragments and init segments, read back by another implementation."""

import io
import struct
from fractions import Fraction
from itertools import pairwise

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.media import CLOCK_RATE, AudioTrack
from streaming.wire import fmp4
from tests.streaming import coded
from tests.streaming.film import HEIGHT, RATE, TICKS, WIDTH, Film, mp4_of, numbers_seen, units_of


def boxes(data: bytes) -> list[tuple[str, bytes]]:
    found = []
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        assert 8 <= size <= len(data) - at
        found.append((kind.decode(), data[at + 8 : at + size]))
        at += size
    return found


def test_a_decoder_finds_every_picture_in_its_place(film: Film):
    mp4 = mp4_of(units_of(film))
    assert numbers_seen(mp4) == list(range(60))
    with av.open(io.BytesIO(mp4)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.time_base) == (WIDTH, HEIGHT, Fraction(1, CLOCK_RATE))
        packets = [packet for packet in container.demux(stream) if packet.size]
    times = [packet.pts for packet in packets]
    assert len(times) == 60
    assert all(0 < later - earlier <= TICKS for earlier, later in pairwise(times))
    assert [packet.is_keyframe for packet in packets] == [number % RATE == 0 for number in range(60)]


def test_samples_are_exactly_the_pictures(film: Film):
    units = units_of(film)
    with av.open(io.BytesIO(mp4_of(units))) as container:
        samples = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert samples == [unit.data for unit in units]


def test_a_fragment_is_prft_moof_mdat_with_the_time_it_reached_us():
    data = fmp4.fragment(7, 90_000, 3_000, True, 1_767_225_600.25, b"picture")
    kinds = boxes(data)
    assert [kind for kind, _ in kinds] == ["prft", "moof", "mdat"]
    _, track, seconds, fraction, media_time = struct.unpack(">IIIIQ", kinds[0][1])
    assert (track, seconds - 2_208_988_800, fraction / 2**32, media_time) == (1, 1_767_225_600, 0.25, 90_000)
    assert kinds[2][1] == b"picture"
    # The sample's place is told from the beginning of the moof.
    offset = struct.unpack_from(">i", data, data.index(b"trun") + 12)[0]
    assert data[data.index(b"moof") - 4 + offset :] == b"picture"


@pytest.mark.parametrize(("key", "depends"), [(True, 0x0200_0000), (False, 0x0101_0000)])
def test_key_pictures_are_marked(key: bool, depends: int):
    data = fmp4.fragment(1, 0, 1, key, 0.0, b"x")
    assert struct.unpack_from(">I", data, data.index(b"trun") + 24)[0] == depends


def test_the_init_segment_is_ftyp_and_moov_without_samples(film: Film):
    segment = fmp4.init_segment(units_of(film)[0].track)
    assert [kind for kind, _ in boxes(segment)] == ["ftyp", "moov"]
    with av.open(io.BytesIO(segment)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.extradata[:2] == b"\x01\x64"  # High


# --- B pictures, and sound --------------------------------------------------------------------------------------------
def test_a_picture_shown_later_than_decoded_carries_the_distance():
    data = fmp4.fragment(7, 90_000, 3_000, False, 0.0, b"picture", offset=6_000)
    moof = dict(boxes(dict(boxes(data))["moof"]))
    run = dict(boxes(moof["traf"]))["trun"]
    assert struct.unpack(">IIIIIII", run) == (
        0xF01,
        1,
        len(moof["traf"]) + 16 + 8 + 8 + 8,
        3_000,
        7,
        0x0101_0000,
        6_000,
    )
    assert struct.unpack_from(">Q", data, 24)[0] == 96_000  # `received` is told of the time of showing
    offset = struct.unpack_from(">i", data, data.index(b"trun") + 12)[0]
    assert data[data.index(b"moof") - 4 + offset :] == b"picture"


def sounding(track: AudioTrack, sound: coded.Sound) -> list[bytes]:
    return [fmp4.audio_fragment(n, 1024 * n, 1024, 1.0, data) for n, data in enumerate(sound.frames)]


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 1), (48_000, 2), (8_000, 1)])
def test_picture_and_sound_are_decoded_from_one_stream(film: Film, rate: int, channels: int):
    sound = coded.aac(rate, channels)
    track = AudioTrack("aac", "mp4a.40.2", rate, channels, sound.config)
    units = units_of(film)
    pictures = [fmp4.fragment(n, n * TICKS, TICKS, unit.key, 1.0, unit.data) for n, unit in enumerate(units)]
    audible = sounding(track, sound)
    mixed = [each for n in range(60) for each in (*pictures[n : n + 1], *audible[n : n + 1])]
    mp4 = b"".join([fmp4.init_segment(units[0].track, track), *mixed])
    assert numbers_seen(mp4) == list(range(60))
    with av.open(io.BytesIO(mp4)) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.rate, stream.channels) == ("aac", rate, channels)
        frames = list(container.decode(stream))
    assert [frame.pts for frame in frames] == [1024 * n for n in range(len(sound.frames))]
    assert coded.pitch(frames) == pytest.approx(440, rel=0.02)


def test_sound_tells_when_it_reached_us(film: Film):
    data = fmp4.audio_fragment(7, 48_000, 1024, 1_767_225_600.25, b"sound")
    kinds = boxes(data)
    assert [kind for kind, _ in kinds] == ["prft", "moof", "mdat"]
    _, track, seconds, fraction, media_time = struct.unpack(">IIIIQ", kinds[0][1])
    assert (track, seconds - 2_208_988_800, fraction / 2**32, media_time) == (2, 1_767_225_600, 0.25, 48_000)


def test_an_init_segment_with_sound_has_two_tracks_of_their_own_rates(film: Film):
    sound = coded.aac()
    segment = fmp4.init_segment(units_of(film)[0].track, AudioTrack("aac", "mp4a.40.2", 48_000, 1, sound.config))
    with av.open(io.BytesIO(segment)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert [stream.time_base for stream in container.streams] == [Fraction(1, 90_000), Fraction(1, 48_000)]
        assert container.streams.audio[0].codec_context.extradata == sound.config


@given(
    st.integers(0, 2**40), st.integers(1, 90_000), st.integers(0, 9000), st.integers(0, 2**40), st.integers(1, 90_000)
)
def test_a_picture_that_is_put_elsewhere_is_the_picture_that_would_have_been_made_there(
    time: int, duration: int, offset: int, place: int, lasting: int
):
    made = fmp4.fragment(7, time, duration, True, 1.7e9, b"picture", offset)
    assert fmp4.place_of(made) == (time, duration)
    assert fmp4.placed(made, place, lasting) == fmp4.fragment(7, place, lasting, True, 1.7e9, b"picture", offset)
    assert fmp4.is_picture(made)
    assert not fmp4.is_picture(fmp4.audio_fragment(7, time, duration, 1.7e9, b"sound"))
