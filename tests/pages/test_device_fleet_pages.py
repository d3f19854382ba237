"""Many devices at once: the bar below the list, and the table that is imported."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import redis
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import Role, User
from devices.models import Camera, Device, Site

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _redis(redis_client: redis.Redis) -> None:
    """Devices that change are looked at again, which Redis is told."""


def words(page: bytes) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.decode()).split())


def ids(fleet: dict[str, Camera], *names: str) -> list[int]:
    return [fleet[name].device_id for name in names]


# --- The bar ----------------------------------------------------------------------------------------------------------
def test_several_are_disabled_and_moved_at_once(as_admin: Client, fleet: dict[str, Camera]) -> None:
    chosen = ids(fleet, "Gate B", "Roof")
    answer = as_admin.post("/devices/bulk/", {"device": chosen, "action": "disable", "back": "site=South"})
    assert answer.headers["Location"] == "/devices/?site=South"
    assert list(Device.objects.filter(enabled=False).values_list("pk", flat=True)) == chosen
    as_admin.post("/devices/bulk/", {"device": chosen, "action": "move", "site": "North"})
    assert Device.objects.filter(site__name="North").count() == 4


def test_tags_are_given_and_taken_away(as_admin: Client, fleet: dict[str, Camera]) -> None:
    chosen = ids(fleet, "Gate B", "Roof")
    as_admin.post("/devices/bulk/", {"device": chosen, "action": "tag", "tags": "night, perimeter"})
    as_admin.post("/devices/bulk/", {"device": chosen[:1], "action": "untag", "tags": "night"})
    assert [tag.name for tag in Device.objects.get(pk=chosen[0]).tags.all()] == ["perimeter"]
    assert [tag.name for tag in Device.objects.get(pk=chosen[1]).tags.all()] == ["night", "perimeter"]


def test_what_failed_is_told_by_name_and_the_rest_is_done(as_admin: Client, fleet: dict[str, Camera]) -> None:
    Device.objects.filter(name="Gate B device").update(enabled=False)
    Device.objects.filter(name="Roof device").update(host="127.0.0.1", port=9)
    chosen = ids(fleet, "Gate B", "Roof")
    page = words(as_admin.post("/devices/bulk/", {"device": chosen, "action": "poll"}, follow=True).content)
    assert "Gate B device: Gate B device is disabled. Enable it first." in page
    assert "Roof device: Nothing answers at 127.0.0.1:9." in page


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({"action": "explode"}, "The action must be one of"),
        ({"action": "enable", "device": ["x"]}, "Name from 1 to"),
        ({"action": "move"}, "Say which site to move them to."),
    ],
)
def test_nonsense_is_refused_with_a_sentence(
    as_admin: Client, fleet: dict[str, Camera], sent: dict[str, list[str]], sentence: str
) -> None:
    sent = {"device": [str(fleet["Roof"].device_id)], **sent}
    assert sentence in words(as_admin.post("/devices/bulk/", sent, follow=True).content)


def test_an_administrator_of_one_site_touches_only_its_devices(
    person: Callable[..., User], fleet: dict[str, Camera]
) -> None:
    client = Client()
    client.force_login(person("nora", Role.ADMIN, Site.objects.get(name="North")))
    chosen = ids(fleet, "Corridor", "Gate B")
    page = words(client.post("/devices/bulk/", {"device": chosen, "action": "disable"}, follow=True).content)
    assert "1 device is disabled." in page
    assert "A device: There is no such device." in page
    assert "Gate B" not in page
    assert Device.objects.get(pk=chosen[1]).enabled


@pytest.mark.parametrize("path", ["/devices/bulk/", "/devices/import/"])
def test_others_may_not(person: Callable[..., User], fleet: dict[str, Camera], path: str) -> None:
    client = Client()
    client.force_login(person("olga", Role.OPERATOR))
    assert client.post(path, {"action": "disable", "device": ids(fleet, "Roof")}).status_code == 403


# --- The table --------------------------------------------------------------------------------------------------------
TABLE = "name,family,host,password,site\nNew gate,povcam,192.0.2.99,s3cret word,East\nRoof west,povcam,192.0.2.4,,\n"


def table(text: str) -> SimpleUploadedFile:
    return SimpleUploadedFile("devices.csv", text.encode(), "text/csv")


def test_a_table_is_looked_at_before_it_is_taken_in(as_admin: Client, fleet: dict[str, Camera]) -> None:
    looked = as_admin.post("/devices/import/", {"table": table(TABLE)}, headers={"HX-Request": "true"})
    page = words(looked.content)
    assert "1 to add" in page
    assert "1 to change" in page
    assert "New sites: East" in page
    assert "name Roof device → Roof west" in page
    assert "s3cret" not in looked.content.decode()
    assert Device.objects.count() == 6
    (digest,) = re.findall(r'name="checked" value="([0-9a-f]{64})"', looked.content.decode())
    done = as_admin.post("/devices/import/", {"table": table(TABLE), "checked": digest, "apply": "1"}, follow=True)
    assert "1 added, 1 changed, 0 as they were." in words(done.content)
    assert Device.objects.get(host="192.0.2.99").password == "s3cret word"
    assert Device.objects.filter(name="Roof west", site__name="South").exists()


def test_another_table_than_was_looked_at_is_looked_at_first(as_admin: Client, fleet: dict[str, Camera]) -> None:
    answer = as_admin.post("/devices/import/", {"table": table(TABLE), "checked": "0" * 64, "apply": "1"})
    assert "The file has changed since you looked at it." in words(answer.content)
    assert Device.objects.count() == 6


def test_the_export_taken_back_changes_nothing(as_admin: Client, fleet: dict[str, Camera]) -> None:
    exported = as_admin.get("/api/v1/devices/export.csv").content.decode()
    answer = as_admin.post("/devices/import/", {"table": table(exported)})
    assert "Nothing would change" in words(answer.content)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The table is empty."),
        ("name\nx\n", "the column family is missing"),
        ("family,host\npovcam,not a host!\n", "Line 2: The host must be"),
        ("family,host,colour\n", "there is no column 'colour'"),
    ],
)
def test_what_is_wrong_with_a_table_is_told_with_its_line(as_admin: Client, text: str, sentence: str) -> None:
    answer = as_admin.post("/devices/import/", {"table": table(text)})
    assert answer.status_code == 400
    assert sentence in answer.content.decode().replace("&#x27;", "'")


def test_without_a_file_one_is_asked_for(as_admin: Client) -> None:
    assert "Choose the file first." in as_admin.post("/devices/import/").content.decode()
