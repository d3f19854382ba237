"""Who carries a stream: the one process that has it open on its device, for everybody who watches.

Today that is this process, always: one web process serves the live sockets, and a device sees one opening however many
watch. When several web processes share the load, this is where they agree: a lease per stream in Redis (see
`devices.leases`) names the owner's internal address, and for a stream of another process the answer is relays whose
source is the owner's socket, watched like any viewer's, and handed on. Whoever wants a stream asks here, and need not
know. Pictures never go through Redis.
"""

from __future__ import annotations

from streaming.relay import Relays, relays


def carrier_of(camera: int) -> Relays:
    """The relays through which this camera's streams are watched."""
    return relays
