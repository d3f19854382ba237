"""Users, tokens, oneself and the audit over the API."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, AuditEntry, Role, User
from devices.models import Camera
from tests.api.caller import PASSWORD, Caller


def test_a_user_is_made_read_changed_and_removed(call: Caller, camera: Camera) -> None:
    made = call(
        "POST",
        "users",
        {
            "username": "ann",
            "password": PASSWORD,
            "role": "operator",
            "grants": [{"site": camera.device.site_id}, {"camera": camera.pk}],
        },
    )
    assert made.status_code == 201
    user = made.json()
    assert "password" not in user
    assert user["grants"] == [{"site": camera.device.site_id}, {"camera": camera.pk}]
    address = f"users/{user['id']}"
    assert call("GET", address).json() == user

    changed = call("PATCH", address, {"role": "viewer", "enabled": False, "grants": [{"everything": True}]}).json()
    assert changed == {**user, "role": "viewer", "enabled": False, "grants": [{"everything": True}]}
    assert call("PATCH", address, {}).json() == changed

    assert call("DELETE", address).status_code == 204
    assert call("GET", address).status_code == 404
    assert call("DELETE", address).status_code == 404
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions[-3:] == ["create user", "change user", "delete user"]


def test_the_last_administrator_stays(call: Caller, admin: User) -> None:
    for body in ({"role": "viewer"}, {"enabled": False}, {"grants": []}):
        assert call("PATCH", f"users/{admin.pk}", body).status_code == 409
    assert call("DELETE", f"users/{admin.pk}").status_code == 409


def test_a_user_may_be_made_to_choose_a_password(call: Caller) -> None:
    body = {"username": "ann", "password": PASSWORD, "must_change_password": True}
    assert call("POST", "users", body).json()["must_change_password"]
    body = {"username": "bob", "password": PASSWORD}
    made = call("POST", "users", body).json()
    assert not made["must_change_password"]
    assert call("PATCH", f"users/{made['id']}", {"password": "another good password"}).json()["must_change_password"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_administrators_of_everything_manage_users(user_with: Callable[..., User], role: Role) -> None:
    for caller in (Caller(user_with("ann", role, everything=True)), Caller(user_with("bob", Role.ADMIN))):
        for method, path in (("GET", "users"), ("POST", "users"), ("DELETE", "users/1"), ("GET", "audit")):
            assert caller(method, path).status_code == 403


def test_refused_attempts_are_in_the_audit(user_with: Callable[..., User]) -> None:
    caller = Caller(user_with("ann", everything=True))
    caller("DELETE", "users/1")
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.user_name, entry.token_name, entry.action, entry.result) == ("ann", "test", "manage users", "refused")
    assert entry.detail == {"route": "DELETE /api/v1/users/1"}


def test_lists_come_in_pages(call: Caller, user_with: Callable[..., User]) -> None:
    for n in range(5):
        user_with(f"user{n}")
    page = call("GET", "users?limit=2&offset=1").json()
    assert page["count"] == 6
    assert [user["username"] for user in page["results"]] == ["user0", "user1"]
    assert call("GET", "users?offset=100").json() == {"count": 6, "results": []}


def test_a_list_of_users_asks_the_database_a_fixed_number_of_times(
    call: Caller, user_with: Callable[..., User], django_assert_max_num_queries: Callable[..., object]
) -> None:
    for n in range(20):
        user_with(f"user{n}", everything=True)
    call("GET", "me")  # notes the use of the token, once a minute
    with django_assert_max_num_queries(8):  # type: ignore[attr-defined]
        assert len(call("GET", "users").json()["results"]) == 21


def test_an_administrator_lifts_a_lock_out(call: Caller, user_with: Callable[..., User]) -> None:
    user = user_with("ann")
    browser = Client()
    for _ in range(6):
        browser.post("/sign-in/", {"username": "ann", "password": "wrong"})
    assert call("POST", f"users/{user.pk}/unlock").status_code == 204
    assert AuditEntry.objects.filter(action="unlock user", thing_name="ann").exists()


# --- Tokens -----------------------------------------------------------------------------------------------------------
def test_a_token_is_shown_once(call: Caller) -> None:
    made = call("POST", "tokens", {"name": "robot", "role": "viewer"})
    assert made.status_code == 201
    token = made.json()
    assert Client(headers={"Authorization": f"Bearer {token['token']}"}).get("/api/v1/me").json()["role"] == "viewer"
    assert token["token"] not in call("GET", "tokens").content.decode()


def test_one_sees_and_deletes_ones_own_tokens_and_administrators_all(
    call: Caller, admin: User, user_with: Callable[..., User]
) -> None:
    ann = Caller(user_with("ann", Role.VIEWER))
    mine = ann("POST", "tokens", {"name": "mine"}).json()["id"]
    foreign = ApiToken.objects.get(user=admin).pk
    assert {token["username"] for token in ann("GET", "tokens").json()["results"]} == {"ann"}
    assert ann("DELETE", f"tokens/{foreign}").status_code == 404
    assert {token["username"] for token in call("GET", "tokens").json()["results"]} == {"ann", "root"}
    assert ann("DELETE", f"tokens/{mine}").status_code == 204
    other = ann("POST", "tokens", {"name": "other"}).json()["id"]
    assert call("DELETE", f"tokens/{other}").status_code == 204


def test_a_token_for_somebody_else_is_made_by_administrators_only(call: Caller, user_with: Callable[..., User]) -> None:
    ann, bob = user_with("ann"), user_with("bob")
    made = call("POST", "tokens", {"name": "for ann", "user": ann.pk}).json()
    assert (made["username"], made["role"]) == ("ann", "viewer")
    assert Caller(ann)("POST", "tokens", {"name": "for bob", "user": bob.pk}).status_code == 403
    assert call("POST", "tokens", {"name": "x", "user": 999}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""}, {"name": "x", "role": "admin"}, {"name": "x", "expires": "2001-01-01T00:00:00Z"},
        {"name": "x", "expires": "soon"}, {"name": "x", "expires": 1700000000}, {"name": "x", "role": None},
        {"name": "x", "grants": [{"site": 12345}]}, {"name": "x", "expires": "9999-12-31T23:59:59-14:00"},
    ],
)  # fmt: skip
def test_a_bad_token_is_refused(user_with: Callable[..., User], body: dict[str, object]) -> None:
    assert Caller(user_with("ann", Role.OPERATOR))("POST", "tokens", body).status_code == 400


def test_a_narrowed_token_reaches_less_than_its_user(call: Caller, camera: Camera) -> None:
    other = Camera.objects.create(device=camera.device, number=2, name="Yard")
    expires = (timezone.now() + timedelta(days=1)).isoformat()
    body = {"name": "narrow", "grants": [{"camera": camera.pk}], "expires": expires}
    plain = call("POST", "tokens", body).json()["token"]
    narrow = Client(headers={"Authorization": f"Bearer {plain}"})
    assert narrow.get(f"/api/v1/cameras/{camera.pk}").status_code == 200
    assert narrow.get(f"/api/v1/cameras/{other.pk}").status_code == 404
    assert narrow.get("/api/v1/users").status_code == 403


def test_a_token_left_without_grants_says_that_it_is_narrowed(call: Caller, camera: Camera) -> None:
    made = call("POST", "tokens", {"name": "narrow", "grants": [{"camera": camera.pk}]}).json()
    assert (made["narrowed"], made["grants"]) == (True, [{"camera": camera.pk}])
    assert not call("POST", "tokens", {"name": "wide"}).json()["narrowed"]
    other = Camera.objects.create(device=camera.device, number=2, name="Yard")
    camera.delete()
    narrow = Client(headers={"Authorization": f"Bearer {made['token']}"})
    assert narrow.get("/api/v1/cameras").json()["count"] == 0
    assert narrow.get(f"/api/v1/cameras/{other.pk}").status_code == 404
    (told,) = [each for each in call("GET", "tokens").json()["results"] if each["id"] == made["id"]]
    assert (told["narrowed"], told["grants"]) == (True, [])


def test_a_token_sees_and_revokes_itself_and_what_can_do_no_more(call: Caller, admin: User, camera: Camera) -> None:
    yard = Camera.objects.create(device=camera.device, number=2, name="Yard")
    gate_only, everything = [{"camera": camera.pk}], [{"everything": True}]
    made = {
        name: call("POST", "tokens", {"name": name, **body}).json()
        for name, body in {
            "all": {},
            "viewer": {"role": "viewer"},
            "viewer of everything": {"role": "viewer", "grants": everything},
            "viewer at gate": {"role": "viewer", "grants": gate_only},
            "operator at gate": {"role": "operator", "grants": gate_only},
            "viewer at both": {"role": "viewer", "grants": [*gate_only, {"camera": yard.pk}]},
            "viewer of the site": {"role": "viewer", "grants": [{"site": camera.device.site_id}]},
        }.items()
    }

    def seen_by(name: str) -> set[str]:
        answer = Client(headers={"Authorization": f"Bearer {made[name]['token']}"}).get("/api/v1/tokens")
        return {each["name"] for each in answer.json()["results"]} - {"test"}

    assert seen_by("all") == set(made)
    assert seen_by("viewer") == seen_by("viewer of everything") == {each for each in made if each.startswith("viewer")}
    assert seen_by("viewer at gate") == {"viewer at gate"}
    assert seen_by("operator at gate") == {"operator at gate", "viewer at gate"}
    assert seen_by("viewer at both") == {"viewer at both", "viewer at gate"}
    assert seen_by("viewer of the site") == {"viewer of the site", "viewer at both", "viewer at gate"}

    narrow = Client(headers={"Authorization": f"Bearer {made['viewer at gate']['token']}"})
    for name in set(made) - {"viewer at gate"}:
        assert narrow.delete(f"/api/v1/tokens/{made[name]['id']}").status_code == 404
    assert narrow.delete(f"/api/v1/tokens/{made['viewer at gate']['id']}").status_code == 204
    assert narrow.get("/api/v1/tokens").status_code == 401


def test_a_token_whose_user_was_lowered_still_sees_itself(user_with: Callable[..., User]) -> None:
    user = user_with("ann", Role.ADMIN, everything=True)
    caller = Caller(user)
    User.objects.filter(pk=user.pk).update(role=Role.VIEWER)
    assert [each["name"] for each in caller("GET", "tokens").json()["results"]] == ["test"]


# --- Oneself ----------------------------------------------------------------------------------------------------------
def test_me(call: Caller, admin: User) -> None:
    assert call("GET", "me").json() == {
        "id": admin.pk,
        "username": "root",
        "full_name": "",
        "role": "admin",
        "must_change_password": False,
        "grants": [{"everything": True}],
        "token": "test",
    }


def test_one_changes_ones_password(user_with: Callable[..., User]) -> None:
    user = user_with("ann", must_change_password=True)
    browser = Client()
    browser.force_login(user)
    body = {"current": PASSWORD, "new": "an even better password"}
    wrong = browser.post("/api/v1/me/password", {**body, "current": "x"}, content_type="application/json")
    assert (wrong.status_code, wrong.json()["field"]) == (400, "current")
    assert browser.post("/api/v1/me/password", body, content_type="application/json").status_code == 204
    assert browser.get("/api/v1/me").json()["role"] == "viewer"


def test_a_token_does_not_change_its_users_password(call: Caller, admin: User) -> None:
    answer = call("POST", "me/password", {"current": PASSWORD, "new": "an even better password"})
    assert answer.status_code == 403
    assert "browser" in answer.json()["error"]
    assert User.objects.get(pk=admin.pk).check_password(PASSWORD)
    assert AuditEntry.objects.filter(action="change password", result="refused", token_name="test").exists()


def test_guessing_the_present_password_is_locked_out(user_with: Callable[..., User]) -> None:
    browser = Client()
    browser.force_login(user_with("ann"))
    bodies = [{"current": f"guess {n}", "new": "an even better password"} for n in range(6)]
    statuses = [browser.post("/api/v1/me/password", body, content_type="application/json") for body in bodies]
    assert [answer.status_code for answer in statuses] == [400] * 4 + [429] * 2
    assert int(statuses[-1].headers["Retry-After"]) > 800


# --- Audit ------------------------------------------------------------------------------------------------------------
def test_the_audit_is_searched_and_exported(call: Caller, user_with: Callable[..., User]) -> None:
    user_with("bob")
    call("POST", "users", {"username": "ann", "password": PASSWORD})
    page = call("GET", "audit?action=create%20user&text=an").json()
    assert page["count"] == 1
    (entry,) = page["results"]
    assert entry["username"] == "root"
    assert entry["address"] == "127.0.0.1"
    assert entry["thing"] == {"type": "user", "id": entry["thing"]["id"], "name": "ann"}
    assert call("GET", "audit?until=2001-01-01T00:00:00Z").json()["count"] == 0
    assert call("GET", "audit?since=2001-01-01T00:00:00").json()["count"] >= 1
    assert call("GET", f"audit?who=root&thing_type=user&thing_id={entry['thing']['id']}").json()["count"] == 1
