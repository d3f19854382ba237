"""The families that can be simulated. Adding one is a folder and a line here."""

from __future__ import annotations

from simulators.device import SimulatedDevice
from simulators.hama import HamaSimulator
from simulators.ipcam import IpcamSimulator
from simulators.ipro import IproSimulator
from simulators.povcam import PovcamSimulator

FAMILIES: dict[str, type[SimulatedDevice]] = {
    "povcam": PovcamSimulator,
    "ipro": IproSimulator,
    "ipcam": IpcamSimulator,
    "hama": HamaSimulator,
}
