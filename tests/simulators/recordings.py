"""Help for the tests of recordings: strict readers of what a recorder plays and sends as files. They share no code with
the simulators or with the product, except for the strip in a picture."""

import struct
from dataclasses import dataclass
from fractions import Fraction

import av
from PIL import Image

from simulators.picture import read_strip
from tests.simulators.media import entries

CODEC_OF_CHUNK = {b"\xff\x15": "H264", b"\xff\x16": "H265", b"\xff\xd8\xff\xfe": "JPEG"}
DECODER = {"H264": "h264", "H265": "hevc", "JPEG": "mjpeg"}


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        assert len(taken) == count
        self.at += count
        return taken

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def zeros(self, count: int) -> None:
        assert self.take(count) == bytes(count)

    def peek(self, count: int) -> bytes:
        return self.data[self.at : self.at + count]

    def page(self) -> None:
        assert len(self.data) % 4096 == 0
        rest = self.data[self.at :]
        assert len(rest) < 4096
        assert not any(rest)


@dataclass
class Container:
    """A unit of pictures as 3.3.1 lays it out, every length with its own header."""

    codec: str
    information: dict[int, bytes]
    camera_information: list[dict[int, bytes]]
    """Of each picture that has it."""
    start: Fraction
    end: Fraction
    zone: tuple[int, int, int]
    picture_time: Fraction
    images: list[bytes]

    @classmethod
    def parse(cls, data: bytes) -> "Container":
        reader = Reader(data)
        jpeg = reader.peek(2) == b"\xff\xd8"
        codec = CODEC_OF_CHUNK[reader.take(4 if jpeg else 2)]
        told = list(listed(reader.take(reader.number(2) - (2 if jpeg else 4))))
        own = [pair for pair in told if pair[0] in (0x0011, 0x0012, 0x8001)]
        reader.zeros(12)
        assert reader.take(4) == b"\xff\x06\x00\x44"
        reader.zeros(16)
        end, zone = moment(reader)
        start, _ = moment(reader)
        reader.zeros(16)
        picture_time = reader.number(4) + Fraction(reader.number(1), 100)
        reader.zeros(3 + 8)
        cameras = [dict(own)] if own else []
        images: list[bytes] = []
        while reader.peek(2) not in (b"\0\0", b""):
            more: list[tuple[int, bytes]] = []
            while reader.peek(2) != b"\xff\x05":
                identifier, length = reader.number(2), reader.number(2)
                more.append((identifier, reader.take(length - 4)))
            if more:
                cameras.append(dict(more))
            assert reader.take(2) == b"\xff\x05"
            padding, length = reader.number(2), reader.number(4)
            reader.zeros(16)
            images.append(reader.take(length - 24 - padding))
            assert padding < 4
            reader.zeros(padding)
            assert (len(images[-1]) + padding) % 4 == 0
        reader.page()
        assert not own or len(cameras) == len(images)
        return cls(
            codec, {key: value for key, value in told if key not in (0x0011, 0x0012, 0x8001)}, cameras, start, end,
            zone, picture_time, images,
        )  # fmt: skip

    def word(self, identifier: int) -> int:
        assert self.information[identifier][2:4] == b"\0\0"
        return int.from_bytes(self.information[identifier][:2], "big")

    @property
    def rate(self) -> int:
        assert self.word(0x0009) % 10 == 0
        return self.word(0x0009) // 10

    def times(self) -> list[Fraction]:
        """Of its pictures, as far as the camera tells them."""
        return [
            int.from_bytes(told[0x0011][:4], "big") + Fraction(int.from_bytes(told[0x0012][:2], "big"), 100)
            for told in self.camera_information
        ]

    def numbers(self, seed: int) -> list[int]:
        """What the decoded pictures show in their strips."""
        return shown(self.codec, self.images, seed)


def listed(data: bytes) -> list[tuple[int, bytes]]:
    return list(entries(data).items())


def moment(reader: Reader) -> tuple[Fraction, tuple[int, int, int]]:
    """A time, and hours, minutes and TZ info."""
    seconds, hundredths, hours, minutes, bits = struct.unpack("!IBBBB", reader.take(8))
    return seconds + Fraction(hundredths, 100), (hours, minutes, bits)


