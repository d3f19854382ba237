"""The families of devices we speak to. Adding one: a folder with its document and its driver, and one line here."""

from functools import cache
from importlib import import_module

from devices.errors import NotSupported
from devices.families.base import Driver
from devices.models import Device, Family

_DRIVERS = {
    "povcam": "devices.families.povcam.driver.PovcamDriver",
    "ipro": "devices.families.ipro.driver.IproDriver",
    "ipcam": "devices.families.ipcam.driver.IpcamDriver",
    "hama": "devices.families.hama.driver.HamaDriver",
}


@cache
def driver_class(family: str) -> type[Driver]:
    path = _DRIVERS.get(family)
    if path is None:
        raise NotSupported(f"Devices of the family {_label(family)} are not supported yet.")
    module, _, name = path.rpartition(".")
    driver: type[Driver] = getattr(import_module(module), name)
    return driver


def driver_for(device: Device) -> Driver:
    return driver_class(device.family)(device)


def families() -> list[str]:
    return list(_DRIVERS)


def _label(family: str) -> str:
    return Family(family).label if family in Family else family
