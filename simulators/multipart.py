"""Multipart answers that carry pictures, sound or packets, and what goes wrong in them.

`part` writes one part as a document prints it. `Tampering` belongs to a device and is what tests break: every stream
passes its parts through a `Passage` of its own. `Parts` is the outlet of a source that sends by HTTP: what is
sent comes out of `stream()`, until it is closed or cut. `odd_picture` and `odd_part` write what firmware writes that
is not as its document (`PICTURE_ODDITIES`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection

from simulators.rtp import Packetizer

PICTURE_ODDITIES = {
    "no-dht": "pictures leave out their Huffman tables, which are the standard's",
    "no-eoi": "pictures end without their end marker",
    "crlf-first": "a line end stands before a picture and counts",
    "no-part-length": "the parts of a stream have no Content-Length",
    "short-part-length": "the Content-Length of a part is 2 less than it has",
    "bare-lf": "the lines of a part's head end with LF alone",
    "no-first-boundary": "a stream begins with the headers of its first part",
    "blank-first": "a stream begins with two empty lines",
}
START_OF_SCAN, HUFFMAN_TABLES = 0xDA, 0xC4

GARBAGE = b"\x00\xff\xd8 -- not a part\r\n--nor a boundary\r\n\r\n"
MOST_WAITING = 4 * 1024 * 1024  # bytes for a client that reads too slowly; what comes then is lost


def part(boundary: str, headers: tuple[str, ...], body: bytes, end: bytes = b"\r\n") -> bytes:
    """`headers` without their line ends; `boundary` as it stands on its line."""
    return "\r\n".join((boundary, *headers, "", "")).encode() + body + end


def odd_picture(jpeg: bytes, oddities: Collection[str]) -> bytes:
    if "no-dht" in oddities:
        jpeg = _without_tables(jpeg)
    if "no-eoi" in oddities:
        jpeg = jpeg.removesuffix(b"\xff\xd9")
    return b"\r\n" + jpeg if "crlf-first" in oddities else jpeg


def odd_part(
    boundary: str, headers: tuple[str, ...], body: bytes, end: bytes, oddities: Collection[str], *, first: bool
) -> bytes:
    """A part whose headers are written `Name: value`; `first`: it begins the stream."""
    lines = []
    for header in headers:
        name, colon, value = header.partition(":")
        if name.lower() == "content-length":
            if "no-part-length" in oddities:
                continue
            if "short-part-length" in oddities:
                header = f"{name}{colon} {int(value) - 2}"
        lines.append(header)
    if not (first and "no-first-boundary" in oddities):
        lines.insert(0, boundary)
    head = "\r\n".join((*lines, "", ""))
    if first and "blank-first" in oddities:
        head = "\r\n\r\n" + head
    if "bare-lf" in oddities:
        head = head.replace("\r\n", "\n")
    return head.encode() + body + end


def _without_tables(jpeg: bytes) -> bytes:
    kept, at = jpeg[:2], 2
    while jpeg[at + 1] != START_OF_SCAN:
        length = 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] != HUFFMAN_TABLES:
            kept += jpeg[at : at + length]
        at += length
    return kept + jpeg[at:]


class Tampering:
    """What goes wrong with all multipart streams of a device."""

    def __init__(self) -> None:
        self.garbage_every = 0
        """Bytes that belong to no part come before each n-th; 0: never."""
        self.cuts = 0

    def cut(self) -> None:
        """Break every stream that is open now off in the middle of its next part."""
        self.cuts += 1

    def clear(self) -> None:
        self.garbage_every = 0


class Passage:
    """One stream's way through the device's tampering."""

    def __init__(self, tampering: Tampering) -> None:
        self._tampering = tampering
        self._cuts = tampering.cuts
        self._passed = 0
        self.ended = False
        """Nothing may follow what was passed last."""

    def of(self, part: bytes) -> bytes:
        """What becomes of this part."""
        self._passed += 1
        if self._tampering.cuts != self._cuts:
            self.ended = True
            return part[: len(part) // 2]
        every = self._tampering.garbage_every
        return GARBAGE + part if every and self._passed % every == 0 else part


class Parts:
    """An outlet over HTTP: each packet becomes a part."""

    def __init__(
        self, packetizer: Packetizer, wrap: Callable[[bytes], bytes], tampering: Tampering, end: bytes
    ) -> None:
        self.packetizer = packetizer
        self._wrap = wrap
        self._passage = Passage(tampering)
        self._end = end
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._something = asyncio.Event()
        self._closed = False
        self._cut = False

    def send(self, packet: bytes) -> None:
        if self._size > MOST_WAITING:
            return
        wrapped = self._wrap(packet)
        self._waiting.append(wrapped)
        self._size += len(wrapped)
        self._something.set()

    def close(self) -> None:
        """End in order, after what was sent."""
        self._closed = True
        self._something.set()

    def cut(self) -> None:
        """End in the middle of a part."""
        self._cut = True
        self.close()

    async def stream(self) -> AsyncGenerator[bytes, None]:
        while True:
            await self._something.wait()
            self._something.clear()
            ready = bytearray()
            while self._waiting and not self._passage.ended:
                ready += self._passage.of(self._waiting.popleft())
            self._size = 0
            if self._closed and not self._passage.ended:
                ready += self._wrap(bytes(1000))[:-500] if self._cut else self._end
            if ready:
                yield bytes(ready)
            if self._closed or self._passage.ended:
                return
