"""Ways in which pictures arrive: one module each. What a relay asks of them stands here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, runtime_checkable

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


@runtime_checkable
class Remarkable(Protocol):
    """An open stream of which viewers should know something, though it runs: a sentence, or "" when there is none."""

    @property
    def remark(self) -> str: ...


@runtime_checkable
class Hearable(Protocol):
    """An open stream that may have sound, and why it has none though it is wanted: a sentence for those who want it."""

    @property
    def sound_problem(self) -> str: ...


@runtime_checkable
class Informed(Protocol):
    """An open stream whose device tells something in it."""

    def told(self) -> dict[str, Any]: ...


def told_of(upstream: Upstream) -> dict[str, Any]:
    return upstream.told() if isinstance(upstream, Informed) else {}


def remark_of(upstream: Upstream) -> str:
    return upstream.remark if isinstance(upstream, Remarkable) else ""


def sound_problem_of(upstream: Upstream) -> str:
    return upstream.sound_problem if isinstance(upstream, Hearable) else ""


class Remarked:
    """An open stream with a remark, beside its own."""

    def __init__(self, upstream: Upstream, remark: str) -> None:
        self._remark = remark
        self._upstream = upstream

    @property
    def remark(self) -> str:
        return f"{self._remark} {remark_of(self._upstream)}".rstrip()

    @property
    def sound_problem(self) -> str:
        return sound_problem_of(self._upstream)

    def told(self) -> dict[str, Any]:
        return told_of(self._upstream)

    @property
    def lost(self) -> asyncio.Event:
        return self._upstream.lost

    @property
    def lost_reason(self) -> str:
        return self._upstream.lost_reason

    def want_sound(self, wanted: bool) -> None:
        self._upstream.want_sound(wanted)

    def figures(self) -> dict[str, int]:
        return self._upstream.figures()


# Opens a stream of a camera in the way its description says, and hands every unit to the given function.
Opener = Callable[[Camera, Stream, Callable[[Unit], None]], AbstractAsyncContextManager[Upstream]]
# Opens a stream and hands every unit to the given function, on the event loop, until the context is left. It may have
# `knock`, which tells whether its device can be reached, and `own_pace`, when it may be opened again and again.
Source = Callable[[Callable[[Unit], None]], AbstractAsyncContextManager[Upstream]]
