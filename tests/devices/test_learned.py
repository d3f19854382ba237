"""What was seen of a stream stands where its device does not tell it, in the API too."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.test import Client

from accounts.models import Grant, Role, User
from devices.models import Camera, Device, Site

pytestmark = pytest.mark.django_db

SEEN = {"codec": "h265", "width": 1920, "height": 1080, "transport": "rtp"}


def stream_of(family: str, stream: str, **seen: Any) -> dict[str, Any]:
    """The stream of a camera of this family, as the API tells it."""
    site = Site.objects.create(name="North")
    device = Device.objects.create(name="Recorder", family=family, host="192.0.2.1", site=site, state="online")
    camera = Camera.objects.create(device=device, number=1, name="Gate", learned={stream: seen} if seen else {})
    user = User.objects.create_user("ann", "a long enough one", role=Role.VIEWER)
    Grant.objects.create(user=user)
    client = Client()
    client.force_login(user)
    one = client.get(f"/api/v1/cameras/{camera.pk}").json()
    assert client.get("/api/v1/cameras").json()["results"] == [one]
    return next(each for each in one["streams"] if each["id"] == stream)


def test_nothing_is_told_of_what_nobody_has_seen() -> None:
    told = stream_of("ipro", "video")
    assert (told["codec"], told["width"], told["height"]) == (None, None, None)


def test_a_recorders_camera_is_told_as_it_was_seen() -> None:
    told = stream_of("ipro", "video", **SEEN)
    assert (told["codec"], told["width"], told["height"], told["transport"]) == ("h265", 1920, 1080, "rtp")


def test_so_is_the_size_of_an_ipcam() -> None:
    told = stream_of("ipcam", "mjpeg", codec="mjpeg", width=640, height=480, transport="mjpeg")
    assert (told["codec"], told["width"], told["height"]) == ("mjpeg", 640, 480)


def test_what_was_remembered_for_a_while_is_forgotten() -> None:
    assert stream_of("ipro", "video", **SEEN, until=time.time() + 600)["codec"] == "h265"
    Device.objects.all().delete()
    Site.objects.all().delete()
    User.objects.all().delete()
    assert stream_of("ipro", "video", **SEEN, until=time.time() - 1)["codec"] is None


def test_a_way_that_the_device_does_not_have_any_more_is_not_told() -> None:
    assert stream_of("ipro", "video", **{**SEEN, "transport": "rtsp-tcp"})["transport"] == "rtp"
