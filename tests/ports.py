"""Ports for what a test starts in another process.

A port that the system chose and that was closed again may be somebody else's by the time it is listened on: of another
test's connection, or of another test that asked. So ports are taken, one after the other, from below those the system
chooses by itself, each process of the tests beginning at a place of its own.
"""

from __future__ import annotations

import itertools
import random
import socket

FIRST, COUNT = 16_000, 16_000  # Linux chooses from 32768 on
_next = itertools.count(random.SystemRandom().randrange(COUNT))


def free_port() -> int:
    """One where nobody listens, and that no other call of this process answers."""
    for place in itertools.islice(_next, COUNT):
        port = FIRST + place % COUNT
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")
