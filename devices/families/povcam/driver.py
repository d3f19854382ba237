"""How a POVCAM (memory card recorder with a compact camera head) is identified, watched, set, steered and asked for its
streams."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from devices import options, uids
from devices.cgi import BadValue, Choice, Command, Group, Values, parse_key_values, read_fields
from devices.coordination import coordinated, key, look_up
from devices.errors import Busy, DeviceError, NoAnswer, NoCoordination, NotSupported, Refused, WrongAnswer
from devices.families.base import (
    Capability,
    Clip,
    ClipFile,
    Driver,
    Health,
    HttpSession,
    Identity,
    Listing,
    LogEntry,
    Marks,
    Move,
    Picture,
    Ptz,
    RtpSession,
    Sound,
    Store,
    Stream,
    Written,
)
from devices.families.by_hand import ByHand
from devices.families.povcam import by_hand, clips, clock, groups
from devices.families.povcam import commands as cgi
from devices.gateway import Gateway, Reply
from devices.models import Camera
from devices.options import NumberOption, WordOption
from devices.uids import UidLease

logger = logging.getLogger(__name__)

LOG_LINES = 300  # as many as the device gives at once (5.11)
STATE_SECONDS = 5.0  # get_state may be met with silence; the poll must not wait for it long
END_SECONDS = 10.0
KEEP_ALIVE_REMEMBERED_SECONDS = 7 * 24 * 3600
# Its clock is looked at when it is identified, once a minute; what was found stays true for some looks that fail.
CLOCK_SECONDS = 180
# It tells whole gigabytes: a card with 0 left has room for less than three minutes of the best recordings (50 Mbps,
# 8.1). Below a twentieth (3 GB of 64) it has for eight minutes of those and an hour of the smallest: time to change it.
NEARLY_FULL = 0.05

# The document gives horizontal resolutions only (2.2); capability (2.3) tells what they stand for.
HEIGHTS = {3840: 2160, 1920: 1080, 1280: 720, 640: 360}
MULTICAST_SOUND = 1000  # added to the port of the pictures (13.2)
JPEG_WIDTH = 640  # the only one the document has (2.4)
PICTURE_LIMIT = 1024 * 1024
# A device switched on must be told once to make single pictures (2.4). Told again after this, or when it makes none.
STILLS_SECONDS = 3600
# The ways of H.264, then those of JPEG; each by itself a value of the option transport.
_H264_WAYS = ("rtp", "rtp-multicast", "rtsp-tcp", "rtsp-udp", "rtsp-multicast")
_JPEG_WAYS = ("mjpeg", "jpeg")
_STILL_WAYS = ("stills", "camera")
_TRANSPORTS = (*_H264_WAYS, *_JPEG_WAYS, *_STILL_WAYS)
# Our verbs in the words of camctrl (3.1).
_FOCUS = {"near": "-3", "far": "3", "auto": "on"}
_IRIS = {"open": "up", "close": "down", "reset": "0"}
_FASTEST = 4
# Transmission modes as get_capability (2.3) and as set_h264 (4.3) have them.
_PRIORITIES = {"bitrate": "0", "framerate": "1", "best_effort": "2"}
_FLEETING = frozenset({"counter", "clock_skew_seconds"})
# Errors may come in a body under 200 OK.
_ERROR_IN_BODY = re.compile(r"^\s*E[Rr]\d|^\s*ErrorNo\s*=\s*(\d+)", re.MULTILINE)
_MULTICAST = re.compile(r"(22[4-9]|23[0-9])(\.[0-9]{1,3}){3}")
_JPEG_BEGINS = b"\xff\xd8"
_JS_PAIR = re.compile(r"""([\w.]+)\s*:\s*(?:"([^"]*)"|'([^']*)'|([^,}\r\n]*))""")


@dataclass(frozen=True)
class _Mode:
    """One stream in the three vocabularies of section 2: vcodec of getuid, mode of keep_alive, stream of h264."""

    vcodec: str
    keep_alive: str
    stream: str


_SHORT_KEEP_ALIVE = replace(
    cgi.KEEP_ALIVE,
    params=tuple(
        replace(param, choices={"h264": "H.264 keep alive", "h264_2": "H.264(2) keep alive"})
        if isinstance(param, Choice) and param.name == "mode"
        else param
        for param in cgi.KEEP_ALIVE.params
    ),
    undocumented=True,
)
# What a lease may stand for beside the two streams.
SOUND, JPEG = "audio", "jpeg"
MODES = {"h264": _Mode("h264", "h.264", "1"), "h264_2": _Mode("h264_2", "h.264_2", "2")}


@dataclass(frozen=True)
class _Place:
    """What getuid gives: a UID, and where the device will send what is asked for with it. Port 0: where we say."""

    uid: str
    port: int = 0
    sound_port: int = 0
    group: str = ""


