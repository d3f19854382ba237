"""Sections 12 and 13: control by RTSP.

Where the document is silent, the recorder decides:

  sessions   one RTSP session is one stream; by TCP there is one session per connection (its channels are always 20-23),
             and it ends with the connection; by UDP it outlives it. Without SETUP, PLAY, PAUSE or GET_PARAMETER for the
             time told in SETUP it ends. What no longer can be sent (transmission off, another way set) ends at once.
  delivery   the setting decides (unicast auto: UDP and TCP, unicast manual: UDP, multicast: multicast); another way is
             461
  refusals   404 unknown URL or the sound of a recorder that sends none, 451 GET_PARAMETER with a body, 454 unknown
             session, 455 too early or twice, 457 a Range other than from now on, 460 a track's URL where the stream's
             is needed, 501 any other method, 503 the transmission is off or there are too many sessions
  users      every method, OPTIONS too, needs who would be needed for the same by CGI
"""

from __future__ import annotations

import asyncio
import base64
import random
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from simulators import rtcp
from simulators.checking import Refused
from simulators.http import Request
from simulators.povcam.answers import Declined
from simulators.povcam.media import InterleavedWay, Kind, Media, Track, UdpWay, Way, group
from simulators.povcam.oddities import au_header
from simulators.povcam.settings import Settings
from simulators.povcam.sound import SPECIFIC_CONFIG
from simulators.rtsp import Connection, Reply, port_pair, transport_fields

METHODS = ("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PAUSE", "GET_PARAMETER", "TEARDOWN")
URL = re.compile(r"rtsp://(?P<host>[^/@?]+)/mediainput/h264/stream_(?P<stream>[12])(?:/(?:trackID=(?P<track>\d+))?)?")
RANGES = (None, "npt=0.000-", "npt=now-")
CHANNELS = {1: 20, 2: 22}
KINDS: dict[int, Kind] = {1: "video", 2: "sound"}
MOST_SESSIONS = 32
LOWEST_PORT = 1024


@dataclass
class Part:
    """One track of a session."""

    track: Track
    how: str
    """What SETUP answered as Transport."""
    shared: bool
    reports: int = 0
    """How many receiver reports about it have come."""


@dataclass(eq=False)
class Session:
    name: str
    stream: int
    peer: str
    expiry: asyncio.TimerHandle
    begun: float
    connection: Connection | None = None
    """The connection that carries it; None: it goes by UDP."""
    parts: dict[int, Part] = field(default_factory=dict)
    playing: bool = False

    @property
    def multicast(self) -> bool:
        return any(part.shared for part in self.parts.values())


