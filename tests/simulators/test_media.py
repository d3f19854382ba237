"""What simulated devices make pictures and sound with: encoders, packets and loops."""

import asyncio
import io
import time
from datetime import datetime
from fractions import Fraction

import pytest
from PIL import Image

from simulators import gsm, h265
from simulators.h264 import Encoder
from simulators.loops import loop
from simulators.multipart import GARBAGE, MOST_WAITING, Parts, Passage, Tampering, part
from simulators.picture import Picture, read_strip
from simulators.rtp import Numbering, Packetizer, aac_payload, h264_payloads, h265_payloads
from simulators.sound import AUDIO_SPECIFIC_CONFIG, BEEP_SECONDS, ENCODERS, SoundSource, pitch, second, sound_loop
from simulators.stills import JpegEncoder
from simulators.video import Drawn, VideoFormat, VideoSource
from tests.simulators.helpers import Packet, eventually
from tests.simulators.media import assembled, is_tone, kinds, samples, seen

SMALL = VideoFormat(320, 192, Fraction(10), 256)
NOON = datetime(2026, 11, 24, 12)
FRAGMENTS = {"h264": h264_payloads, "h265": h265_payloads}
KEY = {"h264": 5, "h265": 20}
PARAMETERS = {"h264": [7, 8], "h265": [32, 33, 34]}


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_each_frame_comes_out_at_once_and_shows_its_number(codec):
    drawn = Drawn(codec, SMALL, seed=5, name="Hall", delimiters=True)
    pictures = [drawn.frame(number) for number in range(100, 125)]
    assert all(pictures)
    assert seen(codec, pictures).numbers(5) == list(range(100, 125))
    keys = [index for index, units in enumerate(pictures) if KEY[codec] in kinds(codec, units)]
    assert keys == [0, 10, 20]
    for index in keys:
        assert [kind for kind in kinds(codec, pictures[index]) if kind in PARAMETERS[codec]] == PARAMETERS[codec]


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_packets_carry_the_units_whole(codec):
    drawn = Drawn(codec, SMALL, seed=5, name="Hall")
    packetizer = Packetizer(payload_type=101, mtu=600, fragments=FRAGMENTS[codec])
    sequence = None
    for number in range(12):
        units = drawn.frame(number)
        sent = packetizer.packets(units, number * 9000, bytes(8))
        assert max(map(len, sent)) <= 600
        packets = [Packet.parse(packet) for packet in sent]
        assert assembled(codec, packets) == units
        assert {packet.payload_type for packet in packets} == {101}
        assert [packet.marker for packet in packets] == [False] * (len(packets) - 1) + [True]
        assert [packet.extension for packet in packets] == [bytes(8)] + [None] * (len(packets) - 1)
        for packet in packets:
            assert sequence in (None, packet.sequence)
            sequence = (packet.sequence + 1) % 65536


def test_a_steady_bit_rate_is_kept_where_one_is_wanted():
    encoder, picture = h265.Encoder(320, 192, Fraction(10), 100), Picture(320, 192, seed=1, name="x")
    sizes = [sum(map(len, encoder.encode(picture.draw(number, NOON), number))) for number in range(60)]
    assert sum(sizes[30:]) * 8 / 3 < 150_000


def test_h264_without_delimiters_has_none():
    encoder, picture = Encoder(320, 192, Fraction(10), 256), Picture(320, 192, seed=1, name="x")
    assert 9 not in kinds("h264", encoder.encode(picture.draw(0, NOON), 0))


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_a_loop_repeats_without_a_seam_and_keeps_its_bit_rate(codec):
    video = VideoFormat(320, 192, Fraction(10), 200)
    looped = loop(codec, video, seed=9, name="Load")
    assert loop(codec, video, seed=9, name="Load") is looped
    assert len(looped.pictures) == 40
    assert KEY[codec] in kinds(codec, looped.frame(40))
    assert seen(codec, [looped.frame(number) for number in range(30, 50)]).numbers(9) == [*range(30, 40), *range(10)]
    bits = sum(len(unit) for units in looped.pictures for unit in units) * 8 / 4
    assert 140_000 < bits < 260_000


