"""The one shape between a source and a viewer.

Whatever way a picture arrives, it becomes access units of a track; whatever way it leaves, it leaves from them.
Two tracks that are equal need one init segment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

# Ticks per second of every time in this room: the clock of RTP video.
CLOCK_RATE = 90_000


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """H.264 as its parameter sets describe it. `codec` is what a browser is asked about: avc1.64001f."""

    codec: str
    width: int
    height: int
    sps: bytes
    pps: tuple[bytes, ...]


class AccessUnit(NamedTuple):
    """One coded picture, complete and undamaged."""

    track: VideoTrack
    time: int  # of the sender's clock, unwrapped, in CLOCK_RATE ticks
    received: float  # Unix time at which its last byte reached us
    key: bool  # decoding can start here
    data: bytes  # NAL units, each behind its length in 4 bytes; no parameter sets, no delimiters
