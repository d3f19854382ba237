"""G.711, G.726 and GSM as devices send them."""

import random
from fractions import Fraction

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.media import AudioUnit
from streaming.wire import Malformed, sound
from streaming.wire.sound import Framer, GsmFramer, kind_of, without_lead
from tests.streaming import coded

CODECS = {"pcmu": "pcm_mulaw", "pcma": "pcm_alaw", "g726le": "g726le", "g726be": "g726", "gsm": "gsm"}


def encoded(kind: str, count: int = 50) -> list[bytes]:
    """Packets of 20 ms of a tone."""
    encoder = av.CodecContext.create(CODECS[kind], "w")
    encoder.sample_rate, encoder.layout, encoder.format = 8000, "mono", "s16"
    encoder.time_base = Fraction(1, 8000)
    if kind.startswith("g726"):
        encoder.bit_rate = 32_000
    packets = [packet for n in range(count) for packet in encoder.encode(coded.tone(8000, "mono", "s16", 160, 160 * n))]
    stream = b"".join(bytes(packet) for packet in [*packets, *encoder.encode(None)])
    size = 80 if kind.startswith("g726") else 160
    return [stream[at : at + size] for at in range(0, size * count, size)]


def decoded(units: list[AudioUnit]) -> list[av.AudioFrame]:
    kind = units[0].track.kind
    decoder = av.CodecContext.create(CODECS[kind], "r")
    decoder.sample_rate, decoder.layout = units[0].track.rate, "mono"
    if kind.startswith("g726"):
        decoder.options = {"bits_per_coded_sample": "4"}
    return [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]


@pytest.mark.parametrize("kind", ["pcmu", "pcma", "g726le", "g726be"])
def test_what_another_implementation_encodes_it_decodes_again(kind: str):
    framer = Framer(kind)
    units = [unit for n, data in enumerate(encoded(kind)) for unit in framer.push(data, 160 * n, 1.0)]
    assert [(unit.time, unit.samples) for unit in units] == [(160 * n, 160) for n in range(50)]
    frames = decoded(units)
    assert sum(frame.samples for frame in frames) == 8000
    assert coded.pitch(frames) == pytest.approx(440, rel=0.02)


def test_the_byte_in_front_of_g726_is_left_out():
    framer = Framer("g726le")
    assert [unit.data for unit in framer.push(b"\0" + b"a" * 80, 0, 1.0)] == [b"a" * 80]
    assert [unit.data for unit in framer.push(b"\0" + b"a" * 79, 0, 1.0)] == [b"\0" + b"a" * 79]
    assert [unit.data for unit in Framer("pcmu").push(b"\0" + b"a" * 80, 0, 1.0)] == [b"\0" + b"a" * 80]


def test_sound_without_times_is_counted():
    framer = Framer("pcmu")
    assert [unit.time for size in (160, 80, 160) for unit in framer.push(bytes(size), None, 1.0)] == [0, 160, 240]


@pytest.mark.parametrize("payload", [b"", bytes(sound.MAX_PAYLOAD + 2)])
def test_no_payload_and_too_large_ones_are_counted(payload: bytes):
    framer = Framer("pcma")
    assert not framer.push(payload, 0, 1.0)
    assert framer.malformed == 1


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("audio/48kaac-lc", "aac"),
        ("audio/g.726-32K", "g726be"),
        ("Audio/G.711", "pcmu"),
        ("audio/basic", "pcmu"),
        ("audio/PCMA", "pcma"),
        ("image/jpeg", None),
    ],
)
def test_a_parts_type_tells_the_codec(content_type: str, kind: str | None):
    assert kind_of(content_type, "be") == kind


def test_exactly_one_byte_is_in_front_of_sound_over_http():
    assert without_lead(b"\0\0\x10") == b"\0\x10"
    with pytest.raises(Malformed):
        without_lead(b"\0")


# --- GSM --------------------------------------------------------------------------------------------------------------
def gsm(count: int, seed: int = 1) -> list[bytes]:
    """Frames of noise: any 33 bytes that begin with 1101 are a frame."""
    dice = random.Random(seed)
    return [bytes([0xD0 | dice.randrange(16)]) + dice.randbytes(32) for _ in range(count)]


def fed(framer: GsmFramer, stream: bytes, size: int) -> list[AudioUnit]:
    return [unit for at in range(0, len(stream), size) for unit in framer.push(stream[at : at + size], 1.0)]


@pytest.mark.parametrize("size", [1, 10, 33, 99, 4000])
@pytest.mark.parametrize("begin", [0, 1, 20, 32])
def test_frames_are_found_however_the_stream_is_cut(size: int, begin: int):
    framer = GsmFramer()
    frames = gsm(40)
    units = fed(framer, b"\x11" * begin + b"".join(frames), size)
    assert [unit.data for unit in units] == frames
    assert [(unit.time, unit.samples) for unit in units] == [(160 * n, 160) for n in range(40)]
    assert (framer.skipped, units[0].track.kind) == (begin, "gsm")


def test_each_frame_is_one_to_another_implementation():
    units = fed(GsmFramer(), b"".join(gsm(20)), 100)
    assert [frame.samples for frame in decoded(units)] == [160] * 20


@pytest.mark.parametrize("spoil", [b"\x00\x01\x02", b"\xff" * 50, b"\x11" * 1000])
def test_frames_are_found_again_after_bytes_that_are_none(spoil: bytes):
    framer = GsmFramer()
    first, second = gsm(20, 1), gsm(20, 2)
    units = fed(framer, b"".join(first) + spoil + b"".join(second), 50)
    assert [unit.data for unit in units] == first + second
    assert framer.skipped == len(spoil)


def test_a_stream_without_frames_is_mu_law():
    stream = b"".join(encoded("pcmu"))
    units = fed(GsmFramer(), stream, 500)
    assert b"".join(unit.data for unit in units) == stream
    assert {unit.track.kind for unit in units} == {"pcmu"}
    assert coded.pitch(decoded(units)) == pytest.approx(440, rel=0.02)


@given(st.lists(st.binary(max_size=400), max_size=30), st.booleans())
@settings(max_examples=1500)
def test_any_stream_is_sound_and_little_of_it_is_held(pieces: list[bytes], begun: bool):
    framer = GsmFramer()
    if begun:
        fed(framer, b"".join(gsm(10)), 99)
    before = framer._time
    for piece in pieces:
        for unit in framer.push(piece, 1.0):
            assert unit.time == before
            before += unit.samples
        assert len(framer._buffer) <= sound.FRAME * (sound.SIGNS + 1)
