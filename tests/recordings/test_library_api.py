"""The library through the API: who finds what, whole and in parts, and what protects a file from going away."""

import asyncio
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import av
import pytest
from asgiref.sync import async_to_sync
from django.test import Client
from PIL import Image

from accounts import tokens
from accounts.models import AuditEntry, Grant, Role, User
from devices.models import Camera, Device, Site
from recordings import films, library
from recordings.models import File
from tests.api.caller import PASSWORD, Caller
from tests.recordings import shelf

pytestmark = pytest.mark.django_db(transaction=True)

DATA = bytes(range(256)) * 8


@pytest.fixture
def camera(db: None) -> Camera:
    site = Site.objects.create(name="North")
    device = Device.objects.create(name="Recorder", family="povcam", host="recorder.test", site=site)
    return Camera.objects.create(device=device, name="Gate")


@pytest.fixture
def person(db: None) -> Callable[..., User]:
    def make(name: str, role: Role, *sites: Site) -> User:
        user = User.objects.create_user(name, PASSWORD, role=role)
        for site in sites or (None,):
            Grant.objects.create(user=user, site=site)
        return user

    return make


@pytest.fixture
def call(person: Callable[..., User]) -> Caller:
    return Caller(person("root", Role.ADMIN))


@pytest.fixture
def file(camera: Camera) -> File:
    return shelf.put("clip.mp4", DATA, camera=camera, device=camera.device, site=camera.device.site)


def content_of(answer: Any) -> bytes:
    if not answer.streaming:
        return bytes(answer.content)

    async def gathered() -> bytes:
        return b"".join([piece async for piece in answer.streaming_content])

    return async_to_sync(gathered)()


def get(user: User | None, path: str, method: str = "GET", **headers: str) -> Any:
    client = Client(headers={"Authorization": f"Bearer {tokens.create(None, user, name='t')[1]}"} if user else {})
    return client.generic(method, f"/api/v1/{path}", headers=headers)


@pytest.fixture
def olga(person: Callable[..., User]) -> User:
    return person("olga", Role.OPERATOR)


# --- Finding ----------------------------------------------------------------------------------------------------------
def names(call: Caller, query: str = "") -> list[str]:
    answer = call("GET", f"files{query}").json()
    assert answer["count"] == len(answer["results"])
    return [each["name"] for each in answer["results"]]


@pytest.fixture
def several(camera: Camera) -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    shelf.put("old.mp4", b"1", camera=camera, device=camera.device, device_name="Recorder",
              start=noon, end=noon + timedelta(hours=1), created_at=noon + timedelta(days=1))  # fmt: skip
    shelf.put("new.jpg", b"2", origin=File.Origin.UPLOAD, created_at=noon + timedelta(days=2), notes="A thief, perhaps")
    shelf.put("kept.n3", b"3", origin=File.Origin.EXPORT, locked=True, created_at=noon + timedelta(days=3),
              start=noon + timedelta(days=1))  # fmt: skip


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["kept.n3", "new.jpg", "old.mp4"]),
        ("?camera={camera}", ["old.mp4"]),
        ("?device={device}", ["old.mp4"]),
        ("?origin=upload", ["new.jpg"]),
        ("?locked=true", ["kept.n3"]),
        ("?from=2026-11-20T12:30:00Z", ["kept.n3", "new.jpg", "old.mp4"]),
        ("?from=2026-11-20T13:00:01Z", ["kept.n3", "new.jpg"]),
        ("?to=2026-11-20T12:00:00Z", []),
        ("?to=2026-11-20T12:00:01Z", ["old.mp4"]),
        ("?from=2026-11-22T00:00:00Z&to=2026-11-22T23:00:00Z", ["new.jpg"]),
        ("?text=recorder+OLD", ["old.mp4"]),
        ("?text=gate", ["old.mp4"]),
        ("?text=thief", ["new.jpg"]),
        ("?text=nothing", []),
    ],
)
def test_files_are_found(call: Caller, several: None, camera: Camera, query: str, found: list[str]):
    assert names(call, query.format(camera=camera.pk, device=camera.device_id)) == found


def test_one_finds_only_what_one_may_see(person: Callable[..., User], file: File, several: None):
    elsewhere = Site.objects.create(name="South")
    assert names(Caller(person("a", Role.OPERATOR, file.site))) == ["clip.mp4"]
    assert names(Caller(person("b", Role.OPERATOR, elsewhere))) == []
    assert get(User.objects.get(username="b"), f"files/{file.pk}/content").status_code == 404


def test_a_viewer_does_not_look_into_the_library(person: Callable[..., User], file: File):
    viewer = person("eve", Role.VIEWER)
    for path in ("files", *(f"files/{file.pk}{rest}" for rest in ("", "/content", "/thumbnail.jpg", "/play.mp4"))):
        assert get(viewer, path).status_code == 403, path
        assert get(None, path).status_code == 401, path


