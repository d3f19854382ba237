"""Recordings downloaded from the simulated recorder as section 6.3 of the document tells, saved and decoded."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from fractions import Fraction

import av
import httpx
import pytest

from simulators.ipro import IproSimulator
from simulators.ipro.records import Zone
from simulators.sound import AUDIO_SPECIFIC_CONFIG, pitch
from tests.simulators.helpers import eventually
from tests.simulators.media import is_tone, samples
from tests.simulators.recorder import CALM, Recorder
from tests.simulators.recordings import Container, SoundContainer, files, numbers, parts, taken

SEED = 3
RATE = 5


class Archive(Recorder):
    uid: str = ""

    def query(self, start: float, end: float, kind: str = "MP4VO", camera: int = 1) -> str:
        times = (f"{datetime.fromtimestamp(at, UTC):%y%m%d%H%M%S}" for at in (start, end))
        span = "&ENDTIME=".join(times)
        return f"httpdl.cgi?UID={self.uid}&STARTTIME={span}&KIND={kind}&CAM={camera}&PC=AS60"

    async def download(self, start: float, end: float, kind: str = "MP4VO", camera: int = 1) -> bytes:
        reply = await self.ask(self.query(start, end, kind, camera))
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "multipart/form-data; boundary=--myboundary"
        return reply.content

    async def status(self, start: float, end: float, kind: str = "MP4VO", camera: int = 1) -> str:
        """Of a download that brings no file."""
        (part,) = parts(await self.download(start, end, kind, camera))
        assert (part.temporary, part.previous, part.body) == ("", "", b"")
        return part.status

    def minute(self, ago: int) -> int:
        return (int(time.time()) // 60 - ago) * 60


@asynccontextmanager
async def archive(**settings) -> AsyncIterator[Archive]:
    async with IproSimulator(
        **{"seed": SEED, "size": "160x96", "rate": RATE, "control": True, "gaps": CALM} | settings
    ) as device:
        recorder = Archive(device)
        async with recorder.http:
            recorder.uid = await recorder.login()
            yield recorder


@pytest.fixture
async def recorder() -> AsyncIterator[Archive]:
    async with archive() as recorder:
        yield recorder


def opened(file: bytes) -> av.container.InputContainer:
    return av.open(io.BytesIO(file))


def seen(file: bytes, camera: int) -> list[int]:
    """The numbers in the strips of a file's pictures."""
    with opened(file) as container:
        return numbers([frame.to_image() for frame in container.decode(video=0)], 16 * SEED + camera)


def expected(start: Fraction | int, count: int) -> list[int]:
    return [(taken(Fraction(start), RATE) + index) % 65536 for index in range(count)]


@pytest.mark.parametrize(
    ("camera", "codec", "earlier"), [(1, "h264", 0), (2, "h264", Fraction(1, 5)), (4, "hevc", Fraction(3, 5))]
)
async def test_a_minute_as_mp4_shows_just_that_minute(recorder, camera, codec, earlier):
    start = recorder.minute(5)
    saved = files(await recorder.download(start, start + 60, camera=camera))
    (name,) = saved
    assert name == f"{camera:03}_{datetime.fromtimestamp(start, UTC):%y%m%d%H%M%S}_1000_7f_00_01.mp4"
    with opened(saved[name]) as container:
        (stream,) = container.streams
        seconds = 61 if earlier else 60
        assert (stream.codec_context.name, stream.codec_context.width, stream.frames) == (codec, 160, seconds * RATE)
        assert container.duration == seconds * 1_000_000
        made = datetime.fromisoformat(container.metadata["creation_time"].replace("Z", "+00:00"))
        assert made.timestamp() == int(start - earlier)
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
        assert times == [Fraction(index, RATE) for index in range(seconds * RATE)]
    assert seen(saved[name], camera) == expected(start - earlier, seconds * RATE)
    assert (recorder.violations, recorder.notes) == ([], [])


