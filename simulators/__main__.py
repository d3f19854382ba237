"""python -m simulators FAMILY --port P … | fleet --config FILE

Prints one line per device once it listens, and ends on SIGTERM or Ctrl-C. What cannot be started is one sentence and
exit status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from simulators.device import CannotListen, SimulatedDevice, serve
from simulators.fleet import CHOICES, FleetError, make_device, read_fleet
from simulators.registry import FAMILIES


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
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
        one.add_argument("--host", default="127.0.0.1")
        one.add_argument("--user", help="the administrator's name (default: admin)")
        one.add_argument("--password", help="the administrator's password (default: 12345)")
        one.add_argument("--live-user", help="a user for pictures and camera control only")
        one.add_argument("--live-password")
        one.add_argument("--user-auth", action="store_true", default=None, help="pictures need a password too")
        one.add_argument("--auth-scheme", choices=CHOICES["auth_scheme"])
        one.add_argument("--system-frequency", choices=CHOICES["system_frequency"])
        one.add_argument("--name")
        one.add_argument("--seed", type=int)
        one.add_argument("--control", action="store_true", default=None, help="open the side door for tests, /_sim/")
    fleet = families.add_parser("fleet", help="many devices in one process")
    fleet.add_argument("--config", type=Path, required=True, help="a JSON file; see simulators/fleet.py")
    fleet.add_argument("--control", action="store_true", help="open the side door of every device")
    return parser


if __name__ == "__main__":
    sys.exit(main())