def test_a_file_tells_what_is_known_about_it(call: Caller, file: File):
    told = call("GET", f"files/{file.pk}").json()
    assert told["sha256"] == file.sha256
    assert (told["size"], told["origin"], told["verified"]) == (len(DATA), "card", "pending")
    assert (told["camera"], told["device"], told["site"]) == (file.camera_id, file.device_id, file.site_id)


# --- Its bytes --------------------------------------------------------------------------------------------------------
def test_all_of_it_comes_with_what_a_client_must_know(olga: User, file: File):
    answer = get(olga, f"files/{file.pk}/content")
    assert answer.status_code == 200
    assert content_of(answer) == DATA
    assert answer["Content-Type"] == "video/mp4"
    assert answer["Content-Length"] == str(len(DATA))
    assert answer["ETag"] == f'"{file.sha256}"'
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["Content-Disposition"].startswith('attachment; filename="clip.mp4"')


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=100-", 100, 2047),
        ("bytes=-10", 2038, 2047),
        ("bytes=-99999", 0, 2047),
        ("bytes=2047-", 2047, 2047),
        ("bytes=2000-999999", 2000, 2047),
        ("BYTES=1-2", 1, 2),
    ],
)
def test_a_part_is_answered_as_a_part(olga: User, file: File, asked: str, first: int, last: int):
    answer = get(olga, f"files/{file.pk}/content", Range=asked)
    assert answer.status_code == 206
    assert answer["Content-Range"] == f"bytes {first}-{last}/2048"
    assert answer["Content-Length"] == str(last - first + 1)
    assert content_of(answer) == DATA[first : last + 1]


@pytest.mark.parametrize("asked", ["bytes=2048-", "bytes=99999-100000", "bytes=-0"])
def test_a_part_that_is_not_there_is_refused(olga: User, file: File, asked: str):
    answer = get(olga, f"files/{file.pk}/content", Range=asked)
    assert answer.status_code == 416
    assert answer["Content-Range"] == "bytes */2048"
    assert answer.json()["error"].endswith(".")


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes", "bytes=" + "9" * 400 + "-"]
)
def test_what_is_no_range_is_as_if_nothing_was_asked(olga: User, file: File, asked: str):
    answer = get(olga, f"files/{file.pk}/content", Range=asked)
    assert answer.status_code == 200
    assert content_of(answer) == DATA


def test_a_part_is_given_only_of_what_the_client_has_begun(olga: User, file: File):
    path = f"files/{file.pk}/content"
    whole = get(olga, path)
    for same in (whole["ETag"], whole["Last-Modified"]):
        assert get(olga, path, **{"Range": "bytes=1-2", "If-Range": same}).status_code == 206
    for other in ('"something else"', f"W/{whole['ETag']}", "Wed, 25 Nov 2020 00:00:00 GMT"):
        answer = get(olga, path, **{"Range": "bytes=1-2", "If-Range": other})
        assert (answer.status_code, content_of(answer)) == (200, DATA)


def test_a_head_tells_the_same_without_the_bytes(olga: User, file: File):
    answer = get(olga, f"files/{file.pk}/content", "HEAD")
    assert (answer.status_code, answer["Content-Length"], content_of(answer)) == (200, "2048", b"")
    answer = get(olga, f"files/{file.pk}/content", "HEAD", Range="bytes=0-9")
    assert (answer.status_code, answer["Content-Length"]) == (206, "10")
    assert not AuditEntry.objects.filter(thing_type="file").exists()


def test_an_empty_file_is_whole_without_a_byte(olga: User):
    empty = shelf.put("empty.mp4", b"")
    answer = get(olga, f"files/{empty.pk}/content")
    assert (answer.status_code, answer["Content-Length"], content_of(answer)) == (200, "0", b"")
    assert get(olga, f"files/{empty.pk}/content", Range="bytes=0-").status_code == 416


def test_a_browser_opens_only_pictures_and_films(olga: User):
    page = shelf.put("page.html", b"<script>")
    answer = get(olga, f"files/{page.pk}/content?play=1")
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["X-Content-Type-Options"] == "nosniff"
    picture = shelf.put("a.jpg", shelf.still())
    assert get(olga, f"files/{picture.pk}/content?play=1")["Content-Disposition"].startswith("inline")


def test_a_hostile_name_stays_a_name(olga: User):
    file = shelf.put("x.mp4", b"1")
    File.objects.filter(pk=file.pk).update(name='a"\r\nSet-Cookie: b=ü\\.mp4')
    answer = get(olga, f"files/{file.pk}/content")
    told = answer["Content-Disposition"]
    assert told.startswith('attachment; filename="a___Set-Cookie: b=__.mp4"; filename*=UTF-8')
    assert "Set-Cookie" not in answer


