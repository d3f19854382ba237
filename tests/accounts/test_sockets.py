"""Who may open a socket, how others are refused, and that permission withdrawn closes what is open."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from channels.routing import URLRouter
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.test import Client
from django.urls import path
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import sockets, tokens, users
from accounts.models import ApiToken, Grant, Role, User
from accounts.policy import Action, Standing
from accounts.sockets import Authenticate, GuardedConsumer, SocketRefused
from devices.models import Camera

pytestmark = pytest.mark.django_db(transaction=True)

left: list[str] = []


class Watching(GuardedConsumer):
    policy = Action.WATCH

    def find_thing(self) -> Camera:
        return Camera.objects.visible_to(self.user).get(pk=self.kwargs["camera"])

    async def enter(self) -> None:
        await self.accept()
        await self.send(f"{self.user} sees {self.thing}")

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if text_data == "fail":
            raise RuntimeError("a bug")
        await self.send(f"echo {text_data}")

    async def leave(self) -> None:
        left.append(type(self).__name__)


class Steering(Watching):
    policy = Action.STEER


class Refusing(Watching):
    async def enter(self) -> None:
        raise SocketRefused(4422, "This camera cannot do it: " + "é" * 200)


class Failing(Watching):
    async def enter(self) -> None:
        raise RuntimeError("a bug")

    async def leave(self) -> None:
        await super().leave()
        raise RuntimeError("another bug")


class Listening(GuardedConsumer):
    policy = Standing.SIGNED_IN

    async def enter(self) -> None:
        await self.accept()


class Open(GuardedConsumer):
    policy = Standing.PUBLIC

    async def enter(self) -> None:
        await self.accept()


APPLICATION = Authenticate(
    URLRouter(
        [
            path("watch/<int:camera>/", Watching.as_asgi()),
            path("steer/<int:camera>/", Steering.as_asgi()),
            path("refuse/<int:camera>/", Refusing.as_asgi()),
            path("fail/<int:camera>/", Failing.as_asgi()),
            path("listen/", Listening.as_asgi()),
            path("open/", Open.as_asgi()),
        ]
    )
)


@pytest.fixture(autouse=True)
def _quick_rechecks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "RECHECK_EVERY", 0.02)
    left.clear()


def _cookie(user: User) -> dict[str, str]:
    browser = Client()
    browser.force_login(user)
    return {"cookie": f"sessionid={browser.cookies['sessionid'].value}", "origin": "http://testserver"}


def _bearer(user: User, **fields: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {tokens.create(None, user, name='robot', **fields)[1]}"}


class _Browser(ApplicationCommunicator):
    """The client's end of a socket."""

    async def connect(self) -> bool:
        """Is the handshake accepted?"""
        await self.send_input({"type": "websocket.connect"})
        return (await self.receive_output(10))["type"] == "websocket.accept"

    async def say(self, text: str) -> None:
        await self.send_input({"type": "websocket.receive", "text": text})

    async def hear(self) -> str:
        message = await self.receive_output(10)
        assert message["type"] == "websocket.send", message
        return message["text"]

    async def closing(self) -> tuple[int, str]:
        """The code and the reason of the close that comes, whatever comes before."""
        while (message := await self.receive_output(10))["type"] != "websocket.close":
            pass
        return message["code"], message.get("reason", "")


@asynccontextmanager
async def _socket(url: str, headers: dict[str, str]) -> AsyncIterator[_Browser]:
    headers = {"host": "testserver", **headers}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    browser = _Browser(APPLICATION, {"type": "websocket", "path": f"/{url}".replace("//", "/"), "headers": raw})
    try:
        yield browser
    finally:
        await browser.send_input({"type": "websocket.disconnect", "code": 1005})
        await browser.wait(10)


async def _refusal(url: str, headers: dict[str, str]) -> tuple[int, str]:
    """The close code and reason, where the handshake itself was accepted."""
    async with _socket(url, headers) as socket:
        assert await socket.connect(), "browsers see a code only after the handshake"
        return await socket.closing()


async def test_a_user_sees_a_camera_by_session_and_by_token(
    new_user: Callable[..., User], new_camera: Callable[..., Camera]
) -> None:
    camera = await sync_to_async(new_camera)("Gate")
    user = await sync_to_async(new_user)("ann", cameras=(camera,))
    for headers in (await sync_to_async(_cookie)(user), await sync_to_async(_bearer)(user)):
        async with _socket(f"/watch/{camera.pk}/", headers) as socket:
            assert await socket.connect()
            assert await socket.hear() == "ann sees Gate"
            await socket.say("hello")
            assert await socket.hear() == "echo hello"
    assert left == ["Watching", "Watching"]


