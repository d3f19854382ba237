"""Sections 8 to 11: recording to SD cards, their state and formatting, clips, and the transfer by FTP."""

from __future__ import annotations

from simulators.auth import Level
from simulators.checking import Command, Pace, choice, number, pattern, text
from simulators.povcam.catalogue.words import address, cgi, numbers, setter

MODES_4K = ("mp4_2160_30p_50m", "mp4_2160_24p_50m", "mp4_2160_25p_50m")
MODES = (
    "avchd_ps_1080_60p_28m",
    "avchd_ph_1080_60i_21m",
    "avchd_ph_1080_24p_21m",
    "avchd_ha_1080_60i_17m",
    "avchd_he_1080_60i_6m",
    "avchd_ph_720_60p_21m",
    "avchd_pm_720_60i_8m",
    "avchd_ps_1080_50p_28m",
    "avchd_ph_1080_50i_21m",
    "avchd_ha_1080_50i_17m",
    "avchd_he_1080_50i_6m",
    "avchd_ph_720_50p_21m",
    "avchd_pm_720_50i_8m",
)
MODES_WITHOUT_HEAD = (
    "avchd_ph_1080_60i_21m_from_720",
    "avchd_ha_1080_60i_17m_from_720",
    "avchd_he_1080_60i_6m_from_720",
    "avchd_ph_1080_50i_21m_from_720",
    "avchd_ha_1080_50i_17m_from_720",
    "avchd_he_1080_50i_6m_from_720",
)
MOST_FILES = 50


def cards() -> tuple[Command, ...]:
    list_id = number("list_id", 0, 2**31 - 1)
    alphanumeric = r"[A-Za-z0-9]{0,32}", "at most 32 letters and digits"
    return (
        # 8 Recording
        cgi("set_sdrec_mode", "POST", Level.ADMIN, choice("mode", *MODES_4K, *MODES, *MODES_WITHOUT_HEAD)),
        cgi("get_sdrec_mode", "GET", Level.LIVE),
        cgi("set_sdrec_target", "POST", Level.ADMIN, choice("device", "sd1", "sd2")),
        cgi("get_sdrec_target", "GET", Level.ADMIN),
        cgi("set_recorder_num", "POST", Level.ADMIN, number("recorder_num", 0, 16)),
        cgi("contentnum_reset", "POST", Level.ADMIN),
        cgi("get_recorder_num", "GET", Level.ADMIN),
        cgi("sdctrl", "GET", Level.LIVE, choice("save", "start", "end")),
        # 9 State and formatting; 11.5 asks for progress by the same path
        cgi("get_state", "GET", Level.LIVE, pace=Pace.STATE),
        cgi("sdcard", "POST", Level.ADMIN, choice("cmd", "format", "format2")),
        cgi("get_progress", "GET", Level.ADMIN, choice("type", "format", "send_ftp")),
        # 10 Clips
        cgi(
            "get_clip_list",
            "GET",
            Level.LIVE,
            number("maxmatches", 1, 15, required=False),
            number("index", 1, 65535),
            choice("device", "sd1", "sd2", required=False),
            choice("format", "mp4", "avchd"),
        ),
        cgi("del_clip_file", "GET", Level.LIVE, numbers("fileno", MOST_FILES), list_id),
        cgi("get_clip_file", "GET", Level.LIVE, text("filename", 32), list_id),
        # 11 FTP
        setter(
            "set_ftp",
            address("server_addr"),
            pattern("username", *alphanumeric),
            pattern("password", *alphanumeric),
            number("port_num", 1, 65535),
            choice("mode", "active", "passive"),
            text("dirname", 256),
        ),
        cgi("get_ftp", "GET", Level.ADMIN),
        cgi(
            "send_ftpserver",
            "POST/GET",
            Level.ADMIN,
            numbers("fileno", MOST_FILES, required=False),  # needed for select_type=fileno: checked there
            choice("select_type", "fileno", "all"),
            list_id,
        ),
        cgi("cancel_send_ftpserver", "POST/GET", Level.ADMIN),
    )
