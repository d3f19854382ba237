"""The settings of a HAMA camera in groups. Each value has a command of its own; some can be set but are never told."""

from devices.cgi import Ask, Command, Group, Param, Setting
from devices.families.hama import commands as cgi


def _told(name: str, write: Command, label: str, *, words: dict[str, str] | None = None, help: str = "") -> Setting:
    """A parameter that is told under its own name."""
    param = _parameter(write)
    return Setting(
        name=name, reply=param.name, param=param.name, write=write, label=label, words=words or {}, help=help
    )


def _untold(name: str, write: Command, label: str, help: str = "") -> Setting:
    return Setting(name=name, reply=None, param=_parameter(write).name, write=write, label=label, help=help)


def _parameter(write: Command) -> Param:
    """The first is fixed: action or enet_source."""
    return write.params[1]


QUALITY_TOLD = "Image.I1.Appearance.compression"
MJPEG = Group(
    id="mjpeg",
    title="MJPEG",
    reads=(Ask(cgi.GET_MJPEG_APPEARANCE), Ask(cgi.GET_MJPEG_FPS)),
    settings=(
        _told("Resolution", cgi.SET_MJPEG_RESOLUTION, "Resolution"),
        _told("Compression", cgi.SET_MJPEG_COMPRESSION, "Quality", help="4 makes the best and largest pictures."),
        _told("FPS", cgi.SET_MJPEG_FPS, "Frame rate"),
    ),
)
MPEG4 = Group(
    id="mpeg4",
    title="MPEG4",
    reads=(Ask(cgi.GET_MPEG4_APPEARANCE), Ask(cgi.GET_MPEG4_FPS)),
    settings=(
        _told("Resolution", cgi.SET_MPEG4_RESOLUTION, "Resolution"),
        _told("stats", cgi.SET_MPEG4_STATS, "Bit rate control", words={"compression": "1", "bitrate": "0"}),
        _told("bitrate", cgi.SET_MPEG4_BITRATE, "Bit rate", help="Told and used with CBR."),
        # The driver knows on which scale it is told.
        Setting(
            name="Compression",
            reply=QUALITY_TOLD,
            param=_parameter(cgi.SET_MPEG4_COMPRESSION).name,
            write=cgi.SET_MPEG4_COMPRESSION,
            label="Quality",
            help="Used with VBR. Cameras tell it on the scale it is set on, or two less; until a change shows which, "
            "only Quality as told is known.",
        ),
        Setting(
            name="compression_told",
            reply=QUALITY_TOLD,
            param=None,
            label="Quality as told",
            help="The camera's own number; smaller is better. The document lists 11, 9, 7, 5 and 3.",
        ),
        _told("FPS", cgi.SET_MPEG4_FPS, "Frame rate"),
    ),
)
DEFAULT_FORMAT = Group(
    id="default_format",
    title="Default video format",
    reads=(Ask(cgi.GET_DEFAULT_FORMAT),),
    settings=(
        Setting(
            name="enet_avs_default_dual_mode",
            reply="Layout.DefaultVideoFormat",
            write=cgi.SET_DEFAULT_FORMAT,
            words={"mjpeg": "0", "mpeg4": "1"},
            label="Default video format",
        ),
    ),
)
FLIP = Group(
    id="flip",
    title="Flip",
    settings=(_untold("enet_avs_flip_mode", cgi.SET_FLIP_MODE, "Flip mode"),),
)
_WITH_VOLUMES = "It is set together with both volumes, which the camera never tells."
AUDIO = Group(
    id="audio",
    title="Audio",
    reads=(Ask(cgi.GET_AUDIO_STATUS),),
    write=cgi.SET_AUDIO_VOLUME,
    settings=(
        Setting(
            name="enet_audio_enable",
            reply="Properties.Audio",
            words={"yes": "Yes", "disabled": "No"},
            together="audio",
            label="Audio function",
            help="The three are always set together.",
            unrestored=_WITH_VOLUMES,
        ),
        Setting(name="enet_audio_mic_vol", reply=None, together="audio", label="Microphone volume"),
        Setting(name="enet_audio_output_vol", reply=None, together="audio", label="Output volume"),
        Setting(name="two_way", reply="Properties.Audio.TwoWayAudio", param=None, label="Two-way audio"),
        Setting(name="codec", reply="Properties.Audio.AudioCodec", param=None, label="Codec"),
    ),
)
STEERING = Group(
    id="steering",
    title="Steering",
    settings=(
        _untold(
            "enet_avs_pt_speed",
            cgi.SET_PT_SPEED,
            "Pan and tilt speed",
            help="1 is fast, 9 is slow. Steering from here changes it: the camera keeps the speed steered at last.",
        ),
    ),
)
INFORMATION = Group(
    id="information",
    title="Information",
    reads=(
        Ask(cgi.GET_BRAND),
        Ask(cgi.GET_FIRMWARE),
        Ask(cgi.GET_MAC),
        Ask(cgi.GET_HTTP_PORT),
        Ask(cgi.GET_VIDEO_PORT),
        Ask(cgi.GET_USERS_NUMBER),
    ),
    settings=tuple(
        Setting(name=reply.rpartition(".")[2], reply=reply, param=None, label=label)
        for reply, label in {
            "Brand.Brand": "Brand",
            "Brand.ProdFullName": "Product",
            "Brand.ProdShortName": "Short name",
            "Brand.ProdNbr": "Article number",
            "Brand.ProdType": "Type",
            "Brand.WebURL": "Web address",
            "Properties.Firmware.Version": "Firmware",
            "Properties.Firmware.ModelID": "Model ID",
            "Properties.Firmware.VendorID": "Vendor ID",
            "Network.Interface.I0.Active.MACAddress": "MAC address",
            "System.HTTPPort": "Web port",
            "System.PrivateVideoPort": "Private video port",
            "Properties.VideoServer.MaxUsers": "Users at most",
        }.items()
    ),
)

GROUPS = (MJPEG, MPEG4, DEFAULT_FORMAT, FLIP, AUDIO, STEERING, INFORMATION)
