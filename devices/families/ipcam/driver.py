"""How an IPCam (a camera that speaks IPCamCGI) is identified, watched, set, steered and switched."""

from __future__ import annotations

import copy
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from devices import options
from devices.cgi import Ask, BadValue, Choice, Command, Group, Values, encode
from devices.errors import DeviceError, NotSupported, Refused, Unauthorised, WrongAnswer
from devices.families.base import (
    Beside,
    Capability,
    Driver,
    Health,
    HttpSession,
    Identity,
    Marks,
    Ptz,
    Stream,
    Switch,
    User,
    Written,
)
from devices.families.ipcam import commands as cgi
from devices.families.ipcam import groups
from devices.families.ipcam.stamp import read_stamp
from devices.families.ipcam.zones import minutes_east
from devices.gateway import Gateway, Reply
from devices.models import Camera, Device
from devices.options import WordOption

PICTURE_LIMIT = 2 * 1024 * 1024  # 640 x 480 at its best is a tenth of it
POSITION_LIMIT = 256 * 1024  # the first parts of the stream, in which the camera must have told where it looks
POSITION_SECONDS = 5.0
# A step of up to 10 degrees takes about that long; while a key is held, steps follow each other.
STEP_SECONDS = 0.5
LARGEST_STEP = 10
PRESETS = 24
SIZES = {"0": (160, 120), "1": (320, 240), "2": (640, 480)}
_STAMP_LINE = re.compile(rb"(?im)^date:([^\r\n]*)\r?\n")
_PARTS_TO_LOOK_AT = 3
_SWITCHES = {
    "Trigger1": ("Trigger 1", cgi.SET_TRIGGER),
    "Trigger2": ("Trigger 2", cgi.SET_TRIGGER),
    "ImageUpload": ("FTP upload", cgi.SET_IMAGE_UPLOAD),
    "ImageEmail": ("E-mail", cgi.SET_IMAGE_EMAIL),
}
_USER_FIELDS = {"UserName": "name", "UserPassword": "password", "UserPrivilege": "rights"}
# The document's word → the word of cameras in the field.
FIELD_VALUES = {
    "ConfigReboot": {"No": "no", "Yes": "yes"},
    "FTPScheduleFramePerSecond": {"Auto": "-1"},
    "FTPScheduleFileMode": {"2": "3"},
    "FTPManualFileMode": {"2": "3"},
}
_FLEETING = frozenset({"clock_skew_seconds"})
_ADDRESS = ("IPAddress", "SubnetMask", "DefaultGateway")


