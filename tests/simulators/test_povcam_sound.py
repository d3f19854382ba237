"""Sound: by CGI over RTP and HTTP, by RTSP, as it is set, and held against the pictures."""

import array
import asyncio
import io
import socket
from itertools import pairwise

import av
import httpx
import pytest

from simulators.device import Manners
from simulators.picture import read_strip
from simulators.povcam import PovcamSimulator
from tests.simulators.helpers import Client, Packet, RtpPort, decode, eventually
from tests.simulators.rtsp_client import TCP, RtspClient

ON = "set_audio?audio=1&audio_sens=middle"
RATE = 48_000


@pytest.fixture
async def listened(client) -> Client:
    await client.set(ON)
    return client


async def start(client: Client, port: int, vcodec: str = "h264") -> int:
    uid = await client.uid(vcodec)
    reply = await client.ask(f"audio?connect=start&protocol=rtp&my_port={port}&UID={uid}&mode=in")
    assert reply.status_code == 200
    return uid


async def received(port: RtpPort, count: int) -> list[Packet]:
    return [await port.receive() for _ in range(count)]


def heard(units: list[bytes], config: str = "1190") -> tuple[array.array, int]:
    """The samples of the first channel, and the number of channels."""
    codec = av.CodecContext.create("aac", "r")
    codec.extradata = bytes.fromhex(config)
    samples, channels = array.array("f"), 0
    for unit in units:
        for frame in codec.decode(av.Packet(unit)):
            samples.frombytes(bytes(frame.planes[0])[: 4 * frame.samples])
            channels = frame.layout.nb_channels
    return samples, channels


def hertz(samples: array.array) -> float:
    rising = [at for at, (before, after) in enumerate(pairwise(samples)) if before < 0 <= after]
    return (len(rising) - 1) * RATE / (rising[-1] - rising[0])


def loudness(samples: array.array) -> float:
    return max(map(abs, samples))


