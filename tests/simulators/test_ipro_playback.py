"""Recordings played by the simulated recorder: sections 3 and 7 of the document, read strictly and seen in pixels."""

import asyncio
import itertools
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from fractions import Fraction

import httpx
import pytest

from simulators.ipro import IproSimulator, containers
from simulators.ipro.archive import Archive, Unit, coding, hundredths
from simulators.ipro.device import Gaps
from simulators.ipro.information import Played
from simulators.ipro.playback import PACKET
from simulators.ipro.records import Zone
from simulators.sound import AUDIO_SPECIFIC_CONFIG, pitch
from tests.simulators.media import is_tone, kinds, samples
from tests.simulators.recorder import CALM, Recorder
from tests.simulators.recordings import Container, SoundContainer, taken

SIZE = "320x192"
SEED = 3


class Playing(Recorder):
    """A recorder that is asked to play."""

    uid: str = ""
    began: float = 0.0

    async def mask(self, *cameras: int) -> None:
        mask = "".join("1" if number in cameras else "0" for number in range(1, 17))
        assert await self.says(f"hdrctl.cgi?UID={self.uid}&PC=AS60&MASK={mask}") == 200

    async def command(self, playcmd: str, at: float | Fraction | None = None) -> None:
        timef = "AS60_UNKNOWN" if at is None else timef_of(at)
        more = {"PAUSE": "&SMOOTH=OFF", "FF": "&SMOOTH=OFF", "REW": "&SMOOTH=OFF", "GOTODATE": "&SDBACKUP=0"}
        notime = "" if playcmd == "STOP" else "&NOTIME=ON"
        sent = f"PLAYCMD={playcmd}&2ND=OFF&TIMEF={timef}{more.get(playcmd, '')}{notime}"
        assert await self.says(f"hdrctl.cgi?UID={self.uid}&PC=AS60&{sent}") == 200

    async def answer(self, camera: int) -> httpx.Response:
        return await self.ask(f"camera.cgi?UID={self.uid}&CAM={camera}")

    async def gop(self, camera: int = 1) -> Container:
        reply = await self.answer(camera)
        assert reply.status_code == 200
        return Container.parse(reply.content)

    async def sound(self, camera: int = 1) -> SoundContainer:
        reply = await self.ask(f"playaudio.cgi?UID={self.uid}&CAM={camera}")
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "application/octet-stream"
        return SoundContainer.parse(reply.content)

    def recorded(self, camera: int = 1) -> list[dict]:
        return self.device.state()["recordings"][str(camera)]

    def minutes_ago(self, minutes: float) -> int:
        return int(self.began - 60 * minutes)


def timef_of(at: float | Fraction) -> str:
    whole = datetime.fromtimestamp(int(at), UTC)
    return f"{whole:%y%m%d%H%M%S}{int(at % 1 * 100):02}"


@asynccontextmanager
async def playing(*cameras: int, at: float | None = None, **settings) -> AsyncIterator[Playing]:
    """A recorder that plays these cameras, at a time, in minutes before now, if there is one."""
    settings = {"seed": SEED, "size": SIZE, "control": True, "gaps": CALM} | settings
    async with IproSimulator(**settings) as device:
        recorder = Playing(device)
        recorder.began = time.time()
        async with recorder.http:
            recorder.uid = await recorder.login()
            await recorder.mask(*cameras)
            if at is not None:
                await recorder.command("GOTODATE", recorder.minutes_ago(at))
            yield recorder


@pytest.fixture
async def recorder() -> AsyncIterator[Playing]:
    async with playing(1, 2, 4) as recorder:
        yield recorder


def seed_of(camera: int) -> int:
    return 16 * SEED + camera


def check(recorder: Playing) -> None:
    assert (recorder.violations, recorder.notes) == ([], [])


# 3.3.1 What a unit of pictures is


