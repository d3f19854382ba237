"""The two card slots, what is on the cards, and what the recorder does with them.

Nothing here has a timer: an occupation (recording, deletion, formatting, transfer) has moments at which it began and
ends, and `settle` books what has happened by now. Whoever asks settles first, so that an idle device costs nothing and
a restart has nothing to cancel.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from simulators.povcam.answers import Declined
from simulators.povcam.clock import RunningClock
from simulators.povcam.eventlog import EventLog
from simulators.povcam.film import shape_of
from simulators.povcam.mts import PACKET
from simulators.povcam.settings import Settings, default_mode

SLOTS = ("sd1", "sd2")
GIBIBYTE = 1 << 30
GIGABYTE = 1_000_000_000
LEAST_FREE = 10_000_000  # bytes a recording needs to begin
ABSENT = "-----"

Progress = Literal["prepare", "exec", "finish", "cancel", "error"]


RATE_LETTERS = {"30p": "C", "25p": "D", "24p": "F"}  # in the name of a folder of MP4 clips


@dataclass(frozen=True)
class Clip:
    name: str
    mode: str
    """The recording mode of section 8.1."""
    number: int
    folder: int
    recorder: int
    begun: datetime
    seconds: int
    size: int

    @property
    def format(self) -> str:
        return self.mode.partition("_")[0]

    @property
    def path(self) -> str:
        """Where it is on the card: as this recorder's manual shows its folders, but for AVCHD's place in PRIVATE."""
        if self.format == "avchd":
            return f"AVCHD/BDMV/STREAM/{self.number % 100_000:05d}.MTS"
        letter, recorder = RATE_LETTERS[self.mode.split("_")[2]], "0123456789ABCDEFG"[self.recorder]
        folder = 99 + self.folder
        return f"DCIM/{folder:03d}R{letter}RH{recorder}/{folder:04d}{self.number % 10_000:04d}.MP4"


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
    """Clips on their way to an FTP server; what sends them is ftp.py, on a thread of its own."""

    slot: str
    card: Card
    clips: tuple[Clip, ...]
    sent: int = 0
    """Bytes of clips."""
    at: Progress = "prepare"
    why: str = ""
    """What went wrong, if something did."""
    ended: float = math.inf
    cancelled: threading.Event = field(default_factory=threading.Event)
    booked: bool = False

    @property
    def over(self) -> bool:
        return self.at in ("finish", "error")

    @property
    def progress(self) -> Progress:
        return "cancel" if self.cancelled.is_set() and not self.over else self.at

    @property
    def rate(self) -> int:
        """Percent sent."""
        return self.sent * 100 // max(1, sum(clip.size for clip in self.clips))


class Cards:
    def __init__(
        self,
        settings: Settings,
        clock: RunningClock,
        log: EventLog,
        *,
        gigabytes: tuple[int, int],
        clips: int,
        clip_seconds: int = 0,
        small: bool = False,
        relay: bool = False,
        work_seconds: float,
        fill: float,
    ) -> None:
        """Cards of so many gigabytes (0: no card), the first with some clips on it, of so many seconds each (0: a
        working day's). `small`: clips have small pictures and few bits; `relay`: a recording that fills its card goes
        on in the other slot; `fill`: how many times faster than a real one a recording fills them."""
        self._settings = settings
        self._clock = clock
        self._log = log
        self._gigabytes = gigabytes
        self._work = work_seconds
        self._fill = fill
        self._small = small
        self._relay = relay
        self._numbers = {"mp4": 0, "avchd": 0}
        self.now: Callable[[], float] = time.monotonic
        self.pre_rec = False
        self.downloads = 0
        self.recording: Recording | None = None
        self.deletion: Deletion | None = None
        self.formatting: Formatting | None = None
        self.transfer: Transfer | None = None
        self.slots: dict[str, Card | None] = {slot: self._new(slot) for slot in SLOTS}
        self._pulled: dict[str, Card] = {}
        first = self.slots["sd1"]
        if first is not None:
            first.clips = self._some_clips(clips, clip_seconds)

    # What is going on

    def settle(self) -> float:
        """Book what has happened, and tell the moment it was booked for."""
        now = self.now()
        recording = self.recording
        while recording is not None and now >= recording.over:
            self._finish_recording(recording, recording.over)
            recording = self.recording  # the one that goes on in the other slot, if any
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
        if transfer is not None and not transfer.booked and transfer.over:
            transfer.booked = True
            why = f" ({transfer.why})" if transfer.why else ""
            self._log.add(701, f"FTP transfer: {transfer.progress}{why}")
        return now

    def _at(self, moment: float) -> datetime:
        return self._clock.ago(self.now() - moment)

    def occupation(self) -> str | None:
        """What the recorder is busy with, or None. Downloads do not count: they only hinder what would take the clips
        away."""
        self.settle()
        if self.recording is not None:
            return "recording"
        if self.deletion is not None:
            return "deleting clips"
        if self.formatting is not None and not self.formatting.booked:
            return "formatting a card"
        if self.transfer is not None and not self.transfer.over:
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
        filled = over == recording.full
        lasted = over - recording.begins
        # A full card ends a clip within a second that no longer fits.
        seconds = max(1, int(lasted) if filled else round(lasted))
        taken = card.free if filled else min(card.free, int(seconds * self._rate(recording.mode)))
        size = max(taken // PACKET * PACKET, self._least(recording.mode, seconds))
        begun = self._at(recording.begins).replace(microsecond=0)
        clip = self._clip(recording.slot, recording.mode, begun, seconds, size)
        card.become([*card.clips, clip])
        why = "card full" if filled else "ended"
        self._log.add(602, f"Recording to {recording.slot} {why}", self._at(over))
        if filled and self._relay and recording.ends == math.inf:
            self._go_on(recording, over)

    def _go_on(self, recording: Recording, at: float) -> None:
        """The other card takes over, and is the target from now on."""
        slot = SLOTS[1 - SLOTS.index(recording.slot)]
        try:
            card = self.usable(slot)
        except Declined:
            return
        if card.free < LEAST_FREE:
            return
        self._settings.recording.device = slot
        full = at + card.free / self._rate(recording.mode)
        self.recording = Recording(slot, recording.mode, at, math.inf, full)
        self._log.add(601, f"Recording to {slot}", self._at(at))

    def _rate(self, mode: str) -> float:
        """Bytes per second of a recording mode."""
        return shape_of(mode, self._small).bytes_per_second * self._fill

    def _least(self, mode: str, seconds: int) -> int:
        """What a clip takes whose card does not fill faster than a real one."""
        return seconds * shape_of(mode, self._small).bytes_per_second // PACKET * PACKET

    def _clip(self, slot: str, mode: str, begun: datetime, seconds: int, size: int) -> Clip:
        """The next clip. Its name has sixteen signs, as in the document's examples: S1AA001000000160,
        S0M40010000001A0."""
        kind = mode.partition("_")[0]
        self._numbers[kind] += 1
        number = self._numbers[kind] % 10_000_000
        recording = self._settings.recording
        if kind == "mp4":
            name = f"S{SLOTS.index(slot)}M4{recording.folder % 1000:03d}{number:07d}A0"
        else:
            name = f"S{SLOTS.index(slot)}AA001{number:07d}60"
        return Clip(name, mode, number, recording.folder, int(recording.recorder_num), begun, seconds, size)

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

    def send(self, slot: str, card: Card, clips: Iterable[Clip]) -> Transfer:
        """Note a transfer; ftp.py carries it out."""
        self.transfer = Transfer(slot, card, tuple(clips))
        return self.transfer

    # What happens to the cards from outside

    def restart(self) -> None:
        """What was going on ends: a clip keeps what is recorded of it."""
        now = self.settle()
        if self.recording is not None:
            self._finish_recording(self.recording, now)
        self.deletion = None
        if self.formatting is not None and not self.formatting.booked:
            self.formatting.failed = self.formatting.booked = True
        if self.transfer is not None:
            self.transfer.cancelled.set()
            self.transfer = None

    def insert(self, slot: str) -> None:
        self.settle()
        if self.slots[slot] is None:
            self.slots[slot] = self._new(slot) or Card(64 * GIGABYTE)
            self._log.add(611, f"Card in {slot}")

    def put_back(self, slot: str) -> None:
        """The card that was pulled out last, with what is on it."""
        self.settle()
        if self.slots[slot] is None and slot in self._pulled:
            card = self.slots[slot] = self._pulled.pop(slot)
            card.generation += 1
            self._log.add(611, f"Card in {slot}")

    def remove(self, slot: str) -> None:
        """Pulled out: what was being done with it comes to nothing."""
        self.settle()
        card = self.slots[slot]
        if card is not None:
            self._pulled[slot] = card
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

    def _some_clips(self, count: int, long: int) -> list[Clip]:
        """A working day's clips: so many in AVCHD, and for every four of them one in MP4."""
        clips = []
        begun = self._clock.local().replace(microsecond=0) - timedelta(minutes=20 * (count + 1))
        frequency = self._settings.system_frequency
        modes = {"avchd": default_mode(frequency), "mp4": f"mp4_2160_{'25' if frequency == '50' else '30'}p_50m"}
        for number in range(count):
            kinds = ("avchd", "mp4") if number % 4 == 3 else ("avchd",)
            for kind in kinds:
                begun += timedelta(minutes=20 / len(kinds))
                seconds = long or 12 + number * 7 % 48
                size = self._least(modes[kind], seconds)
                clips.append(self._clip("sd1", modes[kind], begun, seconds, size))
        return clips


def on(fact: bool) -> str:
    return "on" if fact else "off"
