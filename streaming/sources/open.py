"""Opens what a device's driver describes, and closes it in the documented order whatever happens.

RTP over UDP (POVCAM 2.8): our port first, so that no packet meets a closed one; then the device's session (UID, start);
pictures; then stop and give the UID back, which the session does as it is left; the port last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from devices.errors import DeviceError, NotSupported, Refused, Unauthorised
from devices.families import driver_for
from devices.families.base import RtpSession, Stream
from devices.gateway import Gateway
from devices.models import Camera
from streaming.media import Unit
from streaming.sources import Source, SourceFailed, SourceRefused, Upstream, ports
from streaming.sources.rtp_udp import RtpReceiver, addresses_of

NOT_RELAYED = "Live pictures of this device's family are not shown yet; its state and settings are."
# Codec and way of arriving of what can be opened here.
_OPENED = frozenset({("h264", "rtp")})


def streams_of(camera: Camera) -> list[Stream]:
    """The streams that can be watched; a driver may describe more than are relayed so far."""
    offered = driver_for(camera.device).streams(camera)
    streams = [each for each in offered if (each.codec, each.transport) in _OPENED]
    if offered and not streams:
        raise NotSupported(NOT_RELAYED)
    return streams


# POVCAM 15.1: fixed. The only devices so far whose RTP is not described by an SDP.
H264_PAYLOAD_TYPE = 98


class RtpUpstream:
    def __init__(self, session: RtpSession, receiver: RtpReceiver) -> None:
        self._session = session
        self._receiver = receiver

    @property
    def lost(self) -> asyncio.Event:
        return self._session.lost

    @property
    def lost_reason(self) -> str:
        return self._session.lost_reason

    def want_sound(self, wanted: bool) -> None:
        pass

    def figures(self) -> dict[str, int]:
        return self._receiver.figures()


def device_source(camera_id: int, stream_id: str) -> Source:
    """The source of a camera's stream. Each opening reads the device's row anew: it may have been corrected."""

    @asynccontextmanager
    async def open_source(on_unit: Callable[[Unit], None]) -> AsyncIterator[Upstream]:
        camera = await _camera(camera_id)
        try:
            driver = driver_for(camera.device)
            stream = next((each for each in driver.streams(camera) if each.id == stream_id), None)
            if stream is None:
                raise NotSupported(f"{camera.device} offers no stream {stream_id} now.")
            async with _open_rtp(camera, stream, on_unit) as upstream:
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


@asynccontextmanager
async def _open_rtp(camera: Camera, stream: Stream, on_unit: Callable[[Unit], None]) -> AsyncIterator[RtpUpstream]:
    senders = await addresses_of(camera.device.host)
    with ports.open_port() as port:
        receiver = RtpReceiver(port, senders, H264_PAYLOAD_TYPE, on_unit)
        try:
            session = driver_for(camera.device).rtp_session(Gateway(camera.device), stream, port=port.getsockname()[1])
            async with session as open_session:
                yield RtpUpstream(open_session, receiver)
        finally:
            receiver.close()