@pytest.mark.parametrize(
    ("camera", "codec", "rate", "first", "other"),
    [(1, "H264", 15, [9, 7, 8, 6, 5], [9, 8, 6, 1]), (4, "H265", 10, [35, 32, 33, 34, 39, 20], [35, 34, 39, 1])],
)
async def test_a_gop_is_a_second_of_pictures(recorder, camera, codec, rate, first, other):
    at = recorder.minutes_ago(5)
    await recorder.command("GOTODATE", at)
    reply = await recorder.answer(camera)
    assert reply.headers["content-type"] == "application/octet-stream"
    assert (reply.headers["connection"], reply.headers["cache-control"]) == ("Keep-Alive", "no-cache")
    assert len(reply.content) % 4096 == 0
    gop = Container.parse(reply.content)
    assert (gop.codec, gop.rate, len(gop.images)) == (codec, rate, rate)
    assert gop.start <= at < gop.start + 1
    numbers = gop.numbers(seed_of(camera))
    assert numbers == [(taken(gop.start, rate) + index) % 65536 for index in range(rate)]
    assert taken(gop.end, rate) == numbers[-1]
    units = [image.split(b"\0\0\0\1")[1:] for image in gop.images]
    assert [kinds(codec.lower(), each) for each in units] == [first] + [other] * (rate - 1)
    check(recorder)


async def test_every_id_of_section_7_that_playback_has(recorder):
    at = recorder.minutes_ago(5)
    await recorder.command("GOTODATE", at)
    gop = await recorder.gop(2)
    assert list(gop.information) == [*range(0x0004, 0x000E), 0x0027, 0x0028, 0x0029]
    words = {key: gop.word(key) for key in (0x0004, 0x0005, 0x0008, 0x0009, 0x000A, 0x000C, 0x0027, 0x0028, 0x0029)}
    assert words == {
        0x0004: 2,
        0x0005: 3,
        0x0008: 15,
        0x0009: 150,
        0x000A: int(gop.start % 1 * 100),
        0x000C: 1,
        0x0027: 1,
        0x0028: 0,
        0x0029: 0,
    }
    assert int.from_bytes(gop.information[0x0006], "big") == sum(map(len, gop.images))
    assert gop.information[0x0007] == int(gop.start).to_bytes(4, "big") + bytes((0, 1, 0, 0))
    assert gop.information[0x000B] == bytes(8)
    assert gop.information[0x000D] == bytes((2, 0, 0, 0))
    assert gop.picture_time == gop.start
    # Half past: camera 2 begins its GOPs elsewhere in the second, and adds nothing to its pictures.
    assert (gop.start % 1, gop.camera_information) == (Fraction(26, 100), [])


async def test_the_zone_is_told_in_both_ways():
    async with playing(1, at=5, zone=Zone(-210, summer=True)) as recorder:
        gop = await recorder.gop()
        assert gop.zone == (3, 30, 0xC0)
        assert gop.information[0x0007][4:] == bytes((1, 3, 30, 1))


async def test_a_camera_of_its_own_kind_tells_the_time_of_each_picture(recorder):
    await recorder.command("GOTODATE", recorder.minutes_ago(5))
    gop = await recorder.gop(1)
    assert [list(told) for told in gop.camera_information] == [[0x0011, 0x0012, 0x8001]] * 15
    assert [taken(moment, 15) for moment in gop.times()] == gop.numbers(seed_of(1))
    assert (gop.times()[0], gop.times()[-1]) == (gop.start, gop.end)


async def test_jpeg_comes_one_picture_at_a_time():
    async with playing(2, at=5, codecs="JPEG") as recorder:
        at = recorder.minutes_ago(5)
        for index in range(3):
            picture = await recorder.gop(2)
            assert (picture.codec, len(picture.images), picture.word(0x0005)) == ("JPEG", 1, 0)
            assert picture.start == picture.end == at + Fraction(index, 5)
            assert picture.numbers(seed_of(2)) == [taken(picture.start, 5)]
        check(recorder)


async def test_a_gop_is_the_same_whenever_it_is_asked_for(recorder):
    answers = []
    for minutes in (5, 7, 5):
        await recorder.command("GOTODATE", recorder.minutes_ago(minutes))
        answers.append((await recorder.answer(1)).content)
    assert answers[0] == answers[2] != answers[1]


async def test_looped_pictures_are_played_too():
    async with playing(2, at=5, pictures="loop", kilobits=500) as recorder:
        first = int(recorder.minutes_ago(5) * 15 - 4) // 15 * 15
        for index in range(5):
            gop = await recorder.gop(2)
            assert gop.numbers(seed_of(2)) == [(first + 15 * index + number) % 60 for number in range(15)]


# 3.1, 3.2 Where a command leads


