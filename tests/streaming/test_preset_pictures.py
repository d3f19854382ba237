"""A preset gets its picture when it is set, or reached, and nobody moved the camera meanwhile."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from PIL import Image

from accounts.models import Role
from devices import pictures, presets, ptz
from devices.families.povcam.driver import PovcamDriver
from devices.models import Camera
from streaming import thumbnails
from streaming.relay import relays
from tests.streaming.conftest import Person
from tests.streaming.film import Film
from tests.streaming.memory import MemoryCamera

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_client")]


class Dome(PovcamDriver):
    """A head with presets, as no simulated one of the family has."""

    def ptz(self, camera: Camera) -> ptz.Ptz:
        return ptz.Ptz(pan_tilt=True, center=True, presets=8)

    async def set_preset(self, *_: object, **__: object) -> None: ...
    async def goto_preset(self, *_: object, **__: object) -> None: ...
    async def clear_preset(self, *_: object, **__: object) -> None: ...
    async def center(self, *_: object, **__: object) -> None: ...


@pytest.fixture
def camera(new_camera, monkeypatch: pytest.MonkeyPatch) -> Camera:
    monkeypatch.setattr(ptz, "driver_for", Dome)
    monkeypatch.setattr(thumbnails, "TRAVEL_SECONDS", 0.05)
    monkeypatch.setattr(thumbnails, "LEEWAY", 0.02)
    return new_camera("Dome")


@pytest.fixture
async def stream(film: Film, camera: Camera) -> AsyncIterator[MemoryCamera]:
    """Somebody watches the camera; `show()` brings its next key picture."""
    source = MemoryCamera(film)
    with relays.watch(camera.pk, "h264", source.source, lambda: None):
        await source.opened.wait()
        key = source.units[0]

        def show() -> None:
            source.units = [key._replace(received=time.time())]
            source.send()

        source.show = show
        show()
        yield source
    await relays.close_all()


@pytest.fixture
async def ask(camera: Camera, new_person) -> Callable:
    person: Person = await sync_to_async(new_person)("otto", role=Role.OPERATOR)
    headers = {"Authorization": f"Bearer {person.bearer}"}

    async def ask(method: str, path: str, body: object = None):
        return await AsyncClient().generic(method, f"/api/v1/cameras/{camera.pk}/{path}", headers=headers)

    return ask


async def taken() -> None:
    """All pictures that are being taken are, or will not be."""
    async with asyncio.timeout(10):
        while thumbnails._taking:  # noqa: ASYNC110 — nobody announces it
            await asyncio.sleep(0.01)


async def set_here(camera: Camera, number: int) -> None:
    await presets.set_here(None, camera, "Door", number)


async def test_who_sets_a_preset_gets_its_picture(camera: Camera, stream: MemoryCamera, ask: Callable):
    await set_here(camera, 3)
    assert (await ask("GET", "presets/3/picture.jpg")).status_code == 404  # what was seen before is not it
    stream.show()
    await taken()
    answer = await ask("GET", "presets/3/picture.jpg?taken=1")
    assert answer.status_code == 200
    assert Image.open(io.BytesIO(answer.content)).size == (240, 135)
    listed = (await ask("GET", "presets")).json()["results"]
    assert [each["number"] for each in listed if each["picture"]] == [3]


async def test_a_preset_that_was_reached_gets_its_picture_too(camera: Camera, stream: MemoryCamera):
    await presets.goto(None, camera, 5)
    await asyncio.sleep(0.1)
    stream.show()
    await taken()
    assert list(await sync_to_async(pictures.presets_with_one)(camera.pk)) == [5]


async def test_a_camera_that_was_moved_meanwhile_gives_no_picture(camera: Camera, stream: MemoryCamera):
    await presets.goto(None, camera, 5)
    await asyncio.sleep(0.04)
    await ptz.center(None, camera, x=0.1, y=0.1)
    await asyncio.sleep(0.05)
    stream.show()
    await taken()
    assert pictures.presets_with_one(camera.pk) == {}


async def test_of_two_commands_the_last_one_counts(camera: Camera, stream: MemoryCamera):
    await presets.goto(None, camera, 1)
    await presets.goto(None, camera, 2)
    await asyncio.sleep(0.1)
    stream.show()
    await taken()
    assert list(pictures.presets_with_one(camera.pk)) == [2]


async def test_the_picture_goes_with_what_it_shows(camera: Camera):
    for number in (1, 2):
        pictures.keep(camera.pk, b"x", 1.0, preset=number)
    await set_here(camera, 1)  # anew, somewhere else
    await presets.clear(None, camera, 2)
    assert pictures.presets_with_one(camera.pk) == {}
