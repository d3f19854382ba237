"""The two card slots, what is on the cards, and what the recorder does with them.

Nothing here has a timer: an occupation (recording, deletion, formatting, transfer) has moments at which it began and
ends, and `settle` books what has happened by now. Whoever asks settles first, so that an idle device costs nothing and
a restart has nothing to cancel.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from simulators.povcam.answers import Declined
from simulators.povcam.clock import RunningClock
from simulators.povcam.eventlog import EventLog
from simulators.povcam.settings import Settings

SLOTS = ("sd1", "sd2")
GIBIBYTE = 1 << 30
GIGABYTE = 1_000_000_000
LEAST_FREE = 10_000_000  # bytes a recording needs to begin
ABSENT = "-----"

Progress = Literal["prepare", "exec", "finish", "cancel", "error"]


@dataclass(frozen=True)
class Clip:
    name: str
    format: str
    begun: datetime
    seconds: int
    size: int


@dataclass
class Card:
    capacity: int
    clips: list[Clip] = field(default_factory=list)
    error: bool = False
    repaired: float = 0.0
    """Under repair until this moment of the monotonic clock."""
    generation: int = 0
    """Raised by each change of the clips: lists made before are no longer true."""

    @property
    def free(self) -> int:
        return max(0, self.capacity - sum(clip.size for clip in self.clips))

    def become(self, clips: list[Clip]) -> None:
        self.clips = clips
        self.generation += 1


@dataclass
class Recording:
    slot: str
    mode: str
    begins: float
    ends: float
    """Infinity as long as nobody has said when."""
    full: float
    """The card is full at this moment."""

    @property
    def over(self) -> float:
        return min(self.ends, self.full)


@dataclass
class Deletion:
    slot: str
    clips: list[Clip]
    done: float


@dataclass
class Formatting:
    slot: str
    begun: float
    done: float
    failed: bool = False
    booked: bool = False

    def progress(self, now: float) -> Progress:
        if self.failed:
            return "error"
        if now >= self.done:
            return "finish"
        return "prepare" if now < self.begun + (self.done - self.begun) / 4 else "exec"


@dataclass
class Transfer:
    begun: float
    clips: int
    each: float
    """Seconds per clip; the preparation takes half as long as one."""
    fails: bool
    cancelled: float = math.inf
    booked: bool = False

    @property
    def ends(self) -> float:
        done = self.begun + self.each / 2 + self.clips * self.each * (0.5 if self.fails else 1.0)
        return min(done, self.cancelled + self.each / 2)

    def progress(self, now: float) -> Progress:
        if now >= self.ends:
            return "error" if self.fails or self.cancelled < math.inf else "finish"
        if now >= self.cancelled:
            return "cancel"
        return "prepare" if now < self.begun + self.each / 2 else "exec"

    def rate(self, now: float) -> int:
        """Percent sent."""
        sent = min(now, self.ends, self.cancelled) - self.begun - self.each / 2
        return int(min(1.0, max(0.0, sent / (self.clips * self.each))) * 100)


class Cards:
    def __init__(
        self,
        settings: Settings,
        clock: RunningClock,
        log: EventLog,
        *,
        gigabytes: tuple[int, int],
        clips: int,
        work_seconds: float,
        fill: float,
    ) -> None:
        """Cards of so many gigabytes (0: no card), the first with some clips on it. `fill`: how many times faster than
        a real one a recording fills them."""
        self._settings = settings
        self._clock = clock
        self._log = log
        self._gigabytes = gigabytes
        self._work = work_seconds
        self._fill = fill
        self._numbers = {"mp4": 0, "avchd": 0}
        self.now: Callable[[], float] = time.monotonic
        self.pre_rec = False
        self.downloads = 0
        self.recording: Recording | None = None
        self.deletion: Deletion | None = None
        self.formatting: Formatting | None = None
        self.transfer: Transfer | None = None
        self.slots: dict[str, Card | None] = {slot: self._new(slot) for slot in SLOTS}
        first = self.slots["sd1"]
        if first is not None:
            first.clips = self._some_clips(clips)

    # What is going on

    def settle(self) -> float:
        """Book what has happened, and tell the moment it was booked for."""
        now = self.now()
        recording = self.recording
        if recording is not None and now >= recording.over:
            self._finish_recording(recording, recording.over)
        deletion = self.deletion
        if deletion is not None and now >= deletion.done:
            card = self.slots[deletion.slot]
            if card is not None:
                card.become([clip for clip in card.clips if clip not in deletion.clips])
            self._log.add(613, f"{len(deletion.clips)} clips deleted", self._at(deletion.done))
            self.deletion = None
        formatting = self.formatting
        if formatting is not None and not formatting.booked and now >= formatting.done:
            formatting.booked = True
            card = self.slots[formatting.slot]
            if card is not None:
                card.error = False
                card.become([])
            self._log.add(621, f"{formatting.slot} formatted", self._at(formatting.done))
        transfer = self.transfer
        if transfer is not None and not transfer.booked and now >= transfer.ends:
            transfer.booked = True
            self._log.add(701, f"FTP transfer: {transfer.progress(now)}", self._at(transfer.ends))
        return now

    def _at(self, moment: float) -> datetime:
        return self._clock.ago(self.now() - moment)

    def occupation(self) -> str | None:
        """What the recorder is busy with, or None. Downloads do not count: they only hinder what would take the clips
        away."""
        now = self.settle()
        if self.recording is not None:
            return "recording"
        if self.deletion is not None:
            return "deleting clips"
        if self.formatting is not None and not self.formatting.booked:
            return "formatting a card"
        if self.transfer is not None and now < self.transfer.ends:
            return "transferring clips"
        return None

    def expect_free(self, downloads_too: bool = False) -> None:
        busy = self.occupation() or ("sending a clip" if downloads_too and self.downloads else None)
        if busy:
            raise Declined("busy", f"The recorder is {busy}.")

    def usable(self, slot: str) -> Card:
        """The slot's card, when it can be written."""
        card = self.slots[slot]
        if card is None:
            raise Declined("no_card", f"There is no card in {slot}.")
        if card.error or self.now() < card.repaired:
            raise Declined("card_error", f"The card in {slot} is broken or being repaired.")
        return card

    # Recording

    def start(self) -> None:
        slot = self._settings.recording.device
        self.expect_free()
        card = self.usable(slot)
        mode = self._settings.recording.mode
        if card.free < LEAST_FREE:
            raise Declined("card_full", f"The card in {slot} is full.")
        begins = self.now() + self._work
        self.recording = Recording(slot, mode, begins, math.inf, begins + card.free / self._rate(mode))
        self._log.add(601, f"Recording to {slot}", self._at(begins))

    def end(self) -> None:
        now = self.settle()
        recording = self.recording
        if recording is None:
            raise Declined("not_recording", "Nothing is being recorded.")
        if now < recording.begins or recording.ends < math.inf:
            raise Declined("busy", "The recorder is still starting or ending the recording.")
        recording.ends = now + self._work

    def written(self, now: float) -> int:
        """Bytes of the clip being recorded."""
        recording = self.recording
        return int((now - recording.begins) * self._rate(recording.mode)) if recording and now > recording.begins else 0

    def _finish_recording(self, recording: Recording, over: float) -> None:
        self.recording = None
        card = self.slots[recording.slot]
        if card is None or over < recording.begins:
            return
        seconds = over - recording.begins
        filled = over == recording.full
        size = card.free if filled else min(card.free, int(seconds * self._rate(recording.mode)))
        kind = "mp4" if recording.mode.startswith("mp4") else "avchd"
        begun = self._at(recording.begins).replace(microsecond=0)
        clip = Clip(self._name(recording.slot, kind), kind, begun, round(seconds), size)
        card.become([*card.clips, clip])
        why = "card full" if filled else "ended"
        self._log.add(602, f"Recording to {recording.slot} {why}", self._at(over))

    def _rate(self, mode: str) -> float:
        """Bytes per second of a recording mode, whose name tells its megabits: …_28m."""
        megabits = next(int(part[:-1]) for part in mode.split("_") if part[:-1].isdecimal() and part.endswith("m"))
        return megabits * 125_000 * self._fill

    def _name(self, slot: str, kind: str) -> str:
        """Sixteen signs, as in the document's examples: S1AA001000000160, S0M40010000001A0."""
        self._numbers[kind] += 1
        number = self._numbers[kind] % 10_000_000
        if kind == "mp4":
            return f"S{SLOTS.index(slot)}M4{self._settings.recording.folder % 1000:03d}{number:07d}A0"
        return f"S{SLOTS.index(slot)}AA001{number:07d}60"

    def reset_numbers(self) -> None:
        """The next MP4 clip begins a folder of its own with number 1."""
        self._settings.recording.folder += 1
        self._numbers["mp4"] = 0

    # Other occupations

    def delete(self, slot: str, clips: list[Clip]) -> None:
        self.deletion = Deletion(slot, clips, self.now() + self._work / 2 + len(clips) * self._work / 20)

    def format(self, slot: str) -> None:
        now = self.now()
        self.formatting = Formatting(slot, now, now + 2 * self._work)

    def send(self, clips: int, fails: bool) -> None:
        self.transfer = Transfer(self.now(), max(clips, 1), self._work / 2, fails)

    # What happens to the cards from outside

    def restart(self) -> None:
        """What was going on ends: a clip keeps what is recorded of it."""
        now = self.settle()
        if self.recording is not None:
            self._finish_recording(self.recording, now)
        self.deletion = None
        if self.formatting is not None and not self.formatting.booked:
            self.formatting.failed = self.formatting.booked = True
        self.transfer = None

    def insert(self, slot: str) -> None:
        self.settle()
        if self.slots[slot] is None:
            self.slots[slot] = self._new(slot) or Card(64 * GIGABYTE)
            self._log.add(611, f"Card in {slot}")

    def remove(self, slot: str) -> None:
        """Pulled out: what was being done with it comes to nothing."""
        self.settle()
        self.slots[slot] = None
        if self.recording is not None and self.recording.slot == slot:
            self.recording = None
        if self.formatting is not None and self.formatting.slot == slot and not self.formatting.booked:
            self.formatting.failed = self.formatting.booked = True
        self._log.add(612, f"No card in {slot}")

    def damage(self, slot: str) -> None:
        card = self.slots[slot]
        if card is not None:
            card.error = True
            self._log.add(699, f"Card error in {slot}")

    def repair(self, slot: str, seconds: float) -> None:
        card = self.slots[slot]
        if card is not None:
            card.error, card.repaired = False, self.now() + seconds

    def fill_up(self, slot: str) -> None:
        now = self.settle()
        card = self.slots[slot]
        if card is not None:
            card.capacity = sum(clip.size for clip in card.clips) + self.written(now)
        if self.recording is not None and self.recording.slot == slot:
            self.recording.full = now

    def lines(self, slot: str, now: float) -> Iterable[tuple[str, object]]:
        """The slot's part of get_state."""
        prefix = "sd" if slot == "sd1" else "sd2"
        card = self.slots[slot]
        written = self.written(now) if self.recording is not None and self.recording.slot == slot else 0
        readable = card is not None and not card.error
        yield f"{prefix}_insert", on(card is not None)
        yield f"{prefix}_repair", on(card is not None and now < card.repaired)
        yield f"{prefix}_error", on(card is not None and card.error)
        yield f"{prefix}_rem", max(0, card.free - written) // GIBIBYTE if card is not None and readable else ABSENT
        yield f"{prefix}_org", card.capacity // GIBIBYTE if card is not None and readable else ABSENT

    def _new(self, slot: str) -> Card | None:
        gigabytes = self._gigabytes[SLOTS.index(slot)]
        return Card(gigabytes * GIGABYTE) if gigabytes else None

    def _some_clips(self, count: int) -> list[Clip]:
        """A working day's clips: so many in AVCHD, and for every four of them one in MP4."""
        clips = []
        begun = self._clock.local().replace(microsecond=0) - timedelta(minutes=20 * (count + 1))
        for number in range(count):
            kinds = ("avchd", "mp4") if number % 4 == 3 else ("avchd",)
            for kind in kinds:
                begun += timedelta(minutes=20 / len(kinds))
                seconds = 12 + number * 7 % 48
                megabits = 50 if kind == "mp4" else 28
                clips.append(Clip(self._name("sd1", kind), kind, begun, seconds, seconds * megabits * 125_000))
        return clips


def on(fact: bool) -> str:
    return "on" if fact else "off"
