"""`/metrics` tells how the product is, to those who may watch."""

import pytest
from django.test import Client

from accounts import tokens
from accounts.models import Grant, Role, User
from devices.models import Device, Site
from streaming import relay
from vms import health

pytestmark = pytest.mark.django_db


@pytest.fixture
def bearer() -> str:
    user = User.objects.create_user("watcher", "a long enough one", role=Role.VIEWER)
    Grant.objects.create(user=user)
    return f"Bearer {tokens.create(None, user, name='prometheus')[1]}"


@pytest.fixture(autouse=True)
def one_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    board = health.Board({"disk": lambda: "The disk is full.", "redis": lambda: None})
    monkeypatch.setattr(health, "board", board)


def test_it_tells_problems_devices_and_streams(bearer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site.objects.create(name="North")
    for number, state in enumerate(["online", "online", "offline"]):
        Device.objects.create(name=state, family="povcam", host=f"192.0.2.{number}", site=site, state=state)
    monkeypatch.setattr(relay, "figures", lambda: {(7, "h264"): {"viewers": 3, "fps": 29.97}})
    text = Client().get("/metrics", headers={"Authorization": bearer}).content.decode()
    lines = text.splitlines()
    assert 'vms_problem{check="disk"} 1.0' in lines
    assert 'vms_problem{check="redis"} 0.0' in lines
    assert 'vms_devices{state="online"} 2.0' in lines
    assert 'vms_devices{state="offline"} 1.0' in lines
    assert 'vms_devices{state="degraded"} 0.0' in lines
    assert 'vms_stream_viewers{camera="7",stream="h264"} 3.0' in lines
    assert 'vms_stream_fps{camera="7",stream="h264"} 29.97' in lines
    assert "process_resident_memory_bytes" in text


def test_strangers_are_told_nothing() -> None:
    answer = Client().get("/metrics")
    assert answer.status_code == 401
    assert b"vms_" not in answer.content
