"""What an IPCam writes beside its pictures: each change of a switch is an event, and where it looks is known."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from asgiref.sync import sync_to_async

from devices import beside, polling, ptz
from devices.families.base import Beside
from devices.models import Camera, Device, Event
from simulators.ipcam import IpcamSimulator
from streaming.relay import Relays, Timing
from streaming.sources import beside as sources_beside
from tests.streaming.seeing import pieces, until, watch

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.one_database,
    pytest.mark.usefixtures("redis_client"),
]

OFF = dict.fromkeys(("Trigger1", "Trigger2", "ImageUpload", "ImageEmail"), False)


@pytest.fixture(params=["", "leftmost-io", "american-date"])
async def simulator(request: pytest.FixtureRequest) -> AsyncIterator[IpcamSimulator]:
    async with IpcamSimulator(seed=9, oddities=request.param) as simulator:
        yield simulator
        assert list(simulator.violations) == []


@pytest.fixture
async def relays(simulator: IpcamSimulator) -> AsyncIterator[Relays]:
    relays = Relays(Timing(silence=2.0, linger=0.05, first_retry=0.05, tick=0.05))
    yield relays
    await relays.close_all()


@pytest.fixture
async def camera(simulator: IpcamSimulator, new_camera: Callable[..., Camera]) -> Camera:
    where = {"family": "ipcam", "host": "127.0.0.1", "port": simulator.port}
    return await sync_to_async(new_camera)(**where, username="admin", password="12345", status={})


async def switched(device: Device) -> list[tuple[str, bool]]:
    """Every event of a switch so far, the oldest first."""
    rows = Event.objects.filter(device=device, type="device.switch").order_by("pk")
    return [(row.detail["switch"], row.detail["on"]) async for row in rows]


async def sooner_or_later(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not await true():  # noqa: ASYNC110 — nobody announces it
            await asyncio.sleep(0.05)


async def facts(camera: Camera) -> dict:
    await camera.device.arefresh_from_db()
    return camera.device.status.get("now", {}).get("switches")


async def test_switches_become_events_and_facts(relays: Relays, camera: Camera, simulator: IpcamSimulator):
    async def known() -> bool:
        return await facts(camera) == OFF

    async def seen(*expected: tuple[str, bool]) -> None:
        async def all_of_them() -> bool:
            return await switched(camera.device) == list(expected)

        await sooner_or_later(all_of_them)

    with watch(relays, camera, "mjpeg") as viewer:
        await pieces(viewer, 1)
        await sooner_or_later(known)
        simulator.io["Trigger1"] = "1"
        await seen(("Trigger1", True))
        simulator.io["ImageEmail"] = "1"
        await seen(("Trigger1", True), ("ImageEmail", True))
        simulator.io["Trigger1"] = "0"
        await seen(("Trigger1", True), ("ImageEmail", True), ("Trigger1", False))
        assert await facts(camera) == {**OFF, "ImageEmail": True}
        # A look that finds the same finds nothing new.
        await polling.look_now(camera.device)
        assert len(await switched(camera.device)) == 3
    text = (await Event.objects.filter(type="device.switch").order_by("pk").afirst()).text
    assert text == f"{camera.device.name}: Trigger1 is on."


async def test_where_it_looks_is_known_while_somebody_watches(
    relays: Relays, camera: Camera, simulator: IpcamSimulator, monkeypatch: pytest.MonkeyPatch
):
    published: list[tuple[int, int]] = []

    async def publish_soon(event: str, *, camera: int, pan: int, tilt: int) -> None:
        assert event == "camera.position"
        published.append((pan, tilt))

    monkeypatch.setattr(beside.events, "publish_soon", publish_soon)
    with watch(relays, camera, "mjpeg") as viewer:
        await pieces(viewer, 1)
        await until(lambda: published == [(170, 68)])
        simulator._position = (10, 20)
        await until(lambda: published == [(170, 68), (10, 20)])
        assert await beside.position(camera) == (10, 20)
        asked = len(simulator.requests)
        assert await ptz.position(camera) == (10, 20)
        assert len(simulator.requests) == asked  # no second stream for that
    await until(lambda: not relays.figures())
    assert await beside.position(camera) is None


async def test_what_stays_the_same_costs_nothing(relays: Relays, camera: Camera, monkeypatch: pytest.MonkeyPatch):
    kept: list[Beside] = []

    async def keep(camera: Camera, told: Beside) -> None:
        kept.append(told)

    monkeypatch.setattr(sources_beside.beside, "keep", keep)
    monkeypatch.setattr(sources_beside, "AGAIN", 3600.0)
    with watch(relays, camera, "mjpeg") as viewer:
        await pieces(viewer, 20)
    assert kept == [Beside(OFF, (170, 68))]


async def test_many_changes_are_handed_on_now_and_then_and_none_of_a_switch_is_lost(
    camera: Camera, monkeypatch: pytest.MonkeyPatch
):
    kept: list[Beside] = []
    go_on = asyncio.Event()

    async def keep(camera: Camera, told: Beside) -> None:
        kept.append(told)
        await go_on.wait()

    monkeypatch.setattr(sources_beside.beside, "keep", keep)
    monkeypatch.setattr(sources_beside, "EVERY", 0.0)
    async with sources_beside.telling(camera) as telling:
        for pan in range(100):  # it turns; meanwhile a trigger comes and goes
            bit = int(40 <= pan < 45)
            telling.take({"date": f"2026-11-20 12:00:00 IO_0000000{bit}_PT_{pan:03}_068"})
            await asyncio.sleep(0)
        go_on.set()
        await until(lambda: len(kept) == 4)
        assert [(told.switches["Trigger1"], told.position[0]) for told in kept] == [
            (False, 0),
            (False, 39),
            (True, 44),
            (False, 99),
        ]


async def test_a_camera_of_another_family_tells_nothing_there(new_camera: Callable[..., Camera]):
    camera = await sync_to_async(new_camera)("Other", family="hama", status={})
    async with sources_beside.telling(camera) as telling:
        telling.take({"date": "2026-11-20 12:00:00 IO_00000001_PT_170_068"})
        assert telling._task is None