def test_what_was_taken_away_by_hand_is_said_to_be_gone(olga: User, file: File):
    library.where(file).unlink()
    answer = get(olga, f"files/{file.pk}/content")
    assert answer.status_code == 404
    assert "not in the library's folder any more" in answer.json()["error"]


# --- Looking ----------------------------------------------------------------------------------------------------------
def test_a_transport_stream_is_played_as_mp4_with_its_pictures_untouched(olga: User):
    made = shelf.film("mpegts", 3.0, sound="ac3")
    file = shelf.put("00001.mts", made)
    answer = get(olga, f"files/{file.pk}/play.mp4")
    assert (answer.status_code, answer["Content-Type"]) == (200, "video/mp4")
    with av.open(io.BytesIO(content_of(answer))) as played, av.open(io.BytesIO(made)) as source:
        assert [stream.codec_context.name for stream in played.streams] == ["h264", "aac"]
        theirs = [bytes(frame.planes[0]) for frame in source.decode(video=0)]
        ours = [bytes(frame.planes[0]) for frame in played.decode(video=0)]
    assert len(ours) == 75
    assert ours == theirs


def test_it_can_be_played_from_some_way_on(olga: User):
    file = shelf.put("00002.mts", shelf.film("mpegts", 4.0))
    answer = get(olga, f"files/{file.pk}/play.mp4?start=2.5")
    with av.open(io.BytesIO(content_of(answer))) as played:
        frames = list(played.decode(video=0))
    assert frames[0].key_frame
    assert frames[0].time == 0
    assert 1.4 * shelf.RATE < len(frames) <= 3 * shelf.RATE


def test_what_is_no_film_is_not_played(olga: User):
    before = set(films._open)
    for name, data in (("a.jpg", shelf.still()), ("broken.mts", b"no film at all" * 1000), ("empty.mts", b"")):
        answer = get(olga, f"files/{shelf.put(name, data).pk}/play.mp4")
        assert answer.status_code == 422, name
        assert "ownload" in answer.json()["error"]
    assert films._open <= before


