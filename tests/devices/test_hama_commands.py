"""The HAMA document as data: the exact address of every command, what it refuses, and how its answers are read."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.cgi import BadValue, Command, Kind, decode, encode, read_reply, request
from devices.families.hama import commands as hama
from devices.families.hama.driver import speed_word
from tests.devices.strategies import values_of

LIST = "/camera-cgi/admin/param.cgi?action=list&group="
UPDATE = "/camera-cgi/admin/param.cgi?action=update&"
ENET = "/form/enet?enet_source=cp.asp&"
PTZ = "/camera-cgi/com/ptz.cgi?"
PTZ_CONFIG = "/camera-cgi/com/ptzconfig.cgi?"

# The document's own examples wherever it has one.
GOLDEN: list[tuple[Command, dict[str, Any], str]] = [
    (hama.IMAGE_JPG, {}, "/jpg/image.jpg"),
    (hama.LOGINFREE_JPG, {}, "/loginfree.jpg"),
    (hama.VIDEO_MJPG, {}, "/mjpg/video.mjpg"),
    (hama.GET_IMAGE_PROPERTIES, {}, LIST + "Properties.Image"),
    (hama.GET_MJPEG_PROPERTIES, {}, LIST + "Properties.Image.I0"),
    (hama.GET_MPEG4_PROPERTIES, {}, LIST + "Properties.Image.I1"),
    (hama.GET_MJPEG_APPEARANCE, {}, LIST + "Image.I0.Appearance"),
    (hama.GET_MPEG4_APPEARANCE, {}, LIST + "Image.I1.Appearance"),
    (hama.GET_MJPEG_FPS, {}, LIST + "Image.I0.Stream"),
    (hama.GET_MPEG4_FPS, {}, LIST + "Image.I1.Stream"),
    (hama.GET_DEFAULT_FORMAT, {}, LIST + "Layout"),
    (hama.GET_BRAND, {}, LIST + "Brand"),
    (hama.GET_MAC, {}, LIST + "Network.Interface.I0.Active.MACAddress"),
    (hama.GET_FIRMWARE, {}, LIST + "Properties.Firmware"),
    (hama.GET_HTTP_PORT, {}, LIST + "System.HTTPPort"),
    (hama.GET_VIDEO_PORT, {}, LIST + "System.PrivateVideoPort"),
    (hama.GET_USERS_NUMBER, {}, LIST + "Properties.VideoServer"),
    (
        hama.SET_MJPEG_RESOLUTION,
        {"Image.I0.Appearance.Resolution": "320x240"},
        UPDATE + "Image.I0.Appearance.Resolution=320x240",
    ),
    (
        hama.SET_MPEG4_RESOLUTION,
        {"Image.I1.Appearance.Resolution": "320x240"},
        UPDATE + "Image.I1.Appearance.Resolution=320x240",
    ),
    (
        hama.SET_MJPEG_COMPRESSION,
        {"Image.I0.Appearance.Compression": 4},
        UPDATE + "Image.I0.Appearance.Compression=4",
    ),
    (hama.SET_MPEG4_STATS, {"Image.I1.Appearance.stats": 0}, UPDATE + "Image.I1.Appearance.stats=0"),
    (hama.SET_MPEG4_BITRATE, {"Image.I1.Appearance.bitrate": 800000}, UPDATE + "Image.I1.Appearance.bitrate=800000"),
    (
        hama.SET_MPEG4_COMPRESSION,
        {"Image.I1.Appearance.Compression": 9},
        UPDATE + "Image.I1.Appearance.Compression=9",
    ),
    (hama.SET_MJPEG_FPS, {"Image.I0.Stream.FPS": 15}, UPDATE + "Image.I0.Stream.FPS=15"),
    (hama.SET_MPEG4_FPS, {"Image.I1.Stream.FPS": 15}, UPDATE + "Image.I1.Stream.FPS=15"),
    (hama.SET_DEFAULT_FORMAT, {"enet_avs_default_dual_mode": 1}, ENET + "enet_avs_default_dual_mode=1"),
    (hama.SET_FLIP_MODE, {"enet_avs_flip_mode": 3}, ENET + "enet_avs_flip_mode=3"),
    (hama.AUDIO, {}, "/camera-cgi/audio/receive.cgi"),
    (hama.GET_AUDIO_STATUS, {}, LIST + "Properties.Audio"),
    (
        hama.SET_AUDIO_VOLUME,
        {"enet_audio_output_vol": 100, "enet_audio_mic_vol": 0, "enet_audio_enable": "Yes"},
        ENET + "enet_audio_enable=Yes&enet_audio_mic_vol=0&enet_audio_output_vol=100",
    ),
    (hama.PTZ_MOVE, {"move": "left"}, PTZ + "move=left"),
    (hama.PTZ_GOTO_PRESET, {"gotoserverpresetIndex": 1}, PTZ + "gotoserverpresetIndex=1"),
    (
        hama.PTZ_SET_PRESET,
        {"presetNo": 2, "setserverpresetname": "myroom"},
        PTZ_CONFIG + "setserverpresetname=myroom&presetNo=2",
    ),
    (
        hama.PTZ_SET_PRESET,
        {"presetNo": 255, "setserverpresetname": "Tür 1, links: a-b_c.d & + #"},
        PTZ_CONFIG + "setserverpresetname=T%C3%BCr%201,%20links:%20a-b_c.d%20%26%20%2B%20%23&presetNo=255",
    ),
    (
        hama.PTZ_REMOVE_PRESET,
        {"presetNo": 3, "removeserverpresetname": "myroom"},
        PTZ_CONFIG + "removeserverpresetname=myroom&presetNo=3",
    ),
    (hama.GET_PTZ_STATUS, {}, LIST + "Properties.PTZ.PTZ"),
    (hama.SET_PT_SPEED, {"enet_avs_pt_speed": 3}, ENET + "enet_avs_pt_speed=3"),
]


@pytest.mark.parametrize(("row", "values", "target"), GOLDEN, ids=lambda each: getattr(each, "id", ""))
def test_the_request_is_exactly_the_documents(row: Command, values: dict[str, Any], target: str) -> None:
    made = request(row, values)
    assert (made.method, made.target, made.body) == ("GET", target, b"")
    assert row.methods == ("GET",)


def test_every_command_of_the_catalogue_has_a_golden_request() -> None:
    assert {row.id for row, *_ in GOLDEN} == {row.id for row in hama.CATALOGUE}
    assert len(hama.CATALOGUE) == len({row.id for row in hama.CATALOGUE})


def test_all_eight_paths_of_the_document_are_there() -> None:
    assert len({row.path for row in hama.CATALOGUE}) == 8


@pytest.mark.parametrize(
    ("row", "values", "sentence"),
    [
        (hama.SET_MJPEG_RESOLUTION, {"Image.I0.Appearance.Resolution": "1024x768"},
         "Image.I0.Appearance.Resolution cannot be '1024x768'; use one of 1280x1024, 640x480, 320x240."),
        (hama.SET_MPEG4_RESOLUTION, {"Image.I1.Appearance.Resolution": "640X480"},
         "Image.I1.Appearance.Resolution cannot be '640X480'; use one of 1024x768, 640x480, 320x240."),
        (hama.SET_MPEG4_COMPRESSION, {"Image.I1.Appearance.Compression": 3},
         "Image.I1.Appearance.Compression cannot be 3; use one of 13, 11, 9, 7, 5."),
        (hama.SET_MPEG4_FPS, {"Image.I1.Stream.FPS": 30},
         "Image.I1.Stream.FPS cannot be 30; use one of 3, 5, 10, 15."),
        (hama.SET_MPEG4_STATS, {}, "set_mpeg4_stats needs Image.I1.Appearance.stats."),
        (hama.SET_MPEG4_STATS, {"Image.I1.Appearance.stats": "compression"},
         "Image.I1.Appearance.stats cannot be 'compression'; use one of 1, 0."),
        (hama.SET_AUDIO_VOLUME, {"enet_audio_enable": "No"}, "set_audio_volume needs enet_audio_mic_vol."),
        (hama.SET_AUDIO_VOLUME, {"enet_audio_enable": "No", "enet_audio_mic_vol": 15, "enet_audio_output_vol": 0},
         "enet_audio_mic_vol cannot be 15; use a whole number from 0 to 100 in steps of 10."),
        (hama.PTZ_MOVE, {"move": "Left"},
         "move cannot be 'Left'; use one of left, right, up, down, upleft, upright, downleft, downright, center."),
        (hama.PTZ_GOTO_PRESET, {"gotoserverpresetIndex": 256},
         "gotoserverpresetIndex cannot be 256; use a whole number from 0 to 255."),
        (hama.PTZ_SET_PRESET, {"setserverpresetname": "", "presetNo": 1},
         "setserverpresetname cannot be ''; use 1 to 32 characters."),
        (hama.SET_PT_SPEED, {"enet_avs_pt_speed": 2}, "enet_avs_pt_speed cannot be 2; use one of 1, 3, 5, 7, 9."),
        (hama.GET_BRAND, {"group": "root.Brand"},
         "group cannot be 'root.Brand'; use Brand (the document fixes it)."),
    ],
)  # fmt: skip
def test_what_the_document_does_not_allow_is_refused_with_a_sentence(
    row: Command, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadValue) as refused:
        request(row, values)
    assert str(refused.value) == sentence


@given(st.sampled_from(hama.CATALOGUE).flatmap(lambda row: st.tuples(st.just(row), values_of(row))))
def test_what_is_written_is_read_back_for_every_command(pair: tuple[Command, dict[str, Any]]) -> None:
    row, values = pair
    assert decode(row, encode(row, values)) == values


def test_only_the_form_of_the_web_menu_may_send_us_elsewhere() -> None:
    assert {row.path for row in hama.CATALOGUE if row.may_redirect} == {"/form/enet"}
    assert {row.path for row in hama.CATALOGUE if row.kind is Kind.CONTROL} == {
        "/camera-cgi/com/ptz.cgi",
        "/camera-cgi/com/ptzconfig.cgi",
    }


# --- What is read -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("prefix", ["root.", "", "Root."])
def test_names_are_read_with_and_without_their_root(prefix: str) -> None:
    text = f"{prefix}Image.I1.Appearance.Resolution=1024x768\r\n{prefix}Image.I1.Appearance.stats=compression\r\n"
    text += f"{prefix}Image.I1.Appearance.Compression=7\r\n"
    assert read_reply(hama.GET_MPEG4_APPEARANCE, text) == {
        "Image.I1.Appearance.Resolution": "1024x768",
        "Image.I1.Appearance.stats": "compression",
        "Image.I1.Appearance.compression": 7,
        "Image.I1.Appearance.bitrate": None,
    }


def test_the_documents_examples_are_read() -> None:
    text = (
        "root.Properties.Image.FlipMode=1\n\nroot.Properties.Image.Resolution=1280x1024,1024x768,640x480,320x240\n\n"
        "root.Properties.Image.Format=mjpeg,mpeg4\n"
    )
    assert read_reply(hama.GET_IMAGE_PROPERTIES, text) == {
        "Properties.Image.FlipMode": True,
        "Properties.Image.Resolution": ["1280x1024", "1024x768", "640x480", "320x240"],
        "Properties.Image.Format": ["mjpeg", "mpeg4"],
    }
    brand = "root.Brand.Brand=Hama GmbH & Co. KG\r\nroot.Brand.ProdShortName=IP - Cam M360\r\nroot.Brand.WebURL=http://www.hama.de/\r\n"
    told = read_reply(hama.GET_BRAND, brand)
    assert told["Brand.Brand"] == "Hama GmbH & Co. KG"
    assert told["Brand.ProdShortName"] == "IP - Cam M360"
    assert told["Brand.WebURL"] == "http://www.hama.de/"
    assert told["Brand.ProdNbr"] is None
    audio = "Properties.Audio=yes\nProperties.Audio.TwoWayAudio=disabled\nProperties.Audio.AudioCodec=GSM 06.10\n"
    told = read_reply(hama.GET_AUDIO_STATUS, audio)
    assert (told["Properties.Audio"], told["Properties.Audio.TwoWayAudio"]) == ("yes", "disabled")
    assert told["Properties.Audio.AudioCodec"] == "GSM 06.10"
    assert read_reply(hama.GET_MJPEG_FPS, "Image.I0.Stream.FPS=15\n")["Image.I0.Stream.FPS"] == 15


@given(st.sampled_from(hama.CATALOGUE), st.text(max_size=200))
def test_no_text_is_too_odd_to_read(row: Command, text: str) -> None:
    read_reply(row, text)


@pytest.mark.parametrize(
    ("speed", "word"),
    [(0.01, "9"), (0.2, "7"), (-0.5, "5"), (0.75, "3"), (1.0, "1"), (-1.0, "1"), (5.0, "1")],
)
def test_one_is_fast_and_nine_is_slow(speed: float, word: str) -> None:
    assert speed_word(speed) == word


@given(st.floats(-1, 1))
def test_every_speed_has_a_word_of_the_document(speed: float) -> None:
    encode(hama.SET_PT_SPEED, {"enet_avs_pt_speed": speed_word(speed)})