async def test_each_refusal_has_its_code_and_a_sentence(
    new_user: Callable[..., User], new_camera: Callable[..., Camera]
) -> None:
    gate, yard = await sync_to_async(new_camera)("Gate"), await sync_to_async(new_camera)("Yard")
    user = await sync_to_async(new_user)("ann", cameras=(gate,))
    session = await sync_to_async(_cookie)(user)
    cases = [
        (f"/watch/{gate.pk}/", {}, 4401),
        (f"/watch/{gate.pk}/", {"authorization": "Bearer vms_wrong"}, 4401),
        (f"/watch/{gate.pk}/", {**session, "authorization": "Bearer vms_wrong"}, 4401),
        (f"/watch/{gate.pk}/", {"cookie": "sessionid=wrong", "origin": "http://testserver"}, 4401),
        ("/listen/", {}, 4401),
        (f"/steer/{gate.pk}/", session, 4403),
        (f"/watch/{yard.pk}/", session, 4404),
        ("/watch/99999999999999999999999/", session, 4404),
        (f"/refuse/{gate.pk}/", session, 4422),
        (f"/fail/{gate.pk}/", session, 1011),
    ]
    for url, headers, code in cases:
        left.clear()
        found, reason = await _refusal(url, headers)
        assert found == code, url
        assert 10 < len(reason.encode()) <= 123
        assert len(left) == (0 if url == "/listen/" else 1), "cleaned up exactly once"


async def test_a_public_socket_is_open_to_all(db: None) -> None:
    async with _socket("/open/", {}) as socket:
        assert await socket.connect()


async def test_a_password_others_have_seen_opens_no_socket(new_user: Callable[..., User]) -> None:
    user = await sync_to_async(new_user)("ann", must_change_password=True)
    code, reason = await _refusal("/listen/", await sync_to_async(_cookie)(user))
    assert (code, "new password" in reason) == (4403, True)


ORIGINS = [
    ("http://testserver", "testserver", True),
    ("https://testserver", "testserver", True),
    ("http://testserver:8000", "testserver:8000", True),
    ("https://testserver:443", "testserver", True),
    ("http://TestServer", "testserver", True),
    ("https://wall.example", "testserver", True),  # in CSRF_TRUSTED_ORIGINS
    ("", "testserver", False),
    ("null", "testserver", False),
    ("http://evil.test", "testserver", False),
    ("http://testserver.evil.test", "testserver", False),
    ("http://testserver:8001", "testserver:8000", False),
    ("file://testserver", "testserver", False),
    ("http://evil.test", "evil.test", False),  # not in ALLOWED_HOSTS: a name that was made to point here
]


