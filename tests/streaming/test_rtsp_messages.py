"""RTSP as cameras speak it: messages, packets among them, and what stands in headers."""

import io
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.media import AccessUnit, AudioUnit
from streaming.wire import Malformed, aac, fmp4, h264, rtp, rtsp, sdp
from streaming.wire.rtsp import (
    Interleaved,
    Parser,
    Request,
    Response,
    Session,
    TrackInfo,
    Transport,
    request,
    rtp_info,
    session,
    transport,
)

REAL = Path(__file__).parents[3] / "shared" / "realworld" / "rtsp"


def real(name: str) -> bytes:
    path = REAL / name
    if not path.exists():
        pytest.skip("the replies of real devices are not here (../shared/realworld)")
    return path.read_bytes()


def fed(stream: bytes, size: int = 100_000) -> list[Response | Request | Interleaved]:
    parser = Parser()
    return [each for at in range(0, len(stream), size) for each in parser.feed(stream[at : at + size])]


# --- Out --------------------------------------------------------------------------------------------------------------
def test_a_request_is_written_as_the_document_shows_it():
    sent = request(
        "SETUP", "rtsp://cam/stream_1/trackID=1", 4, {"User-Agent": "vms", "Transport": "RTP/AVP/TCP;unicast"}
    )
    assert sent == (
        b"SETUP rtsp://cam/stream_1/trackID=1 RTSP/1.0\r\nCSeq: 4\r\nUser-Agent: vms\r\n"
        b"Transport: RTP/AVP/TCP;unicast\r\n\r\n"
    )
    (back,) = fed(sent)
    assert isinstance(back, Request)
    assert (back.method, back.url, back.cseq) == ("SETUP", "rtsp://cam/stream_1/trackID=1", 4)


@pytest.mark.parametrize(
    ("url", "value"), [("rtsp://cam/\r\nX: y", "v"), ("rtsp://cam/a b", "v"), ("rtsp://cam/", "a\nb")]
)
def test_nothing_can_be_smuggled_into_a_request(url: str, value: str):
    with pytest.raises(ValueError, match="line end or a blank"):
        request("PLAY", url, 1, {"X": value})


# --- In ---------------------------------------------------------------------------------------------------------------
ANSWER = b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nContent-Length: 5\r\n\r\nv=0\r\n"
PACKET = b"$\x14\x00\x04\r\n$R"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_answers_and_packets_come_out_whole_however_they_arrive(size: int):
    found = fed(PACKET + ANSWER + PACKET + b"\r\n" + ANSWER, size)
    assert [type(each) for each in found] == [Interleaved, Response, Interleaved, Response]
    assert found[0] == Interleaved(20, b"\r\n$R")
    answer = found[1]
    assert isinstance(answer, Response)
    assert (answer.status, answer.reason, answer.cseq, answer.body) == (200, "OK", 3, b"v=0\r\n")


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        ("RTSP/1.0 503 Service Unavailable", 503, "Service Unavailable"),
        ("RTSP/1.0 501", 501, ""),
        ("rtsp/1.0  454  Session Not Found ", 454, "Session Not Found"),
        ("RTSP/1.1 200 ", 200, ""),
    ],
)
@pytest.mark.parametrize("eol", ["\r\n", "\n"])
def test_first_lines_are_read_as_they_are_meant(text: str, status: int, reason: str, eol: str):
    (answer,) = fed(f"{text}{eol}cseq:7{eol}SESSION :  12 {eol}{eol}".encode())
    assert isinstance(answer, Response)
    assert (answer.status, answer.reason, answer.cseq, answer.header("session")) == (status, reason, 7, "12")


