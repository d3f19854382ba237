"""`/metrics` tells how the product is, to each what they may see of it."""

import pytest
from django.test import Client

from accounts import tokens
from accounts.models import Grant, Role, User
from devices.models import Camera, Device, Site
from streaming import relay
from vms import health

pytestmark = pytest.mark.django_db


def bearer_of(role: Role, *sites: Site) -> str:
    user = User.objects.create_user(f"{role}", "a long enough one", role=role)
    for site in sites or (None,):
        Grant.objects.create(user=user, site=site)
    return f"Bearer {tokens.create(None, user, name='prometheus')[1]}"


def told(bearer: str) -> list[str]:
    answer = Client().get("/metrics", headers={"Authorization": bearer})
    assert answer.status_code == 200
    return answer.content.decode().splitlines()


@pytest.fixture
def cameras() -> list[Camera]:
    """One in each of two sites."""
    made = []
    for number, (name, state) in enumerate([("North", "online"), ("South", "offline")]):
        site = Site.objects.create(name=name)
        device = Device.objects.create(name=name, family="povcam", host=f"192.0.2.{number}", site=site, state=state)
        made.append(Camera.objects.create(device=device, number=1, name=name))
    return made


@pytest.fixture
def running(cameras: list[Camera], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A stream of each camera; the labels under which they are told."""
    figures = {"viewers": 3, "fps": 29.97, "frames": 400, "upstream_lost": 2, "upstream_load_permille": 120}
    monkeypatch.setattr(relay, "figures", lambda: {(camera.pk, "h264"): figures for camera in cameras})
    return [f'{{camera="{camera.pk}",stream="h264"}}' for camera in cameras]


@pytest.fixture(autouse=True)
def one_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    board = health.Board({"disk": lambda: "The disk is full.", "redis": lambda: None})
    monkeypatch.setattr(health, "board", board)


def test_it_tells_problems_devices_and_streams(running: list[str]) -> None:
    lines = told(bearer_of(Role.OPERATOR))
    assert 'vms_problem{check="disk"} 1.0' in lines
    assert 'vms_problem{check="redis"} 0.0' in lines
    assert 'vms_devices{state="online"} 1.0' in lines
    assert 'vms_devices{state="offline"} 1.0' in lines
    assert 'vms_devices{state="degraded"} 0.0' in lines
    for stream in running:
        assert f"vms_stream_viewers{stream} 3.0" in lines
        assert f"vms_stream_fps{stream} 29.97" in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


def test_what_only_grows_is_a_counter(running: list[str]) -> None:
    lines = told(bearer_of(Role.OPERATOR))
    assert f"vms_stream_frames_total{running[0]} 400.0" in lines
    assert f"vms_stream_upstream_lost_total{running[0]} 2.0" in lines
    types = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE vms_")}
    assert {name for name, kind in types.items() if kind == "counter"} == {
        "vms_stream_frames_total",
        "vms_stream_upstream_lost_total",
    }
    assert types["vms_stream_upstream_load_permille"] == "gauge"


def test_each_is_told_of_what_they_may_see(running: list[str], cameras: list[Camera]) -> None:
    north, south = running
    lines = told(bearer_of(Role.OPERATOR, cameras[0].device.site))
    assert f"vms_stream_viewers{north} 3.0" in lines
    assert f"vms_stream_viewers{south} 3.0" not in lines
    assert 'vms_devices{state="online"} 1.0' in lines
    assert 'vms_devices{state="offline"} 0.0' in lines


def test_how_streams_arrive_is_for_those_who_may_know(running: list[str]) -> None:
    lines = told(bearer_of(Role.VIEWER))
    assert 'vms_devices{state="online"} 1.0' in lines
    assert not any("vms_stream_" in line or "vms_viewer_" in line for line in lines)


def test_strangers_are_told_nothing() -> None:
    answer = Client().get("/metrics")
    assert answer.status_code == 401
    assert b"vms_" not in answer.content
