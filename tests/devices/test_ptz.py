"""Movement always ends, and the last wish is the one that counts: with a driver that notes what it is told."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis

from accounts.audit import Actor
from accounts.models import Role, User
from accounts.problems import Problem
from devices import ptz
from devices.coordination import shared
from devices.errors import NoAnswer, Refused
from devices.families.base import Ptz
from devices.families.povcam import commands as cgi
from devices.models import Camera
from tests.devices.conftest import unsaved_device

LEFT, STILL = (-0.5, 0.0, 0.0), (0.0, 0.0, 0.0)


async def until(holds: Callable[[], Any]) -> None:
    """Look until it holds."""
    async with asyncio.timeout(10):
        while True:
            found = holds()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.02)


async def still(camera: Camera) -> bool:
    return not await ptz.is_moving(camera)


@dataclass
class Head:
    """A camera that turns, and what it was told. `errors` are raised instead, one after the other."""

    told: list[tuple[float, float, float]] = field(default_factory=list)
    errors: list[Exception | None] = field(default_factory=list)
    seconds: float = 0.0
    repeat_seconds: float | None = None

    def ptz(self, camera: Camera) -> Ptz:
        return Ptz(pan_tilt=True, zoom=True, repeat_seconds=self.repeat_seconds)

    async def move(self, gateway: Any, camera: Camera, *, pan: float, tilt: float, zoom: float) -> None:
        await gateway.last_word(cgi.DIRECTCTRL)  # as the gateway itself does in its turn
        self.told.append((pan, tilt, zoom))
        await asyncio.sleep(self.seconds)
        error = self.errors.pop(0) if self.errors else None
        if error:
            raise error

    async def until_told(self, *expected: tuple[float, float, float]) -> None:
        await until(lambda: self.told[-len(expected) :] == list(expected))


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Head:
    head = Head()
    monkeypatch.setattr(ptz, "driver_for", lambda device: head)
    monkeypatch.setattr(ptz, "MOVE_SECONDS", 1.5)
    monkeypatch.setattr(ptz, "OVERDUE_SECONDS", 0.3)
    monkeypatch.setattr(ptz, "DRIVING_SECONDS", 2.0)
    monkeypatch.setattr(ptz, "STOP_AGAIN_SECONDS", (0.05, 0.05, 0.05))
    return head


@pytest.fixture
async def camera(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Camera]:
    async def free(by: Any, camera: Camera) -> None:
        """Who holds it is tested below."""

    monkeypatch.setattr(ptz, "hold", free)
    yield Camera(pk=7, device=unsaved_device(9), number=1, name="Dome")
    for watch in list(ptz._watches.get(asyncio.get_running_loop(), {}).values()):
        watch.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch.task


async def move(camera: Camera, speeds: tuple[float, float, float]) -> None:
    await ptz.move(None, camera, pan=speeds[0], tilt=speeds[1], zoom=speeds[2])


def forget_watches() -> None:
    """As when the process died: nobody here looks after the movement any more."""
    for watch in ptz._watches[asyncio.get_running_loop()].values():
        watch.task.cancel()


async def test_a_movement_ends_when_told(head: Head, camera: Camera) -> None:
    await move(camera, LEFT)
    assert head.told == [LEFT]
    assert await ptz.is_moving(camera)
    await move(camera, STILL)
    assert head.told == [LEFT, STILL]
    assert not await ptz.is_moving(camera)


async def test_a_movement_ends_by_itself_when_commands_cease(head: Head, camera: Camera) -> None:
    await move(camera, LEFT)
    await head.until_told(LEFT, STILL)
    assert head.told == [LEFT, STILL]


async def test_the_same_again_prolongs_it_and_is_not_sent_again(head: Head, camera: Camera) -> None:
    for _ in range(6):
        await move(camera, LEFT)
        await asyncio.sleep(0.15)
    assert head.told == [LEFT]
    await head.until_told(LEFT, STILL)


async def test_where_the_device_stops_by_itself_it_is_told_again(head: Head, camera: Camera) -> None:
    head.repeat_seconds = 0.1
    await move(camera, LEFT)
    await head.until_told(LEFT, LEFT, LEFT, STILL)


async def test_a_stop_is_sent_also_when_nothing_moves_by_our_wish(head: Head, camera: Camera) -> None:
    await move(camera, STILL)
    assert head.told == [STILL]


async def test_a_dead_process_leaves_its_movement_to_the_task(
    head: Head, camera: Camera, redis_client: redis.Redis
) -> None:
    await move(camera, LEFT)
    forget_watches()
    await until(ptz.overdue)
    found = ptz.overdue()
    assert found == [7]
    assert head.told == [LEFT]
    await ptz.end_overdue(found, [camera])
    assert head.told == [LEFT, STILL]
    assert ptz.overdue() == []


async def test_two_tasks_stop_it_once(head: Head, camera: Camera) -> None:
    await move(camera, LEFT)
    forget_watches()
    await until(ptz.overdue)
    head.seconds = 0.2
    await asyncio.gather(*(ptz.end_overdue([7], [camera]) for _ in range(3)))
    assert head.told == [LEFT, STILL]


async def test_a_camera_that_was_removed_is_forgotten(head: Head, camera: Camera) -> None:
    await move(camera, LEFT)
    forget_watches()
    await asyncio.sleep(0.6)
    await ptz.end_overdue([7], [])
    assert ptz.overdue() == []


async def test_a_stop_overtakes_nothing_and_is_the_last_word(head: Head, camera: Camera) -> None:
    """However slowly the device takes the movement, the stop that was wished afterwards arrives after it."""
    head.seconds = 0.2
    moving = asyncio.create_task(move(camera, LEFT))
    await head.until_told(LEFT)
    await move(camera, STILL)
    await moving
    await asyncio.sleep(0.3)
    assert head.told == [LEFT, STILL]


async def test_the_newest_of_many_wishes_counts(head: Head, camera: Camera) -> None:
    head.seconds = 0.05
    wishes = [(speed / 10, 0.0, 0.0) for speed in range(1, 9)]
    await asyncio.gather(*(move(camera, wish) for wish in wishes[:-1]))  # which arrive in any order
    await move(camera, wishes[-1])
    assert head.told[-1] == wishes[-1]
    await head.until_told(STILL)


async def test_whoever_asked_goes_away_and_it_ends_all_the_same(head: Head, camera: Camera) -> None:
    head.seconds = 0.1
    asking = asyncio.create_task(move(camera, LEFT))
    await head.until_told(LEFT)
    asking.cancel()
    await head.until_told(LEFT, STILL)


async def test_a_stop_that_does_not_get_through_is_tried_again(head: Head, camera: Camera) -> None:
    await move(camera, LEFT)
    head.errors = [NoAnswer("Nothing answers."), NoAnswer("Nothing answers."), None]
    with pytest.raises(Problem, match="Nothing answers"):
        await move(camera, STILL)
    await head.until_told(LEFT, STILL, STILL, STILL)
    await until(lambda: still(camera))


async def test_a_movement_that_may_have_begun_is_stopped(head: Head, camera: Camera) -> None:
    head.errors = [NoAnswer("Nothing answers.")]
    with pytest.raises(Problem, match="Nothing answers"):
        await move(camera, LEFT)
    await head.until_told(LEFT, STILL)


async def test_a_refused_movement_is_told_and_leaves_nothing_behind(head: Head, camera: Camera) -> None:
    head.errors = [Refused("The camera says no.")]
    with pytest.raises(Problem, match="says no"):
        await move(camera, LEFT)
    assert head.told == [LEFT]
    assert not await ptz.is_moving(camera)


async def test_a_refused_change_of_direction_stops_what_was_moving(head: Head, camera: Camera) -> None:
    await move(camera, LEFT)
    head.errors = [Refused("The camera says no.")]
    with pytest.raises(Problem, match="says no"):
        await move(camera, (0.5, 0.0, 0.0))
    assert head.told == [LEFT, (0.5, 0.0, 0.0), STILL]


async def test_a_dead_driver_is_replaced(head: Head, camera: Camera) -> None:
    await shared().set("vms:ptz:driver:7", "somebody who died", px=300)
    await move(camera, LEFT)
    assert head.told == [LEFT]


async def test_without_redis_the_movement_ends_too(
    head: Head, camera: Camera, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    await move(camera, LEFT)
    request.getfixturevalue("redis_away")
    await head.until_told(LEFT, STILL)


async def test_before_the_process_ends_it_stops_what_it_moves(head: Head, camera: Camera) -> None:
    await move(camera, LEFT)
    await ptz.stop_all_watched()
    assert head.told == [LEFT, STILL]


# --- Who holds it -----------------------------------------------------------------------------------------------------
@pytest.fixture
def person(db: None) -> Callable[..., Actor]:
    def make(name: str, role: Role) -> Actor:
        return Actor(User.objects.create_user(name, None, role=role))

    return make


@pytest.fixture
def dome(saved_device: Any) -> Camera:
    return Camera.objects.create(device=saved_device, name="Dome")


@pytest.mark.django_db(transaction=True)
async def test_one_holds_it_and_an_administrator_takes_it(
    head: Head, dome: Camera, person: Callable[..., Actor], monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [await asyncio.to_thread(person, *who) for who in (("ann", Role.OPERATOR), ("bob", Role.OPERATOR))]
    ann, bob = people
    root = await asyncio.to_thread(person, "root", Role.ADMIN)
    await ptz.move(ann, dome, pan=-0.5, tilt=0, zoom=0)
    with pytest.raises(Problem, match=r"ann is steering Dome now. It is free \d+ s"):
        await ptz.move(bob, dome, pan=0.5, tilt=0, zoom=0)
    with pytest.raises(Problem, match="ann"):
        await ptz.move(bob, dome, pan=0, tilt=0, zoom=0)
    await ptz.move(root, dome, pan=0, tilt=0.5, zoom=0)
    assert head.told == [LEFT, STILL, (0.0, 0.5, 0.0)], "what the other began ends first"
    assert await ptz.holder(dome) == "root"
    with pytest.raises(Problem, match="root"):
        await ptz.move(ann, dome, pan=0.5, tilt=0, zoom=0)
    await shared().delete(f"vms:ptz:holder:{dome.pk}")
    await ptz.move(bob, dome, pan=0, tilt=0, zoom=0)
    assert await ptz.holder(dome) is None, "who only stops it does not take it"
    await ptz.move(bob, dome, pan=0.5, tilt=0, zoom=0)
    assert await ptz.holder(dome) == "bob"


@pytest.mark.django_db(transaction=True)
async def test_a_hold_ends_some_time_after_the_last_command(
    head: Head, dome: Camera, person: Callable[..., Actor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ptz, "HOLD_SECONDS", 0.3)
    ann = await asyncio.to_thread(person, "ann", Role.OPERATOR)
    await ptz.hold(ann, dome)

    async def free() -> bool:
        return await ptz.holder(dome) is None

    await until(free)
