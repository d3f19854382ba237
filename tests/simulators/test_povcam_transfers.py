"""The transfer of clips to an FTP server: its settings, its progress, its ends."""

import asyncio
import hashlib

import httpx
import pytest

from simulators.povcam import PovcamSimulator
from tests.simulators.helpers import ADMIN, Client, eventually, fields


def setting(port: int, **more: str) -> str:
    values = {
        "server_addr": "127.0.0.1",
        "username": "user1",
        "password": "secret99",
        "port_num": port,
        "mode": "passive",
        "dirname": "clips",
    } | more
    return "set_ftp?" + "&".join(f"{name}={value}" for name, value in values.items())


async def list_id(client: Client, query: str = "index=1&format=avchd") -> str:
    return (await client.ask(f"get_clip_list?{query}")).text.rsplit("list_id=", 1)[1]


async def send(client: Client, what: str = "fileno=1,2,3&select_type=fileno", method: str = "POST") -> int:
    reply = await client.ask(f"send_ftpserver?{what}&list_id={await list_id(client)}", method, ADMIN)
    return reply.status_code


async def ends(client: Client, how: str) -> dict[str, str]:
    return await client.until("get_progress?type=send_ftp", progress=how)


async def logged(client: Client) -> str:
    return (await client.ask("get_systemlog?type=eventlog&num=1", auth=ADMIN)).text


async def half_way(client: Client) -> None:
    """Let a transfer stand still in the middle."""
    client.device.inject("stall-transfers")
    assert await send(client) == 204
    await eventually(lambda: client.device.cards.transfer.rate >= 50)
    await client.until("get_progress?type=send_ftp", progress="exec")


# Its settings


async def test_the_server_is_told_without_its_password(quick):
    await quick.set(setting(2121, server_addr="192.168.0.121"))
    assert list((await quick.read("get_ftp")).items()) == [
        ("server_addr", "192.168.0.121"),
        ("dirname", "clips"),
        ("username", "user1"),
        ("port_num", "2121"),
        ("mode", "passive"),
    ]
    assert quick.device.settings.ftp.password == "secret99"
    assert "secret99" not in repr(quick.device.settings)


async def test_the_server_can_be_set_back_without_its_password(quick):
    await quick.set(setting(2121))
    await quick.set("set_ftp?server_addr=192.168.0.5&port_num=21&dirname=")
    told = await quick.read("get_ftp")
    assert (told["server_addr"], told["port_num"], told["dirname"]) == ("192.168.0.5", "21", "")
    assert quick.device.settings.ftp.password == "secret99"


# What arrives


@pytest.mark.parametrize("mode", ["active", "passive"])
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_clips_arrive_as_they_are_on_the_card(quick, ftp_server, mode, method):
    await quick.set(setting(ftp_server.port, mode=mode))
    assert await send(quick, "fileno=1,3&select_type=fileno", method) == 204
    assert await ends(quick, "finish") == {"progress": "finish", "rate": "100"}
    root = "clips/AW000001/AVCHD/BDMV"
    assert list(ftp_server.files()) == [
        f"{root}/CLIPINF/00001.CPI",
        f"{root}/CLIPINF/00003.CPI",
        f"{root}/INDEX.BDM",
        f"{root}/MOVIEOBJ.BDM",
        f"{root}/PLAYLIST/00000.MPL",
        f"{root}/STREAM/00001.MTS",
        f"{root}/STREAM/00003.MTS",
    ]
    page = await quick.ask("get_clip_list?index=1&format=avchd")
    name, number = page.text.split("\r\n")[3].split(",")[1], page.text.rsplit("list_id=", 1)[1]
    pulled = await quick.ask(f"get_clip_file?filename={name}&list_id={number}")
    assert ftp_server.files()[f"{root}/STREAM/00003.MTS"].read_bytes() == pulled.content
    assert ({"PORT", "EPRT"} & set(ftp_server.commands) != set()) == (mode == "active")
    assert (quick.violations, quick.notes) == ([], [])


async def test_all_means_the_whole_list_and_not_the_page(quick, ftp_server):
    await quick.set(setting(ftp_server.port))
    assert await send(quick, "select_type=all") == 204
    await ends(quick, "finish")
    assert len([path for path in ftp_server.files() if path.endswith(".MTS")]) == 17


