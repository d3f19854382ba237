"""An IPCam camera (CAS-3xx), from "IP Camera CGI Interface (IPCamCGI)", version 1.2."""

from simulators.ipcam.device import IpcamSimulator

__all__ = ["IpcamSimulator"]
