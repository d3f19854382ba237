"""H.265 put together from packets: whole pictures or none."""

import base64
import io
import random
from fractions import Fraction
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.wire import Malformed, fmp4, h265, nal, rtp
from streaming.wire.h265 import Depacketizer, parse_sps
from tests.streaming import coded
from tests.streaming.coded import TICKS, Picture
from tests.streaming.packer import packets, put_together
from tests.streaming.test_rtp import packet

VPS, SPS, PPS = 32, 33, 34


def kind(unit: bytes) -> int:
    return unit[0] >> 1 & 0x3F


def framed(picture: Picture) -> bytes:
    """What of a picture is a sample."""
    kept = [unit for unit in picture.nals if kind(unit) not in (32, 33, 34, 35)]
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in kept)


@pytest.fixture(scope="module")
def film() -> tuple[Picture, ...]:
    return coded.x265()


@pytest.fixture(scope="module")
def sets(film) -> list[bytes]:
    return [unit for unit in film[0].nals if kind(unit) in (VPS, SPS, PPS)]


@pytest.mark.parametrize("mtu", [60, 400, 1400])
@pytest.mark.parametrize("aggregate", [True, False])
def test_every_picture_comes_out_as_it_went_in(film, mtu: int, aggregate: bool):
    depacketizer = Depacketizer()
    units = put_together(depacketizer, packets(film, h265=True, mtu=mtu, aggregate=aggregate))
    assert [unit.data for unit in units] == [framed(picture) for picture in film]
    assert [unit.time for unit in units] == [n * TICKS for n in range(36)]
    assert [unit.key for unit in units] == [n % 12 == 0 for n in range(36)]
    assert depacketizer.dropped == depacketizer.malformed == 0


def test_a_decoder_shows_them_from_the_init_segment_and_fragments(film):
    units = put_together(Depacketizer(), packets(film, h265=True))
    mp4 = fmp4.init_segment(units[0].track) + b"".join(
        fmp4.fragment(n, n * TICKS, TICKS, unit.key, 1.0, unit.data) for n, unit in enumerate(units)
    )
    assert coded.shown(mp4) == list(range(36))
    with av.open(io.BytesIO(mp4)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.codec_tag) == ("hevc", "hvc1")
        assert stream.codec_context.extradata == units[0].track.config


