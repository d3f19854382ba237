"""The test picture: a coloured background, the device's name, a clock, a moving ball, and a strip a program can read.

Strategy: the picture is kept as the three planes of YUV 4:2:0 (Pillow images of mode L) and only what moves is
repainted, because drawing in RGB and converting would cost more than encoding. `Picture.draw()` returns the planes;
`jpeg()` turns full-range planes into a JPEG.

The strip, in fractions of the picture (so that scaling does not matter):
  - it fills the lowest twelfth of the picture over its whole width: y from 11/12 of the height to the bottom;
  - 32 blocks of equal width from left to right, black is 0 and white is 1, most significant bit first;
  - bits: 8 seed (mod 256), 16 frame number (mod 65536), 8 checksum over the three bytes before it
    (CRC-8, polynomial 0x07, initial value 0xFF, so that neither a black nor a white picture is a valid strip);
  - block i is read at its middle: x = (i + 0.5) / 32 of the width, y = 23/24 of the height. Darker than 96 of 255 is 0,
    brighter than 160 is 1, anything between means: this is no strip.
"""

from __future__ import annotations

import colorsys
import io
import random
import re
from datetime import datetime
from functools import cached_property

from PIL import Image, ImageDraw, ImageFont

STRIP_BLOCKS = 32
STRIP_SHARE = 12  # the strip is one twelfth of the height
DARK, BRIGHT = 96, 160

Planes = tuple[Image.Image, Image.Image, Image.Image]


def picture_size(text: str) -> tuple[int, int]:
    """Width and height of a text like 640x360; raises ValueError for what no test picture has."""
    found = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    if found:
        width, height = map(int, found.groups())
        if 64 <= width <= 3840 and 64 <= height <= 2160 and width % 32 == 0 and height % 4 == 0:
            return width, height
    raise ValueError(
        f"'{text}' is no size of a picture: from 64x64 to 3840x2160, its width a multiple of 32, its height of 4."
    )


def crc8(data: bytes) -> int:
    value = 0xFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1) ^ 0x07 if value & 0x80 else value << 1
        value &= 0xFF
    return value


def strip_bits(seed: int, frame: int) -> list[int]:
    """The 32 bits of the strip, leftmost block first."""
    payload = bytes([seed % 256]) + (frame % 65536).to_bytes(2, "big")
    word = int.from_bytes(payload + bytes([crc8(payload)]), "big")
    return [(word >> shift) & 1 for shift in range(STRIP_BLOCKS - 1, -1, -1)]


def read_strip(image: Image.Image) -> tuple[int, int] | None:
    """(seed, frame) as the picture shows them, or None when there is no readable strip."""
    width, height = image.size
    strip = (0, height * (STRIP_SHARE - 1) / STRIP_SHARE, width, height)
    # The middle third of each block, both ways: blur and block edges of a codec do not reach it.
    cells = image.convert("L").resize((STRIP_BLOCKS * 3, 3), Image.Resampling.BOX, box=strip).tobytes()
    levels = cells[STRIP_BLOCKS * 3 + 1 : STRIP_BLOCKS * 6 : 3]
    if any(DARK <= level <= BRIGHT for level in levels):
        return None
    word = sum((level > BRIGHT) << (STRIP_BLOCKS - 1 - index) for index, level in enumerate(levels)).to_bytes(4, "big")
    if crc8(word[:3]) != word[3]:
        return None
    return word[0], int.from_bytes(word[1:3], "big")


