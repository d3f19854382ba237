"""Section 3: which unit of the archive the next camera.cgi or playaudio.cgi is answered with, and the answer.

A command of hdrctl.cgi gives every masked camera a position, and the pulls go on from there, each camera and its sound
by itself. Where the document is silent:

    PLAY        goes on where the pictures are: after PAUSE or a step with the unit of their TIMEF, which the client has
                seen in part; at first with the oldest recording ("play-from-latest": a minute before now)
    GOTODATE    the unit TIMEF lies in; in a gap, or before everything, the next one
    BPLAY       "one before in time order": the unit before the one TIMEF lies in ("reverse-from-here": that one first)
    FF, REW     the unit TIMEF lies in, then one each 2, 4, 8 ... 256 s at STEP1 ... STEP8
    PAUSE       the unit TIMEF lies in, as often as it is asked for
    NEXTFRAME   the unit of the first picture after TIMEF, PREVFRAME of the last one before it: as often, too
    a gap       is passed over in both directions
    an end      where there is nothing, the answer has no picture: 0x000C is 0, there is no FF05 ("empty-204": 204
                without a body). At the end of what is recorded the same question is answered later. The sound is
                empty then, and always empty in reverse, fast and paused playback

Cameras with an odd number add information of their own to each picture, with its time; of the others only the GOP's
times are told. With "long-term" the streams have long-term reference pictures: after GOTODATE into the middle of a GOP
its first picture comes marked not to be shown (0x0029 = 2), and then the pictures from TIMEF on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from simulators.http import Response
from simulators.ipro import containers, replies
from simulators.ipro.archive import Archive, Unit, hundredths
from simulators.ipro.information import JPEG, Played
from simulators.ipro.records import Zone
from simulators.ipro.reel import Reel
from simulators.ipro.uids import Playback

PAUSED = frozenset({"PAUSE", "NEXTFRAME", "PREVFRAME"})
FORWARD = frozenset({"PLAY", "GOTODATE"})
FAST = {"FF": 1, "REW": -1}
FASTEST_STEP = 8
LATEST = 60.0
LONG_TERM, WITH_LONG_TERM = 0x0010, 0x0011
SHOW, DO_NOT_SHOW = 1, 2
NOISE = b"\x00\x13\xff\xfe noise between two pictures."  # a multiple of four, so that what follows stays where it was
WRONG_LENGTH = (7_777_777).to_bytes(4, "big")
PACKET = re.compile(rb"\xff\x05\x00[\x00-\x03].{4}\x00{16}", re.DOTALL)
SPOILED = ("length", "torn", "noise")

ODDITIES = {
    **containers.ODDITIES,
    "play-from-latest": "PLAY without a position begins a minute before now, not with the oldest recording",
    "reverse-from-here": "BPLAY gives the GOP that TIMEF lies in first, then the one before it",
    "empty-204": "where nothing is recorded camera.cgi and playaudio.cgi answer 204",
    "long-term": "recorded H.264 and H.265 have long-term reference pictures",
}


def told(moment: datetime) -> int:
    """A TIMEF in hundredths of a second."""
    return int(moment.timestamp()) * 100 + moment.microsecond // 10_000


@dataclass
class Spoil:
    """What goes wrong with the next answers of camera.cgi."""

    mode: str = ""
    times: int = 0


class Player:
    def __init__(self, archive: Archive, reel: Reel, *, sound: str, zone: Zone, oddities: frozenset[str]) -> None:
        self.spoil = Spoil()
        self._archive = archive
        self._reel = reel
        self._sound = sound
        self._zone = zone
        self._oddities = oddities

    # 3.2 Commands

    def command(self, before: Playback | None, playcmd: str, at: datetime | None, now: float) -> Playback:
        """What becomes of a playback by one command other than STOP."""
        if playcmd == "PLAY" and before is not None:
            moved = before.command in PAUSED
            return Playback(
                playcmd,
                before.at,
                seen={} if moved else before.seen,
                heard={} if moved else before.heard,
                shown=before.shown,
            )
        if at is None and "play-from-latest" in self._oddities:
            at = datetime.fromtimestamp(now - LATEST, UTC)
        speed = 0
        if playcmd in FAST:
            speed = min(before.speed + 1, FASTEST_STEP) if before and before.command == playcmd else 1
        command = Playback(playcmd, at, speed)
        if before is not None:
            command.shown = before.shown
        return command

    def elsewhere(self, playback: Playback, at: datetime) -> bool:
        """Whether no picture was sent that could be seen at this time."""
        if not playback.shown:
            return False
        here = told(at)
        return not any(hundredths(unit.start) // 100 * 100 <= here <= hundredths(unit.last) for unit in playback.shown)

    def masked(self, playback: Playback) -> None:
        """Other cameras are played from now on: who comes new begins where the others are."""
        if playback.shown and playback.command not in PAUSED:
            playback.at = datetime.fromtimestamp(float(playback.shown[-1].start), UTC)

    # 3.3 Answers

    async def pictures(self, playback: Playback, camera: int) -> Response | None:
        """The answer to camera.cgi; None: there is nothing."""
        command, speed = playback.command, playback.speed
        first = camera not in playback.seen
        unit = self._next(playback, playback.seen, camera, seconds=False)
        if unit is None:
            return None
        playback.seen[camera] = unit
        playback.shown.append(unit)
        since = self._hidden(playback, unit) if first else 0
        images = await self._reel.pictures(unit, since)
        jpeg = unit.coding.codec == JPEG
        written = [image[0] if jpeg else containers.annex_b(image) for image in images]
        times = [unit.time(number) for number in (0, *range(max(since, 1), unit.coding.count))]
        body = containers.pictures(
            Played(
                camera,
                unit.coding.codec,
                unit.start,
                sum(map(len, written)),
                len(written),
                unit.coding.rate,
                command,
                speed,
                *self._long_term(jpeg, since),
            ),
            written,
            times,
            self._zone,
            end=unit.end,
            from_camera=camera % 2 == 1,
            oddities=self._oddities,
        )
        following = None if command in PAUSED else self._next(playback, playback.seen, camera, seconds=False)
        if following is not None:
            self._reel.expect(following)
        return _answer(self._spoiled(body))

    async def sound(self, playback: Playback, camera: int) -> Response | None:
        """The answer to playaudio.cgi; None: there is nothing."""
        if playback.command not in FORWARD or self._sound == "none":
            return None
        unit = self._next(playback, playback.heard, camera, seconds=True)
        if unit is None:
            return None
        playback.heard[camera] = unit
        heard = await self._reel.sound(self._sound, unit)
        return _answer(
            containers.sound(
                self._sound, camera, heard.units, heard.start, heard.end, self._zone, oddities=self._oddities
            )
        )

    def no_pictures(self, playback: Playback, camera: int) -> Response:
        if "empty-204" in self._oddities:
            return Response(204)
        coding, at = self._archive.coding(camera), _position(playback)
        nothing = Played(camera, coding.codec, at, 0, 0, coding.rate, playback.command, playback.speed)
        return _answer(
            containers.pictures(nothing, (), (), self._zone, end=at, from_camera=False, oddities=self._oddities)
        )

    def no_sound(self, playback: Playback, camera: int) -> Response:
        if "empty-204" in self._oddities:
            return Response(204)
        codec, at = containers.AAC if self._sound == "none" else self._sound, _position(playback)
        return _answer(containers.sound(codec, camera, (), at, at, self._zone, oddities=self._oddities))

    def _next(self, playback: Playback, given: dict[int, Unit], camera: int, *, seconds: bool) -> Unit | None:
        archive = self._archive
        last, command = given.get(camera), playback.command
        here = told(playback.at) if playback.at else 0
        if command in FORWARD:
            if last is not None:
                return archive.starting_from(camera, last.end, seconds=seconds)
            return archive.near(camera, here, seconds=seconds)
        after = Fraction(here + 1, 100)
        match command:
            case "BPLAY" if last is not None:
                return archive.starting_before(camera, last.start)
            case "BPLAY":
                unit = archive.starting_before(camera, after)
                if unit is None or unit.end < after or "reverse-from-here" in self._oddities:
                    return unit
                return archive.starting_before(camera, unit.start)
            case "FF" if last is not None:
                return archive.near(camera, hundredths(last.start) + 100 * 2**playback.speed)
            case "REW" if last is not None:
                return archive.starting_before(camera, last.start - 2**playback.speed + Fraction(1, 100))
            case "REW":
                return archive.starting_before(camera, after)
            case "NEXTFRAME":
                return archive.showing_from(camera, after)
            case "PREVFRAME":
                return archive.starting_before(camera, Fraction(here, 100))
        return archive.near(camera, here)

    def _hidden(self, playback: Playback, unit: Unit) -> int:
        """The number of the first picture to be shown, if those before it are left out."""
        if "long-term" not in self._oddities or playback.command != "GOTODATE" or playback.at is None:
            return 0
        wanted = told(playback.at)
        return next((number for number in range(unit.coding.count) if hundredths(unit.time(number)) >= wanted), 0)

    def _long_term(self, jpeg: bool, since: int) -> tuple[int, int]:
        if "long-term" not in self._oddities or jpeg:
            return 0, 0
        return (WITH_LONG_TERM, DO_NOT_SHOW) if since else (LONG_TERM, SHOW)

    def _spoiled(self, body: bytes) -> bytes:
        spoil = self.spoil
        if not spoil.times:
            return body
        spoil.times -= 1
        headers = list(PACKET.finditer(body))
        at = headers[min(1, len(headers) - 1)].start()  # of the second picture, if there are two
        match spoil.mode:
            case "torn":
                return body[: len(body) // 2]
            case "length":
                return body[: at + 4] + WRONG_LENGTH + body[at + 8 :]
        return body[:at] + NOISE + body[at:]


def _position(playback: Playback) -> Fraction:
    return Fraction(told(playback.at), 100) if playback.at else Fraction(0)


def _answer(body: bytes) -> Response:
    return Response(200, body, "application/octet-stream", replies.NO_CACHE)
