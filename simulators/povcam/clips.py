"""Section 10: lists of clips, their deletion and their download; section 11: the transfer to an FTP server.

A list is what one get_clip_list answered, its numbers included: `list_id` names it, and with it only clips of that page
can be meant. It ends when the card's clips change, when it is old, and when many others have been made since.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncGenerator
from dataclasses import asdict, dataclass

from simulators.checking import Refused
from simulators.http import Answer, Request, Response, Stream
from simulators.povcam.answers import DONE, Action, Declined, Values, lines
from simulators.povcam.cards import Card, Cards, Clip
from simulators.povcam.recording import clock_face
from simulators.povcam.settings import NOWHERE, Settings, assign

PAGE = 15
LISTS_KEPT = 32
LIST_SECONDS = 300.0
HEADING = "no,filename,mm/dd/yyyy hh:mm:ss,duration\r\n"
PIECE = 16 * 1024
BYTES_PER_SECOND = 4 * 1024  # of a clip, as it is sent: real pictures are not in it yet


@dataclass(frozen=True)
class ClipList:
    slot: str
    card: Card | None
    generation: int
    made: float
    clips: dict[int, Clip]
    everything: list[Clip]
    """All clips of the card in the list's format, on this page or not: what select_type=all means."""


@dataclass
class DownloadFaults:
    pause: float = 0.0
    """Seconds between two pieces."""
    cuts: int = 0
    """So many of the next downloads end half way."""


class Clips:
    def __init__(self, settings: Settings, cards: Cards, *, seed: int) -> None:
        self._settings = settings
        self._cards = cards
        self._seed = seed
        self._lists: dict[int, ClipList] = {}
        self._next_id = random.Random(seed).randrange(1000, 9000)
        self._first_id = self._next_id
        self.faults = DownloadFaults()
        self.failing_transfers = 0
        self.actions: dict[str, Action] = {
            "get_clip_list": self._get_clip_list,
            "del_clip_file": self._del_clip_file,
            "get_clip_file": self._get_clip_file,
            "set_ftp": self._set_ftp,
            "get_ftp": self._get_ftp,
            "send_ftpserver": self._send_ftpserver,
            "cancel_send_ftpserver": self._cancel_send_ftpserver,
        }

    def lose_lists(self) -> None:
        self._lists.clear()

    # 10

    async def _get_clip_list(self, values: Values, request: Request) -> Answer:
        self._cards.settle()
        slot = values.get("device", "sd1")
        card = self._cards.slots[slot]
        everything = [clip for clip in card.clips if clip.format == values["format"]] if card else []
        first = int(values["index"])
        page = everything[first - 1 : first - 1 + int(values.get("maxmatches", PAGE))]
        numbered = dict(enumerate(page, first))
        list_id, self._next_id = self._next_id, self._next_id + 1
        self._lists[list_id] = ClipList(
            slot, card, card.generation if card else 0, time.monotonic(), numbered, everything
        )
        while len(self._lists) > LISTS_KEPT:
            del self._lists[next(iter(self._lists))]
        rows = "".join(
            f"{number},{clip.name},{clip.begun:%m/%d/%Y %H:%M:%S},{clock_face(clip.seconds)}\r\n"
            for number, clip in numbered.items()
        )
        counts = lines([("ClipfileNum", len(page)), ("ClipfileALLNum", len(everything))])
        return Response(200, (HEADING + rows).encode() + counts + f"list_id={list_id}".encode())

    def _list(self, values: Values) -> ClipList:
        list_id = int(values["list_id"])
        found = self._lists.get(list_id)
        if found is not None and self._true(found):
            return found
        if self._first_id <= list_id < self._next_id:
            raise Declined("old_list", f"List {list_id} is no longer true.")
        raise Refused("list", f"There never was a list {list_id}.")

    def _true(self, listed: ClipList) -> bool:
        card = self._cards.slots[listed.slot]
        unchanged = card is listed.card and (card is None or card.generation == listed.generation)
        return unchanged and time.monotonic() - listed.made <= LIST_SECONDS

    def _named(self, listed: ClipList, values: Values) -> list[Clip]:
        numbers = [int(number) for number in values["fileno"].split(",")]
        for number in numbers:
            if number not in listed.clips:
                raise Refused("list", f"There is no file {number} in list {values['list_id']}.")
        return [listed.clips[number] for number in numbers]

    async def _del_clip_file(self, values: Values, request: Request) -> Answer:
        self._cards.expect_free(downloads_too=True)
        listed = self._list(values)
        clips = self._named(listed, values)
        self._cards.usable(listed.slot)
        self._cards.delete(listed.slot, clips)
        return DONE

    async def _get_clip_file(self, values: Values, request: Request) -> Answer:
        self._cards.settle()
        listed = self._list(values)
        clip = next((clip for clip in listed.clips.values() if clip.name == values["filename"]), None)
        if clip is None:
            raise Refused("list", f"There is no file {values['filename']} in list {values['list_id']}.")
        if self._cards.deletion is not None:
            raise Declined("busy", "The recorder is deleting clips.")
        body = content(self._seed, clip)
        headers = (
            ("Content-Length", str(len(body))),
            ("Content-Disposition", f'attachment; filename="{clip.name}"'),
        )
        return Stream("application/octet-stream", self._pieces(body), headers)

    async def _pieces(self, body: bytes) -> AsyncGenerator[bytes, None]:
        self._cards.downloads += 1
        try:
            end = len(body)
            if self.faults.cuts:
                self.faults.cuts -= 1
                end //= 2
            for start in range(0, end, PIECE):
                if self.faults.pause:
                    await asyncio.sleep(self.faults.pause)
                yield body[start : min(start + PIECE, end)]
        finally:
            self._cards.downloads -= 1

    # 11

    async def _set_ftp(self, values: Values, request: Request) -> Answer:
        assign(self._settings.ftp, values)
        return DONE

    async def _get_ftp(self, values: Values, request: Request) -> Answer:
        ftp = asdict(self._settings.ftp)
        return Response(
            200, lines([(name, ftp[name]) for name in ("server_addr", "dirname", "username", "port_num", "mode")])
        )

    async def _send_ftpserver(self, values: Values, request: Request) -> Answer:
        by_number = values["select_type"] == "fileno"
        if by_number and "fileno" not in values:
            raise Refused("missing_parameter", "select_type=fileno needs fileno.")
        if not by_number and "fileno" in values:
            raise Refused("condition", "With select_type=all, fileno is not given.")
        self._cards.expect_free()
        listed = self._list(values)
        clips = self._named(listed, values) if by_number else listed.everything
        fails = self._settings.ftp.server_addr == NOWHERE or not clips or self.failing_transfers > 0
        if self.failing_transfers:
            self.failing_transfers -= 1
        self._cards.send(len(clips), fails)
        return DONE

    async def _cancel_send_ftpserver(self, values: Values, request: Request) -> Answer:
        now = self._cards.settle()
        transfer = self._cards.transfer
        if transfer is not None and now < min(transfer.ends, transfer.cancelled):
            transfer.cancelled = now
        return DONE


def content(seed: int, clip: Clip) -> bytes:
    """What a download of the clip gives: the same for the same clip of the same recorder."""
    named = f"{seed} {clip.name} {clip.begun:%Y%m%d%H%M%S}".encode()
    return hashlib.shake_128(named).digest(max(1, clip.seconds) * BYTES_PER_SECOND)