class Picture:
    """One stream's picture. Not safe for two threads at once: it repaints its own planes."""

    def __init__(self, width: int, height: int, *, seed: int, name: str, full_range: bool = False) -> None:
        if width % 32 or height % 4:
            raise ValueError(
                f"A test picture's width must be a multiple of 32 and its height of 4, not {width}x{height}."
            )
        self.width, self.height, self.seed = width, height, seed
        self._full_range = full_range
        self._black, self._white = (0, 255) if full_range else (16, 235)
        background = self._background(name)
        self._still: Planes = self._split(background)
        self._planes: Planes = (self._still[0].copy(), self._still[1].copy(), self._still[2].copy())
        self._ball_at: tuple[int, int] | None = None
        self._clock = ""

    def draw(self, number: int, when: datetime) -> Planes:
        """Paint frame `number` as seen at `when`. The planes belong to this picture: use them before the next call."""
        self._move_ball(number)
        self._show_clock(f"{when:%H:%M:%S}.{when.microsecond // 10000:02d}")
        levels = bytes(self._white if bit else self._black for bit in strip_bits(self.seed, number))
        top = self._strip_top
        strip = Image.frombytes("L", (STRIP_BLOCKS, 1), levels)
        self._planes[0].paste(strip.resize((self.width, self.height - top), Image.Resampling.NEAREST), (0, top))
        return self._planes

    @property
    def _strip_top(self) -> int:
        # Even, for the chroma planes; upwards, so that the strip never is smaller than promised.
        return self.height * (STRIP_SHARE - 1) // STRIP_SHARE // 2 * 2

    @cached_property
    def _clock_box(self) -> tuple[int, int, int, int]:
        left, top, cell = self.width // 2, self.height // 3, self.height // 12
        half = (cell * 11 // 2 + cell // 2) // 2 * 2
        return left - half, top // 2 * 2, left + half, (top + self.height // 6) // 2 * 2

    @cached_property
    def _digits(self) -> dict[str, Image.Image]:
        """Each sign of the clock, drawn once: text drawing is the dearest thing in a frame."""
        _, top, _, bottom = self._clock_box
        cell, height = self.height // 12, bottom - top
        font = ImageFont.load_default(self.height // 8)
        tiles = {}
        for sign in "0123456789:.":
            tile = Image.new("L", (cell, height), self._black)
            ImageDraw.Draw(tile).text((cell / 2, height / 2), sign, fill=self._white, font=font, anchor="mm")
            tiles[sign] = tile
        return tiles

    @cached_property
    def _ball(self) -> tuple[Image.Image, Image.Image]:
        """The ball's outline for the luma plane and, half as large, for the chroma planes."""
        size = self.height // 8 // 2 * 2
        outlines = []
        for side in (size, size // 2):
            mask = Image.new("L", (side, side), 0)
            ImageDraw.Draw(mask).ellipse((0, 0, side - 1, side - 1), fill=255)
            outlines.append(mask)
        return outlines[0], outlines[1]

    def _show_clock(self, text: str) -> None:
        left, top, right, _ = self._clock_box
        cell = self.height // 12
        x = left + (right - left - cell * len(text)) // 2
        for place, sign in enumerate(text):
            if self._clock[place : place + 1] != sign:  # most signs stay as they are
                self._planes[0].paste(self._digits[sign], (x + place * cell, top))
        self._clock = text

    def _move_ball(self, number: int) -> None:
        size = self._ball[0].width
        if self._ball_at is not None:
            x, y = self._ball_at
            for plane, still, scale in zip(self._planes, self._still, (1, 2, 2), strict=True):
                box = (x // scale, y // scale, (x + size) // scale, (y + size) // scale)
                plane.paste(still.crop(box), box)
        lane = self.width - size
        step = number * (self.width // 160) % (2 * lane)
        x = min(step, 2 * lane - step) // 2 * 2
        y = (self.height * 5 // 8) // 2 * 2
        colour = self._yuv((255, 214, 64))
        for plane, level, scale in zip(self._planes, colour, (1, 2, 2), strict=True):
            plane.paste(level, (x // scale, y // scale), self._ball[0 if scale == 1 else 1])
        self._ball_at = x, y

    def _background(self, name: str) -> Image.Image:
        """What never changes, in RGB: a sky whose hue is the seed's, a skyline, the name, the clock's and strip's
        panels."""
        dice = random.Random(self.seed)
        hue = self.seed * 0.618034 % 1.0  # golden ratio: neighbouring seeds look least alike
        image = Image.new("RGB", (self.width, self.height))
        draw = ImageDraw.Draw(image)
        for y in range(self.height):
            draw.line((0, y, self.width, y), fill=_rgb(hue, 0.65, 0.75 - 0.4 * y / self.height))
        x, ground = 0, self._strip_top
        while x < self.width:
            breadth = dice.randint(self.width // 24, self.width // 9)
            tall = dice.randint(self.height // 12, self.height // 3)
            draw.rectangle((x, ground - tall, x + breadth, ground), fill=_rgb(hue, 0.5, dice.uniform(0.12, 0.28)))
            x += breadth
        font = ImageFont.load_default(self.height // 9)
        draw.text((self.width // 32, self.height // 24), name, fill=(255, 255, 255), font=font)
        draw.rectangle(self._clock_box, fill=(0, 0, 0))
        draw.rectangle((0, self._strip_top, self.width, self.height), fill=(0, 0, 0))
        return image

    def _split(self, image: Image.Image) -> Planes:
        luma, blue, red = image.convert("YCbCr").split()
        if not self._full_range:
            luma = luma.point([round(16 + level * 219 / 255) for level in range(256)])
            narrow = [round(128 + (level - 128) * 224 / 255) for level in range(256)]
            blue, red = blue.point(narrow), red.point(narrow)
        half = (self.width // 2, self.height // 2)
        return luma, blue.resize(half, Image.Resampling.BOX), red.resize(half, Image.Resampling.BOX)

    def _yuv(self, colour: tuple[int, int, int]) -> tuple[int, int, int]:
        luma, blue, red = Image.new("RGB", (1, 1), colour).convert("YCbCr").tobytes()
        if self._full_range:
            return luma, blue, red
        return round(16 + luma * 219 / 255), round(128 + (blue - 128) * 224 / 255), round(128 + (red - 128) * 224 / 255)


def jpeg(planes: Planes, quality: int = 85) -> bytes:
    """Full-range planes as one JPEG file."""
    luma, blue, red = planes
    # The encoder takes the mean of four: repeating each sample is right for it, and the cheapest way to enlarge.
    large = [plane.resize(luma.size, Image.Resampling.NEAREST) for plane in (blue, red)]
    image = Image.merge("YCbCr", (luma, *large))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return file.getvalue()


def _rgb(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)