class IpcamDriver(Driver):
    family: ClassVar[str] = "ipcam"
    catalogue: ClassVar[tuple[Command, ...]] = cgi.CATALOGUE
    home_page: ClassVar[re.Pattern[str]] = re.compile(r"(?im)^server: camera web server|^auther:")
    all_groups: ClassVar[tuple[Group, ...]] = groups.GROUPS
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.SETTINGS,
            Capability.PTZ,
            Capability.CLOCK,
            Capability.NTP,
            Capability.RESTART,
            Capability.FACTORY_RESET,
            Capability.SNAPSHOT,
            Capability.USERS,
            Capability.PASSWORD,
            Capability.SWITCHES,
            Capability.SERIAL,
        }
    )
    options: ClassVar[tuple[options.Option, ...]] = (
        *options.COMMON,
        WordOption("transport", "auto", "How pictures come to us.", ("auto", "mjpeg", "stills")),
    )

    async def ask(self, gateway: Gateway, command: Command, values: Values | None = None, **how: Any) -> Reply:
        """Send a command; where it was refused, in the other forms there are: what the document gives besides, and with
        the option legacy what cameras are known to want instead."""
        command = self.narrowed(command)
        try:
            return await gateway.ask(command, values, **how)
        except (Refused, NotSupported) as error:
            other = _other_form(command, values or {}, error, legacy=gateway.legacy)
            if other is None:
                raise
            try:
                return await gateway.ask(other.command, other.values, **how)
            except (Refused, NotSupported):
                raise error from None

    def changes_login(self, command: Command, values: Values) -> str:
        if command.id == cgi.SET_SYSTEM.id:
            return next((name for name in ("AdminID", "AdminPassword") if values.get(name) is not None), "")
        if command.id in (cgi.ADD_USER.id, cgi.DELETE_USER.id) and values.get("UserName") == self.device.username:
            return "UserName"
        return ""

    def restarts(self, command: Command, values: Values) -> bool:
        return command.id in (cgi.RESTART.id, cgi.FACTORY_RESET.id) or values.get("ConfigReboot") == "Yes"

    # --- What it is and how it is -------------------------------------------------------------------------------------
    async def identify(self, gateway: Gateway) -> Identity:
        info = (await self.ask(gateway, cgi.QUERY_SYSTEM)).fields
        if not (info["Model"] or info["MACAddress"] or info["FirmwareVersion"]):
            raise WrongAnswer(f"{gateway.address} does not answer as an IPCam does. Check the address and the family.")
        image = await self._fields_or_nothing(gateway, cgi.GET_IMAGE)
        clock = await self._fields_or_nothing(gateway, cgi.GET_DATETIME)
        version = await self._fields_or_nothing(gateway, cgi.GET_CGI_VERSION)
        return Identity(
            model=info["Model"] or None,
            mac=_mac(info["MACAddress"]),
            firmware=info["FirmwareVersion"] or None,
            cameras={1: info["CameraName"] or self.device.name},
            facts={
                "title": info["CameraName"],
                "location": info["Location"],
                "cgi_version": version.get("CGIVersion"),
                "ethernet_link": info["EthernetLink"],
                "zone_minutes": _zone_minutes(clock),
                "picture": {"resolution": image.get("VideoResolution"), "frame_rate": image.get("FrameRate")},
            },
        )

    async def marks(self, gateway: Gateway) -> Marks:
        return Marks(mac=_mac((await self.ask(gateway, cgi.QUERY_SYSTEM)).fields["MACAddress"]))

    async def health(self, gateway: Gateway) -> Health:
        try:
            told = (await self.ask(gateway, cgi.GET_IO)).fields
        except NotSupported:
            # A model without inputs and outputs: that it answers at all says that it is well.
            await self.ask(gateway, cgi.GET_CGI_VERSION)
            return Health(
                facts={"switches": None, "clock_skew_seconds": None}, fleeting=frozenset({"clock_skew_seconds"})
            )
        zone = self.device.status.get("zone_minutes")
        at = _in_utc(told["CurrentTime"], zone)
        # It tells whole seconds, half a second ago on average.
        skew = None if at is None else round((at - datetime.now(UTC)).total_seconds() + 0.5)
        return Health(
            facts={"switches": {name: told[name] for name in _SWITCHES}, "clock_skew_seconds": skew},
            problems=self._clock_problems(skew),
            fleeting=_FLEETING,
        )

    def streams(self, camera: Camera) -> list[Stream]:
        picture = camera.device.status.get("picture") or {}
        width, height = SIZES.get(str(picture.get("resolution")), (None, None))
        rate = str(picture.get("frame_rate") or "")
        fps = float(rate) if rate.isdigit() and rate != "0" else None  # 0 is Auto
        return [
            Stream("mjpeg", "mjpeg", width, height, fps, "mjpeg"),
            Stream("stills", "mjpeg", width, height, None, "stills"),
        ]

    @asynccontextmanager
    async def http_session(self, gateway: Gateway, stream: Stream) -> AsyncIterator[HttpSession]:
        async with gateway.stream(cgi.MJPEG) as answer:
            yield HttpSession(stream, answer)

    def beside(self, headers: Mapping[str, str]) -> Beside | None:
        stamp = read_stamp(headers.get("date", ""))
        if stamp.switches is None and stamp.position is None:
            return None
        return Beside(stamp.switches, stamp.position)

    async def snapshot(self, gateway: Gateway, camera: Camera) -> bytes:
        return (await self.ask(gateway, cgi.IMAGE_JPG, limit=PICTURE_LIMIT)).body

    # --- Settings -----------------------------------------------------------------------------------------------------
    async def write_group(self, gateway: Gateway, group: Group, wanted: Values, *, restoring: bool = False) -> Written:
        if group.id == groups.NETWORK.id:
            return await super().write_group(
                gateway, await self._moving(gateway, group, wanted), wanted, restoring=restoring
            )
        written = await super().write_group(gateway, group, wanted, restoring=restoring)
        if group.id == groups.ACCESS.id and "AccessControlEnable" in written.changed:
            return await self._access_checked(gateway, written)
        return written

    def unreachable_after(self, group: Group, wanted: Values) -> str:
        way = {"4": "DHCP", "5": "PPPoE"}.get(str(wanted.get("IPAddressMode")))
        if way is None or group.id != groups.NETWORK.id:
            return ""
        return (
            f"From its next restart on it gets its address by {way}, and then nobody here knows it: the camera will be "
            f"offline until its new address is entered. {_how_to_find(way, self.device)}"
        )

    async def _moving(self, gateway: Gateway, group: Group, wanted: Values) -> Group:
        """A fixed address that changes: the camera restarts with it, and is then reached there."""
        before = await self.read_group(gateway, group)
        target = {**before, **{name: value for name, value in wanted.items() if value is not None}}
        changes = any(target.get(name) != before.get(name) for name in (*_ADDRESS, "IPAddressMode"))
        if str(target.get("IPAddressMode")) != "1" or not changes:
            return group
        return replace(group, extra={"ConfigReboot": "Yes"}, moves={"host": "IPAddress"})

    async def _access_checked(self, gateway: Gateway, written: Written) -> Written:
        """Cameras may mean the contrary of the document: does a picture need a password now?"""
        stranger = copy.copy(self.device)
        stranger.username = ""
        try:
            await Gateway(stranger).ask(cgi.IMAGE_JPG, limit=PICTURE_LIMIT)
            found = "1"
        except Unauthorised:
            found = "0"
        except DeviceError:
            return written
        told = written.values["AccessControlEnable"]
        return written if told == found else replace(written, differing={"AccessControlEnable": (told, found)})

    # --- Steering -----------------------------------------------------------------------------------------------------
    def ptz(self, camera: Camera) -> Ptz:
        """No answer tells whether a model can be turned; one that cannot answers that it does not know the command."""
        return Ptz(
            pan_tilt=True,
            aux=2,
            presets=PRESETS,
            preset_names=True,
            home=True,
            swing=True,
            positions=(cgi.PAN_LIMIT, cgi.TILT_LIMIT),
            repeat_seconds=STEP_SECONDS,
        )

    async def move(self, gateway: Gateway, camera: Camera, *, pan: float, tilt: float, zoom: float) -> None:
        """Single steps, larger when faster, which end by themselves: there is nothing to be sent for a stop.

        Diagonals are reserved in the document; a step to the side and one up or down make one.
        """
        if zoom:
            raise self._lacks("zoom")
        degrees = {"PanSingleMoveDegree": _degrees(pan), "TiltSingleMoveDegree": _degrees(tilt)}
        if pan:
            await self.ask(gateway, cgi.SINGLE_MOVE, {**degrees, "PanTiltSingleMove": "5" if pan > 0 else "3"})
        if tilt:
            await self.ask(gateway, cgi.SINGLE_MOVE, {**degrees, "PanTiltSingleMove": "1" if tilt > 0 else "7"})

    async def home(self, gateway: Gateway, camera: Camera) -> None:
        await self.ask(gateway, cgi.GOTO_PRESET, {"PanTiltPresetPositionMove": 0})

    async def goto_preset(self, gateway: Gateway, camera: Camera, number: int) -> None:
        if number == 0:
            raise BadValue("number", f"Preset 0 is the home position; presets are numbered 1 to {PRESETS}.")
        await self.ask(gateway, cgi.GOTO_PRESET, {"PanTiltPresetPositionMove": number})

    async def set_preset(self, gateway: Gateway, camera: Camera, number: int, name: str = "") -> None:
        """The camera is told which position to keep, so it is asked first where it looks."""
        values: Values = {"SetPosition": number, "SetName": name}
        encode(cgi.SET_PRESET, {**values, "PanTiltHorizontal": 0, "PanTiltVertical": 0})
        pan, tilt = await self.position(gateway, camera)
        await self.ask(gateway, cgi.SET_PRESET, {"PanTiltHorizontal": pan, "PanTiltVertical": tilt, **values})

    async def clear_preset(self, gateway: Gateway, camera: Camera, number: int, name: str = "") -> None:
        await self.ask(gateway, cgi.CLEAR_PRESET, {"ClearPosition": number})

    async def swing(self, gateway: Gateway, camera: Camera, on: bool) -> None:
        await self.ask(gateway, cgi.SWING, {"PanTiltSwingMode": "2" if on else "0"})

    async def position(self, gateway: Gateway, camera: Camera) -> tuple[int, int]:
        """Told only beside the pictures of the stream, whose beginning is read for it."""
        received = b""
        async with gateway.stream(self.narrowed(cgi.MJPEG), idle_seconds=POSITION_SECONDS) as streamed:
            async for piece in streamed.pieces:
                received += piece
                stamps = [read_stamp(line.decode("latin-1")) for line in _STAMP_LINE.findall(received)]
                position = next((stamp.position for stamp in stamps if stamp.position), None)
                if position is not None:
                    return position
                if len(stamps) >= _PARTS_TO_LOOK_AT or len(received) > POSITION_LIMIT:
                    break
        raise NotSupported(
            f"{self.device.name} does not tell where it looks, so its position cannot be kept. Set the preset on its "
            "own web page."
        )

    async def turn_to(self, gateway: Gateway, camera: Camera, *, pan: int, tilt: int) -> None:
        await self.ask(gateway, cgi.MOVE_POSITION, {"PanTiltHorizontal": pan, "PanTiltVertical": tilt})

    async def aux(self, gateway: Gateway, camera: Camera, number: int, on: bool) -> None:
        """Its two triggers."""
        if number not in (1, 2):
            raise BadValue("number", f"number cannot be {number}; {self.device.name} has outputs 1 and 2.")
        await self.switch(gateway, f"Trigger{number}", on)

    # --- Triggers and serial port -------------------------------------------------------------------------------------
    async def switches(self, gateway: Gateway) -> list[Switch]:
        told = (await self.ask(gateway, cgi.GET_IO)).fields
        return [Switch(name, label, told[name]) for name, (label, _) in _SWITCHES.items()]

    async def switch(self, gateway: Gateway, switch_id: str, on: bool) -> list[Switch]:
        """Read back, since the camera's answer to switching says nothing."""
        if switch_id not in _SWITCHES:
            raise BadValue("switch", f"{self.device.name} has no switch {switch_id}; it has {', '.join(_SWITCHES)}.")
        await self.ask(gateway, _SWITCHES[switch_id][1], {switch_id: "1" if on else "0"})
        return await self.switches(gateway)

    async def send_serial(self, gateway: Gateway, data: str) -> None:
        await self.ask(gateway, cgi.COM_PORT, {"ComOut": data})

    # --- Users --------------------------------------------------------------------------------------------------------
    async def users(self, gateway: Gateway) -> list[User]:
        return _users(await self.ask(gateway, cgi.GET_USER_LIST))

    def user_rights(self) -> dict[str, str]:
        return dict(cgi.RIGHTS)

    async def set_user(self, gateway: Gateway, name: str, password: str, rights: str) -> list[User]:
        values = {"UserName": name, "UserPassword": password, "UserPrivilege": rights}
        try:
            encode(cgi.ADD_USER, values)
        except BadValue as error:
            raise BadValue(_USER_FIELDS[error.parameter], str(error)) from None
        await self.ask(gateway, cgi.ADD_USER, values)
        users = await self.users(gateway)
        if not any(user.name == name for user in users):
            raise Refused(f"{self.device.name} did not take the user. If its list is full, remove one.")
        return users

    async def remove_user(self, gateway: Gateway, name: str) -> list[User]:
        await self.ask(gateway, cgi.DELETE_USER, {"UserName": name})
        users = await self.users(gateway)
        if any(user.name == name for user in users):
            raise Refused(f"{self.device.name} did not remove the user. Try again; if it stays so, restart it.")
        return users

    async def change_password(self, gateway: Gateway, password: str) -> None:
        """We log in as its one administrator. The new log-in is tried before this returns."""
        if not password:
            raise BadValue("AdminPassword", "AdminPassword cannot be empty; use 1 to 8 characters.")
        administrator = (await self.ask(gateway, cgi.GET_SYSTEM)).fields["AdminID"]
        if administrator and administrator != self.device.username:
            raise Refused(
                f"We do not log in to {self.device.name} as its administrator, whose password this is. Enter the "
                "administrator's user name and password for this device first."
            )
        await self.ask(gateway, cgi.SET_SYSTEM, {"AdminPassword": password, "ConfigReboot": "No"})
        changed = copy.copy(self.device)
        changed.password = password
        try:
            await Gateway(changed).ask(cgi.GET_SYSTEM)
        except Unauthorised as error:
            await self.ask(gateway, cgi.GET_SYSTEM)  # raises when neither is taken
            raise Refused(f"{self.device.name} kept its old password. Try another one.") from error

    # --- Clock and restart --------------------------------------------------------------------------------------------
    async def clock(self, gateway: Gateway) -> datetime | None:
        told = (await self.ask(gateway, cgi.GET_DATETIME)).fields
        if told["Date"] is None or told["Time"] is None:
            return None
        return _in_utc(f"{told['Date']}T{told['Time']}", _zone_minutes(told))

    async def set_clock(self, gateway: Gateway, now: datetime) -> None:
        """The document lets date and time be set only together with "Set manually", which switches the time server off:
        nobody who puts a clock right means that."""
        told = (await self.ask(gateway, cgi.GET_DATETIME)).fields
        if told["DateTimeMode"] == "0":
            raise Refused(
                f"{self.device.name} takes its time from a time server ({told['TimeServerIPAddress'] or 'not named'}); "
                "setting its clock by hand would switch that off. If the clock is wrong, put the time server or the "
                "time zone right; to set it by hand, first change «How the clock is set» of its settings to «Set "
                "manually»."
            )
        zone = _zone_minutes(told)
        if zone is None:
            raise NotSupported(f"{self.device.name} does not tell its time zone. Set that first, then its clock.")
        local = now.astimezone(UTC) + timedelta(minutes=zone)
        date, _, time = local.strftime("%Y-%m-%dT%H:%M:%S").partition("T")
        await self.ask(
            gateway, cgi.SET_DATETIME, {"DateTimeMode": "1", "Date": date, "Time": time, "ConfigReboot": "No"}
        )

    async def set_ntp(self, gateway: Gateway, server: str) -> None:
        wanted = {"DateTimeMode": "0", "TimeServerIPAddress": server, "TimeServerProtocol": "0"}
        await self.write_group(gateway, groups.DATETIME, wanted)

    async def restart(self, gateway: Gateway) -> None:
        await self.ask(gateway, cgi.RESTART)

    async def factory_reset(self, gateway: Gateway) -> None:
        await self.ask(gateway, cgi.FACTORY_RESET)

    async def _fields_or_nothing(self, gateway: Gateway, command: Command) -> dict[str, Any]:
        """What a model may lack: the document says that an API that is not supported answers 404."""
        try:
            return (await self.ask(gateway, command)).fields
        except NotSupported:
            return {}


