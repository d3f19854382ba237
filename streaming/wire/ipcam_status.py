"""What the picture server of IPCamCGI cameras writes beside each picture (IPCamCGI 4.1.2) → the camera's state.

    Date: 2026-11-20 12:00:00 IO_00000101_PT_170_067
          when                inputs and   pan, tilt
                              uploads

The eight digits are bits, the rightmost the first: trigger 1, trigger 2, an image being uploaded, one being mailed, and
four that are reserved. (The document counts from the left, its own web page from the right; the page is in use.)

Tolerated: the date as newer firmware writes it (11-20-2026 12:00:00 PM); one that makes no sense, which is none;
anything around the state. A header without a state is None, not an error: cameras differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

_STATE = re.compile(r"IO_([01]{8})_PT_(\d{3})_(\d{3})")
_DATES = (
    (re.compile(r"\d{4}-\d{1,2}-\d{1,2} +\d{1,2}:\d{2}:\d{2}", re.ASCII), "%Y-%m-%d %H:%M:%S"),
    (re.compile(r"\d{1,2}-\d{1,2}-\d{4} +\d{1,2}:\d{2}:\d{2} *[AaPp][Mm]", re.ASCII), "%m-%d-%Y %I:%M:%S %p"),
)
MAX_HEADER = 200


@dataclass(frozen=True, slots=True)
class Status:
    time: datetime | None  # by the camera's own clock, of a time zone it does not tell
    trigger1: bool
    trigger2: bool
    uploading: bool
    mailing: bool
    pan: int  # 0 … 340
    tilt: int  # 0 … 135


def parse(header: str) -> Status | None:
    """The value of a part's Date header."""
    header = header[:MAX_HEADER]
    found = _STATE.search(header)
    if found is None:
        return None
    bits = int(found[1], 2)
    return Status(
        time=_time(header[: found.start()]),
        trigger1=bool(bits & 1),
        trigger2=bool(bits & 2),
        uploading=bool(bits & 4),
        mailing=bool(bits & 8),
        pan=int(found[2]),
        tilt=int(found[3]),
    )


def _time(text: str) -> datetime | None:
    for pattern, form in _DATES:
        found = pattern.search(text)
        if found:
            try:
                return datetime.strptime(" ".join(found[0].split()), form)
            except ValueError:
                return None
    return None
