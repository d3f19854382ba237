"""Section 2: UIDs, what they stream, and the recorder's description of itself."""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from simulators.checking import Refused
from simulators.http import Answer, Request, Response, Stream
from simulators.multipart import Passage, part
from simulators.povcam import replies
from simulators.povcam.answers import OK, Action, Declined, Values, script, told
from simulators.povcam.media import AuHeader, Kind, Media, Track, UdpWay, group
from simulators.povcam.settings import Settings

BOUNDARY = "--myboundary"
# What keep_alive's `mode` and the `stream` are for the vcodec a UID was asked for.
KEEP_ALIVE_MODE = {"h264": "h.264", "h264_2": "h.264_2", "jpeg": "jpeg"}
STREAM_OF = {"h264": 1, "h264_2": 2}


@dataclass
class Sending:
    """What a UID is sent by RTP."""

    track: Track
    asked: int
    """The port that was asked for."""
    shared: bool


@dataclass(eq=False)
class Session:
    """One UID."""

    uid: int
    vcodec: str
    peer: str
    begun: float
    heard: float
    expiry: asyncio.TimerHandle
    sending: dict[Kind, Sending] = field(default_factory=dict)
    audio: asyncio.Event | None = None
    """Set when the audio being sent by HTTP ends; None while none is."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Transmission:
    def __init__(
        self,
        settings: Settings,
        media: Media,
        *,
        seed: int,
        uid_seconds: float,
        max_uids: int,
        address: Callable[[], tuple[str, int]],
        au_header: AuHeader,
    ) -> None:
        self._settings = settings
        self._media = media
        self._seed = seed
        self._uid_seconds = uid_seconds
        self._max_uids = max_uids
        self._address = address
        self._sessions: dict[int, Session] = {}
        self._next_uid = random.Random(seed).randrange(100, 900)
        self._given: set[int] = set()
        self._jpeg_started = False
        self._au_header = au_header
        self.actions: dict[str, Action] = {
            "getuid": self._getuid,
            "getinfo": self._getinfo,
            "get_capability": self._get_capability,
            "jpeg": self._jpeg,
            "mjpeg": self._mjpeg,
            "view.cgi": self._view,
            "camera": self._camera,
            "h264": self._h264,
            "audio": self._audio,
            "keep_alive": self._keep_alive,
        }

    # What the device asks of it

    def sessions(self) -> Iterable[dict[str, Any]]:
        now = time.monotonic()
        for session in list(self._sessions.values()):
            way = session.sending["video"].track.way if "video" in session.sending else None
            yield {
                "uid": session.uid,
                "vcodec": session.vcodec,
                "peer": session.peer,
                "age": round(now - session.begun, 3),
                "silent": round(now - session.heard, 3),
                "streaming": {"host": way.host, "port": way.port} if way else None,
                "audio": session.audio is not None or "sound" in session.sending,
            }

    def lose_uids(self) -> None:
        for uid in list(self._sessions):
            self._end(uid)

    def lose_stream(self, number: int) -> None:
        """Forget the UIDs of one stream."""
        for session in list(self._sessions.values()):
            if STREAM_OF.get(session.vcodec) == number:
                self._end(session.uid)

    def restart(self) -> None:
        """Forget what a restart forgets."""
        self.lose_uids()
        self._jpeg_started = False

    def apply(self) -> None:
        """End what is no longer sent, or sent another way."""
        for session in list(self._sessions.values()):
            if not self.available(session.vcodec) or self._moved(session):
                self._end(session.uid)
            elif not self._sends_sound():
                self._stop_audio(session)

    def _moved(self, session: Session) -> bool:
        """Whether the settings now send something elsewhere than it goes."""
        number = STREAM_OF.get(session.vcodec, 1)
        return any(
            (sending.track.way.host, sending.track.way.port) != self._target(number, kind, session.peer, sending.asked)
            for kind, sending in session.sending.items()
        )

    def _target(self, number: int, kind: Kind, peer: str, asked: int) -> tuple[str, int]:
        """Where a stream goes: to the group, to the ports that are set, or where the client asked for it."""
        h264 = self._settings.h264[number]
        if h264.h264_unimulti == "multi":
            return group(h264, kind)
        if h264.h264_unimulti == "uni_manual":
            return peer, int(h264.unicast_port if kind == "video" else h264.unicast_audio_port)
        return peer, asked

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
        self._stop_audio(session)
        self._stop_sending(session, "video")

    def _stop_audio(self, session: Session) -> None:
        if session.audio is not None:
            session.audio.set()
            session.audio = None
        self._stop_sending(session, "sound")

    def _stop_sending(self, session: Session, kind: Kind) -> None:
        sending = session.sending.pop(kind, None)
        if sending is None:
            return
        number = STREAM_OF[session.vcodec]
        if sending.shared:
            self._media.leave(number, kind, session)
        else:
            self._media.close(number, sending.track)

    def _send(self, session: Session, kind: Kind, asked: int) -> None:
        """Send by RTP; what goes there already goes on."""
        number = STREAM_OF[session.vcodec]
        target = self._target(number, kind, session.peer, asked)
        sending = session.sending.get(kind)
        if sending is not None and (sending.track.way.host, sending.track.way.port) == target:
            sending.asked = asked
            return
        self._stop_sending(session, kind)
        shared = self._settings.h264[number].h264_unimulti == "multi"
        if shared:
            track = self._media.join(number, kind, session, self._au_header)
        else:
            track = self._media.track(kind, UdpWay(*target, self._address()[0]), self._au_header)
        session.sending[kind] = Sending(track, asked, shared)
        self._media.start(number, track)

    def _session(self, values: Values, status: int = 403) -> Session:
        uid = int(values["UID"])
        session = self._sessions.get(uid)
        if session is not None:
            return session
        if uid in self._given:  # a restart may have lost it, without the client's fault
            raise Declined("unknown_uid", f"UID {uid} has ended.", status)
        raise Refused("uid", f"UID {uid} was never given.", status)

    # 2.1 to 2.3

    def available(self, vcodec: str) -> bool:
        if vcodec == "jpeg":
            return self._settings.jpeg.jpeg_transmit1 == "1"
        if vcodec == "h264_2" and self._settings.priority_mode.startswith("rec_pb"):
            return False
        return self._settings.h264[STREAM_OF[vcodec]].h264_transmit == "1"

    async def _getuid(self, values: Values, request: Request) -> Answer:
        vcodec = values["vcodec"]
        if not self.available(vcodec):
            return Response(204)
        if len(self._sessions) >= self._max_uids:
            raise Declined("access_limit", f"All {self._max_uids} UIDs are in use.", 200, b"Access Limit\r\n")
        session = self._begin(vcodec, request.peer)
        pairs = replies.uid_reply(session.uid, vcodec, self._settings, self._address()[1])
        return script(pairs) if values.get("reply") == "browser" else told(pairs)

    async def _getinfo(self, values: Values, request: Request) -> Answer:
        return told(replies.device_information(self._settings, self._seed))

    async def _get_capability(self, values: Values, request: Request) -> Answer:
        return told(replies.capability(self._settings.system_frequency))

    # 2.4 JPEG

    async def _jpeg(self, values: Values, request: Request) -> Answer:
        session = self._session(values)
        if session.vcodec != "jpeg":
            raise Refused("uid", f"UID {session.uid} was asked for {session.vcodec}, not jpeg.", 403)
        if values["connect"] == "stop":
            self._end(session.uid)
            return OK
        for name in ("framerate", "resolution"):
            if name not in values:
                raise Refused("missing_parameter", f"To start, /cgi-bin/jpeg needs {name}.")
        self._heard(session)
        return Stream(_mixed(), self._pictures(float(values["framerate"]), session.ended))

    async def _mjpeg(self, values: Values, request: Request) -> Answer:
        return Stream(_mixed(), self._pictures(float(values.get("framerate", "5")), asyncio.Event()))

    async def _pictures(self, rate: float, ended: asyncio.Event) -> AsyncGenerator[bytes, None]:
        passage = Passage(self._media.tampering)
        due = time.monotonic()
        while not ended.is_set():
            picture = await self._picture()
            headers = ("Content-Type: image/jpeg", f"Content-Length: {len(picture)}")
            yield passage.of(part(BOUNDARY, headers, picture))
            if passage.ended:
                return
            due = await self._media.flow.next(due, 1 / rate)

    async def _view(self, values: Values, request: Request) -> Answer:
        if values["action"] != "snapshot":
            self._jpeg_started = values["action"] == "start"
            return OK
        if not self._jpeg_started:
            raise Declined("not_started", "A snapshot was asked for before action=start.")
        return Response(200, await self._picture(), "image/jpeg")

    async def _camera(self, values: Values, request: Request) -> Answer:
        return Response(200, await self._picture(), "image/jpeg")

    async def _picture(self) -> bytes:
        if not self.available("jpeg"):
            return _black()
        return await self._media.stills[self._settings.jpeg.jpeg_quality].latest()

    # 2.7 H.264 and audio

    async def _h264(self, values: Values, request: Request) -> Answer:
        number = int(values["stream"])
        multicast = self._settings.h264[number].h264_unimulti == "multi"
        if not multicast and "my_port" not in values:
            raise Refused("missing_parameter", "By unicast, /cgi-bin/h264 needs my_port.")
        session = self._session(values)
        if STREAM_OF.get(session.vcodec) != number:
            raise Refused("uid", f"UID {session.uid} was asked for {session.vcodec}, not for stream {number}.", 403)
        port = int(values.get("my_port", 0))
        if values["connect"] == "stop":
            self._check_port(session, "video", port)
            self._end(session.uid)
            return OK
        self._heard(session)
        self._send(session, "video", port)
        return OK

    def _check_port(self, session: Session, kind: Kind, port: int) -> None:
        """What is stopped needs the port it was started with."""
        sending = session.sending.get(kind)
        if sending is not None and not sending.shared and sending.asked != port:
            raise Refused("uid", f"UID {session.uid} streams to port {sending.asked}, not {port}.", 403)

    async def _audio(self, values: Values, request: Request) -> Answer:
        session = self._session(values)
        number = STREAM_OF.get(session.vcodec)
        if number is None:
            raise Refused("uid", f"UID {session.uid} was asked for {session.vcodec}, which is without sound.", 403)
        by_rtp = values["protocol"] == "rtp"
        multicast = self._settings.h264[number].h264_unimulti == "multi"
        if by_rtp and not multicast and "my_port" not in values:
            raise Refused("missing_parameter", "By RTP, /cgi-bin/audio needs my_port.")
        port = int(values.get("my_port", 0))
        if values["connect"] == "stop":
            if by_rtp:
                self._check_port(session, "sound", port)
            self._stop_audio(session)
            return OK
        if not self._sends_sound():
            raise Declined("audio_off", "The audio input or its transmission is off.")
        self._heard(session)
        if by_rtp:
            self._send(session, "sound", port)
            return OK
        if session.audio is not None:
            session.audio.set()
        session.audio = asyncio.Event()
        return Stream("audio/aac", self._media.sound.framed(session.audio))

    def _sends_sound(self) -> bool:
        audio = self._settings.audio
        return (audio.audio, audio.audio_transmit) == ("in", "1")

    async def _keep_alive(self, values: Values, request: Request) -> Answer:
        mode, protocol = values["mode"], values["protocol"]
        wanted = {"jpeg": ("http",), "audio": ("rtp", "http")}.get(mode, ("rtp",))
        if protocol not in wanted:
            raise Refused("value", f"{mode} is kept alive with protocol={' or '.join(wanted)}, not {protocol}.", 403)
        stream = {"h.264": "1", "h.264_2": "2"}.get(mode)
        if stream is not None and values.get("stream") != stream:
            raise Refused("missing_parameter", f"{mode} is kept alive with stream={stream}.", 403)
        session = self._session(values, 500)
        modes = (KEEP_ALIVE_MODE[session.vcodec], *(("audio",) if session.vcodec in STREAM_OF else ()))
        if mode not in modes:
            raise Refused("uid", f"UID {session.uid} was asked for {session.vcodec}; mode={mode} is another.", 403)
        self._heard(session)
        return OK


def _mixed() -> str:
    return f"multipart/x-mixed-replace; boundary={BOUNDARY}"


def _black() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (640, 360)).save(file, "JPEG")
    return file.getvalue()
