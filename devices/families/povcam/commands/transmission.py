"""POVCAM Interface Specifications, Version 1.0, section 2: video transmission.

To be read beside the document, table by table. Where the English and the Japanese text differ, or a table is broken by
its layout, the choice made is told in a comment.
"""

from dataclasses import replace

from devices.cgi import (
    Bytes,
    Choice,
    Digits,
    Field,
    Fixed,
    Kind,
    ListField,
    Needs,
    NumberField,
    OnlyWhen,
    Sections,
    Whole,
)
from devices.families.povcam.commands.row import frame_rates, numbers, row, texts

UID = Digits(name="UID", required=True, secret=True, max_length=19, note="User ID acquired by getuid")

# Items that getuid (2.1) and getinfo (2.2) both answer. `aInterval` is `aInInterval` on sibling devices.
_COMMON_REPLY = (
    *texts("ImageCaptureMode", "ratio"),
    NumberField("Maxfps"),
    *texts("StreamMode", "aEnable", "aEnc"),
    NumberField("aBitrate"),
    NumberField("aBitrate2"),
    NumberField("aInterval", ("aInInterval",)),
    NumberField("aOutInterval"),
    NumberField("aOutPort"),
    *texts("aOutStatus", "aOutUID"),
    NumberField("ePort"),
    *texts("sAlarm", "SDrec", "SDrec2", "sAUX", "sRtspMode_h264", "sRtspMode_h264_2"),
)

# --- 2.1 Transmission user management ---------------------------------------------------------------------------------
GETUID = row(
    "getuid",
    "2.1",
    "Transmission user management",
    kind=Kind.SESSION,
    params=(
        Fixed(name="FILE", value="2"),
        Choice(
            name="vcodec",
            required=True,
            choices={"jpeg": "JPEG transmission", "h264": "H.264(1) transmission", "h264_2": "H.264(2) transmission"},
        ),
        Choice(
            name="reply",
            choices={"browser": "for the camera browser", "info": "for the application"},
            note="Command response format specification (can be omitted)",
        ),
    ),
    reply=(
        Field("UID", secret=True),
        Field("ImageFormat"),
        *_COMMON_REPLY,
        NumberField("iBitrate"),
        NumberField("iResolution"),
        *texts("iQuality", "sDelivery"),
        NumberField("iUniPort"),
        *numbers("iMultiAdd1", "iMultiAdd2", "iMultiAdd3", "iMultiAdd4"),
        Field("iMultiAdd"),
        *numbers("iMultiPort", "aInPort", "iHttpPort"),
        *texts("iMultiAuto_h264", "iMultiAuto_h264_2"),
    ),
    note="204 No Content when the transmission mode cannot be used.",
)

# --- 2.2 Device information acquisition -------------------------------------------------------------------------------
GETINFO = row(
    "getinfo",
    "2.2",
    "Device information acquisition",
    kind=Kind.READ,
    params=(Fixed(name="FILE", value="1"),),
    reply=(
        *texts("MAC", "SERIAL", "VERSION", "NAME"),
        *_COMMON_REPLY,
        # The English text prints a small L for the capital I (alnPort).
        NumberField("aInPort_h264", ("alnPort_h264",)),
        NumberField("aInPort_h264_2", ("alnPort_h264_2",)),
        *texts("iTransmit_h264", "sDelivery_h264"),
        *numbers("iBitrate_h264", "iResolution_h264"),
        *texts("iQuality_h264", "iMultiAuto_h264", "iTransmit_h264_2", "sDelivery_h264_2"),
        *numbers("iBitrate_h264_2", "iResolution_h264_2"),
        *texts("iQuality_h264_2", "iMultiAuto_h264_2"),
    ),
)

# --- 2.3 Specific information (capability) acquisition ----------------------------------------------------------------
# The document lists groups and parameters, not how they lie on the wire: `group.parameter=value` lines and `[group]`
# headings are both read. `h264-2` is "the same as H264-1".
_H264_CAPABILITY = ("resolution", "stream_mode", "quality", "bandwidth", "framerate")
GET_CAPABILITY = row(
    "get_capability",
    "2.3",
    "Specific information (capability) acquisition",
    kind=Kind.READ,
    methods=("GET", "POST"),
    shape=Sections(),
    reply=(
        *texts("common.capability_version", "common.category"),
        *texts("video_server.basic.type", "video_server.basic.fisheye"),
        ListField("video_server.basic.analogue_input.supported"),
        Field("video_server.cam_ctrl.ptz.supported"),
        *numbers("video_server.cam_ctrl.ptz.zoom", "video_server.cam_ctrl.ptz.el_zoom"),
        Field("video_server.cam_ctrl.ptz.command"),
        *texts("video_server.cam_ctrl.brightness.supported", "video_server.cam_ctrl.brightness.command"),
        *texts("video_server.cam_ctrl.abf.supported", "video_server.cam_ctrl.focus.supported"),
        *texts("video_server.cam_ctrl.auto_focus.supported", "video_server.cam_ctrl.bw.supported"),
        *texts("video_server.cam_ctrl.auto_mode.supported", "video_server.cam_ctrl.preset.supported"),
        Field("video_server.image.sensor.aspect_ratio"),
        ListField("video_server.image.format"),
        Field("video_server.image.mode"),
        ListField("video_server.image.jpeg.resolution"),
        Field("video_server.image.jpeg.quality"),
        ListField("video_server.image.jpeg.resolution_each_mode.2m_r16_9"),
        ListField("video_server.image.jpeg.resolution_each_mode_all.2m_r16_9"),
        ListField("video_server.image.jpeg.max_size.640x360"),
        ListField("video_server.image.mjpeg.resolution"),
        *texts("video_server.image.mjpeg.quality", "video_server.image.mjpeg.framerate"),
        NumberField("video_server.image.mjpeg.max_framerate.2m_r16_9"),
        ListField("video_server.image.mjpeg.resolution_each_mode.2m_r16_9"),
        ListField("video_server.image.mjpeg.resolution_each_mode_all.2m_r16_9"),
        *(ListField(f"video_server.image.h264.{name}") for name in _H264_CAPABILITY),
        ListField("video_server.image.h264.resolution_each_mode.2m_r16_9"),
        NumberField("video_server.image.h264.max_framerate.2m_r16_9"),
        *(ListField(f"video_server.image.h264-2.{name}") for name in _H264_CAPABILITY),
        ListField("video_server.image.h264-2.resolution_each_mode.2m_r16_9"),
        NumberField("video_server.image.h264-2.max_framerate.2m_r16_9"),
        Field("video_server.audio.transmission"),
        NumberField("video_server.audio.audio_input.number"),
        Field("video_server.audio.audio_input.encode_type"),
        Field("video_server.sdcard.supported"),
        ListField("video_server.sdcard.media_type"),
        Field("video_server.sdcard.replay_mp4.supported"),
        ListField("video_server.network.nw_bandwidth"),
        *texts("video_server.network.ipv6.supported", "video_server.network.https.supported"),
        Field("video_server.vmd.supported"),
    ),
)

