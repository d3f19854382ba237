"""RTP over UDP, as a device sends it to a port of ours: to a free one that we name, or to one that it is set to, which
may be that of a multicast group.

The socket is read in a loop whenever it is readable, without a datagram protocol between (which costs six times as
much). Only the device may fill it: the first packet from its address connects the socket to that sender, and from then
on the kernel refuses everybody else's. A device that comes back from another port is found again when the silence makes
the relay open the stream anew.

Our port is opened first, so that no packet meets a closed one; then the device's session (UID, start); pictures; then
stop and give the UID back, which the session does as it is left; the port last.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from devices.families import driver_for
from devices.families.base import RtpSession, Stream
from devices.gateway import Gateway
from devices.models import Camera
from streaming.media import Unit
from streaming.sources import SourceFailed, information, lines, ports
from streaming.sources.information import Noted
from streaming.sources.lines import RtpLine
from streaming.sources.sound import Switch, beside

# Packets taken in one go before the loop may do something else: some 0.5 ms of work.
BURST = 128
LARGEST = 9216  # a jumbo frame; devices send 1500 bytes at most


async def addresses_of(host: str) -> frozenset[str]:
    """The addresses a device may send from."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise SourceFailed(f"The address of {host} cannot be found. Check the device's host name.") from error
    return frozenset(str(entry[4][0]) for entry in found)


class RtpReceiver:
    """Reads a bound socket into a line until it is closed; the socket stays its opener's."""

    def __init__(self, receiver: socket.socket, senders: frozenset[str], line: RtpLine) -> None:
        self.foreign = 0  # datagrams from another address
        self._socket = receiver
        self._senders = senders
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(receiver.fileno(), self._await_sender)

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())

    def figures(self) -> dict[str, int]:
        figures = self._line.figures()
        return {**figures, "foreign": figures["foreign"] + self.foreign}

    def _await_sender(self) -> None:
        for _ in range(BURST):
            try:
                datagram, sender = self._socket.recvfrom(LARGEST)
            except OSError:
                return  # nothing more to read
            if sender[0] not in self._senders:
                self.foreign += 1
                continue
            self._socket.connect(sender)
            self._line.take([datagram])
            # What others sent before the socket was connected is still in its queue, among the device's own packets.
            # It is one burst at most, and no packet of another stream has the right payload type and order.
            self._loop.remove_reader(self._socket.fileno())
            self._loop.add_reader(self._socket.fileno(), self._drain)
            return

    def _drain(self) -> None:
        # First everything is read, then everything is parsed: each loop stays small and warm in the cache.
        receive = self._socket.recv
        datagrams: list[bytes] = []
        try:
            for _ in range(BURST):
                datagrams.append(receive(LARGEST))
        except OSError:
            pass  # nothing more to read
        if datagrams:
            self._line.take(datagrams)


class Ear:
    """Our end of a transmission: a free port read into a line, unless the device says that it sends elsewhere."""

    def __init__(self, senders: frozenset[str], line: RtpLine) -> None:
        self._senders = senders
        self._line = line
        self._listen(ports.open_port())

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def move(self, port: int, group: str = "") -> None:
        """Listen where the device is set to send, in a multicast group if one is named."""
        opened = ports.open_at(port, group, next(iter(self._senders)))
        self.close()
        self._listen(opened)

    def close(self) -> None:
        self._receiver.close()
        self._socket.close()

    def figures(self) -> dict[str, int]:
        return self._receiver.figures()

    def _listen(self, opened: socket.socket) -> None:
        self._socket = opened
        self._receiver = RtpReceiver(opened, self._senders, self._line)


class RtpUpstream:
    def __init__(self, session: RtpSession, ear: Ear, sound: Switch, noted: Noted | None) -> None:
        self._noted = noted
        self._session = session
        self._ear = ear
        self._sound = sound

    @property
    def lost(self) -> asyncio.Event:
        return self._session.lost

    @property
    def lost_reason(self) -> str:
        return self._session.lost_reason

    @property
    def remark(self) -> str:
        return self._noted.remark if self._noted is not None else ""

    def told(self) -> dict[str, Any]:
        return self._noted.told() if self._noted is not None else {}

    @property
    def sound_problem(self) -> str:
        return self._sound.problem

    def want_sound(self, wanted: bool) -> None:
        self._sound.want(wanted)

    def figures(self) -> dict[str, int]:
        return {**self._ear.figures(), **self._sound.figures()}


@asynccontextmanager
async def open_rtp(camera: Camera, stream: Stream, on_unit: Callable[[Unit], None]) -> AsyncIterator[RtpUpstream]:
    driver = driver_for(camera.device)
    noted = Noted(stream.camera) if driver.informs else None
    framings = lines.pictures() if noted is None else information.pictures(noted)
    ear = Ear(await addresses_of(camera.device.host), RtpLine(framings, on_unit))
    with contextlib.closing(ear):
        session = driver.rtp_session(Gateway(camera.device), stream, port=ear.port, move=ear.move)
        async with session as open_session, beside(camera, open_session, on_unit) as sound:
            yield RtpUpstream(open_session, ear, sound, noted)