class PovcamDriver(Driver):
    family: ClassVar[str] = "povcam"
    catalogue: ClassVar[tuple[Command, ...]] = cgi.CATALOGUE
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.LIVE,
            Capability.SETTINGS,
            Capability.PTZ,
            Capability.RECORDING,
            Capability.CLOCK,
            Capability.NTP,
            Capability.LOG,
            Capability.STORAGE,
            Capability.CLIPS,
            Capability.RESTART,
            Capability.SNAPSHOT,
        }
    )
    home_page: ClassVar[re.Pattern[str]] = re.compile(r"(?i)\bAG-UMR|\bPOVCAM\b")
    all_groups: ClassVar[tuple[Group, ...]] = groups.GROUPS
    options: ClassVar[tuple[options.Option, ...]] = (
        *options.COMMON,
        WordOption("transport", "auto", "How pictures come to us.", ("auto", *_TRANSPORTS)),
        NumberOption("rtsp_port", 554, "The port of the device's RTSP server.", 1, 65535),
        WordOption("system_frequency", "59.94", "The system frequency set on the device, in Hz.", ("59.94", "50")),
        NumberOption("keep_alive_seconds", 30, "Seconds between two keep-alives of a running stream.", 5, 120),
    )

    # --- Commands -----------------------------------------------------------------------------------------------------
    async def ask(self, gateway: Gateway, command: Command, values: Values | None = None, **how: Any) -> Reply:
        """Ask, and see through errors that come as 200 OK."""
        reply = await super().ask(gateway, command, values, **how)
        if error := _ERROR_IN_BODY.search(reply.text[:2000]):
            if error[1] == "3":
                raise Busy(f"{gateway.address} is busy with its card. Try again when it has finished.")
            raise Refused(
                f"{gateway.address} refuses {command.id} ({error[0].strip()}). Its mode may not allow it now."
            )
        return reply

    def fills_in(self, command: Command) -> frozenset[str]:
        return frozenset({"UID"}) if by_hand.needs_uid(command) else frozenset()

    def lasts(self, command: Command, values: Values) -> bool:
        return super().lasts(command, values) or by_hand.lasts(command, values)

    def prepared(self, gateway: Gateway, command: Command, values: Values) -> AbstractAsyncContextManager[ByHand]:
        return by_hand.prepared(self, gateway, command, values)

    async def _fields(self, gateway: Gateway, command: Command) -> dict[str, Any]:
        return (await self.ask(gateway, command)).fields

    def restarts(self, command: Command, values: Values) -> bool:
        return command.id == cgi.INITIAL.id

    def unreachable_after(self, group: Group, wanted: Values) -> str:
        if group.id != groups.NETWORK.id or str(wanted.get("dhcp")) != "1":
            return ""
        mac = f" ({self.device.mac})" if self.device.mac else ""
        return (
            "With DHCP it gets an address that nobody here knows: the device will be offline until its new address is "
            f"entered. Best reserve one at the DHCP server for its MAC address{mac} first, and enter it under Edit "
            "afterwards."
        )

    async def write_group(self, gateway: Gateway, group: Group, wanted: Values, *, restoring: bool = False) -> Written:
        """With DHCP the fixed address is not the one it goes to."""
        if group.id == groups.NETWORK.id and "IP_addr" in wanted:
            told = await self.read_group(gateway, group) if wanted.get("dhcp") is None else {}
            if str(wanted.get("dhcp") or told.get("dhcp")) == "1":
                group = replace(group, moves={"port": "port"})
        return await super().write_group(gateway, group, wanted, restoring=restoring)

    def narrowed(self, command: Command) -> Command:
        """With what get_capability lists, and what the priority mode allows (1., "About the priority mode"; 8.1)."""
        status = self.device.status
        told = (status.get("choices") or {}).get(command.id) or {}
        narrow = super().narrowed(command).narrowed(told)
        mode = status.get("priority_mode")
        if self._without_h264_2():
            if narrow.id == cgi.SET_H264_2.id:
                return replace(narrow, unrunnable="with REC/PB priority there is no H.264(2).")
            if narrow.id == cgi.GETUID.id:
                narrow = narrow.narrowed({"vcodec": ["jpeg", "h264"]})
        if narrow.id == cgi.SET_SDREC_MODE.id and mode and mode != "rec_pb_4k":
            (modes,) = (param for param in narrow.params if isinstance(param, Choice))
            narrow = narrow.narrowed({"mode": [word for word in modes.choices if word not in cgi.MODES_4K]})
        return narrow

    def _without_h264_2(self) -> bool:
        return str(self.device.status.get("priority_mode") or "").startswith("rec_pb")

    @property
    def groups(self) -> tuple[Group, ...]:
        lacking = {groups.H264_2.id} if self._without_h264_2() else set()
        return tuple(group for group in self.all_groups if group.id not in lacking)

    # --- What it is and how it is -------------------------------------------------------------------------------------
    async def identify(self, gateway: Gateway) -> Identity:
        info = await self._fields(gateway, cgi.GETINFO)
        if info["NAME"] is None and info["MAC"] is None and info["SERIAL"] is None:
            raise WrongAnswer(f"{gateway.address} does not answer as a POVCAM does. Check the address and the family.")
        await self._prove_password(gateway)
        await self._look_at_clock(gateway)
        basic = await self._fields(gateway, cgi.GET_BASIC)
        mode = await self._fields(gateway, cgi.GET_PRIORITY_MODE)
        marks = _marks(info)
        return Identity(
            model=info["NAME"] or None,
            serial=marks.serial,
            mac=marks.mac,
            firmware=info["VERSION"] or None,
            cameras={1: self.device.name},
            facts={
                "title": basic["cam_title"],
                "priority_mode": mode["priority_mode"],
                "audio_on": {"in": True, "off": False}.get((info["aEnable"] or "").lower()),
                "streams": {name: _stream_facts(info, name) for name in MODES},
                **await self._capability(gateway),
            },
        )

    async def marks(self, gateway: Gateway) -> Marks:
        return _marks(await self._fields(gateway, cgi.GETINFO))

    async def _prove_password(self, gateway: Gateway) -> None:
        """With User auth. off (factory setting) all that is asked to watch the device needs no password, so a wrong one
        would show only when a setting is read (1., "About the access levels"). What needs one is asked, then."""
        if not self.device.username:
            return
        with suppress(Refused, NotSupported, WrongAnswer):
            await self.ask(gateway, cgi.GET_TIME)

    async def _look_at_clock(self, gateway: Gateway) -> None:
        skew = None
        with suppress(Refused, NotSupported, WrongAnswer):
            if (told := await self.clock(gateway)) is not None:
                # It tells whole seconds, half a second ago on average.
                skew = round((told - datetime.now(UTC)).total_seconds() + 0.5)
        async with coordinated() as redis:
            await redis.set(self._clock_key(), "" if skew is None else skew, ex=CLOCK_SECONDS)

    async def _clock_skew(self) -> int | None:
        told = await look_up(self._clock_key())
        return int(told) if told else None

    def _clock_key(self) -> str:
        return key("povcam", "clock", self.device.host, self.device.port)

    async def health(self, gateway: Gateway) -> Health:
        """get_state, which works in imaging mode only: a recorder that is silent here but answers elsewhere is well."""
        try:
            reply = await self.ask(gateway, cgi.GET_STATE, seconds=STATE_SECONDS)
            raw = parse_key_values(reply.text)
        except (Refused, NotSupported, NoAnswer):
            raw = {}
        skew = await self._clock_skew()
        if not raw:
            mode = await self._fields(gateway, cgi.GET_PRIORITY_MODE)
            return Health(
                facts={
                    "activity": "playback or standby",
                    "priority_mode": mode["priority_mode"],
                    "clock_skew_seconds": skew,
                },
                problems=self._clock_problems(skew),
                fleeting=_FLEETING,
            )
        state = read_fields(cgi.GET_STATE.reply, raw)
        cards = [_card(state, slot, prefix) for slot, prefix in ((1, "sd"), (2, "sd2"))]
        problems = [f"The card in slot {card['slot']} reports an error." for card in cards if card["error"]]
        problems += [f"The card in slot {card['slot']} is being repaired." for card in cards if card["repairing"]]
        problems += filter(None, map(_full, cards))
        problems += self._clock_problems(skew)
        return Health(
            facts={
                "activity": "recording" if state["rec"] else "imaging",
                "recording": state["rec"],
                "pre_recording": state["pre_rec"],
                "counter": state["rec_counter"],
                "ftp_sending": state["ftp_send"],
                "deleting": state["del_file"],
                "downloading": state["download"],
                "formatting": state["sd_format"],
                "cards": cards,
                "clock_skew_seconds": skew,
            },
            problems=problems,
            fleeting=_FLEETING,
        )

    async def _capability(self, gateway: Gateway) -> dict[str, Any]:
        """What get_capability says this device has, as far as we offer it; nothing where it says nothing.

        `choices`: command → parameter → values. `controls`: verbs of steering → whether they work, None if not said.
        """
        try:
            told = await self._fields(gateway, cgi.GET_CAPABILITY)
        except (Refused, NotSupported, WrongAnswer):
            return {}
        choices = {
            command.id: {
                "h264_resolution": [size.partition("x")[0] for size in told[f"{prefix}.resolution"] or []],
                "h264_bandwidth": told[f"{prefix}.bandwidth"] or [],
                "framerate": told[f"{prefix}.framerate"] or [],
                "f_priority": [_PRIORITIES.get(word, "") for word in told[f"{prefix}.stream_mode"] or []],
            }
            for command, prefix in (
                (cgi.SET_H264, "video_server.image.h264"),
                (cgi.SET_H264_2, "video_server.image.h264-2"),
            )
        }
        if rates := told["video_server.network.nw_bandwidth"]:
            choices[cgi.SET_BANDWIDTH.id] = {"bandwidth": ["0", *rates, "10000"]}
        says = {"yes": True, "no": False}
        controls = {"zoom": "ptz", "focus": "focus", "auto": "auto_focus", "iris": "brightness"}
        return {
            "choices": {
                command: {name: words for name, words in each.items() if words} for command, each in choices.items()
            },
            "controls": {
                verb: says.get(told[f"video_server.cam_ctrl.{control}.supported"] or "")
                for verb, control in controls.items()
            },
        }

    # --- Streams ------------------------------------------------------------------------------------------------------
    def streams(self, camera: Camera) -> list[Stream]:
        """H.264 as the device is set to send it, in the way that is fixed here, if one is; and its JPEG."""
        status = camera.device.status
        told = status.get("streams") or {}
        fixed = self.option("transport")
        found = []
        for name, facts in told.items():
            # 1., "About the priority mode": with REC/PB priority there is no control of H.264(2).
            if name == "h264_2" and self._without_h264_2():
                continue
            if facts.get("transmits") is False:
                continue
            way = "rtp-multicast" if facts.get("delivery") == "multi" else "rtp"
            way = fixed if fixed in _H264_WAYS else way
            width = facts.get("width")
            rate, sound = facts.get("max_fps"), bool(status.get("audio_on"))
            found.append(Stream(name, "h264", width, HEIGHTS.get(width), rate, way, audio=sound))
        if told:
            size = (JPEG_WIDTH, HEIGHTS[JPEG_WIDTH])
            rate, sound = float(self._jpeg_rate()), bool(status.get("audio_on"))
            way = fixed if fixed in _JPEG_WAYS else "mjpeg"
            found.append(Stream("mjpeg", "mjpeg", *size, rate, way, audio=sound))
            way = fixed if fixed in _STILL_WAYS else "stills"
            found.append(Stream("stills", "mjpeg", *size, None, way))
        return found

    def candidates(self, stream: Stream) -> list[Stream]:
        """RTP by CGI as the device is set to send it; inside a connection of ours where no packet gets through to us;
        motion JPEG, which always does, and is small."""
        if stream.codec != "h264" or self.option("transport") != "auto":
            return [stream]
        small = Stream(stream.id, "mjpeg", JPEG_WIDTH, HEIGHTS[JPEG_WIDTH], float(self._jpeg_rate()), "mjpeg")
        return [stream, replace(stream, transport="rtsp-tcp"), small]

    def _jpeg_rate(self) -> str:
        return "12.5" if self.option("system_frequency") == "50" else "15"

    def rtsp_url(self, stream: Stream) -> str:
        host = f"[{self.device.host}]" if ":" in self.device.host else self.device.host
        return f"rtsp://{host}:{self.option('rtsp_port')}/mediainput/h264/stream_{MODES[stream.id].stream}"

    @asynccontextmanager
    async def rtp_session(
        self, gateway: Gateway, stream: Stream, *, port: int, move: Move | None = None
    ) -> AsyncIterator[RtpSession]:
        place = await self._getuid(gateway, MODES[stream.id].vcodec)
        self._may_come(place, movable=move is not None)
        if place.port and move is not None:
            move(place.port, place.group)
        lease = self._lease(place.uid, stream.id, place.port or port)
        fixed = (place.sound_port, place.group) if place.port else None
        async with self._sending(gateway, lease, stream, sound_at=fixed) as session:
            yield session

    def _may_come(self, place: _Place, *, movable: bool) -> None:
        """Is it sent in the way that is fixed here?"""
        fixed = self.option("transport")
        if place.group and (fixed == "rtp" or not movable):
            raise NotSupported(
                f"{self.device.name} sends this stream by multicast. Set its transmission type to unicast, or the "
                "option transport here to auto."
            )
        if not place.group and fixed == "rtp-multicast":
            raise NotSupported(
                f"{self.device.name} sends this stream by unicast. Set its transmission type to multicast, or the "
                "option transport here to auto."
            )
        if place.port and not movable:
            raise NotSupported(
                f"{self.device.name} sends this stream to port {place.port} only. Set its transmission type to unicast "
                "(auto)."
            )

    def _lease(self, uid: str, mode: str, port: int) -> UidLease:
        return UidLease(
            device=self.device.pk,
            uid=uid,
            mode=mode,
            port=port,
            keep_alive_seconds=self.option("keep_alive_seconds"),
        )

    @asynccontextmanager
    async def http_session(self, gateway: Gateway, stream: Stream) -> AsyncIterator[HttpSession]:
        """mjpeg needs no UID; where it is refused, jpeg, which needs one, gives the same (2.4)."""
        values: Values = {"resolution": JPEG_WIDTH, "framerate": self._jpeg_rate()}
        async with AsyncExitStack() as stack:
            if stream.transport == "mjpeg":
                try:
                    answer = await stack.enter_async_context(gateway.stream(self.narrowed(cgi.MJPEG), values))
                except (Refused, NotSupported):
                    pass
                else:
                    yield HttpSession(stream, answer)
                    return
            lease = self._lease((await self._getuid(gateway, JPEG)).uid, JPEG, 0)
            values = {"connect": "start", **values, "UID": lease.uid}
            asked = self._answered(gateway, lease, stream, self.narrowed(cgi.JPEG), values)
            yield await stack.enter_async_context(asked)

    @asynccontextmanager
    async def _answered(
        self, gateway: Gateway, lease: UidLease, stream: Stream, command: Command, values: Values
    ) -> AsyncIterator[HttpSession]:
        """Have what a new lease stands for sent as the answer."""

        def lose(sentence: str) -> None:
            session.lost_reason = session.lost_reason or sentence
            session.lost.set()

        async def keep_alive() -> None:
            await self.keep_alive(gateway, lease, taking_turns=False)

        await uids.hold(lease)
        may_be_sending = True
        try:
            async with AsyncExitStack() as stack:
                try:
                    answer = await stack.enter_async_context(gateway.stream(command, values))
                except (Refused, NotSupported, Busy):
                    may_be_sending = False
                    raise
                session = HttpSession(stream, answer, lease=lease)
                async with uids.holding(lease, lose, keep_alive):
                    yield session
        finally:
            await self._end_for_sure(gateway, lease, may_be_sending)

    @asynccontextmanager
    async def _sending(
        self, gateway: Gateway, lease: UidLease, stream: Stream, *, sound_at: tuple[int, str] | None = None
    ) -> AsyncIterator[RtpSession]:
        """Have what a new lease stands for sent to our port. A port the device is set to may be others' as well."""
        session = RtpSession(stream, lease.port, self.device.host, lease=lease, sound_at=sound_at)

        def lost(reason: str) -> None:
            session.lost_reason = reason
            session.lost.set()

        async def keep_alive() -> None:
            await self.keep_alive(gateway, lease, taking_turns=False)

        # In the ledger before the device sends anything: should we die now, the keeper still stops it.
        await uids.hold(lease)
        may_be_sending = False
        try:
            if sound_at is None:
                await uids.supersede(lease)
            may_be_sending = True
            try:
                await self.ask(gateway, *_transmission(lease, "start"))
            except (Refused, NotSupported, Busy):
                may_be_sending = False
                raise
            async with uids.holding(lease, lost, keep_alive):
                yield session
        finally:
            await self._end_for_sure(gateway, lease, may_be_sending)

    def sound(self, stream: Stream) -> Sound | None:
        ways = {"rtp": "rtp", "rtp-multicast": "rtp", **dict.fromkeys(_JPEG_WAYS, "http")}
        return Sound(ways[stream.transport]) if stream.transport in ways else None

    @asynccontextmanager
    async def rtp_sound(
        self, gateway: Gateway, picture: Picture, *, port: int, move: Move | None = None
    ) -> AsyncIterator[RtpSession]:
        """With the picture's UID, as the examples have it (2.7): there are few, and a stop of sound gives none back."""
        assert picture.lease is not None, "each picture by RTP has one"
        fixed = picture.sound_at if isinstance(picture, RtpSession) else None
        if fixed is not None:
            if move is None:
                raise NotSupported(f"{self.device.name} sends this sound to a port that is set on it.")
            move(*fixed)
            port = fixed[0]
        lease = replace(picture.lease, mode=SOUND, port=port, id=secrets.token_hex(8), since=int(time.time()))
        try:
            async with self._sending(gateway, lease, picture.stream, sound_at=fixed) as session:
                yield session
        except WrongAnswer as error:
            raise self._silent() from error

    @asynccontextmanager
    async def http_sound(self, gateway: Gateway, picture: Picture) -> AsyncIterator[HttpSession]:
        """Beside JPEG, with a UID of its own: one that was got for JPEG is without sound."""
        lease = self._lease((await self._getuid(gateway, MODES["h264"].vcodec)).uid, SOUND, 0)
        try:
            async with self._answered(gateway, lease, picture.stream, *_transmission(lease, "start")) as session:
                yield session
        except WrongAnswer as error:
            raise self._silent() from error

    def _silent(self) -> Refused:
        return Refused(
            f"{self.device.name} sends no sound. Switch its audio and its audio transmission on, in its settings."
        )

    async def keep_alive(self, gateway: Gateway, lease: UidLease, *, taking_turns: bool = True) -> None:
        protocol = "rtp" if lease.port else "http"
        values: Values = {"mode": lease.mode, "protocol": protocol, "UID": lease.uid}
        if lease.mode in MODES:
            mode = MODES[lease.mode]
            values = {**values, "mode": mode.keep_alive, "stream": mode.stream}
            if gateway.legacy:
                return await self._keep_alive_somehow(gateway, mode, values, taking_turns=taking_turns)
        await self.ask(gateway, cgi.KEEP_ALIVE, values, taking_turns=taking_turns)

    async def _keep_alive_somehow(
        self, gateway: Gateway, mode: _Mode, values: Values, *, taking_turns: bool = True
    ) -> None:
        """Old firmware refuses the mode as the document writes it and knows the name that getuid has for the stream.
        Which it is, is remembered; without Redis the document's is tried first again."""
        name = key("povcam", "keep-alive", self.device.host, self.device.port)
        short = False
        with suppress(NoCoordination):
            short = bool(await look_up(name))
        if not short:
            try:
                await self.ask(gateway, cgi.KEEP_ALIVE, values, taking_turns=taking_turns)
                return
            except Refused as error:
                if type(error) is not Refused:
                    raise
                refused = error
        try:
            await self.ask(gateway, _SHORT_KEEP_ALIVE, {**values, "mode": mode.vcodec}, taking_turns=taking_turns)
        except Refused:
            if not short:
                raise refused from None
            with suppress(NoCoordination):
                async with coordinated() as redis:
                    await redis.delete(name)  # it may have new firmware by now
            raise
        with suppress(NoCoordination):
            async with coordinated() as redis:
                await redis.set(name, 1, ex=KEEP_ALIVE_REMEMBERED_SECONDS)

    async def stop(self, gateway: Gateway, lease: UidLease) -> None:
        await self.ask(gateway, *_transmission(lease, "stop"))

    async def snapshot(self, gateway: Gateway, camera: Camera) -> bytes:
        """By view.cgi; by camera where that gives none. What is answered when it does not work is told nowhere."""
        if not await look_up(self._stills_key()):
            await self._start_stills(gateway)
        picture = await self._still(gateway)
        if not picture:  # it may have been switched off and on
            await self._start_stills(gateway)
            picture = await self._still(gateway)
        if picture:
            return picture
        return await self._picture(gateway)

    async def still(self, gateway: Gateway, camera: Camera, way: str) -> bytes:
        return await (self._picture(gateway) if way == "camera" else self.snapshot(gateway, camera))

    async def _picture(self, gateway: Gateway) -> bytes:
        """By camera, which needs no start (2.4)."""
        values: Values = {"resolution": JPEG_WIDTH, "page": _dummy()}
        return (await gateway.ask(self.narrowed(cgi.CAMERA), values, limit=PICTURE_LIMIT)).body

    async def _still(self, gateway: Gateway) -> bytes:
        with suppress(Refused, NotSupported, WrongAnswer):
            reply = await gateway.ask(cgi.VIEW, {"action": "snapshot", "n": _dummy()}, limit=PICTURE_LIMIT)
            return reply.body if _JPEG_BEGINS in reply.body[:64] else b""
        return b""

    async def _start_stills(self, gateway: Gateway) -> None:
        with suppress(Refused, NotSupported, WrongAnswer):
            await self.ask(gateway, cgi.VIEW, {"action": "start"})
        async with coordinated() as redis:
            await redis.set(self._stills_key(), 1, ex=STILLS_SECONDS)

    def _stills_key(self) -> str:
        return key("povcam", "stills", self.device.host, self.device.port)

    # --- Steering: the camera head zooms, focuses and turns brighter or darker, and does not turn ---------------------
    def ptz(self, camera: Camera) -> Ptz:
        """All of it, but for what get_capability denies."""
        denied = {verb for verb, works in (self.device.status.get("controls") or {}).items() if works is False}
        focus = tuple(mode for mode in _FOCUS if not denied & {"auto" if mode == "auto" else "focus"})
        return Ptz(zoom="zoom" not in denied, focus=focus, iris=() if "iris" in denied else tuple(_IRIS))

    async def move(self, gateway: Gateway, camera: Camera, *, pan: float, tilt: float, zoom: float) -> None:
        """directctrl: a speed from -4 to 4 that lasts until it is set to 0."""
        if pan or tilt:
            raise self._lacks("pan or tilt; it can zoom")
        await self.ask(gateway, cgi.DIRECTCTRL, {"zoom": _step(zoom)})

    async def focus(self, gateway: Gateway, camera: Camera, mode: str) -> None:
        await self.ask(gateway, cgi.CAMCTRL, {"focus": _word(_FOCUS, "focus", mode)})

    async def iris(self, gateway: Gateway, camera: Camera, mode: str) -> None:
        await self.ask(gateway, cgi.CAMCTRL, {"iris": _word(_IRIS, "iris", mode)})

    # --- Recording, clock, log, cards, restart ------------------------------------------------------------------------
    async def record(self, gateway: Gateway, on: bool) -> None:
        """204 is success; 500 says that there is no card, or that it is so already (8.7): get_state tells which."""
        try:
            await self.ask(gateway, cgi.SDCTRL, {"save": "start" if on else "end"})
        except WrongAnswer as error:
            state = await self._fields(gateway, cgi.GET_STATE)
            if state["rec"] is on:
                return
            if on and not (state["sd_insert"] or state["sd2_insert"]):
                raise Refused(f"{self.device.name} has no card to record on. Insert one, then try again.") from error
            does = "start" if on else "stop"
            raise Refused(f"{self.device.name} does not {does} recording. Look at its card and its mode.") from error

    async def clock(self, gateway: Gateway) -> datetime | None:
        return clock.told(await self._fields(gateway, cgi.GET_DATE_TIME))

    async def set_clock(self, gateway: Gateway, now: datetime) -> None:
        values = clock.to_set(await self._fields(gateway, cgi.GET_DATE_TIME), now)
        if values is None:
            raise NotSupported(
                f"{self.device.name} is set to a time zone its document does not explain. Set its time zone first."
            )
        await self.ask(gateway, cgi.DATE_TIME, values)
        async with coordinated() as redis:
            await redis.delete(self._clock_key())

    async def set_ntp(self, gateway: Gateway, server: str) -> None:
        await self.write_group(gateway, groups.NTP, {"time_adjust": 1, "ntp_addr_dhcp": 0, "ntp_addr": server})

    async def log(self, gateway: Gateway) -> list[LogEntry]:
        reply = await self.ask(gateway, cgi.GET_SYSTEMLOG, {"num": LOG_LINES, "index": 1})
        entries = [
            LogEntry(number=row["no"], at=row["time"], code=row["code"] or "", text=row["description"] or "")
            for row in reply.fields["rows"]
        ]
        return sorted(entries, key=lambda entry: entry.at or "", reverse=True)

    async def storage(self, gateway: Gateway) -> list[Store]:
        """Of get_state, which tells nothing in playback and standby: then the cards are unknown, not absent."""
        try:
            state = await self._fields(gateway, cgi.GET_STATE)
        except (Refused, NotSupported):
            state = read_fields(cgi.GET_STATE.reply, {})
        formatting = "formatting" if state["sd_format"] else ""
        cards = [_card(state, slot, prefix) for slot, prefix in ((1, "sd"), (2, "sd2"))]
        return [
            Store(
                name=f"slot {card['slot']}",
                kind="card",
                present=card["inserted"],
                size_gb=card["size_gb"],
                free_gb=card["free_gb"],
                state=formatting or ("error" if card["error"] else "repairing" if card["repairing"] else "ok"),
            )
            for card in cards
        ]

    clip_formats: ClassVar[tuple[str, ...]] = clips.FORMATS

    async def clips(self, gateway: Gateway, slot: int, form: str) -> Listing:
        return await clips.clips(self, gateway, slot, form)

    def clip_file(self, gateway: Gateway, clip: Clip) -> AbstractAsyncContextManager[ClipFile]:
        return clips.clip_file(self, gateway, clip)

    async def delete_clips(self, gateway: Gateway, wanted: Sequence[Clip]) -> list[Clip]:
        return await clips.delete_clips(self, gateway, wanted)

    async def check_card(self, gateway: Gateway, slot: int) -> None:
        await clips.check_card(self, gateway, slot)

    async def format_card(self, gateway: Gateway, slot: int) -> None:
        await clips.format_card(self, gateway, slot)

    async def format_progress(self, gateway: Gateway) -> str:
        return await clips.format_progress(self, gateway)

    async def restart(self, gateway: Gateway) -> None:
        await self.ask(gateway, cgi.INITIAL, {"cmd": "reset", "Randomnum": secrets.token_hex(8)})

    # --- Behind the streams -------------------------------------------------------------------------------------------
    async def _getuid(self, gateway: Gateway, vcodec: str) -> _Place:
        reply = await self.ask(gateway, cgi.GETUID, {"FILE": 2, "vcodec": vcodec, "reply": "info"})
        if reply.status == 204:
            raise NotSupported(
                f"{self.device.name} does not offer this stream now. Check its priority mode and its transmission."
            )
        answer = read_fields(cgi.GETUID.reply, _pairs(reply.text))
        uid = answer["UID"] or ""
        if not re.fullmatch(r"[0-9]{1,19}", uid) or int(uid) == 0:
            if re.search(r"access limit|internet mode", reply.text, re.IGNORECASE) or uid.lstrip("-").isdigit():
                raise Busy(
                    f"{self.device.name} has no place left for another viewer. Close one elsewhere, then try again."
                )
            raise WrongAnswer(f"{self.device.name} gave no user ID for the transmission. Try again.")
        return self._place(uid, answer) if vcodec != JPEG else _Place(uid)

    def _place(self, uid: str, answer: Mapping[str, Any]) -> _Place:
        delivery = (answer["sDelivery"] or "uni").lower()
        if delivery == "uni":
            return _Place(uid)
        if delivery == "multi":
            octets = [answer[f"iMultiAdd{number}"] for number in range(1, 5)]
            group = answer["iMultiAdd"] or ".".join(map(str, octets))
            port = answer["iMultiPort"] or 0
            sound_port = port + MULTICAST_SOUND
        else:
            group, port, sound_port = "", answer["iUniPort"] or 0, answer["aInPort"] or 0
        if not 1024 <= port <= 50_000 or (delivery == "multi" and not _MULTICAST.fullmatch(group)):
            raise NotSupported(
                f"{self.device.name} sends this stream as {delivery}, and does not tell where to. Set its transmission "
                "type to unicast (auto)."
            )
        return _Place(uid, port, sound_port, group)

    async def _end_for_sure(self, gateway: Gateway, lease: UidLease, may_be_sending: bool) -> None:
        ending = asyncio.ensure_future(self._end(gateway, lease, may_be_sending))
        _endings.add(ending)
        ending.add_done_callback(_endings.discard)
        await asyncio.shield(ending)

    async def _end(self, gateway: Gateway, lease: UidLease, may_be_sending: bool) -> None:
        """Stop and release, whatever happened; what cannot be stopped now is left to the keeper."""
        try:
            async with asyncio.timeout(END_SECONDS):
                if may_be_sending:
                    try:
                        await self.stop(gateway, lease)
                    except DeviceError as error:
                        if not uids.ends_the_lease(error):
                            raise
                await uids.forget(lease)
        except (DeviceError, TimeoutError) as error:
            logger.warning("a transmission is left for the keeper to stop: %s", error, extra={"device": self.device.pk})
            try:
                await uids.abandon(lease)
            except NoCoordination:
                logger.warning("its lease runs out by itself", extra={"device": self.device.pk})


