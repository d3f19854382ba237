"""H.264 put together from packets: whole pictures or none."""

import random
from fractions import Fraction
from itertools import pairwise

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulators.h264 import split_annex_b
from streaming.media import AccessUnit
from streaming.wire import Malformed, h264, nal, rtp
from streaming.wire.h264 import Depacketizer, parse_sps
from tests.streaming.film import HEIGHT, RATE, WIDTH, Chain, Film, make_film, mp4_of, numbers_seen, shuffled_within
from tests.streaming.test_rtp import packet


def flat(film: Film, mtu: int = 1400) -> list[bytes]:
    return [each for packets in film.packets(mtu) for each in packets]


def samples(packets: list[bytes]) -> list[bytes]:
    return [unit.data for unit in Chain().push_all(packets)]


@pytest.fixture(scope="module")
def sets(film: Film) -> tuple[bytes, bytes, bytes]:
    """SPS, PPS and a small IDR slice (not a decodable one)."""
    sps = next(unit for unit in film.frames[0] if unit[0] & 0x1F == h264.SPS)
    pps = next(unit for unit in film.frames[0] if unit[0] & 0x1F == h264.PPS)
    return sps, pps, b"\x65\x88" + b"key" * 10


def test_every_picture_comes_out_as_it_went_in(film: Film):
    units = Chain().push_all(flat(film))
    assert len(units) == len(film.frames)
    assert [unit.key for unit in units] == [number % RATE == 0 for number in range(len(film.frames))]
    assert numbers_seen(mp4_of(units)) == list(range(60))


@pytest.mark.parametrize("mtu", [100, 500, 1400, 9000])
def test_the_size_of_packets_does_not_matter(film: Film, mtu: int):
    assert samples(flat(film, mtu)) == samples(flat(film))


def test_the_track_tells_size_and_profile(film: Film):
    track = Chain().push_all(flat(film))[0].track
    assert (track.width, track.height) == (WIDTH, HEIGHT)
    assert track.codec.startswith("avc1.64")  # High, as POVCAM 15.3 says


def test_parameter_sets_and_delimiters_leave_the_pictures(sets):
    sps, pps, idr = sets
    chain = Chain()
    units = [b"\x09\xf0", sps, pps, b"\x06\x05\x01\x00\x80", idr, b"\x0c\xff\xff"]
    out = chain.push_all(packet(n, unit, marker=n == 5) for n, unit in enumerate(units))
    assert [unit.data for unit in out] == [b"\0\0\0\5\x06\x05\x01\x00\x80" + len(idr).to_bytes(4, "big") + idr]
    assert sps in out[0].track.config
    assert pps in out[0].track.config


def test_aggregated_units_are_taken_apart(sets):
    idr = sets[2]
    payload = b"\x18" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in sets)
    (unit,) = Chain().push_all([packet(1, payload, marker=True)])
    assert unit.key
    assert unit.data[4:] == idr


def test_a_picture_without_a_marker_ends_where_the_time_changes(sets):
    chain = Chain()
    out = chain.push_all(
        [
            *(packet(n, unit, timestamp=0) for n, unit in enumerate(sets)),
            packet(3, b"\x41\x9a1", timestamp=6000),
            packet(4, b"\x41\x9a2", timestamp=12000, marker=True),
        ]
    )
    assert [unit.time for unit in out] == [0, 6000, 12000]


def test_nothing_is_shown_before_parameter_sets_and_a_key_picture(sets):
    sps, pps, idr = sets
    chain = Chain()
    assert not chain.push_all([packet(1, b"\x41\x9a", marker=True), packet(2, idr, marker=True)])
    assert not chain.push_all([packet(3, sps), packet(4, pps, marker=True), packet(5, b"\x41\x9a", marker=True)])
    assert len(chain.push_all([packet(6, idr, marker=True), packet(7, b"\x41\x9a", marker=True)])) == 2


def test_parameter_sets_may_travel_alone_and_only_once(sets):
    sps, pps, idr = sets
    chain = Chain()
    out = chain.push_all(
        [
            packet(1, sps, marker=True),
            packet(2, pps, marker=True),
            packet(3, idr, marker=True),
            packet(4, idr, marker=True),
        ]
    )
    assert [unit.key for unit in out] == [True, True]
    assert chain.depacketizer.dropped == 0


