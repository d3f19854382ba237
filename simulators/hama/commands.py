"""The commands of the document in its order and with its sections.

Every command is a GET. Several share a path: `param.cgi` lists and updates, `/form/enet` has a form for each thing it
sets. Parameters stand in the order of the document's addresses; the simulator wants them so, in exactly its letters.
"""

from __future__ import annotations

from dataclasses import replace

from simulators.auth import Level
from simulators.checking import Command, Param, choice, number, pattern

PARAM = "/camera-cgi/admin/param.cgi"
ENET = "/form/enet"
PTZ = "/camera-cgi/com/ptz.cgi"
PTZ_CONFIG = "/camera-cgi/com/ptzconfig.cgi"

GROUPS = (
    # 2.1
    "Properties.Image",
    "Properties.Image.I0",
    "Properties.Image.I1",
    "Image.I0.Appearance",
    "Image.I1.Appearance",
    "Image.I0.Stream",
    "Image.I1.Stream",
    "Layout",
    "Brand",
    "Network.Interface.I0.Active.MACAddress",
    "Properties.Firmware",
    "System.HTTPPort",
    "System.PrivateVideoPort",
    "Properties.VideoServer",
    # 3.2
    "Properties.Audio",
    # 4.5
    "Properties.PTZ.PTZ",
)
MJPEG_SIZES = ("1280x1024", "640x480", "320x240")
MPEG4_SIZES = ("1024x768", "640x480", "320x240")

UPDATES: tuple[Param, ...] = (
    # 2.2.1 to 2.2.8
    choice("Image.I0.Appearance.Resolution", *MJPEG_SIZES),
    choice("Image.I1.Appearance.Resolution", *MPEG4_SIZES),
    choice("Image.I0.Appearance.Compression", "0", "1", "2", "3", "4"),
    choice("Image.I1.Appearance.stats", "1", "0"),
    choice(
        "Image.I1.Appearance.bitrate",
        *(str(kilobits * 1000) for kilobits in (2000, 1500, 1000, 800, 500, 400, 300, 250, 200)),
    ),
    choice("Image.I1.Appearance.Compression", "13", "11", "9", "7", "5"),
    choice("Image.I0.Stream.FPS", "1", "3", "5", "10", "15", "30"),
    choice("Image.I1.Stream.FPS", "3", "5", "10", "15"),
)
VOLUMES = tuple(str(percent) for percent in range(0, 101, 10))
DIRECTIONS = {  # steps to the right and up
    "left": (-1, 0),
    "right": (1, 0),
    "up": (0, 1),
    "down": (0, -1),
    "upleft": (-1, 1),
    "upright": (1, 1),
    "downleft": (-1, -1),
    "downright": (1, -1),
}


def _groups(value: str) -> bool:
    return all(group in GROUPS for group in value.split(","))


def _get(path: str, action: str, level: Level, *params: Param) -> Command:
    return Command(path, ("GET",), level, params, action=action)


def _enet(*params: Param) -> Command:
    return _get(ENET, "enet", Level.ADMIN, choice("enet_source", "cp.asp"), *params)


PRESET_NAME = r"[^\x00-\x1f\x7f]{1,32}"
PRESET = number("presetNo", 0, 255)

COMMANDS: tuple[Command, ...] = (
    # 1 JPEG; 1.2, without authentication, is where the device's user has put it
    _get("/jpg/image.jpg", "still", Level.LIVE),
    _get("/mjpg/video.mjpg", "stream", Level.LIVE),
    # 2.1 Get
    _get(
        PARAM,
        "list",
        Level.ADMIN,
        choice("action", "list"),
        Param("group", _groups, "one of the document's groups, or several with commas between"),
    ),
    # 2.2 Set
    _get(
        PARAM,
        "update",
        Level.ADMIN,
        choice("action", "update"),
        *(replace(param, required=False) for param in UPDATES),
    ),
    _enet(choice("enet_avs_default_dual_mode", "0", "1")),
    _enet(choice("enet_avs_flip_mode", "0", "1", "2", "3")),
    # 3 Audio
    _get("/camera-cgi/audio/receive.cgi", "audio", Level.LIVE),
    _enet(
        choice("enet_audio_enable", "No", "Yes"),
        choice("enet_audio_mic_vol", *VOLUMES),
        choice("enet_audio_output_vol", *VOLUMES),
    ),
    # 4 PTZ
    _get(PTZ, "move", Level.LIVE, choice("move", *DIRECTIONS, "center")),
    _get(PTZ, "go_to_preset", Level.LIVE, number("gotoserverpresetIndex", 0, 255)),
    _get(
        PTZ_CONFIG,
        "set_preset",
        Level.LIVE,
        pattern("setserverpresetname", PRESET_NAME, "a name of 1 to 32 characters"),
        PRESET,
    ),
    _get(
        PTZ_CONFIG,
        "remove_preset",
        Level.LIVE,
        pattern("removeserverpresetname", PRESET_NAME, "a name of 1 to 32 characters"),
        PRESET,
    ),
    _enet(choice("enet_avs_pt_speed", "1", "3", "5", "7", "9")),
)

BY_PATH: dict[str, tuple[Command, ...]] = {
    path: tuple(command for command in COMMANDS if command.path == path)
    for path in dict.fromkeys(command.path for command in COMMANDS)
}
