from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from accounts import tokens
from accounts.models import Grant, Role, User
from devices.models import Camera, Device, Site
from streaming import relay
from tests.streaming.film import Film, make_film
from tests.streaming.sockets import Socket

# What a recorder told when it was last asked, as far as streams are described from it.
TOLD = {"streams": {"h264": {"transmits": True, "width": 1280, "max_fps": 30}, "h264_2": {"width": 640, "max_fps": 15}}}


@pytest.fixture(scope="session")
def film() -> Film:
    """Four seconds at 15 pictures per second."""
    return make_film(60)


@pytest.fixture
def new_camera(db: None) -> Callable[..., Camera]:
    def make(name: str = "Gate", *, family: str = "povcam", **fields: Any) -> Camera:
        site = Site.objects.create(name=f"Site of {name}")
        fields = {"host": f"{name.lower()}.test", "status": TOLD, **fields}
        device = Device.objects.create(name=f"Device of {name}", family=family, site=site, **fields)
        return Camera.objects.create(device=device, name=name)

    return make


@dataclass
class Person:
    user: User
    bearer: str


@pytest.fixture
def new_person(db: None) -> Callable[..., Person]:
    """Somebody with a token, who may reach what is given (nothing: everything)."""

    def make(name: str = "ann", *cameras: Camera, role: Role = Role.VIEWER, nothing: bool = False) -> Person:
        user = User.objects.create_user(name, "a good long password", role=role)
        if not nothing:
            for camera in cameras or (None,):
                Grant.objects.create(user=user, camera=camera)
        return Person(user, tokens.create(None, user, name="test")[1])

    return make


@pytest.fixture
async def watch() -> AsyncIterator[Callable[..., Socket]]:
    """`watch(person, "/ws/live/1/")` is a socket; all are closed, and every relay with them, at the end."""
    from vms.asgi import application

    sockets: list[Socket] = []

    def make(person: Person | None, path: str) -> Socket:
        headers = [(b"host", b"localhost")]
        if person is not None:
            headers.append((b"authorization", f"Bearer {person.bearer}".encode()))
        sockets.append(Socket(application, path, headers))
        return sockets[-1]

    yield make
    await relay.close_all()
    for each in sockets:
        await each.disconnect()