def test_parameter_sets_may_stand_in_the_description_alone(sets):
    sps, pps, idr = sets
    depacketizer = Depacketizer()
    depacketizer.offer([b"", sps, b"\x67bad", pps])
    arriving = [packet(1, b"\x09\xf0"), packet(2, idr, marker=True)]
    (unit,) = [unit for each in arriving for unit in depacketizer.push(rtp.parse(each), 1.0)]
    assert (unit.track.width, depacketizer.malformed, depacketizer.dropped) == (WIDTH, 1, 0)


def test_packets_without_content_damage_nothing(sets):
    sps, pps, idr = sets
    units = [sps, b"", pps, b"\0", b"\0\0\0", idr]
    (unit,) = Chain().push_all(packet(n, each, marker=n == 5) for n, each in enumerate(units))
    assert unit.data[4:] == idr


def test_other_parameter_sets_make_another_track(film: Film):
    chain = Chain()
    packets = flat(film)
    units = chain.push_all(packets)
    # The same sender goes on with smaller pictures, so its sequence numbers go on too.
    smaller = [rtp.parse(each) for each in flat(make_film(16, width=320, height=180))]
    shift = rtp.parse(packets[-1]).sequence + 1 - smaller[0].sequence
    for each in smaller:
        for ordered in chain.sequencer.push(each._replace(sequence=(each.sequence + shift) & 0xFFFF)):
            units += chain.depacketizer.push(ordered, 1.0)
    tracks = [unit.track for unit in units]
    assert (tracks[0].width, tracks[-1].width) == (640, 320)
    assert len({id(track) for track in tracks}) == 2
    changes = [number for number, (before, after) in enumerate(pairwise(tracks)) if before is not after]
    assert [units[number + 1].key for number in changes] == [True]


# --- Loss and disorder ------------------------------------------------------------------------------------------------
def damaged(film: Film, out: list[AccessUnit]) -> int:
    """How many of these pictures are not exactly a picture that was sent, or refer to one that is missing."""
    sent = {unit.data: number for number, unit in enumerate(Chain().push_all(flat(film)))}
    bad = 0
    last = -2
    for unit in out:
        number = sent.get(unit.data)
        if number is None or not (unit.key or number == last + 1):
            bad += 1
        last = number if number is not None else -2
    return bad


@pytest.mark.parametrize("seed", range(40))
def test_no_damaged_picture_is_handed_out_when_packets_are_lost(film: Film, seed: int):
    dice = random.Random(seed)
    packets = [each for each in flat(film, 400) if dice.random() > 0.003 * (1 + seed % 5)]
    chain = Chain()
    out = chain.push_all(packets)
    assert damaged(film, out) == 0
    if chain.sequencer.lost:
        assert len(out) < len(film.frames)
        assert chain.depacketizer.dropped > 0


def test_the_picture_goes_on_with_the_next_key_picture(film: Film):
    packets = film.packets()
    lost = [*packets[:20], packets[20][1:], *packets[21:]]
    out = Chain().push_all(each for picture in lost for each in picture)
    assert numbers_seen(mp4_of(out)) == [*range(20), *range(30, 60)]


def test_a_lost_end_before_a_key_picture_costs_one_picture(film: Film):
    packets = film.packets()
    lost = [*packets[:29], packets[29][:-1], *packets[30:]]
    out = Chain().push_all(each for picture in lost for each in picture)
    assert numbers_seen(mp4_of(out)) == [*range(29), *range(30, 60)]


def test_a_whole_lost_picture_is_noticed(film: Film):
    packets = film.packets()
    del packets[20]
    out = Chain().push_all(each for picture in packets for each in picture)
    assert numbers_seen(mp4_of(out)) == [*range(20), *range(30, 60)]


@pytest.mark.parametrize("seed", range(10))
def test_disorder_of_eight_packets_loses_nothing(film: Film, seed: int):
    packets = flat(film, 300)
    chain = Chain()
    out = chain.push_all([packets[0], *shuffled_within(packets[1:], rtp.WINDOW, seed)])
    assert [unit.data for unit in out] == samples(packets)
    assert chain.sequencer.reordered > 0


