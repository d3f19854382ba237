"""HAMA IP Camera CGI commands V1.1, as data: sections 1 to 4, in the order of the document.

How the document was read, where it leaves something open:

- Everything is GET, with the parameters in the order of the document's addresses. A group is listed alone, as every
  example does; one parameter is updated at a time.
- Answers carry the prefix `root.` or not, in the same document; names are compared without it and without case.
- /form/enet is the form of a page of the camera's own web menu: it answers with that page or sends there. Both mean
  yes, and nothing is told about the change.
- The document gives no levels of access. What lies under admin/ and the web menu's form are taken for the
  administrator's; pictures and sound for everybody's who may watch.
- Numbers are missing or used twice (2.1.5, 2.1.7); sections here are numbered as printed.
"""

from dataclasses import replace

from devices.cgi import (
    Access,
    Bytes,
    Choice,
    Command,
    Field,
    Fixed,
    KeyValues,
    Kind,
    ListField,
    NumberField,
    Param,
    Text,
    Whole,
    flag_field,
)

_PARAM = "/camera-cgi/admin/param.cgi"
_ENET = "/form/enet"
_PTZ = "/camera-cgi/com/ptz.cgi"
_PTZ_CONFIG = "/camera-cgi/com/ptzconfig.cgi"
_ROOT = KeyValues(prefix="root.")
PRESETS = 255


def _list(command_id: str, section: str, title: str, group: str, *reply: Field, note: str = "") -> Command:
    return Command(
        id=command_id,
        section=section,
        title=title,
        path=_PARAM,
        methods=("GET",),
        access=Access.ADMIN,
        kind=Kind.READ,
        params=(Fixed(name="action", value="list"), Fixed(name="group", value=group)),
        reply=reply,
        shape=_ROOT,
        note=note,
    )


def _update(command_id: str, section: str, title: str, param: Param, note: str = "") -> Command:
    return Command(
        id=command_id,
        section=section,
        title=title,
        path=_PARAM,
        methods=("GET",),
        access=Access.ADMIN,
        kind=Kind.WRITE,
        params=(Fixed(name="action", value="update"), replace(param, required=True)),
        note=note,
    )


def _form(command_id: str, section: str, title: str, *params: Param) -> Command:
    return Command(
        id=command_id,
        section=section,
        title=title,
        path=_ENET,
        methods=("GET",),
        access=Access.ADMIN,
        kind=Kind.WRITE,
        params=(Fixed(name="enet_source", value="cp.asp"), *(replace(param, required=True) for param in params)),
        may_redirect=True,
    )


def _picture(command_id: str, section: str, title: str, path: str, note: str = "") -> Command:
    return Command(
        id=command_id,
        section=section,
        title=title,
        path=path,
        methods=("GET",),
        access=Access.LIVE,
        kind=Kind.PICTURE,
        shape=Bytes(),
        note=note,
    )


def _steer(command_id: str, section: str, title: str, path: str, *params: Param) -> Command:
    return Command(
        id=command_id,
        section=section,
        title=title,
        path=path,
        methods=("GET",),
        access=Access.CONTROL,
        kind=Kind.CONTROL,
        params=tuple(replace(param, required=True) for param in params),
    )


def _resolution(name: str, *sizes: str) -> Choice:
    """The placeholder reads "Width X Height"; every example has a small x."""
    return Choice(name=name, choices={size: size for size in sizes}, note="Resolution")


def _rate(name: str, *rates: int) -> Choice:
    return Choice(name=name, choices={str(rate): f"{rate} fps" for rate in rates}, note="Frame rate")


# --- 1. JPEG image commands -------------------------------------------------------------------------------------------
IMAGE_JPG = _picture("image_jpg", "1.1", "Get one JPEG image", "/jpg/image.jpg")
LOGINFREE_JPG = _picture(
    "loginfree_jpg",
    "1.2",
    "Get one JPEG image without any authentication",
    "/loginfree.jpg",
    note="The file name may be changed on the camera: the option loginfree_path says what it is.",
)
VIDEO_MJPG = _picture("video_mjpg", "1.3", "Get one JPEG video stream", "/mjpg/video.mjpg")

