"""A device row that needs no database, a simulated device in a process of its own, and a tiny HTTP device whose answers
a test scripts."""

import asyncio
import contextlib
import json
import socket
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import pytest
import redis
from django.conf import settings
from django.test import Client

from accounts import tokens
from accounts.models import Grant, Role, User
from devices import coordination
from devices.families.ipro.commands import GENERAL_GAP
from devices.families.povcam.commands.row import GAP
from devices.models import Device, Site
from tests import nursery
from tests.ports import free_port

USER, PASSWORD = "admin", "a password of the device"


@dataclass
class Simulator:
    port: int
    process: nursery.Process

    def side_door(self, name: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/_sim/{name}", data=data)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return dict(json.load(answer))

    @property
    def violations(self) -> list[Any]:
        return list(self.side_door("violations")["violations"])

    @property
    def sessions(self) -> list[dict[str, Any]]:
        return list(self.side_door("sessions")["sessions"])

    @property
    def targets(self) -> list[str]:
        """What it was asked, without the questions it answered with a challenge."""
        return [each["target"] for each in self.side_door("requests")["requests"] if each["status"] != 401]


@contextlib.contextmanager
def start_simulators() -> Iterator[Callable[..., Simulator]]:
    """`start(*options, family=…, password=…, port=…, seed=…)` is a simulated device that listens."""
    running: list[nursery.Process] = []

    def start(
        *options: str, family: str = "povcam", password: str = PASSWORD, port: int | None = None, seed: int = 7
    ) -> Simulator:
        port = port or free_port()
        given = ["--user", USER, "--password", password, "--seed", str(seed), *options]
        process = nursery.simulate(family, "--port", str(port), "--control", *given)
        running.append(process)
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return Simulator(port, process)
            assert not process.ended(), "the simulator ended"
            assert time.monotonic() < deadline, "the simulator did not start"
            time.sleep(0.01)

    try:
        yield start
    finally:
        for process in running:
            process.terminate()
            process.wait(10)


@pytest.fixture
def shorter_rests() -> dict[int, int]:
    """Most of the time of these tests would be rests. Simulators that are started here know of the shorter ones, and
    want them kept. The rests of commands that a test makes itself stay as they are."""
    rests = {GAP: nursery.COMMAND_REST, GENERAL_GAP: nursery.GENERAL_REST}
    return {usual: round(seconds * 1000) for usual, seconds in rests.items()}


@pytest.fixture
def start_simulator() -> Iterator[Callable[..., Simulator]]:
    with start_simulators() as start:
        yield start


@pytest.fixture
def simulator(start_simulator: Callable[..., Simulator]) -> Simulator:
    return start_simulator("--user-auth")


def unsaved_device(port: int, **fields: Any) -> Device:
    """A row as the gateway and drivers need it; they never touch the database."""
    values = {"username": USER, "password": PASSWORD, "options": {}, "name": "Gate", "family": "povcam"} | fields
    return Device(pk=fields.pop("pk", 1), host="127.0.0.1", port=port, **{k: v for k, v in values.items() if k != "pk"})


@pytest.fixture
def device(simulator: Simulator, redis_client: redis.Redis) -> Device:
    return unsaved_device(simulator.port)


@pytest.fixture
def saved_device(simulator: Simulator, redis_client: redis.Redis, db: None) -> Device:
    row = unsaved_device(simulator.port)
    row.pk = None
    row.site = Site.objects.create(name="Yard")
    row.save()
    return row


@pytest.fixture
def redis_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients made from here on find nobody at the address of Redis."""
    monkeypatch.setattr(settings, "REDIS_URL", f"unix://{settings.DATA_DIR}/nobody.sock")
    monkeypatch.setattr(coordination, "_clients", WeakKeyDictionary())


@dataclass
class Scripted:
    """An HTTP device that answers what the test says and keeps the exact bytes it was sent."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    answers: list[bytes | Callable[[bytes], bytes]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            request = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(request)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            writer.write(answer(request) if callable(answer) else answer)
            await writer.drain()
        writer.close()


def http(status: int, body: str = "", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body.encode())}", *headers, "", body]
    return "\r\n".join(lines).encode()


@pytest.fixture
async def scripted(redis_client: redis.Redis) -> AsyncIterator[Scripted]:
    device = Scripted()
    server = await asyncio.start_server(device.serve, "127.0.0.1", 0)
    device.port = server.sockets[0].getsockname()[1]
    device.answers = [http(200, "a=1\r\n")]
    yield device
    server.close()
    await server.wait_closed()


class Api:
    def __init__(self, user: User) -> None:
        _, plain = tokens.create(None, user, name="test")
        self.client = Client(HTTP_AUTHORIZATION=f"Bearer {plain}")

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = b"" if body is None else json.dumps(body).encode()
        response = self.client.generic(method, f"/api/v1/{path}", data, "application/json")
        assert PASSWORD.encode() not in response.content, "a password is never answered"
        return response.status_code, response.json() if response.content else None


@pytest.fixture
def api_of(redis_client: redis.Redis, db: None) -> Callable[..., Api]:
    def make(role: Role, *sites: Site) -> Api:
        user = User.objects.create_user(f"{role}{len(User.objects.all())}", None, role=role)
        for site in sites or (None,):
            Grant.objects.create(user=user, site=site)
        return Api(user)

    return make


@pytest.fixture
def admin(api_of: Callable[..., Api]) -> Api:
    return api_of(Role.ADMIN)