def test_lines_that_are_no_header_go_on_with_the_line_before():
    """As POVCAM 13.1 and 13.2 print them."""
    (answer,) = fed(
        b"RTSP/1.0 200 OK\r\nCSeq: 6\r\n"
        b"Transport: RTP/AVP/UDP;unicast;client_port=4000-4001;\r\nserver_port=5000-5001;ssrc=0\r\n"
        b"RTP-Info: url=rtsp://cam/trackID=1;seq=1;rtptime=2\r\nurl=rtsp://cam/trackID=2;seq=3;rtptime=...\r\n"
        b"X-Folded: one\r\n   two\r\n\tthree\r\n\r\n"
    )
    assert isinstance(answer, Response)
    chosen = transport(answer.header("transport"))
    assert (chosen.client_port, chosen.server_port, chosen.ssrc) == ((4000, 4001), (5000, 5001), 0)
    assert rtp_info(answer.header("rtp-info")) == [
        TrackInfo("rtsp://cam/trackID=1", 1, 2),
        TrackInfo("rtsp://cam/trackID=2", 3, None),
    ]
    assert answer.header("x-folded") == "one two three"


def test_every_challenge_is_there():
    (answer,) = fed(
        b"RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\nwww-authenticate: Digest realm=x\r\n\r\n"
    )
    assert isinstance(answer, Response)
    assert answer.all("www-authenticate") == ["Basic realm=x", "Digest realm=x"]


@pytest.mark.parametrize(
    "stream",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"RTSP/1.0 2000 OK\r\n\r\n",
        b"RTSP/1.0 OK\r\n\r\n",
        b"\x80packet without a dollar",
        b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 5000,
        b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"A" * 20_000,
    ],
)
def test_what_is_no_message_is_malformed(stream: bytes):
    with pytest.raises(Malformed):
        fed(stream)


# --- Headers ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0123456789012345678901234567890;timeout=120", Session("0123456789012345678901234567890", 120)),
        ("F8F8E425", Session("F8F8E425", 60)),
        ("       708345999 ; Timeout = 30 ", Session("708345999", 30)),
        ("a;timeout=soon", Session("a", 60)),
        ("a;timeout=0", Session("a", 60)),
    ],
)
def test_sessions(value: str, expected: Session):
    assert session(value) == expected


@pytest.mark.parametrize("value", ["", ";timeout=60", "x" * 300])
def test_an_answer_without_a_session_is_malformed(value: str):
    with pytest.raises(Malformed):
        session(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=20-21;ssrc=4CACC3D1", Transport(True, False, (20, 21), ssrc=0x4CACC3D1)),
        (
            'RTP/AVP/TCP;unicast;interleaved=0-1;ssrc= d6d6627;mode="play"',
            Transport(True, False, (0, 1), ssrc=0xD6D6627),
        ),
        ("RTP/AVP;unicast;interleaved=4", Transport(True, False, (4, 5))),
        (
            "RTP/AVP/UDP;multicast;destination=239.192.0.20;ttl=16;port=37004-37005",
            Transport(False, True, port=(37_004, 37_005), destination="239.192.0.20", ttl=16),
        ),
        (
            "rtp/avp;unicast;CLIENT_PORT=40000-40001;server_port=6970-6971;source=192.168.0.10,RTP/AVP/TCP",
            Transport(False, False, None, (40_000, 40_001), (6970, 6971), source="192.168.0.10"),
        ),
        ("RTP/AVP;client_port=70000-70001;ttl=x;ssrc=...", Transport(False, False)),
    ],
)
def test_transports(value: str, expected: Transport):
    assert transport(value) == expected


def test_another_transport_is_malformed():
    with pytest.raises(Malformed):
        transport("RAW/RAW/UDP;unicast")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("url=trackID=1;seq=17;rtptime=4711", [TrackInfo("trackID=1", 17, 4711)]),
        ("url=a;seq=1;rtptime=0,url=b;seq=65535", [TrackInfo("a", 1, 0), TrackInfo("b", 65_535, None)]),
        ("url=a;seq=70000 , url = b ;rtptime=99999999999", [TrackInfo("a", None, None), TrackInfo("b", None, None)]),
        ("", []),
    ],
)
def test_where_tracks_begin(value: str, expected: list[TrackInfo]):
    assert rtp_info(value) == expected


# --- Real devices -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("vendor", ["bunny", "dahua", "hikvision", "reolink"])
def test_real_devices_answers_are_read(vendor: str):
    (setup,) = fed(real(f"{vendor}_setup.txt"), 11)
    assert isinstance(setup, Response)
    assert session(setup.header("session")).id
    assert transport(setup.header("transport")).interleaved == (0, 1)
    (play,) = fed(real(f"{vendor}_play.txt"), 11)
    assert isinstance(play, Response)
    tracks = rtp_info(play.header("rtp-info"))
    assert len(tracks) == {"bunny": 2, "dahua": 3, "hikvision": 1, "reolink": 2}[vendor]
    assert all(track.url and track.sequence is not None and track.timestamp is not None for track in tracks)


