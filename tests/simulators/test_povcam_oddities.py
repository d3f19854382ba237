"""Ways of other firmware, each on its own: a client's tolerance is tested against them."""

import httpx
import pytest

from simulators.device import Manners
from simulators.povcam import PovcamSimulator
from tests.simulators.helpers import ADMIN, Client, raw


def odd(name: str) -> PovcamSimulator:
    return PovcamSimulator(oddities=name, manners=Manners(0, 0))


async def test_answers_can_be_wrapped_in_html():
    async with odd("html") as device:
        client = Client(device)
        reply = await client.ask("get_basic")
        assert reply.text.startswith("\r\n<HTML>\r\ncam_title=")
        assert reply.text.endswith("</HTML>\r\n")
        assert (await client.ask("set_basic?plugin_disp=1", "POST", ADMIN)).content == b""


async def test_setters_can_want_get():
    async with odd("setters-by-get") as device:
        client = Client(device)
        assert (await client.ask("set_basic?plugin_disp=1", "POST", ADMIN)).status_code == 405
        assert (await client.ask("set_basic?plugin_disp=1", "GET", ADMIN)).status_code == 204
        assert (await client.ask("setdata?LIVEQUAL=9", "GET", ADMIN)).status_code == 204
        assert (await client.read("setdata"))["LIVEQUAL"] == "5"
        assert (await client.ask("get_basic", "POST")).status_code == 405
        assert (client.violations, client.notes) == (["method"], ["oddity"])


async def test_keep_alive_can_want_the_short_form():
    async with odd("short-keep-alive") as device:
        client = Client(device)
        first, second, jpeg = await client.uid(), await client.uid("h264_2"), await client.uid("jpeg")
        assert (await client.ask(f"keep_alive?mode=h.264&protocol=rtp&UID={first}&stream=1")).status_code == 403
        for target in (
            f"keep_alive?mode=h264&protocol=rtp&UID={first}&stream=1",
            f"keep_alive?mode=h264_2&protocol=rtp&UID={second}&stream=2",
            f"keep_alive?mode=jpeg&protocol=http&UID={jpeg}",
        ):
            assert (await client.ask(target)).status_code == 200
        assert (client.violations, client.notes) == ([], ["oddity"])


async def test_an_accept_header_can_be_refused_without_the_random_number():
    async with odd("accept-refused") as device:
        client = Client(device)
        assert (await client.ask("get_basic")).status_code == 400  # httpx sends Accept
        number = (await client.ask("get_randomnum")).text.strip().removeprefix("Randomnum=")
        assert (await client.ask(f"get_basic?Randomnum={number}")).status_code == 200
        assert (await client.ask(f"set_basic?plugin_disp=1&Randomnum={number}", "POST", ADMIN)).status_code == 204
        plain = await raw(device, b"GET /cgi-bin/get_basic HTTP/1.1\r\nHost: x\r\n\r\n")
        assert plain.startswith(b"HTTP/1.1 200 ")
        assert (client.violations, client.notes) == ([], ["oddity"])


async def test_the_random_number_is_unknown_to_others(client):
    assert (await client.ask("get_randomnum")).status_code == 404
    assert client.violations == ["unknown_command"]


async def test_a_recorder_can_have_one_slot_and_the_names_of_its_siblings():
    async with odd("one-slot, sibling-names") as device:
        client = Client(device)
        told = await client.read("get_state")
        assert [name for name in told if name.startswith(("sd2", "pre_rec"))] == []
        assert told["sd_insert"] == "on"
        told = await client.read("getinfo?FILE=1")
        assert (told["aInInterval"], told["Maxfps"], told["aEnable"]) == ("20", "", "OFF")


async def test_the_log_can_have_real_yen_signs():
    async with odd("utf8-yen") as device:
        reply = await Client(device).ask("get_systemlog?type=eventlog", auth=ADMIN)
        assert reply.content.decode().split("¥")[3] == "Power on$"


def test_an_unknown_oddity_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="short-keep-alive"):
        PovcamSimulator(oddities="haunted")


async def test_without_oddities_an_accept_header_is_fine(client):
    reply = await client.ask("get_basic", headers={"Accept": "*/*"})
    assert isinstance(reply, httpx.Response)
    assert reply.status_code == 200
