"""The side door for tests, under a path no device has and for this machine only.

GET  /_sim/violations   {"violations": [...], "notes": [...]}
GET  /_sim/requests     {"requests": [...]}: time, method, raw target, status, who, peer
GET  /_sim/sessions     {"sessions": [...]}: UIDs and where they stream
GET  /_sim/state        {"state": {...}, "started": …}: what the family shows of itself, and the Unix time at which it
                        started: its picture number n is sent n / rate seconds later
POST /_sim/fault        {"kind": "hang", ...}: see `device.Fault`
POST /_sim/forget       empties the lists
"""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING, Any

from simulators.http import Request, Response

if TYPE_CHECKING:
    from simulators.device import SimulatedDevice

PREFIX = "/_sim/"


def answer(device: SimulatedDevice, request: Request) -> Response:
    if not request.peer.startswith("127."):
        return Response(404)
    match request.method, request.path.removeprefix(PREFIX):
        case "GET", "violations":
            remarks = {"violations": device.violations, "notes": device.notes}
            return _json({key: [dataclasses.asdict(remark) for remark in value] for key, value in remarks.items()})
        case "GET", "requests":
            return _json({"requests": [dataclasses.asdict(asked) for asked in device.requests]})
        case "GET", "sessions":
            return _json({"sessions": list(device.sessions())})
        case "GET", "state":
            started = time.time() - time.monotonic() + device.started
            return _json({"state": device.state(), "started": started})
        case "POST", "fault":
            return _inject(device, request)
        case "POST", "forget":
            device.forget_remarks()
            return _json({})
    return _json({"error": f"The side door knows no {request.method} {request.path}."}, 404)


def _inject(device: SimulatedDevice, request: Request) -> Response:
    try:
        details = json.loads(request.body)
        device.inject(**details)
    except (ValueError, TypeError) as error:
        return _json({"error": str(error)}, 400)
    return _json({})


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(status, json.dumps(content).encode(), "application/json")
