"""Settings on their page: read from the device, changed, refused beside the field, asked about twice when dangerous."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import Role, User
from devices.models import Device, Snapshot
from tests.devices.conftest import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


def part(client: Client, path: str) -> str:
    """What the page asks for once it is there."""
    answer = client.get(path, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    return answer.content.decode()


def sent_as_shown(page: str, **changes: str) -> dict[str, str]:
    """The form as a browser sends it, after a person changed these values."""
    values = dict(re.findall(r'<input type="hidden" name="was\.([\w.]+)" value="(.*?)">', page))
    return {f"was.{name}": value for name, value in values.items()} | {
        f"to.{name}": changes.get(name, value) for name, value in values.items()
    }


def test_the_frame_is_there_before_the_device_has_answered(as_admin: Client, saved_device: Device) -> None:
    page = as_admin.get(f"/devices/{saved_device.pk}/settings/basic/").content.decode()
    assert "Reading the settings from the device…" in page
    assert "Time server (NTP)" in page
    answer = as_admin.get(f"/devices/{saved_device.pk}/settings/")
    assert answer.headers["Location"] == f"/devices/{saved_device.pk}/settings/priority/"


def test_a_group_is_read_in_the_words_of_the_document(as_admin: Client, saved_device: Device) -> None:
    page = part(as_admin, f"/devices/{saved_device.pk}/settings/h264/")
    assert "1280x720" in page
    assert "<code>h264_bandwidth_min</code>" in page
    assert "can be set only together with f_priority=2" in page
    assert "A whole number from 1024 to 51200." in page


def test_only_what_a_person_changed_is_sent_and_what_became_of_it_is_told(
    as_admin: Client, saved_device: Device, simulator: Simulator
) -> None:
    path = f"/devices/{saved_device.pk}/settings/basic/"
    answer = as_admin.post(path, sent_as_shown(part(as_admin, path), cam_title="North gate"))
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "The device has taken it:" in page
    assert "<ins>North gate</ins>" in page
    (sent,) = [target for target in simulator.targets if "set_basic" in target]
    assert sent == "/cgi-bin/set_basic?cam_title=North%20gate"
    assert Snapshot.objects.get().kind == "before"


def test_nothing_changed_means_nothing_sent(as_admin: Client, saved_device: Device, simulator: Simulator) -> None:
    path = f"/devices/{saved_device.pk}/settings/basic/"
    answer = as_admin.post(path, sent_as_shown(part(as_admin, path)))
    assert "Nothing was changed, so nothing was sent." in answer.content.decode()
    assert not any("set_basic" in target for target in simulator.targets)


def test_a_value_the_document_forbids_is_refused_beside_its_field(
    as_admin: Client, saved_device: Device, simulator: Simulator
) -> None:
    path = f"/devices/{saved_device.pk}/settings/ntp/"
    answer = as_admin.post(path, sent_as_shown(part(as_admin, path), ntp_port="70000"))
    page = answer.content.decode()
    assert answer.status_code == 400
    assert 'id="to-ntp_port-error"' in page
    assert "ntp_port cannot be" in page
    assert 'value="70000"' in page, "what was typed stays"
    assert not any(target.startswith("/cgi-bin/time?") for target in simulator.targets)


def test_a_secret_is_never_shown_and_stays_when_its_field_is_left_empty(
    as_admin: Client, saved_device: Device, simulator: Simulator
) -> None:
    path = f"/devices/{saved_device.pk}/settings/ftp/"
    done = as_admin.post(path, sent_as_shown(part(as_admin, path), password="SesameOpens99", username="vms"))
    assert done.status_code == 200
    assert "SesameOpens99" not in done.content.decode()
    assert "••••••" in done.content.decode()
    as_admin.post(path, sent_as_shown(part(as_admin, path), username="other"))
    sent = [target for target in simulator.targets if "set_ftp" in target]
    assert "password" not in sent[-1]


def test_a_dangerous_change_is_asked_about_twice(as_admin: Client, saved_device: Device, simulator: Simulator) -> None:
    path = f"/devices/{saved_device.pk}/settings/priority/"
    form = sent_as_shown(part(as_admin, path), mode="rec_pb_4k")
    first = as_admin.post(path, form)
    assert first.status_code == 409
    assert "Do you want this?" in first.content.decode()
    assert "Yes, change it" in first.content.decode()
    assert not any("set_priority_mode" in target for target in simulator.targets)
    assert as_admin.post(path, {**form, "confirm": "1"}).status_code == 200
    assert any("set_priority_mode" in target for target in simulator.targets)


def test_a_device_that_does_not_answer_is_told_with_the_next_step(as_admin: Client, saved_device: Device) -> None:
    Device.objects.update(port=9)
    page = part(as_admin, f"/devices/{saved_device.pk}/settings/basic/")
    assert "The device did not tell" in page
    assert "Check the address, the port and the power." in page


def test_a_disabled_device_is_not_asked(as_admin: Client, saved_device: Device, simulator: Simulator) -> None:
    Device.objects.update(enabled=False)
    page = part(as_admin, f"/devices/{saved_device.pk}/settings/basic/")
    assert "is disabled. Enable it first." in page
    assert simulator.targets == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_administrators_see_settings(person: Callable[..., User], saved_device: Device, role: Role) -> None:
    client = Client()
    client.force_login(person("olga", role))
    assert client.get(f"/devices/{saved_device.pk}/settings/basic/").status_code == 403
    assert "Settings</a>" not in client.get(f"/devices/{saved_device.pk}/").content.decode()


def test_what_the_device_has_not_is_not_there(as_admin: Client, saved_device: Device) -> None:
    assert as_admin.get(f"/devices/{saved_device.pk}/settings/colours/").status_code == 404
