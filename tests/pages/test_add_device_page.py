"""Adding a device by hand: what is refused is said beside the field, what is added is on its way."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEntry, Role, User
from devices.models import Camera, Device, Site

pytestmark = pytest.mark.django_db


def typed(**changes: Any) -> dict[str, Any]:
    return {
        "family": "povcam",
        "scheme": "http",
        "host": "192.0.2.77",
        "username": "admin",
        "password": "s3cret word",
        "site": "Main site",
        **changes,
    }


def test_a_device_is_added_with_its_address_and_log_in(as_admin: Client) -> None:
    answer = as_admin.post("/devices/add/", typed(), follow=True)
    assert answer.redirect_chain == [("/", 302)]
    device = Device.objects.get()
    assert (device.name, device.host, device.port, str(device.site)) == ("192.0.2.77", "192.0.2.77", 80, "Main site")
    assert device.password == "s3cret word"
    assert "192.0.2.77 was added and is being asked what it is." in answer.content.decode()
    assert AuditEntry.objects.filter(action="add device", thing_name=device.name).exists()
    assert not any("s3cret" in str(entry.detail) for entry in AuditEntry.objects.all())


def test_a_site_can_be_added_on_the_way(as_admin: Client) -> None:
    as_admin.post("/devices/add/", typed(new_site="North gate"))
    assert str(Device.objects.get().site) == "North gate"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"host": ""}, "This field is required."),
        ({"host": "not a host!"}, "host"),
        ({"port": "70000"}, "Ensure this value is less than or equal to 65535."),
        ({"family": "toaster"}, "Select a valid choice."),
        ({"site": "Elsewhere"}, "Select a valid choice."),
    ],
)
def test_what_cannot_be_is_said_and_adds_nothing(as_admin: Client, changes: dict[str, str], sentence: str) -> None:
    answer = as_admin.post("/devices/add/", typed(**changes))
    assert answer.status_code == 400
    assert sentence in answer.content.decode()
    assert "s3cret" not in answer.content.decode()
    assert not Device.objects.exists()


def test_an_address_that_is_taken_is_said(as_admin: Client, fleet: dict[str, Camera]) -> None:
    answer = as_admin.post("/devices/add/", typed(host="192.0.2.1"))
    assert answer.status_code == 400
    assert "There is a device at 192.0.2.1:80 already." in answer.content.decode()


def test_an_administrator_of_one_site_adds_devices_there_only(
    person: Callable[..., User], fleet: dict[str, Camera]
) -> None:
    north = Site.objects.get(name="North")
    client = Client()
    client.force_login(person("nora", Role.ADMIN, north))
    page = client.get("/devices/add/").content.decode()
    assert "North" in page
    assert "South" not in page
    assert "New site" not in page
    assert client.post("/devices/add/", typed(site="South")).status_code == 400
    assert client.post("/devices/add/", typed(site="North")).status_code == 302


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_administrators_add_devices(person: Callable[..., User], role: Role) -> None:
    client = Client()
    client.force_login(person("olga", role))
    assert client.get("/devices/add/").status_code == 403
    assert client.post("/devices/add/", typed()).status_code == 403
    assert not Device.objects.exists()
