"""Is a recording whole, and can it be played? Looked at in a thread, before it counts as brought home.

Its length is as it was announced; its container is whole to the last byte, and can be opened; all of it is read once
for its duration, which agrees with what the device says; pictures come of its beginning, its middle and its end. That a
picture here and there shows blocks is not looked for: recorders make such, and they are evidence as they are.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

# A device tells whole seconds, rounded or cut off, and may count them by its timecode, which runs a thousandth off.
SHORTER, LONGER, SHARE_OFF = 1.0, 1.5, 0.002
DECODED_SECONDS = 1.0  # at the end
ENOUGH_FRAMES = 15  # of the beginning and the middle; the end is decoded to its last picture
LARGEST_PICTURE = 8192 * 4608
_MTS_PACKET, _TS_PACKET, _SYNC = 192, 188, 0x47
_BOX_HEADER = 8
_MOST_BOXES = 100_000


class Unsound(Exception):
    """It is not whole, or cannot be played. The text is a sentence."""


@dataclass(frozen=True)
class Sound:
    duration: float  # seconds
    codec: str
    width: int
    height: int


def check(path: Path, *, kind: str, size: int | None = None, seconds: float | None = None) -> Sound:
    """What it is, or Unsound. `kind` is mp4 or mts; `size` and `seconds` are what was announced. Blocks."""
    found = path.stat().st_size
    if size is not None and found != size:
        raise Unsound(f"It has {found} bytes where {size} were announced.")
    _check_container(path, kind, found)
    try:
        with av.open(str(path), options={"max_pixels": str(LARGEST_PICTURE)}) as container:
            for stream in container.streams.video:
                stream.codec_context.thread_count = 1  # others work here, too
            sound = _read_through(container)
            _compare(sound.duration, seconds)
            for share in (0.0, 0.5, 1.0):
                _decode(container, sound.duration, share)
    except av.FFmpegError as error:
        raise Unsound(f"It cannot be played ({error.strerror or error}).") from error
    return sound


def _compare(duration: float, seconds: float | None) -> None:
    if seconds is None:
        return
    off = seconds * SHARE_OFF
    if not seconds - SHORTER - off <= duration <= seconds + LONGER + off:
        raise Unsound(f"It lasts {duration:.1f} s where the device says {seconds:.0f} s.")


# --- The container's own skeleton: what FFmpeg would forgive ----------------------------------------------------------
def _check_container(path: Path, kind: str, size: int) -> None:
    if not size:
        raise Unsound("It is empty.")
    with path.open("rb") as file:
        if kind == "mp4":
            _check_boxes(file, size)
        else:
            _check_packets(file, size)


def _check_boxes(file: Any, size: int) -> None:
    """The boxes follow one another to the end of the file; pictures and their table are among them."""
    at, seen = 0, set()
    for _ in range(_MOST_BOXES):
        if at == size:
            break
        file.seek(at)
        header = file.read(2 * _BOX_HEADER)
        if len(header) < _BOX_HEADER:
            raise Unsound("It ends in the middle of an MP4 box.")
        length, name = struct.unpack(">I4s", header[:_BOX_HEADER])
        if length == 1 and len(header) == 2 * _BOX_HEADER:
            (length,) = struct.unpack(">Q", header[_BOX_HEADER:])
        elif length == 0:
            length = size - at
        if length < _BOX_HEADER or at + length > size:
            raise Unsound("It ends in the middle of an MP4 box, or is no MP4.")
        seen.add(name)
        at += length
    if not {b"moov", b"mdat"} <= seen or at != size:
        raise Unsound("It is no whole MP4: its table or its pictures are missing.")


def _check_packets(file: Any, size: int) -> None:
    """Whole packets to the end, of a transport stream with or without AVCHD's four bytes in front of each."""
    for packet, offset in ((_MTS_PACKET, 4), (_TS_PACKET, 0)):
        file.seek(0)
        beginning = file.read(packet * 2)
        if len(beginning) >= packet and all(byte == _SYNC for byte in beginning[offset::packet]):
            if size % packet:
                raise Unsound("It ends in the middle of a packet.")
            file.seek(-packet, os.SEEK_END)
            if file.read(packet)[offset] != _SYNC:
                raise Unsound("Its end is not that of a recording.")
            return
    raise Unsound("It is no AVCHD recording.")


# --- Its pictures -----------------------------------------------------------------------------------------------------
def _read_through(container: Any) -> Sound:
    """Every packet, for the duration: from the first picture to the end of the last."""
    if not container.streams.video:
        raise Unsound("It has no pictures.")
    stream = container.streams.video[0]
    first: float | None = None
    last, length, count = 0.0, 0.0, 0
    for packet in container.demux(stream):
        if packet.pts is None or packet.size == 0:
            continue
        at = float(packet.pts * packet.time_base)
        count += 1
        first = at if first is None else min(first, at)
        last = max(last, at)
        length = float((packet.duration or 0) * packet.time_base) or length
    if first is None:
        raise Unsound("It has no pictures.")
    context = stream.codec_context
    if not (context.width and context.height):
        raise Unsound("It does not tell how large its pictures are.")
    return Sound(
        last - first + (length or (last - first) / max(1, count - 1)), context.name, context.width, context.height
    )


def _decode(container: Any, duration: float, share: float) -> None:
    """Some pictures at this place. In the beginning and the end of what was cut out, some cannot be decoded alone."""
    stream = container.streams.video[0]
    begins = float((stream.start_time or 0) * stream.time_base)
    wanted = begins + max(0.0, (duration - DECODED_SECONDS) * share)
    container.seek(round(wanted / stream.time_base), stream=stream, backward=True)
    frames = 0
    for packet in container.demux(stream):
        try:
            for frame in packet.decode():
                if frame.pts is None or float(frame.pts * frame.time_base) >= wanted:
                    frames += 1
        except av.error.InvalidDataError:
            continue
        if frames >= ENOUGH_FRAMES and share < 1.0:
            break
    if not frames:
        place = {0.0: "beginning", 0.5: "middle", 1.0: "end"}[share]
        raise Unsound(f"No picture can be decoded at its {place}.")
