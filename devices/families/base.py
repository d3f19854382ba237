"""What every driver answers, whatever its family.

A driver knows one vendor document and keeps no state: it is made for a device, describes what the device offers, and
talks to it through the gateway it is handed. What a device cannot do is not in `capabilities`, so that pages do not
offer it, and asking anyway raises NotSupported. Drivers never touch the database.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from devices.cgi import Command, Group, Kind, Values, kept, plan, values_from
from devices.errors import DeviceError, NotSupported
from devices.families.by_hand import ByHand
from devices.gateway import Gateway, Reply, Streamed
from devices.models import Camera, Device
from devices.options import Option, value_of
from devices.uids import UidLease

# Recordings are looked for by their time, and a clock with a time server is right within a second: a minute off means
# that nothing sets it. Once told of, it has to be clearly better: at the limit it would come and go with every look.
CLOCK_OFF_SECONDS = 60
CLOCK_FINE_SECONDS = 50
CLOCK_PROBLEM = (
    "Its clock is wrong by a minute or more, so what it records is found at the wrong time. Set its clock, and give it "
    "a time server (NTP), with which it stays right."
)


class Capability(StrEnum):
    """What pages and the API may offer of a device."""

    LIVE = "live"
    SETTINGS = "settings"
    PTZ = "ptz"  # at least one of the verbs; `Driver.ptz` tells which
    RECORDING = "recording"  # can be told to start and stop recording
    CLOCK = "clock"  # its clock can be read and set
    NTP = "ntp"
    LOG = "log"  # keeps a log of its own that can be read
    STORAGE = "storage"  # tells of its cards or disks
    CLIPS = "clips"  # lists what is on its cards, sends it, deletes it, and formats a card
    RESTART = "restart"
    FACTORY_RESET = "factory_reset"
    SNAPSHOT = "snapshot"  # gives single pictures
    USERS = "users"  # its list of users can be read and changed
    PASSWORD = "password"  # the password we log in with can be changed from here  # noqa: S105
    SWITCHES = "switches"  # triggers and the like, which are on or off
    SERIAL = "serial"  # sends out of a serial port of its own


@dataclass(frozen=True)
class Identity:
    """What a device tells of itself; None is what it does not tell."""

    model: str | None = None
    serial: str | None = None
    mac: str | None = None
    firmware: str | None = None
    # camera number → name
    cameras: dict[int, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)  # kept in Device.status; streams are described from them


@dataclass(frozen=True)
class Health:
    """How a device is right now. `problems` are sentences; any of them makes it degraded.

    `fleeting` names facts that change by themselves all the time: shown, but not worth a row in the database.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    fleeting: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Stream:
    """One stream a camera offers. None is what is not known; a codec is "" until it was seen, where the device does not
    tell it. `camera` is the number of the camera on its device."""

    id: str
    codec: str
    width: int | None
    height: int | None
    fps: float | None
    transport: str
    audio: bool = False
    camera: int = 1


@dataclass(frozen=True)
class Sound:
    """Sound that a device sends beside a picture, in a transmission of its own."""

    transport: str  # rtp or http
    codec: str = ""  # gsm; "" where the packets tell
    g726: str = "le"  # how G.726 is packed, should it be that
    g711: str = ""  # the law of G.711, should it be that: pcmu or pcma; "" where it must be heard


@dataclass
class RtpSession:
    """A running transmission to our port. When `lost` is set, the device no longer knows us: leave and open again."""

    stream: Stream
    port: int
    source: str  # the host it comes from, as the device is configured
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    lost_reason: str = ""
    lease: UidLease | None = None  # what it holds on the device
    # Where its sound goes, should the device be set to a place for it: a port, and a multicast group or "".
    sound_at: tuple[int, str] | None = None


@dataclass
class HttpSession:
    """A running transmission as the answer to a request. When `lost` is set, leave and open again."""

    stream: Stream
    answer: Streamed
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    lost_reason: str = ""
    lease: UidLease | None = None


Picture = RtpSession | HttpSession
# Listen at this port, in this multicast group if it is not empty, instead of at the port that was given: the device
# sends where it is set to, and not where it is asked to. Raises when that is not possible.
Move = Callable[[int, str], None]


