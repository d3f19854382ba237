"""The law of G.711 is found out by how it sounds."""

import array
import random

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.wire import g711
from tests.streaming.hearing import coded, tone

LAWS = ["pcmu", "pcma"]


def of_law(kind: str, sound: array.array) -> bytes:
    return b"".join(coded(kind, sound))


@pytest.mark.parametrize("kind", LAWS)
@pytest.mark.parametrize(
    ("hertz", "loud"), [(100, 8000), (250, 8000), (100, 800), (440, 800), (930, 800), (100, 80), (930, 80)]
)
def test_a_tone_tells(kind: str, hertz: float, loud: int):
    sound = array.array("h", (each * loud // 8000 for each in tone(hertz, 4000)))
    assert g711.law_of(of_law(kind, sound)) == kind


@pytest.mark.parametrize("kind", LAWS)
def test_silence_tells(kind: str):
    rustle = random.Random(1)
    sound = array.array("h", (rustle.randint(-12, 12) for _ in range(4000)))
    assert g711.law_of(of_law(kind, sound)) == kind


@pytest.mark.parametrize("kind", LAWS)
def test_something_like_speech_tells(kind: str):
    """Of many tones, that swells and fades, with some noise."""
    rustle = random.Random(2)
    tones = [tone(hertz, 4000) for hertz in (130, 260, 390, 650, 1100, 2200)]
    weights = (6, 5, 4, 3, 2, 1)
    sound = array.array(
        "h",
        (
            int(sum(each[n] * weight for each, weight in zip(tones, weights, strict=True)) / 21 * (n % 1000) / 1000)
            + rustle.randint(-40, 40)
            for n in range(4000)
        ),
    )
    assert g711.law_of(of_law(kind, sound)) == kind


@pytest.mark.parametrize("kind", LAWS)
@pytest.mark.parametrize("loud", [300, 3000, 9000])
def test_noise_tells_nothing(kind: str, loud: int):
    rustle = random.Random(3)
    assert g711.law_of(of_law(kind, array.array("h", (rustle.randint(-loud, loud) for _ in range(4000))))) is None


def test_too_little_tells_nothing():
    assert g711.law_of(b"\xff" * (g711.LEAST - 1)) is None


@given(st.binary(max_size=3 * g711.LEAST))
def test_anything_at_all_is_a_law_or_nothing(sound: bytes):
    assert g711.law_of(sound) in (*LAWS, None)


@pytest.mark.parametrize("kind", LAWS)
def test_values_are_those_of_another_decoder(kind: str):
    decoder = av.CodecContext.create({"pcmu": "pcm_mulaw", "pcma": "pcm_alaw"}[kind], "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    (frame,) = decoder.decode(av.Packet(bytes(range(256))))
    assert g711._VALUES[kind] == list(memoryview(bytes(frame.planes[0])[:512]).cast("h"))