async def test_play_goes_from_gop_to_gop(recorder):
    at = recorder.minutes_ago(5)
    await recorder.command("GOTODATE", at)
    assert [(await recorder.gop()).start for _ in range(3)] == [at, at + 1, at + 2]
    await recorder.command("PLAY")
    assert (await recorder.gop()).start == at + 3
    check(recorder)


async def test_play_begins_with_the_oldest_recording(recorder):
    await recorder.command("PLAY")
    gop = await recorder.gop()
    assert 0 <= float(gop.start) - recorder.recorded()[0]["start"] < 1.1
    assert gop.information[0x000D] == bytes((2, 0, 0, 0))


async def test_play_begins_with_the_latest_recording_where_a_recorder_does_so():
    async with playing(1, oddities="play-from-latest") as recorder:
        before = time.time()
        await recorder.command("PLAY")
        after = time.time()
        assert before - 61 <= (await recorder.gop()).start <= after - 60


async def test_reverse_gives_the_gop_before(recorder):
    at = recorder.minutes_ago(5)
    await recorder.command("GOTODATE", at)
    await recorder.gop()
    await recorder.command("BPLAY", at)
    gops = [await recorder.gop() for _ in range(3)]
    assert [gop.start for gop in gops] == [at - 1, at - 2, at - 3]
    assert gops[0].numbers(seed_of(1))[0] == taken(gops[0].start, 15)  # in the order of recording
    assert gops[0].information[0x000D] == bytes((3, 0, 0, 0))
    await recorder.command("PLAY")
    assert (await recorder.gop()).start == at - 2
    check(recorder)


async def test_reverse_gives_the_same_gop_first_where_a_recorder_does_so():
    async with playing(1, at=5, oddities="reverse-from-here") as recorder:
        at = recorder.minutes_ago(5)
        await recorder.command("BPLAY", at)
        assert [(await recorder.gop()).start for _ in range(2)] == [at, at - 1]


@pytest.mark.parametrize(("playcmd", "status", "direction"), [("FF", 4, 1), ("REW", 5, -1)])
async def test_fast_is_faster_each_time(recorder, playcmd, status, direction):
    at = recorder.minutes_ago(10)
    await recorder.command("GOTODATE", at)
    await recorder.gop()
    for step in (1, 2, 3):
        await recorder.command(playcmd, at)
        gops = [await recorder.gop() for _ in range(3)]
        assert [gop.start for gop in gops] == [at + direction * index * 2**step for index in range(3)]
        assert gops[0].information[0x000D] == bytes((status, step, 0, 0))
        at = int(gops[-1].start)
    await recorder.command("PLAY")
    assert (await recorder.gop()).start == at + 1
    check(recorder)


async def test_a_pause_stays_where_it_is_and_play_goes_on_there(recorder):
    at = recorder.minutes_ago(5)
    await recorder.command("GOTODATE", at)
    for _ in range(3):
        await recorder.gop()
    await recorder.command("PAUSE", at + 1)
    assert [(await recorder.gop()).start for _ in range(2)] == [at + 1] * 2
    await recorder.command("PLAY")
    assert [(await recorder.gop()).start for _ in range(2)] == [at + 1, at + 2]
    check(recorder)


async def test_steps_give_the_gop_of_the_next_and_of_the_previous_picture(recorder):
    at = recorder.minutes_ago(5)
    await recorder.command("GOTODATE", at)
    gop = await recorder.gop()
    await recorder.command("PAUSE", at)
    for playcmd, picture, leads_to, status in (
        ("NEXTFRAME", 0, at, 7),
        ("NEXTFRAME", 13, at, 7),
        ("NEXTFRAME", 14, at + 1, 7),
        ("PREVFRAME", 14, at, 8),
        ("PREVFRAME", 1, at, 8),
        ("PREVFRAME", 0, at - 1, 8),
    ):
        await recorder.command(playcmd, gop.times()[picture])
        found = await recorder.gop()
        assert (found.start, found.information[0x000D]) == (leads_to, bytes((status, 0, 0, 0)))
    check(recorder)


async def test_gotodate_leads_into_the_gop_of_its_time(recorder):
    at = recorder.minutes_ago(5)
    for second in (at, at + 59):
        await recorder.command("GOTODATE", second)
        for camera in (1, 2, 4):
            gop = await recorder.gop(camera)
            assert gop.start <= second <= gop.end


