"""How an i-PRO network disk recorder is identified, watched, steered and asked for its streams, log and disks.

The document has no settings, no clock and no restart, and tells neither serial number, MAC address, firmware, names of
cameras nor which of them can be steered: so steering is offered until the recorder has refused it repeatedly.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from devices import options, uids
from devices.cgi import BadValue, Command, Values, encode
from devices.errors import Busy, DeviceError, NotSupported, Queued, Refused, SessionGone, WrongAnswer
from devices.families.base import (
    Capability,
    Driver,
    Health,
    HttpSession,
    Identity,
    LogEntry,
    Move,
    Picture,
    Ptz,
    RtpSession,
    Sound,
    Store,
    Stream,
)
from devices.families.by_hand import ByHand
from devices.families.ipro import by_hand, memory, sessions
from devices.families.ipro import commands as cgi
from devices.families.ipro.sessions import Session
from devices.gateway import Gateway
from devices.models import Camera
from devices.options import NumberOption, WordOption
from devices.uids import Kind as UidKind
from devices.uids import UidLease

REPEAT_SECONDS = 1.0  # a movement lasts about 2 s (4.2.1)
DISKS_SECONDS = 60.0  # how old what we know of the disks may be for a look at the recorder's health
SILENCE_SECONDS = 10.0  # after it answered a start with 204: too many starts and stops

_CONNECTED, _LOST = 1, 2  # CAM_CONNECT (5.3.1); 0 is not registered
_FOCUS = {"near": "NEAR", "far": "FAR", "auto": "AUTO"}
_IRIS = {"open": "OPEN", "close": "CLOSE", "reset": "RESET"}
_ZOOM_STEPS = 4
_GRID = 32
_SOUND = "audio"  # beside the codecs of pictures
# In this order a camera is tried whose format nobody knows yet.
_CODECS = ("h265", "h264")
_MAKER = re.compile(r"^\s*Network Disk Recorder\s*", re.IGNORECASE)
_ZONE = re.compile(r"GMT\s*([+-])\s*([0-9]{1,2}):?([0-9]{2})")


_NOTES = """\
## Additional information in live pictures (7)

The document has neither alarms nor camera titles there: what happens at the recorder is read from its log, and cameras
are named here. Information comes in the RTP header extensions of video and sound, and in the comments of JPEG.

