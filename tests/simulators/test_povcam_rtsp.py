"""RTSP as sections 12 and 13 print it, and what the recorder refuses."""

import asyncio
import base64
import re
import socket
import struct
import time
from itertools import pairwise

import pytest

from simulators.device import Manners
from simulators.picture import read_strip
from simulators.povcam import PovcamSimulator
from tests.simulators.helpers import ADMIN, Packet, decode, eventually
from tests.simulators.rtsp_client import TCP, RtspClient, digest

METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, TEARDOWN"
SOUND_LINES = [
    "m=audio 0 RTP/AVP 99",
    "a=control:trackID=2",
    "a=rtpmap:99 mpeg4-generic/48000/2",
    "a=fmtp:99 streamType=5; profile-level-id=41; mode=AAC-hbr; config=1190; sizeLength=13; indexLength=3; "
    "indexDeltaLength=3; bitrate=128000",
    "a=h264-esid:101",
]


def sessions(device: PovcamSimulator) -> list[dict]:
    return device.state()["rtsp"]["sessions"]


def receiver_report(source: int = 0, blocks: int = 1) -> bytes:
    block = struct.pack("!IIIIII", source, 0, 1, 0, 0, 0)
    return struct.pack("!BBHI", 0x80 | blocks, 201, 1 + 6 * blocks, 77) + block * blocks


async def test_the_sequence_of_section_13_3_brings_pictures_and_sound(client):
    await client.set("set_audio?audio=1&audio_sens=middle")
    async with RtspClient(client.device) as rtsp:
        told = await rtsp.ask("OPTIONS")
        assert told.head == f"RTSP/1.0 200 OK\r\nCSeq: 2\r\nPublic: {METHODS}\r\n\r\n"
        told = await rtsp.ask("DESCRIBE", Accept="application/sdp")
        assert told.head == (
            f"RTSP/1.0 200 OK\r\nCSeq: 3\r\nContent-Base: {rtsp.url}/\r\nContent-Type: application/sdp\r\n"
            f"Content-Length: {len(told.body)}\r\n\r\n"
        )
        told = await rtsp.setup(TCP)
        assert re.fullmatch(
            r"RTSP/1\.0 200 OK\r\nCSeq: 4\r\nSession: \d{31};timeout=120\r\n"
            r"Transport: RTP/AVP/TCP;unicast;interleaved=20-21;ssrc=00000000\r\n\r\n",
            told.head,
        )
        told = await rtsp.setup("RTP/AVP/TCP;unicast;interleaved=2-3", 2)
        assert told["Transport"] == "RTP/AVP/TCP;unicast;interleaved=22-23;ssrc=00000000"
        told = await rtsp.play()
        info = re.fullmatch(
            r"RTSP/1\.0 200 OK\r\nCSeq: 6\r\nSession: \d{31}\r\nRTP-Info: url=trackID=1;seq=(\d+);rtptime=(\d+)\r\n"
            r" {10}url=trackID=2;seq=(\d+);rtptime=(\d+)\r\n\r\n",
            told.head,
        )
        pictures = await rtsp.pictures(40)
        await rtsp.more(22, 30)
        assert (await rtsp.ask("GET_PARAMETER")).status == 200
        told = await rtsp.ask("TEARDOWN")
        assert (told.status, told["Session"]) == (200, rtsp.session)
    strips = [read_strip(frame.to_image()) for frame in decode(pictures)]
    assert {seed for seed, _ in strips} == {7}
    video, sound = ([Packet.parse(data) for data in rtsp.data[channel]] for channel in (20, 22))
    # A machine that is too slow leaves pictures out; their times tell how many.
    times = [packet.timestamp for packet in video if packet.marker]
    taken = [(time - times[0]) % 2**32 / 3000 for time in times[: len(strips)]]
    assert [number - strips[0][1] for _, number in strips] == taken
    assert taken == sorted(set(taken))
    assert {packet.payload_type for packet in video} == {98}
    assert {packet.payload_type for packet in sound} == {99}
    for packets, number, moment, clock in ((video, info[1], info[2], 90_000), (sound, info[3], info[4], 48_000)):
        assert packets[0].sequence == int(number)
        assert (packets[0].timestamp - int(moment)) % 2**32 < 5 * clock
        assert all((after.sequence - before.sequence) % 65536 == 1 for before, after in pairwise(packets))
    assert {(after.timestamp - before.timestamp) % 2**32 for before, after in pairwise(sound)} == {1024}
    assert (client.violations, sessions(client.device), client.device.encoding) == ([], [], [])
    assert not client.device.sounding