@dataclass(frozen=True)
class Written:
    """What became of a change: the values read back, what changed (name → old and new), and where the device ended up
    with something else than we asked for (name → wanted and got).

    `moved` is where it will be reached from now on (some of scheme, host, port); then nothing could be read back.
    """

    values: dict[str, Any]
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    differing: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    moved: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ptz:
    """What of steering works. Movement goes on until it is stopped; where `repeat_seconds` is set the device stops by
    itself and the movement must be sent again that often. `presets` is the highest number, 0 when there are none."""

    pan_tilt: bool = False
    zoom: bool = False
    center: bool = False
    focus: tuple[str, ...] = ()  # of near, far, auto
    iris: tuple[str, ...] = ()  # of open, close, reset
    aux: int = 0
    presets: int = 0
    preset_names: bool = False
    preset_clear: bool = True  # where there are presets
    home: bool = False
    swing: bool = False
    positions: tuple[int, int] | None = None  # the highest degrees of pan and tilt, where it can turn to a position
    repeat_seconds: float | None = None

    @property
    def any(self) -> bool:
        return self != Ptz()


@dataclass(frozen=True)
class LogEntry:
    """One line of a device's own log. `at` is its local time; `utc` only where it tells the zone."""

    number: int | None
    at: str | None
    text: str
    code: str = ""
    utc: datetime | None = None


@dataclass(frozen=True)
class Store:
    """A card or disk. None is what the device does not tell."""

    name: str
    kind: str  # card or disk
    present: bool | None = None
    size_gb: float | None = None
    free_gb: float | None = None
    state: str = "ok"  # ok, error, repairing, formatting
    oldest: str | None = None  # local time of the oldest and the newest recording
    newest: str | None = None


@dataclass(frozen=True)
class Clip:
    """A recording on a card, as its device lists it. None or "" is what it does not tell."""

    slot: int
    format: str  # mp4 or avchd
    name: str
    number: int  # where it was in the list
    recorded: str  # when it began, in the device's local time, ISO
    begun: datetime | None  # the same in UTC
    seconds: int | None


@dataclass(frozen=True)
class Listing:
    clips: tuple[Clip, ...]
    complete: bool  # False: the device counts more than it lists


@dataclass(frozen=True)
class ClipFile:
    """A clip on its way to us. `pieces` raises Interrupted where not all of it came, as far as that can be known."""

    size: int | None
    pieces: AsyncIterator[bytes]


@dataclass(frozen=True)
class Marks:
    """By what a device is known from others like it. None is what it does not tell."""

    mac: str | None = None
    serial: str | None = None


@dataclass(frozen=True)
class User:
    """A user the device itself keeps. Passwords never leave the driver."""

    name: str
    rights: str  # a value of the document
    rights_label: str = ""


@dataclass(frozen=True)
class Beside:
    """What is told beside a picture; None is what is not."""

    switches: Mapping[str, bool] | None  # as among the facts of `Health`
    position: tuple[int, int] | None  # where it looks: pan and tilt in the device's degrees


@dataclass(frozen=True)
class Switch:
    """Something of the device that is on or off; None is what it does not tell."""

    id: str
    label: str
    on: bool | None


