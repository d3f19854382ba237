"""The live wall as a guard meets it. The pictures' sockets end in the test; real ones play in tests/streaming."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Locator, WebSocketRoute, expect

from accounts.models import Role, User
from devices import pictures
from devices.models import Camera, Device, Preset, Site
from streaming.models import WallView
from tests.pages.conftest import DESKTOP, PHONE, Visit
from tests.pages.test_in_a_browser import check

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

both_sizes = pytest.mark.parametrize("visit", [DESKTOP, PHONE], ids=["desktop", "phone"], indirect=True)


@dataclass
class LiveSocket:
    """What one player asked for and said."""

    route: WebSocketRoute
    camera: int
    query: dict[str, str]
    said: list[dict[str, Any]] = field(default_factory=list)
    closed: bool = False


@dataclass
class Wall:
    visit: Visit
    sockets: list[LiveSocket] = field(default_factory=list)
    answer: Callable[[LiveSocket], None] = lambda socket: None

    def of_user(self, user: User) -> Wall:
        self.visit.page.route_web_socket("**/ws/live/**", self.take)
        self.visit.sign_in(user)
        return self

    def open(self, path: str = "/") -> None:
        self.visit.go(path)
        expect(self.tiles.first).to_be_visible()

    def take(self, route: WebSocketRoute) -> None:
        address = urlsplit(route.url)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        socket = LiveSocket(route, int(address.path.split("/")[3]), query)
        route.on_message(lambda text: socket.said.append(json.loads(text)))
        route.on_close(lambda code, reason: setattr(socket, "closed", True))
        self.sockets.append(socket)
        self.answer(socket)

    def of(self, camera: Camera) -> LiveSocket:
        """The newest socket of a camera's player."""
        return next(socket for socket in reversed(self.sockets) if socket.camera == camera.pk)

    def wait(self, true: Callable[[], bool], what: str, seconds: int = 30) -> None:
        for _ in range(20 * seconds):
            if true():
                return
            self.visit.page.wait_for_timeout(50)
        pytest.fail(what)

    @property
    def tiles(self) -> Locator:
        return self.visit.page.locator(".spot")

    @property
    def names(self) -> list[str | None]:
        """All at one moment: tiles change meanwhile."""
        shown: list[str | None] = self.tiles.evaluate_all(
            """tiles => tiles.map(tile => tile.querySelector("live-player")?.getAttribute("name") ?? null)"""
        )
        return shown

    @property
    def selected(self) -> int:
        return int(self.visit.page.locator(".spot[aria-current]").get_attribute("data-index") or -1)

    def leaf(self, name: str) -> Locator:
        return self.visit.page.locator(f'#tree [data-name="{name}"]')

    def press(self, *keys: str) -> None:
        for key in keys:
            self.visit.page.keyboard.press(key)

    def layout(self, name: str) -> None:
        self.visit.page.get_by_role("group", name="Layout").get_by_role("button", name=name, exact=True).click()


@pytest.fixture
def wall(visit: Visit, admin: User, fleet: dict[str, Camera]) -> Wall:
    return Wall(visit).of_user(admin)


# --- Looks ------------------------------------------------------------------------------------------------------------
@both_sizes
def test_the_wall_is_accessible_and_fits(wall: Wall) -> None:
    wall.answer = lambda socket: socket.route.send('{"type": "status", "state": "connecting", "detail": ""}')
    wall.open()
    check(wall.visit, "the wall")


@both_sizes
def test_a_wall_of_troubles_is_accessible_and_fits(wall: Wall, fleet: dict[str, Camera]) -> None:
    def refuse(socket: LiveSocket) -> None:
        codes = {fleet["Corridor"].pk: 4409, fleet["Demo entrance"].pk: 4422}
        socket.route.close(code=codes.get(socket.camera, 1013), reason="")

    wall.answer = refuse
    wall.open()
    wall.layout("9")
    for name in ("Corridor", "Demo entrance"):
        expect(wall.visit.page.locator(f'live-player[name="{name}"][data-state="refused"]')).to_have_count(1)
    check(wall.visit, "a wall of troubles")


