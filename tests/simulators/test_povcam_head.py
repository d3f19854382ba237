"""The camera head, and who is sent audio."""

import pytest

from simulators.device import Manners
from simulators.povcam import PovcamSimulator
from tests.simulators.helpers import Client, eventually


async def head(client: Client) -> dict[str, object]:
    return (await client.ask("/_sim/state")).json()["state"]["head"]


async def test_zoom_iris_and_focus_move_and_return(client):
    for target in ("camctrl?zoom=up", "camctrl?times=up", "camctrl?iris=-2", "camctrl?bright=down", "camctrl?focus=3"):
        assert (await client.ask(target)).status_code == 200
    state = await head(client)
    assert (state["zoom"], state["iris"], state["focus"], state["auto_focus"]) == (3, -3, 3, False)
    for target in ("camctrl?zoom=1", "camctrl?iris=0", "camctrl?af=on"):
        await client.ask(target)
    state = await head(client)
    assert (state["zoom"], state["iris"], state["auto_focus"]) == (1, 0, True)
    for _ in range(3):
        await client.ask("camctrl?zoom=down")
    assert (await head(client))["zoom"] == 1  # it cannot zoom out further
    assert client.violations == []


async def test_direct_control_moves_until_it_is_told_0(client):
    await client.ask("directctrl?zoom=4&focus=-4")
    state = await head(client)
    assert (state["zoom_speed"], state["focus_speed"]) == (4, -4)
    await client.ask("directctrl?zoom=0")
    await client.ask("directctrl?focus=0")
    state = await head(client)
    assert (state["zoom_speed"], state["focus_speed"]) == (0, 0)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("camctrl", "missing_parameter"),
        ("camctrl?zoom=2", "value"),
        ("camctrl?iris=1.5", "value"),
        ("camctrl?focus=-4", "value"),
        ("camctrl?pan=1", "unknown_parameter"),
        ("directctrl?zoom=5", "value"),
        ("directctrl?zoom=%2B1", "value"),
        ("directctrl?focus=1&zoom=1", "order"),
        ("directctrl", "missing_parameter"),
    ],
)
async def test_wrong_movements_are_refused(client, target, kind):
    before = await head(client)
    assert (await client.ask(target)).status_code == 400
    assert client.violations == [kind]
    assert await head(client) == before


async def test_without_a_head_there_is_nothing_to_control():
    async with PovcamSimulator(head=False, manners=Manners(0, 0)) as device:
        client = Client(device)
        for target in ("camctrl?zoom=up", "directctrl?zoom=1", "aw_ptz?cmd=%23Z50&res=1"):
            assert (await client.ask(target)).status_code == 404
        assert (client.violations, client.notes) == ([], ["no_head"] * 3)


async def test_commands_of_another_document_are_unknown_to_it(client):
    assert (await client.ask("aw_ptz?cmd=%23Z50&res=1")).text.strip() == "eR1"
    assert (await client.ask("aw_cam?cmd=OGU%3A80&res=1")).status_code == 400  # the colon is raw
    assert (await client.ask("aw_cam?cmd=OGU:80&res=1")).text.strip() == "ER1"


async def test_audio_needs_to_be_on_and_shows_in_the_session(client):
    uid = await client.uid()
    start = f"audio?connect=start&protocol=rtp&my_port=38004&UID={uid}&mode=in"
    assert (await client.ask(start)).status_code == 500
    await client.set("set_audio?audio=1&audio_sens=middle")
    assert (await client.ask(start)).status_code == 200
    (session,) = client.device.sessions()
    assert session["audio"] is True
    assert (await client.ask(f"keep_alive?mode=audio&protocol=rtp&UID={uid}")).status_code == 200
    await client.ask(f"audio?connect=stop&protocol=rtp&my_port=38004&UID={uid}&mode=in")
    (session,) = client.device.sessions()
    assert session["audio"] is False
    assert (client.violations, client.notes) == ([], ["audio_off"])


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("audio?connect=start&protocol=rtp&UID={}&mode=in", "missing_parameter"),
        ("audio?connect=start&protocol=http&UID={}", "missing_parameter"),
        ("audio?connect=start&protocol=http&UID={}&mode=out", "value"),
        ("audio?protocol=http&connect=start&UID={}&mode=in", "order"),
    ],
)
async def test_wrong_audio_is_refused(client, target, kind):
    uid = await client.uid()
    assert (await client.ask(target.format(uid))).status_code == 400
    assert client.violations == [kind]


async def test_getinfo_tells_that_audio_is_on(client):
    await client.set("set_audio?audio=1&audio_sens=sdi")
    await client.set("set_audio?audio_bitrate=96")
    await eventually(lambda: client.device.settings.audio.audio == "in")
    told = await client.read("getinfo?FILE=1")
    assert (told["aEnable"], told["aBitrate"]) == ("in", "96")
