"""The i-PRO Network Disk Recorder command interface, sections 2 to 6, as data.

Thirteen paths, many commands: `hdrctl.cgi`, `push.cgi`, `camctl.cgi` and `directctrl.cgi` mean something else with each
set of parameters, so every set is a row of its own. What the document's text lost in scanning is read as its examples
and its neighbours have it: no blanks around `=`, a single `&`, `OFF` and `ON` in letters, `2ND=OFF`.

The recorder wants 3 s between commands and 0.2 s between those that steer cameras (1.3). Free of that are what its own
sequences send in a row: log-in, keep-alive, log-out, starts and stops, the groups of pictures and the seconds of sound
of a running playback. A command that carries a UID needs nothing else; without one the recorder asks for a log-in.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from devices.cgi import (
    Access,
    Bytes,
    Choice,
    Command,
    Constraint,
    Digits,
    Field,
    Fixed,
    FoundField,
    KeyValues,
    Kind,
    MomentField,
    Nothing,
    NumberedField,
    NumberField,
    OnOffField,
    Page,
    Param,
    Quoted,
    Rows,
    Rule,
    Shape,
    Text,
    Value,
    Whole,
)
from devices.cgi import Moment as _Moment

CAMERAS = 128  # CAM_CONNECT_01CH … CAM_CONNECT_128CH (5.3.1)
MAX_UIDS = 16  # 1.3; a recorder tells its own number as MAXUID
STREAMS_OF_A_UID = 16  # 1.3
FIRST_YEAR, LAST_YEAR = 2022, 2035  # yy of TIMEF, STARTTIME and ENDTIME

GENERAL_GAP = 3000
CONTROL_GAP = 200


# --- Parameters -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class FrameMoment(Param):
    """A moment to a hundredth of a second, as ISO text with two decimals: `2022-11-14T12:00:00.20`."""

    type: str = field(default="datetime", init=False)

    def write(self, value: Value) -> str:
        text = str(value)
        match = re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{2}))?", text)
        if match is None:
            raise self.refuse(value)
        try:
            moment = datetime.datetime.fromisoformat(match[1])
        except ValueError:
            raise self.refuse(value) from None
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise self.refuse(value)
        return moment.strftime("%y%m%d%H%M%S") + (match[2] or "00")

    def read(self, text: str) -> Value:
        try:
            moment = datetime.datetime.strptime(text[:12], "%y%m%d%H%M%S")
        except ValueError:
            raise self.refuse(text, "yymmddhhmmssff") from None
        value = f"{moment.isoformat()}.{text[12:]}"
        if self.write(value) != text:
            raise self.refuse(text, "yymmddhhmmssff")
        return value

    def allowed(self) -> str:
        return (
            "a date and time such as 2024-02-16T23:01:14.20, to a hundredth of a second, "
            f"year {FIRST_YEAR} to {LAST_YEAR}"
        )


_UID = Digits(name="UID", max_length=19, required=True, secret=True, note="Issued User ID")
_PC = Fixed(name="PC", value="AS60")
_CAM = Whole(name="CAM", low=1, high=CAMERAS, required=True, note="Camera number registered in the NVR")
_CH = replace(_CAM, name="CH")  # 4.2.3 calls it CAM in its table and CH in its URL; the URL agrees with its neighbours
_2ND = Fixed(name="2ND", value="OFF")
_SMOOTH = Fixed(name="SMOOTH", value="OFF")
_NOTIME = Fixed(name="NOTIME", value="ON")
_START = Fixed(name="CTRL_START", wire="CTRL", value="START", note="Sent after the CTRL that says what to do")


def _moment(name: str, form: str, written: str, note: str) -> _Moment:
    return _Moment(
        name=name,
        unit="datetime",
        form=form,
        written=written,
        first_year=FIRST_YEAR,
        last_year=LAST_YEAR,
        required=True,
        note=note,
    )


_TIMEF = _moment("TIMEF", "%y%m%d%H%M%S00", "yymmddhhmmssff", "Specified time and date, UTC; ff is always 00")


def _playcmd(**words: str) -> Param:
    if len(words) == 1:
        ((word, meaning),) = words.items()
        return Fixed(name="PLAYCMD", value=word, note=meaning)
    return Choice(name="PLAYCMD", choices=words, required=True)


def _row(
    command_id: str,
    section: str,
    title: str,
    path: str,
    *params: Param,
    kind: Kind,
    access: Access = Access.LIVE,
    lane: str = "",
    gap: int = 0,
    constraints: tuple[Constraint, ...] = (),
    reply: tuple[Field, ...] = (),
    shape: Shape | None = None,
    note: str = "",
    danger: str = "",
) -> Command:
    return Command(
        id=command_id,
        section=section,
        title=title,
        path=f"/cgi-bin/{path}.cgi",
        methods=("GET",),
        access=access,
        kind=kind,
        params=params,
        constraints=constraints,
        reply=reply,
        shape=shape or Nothing(),
        note=note,
        danger=danger,
        lane=lane,
        gap=gap,
        uid_is_login=_UID in params,
    )


# --- 2. Live ----------------------------------------------------------------------------------------------------------
SETUP_LIVE = _row(
    "setup_live",
    "2.1.2.1",
    "Set up live",
    "hdrctl",
    _UID,
    Fixed(name="SCREEN", value="16X"),
    _PC,
    kind=Kind.SESSION,
)

_AUDIO_NOTE = (
    "COMP must be what the camera sends; with another the recorder says yes and sends nothing. AUDIO goes only after "
    "the video of the same camera was started, and ends with it."
)
_VIDEO = {"H264": "H.264 video", "H265": "H.265 video"}
_COMP_RTP = Choice(name="COMP", choices={**_VIDEO, "AUDIO": "Audio"}, required=True, note="Data format")
_COMP_HTTP = Choice(
    name="COMP", choices={**_VIDEO, "JPEG": "JPEG video", "AUDIO": "Audio"}, required=True, note="Data format"
)
LIVE_RTP = _row(
    "live_rtp",
    "2.1.2.2",
    "Start or stop live streaming with RTP",
    "push",
    _UID,
    _CAM,
    Choice(name="CMD", choices={"START": "Start live streaming", "STOP": "Stop live streaming"}, required=True),
    _COMP_RTP,
    # Nothing is said of even numbers; a stop names the port of its start.
    Whole(name="PORT", low=1, high=65535, required=True, note="Receiving port number"),
    kind=Kind.SESSION,
    note=_AUDIO_NOTE,
)
# One row in the document's table. Its START answers with the stream; its STOP is sent without INTERNETMODE, as the
# sequence (2.2.1.1) shows it, and is answered at once.
LIVE_HTTP_START = _row(
    "live_http_start",
    "2.2.2.2",
    "Start live streaming with HTTP",
    "push",
    _UID,
    _CAM,
    Fixed(name="CMD", value="START"),
    _COMP_HTTP,
    Fixed(name="INTERNETMODE", value="ON"),
    kind=Kind.PICTURE,
    shape=Bytes(),
    note=_AUDIO_NOTE,
)
LIVE_HTTP_STOP = _row(
    "live_http_stop",
    "2.2.2.2",
    "Stop live streaming with HTTP",
    "push",
    _UID,
    _CAM,
    Fixed(name="CMD", value="STOP"),
    _COMP_HTTP,
    kind=Kind.SESSION,
)

# --- 3. Playback ------------------------------------------------------------------------------------------------------
GET_GOP = _row(
    "get_gop",
    "3.2.1",
    "Playback video request",
    "camera",
    _UID,
    _CAM,
    kind=Kind.PICTURE,
    shape=Bytes(),
    note="One group of pictures of H.264 or H.265, or one JPEG, near the time of the last recorder control command.",
)
GET_PLAYBACK_AUDIO = _row(
    "get_playback_audio",
    "3.2.2",
    "Playback audio request",
    "playaudio",
    _UID,
    _CAM,
    kind=Kind.PICTURE,
    shape=Bytes(),
    note="About one second of sound.",
)
# One digit for each camera the recorder supports, registered or not: the number of CAM_CONNECT entries (5.3.1). The
# driver narrows the length to that of the recorder at hand.
MASK = Text(
    name="MASK",
    min_length=1,
    max_length=CAMERAS,
    pattern="[01]+",
    described="a 0 or 1 for each camera the recorder supports, camera 1 on the left",
    required=True,
    note="1: Camera channel to playback, 0: not to playback",
)
SETUP_PLAYBACK = _row(
    "setup_playback",
    "3.2.3",
    "Camera channel to playback",
    "hdrctl",
    _UID,
    _PC,
    MASK,
    kind=Kind.SESSION,
    note="Sent first before playback starts, and whenever the camera changes. A UID that carries live has no playback.",
)
PLAY = _row(
    "play",
    "3.2.4",
    "Playback start",
    "hdrctl",
    _UID,
    _PC,
    _playcmd(PLAY="Start playback"),
    _2ND,
    Fixed(name="TIMEF", value="AS60_UNKNOWN"),
    _NOTIME,
    kind=Kind.SESSION,
)


def _playback(
    command_id: str, section: str, title: str, playcmd: Param, *more: Param, timef: Param = _TIMEF, note: str = ""
) -> Command:
    """A command to a running playback: general, with the rest that the recorder wants (1.3)."""
    params = (_UID, _PC, playcmd, _2ND, timef, *more)
    return _row(
        command_id, section, title, "hdrctl", *params, kind=Kind.SESSION, lane="general", gap=GENERAL_GAP, note=note
    )


REVERSE = _playback(
    "reverse",
    "3.2.5",
    "Reverse playback start",
    _playcmd(BPLAY="Start reverse playback"),
    _NOTIME,
    note="Each playback video request then brings the group of pictures before the last one.",
)
PAUSE = _playback("pause", "3.2.6", "Pause", _playcmd(PAUSE="Pause playback"), _SMOOTH, _NOTIME)
# Steps inside a paused playback may follow each other as camera control does.
STEP = replace(
    _playback(
        "step",
        "3.2.7",
        "Next image, previous image",
        _playcmd(NEXTFRAME="Next image", PREVFRAME="Previous image"),
        _NOTIME,
        timef=FrameMoment(
            name="TIMEF", required=True, note="Time and date of the displayed video, UTC, to 10 milliseconds"
        ),
        note="Only while paused. The pictures of a group are stepped through by the client.",
    ),
    lane="control",
    gap=CONTROL_GAP,
)
GO_TO_DATE = _playback(
    "go_to_date",
    "3.2.8",
    "Playback by specifying time and date",
    _playcmd(GOTODATE="Start playback (time and date)"),
    Fixed(name="SDBACKUP", value="0"),
    _NOTIME,
)
# The same command as the documented start of a playback (3.1.5), which needs no rest.
START_AT_DATE = replace(GO_TO_DATE, lane="", gap=0)
FAST = _playback(
    "fast",
    "3.2.9",
    "Fast forward, fast reverse",
    _playcmd(FF="Fast forward", REW="Fast reverse"),
    _SMOOTH,
    _NOTIME,
    note="Sent again it goes faster.",
)
STOP_PLAYBACK = replace(
    _playback("stop_playback", "3.2.10", "Playback stop", _playcmd(STOP="Stop playback")), lane="", gap=0
)

# --- 4. Camera control ------------------------------------------------------------------------------------------------
_CONTROL_NOTE = "What works depends on the camera; the recorder does not tell which cameras can be steered."


def _control(command_id: str, section: str, title: str, path: str, *params: Param, note: str = "") -> Command:
    return _row(
        command_id,
        section,
        title,
        path,
        _UID,
        _CH,
        *params,
        _PC,
        kind=Kind.CONTROL,
        access=Access.CONTROL,
        lane="control",
        gap=CONTROL_GAP,
        note=f"{note} {_CONTROL_NOTE}".strip(),
    )


def _speeds(steps: int) -> tuple[Param, ...]:
    return (
        Whole(name="PAN", low=-steps, high=steps, note="Positive pans right, negative left, 0 stops"),
        Whole(name="TILT", low=-steps, high=steps, note="Positive tilts down, negative up, 0 stops"),
        Whole(name="ZOOM", low=-4, high=4, note="Positive zooms in (tele), negative out (wide), 0 stops"),
    )


_MOVES_NOTE = "Lasts about 2 seconds with i-PRO cameras. What is left out goes on as it did."
MOVE_16 = _control("move_16", "4.2.1", "Pan, tilt, zoom (16 steps)", "directctrl", *_speeds(16), note=_MOVES_NOTE)
MOVE_256 = _control("move_256", "4.2.2", "Pan, tilt, zoom (256 steps)", "directctrl", *_speeds(256), note=_MOVES_NOTE)
_GRID_NOTE = "0,0 is the bottom right of the picture, 32,32 its top left"
CENTER = _control(
    "center",
    "4.2.3",
    "Pan, tilt by position on the image",
    "camctl",
    Fixed(name="CMD", value="CENTERING"),
    Fixed(name="CTRL", value="START"),
    Whole(name="X", low=0, high=32, required=True, note=_GRID_NOTE),
    Whole(name="Y", low=0, high=32, required=True, note=_GRID_NOTE),
)
FOCUS = _control(
    "focus",
    "4.2.4",
    "Focus",
    "camctl",
    Fixed(name="CMD", value="FOCUS"),
    Choice(name="CTRL", choices={"FAR": "Focus far", "NEAR": "Focus near", "AUTO": "Auto-focus"}, required=True),
    _START,
)
IRIS = _control(
    "iris",
    "4.2.5",
    "Iris",
    "camctl",
    Fixed(name="CMD", value="IRIS"),
    Choice(
        name="CTRL",
        choices={"OPEN": "Iris open", "CLOSE": "Iris close", "RESET": "Default position"},
        required=True,
    ),
    _START,
)
PRESETS = 256
SET_PRESET = _control(
    "set_preset",
    "4.2.6",
    "Register a preset position",
    "camctl",
    Fixed(name="CMD", value="PRESETPRG"),
    Whole(name="NO", low=1, high=PRESETS, required=True, note="Preset number to register"),
)
GO_TO_PRESET = _control(
    "go_to_preset",
    "4.2.7",
    "Go to a preset position",
    "camctl",
    Fixed(name="CMD", value="PRESET"),
    Whole(name="NO", low=1, high=PRESETS, required=True, note="Preset number to call"),
)
AUXES = 8
AUX = _control(
    "aux",
    "4.2.8",
    "Auxiliary output",
    "camctl",
    Choice(
        name="CMD", choices={f"AUX{number}": f"Select AUX{number}" for number in range(1, AUXES + 1)}, required=True
    ),
    Choice(name="CTRL", choices={"OPEN": "AUX open", "CLOSE": "AUX close"}, required=True),
)


# --- 5. Recorder information ------------------------------------------------------------------------------------------
def _log(command_id: str, section: str, title: str, kind: str, html: str, key: str) -> Command:
    return _row(
        command_id,
        section,
        title,
        "loglist",
        _UID,
        Fixed(name="KIND", value=kind),
        Fixed(name="HTML", value=html),
        kind=Kind.READ,
        access=Access.ADMIN,
        lane="general",
        gap=GENERAL_GAP,
        reply=(Field("FILENAME"), NumberField(f"{key}_NO", note="Number of log (max. 1000)")),
        # The document's example lacks a comma and breaks lines inside: quoted cells, five to an entry.
        shape=Quoted(
            key=key,
            columns=(
                NumberField("number"),
                MomentField("time", forms=("%Y/%m/%d %H:%M:%S",), note="Local time"),
                OnOffField("summer_time", words={"1": True, "0": False}),
                Field("text", note="Kind of error or event"),
                Field("zone", note="GMT+hh:mm or GMT-hh:mm"),
            ),
        ),
    )


GET_ERROR_LOG = _log("get_error_log", "5.1.1", "Get the error log", "ERR", "as_errorlog.html", "ERROR_LOG")
GET_EVENT_LOG = _log("get_event_log", "5.1.2", "Get the event log", "EVENT", "as_eventlog.html", "EVENT_LOG")

_DATES, _TIMES = ("%Y/%m/%d",), ("%H:%M:%S",)
GET_RECORDED_TIME = _row(
    "get_recorded_time",
    "5.2.1",
    "Capacity, remaining capacity and recording period of the disks",
    "recordedtime",
    kind=Kind.READ,
    access=Access.ADMIN,
    lane="general",
    gap=GENERAL_GAP,
    # Nine cells, whatever the heading says; local times. An empty slot has empty cells.
    shape=Rows(
        columns=(
            Field("disk", note="MAIN-n, or EXTm-n in an extension unit"),
            Field("capacity", note="4001GB; (R) behind it marks the disk that is recorded on"),
            NumberField("remaining", unit="GB"),
            MomentField("oldest_date", forms=_DATES),
            OnOffField("oldest_summer_time", words={"1": True, "0": False}),
            MomentField("oldest_time", forms=_TIMES),
            MomentField("newest_date", forms=_DATES),
            OnOffField("newest_summer_time", words={"1": True, "0": False}),
            MomentField("newest_time", forms=_TIMES),
        ),
        first=r"(MAIN|EXT[0-9]+)-[0-9]+",
    ),
)
GET_INFO = _row(
    "get_info",
    "5.3.1",
    "Get camera connection information",
    "as_getinfo",
    Fixed(name="FILE", value="2"),
    kind=Kind.READ,
    access=Access.ADMIN,
    lane="general",
    gap=GENERAL_GAP,
    reply=(
        NumberedField(
            "CAM_CONNECT",
            pattern=r"CAM_CONNECT_([0-9]{1,3})CH",
            of=NumberField(""),
            note="0: not registered, 1: registered and normal, 2: registered, connection error",
        ),
        NumberField("MAXUID", note="UIDs the recorder can handle"),
        NumberField("USEDUID", note="Valid UIDs it has issued"),
    ),
    shape=KeyValues(),
)

# --- 6. UIDs and download ---------------------------------------------------------------------------------------------
LOGIN = _row(
    "login",
    "6.1.1",
    "Get a UID (log in)",
    "dlogin",
    Fixed(name="UID", value="-1"),
    kind=Kind.SESSION,
    reply=(
        # The UID stands in a script of the page; the second form is for pages that put it otherwise.
        FoundField(
            "UID", secret=True, patterns=(r"hdrctl\.cgi\?UID=([0-9]{1,19})(?![0-9])", r"\bUID=([0-9]{1,19})(?![0-9])")
        ),
        FoundField("title", patterns=(r"<title>\s*([^<]{1,100}?)\s*</title>",), note="Tells the model"),
    ),
    shape=Page(),
    note="A log-in beyond the limit ends somebody else's UID. It lives 90 seconds, and again after each use.",
    danger="It takes one of the recorder's places; when all are taken, another client is cut off.",
)
LOGOUT = _row("logout", "6.1.2", "Release a UID (log out)", "logout", _UID, kind=Kind.SESSION)
KEEP_ALIVE = _row("keep_alive", "6.2", "Keep a UID alive", "status", _UID, _PC, kind=Kind.SESSION)


def _download_span(given: Mapping[str, str]) -> bool:
    start, end = (datetime.datetime.strptime(given[name], "%y%m%d%H%M%S") for name in ("STARTTIME", "ENDTIME"))
    return datetime.timedelta(0) <= end - start <= datetime.timedelta(hours=1)


DOWNLOAD = _row(
    "download",
    "6.3.2",
    "Download video, audio or a list",
    "httpdl",
    _UID,
    _moment("STARTTIME", "%y%m%d%H%M%S", "yymmddhhmmss", "Start date and time; whole minutes"),
    _moment("ENDTIME", "%y%m%d%H%M%S", "yymmddhhmmss", "End date and time; whole minutes, within an hour of the start"),
    Choice(
        name="KIND",
        choices={
            "MP4": "MP4 with audio",
            "MP4VO": "MP4 without audio",
            "N3": "N3R and N3A files, with audio",
            "N3VO": "N3R file, without audio",
            "LIST": "List information (N3N file)",
        },
        required=True,
    ),
    _CAM,
    _PC,
    kind=Kind.FILE,
    access=Access.CONTROL,
    constraints=(
        Rule("STARTTIME", "STARTTIME must be a whole minute.", lambda given: given["STARTTIME"].endswith("00")),
        Rule("ENDTIME", "ENDTIME must be a whole minute.", lambda given: given["ENDTIME"].endswith("00")),
        Rule("ENDTIME", "ENDTIME must be at most one hour after STARTTIME, and not before it.", _download_span),
    ),
    shape=Bytes(),
    note="A multipart answer; X-Temp-Filename, X-Prev-Filename and X-RecData-Satus tell of the files and their end.",
)

CATALOGUE = (
    SETUP_LIVE,
    LIVE_RTP,
    LIVE_HTTP_START,
    LIVE_HTTP_STOP,
    GET_GOP,
    GET_PLAYBACK_AUDIO,
    SETUP_PLAYBACK,
    PLAY,
    REVERSE,
    PAUSE,
    STEP,
    GO_TO_DATE,
    FAST,
    STOP_PLAYBACK,
    MOVE_16,
    MOVE_256,
    CENTER,
    FOCUS,
    IRIS,
    SET_PRESET,
    GO_TO_PRESET,
    AUX,
    GET_ERROR_LOG,
    GET_EVENT_LOG,
    GET_RECORDED_TIME,
    GET_INFO,
    LOGIN,
    LOGOUT,
    KEEP_ALIVE,
    DOWNLOAD,
)
