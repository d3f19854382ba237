"""What happened to devices, and how they were: events for people and programs, samples for the past of each device.

An event is a change: of the state, of recording, of a switch, of what is wrong. It is written to the table and told to
open sockets. A sample is taken at each change of state, of facts at most each CHANGED_SECONDS, and each SAMPLE_SECONDS
in between, so that a card that fills does not fill the database. Both are forgotten after a time.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from devices import events
from devices.models import Device, Event, Sample, State

logger = logging.getLogger(__name__)

CHANGED_SECONDS = 60.0
SAMPLE_SECONDS = 900.0

_STATES = {
    State.UNKNOWN: "has not been asked yet.",
    State.ONLINE: "is online.",
    State.DEGRADED: "works, but not as it should.",
    State.OFFLINE: "does not answer.",
    State.UNAUTHORISED: "refuses our user name and password.",
    State.REPLACED: "has been replaced: another device answers at its address.",
}


# --- Events -----------------------------------------------------------------------------------------------------------
def happened(kind: str, device: Device, text: str, **detail: Any) -> None:
    """Write an event and tell it. A device that was removed meanwhile has no history any more."""
    try:
        with transaction.atomic():
            Event.objects.create(
                type=kind, device=device, site_id=device.site_id, name=device.name, text=text, detail=detail
            )
    except IntegrityError:
        logger.warning("an event of a removed device was dropped", extra={"device": device.pk})
        return
    events.publish(kind, device=device.pk, name=device.name, **detail)


def state_changed(device: Device, state: State, error: str) -> None:
    text = f"{device.name} {_STATES[state]}" + (f" {error}" if error else "")
    happened("device.state", device, text, state=state.value, error=error[:500])


def facts_changed(device: Device, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Events of what a look found changed. What was not known before has not changed."""
    was, recording = (before.get("now") or {}).get("recording"), (now.get("now") or {}).get("recording")
    if was is not None and recording is not None and was != recording:
        text = f"{device.name} {'records' if recording else 'has stopped recording'}."
        happened("device.recording", device, text, recording=recording)
    switches = (before.get("now") or {}).get("switches") or {}
    for name, on in ((now.get("now") or {}).get("switches") or {}).items():
        if None not in (on, switches.get(name)) and on != switches[name]:
            text = f"{device.name}: {name} is {'on' if on else 'off'}."
            happened("device.switch", device, text, switch=name, on=on)
    for problem in now.get("problems") or []:
        if problem not in (before.get("problems") or []):
            happened("device.problem", device, f"{device.name}: {problem}", problem=problem[:500])
    for problem in before.get("problems") or []:
        if problem not in (now.get("problems") or []):
            happened("device.problem_over", device, f"{device.name}: no longer so: {problem}", problem=problem[:500])


# --- Samples ----------------------------------------------------------------------------------------------------------
def is_due(at: datetime, last: float, *, state_changed: bool, facts_changed: bool) -> bool:
    """Is a device to be sampled now that was last sampled then (Unix time, 0: never)?"""
    since = at.timestamp() - last
    return state_changed or since >= (CHANGED_SECONDS if facts_changed else SAMPLE_SECONDS)


def keep_samples(samples: Sequence[Sample]) -> None:
    if not samples:
        return
    try:
        with transaction.atomic():
            there = set(Device.objects.filter(pk__in={each.device_id for each in samples}).values_list("pk", flat=True))
            Sample.objects.bulk_create([each for each in samples if each.device_id in there])
    except IntegrityError:  # removed between the two: the samples of one shard are not worth more
        logger.warning("samples of a removed device were dropped")


# --- Retention --------------------------------------------------------------------------------------------------------
def forget_old() -> None:
    now = timezone.now()
    if settings.EVENT_DAYS:
        Event.objects.filter(at__lt=now - timedelta(days=settings.EVENT_DAYS)).delete()
    if settings.HISTORY_DAYS:
        Sample.objects.filter(at__lt=now - timedelta(days=settings.HISTORY_DAYS)).delete()