@pytest.mark.parametrize("audio", ["aac", "g711u"])
async def test_an_mp4_with_sound(audio):
    async with archive(audio=audio) as recorder:
        start = recorder.minute(5)
        (file,) = files(await recorder.download(start, start + 60, "MP4", camera=2)).values()
        with opened(file) as container:
            assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]
            units = [bytes(packet) for packet in container.demux(audio=0)][:50]
            heard = samples("aac", units, rate=48_000, config=AUDIO_SPECIFIC_CONFIG)
            assert is_tone(heard[24_000:48_000], pitch(16 * SEED + 2), 48_000)
            assert container.streams.audio[0].duration == pytest.approx(61 * 48_000, abs=2048)


async def test_without_sound_there_is_none():
    async with archive(audio="none") as recorder:
        start = recorder.minute(5)
        (file,) = files(await recorder.download(start, start + 60, "MP4")).values()
        with opened(file) as container:
            assert [stream.type for stream in container.streams] == ["video"]


async def test_the_parts_are_as_in_6_3_1(recorder):
    start = recorder.minute(5)
    found = parts(await recorder.download(start, start + 60))
    assert len(found) > 3
    assert list(found[0].headers) == [
        "Content-type",
        "X-Temp-FileName",
        "X-Prev-Filename",
        "X-RecData-Satus",
        "Content-Length",
    ]
    assert {part.status for part in found} == {"0"}
    assert len({part.temporary for part in found[:-1]}) == 1
    assert {part.previous for part in found[:-1]} == {""}
    last = found[-1]
    assert (last.temporary, last.body) == ("", b"")
    assert last.previous == found[0].temporary.replace(".tmp", ".mp4")


async def test_the_middle_of_a_file_may_come_without_names():
    async with archive(oddities="bare-parts") as recorder:
        start = recorder.minute(5)
        found = parts(await recorder.download(start, start + 60))
        assert [len(part.headers) for part in found] == [5] + [2] * (len(found) - 2) + [5]


async def test_a_part_of_a_minute_is_the_whole_minute(recorder):
    start = recorder.minute(5)
    (file,) = files(await recorder.download(start, start + 61)).values()
    assert seen(file, 1) == expected(start, 120 * RATE)


# Files that are split


async def test_a_large_file_is_split():
    async with archive(largest_file=80_000) as recorder:
        start = recorder.minute(5)
        saved = files(await recorder.download(start, start + 60))
        assert len(saved) > 2
        assert [name[17:21] for name in saved] == [str(1000 * (index + 1)) for index in range(len(saved))]
        assert [number for file in saved.values() for number in seen(file, 1)] == expected(start, 60 * RATE)
        assert all(len(file) < 160_000 for file in saved.values())


async def test_a_file_is_split_where_a_test_wants_it(recorder):
    await recorder.fault(kind="split-files", seconds=20)
    start = recorder.minute(5)
    saved = files(await recorder.download(start, start + 60))
    assert [len(seen(file, 1)) for file in saved.values()] == [20 * RATE] * 3


@pytest.mark.parametrize(
    ("fault", "mode", "kinds"),
    [("codec", "H265", ["h264", "hevc"]), ("size", "640x384", ["h264", "h264"]), ("codec", "JPEG", ["h264"])],
)
async def test_a_file_is_split_where_the_recording_changes(recorder, fault, mode, kinds):
    start = recorder.minute(1)
    await recorder.fault(kind=fault, number=1, mode=mode)
    changed = recorder.device.state()["recordings"]["1"][-1]["start"]
    await recorder.fault(kind="pass-time", seconds=10)
    saved = files(await recorder.download(start, start + 120))
    sizes = []
    for file in saved.values():
        with opened(file) as container:
            sizes.append((container.streams.video[0].codec_context.name, container.streams.video[0].width))
    assert [name for name, _ in sizes] == kinds
    assert sizes[-1][1] == (640 if fault == "size" else 160)
    first = seen(next(iter(saved.values())), 1)
    assert first == expected(start, int(changed - start) * RATE)


