"""Stills and the stream of the simulated IPCam, with the status it tells in each picture's header."""

import asyncio
import io
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from PIL import Image

from simulators.ipcam import IpcamSimulator
from simulators.picture import read_strip
from tests.simulators.cameras import Camera, Watching, fields
from tests.simulators.helpers import eventually, raw

NOON = 1_800_000_000.0


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    async with (
        httpx.AsyncClient(trust_env=False, timeout=5, verify=False) as http,
        IpcamSimulator(seed=7, name="Yard", now=lambda: NOON) as device,
    ):
        yield Camera(device, http)


@dataclass
class Part:
    head: bytes
    image: Image.Image

    @property
    def status(self) -> str:
        return re.search(rb"Date: (.*)\r\n", self.head)[1].decode()


async def part(watching: Watching) -> Part:
    head = await watching.until(b"\r\n\r\n")
    picture = await watching.exactly(int(re.search(rb"Content-Length: (\d+)", head, re.IGNORECASE)[1]))
    assert await watching.exactly(4) == b"\r\n\r\n"
    return Part(head, Image.open(io.BytesIO(picture)))


@pytest.mark.parametrize(("resolution", "size"), [("0", (160, 120)), ("1", (320, 240)), ("2", (640, 480))])
@pytest.mark.parametrize("compression", ["0", "4"])
async def test_a_still_has_the_size_and_compression_set(camera, resolution, size, compression):
    await camera.get(f"/image.cgi?VideoResolution={resolution}&CompressionRate={compression}")
    reply = await camera.get("/image.jpg")
    assert reply.headers["content-type"] == "image/jpeg"
    image = Image.open(io.BytesIO(reply.content))
    assert image.size == size
    assert read_strip(image)[0] == 7
    assert camera.violations == []


async def test_more_compression_makes_smaller_pictures(camera):
    sizes = []
    for compression in range(5):
        await camera.get(f"/image.cgi?CompressionRate={compression}")
        sizes.append(int(fields(await camera.get("/iimage.cgi"))["FrameSize"].removesuffix(" Bytes")))
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 5


async def test_a_still_ends_with_two_line_ends_that_do_not_count(camera):
    reply = await raw(camera.device, b"GET /image.jpg HTTP/1.0\r\n\r\n")
    head, _, rest = reply.partition(b"\r\n\r\n")
    length = int(re.search(rb"Content-Length: (\d+)", head)[1])
    assert rest[length:] == b"\r\n\r\n"
    assert rest[length - 2 : length] == b"\xff\xd9"


async def test_the_stream_is_as_the_document_prints_it(camera):
    async with Watching(camera.device, "/mjpeg.cgi") as watching:
        assert watching.head.startswith(b"HTTP/1.0 200 OK\r\n")
        assert b"\r\nContent-Type: multipart/x-mixed-replace;boundary=--video boundary--\r\n" in watching.head
        parts = [await part(watching) for _ in range(4)]
    for each in parts:
        assert re.fullmatch(
            rb"--video boundary--\r\nContent-Length: \d+\r\n"
            rb"Date: 2027-01-15 08:00:00 IO_00000000_PT_170_068\r\nContent-Type: image/jpeg\r\n\r\n",
            each.head,
        )
    strips = [read_strip(each.image) for each in parts]
    assert {seed for seed, _ in strips} == {7}
    numbers = [number for _, number in strips]
    assert numbers == sorted(set(numbers))
    assert camera.violations == []


async def test_the_stream_tells_position_and_outputs_as_they_change(camera):
    async with Watching(camera.device, "/mjpeg.cgi") as watching:
        await part(watching)
        for body in ("Trigger1=1", "ImageEmail=1"):
            await camera.post("/iocontrol.cgi", body)
        body = "PanTiltHorizontal=5&PanTiltVertical=135&PanTiltPositionMove=true"
        await camera.post("/pantiltcontrol.cgi", body)
        async with asyncio.timeout(5):
            while (told := (await part(watching)).status.split()[2]) == "IO_00000000_PT_170_068":
                pass
            while told != "IO_00001001_PT_005_135":
                told = (await part(watching)).status.split()[2]


async def test_new_settings_reach_a_running_stream(camera):
    async with Watching(camera.device, "/mjpeg.cgi") as watching:
        assert (await part(watching)).image.size == (640, 480)
        await camera.get("/image.cgi?VideoResolution=0")
        async with asyncio.timeout(5):
            while (await part(watching)).image.size != (160, 120):
                pass


async def test_who_is_watching_is_told_while_he_does(camera):
    assert (await camera.get("/activeuser.cgi")).text == ""
    await camera.get("/user.cgi?AccessControlEnable=0")
    await camera.get("/userlist.cgi?UserName=guard&UserPassword=tulip&UserPrivilege=0&UserAdd=Yes")
    await camera.get("/image.cgi?FrameRate=20")
    async with (
        Watching(camera.device, "/mjpeg.cgi", "guard", "tulip") as one,
        Watching(camera.device, "/mjpeg.cgi") as two,
    ):
        await part(one)
        await part(two)
        told = (await camera.get("/activeuser.cgi")).text
        entry = "UserIPAddress=127.0.0.1\r\nUserName={}\r\nAccessDateTime=2027-01-15 08:00:00\r\n"
        entry += "MinisecondPerPacket=50\r\n"
        assert told == entry.format("guard") + entry.format("admin")
    await eventually(lambda: camera.device.state()["viewers"] == 0)
    assert (await camera.get("/activeuser.cgi")).text == ""


async def test_without_access_control_a_viewer_has_no_name(camera):
    async with Watching(camera.device, "/mjpeg.cgi") as watching:
        await part(watching)
        assert "UserName=\r\n" in (await camera.get("/activeuser.cgi")).text


async def test_a_stream_can_stand_still_and_go_on(camera):
    async with Watching(camera.device, "/mjpeg.cgi") as watching:
        await part(watching)
        camera.device.inject("stop-frames")
        async with asyncio.timeout(5):
            while True:  # pictures already on their way still come
                try:
                    await asyncio.wait_for(part(watching), 0.4)
                except TimeoutError:
                    break
        camera.device.inject("clear")
        await part(watching)


async def test_a_stream_can_stand_still_for_a_while(camera):
    async with Watching(camera.device, "/mjpeg.cgi") as watching:
        await part(watching)
        camera.device.inject("stop-frames", seconds=0.3)
        for _ in range(5):
            await part(watching)


async def test_a_restart_ends_the_stream(camera):
    async with Watching(camera.device, "/mjpeg.cgi") as watching:
        await part(watching)
        assert (await camera.get("/reset.cgi?Reset=Yes")).status_code == 204
        await watching.end()
    assert camera.device.state()["viewers"] == 0


async def test_the_part_of_other_firmware():
    oddities = "american-date,leftmost-io,bare-boundary,vendor-part-headers"
    async with IpcamSimulator(oddities=oddities, now=lambda: NOON + 7200 * 3) as device:
        device.io["Trigger1"] = "1"
        async with Watching(device, "/mjpeg.cgi") as watching:
            assert b";boundary=video boundary--\r\n" in watching.head
            assert re.fullmatch(
                rb"--video boundary--\r\nContent-length: \d+\r\n"
                rb"Date: 01-15-2027 02:00:00 PM IO_10000000_PT_170_068\r\nContent-type: image/jpeg\r\n\r\n",
                (await part(watching)).head,
            )
