"""The POVCAM recorder itself: its chapters put together, its restarts, its faults.

Where the document is silent the simulator decides, and a client should not depend on it:

  UIDs       a UID serves the transmission mode it was asked for (vcodec) and no other, and ends with connect=stop;
             `getuid` beyond the limit of UIDs answers 200 with the text "Access Limit", as sibling devices do, and 204
             for a stream that is switched off; `keep_alive` for an unknown UID answers 500 (siblings), other commands
             403: a note when the recorder once gave it (a restart may have lost it), a violation when it never did
  answers    setters answer 204, `h264`, `audio`, `keep_alive`, `camctrl` and `directctrl` 200, all without a body;
             what the document does not allow is 400; what the recorder's state does not allow is 500; without a
             camera head its control is 404; aw_ptz and aw_cam belong to another document and answer eR1 / ER1
  pictures   a snapshot before action=start answers 500; while JPEG is off, pictures are black; changed settings take
             effect at once, and a stream whose delivery changed ends; by unicast (manual) pictures and sound go to the
             ports that are set, whatever was asked; by multicast sound goes a thousand ports higher, as by RTSP
  sound      by CGI an AU header of two bytes, as section 15.4 says, by RTSP the four of RFC 3640, as the session
             description promises; by HTTP ADTS; two channels, as the description says and the capability does not;
             while the input is off, audio by CGI is 500 and by RTSP silence, and while audio_transmit is 0, none
  RTCP       a sender report to the port after the one of pictures or sound, with the first packet and every five
             seconds, by CGI as by RTSP
  RTSP       see rtsp.py; its port is one of this machine's choice (`rtsp_port`), told as RTSPPORT; another one that is
             set is taken, or, where this machine cannot, only told
  clock      a date may be given in part; zone and summer time move what is shown and leave the moment alone; an NTP
             server is always there and always right
  settings   `jpeg_quality` and `LIVEQUAL` are read back as 1 (0 to 4) or 5 (5 to 9), `bandwidth=10000` as 0, `audio`
             as in or off; the volume level cannot be read; h264_bandwidth_min is allowed when f_priority is 2 in the
             same request or already; audio_sens is allowed with audio=1 only; multicast_addr and its parts must agree;
             the priority mode cannot change while a card is busy, and leaving REC/PB(4K) leaves its 4K format
  network    another port, or another address of the loopback network, is really taken (500 when it cannot be): the
             recorder answers, is away for `work_seconds`, and listens there; any other address is only told back
  HTTPS      see certificates.py; with a self-signed certificate and live=https the web server really speaks TLS at
             https_port, and with live=http it returns to where it was
  log        number 1 is the newest; fields are separated by byte 5C; without `num` all are told
  cards      recording starts and ends `work_seconds` after the command, and is refused in between; clips keep their
             number while their card does not change, and a list is true no longer than that; while the recorder is
             busy with a card, what would change one is refused; a slot without a card lists no clips; formatting
             takes twice `work_seconds`; a clip lasts whole seconds, one at least; pre-rec adds nothing to it
  download   answers 500 while the recorder records, deletes, formats, transfers or sends another clip; a recording may
             begin while a clip is sent; what is sent is always the same, knows no Range, has the length of the clip and
             the type application/octet-stream; what it shows is told in film.py
  transfer   really sends to the server that is set, see ftp.py; one that cannot (no address, no clips, refused, no
             room, AW999999, card pulled) has been answered like any other and ends as error; so does a cancelled one;
             the log tells why; rate is the share of bytes; before the first one, as before the first formatting, the
             progress is finish
  modes      in playback and standby `get_state` answers 404 and `sdctrl` 500; a restart returns to imaging

The document knows no reset to factory settings and no change of users: the first is a fault for tests
(factory-reset), the second does not exist.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import time
from collections.abc import Iterable
from datetime import timedelta
from fractions import Fraction
from typing import Any, ClassVar

from simulators import checking, rtsp
from simulators.auth import Level, LockOut, Scheme, User
from simulators.certificate import Certificate
from simulators.checking import Command, Refused, meant
from simulators.device import Asked, Fault, Manners, SimulatedDevice
from simulators.http import Answer, Request, Response, Stream
from simulators.oddities import chosen
from simulators.povcam.answers import Action, Declined
from simulators.povcam.cards import SLOTS, Cards
from simulators.povcam.catalogue import as_in_the_example, commands
from simulators.povcam.certificates import Certificates
from simulators.povcam.clips import Clips
from simulators.povcam.clock import RunningClock
from simulators.povcam.configuration import Configuration
from simulators.povcam.eventlog import EventLog
from simulators.povcam.head import Head
from simulators.povcam.media import Media
from simulators.povcam.oddities import (
    ODDITIES,
    RANDOM_NUMBER,
    au_header,
    decline,
    unlike,
    widened,
    without_random_number,
)
from simulators.povcam.recording import RecordingChapter
from simulators.povcam.replies import MODEL
from simulators.povcam.rtsp import Rtsp
from simulators.povcam.settings import SystemFrequency, factory_settings
from simulators.povcam.transmission import Transmission
from simulators.video import VideoFormat

ROOT = "/cgi-bin/"
FAULT_MODES = {
    "resize": ("640", "1280", "1920", "3840"),
    "mode": ("imaging", "playback", "standby"),
    "card": ("insert", "remove", "put-back", "error", "repair", "full"),
    "pre-rec": ("on", "off"),
}
RANDOM_PATH = "/cgi-bin/get_randomnum"


def default_streams(system_frequency: SystemFrequency) -> dict[int, VideoFormat]:
    if system_frequency == "50":
        return {
            1: VideoFormat(1280, 720, Fraction(25), 4096),
            2: VideoFormat(640, 360, Fraction(25, 2), 1024),
        }
    return {1: VideoFormat(1280, 720, Fraction(30), 4096), 2: VideoFormat(640, 360, Fraction(15), 1024)}


@dataclasses.dataclass(frozen=True)
class Address:
    """Where and how the web server shall listen after the next restart."""

    host: str
    port: int
    certificate: Certificate | None


class PovcamSimulator(SimulatedDevice):
    family = "povcam"
    faults: ClassVar[tuple[str, ...]] = (
        *("lose-uids", "lose-sessions", "stop-frames", "stop-sound", "lose-packets", "late-packets", "cut-frames"),
        *("resize", "mode", "card", "pre-rec", "lose-lists", "slow-downloads", "cut-downloads", "stall-downloads"),
        *("wrong-length", "busy-downloads", "failing-transfers", "stall-transfers", "slow-transfers"),
        *("clock-skew", "factory-reset"),
    )
    """lose-uids; lose-sessions: of RTSP; stop-frames and stop-sound for `seconds` (0: until clear); lose-packets: each
    `every`-th; late-packets: each `every`-th comes `number` packets later; cut-frames: everything that is sent breaks
    off in the middle of a picture, and its UIDs and sessions are lost; resize: the pictures of stream `number` become
    `mode` (640, 1280, 1920, 3840) wide; mode: imaging, playback, standby; card: what happens to that of slot `number`
    is the `mode`: insert (a new one), remove, put-back, error, repair (for `seconds`), full; pre-rec: `mode` on or off;
    lose-lists: of clips; slow-downloads: `seconds` between pieces of 256 KiB; cut-downloads: the next `times` end half
    way; stall-downloads: the next `times` stand still half way for `seconds` (0: until clear); wrong-length: the next
    `times` are announced `number` bytes longer than they are; busy-downloads: the next `times` are refused;
    failing-transfers: the next `times` by FTP break off half way; stall-transfers: they stand still half way until
    clear; slow-transfers: `seconds` between pieces of 64 KiB; clock-skew: wrong by `seconds`; factory-reset: all
    settings but the address and the RTSP port."""

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
        work_seconds: float = 2.0,
        cards: tuple[int, int] = (64, 0),
        clips: int = 17,
        clip_seconds: int = 0,
        small_clips: bool = False,
        fill: float = 1.0,
        head: bool = True,
        rtsp_port: int = 0,
        rtsp_seconds: float = 120.0,
        looped: bool = False,
        small_4k: bool = False,
        oddities: str = "",
        lockout: LockOut | None = None,
        manners: Manners | None = None,
        control: bool = False,
    ) -> None:
        """`work_seconds`: what the document calls a few seconds; `cards`: gigabytes in both slots, 0 for none; `clips`:
        AVCHD clips on the first; `clip_seconds`: how long each of them is, 0 for a working day's; `small_clips`: all
        clips have pictures of 512x288 and 2 Mbit/s; `fill`: how many times faster than a real one a recording fills its
        card; `head`: whether a camera head is connected; `rtsp_port`: 0 lets the system choose; `rtsp_seconds`: how
        long an RTSP session lives without a sign of its client; `looped` and `small_4k`: see `Media`; `oddities`: see
        oddities.py."""
        self.oddities = chosen(oddities, ODDITIES)
        name = name or f"UMR20 {seed}"
        users = [User(user, password, Level.ADMIN)]
        if live_user:
            users.append(User(live_user, live_password, Level.LIVE))
        if len(cards) != len(SLOTS) or not all(isinstance(size, int) and 0 <= size <= 2000 for size in cards):
            raise ValueError(f"The cards are two sizes from 0 to 2000 gigabytes, not {cards!r}.")
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
        streams = default_streams(system_frequency) | (streams or {})
        self._factory = name[:20], seed, system_frequency, streams
        self.settings = factory_settings(*self._factory)
        self.mode = "imaging"
        self.clock = RunningClock(self.settings)
        self.log = EventLog(self.clock)
        self.log.add(100, "Power on")
        self.cards = Cards(
            self.settings,
            self.clock,
            self.log,
            gigabytes=cards,
            clips=clips,
            clip_seconds=clip_seconds,
            small=small_clips,
            relay="relay" in self.oddities,
            work_seconds=work_seconds,
            fill=fill,
        )
        self._reboot_seconds, self._work_seconds = reboot_seconds, work_seconds
        self._clear_port = port
        self._next: Address | None = None
        self._media = Media(
            self.settings,
            streams,
            name=self.settings.basic.cam_title,
            seed=seed,
            started=self.started,
            address=self._listening,
            looped=looped,
            small_4k=small_4k,
            channels=1 if "mono-sound" in self.oddities else 2,
        )
        self._media.apply()
        self._transmission = Transmission(
            self.settings,
            self._media,
            seed=seed,
            uid_seconds=uid_seconds,
            max_uids=max_uids,
            address=self._listening,
            au_header=au_header(self.oddities, "bare"),
        )
        self._rtsp = Rtsp(
            self.settings,
            self._media,
            available=lambda stream: self._transmission.available("h264" if stream == 1 else "h264_2"),
            violation=self.violation,
            timeout=rtsp_seconds,
            oddities=self.oddities,
        )
        self._rtsp_server = rtsp.RtspServer(
            host, rtsp_port, self._handle_rtsp, self._rtsp.data, lambda peer, sentence: self._malformed(peer, sentence)
        )
        self._head = Head(present=head)
        self._clips = Clips(
            self.settings,
            self.cards,
            seed=seed,
            small=small_clips,
            oddities=self.oddities,
            host=lambda: self.host,
        )
        configuration = Configuration(
            self.settings,
            self.clock,
            self.log,
            occupied=lambda: self.cards.occupation() is not None,
            address=self._listening,
            changed=self._apply_settings,
            reboot=lambda: self.reboot(reboot_seconds),
            move=self._move,
            move_rtsp=self._move_rtsp,
        )
        certificates = Certificates(
            self.settings, self.clock, self.log, work_seconds=work_seconds, serve=self._serve_securely
        )
        recording = RecordingChapter(self.settings, self.cards, head=head, mode=lambda: self.mode)
        self._commands = commands(system_frequency)
        self.commands = {path: several[0] for path, several in self._commands.items()}
        self._actions: dict[str, Action] = {
            **self._transmission.actions,
            **self._head.actions,
            **configuration.actions,
            **certificates.actions,
            **recording.actions,
            **self._clips.actions,
        }

    # What tests and the side door see

    @property
    def encoding(self) -> list[int]:
        """The streams that are being encoded now."""
        return [number for number, source in self._media.video.items() if source.encoding]

    @property
    def sounding(self) -> bool:
        """Whether anybody is sent sound."""
        return self._media.sound.running

    @property
    def rtsp_url(self) -> str:
        """The URL of the first stream; of the second it ends with 2."""
        return f"rtsp://{self._rtsp_server.host}:{self._rtsp_server.port}/mediainput/h264/stream_1"

    def sessions(self) -> Iterable[dict[str, Any]]:
        return self._transmission.sessions()

    def state(self) -> dict[str, Any]:
        """The mode, the head's optics, what the recorder is busy with, its RTSP sessions, and its settings, secrets
        included."""
        return {
            "rtsp": {"url": self.rtsp_url, "sessions": list(self._rtsp.sessions())},
            "encoding": self.encoding,
            "mode": self.mode,
            "head": self._head.state(),
            "busy": self.cards.occupation(),
            "settings": dataclasses.asdict(self.settings),
        }

    # Requests

    def find(self, request: Request) -> Command | None:
        several = self._commands.get(request.path)
        if several is None:
            return None
        names = {piece.partition("=")[0] for piece in request.query.split("&")}
        return meant(several, request.method, names)

    def check(self, command: Command, request: Request) -> dict[str, str]:
        command = widened(self.oddities, command)
        request, _ = without_random_number(self.oddities, request)
        try:
            return checking.check(command, request)
        except Refused as refused:
            other = as_in_the_example(command) if refused.kind == "order" else None
            if other is None:
                raise
            return checking.check(other, request)

    def unknown(self, request: Request) -> Response:
        if request.path == RANDOM_PATH and "accept-refused" in self.oddities:
            return Response(200, f"Randomnum={RANDOM_NUMBER}\r\n".encode())
        if request.path.startswith(ROOT):
            self.violation("unknown_command", f"The document has no {request.path}.", request)
            return Response(404)
        return super().unknown(request)

    async def run(self, command: Command, values: dict[str, str], request: Request) -> Answer:
        try:
            values = decline(self.oddities, command, values, request)
            answer = await self._actions[command.path.removeprefix(ROOT)](values, request)
        except Declined as declined:
            self.note(declined.kind, str(declined), request)
            answer = Response(declined.status, declined.body)
        return unlike(self.oddities, command.path, answer)

    # RTSP

    async def _handle_rtsp(self, request: Request, connection: rtsp.Connection) -> rtsp.Answer:
        """As `_handle` does for CGI: disturb, admit, answer, remember."""
        arrived = time.time()
        who = "-"
        fault = self._next_fault(request)
        disturbed = await self._disturbed(fault) if fault else None
        answer: rtsp.Answer
        if disturbed is None:
            answer, who = await self._answer_rtsp(request, connection)
        elif isinstance(disturbed, Response):
            answer = rtsp.Reply(disturbed.status)
        else:
            assert not isinstance(disturbed, Stream)
            answer = disturbed
        if fault is not None and fault.kind == "half" and isinstance(answer, rtsp.Reply):
            answer = dataclasses.replace(answer, broken_off=True)
        status = answer.status if isinstance(answer, rtsp.Reply) else 0
        self._requests.append(Asked(arrived, request.method, request.target, status, who, request.peer))
        return answer

    async def _answer_rtsp(self, request: Request, connection: rtsp.Connection) -> tuple[rtsp.Reply, str]:
        who = "-"
        if self.user_auth:
            admitted = self._admit(request, Level.LIVE)
            if isinstance(admitted, Response):
                return rtsp.Reply(admitted.status, admitted.headers), who
            who = admitted.name
        try:
            return await self._rtsp.answer(request, connection), who
        except Refused as refused:
            self.violation(refused.kind, str(refused), request)
            return rtsp.Reply(refused.status), who
        except Declined as declined:
            self.note(declined.kind, str(declined), request)
            return rtsp.Reply(declined.status), who

    # Restarts

    async def start(self) -> None:
        await super().start()
        self.settings.rtsp_port = str(self._rtsp_server.port)

    async def listen(self) -> None:
        self._rtsp_server.host = self.host
        await self._rtsp_server.start()
        try:
            await super().listen()
        except OSError:
            await self._rtsp_server.stop()
            raise

    async def hang_up(self) -> None:
        await self._rtsp_server.stop()
        await super().hang_up()

    def forget(self) -> None:
        self.cards.restart()
        self._transmission.restart()
        self._rtsp.lose_sessions()
        self._head.restart()
        self.mode = "imaging"

    def wake(self) -> None:
        self.log.add(100, "Power on")
        if self._next is None:
            return
        self._server.host, self._server.port = self._next.host, self._next.port
        self.certificate = self._next.certificate
        self._server.tls = self.certificate.context if self.certificate else None
        self._next = None

    def _apply_settings(self) -> None:
        self._media.apply()
        self._transmission.apply()
        self._rtsp.apply()

    async def _move_rtsp(self, port: int) -> None:
        with contextlib.suppress(OSError):
            await self._rtsp_server.move(port)

    def _listening(self) -> tuple[str, int]:
        return self.host, self.port

    def _move(self, host: str, port: int) -> None:
        """Listen at another port, or at another address of this machine's loopback network; any other address is only
        remembered."""
        shown = self.settings.network.IP_addr or self.host
        real = host if host.startswith("127.") and self.host.startswith("127.") else self.host
        self._relocate(real, port, self.certificate)
        if host != shown:
            self.settings.network.IP_addr = "" if host == real else host

    def _serve_securely(self, live: str, port: int, common_name: str) -> None:
        if live == "https":
            if self.certificate is None:
                self._clear_port = self.port
            self._relocate(self.host, port, Certificate(common_name, self.host))
        else:
            self._relocate(self.host, self._clear_port, None)

    def _relocate(self, host: str, port: int, certificate: Certificate | None) -> None:
        if (host, port, certificate) == (self.host, self.port, self.certificate):
            return
        if (host, port) != (self.host, self.port):
            with contextlib.closing(socket.socket()) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, port))
                except OSError as error:
                    raise Declined("address", f"{host}:{port} cannot be taken: {error.strerror}.") from error
        self._next = Address(host, port, certificate)
        self.reboot(self._work_seconds)

    # Faults

    def inject(self, kind: str, **details: Any) -> None:
        known = FAULT_MODES.get(kind)
        if known is not None and details.get("mode") not in known:
            raise ValueError(f"The mode of the fault '{kind}' is {' or '.join(known)}.")
        super().inject(kind, **details)

    def family_fault(self, fault: Fault) -> None:
        match fault.kind:
            case "lose-uids":
                self._transmission.lose_uids()
            case "lose-sessions":
                self._rtsp.lose_sessions()
            case "stop-frames":
                self._media.silence(fault.seconds)
            case "stop-sound":
                self._media.silence_sound(fault.seconds)
            case "lose-packets":
                self._media.lose(fault.every)
            case "late-packets":
                self._media.delay(fault.every, fault.number)
            case "cut-frames":
                self._media.cut(self._cut_off)
            case "resize":
                self.settings.h264[max(fault.number, 1)].h264_resolution = fault.mode
                self._apply_settings()
            case "mode":
                self.mode = fault.mode
            case "card":
                self._card_fault(SLOTS[max(fault.number, 1) - 1], fault)
            case "pre-rec":
                self.cards.pre_rec = fault.mode == "on"
            case "lose-lists":
                self._clips.lose_lists()
            case "slow-downloads":
                self._clips.faults.pause = fault.seconds
            case "cut-downloads":
                self._clips.faults.cuts = fault.times
            case "stall-downloads":
                self._clips.faults.stalls, self._clips.faults.stall_seconds = fault.times, fault.seconds
            case "wrong-length":
                self._clips.faults.lies, self._clips.faults.more = fault.times, fault.number
            case "busy-downloads":
                self._clips.faults.busy = fault.times
            case "failing-transfers":
                self._clips.transfer_faults.failing = fault.times
            case "stall-transfers":
                self._clips.transfer_faults.stalled = True
            case "slow-transfers":
                self._clips.transfer_faults.pause = fault.seconds
            case "clock-skew":
                self.clock.skew(timedelta(seconds=fault.seconds))
            case "factory-reset":
                self._reset()
            case "clear":
                self._media.resume()
                self._clips.faults.clear()
                self._clips.transfer_faults.clear()
                self.mode = "imaging"

    def _reset(self) -> None:
        fresh = factory_settings(*self._factory)
        fresh.network.IP_addr, fresh.https = self.settings.network.IP_addr, self.settings.https
        fresh.rtsp_port = self.settings.rtsp_port
        self.settings.become(fresh)
        self._apply_settings()
        self.log.add(102, "Factory settings")

    def _cut_off(self, stream: int) -> None:
        self._rtsp.cut(stream)
        self._transmission.lose_stream(stream)

    def _card_fault(self, slot: str, fault: Fault) -> None:
        match fault.mode:
            case "insert":
                self.cards.insert(slot)
            case "remove":
                self.cards.remove(slot)
            case "put-back":
                self.cards.put_back(slot)
            case "full":
                self.cards.fill_up(slot)
            case "error":
                self.cards.damage(slot)
            case "repair":
                self.cards.repair(slot, fault.seconds)
