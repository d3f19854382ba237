"""The audit: added to, read, never changed; and nothing secret in it."""

import csv
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts import audit
from accounts.models import AppendOnly, AuditEntry, User
from accounts.secrets import MASK, Secret
from devices.models import Camera


def test_an_entry_outlives_whom_and_what_it_tells_of(
    new_user: Callable[..., User], new_camera: Callable[..., Camera]
) -> None:
    user, camera = new_user("ann"), new_camera("Gate")
    audit.record(audit.Actor(user, "10.0.0.1"), "goto preset", camera, preset=3)
    ids = (user.pk, str(camera.pk))
    user.delete()
    camera.delete()
    entry = AuditEntry.objects.get()
    assert (entry.user_id, entry.thing_id) == ids
    assert (entry.user_name, entry.address, entry.thing_type, entry.thing_name) == ("ann", "10.0.0.1", "camera", "Gate")
    assert entry.detail == {"preset": 3}


def test_an_entry_cannot_be_changed_or_removed_through_models(db: None) -> None:
    entry = audit.record(None, "test")
    entry.action = "something else"
    ways: list[Callable[[], object]] = [
        entry.save,
        entry.delete,
        lambda: entry.save(force_update=True),
        lambda: AuditEntry.objects.update(action="x"),
        lambda: AuditEntry.objects.filter(pk=entry.pk).delete(),
        lambda: AuditEntry.objects.bulk_update([entry], ["action"]),
        lambda: AuditEntry._base_manager.all().delete(),
        lambda: AuditEntry._base_manager.update(action="x"),
        lambda: AuditEntry.objects.bulk_create(
            [entry], update_conflicts=True, update_fields=["action"], unique_fields=["id"]
        ),
        lambda: AuditEntry.objects.update_or_create(pk=entry.pk, defaults={"action": "x"}),
    ]
    for way in ways:
        with pytest.raises(AppendOnly):
            way()
    assert AuditEntry.objects.get().action == "test"


def test_a_new_entry_cannot_replace_an_old_one(db: None) -> None:
    entry = audit.record(None, "test")
    with pytest.raises(DatabaseError), transaction.atomic():
        AuditEntry(pk=entry.pk, action="something else").save()
    assert AuditEntry.objects.get().action == "test"


def test_the_database_itself_refuses_to_change_an_entry(db: None) -> None:
    audit.record(None, "test")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_auditentry SET action = 'something else'")
    assert AuditEntry.objects.get().action == "test"


def test_retention_removes_what_is_old_and_says_so(admin: User) -> None:
    now = timezone.now()
    AuditEntry.objects.bulk_create(AuditEntry(action="old", at=now - timedelta(days=days)) for days in (400, 300, 1))
    assert audit.forget_before(now - timedelta(days=365), admin) == 1
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.action, entry.user_name, entry.detail["entries"]) == ("forget audit", "root", 1)
    assert AuditEntry.objects.count() == 3


@pytest.mark.parametrize(
    "key",
    [
        "password", "Password", "new_password", "wifi_passwd", "PASSWORD1", "secret", "clientSecret", "token",
        "api_token", "apiKey", "key", "private_key", "UID", "uid", "pwd", "Authorization", "cookie", "sessionid",
        "pin", "credentials",
    ],
)  # fmt: skip
def test_values_under_secret_sounding_keys_are_masked(db: None, key: str) -> None:
    detail = audit.record(None, "test", settings={"deep": [{key: "s3cret"}]}, **{key: "s3cret"}).detail
    assert "s3cret" not in str(detail)
    assert MASK in str(detail)


@pytest.mark.parametrize("key", ["name", "guide", "fluid", "keyboard", "pinned", "author", "speed", "monkey", "preset"])
def test_values_under_plain_keys_are_kept(db: None, key: str) -> None:
    assert audit.record(None, "test", **{key: "plain"}).detail == {key: "plain"}


def test_secrets_are_masked_wherever_they_stand(db: None) -> None:
    detail = audit.record(None, "test", changed=[Secret("s3cret")], address="http://ann:s3cret@gate.test/x").detail
    assert "s3cret" not in str(detail)
    assert "gate.test" in str(detail)


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(2**70), 2**70) | st.text() | st.binary() | st.datetimes(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    max_leaves=20,
)


@given(JSON_LIKE)
def test_any_detail_is_made_fit_for_any_database(value: object) -> None:
    text = json.dumps(audit.redacted(value), allow_nan=False, ensure_ascii=False)
    text.encode()  # no half characters
    assert "\\u0000" not in text


def test_a_detail_is_not_endless(db: None) -> None:
    nested: list[object] = []
    for _ in range(100):
        nested = [nested]
    detail = audit.record(None, "test", text="x" * 100_000, rows=list(range(100_000)), nested=nested).detail
    assert len(str(detail)) < 3000


def test_what_a_stranger_typed_is_recorded_safely(db: None) -> None:
    entry = audit.record(audit.Actor(name="a\x00\ud800" + "b" * 1000), "sign in", result="failed")
    assert len(AuditEntry.objects.get(pk=entry.pk).user_name) <= 64


def test_entries_are_found_by_who_what_when_and_text(
    new_user: Callable[..., User], new_camera: Callable[..., Camera]
) -> None:
    ann, bob, gate = new_user("ann"), new_user("bob"), new_camera("Gate")
    first = audit.record(ann, "goto preset", gate)
    second = audit.record(audit.Actor(bob, "10.9.9.9"), "sign in", result="failed")
    assert list(audit.search()) == [second, first]
    assert list(audit.search(who="ANN")) == [first]
    assert list(audit.search(action="sign in")) == [second]
    assert list(audit.search(thing_type="camera", thing_id=str(gate.pk))) == [first]
    assert list(audit.search(result="failed")) == [second]
    assert list(audit.search(text="gat")) == [first]
    assert list(audit.search(text="10.9")) == [second]
    assert list(audit.search(since=second.at)) == [second]
    assert list(audit.search(until=second.at)) == [first]


def test_the_export_has_every_entry_once_and_no_formula(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "ROWS_PER_CHUNK", 2)
    nasty = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", 'a"b,c\nd', "plain"]
    for name in nasty:
        audit.record(audit.Actor(name=name), "sign in", result="failed")
    rows = list(csv.DictReader("".join(audit.csv_chunks(audit.search())).splitlines(keepends=True)))
    names = [row["user"] for row in reversed(rows)]
    assert len(names) == len(nasty)
    assert not any(name.startswith(("=", "+", "-", "@", "\t", "\r")) for name in names)
    assert [name.removeprefix("'") for name in names] == nasty
