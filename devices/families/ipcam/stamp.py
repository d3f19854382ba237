"""What an IPCam writes beside each picture of its MJPEG stream: `Date: yyyy-mm-dd hh:mm:ss IO_xxxxxxxx_PT_ppp_ttt`.

Accepted besides: the American date of newer firmware, a part of it only. The document counts the IO digits from the
left ("1st is Trigger1"), the vendor's own viewer from the right. There are four things to tell and eight digits, so the
half in which any is set says how this camera counts; should both, the vendor's viewer is right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

_MOMENT = re.compile(r"[0-9]{2,4}-[0-9]{2}-[0-9]{2,4} +[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?: *[AP]M)?")
_FORMS = ("%Y-%m-%d %H:%M:%S", "%m-%d-%Y %I:%M:%S %p")
_SWITCHES = re.compile(r"IO_([01]{8})")
_POSITION = re.compile(r"PT_([0-9]{3})_([0-9]{3})")
_LONGEST = 200
SWITCHES = ("Trigger1", "Trigger2", "ImageUpload", "ImageEmail")


@dataclass(frozen=True)
class Stamp:
    """None is what the camera does not tell."""

    at: datetime | None  # the camera's local time
    switches: dict[str, bool] | None
    position: tuple[int, int] | None  # pan and tilt


def read_stamp(text: str) -> Stamp:
    text = text[:_LONGEST]
    moment, switches, position = (pattern.search(text) for pattern in (_MOMENT, _SWITCHES, _POSITION))
    left, right = (switches[1][:4], switches[1][:3:-1]) if switches else ("", "")
    bits = left if "1" in left and "1" not in right else right
    return Stamp(
        at=_read_moment(moment[0]) if moment else None,
        switches={name: bits[place] == "1" for place, name in enumerate(SWITCHES)} if bits else None,
        position=(int(position[1]), int(position[2])) if position else None,
    )


def _read_moment(text: str) -> datetime | None:
    text = re.sub(" +", " ", text)
    for form in _FORMS:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None
