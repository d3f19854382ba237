"""Every setting can be written and read back, and what the document does not allow changes nothing."""

import io
from dataclasses import asdict

import httpx
import pytest
from PIL import Image

from simulators.device import Manners
from simulators.povcam import PovcamSimulator
from tests.simulators.helpers import ADMIN, Client, fields

OCTETS = ("0", "255")
KILOBITS_2 = [str(512 * step) for step in (2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32, 40, 48)]
KILOBITS_1 = [*KILOBITS_2, "32768", "40960", "51200"]


def streams(number: int) -> list[tuple[str, str, str, list[str] | tuple[str, ...]]]:
    command, ch = ("set_h264", "ch1") if number == 1 else ("set_h264_2", "ch2")
    most = "51200" if number == 1 else "24576"
    return [
        (f"{command}?h264_transmit={{}}", "get_video_over_ip", f"h264_transmit_{ch}", ["0", "1"]),
        (f"{command}?h264_rtsp_mode={{}}", "get_video_over_ip", f"h264_rtsp_mode_{ch}", ["1", "0"]),
        (
            f"{command}?h264_resolution={{}}",
            "get_video_over_ip",
            f"h264_resolution_{ch}",
            ["640", "1280", "1920", "3840"] if number == 1 else ["640", "1280"],
        ),
        (f"{command}?f_priority={{}}", "get_video_over_ip", f"h264_f_priority_{ch}", ["0", "1", "2"]),
        (
            f"{command}?framerate={{}}",
            "get_video_over_ip",
            f"h264_framerate_{ch}",
            ["5", "15", "30", "60"] if number == 1 else ["5", "15", "30"],
        ),
        (
            f"{command}?h264_bandwidth={{}}",
            "get_video_over_ip",
            f"h264_bandwidth_{ch}",
            KILOBITS_1 if number == 1 else KILOBITS_2,
        ),
        (
            f"{command}?f_priority=2&h264_bandwidth_min={{}}",
            "get_video_over_ip",
            f"h264_bandwidth_min_{ch}",
            ["1024", "2000", most],
        ),
        (f"{command}?h264_quality={{}}", "get_video_over_ip", f"h264_quality_{ch}", ["low", "fine"]),
        (f"{command}?h264_unimulti={{}}", "get_video_over_ip", f"h264_unimulti_{ch}", ["multi", "uni_manual", "uni"]),
        (f"{command}?unicast_port={{}}", "get_video_over_ip", f"h264_unicast_port_{ch}", ["1024", "50000"]),
        (f"{command}?unicast_audio_port={{}}", "get_video_over_ip", f"h264_unicast_audio_port_{ch}", ["1024", "50000"]),
        (
            f"{command}?multicast_addr={{}}",
            "get_video_over_ip",
            f"h264_multicast_addr_{ch}",
            ["224.0.0.0", "239.255.255.255"],
        ),
        (f"{command}?multicast_port={{}}", "get_video_over_ip", f"h264_multicast_port_{ch}", ["1024", "1025", "50000"]),
        (f"{command}?multicast_ttl={{}}", "get_video_over_ip", f"h264_multicast_ttl_{ch}", ["1", "254"]),
    ]


