"""What services share: work that goes on when nobody waits any more, and cancellations that arrive."""

import asyncio

import pytest
import redis

from accounts.problems import Problem
from devices.cgi import BadValue
from devices.coordination import coordinated
from devices.working import bad_values_refused, refuse_nested, to_the_end


async def test_work_goes_on_when_whoever_waited_goes_away() -> None:
    done = asyncio.Event()
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.sleep(0.05)
        done.set()

    waiting = asyncio.create_task(to_the_end(work()))
    await begun.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    await asyncio.wait_for(done.wait(), 5)


@pytest.mark.parametrize("steps", range(40))
async def test_a_cancellation_always_arrives(redis_client: redis.Redis, steps: int) -> None:
    """Wherever in a conversation with Redis it comes."""

    async def talk() -> None:
        while True:
            async with coordinated() as client:
                await client.get("a")
            await asyncio.sleep(0)

    async with coordinated() as client:
        await client.get("a")
    task = asyncio.create_task(talk())
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()


def test_a_bad_value_names_its_field() -> None:
    with pytest.raises(Problem) as caught, bad_values_refused("values."):
        raise BadValue("port", "port cannot be 0.")
    assert (caught.value.status, caught.value.field) == (400, "values.port")


@pytest.mark.parametrize("value", [{"a": 1}, [[1]], [{}]])
def test_values_of_commands_are_plain(value: object) -> None:
    with pytest.raises(Problem, match="must be a text"):
        refuse_nested({"a": value}, "values.")
    refuse_nested({"a": "b", "c": 1, "d": 1.5, "e": [1, "2"], "f": None}, "values.")
