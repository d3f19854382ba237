"""Clips on cards: what is there and whether we have it, bringing it home, deleting it, formatting the card.

A clip is known by what its list tells of it and by its device (`key_of`); a file of the library with that key, whose
check found it playable, is its verified copy. What has one is not brought home again, so each step may be repeated:
nothing that is done is done twice. Only when every clip of a card, in all formats, has such a copy, it may be formatted
without loss.

A recorder sends one clip at a time. While one is checked, the next is on its way.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.policy import Action
from accounts.problems import Problem, Unconfirmed
from devices import trust
from devices.errors import (
    Busy,
    CardGone,
    CertificateChanged,
    ClipGone,
    DeviceError,
    Failed,
    NoAnswer,
    NoCoordination,
    NotSupported,
    Refused,
    Replaced,
    Unauthorised,
    WrongAnswer,
)
from devices.families import driver_for
from devices.families.base import Capability, Clip, Driver, Listing
from devices.gateway import Gateway
from devices.models import Camera, Device
from recordings import jobs, store, verify
from recordings.jobs import Item, ItemFailed, JobFailed, Kind, NewItem, Run, in_database
from recordings.models import File, JobItem
from recordings.store import NoRoom, Received

T = TypeVar("T")

SLOTS = (1, 2)
KINDS = {"avchd": "mts", "mp4": "mp4"}  # of files, by the format of the list
AGAIN_SECONDS = (1.0, 4.0, 15.0)  # before a clip is begun again that broke off
BUSY_SECONDS = 600.0  # for so long a recorder that records is waited for
BUSY_LOOK_SECONDS = 0.5, 5.0  # between two looks whether it is free, at first and at last
FORMAT_SECONDS = 300.0  # the document says about 120 (9.2)
FORMAT_LOOK_SECONDS = 1.0
# Slower than the slowest recording by far; a device that trickles would hold its job for ever.
LEAST_PER_SECOND, PACE_AFTER_SECONDS = 8 * 1024, 120.0
SAME_SECONDS = 30.0  # how long it may have been confirmed that it is the device we know
KEYS_AT_ONCE = 500
VERIFIED = (File.Verified.PLAYABLE, File.Verified.WHOLE)
NOTHING_MORE = (Unauthorised, Replaced, CertificateChanged, NotSupported, CardGone)


# --- What is there ----------------------------------------------------------------------------------------------------
def key_of(device: Device, clip: Clip) -> str:
    """What a file is the copy of. Another card may have a clip of the same name, but not of the same second."""
    who = device.serial or device.mac or f"device {device.pk}"
    return f"{who}/{clip.slot}/{clip.format}/{clip.name}/{clip.recorded}/{clip.seconds}"


async def identified(device: Device) -> Device:
    """With what it is known by, also before it was ever polled: its clips must not change their keys afterwards."""
    if not (device.serial or device.mac):
        marks = await driver_for(device).marks(Gateway(device))
        device.serial, device.mac = marks.serial, marks.mac
    return device


def copies_of(keys: Iterable[str]) -> dict[str, int]:
    """The verified copies among our files: key → file."""
    wanted = list(keys)
    found: dict[str, int] = {}
    for at in range(0, len(wanted), KEYS_AT_ONCE):
        some = File.objects.filter(key__in=wanted[at : at + KEYS_AT_ONCE], verified__in=VERIFIED)
        found |= {
            str(key): pk for key, pk, path, size in some.values_list("key", "pk", "path", "size") if _lies(path, size)
        }
    return found


def _lies(path: str, size: int) -> bool:
    try:
        return (store.folder() / path).stat().st_size == size
    except OSError:
        return False


@dataclass(frozen=True)
class Card:
    """One slot, as far as it was asked for. `copies` is what of it we have: key → file."""

    slot: int
    present: bool | None
    listings: dict[str, Listing] = field(default_factory=dict)
    copies: dict[str, int] = field(default_factory=dict)
    every_format: bool = True


@dataclass(frozen=True)
class Safety:
    """May the card be formatted without losing anything? None: not looked at all of it."""

    safe: bool | None
    reason: str
    without_copy: tuple[str, ...] = ()  # keys


def needs_clips(device: Device) -> Driver:
    driver = driver_for(device)
    if Capability.CLIPS not in driver.capabilities:
        raise NotSupported(f"{device.name} has no cards with clips; devices of its family do not offer it.")
    return driver


async def look(device: Device, slots: Sequence[int] = SLOTS, formats: Sequence[str] = ()) -> list[Card]:
    """Ask the device what is on its cards, and our files what of it is here."""
    driver, gateway = needs_clips(device), Gateway(device)
    await identified(device)
    present = {slot: store.present for slot, store in zip(SLOTS, await driver.storage(gateway), strict=False)}
    wanted = [form for form in driver.clip_formats if form in (formats or driver.clip_formats)]
    cards = []
    for slot in slots:
        if present.get(slot) is False:
            cards.append(Card(slot, False))
            continue
        listings = {form: await driver.clips(gateway, slot, form) for form in wanted}
        keys = [key_of(device, clip) for listing in listings.values() for clip in listing.clips]
        copies = await in_database(copies_of)(keys)
        cards.append(Card(slot, present.get(slot), listings, copies, len(wanted) == len(driver.clip_formats)))
    return cards


def safe_to_format(device: Device, card: Card) -> Safety:
    if card.present is False:
        return Safety(False, f"There is no card in slot {card.slot}.")
    keys = [key_of(device, clip) for listing in card.listings.values() for clip in listing.clips]
    missing = tuple(key for key in keys if key not in card.copies)
    if missing:
        which = "Its one clip has" if len(keys) == 1 else f"Of its {len(keys)} clips {len(missing)} have"
        return Safety(False, f"{which} no verified copy in the library.", missing)
    if not all(listing.complete for listing in card.listings.values()):
        return Safety(False, "The device counts more clips than it lists, so nobody can tell that all are here.")
    if not card.every_format:
        return Safety(None, "Only one format was looked at; ask for all of them.")
    return Safety(True, "Every clip has a verified copy in the library." if keys else "There are no clips on the card.")


# --- Asking -----------------------------------------------------------------------------------------------------------
def names_wanted(names: Sequence[str]) -> list[str]:
    if not names:
        raise Problem(400, "Name at least one clip, or ask for all.", "clips")
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
            raise Problem(400, "A clip is named as its list does: letters and digits, no ending.", "clips")
    return list(dict.fromkeys(names))


async def agreed_to_format(device: Device, slot: int, *, confirmed: bool) -> dict[str, Any]:
    """What was agreed to when formatting was asked for: the parameters of its job. Raises Unconfirmed before."""
    driver, gateway = needs_clips(device), Gateway(device)
    trust.refuse_writing(device)
    try:
        await driver.check_card(gateway, slot)
    except CardGone:
        stores = await driver.storage(gateway)
        if len(stores) < slot or not stores[slot - 1].present:
            raise
        # A card with an error may be formatted to mend it; what is on it, nobody can tell.
        told, without_copy = "It has an error, so what is on it cannot be told: all of it is lost.", None
    else:
        (card,) = await look(device, (slot,))
        safety = safe_to_format(device, card)
        told, without_copy = safety.reason, list(safety.without_copy)
        if without_copy:
            told += " What has none is lost for good."
    if not confirmed:
        raise Unconfirmed(f"Everything on the card in slot {slot} of {device.name} is erased. {told}", "format it")
    return {"slot": slot, "without_copy": without_copy}


# --- What the jobs share ----------------------------------------------------------------------------------------------
def _facts(clip: Clip) -> dict[str, Any]:
    return {**vars(clip), "begun": clip.begun.isoformat() if clip.begun else None}


def _clip(facts: dict[str, Any]) -> Clip:
    known = {name: facts[name] for name in ("slot", "format", "name", "number", "recorded", "seconds")}
    return Clip(**known, begun=datetime.fromisoformat(facts["begun"]) if facts["begun"] else None)


def _device(run: Run) -> Device:
    if run.device is None:
        raise JobFailed("The device of this job was removed.")
    return run.device


async def _chosen(run: Run) -> list[NewItem]:
    """The clips that are meant, as the card has them now. Names that it has not become items, too, and fail."""
    device = _device(run)
    slot, form, names = run.params["slot"], run.params["format"], run.params["clips"]
    driver, gateway = needs_clips(device), Gateway(device)

    async def listed() -> Listing:
        return await driver.clips(gateway, slot, form)

    listing = await _when_free(run, listed)
    if not listing.clips:
        await driver.check_card(gateway, slot)
    found = [NewItem(clip.name, _facts(clip)) for clip in listing.clips if names == "all" or clip.name in names]
    there = {item.name for item in found}
    missing = [name for name in ([] if names == "all" else names) if name not in there]
    return found + [NewItem(name, {"missing": True}) for name in missing]


def _refuse_missing(run: Run, item: Item) -> None:
    if item.facts.get("missing"):
        form, slot = run.params["format"], run.params["slot"]
        raise ItemFailed(f"There is no {form} clip {item.name} on the card in slot {slot}.")


async def _when_free(run: Run, doing: Callable[[], Awaitable[T]]) -> T:
    """Do it, waiting for a device that is busy. JobFailed when it stays so, or when nothing can be done with it."""
    until = asyncio.get_running_loop().time() + BUSY_SECONDS
    pause, longest = BUSY_LOOK_SECONDS
    while True:
        try:
            return await doing()
        except Busy as error:
            if asyncio.get_running_loop().time() > until:
                raise JobFailed(f"{error} It stayed so for {BUSY_SECONDS / 60:.0f} minutes.") from error
            run.message = f"Waiting. {error}"
        except NOTHING_MORE as error:
            raise JobFailed(str(error)) from error
        await asyncio.sleep(pause)
        pause = min(2 * pause, longest)


async def _same_device(device: Device, driver: Driver, gateway: Gateway) -> None:
    """What another device has recorded is not to be kept as this one's."""
    trust.refuse_writing(device)
    if not trust.can_be_confirmed(device):
        return

    async def marks() -> tuple[str | None, str | None]:
        told = await driver.marks(gateway)
        return told.mac, told.serial

    await trust.confirm(device, marks, within=SAME_SECONDS)