async def test_mp4_clips_lie_in_folders_of_dcim(quick, ftp_server):
    await quick.set(setting(ftp_server.port))
    number = await list_id(quick, "index=1&format=mp4")
    await quick.ask(f"send_ftpserver?select_type=all&list_id={number}", "POST", ADMIN)
    await ends(quick, "finish")
    folder = "clips/AW000001/DCIM/100RCRH0"
    assert list(ftp_server.files()) == [f"{folder}/0100000{clip}.MP4" for clip in range(1, 5)]


async def test_each_transfer_has_a_folder_whose_number_follows_the_highest(quick, ftp_server):
    for name in ("AW000007", "AW999", "AWABCDEF", "BW000050"):
        (ftp_server.folder / "clips" / name).mkdir(parents=True)
    await quick.set(setting(ftp_server.port))
    for _ in range(2):
        assert await send(quick, "fileno=1&select_type=fileno") == 204
        await ends(quick, "finish")
    made = {path.split("/")[1] for path in ftp_server.files()}
    assert made == {"AW000008", "AW000009"}


@pytest.mark.parametrize("dirname", ["", "site/gate%20north", "%E9%8C%B2%E7%94%BB"])
async def test_the_folder_is_made_when_it_is_missing(quick, ftp_server, dirname):
    await quick.set(setting(ftp_server.port, dirname=dirname))
    await send(quick, "fileno=1&select_type=fileno")
    await ends(quick, "finish")
    below = httpx.URL(f"http://x/{dirname}").path.strip("/")
    assert all(path.startswith(f"{below}/AW000001/".lstrip("/")) for path in ftp_server.files())


async def test_other_firmware_sends_clips_under_their_names(ftp_server):
    settings = {"small_clips": True, "clip_seconds": 1, "clips": 4, "oddities": "named-transfers"}
    async with PovcamSimulator(**settings) as device:
        client = Client(device)
        await client.set(setting(ftp_server.port))
        await send(client, "fileno=2&select_type=fileno")
        await ends(client, "finish")
    assert list(ftp_server.files()) == ["clips/AW000001/AVCHD/S0AA001000000260.MTS"]


async def test_it_comes_from_the_recorders_own_address(ftp_server):
    async with PovcamSimulator(host="127.0.0.9", small_clips=True, clip_seconds=1, clips=1) as device:
        client = Client(device)
        await client.set(setting(ftp_server.port))
        await send(client, "fileno=1&select_type=fileno")
        await ends(client, "finish")
    assert ftp_server.peers == {"127.0.0.9"}


# Its progress and its ends


async def test_progress_tells_how_much_has_been_sent(quick, ftp_server):
    await quick.set(setting(ftp_server.port))
    await half_way(quick)
    told = await quick.read("get_progress?type=send_ftp")
    assert (told["progress"], 50 <= int(told["rate"]) < 70) == ("exec", True)
    assert fields(await quick.ask("get_state"))["ftp_send"] == "on"
    quick.device.inject("clear")
    await ends(quick, "finish")
    assert fields(await quick.ask("get_state"))["ftp_send"] == "off"


async def test_a_transfer_prepares_before_the_server_answers(quick):
    async with await asyncio.start_server(lambda reader, writer: asyncio.Event().wait(), "127.0.0.1", 0) as mute:
        await quick.set(setting(mute.sockets[0].getsockname()[1]))
        assert await send(quick) == 204
        assert await quick.read("get_progress?type=send_ftp") == {"progress": "prepare", "rate": "0"}


async def test_a_cancelled_transfer_ends_as_an_error_and_leaves_what_was_sent(quick, ftp_server):
    await quick.set(setting(ftp_server.port))
    await half_way(quick)
    assert (await quick.ask("cancel_send_ftpserver", "GET", ADMIN)).status_code == 204
    told = await quick.read("get_progress?type=send_ftp")
    assert told["progress"] in ("cancel", "error")
    told = await ends(quick, "error")
    assert 50 <= int(told["rate"]) < 100
    assert "FTP transfer: error (cancelled)" in await logged(quick)
    quick.device.inject("clear")
    await eventually(lambda: not quick.device._clips.transfer_faults.stalled)
    assert await send(quick) == 204
    await ends(quick, "finish")