@pytest.mark.parametrize(("stream", "rate", "bits"), [(1, "30.0", 4096), (2, "15.0", 1024)])
async def test_the_description_is_as_printed(client, stream, rate, bits):
    async with RtspClient(client.device, stream) as rtsp:
        lines = (await rtsp.ask("DESCRIBE")).body.split("\r\n")
        video = [
            "m=video 0 RTP/AVP 98",
            f"b=AS:{bits}",
            f"a=framerate:{rate}",
            "a=control:trackID=1",
            "a=rtpmap:98 H264/90000",
            "a=fmtp:98 packetization-mode=1",
            "a=h264-esid:201",
        ]
        head = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=Media Presentation", "e=NONE", "c=IN IP4 0.0.0.0"]
        tail = ["t=0 0", "a=control:*", "a=range:npt=now-"]
        assert lines == [*head, f"b=AS:{bits + 128}", *tail, *video, *SOUND_LINES, ""]
        await client.set("set_audio?audio_transmit=0")
        assert (await rtsp.ask("DESCRIBE")).body.split("\r\n") == [*head, f"b=AS:{bits}", *tail, *video, ""]
        assert (await rtsp.setup(TCP, 2)).status == 404
    assert client.violations == ["url"]


async def test_by_udp_pictures_sound_and_reports_come_to_the_ports_asked_for(client, make_pair):
    (video, video_reports), (sound, _) = make_pair(), make_pair()
    async with RtspClient(client.device, 2) as rtsp:
        told = await rtsp.setup(f"RTP/AVP;unicast;client_port={video.number}-{video.number + 1}")
        server = re.fullmatch(
            rf"RTP/AVP/UDP;unicast;client_port={video.number}-{video.number + 1};server_port=(\d+)-(\d+);ssrc=0{{8}}",
            told["Transport"],
        )
        assert int(server[2]) == int(server[1]) + 1
        await rtsp.setup(f"RTP/AVP;unicast;client_port={sound.number}-{sound.number + 1}", 2)
        await rtsp.play()
        frames = decode(await video.pictures(5))
        assert {read_strip(frame.to_image())[0] for frame in frames} == {7}
        assert (await sound.receive()).payload_type == 99
        report = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(video_reports.socket, 2000), 5)
        assert report[:2] == b"\x80\xc8"
        video_reports.socket.sendto(receiver_report(), ("127.0.0.1", int(server[2])))
        await eventually(lambda: sessions(client.device)[0]["receiver_reports"] == {"1": 1, "2": 0})
        await rtsp.ask("TEARDOWN")
    assert await video.silent(0.3)
    assert await sound.silent(0.1)
    assert client.violations == []


async def test_by_unicast_manual_the_ports_of_the_settings_are_taken(client, make_pair):
    (video, _), (sound, _) = make_pair(), make_pair()
    await client.set(
        f"set_h264_2?h264_unimulti=uni_manual&unicast_port={video.number}&unicast_audio_port={sound.number}"
    )
    async with RtspClient(client.device, 2) as rtsp:
        told = await rtsp.setup("RTP/AVP;unicast;client_port=50000-50001")
        assert f";client_port={video.number}-{video.number + 1};" in told["Transport"]
        await rtsp.setup("RTP/AVP;unicast;client_port=50002-50003", 2)
        await rtsp.play()
        await video.pictures(2)
        await sound.receive()
        await rtsp.ask("TEARDOWN")
    assert client.violations == []


def joined(port, group: str):
    membership = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
    port.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    return port