# --- Bringing home ----------------------------------------------------------------------------------------------------
_lines: WeakKeyDictionary[Run, asyncio.Lock] = WeakKeyDictionary()  # to the device: one clip at a time


async def _download(run: Run, item: Item) -> None:
    _refuse_missing(run, item)
    clip = _clip(item.facts)
    key = key_of(await identified(_device(run)), clip)
    if (size := await in_database(_size_of_copy)(key)) is not None:
        item.size = item.done = size
        return
    for pause in (*AGAIN_SECONDS, None):
        try:
            await _when_free(run, lambda: _bring_home(run, item, clip, key))
            return
        except NoRoom as error:
            raise JobFailed(str(error)) from error
        except ClipGone:
            raise
        except (NoAnswer, WrongAnswer, Refused, NoCoordination, verify.Unsound) as error:
            item.done = 0
            if pause is None:
                await _is_it_the_device(run, clip, error)
                raise ItemFailed(f"{error} It was tried {len(AGAIN_SECONDS) + 1} times.") from error
            run.message = f"Once more: {item.name}. {error}"
        await asyncio.sleep(pause)


async def _is_it_the_device(run: Run, clip: Clip, error: Exception) -> None:
    """Raises JobFailed where the next clip would fare no better."""
    device = _device(run)
    try:
        await driver_for(device).check_card(Gateway(device), clip.slot)
    except Busy:
        pass  # the next one waits for it
    except (NoAnswer, NoCoordination, *NOTHING_MORE) as trouble:
        raise JobFailed(str(trouble)) from error
    except DeviceError:
        pass


