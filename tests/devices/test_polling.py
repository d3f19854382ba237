"""Watching the fleet: nobody twice, nobody forgotten, and states a guard can trust."""

import asyncio
import contextlib
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async

from accounts.secrets import Secret
from devices import looking, loop, polling, tasks
from devices.errors import Busy, DeviceError, NoAnswer, NoCoordination, Refused, Unauthorised, WrongAnswer
from devices.families.base import Health, Identity
from devices.gateway import Gateway
from devices.models import Camera, Device, Event, Site, State
from devices.polling import Memory, Outcome
from tests.devices.conftest import Simulator, unsaved_device

DUE = "vms:poll:due"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def all_due(redis_client: redis.Redis) -> None:
    for each in redis_client.zrange(DUE, 0, -1):
        redis_client.zadd(DUE, {each: 1})


# --- Whose turn it is -------------------------------------------------------------------------------------------------
def test_the_schedule_follows_the_database(redis_client: redis.Redis) -> None:
    polling.follow_database([1, 2, 3])
    polling.follow_database([2, 3, 4])
    assert sorted(redis_client.zrange(DUE, 0, -1)) == [b"2", b"3", b"4"]
    assert redis_client.ttl(DUE) > 0
    assert polling.time_to_follow()
    assert not polling.time_to_follow(), "one caller every few seconds"


def test_new_devices_are_spread_over_some_seconds(redis_client: redis.Redis) -> None:
    polling.follow_database(range(1000))
    times = [score for _, score in redis_client.zrange(DUE, 0, -1, withscores=True)]
    assert len(set(times)) > 500
    assert max(times) - min(times) <= 10_000


def test_overlapping_beats_claim_each_device_once(redis_client: redis.Redis) -> None:
    polling.follow_database(range(500))
    all_due(redis_client)
    claims: list[list[polling.Ticket]] = []
    beats = [threading.Thread(target=lambda: claims.append(polling.claim_due())) for _ in range(6)]
    for beat in beats:
        beat.start()
    for beat in beats:
        beat.join(30)
    assert sorted(device for claim in claims for device, _ in claim) == list(range(500))


def test_a_shard_delivered_twice_is_worked_on_once(redis_client: redis.Redis) -> None:
    polling.follow_database([1, 2])
    all_due(redis_client)
    claimed = polling.claim_due()
    first, second = polling.begin(claimed), polling.begin(claimed)
    assert sorted(device for device, _ in first) == [1, 2]
    assert second == []
    polling.come_again([(ticket, 10.0) for ticket in first])
    assert polling.begin(claimed) == []
    assert polling.begin(first) == [], "not even with the renewed ticket, once it was used"


def test_a_claim_whose_worker_died_is_due_again_later(redis_client: redis.Redis) -> None:
    polling.follow_database([1])
    all_due(redis_client)
    assert polling.claim_due()
    assert polling.claim_due() == []
    all_due(redis_client)  # as after CLAIM_SECONDS
    assert polling.claim_due()


def test_a_device_changed_during_its_look_is_looked_at_again_at_once(redis_client: redis.Redis) -> None:
    polling.follow_database([1])
    all_due(redis_client)
    tickets = polling.begin(polling.claim_due())
    polling.look_soon(unsaved_device(80))
    polling.come_again([(ticket, 3600.0) for ticket in tickets])
    assert [device for device, _ in polling.claim_due()] == [1]


# --- What it means ----------------------------------------------------------------------------------------------------
WELL = Health()
ILL = Health(problems=["The card in slot 1 reports an error."])


@pytest.mark.parametrize(
    ("before", "misses", "error", "health", "after"),
    [
        ("unknown", 0, None, WELL, ("online", 0)),
        ("offline", 7, None, WELL, ("online", 0)),
        ("online", 0, None, ILL, ("degraded", 0)),
        ("online", 0, NoAnswer("x"), None, ("online", 1)),
        ("online", 1, NoAnswer("x"), None, ("offline", 2)),
        ("unknown", 0, NoAnswer("x"), None, ("unknown", 1)),
        ("online", 0, Unauthorised("x"), None, ("unauthorised", 0)),
        ("online", 0, WrongAnswer("x"), None, ("degraded", 0)),
        ("online", 0, Refused("x"), None, ("degraded", 0)),
        ("online", 1, Busy("x"), None, ("online", 1)),
        ("offline", 3, NoCoordination(), None, ("offline", 3)),
    ],
)
def test_states(before: str, misses: int, error: DeviceError | None, health: Health | None, after: Any) -> None:
    outcome = Outcome(unsaved_device(80), NOW, error=error, health=health)
    assert polling.state_after(before, misses, outcome) == after


