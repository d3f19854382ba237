"""The POVCAM recorder itself: UIDs, what they stream, and what each command does.

Where the document is silent the simulator decides, and a client should not depend on it:
  - a UID serves the transmission mode it was asked for (vcodec) and no other, and ends with connect=stop;
  - `getuid` beyond the limit of UIDs answers 200 with the text "Access Limit", as sibling devices do;
  - `keep_alive` for a UID the recorder does not know answers 500 (sibling devices), other commands 403. That is a note
    when the recorder once gave this UID (a restart may have lost it) and a violation when it never did;
  - setters answer 204, `h264` and `keep_alive` 200, both without a body;
  - `get_state` in playback or standby mode answers 404;
  - a snapshot before action=start answers 500: the document says start is mandatory after power-on.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar, Literal

from simulators.auth import Level, LockOut, Scheme, User
from simulators.checking import Command, Refused
from simulators.device import Fault, Manners, SimulatedDevice
from simulators.http import Answer, Request, Response, Stream
from simulators.povcam import replies
from simulators.povcam.commands import NOT_SIMULATED, commands
from simulators.video import Receiver, Stills, VideoFormat, VideoSource

MODEL = "AG-UMR20"
VERSION = "V1.02"
BOUNDARY = "--myboundary"
# What keep_alive's `mode` and the `stream` are for the vcodec a UID was asked for.
KEEP_ALIVE_MODE = {"h264": "h.264", "h264_2": "h.264_2", "jpeg": "jpeg"}
STREAM_OF = {"h264": "1", "h264_2": "2"}

SystemFrequency = Literal["59.94", "50"]


def default_streams(system_frequency: SystemFrequency) -> dict[int, VideoFormat]:
    if system_frequency == "50":
        return {
            1: VideoFormat(1280, 720, Fraction(25), 4096),
            2: VideoFormat(640, 360, Fraction(25, 2), 1024),
        }
    return {1: VideoFormat(1280, 720, Fraction(30), 4096), 2: VideoFormat(640, 360, Fraction(15), 1024)}


@dataclass
class Session:
    """One UID."""

    uid: int
    vcodec: str
    peer: str
    begun: float
    heard: float
    expiry: asyncio.TimerHandle
    receiver: Receiver | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class PovcamSimulator(SimulatedDevice):
    family = "povcam"
    faults: ClassVar[tuple[str, ...]] = ("lose-uids", "stop-frames", "lose-packets", "mode")
    """lose-uids; stop-frames for `seconds` (0: until clear); lose-packets: each `every`-th; mode: imaging, playback,
    standby."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str = "",
        seed: int = 1,
        user: str = "admin",
        password: str = "12345",  # noqa: S107 -- a simulated recorder leaves the factory like this
        live_user: str = "",
        live_password: str = "",
        user_auth: bool = False,
        auth_scheme: Scheme = "digest",
        system_frequency: SystemFrequency = "59.94",
        streams: dict[int, VideoFormat] | None = None,
        uid_seconds: float = 90.0,
        max_uids: int = 10,
        reboot_seconds: float = 3.0,
        lockout: LockOut | None = None,
        manners: Manners | None = None,
        control: bool = False,
    ) -> None:
        users = [User(user, password, Level.ADMIN)]
        if live_user:
            users.append(User(live_user, live_password, Level.LIVE))
        name = name or f"UMR20 {seed}"
        super().__init__(
            host=host,
            port=port,
            name=name,
            seed=seed,
            users=tuple(users),
            realm=MODEL,
            user_auth=user_auth,
            auth_scheme=auth_scheme,
            lockout=lockout,
            manners=manners,
            control=control,
        )
        self.commands = commands(system_frequency)
        self.settings = replies.Settings(name[:20], streams or default_streams(system_frequency))
        self.mode = "imaging"
        self._uid_seconds = uid_seconds
        self._max_uids = max_uids
        self._reboot_seconds = reboot_seconds
        self._sessions: dict[int, Session] = {}
        self._next_uid = random.Random(seed).randrange(100, 900)
        self._given: set[int] = set()
        self._jpeg_started = False
        self._sources = {number: self._source(video) for number, video in self.settings.streams.items()}
        self._stills = Stills(640, 360, seed=seed, name=self.settings.cam_title, started=self.started)
        self._actions: dict[str, Callable[[dict[str, str], Request], Coroutine[Any, Any, Answer]]] = {
            "getuid": self._getuid,
            "getinfo": self._getinfo,
            "get_capability": self._get_capability,
            "jpeg": self._jpeg,
            "mjpeg": self._mjpeg,
            "view.cgi": self._view,
            "camera": self._camera,
            "h264": self._h264,
            "keep_alive": self._keep_alive,
            "set_priority_mode": self._set_priority_mode,
            "set_basic": self._set_basic,
            "initial": self._initial,
            "get_priority_mode": self._get_priority_mode,
            "get_basic": self._get_basic,
            "get_state": self._get_state,
        }

    def _source(self, video: VideoFormat) -> VideoSource:
        return VideoSource(video, seed=self.seed, name=self.settings.cam_title, started=self.started)

    # What tests and the side door see

    @property
    def encoding(self) -> list[int]:
        """The streams that are being encoded now."""
        return [number for number, source in self._sources.items() if source.encoding]

    def sessions(self) -> Iterable[dict[str, Any]]:
        now = time.monotonic()
        for session in list(self._sessions.values()):
            receiver = session.receiver
            yield {
                "uid": session.uid,
                "vcodec": session.vcodec,
                "peer": session.peer,
                "age": round(now - session.begun, 3),
                "silent": round(now - session.heard, 3),
                "streaming": {"host": receiver.host, "port": receiver.port} if receiver else None,
            }

    def forget(self) -> None:
        for uid in list(self._sessions):
            self._end(uid)
        self._jpeg_started = False

    def family_fault(self, fault: Fault) -> None:
        match fault.kind:
            case "lose-uids":
                for uid in list(self._sessions):
                    self._end(uid)
            case "stop-frames":
                for source in self._sources.values():
                    source.silent_until = time.monotonic() + fault.seconds if fault.seconds else float("inf")
            case "lose-packets":
                for source in self._sources.values():
                    source.lose_every = fault.every
            case "mode":
                self.mode = fault.mode
            case "clear":
                for source in self._sources.values():
                    source.silent_until, source.lose_every = 0.0, 0
                self.mode = "imaging"

    def unknown(self, request: Request) -> Response:
        if request.path in NOT_SIMULATED:
            self.note("not_simulated", f"{request.path} is documented, but this simulator does not know it.", request)
            return Response(404)
        if request.path.startswith("/cgi-bin/"):
            self.violation("unknown_command", f"The document has no {request.path}.", request)
            return Response(404)
        return super().unknown(request)

    async def run(self, command: Command, values: dict[str, str], request: Request) -> Answer:
        return await self._actions[command.path.removeprefix("/cgi-bin/")](values, request)

    # UIDs

    def _begin(self, vcodec: str, peer: str) -> Session:
        while self._next_uid in self._given:
            self._next_uid += 1
        uid = self._next_uid
        self._given.add(uid)
        now = time.monotonic()
        expiry = asyncio.get_running_loop().call_later(self._uid_seconds, self._end, uid)
        self._sessions[uid] = session = Session(uid, vcodec, peer, now, now, expiry)
        return session

    def _heard(self, session: Session) -> None:
        """The client showed that it is still there."""
        session.heard = time.monotonic()
        session.expiry.cancel()
        session.expiry = asyncio.get_running_loop().call_later(self._uid_seconds, self._end, session.uid)

    def _end(self, uid: int) -> None:
        session = self._sessions.pop(uid, None)
        if session is None:
            return
        session.expiry.cancel()
        session.ended.set()
        self._stop_sending(session)

    def _stop_sending(self, session: Session) -> None:
        if session.receiver is not None:
            self._sources[int(STREAM_OF[session.vcodec])].remove(session.receiver)
            session.receiver = None

    def _session(self, values: dict[str, str], request: Request) -> Session | None:
        """The UID's session, or None with a remark about why there is none."""
        uid = int(values["UID"])
        session = self._sessions.get(uid)
        if session is None:
            if uid in self._given:
                self.note("unknown_uid", f"UID {uid} has ended.", request)
            else:
                self.violation("uid", f"UID {uid} was never given.", request)
        return session

    # 2.1 to 2.3

    def _available(self, vcodec: str) -> bool:
        return not (vcodec == "h264_2" and self.settings.priority_mode.startswith("rec_pb"))

    async def _getuid(self, values: dict[str, str], request: Request) -> Answer:
        vcodec = values["vcodec"]
        if not self._available(vcodec):
            return Response(204)
        if len(self._sessions) >= self._max_uids:
            self.note("access_limit", f"All {self._max_uids} UIDs are in use.", request)
            return Response(200, b"Access Limit\r\n")
        session = self._begin(vcodec, request.peer)
        pairs = replies.uid_reply(session.uid, vcodec, self.settings, self.port, self.seed)
        return Response(200, replies.script(pairs) if values.get("reply") == "browser" else replies.lines(pairs))

    async def _getinfo(self, values: dict[str, str], request: Request) -> Answer:
        return Response(200, replies.lines(replies.device_information(self.settings, self.seed, MODEL, VERSION)))

    async def _get_capability(self, values: dict[str, str], request: Request) -> Answer:
        return Response(200, replies.lines(replies.capability(self.settings)))

    # 2.4 JPEG

    async def _jpeg(self, values: dict[str, str], request: Request) -> Answer:
        session = self._session(values, request)
        if session is None:
            return Response(403)
        if session.vcodec != "jpeg":
            raise Refused("uid", f"UID {session.uid} was asked for {session.vcodec}, not jpeg.", 403)
        if values["connect"] == "stop":
            self._end(session.uid)
            return Response(200)
        for name in ("framerate", "resolution"):
            if name not in values:
                raise Refused("missing_parameter", f"To start, /cgi-bin/jpeg needs {name}.")
        self._heard(session)
        return Stream(_mixed(), self._pictures(float(values["framerate"]), session.ended))

    async def _mjpeg(self, values: dict[str, str], request: Request) -> Answer:
        return Stream(_mixed(), self._pictures(float(values.get("framerate", "5")), asyncio.Event()))

    async def _pictures(self, rate: float, ended: asyncio.Event) -> AsyncGenerator[bytes, None]:
        due = time.monotonic()
        while not ended.is_set():
            picture = await self._stills.latest()
            head = f"{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            yield head.encode() + picture + b"\r\n"
            due = max(due + 1 / rate, time.monotonic() - 1)
            await asyncio.sleep(due - time.monotonic())

    async def _view(self, values: dict[str, str], request: Request) -> Answer:
        if values["action"] != "snapshot":
            self._jpeg_started = values["action"] == "start"
            return Response(200)
        if not self._jpeg_started:
            self.note("not_started", "A snapshot was asked for before action=start.", request)
            return Response(500)
        return Response(200, await self._stills.latest(), "image/jpeg")

    async def _camera(self, values: dict[str, str], request: Request) -> Answer:
        return Response(200, await self._stills.latest(), "image/jpeg")

    # 2.7 H.264

    async def _h264(self, values: dict[str, str], request: Request) -> Answer:
        session = self._session(values, request)
        if session is None:
            return Response(403)
        if STREAM_OF.get(session.vcodec) != values["stream"]:
            raise Refused(
                "uid", f"UID {session.uid} was asked for {session.vcodec}, not for stream {values['stream']}.", 403
            )
        port = int(values["my_port"])
        if values["connect"] == "stop":
            if session.receiver is not None and session.receiver.port != port:
                raise Refused("uid", f"UID {session.uid} streams to port {session.receiver.port}, not {port}.", 403)
            self._end(session.uid)
            return Response(200)
        self._heard(session)
        if session.receiver is None or session.receiver.port != port:
            self._stop_sending(session)
            session.receiver = Receiver(request.peer, port, self.host)
            self._sources[int(values["stream"])].add(session.receiver)
        return Response(200)

    async def _keep_alive(self, values: dict[str, str], request: Request) -> Answer:
        mode, protocol = values["mode"], values["protocol"]
        wanted = {"jpeg": ("http",), "audio": ("rtp", "http")}.get(mode, ("rtp",))
        if protocol not in wanted:
            raise Refused("value", f"{mode} is kept alive with protocol={' or '.join(wanted)}, not {protocol}.", 403)
        stream = {"h.264": "1", "h.264_2": "2"}.get(mode)
        if stream is not None and values.get("stream") != stream:
            raise Refused("missing_parameter", f"{mode} is kept alive with stream={stream}.", 403)
        session = self._session(values, request)
        if session is None:
            return Response(500)
        modes = (KEEP_ALIVE_MODE[session.vcodec], *(("audio",) if session.vcodec in STREAM_OF else ()))
        if mode not in modes:
            raise Refused("uid", f"UID {session.uid} was asked for {session.vcodec}; mode={mode} is another.", 403)
        self._heard(session)
        return Response(200)

    # 4.1, 4.8, 5.1, 5.2, 9.1

    async def _set_priority_mode(self, values: dict[str, str], request: Request) -> Answer:
        self.settings.priority_mode = values["mode"]
        for session in list(self._sessions.values()):
            if not self._available(session.vcodec):
                self._end(session.uid)
        return Response(204)

    async def _set_basic(self, values: dict[str, str], request: Request) -> Answer:
        for name, value in values.items():
            setattr(self.settings, name, value)
        for source in self._sources.values():
            source.name = self.settings.cam_title  # shown from the next start of the encoder on
        return Response(204)

    async def _initial(self, values: dict[str, str], request: Request) -> Answer:
        self.reboot(self._reboot_seconds)
        return Response(204)

    async def _get_priority_mode(self, values: dict[str, str], request: Request) -> Answer:
        return Response(200, replies.lines([("priority_mode", self.settings.priority_mode)]))

    async def _get_basic(self, values: dict[str, str], request: Request) -> Answer:
        return Response(200, replies.lines(replies.basic(self.settings)))

    async def _get_state(self, values: dict[str, str], request: Request) -> Answer:
        if self.mode != "imaging":
            self.note("not_imaging", f"The recorder is in {self.mode} mode.", request)
            return Response(404)
        return Response(200, replies.lines(replies.state()))


def _mixed() -> str:
    return f"multipart/x-mixed-replace; boundary={BOUNDARY}"
