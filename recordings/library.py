"""The library: which files there are, where they lie, and how one goes away.

A file is a row and what lies under DATA_DIR/library. Both go together: what is to be deleted is renamed away inside the
transaction that deletes its row, and unlinked when that has ended. Whoever dies between the two leaves a row whose file
waits among the leavings; it is put back by who asks for it next, and leavings whose row has gone are swept up. So there
is never a row without its file, nor half a file that anybody could see.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.models import AuditEntry
from accounts.problems import Problem
from devices.models import Camera
from recordings.models import File, FileQuerySet

MOST_NOTES = 2000  # characters
LOOKED_SECONDS = 3600.0  # a film is asked for in many pieces; who looks at it is noted once in this time
LEFT_SECONDS = 60.0  # what lies among the leavings for so long is nobody's work any more
CONTENT_TYPES = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mts": "video/mp2t",
    "ts": "video/mp2t",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
}
PLAYED_AS_IT_IS = {"mp4", "mov"}
REMUXED = {"mts", "ts"}
STILLS = {"jpg", "jpeg"}
FILMS = PLAYED_AS_IT_IS | REMUXED
_LEFT = re.compile(r"(\d{1,18})-[0-9a-f]{16}")


def where(file: File) -> Path:
    return _folder() / file.path


def _folder() -> Path:
    return Path(settings.DATA_DIR) / "library"


def content_type(file: File) -> str:
    return CONTENT_TYPES.get(file.kind.lower(), "application/octet-stream")


def present(file: File) -> Path:
    """Where its bytes are, or a Problem that says that they are gone."""
    path = where(file)
    if not path.is_file() and not _put_back(file):
        raise Problem(404, f"The file of {file.name} is not in the library's folder any more: somebody took it away.")
    return path


# --- Which ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Wish:
    """What to look for; what is left out excludes nothing."""

    device: int | None = None
    camera: int | None = None
    origin: str = ""
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    locked: bool | None = None


def searched(files: FileQuerySet, wish: Wish) -> FileQuerySet:
    """The files that match. Their time is that of what they show, and of their arrival where that is not known."""
    if wish.device is not None:
        files = files.filter(device=wish.device)
    if wish.camera is not None:
        files = files.filter(camera=wish.camera)
    if wish.origin:
        files = files.filter(origin=wish.origin)
    if wish.locked is not None:
        files = files.filter(locked=wish.locked)
    if wish.since is not None:
        files = files.alias(until=Coalesce("end", "start", "created_at")).filter(until__gte=wish.since)
    if wish.until is not None:
        files = files.alias(since=Coalesce("start", "created_at")).filter(since__lt=wish.until)
    for word in wish.text.split():
        cameras = Camera.objects.filter(name__icontains=word).values("pk")
        files = files.filter(
            Q(name__icontains=word) | Q(device_name__icontains=word) | Q(notes__icontains=word) | Q(camera__in=cameras)
        )
    return files


# --- Notes and the lock -----------------------------------------------------------------------------------------------
def change(file: File, notes: str | None, locked: bool | None) -> dict[str, list[object]]:
    """Keep what is given, and tell what it changed: {field: [before, after]}."""
    changed: dict[str, list[object]] = {}
    for name, value in (("notes", notes), ("locked", locked)):
        if value is not None and value != getattr(file, name):
            changed[name] = [getattr(file, name), value]
            setattr(file, name, value)
    if changed:
        file.save(update_fields=list(changed))
    return changed


# --- Who looked -------------------------------------------------------------------------------------------------------
def note_look(request: HttpRequest, file: File, action: str, *, begins: bool) -> None:
    """Enter into the audit that somebody looks at it or takes it away: once for all the pieces of one look. `begins` is
    said of what always is an entry of its own."""
    since = timezone.now() - timedelta(seconds=LOOKED_SECONDS)
    told = AuditEntry.objects.filter(
        thing_type="file", thing_id=str(file.pk), action=action, user_id=request.user.pk, at__gte=since
    )
    if begins or not told.exists():
        audit.record(request, action, file, size=file.size, sha256=file.sha256)


# --- Going away -------------------------------------------------------------------------------------------------------
def delete(file: File) -> None:
    """The row and what it stands for, unless it is locked."""
    _sweep()
    path, aside = where(file), _leavings() / f"{file.pk}-{secrets.token_hex(8)}"
    aside.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with transaction.atomic():
            gone, _ = File.objects.filter(pk=file.pk, locked=False).delete()
            if not gone:
                raise Problem(409, f"{file.name} is locked. Take the lock away first; then it can be deleted.")
            with contextlib.suppress(FileNotFoundError):  # it was taken away by hand; its row may go all the same
                path.rename(aside)
                os.utime(aside)
    except BaseException:
        if aside.exists():
            aside.rename(path)
        raise
    aside.unlink(missing_ok=True)


def _leavings() -> Path:
    return _folder() / ".deleted"


def _put_back(file: File) -> bool:
    """Whether what somebody began to delete, and did not end, lies in its place again."""
    for left in _leavings().glob(f"{file.pk}-*"):
        if _is_left(left) and File.objects.filter(pk=file.pk).exists():
            path = where(file)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            left.rename(path)
            return True
    return False


def _sweep() -> None:
    """Unlink what was deleted and not unlinked, and put back what was not deleted after all."""
    for left in list(_leavings().glob("*")):
        found = _LEFT.fullmatch(left.name)
        if found is None or not _is_left(left):
            continue
        file = File.objects.filter(pk=int(found[1])).first()
        if file is None or where(file).exists():
            left.unlink(missing_ok=True)
        else:
            _put_back(file)


def _is_left(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > LEFT_SECONDS
    except FileNotFoundError:
        return False
