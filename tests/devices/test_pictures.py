"""Pictures on disk: the last of each camera, and those of its presets."""

import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from devices import pictures, tasks
from devices.models import Camera, Device, Site

FOLDER = Path(settings.DATA_DIR) / "pictures"


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    pictures.forget_all_but(())


def new_camera(name: str = "Gate") -> Camera:
    site, _ = Site.objects.get_or_create(name="Yard")
    device = Device.objects.create(name=name, family="povcam", site=site, host=f"{name}.test")
    return Camera.objects.create(device=device, name=name)


def test_a_picture_keeps_its_time_and_is_for_nobody_else_to_read() -> None:
    assert pictures.kept(1) is None
    assert pictures.keep(1, b"a picture", 1_700_000_000.25)
    assert pictures.kept(1) == pictures.Picture(b"a picture", 1_700_000_000.25)
    assert stat.S_IMODE(FOLDER.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in FOLDER.iterdir()} == {0o600}


def test_there_is_one_per_camera_and_one_per_preset() -> None:
    for data in (b"first", b"second"):
        pictures.keep(1, data, time.time())
        pictures.keep(1, data, 5.0, preset=12)
        pictures.keep(11, data, 6.0, preset=2)
    assert sorted(path.name for path in FOLDER.iterdir()) == ["1-12.jpg", "1.jpg", "11-2.jpg"]
    assert pictures.presets_with_one(1) == {12: 5.0}
    assert pictures.presets_with_one(11) == {2: 6.0}


def test_a_picture_that_is_too_large_is_not_kept() -> None:
    pictures.keep(1, b"small", 1.0)
    assert not pictures.keep(1, b"x" * (pictures.LARGEST + 1), 2.0)
    assert pictures.kept(1) == pictures.Picture(b"small", 1.0)


@pytest.mark.django_db(transaction=True)
def test_they_go_with_the_camera() -> None:
    gate, yard = new_camera("gate"), new_camera("yard")
    for camera in (gate, yard):
        pictures.keep(camera.pk, b"x", 1.0)
        pictures.keep(camera.pk, b"x", 1.0, preset=3)
    number = gate.pk
    gate.device.delete()
    assert pictures.kept(number) is None
    assert pictures.presets_with_one(number) == {}
    assert pictures.kept(yard.pk) is not None


@pytest.mark.django_db
def test_what_a_removed_camera_left_goes_at_night() -> None:
    gate = new_camera()
    pictures.keep(gate.pk, b"x", 1.0)
    pictures.keep(gate.pk + 1, b"x", 1.0)
    pictures.keep(gate.pk + 1, b"x", 1.0, preset=1)
    tasks.forget_old()
    assert [path.name for path in FOLDER.iterdir()] == [f"{gate.pk}.jpg"]
