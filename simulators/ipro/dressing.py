"""How a picture's NAL units lie in what the recorder sends, live (2.3.1) and played (3.3.1)."""

from __future__ import annotations

from simulators import h264, h265
from simulators.ipro.information import H265
from simulators.video import Frames

SEI_ID = b"a simulated NVR!"  # 16 bytes that say whose message it is


class Dressed:
    """The units of each picture as 2.3.1 lists them: delimiter, parameter sets, SEI, pictures. Between key pictures
    there is a PPS still, and no SPS."""

    def __init__(self, codec: str, frames: Frames) -> None:
        self._frames = frames
        self.at_hand = frames.at_hand
        self._front: tuple[int, ...]
        if codec == H265:
            self._kind, self._front = _kind_of_h265, (h265.NAL_DELIMITER, h265.NAL_VPS, h265.NAL_SPS, h265.NAL_PPS)
            self._pps_kind, self._sei_kind = h265.NAL_PPS, h265.NAL_SEI
        else:
            self._kind, self._front = _kind_of_h264, (h264.NAL_DELIMITER, h264.NAL_SPS, h264.NAL_PPS)
            self._pps_kind, self._sei_kind = h264.NAL_PPS, h264.NAL_SEI
        header = bytes((h265.NAL_SEI << 1, 1)) if codec == H265 else bytes((h264.NAL_SEI,))
        self._sei = header + bytes((5, len(SEI_ID))) + SEI_ID + b"\x80"
        self._pps: list[bytes] = []

    def frame(self, number: int) -> list[bytes]:
        units = [unit for unit in self._frames.frame(number) if self._kind(unit) != self._sei_kind]
        front = [unit for unit in units if self._kind(unit) in self._front]
        own = [unit for unit in front if self._kind(unit) == self._pps_kind]
        self._pps = own or self._pps
        return [*front, *([] if own else self._pps), self._sei, *units[len(front) :]]


def _kind_of_h264(unit: bytes) -> int:
    return unit[0] & 0x1F


def _kind_of_h265(unit: bytes) -> int:
    return unit[0] >> 1 & 0x3F
