"""Clips on the cards of a POVCAM against the strict simulator: pages, lists that end, one thing at a time."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from devices.errors import Busy, CardGone, ClipGone, Interrupted, NoAnswer, WrongAnswer
from devices.families import driver_for
from devices.families.base import Clip
from devices.families.povcam import clips
from devices.families.povcam.clips import read_page
from devices.gateway import Gateway
from devices.models import Device
from tests.devices.conftest import Simulator, unsaved_device

LIST = (
    "no,filename,mm/dd/yyyy hh:mm:ss,duration\r\n"
    "1,S1AA001000000160,06/26/2017 20:12:02,00:00:12\r\n"
    "2,S1AA001000000260,06/26/2017 20:13:10,01:02:03\r\n"
    "ClipfileNum=2\r\nClipfileALLNum=17\r\nlist_id=5777"
)


def test_the_documents_list_is_read():
    page = read_page(LIST, 2, "avchd", {})
    assert (page.total, page.list_id, list(page.clips)) == (17, "5777", [1, 2])
    second = page.clips[2]
    assert second == Clip(2, "avchd", "S1AA001000000260", 2, "2017-06-26T20:13:10", None, 3723)
    assert page.number(Clip(2, "avchd", "S1AA001000000260", 99, "2017-06-26T20:13:10", None, 3723)) == 2
    assert page.number(Clip(2, "avchd", "S1AA001000000260", 2, "2017-06-26T20:13:11", None, 3723)) is None


@pytest.mark.parametrize(
    ("old", "new"), [("list_id=5777", ""), ("list_id=5777", "list_id=abc"), ("ClipfileALLNum=17\r\n", "")]
)
def test_a_list_that_cannot_be_acted_on_is_refused(old: str, new: str):
    with pytest.raises(WrongAnswer, match="list of clips"):
        read_page(LIST.replace(old, new), 1, "avchd", {})


def test_what_is_no_clip_is_passed_over():
    text = LIST.replace("2,S1AA001000000260,", "2,../../etc,").replace("00:00:12", "soon")
    page = read_page(text, 1, "avchd", {})
    assert [(clip.name, clip.seconds) for clip in page.clips.values()] == [("S1AA001000000160", None)]


CELLS = st.one_of(
    st.integers(-5, 10**20).map(str),
    st.text(max_size=8),
    st.sampled_from(
        ["S1AA001000000160", "01/01/0001 00:00:00", "12/31/9999 23:59:59", "06/26/2017 20:12:02", "99:00:00"]
    ),
)
LINES = st.one_of(
    st.lists(CELLS, max_size=6).map(",".join),
    st.tuples(st.sampled_from(["ClipfileNum", "ClipfileALLNum", "list_id"]), CELLS).map("=".join),
)


@given(st.lists(LINES, max_size=12).map("\r\n".join), st.integers(0, 80))
def test_whatever_it_sends_is_a_page_or_a_wrong_answer(text: str, zone: int):
    with contextlib.suppress(WrongAnswer):
        page = read_page(text, 1, "mp4", {"timezone": zone, "summer_time": "1"})
        assert all(clip.name.isascii() for clip in page.clips.values())


@pytest.fixture
def recorder(start_simulator: Callable[..., Simulator], redis_client: redis.Redis) -> Simulator:
    return start_simulator(
        "--user-auth", "--small-clips", "--clips", "20", "--clip-seconds", "2", "--work-seconds", "0.2"
    )


@pytest.fixture
def device(recorder: Simulator) -> Device:
    return unsaved_device(recorder.port)


async def listed(device: Device, form: str = "avchd") -> tuple[Clip, ...]:
    listing = await driver_for(device).clips(Gateway(device), 1, form)
    assert listing.complete
    return listing.clips


async def fetched(device: Device, clip: Clip) -> bytes:
    async with driver_for(device).clip_file(Gateway(device), clip) as file:
        content = b"".join([piece async for piece in file.pieces])
        assert file.size == len(content)
        return content


async def test_all_pages_are_listed(device: Device, recorder: Simulator):
    found = await listed(device)
    assert [clip.number for clip in found] == list(range(1, 21))
    assert len({clip.name for clip in found}) == 20
    assert all(clip.seconds == 2 and clip.begun is not None for clip in found)
    begun = found[-1].begun
    assert begun is not None
    assert abs((datetime.now(UTC) - begun).total_seconds()) < 2 * 3600, "its local time is told in UTC"
    assert len(await listed(device, "mp4")) == 5
    assert recorder.violations == []


async def test_a_clip_is_fetched_from_whatever_page_it_is_on(device: Device, recorder: Simulator):
    found = await listed(device)
    contents = [await fetched(device, clip) for clip in (found[0], found[-1], found[0])]
    assert contents[0] == contents[2] != contents[1]
    assert hashlib.sha256(contents[0]).digest() != hashlib.sha256(contents[1]).digest()
    assert recorder.violations == []


async def test_a_clip_that_moved_in_the_list_is_found(device: Device, recorder: Simulator):
    last = (await listed(device))[-1]
    whole = await fetched(device, last)
    assert await fetched(device, Clip(**{**vars(last), "number": 1})) == whole
    assert await fetched(device, Clip(**{**vars(last), "number": 200})) == whole
    assert recorder.violations == []


async def test_another_clip_under_the_same_name_is_not_taken_for_it(device: Device, recorder: Simulator):
    first = (await listed(device))[0]
    with pytest.raises(ClipGone, match="no longer on the card"):
        await fetched(device, Clip(**{**vars(first), "recorded": "2020-01-01T00:00:00"}))
    assert not any("get_clip_file" in target for target in recorder.targets)


async def test_a_download_that_breaks_off_or_stands_still_is_noticed(
    device: Device, recorder: Simulator, monkeypatch: pytest.MonkeyPatch
):
    first = (await listed(device))[0]
    recorder.side_door("fault", {"kind": "cut-downloads", "times": 1})
    with pytest.raises(Interrupted, match="broke off"):
        await fetched(device, first)
    recorder.side_door("fault", {"kind": "wrong-length", "times": 1, "number": 1000})
    with pytest.raises(Interrupted, match="broke off"):
        await fetched(device, first)
    monkeypatch.setattr(clips, "IDLE_SECONDS", 0.3)
    recorder.side_door("fault", {"kind": "stall-downloads", "times": 1})
    with pytest.raises(NoAnswer, match="fell silent"):
        await fetched(device, first)
    assert await fetched(device, first)


async def test_clips_are_deleted_page_by_page(device: Device, recorder: Simulator):
    found = await listed(device)
    driver = driver_for(device)
    wanted = [found[17], found[1], found[16], found[0], found[15]]
    deleted = []
    while wanted:
        done = await driver.delete_clips(Gateway(device), wanted)
        assert len({(clip.number - 1) // 15 for clip in done}) == 1
        wanted = [clip for clip in wanted if clip not in done]
        deleted.append(sorted(clip.number for clip in done))
    assert deleted == [[16, 17, 18], [1, 2]]
    left = [clip.name for clip in await listed(device)]
    assert left == [clip.name for clip in found if clip.number not in (1, 2, 16, 17, 18)]
    with pytest.raises(ClipGone):
        await driver.delete_clips(Gateway(device), [found[0]])
    assert recorder.violations == []


async def test_what_hinders_is_said(device: Device, recorder: Simulator):
    driver = driver_for(device)
    await driver.check_card(Gateway(device), 1)
    with pytest.raises(CardGone, match="no card in slot 2 of Gate"):
        await driver.check_card(Gateway(device), 2)
    await driver.record(Gateway(device), True)
    async with asyncio.timeout(10):
        while not (await driver.health(Gateway(device))).facts["recording"]:  # noqa: ASYNC110 -- of a device
            await asyncio.sleep(0.05)
    with pytest.raises(Busy, match="Gate is recording"):
        await driver.check_card(Gateway(device), 1)
    with pytest.raises(Busy, match="busy with its card"):
        await driver.format_card(Gateway(device), 1)
    recorder.side_door("fault", {"kind": "card", "mode": "error", "number": 1})
    with pytest.raises(CardGone, match="has an error"):
        await driver.check_card(Gateway(device), 1)
    recorder.side_door("fault", {"kind": "mode", "mode": "playback"})
    with pytest.raises(Busy, match="playback or standby"):
        await driver.check_card(Gateway(device), 1)
    assert recorder.violations == []


async def test_a_card_is_formatted(device: Device, recorder: Simulator):
    driver = driver_for(device)
    await driver.format_card(Gateway(device), 1)
    seen = set()
    async with asyncio.timeout(10):
        while "finish" not in seen:
            seen.add(await driver.format_progress(Gateway(device)))
    assert seen <= {"prepare", "exec", "finish"}
    assert await listed(device) == ()
    assert recorder.violations == []
