"""Opens what a device's driver describes, in the first way that brings pictures, and closes it in the documented order
whatever happens.

Some devices do not tell what a camera sends, and some lines let nothing through that was not asked for; both show as
silence. So a driver names candidates, and each of them gets some seconds for its first picture. What worked is
remembered with the camera and tried first the next time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from asgiref.sync import sync_to_async

from devices.errors import DeviceError, NotSupported, Refused, Unauthorised
from devices.families import driver_for
from devices.families.base import Stream
from devices.models import Camera
from streaming.media import AccessUnit, Unit
from streaming.sound import InAac
from streaming.sources import Opener, Source, SourceFailed, SourceRefused, Upstream
from streaming.sources.http_parts import open_pictures_over_http, open_rtp_over_http
from streaming.sources.rtp_udp import open_rtp
from streaming.sources.stills import open_stills

logger = logging.getLogger(__name__)

FIRST_PICTURE_SECONDS = 8.0  # a recorder may have to wait for its camera's next key picture

# By the way in which a stream arrives.
_OPENERS: dict[str, Opener] = {
    "rtp": open_rtp,
    "http": open_rtp_over_http,
    "mjpeg": open_pictures_over_http,
    "stills": open_stills,
}


# --- What there is ----------------------------------------------------------------------------------------------------
def streams_of(camera: Camera) -> list[Stream]:
    """The streams that can be watched, with what was learned of them where the device does not tell."""
    driver = driver_for(camera.device)
    streams = [_known(camera, each) for each in driver.streams(camera) if each.transport in _OPENERS]
    fixed = driver.option("transport")
    return [each for each in streams if each.transport == fixed] or streams


def _known(camera: Camera, stream: Stream) -> Stream:
    learned = camera.learned.get(stream.id) or {}
    return replace(
        stream,
        codec=stream.codec or learned.get("codec", ""),
        width=stream.width or learned.get("width"),
        height=stream.height or learned.get("height"),
    )


# --- Opening ----------------------------------------------------------------------------------------------------------
def device_source(camera_id: int, stream_id: str) -> Source:
    """The source of a camera's stream. Each opening reads the device's row anew: it may have been corrected."""

    @asynccontextmanager
    async def open_source(on_unit: Callable[[Unit], None]) -> AsyncIterator[Upstream]:
        camera = await _camera(camera_id)
        try:
            stream = next((each for each in streams_of(camera) if each.id == stream_id), None)
            if stream is None:
                raise NotSupported(f"{camera.device} offers no stream {stream_id} now.")
            async with _first_that_works(camera, stream, InAac(on_unit).take) as upstream:
                yield upstream
        except (Refused, Unauthorised) as error:
            raise SourceRefused(str(error)) from error
        except NotSupported as error:
            raise SourceRefused(str(error), supported=False) from error
        except DeviceError as error:
            raise SourceFailed(str(error)) from error

    return open_source


async def _camera(camera_id: int) -> Camera:
    camera = await Camera.objects.select_related("device").filter(pk=camera_id).afirst()
    if camera is None:
        raise SourceRefused("This camera has been removed.")
    if not camera.device.enabled:
        raise SourceRefused(f"{camera.device} is switched off in this system. An administrator can enable it.")
    return camera


def candidates(camera: Camera, stream: Stream) -> list[Stream]:
    """What to try in turn, what worked last first."""
    learned = camera.learned.get(stream.id) or {}
    # Also a codec that was learned may have changed since, so all are candidates again.
    described = next(each for each in driver_for(camera.device).streams(camera) if each.id == stream.id)
    found = driver_for(camera.device).candidates(described)

    def worth(each: Stream) -> tuple[bool, bool]:
        return each.transport != learned.get("transport"), each.codec != learned.get("codec")

    return sorted(found, key=worth) if learned else found


@asynccontextmanager
async def _first_that_works(camera: Camera, stream: Stream, on_unit: Callable[[Unit], None]) -> AsyncIterator[Upstream]:
    """Open one candidate after the other until a picture is there."""
    problem: DeviceError | SourceFailed | None = None
    for candidate in candidates(camera, stream):
        picture: asyncio.Future[AccessUnit] = asyncio.get_running_loop().create_future()

        def watched(unit: Unit, picture: asyncio.Future[AccessUnit] = picture) -> None:
            if not picture.done() and isinstance(unit, AccessUnit):
                picture.set_result(unit)
            on_unit(unit)

        async with AsyncExitStack() as stack:
            try:
                opener = _OPENERS[candidate.transport]
                upstream = await stack.enter_async_context(opener(camera, candidate, watched))
            except (NotSupported, SourceFailed) as error:
                problem = problem or error
                continue
            if not await _within(FIRST_PICTURE_SECONDS, picture, upstream):
                reason = upstream.lost_reason or f"no picture came within {FIRST_PICTURE_SECONDS:.0f} s"
                logger.info("%s: %s over %s: %s", camera, candidate.codec, candidate.transport, reason)
                continue
            await sync_to_async(_remember)(camera, candidate, picture.result())
            yield upstream
            return
    if problem is not None:
        raise problem
    raise SourceFailed(
        f"{camera} was asked for pictures and sent none. Check its transmission settings, and that its packets may "
        "reach this system; the device's option transport fixes another way."
    )


async def _within(seconds: float, picture: asyncio.Future[AccessUnit], upstream: Upstream) -> bool:
    lost = asyncio.ensure_future(upstream.lost.wait())
    try:
        await asyncio.wait((picture, lost), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        lost.cancel()
    return picture.done()


def _remember(camera: Camera, candidate: Stream, picture: AccessUnit) -> None:
    track = picture.track
    seen = {
        "codec": track.kind if track.kind != "jpeg" else "mjpeg",
        "width": track.width,
        "height": track.height,
        "transport": candidate.transport,
    }
    if camera.learned.get(candidate.id) != seen:
        camera.learned = {**camera.learned, candidate.id: seen}
        Camera.objects.filter(pk=camera.pk).update(learned=camera.learned)
