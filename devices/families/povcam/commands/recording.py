"""POVCAM Interface Specifications, Version 1.0, sections 8 to 11: recording on cards, clips and FTP."""

from dataclasses import replace

from devices.cgi import (
    Access,
    Bytes,
    Choice,
    Digits,
    Field,
    Ipv4,
    Kind,
    List,
    MomentField,
    Needs,
    Nothing,
    NumberField,
    OnlyWhen,
    OnOffField,
    Rows,
    Text,
    Whole,
)
from devices.families.povcam.commands.row import STATE_GAP, numbers, row, setter, texts

# --- 8.1 - 8.6 Recording settings -------------------------------------------------------------------------------------
# What each may be set for, by the document's remarks beside the table.
MODES_4K = ("mp4_2160_30p_50m", "mp4_2160_24p_50m", "mp4_2160_25p_50m")
MODES_HD = (
    *("avchd_ps_1080_60p_28m", "avchd_ph_1080_60i_21m", "avchd_ph_1080_24p_21m", "avchd_ha_1080_60i_17m"),
    *("avchd_he_1080_60i_6m", "avchd_ph_720_60p_21m", "avchd_pm_720_60i_8m"),
    *("avchd_ps_1080_50p_28m", "avchd_ph_1080_50i_21m", "avchd_ha_1080_50i_17m", "avchd_he_1080_50i_6m"),
    *("avchd_ph_720_50p_21m", "avchd_pm_720_50i_8m"),
)
MODES_FROM_720 = (
    *("avchd_ph_1080_60i_21m_from_720", "avchd_ha_1080_60i_17m_from_720", "avchd_he_1080_60i_6m_from_720"),
    *("avchd_ph_1080_50i_21m_from_720", "avchd_ha_1080_50i_17m_from_720", "avchd_he_1080_50i_6m_from_720"),
)


def _frequency(mode: str) -> str:
    """The system frequency that its rate belongs to: 50 for 25p, 50i and 50p, else 59.94 (24p is 23.98p)."""
    return "50" if mode.split("_")[-2 if "_from_" not in mode else -4].startswith(("25", "50")) else "59.94"


def _mode_label(mode: str) -> str:
    """`avchd_ps_1080_60p_28m` → AVCHD PS 1080/60p, 28 Mbps."""
    name, _, source = mode.partition("_from_")
    *kind, lines, rate, bits = name.split("_")
    label = f"{' '.join(kind).upper()} {lines}/{rate}, {bits.rstrip('m')} Mbps"
    return f"{label} (from {source}; recorder alone)" if source else label


SET_SDREC_MODE = setter(
    "set_sdrec_mode",
    "8.1",
    "SD card recording mode settings",
    Choice(
        name="mode",
        required=True,
        choices={mode: _mode_label(mode) for mode in (*MODES_4K, *MODES_HD, *MODES_FROM_720)},
        only_for={mode: ("system_frequency", _frequency(mode)) for mode in (*MODES_4K, *MODES_HD, *MODES_FROM_720)},
        note="Recording mode",
    ),
    note="2160 modes: with a camera head and REC/PB(4K). Modes from 720: with the recorder alone.",
)
GET_SDREC_MODE = row("get_sdrec_mode", "8.2", "SD card recording mode acquisition", kind=Kind.READ, reply=texts("mode"))
_SLOTS = {"sd1": "SD card slot 1", "sd2": "SD card slot 2"}
SET_SDREC_TARGET = setter(
    "set_sdrec_target",
    "8.3",
    "Video recording media settings",
    Choice(name="device", required=True, choices=_SLOTS, note="Recording media"),
)
GET_SDREC_TARGET = row(
    "get_sdrec_target",
    "8.4",
    "Video recording media acquisition",
    kind=Kind.READ,
    access=Access.ADMIN,
    reply=texts("device"),
)
SET_RECORDER_NUM = setter(
    "set_recorder_num",
    "8.5",
    "Recorder ID settings",
    Whole(name="recorder_num", low=0, high=16, required=True, note="Recorder ID, in the folder name of MP4 clips"),
)
CONTENTNUM_RESET = row(
    "contentnum_reset",
    "8.5",
    "Clip number reset",
    kind=Kind.CONTROL,
    methods=("POST",),
    access=Access.ADMIN,
    note="The next MP4 clip begins a new folder, its files numbered from 0001.",
    danger="The numbering of clips begins anew and cannot be put back.",
)
GET_RECORDER_NUM = row(
    "get_recorder_num",
    "8.6",
    "Recorder ID acquisition",
    kind=Kind.READ,
    access=Access.ADMIN,
    reply=numbers("recorder_num"),
)

