"""Where a request comes from: only trusted proxies are believed. How long a body may be."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory
from pytest_django.fixtures import Settings

from accounts.requests import LimitBody, client_address, forwarded_scheme, scope_address

CASES = [
    # trusted, peer, X-Forwarded-For, the client
    ([], "10.0.0.1", "1.2.3.4", "10.0.0.1"),
    (["10.0.0.1"], "10.0.0.1", "1.2.3.4", "1.2.3.4"),
    (["10.0.0.1"], "10.0.0.2", "1.2.3.4", "10.0.0.2"),
    (
        ["10.0.0.0/8"],
        "10.9.9.9",
        "6.6.6.6, 1.2.3.4, 10.0.0.7",
        "1.2.3.4",
    ),  # what the client itself wrote is not believed
    (["10.0.0.0/8"], "10.9.9.9", "nonsense", "10.9.9.9"),
    (["10.0.0.0/8"], "10.9.9.9", "1.2.3.4:5678", "1.2.3.4"),
    (["10.0.0.0/8"], "::ffff:10.9.9.9", "[2001:db8::1]:443", "2001:db8::1"),
    (["::1"], "::1", "", "::1"),
    ([], "", "1.2.3.4", "0.0.0.0"),
]


@pytest.mark.parametrize(("trusted", "peer", "forwarded", "client"), CASES)
def test_the_client_is_the_first_that_no_trusted_proxy_hides(
    settings: Settings, trusted: list[str], peer: str, forwarded: str, client: str
) -> None:
    settings.TRUSTED_PROXIES = trusted
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == client
    headers = [(b"x-forwarded-for", forwarded.encode())]
    assert scope_address({"client": (peer, 1) if peer else None, "headers": headers}) == client


def test_a_list_of_proxies_that_is_none_is_named(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = ["proxy.example"]
    with pytest.raises(ImproperlyConfigured, match="TRUSTED_PROXIES"):
        client_address(RequestFactory().get("/"))


def test_the_scheme_is_believed_from_trusted_proxies_only(settings: Settings) -> None:
    assert forwarded_scheme("10.0.0.1", "https") is None
    settings.TRUSTED_PROXIES = ["10.0.0.1"]
    assert forwarded_scheme("10.0.0.1", "https") == "https"
    assert forwarded_scheme("10.0.0.1", "javascript") is None


async def _through_limit(headers: list[tuple[bytes, bytes]], pieces: list[bytes]) -> tuple[list[dict[str, Any]], int]:
    """What comes out when an app that reads everything stands behind the limit, and how many bytes it has read."""
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})
    read = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal read
        while (message := await receive())["more_body"]:
            read += len(message["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await LimitBody(app)({"type": "http", "headers": headers}, receive, send)
    return sent, read


async def test_a_body_that_claims_to_be_too_long_is_not_read(settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    sent, read = await _through_limit([(b"content-length", b"1001")], [b"x" * 1001])
    assert sent[0]["status"] == 413
    assert read == 0


async def test_a_body_without_a_length_is_read_no_further_than_the_limit(settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    sent, read = await _through_limit([], [b"x" * 400] * 50)
    assert sent[0]["status"] == 413
    assert b"error" in sent[1]["body"]
    assert read <= 1000
    assert (await _through_limit([], [b"x" * 400, b"x" * 600]))[0][0]["status"] == 200


@pytest.mark.parametrize("claim", [b"-1", b"abc", b"9" * 5000])
async def test_a_length_that_is_none_is_refused(claim: bytes) -> None:
    sent, _ = await _through_limit([(b"content-length", claim)], [])
    assert sent[0]["status"] == 413
