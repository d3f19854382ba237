"""Small films and stills, and files of the library made of them, for tests."""

from __future__ import annotations

import array
import hashlib
import io
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from django.conf import settings
from PIL import Image

from recordings.models import File

SIZE = 320, 180
RATE = 25
TONE = array.array("f", [0.2 * math.sin(0.05 * number) for number in range(48000 // RATE)])


def film(container: str = "mp4", seconds: float = 2.0, *, sound: str | None = None) -> bytes:
    """H.264 whose pictures get lighter, from grey to white, with a tone in this codec."""
    written = io.BytesIO()
    with av.open(written, "w", format=container) as target:
        stream = target.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "g": str(RATE)})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        heard: Any = target.add_stream(sound, rate=48000, layout="stereo") if sound else None
        count = round(seconds * RATE)
        for number in range(count):
            grey = 100 + 150 * number // count
            picture = Image.new("RGB", SIZE, (grey, grey, grey))
            target.mux(stream.encode(av.VideoFrame.from_image(picture)))  # type: ignore[no-untyped-call]
            if heard is not None:
                frame = av.AudioFrame("fltp", "stereo", len(TONE))
                for plane in frame.planes:
                    plane.update(TONE.tobytes().ljust(plane.buffer_size, b"\0"))
                frame.sample_rate, frame.pts, frame.time_base = 48000, number * len(TONE), Fraction(1, 48000)
                target.mux(heard.encode(frame))
        target.mux(stream.encode(None))
        if heard is not None:
            target.mux(heard.encode(None))
    return written.getvalue()


def still(width: int = 640, height: int = 360) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (width, height), (200, 120, 40)).save(written, "JPEG")
    return written.getvalue()


def put(name: str, data: bytes, **fields: Any) -> File:
    """A file of the library that really is there."""
    relative = f"tests/{hashlib.sha256(name.encode()).hexdigest()[:12]}-{name}"
    path = Path(settings.DATA_DIR) / "library" / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    given = {"kind": name.rpartition(".")[2].lower(), "origin": File.Origin.CARD, "path": relative, **fields}
    return File.objects.create(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest(), **given)
