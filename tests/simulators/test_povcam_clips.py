"""What a clip's file holds: it plays, lasts as long as the list says, and shows what it is."""

import io
import tracemalloc
from datetime import datetime
from fractions import Fraction
from itertools import pairwise

import av
import httpx
import pytest

from simulators.device import Manners
from simulators.picture import read_strip
from simulators.povcam import PovcamSimulator, mp4, mts
from simulators.povcam.film import Title, film, shape_of
from simulators.sound import pitch
from tests.simulators.helpers import ADMIN, Client
from tests.simulators.media import is_tone

TITLE = Title("S0AA001000004260", 42, datetime(2026, 11, 25, 23, 59, 58))


def written(mode: str, seconds: int, *, small: bool = True, extra: int = 0) -> bytes:
    shape = shape_of(mode, small)
    size = (shape.bytes_per_second * seconds + extra) // 192 * 192
    write = mts.pieces if shape.avchd else mp4.pieces
    content = b"".join(write(film(shape, 7), TITLE, seconds, size))
    assert len(content) == size
    return content


class Played:
    """A file as a player sees it."""

    def __init__(self, content: bytes) -> None:
        with av.open(io.BytesIO(content)) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            self.kind = container.format.name
            self.seconds = container.duration / 1_000_000
            self.codecs = video.codec_context.name, audio.codec_context.name
            self.size, self.rate = (video.width, video.height), video.average_rate
            self.made = container.metadata.get("creation_time")
            self.strips, self.times, self.heard = [], [], []
            for frame in container.decode(video, audio):
                if isinstance(frame, av.VideoFrame):
                    self.strips.append(read_strip(frame.to_image()))
                    self.times.append(frame.time)
                elif len(self.heard) < 48_000:
                    self.heard += memoryview(frame.planes[0]).cast("f")[: frame.samples]
        self.sounds = is_tone(self.heard[10_000:20_000], pitch(7), 48_000)


MODES = [
    ("avchd_ps_1080_60p_28m", Fraction(60000, 1001), 60),
    ("avchd_ph_1080_60i_21m", Fraction(30000, 1001), 30),
    ("avchd_ph_1080_24p_21m", Fraction(24000, 1001), 24),
    ("avchd_ph_720_50p_21m", Fraction(50), 50),
    ("avchd_he_1080_50i_6m_from_720", Fraction(25), 25),
    ("mp4_2160_30p_50m", Fraction(30000, 1001), 30),
    ("mp4_2160_25p_50m", Fraction(25), 25),
]


@pytest.mark.parametrize(("mode", "rate", "per_second"), MODES)
def test_a_clip_plays_in_each_mode(mode, rate, per_second):
    played = Played(written(mode, 3))
    kind, codecs = ("mpegts", ("h264", "ac3")) if mode.startswith("avchd") else ("mov", ("h264", "aac"))
    assert (played.kind.startswith(kind), played.codecs) == (True, codecs)
    assert (played.size, played.rate) == ((512, 288), rate)
    assert played.seconds == pytest.approx(3, abs=0.1)
    # Every picture shows the clip's number and its own.
    assert played.strips == [(42, number) for number in range(3 * per_second)]
    steps = [after - before for before, after in pairwise(played.times)]
    assert steps == [pytest.approx(1 / float(rate), abs=1e-4)] * len(steps)
    assert played.sounds


@pytest.mark.parametrize(
    ("mode", "size"), [("avchd_pm_720_60i_8m", (1280, 720)), ("avchd_he_1080_60i_6m", (1920, 1080))]
)
def test_a_real_one_has_its_modes_size_and_bit_rate(mode, size):
    content = written(mode, 1, small=False)
    played = Played(content)
    assert (played.size, played.strips) == (size, [(42, number) for number in range(30)])
    assert len(content) == pytest.approx(int(mode.split("_")[-1][:-1]) * 125_000, rel=0.001)


def test_what_goes_beyond_its_pictures_is_padding():
    for mode in ("avchd_ps_1080_60p_28m", "mp4_2160_30p_50m"):
        played = Played(written(mode, 1, extra=3_000_000))
        assert played.seconds == pytest.approx(1, abs=0.1)
        assert len(played.strips) == round(shape_of(mode).rate)


