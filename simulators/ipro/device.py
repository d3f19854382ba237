"""The recorder itself: its UIDs, what they stream and play, its cameras, its records, and what each command does.

Where the document is silent the simulator decides, and a client should not depend on it:
  - `dlogin`, `as_getinfo` and `recordedtime` carry no UID and want Digest credentials (`user_auth=False`: nothing);
    every other command is admitted by its UID alone. More than eight wrong logins within 30 s lock an address out for
    30 s with 403;
  - a dead UID is answered 401 with the Digest's challenge, and again 401 when the challenge is met: only a new login
    helps. That is a note for a UID the recorder once issued and a violation for one it never did. A command without
    UID is answered the same way and is a violation;
  - what the document does not allow is answered 400; what comes in the wrong order or is one stream too many 503;
  - the administrator has priority 2, the live user 1. A login beyond the maximum ends the UID of the lowest priority,
    among equals the one issued first; if all have a higher priority than the newcomer it is refused with 503;
  - START and STOP of one camera by one UID more than eight times within 10 s are answered 204;
  - START wants SCREEN=16X before, or a PLAYCMD=STOP (3.1.7); a second START of the same camera is refused even if it
    is the same; at most 16 cameras count, their audio does not; audio ends with its video; a STOP that finds nothing
    is a note and answered 200; a STOP must name COMP and PORT of its START;
  - MASK is refused while live pictures run, and names 1 to 16 registered cameras; it stays valid after PLAYCMD=STOP,
    until a live START. NEXTFRAME and PREVFRAME want a pause before, the others a running playback, GOTODATE and PLAY
    only a MASK. A PLAYCMD=STOP that finds nothing is a note and answered 200;
  - every fourth camera sends H.265, 10 pictures a second of 512x288, the others H.264, 15 of 640x360 (`codecs`,
    `rate`, `size`), each with sound in AAC (`audio`). START with another COMP than the camera's is answered 200 and
    stays silent; COMP=JPEG shows a placeholder for a camera of H.265, which sends no JPEG. Camera n of a recorder with
    seed s has the seed 16 s + n in its pictures. A client that closes an HTTP stream without STOP has ended it, and its
    audio with its video: a note;
  - commands that answer nothing answer 200 without a body;
  - a registered camera that does not answer (CAM_CONNECT 2) takes START and stays silent; its controls are answered
    503, as are pan, tilt, zoom, focus and presets of a camera without them: those with an even number. Iris and AUX
    every camera has. An axis left out of a directctrl goes on by itself; recalling a preset that was never set moves
    nothing and is a note;
  - a movement that ends by itself after 2 s, because nobody stopped it, is a note, as is a UID that expires;
  - the error log runs from old to new and the event log from new to old, as in the examples; summer time is an hour on
    top of the zone in the log. The disks hold what was recorded longest ago until it is overwritten;
  - the recorder supports 16, 32, 64 or 128 cameras, the fewest that hold those it has; CAM_CONNECT and MASK have that
    many places.

Pacing is measured per client address: 3 s between general commands, 0.2 s between camera controls, 0.2 s between steps
(NEXTFRAME, PREVFRAME); the sequences of starting and stopping, keep-alives and the pulls of a playback are free as
long as they come one at a time. GOTODATE is free when it starts a playback, and general when it moves a running one.

Not here yet: recordings. `camera` and `playaudio` answer 204, `httpdl` that nothing was recorded, each with the note
"not_simulated".
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar

from simulators.auth import Level, LockOut, Scheme, User
from simulators.checking import Command, Refused
from simulators.device import PATIENCE, Fault, SimulatedDevice
from simulators.http import Answer, Request, Response
from simulators.ipro import download, playback, replies
from simulators.ipro.archive import Archive, Coding, Span, coding
from simulators.ipro.cameras import Camera, Status
from simulators.ipro.commands import (
    CAMERA_CONTROL,
    GENERAL,
    GENERAL_PLAYBACK,
    LONGEST_DOWNLOAD,
    STEPS,
    Path,
    check,
    moment,
    paths,
)
from simulators.ipro.download import LARGEST_DRAWN, LARGEST_LOOPED, Downloads
from simulators.ipro.information import H264, H265, JPEG
from simulators.ipro.live import AUDIO, Live, plan
from simulators.ipro.playback import PAUSED, SPOILED, Player, Spoil
from simulators.ipro.records import GIGABYTES_PER_HOUR, Disks, Entry, Logs, Zone
from simulators.ipro.reel import Reel
from simulators.ipro.uids import LiveStream, Playback, Session, Uids
from simulators.oddities import chosen
from simulators.picture import picture_size

ODDITIES = {
    "all-information": "packets and pictures carry every id of section 7",
    "no-extension": "packets and pictures carry no additional information",
    "no-part-length": "the parts of HTTP streams have no Content-Length",
    **playback.ODDITIES,
    **download.ODDITIES,
}

REALM = "Network disk recorder"
SUPPORTED = (16, 32, 64, 128)
STREAMS_PER_UID = 16
SWITCHES, SWITCH_SECONDS = 8, 10.0
RECORDED_HOURS = 6.0
PRIORITY = {Level.ADMIN: 2, Level.LIVE: 1}
OTHERS_PRIORITY = {"": 2, "low": 0, "high": 3}
CAMERA_FAULTS = {"lost": Status.CONNECTION_ERROR, "found": Status.NORMAL, "unregistered": Status.NOT_REGISTERED}
STREAM_FAULTS = frozenset({"stop-frames", "stop-sound", "lose-packets", "late-packets", "cut-streams", "codec", "size"})
DOWNLOAD_FAULTS = frozenset(
    {"busy-downloads", "stop-downloads", "slow-downloads", "cut-downloads", "long-parts", "split-files"}
)
PULLS = frozenset({"/cgi-bin/camera.cgi", "/cgi-bin/playaudio.cgi"})
DOWNLOAD_NOTES = {
    download.NOTHING: ("nothing_recorded", "Nothing was recorded then."),
    download.WRONG_CODEC: ("wrong_codec", "JPEG does not fit into MP4."),
    download.BUSY: ("downloads_busy", "Two downloads run already."),
}

OfUid = Callable[[Session, dict[str, str], Request], Answer | Awaitable[Answer]]
OfAnybody = Callable[[dict[str, str], Request], Answer]


@dataclass(frozen=True)
class Gaps:
    """The gaps the recorder wants between commands of one client, in seconds."""

    general: float = 3.0
    camera: float = 0.2


class IproSimulator(SimulatedDevice):
    family = "ipro"
    keep_alive = True
    faults: ClassVar[tuple[str, ...]] = (
        *("lose-uids", "fill-uids", "pass-time", "camera", "event", "fill-disks"),
        *("stop-frames", "stop-sound", "lose-packets", "late-packets", "cut-streams", "garbage-parts", "codec", "size"),
        *("erase", "spoil-gops", *sorted(DOWNLOAD_FAULTS)),
    )
    """lose-uids; fill-uids: other people's clients hold `number` UIDs (mode: low or high priority; 0 lets go of them);
    pass-time: `seconds` go by at once; camera `number` is (mode) lost, found or unregistered; event: a motion alarm of
    camera `number`; fill-disks.

    Of the streams of camera `number` (0: of all): stop-frames and stop-sound for `seconds` (0: until clear);
    lose-packets: each `every`-th; late-packets: each `every`-th comes `times` packets later; cut-streams: all that run
    end in the middle of the next picture, over HTTP inside a part; codec: it sends, and records, (mode) H264, H265 or
    JPEG from now on; size: (mode) 1280x720. garbage-parts: before each `every`-th part of every HTTP stream come bytes
    that belong to none.

    Of the recordings: erase: camera `number` (0: all) has lost what it recorded between two times (mode), such as
    2026-11-20T12:00:00Z/2026-11-20T12:05:00Z. spoil-gops: of the next `times` answers of camera.cgi (mode) one length
    is wrong, half is missing (torn) or bytes that belong to nothing are in it (noise). busy-downloads: others run
    `number` downloads. Of all downloads: stop-downloads: nothing comes for `seconds` (0: until clear); slow-downloads:
    `seconds` pass between two parts; cut-downloads: `times` of the next parts with data end half way, and their
    download with them; long-parts: the next `times` parts say that they are longer; split-files: a file holds
    `seconds` of MP4."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str = "",
        seed: int = 1,
        cameras: int = 8,
        user: str = "ADMIN",
        password: str = "12345",  # noqa: S107 -- a simulated recorder leaves the factory like this
        live_user: str = "",
        live_password: str = "",
        user_auth: bool = True,
        auth_scheme: Scheme = "digest",
        tls: bool = False,
        ptz_steps: int = 16,
        uid_seconds: float = 90.0,
        max_uids: int = 16,
        uid_digits: int = 19,
        codecs: str = "H264,H264,H264,H265",
        audio: str = "aac",
        pictures: str = "live",
        size: str = "",
        rate: int = 0,
        kilobits: int = 0,
        oddities: str = "",
        disks: tuple[int, ...] = (4001, 4001),
        recorded_hours: float = RECORDED_HOURS,
        largest_file: int = 0,
        zone: Zone | None = None,
        lockout: LockOut | None = None,
        gaps: Gaps | None = None,
        control: bool = False,
    ) -> None:
        if not 1 <= cameras <= SUPPORTED[-1]:
            raise ValueError(f"A recorder has 1 to {SUPPORTED[-1]} cameras, not {cameras}.")
        if ptz_steps not in (16, 256):
            raise ValueError(f"Cameras are steered in 16 or 256 steps, not {ptz_steps}.")
        if not 0 <= recorded_hours <= 24 * 365:
            raise ValueError("A recorder holds 0 hours to a year of recordings.")
        sent = plan(codecs=codecs, audio=audio, pictures=pictures, size=size, rate=rate, kilobits=kilobits)
        users = [User(user, password, Level.ADMIN)]
        if live_user:
            users.append(User(live_user, live_password, Level.LIVE))
        super().__init__(
            host=host,
            port=port,
            name=name or f"{replies.MODEL} {seed}",
            seed=seed,
            users=tuple(users),
            realm=REALM,
            user_auth=user_auth,
            auth_scheme=auth_scheme,
            lockout=lockout,
            manners=None,
            control=control,
            tls=tls,
        )
        channels = next(supported for supported in SUPPORTED if supported >= cameras)
        self.commands = paths(channels=channels, ptz_steps=ptz_steps)
        self.cameras = {number: self._camera(number, cameras) for number in range(1, channels + 1)}
        self.uids = Uids(clock=self._now, seconds=uid_seconds, most=max_uids, digits=uid_digits)
        self._skipped = 0.0
        self._ptz_steps = ptz_steps
        self._plan = sent
        self._zone = zone or Zone(60, summer=False)
        self._gaps = gaps or Gaps()
        self.live = Live(
            self.cameras.values(),
            sent,
            seed=seed,
            started=self.started,
            zone=self._zone,
            host=lambda: self.host,
            skipped=lambda: self._skipped,
            oddities=chosen(oddities, ODDITIES),
        )
        self._priorities = {each.name: PRIORITY[each.level] for each in users}
        self._disks = Disks(disks, cameras * GIGABYTES_PER_HOUR, self._wall() - recorded_hours * 3600)
        self._logs = Logs(seed, cameras, self._wall())
        self.archive = Archive(
            lambda number: self._coding(number, sent.codec(number)),
            oldest=lambda: self._disks.oldest(self._wall()),
            now=self._wall,
        )
        self.archive.erase(*self._logs.lost)
        self._reel = reel = Reel(seed=self.live.seed, loops=sent.loops, kilobits=sent.kilobits)
        odd = chosen(oddities, ODDITIES)
        self._player = Player(self.archive, reel, sound=sent.audio, zone=self._zone, oddities=odd)
        self._downloads = Downloads(
            self.archive,
            reel,
            sound=sent.audio,
            zone=self._zone,
            oddities=odd,
            largest=largest_file or (LARGEST_LOOPED if sent.loops else LARGEST_DRAWN),
        )
        self._timer: asyncio.TimerHandle | None = None
        self._under_way: Counter[str] = Counter()
        self._without_uid: dict[str, OfAnybody] = {
            "dlogin": self._dlogin,
            "as_getinfo": self._as_getinfo,
            "recordedtime": self._recordedtime,
        }
        self._with_uid: dict[str, OfUid] = {
            "hdrctl": self._hdrctl,
            "push": self._push,
            "status": self._status,
            "logout": self._logout,
            "camera": self._played_pictures,
            "playaudio": self._played_sound,
            "directctrl": self._directctrl,
            "camctl": self._camctl,
            "loglist": self._loglist,
            "httpdl": self._httpdl,
        }

    def _camera(self, number: int, registered: int) -> Camera:
        status = Status.NORMAL if number <= registered else Status.NOT_REGISTERED
        return Camera(number, status, ptz=number % 2 == 1, clock=self._now)

    def _coding(self, number: int, codec: str, size: tuple[int, int] | None = None) -> Coding:
        video = self._plan.video(codec)
        width, height = size or (video.width, video.height)
        return coding(number, codec, width, height, int(video.rate))

    # The recorder's time, which tests may hasten

    def _now(self) -> float:
        return time.monotonic() + self._skipped

    def _wall(self) -> float:
        return time.time() + self._skipped

    def _tick(self) -> None:
        """End what has run out, and come back when the next thing will."""
        for session in self.uids.end_expired():
            if session.login is not None:
                self.note("uid_expired", f"UID {session.uid} was left to die.", session.login)
        for camera in self.cameras.values():
            if camera.come_to_rest() and camera.moved_by is not None:
                self.note("ran_out", f"Nobody stopped camera {camera.number}.", camera.moved_by)
        if self._timer is not None:
            self._timer.cancel()
        ends = [self.uids.next_expiry(), *(camera.next_rest() for camera in self.cameras.values())]
        due = min((end for end in ends if end is not None), default=None)
        if due is None:
            self._timer = None
        else:
            self._timer = asyncio.get_running_loop().call_later(max(due - self._now(), 0.001), self._tick)

    # What tests and the side door see

    def sessions(self) -> Iterable[dict[str, Any]]:
        now = self._now()
        for session in self.uids:
            yield {
                "uid": session.uid,
                "who": session.login.who if session.login else "somebody else",
                "priority": session.priority,
                "peer": session.login.peer if session.login else None,
                "age": round(now - session.begun, 3),
                "silent": round(now - session.heard, 3) if session.login else 0.0,
                "live": _streams(session.live),
                "audio": _streams(session.audio),
                "playback": _playback(session),
            }

    def state(self) -> dict[str, Any]:
        return {
            "used_uids": len(self.uids),
            "cameras": {
                str(number): _camera_state(camera) | self.live.state(number) for number, camera in self.cameras.items()
            },
            "recordings": {
                str(number): [_span(span) for span in self.archive.spans(number)]
                for number, camera in self.cameras.items()
                if camera.status is not Status.NOT_REGISTERED
            },
            "downloads": self._downloads.running,
        }

    def forget(self) -> None:
        self._reel.rest()
        for session in self.uids:
            self.uids.end(session)
        for camera in self.cameras.values():
            camera.move(0, 0, 0)
        if self._timer is not None:
            self._timer.cancel()

    def inject(self, kind: str, **details: Any) -> None:
        number, mode = details.get("number", 0), details.get("mode", "")
        if kind == "camera" and mode not in CAMERA_FAULTS:
            raise ValueError(f"A camera can be {', '.join(CAMERA_FAULTS)}, not '{mode}'.")
        if kind in ("camera", "event") and number not in self.cameras:
            raise ValueError(f"The recorder supports no camera {number}.")
        if kind == "fill-uids" and (mode not in OTHERS_PRIORITY or not 0 <= number <= self.uids.most):
            raise ValueError(f"Others can hold 0 to {self.uids.most} UIDs, of low or high priority or of the same.")
        if kind in STREAM_FAULTS and number and number not in self.cameras:
            raise ValueError(f"The recorder supports no camera {number}.")
        if kind == "codec" and mode not in (H264, H265, JPEG):
            raise ValueError(f"A camera sends {H264}, {H265} or {JPEG}, not '{mode}'.")
        if kind == "erase":
            _two_times(mode)
            if number and number not in self.cameras:
                raise ValueError(f"The recorder supports no camera {number}.")
        if kind == "spoil-gops" and mode not in SPOILED:
            raise ValueError(f"A GOP can be spoilt in its {', '.join(SPOILED)}, not '{mode}'.")
        if kind == "size":
            picture_size(mode)
        super().inject(kind, **details)

    def family_fault(self, fault: Fault) -> None:
        match fault.kind:
            case "lose-uids":
                for session in self.uids:
                    self.uids.end(session)
            case "fill-uids":
                self._fill_uids(fault.number, OTHERS_PRIORITY[fault.mode])
            case "pass-time":
                self._skipped += fault.seconds
            case "camera":
                self._change(self.cameras[fault.number], CAMERA_FAULTS[fault.mode])
            case "event":
                self._logs.grow(self._wall())
                self._logs.events.append(Entry(self._wall(), f"SITE(VMD)-{fault.number}"))
            case "fill-disks":
                self._disks.fill(self._wall())
            case "erase":
                self.archive.erase(fault.number, *_two_times(fault.mode))
            case "spoil-gops":
                self._player.spoil = Spoil(fault.mode, fault.times)
            case name if name in DOWNLOAD_FAULTS:
                self._disturb_downloads(fault)
            case "clear":
                self.live.clear()
                self._player.spoil = Spoil()
                self._downloads.faults = download.Faults()
                self._fill_uids(0, 0)
                for camera in self.cameras.values():
                    if camera.status is Status.CONNECTION_ERROR:
                        self._change(camera, Status.NORMAL)
            case _:
                self._disturb_streams(fault)
        self._tick()

    def _disturb_downloads(self, fault: Fault) -> None:
        faults = self._downloads.faults
        match fault.kind:
            case "busy-downloads":
                faults.busy = fault.number
            case "stop-downloads":
                faults.stalled_until = time.monotonic() + fault.seconds if fault.seconds else math.inf
            case "slow-downloads":
                faults.pause = fault.seconds
            case "cut-downloads":
                faults.cuts = fault.times
            case "long-parts":
                faults.wrong_lengths = fault.times
            case "split-files":
                faults.split_seconds = fault.seconds

    def _record(self, number: int, codec: str = "", size: tuple[int, int] | None = None) -> None:
        """Record in another way from now on; number 0: all cameras."""
        for camera in [number] if number else [each.number for each in self.cameras.values() if each.status]:
            new = self._coding(camera, codec or self.archive.coding(camera).codec, size)
            if new != self.archive.coding(camera):
                self.archive.change(camera, new)

    def _disturb_streams(self, fault: Fault) -> None:
        until = time.monotonic() + fault.seconds if fault.seconds else math.inf
        match fault.kind:
            case "stop-frames":
                self.live.silence(fault.number, until)
            case "stop-sound":
                self.live.mute(fault.number, until)
            case "lose-packets":
                self.live.lose(fault.number, fault.every)
            case "late-packets":
                self.live.delay(fault.number, fault.every, fault.times)
            case "cut-streams":
                self.live.cut(fault.number)
            case "garbage-parts":
                self.live.tampering.garbage_every = fault.every
            case "codec":
                self.live.switch_codec(fault.number, fault.mode)
                self._record(fault.number, codec=fault.mode)
            case "size":
                self.live.switch_size(fault.number, *picture_size(fault.mode))
                self._record(fault.number, size=picture_size(fault.mode))

    def _fill_uids(self, wanted: int, priority: int) -> None:
        """Let other people's clients hold so many UIDs, by logins and logouts of theirs."""
        others = [session for session in self.uids if session.login is None]
        for session in others[wanted:]:
            self.uids.end(session)
        for _ in range(wanted - len(others)):
            _, victim = self.uids.issue(priority, None)
            if victim is not None and victim.login is not None:
                self.note("evicted", f"Somebody else's login ended UID {victim.uid}.", victim.login)

    def _change(self, camera: Camera, status: Status) -> None:
        if status is Status.CONNECTION_ERROR and camera.status is Status.NORMAL:
            self._logs.errors.append(Entry(self._wall(), f"CAM {camera.number} COMMUNICATION ERROR"))
        if status is Status.NORMAL and camera.status is Status.CONNECTION_ERROR:
            self._logs.errors.append(Entry(self._wall(), f"CAM {camera.number} COMMUNICATION RECOVERED"))
        if status is Status.NOT_REGISTERED:
            for session in self.uids:
                session.stop_live(camera.number)
        camera.status = status
        self.live.changed(camera.number)
        if status is Status.NORMAL:
            self.archive.go_on(camera.number)
        else:
            self.archive.stop(camera.number)

    # Requests

    def unknown(self, request: Request) -> Response:
        if request.path.startswith("/cgi-bin/"):
            self.violation("unknown_command", f"The document has no {request.path}.", request)
            return Response(404)
        return super().unknown(request)

    async def _handle(self, request: Request) -> Answer:
        """Note what comes while another is under way, of the requests that need no gap between them."""
        if request.path in GENERAL | CAMERA_CONTROL or not request.path.startswith("/cgi-bin/"):
            return await super()._handle(request)
        lane = f"{request.peer} {request.query}" if request.path in PULLS else request.peer
        if self._under_way[lane]:
            self.note("overlap", "Another request of this client is still under way.", request)
        self._under_way[lane] += 1
        try:
            return await super()._handle(request)
        finally:
            self._under_way[lane] -= 1
            if not self._under_way[lane]:
                del self._under_way[lane]

    def check(self, command: Command, request: Request) -> dict[str, str]:
        assert isinstance(command, Path)
        if command.level is Level.NOBODY and not any(piece.startswith("UID=") for piece in request.query.split("&")):
            raise Refused("missing_uid", f"{command.path} needs UID.", 401, self.authenticator.challenge())
        return check(command, request)

    def pace(self, command: Command, values: dict[str, str], request: Request) -> None:
        lane = self._lane(command.path, values)
        if lane is not None:
            wanted = self._gaps.general if lane == "general" else self._gaps.camera
            self.expect_gap(f"pacing-{lane}", lane, wanted, request)

    def _lane(self, path: str, values: dict[str, str]) -> str | None:
        if path in GENERAL:
            return "general"
        if path in CAMERA_CONTROL:
            return "camera"
        playcmd = values.get("PLAYCMD")
        if playcmd in STEPS:
            return "step"
        session = self.uids.find(values.get("UID", ""))
        if playcmd == "GOTODATE" and (session is None or session.playback is None):
            return None
        return "general" if playcmd in GENERAL_PLAYBACK else None

    async def run(self, command: Command, values: dict[str, str], request: Request) -> Answer:
        self._tick()
        try:
            name = command.path.removeprefix("/cgi-bin/").removesuffix(".cgi")
            if name in self._without_uid:
                return self._without_uid[name](values, request)
            session = self.uids.find(values["UID"])
            if session is None:
                return self._dead(values["UID"], request)
            self.uids.heard(session)
            answer = self._with_uid[name](session, values, request)
            return await answer if isinstance(answer, Awaitable) else answer
        finally:
            self._tick()

    def _dead(self, uid: str, request: Request) -> Response:
        challenge = self.authenticator.challenge()
        if not self.uids.was_issued(uid):
            raise Refused("uid", f"UID {uid} was never issued.", 401, challenge)
        self.note("dead_uid", f"UID {uid} is dead.", request)
        return Response(401, headers=challenge)

    # 6 Login, logout, keep-alive, download

    def _dlogin(self, values: dict[str, str], request: Request) -> Answer:
        priority = self._priorities.get(request.who, PRIORITY[Level.LIVE])
        session, victim = self.uids.issue(priority, request)
        if session is None:
            self.note("login_refused", "Every UID is in use by somebody with a higher priority.", request)
            return Response(503)
        if victim is not None:
            whose = "somebody else's" if victim.login is None else "its own or another's"
            self.note("evicted", f"The login ended UID {victim.uid}, {whose}.", request)
        return replies.login_page(session.uid)

    def _logout(self, session: Session, values: dict[str, str], request: Request) -> Answer:
        if session.live or session.playback:
            self.note("logout_while_busy", f"UID {session.uid} still streams or plays.", request)
        self.uids.end(session)
        return Response(200)

    def _status(self, session: Session, values: dict[str, str], request: Request) -> Answer:
        return Response(200)

    def _httpdl(self, session: Session, values: dict[str, str], request: Request) -> Answer:
        self._registered(int(values["CAM"]))
        start, end = (moment(values[name], hundredths=False) for name in ("STARTTIME", "ENDTIME"))
        assert start is not None
        assert end is not None
        if not start <= end <= start + LONGEST_DOWNLOAD:
            raise Refused("value", "ENDTIME must be within an hour after STARTTIME.")
        order = self._downloads.order(int(values["CAM"]), start, end, values["KIND"], values["STARTTIME"])
        return self._downloads.answer(order, session.ended, lambda status: self.note(*DOWNLOAD_NOTES[status], request))

    # 2 Live

    def _registered(self, number: int) -> Camera:
        camera = self.cameras[number]
        if camera.status is Status.NOT_REGISTERED:
            raise Refused("camera", f"The recorder has no camera {number}.")
        return camera

    def _push(self, session: Session, values: dict[str, str], request: Request) -> Answer:
        number = self._registered(int(values["CAM"])).number
        if self._too_many(session, number):
            self.note("too_many", f"Camera {number} is started and stopped too often.", request)
            return Response(204)
        audio = values["COMP"] == AUDIO
        streams = session.audio if audio else session.live
        stream = LiveStream(number, values["COMP"], int(values["PORT"]) if "PORT" in values else None)
        if values["CMD"] == "STOP":
            running = streams.get(number)
            if running is None:
                self.note("nothing_to_stop", f"UID {session.uid} does not stream this of camera {number}.", request)
            elif (running.compression, running.port) != (stream.compression, stream.port):
                raise Refused("mismatch", f"START was for {running.compression} to port {running.port}.")
            elif audio:
                session.stop_audio(number)
            else:
                session.stop_live(number)
            return Response(200)
        if not values.keys() & {"PORT", "INTERNETMODE"}:
            raise Refused("missing_parameter", "START needs PORT, or INTERNETMODE for pictures over HTTP.")
        self._may_start(session, number, audio)
        streams[number] = stream
        session.mask = frozenset()

        def left() -> None:
            self.note("ended_without_stop", f"The stream of camera {number} ended without a STOP.", request)
            if audio:
                session.stop_audio(number)
            else:
                session.stop_live(number)

        return self.live.start(stream, request, left)

    def _too_many(self, session: Session, number: int) -> bool:
        now, switched = self._now(), session.switched[number]
        while switched and switched[0] <= now - SWITCH_SECONDS:
            switched.popleft()
        switched.append(now)
        return len(switched) > SWITCHES

    def _may_start(self, session: Session, number: int, audio: bool) -> None:
        if session.playback is not None:
            raise Refused("sequence", "The UID plays recordings: stop that first.", 503)
        if audio:
            if number not in session.live:
                raise Refused("sequence", "Audio wants the camera's video started first.", 503)
            if number in session.audio:
                raise Refused("same_camera", f"The UID has the audio of camera {number} already.", 503)
            return
        if not session.live_ready:
            raise Refused("sequence", "START wants hdrctl.cgi with SCREEN=16X first.", 503)
        if number in session.live:
            raise Refused("same_camera", f"The UID streams camera {number} already: another needs another UID.", 503)
        if len(session.live) >= STREAMS_PER_UID:
            raise Refused("too_many_streams", f"A UID carries {STREAMS_PER_UID} streams.", 503)

    # 2.1.2.1 and 3 Recorder control

    def _hdrctl(self, session: Session, values: dict[str, str], request: Request) -> Answer:
        if "SCREEN" in values:
            if session.playback is not None:
                raise Refused("sequence", "The UID plays recordings: stop that first.", 503)
            session.live_ready = True
        elif session.live:
            raise Refused("sequence", "The UID streams live: stop that first.", 503)
        elif "MASK" in values:
            self._mask(session, values["MASK"])
        else:
            self._play(session, values["PLAYCMD"], values["TIMEF"], request)
        return Response(200)

    def _mask(self, session: Session, mask: str) -> None:
        chosen = frozenset(number for number, digit in enumerate(mask, 1) if digit == "1")
        for number in chosen:
            self._registered(number)
        if not 1 <= len(chosen) <= STREAMS_PER_UID:
            raise Refused("value", f"MASK names {len(chosen)} cameras; a UID plays 1 to {STREAMS_PER_UID}.")
        session.mask = chosen
        session.live_ready = False
        if session.playback is not None:
            self._player.masked(session.playback)

    def _play(self, session: Session, playcmd: str, timef: str, request: Request) -> None:
        before = session.playback
        if playcmd == "STOP":
            if before is None:
                self.note("nothing_to_stop", f"UID {session.uid} plays nothing.", request)
            session.playback = None
            session.live_ready = True
            return
        if not session.mask:
            raise Refused("sequence", f"{playcmd} wants a MASK first.", 503)
        if before is None and playcmd not in ("PLAY", "GOTODATE"):
            raise Refused("sequence", f"{playcmd} wants a playback that has begun.", 503)
        if playcmd in STEPS and (before is None or before.command not in PAUSED):
            raise Refused("sequence", f"{playcmd} wants a playback that pauses.", 503)
        at = moment(timef, hundredths=True)
        if before and at and playcmd not in ("GOTODATE", "BPLAY") and self._player.elsewhere(before, at):
            self.note("timef_elsewhere", f"Nothing that {playcmd} could mean was sent to UID {session.uid}.", request)
        session.playback = self._player.command(before, playcmd, at, self._wall())

    async def _played_pictures(self, session: Session, values: dict[str, str], request: Request) -> Answer:
        playing, number = self._playing(session, values)
        answer = await self._player.pictures(playing, number)
        return answer or self._nothing(
            playing, f"pictures {number}", self._player.no_pictures(playing, number), request
        )

    async def _played_sound(self, session: Session, values: dict[str, str], request: Request) -> Answer:
        playing, number = self._playing(session, values)
        answer = await self._player.sound(playing, number)
        return answer or self._nothing(playing, f"sound {number}", self._player.no_sound(playing, number), request)

    def _playing(self, session: Session, values: dict[str, str]) -> tuple[Playback, int]:
        number = self._registered(int(values["CAM"])).number
        if session.playback is None or number not in session.mask:
            raise Refused("sequence", f"Camera {number} is not being played: it wants MASK and PLAYCMD first.", 503)
        return session.playback, number

    def _nothing(self, playing: Playback, pull: str, answer: Response, request: Request) -> Response:
        """Answer that there is nothing, and note who asks for it over and over."""
        now = self._now()
        if now - playing.empty_at.get(pull, -math.inf) < self._gaps.camera - PATIENCE:
            self.note("pacing-pull", "There was nothing a moment ago.", request)
        playing.empty_at[pull] = now
        return answer

    # 4 Camera control

    def _directctrl(self, session: Session, values: dict[str, str], request: Request) -> Answer:
        if not values.keys() & {"PAN", "TILT", "ZOOM"}:
            raise Refused("missing_parameter", "directctrl.cgi needs PAN, TILT or ZOOM.")
        camera = self._registered(int(values["CH"]))
        if not self._obeys(camera, request, ptz=True):
            return Response(503)
        fastest = {"PAN": self._ptz_steps, "TILT": self._ptz_steps, "ZOOM": 4}
        speeds = {name: int(values[name]) / fastest[name] if name in values else None for name in fastest}
        camera.moved_by = request
        camera.move(speeds["PAN"], speeds["TILT"], speeds["ZOOM"])
        return Response(200)

    def _camctl(self, session: Session, values: dict[str, str], request: Request) -> Answer:
        camera, command = self._registered(int(values["CH"])), values["CMD"]
        if not self._obeys(camera, request, ptz=command != "IRIS" and not command.startswith("AUX")):
            return Response(503)
        number = int(values.get("NO", "0"))
        match command, values.get("CTRL"):
            case "CENTERING", _:
                camera.center(int(values["X"]), int(values["Y"]))
            case "FOCUS", direction:
                camera.focus = {"FAR": camera.focus + 1, "NEAR": camera.focus - 1}.get(str(direction), 0)
            case "IRIS", direction:
                camera.iris = {"OPEN": camera.iris + 1, "CLOSE": camera.iris - 1}.get(str(direction), 0)
            case "PRESETPRG", _:
                camera.presets[number] = camera.position()
            case "PRESET", _ if number in camera.presets:
                camera.look(camera.presets[number])
            case "PRESET", _:
                self.note("preset_unset", f"Camera {camera.number} has no preset {number}.", request)
            case _, "OPEN":
                camera.aux.add(int(command[-1]))
            case _:
                camera.aux.discard(int(command[-1]))
        return Response(200)

    def _obeys(self, camera: Camera, request: Request, *, ptz: bool) -> bool:
        if camera.status is Status.CONNECTION_ERROR:
            self.note("camera_lost", f"Camera {camera.number} does not answer the recorder.", request)
            return False
        if ptz and not camera.ptz:
            self.note("no_ptz", f"Camera {camera.number} cannot be steered.", request)
            return False
        return True

    # 5 Recorder information

    def _loglist(self, session: Session, values: dict[str, str], request: Request) -> Answer:
        self._logs.grow(self._wall())
        kind = values["KIND"]
        entries = list(self._logs.errors if kind == "ERR" else reversed(self._logs.events))
        return replies.log("ERROR" if kind == "ERR" else "EVENT", values["HTML"], entries, self._zone)

    def _recordedtime(self, values: dict[str, str], request: Request) -> Answer:
        return replies.recorded_time(self._disks, self._zone, self._wall())

    def _as_getinfo(self, values: dict[str, str], request: Request) -> Answer:
        status = {number: camera.status for number, camera in self.cameras.items()}
        return replies.connections(status, self.uids.most, len(self.uids))


