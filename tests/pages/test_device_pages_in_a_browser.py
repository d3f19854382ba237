"""The pages about devices by keyboard and as they change by themselves."""

from __future__ import annotations

import json

import pytest
import redis
from playwright.sync_api import expect

from accounts.models import User
from devices import history
from devices.models import Camera, Device, Snapshot, State
from tests.devices.conftest import PASSWORD, USER, Simulator
from tests.pages.conftest import Visit
from tests.pages.test_in_a_browser import both_sizes, check

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TABS = [
    "settings/h264/",
    "settings/network/",
    "cameras/",
    "history/",
    "log/",
    "storage/",
    "sessions/",
    "exchanges/",
    "console/",
    "console/set_h264/",
]


@both_sizes
@pytest.mark.parametrize("tab", TABS)
def test_the_tabs_of_a_device_are_accessible_and_fit(visit: Visit, tab: str, admin: User, saved_device: Device) -> None:
    Snapshot.objects.create(device=saved_device, kind="manual", values={"basic": {"cam_title": "Hall"}})
    Camera.objects.create(device=saved_device, number=1, name="Hall")
    visit.sign_in(admin)
    visit.go(f"/devices/{saved_device.pk}/{tab}")
    expect(visit.page.locator(".skeleton")).to_have_count(0)
    check(visit, tab)


@both_sizes
def test_a_device_that_does_not_answer_says_so_and_stays_usable(
    visit: Visit, admin: User, fleet: dict[str, Camera]
) -> None:
    device = fleet["Gate B"].device
    Device.objects.filter(pk=device.pk).update(host="127.0.0.1", port=9)
    visit.sign_in(admin)
    visit.go(f"/devices/{device.pk}/settings/ftp/")
    expect(visit.page.get_by_text("The device did not tell")).to_be_visible()
    check(visit, "settings of a device that is away")


def test_the_list_is_walked_and_opened_by_keyboard(visit: Visit, admin: User, fleet: dict[str, Camera]) -> None:
    visit.sign_in(admin)
    visit.go("/")
    keyboard = visit.page.keyboard
    keyboard.press("g")
    keyboard.press("d")
    visit.page.wait_for_url("**/devices/")
    links = visit.page.locator("#fleet tbody th a")
    keyboard.press("ArrowDown")
    expect(links.nth(0)).to_be_focused()
    keyboard.press("ArrowDown")
    keyboard.press("x")
    expect(visit.page.get_by_label("Select Corridor device")).to_be_checked()
    keyboard.press("Escape")
    expect(visit.page.get_by_label("Select Corridor device")).not_to_be_checked()
    keyboard.press("Enter")
    visit.page.wait_for_url(f"**/devices/{fleet['Corridor'].device_id}/")


def test_the_list_is_searched_while_typing(visit: Visit, admin: User, fleet: dict[str, Camera]) -> None:
    visit.sign_in(admin)
    visit.go("/devices/")
    visit.page.keyboard.press("/")
    visit.page.keyboard.type("gate")
    expect(visit.page.locator("#fleet tbody tr")).to_have_count(1)
    assert "text=gate" in visit.page.url
    assert visit.complaints == []


def test_the_list_tells_of_changes_and_keeps_what_was_selected(
    visit: Visit, admin: User, fleet: dict[str, Camera]
) -> None:
    visit.sign_in(admin)
    visit.go("/devices/")
    device = fleet["Gate B"].device
    row = visit.page.locator(f"#fleet tr[data-device='{device.pk}']")
    visit.page.get_by_label("Select Gate B device").check()
    visit.sockets[-1].send(
        json.dumps({"type": "device.state", "device": device.pk, "state": "unauthorised", "error": "Refused."})
    )
    expect(row).to_contain_text("Unauthorised")
    expect(row).to_contain_text("Refused.")
    Device.objects.filter(pk=device.pk).update(model="AG-UMR20")
    visit.sockets[-1].send(f'{{"type": "device.changed", "device": {device.pk}}}')
    expect(row).to_contain_text("AG-UMR20")
    expect(visit.page.get_by_label("Select Gate B device")).to_be_checked()


def test_the_page_of_a_device_keeps_itself_up_to_date(visit: Visit, admin: User, fleet: dict[str, Camera]) -> None:
    device = fleet["Gate B"].device
    visit.sign_in(admin)
    visit.go(f"/devices/{device.pk}/")
    expect(visit.page.get_by_text("Nothing answers at this address.")).to_be_visible()
    Device.objects.filter(pk=device.pk).update(
        state="online", last_error="", status={"now": {"recording": True}}, serial="S7TQ12930"
    )
    visit.sockets[-1].send(f'{{"type": "device.state", "device": {device.pk}, "name": "Gate B", "state": "online"}}')
    expect(visit.page.locator(".topbar")).to_contain_text("Online")
    expect(visit.page.locator("#overview")).to_contain_text("S7TQ12930")
    expect(visit.page.get_by_text("Nothing answers at this address.")).to_be_hidden()


