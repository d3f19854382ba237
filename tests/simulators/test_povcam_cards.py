"""Cards: what they hold, recording to them, formatting, lists of clips, deletion and download."""

import asyncio
import re

import httpx
import pytest

from simulators.device import Manners
from simulators.fleet import FleetError, make_device
from simulators.povcam import PovcamSimulator
from tests.simulators.helpers import ADMIN, Client, eventually, fields, raw

ROW = re.compile(r"(\d+),(S\d(?:AA|M4)\d{10}(?:60|A0)),(\d\d/\d\d/\d{4} \d\d:\d\d:\d\d),(\d\d:\d\d:\d\d)")


class Listed:
    """A list of clips as a client reads it."""

    def __init__(self, reply: httpx.Response) -> None:
        assert reply.status_code == 200, reply.text
        heading, *rows, found, total, list_id = reply.text.split("\r\n")
        assert heading == "no,filename,mm/dd/yyyy hh:mm:ss,duration"
        self.rows = [ROW.fullmatch(row).groups() for row in rows]
        assert found == f"ClipfileNum={len(rows)}"
        self.total = int(total.removeprefix("ClipfileALLNum="))
        self.list_id = int(list_id.removeprefix("list_id="))

    @property
    def numbers(self) -> list[int]:
        return [int(row[0]) for row in self.rows]

    @property
    def names(self) -> list[str]:
        return [row[1] for row in self.rows]


async def listed(client: Client, query: str = "index=1&format=avchd") -> Listed:
    return Listed(await client.ask(f"get_clip_list?{query}"))


async def record(client: Client) -> None:
    assert (await client.ask("sdctrl?save=start")).status_code == 204
    await client.until("get_state", rec="on")
    assert (await client.ask("sdctrl?save=end")).status_code == 204
    await client.until("get_state", rec="off")


@pytest.fixture
def busy(worker) -> Client:
    """A recorder whose work does not end."""
    return worker[0]


# Recording


async def test_recording_takes_a_moment_to_start_counts_and_leaves_a_clip(worker):
    client, leap = worker
    before = await listed(client)
    assert (await client.ask("sdctrl?save=start")).status_code == 204
    assert fields(await client.ask("get_state"))["rec"] == "off"
    leap(10)
    told = fields(await client.ask("get_state"))
    assert (told["rec"], told["rec_counter"]) == ("on", "00:00:00")
    leap(3725.25)
    told = fields(await client.ask("get_state"))
    assert (told["rec"], told["rec_counter"]) == ("on", "01:02:05")
    assert (await client.ask("sdctrl?save=end")).status_code == 204
    assert fields(await client.ask("get_state"))["rec"] == "on"
    leap(10)
    told = fields(await client.ask("get_state"))
    assert (told["rec"], told["rec_counter"]) == ("off", "00:00:00")
    after = await listed(client, "index=16&format=avchd")
    assert after.total == before.total + 1
    assert after.rows[-1][:2] == ("18", "S0AA001000001860")
    assert after.rows[-1][3] == "01:02:15"
    assert (client.violations, client.notes) == ([], [])


async def test_recording_goes_where_and_how_it_was_set(quick):
    await quick.set("set_sdrec_target?device=sd2")
    await quick.set("set_priority_mode?mode=rec_pb_4k")
    await quick.set("set_sdrec_mode?mode=mp4_2160_30p_50m")
    assert await quick.read("get_sdrec_mode") == {"mode": "mp4_2160_30p_50m"}
    await record(quick)
    assert (await listed(quick, "index=1&device=sd2&format=mp4")).names == ["S1M40010000005A0"]
    assert (await listed(quick, "index=1&device=sd2&format=avchd")).total == 0


async def test_a_clip_number_reset_begins_a_folder(quick):
    await quick.set("set_priority_mode?mode=rec_pb_4k")
    await quick.set("set_sdrec_mode?mode=mp4_2160_24p_50m")
    await quick.set("contentnum_reset")
    await record(quick)
    assert (await listed(quick, "index=1&format=mp4")).names[-1] == "S0M40020000001A0"


