"""/cameras/<id>/."""

import pytest
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db


def signed_in(person) -> Client:
    client = Client()
    client.force_login(person.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def address(camera) -> str:
    return reverse("streaming:camera", args=[camera.pk])


def test_it_shows_the_picture_and_the_streams(new_camera, new_person):
    camera = new_camera()
    page = signed_in(new_person("ann", camera)).get(address(camera))
    assert f'<live-player camera="{camera.pk}"' in page.text
    assert "Stream h264_2" in page.text


def test_a_camera_out_of_reach_is_not_found(new_camera, new_person):
    yard, gate = new_camera("Yard"), new_camera("Gate")
    assert signed_in(new_person("ann", yard)).get(address(gate)).status_code == 404


def test_who_is_not_signed_in_is_sent_to_the_sign_in(client, new_camera):
    camera = new_camera()
    answer = client.get(address(camera))
    assert answer.status_code == 302
    assert answer["Location"].endswith(f"?next=%2Fcameras%2F{camera.pk}%2F")


def test_a_family_without_pictures_says_so(new_camera, new_person):
    camera = new_camera(family="other")
    page = signed_in(new_person("ann", camera)).get(address(camera))
    assert "<live-player" not in page.text
    assert "not supported yet" in page.text


def test_a_camera_that_has_told_nothing_yet_says_so(new_camera, new_person):
    camera = new_camera(status={})
    page = signed_in(new_person("ann", camera)).get(address(camera))
    assert "<live-player" not in page.text
    assert "has not told yet" in page.text


@pytest.mark.parametrize("family", ["ipro", "ipcam", "hama"])
def test_every_family_has_pictures(new_camera, new_person, family):
    camera = new_camera(family=family)
    page = signed_in(new_person("ann", camera)).get(address(camera))
    assert "<live-player" in page.text
