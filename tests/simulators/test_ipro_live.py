"""Live pictures and sound of the simulated recorder, as section 2 of the document frames them."""

import asyncio
import contextlib
import io
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from PIL import Image

from simulators.ipro import IproSimulator
from simulators.ipro.information import placeholder
from simulators.ipro.records import Zone
from simulators.multipart import GARBAGE
from simulators.sound import AUDIO_SPECIFIC_CONFIG, pitch
from tests.simulators.helpers import Packet, RtpPort, eventually
from tests.simulators.media import DELIMITER, Opened, assembled, entries, is_tone, kinds, picture, samples, seen, strip
from tests.simulators.recorder import CALM, Recorder

SIZE = "320x192"
CAMERA = {"H264": 1, "H265": 4}
PAYLOAD_TYPE = {"H264": 98, "H265": 101}
KEY = {"H264": [9, 7, 8, 6, 5], "H265": [35, 32, 33, 34, 39, 20]}
OTHER = {"H264": [9, 8, 6, 1], "H265": [35, 34, 39, 1]}
both_codecs = pytest.mark.parametrize("comp", ["H264", "H265"])


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    async with IproSimulator(seed=3, size=SIZE, control=True, gaps=CALM, zone=Zone(-210, summer=True)) as device:
        recorder = Recorder(device)
        async with recorder.http:
            yield recorder


@dataclass
class Started:
    recorder: Recorder
    uid: str
    camera: int
    comp: str
    way: str

    def target(self, command: str) -> str:
        return f"push.cgi?UID={self.uid}&CAM={self.camera}&CMD={command}&COMP={self.comp}{self.way}"

    async def stop(self) -> int:
        return await self.recorder.says(self.target("STOP"))


async def by_rtp(recorder: Recorder, camera: int, comp: str, port: int, uid: str | None = None) -> Started:
    started = Started(recorder, uid or await recorder.live(), camera, comp, f"&PORT={port}")
    assert await recorder.says(started.target("START")) == 200
    return started


async def by_http(recorder: Recorder, camera: int, comp: str, uid: str | None = None) -> tuple[Started, Opened]:
    started = Started(recorder, uid or await recorder.live(), camera, comp, "&INTERNETMODE=ON")
    return started, Opened(recorder.device, started.target("START"))


def flat(pictures: list[list[Packet]]) -> list[Packet]:
    return [packet for packets in pictures for packet in packets]


