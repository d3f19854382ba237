"""`manage.py up` refuses what it must before anything starts, keeps its parts alive, and leaves nothing behind."""

import contextlib
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.conftest import own_database
from vms.bench.product import ROOT, Product
from vms.bench.start import back

pytestmark = pytest.mark.running
PATIENCE = 30.0  # how long a test waits before it calls something broken; nothing is promised by it


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError, OSError):
            if holds():
                return
        time.sleep(0.05)
    pytest.fail(f"{what}: not within {PATIENCE:.0f} s")


def ready(product: Product) -> bool:
    return httpx.get(f"{product.url}/readyz", timeout=10).status_code == 200


def problems(product: Product) -> str:
    return " ".join(httpx.get(f"{product.url}/readyz", timeout=10).json()["problems"])


def gone(pids: list[int]) -> bool:
    return not [pid for pid in pids if Path(f"/proc/{pid}").exists() and not zombie(pid)]


def zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def refused(*arguments: str, **variables: str) -> str:
    """The one sentence with which a start is refused."""
    done = subprocess.run(
        [sys.executable, "manage.py", "up", *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system that is soon full. Needs the right to mount."""
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip("a small disk cannot be mounted here (needs root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_busy_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        sentence = refused("--data-dir", str(tmp_path / "var"), "--port", str(port))
    assert sentence == (f"Port {port} on 127.0.0.1 is used by another program. Stop it, or choose another with --port.")


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "20m") as disk:
        sentence = refused("--data-dir", str(disk / "var"), "--port", "0")
    assert "is full (" in sentence
    assert sentence.endswith("Make room, or choose another with --data-dir.")


def test_a_read_only_data_directory_is_one_sentence(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "80m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        sentence = refused("--data-dir", str(disk / "var"), "--port", "0")
    assert "cannot be written (Read-only file system)" in sentence


def test_a_data_directory_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("not a folder")
    assert "cannot be written (File exists)" in refused("--data-dir", str(tmp_path / "var"), "--port", "0")


def test_a_missing_redis_is_one_sentence(tmp_path: Path) -> None:
    code = (
        "import sys, vms.tools as t; from pathlib import Path; t.shutil.which = lambda name: None; "
        "sys.prefix = '/nowhere'; from vms.supervisor import main; "
        f"sys.exit(main(['--data-dir', {str(tmp_path / 'var')!r}, '--port', '0']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr.startswith("There is no redis-server on this machine. Install it")


@pytest.mark.parametrize("arguments", [["--workers", "0"], ["--port", "99999"], ["--unknown"]])
def test_bad_options_start_nothing(tmp_path: Path, arguments: list[str]) -> None:
    assert "error:" in refused("--data-dir", str(tmp_path / "var"), *arguments)
    assert not (tmp_path / "var").exists()


def test_a_database_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    data = tmp_path / "var"
    data.mkdir(mode=0o700)
    (data / "vms.sqlite3").write_bytes(b"this is no database, but long enough to look like one " * 40)
    done = subprocess.run(
        [sys.executable, "manage.py", "up", "--data-dir", str(data), "--port", "0"],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "DATABASE_URL"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "The database cannot be used: file is not a database" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


# --- first start ------------------------------------------------------------------------------------------------------


def test_the_first_start_tells_how_to_sign_in_and_the_last_lines_say_so(tmp_path: Path) -> None:
    with own_database() as variables:
        product = Product(tmp_path / "var", "--no-demo", **variables).start()
        try:
            kept = tmp_path / "var" / "initial-admin-password"
            name, password = kept.read_text().split()
            assert stat.S_IMODE(kept.stat().st_mode) == 0o600
            assert product.lines[-2] == f"ready {product.url}"
            assert product.lines[-1].startswith(f"sign in as {name} with the one-time password {password} ")
            assert product.log.count(password) == 1
            assert "simulators" not in product.children()
        finally:
            product.stop()
        assert product.process.returncode == 0


def test_a_second_instance_is_refused_and_the_first_is_unharmed(product: Product) -> None:
    sentence = refused("--data-dir", str(product.data), "--port", "0")
    assert sentence.startswith(f"Another instance (process {product.process.pid}) uses the data directory")
    assert ready(product)


def test_every_line_of_the_log_names_its_part(product: Product) -> None:
    os.kill(product.children()["intake"], signal.SIGKILL)
    until(lambda: "starting it again" in product.log, "a line about it")
    parts = {"supervisor", "redis", "web", "worker", "beat", "intake", "simulators"}
    lines = [line for line in product.lines if not line.startswith(("ready ", "sign in "))]
    assert {line.partition("│")[0].strip() for line in lines} <= parts


def test_doctor_finds_the_running_product_fit(product: Product) -> None:
    report = product.manage("doctor")
    assert report.returncode == 0, report.stdout
    assert report.stdout.rstrip().endswith("fit to run")


def test_a_lost_key_is_told_and_overwrites_nothing(product: Product) -> None:
    lost = Product(product.data, SECRET_KEY="another key than the one it was saved with 0123456789")
    lost.environment = {**product.environment, "SECRET_KEY": lost.environment["SECRET_KEY"]}
    report = lost.manage("doctor")
    assert report.returncode == 1
    assert report.stdout.count("cannot be read with the present SECRET_KEY") >= 1
    assert "Nothing was overwritten" in report.stdout
    assert product.manage("doctor").returncode == 0


# --- what keeps running -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["web", "worker", "beat", "redis", "intake", "simulators"])
def test_a_killed_part_is_back_and_serves(product: Product, part: str) -> None:
    pid = product.children()[part]
    proof = back(product, part, pid)
    os.kill(pid, signal.SIGKILL)
    until(proof, f"{part} back")
    until(lambda: ready(product), f"ready after {part} was killed")
    assert f"{part} was ended by SIGKILL; starting it again" in product.log


def test_a_locked_database_is_told_and_heals(product: Product) -> None:
    if not (product.data / "vms.sqlite3").exists():
        pytest.skip("the lock of a whole database is SQLite's")
    holder = sqlite3.connect(product.data / "vms.sqlite3", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        until(lambda: "locked by another program" in problems(product), "told")
        assert not ready(product)
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    until(lambda: ready(product), "healed")


def test_a_redis_that_hangs_is_told_and_heals(product: Product) -> None:
    pid = product.children()["redis"]
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: "Redis does not answer" in problems(product), "told")
        assert httpx.get(f"{product.url}/healthz", timeout=10).status_code == 200
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: ready(product), "healed")


def test_a_disk_that_fills_up_is_told_and_heals(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "120m") as disk, own_database() as variables:
        product = Product(disk / "var", "--no-demo", **variables).start()
        try:
            ballast = disk / "ballast"
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 65536)
            until(lambda: "Make room" in problems(product) and not ready(product), "told")
            ballast.unlink()
            until(lambda: ready(product), "healed")
        finally:
            product.stop()
            product.kill()


# --- how it ends ------------------------------------------------------------------------------------------------------


@pytest.fixture
def short_lived(tmp_path: Path) -> Iterator[Product]:
    with own_database() as variables:
        product = Product(tmp_path / "var", **variables).start()
        try:
            yield product
        finally:
            product.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_after_a_signal_even_with_sockets_open(short_lived: Product, number: int) -> None:
    token = short_lived.manage("apitoken", "admin").stdout.strip()
    headers = {"Authorization": f"Bearer {token}"}
    with connect(short_lived.url.replace("http", "ws") + "/ws/events/", additional_headers=headers):
        tree = short_lived.tree()
        short_lived.process.send_signal(number)
        assert short_lived.process.wait(PATIENCE) == 0
    until(lambda: gone(tree), "all processes gone")
    assert "did not stop when asked" not in short_lived.log


def test_nothing_is_left_when_the_supervisor_itself_is_killed_and_it_starts_again(short_lived: Product) -> None:
    tree = short_lived.tree()
    assert len(tree) > 6
    short_lived.process.kill()
    short_lived.process.wait(5)
    again = Product(short_lived.data)
    again.environment = short_lived.environment
    try:
        again.start()
        assert gone(tree)
        assert ready(again)
    finally:
        again.stop()
        again.kill()


def test_several_web_processes_share_the_address(tmp_path: Path) -> None:
    with own_database() as variables:
        product = Product(tmp_path / "var", "--no-demo", "--workers", "2", **variables).start()
        try:
            until(lambda: sum("vms.web" in command(pid) for pid in product.tree()) == 2, "two web processes")
            assert all(httpx.get(f"{product.url}/healthz", timeout=10).status_code == 200 for _ in range(20))
        finally:
            product.stop()
            product.kill()


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
