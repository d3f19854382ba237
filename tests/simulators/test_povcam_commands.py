"""What the simulated recorder answers, and what it refuses."""

import asyncio
import io
import re
from pathlib import Path

import httpx
import pytest
from PIL import Image

from simulators.device import Manners
from simulators.picture import read_strip
from simulators.povcam import PovcamSimulator
from tests.simulators.helpers import ADMIN, Client, eventually, fields, raw

REAL = Path(__file__).resolve().parents[3] / "shared/realworld/panasonic"


async def test_getinfo_tells_who_it_is(client):
    reply = await client.ask("getinfo?FILE=1")
    told = fields(reply)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/plain"
    assert reply.headers["connection"] == "close"
    assert re.fullmatch(r"([0-9A-F]{2}-){5}[0-9A-F]{2}", told["MAC"])
    assert told["NAME"] == "AG-UMR20"
    assert (told["iResolution_h264"], told["iResolution_h264_2"]) == ("1280", "640")
    assert client.violations == []


@pytest.mark.parametrize(
    ("target", "name"), [("getinfo?FILE=1", "getinfo"), ("get_state", "get_state"), ("get_basic", "get_basic")]
)
async def test_the_replies_are_shaped_like_those_of_a_real_sibling(client, target, name):
    real = REAL / f"AW-HE40_{name}.txt"
    if not real.exists():
        pytest.skip(f"{real} is not here")
    theirs = [line.partition("=")[0] for line in real.read_text().splitlines() if line]
    mine = list(fields(await client.ask(target)))
    assert [key for key in mine if key in theirs] == [key for key in theirs if key in mine]
    assert len(set(mine) & set(theirs)) > len(mine) / 2


async def test_two_devices_differ_in_mac_and_serial(client):
    async with PovcamSimulator(seed=8) as other:
        mine, theirs = [fields(await Client(each).ask("getinfo?FILE=1")) for each in (client.device, other)]
    assert mine["MAC"] != theirs["MAC"]
    assert mine["SERIAL"] != theirs["SERIAL"]


async def test_getuid_gives_each_client_its_own(client):
    first = fields(await client.ask("getuid?FILE=2&vcodec=h264"))
    second = fields(await client.ask("getuid?FILE=2&vcodec=h264_2&reply=info"))
    assert first["UID"] != second["UID"]
    assert (first["ImageFormat"], first["iResolution"]) == ("h264", "1280")
    assert (second["ImageFormat"], second["iResolution"]) == ("h264_2", "640")
    assert first["iHttpPort"] == str(client.device.port)


async def test_getuid_for_a_browser_answers_a_script(client):
    reply = await client.ask("getuid?FILE=2&vcodec=jpeg&reply=browser")
    assert re.match(r"\{UID:\d+,\r\nImageFormat:jpeg,", reply.text)


async def test_getuid_answers_204_for_a_stream_the_priority_mode_has_not(client):
    assert (await client.ask("set_priority_mode?mode=rec_pb", "POST", ADMIN)).status_code == 204
    reply = await client.ask("getuid?FILE=2&vcodec=h264_2")
    assert (reply.status_code, reply.content) == (204, b"")
    assert (await client.ask("getuid?FILE=2&vcodec=h264")).status_code == 200


async def test_uids_are_limited():
    async with PovcamSimulator(max_uids=2, manners=Manners(0, 0)) as device:
        client = Client(device)
        await client.uid()
        await client.uid("jpeg")
        reply = await client.ask("getuid?FILE=2&vcodec=h264")
        assert (reply.status_code, reply.text.strip()) == (200, "Access Limit")
        assert len(list(device.sessions())) == 2
        assert client.notes == ["access_limit"]


async def test_settings_are_kept_and_read_back(client):
    assert (await client.ask("set_basic?cam_title=Tor%20S%C3%BCd,1&plugin_disp=1", "POST", ADMIN)).status_code == 204
    told = fields(await client.ask("get_basic"))
    assert told == {"cam_title": "Tor Süd,1", "plugin_download": "enable", "plugin_disp": "1"}
    await client.ask("set_priority_mode?mode=ip_4k", "POST", ADMIN)
    assert fields(await client.ask("get_priority_mode")) == {"priority_mode": "ip_4k"}
    assert client.violations == []


