"""Steering with the hand on the picture: what drags, wheel, fingers and clicks tell the camera, and that it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from accounts.models import User
from devices.models import Camera, Device
from tests.pages.conftest import PHONE, Visit

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

STILL: dict[str, float] = {"pan": 0, "tilt": 0, "zoom": 0}
on_a_phone = pytest.mark.parametrize("visit", [PHONE], ids=["phone"], indirect=True)


@dataclass
class Picture:
    """A player whose picture fills it, and what its camera is told."""

    visit: Visit
    moves: list[dict[str, float]] = field(default_factory=list)
    centers: list[dict[str, float]] = field(default_factory=list)
    refused: str = ""
    held_back: list[Route] | None = None

    def open(self, camera: Camera, *, on_wall: bool = False) -> None:
        self.visit.go("/" if on_wall else f"/cameras/{camera.pk}/")
        self.player.evaluate(
            """each => {
              const { width, height } = each.video.getBoundingClientRect();
              Object.defineProperty(each.video, "videoWidth", { value: width });
              Object.defineProperty(each.video, "videoHeight", { value: height });
            }"""
        )

    @property
    def page(self) -> Page:
        return self.visit.page

    @property
    def player(self) -> Any:
        return self.page.locator("live-player")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A place in the picture, of 0 to 1."""
        box = self.player.bounding_box()
        assert box is not None
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def take(self, route: Route) -> None:
        told = route.request.post_data_json
        if route.request.url.endswith("/center"):
            self.centers.append(told)
        else:
            self.moves.append(told)
        if self.refused:
            route.fulfill(status=409, json={"error": self.refused})
        elif self.held_back is not None:
            self.held_back.append(route)
        else:
            route.fulfill(status=204)

    def drag(self, x: float, y: float) -> None:
        """From the middle to there, and not let go."""
        self.page.mouse.move(*self.at(0.5, 0.5))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(x, y), steps=4)

    def wait(self, true: Callable[[], bool], what: str) -> None:
        for _ in range(600):
            if true():
                return
            self.page.wait_for_timeout(50)
        pytest.fail(f"{what}: {self.moves}, {self.centers}")

    def wait_until_it_stops(self) -> None:
        self.wait(lambda: bool(self.moves) and self.moves[-1] == STILL, "it is not stopped")

    def touch(self, kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        self.fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    @property
    def fingers(self) -> Any:
        if not hasattr(self, "_fingers"):
            self._fingers = self.visit.context.new_cdp_session(self.page)
        return self._fingers


@pytest.fixture
def camera(fleet: dict[str, Camera]) -> Camera:
    """One that can do everything, alone in the world."""
    one = fleet["Corridor"]
    Device.objects.exclude(pk=one.device_id).delete()
    Device.objects.update(family="ipro", state="online")
    return one


@pytest.fixture
def picture(visit: Visit, admin: User) -> Picture:
    picture = Picture(visit)
    for what in ("ptz", "center"):
        visit.page.route(f"**/api/v1/cameras/*/{what}", picture.take)
    visit.sign_in(admin)
    return picture


# --- Drag -------------------------------------------------------------------------------------------------------------
def test_a_drag_moves_the_camera_that_way_faster_the_further(picture: Picture, camera: Camera) -> None:
    picture.open(camera)
    picture.drag(0.6, 0.5)
    picture.wait(lambda: bool(picture.moves) and picture.moves[-1]["pan"] > 0, "it does not move")
    slow = picture.moves[-1]
    assert 0 < slow["pan"] < 0.9
    assert (slow["tilt"], slow["zoom"]) == (0, 0)
    picture.page.mouse.move(*picture.at(0.95, 0.5))
    picture.wait(lambda: picture.moves[-1]["pan"] == 1, "it is not faster further away")
    picture.page.mouse.move(*picture.at(0.5, 0.05))
    picture.wait(lambda: picture.moves[-1]["tilt"] > 0.8, "it does not follow upwards")
    assert picture.moves[-1]["pan"] == 0
    expect(picture.page.locator(".steered-from")).to_have_count(1)
    picture.page.mouse.up()
    picture.wait_until_it_stops()
    expect(picture.page.locator(".steered-from")).to_have_count(0)
    picture.page.wait_for_timeout(400)  # longer than a click waits for its second half
    assert picture.centers == [], "a drag is no click"
    assert picture.visit.complaints == []


def test_a_drag_goes_on_while_it_is_held_and_does_not_end_beside_the_picture(picture: Picture, camera: Camera) -> None:
    picture.open(camera)
    picture.drag(0.7, 0.5)
    picture.page.mouse.move(5, 5)
    picture.wait(lambda: len(picture.moves) > 4, "it is not said again")
    assert STILL not in picture.moves
    assert picture.moves[-1]["pan"] < 0, "the hand is at the left"
    picture.page.mouse.up()
    picture.wait_until_it_stops()


def test_where_it_began_it_stands_still_without_ending(picture: Picture, camera: Camera) -> None:
    picture.open(camera)
    picture.drag(0.9, 0.5)
    picture.wait(lambda: bool(picture.moves), "it does not move")
    picture.page.mouse.move(*picture.at(0.5, 0.5))
    picture.wait_until_it_stops()
    picture.page.mouse.move(*picture.at(0.1, 0.5))
    picture.wait(lambda: picture.moves[-1]["pan"] < 0, "it does not go on to the other side")
    picture.page.mouse.up()
    picture.wait_until_it_stops()


HIDE = """
  Object.defineProperty(document, "hidden", { value: true, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
"""
LOSE = """
  document.querySelector("live-player").addEventListener("pointermove", ({ target, pointerId }) =>
    target.releasePointerCapture(pointerId), { once: true });
"""


@pytest.mark.parametrize("lost", ["dispatchEvent(new Event('blur'))", HIDE, LOSE], ids=["blur", "hidden", "capture"])
def test_a_drag_that_is_lost_ends_until_the_hand_is_lifted(picture: Picture, camera: Camera, lost: str) -> None:
    picture.open(camera)
    picture.drag(0.8, 0.5)
    picture.wait(lambda: bool(picture.moves), "it does not move")
    picture.page.evaluate(lost)
    picture.page.mouse.move(*picture.at(0.85, 0.5))
    picture.wait_until_it_stops()
    told = len(picture.moves)
    picture.page.mouse.move(*picture.at(0.2, 0.5), steps=4)
    picture.page.wait_for_timeout(300)
    assert picture.moves[told:] in ([], [STILL]), "it began again by itself"
    picture.page.mouse.up()
    picture.drag(0.8, 0.5)
    picture.wait(lambda: picture.moves[-1] != STILL, "a new drag is not taken")
    picture.page.mouse.up()


def test_the_last_word_is_a_stop_also_when_a_command_was_on_its_way(picture: Picture, camera: Camera) -> None:
    picture.held_back = []
    picture.open(camera)
    picture.drag(0.8, 0.5)
    picture.wait(lambda: bool(picture.held_back), "nothing was sent")
    picture.page.mouse.up()
    picture.wait_until_it_stops()
    stops = picture.moves.count(STILL)
    slow, picture.held_back = picture.held_back, None
    for route in slow:
        route.fulfill(status=204)
    picture.wait(lambda: picture.moves.count(STILL) > stops, "nothing was said after the command that came late")
    assert picture.moves[-1] == STILL


def test_what_somebody_else_steers_says_so_once_and_ends(picture: Picture, camera: Camera) -> None:
    picture.refused = "olga is steering Corridor now."
    picture.open(camera)
    picture.drag(0.8, 0.5)
    expect(picture.page.locator(".toast")).to_contain_text("olga is steering")
    told = len([move for move in picture.moves if move != STILL])
    picture.page.mouse.move(*picture.at(0.9, 0.9), steps=4)
    picture.page.wait_for_timeout(300)
    assert len([move for move in picture.moves if move != STILL]) == told
    expect(picture.page.locator(".toast")).to_have_count(1)


# --- Wheel ------------------------------------------------------------------------------------------------------------
def test_a_notch_of_the_wheel_zooms_a_little_and_ends_by_itself(picture: Picture, camera: Camera) -> None:
    picture.open(camera)
    picture.page.mouse.move(*picture.at(0.5, 0.5))
    picture.page.mouse.wheel(0, -100)
    picture.wait_until_it_stops()
    assert picture.moves[0]["zoom"] > 0
    picture.moves.clear()
    picture.page.mouse.wheel(0, 100)
    picture.page.mouse.wheel(0, 100)
    picture.wait_until_it_stops()
    assert picture.moves[0]["zoom"] < 0
    assert {move["pan"] for move in picture.moves} == {0}


def test_the_wheel_turned_back_zooms_back(picture: Picture, camera: Camera) -> None:
    picture.open(camera)
    picture.page.mouse.move(*picture.at(0.5, 0.5))
    picture.page.mouse.wheel(0, -100)
    picture.page.mouse.wheel(0, 100)
    picture.wait(lambda: any(move["zoom"] < 0 for move in picture.moves), "it does not zoom back")
    picture.wait_until_it_stops()


# --- Clicks -----------------------------------------------------------------------------------------------------------
def test_a_click_makes_that_place_the_middle(picture: Picture, camera: Camera) -> None:
    picture.open(camera)
    picture.page.mouse.click(*picture.at(0.75, 0.25))
    picture.wait(lambda: bool(picture.centers), "a click is not heard")
    assert picture.centers == [{"x": pytest.approx(0.75, abs=0.01), "y": pytest.approx(0.25, abs=0.01)}]
    assert picture.moves == []


def test_beside_the_picture_there_is_nothing_to_centre_on(picture: Picture, camera: Camera) -> None:
    """A square picture in a wide player has black bars on both sides."""
    picture.visit.go(f"/cameras/{camera.pk}/")
    picture.player.evaluate(
        """each => {
          for (const side of ["videoWidth", "videoHeight"]) Object.defineProperty(each.video, side, { value: 400 });
        }"""
    )
    box = picture.player.bounding_box()
    side, middle = box["height"], box["x"] + box["width"] / 2
    picture.page.mouse.click(middle + side * 0.6, box["y"] + side / 2)
    picture.page.wait_for_timeout(400)
    picture.page.mouse.click(middle + side / 4, box["y"] + side / 4)
    picture.wait(lambda: bool(picture.centers), "a click is not heard")
    assert picture.centers == [{"x": pytest.approx(0.75, abs=0.01), "y": pytest.approx(0.25, abs=0.01)}]


def test_a_double_click_is_full_screen_and_no_click(picture: Picture, camera: Camera) -> None:
    picture.open(camera)
    picture.page.mouse.dblclick(*picture.at(0.75, 0.25))
    picture.wait(
        lambda: picture.page.evaluate("document.fullscreenElement?.localName") == "live-player", "it is not full screen"
    )
    picture.page.wait_for_timeout(400)
    assert picture.centers == []


# --- What it cannot ---------------------------------------------------------------------------------------------------
def test_what_the_camera_cannot_do_is_neither_taken_nor_pretended(picture: Picture, camera: Camera) -> None:
    Device.objects.update(family="povcam", status={"streams": {"h264": {"width": 1920, "max_fps": 30}}})
    picture.open(camera)
    assert picture.player.evaluate("each => getComputedStyle(each).cursor") == "zoom-in"
    picture.drag(0.9, 0.9)
    picture.page.mouse.up()
    picture.page.mouse.click(*picture.at(0.75, 0.25))
    picture.page.wait_for_timeout(400)
    assert (picture.moves, picture.centers) == ([], [])
    picture.page.mouse.wheel(0, -100)
    picture.wait_until_it_stops()
    assert picture.moves[0]["zoom"] > 0


def test_who_may_only_watch_has_a_picture_that_is_no_handle(
    picture: Picture, camera: Camera, person: Callable[..., User]
) -> None:
    picture.visit.sign_in(person("vera"))
    picture.open(camera)
    assert picture.player.evaluate("each => getComputedStyle(each).cursor") == "auto"
    picture.drag(0.9, 0.9)
    picture.page.mouse.up()
    picture.page.mouse.wheel(0, -100)
    picture.page.wait_for_timeout(400)
    assert (picture.moves, picture.centers) == ([], [])


# --- Fingers ----------------------------------------------------------------------------------------------------------
@on_a_phone
def test_one_finger_drags_and_two_zoom(picture: Picture, camera: Camera) -> None:
    picture.open(camera)
    middle, right = picture.at(0.5, 0.5), picture.at(0.9, 0.5)
    picture.touch("touchStart", middle)
    picture.touch("touchMove", right)
    picture.wait(lambda: bool(picture.moves) and picture.moves[-1]["pan"] > 0, "a finger does not steer")
    picture.touch("touchEnd")
    picture.wait_until_it_stops()
    picture.moves.clear()

    left, right = picture.at(0.45, 0.5), picture.at(0.55, 0.5)
    picture.touch("touchStart", left)
    picture.touch("touchStart", left, right)
    picture.touch("touchMove", picture.at(0.2, 0.5), picture.at(0.8, 0.5))
    picture.wait(lambda: bool(picture.moves) and picture.moves[-1]["zoom"] > 0, "two fingers apart do not zoom in")
    picture.touch("touchMove", picture.at(0.49, 0.5), picture.at(0.5, 0.5))
    picture.wait(lambda: picture.moves[-1]["zoom"] < 0, "two fingers together do not zoom out")
    assert {move["pan"] for move in picture.moves} == {0}
    picture.touch("touchEnd")
    picture.wait_until_it_stops()
    picture.page.wait_for_timeout(400)
    assert picture.centers == []
    assert picture.page.evaluate("visualViewport.scale") == 1, "the page was zoomed"


# --- On the wall ------------------------------------------------------------------------------------------------------
def test_on_the_wall_the_maximised_tile_is_steered_by_hand_while_steering_is_open(
    picture: Picture, camera: Camera
) -> None:
    picture.open(camera, on_wall=True)
    page = picture.page
    tile = page.locator(".spot").first
    tile.click()
    page.keyboard.press("Enter")
    expect(tile).to_have_class("spot maximised")
    picture.drag(0.9, 0.5)
    page.mouse.up()
    assert picture.moves == [], "steering is not open"

    page.keyboard.press("p")
    expect(page.locator("live-player[data-steers]")).to_have_count(1)
    picture.drag(0.9, 0.5)
    picture.wait(lambda: bool(picture.moves) and picture.moves[-1]["pan"] > 0, "a drag does not steer")
    page.mouse.up()
    picture.wait_until_it_stops()
    page.mouse.dblclick(*picture.at(0.6, 0.6))
    expect(tile).to_have_class("spot")
    page.wait_for_timeout(400)
    assert picture.centers == []

    picture.moves.clear()  # small again: a drag is about tiles
    picture.drag(0.9, 0.5)
    page.mouse.up()
    page.mouse.wheel(0, -100)
    page.wait_for_timeout(400)
    assert (picture.moves, picture.centers) == ([], [])
    assert picture.visit.complaints == []