# --- 2.1 Get system information and configuration ---------------------------------------------------------------------
GET_IMAGE_PROPERTIES = _list(
    "get_image_properties",
    "2.1.1",
    "Get image properties supported by camera",
    "Properties.Image",
    flag_field("Properties.Image.FlipMode"),
    ListField("Properties.Image.Resolution"),
    ListField("Properties.Image.Format"),
)
GET_MJPEG_PROPERTIES = _list(
    "get_mjpeg_properties",
    "2.1.2",
    "Get MJPEG image properties supported by camera",
    "Properties.Image.I0",
    flag_field("Properties.Image.I0.FlipMode"),
    ListField("Properties.Image.I0.Resolution"),
    ListField("Properties.Image.I0.Format"),
)
GET_MPEG4_PROPERTIES = _list(
    "get_mpeg4_properties",
    "2.1.3",
    "Get MPEG4 image properties supported by camera",
    "Properties.Image.I1",
    flag_field("Properties.Image.I1.FlipMode"),
    ListField("Properties.Image.I1.Resolution"),
    ListField("Properties.Image.I1.Format"),
)
GET_MJPEG_APPEARANCE = _list(
    "get_mjpeg_appearance",
    "2.1.4",
    "Get current camera configuration of resolution and JPEG quality",
    "Image.I0.Appearance",
    Field("Image.I0.Appearance.Resolution"),
    NumberField("Image.I0.Appearance.Compression"),
)
# The group is printed with a blank before it here and in 2.1.7, as the layout broke it.
GET_MPEG4_APPEARANCE = _list(
    "get_mpeg4_appearance",
    "2.1.6",
    "Get current camera configuration of resolution and MPEG4 quality",
    "Image.I1.Appearance",
    Field("Image.I1.Appearance.Resolution"),
    Field("Image.I1.Appearance.stats"),
    NumberField("Image.I1.Appearance.compression"),
    # Not in the example, which is of VBR.
    NumberField("Image.I1.Appearance.bitrate"),
    note="Of VBR the compression is told, of CBR the bit rate.",
)
GET_MJPEG_FPS = _list(
    "get_mjpeg_fps",
    "2.1.7",
    "Get current FPS value of MJPEG camera",
    "Image.I0.Stream",
    NumberField("Image.I0.Stream.FPS"),
    note="MJPEG only.",
)
GET_MPEG4_FPS = _list(
    "get_mpeg4_fps",
    "2.1.7 (second)",
    "Get current FPS value of MPEG4 camera",
    "Image.I1.Stream",
    NumberField("Image.I1.Stream.FPS"),
    note="MPEG4 only.",
)
GET_DEFAULT_FORMAT = _list(
    "get_default_format", "2.1.8", "Get default video format", "Layout", Field("Layout.DefaultVideoFormat")
)
GET_BRAND = _list(
    "get_brand",
    "2.1.9",
    "Get information about the brand",
    "Brand",
    Field("Brand.Brand"),
    Field("Brand.ProdFullName"),
    Field("Brand.ProdShortName"),
    Field("Brand.ProdNbr"),
    Field("Brand.ProdType"),
    Field("Brand.WebURL"),
)
GET_MAC = _list(
    "get_mac",
    "2.1.10",
    "Get hardware MAC address of camera",
    "Network.Interface.I0.Active.MACAddress",
    Field("Network.Interface.I0.Active.MACAddress"),
)
GET_FIRMWARE = _list(
    "get_firmware",
    "2.1.11",
    "Get Firmware Version, Model ID and Vendor ID",
    "Properties.Firmware",
    Field("Properties.Firmware.Version"),
    Field("Properties.Firmware.ModelID"),
    Field("Properties.Firmware.VendorID"),
)
GET_HTTP_PORT = _list(
    "get_http_port", "2.1.12", "Get web port number", "System.HTTPPort", NumberField("System.HTTPPort")
)
GET_VIDEO_PORT = _list(
    "get_video_port",
    "2.1.13",
    "Get private video port number",
    "System.PrivateVideoPort",
    NumberField("System.PrivateVideoPort"),
)
GET_USERS_NUMBER = _list(
    "get_users_number",
    "2.1.14",
    "Get MaxUsers and CurrentUsers Number",
    "Properties.VideoServer",
    NumberField("Properties.VideoServer.MaxUsers"),
    NumberField("Properties.VideoServer.CurrentUsers"),
)

