"""People, a camera and callers for tests of the API."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Grant, Role, User
from devices.models import Camera, Device, Site
from tests.api.caller import PASSWORD, Caller


@pytest.fixture
def user_with(db: None) -> Callable[..., User]:
    def make(username: str, role: Role = Role.VIEWER, *, everything: bool = False, **fields: Any) -> User:
        user = User.objects.create_user(username, PASSWORD, role=role, **fields)
        if everything:
            Grant.objects.create(user=user)
        return user

    return make


@pytest.fixture
def admin(user_with: Callable[..., User]) -> User:
    return user_with("root", Role.ADMIN, everything=True)


@pytest.fixture
def call(admin: User) -> Caller:
    """The administrator's caller."""
    return Caller(admin)


@pytest.fixture
def camera(db: None) -> Camera:
    site = Site.objects.create(name="North")
    device = Device.objects.create(name="Recorder", family="povcam", host="recorder.test", site=site)
    return Camera.objects.create(device=device, name="Gate")
