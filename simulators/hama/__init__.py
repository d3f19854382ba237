"""A HAMA camera (M360), from "HAMA IP Camera CGI commands", version 1.1."""

from simulators.hama.device import HamaSimulator

__all__ = ["HamaSimulator"]
