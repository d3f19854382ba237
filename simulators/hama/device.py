"""The HAMA camera itself: its parameters, presets, pictures and sound.

Where the document is silent or contradicts itself the simulator decides, and a client should not depend on it:
  - the groups of 2.1, 3.2 and 4.5 can be listed, several with commas between (as siblings of the camera take them); a
    part of a group, a group above them or another writing is refused. `Properties.Image` is the three lines of its
    example, not the groups below it;
  - an update is one parameter in one request, in the document's letters and without `root.`; it answers "OK";
  - `root.` stands in answers exactly where the examples have it, also when groups are asked for together;
  - MPEG4 quality is written 13 to 5 and read 11 to 3, both as documented: what is read is what was written less 2. It
    is listed while `stats` is compression, `bitrate` while it is bitrate;
  - JPEG compression 0 is the lowest quality, 4 the highest;
  - /form/enet wants enet_source first and one of its forms, the three audio parameters together; it answers a redirect
    to /cp.asp. Of what it sets only the default video format and whether there is audio can be read back;
  - what the document does not allow is 400, another method 405; everything but the picture without authentication needs
    a password, param.cgi and /form/enet the administrator's;
  - a move is one step of 9, 7, 5, 3 or 1 degrees for the speeds 1, 3, 5, 7 and 9; right and up are more degrees; center
    is 0/0. Moves answer 200 and "OK", also at the end of the range;
  - presets have the numbers 0 to 255 and names of up to 32 characters. The number decides which one is removed. A
    number without a preset moves nothing;
  - the flip mode is kept and not painted, the volumes are kept and not heard: the sound is a tone;
  - no more than 16 (MaxUsers) pictures and sounds stream at once: the next is 503;
  - without audio receive.cgi is 404, without PTZ (an oddity) so are its two paths.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, ClassVar

from simulators.auth import NO_LOCK_OUT, Level, LockOut, Scheme, User
from simulators.checking import Command, Refused, check, meant
from simulators.device import Fault, Manners, SimulatedDevice
from simulators.hama.commands import BY_PATH, DIRECTIONS, PTZ, PTZ_CONFIG
from simulators.http import Answer, Dialect, Request, Response, Stream
from simulators.multipart import PICTURE_ODDITIES, Parts, Passage, Tampering, odd_part, odd_picture
from simulators.oddities import chosen
from simulators.rtp import Packetizer
from simulators.sound import SoundSource
from simulators.video import Flow, Stills

ODDITIES = {
    "root-everywhere": "every name in an answer begins with root.",
    "no-root": "no name in an answer begins with root.",
    "lower-case-names": "the names in answers are lower case",
    "single-group": "only one group can be listed at once",
    "same-quality": "MPEG4 quality is read as it was written",
    "folded-content-type": "the stream's Content-Type is folded over two lines, as the document prints it",
    "http11": "answers are HTTP/1.1",
    "enet-page": "/form/enet answers a page instead of a redirect",
    "no-ptz": "the camera cannot turn",
    **PICTURE_ODDITIES,
}

REALM = "IP - Cam M360"
LOGIN_FREE = "/loginfree.jpg"
MAX_USERS = 16
QUALITIES = (45, 60, 75, 85, 92)  # by Image.I0.Appearance.Compression
PAN, TILT = (-155, 155), (-30, 90)  # degrees
READ_LESS = 2  # by so much the quality that is read differs from the one written

Lines = list[tuple[str, str]]


@dataclass(frozen=True)
class Preset:
    name: str
    pan: int
    tilt: int


class HamaSimulator(SimulatedDevice):
    family = "hama"
    faults: ClassVar[tuple[str, ...]] = ("stop-frames", "cut-streams", "garbage-parts")
    """stop-frames for `seconds` (0: until clear): the streams stay open and silent; cut-streams: all that are open
    break off in the middle of their next picture or frame of sound; garbage-parts: before each `every`-th picture of a
    stream come bytes that belong to no part."""

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
        auth_scheme: Scheme = "basic",
        loginfree_path: str = LOGIN_FREE,
        oddities: str = "",
        lockout: LockOut | None = None,
        manners: Manners | None = None,
        control: bool = False,
    ) -> None:
        if not loginfree_path.startswith("/") or loginfree_path in BY_PATH:
            raise ValueError(f"The picture without a password cannot be at {loginfree_path!r}.")
        self.oddities = chosen(oddities, ODDITIES)
        users = [User(user, password, Level.ADMIN)]
        if live_user:
            users.append(User(live_user, live_password, Level.LIVE))
        super().__init__(
            host=host,
            port=port,
            name=name or f"HAMA {seed}",
            seed=seed,
            users=tuple(users),
            realm=REALM,
            user_auth=True,
            auth_scheme=auth_scheme,
            lockout=lockout or NO_LOCK_OUT,
            manners=manners or Manners(command=0, state=0),
            control=control,
            dialect=Dialect(
                version="HTTP/1.1" if "http11" in self.oddities else "HTTP/1.0",
                headers=(("Server", "GoAhead-Webs"), ("Pragma", "no-cache"), ("Cache-Control", "no-cache")),
                connection=False,
            ),
        )
        login_free = Command(loginfree_path, ("GET",), Level.NOBODY, action="still")
        self._by_path = BY_PATH | {loginfree_path: (login_free,)}
        self._flow = Flow()
        self._pictures_tampering, self._sound_tampering = Tampering(), Tampering()
        self._sound_source = SoundSource("gsm", seed=seed, started=self.started)
        self._stills: tuple[object, Stills] | None = None
        self._streaming = 0
        self.parameters = {
            "Image.I0.Appearance.Resolution": "640x480",
            "Image.I0.Appearance.Compression": "3",
            "Image.I1.Appearance.Resolution": "640x480",
            "Image.I1.Appearance.stats": "1",
            "Image.I1.Appearance.bitrate": "1000000",
            "Image.I1.Appearance.Compression": "9",
            "Image.I0.Stream.FPS": "15",
            "Image.I1.Stream.FPS": "15",
            "enet_avs_default_dual_mode": "0",
            "enet_avs_flip_mode": "0",
            "enet_avs_pt_speed": "5",
            "enet_audio_enable": "Yes",
            "enet_audio_mic_vol": "50",
            "enet_audio_output_vol": "50",
        }
        """What can be set, under the name it is set by; kept over a restart, as the presets are."""
        self.presets: dict[int, Preset] = {}
        self.position = (0, 0)
        """Pan and tilt in degrees."""

    def state(self) -> dict[str, Any]:
        return {
            "pan": self.position[0],
            "tilt": self.position[1],
            "presets": {number: [place.name, place.pan, place.tilt] for number, place in self.presets.items()},
            "parameters": dict(self.parameters),
            "streaming": self._streaming,
        }

    def family_fault(self, fault: Fault) -> None:
        match fault.kind:
            case "stop-frames":
                self._flow.stop(fault.seconds)
                self._sound_source.silent_until = time.monotonic() + fault.seconds if fault.seconds else math.inf
            case "cut-streams":
                self._pictures_tampering.cut()
                self._sound_tampering.cut()
            case "garbage-parts":
                self._pictures_tampering.garbage_every = fault.every
            case "clear":
                self._flow.resume()
                self._sound_source.silent_until = 0.0
                self._pictures_tampering.clear()

    # Who may ask what, and how

    def find(self, request: Request) -> Command | None:
        commands = self._by_path.get(request.path)
        if commands is None or (request.path in (PTZ, PTZ_CONFIG) and "no-ptz" in self.oddities):
            return None
        sent = request.query.split("&")
        named = [command for command in commands if f"action={command.action}" in sent]
        return meant(named or commands, request.method, {piece.partition("=")[0] for piece in sent})

    def check(self, command: Command, request: Request) -> dict[str, str]:
        values = check(command, request)
        if command.action == "update" and len(values) != 2:
            wrong = "missing_parameter" if len(values) < 2 else "several_updates"
            raise Refused(wrong, f"An update sets one parameter, not {len(values) - 1}.")
        return values

    def unknown(self, request: Request) -> Response:
        path = request.path
        written = {known.lower(): known for known in self._by_path}.get(path.lower())
        if path in self._by_path:
            self.note("not_this_model", f"This camera has no {path}.", request)
        elif written:
            self.violation("path_case", f"The document writes {written}, not {path}.", request)
        elif path.startswith(("/camera-cgi/", "/form/", "/jpg/", "/mjpg/")):
            self.violation("unknown_command", f"The document has no {path}.", request)
        elif path == "/cp.asp":
            self.note("page", "A page for browsers was asked for.", request)
            return Response(200, b"<html><body>Camera</body></html>\r\n", "text/html")
        else:
            return super().unknown(request)
        return Response(404)

    async def run(self, command: Command, values: dict[str, str], request: Request) -> Answer:
        match command.action:
            case "still":
                return Response(200, await self._picture(), "image/jpeg")
            case "stream":
                between = ";\r\n            " if "folded-content-type" in self.oddities else "; "
                kind = f"multipart/x-mixed-replace{between}boundary=myboundary"
                return self._open(kind, self._pictures(), request)
            case "audio":
                if self.parameters["enet_audio_enable"] == "No":
                    self.note("no_audio", "The audio is disabled.", request)
                    return Response(404)
                return self._open("audio/basic", self._sound(), request)
            case "list":
                return self._list(values["group"].split(","), request)
            case "update":
                del values["action"]
                self.parameters.update(values)
                return _ok()
            case "enet":
                del values["enet_source"]
                self.parameters.update(values)
                if "enet-page" in self.oddities:
                    return Response(200, b"<html><body>Saved.</body></html>\r\n", "text/html")
                return Response(302, headers=(("Location", f"{self.url}/cp.asp"),))
        self._turn(command.action, values, request)
        return _ok()

    # 2.1, 3.2, 4.5 What is told

    def _list(self, groups: list[str], request: Request) -> Response:
        if len(groups) > 1 and "single-group" in self.oddities:
            self.note("single_group", "This camera lists one group at a time.", request)
            return Response(400)
        lines = [line for group in groups for line in self._group(group)]
        if self.oddities & {"root-everywhere", "no-root"}:
            lines = [(name.removeprefix("root."), value) for name, value in lines]
        if "root-everywhere" in self.oddities:
            lines = [(f"root.{name}", value) for name, value in lines]
        if "lower-case-names" in self.oddities:
            lines = [(name.lower(), value) for name, value in lines]
        return Response(200, "".join(f"{name}={value}\r\n" for name, value in lines).encode())

    def _group(self, group: str) -> Lines:
        now = self.parameters
        audio = "yes" if now["enet_audio_enable"] == "Yes" else "disabled"
        match group:
            case "Properties.Image":
                return _image(group, "1280x1024,1024x768,640x480,320x240", "mjpeg,mpeg4")
            case "Properties.Image.I0":
                return _image(group, "1280x1024,640x480,320x240", "mjpeg")
            case "Properties.Image.I1":
                return _image(group, "1024x768,640x480,320x240", "mpeg4")
            case "Image.I0.Appearance":
                names = (f"{group}.Resolution", f"{group}.Compression")
                return [(f"root.{name}", now[name]) for name in names]
            case "Image.I1.Appearance":
                return [(f"root.{group}.Resolution", now[f"{group}.Resolution"]), *self._mpeg4_quality(group)]
            case "Image.I0.Stream" | "Image.I1.Stream":
                return [(f"{group}.FPS", now[f"{group}.FPS"])]
            case "Layout":
                return [("Layout.DefaultVideoFormat", ("mjpeg", "mpeg4")[int(now["enet_avs_default_dual_mode"])])]
            case "Brand":
                return [
                    ("root.Brand.Brand", "Hama GmbH & Co. KG"),
                    ("root.Brand.ProdFullName", "Hama Wireless IP Camera"),
                    ("root.Brand.ProdShortName", "IP - Cam M360"),
                    ("root.Brand.ProdNbr", "00053104"),
                    ("root.Brand.ProdType", "Wireless Lan IP Camera"),
                    ("root.Brand.WebURL", "http://www.hama.de/"),
                ]
            case "Network.Interface.I0.Active.MACAddress":
                return [(group, _hardware_address(self.seed))]
            case "Properties.Firmware":
                return [(f"{group}.Version", "v1.32"), (f"{group}.ModelID", "12"), (f"{group}.VendorID", "1")]
            case "System.HTTPPort":
                return [(group, str(self.port))]
            case "System.PrivateVideoPort":
                return [(group, "4321")]
            case "Properties.VideoServer":
                return [(f"{group}.MaxUsers", str(MAX_USERS)), (f"{group}.CurrentUsers", str(self._streaming))]
            case "Properties.Audio":
                return [
                    (group, audio),
                    (f"{group}.TwoWayAudio", audio),
                    (f"{group}.AudioCodec", "GSM 06.10"),
                    (f"{group}.TwoWayAudioCodec", "GSM 06.10"),
                ]
            case "Properties.PTZ.PTZ":
                return [(group, "no" if "no-ptz" in self.oddities else "yes")]
        raise AssertionError(f"nothing is told about {group}")

    def _mpeg4_quality(self, group: str) -> Lines:
        if self.parameters[f"{group}.stats"] == "0":
            return [(f"root.{group}.stats", "bitrate"), (f"root.{group}.bitrate", self.parameters[f"{group}.bitrate"])]
        less = 0 if "same-quality" in self.oddities else READ_LESS
        quality = int(self.parameters[f"{group}.Compression"]) - less
        return [(f"root.{group}.stats", "compression"), (f"root.{group}.compression", str(quality))]

    # 1, 3.1 Pictures and sound

    def _stills_now(self) -> Stills:
        """The pictures of the present parameters."""
        wanted = self.parameters["Image.I0.Appearance.Resolution"], self.parameters["Image.I0.Appearance.Compression"]
        if self._stills is None or self._stills[0] != wanted:
            width, height = map(int, wanted[0].split("x"))
            quality = QUALITIES[int(wanted[1])]
            stills = Stills(width, height, seed=self.seed, name=self.name, started=self.started, quality=quality)
            self._stills = wanted, stills
        return self._stills[1]

    def _open(self, kind: str, parts: AsyncGenerator[bytes, None], request: Request) -> Answer:
        if self._streaming >= MAX_USERS:
            self.note("full", f"{MAX_USERS} are watching and listening already.", request)
            return Response(503)
        return Stream(kind, parts)

    async def _picture(self) -> bytes:
        return odd_picture(await self._stills_now().latest(), self.oddities)

    async def _pictures(self) -> AsyncGenerator[bytes, None]:
        self._streaming += 1
        try:
            passage, first = Passage(self._pictures_tampering), True
            due = time.monotonic()
            while True:
                picture = await self._picture()
                headers = ("Content-Type: image/jpeg", f"Content-Length: {len(picture)}")
                yield passage.of(odd_part("--myboundary", headers, picture, b"\r\n", self.oddities, first=first))
                if passage.ended:
                    return
                first = False
                due = await self._flow.next(due, 1 / int(self.parameters["Image.I0.Stream.FPS"]))
        finally:
            self._streaming -= 1

    async def _sound(self) -> AsyncGenerator[bytes, None]:
        """Bare frames: what the document calls multipart has no parts."""
        frames = Parts(Packetizer(), lambda frame: frame, self._sound_tampering, b"")

        def heard(frame: bytes, sample: int, wall: float) -> None:
            frames.send(frame)

        self._streaming += 1
        self._sound_source.add(heard)
        try:
            async for ready in frames.stream():
                yield ready
        finally:
            self._sound_source.remove(heard)
            self._streaming -= 1

    # 4 PTZ

    def _turn(self, action: str, values: dict[str, str], request: Request) -> None:
        pan, tilt = self.position
        match action:
            case "move" if values["move"] == "center":
                self.position = 0, 0
            case "move":
                right, up = DIRECTIONS[values["move"]]
                step = 10 - int(self.parameters["enet_avs_pt_speed"])
                self.position = _within(pan + right * step, PAN), _within(tilt + up * step, TILT)
            case "go_to_preset":
                place = self.presets.get(int(values["gotoserverpresetIndex"]))
                if place is None:
                    self.note("no_such_preset", "There is no preset of this number.", request)
                else:
                    self.position = place.pan, place.tilt
            case "set_preset":
                self.presets[int(values["presetNo"])] = Preset(values["setserverpresetname"], pan, tilt)
            case "remove_preset":
                place = self.presets.pop(int(values["presetNo"]), None)
                if place is None or place.name != values["removeserverpresetname"]:
                    self.note("preset_name", "The preset of this number has another name.", request)


def _image(group: str, sizes: str, formats: str) -> Lines:
    return [
        (f"root.{group}.FlipMode", "1"),
        (f"root.{group}.Resolution", sizes),
        (f"root.{group}.Format", formats),
    ]


def _ok() -> Response:
    return Response(200, b"OK\r\n")


def _within(degrees: int, limits: tuple[int, int]) -> int:
    low, high = limits
    return min(max(degrees, low), high)


def _hardware_address(seed: int) -> str:
    digest = hashlib.sha256(f"hama {seed}".encode()).hexdigest().upper()
    return f"00:11:09:{digest[0:2]}:{digest[2:4]}:{digest[4:6]}"
