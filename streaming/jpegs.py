"""From one coded picture to a JPEG, and to a smaller one. Used by threads; nothing here waits for anybody."""

from __future__ import annotations

import io

import av
from PIL import Image, UnidentifiedImageError

from streaming.media import VideoTrack

QUALITY = 85
# As much as any camera sends; what claims to be larger is not decoded.
MOST_PIXELS = 64 * 1024 * 1024
_DECODERS = {"h264": "h264", "h265": "hevc"}


class NoPicture(Exception):
    """What came cannot be decoded."""


def jpeg_of(track: VideoTrack, data: bytes, width: int | None = None) -> bytes:
    """A key picture as JPEG, at most so many pixels wide."""
    if track.kind == "jpeg":
        return data if width is None or track.width <= width else scaled(data, width)
    decoder = av.CodecContext.create(_DECODERS[track.kind], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    decoder.options = {"max_pixels": str(MOST_PIXELS)}
    if track.config:
        decoder.extradata = track.config
    try:
        frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    except av.FFmpegError as error:
        raise NoPicture(str(error)) from error
    if not frames:
        raise NoPicture("no picture came of it")
    frame = frames[0]
    if width is not None and frame.width > width:
        frame = frame.reformat(width=width, height=max(1, round(frame.height * width / frame.width)))
    return _encoded(frame.to_image())  # type: ignore[no-untyped-call]


def scaled(jpeg: bytes, width: int) -> bytes:
    """At most so many pixels wide; the same bytes when it is no wider."""
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
            if image.width <= width:
                return jpeg
            if image.width * image.height > MOST_PIXELS:
                raise NoPicture("it is larger than any camera sends")
            height = max(1, round(image.height * width / image.width))
            image.draft("RGB", (width, height))  # the decoder leaves out what is not needed
            return _encoded(image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR))
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise NoPicture(str(error)) from error


def _encoded(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=QUALITY)
    return written.getvalue()
