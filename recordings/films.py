"""What a browser needs of a film that it cannot take as it is: a small picture of it, and another container around it.

Cameras record AVCHD: H.264 in a transport stream, with sound in AC-3. Browsers play H.264 in MP4 with sound in AAC. So
`Remux` takes the pictures out of the one container and puts them into the other as they are, and only the sound is
coded anew. It makes a piece when one is asked for: who pauses costs an open file, and who leaves costs nothing more.

Everything here blocks, and is called in threads.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from django.conf import settings
from PIL import Image

from accounts.problems import Problem
from recordings import library
from recordings.models import File
from streaming.jpegs import MOST_PIXELS, NoPicture, scaled

WIDTH = 480  # of the small picture: a tile of the library, twice as fine for displays that show it so
LARGEST_STILL = 32 * 1024 * 1024  # bytes
PACKETS_LOOKED_AT = 400  # until a picture came of them; a key picture stands within some seconds
AT_ONCE = 8  # films that are remuxed, per process
IDLE_SECONDS = 60.0  # one that was not asked for so long gives its place to another
LONGEST_GROUP = 3  # seconds from key picture to key picture; AVCHD has half a second
PIECE = 64 * 1024  # bytes; a film of few bits must not be read far ahead before its first picture goes out
SOUND_AS_IT_IS = {"aac", "mp3"}

threads = ThreadPoolExecutor(2, "films")
_open: set[Remux] = set()
_open_guard = threading.Lock()


# --- Small pictures ---------------------------------------------------------------------------------------------------
def thumbnail(file: File, path: Path) -> bytes | None:
    """A small JPEG of what lies at `path`, made when it is asked for first; None when no picture can be made of it."""
    kept = _kept(file)
    try:
        return kept.read_bytes() or None
    except FileNotFoundError:
        pass
    try:
        made = _still(path) if file.kind.lower() in library.STILLS else _of_film(path)
    except (NoPicture, av.FFmpegError):
        made = b""  # kept, too: what cannot be decoded now cannot be the next time
    _keep(kept, made)
    return made or None


def forget_thumbnail(file: File) -> None:
    _kept(file).unlink(missing_ok=True)


def _kept(file: File) -> Path:
    return Path(settings.DATA_DIR) / "thumbnails" / f"{file.pk}-{file.sha256[:16]}.jpg"


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(data)
        written.replace(path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise


def _still(path: Path) -> bytes:
    if path.stat().st_size > LARGEST_STILL:
        raise NoPicture("it is larger than any camera sends")
    return scaled(path.read_bytes(), WIDTH)


def _of_film(path: Path) -> bytes:
    with av.open(str(path), options={"max_pixels": str(MOST_PIXELS)}) as container:
        if not container.streams.video:
            raise NoPicture("it has no pictures")
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        if container.duration:  # the very beginning is often black, or somebody's thumb
            container.seek(int((container.start_time or 0) + container.duration / 10))
        frame = next(_frames(container, stream), None)
        if frame is None:
            raise NoPicture("no picture came of it")
        if frame.width * frame.height > MOST_PIXELS:
            raise NoPicture("it is larger than any camera sends")
        if frame.width > WIDTH:
            frame = frame.reformat(width=WIDTH, height=max(1, round(frame.height * WIDTH / frame.width)))
        return _jpeg(frame.to_image())


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    for number, packet in enumerate(container.demux(stream)):
        if number >= PACKETS_LOOKED_AT:
            return
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue  # before the first key picture there may be what needs one that is not there


def _jpeg(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.convert("RGB").save(written, "JPEG", quality=80)
    return written.getvalue()


# --- Another container ------------------------------------------------------------------------------------------------
class _Written:
    """What libavformat writes into; it cannot seek in it."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def __len__(self) -> int:
        return len(self._data)

    def take(self) -> bytes:
        taken, self._data = bytes(self._data), bytearray()
        return taken


