"""UIDs and the RTP they bring."""

import asyncio
import socket
from itertools import pairwise

import pytest

from simulators.device import Manners
from simulators.picture import read_strip
from simulators.povcam import PovcamSimulator
from tests.simulators.helpers import ADMIN, Client, decode, eventually

FORMATS = {1: (1280, 720, 30), 2: (640, 360, 15)}


async def start(client: Client, port: int, stream: int = 1) -> int:
    uid = await client.uid("h264" if stream == 1 else "h264_2")
    reply = await client.ask(f"h264?my_port={port}&connect=start&protocol=rtp&UID={uid}&stream={stream}")
    assert reply.status_code == 200
    return uid


async def stop(client: Client, port: int, uid: int, stream: int = 1) -> None:
    reply = await client.ask(f"h264?my_port={port}&connect=stop&protocol=rtp&UID={uid}&stream={stream}")
    assert reply.status_code == 200


@pytest.mark.parametrize("stream", [1, 2])
async def test_the_pictures_arrive_whole_and_in_order(client, rtp_port, stream):
    width, height, rate = FORMATS[stream]
    uid = await start(client, rtp_port.number, stream)
    pictures = await rtp_port.pictures(rate + 5)
    await stop(client, rtp_port.number, uid, stream)
    frames = decode(pictures)
    strips = [read_strip(frame.to_image()) for frame in frames]
    first = strips[0][1]
    assert strips == [(7, (first + number) % 65536) for number in range(rate + 5)]
    assert {(frame.width, frame.height) for frame in frames} == {(width, height)}
    assert client.violations == []


async def test_rtp_is_as_section_15_says(client, rtp_port):
    await start(client, rtp_port.number)
    pictures = await rtp_port.pictures(40)
    packets = rtp_port.packets
    assert {packet.payload_type for packet in packets} == {98}
    assert {packet.ssrc for packet in packets} == {0}
    first = packets[0].sequence
    assert [packet.sequence for packet in packets] == [(first + n) % 65536 for n in range(len(packets))]
    opening = [packets[0]] + [after for before, after in pairwise(packets) if before.marker]
    assert len(opening) == 40
    assert all(packet.extension is not None and len(packet.extension) % 4 == 0 for packet in opening)
    assert sum(packet.extension is not None for packet in packets) == 40
    times = [packet.timestamp for packet in opening]
    assert {(after - before) % 2**32 for before, after in pairwise(times)} == {3000}
    assert any(packet.payload[0] & 0x1F == 28 for packet in packets), "FU-A is used"
    keys = [
        [unit[0] & 0x1F for unit in picture] for picture in pictures if any(unit[0] & 0x1F == 5 for unit in picture)
    ]
    assert len(keys) >= 2
    assert all(kinds[:3] == [9, 7, 8] for kinds in keys)


async def test_the_sequence_starts_at_random(client, make_port):
    starts = set()
    for _ in range(3):
        port = make_port()
        uid = await start(client, port.number, 2)
        starts.add((await port.receive()).sequence)
        await stop(client, port.number, uid, 2)
    assert len(starts) > 1


async def test_two_receivers_share_an_encoder_and_it_stops_with_the_last(client, make_port):
    one, two = make_port(), make_port()
    assert client.device.encoding == []
    first = await start(client, one.number, 2)
    await one.pictures(1)
    second = await start(client, two.number, 2)
    await asyncio.gather(one.pictures(3), two.pictures(3))
    assert client.device.encoding == [2]
    await stop(client, one.number, first, 2)
    assert await one.silent(0.3)
    assert await two.pictures(2)
    await stop(client, two.number, second, 2)
    assert await two.silent(0.3)
    assert client.device.encoding == []


async def test_a_start_repeated_to_another_port_moves_the_stream(client, make_port):
    one, two = make_port(), make_port()
    uid = await start(client, one.number, 2)
    await one.pictures(1)
    await client.ask(f"h264?my_port={two.number}&connect=start&protocol=rtp&UID={uid}&stream=2")
    await two.pictures(1)
    assert await one.silent(0.3)


