"""Device secrets: encrypted at rest, masked everywhere, never overwritten by a lost key."""

import copy
import pickle
from collections.abc import Callable

import pytest
from django.core import serializers
from django.core.exceptions import FieldError
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from accounts.secrets import MASK, Secret, UnreadableSecret, unreadable_secrets
from devices.models import Camera, Device

LOST = "another key altogether, and long enough to be one 987654321"


def _in_the_database(device: Device) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT password FROM devices_device WHERE id = %s", [device.pk])
        return cursor.fetchone()[0]


@pytest.fixture
def device(new_camera: Callable[..., Camera]) -> Device:
    device = new_camera("Gate").device
    device.password = "s3cret"
    device.save()
    return device


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_encrypted_is_read_back(text: str) -> None:
    assert Secret.from_stored(Secret(text).stored).reveal() == text


def test_the_database_holds_no_plain_text(device: Device) -> None:
    assert "s3cret" not in _in_the_database(device)
    assert Device.objects.get(pk=device.pk).password.reveal() == "s3cret"


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret("s3cret")
    assert f"{secret} {secret!r} {[secret]}".find("s3cret") == -1
    assert str(secret) == MASK
    assert str(Secret("")) == ""
    assert b"s3cret" not in pickle.dumps(secret)
    assert copy.deepcopy(secret) == secret


def test_text_is_masked_as_soon_as_it_is_assigned(device: Device) -> None:
    device.password = "other"
    assert str(device.password) == MASK
    assert device.password == "other"


def test_saving_again_keeps_the_ciphertext(device: Device) -> None:
    before = _in_the_database(device)
    Device.objects.get(pk=device.pk).save()
    assert _in_the_database(device) == before


def test_a_lost_key_overwrites_nothing(device: Device, settings: Settings) -> None:
    before = _in_the_database(device)
    settings.SECRET_KEY = LOST
    again = Device.objects.get(pk=device.pk)
    assert again.password.is_set
    again.name = "Gate, renamed"
    again.save()
    assert _in_the_database(device) == before
    with pytest.raises(UnreadableSecret, match="SECRET_KEY"):
        again.password.reveal()


def test_the_doctor_names_what_a_lost_key_hides(device: Device, settings: Settings) -> None:
    assert unreadable_secrets() == []
    settings.SECRET_KEY = LOST
    assert unreadable_secrets() == ["Device «Device of Gate»: password"]


def test_an_earlier_key_still_reads(device: Device, settings: Settings) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = LOST
    again = Device.objects.get(pk=device.pk)
    assert again.password.reveal() == "s3cret"


def test_secrets_are_equal_by_value_and_unreadable_ones_only_to_themselves(settings: Settings) -> None:
    stored = Secret("a").stored
    assert Secret("a") == Secret.from_stored(stored) == "a"
    assert Secret("a") != "b"
    settings.SECRET_KEY = LOST
    assert Secret.from_stored(stored) == Secret.from_stored(stored)
    assert Secret.from_stored(stored) != "a"


def test_one_cannot_search_by_a_secret(device: Device) -> None:
    with pytest.raises(FieldError):
        Device.objects.filter(password="s3cret").exists()


def test_a_dump_and_its_load_keep_the_secret(device: Device) -> None:
    dump = serializers.serialize("json", [device])
    assert "s3cret" not in dump
    loaded = next(serializers.deserialize("json", dump)).object
    assert loaded.password.reveal() == "s3cret"
