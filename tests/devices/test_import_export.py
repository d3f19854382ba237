"""The fleet as CSV: export is what import takes back; a dry run tells all and does nothing; what is hostile is refused
with its line."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import AuditEntry, Role
from devices import fleet_csv
from devices.models import Device, Site, Tag
from tests.devices.conftest import PASSWORD, Api

HEAD = "name,family,scheme,host,port,username,password,site,tags,enabled,options"


def send(api: Api, table: str | bytes, *, dry_run: bool = False) -> tuple[int, Any]:
    raw = table if isinstance(table, bytes) else table.encode()
    path = f"/api/v1/devices/import{'?dry_run=1' if dry_run else ''}"
    response = api.client.generic("POST", path, raw, "text/csv")
    assert PASSWORD.encode() not in response.content
    return response.status_code, response.json()


def export(api: Api) -> str:
    response = api.client.get("/api/v1/devices/export.csv")
    assert response.status_code == 200
    return response.content.decode()


def rows_of(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table)))


def everything() -> list[tuple[Any, ...]]:
    fields = ("name", "family", "scheme", "host", "port", "username", "site__name", "enabled", "options")
    rows = Device.objects.order_by("host", "port")
    tags = [tuple(sorted(tag.name for tag in row.tags.all())) for row in rows]
    passwords = [row.password.reveal() for row in rows]
    return list(zip(rows.values_list(*fields), tags, passwords, strict=True))


@pytest.fixture
def fleet(admin: Api) -> list[tuple[Any, ...]]:
    for site in ("Main site", "=HYPERLINK(1)"):
        Site.objects.create(name=site)
    common = {"family": "povcam", "password": PASSWORD}
    for each in (
        {"host": "10.0.0.1", "name": "=cmd|' /C calc'!A0", "username": "+root", "site": "=HYPERLINK(1)"},
        {"host": "10.0.0.2", "name": "'=quoted", "username": "'", "tags": ["-1", "yard, no".replace(",", "")]},
        {"host": "::1", "port": 8080, "name": "@ Gate \"north\"; 'a', b", "options": {"poll_seconds": 30}},
        {"host": "cam.example", "scheme": "https", "name": "Zürich 東京", "enabled": False, "username": " spaced "},
    ):
        status, error = admin("POST", "devices", common | each)
        assert status == 201, error
    return everything()


def test_export_is_what_import_takes_back_unchanged(admin: Api, fleet: list[Any]) -> None:
    table = export(admin)
    status, done = send(admin, table)
    assert status == 200, done
    assert (done["added"], done["changed"], done["unchanged"]) == (0, 0, 4)
    assert everything() == fleet
    assert export(admin) == table


def test_an_exported_fleet_can_be_brought_up_elsewhere(admin: Api, fleet: list[Any]) -> None:
    table = export(admin)
    Device.objects.all().delete()
    Site.objects.all().delete()
    status, done = send(admin, table)
    assert (status, done["added"]) == (200, 4)
    assert set(done["sites"]) == {"=HYPERLINK(1)", "Main site"}
    assert everything() == [(*rest, "") for *rest, _ in fleet], "all but the passwords"
    assert export(admin) == table


def test_no_secret_and_no_formula_leaves(admin: Api, fleet: list[Any]) -> None:
    table = export(admin)
    assert PASSWORD not in table
    assert all(row["password"] == "" for row in rows_of(table))
    for row in rows_of(table):
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")), cell


@given(st.text())
def test_defusing_is_undone_exactly(cell: str) -> None:
    assert fleet_csv.armed(fleet_csv.defused(cell)) == cell
    assert not fleet_csv.defused(cell).startswith(("=", "+", "-", "@", "\t", "\r"))


@given(st.text().filter(lambda text: not text.startswith("'")))
def test_what_needs_no_apostrophe_loses_none(cell: str) -> None:
    assert fleet_csv.armed(cell) == cell


def test_a_dry_run_tells_what_would_change_and_changes_nothing(admin: Api, fleet: list[Any]) -> None:
    table = (
        "host,family,name,site,tags,password,options\n"
        "10.0.0.1,povcam,New name,,a,,\n"
        "10.0.0.2,povcam,,,,secret-of-row-3,\n"
        '10.0.0.9,povcam,Added,East,,,"{""poll_seconds"": 60}"\n'
    )
    audited = AuditEntry.objects.count()
    status, done = send(admin, table, dry_run=True)
    assert status == 200, done
    assert done["dry_run"] is True
    assert (done["added"], done["changed"], done["unchanged"]) == (1, 2, 0)
    assert done["sites"] == ["East"]
    first, second, third = done["results"]
    assert (first["line"], first["action"], first["address"]) == (2, "change", "10.0.0.1:80")
    assert first["changes"] == {"name": ["=cmd|' /C calc'!A0", "New name"], "tags": ["", "a"]}
    assert second["changes"]["password"] == ["", ""], "that it changes, not what to"
    assert (third["line"], third["action"], third["name"]) == (4, "add", "Added")
    assert "secret-of-row-3" not in json.dumps(done)
    assert everything() == fleet
    assert not Site.objects.filter(name="East").exists()
    assert not Tag.objects.filter(name="a").exists()
    assert AuditEntry.objects.count() == audited

    status, real = send(admin, table)
    assert status == 200
    assert real["results"] == done["results"]
    assert Device.objects.get(host="10.0.0.2").password.reveal() == "secret-of-row-3"
    assert Device.objects.get(host="10.0.0.9").options == {"poll_seconds": 60}
    assert "secret-of-row-3" not in str(list(AuditEntry.objects.values()))
    assert AuditEntry.objects.filter(action="import devices").exists()


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"host,family,colour\n", "Line 1: there is no column 'colour'"),
        (b"host,family,host\n", "Line 1: the column host stands twice"),
        (b"host,name\n1.2.3.4,a\n", "Line 1: the column family is missing"),
        (b"host,family\n1.2.3.4,povcam,x\n", "Line 2: there are 3 cells"),
        (b"host,family\n1.2.3.4,povcam\n\xff\xfe,povcam\n", "Line 3: this is not UTF-8"),
        (b"host,family\n1.2.3.4,povcam\n1.2.3.5\x00,povcam\n", "Line 3: there is a NUL"),
        (b'host,family\n"1.2.3.4,povcam\n', "Line 2: this is not CSV"),
        (b"host,family\n" + b"a" * 5000 + b",povcam\n", "Line 2: a cell is longer"),
        (b"host,family\n1.2.3.4,betamax\n", "Line 2: There is no family"),
        (b"host,family\nhttp://a/,povcam\n", "Line 2: The host must be"),
        (b"host,family,port\n1.2.3.4,povcam,0\n", "Line 2: The port must be"),
        (b"host,family,port\n1.2.3.4,povcam,1e3\n", "Line 2: The port must be"),
        (b"host,family,scheme\n1.2.3.4,povcam,ftp\n", "Line 2: The scheme cannot be ftp"),
        (b"host,family,enabled\n1.2.3.4,povcam,maybe\n", "Line 2: Enabled must be yes or no"),
        (b"host,family,options\n1.2.3.4,povcam,[]\n", "Line 2: The options must be a JSON object"),
        (b'host,family,options\n1.2.3.4,povcam,"{""a"": 1}"\n', "Line 2: This family has no option a"),
        (b"host,family,options\n1.2.3.4,povcam,{\n", "Line 2: The options cannot be read"),
        (b"host,family\n1.2.3.4,povcam\n 1.2.3.4 ,povcam\n", "Line 3: 1.2.3.4:80 stands in line 2 already"),
        (b'host,family,name\n1.2.3.4,povcam,"a\nb"\n1.2.3.5,betamax,c\n', "Line 4: There is no family"),
        (b"host,family,name\n1.2.3.4,povcam," + b"n" * 101 + b"\n", "Line 2: The name is too long"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dry_run", [True, False])
def test_what_is_wrong_is_refused_with_its_line(admin: Api, table: bytes, sentence: str, dry_run: bool) -> None:
    status, error = send(admin, table, dry_run=dry_run)
    assert status == 400
    assert sentence in error["error"]
    assert not Device.objects.exists()


def test_one_wrong_row_keeps_all_others_out_and_all_are_named(admin: Api) -> None:
    table = "host,family\n10.0.0.1,povcam\n10.0.0.2,betamax\n10.0.0.3,povcam\nx y,povcam\n"
    status, error = send(admin, table)
    assert status == 400
    assert "Line 3:" in error["error"]
    assert "Line 5:" in error["error"]
    assert not Device.objects.exists()


def test_too_many_rows_are_refused(admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_csv, "MOST_ROWS", 2)
    table = "host,family\n" + "".join(f"10.0.0.{n},povcam\n" for n in range(3))
    status, error = send(admin, table)
    assert (status, "Line 4: import at most 2 devices" in error["error"]) == (400, True)


def test_what_spreadsheets_write_is_understood(admin: Api) -> None:
    table = "\ufeffHost;Family;Name;Enabled\r\n10.0.0.1;POVCAM;Tor;No\r\n\r\n;;;\r\n"
    status, done = send(admin, table)
    assert (status, done["added"]) == (200, 1), done
    assert Device.objects.values_list("name", "enabled").get() == ("Tor", False)


def test_a_file_of_a_form_is_taken_too(admin: Api) -> None:
    file = SimpleUploadedFile("fleet.csv", b"host,family\n10.0.0.1,povcam\n")
    response = admin.client.post("/api/v1/devices/import", {"file": file})
    assert (response.status_code, response.json()["added"]) == (200, 1)
    assert admin.client.post("/api/v1/devices/import", {"a": "b"}).status_code == 400


def test_only_what_one_may_reach_is_exported_and_changed(
    admin: Api, api_of: Callable[..., Api], fleet: list[Any]
) -> None:
    north = Site.objects.create(name="North")
    admin("POST", "devices", {"family": "povcam", "host": "10.1.0.1", "site": "North", "name": "Mine"})
    local = api_of(Role.ADMIN, north)
    assert [row["name"] for row in rows_of(export(local))] == ["Mine"]
    status, error = send(local, "host,family,name\n10.0.0.1,povcam,Taken\n")
    assert (status, "Line 2: There is a device at 10.0.0.1:80 already" in error["error"]) == (400, True)
    assert send(local, "host,family,site\n10.1.0.1,povcam,Main site\n")[0] == 400
    assert send(local, "host,family,site\n10.1.0.2,povcam,Nowhere\n")[0] == 400
    assert send(local, "host,family,name\n10.1.0.1,povcam,Renamed\n")[0] == 200
    for role in (Role.VIEWER, Role.OPERATOR):
        assert send(api_of(role), "host,family\n")[0] == 403
        assert api_of(role).client.get("/api/v1/devices/export.csv").status_code == 403


@pytest.fixture(autouse=True)
def _database(redis_client: Any, db: None) -> None:
    """Every test here has one."""
