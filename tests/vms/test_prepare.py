"""What a first start makes, and that one which failed is made up for by the next."""

import pytest

from accounts.models import User
from devices import demo
from devices.models import Device
from vms.prepare import prepare

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_first_start_that_failed_at_the_demo_fleet_is_made_up_for_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEMO", "1")
    monkeypatch.setenv("VMS_ADMIN_PASSWORD", "a good long password")
    with monkeypatch.context() as patch:
        patch.setattr(demo, "write_file", _fail)
        with pytest.raises(RuntimeError):
            prepare()
    assert not User.objects.exists()
    prepare()
    assert User.objects.get().username == "admin"
    assert set(Device.objects.values_list("family", flat=True)) == {"povcam", "ipro", "ipcam", "hama"}


def _fail() -> None:
    raise RuntimeError("the disk is full")