async def gap(recorder: Archive, start: float, end: float) -> None:
    moments = "/".join(datetime.fromtimestamp(at, UTC).isoformat() for at in (start, end))
    await recorder.fault(kind="erase", number=1, mode=moments)


async def test_across_a_gap_the_clock_goes_on(recorder):
    start = recorder.minute(5)
    await gap(recorder, start + 10, start + 50)
    (file,) = files(await recorder.download(start, start + 60)).values()
    with opened(file) as container:
        times = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
        assert container.duration == 60_000_000
    assert [round(moment) for moment in times[::RATE]] == [*range(10), *range(50, 60)]


async def test_a_gap_may_split():
    async with archive(oddities="gap-splits") as recorder:
        start = recorder.minute(5)
        await gap(recorder, start + 10, start + 50)
        saved = files(await recorder.download(start, start + 60))
        assert [seen(file, 1)[0] for file in saved.values()] == [taken(Fraction(start + at), RATE) for at in (0, 50)]


# What brings no file


async def test_nothing_was_recorded(recorder):
    start = recorder.minute(5)
    oldest = recorder.device.state()["recordings"]["1"][0]["start"] // 60 * 60
    assert await recorder.status(oldest - 600, oldest - 60) == "1"
    assert await recorder.status(start, start) == "1"
    await gap(recorder, start - 60, start + 120)
    assert await recorder.status(start, start + 60) == "1"
    assert await recorder.status(recorder.minute(-60), recorder.minute(-90)) == "1"
    assert (recorder.violations, set(recorder.notes)) == ([], {"nothing_recorded"})


async def test_jpeg_does_not_fit_into_mp4():
    async with archive(codecs="JPEG") as recorder:
        start = recorder.minute(5)
        assert await recorder.status(start, start + 60, "MP4") == "2"
        assert recorder.notes == ["wrong_codec"]
        (file,) = files(await recorder.download(start, start + 60, "N3VO")).values()
        assert file[4096:].count(b"\xff\xd8\xff\xfe") == 300


async def test_two_downloads_run_at_once_and_no_more(recorder):
    start = recorder.minute(5)
    await recorder.fault(kind="slow-downloads", seconds=0.02)
    answers = await asyncio.gather(*(recorder.download(start, start + 60) for _ in range(3)))
    statuses = sorted(parts(answer)[0].status for answer in answers)
    assert statuses == ["0", "0", "3"]
    assert recorder.notes == ["downloads_busy"]
    await recorder.fault(kind="busy-downloads", number=2)
    assert await recorder.status(start, start + 60) == "3"
    await recorder.fault(kind="busy-downloads", number=1)
    assert len(files(await recorder.download(start, start + 60))) == 1
    assert recorder.device.state()["downloads"] == 0


async def test_more_than_an_hour_is_refused(recorder):
    start = recorder.minute(120)
    reply = await recorder.ask(recorder.query(start, start + 3660))
    assert reply.status_code == 400
    assert recorder.violations == ["value"]


async def test_an_hour_comes_at_once_from_loops():
    async with archive(pictures="loop", kilobits=64) as recorder:
        start = recorder.minute(150)
        saved = files(await recorder.download(start, start + 3600))
        frames = 0
        for file in saved.values():
            with opened(file) as container:
                frames += container.streams.video[0].frames
        assert frames == 3600 * RATE


# The recorder's own formats


async def test_n3_is_two_files(recorder):
    start = recorder.minute(5)
    saved = files(await recorder.download(start, start + 60, "N3", camera=2))
    assert [name.rpartition(".")[2] for name in saved] == ["n3r", "n3a"]
    pictures, sound = (file[4096:] for file in saved.values())
    assert [file[:4] for file in saved.values()] == [b"N3R\0", b"N3A\0"]
    assert pictures.count(b"\xff\x15\x00") == sound.count(b"\xff\x13\x00\x02") == 61
    first = pictures[: pictures.index(b"\xff\x15\x00", 4)]
    assert Container.parse(first).numbers(16 * SEED + 2) == expected(start - Fraction(1, 5), RATE)
    assert SoundContainer.parse(sound[: sound.index(b"\xff\x13\x00\x02", 4)]).start == start - 1


