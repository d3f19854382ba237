"""AAC in the three ways in which it is sent."""

import random
import struct

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.media import AudioUnit
from streaming.wire import Malformed, aac
from streaming.wire.aac import MAX_AU, Framer, asc, is_rfc3640, track_of
from tests.streaming import coded

SOUND = coded.aac()
FRAMES = SOUND.frames[1:]  # the first names the encoder; devices send none such
MONO = bytes.fromhex("1188")


def header(size: int) -> bytes:
    return struct.pack("!H", size << 3)


def rfc3640(*units: bytes) -> bytes:
    return struct.pack("!H", 16 * len(units)) + b"".join(header(len(unit)) for unit in units) + b"".join(units)


def bare(unit: bytes) -> bytes:
    return header(len(unit)) + unit


def raw(unit: bytes) -> bytes:
    return unit


def decoded(units: list[AudioUnit]) -> list[av.AudioFrame]:
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = units[0].track.config
    return [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]


@pytest.mark.parametrize("send", [rfc3640, bare, raw])
def test_whole_units_come_out_however_they_are_sent(send):
    framer = Framer(config=MONO)
    units = [unit for n, frame in enumerate(FRAMES) for unit in framer.push(send(frame), 1024 * n, 1.0)]
    assert [unit.data for unit in units] == list(FRAMES)
    assert [(unit.time, unit.samples) for unit in units] == [(1024 * n, 1024) for n in range(len(FRAMES))]
    assert (framer.malformed, framer.dropped) == (0, 0)
    assert coded.pitch(decoded(units)) == pytest.approx(440, rel=0.02)


def test_several_units_of_a_packet_follow_each_other_in_time():
    units = Framer(config=MONO).push(rfc3640(*FRAMES[:3]), 5000, 1.0)
    assert [(unit.data, unit.time) for unit in units] == [(FRAMES[n], 5000 + 1024 * n) for n in range(3)]


def test_a_unit_larger_than_a_packet_is_put_together():
    framer = Framer(config=MONO)
    big = random.Random(1).randbytes(3000)
    head = b"\0\x10" + header(3000)
    assert not framer.push(head + big[:1400], 100, 1.0, marker=False)
    assert not framer.push(head + big[1400:2800], 100, 1.0, marker=False)
    (unit,) = framer.push(head + big[2800:], 100, 1.0, marker=True)
    assert unit.data == big


def test_a_unit_of_which_a_part_is_missing_is_dropped():
    framer = Framer(config=MONO)
    head = b"\0\x10" + header(3000)
    framer.push(head + bytes(1400), 100, 1.0, marker=False)
    assert not framer.push(head + bytes(200), 100, 1.0, marker=True)
    framer.push(head + bytes(1400), 1124, 1.0, marker=False)
    assert [unit.data for unit in framer.push(rfc3640(FRAMES[0]), 2148, 1.0)] == [FRAMES[0]]
    assert framer.dropped == 2


def test_the_end_of_a_unit_whose_beginning_was_lost_is_dropped():
    framer = Framer(config=MONO)
    framer.push(rfc3640(FRAMES[0]), 0, 1.0)
    assert not framer.push(b"\0\x10" + header(3000) + bytes(200), 100, 1.0, marker=True)
    assert not framer.push(b"no header", 100, 1.0)
    assert (framer.dropped, framer.malformed) == (1, 1)


def test_over_http_a_unit_that_looks_like_a_header_is_none():
    silence = struct.pack("!H", 20 << 3) + bytes(20)
    assert [unit.data for unit in Framer(config=MONO).push(silence, None, 1.0)] == [silence[2:]]
    assert [unit.data for unit in Framer(config=MONO, headers=False).push(silence, None, 1.0)] == [silence]


