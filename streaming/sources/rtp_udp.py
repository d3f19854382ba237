"""H.264 in RTP over unicast UDP, as a device sends it to a port of ours.

The socket is read in a loop whenever it is readable, without a datagram protocol between (which costs six times as
much). Only the device may fill it: the first packet from its address connects the socket to that sender, and from then
on the kernel refuses everybody else's. A device that comes back from another port is found again when the silence makes
the relay open the stream anew.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

from streaming.media import AccessUnit
from streaming.sources import SourceFailed
from streaming.wire import Malformed, rtp
from streaming.wire.h264 import Depacketizer

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
    """Reads a bound socket until it is closed; the socket stays its opener's. Counters are plain attributes."""

    def __init__(
        self,
        receiver: socket.socket,
        senders: frozenset[str],
        payload_type: int,
        on_unit: Callable[[AccessUnit], None],
    ) -> None:
        self.packets = 0
        self.bytes = 0
        self.foreign = 0  # from another address, or of another payload type
        self.malformed = 0
        self._socket = receiver
        self._senders = senders
        self._payload_type = payload_type
        self._on_unit = on_unit
        self._sequencer = rtp.Sequencer()
        self._depacketizer = Depacketizer()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(receiver.fileno(), self._await_sender)

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())

    def figures(self) -> dict[str, int]:
        return {
            "packets": self.packets,
            "bytes": self.bytes,
            "foreign": self.foreign,
            "malformed": self.malformed + self._depacketizer.malformed,
            "lost": self._sequencer.lost,
            "reordered": self._sequencer.reordered,
            "late": self._sequencer.late,
            "dropped": self._depacketizer.dropped,
        }

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
            self._take([datagram])
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
        self._take(datagrams)

    def _take(self, datagrams: list[bytes]) -> None:
        now = time.time()
        self.packets += len(datagrams)
        self.bytes += sum(map(len, datagrams))
        for datagram in datagrams:
            try:
                packet = rtp.parse(datagram)
            except Malformed:
                self.malformed += 1
                continue
            if packet.payload_type != self._payload_type:
                self.foreign += 1
                continue
            for each in self._sequencer.push(packet):
                for unit in self._depacketizer.push(each, now):
                    self._on_unit(unit)
