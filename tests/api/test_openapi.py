"""The OpenAPI document is complete and true."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.policy import Standing
from tests.api.caller import PASSWORD, Caller
from vms.api import api

PROMISED = [
    ("get", "users"), ("post", "users"), ("get", "users/{user_id}"), ("patch", "users/{user_id}"),
    ("delete", "users/{user_id}"), ("get", "tokens"), ("post", "tokens"), ("delete", "tokens/{token_id}"),
    ("get", "me"), ("post", "me/password"), ("get", "audit"), ("get", "audit.csv"), ("post", "users/{user_id}/unlock"),
]  # fmt: skip


@pytest.fixture
def document() -> dict[str, Any]:
    return Client().get("/api/v1/openapi.json").json()


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"{method} {path}", operation


def test_anybody_may_read_it(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"]


@pytest.mark.parametrize(("method", "path"), PROMISED)
def test_what_is_promised_is_in_it(document: dict[str, Any], method: str, path: str) -> None:
    assert method in document["paths"][f"/api/v1/{path}"]


def test_every_operation_is_in_it_once(document: dict[str, Any]) -> None:
    told = [operation["operationId"] for _, operation in _operations(document)]
    assert len(told) == len(set(told))
    served = [
        operation
        for router in api._get_bound_routers()
        for view in router.path_operations.values()
        for operation in view.operations
        if operation.include_in_schema
    ]
    assert len(told) == len(served)


def test_every_operation_tells_its_errors_and_who_may(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        for status in ("400", "404", "4XX", "5XX"):
            schema = operation["responses"][status]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorOut"}, name
        if operation["x-policy"] != Standing.PUBLIC:
            assert operation["security"] == [{"token": []}, {"session": [], "csrf": []}], name
    assert set(document["components"]["securitySchemes"]) == {"token", "session", "csrf"}


@pytest.mark.parametrize("body", ["UserBody", "UserPatch"])
def test_it_tells_when_a_password_must_be_changed(document: dict[str, Any], body: str) -> None:
    told = document["components"]["schemas"][body]["properties"]["must_change_password"]
    assert "Left out" in told["description"]
    assert told.get("default") is (False if body == "UserBody" else None)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in re.findall(r"#/components/schemas/([^'\"]+)", str(document)):
        assert reference in document["components"]["schemas"]


def test_every_success_has_a_shape(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        for status, response in operation["responses"].items():
            if status.startswith("2") and status != "204":
                assert response.get("content"), f"{name} does not say what {status} looks like"


def test_answers_have_exactly_the_fields_it_tells(call: Caller, document: dict[str, Any]) -> None:
    def fields(name: str) -> set[str]:
        return set(document["components"]["schemas"][name]["properties"])

    made = call("POST", "users", {"username": "ann", "password": PASSWORD}).json()
    assert set(made) == fields("UserOut")
    assert set(call("GET", "me").json()) == fields("MeOut")
    assert set(call("POST", "tokens", {"name": "x"}).json()) == fields("NewTokenOut")
    assert set(call("GET", "audit").json()["results"][0]) == fields("AuditEntryOut")
    assert set(call("GET", "nothing").json()) <= fields("ErrorOut")
