"""What the recorder sends, and the ways it goes: pictures and sound in RTP as section 15 lays them out, with a sender
report every five seconds (section 14).

`Media` owns the encoders; chapters ask it for a `Track` (one stream to one client, or to a multicast group that its
clients share), start and pause it, and close it. A track goes by a `Way`: a pair of UDP ports, or two channels of an
RTSP connection. Nothing is encoded while no track has been started.

By section 15.2 a picture is an access unit delimiter, before a key picture SPS, PPS and SEI, and the slice, each in a
packet of its own or in FU-A fragments. Section 15.3 is `Coded`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from functools import partial
from typing import Literal, Protocol

from simulators import h264, rtcp
from simulators.loops import loop
from simulators.multipart import Tampering
from simulators.picture import Picture
from simulators.povcam.settings import H264, Settings
from simulators.povcam.sound import RATE as SOUND_CLOCK
from simulators.povcam.sound import Sound
from simulators.rtp import CLOCK, MTU, Numbering, Packetizer, aac_payload
from simulators.rtsp import Connection
from simulators.video import Flow, Frames, Stills, VideoFormat, VideoSource

Kind = Literal["video", "sound"]
AuHeader = Literal["rfc3640", "bare", "none"]

PAYLOAD_TYPE_AAC = 99
IP_AND_UDP = 28  # bytes of a packet that are not RTP
HEIGHTS = {"640": 360, "1280": 720, "1920": 1080, "3840": 2160}
SOUND_PORT_STEP = 1000  # section 13.2: by multicast, sound has the port of the pictures and a thousand
SMALL = 640, 360
JPEG_QUALITIES = {"1": 85, "5": 60}  # fine and normal, as the setting is read back
PORTS = range(20_000, 60_000, 2)  # where a server port is drawn from
ATTEMPTS = 50
REPORTS_AT_ONCE = 16

Reports = Callable[[bytes, str], None]
"""Takes RTCP from a client, and the client's address."""


class Coded:
    """Pictures coded as section 15.3 says for each size and rate, drawn as they are wanted."""

    at_hand = False
    shown = 0

    def __init__(self, video: VideoFormat, drawn: tuple[int, int], *, seed: int, name: str) -> None:
        """`drawn` is the real size of the pictures."""
        width, height = drawn
        huge, fast = video.width == 3840, video.rate > 30
        self._picture = Picture(width, height, seed=seed, name=name)
        self._encoder = h264.Encoder(
            width,
            height,
            video.rate,
            # The small size needs less than any bit rate that can be set: constant quality is the cheapest there.
            video.kilobits if width > SMALL[0] else 0,
            delimiters=True,
            cabac=huge or (video.width == 1920 and fast),
            b_pictures=2 if huge and video.rate >= 25 else 0,
            gop_seconds=0.5 if huge else 1.0,
        )

    def frame(self, number: int) -> list[bytes]:
        units = self._encoder.encode(self._picture.draw(number, datetime.now()), number)
        self.shown = self._encoder.shown
        return units


class Way(Protocol):
    host: str
    port: int

    def send(self, packet: bytes) -> None: ...

    def report(self, packet: bytes) -> None:
        """Send RTCP."""

    def cut(self) -> None:
        """Break off in the middle of a packet."""

    def close(self) -> None: ...


class UdpWay:
    """From a pair of ports to another pair: pictures or sound by the even one, RTCP by the one after it."""

    def __init__(self, host: str, port: int, local_host: str, *, ttl: int = 0, reports: Reports | None = None) -> None:
        """With a `ttl` the host is a multicast group."""
        self.host, self.port = host, port
        self._sockets = _pair(local_host)
        self.local_port: int = self._sockets[0].getsockname()[1]
        self._reports = reports
        for each in self._sockets:
            if ttl:
                each.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
                each.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(local_host))
        if reports is not None:
            asyncio.get_running_loop().add_reader(self._sockets[1], self._read)

    def send(self, packet: bytes) -> None:
        self._to(0, packet)

    def report(self, packet: bytes) -> None:
        if self.port < 65535:
            self._to(1, packet)

    def cut(self) -> None:
        """A datagram has no middle."""

    def close(self) -> None:
        if self._reports is not None:
            asyncio.get_running_loop().remove_reader(self._sockets[1])
        for each in self._sockets:
            each.close()

    def _to(self, which: int, packet: bytes) -> None:
        # A full buffer or a port nobody listens on loses the packet, as it would on a wire.
        with contextlib.suppress(OSError):
            self._sockets[which].sendto(packet, (self.host, self.port + which))

    def _read(self) -> None:
        assert self._reports is not None
        with contextlib.suppress(OSError):
            for _ in range(REPORTS_AT_ONCE):
                data, address = self._sockets[1].recvfrom(2048)
                self._reports(data, address[0])