READ_BACK = [
    # setter, getter, key, values
    ("set_priority_mode?mode={}", "get_priority_mode", "priority_mode", ["rec_pb", "ip_4k", "rec_pb_4k", "ip"]),
    ("set_basic?cam_title={}", "get_basic", "cam_title", ["UCK20", "Gate 12, north: A-1.", "門" * 20, ""]),
    ("set_basic?plugin_download={}", "get_basic", "plugin_download", ["disable", "enable"]),
    ("set_basic?plugin_disp={}", "get_basic", "plugin_disp", ["1", "0"]),
    ("time?time_adjust={}", "get_time", "time_adjust", ["1", "0"]),
    ("time?ntp_addr_dhcp={}", "get_time", "ntp_addr_dhcp", ["1", "0"]),
    ("time?ntp_addr={}", "get_time", "ntp_addr", ["192.168.0.1", "ntp.example.org", ""]),
    ("time?ntp_port={}", "get_time", "ntp_port", ["1", "65535"]),
    ("time?ntp_interval={}", "get_time", "ntp_interval", ["1", "24"]),
    ("date_time?display={}", "get_date_time", "display", ["1", "0"]),
    ("date_time?timezone={}", "get_date_time", "timezone", [str(zone) for zone in range(1, 34)]),
    ("date_time?summer_time={}", "get_date_time", "summer_time", ["0", "1", "2"]),
    *(
        (f"date_time?{season}_{part}={{}}", "get_date_time", f"{season}_{part}", [low, high])
        for season in ("start", "end")
        for part, low, high in (("month", "1", "12"), ("week", "1", "5"), ("dotw", "0", "6"), ("hour", "0", "23"))
    ),
    ("set_jpeg?resol_stream1={}", "get_video_over_ip", "resol_stream1", ["640"]),
    ("set_jpeg?jpeg_transmit1={}", "get_video_over_ip", "jpeg_transmit1", ["0", "1"]),
    ("set_jpeg?jpeg_interval1={}", "get_video_over_ip", "jpeg_interval1", ["5", "15", "30"]),
    ("setdata?LIVESIZE={}", "setdata", "LIVESIZE", ["640"]),
    *streams(1),
    *streams(2),
    ("set_rtsp?rtsp_port={}", "setdata", "RTSPPORT", ["1", "65535", "554"]),
    ("set_rtsp?h264_rtsp_mode={}", "get_video_over_ip", "h264_rtsp_mode_ch1", ["1", "0"]),
    ("set_rtsp?h264_rtsp_mode2={}", "get_video_over_ip", "h264_rtsp_mode_ch2", ["1", "0"]),
    ("set_livestart?stream={}", "get_video_over_ip", "livestart_stream", ["h264_2", "jpeg", "h264"]),
    ("set_audio?audio={}&audio_sens=middle", "get_audio", "audio", ["in"]),
    ("set_audio?audio={}", "get_audio", "audio", ["off"]),
    ("set_audio?audio_encoder={}", "get_audio", "audio_encoder", ["aac"]),
    ("set_audio?audio=1&audio_sens={}", "get_audio", "audio_sens", ["line_middle", "sdi", "middle"]),
    ("set_audio?audio_bitrate={}", "get_audio", "audio_bitrate", ["64", "96", "128"]),
    ("set_audio?equalizer={}", "get_audio", "equalizer", ["low_cut", "off"]),
    ("set_audio?mic_select={}", "get_audio", "mic_select", ["internal", "external"]),
    *(
        (f"set_audio?{name}={{}}", "get_audio", name, ["1", "0"])
        for name in ("audio_alc", "plugin_power", "audio_transmit", "audio_lv_auto")
    ),
    *(
        (f"multi_screen?multi_addr{frame}={{}}", "get_multi_screen", f"multi_addr{frame}", values)
        for frame, values in (
            (1, ["192.168.0.100", "192.168.0.100:1", "camera-1.example", "camera:65535", ""]),
            (16, ["10.0.0.1"]),
        )
    ),
    *(
        (f"multi_screen?multi_name{frame}={{}}", "get_multi_screen", f"multi_name{frame}", ["北" * 20, ""])
        for frame in (1, 16)
    ),
    ("network?dhcp={}", "get_network", "ip4_dhcp", ["1", "0"]),
    ("network?netmask1=255&netmask2=255&netmask3=0&netmask4={}", "get_network", "ip4_netmask", ["0", "128"]),
    ("network?gateway1=10&gateway2=0&gateway3=0&gateway4={}", "get_network", "ip4_gateway", OCTETS),
    ("network?dns={}", "get_network", "dns", ["auto", "manual"]),
    ("network?pri_server1=10&pri_server2=0&pri_server3=0&pri_server4={}", "get_network", "ip4_pri_server", OCTETS),
    ("network?sec_server1=10&sec_server2=0&sec_server3=0&sec_server4={}", "get_network", "ip4_sec_server", OCTETS),
    ("network?rtp_packet_max={}", "get_network", "rtp_packet_max", ["1280", "1500"]),
    ("network?mss={}", "get_network", "mss", ["1280", "1024", "1460"]),
    ("network?time={}", "get_network", "time", ["unlimited", "20"]),
    ("network?bandwidth={}", "get_network", "bandwidth", ["1024", "2048", "4096", "8192", "16384", "32768", "0"]),
    ("network?rtsp_port={}", "setdata", "RTSPPORT", ["1", "65535"]),
    ("easyipset?time={}", "get_network", "time", ["unlimited", "20"]),
    ("set_bandwidth?bandwidth={}", "get_network", "bandwidth", ["1024", "2048", "4096", "8192", "16384", "32768", "0"]),
    ("set_rtp?rtp_size={}", "get_network", "rtp_packet_max", ["1280", "1500"]),
    ("upnp?upnp_portmap={}", "get_upnp", "upnp_portmap", ["1", "0"]),
    ("set_sdrec_target?device={}", "get_sdrec_target", "device", ["sd2", "sd1"]),
    ("set_recorder_num?recorder_num={}", "get_recorder_num", "recorder_num", ["0", "16"]),
    ("set_ftp?server_addr={}", "get_ftp", "server_addr", ["192.168.0.121"]),
    ("set_ftp?username={}", "get_ftp", "username", ["user1", "a" * 32]),
    ("set_ftp?port_num={}", "get_ftp", "port_num", ["1", "65535"]),
    ("set_ftp?mode={}", "get_ftp", "mode", ["active", "passive"]),
    ("set_ftp?dirname={}", "get_ftp", "dirname", ["user1_dir", "クリップ", '"a"&:b', "x" * 256]),
]


