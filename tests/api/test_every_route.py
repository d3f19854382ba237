"""Every page, endpoint and socket states its policy, and lets nobody in whom it excludes. There are no exceptions."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import Role, User
from accounts.policy import MINIMUM_ROLE, Action, Standing
from accounts.sockets import GuardedConsumer
from tests.api.caller import Caller
from vms.api import api
from vms.urls import websocket_urlpatterns

Patterns = list[URLPattern | URLResolver]


def _walk(patterns: Patterns, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for each in patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from _walk(each.url_patterns, route)
        else:
            yield route, each.callback


ROUTES = list(_walk(get_resolver("vms.urls").url_patterns))
SOCKETS = list(_walk(websocket_urlpatterns))
OPERATIONS = [
    (f"{method} {path}", operation)
    for router in api._get_bound_routers()
    for path, view in router.path_operations.items()
    for operation in view.operations
    for method in operation.methods
]
EXAMPLES = {"int": "1", "str": "x", "slug": "x", "path": "x", "uuid": "00000000-0000-0000-0000-000000000000"}


def _ids(found: list[tuple[str, Any]]) -> list[str]:
    return [route or "/" for route, _ in found]


def _policies(view: Any) -> list[Any]:
    return list(view.policies.values()) if hasattr(view, "policies") else [getattr(view, "policy", None)]


@pytest.mark.parametrize(("route", "view"), ROUTES, ids=_ids(ROUTES))
def test_every_route_states_its_policy(route: str, view: Any) -> None:
    policies = _policies(view)
    assert policies, f"/{route} has no policy"
    for policy in policies:
        assert isinstance(policy, Action | Standing), f"/{route} has no policy; see accounts.guards"


@pytest.mark.parametrize(("route", "operation"), OPERATIONS, ids=_ids(OPERATIONS))
def test_every_operation_of_the_api_has_the_door_of_its_policy(route: str, operation: Any) -> None:
    (door,) = operation.auth_callbacks
    assert door.policy == operation.view_func.policy
    assert isinstance(door.policy, Action | Standing)


BY_NUMBER = [
    (route, method, path)
    for route, (method, _, path) in ((route, route.partition(" ")) for route, _ in OPERATIONS)
    if "{int:" in path and method in ("GET", "DELETE")
]


@pytest.mark.parametrize(("method", "path"), [each[1:] for each in BY_NUMBER], ids=[each[0] for each in BY_NUMBER])
def test_every_operation_says_in_our_words_what_is_not_there(call: Caller, method: str, path: str) -> None:
    import re

    answer = call(method, re.sub(r"{int:\w+}", "999999", re.sub(r"{str:\w+}|{\w+}", "x", path.lstrip("/"))))
    assert answer.status_code == 404
    assert "matches the given query" not in answer.json()["error"]


@pytest.mark.parametrize(("route", "consumer"), SOCKETS, ids=_ids(SOCKETS))
def test_every_socket_states_its_policy(route: str, consumer: Any) -> None:
    assert issubclass(consumer.consumer_class, GuardedConsumer), f"{route} is not guarded"
    assert isinstance(consumer.consumer_class.policy, Action | Standing), f"{route} has no policy"
    for guarded in ("__call__", "dispatch", "connect", "disconnect", "_authorise"):
        assert guarded not in _overridden(consumer.consumer_class), f"{route} goes round its guard"


def _overridden(consumer: type) -> set[str]:
    """What the classes between GuardedConsumer and this one define."""
    return {name for each in consumer.__mro__[: consumer.__mro__.index(GuardedConsumer)] for name in vars(each)}


def test_there_is_something_to_walk() -> None:
    assert len(ROUTES) > 20
    assert len(OPERATIONS) > 15
    assert SOCKETS


def _address(route: str) -> str:
    """A route's pattern as an address that leads to it."""
    import re

    route = route.removeprefix("^").removesuffix("(?:/.*)?$")
    return "/" + re.sub(r"<(?:(\w+):)?\w+>", lambda found: EXAMPLES[found[1] or "str"], route)


GUARDED = [(route, view) for route, view in ROUTES if Standing.PUBLIC not in _policies(view)]


@pytest.mark.parametrize(("route", "view"), GUARDED, ids=_ids(GUARDED))
def test_no_guarded_route_lets_a_stranger_in(db: None, route: str, view: Any) -> None:
    for method in getattr(view, "policies", {"GET": None, "POST": None}):
        answer = Client().generic(method, _address(route))
        assert answer.status_code in (302, 401), f"{method} /{route} answered {answer.status_code}"


BEYOND_A_VIEWER = [
    (f"{method} {route}", (method, route))
    for route, view in GUARDED
    for method, policy in getattr(view, "policies", {"GET": _policies(view)[0], "POST": _policies(view)[0]}).items()
    if isinstance(policy, Action) and MINIMUM_ROLE[policy] is not Role.VIEWER
]


@pytest.mark.parametrize("which", [each for _, each in BEYOND_A_VIEWER], ids=_ids(BEYOND_A_VIEWER))
def test_no_route_beyond_a_viewer_lets_one_in(user_with: Callable[..., User], which: tuple[str, str]) -> None:
    method, route = which
    viewer = user_with("ann", Role.VIEWER, everything=True)
    if route.startswith("api/v1/"):
        answer = Caller(viewer)(method, _address(route).removeprefix("/api/v1/"))
    else:
        client = Client()
        client.force_login(viewer)
        answer = client.generic(method, _address(route))
    assert answer.status_code == 403
