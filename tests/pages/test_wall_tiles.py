"""Where cameras stand on the wall, and that they stay connected while they change places."""

from __future__ import annotations

import io
import json
import time

import pytest
from PIL import Image
from playwright.sync_api import expect

from accounts.models import User
from devices import pictures
from devices.models import Camera
from tests.pages.conftest import Visit
from tests.pages.test_wall_in_a_browser import Wall

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

IN_ORDER = """() => [...document.querySelectorAll(".spot")]
  .map((spot) => [spot.getBoundingClientRect(), spot.querySelector("live-player")?.getAttribute("name") ?? null])
  .sort(([a], [b]) => a.top - b.top || a.left - b.left)
  .map(([, name]) => name)"""


@pytest.fixture
def wall(visit: Visit, admin: User, fleet: dict[str, Camera]) -> Wall:
    return Wall(visit).of_user(admin)


# --- Changing places --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("moves", [True, False], ids=["moveBefore", "order"])
def test_tiles_that_change_places_keep_their_connections(wall: Wall, moves: bool) -> None:
    if not moves:
        wall.visit.page.add_init_script("delete Element.prototype.moveBefore")
    wall.open()
    page = wall.visit.page
    assert page.evaluate("'moveBefore' in Element.prototype") is moves
    count = len(wall.sockets)
    page.evaluate("window.before = [...document.querySelectorAll('live-player')]")
    wall.tiles.nth(0).drag_to(wall.tiles.nth(1))
    wall.wait(
        lambda: page.evaluate(IN_ORDER) == ["Corridor", "Demo entrance", "Parking East", None], "they do not stand so"
    )
    expect(page.locator('.spot[data-index="1"]')).to_have_attribute("aria-current", "true")
    expect(page.locator('.spot[data-index="1"]')).to_have_attribute("aria-label", "Tile 2: Demo entrance")
    wall.press("ArrowLeft")
    expect(page.locator('.spot[data-index="0"]')).to_be_focused()
    page.locator('.spot[data-index="0"]').drag_to(page.locator('.spot[data-index="3"]'))
    wall.layout("1+5")
    wall.layout("4")
    expected = ["Demo entrance", "Parking East", "Corridor", None]
    wall.wait(lambda: sorted(map(str, page.evaluate(IN_ORDER))) == sorted(map(str, expected)), "one was lost")
    wall.layout("1")
    wall.layout("9")
    page.wait_for_timeout(500)
    assert len(wall.sockets) == count, "a socket was opened anew"
    assert page.evaluate("window.before.filter((player) => player.isConnected).length") >= 1
    assert wall.visit.complaints == []


def test_the_large_tile_of_a_layout_is_the_first_one_wherever_it_came_from(wall: Wall) -> None:
    wall.visit.page.add_init_script("delete Element.prototype.moveBefore")
    wall.open()
    wall.layout("1+5")
    wall.tiles.nth(0).drag_to(wall.tiles.nth(2))
    first, other = (wall.visit.page.locator(f'.spot[data-index="{n}"]').bounding_box() for n in (0, 2))
    assert first is not None
    assert other is not None
    assert first["width"] > 1.8 * other["width"]


def test_a_maximised_tile_stays_so_when_others_come_and_go(wall: Wall) -> None:
    wall.open()
    wall.tiles.nth(1).click()
    wall.press("Enter")
    wall.leaf("Roof").click()
    expect(wall.visit.page.locator('.spot.maximised live-player[name="Roof"]')).to_be_visible()
    wall.press("Escape")
    assert wall.names == ["Demo entrance", "Corridor", "Parking East", "Roof"]


# --- Choosing ---------------------------------------------------------------------------------------------------------
def test_a_chosen_camera_goes_into_an_empty_tile_rather_than_in_place_of_another(wall: Wall) -> None:
    wall.open()
    wall.tiles.nth(1).click()
    wall.leaf("Roof").click()
    assert wall.names == ["Demo entrance", "Corridor", "Parking East", "Roof"]
    assert wall.selected == 3
    wall.leaf("Gate B").click()  # now it is full
    assert wall.names == ["Demo entrance", "Corridor", "Parking East", "Gate B"]
    wall.layout("9")
    wall.tiles.nth(7).click()
    wall.leaf("Cold store").click()
    wall.leaf("Roof").click()
    assert (wall.names[7], wall.names[4]) == ("Cold store", "Roof")


