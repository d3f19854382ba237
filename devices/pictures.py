"""The last picture of each camera, and one of each of its presets, on disk: DATA_DIR/pictures.

They are shown until there is something newer, with their age, so each keeps the moment it was taken (as the time of its
file). Only this user can read them. There is one small JPEG per camera and preset, however long it is watched, and they
go with the camera.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

from devices.models import Camera

LARGEST = 1024 * 1024
_NAME = re.compile(r"(\d{1,18})(?:-(\d{1,6}))?\.jpg")


@dataclass(frozen=True)
class Picture:
    data: bytes  # JPEG
    at: float  # Unix time at which it was taken


def keep(camera: int, data: bytes, at: float, *, preset: int | None = None) -> bool:
    """In place of the one before. False when it is too large to be kept."""
    if len(data) > LARGEST:
        return False
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / _name(camera, preset)
    written = folder / f".{path.name}.{secrets.token_hex(4)}"
    try:
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.utime(written, (at, at))
        written.replace(path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    return True


def kept(camera: int, preset: int | None = None) -> Picture | None:
    try:
        with (_folder() / _name(camera, preset)).open("rb") as file:
            return Picture(file.read(LARGEST), os.fstat(file.fileno()).st_mtime)
    except OSError:
        return None


def presets_with_one(camera: int) -> dict[int, float]:
    """The presets of a camera that have a picture, and when each was taken."""
    found: dict[int, float] = {}
    for path, owner, preset in _all(f"{camera}-*.jpg"):
        if owner == camera and preset is not None:
            with contextlib.suppress(OSError):  # removed just now
                found[preset] = path.stat().st_mtime
    return found


def forget(camera: int, preset: int) -> None:
    (_folder() / _name(camera, preset)).unlink(missing_ok=True)


def forget_all_of(camera: int) -> None:
    for path, owner, _ in _all(f"{camera}*.jpg"):
        if owner == camera:
            path.unlink(missing_ok=True)


def forget_all_but(cameras: Collection[int]) -> None:
    """What a camera that was removed elsewhere, or while its last picture was on its way, left here."""
    for path, owner, _ in _all("*.jpg"):
        if owner not in cameras:
            path.unlink(missing_ok=True)


def _folder() -> Path:
    return Path(settings.DATA_DIR) / "pictures"


def _name(camera: int, preset: int | None) -> str:
    return f"{camera}.jpg" if preset is None else f"{camera}-{preset}.jpg"


def _all(pattern: str) -> Iterable[tuple[Path, int, int | None]]:
    for path in _folder().glob(pattern):
        if match := _NAME.fullmatch(path.name):
            yield path, int(match[1]), int(match[2]) if match[2] else None


@receiver(post_delete, sender=Camera)
def _forget_with_its_camera(instance: Camera, **_: Any) -> None:
    camera = instance.pk
    transaction.on_commit(lambda: forget_all_of(camera))