async def test_a_camera_masked_later_begins_where_the_others_are(recorder):
    at = recorder.minutes_ago(5)
    await recorder.command("GOTODATE", at)
    for _ in range(10):
        await recorder.gop()
    await recorder.mask(1, 3)
    assert at + 8 < (await recorder.gop(3)).start < at + 10
    assert (await recorder.gop(1)).start == at + 10
    check(recorder)


async def test_two_uids_play_by_themselves(recorder):
    first, at = recorder.uid, recorder.minutes_ago(5)
    await recorder.command("GOTODATE", at)
    await recorder.gop()
    recorder.uid = await recorder.login()
    await recorder.mask(1)
    await recorder.command("GOTODATE", at - 60)
    assert (await recorder.gop()).start == at - 60
    recorder.uid = first
    assert (await recorder.gop()).start == at + 1


# Gaps and ends


async def gap(recorder: Playing, start: float, end: float, camera: int = 1) -> None:
    moments = "/".join(datetime.fromtimestamp(at, UTC).isoformat() for at in (start, end))
    assert (await recorder.fault(kind="erase", number=camera, mode=moments)).status_code == 200


async def test_a_gap_is_passed_over_in_both_directions(recorder):
    at = recorder.minutes_ago(5)
    await gap(recorder, at + 2, at + 60)
    await recorder.command("GOTODATE", at)
    assert [(await recorder.gop()).start - at for _ in range(4)] == [0, 1, 60, 61]
    await recorder.command("BPLAY", at + 61)
    assert [(await recorder.gop()).start - at for _ in range(3)] == [60, 1, 0]
    await recorder.command("GOTODATE", at + 30)
    assert (await recorder.gop()).start - at == 60
    await recorder.command("BPLAY", at + 30)
    assert (await recorder.gop()).start - at == 1
    await recorder.command("FF", at + 1)
    assert [(await recorder.gop()).start - at for _ in range(2)] == [1, 60]
    check(recorder)


async def test_a_gop_is_kept_whole_or_not_at_all(recorder):
    at = recorder.minutes_ago(5)
    await gap(recorder, at + 0.5, at + 2.5)
    await recorder.command("GOTODATE", at - 1)
    assert [(await recorder.gop()).start - at for _ in range(2)] == [-1, 3]


async def test_at_the_end_there_is_no_picture_until_there_is_one(recorder):
    await recorder.command("GOTODATE", int(time.time()) + 30)
    gop = await recorder.gop()
    assert (gop.codec, gop.word(0x000C), gop.word(0x0008), gop.images) == ("H264", 0, 0, [])
    assert (await recorder.sound()).units == []
    await recorder.fault(kind="pass-time", seconds=60)
    gop = await recorder.gop()
    assert (gop.word(0x000C), len(gop.images)) == (1, 15)
    assert len((await recorder.sound()).units) in (46, 47)
    check(recorder)


async def test_before_the_beginning_there_is_nothing(recorder):
    oldest = int(recorder.recorded()[0]["start"])
    await recorder.command("GOTODATE", oldest - 1000)
    assert 0 <= (await recorder.gop()).start - oldest <= 2
    await recorder.command("BPLAY", oldest - 1000)
    assert (await recorder.gop()).images == []


async def test_who_asks_for_nothing_over_and_over_is_noted():
    async with playing(1, gaps=Gaps(general=0, camera=60)) as recorder:
        await recorder.command("GOTODATE", int(time.time()) + 1000)
        await recorder.gop()
        await recorder.sound()
        assert recorder.notes == []
        await recorder.gop()
        assert (recorder.violations, recorder.notes) == ([], ["pacing-pull"])


async def test_nothing_is_204_where_a_recorder_says_so():
    async with playing(1, oddities="empty-204") as recorder:
        await recorder.command("GOTODATE", int(time.time()) + 100)
        for path in ("camera", "playaudio"):
            assert await recorder.says(f"{path}.cgi?UID={recorder.uid}&CAM=1") == 204


async def test_a_camera_that_does_not_answer_is_not_recorded(recorder):
    await recorder.fault(kind="camera", number=1, mode="lost")
    await recorder.fault(kind="pass-time", seconds=60)
    await recorder.fault(kind="camera", number=1, mode="found")
    await recorder.fault(kind="pass-time", seconds=20)
    before, after = recorder.recorded()[-2:]
    assert 59.9 < after["start"] - before["end"] < 62
    await recorder.command("GOTODATE", int(before["end"]) - 1)
    starts = [float((await recorder.gop()).start) for _ in range(5)]
    assert any(60 <= later - earlier <= 64 for earlier, later in itertools.pairwise(starts))


