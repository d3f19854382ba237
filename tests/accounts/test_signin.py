"""Signing in, failing to, being locked out and let in again."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from axes.models import AccessAttempt
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import signin, users
from accounts.models import AuditEntry, Role, User
from accounts.problems import Problem
from tests.accounts.people import PASSWORD


@pytest.fixture(autouse=True)
def _our_own_pages(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.accounts.urls"
    settings.TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]


def _try(client: Client, username: str, password: str, address: str = "10.0.0.1") -> tuple[int, str]:
    answer = client.post("/sign-in/", {"username": username, "password": password}, REMOTE_ADDR=address)
    return answer.status_code, answer.content.decode()


def _lock_out(username: str, address: str = "10.0.0.1") -> None:
    for _ in range(5):
        _try(Client(), username, "wrong", address)


def test_the_right_password_signs_in_whatever_the_case_of_the_name(
    new_user: Callable[..., User], client: Client
) -> None:
    new_user("Ann")
    assert _try(client, " aNN ", PASSWORD) == (200, "welcome")
    assert client.get("/").status_code == 200
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.user_name, entry.address, entry.result) == ("sign in", "Ann", "10.0.0.1", "ok")


def test_the_answer_does_not_tell_whether_a_user_exists(new_user: Callable[..., User], client: Client) -> None:
    new_user("ann")
    new_user("bob", is_active=False)
    answers = {_try(client, name, password) for name, password in (("ann", "x"), ("nobody", "x"), ("bob", PASSWORD))}
    assert answers == {(200, "The user name or the password is wrong.")}


def test_a_password_is_hashed_for_unknown_users_too(
    new_user: Callable[..., User], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.contrib.auth.hashers import MD5PasswordHasher

    hashed = []
    real = MD5PasswordHasher.encode
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda *args: hashed.append(1) or real(*args))
    new_user("ann")
    hashed.clear()
    _try(client, "ann", "x")
    known, _ = len(hashed), hashed.clear()
    _try(client, "nobody", "x")
    assert len(hashed) == known > 0


@pytest.mark.parametrize(("username", "password"), [("", ""), ("a\x00", "b"), ("ann", "b\x00"), ("a" * 70, "x")])
def test_strange_input_is_simply_wrong(
    new_user: Callable[..., User], client: Client, username: str, password: str
) -> None:
    new_user("ann")
    assert _try(client, username, password) == (200, "The user name or the password is wrong.")
    assert _try(client, "ann", "x" * 5000)[1] == "The user name or the password is wrong."


def test_five_failures_lock_out_this_user_from_this_address(new_user: Callable[..., User], client: Client) -> None:
    new_user("ann")
    new_user("bob")
    for _ in range(4):
        assert _try(client, "ann", "wrong")[0] == 200
    status, sentence = _try(client, "Ann", "wrong")
    assert status == 429
    assert "15 minutes" in sentence
    assert _try(client, "ann", PASSWORD)[0] == 429, "not even with the right password"
    assert _try(client, "ann", PASSWORD, "10.0.0.2") == (200, "welcome")
    assert _try(client, "bob", PASSWORD) == (200, "welcome")
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", "result"))
    assert actions[4:7] == [("sign in", "failed"), ("lock out", "refused"), ("sign in", "ok")]


def test_nothing_that_was_typed_is_kept_with_the_count(new_user: Callable[..., User], client: Client) -> None:
    new_user("ann")
    form = {"username": "ann", "password": "wrong-s3cret", "new": "other-s3cret"}
    client.post("/sign-in/?key=third-s3cret", form, headers={"User-Agent": "a browser"})
    attempt = AccessAttempt.objects.get()
    assert (attempt.username, attempt.user_agent, attempt.path_info) == ("ann", "a browser", "/sign-in/")
    assert "s3cret" not in str(vars(attempt))


def test_unknown_users_are_locked_out_like_known_ones(db: None, client: Client) -> None:
    _lock_out("nobody")
    assert _try(client, "nobody", "x")[0] == 429


def test_a_lock_out_says_when_it_ends_and_ends_then(new_user: Callable[..., User], client: Client) -> None:
    new_user("ann")
    _lock_out("ann")
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=10))
    answer = client.post("/sign-in/", {"username": "ann", "password": PASSWORD}, REMOTE_ADDR="10.0.0.1")
    assert answer.status_code == 429
    assert "5 minutes" in answer.content.decode()
    assert 290 <= int(answer.headers["Retry-After"]) <= 300
    (lockout,) = signin.lockouts()
    assert (lockout.username, lockout.address) == ("ann", "10.0.0.1")
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert signin.lockouts() == []
    assert _try(client, "ann", PASSWORD) == (200, "welcome")


def test_trying_on_does_not_lengthen_a_lock_out(new_user: Callable[..., User], client: Client) -> None:
    new_user("ann")
    _lock_out("ann")
    before = signin.lockouts("ann")
    for _ in range(3):
        _try(client, "ann", "wrong")
    assert signin.lockouts("ann") == before


def test_many_failures_lock_out_an_address_whatever_the_names(new_user: Callable[..., User], client: Client) -> None:
    new_user("ann")
    for n in range(29):
        assert _try(Client(), f"user{n}", "wrong")[0] == 200
    assert _try(Client(), "ann", PASSWORD) == (200, "welcome"), "a success in between changes nothing"
    status, sentence = _try(client, "user29", "wrong")
    assert status == 429
    assert "from this address" in sentence
    assert "15 minutes" in sentence
    for name, password in (("ann", PASSWORD), ("nobody", "x"), ("user0", "wrong")):
        assert _try(client, name, password) == (429, sentence), "neither a user nor a stranger"
    assert _try(client, "ann", PASSWORD, "10.0.0.2") == (200, "welcome")


def test_few_failures_of_many_people_behind_one_address_do_not_lock_it(
    new_user: Callable[..., User], client: Client
) -> None:
    new_user("ann")
    for n in range(28):
        _try(Client(), f"user{n}", "wrong")
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    for n in range(28):
        _try(Client(), f"user{n}", "wrong")
    assert _try(client, "ann", PASSWORD) == (200, "welcome")


def test_a_locked_address_says_when_it_may_try_again(new_user: Callable[..., User], client: Client) -> None:
    new_user("ann")
    for n in range(30):
        _try(Client(), f"user{n}", "wrong")
    now = timezone.now()
    AccessAttempt.objects.update(attempt_time=now - timedelta(minutes=3))
    AccessAttempt.objects.filter(username="user7").update(attempt_time=now - timedelta(minutes=10))
    answer = client.post("/sign-in/", {"username": "ann", "password": PASSWORD}, REMOTE_ADDR="10.0.0.1")
    assert answer.status_code == 429
    assert 290 <= int(answer.headers["Retry-After"]) <= 300
    AccessAttempt.objects.filter(username="user7").update(attempt_time=now - timedelta(minutes=16))
    assert _try(client, "ann", PASSWORD) == (200, "welcome")


@pytest.mark.parametrize("names", ["one", "many"])
def test_who_goes_on_trying_does_not_fill_the_audit(db: None, names: str) -> None:
    for n in range(60):
        _try(Client(), "ann" if names == "one" else f"user{n}", "wrong")
    assert AuditEntry.objects.filter(action="lock out").count() == 1
    assert AuditEntry.objects.count() == (6 if names == "one" else 31)


def test_an_administrator_lifts_a_lock_out(admin: User, new_user: Callable[..., User], client: Client) -> None:
    user = new_user("Ann")
    _lock_out("ann")
    assert signin.unlock(admin, user) == 1
    assert _try(client, "ann", PASSWORD) == (200, "welcome")
    assert AuditEntry.objects.filter(action="unlock user", user_name="root", thing_name="Ann").exists()


def test_a_success_forgets_earlier_failures(new_user: Callable[..., User], client: Client) -> None:
    new_user("ann")
    for _ in range(3):
        for _ in range(4):
            _try(client, "ann", "wrong")
        assert _try(client, "ann", PASSWORD) == (200, "welcome")


def test_signing_in_makes_a_new_session(new_user: Callable[..., User], client: Client) -> None:
    new_user("ann")
    _try(client, "ann", PASSWORD)
    first = client.cookies["sessionid"].value
    new_user("bob")
    _try(client, "bob", PASSWORD)
    assert client.cookies["sessionid"].value != first


def test_signing_out_ends_the_session_and_is_recorded(new_user: Callable[..., User], client: Client) -> None:
    new_user("ann")
    _try(client, "ann", PASSWORD)
    client.post("/sign-out/")
    assert client.get("/").status_code == 302
    client.post("/sign-out/")
    assert AuditEntry.objects.filter(action="sign out", user_name="ann").count() == 1


def test_the_first_sign_in_removes_the_one_time_password(
    client: Client, settings: Settings, tmp_path: Path, db: None
) -> None:
    settings.DATA_DIR = tmp_path
    password = users.first_administrator("admin", None)
    assert password
    file = tmp_path / users.ONE_TIME_PASSWORD_FILE
    file.write_text(password)
    _try(client, "admin", "wrong")
    assert file.exists()
    _try(client, "admin", password)
    assert not file.exists()


class _Changing:
    """A browser of a signed-in user, in which the password can be changed."""

    def __init__(self, client: Client) -> None:
        self.client = client
        assert _try(client, "ann", PASSWORD) == (200, "welcome")

    def change(self, current: str, new: str) -> None:
        from django.contrib.auth import get_user
        from django.test import RequestFactory

        request = RequestFactory().post("/", REMOTE_ADDR="10.0.0.1")
        request.session = self.client.session
        request.user = get_user(request)
        users.change_own_password(request, current, new)
        request.session.save()
        self.client.cookies["sessionid"] = request.session.session_key


NEW = "an even better password"


def test_a_changed_password_keeps_this_session_and_ends_the_others(new_user: Callable[..., User]) -> None:
    new_user("ann", Role.ADMIN, must_change_password=True)
    here, elsewhere = _Changing(Client()), _Changing(Client())
    here.change(PASSWORD, NEW)
    assert here.client.get("/").status_code == 200
    assert elsewhere.client.get("/").status_code == 302
    user = User.objects.get()
    assert user.check_password(NEW)
    assert not user.must_change_password
    assert AuditEntry.objects.filter(action="change password", result="ok").count() == 1


@pytest.mark.parametrize(
    ("current", "new", "field"), [("wrong", NEW, "current"), (PASSWORD, "short", "new"), (PASSWORD, PASSWORD, "new")]
)
def test_a_password_is_not_changed_without_the_present_one_or_to_a_bad_one(
    new_user: Callable[..., User], client: Client, current: str, new: str, field: str
) -> None:
    new_user("ann")
    with pytest.raises(Problem) as caught:
        _Changing(client).change(current, new)
    assert (caught.value.status, caught.value.field) == (400, field)
    assert User.objects.get().check_password(PASSWORD)


def test_the_present_password_cannot_be_guessed_at_length(new_user: Callable[..., User], client: Client) -> None:
    new_user("ann")
    browser = _Changing(client)
    for _ in range(4):
        with pytest.raises(Problem):
            browser.change("wrong", NEW)
    for guess in ("wrong", PASSWORD):
        with pytest.raises(Problem) as caught:
            browser.change(guess, NEW)
        assert caught.value.status == 429
