"""The families that can be simulated. Adding one is a folder and a line here."""

from __future__ import annotations

from simulators.device import SimulatedDevice
from simulators.povcam import PovcamSimulator

FAMILIES: dict[str, type[SimulatedDevice]] = {"povcam": PovcamSimulator}
