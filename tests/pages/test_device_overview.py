"""The page of one device: who may look, who may touch, and what is refused with which sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import Grant, Role, User
from devices.models import Camera, Device, Site

pytestmark = pytest.mark.django_db


@pytest.fixture
def device(fleet: dict[str, Camera]) -> Device:
    return fleet["Parking East"].device


@pytest.fixture
def operator(person: Callable[..., User], device: Device) -> Client:
    client = Client()
    client.force_login(person("olga", Role.OPERATOR, device.site))
    return client


def typed(device: Device, **changes: str) -> dict[str, str]:
    fields = {name: str(getattr(device, name)) for name in ("name", "scheme", "host", "port", "username")}
    options = {
        "option_tls": "verify",
        "option_poll_seconds": "10",
        "option_transport": "auto",
        "option_rtsp_port": "554",
        "option_system_frequency": "59.94",
        "option_keep_alive_seconds": "30",
    }
    return {**fields, "site": device.site.name, "password": "", **options, **changes}


def test_what_a_device_does_not_tell_is_said_to_be_so(as_admin: Client, device: Device) -> None:
    device.status = {"now": {"recording": None, "free_gb": 57.0, "cards": [{"slot": 1, "size_gb": None}]}}
    device.serial = "S7TQ12930"
    device.save()
    page = as_admin.get(f"/devices/{device.pk}/").content.decode()
    assert '<dt>Recording</dt><dd><span class="unknown">not told</span></dd>' in page
    assert "<dt>Free</dt><dd>57 GB</dd>" in page
    assert "S7TQ12930" in page
    assert '<td><span class="unknown">not told</span></td>' in page


def test_who_may_watch_sees_it_and_is_offered_no_change(operator: Client, device: Device) -> None:
    page = operator.get(f"/devices/{device.pk}/").content.decode()
    assert "Ask now" in page
    for offer in ("Edit<", "Disable<", "Delete…<"):
        assert offer not in page


def test_a_device_one_may_not_see_does_not_exist(operator: Client, fleet: dict[str, Camera]) -> None:
    hidden = fleet["Gate B"].device
    assert operator.get(f"/devices/{hidden.pk}/").status_code == 404
    assert operator.post(f"/devices/{hidden.pk}/poll/").status_code == 404
    assert operator.get("/devices/999999/").status_code == 404


@pytest.mark.parametrize("path", ["edit/", "enable/", "delete/", "accept/", "trust/"])
def test_who_may_only_watch_changes_nothing(operator: Client, device: Device, path: str) -> None:
    assert operator.post(f"/devices/{device.pk}/{path}", {"confirm": device.name}).status_code == 403
    device.refresh_from_db()
    assert device.enabled


def test_an_administrator_of_one_camera_does_not_own_the_device(person: Callable[..., User], device: Device) -> None:
    other = Camera.objects.create(device=device, number=2, name="Second")
    user = person("carl", Role.ADMIN, Site.objects.create(name="Elsewhere"))
    Grant.objects.create(user=user, camera=other)
    client = Client()
    client.force_login(user)
    page = client.get(f"/devices/{device.pk}/").content.decode()
    assert "Second" in page
    assert "Parking East<" not in page
    assert "Delete…<" not in page
    assert client.post(f"/devices/{device.pk}/delete/", {"confirm": device.name}).status_code == 403


def test_a_device_is_disabled_and_enabled(as_admin: Client, device: Device) -> None:
    answer = as_admin.post(f"/devices/{device.pk}/enable/", follow=True)
    assert "is disabled: it is not asked any more" in answer.content.decode()
    assert not Device.objects.get(pk=device.pk).enabled
    as_admin.post(f"/devices/{device.pk}/enable/", {"on": "1"})
    assert Device.objects.get(pk=device.pk).enabled


def test_it_is_deleted_only_with_its_name_typed(as_admin: Client, device: Device) -> None:
    answer = as_admin.post(f"/devices/{device.pk}/delete/", {"confirm": "parking"})
    assert answer.status_code == 400
    assert f"Nothing was deleted: type {device.name} to confirm." in answer.content.decode()
    assert as_admin.post(f"/devices/{device.pk}/delete/", {"confirm": device.name}).status_code == 302
    assert not Device.objects.filter(pk=device.pk).exists()


def test_it_is_edited_and_a_password_left_empty_stays(as_admin: Client, device: Device) -> None:
    device.password = "s3cret word"
    device.save()
    changes = typed(device, name="Parking West", option_poll_seconds="30", site="South", tags="night, perimeter")
    assert as_admin.post(f"/devices/{device.pk}/edit/", changes).status_code == 302
    device = Device.objects.get(pk=device.pk)
    assert (device.name, device.site.name, device.options) == ("Parking West", "South", {"poll_seconds": 30})
    assert [tag.name for tag in device.tags.all()] == ["night", "perimeter"]
    assert device.password == "s3cret word"
    assert "s3cret" not in as_admin.get(f"/devices/{device.pk}/edit/").content.decode()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": ""}, "This field is required."),
        ({"host": "not a host!"}, "The host must be a name or an address"),
        ({"host": "192.0.2.2"}, "There is a device at 192.0.2.2:80 already."),
        ({"option_poll_seconds": "1"}, "Ensure this value is greater than or equal to 2."),
        ({"option_tls": "maybe"}, "Select a valid choice."),
        ({"site": "Atlantis"}, "Select a valid choice."),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(
    as_admin: Client, device: Device, changes: dict[str, str], sentence: str
) -> None:
    answer = as_admin.post(f"/devices/{device.pk}/edit/", typed(device, **changes))
    assert answer.status_code in (400, 409)
    assert sentence in answer.content.decode()
    device.refresh_from_db()
    assert (device.name, device.host, device.options) == ("Parking East device", "192.0.2.1", {})


def test_a_disabled_device_is_not_asked(as_admin: Client, device: Device) -> None:
    Device.objects.update(enabled=False)
    answer = as_admin.post(f"/devices/{device.pk}/poll/", follow=True)
    assert "is disabled. Enable it first." in answer.content.decode()


def test_a_certificate_that_changed_is_trusted_by_an_administrator_only(as_admin: Client, device: Device) -> None:
    Device.objects.update(certificate="aa" * 32, certificate_offered="bb" * 32)
    assert "BB:BB:BB:BB" in as_admin.get(f"/devices/{device.pk}/").content.decode()
    as_admin.post(f"/devices/{device.pk}/trust/")
    device.refresh_from_db()
    assert (device.certificate, device.certificate_offered) == ("bb" * 32, "")


def test_a_replacement_is_accepted_only_where_there_is_one(as_admin: Client, device: Device) -> None:
    answer = as_admin.post(f"/devices/{device.pk}/accept/", follow=True)
    assert "has not been replaced" in answer.content.decode()
    Device.objects.filter(pk=device.pk).update(state="replaced", mac="00:11:22:33:44:55")
    as_admin.post(f"/devices/{device.pk}/accept/")
    device.refresh_from_db()
    assert (device.state, device.mac) == ("unknown", None)


@pytest.mark.parametrize(("role", "offered"), [(Role.VIEWER, False), (Role.OPERATOR, True)])
def test_who_may_record_is_offered_it(person: Callable[..., User], device: Device, role: Role, offered: bool) -> None:
    client = Client()
    client.force_login(person("olga", role))
    page = client.get(f"/devices/{device.pk}/").content.decode()
    assert (f'data-call="devices/{device.pk}/recording"' in page) is offered
    assert "Restart it" not in page.partition("<main")[2].partition("</main>")[0]


def test_only_families_with_a_documented_way_offer_a_new_password(as_admin: Client, device: Device) -> None:
    assert "Change its password…" not in as_admin.get(f"/devices/{device.pk}/").content.decode()
    Device.objects.update(family="ipcam")
    assert "Change its password…" in as_admin.get(f"/devices/{device.pk}/").content.decode()
