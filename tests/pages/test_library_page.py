"""The library's pages: what is found, what is shown of a file, and that a film really plays."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from playwright.sync_api import expect

from accounts.models import Role, User
from devices.models import Camera
from recordings import library
from recordings.models import File
from tests.pages.conftest import DESKTOP, PHONE, Visit
from tests.pages.test_in_a_browser import check
from tests.recordings import shelf

both_sizes = pytest.mark.parametrize("visit", [DESKTOP, PHONE], ids=["desktop", "phone"], indirect=True)
# Resolves when the film has come so far, looked at again whenever this happens.
UNTIL = """([event, seconds]) => new Promise(done => {
  const video = document.querySelector("video")
  const look = () => video.readyState >= 2 && video.currentTime >= seconds && done(video.currentTime)
  video.addEventListener(event, look)
  look()
})"""
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def files(fleet: dict[str, Camera]) -> dict[str, File]:
    gate, parking = fleet["Gate B"], fleet["Parking East"]

    def of(camera: Camera) -> dict[str, object]:
        return {
            "camera": camera,
            "device": camera.device,
            "device_name": camera.device.name,
            "site": camera.device.site,
            "start": NOON,
            "end": NOON + timedelta(seconds=3),
        }

    return {
        "film": shelf.put(
            "gate.mp4",
            shelf.film(seconds=3),
            duration=3.0,
            verified=File.Verified.PLAYABLE,
            checked_at=NOON,
            **of(gate),
        ),
        "stream": shelf.put("00001.mts", shelf.film("mpegts", 4, sound="ac3"), duration=4.0, **of(parking)),
        "still": shelf.put("alarm.jpg", shelf.still(), origin=File.Origin.UPLOAD, site=gate.device.site),
        "export": shelf.put("export.n3", b"n3", origin=File.Origin.EXPORT, locked=True, verified=File.Verified.WHOLE),
        "broken": shelf.put(
            "broken.mp4", b"junk" * 99, verified=File.Verified.DAMAGED, remark="Its length is not that of the list."
        ),
    }


def shown(client: Client, query: str = "") -> list[str]:
    return re.findall(r'<span class="name truncate">(.*?)</span>', client.get(f"/library/{query}").content.decode())


# --- What is found ----------------------------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 5),
        ("?text=gate", 1),
        ("?origin=export", 1),
        ("?since=2026-11-20T12:00&until=2026-11-20T12:01", 2),
        ("?device=nonsense&origin=x&since=y", 5),
        ("?text=nothing", 0),
    ],
)
def test_files_are_searched(as_admin: Client, files: dict[str, File], query: str, count: int) -> None:
    assert len(shown(as_admin, query)) == count


@pytest.mark.django_db
def test_files_of_a_camera_and_of_a_device_are_found(as_admin: Client, files: dict[str, File]) -> None:
    assert shown(as_admin, f"?camera={files['film'].camera_id}") == ["gate.mp4"]
    assert shown(as_admin, f"?device={files['stream'].device_id}") == ["00001.mts"]


@pytest.mark.django_db
def test_one_sees_only_files_of_what_one_may_see(
    person: Callable[..., User], fleet: dict[str, Camera], files: dict[str, File]
) -> None:
    client = Client()
    client.force_login(person("olga", Role.OPERATOR, fleet["Gate B"].device.site))
    assert shown(client) == ["alarm.jpg", "gate.mp4"]
    assert client.get(f"/library/{files['stream'].pk}/").status_code == 404


@pytest.mark.django_db
def test_a_viewer_finds_no_way_to_the_library(person: Callable[..., User]) -> None:
    client = Client()
    client.force_login(person("eve"))
    assert client.get("/library/").status_code == 403
    assert "/library/" not in client.get("/cameras/").content.decode()


@pytest.mark.django_db
def test_an_empty_library_says_what_will_be_in_it(as_admin: Client) -> None:
    assert "The library is empty" in as_admin.get("/library/").content.decode()


@pytest.mark.django_db
def test_an_operator_is_not_offered_what_only_administrators_do(
    person: Callable[..., User], files: dict[str, File]
) -> None:
    client = Client()
    client.force_login(person("olga", Role.OPERATOR))
    page = client.get(f"/library/{files['export'].pk}/").content.decode()
    assert "Download" in page
    assert "Unlock" not in page
    assert "Delete" not in page


@pytest.mark.django_db
def test_what_was_taken_away_by_hand_is_said_to_be_gone(as_admin: Client, files: dict[str, File]) -> None:
    library.where(files["film"]).unlink()
    page = as_admin.get(f"/library/{files['film'].pk}/").content.decode()
    assert "The file is gone" in page
    assert "<video" not in page


# --- In a browser -----------------------------------------------------------------------------------------------------
@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
class TestInABrowser:
    @both_sizes
    @pytest.mark.parametrize("which", ["", "film", "stream", "still", "export"])
    def test_the_pages_are_accessible_and_fit(
        self, visit: Visit, admin: User, files: dict[str, File], which: str
    ) -> None:
        visit.sign_in(admin)
        visit.go(f"/library/{files[which].pk}/" if which else "/library/")
        check(visit, which or "the library")

    def test_small_pictures_are_there_where_they_can_be_had(
        self, visit: Visit, admin: User, files: dict[str, File]
    ) -> None:
        visit.sign_in(admin)
        visit.go("/library/")
        expect(visit.page.locator("img[data-thumbnail]")).to_have_count(3)
        widths = visit.page.eval_on_selector_all("img[data-thumbnail]", "all => all.map(each => each.naturalWidth)")
        assert all(width > 100 for width in widths)
        assert visit.complaints == []

    @pytest.mark.parametrize("which", ["film", "stream"])
    def test_a_film_plays(self, visit: Visit, admin: User, files: dict[str, File], which: str) -> None:
        visit.sign_in(admin)
        visit.go(f"/library/{files[which].pk}/")
        visit.page.evaluate("document.querySelector('video').muted = true")
        visit.page.locator("h1").click()
        visit.page.keyboard.press("Space")
        visit.page.evaluate(UNTIL, ["timeupdate", 1.0])
        assert seen(visit) > 80
        assert visit.complaints == []

    def test_a_converted_film_is_sought_in(self, visit: Visit, admin: User, files: dict[str, File]) -> None:
        """Its pictures get lighter from its beginning to its end."""
        visit.sign_in(admin)
        visit.go(f"/library/{files['stream'].pk}/")
        visit.page.locator("[data-seek]").fill("3.2")
        visit.page.evaluate(UNTIL, ["loadeddata", 0.0])
        assert visit.page.locator("[data-now]").text_content() == "0:03"
        assert seen(visit) > 180

    def test_a_film_that_is_none_says_so(self, visit: Visit, admin: User, files: dict[str, File]) -> None:
        visit.sign_in(admin)
        visit.go(f"/library/{files['broken'].pk}/")
        expect(visit.page.locator("[data-why]")).to_contain_text("This browser cannot play it.")

    def test_notes_and_the_lock_are_kept(self, visit: Visit, admin: User, files: dict[str, File]) -> None:
        visit.sign_in(admin)
        visit.go(f"/library/{files['still'].pk}/")
        visit.page.get_by_role("textbox", name="Notes").fill("A thief")
        visit.page.get_by_role("button", name="Keep the notes").click()
        expect(visit.page.locator(".toast")).to_contain_text("The notes are kept.")
        visit.page.get_by_role("button", name="Lock").click()
        expect(visit.page.get_by_role("button", name="Delete…")).to_be_disabled()
        kept = File.objects.get(pk=files["still"].pk)
        assert (kept.notes, kept.locked) == ("A thief", True)

    def test_a_file_is_deleted_after_a_question(self, visit: Visit, admin: User, files: dict[str, File]) -> None:
        visit.sign_in(admin)
        visit.go(f"/library/{files['film'].pk}/")
        visit.page.get_by_role("button", name="Delete…").click()
        assert library.where(files["film"]).exists()
        visit.page.get_by_role("button", name="Delete it").click()
        visit.page.wait_for_url("**/library/")
        expect(visit.page.locator(".file")).to_have_count(4)
        assert not library.where(files["film"]).exists()

    def test_a_file_is_downloaded(self, visit: Visit, admin: User, files: dict[str, File]) -> None:
        visit.sign_in(admin)
        visit.go(f"/library/{files['export'].pk}/")
        with visit.page.expect_download() as download:
            visit.page.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename == "export.n3"
        assert download.value.path().read_bytes() == b"n3"


def seen(visit: Visit) -> float:
    """How light the middle of the picture is, 0 to 255."""
    light: float = visit.page.evaluate(
        """() => {
          const video = document.querySelector("video")
          const canvas = new OffscreenCanvas(8, 8)
          const context = canvas.getContext("2d")
          context.drawImage(video, 0, 0, 8, 8)
          return context.getImageData(4, 4, 1, 1).data[0]
        }"""
    )
    return light