# --- Whatever comes ---------------------------------------------------------------------------------------------------
def test_a_picture_too_large_is_dropped_and_its_memory_freed(sets):
    sps, pps, _ = sets
    depacketizer = Depacketizer()
    payload = b"\x7c\x05" + bytes(9000)
    packets = [packet(1, sps), packet(2, pps), packet(3, b"\x7c\x85" + bytes(9000))]
    packets += [packet(n, payload) for n in range(4, 2000)]
    for each in packets:
        assert not depacketizer.push(rtp.parse(each), 1.0)
        assert depacketizer._size <= nal.MAX_UNIT
    assert depacketizer.malformed == 1
    assert depacketizer._pieces == []


def test_a_flood_of_tiny_units_is_bounded(sets):
    depacketizer = Depacketizer()
    for number in range(40_000):
        depacketizer.push(rtp.parse(packet(number, b"\x41")), 1.0)
        assert len(depacketizer._pieces) <= nal.MAX_PIECES


@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans(), st.integers(0, 3)), max_size=40))
@settings(max_examples=500)
def test_any_payloads_are_put_together_or_skipped(payloads):
    depacketizer = Depacketizer()
    for number, (payload, marker, time) in enumerate(payloads):
        for unit in depacketizer.push(rtp.parse(packet(number, payload, marker=marker, timestamp=time)), 1.0):
            assert unit.data


@given(st.data())
@settings(max_examples=1500, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_mutated_streams_never_break_the_depacketizer(film: Film, data):
    packets = flat(film, 400)[:60]
    chain = Chain()
    for _ in range(data.draw(st.integers(1, 6))):
        index = data.draw(st.integers(0, len(packets) - 1))
        mutated = bytearray(packets[index])
        kind = data.draw(st.sampled_from(["flip", "cut", "swap", "repeat", "drop"]))
        if kind == "flip" and mutated:
            mutated[data.draw(st.integers(0, min(40, len(mutated) - 1)))] = data.draw(st.integers(0, 255))
            packets[index] = bytes(mutated)
        elif kind == "cut":
            packets[index] = bytes(mutated[: data.draw(st.integers(0, len(mutated)))])
        elif kind == "swap":
            other = data.draw(st.integers(0, len(packets) - 1))
            packets[index], packets[other] = packets[other], packets[index]
        elif kind == "repeat":
            packets.insert(index, packets[index])
        elif len(packets) > 1:
            del packets[index]
    for each in packets:
        try:
            units = chain.push(each)
        except Malformed:
            continue
        assert all(unit.data and unit.track.width for unit in units)
        assert chain.depacketizer._size <= nal.MAX_UNIT
        assert len(chain.depacketizer._pps) <= nal.MAX_PPS


# --- Sequence parameter sets ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("width", "height", "options"),
    [
        (640, 360, {}),
        (1920, 1080, {"profile": "baseline"}),
        (1920, 1080, {"profile": "main", "x264-params": "interlaced=1"}),
        (3840, 2160, {"profile": "high"}),
        (322, 182, {"profile": "high", "x264-params": "cqm=jvt"}),
    ],
)
def test_sizes_are_read_as_a_decoder_reads_them(width: int, height: int, options: dict[str, str]):
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = width, height, "yuv420p", Fraction(1, 25)
    codec.options = {"preset": "ultrafast", **options}
    codec.open()
    packets = [*codec.encode(av.VideoFrame(width, height, "yuv420p")), *codec.encode(None)]
    sps = next(unit for unit in split_annex_b(bytes(packets[0])) if unit[0] & 0x1F == h264.SPS)
    info = parse_sps(sps)
    assert (info.width, info.height, info.chroma_format, info.luma_depth) == (width, height, 1, 8)
    assert info.codec == f"avc1.{sps[1:4].hex()}"


@given(st.binary(max_size=80))
@settings(max_examples=2000)
def test_any_bytes_are_a_parameter_set_or_malformed(data: bytes):
    try:
        info = parse_sps(b"\x67" + data)
    except Malformed:
        return
    assert 0 < info.width <= nal.MAX_SIDE
    assert 0 < info.height <= nal.MAX_SIDE
