"""What goes wrong with a live stream, on purpose."""

import asyncio
import contextlib
from itertools import pairwise

import pytest

from simulators.picture import read_strip
from simulators.povcam import PovcamSimulator
from tests.simulators.helpers import Packet, decode, eventually, raw
from tests.simulators.rtsp_client import TCP, RtspClient
from tests.simulators.test_povcam_streaming import start


async def test_packets_can_come_late_and_none_is_lost(client, rtp_port):
    client.device.inject("late-packets", every=7, number=3)
    await start(client, rtp_port.number)
    while len(rtp_port.packets) < 60:
        await rtp_port.receive()
    numbers = [packet.sequence for packet in rtp_port.packets]
    steps = {(after - before) % 65536 for before, after in pairwise(numbers)}
    assert steps == {1, 2, 65536 - 3, 4}
    unwrapped = sorted((number - numbers[0]) % 65536 for number in numbers)[:50]
    assert unwrapped == list(range(50))


async def test_all_pictures_can_stand_still_and_go_on(client, rtp_port):
    await start(client, rtp_port.number, 2)
    await rtp_port.pictures(1)
    reader, writer = await asyncio.open_connection(client.device.host, client.device.port)
    writer.write(b"GET /cgi-bin/mjpeg?framerate=30 HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"\r\n--myboundary")
    client.device.inject("stop-frames")
    assert await rtp_port.silent(0.3)
    async with asyncio.timeout(5):  # until nothing has come for half a second
        with contextlib.suppress(TimeoutError):
            while True:
                await asyncio.wait_for(reader.read(65536), 0.5)
    client.device.inject("clear")
    await asyncio.wait_for(reader.readuntil(b"--myboundary"), 5)
    await rtp_port.pictures(1)
    writer.close()


async def test_everything_can_break_off_in_the_middle_of_a_picture(client, rtp_port):
    uid = await start(client, rtp_port.number)
    watching = asyncio.create_task(raw(client.device, b"GET /cgi-bin/mjpeg?framerate=30 HTTP/1.1\r\nHost: x\r\n\r\n"))
    async with RtspClient(client.device) as rtsp:
        await rtsp.setup(TCP)
        await rtsp.play()
        await rtsp.more(20, 5)
        await rtp_port.pictures(2)
        client.device.inject("cut-frames")
        with pytest.raises(asyncio.IncompleteReadError) as broken:
            await rtsp.more(20, 10_000)
        assert len(broken.value.partial) == broken.value.expected // 2
        assert not Packet.parse(rtsp.data[20][-1]).marker
    parts = (await watching).split(b"--myboundary")
    assert parts[-2].endswith(b"\xff\xd9\r\n")
    assert not parts[-1].endswith(b"\xff\xd9\r\n")
    while rtp_port.packets[-1].marker:
        await rtp_port.receive()
    assert await rtp_port.silent(0.3)
    assert (await client.ask(f"keep_alive?mode=h.264&protocol=rtp&UID={uid}&stream=1")).status_code == 500
    assert client.device.encoding == []
    assert (client.violations, client.notes) == ([], ["unknown_uid"])


async def test_the_pictures_can_change_their_size(client, rtp_port):
    await start(client, rtp_port.number, 2)
    await rtp_port.pictures(1)
    client.device.inject("resize", number=2, mode="1280")
    async with asyncio.timeout(5):
        while decode(await rtp_port.pictures(1))[-1].width != 1280:
            pass
    assert (await client.read("setdata"))["H264SIZE_2"] == "1280"


async def test_sessions_can_be_lost_without_a_word(client):
    async with RtspClient(client.device, 2) as rtsp:
        await rtsp.setup(TCP)
        await rtsp.play()
        await rtsp.more(20, 2)
        client.device.inject("lose-sessions")
        await eventually(lambda: client.device.encoding == [])
        assert (await rtsp.ask("GET_PARAMETER")).status == 454
        rtsp.session = ""
        assert (await rtsp.setup(TCP)).status == 200
    assert (client.violations, client.notes) == ([], ["unknown_session"])


async def test_a_method_can_be_refused_and_its_connection_break(client):
    async with RtspClient(client.device, 2) as rtsp:
        client.device.inject("status", path="rtsp:", mode="PLAY", status=454)
        await asyncio.sleep(0)
        assert (await rtsp.setup(TCP)).status == 200
        assert (await rtsp.play()).status == 454
        assert (await rtsp.play()).status == 200
        client.device.inject("half", path="rtsp:", mode="GET_PARAMETER")
        await asyncio.sleep(0)
        with pytest.raises(asyncio.IncompleteReadError):
            await rtsp.ask("GET_PARAMETER")
    async with RtspClient(client.device, 2) as rtsp:
        client.device.inject("hang", path="rtsp:")
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(rtsp.ask("OPTIONS"), 0.3)
    async with RtspClient(client.device, 2) as rtsp:
        client.device.inject("reset", path="rtsp:")
        await asyncio.sleep(0)
        with pytest.raises(ConnectionResetError):
            await rtsp.ask("OPTIONS")
    async with RtspClient(client.device, 2) as rtsp:
        client.device.inject("garbage", path="rtsp:")
        await asyncio.sleep(0)
        with pytest.raises(UnicodeDecodeError):
            await rtsp.ask("OPTIONS")


async def test_faults_of_rtsp_leave_http_alone(client):
    client.device.inject("status", path="rtsp:", status=500, times=0)
    await asyncio.sleep(0)
    assert (await client.ask("getinfo?FILE=1")).status_code == 200
    async with RtspClient(client.device) as rtsp:
        assert (await rtsp.ask("OPTIONS")).status == 500


def test_a_size_that_is_none_is_no_fault():
    with pytest.raises(ValueError, match="640 or 1280"):
        PovcamSimulator().inject("resize", mode="800")


async def test_a_client_that_does_not_read_loses_packets_and_nobody_else_does(client, rtp_port):
    """What waits for it is bounded; it gets whole packets only."""
    client.device._media.video[2].change(client.device._media.video[1].format)
    async with RtspClient(client.device, 2) as idle:
        await idle.setup(TCP)
        await idle.play()
        await start(client, rtp_port.number, 2)
        strips = [read_strip(frame.to_image()) for frame in decode(await rtp_port.pictures(45))]
        numbers = [strip[1] for strip in strips if strip]
        assert len(numbers) == 45
        assert numbers == sorted(set(numbers))
        for data in await idle.more(20, 30):
            Packet.parse(data)