def test_a_device_is_deleted_only_when_its_name_was_typed(visit: Visit, admin: User, fleet: dict[str, Camera]) -> None:
    device = fleet["Gate B"].device
    visit.sign_in(admin)
    visit.go(f"/devices/{device.pk}/")
    visit.page.get_by_role("button", name="Delete…").click()
    last = visit.page.get_by_role("button", name="Delete the device")
    expect(last).to_be_disabled()
    visit.page.get_by_label("Type Gate B device to confirm").fill("Gate B device")
    last.click()
    visit.page.wait_for_url("**/devices/")
    expect(visit.page.get_by_text("Gate B device is deleted.")).to_be_visible()


def test_events_show_as_they_happen(visit: Visit, admin: User, fleet: dict[str, Camera]) -> None:
    visit.sign_in(admin)
    visit.go("/")
    visit.page.keyboard.press("g")
    visit.page.keyboard.press("e")
    visit.page.wait_for_url("**/events/")
    device = fleet["Gate B"].device
    history.state_changed(device, State.ONLINE, "")
    visit.sockets[-1].send(json.dumps({"type": "device.state", "device": device.pk, "name": "B", "state": "online"}))
    expect(visit.page.locator("#events")).to_contain_text("Gate B device is online.")


def test_selected_devices_are_acted_upon_by_the_bar(visit: Visit, admin: User, fleet: dict[str, Camera]) -> None:
    visit.sign_in(admin)
    visit.go("/devices/?site=South")
    bar = visit.page.get_by_role("region", name="With the selected devices")
    expect(bar).to_be_hidden()
    visit.page.get_by_label("Select all devices shown").check()
    expect(bar).to_contain_text("3 devices selected")
    check(visit, "the list with a selection")
    visit.page.get_by_role("button", name="Tags…").click()
    dialog = visit.page.get_by_role("dialog", name="Tags")
    dialog.get_by_label("Tags").fill("perimeter")
    dialog.get_by_role("button", name="Add").click()
    expect(visit.page.locator(".toast")).to_contain_text("3 devices are tagged.")
    expect(visit.page.locator("#fleet tbody .tag")).to_have_count(3)
    assert visit.page.url.endswith("/devices/?site=South")


def test_a_table_is_imported(visit: Visit, admin: User, fleet: dict[str, Camera]) -> None:
    visit.sign_in(admin)
    visit.go("/devices/import/")
    table = b"name,family,host,site\nNew gate,povcam,127.0.0.9,North\n"
    visit.page.get_by_label("File").set_input_files({"name": "devices.csv", "mimeType": "text/csv", "buffer": table})
    expect(visit.page.locator("#found")).to_contain_text("1 to add")
    check(visit, "a table looked at")
    visit.page.get_by_role("button", name="Import them").click()
    visit.page.wait_for_url("**/devices/")
    expect(visit.page.locator("#fleet")).to_contain_text("New gate")


def test_a_device_is_found_out_about_and_added(
    visit: Visit, admin: User, simulator: Simulator, redis_client: redis.Redis
) -> None:
    visit.sign_in(admin)
    visit.go("/devices/add/")
    visit.page.get_by_label("Address").fill("127.0.0.1")
    visit.page.get_by_label("Port").fill(str(simulator.port))
    visit.page.get_by_label("User name").fill(USER)
    visit.page.get_by_label("Password", exact=False).first.fill(PASSWORD)
    visit.page.get_by_role("button", name="Find out what it is").click()
    expect(visit.page.locator("#found")).to_contain_text("Panasonic POVCAM answers.")
    expect(visit.page.get_by_label("Family")).to_have_value("povcam")
    check(visit, "what was found")
    visit.page.get_by_role("button", name="Add the device").click()
    expect(visit.page.locator(".subnav")).to_be_visible()
    assert Device.objects.get().password == PASSWORD


def test_a_device_is_told_to_record_from_its_page(
    visit: Visit, admin: User, saved_device: Device, simulator: Simulator
) -> None:
    visit.sign_in(admin)
    visit.go(f"/devices/{saved_device.pk}/")
    visit.page.get_by_role("button", name="Record", exact=True).click()
    expect(visit.page.locator(".toast")).to_contain_text("Gate was told to record.")
    assert any("sdctrl" in target and "save=start" in target for target in simulator.targets)


def test_a_restart_is_confirmed_first(visit: Visit, admin: User, saved_device: Device, simulator: Simulator) -> None:
    visit.sign_in(admin)
    visit.go(f"/devices/{saved_device.pk}/")
    visit.page.get_by_text("More", exact=True).click()
    visit.page.get_by_role("button", name="Restart it…").click()
    dialog = visit.page.get_by_role("dialog", name="Restart Gate?")
    expect(dialog).to_contain_text("a running recording end")
    check(visit, "asked about a restart")
    assert not any("restart" in target or "reboot" in target for target in simulator.targets)
    dialog.get_by_role("button", name="Restart it").click()
    expect(visit.page.locator(".toast")).to_contain_text("Gate was told to restart.")