async def test_a_stop_needs_the_port_it_was_started_with(client, rtp_port):
    uid = await start(client, rtp_port.number, 2)
    reply = await client.ask(f"h264?my_port=40000&connect=stop&protocol=rtp&UID={uid}&stream=2")
    assert (reply.status_code, client.violations) == (403, ["uid"])
    await rtp_port.pictures(1)


async def test_a_uid_serves_only_the_stream_it_was_asked_for(client, rtp_port):
    uid = await client.uid("h264")
    reply = await client.ask(f"h264?my_port={rtp_port.number}&connect=start&protocol=rtp&UID={uid}&stream=2")
    assert reply.status_code == 403
    assert (await client.ask(f"keep_alive?mode=jpeg&protocol=http&UID={uid}")).status_code == 403
    reply = await client.ask(f"jpeg?connect=start&framerate=5&resolution=640&UID={uid}")
    assert reply.status_code == 403
    assert client.violations == ["uid", "uid", "uid"]


async def test_a_stopped_uid_is_gone(client, rtp_port):
    uid = await start(client, rtp_port.number)
    await stop(client, rtp_port.number, uid)
    assert list(client.device.sessions()) == []
    assert (await client.ask(f"keep_alive?mode=h.264&protocol=rtp&UID={uid}&stream=1")).status_code == 500
    assert (client.violations, client.notes) == ([], ["unknown_uid"])


async def test_a_uid_not_kept_alive_ends_with_its_stream(rtp_port):
    async with PovcamSimulator(uid_seconds=0.9, max_uids=1, manners=Manners(0, 0)) as device:
        client = Client(device)
        uid = await start(client, rtp_port.number, 2)
        for _ in range(3):
            await asyncio.sleep(0.4)
            reply = await client.ask(f"keep_alive?mode=h.264_2&protocol=rtp&UID={uid}&stream=2")
            assert reply.status_code == 200
        await rtp_port.pictures(2)
        await eventually(lambda: not list(device.sessions()))
        assert await rtp_port.silent(0.3)
        assert device.encoding == []
        assert await client.uid() != uid  # the only UID is free again


async def test_the_priority_mode_ends_streams_it_has_not(client, rtp_port):
    await start(client, rtp_port.number, 2)
    await rtp_port.pictures(1)
    await client.ask("set_priority_mode?mode=rec_pb", "POST", ADMIN)
    assert await rtp_port.silent(0.3)


async def test_lost_uids_stop_their_streams(client, rtp_port):
    uid = await start(client, rtp_port.number, 2)
    await rtp_port.pictures(1)
    client.device.inject("lose-uids")
    assert await rtp_port.silent(0.3)
    assert (await client.ask(f"keep_alive?mode=h.264_2&protocol=rtp&UID={uid}&stream=2")).status_code == 500
    assert client.violations == []


async def test_frames_can_stop_while_the_session_lives(client, rtp_port):
    await start(client, rtp_port.number, 2)
    await rtp_port.pictures(1)
    client.device.inject("stop-frames")
    assert await rtp_port.silent(0.3)
    assert len(list(client.device.sessions())) == 1
    client.device.inject("clear")
    await rtp_port.pictures(1)


async def test_lost_packets_leave_holes_in_the_sequence(client, rtp_port):
    await start(client, rtp_port.number)
    await rtp_port.pictures(1)
    client.device.inject("lose-packets", every=5)
    rtp_port.packets.clear()
    while len(rtp_port.packets) < 40:
        await rtp_port.receive()
    numbers = [packet.sequence for packet in rtp_port.packets[10:]]
    missing = (numbers[-1] - numbers[0]) % 65536 + 1 - len(numbers)
    assert missing > 3


async def test_the_side_door_tells_where_uids_stream(client, rtp_port):
    uid = await start(client, rtp_port.number, 2)
    (session,) = (await client.ask("/_sim/sessions")).json()["sessions"]
    assert (session["uid"], session["vcodec"]) == (uid, "h264_2")
    assert session["streaming"] == {"host": "127.0.0.1", "port": rtp_port.number}