@both_sizes
def test_an_empty_wall_is_accessible_and_fits(wall: Wall) -> None:
    wall.open()
    wall.visit.page.get_by_text("Views", exact=True).click()
    wall.visit.page.get_by_role("button", name="Empty all tiles").click()
    expect(wall.visit.page.locator("live-player")).to_have_count(0)
    check(wall.visit, "an empty wall")
    wall.visit.go("/")  # and stays empty
    expect(wall.tiles).to_have_count(4)
    expect(wall.visit.page.locator("live-player")).to_have_count(0)


@both_sizes
def test_the_welcome_is_accessible_and_fits(wall: Wall, admin: User) -> None:
    User.objects.filter(pk=admin.pk).update(welcomed=False)
    wall.open()
    expect(wall.visit.page.get_by_text("Welcome, root")).to_be_visible()
    check(wall.visit, "the wall with its welcome")


# --- Filling it -------------------------------------------------------------------------------------------------------
def test_it_begins_with_cameras_that_can_be_watched(wall: Wall) -> None:
    wall.open()
    assert wall.names == ["Demo entrance", "Corridor", "Parking East", None]


def test_a_tile_says_that_its_camera_is_simulated(wall: Wall) -> None:
    wall.open()
    marks = wall.visit.page.locator("live-player .chip.sim:visible")
    expect(marks).to_have_count(1)
    expect(wall.visit.page.locator('live-player[name="Demo entrance"] .chip.sim')).to_have_text("Simulated")


def test_a_chosen_camera_goes_into_the_selected_tile_and_stays_there(wall: Wall) -> None:
    wall.open()
    wall.tiles.nth(3).click()
    wall.leaf("Roof").click()
    assert wall.names[3] == "Roof"
    expect(wall.leaf("Roof")).to_have_attribute("aria-pressed", "true")
    wall.visit.go("/")
    assert wall.names == ["Demo entrance", "Corridor", "Parking East", "Roof"]


def test_a_camera_that_is_on_the_wall_already_is_shown_where_it_is(wall: Wall) -> None:
    wall.open()
    wall.leaf("Parking East").click()
    assert wall.selected == 2
    assert wall.names.count("Parking East") == 1


def test_cameras_are_dragged_onto_tiles_and_tiles_onto_each_other(wall: Wall) -> None:
    wall.open()
    wall.leaf("Gate B").drag_to(wall.tiles.nth(3))
    assert wall.names == ["Demo entrance", "Corridor", "Parking East", "Gate B"]
    wall.tiles.nth(0).drag_to(wall.tiles.nth(3))
    assert wall.names == ["Gate B", "Corridor", "Parking East", "Demo entrance"]
    assert wall.selected == 3


def test_it_is_filled_by_keyboard_alone(wall: Wall) -> None:
    wall.open()
    wall.tiles.nth(3).click()
    wall.press("/")
    wall.visit.page.keyboard.type("roof")
    expect(wall.leaf("Gate B")).to_be_hidden()
    wall.press("Tab", "Tab")  # past the site
    expect(wall.leaf("Roof")).to_be_focused()
    wall.press("Enter")
    assert wall.names[3] == "Roof"


def test_layouts_have_as_many_tiles_as_they_say(wall: Wall) -> None:
    wall.open()
    for name, tiles in {"1": 1, "4": 4, "9": 9, "16": 16, "25": 25, "1+5": 6, "1+7": 8}.items():
        wall.layout(name)
        expect(wall.tiles).to_have_count(tiles)
    first, second = (wall.tiles.nth(n).bounding_box() for n in (0, 1))
    assert first is not None
    assert second is not None
    assert first["width"] > 2.5 * second["width"]


