"""What Celery does for devices: looks at the fleet, keeps leased transmissions alive, keeps settings each night.

The tasks are safe to run any number of times at once: what each takes it claims in Redis first. When Redis is away
they do nothing, which the broker sees to by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from celery import shared_task

from devices import history, keeping, looking, loop, pictures, polling, ptz, returning, snapshots, uids
from devices.models import Camera, Device, Snapshot


@shared_task(name="devices.tasks.poll_due", time_limit=30)
def poll_due() -> None:
    """Hand out the devices that are due before the next beat, in shards. Run by beat, each second."""
    if polling.time_to_follow():
        polling.follow_database(Device.objects.filter(enabled=True).values_list("pk", flat=True))
    due = polling.claim_due()
    for start in range(0, len(due), polling.SHARD):
        # A shard nobody took in time is dropped: its claims run out, and the devices are due again.
        poll_shard.apply_async((due[start : start + polling.SHARD],), expires=polling.CLAIM_SECONDS)


@shared_task(name="devices.tasks.poll_shard", time_limit=120)
def poll_shard(tickets: Sequence[tuple[int, str]]) -> None:
    """Begin to look at some devices, each when it is due. Nobody waits here for their answers."""
    looking.begin([(int(device), str(ticket)) for device, ticket in tickets])


@shared_task(name="devices.tasks.keep_uids_alive", time_limit=60)
def keep_uids_alive() -> None:
    """Keep transmissions alive on their devices, and stop those whose holder has gone. Run by beat, each 5 s."""
    dead, quiet = loop.run(uids.claim(), 10)
    if dead or quiet:
        devices = Device.objects.in_bulk({lease.device for lease in (*dead, *quiet)})
        loop.run(keeping.keep(dead, quiet, devices), 50)


@shared_task(name="devices.tasks.snapshot_nightly", time_limit=60)
def snapshot_nightly() -> None:
    """Hand out the devices whose settings are to be kept tonight, in shards. Run by beat, once a night."""
    due = snapshots.due_tonight()
    for start in range(0, len(due), snapshots.NIGHTLY_SHARD):
        snapshot_shard.delay(due[start : start + snapshots.NIGHTLY_SHARD])


@shared_task(name="devices.tasks.snapshot_shard", time_limit=snapshots.NIGHTLY_SECONDS + 60)
def snapshot_shard(ids: Sequence[int]) -> None:
    """Keep the settings of some devices. What was kept meanwhile, by a task delivered twice, is left out."""
    due = set(snapshots.due_tonight())
    devices = list(Device.objects.filter(pk__in=[each for each in ids if each in due]))
    for device, reading in loop.run(snapshots.read_many(devices), snapshots.NIGHTLY_SECONDS):
        snapshots.keep(None, device, Snapshot.Kind.NIGHTLY, reading)


@shared_task(name="devices.tasks.stop_cameras", time_limit=60)
def stop_cameras() -> None:
    """Stop the cameras whose movement nobody looks after any more. Run by beat, each second."""
    if overdue := ptz.overdue():
        cameras = list(Camera.objects.filter(pk__in=overdue).select_related("device"))
        loop.run(ptz.end_overdue(overdue, cameras), 50)


@shared_task(name="devices.tasks.await_returns", time_limit=60)
def await_returns() -> None:
    """Tell which devices are back from a restart, and which should be. Run by beat, each 5 s."""
    returning.judge()


@shared_task(name="devices.tasks.forget_old")
def forget_old() -> None:
    """Forget events and history past their time, and pictures of cameras that are gone. Run by beat, once a night."""
    history.forget_old()
    pictures.forget_all_but(set(Camera.objects.values_list("pk", flat=True)))