class InterleavedWay:
    """Two channels of an RTSP connection: one for pictures or sound, the next for RTCP."""

    def __init__(self, connection: Connection, channel: int) -> None:
        self.host, self.port = connection.peer, 0
        self.connection, self.channel = connection, channel

    def send(self, packet: bytes) -> None:
        self.connection.send(self.channel, packet)

    def report(self, packet: bytes) -> None:
        self.connection.send(self.channel + 1, packet)

    def cut(self) -> None:
        self.connection.cut(self.channel, bytes(MTU))

    def close(self) -> None:
        """The connection is not the track's."""


class Track:
    """One stream to one client or group: the outlet of a `VideoSource`, a listener of `Sound`."""

    def __init__(
        self, kind: Kind, way: Way, started: float, *, mtu: int, name: str, au_header: AuHeader, source: int
    ) -> None:
        """`source` is its SSRC."""
        self.kind, self.way, self.source = kind, way, source
        self.started = False
        self.packetizer = Packetizer(mtu=mtu)
        self.numbering = self.packetizer.numbering if kind == "video" else Numbering(PAYLOAD_TYPE_AAC)
        self._clock = CLOCK if kind == "video" else SOUND_CLOCK
        self._began = started
        self._name = name
        self._au_header = au_header
        self._sent = self._octets = 0
        self._next_report = 0.0

    def now(self) -> int:
        """The moment on the track's own clock."""
        return self.numbering.timestamp(int((time.monotonic() - self._began) * self._clock))

    def send(self, packet: bytes) -> None:
        if self.source:
            packet = packet[:8] + self.source.to_bytes(4, "big") + packet[12:]
        self.way.send(packet)
        self._sent += 1
        self._octets += len(packet) - 12
        now = time.monotonic()
        if now >= self._next_report:
            self._next_report = now + rtcp.INTERVAL
            moment = time.time(), self.now()
            self.way.report(rtcp.sender_report(self._name, *moment, self._sent, self._octets, self.source))

    def hear(self, unit: bytes, sample: int, wall: float) -> None:
        self.send(self.numbering.packet(aac_payload(unit, self._au_header), sample, marker=True))

    def close(self) -> None:
        self.way.close()


