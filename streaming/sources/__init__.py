"""Ways in which pictures arrive: one module each. What a relay asks of them stands here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from devices.families.base import Stream
from devices.models import Camera
from streaming.media import Unit


class SourceFailed(Exception):
    """The stream could not be opened now; trying again later may help. The text is a sentence for viewers."""


class SourceRefused(SourceFailed):
    """Trying again will not help until somebody changes something at the device or here."""

    def __init__(self, sentence: str, *, supported: bool = True) -> None:
        super().__init__(sentence)
        self.supported = supported  # False: this device cannot do it at all


class Upstream(Protocol):
    """An open stream. It ends when its context is left, or earlier, which `lost` tells."""

    @property
    def lost(self) -> asyncio.Event: ...

    @property
    def lost_reason(self) -> str:
        """A sentence, once `lost` is set."""

    def want_sound(self, wanted: bool) -> None:
        """Somebody wants to hear it, too, or nobody any more. A stream without sound takes no notice."""

    def figures(self) -> dict[str, int]:
        """Counters since it was opened: packets, lost, reordered, damaged pictures dropped …"""


# Opens a stream of a camera in the way its description says, and hands every unit to the given function.
Opener = Callable[[Camera, Stream, Callable[[Unit], None]], AbstractAsyncContextManager[Upstream]]
# Opens a stream and hands every unit to the given function, on the event loop, until the context is left.
Source = Callable[[Callable[[Unit], None]], AbstractAsyncContextManager[Upstream]]