@pytest.mark.parametrize(("origin", "host", "fine"), ORIGINS)
async def test_a_session_counts_only_for_pages_of_ours(
    new_user: Callable[..., User], settings: Settings, origin: str, host: str, fine: bool
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://wall.example"]
    headers = {**await sync_to_async(_cookie)(await sync_to_async(new_user)("ann")), "origin": origin, "host": host}
    async with _socket("/listen/", headers) as socket:
        assert await socket.connect() == fine


async def test_a_token_needs_no_origin(new_user: Callable[..., User]) -> None:
    async with _socket("/listen/", await sync_to_async(_bearer)(await sync_to_async(new_user)("ann"))) as socket:
        assert await socket.connect()


async def test_a_bug_closes_the_socket_and_is_logged(
    new_user: Callable[..., User], new_camera: Callable[..., Camera], caplog: pytest.LogCaptureFixture
) -> None:
    camera = await sync_to_async(new_camera)("Gate")
    headers = await sync_to_async(_cookie)(await sync_to_async(new_user)("ann", everything=True))
    async with _socket(f"/watch/{camera.pk}/", headers) as socket:
        await socket.connect()
        await socket.say("fail")
        assert (await socket.closing())[0] == 1011
        await socket.say("after")
        assert await socket.receive_nothing(0.1)
    assert "a bug" in caplog.text
    assert left == ["Watching"]


# --- Withdrawn while open ---------------------------------------------------------------------------------------------
def _disable(user: User) -> None:
    users.update_user(None, user, is_active=False)


def _sign_out(user: User) -> None:
    Session.objects.all().delete()


def _new_password(user: User) -> None:
    user.set_password("another good password")
    user.save()


def _must_change(user: User) -> None:
    User.objects.filter(pk=user.pk).update(must_change_password=True)


def _withdraw(user: User) -> None:
    Grant.objects.filter(user=user).delete()


def _demote(user: User) -> None:
    users.update_user(None, user, role=Role.VIEWER)


def _delete_user(user: User) -> None:
    users.delete_user(None, user)


def _delete_camera(user: User) -> None:
    Camera.objects.all().delete()


def _delete_token(user: User) -> None:
    ApiToken.objects.all().delete()


def _expire_token(user: User) -> None:
    ApiToken.objects.update(expires=timezone.now() - timedelta(seconds=1))


def _narrow_token(user: User) -> None:
    other = Camera.objects.create(device=Camera.objects.get().device, number=7, name="Other")
    ApiToken.objects.update(narrowed=True)
    Grant.objects.create(token=ApiToken.objects.get(), camera=other)


def _lower_token(user: User) -> None:
    ApiToken.objects.update(role=Role.VIEWER)


WITHDRAWALS = [
    (_cookie, _disable, 4401),
    (_cookie, _sign_out, 4401),
    (_cookie, _new_password, 4401),
    (_cookie, _delete_user, 4401),
    (_cookie, _must_change, 4403),
    (_cookie, _demote, 4403),
    (_cookie, _withdraw, 4404),
    (_cookie, _delete_camera, 4404),
    (_bearer, _disable, 4401),
    (_bearer, _delete_token, 4401),
    (_bearer, _expire_token, 4401),
    (_bearer, _lower_token, 4403),
    (_bearer, _withdraw, 4404),
    (_bearer, _narrow_token, 4404),
]


@pytest.mark.parametrize(("credentials", "withdraw", "code"), WITHDRAWALS)
async def test_an_open_socket_closes_when_its_reason_is_gone(
    new_user: Callable[..., User],
    new_camera: Callable[..., Camera],
    credentials: Callable[[User], dict[str, str]],
    withdraw: Callable[[User], None],
    code: int,
) -> None:
    camera = await sync_to_async(new_camera)("Gate")
    user = await sync_to_async(new_user)("ann", Role.OPERATOR, cameras=(camera,))
    async with _socket(f"/steer/{camera.pk}/", await sync_to_async(credentials)(user)) as socket:
        assert await socket.connect()
        await sync_to_async(withdraw)(user)
        found, reason = await socket.closing()
        assert found == code
        assert reason.endswith(".")
        assert left == ["Steering"], "at once, not when the client hangs up"
    assert left == ["Steering"]


async def test_a_changed_grant_closes_no_more_than_it_must(
    new_user: Callable[..., User], new_camera: Callable[..., Camera]
) -> None:
    gate, yard = await sync_to_async(new_camera)("Gate"), await sync_to_async(new_camera)("Yard")
    ann, bob = (
        await sync_to_async(new_user)("ann", cameras=(gate, yard)),
        await sync_to_async(new_user)("bob", cameras=(gate,)),
    )
    anns, bobs = await sync_to_async(_cookie)(ann), await sync_to_async(_cookie)(bob)
    async with (
        _socket(f"/watch/{gate.pk}/", anns) as first,
        _socket(f"/watch/{yard.pk}/", anns) as second,
        _socket(f"/watch/{gate.pk}/", bobs) as third,
        _socket("/listen/", anns) as fourth,
    ):
        for socket in (first, second, third, fourth):
            assert await socket.connect()
        await sync_to_async(Grant.objects.filter(user=ann, camera=gate).delete)()
        assert (await first.closing())[0] == 4404
        await sockets.recheck()
        for socket in (second, third):
            await socket.hear()
            await socket.say("still")
            assert await socket.hear() == "echo still"
        assert await fourth.receive_nothing(0.1)


def _away(*_: object) -> None:
    raise OperationalError("no database")


async def test_while_the_database_is_away_open_sockets_stay_and_new_ones_are_told_to_wait(
    new_user: Callable[..., User], new_camera: Callable[..., Camera], monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = await sync_to_async(new_camera)("Gate")
    user = await sync_to_async(new_user)("ann", everything=True)
    headers = await sync_to_async(_cookie)(user)
    url = f"/watch/{camera.pk}/"
    async with _socket(url, headers) as socket:
        assert await socket.connect()
        assert await socket.hear() == "ann sees Gate"
        with monkeypatch.context() as database:
            database.setattr(sockets, "_users_of_sessions", _away)
            await sockets.recheck()
            await socket.say("still")
            assert await socket.hear() == "echo still"
            code, reason = await _refusal(url, headers)
            assert (code, "database" in reason) == (1013, True)
        with monkeypatch.context() as database:
            database.setattr(sockets, "may", _away)
            assert (await _refusal(url, headers))[0] == 1013
        await sync_to_async(_disable)(user)
        assert (await socket.closing())[0] == 4401, "once the database is back, it counts again"


async def test_sockets_of_one_user_are_checked_together(
    new_user: Callable[..., User], new_camera: Callable[..., Camera], django_assert_max_num_queries: Any
) -> None:
    first = await sync_to_async(new_camera)("Gate")
    cameras = [first] + [await sync_to_async(new_camera)(f"Camera {n}", device=first.device) for n in range(15)]
    headers = await sync_to_async(_cookie)(await sync_to_async(new_user)("ann", everything=True))
    opened = [_socket(f"/watch/{camera.pk}/", headers) for camera in cameras]
    for each in opened:
        assert await (await each.__aenter__()).connect()
    grounds = {sockets._ground_of(socket) for socket in sockets._open}
    assert len(grounds) == 16

    def check() -> None:
        with django_assert_max_num_queries(10):
            assert sockets._fallen(grounds) == {}

    await sync_to_async(check)()
    for each in opened:
        await each.__aexit__(None, None, None)


async def test_nothing_is_checked_once_nobody_is_there(new_user: Callable[..., User]) -> None:
    headers = await sync_to_async(_cookie)(await sync_to_async(new_user)("ann"))
    async with _socket("/listen/", headers) as socket:
        await socket.connect()
        watcher = sockets._watcher
        assert watcher is not None
        assert not watcher.done()
    assert not sockets._open
    await asyncio.wait_for(watcher, 10)
    assert sockets._watcher is None
    async with _socket("/listen/", headers) as socket:
        await socket.connect()
        assert sockets._watcher is not None, "the next one is watched again"