class Media:
    def __init__(
        self,
        settings: Settings,
        streams: dict[int, VideoFormat],
        *,
        name: str,
        seed: int,
        started: float,
        address: Callable[[], tuple[str, int]],
        looped: bool,
        small_4k: bool,
        channels: int,
    ) -> None:
        """`looped`: pictures come from a loop that all devices share; `small_4k`: pictures of 3840x2160 are drawn in
        640x360, coded in all else as large ones."""
        self._settings = settings
        self._name, self._started, self._address = name, started, address
        self._looped, self._small_4k = looped, small_4k
        self.video = {
            number: VideoSource(video, seed=seed, name=name, started=started, frames=self._frames)
            for number, video in streams.items()
        }
        self.sound = Sound(seed=seed, started=started, channels=channels)
        self.stills = {
            setting: Stills(*SMALL, seed=seed, name=name, started=started, quality=quality)
            for setting, quality in JPEG_QUALITIES.items()
        }
        self.flow = Flow()
        self.tampering = Tampering()
        self.group_report: Callable[[int, Kind, bytes, str], None] = lambda number, kind, data, peer: None
        """Takes RTCP about a multicast group, and who sent it."""
        self._groups: dict[tuple[int, Kind], tuple[Track, list[object]]] = {}

    def _frames(self, video: VideoFormat, seed: int, name: str) -> Frames:
        small = self._small_4k and video.width == 3840
        if self._looped:
            return loop("h264", video, seed=0, name="Loop")
        return Coded(video, SMALL if small else (video.width, video.height), seed=seed, name=name)

    def parameter_sets(self, number: int) -> list[bytes]:
        """SPS and PPS of a stream as it is set now. This encodes a picture."""
        frames = self._frames(self.video[number].format, 0, "")
        pictures = (frames.frame(place) for place in range(4))  # with B pictures the first ones are held back
        first = next(picture for picture in pictures if picture)
        return [unit for unit in first if unit[0] & 0x1F in (h264.NAL_SPS, h264.NAL_PPS)]

    def mtu(self) -> int:
        return min(MTU, int(self._settings.network.rtp_packet_max) - IP_AND_UDP)

    # Tracks

    def track(self, kind: Kind, way: Way, au_header: AuHeader, source: int = 0) -> Track:
        mtu, name = self.mtu(), self._name
        return Track(kind, way, self._started, mtu=mtu, name=name, au_header=au_header, source=source)

    def start(self, number: int, track: Track) -> None:
        if track.started:
            return
        track.started = True
        if track.kind == "video":
            self.video[number].add(track)
        else:
            self.sound.add(track.hear)

    def pause(self, number: int, track: Track) -> None:
        if not track.started:
            return
        track.started = False
        if track.kind == "video":
            self.video[number].take_off(track)
        else:
            self.sound.remove(track.hear)

    def close(self, number: int, track: Track) -> None:
        self.pause(number, track)
        track.close()

    def join(self, number: int, kind: Kind, member: object, au_header: AuHeader, source: int = 0) -> Track:
        """The track of a stream's multicast group, which all members share."""
        if (number, kind) not in self._groups:
            h264_settings = self._settings.h264[number]
            host, port = group(h264_settings, kind)
            reports = partial(self.group_report, number, kind)
            way = UdpWay(host, port, self._address()[0], ttl=int(h264_settings.multicast_ttl), reports=reports)
            self._groups[(number, kind)] = self.track(kind, way, au_header, source), []
        track, members = self._groups[(number, kind)]
        members.append(member)
        return track

    def leave(self, number: int, kind: Kind, member: object) -> None:
        """The last member's leave closes the group."""
        track, members = self._groups[(number, kind)]
        members.remove(member)
        if not members:
            del self._groups[(number, kind)]
            self.close(number, track)

    # Settings

    def apply(self) -> None:
        """Let changed settings take effect: sizes, rates and titles, the sound's bit rate and whether it is on."""
        settings = self._settings
        for number, source in self.video.items():
            source.name = settings.basic.cam_title  # shown from the next start of the encoder on
            source.change(_format(settings.h264[number], source.format))
        self.sound.kilobits = int(settings.audio.audio_bitrate)
        self.sound.heard = settings.audio.audio == "in"

    # What goes wrong

    def silence(self, seconds: float) -> None:
        """No pictures for so long, or until `resume`; sound goes on."""
        until = time.monotonic() + seconds if seconds else float("inf")
        for source in self.video.values():
            source.silent_until = until
        self.flow.stop(seconds)

    def silence_sound(self, seconds: float) -> None:
        self.sound.silent_until = time.monotonic() + seconds if seconds else float("inf")

    def lose(self, every: int) -> None:
        for source in self.video.values():
            source.lose_every = every

    def delay(self, every: int, by: int) -> None:
        """Let each n-th packet of the pictures come so many packets later."""
        for source in self.video.values():
            source.late_every, source.late_by = every, max(by, 1)

    def cut(self, then: Callable[[int], None]) -> None:
        """Break off in the middle of the next picture of each stream that is sent, and do this with its number."""
        self.tampering.cut()
        for number, source in self.video.items():
            if source.encoding:
                source.cut(partial(then, number))

    def resume(self) -> None:
        for source in self.video.values():
            source.silent_until = 0.0
        self.sound.silent_until = 0.0
        self.flow.resume()
        self.lose(0)
        self.delay(0, 1)
        self.tampering.clear()


def group(h264_settings: H264, kind: Kind) -> tuple[str, int]:
    port = int(h264_settings.multicast_port)
    return h264_settings.multicast_addr, port if kind == "video" else port + SOUND_PORT_STEP


def _format(h264_settings: H264, now: VideoFormat) -> VideoFormat:
    width = int(h264_settings.h264_resolution)
    height = now.height if width == now.width else HEIGHTS[h264_settings.h264_resolution]
    return VideoFormat(width, height, Fraction(h264_settings.framerate), int(h264_settings.h264_bandwidth))


def _pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Two sockets at an even port and the next one."""
    for _ in range(ATTEMPTS):
        port = random.choice(PORTS)
        pair = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            for each, number in zip(pair, (port, port + 1), strict=True):
                each.setblocking(False)
                each.bind((host, number))
        except OSError:
            for each in pair:
                each.close()
            continue
        return pair
    raise OSError(f"No two ports are free at {host}.")