async def test_cancelling_nothing_does_nothing(quick):
    assert (await quick.ask("cancel_send_ftpserver", "POST", ADMIN)).status_code == 204
    assert await quick.read("get_progress?type=send_ftp") == {"progress": "finish", "rate": "100"}


async def test_a_transfer_without_a_server_fails(quick):
    assert await send(quick) == 204
    assert int((await ends(quick, "error"))["rate"]) == 0
    assert "FTP transfer: error (no server is set)" in await logged(quick)


async def test_a_refused_login_a_closed_port_and_a_full_server_fail(quick, ftp_server):
    for port, more, why in (
        (ftp_server.port, {"password": "wrong"}, "530"),
        (1, {}, "refused"),
    ):
        await quick.set(setting(port, **more))
        assert await send(quick) == 204
        await ends(quick, "error")
        assert why in await logged(quick)
    ftp_server.room = 100_000
    await quick.set(setting(ftp_server.port))
    assert await send(quick) == 204
    assert int((await ends(quick, "error"))["rate"]) < 100
    assert "error (426" in await logged(quick)


async def test_nothing_comes_after_the_last_folder(quick, ftp_server):
    (ftp_server.folder / "clips" / "AW999999").mkdir(parents=True)
    await quick.set(setting(ftp_server.port))
    assert await send(quick) == 204
    assert (await ends(quick, "error"))["rate"] == "0"
    assert "AW999999" in await logged(quick)
    assert ftp_server.files() == {}


async def test_transfers_can_be_made_to_break_off(quick, ftp_server):
    await quick.set(setting(ftp_server.port))
    quick.device.inject("failing-transfers", times=1)
    await eventually(lambda: quick.device._clips.transfer_faults.failing == 1)
    await send(quick)
    told = await ends(quick, "error")
    assert 50 <= int(told["rate"]) < 100
    whole = {hashlib.sha256(path.read_bytes()).hexdigest() for path in ftp_server.files().values()}
    await send(quick)
    await ends(quick, "finish")
    assert len(whole) == 2  # one clip and a half


async def test_a_card_that_is_pulled_ends_a_transfer(quick, ftp_server):
    await quick.set(setting(ftp_server.port))
    await half_way(quick)
    quick.device.inject("card", mode="remove", number=1)
    await ends(quick, "error")
    assert "the card cannot be read" in await logged(quick)


async def test_one_transfer_at_a_time(quick, ftp_server):
    await quick.set(setting(ftp_server.port))
    await half_way(quick)
    page = await list_id(quick)
    assert await send(quick) == 500
    assert (await quick.ask("sdctrl?save=start")).status_code == 500
    assert (await quick.ask(f"get_clip_file?filename=S0AA001000000160&list_id={page}")).status_code == 500
    assert (await quick.ask("sdcard?cmd=format2", "POST", ADMIN)).text.strip() == "ErrorNo=3"
    assert quick.notes == ["busy", "busy", "busy", "busy"]
    assert quick.violations == []


async def test_a_restart_ends_a_transfer(quick, ftp_server):
    await quick.set(setting(ftp_server.port))
    await half_way(quick)
    await quick.set("initial?cmd=reset&Randomnum=0123456789abcdef")
    await quick.restarted()
    assert fields(await quick.ask("get_state"))["ftp_send"] == "off"


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("select_type=fileno&list_id={}", "missing_parameter"),
        ("fileno=1&select_type=all&list_id={}", "condition"),
        ("fileno=1&list_id={}", "missing_parameter"),
        ("fileno=16&select_type=fileno&list_id={}", "list"),
        ("fileno=1&select_type=some&list_id={}", "value"),
        ("select_type=all&list_id=1", "list"),
        ("select_type=all", "missing_parameter"),
    ],
)
async def test_what_cannot_be_sent_is_refused(quick, query, kind):
    reply = await quick.ask(f"send_ftpserver?{query.format(await list_id(quick))}", "POST", ADMIN)
    assert (reply.status_code, quick.violations) == (400, [kind])
    assert quick.device.cards.transfer is None


async def test_progress_is_for_administrators(quick):
    assert (await quick.ask("get_progress?type=send_ftp")).status_code == 401
    assert (await quick.ask("get_progress?type=upload", auth=ADMIN)).status_code == 400
