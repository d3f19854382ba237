"""What the simulated HAMA camera answers, keeps, shows and refuses."""

import asyncio
import io
import re
from collections.abc import AsyncIterator

import av
import httpx
import pytest
from PIL import Image

from simulators.hama import HamaSimulator
from simulators.picture import read_strip
from tests.simulators.cameras import ADMIN, Camera, Watching, fields
from tests.simulators.helpers import eventually, raw

PARAM = "/camera-cgi/admin/param.cgi"
ENET = "/form/enet?enet_source=cp.asp"
PTZ = "/camera-cgi/com/ptz.cgi"
CONFIG = "/camera-cgi/com/ptzconfig.cgi"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=5, verify=False) as http:
        yield http


@pytest.fixture
async def camera(http) -> AsyncIterator[Camera]:
    async with HamaSimulator(seed=7, live_user="guard", live_password="tulip", control=True) as device:
        yield Camera(device, http)


@pytest.fixture
async def odd(http, request) -> AsyncIterator[Camera]:
    async with HamaSimulator(seed=7, oddities=request.param) as device:
        yield Camera(device, http)


def oddity(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("odd", names, indirect=True)


async def listed(camera: Camera, group: str) -> dict[str, str]:
    return fields(await camera.get(f"{PARAM}?action=list&group={group}"))


EXAMPLES = {
    "Properties.Image": {
        "root.Properties.Image.FlipMode": "1",
        "root.Properties.Image.Resolution": "1280x1024,1024x768,640x480,320x240",
        "root.Properties.Image.Format": "mjpeg,mpeg4",
    },
    "Properties.Image.I0": {
        "root.Properties.Image.I0.FlipMode": "1",
        "root.Properties.Image.I0.Resolution": "1280x1024,640x480,320x240",
        "root.Properties.Image.I0.Format": "mjpeg",
    },
    "Properties.Image.I1": {
        "root.Properties.Image.I1.FlipMode": "1",
        "root.Properties.Image.I1.Resolution": "1024x768,640x480,320x240",
        "root.Properties.Image.I1.Format": "mpeg4",
    },
    "Image.I0.Appearance": {
        "root.Image.I0.Appearance.Resolution": "640x480",
        "root.Image.I0.Appearance.Compression": "3",
    },
    "Image.I1.Appearance": {
        "root.Image.I1.Appearance.Resolution": "640x480",
        "root.Image.I1.Appearance.stats": "compression",
        "root.Image.I1.Appearance.compression": "7",
    },
    "Image.I0.Stream": {"Image.I0.Stream.FPS": "15"},
    "Image.I1.Stream": {"Image.I1.Stream.FPS": "15"},
    "Layout": {"Layout.DefaultVideoFormat": "mjpeg"},
    "Brand": {
        "root.Brand.Brand": "Hama GmbH & Co. KG",
        "root.Brand.ProdFullName": "Hama Wireless IP Camera",
        "root.Brand.ProdShortName": "IP - Cam M360",
        "root.Brand.ProdNbr": "00053104",
        "root.Brand.ProdType": "Wireless Lan IP Camera",
        "root.Brand.WebURL": "http://www.hama.de/",
    },
    "Properties.Firmware": {
        "Properties.Firmware.Version": "v1.32",
        "Properties.Firmware.ModelID": "12",
        "Properties.Firmware.VendorID": "1",
    },
    "System.PrivateVideoPort": {"System.PrivateVideoPort": "4321"},
    "Properties.VideoServer": {"Properties.VideoServer.MaxUsers": "16", "Properties.VideoServer.CurrentUsers": "0"},
    "Properties.Audio": {
        "Properties.Audio": "yes",
        "Properties.Audio.TwoWayAudio": "yes",
        "Properties.Audio.AudioCodec": "GSM 06.10",
        "Properties.Audio.TwoWayAudioCodec": "GSM 06.10",
    },
    "Properties.PTZ.PTZ": {"Properties.PTZ.PTZ": "yes"},
}


@pytest.mark.parametrize("group", EXAMPLES)
async def test_each_group_is_told_as_in_its_example(camera, group):
    told = await listed(camera, group)
    assert list(told.items()) == list(EXAMPLES[group].items())
    assert camera.violations == camera.notes == []


async def test_address_and_port_are_its_own(camera):
    mac = "Network.Interface.I0.Active.MACAddress"
    assert re.fullmatch(r"00:11:09(:[0-9A-F]{2}){3}", (await listed(camera, mac))[mac])
    assert await listed(camera, "System.HTTPPort") == {"System.HTTPPort": str(camera.device.port)}


async def test_groups_are_listed_together_in_the_order_asked(camera):
    told = await listed(camera, "Image.I1.Stream,Brand,Properties.PTZ.PTZ")
    assert list(told) == ["Image.I1.Stream.FPS", *EXAMPLES["Brand"], "Properties.PTZ.PTZ"]


UPDATES = {
    "Image.I0.Appearance.Resolution": ["1280x1024", "320x240", "640x480"],
    "Image.I1.Appearance.Resolution": ["1024x768", "320x240", "640x480"],
    "Image.I0.Appearance.Compression": ["0", "1", "2", "3", "4"],
    "Image.I0.Stream.FPS": ["1", "3", "5", "10", "15", "30"],
    "Image.I1.Stream.FPS": ["3", "5", "10", "15"],
}


@pytest.mark.parametrize("name", UPDATES)
async def test_a_parameter_is_updated_and_reads_back(camera, name):
    for value in UPDATES[name]:
        reply = await camera.get(f"{PARAM}?action=update&{name}={value}")
        assert (reply.status_code, reply.text) == (200, "OK\r\n")
        told = await listed(camera, name.rpartition(".")[0])
        assert {key.removeprefix("root."): value for key, value in told.items()}[name] == value
    assert camera.violations == []


async def test_mpeg4_quality_is_written_13_to_5_and_read_11_to_3(camera):
    group = "Image.I1.Appearance"
    for written, read in (("13", "11"), ("11", "9"), ("9", "7"), ("7", "5"), ("5", "3")):
        await camera.get(f"{PARAM}?action=update&{group}.Compression={written}")
        assert (await listed(camera, group))[f"root.{group}.compression"] == read
    await camera.get(f"{PARAM}?action=update&{group}.stats=0")
    for rate in (2000000, 1500000, 1000000, 800000, 500000, 400000, 300000, 250000, 200000):
        await camera.get(f"{PARAM}?action=update&{group}.bitrate={rate}")
        told = await listed(camera, group)
        assert list(told.items())[1:] == [(f"root.{group}.stats", "bitrate"), (f"root.{group}.bitrate", str(rate))]
    await camera.get(f"{PARAM}?action=update&{group}.stats=1")
    assert (await listed(camera, group))[f"root.{group}.stats"] == "compression"
    assert camera.violations == []


async def test_the_forms_of_enet_set_what_they_name_and_redirect(camera):
    for form in (
        "enet_avs_default_dual_mode=1",
        *(f"enet_avs_flip_mode={mode}" for mode in range(4)),
        *(f"enet_avs_pt_speed={speed}" for speed in (1, 3, 5, 7, 9)),
        "enet_audio_enable=No&enet_audio_mic_vol=0&enet_audio_output_vol=100",
    ):
        reply = await camera.get(f"{ENET}&{form}")
        assert (reply.status_code, reply.headers["location"]) == (302, f"{camera.device.url}/cp.asp")
        for pair in form.split("&"):
            name, value = pair.split("=")
            assert camera.device.state()["parameters"][name] == value
    assert await listed(camera, "Layout") == {"Layout.DefaultVideoFormat": "mpeg4"}
    told = await listed(camera, "Properties.Audio")
    assert (told["Properties.Audio"], told["Properties.Audio.TwoWayAudio"]) == ("disabled", "disabled")
    assert camera.violations == []
    assert (await camera.get("/cp.asp")).status_code == 200
    assert camera.notes == ["page"]


async def test_moves_are_steps_of_the_speed_set(camera):
    async def move(direction: str) -> tuple[int, int]:
        reply = await camera.get(f"{PTZ}?move={direction}")
        assert (reply.status_code, reply.text) == (200, "OK\r\n")
        return camera.device.position

    assert await move("left") == (-5, 0)
    assert await move("up") == (-5, 5)
    assert await move("downright") == (0, 0)
    await camera.get(f"{ENET}&enet_avs_pt_speed=9")
    assert await move("upright") == (1, 1)
    await camera.get(f"{ENET}&enet_avs_pt_speed=1")
    assert await move("right") == (10, 1)
    assert await move("downleft") == (1, -8)
    assert await move("upleft") == (-8, 1)
    for _ in range(20):
        await move("left")
    assert await move("down") == (-155, -8)
    assert await move("center") == (0, 0)
    assert camera.violations == []


async def test_presets_are_set_visited_and_removed(camera):
    await camera.get(f"{PTZ}?move=left")
    assert (await camera.get(f"{CONFIG}?setserverpresetname=my%20room&presetNo=2")).text == "OK\r\n"
    await camera.get(f"{PTZ}?move=center")
    assert (await camera.get(f"{PTZ}?gotoserverpresetIndex=2")).text == "OK\r\n"
    assert camera.device.position == (-5, 0)
    await camera.get(f"{PTZ}?gotoserverpresetIndex=3")
    assert camera.device.position == (-5, 0)
    assert camera.device.state()["presets"] == {2: ["my room", -5, 0]}
    await camera.get(f"{CONFIG}?removeserverpresetname=my%20room&presetNo=2")
    assert camera.device.state()["presets"] == {}
    assert (camera.violations, camera.notes) == ([], ["no_such_preset"])
    await camera.get(f"{CONFIG}?removeserverpresetname=myroom&presetNo=2")
    assert camera.notes == ["no_such_preset", "preset_name"]


# Who may


async def test_only_one_picture_needs_no_password(camera):
    reply = await camera.get("/loginfree.jpg", None)
    assert read_strip(Image.open(io.BytesIO(reply.content)))[0] == 7
    guard = httpx.BasicAuth("guard", "tulip")
    for target, status in [
        ("/jpg/image.jpg", 200),
        (f"{PTZ}?move=up", 200),
        (f"{CONFIG}?setserverpresetname=a&presetNo=1", 200),
        (f"{PARAM}?action=list&group=Brand", 403),
        (f"{ENET}&enet_avs_flip_mode=1", 403),
    ]:
        refused = await camera.get(target, None)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == 'Basic realm="IP - Cam M360"'
        assert (await camera.get(target, httpx.BasicAuth("admin", "wrong"))).status_code == 401
        assert (await camera.get(target, guard)).status_code == status
        assert (await camera.get(target, ADMIN)).status_code in (200, 302)
    assert camera.violations == []


async def test_the_picture_without_a_password_may_be_elsewhere(http):
    async with HamaSimulator(loginfree_path="/front.jpg") as device:
        camera = Camera(device, http)
        assert (await camera.get("/front.jpg", None)).status_code == 200
        assert (await camera.get("/loginfree.jpg", None)).status_code == 404
        assert camera.violations == []


# Pictures and sound


async def picture(watching: Watching) -> Image.Image:
    head = await watching.until(b"\r\n\r\n")
    length = re.fullmatch(rb"--myboundary\r\nContent-Type: image/jpeg\r\nContent-Length: (\d+)\r\n\r\n", head)[1]
    data = await watching.exactly(int(length))
    assert await watching.exactly(2) == b"\r\n"
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("size", [(1280, 1024), (640, 480), (320, 240)])
async def test_a_still_has_the_size_set(camera, size):
    await camera.get(f"{PARAM}?action=update&Image.I0.Appearance.Resolution={size[0]}x{size[1]}")
    for quality in ("0", "4"):
        await camera.get(f"{PARAM}?action=update&Image.I0.Appearance.Compression={quality}")
        reply = await camera.get("/jpg/image.jpg")
        assert reply.headers["content-type"] == "image/jpeg"
        image = Image.open(io.BytesIO(reply.content))
        assert (image.size, read_strip(image)[0]) == (size, 7)


async def test_the_stream_is_as_the_document_prints_it(camera):
    async with Watching(camera.device, "/mjpg/video.mjpg") as watching:
        assert watching.head.startswith(b"HTTP/1.0 200 OK\r\nServer: GoAhead-Webs\r\n")
        assert b"\r\nContent-Type: multipart/x-mixed-replace; boundary=myboundary\r\n" in watching.head
        strips = [read_strip(await picture(watching)) for _ in range(4)]
        told = await listed(camera, "Properties.VideoServer")
        assert told["Properties.VideoServer.CurrentUsers"] == "1"
    assert {seed for seed, _ in strips} == {7}
    assert [number for _, number in strips] == sorted({number for _, number in strips})
    await eventually(lambda: camera.device.state()["streaming"] == 0)
    assert camera.violations == []


async def test_sound_comes_in_bare_frames_of_33_bytes(camera):
    async with Watching(camera.device, "/camera-cgi/audio/receive.cgi") as listening:
        assert b"\r\nContent-Type: audio/basic\r\n" in listening.head
        frames = [await listening.exactly(33) for _ in range(12)]
    assert {frame[0] >> 4 for frame in frames} == {0xD}
    decoder = av.CodecContext.create("gsm", "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    sound = [decoded for frame in frames for decoded in decoder.decode(av.Packet(frame))]
    assert [decoded.samples for decoded in sound] == 12 * [160]


async def test_disabled_audio_is_not_there(camera):
    await camera.get(f"{ENET}&enet_audio_enable=No&enet_audio_mic_vol=50&enet_audio_output_vol=50")
    assert (await camera.get("/camera-cgi/audio/receive.cgi")).status_code == 404
    assert (camera.violations, camera.notes) == ([], ["no_audio"])


async def test_the_seventeenth_viewer_is_turned_away(camera):
    await camera.get(f"{PARAM}?action=update&Image.I0.Appearance.Resolution=320x240")
    watching = [Watching(camera.device, "/mjpg/video.mjpg") for _ in range(16)]
    for each in watching:
        await each.__aenter__()
        await picture(each)
    assert (await camera.get("/mjpg/video.mjpg")).status_code == 503
    assert camera.notes == ["full"]
    await watching[0].__aexit__()
    await eventually(lambda: camera.device.state()["streaming"] == 15)
    async with Watching(camera.device, "/mjpg/video.mjpg") as again:
        await picture(again)
    for each in watching[1:]:
        await each.__aexit__()


async def test_a_stream_can_stand_still(camera):
    async with Watching(camera.device, "/mjpg/video.mjpg") as watching:
        await picture(watching)
        camera.device.inject("stop-frames")
        async with asyncio.timeout(5):
            while True:  # pictures already on their way still come
                try:
                    await asyncio.wait_for(picture(watching), 0.4)
                except TimeoutError:
                    break
        camera.device.inject("clear")
        await picture(watching)


async def test_parameters_and_presets_survive_a_restart(camera):
    await camera.get(f"{PARAM}?action=update&Image.I0.Stream.FPS=3")
    await camera.get(f"{CONFIG}?setserverpresetname=a&presetNo=0")
    camera.device.inject("reboot", seconds=0.1)
    await eventually(lambda: camera.device._restart is not None)
    await camera.device._restart
    assert await listed(camera, "Image.I0.Stream") == {"Image.I0.Stream.FPS": "3"}
    assert camera.device.state()["presets"] == {0: ["a", 0, 0]}


# What is refused

REFUSALS = [
    # kind, target
    ("missing_parameter", PARAM),
    ("missing_parameter", f"{PARAM}?action=list"),
    ("missing_parameter", f"{PARAM}?group=Brand"),
    ("missing_parameter", f"{PARAM}?action=update"),
    ("value", f"{PARAM}?action=List&group=Brand"),
    ("value", f"{PARAM}?action=list&group="),
    ("value", f"{PARAM}?action=list&group=brand"),
    ("value", f"{PARAM}?action=list&group=root.Brand"),
    ("value", f"{PARAM}?action=list&group=Properties"),
    ("value", f"{PARAM}?action=list&group=Brand.Brand"),
    ("value", f"{PARAM}?action=list&group=Brand,"),
    ("value", f"{PARAM}?action=list&group=%20Brand"),
    ("encoding", f"{PARAM}?action=list&group=+Brand"),
    ("encoding", f"{PARAM}?action=list&group=Brand%2CLayout"),
    ("order", f"{PARAM}?group=Brand&action=list"),
    ("duplicate_parameter", f"{PARAM}?action=list&group=Brand&group=Layout"),
    ("unknown_parameter", f"{PARAM}?action=list&Group=Brand"),
    ("unknown_parameter", f"{PARAM}?action=update&root.Image.I0.Stream.FPS=15"),
    ("unknown_parameter", f"{PARAM}?action=update&image.i0.stream.fps=15"),
    ("unknown_parameter", f"{PARAM}?action=update&Image.I1.Appearance.compression=9"),
    ("unknown_parameter", f"{PARAM}?action=update&System.HTTPPort=81"),
    ("order", f"{PARAM}?Image.I0.Stream.FPS=15&action=update"),
    ("several_updates", f"{PARAM}?action=update&Image.I0.Stream.FPS=15&Image.I1.Stream.FPS=15"),
    ("value", f"{PARAM}?action=update&Image.I0.Appearance.Resolution=1024x768"),
    ("value", f"{PARAM}?action=update&Image.I1.Appearance.Resolution=1280x1024"),
    ("value", f"{PARAM}?action=update&Image.I0.Appearance.Resolution=320X240"),
    ("value", f"{PARAM}?action=update&Image.I0.Appearance.Compression=5"),
    ("value", f"{PARAM}?action=update&Image.I1.Appearance.stats=bitrate"),
    ("value", f"{PARAM}?action=update&Image.I1.Appearance.bitrate=800"),
    ("value", f"{PARAM}?action=update&Image.I1.Appearance.Compression=3"),
    ("value", f"{PARAM}?action=update&Image.I0.Stream.FPS=20"),
    ("value", f"{PARAM}?action=update&Image.I1.Stream.FPS=30"),
    ("missing_parameter", "/form/enet?enet_avs_flip_mode=1"),
    ("missing_parameter", ENET),
    ("value", "/form/enet?enet_source=index.asp&enet_avs_flip_mode=1"),
    ("order", "/form/enet?enet_avs_flip_mode=1&enet_source=cp.asp"),
    ("value", f"{ENET}&enet_avs_flip_mode=4"),
    ("value", f"{ENET}&enet_avs_default_dual_mode=mpeg4"),
    ("value", f"{ENET}&enet_avs_pt_speed=2"),
    ("unknown_parameter", f"{ENET}&enet_avs_flip_mode=1&enet_avs_pt_speed=1"),
    ("missing_parameter", f"{ENET}&enet_audio_enable=Yes"),
    ("value", f"{ENET}&enet_audio_enable=yes&enet_audio_mic_vol=50&enet_audio_output_vol=50"),
    ("value", f"{ENET}&enet_audio_enable=Yes&enet_audio_mic_vol=55&enet_audio_output_vol=50"),
    ("order", f"{ENET}&enet_audio_enable=Yes&enet_audio_output_vol=50&enet_audio_mic_vol=50"),
    ("missing_parameter", PTZ),
    ("value", f"{PTZ}?move=Left"),
    ("value", f"{PTZ}?move=home"),
    ("unknown_parameter", f"{PTZ}?gotoServerPresetIndex=1"),
    ("unknown_parameter", f"{PTZ}?move=left&gotoserverpresetIndex=1"),
    ("value", f"{PTZ}?gotoserverpresetIndex=256"),
    ("value", f"{PTZ}?gotoserverpresetIndex=01"),
    ("missing_parameter", CONFIG),
    ("missing_parameter", f"{CONFIG}?setserverpresetname=myroom"),
    ("order", f"{CONFIG}?presetNo=2&setserverpresetname=myroom"),
    ("unknown_parameter", f"{CONFIG}?setServerPresetName=myroom&presetNo=2"),
    ("value", f"{CONFIG}?setserverpresetname=&presetNo=2"),
    ("value", f"{CONFIG}?setserverpresetname={33 * 'x'}&presetNo=2"),
    ("encoding", f"{CONFIG}?setserverpresetname=my+room&presetNo=2"),
    ("unknown_parameter", "/jpg/image.jpg?resolution=640x480"),
    ("unknown_parameter", "/loginfree.jpg?x=1"),
    ("path_case", "/JPG/image.jpg"),
    ("unknown_command", "/camera-cgi/admin/users.cgi"),
]


@pytest.mark.parametrize(("kind", "target"), REFUSALS)
async def test_what_the_document_does_not_allow_is_refused_and_changes_nothing(camera, kind, target):
    before = camera.device.state()
    reply = await camera.get(target)
    status = 404 if kind in ("path_case", "unknown_command") else 400
    assert (reply.status_code, camera.violations) == (status, [kind])
    assert camera.device.state() == before


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD"])
async def test_everything_is_a_get(camera, method):
    for target in (f"{PARAM}?action=list&group=Brand", f"{ENET}&enet_avs_flip_mode=1", f"{PTZ}?move=left"):
        reply = await camera.get(target, method=method, content=b"")
        assert (reply.status_code, reply.headers["allow"]) == (405, "GET")
    assert camera.violations == 3 * ["method"]
    assert camera.device.position == (0, 0)


async def test_paths_of_other_families_are_no_mistake(camera):
    for path in ("/", "/favicon.ico", "/cgi-bin/getinfo?FILE=1", "/cgiversion.cgi"):
        assert (await camera.get(path, None)).status_code == 404
    assert (camera.violations, set(camera.notes)) == ([], {"unknown_path"})


# How other firmware differs


@oddity("root-everywhere", "no-root", "lower-case-names")
async def test_names_as_other_firmware_writes_them(odd):
    told = await listed(odd, "Brand,Layout")
    (name,) = odd.device.oddities
    expected = {
        "root-everywhere": ("root.Brand.Brand", "root.Layout.DefaultVideoFormat"),
        "no-root": ("Brand.Brand", "Layout.DefaultVideoFormat"),
        "lower-case-names": ("root.brand.brand", "layout.defaultvideoformat"),
    }[name]
    assert (next(iter(told)), list(told)[-1]) == expected


@oddity("single-group")
async def test_a_firmware_that_lists_one_group_at_a_time(odd):
    assert (await odd.get(f"{PARAM}?action=list&group=Brand,Layout")).status_code == 400
    assert (odd.violations, odd.notes) == ([], ["single_group"])
    assert len(await listed(odd, "Brand")) == 6


@oddity("same-quality,no-ptz,enet-page")
async def test_a_fixed_camera_that_reads_the_quality_it_wrote(odd):
    await odd.get(f"{PARAM}?action=update&Image.I1.Appearance.Compression=13")
    assert (await listed(odd, "Image.I1.Appearance"))["root.Image.I1.Appearance.compression"] == "13"
    assert await listed(odd, "Properties.PTZ.PTZ") == {"Properties.PTZ.PTZ": "no"}
    assert (await odd.get(f"{PTZ}?move=left")).status_code == 404
    assert (odd.violations, odd.notes) == ([], ["not_this_model"])
    reply = await odd.get(f"{ENET}&enet_avs_flip_mode=1")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html")


@oddity("folded-content-type,http11")
async def test_a_folded_header_and_http_1_1(odd):
    async with Watching(odd.device, "/mjpg/video.mjpg") as watching:
        assert watching.head.startswith(b"HTTP/1.1 200 OK\r\n")
        folded = b"Content-Type: multipart/x-mixed-replace;\r\n            boundary=myboundary\r\n"
        assert folded in watching.head
        await picture(watching)
    reply = await raw(odd.device, b"GET /loginfree.jpg HTTP/1.0\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 200 OK\r\nServer: GoAhead-Webs\r\n")


@pytest.mark.parametrize("wrong", [{"oddities": "purple"}, {"loginfree_path": "x.jpg"}, {"loginfree_path": PTZ}])
def test_what_no_hama_camera_can_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"purple|cannot be at"):
        HamaSimulator(**wrong)