async def test_get_state_is_complete_and_fails_outside_imaging_mode(client):
    told = fields(await client.ask("get_state"))
    assert (told["rec"], told["sd_insert"], told["sd2_rem"]) == ("off", "on", "-----")
    assert len(told) == 18
    client.device.inject("mode", mode="playback")
    assert (await client.ask("get_state")).status_code == 404
    assert client.notes == ["not_imaging"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_get_capability_by_either_method(client, method):
    told = fields(await client.ask("get_capability", method))
    assert told["video_server.cam_ctrl.ptz.zoom"] == "20"
    assert told["video_server.image.jpeg.max_size.640x360"].endswith(",")


async def test_stills_are_pictures_of_this_device(client):
    assert (await client.ask("view.cgi?action=snapshot&n=1")).status_code == 500
    assert (await client.ask("view.cgi?action=start")).status_code == 200
    for target in ("view.cgi?action=snapshot&n=3333", "camera?resolution=640&page=1", "camera"):
        reply = await client.ask(target)
        assert reply.headers["content-type"] == "image/jpeg"
        image = Image.open(io.BytesIO(reply.content))
        assert image.size == (640, 360)
        assert read_strip(image)[0] == 7
    assert (client.violations, client.notes) == ([], ["not_started"])


async def read_pictures(client: Client, target: str, count: int) -> list[bytes]:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        url = f"{client.device.url}/cgi-bin/{target}"
        async with http.stream("GET", url) as reply:
            assert reply.headers["content-type"] == "multipart/x-mixed-replace; boundary=--myboundary"
            data, pictures = b"", []
            async for piece in reply.aiter_bytes():
                data += piece
                while len(pictures) < count and (match := re.search(rb"Content-Length: (\d+)\r\n\r\n", data)):
                    end = match.end() + int(match[1])
                    if len(data) < end:
                        break
                    pictures.append(data[match.end() : end])
                    data = data[end:]
                if len(pictures) == count:
                    return pictures
    return pictures


async def test_mjpeg_needs_no_uid(client):
    pictures = await read_pictures(client, "mjpeg?resolution=640&framerate=30", 5)
    numbers = [read_strip(Image.open(io.BytesIO(picture)))[1] for picture in pictures]
    assert len(numbers) == 5
    assert numbers == sorted(numbers)


async def test_jpeg_streams_until_its_uid_ends(client):
    uid = await client.uid("jpeg")
    reading = asyncio.create_task(
        read_pictures(client, f"jpeg?connect=start&framerate=15&resolution=640&UID={uid}", 999)
    )
    await eventually(lambda: client.device.requests[-1].target.startswith("/cgi-bin/jpeg?connect=start"))
    assert (await client.ask(f"keep_alive?mode=jpeg&protocol=http&UID={uid}")).status_code == 200
    assert (await client.ask(f"jpeg?connect=stop&UID={uid}")).status_code == 200
    assert await asyncio.wait_for(reading, 5)
    assert client.violations == []


async def test_a_50_hz_device_has_other_rates():
    async with PovcamSimulator(system_frequency="50", manners=Manners(0, 0)) as device:
        client = Client(device)
        assert (await read_pictures(client, "mjpeg?framerate=12.5", 1))[0]
        assert (await client.ask("mjpeg?framerate=15")).status_code == 400
        assert fields(await client.ask("getinfo?FILE=1"))["Maxfps"] == "25"


REFUSALS = [
    # target, method, kind, status
    ("getinfo?FILE=1", "POST", "method", 405),
    ("set_basic?cam_title=x", "GET", "method", 405),
    ("getuid?vcodec=h264", "GET", "missing_parameter", 400),
    ("getuid?FILE=2", "GET", "missing_parameter", 400),
    ("getuid?FILE=1&vcodec=h264", "GET", "value", 400),
    ("getuid?FILE=2&vcodec=h265", "GET", "value", 400),
    ("getuid?FILE=2&vcodec=h264&reply=xml", "GET", "value", 400),
    ("getuid?vcodec=h264&FILE=2", "GET", "order", 400),
    ("getuid?FILE=2&vcodec=h264&vcodec=h264", "GET", "duplicate_parameter", 400),
    ("getuid?FILE=2&vcodec=h264&colour=1", "GET", "unknown_parameter", 400),
    ("getinfo", "GET", "missing_parameter", 400),
    ("get_state?x=1", "GET", "unknown_parameter", 400),
    ("mjpeg?framerate=15&resolution=640", "GET", "order", 400),
    ("mjpeg?resolution=1280", "GET", "value", 400),
    ("mjpeg?framerate=12", "GET", "value", 400),
    ("view.cgi", "GET", "missing_parameter", 400),
    ("view.cgi?action=snapshot&n=x", "GET", "value", 400),
    ("h264?my_port=40000&connect=start&protocol=rtp&stream=1", "GET", "missing_parameter", 400),
    ("h264?connect=start&my_port=40000&protocol=rtp&UID=1&stream=1", "GET", "order", 400),
    ("h264?my_port=80&connect=start&protocol=rtp&UID=1&stream=1", "GET", "value", 400),
    ("h264?my_port=40000&connect=start&protocol=http&UID=1&stream=1", "GET", "value", 400),
    ("h264?my_port=40000&connect=start&protocol=rtp&UID=1&stream=3", "GET", "value", 400),
    ("h264?my_port=40000&connect=start&protocol=rtp&UID=1", "GET", "missing_parameter", 400),
    ("h264?connect=start&protocol=rtp&UID=1&stream=1", "GET", "missing_parameter", 400),
    ("h264?my_port=40000&connect=start&protocol=rtp&UID=1&stream=1", "GET", "uid", 403),
    ("keep_alive?mode=h264&protocol=rtp&UID=1&stream=1", "GET", "value", 400),
    ("keep_alive?mode=h%2E264&protocol=rtp&UID=1&stream=1", "GET", "encoding", 400),
    ("keep_alive?mode=h.264&protocol=http&UID=1&stream=1", "GET", "value", 403),
    ("keep_alive?mode=h.264&protocol=rtp&UID=1&stream=2", "GET", "missing_parameter", 403),
    ("keep_alive?mode=h.264&protocol=rtp&UID=1&stream=1", "GET", "uid", 500),
    ("get_imaginary", "GET", "unknown_command", 404),
]


@pytest.mark.parametrize(("target", "method", "kind", "status"), REFUSALS)
async def test_what_the_document_does_not_allow_is_refused_and_remembered(client, target, method, kind, status):
    auth = ADMIN if target.startswith("set_") else None
    reply = await client.ask(target, method, auth)
    assert (reply.status_code, client.violations) == (status, [kind])
    assert client.device.violations[0].target == f"/cgi-bin/{target}"
    if status == 405:
        assert reply.headers["allow"]


ADMIN_REFUSALS = [
    ("set_basic", "missing_parameter"),
    ("set_basic?cam_title=123456789012345678901", "value"),
    ("set_basic?plugin_disp=2", "value"),
    ("set_basic?plugin_disp=1&cam_title=x", "order"),
    ("set_basic?cam_title=a+b", "encoding"),
    ("set_basic?cam_title=a%2Cb", "encoding"),
    ("set_basic?cam_title=a%2cb", "encoding"),
    ("set_basic?cam_title=100%", "encoding"),
    ("set_basic?cam_title=%FC", "encoding"),
    ("set_basic?cam_title", "malformed"),
    ("set_priority_mode?mode=fast", "value"),
    ("initial?cmd=halt&Randomnum=0123456789abcdef", "value"),
    ("initial?cmd=reset", "missing_parameter"),
    ("initial?cmd=reset&Randomnum=xyz", "value"),
]


@pytest.mark.parametrize(("target", "kind"), ADMIN_REFUSALS)
async def test_a_wrong_setting_changes_nothing(client, target, kind):
    before = fields(await client.ask("get_basic"))
    reply = await client.ask(target, "POST", ADMIN)
    assert (reply.status_code, client.violations) == (400, [kind])
    assert fields(await client.ask("get_basic")) == before


async def test_a_query_outside_ascii_is_refused(client):
    reply = await raw(client.device, b"GET /cgi-bin/getinfo?FILE=\xb1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert client.violations == ["encoding"]


async def test_parameters_in_a_body_are_refused(client):
    reply = await client.ask("set_basic", "POST", ADMIN, data={"cam_title": "x"})
    assert (reply.status_code, client.violations) == (400, ["body"])


async def test_a_path_that_is_no_command_is_no_mistake(client):
    assert (await client.ask("/favicon.ico")).status_code == 404
    assert (client.violations, client.notes) == ([], ["unknown_path"])


async def test_asking_too_fast_is_noted_and_answered():
    async with PovcamSimulator(manners=Manners(command=60, state=60)) as device:
        client = Client(device)
        assert (await client.ask("get_basic")).status_code == 200
        assert (await client.ask("get_basic")).status_code == 200
        assert client.notes == ["pacing-command"]
        await client.ask("get_state")
        await client.ask("get_state")
        assert client.notes == ["pacing-command", "pacing-command", "pacing-state", "pacing-command"]
        await client.ask("camera")  # pictures are free
        assert (len(client.notes), client.violations) == (4, [])


async def test_a_patient_client_is_not_noted():
    async with PovcamSimulator(manners=Manners(command=0.1, state=0.3)) as device:
        client = Client(device)
        for _ in range(3):
            await client.ask("get_state")
            await asyncio.sleep(0.15)
            await client.ask("get_basic")
            await asyncio.sleep(0.2)
        assert client.notes == []


async def test_a_challenge_and_its_answer_are_one_command():
    async with PovcamSimulator(manners=Manners(command=60)) as device:
        client = Client(device)
        await client.ask("set_basic?plugin_disp=1", "POST", ADMIN)
        assert [asked.status for asked in device.requests] == [401, 204]
        assert client.notes == []


async def test_a_picture_of_lower_quality_is_smaller_and_none_is_too_large(client):
    sizes = []
    for quality in ("4", "5"):
        await client.set(f"set_jpeg?jpeg_quality={quality}")
        sizes.append(len((await client.ask("camera")).content))
    assert sizes[0] > 1.3 * sizes[1]
    assert sizes[0] <= 60 * 1024  # what get_capability promises
    assert sizes[1] <= 30 * 1024
