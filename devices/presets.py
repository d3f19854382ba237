"""Presets: the numbers a camera keeps, under names of ours. Cameras do not list them; we know those set through us."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from asgiref.sync import sync_to_async
from django.dispatch import Signal

from accounts import audit
from accounts.audit import By
from accounts.problems import Problem
from devices import events, pictures, ptz
from devices.models import Camera, Preset
from devices.working import to_the_end

# The camera was told to keep where it looks (`is_set`), or to go to a preset. With camera and number; for those who
# have its pictures.
told = Signal()


@dataclass(frozen=True)
class Known:
    number: int
    name: str
    set: bool | None  # None: nobody set it through us, and the camera does not tell
    picture: datetime | None = None  # when the one we have of it was taken


def listed(camera: Camera) -> list[Known]:
    """Every number the camera has."""
    count = ptz.offered(camera).presets
    ours = {preset.number: preset.name for preset in camera.presets.all()}
    seen = {number: datetime.fromtimestamp(at, UTC) for number, at in pictures.presets_with_one(camera.pk).items()}
    return [
        Known(number, ours.get(number, ""), True if number in ours else None, seen.get(number))
        for number in range(1, count + 1)
    ]


async def set_here(by: By, camera: Camera, name: str = "", number: int | None = None) -> Known:
    """Keep where the camera looks now, under the given number or the first that we have not used."""
    count = ptz.offered(camera).presets
    if not count:
        raise ptz.lacks(camera, "keep presets")
    if number is None:
        number = await sync_to_async(_first_free)(camera, count)
    _check(number, count)
    await ptz.hold(by, camera)
    return await to_the_end(_set(by, camera, number, name))


async def _set(by: By, camera: Camera, number: int, name: str) -> Known:
    await ptz.act(camera, "set_preset", number=number, name=name if ptz.offered(camera).preset_names else "")
    # A picture of where it looked before is none of where it looks now.
    await sync_to_async(pictures.forget)(camera.pk, number)
    await sync_to_async(_keep)(by, camera, number, name)
    await told.asend_robust(Preset, camera=camera, number=number, is_set=True)
    return Known(number, name, True)


def _keep(by: By, camera: Camera, number: int, name: str) -> None:
    Preset.objects.update_or_create(camera=camera, number=number, defaults={"name": name})
    audit.record(by, "set preset", camera, number=number, name=name)
    events.publish("camera.presets", camera=camera.pk)


def rename(by: By, camera: Camera, number: int, name: str) -> Known:
    """Our name only; the camera is not asked."""
    count = ptz.offered(camera).presets
    if not count:
        raise ptz.lacks(camera, "keep presets")
    _check(number, count)
    _keep(by, camera, number, name)
    at = pictures.presets_with_one(camera.pk).get(number)
    return Known(number, name, True, datetime.fromtimestamp(at, UTC) if at is not None else None)


async def goto(by: By, camera: Camera, number: int) -> None:
    count = ptz.offered(camera).presets
    if not count:
        raise ptz.lacks(camera, "go to presets")
    _check(number, count)
    await ptz.hold(by, camera)
    await to_the_end(ptz.act(camera, "goto_preset", number=number))
    await audit.arecord(by, "go to preset", camera, number=number)
    await told.asend_robust(Preset, camera=camera, number=number, is_set=False)


async def clear(by: By, camera: Camera, number: int) -> None:
    works = ptz.offered(camera)
    if not (works.presets and works.preset_clear):
        raise ptz.lacks(camera, "clear presets")
    _check(number, works.presets)
    await ptz.hold(by, camera)
    await to_the_end(_clear(by, camera, number))


async def _clear(by: By, camera: Camera, number: int) -> None:
    name = await camera.presets.filter(number=number).values_list("name", flat=True).afirst()
    await ptz.act(camera, "clear_preset", number=number, name=name or "")
    await sync_to_async(_forget)(by, camera, number)


def _forget(by: By, camera: Camera, number: int) -> None:
    camera.presets.filter(number=number).delete()
    pictures.forget(camera.pk, number)
    audit.record(by, "clear preset", camera, number=number)
    events.publish("camera.presets", camera=camera.pk)


def _first_free(camera: Camera, count: int) -> int:
    used = set(camera.presets.values_list("number", flat=True))
    free = next((number for number in range(1, count + 1) if number not in used), None)
    if free is None:
        raise Problem(409, f"All {count} presets of {camera} are used. Say which number to set anew.", "number")
    return free


def _check(number: int, count: int) -> None:
    if not 1 <= number <= count:
        raise Problem(400, f"Presets are numbered 1 to {count}.", "number")
