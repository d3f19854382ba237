"""Sections 4, 5 and 6: settings and the clock, written and read back.

`changed` is called when pictures have to follow a setting, `reboot` for a restart, `move` when the web server shall
listen elsewhere (it raises `Declined` when it cannot), `move_rtsp` when the RTSP server shall.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime

from simulators.checking import Refused
from simulators.http import Answer, Request, Response
from simulators.povcam.answers import DONE, Action, Declined, Pairs, Values, told
from simulators.povcam.catalogue.information import ITEMS
from simulators.povcam.catalogue.settings import SCREENS
from simulators.povcam.clock import RunningClock
from simulators.povcam.eventlog import KEPT, EventLog
from simulators.povcam.setting_list import setting_list
from simulators.povcam.settings import Settings, assign, default_mode

RANDOM_DIGITS = 16
FINE, NORMAL = "1", "5"
OUTSIDE_ADDRESS = "203.0.113.10"  # of the router that UPnP opens ports on

Move = Callable[[str, int], None]


class Configuration:
    def __init__(
        self,
        settings: Settings,
        clock: RunningClock,
        log: EventLog,
        *,
        occupied: Callable[[], bool],
        address: Callable[[], tuple[str, int]],
        changed: Callable[[], None],
        reboot: Callable[[], None],
        move: Move,
        move_rtsp: Callable[[int], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._log = log
        self._occupied = occupied
        self._address = address
        self._changed = changed
        self._reboot = reboot
        self._move = move
        self._move_rtsp = move_rtsp
        self.actions: dict[str, Action] = {
            "set_priority_mode": self._set_priority_mode,
            "set_basic": self._set_basic,
            "initial": self._initial,
            "time": self._time,
            "date_time": self._date_time,
            "set_jpeg": self._set_jpeg,
            "setdata": self._setdata,
            "set_h264": self._set_h264,
            "set_h264_2": self._set_h264_2,
            "set_rtsp": self._set_rtsp,
            "set_livestart": self._set_livestart,
            "set_audio": self._set_audio,
            "set_volume_lv": self._set_volume_lv,
            "multi_screen": self._multi_screen,
            "network": self._network,
            "easyipset": self._easyipset,
            "set_bandwidth": self._set_bandwidth,
            "set_rtp": self._set_rtp,
            "upnp": self._upnp,
            "get_priority_mode": self._get_priority_mode,
            "get_basic": self._get_basic,
            "get_time": self._get_time,
            "get_date_time": self._get_date_time,
            "get_video_over_ip": self._get_video_over_ip,
            "get_audio": self._get_audio,
            "get_multi_screen": self._get_multi_screen,
            "get_network": self._get_network,
            "get_upnp": self._get_upnp,
            "get_status": self._get_status,
            "get_systemlog": self._get_systemlog,
            "getdata": self._getdata,
        }

    # 4.1, 4.8

    async def _set_priority_mode(self, values: Values, request: Request) -> Answer:
        if self._occupied():
            raise Declined("busy", "The recorder is busy with a card: the priority mode stays.")
        settings, mode = self._settings, values["mode"]
        settings.priority_mode = mode
        if mode != "rec_pb_4k" and settings.recording.mode.startswith("mp4_2160"):
            settings.recording.mode = default_mode(settings.system_frequency)
        self._log.add(201, f"Priority mode {mode}")
        self._changed()
        return DONE

    async def _set_basic(self, values: Values, request: Request) -> Answer:
        assign(self._settings.basic, values)
        self._changed()
        return DONE

    async def _initial(self, values: Values, request: Request) -> Answer:
        self._log.add(101, "Restart")
        self._reboot()
        if len(values["Randomnum"]) < RANDOM_DIGITS:
            raise Declined("short_randomnum", "The table wants 16 digits; taken, as in the example.", 204)
        return DONE

    # 4.2

    async def _time(self, values: Values, request: Request) -> Answer:
        assign(self._settings.ntp, values)
        if values.get("time_adjust") == "1":
            self._clock.synchronise()
            self._log.add(301, "Clock synchronised")
        return DONE

    async def _date_time(self, values: Values, request: Request) -> Answer:
        date = {name: int(value) for name, value in values.items() if name.startswith("date_")}
        kept = asdict(self._settings.clock)
        assign(self._settings.clock, {name: value for name, value in values.items() if name not in date})
        if not date:
            return DONE
        now = self._clock.local()
        try:
            wall = datetime(
                date.get("date_year", now.year),
                date.get("date_month", now.month),
                date.get("date_day", now.day),
                date.get("date_hour", now.hour),
                date.get("date_min", now.minute),
                date.get("date_sec", now.second),
            )
        except ValueError:
            assign(self._settings.clock, kept)
            raise Refused("value", f"There is no such day: {date}.") from None
        self._clock.set_local(wall)
        self._log.add(302, "Clock set")
        return DONE

    # 4.3

    async def _set_jpeg(self, values: Values, request: Request) -> Answer:
        quality = values.get("jpeg_quality")
        if quality is not None:
            values = {**values, "jpeg_quality": _quality(quality)}
        assign(self._settings.jpeg, values)
        self._changed()
        return DONE

    async def _setdata(self, values: Values, request: Request) -> Answer:
        if not values:
            return told(setting_list(self._settings))
        if "LIVEQUAL" in values:
            self._settings.jpeg.jpeg_quality = _quality(values["LIVEQUAL"])
        if "LIVESIZE" in values:
            self._settings.jpeg.resol_stream1 = values["LIVESIZE"]
        return DONE

    async def _set_h264(self, values: Values, request: Request) -> Answer:
        return self._stream(1, values)

    async def _set_h264_2(self, values: Values, request: Request) -> Answer:
        if self._settings.priority_mode.startswith("rec_pb"):
            raise Refused("priority_mode", "In REC/PB priority H.264(2) cannot be controlled.")
        return self._stream(2, values)

    def _stream(self, number: int, values: Values) -> Answer:
        h264 = self._settings.h264[number]
        if "h264_bandwidth_min" in values and values.get("f_priority", h264.f_priority) != "2":
            raise Refused("condition", "h264_bandwidth_min can be set when f_priority is 2.")
        octets = h264.multicast_addr.split(".")
        for place in range(4):
            octets[place] = values.get(f"multicast_addr{place + 1}", octets[place])
        by_octets = ".".join(octets)
        whole = values.get("multicast_addr", by_octets)
        if whole != by_octets and any(f"multicast_addr{place}" in values for place in (1, 2, 3, 4)):
            raise Refused("condition", f"multicast_addr is {whole}, its parts say {by_octets}.")
        single = {name: value for name, value in values.items() if not name.startswith("multicast_addr")}
        assign(h264, {**single, "multicast_addr": whole})
        self._changed()
        return DONE

    async def _set_rtsp(self, values: Values, request: Request) -> Answer:
        await self._set_rtsp_port(values)
        for name, number in (("h264_rtsp_mode", 1), ("h264_rtsp_mode2", 2)):
            if name in values:
                self._settings.h264[number].h264_rtsp_mode = values[name]
        return DONE

    async def _set_rtsp_port(self, values: Values) -> None:
        if "rtsp_port" in values:
            self._settings.rtsp_port = values["rtsp_port"]
            await self._move_rtsp(int(values["rtsp_port"]))

    async def _set_livestart(self, values: Values, request: Request) -> Answer:
        self._settings.livestart = values["stream"]
        return DONE

    # 4.4, 4.5

    async def _set_audio(self, values: Values, request: Request) -> Answer:
        wanted = {"0": "off", "1": "in"}.get(values.get("audio", ""), values.get("audio"))
        if wanted == "in" and "audio_sens" not in values:
            raise Refused("missing_parameter", "To enable audio, audio and audio_sens are set together.")
        if "audio_sens" in values and wanted != "in":
            raise Refused("condition", "audio_sens is set together with audio=1.")
        assign(self._settings.audio, values)
        if wanted is not None:
            self._settings.audio.audio = wanted
        self._changed()
        return DONE

    async def _set_volume_lv(self, values: Values, request: Request) -> Answer:
        self._settings.volume_lv = values["volume_lv"]
        return DONE

    async def _multi_screen(self, values: Values, request: Request) -> Answer:
        for name, value in values.items():
            kind = name.rstrip("0123456789")
            place = int(name.removeprefix(kind))
            setattr(self._settings.screens[place], kind.removeprefix("multi_"), value)
        return DONE

    # 4.6, 4.7

    async def _network(self, values: Values, request: Request) -> Answer:
        host, port = self._address()
        now = {"IP_addr": self._settings.network.IP_addr or host}
        now |= {
            name: getattr(self._settings.network, name) for name in ("netmask", "gateway", "pri_server", "sec_server")
        }
        addresses = {
            name: ".".join(values.get(f"{name}{place}", octet) for place, octet in enumerate(before.split("."), 1))
            for name, before in now.items()
        }
        self._move(addresses["IP_addr"], int(values.get("port", port)))
        assign(self._settings.network, {name: value for name, value in addresses.items() if name != "IP_addr"})
        for name in ("dhcp", "dns", "rtp_packet_max", "mss", "time"):
            if name in values:
                setattr(self._settings.network, name, values[name])
        if "bandwidth" in values:
            self._settings.network.bandwidth = _bandwidth(values["bandwidth"])
        await self._set_rtsp_port(values)
        self._log.add(401, "Network settings changed")
        return DONE

    async def _easyipset(self, values: Values, request: Request) -> Answer:
        self._settings.network.time = values["time"]
        return DONE

    async def _set_bandwidth(self, values: Values, request: Request) -> Answer:
        self._settings.network.bandwidth = _bandwidth(values["bandwidth"])
        return DONE

    async def _set_rtp(self, values: Values, request: Request) -> Answer:
        self._settings.network.rtp_packet_max = values["rtp_size"]
        return DONE

    async def _upnp(self, values: Values, request: Request) -> Answer:
        self._settings.upnp_portmap = values["upnp_portmap"]
        return DONE

    # 5.1 to 5.4

    async def _get_priority_mode(self, values: Values, request: Request) -> Answer:
        return told([("priority_mode", self._settings.priority_mode)])

    async def _get_basic(self, values: Values, request: Request) -> Answer:
        return told(list(asdict(self._settings.basic).items()))

    async def _get_time(self, values: Values, request: Request) -> Answer:
        return told(list(asdict(self._settings.ntp).items()))

    async def _get_date_time(self, values: Values, request: Request) -> Answer:
        now = self._clock.local()
        settings = asdict(self._settings.clock)
        date = {
            "date_year": now.year,
            "date_month": now.month,
            "date_day": now.day,
            "date_hour": now.hour,
            "date_min": now.minute,
            "date_sec": now.second,
        }
        shown = {"display": settings.pop("display"), **date, **settings, "is_summer_time": int(self._clock.is_summer)}
        return told(list(shown.items()))

    # 5.5 to 5.7

    async def _get_video_over_ip(self, values: Values, request: Request) -> Answer:
        settings = self._settings
        pairs: list[tuple[str, object]] = [("livestart_stream", settings.livestart), *asdict(settings.jpeg).items()]
        for number in self._channels():
            for name, value in asdict(settings.h264[number]).items():
                pairs.append((f"h264_{name.removeprefix('h264_')}_ch{number}", value))
        random.shuffle(pairs)  # the document: "Responses are issued in a random order"
        return told(pairs)

    def _channels(self) -> tuple[int, ...]:
        """The streams that can be sent in this priority mode: of others nothing is told."""
        return (1,) if self._settings.priority_mode.startswith("rec_pb") else (1, 2)

    async def _get_audio(self, values: Values, request: Request) -> Answer:
        return told(list(asdict(self._settings.audio).items()))

    async def _get_multi_screen(self, values: Values, request: Request) -> Answer:
        pairs: list[tuple[str, object]] = []
        for place in range(1, SCREENS + 1):
            screen = self._settings.screens[place]
            pairs += [(f"multi_addr{place}", screen.addr), (f"multi_name{place}", screen.name)]
        return told(pairs)

    # 5.8 to 5.12

    async def _get_network(self, values: Values, request: Request) -> Answer:
        host, port = self._address()
        network = self._settings.network
        pairs: Pairs = [
            ("ip4_dhcp", network.dhcp),
            ("ip4_addr", network.IP_addr or host),
            ("ip4_netmask", network.netmask),
            ("ip4_gateway", network.gateway),
            ("ip4_pri_server", network.pri_server),
            ("ip4_sec_server", network.sec_server),
            ("port", port),
            ("dns", network.dns),
            ("rtp_packet_max", network.rtp_packet_max),
            ("mss", network.mss),
            ("bandwidth", network.bandwidth),
            ("time", network.time),
            ("rtsp_port", 0),
        ]
        return told(pairs)

    async def _get_upnp(self, values: Values, request: Request) -> Answer:
        return told([("upnp_portmap", self._settings.upnp_portmap)])

    async def _get_status(self, values: Values, request: Request) -> Answer:
        open_ = self._settings.upnp_portmap == "1"
        secure = self._settings.https.live == "https"
        pairs: Pairs = [
            ("http_port", self._address()[1]),
            ("http_status", "enable" if open_ and not secure else "disable"),
            ("https_port", self._settings.https.https_port),
            ("https_status", "enable" if open_ and secure else "disable"),
            ("addr", OUTSIDE_ADDRESS if open_ else ""),
        ]
        return told(pairs)

    async def _get_systemlog(self, values: Values, request: Request) -> Answer:
        return Response(200, self._log.read(int(values.get("index", "1")), int(values.get("num", KEPT))))

    async def _getdata(self, values: Values, request: Request) -> Answer:
        pairs = setting_list(self._settings)
        wanted = values.get("req")
        if wanted is None:
            return told(pairs)
        name = ITEMS[wanted]
        return told([(name, {**dict(pairs), **_unlisted(self._settings)}[name])])


def _unlisted(settings: Settings) -> dict[str, object]:
    """What section 5.12 can ask for and section 6 does not list."""
    return {
        "H264CODIND": 0,
        "H264CODIND_2": 0,
        "AUDIO_LEVEL": 1,
        "NRLIVEQUAL": "normal",
        "LIVEFRAMERATE": settings.jpeg.jpeg_interval1,
    }


def _quality(value: str) -> str:
    """0 to 4 are high quality, 5 to 9 low; what is read back is 1 or 5."""
    return FINE if int(value) < 5 else NORMAL


def _bandwidth(value: str) -> str:
    return "0" if value == "10000" else value