# Endings under way; held here, since the loop keeps only weak references and a cancelled viewer does not wait.
_endings: set[asyncio.Future[None]] = set()


def _marks(info: Mapping[str, Any]) -> Marks:
    mac = info["MAC"].replace("-", ":").upper()[:17] if info["MAC"] else None
    return Marks(mac=mac, serial=info["SERIAL"] or None)


def _pairs(text: str) -> Mapping[str, str]:
    """`key=value` lines, or the `{key:value,…}` object that the device's own web page asks for."""
    found = parse_key_values(text)
    if "{" in text and "UID" not in found:
        for name, *values in _JS_PAIR.findall(text):
            found.setdefault(name, next((value for value in values if value), "").strip())
    return found


def _transmission(lease: UidLease, connect: str) -> tuple[Command, Values]:
    """All five parameters, always: a stop without the port and UID of its start is not understood."""
    values: Values = {"my_port": lease.port, "connect": connect, "protocol": "rtp", "UID": lease.uid}
    if lease.mode == SOUND and not lease.port:
        return cgi.AUDIO, {"connect": connect, "protocol": "http", "UID": lease.uid, "mode": "in"}
    if lease.mode == SOUND:
        return cgi.AUDIO, {**values, "mode": "in"}
    if lease.mode == JPEG:
        return cgi.JPEG, {"connect": connect, "UID": lease.uid}
    return cgi.H264, {**values, "stream": MODES[lease.mode].stream}