def test_a_transport_stream_is_whole():
    content = written("avchd_ps_1080_60p_28m", 2)
    counters, arrived = {}, -1
    for at in range(0, len(content), 192):
        packet = content[at : at + 192]
        assert packet[4] == 0x47
        pid = int.from_bytes(packet[5:7], "big") & 0x1FFF
        if pid == 0x1FFF:
            continue
        counter = packet[7] & 15
        assert counter == counters.get(pid, counter)
        counters[pid] = (counter + 1) % 16
        if pid == 0x1011:
            assert int.from_bytes(packet[:4], "big") > arrived
            arrived = int.from_bytes(packet[:4], "big")
    assert set(counters) == {0, 0x100, 0x1011, 0x1100}


def test_an_mp4_tells_when_it_was_recorded():
    assert Played(written("mp4_2160_25p_50m", 1)).made == "2026-11-25T23:59:58.000000Z"


def test_an_mp4_without_its_end_does_not_open():
    content = written("mp4_2160_25p_50m", 2)
    with pytest.raises(av.error.InvalidDataError):
        Played(content[: len(content) // 2])


def test_an_hour_takes_no_more_memory_than_a_minute():
    shape = shape_of("avchd_ps_1080_60p_28m", True)
    made = film(shape, 7)
    pieces = mts.pieces(made, TITLE, 3600, shape.bytes_per_second * 3600 // 192 * 192)
    tracemalloc.start()
    try:
        sent = sum(len(next(pieces)) for _ in range(60))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent > 3_000_000
    assert most < 3_000_000


# From the card


async def lists(client: Client, query: str) -> tuple[list[list[str]], str]:
    lines = (await client.ask(f"get_clip_list?{query}")).text.split("\r\n")
    return [line.split(",") for line in lines[1:-3]], lines[-1].removeprefix("list_id=")


async def pull(client: Client, query: str, place: int) -> tuple[list[str], httpx.Response]:
    rows, list_id = await lists(client, query)
    return rows[place], await client.ask(f"get_clip_file?filename={rows[place][1]}&list_id={list_id}")


@pytest.mark.parametrize("kind", ["avchd", "mp4"])
async def test_what_is_downloaded_lasts_as_long_as_the_list_says(client, kind):
    row, reply = await pull(client, f"index=2&format={kind}", 0)
    played = Played(reply.content)
    assert (row[3], played.seconds) == ("00:00:02", pytest.approx(2, abs=0.1))
    assert {seed for seed, _ in played.strips} == {2}


async def test_what_was_recorded_can_be_played(quick):
    await quick.set("set_priority_mode?mode=rec_pb_4k")
    await quick.set("set_sdrec_mode?mode=mp4_2160_24p_50m")
    assert (await quick.ask("sdctrl?save=start")).status_code == 204
    await quick.until("get_state", rec_counter="00:00:01")
    assert (await quick.ask("sdctrl?save=end")).status_code == 204
    await quick.until("get_state", rec="off")
    rows, _ = await lists(quick, "index=1&format=mp4")
    row, reply = await pull(quick, f"index={len(rows)}&format=mp4", 0)
    played = Played(reply.content)
    assert played.rate == Fraction(24000, 1001)
    minutes, seconds = map(int, row[3].split(":")[1:])
    assert played.seconds == pytest.approx(60 * minutes + seconds, abs=0.1)
    assert {seed for seed, _ in played.strips} == {5}


async def test_a_clip_that_filled_its_card_can_be_played():
    async with PovcamSimulator(
        cards=(4, 0), clips=0, small_clips=True, work_seconds=0.05, fill=100_000, manners=Manners(0, 0)
    ) as device:
        client = Client(device)
        await client.ask("sdctrl?save=start")
        await client.until("get_state", rec="off", sd_rem="0")
        (clip,) = device.cards.slots["sd1"].clips
        assert 3_999_999_000 < clip.size <= 4_000_000_000
        pieces = device._clips.content(clip)
        assert sum(map(len, pieces)) == clip.size


async def test_a_recorders_folder_has_its_number(quick):
    await quick.set("set_recorder_num?recorder_num=16")
    await quick.set("contentnum_reset")
    await quick.set("set_priority_mode?mode=rec_pb_4k")
    await quick.set("set_sdrec_mode?mode=mp4_2160_30p_50m")
    await quick.ask("sdctrl?save=start")
    await quick.until("get_state", rec="on")
    await quick.ask("sdctrl?save=end")
    await quick.until("get_state", rec="off")
    clip = quick.device.cards.slots["sd1"].clips[-1]
    assert (clip.path, clip.name) == ("DCIM/101RCRHG/01010001.MP4", "S0M40020000001A0")
    assert await quick.read("get_recorder_num") == {"recorder_num": "16"}
    assert (await quick.ask("set_recorder_num?recorder_num=17", "POST", ADMIN)).status_code == 400
