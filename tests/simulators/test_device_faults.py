"""What tests can let go wrong, and how they look inside."""

import asyncio
import re

import httpx
import pytest

from simulators.device import Manners
from simulators.picture import read_strip
from simulators.povcam import PovcamSimulator
from simulators.testing import running
from tests.simulators.helpers import ADMIN, Client, decode, eventually, fields, raw


async def fault(client: Client, **details) -> httpx.Response:
    return await client.ask("/_sim/fault", "POST", json=details)


async def test_a_hanging_device_answers_nothing_once(client):
    await fault(client, kind="hang")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.ask("get_basic"), 0.5)
    assert (await client.ask("get_basic")).status_code == 200
    assert [asked.status for asked in client.device.requests] == [0, 200]


async def test_a_reset_ends_the_connection_without_an_answer(client):
    await fault(client, kind="reset", times=2)
    with pytest.raises(httpx.TransportError):
        await client.ask("get_basic")
    with pytest.raises(ConnectionResetError):
        await raw(client.device, b"GET /cgi-bin/get_basic HTTP/1.0\r\n\r\n")
    assert (await client.ask("get_basic")).status_code == 200


async def test_an_answer_can_break_off(client):
    await fault(client, kind="half", times=2)
    with pytest.raises(httpx.RemoteProtocolError):
        await client.ask("get_basic")
    head, _, body = (await raw(client.device, b"GET /cgi-bin/get_basic HTTP/1.0\r\n\r\n")).partition(b"\r\n\r\n")
    assert len(body) == int(re.search(rb"Content-Length: (\d+)", head)[1]) // 2
    assert (await client.ask("get_basic")).status_code == 200


async def test_garbage_is_not_http(client):
    await fault(client, kind="garbage")
    with pytest.raises(httpx.RemoteProtocolError):
        await client.ask("get_basic")


async def test_a_status_until_it_is_cleared_on_one_path(client):
    await fault(client, kind="status", status=500, times=0, path="/cgi-bin/get_basic")
    for _ in range(3):
        assert (await client.ask("get_basic")).status_code == 500
    assert (await client.ask("get_state")).status_code == 200
    await fault(client, kind="clear")
    assert (await client.ask("get_basic")).status_code == 200


async def test_a_slow_device_answers_late(client):
    await fault(client, kind="slow", seconds=0.6)
    asking = asyncio.create_task(client.ask("get_basic"))
    await asyncio.sleep(0.2)
    assert not asking.done()
    assert (await asking).status_code == 200


async def test_a_reboot_closes_the_port_and_loses_uids_nonces_and_jpeg_but_no_settings(client, rtp_port):
    challenged = httpx.DigestAuth("admin", "12345")
    await client.ask("set_basic?cam_title=kept", "POST", challenged)
    await client.ask("view.cgi?action=start")
    uid = await client.uid("h264_2")
    await client.ask(f"h264?my_port={rtp_port.number}&connect=start&protocol=rtp&UID={uid}&stream=2")
    await rtp_port.pictures(1)
    port = client.device.port
    await fault(client, kind="reboot", seconds=1.5)
    assert await rtp_port.silent(0.2)
    with pytest.raises(httpx.ConnectError):
        await client.ask("get_basic")
    while True:
        try:
            assert fields(await client.ask("get_basic"))["cam_title"] == "kept"
            break
        except httpx.ConnectError:
            await asyncio.sleep(0.1)
    assert client.device.port == port
    assert list(client.device.sessions()) == []
    assert (await client.ask("view.cgi?action=snapshot&n=1")).status_code == 500
    before = len(client.device.requests)
    assert (await client.ask("set_basic?cam_title=x", "POST", challenged)).status_code == 204
    assert [asked.status for asked in client.device.requests[before:]] == [401, 204]  # the old nonce was stale
    assert "login_failed" not in client.notes


