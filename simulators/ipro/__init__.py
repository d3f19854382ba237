"""An i-PRO network disk recorder (WJ-NX400), from the command interface specification of the recorders, sections 2 to
6."""

from simulators.ipro.device import IproSimulator

__all__ = ["IproSimulator"]
