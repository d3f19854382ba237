"""UDP ports to receive on, from RTP_PORTS.

Even numbers only: by custom a port's odd neighbour is for RTCP. Whoever opens a port closes it. A port that somebody
else holds (another process of ours has the same range) is passed over. The search goes round the range, so that a port
comes back into use as late as possible and packets of its former stream have died away.
"""

from __future__ import annotations

import socket

from django.conf import settings

from streaming.sources import SourceFailed

# Asked of the kernel, which may grant less: room for a key picture that arrives in one burst while the loop is busy.
RECEIVE_BUFFER = 4 * 1024 * 1024

_next = 0


def open_port() -> socket.socket:
    """A non-blocking UDP socket on the next free even port of the range."""
    global _next
    low, high = settings.RTP_PORTS
    ports = range(low + low % 2, high + 1, 2)
    for attempt in range(len(ports)):
        port = ports[(_next + attempt) % len(ports)]
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            receiver.bind(("", port))
        except OSError:
            receiver.close()
            continue
        _next = (_next + attempt + 1) % len(ports)
        receiver.setblocking(False)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        return receiver
    raise SourceFailed(f"No UDP port from {low} to {high} is free. Widen RTP_PORTS, or watch fewer streams.")