def _streams(streams: dict[int, LiveStream]) -> list[dict[str, Any]]:
    return [
        {"camera": number, "compression": stream.compression, "port": stream.port} for number, stream in streams.items()
    ]


def _playback(session: Session) -> dict[str, Any] | None:
    playback = session.playback
    if playback is None:
        return None
    at = playback.at.isoformat() if playback.at else None
    return {"cameras": sorted(session.mask), "command": playback.command, "at": at, "speed": playback.speed}


def _span(span: Span) -> dict[str, Any]:
    made = span.coding
    return {
        "start": span.start,
        "end": span.end,
        "codec": made.codec,
        "size": f"{made.width}x{made.height}",
        "rate": made.rate,
        "phase": made.phase,
    }


def _two_times(text: str) -> tuple[float, float]:
    """The two moments of 2026-11-20T12:00:00Z/2026-11-20T12:05:00Z; raises ValueError for anything else."""
    start, _, end = text.partition("/")
    moments = [datetime.fromisoformat(each) for each in (start, end)]
    if any(each.tzinfo is None for each in moments) or moments[0] >= moments[1]:
        raise ValueError(f"'{text}' is not two moments in UTC, one after the other.")
    return moments[0].timestamp(), moments[1].timestamp()


def _camera_state(camera: Camera) -> dict[str, Any]:
    return {
        "status": int(camera.status),
        "ptz": camera.ptz,
        **{name: round(place, 3) for name, place in asdict(camera.position()).items()},
        "moving": camera.moving,
        "focus": camera.focus,
        "iris": camera.iris,
        "aux": sorted(camera.aux),
        "presets": sorted(camera.presets),
    }