def shown(codec: str, images: list[bytes], seed: int) -> list[int]:
    decoder = av.CodecContext.create(DECODER[codec], "r")
    frames = []
    for number, image in enumerate(images):
        packet = av.Packet(image)
        packet.pts = number
        frames += decoder.decode(packet)
    if codec != "JPEG":
        frames += decoder.decode(None)
    return numbers([frame.to_image() for frame in frames], seed)


def numbers(images: list[Image.Image], seed: int) -> list[int]:
    strips = [read_strip(image) for image in images]
    assert {shown for shown, _ in strips} == {seed}
    return [number for _, number in strips]


def taken(moment: Fraction, rate: int) -> int:
    """The number that the picture told to be of this time has in its strip."""
    number = int(moment * rate)
    return (number if Fraction(number, rate) >= moment else number + 1) % 65536


@dataclass
class SoundContainer:
    """A second of sound as 3.3.2 lays it out."""

    camera: int
    codec: int
    """0 G.726, 1 G.711, 0x13 AAC."""
    start: int
    end: int
    units: list[bytes]

    @classmethod
    def parse(cls, data: bytes) -> "SoundContainer":
        reader = Reader(data)
        kind, camera, size = reader.number(2), reader.number(2), reader.number(4)
        aac = kind == 0xFF13
        assert aac or kind == 0xFF03
        assert reader.take(4) == (b"\xff\x12\x00\x3c" if aac else bytes(4))
        start, zone = moment(reader)
        end = reader.number(4)
        reader.zeros(4)
        sign, hours, minutes, summer = reader.take(4)
        assert zone == (hours, minutes, sign << 7 | summer << 6)
        codec = reader.number(1)
        reader.zeros(3 + 4 + 28)
        begun = reader.at
        units = []
        while reader.at < begun + size:
            if not aac:
                units.append(reader.take(size))
                continue
            assert reader.take(2) == b"\xff\x14"
            length, padding, header = reader.number(2), reader.number(1), reader.number(1)
            reader.zeros(2)
            assert header == 0
            units.append(reader.take(length - 8 - padding))
            reader.zeros(padding)
        assert reader.at == begun + size
        reader.page()
        return cls(camera, 0x13 if aac else codec, int(start), end, units)


@dataclass
class DownloadPart:
    headers: dict[str, str]
    body: bytes

    def name(self, header: str) -> str:
        value = self.headers[header]
        assert value.startswith('filename = "')
        assert value.endswith('"')
        return value.removeprefix('filename = "').removesuffix('"')

    @property
    def temporary(self) -> str:
        return self.name("X-Temp-FileName")

    @property
    def previous(self) -> str:
        return self.name("X-Prev-Filename")

    @property
    def status(self) -> str:
        return self.headers["X-RecData-Satus"]


def parts(answer: bytes) -> list[DownloadPart]:
    """All parts of a whole answer."""
    found = []
    reader = Reader(answer)
    while reader.peek(14) == b"--myboundary\r\n":
        reader.take(14)
        end = answer.index(b"\r\n\r\n", reader.at)
        headers = dict(each.decode().split(": ", 1) for each in reader.take(end - reader.at).split(b"\r\n"))
        reader.take(4)
        found.append(DownloadPart(headers, reader.take(int(headers["Content-Length"]))))
        assert reader.take(2) == b"\r\n"
    assert answer[reader.at :] == b"--myboundary--\r\n"
    return found


def files(answer: bytes) -> dict[str, bytes]:
    """The files of a whole answer by their final names, as the sequence of 6.3.1 tells a client to save them."""
    saved: dict[str, bytes] = {}
    temporary, content = "", bytearray()
    for part in parts(answer):
        assert part.status == "0"
        if part.previous:
            assert part.previous.rpartition(".")[0] == temporary.rpartition(".")[0]
            assert part.previous not in saved
            saved[part.previous], content = bytes(content), bytearray()
            assert part.temporary != temporary
        else:
            assert part.temporary == temporary or not temporary
        temporary = part.temporary
        content += part.body
    assert temporary == ""
    assert not content
    return saved
