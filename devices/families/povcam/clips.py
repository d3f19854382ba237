"""The clips on the cards of a POVCAM (10.) and formatting them (9.2, 9.3): list, download, delete.

A list comes in pages of fifteen, each with a `list_id` of its own that only its clips can be named with (quirks, 8).
Numbers and list_ids are good for the moment: a clip is known here by what it is (slot, format, name, when it was
recorded, how long it is), and listed again right before anything is done with it. Another clip under its name is never
taken for it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from devices.cgi import Values, read_reply
from devices.errors import Busy, CardGone, ClipGone, Failed, Interrupted, NoAnswer, NotSupported, Refused, WrongAnswer
from devices.families.base import Clip, ClipFile, Driver, Listing
from devices.families.povcam import clock
from devices.families.povcam import commands as cgi
from devices.gateway import Gateway

FORMATS = ("avchd", "mp4")
PAGE = 15
MOST_CLIPS = 65535  # what index can name (10.1)
LISTING_TRIES = 3  # while it records or deletes, a list changes under our hands
IDLE_SECONDS = 15.0  # between two pieces of a clip
MOST_BYTES = 512 * 2**30  # a clip is not larger than the largest card in the shops
WORK_SECONDS = 120.0  # what deleting a page of clips may take
LOOK_SECONDS = 1.0  # between two looks at the device's work (9.1)

_DURATION = re.compile(r"(\d{1,4}):([0-5]\d):([0-5]\d)")
_ERROR = re.compile(rb"\s*(?:E[Rr]\d|ErrorNo\s*=\s*(\d+))")
_PREFIX = {1: "sd", 2: "sd2"}  # in the names of get_state


@dataclass(frozen=True)
class Page:
    """One answer to get_clip_list. Its numbers and its list_id belong together."""

    total: int
    list_id: str
    clips: dict[int, Clip]

    def number(self, clip: Clip) -> int | None:
        return next((number for number, each in self.clips.items() if same(each, clip)), None)


def read_page(text: str, slot: int, form: str, zone: dict[str, Any]) -> Page:
    """Pure. Lines that begin with no number are no clips; `zone` is what get_date_time tells."""
    told = read_reply(cgi.GET_CLIP_LIST, text)
    clips: dict[int, Clip] = {}
    for row in told["rows"]:
        if row["no"] is None or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", row["filename"] or ""):
            continue
        local = row["recorded"] or ""
        clips[row["no"]] = Clip(
            slot=slot,
            format=form,
            name=row["filename"],
            number=row["no"],
            recorded=local,
            begun=clock.in_utc(zone, datetime.fromisoformat(local)) if local else None,
            seconds=_seconds(row["duration"] or ""),
        )
    list_id = told["list_id"] or ""
    if told["ClipfileALLNum"] is None or (clips and not list_id.isdigit()):
        raise WrongAnswer("The list of clips is not as the document has it. Try again; if it stays so, restart it.")
    return Page(told["ClipfileALLNum"], list_id, clips)


def same(one: Clip, other: Clip) -> bool:
    """Where it is in the list does not matter, nor what its clock was set to since."""
    return _marks(one) == _marks(other)


def _marks(clip: Clip) -> tuple[object, ...]:
    return clip.slot, clip.format, clip.name, clip.recorded, clip.seconds


def _seconds(text: str) -> int | None:
    found = _DURATION.fullmatch(text.strip())
    return int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3]) if found else None


# --- Listing ----------------------------------------------------------------------------------------------------------
async def clips(driver: Driver, gateway: Gateway, slot: int, form: str) -> Listing:
    """All pages; begun again when the card changes meanwhile."""
    zone = await _zone(driver, gateway)
    for _ in range(LISTING_TRIES):
        found: dict[int, Clip] = {}
        totals = set()
        while True:
            page = await _page(driver, gateway, slot, form, len(found) + 1, zone)
            totals.add(page.total)
            fresh = {number: clip for number, clip in page.clips.items() if number not in found}
            found |= fresh
            if len(found) >= min(page.total, MOST_CLIPS) or not fresh or len(totals) > 1:
                break
        listing = Listing(tuple(found[number] for number in sorted(found)), len(found) >= page.total)
        if len(totals) == 1 and len({_marks(clip) for clip in listing.clips}) == len(found) and listing.complete:
            break
    return listing


async def _zone(driver: Driver, gateway: Gateway) -> dict[str, Any]:
    """What its local times mean. A list without that is still a list."""
    with suppress(Refused, NotSupported, WrongAnswer):
        return (await driver.ask(gateway, cgi.GET_DATE_TIME)).fields
    return {}


async def _page(
    driver: Driver, gateway: Gateway, slot: int, form: str, index: int, zone: dict[str, Any] | None = None
) -> Page:
    values: Values = {"maxmatches": PAGE, "index": index, "device": f"sd{slot}", "format": form}
    try:
        reply = await driver.ask(gateway, cgi.GET_CLIP_LIST, values)
    except Failed:
        await check_card(driver, gateway, slot)
        raise
    return read_page(reply.text, slot, form, zone or {})


async def _page_of(driver: Driver, gateway: Gateway, clip: Clip) -> Page:
    """The page that holds the clip now: mostly the one it was on."""
    expected = (min(max(clip.number, 1), MOST_CLIPS) - 1) // PAGE * PAGE + 1
    page = await _page(driver, gateway, clip.slot, clip.format, expected)
    if page.number(clip) is not None:
        return page
    for index in range(1, min(page.total, MOST_CLIPS) + 1, PAGE):
        if index == expected:
            continue
        page = await _page(driver, gateway, clip.slot, clip.format, index)
        if page.number(clip) is not None:
            return page
        if not page.clips:
            break
    await check_card(driver, gateway, clip.slot)
    raise ClipGone(
        f"{clip.name} as it was listed is no longer on the card in slot {clip.slot} of {driver.device.name}."
    )


# --- Download ---------------------------------------------------------------------------------------------------------
@asynccontextmanager
async def clip_file(driver: Driver, gateway: Gateway, clip: Clip) -> AsyncIterator[ClipFile]:
    page = await _page_of(driver, gateway, clip)
    values = {"filename": clip.name, "list_id": page.list_id}
    command = driver.narrowed(cgi.GET_CLIP_FILE)
    async with AsyncExitStack() as stack:
        try:
            answer = await stack.enter_async_context(gateway.stream(command, values, idle_seconds=IDLE_SECONDS))
        except Failed:
            await check_card(driver, gateway, clip.slot)
            raise
        told = answer.headers.get("content-length", "").strip()
        size = int(told) if told.isdigit() else None
        if size is not None and size > MOST_BYTES:
            raise WrongAnswer(f"{gateway.address} announces a clip of {size} bytes, which no card holds.")

        async def pieces() -> AsyncIterator[bytes]:
            came = 0
            async for piece in answer.pieces:
                if not came and (error := _ERROR.match(piece[:64])):
                    raise _refusal(gateway, error[1])
                came += len(piece)
                if came > MOST_BYTES:
                    raise WrongAnswer(f"{gateway.address} sends more of {clip.name} than any card holds.")
                yield piece
            if not answer.whole() or (size is not None and came != size):
                raise Interrupted(f"{gateway.address} broke off in the middle of {clip.name}. Try again.")

        yield ClipFile(size, pieces())


def _refusal(gateway: Gateway, number: bytes | None) -> Refused | Busy:
    if number == b"3":
        return Busy(f"{gateway.address} is busy with its card. Try again when it has finished.")
    return Refused(f"{gateway.address} refuses to send the clip. Its mode may not allow it now.")


# --- Deletion ---------------------------------------------------------------------------------------------------------
async def delete_clips(driver: Driver, gateway: Gateway, wanted: Sequence[Clip]) -> list[Clip]:
    """Delete the first of these and those that are on its page, with one command; answers which they were. Returns when
    the device has done it. ClipGone when the first is there no longer."""
    page = await _page_of(driver, gateway, wanted[0])
    numbers = {number: clip for clip in wanted if (number := page.number(clip)) is not None}
    asked: Values = {"fileno": sorted(numbers), "list_id": page.list_id}
    try:
        await driver.ask(gateway, cgi.DEL_CLIP_FILE, asked)
    except Failed as error:
        await check_card(driver, gateway, wanted[0].slot)
        raise Busy(f"{driver.device.name} does not delete clips now. Look at its card, then try again.") from error
    await _until_idle(driver, gateway, "del_file", WORK_SECONDS)
    # Others that are left may have moved up, but none has come to this page from one before it.
    after = await _page(driver, gateway, wanted[0].slot, wanted[0].format, (min(numbers) - 1) // PAGE * PAGE + 1)
    left = ", ".join(clip.name for clip in numbers.values() if after.number(clip) is not None)
    if left:
        raise Refused(f"{driver.device.name} took the command, but did not delete {left}. Is its card write-protected?")
    return list(numbers.values())


async def _until_idle(driver: Driver, gateway: Gateway, work: str, seconds: float) -> None:
    """Wait until get_state no longer tells of this work. Where it is not told, the lists tell what became of it."""
    until = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            if not (await driver.ask(gateway, cgi.GET_STATE)).fields[work]:
                return
        except (NotSupported, Refused):
            await asyncio.sleep(LOOK_SECONDS)
            return
        except NoAnswer:
            pass  # it has its hands full
        if asyncio.get_running_loop().time() > until:
            raise Busy(f"{driver.device.name} has not finished after {seconds:.0f} s. Look at its card.")
        await asyncio.sleep(LOOK_SECONDS)


# --- The card ---------------------------------------------------------------------------------------------------------
async def check_card(driver: Driver, gateway: Gateway, slot: int) -> None:
    """Why nothing can be done with a card now: CardGone or Busy with a sentence; nothing raised when it can."""
    name = driver.device.name
    try:
        state = (await driver.ask(gateway, cgi.GET_STATE)).fields
    except (NotSupported, Refused) as error:
        if isinstance(error, Busy):
            raise
        raise Busy(f"{name} tells nothing of its cards: it is in playback or standby. Set it to imaging.") from error
    prefix = _PREFIX[slot]
    if state[f"{prefix}_insert"] is False:
        raise CardGone(f"There is no card in slot {slot} of {name}. Put it in, then try again.")
    if state[f"{prefix}_error"]:
        raise CardGone(f"The card in slot {slot} of {name} has an error. Look at it there: it may offer to repair it.")
    doing = {
        "rec": "is recording",
        "sd_format": "is formatting a card",
        "del_file": "is deleting clips",
        "ftp_send": "is sending clips by FTP",
        "download": "is sending a clip to somebody else",
        f"{prefix}_repair": "is repairing the card",
    }
    for field, what in doing.items():
        if state[field]:
            raise Busy(f"{name} {what}. Try again when it has finished.")


async def format_card(driver: Driver, gateway: Gateway, slot: int) -> None:
    """Have it begin; `format_progress` tells how far it is."""
    try:
        await driver.ask(gateway, cgi.SDCARD, {"cmd": "format" if slot == 1 else "format2"})
    except Failed as error:
        await check_card(driver, gateway, slot)
        raise Refused(f"{driver.device.name} does not format the card in slot {slot}. Look at the card.") from error


async def format_progress(driver: Driver, gateway: Gateway) -> str:
    """prepare, exec, finish, cancel or error."""
    told: str | None = (await driver.ask(gateway, cgi.GET_PROGRESS, {"type": "format"})).fields["progress"]
    return (told or "").lower()