async def test_leaving_4k_leaves_its_format(quick):
    await quick.set("set_priority_mode?mode=rec_pb_4k")
    await quick.set("set_sdrec_mode?mode=mp4_2160_30p_50m")
    await quick.set("set_priority_mode?mode=rec_pb")
    assert await quick.read("get_sdrec_mode") == {"mode": "avchd_ps_1080_60p_28m"}


@pytest.mark.parametrize(
    ("settings", "mode", "status"),
    [
        ({}, "avchd_pm_720_60i_8m", 204),
        ({}, "avchd_ph_1080_24p_21m", 204),
        ({}, "avchd_ps_1080_50p_28m", 400),
        ({"system_frequency": "50"}, "avchd_ps_1080_50p_28m", 204),
        ({"system_frequency": "50"}, "avchd_ps_1080_60p_28m", 400),
        ({}, "avchd_ph_1080_60i_21m_from_720", 400),
        ({"head": False}, "avchd_ph_1080_60i_21m_from_720", 204),
    ],
)
async def test_formats_fit_the_frequency_and_the_camera_head(settings, mode, status):
    async with PovcamSimulator(**settings, manners=Manners(0, 0)) as device:
        client = Client(device)
        reply = await client.ask(f"set_sdrec_mode?mode={mode}", "POST", ADMIN)
        assert (reply.status_code, client.violations) == (status, [])
        assert (len(client.notes)) == (status != 204)


async def test_recording_answers_500_for_what_cannot_be(worker):
    client, leap = worker
    assert (await client.ask("sdctrl?save=end")).status_code == 500
    assert (await client.ask("sdctrl?save=start")).status_code == 204
    assert (await client.ask("sdctrl?save=end")).status_code == 500  # it is still starting
    leap(10)
    assert (await client.ask("sdctrl?save=start")).status_code == 500
    assert (await client.ask("set_sdrec_target?device=sd2", "POST", ADMIN)).status_code == 500
    assert (await client.ask("set_priority_mode?mode=ip_4k", "POST", ADMIN)).status_code == 500
    client.device.inject("card", mode="remove", number=1)
    await client.until("get_state", sd_insert="off", rec="off")
    assert (await client.ask("sdctrl?save=start")).status_code == 500
    assert client.violations == []
    assert client.notes == ["not_recording", "busy", "busy", "busy", "busy", "no_card"]


async def test_nothing_is_recorded_in_playback_and_standby(client):
    for mode in ("playback", "standby"):
        client.device.inject("mode", mode=mode)
        await eventually(lambda mode=mode: client.device.mode == mode)
        assert (await client.ask("sdctrl?save=start")).status_code == 500


async def test_a_card_fills_while_recording_and_ends_it_when_full(worker):
    client, leap = worker
    await client.ask("sdctrl?save=start")
    leap(10)
    gigabytes = [int(fields(await client.ask("get_state"))["sd_rem"])]
    for _ in range(5):
        leap(3600)  # at 28 Mbit/s 12.6 gigabytes
        gigabytes.append(int(fields(await client.ask("get_state"))["sd_rem"]))
    assert gigabytes == [57, 45, 33, 22, 10, 0]
    assert fields(await client.ask("get_state"))["rec"] == "off"
    listed_ = await listed(client, "index=18&format=avchd")
    assert (listed_.total, listed_.rows[0][3]) == (18, "04:52:40")
    assert (await client.ask("sdctrl?save=start")).status_code == 500
    assert client.notes == ["card_full"]
    assert "card full" in (await client.ask("get_systemlog?type=eventlog&num=1", auth=ADMIN)).text


async def test_a_full_card_may_hand_over_to_the_other():
    async with PovcamSimulator(
        cards=(4, 4), clips=0, work_seconds=0.1, fill=1000, oddities="relay", manners=Manners(0, 0)
    ) as device:
        client = Client(device)
        await client.ask("sdctrl?save=start")
        await client.until("get_state", rec="off", sd_rem="0", sd2_rem="0")
        assert await client.read("get_sdrec_target") == {"device": "sd2"}
        both = [(await listed(client, f"index=1&device={slot}&format=avchd")).names for slot in ("sd1", "sd2")]
        assert both == [["S0AA001000000160"], ["S1AA001000000260"]]
        assert client.notes == []


