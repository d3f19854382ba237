"""A POVCAM recorder (AG-UMR20), from "POVCAM Interface Specifications, Video Transmission / Clip Operation", version
1.0."""

from simulators.povcam.device import PovcamSimulator

__all__ = ["PovcamSimulator"]
