"""Streams of the simulated cameras that send JPEG: what goes wrong in them, ways of other firmware, and sound."""

import asyncio
import io
import re

import av
import httpx
import pytest
from PIL import Image, UnidentifiedImageError

from simulators.hama import HamaSimulator
from simulators.ipcam import IpcamSimulator
from simulators.multipart import GARBAGE
from simulators.picture import read_strip
from simulators.sound import pitch
from tests.simulators.cameras import ADMIN, Camera, Watching
from tests.simulators.helpers import eventually
from tests.simulators.media import is_tone, samples

STREAM = {IpcamSimulator: "/mjpeg.cgi", HamaSimulator: "/mjpg/video.mjpg"}
STILL = {IpcamSimulator: "/image.jpg", HamaSimulator: "/jpg/image.jpg"}
BOUNDARY = {IpcamSimulator: b"--video boundary--\r\n", HamaSimulator: b"--myboundary\r\n"}
SOUND = "/camera-cgi/audio/receive.cgi"
both = pytest.mark.parametrize("family", STREAM)


def make(family, **settings):
    return family(seed=7, **settings)


async def everything(watching: Watching) -> bytes:
    """All that comes until the device closes."""
    found = b""
    async with asyncio.timeout(5):
        while more := await watching._reader.read(65536):
            found += more
    return found


async def part(watching: Watching) -> tuple[bytes, bytes]:
    """Head and picture, by the length the head tells; what ends the picture before is not looked at."""
    head = b""
    while not head:
        head = (await watching.until(b"\r\n\r\n")).lstrip(b"\r\n")
    return head, await watching.exactly(int(re.search(rb"Content-length: (\d+)", head, re.IGNORECASE)[1]))


@both
async def test_a_stream_breaks_off_in_the_middle_of_a_picture(family):
    async with make(family) as device:
        async with Watching(device, STREAM[family]) as watching:
            await part(watching)
            device.inject("cut-streams")
            rest = await everything(watching)
        head, _, picture = rest[rest.rindex(BOUNDARY[family]) :].partition(b"\r\n\r\n")
        assert 0 < len(picture) < int(re.search(rb"Content-Length: (\d+)", head)[1])
        async with Watching(device, STREAM[family]) as again:
            await part(again)
            await part(again)


@both
async def test_garbage_comes_between_pictures(family):
    async with make(family) as device:
        device.inject("garbage-parts", every=2)
        async with Watching(device, STREAM[family]) as watching:
            assert (await part(watching))[0].startswith(BOUNDARY[family])
            await watching.until(GARBAGE)
            assert (await part(watching))[0].startswith(BOUNDARY[family])


@both
async def test_a_restart_ends_streams_and_new_ones_follow_it(family):
    async with make(family) as device:
        async with Watching(device, STREAM[family]) as watching:
            await part(watching)
            device.inject("reboot", seconds=0.2)
            await watching.end()
        await eventually(lambda: device._restart.done())
        async with Watching(device, STREAM[family]) as again:
            assert read_strip(Image.open(io.BytesIO((await part(again))[1])))[0] == 7


@both
async def test_a_client_that_goes_away_is_noticed_though_nothing_is_sent(family):
    watched = {IpcamSimulator: "viewers", HamaSimulator: "streaming"}[family]
    async with make(family) as device:
        device.inject("stop-frames")
        async with Watching(device, STREAM[family]):
            await eventually(lambda: device.state()[watched] == 1)
        await eventually(lambda: device.state()[watched] == 0)


async def still(family, oddities: str) -> bytes:
    async with make(family, oddities=oddities) as device, httpx.AsyncClient(trust_env=False, timeout=5) as http:
        reply = await Camera(device, http).get(STILL[family], ADMIN)
        assert reply.status_code == 200
        return reply.content


@both
async def test_pictures_without_tables_still_hold_the_picture(family):
    picture = await still(family, "no-dht")
    assert b"\xff\xc4" not in picture
    decoder = av.CodecContext.create("mjpeg", "r")
    (frame,) = decoder.decode(av.Packet(picture))
    assert read_strip(frame.to_image())[0] == 7


@both
async def test_pictures_without_an_end_and_with_a_line_end_before(family):
    assert not (await still(family, "no-eoi")).endswith(b"\xff\xd9")
    picture = await still(family, "crlf-first")
    assert picture[:4] == b"\r\n\xff\xd8"
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(picture))
    assert read_strip(Image.open(io.BytesIO(picture[2:])))[0] == 7


@both
async def test_the_head_of_a_part_of_other_firmware(family):
    async with make(family, oddities="no-part-length") as device, Watching(device, STREAM[family]) as watching:
        assert b"Length" not in await watching.until(b"\r\n\r\n")
    async with make(family, oddities="short-part-length") as device, Watching(device, STREAM[family]) as watching:
        _, picture = await part(watching)
        assert not picture.endswith(b"\xff\xd9")
        assert await watching.exactly(2) == b"\xff\xd9"
    async with make(family, oddities="bare-lf") as device, Watching(device, STREAM[family]) as watching:
        head = await watching.until(b"\n\n")
        assert b"\r" not in head
        assert re.search(rb"Content-Length: \d+\n", head)


@both
async def test_the_beginning_of_a_stream_of_other_firmware(family):
    async with make(family, oddities="no-first-boundary") as device, Watching(device, STREAM[family]) as watching:
        first, second = await part(watching), await part(watching)
        assert BOUNDARY[family] not in first[0]
        assert BOUNDARY[family] in second[0]
    async with make(family, oddities="blank-first") as device, Watching(device, STREAM[family]) as watching:
        assert await watching.exactly(4) == b"\r\n\r\n"
        assert (await part(watching))[0].startswith(BOUNDARY[family])
        assert (await part(watching))[0].startswith(BOUNDARY[family])


async def test_the_sound_is_the_devices_tone():
    async with make(HamaSimulator) as device, Watching(device, SOUND) as listening:
        frames = [await listening.exactly(33) for _ in range(60)]
        assert device.violations == []
    heard = samples("gsm", frames, rate=8000)
    assert is_tone(heard, pitch(7), 8000)


async def test_the_sound_can_stop_and_break_off_within_a_frame():
    async with make(HamaSimulator) as device:
        async with Watching(device, SOUND) as listening:
            await listening.exactly(33)
            device.inject("stop-frames", seconds=0.3)
            frames = [await listening.exactly(33) for _ in range(10)]
            assert {frame[0] >> 4 for frame in frames} == {0xD}
            device.inject("cut-streams")
            assert len(await everything(listening)) % 33 == 16
        await eventually(lambda: device.state()["streaming"] == 0)