def test_only_so_many_films_are_converted_at_once(olga: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(films, "AT_ONCE", 1)
    file = shelf.put("00003.mts", shelf.film("mpegts", 1.0))
    first = films.Remux(library.where(file))
    assert first.read()
    assert get(olga, f"files/{file.pk}/play.mp4").status_code == 503
    monkeypatch.setattr(films, "IDLE_SECONDS", 0.0)  # nobody asks for more of the first
    assert get(olga, f"files/{file.pk}/play.mp4").status_code == 200
    assert first.read() == b""


def test_who_leaves_frees_the_film(olga: User):
    file = shelf.put("00004.mts", shelf.film("mpegts", 1.0))
    before = set(films._open)
    answer = get(olga, f"files/{file.pk}/play.mp4")
    assert len(films._open - before) == 1
    answer.close()
    assert films._open <= before


@pytest.mark.parametrize(("name", "container"), [("a.mp4", "mp4"), ("a.mts", "mpegts"), ("a.jpg", "")])
def test_there_is_a_small_picture_of_it(olga: User, name: str, container: str):
    file = shelf.put(name, shelf.film(container) if container else shelf.still())
    answer = get(olga, f"files/{file.pk}/thumbnail.jpg")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.width <= films.WIDTH
        assert min(picture.convert("L").getextrema()) > 50
    library.where(file).write_bytes(b"")  # it is made once
    assert get(olga, f"files/{file.pk}/thumbnail.jpg").content == answer.content


def test_of_what_cannot_be_seen_there_is_no_picture(olga: User):
    for name in ("a.n3", "broken.mp4", "broken.jpg"):
        assert get(olga, f"files/{shelf.put(name, b'junk' * 999).pk}/thumbnail.jpg").status_code == 204


# --- Changing and deleting --------------------------------------------------------------------------------------------
def test_notes_and_the_lock_are_kept_and_audited(olga: User, file: File):
    answer = Caller(olga)("PATCH", f"files/{file.pk}", {"notes": "A thief", "locked": True})
    assert (answer.json()["notes"], answer.json()["locked"]) == ("A thief", True)
    entry = AuditEntry.objects.get(action="change a file")
    assert entry.detail == {"changed": {"notes": ["", "A thief"], "locked": [False, True]}}


def test_only_an_administrator_unlocks(olga: User, call: Caller, file: File):
    Caller(olga)("PATCH", f"files/{file.pk}", {"locked": True})
    assert Caller(olga)("PATCH", f"files/{file.pk}", {"locked": False}).status_code == 403
    assert File.objects.get(pk=file.pk).locked
    assert call("PATCH", f"files/{file.pk}", {"locked": False}).json()["locked"] is False


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"notes": "x" * 2001}, "notes"),
        ({"locked": "yes"}, "locked"),
        ({"notes": None}, "notes"),
        ({"size": 1}, "size"),
    ],
)
def test_wrong_changes_are_refused(call: Caller, file: File, body: dict[str, Any], field: str):
    answer = call("PATCH", f"files/{file.pk}", body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_a_deleted_file_is_gone_with_its_row_and_its_picture(call: Caller, olga: User):
    file = shelf.put("a.jpg", shelf.still())
    get(olga, f"files/{file.pk}/thumbnail.jpg")
    assert call("DELETE", f"files/{file.pk}").status_code == 204
    assert not File.objects.exists()
    assert not library.where(file).exists()
    assert not films._kept(file).exists()
    assert not list(library._leavings().iterdir())
    entry = AuditEntry.objects.get(action="delete a file")
    assert (entry.thing_name, entry.detail["sha256"]) == ("a.jpg", file.sha256)


def test_a_locked_file_stays(call: Caller, file: File):
    File.objects.filter(pk=file.pk).update(locked=True)
    answer = call("DELETE", f"files/{file.pk}")
    assert answer.status_code == 409
    assert "locked" in answer.json()["error"]
    assert library.where(file).read_bytes() == DATA
    assert AuditEntry.objects.get(action="delete a file").result == "refused"


def test_an_operator_deletes_nothing(olga: User, file: File):
    assert Caller(olga)("DELETE", f"files/{file.pk}").status_code == 403
    assert library.where(file).exists()


def test_a_file_whose_row_cannot_go_stays(call: Caller, file: File, monkeypatch: pytest.MonkeyPatch):
    def fail(path: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(library.os, "utime", fail)  # after it was renamed away
    assert call("DELETE", f"files/{file.pk}").status_code == 500
    assert File.objects.filter(pk=file.pk).exists()
    assert library.where(file).read_bytes() == DATA


def test_what_a_crash_left_is_put_back_or_swept_up(
    call: Caller, olga: User, file: File, monkeypatch: pytest.MonkeyPatch
):
    """Dead between renaming away and the row's end; and dead after that."""
    library._leavings().mkdir(parents=True, exist_ok=True)
    library.where(file).rename(library._leavings() / f"{file.pk}-{'0' * 16}")
    orphan = library._leavings() / f"999999-{'1' * 16}"
    orphan.write_bytes(b"x")
    assert get(olga, f"files/{file.pk}/content").status_code == 404  # somebody may be at it just now
    monkeypatch.setattr(library, "LEFT_SECONDS", -1.0)
    assert content_of(get(olga, f"files/{file.pk}/content")) == DATA
    call("DELETE", f"files/{shelf.put('other.mp4', b'1').pk}")
    assert not orphan.exists()
    assert library.where(file).read_bytes() == DATA


# --- The audit --------------------------------------------------------------------------------------------------------
def entries(action: str) -> int:
    return AuditEntry.objects.filter(action=action).count()


def test_looking_is_noted_once_for_all_its_parts(
    olga: User, person: Callable[..., User], file: File, monkeypatch: pytest.MonkeyPatch
):
    path = f"files/{file.pk}/content?play=1"
    for asked in ("bytes=0-", "bytes=100-200", "bytes=300-"):
        get(olga, path, Range=asked)
    assert entries("view a file") == 1
    get(person("otto", Role.OPERATOR), path)
    assert entries("view a file") == 2
    monkeypatch.setattr(library, "LOOKED_SECONDS", 0.0)  # an hour later
    get(olga, path)
    assert entries("view a file") == 3
    assert entries("export a file") == 0


def test_each_download_is_noted_but_not_each_of_its_parts(olga: User, file: File):
    get(olga, f"files/{file.pk}/content")
    get(olga, f"files/{file.pk}/content")
    assert entries("export a file") == 2
    get(olga, f"files/{file.pk}/content", Range="bytes=100-")
    assert entries("export a file") == 2


def test_a_download_that_avoids_the_beginning_is_noted_too(olga: User, file: File):
    get(olga, f"files/{file.pk}/content", Range="bytes=1-")
    assert entries("export a file") == 1


def test_reading_does_not_hold_up_the_event_loop(file: File, monkeypatch: pytest.MonkeyPatch):
    """A disk that hangs: others are served meanwhile."""
    from threading import Event

    from recordings import serving

    hanging = Event()
    opened = serving.OpenFile(library.where(file))
    monkeypatch.setattr(opened, "read", lambda: hanging.wait(20) and b"x")

    async def main() -> bytes:
        reading = asyncio.ensure_future(serving.Pieces(opened).__anext__())
        await asyncio.sleep(0)
        hanging.set()  # only a loop that goes on comes here
        return await reading

    assert asyncio.run(main()) == b"x"
