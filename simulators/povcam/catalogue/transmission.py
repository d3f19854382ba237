"""Section 2, video transmission, and section 3, camera control."""

from __future__ import annotations

from simulators.auth import Level
from simulators.checking import Command, Pace, choice, number, text
from simulators.povcam.catalogue.words import cgi, uid

JPEG_RATES = {"59.94": ("1", "5", "15", "30"), "50": ("1", "5", "12.5", "25")}
BIGGEST_DUMMY = 9_999_999_999


def transmission(system_frequency: str) -> tuple[Command, ...]:
    rates = JPEG_RATES[system_frequency]
    size = choice("resolution", "640", required=False)
    return (
        # 2.1 Transmission user management
        cgi(
            "getuid",
            "GET",
            Level.LIVE,
            choice("FILE", "2"),
            choice("vcodec", "jpeg", "h264", "h264_2"),
            choice("reply", "browser", "info", required=False),
        ),
        # 2.2 Device information
        cgi("getinfo", "GET", Level.LIVE, choice("FILE", "1")),
        # 2.3 Capability
        cgi("get_capability", "POST/GET", Level.LIVE),
        # 2.4 JPEG
        cgi(
            "jpeg",
            "GET",
            Level.LIVE,
            choice("connect", "start", "stop"),
            choice("framerate", *rates, required=False),  # needed to start: checked there
            size,
            uid(),
        ),
        cgi("mjpeg", "GET", Level.LIVE, size, choice("framerate", *rates, required=False), pace=Pace.PICTURE),
        cgi(
            "view.cgi",
            "GET",
            Level.LIVE,
            choice("action", "snapshot", "start", "stop"),
            number("n", 0, BIGGEST_DUMMY, required=False),
            pace=Pace.PICTURE,
        ),
        cgi("camera", "GET", Level.LIVE, size, number("page", 0, BIGGEST_DUMMY, required=False), pace=Pace.PICTURE),
        # 2.7 H.264 and audio
        cgi(
            "h264",
            "GET",
            Level.LIVE,
            number("my_port", 1024, 65535, required=False),  # needed for unicast: checked there
            choice("connect", "start", "stop"),
            choice("protocol", "rtp", required=False),
            uid(),
            choice("stream", "1", "2"),
        ),
        cgi(
            "audio",
            "GET",
            Level.LIVE,
            choice("connect", "start", "stop"),
            choice("protocol", "rtp", "http"),
            number("my_port", 1024, 65535, required=False),  # needed for RTP: checked there
            uid(),
            choice("mode", "in"),
        ),
        cgi(
            "keep_alive",
            "GET",
            Level.LIVE,
            choice("mode", "h.264", "h.264_2", "jpeg", "audio"),
            choice("protocol", "rtp", "http"),
            uid(),
            choice("stream", "1", "2", required=False),  # the example for JPEG has none; needed for H.264
        ),
    )


def camera_control() -> tuple[Command, ...]:
    # 3.1 Camera control
    zoom, brightness, focus = ("1", "up", "down", "0"), ("1", "up", "down", "-2", "0", "2"), ("-3", "3", "on")
    steps = tuple(str(step) for step in range(-4, 5))
    return (
        cgi(
            "camctrl",
            "GET",
            Level.LIVE,
            choice("times", *zoom, required=False),
            choice("zoom", *zoom, required=False),
            choice("bright", *brightness, required=False),
            choice("iris", *brightness, required=False),
            choice("focus", *focus, required=False),
            choice("af", *focus, required=False),
            at_least_one=True,
        ),
        cgi(
            "directctrl",
            "GET",
            Level.LIVE,
            choice("zoom", *steps, required=False),
            choice("focus", *steps, required=False),
            at_least_one=True,
        ),
        # Named in section 3.1 and described in another document: what they mean is not known here.
        cgi("aw_ptz", "GET", Level.LIVE, text("cmd", 64), choice("res", "1", required=False)),
        cgi("aw_cam", "GET", Level.LIVE, text("cmd", 64), choice("res", "1", required=False)),
    )
