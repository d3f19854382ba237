"""Watching the fleet: nobody twice, nobody forgotten, and states a guard can trust."""

import asyncio
import multiprocessing
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from accounts.secrets import Secret
from devices import loop, polling, tasks
from devices.errors import Busy, DeviceError, NoAnswer, NoCoordination, Refused, Unauthorised, WrongAnswer
from devices.families.base import Health, Identity
from devices.models import Camera, Device, Site, State
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
    saved_device.refresh_from_db()
    away.refresh_from_db()
    assert saved_device.state == "online"
    assert (away.state, away.last_error[:15]) == ("unknown", "Nothing answers")
    asked = len(simulator.targets)
    tasks.poll_shard(shard)
    assert len(simulator.targets) == asked, "the same shard again does nothing"
    now = redis_client.time()[0] * 1000
    assert redis_client.zscore(DUE, away.pk) - now < 4_000 < redis_client.zscore(DUE, saved_device.pk) - now
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
