"""The transfer of clips to an FTP server: its settings, its progress, its ends."""

import pytest

from tests.simulators.helpers import ADMIN, Client, eventually, fields

SERVER = "set_ftp?server_addr=192.168.0.121&username=user1&password=secret99&port_num=2121&mode=passive&dirname=clips"


async def list_id(client: Client, query: str = "index=1&format=avchd") -> str:
    return (await client.ask(f"get_clip_list?{query}")).text.rsplit("list_id=", 1)[1]


async def send(client: Client, what: str = "fileno=1,2,3&select_type=fileno", method: str = "POST") -> int:
    reply = await client.ask(f"send_ftpserver?{what}&list_id={await list_id(client)}", method, ADMIN)
    return reply.status_code


async def test_the_server_is_told_without_its_password(quick):
    await quick.set(SERVER)
    assert list((await quick.read("get_ftp")).items()) == [
        ("server_addr", "192.168.0.121"),
        ("dirname", "clips"),
        ("username", "user1"),
        ("port_num", "2121"),
        ("mode", "passive"),
    ]
    assert quick.device.settings.ftp.password == "secret99"
    assert "secret99" not in repr(quick.device.settings)


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_transfer_prepares_works_and_finishes(worker, method):
    client, leap = worker
    await client.set(SERVER)
    assert await send(client, "fileno=1,2,3,4&select_type=fileno", method) == 204
    assert await client.read("get_progress?type=send_ftp") == {"progress": "prepare", "rate": "0"}
    assert fields(await client.ask("get_state"))["ftp_send"] == "on"
    for seconds, rate in ((3, "2"), (4.5, "25"), (10, "75")):
        leap(seconds)
        assert await client.read("get_progress?type=send_ftp") == {"progress": "exec", "rate": rate}
    leap(10)
    assert await client.read("get_progress?type=send_ftp") == {"progress": "finish", "rate": "100"}
    assert fields(await client.ask("get_state"))["ftp_send"] == "off"
    assert (client.violations, client.notes) == ([], [])


async def test_all_means_the_whole_list_and_not_the_page(quick):
    await quick.set(SERVER)
    assert await send(quick, "select_type=all") == 204
    assert quick.device.cards.transfer.clips == 17


async def test_a_cancelled_transfer_ends_as_an_error(worker):
    client, leap = worker
    await client.set(SERVER)
    await send(client, "fileno=1,2&select_type=fileno")
    leap(7.5)
    assert (await client.ask("cancel_send_ftpserver", "GET", ADMIN)).status_code == 204
    assert await client.read("get_progress?type=send_ftp") == {"progress": "cancel", "rate": "50"}
    assert fields(await client.ask("get_state"))["ftp_send"] == "on"
    leap(10)
    assert await client.read("get_progress?type=send_ftp") == {"progress": "error", "rate": "50"}
    assert fields(await client.ask("get_state"))["ftp_send"] == "off"
    assert await send(client) == 204


async def test_cancelling_nothing_does_nothing(quick):
    assert (await quick.ask("cancel_send_ftpserver", "POST", ADMIN)).status_code == 204
    assert await quick.read("get_progress?type=send_ftp") == {"progress": "finish", "rate": "100"}


async def test_a_transfer_without_a_server_fails(quick):
    assert await send(quick) == 204
    told = await quick.until("get_progress?type=send_ftp", progress="error")
    assert int(told["rate"]) < 100
    assert "FTP transfer: error" in (await quick.ask("get_systemlog?type=eventlog&num=1", auth=ADMIN)).text


async def test_transfers_can_be_made_to_fail(quick):
    await quick.set(SERVER)
    quick.device.inject("failing-transfers", times=1)
    await eventually(lambda: quick.device._clips.failing_transfers == 1)
    await send(quick)
    await quick.until("get_progress?type=send_ftp", progress="error")
    await send(quick)
    await quick.until("get_progress?type=send_ftp", progress="finish")


async def test_one_transfer_at_a_time(worker):
    quick, _ = worker
    await quick.set(SERVER)
    assert await send(quick, "select_type=all") == 204
    assert await send(quick) == 500
    assert (await quick.ask("sdctrl?save=start")).status_code == 500
    assert quick.notes == ["busy", "busy"]


async def test_a_restart_ends_a_transfer(worker):
    quick, _ = worker
    await quick.set(SERVER)
    await send(quick, "select_type=all")
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