def _dummy() -> int:
    """What makes an address another one each time, so that nothing between answers it from a cache."""
    return int(time.time() * 1000) % 1_000_000_000


def _stream_facts(info: Mapping[str, Any], name: str) -> dict[str, Any]:
    transmits = info[f"iTransmit_{name}"]
    return {
        "transmits": None if transmits is None else transmits != "0",
        "width": info[f"iResolution_{name}"],
        "max_fps": info["Maxfps"],
        "bitrate": info[f"iBitrate_{name}"],
        "quality": info[f"iQuality_{name}"],
        "delivery": info[f"sDelivery_{name}"],
    }


def _card(state: Mapping[str, Any], slot: int, prefix: str) -> dict[str, Any]:
    return {
        "slot": slot,
        "inserted": state[f"{prefix}_insert"],
        "repairing": state[f"{prefix}_repair"],
        "error": state[f"{prefix}_error"],
        "free_gb": state[f"{prefix}_rem"],
        "size_gb": state[f"{prefix}_org"],
    }


def _full(card: Mapping[str, Any]) -> str:
    free, size = card["free_gb"], card["size_gb"]
    if not card["inserted"] or free is None or not size or free >= size * NEARLY_FULL:
        return ""
    if free > 0:
        return f"The card in slot {card['slot']} is nearly full. Save its clips and delete them, or have another ready."
    return (
        f"The card in slot {card['slot']} is full: nothing more is recorded on it. Save its clips and delete them, or "
        "put in another."
    )


def _step(speed: float) -> int:
    """-1…1 in steps of -4…4; the slowest speed is not none."""
    step = round(abs(speed) * _FASTEST) or (1 if speed else 0)
    return min(step, _FASTEST) * (1 if speed > 0 else -1)


def _word(words: Mapping[str, str], verb: str, mode: str) -> str:
    if mode not in words:
        raise BadValue("mode", f"{verb} cannot be {mode!r}; use one of {', '.join(words)}.")
    return words[mode]