# --- 8.7 Video recording start/end control ----------------------------------------------------------------------------
SDCTRL = row(
    "sdctrl",
    "8.7",
    "Video Recording Start/End Control",
    kind=Kind.CONTROL,
    params=(Choice(name="save", required=True, choices={"start": "Recording start", "end": "Recording end"}),),
    shape=Nothing(),
    note="204 when started or stopped; 500 without a card, or when recording is in progress already. Takes seconds.",
)

# --- 9.1 SD card relationship status acquisition ----------------------------------------------------------------------
GET_STATE = row(
    "get_state",
    "9.1",
    "SD card relationship status acquisition",
    kind=Kind.READ,
    own_gap=STATE_GAP,
    reply=(
        OnOffField("rec"),
        OnOffField("pre_rec"),
        Field("rec_counter"),
        *(OnOffField(name) for name in ("ftp_send", "play", "del_file", "download", "sd_format")),
        *(OnOffField(f"sd_{word}") for word in ("insert", "repair", "error")),
        *numbers("sd_rem", "sd_org"),
        *(OnOffField(f"sd2_{word}") for word in ("insert", "repair", "error")),
        *numbers("sd2_rem", "sd2_org"),
    ),
    note="In imaging mode only, not in playback mode and standby; at least 1000 ms between two.",
)

# --- 9.2 Formatting, 9.3 and 11.5 progress ----------------------------------------------------------------------------
SDCARD = row(
    "sdcard",
    "9.2",
    "SD card format",
    kind=Kind.CONTROL,
    methods=("POST",),
    access=Access.ADMIN,
    params=(
        Choice(
            name="cmd",
            required=True,
            choices={"format": "Format the SD card in slot 1", "format2": "Format the SD card in slot 2"},
        ),
    ),
    note="ErrorNo=3 in the answer while the card is in use. May take about 120 seconds; get_progress tells.",
    danger="Every clip on the card is erased for good.",
)
GET_PROGRESS = row(
    "get_progress",
    "9.3, 11.5",
    "Progress confirmation",
    kind=Kind.READ,
    access=Access.ADMIN,
    params=(
        Choice(
            name="type",
            required=True,
            choices={"format": "Formatting of SD memory card", "send_ftp": "FTP server transfer"},
        ),
    ),
    reply=(
        Field("progress", note="prepare, exec, finish, cancel (cancellation in progress) or error"),
        NumberField("rate", unit="%", note="Rate of progress, of send_ftp"),
    ),
)