def escaped(value: str) -> str:
    """As the documents write values: letters, digits and , : . - _ raw, the rest in UTF-8 with percent signs."""
    plain = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789,:.-_")
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in value.encode())


@pytest.mark.parametrize(("setter", "getter", "key", "values"), READ_BACK, ids=[f"{row[0]}" for row in READ_BACK])
async def test_what_is_set_is_read_back(client, setter, getter, key, values):
    for value in values:
        await client.set(setter.format(escaped(value)))
        told = (await client.read(getter))[key]
        assert told == value or told.endswith(f".{value}")
    assert client.violations == []


async def test_a_50_hz_recorder_has_rates_of_its_own():
    async with PovcamSimulator(system_frequency="50", manners=Manners(0, 0)) as device:
        client = Client(device)
        for command, key, values in (
            ("set_h264?framerate", "h264_framerate_ch1", ["5", "12.5", "25", "50"]),
            ("set_h264_2?framerate", "h264_framerate_ch2", ["5", "12.5", "25"]),
            ("set_jpeg?jpeg_interval1", "jpeg_interval1", ["5", "12.5", "25"]),
        ):
            for value in values:
                await client.set(f"{command}={value}")
                assert (await client.read("get_video_over_ip"))[key] == value
        for target in ("set_h264?framerate=30", "set_h264?framerate=25(25)", "set_h264_2?framerate=50"):
            assert (await client.ask(target, "POST", ADMIN)).status_code == 400


async def test_jpeg_quality_is_read_back_as_one_of_two(client):
    for setter in ("set_jpeg?jpeg_quality", "setdata?LIVEQUAL"):
        for value, told in (("0", "1"), ("9", "5"), ("4", "1"), ("5", "5")):
            await client.set(f"{setter}={value}")
            assert (await client.read("get_video_over_ip"))["jpeg_quality"] == told
            assert (await client.read("setdata"))["LIVEQUAL"] == told


async def test_audio_can_be_set_by_digits_and_ten_thousand_means_no_limit(client):
    await client.set("set_audio?audio=1&audio_sens=sdi")
    assert (await client.read("get_audio"))["audio"] == "in"
    await client.set("set_audio?audio=0")
    assert (await client.read("get_audio"))["audio"] == "off"
    await client.set("set_bandwidth?bandwidth=1024")
    await client.set("set_bandwidth?bandwidth=10000")
    assert (await client.read("get_network"))["bandwidth"] == "0"


async def test_the_volume_is_kept_but_cannot_be_read(client):
    await client.set("set_volume_lv?volume_lv=23")
    assert client.device.settings.volume_lv == "23"
    assert "volume_lv" not in await client.read("get_audio")


