"""What was seen of a camera's streams, where its device does not tell it (`Camera.learned`)."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from devices.families import driver_for
from devices.families.base import Stream
from devices.models import Camera


def learned(camera: Camera, stream: Stream) -> dict[str, Any]:
    """What is remembered of a stream and still holds."""
    seen: dict[str, Any] = camera.learned.get(stream.id) or {}
    return seen if time.time() < seen.get("until", float("inf")) else {}


def known_streams(camera: Camera) -> list[Stream]:
    """The streams that its driver describes, with what was learned of them: the way in which one came last, if that is
    one of its ways still, and what it was like."""
    driver = driver_for(camera.device)

    def known(stream: Stream) -> Stream:
        seen = learned(camera, stream)
        ways = [each.transport for each in driver.candidates(stream)]
        return replace(
            stream,
            codec=stream.codec or seen.get("codec", ""),
            width=stream.width or seen.get("width"),
            height=stream.height or seen.get("height"),
            transport=seen["transport"] if seen.get("transport") in ways else stream.transport,
        )

    return [known(each) for each in driver.streams(camera)]