# --- 2.2 Set system configuration -------------------------------------------------------------------------------------
SET_MJPEG_RESOLUTION = _update(
    "set_mjpeg_resolution",
    "2.2.1",
    "Set resolution of MJPEG camera",
    _resolution("Image.I0.Appearance.Resolution", "1280x1024", "640x480", "320x240"),
    note="MJPEG only.",
)
SET_MPEG4_RESOLUTION = _update(
    "set_mpeg4_resolution",
    "2.2.2",
    "Set resolution of MPEG4 camera",
    _resolution("Image.I1.Appearance.Resolution", "1024x768", "640x480", "320x240"),
    note="MPEG4 only.",
)
# Called a compression level, but 4 is the high quality.
SET_MJPEG_COMPRESSION = _update(
    "set_mjpeg_compression",
    "2.2.3",
    "Set JPEG compression level",
    Choice(
        name="Image.I0.Appearance.Compression",
        choices={"0": "0 (low)", "1": "1", "2": "2", "3": "3", "4": "4 (high)"},
        note="JPEG quality",
    ),
)
SET_MPEG4_STATS = _update(
    "set_mpeg4_stats",
    "2.2.4",
    "Set MPEG4 video quality",
    Choice(name="Image.I1.Appearance.stats", choices={"1": "VBR", "0": "CBR"}, note="State"),
)
SET_MPEG4_BITRATE = _update(
    "set_mpeg4_bitrate",
    "2.2.5",
    "Set MPEG4 CBR Bitrate",
    Choice(
        name="Image.I1.Appearance.bitrate",
        choices={
            "2000000": "2M bps",
            "1500000": "1.5M bps",
            "1000000": "1M bps",
            **{f"{rate}000": f"{rate}K bps" for rate in (800, 500, 400, 300, 250, 200)},
        },
        note="Bit rate",
    ),
)
# Told on another scale (11, 9, 7, 5, 3: 2.1.6) than it is set on; written as the document says, with a capital C.
SET_MPEG4_COMPRESSION = _update(
    "set_mpeg4_compression",
    "2.2.6",
    "Set MPEG4 VBR Compression",
    Choice(
        name="Image.I1.Appearance.Compression",
        choices={"13": "Lowest", "11": "Low", "9": "Normal", "7": "High", "5": "Highest"},
        note="Compression level",
    ),
)
SET_MJPEG_FPS = _update(
    "set_mjpeg_fps",
    "2.2.7",
    "Set MJPEG camera FPS",
    _rate("Image.I0.Stream.FPS", 1, 3, 5, 10, 15, 30),
    note="MJPEG only.",
)
SET_MPEG4_FPS = _update(
    "set_mpeg4_fps", "2.2.8", "Set MPEG4 camera FPS", _rate("Image.I1.Stream.FPS", 3, 5, 10, 15), note="MPEG4 only."
)
SET_DEFAULT_FORMAT = _form(
    "set_default_format",
    "2.2.9",
    "Set Default Video Format to MJPEG or MPEG4",
    Choice(name="enet_avs_default_dual_mode", choices={"0": "MJPEG", "1": "MPEG4"}, note="Default video format"),
)
SET_FLIP_MODE = _form(
    "set_flip_mode",
    "2.2.10",
    "Set Video Flip Mode",
    Choice(
        name="enet_avs_flip_mode",
        choices={"0": "Normal", "1": "Vertical mirror", "2": "Horizontal mirror", "3": "Rotate 180"},
        note="Flip mode",
    ),
)

