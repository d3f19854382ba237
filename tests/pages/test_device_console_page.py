"""The console, the exchanges, and what the device itself tells: on their pages, for whom they are meant."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import AuditEntry, Role, User
from devices.models import Camera, Device
from tests.devices.conftest import PASSWORD, Simulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def page_of(saved_device: Device) -> str:
    return f"/devices/{saved_device.pk}/"


def part(client: Client, path: str) -> str:
    return client.get(path, headers={"HX-Request": "true"}).content.decode()


def test_the_whole_document_is_offered(as_admin: Client, page_of: str) -> None:
    page = as_admin.get(f"{page_of}console/").content.decode()
    assert page.count("data-filter-item") > 60
    assert "Section 11" in page


def test_a_command_is_run_and_its_answer_told(as_admin: Client, page_of: str, simulator: Simulator) -> None:
    answer = as_admin.post(f"{page_of}console/get_basic/")
    assert answer.status_code == 200
    assert "Answered with 200" in answer.content.decode()
    assert "<dt><code>cam_title</code></dt>" in answer.content.decode()
    assert AuditEntry.objects.filter(action="run command").exists()


def test_what_is_left_empty_is_left_out(as_admin: Client, page_of: str, simulator: Simulator) -> None:
    form = {"was.cam_title": "", "to.cam_title": "North", "was.plugin_disp": "", "to.plugin_disp": ""}
    assert as_admin.post(f"{page_of}console/set_basic/", form).status_code == 200
    assert "/cgi-bin/set_basic?cam_title=North" in simulator.targets


def test_a_parameter_the_document_forbids_is_refused_beside_its_field(
    as_admin: Client, page_of: str, simulator: Simulator
) -> None:
    answer = as_admin.post(f"{page_of}console/set_basic/", {"to.cam_title": "x" * 300})
    assert answer.status_code == 400
    assert 'id="to-cam_title-error"' in answer.content.decode()
    assert simulator.targets == []


def test_a_dangerous_command_is_asked_about_twice(as_admin: Client, page_of: str, simulator: Simulator) -> None:
    form = {"to.mode": "rec_pb"}
    first = as_admin.post(f"{page_of}console/set_priority_mode/", form)
    assert first.status_code == 409
    assert "Yes, run it" in first.content.decode()
    assert not any("set_priority_mode" in target for target in simulator.targets)
    assert as_admin.post(f"{page_of}console/set_priority_mode/", {**form, "confirm": "1"}).status_code == 200


def test_a_secret_parameter_is_hidden_everywhere(as_admin: Client, page_of: str) -> None:
    form = {"to.password": "SesameOpens99", "to.username": "vms"}
    answer = as_admin.post(f"{page_of}console/set_ftp/", form)
    assert "SesameOpens99" not in answer.content.decode()
    exchanges = as_admin.get(f"{page_of}exchanges/").content.decode()
    assert "set_ftp" in exchanges
    assert "SesameOpens99" not in exchanges
    assert PASSWORD not in exchanges


def test_what_was_said_is_listed_newest_first(as_admin: Client, page_of: str) -> None:
    assert "Nothing was said lately" in as_admin.get(f"{page_of}exchanges/").content.decode()
    as_admin.post(f"{page_of}console/get_basic/")
    as_admin.post(f"{page_of}console/get_network/")
    page = as_admin.get(f"{page_of}exchanges/").content.decode()
    assert 0 < page.index("/cgi-bin/get_network") < page.index("/cgi-bin/get_basic")


def test_a_command_the_document_has_not_is_not_there(as_admin: Client, page_of: str) -> None:
    assert as_admin.get(f"{page_of}console/open_sesame/").status_code == 404


@pytest.mark.parametrize("path", ["console/", "console/get_basic/", "exchanges/", "log/"])
def test_these_are_for_administrators(person: Callable[..., User], page_of: str, path: str) -> None:
    client = Client()
    client.force_login(person("olga", Role.OPERATOR))
    assert client.get(page_of + path).status_code == 403


# --- What the device tells --------------------------------------------------------------------------------------------
def test_the_log_of_the_device_is_read(as_admin: Client, page_of: str) -> None:
    assert "Reading the device" in as_admin.get(f"{page_of}log/").content.decode()
    assert "Power on" in part(as_admin, f"{page_of}log/")


def test_its_cards_are_told_to_who_may_watch(person: Callable[..., User], page_of: str) -> None:
    client = Client()
    client.force_login(person("olga", Role.VIEWER))
    page = part(client, f"{page_of}storage/")
    assert "slot 1" in page
    assert "GB" in page
    assert '<span class="unknown">not told</span>' in page


def test_a_wrong_password_is_told_with_the_next_step(as_admin: Client, page_of: str, saved_device: Device) -> None:
    saved_device.password = "wrong"
    saved_device.save()
    assert "refuses our user name and password. Correct them" in part(as_admin, f"{page_of}log/")


def test_nothing_held_is_said(as_admin: Client, page_of: str) -> None:
    assert "We hold nothing on it" in as_admin.get(f"{page_of}sessions/").content.decode()


def test_a_family_shows_only_what_it_has(as_admin: Client, fleet: dict[str, Camera]) -> None:
    device = fleet["Gate B"].device
    Device.objects.filter(pk=device.pk).update(family="hama")
    page = as_admin.get(f"/devices/{device.pk}/").content.decode()
    assert f"/devices/{device.pk}/settings/" in page
    for missing in ("log/", "storage/"):
        assert f"/devices/{device.pk}/{missing}" not in page
        assert as_admin.get(f"/devices/{device.pk}/{missing}").status_code == 404


def test_an_empty_value_is_sent_when_that_is_said(as_admin: Client, page_of: str, simulator: Simulator) -> None:
    page = as_admin.get(f"{page_of}console/set_basic/").content.decode()
    assert 'name="empty.cam_title"' in page
    assert 'name="empty.plugin_disp"' not in page, "a choice has no empty value"
    form = {"to.cam_title": "", "empty.cam_title": "1", "to.plugin_disp": ""}
    assert as_admin.post(f"{page_of}console/set_basic/", form).status_code == 200
    assert [target for target in simulator.targets if "set_basic" in target] == ["/cgi-bin/set_basic?cam_title="]
    form["to.cam_title"] = "North"
    as_admin.post(f"{page_of}console/set_basic/", form)
    assert simulator.targets[-1].endswith("cam_title=North"), "what was typed is meant"


def test_our_own_log_in_is_not_changed_by_hand(as_admin: Client, saved_device: Device) -> None:
    Device.objects.update(family="ipcam", port=9)
    answer = as_admin.post(f"/devices/{saved_device.pk}/console/set_system/", {"to.AdminPassword": "another1"})
    assert answer.status_code == 409
    assert 'id="to-AdminPassword-error"' in answer.content.decode()
    assert "Yes, run it" not in answer.content.decode()
    assert "another1" not in answer.content.decode()


def test_a_uid_need_not_be_entered_and_what_was_lent_is_told(
    as_admin: Client, page_of: str, simulator: Simulator
) -> None:
    path = f"{page_of}console/keep_alive/"
    page = as_admin.get(path).content.decode()
    assert "Left out, one is lent for this command and given back." in page
    answer = as_admin.post(path, {"to.mode": "h.264", "to.protocol": "rtp", "to.UID": ""}).content.decode()
    assert "Answered with 20" in answer
    assert "It was run with a UID that was lent for it and given back." in answer
    assert simulator.sessions == []
    assert simulator.violations == []
