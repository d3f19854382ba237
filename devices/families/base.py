"""What every driver answers, whatever its family.

A driver knows one vendor document and keeps no state: it is made for a device, describes what the device offers, and
talks to it through the gateway it is handed. What a device cannot do is not in `capabilities`, so that pages do not
offer it, and asking anyway raises NotSupported. Drivers never touch the database.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from devices.cgi import Command
from devices.errors import NotSupported
from devices.gateway import Gateway
from devices.models import Camera, Device
from devices.options import Option, value_of
from devices.uids import UidLease


class Capability(StrEnum):
    LIVE = "live"


@dataclass(frozen=True)
class Identity:
    """What a device tells of itself; None is what it does not tell."""

    model: str | None = None
    serial: str | None = None
    mac: str | None = None
    firmware: str | None = None
    # camera number → name
    cameras: dict[int, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)  # kept in Device.status; streams are described from them


@dataclass(frozen=True)
class Health:
    """How a device is right now. `problems` are sentences; any of them makes it degraded.

    `fleeting` names facts that change by themselves all the time: shown, but not worth a row in the database.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    fleeting: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Stream:
    """One stream a camera offers. None is what is not known."""

    id: str
    codec: str
    width: int | None
    height: int | None
    fps: float | None
    transport: str
    audio: bool = False


@dataclass
class RtpSession:
    """A running transmission to our port. When `lost` is set, the device no longer knows us: leave and open again."""

    stream: Stream
    port: int
    source: str  # the host it comes from, as the device is configured
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    lost_reason: str = ""


class Driver(ABC):
    family: ClassVar[str]
    catalogue: ClassVar[tuple[Command, ...]]
    options: ClassVar[tuple[Option, ...]]
    capabilities: ClassVar[frozenset[Capability]] = frozenset()

    def __init__(self, device: Device) -> None:
        self.device = device

    def option(self, name: str) -> Any:
        return value_of(self.options, self.device.options, name)

    @abstractmethod
    async def identify(self, gateway: Gateway) -> Identity: ...

    @abstractmethod
    async def health(self, gateway: Gateway) -> Health: ...

    def streams(self, camera: Camera) -> list[Stream]:
        """The streams of one of our cameras, from what the device last told; the first is the largest."""
        return []

    def rtp_session(self, gateway: Gateway, stream: Stream, *, port: int) -> AbstractAsyncContextManager[RtpSession]:
        """Have the device send a stream to our UDP port while the block runs."""
        raise self._lacks("send RTP to a port of ours")

    async def keep_alive(self, gateway: Gateway, lease: UidLease, *, taking_turns: bool = True) -> None:
        """Tell the device that a leased transmission is still wanted. Raises Refused when it no longer knows it."""
        raise self._lacks("keep transmissions alive")

    async def stop(self, gateway: Gateway, lease: UidLease) -> None:
        """End a leased transmission on the device."""
        raise self._lacks("stop transmissions")

    def _lacks(self, what: str) -> NotSupported:
        return NotSupported(f"{self.device.name} cannot {what}; devices of its family do not offer it.")