# --- 10. Recorded clips -----------------------------------------------------------------------------------------------
_LIST_ID = Digits(name="list_id", required=True, max_length=10, note="List ID acquired by get_clip_list")
_FILE_NUMBERS = List(
    name="fileno",
    of=Whole(name="fileno", low=1, high=65535),
    max_items=50,
    note="File No. acquired by get_clip_list",
)
GET_CLIP_LIST = row(
    "get_clip_list",
    "10.1",
    "Clip list search of SD card",
    kind=Kind.READ,
    params=(
        # Only maxmatches and device are said to be omissible.
        Whole(name="maxmatches", low=1, high=15, note="Upper limit of the number of lists"),
        Whole(name="index", low=1, high=65535, required=True, note="List search start position"),
        Choice(name="device", choices=_SLOTS, note="sd1 when omitted"),
        Choice(name="format", required=True, choices={"mp4": "MP4 format", "avchd": "AVCHD format"}),
    ),
    shape=Rows(
        columns=(
            NumberField("no"),
            Field("filename"),
            MomentField("recorded", forms=("%m/%d/%Y %H:%M:%S",)),
            Field("duration"),
        )
    ),
    reply=(*numbers("ClipfileNum", "ClipfileALLNum"), Field("list_id")),
    note="list_id belongs to this list and is needed to delete, download or transfer its clips.",
)
DEL_CLIP_FILE = row(
    "del_clip_file",
    "10.2",
    "Deletion of stored data",
    kind=Kind.CONTROL,
    params=(replace(_FILE_NUMBERS, required=True), _LIST_ID),
    danger="The clips are erased from the card for good.",
)
GET_CLIP_FILE = row(
    "get_clip_file",
    "10.3",
    "Download through file specification",
    kind=Kind.FILE,
    params=(
        Text(
            name="filename",
            required=True,
            min_length=1,
            max_length=64,
            pattern=r"[A-Za-z0-9_-]+",
            described="the name of a clip as get_clip_list gives it",
            note="File name acquired by get_clip_list",
        ),
        _LIST_ID,
    ),
    shape=Bytes(),
)

# --- 11. FTP ----------------------------------------------------------------------------------------------------------
_USERNAME = Text(
    name="username",
    max_length=32,
    pattern="[A-Za-z0-9]*",
    described="at most 32 letters and digits",
    note="User name",
)
SET_FTP = setter(
    "set_ftp",
    "11.2",
    "FTP server settings",
    Ipv4(name="server_addr", note="FTP server address"),
    _USERNAME,
    replace(_USERNAME, name="password", secret=True, note="Password"),
    Whole(name="port_num", low=1, high=65535, note="FTP server port"),
    Choice(name="mode", choices={"active": "Active mode", "passive": "Passive mode"}, note="Transfer mode"),
    Text(name="dirname", max_length=256, note="Folder in the user's root directory"),
)
GET_FTP = row(
    "get_ftp",
    "11.3",
    "FTP server settings information acquisition",
    kind=Kind.READ,
    access=Access.ADMIN,
    reply=(*texts("server_addr", "dirname", "username"), NumberField("port_num"), Field("mode")),
)
SEND_FTPSERVER = row(
    "send_ftpserver",
    "11.4",
    "Issuing transfer start command with list",
    kind=Kind.CONTROL,
    methods=("POST", "GET"),
    access=Access.ADMIN,
    params=(
        _FILE_NUMBERS,
        Choice(name="select_type", required=True, choices={"fileno": "By file No.", "all": "All files"}),
        _LIST_ID,
    ),
    constraints=(OnlyWhen("fileno", "select_type", ("fileno",)), Needs("select_type", "fileno", ("fileno",))),
)
CANCEL_SEND_FTPSERVER = row(
    "cancel_send_ftpserver",
    "11.4",
    "Cancellation of transfer to FTP server",
    kind=Kind.CONTROL,
    methods=("POST", "GET"),
    access=Access.ADMIN,
)

COMMANDS = (
    SET_SDREC_MODE,
    GET_SDREC_MODE,
    SET_SDREC_TARGET,
    GET_SDREC_TARGET,
    SET_RECORDER_NUM,
    CONTENTNUM_RESET,
    GET_RECORDER_NUM,
    SDCTRL,
    GET_STATE,
    SDCARD,
    GET_PROGRESS,
    GET_CLIP_LIST,
    DEL_CLIP_FILE,
    GET_CLIP_FILE,
    SET_FTP,
    GET_FTP,
    SEND_FTPSERVER,
    CANCEL_SEND_FTPSERVER,
)
