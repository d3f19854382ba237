"""Which law a stretch of G.711 follows (ITU-T G.711): µ-law as in Japan and America, or A-law as elsewhere.

Both have one byte per sample, a sign, three bits of the step's size and four within it; what differs is how their bits
are turned over. Read by the other law, a smooth sound becomes rough, for neighbouring values no longer neighbour; and
silence, which has the smallest steps only, becomes loud. `law_of` tells by these two, or None: this tells nothing yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

LEAST = 2_000  # bytes, a quarter of a second
SILENT = 0.9  # of the bytes have the smallest steps
CLEARLY = 0.7  # times as rough as the other, or less


def _mu_law(byte: int) -> int:
    turned = byte ^ 0xFF
    size = (((turned & 0x0F) << 3) + 0x84 << (turned >> 4 & 7)) - 0x84
    return -size if turned & 0x80 else size


def _a_law(byte: int) -> int:
    turned = byte ^ 0x55
    step, within = turned >> 4 & 7, (turned & 0x0F) << 4
    size = within + 8 if step == 0 else within + 0x108 << step - 1
    return size if turned & 0x80 else -size


_VALUES = {"pcmu": [_mu_law(byte) for byte in range(256)], "pcma": [_a_law(byte) for byte in range(256)]}
_SMALLEST = {
    "pcmu": bytes(byte for byte in range(256) if not (byte ^ 0xFF) & 0x70),
    "pcma": bytes(byte for byte in range(256) if not (byte ^ 0x55) & 0x70),
}


def law_of(sound: bytes) -> str | None:
    """pcmu or pcma."""
    if len(sound) < LEAST:
        return None
    for law, smallest in _SMALLEST.items():
        if len(sound.translate(None, smallest)) < (1 - SILENT) * len(sound):
            return law
    roughness = {law: _roughness([values[byte] for byte in sound]) for law, values in _VALUES.items()}
    smooth, rough = sorted(roughness, key=lambda law: roughness[law])
    return smooth if roughness[smooth] < CLEARLY * roughness[rough] else None


def _roughness(samples: Sequence[int]) -> float:
    """How much it changes from sample to sample, for as loud as it is."""
    return sum(abs(after - before) for before, after in pairwise(samples)) / max(1, sum(map(abs, samples)))
