"""The IPCam itself: its settings, users, clock, inputs and outputs, pan and tilt, and its pictures.

Where the document is silent or contradicts itself the simulator decides, and a client should not depend on it:
  - what is asked without parameters reads; what is asked with any sets, and answers what a read would. A table may be
    set in part and in any order; ConfigReboot may be left out and then means No, and may stand alone;
  - the forms of pan and tilt are wanted whole (a single move with both degrees, a preset with SetName, which may be
    empty); several forms in one request are refused, also Trigger1/2 together with ImageUpload or ImageEmail;
  - section 5 is asked by POST only; a GET there is refused;
  - POST carries its parameters in the body, form-encoded as a query would be (space %20, plus %2B), with or without the
    Content-Type of a form; one or two line ends after them are not part of the last value;
  - what the document does not allow is 400 (its table has no 403 or 405), and 401 for a user who may not do this;
  - section 3 needs the administrator always, cgiversion.cgi included. While access control is off (1!) sections 4 and 5
    need nobody; else privilege 0 watches and reads iocontrol.cgi, privilege 1 does all of section 5;
  - the query about the image is /iimage.cgi, as its siblings are named: the document prints /image.cgi;
  - the bits of IO_xxxxxxxx count from the right: the rightmost is Trigger1;
  - MACAddress has spaces, as its example; UserName is empty for a viewer without a password;
  - settings count at once, with ConfigReboot=No too, except the address: that is used after the next restart, and only
    one on this machine (127.x) with IPAddressMode=1 can be followed. The second HTTP port is kept, not listened on;
  - Date and Time set the clock in DateTimeMode 1 and are ignored in 0, where the time server keeps it right. A
    TimeZoneIndex other than 0 decides the local time, TimeZone only with index 0; neither changes the other;
  - empty texts and host names are allowed, empty addresses, keys and AdminID are not; lengths are in characters;
  - adding a user who is there changes him, deleting one who is not changes nothing; no more than 20 fit;
  - reserved moves and the reserved swing mode are refused, so is changing or clearing position 0, home;
  - what is sent by FTP and by mail, and when: see uploads.py;
  - right and up are more degrees, home is 170/68; a preset that was never set does not move the camera; swinging visits
    the presets in the order of their numbers, five seconds each, until any other move or a restart.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from simulators.auth import NO_LOCK_OUT, Level, LockOut, Scheme, User
from simulators.checking import Command, Refused, check_pairs, meant, split_query
from simulators.device import Fault, Manners, SimulatedDevice
from simulators.http import Answer, Dialect, RawBytes, Request, Response, Stream
from simulators.ipcam import replies
from simulators.ipcam.commands import BY_PATH, PAN, SETTINGS, TILT
from simulators.ipcam.uploads import SMTP_PORT, Uploads
from simulators.multipart import PICTURE_ODDITIES, Passage, Tampering, odd_part, odd_picture
from simulators.oddities import chosen
from simulators.video import Flow, Stills

ODDITIES = {
    "result-lines": "answers stand between <result> lines",
    "control-204-body": "what is controlled answers 204 with a body",
    "control-200": "what is controlled answers 200 without a body",
    "control-empty": "what is controlled answers nothing and closes",
    "lower-case-names": "the names in answers are lower case",
    "spaced-names": "the names in answers have the document's spaces (FTPSchedule FileMode, UserName =)",
    "american-date": "the date of a picture is MM-DD-YYYY hh:mm:ss AM",
    "leftmost-io": "the bits of IO_xxxxxxxx count from the left",
    "bare-boundary": "the boundary is announced without its leading dashes",
    "vendor-part-headers": "the headers of a picture are Content-length and Content-type",
    "tight-headers": "no space after the colon of a header",
    "colon-mac": "the MAC address has colons",
    "no-iimage": "there is no /iimage.cgi",
    "diagonals": "single moves 0, 2, 6 and 8 are the diagonals",
    "field-values": "-1 for Auto, 3 for a sequence number, yes and no for ConfigReboot; the document's are refused",
    "post-broken": "POST is refused; GET with a query does everything",
    **PICTURE_ODDITIES,
}
# The document's value and the one this firmware has instead.
FIELD_VALUES = {
    "FTPScheduleFramePerSecond": {"Auto": "-1"},
    "FTPScheduleFileMode": {"2": "3"},
    "FTPManualFileMode": {"2": "3"},
    "ConfigReboot": {"Yes": "yes", "No": "no"},
}
SPACED_NAMES = {
    "FTPScheduleFileMode": "FTPSchedule FileMode",
    "FTPManualFileMode": "FTPManual FileMode",
    "UserName": "UserName ",
    "UserPassword": "UserPassword ",
    "UserPrivilege": "UserPrivilege ",
}

BOUNDARY = "--video boundary--"
SIZES = ((160, 120), (320, 240), (640, 480))
QUALITIES = (92, 85, 75, 60, 45)  # by CompressionRate: the more compression, the less quality
HOME = (170, 68)
SWING_SECONDS = 5.0  # at each preset
MOST_USERS = 20
REMEMBERED_OUTPUT = 1000  # commands to the COM port
FORM_TYPE = "application/x-www-form-urlencoded"
# Steps of a single move: pan, tilt.
MOVES = {"1": (0, 1), "3": (-1, 0), "5": (1, 0), "7": (0, -1)}
DIAGONALS = {"0": (-1, 1), "2": (1, 1), "6": (-1, -1), "8": (1, -1)}


@dataclass(frozen=True)
class Preset:
    pan: int
    tilt: int
    name: str


@dataclass(frozen=True)
class Viewer:
    address: str
    name: str
    since: str


class IpcamSimulator(SimulatedDevice):
    family = "ipcam"
    faults: ClassVar[tuple[str, ...]] = ("stop-frames", "cut-streams", "garbage-parts", "motion", "half-uploads")
    """stop-frames for `seconds` (0: until clear): the streams stay open and silent; cut-streams: all that are open
    break off in the middle of their next picture; garbage-parts: before each `every`-th picture of a stream come bytes
    that belong to no part; motion: something moves, and what is enabled by hand sends a picture; half-uploads: the
    next `times` stills by FTP end in the middle, and the camera takes them for sent."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str = "",
        seed: int = 1,
        user: str = "admin",
        password: str = "12345",  # noqa: S107 -- a simulated camera leaves the factory like this
        live_user: str = "",
        live_password: str = "",
        user_auth: bool = False,
        auth_scheme: Scheme = "basic",
        reboot_seconds: float = 3.0,
        smtp_port: int = SMTP_PORT,
        oddities: str = "",
        lockout: LockOut | None = None,
        manners: Manners | None = None,
        control: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`smtp_port`: where mail is delivered; a real camera knows no other port than 25."""
        for who, word in ((user, password), (live_user, live_password)):
            if len(who) > 12 or len(word) > 8:
                raise ValueError("An IPCam has names of at most 12 characters and passwords of at most 8.")
        self.oddities = chosen(oddities, ODDITIES)
        name = name or f"IPCam {seed}"
        self._factory = replies.factory(
            name=name[:32], user=user, password=password, address=host, everybody=not user_auth
        )
        self._factory_users = {live_user: (live_password, "1")} if live_user else {}
        super().__init__(
            host=host,
            port=port,
            name=name,
            seed=seed,
            users=(),
            realm=replies.MODEL,
            user_auth=user_auth,
            auth_scheme=auth_scheme,
            lockout=lockout or NO_LOCK_OUT,
            manners=manners or Manners(command=0, state=0),
            control=control,
            dialect=Dialect(
                version="HTTP/1.0",
                headers=(("Server", "Camera Web Server/1.0"), ("Auther", "Steven Wu")),
                reasons={500: "Internal Error"},
                colon=":" if "tight-headers" in self.oddities else ": ",
                connection=False,
            ),
        )
        self.commands = {path: forms[0] for path, forms in BY_PATH.items()}
        self._factory_address = host
        self._reboot_seconds = reboot_seconds
        self._now = now
        self._flow = Flow()
        self._tampering = Tampering()
        self._viewers: list[Viewer] = []
        self._stills: tuple[object, Stills] | None = None
        self.com_output: deque[bytes] = deque(maxlen=REMEMBERED_OUTPUT)
        """What was sent to the COM port, oldest first."""
        self.settings: dict[str, replies.Table] = {}
        self.io: dict[str, str] = {}
        self._uploads = Uploads(
            self.settings,
            self.io,
            picture=lambda: self._stills_now().latest(),
            local_time=self._local_time,
            host=lambda: self.host,
            smtp_port=smtp_port,
        )
        self._reset()

    def _reset(self) -> None:
        """As it left the factory."""
        self.settings.update({path: dict(table) for path, table in self._factory.items()})
        self.users = dict(self._factory_users)
        self.presets: dict[int, Preset] = {}
        self.io.update(Trigger1="0", Trigger2="0", ImageUpload="0", ImageEmail="0")
        self._clock_error = 0.0  # seconds by which the camera's clock is wrong
        self._position = HOME
        self._swinging_since: float | None = None
        self._users_changed()

    def _users_changed(self) -> None:
        levels = {"0": Level.LIVE, "1": Level.CONTROL}
        system = self.settings["/system.cgi"]
        watching = (User(name, password, levels[privilege]) for name, (password, privilege) in self.users.items())
        self.authenticator.set_users((*watching, User(system["AdminID"], system["AdminPassword"], Level.ADMIN)))

    # What tests and the side door see

    @property
    def position(self) -> tuple[int, int]:
        """Pan and tilt in degrees."""
        if self._swinging_since is not None and self.presets:
            places = [self.presets[number] for number in sorted(self.presets)]
            place = places[int((self._now() - self._swinging_since) / SWING_SECONDS) % len(places)]
            return place.pan, place.tilt
        return self._position

    def state(self) -> dict[str, Any]:
        pan, tilt = self.position
        return {
            "pan": pan,
            "tilt": tilt,
            "swinging": self._swinging_since is not None,
            "presets": {number: [place.pan, place.tilt, place.name] for number, place in self.presets.items()},
            "io": dict(self.io),
            "com_output": [data.decode("latin-1") for data in self.com_output],
            "viewers": len(self._viewers),
            "uploads": self._uploads.state(),
        }

    # The device's life

    async def listen(self) -> None:
        await super().listen()
        self._uploads.apply()

    def forget(self) -> None:
        self._swinging_since = None
        self._uploads.stop()

    def wake(self) -> None:
        network = self.settings["/network.cgi"]
        if network["IPAddressMode"] != "1":
            self.move_to(self._factory_address)
        elif network["IPAddress"].startswith("127."):
            self.move_to(network["IPAddress"])

    def family_fault(self, fault: Fault) -> None:
        match fault.kind:
            case "stop-frames":
                self._flow.stop(fault.seconds)
            case "cut-streams":
                self._tampering.cut()
            case "garbage-parts":
                self._tampering.garbage_every = fault.every
            case "motion":
                self._uploads.motion()
            case "half-uploads":
                self._uploads.halves = fault.times
            case "clear":
                self._flow.resume()
                self._tampering.clear()
                self._uploads.halves = 0

    # Who may ask what, and how

    def find(self, request: Request) -> Command | None:
        forms = BY_PATH.get(request.path)
        if forms is None or (request.path == "/iimage.cgi" and "no-iimage" in self.oddities):
            return None
        sent = f"{request.query}&{request.body.decode('latin-1')}"
        return meant(forms, request.method, {piece.partition("=")[0] for piece in sent.split("&")})

    def needed(self, command: Command) -> Level:
        open_to_all = self.settings["/user.cgi"]["AccessControlEnable"] == "1"
        return Level.NOBODY if open_to_all and command.level < Level.ADMIN else command.level

    def not_allowed(self) -> Response:
        return Response(401, headers=self.authenticator.challenge())

    def check(self, command: Command, request: Request) -> dict[str, str]:
        allowed = (*command.methods, "GET") if "post-broken" in self.oddities else command.methods
        if request.method not in allowed:
            raise Refused("method", f"{command.path} is asked by {' or '.join(allowed)}, not {request.method}.")
        sent = _parameters(request)
        if "field-values" in self.oddities:
            sent = [(name, _documented(name, value)) for name, value in sent]
        return check_pairs(command, sent)

    def unknown(self, request: Request) -> Response:
        path = request.path.lower()
        if request.path in BY_PATH:
            self.note("not_this_model", f"This camera has no {request.path}.", request)
        elif path in BY_PATH:
            self.violation("path_case", f"The document writes {path}, not {request.path}.", request)
        elif path.endswith(".cgi") and path.count("/") == 1:
            self.violation("unknown_command", f"The document has no {request.path}.", request)
        else:
            return super().unknown(request)
        return Response(404)

    async def run(self, command: Command, values: dict[str, str], request: Request) -> Answer:
        if request.method == "POST" and "post-broken" in self.oddities:
            self.note("post_broken", "This camera refuses every POST.", request)
            return Response(400)
        if "field-values" in self.oddities and any(_is_documented_only(*pair) for pair in _parameters(request)):
            self.note("field_values", "This camera wants its own value where the document has another.", request)
            return Response(400)
        if command.level is not Level.ADMIN and command.methods == ("POST",):
            self._steer(command.action, values, request)
            return self._done()
        match command.action:
            case "read":
                return self._table(command.path)
            case "set":
                return self._set(command.path, values, request)
            case "users" | "add_user" | "delete_user":
                return self._userlist(command.action, values, request)
            case "restart" | "factory_reset":
                if command.action == "factory_reset":
                    self._reset()
                self.reboot(self._reboot_seconds)
                return self._done()
            case "still":
                return Response(200, await self._picture(), "image/jpeg", tail=b"\r\n\r\n")
            case "stream":
                announced = BOUNDARY.removeprefix("--") if "bare-boundary" in self.oddities else BOUNDARY
                return Stream(f"multipart/x-mixed-replace;boundary={announced}", self._pictures(request))
            case "io":
                return self._text([*self.io.items(), ("CurrentTime", self._stamp())], between="&")
        return self._text(await self._told(command.action))

    # What it answers

    async def _told(self, action: str) -> replies.Pairs:
        address = self.host
        match action:
            case "version":
                return [("CGIVersion", replies.CGI_VERSION)]
            case "system_information":
                pairs = replies.system_information(self.settings["/system.cgi"], self.seed, address)
                if "colon-mac" in self.oddities:
                    pairs = [
                        (name, value.replace(" ", ":") if name == "MACAddress" else value) for name, value in pairs
                    ]
                return pairs
            case "active_users":
                return [pair for viewer in list(self._viewers) for pair in self._viewing(viewer)]
            case "image_information":
                stills = self._stills_now()
                return replies.image_information(self.settings["/image.cgi"], len(stills.last or await stills.latest()))
            case "network_information":
                return replies.network_information(self.settings["/network.cgi"], address)
            case "wireless_information":
                return replies.wireless_information(self.settings["/wireless.cgi"])
        raise AssertionError(f"nothing is done for {action}")

    def _viewing(self, viewer: Viewer) -> replies.Pairs:
        return [
            ("UserIPAddress", viewer.address),
            ("UserName", viewer.name),
            ("AccessDateTime", viewer.since),
            ("MinisecondPerPacket", str(round(1000 / self._rate()))),
        ]

    def _table(self, path: str) -> Response:
        table = dict(self.settings[path])
        if path == "/datetime.cgi":
            table["Date"], table["Time"] = self._stamp().split(" ")
        pairs = [(param.name, table[param.name]) for param in SETTINGS[path]]
        if "field-values" in self.oddities:
            pairs = [(name, FIELD_VALUES.get(name, {}).get(value, value)) for name, value in pairs]
        return self._text(pairs)

    def _text(self, pairs: replies.Pairs, between: str = "\r\n") -> Response:
        if "lower-case-names" in self.oddities:
            pairs = [(name.lower(), value) for name, value in pairs]
        if "spaced-names" in self.oddities:
            pairs = [(SPACED_NAMES.get(name, name), value) for name, value in pairs]
        text = between.join(f"{name}={value}" for name, value in pairs) + ("\r\n" if pairs else "")
        if "result-lines" in self.oddities:
            text = f"<result>\r\n{text}</result>\r\n"
        return Response(200, text.encode(), "text/html")

    def _done(self) -> Answer:
        if "control-204-body" in self.oddities:
            return Response(204, b"<html>OK</html>\r\n", "text/html")
        if "control-200" in self.oddities:
            return Response(200, content_type="text/html")
        if "control-empty" in self.oddities:
            return RawBytes(b"")
        return Response(204)

    # 3. What is set

    def _set(self, path: str, values: dict[str, str], request: Request) -> Response:
        restart = values.pop("ConfigReboot", "No") == "Yes"
        table = self.settings[path]
        match path:
            case "/datetime.cgi":
                self._set_clock(values, request)
            case "/wireless.cgi":
                _check_keys(table | values, values)
                table.update(values)
            case "/system.cgi":
                if values.get("AdminID") in self.users:
                    raise Refused("value", "A user of the list has this name: the administrator cannot take it.")
                table.update(values)
                self._users_changed()
            case _:
                table.update(values)
        self._uploads.apply()
        if restart:
            self.reboot(self._reboot_seconds)
        return self._table(path)

    def _set_clock(self, values: dict[str, str], request: Request) -> None:
        date, moment = values.pop("Date", None), values.pop("Time", None)
        table = self.settings["/datetime.cgi"]
        table.update(values)
        if table["DateTimeMode"] == "0":
            self._clock_error = 0.0
            if date or moment:
                self.note("clock_ignored", "The time server sets the clock in DateTimeMode 0.", request)
        elif date or moment:
            today, now = self._stamp().split(" ")
            local = datetime.fromisoformat(f"{date or today} {moment or now}").replace(tzinfo=UTC)
            away = timedelta(minutes=replies.minutes_from_greenwich(table))
            self._clock_error = (local - away).timestamp() - self._now()

    def _local_time(self) -> datetime:
        epoch = datetime(1970, 1, 1)
        away = timedelta(minutes=replies.minutes_from_greenwich(self.settings["/datetime.cgi"]))
        return epoch + timedelta(seconds=self._now() + self._clock_error) + away

    def _stamp(self) -> str:
        return self._local_time().isoformat(" ", "seconds")

    def _userlist(self, action: str, values: dict[str, str], request: Request) -> Response:
        name = values.get("UserName", "")
        if action == "add_user":
            if name == self.settings["/system.cgi"]["AdminID"]:
                raise Refused("value", "This is the administrator's name.")
            if name not in self.users and len(self.users) >= MOST_USERS:
                self.note("list_full", f"{MOST_USERS} users are all there is room for.", request)
                return Response(500)
            self.users[name] = (values["UserPassword"], values["UserPrivilege"])
        elif action == "delete_user" and self.users.pop(name, None) is None:
            self.note("no_such_user", f"There is no user {name}.", request)
        self._users_changed()
        pairs: replies.Pairs = []
        for user, (password, privilege) in self.users.items():
            pairs += [("UserName", user), ("UserPassword", password), ("UserPrivilege", privilege)]
        return self._text(pairs)

    # 4. Pictures

    def _stills_now(self) -> Stills:
        """The pictures of the present settings."""
        image, name = self.settings["/image.cgi"], self.settings["/system.cgi"]["CameraName"]
        width, height = SIZES[int(image["VideoResolution"])]
        quality = QUALITIES[int(image["CompressionRate"])]
        wanted = (width, quality, name)
        if self._stills is None or self._stills[0] != wanted:
            stills = Stills(width, height, seed=self.seed, name=name, started=self.started, quality=quality)
            self._stills = wanted, stills
        return self._stills[1]

    async def _picture(self) -> bytes:
        return odd_picture(await self._stills_now().latest(), self.oddities)

    def _rate(self) -> int:
        return int(self.settings["/image.cgi"]["FrameRate"]) or replies.FASTEST

    async def _pictures(self, request: Request) -> AsyncGenerator[bytes, None]:
        name = "" if request.who == "-" else request.who
        viewer = Viewer(request.peer, name, self._stamp())
        self._viewers.append(viewer)
        try:
            passage, first = Passage(self._tampering), True
            due = time.monotonic()
            while True:
                picture = await self._picture()
                headers = self._part_headers(len(picture))
                whole = odd_part(BOUNDARY, headers, picture, b"\r\n\r\n", self.oddities, first=first)
                yield passage.of(whole)
                if passage.ended:
                    return
                first = False
                due = await self._flow.next(due, 1 / self._rate())
        finally:
            self._viewers.remove(viewer)

    def _part_headers(self, size: int) -> tuple[str, ...]:
        vendor = "vendor-part-headers" in self.oddities
        length, kind = ("Content-length", "Content-type") if vendor else ("Content-Length", "Content-Type")
        american = "american-date" in self.oddities
        when = self._local_time().strftime("%m-%d-%Y %I:%M:%S %p") if american else self._stamp()
        bits = "".join(self.io.values()) + "0000"
        if "leftmost-io" not in self.oddities:
            bits = bits[::-1]
        pan, tilt = self.position
        status = f"Date: {when} IO_{bits}_PT_{pan:03d}_{tilt:03d}"
        return f"{length}: {size}", status, f"{kind}: image/jpeg"

    # 5. Control

    def _steer(self, action: str, values: dict[str, str], request: Request) -> None:
        match action:
            case "set_io":
                self.io.update(values)
                self._uploads.apply()
            case "com_output":
                self.com_output.append(values["ComOut"].encode(errors="surrogateescape"))
            case "move":
                self._step(values)
            case "go_to":
                self._turn(int(values["PanTiltHorizontal"]), int(values["PanTiltVertical"]))
            case "go_to_preset":
                self._go_to_preset(int(values["PanTiltPresetPositionMove"]), request)
            case "set_preset":
                number = _changeable(values["SetPosition"])
                pan, tilt = int(values["PanTiltHorizontal"]), int(values["PanTiltVertical"])
                self.presets[number] = Preset(pan, tilt, values["SetName"])
            case "clear_preset":
                self.presets.pop(_changeable(values["ClearPosition"]), None)
            case "swing":
                self._swing(values["PanTiltSwingMode"])

    def _go_to_preset(self, number: int, request: Request) -> None:
        if number == 0:
            self._turn(*HOME)
        elif number in self.presets:
            self._turn(self.presets[number].pan, self.presets[number].tilt)
        else:
            self.note("no_such_preset", f"Preset {number} was never set.", request)

    def _step(self, values: dict[str, str]) -> None:
        direction = values["PanTiltSingleMove"]
        if direction == "4":
            return self._turn(*HOME)
        moves = MOVES | DIAGONALS if "diagonals" in self.oddities else MOVES
        if direction not in moves:
            raise Refused("reserved", f"The document reserves PanTiltSingleMove {direction}.")
        right, up = moves[direction]
        pan, tilt = self.position
        self._turn(pan + right * int(values["PanSingleMoveDegree"]), tilt + up * int(values["TiltSingleMoveDegree"]))

    def _turn(self, pan: int, tilt: int) -> None:
        self._swinging_since = None
        self._position = min(max(pan, 0), PAN), min(max(tilt, 0), TILT)

    def _swing(self, mode: str) -> None:
        if mode == "1":
            raise Refused("reserved", "The document reserves PanTiltSwingMode 1.")
        if mode == "2":
            self._swinging_since = self._now()
        else:
            self._turn(*self.position)


def _parameters(request: Request) -> list[tuple[str, str]]:
    """Names and values from where the method puts them."""
    if request.method != "POST":
        if request.body:
            raise Refused("body", "A GET has its parameters in the query, not in a body.")
        return split_query(request.query, _errors(request))
    if request.query:
        raise Refused("query", "A POST has its parameters in the body, not in the query.")
    kind = (request.header("content-type") or FORM_TYPE).partition(";")[0].strip().lower()
    if kind != FORM_TYPE:
        raise Refused("content_type", f"A body of parameters is no {kind}.")
    body = re.sub(r"(\r\n){1,2}\Z", "", request.body.decode("latin-1"))
    if re.search(r"[\x00-\x20\x7f]", body):
        raise Refused("encoding", "A space is %20, a line end %0D%0A: neither stands as itself in the body.")
    return split_query(body, _errors(request))


def _errors(request: Request) -> str:
    return "surrogateescape" if request.path == "/comport.cgi" else "strict"  # what goes to the COM port is no text


def _check_keys(table: dict[str, str], sent: dict[str, str]) -> None:
    """Whether the keys sent are as long as encryption and format want them."""
    lengths = {"2": (5,), "3": (13,)}.get(table["WEPEncryption"], (5, 13))
    for name, value in sent.items():
        if not name.startswith("Key"):
            continue
        if table["WEPKeyFormat"] == "0":
            if len(value) not in lengths:
                raise Refused("value", f"{name} must have {' or '.join(map(str, lengths))} characters.")
        elif not re.fullmatch(r"[0-9A-Fa-f]*", value) or len(value) not in [2 * length for length in lengths]:
            wanted = " or ".join(str(2 * length) for length in lengths)
            raise Refused("value", f"{name} must have {wanted} hexadecimal digits.")


def _changeable(position: str) -> int:
    if position == "0":
        raise Refused("value", "Position 0 is home, which cannot be changed.")
    return int(position)


def _documented(name: str, value: str) -> str:
    """The document's value for one of this firmware's own."""
    return {own: documented for documented, own in FIELD_VALUES.get(name, {}).items()}.get(value, value)


def _is_documented_only(name: str, value: str) -> bool:
    return value in FIELD_VALUES.get(name, {})