async def test_a_camera_set_to_another_codec_is_recorded_so_from_then_on(recorder):
    await recorder.fault(kind="pass-time", seconds=5)
    await recorder.fault(kind="codec", number=1, mode="H265")
    await recorder.fault(kind="pass-time", seconds=5)
    changed = recorder.recorded()[-1]["start"]
    await recorder.command("GOTODATE", int(changed) - 2)
    gops = [await recorder.gop() for _ in range(5)]
    assert (gops[0].codec, gops[-1].codec) == ("H264", "H265")
    for each in gops:
        assert each.numbers(seed_of(1))[0] == taken(each.start, each.rate)


async def test_the_disks_hold_what_the_archive_holds(recorder):
    reply = await recorder.ask("recordedtime.cgi", auth=httpx.DigestAuth("ADMIN", "12345"))
    cells = reply.text.split("\r\n")[3].split(",")
    assert len(cells) == 9
    oldest = datetime.strptime(f"{cells[3]} {cells[5]} +0100", "%Y/%m/%d %H:%M:%S %z").timestamp()
    assert int(recorder.recorded()[0]["start"]) == oldest
    assert 0 <= recorder.began - oldest - 6 * 3600 < 60


# Long-term reference pictures


async def test_after_gotodate_a_first_picture_may_be_there_only_to_be_decoded():
    async with playing(2, 4, oddities="long-term") as recorder:
        at = recorder.minutes_ago(5)
        await recorder.command("GOTODATE", at)
        for camera, rate in ((2, 15), (4, 10)):
            gop = await recorder.gop(camera)
            assert (gop.word(0x0028), gop.word(0x0029)) == (0x0011, 2)
            numbers = gop.numbers(seed_of(camera))
            assert numbers[0] == taken(gop.start, rate)
            assert numbers[1:] == [(taken(Fraction(at), rate) + index) % 65536 for index in range(len(numbers) - 1)]
            assert gop.start < at
            after = await recorder.gop(camera)
            assert (after.word(0x0028), after.word(0x0029), len(after.images)) == (0x0010, 1, rate)


async def test_a_first_picture_of_just_that_time_is_to_be_shown():
    async with playing(1, at=5, oddities="long-term") as recorder:
        gop = await recorder.gop()
        assert (gop.word(0x0028), gop.word(0x0029), len(gop.images)) == (0x0010, 1, 15)


# 3.3.2 Sound


