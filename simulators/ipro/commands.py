"""The commands of the document, in its order and with its sections.

One path often carries several commands, told apart by one of their parameters, and some commands have the same
parameter twice. So a path is a list of forms, each with its parameters in the order of the document's URL and with the
parameter that marks it.

Where the scan is damaged ("2ND=5OFF", "&&2ND", "PLAYCMD = BPLAY", "Z00OM", "&ACTRL", "NOTIME=0ON") the form is what the
tables say: 2ND=OFF, one '&', no spaces, ZOOM, CTRL, NOTIME=ON.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from simulators.auth import Level
from simulators.checking import Command, Param, Refused, asked, choice, number, pattern
from simulators.http import Request

LONGEST_DOWNLOAD = timedelta(hours=1)
# What the recorder is asked in general, at most every 3 s; NEXTFRAME and PREVFRAME are steps, all else of hdrctl.cgi
# belongs to the documented sequences of starting and stopping.
GENERAL = frozenset(f"/cgi-bin/{name}.cgi" for name in ("loglist", "recordedtime", "as_getinfo", "httpdl"))
GENERAL_PLAYBACK = frozenset({"BPLAY", "PAUSE", "FF", "REW", "GOTODATE"})
STEPS = frozenset({"NEXTFRAME", "PREVFRAME"})
CAMERA_CONTROL = frozenset({"/cgi-bin/directctrl.cgi", "/cgi-bin/camctl.cgi"})


@dataclass(frozen=True)
class Form:
    """One command: where the document has it, and its parameters."""

    section: str
    params: tuple[Param, ...]
    mark: str = ""
    """The parameter that tells this command from the others of its path; none: what no other one fits."""

    def names(self) -> list[str]:
        return [param.name for param in self.params]

    def marks(self, value: str) -> bool:
        return self._marking().allowed(value)

    def meaning(self) -> str:
        return self._marking().meaning

    def _marking(self) -> Param:
        return next(param for param in self.params if param.name == self.mark)


@dataclass(frozen=True)
class Path(Command):
    """A path and the commands that are sent to it."""

    forms: tuple[Form, ...] = ()


def check(path: Path, request: Request) -> dict[str, str]:
    """The values sent; of a parameter that is sent twice, the first."""
    sent = asked(path, request)
    form = _meant(path, sent)
    known, names = form.names(), [name for name, _ in sent]
    for name in names:
        if name not in known:
            raise Refused("unknown_parameter", f"{path.path} ({form.section}) has no parameter '{name}'.")
        if names.count(name) > known.count(name):
            raise Refused("duplicate_parameter", f"'{name}' is given {names.count(name)} times.")
    for param in form.params:
        if param.required and names.count(param.name) < known.count(param.name):
            raise Refused("missing_parameter", f"{path.path} ({form.section}) needs {param.name}.")
    here = [param for param in form.params if param.name in names]
    if names != [param.name for param in here]:
        raise Refused(
            "order", f"The parameters of {path.path} ({form.section}) come as {', '.join(known)}; not: {names}."
        )
    values: dict[str, str] = {}
    for param, (name, value) in zip(here, sent, strict=True):
        if not param.allowed(value):
            raise Refused("value", f"{name} must be {param.meaning}, not '{value}'.")
        values.setdefault(name, value)
    return values


def _meant(path: Path, sent: list[tuple[str, str]]) -> Form:
    values = dict(reversed(sent))  # of a parameter that is sent twice, the first
    marked = [form for form in path.forms if form.mark in values]
    for form in marked:
        if form.marks(values[form.mark]):
            return form
    if marked:
        mark = marked[0].mark
        allowed = " or ".join(form.meaning() for form in marked if form.mark == mark)
        raise Refused("value", f"{mark} must be {allowed}, not '{values[mark]}'.")
    return next((form for form in path.forms if not form.mark), path.forms[0])


def moment(value: str, *, hundredths: bool) -> datetime | None:
    """yymmddhhmmss, and the hundredths of a second if asked for, in the years 2022 to 2035; None for anything else."""
    if not re.fullmatch(r"[0-9]{14}" if hundredths else r"[0-9]{12}", value):
        return None
    year, month, day, hour, minute, second, *rest = (int(value[at : at + 2]) for at in range(0, len(value), 2))
    if not 22 <= year <= 35:
        return None
    try:
        return datetime(2000 + year, month, day, hour, minute, second, sum(rest) * 10_000, UTC)
    except ValueError:
        return None


def paths(*, channels: int, ptz_steps: int) -> dict[str, Path]:
    """Every path the document has, for a recorder of so many cameras."""
    table = (
        # 2 Live
        _path("push.cgi", *_push(channels)),
        # 2.1.2.1 Setup live; 3.2.3 to 3.2.10 Playback
        _path("hdrctl.cgi", *_hdrctl(channels)),
        # 3.2.1, 3.2.2 Playback video and audio
        _path("camera.cgi", Form("3.2.1", (_uid(), number("CAM", 1, channels)))),
        _path("playaudio.cgi", Form("3.2.2", (_uid(), number("CAM", 1, channels)))),
        # 4 Camera control
        _path("directctrl.cgi", _directctrl(channels, ptz_steps)),
        _path("camctl.cgi", *_camctl(channels)),
        # 5 Recorder information
        _path(
            "loglist.cgi",
            Form("5.1.1", (_uid(), choice("KIND", "ERR"), choice("HTML", "as_errorlog.html")), mark="KIND"),
            Form("5.1.2", (_uid(), choice("KIND", "EVENT"), choice("HTML", "as_eventlog.html")), mark="KIND"),
        ),
        _path("recordedtime.cgi", Form("5.2.1", ()), level=Level.LIVE),
        _path("as_getinfo.cgi", Form("5.3.1", (choice("FILE", "2"),)), level=Level.LIVE),
        # 6 Others
        _path("dlogin.cgi", Form("6.1.1", (choice("UID", "-1"),)), level=Level.LIVE),
        _path("logout.cgi", Form("6.1.2", (_uid(),))),
        _path("status.cgi", Form("6.2", (_uid(), _pc()))),
        _path("httpdl.cgi", _httpdl(channels)),
    )
    return {path.path: path for path in table}


def _path(name: str, *forms: Form, level: Level = Level.NOBODY) -> Path:
    """A path; whoever sends a living UID with it needs no other credentials."""
    return Path(f"/cgi-bin/{name}", ("GET",), level, forms=forms)


def _uid() -> Param:
    return pattern("UID", r"[0-9]{1,19}", "the digits of an issued UID")


def _pc() -> Param:
    return choice("PC", "AS60")


def _push(channels: int) -> tuple[Form, ...]:
    start_or_stop = (_uid(), number("CAM", 1, channels), choice("CMD", "START", "STOP"))
    rtp = (choice("COMP", "H264", "H265", "AUDIO"), number("PORT", 1024, 65535))
    # The table has INTERNETMODE with START and STOP, the sequence of 2.2.1.1 with START only.
    http = (choice("COMP", "H264", "H265", "JPEG", "AUDIO"), choice("INTERNETMODE", "ON", required=False))
    return (Form("2.1.2.2", (*start_or_stop, *rtp), mark="PORT"), Form("2.2.2.2", (*start_or_stop, *http)))


def _hdrctl(channels: int) -> tuple[Form, ...]:
    mask = pattern("MASK", rf"[01]{{{channels}}}", f"{channels} digits 0 or 1, one for each camera supported")

    def playback(section: str, commands: tuple[str, ...], *rest: Param) -> Form:
        params = (_uid(), _pc(), choice("PLAYCMD", *commands), choice("2ND", "OFF"), *rest)
        return Form(section, params, mark="PLAYCMD")

    notime, smooth = choice("NOTIME", "ON"), choice("SMOOTH", "OFF")
    return (
        Form("2.1.2.1", (_uid(), choice("SCREEN", "16X"), _pc()), mark="SCREEN"),
        Form("3.2.3", (_uid(), _pc(), mask), mark="MASK"),
        playback("3.2.4", ("PLAY",), choice("TIMEF", "AS60_UNKNOWN"), notime),
        playback("3.2.5", ("BPLAY",), _timef(), notime),
        playback("3.2.6", ("PAUSE",), _timef(), smooth, notime),
        playback("3.2.7", ("NEXTFRAME", "PREVFRAME"), _timef(whole_seconds=False), notime),
        playback("3.2.8", ("GOTODATE",), _timef(), choice("SDBACKUP", "0"), notime),
        playback("3.2.9", ("FF", "REW"), _timef(), smooth, notime),
        playback("3.2.10", ("STOP",), _timef()),
    )


def _timef(whole_seconds: bool = True) -> Param:
    def allowed(value: str) -> bool:
        return moment(value, hundredths=True) is not None and (value.endswith("00") or not whole_seconds)

    ending = "00" if whole_seconds else "ff"
    return Param("TIMEF", allowed, f"a time yymmddhhmmss{ending} in the years 22 to 35")


def _speed(name: str, fastest: int) -> Param:
    def allowed(value: str) -> bool:
        return re.fullmatch(r"0|-?[1-9][0-9]{0,2}", value) is not None and abs(int(value)) <= fastest

    return Param(name, allowed, f"-{fastest} to {fastest}", required=False)


def _directctrl(channels: int, ptz_steps: int) -> Form:
    section = "4.2.1" if ptz_steps == 16 else "4.2.2"
    speeds = (_speed("PAN", ptz_steps), _speed("TILT", ptz_steps), _speed("ZOOM", 4))
    return Form(section, (_uid(), number("CH", 1, channels), *speeds, _pc()))


def _camctl(channels: int) -> tuple[Form, ...]:
    def control(section: str, commands: tuple[str, ...], *rest: Param) -> Form:
        params = (_uid(), number("CH", 1, channels), choice("CMD", *commands), *rest, _pc())
        return Form(section, params, mark="CMD")

    start, preset = choice("CTRL", "START"), number("NO", 1, 256)
    return (
        control("4.2.3", ("CENTERING",), start, number("X", 0, 32), number("Y", 0, 32)),
        control("4.2.4", ("FOCUS",), choice("CTRL", "FAR", "NEAR", "AUTO"), start),
        control("4.2.5", ("IRIS",), choice("CTRL", "OPEN", "CLOSE", "RESET"), start),
        control("4.2.6", ("PRESETPRG",), preset),
        control("4.2.7", ("PRESET",), preset),
        control("4.2.8", tuple(f"AUX{index}" for index in range(1, 9)), choice("CTRL", "OPEN", "CLOSE")),
    )


def _httpdl(channels: int) -> Form:
    def time(name: str, whole_minutes: bool) -> Param:
        def allowed(value: str) -> bool:
            return moment(value, hundredths=False) is not None and (value.endswith("00") or not whole_minutes)

        ending = "00" if whole_minutes else "ss"
        return Param(name, allowed, f"a time yymmddhhmm{ending} in the years 22 to 35")

    kind = choice("KIND", "MP4", "MP4VO", "N3", "N3VO", "LIST")
    times = (time("STARTTIME", True), time("ENDTIME", False))
    return Form("6.3.2", (_uid(), *times, kind, number("CAM", 1, channels), _pc()))
