"""The live socket: who may, which stream, forward. Everything else is the relay's.

    /ws/live/<camera>/?stream=auto|<id>&audio=0|1&codecs=avc1,hvc1

Messages are those of the product's contract. Close codes: 4400 a value in the address or a message makes no sense,
4409 the device refuses, 4422 this device cannot; those of every guarded socket besides.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from django.db import models

from accounts.policy import Action
from accounts.sockets import TRY_AGAIN, GuardedConsumer, SocketRefused
from devices.errors import DeviceError
from devices.families import driver_for
from devices.families.base import Stream
from devices.models import Camera
from streaming import connection
from streaming.relay import Dropped, Ended, Fragment, Init, Item, Viewer, relays
from streaming.sources import SourceRefused
from streaming.sources.open import can_be_relayed, device_source

BAD_REQUEST = 4400
DEVICE_REFUSES = 4409
NOT_SUPPORTED = 4422

LONGEST_MESSAGE = 1000
CLOSING_DEADLINE = 2.0
# What a browser calls the codecs that devices send.
BROWSER_NAMES = {"h264": "avc1"}


@dataclass(frozen=True)
class Wanted:
    """What the address asks for."""

    stream: str = "auto"
    codecs: frozenset[str] = frozenset({"avc1"})

    @classmethod
    def of(cls, query: bytes) -> Wanted:
        try:
            given = parse_qs(
                query.decode("ascii"), keep_blank_values=True, strict_parsing=bool(query), max_num_fields=8
            )
        except ValueError:
            raise SocketRefused(BAD_REQUEST, "The address of this socket cannot be read.") from None
        for name, values in given.items():
            if name not in ("stream", "audio", "codecs"):
                raise SocketRefused(BAD_REQUEST, f"There is no parameter {name[:20]}; use stream, audio and codecs.")
            if len(values) > 1:
                raise SocketRefused(BAD_REQUEST, f"The parameter {name} is given twice.")
        stream = given.get("stream", ["auto"])[0]
        if not re.fullmatch(r"[a-z0-9_-]{1,32}", stream):
            raise SocketRefused(BAD_REQUEST, "stream is auto or the id of one of the camera's streams.")
        if given.get("audio", ["0"])[0] not in ("0", "1"):
            raise SocketRefused(BAD_REQUEST, "audio is 0 or 1.")
        codecs = given.get("codecs", ["avc1"])[0]
        if not re.fullmatch(r"[a-z0-9.,-]{1,200}", codecs):
            raise SocketRefused(BAD_REQUEST, "codecs is a list such as avc1,hvc1 of what this browser can play.")
        return cls(stream, frozenset(codecs.split(",")))


NOT_RELAYED = "Live pictures of this device's family are not shown yet; its state and settings are."


def choose(streams: list[Stream], wanted: Wanted) -> Stream:
    """The stream to show: the one asked for, or the largest that this browser can play."""
    if wanted.stream != "auto":
        streams = [each for each in streams if each.id == wanted.stream]
    if not streams:
        named = "a live stream" if wanted.stream == "auto" else f"a stream {wanted.stream}"
        raise SocketRefused(NOT_SUPPORTED, f"This camera does not offer {named}.")
    if not any(can_be_relayed(each) for each in streams):
        raise SocketRefused(NOT_SUPPORTED, NOT_RELAYED)
    streams = [each for each in streams if can_be_relayed(each)]
    playable = [each for each in streams if BROWSER_NAMES.get(each.codec) in wanted.codecs]
    if not playable:
        raise SocketRefused(NOT_SUPPORTED, f"This browser cannot play {streams[0].codec}, which this camera sends.")
    return playable[0]


class LiveConsumer(GuardedConsumer):
    policy = Action.WATCH

    _forwarding: asyncio.Task[None] | None = None
    _viewer: Viewer | None = None

    def find_thing(self) -> models.Model:
        return Camera.objects.select_related("device").visible_to(self.user).get(pk=self.kwargs["camera"])

    async def enter(self) -> None:
        wanted = Wanted.of(self.scope["query_string"])
        camera = self.thing
        assert isinstance(camera, Camera)
        try:
            stream = choose(driver_for(camera.device).streams(camera), wanted)
        except DeviceError as error:
            raise SocketRefused(NOT_SUPPORTED, str(error)) from error
        await self.accept()
        connection.keep_short(self.base_send)
        self._forwarding = asyncio.create_task(self._forward(camera, stream), name=f"live {camera.pk} {stream.id}")

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        message: Any = None
        if text_data is not None and len(text_data) <= LONGEST_MESSAGE:
            with contextlib.suppress(ValueError):
                message = json.loads(text_data)
        kind = message.get("type") if isinstance(message, dict) else None
        if kind not in ("pause", "resume"):
            raise SocketRefused(BAD_REQUEST, 'Send {"type": "pause"} or {"type": "resume"}.')
        if self._viewer is not None:
            self._viewer.pause() if kind == "pause" else self._viewer.resume()

    async def refuse(self, code: int, sentence: str) -> None:
        await self._stop_forwarding()
        try:
            async with asyncio.timeout(CLOSING_DEADLINE):
                await super().refuse(code, sentence)
        except TimeoutError:
            connection.drop(self.base_send)

    async def leave(self) -> None:
        await self._stop_forwarding()

    async def _stop_forwarding(self) -> None:
        task = self._forwarding
        if task is not None and task is not asyncio.current_task() and not task.done():
            task.cancel()
            await asyncio.wait([task])

    async def _forward(self, camera: Camera, stream: Stream) -> None:
        send = self.base_send
        source = device_source(camera.pk, stream.id)
        try:
            with relays.watch(camera.pk, stream.id, source, self._drop) as viewer:
                self._viewer = viewer
                while True:
                    item = await viewer.next()
                    if type(item) is Fragment:
                        await send({"type": "websocket.send", "bytes": item.data})
                    else:
                        await self._tell(item, stream)
        except SourceRefused as refusal:
            await self.refuse(DEVICE_REFUSES if refusal.supported else NOT_SUPPORTED, str(refusal))
        except Ended as ended:
            await self.refuse(TRY_AGAIN, str(ended))
        except OSError:
            pass  # the viewer is gone; its disconnect message says so too

    async def _tell(self, item: Item, stream: Stream) -> None:
        if isinstance(item, Init):
            await self._tell_text(
                type="init",
                mime=item.mime,
                stream=stream.id,
                transcoded=False,
                width=item.track.width,
                height=item.track.height,
            )
            await self.base_send({"type": "websocket.send", "bytes": item.segment})
        elif isinstance(item, Dropped):
            await self._tell_text(type="dropped", frames=item.frames)
        elif not isinstance(item, Fragment):
            await self._tell_text(type="status", state=item.state, detail=item.detail)

    async def _tell_text(self, **message: object) -> None:
        await self.base_send({"type": "websocket.send", "text": json.dumps(message)})

    def _drop(self) -> None:
        """The relay has ended this viewer while it is stuck in sending."""
        if self._forwarding is not None:
            self._forwarding.cancel()
        connection.drop(self.base_send)
