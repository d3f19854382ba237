"""One line per record, with the request's or task's id, and never a secret.

`2026-11-24T20:18:58.123Z INFO  accounts.sign_in signed in  user=ann request=5f3c…` — the supervisor puts the part's
name in front. With LOG_FORMAT=json each record is one JSON object instead.
"""

import json
import logging
import re
import time
from contextvars import ContextVar
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation

# Set at the door (middleware, consumers, tasks): {"request": "5f3c…"} or {"task": "…"}.
context: ContextVar[dict[str, str] | None] = ContextVar("log_context", default=None)

PROBES = ("/healthz", "/readyz")

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "context", "taskName"}
# Secrets as they stand in URLs, headers and exception texts. A UID opens a recorder as well as a password does.
_SECRETS = re.compile(
    r"(?i)\b(authorization:?\s*(?:basic|bearer|digest)\s+|bearer\s+"
    r"|(?!UnreadableSecret)(?:uid|\w*passw(?:or)?d|pwd|\w*token|\w*secret|sessionid)[\"']?\s*[=:]\s*[\"']?)([^\s&\"',;]+)"
)
_URL_LOGIN = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/@]+@")


def redact(text: str) -> str:
    return _URL_LOGIN.sub(r"\1:***@", _SECRETS.sub(r"\1***", text))


class Context(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.context = context.get() or {}
        return True


class NotProbes(logging.Filter):
    """Whoever asks `/readyz` gets its answer; the log tells what is wrong itself (vms.health), once."""

    def filter(self, record: logging.LogRecord) -> bool:
        return getattr(getattr(record, "request", None), "path", None) not in PROBES


class PlainRefusals(logging.Filter):
    """A request that was refused is one line: its traceback is of no use, and anybody could fill the log with them."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], PermissionDenied | SuspiciousOperation):
            record.exc_info = None
        return True


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    found = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    return {**found, **getattr(record, "context", {})}


def _when(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


class LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        extras = "".join(f" {key}={value}" for key, value in _extras(record).items())
        line = f"{_when(record)} {record.levelname:<7} {record.name} {record.getMessage()}{extras}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return redact(line)


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": _when(record),
            "level": record.levelname,
            "logger": record.name,
            "text": redact(record.getMessage()),
        }
        entry |= {key: redact(str(value)) for key, value in _extras(record).items()}
        if record.exc_info:
            entry["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)