class Rtsp:
    def __init__(
        self,
        settings: Settings,
        media: Media,
        *,
        available: Callable[[int], bool],
        violation: Callable[[str, str, Request], None],
        timeout: float,
        oddities: frozenset[str],
    ) -> None:
        """`available`: whether a stream can be sent now; `violation` takes what a client did wrong outside of
        requests."""
        self._settings = settings
        self._media = media
        self._available = available
        self._violation = violation
        self._timeout = timeout
        self._au_header = au_header(oddities, "rfc3640")
        self._oddities = oddities
        media.group_report = self._report_of_group
        self._sessions: dict[str, Session] = {}
        self._methods = {
            "OPTIONS": self._options,
            "DESCRIBE": self._describe,
            "SETUP": self._setup,
            "PLAY": self._play,
            "PAUSE": self._pause,
            "GET_PARAMETER": self._get_parameter,
            "TEARDOWN": self._teardown,
        }

    # What the device asks of it

    def sessions(self) -> Iterable[dict[str, Any]]:
        for session in list(self._sessions.values()):
            yield {
                "session": session.name,
                "stream": session.stream,
                "peer": session.peer,
                "age": round(time.monotonic() - session.begun, 3),
                "playing": session.playing,
                "transports": {str(number): part.how for number, part in session.parts.items()},
                "receiver_reports": {str(number): part.reports for number, part in session.parts.items()},
            }

    def lose_sessions(self) -> None:
        for session in list(self._sessions.values()):
            self._end(session)

    def apply(self) -> None:
        """End what the settings no longer send, or send another way."""
        for session in list(self._sessions.values()):
            if not self._available(session.stream) or any(
                part.how != self._transport(session.stream, number, part) for number, part in session.parts.items()
            ):
                self._end(session)
            elif 2 in session.parts and not self._sends_sound():
                self._close(session, 2)

    def cut(self, stream: int) -> None:
        """Break off every session of the stream in the middle of a packet."""
        for session in list(self._sessions.values()):
            if session.stream == stream:
                if 1 in session.parts:
                    session.parts[1].track.way.cut()
                self._end(session)

    def data(self, connection: Connection, channel: int, data: bytes) -> None:
        """What a client sends between its requests."""
        for session in self._sessions.values():
            for number in session.parts:
                if session.connection is connection and channel == CHANNELS[number] + 1:
                    self._heard_report(session, number, data, connection.peer)
                    return
        self._complain("channel", f"Nothing is expected on channel {channel}.", connection.peer)

    # Requests

    async def answer(self, request: Request, connection: Connection) -> Reply:
        if request.method not in self._methods:
            raise Refused("method", f"The recorder knows {', '.join(METHODS)}, not {request.method}.", 501)
        number = int(request.header("cseq") or 0)
        if number <= connection.last_number:
            raise Refused("cseq", f"CSeq {number} follows {connection.last_number}.")
        connection.last_number = number
        url = URL.fullmatch(request.target)
        if url is None:
            raise Refused("url", f"{request.target} is not the URL of a stream or of its track.", 404)
        if request.body and request.method != "GET_PARAMETER":
            raise Refused("body", f"{request.method} takes no body.")
        self._check_shape(request, url["track"])
        return self._methods[request.method](request, connection, int(url["stream"]), int(url["track"] or 0))

    def _check_shape(self, request: Request, track: str | None) -> None:
        """OPTIONS and DESCRIBE are asked of the stream, SETUP of a track, all others of what Content-Base told."""
        slash = request.target.endswith("/")
        if request.method == "SETUP":
            if track not in ("1", "2"):
                raise Refused("url", "SETUP is asked of …/trackID=1 or …/trackID=2.", 404)
        elif track is not None:
            raise Refused("url", f"{request.method} is asked of the stream, not of a track.", 460)
        elif request.method in ("OPTIONS", "DESCRIBE") and slash:
            raise Refused("url", f"{request.method} is asked without a slash at the end.", 404)
        elif request.method not in ("OPTIONS", "DESCRIBE") and not slash:
            raise Refused("url", f"{request.method} is asked of the URL that Content-Base told, with its slash.", 404)

    def _options(self, request: Request, connection: Connection, stream: int, track: int) -> Reply:
        return Reply(headers=(("Public", ", ".join(METHODS)),))

    def _describe(self, request: Request, connection: Connection, stream: int, track: int) -> Reply:
        accepted = request.header("accept")
        if accepted is not None and "application/sdp" not in accepted:
            raise Refused("accept", f"A description is application/sdp, not '{accepted}'.", 406)
        body = self._description(stream, connection.local).encode()
        headers = (
            ("Content-Base", f"{request.target}/"),
            ("Content-Type", "application/sdp"),
            ("Content-Length", str(len(body))),
        )
        return Reply(headers=headers, body=body)

    def _description(self, stream: int, host: str) -> str:
        h264, audio = self._settings.h264[stream], self._settings.audio
        video_bits = int(h264.h264_bandwidth)
        sound = self._sends_sound()
        lines = [
            "v=0",
            f"o=- 1 1 IN IP4 {host}",
            "s=Media Presentation",
            "e=NONE",
            "c=IN IP4 0.0.0.0",
            f"b=AS:{video_bits + (int(audio.audio_bitrate) if sound else 0)}",
            "t=0 0",
            "a=control:*",
            "a=range:npt=now-",
            "m=video 0 RTP/AVP 98",
            f"b=AS:{video_bits}",
            f"a=framerate:{float(h264.framerate):.1f}",
            "a=control:trackID=1",
            "a=rtpmap:98 H264/90000",
            f"a=fmtp:98 packetization-mode=1{self._sprop(stream)}",
            "a=h264-esid:201",
        ]
        if sound:
            # The capability tells one channel, this two: the loop has what `mono-sound` says, the text stays.
            lines += [
                "m=audio 0 RTP/AVP 99",
                "a=control:trackID=2",
                "a=rtpmap:99 mpeg4-generic/48000/2",
                f"a=fmtp:99 streamType=5; profile-level-id=41; mode=AAC-hbr; config={SPECIFIC_CONFIG[2]}; "
                f"sizeLength=13; indexLength=3; indexDeltaLength=3; bitrate={int(audio.audio_bitrate) * 1000}",
                "a=h264-esid:101",
            ]
        return "".join(f"{line}\r\n" for line in lines)

    def _sprop(self, stream: int) -> str:
        if "sprop" not in self._oddities:
            return ""
        sets = (base64.b64encode(each).decode() for each in self._media.parameter_sets(stream))
        return f";sprop-parameter-sets={','.join(sets)}"

    def _setup(self, request: Request, connection: Connection, stream: int, track: int) -> Reply:
        wanted = request.header("transport")
        if wanted is None:
            raise Refused("missing_header", "SETUP needs a Transport.")
        session = self._known(request, stream) if request.header("session") is not None else None
        if not self._available(stream):
            raise Declined("transmission_off", f"H.264({stream}) is not transmitted.", 503)
        if track == 2 and not self._sends_sound():
            raise Refused("url", "The description has no trackID=2: audio is not transmitted.", 404)
        if session is not None and (track in session.parts or session.playing):
            raise Refused("state", f"Track {track} cannot be set up now.", 455)
        if session is None and len(self._sessions) >= MOST_SESSIONS:
            raise Declined("busy", f"There are {MOST_SESSIONS} sessions.", 503)
        way, shared = self._way(wanted, session, connection, stream, track)
        if session is None:
            session = self._begin(stream, connection, way)
        part = self._part(session, track, way, shared)
        session.parts[track] = part
        self._kept_alive(session)
        timeout = f";timeout={self._timeout:g}"
        return Reply(headers=(("Session", session.name + timeout), ("Transport", part.how)))

    def _way(
        self, wanted: str, session: Session | None, connection: Connection, stream: int, track: int
    ) -> tuple[Way | None, bool]:
        """How a track will go, None for the group of a stream; and whether it is shared."""
        protocol, asked = transport_fields(wanted)
        delivery = self._settings.h264[stream].h264_unimulti
        others = [part.shared for part in session.parts.values()] if session else []
        by_tcp = session is not None and session.connection is not None
        needed: tuple[str, ...]
        for name in asked:
            if name not in ("unicast", "multicast", "client_port", "interleaved"):
                raise Refused("transport", f"A Transport has no '{name}': {wanted}.", 461)
        match protocol, "unicast" in asked, "multicast" in asked:
            case "RTP/AVP/TCP", True, False:
                if port_pair(asked.get("interleaved", ""), 255) is None or "client_port" in asked:
                    raise Refused("transport", f"By TCP a Transport has interleaved=a-b: {wanted}.", 461)
                needed = ("uni",)
            case "RTP/AVP" | "RTP/AVP/UDP", True, False:
                ports = port_pair(asked.get("client_port", ""))
                if ports is None or ports[0] < LOWEST_PORT or "interleaved" in asked:
                    raise Refused("transport", f"By unicast a Transport has client_port=a-b: {wanted}.", 461)
                needed = ("uni", "uni_manual")
            case "RTP/AVP" | "RTP/AVP/UDP", False, True:
                needed = ("multi",)
            case _:
                raise Refused("transport", f"'{wanted}' is not a Transport of this recorder.", 461)
        if delivery not in needed:
            raise Declined("delivery", f"H.264({stream}) is set to {delivery}; asked: {wanted}.", 461)
        if others and (by_tcp != (protocol == "RTP/AVP/TCP") or others[0] != ("multi" in needed)):
            raise Refused("transport", "Both tracks of a session go the same way.", 461)
        if protocol == "RTP/AVP/TCP":
            if any(other.connection is connection and other is not session for other in self._sessions.values()):
                raise Refused("state", "By TCP there is one session per connection.", 455)
            return InterleavedWay(connection, CHANNELS[track]), False
        if "multi" in needed:
            return None, True
        h264 = self._settings.h264[stream]
        manual = int(h264.unicast_port if track == 1 else h264.unicast_audio_port)
        port = manual if delivery == "uni_manual" else int(asked["client_port"].partition("-")[0])
        reports = partial(self._report_of, stream, track, port)
        return UdpWay(connection.peer, port, connection.local, reports=reports), False

    def _begin(self, stream: int, connection: Connection, way: Way | None) -> Session:
        name = str(random.randrange(10**30, 10**31))
        expiry = asyncio.get_running_loop().call_later(self._timeout, self._expired, name)
        session = Session(name, stream, connection.peer, expiry, time.monotonic())
        if isinstance(way, InterleavedWay):
            session.connection = connection
            connection.closing.append(lambda: self._end(session))
        self._sessions[name] = session
        return session

    def _part(self, session: Session, number: int, way: Way | None, shared: bool) -> Part:
        source = random.randrange(1, 2**32) if "announced-ssrc" in self._oddities else 0
        if way is None:
            track = self._media.join(session.stream, KINDS[number], session, self._au_header, source)
        else:
            track = self._media.track(KINDS[number], way, self._au_header, source)
        part = Part(track, "", shared)
        part.how = self._transport(session.stream, number, part)
        return part

    def _transport(self, stream: int, number: int, part: Part) -> str:
        """The Transport of a track as the settings are now."""
        way = part.track.way
        h264 = self._settings.h264[stream]
        if isinstance(way, InterleavedWay):
            how = h264.h264_unimulti
            channels = f"{way.channel}-{way.channel + 1}"
            return f"RTP/AVP/TCP;unicast;interleaved={channels};ssrc={part.track.source:08x}" if how == "uni" else how
        if part.shared:
            host, port = group(h264, KINDS[number])
            return f"RTP/AVP/UDP;multicast;destination={host};ttl={h264.multicast_ttl};port={port}-{port + 1}"
        assert isinstance(way, UdpWay)
        port = way.port
        if h264.h264_unimulti == "uni_manual":
            port = int(h264.unicast_port if number == 1 else h264.unicast_audio_port)
        pair, server = f"{port}-{port + 1}", f"{way.local_port}-{way.local_port + 1}"
        return f"RTP/AVP/UDP;unicast;client_port={pair};server_port={server};ssrc={part.track.source:08x}"

    def _play(self, request: Request, connection: Connection, stream: int, track: int) -> Reply:
        session = self._known(request, stream)
        wanted = request.header("range")
        if wanted not in RANGES:
            raise Refused("range", f"Live pictures begin now: '{wanted}' is no range of them.", 457)
        self._kept_alive(session)
        told = []
        for number, part in sorted(session.parts.items()):
            numbering = part.track.numbering
            moment = "..." if "rtptime-dots" in self._oddities else part.track.now()
            told.append(f"url=trackID={number};seq={numbering.sequence};rtptime={moment}")
        between = "," if "comma-rtp-info" in self._oddities else "\r\n" + " " * 10
        headers = (("Session", session.name), ("RTP-Info", between.join(told)))
        # Packets follow the answer.
        return Reply(headers=headers, then=lambda: self._begin_sending(session))

    def _begin_sending(self, session: Session) -> None:
        if self._sessions.get(session.name) is session:
            session.playing = True
            for part in session.parts.values():
                self._media.start(session.stream, part.track)

    def _pause(self, request: Request, connection: Connection, stream: int, track: int) -> Reply:
        session = self._known(request, stream)
        self._kept_alive(session)
        if not session.multicast:  # section 12.2: ignored during multicast
            session.playing = False
            for part in session.parts.values():
                self._media.pause(stream, part.track)
        return Reply(headers=(("Session", session.name),))

    def _get_parameter(self, request: Request, connection: Connection, stream: int, track: int) -> Reply:
        if request.body:
            raise Refused("body", "There is no parameter to get: GET_PARAMETER keeps a session alive.", 451)
        session = self._known(request, stream)
        self._kept_alive(session)
        return Reply(headers=(("Session", session.name),))

    def _teardown(self, request: Request, connection: Connection, stream: int, track: int) -> Reply:
        session = self._known(request, stream)
        self._end(session)
        return Reply(headers=(("Session", session.name),))

    # Sessions

    def _known(self, request: Request, stream: int) -> Session:
        name = request.header("session")
        if name is None:
            raise Refused("session", f"{request.method} needs the Session that SETUP told.", 454)
        session = self._sessions.get(name)
        if session is None or session.stream != stream:
            if re.fullmatch(r"\d{31}", name):  # it may have ended without the client's fault
                raise Declined("unknown_session", f"There is no session {name} of stream {stream}.", 454)
            raise Refused("session", f"No session was ever called '{name[:60]}'.", 454)
        return session

    def _kept_alive(self, session: Session) -> None:
        session.expiry.cancel()
        session.expiry = asyncio.get_running_loop().call_later(self._timeout, self._expired, session.name)

    def _expired(self, name: str) -> None:
        self._end(self._sessions[name])

    def _end(self, session: Session) -> None:
        if self._sessions.pop(session.name, None) is None:
            return
        session.expiry.cancel()
        for number in list(session.parts):
            self._close(session, number)

    def _close(self, session: Session, number: int) -> None:
        part = session.parts.pop(number)
        if part.shared:
            self._media.leave(session.stream, KINDS[number], session)
        else:
            self._media.close(session.stream, part.track)

    def _sends_sound(self) -> bool:
        return self._settings.audio.audio_transmit == "1"

    # Receiver reports

    def _report_of(self, stream: int, number: int, port: int, data: bytes, peer: str) -> None:
        for session in self._sessions.values():
            part = session.parts.get(number)
            if (session.stream, session.peer) == (stream, peer) and part is not None and part.track.way.port == port:
                self._heard_report(session, number, data, peer)
                return

    def _report_of_group(self, stream: int, kind: Kind, data: bytes, peer: str) -> None:
        number = 1 if kind == "video" else 2
        for session in self._sessions.values():
            if (session.stream, session.peer) == (stream, peer) and session.multicast and number in session.parts:
                self._heard_report(session, number, data, peer)
                return

    def _heard_report(self, session: Session, number: int, data: bytes, peer: str) -> None:
        try:
            reports = rtcp.read(data)
        except rtcp.RtcpError as error:
            self._complain("rtcp", str(error), peer)
            return
        blocks = [block for report in reports for block in report.blocks]
        ours = session.parts[number].track.source
        for block in blocks:
            if block.source != ours:
                sentence = f"A report tells of source {block.source:08x}; the recorder's is {ours:08x}."
                self._complain("rtcp", sentence, peer)
                return
        session.parts[number].reports += bool(blocks)

    def _complain(self, kind: str, sentence: str, peer: str) -> None:
        self._violation(kind, sentence, Request("RTCP", "", (), b"", peer))
