"""The API under /api/v1/: every room's router in one place, one form of errors, one document that tells the truth.

An operation without a policy (accounts.guards.endpoint) stops the start.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from itertools import islice
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI, Router
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import TimeoutError as RedisSlow

from accounts.api import router as accounts_router
from accounts.api_base import ErrorOut, StrictJson, error_of, error_response
from accounts.guards import admit, endpoint, machine
from accounts.policy import Policy, Standing
from accounts.problems import Problem
from devices.api import router as devices_router
from recordings.clips_api import router as clips_router
from recordings.jobs_api import router as jobs_router
from recordings.library_api import router as library_router
from streaming.api import router as live_router
from streaming.views_api import router as views_router

SECURITY_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token (POST tokens, or manage.py apitoken)."},
    "session": {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRFToken",
        "description": "With a session, to change things.",
    },
}
ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorOut"}}}
ERRORS = {
    "400": "A value is wrong; the sentence and the field say which.",
    "401": "Not signed in, or the token is no longer valid.",
    "403": "Signed in, but this is not allowed.",
    "404": "There is no such thing, or none that the caller may see.",
    "4XX": "The request cannot be done as it is; the sentence says why.",
    "5XX": "We, the database or the device could not do it; the sentence says what.",
}


def _error_form(
    view: Callable[..., Any], policies: dict[str, Policy], parameters: dict[str, list[str]]
) -> Callable[..., Any]:
    """What the framework answers by itself, and what it lets pass, brought into the one form of errors.

    `parameters` are the names that each method knows in the address. Whoever names another means something by it,
    and would not notice that it does nothing.
    """

    def before(request: HttpRequest) -> HttpResponse | None:
        if "\x00" in request.path_info:
            return error_response(404, "There is nothing at this address.")
        if request.method in policies:
            return None
        response = error_response(405, f"Here one can {' and '.join(policies)}, but not {request.method}.")
        response["Allow"] = ", ".join(policies)
        return response

    def unknown_parameter(request: HttpRequest) -> str | None:
        return next((name for name in request.GET if name not in parameters[str(request.method)]), None)

    def refuse_parameter(request: HttpRequest, name: str) -> HttpResponse:
        try:
            admit(request, policies[str(request.method)])  # first of all, who may not enter is told that
        except Problem as problem:
            return error_of(problem)
        shown = name[:100].encode(errors="replace").decode().replace("\x00", "?")
        known = ", ".join(parameters[str(request.method)]) or "none"
        return error_response(400, f"The parameter «{shown}» is not known here; this knows {known}.", shown)

    wrapped: Any
    if iscoroutinefunction(view):

        @wraps(view)
        async def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if refused := before(request):
                return refused
            if (name := unknown_parameter(request)) is not None:
                return await sync_to_async(refuse_parameter)(request, name)
            return await view(request, *args, **kwargs)  # type: ignore[no-any-return]
    else:

        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if refused := before(request):
                return refused
            if (name := unknown_parameter(request)) is not None:
                return refuse_parameter(request, name)
            return view(request, *args, **kwargs)  # type: ignore[no-any-return]

    wrapped.policies = policies
    return csrf_exempt(wrapped)  # type: ignore[no-any-return]  # the doors ask for it, of sessions only


@machine(Standing.PUBLIC)
def unknown(request: HttpRequest, rest: str = "") -> HttpResponse:
    return error_response(404, "There is nothing at this address. /api/v1/openapi.json lists what there is.")


def _answer_error(request: HttpRequest, error: Exception) -> HttpResponse:
    if isinstance(error, RedisAway | RedisSlow):
        return error_response(503, "Redis cannot be reached, and this needs it. Try again in a moment.", retry_after=5)
    return error_of(error)


class Api(NinjaAPI):
    def set_default_exception_handlers(self) -> None:
        self.exception_handler(Exception)(_answer_error)

    def _get_urls(self) -> list[Any]:
        patterns: list[URLPattern] = []
        for bound in self._get_bound_routers():
            found = bound.urls_paths(bound.prefix)  # one pattern per operation, path by path
            for view in bound.path_operations.values():
                policies = {
                    method: _policy_of(operation) for operation in view.operations for method in operation.methods
                }
                parameters = {
                    method: _parameters_of(operation) for operation in view.operations for method in operation.methods
                }
                for pattern in islice(found, len(view.operations)):
                    pattern.callback = _error_form(pattern.callback, policies, parameters)
                    patterns.append(pattern)
        return [*patterns, path("", unknown, name="api-root"), path("<path:rest>", unknown)]

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        document = super().get_openapi_schema(path_prefix=path_prefix, path_params=path_params)
        document["components"]["schemas"]["ErrorOut"] = ErrorOut.model_json_schema()
        document["components"]["securitySchemes"] = SECURITY_SCHEMES
        policies = {
            self.get_openapi_operation_id(operation): _policy_of(operation)
            for bound in self._get_bound_routers()
            for view in bound.path_operations.values()
            for operation in view.operations
        }
        for operations in document["paths"].values():
            for operation in operations.values():
                policy = policies[operation["operationId"]]
                public = policy is Standing.PUBLIC
                operation["security"] = [] if public else [{"token": []}, {"session": [], "csrf": []}]
                operation["x-policy"] = str(policy)
                for status, description in ERRORS.items():
                    if not (public and status in ("401", "403")):
                        operation["responses"].setdefault(status, {"description": description, "content": ERROR})
        return document


def _parameters_of(operation: Operation) -> list[str]:
    """What an operation takes in the address, as the document lists it."""
    return [
        name
        for model in operation.models
        if model.__ninja_param_source__ == "query"
        for name in model.__ninja_flatten_map__
    ]


def _policy_of(operation: Operation) -> Policy:
    policy = getattr(operation.view_func, "policy", None)
    if policy is None:
        raise ImproperlyConfigured(f"{operation.view_func.__qualname__} has no policy; use accounts.guards.endpoint.")
    return policy  # type: ignore[no-any-return]


api = Api(
    title="VMS",
    version=settings.VERSION,
    description="What the pages can do, programs can do too. Errors are sentences; times are UTC.",
    urls_namespace="api",
    openapi_url=None,
    docs_url=None,
    parser=StrictJson(),
)


shell = Router()


@shell.get("openapi.json", include_in_schema=False, url_name="openapi")
@endpoint(Standing.PUBLIC)  # it lists what the product can do, nothing of what this installation has
def openapi(request: HttpRequest) -> dict[str, Any]:
    return api.get_openapi_schema()


api.add_router("", shell)
api.add_router("", accounts_router)
api.add_router("", devices_router)
api.add_router("", views_router)
api.add_router("", live_router)
api.add_router("", jobs_router)
api.add_router("", clips_router)
api.add_router("", library_router)