class Remux:
    """A film as fragmented MP4 from the key picture before `start` (seconds) on: a source of serving.Pieces."""

    def __init__(self, path: Path, start: float = 0.0) -> None:
        self.asked_at = time.monotonic()
        self._guard = threading.Lock()
        self._closed = False
        self._written = _Written()
        self._containers: list[Any] = []
        self._steps = self._remuxed(path, start)
        _take_place(self)

    def read(self) -> bytes:
        """The next piece, no bytes at the end. Raises av.FFmpegError when it cannot be read any further."""
        with self._guard:
            self.asked_at = time.monotonic()
            while not self._closed and len(self._written) < PIECE:
                if next(self._steps, None) is None:
                    break
            return b"" if self._closed else self._written.take()

    def close(self) -> None:
        with self._guard:
            self._closed = True
            for each in self._containers:
                with contextlib.suppress(av.FFmpegError):  # of one that could not even be begun
                    each.close()
            self._containers.clear()
        with _open_guard:
            _open.discard(self)

    def _remuxed(self, path: Path, start: float) -> Iterator[bool]:
        """Each step reads one packet. Nothing is opened before the first."""
        source = av.open(str(path))
        self._containers.append(source)
        if not source.streams.video:
            raise Problem(422, "There are no pictures in this file.")
        video, sound = source.streams.video[0], next(iter(source.streams.audio), None)
        options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
        target = av.open(self._written, "w", format="mp4", options=options)
        self._containers.insert(0, target)  # closed first: that still writes
        into: dict[int, Any] = {video.index: target.add_stream_from_template(video)}
        coder: Any = None  # of the sound, where the browser does not take it as it is
        if sound is not None and sound.codec_context.name in SOUND_AS_IT_IS:
            into[sound.index] = target.add_stream_from_template(sound)
        elif sound is not None:
            coder = target.add_stream("aac", rate=sound.codec_context.sample_rate or 48000, layout="stereo")
        key = _sought(source, video, start) if start > 0 else None
        begins: Fraction | None = None  # seconds, in the source's time
        for packet in source.demux(*[each for each in (video, sound) if each is not None]):
            yield True
            if packet.dts is None:
                continue
            if begins is None:
                if packet.stream_index != video.index or not packet.is_keyframe or key not in (None, packet.dts):
                    continue
                begins = packet.dts * packet.time_base
            if packet.stream_index in into:
                _shift(packet, begins)
                if packet.dts >= 0:
                    packet.stream = into[packet.stream_index]
                    target.mux(packet)
                continue
            for frame in _heard(packet):
                frame.pts -= round(begins / frame.time_base)
                if frame.pts >= 0:
                    target.mux(coder.encode(frame))
        if coder is not None:
            target.mux(coder.encode(None))
        self._containers.remove(target)
        target.close()


def _sought(source: Any, video: Any, start: float) -> int | None:
    """Go to some place before the key picture before `start`, and tell which it is. Transport streams have no index:
    seeking in them leads to any picture near a time, mostly to one that needs others."""
    at = Fraction(source.start_time or 0, av.time_base) + Fraction(start)
    about = int((at - LONGEST_GROUP) * av.time_base)
    source.seek(about)
    found: int | None = None
    for packet in source.demux(video):
        if packet.dts is None:
            continue
        if found is not None and packet.dts * packet.time_base > at:
            break
        if packet.is_keyframe:
            found = packet.dts
    source.seek(about)
    return found


def _heard(packet: Any) -> list[Any]:
    try:
        return [frame for frame in packet.decode() if frame.pts is not None]
    except av.FFmpegError:
        return []  # a damaged piece of sound is left out; the pictures go on


def _shift(packet: Any, begins: Fraction) -> None:
    ticks = round(begins / packet.time_base)
    packet.dts -= ticks
    if packet.pts is not None:
        packet.pts -= ticks


def _take_place(remux: Remux) -> None:
    """One of AT_ONCE; who has not been asked for long makes room."""
    with _open_guard:
        idle = min(_open, key=lambda each: each.asked_at, default=None)
        full = len(_open) >= AT_ONCE
        if full and (idle is None or time.monotonic() - idle.asked_at < IDLE_SECONDS):
            raise Problem(
                503,
                f"{AT_ONCE} films are being converted for browsers already. Try again in a moment, or download it.",
                retry_after=10,
            )
        _open.add(remux)
    if full and idle is not None:
        idle.close()