@pytest.mark.parametrize(
    ("header", "begins"),
    [("rfc3640", bytes((0, 16, 0x09, 0x60))), ("bare", bytes((0x09, 0x60))), ("none", b"")],
)
def test_an_aac_unit_has_the_header_its_document_wants(header, begins):
    unit = b"\x01" * 300
    assert aac_payload(unit, header) == begins + unit


def test_sequence_and_timestamp_wrap():
    numbering = Numbering(97)
    packets = [Packet.parse(numbering.packet(b"x", count << 16, marker=True)) for count in range(65537)]
    assert packets[0].sequence == packets[65536].sequence
    assert packets[0].timestamp == packets[65536].timestamp


DECODERS = {
    "aac": ("aac", AUDIO_SPECIFIC_CONFIG),
    "g711u": ("pcm_mulaw", None),
    "g711a": ("pcm_alaw", None),
    "g726": ("g726", None),
    "g726le": ("g726le", None),
    "gsm": ("gsm", None),
}


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize("seed", [0, 7, 19])
def test_every_codec_plays_the_devices_tone(codec, seed):
    encoder = ENCODERS[codec]()
    tone = second(encoder.rate, pitch(seed))
    twice = tone + tone
    found: list[bytes] = []
    given = 0
    while given < encoder.rate:
        found += encoder.encode(twice[given % encoder.rate :][: encoder.samples])
        given += encoder.samples
    decoder, config = DECODERS[codec]
    heard = samples(decoder, found, rate=encoder.rate, config=config)
    assert len(heard) == len(found) * encoder.unit_samples
    beep = int(BEEP_SECONDS * encoder.rate)
    quiet = heard[beep + 2 * encoder.unit_samples :]
    assert is_tone(quiet, pitch(seed), encoder.rate)
    start = encoder.padding
    loud = heard[start : start + beep // 2]
    assert max(loud) > 2 * max(quiet)


@pytest.mark.parametrize("codec", ENCODERS)
def test_a_loop_of_sound_has_no_seam_and_beeps_at_the_full_second(codec):
    looped = sound_loop(codec, 440)
    assert sound_loop(codec, 440) is looped
    assert len(looped.units) * looped.samples % looped.rate == 0
    decoder, config = DECODERS[codec]
    rate, ahead = looped.rate, 16 * looped.samples
    turns = 2 if codec == "aac" else 6
    heard = samples(decoder, list(looped.units) * turns, rate=rate, config=config)
    quiet = heard[rate // 5 : rate - ahead // 16]
    seam = len(looped.units) * looped.samples
    around = heard[seam - ahead : seam]
    assert is_tone(around, 440, rate)
    assert max(map(abs, around)) < 1.5 * max(map(abs, quiet))
    assert max(heard[seam : seam + rate // 20]) > 2 * max(quiet)
    for full in range(rate, 2 * rate, rate):
        begins = next(index for index in range(full - rate // 4, full + rate // 4) if heard[index] > 2 * max(quiet))
        assert abs(begins - full) < 0.02 * rate


def test_a_frame_of_gsm_is_33_bytes_and_silence_stays_silent():
    frame = gsm.encode([0] * gsm.SAMPLES)
    assert (len(frame), frame[0] >> 4) == (33, 0xD)
    assert max(map(abs, samples("gsm", [frame] * 10, rate=8000))) < 0.001
    with pytest.raises(ValueError, match="160 samples"):
        gsm.encode([0] * 159)


async def test_sound_follows_the_clock_and_stops_with_its_last_listener():
    source = SoundSource("g711u", seed=1, started=time.monotonic() - 100)
    heard: list[tuple[int, float]] = []

    def listener(unit: bytes, sample: int, wall: float) -> None:
        heard.append((sample, wall))

    source.add(listener)
    await eventually(lambda: len(heard) > 5)
    source.remove(listener)
    assert not source.running
    first, _ = heard[0]
    assert [sample for sample, _ in heard] == [first + 320 * index for index in range(len(heard))]
    assert heard[1][1] - heard[0][1] == pytest.approx(0.04, abs=0.01)
    assert first >= 100 * 8000
    assert first % 320 == 0


class Kept:
    """An outlet that keeps what it is sent."""

    def __init__(self) -> None:
        self.packetizer = Packetizer()
        self.packets: list[Packet] = []

    def send(self, packet: bytes) -> None:
        self.packets.append(Packet.parse(packet))

    def close(self) -> None:
        pass


def order(packets: list[Packet]) -> list[int]:
    return [(packet.sequence - packets[0].sequence) % 65536 for packet in packets]


async def test_late_packets_come_late_and_none_is_lost():
    source, outlet = VideoSource(SMALL, seed=1, name="x", started=time.monotonic()), Kept()
    source.late_every, source.late_by = 7, 3
    source.add(outlet)
    await eventually(lambda: len(outlet.packets) > 40)
    source.remove(outlet)
    numbers = order(outlet.packets)
    assert numbers[:12] == [0, 1, 2, 3, 4, 5, 7, 8, 9, 6, 10, 11]
    assert set(range(36)) <= set(numbers)
    assert len(numbers) == len(set(numbers))


async def test_a_cut_comes_in_the_middle_of_a_picture():
    source, outlet = VideoSource(SMALL, seed=1, name="x", started=time.monotonic()), Kept()
    source.add(outlet)
    await eventually(lambda: len(outlet.packets) > 10)
    source.cut(lambda: source.remove(outlet))
    await eventually(lambda: not source.encoding)
    assert not outlet.packets[-1].marker


def test_a_part_is_written_as_it_is_printed():
    assert part("--b", ("Content-Length: 2", "X: y"), b"ab") == b"--b\r\nContent-Length: 2\r\nX: y\r\n\r\nab\r\n"


def test_garbage_comes_between_parts_and_a_cut_within_one():
    tampering = Tampering()
    passage = Passage(tampering)
    assert passage.of(b"1234") == b"1234"
    tampering.garbage_every = 2
    assert [passage.of(b"1234") for _ in range(3)] == [GARBAGE + b"1234", b"1234", GARBAGE + b"1234"]
    tampering.cut()
    assert Passage(tampering).of(b"1234") == b"1234"  # opened after the cut
    assert (passage.of(b"1234"), passage.ended) == (b"12", True)


async def test_what_a_slow_client_does_not_read_is_lost_and_not_kept():
    parts = Parts(Packetizer(), lambda packet: packet, Tampering(), b"end")
    for _ in range(10):
        parts.send(bytes(MOST_WAITING // 2))
    parts.close()
    sent = b"".join([piece async for piece in parts.stream()])
    assert len(sent) <= 2 * MOST_WAITING
    assert sent.endswith(b"end")


async def test_parts_end_in_order_or_within_one():
    for cut in (False, True):
        parts = Parts(Packetizer(), lambda packet: b"<" + packet + b">", Tampering(), b"end")
        parts.send(b"123456")
        if cut:
            parts.cut()
        else:
            parts.close()
        async with asyncio.timeout(5):
            sent = b"".join([piece async for piece in parts.stream()])
        assert sent == b"<123456>" + (b"<" + bytes(501) if cut else b"end")


@pytest.mark.parametrize("quality", [92, 60, 1])
def test_stills_show_their_number_and_have_nothing_but_a_picture(quality):
    encoder, picture = JpegEncoder(320, 240, quality), Picture(320, 240, seed=5, name="Hall", full_range=True)
    for number in (9, 10):
        still = encoder.encode(picture.draw(number, NOON))
        assert still[:4] == b"\xff\xd8\xff\xdb"
        assert still[-2:] == b"\xff\xd9"
        image = Image.open(io.BytesIO(still))
        assert (image.size, read_strip(image)) == ((320, 240), (5, number))


def test_a_higher_quality_is_a_larger_still():
    picture = Picture(320, 240, seed=5, name="Hall", full_range=True)
    sizes = [len(JpegEncoder(320, 240, quality).encode(picture.draw(0, NOON))) for quality in (92, 85, 75, 60, 45)]
    assert sizes == sorted(set(sizes), reverse=True)
