"""A caller of the API, for tests."""

import json
from typing import Any

from django.http import HttpResponse
from django.test import Client

from accounts import tokens
from accounts.models import User

PASSWORD = "a good long password"


class Caller:
    """Talks to the API with a user's token; `raw` bodies go out as they are."""

    def __init__(self, user: User | None, **token: Any) -> None:
        headers = {}
        if user is not None:
            headers["Authorization"] = f"Bearer {tokens.create(None, user, name='test', **token)[1]}"
        self.client = Client(headers=headers)

    def __call__(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, content_type: str | None = None
    ) -> HttpResponse:
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        kind = content_type or ("application/json" if data else "application/octet-stream")
        answer = self.client.generic(method, f"/api/v1/{path}", data, kind)
        if answer.status_code >= 400 and method != "HEAD":  # which has no body
            found = answer.json()
            assert set(found) <= {"error", "field", "confirm"}, found
            assert found["error"][0] != " "
            assert found["error"].endswith("."), found
        return answer  # type: ignore[return-value]
