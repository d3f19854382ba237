"""Sections 8 and 9: recording to a card, the state of the cards, formatting. Section 11.5 asks for progress the same
way."""

from __future__ import annotations

from collections.abc import Callable

from simulators.checking import Refused
from simulators.http import Answer, Request
from simulators.povcam.answers import DONE, Action, Declined, Pairs, Values, told
from simulators.povcam.cards import SLOTS, Cards, on
from simulators.povcam.catalogue.cards import MODES_4K, MODES_WITHOUT_HEAD
from simulators.povcam.settings import Settings

IN_USE = b"ErrorNo=3\r\n"


class RecordingChapter:
    def __init__(self, settings: Settings, cards: Cards, *, head: bool, mode: Callable[[], str]) -> None:
        self._settings = settings
        self._cards = cards
        self._head = head
        self._mode = mode
        """imaging, playback or standby."""
        self.actions: dict[str, Action] = {
            "set_sdrec_mode": self._set_sdrec_mode,
            "get_sdrec_mode": self._get_sdrec_mode,
            "set_sdrec_target": self._set_sdrec_target,
            "get_sdrec_target": self._get_sdrec_target,
            "set_recorder_num": self._set_recorder_num,
            "contentnum_reset": self._contentnum_reset,
            "get_recorder_num": self._get_recorder_num,
            "sdctrl": self._sdctrl,
            "get_state": self._get_state,
            "sdcard": self._sdcard,
            "get_progress": self._get_progress,
        }

    # 8.1 to 8.6

    async def _set_sdrec_mode(self, values: Values, request: Request) -> Answer:
        mode = values["mode"]
        if mode in MODES_4K and self._settings.priority_mode != "rec_pb_4k":
            raise Refused("priority_mode", f"{mode} can be set in REC/PB(4K) priority only.")
        if mode in MODES_4K and not self._head:
            raise Declined("no_head", f"{mode} needs a camera head.", 400)
        if mode in MODES_WITHOUT_HEAD and self._head:
            raise Declined("head", f"{mode} is for the recorder without a camera head.", 400)
        if not self._fits_frequency(mode):
            raise Declined("frequency", f"{mode} does not fit {self._settings.system_frequency} Hz.", 400)
        self._cards.expect_free()
        self._settings.recording.mode = mode
        return DONE

    def _fits_frequency(self, mode: str) -> bool:
        fifty = any(part in ("50p", "50i", "25p") for part in mode.split("_"))
        return fifty == (self._settings.system_frequency == "50")

    async def _get_sdrec_mode(self, values: Values, request: Request) -> Answer:
        return told([("mode", self._settings.recording.mode)])

    async def _set_sdrec_target(self, values: Values, request: Request) -> Answer:
        self._cards.expect_free()
        self._settings.recording.device = values["device"]
        return DONE

    async def _get_sdrec_target(self, values: Values, request: Request) -> Answer:
        return told([("device", self._settings.recording.device)])

    async def _set_recorder_num(self, values: Values, request: Request) -> Answer:
        self._settings.recording.recorder_num = values["recorder_num"]
        return DONE

    async def _contentnum_reset(self, values: Values, request: Request) -> Answer:
        self._cards.reset_numbers()
        return DONE

    async def _get_recorder_num(self, values: Values, request: Request) -> Answer:
        return told([("recorder_num", self._settings.recording.recorder_num)])

    # 8.7, 9

    async def _sdctrl(self, values: Values, request: Request) -> Answer:
        if self._mode() != "imaging":
            raise Declined("not_imaging", f"The recorder is in {self._mode()} mode.")
        if values["save"] == "start":
            self._cards.start()
        else:
            self._cards.end()
        return DONE

    async def _get_state(self, values: Values, request: Request) -> Answer:
        if self._mode() != "imaging":
            raise Declined("not_imaging", f"The recorder is in {self._mode()} mode.", 404)
        cards = self._cards
        now = cards.settle()
        recording = cards.recording
        running = recording is not None and now >= recording.begins
        counter = int(now - recording.begins) if running and recording is not None else 0
        formatting, transfer = cards.formatting, cards.transfer
        pairs: Pairs = [
            ("rec", on(running)),
            ("pre_rec", on(cards.pre_rec)),
            ("rec_counter", clock_face(counter)),
            ("ftp_send", on(transfer is not None and not transfer.over)),
            ("play", "off"),
            ("del_file", on(cards.deletion is not None)),
            ("download", on(cards.downloads > 0)),
            ("sd_format", on(formatting is not None and not formatting.booked)),
            *(line for slot in SLOTS for line in cards.lines(slot, now)),
        ]
        return told(pairs)

    async def _sdcard(self, values: Values, request: Request) -> Answer:
        slot = "sd2" if values["cmd"] == "format2" else "sd1"
        try:
            self._cards.expect_free(downloads_too=True)
        except Declined as busy:
            raise Declined(busy.kind, str(busy), 200, IN_USE) from busy
        if self._cards.slots[slot] is None:
            raise Declined("no_card", f"There is no card in {slot}.")
        self._cards.format(slot)
        return DONE

    async def _get_progress(self, values: Values, request: Request) -> Answer:
        now = self._cards.settle()
        if values["type"] == "format":
            formatting = self._cards.formatting
            return told([("progress", formatting.progress(now) if formatting else "finish")])
        transfer = self._cards.transfer
        progress, rate = (transfer.progress, transfer.rate) if transfer else ("finish", 100)
        return told([("progress", progress), ("rate", rate)])


def clock_face(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
