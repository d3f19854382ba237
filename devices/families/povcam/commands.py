"""POVCAM Interface Specifications, Version 1.0, as data: sections 2.1-2.4, 2.7, 4.1, 5.1, 5.2 and 9.1.

To be read beside the document, table by table. Where the English and the Japanese text differ, or a table is broken by
its layout, the choice made is told in a comment.
"""

from devices.cgi import (
    Access,
    Choice,
    Command,
    Digits,
    Field,
    Fixed,
    Kind,
    NumberField,
    OnOffField,
    Param,
    Text,
    Whole,
)

# The document only speaks of get_state (9.1: at least 1000 ms). Sibling clients leave 130 ms between any two commands.
GAP = 130
STATE_GAP = 1000


def _command(
    command_id: str,
    section: str,
    *,
    kind: Kind,
    path: str = "",
    methods: tuple[str, ...] = ("GET",),
    access: Access = Access.LIVE,
    params: tuple[Param, ...] = (),
    reply: tuple[Field, ...] = (),
    own_gap: int = 0,
) -> Command:
    return Command(
        id=command_id,
        section=section,
        path=path or f"/cgi-bin/{command_id}",
        methods=methods,
        access=access,
        kind=kind,
        params=params,
        reply=reply,
        gap=GAP,
        own_gap=own_gap,
    )


def _texts(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name) for name in names)


UID = Digits(name="UID", required=True, secret=True, max_length=19, note="User ID acquired by getuid")

# Items that getuid (2.1) and getinfo (2.2) both answer. `aInterval` is `aInInterval` on sibling devices.
_COMMON_REPLY = (
    *_texts("ImageCaptureMode", "ratio"),
    NumberField("Maxfps"),
    *_texts("StreamMode", "aEnable", "aEnc"),
    NumberField("aBitrate"),
    NumberField("aBitrate2"),
    NumberField("aInterval", ("aInInterval",)),
    NumberField("aOutInterval"),
    NumberField("aOutPort"),
    *_texts("aOutStatus", "aOutUID"),
    NumberField("ePort"),
    *_texts("sAlarm", "SDrec", "SDrec2", "sAUX", "sRtspMode_h264", "sRtspMode_h264_2"),
)

# --- 2.1 Transmission user management ---------------------------------------------------------------------------------
GETUID = _command(
    "getuid",
    "2.1",
    kind=Kind.SESSION,
    params=(
        Fixed(name="FILE", value="2"),
        Choice(
            name="vcodec",
            required=True,
            choices={"jpeg": "JPEG transmission", "h264": "H.264(1) transmission", "h264_2": "H.264(2) transmission"},
        ),
        Choice(name="reply", choices={"browser": "for the camera's browser page", "info": "for an application"}),
    ),
    reply=(
        Field("UID", secret=True),
        Field("ImageFormat"),
        *_COMMON_REPLY,
        NumberField("iBitrate"),
        NumberField("iResolution"),
        *_texts("iQuality", "sDelivery"),
        NumberField("iUniPort"),
        NumberField("iMultiAdd1"),
        NumberField("iMultiAdd2"),
        NumberField("iMultiAdd3"),
        NumberField("iMultiAdd4"),
        Field("iMultiAdd"),
        NumberField("iMultiPort"),
        NumberField("aInPort"),
        NumberField("iHttpPort"),
        *_texts("iMultiAuto_h264", "iMultiAuto_h264_2"),
    ),
)

# --- 2.2 Device information acquisition -------------------------------------------------------------------------------
GETINFO = _command(
    "getinfo",
    "2.2",
    kind=Kind.READ,
    params=(Fixed(name="FILE", value="1"),),
    reply=(
        *_texts("MAC", "SERIAL", "VERSION", "NAME"),
        *_COMMON_REPLY,
        # The English text prints a small L for the capital I (alnPort).
        NumberField("aInPort_h264", ("alnPort_h264",)),
        NumberField("aInPort_h264_2", ("alnPort_h264_2",)),
        *_texts("iTransmit_h264", "sDelivery_h264"),
        NumberField("iBitrate_h264"),
        NumberField("iResolution_h264"),
        *_texts("iQuality_h264", "iMultiAuto_h264", "iTransmit_h264_2", "sDelivery_h264_2"),
        NumberField("iBitrate_h264_2"),
        NumberField("iResolution_h264_2"),
        *_texts("iQuality_h264_2", "iMultiAuto_h264_2"),
    ),
)

# --- 2.3 Specific information (capability) acquisition ----------------------------------------------------------------
# The groups of its reply have names of their own (video_server.image.h264 …); the wire format is not documented.
GET_CAPABILITY = _command("get_capability", "2.3", kind=Kind.READ, methods=("GET", "POST"))

