"""UDP ports to receive on, from RTP_PORTS or where a device is set to send.

Even numbers only: by custom a port's odd neighbour is for RTCP. Whoever opens a port closes it. A port that somebody
else holds (another process of ours has the same range) is passed over. The search goes round the range, so that a port
comes back into use as late as possible and packets of its former stream have died away.

A device may be set to send to one port always, or to a multicast group; several devices and several processes may then
receive there together, each from its own device.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import NamedTuple

from django.conf import settings

from streaming.sources import SourceFailed

# Asked of the kernel, which may grant less: room for a key picture that arrives in one burst while the loop is busy.
RECEIVE_BUFFER = 4 * 1024 * 1024

_next = 0


class Pair(NamedTuple):
    """An even port for packets and the next one for reports."""

    packets: socket.socket
    reports: socket.socket

    @property
    def number(self) -> int:
        return int(self.packets.getsockname()[1])

    def close(self) -> None:
        self.packets.close()
        self.reports.close()


def open_port() -> socket.socket:
    """A non-blocking UDP socket on the next free even port of the range."""
    for port in _free():
        try:
            return _bound("", port)
        except OSError:
            continue
    raise _none_free()


def open_pair() -> Pair:
    """The next free even port of the range and its neighbour."""
    for port in _free():
        try:
            packets = _bound("", port)
        except OSError:
            continue
        try:
            if port == settings.RTP_PORTS[1]:
                raise OSError("its neighbour is outside the range")
            return Pair(packets, _bound("", port + 1))
        except OSError:
            packets.close()
    raise _none_free()


def open_at(port: int, group: str = "", towards: str = "") -> socket.socket:
    """The port that a device is set to send to; with a multicast group, which is joined on the side of `towards`, the
    device's address."""
    try:
        receiver = _bound(group, port, shared=True)
    except (OSError, OverflowError) as error:
        raise SourceFailed(
            f"The device is set to send to UDP port {port}, which is in use here. Set another one on the device, or "
            "unicast (auto)."
        ) from error
    if group:
        try:
            if not ipaddress.IPv4Address(group).is_multicast:
                raise OSError("no multicast group")
            membership = socket.inet_aton(group) + socket.inet_aton(_side_of(towards))
            receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        except (OSError, ValueError) as error:
            receiver.close()
            raise SourceFailed(
                f"The multicast group {group} cannot be joined here ({error}). Check the address that is set on the "
                "device, and this machine's network."
            ) from error
    return receiver


def open_pair_at(port: int, group: str = "", towards: str = "") -> Pair:
    packets = open_at(port, group, towards)
    try:
        return Pair(packets, open_at(port + 1, group, towards))
    except SourceFailed:
        packets.close()
        raise


def _free() -> Iterator[int]:
    """The even ports of the range, from where the last search ended."""
    global _next
    low, high = settings.RTP_PORTS
    ports = range(low + low % 2, high + 1, 2)
    for _ in ports:
        port = ports[_next % len(ports)]
        _next += 1
        yield port


def _none_free() -> SourceFailed:
    low, high = settings.RTP_PORTS
    return SourceFailed(f"No UDP port from {low} to {high} is free. Widen RTP_PORTS, or watch fewer streams.")


def _bound(address: str, port: int, *, shared: bool = False) -> socket.socket:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        if shared:
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        receiver.bind((address, port))
        receiver.setblocking(False)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    except BaseException:
        receiver.close()
        raise
    return receiver


def _side_of(address: str) -> str:
    """Our own address on the side of the device."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))  # sends nothing
        return str(probe.getsockname()[0])
