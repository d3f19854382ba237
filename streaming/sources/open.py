"""Opens what a device's driver describes, in the first way that brings pictures, and closes it in the documented order
whatever happens.

Some devices do not tell what a camera sends, and some lines let nothing through that was not asked for; both show as
silence. So a driver names candidates, which are tried in turn. A device that sends begins at once, so that the first
packet tells: who brings none is passed over soon, and waited for longer only when nobody brings any. What worked is
remembered with the camera and tried first the next time; of a camera that was never seen, what worked with the others
of its device. Motion JPEG in place of something better is remembered for LESSER_SECONDS only.

Never are two candidates open at once: a recorder gives each camera once on a UID, and others have few places.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from asgiref.sync import sync_to_async
from django.db import transaction

from devices.errors import Busy, DeviceError, NotSupported, Refused, SessionGone, Unauthorised
from devices.families import driver_for
from devices.families.base import Stream
from devices.gateway import Gateway
from devices.learned import known_streams, learned
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
# Within this something comes at all. A recorder that is told to start and stop one camera more than eight times in 10 s
# takes it amiss; four candidates in turn stay below that.
FIRST_PACKET_SECONDS = 2.5
KNOCK_SECONDS = 1.0
LESSER_SECONDS = 600.0  # how long the lesser way is gone at once, until the better ones are tried again

# By the way in which a stream arrives.
_OPENERS: dict[str, Opener] = {
    "rtp": open_rtp,
    "rtp-multicast": open_rtp,
    "rtsp-tcp": open_rtsp,
    "rtsp-udp": open_rtsp,
    "rtsp-multicast": open_rtsp,
    "http": open_rtp_over_http,
    "mjpeg": open_pictures_over_http,
    "jpeg": open_pictures_over_http,
    "stills": open_stills,
    "camera": open_stills,
    "loginfree": open_stills,
}


_BY_UDP = frozenset({"rtp", "rtp-multicast", "rtsp-udp", "rtsp-multicast"})


# --- What there is ----------------------------------------------------------------------------------------------------
def streams_of(camera: Camera) -> list[Stream]:
    """The streams that can be watched, with what was learned of them where the device does not tell."""
    streams = [each for each in known_streams(camera) if each.transport in _OPENERS]
    fixed = driver_for(camera.device).option("transport")
    return [each for each in streams if each.transport == fixed] or streams


# --- Opening ----------------------------------------------------------------------------------------------------------
class DeviceSource:
    """The source of a camera's stream. Each opening reads the device's row anew: it may have been corrected."""

    def __init__(self, camera_id: int, stream_id: str) -> None:
        self._camera_id = camera_id
        self._stream_id = stream_id

    @asynccontextmanager
    async def __call__(self, on_unit: Callable[[Unit], None]) -> AsyncIterator[Upstream]:
        camera = await _camera(self._camera_id)
        try:
            stream = next((each for each in streams_of(camera) if each.id == self._stream_id), None)
            if stream is None:
                raise NotSupported(f"{camera.device} offers no stream {self._stream_id} now.")
            async with _first_that_works(camera, stream, InAac(on_unit).take) as upstream:
                yield upstream
        except SessionGone as error:
            raise SourceFailed(str(error)) from error
        except (Refused, Unauthorised) as error:
            raise SourceRefused(str(error)) from error
        except NotSupported as error:
            raise SourceRefused(str(error), supported=False) from error
        except DeviceError as error:
            raise SourceFailed(str(error)) from error

    async def knock(self) -> bool:
        """Whether the device can be reached: a connection and nothing more."""
        camera = await Camera.objects.select_related("device").filter(pk=self._camera_id).afirst()
        if camera is None:
            return True  # so that opening says what is the matter
        try:
            async with asyncio.timeout(KNOCK_SECONDS):
                _, writer = await asyncio.open_connection(camera.device.host, camera.device.port)
        except (OSError, TimeoutError):
            return False
        writer.transport.abort()
        return True


def device_source(camera_id: int, stream_id: str) -> Source:
    return DeviceSource(camera_id, stream_id)


async def _camera(camera_id: int) -> Camera:
    camera = await Camera.objects.select_related("device").filter(pk=camera_id).afirst()
    if camera is None:
        raise SourceRefused("This camera has been removed.")
    if not camera.device.enabled:
        raise SourceRefused(f"{camera.device} is switched off in this system. An administrator can enable it.")
    return camera


def candidates(camera: Camera, stream: Stream, usual: Mapping[str, Any] | None = None) -> list[Stream]:
    """What to try in turn: first what worked last, or of a camera that was never seen, what is usual there."""
    known = learned(camera, stream) or usual or {}
    # Also a codec that was learned may have changed since, so all are candidates again.
    found = driver_for(camera.device).candidates(_described(camera, stream))

    def worth(each: Stream) -> tuple[bool, bool]:
        return each.transport != known.get("transport"), each.codec != known.get("codec")

    return sorted(found, key=worth) if known else found


async def _usual(camera: Camera, stream: Stream) -> dict[str, Any]:
    """How most other cameras of its device send: guessing wrong costs seconds. Nothing when no other is known."""
    others = Camera.objects.filter(device=camera.device_id).values_list("learned", flat=True)
    seen = [known async for each in others if (known := each.get(stream.id)) and "until" not in known]
    if not seen:
        return {}
    (transport, codec), _ = Counter((each.get("transport"), each.get("codec")) for each in seen).most_common(1)[0]
    return {"transport": transport, "codec": codec}


def _described(camera: Camera, stream: Stream) -> Stream:
    """As the driver has it, without what was learned."""
    return next(each for each in driver_for(camera.device).streams(camera) if each.id == stream.id)


async def _attempts(camera: Camera, described: Stream) -> list[tuple[Stream, float]]:
    """The candidates in turn, each with the seconds that it gets for its first packet. All are waited for longer once;
    what worked before, first."""
    known = bool(learned(camera, described))
    guessing = not (known or described.codec)
    found = candidates(camera, described, await _usual(camera, described) if guessing else None)
    first = 1 if known or len(found) == 1 else 0
    patient = [(each, FIRST_PICTURE_SECONDS) for each in found]
    return [*patient[:first], *((each, FIRST_PACKET_SECONDS) for each in found[first:]), *patient[first:]]


@asynccontextmanager
async def _first_that_works(camera: Camera, stream: Stream, on_unit: Callable[[Unit], None]) -> AsyncIterator[Upstream]:
    """Open one candidate after the other until a picture is there."""
    problem: DeviceError | SourceFailed | None = None
    described = _described(camera, stream)
    silent: set[str] = set()  # the ways in which nothing came
    refused: list[Stream] = []  # they said so, and need not be asked again
    attempts = await _attempts(camera, described)
    async with AsyncExitStack() as trying:
        for candidate, first_packet in attempts:
            if candidate in refused:
                continue
            picture: asyncio.Future[AccessUnit] = asyncio.get_running_loop().create_future()

            def watched(unit: Unit, picture: asyncio.Future[AccessUnit] = picture) -> None:
                if not picture.done() and isinstance(unit, AccessUnit):
                    picture.set_result(unit)
                on_unit(unit)

            async with AsyncExitStack() as stack:
                try:
                    opener = _OPENERS[candidate.transport]
                    upstream = await stack.enter_async_context(opener(camera, candidate, watched))
                except (NotSupported, SourceFailed, Refused, Busy) as error:
                    if not _has_other_ways(candidate, error):
                        raise
                    logger.info("%s: not over %s: %s", camera, candidate.transport, error)
                    problem = problem or error
                    refused.append(candidate)
                    continue
                if not await _brings_a_picture(upstream, picture, first_packet):
                    reason = upstream.lost_reason or f"nothing came within {first_packet:.1f} s"
                    logger.info("%s: %s over %s: %s", camera, candidate.codec, candidate.transport, reason)
                    if not silent:
                        await trying.enter_async_context(driver_for(camera.device).trying(Gateway(camera.device)))
                    silent.add(candidate.transport)
                    continue
                lesser = _is_lesser(candidate, described)
                await sync_to_async(_remember)(camera, candidate, picture.result(), lesser=lesser)
                await trying.aclose()
                remark = _remark(candidate, described, udp_is_silent=bool(silent & _BY_UDP))
                yield Remarked(upstream, remark) if remark else upstream
                return
    if problem is not None:
        # A no of one way is none for all of them, where another one was only silent.
        raise SourceFailed(str(problem)) if silent else problem
    raise SourceFailed(
        f"{camera} was asked for pictures and sent none. Check its transmission settings, and that its packets may "
        "reach this system; the device's option transport fixes another way."
    )


def _has_other_ways(candidate: Stream, error: DeviceError | SourceFailed) -> bool:
    """Whether what was refused in one way may be had in another one. An RTSP server has users, places and modes of its
    own; what a device refuses by CGI it refuses."""
    return isinstance(error, NotSupported | SourceFailed) or (
        candidate.transport.startswith("rtsp") and type(error) in (Refused, Busy)
    )


def _is_lesser(candidate: Stream, described: Stream) -> bool:
    return candidate.codec == "mjpeg" and described.codec not in ("", "mjpeg")


def _remark(candidate: Stream, described: Stream, *, udp_is_silent: bool) -> str:
    """What viewers should know of how the pictures come. What is as good as it can be is told once, when it is found
    out."""
    if _is_lesser(candidate, described):
        return (
            "Only motion JPEG gets through to this system, which is smaller. Let this system receive UDP at its "
            "RTP_PORTS, or reach the device's RTSP port."
        )
    if udp_is_silent and candidate.transport not in _BY_UDP:
        way = "HTTP" if candidate.transport == "http" else "TCP"
        return (
            f"Pictures come over {way}, since those sent by UDP do not get through to this system. Let it receive UDP "
            "at its RTP_PORTS, or fix the device's option transport."
        )
    return ""


async def _brings_a_picture(upstream: Upstream, picture: asyncio.Future[AccessUnit], first_packet: float) -> bool:
    lost = asyncio.ensure_future(upstream.lost.wait())
    try:
        await asyncio.wait((picture, lost), timeout=first_packet, return_when=asyncio.FIRST_COMPLETED)
        if not (picture.done() or lost.done()) and upstream.figures().get("packets"):
            rest = max(0.0, FIRST_PICTURE_SECONDS - first_packet)
            await asyncio.wait((picture, lost), timeout=rest, return_when=asyncio.FIRST_COMPLETED)
    finally:
        lost.cancel()
    return picture.done()


def _remember(camera: Camera, candidate: Stream, picture: AccessUnit, *, lesser: bool) -> None:
    track = picture.track
    seen: dict[str, Any] = {
        "codec": track.kind if track.kind != "jpeg" else "mjpeg",
        "width": track.width,
        "height": track.height,
        "transport": candidate.transport,
    }
    known = learned(camera, candidate)
    if lesser and "until" in known:
        return  # the better ways are tried again in time
    if lesser:
        seen["until"] = time.time() + LESSER_SECONDS
    if known == seen:
        return
    with transaction.atomic():  # its other streams are remembered in the same row
        row = Camera.objects.select_for_update().filter(pk=camera.pk).first()
        if row is not None:
            row.learned = {**row.learned, candidate.id: seen}
            row.save(update_fields=["learned"])