async def test_n3_without_sound_is_one_file(recorder):
    start = recorder.minute(5)
    saved = files(await recorder.download(start, start + 60, "N3VO"))
    assert [name.rpartition(".")[2] for name in saved] == ["n3r"]


async def test_a_list_tells_what_is_recorded(recorder):
    start = recorder.minute(5)
    await gap(recorder, start + 10, start + 50)
    ((name, file),) = files(await recorder.download(start, start + 60, "LIST")).items()
    assert name.endswith(".n3n")
    assert file[:4] == b"N3N\0"
    assert [(span["start"] - start, span["end"] - start) for span in json.loads(file[4:])] == [(0, 10), (50, 60)]


async def test_a_recorder_may_mean_its_own_time():
    async with archive(oddities="local-download-times", zone=Zone(-210, summer=True)) as recorder:
        start = recorder.minute(5)
        ahead = -210 * 60 + 3600
        (file,) = files(await recorder.download(start + ahead, start + ahead + 60)).values()
        assert seen(file, 1)[0] == taken(Fraction(start), RATE)


# What goes wrong


async def broken(recorder: Archive, start: int) -> bytes:
    """What comes before a download breaks off: the recorder closes as it does after a whole one."""
    answer = await recorder.download(start, start + 60)
    assert not answer.endswith(b"--myboundary--\r\n")
    return answer


async def test_a_download_is_cut_in_the_middle_of_a_part(recorder):
    start = recorder.minute(5)
    whole = await recorder.download(start, start + 60)
    await recorder.fault(kind="cut-downloads", times=1)
    answer = await broken(recorder, start)
    assert whole.startswith(answer)
    assert len(answer) < len(whole) / 3
    assert files(await recorder.download(start, start + 60)) == files(whole)


async def test_a_part_says_that_it_is_longer(recorder):
    start = recorder.minute(5)
    await recorder.fault(kind="long-parts", times=1)
    answer = await recorder.download(start, start + 60)
    head, _, rest = answer.partition(b"\r\n\r\n")
    length = int(head.rpartition(b"Content-Length: ")[2])
    assert rest.index(b"\r\n--myboundary\r\n") == length - 100


async def test_a_download_ends_with_its_uid(recorder):
    start = recorder.minute(5)
    await recorder.fault(kind="slow-downloads", seconds=0.2)
    running = asyncio.create_task(broken(recorder, start))
    await eventually(lambda: recorder.device.state()["downloads"] == 1)
    await recorder.fault(kind="lose-uids")
    await running
    await eventually(lambda: recorder.device.state()["downloads"] == 0)
    assert await recorder.says(recorder.query(start, start + 60)) == 401


async def test_a_download_stalls_and_goes_on(recorder):
    start = recorder.minute(5)
    whole = await recorder.download(start, start + 60)
    await recorder.fault(kind="stop-downloads")
    stalled = asyncio.create_task(recorder.download(start, start + 60))
    await eventually(lambda: recorder.device.state()["downloads"] == 1)
    done, _ = await asyncio.wait([stalled], timeout=0.3)
    assert not done
    await recorder.fault(kind="clear")
    assert await stalled == whole


async def test_a_client_that_leaves_makes_room(recorder):
    start = recorder.minute(5)
    await recorder.fault(kind="stop-downloads")
    url = httpx.URL(recorder.device.url).copy_with(raw_path=f"/cgi-bin/{recorder.query(start, start + 60)}".encode())
    async with httpx.AsyncClient(trust_env=False) as leaver, leaver.stream("GET", url):
        await eventually(lambda: recorder.device.state()["downloads"] == 1)
    await eventually(lambda: recorder.device.state()["downloads"] == 0)


async def test_downloads_count_among_the_general_commands():
    async with archive(gaps=None) as recorder:
        start = recorder.minute(5)
        for _ in range(2):
            await recorder.download(start, start)
        assert recorder.notes == ["nothing_recorded", "pacing-general", "nothing_recorded"]