async def test_a_card_can_fill_faster_than_a_real_one():
    async with PovcamSimulator(cards=(4, 0), work_seconds=0.1, fill=1500, manners=Manners(0, 0)) as device:
        client = Client(device)
        await client.ask("sdctrl?save=start")
        await client.until("get_state", rec="off", sd_rem="0")
        assert (await listed(client)).total == 18


async def test_a_restart_keeps_what_was_recorded(quick):
    await quick.ask("sdctrl?save=start")
    await quick.until("get_state", rec="on")
    await quick.set("initial?cmd=reset&Randomnum=0123456789abcdef")
    await quick.restarted()
    assert fields(await quick.ask("get_state"))["rec"] == "off"
    assert (await listed(quick)).total == 18


async def test_pre_rec_is_told(client):
    client.device.inject("pre-rec", mode="on")
    await client.until("get_state", pre_rec="on")


# The slots


async def test_a_card_can_come_go_break_and_be_repaired(worker):
    client, leap = worker
    assert fields(await client.ask("get_state"))["sd2_org"] == "29"
    client.device.inject("card", mode="remove", number=2)
    told = await client.until("get_state", sd2_insert="off")
    assert (told["sd2_rem"], told["sd2_org"]) == ("-----", "-----")
    client.device.inject("card", mode="insert", number=2)
    told = await client.until("get_state", sd2_insert="on")
    assert (told["sd2_rem"], told["sd2_org"]) == ("29", "29")
    client.device.inject("card", mode="error", number=2)
    told = await client.until("get_state", sd2_error="on")
    assert told["sd2_rem"] == "-----"
    await client.set("set_sdrec_target?device=sd2")
    assert (await client.ask("sdctrl?save=start")).status_code == 500
    client.device.inject("card", mode="repair", number=2, seconds=30)
    await client.until("get_state", sd2_error="off", sd2_repair="on")
    assert (await client.ask("sdctrl?save=start")).status_code == 500
    leap(30)
    assert fields(await client.ask("get_state"))["sd2_repair"] == "off"
    assert (await client.ask("sdctrl?save=start")).status_code == 204
    assert client.notes == ["card_error", "card_error"]


async def test_a_full_card_has_nothing_left(quick):
    quick.device.inject("card", mode="full", number=1)
    await quick.until("get_state", sd_rem="0")
    assert (await quick.ask("sdctrl?save=start")).status_code == 500


# Formatting


async def test_formatting_prepares_works_and_empties_the_card(worker):
    client, leap = worker
    assert await client.read("get_progress?type=format") == {"progress": "finish"}
    await client.set("sdcard?cmd=format")
    assert await client.read("get_progress?type=format") == {"progress": "prepare"}
    assert fields(await client.ask("get_state"))["sd_format"] == "on"
    leap(10)
    assert await client.read("get_progress?type=format") == {"progress": "exec"}
    leap(10)
    assert await client.read("get_progress?type=format") == {"progress": "finish"}
    told = fields(await client.ask("get_state"))
    assert (told["sd_format"], told["sd_rem"]) == ("off", told["sd_org"])
    assert (await listed(client)).total == 0
    assert client.violations == []


async def test_formatting_mends_the_second_card_and_leaves_the_first(quick):
    quick.device.inject("card", mode="error", number=2)
    await quick.until("get_state", sd2_error="on")
    await quick.set("sdcard?cmd=format2")
    await quick.until("get_state", sd_format="off", sd2_error="off")
    assert (await listed(quick)).total == 17


async def test_a_card_in_use_is_not_formatted(busy):
    await busy.ask("sdctrl?save=start")
    for command in ("format", "format2"):
        reply = await busy.ask(f"sdcard?cmd={command}", "POST", ADMIN)
        assert (reply.status_code, reply.text.strip()) == (200, "ErrorNo=3")
    assert fields(await busy.ask("get_state"))["sd_format"] == "off"
    assert busy.notes == ["busy", "busy"]


async def test_a_missing_card_is_not_formatted(client):
    assert (await client.ask("sdcard?cmd=format2", "POST", ADMIN)).status_code == 500
    assert client.notes == ["no_card"]


async def test_a_restart_breaks_formatting_off(busy):
    await busy.set("sdcard?cmd=format")
    await busy.set("initial?cmd=reset&Randomnum=0123456789abcdef")
    await busy.restarted()
    assert await busy.read("get_progress?type=format") == {"progress": "error"}
    assert (await listed(busy)).total == 17


