"""Bytes in, meaning out, and back again.

Nothing in this package opens a socket, looks at a clock or writes a log: bytes and times are handed in, results are
handed out. So each part can be fuzzed, tested and measured alone. Every parser has explicit limits. Input that cannot
be used raises `Malformed`, or is skipped and counted where a stream must go on.
"""


class Malformed(ValueError):
    """The bytes are not what the format says. The text names what was wrong."""
