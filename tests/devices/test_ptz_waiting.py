"""A movement that cannot go out in time never goes out, and whoever asked is told: against strict simulators that are
full or silent, and with a driver that waits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis

from accounts.problems import Problem
from devices import ptz
from devices.coordination import shared
from devices.errors import NoAnswer
from devices.families import driver_for
from devices.families.povcam import commands as cgi
from devices.gateway import Gateway
from devices.models import Camera, Device
from tests.devices.conftest import Api, Simulator, unsaved_device
from tests.devices.test_ipro_uids import complaints
from tests.devices.test_ptz import LEFT, STILL, Head, forget_watches, move, still, until

MOVES = {"povcam": {"zoom": 1}, "ipro": {"pan": 1}, "ipcam": {"pan": 1}, "hama": {"pan": 1}}
MOVE_PATHS = {"povcam": "directctrl", "ipro": "directctrl", "ipcam": "pantilt", "hama": "move="}


# --- Over the API, against simulators ---------------------------------------------------------------------------------
@pytest.fixture
def camera_of(
    saved_device: Device, start_simulator: Callable[..., Simulator]
) -> Callable[[str], tuple[Simulator, Camera]]:
    def make(family: str) -> tuple[Simulator, Camera]:
        options = () if family in ("ipro", "hama") else ("--user-auth",)
        simulator = start_simulator(*options, family=family, password="secret12")
        status = {"channels": 16} if family == "ipro" else {}
        Device.objects.update(family=family, port=simulator.port, password="secret12", status=status)
        saved_device.refresh_from_db()
        return simulator, Camera.objects.create(device=saved_device, number=1, name="Dome")

    return make


@pytest.mark.django_db(transaction=True)
def test_a_full_recorder_is_told_as_such_and_nothing_moves(
    admin: Api, camera_of: Callable[[str], tuple[Simulator, Camera]]
) -> None:
    recorder, camera = camera_of("ipro")
    recorder.side_door("fault", {"kind": "fill-uids", "number": 16})
    status, error = admin("POST", f"cameras/{camera.pk}/ptz", {"pan": 1})
    assert status == 409
    assert "16 of its 16 places for clients taken" in error["error"]
    assert admin("GET", f"cameras/{camera.pk}/ptz")[1]["moving"] is False
    # Nor does it move later, when there is room.
    recorder.side_door("fault", {"kind": "fill-uids", "number": 0})
    assert ptz.overdue() == []
    assert [target for target in recorder.targets if "getinfo" not in target] == []
    assert complaints(recorder) == []


@pytest.mark.django_db(transaction=True)
def test_a_full_recorder_is_not_told_to_stop_what_never_moved(
    admin: Api, camera_of: Callable[[str], tuple[Simulator, Camera]]
) -> None:
    recorder, camera = camera_of("ipro")
    recorder.side_door("fault", {"kind": "fill-uids", "number": 16})
    assert admin("POST", f"cameras/{camera.pk}/ptz", {"pan": 0})[0] == 409
    assert admin("GET", f"cameras/{camera.pk}/ptz")[1]["moving"] is False
    recorder.side_door("fault", {"kind": "fill-uids", "number": 0})
    assert ptz.overdue() == [], "a stop that had nothing to stop is told, and not tried again for minutes"
    assert admin("POST", f"cameras/{camera.pk}/ptz", {"pan": 1})[0] == 204
    assert complaints(recorder) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("family", list(MOVES))
def test_a_silent_device_is_told_as_such(
    admin: Api, camera_of: Callable[[str], tuple[Simulator, Camera]], family: str
) -> None:
    simulator, camera = camera_of(family)
    simulator.side_door("fault", {"kind": "hang"})
    status, error = admin("POST", f"cameras/{camera.pk}/ptz", MOVES[family])
    assert status == 504, error
    assert error["error"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("family", list(MOVES))
def test_moving_tells_the_truth(admin: Api, camera_of: Callable[[str], tuple[Simulator, Camera]], family: str) -> None:
    simulator, camera = camera_of(family)
    path = f"cameras/{camera.pk}/ptz"
    assert admin("POST", path, MOVES[family])[0] == 204
    assert any(MOVE_PATHS[family].lower() in target.lower() for target in simulator.targets)
    assert admin("GET", path)[1]["moving"] is True
    assert admin("POST", path, dict.fromkeys(MOVES[family], 0))[0] == 204
    assert admin("GET", path)[1]["moving"] is False
    assert complaints(simulator) == []


# --- Waiting, sending, and changing one's mind ------------------------------------------------------------------------
class Waiting(Head):
    """A camera whose commands wait for their turn until `open`, as before a busy device."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.asked: list[tuple[float, float, float]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def move(self, gateway: Gateway, camera: Camera, *, pan: float, tilt: float, zoom: float) -> None:
        self.asked.append((pan, tilt, zoom))
        await self.open.wait()
        await super().move(gateway, camera, pan=pan, tilt=tilt, zoom=zoom)


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    head = Waiting()
    monkeypatch.setattr(ptz, "driver_for", lambda device: head)
    monkeypatch.setattr(ptz, "MOVE_SECONDS", 0.6)
    monkeypatch.setattr(ptz, "OVERDUE_SECONDS", 0.3)
    monkeypatch.setattr(ptz, "ANSWER_SECONDS", 0.6)
    monkeypatch.setattr(ptz, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(ptz, "STOP_AGAIN_SECONDS", (0.05, 0.05, 0.05))
    return head


@pytest.fixture
async def camera(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Camera]:
    async def free(by: Any, camera: Camera) -> None:
        pass

    monkeypatch.setattr(ptz, "hold", free)
    yield Camera(pk=7, device=unsaved_device(9), number=1, name="Dome")
    for watch in list(ptz._watches.get(asyncio.get_running_loop(), {}).values()):
        watch.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch.task


async def test_a_movement_whose_time_ran_out_while_it_waited_is_withdrawn(head: Waiting, camera: Camera) -> None:
    head.open.clear()
    with pytest.raises(Problem, match="busy") as refused:
        await move(camera, LEFT)
    assert refused.value.status == 409
    head.open.set()
    assert not await ptz.is_moving(camera)
    await until(lambda: gone(camera))
    assert head.told == [], "neither the movement, nor a stop of what never moved"


async def gone(camera: Camera) -> bool:
    return not await shared().exists(f"vms:ptz:wish:{camera.pk}")


async def test_a_movement_never_goes_out_after_the_button_was_released(head: Waiting, camera: Camera) -> None:
    head.open.clear()
    moving = asyncio.create_task(move(camera, LEFT))
    await until(lambda: head.asked)
    assert not await ptz.is_moving(camera), "it waits still"
    stopping = asyncio.create_task(move(camera, STILL))
    await until(lambda: head.asked[-1:] == [STILL])
    head.open.set()
    await asyncio.gather(moving, stopping)
    assert head.told == [STILL]


async def test_released_in_the_last_moment_it_does_not_go_out_either(
    head: Waiting, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks meanwhile: the last word, in its turn, is what counts."""
    monkeypatch.setattr(ptz, "LOOK_SECONDS", 60.0)
    head.open.clear()
    moving = asyncio.create_task(move(camera, LEFT))
    await until(lambda: head.asked)
    stopping = asyncio.create_task(move(camera, STILL))
    await until(lambda: wished_still(camera))
    head.open.set()
    await asyncio.gather(moving, stopping)
    assert head.told == [STILL]


async def wished_still(camera: Camera) -> bool:
    return await shared().hget(f"vms:ptz:wish:{camera.pk}", "till") == "0"


async def test_held_down_it_goes_out_as_soon_as_it_can(head: Waiting, camera: Camera) -> None:
    head.open.clear()
    moves = []
    for _ in range(5):
        moves.append(asyncio.create_task(move(camera, LEFT)))
        await asyncio.sleep(0.25)
    head.open.set()
    await asyncio.gather(*moves)
    assert head.told[:1] == [LEFT]
    await head.until_told(LEFT, STILL)


async def test_a_movement_that_gets_no_answer_is_stopped_when_its_time_is_over(head: Waiting, camera: Camera) -> None:
    head.seconds = 60
    moving = asyncio.create_task(move(camera, LEFT))
    await head.until_told(LEFT)
    assert await ptz.is_moving(camera), "nobody knows better"
    head.seconds = 0
    with pytest.raises(Problem, match="did not answer") as refused:
        await moving
    assert refused.value.status == 504
    await head.until_told(LEFT, STILL)
    await until(lambda: still(camera))


async def test_who_waits_for_another_process_is_told_when_it_was_in_vain(head: Waiting, camera: Camera) -> None:
    await shared().set("vms:ptz:driver:7", "another process", px=5000)
    with pytest.raises(Problem, match="busy") as refused:
        await move(camera, LEFT)
    assert refused.value.status == 409
    await shared().delete("vms:ptz:driver:7")
    await until(lambda: gone(camera))
    assert head.told == []


async def test_a_killed_process_that_may_have_moved_it_leaves_a_stop(head: Waiting, camera: Camera) -> None:
    head.seconds = 60
    asking = asyncio.create_task(move(camera, LEFT))
    await head.until_told(LEFT)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:  # as kill -9 does: nobody cleans up
        if "_drive" in repr(task) or task is asking or "_begin" in repr(task):
            task.cancel()
    head.seconds = 0
    if asyncio.get_running_loop() in ptz._watches:
        forget_watches()
    await until(ptz.overdue)
    await shared().delete("vms:ptz:driver:7")
    await ptz.end_overdue([7], [camera])
    assert head.told == [LEFT, STILL]


async def test_redis_losing_its_memory_does_not_leave_it_moving(
    head: Waiting, camera: Camera, redis_client: redis.Redis
) -> None:
    await move(camera, LEFT)
    redis_client.flushall()
    await head.until_told(LEFT, STILL)


async def test_a_stop_of_what_moves_is_tried_again_until_it_gets_through(head: Waiting, camera: Camera) -> None:
    await move(camera, LEFT)
    head.errors = [NoAnswer("Nothing answers.")] * 2
    with pytest.raises(Problem, match="Nothing answers"):
        await move(camera, STILL)
    assert await ptz.is_moving(camera)
    await head.until_told(STILL, STILL, STILL)
    await until(lambda: still(camera))


async def test_a_real_gateway_asks_for_the_last_word_in_its_turn(
    simulator: Simulator, redis_client: redis.Redis
) -> None:
    class Minded(Gateway):
        async def last_word(self, command: Any) -> None:
            raise ptz.NotWanted("Not any more.")

    device = unsaved_device(simulator.port)
    with pytest.raises(ptz.NotWanted):
        await driver_for(device).ask(Minded(device), cgi.DIRECTCTRL, {"zoom": 1})
    assert simulator.targets == []
    assert await driver_for(device).ask(Gateway(device), cgi.DIRECTCTRL, {"zoom": 0})