# Lists


async def test_a_list_has_pages(client):
    first = await listed(client)
    assert (first.numbers, first.total) == (list(range(1, 16)), 17)
    second = await listed(client, "index=16&format=avchd")
    assert (second.numbers, second.total) == ([16, 17], 17)
    assert (await listed(client, "index=18&format=avchd")).numbers == []
    assert (await listed(client, "maxmatches=4&index=3&device=sd1&format=avchd")).numbers == [3, 4, 5, 6]
    assert first.list_id != second.list_id
    assert len(set(first.names + second.names)) == 17


async def test_each_format_and_slot_has_a_list_of_its_own(client):
    assert (await listed(client, "index=1&format=mp4")).names[0] == "S0M40010000001A0"
    assert (await listed(client, "index=1&device=sd2&format=mp4")).total == 0  # there is no card


async def test_clips_are_listed_in_the_order_of_their_dates(client):
    rows = (await listed(client)).rows
    dates = [(row[2][6:10], row[2][:5], row[2][11:]) for row in rows]
    assert dates == sorted(dates)


LIST_REFUSALS = [
    ("get_clip_list?format=avchd", "missing_parameter"),
    ("get_clip_list?index=1", "missing_parameter"),
    ("get_clip_list?maxmatches=16&index=1&format=avchd", "value"),
    ("get_clip_list?index=0&format=avchd", "value"),
    ("get_clip_list?index=65536&format=avchd", "value"),
    ("get_clip_list?index=1&format=mov", "value"),
    ("get_clip_list?index=1&format=mp4&device=sd1", "order"),
    ("del_clip_file?fileno=1&list_id=1", "list"),
    ("del_clip_file?fileno=1", "missing_parameter"),
    ("del_clip_file?fileno=1%2C2&list_id={}", "encoding"),
    ("del_clip_file?fileno=1,1&list_id={}", "value"),
    ("del_clip_file?fileno=1,&list_id={}", "value"),
    ("del_clip_file?fileno=" + ",".join(map(str, range(1, 52))) + "&list_id={}", "value"),
    ("del_clip_file?fileno=16&list_id={}", "list"),
    ("get_clip_file?filename=S0AA001000009960&list_id={}", "list"),
    ("get_clip_file?list_id={}", "missing_parameter"),
]


@pytest.mark.parametrize(("target", "kind"), LIST_REFUSALS)
async def test_what_no_list_says_is_refused(client, target, kind):
    list_id = (await listed(client)).list_id
    reply = await client.ask(target.format(list_id))
    assert (reply.status_code, client.violations) == (400, [kind])
    assert (await listed(client)).total == 17


# Deletion


async def test_deletion_takes_a_moment_and_ends_the_lists(worker):
    client, leap = worker
    page = await listed(client)
    assert (await client.ask(f"del_clip_file?fileno=2,4&list_id={page.list_id}")).status_code == 204
    assert fields(await client.ask("get_state"))["del_file"] == "on"
    leap(10)
    assert fields(await client.ask("get_state"))["del_file"] == "off"
    after = await listed(client)
    assert after.total == 15
    assert after.names[:3] == [page.names[0], page.names[2], page.names[4]]
    assert (await client.ask(f"del_clip_file?fileno=1&list_id={page.list_id}")).status_code == 500
    assert (client.violations, client.notes) == ([], ["old_list"])


async def test_all_pages_can_be_deleted_from_the_last_backwards(quick):
    while (total := (await listed(quick)).total) > 0:
        start = (total - 1) // 15 * 15 + 1
        page = await listed(quick, f"index={start}&format=avchd")
        numbers = ",".join(map(str, page.numbers))
        assert (await quick.ask(f"del_clip_file?fileno={numbers}&list_id={page.list_id}")).status_code == 204
        await quick.until("get_state", del_file="off")
    assert (await listed(quick, "index=1&format=mp4")).total == 4
    assert quick.violations == []


