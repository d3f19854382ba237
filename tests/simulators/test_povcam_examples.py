"""The document's own examples, and that nothing of the document is missing."""

import pytest

from simulators.povcam.catalogue import commands
from tests.simulators.helpers import ADMIN, fields

PATHS = [
    *("getuid", "getinfo", "get_capability", "jpeg", "mjpeg", "view.cgi", "camera", "h264", "audio", "keep_alive"),
    *("camctrl", "directctrl", "set_priority_mode", "set_basic", "time", "date_time", "set_jpeg", "setdata"),
    *("set_h264", "set_h264_2", "set_rtsp", "set_livestart", "set_audio", "set_volume_lv", "multi_screen"),
    *("network", "easyipset", "set_bandwidth", "set_rtp", "upnp", "initial", "get_priority_mode", "get_basic"),
    *("get_time", "get_date_time", "get_video_over_ip", "get_audio", "get_multi_screen", "get_network"),
    *("get_upnp", "get_status", "get_systemlog", "getdata", "https_self_signed", "https_signed", "https_crt_key"),
    *("set_https", "https_creat_self_signed", "https_creat_signed", "https_download_csr", "https_install_signed"),
    *("https_change_crt_key", "renewal", "get_https", "get_crt_key", "set_sdrec_mode", "get_sdrec_mode"),
    *("set_sdrec_target", "get_sdrec_target", "set_recorder_num", "contentnum_reset", "get_recorder_num"),
    *("sdctrl", "get_state", "sdcard", "get_progress", "get_clip_list", "del_clip_file", "get_clip_file"),
    *("set_ftp", "get_ftp", "send_ftpserver", "cancel_send_ftpserver"),
]
ELSEWHERE = ["aw_ptz", "aw_cam"]  # named in the document, described in another

EXAMPLES = [
    # method, target as printed, status
    ("GET", "getuid?FILE=2&vcodec=h264", 200),
    ("GET", "getinfo?FILE=1", 200),
    ("GET", "get_capability", 200),
    ("GET", "view.cgi?action=start", 200),
    ("POST", "set_priority_mode?mode=ip", 204),
    ("POST", "set_basic?cam_title=UCK20", 204),
    ("POST", "time?time_adjust=1&ntp_addr_dhcp=0&ntp_addr=192.168.0.1&ntp_port=123&ntp_interval=12", 204),
    (
        "POST",
        "date_time?display=0&date_year=2018&date_month=1&date_day=1&date_hour=0&date_min=0&date_sec=0&summer_time=0",
        204,
    ),
    ("POST", "set_audio?audio=1&audio_sens=middle&mic_select=internal", 204),
    ("POST", "set_audio?audio=1&audio_sens=middle&mic_select=external", 204),
    ("GET", "set_audio?audio=1&audio_sens=line_middle", 204),
    ("GET", "set_audio?audio=1&audio_sens=sdi", 204),
    ("POST", "set_audio?audio=1&audio_sens=middle&mic_select=external&plugin_power=1", 204),
    ("POST", "set_audio?audio=0", 204),
    ("POST", "multi_screen?multi_addr1=192.168.0.100&multi_name1=UCK20", 204),
    ("POST", "upnp?upnp_portmap=1", 204),
    ("GET", "get_systemlog?type=eventlog", 200),
    ("GET", "getdata", 200),
    ("GET", "setdata", 200),
    ("POST", "set_sdrec_mode?mode=avchd_ps_1080_60p_28m", 204),
    ("GET", "get_state", 200),
    ("GET", "get_clip_list?index=1&device=sd2&format=avchd", 200),
    (
        "POST",
        "set_ftp?server_addr=192.168.0.121&username=user1&password=password&port_num=21&mode=active&dirname=user1_dir",
        204,
    ),
    ("POST", "cancel_send_ftpserver", 204),
    ("POST", "initial?cmd=reset&Randomnum=12345", 204),
    ("POST", "sdcard?cmd=format", 204),
    ("GET", "sdctrl?save=start", 204),
]


@pytest.mark.parametrize("system_frequency", ["59.94", "50"])
def test_every_path_of_the_document_is_there_and_no_other(system_frequency):
    assert len(PATHS) == 73
    assert sorted(commands(system_frequency)) == sorted(f"/cgi-bin/{name}" for name in PATHS + ELSEWHERE)


def test_every_command_does_something(device):
    missing = [path for path in device.commands if path.removeprefix("/cgi-bin/") not in device._actions]
    assert missing == []


@pytest.mark.parametrize(("method", "target", "status"), EXAMPLES)
async def test_an_example_of_the_document_is_taken(quick, method, target, status):
    reply = await quick.ask(target, method, ADMIN)
    assert reply.status_code == status, reply.text
    assert quick.violations == []


async def test_the_examples_with_a_uid_are_taken(quick, rtp_port):
    await quick.set("set_audio?audio=1&audio_sens=middle")
    uid = await quick.uid()
    for target in (
        f"h264?my_port={rtp_port.number}&connect=start&protocol=rtp&UID={uid}&stream=1",
        f"audio?my_port=38004&connect=start&protocol=rtp&UID={uid}&mode=in",
        f"audio?connect=stop&protocol=rtp&my_port=38004&UID={uid}&mode=in",  # the order of the table is right too
    ):
        assert (await quick.ask(target)).status_code == 200
    uid = await quick.uid("jpeg")
    assert (await quick.ask(f"keep_alive?mode=jpeg&protocol=http&UID={uid}")).status_code == 200
    assert quick.violations == []


async def test_the_examples_with_a_list_are_taken(quick):
    async def listed() -> str:
        reply = await quick.ask("get_clip_list?index=1&format=avchd")
        return reply.text.rsplit("list_id=", 1)[1]

    await quick.set("set_ftp?server_addr=192.168.0.121")
    list_id = await listed()
    reply = await quick.ask(f"get_clip_file?filename=S0AA001000000160&list_id={list_id}")
    assert reply.status_code == 200
    for target in (
        f"send_ftpserver?fileno=1&select_type=fileno&list_id={list_id}",
        f"send_ftpserver?fileno=2,3&select_type=fileno&list_id={list_id}",
        f"send_ftpserver?select_type=all&list_id={list_id}",
    ):
        assert (await quick.ask(target, "GET", ADMIN)).status_code == 204
        await quick.ask("cancel_send_ftpserver", "GET", ADMIN)
        await quick.until("get_state", ftp_send="off")
    assert (await quick.ask(f"del_clip_file?fileno=1,2&list_id={list_id}")).status_code == 204
    assert quick.violations == []


async def test_an_example_says_what_the_recorder_then_tells(quick):
    await quick.set("set_basic?cam_title=UCK20")
    assert fields(await quick.ask("get_basic"))["cam_title"] == "UCK20"