async def test_initial_restarts_the_recorder():
    async with PovcamSimulator(reboot_seconds=0.2, manners=Manners(0, 0)) as device:
        client = Client(device)
        await client.uid()
        reply = await client.ask("initial?cmd=reset&Randomnum=0123456789abcdef", "POST", ADMIN)
        assert reply.status_code == 204
        await eventually(lambda: not list(device.sessions()))


async def test_an_open_stream_and_a_hanging_request_do_not_hinder_the_end(rtp_port):
    device = PovcamSimulator(manners=Manners(0, 0))
    await device.start()
    client = Client(device)
    uid = await client.uid()
    await client.ask(f"h264?my_port={rtp_port.number}&connect=start&protocol=rtp&UID={uid}&stream=1")
    await rtp_port.pictures(1)
    device.inject("hang")
    hanging = asyncio.create_task(raw(device, b"GET /cgi-bin/get_basic HTTP/1.0\r\n\r\n"))
    watching = asyncio.create_task(raw(device, b"GET /cgi-bin/mjpeg HTTP/1.0\r\n\r\n"))
    await eventually(lambda: len(device.requests) == 4)
    async with asyncio.timeout(1):
        await device.stop()
    await asyncio.gather(hanging, watching, return_exceptions=True)
    assert device.encoding == []
    assert await rtp_port.silent(0.2)


@pytest.mark.parametrize("details", [{"kind": "earthquake"}, {"kind": "hang", "colour": "red"}, {}])
async def test_an_unknown_fault_is_refused(client, details):
    reply = await fault(client, **details)
    assert reply.status_code == 400
    assert reply.json()["error"]


async def test_the_side_door_tells_what_happened(client):
    await client.ask("getinfo")
    await client.ask("/favicon.ico")
    told = (await client.ask("/_sim/violations")).json()
    assert [entry["kind"] for entry in told["violations"]] == ["missing_parameter"]
    assert "FILE" in told["violations"][0]["detail"]
    assert [entry["kind"] for entry in told["notes"]] == ["unknown_path"]
    asked = (await client.ask("/_sim/requests")).json()["requests"]
    assert [(entry["method"], entry["target"], entry["status"]) for entry in asked] == [
        ("GET", "/cgi-bin/getinfo", 400),
        ("GET", "/favicon.ico", 404),
    ]
    await client.ask("/_sim/forget", "POST", content=b"")
    assert (await client.ask("/_sim/requests")).json() == {"requests": []}
    assert (await client.ask("/_sim/cellar")).status_code == 404


async def test_without_control_there_is_no_side_door():
    async with PovcamSimulator() as device:
        assert (await Client(device).ask("/_sim/requests")).status_code == 404


def test_a_synchronous_test_can_run_a_device():
    with running(PovcamSimulator(seed=3)) as device:
        assert httpx.get(f"{device.url}/cgi-bin/get_basic", trust_env=False).status_code == 200
        device.inject("status", status=503)
        assert httpx.get(f"{device.url}/cgi-bin/get_basic", trust_env=False).status_code == 503
        assert [asked.status for asked in device.requests] == [200, 503]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{device.url}/cgi-bin/get_basic", trust_env=False)


def test_a_device_that_cannot_start_says_so_to_a_synchronous_test():
    with running(PovcamSimulator()) as first, pytest.raises(OSError), running(PovcamSimulator(port=first.port)):
        pass


def test_a_fault_needs_a_running_device():
    with pytest.raises(RuntimeError, match="started"):
        PovcamSimulator().inject("hang")


async def test_the_stream_after_a_pause_starts_with_a_key_picture(client, rtp_port):
    for _ in range(2):
        uid = await client.uid("h264_2")
        await client.ask(f"h264?my_port={rtp_port.number}&connect=start&protocol=rtp&UID={uid}&stream=2")
        pictures = await rtp_port.pictures(2)
        assert [read_strip(frame.to_image())[0] for frame in decode(pictures)] == [7, 7]
        await client.ask(f"h264?my_port={rtp_port.number}&connect=stop&protocol=rtp&UID={uid}&stream=2")
        assert await rtp_port.silent(0.2)
