"""The life of an API token."""

import threading
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from accounts import tokens
from accounts.grants import GrantSpec, grants_of
from accounts.models import ApiToken, Role, User
from accounts.problems import Problem
from devices.models import Camera


def test_a_token_speaks_for_its_user(admin: User) -> None:
    token, plain = tokens.create(admin, admin, name="robot", role=Role.VIEWER)
    user = tokens.user_of(plain)
    assert user == admin
    assert user is not None
    assert user.acting_token == token


def test_only_a_digest_of_the_token_is_kept(admin: User) -> None:
    token, plain = tokens.create(admin, admin, name="robot")
    kept = [str(value) for value in vars(ApiToken.objects.get(pk=token.pk)).values()]
    assert not any(plain in value for value in kept)
    assert plain.startswith(token.prefix)
    assert len(token.prefix) < len(plain) / 3


@pytest.mark.parametrize(
    "plain", ["", "vms_", "vms_" + "x" * 43, "x" * 50, "vms_é", "vms_" + "x" * 100_000, "vms_\x00"]
)
def test_what_is_no_token_opens_nothing(admin: User, plain: str) -> None:
    tokens.create(admin, admin, name="robot")
    assert tokens.user_of(plain) is None


def test_an_expired_token_opens_nothing(admin: User) -> None:
    token, plain = tokens.create(admin, admin, name="robot", expires=timezone.now() + timedelta(hours=1))
    assert tokens.user_of(plain)
    ApiToken.objects.filter(pk=token.pk).update(expires=timezone.now() - timedelta(seconds=1))
    assert tokens.user_of(plain) is None


def test_a_token_of_a_disabled_user_opens_nothing(admin: User, new_user: Callable[..., User]) -> None:
    user = new_user("ann")
    _, plain = tokens.create(admin, user, name="robot")
    user.is_active = False
    user.save()
    assert tokens.user_of(plain) is None


def test_a_deleted_token_opens_nothing(admin: User) -> None:
    token, plain = tokens.create(admin, admin, name="robot")
    tokens.delete(admin, token)
    assert tokens.user_of(plain) is None


def test_its_use_is_noted_at_most_once_a_minute(admin: User, django_assert_num_queries: Callable[..., object]) -> None:
    token, plain = tokens.create(admin, admin, name="robot")
    tokens.find(plain)
    noted = ApiToken.objects.get(pk=token.pk).last_used
    assert noted is not None
    with django_assert_num_queries(1):  # type: ignore[attr-defined]  # reads, and writes nothing
        tokens.find(plain)
    ApiToken.objects.filter(pk=token.pk).update(last_used=noted - timedelta(minutes=2))
    tokens.find(plain)
    assert ApiToken.objects.get(pk=token.pk).last_used > noted - timedelta(minutes=1)


def test_the_page_says_that_a_token_reaches_nothing_any_more(
    admin: User, new_camera: Callable[..., Camera], client: Client
) -> None:
    camera = new_camera("Gate")
    tokens.create(admin, admin, name="narrow", grants=[GrantSpec(camera_id=camera.pk)])
    client.force_login(admin)
    assert "1 camera" in client.get("/tokens/").content.decode()
    camera.delete()
    assert "Nothing: what it was narrowed to is gone" in client.get("/tokens/").content.decode()


def test_tokens_with_grants_from_before_become_narrowed(admin: User, new_camera: Callable[..., Camera]) -> None:
    narrow, _ = tokens.create(admin, admin, name="narrow", grants=[GrantSpec(camera_id=new_camera().pk)])
    wide, _ = tokens.create(admin, admin, name="wide")
    ApiToken.objects.update(narrowed=False)
    migration = import_module("accounts.migrations.0003_narrowed_tokens_and_ended_sessions")
    migration.narrow_those_with_grants(apps, None)
    assert ApiToken.objects.get(pk=narrow.pk).narrowed
    assert not ApiToken.objects.get(pk=wide.pk).narrowed


