"""Sound in GSM 06.10 full rate (ETS 300 961): 160 samples at 8 kHz, 20 ms, in 33 bytes, in the usual packing.

    0xD in four bits | LARc 6 6 5 5 4 4 3 3 | four times: Nc 7, bc 2, Mc 2, xmaxc 6, 13 times xMc 3

No encoder for it is at hand, and a tone does not need all the standard has. So this one leaves out the prediction: the
filter coefficients are those nearest to no filter at all (`LAR`), the long-term gain is the smallest, and the
excitation is the sound itself, of which the standard keeps each third sample (grid 0) as a block maximum of 6 bits
and 3 bits for each sample. The decoder's de-emphasis is undone before. A low tone decodes to that tone
with mirror images that are several times weaker; silence decodes to next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

RATE = 8000
SAMPLES = 160
SUBFRAME, PULSES = 40, 13
PRE_EMPHASIS = 28180 / 32768
# The codes of a filter that does next to nothing, by table 4.1: LAR = (code - offset) / factor is nearest to 0.
LAR = ((32, 6), (32, 6), (20, 5), (11, 5), (8, 4), (8, 4), (4, 3), (2, 3))


def encode(samples: Sequence[int], before: int = 0) -> bytes:
    """One frame of 160 samples of 16 bits; `before` is the sample that came before them."""
    if len(samples) != SAMPLES:
        raise ValueError(f"A GSM frame has {SAMPLES} samples, not {len(samples)}.")
    bits = [(0xD, 4), *LAR]
    for start in range(0, SAMPLES, SUBFRAME):
        bits += [(40, 7), (0, 2), (0, 2)]  # lag, gain, grid
        pulses = [_emphasised(samples, start + 3 * index, before) for index in range(PULSES)]
        bits += _adaptive_pcm(pulses)
    value, length = 0, 0
    for code, width in bits:
        value, length = value << width | code, length + width
    return value.to_bytes(length // 8, "big")


def _emphasised(samples: Sequence[int], index: int, before: int) -> float:
    # Each pulse stands for three samples; half of that keeps the loudest tone inside the decoder's 16 bits.
    return 1.5 * (samples[index] - PRE_EMPHASIS * (samples[index - 1] if index else before))


def _adaptive_pcm(pulses: Sequence[float]) -> list[tuple[int, int]]:
    """Block maximum and samples, section 4.2.15: the maximum is coded with a three-bit exponent and mantissa."""
    largest = min(int(max(abs(pulse) for pulse in pulses)), 32767)
    exponent = max(largest.bit_length() - 9, 0)
    # Code c of block (exponent e, mantissa m) stands for a maximum of (m + 1 or m + 9) << (e + 5) less one.
    if largest < 512:
        code = largest >> 5
        decoded = (code << 5) + 31
    else:
        mantissa = (largest >> (exponent + 5)) & 0x7
        code = 8 * exponent + mantissa + 8
        decoded = ((8 + mantissa) << (exponent + 5)) + (1 << (exponent + 5)) - 1
    codes = [min(max(round((pulse / decoded * 8 + 7) / 2), 0), 7) for pulse in pulses]
    return [(code, 6), *((each, 3) for each in codes)]