@pytest.mark.parametrize(("channels", "config"), [(1, "1188"), (2, "1190")])
def test_without_a_configuration_the_first_element_tells(channels: int, config: str):
    sound = coded.aac(channels=channels)
    framer = Framer(48_000, headers=False)
    units = [unit for frame in sound.frames for unit in framer.push(frame, None, 1.0)]
    assert framer.track is not None
    assert framer.track.config.hex() == config
    assert framer.dropped == 1  # the encoder's name, before any sound
    assert [unit.time for unit in units] == [1024 * n for n in range(len(units))]
    frames = decoded(units)
    assert frames[0].layout.nb_channels == channels
    assert coded.pitch(frames) == pytest.approx(440, rel=0.02)


def test_the_configuration_of_sdp_describes_the_track():
    track, samples = track_of(bytes.fromhex("1190"))
    assert (track.codec, track.rate, track.channels, samples) == ("mp4a.40.2", 48_000, 2, 1024)
    assert track_of(bytes.fromhex("1408"))[0].rate == 16_000
    assert track_of(SOUND.config)[0].channels == 1  # longer, with the sign that there is no extension


@pytest.mark.parametrize("rate", aac.RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_configuration_made_is_read_back(rate: int, channels: int):
    track, _ = track_of(asc(rate, channels))
    assert (track.rate, track.channels) == (rate, channels)


def test_a_rate_of_its_own_is_read():
    # 00010 1111 then 24 bits of rate, then 0001: AAC-LC, 47,999 Hz, mono
    bits = 2 << 67 | 15 << 63 | 47_999 << 39 | 1 << 35
    assert track_of(bits.to_bytes(9, "big"))[0].rate == 47_999


@pytest.mark.parametrize("config", ["", "11", "2b11", "1780", "11f8", "1180", "f800"])
def test_a_configuration_that_no_device_has_is_malformed(config: str):
    with pytest.raises(Malformed):
        track_of(bytes.fromhex(config))


def test_aac_is_told_from_other_codecs_by_its_sizes():
    assert is_rfc3640(rfc3640(FRAMES[0]))
    assert not is_rfc3640(bytes(160))
    assert not is_rfc3640(b"\0\x10" + bytes(160))
    assert not any(is_rfc3640(random.Random(n).randbytes(160)) for n in range(5000))


def test_a_clock_that_wraps_goes_on():
    framer = Framer(config=MONO)
    times = [
        unit.time for n in range(4) for unit in framer.push(raw(FRAMES[n]), (2**32 - 2048 + 1024 * n) % 2**32, 1.0)
    ]
    assert times == [2**32 - 2048 + 1024 * n for n in range(4)]


@given(st.lists(st.tuples(st.binary(max_size=60), st.integers(0, 3), st.booleans()), max_size=20), st.booleans())
@settings(max_examples=2000)
def test_any_payloads_are_sound_or_counted(payloads, configured: bool):
    framer = Framer(config=MONO if configured else b"")
    for payload, time, marker in payloads:
        for unit in framer.push(payload, time, 1.0, marker=marker):
            assert 0 < len(unit.data) <= MAX_AU
        assert len(framer._part) <= MAX_AU


@given(st.data())
@settings(max_examples=2000)
def test_mutated_payloads_are_sound_or_counted(data):
    framer = Framer()
    for frame in FRAMES[:6]:
        payload = bytearray(data.draw(st.sampled_from([rfc3640, bare, raw]))(frame))
        payload[data.draw(st.integers(0, 6))] = data.draw(st.integers(0, 255))
        payload = payload[: data.draw(st.integers(0, len(payload)))]
        for unit in framer.push(bytes(payload), None, 1.0, marker=data.draw(st.booleans())):
            assert 0 < len(unit.data) <= MAX_AU


@given(st.binary(max_size=20))
@settings(max_examples=2000)
def test_any_configuration_is_read_or_malformed(config: bytes):
    try:
        track, samples = track_of(config)
    except Malformed:
        return
    assert track.channels in (1, 2)
    assert samples in (960, 1024)