def test_the_configuration_is_the_one_that_ffmpeg_writes(film):
    """Byte by byte but for what is said of segmentation and parallelism, which nobody needs."""
    track = put_together(Depacketizer(), packets(film, h265=True))[0].track
    output = io.BytesIO()
    with av.open(output, "w", "mp4") as container:
        stream = container.add_stream("libx265", rate=30)
        stream.width, stream.height, stream.pix_fmt = *coded.SIZE, "yuv420p"
        stream.codec_context.gop_size = 12
        stream.options = {"preset": "ultrafast", "x265-params": "log-level=none:crf=8:scenecut=0:keyint=12:bframes=0"}
        for number in range(3):
            frame = av.VideoFrame(*coded.SIZE, "yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    theirs = av.open(io.BytesIO(output.getvalue())).streams.video[0].codec_context.extradata
    ours = track.config
    assert ours[:13] == theirs[:13]
    assert ours[16:19] == theirs[16:19]  # chroma and depths
    assert ours[21] == theirs[21]


def test_the_codec_is_what_a_browser_is_asked():
    profile = bytes.fromhex("0160000000b000000000005d")
    assert h265._codec(profile) == "hvc1.1.6.L93.B0"
    assert h265._codec(bytes.fromhex("622000000000000000000099")) == "hvc1.A2.4.H153"  # another space, the high tier


@pytest.mark.parametrize(
    ("width", "height", "form"),
    [
        (96, 64, "yuv420p"),
        (1920, 1080, "yuv420p"),
        (322, 182, "yuv420p"),
        (320, 240, "yuv444p"),
        (320, 240, "yuv420p10le"),
    ],
)
def test_sizes_are_read_as_a_decoder_reads_them(width: int, height: int, form: str):
    codec = av.CodecContext.create("libx265", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = width, height, form, Fraction(1, 25)
    codec.options = {"preset": "ultrafast", "x265-params": "log-level=none"}
    data = bytes([*codec.encode(av.VideoFrame(width, height, form)), *codec.encode(None)][0])
    sps = next(unit for unit in coded.nal_units(data) if kind(unit) == SPS)
    info = parse_sps(sps)
    assert (info.width, info.height) == (width, height)
    assert info.chroma_format == (3 if "444" in form else 1)
    assert info.luma_depth == info.chroma_depth == (10 if "10" in form else 8)


def test_a_real_cameras_parameter_sets_are_read():
    describe = Path(__file__).parents[3] / "shared" / "realworld" / "rtsp" / "dahua_describe_h265_pcma.txt"
    if not describe.exists():
        pytest.skip("the replies of real devices are not here (../shared/realworld)")
    text = describe.read_text()
    found = {
        name: base64.b64decode(text.split(f"sprop-{name}=")[1].split(";")[0].split("\n")[0].strip())
        for name in ("vps", "sps", "pps")
    }
    info = parse_sps(found["sps"])
    assert (info.width, info.height, info.codec) == (704, 480, "hvc1.1.6.L90.B0")
    decoder = av.CodecContext.create("hevc", "r")
    decoder.extradata = h265.configuration(info, [found["vps"]], [found["sps"]], [found["pps"]])
    decoder.open()
    assert (decoder.width, decoder.height) == (704, 480)


# --- Where decoding may begin -----------------------------------------------------------------------------------------
def test_joining_in_the_middle_waits_for_the_next_key_picture(film):
    depacketizer = Depacketizer()
    units = put_together(depacketizer, packets(film[5:], h265=True))
    assert [unit.time // TICKS for unit in units] == list(range(12, 36))
    assert depacketizer.dropped == 7


def test_nothing_is_shown_before_all_three_parameter_sets_are_known(film, sets):
    bare = [Picture(each.time, tuple(unit for unit in each.nals if unit not in sets)) for each in film]
    depacketizer = Depacketizer()
    assert not put_together(depacketizer, packets(bare, h265=True))
    for without in range(3):
        depacketizer = Depacketizer()
        depacketizer.offer(sets[:without] + sets[without + 1 :])
        assert not put_together(depacketizer, packets(bare, h265=True))
    depacketizer.offer(sets)
    # The very first may lack its first packets: without a delimiter or parameter sets nobody can tell.
    assert next(unit.time for unit in put_together(depacketizer, packets(bare, h265=True))) == 12 * TICKS


def test_pictures_that_lead_an_entered_random_access_point_are_dropped():
    film = coded.x265(params="bframes=3:b-pyramid=1")  # its later key pictures are CRA, led by RASL pictures
    second = next(n for n, each in enumerate(film) if n and each.nals[0][0] >> 1 == VPS)
    leading = sum(kind(each.nals[-1]) in (8, 9) for each in film[second : second + 4])
    assert leading == 3
    depacketizer = Depacketizer()
    units = put_together(depacketizer, packets(film[second:], h265=True))
    assert depacketizer.dropped == leading
    assert [unit.data for unit in units] == [framed(each) for each in (film[second], *film[second + 1 + leading :])]
    # In a stream that was watched from before, they belong.
    depacketizer = Depacketizer()
    assert len(put_together(depacketizer, packets(film, h265=True))) == len(film)


def test_other_parameter_sets_make_another_track(film):
    wider = coded.x265(24, params="bframes=0:level-idc=5")
    both = [*film, *(Picture(each.time + 36 * TICKS, each.nals) for each in wider)]
    units = put_together(Depacketizer(), packets(both, h265=True))
    assert [unit.track.codec.split(".")[3] for unit in (units[35], units[36])] == ["L30", "H150"]
    assert len({id(unit.track) for unit in units}) == 2


def test_parameter_sets_of_other_layers_are_none_of_ours(film, sets):
    upper = bytes((sets[1][0], sets[1][1] | 8)) + b"nonsense"
    extended = [Picture(each.time, (upper, *each.nals)) for each in film]
    depacketizer = Depacketizer()
    assert len(put_together(depacketizer, packets(extended, h265=True))) == 36
    assert depacketizer.malformed == 0


@pytest.mark.parametrize(
    "payload", [b"\x64\x01paci", b"\xe2\x01forbidden", b"\x60\x01\0\0", b"\x62\x01\x80", b"\x62\x01\x01middle"]
)
def test_what_is_not_accepted_damages_its_picture_and_is_counted(sets, payload: bytes):
    depacketizer = Depacketizer()
    depacketizer.offer(sets)
    begin = [packet(1, b"\x46\x01\x50"), packet(2, b"\x26\x01\xafslice"), packet(3, payload, marker=True)]
    assert not put_together(depacketizer, begin)
    assert (depacketizer.malformed, depacketizer.dropped) == (1, 1)


# --- Loss -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(30))
def test_no_damaged_picture_is_handed_out_when_packets_are_lost(film, seed: int):
    dice = random.Random(seed)
    sent = {framed(picture): number for number, picture in enumerate(film)}
    arriving = [each for each in packets(film, h265=True, mtu=80) if dice.random() > 0.005 * (1 + seed % 4)]
    depacketizer = Depacketizer()
    last = -2
    for unit in put_together(depacketizer, arriving):
        number = sent[unit.data]
        assert unit.key or number == last + 1
        last = number


# --- Whatever comes ---------------------------------------------------------------------------------------------------
def test_a_picture_too_large_is_dropped_and_its_memory_freed(sets):
    depacketizer = Depacketizer()
    depacketizer.offer(sets)
    arriving = [packet(0, b"\x46\x01\x50"), packet(1, b"\x62\x01\x93" + bytes(9000))]
    arriving += [packet(n, b"\x62\x01\x13" + bytes(9000)) for n in range(2, 2000)]
    for each in arriving:
        assert not depacketizer.push(rtp.parse(each), 1.0)
        assert depacketizer._size <= nal.MAX_UNIT
    assert (depacketizer.malformed, depacketizer._pieces) == (1, [])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [b"", b"\x26\x01", b"\x02\x01", b"\x62\x01\x93", b"\x62\x01\x53", b"\x60\x01", b"\x42\x01"]
            ),
            st.binary(max_size=40),
            st.booleans(),
            st.integers(0, 3),
        ),
        max_size=40,
    )
)
@settings(max_examples=1500)
def test_any_payloads_are_put_together_or_skipped(payloads):
    depacketizer = Depacketizer()
    for number, (head, rest, marker, time) in enumerate(payloads):
        for unit in depacketizer.push(rtp.parse(packet(number, head + rest, marker=marker, timestamp=time)), 1.0):
            assert unit.data
        assert len(depacketizer._pps) <= nal.MAX_PPS


