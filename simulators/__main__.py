"""python -m simulators FAMILY --port P … | fleet --config FILE | load --ports P-Q

Prints one line per device once it listens, and ends on SIGTERM or Ctrl-C. What cannot be started is one sentence and
exit status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import signal
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from simulators import load
from simulators.device import CannotListen, SimulatedDevice, serve
from simulators.fleet import CHOICES, FleetError, make_device, read_fleet, settings
from simulators.registry import FAMILIES
from simulators.video import VideoFormat

_SWITCH: dict[str, Any] = {"action": "store_true", "default": None}
OPTIONS: dict[str, dict[str, Any]] = {
    "host": {"default": "127.0.0.1"},
    "user": {"help": "the administrator's name (default: admin; of a recorder of the ipro family: ADMIN)"},
    "password": {"help": "the administrator's password (default: 12345)"},
    "live_user": {"help": "a user for pictures and camera control only"},
    "live_password": {},
    "user_auth": _SWITCH | {"help": "pictures need a password too"},
    "auth_scheme": {"choices": CHOICES["auth_scheme"]},
    "system_frequency": {"choices": CHOICES["system_frequency"]},
    "name": {},
    "seed": {"type": int},
    "cameras": {"type": int, "help": "how many cameras the recorder has"},
    "oddities": {"help": "ways of other firmware, comma between; an unknown one lists them"},
    "work_seconds": {"type": float, "help": "how long it takes for what its document calls a few seconds (default: 2)"},
    "cards": {"type": int, "nargs": 2, "metavar": "GB", "help": "the sizes of its two cards, 0 for none"},
    "fill": {"type": float, "help": "how many times faster than a real one a recording fills its card (default: 1)"},
    "clips": {"type": int, "help": "how many clips are on its first card"},
    "clip_seconds": {"type": int, "help": "how long each of them is (default: 12 to 59 seconds)"},
    "small_clips": _SWITCH | {"help": "all clips have small pictures and 2 Mbit/s"},
    "codecs": {"help": "what its cameras send, H264, H265 or JPEG, going round (default: H264,H264,H264,H265)"},
    "audio": {"help": "the sound of its cameras: aac, g711u, g711a, g726, g726le or none (default: aac)"},
    "pictures": {"choices": CHOICES["pictures"], "help": "encoded as they are seen, or loops for load"},
    "size": {"help": "of its cameras' pictures (default: 640x360, of H265 512x288)"},
    "rate": {"type": int, "help": "pictures a second (default: 15, of H265 10)"},
    "kilobits": {
        "type": int,
        "help": "the most a second of a camera of H264 (default: a constant quality; of loops 4000)",
    },
    "recorded_hours": {"type": float, "help": "how many hours the recorder has recorded already (default: 6)"},
    "rtsp_port": {"type": int, "help": "where it listens for RTSP (default: the system chooses)"},
    "looped": _SWITCH | {"help": "pictures come from a loop encoded in advance: cheap, for load"},
    "small_4k": _SWITCH | {"help": "3840x2160 is drawn in 640x360 and coded like the large one"},
    "smtp_port": {"type": int, "help": "where the camera delivers its mail (default: 25, as a real one always does)"},
    "loginfree_path": {"help": "where the picture without a password is"},
    "ptz_steps": {"type": int, "help": "the speeds of its cameras: 16 or 256"},
    "tls": _SWITCH | {"help": "HTTPS with a certificate of the device's own"},
    "control": _SWITCH | {"help": "open the side door for tests, /_sim/"},
}
"""Settings that can be given on the command line; a family has those its class takes."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.family == "load":
        return _load(options)
    try:
        if options.family == "fleet":
            devices = read_fleet(options.config, control=options.control)
        else:
            given = {name: value for name, value in vars(options).items() if name != "family" and value is not None}
            devices = [make_device(options.family, given)]
        asyncio.run(_run(devices))
    except (FleetError, CannotListen) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _load(options: argparse.Namespace) -> int:
    low, _, high = options.ports.partition("-")
    try:
        ports = range(int(low), int(high or low) + 1)
    except ValueError:
        ports = range(0)
    if not ports or not 0 < ports[0] <= ports[-1] < 65536:
        print(f"'{options.ports}' is no range of ports such as 40000-40031.", file=sys.stderr)
        return 1
    video = VideoFormat(options.width, options.height, Fraction(options.rate), options.kilobits)
    sent = load.send(ports, seconds=options.seconds, host=options.host, video=video, begun=True)
    print(json.dumps(dataclasses.asdict(sent)))
    return 0


async def _run(devices: Sequence[SimulatedDevice]) -> None:
    until = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, until.set)
    await serve(devices, until)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulators", description="Simulated devices.")
    families = parser.add_subparsers(dest="family", required=True)
    for family in FAMILIES:
        one = families.add_parser(family, help=f"one simulated {family}")
        one.add_argument("--port", type=int, required=True, help="0 lets the system choose")
        for setting in settings(family):
            if setting in OPTIONS:
                one.add_argument(f"--{setting.replace('_', '-')}", **OPTIONS[setting])
    many = families.add_parser("load", help="one loop of pictures to many ports, see simulators/load.py")
    many.add_argument("--ports", required=True, help="such as 40000-40031")
    many.add_argument("--host", default="127.0.0.1")
    many.add_argument("--seconds", type=float, default=60.0)
    for name in ("width", "height", "rate", "kilobits"):
        many.add_argument(f"--{name}", type=int, default=int(getattr(load.FULL_HD, name)))
    fleet = families.add_parser("fleet", help="many devices in one process")
    fleet.add_argument("--config", type=Path, required=True, help="a JSON file; see simulators/fleet.py")
    fleet.add_argument("--control", action="store_true", help="open the side door of every device")
    return parser


if __name__ == "__main__":
    sys.exit(main())
