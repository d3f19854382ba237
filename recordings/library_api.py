"""The library's files: find them, look at them, take them home, lock them, delete them."""

from __future__ import annotations

import asyncio
from datetime import datetime
from urllib.parse import quote

import av
from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import http_date
from ninja import Field, Query, Router, Schema, Status

from accounts import audit
from accounts.api_base import Body, Bool, Moment, Page, Paging, error_response, left_out, paged
from accounts.guards import endpoint, thing_for
from accounts.policy import Action
from accounts.problems import Problem
from recordings import films, library, serving
from recordings.models import File

router = Router(tags=["files"])

BYTES = {"description": "The file.", "content": {"application/octet-stream": {}}}
PART = {"description": "The part that was asked for.", "content": {"application/octet-stream": {}}}
FILM = {"description": "Fragmented MP4.", "content": {"video/mp4": {}}}
JPEG = {"description": "A small picture of it.", "content": {"image/jpeg": {}}}
NO_PICTURE = {"description": "No picture can be made of it."}
THUMBNAIL_SECONDS = 20.0  # with those that are made before it
LOOK, TAKE = "view a file", "export a file"


class FileOut(Schema):
    id: int
    name: str
    kind: str = Field(description="mp4, mts, n3, jpg …")
    size: int
    sha256: str
    origin: str
    verified: str
    remark: str = Field(description="What the check found.")
    checked_at: datetime | None
    device: int | None
    device_name: str
    camera: int | None
    site: int | None
    job: int | None
    start: datetime | None = Field(description="Of what it shows.")
    end: datetime | None
    duration: float | None = Field(description="Seconds, as the file itself tells.")
    notes: str
    locked: bool
    created_at: datetime


def file_out(file: File) -> dict[str, object]:
    return {
        **{name: getattr(file, name) for name in FileOut.model_fields if name not in ("id", *_KEYS)},
        **{name: getattr(file, f"{name}_id") for name in _KEYS},
        "id": file.pk,
    }


_KEYS = ("device", "camera", "site", "job")


class Which(Schema):
    device: int | None = None
    camera: int | None = None
    origin: File.Origin | None = None
    since: Moment | None = Field(None, alias="from", description="Shows something at or after this time.")
    until: Moment | None = Field(None, alias="to", description="Shows something before this time.")
    locked: bool | None = None
    text: str = Field("", max_length=100, description="Words of the name, the device, the camera or the notes.")


@router.get("files", response=Page[FileOut])
@endpoint(Action.PLAYBACK)
def list_files(request: HttpRequest, which: Query[Which], paging: Query[Paging]) -> dict[str, object]:
    """Newest first."""
    wish = library.Wish(
        which.device, which.camera, which.origin or "", which.since, which.until, which.text, which.locked
    )
    return paged(library.searched(File.objects.visible_to(request.user), wish), paging, file_out)


@router.get("files/{int:file_id}", response=FileOut)
@endpoint(Action.PLAYBACK)
def get_file(request: HttpRequest, file_id: int) -> dict[str, object]:
    """What is known about it."""
    return file_out(thing_for(request, File, Action.PLAYBACK, pk=file_id))


class FilePatch(Body):
    notes: str = left_out(max_length=library.MOST_NOTES)
    locked: Bool = left_out(description="Nothing deletes a locked file. Locking takes an operator, unlocking an admin.")


@router.patch("files/{int:file_id}", response=FileOut)
@endpoint(Action.EXPORT)
def change_file(request: HttpRequest, file_id: int, body: FilePatch) -> dict[str, object]:
    """Its notes and its lock."""
    file = thing_for(request, File, Action.EXPORT, pk=file_id)
    if body.locked is False and file.locked:
        thing_for(request, File, Action.DELETE, pk=file_id)  # unlocking opens the way to it
    changed = library.change(file, body.notes, body.locked)
    if changed:
        audit.record(request, "change a file", file, changed=changed)
    return file_out(file)


@router.delete("files/{int:file_id}", response={204: None})
@endpoint(Action.DELETE)
def delete_file(request: HttpRequest, file_id: int) -> Status[None]:
    """For good: nothing brings it back, unless it is still on the device. A locked one stays (409)."""
    file = thing_for(request, File, Action.DELETE, pk=file_id)
    about = audit.about(file)
    try:
        library.delete(file)
    except Problem as problem:
        audit.record(request, "delete a file", about, result="refused", why=problem.sentence)
        raise
    films.forget_thumbnail(file)
    audit.record(request, "delete a file", about, size=file.size, sha256=file.sha256, path=file.path)
    return Status(204, None)


# --- Its bytes --------------------------------------------------------------------------------------------------------
class Use(Schema):
    play: bool = Field(False, description="To look at it here; otherwise it is for keeping, which is another right.")


@router.get("files/{int:file_id}/content", openapi_extra={"responses": {200: BYTES, 206: PART}})
@endpoint(Action.PLAYBACK)
async def get_content(request: HttpRequest, file_id: int, use: Query[Use]) -> HttpResponseBase:
    """The file as it came. A range may be asked for (Range, If-Range); its ETag is its SHA-256."""
    return await _content(request, file_id, use.play)


@router.api_operation(["HEAD"], "files/{int:file_id}/content", openapi_extra={"responses": {200: BYTES, 206: PART}})
@endpoint(Action.PLAYBACK)
async def head_content(request: HttpRequest, file_id: int, use: Query[Use]) -> HttpResponseBase:
    """How large it is, and of what type."""
    return await _content(request, file_id, use.play)


