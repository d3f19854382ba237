"""Session descriptions, of the document and of real cameras."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.wire import Malformed, sdp
from streaming.wire.sdp import control_url, parse

REAL = Path(__file__).parents[3] / "shared" / "realworld" / "rtsp"

# POVCAM 13.1, with fmtp on two lines as printed there.
POVCAM = b"""v=0
o=- 1 1 IN IP4 192.168.0.10
s=Media Presentation
e=NONE
c=IN IP4 0.0.0.0
b=AS:14464
t=0 0
a=control:*
a=range:npt=now-
m=video 0 RTP/AVP 98
b=AS:14336
a=framerate:30.0
a=control:trackID=1
a=rtpmap:98 H264/90000
a=fmtp:98 packetization-mode=1
a=h264-esid:201
m=audio 0 RTP/AVP 99
a=control:trackID=2
a=rtpmap:99 mpeg4-generic/48000/2
a=fmtp:99 streamType=5; profile-level-id=41; mode=AAC-hbr; config=1190; sizeLength=13; indexLength=3;
indexDeltaLength=3; bitrate=128000
a=h264-esid:101
"""


@pytest.mark.parametrize("eol", [b"\n", b"\r\n"])
def test_the_documents_description_is_read(eol: bytes):
    found = parse(POVCAM.replace(b"\n", eol))
    assert found.control == "*"
    video, audio = found.media
    assert (video.kind, video.payload_type, video.encoding, video.clock) == ("video", 98, "h264", 90_000)
    assert (video.control, video.address, video.parameters) == ("trackID=1", "0.0.0.0", {"packetization-mode": "1"})
    assert video.parameter_sets() == []
    assert (audio.kind, audio.encoding, audio.clock, audio.channels) == ("audio", "mpeg4-generic", 48_000, 2)
    assert (audio.parameters["indexdeltalength"], audio.configuration()) == ("3", b"\x11\x90")
    assert found.first("audio") is audio
    assert found.first("application") is None


def test_a_multicast_connection_is_read_where_it_stands():
    text = b"v=0\nc=IN IP4 239.192.0.20/16\nm=video 37004 RTP/AVP 98\n"
    text += b"m=audio 38004/2 RTP/AVP 0\nc=IN IP4 239.192.0.21/32/2\n"
    video, audio = parse(text).media
    assert (video.port, video.address, video.ttl) == (37_004, "239.192.0.20", 16)
    assert (audio.port, audio.address, audio.ttl) == (38_004, "239.192.0.21", 32)


@pytest.mark.parametrize(("number", "encoding"), [(0, "pcmu"), (8, "pcma"), (3, "gsm"), (26, "jpeg"), (96, "")])
def test_well_known_payload_types_need_no_rtpmap(number: int, encoding: str):
    (media,) = parse(b"m=audio 0 RTP/AVP %d\n" % number).media
    assert media.encoding == encoding


def body_of(name: str) -> bytes:
    path = REAL / name
    if not path.exists():
        pytest.skip("the replies of real devices are not here (../shared/realworld)")
    return path.read_bytes().split(b"\r\n\r\n", 1)[1]


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("dahua_describe_h264_aac_onvif.txt", ["h264", "mpeg4-generic", "vnd.onvif.metadata"]),
        ("dahua_describe_h265_pcma.txt", ["h265", "pcma"]),
        ("hikvision_describe.txt", ["h264", "vnd.onvif.metadata"]),
        ("reolink_describe.txt", ["h264", "mpeg4-generic"]),
        ("reolink_describe_control_first.txt", ["h264", "mpeg4-generic"]),
        ("bunny_describe.txt", ["mpeg4-generic", "h264"]),
    ],
)
def test_real_cameras_descriptions_are_read(name: str, media: list[str]):
    found = parse(body_of(name))
    assert [each.encoding for each in found.media] == media
    assert all(each.control and each.clock for each in found.media)
    sets = found.first("video").parameter_sets()
    first_types = [each[0] >> 1 & 0x3F if media[0] == "h265" else each[0] & 0x1F for each in sets]
    assert first_types == ([32, 33, 34] if media[0] == "h265" else [7, 8])


def test_a_control_may_be_absolute_or_relative():
    base = "rtsp://cam/mediainput/h264/stream_1"
    assert control_url(base + "/", "trackID=1") == base + "/trackID=1"
    assert control_url(base, "trackID=1") == base + "/trackID=1"
    assert control_url(base, "*") == control_url(base, "") == base
    assert control_url(base, "RTSP://other/x") == "RTSP://other/x"


@pytest.mark.parametrize("text", [b"", b"v=0\n", b"m=\n", b"m=video x RTP/AVP 98\n", b"m=video 0 RTP/AVP h264\n"])
def test_a_description_without_media_is_malformed(text: bytes):
    with pytest.raises(Malformed, match="without media"):
        parse(text)


@pytest.mark.parametrize("text", [bytes(sdp.MAX_SIZE + 1), b"m=video 0 RTP/AVP 98\n" * 50])
def test_a_description_beyond_the_limits_is_malformed(text: bytes):
    with pytest.raises(Malformed):
        parse(text)


@given(st.binary(max_size=200), st.data())
@settings(max_examples=2500)
def test_any_bytes_are_a_description_or_malformed(rubbish: bytes, data):
    mutated = bytearray(POVCAM)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        if data.draw(st.booleans()):
            mutated[at] = data.draw(st.sampled_from(b"=:/;, \n\r0\xff\xc2m"))
        else:
            del mutated[at : at + data.draw(st.integers(1, 20))]
    for text in (rubbish, b"m=video 0 RTP/AVP 98\n" + rubbish, bytes(mutated)):
        try:
            found = parse(text)
        except Malformed:
            continue
        for each in found.media:
            each.parameter_sets()
            each.configuration()
            assert 0 <= each.port <= 65_535
            assert 0 <= each.payload_type <= 127
