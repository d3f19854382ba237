"""What old web servers write, byte by byte: what is understood, what is refused, and how much is ever kept."""

from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devices.wire_http import CHUNK_LINE, AnswerReader, BadAnswer, End, Event, Head, Limits, Piece


def read(pieces: Iterable[bytes], *, closed: bool = True, **how: object) -> tuple[Head, bytes, End | None]:
    reader = AnswerReader(**how)  # type: ignore[arg-type]
    events: list[Event] = []
    for piece in pieces:
        events += reader.feed(piece)
    if closed:
        events += reader.close()
    head, *rest = events
    assert isinstance(head, Head)
    ends = [event for event in rest if isinstance(event, End)]
    assert len(ends) <= 1
    assert not ends or rest[-1] is ends[0]
    return head, b"".join(event.data for event in rest if isinstance(event, Piece)), ends[0] if ends else None


WHOLE, SHORT = End(True), End(False)

TOLERATED = {
    "as it should be": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na=1", 200, b"a=1", WHOLE),
    "empty lines before": (b"\r\n\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na=1", 200, b"a=1", WHOLE),
    "small letters": (b"http/1.1 200 ok\r\ncontent-length:3\r\n\r\na=1", 200, b"a=1", WHOLE),
    "no blank after the status": (b"HTTP/1.1 200OK\r\nContent-Length: 3\r\n\r\na=1", 200, b"a=1", WHOLE),
    "no reason": (b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", 404, b"", WHOLE),
    "no version": (b"HTTP 200 OK\r\nContent-Length: 3\r\n\r\na=1", 200, b"a=1", WHOLE),
    "line feeds alone": (b"HTTP/1.0 200 OK\nContent-Length: 3\n\na=1", 200, b"a=1", WHOLE),
    "no length, 1.0": (b"HTTP/1.0 200 OK\r\n\r\na=1\r\nb=2", 200, b"a=1\r\nb=2", WHOLE),
    "no length, 1.1": (b"HTTP/1.1 200 OK\r\n\r\na=1", 200, b"a=1", WHOLE),
    "a line that is no header": (
        b"HTTP/1.1 200 OK\r\nAuther Steven\r\nContent-Length: 3\r\n\r\na=1",
        200,
        b"a=1",
        WHOLE,
    ),
    "space before the colon": (b"HTTP/1.1 200 OK\r\nContent-Length \t: 3\r\n\r\na=1xx", 200, b"a=1", WHOLE),
    "a length that is none": (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\na=1", 200, b"a=1", WHOLE),
    "a negative length": (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\na=1", 200, b"a=1", WHOLE),
    "two lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 9\r\n\r\na=1",
        200,
        b"a=1",
        WHOLE,
    ),
    "the same length twice": (b"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\na=1xx", 200, b"a=1", WHOLE),
    "less than its length": (b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\na=1", 200, b"a=1", SHORT),
    "more than its length": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na=1\r\n", 200, b"a=1", WHOLE),
    "a body after 204": (b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\na=1", 204, b"", WHOLE),
    "interim answers": (
        b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na=1",
        200,
        b"a=1",
        WHOLE,
    ),
    "chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=y\r\na=\r\n 1 \r\n1\r\n0\r\nT: x\r\n\r\nmore",
        200,
        b"a=1",
        WHOLE,
    ),
    "chunks that break off": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\na=1", 200, b"a=1", SHORT),
    "no head at all: text": (b"a=1\r\nb=2\r\n", 200, b"a=1\r\nb=2\r\n", WHOLE),
    "no head at all: a page": (b"<html>x</html>", 200, b"<html>x</html>", WHOLE),
    "no head at all: a picture": (b"\xff\xd8\xff\xe0", 200, b"\xff\xd8\xff\xe0", WHOLE),
    "no head at all: parts": (b"--x\r\n\r\n", 200, b"--x\r\n\r\n", WHOLE),
}


@pytest.mark.parametrize(("wire", "status", "body", "end"), TOLERATED.values(), ids=TOLERATED)
def test_what_real_devices_send_is_understood_however_it_arrives(
    wire: bytes, status: int, body: bytes, end: End
) -> None:
    for pieces in ([wire], [wire[i : i + 1] for i in range(len(wire))], [wire[:7], wire[7:]]):
        head, found, ended = read(pieces)
        assert (head.status, found, ended) == (status, body, end)


def test_headers_are_kept_in_order_with_folds_joined_and_controls_dropped() -> None:
    wire = b"HTTP/1.1 401 No\x00pe\r\nB: 1\r\nA:2\r\n\t folded \r\nb : 3\r\n: 4\r\n \r\nC:\x01 d\x7f\r\n\r\n"
    head, _, _ = read([wire])
    assert head.headers == ((b"B", b"1"), (b"A", b"2 folded"), (b"b", b"3"), (b"C", b"d"))
    assert head.values(b"b") == [b"1", b"3"]
    assert (head.reason, head.version) == (b"Nope", b"1.1")


def test_the_end_is_known_without_the_connection_closing() -> None:
    reader = AnswerReader()
    assert reader.silent
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
    assert not reader.silent
    assert not reader.done
    assert reader.feed(b"a and more") == [Piece(b"a"), End()]
    assert reader.done
    assert reader.feed(b"HTTP/1.1 500 what?\r\n\r\n") == reader.close() == []


def test_an_answer_to_head_has_no_body() -> None:
    wire = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert read([wire], closed=False, method="HEAD")[1:] == (b"", WHOLE)


REFUSED = {
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
    "a mail server": (b"220 mail ready\r\n", "not HTTP"),
    "RTSP": (b"RTSP/1.0 200 OK\r\n\r\n", "not HTTP"),
    "TLS": (b"\x15\x03\x01\x00\x02\x02\x28", "not HTTP"),
    "a word": (b"hello\r\n", "not HTTP"),
    "no status": (b"HTTP/1.1 OK\r\n\r\n", "not an HTTP status"),
    "four digits": (b"HTTP/1.1 2000 OK\r\n\r\n", "not an HTTP status"),
    "half a status": (b"HTTP/1.1 2", "in the middle"),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-", "in the middle"),
    "nothing after 100": (b"HTTP/1.1 100 Continue\r\n\r\n", "in the middle"),
    "always 100": (b"HTTP/1.1 100 Continue\r\n\r\n" * 20, "none comes"),
    "a chunk without a size": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n", "without its size"),
    "an endless chunk size": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 2 * CHUNK_LINE,
        "without its size",
    ),
    "a chunk beyond its size": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        "longer than its size",
    ),
}


@pytest.mark.parametrize(("wire", "about"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_answer_is_refused_with_a_phrase(wire: bytes, about: str) -> None:
    for pieces in ([wire], [wire[i : i + 1] for i in range(len(wire))]):
        with pytest.raises(BadAnswer, match=about):
            read(pieces)


LIMITS = Limits(head=1000, lines=20, body=100)
FLOODS = {
    "blank lines": (b"\r\n", "headers"),
    "one endless line": (b"HTTP/1.1 200 OK and so on ", "headers"),
    "headers": (b"HTTP/1.1 200 OK\r\n", "headers|header lines"),
    "folds": (b"HTTP/1.1 200 OK\r\nA: b\r\n", "headers|header lines"),
    "body": (b"HTTP/1.0 200 OK\r\n\r\n", "short answer"),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "short answer"),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "headers|header lines"),
}
MORE = {
    "blank lines": b"\r\n",
    "one endless line": b"and so on ",
    "headers": b"X: y\r\n",
    "folds": b" and on\r\n",
    "body": b"0123456789",
    "chunks": b"3\r\nabc\r\n",
    "trailers": b"X: y\r\n",
}


@pytest.mark.parametrize("name", FLOODS)
def test_every_flood_has_its_limit(name: str) -> None:
    start, about = FLOODS[name]
    reader = AnswerReader(limits=LIMITS)
    reader.feed(start)
    more = [MORE[name]] * (1100 // len(MORE[name]))
    with pytest.raises(BadAnswer, match=about):
        list(map(reader.feed, more))


def test_a_length_beyond_the_limit_is_refused_before_the_body_comes() -> None:
    with pytest.raises(BadAnswer, match="short answer"):
        AnswerReader(limits=LIMITS).feed(b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n")
    with pytest.raises(BadAnswer, match="short answer"):
        AnswerReader(limits=LIMITS).feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n")


def test_a_stream_has_no_limit() -> None:
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace\r\n\r\n")
    block = bytes(1_000_000)
    assert all(reader.feed(block) == [Piece(block)] for _ in range(20))


# Real pieces, so that the fuzzing gets beyond the first line.
SCRAPS = st.one_of(
    st.sampled_from(
        [
            *(wire for wire, *_ in TOLERATED.values()),
            *(b"HTTP/1.1 200 OK\r\n", b"\r\n", b"\n", b" ", b":", b"Content-Length: ", b"5\r\n", b"0\r\n\r\n", b"a=1"),
            *(b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1 100\r\n", b"\xff\xd8", b"--", b"Content-Length: 99999\r\n"),
        ]
    ),
    st.binary(max_size=60),
)


@given(st.lists(SCRAPS, max_size=12))
@example([b"HTTP/1.1 200 OK\r\n", b" \r\n\r\n"])
def test_anything_either_is_an_answer_or_one_named_error_and_little_is_kept(scraps: list[bytes]) -> None:
    reader = AnswerReader(limits=Limits(head=300, lines=10, body=500))
    events: list[Event] = []
    try:
        for scrap in scraps:
            events += reader.feed(scrap)
            assert len(reader._buffer) <= max(300, CHUNK_LINE)
        events += reader.close()
    except BadAnswer:
        return
    assert [type(event) for event in events if not isinstance(event, Piece)] == [Head, End]
    assert isinstance(events[0], Head)
    assert sum(len(event.data) for event in events if isinstance(event, Piece)) <= 500


@given(st.lists(SCRAPS, max_size=8), st.integers(1, 9))
def test_how_the_bytes_are_cut_makes_no_difference(scraps: list[bytes], size: int) -> None:
    wire = b"".join(scraps)

    def outcome(pieces: list[bytes]) -> object:
        try:
            return read(pieces)
        except BadAnswer:
            return "bad"

    assert outcome([wire]) == outcome([wire[i : i + size] for i in range(0, len(wire), size)])
