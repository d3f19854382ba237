"""Which of a camera's streams a viewer gets, and in what form."""

import pytest

from devices.families.base import Stream
from streaming.choice import BadRequest, Choice, NotOffered, Rendition, Wanted, choose

LARGE = Stream("h264", "h264", 1920, 1080, 30, "rtp")
SMALL = Stream("h264_2", "h264", 640, 360, 15, "rtp")
MODERN = Stream("video", "h265", 3840, 2160, 30, "rtp")
UNSEEN = Stream("video", "", None, None, None, "rtp")
MOTION = Stream("mjpeg", "mjpeg", 640, 480, 25, "mjpeg")
STILLS = Stream("stills", "mjpeg", 640, 480, None, "stills")
BOTH = [LARGE, SMALL]


def wanted(query: str) -> Wanted:
    return Wanted.of_query(query.encode())


@pytest.mark.parametrize(
    ("streams", "query", "chosen"),
    [
        (BOTH, "", Choice(LARGE)),
        (BOTH, "stream=h264_2", Choice(SMALL)),
        (BOTH, "width=320", Choice(SMALL)),
        (BOTH, "width=640", Choice(SMALL)),
        (BOTH, "width=641", Choice(LARGE)),
        (BOTH, "width=5000", Choice(LARGE)),
        (BOTH, "quality=high&width=320", Choice(LARGE)),
        (BOTH, "quality=low", Choice(SMALL)),
        ([LARGE], "quality=low", Choice(LARGE, Rendition.LOW)),
        ([UNSEEN], "quality=low", Choice(UNSEEN, Rendition.LOW)),
        ([MODERN, SMALL], "codecs=avc1,hvc1", Choice(MODERN)),
        ([MODERN, SMALL], "codecs=avc1", Choice(SMALL)),
        ([MODERN], "codecs=avc1", Choice(MODERN, Rendition.H264)),
        ([MODERN], "codecs=hev1", Choice(MODERN)),
        ([UNSEEN], "codecs=avc1", Choice(UNSEEN)),
        ([MOTION, STILLS], "", Choice(MOTION, Rendition.H264)),
        ([STILLS], "", Choice(STILLS, Rendition.H264)),
        ([MOTION, STILLS], "stream=stills", Choice(STILLS, Rendition.H264)),
    ],
)
def test_the_stream_that_suits(streams: list[Stream], query: str, chosen: Choice):
    assert choose(streams, wanted(query)) == chosen


@pytest.mark.parametrize(
    ("streams", "query"), [(BOTH, "stream=h265"), ([], ""), ([MOTION], "codecs=hvc1"), ([LARGE], "codecs=hvc1")]
)
def test_what_cannot_be_shown_is_said(streams: list[Stream], query: str):
    with pytest.raises(NotOffered, match=r"^This .*\.$"):
        choose(streams, wanted(query))


def test_a_viewer_may_change_its_mind_about_part_of_it():
    first = wanted("quality=low&width=320&audio=1&codecs=avc1,hvc1")
    assert first.changed({"quality": "high"}) == wanted("quality=high&width=320&audio=1&codecs=avc1,hvc1")


@pytest.mark.parametrize("changes", [{"width": -1}, {"width": "1e3"}, {"quality": "best"}, {"codecs": "avc1"}])
def test_a_senseless_change_is_refused(changes: dict[str, object]):
    with pytest.raises(BadRequest):
        wanted("").changed(changes)


def test_renditions_of_a_stream_have_names_of_their_own():
    assert {Choice(LARGE, rendition).name for rendition in Rendition} == {"h264", "h264~h264", "h264~low"}


def test_a_browser_that_cannot_play_what_is_sent_is_told_which_it_lacks():
    h265_alone = Wanted(codecs=frozenset({"hvc1"}))
    with pytest.raises(NotOffered, match=r"^This browser does not play H\.264, which this camera sends\.$"):
        choose([Stream("video", "h264", 640, 360, 15, "rtp")], h265_alone)
    with pytest.raises(NotOffered, match=r"neither motion JPEG nor H\.264, into which that can be converted\.$"):
        choose([Stream("mjpeg", "mjpeg", 640, 360, 15, "mjpeg")], h265_alone)