async def test_a_new_title_is_in_the_next_picture(client, rtp_port):
    async def first_picture():
        uid = await start(client, rtp_port.number, 2)
        picture = decode(await rtp_port.pictures(1))[0].to_image()
        await stop(client, rtp_port.number, uid, 2)
        assert await rtp_port.silent(0.2)
        return picture.crop((0, 0, 320, 60))

    before = await first_picture()
    await client.ask("set_basic?cam_title=III", "POST", ADMIN)
    after = await first_picture()
    bright = [sum(level > 200 for level in image.convert("L").tobytes()) for image in (before, after)]
    assert bright[0] > 1.5 * bright[1]


async def test_a_changed_format_is_in_the_stream_at_once(client, rtp_port):
    await start(client, rtp_port.number, 2)
    assert decode(await rtp_port.pictures(1))[0].width == 640
    await client.set("set_h264_2?h264_resolution=1280&framerate=5&h264_bandwidth=2048")
    async with asyncio.timeout(5):
        while True:
            picture = (await rtp_port.pictures(1))[0]
            if any(unit[0] & 0x1F == 7 for unit in picture) and decode([picture])[0].width == 1280:
                break
    assert read_strip(decode([picture])[0].to_image())[0] == 7
    assert client.device.encoding == [2]


async def test_by_multicast_a_group_is_sent_to_once_and_until_the_last_leaves(client, make_port):
    port = make_port("239.192.7.2")
    joined = socket.inet_aton("239.192.7.2") + socket.inet_aton("127.0.0.1")
    port.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
    await client.set(f"set_h264_2?h264_unimulti=multi&multicast_port={port.number}")
    first, second = await client.uid("h264_2"), await client.uid("h264_2")
    for uid in (first, second):
        assert (await client.ask(f"h264?connect=start&protocol=rtp&UID={uid}&stream=2")).status_code == 200
    assert {session["streaming"]["host"] for session in client.device.sessions()} == {"239.192.7.2"}
    await port.pictures(3)
    numbers = [packet.sequence for packet in port.packets]
    assert numbers == [(numbers[0] + index) % 65536 for index in range(len(numbers))]
    assert (await client.ask(f"h264?connect=stop&protocol=rtp&UID={first}&stream=2")).status_code == 200
    await port.pictures(1)
    assert (await client.ask(f"h264?connect=stop&protocol=rtp&UID={second}&stream=2")).status_code == 200
    assert await port.silent(0.3)
    assert client.device.encoding == []
    assert client.violations == []


async def test_a_stream_ends_when_it_is_sent_another_way(client, rtp_port):
    await start(client, rtp_port.number, 2)
    await rtp_port.pictures(1)
    await client.set("set_h264_2?h264_unimulti=multi")
    assert await rtp_port.silent(0.3)
    uid = await client.uid("h264_2")
    await client.ask(f"h264?connect=start&protocol=rtp&UID={uid}&stream=2")
    await client.set("set_h264_2?multicast_addr4=77")
    assert list(client.device.sessions()) == []
    assert client.device.encoding == []


async def test_by_unicast_manual_pictures_go_to_the_port_that_is_set(client, rtp_port):
    await client.set(f"set_h264_2?h264_unimulti=uni_manual&unicast_port={rtp_port.number}")
    uid = await start(client, 40_000, 2)
    await rtp_port.pictures(2)
    assert [session["streaming"]["port"] for session in client.device.sessions()] == [rtp_port.number]
    await stop(client, 40_000, uid, 2)
    assert await rtp_port.silent(0.3)
    assert client.violations == []


async def test_a_report_comes_to_the_port_after_the_pictures(client, make_pair):
    video, reports = make_pair()
    await start(client, video.number, 2)
    report = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(reports.socket, 2000), 5)
    assert report[:4] == b"\x80\xc8\x00\x06"
    assert (await video.receive()).payload_type == 98
