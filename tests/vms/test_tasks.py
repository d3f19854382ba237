"""What the product does for itself in the background."""

from datetime import timedelta
from typing import Any

import pytest
import redis
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts import audit
from accounts.models import AuditEntry
from vms import health, tasks

pytestmark = pytest.mark.django_db


def test_a_heartbeat_makes_the_worker_count_as_alive(redis_client: redis.Redis) -> None:
    assert "has not reported yet" in (health.check_worker() or "")
    tasks.heartbeat()
    assert health.check_worker() is None


def test_ended_sessions_are_forgotten_and_running_ones_kept() -> None:
    ended, running = SessionStore(), SessionStore()
    ended.set_expiry(-60)
    ended.save()
    running.set_expiry(3600)
    running.save()
    tasks.tidy()
    assert [session.session_key for session in Session.objects.all()] == [running.session_key]


def test_the_audit_is_kept_for_ever_unless_told_otherwise(settings: Any) -> None:
    audit.record(None, "start")
    later = timezone.now() + timedelta(days=40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timezone, "now", lambda: later)
        tasks.tidy()
        assert AuditEntry.objects.filter(action="start").exists()
        settings.AUDIT_DAYS = 30
        tasks.tidy()
    assert not AuditEntry.objects.filter(action="start").exists()
    assert AuditEntry.objects.exists(), "that entries were removed is itself on record"
