"""What senders tell about their streams, and what we tell them."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.wire import Malformed, rtcp
from streaming.wire.rtcp import Block, Bye, ReceiverReport, Reception, SenderReport, parse, receiver_report


def chained(*packets: tuple[int, int, bytes]) -> bytes:
    return b"".join(struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body for count, kind, body in packets)


# 2026-11-20 12:00:00.25 UTC
NTP = ((1_795_176_000 + 2_208_988_800) << 32) | 0x4000_0000
SENDER = struct.pack("!IQIII", 0, NTP, 90_000, 42, 4242)
BLOCK = struct.pack("!IIIIII", 7, 0x40FFFFFE, 0x0001_0005, 33, 0xAABBCCDD, 65_536)


def test_a_sender_report_is_read():
    (report,) = parse(chained((0, rtcp.SR, SENDER), (1, rtcp.SDES, struct.pack("!IBB", 0, 1, 1) + b"a\0")))
    assert isinstance(report, SenderReport)
    assert (report.ssrc, report.timestamp, report.packets, report.octets) == (0, 90_000, 42, 4242)
    assert report.time == 1_795_176_000.25


def test_reports_about_others_and_goodbyes_are_read():
    found = parse(
        chained((1, rtcp.SR, SENDER + BLOCK), (1, rtcp.RR, b"\0\0\0\5" + BLOCK), (1, rtcp.BYE, b"\0\0\0\5\3off"))
    )
    block = Block(7, 0x40, -2, 0x10005, 33, 0xAABBCCDD, 65_536)
    assert isinstance(found[0], SenderReport)
    assert found[0].blocks == (block,)
    assert found[1:] == [ReceiverReport(5, (block,)), Bye((5,), "off")]


def test_what_is_no_report_is_passed_over():
    others = chained((0, 204, b"\0\0\0\1name"), (1, 205, bytes(8)), (0, 192, b""))
    assert parse(others) == []
    assert len(parse(others + chained((0, rtcp.BYE, b"")))) == 1


def test_padding_is_set_aside():
    padded = bytearray(chained((1, rtcp.BYE, b"\0\0\0\5" + b"\0\0\0\4")))
    padded[0] |= 0x20
    assert parse(bytes(padded)) == [Bye((5,), "")]


@pytest.mark.parametrize(
    ("datagram", "why"),
    [
        (b"", "at least 4 bytes"),
        (b"\x40\xc8\0\0", "version 1"),
        (b"\x80\xc8\0\1", "longer than its datagram"),
        (chained((0, rtcp.BYE, b"")) + b"\x80", "cut off"),
        (chained((1, rtcp.SR, SENDER)), "sender report is cut off"),
        (chained((1, rtcp.RR, b"\0\0\0\1")), "receiver report is cut off"),
        (chained((2, rtcp.BYE, b"\0\0\0\1")), "goodbye is cut off"),
        (b"\xa0\xcb\0\1\0\0\0\x09", "padding"),
        (chained((0, 204, b"")) * 40, "too many"),
    ],
)
def test_a_malformed_packet_is_named(datagram: bytes, why: str):
    with pytest.raises(Malformed, match=why):
        parse(datagram)


def test_our_report_is_read_back_with_our_name():
    block = Block(0, 12, 300, 0x1_0005, 33, 5, 6)
    datagram = receiver_report(99, "viewer@example", [block])
    assert parse(datagram) == [ReceiverReport(99, (block,))]
    sdes = datagram[32:]
    assert sdes[:8] == b"\x81\xca\0\x06" + struct.pack("!I", 99)
    assert sdes[8:].startswith(b"\x01\x0eviewer@example\0")
    assert len(sdes) % 4 == 0
    assert len(sdes) == 4 + 4 * sdes[3]


@pytest.mark.parametrize("size", range(0, 9))
def test_a_name_of_any_length_ends_at_a_whole_word(size: int):
    sdes = receiver_report(1, "n" * size)[8:]
    assert len(sdes) == 4 + 4 * int.from_bytes(sdes[2:4], "big")
    assert sdes[10 + size] == 0


# --- Reception --------------------------------------------------------------------------------------------------------
def received(numbers: list[int], rate: int = 90_000) -> Reception:
    reception = Reception(rate)
    for place, number in enumerate(numbers):
        reception.packet(number & 0xFFFF, number * 3000 & 0xFFFFFFFF, 5, place / 30)
    return reception


def test_nothing_is_told_before_the_first_packet():
    assert Reception(90_000).block(1.0) is None


def test_loss_is_told_since_the_beginning_and_since_the_report_before():
    reception = received([n for n in range(65_500, 65_600) if n % 10])
    block = reception.block(10.0)
    assert block is not None
    assert (block.lost, block.fraction_lost, block.highest) == (9, 9 * 256 // 99, 65_599)
    for n in range(65_600, 65_700):
        reception.packet(n & 0xFFFF, n * 3000, 5, n / 30)
    block = reception.block(20.0)
    assert block is not None
    assert (block.lost, block.fraction_lost, block.highest, block.ssrc) == (9, 0, 65_699, 5)


@given(st.integers(0, 0xFFFF), st.randoms(use_true_random=False))
def test_disorder_is_no_loss(first: int, dice: random.Random):
    numbers = [first + n for n in range(200)]
    arriving = [numbers[0], *[n for _, n in sorted((n + dice.uniform(0, 8), n) for n in numbers[1:])]]
    reception = received(arriving)
    assert (reception.lost, reception.expected) == (0, 200)


def test_packets_that_come_twice_are_no_loss():
    block = received([1, 2, 2, 3, 3, 3]).block(1.0)
    assert block is not None
    assert (block.lost, block.fraction_lost) == (-3, 0)


def test_a_sender_that_starts_over_begins_another_count():
    reception = received([1, 2, 3, 30_000, 30_001])
    assert (reception.expected, reception.lost) == (2, 0)


def test_jitter_is_that_of_the_standard():
    """J += (|D| - J) / 16 (A.8), with one packet per time."""
    dice = random.Random(3)
    arrivals = [n / 50 + dice.uniform(0, 0.01) for n in range(300)]
    reception = Reception(8000)
    wanted = 0.0
    for n, arrival in enumerate(arrivals):
        reception.packet(n, 160 * n, 0, arrival)
        if n:
            difference = abs((arrival - arrivals[n - 1]) * 8000 - 160)
            wanted += (difference - wanted) / 16
    assert reception.jitter == pytest.approx(wanted)
    assert 10 < wanted < 80


def test_the_packets_of_one_picture_are_no_jitter():
    reception = Reception(90_000)
    for n in range(300):
        reception.packet(n, n // 10 * 3000, 0, n // 10 / 30 + n % 10 / 1000)
    assert reception.jitter == pytest.approx(0, abs=1e-3)


def test_the_last_sender_report_is_told_with_its_age():
    reception = received([1, 2])
    reception.sender_report(SenderReport(5, 0x1111_2222_3333_4444, 0, 0, 0, ()), 100.0)
    block = reception.block(102.5)
    assert block is not None
    assert (block.last_report, block.delay) == (0x2222_3333, 163_840)


# --- Whatever comes ---------------------------------------------------------------------------------------------------
@given(st.binary(max_size=120), st.integers(0, 255), st.integers(0, 5), st.integers(198, 206))
@settings(max_examples=3000)
def test_any_bytes_are_reports_or_malformed(data: bytes, first: int, words: int, kind: int):
    for datagram in (data, struct.pack("!BBH", first | 0x80, kind, words) + data):
        try:
            found = parse(datagram)
        except Malformed:
            continue
        assert len(found) <= rtcp.MAX_PACKETS


@given(
    st.lists(
        st.tuples(st.integers(0, 0xFFFF), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.floats(-1e9, 1e9)),
        max_size=60,
    )
)
@settings(max_examples=1000)
def test_whatever_is_received_can_be_told(packets):
    reception = Reception(90_000)
    for sequence, timestamp, ssrc, arrival in packets:
        reception.packet(sequence, timestamp, ssrc, arrival)
        block = reception.block(arrival)
        assert block is not None
        assert parse(receiver_report(1, "x", [block])) == [ReceiverReport(1, (block,))]
