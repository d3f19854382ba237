"""What Celery does for live pictures: finds out in advance what cameras send whose devices do not tell."""

from __future__ import annotations

from celery import shared_task

from devices import loop
from streaming import learning


@shared_task(name="streaming.tasks.learn_formats", time_limit=120)
def learn_formats() -> None:
    """Run by beat, each 10 s; it has something to do only after cameras were found."""
    if cameras := learning.unknown():
        loop.run(learning.learn(cameras), 100)