def test_a_player_that_stays_on_the_wall_keeps_its_connection(wall: Wall, fleet: dict[str, Camera]) -> None:
    wall.open()
    count = len(wall.sockets)
    wall.layout("9")
    wall.layout("1+5")
    assert wall.names[:3] == ["Demo entrance", "Corridor", "Parking East"]
    assert len(wall.sockets) == count


def test_hundreds_of_cameras_are_listed_and_found(wall: Wall) -> None:
    recorders = [
        Device(name=f"Recorder {n}", family="ipro", host=f"198.51.100.{n}", site=Site.objects.get(name="North"))
        for n in range(30)
    ]
    for recorder in Device.objects.bulk_create(recorders):
        Camera.objects.bulk_create(
            Camera(device=recorder, number=n, name=f"{recorder.name} channel {n}") for n in range(1, 17)
        )
    wall.open()
    assert wall.visit.page.locator("#tree .leaf").count() == 30 * 16 + 6
    wall.visit.page.get_by_label("Filter the list of cameras").fill("recorder 29 channel 16")
    expect(wall.visit.page.locator("#tree .leaf:visible")).to_have_count(1)


# --- Streams ----------------------------------------------------------------------------------------------------------
def test_each_tile_asks_for_what_suits_its_size(wall: Wall, fleet: dict[str, Camera]) -> None:
    wall.open()
    small = wall.of(fleet["Corridor"])
    box = wall.tiles.nth(1).bounding_box()
    assert box is not None
    assert abs(int(small.query["width"]) - box["width"]) < 4
    assert (small.query["quality"], small.query["stream"], small.query["audio"]) == ("auto", "auto", "0")
    wall.tiles.nth(1).dblclick()
    wall.wait(lambda: bool(small.said), "the maximised tile did not ask for a larger picture")
    assert small.said[0]["type"] == "show"
    assert small.said[0]["width"] > 1.8 * box["width"]


def test_hidden_tiles_stop_their_streams_and_come_back(wall: Wall, fleet: dict[str, Camera]) -> None:
    wall.open()
    hidden, shown = wall.of(fleet["Corridor"]), wall.of(fleet["Demo entrance"])
    wall.press("Enter")  # the first tile
    wall.wait(lambda: hidden.closed, "a hidden tile still has its socket")
    assert not shown.closed
    wall.press("Enter")
    wall.wait(lambda: not wall.of(fleet["Corridor"]).closed, "a tile that is shown again has no socket")


