"""What an i-PRO recorder tells inside its pictures (i-PRO 7): when they were taken, by its clock and the camera's,
which camera they are of, and what it is doing.

It comes with every picture, many times a second, and is wanted now and then. So what came last is kept as it came, and
is read when somebody asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from streaming.media import AccessUnit
from streaming.sources.lines import H264, H265, Framing
from streaming.wire import h264, h265, ipro_info, rtp
from streaming.wire.ipro_info import Information, Moment, Playing

_DOING = {Playing.UNDEFINED: None, Playing.LIVE: "live", Playing.PAUSE: "paused"}


class Noted:
    """What came last with the pictures of one camera of a recorder."""

    def __init__(self, camera: int) -> None:
        """`camera` is the number of the camera that was asked for."""
        self._camera = camera
        self._chunks: tuple[bytes, ...] = ()
        self._received = 0.0
        self._read: tuple[tuple[bytes, ...], Information] | None = None

    def note(self, chunks: tuple[bytes, ...], received: float) -> None:
        self._chunks, self._received = chunks, received

    @property
    def information(self) -> Information | None:
        if not self._chunks:
            return None
        if self._read is None or self._read[0] is not self._chunks:
            self._read = self._chunks, ipro_info.parse_all(self._chunks)
        return self._read[1]

    @property
    def remark(self) -> str:
        """A recorder whose cameras were exchanged must not show one under another's name without a word."""
        found = self.information
        if found is None or found.camera in (None, self._camera):
            return ""
        return (
            f"The recorder says that this is its camera {found.camera}, though camera {self._camera} was asked for. "
            "Check how its cameras are registered."
        )

    @property
    def shows_nothing(self) -> bool:
        """Whether what stands in the place of a picture is none."""
        found = self.information
        return found is not None and found.has_picture is False

    def told(self) -> dict[str, Any]:
        """Nothing at all when the recorder tells none of it."""
        found = self.information
        if found is None:
            return {}
        recorded = found.recorded
        told = {
            "camera": found.camera,
            "time": _moment(recorded),
            "camera_time": _moment(found.taken),
            "clock_off": round(recorded.time - self._received, 2) if recorded is not None else None,
            "recording_rate": found.rate,
            "doing": _doing(found),
        }
        return told if any(value is not None for value in told.values()) else {}


def _moment(moment: Moment | None) -> datetime | None:
    """With the zone that it is told in."""
    if moment is None:
        return None
    try:
        zone = timezone(timedelta(minutes=moment.offset_minutes))
    except ValueError:
        zone = UTC
    return datetime.fromtimestamp(moment.time, zone)


def _doing(found: Information) -> str | None:
    playing = found.status.playing if found.status is not None else None
    if not isinstance(playing, Playing):
        return None
    return _DOING.get(playing, playing.name.lower().replace("_", " "))


class _H264(h264.Depacketizer):
    def __init__(self, noted: Noted) -> None:
        super().__init__()
        self._noted = noted

    def push(self, packet: rtp.Packet, received: float) -> Sequence[AccessUnit]:
        if packet.extension:
            self._noted.note((packet.extension,), received)
        return super().push(packet, received)


class _H265(h265.Depacketizer):
    def __init__(self, noted: Noted) -> None:
        super().__init__()
        self._noted = noted

    def push(self, packet: rtp.Packet, received: float) -> Sequence[AccessUnit]:
        if packet.extension:
            self._noted.note((packet.extension,), received)
        return super().push(packet, received)


def pictures(noted: Noted) -> Mapping[int, Framing]:
    """As `lines.pictures`, for a recorder that tells something with them."""
    return {H264: _H264(noted), H265: _H265(noted)}
