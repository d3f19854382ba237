"""What i-PRO recorders tell beside pictures and sound (section 7 of their document)."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.wire import jpeg, rtp
from streaming.wire.ipro_info import Moment, Playing, Status, parse, parse_all
from tests.streaming.test_jpeg import GOOD, comment
from tests.streaming.test_rtp import packet


def item(number: int, data: bytes) -> bytes:
    return struct.pack("!HH", number, 4 + len(data)) + data


def word(number: int, value: int) -> bytes:
    return item(number, struct.pack("!HH", value, 0))


def time(number: int, seconds: int, *zone: int) -> bytes:
    return item(number, struct.pack("!IBBBB", seconds, *zone))


EVERYTHING = b"".join(
    [
        word(0x0004, 0x10),
        word(0x0005, 4),
        item(0x0006, struct.pack("!I", 123_456)),
        time(0x0007, 1_795_000_000, 0, 9, 0, 0),
        word(0x0008, 7),
        word(0x0009, 150),
        word(0x000A, 0x63),
        item(0x000B, bytes(8)),
        word(0x000C, 1),
        item(0x000D, bytes((1, 0, 0, 0))),
        time(0x0011, 1_795_000_001, 1, 3, 30, 1),
        word(0x0012, 5),
        word(0x0027, 1),
        word(0x0028, 0x11),
        word(0x0029, 2),
    ]
)


def test_every_item_of_the_document_is_read():
    found = parse(EVERYTHING)
    assert found.whole
    assert (found.camera, found.compression, found.data_size, found.picture, found.rate) == (
        16,
        "h265",
        123_456,
        7,
        15.0,
    )
    assert found.recorded == Moment(1_795_000_000.99, 540, False)
    assert found.taken == Moment(1_795_000_001.05, -210, True)
    assert found.status == Status(Playing.LIVE, 0)
    assert (found.has_picture, found.start_codes, found.long_term, found.long_term_here) == (True,) * 4
    assert found.show_idr is False


def test_what_is_not_there_is_none():
    found = parse(b"")
    assert found.whole
    assert all(getattr(found, name) is None for name in ("camera", "recorded", "taken", "status", "show_idr", "rate"))


def test_the_extension_of_a_live_packet_is_read():
    """28 bytes as recorders send them: the camera, the time and its hundredths, behind a profile of zero."""
    data = word(0x0004, 3) + time(0x0007, 1_795_000_000, 0, 0, 0, 0) + word(0x000A, 50)
    assert len(data) == 28
    parsed = rtp.parse(packet(payload=b"\x41", first=0x90, middle=struct.pack("!HH", 0, len(data) // 4) + data))
    found = parse(parsed.extension)
    assert (found.camera, found.recorded) == (3, Moment(1_795_000_000.5, 0, False))


def test_the_comments_of_a_live_jpeg_are_read():
    chain = (
        b"\xff\xd8" + comment(word(0x0004, 3)) + b"\xff\xd8" + comment(word(0x0004, 9) + time(0x0011, 77, 0, 0, 0, 0))
    )
    found = parse_all(jpeg.repair(chain + GOOD).comments)
    assert (found.camera, found.taken) == (3, Moment(77.0, 0, False))


@pytest.mark.parametrize(
    ("value", "status"),
    [(0x02, Status(Playing.PLAYBACK, 8)), (0x42, Status(Playing.DOWNLOADED, 8)), (0x77, Status(0x77, 8))],
)
def test_states_of_later_firmware_are_kept_as_numbers(value: int, status: Status):
    assert parse(item(0x000D, bytes((value, 8, 0, 0)))).status == status


@pytest.mark.parametrize(("value", "show"), [(0, None), (1, True), (2, False), (3, None)])
def test_whether_an_idr_picture_is_shown(value: int, show: bool | None):
    assert parse(word(0x0029, value)).show_idr is show


@pytest.mark.parametrize(("value", "expected"), [(0, (False, False)), (0x10, (True, False)), (0x11, (True, True))])
def test_long_term_references(value: int, expected: tuple[bool, bool]):
    found = parse(word(0x0028, value))
    assert (found.long_term, found.long_term_here) == expected


def test_items_of_later_firmware_and_filling_are_skipped():
    found = parse(item(0x0030, b"later firmware") + word(0x0004, 2) + bytes(7))
    assert (found.camera, found.whole) == (2, True)


@pytest.mark.parametrize(
    "rest", [b"\0\4\0\0", b"\0\5\0\3", b"\0\5\xff\xff", b"\0\5\0\5\1", b"\0\7\0\x08\1\2\3\4", b"\1"]
)
def test_a_length_that_does_not_fit_ends_the_reading(rest: bytes):
    found = parse(word(0x0004, 2) + rest)
    assert (found.camera, found.whole) == (2, False)


def test_hundredths_that_are_none_are_left_out():
    assert parse(time(0x0007, 5, 0, 0, 0, 0) + word(0x000A, 500)).recorded == Moment(5.0, 0, False)


@given(st.binary(max_size=120), st.integers(0, len(EVERYTHING)), st.integers(0, 255))
@settings(max_examples=3000)
def test_any_bytes_tell_something_or_nothing(data: bytes, place: int, value: int):
    parse(data)
    mutated = bytearray(EVERYTHING + b"\0")
    mutated[place] = value
    found = parse_all((bytes(mutated), data))
    assert found.camera is None or 0 <= found.camera <= 0xFFFF