def test_a_real_session_is_decoded_to_picture_and_sound():
    """H.264 and AAC of a public server, as they came over TCP."""
    (describe,) = fed(real("bunny_describe.txt"))
    assert isinstance(describe, Response)
    media = sdp.parse(describe.body)
    video, audio = media.first("video"), media.first("audio")
    assert video is not None
    assert audio is not None
    depacketizer, framer = h264.Depacketizer(), aac.Framer(config=audio.configuration())
    depacketizer.offer(video.parameter_sets())
    pictures: list[AccessUnit] = []
    sounds: list[AudioUnit] = []
    for each in fed(real("bunny.rtsp"), 1448):
        assert isinstance(each, Interleaved)
        if each.channel not in (0, 2):
            continue
        packet = rtp.parse(each.data)
        if packet.payload_type == video.payload_type:
            pictures += depacketizer.push(packet, 1.0)
        else:
            sounds += framer.push(packet.payload, packet.timestamp, 1.0, marker=packet.marker)
    assert len(pictures) > 20
    assert len(sounds) > 20
    assert depacketizer.malformed == framer.malformed == framer.dropped == 0
    assert (pictures[0].track.width, pictures[0].track.height) == (240, 160)
    assert framer.track is not None
    mp4 = fmp4.init_segment(pictures[0].track, framer.track) + b"".join(
        [
            *(fmp4.fragment(n, unit.time, 3750, unit.key, 1.0, unit.data) for n, unit in enumerate(pictures)),
            *(fmp4.audio_fragment(n, unit.time, unit.samples, 1.0, unit.data) for n, unit in enumerate(sounds)),
        ]
    )
    with av.open(io.BytesIO(mp4)) as container:
        assert len(list(container.decode(video=0))) == len(pictures)
    with av.open(io.BytesIO(mp4)) as container:
        assert container.streams.audio[0].rate == 12_000
        assert len(list(container.decode(audio=0))) == len(sounds)


# --- Whatever comes ---------------------------------------------------------------------------------------------------
@given(st.binary(max_size=200), st.integers(1, 50), st.sampled_from([b"", b"RTSP/1.0 200 OK\r\n", b"$\0\0\5"]))
@settings(max_examples=2000)
def test_any_bytes_are_messages_or_malformed(data: bytes, size: int, front: bytes):
    parser = Parser()
    stream = front + data
    try:
        for at in range(0, len(stream), size):
            parser.feed(stream[at : at + size])
            assert len(parser._rest) <= rtsp.MAX_HEAD + rtsp.MAX_BODY
    except Malformed:
        return


@given(st.data())
@settings(max_examples=2000, deadline=None)
def test_mutated_messages_are_read_or_malformed(data):
    stream = bytearray(
        PACKET + b"RTSP/1.0 200 OK\r\nCSeq: 6\r\nSession: 12;timeout=60\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n"
        b"RTP-Info: url=a;seq=1;rtptime=2\r\n url=b;seq=2\r\nContent-Length: 3\r\n\r\nabc" + PACKET
    )
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(stream) - 1))
        if data.draw(st.booleans()):
            stream[at] = data.draw(st.sampled_from(b"\r\n:;=-, $0\xff\xb2"))
        else:
            del stream[at : at + data.draw(st.integers(1, 20))]
    try:
        found = fed(bytes(stream), 13)
        for each in found:
            if isinstance(each, Response):
                session(each.header("session"))
                transport(each.header("transport"))
                rtp_info(each.header("rtp-info"))
    except Malformed:
        return


@given(st.text(max_size=60))
@settings(max_examples=2000)
def test_any_header_value_is_read_or_malformed(value: str):
    for read in (
        session,
        transport,
        lambda text: transport("RTP/AVP;" + text),
        rtp_info,
        lambda text: rtp_info("url=" + text),
    ):
        try:
            read(value)
        except Malformed:
            continue