async def _bring_home(run: Run, item: Item, clip: Clip, key: str) -> None:
    device = _device(run)
    driver, gateway = driver_for(device), Gateway(device)
    async with store.receiving(f"item-{item.pk}", run.attempt, item.size) as incoming:
        async with _lines.setdefault(run, asyncio.Lock()):
            run.message = f"Saving {item.name}, {item.number} of {len(run.items)}."
            await _same_device(device, driver, gateway)
            async with driver.clip_file(gateway, clip) as file:
                item.size, item.done = file.size, 0
                await asyncio.to_thread(store.make_sure_of_room, file.size or 0)
                clock = asyncio.get_running_loop().time
                began = clock()
                async for piece in file.pieces:
                    await incoming.write(piece)
                    item.done = incoming.size
                    took = clock() - began
                    if took > PACE_AFTER_SECONDS and incoming.size < took * LEAST_PER_SECOND:
                        raise NoAnswer(f"{device.name} sends too slowly. Look at the network between us.")
        received = await incoming.end()
        try:
            sound = await asyncio.to_thread(
                verify.check, received.path, kind=KINDS[clip.format], size=item.size, seconds=clip.seconds
            )
        except verify.Unsound as error:
            if item.facts.get("came") != received.sha256:
                item.facts["came"] = received.sha256
                raise
            await in_database(_keep)(run, clip, key, received, None, str(error))
            raise ItemFailed(f"{error} It came so twice, so it is so on the card. It is kept as damaged.") from error
        await in_database(_keep)(run, clip, key, received, sound)
    item.size = item.done = received.size