async def test_a_new_clip_and_another_card_end_a_list(quick):
    page = await listed(quick)
    await record(quick)
    assert (await quick.ask(f"get_clip_file?filename={page.names[0]}&list_id={page.list_id}")).status_code == 500
    page = await listed(quick, "index=1&device=sd2&format=avchd")
    quick.device.inject("card", mode="remove", number=2)
    quick.device.inject("card", mode="insert", number=2)
    await eventually(lambda: "Card in sd2" in str(quick.device.log._entries))
    assert (await quick.ask(f"del_clip_file?fileno=1&list_id={page.list_id}")).status_code == 500
    assert quick.notes == ["old_list", "old_list"]


async def test_lists_can_be_lost(client):
    page = await listed(client)
    client.device.inject("lose-lists")
    await eventually(lambda: client.device._clips._lists == {})
    assert (await client.ask(f"del_clip_file?fileno=1&list_id={page.list_id}")).status_code == 500
    assert (client.violations, client.notes) == ([], ["old_list"])


async def test_one_thing_at_a_time(busy):
    page = await listed(busy)
    await busy.ask(f"del_clip_file?fileno=1&list_id={page.list_id}")
    for target in (
        f"del_clip_file?fileno=2&list_id={page.list_id}",
        "sdctrl?save=start",
        f"send_ftpserver?select_type=all&list_id={page.list_id}",
        f"get_clip_file?filename={page.names[3]}&list_id={page.list_id}",
    ):
        assert (await busy.ask(target, auth=ADMIN)).status_code == 500
    assert busy.notes == ["busy"] * 4


# Download


async def clip_target(client: Client, query: str = "index=1&format=avchd", place: int = 0) -> tuple[str, str]:
    page = await listed(client, query)
    return f"get_clip_file?filename={page.names[place]}&list_id={page.list_id}", page.names[place]


async def test_a_clip_is_downloaded_under_its_name_and_is_always_the_same(client):
    target, name = await clip_target(client)
    first, second = await client.ask(target), await client.ask(target)
    assert first.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert first.headers["content-type"] == "application/octet-stream"
    assert int(first.headers["content-length"]) == len(first.content) == client.device.cards.slots["sd1"].clips[0].size
    assert first.content == second.content
    other, _ = await clip_target(client, place=1)
    assert (await client.ask(other)).content != first.content
    assert (client.violations, client.notes) == ([], [])


async def test_a_clip_is_asked_for_without_an_extension(client):
    target, name = await clip_target(client)
    assert (await client.ask(target.replace(name, f"{name}.MTS"))).status_code == 400
    assert client.violations == ["list"]


async def test_a_download_shows_while_it_lasts_and_is_the_only_one(quick):
    target, _ = await clip_target(quick)
    quick.device.inject("slow-downloads", seconds=0.3)
    asking = asyncio.create_task(quick.ask(target))
    await quick.until("get_state", download="on")
    assert (await quick.ask("sdcard?cmd=format", "POST", ADMIN)).text.strip() == "ErrorNo=3"
    assert (await quick.ask(target)).status_code == 500
    list_id = target.rsplit("=", 1)[1]
    assert (await quick.ask(f"del_clip_file?fileno=1&list_id={list_id}")).status_code == 500
    assert (await quick.ask(f"send_ftpserver?select_type=all&list_id={list_id}", "POST", ADMIN)).status_code == 500
    assert len((await asking).content) > 100_000
    await quick.until("get_state", download="off")
    assert quick.notes == ["busy"] * 4


async def test_nothing_is_downloaded_while_the_recorder_records(quick):
    await quick.ask("sdctrl?save=start")
    await quick.until("get_state", rec="on")
    target, _ = await clip_target(quick)
    assert (await quick.ask(target)).status_code == 500
    assert (quick.violations, quick.notes) == ([], ["busy"])


async def test_a_client_that_leaves_ends_its_download(quick):
    target, _ = await clip_target(quick)
    quick.device.inject("slow-downloads", seconds=0.1)
    reading = asyncio.create_task(raw(quick.device, f"GET /cgi-bin/{target} HTTP/1.0\r\n\r\n".encode()))
    await quick.until("get_state", download="on")
    reading.cancel()
    await quick.until("get_state", download="off")


