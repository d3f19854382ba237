"""Hostile and mistaken requests get a sentence and a 4xx; only what is broken on our side is a 5xx."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings
from redis.exceptions import ConnectionError as RedisAway

from accounts import api as accounts_api
from accounts.api_base import DEEPEST_JSON, error_of, parse_json
from accounts.models import Role, User
from accounts.problems import Problem
from tests.api.caller import PASSWORD, Caller

BODIES = {
    "not JSON": b"{",
    "empty": b"",
    "a list": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "not UTF-8": b'{"username": "\xff"}',
    "UTF-16": '{"username": "x"}'.encode("utf-16"),
    "NUL": b'{"username": "a\\u0000b", "password": "aaaaaaaaaaaa"}',
    "NUL in a key": b'{"a\\u0000": 1}',
    "half a character": b'{"username": "\\ud800", "password": "aaaaaaaaaaaa"}',
    "a key twice": b'{"username": "a", "username": "b", "password": "aaaaaaaaaaaa"}',
    "a huge number": b'{"username": ' + b"9" * 10_000 + b"}",
    "a large number": b'{"grants": [{"site": 99999999999999999999999}]}',
    "infinity": b'{"username": Infinity}',
    "a float out of range": b'{"username": 1e999}',
    "NaN": b'{"username": NaN}',
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 1000 + b"1" + b"}" * 1000,
    "a wrong type": b'{"username": 5, "password": "aaaaaaaaaaaa"}',
    "a number as text": b'{"username": "x", "password": "correct horse", "grants": [{"site": "1"}]}',
    "a flag as number": b'{"username": "x", "password": "correct horse", "enabled": 1}',
    "two things in one grant": b'{"username": "x", "password": "correct horse", "grants": [{"site": 1, "camera": 1}]}',
    "no thing in a grant": b'{"username": "x", "password": "correct horse", "grants": [{}]}',
    "null in a grant": b'{"username": "x", "password": "correct horse", "grants": [{"site": null}]}',
    "nothing granted": b'{"username": "x", "password": "correct horse", "grants": [{"everything": false}]}',
    "a site that is not": b'{"username": "x", "password": "correct horse", "grants": [{"site": -1}]}',
    "an unknown field": b'{"username": "x", "password": "correct horse", "admin": true}',
    "an unknown role": b'{"username": "x", "password": "correct horse", "role": "root"}',
    "a long text": b'{"username": "x", "password": "correct horse", "full_name": "' + b"x" * 10_000 + b'"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_bad_body_is_a_bad_request(call: Caller, body: bytes) -> None:
    assert call("POST", "users", raw=body, content_type="application/json").status_code == 400
    assert User.objects.count() == 1


def test_the_field_that_is_wrong_is_named(call: Caller) -> None:
    good = {"username": "ann", "password": PASSWORD}
    for change, field, words in (
        ({"username": 5}, "username", "must be a text"),
        ({"admin": True}, "admin", "is not known here"),
        ({"enabled": "yes"}, "enabled", "must be true or false"),
        ({"grants": [{"everything": True}, {"site": "x"}]}, "grants.1.site", "must be a whole number"),
        ({"password": "short"}, "password", "too short"),
        ({"username": "ROOT"}, "username", "already"),
    ):
        answer = call("POST", "users", {**good, **change}).json()
        assert answer["field"] == field
        assert words in answer["error"]
    answer = call("POST", "users", {"username": "ann"}).json()
    assert answer == {"error": "«password» is required.", "field": "password"}


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"]
)
def test_a_body_that_is_not_called_json_is_refused(call: Caller, kind: str) -> None:
    assert call("POST", "users", raw=b'{"username": "ann"}', content_type=kind).status_code == 415


def test_a_charset_beside_the_content_type_is_fine(call: Caller) -> None:
    body = json.dumps({"username": "ann", "password": PASSWORD}).encode()
    assert call("POST", "users", raw=body, content_type="application/json; charset=utf-8").status_code == 201


def test_a_huge_body_is_too_large(call: Caller, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert call("POST", "users", {"username": "x" * 1000}).status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "audit?limit=0", "audit?limit=1001", "audit?limit=x", "audit?limit=1.5", "audit?limit=", "audit?offset=-1",
        "audit?offset=99999999999999999999", "audit?limit=1&limit=2", "audit?who=%00", "audit?text=%ed%a0%80%00",
        "audit?since=yesterday", "audit?since=1700000000", "audit?since=0001-01-01T00:00:00%2B14:00",
        "audit?since=9999-12-31T23:59:59-14:00", "audit?since=2026-02-30T00:00:00Z", "audit?result=maybe",
        "audit?text=" + "x" * 1000, "audit.csv?since=x",
    ],
)  # fmt: skip
def test_a_bad_parameter_is_a_bad_request(call: Caller, path: str) -> None:
    answer = call("GET", path)
    assert answer.status_code == 400
    assert answer.json()["field"] in ("limit", "offset", "who", "text", "since", "result")


@pytest.mark.parametrize(
    "path", ["", "nothing", "users/", "users/x", "users/1/x", "users/99999999999999999999999", "users/%00", "users/-1",
             "users/" + "9" * 5000, "devices/99999999", "../users", "%2e%2e/", "\N{SNOWMAN}"],
)  # fmt: skip
def test_a_wrong_address_is_not_found(call: Caller, path: str) -> None:
    assert call("GET", path).status_code == 404


def test_what_is_not_there_is_said_in_a_sentence(call: Caller) -> None:
    for method, path, what in (("GET", "users/999", "user"), ("DELETE", "tokens/999", "token"),
                               ("GET", "devices/999", "device"), ("GET", "cameras/999", "camera")):  # fmt: skip
        answer = call(method, path)
        assert answer.status_code == 404
        assert answer.json() == {"error": f"There is no such {what}, or you may not see it."}


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1", "/api/v2/users", "/api/v1/nothing"])
def test_every_address_of_the_api_answers_in_json(db: None, path: str) -> None:
    for method in ("GET", "POST", "DELETE", "OPTIONS", "BREW"):
        answer = Client().generic(method, path)
        assert answer.status_code == 404
        assert "openapi.json" in answer.json()["error"]


@pytest.mark.parametrize("method", ["DELETE", "PUT", "OPTIONS", "HEAD", "TRACE", "BREW"])
def test_a_wrong_method_is_not_allowed(call: Caller, method: str) -> None:
    answer = call.client.generic(method, "/api/v1/users")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, POST"
    assert answer.headers["Content-Type"].startswith("application/json")


def test_strangers_learn_nothing_from_their_mistakes(db: None) -> None:
    for method, path in (("POST", "users"), ("GET", "users/1"), ("GET", "audit?limit=x"), ("DELETE", "tokens/1")):
        answer = Caller(None)(method, path, raw=b"{", content_type="application/json")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_session_needs_the_csrf_token_to_change_something(admin: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(admin)
    body = {"username": "ann", "password": PASSWORD}
    assert browser.get("/api/v1/users").status_code == 200
    refused = browser.post("/api/v1/users", body, content_type="application/json")
    assert refused.status_code == 403
    assert "CSRF" in refused.json()["error"]
    browser.cookies["csrftoken"] = "a" * 32
    headers = {"X-CSRFToken": "a" * 32}
    assert browser.post("/api/v1/users", body, content_type="application/json", headers=headers).status_code == 201


def test_a_token_beside_a_session_needs_no_csrf_token(admin: User) -> None:
    caller = Caller(admin)
    caller.client.handler.enforce_csrf_checks = True
    caller.client.force_login(admin)
    assert caller("POST", "users", {"username": "ann", "password": PASSWORD}).status_code == 201


def test_who_must_choose_a_password_gets_nothing_else(user_with: Callable[..., User]) -> None:
    browser = Client()
    browser.force_login(user_with("ann", Role.ADMIN, everything=True, must_change_password=True))
    assert browser.get("/api/v1/me").json()["role"] is None
    answer = browser.get("/api/v1/users")
    assert answer.status_code == 403
    assert "new password" in answer.json()["error"]


def _fails_with(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OperationalError("database is locked"), 503),
        (RedisAway("no redis"), 503),
        (Problem(422, "This device has no presets."), 422),
        (Problem(504, "The device did not answer."), 504),
        (ZeroDivisionError("the inner workings"), 500),
    ],
)
def test_what_goes_wrong_inside_is_told_without_inner_workings(
    call: Caller, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    monkeypatch.setattr(accounts_api.users, "create_user", _fails_with(error))
    answer = call("POST", "users", {"username": "ann", "password": PASSWORD})
    assert answer.status_code == status
    assert "inner" not in answer.content.decode()
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_a_lock_out_says_how_long(db: None) -> None:
    answer = error_of(Problem(429, "Wait.", retry_after=90))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "90")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda below: st.lists(below) | st.dictionaries(st.text("abc"), below),
    max_leaves=20,
)  # fmt: skip


@given(JSON_VALUES)
def test_all_that_can_be_stored_is_read(value: Any) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@given(st.binary())
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(Problem):
        parse_json(raw)


def test_nesting_is_allowed_up_to_its_limit() -> None:
    def nested(levels: int) -> bytes:
        return b"[" * levels + b"]" * levels

    parse_json(nested(DEEPEST_JSON))
    with pytest.raises(Problem, match="levels"):
        parse_json(nested(DEEPEST_JSON + 1))


FIELDS = ["username", "password", "full_name", "role", "enabled", "must_change_password", "grants", "more"]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES))
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "users"), ("PATCH", "users/1"), ("POST", "tokens"), ("POST", "me/password")]
)
def test_no_body_is_an_error_of_ours(call: Caller, method: str, path: str, body: dict[str, Any]) -> None:
    assert call(method, path, body).status_code < 500


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "devices?serach=gate", "serach"),
        ("GET", "devices?limit=1&Limit=1", "Limit"),
        ("GET", "audit?colour=red", "colour"),
        ("GET", "devices/999999?x=", "x"),
        ("POST", "users?limit=1", "limit"),
        ("DELETE", "users/999999?force=1", "force"),
        ("GET", "devices/1/settings/basic?fresh=1", "fresh"),
        ("GET", "me?%ff=1", "\N{REPLACEMENT CHARACTER}"),
        ("GET", "openapi.json?x=1", "x"),
    ],
)
def test_an_unknown_parameter_in_the_address_is_named(call: Caller, method: str, path: str, name: str) -> None:
    answer = call(method, path, {} if method == "POST" else None)
    assert (answer.status_code, answer.json()["field"]) == (400, name)
    assert f"«{name}» is not known here" in answer.json()["error"]


def test_an_unknown_parameter_tells_nothing_to_who_may_not_enter(user_with: Callable[..., User]) -> None:
    assert Caller(None)("GET", "devices?x=1").status_code == 401
    assert Caller(user_with("vera", Role.VIEWER, everything=True))("GET", "users?x=1").status_code == 403