def _size_of_copy(key: str) -> int | None:
    copy = copies_of([key]).get(key)
    return File.objects.values_list("size", flat=True).get(pk=copy) if copy is not None else None


def _keep(run: Run, clip: Clip, key: str, received: Received, sound: verify.Sound | None, damage: str = "") -> None:
    """Put it in its place and make its row. Its name tells its content, too: what lies there already is the same.
    What cannot be played may still be all there is of an incident; it is kept, and does not count as a copy."""
    device = _device(run)
    local = datetime.fromisoformat(clip.recorded) if clip.recorded else None
    stamp = f"{local:%Y%m%d-%H%M%S}_" if local else ""
    ending = KINDS[clip.format]
    name = f"{stamp}{device.pk}_{clip.slot}_{clip.name}_{received.sha256[:12]}.{ending}"
    seconds = sound.duration if sound else clip.seconds or 0
    path = store.put_in_place(received, local.date() if local else None, name)
    found = {
        "path": path,
        "size": received.size,
        "sha256": received.sha256,
        "verified": File.Verified.PLAYABLE if sound else File.Verified.DAMAGED,
        "checked_at": timezone.now(),
        "remark": damage[:300],
        "duration": sound.duration if sound else None,
    }
    with transaction.atomic():
        # A copy that was damaged or lost here has its bytes back. One with other bytes stays, but is no copy any more.
        if File.objects.filter(key=key, sha256=received.sha256).update(**found):
            return
        File.objects.filter(key=key).update(key=None)
        if File.objects.filter(path=path).update(**found, key=key):
            return
        File.objects.create(
            **found,
            key=key,
            name=f"{f'{local:%Y-%m-%d %H-%M-%S} ' if local else ''}{clip.name}.{ending}",
            kind=ending,
            origin=File.Origin.CARD,
            site=device.site,
            device=device,
            device_name=device.name,
            camera=Camera.objects.filter(device=device).order_by("number").first(),
            job_id=run.pk,
            start=clip.begun,
            end=clip.begun + timedelta(seconds=seconds) if clip.begun else None,
        )


async def _downloaded(run: Run) -> None:
    count = len(run.items)
    run.message = f"{count} clip{'s are' if count != 1 else ' is'} in the library." if count else "There was no clip."


# --- Deletion ---------------------------------------------------------------------------------------------------------
async def _chosen_from_the_end(run: Run) -> list[NewItem]:
    """What comes before stays where it is when what comes behind goes."""
    return list(reversed(await _chosen(run)))


async def _delete(run: Run, item: Item) -> None:
    """This clip, and with the same command those of its page that are next."""
    _refuse_missing(run, item)
    if item.facts.get("gone"):
        return
    device = _device(run)
    driver, gateway = driver_for(device), Gateway(device)
    left = [each for each in run.items if each.number >= item.number and not each.facts.get("missing")]
    waiting = {each.number: each for each in left if not each.facts.get("gone")}
    clips = {number: _clip(each.facts) for number, each in waiting.items()}
    run.message = f"Deleting {item.name}, {item.number} of {len(run.items)}."

    async def once() -> list[Clip]:
        return await driver.delete_clips(gateway, list(clips.values()))

    told_before = run.attempt > 1
    for pause in (*AGAIN_SECONDS, None):
        try:
            deleted = await _when_free(run, once)
            break
        except ClipGone:
            if not told_before:
                raise
            deleted = [clips[item.number]]
            break
        except (NoAnswer, Failed, NoCoordination) as error:
            told_before = True  # it may have heard, and done it
            if pause is None:
                raise ItemFailed(f"{error} It was tried {len(AGAIN_SECONDS) + 1} times.") from error
        await asyncio.sleep(pause)
    for number, each in waiting.items():
        if clips[number] in deleted:
            each.facts["gone"] = True
    names = [clip.name for clip in deleted]
    await audit.arecord(run.user, "clips deleted", device, job=run.pk, slot=run.params["slot"], clips=names)