def _other_form(command: Command, values: Values, error: DeviceError, *, legacy: bool) -> Ask | None:
    if type(error) not in (Refused, NotSupported):
        return None
    # Printed with the path of the configuration; the one with an i in front is what cameras have.
    if command.id == cgi.QUERY_IMAGE.id and type(error) is NotSupported:
        return Ask(replace(command, path=cgi.GET_IMAGE.path), values)
    if command.methods != ("POST", "GET") or type(error) is not Refused:
        return None
    # With the option legacy the gateway tries GET after every POST that was refused.
    return _with_field_values(command, values) if legacy else Ask(replace(command, methods=("GET",)), values)


def _with_field_values(command: Command, values: Values) -> Ask | None:
    """Some cameras have other words than their document for a few values."""
    given = {name: FIELD_VALUES[name].get(str(value)) for name, value in values.items() if name in FIELD_VALUES}
    words = {name: word for name, word in given.items() if word}
    if not words:
        return None
    params = (
        replace(param, choices={words[param.name]: ""}) if isinstance(param, Choice) and param.name in words else param
        for param in command.params
    )
    return Ask(replace(command, params=tuple(params), undocumented=True), {**values, **words})


def _users(reply: Reply) -> list[User]:
    return [
        User(row["UserName"], row["UserPrivilege"] or "", cgi.RIGHTS.get(row["UserPrivilege"] or "", ""))
        for row in reply.fields["rows"]
        if row["UserName"]
    ]


