"""The pages as a person meets them: at both sizes, in all themes, by keyboard, when the server goes away."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from django.utils import timezone
from playwright.sync_api import expect

from accounts import tokens
from accounts.models import Role, User
from devices import history
from devices.models import Camera, Device, Sample, Site, State
from tests.pages.conftest import DESKTOP, PASSWORD, PHONE, Visit

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

THEMES = ("dark", "light", "contrast")
# Resolves when the new colours are painted.
PUT_ON = """theme => {
  localStorage.setItem('theme', theme)
  applyTheme()
  return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
    .then(() => Promise.all(document.getAnimations().map(animation => animation.finished.catch(() => null))))
    .then(() => true)
}"""
both_sizes = pytest.mark.parametrize("visit", [DESKTOP, PHONE], ids=["desktop", "phone"], indirect=True)


def check(visit: Visit, where: str) -> None:
    """Nothing to scroll sideways, and nothing that axe minds, in any theme: themes differ in colours alone."""
    assert visit.overflow() <= 0, f"{where} overflows sideways"
    visit.page.evaluate(AXE_SCRIPT)
    for theme in THEMES:
        visit.page.evaluate(PUT_ON, theme)
        rules = {} if theme == THEMES[0] else {"runOnly": ["color-contrast"]}
        found = AxeResults(visit.page.evaluate("rules => axe.run(rules)", {"resultTypes": ["violations"], **rules}))
        assert found.violations_count == 0, f"{where}, {theme}: {found.generate_report()}"
    assert visit.complaints == [], where


@both_sizes
@pytest.mark.parametrize(
    "path",
    [
        "/cameras/",
        "/users/",
        "/users/new/",
        "/users/{user}/",
        "/tokens/",
        "/audit/",
        "/styleguide/",
        "/password/",
        "/devices/",
        "/devices/add/",
        "/devices/import/",
        "/devices/{device}/",
        "/devices/{device}/edit/",
        "/devices/{device}/history/",
        "/events/",
        "/cameras/{camera}/",
    ],
)
def test_pages_with_data_are_accessible_and_fit(
    visit: Visit, path: str, admin: User, person: Callable[..., User], fleet: dict[str, Camera]
) -> None:
    somebody = person("olga", Role.OPERATOR, fleet["Gate B"].device.site)
    tokens.create(admin, admin, name="A wall")
    User.objects.filter(pk=admin.pk).update(welcomed=False)
    visit.sign_in(admin)
    shown = fleet["Demo entrance"]
    history.state_changed(shown.device, State.OFFLINE, "Nothing answers at this address.")
    Sample.objects.create(device=shown.device, at=timezone.now(), state=State.OFFLINE)
    visit.go(path.format(user=somebody.pk, camera=shown.pk, device=shown.device_id))
    check(visit, path)


@both_sizes
@pytest.mark.parametrize(
    "path", ["/", "/cameras/", "/devices/", "/events/", "/users/", "/tokens/", "/audit/?text=nothing-is-called-this"]
)
def test_pages_without_data_are_accessible_and_fit(visit: Visit, path: str, admin: User) -> None:
    visit.sign_in(admin)
    visit.go(path)
    check(visit, path)


@both_sizes
def test_the_sign_in_and_its_refusal_are_accessible_and_fit(visit: Visit, admin: User) -> None:
    visit.go("/sign-in/")
    check(visit, "sign-in")
    visit.page.get_by_label("User name").fill("root")
    visit.page.get_by_label("Password", exact=True).fill("wrong")
    visit.page.keyboard.press("Enter")
    expect(visit.page.get_by_role("alert")).to_contain_text("is wrong")
    visit.complaints.clear()  # the browser notes the refusal itself
    check(visit, "sign-in refused")


@both_sizes
def test_error_pages_are_accessible_and_fit(visit: Visit) -> None:
    visit.go("/nothing/here/")
    expect(visit.page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    visit.complaints.clear()
    check(visit, "404")


def test_one_can_sign_in_by_keyboard_alone(visit: Visit, admin: User) -> None:
    visit.go("/users/")
    keyboard = visit.page.keyboard
    keyboard.type("root")
    keyboard.press("Tab")
    keyboard.type(PASSWORD)
    keyboard.press("Enter")
    visit.page.wait_for_url("**/users/")
    expect(visit.page.get_by_role("heading", level=1)).to_have_text("Users")


def test_keys_lead_to_pages_and_list_themselves(visit: Visit, admin: User, fleet: dict[str, Camera]) -> None:
    visit.sign_in(admin)
    visit.go("/cameras/")
    keyboard = visit.page.keyboard
    keyboard.press("?")
    expect(visit.page.get_by_role("dialog", name="Keys")).to_be_visible()
    keyboard.press("Escape")
    expect(visit.page.get_by_role("dialog", name="Keys")).to_be_hidden()
    keyboard.press("/")
    expect(visit.page.get_by_label("Filter the list of cameras")).to_be_focused()
    keyboard.type("gu")  # typing is typing
    expect(visit.page.get_by_label("Filter the list of cameras")).to_have_value("gu")
    visit.page.locator(".tile").first.focus()
    keyboard.press("ArrowRight")
    expect(visit.page.locator(".tile").nth(1)).to_be_focused()
    keyboard.press("g")
    keyboard.press("u")
    visit.page.wait_for_url("**/users/")


def test_keys_can_be_switched_off(visit: Visit, admin: User) -> None:
    visit.sign_in(admin)
    visit.go("/")
    visit.page.keyboard.press("?")
    visit.page.get_by_label("Keys are on").uncheck()
    visit.page.keyboard.press("Escape")
    visit.go("/users/")
    visit.page.keyboard.press("?")
    expect(visit.page.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_the_chosen_theme_is_kept(visit: Visit, admin: User) -> None:
    visit.sign_in(admin)
    visit.go("/")
    root = visit.page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    visit.page.get_by_label("Your account").click()
    visit.page.get_by_role("button", name="Light").click()
    expect(root).to_have_attribute("data-theme", "light")
    visit.go("/users/")
    expect(root).to_have_attribute("data-theme", "light")
    dark_ground = "rgb(13, 16, 20)"
    assert visit.page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != dark_ground


def test_a_table_sorts_by_keyboard_and_says_so(visit: Visit, admin: User) -> None:
    visit.sign_in(admin)
    visit.go("/styleguide/")
    head = visit.page.get_by_role("columnheader", name="Mb/s")
    cells = visit.page.locator("#sg-table td.number")
    head.get_by_role("button").focus()
    visit.page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert cells.all_inner_texts() == ["0.8", "1.2", "2.1", "3.4", "—", "—", "—"]
    visit.page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    assert cells.all_inner_texts() == ["3.4", "2.1", "1.2", "0.8", "—", "—", "—"]


def test_a_table_filters_by_all_words_and_counts(visit: Visit, admin: User) -> None:
    visit.sign_in(admin)
    visit.go("/styleguide/")
    field = visit.page.get_by_label("Filter the table")
    field.fill("south OFFLINE")
    rows = visit.page.locator("#sg-table tr[data-filter-item]:visible")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Gate B")
    expect(visit.page.locator("#sg-shown")).to_have_text("1 of 7 shown")
    field.fill("no such thing")
    expect(visit.page.locator("#sg-table")).to_contain_text("No device matches.")
    field.press("Escape")
    expect(rows).to_have_count(7)


def test_dialogs_keep_the_focus_and_give_it_back(visit: Visit, admin: User) -> None:
    visit.sign_in(admin)
    visit.go("/styleguide/")
    opener = visit.page.get_by_role("button", name="Open a dialog")
    opener.click()
    for _ in range(8):
        visit.page.keyboard.press("Tab")
        # Chromium lets Tab leave towards its own bars, where the page has no focus; never to the page behind.
        assert visit.page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('#sg-dialog')"
        )
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator("#sg-dialog")).to_be_hidden()
    expect(opener).to_be_focused()


def test_what_cannot_be_undone_asks_for_the_name(visit: Visit, admin: User, person: Callable[..., User]) -> None:
    person("olga")
    visit.sign_in(admin)
    visit.go("/users/")
    visit.page.get_by_role("link", name="olga").click()
    visit.page.get_by_role("button", name="Delete…").click()
    last = visit.page.get_by_role("button", name="Delete olga")
    expect(last).to_be_disabled()
    visit.page.get_by_label("Type olga to confirm").fill("olg")
    expect(last).to_be_disabled()
    visit.page.get_by_label("Type olga to confirm").fill("olga")
    last.click()
    visit.page.wait_for_url("**/users/")
    expect(visit.page.locator(".toast")).to_contain_text("olga is deleted.")
    assert not User.objects.filter(username="olga").exists()


def test_tabs_move_with_the_arrow_keys(visit: Visit, admin: User) -> None:
    visit.sign_in(admin)
    visit.go("/styleguide/")
    visit.page.get_by_role("tab", name="Overview").focus()
    visit.page.keyboard.press("ArrowRight")
    expect(visit.page.get_by_role("tab", name="Settings")).to_be_focused()
    expect(visit.page.get_by_role("tabpanel", name="Settings")).to_be_visible()
    expect(visit.page.locator("#sg-panel-1")).to_be_hidden()


def test_a_failed_request_of_htmx_shows_a_sentence(visit: Visit, admin: User) -> None:
    visit.sign_in(admin)
    visit.go("/styleguide/")
    visit.page.get_by_role("button", name="Toast: a failed request").click()
    expect(visit.page.locator(".toast")).to_contain_text(re.compile(r"does not exist any more.*request [0-9a-f]{12}"))


def test_the_audit_is_searched_while_typing(visit: Visit, admin: User, person: Callable[..., User]) -> None:
    tokens.create(admin, admin, name="Grafana")
    tokens.create(admin, admin, name="Wall")
    visit.sign_in(admin)
    visit.go("/audit/")
    visit.page.get_by_label("Search").fill("grafana")
    expect(visit.page.locator("#entries tbody tr")).to_have_count(1)
    assert "text=grafana" in visit.page.url
    assert visit.complaints == []


def test_a_state_change_shows_at_once_everywhere(visit: Visit, admin: User, fleet: dict[str, Camera]) -> None:
    visit.sign_in(admin)
    visit.go("/cameras/")
    gate = fleet["Gate B"].device_id
    tile = visit.page.locator(f".tile[data-device='{gate}']")
    expect(tile).to_contain_text("Offline")
    visit.sockets[-1].send(f'{{"type": "device.state", "device": {gate}, "name": "Gate B device", "state": "online"}}')
    expect(tile).to_contain_text("Online")
    expect(visit.page.locator(f"tr[data-device='{gate}']")).to_contain_text("Online")
    expect(visit.page.locator(f".leaf[data-device='{gate}']")).to_contain_text("Online")
    bell = visit.page.get_by_label("What has happened: 1 new")
    bell.click()
    expect(visit.page.locator(".notice")).to_contain_text("Gate B device is online")


def test_a_lost_server_is_announced_and_the_announcement_goes_away(visit: Visit, admin: User) -> None:
    visit.sign_in(admin)
    visit.go("/")
    connection = visit.page.locator("[data-part=connection]")
    expect(connection).to_have_text("Connected")
    visit.server_is_away = True
    visit.sockets[-1].close(code=1012)
    banner = visit.page.get_by_text("The server is restarting — reconnecting…")
    expect(banner).to_be_visible()
    expect(connection).to_have_text("Reconnecting…")
    visit.server_is_away = False
    expect(banner).to_be_hidden()
    expect(connection).to_have_text("Connected")


def test_a_session_that_ended_is_announced_and_not_retried(visit: Visit, admin: User) -> None:
    visit.sign_in(admin)
    visit.go("/")
    expect(visit.page.locator("[data-part=connection]")).to_have_text("Connected")
    visit.sockets[-1].close(code=4401)
    expect(visit.page.get_by_text("You are signed out.")).to_be_visible()
    expect(visit.page.locator("[data-part=connection]")).to_have_text("Signed out")
    assert len(visit.sockets) == 1


def test_problems_of_the_server_are_in_the_status_bar(visit: Visit, admin: User, problems: list[str]) -> None:
    problems.extend(["The disk is full: nothing can be recorded.", "Redis does not answer."])
    visit.sign_in(admin)
    visit.go("/")
    bar = visit.page.get_by_role("contentinfo")
    expect(bar).to_contain_text("The disk is full: nothing can be recorded. (+1)")
    bar.get_by_role("button").click()
    expect(visit.page.get_by_role("dialog")).to_contain_text("Redis does not answer.")


def test_a_new_token_can_be_copied(visit: Visit, admin: User) -> None:
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.sign_in(admin)
    visit.go("/tokens/")
    visit.page.get_by_role("button", name="Make a token").first.click()
    visit.page.get_by_label("Name").fill("Grafana")
    visit.page.get_by_role("button", name="Make the token").click()
    plain = visit.page.get_by_label("The token").input_value()
    visit.page.get_by_role("button", name="Copy").click()
    expect(visit.page.get_by_role("button", name="Copied")).to_be_visible()
    assert visit.page.evaluate("navigator.clipboard.readText()") == plain
    assert tokens.user_of(plain) == admin


@pytest.mark.parametrize("visit", [PHONE], ids=["phone"], indirect=True)
def test_what_is_wrong_has_room_on_a_phone(
    visit: Visit, admin: User, fleet: dict[str, Camera], problems: list[str]
) -> None:
    problems.append("The disk is nearly full (12 MB free). Make room before recordings fail.")
    visit.sign_in(admin)
    visit.go("/")
    sentence = visit.page.locator("[data-part=problems]")
    expect(sentence).to_be_visible()
    boxes = [
        box
        for part in visit.page.locator(".statusbar > *:visible").all()
        if (box := part.bounding_box()) and box["width"] > 0
    ]
    edges = [(box["x"], box["x"] + box["width"]) for box in boxes]
    assert all(ends <= begins + 0.5 for (_, ends), (begins, _) in pairwise(edges)), edges
    assert edges[-1][1] <= PHONE[0]


def test_a_server_that_hangs_is_not_called_connected(visit: Visit, admin: User) -> None:
    visit.sign_in(admin)
    visit.go("/cameras/")
    state = visit.page.locator("[data-part=connection]")
    expect(state).to_have_text("Connected")
    held = []
    visit.page.route("**/status/", lambda route: held.append(route))  # taken and never answered
    expect(state).to_have_text("The server does not answer…")
    visit.page.unroute("**/status/")
    expect(state).to_have_text("Connected")


def test_a_new_device_shows_its_cameras_by_itself(visit: Visit, admin: User) -> None:
    visit.sign_in(admin)
    device = Device.objects.create(
        name="Gate", family="povcam", host="192.0.2.9", site=Site.objects.create(name="North"), state="online"
    )
    visit.go("/cameras/")
    expect(visit.page.get_by_role("heading", name="No pictures yet")).to_be_visible()
    expect(visit.page.locator("[data-part=connection]")).to_have_text("Connected")
    Camera.objects.create(device=device, number=1, name="Gate")
    visit.sockets[-1].send(f'{{"type": "device.changed", "device": {device.pk}}}')
    expect(visit.page.locator(f'.tile[data-device="{device.pk}"]')).to_be_visible()