@given(st.data())
@settings(max_examples=1500, deadline=None)
def test_mutated_streams_never_break_the_depacketizer(data):
    arriving = packets(coded.x265(), h265=True, mtu=100)[:50]
    for _ in range(data.draw(st.integers(1, 6))):
        index = data.draw(st.integers(0, len(arriving) - 1))
        mutated = bytearray(arriving[index])
        what = data.draw(st.sampled_from(["flip", "cut", "swap", "repeat", "drop"]))
        if what == "flip" and mutated:
            mutated[data.draw(st.integers(0, min(60, len(mutated) - 1)))] = data.draw(st.integers(0, 255))
            arriving[index] = bytes(mutated)
        elif what == "cut":
            arriving[index] = bytes(mutated[: data.draw(st.integers(0, len(mutated)))])
        elif what == "swap":
            other = data.draw(st.integers(0, len(arriving) - 1))
            arriving[index], arriving[other] = arriving[other], arriving[index]
        elif what == "repeat":
            arriving.insert(index, arriving[index])
        elif len(arriving) > 1:
            del arriving[index]
    depacketizer = Depacketizer()
    sequencer = rtp.Sequencer()
    for datagram in arriving:
        try:
            parsed = rtp.parse(datagram)
        except Malformed:
            continue
        for each in sequencer.push(parsed):
            assert all(unit.data and unit.track.width for unit in depacketizer.push(each, 1.0))
        assert depacketizer._size <= nal.MAX_UNIT


@given(st.binary(max_size=120))
@settings(max_examples=2000)
def test_any_bytes_are_a_parameter_set_or_malformed(data: bytes):
    try:
        info = parse_sps(b"\x42\x01" + data)
    except Malformed:
        return
    assert 0 < info.width <= nal.MAX_SIDE
    assert 0 < info.height <= nal.MAX_SIDE


@given(st.integers(0, 79), st.integers(0, 255))
@settings(max_examples=1500)
def test_a_mutated_parameter_set_is_read_or_malformed(place: int, value: int):
    sps = bytearray(next(unit for unit in coded.x265()[0].nals if kind(unit) == SPS))
    sps[place % len(sps)] = value
    try:
        info = parse_sps(bytes(sps))
    except Malformed:
        return
    h265.configuration(info, [b"\x40\x01"], [bytes(sps)], [b"\x44\x01"])