async def test_by_multicast_members_share_the_group_and_pause_is_ignored(client, make_port_at):
    video = joined(make_port_at("239.192.7.2", 30_000), "239.192.7.2")
    sound = joined(make_port_at("239.192.7.2", 30_000, plus=1000, of=video), "239.192.7.2")
    await client.set(f"set_h264_2?h264_unimulti=multi&multicast_port={video.number}&multicast_ttl=1")
    async with RtspClient(client.device, 2) as first, RtspClient(client.device, 2) as second:
        for rtsp in (first, second):
            told = await rtsp.setup("RTP/AVP;multicast;client_port=52944-52945")
            ports = f"{video.number}-{video.number + 1}"
            assert told["Transport"] == f"RTP/AVP/UDP;multicast;destination=239.192.7.2;ttl=1;port={ports}"
            told = await rtsp.setup("RTP/AVP;multicast;client_port=52946-52947", 2)
            assert told["Transport"].endswith(f";port={sound.number}-{sound.number + 1}")
            await rtsp.play()
        await video.pictures(3)
        numbers = [packet.sequence for packet in video.packets]
        assert numbers == [(numbers[0] + index) % 65536 for index in range(len(numbers))]
        assert (await sound.receive()).payload_type == 99
        assert (await first.ask("PAUSE")).status == 200
        await video.pictures(3)
        assert (await first.ask("TEARDOWN")).status == 200
        await video.pictures(3)
        assert (await second.ask("TEARDOWN")).status == 200
        assert await video.silent(0.3)
    assert (client.violations, client.device.encoding) == ([], [])


async def test_pause_stops_and_play_goes_on(client):
    async with RtspClient(client.device, 2) as rtsp:
        await rtsp.setup(TCP)
        await rtsp.play()
        await rtsp.more(20, 3)
        assert (await rtsp.ask("PAUSE")).status == 200
        count = len(rtsp.data[20])
        await asyncio.sleep(0.3)
        assert (await rtsp.ask("GET_PARAMETER")).status == 200
        assert (len(rtsp.data[20]), client.device.encoding) == (count, [])
        await rtsp.play()
        await rtsp.more(20, count + 3)


async def test_the_way_asked_for_must_be_the_way_that_is_set(client):
    async with RtspClient(client.device, 2) as rtsp:
        assert (await rtsp.setup("RTP/AVP;multicast;client_port=52944-52945")).status == 461
        await client.set("set_h264_2?h264_unimulti=multi")
        assert (await rtsp.setup(TCP)).status == 461
        await client.set("set_h264_2?h264_unimulti=uni_manual")
        assert (await rtsp.setup(TCP)).status == 461
    assert (client.violations, client.notes) == ([], ["delivery"] * 3)


@pytest.mark.parametrize(("setting", "stream"), [("set_h264?h264_transmit=0", 1), ("set_priority_mode?mode=rec_pb", 2)])
async def test_setup_is_503_while_a_stream_is_not_transmitted(client, setting, stream):
    await client.set(setting)
    async with RtspClient(client.device, stream) as rtsp:
        assert (await rtsp.ask("DESCRIBE")).status == 200
        assert (await rtsp.setup(TCP)).status == 503
    assert (client.violations, client.notes) == ([], ["transmission_off"])


@pytest.mark.parametrize("setting", ["h264_transmit=0", "h264_unimulti=multi"])
async def test_a_session_ends_when_its_stream_does(client, setting):
    async with RtspClient(client.device, 2) as rtsp:
        await rtsp.setup(TCP)
        await rtsp.play()
        await rtsp.more(20, 2)
        await client.set(f"set_h264_2?{setting}")
        assert (await rtsp.ask("GET_PARAMETER")).status == 454
    assert (client.violations, client.notes) == ([], ["unknown_session"])


