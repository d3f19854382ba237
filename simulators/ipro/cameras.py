"""The recorder's cameras: whether they answer, and where they look.

A movement is kept as its speed and its beginning, so that a camera at rest or on the move costs nothing: where it is
follows from the clock. One command moves a camera for about two seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from simulators.http import Request

MOVES_FOR = 2.0  # seconds after one command
SEES = (60.0, 34.0)  # degrees across and down at the widest


class Status(IntEnum):
    """The numbers of CAM_CONNECT."""

    NOT_REGISTERED = 0
    NORMAL = 1
    CONNECTION_ERROR = 2


@dataclass
class Axis:
    low: float
    high: float
    fastest: float
    """Units per second at full speed."""
    place: float
    speed: float = 0.0
    """-1 to 1."""
    since: float = 0.0

    def at(self, now: float) -> float:
        moved = self.speed * self.fastest * min(now - self.since, MOVES_FOR)
        return min(max(self.place + moved, self.low), self.high)

    def move(self, now: float, speed: float) -> None:
        self.put(now, self.at(now))
        self.speed = speed

    def put(self, now: float, place: float) -> None:
        self.place, self.speed, self.since = min(max(place, self.low), self.high), 0.0, now

    def run_out(self, now: float) -> bool:
        """Whether a movement has ended by itself."""
        return self.speed != 0 and now >= self.since + MOVES_FOR


@dataclass(frozen=True)
class Position:
    """Degrees to the right, degrees down, and how many times nearer than at the widest."""

    pan: float
    tilt: float
    zoom: float


@dataclass
class Camera:
    number: int
    status: Status
    ptz: bool
    clock: Callable[[], float]
    pan: Axis = field(default_factory=lambda: Axis(-175.0, 175.0, 60.0, 0.0))
    tilt: Axis = field(default_factory=lambda: Axis(-30.0, 90.0, 40.0, 0.0))
    zoom: Axis = field(default_factory=lambda: Axis(1.0, 30.0, 8.0, 1.0))
    focus: int = 0
    """Steps to far; 0 again after the auto-focus."""
    iris: int = 0
    aux: set[int] = field(default_factory=set)
    presets: dict[int, Position] = field(default_factory=dict)
    moved_by: Request | None = None
    """Who moved it last, while it moves."""

    def _axes(self) -> tuple[Axis, Axis, Axis]:
        return self.pan, self.tilt, self.zoom

    def position(self) -> Position:
        return Position(*(axis.at(self.clock()) for axis in self._axes()))

    @property
    def moving(self) -> bool:
        return any(axis.speed for axis in self._axes())

    def move(self, pan: float | None, tilt: float | None, zoom: float | None) -> None:
        """Speeds from -1 to 1; None leaves the axis to itself."""
        for axis, speed in zip(self._axes(), (pan, tilt, zoom), strict=True):
            if speed is not None:
                axis.move(self.clock(), speed)

    def look(self, position: Position) -> None:
        for axis, place in zip(self._axes(), (position.pan, position.tilt, position.zoom), strict=True):
            axis.put(self.clock(), place)

    def center(self, x: int, y: int) -> None:
        """Look at a point of the picture: 0, 0 is its lower right corner, 32, 32 its upper left one."""
        here = self.position()
        across, down = (degrees / here.zoom for degrees in SEES)
        self.look(Position(here.pan + (16 - x) / 32 * across, here.tilt + (16 - y) / 32 * down, here.zoom))

    def next_rest(self) -> float | None:
        """When a movement will have ended by itself."""
        return min((axis.since + MOVES_FOR for axis in self._axes() if axis.speed), default=None)

    def come_to_rest(self) -> bool:
        """Settle what has ended by itself; whether anything had."""
        now = self.clock()
        ended = [axis for axis in self._axes() if axis.run_out(now)]
        for axis in ended:
            axis.put(now, axis.at(now))
        return bool(ended)
