"""RTSP (POVCAM 12 to 14): pictures and sound in one session, over TCP, UDP or multicast.

    OPTIONS, DESCRIBE           with a turn before the device, for they log in (`devices.rtsp`)
    SETUP pictures, SETUP sound if it is offered; PLAY
    GET_PARAMETER               every half of the session's life, 60 s at most
    receiver reports            every 5 s, of the pictures; the device may fit its bit rate to them
    TEARDOWN                    whatever happened, as long as the connection is there

How packets come is for the device to say: in channels of the connection, to ports of ours, to other ports that it is
set to, or in a multicast group. Whose they are is told by channel and port, never by SSRC, which is zero, or anything.
Sound comes along all the time, and is passed on only while somebody wants it; where it cannot be had, pictures go on.
Sender reports put both together (`sources.together`).

PAUSE is not used: a picture that nobody watches is closed, and one that a viewer has stopped is kept running, since
after a PAUSE its going on would have to wait for the next key picture. Limits are those of the parsers; each answer has
ANSWER_SECONDS, a connection that brings nothing IDLE_SECONDS.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import secrets
import struct
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from urllib.parse import urlsplit

from devices.errors import Busy, DeviceError, Interrupted, NoAnswer, NotSupported, Refused, SessionGone, WrongAnswer
from devices.families import driver_for
from devices.families.base import Stream
from devices.models import Camera
from devices.rtsp import RtspDoor
from devices.turns import Login
from streaming.media import CLOCK_RATE, AudioUnit, Unit
from streaming.sources import SourceFailed, ports
from streaming.sources.lines import Framing, RtpLine
from streaming.sources.rtp_udp import LARGEST, RtpReceiver
from streaming.sources.together import SenderClock, Together
from streaming.wire import Malformed, aac, h264, h265, rtcp, rtp, rtsp, sdp
from streaming.wire.rtsp import Interleaved, Response

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 2.5  # the first SYN may be lost, and comes again after a second
ANSWER_SECONDS = 8.0
IDLE_SECONDS = 150.0  # longer than the longest pause between two keep-alives and their answers
LONGEST_KEEP_ALIVE = 60.0
REPORT_SECONDS = 5.0
END_SECONDS = 3.0
PIECE = 64 * 1024
REPORTS_AT_ONCE = 16
DEFAULT_SOUND_RATE = 48_000
USER_AGENT = "VMS"
# Who we are in reports: nobody in particular, but the same as long as this process lives (RFC 7022).
CNAME = secrets.token_hex(8)

_HEADER = struct.Struct("!BBHII")


# --- Framing ----------------------------------------------------------------------------------------------------------
class Aac:
    """Packets of AAC in, units out; the description tells its configuration."""

    def __init__(self, media: sdp.Media) -> None:
        self._framer = aac.Framer(media.clock or DEFAULT_SOUND_RATE, config=media.configuration())

    @property
    def malformed(self) -> int:
        return self._framer.malformed

    @property
    def dropped(self) -> int:
        return self._framer.dropped

    def push(self, packet: rtp.Packet, received: float) -> Sequence[AudioUnit]:
        return self._framer.push(packet.payload, packet.timestamp, received, marker=packet.marker)


def _framing(media: sdp.Media) -> Framing | None:
    """What becomes of the packets; None when it is nothing that can be shown or heard."""
    if media.kind == "video" and media.encoding in ("h264", "h265"):
        pictures = h264.Depacketizer() if media.encoding == "h264" else h265.Depacketizer()
        pictures.offer(media.parameter_sets())
        return pictures
    if media.kind == "audio" and media.encoding == "mpeg4-generic":
        with contextlib.suppress(Malformed):
            return Aac(media)
    return None


class ReportedLine(RtpLine):
    """A line that also counts for reports how packets come."""

    def __init__(self, payload_type: int, framing: Framing, on_unit: Callable[[Unit], None], rate: int) -> None:
        super().__init__({payload_type: framing}, on_unit)
        self.reception = rtcp.Reception(rate)
        self._payload_type = payload_type

    def take(self, datagrams: Sequence[bytes]) -> None:
        now = time.monotonic()
        for datagram in datagrams:
            if len(datagram) >= _HEADER.size:
                _, second, sequence, timestamp, ssrc = _HEADER.unpack_from(datagram)
                if second & 0x7F == self._payload_type:
                    self.reception.packet(sequence, timestamp, ssrc, now)
        super().take(datagrams)


# --- The connection ---------------------------------------------------------------------------------------------------
class Connection:
    """Requests out and answers in, one at a time; packets of its channels go where they belong as they come."""

    def __init__(self, door: RtspDoor, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.session = ""
        self.lost = asyncio.Event()
        self.lost_reason = ""
        self.channels: dict[int, Callable[[Sequence[bytes]], None]] = {}
        self.peer: str = writer.get_extra_info("peername")[0]
        self.closed = False
        self.unknown = 0  # packets of a channel that nobody set up
        self._door = door
        self._reader = reader
        self._writer = writer
        self._parser = rtsp.Parser()
        self._cseq = 0
        self._asking = asyncio.Lock()
        self._awaited: asyncio.Future[Response] | None = None
        self._reading = asyncio.create_task(self._read(), name="RTSP")

    async def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        login: Login | None = None,
    ) -> Response:
        """The successful answer. Raises a DeviceError for any other, and when none comes."""
        async with self._asking:
            again = False
            while True:
                response = await self._exchange(method, url, headers or {}, login)
                if response.status != 401:
                    break
                await self._door.challenged(response.all("www-authenticate"), login, again=again)
                again = True
        self._door.accepted(login)
        if not 200 <= response.status < 300:
            raise _error(str(self._door.address), method, response.status)
        return response

    def send_packet(self, channel: int, data: bytes) -> None:
        if not self.closed:
            self._writer.write(struct.pack("!cBH", b"$", channel, len(data)) + data)

    def lose(self, reason: str) -> None:
        if not self.lost.is_set():
            self.lost_reason = reason
            self.lost.set()

    def _close(self, reason: str) -> None:
        """Nothing can be asked any more."""
        self.closed = True
        self.lose(reason)
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_exception(Interrupted(reason))

    async def close(self) -> None:
        self._reading.cancel()
        self._writer.transport.abort()
        await asyncio.wait([self._reading])

    async def _exchange(self, method: str, url: str, headers: Mapping[str, str], login: Login | None) -> Response:
        began = time.time()
        response: Response | None = None
        error = ""
        try:
            response = await self._sent(method, url, headers)
            return response
        except DeviceError as caught:
            error = str(caught)
            raise
        except asyncio.CancelledError:
            error = "We gave up waiting."
            raise
        finally:
            await self._door.note(
                method,
                url,
                began=began,
                status=response.status if response else None,
                answer=_shown(response) if response else "",
                error=error,
                hidden=self.session,
                login=login,
            )

    async def _sent(self, method: str, url: str, headers: Mapping[str, str]) -> Response:
        if self.closed:
            raise Interrupted(self.lost_reason)
        self._cseq += 1
        given = {"User-Agent": USER_AGENT, **self._door.authorization(method, url), **headers}
        if self.session:
            given["Session"] = self.session
        try:
            request = rtsp.request(method, url, self._cseq, given)
        except ValueError as error:
            raise WrongAnswer(f"{self._door.address} names an address by RTSP that is none.") from error
        self._awaited = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(request)
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._awaited
        except TimeoutError as error:
            # What comes later would be taken for the answer to something else.
            self._close(f"{self._door.address} does not answer by RTSP any more.")
            raise NoAnswer(
                f"{self._door.address} took the RTSP connection but does not answer {method}. Try again; if it stays "
                "so, restart it."
            ) from error
        finally:
            self._awaited = None

    async def _read(self) -> None:
        reason = f"{self._door.address} closed the RTSP connection."
        try:
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    data = await self._reader.read(PIECE)
                if not data:
                    break
                self._take(data)
        except TimeoutError:
            reason = f"{self._door.address} sends nothing any more by RTSP."
        except OSError:
            reason = f"The RTSP connection to {self._door.address} broke."
        except Malformed as error:
            reason = f"{self._door.address} sends something else than RTSP: {error}."
        except Exception:
            logger.exception("a piece of an RTSP connection could not be taken")
            reason = "A mistake in this system ended the stream; its log tells more."
        self._close(reason)

    def _take(self, data: bytes) -> None:
        packets: dict[int, list[bytes]] = {}
        for message in self._parser.feed(data):
            if isinstance(message, Interleaved):
                packets.setdefault(message.channel, []).append(message.data)
            elif isinstance(message, Response):  # requests of a server's are left unanswered: the document knows none
                awaited = self._awaited
                if awaited is not None and not awaited.done() and message.cseq in (None, self._cseq):
                    awaited.set_result(message)
        for channel, several in packets.items():
            take = self.channels.get(channel)
            if take is None:
                self.unknown += len(several)
            else:
                take(several)


def _shown(response: Response) -> str:
    """What may be seen of an answer by who looks after the device: no session, no challenge."""
    heads = [f"{name}: {value}" for name in ("public", "transport", "rtp-info") for value in response.all(name)]
    return "\n".join([response.reason, *heads, "", response.body.decode("utf-8", "replace")]).strip()


def _error(address: str, method: str, status: int) -> DeviceError:
    if status == 503:
        return NotSupported(
            f"{address} does not transmit this stream. Enable H.264 transmission in its settings, and check its "
            "priority mode."
        )
    if status == 461:
        return NotSupported(
            f"{address} is set to send this stream in another way. Set its transmission type to the one wanted, or the "
            "option transport here to auto."
        )
    if status == 454:
        return SessionGone(f"{address} no longer knows our RTSP session. A new one is needed; try again.")
    if status == 404:
        return NotSupported(f"{address} has no such stream by RTSP. Check its model and its priority mode.")
    if status in (405, 501, 551):
        return NotSupported(f"{address} does not know {method} by RTSP ({status}). Check its model and firmware.")
    if status == 403:
        return Refused(f"{address} forbids this stream by RTSP to this user. Give the device another log-in.")
    if status == 453:
        return Busy(f"{address} has no bandwidth left for another viewer. Close one elsewhere, then try again.")
    if 300 <= status < 400:
        return WrongAnswer(f"{address} sends us elsewhere instead of answering {method} by RTSP. Check the RTSP port.")
    if 400 <= status < 500:
        return Refused(f"{address} refuses {method} by RTSP ({status}). Its mode may not allow it now.")
    return WrongAnswer(f"{address} failed at {method} by RTSP ({status}). Try again; if it stays so, restart it.")


@asynccontextmanager
async def _connected(door: RtspDoor, url: str) -> AsyncIterator[Connection]:
    where = urlsplit(url)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(where.hostname, where.port, limit=PIECE)
    except (OSError, TimeoutError) as error:
        raise SourceFailed(
            f"Nothing answers by RTSP at {where.hostname}:{where.port}. Check the option rtsp_port, and that the "
            "device may be reached there."
        ) from error
    connection = Connection(door, reader, writer)
    try:
        yield connection
    finally:
        await connection.close()


# --- Ways -------------------------------------------------------------------------------------------------------------
class Way:
    """How the packets of one medium come. `ask` is what is asked for in SETUP; `begin` is told what was answered."""

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection = connection
        self._number = number  # of the medium, from 0

    def ask(self) -> str:
        raise NotImplementedError

    def begin(self, answer: rtsp.Transport, line: ReportedLine, on_report: Callable[[bytes], None]) -> None:
        raise NotImplementedError

    def send_report(self, report: bytes) -> None:
        raise NotImplementedError

    def figures(self, line: ReportedLine) -> dict[str, int]:
        return line.figures()

    def close(self) -> None:
        pass


class OverTcp(Way):
    def ask(self) -> str:
        return f"RTP/AVP/TCP;unicast;interleaved={2 * self._number}-{2 * self._number + 1}"

    def begin(self, answer: rtsp.Transport, line: ReportedLine, on_report: Callable[[bytes], None]) -> None:
        if not answer.tcp:
            raise _another_way(self._connection)
        packets, self._reports = answer.interleaved or (2 * self._number, 2 * self._number + 1)
        if packets in self._connection.channels:
            raise WrongAnswer(f"{self._connection.peer} uses one RTSP channel twice. Set the option transport to rtp.")

        def take_reports(several: Sequence[bytes]) -> None:
            for each in several:
                on_report(each)

        self._connection.channels[packets] = line.take
        self._connection.channels[self._reports] = take_reports

    def send_report(self, report: bytes) -> None:
        self._connection.send_packet(self._reports, report)


class OverUdp(Way):
    """To a pair of ports of ours; or to the pair that the device is set to, which it answers."""

    def __init__(self, connection: Connection, number: int) -> None:
        super().__init__(connection, number)
        self._pair = ports.open_pair()
        self._receiver: RtpReceiver | None = None
        self._reports_to = 0

    def ask(self) -> str:
        return f"RTP/AVP;unicast;client_port={self._pair.number}-{self._pair.number + 1}"

    def begin(self, answer: rtsp.Transport, line: ReportedLine, on_report: Callable[[bytes], None]) -> None:
        if answer.tcp or answer.multicast:
            raise _another_way(self._connection)
        if answer.client_port is not None and answer.client_port[0] != self._pair.number:
            pair = ports.open_pair_at(answer.client_port[0])
            self._pair.close()
            self._pair = pair
        self._reports_to = answer.server_port[1] if answer.server_port else 0
        self._listen(line, on_report)

    def send_report(self, report: bytes) -> None:
        if self._reports_to:
            with contextlib.suppress(OSError):  # a full buffer, or nobody there: the next one will do
                self._pair.reports.sendto(report, (self._connection.peer, self._reports_to))

    def figures(self, line: ReportedLine) -> dict[str, int]:
        return self._receiver.figures() if self._receiver is not None else line.figures()

    def close(self) -> None:
        if self._receiver is not None:
            self._receiver.close()
            asyncio.get_running_loop().remove_reader(self._pair.reports.fileno())
        self._pair.close()

    def _listen(self, line: ReportedLine, on_report: Callable[[bytes], None]) -> None:
        reports, peer = self._pair.reports, self._connection.peer

        def take_reports() -> None:
            with contextlib.suppress(OSError):  # nothing more to read
                for _ in range(REPORTS_AT_ONCE):
                    report, sender = reports.recvfrom(LARGEST)
                    if sender[0] == peer:
                        on_report(report)

        self._receiver = RtpReceiver(self._pair.packets, frozenset({peer}), line)
        asyncio.get_running_loop().add_reader(reports.fileno(), take_reports)


class ByMulticast(OverUdp):
    """In the group and at the port that the device is set to. What is asked for is ignored (13.2).

    No reports: the whole group would get them, and the device fits its bit rate to nobody there.
    """

    def begin(self, answer: rtsp.Transport, line: ReportedLine, on_report: Callable[[bytes], None]) -> None:
        if not answer.multicast:
            raise _another_way(self._connection)
        place = answer.port or answer.client_port
        if place is None or place[0] < 1024 or not _is_group(answer.destination):
            raise WrongAnswer(f"{self._connection.peer} does not say where its multicast goes. Check its settings.")
        pair = ports.open_pair_at(place[0], answer.destination, self._connection.peer)
        self._pair.close()
        self._pair = pair
        self._listen(line, on_report)

    def ask(self) -> str:
        return f"RTP/AVP;multicast;client_port={self._pair.number}-{self._pair.number + 1}"


def _is_group(address: str) -> bool:
    try:
        return ipaddress.IPv4Address(address).is_multicast
    except ValueError:
        return False


def _another_way(connection: Connection) -> NotSupported:
    return NotSupported(
        f"{connection.peer} sends this stream in another way than it was asked for by RTSP. Set its transmission type, "
        "or the option transport here to auto."
    )


_WAYS: dict[str, type[Way]] = {"rtsp-tcp": OverTcp, "rtsp-udp": OverUdp, "rtsp-multicast": ByMulticast}


# --- The session ------------------------------------------------------------------------------------------------------
class Medium:
    """Pictures or sound of a session, set up."""

    def __init__(self, way: Way, line: ReportedLine) -> None:
        self.way = way
        self.line = line

    def figures(self) -> dict[str, int]:
        return {**self.way.figures(self.line), "jitter": round(self.line.reception.jitter)}


class RtspUpstream:
    def __init__(
        self,
        camera: Camera,
        stream: Stream,
        url: str,
        connection: Connection,
        ways: ExitStack,
        on_unit: Callable[[Unit], None],
    ) -> None:
        self._name = f"{camera.pk}/{stream.id}"
        self._ways = ways
        self._connection = connection
        self._url = url
        self._base = url  # what the session is asked for at
        self._way = _WAYS[stream.transport]
        self._timeout = rtsp.DEFAULT_TIMEOUT
        self._together = Together(on_unit)
        self._pictures: Medium | None = None
        self._sound: Medium | None = None
        self._no_sound = ""  # why there is none, in a sentence
        self._wants_sound = False

    @property
    def lost(self) -> asyncio.Event:
        return self._connection.lost

    @property
    def lost_reason(self) -> str:
        return self._connection.lost_reason

    @property
    def sound_problem(self) -> str:
        return self._no_sound if self._wants_sound else ""

    def want_sound(self, wanted: bool) -> None:
        self._wants_sound = wanted

    def figures(self) -> dict[str, int]:
        pictures = self._pictures.figures() if self._pictures else {}
        sound = self._sound.figures() if self._sound else {}
        return {**pictures, **{f"sound_{name}": value for name, value in sound.items()}}

    async def open(self, door: RtspDoor) -> None:
        connection = self._connection
        async with door.logging_in() as login:
            await connection.ask("OPTIONS", self._url, login=login)
            described = await connection.ask("DESCRIBE", self._url, {"Accept": "application/sdp"}, login=login)
        base = described.header("content-base") or self._url
        try:
            description = sdp.parse(described.body)
        except Malformed as error:
            raise WrongAnswer(
                f"{door.address} describes its stream in a way that cannot be read: {error}. Set the option transport "
                "to rtp."
            ) from error
        self._base = sdp.control_url(base, description.control)
        pictures = description.first("video")
        framing = _framing(pictures) if pictures is not None else None
        if pictures is None or framing is None:
            raise NotSupported(f"{door.address} offers nothing by RTSP that can be shown. Set it to send H.264.")
        self._pictures = await self._set_up(0, base, pictures, framing, self._together.take, self._together.pictures)
        await self._set_up_sound(base, description.first("audio"))
        await connection.ask("PLAY", self._base, {"Range": "npt=0.000-"})

    async def _set_up_sound(self, base: str, media: sdp.Media | None) -> None:
        framing = _framing(media) if media is not None else None
        if media is None or framing is None:
            self._no_sound = (
                f"{self._connection.peer} sends no sound by RTSP. Switch its audio and its audio transmission on, in "
                "its settings."
            )
            return

        def take(unit: Unit) -> None:
            if self._wants_sound:
                self._together.take(unit)

        clock = self._together.sound = SenderClock(media.clock or DEFAULT_SOUND_RATE)
        try:
            self._sound = await self._set_up(1, base, media, framing, take, clock)
        except (DeviceError, SourceFailed) as error:
            if self._connection.closed:
                raise
            self._no_sound = str(error)
            logger.warning("no sound by RTSP: %s", error, extra={"stream": self._name})

    async def _set_up(
        self,
        number: int,
        base: str,
        media: sdp.Media,
        framing: Framing,
        on_unit: Callable[[Unit], None],
        clock: SenderClock,
    ) -> Medium:
        way = self._way(self._connection, number)
        self._ways.callback(way.close)
        url = sdp.control_url(base, media.control)
        answer = await self._connection.ask("SETUP", url, {"Transport": way.ask()})
        try:
            if not self._connection.session:
                self._connection.session, self._timeout = rtsp.session(answer.header("session"))
            transport = rtsp.transport(answer.header("transport"))
        except Malformed as error:
            raise WrongAnswer(
                f"{self._connection.peer} answers SETUP by RTSP in a way that cannot be read: {error}."
            ) from error
        line = ReportedLine(media.payload_type, framing, on_unit, media.clock or CLOCK_RATE)
        way.begin(transport, line, lambda report: self._take_report(line, clock, report))
        return Medium(way, line)

    def _take_report(self, line: ReportedLine, clock: SenderClock, report: bytes) -> None:
        try:
            found = rtcp.parse(report)
        except Malformed:
            line.malformed += 1
            return
        for each in found:
            if isinstance(each, rtcp.SenderReport):
                line.reception.sender_report(each, time.monotonic())
                clock.report(each)
            elif isinstance(each, rtcp.Bye) and self._pictures is not None and line is self._pictures.line:
                self._connection.lose("The camera says that it ends its pictures; asking for them again.")

    async def report(self) -> None:
        """Tell every few seconds how the pictures come."""
        pictures, ssrc = self._pictures, secrets.randbits(32)
        assert pictures is not None
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            block = pictures.line.reception.block(time.monotonic())
            if block is not None and not isinstance(pictures.way, ByMulticast):
                pictures.way.send_report(rtcp.receiver_report(ssrc, CNAME, [block]))

    async def keep_alive(self) -> None:
        while True:
            await asyncio.sleep(min(self._timeout / 2, LONGEST_KEEP_ALIVE))
            try:
                await self._connection.ask("GET_PARAMETER", self._base)
            except (NotSupported, WrongAnswer) as error:
                # It was heard all the same. Should the session end nevertheless, its silence tells.
                logger.info("an RTSP session is not kept alive: %s", error, extra={"stream": self._name})
            except DeviceError as error:
                if isinstance(error, SessionGone):
                    self._connection.session = ""
                self._connection.lose(str(error))
                return

    async def tear_down(self) -> None:
        if self._connection.session and not self._connection.closed:
            with contextlib.suppress(DeviceError, TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await self._connection.ask("TEARDOWN", self._base)


@asynccontextmanager
async def open_rtsp(camera: Camera, stream: Stream, on_unit: Callable[[Unit], None]) -> AsyncIterator[RtspUpstream]:
    url = driver_for(camera.device).rtsp_url(stream)
    door = RtspDoor(camera.device)
    stack = AsyncExitStack()
    try:
        connection = await stack.enter_async_context(_connected(door, url))
        upstream = RtspUpstream(camera, stream, url, connection, stack.enter_context(ExitStack()), on_unit)
        stack.push_async_callback(upstream.tear_down)
        try:
            await upstream.open(door)
        except (NoAnswer, WrongAnswer, SessionGone) as error:
            raise SourceFailed(str(error)) from error  # its web server may do better, or it itself the next time
        for task in (
            asyncio.create_task(upstream.report(), name="RTSP reports"),
            asyncio.create_task(upstream.keep_alive(), name="RTSP keep-alive"),
        ):
            stack.push_async_callback(_end, task)
        yield upstream
    finally:
        ending = asyncio.ensure_future(stack.aclose())
        _endings.add(ending)
        ending.add_done_callback(_endings.discard)
        await asyncio.shield(ending)


# Endings under way; held here, since the loop keeps only weak references and a cancelled viewer does not wait.
_endings: set[asyncio.Future[None]] = set()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
