"""RTP packets and their order."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.wire import Malformed, rtp


def packet(
    sequence: int = 1,
    payload: bytes = b"\x41data",
    *,
    marker: bool = False,
    timestamp: int = 0,
    first: int = 0x80,
    middle: bytes = b"",
    payload_type: int = 98,
) -> bytes:
    second = payload_type | (0x80 if marker else 0)
    return struct.pack("!BBHII", first, second, sequence & 0xFFFF, timestamp, 0) + middle + payload


def test_a_plain_header_is_read():
    parsed = rtp.parse(packet(513, b"abc", marker=True, timestamp=90_000))
    assert (parsed.marker, parsed.payload_type, parsed.sequence, parsed.timestamp, parsed.payload) == (
        True,
        98,
        513,
        90_000,
        b"abc",
    )


def test_contributing_sources_an_extension_and_padding_are_set_aside():
    extension = struct.pack("!HH", 0, 2) + b"12345678"
    parsed = rtp.parse(packet(payload=b"abc" + b"\0\0\3", first=0xB2, middle=b"c" * 8 + extension))
    assert parsed.payload == b"abc"
    assert parsed.extension == b"12345678"


@pytest.mark.parametrize(
    ("datagram", "why"),
    [
        (b"", "at least 12 bytes"),
        (b"\x80" * 11, "at least 12 bytes"),
        (packet(first=0x40), "version 1"),
        (packet(first=0x8F, payload=b""), "longer than its packet"),
        (packet(first=0x90, payload=b"\0\0"), "extension is cut off"),
        (packet(first=0x90, payload=b"\0\0\0\xff"), "longer than its packet"),
        (packet(first=0xA0, payload=b"ab\x09"), "padding"),
        (packet(first=0xA0, payload=b"ab\x00"), "padding"),
        (packet(first=0xA0, payload=b""), "padding"),
    ],
)
def test_a_malformed_packet_is_named(datagram: bytes, why: str):
    with pytest.raises(Malformed, match=why):
        rtp.parse(datagram)


@given(st.binary(max_size=64))
def test_any_bytes_are_a_packet_or_malformed(datagram: bytes):
    try:
        parsed = rtp.parse(datagram)
    except Malformed:
        return
    assert 12 <= parsed.start <= parsed.end <= len(datagram)


def order(numbers: list[int]) -> tuple[list[int], rtp.Sequencer]:
    sequencer = rtp.Sequencer()
    out = [each.sequence for number in numbers for each in sequencer.push(rtp.parse(packet(number)))]
    return out, sequencer


@given(st.integers(0, 0xFFFF), st.randoms(use_true_random=False))
def test_packets_up_to_eight_places_late_are_put_in_order(start: int, dice):
    numbers = [(start + index) & 0xFFFF for index in range(200)]
    arriving = [
        number for _, number in sorted((index + dice.uniform(0, 8), number) for index, number in enumerate(numbers))
    ]
    # The first to arrive sets the beginning: what was sent before it is gone.
    begin = numbers.index(arriving[0])
    out, sequencer = order(arriving)
    assert out == numbers[begin:]
    assert sequencer.lost == 0
    assert sequencer.late == begin


def test_a_packet_that_never_comes_is_given_up_and_counted():
    out, sequencer = order([65534, 65535, *range(1, 20)])
    assert out == [65534, 65535, *range(1, 20)]
    assert sequencer.lost == 1


def test_no_more_packets_are_held_than_the_window():
    out, _ = order([1, *range(3, 3 + rtp.WINDOW)])
    assert out == [1]
    out, _ = order([1, *range(3, 3 + rtp.WINDOW + 1)])
    assert out == [1, *range(3, 3 + rtp.WINDOW + 1)]


def push(sequencer: rtp.Sequencer, number: int, received: float) -> list[int]:
    return [each.sequence for each in sequencer.push(rtp.parse(packet(number)), received)]


def overdue(sequencer: rtp.Sequencer, now: float) -> list[int]:
    return [each.sequence for each in sequencer.overdue(now)]


def test_a_missing_packet_is_awaited_for_ten_milliseconds():
    """Sound comes 50 times a second: eight packets would be a sixth of a second."""
    sequencer = rtp.Sequencer()
    assert push(sequencer, 1, 5.0) == [1]
    assert overdue(sequencer, 6.0) == []
    assert push(sequencer, 3, 5.02) == []
    assert push(sequencer, 5, 5.022) == []
    assert overdue(sequencer, 5.029) == []
    assert overdue(sequencer, 5.0301) == [3, 5]
    assert sequencer.lost == 2
    assert push(sequencer, 6, 5.04) == [6]
    assert push(sequencer, 2, 5.05) == []
    assert sequencer.late == 1


def test_each_missing_packet_has_its_own_ten_milliseconds():
    sequencer = rtp.Sequencer()
    for number, received in ((1, 5.0), (3, 5.0), (5, 5.0)):
        push(sequencer, number, received)
    assert push(sequencer, 2, 5.008) == [2, 3]
    assert overdue(sequencer, 5.011) == []
    assert overdue(sequencer, 5.019) == [5]


def test_what_arrived_while_we_were_held_up_is_not_given_up():
    sequencer = rtp.Sequencer()
    assert push(sequencer, 1, 5.0) == [1]
    assert push(sequencer, 3, 5.0) == []
    # Half a second later all that had come meanwhile is read, and only then asked what is overdue.
    assert push(sequencer, 4, 5.5) == []
    assert push(sequencer, 2, 5.5) == [2, 3, 4]
    assert overdue(sequencer, 5.5) == []
    assert sequencer.lost == 0


@given(
    st.lists(st.tuples(st.integers(0, 40) | st.integers(0, 0xFFFF), st.floats(0, 0.02), st.booleans()), max_size=200)
)
def test_nothing_is_held_longer_than_that_whatever_comes(packets):
    sequencer = rtp.Sequencer()
    now = 0.0
    for number, pause, ask in packets:
        now += pause
        push(sequencer, number, now)
        if ask:
            held = set(sequencer._held)
            waited = now - sequencer._waiting_since
            out = overdue(sequencer, now)
            assert set(out) == (held if waited >= rtp.PATIENCE else set())
        assert len(sequencer._held) <= rtp.WINDOW


def test_a_packet_that_comes_twice_is_used_once():
    out, sequencer = order([1, 2, 2, 4, 4, 3, 3, 5])
    assert out == [1, 2, 3, 4, 5]
    assert sequencer.late == 3


def test_a_sender_that_starts_over_is_followed_from_its_second_packet():
    out, sequencer = order([1, 2, 3, 30_000, 30_001, 30_002, 30_003])
    assert out == [1, 2, 3, 30_001, 30_002, 30_003]
    assert sequencer.restarts == 1


def test_one_stray_packet_changes_nothing():
    out, sequencer = order([1, 2, 30_000, 3, 4, 31_000, 5])
    assert out == [1, 2, 3, 4, 5]
    assert sequencer.lost == 0


@given(st.lists(st.integers(0, 0xFFFF), max_size=300))
def test_whatever_comes_little_is_held_and_nothing_is_handed_out_twice(numbers: list[int]):
    sequencer = rtp.Sequencer()
    for number in numbers:
        sequencer.push(rtp.parse(packet(number)))
        assert len(sequencer._held) <= rtp.WINDOW


@given(st.lists(st.integers(-(2**31) + 1, 2**31 - 1), max_size=50), st.integers(0, 2**32 - 1))
def test_timestamps_go_on_growing_past_32_bits(steps: list[int], start: int):
    unwrapper = rtp.Unwrapper()
    expected = unwrapper.unwrap(start)
    for step in steps:
        expected += step
        assert unwrapper.unwrap(expected & 0xFFFFFFFF) == expected
