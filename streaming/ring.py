"""What every viewer of a stream shares: the pieces since the newest place where one may begin.

    first ………………… newest_key ………………… following
      │  kept for those a little behind  │  who comes begins here

A piece has a number for ever; a viewer is nothing but the number of the piece it gets next.
"""

from __future__ import annotations

from typing import NamedTuple


class Fragment(NamedTuple):
    """A picture or a piece of sound, boxed once for everybody."""

    data: bytes
    key: bool
    start: float  # seconds on the timeline of this process
    shown: float  # the same, or later for a picture that others are decoded before
    received: float  # Unix time
    time: int  # by the sender's clock, in ticks of its track
    content_at: int  # where in data the boxes end and the coded picture or sound begins

    @property
    def content(self) -> bytes:
        return self.data[self.content_at :]


class Ring:
    """The pieces numbered first … following - 1."""

    def __init__(self) -> None:
        self.pieces: list[Fragment] = []
        self.first = 0
        self.following = 0
        self.newest_key = -1  # none
        self.bytes = 0

    def append(self, piece: Fragment) -> None:
        if piece.key:
            self.newest_key = self.following
        self.pieces.append(piece)
        self.following += 1
        self.bytes += len(piece.data)

    def trim(self, start: float) -> None:
        """Forget what begins before `start`."""
        pieces = self.pieces
        count = next((index for index, each in enumerate(pieces) if each.start >= start), len(pieces))
        self.bytes -= sum(len(each.data) for each in pieces[:count])
        del pieces[:count]
        self.first += count

    def clear(self) -> None:
        self.pieces.clear()
        self.bytes = 0
        self.first = self.following
        self.newest_key = -1

    def number_from(self, start: float) -> int:
        """The number of the first piece that begins at `start` or later."""
        ahead = next((index for index, each in enumerate(self.pieces) if each.start >= start), len(self.pieces))
        return self.first + ahead