def test_a_hidden_page_closes_its_sockets_and_opens_them_when_it_is_shown(wall: Wall, fleet: dict[str, Camera]) -> None:
    wall.open()
    before = wall.of(fleet["Corridor"])
    show = """hidden => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    wall.visit.page.evaluate(show, True)
    wall.wait(lambda: before.closed, "a hidden page still has its sockets")
    wall.visit.page.evaluate(show, False)
    wall.wait(lambda: not wall.of(fleet["Corridor"]).closed, "a page that is shown again has no sockets")


def test_the_quality_is_for_all_and_is_kept(wall: Wall, fleet: dict[str, Camera]) -> None:
    wall.open()
    wall.visit.page.get_by_role("button", name="Low", exact=True).click()
    for name in ("Corridor", "Demo entrance"):
        socket = wall.of(fleet[name])
        wall.wait(lambda said=socket.said: bool(said), "a player was not told")  # type: ignore[misc]
        assert socket.said[0] == {"type": "show", "quality": "low"}
    wall.visit.go("/")
    expect(wall.visit.page.get_by_role("button", name="Low", exact=True)).to_have_attribute("aria-pressed", "true")
    assert wall.of(fleet["Corridor"]).query["quality"] == "low"


def test_until_there_is_a_stream_the_last_picture_is_shown_with_its_age(wall: Wall, fleet: dict[str, Camera]) -> None:
    written = io.BytesIO()
    Image.new("RGB", (320, 180), (10, 90, 40)).save(written, "JPEG")
    seen, unseen = fleet["Corridor"], fleet["Parking East"]
    pictures.keep(seen.pk, written.getvalue(), time.time() - 300)
    wall.open()
    tile = wall.visit.page.locator(f'live-player[camera="{seen.pk}"]')
    expect(tile).to_have_attribute("data-picture", "")
    expect(tile.locator(".chip", has_text="picture of")).to_have_text("picture of 5 min ago")
    expect(wall.visit.page.locator(f'live-player[camera="{unseen.pk}"]')).not_to_have_attribute("data-picture", "")
    assert wall.visit.complaints == []  # that there is none is no mistake


def test_presets_are_shown_with_their_pictures(wall: Wall, fleet: dict[str, Camera]) -> None:
    corridor = fleet["Corridor"]
    Device.objects.filter(pk=corridor.device_id).update(family="ipro")
    Preset.objects.create(camera=corridor, number=3, name="Door")
    Preset.objects.create(camera=corridor, number=4, name="Stairs")
    written = io.BytesIO()
    Image.new("RGB", (240, 135), (10, 90, 40)).save(written, "JPEG")
    pictures.keep(corridor.pk, written.getvalue(), time.time(), preset=3)
    wall.open()
    wall.tiles.nth(1).click()
    wall.press("p")
    door = wall.visit.page.get_by_role("button", name="Door")
    shown = door.locator("img")
    wall.wait(lambda: shown.evaluate("image => image.complete && image.naturalWidth") == 240, "it is not loaded")
    expect(wall.visit.page.get_by_role("button", name="Stairs").locator("img")).to_have_count(0)
    check(wall.visit, "presets with pictures")


def test_standing_still_is_told_the_server(wall: Wall, fleet: dict[str, Camera]) -> None:
    wall.open()
    socket = wall.of(fleet["Demo entrance"])
    wall.tiles.first.click()
    wall.press(" ")
    expect(wall.visit.page.locator('live-player[data-state="paused"]')).to_have_count(1)
    wall.press(" ")
    expect(wall.visit.page.locator('live-player[data-state="paused"]')).to_have_count(0)
    wall.wait(lambda: len(socket.said) == 2, f"the server was told {socket.said}")
    assert [each["type"] for each in socket.said] == ["pause", "resume"]


def test_a_closed_socket_is_told_in_words_and_tried_again(wall: Wall, fleet: dict[str, Camera]) -> None:
    wall.open()
    count = len(wall.sockets)
    wall.of(fleet["Corridor"]).route.close(code=1013, reason="The camera is busy.")
    player = wall.visit.page.locator('live-player[name="Corridor"]')
    wall.wait(lambda: len(wall.sockets) > count, "it was not tried again")
    wall.of(fleet["Corridor"]).route.close(code=4409, reason="")
    expect(player).to_have_attribute("data-state", "refused")
    expect(player.locator(".message")).to_contain_text("The camera refuses to send pictures.")
    expect(player.locator(".message")).to_contain_text("Trying again in")
    player.get_by_role("button", name="Try now").click()
    expect(player).to_have_attribute("data-state", "connecting")


def test_what_can_never_be_shown_is_not_tried_again(wall: Wall, fleet: dict[str, Camera]) -> None:
    wall.answer = lambda socket: socket.route.close(code=4422) if socket.camera == fleet["Corridor"].pk else None
    wall.open()
    player = wall.visit.page.locator('live-player[name="Corridor"]')
    expect(player).to_have_attribute("data-state", "refused")
    expect(player.locator(".message")).to_contain_text("This camera cannot be shown here.")
    expect(player.locator(".again")).to_be_hidden()


# --- Keys -------------------------------------------------------------------------------------------------------------
def test_the_keys_of_a_guard(wall: Wall) -> None:
    wall.open()
    page = wall.visit.page
    wall.tiles.first.click()
    wall.press("ArrowRight")
    assert wall.selected == 1
    wall.press("ArrowDown")
    assert wall.selected == 3
    wall.press("ArrowUp", "ArrowLeft", "Enter")
    expect(wall.tiles.first).to_have_class("spot maximised")
    expect(wall.tiles.nth(1)).to_be_hidden()
    wall.press("Escape")
    expect(wall.tiles.nth(1)).to_be_visible()
    wall.press("i")
    expect(page.locator('live-player[name="Demo entrance"] .statistics')).to_be_visible()
    wall.press("Delete")
    assert wall.names[0] is None
    wall.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Your saved views")


def test_full_screen_is_a_key(wall: Wall) -> None:
    wall.open()
    wall.tiles.first.click()
    wall.press("f")
    wall.wait(
        lambda: wall.visit.page.evaluate("document.fullscreenElement?.getAttribute('name')") == "Demo entrance",
        "it is not in full screen",
    )
    wall.press("f")
    wall.wait(lambda: wall.visit.page.evaluate("document.fullscreenElement === null"), "it is still in full screen")


def test_letters_typed_into_the_search_are_no_keys(wall: Wall) -> None:
    wall.open()
    wall.press("/")
    wall.visit.page.keyboard.type("1 fmsp")
    expect(wall.visit.page.get_by_label("Filter the list of cameras")).to_have_value("1 fmsp")
    expect(wall.visit.page.locator("#steering")).to_be_hidden()
    expect(wall.visit.page.locator(".toast")).to_have_count(0)


# --- Views ------------------------------------------------------------------------------------------------------------
def test_a_view_is_saved_called_by_its_digit_changed_and_deleted(wall: Wall, fleet: dict[str, Camera]) -> None:
    wall.open()
    page = wall.visit.page
    menu = page.locator("[data-views] summary")
    menu.click()
    page.get_by_role("button", name="Save as a new view…").click()
    page.get_by_label("Name").fill("Perimeter")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(menu).to_contain_text("Perimeter")
    view = WallView.objects.get()
    assert view.layout == "4"
    assert view.cameras == [fleet[name].pk for name in ("Demo entrance", "Corridor", "Parking East")] + [None]

    wall.layout("1+5")
    wall.leaf("Roof").click()
    expect(menu).to_contain_text("Perimeter (changed)")
    wall.press("1")
    assert wall.names == ["Demo entrance", "Corridor", "Parking East", None]
    expect(menu).not_to_contain_text("changed")

    wall.layout("9")
    menu.click()
    page.get_by_role("button", name="Save the changes to Perimeter").click()
    expect(page.get_by_text("Perimeter is saved.").last).to_be_visible()
    wall.wait(lambda: WallView.objects.get().layout == "9", "the change was not kept")

    menu.click()
    page.get_by_role("button", name="Delete Perimeter").click()
    expect(menu).to_contain_text("Views")
    wall.wait(lambda: not WallView.objects.exists(), "it was not deleted")


def test_a_name_that_is_taken_is_told_in_the_dialog(wall: Wall, admin: User) -> None:
    WallView.objects.create(user=admin, name="Night", layout="1", cameras=[])
    wall.open()
    page = wall.visit.page
    page.locator("[data-views] summary").click()
    page.get_by_role("button", name="Save as a new view…").click()
    page.get_by_label("Name").fill("Night")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("You have a view called Night already.")


def test_a_view_has_an_address(wall: Wall, admin: User, fleet: dict[str, Camera]) -> None:
    view = WallView.objects.create(user=admin, name="Night", layout="1+7", cameras=[fleet["Roof"].pk])
    wall.open(f"/?view={view.pk}")
    expect(wall.tiles).to_have_count(8)
    assert wall.names[0] == "Roof"


# --- What happens meanwhile -------------------------------------------------------------------------------------------
def test_states_change_in_the_tree_as_they_happen(wall: Wall, fleet: dict[str, Camera]) -> None:
    wall.open()
    expect(wall.leaf("Gate B")).to_contain_text("Offline")
    device = fleet["Gate B"].device_id
    wall.visit.sockets[-1].send(json.dumps({"type": "device.state", "device": device, "name": "B", "state": "online"}))
    expect(wall.leaf("Gate B")).to_contain_text("Online")


def test_new_cameras_join_the_tree_and_nothing_that_plays_is_disturbed(wall: Wall) -> None:
    wall.open()
    count = len(wall.sockets)
    device = Device.objects.create(
        name="Annex", family="povcam", host="192.0.2.99", site=Site.objects.get(name="North"), state="online"
    )
    Camera.objects.create(device=device, number=1, name="Annex door")
    wall.visit.sockets[-1].send(json.dumps({"type": "device.changed", "device": device.pk}))
    expect(wall.leaf("Annex door")).to_be_visible()
    wall.tiles.nth(3).click()
    wall.leaf("Annex door").click()
    assert wall.names[3] == "Annex door"
    assert len(wall.sockets) == count + 1


def test_a_camera_that_goes_leaves_its_tile(wall: Wall, fleet: dict[str, Camera]) -> None:
    wall.open()
    device = fleet["Corridor"].device
    pk = device.pk
    device.delete()
    wall.visit.sockets[-1].send(json.dumps({"type": "device.removed", "device": pk}))
    wall.wait(lambda: wall.names == ["Demo entrance", None, "Parking East", None], f"{wall.names}")


# --- Steering and telephones ------------------------------------------------------------------------------------------
def test_steering_opens_for_the_selected_camera_and_arrows_steer_in_it(wall: Wall, fleet: dict[str, Camera]) -> None:
    page = wall.visit.page
    sent: list[Any] = []

    def take(route: Any) -> None:
        sent.append(route.request.post_data_json)
        route.fulfill(status=204)

    page.route("**/api/v1/cameras/*/ptz", take)
    Device.objects.filter(pk=fleet["Corridor"].device_id).update(family="ipro")
    wall.open()
    wall.tiles.nth(1).click()
    wall.press("p")
    panel = page.get_by_label("Steering", exact=True).and_(page.locator("aside"))
    expect(panel).to_contain_text("Corridor")
    expect(panel.get_by_role("button", name="Up left")).to_be_focused()
    check(wall.visit, "steering beside the wall")
    page.keyboard.down("ArrowRight")
    wall.wait(lambda: bool(sent), "nothing was sent")
    page.keyboard.up("ArrowRight")
    wall.wait(lambda: sent[-1] == {"pan": 0, "tilt": 0, "zoom": 0}, f"it was not stopped: {sent}")
    assert sent[0]["pan"] > 0
    assert wall.selected == 1
    wall.press("Escape")
    expect(panel).to_be_hidden()
    expect(wall.tiles.nth(1)).to_be_focused()


def test_a_viewer_has_no_steering(visit: Visit, person: Callable[..., User], fleet: dict[str, Camera]) -> None:
    visit.sign_in(person("vera", Role.VIEWER))
    visit.go("/")
    expect(visit.page.locator(".spot").first).to_be_visible()
    expect(visit.page.get_by_role("button", name="Steering (P)")).to_have_count(0)
    visit.page.keyboard.press("p")
    assert visit.complaints == []


@pytest.mark.parametrize("visit", [PHONE], ids=["phone"], indirect=True)
def test_on_a_telephone_tiles_stand_below_each_other_and_the_list_opens_over_them(wall: Wall) -> None:
    wall.open()
    boxes = [tile.bounding_box() for tile in wall.tiles.all()]
    assert all(box is not None and box["width"] > 360 for box in boxes)
    expect(wall.leaf("Roof")).to_be_hidden()
    wall.tiles.nth(3).tap()
    expect(wall.leaf("Roof")).to_be_visible()
    check(wall.visit, "the list over the wall")
    wall.visit.page.get_by_role("button", name="Close the list").tap()
    expect(wall.leaf("Roof")).to_be_hidden()
    wall.visit.page.get_by_role("button", name="List of cameras").tap()
    wall.leaf("Roof").tap()
    expect(wall.leaf("Roof")).to_be_hidden()
    assert wall.names[3] == "Roof"