| id | what | what becomes of it |
|---|---|---|
| 0004 | number of the camera | shown; a picture of another camera than was asked for is told on the picture |
| 0005, 0006, 0008 | compression, size, number of the picture | read; the packets themselves tell |
| 0007, 000A | when the recorder had it | `time` and `clock_off` of `recorder` in `GET /api/v1/streams` |
| 0009 | pictures per second as set for recording | `recording_rate` |
| 000B | reserved | passed over |
| 000C | whether there is a picture | a JPEG that says no is none |
| 000D | what the recorder is doing, and how fast | `doing` |
| 0011, 0012 | when the camera took it | `camera_time` |
| 0027 | NAL units with start codes | read; both are understood without it |
| 0028, 0029 | long-term references, IDR pictures not to be shown | read; of no effect where every IDR is shown |
"""


class IproDriver(Driver):
    family: ClassVar[str] = "ipro"
    catalogue: ClassVar[tuple[Command, ...]] = cgi.CATALOGUE
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.LIVE, Capability.PTZ, Capability.LOG, Capability.STORAGE}
    )
    home_page: ClassVar[re.Pattern[str]] = re.compile(r"(?i)network disk recorder")
    tells_codecs: ClassVar[bool] = False
    informs: ClassVar[bool] = True
    notes: ClassVar[str] = _NOTES
    options: ClassVar[tuple[options.Option, ...]] = (
        # Recorders come with HTTPS and a certificate of their own making.
        WordOption("tls", "pin", "How the device's certificate is checked.", ("verify", "pin", "off")),
        *(option for option in options.COMMON if option.name != "tls"),
        WordOption("transport", "auto", "How pictures come to us.", ("auto", "rtp", "http", "mjpeg")),
        WordOption("ptz_steps", "16", "The speeds that its cameras know.", ("16", "256")),
        WordOption("g726", "le", "The order of the halves of each byte in G.726 sound.", ("le", "be")),
        WordOption("g711", "auto", "The law of G.711 sound; auto: what it sounds like.", ("auto", "pcmu", "pcma")),
        WordOption("download_times", "utc", "What download times are given in.", ("utc", "local")),
        NumberOption("uid_reserve", 2, "Places for clients that are left to others on the recorder.", 0, 15),
    )

    # --- Commands -----------------------------------------------------------------------------------------------------
    def narrowed(self, command: Command) -> Command:
        """With as many cameras as the recorder has; MASK has a digit for each of them, registered or not."""
        count = self.device.status.get("channels")
        command = super().narrowed(command)
        if not isinstance(count, int):
            return command

        def one(param: Any) -> Any:
            if param.name in ("CAM", "CH"):
                return replace(param, high=count)
            if param.name == cgi.MASK.name:
                text = f"{count} digits, a 0 or 1 for each camera of the recorder, camera 1 on the left"
                return replace(param, min_length=count, max_length=count, described=text)
            return param

        return replace(command, params=tuple(map(one, command.params)))

    def fills_in(self, command: Command) -> frozenset[str]:
        return frozenset({"UID"}) if command.uid_is_login else frozenset()

    def prepared(self, gateway: Gateway, command: Command, values: Values) -> AbstractAsyncContextManager[ByHand]:
        return by_hand.prepared(self, gateway, command, values)

    @asynccontextmanager
    async def uid(
        self, gateway: Gateway, kind: UidKind, mode: str, *, camera: int = 0, port: int = 0
    ) -> AsyncIterator[Session]:
        """A UID of the recorder for the block. `camera` is the number of the camera whose picture it is to carry."""
        reserve = self.option("uid_reserve")
        async with sessions.opened(gateway, kind, mode, reserve=reserve, camera=camera, port=port) as session:
            yield session

    # --- What it is and how it is -------------------------------------------------------------------------------------
    async def identify(self, gateway: Gateway) -> Identity:
        info = await memory.reading(gateway, cgi.GET_INFO)
        connections = _connections(gateway, info)
        registered = _registered(connections)
        title = await memory.title(gateway)
        return Identity(
            # The only place that tells the model is the page a log-in answers with.
            model=(_MAKER.sub("", title) or None) if title else self.device.model,
            cameras={number: f"{self.device.name} {number}" for number in registered},
            facts={"channels": len(connections), "max_uids": info["MAXUID"], "registered": registered},
        )

    async def health(self, gateway: Gateway) -> Health:
        info = await memory.reading(gateway, cgi.GET_INFO, younger_than=sessions.READING_SECONDS)
        connections = _connections(gateway, info)
        lost = [number for number, state in sorted(connections.items()) if state == _LOST]
        disks = [_disk(row) for row in await self._disk_rows(gateway, younger_than=DISKS_SECONDS)]
        used, most = info["USEDUID"], info["MAXUID"]
        problems = [f"The recorder has lost camera {number}." for number in lost]
        if used is not None and most and used >= most:
            problems.append(
                f"All {most} places for clients are taken; whoever logs in to the recorder now cuts off another."
            )
        return Health(
            facts={
                "cameras": {str(number): "lost" if number in lost else "ok" for number in _registered(connections)},
                "uids_used": used,
                "uids_max": most,
                "disks": disks,
                "recording": any(disk["recording"] for disk in disks) if disks else None,
                "without_ptz": await memory.unsteerable(gateway),
            },
            problems=problems,
            fleeting=frozenset({"uids_used", "disks"}),
        )

    async def storage(self, gateway: Gateway) -> list[Store]:
        return [
            Store(
                name=row["disk"],
                kind="disk",
                present=True,
                size_gb=_capacity(row),
                free_gb=row["remaining"],
                oldest=_local(row, "oldest"),
                newest=_local(row, "newest"),
            )
            for row in await self._disk_rows(gateway)
        ]

    async def log(self, gateway: Gateway) -> list[LogEntry]:
        """Errors and events. They come in no stated order, and their numbers are only numbers."""
        entries: list[LogEntry] = []
        async with self.uid(gateway, "live", "log") as session:
            for code, command in (("error", cgi.GET_ERROR_LOG), ("event", cgi.GET_EVENT_LOG)):
                reply = await session.ask(command)
                entries += [_entry(row, code) for row in reply.fields["rows"]]
        return sorted(entries, key=lambda entry: entry.at or "", reverse=True)

    async def _disk_rows(self, gateway: Gateway, younger_than: float = 0.0) -> list[dict[str, Any]]:
        """The disks that are there; the recorder lists every slot it could have."""
        told = await memory.reading(gateway, cgi.GET_RECORDED_TIME, younger_than=younger_than)
        return [row for row in told["rows"] if row["capacity"]]

    # --- Streams ------------------------------------------------------------------------------------------------------
    def streams(self, camera: Camera) -> list[Stream]:
        """One picture per camera, of which the recorder tells nothing; nor which cameras have sound."""
        transport = self.option("transport")
        if transport == "mjpeg":
            return [Stream("jpeg", "mjpeg", None, None, None, "mjpeg", audio=True, camera=camera.number)]
        way = "rtp" if transport == "auto" else transport
        return [Stream("video", "", None, None, None, way, audio=True, camera=camera.number)]

    def candidates(self, stream: Stream) -> list[Stream]:
        """Asked for a format that the camera does not send, the recorder says yes and sends nothing; and so it seems
        when its packets do not get through to us."""
        if stream.codec == "mjpeg":
            return [stream]
        codecs = (stream.codec,) if stream.codec in _CODECS else _CODECS
        ways = ("rtp", "http") if self.option("transport") == "auto" else (stream.transport,)
        return [replace(stream, codec=codec, transport=way) for way in ways for codec in codecs]

    def trying(self, gateway: Gateway) -> AbstractAsyncContextManager[object]:
        """Its UID: between two log-ins lie seconds."""
        return self.uid(gateway, "live", "trying")

    @asynccontextmanager
    async def http_session(self, gateway: Gateway, stream: Stream) -> AsyncIterator[HttpSession]:
        """The picture is the answer to its start. It is stopped while its connection is open still (2.2.1.1)."""
        codec = "jpeg" if stream.codec == "mjpeg" else stream.codec
        async with (
            self.uid(gateway, "live", codec, camera=stream.camera) as session,
            self._answered(session, stream, codec) as http,
        ):
            yield http

    @asynccontextmanager
    async def _answered(self, session: Session, stream: Stream, format_: str) -> AsyncIterator[HttpSession]:
        values: Values = {"CAM": stream.camera, "COMP": format_.upper()}
        async with session.stream(self.narrowed(cgi.LIVE_HTTP_START), values) as answer:
            http = HttpSession(stream, answer, session.lost, session.lost_reason, session.lease)

            def lost(reason: str) -> None:
                http.lost_reason = reason

            session.on_lost = lost
            try:
                yield http
            finally:
                if not session.lost.is_set():
                    with suppress(DeviceError):
                        await session.ask(self.narrowed(cgi.LIVE_HTTP_STOP), values)

    @asynccontextmanager
    async def rtp_session(
        self, gateway: Gateway, stream: Stream, *, port: int, move: Move | None = None
    ) -> AsyncIterator[RtpSession]:
        async with AsyncExitStack() as stack:
            try:
                session = await self._started(stack, gateway, stream, port)
            except SessionGone:
                # The recorder has forgotten the UID that others had before us: log in again, once.
                await stack.aclose()
                session = await self._started(stack, gateway, stream, port)
            rtp = RtpSession(stream, port, self.device.host, session.lost, session.lost_reason, session.lease)

            def lost(reason: str) -> None:
                rtp.lost_reason = reason

            session.on_lost = lost
            yield rtp

    async def _started(self, stack: AsyncExitStack, gateway: Gateway, stream: Stream, port: int) -> Session:
        session = await stack.enter_async_context(
            self.uid(gateway, "live", stream.codec, camera=stream.camera, port=port)
        )
        await self._start(session, stream.camera, stream.codec, port)
        return session

    async def _start(self, session: Session, camera: int, format_: str, port: int) -> None:
        """Have a picture or its sound sent to our port."""
        await uids.supersede(session.lease)
        values: Values = {"CAM": camera, "CMD": "START", "COMP": format_.upper(), "PORT": port}
        session.may_be_sending = True
        try:
            reply = await session.ask(self.narrowed(cgi.LIVE_RTP), values)
        except (Refused, NotSupported, Busy):
            session.may_be_sending = False
            raise
        if reply.status == 204:
            session.may_be_sending = False
            raise Busy(
                f"{self.device.name} was asked to start and stop pictures too often. "
                f"Try again in {SILENCE_SECONDS:.0f} s."
            )

    def sound(self, stream: Stream) -> Sound | None:
        """It tells the codec of its sound in no packet by RTP, and how G.726 is packed and the law of G.711 nowhere."""
        law = self.option("g711")
        way = "rtp" if stream.transport == "rtp" else "http"
        return Sound(way, g726=self.option("g726"), g711="" if law == "auto" else law)

    @asynccontextmanager
    async def rtp_sound(
        self, gateway: Gateway, picture: Picture, *, port: int, move: Move | None = None
    ) -> AsyncIterator[RtpSession]:
        async with sessions.beside(gateway, _lease_of(picture), _SOUND, port=port) as session:
            rtp = RtpSession(picture.stream, port, self.device.host, session.lost)

            def lost(reason: str) -> None:
                rtp.lost_reason = reason

            session.on_lost = lost
            await self._start(session, picture.stream.camera, _SOUND, port)
            yield rtp

    @asynccontextmanager
    async def http_sound(self, gateway: Gateway, picture: Picture) -> AsyncIterator[HttpSession]:
        async with (
            sessions.beside(gateway, _lease_of(picture), _SOUND) as session,
            self._answered(session, picture.stream, _SOUND) as http,
        ):
            yield http

    async def keep_alive(self, gateway: Gateway, lease: UidLease, *, taking_turns: bool = True) -> None:
        await gateway.ask(cgi.KEEP_ALIVE, {"UID": lease.uid}, taking_turns=taking_turns)

    async def stop(self, gateway: Gateway, lease: UidLease) -> None:
        """End what a lease stands for, and give its UID back when it was the last that used it."""
        await sessions.release(gateway, lease)

    # --- Steering -----------------------------------------------------------------------------------------------------
    def ptz(self, camera: Camera) -> Ptz:
        if camera.number in ((camera.device.status.get("now") or {}).get("without_ptz") or ()):
            return Ptz()
        return Ptz(
            pan_tilt=True,
            zoom=True,
            center=True,
            focus=tuple(_FOCUS),
            iris=tuple(_IRIS),
            aux=cgi.AUXES,
            presets=cgi.PRESETS,
            preset_clear=False,
            repeat_seconds=REPEAT_SECONDS,
        )

    async def move(self, gateway: Gateway, camera: Camera, *, pan: float, tilt: float, zoom: float) -> None:
        """All three always: what is left out goes on as it did. On the wire tilting down is positive."""
        steps = int(self.option("ptz_steps"))
        values = {"PAN": _speed(pan, steps), "TILT": -_speed(tilt, steps), "ZOOM": _speed(zoom, _ZOOM_STEPS)}
        await self._steer(gateway, camera, cgi.MOVE_256 if steps == 256 else cgi.MOVE_16, values)

    async def center(self, gateway: Gateway, camera: Camera, *, x: float, y: float) -> None:
        """The recorder's grid begins at the bottom right."""
        values = {"X": round(_GRID * (1 - _within(x))), "Y": round(_GRID * (1 - _within(y)))}
        await self._steer(gateway, camera, cgi.CENTER, values)

    async def focus(self, gateway: Gateway, camera: Camera, mode: str) -> None:
        await self._steer(gateway, camera, cgi.FOCUS, {"CTRL": _word(_FOCUS, "mode", mode)})

    async def iris(self, gateway: Gateway, camera: Camera, mode: str) -> None:
        await self._steer(gateway, camera, cgi.IRIS, {"CTRL": _word(_IRIS, "mode", mode)})

    async def aux(self, gateway: Gateway, camera: Camera, number: int, on: bool) -> None:
        """The document opens and closes outputs; we take open for on."""
        await self._steer(gateway, camera, cgi.AUX, {"CMD": f"AUX{number}", "CTRL": "OPEN" if on else "CLOSE"})

    async def goto_preset(self, gateway: Gateway, camera: Camera, number: int) -> None:
        await self._steer(gateway, camera, cgi.GO_TO_PRESET, {"NO": number})

    async def set_preset(self, gateway: Gateway, camera: Camera, number: int, name: str = "") -> None:
        await self._steer(gateway, camera, cgi.SET_PRESET, {"NO": number})

    async def _steer(self, gateway: Gateway, camera: Camera, command: Command, values: Values) -> None:
        command = self.narrowed(command)
        given = {"CH": camera.number, **values}
        encode(command, {"UID": "0", **given})  # BadValue before a UID is taken
        session = await sessions.steering(gateway, reserve=self.option("uid_reserve"))
        try:
            try:
                await session.ask(command, given)
            except SessionGone:
                # The recorder has forgotten the UID that we had: log in again, once.
                session = await sessions.steering(gateway, reserve=self.option("uid_reserve"))
                await session.ask(command, given)
        except (SessionGone, Queued):
            raise
        except (Refused, NotSupported, Busy) as error:
            raise await self._refused_steering(gateway, camera, error) from error
        await memory.note_steering(gateway, camera.number, refused=False)

    async def _refused_steering(self, gateway: Gateway, camera: Camera, error: DeviceError) -> DeviceError:
        refusals = await memory.note_steering(gateway, camera.number, refused=True)
        if refusals < memory.REFUSALS_UNTIL_UNSTEERABLE:
            return error
        return NotSupported(
            f"{self.device.name} keeps refusing to steer camera {camera.number}. Probably the camera cannot be steered."
        )


