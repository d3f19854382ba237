"""Signing in and out, passwords, users, tokens and the audit, as pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import AsyncClient, Client
from django.utils import timezone

from accounts import audit, tokens
from accounts.grants import GrantSpec, grants_of
from accounts.models import ApiToken, AuditEntry, Role, User
from devices.models import Camera
from tests.pages.conftest import PASSWORD

pytestmark = pytest.mark.django_db

NEW = "another long passphrase"


def text(response: object) -> str:
    return response.content.decode()  # type: ignore[attr-defined, no-any-return]


# --- In and out -------------------------------------------------------------------------------------------------------
def test_a_wrong_password_is_refused_with_a_sentence(client: Client, admin: User) -> None:
    response = client.post("/sign-in/", {"username": "root", "password": "wrong"})
    assert response.status_code == 401
    assert "The user name or the password is wrong." in text(response)
    assert "wrong" not in re.findall(r'value="([^"]*)"', text(response))  # what was typed as password is not sent back


def test_an_empty_form_says_what_is_missing(client: Client, admin: User) -> None:
    response = client.post("/sign-in/", {"username": "", "password": ""})
    assert response.status_code == 400
    assert text(response).count("This field is required.") == 2


def test_too_many_failures_are_told_with_the_minutes_to_wait(client: Client, admin: User) -> None:
    for _ in range(5):
        response = client.post("/sign-in/", {"username": "root", "password": "wrong"})
    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 15 * 60
    assert "Try again in 15 minutes" in text(response)


def test_after_signing_in_one_is_where_one_wanted_to_go(client: Client, admin: User) -> None:
    assert client.get("/users/")["Location"] == "/sign-in/?next=%2Fusers%2F"
    response = client.post("/sign-in/", {"username": "root", "password": PASSWORD, "next": "/users/"})
    assert response["Location"] == "/users/"


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:1"])
def test_signing_in_never_leads_to_another_site(client: Client, admin: User, elsewhere: str) -> None:
    response = client.post("/sign-in/", {"username": "root", "password": PASSWORD, "next": elsewhere})
    assert response["Location"] == "/"


def test_signing_out_needs_a_post_and_ends_the_session(as_admin: Client) -> None:
    assert as_admin.get("/sign-out/").status_code == 405
    assert as_admin.post("/sign-out/")["Location"] == "/sign-in/"
    assert as_admin.get("/").status_code == 302


def test_a_password_from_somebody_else_must_be_changed_before_anything_opens(
    client: Client, person: Callable[..., User]
) -> None:
    user = person("olga", must_change_password=True)
    client.post("/sign-in/", {"username": "olga", "password": PASSWORD})
    assert client.get("/")["Location"] == "/password/"
    assert "Choose a password of your own" in text(client.get("/password/"))
    response = client.post("/password/", {"current": PASSWORD, "new": NEW, "again": NEW})
    assert response["Location"] == "/"
    assert client.get("/").status_code == 200
    user.refresh_from_db()
    assert user.check_password(NEW)


@pytest.mark.parametrize(
    ("current", "new", "again", "sentence"),
    [
        ("wrong", NEW, NEW, "That is not your present password."),
        (PASSWORD, "short", "short", "too short"),
        (PASSWORD, NEW, NEW + "x", "This is not the same as the new password above."),
        (PASSWORD, PASSWORD, PASSWORD, "differs from the present one"),
    ],
)
def test_a_new_password_is_refused_with_a_sentence(
    as_admin: Client, admin: User, current: str, new: str, again: str, sentence: str
) -> None:
    response = as_admin.post("/password/", {"current": current, "new": new, "again": again})
    assert response.status_code == 400
    assert sentence in text(response)
    admin.refresh_from_db()
    assert admin.check_password(PASSWORD)


# --- Users ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/users/", "/users/new/", "/audit/", "/audit.csv"])
@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_administrators_see_users_and_the_audit(
    client: Client, person: Callable[..., User], path: str, role: Role
) -> None:
    client.force_login(person("olga", role))
    response = client.get(path)
    assert response.status_code == 403
    assert "This needs the role administrator" in text(response)


def test_an_administrator_of_one_site_does_not_manage_users(
    client: Client, person: Callable[..., User], fleet: dict[str, Camera]
) -> None:
    client.force_login(person("olga", Role.ADMIN, fleet["Gate B"].device.site))
    assert client.get("/users/").status_code == 403
    page = text(client.get("/"))
    assert 'href="/users/"' not in page
    assert 'href="/audit/"' not in page


def test_a_user_is_added_with_grants_on_sites_and_cameras(as_admin: Client, fleet: dict[str, Camera]) -> None:
    site, camera = fleet["Gate B"].device.site, fleet["Parking East"]
    response = as_admin.post(
        "/users/new/",
        {
            "username": "olga",
            "full_name": "Olga Petrowa",
            "role": "operator",
            "password": PASSWORD,
            "reach": "chosen",
            "places": [f"site:{site.pk}", f"camera:{camera.pk}"],
        },
    )
    assert response["Location"] == "/users/"
    olga = User.objects.get(username="olga")
    assert (olga.role, olga.full_name, olga.must_change_password) == ("operator", "Olga Petrowa", True)
    assert set(grants_of(olga)) == {GrantSpec(site_id=site.pk), GrantSpec(camera_id=camera.pk)}
    assert "1 site, 1 camera" in text(as_admin.get("/users/"))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"username": "root"}, "There is a user root already."),
        ({"username": "not a name"}, "Use letters without accents"),
        ({"password": "short"}, "too short"),
        ({"role": "king"}, "king is not one of the available choices"),
        ({"places": ["site:999999"]}, "There is no site 999999."),
        ({"places": ["nonsense"]}, "Choose sites and cameras from the list."),
    ],
)
def test_a_bad_user_is_refused_with_a_sentence(as_admin: Client, changed: dict[str, object], sentence: str) -> None:
    good = {"username": "olga", "role": "viewer", "password": PASSWORD, "reach": "chosen"}
    response = as_admin.post("/users/new/", {**good, **changed})
    assert response.status_code in (400, 409)
    assert sentence in text(response)
    assert User.objects.count() == 1


def test_the_last_administrator_stays(as_admin: Client, admin: User) -> None:
    attempts = [
        ("disable/", {}),
        ("delete/", {"confirm": "root"}),
        ("", {"username": "root", "role": "viewer", "reach": "everything"}),
        ("", {"username": "root", "role": "admin", "reach": "chosen"}),
    ]
    for path, data in attempts:
        response = as_admin.post(f"/users/{admin.pk}/{path}", data)
        assert response.status_code == 409, path
        assert "This is the last active administrator with a grant on everything." in text(response)
    admin.refresh_from_db()
    assert admin.is_active
    assert admin.role == Role.ADMIN


def test_deleting_needs_the_name_typed(as_admin: Client, person: Callable[..., User]) -> None:
    olga = person("olga")
    response = as_admin.post(f"/users/{olga.pk}/delete/", {"confirm": "olgo"})
    assert response.status_code == 400
    assert "Nothing was deleted: type olga to confirm." in text(response)
    assert as_admin.post(f"/users/{olga.pk}/delete/", {"confirm": "olga"})["Location"] == "/users/"
    assert not User.objects.filter(pk=olga.pk).exists()


def test_a_user_is_disabled_and_enabled(as_admin: Client, person: Callable[..., User]) -> None:
    olga = person("olga")
    as_admin.post(f"/users/{olga.pk}/disable/")
    olga.refresh_from_db()
    assert not olga.is_active
    assert "Disabled" in text(as_admin.get("/users/"))
    as_admin.post(f"/users/{olga.pk}/enable/")
    olga.refresh_from_db()
    assert olga.is_active


def test_a_locked_out_user_is_shown_and_unlocked(as_admin: Client, person: Callable[..., User]) -> None:
    olga = person("olga")
    locked_out = Client()
    for _ in range(5):
        locked_out.post("/sign-in/", {"username": "olga", "password": "wrong"})
    assert "Locked out" in text(as_admin.get("/users/"))
    as_admin.post(f"/users/{olga.pk}/unlock/")
    assert locked_out.post("/sign-in/", {"username": "olga", "password": PASSWORD})["Location"] == "/"


def test_a_user_that_does_not_exist_is_not_found(as_admin: Client) -> None:
    assert as_admin.get("/users/999999/").status_code == 404
    assert as_admin.get("/users/99999999999999999999999/").status_code == 404


# --- Tokens -----------------------------------------------------------------------------------------------------------
def test_a_token_is_shown_once(as_admin: Client, admin: User) -> None:
    response = as_admin.post("/tokens/", {"name": "Grafana", "role": "viewer", "lifetime": "30", "reach": "everything"})
    assert response.status_code == 201
    assert response["Cache-Control"] == "no-store"
    plain = re.search(r'value="(vms_[^"]+)"', text(response)).group(1)  # type: ignore[union-attr]
    assert tokens.user_of(plain) == admin
    again = text(as_admin.get("/tokens/"))
    assert "Grafana" in again
    assert plain not in again
    token = ApiToken.objects.get()
    assert token.expires is not None
    assert timedelta(days=29) < token.expires - timezone.now() <= timedelta(days=30)


def test_a_token_is_narrowed_to_what_was_chosen(as_admin: Client, fleet: dict[str, Camera]) -> None:
    camera = fleet["Gate B"]
    form = {"name": "Gate", "role": "viewer", "lifetime": "never", "reach": "chosen"}
    refused = as_admin.post("/tokens/", form)
    assert refused.status_code == 400
    assert "Choose at least one site or camera" in text(refused)
    as_admin.post("/tokens/", {**form, "places": [f"camera:{camera.pk}"]})
    token = ApiToken.objects.get()
    assert grants_of(token) == [GrantSpec(camera_id=camera.pk)]
    assert token.expires is None


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"name": ""}, "This field is required."),
        ({"role": "admin"}, "admin is not one of the available choices"),
        ({"lifetime": "date"}, "Say the last day on which it shall work."),
        ({"lifetime": "date", "until": "tomorrow"}, "Write the day as 2026-11-30."),
        ({"lifetime": "date", "until": "2020-01-01"}, "The expiry lies in the past."),
    ],
)
def test_a_bad_token_is_refused_with_a_sentence(
    client: Client, person: Callable[..., User], changed: dict[str, str], sentence: str
) -> None:
    client.force_login(person("olga", Role.OPERATOR))
    good = {"name": "Grafana", "role": "viewer", "lifetime": "30", "reach": "everything"}
    response = client.post("/tokens/", {**good, **changed})
    assert response.status_code == 400
    assert sentence in text(response)
    assert not ApiToken.objects.exists()


def test_one_sees_and_revokes_ones_own_tokens_and_administrators_all(
    client: Client, as_admin: Client, admin: User, person: Callable[..., User]
) -> None:
    olga = person("olga")
    hers, _ = tokens.create(olga, olga, name="Hers")
    theirs, _ = tokens.create(admin, admin, name="Theirs")
    client.force_login(olga)
    page = text(client.get("/tokens/"))
    assert "Hers" in page
    assert "Theirs" not in page
    assert client.post(f"/tokens/{theirs.pk}/revoke/").status_code == 404
    assert "Hers" in text(as_admin.get("/tokens/"))
    as_admin.post(f"/tokens/{hers.pk}/revoke/")
    assert list(ApiToken.objects.all()) == [theirs]


# --- Audit ------------------------------------------------------------------------------------------------------------
def test_the_audit_is_searched_and_paged(as_admin: Client, admin: User) -> None:
    for number in range(60):
        audit.record(admin, "restart device", audit.About("device", "1", f"Gate {number}"))
    audit.record(admin, "format card", audit.About("device", "2", "Roof"), result="failed", slot=1)
    first, second = text(as_admin.get("/audit/")), text(as_admin.get("/audit/?page=2"))
    assert "Gate 59" in first
    assert "Gate 0<" not in first
    assert "Gate 0<" in second
    found = text(as_admin.get("/audit/?action=format+card&result=failed"))
    assert "1 entry found" in found
    assert "slot 1" in found
    assert "Nothing found" in text(as_admin.get("/audit/?text=Basement"))


@pytest.mark.parametrize(
    "query", ["since=yesterday", "result=maybe", "page=last&text=%00", "page=-7", "until=9999-99-99"]
)
def test_a_filter_that_makes_no_sense_is_no_failure(as_admin: Client, query: str) -> None:
    assert as_admin.get(f"/audit/?{query}").status_code == 200


def test_what_was_recorded_cannot_bring_markup_into_the_page(as_admin: Client, admin: User) -> None:
    audit.record(admin, "rename", audit.About("device", "1", "<script>alert(1)</script>"), name="<img src=x>")
    page = text(as_admin.get("/audit/"))
    assert "<script>alert" not in page
    assert "<img src=x>" not in page


@pytest.mark.django_db(transaction=True)
async def test_the_export_holds_what_the_filter_shows_and_is_recorded(admin: User) -> None:
    client = AsyncClient()
    await client.aforce_login(admin)
    await audit.arecord(admin, "restart device", audit.About("device", "1", "Gate"))
    await audit.arecord(admin, "format card", audit.About("device", "2", "=Roof"))
    response = await client.get("/audit.csv?action=format+card")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert 'filename="audit-' in response["Content-Disposition"]
    lines = b"".join([chunk async for chunk in response]).decode().splitlines()
    assert len(lines) == 2
    assert "'=Roof" in lines[1]  # not a formula
    assert await AuditEntry.objects.filter(action="export audit").aexists()