def test_a_device_that_is_away_is_asked_less_and_less_often_up_to_a_minute() -> None:
    device = unsaved_device(80)
    waits = [polling.seconds_until_next(device, State.OFFLINE, misses) for misses in range(1, 8)]
    assert waits == [2, 10, 20, 40, 60, 60, 60]
    assert polling.seconds_until_next(device, State.ONLINE, 0) == 10
    device.options = {"poll_seconds": 300}
    assert polling.seconds_until_next(device, State.OFFLINE, 9) == 300
    assert polling.seconds_until_next(device, State.UNAUTHORISED, 0) == 300


# --- What is kept -----------------------------------------------------------------------------------------------------
@pytest.fixture
def gate(db: None, redis_client: redis.Redis) -> Device:
    site = Site.objects.create(name="Yard")
    return Device.objects.create(name="Gate", family="povcam", host="192.168.0.10", site=site)


def well(device: Device, **facts: Any) -> Outcome:
    identity = Identity("AG-UCK20", "L6", "A8:13:74:BF:40:FD", "V1", {1: "Gate"}, {"streams": {}})
    health = Health({"recording": False, "counter": "00:00:01", **facts}, fleeting=frozenset({"counter"}))
    return Outcome(device, NOW, identity=identity, health=health)


def kept(outcome: Outcome, redis_client: redis.Redis) -> Device:
    polling.store([outcome], polling.remembered([outcome.device.pk]))
    return Device.objects.get(pk=outcome.device.pk)


def test_what_a_device_tells_is_kept_and_its_camera_appears(gate: Device, redis_client: redis.Redis) -> None:
    row = kept(well(gate), redis_client)
    assert (row.state, row.model, row.serial, row.firmware) == ("online", "AG-UCK20", "L6", "V1")
    assert row.last_seen == NOW
    assert row.status == {"streams": {}, "now": {"recording": False}, "problems": []}
    camera = Camera.objects.get()
    assert (camera.device, camera.number, camera.name) == (gate, 1, "Gate")
    Camera.objects.update(name="Main gate")
    kept(well(row), redis_client)
    assert Camera.objects.get().name == "Main gate"


def test_the_row_is_written_only_when_something_changed(
    gate: Device, redis_client: redis.Redis, django_assert_num_queries: Any
) -> None:
    row = kept(well(gate), redis_client)
    outcome = Outcome(row, NOW, health=Health({"recording": False, "counter": "00:00:09"}, [], frozenset({"counter"})))
    with django_assert_num_queries(0):
        polling.store([outcome], polling.remembered([row.pk]))
    assert polling.remembered([row.pk])[row.pk].fleeting == {"counter": "00:00:09"}


def test_an_error_is_told_and_cleared(gate: Device, redis_client: redis.Redis) -> None:
    kept(well(gate), redis_client)
    row = Device.objects.get()
    for state in ("online", "offline"):
        row = kept(Outcome(row, NOW, error=NoAnswer("Nothing answers.")), redis_client)
        assert (row.state, row.last_error) == (state, "Nothing answers.")
    assert row.last_seen == NOW
    assert row.model == "AG-UCK20", "what it told before stays true"
    row = kept(well(row), redis_client)
    assert (row.state, row.last_error) == ("online", "")