@pytest.mark.django_db(transaction=True)
def test_a_locked_database_keeps_no_program_waiting(admin: User) -> None:
    token, plain = tokens.create(admin, admin, name="robot")
    holding, done, let_go = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            list(ApiToken.objects.select_for_update())
            holding.set()
            done.wait(15)
        let_go.set()
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert holding.wait(10)
        found = tokens.find(plain)
        waited = let_go.is_set()
    finally:
        done.set()
        holder.join(20)
    assert found == token
    assert not waited
    assert ApiToken.objects.get(pk=token.pk).last_used is None, "it is noted at the next use"
    tokens.find(plain)
    assert ApiToken.objects.get(pk=token.pk).last_used is not None


@pytest.mark.django_db(transaction=True)
def test_other_writes_wait_as_long_as_ever_after_a_use_was_noted(admin: User) -> None:
    def deadline() -> object:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout" if connection.vendor == "sqlite" else "SHOW lock_timeout")
            return cursor.fetchone()

    _, plain = tokens.create(admin, admin, name="robot")
    before = deadline()
    tokens.find(plain)
    assert deadline() == before


def test_a_token_has_its_users_role_unless_told_a_lower_one(new_user: Callable[..., User]) -> None:
    user = new_user("ann", Role.OPERATOR)
    assert tokens.create(user, user, name="a")[0].role == Role.OPERATOR
    assert tokens.create(user, user, name="b", role=Role.VIEWER)[0].role == Role.VIEWER
    with pytest.raises(Problem, match="may not exceed operator"):
        tokens.create(user, user, name="c", role=Role.ADMIN)


def test_a_token_makes_none_stronger_than_itself(admin: User, new_camera: Callable[..., Camera]) -> None:
    gate, yard = GrantSpec(camera_id=new_camera("Gate").pk), GrantSpec(camera_id=new_camera("Yard").pk)
    soon = timezone.now() + timedelta(hours=1)
    _, plain = tokens.create(admin, admin, name="weak", role=Role.VIEWER, expires=soon, grants=[gate])
    acting = tokens.user_of(plain)
    assert acting is not None
    made, _ = tokens.create(acting, acting, name="weaker")
    assert (made.role, made.expires, grants_of(made)) == (Role.VIEWER, soon, [gate])
    with pytest.raises(Problem, match="role"):
        tokens.create(acting, acting, name="strong", role=Role.OPERATOR)
    with pytest.raises(Problem, match="grants"):
        tokens.create(acting, acting, name="wide", grants=[gate, yard])


def test_a_token_is_named_and_does_not_expire_before_it_is_made(admin: User) -> None:
    for problem in ({"name": " "}, {"name": "x" * 101}, {"name": "x", "expires": timezone.now() - timedelta(1)}):
        with pytest.raises(Problem):
            tokens.create(admin, admin, **problem)


def test_a_user_cannot_have_tokens_without_end(admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST_TOKENS", 2)
    tokens.create(admin, admin, name="a")
    tokens.create(admin, admin, name="b")
    with pytest.raises(Problem, match="2 tokens"):
        tokens.create(admin, admin, name="c")


def test_the_command_prints_the_token_and_nothing_else(admin: User) -> None:
    out = StringIO()
    call_command("apitoken", "ROOT", "--role", "operator", stdout=out)
    (line,) = out.getvalue().splitlines()
    user = tokens.user_of(line)
    assert user == admin
    assert user is not None
    assert user.acting_token is not None
    assert user.acting_token.role == Role.OPERATOR


def test_the_command_gives_the_users_own_role_by_default(admin: User) -> None:
    call_command("apitoken", "root", stdout=StringIO())
    assert ApiToken.objects.get().role == Role.ADMIN


def test_the_command_says_in_a_sentence_what_it_cannot_do(new_user: Callable[..., User]) -> None:
    new_user("ann")
    new_user("bob", is_active=False)
    for arguments, sentence in (
        (("nobody",), "There is no user nobody."),
        (("ann", "--role", "admin"), "The role may not exceed viewer."),
        (("bob",), "disabled"),
    ):
        with pytest.raises(CommandError, match=sentence):
            call_command("apitoken", *arguments)
