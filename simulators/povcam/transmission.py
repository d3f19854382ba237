"""Section 2: UIDs, what they stream, and the recorder's description of itself."""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from PIL import Image

from simulators.checking import Refused
from simulators.http import Answer, Request, Response, Stream
from simulators.povcam import replies
from simulators.povcam.answers import OK, Action, Declined, Values, script, told
from simulators.povcam.settings import H264, Settings
from simulators.rtp import MTU
from simulators.video import Receiver, Stills, VideoFormat, VideoSource

BOUNDARY = "--myboundary"
# What keep_alive's `mode` and the `stream` are for the vcodec a UID was asked for.
KEEP_ALIVE_MODE = {"h264": "h.264", "h264_2": "h.264_2", "jpeg": "jpeg"}
STREAM_OF = {"h264": 1, "h264_2": 2}
HEIGHTS = {"640": 360, "1280": 720, "1920": 1080, "3840": 2160}
IP_AND_UDP = 28  # bytes of a packet that are not RTP


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
    audio: asyncio.Event | None = None
    """Set when the audio being sent ends; None while none is."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Transmission:
    def __init__(
        self,
        settings: Settings,
        streams: dict[int, VideoFormat],
        *,
        name: str,
        seed: int,
        started: float,
        uid_seconds: float,
        max_uids: int,
        address: Callable[[], tuple[str, int]],
    ) -> None:
        self._settings = settings
        self._seed = seed
        self._uid_seconds = uid_seconds
        self._max_uids = max_uids
        self._address = address
        self._sessions: dict[int, Session] = {}
        self._next_uid = random.Random(seed).randrange(100, 900)
        self._given: set[int] = set()
        self._jpeg_started = False
        self._sources = {
            number: VideoSource(video, seed=seed, name=name, started=started) for number, video in streams.items()
        }
        self._groups: dict[int, Receiver] = {}
        self._stills = Stills(640, 360, seed=seed, name=name, started=started)
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
                "audio": session.audio is not None,
            }

    def lose_uids(self) -> None:
        for uid in list(self._sessions):
            self._end(uid)

    def restart(self) -> None:
        """Forget what a restart forgets."""
        self.lose_uids()
        self._jpeg_started = False

    def silence(self, until: float) -> None:
        for source in self._sources.values():
            source.silent_until = until

    def lose_packets(self, every: int) -> None:
        for source in self._sources.values():
            source.lose_every = every

    def apply(self) -> None:
        """Let changed settings take effect: formats and titles at once, and what is no longer sent ends."""
        for number, source in self._sources.items():
            source.name = self._settings.basic.cam_title  # shown from the next start of the encoder on
            source.change(_format(self._settings.h264[number], source.format))
        for session in list(self._sessions.values()):
            if not self._available(session.vcodec) or self._moved(session):
                self._end(session.uid)

    def _moved(self, session: Session) -> bool:
        """Whether the settings now send a stream elsewhere: by multicast instead of unicast, or to another group."""
        if session.receiver is None:
            return False
        number = STREAM_OF[session.vcodec]
        h264 = self._settings.h264[number]
        if session.receiver is self._groups.get(number):
            return (h264.h264_unimulti, *_group(h264)) != ("multi", session.receiver.host, session.receiver.port)
        return h264.h264_unimulti == "multi"

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
        self._stop_sending(session)

    def _stop_audio(self, session: Session) -> None:
        if session.audio is not None:
            session.audio.set()
            session.audio = None

    def _stop_sending(self, session: Session) -> None:
        receiver, session.receiver = session.receiver, None
        if receiver is None:
            return
        number = STREAM_OF[session.vcodec]
        if receiver is self._groups.get(number):
            if any(other.receiver is receiver for other in self._sessions.values()):
                return
            del self._groups[number]
        self._sources[number].remove(receiver)

    def _session(self, values: Values, status: int = 403) -> Session:
        uid = int(values["UID"])
        session = self._sessions.get(uid)
        if session is not None:
            return session
        if uid in self._given:  # a restart may have lost it, without the client's fault
            raise Declined("unknown_uid", f"UID {uid} has ended.", status)
        raise Refused("uid", f"UID {uid} was never given.", status)

    # 2.1 to 2.3

    def _available(self, vcodec: str) -> bool:
        if vcodec == "jpeg":
            return self._settings.jpeg.jpeg_transmit1 == "1"
        if vcodec == "h264_2" and self._settings.priority_mode.startswith("rec_pb"):
            return False
        return self._settings.h264[STREAM_OF[vcodec]].h264_transmit == "1"

    async def _getuid(self, values: Values, request: Request) -> Answer:
        vcodec = values["vcodec"]
        if not self._available(vcodec):
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
        due = time.monotonic()
        while not ended.is_set():
            picture = await self._picture()
            head = f"{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            yield head.encode() + picture + b"\r\n"
            due = max(due + 1 / rate, time.monotonic() - 1)
            await asyncio.sleep(due - time.monotonic())

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
        return await self._stills.latest() if self._available("jpeg") else _black()

    # 2.7 H.264 and audio

    async def _h264(self, values: Values, request: Request) -> Answer:
        number = int(values["stream"])
        multicast = self._settings.h264[number].h264_unimulti == "multi"
        if not multicast and "my_port" not in values:
            raise Refused("missing_parameter", "By unicast, /cgi-bin/h264 needs my_port.")
        session = self._session(values)
        if STREAM_OF.get(session.vcodec) != number:
            raise Refused("uid", f"UID {session.uid} was asked for {session.vcodec}, not for stream {number}.", 403)
        receiver = session.receiver
        port = 0 if multicast else int(values["my_port"])
        if values["connect"] == "stop":
            if receiver is not None and not multicast and receiver.port != port:
                raise Refused("uid", f"UID {session.uid} streams to port {receiver.port}, not {port}.", 403)
            self._end(session.uid)
            return OK
        self._heard(session)
        if receiver is None or (not multicast and receiver.port != port):
            self._stop_sending(session)
            session.receiver = self._group(number) if multicast else self._unicast(number, request.peer, port)
        return OK

    def _unicast(self, number: int, host: str, port: int) -> Receiver:
        receiver = Receiver(host, port, self._address()[0], mtu=self._mtu())
        self._sources[number].add(receiver)
        return receiver

    def _group(self, number: int) -> Receiver:
        """The multicast group of a stream, which all who asked for it share."""
        if number not in self._groups:
            h264 = self._settings.h264[number]
            host, port = _group(h264)
            receiver = Receiver(host, port, self._address()[0], mtu=self._mtu(), ttl=int(h264.multicast_ttl))
            self._groups[number] = receiver
            self._sources[number].add(receiver)
        return self._groups[number]

    def _mtu(self) -> int:
        return min(MTU, int(self._settings.network.rtp_packet_max) - IP_AND_UDP)

    async def _audio(self, values: Values, request: Request) -> Answer:
        """Started and stopped like the real one, without a sound."""
        if values["protocol"] == "rtp" and "my_port" not in values:
            raise Refused("missing_parameter", "By RTP, /cgi-bin/audio needs my_port.")
        session = self._session(values)
        if values["connect"] == "stop":
            self._stop_audio(session)
            return OK
        if self._settings.audio.audio == "off":
            raise Declined("audio_off", "The audio input is off.")
        self._heard(session)
        self._stop_audio(session)
        session.audio = asyncio.Event()
        return Stream("audio/aac", _silence(session.audio)) if values["protocol"] == "http" else OK

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


async def _silence(ended: asyncio.Event) -> AsyncGenerator[bytes, None]:
    await ended.wait()
    yield b""


def _group(h264: H264) -> tuple[str, int]:
    return h264.multicast_addr, int(h264.multicast_port)


def _format(h264: H264, now: VideoFormat) -> VideoFormat:
    width = int(h264.h264_resolution)
    height = now.height if width == now.width else HEIGHTS[h264.h264_resolution]
    return VideoFormat(width, height, Fraction(h264.framerate), int(h264.h264_bandwidth))


def _mixed() -> str:
    return f"multipart/x-mixed-replace; boundary={BOUNDARY}"


def _black() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (640, 360)).save(file, "JPEG")
    return file.getvalue()
