"""People, sites and cameras for tests of accounts."""

from collections.abc import Callable

import pytest

from accounts.models import Grant, Role, User
from devices.models import Camera, Device, Site
from tests.accounts.people import PASSWORD


@pytest.fixture
def new_user(db: None) -> Callable[..., User]:
    """`new_user("ann", Role.ADMIN, everything=True, sites=[…], cameras=[…])`"""

    def make(
        username: str = "ann",
        role: Role = Role.VIEWER,
        *,
        everything: bool = False,
        sites: tuple[Site, ...] = (),
        cameras: tuple[Camera, ...] = (),
        **fields: object,
    ) -> User:
        user = User.objects.create_user(username, PASSWORD, role=role, **fields)
        if everything:
            Grant.objects.create(user=user)
        for site in sites:
            Grant.objects.create(user=user, site=site)
        for camera in cameras:
            Grant.objects.create(user=user, camera=camera)
        return user

    return make


@pytest.fixture
def admin(new_user: Callable[..., User]) -> User:
    return new_user("root", Role.ADMIN, everything=True)


@pytest.fixture
def new_camera(db: None) -> Callable[..., Camera]:
    """`new_camera("Yard")` is camera 1 of a device of its own in a site of its own; `device=` adds to a device."""

    def make(name: str = "Gate", *, device: Device | None = None, site: Site | None = None) -> Camera:
        if device is None:
            site = site or Site.objects.create(name=f"Site of {name}")
            device = Device.objects.create(name=f"Device of {name}", family="povcam", host=f"{name}.test", site=site)
        return Camera.objects.create(device=device, number=device.cameras.count() + 1, name=name)

    return make
