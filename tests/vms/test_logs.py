"""A log line names its request and never shows a secret."""

import json
import logging

import pytest
from django.core.exceptions import DisallowedHost, PermissionDenied

from vms import logs


def record(text: str, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "devices.gateway", "levelno": 20, "levelname": "INFO", "msg": text, **extra})
    logs.Context().filter(made)
    return made


@pytest.mark.parametrize(
    "text",
    [
        "GET /cgi-bin/h264?my_port=40000&connect=start&UID=263s3cret&stream=1",
        "hdrctl.cgi?UID=s3cret",
        "password=s3cret",
        "{'password': 's3cret'}",
        '{"user_password": "s3cret"}',
        "Authorization: Basic s3cret",
        "Authorization: Bearer s3cret",
        "rtsp://admin:s3cret@10.0.0.1/stream",
        "Cookie: sessionid=s3cret; csrftoken=s3cret",
        "AdminPassword=s3cret&AdminName=a",
    ],
)
def test_secrets_are_masked_wherever_they_stand(text: str) -> None:
    line = logs.LineFormatter().format(record(text))
    entry = logs.JsonFormatter().format(record(text))
    assert "s3cret" not in line
    assert "s3cret" not in entry
    assert "***" in line


def test_secrets_in_tracebacks_are_masked() -> None:
    try:
        raise ValueError("no route to http://admin:s3cret@camera/?UID=s3cret")
    except ValueError as error:
        made = record("failed", exc_info=(type(error), error, error.__traceback__))
    assert "s3cret" not in logs.LineFormatter().format(made)


def test_a_line_names_its_request() -> None:
    logs.context.set({"request": "abc123"})
    try:
        assert logs.LineFormatter().format(record("hello")).endswith("devices.gateway hello request=abc123")
        assert json.loads(logs.JsonFormatter().format(record("hello", device=7)))["device"] == "7"
    finally:
        logs.context.set(None)


def test_ordinary_text_stays_as_it_is() -> None:
    line = logs.LineFormatter().format(record("camera 3 is live: 1920x1080, 29.97 fps"))
    assert line.endswith("INFO    devices.gateway camera 3 is live: 1920x1080, 29.97 fps")


@pytest.mark.parametrize(
    "error", [PermissionDenied("Only administrators."), DisallowedHost("Invalid HTTP_HOST header")]
)
def test_a_refused_request_is_one_line(error: Exception) -> None:
    made = record("refused", exc_info=(type(error), error, None))
    assert logs.PlainRefusals().filter(made)
    assert logs.LineFormatter().format(made).count("\n") == 0


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    try:
        raise ValueError("ours")
    except ValueError as error:
        made = record("failed", exc_info=(type(error), error, error.__traceback__))
    assert logs.PlainRefusals().filter(made)
    assert "Traceback" in logs.LineFormatter().format(made)


def test_the_name_of_an_error_is_no_secret() -> None:
    assert "UnreadableSecret: A stored password" in logs.redact("UnreadableSecret: A stored password")