class Driver(ABC):
    family: ClassVar[str]
    catalogue: ClassVar[tuple[Command, ...]]
    options: ClassVar[tuple[Option, ...]]
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    # What the headers (a line each) or the text of its home page say when it is of this family, for `devices.probing`.
    home_page: ClassVar[re.Pattern[str]]
    all_groups: ClassVar[tuple[Group, ...]] = ()
    # False: what a camera sends is known only once it was seen.
    tells_codecs: ClassVar[bool] = True
    # Its pictures carry additional information as an i-PRO recorder's do (i-PRO 7).
    informs: ClassVar[bool] = False
    # What its page in docs/families says besides, in Markdown.
    notes: ClassVar[str] = ""

    def __init__(self, device: Device) -> None:
        self.device = device

    def option(self, name: str) -> Any:
        return value_of(self.options, self.device.options, name)

    # --- Commands -----------------------------------------------------------------------------------------------------
    def command(self, command_id: str) -> Command:
        """A command of the catalogue, with the choices this device has."""
        for command in self.catalogue:
            if command.id == command_id:
                return self.narrowed(command)
        raise NotSupported(f"Devices of this family have no command {command_id}. See the family's list of commands.")

    def narrowed(self, command: Command) -> Command:
        """With the choices that fit the device's options; families add what the device says of itself."""
        if not command.params:
            return command
        return command.for_options({option.name: self.option(option.name) for option in self.options})

    async def ask(self, gateway: Gateway, command: Command, values: Values | None = None, **how: Any) -> Reply:
        """Send a command. Families override this where an error may come as 200 OK."""
        return await gateway.ask(self.narrowed(command), values, **how)

    def fills_in(self, command: Command) -> frozenset[str]:
        """The parameters that may be left out of a command run by hand, since `prepared` fills them in."""
        return frozenset()

    def lasts(self, command: Command, values: Values) -> bool:
        """May its answer be large, or without end?"""
        return command.kind in (Kind.PICTURE, Kind.FILE)

    def prepared(self, gateway: Gateway, command: Command, values: Values) -> AbstractAsyncContextManager[ByHand]:
        """What a command run by hand needs before it and around it; afterwards nothing of that is left."""
        return nullcontext(ByHand(values))

    def changes_login(self, command: Command, values: Values) -> str:
        """The parameter by which this would change the user or password that we log in with; empty when none does."""
        return ""

    def restarts(self, command: Command, values: Values) -> bool:
        """Does the device restart after this?"""
        return False

    # --- Settings -----------------------------------------------------------------------------------------------------
    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups of settings this device has; families leave out those that it has not."""
        return self.all_groups

    def group(self, group_id: str) -> Group:
        for group in self.groups:
            if group.id == group_id:
                return group
        known = ", ".join(group.id for group in self.groups) or "none"
        raise NotSupported(f"{self.device.name} has no settings {group_id}; it has {known}.")

    def unreachable_after(self, group: Group, wanted: Values) -> str:
        """What to know before a change after which nobody can tell where the device is; empty for any other."""
        return ""

    async def read_group(self, gateway: Gateway, group: Group) -> dict[str, Any]:
        """The group's values as the device tells them now; None is what it does not tell."""
        return values_from(group, [(await self.ask(gateway, each.command, each.values)).fields for each in group.reads])

    async def write_group(self, gateway: Gateway, group: Group, wanted: Values, *, restoring: bool = False) -> Written:
        """Bring the group to the wanted values: check them, send only what changes, read back, tell the difference.

        BadValue before anything is sent. While `restoring`, values that cannot be set (any more) are left alone.
        """
        before = await self.read_group(gateway, group)
        if restoring:
            wanted = kept(group, wanted, self.narrowed)
        todo = plan(group, before, wanted, self.narrowed, restoring=restoring)
        moved = {part: todo.changed[name][1] for part, name in group.moves.items() if name in todo.changed}
        for at, asked in enumerate(todo.requests):
            try:
                await self.ask(gateway, asked.command, asked.values)
            except DeviceError as error:
                if at:
                    error.sentence += " Some of the changes were made; read the settings again."
                    error.args = (error.sentence,)
                raise
        if moved or not todo.requests:
            return Written(
                {**before, **{name: new for name, (_, new) in todo.changed.items()}}, todo.changed, {}, moved
            )
        after = await self.read_group(gateway, group)
        asked_for = {name: new for name, (_, new) in todo.changed.items() if name in after}
        # A clock that was set has run on when it is read back, and one that was not set is no change of anybody's.
        runs = group.fleeting
        differing = {
            name: (new, after[name]) for name, new in asked_for.items() if after[name] != new and name not in runs
        }
        unread = {name: pair for name, pair in todo.changed.items() if name not in after}
        changed = {
            name: (before.get(name), after[name])
            for name in after
            if after[name] != before.get(name) and (name in todo.changed or name not in runs)
        }
        return Written(after, changed | unread, differing)

    async def recalled(self, group: Group, values: Values, now: Values) -> Values:
        """What a snapshot's values of a group mean today; `now` is what the device tells."""
        return values

    # --- Steering -----------------------------------------------------------------------------------------------------
    # Speeds run from -1 to 1: right, up and tele are positive, 0 stops. Points run from 0,0 (top left) to 1,1.
    def ptz(self, camera: Camera) -> Ptz:
        return Ptz()

    async def move(self, gateway: Gateway, camera: Camera, *, pan: float, tilt: float, zoom: float) -> None:
        raise self._lacks("be moved")

    async def center(self, gateway: Gateway, camera: Camera, *, x: float, y: float) -> None:
        raise self._lacks("be centred on a point")

    async def focus(self, gateway: Gateway, camera: Camera, mode: str) -> None:
        raise self._lacks("be focused")

    async def iris(self, gateway: Gateway, camera: Camera, mode: str) -> None:
        raise self._lacks("change its iris")

    async def aux(self, gateway: Gateway, camera: Camera, number: int, on: bool) -> None:
        raise self._lacks("switch an auxiliary output")

    async def goto_preset(self, gateway: Gateway, camera: Camera, number: int) -> None:
        raise self._lacks("go to presets")

    async def set_preset(self, gateway: Gateway, camera: Camera, number: int, name: str = "") -> None:
        raise self._lacks("keep presets")

    async def clear_preset(self, gateway: Gateway, camera: Camera, number: int, name: str = "") -> None:
        raise self._lacks("clear presets")

    async def home(self, gateway: Gateway, camera: Camera) -> None:
        raise self._lacks("go to a home position")

    async def swing(self, gateway: Gateway, camera: Camera, on: bool) -> None:
        raise self._lacks("swing between presets")

    async def position(self, gateway: Gateway, camera: Camera) -> tuple[int, int]:
        """Where it looks: pan and tilt in the device's degrees."""
        raise self._lacks("tell where it looks")

    async def turn_to(self, gateway: Gateway, camera: Camera, *, pan: int, tilt: int) -> None:
        raise self._lacks("turn to a position")

    # --- Care ---------------------------------------------------------------------------------------------------------
    async def record(self, gateway: Gateway, on: bool) -> None:
        """Start or stop recording on the device."""
        raise self._lacks("be told to record")

    async def clock(self, gateway: Gateway) -> datetime | None:
        """The device's clock in UTC; None when it does not tell its zone."""
        raise self._lacks("tell its clock")

    async def set_clock(self, gateway: Gateway, now: datetime) -> None:
        """Set the device's clock; `now` is in UTC, the device's zone and summer time are applied here."""
        raise self._lacks("have its clock set")

    async def set_ntp(self, gateway: Gateway, server: str) -> None:
        raise self._lacks("be given a time server")

    async def log(self, gateway: Gateway) -> list[LogEntry]:
        """The device's own log, the newest first."""
        raise self._lacks("give its log")

    async def storage(self, gateway: Gateway) -> list[Store]:
        raise self._lacks("tell of its cards or disks")

    # --- Clips on cards: in slot 1 or 2, each with lists of its own for `clip_formats` --------------------------------
    clip_formats: ClassVar[tuple[str, ...]] = ()

    async def clips(self, gateway: Gateway, slot: int, form: str) -> Listing:
        raise self._lacks("tell what is on a card")

    def clip_file(self, gateway: Gateway, clip: Clip) -> AbstractAsyncContextManager[ClipFile]:
        """Have it send a clip, which is looked for again right before; ClipGone when it is there no longer."""
        raise self._lacks("send clips")

    async def delete_clips(self, gateway: Gateway, wanted: Sequence[Clip]) -> list[Clip]:
        """Delete the first of these, and others of them that go with the same command; answers which they were."""
        raise self._lacks("delete clips")

    async def check_card(self, gateway: Gateway, slot: int) -> None:
        """Why nothing can be done with a card now: raises CardGone or Busy with a sentence, or nothing."""
        raise self._lacks("tell of its cards")

    async def format_card(self, gateway: Gateway, slot: int) -> None:
        """Have it begin to format a card; it is not done before `format_progress` says finish."""
        raise self._lacks("format a card")

    async def format_progress(self, gateway: Gateway) -> str:
        """prepare, exec, finish, cancel or error."""
        raise self._lacks("tell how far formatting is")

    async def restart(self, gateway: Gateway) -> None:
        raise self._lacks("be restarted from here")

    async def factory_reset(self, gateway: Gateway) -> None:
        raise self._lacks("be reset from here")

    async def snapshot(self, gateway: Gateway, camera: Camera) -> bytes:
        """One picture, JPEG as the device sends it."""
        raise self._lacks("give single pictures")

    async def still(self, gateway: Gateway, camera: Camera, way: str) -> bytes:
        """One of a row of pictures; `way` is the transport of the stream."""
        return await self.snapshot(gateway, camera)

    # --- Users, switches, serial port ---------------------------------------------------------------------------------
    async def users(self, gateway: Gateway) -> list[User]:
        raise self._lacks("tell its users")

    def user_rights(self) -> dict[str, str]:
        """What a user may be allowed: value → label."""
        return {}

    async def set_user(self, gateway: Gateway, name: str, password: str, rights: str) -> list[User]:
        """Add a user, or change the one of that name; answers all users then."""
        raise self._lacks("have users added")

    async def remove_user(self, gateway: Gateway, name: str) -> list[User]:
        raise self._lacks("have users removed")

    async def change_password(self, gateway: Gateway, password: str) -> None:
        """Change the password we log in with. When this returns, the device was seen to accept the new one, and the
        caller must store it."""
        raise self._lacks("have its password changed from here")

    async def switches(self, gateway: Gateway) -> list[Switch]:
        raise self._lacks("tell of triggers")

    async def switch(self, gateway: Gateway, switch_id: str, on: bool) -> list[Switch]:
        """Switch one of them; answers how all are then."""
        raise self._lacks("be switched")

    async def send_serial(self, gateway: Gateway, data: str) -> None:
        raise self._lacks("send out of a serial port")

    # --- Identity and health ------------------------------------------------------------------------------------------
    @abstractmethod
    async def identify(self, gateway: Gateway) -> Identity: ...

    async def marks(self, gateway: Gateway) -> Marks:
        """What `identify` knows it by, and nothing else: one read, asked before the device is changed. Families whose
        document has nothing of the kind ask nothing."""
        return Marks()

    @abstractmethod
    async def health(self, gateway: Gateway) -> Health: ...

    def _clock_problems(self, skew: int | None) -> list[str]:
        told_of = CLOCK_PROBLEM in (self.device.status.get("problems") or [])
        limit = CLOCK_FINE_SECONDS if told_of else CLOCK_OFF_SECONDS
        return [CLOCK_PROBLEM] if skew is not None and abs(skew) >= limit else []

    def streams(self, camera: Camera) -> list[Stream]:
        """The streams of one of our cameras, from what the device last told; the first is the largest."""
        return []

    def candidates(self, stream: Stream) -> list[Stream]:
        """What to try in turn, some seconds each, the best first: where the codec is not known and a wrong one brings
        silence, and where pictures may come to us in several ways of which some may be barred."""
        return [stream]

    def trying(self, gateway: Gateway) -> AbstractAsyncContextManager[object]:
        """Around several candidates: what would else be asked for and given back with each of them."""
        return nullcontext()

    def rtp_session(
        self, gateway: Gateway, stream: Stream, *, port: int, move: Move | None = None
    ) -> AbstractAsyncContextManager[RtpSession]:
        """Have the device send a stream to our UDP port while the block runs, or to where we `move`."""
        raise self._lacks("send RTP to a port of ours")

    def rtsp_url(self, stream: Stream) -> str:
        """The address at which the device's RTSP server has a stream."""
        raise self._lacks("send pictures by RTSP")

    def http_session(self, gateway: Gateway, stream: Stream) -> AbstractAsyncContextManager[HttpSession]:
        """Have the device send a stream as the answer to a request, while the block runs."""
        raise self._lacks("send pictures over HTTP")

    def beside(self, headers: Mapping[str, str]) -> Beside | None:
        """What the headers of a picture over HTTP tell of the device; their names are in lower case."""
        return None

    def sound(self, stream: Stream) -> Sound | None:
        """How the sound of a stream comes beside its pictures; None where it comes along with them, or not at all."""
        return None

    def rtp_sound(
        self, gateway: Gateway, picture: Picture, *, port: int, move: Move | None = None
    ) -> AbstractAsyncContextManager[RtpSession]:
        """Have the device send sound to our UDP port, too, while the block runs inside that of a picture."""
        raise self._lacks("send sound to a port of ours")

    def http_sound(self, gateway: Gateway, picture: Picture) -> AbstractAsyncContextManager[HttpSession]:
        """Have the device send sound as the answer to a request, while the block runs inside that of a picture."""
        raise self._lacks("send sound over HTTP")

    async def keep_alive(self, gateway: Gateway, lease: UidLease, *, taking_turns: bool = True) -> None:
        """Tell the device that a leased transmission is still wanted. Raises Refused when it no longer knows it."""
        raise self._lacks("keep transmissions alive")

    async def stop(self, gateway: Gateway, lease: UidLease) -> None:
        """End a leased transmission on the device."""
        raise self._lacks("stop transmissions")

    def _lacks(self, what: str) -> NotSupported:
        return NotSupported(f"{self.device.name} cannot {what}; devices of its family do not offer it.")
