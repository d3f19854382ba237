"""One holder at a time, for a limited time, with a number that only grows."""

import pytest
import redis

from devices import leases
from devices.errors import NoCoordination


async def test_one_holder_at_a_time(redis_client: redis.Redis) -> None:
    first = await leases.take("stream:1", "web-1", 10, value="http://10.0.0.5:8000")
    assert first is not None
    assert await leases.take("stream:1", "web-2", 10) is None
    assert await leases.take("stream:1", "web-1", 10) is None, "not even by the holder itself"
    assert await leases.read("stream:1") == first
    assert await leases.release(first)
    assert await leases.read("stream:1") is None
    second = await leases.take("stream:1", "web-2", 10)
    assert second is not None
    assert second.fence > first.fence


async def test_a_lease_ends_by_itself_and_its_former_holder_can_do_nothing(redis_client: redis.Redis) -> None:
    first = await leases.take("stream:1", "web-1", 10)
    assert first is not None
    assert 0 < redis_client.pttl("vms:lease:stream:1") <= 10_000
    assert await leases.renew(first, 20)
    assert redis_client.pttl("vms:lease:stream:1") > 10_000
    redis_client.delete("vms:lease:stream:1")  # as its expiry would
    assert not await leases.renew(first, 10)
    second = await leases.take("stream:1", "web-1", 10)
    assert second is not None
    assert not await leases.renew(first, 10), "the same owner, but an older number"
    assert not await leases.release(first)
    assert await leases.read("stream:1") == second


async def test_the_number_grows_even_when_redis_lost_its_memory(redis_client: redis.Redis) -> None:
    fences = []
    for _ in range(5):
        lease = await leases.take("stream:1", "web-1", 10)
        assert lease is not None
        fences.append(lease.fence)
        redis_client.flushall()
    assert fences == sorted(set(fences))


async def test_the_number_grows_even_when_the_clock_jumps_back(redis_client: redis.Redis) -> None:
    ahead = 9_000_000_000_000_000
    redis_client.set("vms:fence", ahead, ex=60)
    lease = await leases.take("stream:1", "web-1", 10)
    assert lease is not None
    assert lease.fence == ahead + 1


async def test_without_redis_nobody_is_told_to_be_the_holder(redis_away: None) -> None:
    with pytest.raises(NoCoordination):
        await leases.take("stream:1", "web-1", 10)