async def _content(request: HttpRequest, file_id: int, play: bool) -> HttpResponseBase:
    file, opened = await sync_to_async(_opened)(request, file_id, play)
    headers = _headers(file, opened, play)
    asked = request.headers.get("Range", "") if _as_known(request, headers) else ""
    try:
        part = serving.asked_range(asked, opened.size)
    except serving.Unsatisfiable:
        opened.close()
        refused = error_response(416, f"{file.name} has {opened.size} bytes; the range asked for begins behind them.")
        refused["Content-Range"] = f"bytes */{opened.size}"
        refused["Accept-Ranges"] = "bytes"
        return refused
    first, last = part or (0, opened.size - 1)
    headers["Content-Length"] = str(last - first + 1)
    if part is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{opened.size}"
    status, kind = 206 if part else 200, library.content_type(file)
    if request.method == "HEAD":
        opened.close()
        return HttpResponse(status=status, headers=headers, content_type=kind)
    try:
        begins = first == 0 and not play
        await sync_to_async(library.note_look)(request, file, LOOK if play else TAKE, begins=begins)
        opened.seek(first, last)
    except BaseException:
        opened.close()
        raise
    return StreamingHttpResponse(serving.Pieces(opened), status=status, headers=headers, content_type=kind)


def _opened(request: HttpRequest, file_id: int, play: bool) -> tuple[File, serving.OpenFile]:
    file = thing_for(request, File, Action.PLAYBACK if play else Action.EXPORT, pk=file_id)
    try:
        return file, serving.OpenFile(library.present(file))
    except OSError as error:
        raise Problem(500, f"{file.name} cannot be read: {error.strerror}. An administrator has to look.") from error


def _headers(file: File, opened: serving.OpenFile, play: bool) -> dict[str, str]:
    shown = play and file.kind.lower() in library.CONTENT_TYPES  # nothing else is for a browser to open
    plain = "".join(each if each.isascii() and each.isprintable() and each not in '"\\' else "_" for each in file.name)
    return {
        "Accept-Ranges": "bytes",
        "ETag": f'"{file.sha256}"',
        "Last-Modified": http_date(opened.changed),
        "Cache-Control": "private, no-store",  # what one may see now, one may not see tomorrow
        "Content-Disposition": f"{'inline' if shown else 'attachment'}; "
        f"filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}",
    }


def _as_known(request: HttpRequest, headers: dict[str, str]) -> bool:
    """Is it still what the caller has a part of? Without If-Range nothing is said about it."""
    condition = request.headers.get("If-Range", "").strip()
    return condition in ("", headers["ETag"], headers["Last-Modified"])


class From(Schema):
    start: float = Field(0.0, ge=0, le=1e6, allow_inf_nan=False, description="Seconds to leave out at the beginning.")


@router.get("files/{int:file_id}/play.mp4", openapi_extra={"responses": {200: FILM}})
@endpoint(Action.PLAYBACK)
async def play(request: HttpRequest, file_id: int, begin: Query[From]) -> HttpResponseBase:
    """A film in a transport stream as browsers take it: the same pictures in MP4, its sound in AAC. It is made as it is
    read, so it has no length and no ranges; `start` is where to begin, at the key picture before it."""
    file = await sync_to_async(thing_for)(request, File, Action.PLAYBACK, pk=file_id)
    if file.kind.lower() not in library.FILMS:
        raise Problem(422, f"{file.name} is no film that can be played here. Download it.")
    film = films.Remux(await sync_to_async(library.present)(file), begin.start)
    try:
        beginning = await sync_to_async(film.read, thread_sensitive=False)()
        if not beginning:
            raise Problem(422, f"{file.name} has nothing from there on.")
        await sync_to_async(library.note_look)(request, file, LOOK, begins=False)
    except (av.FFmpegError, OSError) as error:
        film.close()
        raise Problem(422, f"{file.name} cannot be played: {error.strerror}. Download it to look closer.") from error
    except BaseException:
        film.close()
        raise
    headers = {"Cache-Control": "private, no-store", "Accept-Ranges": "none"}
    pieces = serving.Pieces(film, films.threads, beginning)
    return StreamingHttpResponse(pieces, content_type="video/mp4", headers=headers)


@router.get("files/{int:file_id}/thumbnail.jpg", openapi_extra={"responses": {200: JPEG, 204: NO_PICTURE}})
@endpoint(Action.PLAYBACK)
async def thumbnail(request: HttpRequest, file_id: int) -> HttpResponse:
    """A small picture of it, from some way into a film."""
    file = await sync_to_async(thing_for)(request, File, Action.PLAYBACK, pk=file_id)
    path = await sync_to_async(library.present)(file)
    try:
        async with asyncio.timeout(THUMBNAIL_SECONDS):
            made = await asyncio.get_running_loop().run_in_executor(films.threads, films.thumbnail, file, path)
    except TimeoutError:
        raise Problem(503, "Too many small pictures are being made. Try again in a moment.", retry_after=10) from None
    except OSError as error:
        raise Problem(500, f"{file.name} cannot be read: {error.strerror}. An administrator has to look.") from error
    if made is None:
        return HttpResponse(status=204)
    headers = {"Cache-Control": "private, no-store"}
    return HttpResponse(made, content_type="image/jpeg", headers=headers)