# --- 2.4 JPEG-based image transmission --------------------------------------------------------------------------------
_RESOLUTION = Choice(name="resolution", choices={"640": "640x360"})
_FRAMERATE = Choice(
    name="framerate",
    choices={
        "1": "1 fps",
        "5": "5 fps",
        "15": "15 fps",
        "12.5": "12.5 fps (system frequency 50 Hz)",
        "30": "30 fps",
        "25": "25 fps (system frequency 50 Hz)",
    },
)
JPEG = _command(
    "jpeg",
    "2.4",
    kind=Kind.PICTURE,
    params=(
        Choice(name="connect", required=True, choices={"start": "Starts transmission", "stop": "Stops transmission"}),
        _FRAMERATE,
        _RESOLUTION,
        UID,
    ),
)
# The English table gives `action` to mjpeg; the Japanese one, and the examples of both, to view.cgi.
MJPEG = _command("mjpeg", "2.4", kind=Kind.PICTURE, params=(_RESOLUTION, _FRAMERATE))
VIEW = _command(
    "view",
    "2.4",
    kind=Kind.PICTURE,
    path="/cgi-bin/view.cgi",
    params=(
        Choice(
            name="action",
            required=True,
            choices={
                "snapshot": "Acquires one JPEG image",
                "start": "Starts JPEG transmission (once after power-on)",
                "stop": "Stops JPEG transmission",
            },
        ),
        Whole(name="n", low=0, high=999_999_999, note="Dummy for disabling cache"),
    ),
)
CAMERA = _command(
    "camera",
    "2.4",
    kind=Kind.PICTURE,
    params=(_RESOLUTION, Whole(name="page", low=0, high=999_999_999, note="Dummy for disabling cache")),
)

# --- 2.7 H264/AUDIO-based image transmission --------------------------------------------------------------------------
_STREAM = Choice(name="stream", choices={"1": "Stream 1", "2": "Stream 2"})
H264 = _command(
    "h264",
    "2.7",
    kind=Kind.SESSION,
    params=(
        Whole(name="my_port", low=1, high=65535, note="Reception port; cannot be omitted if unicast is set"),
        Choice(
            name="connect",
            required=True,
            choices={"start": "Starts H.264 transmission", "stop": "Stops H.264 transmission"},
        ),
        Choice(name="protocol", choices={"rtp": "RTP format"}),
        UID,
        _STREAM,
    ),
)
# The tables list `connect` first; the example of both texts, which is a whole request, begins with `my_port`.
AUDIO = _command(
    "audio",
    "2.7",
    kind=Kind.SESSION,
    params=(
        Whole(name="my_port", low=1, high=65535, note="Reception port; only with protocol=rtp"),
        Choice(name="connect", required=True, choices={"start": "Starts audio", "stop": "Stops audio"}),
        Choice(name="protocol", required=True, choices={"rtp": "RTP transmission", "http": "HTTP transmission"}),
        UID,
        Fixed(name="mode", value="in"),
    ),
)
KEEP_ALIVE = _command(
    "keep_alive",
    "2.7",
    kind=Kind.SESSION,
    params=(
        Choice(
            name="mode",
            required=True,
            choices={"h.264": "H.264", "h.264_2": "H.264(2)", "jpeg": "JPEG", "audio": "Audio"},
        ),
        Choice(name="protocol", required=True, choices={"rtp": "RTP transmission", "http": "HTTP transmission"}),
        UID,
        _STREAM,
    ),
)

# --- 4.1 Priority mode / basic settings -------------------------------------------------------------------------------
SET_PRIORITY_MODE = _command(
    "set_priority_mode",
    "4.1",
    kind=Kind.WRITE,
    methods=("POST",),
    access=Access.ADMIN,
    params=(
        Choice(
            name="mode",
            required=True,
            choices={"ip": "IP", "rec_pb": "REC/PB", "ip_4k": "IP(4K)", "rec_pb_4k": "REC/PB(4K)"},
        ),
    ),
)
SET_BASIC = _command(
    "set_basic",
    "4.1",
    kind=Kind.WRITE,
    methods=("POST",),
    access=Access.ADMIN,
    params=(
        Text(name="cam_title", max_length=20, note="Camera title"),
        Choice(name="plugin_download", choices={"enable": "Allowed", "disable": "Not allowed"}),
        Choice(
            name="plugin_disp",
            choices={"0": "Real time consideration (Off)", "1": "Smooth display (On)"},
        ),
    ),
)

# --- 5.1, 5.2 Acquisition of these settings ---------------------------------------------------------------------------
GET_PRIORITY_MODE = _command("get_priority_mode", "5.1", kind=Kind.READ, reply=_texts("priority_mode"))
GET_BASIC = _command("get_basic", "5.2", kind=Kind.READ, reply=_texts("cam_title", "plugin_download", "plugin_disp"))

# --- 9.1 SD card relationship status acquisition ----------------------------------------------------------------------
GET_STATE = _command(
    "get_state",
    "9.1",
    kind=Kind.READ,
    own_gap=STATE_GAP,
    reply=(
        OnOffField("rec"),
        OnOffField("pre_rec"),
        Field("rec_counter"),
        OnOffField("ftp_send"),
        OnOffField("play"),
        OnOffField("del_file"),
        OnOffField("download"),
        OnOffField("sd_format"),
        OnOffField("sd_insert"),
        OnOffField("sd_repair"),
        OnOffField("sd_error"),
        NumberField("sd_rem"),
        NumberField("sd_org"),
        OnOffField("sd2_insert"),
        OnOffField("sd2_repair"),
        OnOffField("sd2_error"),
        NumberField("sd2_rem"),
        NumberField("sd2_org"),
    ),
)

CATALOGUE = (
    GETUID,
    GETINFO,
    GET_CAPABILITY,
    JPEG,
    MJPEG,
    VIEW,
    CAMERA,
    H264,
    AUDIO,
    KEEP_ALIVE,
    SET_PRIORITY_MODE,
    SET_BASIC,
    GET_PRIORITY_MODE,
    GET_BASIC,
    GET_STATE,
)