# --- Reading what it tells --------------------------------------------------------------------------------------------
def _connections(gateway: Gateway, info: dict[str, Any]) -> dict[int, int]:
    found = info["CAM_CONNECT"]
    if not found:
        raise WrongAnswer(
            f"{gateway.address} does not answer as an i-PRO recorder does. Check the address and the family."
        )
    return dict(found)


def _registered(connections: dict[int, int]) -> list[int]:
    return [number for number, state in sorted(connections.items()) if state in (_CONNECTED, _LOST)]


def _capacity(row: dict[str, Any]) -> int | None:
    match = re.match(r"([0-9]{1,9})\s*GB", row["capacity"])
    return int(match[1]) if match else None


def _disk(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": row["disk"],
        "size_gb": _capacity(row),
        "free_gb": row["remaining"],
        "recording": "(R)" in row["capacity"],
        "oldest": _local(row, "oldest"),
        "newest": _local(row, "newest"),
    }


def _local(row: dict[str, Any], which: str) -> str | None:
    """A moment in the recorder's local time, of which it does not tell the zone here."""
    date, time = row[f"{which}_date"], row[f"{which}_time"]
    return f"{date}T{time}" if date and time else None


def _entry(row: dict[str, Any], code: str) -> LogEntry:
    return LogEntry(row["number"], row["time"], row["text"] or "", code, _utc(row))


