"""The looks under way in this process: each begins when its device is due and is kept soon after it ended.

A worker's task only hands devices over and ends. Looks run on the process's loop, and one thread keeps what they find
and says when the devices are due again, in batches. So a device that hangs delays neither the others of its shard nor
the tasks behind it.

The claims of looks under way are renewed. A process that dies takes its looks with it; their devices are due again when
the claims run out.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import close_old_connections

from devices import loop, polling
from devices.models import Device
from devices.polling import Memory, Outcome, Ticket

logger = logging.getLogger(__name__)

AT_ONCE = 300  # looks that ask their device; each holds a few sockets
MOST = 1000  # looks under way, also those that wait until they are due; more stay in the queue of tasks
ROOM_SECONDS = 30.0  # what a task waits for room; then its claims run out
BATCH_SECONDS = 0.25  # how long a look that ended may wait for others to be kept with it
RENEW_SECONDS = 2.0  # a third of what claims last


def begin(tickets: Sequence[Ticket]) -> None:
    """Have the devices looked at whose tickets are valid."""
    under_way = _of_this_process()
    if not under_way.has_room(ROOM_SECONDS):
        logger.warning("devices are looked at later: %d looks are under way", MOST)
        return
    valid = dict(polling.begin(tickets))
    # Before the rows: what is kept in between is noticed by it.
    memories = polling.remembered(list(valid))
    rows = Device.objects.filter(pk__in=valid, enabled=True)
    under_way.take([_Look(row, memories.get(row.pk) or Memory(), (row.pk, valid[row.pk])) for row in rows])


@dataclass(eq=False)
class _Look:
    device: Device
    memory: Memory
    ticket: Ticket
    outcome: Outcome | None = field(default=None, init=False)


class _UnderWay:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._looks: set[_Look] = set()
        self._ended: list[_Look] = []
        self._tasks: set[asyncio.Task[None]] = set()  # held here, since the loop keeps only weak references
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._renewed = time.monotonic()
        threading.Thread(target=self._keep_on, name="looking", daemon=True).start()

    def has_room(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self._looks) < MOST, seconds)

    def take(self, looks: Sequence[_Look]) -> None:
        with self._changed:
            self._looks.update(looks)
        loop.start(self._begin_all(looks))

    # --- On the loop --------------------------------------------------------------------------------------------------
    async def _begin_all(self, looks: Sequence[_Look]) -> None:
        for look in looks:
            task = asyncio.create_task(self._look(look))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _look(self, look: _Look) -> None:
        try:
            await asyncio.sleep(polling.seconds_until_due(look.ticket))
            async with self._gate:
                look.outcome = await polling.look(look.device, look.memory)
        finally:
            with self._changed:
                self._looks.discard(look)
                self._ended.append(look)
                if len(self._ended) == 1 or not self._looks:  # to be woken by each would cost as much as the look
                    self._changed.notify_all()

    # --- In the thread ------------------------------------------------------------------------------------------------
    def _keep_on(self) -> None:
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: bool(self._ended), RENEW_SECONDS):
                    self._changed.wait_for(lambda: not self._looks, BATCH_SECONDS)
                ended, self._ended = self._ended, []
                self._changed.notify_all()  # there may be room now
            try:
                close_old_connections()
                self._keep(ended)
                self._renew()
            except Exception:
                logger.exception("looks were not kept; their devices are due again when their claims run out")
            finally:
                close_old_connections()

    def _keep(self, ended: Sequence[_Look]) -> None:
        looks: dict[int, _Look] = {}
        for look in ended:
            if look.outcome is None:
                continue
            if look.device.pk in looks:  # one after the other
                self._keep(list(looks.values()))
                looks = {}
            looks[look.device.pk] = look
        outcomes = [look.outcome for look in looks.values() if look.outcome is not None]
        if outcomes:
            after = polling.store(outcomes, {device: look.memory for device, look in looks.items()})
            polling.come_again([(look.ticket, after[device]) for device, look in looks.items()])

    def _renew(self) -> None:
        """A look that lasts holds its claim for as long."""
        if time.monotonic() - self._renewed < RENEW_SECONDS:
            return
        self._renewed = time.monotonic()
        with self._changed:
            looks = {_turn(look.ticket): look for look in self._looks}
        if looks:
            for ticket in polling.begin([look.ticket for look in looks.values()]):
                looks[_turn(ticket)].ticket = ticket


def _turn(ticket: Ticket) -> tuple[int, str]:
    """What a ticket keeps when it is renewed: its device, and when that was due."""
    return ticket[0], ticket[1].partition("/")[2]


_processes: dict[int, _UnderWay] = {}  # process id → what is under way there; a fork begins anew
_lock = threading.Lock()


def _of_this_process() -> _UnderWay:
    with _lock:
        if os.getpid() not in _processes:
            _processes[os.getpid()] = _UnderWay()
        return _processes[os.getpid()]