async def _deleted(run: Run) -> None:
    count = len(run.items)
    run.message = f"{count} clip{'s were' if count != 1 else ' was'} deleted." if count else "There was no clip."


# --- Formatting -------------------------------------------------------------------------------------------------------
async def _card(run: Run) -> list[NewItem]:
    return [NewItem(f"Card in slot {run.params['slot']}", size=100)]


async def _format(run: Run, item: Item) -> None:
    """Send the command once, ever: a second one might erase what was recorded since. Then wait for its end."""
    device = _device(run)
    slot = run.params["slot"]
    driver, gateway = driver_for(device), Gateway(device)
    run.message = f"Formatting the card in slot {slot}."
    if not item.facts.get("sent"):
        await _refuse_what_was_not_agreed_to(run, slot)
        await _keep_sent(item, True)
        try:
            await driver.format_card(gateway, slot)
        except (Refused, NotSupported):
            await _keep_sent(item, False)  # it said no
            raise
    if not await _formatted(device, driver, gateway, item):
        await _keep_sent(item, False)
        raise ItemFailed(f"{device.name} could not format the card in slot {slot}. Look at the card, then try again.")
    await _when_free(run, lambda: driver.check_card(gateway, slot))
    (card,) = await look(device, (slot,))
    if any(listing.clips for listing in card.listings.values()):
        await _keep_sent(item, False)
        raise ItemFailed(
            f"There are clips on the card in slot {slot}: it was not formatted, or has been recorded on since. Look at "
            "it, then ask again if it is to be formatted."
        )
    await audit.arecord(run.user, "card formatted", device, job=run.pk, slot=slot)
    run.message = f"The card in slot {slot} is formatted."


async def _refuse_what_was_not_agreed_to(run: Run, slot: int) -> None:
    agreed = run.params["without_copy"]
    if agreed is None:
        return
    device = _device(run)
    (card,) = await look(device, (slot,))
    if set(safe_to_format(device, card).without_copy) - set(agreed):
        raise JobFailed(
            f"Since formatting was asked for, clips without a copy have come onto the card in slot {slot}. Save them, "
            "or ask again."
        )


async def _formatted(device: Device, driver: Driver, gateway: Gateway, item: Item) -> bool:
    """Wait for its end; whether it went well."""
    until = asyncio.get_running_loop().time() + FORMAT_SECONDS
    while True:
        try:
            progress = await driver.format_progress(gateway)
        except NoAnswer:
            progress = ""  # it has its hands full
        if progress in ("finish", "error"):
            return progress == "finish"
        item.done = max(item.done, {"prepare": 10, "exec": 50}.get(progress, 0))
        if asyncio.get_running_loop().time() > until:
            raise ItemFailed(
                f"{device.name} has not finished after {FORMAT_SECONDS / 60:.0f} minutes. Look at the card."
            )
        await asyncio.sleep(FORMAT_LOOK_SECONDS)


async def _keep_sent(item: Item, sent: bool) -> None:
    """On the disk before the command is on the wire."""
    item.facts["sent"] = sent
    await in_database(JobItem.objects.filter(pk=item.pk).update)(facts=item.facts)


DOWNLOAD = jobs.register(Kind("download", Action.EXPORT, _download, _chosen, _downloaded, at_once=2))
DELETE = jobs.register(Kind("delete", Action.DELETE, _delete, _chosen_from_the_end, _deleted))
FORMAT = jobs.register(Kind("format", Action.FORMAT, _format, _card))