async def test_a_download_can_break_off(quick):
    target, _ = await clip_target(quick)
    quick.device.inject("cut-downloads", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await quick.ask(target)
    assert (await quick.ask(target)).status_code == 200


async def test_a_download_can_stand_still_for_a_while(quick):
    target, _ = await clip_target(quick)
    quick.device.inject("stall-downloads", times=1)
    asking = asyncio.create_task(quick.ask(target))
    await quick.until("get_state", download="on")
    await eventually(lambda: not quick.device._clips.faults.stalls)
    assert not asking.done()
    quick.device.inject("clear")
    assert len((await asking).content) == int((await asking).headers["content-length"])


async def test_a_download_can_be_announced_longer_or_shorter_than_it_is(quick):
    target, _ = await clip_target(quick)
    whole = (await quick.ask(target)).content
    quick.device.inject("wrong-length", times=1, number=1000)
    with pytest.raises(httpx.RemoteProtocolError):
        await quick.ask(target)
    quick.device.inject("wrong-length", times=1, number=-1000)
    assert (await quick.ask(target)).content == whole[:-1000]
    assert (await quick.ask(target)).content == whole


async def test_a_download_can_be_refused(quick):
    target, _ = await clip_target(quick)
    quick.device.inject("busy-downloads", times=1)
    assert [(await quick.ask(target)).status_code for _ in range(2)] == [500, 200]


async def test_a_card_that_is_put_back_has_its_clips_and_new_lists(quick):
    target, _ = await clip_target(quick)
    whole = (await quick.ask(target)).content
    quick.device.inject("card", mode="remove", number=1)
    quick.device.inject("card", mode="put-back", number=1)
    await eventually(lambda: "No card in sd1" in str(quick.device.log._entries))
    assert (await quick.ask(target)).status_code == 500
    target, _ = await clip_target(quick)
    assert (await quick.ask(target)).content == whole
    assert quick.notes == ["old_list"]


@pytest.mark.parametrize("mode", ["remove", "error"])
async def test_a_card_that_is_pulled_or_breaks_ends_a_download(quick, mode):
    target, _ = await clip_target(quick)
    quick.device.inject("slow-downloads", seconds=0.3)
    asking = asyncio.create_task(quick.ask(target))
    await quick.until("get_state", download="on")
    quick.device.inject("card", mode=mode, number=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await asking
    assert (await quick.ask(target)).status_code == 500


@pytest.mark.parametrize(("oddity", "header"), [("chunked-clips", "chunked"), ("unmeasured-clips", None)])
async def test_other_firmware_sends_a_clip_without_its_length(oddity, header):
    async with PovcamSimulator(
        small_clips=True, clip_seconds=1, clips=1, oddities=oddity, manners=Manners(0, 0)
    ) as device:
        client = Client(device)
        target, _ = await clip_target(client)
        reply = await client.ask(target)
        assert (reply.headers.get("transfer-encoding"), "content-length" in reply.headers) == (header, False)
        assert len(reply.content) == device.cards.slots["sd1"].clips[0].size
        device.inject("cut-downloads", times=1)
        if header:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.ask(target)
        else:
            assert len((await client.ask(target)).content) < len(reply.content)


async def test_the_cards_of_a_fleet_are_described_in_its_file():
    device = make_device("povcam", {"cards": [128, 32], "clips": 3, "work_seconds": 0.5, "fill": 2})
    assert [card.capacity for card in device.cards.slots.values()] == [128_000_000_000, 32_000_000_000]
    for cards in ([64], [64, -1], ["64", 0]):
        with pytest.raises(FleetError, match="cards"):
            make_device("povcam", {"cards": cards})


def test_a_fault_that_cannot_be_is_refused(device):
    for details in ({"kind": "card", "mode": "burn"}, {"kind": "mode"}, {"kind": "pre-rec", "mode": "maybe"}):
        with pytest.raises(ValueError, match="mode of the fault"):
            device.inject(**details)


async def test_the_side_door_tells_the_settings_and_what_is_going_on(busy):
    await busy.set("set_ftp?password=secret99")
    await busy.ask("sdctrl?save=start")
    state = (await busy.ask("/_sim/state")).json()["state"]
    assert (state["mode"], state["busy"]) == ("imaging", "recording")
    assert state["settings"]["ftp"]["password"] == "secret99"
    assert state["settings"]["h264"]["2"]["framerate"] == "15"