async def test_the_parts_of_a_multicast_address_can_be_set_alone(client):
    await client.set("set_h264?multicast_addr1=225&multicast_addr4=9")
    assert (await client.read("get_video_over_ip"))["h264_multicast_addr_ch1"] == "225.192.7.9"
    await client.set(
        "set_h264_2?multicast_addr1=226&multicast_addr2=1&multicast_addr3=2&multicast_addr4=3&multicast_addr=226.1.2.3"
    )
    assert (await client.read("get_video_over_ip"))["h264_multicast_addr_ch2"] == "226.1.2.3"


async def test_a_minimum_rate_can_be_set_while_best_effort_is_on(client):
    await client.set("set_h264?f_priority=2")
    await client.set("set_h264?h264_bandwidth_min=3000")
    assert (await client.read("setdata"))["H264BWCMIN"] == "3000"


async def test_several_settings_travel_together(client):
    await client.set("set_h264?h264_resolution=1920&f_priority=1&framerate=60&h264_bandwidth=51200&h264_quality=low")
    told = await client.read("getinfo?FILE=1")
    assert (told["iResolution_h264"], told["iBitrate_h264"], told["iQuality_h264"]) == ("1920", "51200", "low")
    assert told["Maxfps"] == "60"


REFUSALS = [
    ("set_priority_mode?mode=rec", "value"),
    ("set_basic?cam_title=" + "x" * 21, "value"),
    ("set_h264?framerate=25", "value"),
    ("set_h264?framerate=15(12.5)", "value"),
    ("set_h264_2?framerate=60", "value"),
    ("set_h264_2?h264_resolution=1920", "value"),
    ("set_h264?h264_resolution=800", "value"),
    ("set_h264?h264_bandwidth=512", "value"),
    ("set_h264_2?h264_bandwidth=32768", "value"),
    ("set_h264?h264_bandwidth_min=2048", "condition"),
    ("set_h264?f_priority=1&h264_bandwidth_min=2048", "condition"),
    ("set_h264?f_priority=2&h264_bandwidth_min=51201", "value"),
    ("set_h264_2?f_priority=2&h264_bandwidth_min=24577", "value"),
    ("set_h264?h264_quality=Fine", "value"),
    ("set_h264?unicast_port=32005", "value"),
    ("set_h264?unicast_audio_port=33001", "value"),
    ("set_h264?unicast_port=50002", "value"),
    ("set_h264?multicast_addr1=240", "value"),
    ("set_h264?multicast_addr=192.168.0.1", "value"),
    ("set_h264?multicast_addr=239.1.2", "value"),
    ("set_h264?multicast_addr1=225&multicast_addr=226.0.0.1", "condition"),
    ("set_h264?multicast_address_r1=225", "unknown_parameter"),
    ("set_h264?multicast_ttl=255", "value"),
    ("set_h264?multicast_port=50001", "value"),
    ("set_h264?framerate=15&h264_resolution=640", "order"),
    ("set_h264", "missing_parameter"),
    ("set_jpeg?jpeg_transmit%201=1", "unknown_parameter"),
    ("set_jpeg?jpeg_interval1=1", "value"),
    ("set_jpeg?jpeg_quality=10", "value"),
    ("setdata?LIVESIZE=1280", "value"),
    ("setdata", "missing_parameter"),
    ("set_rtsp?rtsp_port=0", "value"),
    ("set_livestart?stream=mjpeg", "value"),
    ("set_audio?audio=1", "missing_parameter"),
    ("set_audio?audio=in&mic_select=internal", "missing_parameter"),
    ("set_audio?audio_sens=sdi", "condition"),
    ("set_audio?audio=0&audio_sens=sdi", "condition"),
    ("set_audio?audio=1&audio_sens=lmiddle", "value"),
    ("set_audio?audio=on&audio_sens=middle", "value"),
    ("set_audio?audio_bitrate=32", "value"),
    ("set_audio?audio_bitrate=64&audio_encoder=aac", "order"),
    ("set_volume_lv?volume_lv=24", "value"),
    ("multi_screen?multi_addr17=10.0.0.1", "unknown_parameter"),
    ("multi_screen?multi_addr1=10.0.0.256", "value"),
    ("multi_screen?multi_addr1=10.0.0.1:0", "value"),
    ("multi_screen?multi_addr1=10.0.0.1%3A80", "encoding"),
    ("multi_screen?multi_addr1=%2210.0.0.1%22", "value"),
    ("multi_screen?multi_name1=" + "x" * 21, "value"),
    ("multi_screen?multi_addr1=a&multi_name1=b&multi_addr2=c", "order"),
    ("network?dhcp=2", "value"),
    ("network?netmask1=256", "value"),
    ("network?bandwidth=512", "value"),
    ("network?rtp_packet_max=1400", "value"),
    ("network?port=0", "value"),
    ("easyipset?time=30", "value"),
    ("set_bandwidth?bandwidth=64", "value"),
    ("set_rtp?rtp_size=1400", "value"),
    ("upnp?upnp_portmap=on", "value"),
    ("time?ntp_interval=25", "value"),
    ("time?ntp_port=65536", "value"),
    ("date_time?timezone=34", "value"),
    ("date_time?date_year=2036", "value"),
    ("date_time?date_year=2026&date_month=2&date_day=30", "value"),
    ("date_time?date_day=01", "value"),
    ("date_time?summer_time=0&timezone=1", "order"),
    ("set_ftp?username=user_1", "value"),
    ("set_ftp?password=" + "a" * 33, "value"),
    ("set_ftp?server_addr=ftp.example", "value"),
    ("set_ftp?mode=auto", "value"),
    ("set_ftp?dirname=" + "x" * 257, "value"),
    ("set_recorder_num?recorder_num=17", "value"),
    ("set_sdrec_target?device=sd3", "value"),
    ("set_sdrec_mode?mode=mp4_2160_30p_50m", "priority_mode"),
    ("set_sdrec_mode?mode=mp4_1080_60p", "value"),
    ("contentnum_reset?x=1", "unknown_parameter"),
]