def _utc(row: dict[str, Any]) -> datetime | None:
    """Local time less the zone, and less the hour that summer time adds to it."""
    match = _ZONE.search(row["zone"] or "")
    if match is None or row["time"] is None or row["summer_time"] is None:
        return None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3])) * (-1 if match[1] == "-" else 1)
    local = datetime.fromisoformat(row["time"]).replace(tzinfo=UTC)
    return local - offset - timedelta(hours=int(row["summer_time"]))


def _lease_of(picture: Picture) -> UidLease:
    assert picture.lease is not None, "each picture of a recorder has one"
    return picture.lease


# --- Steps and grids --------------------------------------------------------------------------------------------------
def _speed(speed: float, steps: int) -> int:
    """A speed from -1 to 1 in steps; whatever is not 0 moves."""
    if speed == 0:
        return 0
    size = min(steps, max(1, round(abs(speed) * steps)))
    return size if speed > 0 else -size


def _within(place: float) -> float:
    if not 0 <= place <= 1:
        raise BadValue("x", "A point in the picture lies between 0 and 1 in both directions.")
    return place


def _word(words: dict[str, str], name: str, word: str) -> str:
    if word not in words:
        raise BadValue(name, f"{name} cannot be {word!r}; use one of {', '.join(words)}.")
    return words[word]