async def test_another_size_comes_on_the_same_session(client):
    async with RtspClient(client.device, 2) as rtsp:
        await rtsp.setup(TCP)
        await rtsp.play()
        await rtsp.pictures(3)
        await client.set("set_h264_2?h264_resolution=1280")
        async with asyncio.timeout(5):
            while decode(await rtsp.pictures(len(rtsp.data[20]) // 2 + 1))[-1].width != 1280:
                pass
    assert client.violations == []


async def test_a_session_not_kept_alive_ends():
    async with PovcamSimulator(rtsp_seconds=0.6, manners=Manners(0, 0)) as device, RtspClient(device, 2) as rtsp:
        assert (await rtsp.setup(TCP))["Session"].endswith(";timeout=0.6")
        await rtsp.play()
        began = time.monotonic()
        while time.monotonic() < began + 1.2:
            await asyncio.sleep(0.2)
            assert (await rtsp.ask("GET_PARAMETER")).status == 200
        await eventually(lambda: not sessions(device))
        assert device.encoding == []
        assert (await rtsp.ask("GET_PARAMETER")).status == 454


async def test_by_tcp_a_session_ends_with_its_connection_and_by_udp_it_does_not(client, rtp_port):
    async with RtspClient(client.device, 2) as rtsp:
        await rtsp.setup(TCP)
        await rtsp.play()
    await eventually(lambda: not sessions(client.device))
    async with RtspClient(client.device, 2) as rtsp:
        await rtsp.setup(f"RTP/AVP;unicast;client_port={rtp_port.number}-{rtp_port.number + 1}")
        await rtsp.play()
    await rtp_port.pictures(2)
    async with RtspClient(client.device, 2, session=rtsp.session) as rtsp:
        assert (await rtsp.ask("GET_PARAMETER")).status == 200
        assert (await rtsp.ask("TEARDOWN")).status == 200
    assert await rtp_port.silent(0.3)
    assert client.violations == []


async def test_reports_come_with_the_first_packet_and_those_of_the_client_are_counted(client):
    async with RtspClient(client.device, 2) as rtsp:
        await rtsp.setup(TCP)
        await rtsp.play()
        packet = Packet.parse((await rtsp.more(20, 1))[0])
        report = (await rtsp.more(21, 1))[0]
        assert struct.unpack_from("!BBH", report) == (0x80, 200, 6)
        source, seconds, fraction, moment, packets, _ = struct.unpack_from("!IIIIII", report, 4)
        assert (source, packets) == (0, 1)
        assert abs(seconds - 2_208_988_800 + fraction / 2**32 - time.time()) < 5
        assert abs(moment - packet.timestamp) < 90_000
        assert report[28:30] == b"\x81\xca"
        rtsp.send(21, receiver_report())
        rtsp.send(21, receiver_report(blocks=0))
        rtsp.send(21, receiver_report())
        await eventually(lambda: sessions(client.device)[0]["receiver_reports"]["1"] == 2)
        assert client.violations == []
        rtsp.send(21, receiver_report(source=5))
        rtsp.send(21, b"\x80\xc9\x00\x07")
        rtsp.send(9, receiver_report())
        await eventually(lambda: client.violations == ["rtcp", "rtcp", "channel"])


async def test_who_is_needed_for_cgi_is_needed_for_rtsp():
    async with PovcamSimulator(user_auth=True, live_user="guard", live_password="pear") as device:
        async with RtspClient(device) as rtsp:
            told = await rtsp.ask("OPTIONS")
            assert (told.status, told["WWW-Authenticate"].split(" ")[0]) == (401, "Digest")
            for user, status in (("guard", 200), ("thief", 401)):
                credentials = digest(told["WWW-Authenticate"], user, "pear", "DESCRIBE", rtsp.url)
                assert (await rtsp.ask("DESCRIBE", Authorization=credentials)).status == status
        assert [remark.kind for remark in device.violations] == []
        assert [remark.kind for remark in device.notes] == ["login_failed"]


async def test_set_parameter_and_others_are_not_implemented(client):
    async with RtspClient(client.device) as rtsp:
        for method in ("SET_PARAMETER", "ANNOUNCE", "RECORD", "REDIRECT"):
            assert (await rtsp.ask(method)).status == 501
    assert client.violations == ["method"] * 4


UDP = "RTP/AVP;unicast;client_port=40000-40001"
REFUSED = [
    ("OPTIONS", "{url}/", {}, 404, "url"),
    ("OPTIONS", "*", {}, 404, "url"),
    ("DESCRIBE", "{root}/mediainput/h264/stream_3", {}, 404, "url"),
    ("DESCRIBE", "{root}/mediainput/h264/stream_1?x=1", {}, 404, "url"),
    ("DESCRIBE", "rtsp://admin:12345@127.0.0.1/mediainput/h264/stream_1", {}, 404, "url"),
    ("DESCRIBE", "{url}", {"Accept": "text/plain"}, 406, "accept"),
    ("SETUP", "{url}/", {"Transport": UDP}, 404, "url"),
    ("SETUP", "{url}/trackID=3", {"Transport": UDP}, 404, "url"),
    ("SETUP", "{url}/trackID=1", {}, 400, "missing_header"),
    ("SETUP", "{url}/trackID=1", {"Transport": "RTP/AVP;unicast"}, 461, "transport"),
    ("SETUP", "{url}/trackID=1", {"Transport": "RTP/AVP;unicast;client_port=40000-40003"}, 461, "transport"),
    ("SETUP", "{url}/trackID=1", {"Transport": "RTP/AVP;unicast;client_port=80-81"}, 461, "transport"),
    ("SETUP", "{url}/trackID=1", {"Transport": "RTP/SAVP;unicast;client_port=40000-40001"}, 461, "transport"),
    ("SETUP", "{url}/trackID=1", {"Transport": "RTP/AVP/TCP;unicast;interleaved=0"}, 461, "transport"),
    ("SETUP", "{url}/trackID=1", {"Transport": UDP + ";mode=record"}, 461, "transport"),
    ("SETUP", "{url}/trackID=1", {"Transport": UDP, "Session": "12"}, 454, "session"),
    ("PLAY", "{url}/", {}, 454, "session"),
    ("PAUSE", "{url}/", {"Session": "12"}, 454, "session"),
    ("TEARDOWN", "{url}", {}, 404, "url"),
    ("GET_PARAMETER", "{url}/trackID=1", {}, 460, "url"),
]


@pytest.mark.parametrize(("method", "url", "headers", "status", "kind"), REFUSED)
async def test_what_the_document_does_not_show_is_refused(client, method, url, headers, status, kind):
    async with RtspClient(client.device) as rtsp:
        root = rtsp.url.partition("/mediainput")[0]
        told = await rtsp.ask(method, url.format(url=rtsp.url, root=root), **headers)
        assert (told.status, told["CSeq"]) == (status, "2")
    assert client.violations == [kind]
    assert sessions(client.device) == []


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("OPTIONS rtsp://x/mediainput/h264/stream_1/RTSP/1.0\r\nCSeq: 2\r\n\r\n", 400),
        ("OPTIONS rtsp://x/mediainput/h264/stream_1 RTSP/2.0\r\nCSeq: 2\r\n\r\n", 505),
        ("OPTIONS rtsp://x/mediainput/h264/stream_1 RTSP/1.0\r\n\r\n", 400),
        ("OPTIONS rtsp://x/mediainput/h264/stream_1 RTSP/1.0\r\nCSeq: 2\r\nno header\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 505),
        ("OPTIONS " + "x" * 9000 + " RTSP/1.0\r\n", 400),
    ],
)
async def test_what_is_not_rtsp_is_malformed(client, text, status):
    async with RtspClient(client.device) as rtsp:
        assert (await rtsp.raw(text)).status == status
    assert client.violations == ["malformed"]


async def test_states_and_counters_are_looked_after(client):
    async with RtspClient(client.device) as rtsp, RtspClient(client.device) as other:
        await rtsp.setup(TCP)
        assert (await rtsp.setup(TCP)).status == 455
        assert (await rtsp.setup(UDP, 2)).status == 461
        assert (await rtsp.ask("PLAY", Range="npt=10-")).status == 457
        assert (await rtsp.ask("GET_PARAMETER", body="x: y")).status == 451
        rtsp.number -= 1
        assert (await rtsp.ask("GET_PARAMETER")).status == 400
        one, rtsp.session = rtsp.session, ""
        assert (await rtsp.setup(TCP)).status == 455
        other.stream, other.session = 2, one
        assert (await other.ask("GET_PARAMETER")).status == 454
    assert client.violations == ["state", "transport", "range", "body", "cseq", "state"]
    assert client.notes == ["unknown_session"]


async def test_the_port_is_told_and_can_be_another(client):
    told = await client.read("setdata")
    assert client.device.rtsp_url == f"rtsp://127.0.0.1:{told['RTSPPORT']}/mediainput/h264/stream_1"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with RtspClient(client.device) as before:
        await client.set(f"set_rtsp?rtsp_port={port}")
        assert client.device.rtsp_url.startswith(f"rtsp://127.0.0.1:{port}/")
        async with RtspClient(client.device) as after:
            assert (await after.ask("OPTIONS")).status == 200
        assert (await before.ask("OPTIONS", before.url)).status == 200
        async with PovcamSimulator() as other:
            taken = other.settings.rtsp_port
            await client.set(f"network?rtsp_port={taken}")
            assert (await client.read("setdata"))["RTSPPORT"] == taken
            assert client.device.rtsp_url.startswith(f"rtsp://127.0.0.1:{port}/")


async def test_a_restart_ends_connections_and_sessions_and_listens_again(quick):
    url = quick.device.rtsp_url
    async with RtspClient(quick.device, 2) as rtsp:
        await rtsp.setup(TCP)
        await rtsp.play()
        await quick.ask("initial?cmd=reset&Randomnum=0123456789abcdef", "POST", ADMIN)
        with pytest.raises(asyncio.IncompleteReadError):
            await rtsp.more(20, 1000)
    await quick.restarted()
    assert (quick.device.rtsp_url, sessions(quick.device)) == (url, [])
    async with RtspClient(quick.device) as rtsp:
        assert (await rtsp.ask("OPTIONS")).status == 200
    assert quick.violations == []


async def test_what_was_asked_is_remembered(client):
    async with RtspClient(client.device) as rtsp:
        await rtsp.ask("OPTIONS")
        await rtsp.ask("RECORD")
        assert [(asked.method, asked.target, asked.status) for asked in client.device.requests] == [
            ("OPTIONS", rtsp.url, 200),
            ("RECORD", rtsp.url + "/", 501),
        ]


def odd(names: str) -> PovcamSimulator:
    return PovcamSimulator(seed=7, oddities=names, manners=Manners(0, 0))


async def test_the_info_of_play_can_be_written_in_other_ways():
    async with odd("rtptime-dots,comma-rtp-info") as device, RtspClient(device, 2) as rtsp:
        await rtsp.setup(TCP)
        await rtsp.setup(TCP, 2)
        info = re.fullmatch(
            r"url=trackID=1;seq=(\d+);rtptime=\.\.\.,url=trackID=2;seq=\d+;rtptime=\.\.\.",
            (await rtsp.play())["RTP-Info"],
        )
        assert Packet.parse((await rtsp.more(20, 1))[0]).sequence == int(info[1])


async def test_the_source_can_be_the_one_that_is_announced():
    async with odd("announced-ssrc") as device, RtspClient(device, 2) as rtsp:
        source = int((await rtsp.setup(TCP))["Transport"].rpartition("ssrc=")[2], 16)
        await rtsp.play()
        assert source != 0
        assert {Packet.parse(data).ssrc for data in await rtsp.more(20, 20)} == {source}
        assert int.from_bytes((await rtsp.more(21, 1))[0][4:8], "big") == source
        rtsp.send(21, receiver_report(source))
        await eventually(lambda: sessions(device)[0]["receiver_reports"]["1"] == 1)
        rtsp.send(21, receiver_report(0))
        await eventually(lambda: [remark.kind for remark in device.violations] == ["rtcp"])


async def test_the_description_can_have_the_parameter_sets():
    async with odd("sprop") as device, RtspClient(device, 2) as rtsp:
        body = (await rtsp.ask("DESCRIBE")).body
        sets = re.search(r"\r\na=fmtp:98 packetization-mode=1;sprop-parameter-sets=([^\r,]+),([^\r,]+)\r\n", body)
        await rtsp.setup(TCP)
        await rtsp.play()
        first = (await rtsp.pictures(1))[0]
        assert [base64.b64decode(each) for each in sets.groups()] == first[1:3]