@pytest.mark.parametrize(("target", "kind"), REFUSALS)
async def test_what_the_document_does_not_allow_changes_nothing(client, target, kind):
    before = asdict(client.device.settings)
    reply = await client.ask(target, "POST", ADMIN)
    assert (reply.status_code, client.violations) == (400, [kind])
    assert asdict(client.device.settings) == before


@pytest.mark.parametrize("target", ["set_basic?cam_title=x", "get_network", "get_systemlog?type=eventlog", "getdata"])
async def test_only_administrators_set_and_see_some_things(target):
    method = "POST" if target.startswith("set") else "GET"
    async with PovcamSimulator(live_user="guard", live_password="1", manners=Manners(0, 0)) as device:
        client = Client(device)
        assert (await client.ask(target, method)).status_code == 401
        assert (await client.ask(target, method, httpx.DigestAuth("guard", "1"))).status_code == 403
        assert client.notes == ["not_allowed"]


@pytest.mark.parametrize(
    "getter",
    [
        *("get_priority_mode", "get_basic", "get_date_time", "get_video_over_ip", "get_audio", "get_multi_screen"),
        *("setdata", "get_https", "get_crt_key", "get_sdrec_mode", "get_state", "get_capability"),
    ],
)
async def test_anybody_may_read_what_is_for_live(client, getter):
    assert (await client.ask(getter)).status_code == 200


async def test_in_rec_pb_priority_the_second_stream_is_out_of_reach(client):
    await client.set("set_priority_mode?mode=rec_pb")
    reply = await client.ask("set_h264_2?h264_quality=low", "POST", ADMIN)
    assert (reply.status_code, client.violations) == (400, ["priority_mode"])
    told = await client.read("get_video_over_ip")
    assert "h264_quality_ch1" in told
    assert not [name for name in told if name.endswith("ch2")]


async def test_video_over_ip_is_told_in_any_order(client):
    orders = {tuple(await client.read("get_video_over_ip")) for _ in range(5)}
    assert len(orders) > 1