def test_a_device_whose_password_cannot_be_read_says_so(
    gate: Device, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    Device.objects.update(password=Secret.from_stored("of another key"))
    row = Device.objects.get()
    kept(loop.run(polling.look(row, Memory()), 30), redis_client)
    row.refresh_from_db()
    assert row.state == State.UNAUTHORISED
    assert row.last_error.startswith(f"The stored password of {row.name} cannot be read with the present SECRET_KEY")
    assert row.password.stored == "of another key", "nothing is overwritten"
    assert "Traceback" not in caplog.text


def test_a_look_at_an_old_address_says_nothing_about_the_new_one(gate: Device, redis_client: redis.Redis) -> None:
    outcome = well(Device.objects.get())
    Device.objects.update(host="192.168.0.11")
    polling.store([outcome], {})
    assert Device.objects.get().state == "unknown"


def test_changes_of_state_become_events(gate: Device, redis_client: redis.Redis) -> None:
    with redis_client.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe("vms:events")
        kept(well(gate), redis_client)
        kept(well(Device.objects.get()), redis_client)
        texts = []
        while (message := heard.get_message(timeout=0.5)) is not None or len(texts) < 2:
            texts += [message["data"].decode()] if message else []
    assert len(texts) == 2
    assert f'{{"type":"device.state","name":"Gate","state":"online","error":"","device":{gate.pk}}}' in texts
    assert f'{{"type":"device.changed","device":{gate.pk}}}' in texts


def test_without_redis_a_look_is_kept_in_the_row(gate: Device, redis_away: None) -> None:
    polling.store([well(gate)], polling.remembered([gate.pk]))
    assert Device.objects.get().state == "online"


# --- All of it --------------------------------------------------------------------------------------------------------
def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def due_at(redis_client: redis.Redis, device_id: int) -> float:
    """In milliseconds, as the clock of Redis."""
    score = redis_client.zscore(DUE, str(device_id))
    assert score is not None
    return score


def clock() -> int:
    return int(time.time() * 1000)  # Redis runs here


def due(redis_client: redis.Redis, device: Device) -> float:
    """In milliseconds, from now."""
    return due_at(redis_client, device.pk) - clock()


@pytest.mark.django_db(transaction=True)
def test_one_beat_looks_at_every_due_device(
    saved_device: Device, simulator: Simulator, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Device.objects.create(name="Away", family="povcam", host="127.0.0.1", port=1, site=saved_device.site)
    Device.objects.create(name="Off", family="povcam", host="127.0.0.1", port=2, site=away.site, enabled=False)
    handed_out: list[Any] = []
    monkeypatch.setattr(tasks.poll_shard, "apply_async", lambda arguments, **_: handed_out.append(arguments))
    tasks.poll_due()
    all_due(redis_client)
    tasks.poll_due()
    (shard,) = handed_out[-1]
    assert sorted(device for device, _ in shard) == [saved_device.pk, away.pk]
    tasks.poll_shard(shard)
    until(lambda: due(redis_client, saved_device) > 7_000, "it was not given a next turn")
    until(lambda: due(redis_client, away) < 4_000, "it was not given a next turn")
    saved_device.refresh_from_db()
    away.refresh_from_db()
    assert saved_device.state == "online"
    assert (away.state, away.last_error[:15]) == ("unknown", "Nothing answers")
    asked = len(simulator.targets)
    tasks.poll_shard(shard)
    assert len(simulator.targets) == asked, "the same shard again does nothing"
    assert simulator.violations == []


class Slow:
    """A driver of devices that answer when the test says so."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.began: list[tuple[str, float]] = []

    def __call__(self, device: Device) -> "Slow":
        self.device = device
        return self

    async def identify(self, gateway: Gateway) -> Identity:
        self.began.append((gateway.device.name, time.time()))
        if gateway.device.name == "Hangs":
            await asyncio.to_thread(self.may_answer.wait, 60)
        return Identity(model="X", mac="00:80:45:00:00:01")

    async def health(self, gateway: Gateway) -> Health:
        return Health()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    driver = Slow()
    monkeypatch.setattr(polling, "driver_for", driver)
    yield driver
    driver.may_answer.set()


def save(name: str, number: int, **fields: Any) -> Device:
    site, _ = Site.objects.get_or_create(name="Yard")
    return Device.objects.create(name=name, family="hama", host=f"192.0.2.{number}", site=site, **fields)


@pytest.mark.django_db(transaction=True)
def test_one_that_hangs_delays_nobody_else(slow: Slow, redis_client: redis.Redis) -> None:
    hangs, well = save("Hangs", 1), save("Well", 2)
    polling.follow_database([hangs.pk, well.pk])
    all_due(redis_client)
    tasks.poll_shard(polling.claim_due())  # and it ends at once
    until(lambda: Device.objects.get(pk=well.pk).state == "online", "it waits for the one that hangs")
    until(lambda: due(redis_client, well) > 7_000, "it has to wait for its next turn")
    assert Device.objects.get(pk=hangs.pk).state == "unknown"
    slow.may_answer.set()
    until(lambda: Device.objects.get(pk=hangs.pk).state == "online", "it was forgotten")


@pytest.mark.django_db(transaction=True)
def test_a_look_that_lasts_keeps_its_claim_and_one_whose_process_died_does_not(
    slow: Slow, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "RENEW_SECONDS", 0.1)
    monkeypatch.setattr(looking, "_processes", {})
    hangs = save("Hangs", 1)
    polling.follow_database([hangs.pk])
    all_due(redis_client)
    tasks.poll_shard(polling.claim_due())
    first = due_at(redis_client, hangs.pk)
    until(lambda: due_at(redis_client, hangs.pk) > first, "the claim is not renewed")
    assert polling.claim_due() == []
    assert due(redis_client, hangs) <= polling.HELD_SECONDS * 1000, "which is when it is due again if we die now"
    slow.may_answer.set()
    until(lambda: due(redis_client, hangs) > 7_000, "it was not given a next turn")


@pytest.mark.django_db(transaction=True)
def test_a_look_begins_when_it_is_due_and_the_next_counts_from_then(slow: Slow, redis_client: redis.Redis) -> None:
    device = save("Well", 1)
    at = clock() + 800
    redis_client.zadd(DUE, {str(device.pk): at})
    tasks.poll_shard(polling.claim_due())
    until(lambda: due_at(redis_client, device.pk) == at + 10_000, "the next look counts from something else")
    assert [began >= at / 1000 for _, began in slow.began] == [True]


def test_a_missed_turn_is_not_made_up_for(redis_client: redis.Redis) -> None:
    now = clock()
    redis_client.zadd(DUE, {str(number): now - late * 1000 for number, late in enumerate((0, 1, 5, 3600))})
    polling.come_again([(ticket, 2.0) for ticket in polling.begin(polling.claim_due())])
    after = [due_at(redis_client, number) - now for number in range(4)]
    assert after[:2] == [2000, 1000]
    assert all(each >= 1600 for each in after[2:]), "nothing is due at once"


# --- Looks that overlap -----------------------------------------------------------------------------------------------
def looked(device: Device, at: float, **found: Any) -> Outcome:
    found = found or {"health": ILL}
    return Outcome(device, datetime.fromtimestamp(NOW.timestamp() + at, UTC), **found)


def rows_of(gate: Device, count: int) -> list[Device]:
    return [Device.objects.get(pk=gate.pk) for _ in range(count)]


def test_of_looks_that_overlap_one_tells_what_changed(gate: Device, redis_client: redis.Redis) -> None:
    kept(well(gate), redis_client)
    memories = [polling.remembered([gate.pk]) for _ in range(5)]
    Event.objects.all().delete()
    for number, row in enumerate(rows_of(gate, 5)):
        polling.store([looked(row, number + 1.0)], memories[number])
    assert Device.objects.get().state == "degraded"
    assert sorted(Event.objects.values_list("type", flat=True)) == ["device.problem", "device.state"]
    assert polling.remembered([gate.pk])[gate.pk].looked == NOW.timestamp() + 5


def test_an_older_slower_look_changes_nothing(gate: Device, redis_client: redis.Redis) -> None:
    kept(well(gate), redis_client)
    memories = polling.remembered([gate.pk])
    older, newer = rows_of(gate, 2)
    polling.store([looked(newer, 2)], dict(memories))
    Event.objects.all().delete()
    polling.store([looked(older, 1, health=WELL)], dict(memories))
    assert Device.objects.get().state == "degraded"
    assert not Event.objects.exists()
    assert polling.remembered([gate.pk])[gate.pk].looked == NOW.timestamp() + 2


def test_a_newer_look_that_found_no_change_undoes_what_an_older_one_kept_meanwhile(
    gate: Device, redis_client: redis.Redis
) -> None:
    kept(well(gate), redis_client)
    memories = polling.remembered([gate.pk])
    older, newer = rows_of(gate, 2)
    polling.store([looked(older, 1)], dict(memories))
    polling.store([looked(newer, 2, health=WELL)], dict(memories))
    assert Device.objects.get().state == "online"


def test_what_was_found_otherwise_meanwhile_stays(gate: Device, redis_client: redis.Redis) -> None:
    """As when somebody was about to change the device and met another one."""
    kept(well(gate), redis_client)
    (row,) = rows_of(gate, 1)
    Device.objects.update(state=State.REPLACED)
    polling.store([looked(row, 1)], polling.remembered([gate.pk]))
    assert Device.objects.get().state == "replaced"


@pytest.mark.django_db(transaction=True)
def test_people_who_ask_at_once_are_told_of_a_change_once(
    saved_device: Device, simulator: Simulator, redis_client: redis.Redis
) -> None:
    async def look_now(row: Device) -> None:
        with contextlib.suppress(DeviceError):
            await polling.look_now(row)

    async def all_at_once() -> None:
        rows = await sync_to_async(rows_of)(saved_device, 5)
        await asyncio.gather(*map(look_now, rows))

    loop.run(all_at_once(), 60)
    simulator.side_door("fault", {"kind": "status", "status": 500, "path": "/cgi-bin/get_state", "times": 0})
    loop.run(all_at_once(), 60)
    states = [event.detail["state"] for event in Event.objects.filter(type="device.state").order_by("pk")]
    assert states == ["online", "degraded"]
    assert simulator.violations == []


def test_get_state_is_never_asked_more_often_than_once_a_second(
    saved_device: Device, simulator: Simulator, redis_client: redis.Redis
) -> None:
    async def looks() -> list[Outcome]:
        return await asyncio.gather(*(polling.look(saved_device, Memory()) for _ in range(3)))

    outcomes = loop.run(looks(), 60)
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert sum("get_state" in target for target in simulator.targets) == 3
    assert simulator.violations == []


async def _thread_name() -> str:
    return threading.current_thread().name


def _forked(results: Any) -> None:
    results.put(loop.run(_thread_name(), 10))


def test_the_loop_lives_on_and_a_forked_worker_makes_its_own() -> None:
    assert loop.run(_thread_name(), 10) == "devices"
    mine = loop._loop()
    assert loop._loop() is mine
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_forked, args=(results,))
    child.start()
    assert results.get(timeout=20) == "devices"
    child.join(10)
    assert child.exitcode == 0