async def test_by_cgi_each_unit_has_an_au_header_of_two_bytes(listened, rtp_port):
    await start(listened, rtp_port.number)
    packets = await received(rtp_port, 60)
    assert {(packet.payload_type, packet.ssrc, packet.marker) for packet in packets} == {(99, 0, True)}
    assert all((after.sequence - before.sequence) % 65536 == 1 for before, after in pairwise(packets))
    assert {(after.timestamp - before.timestamp) % 2**32 for before, after in pairwise(packets)} == {1024}
    assert all(int.from_bytes(packet.payload[:2], "big") >> 3 == len(packet.payload) - 2 for packet in packets)
    samples, channels = heard([packet.payload[2:] for packet in packets])
    assert channels == 2
    assert hertz(samples[RATE // 2 :]) == pytest.approx(300 + 20 * 7, abs=3)  # the seed is 7
    assert listened.violations == []


@pytest.mark.parametrize(
    ("oddities", "by_cgi", "by_rtsp"),
    [
        ("", 2, 4),
        ("full-au-header", 4, 4),
        ("bare-au-header", 2, 2),
        ("no-au-header", 0, 0),
        ("mono-sound", 2, 4),
    ],
)
async def test_the_au_header_has_the_form_it_is_told_to_have(rtp_port, oddities, by_cgi, by_rtsp):
    async with PovcamSimulator(seed=7, oddities=oddities, manners=Manners(0, 0)) as device:
        client = Client(device)
        await client.set(ON)
        await start(client, rtp_port.number)
        async with RtspClient(device, 2) as rtsp:
            await rtsp.setup(TCP, 2)
            await rtsp.play()
            others = [Packet.parse(data).payload for data in await rtsp.more(22, 40)]
        mine = [packet.payload for packet in await received(rtp_port, 40)]
        for payloads, header in ((mine, by_cgi), (others, by_rtsp)):
            sizes = {0: (), 2: (2,), 4: (4,)}[header]
            for payload in payloads:
                for size in sizes:
                    assert int.from_bytes(payload[size - 2 : size], "big") >> 3 == len(payload) - size
                assert header != 4 or payload[:2] == b"\x00\x10"
            samples, channels = heard(
                [payload[header:] for payload in payloads], "1188" if oddities == "mono-sound" else "1190"
            )
            assert hertz(samples[RATE // 4 :]) == pytest.approx(440, abs=4)
            assert channels == (1 if oddities == "mono-sound" else 2)


async def test_the_beep_falls_on_the_pictures_of_the_full_second(listened):
    """Reports tie both clocks to one: the beep begins when a picture is taken whose number is a multiple of 15."""
    async with RtspClient(listened.device, 2) as rtsp:
        await rtsp.setup(TCP)
        await rtsp.setup(TCP, 2)
        await rtsp.play()
        await rtsp.more(22, 100)
        await rtsp.more(20, 1)
    sound = [Packet.parse(data) for data in rtsp.data[22]]
    samples, _ = heard([packet.payload[4:] for packet in sound])
    loud = [index for index in range(0, len(samples) - 480, 480) if max(map(abs, samples[index : index + 480])) > 0.25]
    beep = next(at for before, at in pairwise(loud) if at - before > RATE // 2)
    tied = {}
    for channel, clock in ((21, 90_000), (23, RATE)):
        report = rtsp.data[channel][0]
        wall = int.from_bytes(report[8:12], "big") + int.from_bytes(report[12:16], "big") / 2**32
        tied[channel] = wall, int.from_bytes(report[16:20], "big"), clock

    def wall_of(channel: int, timestamp: int) -> float:
        wall, told, clock = tied[channel]
        difference = (timestamp - told + 2**31) % 2**32 - 2**31
        return wall + difference / clock

    beep_at = wall_of(23, sound[0].timestamp + beep)
    picture_at = wall_of(21, Packet.parse(rtsp.data[20][0]).timestamp)
    first = read_strip(decode((await rtsp.pictures(1))[:1])[0].to_image())[1]
    assert (first + (beep_at - picture_at) * 15 + 0.5) % 15 == pytest.approx(0.5, abs=0.3)


@pytest.mark.parametrize("kilobits", [64, 96, 128])
async def test_the_bit_rate_is_the_one_that_is_set(listened, rtp_port, kilobits):
    await listened.set(f"set_audio?audio_bitrate={kilobits}")
    await start(listened, rtp_port.number)
    packets = await received(rtp_port, 50)
    sent = sum(len(packet.payload) - 2 for packet in packets) * 8 * RATE / (50 * 1024) / 1000
    assert sent == pytest.approx(kilobits, rel=0.15)
    async with RtspClient(listened.device) as rtsp:
        assert f"; bitrate={kilobits}000\r\n" in (await rtsp.ask("DESCRIBE")).body


async def test_by_rtsp_an_input_that_is_off_is_silence(client):
    async with RtspClient(client.device, 2) as rtsp:
        await rtsp.setup(TCP, 2)
        await rtsp.play()
        payloads = [Packet.parse(data).payload for data in await rtsp.more(22, 20)]
        assert loudness(heard([payload[4:] for payload in payloads])[0]) < 0.001
        await client.set(ON)
        payloads = [Packet.parse(data).payload for data in await rtsp.more(22, 80)][40:]
        assert loudness(heard([payload[4:] for payload in payloads])[0]) > 0.05


async def test_by_cgi_sound_ends_when_the_input_does(listened, rtp_port):
    uid = await start(listened, rtp_port.number)
    await rtp_port.receive()
    await listened.set("set_audio?audio=0")
    assert await rtp_port.silent(0.3)
    assert (await listened.ask(f"keep_alive?mode=h.264&protocol=rtp&UID={uid}&stream=1")).status_code == 200
    assert not listened.device.sounding


async def test_without_transmission_there_is_no_sound(listened):
    async with RtspClient(listened.device, 2) as rtsp:
        await rtsp.setup(TCP)
        await rtsp.setup(TCP, 2)
        await rtsp.play()
        await rtsp.more(22, 2)
        await listened.set("set_audio?audio_transmit=0")
        await rtsp.pictures(30)
        assert not listened.device.sounding
        uid = await listened.uid()
        reply = await listened.ask(f"audio?connect=start&protocol=http&UID={uid}&mode=in")
        assert (reply.status_code, listened.notes) == (500, ["audio_off"])


async def test_a_stop_needs_the_port_of_the_start_and_leaves_the_uid(listened, rtp_port):
    uid = await start(listened, rtp_port.number)
    await rtp_port.receive()
    stop = f"audio?connect=stop&protocol=rtp&my_port={{}}&UID={uid}&mode=in"
    assert (await listened.ask(stop.format(40000))).status_code == 403
    assert (await listened.ask(f"keep_alive?mode=audio&protocol=rtp&UID={uid}")).status_code == 200
    assert (await listened.ask(stop.format(rtp_port.number))).status_code == 200
    assert await rtp_port.silent(0.3)
    assert [session["audio"] for session in listened.device.sessions()] == [False]
    assert (listened.violations, listened.device.sounding) == (["uid"], False)


async def test_by_unicast_manual_sound_goes_to_the_port_that_is_set(listened, rtp_port):
    await listened.set(f"set_h264?h264_unimulti=uni_manual&unicast_audio_port={rtp_port.number}")
    await start(listened, 40_000)
    assert (await rtp_port.receive()).payload_type == 99


async def test_a_uid_for_jpeg_is_without_sound(listened):
    uid = await listened.uid("jpeg")
    reply = await listened.ask(f"audio?connect=start&protocol=http&UID={uid}&mode=in")
    assert (reply.status_code, listened.violations) == (403, ["uid"])


async def test_by_http_sound_is_framed_by_adts_until_it_is_stopped(listened):
    uid = await listened.uid()
    url = f"{listened.device.url}/cgi-bin/audio?connect=start&protocol=http&UID={uid}&mode=in"
    data = b""
    async with httpx.AsyncClient(trust_env=False, verify=False) as http, http.stream("GET", url) as reply:
        assert (reply.status_code, reply.headers["content-type"]) == (200, "audio/aac")
        async for part in reply.aiter_raw():
            data += part
            if len(data) > 20_000 and listened.device.sounding:
                assert (await listened.ask(f"audio?connect=stop&protocol=http&UID={uid}&mode=in")).status_code == 200
    with av.open(io.BytesIO(data), format="aac") as container:
        samples = sum(frame.samples for frame in container.decode(container.streams[0]))
    assert samples > RATE
    assert not listened.device.sounding


async def test_a_listener_by_http_who_leaves_ends_the_work(listened):
    uid = await listened.uid()
    url = f"{listened.device.url}/cgi-bin/audio?connect=start&protocol=http&UID={uid}&mode=in"
    async with httpx.AsyncClient(trust_env=False, verify=False) as http, http.stream("GET", url) as reply:
        await anext(reply.aiter_raw())
        assert listened.device.sounding
    await eventually(lambda: not listened.device.sounding)


async def test_sound_can_stop_while_the_pictures_go_on(listened):
    async with RtspClient(listened.device, 2) as rtsp:
        await rtsp.setup(TCP)
        await rtsp.setup(TCP, 2)
        await rtsp.play()
        await rtsp.more(22, 5)
        listened.device.inject("stop-sound")
        await asyncio.sleep(0.1)
        await rtsp.ask("GET_PARAMETER")
        pictures, sound = len(rtsp.data[20]), len(rtsp.data[22])
        await rtsp.more(20, pictures + 20)
        assert len(rtsp.data[22]) == sound
        listened.device.inject("clear")
        await rtsp.more(22, sound + 2)


async def test_by_multicast_sound_comes_a_thousand_ports_higher(listened, make_port_at):
    sound = make_port_at("239.192.7.1", 31_000)
    joined = socket.inet_aton("239.192.7.1") + socket.inet_aton("127.0.0.1")
    sound.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
    await listened.set(f"set_h264?h264_unimulti=multi&multicast_port={sound.number - 1000}")
    uid = await listened.uid()
    reply = await listened.ask(f"audio?connect=start&protocol=rtp&UID={uid}&mode=in")
    assert reply.status_code == 200
    assert (await sound.receive()).payload_type == 99
    assert (await listened.ask(f"audio?connect=stop&protocol=rtp&UID={uid}&mode=in")).status_code == 200
    assert await sound.silent(0.3)
    assert listened.violations == []