# --- 2.4 JPEG-based image transmission --------------------------------------------------------------------------------
_RESOLUTION = Choice(name="resolution", choices={"640": "640x360"})
_FRAMERATE = frame_rates("1", "5", "15(12.5)", "30(25)")
JPEG = row(
    "jpeg",
    "2.4",
    "JPEG image transmission (MJPEG)",
    kind=Kind.PICTURE,
    shape=Bytes(),
    params=(
        Choice(
            name="connect",
            required=True,
            choices={"start": "Starts JPEG image transmission", "stop": "Stops JPEG image transmission"},
        ),
        _FRAMERATE,
        _RESOLUTION,
        UID,
    ),
)
# The English table gives `action` to mjpeg; the Japanese one, and the examples of both, to view.cgi.
MJPEG = row(
    "mjpeg",
    "2.4",
    "JPEG image transmission (MJPEG)",
    kind=Kind.PICTURE,
    shape=Bytes(),
    params=(_RESOLUTION, _FRAMERATE),
    note="Without parameters about 5 fps.",
)
_DUMMY = Whole(name="n", low=0, high=999_999_999, note="Dummy for disabling cache")
VIEW = row(
    "view",
    "2.4",
    "JPEG image 1 shot request",
    kind=Kind.PICTURE,
    path="/cgi-bin/view.cgi",
    shape=Bytes(),
    params=(
        Choice(
            name="action",
            required=True,
            choices={
                "snapshot": "Acquires one JPEG image",
                "start": "Starts JPEG transmission",
                "stop": "Stops JPEG transmission",
            },
        ),
        _DUMMY,
    ),
    note="start is mandatory after turning the power supply on; stop is not.",
)
CAMERA = row(
    "camera",
    "2.4",
    "JPEG image 1 shot request",
    kind=Kind.PICTURE,
    shape=Bytes(),
    params=(_RESOLUTION, replace(_DUMMY, name="page")),
)

# --- 2.7 H264/AUDIO-based image transmission --------------------------------------------------------------------------
_STREAM = Choice(name="stream", choices={"1": "Stream 1", "2": "Stream 2"})
_PROTOCOL = {"rtp": "RTP transmission", "http": "HTTP transmission"}
H264 = row(
    "h264",
    "2.7",
    "H.264 image transmission",
    kind=Kind.SESSION,
    params=(
        Whole(
            name="my_port",
            low=1,
            high=65535,
            note="Reception port number of H.264; cannot be omitted if unicast is set",
        ),
        Choice(
            name="connect",
            required=True,
            choices={"start": "Starts H.264 transmission", "stop": "Stops H.264 transmission"},
        ),
        Choice(name="protocol", choices={"rtp": "RTP format (can be omitted)"}),
        UID,
        _STREAM,
    ),
)
# The tables list `connect` first; the example of both texts, which is a whole request, begins with `my_port`.
AUDIO = row(
    "audio",
    "2.7",
    "Audio transmission",
    kind=Kind.SESSION,
    params=(
        Whole(name="my_port", low=1, high=65535, note="Reception port number of audio data; only with protocol=rtp"),
        Choice(
            name="connect",
            required=True,
            choices={"start": "Starts audio transmission", "stop": "Stops audio transmission"},
        ),
        Choice(name="protocol", required=True, choices=_PROTOCOL),
        UID,
        Fixed(name="mode", value="in"),
    ),
    constraints=(OnlyWhen("my_port", "protocol", ("rtp",)), Needs("protocol", "my_port", ("rtp",))),
)
KEEP_ALIVE = row(
    "keep_alive",
    "2.7",
    "Keep alive",
    kind=Kind.SESSION,
    params=(
        Choice(
            name="mode",
            required=True,
            choices={
                "h.264": "H.264 keep alive",
                "h.264_2": "H.264(2) keep alive",
                "jpeg": "JPEG keep alive",
                "audio": "Audio keep alive",
            },
        ),
        Choice(name="protocol", required=True, choices=_PROTOCOL),
        UID,
        _STREAM,
    ),
)

COMMANDS = (GETUID, GETINFO, GET_CAPABILITY, JPEG, MJPEG, VIEW, CAMERA, H264, AUDIO, KEEP_ALIVE)
