"""The one shape between a source and a viewer.

Whatever way pictures and sound arrive, they become units of a track; whatever way they leave, they leave from them.
Two tracks that are equal need one init segment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

# Ticks per second of every picture's time in this room: the clock of RTP video.
CLOCK_RATE = 90_000


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """Pictures as their parameter sets describe them."""

    kind: str  # h264, h265 or jpeg
    codec: str  # what a browser is asked about: avc1.64001f
    width: int
    height: int
    config: bytes  # the decoder configuration record (avcC, hvcC); empty for jpeg
    reorder: int = 0  # how many pictures are decoded ahead of one that is shown before them, as far as is told


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """Sound as it must be announced to a decoder."""

    kind: str  # aac, pcmu, pcma, g726le, g726be or gsm
    codec: str  # what a browser is asked about: mp4a.40.2; the kind for what no browser plays
    rate: int  # samples per second
    channels: int
    config: bytes  # the AudioSpecificConfig; empty for what needs none


class AccessUnit(NamedTuple):
    """One coded picture, complete and undamaged, in the order of decoding."""

    track: VideoTrack
    time: int  # of showing it, by the sender's clock, unwrapped, in CLOCK_RATE ticks
    received: float  # Unix time at which its last byte reached us
    key: bool  # decoding can start here
    data: bytes  # NAL units, each behind its length in 4 bytes; no parameter sets, no delimiters. Or one whole JPEG


class AudioUnit(NamedTuple):
    """One piece of coded sound that can be decoded alone."""

    track: AudioTrack
    time: int  # by the sender's clock, unwrapped, in samples
    received: float
    samples: int  # how long it lasts
    data: bytes


Unit = AccessUnit | AudioUnit
