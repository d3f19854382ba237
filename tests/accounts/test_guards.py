"""Doors of pages and of views for programs."""

from collections.abc import Callable

import pytest
from django.test import AsyncClient, Client
from pytest_django.fixtures import Settings

from accounts import tokens
from accounts.models import AuditEntry, Role, User
from devices.models import Camera


@pytest.fixture(autouse=True)
def _our_own_pages(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.accounts.urls"
    settings.TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]


@pytest.fixture
def viewer(new_user: Callable[..., User], client: Client) -> User:
    user = new_user("ann", Role.VIEWER, everything=True)
    client.force_login(user)
    return user


def test_a_stranger_is_sent_to_the_sign_in_and_back_afterwards(db: None, client: Client) -> None:
    assert client.get("/users/?q=a").headers["Location"] == "/sign-in/?next=%2Fusers%2F%3Fq%3Da"
    assert client.get("/").headers["Location"] == "/sign-in/"
    assert client.post("/users/").headers["Location"] == "/sign-in/", "what was sent cannot be sent again by going back"


def test_a_part_of_a_page_asked_for_by_a_stranger_sends_the_whole_page_to_the_sign_in(db: None, client: Client) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/users/?page=2"}
    answer = client.get("/waits/", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["HX-Redirect"] == "/sign-in/?next=%2Fusers%2F%3Fpage%3D2"


@pytest.mark.parametrize(
    "url", ["//evil.test/", "https://evil.test/x", "javascript:alert(1)", "http://testserver//evil.test/"]
)
def test_the_way_back_never_leads_to_another_site(db: None, client: Client, url: str) -> None:
    answer = client.get("/waits/", headers={"HX-Request": "true", "HX-Current-URL": url})
    assert "%2F%2F" not in answer.headers["HX-Redirect"]
    assert "javascript" not in answer.headers["HX-Redirect"]


def test_public_pages_ask_nobody_and_no_database(client: Client) -> None:
    client.cookies["sessionid"] = "whatever"
    assert client.get("/sign-in/").content == b"sign in"


def test_who_may_not_is_told_why(viewer: User, client: Client) -> None:
    answer = client.get("/users/")
    assert answer.status_code == 403
    assert not AuditEntry.objects.exists(), "a look is not an attempt"
    assert client.post("/users/").status_code == 403
    entry = AuditEntry.objects.get()
    assert (entry.user_name, entry.action, entry.result) == ("ann", "manage users", "refused")
    assert entry.detail == {"route": "POST /users/"}


def test_a_password_others_have_seen_leads_to_the_page_for_another(viewer: User, client: Client) -> None:
    viewer.must_change_password = True
    viewer.save()
    for url in ("/", "/users/", "/waits/"):
        assert client.get(url).headers["Location"] == "/password/"
    assert client.get("/", headers={"HX-Request": "true"}).headers["HX-Redirect"] == "/password/"
    assert client.get("/password/").status_code == 200
    assert client.get("/figures").status_code == 403


def test_a_disabled_user_is_a_stranger(viewer: User, client: Client) -> None:
    assert client.get("/").status_code == 200
    viewer.is_active = False
    viewer.save()
    assert client.get("/").status_code == 302


@pytest.mark.django_db(transaction=True)
async def test_pages_that_wait_are_guarded_the_same_way(
    new_user: Callable[..., User], async_client: AsyncClient
) -> None:
    assert (await async_client.get("/waits/")).status_code == 302
    user = new_user("ann", everything=True)
    await async_client.aforce_login(user)
    assert (await async_client.get("/waits/")).content == b"ann waits"
    assert (await async_client.get("/users/")).status_code == 403


def test_a_thing_out_of_reach_does_not_exist(
    new_user: Callable[..., User], new_camera: Callable[..., Camera], client: Client
) -> None:
    gate, yard = new_camera("Gate"), new_camera("Yard")
    client.force_login(new_user("ann", Role.OPERATOR, cameras=(gate,)))
    assert client.get(f"/cameras/{gate.pk}/").content == b"Gate"
    assert client.get(f"/cameras/{yard.pk}/").status_code == 404
    assert client.get("/cameras/99999999999999999999/").status_code == 404


def test_a_thing_one_sees_but_may_not_touch_is_refused(
    viewer: User, new_camera: Callable[..., Camera], client: Client
) -> None:
    camera = new_camera("Gate")
    assert client.get(f"/cameras/{camera.pk}/").status_code == 403
    client.post(f"/cameras/{camera.pk}/")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.thing_name, entry.result) == ("steer", "Gate", "refused")


# --- Views for programs -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("url", ["/figures", "/slow-figures"])
def test_programs_show_a_token(viewer: User, url: str) -> None:
    _, plain = tokens.create(None, viewer, name="robot")
    assert Client(headers={"Authorization": f"Bearer {plain}"}).post(url).content == b"figures"
    assert Client(headers={"Authorization": f"bearer {plain}"}).get(url).content == b"figures"
    for wrong in ("Bearer", "Bearer x", f"Basic {plain}", plain, "Bearer \x00"):
        answer = Client(headers={"Authorization": wrong}).get(url)
        assert answer.status_code == 401
        assert answer.json()["error"].endswith(".")
    assert Client().get(url).headers["WWW-Authenticate"] == "Bearer"


def test_a_wrong_token_is_not_made_good_by_a_session(viewer: User, client: Client) -> None:
    assert client.get("/figures").status_code == 200
    assert client.get("/figures", headers={"Authorization": "Bearer x"}).status_code == 401


def test_a_session_changes_something_only_with_the_csrf_token(viewer: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(viewer)
    assert browser.get("/figures").status_code == 200
    refused = browser.post("/figures")
    assert refused.status_code == 403
    assert "CSRF" in refused.json()["error"]
    browser.cookies["csrftoken"] = "a" * 32
    assert browser.post("/figures", headers={"X-CSRFToken": "a" * 32}).status_code == 200
    assert browser.post("/figures", headers={"X-CSRFToken": "b" * 32}).status_code == 403


# --- Sessions and proxies ---------------------------------------------------------------------------------------------
def test_a_session_is_renewed_in_the_second_half_of_its_life(
    viewer: User, client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import accounts.middleware

    clock = [1_800_000_000.0]
    monkeypatch.setattr(accounts.middleware.time, "time", lambda: clock[0])
    assert "sessionid" in client.get("/").cookies
    assert "sessionid" not in client.get("/").cookies, "not written on each request"
    clock[0] += settings.SESSION_COOKIE_AGE * 0.4
    assert "sessionid" not in client.get("/").cookies
    clock[0] += settings.SESSION_COOKIE_AGE * 0.2
    assert int(client.get("/").cookies["sessionid"]["max-age"]) == settings.SESSION_COOKIE_AGE
    clock[0] -= settings.SESSION_COOKIE_AGE * 5
    assert "sessionid" in client.get("/").cookies, "a clock set back renews, too"


def test_no_session_is_made_for_strangers(db: None, client: Client) -> None:
    assert "sessionid" not in client.get("/sign-in/").cookies
    assert "sessionid" not in client.get("/").cookies


def test_only_a_trusted_proxy_says_that_it_was_tls(viewer: User, client: Client, settings: Settings) -> None:
    assert client.get("/", headers={"X-Forwarded-Proto": "https"}).content == b"home, http"
    settings.TRUSTED_PROXIES = ["127.0.0.0/8"]
    assert client.get("/", headers={"X-Forwarded-Proto": "https"}).content == b"home, https"
