"""The POVCAM document as data: the exact bytes of every command, what it refuses, and how its own examples are read."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from devices.cgi import (
    BadValue,
    Command,
    Kind,
    decode,
    encode,
    masked,
    parse_key_values,
    read_fields,
    read_reply,
    request,
)
from devices.families.povcam import commands as povcam
from devices.families.povcam.commands.row import GAP
from tests.devices.strategies import values_of

REALWORLD = settings.BASE_DIR.parent / "shared" / "realworld" / "panasonic"
CGI = "/cgi-bin/"
SUBJECT = {"common_name": "recorder.local", "country": "DE", "organization": "Hafen & Co"}

# Command, values, method, target behind /cgi-bin/. Where the document has an example, it is here.
GOLDEN: list[tuple[Command, dict[str, Any], str, str]] = [
    # 2.1 - 2.7
    (povcam.GETUID, {"vcodec": "h264"}, "GET", "getuid?FILE=2&vcodec=h264"),
    (povcam.GETUID, {"vcodec": "h264_2", "reply": "info", "FILE": 2}, "GET", "getuid?FILE=2&vcodec=h264_2&reply=info"),
    (povcam.GETINFO, {}, "GET", "getinfo?FILE=1"),
    (povcam.GET_CAPABILITY, {}, "GET", "get_capability"),
    (
        povcam.JPEG,
        {"UID": 263, "connect": "start", "framerate": "12.5", "resolution": 640},
        "GET",
        "jpeg?connect=start&framerate=12.5&resolution=640&UID=263",
    ),
    (povcam.MJPEG, {"framerate": 15, "resolution": 640}, "GET", "mjpeg?resolution=640&framerate=15"),
    (povcam.MJPEG, {}, "GET", "mjpeg"),
    (povcam.VIEW, {"action": "start"}, "GET", "view.cgi?action=start"),
    (povcam.VIEW, {"n": 3333, "action": "snapshot"}, "GET", "view.cgi?action=snapshot&n=3333"),
    (povcam.CAMERA, {"page": 1, "resolution": 640}, "GET", "camera?resolution=640&page=1"),
    (
        povcam.H264,
        {"stream": 1, "UID": "263", "protocol": "rtp", "connect": "start", "my_port": 40000},
        "GET",
        "h264?my_port=40000&connect=start&protocol=rtp&UID=263&stream=1",
    ),
    (
        povcam.AUDIO,
        {"UID": "263", "protocol": "rtp", "connect": "start", "my_port": 38004},
        "GET",
        "audio?my_port=38004&connect=start&protocol=rtp&UID=263&mode=in",
    ),
    (
        povcam.AUDIO,
        {"UID": "263", "protocol": "http", "connect": "stop"},
        "GET",
        "audio?connect=stop&protocol=http&UID=263&mode=in",
    ),
    (
        povcam.KEEP_ALIVE,
        {"mode": "jpeg", "protocol": "http", "UID": "263"},
        "GET",
        "keep_alive?mode=jpeg&protocol=http&UID=263",
    ),
    (
        povcam.KEEP_ALIVE,
        {"mode": "h.264_2", "protocol": "rtp", "UID": "0263", "stream": 2},
        "GET",
        "keep_alive?mode=h.264_2&protocol=rtp&UID=0263&stream=2",
    ),
    # 3.1
    (povcam.CAMCTRL, {"zoom": "up"}, "GET", "camctrl?zoom=up"),
    (povcam.CAMCTRL, {"focus": -3}, "GET", "camctrl?focus=-3"),
    (povcam.CAMCTRL, {"af": "on", "times": 0, "bright": -2}, "GET", "camctrl?times=0&bright=-2&af=on"),
    (povcam.DIRECTCTRL, {"focus": 4, "zoom": -4}, "GET", "directctrl?zoom=-4&focus=4"),
    # 4.1 - 4.8
    (povcam.SET_PRIORITY_MODE, {"mode": "ip"}, "POST", "set_priority_mode?mode=ip"),
    (povcam.SET_BASIC, {"cam_title": "UCK20"}, "POST", "set_basic?cam_title=UCK20"),
    (
        povcam.SET_BASIC,
        {"plugin_disp": 0, "cam_title": "Tür 1 & 2 + #3", "plugin_download": "enable"},
        "POST",
        "set_basic?cam_title=T%C3%BCr%201%20%26%202%20%2B%20%233&plugin_download=enable&plugin_disp=0",
    ),
    (
        povcam.TIME,
        {"ntp_interval": 12, "ntp_port": 123, "ntp_addr": "192.168.0.1", "ntp_addr_dhcp": 0, "time_adjust": 1},
        "POST",
        "time?time_adjust=1&ntp_addr_dhcp=0&ntp_addr=192.168.0.1&ntp_port=123&ntp_interval=12",
    ),
    (
        povcam.DATE_TIME,
        {
            **{"display": 0, "date_year": 2018, "date_month": 1, "date_day": 1, "date_hour": 0},
            **{"date_min": 0, "date_sec": 0, "summer_time": 0},
        },
        "POST",
        "date_time?display=0&date_year=2018&date_month=1&date_day=1&date_hour=0&date_min=0&date_sec=0&summer_time=0",
    ),
    (
        povcam.DATE_TIME,
        {
            **{"timezone": 15, "summer_time": 2, "start_month": 3, "start_week": 5, "start_dotw": 0, "start_hour": 2},
            **{"end_month": 10, "end_week": 5, "end_dotw": 0, "end_hour": 3},
        },
        "POST",
        "date_time?timezone=15&summer_time=2&start_month=3&start_week=5&start_dotw=0&start_hour=2"
        "&end_month=10&end_week=5&end_dotw=0&end_hour=3",
    ),
    (
        povcam.SET_JPEG,
        {"jpeg_interval1": 15, "jpeg_transmit1": 1, "resol_stream1": 640, "jpeg_quality": 9},
        "POST",
        "set_jpeg?jpeg_quality=9&resol_stream1=640&jpeg_transmit1=1&jpeg_interval1=15",
    ),
    (povcam.SETDATA, {"LIVEQUAL": 0, "LIVESIZE": 640}, "POST", "setdata?LIVESIZE=640&LIVEQUAL=0"),
    (
        povcam.SET_H264,
        {
            **{"h264_transmit": 1, "h264_rtsp_mode": 0, "h264_resolution": 3840, "f_priority": 2, "framerate": 60},
            **{"h264_bandwidth": 51200, "h264_bandwidth_min": 1024, "h264_quality": "fine", "h264_unimulti": "multi"},
            **{"unicast_port": 32004, "unicast_audio_port": 33004, "multicast_addr1": 239, "multicast_addr2": 192},
            **{"multicast_addr3": 0, "multicast_addr4": 20, "multicast_addr": "239.192.0.20"},
            **{"multicast_port": 37004, "multicast_ttl": 16},
        },
        "POST",
        "set_h264?h264_transmit=1&h264_rtsp_mode=0&h264_resolution=3840&f_priority=2&framerate=60&h264_bandwidth=51200"
        "&h264_bandwidth_min=1024&h264_quality=fine&h264_unimulti=multi&unicast_port=32004&unicast_audio_port=33004"
        "&multicast_addr1=239&multicast_addr2=192&multicast_addr3=0&multicast_addr4=20&multicast_addr=239.192.0.20"
        "&multicast_port=37004&multicast_ttl=16",
    ),
    (
        povcam.SET_H264_2,
        {"framerate": "12.5", "h264_bandwidth": 24576, "h264_resolution": 1280},
        "POST",
        "set_h264_2?h264_resolution=1280&framerate=12.5&h264_bandwidth=24576",
    ),
    (
        povcam.SET_RTSP,
        {"h264_rtsp_mode2": 1, "h264_rtsp_mode": 0, "rtsp_port": 554},
        "POST",
        "set_rtsp?rtsp_port=554&h264_rtsp_mode=0&h264_rtsp_mode2=1",
    ),
    (povcam.SET_LIVESTART, {"stream": "h264_2"}, "POST", "set_livestart?stream=h264_2"),
    (
        povcam.SET_AUDIO,
        {"audio": 1, "audio_sens": "middle", "mic_select": "internal"},
        "POST",
        "set_audio?audio=1&audio_sens=middle&mic_select=internal",
    ),
    (
        povcam.SET_AUDIO,
        {"audio": 1, "audio_sens": "line_middle"},
        "POST",
        "set_audio?audio=1&audio_sens=line_middle",
    ),
    (povcam.SET_AUDIO, {"audio": 1, "audio_sens": "sdi"}, "POST", "set_audio?audio=1&audio_sens=sdi"),
    (povcam.SET_AUDIO, {"audio": 0}, "POST", "set_audio?audio=0"),
    (povcam.SET_VOLUME_LV, {"volume_lv": 23}, "POST", "set_volume_lv?volume_lv=23"),
    (
        povcam.MULTI_SCREEN,
        {"multi_name1": "UCK20", "multi_addr1": "192.168.0.100"},
        "POST",
        "multi_screen?multi_addr1=192.168.0.100&multi_name1=UCK20",
    ),
    (
        povcam.MULTI_SCREEN,
        {"multi_name16": "港", "multi_addr16": "cam16:8080", "multi_addr2": ""},
        "POST",
        "multi_screen?multi_addr2=&multi_addr16=cam16:8080&multi_name16=%E6%B8%AF",
    ),
    (
        povcam.NETWORK,
        {
            **{"dhcp": 0, "IP_addr1": 192, "IP_addr2": 168, "IP_addr3": 0, "IP_addr4": 10, "netmask1": 255},
            **{"gateway4": 1, "port": 80, "dns": "manual", "pri_server1": 8, "sec_server4": 4},
            **{"rtp_packet_max": 1280, "mss": 1460, "time": "unlimited", "bandwidth": 10000, "rtsp_port": 554},
        },
        "POST",
        "network?dhcp=0&IP_addr1=192&IP_addr2=168&IP_addr3=0&IP_addr4=10&netmask1=255&gateway4=1&port=80&dns=manual"
        "&pri_server1=8&sec_server4=4&rtp_packet_max=1280&mss=1460&time=unlimited&bandwidth=10000&rtsp_port=554",
    ),
    (povcam.EASYIPSET, {"time": 20}, "POST", "easyipset?time=20"),
    (povcam.SET_BANDWIDTH, {"bandwidth": 0}, "POST", "set_bandwidth?bandwidth=0"),
    (povcam.SET_RTP, {"rtp_size": 1280}, "POST", "set_rtp?rtp_size=1280"),
    (povcam.UPNP, {"upnp_portmap": 1}, "POST", "upnp?upnp_portmap=1"),
    (
        povcam.INITIAL,
        {"cmd": "reset", "Randomnum": "0123456789abcdef"},
        "POST",
        "initial?cmd=reset&Randomnum=0123456789abcdef",
    ),
    # 5.1 - 6
    (povcam.GET_PRIORITY_MODE, {}, "GET", "get_priority_mode"),
    (povcam.GET_BASIC, {}, "GET", "get_basic"),
    (povcam.GET_TIME, {}, "GET", "get_time"),
    (povcam.GET_DATE_TIME, {}, "GET", "get_date_time"),
    (povcam.GET_VIDEO_OVER_IP, {}, "GET", "get_video_over_ip"),
    (povcam.GET_AUDIO, {}, "GET", "get_audio"),
    (povcam.GET_MULTI_SCREEN, {}, "GET", "get_multi_screen"),
    (povcam.GET_NETWORK, {}, "GET", "get_network"),
    (povcam.GET_UPNP, {}, "GET", "get_upnp"),
    (povcam.GET_STATUS, {}, "GET", "get_status"),
    (povcam.GET_SYSTEMLOG, {}, "GET", "get_systemlog?type=eventlog"),
    (povcam.GET_SYSTEMLOG, {"index": 1, "num": 300}, "GET", "get_systemlog?type=eventlog&num=300&index=1"),
    (povcam.GETDATA, {}, "GET", "getdata"),
    (povcam.GETDATA, {"req": "h264bwcmin_2"}, "GET", "getdata?req=h264bwcmin_2"),
    (povcam.GETDATA, {"req": "h.264uniport_2"}, "GET", "getdata?req=h.264uniport_2"),
    (povcam.SETDATA_LIST, {}, "GET", "setdata"),
    # 7.1, 7.2
    (povcam.HTTPS_SELF_SIGNED, {"mode": "get_info"}, "GET", "https_self_signed?mode=get_info"),
    (povcam.HTTPS_SIGNED, {"mode": "delete"}, "GET", "https_signed?mode=delete"),
    (povcam.HTTPS_CRT_KEY, {"mode": "refresh"}, "GET", "https_crt_key?mode=refresh"),
    (povcam.SET_HTTPS, {"https_port": 443, "live": "https"}, "GET", "set_https?live=https&https_port=443"),
    (
        povcam.HTTPS_CREAT_SELF_SIGNED,
        SUBJECT,
        "GET",
        "https_creat_self_signed?common_name=recorder.local&country=DE&organization=Hafen%20%26%20Co",
    ),
    (
        povcam.HTTPS_CREAT_SIGNED,
        {**SUBJECT, "state": "a", "locality": "b", "organization_unit": "c"},
        "GET",
        "https_creat_signed?common_name=recorder.local&country=DE&state=a&locality=b"
        "&organization=Hafen%20%26%20Co&organization_unit=c",
    ),
    (povcam.HTTPS_DOWNLOAD_CSR, {}, "GET", "https_download_csr"),
    (povcam.HTTPS_CHANGE_CRT_KEY, {"rsa_length": 2048}, "GET", "https_change_crt_key?rsa_length=2048"),
    (povcam.RENEWAL, {"cgi_name": "key_create"}, "GET", "renewal?cgi_name=key_create"),
    (povcam.GET_HTTPS, {}, "GET", "get_https"),
    (povcam.GET_CRT_KEY, {}, "GET", "get_crt_key"),
    # 8.1 - 9.3
    (
        povcam.SET_SDREC_MODE,
        {"mode": "avchd_ps_1080_60p_28m"},
        "POST",
        "set_sdrec_mode?mode=avchd_ps_1080_60p_28m",
    ),
    (povcam.GET_SDREC_MODE, {}, "GET", "get_sdrec_mode"),
    (povcam.SET_SDREC_TARGET, {"device": "sd2"}, "POST", "set_sdrec_target?device=sd2"),
    (povcam.GET_SDREC_TARGET, {}, "GET", "get_sdrec_target"),
    (povcam.SET_RECORDER_NUM, {"recorder_num": 16}, "POST", "set_recorder_num?recorder_num=16"),
    (povcam.CONTENTNUM_RESET, {}, "POST", "contentnum_reset"),
    (povcam.GET_RECORDER_NUM, {}, "GET", "get_recorder_num"),
    (povcam.SDCTRL, {"save": "start"}, "GET", "sdctrl?save=start"),
    (povcam.SDCTRL, {"save": "end"}, "GET", "sdctrl?save=end"),
    (povcam.GET_STATE, {}, "GET", "get_state"),
    (povcam.SDCARD, {"cmd": "format"}, "POST", "sdcard?cmd=format"),
    (povcam.GET_PROGRESS, {"type": "format"}, "GET", "get_progress?type=format"),
    (povcam.GET_PROGRESS, {"type": "send_ftp"}, "GET", "get_progress?type=send_ftp"),
    # 10.1 - 11.5
    (
        povcam.GET_CLIP_LIST,
        {"format": "avchd", "device": "sd2", "index": 1},
        "GET",
        "get_clip_list?index=1&device=sd2&format=avchd",
    ),
    (
        povcam.GET_CLIP_LIST,
        {"format": "mp4", "index": 16, "maxmatches": 15},
        "GET",
        "get_clip_list?maxmatches=15&index=16&format=mp4",
    ),
    (povcam.DEL_CLIP_FILE, {"list_id": 5777, "fileno": [1, 2]}, "GET", "del_clip_file?fileno=1,2&list_id=5777"),
    (
        povcam.GET_CLIP_FILE,
        {"filename": "S1AA001000000160", "list_id": "5799"},
        "GET",
        "get_clip_file?filename=S1AA001000000160&list_id=5799",
    ),
    (
        povcam.SET_FTP,
        {
            **{"server_addr": "192.168.0.121", "username": "user1", "password": "password"},
            **{"port_num": 21, "mode": "active", "dirname": "user1_dir"},
        },
        "POST",
        "set_ftp?server_addr=192.168.0.121&username=user1&password=password&port_num=21&mode=active&dirname=user1_dir",
    ),
    (povcam.GET_FTP, {}, "GET", "get_ftp"),
    (
        povcam.SEND_FTPSERVER,
        {"select_type": "fileno", "list_id": 100, "fileno": 1},
        "POST",
        "send_ftpserver?fileno=1&select_type=fileno&list_id=100",
    ),
    (
        povcam.SEND_FTPSERVER,
        {"select_type": "fileno", "list_id": 100, "fileno": "2,3"},
        "POST",
        "send_ftpserver?fileno=2,3&select_type=fileno&list_id=100",
    ),
    (
        povcam.SEND_FTPSERVER,
        {"select_type": "all", "list_id": 100},
        "POST",
        "send_ftpserver?select_type=all&list_id=100",
    ),
    (povcam.CANCEL_SEND_FTPSERVER, {}, "POST", "cancel_send_ftpserver"),
]


@pytest.mark.parametrize(("row", "values", "method", "target"), GOLDEN, ids=lambda each: getattr(each, "id", ""))
def test_the_request_is_exactly_the_documents(row: Command, values: dict[str, Any], method: str, target: str) -> None:
    sent = request(row, values)
    assert (sent.method, sent.target, sent.body) == (method, CGI + target, b"")


def test_every_command_of_the_catalogue_has_a_golden_request() -> None:
    runnable = {row.id for row in povcam.CATALOGUE if not row.unrunnable}
    assert runnable == {row.id for row, _, _, _ in GOLDEN}
    assert len(runnable) == len([row for row in povcam.CATALOGUE if not row.unrunnable]), "no id comes twice"


def test_all_seventy_three_paths_of_the_document_are_there() -> None:
    assert len({row.path for row in povcam.CATALOGUE}) == 73
    assert all(row.path.startswith(CGI) and row.gap == GAP for row in povcam.CATALOGUE)
    assert {row.section.split(".")[0] for row in povcam.CATALOGUE} == {
        "2",
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
        "9",
        "10",
        "11",
    }


@pytest.mark.parametrize(
    ("row", "values", "sentence"),
    [
        (povcam.GETUID, {}, "getuid needs vcodec."),
        (povcam.GETUID, {"vcodec": "h265"}, "vcodec cannot be 'h265'; use one of jpeg, h264, h264_2."),
        (povcam.GETUID, {"vcodec": "h264", "FILE": 1}, "FILE cannot be 1; use 2 (the document fixes it)."),
        (povcam.AUDIO, {"connect": "start", "protocol": "rtp", "UID": 1}, "protocol=rtp needs my_port with it."),
        (
            povcam.AUDIO,
            {"connect": "start", "protocol": "http", "UID": 1, "my_port": 38004},
            "my_port can be set only together with protocol=rtp.",
        ),
        (povcam.CAMCTRL, {}, "Give at least one of times, zoom, bright, iris, focus, af."),
        (povcam.DIRECTCTRL, {"zoom": 5}, "zoom cannot be 5; use a whole number from -4 to 4."),
        (povcam.SET_BASIC, {"cam_title": "x" * 21}, f"cam_title cannot be {'x' * 21!r}; use at most 20 characters."),
        (povcam.DATE_TIME, {"date_year": 2012}, "date_year cannot be 2012; use a whole number from 2013 to 2035."),
        (
            povcam.SET_H264,
            {"h264_bandwidth_min": 2048, "f_priority": 1},
            "h264_bandwidth_min can be set only together with f_priority=2.",
        ),
        (
            povcam.SET_H264,
            {"unicast_port": 32005},
            "unicast_port cannot be 32005; use an even number from 1024 to 50000.",
        ),
        (
            povcam.SET_H264_2,
            {"h264_resolution": 1920},
            "h264_resolution cannot be 1920; use one of 640, 1280.",
        ),
        (povcam.SET_AUDIO, {"audio": "in"}, "audio=in or audio=1 needs audio_sens with it."),
        (
            povcam.SET_AUDIO,
            {"audio": "in", "audio_sens": "lmiddle"},
            "audio_sens cannot be 'lmiddle'; use one of middle, line_middle, sdi.",
        ),
        (
            povcam.MULTI_SCREEN,
            {"multi_addr17": "a"},
            "multi_screen has no parameter multi_addr17; it knows "
            + ", ".join(param.name for param in povcam.MULTI_SCREEN.params)
            + ".",
        ),
        (
            povcam.INITIAL,
            {"cmd": "reset", "Randomnum": "12345"},
            "Randomnum cannot be '12345'; use 16 hexadecimal digits.",
        ),
        (
            povcam.HTTPS_INSTALL_SIGNED,
            {},
            "https_install_signed cannot be run: the document gives it no parameters and no body. Install the "
            "certificate on the device's own pages.",
        ),
        (
            povcam.DEL_CLIP_FILE,
            {"fileno": list(range(1, 52)), "list_id": 1},
            "fileno cannot have 51 values; use 1 to 50 of them.",
        ),
        (
            povcam.SEND_FTPSERVER,
            {"select_type": "all", "fileno": 1, "list_id": 1},
            "fileno can be set only together with select_type=fileno.",
        ),
        (
            povcam.GET_CLIP_FILE,
            {"filename": "../x", "list_id": 1},
            "filename cannot be '../x'; use the name of a clip as get_clip_list gives it.",
        ),
        (
            povcam.SET_FTP,
            {"password": "with blank"},
            "password cannot be that value; use at most 32 letters and digits.",
        ),
        (povcam.GET_STATE, {"x": 1}, "get_state has no parameter x; it knows none."),
    ],
)  # fmt: skip
def test_what_the_document_does_not_allow_is_refused_with_a_sentence(
    row: Command, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadValue) as refused:
        request(row, values)
    assert str(refused.value) == sentence


RUNNABLE = st.sampled_from([row for row in povcam.CATALOGUE if not row.unrunnable])


@given(RUNNABLE.flatmap(lambda row: st.tuples(st.just(row), values_of(row))))
def test_what_is_written_is_read_back_for_every_command(pair: tuple[Command, dict[str, Any]]) -> None:
    row, values = pair
    fixed = {param.name: param.value for param in row.params if param.type == "fixed"}  # type: ignore[attr-defined]
    assert decode(row, encode(row, values)) == values | fixed


@given(st.sampled_from(povcam.CATALOGUE), st.dictionaries(st.text(max_size=10), st.text(max_size=30), max_size=3))
def test_any_value_is_either_sent_as_documented_or_refused(row: Command, values: dict[str, Any]) -> None:
    try:
        query = encode(row, values)
    except BadValue:
        return
    assert decode(row, query) is not None


@given(st.sampled_from(povcam.CATALOGUE), st.text(max_size=200))
def test_no_text_is_too_odd_to_read(row: Command, text: str) -> None:
    read_reply(row, text)


def test_secrets_and_dangers_are_marked() -> None:
    secrets = {(row.id, param.name) for row in povcam.CATALOGUE for param in row.params if param.secret}
    assert {row for row, _ in secrets} == {"jpeg", "h264", "audio", "keep_alive", "set_ftp"}
    assert masked(povcam.SET_FTP, {"username": "a", "password": "b"})["password"] != "b"
    dangerous = {row.id for row in povcam.CATALOGUE if row.danger}
    assert {"initial", "network", "sdcard", "set_priority_mode", "https_self_signed", "del_clip_file"} <= dangerous
    assert all(row.danger.endswith(".") for row in povcam.CATALOGUE if row.danger)
    assert not any(row.danger for row in povcam.CATALOGUE if row.kind is Kind.READ)


# --- Replies, from the document's own examples ------------------------------------------------------------------------
def test_the_documents_clip_list_is_read() -> None:
    text = (
        "no,filename,mm/dd/yyyy hh:mm:ss,duration\r\n1,S1AA001000000160,06/26/2017 20:12:02,00:00:12\r\n"
        "2,S1AA001000000260,06/26/2017 20:13:10,00:00:02\r\nClipfileNum=2\r\nClipfileALLNum=2\r\nlist_id=5777"
    )
    assert read_reply(povcam.GET_CLIP_LIST, text) == {
        "ClipfileNum": 2,
        "ClipfileALLNum": 2,
        "list_id": "5777",
        "rows": [
            {"no": 1, "filename": "S1AA001000000160", "recorded": "2017-06-26T20:12:02", "duration": "00:00:12"},
            {"no": 2, "filename": "S1AA001000000260", "recorded": "2017-06-26T20:13:10", "duration": "00:00:02"},
        ],
    }


@pytest.mark.parametrize("separator", ["\\", "¥", "￥", "･"])
def test_a_system_log_without_line_feeds_is_read_whatever_its_yen_sign(separator: str) -> None:
    rows = [["1", "06/26/2017 20:12", "0100", "Power on"], ["2", "06/26/2017 20:15", "0201", f"a{separator}b"]]
    text = "".join(separator.join(row) + "$" for row in rows)
    assert read_reply(povcam.GET_SYSTEMLOG, text)["rows"] == [
        {"no": 1, "time": "2017-06-26T20:12:00", "code": "0100", "description": "Power on"},
        {"no": 2, "time": "2017-06-26T20:15:00", "code": "0201", "description": f"a{separator}b"},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "video_server.image.h264.resolution=3840x2160, 1920x1080\r\nvideo_server.image.h264.bandwidth=1024, ,2048,\r\n",
        "[video_server.image.h264]\r\nresolution=3840x2160,1920x1080,\r\nbandwidth = 1024,2048\r\n",
    ],
)
def test_capabilities_are_read_as_dotted_names_and_as_sections(text: str) -> None:
    told = read_reply(povcam.GET_CAPABILITY, text)
    assert told["video_server.image.h264.resolution"] == ["3840x2160", "1920x1080"]
    assert told["video_server.image.h264.bandwidth"] == ["1024", "2048"]
    assert told["video_server.image.h264.framerate"] is None


def test_progress_and_priority_are_read_with_blanks_around_the_sign() -> None:
    assert read_reply(povcam.GET_PROGRESS, "progress=exec\r\nrate = 42 %") == {"progress": "exec", "rate": 42}
    assert read_reply(povcam.GET_PRIORITY_MODE, "priority_mode = rec_pb_4k\r\n") == {"priority_mode": "rec_pb_4k"}


def test_setting_values_are_read_whatever_their_case() -> None:
    told = read_reply(povcam.SETDATA_LIST, "rtspport=8554\r\nh264bwc_2=2048\r\nIMAGESELECT=2m\r\n")
    assert (told["RTSPPORT"], told["H264BWC_2"], told["IMAGESELECT"], told["AUDIO"]) == (8554, "2048", "2m", None)


@pytest.mark.skipif(not REALWORLD.exists(), reason="the replies of real devices are not beside the repository")
def test_the_replies_of_a_real_sibling_are_read() -> None:
    info = read_fields(povcam.GETINFO.reply, parse_key_values(_text("AW-HE40_getinfo.txt")))
    assert info["MAC"] == "A8-13-74-BF-40-FD"
    assert info["Maxfps"] == 25
    assert info["aInterval"] == 20, "it calls it aInInterval"
    assert info["aInPort_h264"] == 33004
    state = read_fields(povcam.GET_STATE.reply, parse_key_values(_text("AW-HE40_get_state.txt")))
    assert state["rec"] is False
    assert state["rec_counter"] == "00:00:00"
    assert state["sd_rem"] is None
    assert state["sd2_insert"] is None
    assert read_reply(povcam.GET_BASIC, _text("AW-HE40_get_basic.txt"))["cam_title"] is not None


def _text(name: str) -> str:
    return Path(REALWORLD / name).read_text()
