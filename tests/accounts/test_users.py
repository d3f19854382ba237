"""Making, changing and removing users, and the administrator that must stay."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from accounts import tokens, users
from accounts.grants import EVERYTHING, GrantSpec, grants_of
from accounts.models import AuditEntry, Role, User
from accounts.problems import LastAdministrator, Problem
from accounts.sockets import _users_of_sessions
from devices.models import Camera
from tests.accounts.people import PASSWORD


def test_a_user_is_made_with_role_grants_and_an_entry_in_the_audit(
    admin: User, new_camera: Callable[..., Camera]
) -> None:
    site = new_camera().device.site
    user = users.create_user(
        admin, username="Ann", password=PASSWORD, role=Role.OPERATOR, grants=[GrantSpec(site_id=site.pk)]
    )
    assert user.check_password(PASSWORD)
    assert user.must_change_password, "somebody else has chosen the password"
    assert grants_of(user) == [GrantSpec(site_id=site.pk)]
    entry = AuditEntry.objects.get(action="create user")
    assert (entry.user_name, entry.thing_name, entry.detail["grants"]) == ("root", "Ann", [f"site {site.pk}"])


@pytest.mark.parametrize("username", ["", "a b", "a\n", "é", "x" * 65, "a\x00", "../a", "<b>"])
def test_a_user_name_is_plain(admin: User, username: str) -> None:
    with pytest.raises(Problem) as caught:
        users.create_user(admin, username=username, password=PASSWORD)
    assert (caught.value.status, caught.value.field) == (400, "username")


def test_two_users_cannot_differ_by_capitals_alone(admin: User) -> None:
    with pytest.raises(Problem) as caught:
        users.create_user(admin, username="ROOT", password=PASSWORD)
    assert (caught.value.status, caught.value.field) == (409, "username")


@pytest.mark.parametrize("password", ["short", "password123", "annannannann", "a" * 1001, "long enough \x00 NUL"])
def test_a_bad_password_is_refused_with_the_reason(admin: User, password: str) -> None:
    with pytest.raises(Problem) as caught:
        users.create_user(admin, username="annannann", password=password)
    assert (caught.value.status, caught.value.field) == (400, "password")


def test_a_grant_is_about_something_that_exists(admin: User) -> None:
    with pytest.raises(Problem, match="There is no camera 12345"):
        users.create_user(admin, username="ann", password=PASSWORD, grants=[GrantSpec(camera_id=12345)])
    assert not User.objects.filter(username="ann").exists()


def test_a_change_leaves_what_is_not_given(admin: User, new_user: Callable[..., User]) -> None:
    user = users.update_user(admin, new_user("ann", Role.OPERATOR, everything=True), full_name="Ann Example")
    assert (user.full_name, user.role, grants_of(user)) == ("Ann Example", Role.OPERATOR, [EVERYTHING])
    assert AuditEntry.objects.get().detail == {"changed": {"full_name": ["", "Ann Example"]}}


def test_a_password_set_by_somebody_else_must_be_changed(admin: User, new_user: Callable[..., User]) -> None:
    user = users.update_user(admin, new_user("ann"), password="another good password")
    assert user.must_change_password
    assert user.check_password("another good password")
    with pytest.raises(Problem, match="your own password"):
        users.update_user(admin, admin, password="another good password")


LOSSES: dict[str, Callable[[User], object]] = {
    "deleted": lambda user: users.delete_user(None, user),
    "disabled": lambda user: users.update_user(None, user, is_active=False),
    "demoted": lambda user: users.update_user(None, user, role=Role.OPERATOR),
    "stripped of its grant": lambda user: users.update_user(None, user, grants=[]),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_the_last_administrator_cannot_be(admin: User, new_user: Callable[..., User], loss: str) -> None:
    new_user("ann", Role.ADMIN)  # without a grant on everything
    new_user("bob", Role.ADMIN, everything=True, is_active=False)
    new_user("cat", Role.OPERATOR, everything=True)
    with pytest.raises(LastAdministrator) as caught:
        LOSSES[loss](admin)
    assert caught.value.status == 409
    again = User.objects.get(pk=admin.pk)
    assert (again.is_active, again.role, grants_of(again)) == (True, Role.ADMIN, [EVERYTHING])
    assert not AuditEntry.objects.exists(), "what did not happen is not recorded as done"


@pytest.mark.parametrize("loss", LOSSES)
def test_an_administrator_beside_another_can_be(admin: User, new_user: Callable[..., User], loss: str) -> None:
    LOSSES[loss](new_user("ann", Role.ADMIN, everything=True))
    with pytest.raises(LastAdministrator):
        LOSSES[loss](admin)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("loss", LOSSES)
def test_two_administrators_cannot_lose_each_other_at_once(new_user: Callable[..., User], loss: str) -> None:
    both = [new_user(name, Role.ADMIN, everything=True) for name in ("ann", "bob")]
    at_once = threading.Barrier(2)
    refused = []

    def lose(user: User) -> None:
        try:
            at_once.wait(10)
            LOSSES[loss](user)
        except LastAdministrator:
            refused.append(user)
        finally:
            connection.close()

    threads = [threading.Thread(target=lose, args=(user,)) for user in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(refused) == 1
    assert users._administrators().count() == 1


def test_disabling_ends_a_users_sessions_for_good_and_rests_their_tokens(
    admin: User, new_user: Callable[..., User], client: Client
) -> None:
    user = new_user("ann", everything=True)
    _, plain = tokens.create(None, user, name="robot")
    client.force_login(user)
    assert client.get("/api/v1/me").status_code == 200
    users.update_user(admin, user, full_name="Ann")
    assert client.get("/api/v1/me").status_code == 200, "other changes end nothing"
    users.update_user(admin, user, is_active=False)
    assert client.get("/api/v1/me").status_code == 401
    assert tokens.user_of(plain) is None
    users.update_user(admin, user, is_active=True)
    assert client.get("/api/v1/me").status_code == 401
    assert not _users_of_sessions([client.cookies["sessionid"].value]), "nor for sockets"
    assert tokens.user_of(plain) == user
    client.force_login(User.objects.get(pk=user.pk))
    assert client.get("/api/v1/me").status_code == 200


def test_a_session_made_with_an_earlier_key_goes_on_after_a_disabling(
    admin: User, new_user: Callable[..., User], client: Client, settings: Settings
) -> None:
    user = new_user("ann")
    users.update_user(admin, user, is_active=False)
    client.force_login(users.update_user(admin, user, is_active=True))
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "x" * 50
    assert client.get("/api/v1/me").status_code == 200


def test_the_first_administrator_gets_a_one_time_password(db: None) -> None:
    password = users.first_administrator("admin", None)
    user = User.objects.get()
    assert password
    assert user.check_password(password)
    assert (user.role, user.must_change_password, grants_of(user)) == (Role.ADMIN, True, [EVERYTHING])
    assert users.first_administrator("other", None) is None
    assert User.objects.count() == 1


def test_a_password_given_for_the_first_administrator_is_kept(db: None) -> None:
    assert users.first_administrator("admin", PASSWORD) is None
    user = User.objects.get()
    assert user.check_password(PASSWORD)
    assert not user.must_change_password


def test_a_weak_password_for_the_first_administrator_is_refused(db: None) -> None:
    with pytest.raises(Problem):
        users.first_administrator("admin", "short")
    assert not User.objects.exists()


def test_grants_go_with_the_thing_they_are_about(
    new_user: Callable[..., User], new_camera: Callable[..., Camera]
) -> None:
    camera = new_camera()
    user = new_user("ann", cameras=(camera,))
    camera.delete()
    assert grants_of(user) == []


def test_the_one_time_password_file_goes_when_an_administrator_has_signed_in(
    admin: User, new_user: Callable[..., User], settings: Settings, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    (tmp_path / users.ONE_TIME_PASSWORD_FILE).write_text("secret")
    users.forget_one_time_password(new_user("ann"))
    assert (tmp_path / users.ONE_TIME_PASSWORD_FILE).exists()
    users.forget_one_time_password(admin)
    users.forget_one_time_password(admin)
    assert not (tmp_path / users.ONE_TIME_PASSWORD_FILE).exists()
