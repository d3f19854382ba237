"""What a viewer asks for, and which of a camera's streams that is. Pure.

    /ws/live/<camera>/?stream=auto|<id>&audio=0|1&codecs=avc1,hvc1&quality=low|auto|high&width=<pixels of the tile>

auto is the smallest stream that fills the tile, or the largest; low is the smallest, made smaller here where it still
is large; high is the largest. What the browser cannot play is converted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qs

from devices.families.base import Stream

# What a browser calls the codecs that devices send. Others no browser plays inside MP4.
BROWSER_NAMES = {"h264": ("avc1", "avc3"), "h265": ("hvc1", "hev1")}
SPOKEN = {"h264": "H.264", "h265": "H.265", "mjpeg": "motion JPEG"}
# Transports that are a row of single pictures.
STILLS = frozenset({"stills", "camera", "loginfree"})
# As wide as this a picture may be on a thin line.
LOW_WIDTH = 640


class Rendition(StrEnum):
    """A form of a stream that is made here."""

    ORIGINAL = ""
    H264 = "h264"  # as large as it comes, in what every browser plays
    LOW = "low"  # for a thin line


@dataclass(frozen=True)
class Choice:
    stream: Stream
    rendition: Rendition = Rendition.ORIGINAL

    @property
    def name(self) -> str:
        return f"{self.stream.id}~{self.rendition}" if self.rendition else self.stream.id


class BadRequest(ValueError):
    """The text is a sentence for whoever asked."""


class NotOffered(ValueError):
    """This camera has no such stream; the text is a sentence."""


@dataclass(frozen=True)
class Wanted:
    """What a viewer asks for."""

    stream: str = "auto"
    sound: bool = False
    codecs: frozenset[str] = frozenset({"avc1"})
    quality: str = "auto"
    width: int = 0  # 0: not told

    @classmethod
    def of_query(cls, query: bytes) -> Wanted:
        try:
            given = parse_qs(
                query.decode("ascii"), keep_blank_values=True, strict_parsing=bool(query), max_num_fields=8
            )
        except ValueError:
            raise BadRequest("The address of this socket cannot be read.") from None
        for name, several in given.items():
            if len(several) > 1:
                raise BadRequest(f"The parameter {name[:20]} is given twice.")
        values = {name: several[0] for name, several in given.items()}
        sound = values.pop("audio", "0")
        if sound not in ("0", "1"):
            raise BadRequest("audio is 0 or 1.")
        codecs = values.pop("codecs", "avc1")
        if not re.fullmatch(r"[a-z0-9.,-]{1,200}", codecs):
            raise BadRequest("codecs is a list such as avc1,hvc1 of what this browser can play.")
        return cls(sound=sound == "1", codecs=frozenset(codecs.split(","))).changed(values)

    def changed(self, given: Mapping[str, Any]) -> Wanted:
        """With another stream, quality or width."""
        for name in given:
            if name not in ("stream", "quality", "width"):
                raise BadRequest(
                    f"There is no parameter {name[:20]}; use stream, audio, codecs, quality and width, as documented."
                )
        stream, quality, width = (str(given.get(name, getattr(self, name))) for name in ("stream", "quality", "width"))
        if not re.fullmatch(r"[a-z0-9_-]{1,32}", stream):
            raise BadRequest("stream is auto or the id of one of the camera's streams.")
        if quality not in ("low", "auto", "high"):
            raise BadRequest("quality is low, auto or high.")
        if not re.fullmatch(r"[0-9]{1,5}", width):
            raise BadRequest("width is the width of the picture on the page in pixels, or 0.")
        return replace(self, stream=stream, quality=quality, width=int(width))

    def plays(self, kind: str) -> bool:
        return any(name in self.codecs for name in BROWSER_NAMES.get(kind, ()))


def choose(streams: Sequence[Stream], wanted: Wanted) -> Choice:
    """The stream to show, in the form in which this browser plays it. Streams stand in the device's order of worth."""
    if wanted.stream != "auto":
        streams = [each for each in streams if each.id == wanted.stream]
        if not streams:
            raise NotOffered(f"This camera does not offer a stream {wanted.stream}.")
    if not streams:
        raise NotOffered("This camera does not offer a live stream.")
    # What must be converted, or is a row of stills, only if there is nothing else.
    best = min(_burden(each, wanted) for each in streams)
    fitting = [each for each in streams if _burden(each, wanted) == best]
    stream = _by_size(fitting, wanted)
    rendition = Rendition.ORIGINAL
    if wanted.quality == "low" and (stream.width is None or stream.width > LOW_WIDTH):
        rendition = Rendition.LOW
    elif stream.codec != "" and not wanted.plays(stream.codec):
        rendition = Rendition.H264
    if rendition is not Rendition.ORIGINAL and not wanted.plays("h264"):
        sent = SPOKEN.get(stream.codec, "what this camera sends")
        raise NotOffered(
            "This browser does not play H.264, which this camera sends."
            if stream.codec == "h264"
            else f"This browser plays neither {sent} nor H.264, into which that can be converted."
        )
    return Choice(stream, rendition)


def _burden(stream: Stream, wanted: Wanted) -> int:
    if stream.transport in STILLS:
        return 2
    return 0 if stream.codec == "" or wanted.plays(stream.codec) else 1


def _by_size(streams: Sequence[Stream], wanted: Wanted) -> Stream:
    by_width = sorted(streams, key=lambda each: each.width or 0)  # stable: the device's order among equals
    if wanted.quality == "low":
        return by_width[0]
    if wanted.quality == "auto" and wanted.width:
        for each in by_width:
            if each.width and each.width >= wanted.width:
                return each
    widest = by_width[-1].width
    return next(each for each in by_width if each.width == widest)
