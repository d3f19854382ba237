"""Section 10: lists of clips, their deletion and their download; section 11: the transfer to an FTP server.

A list is what one get_clip_list answered, its numbers included: `list_id` names it, and with it only clips of that page
can be meant. It ends when the card's clips change, when it is old, and when many others have been made since.

A clip's content is made while it is sent (film.py, mp4.py, mts.py), so its size costs nothing until then.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from dataclasses import asdict, dataclass, field

from simulators.checking import Refused
from simulators.http import Answer, Request, Response, Stream
from simulators.povcam import mp4, mts
from simulators.povcam.answers import DONE, Action, Declined, Values, lines
from simulators.povcam.cards import Card, Cards, Clip
from simulators.povcam.film import Title, film, shape_of
from simulators.povcam.ftp import Sender, TransferFaults
from simulators.povcam.recording import clock_face
from simulators.povcam.settings import Settings, assign

PAGE = 15
LISTS_KEPT = 32
LIST_SECONDS = 300.0
HEADING = "no,filename,mm/dd/yyyy hh:mm:ss,duration\r\n"
PIECE = 256 * 1024
AT_ONCE = 1024 * 1024  # bytes that are made before any of them is sent


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
    """Seconds between two pieces of 256 KiB."""
    busy: int = 0
    """So many of the next downloads are refused."""
    cuts: int = 0
    """So many end half way."""
    stalls: int = 0
    """So many stand still half way,"""
    stall_seconds: float = 0.0
    """for so long; 0: until the faults are cleared."""
    lies: int = 0
    """So many are announced with another length than they have,"""
    more: int = 0
    """by so many bytes."""
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def clear(self) -> None:
        self.released.set()
        fresh = DownloadFaults()
        for each in dataclasses.fields(self):
            setattr(self, each.name, getattr(fresh, each.name))


@dataclass(frozen=True)
class Download:
    """A clip on its way to a client, and what befalls it."""

    clip: Clip
    card: Card
    slot: str
    cut: bool
    stall: float | None


class Clips:
    def __init__(
        self,
        settings: Settings,
        cards: Cards,
        *,
        seed: int,
        small: bool,
        oddities: Collection[str],
        host: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._cards = cards
        self._seed = seed
        self._small = small
        self._oddities = oddities
        self._host = host
        self._lists: dict[int, ClipList] = {}
        self._next_id = random.Random(seed).randrange(1000, 9000)
        self._first_id = self._next_id
        self.faults = DownloadFaults()
        self.transfer_faults = TransferFaults()
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
        card = self._cards.usable(listed.slot)
        self._cards.expect_free(downloads_too=True)
        faults = self.faults
        if faults.busy:
            faults.busy -= 1
            raise Declined("busy", "The recorder is busy.")
        cut, stalls, lies = faults.cuts > 0, faults.stalls > 0, faults.lies > 0
        faults.cuts, faults.stalls, faults.lies = faults.cuts - cut, faults.stalls - stalls, faults.lies - lies
        pieces = self._pieces(Download(clip, card, listed.slot, cut, faults.stall_seconds if stalls else None))
        headers = [("Content-Disposition", f'attachment; filename="{clip.name}"')]
        if "chunked-clips" in self._oddities:
            headers.append(("Transfer-Encoding", "chunked"))
            pieces = _chunked(pieces, clip.size)
        elif "unmeasured-clips" not in self._oddities:
            headers.append(("Content-Length", str(clip.size + faults.more * lies)))
        return Stream("application/octet-stream", pieces, tuple(headers))

    async def _pieces(self, download: Download) -> AsyncGenerator[bytes, None]:
        """The clip's bytes; where they end too early, something befell it."""
        self._cards.downloads += 1
        sent, half = 0, download.clip.size // 2
        stall = download.stall
        try:
            content = self.content(download.clip)
            while made := await asyncio.to_thread(_next, content):
                start = 0
                while start < len(made):
                    if sent == half and stall is not None:
                        await self._stand_still(stall)
                    pulled = self._cards.slots[download.slot] is not download.card or download.card.error
                    if pulled or (sent == half and download.cut):
                        return
                    piece = made[start : start + min(PIECE, half - sent if sent < half else PIECE)]
                    yield piece
                    start, sent = start + len(piece), sent + len(piece)
                    if self.faults.pause:
                        await asyncio.sleep(self.faults.pause)
        finally:
            self._cards.downloads -= 1

    async def _stand_still(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds or None):
                await self.faults.released.wait()
        except TimeoutError:
            pass

    def content(self, clip: Clip) -> Iterator[bytes]:
        """The clip's file, which is always the same. It takes time: not for the loop's thread."""
        shape = shape_of(clip.mode, self._small)
        write = mts.pieces if shape.avchd else mp4.pieces
        yield from write(film(shape, self._seed), Title(clip.name, clip.number, clip.begun), clip.seconds, clip.size)

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
        self._cards.expect_free(downloads_too=True)
        listed = self._list(values)
        clips = self._named(listed, values) if by_number else listed.everything
        card = self._cards.usable(listed.slot)
        transfer = self._cards.send(listed.slot, card, clips)
        to = dataclasses.replace(self._settings.ftp)
        named = "named-transfers" in self._oddities
        Sender(transfer, self._cards, to, self._host(), self.content, self.transfer_faults, named=named).start()
        return DONE

    async def _cancel_send_ftpserver(self, values: Values, request: Request) -> Answer:
        transfer = self._cards.transfer
        if transfer is not None and not transfer.over:
            transfer.cancelled.set()
        return DONE


def _next(content: Iterator[bytes]) -> bytes:
    """The next bytes, not too few at a time; none at the end."""
    made: list[bytes] = []
    size = 0
    for piece in content:
        made.append(piece)
        size += len(piece)
        if size >= AT_ONCE:
            break
    return b"".join(made)


async def _chunked(pieces: AsyncGenerator[bytes, None], size: int) -> AsyncGenerator[bytes, None]:
    """In HTTP's chunks; what ends before its size has no last one."""
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
            size -= len(piece)
    if not size:
        yield b"0\r\n\r\n"
