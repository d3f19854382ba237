"""`make test`: the checks, then the whole suite on SQLite, then every test that touches the database on PostgreSQL.

Finds or installs a browser, starts a PostgreSQL of its own where the programs exist, and says what it had to leave out:
nothing is skipped silently. With VMS_TESTS_REQUIRE=browser,postgresql a missing one is a failure instead (CI sets it).

Machines that run tests are busy, with these tests above all. What fails is run once more, by itself and one after the
other: what fails twice fails the run, what passed then is named in the last lines. When much fails, no second try is
needed to believe it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


SECOND_TRIES = 10
TESTS_FAILED = 1  # pytest's exit status; others say that it did not come that far


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    tried_again: list[str] = field(default_factory=list)


@dataclass
class Report:
    """What pytest wrote down of a run: the tests by what it calls them."""

    passed: list[str]
    failed: list[str]
    skipped: list[str]


def read_report(path: Path) -> Report:
    became: dict[str, str] = {}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = node_id(case)
        if case.find("failure") is not None or case.find("error") is not None:
            became[name] = "failed"
        elif name not in became:  # one that failed as it ended is told of twice
            became[name] = "passed" if case.find("skipped") is None else "skipped"
    return Report(
        *([name for name, what in became.items() if what == kind] for kind in ("passed", "failed", "skipped"))
    )


def node_id(case: ElementTree.Element) -> str:
    """The report has dots where a path has slashes, and before classes."""
    name, place = case.get("name", ""), case.get("classname", "")
    if not place:
        return name.replace(".", "/") + ".py"  # a file that could not be read
    parts = place.split(".")
    length = next(
        n for n in range(len(parts), 0, -1) if n == 1 or (ROOT / Path(*parts[:n]).with_suffix(".py")).is_file()
    )
    return "::".join([Path(*parts[:length]).with_suffix(".py").as_posix(), *parts[length:], name])


def say(text: str) -> None:
    print(f"── {text}", flush=True)


def find_browser() -> str | None:
    """A Chromium: the one named, the one installed, else Debian's package (as root), else Playwright's own."""
    if named := os.environ.get("CHROMIUM"):
        return named
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("installing Chromium with apt-get")
        quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update"], **quiet)
        subprocess.run(["apt-get", "install", "--yes", "--no-install-recommends", "chromium"], **quiet)
        if path := shutil.which("chromium"):
            return path
    say("installing Playwright's Chromium")
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], stdout=subprocess.DEVNULL)
    found = sorted(Path.home().glob(".cache/ms-playwright/chromium-*/chrome-linux*/chrome"))
    return str(found[-1]) if found else None


def postgres_programs() -> Path | None:
    if path := shutil.which("initdb"):
        return Path(path).resolve().parent  # beside initdb, also where PATH has only links
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    return found[-1].parent if found else None


@contextlib.contextmanager
def postgres() -> Iterator[str | None]:
    """The URL of a PostgreSQL of our own on a unix socket; None where its programs are missing."""
    programs = postgres_programs()
    if programs is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="vms-pg-") as folder:
        user = None
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = next(name for name in ("postgres", "nobody") if _exists(name))
            shutil.chown(folder, user)
        data = f"{folder}/data"
        as_user = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
        settings = ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off"]
        make = [programs / "initdb", "-D", data, "-A", "trust", "-E", "UTF8", "-U", "vms", "--no-sync"]
        subprocess.run(make, check=True, cwd=folder, stdout=subprocess.DEVNULL, **as_user)
        serve = [programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", *settings]
        with Path(folder, "log").open("wb") as log:
            server = subprocess.Popen(serve, cwd=folder, stdout=log, stderr=log, **as_user)
            try:
                create = [programs / "createdb", "-h", folder, "-U", "vms", "vms"]
                for _ in range(100):
                    if subprocess.run(create, capture_output=True).returncode == 0:
                        break
                    time.sleep(0.1)
                else:
                    raise RuntimeError(f"PostgreSQL did not start: {Path(folder, 'log').read_text()[-2000:]}")
                yield f"postgresql://vms@/vms?host={folder}"
            finally:
                server.send_signal(2)  # SIGINT: a fast shutdown
                server.wait(20)


def _exists(name: str) -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(name))
    return False


def checks() -> list[str]:
    """The names of the checks that fail."""
    tools = {
        "ruff format": [sys.executable, "-m", "ruff", "format", "--check", "."],
        "ruff check": [sys.executable, "-m", "ruff", "check", "."],
        "mypy": [sys.executable, "-m", "mypy", "."],
        "migrations": [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"],
    }
    failed = []
    with tempfile.TemporaryDirectory() as data:
        for name, command in tools.items():
            say(f"check: {name}")
            if subprocess.run(command, cwd=ROOT, env={**os.environ, "DATA_DIR": data}).returncode:
                failed.append(name)
    return failed


def suite(tally: Tally, arguments: list[str], environment: dict[str, str]) -> bool:
    # Tests wait more than they work.
    workers = ["-n", str((os.cpu_count() or 1) * 3 // 2 or 1), "--dist", "loadfile", "--no-loadscope-reorder"]
    status, report = run_pytest([*workers, *arguments], environment)
    if report is None:
        return False
    failed = report.failed
    passed_then: list[str] = []
    if status == TESTS_FAILED and 0 < len(failed) <= SECOND_TRIES:
        say("once more, by itself, what failed")
        status, again = run_pytest(failed, environment)
        passed_then = again.passed if again else []
    tally.passed += len(report.passed) + len(passed_then)
    tally.skipped += len(report.skipped)
    tally.failed += len(failed) - len(passed_then)
    tally.tried_again += passed_then
    return status == 0


def run_pytest(arguments: list[str], environment: dict[str, str]) -> tuple[int, Report | None]:
    """Its exit status, and what it wrote down if it came that far."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        reporting = [f"--junitxml={report}", "-o", "junit_logging=no", "-o", "junit_family=xunit2"]
        command = [sys.executable, "-m", "pytest", "-q", *reporting, *arguments]
        status = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}).returncode
        return status, read_report(report) if report.exists() else None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.run")
    parser.add_argument("--checks-only", action="store_true")
    parser.add_argument("--no-checks", action="store_true")
    options, pytest_arguments = parser.parse_known_args()
    required = set(filter(None, os.environ.get("VMS_TESTS_REQUIRE", "").split(",")))

    failed_checks = [] if options.no_checks else checks()
    if options.checks_only:
        return 1 if failed_checks else 0

    missing = []
    browser = find_browser()
    if browser is None:
        missing.append("browser")
        say("no browser: the tests marked `browser` are skipped (install Chromium, or name one with CHROMIUM=…)")
    tally = Tally()
    say("the suite, on SQLite")
    passed = suite(tally, pytest_arguments, {"CHROMIUM": browser or ""})
    with postgres() as url:
        if url is None:
            missing.append("postgresql")
            say("no PostgreSQL programs: these tests are skipped on PostgreSQL (Debian: apt install postgresql)")
        else:
            say("the tests that touch the database, on PostgreSQL")
        environment = {"CHROMIUM": browser or "", "VMS_TESTS_DATABASE": "postgresql", "DATABASE_URL": url or ""}
        passed = suite(tally, pytest_arguments, environment) and passed

    if lacking := required.intersection(missing):
        say(f"required but missing: {', '.join(sorted(lacking))}")
        passed = False
    for name in failed_checks:
        say(f"failed check: {name}")
    for name in tally.tried_again:
        say(f"needed a second try: {name}")
    print(f"{tally.passed} passed, {tally.failed + len(failed_checks)} failed, {tally.skipped} skipped")
    return 0 if passed and not failed_checks else 1


if __name__ == "__main__":
    sys.exit(main())