@pytest.mark.parametrize(
    ("audio", "codec", "decoder", "rate"),
    [
        ("aac", 0x13, "aac", 48_000),
        ("g711u", 1, "pcm_mulaw", 8000),
        ("g711a", 1, "pcm_alaw", 8000),
        ("g726", 0, "g726", 8000),
        ("g726le", 0, "g726le", 8000),
    ],
)
async def test_sound_comes_by_the_second(audio, codec, decoder, rate):
    async with playing(2, at=5, audio=audio) as recorder:
        at = recorder.minutes_ago(5)
        seconds = [await recorder.sound(2) for _ in range(3)]
        assert {(each.camera, each.codec) for each in seconds} == {(2, codec)}
        assert [(each.start, each.end) for each in seconds] == [(at - 1 + n, at + n) for n in range(3)]
        units = [unit for each in seconds for unit in each.units]
        config = AUDIO_SPECIFIC_CONFIG if audio == "aac" else None
        heard = samples(decoder, units, rate=rate, config=config)
        assert 2.9 * rate < len(heard) <= 3 * rate + 1024
        assert is_tone(heard[rate : rate + rate // 2], pitch(seed_of(2)), rate)
        check(recorder)


async def test_sound_goes_with_its_gops(recorder):
    at = recorder.minutes_ago(5)
    await gap(recorder, at + 2, at + 60)
    await recorder.command("GOTODATE", at)
    for _ in range(4):
        gop, sound = await recorder.gop(), await recorder.sound()
        assert sound.start == int(gop.start)


@pytest.mark.parametrize("playcmd", ["BPLAY", "FF", "REW", "PAUSE"])
async def test_only_what_is_played_forward_is_heard(recorder, playcmd):
    at = recorder.minutes_ago(5)
    await recorder.command("GOTODATE", at)
    await recorder.gop()
    await recorder.command(playcmd, at)
    assert (await recorder.sound()).units == []


async def test_a_camera_without_sound():
    async with playing(1, at=5, audio="none") as recorder:
        assert (await recorder.gop()).images
        assert (await recorder.sound()).units == []


# Readings of the document that another recorder may have


def read(oddity: str) -> bytes:
    """One GOP of two pictures as such a recorder sends it."""
    made = coding(1, "H264", 320, 192, 15)
    unit = Unit(1, made, 100_000)
    told = Played(1, "H264", unit.start, 17, 2, 15, "PLAY", 0)
    images = [b"\0\0\0\1\x65a slice", b"\0\0\0\1\x41"]
    oddities = frozenset({oddity} if oddity else ())
    assert oddities <= containers.ODDITIES.keys()
    return containers.pictures(
        told,
        images,
        [unit.time(0), unit.time(1)],
        Zone(60, summer=False),
        end=unit.end,
        from_camera=True,
        oddities=oddities,
    )


@pytest.mark.parametrize(
    ("oddity", "chunk", "packets"),
    [
        ("", 0, (36, 32)),
        ("chunk-length-bare", -4, (36, 32)),
        ("chunk-length-reserved", 12, (36, 32)),
        ("packet-length-after", 0, (28, 24)),
        ("packet-length-own", 0, (20, 16)),
        ("packet-length-data", 0, (12, 8)),
        ("packet-length-unpadded", 0, (12, 5)),
    ],
)
def test_the_readings_of_a_length(oddity, chunk, packets):
    plain, odd = read(""), read(oddity)
    assert len(plain) == len(odd)
    differ = struct.unpack("!H", odd[2:4])[0] - struct.unpack("!H", plain[2:4])[0]
    found = [struct.unpack("!I", odd[match.start() + 4 : match.start() + 8])[0] for match in PACKET.finditer(odd)]
    assert (differ, tuple(found)) == (chunk, packets)


def test_the_end_of_a_gop_may_be_when_the_next_begins():
    plain, odd = read(""), read("gop-ends-with-the-next")
    at = plain.index(b"\xff\x06\x00\x44") + 20
    ends = [struct.unpack("!IB", each[at : at + 5]) for each in (plain, odd)]
    assert (ends[1][0] - ends[0][0], ends[0][1], ends[1][1]) == (1, 6, 0)


async def test_no_camera_need_add_information():
    async with playing(1, at=5, oddities="no-camera-information") as recorder:
        assert (await recorder.gop()).camera_information == []


@pytest.mark.parametrize(
    ("oddity", "audio", "expected"),
    [
        ("short-audio-header", "g711u", (0, 64)),
        ("audio-zero-first", "g711u", (1, 69)),
        ("audio-size-whole", "g711u", (68, 68)),
        ("audio-size-whole", "aac", (68, 68)),
    ],
)
async def test_the_readings_of_the_sounds_header(oddity, audio, expected):
    async def heard(oddities: str) -> bytes:
        async with playing(2, at=5, audio=audio, oddities=oddities) as recorder:
            return (await recorder.ask(f"playaudio.cgi?UID={recorder.uid}&CAM=2")).content

    plain, odd = await heard(""), await heard(oddity)
    more, header = expected
    assert int.from_bytes(odd[4:8], "big") - int.from_bytes(plain[4:8], "big") == more
    assert odd[header : header + 100] == plain[68:168]


@pytest.mark.parametrize(
    ("oddity", "head"),
    [
        ("au-length-bare", (0xFF14, 4, 0)),
        ("au-id-ff04", (0xFF04, 8, 0)),
        ("au-header", (0xFF14, 8, 1)),
        ("audio-zero-first", (0xFF14, 8, 0)),
    ],
)
async def test_the_readings_of_a_unit_of_aac(oddity, head):
    async with playing(2, at=5, oddities=oddity) as recorder:
        answer = (await recorder.ask(f"playaudio.cgi?UID={recorder.uid}&CAM=2")).content
    mark, length, padding, header = struct.unpack("!HHBB", answer[68:74])
    assert (mark, header) == (head[0], head[2])
    data = answer[76 : 68 + length + (8 - head[1]) - padding]
    following = 68 + length + (8 - head[1])
    assert answer[following : following + 2] == mark.to_bytes(2, "big")
    if header:
        assert data[:4] == bytes((0, 16)) + ((len(data) - 4) << 3).to_bytes(2, "big")
    decoded = samples(
        "aac", [data[4 if header else oddity == "audio-zero-first" :]], rate=48_000, config=AUDIO_SPECIFIC_CONFIG
    )
    assert len(decoded) == 1024


# What goes wrong


async def test_a_uid_lost_in_the_middle_of_a_playback(recorder):
    await recorder.command("GOTODATE", recorder.minutes_ago(5))
    await recorder.gop()
    await recorder.fault(kind="lose-uids")
    assert (await recorder.answer(1)).status_code == 401
    assert recorder.notes == ["dead_uid"]


async def test_an_answer_breaks_off_in_the_middle(recorder):
    await recorder.command("GOTODATE", recorder.minutes_ago(5))
    await recorder.fault(kind="half", path="/cgi-bin/camera.cgi")
    with pytest.raises(httpx.RemoteProtocolError):
        await recorder.answer(1)


@pytest.mark.parametrize("mode", ["length", "torn", "noise"])
async def test_a_spoilt_gop(recorder, mode):
    at = recorder.minutes_ago(5)
    await recorder.command("GOTODATE", at)
    whole = (await recorder.answer(1)).content
    await recorder.command("GOTODATE", at)
    await recorder.fault(kind="spoil-gops", mode=mode, times=1)
    spoilt = (await recorder.answer(1)).content
    second = [match.start() for match in PACKET.finditer(whole)][1]
    expected = {
        "length": whole[: second + 4] + (7_777_777).to_bytes(4, "big") + whole[second + 8 :],
        "torn": whole[: len(whole) // 2],
        "noise": whole[:second] + spoilt[second : second + 32] + whole[second:],
    }
    assert spoilt == expected[mode] != whole
    assert (await recorder.gop()).start == at + 1


async def test_a_timef_of_what_was_never_sent_is_noted(recorder):
    at = recorder.minutes_ago(5)
    await recorder.command("GOTODATE", at)
    await recorder.gop()
    await recorder.command("PAUSE", at + 20)
    assert (recorder.violations, recorder.notes) == ([], ["timef_elsewhere"])


async def test_pulls_of_one_camera_come_one_at_a_time(recorder):
    await recorder.command("GOTODATE", recorder.minutes_ago(5))
    await asyncio.gather(*(recorder.answer(camera) for camera in (1, 2, 4)))
    assert recorder.notes == []
    await recorder.fault(kind="slow", seconds=0.3)
    await asyncio.gather(recorder.answer(1), recorder.answer(1))
    assert (recorder.violations, recorder.notes) == ([], ["overlap"])


# The archive itself


@pytest.fixture
def archive() -> Iterator[Archive]:
    now = 1_000_000.0
    return Archive(lambda camera: coding(camera, "H264", 320, 192, 15), oldest=lambda: now - 3600, now=lambda: now)


@pytest.mark.parametrize("camera", [1, 2, 3])
def test_every_unit_is_reached_from_its_neighbours(archive, camera):
    units = list(archive.between(camera, 998_500.0, 999_000.0))
    assert 450 < len(units) < 465  # there is a short gap in it
    assert all(earlier.end <= later.start for earlier, later in itertools.pairwise(units))
    for earlier, later in itertools.pairwise(units):
        assert archive.starting_from(camera, earlier.end) == later
        assert archive.starting_before(camera, later.start) == earlier
        assert archive.near(camera, hundredths(later.start)) == later
        assert archive.near(camera, hundredths(later.last)) == later
        assert archive.showing_from(camera, later.last) == later
    everything = list(archive.between(camera, 0, 2_000_000))
    assert archive.starting_from(camera, everything[-1].end) is None
    assert archive.starting_before(camera, everything[0].start) is None


def test_overlapping_gaps_are_one(archive):
    archive.erase(1, 999_000.0, 999_100.0)
    archive.erase(0, 999_050.0, 999_200.0)
    archive.erase(2, 999_300.0, 999_400.0)
    edges = [(span.start, span.end) for span in archive.spans(1) if span.start > 998_800 or span.end > 998_900]
    assert edges == [(998_777.0, 999_000.0), (999_200.0, 1_000_000.0)]