def _how_to_find(way: str, device: Device) -> str:
    mac = f" ({device.mac})" if device.mac else ""
    if way == "DHCP":
        return (
            f"Best reserve one at the DHCP server for its MAC address{mac} first, restart the camera, then enter that "
            "address under Edit."
        )
    return "After the restart look it up at the provider or with DDNS, and enter it under Edit."


def _degrees(speed: float) -> int:
    return min(LARGEST_STEP, max(1, round(abs(speed) * LARGEST_STEP)))


def _mac(text: str | None) -> str | None:
    """With blanks, colons or nothing between the pairs."""
    digits = re.sub(r"[\s:.-]", "", text or "").upper()
    return ":".join(re.findall("..", digits)) if re.fullmatch("[0-9A-F]{12}", digits) else None


def _zone_minutes(told: Mapping[str, Any]) -> int | None:
    """From GMT: as the table says, else by whole hours."""
    minutes = minutes_east(str(told.get("TimeZoneIndex") or ""))
    hours = str(told.get("TimeZone") or "").strip()
    if minutes is None and re.fullmatch(r"[+-]?[0-9]{1,2}", hours):
        minutes = int(hours) * 60
    return minutes


def _in_utc(local: str | None, zone: int | None) -> datetime | None:
    if local is None or zone is None:
        return None
    return datetime.fromisoformat(local).replace(tzinfo=UTC) - timedelta(minutes=zone)
