"""Sound that does not tell what it is, or when: found out from what comes."""

import io
import random
from itertools import pairwise

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.families.base import Sound
from streaming.media import AudioTrack, AudioUnit
from streaming.sources.sound import TypeLess, Untimed
from streaming.wire import rtp
from streaming.wire.aac import AdtsFramer

PAYLOAD = bytes(range(1, 161))


def packets(payload: bytes, step: int, count: int = 4) -> list[rtp.Packet]:
    return [rtp.Packet(False, 97, n, 1000 + n * step, 0, b"", payload, 0, len(payload)) for n in range(count)]


@pytest.mark.parametrize(
    ("step", "kind", "samples"),
    [
        (160, "pcmu", 160),
        (320, "g726be", 320),
        (160 * 90 // 8, "pcmu", 160),  # counted in the ticks of pictures
        (320 * 90 // 8, "g726be", 320),
    ],
)
def test_the_time_between_packets_tells_the_codec(step: int, kind: str, samples: int):
    framing = TypeLess(Sound("rtp", g726="be", g711="pcmu"))
    units = [unit for packet in packets(PAYLOAD, step) for unit in framing.push(packet, 0.0)]
    assert {unit.track.kind for unit in units} == {kind}
    assert [b.time - a.time for a, b in pairwise(units)] == [samples] * 2
    assert framing.dropped == 1  # the first, of which nothing could be known


def test_headers_that_add_up_are_aac():
    unit = bytes([0x01, 0x40]) + PAYLOAD
    payload = b"\0\x10" + (len(unit) << 3).to_bytes(2, "big") + unit
    framing = TypeLess(Sound("rtp"))
    units = [each for packet in packets(payload, 1024) for each in framing.push(packet, 0.0)]
    assert [each.data for each in units] == [unit] * 4
    assert units[0].track == AudioTrack("aac", "mp4a.40.2", 48_000, 1, b"\x11\x88")


# --- ADTS -------------------------------------------------------------------------------------------------------------
def adts(unit: bytes, *, rate_number: int = 3) -> bytes:
    size = len(unit) + 7
    head = bytes(
        [0xFF, 0xF1, 0x40 | rate_number << 2, 0x80 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F, 0xFC]
    )
    return head + unit


UNITS = [bytes([0x01, 0x40 + n]) + bytes([n]) * (20 + n) for n in range(12)]


@given(st.integers(1, 60))
def test_adts_frames_are_found_however_they_are_cut(step: int):
    stream = b"\x12\x34\xff" + b"".join(map(adts, UNITS))
    framer = AdtsFramer()
    found = [unit for at in range(0, len(stream), step) for unit in framer.push(stream[at : at + step], 0.0)]
    assert [each.data for each in found] == UNITS
    assert [each.time for each in found] == [n * 1024 for n in range(len(UNITS))]
    assert framer.skipped == 3
    assert framer.track == AudioTrack("aac", "mp4a.40.2", 48_000, 1, b"\x11\x88")


@given(st.lists(st.binary(max_size=400), max_size=30))
def test_adts_bears_anything(pieces: list[bytes]):
    framer = AdtsFramer()
    for piece in pieces:
        framer.push(piece, 0.0)
    assert len(framer._buffer) <= 0x2000


def test_adts_of_a_real_encoder_is_read():
    """libavformat writes it, and its own demuxer finds the same."""
    file = io.BytesIO()
    with av.open(file, "w", format="adts") as output:
        stream = output.add_stream("aac", rate=48_000, layout="mono")
        for number in range(20):
            frame = av.AudioFrame("fltp", "mono", 1024)
            frame.sample_rate, frame.pts = 48_000, number * 1024
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    found = AdtsFramer().push(file.getvalue(), 0.0)
    with av.open(io.BytesIO(file.getvalue()), format="aac") as container:
        expected = [bytes(packet) for packet in container.demux() if packet.size]
    # The demuxer leaves the headers on. The first frame holds nothing but the encoder's name.
    assert [each.data for each in found] == [each[7:] for each in expected[1:]]


# --- Times ------------------------------------------------------------------------------------------------------------
TRACK = AudioTrack("gsm", "gsm", 8000, 1, b"")


def timed(arrivals: list[float]) -> list[int]:
    found: list[AudioUnit] = []
    line = Untimed(found.append)
    for number, arrival in enumerate(arrivals):
        line.take(AudioUnit(TRACK, number * 160, arrival, 160, b""))
    return [each.time for each in found]


def test_what_was_only_held_up_moves_nothing():
    """A second without any, then all of it at once."""
    arrivals = [max(n / 50, 3.0) if 2.0 < n / 50 < 3.0 else n / 50 for n in range(500)]
    assert timed(arrivals) == [n * 160 for n in range(500)]


def test_what_is_missing_moves_the_times_on():
    """Half a second was never sent."""
    dice = random.Random(3)
    arrivals = [n / 50 + (0.5 if n >= 150 else 0.0) + dice.uniform(0, 0.02) for n in range(500)]
    times = timed(arrivals)
    assert times[:150] == [n * 160 for n in range(150)]
    assert times[-1] / 8000 == pytest.approx(arrivals[-1] - arrivals[0], abs=0.05)
