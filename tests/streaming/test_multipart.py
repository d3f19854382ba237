"""Multipart streams, with everything that cameras get wrong about them."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.wire import Malformed, multipart
from streaming.wire.multipart import MAX_HEAD, MAX_PART, Parser, boundary_of

PICTURES = [b"\xff\xd8" + bytes([n]) * (100 + n) + b"\r\n--\xff\xd9" for n in range(5)]


def parsed(content_type: str, stream: bytes, size: int = 7) -> list[bytes]:
    parser = Parser(content_type)
    return [part.body for at in range(0, len(stream), size) for part in parser.feed(stream[at : at + size])]


def streamed(
    bodies: list[bytes],
    delimiter: bytes = b"--myboundary",
    *,
    begin: bytes = b"",
    end: bytes = b"\r\n",
    eol: bytes = b"\r\n",
    off: int | None = 0,
    kind: bytes = b"image/jpeg",
) -> bytes:
    out = begin
    for body in bodies:
        length = b"" if off is None else b"Content-Length: %d" % (len(body) + off) + eol
        out += delimiter + eol + b"Content-Type: " + kind + eol + length + eol + body + end
    return out + delimiter + eol


@pytest.mark.parametrize("size", [1, 2, 13, 100_000])
def test_parts_come_out_whole_however_the_bytes_arrive(size: int):
    assert parsed("multipart/x-mixed-replace; boundary=myboundary", streamed(PICTURES), size) == PICTURES


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/x-mixed-replace; boundary=myboundary", b"myboundary"),
        ("multipart/x-mixed-replace;boundary=--video boundary--", b"video boundary"),
        ('multipart/x-mixed-replace; boundary="--video boundary--"; x=1', b"video boundary"),
        ("multipart/x-mixed-replace; Boundary = 'abc' ;charset=x", b"abc"),
        ('multipart/mixed; boundary="a;b"', b"a;b"),
        ("multipart/x-mixed-replace;             boundary=myboundary\r\n", b"myboundary"),
        ("multipart/x-mixed-replace", b""),
    ],
)
def test_the_boundary_parameter_is_taken_as_it_is_meant(content_type: str, boundary: bytes):
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "parameter", ["--video boundary--", "video boundary", '"--video boundary--"', "--video boundary"]
)
@pytest.mark.parametrize(
    "delimiter", [b"--video boundary--", b"--video boundary", b"----video boundary--", b"video boundary"]
)
def test_a_delimiter_is_the_boundary_but_for_dashes_and_never_the_end(parameter: str, delimiter: bytes):
    stream = streamed(PICTURES, delimiter, end=b"\r\n\r\n")
    assert parsed(f"multipart/x-mixed-replace;boundary={parameter}", stream) == PICTURES


def test_a_stream_without_a_boundary_parameter_tells_it_by_its_first_line():
    assert parsed("multipart/x-mixed-replace", streamed(PICTURES, b"--anything")) == PICTURES
    assert parsed("multipart/x-mixed-replace; boundary=----", streamed(PICTURES, b"----")) == PICTURES


@pytest.mark.parametrize(
    "begin", [b"", b"\r\n", b"\r\n\r\n", b"\n", b"--myboundary\r\n", b"--myboundary\r\n--myboundary\r\n"]
)
@pytest.mark.parametrize("eol", [b"\r\n", b"\n"])
def test_a_stream_may_begin_with_blank_lines_or_a_second_delimiter(begin: bytes, eol: bytes):
    stream = streamed(PICTURES, begin=begin, eol=eol)
    assert parsed("multipart/x-mixed-replace;boundary=myboundary", stream) == PICTURES


@pytest.mark.parametrize("blank", [b"", b"\r\n", b"\n\n"])
def test_a_stream_may_begin_without_a_delimiter(blank: bytes):
    stream = blank + streamed(PICTURES).removeprefix(b"--myboundary\r\n")
    assert parsed("multipart/x-mixed-replace;boundary=myboundary", stream) == PICTURES


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r\n\r\n"])
def test_line_ends_after_a_body_of_known_length_do_not_matter(end: bytes):
    assert parsed("m; boundary=myboundary", streamed(PICTURES, end=end)) == PICTURES


@pytest.mark.parametrize("off", [None, -1000, -20, -3, -2, -1, 1, 2, 3, 4, 5, 50])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r\n\r\n"])
def test_pictures_survive_a_wrong_length_or_none(off: int | None, end: bytes):
    found = parsed("m; boundary=myboundary", streamed(PICTURES, off=off, end=end))
    assert [each.rstrip(b"\r\n") for each in found] == PICTURES


PACKETS = [bytes([0x80, n]) * (50 + n) for n in range(8)]


@pytest.mark.parametrize("off", [None, -2, 2, 3, 4])
def test_other_parts_survive_a_wrong_length_or_none(off: int | None):
    parser = Parser("m; boundary=myboundary")
    found = parser.feed(streamed(PACKETS, off=off, kind=b"application/octet-stream"))
    assert [each.body.rstrip(b"\r\n") for each in found] == PACKETS
    assert parser.wrong_lengths <= multipart.MAX_WRONG_LENGTHS


def test_a_length_that_becomes_wrong_costs_one_part():
    right = streamed(PACKETS[:4]).removesuffix(b"--myboundary\r\n")
    stream = right + streamed(PACKETS[4:5], off=-2).removesuffix(b"--myboundary\r\n") + streamed(PACKETS[5:])
    parser = Parser("m; boundary=myboundary")
    assert [part.body for part in parser.feed(stream)] == [*PACKETS[:4], PACKETS[4][:-2], *PACKETS[5:]]
    assert (parser.wrong_lengths, parser.skipped) == (1, 1)


def test_what_stands_between_parts_now_and_then_gets_into_none_of_them():
    """However often that was: the lengths are right all the same."""
    noise = b"\x00\xff\xd8 -- not a part\r\n--nor a boundary\r\n\r\n"
    several = streamed(PACKETS).removesuffix(b"--myboundary\r\n")
    rounds = 3 * multipart.MAX_WRONG_LENGTHS
    parser = Parser("m; boundary=myboundary")
    assert [part.body for part in parser.feed((several + noise) * rounds)] == PACKETS * rounds
    assert parser.skipped == rounds


def test_a_picture_is_handed_out_with_its_last_byte():
    """Not when the next one begins, a fifteenth of a second later."""
    parser = Parser("m; boundary=myboundary")
    stream = streamed(PICTURES[:1]).removesuffix(b"\r\n--myboundary\r\n")
    assert parser.feed(stream[:-1]) == []
    assert [part.body for part in parser.feed(stream[-1:])] == PICTURES[:1]


def test_other_parts_are_handed_out_at_once_when_lengths_were_right():
    parser = Parser("m; boundary=myboundary")
    parser.feed(streamed(PACKETS[:2]))
    assert [part.body for part in parser.feed(b"Content-Length: 3\r\n\r\nabc")] == [b"abc"]


def test_headers_are_told_in_lower_case_and_unfolded():
    stream = (
        b"--video boundary--\r\nContent-length:4\r\nDate: 2026-11-20 12:00:00\r\n IO_00000001_PT_170_067\r\n"
        b"Content-type : image/jpeg\r\nnonsense\r\n\r\n\xff\xd8\xff\xd9\r\n\r\n"
    )
    (part,) = Parser("m; boundary=--video boundary--").feed(stream)
    assert dict(part.headers) == {
        "content-length": "4",
        "date": "2026-11-20 12:00:00 IO_00000001_PT_170_067",
        "content-type": "image/jpeg",
    }


def test_what_stands_where_a_delimiter_should_is_skipped_and_counted():
    parser = Parser("m; boundary=myboundary")
    stream = b"HTTP rubbish\r\n" + b"\xff\xd8" * 3000 + b"\r\n" + streamed(PICTURES)
    assert [part.body for part in parser.feed(stream)] == PICTURES
    assert parser.skipped == 1


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"--b\r\n" + b"X: y\r\n" * MAX_HEAD, "headers do not end"),
        (b"--b\r\n\r\n" + bytes(MAX_PART + 1), "does not end within"),
        (b"--b\r\nContent-Length: 99999999999\r\n\r\n" + bytes(MAX_PART + 1), "does not end within"),
    ],
)
def test_a_part_beyond_the_limits_is_malformed(stream: bytes, why: str):
    with pytest.raises(Malformed, match=why):
        parsed("m; boundary=b", stream, 65_536)


def test_a_stream_that_never_has_a_delimiter_is_skipped_without_being_kept():
    parser = Parser("m; boundary=b")
    for _ in range(200):
        assert parser.feed(b"\xff\n" * 32_768) == []
        assert len(parser._buffer) <= 2 * multipart.MAX_LINE


@given(st.binary(max_size=400), st.integers(1, 50), st.sampled_from(["m; boundary=b", "m", "m; boundary=--"]))
@settings(max_examples=1500)
def test_any_bytes_are_parts_or_nothing(data: bytes, size: int, content_type: str):
    parser = Parser(content_type)
    for at in range(0, len(data), size):
        for part in parser.feed(data[at : at + size]):
            assert len(part.body) <= len(data)


@given(st.data())
@settings(max_examples=2500, deadline=None)
def test_a_mutated_stream_is_found_again(data):
    """Whatever happens to three parts, the ones after them come out as they went in."""
    spoiled = bytearray(streamed(PICTURES[:3], off=data.draw(st.sampled_from([None, 0, 2, -2]))))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(spoiled) - 1))
        if data.draw(st.booleans()):
            spoiled[at] = data.draw(st.sampled_from(b"\r\n-:m0\xff"))
        else:
            del spoiled[at : at + data.draw(st.integers(1, 40))]
        if not spoiled:
            break
    parser = Parser("m; boundary=myboundary")
    stream = bytes(spoiled) + b"\r\n" + streamed(PICTURES * 8)
    found = [part.body for at in range(0, len(stream), 61) for part in parser.feed(stream[at : at + 61])]
    assert [each.rstrip(b"\r\n") for each in found[-20:]] == (PICTURES * 8)[-20:]


def test_memory_is_bounded_by_a_part():
    tracemalloc.start()
    parser = Parser("m; boundary=b")
    body = bytes(100_000)
    for _ in range(100):
        parser.feed(b"--b\r\nContent-Length: 100000\r\n\r\n" + body + b"\r\n")
    assert tracemalloc.get_traced_memory()[0] < 1_000_000
    tracemalloc.stop()
