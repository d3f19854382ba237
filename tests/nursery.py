"""Simulated devices in processes of their own that are there at once.

Starting Python and importing what a simulator needs takes far longer than simulating what most tests ask for. So one
process, the nursery, imports it once and forks for every device. It speaks JSON lines: a list of arguments of
`python -m simulators` comes in, the number of the new process goes out. When the tests end, however they end, its
input closes, and everything it started ends with it.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import random
import select
import signal
import subprocess
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What simulated devices want between commands, in seconds. Real recorders of the ipro family want 3 between general
# ones, and others get 0.13 between any two.
GENERAL_REST = 0.3
COMMAND_REST = 0.02


class Process:
    """One simulator; what `subprocess.Popen` says of a child, said of a grandchild."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            self._handle: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._handle = None  # it could not even start

    def ended(self, within: float = 0) -> bool:
        if self._handle is not None and select.select([self._handle], [], [], within)[0]:
            os.close(self._handle)
            self._handle = None
        return self._handle is None

    def terminate(self) -> None:
        if not self.ended() and self._handle is not None:
            signal.pidfd_send_signal(self._handle, signal.SIGTERM)

    def wait(self, within: float) -> None:
        if not self.ended(within):
            raise TimeoutError(f"simulator {self.pid} goes on")


@functools.cache
def _nursery() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.nursery"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    atexit.register(_close, process)
    return process


def _close(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait(10)


def simulate(*arguments: str) -> Process:
    nursery = _nursery()
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    nursery.stdin.write(json.dumps(arguments) + "\n")
    nursery.stdin.flush()
    return Process(int(nursery.stdout.readline()))


def main() -> None:
    from simulators import device
    from simulators.__main__ import main as simulators
    from simulators.ipro import device as ipro

    ipro.Gaps = functools.partial(ipro.Gaps, general=GENERAL_REST)
    device.Manners = functools.partial(device.Manners, command=COMMAND_REST)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has ended is gone at once
    for line in sys.stdin:
        if pid := os.fork():
            print(pid, flush=True)
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        random.seed()
        status = 1
        try:
            status = simulators(json.loads(line))
        except Exception:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)  # never back into the loop
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    main()