# --- 3. Audio commands ------------------------------------------------------------------------------------------------
# Called multipart, but its format shows bare frames of 33 bytes.
AUDIO = _picture("audio", "3.1", "Request an audio stream", "/camera-cgi/audio/receive.cgi", note="GSM 06.10")
GET_AUDIO_STATUS = _list(
    "get_audio_status",
    "3.2",
    "Get Audio Status",
    "Properties.Audio",
    Field("Properties.Audio"),
    Field("Properties.Audio.TwoWayAudio"),
    Field("Properties.Audio.AudioCodec"),
    Field("Properties.Audio.TwoWayAudioCodec"),
)
_VOLUME = Whole(name="", low=0, high=100, step=10)
SET_AUDIO_VOLUME = _form(
    "set_audio_volume",
    "3.3",
    "Set Audio Volume",
    Choice(
        name="enet_audio_enable",
        choices={"No": "Disable audio function", "Yes": "Enable audio function"},
        note="Audio function",
    ),
    replace(_VOLUME, name="enet_audio_mic_vol", note="Microphone volume"),
    replace(_VOLUME, name="enet_audio_output_vol", note="Output volume"),
)

# --- 4. PTZ commands --------------------------------------------------------------------------------------------------
DIRECTIONS = ("left", "right", "up", "down", "upleft", "upright", "downleft", "downright", "center")
PTZ_MOVE = _steer(
    "ptz_move",
    "4.1",
    "Move the image in the specified direction",
    _PTZ,
    Choice(name="move", choices={direction: direction for direction in DIRECTIONS}),
)
# Indexes and names have no limits in the document; these are ours.
_INDEX = Whole(name="presetNo", low=0, high=PRESETS, note="Preset point index")
_NAME = Text(name="", min_length=1, max_length=32, note="Preset point name")
PTZ_GOTO_PRESET = _steer(
    "ptz_goto_preset", "4.2", "Move the image to preset point", _PTZ, replace(_INDEX, name="gotoserverpresetIndex")
)
PTZ_SET_PRESET = _steer(
    "ptz_set_preset",
    "4.3",
    "Add a preset point with current image coordinate and zoom configuration",
    _PTZ_CONFIG,
    replace(_NAME, name="setserverpresetname"),
    _INDEX,
)
PTZ_REMOVE_PRESET = _steer(
    "ptz_remove_preset",
    "4.4",
    "Remove a preset point",
    _PTZ_CONFIG,
    replace(_NAME, name="removeserverpresetname"),
    _INDEX,
)
GET_PTZ_STATUS = _list("get_ptz_status", "4.5", "Get PTZ status", "Properties.PTZ.PTZ", Field("Properties.PTZ.PTZ"))
SET_PT_SPEED = _form(
    "set_pt_speed",
    "4.6",
    "Set PT Speed",
    Choice(
        name="enet_avs_pt_speed",
        choices={"1": "1 (fast)", "3": "3", "5": "5", "7": "7", "9": "9 (slow)"},
        note="Pan and tilt speed",
    ),
)

CATALOGUE = (
    IMAGE_JPG,
    LOGINFREE_JPG,
    VIDEO_MJPG,
    GET_IMAGE_PROPERTIES,
    GET_MJPEG_PROPERTIES,
    GET_MPEG4_PROPERTIES,
    GET_MJPEG_APPEARANCE,
    GET_MPEG4_APPEARANCE,
    GET_MJPEG_FPS,
    GET_MPEG4_FPS,
    GET_DEFAULT_FORMAT,
    GET_BRAND,
    GET_MAC,
    GET_FIRMWARE,
    GET_HTTP_PORT,
    GET_VIDEO_PORT,
    GET_USERS_NUMBER,
    SET_MJPEG_RESOLUTION,
    SET_MPEG4_RESOLUTION,
    SET_MJPEG_COMPRESSION,
    SET_MPEG4_STATS,
    SET_MPEG4_BITRATE,
    SET_MPEG4_COMPRESSION,
    SET_MJPEG_FPS,
    SET_MPEG4_FPS,
    SET_DEFAULT_FORMAT,
    SET_FLIP_MODE,
    AUDIO,
    GET_AUDIO_STATUS,
    SET_AUDIO_VOLUME,
    PTZ_MOVE,
    PTZ_GOTO_PRESET,
    PTZ_SET_PRESET,
    PTZ_REMOVE_PRESET,
    GET_PTZ_STATUS,
    SET_PT_SPEED,
)