def test_a_camera_stands_on_the_wall_once(wall: Wall) -> None:
    wall.open()
    wall.leaf("Corridor").drag_to(wall.tiles.nth(3))
    assert wall.names == ["Demo entrance", None, "Parking East", "Corridor"]
    wall.leaf("Corridor").drag_to(wall.tiles.nth(0))
    assert wall.names == ["Corridor", None, "Parking East", "Demo entrance"]
    wall.press("?")
    expect(wall.visit.page.get_by_role("dialog", name="Keys")).to_contain_text("Each camera stands on the wall once")


# --- Views ------------------------------------------------------------------------------------------------------------
def test_the_name_of_a_view_is_typed_at_once_and_enter_saves_it(wall: Wall, admin: User) -> None:
    wall.open()
    page = wall.visit.page
    page.locator("[data-views] summary").click()
    page.get_by_role("button", name="Save as a new view…").click()
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("Night")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("[data-views] summary")).to_contain_text("Night")


# --- What a tile says -------------------------------------------------------------------------------------------------
def test_a_kept_picture_is_not_called_live(wall: Wall, fleet: dict[str, Camera]) -> None:
    written = io.BytesIO()
    Image.new("RGB", (320, 180), (10, 90, 40)).save(written, "JPEG")
    pictures.keep(fleet["Corridor"].pk, written.getvalue(), time.time() - 420)
    live = json.dumps({"type": "status", "state": "live", "detail": ""})
    wall.answer = lambda socket: socket.route.send(live)
    wall.open()
    chips = wall.visit.page.locator('live-player[name="Corridor"] .chips')
    expect(wall.visit.page.locator('live-player[name="Corridor"]')).to_have_attribute("data-state", "live")
    expect(chips).to_contain_text("picture of 7 min ago")
    expect(chips).to_contain_text("Connecting")
    expect(chips).not_to_contain_text("Live")


def test_a_withdrawn_camera_says_so_in_its_tile_and_comes_back(
    wall: Wall,
    fleet: dict[str, Camera],
    admin: User,
) -> None:
    wall.open()
    page = wall.visit.page
    corridor = fleet["Corridor"]
    tile = page.locator('live-player[name="Corridor"]')
    admin.grants.all().delete()
    for name in ("Demo entrance", "Parking East"):
        admin.grants.create(camera=fleet[name])
    wall.answer = lambda socket: socket.route.close(code=4404, reason="") if socket.camera == corridor.pk else None
    wall.of(corridor).route.close(code=4404, reason="This is gone, or you may no longer see it.")
    expect(tile).to_have_attribute("data-state", "refused")
    expect(tile.locator(".message")).to_contain_text("you may no longer see it")
    expect(wall.leaf("Corridor")).to_have_count(0)
    expect(wall.leaf("Parking East")).to_have_count(1)
    assert wall.names == ["Demo entrance", "Corridor", "Parking East", None]

    admin.grants.create(camera=corridor)
    wall.answer = lambda socket: socket.route.send('{"type": "status", "state": "connecting", "detail": ""}')
    expect(tile).to_have_attribute("data-state", "connecting")
    expect(wall.leaf("Corridor")).to_have_attribute("aria-pressed", "true")


def test_a_withdrawn_camera_that_is_taken_off_the_wall_stays_off(
    wall: Wall,
    fleet: dict[str, Camera],
    admin: User,
) -> None:
    wall.open()
    admin.grants.all().delete()
    wall.answer = lambda socket: socket.route.close(code=4404, reason="")
    for name in ("Corridor", "Demo entrance", "Parking East"):
        wall.of(fleet[name]).route.close(code=4404, reason="")
    expect(wall.visit.page.locator("#tree .leaf")).to_have_count(0)
    assert wall.names == ["Demo entrance", "Corridor", "Parking East", None]
    wall.tiles.nth(1).click()
    wall.press("Delete")
    assert wall.names == ["Demo entrance", None, "Parking East", None]

    admin.grants.create()  # everything again
    wall.answer = lambda socket: socket.route.send('{"type": "status", "state": "connecting", "detail": ""}')
    expect(wall.leaf("Corridor")).to_be_visible()
    assert wall.names == ["Demo entrance", None, "Parking East", None]
    assert wall.visit.complaints == []
