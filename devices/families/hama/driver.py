"""How a HAMA camera is identified, watched, set and steered."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, ClassVar, cast

from devices import options
from devices.cgi import Choice, Command, Group, Values
from devices.coordination import coordinated, key
from devices.errors import NotSupported, Refused, WrongAnswer
from devices.families.base import (
    Capability,
    Driver,
    Health,
    HttpSession,
    Identity,
    Marks,
    Picture,
    Ptz,
    Sound,
    Stream,
    Written,
)
from devices.families.hama import commands as cgi
from devices.families.hama import groups
from devices.gateway import Gateway, Reply
from devices.models import Camera, Device
from devices.options import PathOption, WordOption

PICTURE_LIMIT = 4 * 1024 * 1024  # 1280 x 1024 at its best is a tenth of it
# The document gives no length of a step; while a key is held, steps follow each other.
STEP_SECONDS = 0.5
SPEED_REMEMBERED_SECONDS = 3600
QUALITY_REMEMBERED_SECONDS = 365 * 24 * 3600
_QUALITY = "Image.I1.Appearance.Compression"
_READ_LESS = 2
_FLEETING = frozenset({"users"})
_STILL_WAYS = ("stills", "loginfree")
# Parameters whose choices the camera limits, and what it calls the stream they are of.
_RESOLUTIONS = {"Image.I0.Appearance.Resolution": "I0", "Image.I1.Appearance.Resolution": "I1"}
# By eighths of a turn, counter-clockwise from the right.
_DIRECTIONS = ("right", "upright", "up", "upleft", "left", "downleft", "down", "downright")


class HamaDriver(Driver):
    family: ClassVar[str] = "hama"
    catalogue: ClassVar[tuple[Command, ...]] = cgi.CATALOGUE
    home_page: ClassVar[re.Pattern[str]] = re.compile(r"(?im)^server: goahead")
    all_groups: ClassVar[tuple[Group, ...]] = groups.GROUPS
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.SETTINGS, Capability.PTZ, Capability.SNAPSHOT}
    )
    options: ClassVar[tuple[options.Option, ...]] = (
        *options.COMMON,
        WordOption("transport", "auto", "How pictures come to us.", ("auto", "mjpeg", *_STILL_WAYS)),
        PathOption("loginfree_path", "/loginfree.jpg", "Where the camera gives its picture without a log-in."),
    )

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        if device.status.get("ptz") is False:
            self.capabilities = self.capabilities - {Capability.PTZ}  # type: ignore[misc]  # narrower than its family

    def narrowed(self, command: Command) -> Command:
        """With the resolutions this camera says it has, and its own name for the picture without a log-in."""
        command = super().narrowed(command)
        if command.id == cgi.LOGINFREE_JPG.id:
            return replace(command, path=self.option("loginfree_path"))
        told = self.device.status.get("resolutions") or {}
        words = {name: told[stream] for name, stream in _RESOLUTIONS.items() if told.get(stream)}
        return command.narrowed(words) if words else command

    async def ask(self, gateway: Gateway, command: Command, values: Values | None = None, **how: Any) -> Reply:
        reply = await super().ask(gateway, command, values, **how)
        if command.id == cgi.SET_PT_SPEED.id and values:
            await self._remember_speed(str(values["enet_avs_pt_speed"]))
        if command.id == cgi.SET_MPEG4_COMPRESSION.id and values:
            await self._remember_quality(str(values[_QUALITY]))
        return reply

    # --- What it is and how it is -------------------------------------------------------------------------------------
    async def identify(self, gateway: Gateway) -> Identity:
        brand = (await self.ask(gateway, cgi.GET_BRAND)).fields
        firmware = await self._fields_or_nothing(gateway, cgi.GET_FIRMWARE)
        if not any(brand.values()) and not any(firmware.values()):
            raise WrongAnswer(
                f"{gateway.address} does not answer as a HAMA camera does. Check the address and the family."
            )
        mac = await self._fields_or_nothing(gateway, cgi.GET_MAC)
        image = await self._fields_or_nothing(gateway, cgi.GET_IMAGE_PROPERTIES)
        mjpeg = await self._fields_or_nothing(gateway, cgi.GET_MJPEG_PROPERTIES)
        mpeg4 = await self._fields_or_nothing(gateway, cgi.GET_MPEG4_PROPERTIES)
        audio = await self._fields_or_nothing(gateway, cgi.GET_AUDIO_STATUS)
        ptz = await self._fields_or_nothing(gateway, cgi.GET_PTZ_STATUS)
        appearance = await self._fields_or_nothing(gateway, cgi.GET_MJPEG_APPEARANCE)
        rate = await self._fields_or_nothing(gateway, cgi.GET_MJPEG_FPS)
        return Identity(
            model=brand["Brand.ProdShortName"] or brand["Brand.ProdFullName"] or None,
            mac=_mac(mac.get("Network.Interface.I0.Active.MACAddress")),
            firmware=firmware.get("Properties.Firmware.Version") or None,
            cameras={1: self.device.name},
            facts={
                "product": brand["Brand.ProdFullName"],
                "article": brand["Brand.ProdNbr"],
                "formats": image.get("Properties.Image.Format"),
                "flips": image.get("Properties.Image.FlipMode"),
                "resolutions": {
                    "I0": mjpeg.get("Properties.Image.I0.Resolution"),
                    "I1": mpeg4.get("Properties.Image.I1.Resolution"),
                },
                "picture": {
                    "resolution": appearance.get("Image.I0.Appearance.Resolution"),
                    "frame_rate": rate.get("Image.I0.Stream.FPS"),
                },
                "audio": _yes(audio.get("Properties.Audio")),
                "ptz": _yes(ptz.get("Properties.PTZ.PTZ")),
            },
        )

    async def marks(self, gateway: Gateway) -> Marks:
        return Marks(mac=_mac((await self.ask(gateway, cgi.GET_MAC)).fields["Network.Interface.I0.Active.MACAddress"]))

    async def health(self, gateway: Gateway) -> Health:
        told = (await self.ask(gateway, cgi.GET_USERS_NUMBER)).fields
        users, most = told["Properties.VideoServer.CurrentUsers"], told["Properties.VideoServer.MaxUsers"]
        return Health(facts={"users": users, "most_users": most}, fleeting=_FLEETING)

    def streams(self, camera: Camera) -> list[Stream]:
        """The document gives an address for MJPEG only, and none for MPEG4."""
        status, fixed = camera.device.status, self.option("transport")
        if "mjpeg" not in (status.get("formats") or ["mjpeg"]):
            return []
        picture = status.get("picture") or {}
        size = re.fullmatch(r"([0-9]{2,5})x([0-9]{2,5})", str(picture.get("resolution") or ""))
        width, height = (int(size[1]), int(size[2])) if size else (None, None)
        rate = picture.get("frame_rate")
        return [
            Stream("mjpeg", "mjpeg", width, height, float(rate) if rate else None, "mjpeg", bool(status.get("audio"))),
            Stream("stills", "mjpeg", width, height, None, fixed if fixed in _STILL_WAYS else "stills"),
        ]

    @asynccontextmanager
    async def http_session(self, gateway: Gateway, stream: Stream) -> AsyncIterator[HttpSession]:
        async with gateway.stream(cgi.VIDEO_MJPG) as answer:
            yield HttpSession(stream, answer)

    def sound(self, stream: Stream) -> Sound | None:
        return Sound("http", codec="gsm") if stream.transport == "mjpeg" else None

    @asynccontextmanager
    async def http_sound(self, gateway: Gateway, picture: Picture) -> AsyncIterator[HttpSession]:
        async with gateway.stream(cgi.AUDIO) as answer:
            yield HttpSession(picture.stream, answer)

    async def snapshot(self, gateway: Gateway, camera: Camera) -> bytes:
        return (await self.ask(gateway, cgi.IMAGE_JPG, limit=PICTURE_LIMIT)).body

    async def still(self, gateway: Gateway, camera: Camera, way: str) -> bytes:
        if way != "loginfree":
            return await self.snapshot(gateway, camera)
        return (await self.ask(gateway, cgi.LOGINFREE_JPG, limit=PICTURE_LIMIT)).body

    # --- Settings -----------------------------------------------------------------------------------------------------
    @property
    def groups(self) -> tuple[Group, ...]:
        """Without those that the camera says it has not; what it does not tell of is left in."""
        status = self.device.status
        formats = status.get("formats") or ["mjpeg", "mpeg4"]
        lacking = {
            groups.MJPEG.id: "mjpeg" not in formats,
            groups.MPEG4.id: "mpeg4" not in formats,
            groups.DEFAULT_FORMAT.id: len(formats) < 2,
            groups.FLIP.id: status.get("flips") is False,
            groups.STEERING.id: status.get("ptz") is False,
        }
        return tuple(group for group in self.all_groups if not lacking.get(group.id))

    async def read_group(self, gateway: Gateway, group: Group) -> dict[str, Any]:
        values = await super().read_group(gateway, group)
        if group.id == groups.MPEG4.id:
            values["Compression"] = await self._quality(values["compression_told"])
        return values

    async def recalled(self, group: Group, values: Values, now: Values) -> Values:
        """A snapshot taken before the scale was known holds only what the camera told. Where that is still unknown, the
        document's is tried; what is told then shows which it is (`write_group`)."""
        told = values.get("compression_told")
        if group.id != groups.MPEG4.id or values.get("Compression") or told == now.get("compression_told"):
            return values
        if not isinstance(told, int):
            return values
        return {**values, "Compression": await self._quality(told) or _as_set(told, _READ_LESS)}

    async def write_group(self, gateway: Gateway, group: Group, wanted: Values, *, restoring: bool = False) -> Written:
        written = await super().write_group(gateway, group, wanted, restoring=restoring)
        told = wanted.get("compression_told")
        if group.id != groups.MPEG4.id or not restoring or told in (None, written.values.get("compression_told")):
            return written
        if "Compression" not in written.changed or (meant := await self._quality(told)) is None:
            return written
        again = await super().write_group(gateway, group, {"Compression": meant}, restoring=True)
        first = {name: (pair[0], again.values[name]) for name, pair in written.changed.items()}
        return replace(again, changed={**again.changed, **first}, differing={**written.differing, **again.differing})

    async def _quality(self, told: Any) -> str | None:
        """What is told, on the scale it is set on; None while that cannot be known.

        The document tells 11, 9, 7, 5 and 3 for what is set as 13, 11, 9, 7 and 5; there are cameras that tell what was
        set. What is told after a change shows which it is.
        """
        if not isinstance(told, int):
            return None
        async with coordinated() as redis:
            known = await cast("Awaitable[dict[str, str]]", redis.hgetall(self._quality_key()))
            if "set" in known:
                less = int(known["set"]) - told
                pipe = redis.pipeline()
                pipe.hdel(self._quality_key(), "set")
                if less in (0, _READ_LESS):
                    known["less"] = str(less)
                    pipe.hset(self._quality_key(), "less", str(less))
                await pipe.execute()
        if "less" in known:
            return _as_set(told, int(known["less"]))
        meanings = {_as_set(told, less) for less in (0, _READ_LESS)} - {None}
        return meanings.pop() if len(meanings) == 1 else None

    async def _remember_quality(self, value: str) -> None:
        async with coordinated() as redis:
            pipe = redis.pipeline()
            pipe.hset(self._quality_key(), "set", value)
            pipe.expire(self._quality_key(), QUALITY_REMEMBERED_SECONDS)
            await pipe.execute()

    def _quality_key(self) -> str:
        return key("hama", "quality", self.device.host, self.device.port)

    # --- Steering -----------------------------------------------------------------------------------------------------
    def ptz(self, camera: Camera) -> Ptz:
        if camera.device.status.get("ptz") is False:
            return Ptz()
        return Ptz(pan_tilt=True, presets=cgi.PRESETS, preset_names=True, home=True, repeat_seconds=STEP_SECONDS)

    async def move(self, gateway: Gateway, camera: Camera, *, pan: float, tilt: float, zoom: float) -> None:
        """One step in one of eight directions, which ends by itself: there is nothing to be sent for a stop."""
        if zoom:
            raise self._lacks("zoom")
        if not pan and not tilt:
            return
        await self._be_as_fast_as(gateway, max(abs(pan), abs(tilt)))
        eighth = round(math.atan2(tilt, pan) / (math.pi / 4)) % 8
        await self.ask(gateway, cgi.PTZ_MOVE, {"move": _DIRECTIONS[eighth]})

    async def home(self, gateway: Gateway, camera: Camera) -> None:
        await self.ask(gateway, cgi.PTZ_MOVE, {"move": "center"})

    async def goto_preset(self, gateway: Gateway, camera: Camera, number: int) -> None:
        await self.ask(gateway, cgi.PTZ_GOTO_PRESET, {"gotoserverpresetIndex": number})

    async def set_preset(self, gateway: Gateway, camera: Camera, number: int, name: str = "") -> None:
        values: Values = {"setserverpresetname": name or _preset_name(number), "presetNo": number}
        await self.ask(gateway, cgi.PTZ_SET_PRESET, values)

    async def clear_preset(self, gateway: Gateway, camera: Camera, number: int, name: str = "") -> None:
        values: Values = {"removeserverpresetname": name or _preset_name(number), "presetNo": number}
        await self.ask(gateway, cgi.PTZ_REMOVE_PRESET, values)

    async def _be_as_fast_as(self, gateway: Gateway, speed: float) -> None:
        """How fast it moves is a setting of the camera, which it never tells. We remember what we set, so that it is
        not written again with every step."""
        wanted = speed_word(speed)
        async with coordinated() as redis:
            if await redis.get(self._speed_key()) == wanted:
                return
        # A camera without that setting moves as it does.
        with suppress(NotSupported):
            await self.ask(gateway, cgi.SET_PT_SPEED, {"enet_avs_pt_speed": wanted})

    async def _remember_speed(self, word: str) -> None:
        async with coordinated() as redis:
            await redis.set(self._speed_key(), word, ex=SPEED_REMEMBERED_SECONDS)

    def _speed_key(self) -> str:
        return key("hama", "speed", self.device.host, self.device.port)

    async def _fields_or_nothing(self, gateway: Gateway, command: Command) -> Mapping[str, Any]:
        """What this model may lack."""
        try:
            return (await self.ask(gateway, command)).fields
        except (NotSupported, Refused):
            return {}


def _as_set(told: int, less: int) -> str | None:
    param = cgi.SET_MPEG4_COMPRESSION.param(_QUALITY)
    assert isinstance(param, Choice)
    return str(told + less) if str(told + less) in param.choices else None


def speed_word(speed: float) -> str:
    """Speeds above 0 up to 1, in the camera's words: 1 is fast, 9 is slow, only odd ones."""
    return str(9 - 2 * round(min(abs(speed), 1.0) * 4))


def _preset_name(number: int) -> str:
    return f"Preset {number}"


def _yes(told: str | None) -> bool | None:
    return None if not told else told.strip().lower() == "yes"


def _mac(text: str | None) -> str | None:
    digits = re.sub(r"[\s:.-]", "", text or "").upper()
    return ":".join(re.findall("..", digits)) if re.fullmatch("[0-9A-F]{12}", digits) else None