async def test_the_list_of_settings_tells_all_of_section_6(client):
    told = await client.read("setdata")
    assert told == await client.read("getdata")
    assert list(told)[:10] == [
        *("CAMTITLE", "IMAGESELECT", "IMAGERATIO", "IMAGEFPS", "LIVESTREAM", "LIVEINT", "LIVEQUALBASE", "LIVESIZE"),
        *("LIVEQUAL", "STREAMMODE"),
    ]
    assert len(told) == 67
    assert (told["H264MLADD1_2"], told["H264MLADD_2"], told["AUDIO"]) == ("239", "239.192.7.2", "off")


@pytest.mark.parametrize(
    ("req", "answer"),
    [
        ("img_mode", "IMAGESELECT=2m"),
        ("livesize", "LIVESIZE=640"),
        ("h264nrframerate_2", "H264NRFRAMERATE_2=15"),
        ("h.264uniport_2", "H264UNIPORT_2=32014"),
        ("h264uniport_2", "H264UNIPORT_2=32014"),
        ("h264bwcmin_2", "H264BWCMIN_2=1024"),
        ("plugin_halftone_jpeg", "PLUGIN_HALFTONE_JPEG=0"),
        ("audio_sens", "AUDIOSENS=middle"),
        ("h264codind", "H264CODIND=0"),
    ],
)
async def test_one_setting_can_be_asked_for(client, req, answer):
    reply = await client.ask(f"getdata?req={req}", auth=ADMIN)
    assert reply.text == f"{answer}\r\n"


@pytest.mark.parametrize("req", ["h264bwcmmin_2", "plugin_half_tone_jpeg", "LIVESIZE", ""])
async def test_a_setting_of_another_name_is_refused(client, req):
    reply = await client.ask(f"getdata?req={req}", auth=ADMIN)
    assert (reply.status_code, client.violations) == (400, ["value"])


async def test_a_list_is_read_without_parameters(client):
    reply = await client.ask("setdata?LIVEQUAL=1", auth=ADMIN)
    assert (reply.status_code, client.violations) == (405, ["method"])


async def test_settings_survive_a_restart_and_not_a_factory_reset(quick):
    await quick.set("set_basic?cam_title=kept")
    await quick.set("set_h264?h264_resolution=1920")
    await quick.set("initial?cmd=reset&Randomnum=0123456789abcdef")
    await quick.restarted()
    assert (await quick.read("get_basic"))["cam_title"] == "kept"
    quick.device.inject("factory-reset")
    told = await quick.until("get_basic", cam_title="UMR20 7")
    assert told["plugin_disp"] == "0"
    assert (await quick.read("get_video_over_ip"))["h264_resolution_ch1"] == "1280"


async def test_a_short_random_number_is_taken_like_the_example_and_noted(quick):
    await quick.set("initial?cmd=reset&Randomnum=12345")
    assert (quick.violations, quick.notes) == ([], ["short_randomnum"])


async def test_switched_off_streams_are_not_given_and_pictures_go_black(client):
    uid = await client.uid("h264")
    await client.set("set_h264?h264_transmit=0")
    assert (await client.ask("getuid?FILE=2&vcodec=h264")).status_code == 204
    assert (await client.ask(f"keep_alive?mode=h.264&protocol=rtp&UID={uid}&stream=1")).status_code == 500
    bright = (await client.ask("camera")).content
    await client.set("set_jpeg?jpeg_transmit1=0")
    assert (await client.ask("getuid?FILE=2&vcodec=jpeg")).status_code == 204
    dark = Image.open(io.BytesIO((await client.ask("camera")).content))
    assert Image.open(io.BytesIO(bright)).convert("L").getextrema()[1] > 200
    assert dark.size == (640, 360)
    assert dark.convert("L").getextrema() == (0, 0)


async def test_upnp_opens_the_ports_of_a_router(client):
    assert (await client.read("get_status"))["http_status"] == "disable"
    await client.set("upnp?upnp_portmap=1")
    told = await client.read("get_status")
    assert (told["http_status"], told["https_status"]) == ("enable", "disable")
    assert told["http_port"] == str(client.device.port)
    assert fields(await client.ask("get_status", auth=ADMIN))["addr"]
