"""Opens what a device's driver describes, in the first way that brings pictures, and closes it in the documented order
whatever happens.

Some devices do not tell what a camera sends, and some lines let nothing through that was not asked for; both show as
silence. So a driver names candidates, and each of them gets some seconds for its first picture. What worked is
remembered with the camera and tried first the next time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from asgiref.sync import sync_to_async

from devices.errors import DeviceError, NotSupported, Refused, Unauthorised
from devices.families import driver_for
from devices.families.base import Driver, Stream
from devices.models import Camera
from streaming.media import AccessUnit, Unit
from streaming.sound import InAac
from streaming.sources import Opener, Remarked, Source, SourceFailed, SourceRefused, Upstream
from streaming.sources.http_parts import open_pictures_over_http, open_rtp_over_http
from streaming.sources.rtp_udp import open_rtp
from streaming.sources.rtsp import open_rtsp
from streaming.sources.stills import open_stills

logger = logging.getLogger(__name__)

FIRST_PICTURE_SECONDS = 8.0  # a recorder may have to wait for its camera's next key picture

# By the way in which a stream arrives.
_OPENERS: dict[str, Opener] = {
    "rtp": open_rtp,
    "rtp-multicast": open_rtp,
    "rtsp-tcp": open_rtsp,
    "rtsp-udp": open_rtsp,
    "rtsp-multicast": open_rtsp,
    "http": open_rtp_over_http,
    "mjpeg": open_pictures_over_http,
    "stills": open_stills,
}


_BY_UDP = frozenset({"rtp", "rtp-multicast", "rtsp-udp", "rtsp-multicast"})


# --- What there is ----------------------------------------------------------------------------------------------------
def streams_of(camera: Camera) -> list[Stream]:
    """The streams that can be watched, with what was learned of them where the device does not tell."""
    driver = driver_for(camera.device)
    streams = [_known(camera, each, driver) for each in driver.streams(camera) if each.transport in _OPENERS]
    fixed = driver.option("transport")
    return [each for each in streams if each.transport == fixed] or streams


def _known(camera: Camera, stream: Stream, driver: Driver) -> Stream:
    learned = camera.learned.get(stream.id) or {}
    ways = [each.transport for each in driver.candidates(stream)]
    return replace(
        stream,
        codec=stream.codec or learned.get("codec", ""),
        width=stream.width or learned.get("width"),
        height=stream.height or learned.get("height"),
        transport=learned["transport"] if learned.get("transport") in ways else stream.transport,
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


def candidates(camera: Camera, stream: Stream, usual: str = "") -> list[Stream]:
    """What to try in turn, what worked last first; of a camera that was never seen, the codec that is usual there."""
    learned = camera.learned.get(stream.id) or {}
    # Also a codec that was learned may have changed since, so all are candidates again.
    found = driver_for(camera.device).candidates(_described(camera, stream))

    def worth(each: Stream) -> tuple[bool, bool]:
        return each.transport != learned.get("transport"), each.codec != learned.get("codec")

    if learned:
        return sorted(found, key=worth)
    # Within each way only: the ways stay in the order in which they are good.
    ways = [each.transport for each in found]
    return sorted(found, key=lambda each: (ways.index(each.transport), usual != "" and each.codec != usual))


async def _usual_codec(camera: Camera, stream: Stream) -> str:
    """What most other cameras of its device send: guessing wrong costs FIRST_PICTURE_SECONDS. "" when none is known."""
    others = Camera.objects.filter(device=camera.device_id).values_list("learned", flat=True)
    known = Counter([seen["codec"] async for each in others if (seen := each.get(stream.id))])
    return known.most_common(1)[0][0] if known else ""


def _described(camera: Camera, stream: Stream) -> Stream:
    """As the driver has it, without what was learned."""
    return next(each for each in driver_for(camera.device).streams(camera) if each.id == stream.id)


@asynccontextmanager
async def _first_that_works(camera: Camera, stream: Stream, on_unit: Callable[[Unit], None]) -> AsyncIterator[Upstream]:
    """Open one candidate after the other until a picture is there."""
    problem: DeviceError | SourceFailed | None = None
    described = _described(camera, stream)
    silent = False  # what was sent to us by UDP did not come
    guessing = not (described.codec or camera.learned.get(stream.id))
    usual = await _usual_codec(camera, described) if guessing else ""
    for candidate in candidates(camera, stream, usual):
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
                silent = silent or candidate.transport in _BY_UDP
                continue
            if not _is_lesser(candidate, described):  # else the better ways are tried again the next time
                await sync_to_async(_remember)(camera, candidate, picture.result())
            yield Remarked(upstream, remark) if (remark := _remark(candidate, described, silent)) else upstream
            return
    if problem is not None:
        raise problem
    raise SourceFailed(
        f"{camera} was asked for pictures and sent none. Check its transmission settings, and that its packets may "
        "reach this system; the device's option transport fixes another way."
    )


def _is_lesser(candidate: Stream, described: Stream) -> bool:
    return candidate.codec == "mjpeg" and described.codec not in ("", "mjpeg")


def _remark(candidate: Stream, described: Stream, silent: bool) -> str:
    """What viewers should know of how the pictures come. What is as good as it can be is told once, when it is found
    out."""
    if _is_lesser(candidate, described):
        return (
            "Only motion JPEG gets through to this system, which is smaller. Let this system receive UDP at its "
            "RTP_PORTS, or reach the device's RTSP port."
        )
    if silent and candidate.transport not in _BY_UDP:
        way = "HTTP" if candidate.transport == "http" else "TCP"
        return (
            f"Pictures come over {way}, since those sent by UDP do not get through to this system. Let it receive UDP "
            "at its RTP_PORTS, or fix the device's option transport."
        )
    return ""


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
