"""Adding a device by hand: what is refused is said beside the field, what is added is on its way."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.test import Client

from accounts.models import AuditEntry, Role, User
from devices.models import Camera, Device, Site
from tests.devices.conftest import PASSWORD as DEVICE_PASSWORD
from tests.devices.conftest import USER, Simulator

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
    device = Device.objects.get()
    assert answer.redirect_chain == [(f"/devices/{device.pk}/", 302)]
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


# --- Finding out what it is -------------------------------------------------------------------------------------------
def probe(client: Client, **changes: Any) -> str:
    answer = client.post("/devices/add/probe/", typed(**changes), headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert "s3cret" not in answer.content.decode()
    return answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_what_answers_is_told_and_fills_the_form(
    as_admin: Client, simulator: Simulator, redis_client: redis.Redis
) -> None:
    page = probe(as_admin, host="127.0.0.1", port=str(simulator.port), username=USER, password=DEVICE_PASSWORD)
    assert "Panasonic POVCAM" in page
    assert "AG-UMR20" in page
    assert '<option value="povcam" selected>' in page
    assert not Device.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_name_that_was_typed_stays(as_admin: Client, simulator: Simulator, redis_client: redis.Redis) -> None:
    page = probe(
        as_admin, host="127.0.0.1", port=str(simulator.port), username=USER, password=DEVICE_PASSWORD, name="My gate"
    )
    assert 'value="My gate"' in page


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"host": "127.0.0.1", "port": "9"}, "Nothing answers at 127.0.0.1:9."),
        ({"host": "not a host!"}, "The host must be a name or an address"),
        ({"port": "many"}, "The port must be a number from 1 to 65535."),
    ],
)
def test_what_cannot_be_found_out_is_said_and_it_can_be_added_all_the_same(
    as_admin: Client, redis_client: redis.Redis, changes: dict[str, str], sentence: str
) -> None:
    page = probe(as_admin, **changes)
    assert sentence in page
    assert "Choose its family yourself" in page


@pytest.mark.django_db(transaction=True)
def test_a_wrong_password_is_said(as_admin: Client, simulator: Simulator, redis_client: redis.Redis) -> None:
    page = probe(as_admin, host="127.0.0.1", port=str(simulator.port), username=USER)
    assert "refuses our user name and password" in page


@pytest.mark.django_db(transaction=True)
def test_a_device_that_is_there_already_is_shown(as_admin: Client, saved_device: Device) -> None:
    page = probe(as_admin, host="127.0.0.1", port=str(saved_device.port), username=USER, password=DEVICE_PASSWORD)
    assert f'href="/devices/{saved_device.pk}/"' in page


def test_only_administrators_may_probe(person: Callable[..., User]) -> None:
    client = Client()
    client.force_login(person("olga", Role.OPERATOR))
    assert client.post("/devices/add/probe/", typed()).status_code == 403
