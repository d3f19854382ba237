"""The live socket: who may, which stream, forward. Everything else is the relay's.

    /ws/live/<camera>/?stream=auto|<id>&audio=0|1&codecs=avc1,hvc1&quality=low|auto|high&width=<pixels>

A client may send   {"type": "pause"}, {"type": "resume"}
                    {"type": "show", "stream": …, "quality": …, "width": …}   any of them; goes over at a key picture
                    {"type": "sound", "on": true}

Messages to it are those of the product's contract. Close codes: 4400 a value in the address or a message makes no
sense, 4409 the device refuses, 4422 this device cannot; those of every guarded socket besides.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from functools import partial
from typing import Any

from django.db import models

from accounts.policy import Action
from accounts.sockets import OUR_FAULT, TRY_AGAIN, GuardedConsumer, SocketRefused
from devices.errors import DeviceError
from devices.models import Camera
from streaming import connection
from streaming.choice import BadRequest, Choice, NotOffered, Rendition, Wanted, choose
from streaming.following import follow
from streaming.ownership import carrier_of
from streaming.ring import Fragment
from streaming.sources import Source, SourceRefused
from streaming.sources.open import device_source, streams_of
from streaming.transcode import Converted, TooMuch
from streaming.viewer import Dropped, Ended, Init, Item, State
from streaming.watching import Watching

log = logging.getLogger(__name__)

BAD_REQUEST = 4400
DEVICE_REFUSES = 4409
NOT_SUPPORTED = 4422

LONGEST_MESSAGE = 1000
CLOSING_DEADLINE = 2.0


class LiveConsumer(GuardedConsumer):
    policy = Action.WATCH

    _forwarding: asyncio.Task[None] | None = None
    _watching: Watching | None = None
    _wanted = Wanted()

    def find_thing(self) -> models.Model:
        return Camera.objects.select_related("device").visible_to(self.user).get(pk=self.kwargs["camera"])

    async def enter(self) -> None:
        camera = self.thing
        assert isinstance(camera, Camera)
        try:
            self._wanted = Wanted.of_query(self.scope["query_string"])
            choice = choose(streams_of(camera), self._wanted)
        except BadRequest as error:
            raise SocketRefused(BAD_REQUEST, str(error)) from error
        except (NotOffered, DeviceError) as error:
            raise SocketRefused(NOT_SUPPORTED, str(error)) from error
        await self.accept()
        connection.keep_short(self.base_send)
        self._forwarding = asyncio.create_task(self._forward(camera, choice), name=f"live {camera.pk} {choice.name}")

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        message: Any = None
        if text_data is not None and len(text_data) <= LONGEST_MESSAGE:
            with contextlib.suppress(ValueError):
                message = json.loads(text_data)
        kind = message.pop("type", None) if isinstance(message, dict) else None
        if kind not in ("pause", "resume", "show", "sound"):
            raise SocketRefused(BAD_REQUEST, 'Send {"type": "pause"}, "resume", "show" or "sound", as documented.')
        if (watching := self._watching) is None:
            return  # it has just ended, and is being closed
        if kind == "pause":
            watching.pause()
        elif kind == "resume":
            watching.resume()
        elif kind == "show":
            self._show(watching, message)
        elif isinstance(message.get("on"), bool):
            watching.hear(message["on"])
        else:
            raise SocketRefused(BAD_REQUEST, 'Say {"type": "sound", "on": true} or false.')

    def _show(self, watching: Watching, changes: dict[str, Any]) -> None:
        camera = self.thing
        assert isinstance(camera, Camera)
        try:
            wanted = self._wanted.changed(changes)
            choice = choose(streams_of(camera), wanted)
        except (BadRequest, NotOffered, DeviceError) as error:
            raise SocketRefused(BAD_REQUEST, str(error)) from error
        self._wanted = wanted
        watching.show(choice, wanted)

    async def refuse(self, code: int, sentence: str) -> None:
        await self._stop_forwarding()
        try:
            async with asyncio.timeout(CLOSING_DEADLINE):
                await super().refuse(code, sentence)
        except TimeoutError:
            connection.drop(self.base_send)

    async def _say_and_refuse(self, code: int, sentence: str) -> None:
        """A close frame holds little more than a hundred letters: the whole sentence goes ahead of it."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSING_DEADLINE):
                await self._tell_text(type="status", state=State.OFFLINE, detail=sentence)
        await self.refuse(code, sentence)

    async def leave(self) -> None:
        await self._stop_forwarding()

    async def _stop_forwarding(self) -> None:
        task = self._forwarding
        if task is not None and task is not asyncio.current_task() and not task.done():
            task.cancel()
            await asyncio.wait([task])

    async def _forward(self, camera: Camera, choice: Choice) -> None:
        send = self.base_send
        relays = carrier_of(camera.pk)

        def source_of(choice: Choice) -> Source:
            original = device_source(camera.pk, choice.stream.id)
            if choice.rendition is Rendition.ORIGINAL:
                return original
            watch = partial(relays.watch, camera.pk, choice.stream.id, original, who="converted here")
            return Converted(watch, choice.rendition)

        try:
            line = connection.shortcut(send)
            who = self.user.get_username()
            with Watching(relays, camera.pk, self._wanted, choice, source_of, self._drop, line, who) as watching:
                self._watching = watching
                follow(relays)
                while True:
                    item = await watching.next()
                    if type(item) is Fragment:
                        await send({"type": "websocket.send", "bytes": item.data})
                    else:
                        await self._tell(item, watching.choice)
        except TooMuch as full:
            await self._say_and_refuse(TRY_AGAIN, str(full))
        except SourceRefused as refusal:
            await self._say_and_refuse(DEVICE_REFUSES if refusal.supported else NOT_SUPPORTED, str(refusal))
        except Ended as ended:
            await self._say_and_refuse(TRY_AGAIN, str(ended))
        except OSError:
            pass  # the viewer is gone; its disconnect message says so too
        except Exception:
            log.exception("a live socket ended by a mistake of ours", extra={"camera": camera.pk})
            await self.refuse(OUR_FAULT, "This picture ended by a mistake in this system; its log tells more.")
        finally:
            self._watching = None

    async def _tell(self, item: Item, choice: Choice) -> None:
        if isinstance(item, Init):
            await self._tell_text(
                type="init",
                mime=item.mime,
                stream=choice.stream.id,
                transcoded=choice.rendition is not Rendition.ORIGINAL,
                sound=item.sound is not None,
                width=item.track.width,
                height=item.track.height,
                transport=choice.stream.transport,
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