def check_pictures(comp: str, pictures: list[list[Packet]]) -> None:
    """More than a GOP of a camera, from its first picture on."""
    packets = flat(pictures)
    assert {packet.payload_type for packet in packets} == {PAYLOAD_TYPE[comp]}
    first = packets[0].sequence
    assert [packet.sequence for packet in packets] == [(first + index) % 65536 for index in range(len(packets))]
    codec = comp.lower()
    units = [assembled(codec, each) for each in pictures]
    assert kinds(codec, units[0]) == KEY[comp]
    assert kinds(codec, units[1]) == OTHER[comp]
    gop = {"H264": 15, "H265": 10}[comp]
    assert [kinds(codec, each) for each in units].index(KEY[comp], 1) == gop
    numbers = seen(codec, units).numbers(48 + CAMERA[comp])
    assert numbers == list(range(numbers[0], numbers[0] + len(pictures)))
    steps = {(b[0].timestamp - a[0].timestamp) % 2**32 for a, b in itertools.pairwise(pictures)}
    assert steps == {90_000 // gop}


@both_codecs
async def test_pictures_come_by_rtp_to_the_port(recorder, rtp_port, comp):
    started = await by_rtp(recorder, CAMERA[comp], comp, rtp_port.number)
    check_pictures(comp, [await picture(rtp_port.receive) for _ in range(18)])
    assert await started.stop() == 200
    assert await rtp_port.silent(0.3)
    assert await recorder.says(f"logout.cgi?UID={started.uid}") == 200
    assert (recorder.violations, recorder.notes) == ([], [])


@both_codecs
async def test_pictures_come_by_http_one_packet_a_part(recorder, comp):
    started, opened = await by_http(recorder, CAMERA[comp], comp)
    async with opened as stream:
        assert b"Content-Type: multipart/x-mixed-replace; boundary=--myboundary\r\n" in stream.head
        check_pictures(comp, [await picture(stream.packet) for _ in range(18)])
        assert await started.stop() == 200
        assert await stream.ends()
    assert recorder.session(started.uid)["live"] == []
    assert (recorder.violations, recorder.notes) == ([], [])


async def test_the_first_packet_of_a_picture_tells_camera_and_time(recorder, rtp_port):
    before = time.time()
    await by_rtp(recorder, 2, "H264", rtp_port.number)
    pictures = [await picture(rtp_port.receive) for _ in range(3)]
    times = []
    for packets in pictures:
        assert [packet.extension is not None for packet in packets] == [True] + [False] * (len(packets) - 1)
        assert len(packets[0].extension) == 28
        told = entries(packets[0].extension)
        assert list(told) == [0x0004, 0x0007, 0x000A]
        assert told[0x0004] == bytes((0, 2, 0, 0))
        assert told[0x0007][4:] == bytes((1, 3, 30, 1))  # half past three hours behind, in summer
        times.append(int.from_bytes(told[0x0007][:4], "big") + int.from_bytes(told[0x000A][:2], "big") / 100)
    assert before - 0.1 <= times[0] <= times[-1] <= time.time()
    assert times[2] - times[0] == pytest.approx(2 / 15, abs=0.03)


async def test_every_id_of_section_7_where_it_is_wanted(rtp_port):
    async with IproSimulator(size=SIZE, oddities="all-information", gaps=CALM) as device:
        recorder = Recorder(device)
        await by_rtp(recorder, 4, "H265", rtp_port.number)
        packets = await picture(rtp_port.receive)
        told = entries(packets[0].extension)
        await recorder.http.aclose()
    assert list(told) == [*range(0x0004, 0x000E), 0x0011, 0x0012, 0x0027, 0x0028, 0x0029]
    assert told[0x0005] == bytes((0, 4, 0, 0))
    assert int.from_bytes(told[0x0006], "big") == sum(map(len, assembled("h265", packets)))
    assert told[0x0009] == bytes((0, 100, 0, 0))
    assert told[0x000D] == bytes((1, 0, 0, 0))
    assert (told[0x0011], told[0x0012]) == (told[0x0007], told[0x000A])


@pytest.mark.parametrize("comp", ["H264", "H265"])
async def test_another_codec_than_the_cameras_is_taken_and_stays_silent(recorder, rtp_port, comp):
    wrong = CAMERA[{"H264": "H265", "H265": "H264"}[comp]]
    over_rtp = await by_rtp(recorder, wrong, comp, rtp_port.number)
    assert await rtp_port.silent(0.5)
    over_http, opened = await by_http(recorder, wrong, comp)
    async with opened as stream:
        assert stream.head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert await stream.silent(0.5)
    assert await over_rtp.stop() == 200
    await eventually(lambda: not recorder.session(over_http.uid)["live"])
    assert recorder.violations == []


async def test_a_jpeg_stands_behind_two_comments(recorder):
    started, opened = await by_http(recorder, 1, "JPEG")
    async with opened as stream:
        numbers = []
        for _ in range(3):
            headers, body = await stream.part()
            assert headers == {"Content-type": "image/jpeg", "Content-Length": str(len(body))}
            comments = []
            while body[:4] == b"\xff\xd8\xff\xfe":
                length = int.from_bytes(body[4:6], "big")
                comments.append(entries(body[6 : 4 + length]))
                body = body[4 + length :]
            assert [list(comment) for comment in comments] == [[0x0004, 0x0007, 0x000A], [0x8001]]
            assert (body[:2], body[-2:]) == (b"\xff\xd8", b"\xff\xd9")
            seed, number = strip(body)
            assert seed == 49
            numbers.append(number)
        assert numbers == sorted(set(numbers))
        assert await started.stop() == 200
        assert await stream.ends()
    assert (recorder.violations, recorder.notes) == ([], [])


async def test_a_camera_without_jpeg_shows_a_placeholder(recorder):
    _, opened = await by_http(recorder, 4, "JPEG")
    async with opened as stream:
        _, body = await stream.part()
    assert body == placeholder()
    assert len(body) == 701
    assert Image.open(io.BytesIO(body)).size == (39, 37)


AUDIO = {
    "aac": ("aac", 48_000, "audio/48kaac-lc"),
    "g711u": ("pcm_mulaw", 8000, "audio/g.711-64K"),
    "g711a": ("pcm_alaw", 8000, "audio/g.711-64K"),
    "g726": ("g726", 8000, "audio/g.726-32K"),
    "g726le": ("g726le", 8000, "audio/g.726-32K"),
}


@pytest.mark.parametrize("audio", AUDIO)
async def test_sound_comes_both_ways(rtp_port, make_port, audio):
    decoder, rate, kind = AUDIO[audio]
    config = AUDIO_SPECIFIC_CONFIG if audio == "aac" else None
    async with IproSimulator(seed=2, size=SIZE, audio=audio, gaps=CALM) as device:
        recorder = Recorder(device)
        video = await by_rtp(recorder, 1, "H264", rtp_port.number)
        port: RtpPort = make_port()
        sound = await by_rtp(recorder, 1, "AUDIO", port.number, video.uid)
        packets = [await port.receive() for _ in range(30)]
        assert await sound.stop() == 200
        _, opened = await by_http(recorder, 1, "AUDIO", video.uid)
        async with opened as stream:
            parts = [await stream.part() for _ in range(30)]
        assert recorder.violations == []
        await recorder.http.aclose()
    assert {packet.payload_type for packet in packets} == {97}
    first = packets[0]
    for index, packet in enumerate(packets):
        assert packet.sequence == (first.sequence + index) % 65536
        assert list(entries(packet.extension)) == [0x0011, 0x0012]
    step = 1024 if audio == "aac" else 320
    assert packets[7].timestamp == (first.timestamp + 7 * step) % 2**32
    units = [packet.payload for packet in packets]
    if audio == "aac":
        assert {unit[:2] for unit in units} == {b"\x00\x10"}
        assert all(int.from_bytes(unit[2:4], "big") >> 3 == len(unit) - 4 for unit in units)
        units = [unit[4:] for unit in units]
    bare = [body[1:] for _, body in parts]
    assert {body[0] for _, body in parts} == {0}
    assert {headers["Content-Type"] for headers, _ in parts} == {kind}
    for found in (units, bare):
        heard = samples(decoder, found, rate=rate, config=config)
        # The beep at the full second is louder, not another tone.
        assert is_tone(heard[rate // 10 :], pitch(33), rate)


async def test_sound_and_pictures_keep_one_time(recorder, rtp_port, make_port):
    """The beep is on the pictures whose number is a multiple of the rate."""
    video = await by_rtp(recorder, 1, "H264", rtp_port.number)
    port = make_port()
    await by_rtp(recorder, 1, "AUDIO", port.number, video.uid)

    def told_time(told: dict[int, bytes], seconds: int, hundredths: int) -> float:
        return int.from_bytes(told[seconds][:4], "big") + int.from_bytes(told[hundredths][:2], "big") / 100

    async def sound() -> list[Packet]:
        return [await port.receive() for _ in range(70)]

    async def pictures() -> list[list[Packet]]:
        return [await picture(rtp_port.receive) for _ in range(20)]

    heard, shown = await asyncio.gather(sound(), pictures())
    numbers = seen("h264", [assembled("h264", each) for each in shown]).numbers(49)
    full_second = numbers.index(next(number for number in numbers if number % 15 == 0))
    seen_at = told_time(entries(shown[full_second][0].extension), 0x0007, 0x000A)
    levels = samples("aac", [packet.payload[4:] for packet in heard], rate=48_000, config=AUDIO_SPECIFIC_CONFIG)
    peaks = [max(levels[index * 1024 : (index + 1) * 1024]) for index in range(70)]
    # The first unit of a beep comes after a quiet one.
    begins = next(index for index in range(2, 70) if peaks[index] > 0.2 > peaks[index - 1])
    heard_at = told_time(entries(heard[begins].extension), 0x0011, 0x0012)
    apart = (heard_at - seen_at + 0.5) % 1 - 0.5
    assert abs(apart) < 0.06


async def test_https_carries_the_same(rtp_port):
    async with IproSimulator(seed=3, size=SIZE, tls=True, gaps=CALM) as device:
        recorder = Recorder(device)
        started, opened = await by_http(recorder, 1, "H264")
        async with opened as stream:
            check_pictures("H264", [await picture(stream.packet) for _ in range(18)])
            assert await started.stop() == 200
        assert recorder.violations == []
        await recorder.http.aclose()


async def test_a_camera_is_encoded_once_and_only_while_somebody_watches(recorder, make_port):
    ports = [make_port(), make_port()]
    started = [await by_rtp(recorder, 1, "H264", port.number) for port in ports]
    for port in ports:
        await picture(port.receive)
    state = recorder.device.state()["cameras"]
    assert [number for number, camera in state.items() if camera["encoding"]] == ["1"]
    assert await started[0].stop() == 200
    assert recorder.camera(1)["encoding"]
    assert await started[1].stop() == 200
    assert not recorder.camera(1)["encoding"]


async def test_who_joins_later_begins_in_the_middle_of_a_gop(recorder, make_port):
    first, second = make_port(), make_port()
    await by_rtp(recorder, 4, "H265", first.number)
    for _ in range(2):
        await picture(first.receive)
    await by_rtp(recorder, 4, "H265", second.number)
    pictures = [assembled("h265", await picture(second.receive)) for _ in range(12)]
    assert kinds("h265", pictures[0]) == OTHER["H265"]
    assert KEY["H265"] in [kinds("h265", each) for each in pictures]


async def test_sixteen_cameras_of_one_uid_show_themselves(make_port):
    async with IproSimulator(seed=1, cameras=16, size="160x96", rate=5, gaps=CALM) as device:
        recorder = Recorder(device)
        uid = await recorder.live()
        ports = {}
        for camera in range(1, 17):
            ports[camera] = make_port()
            await by_rtp(recorder, camera, "H265" if camera % 4 == 0 else "H264", ports[camera].number, uid)
        for camera, port in ports.items():
            codec = "h265" if camera % 4 == 0 else "h264"
            found = assembled(codec, await picture(port.receive))
            assert seen(codec, [found]).strips[0][0] == 16 + camera
        assert await recorder.says(f"logout.cgi?UID={uid}") == 200
        assert not any(camera["encoding"] for camera in device.state()["cameras"].values())
        await recorder.http.aclose()


async def test_a_dead_uid_sends_nothing_more(rtp_port):
    async with IproSimulator(size=SIZE, uid_seconds=0.5, gaps=CALM) as device:
        recorder = Recorder(device)
        await by_rtp(recorder, 1, "H264", rtp_port.number)
        await picture(rtp_port.receive)
        await eventually(lambda: not list(device.sessions()))
        assert await rtp_port.silent(0.3)
        assert not recorder.camera(1)["encoding"]
        await recorder.http.aclose()


async def test_a_client_that_goes_away_has_ended_its_stream(recorder):
    for camera, comp in ((1, "H264"), (1, "H265"), (1, "JPEG")):  # H265: silent, so that nothing is ever sent
        started, opened = await by_http(recorder, camera, comp)
        async with opened:
            assert recorder.session(started.uid)["live"]
        await eventually(lambda started=started: not recorder.session(started.uid)["live"])
    assert not recorder.camera(1)["encoding"]
    assert (recorder.violations, recorder.notes) == ([], ["ended_without_stop"] * 3)


async def test_frames_can_stop_and_go_on(recorder, rtp_port, make_port):
    started = await by_rtp(recorder, 1, "H264", rtp_port.number)
    port = make_port()
    await by_rtp(recorder, 1, "AUDIO", port.number, started.uid)
    await picture(rtp_port.receive)
    recorder.device.inject("stop-sound", number=1)
    assert await port.silent(0.3)
    assert not await rtp_port.silent(0.3)
    recorder.device.inject("stop-frames")
    assert await rtp_port.silent(0.3)
    assert recorder.session(started.uid)["live"]
    recorder.device.inject("clear")
    await rtp_port.receive()
    await port.receive()


async def test_packets_get_lost_and_come_late(recorder, rtp_port):
    await by_rtp(recorder, 1, "H264", rtp_port.number)
    await rtp_port.receive()
    recorder.device.inject("lose-packets", number=1, every=5)
    recorder.device.inject("late-packets", number=1, every=7, times=3)
    rtp_port.packets.clear()
    while len(rtp_port.packets) < 60:
        await rtp_port.receive()
    numbers = [(packet.sequence - rtp_port.packets[0].sequence) % 65536 for packet in rtp_port.packets]
    assert len(set(range(max(numbers))) - set(numbers)) > 5
    assert numbers != sorted(numbers)
    assert max(earlier - later for earlier, later in itertools.pairwise(numbers)) <= 4


async def test_streams_break_off_in_the_middle_of_a_part(recorder, rtp_port):
    over_http, opened = await by_http(recorder, 1, "H264")
    over_rtp = await by_rtp(recorder, 1, "H264", rtp_port.number)
    async with opened as stream:
        await picture(stream.packet)
        recorder.device.inject("cut-streams", number=1)
        rest = await stream.rest()
    head, _, body = rest[rest.rindex(DELIMITER) :].partition(b"\r\n\r\n")
    assert b"Content-Length: " in head
    assert len(body) < int(head.rsplit(b" ", 1)[1])
    await eventually(lambda: not recorder.session(over_rtp.uid)["live"])
    last = Packet.parse(rtp_port.socket.recv(65536))
    with contextlib.suppress(BlockingIOError):
        while True:
            last = Packet.parse(rtp_port.socket.recv(65536))
    assert not last.marker
    assert recorder.session(over_http.uid)["live"] == []
    assert recorder.notes == ["ended_without_stop"] * 2
    assert recorder.violations == []
    await by_rtp(recorder, 1, "H264", rtp_port.number, over_rtp.uid)
    await picture(rtp_port.receive)


async def test_a_jpeg_breaks_off_too(recorder):
    started, opened = await by_http(recorder, 1, "JPEG")
    async with opened as stream:
        await stream.part()
        recorder.device.inject("cut-streams")
        rest = await stream.rest()
    assert not rest.endswith(b"\xff\xd9\r\n")
    assert recorder.session(started.uid)["live"] == []


async def test_garbage_comes_between_parts(recorder):
    started, opened = await by_http(recorder, 1, "H264")
    async with opened as stream:
        await stream.part()
        recorder.device.inject("garbage-parts", every=3)
        async with asyncio.timeout(5):
            while await stream.line() != GARBAGE[: GARBAGE.index(b"\r\n") + 2]:
                pass
            while await stream.line() != DELIMITER + b"\r\n":
                pass
    assert recorder.session(started.uid) is not None


async def test_a_camera_set_to_another_codec_leaves_old_streams_silent(recorder, make_port):
    old, new = make_port(), make_port()
    before = await by_rtp(recorder, 1, "H264", old.number)
    await picture(old.receive)
    recorder.device.inject("codec", number=1, mode="H265")
    assert await old.silent(0.3)
    assert recorder.camera(1)["codec"] == "H265"
    await by_rtp(recorder, 1, "H265", new.number)
    found = assembled("h265", await picture(new.receive))
    assert seen("h265", [found]).strips[0][0] == 49
    assert await before.stop() == 200


async def test_a_camera_set_to_another_size_says_so_in_the_stream(recorder, rtp_port):
    await by_rtp(recorder, 1, "H264", rtp_port.number)
    await picture(rtp_port.receive)
    recorder.device.inject("size", number=1, mode="640x360")
    async with asyncio.timeout(5):
        sizes: list[tuple[int, int]] = []
        while sizes != [(640, 360)]:
            found = assembled("h264", await picture(rtp_port.receive))
            if kinds("h264", found) == KEY["H264"]:
                sizes = seen("h264", [found]).sizes
    assert recorder.camera(1)["size"] == "640x360"


async def test_a_camera_that_does_not_answer_is_silent_until_it_is_found(recorder, rtp_port):
    await by_rtp(recorder, 1, "H264", rtp_port.number)
    await picture(rtp_port.receive)
    recorder.device.inject("camera", number=1, mode="lost")
    assert await rtp_port.silent(0.3)
    recorder.device.inject("camera", number=1, mode="found")
    await picture(rtp_port.receive)


async def test_a_restart_ends_everything(recorder, rtp_port):
    _, opened = await by_http(recorder, 1, "H264")
    async with opened as stream:
        await by_rtp(recorder, 2, "H264", rtp_port.number)
        await picture(rtp_port.receive)
        recorder.device.inject("reboot", seconds=0.1)
        await stream.rest()
    assert await rtp_port.silent(0.3)
    assert list(recorder.device.sessions()) == []


async def test_loops_cost_no_encoder_and_show_the_camera(rtp_port):
    async with IproSimulator(seed=3, size=SIZE, pictures="loop", rate=10, kilobits=200, gaps=CALM) as device:
        recorder = Recorder(device)
        await by_rtp(recorder, 2, "H264", rtp_port.number)
        pictures = [assembled("h264", await picture(rtp_port.receive)) for _ in range(30)]
        while kinds("h264", pictures[0]) != KEY["H264"]:
            pictures.pop(0)
        numbers = seen("h264", pictures).numbers(50)
        assert [(b - a) % 40 for a, b in itertools.pairwise(numbers)] == [1] * (len(numbers) - 1)
        await recorder.http.aclose()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"codecs": "H264,MPEG"}, "H265 or JPEG, not MPEG"),
        ({"audio": "opus"}, "not opus"),
        ({"pictures": "still"}, "live or loop"),
        ({"size": "641x360"}, "multiple of 32"),
        ({"size": "huge"}, "multiple of 32"),
        ({"rate": 61}, "60 pictures"),
        ({"kilobits": 1}, "50000 kbit"),
        ({"oddities": "purple"}, "no oddity 'purple'"),
    ],
)
def test_what_no_camera_sends_is_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        IproSimulator(**settings)
