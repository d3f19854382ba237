"""What the README promises a new user: on a bare machine, one command runs it; a second start installs nothing."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.running


def make_run(clone: Path, environment: dict[str, str], within: float) -> tuple[subprocess.Popen[str], list[str]]:
    process = subprocess.Popen(
        ["make", "run"],
        cwd=clone,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines: list[str] = []
    ready = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.startswith("sign in "):
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    assert ready.wait(within), "\n".join(lines)
    return process, lines


def test_a_fresh_clone_runs_with_one_command(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if os.environ.get("VMS_TESTS_DATABASE") == "postgresql":
        pytest.skip("the first start is on SQLite")
    clone = tmp_path / "product"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    # Only what a new machine has: a PATH, a home, and where packages come from.
    kept = {key: value for key, value in os.environ.items() if key.startswith("PIP_") or key in ("PATH", "LANG")}
    path = ":".join(each for each in kept["PATH"].split(":") if ".venv" not in each)
    (tmp_path / "home").mkdir()
    with_port = {**kept, "PATH": path, "HOME": str(tmp_path / "home"), "PORT": str(free_port())}

    process, lines = make_run(clone, with_port, within=600)
    url = next(line.split()[1] for line in lines if line.startswith("ready "))
    assert lines[-2] == f"ready http://127.0.0.1:{with_port['PORT']}"
    assert re.match(r"sign in as admin with the one-time password \S+ ", lines[-1])
    assert httpx.get(f"{url}/sign-in/", timeout=20).status_code == 200
    assert shutil.which("git")
    status = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True).stdout
    assert status == "", "running leaves nothing for git to see"
    # Nothing that starts late may push the two lines up.
    assert lines[-2] == f"ready {url}"
    stop(process)

    process, lines = make_run(clone, with_port, within=60)
    assert not any("installing" in line for line in lines)
    stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """Ctrl-C reaches the whole foreground group, make included."""
    os.killpg(process.pid, signal.SIGINT)
    process.wait(20)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and subprocess.run(["pgrep", "-g", str(process.pid)]).returncode == 0:
        time.sleep(0.1)
