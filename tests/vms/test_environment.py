"""Settings come from the environment, refuse what they cannot use with a sentence, and are safe by default."""

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vms import environment

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = {
    "DATA_DIR",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "ALLOWED_HOSTS",
    "HOST",
    "PORT",
    "DATABASE_URL",
    "REDIS_URL",
    "DEBUG",
}


def settings(data: Path, **variables: str) -> dict[str, object]:
    """The settings as a fresh process sees them."""
    names = [
        "DEBUG",
        "SECRET_KEY",
        "ALLOWED_HOSTS",
        "REDIS_URL",
        "CELERY_BROKER_URL",
        "RTP_PORTS",
        "SESSION_COOKIE_SECURE",
        "CSRF_TRUSTED_ORIGINS",
        "TRUSTED_PROXIES",
        "SECURE_HSTS_SECONDS",
    ]
    code = (
        "import json; from vms import settings as s; "
        f"print(json.dumps({{n: getattr(s, n) for n in {names!r}}} | {{'ENGINE': s.DATABASES['default']['ENGINE'], "
        "'OPTIONS': s.DATABASES['default'].get('OPTIONS')}))"
    )
    kept = {key: value for key, value in os.environ.items() if key not in OURS}
    environ = {**kept, "DATA_DIR": str(data), **variables}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_defaults_are_safe(tmp_path: Path) -> None:
    found = settings(tmp_path / "var")
    assert found["DEBUG"] is False
    assert "*" not in found["ALLOWED_HOSTS"]
    assert {"localhost", "127.0.0.1"} <= set(found["ALLOWED_HOSTS"])
    assert found["TRUSTED_PROXIES"] == []
    assert found["REDIS_URL"].startswith("unix://")
    assert found["CELERY_BROKER_URL"].startswith("redis+socket://")


def test_sqlite_waits_for_its_lock_instead_of_failing(tmp_path: Path) -> None:
    found = settings(tmp_path / "var")
    assert found["ENGINE"] == "django.db.backends.sqlite3"
    assert found["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in found["OPTIONS"]["init_command"]


def test_a_database_url_chooses_postgresql(tmp_path: Path) -> None:
    found = settings(tmp_path / "var", DATABASE_URL="postgresql://vms:pw@db.example/vms")
    assert found["ENGINE"] == "django.db.backends.postgresql"
    assert "transaction_mode" not in (found["OPTIONS"] or {})


def test_the_secret_is_made_once_and_kept_where_only_we_can_read_it(tmp_path: Path) -> None:
    first = settings(tmp_path / "var")["SECRET_KEY"]
    kept = tmp_path / "var" / "secret_key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700
    assert settings(tmp_path / "var")["SECRET_KEY"] == first == kept.read_text()


def test_processes_that_start_together_agree_on_one_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY")
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(environment.secret_key, [tmp_path / "var"] * 40))
    assert len(set(keys)) == 1
    assert sorted(path.name for path in (tmp_path / "var").iterdir()) == ["secret_key"]


def test_a_given_secret_wins_and_writes_nothing(tmp_path: Path) -> None:
    assert settings(tmp_path / "var", SECRET_KEY="g" * 50)["SECRET_KEY"] == "g" * 50
    assert not (tmp_path / "var" / "secret_key").exists()


def test_a_damaged_secret_is_refused_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY")
    (tmp_path / "secret_key").write_text("short")
    with pytest.raises(environment.BadEnvironment, match="restore it from a backup"):
        environment.secret_key(tmp_path)
    assert (tmp_path / "secret_key").read_text() == "short"


def test_tls_only_sites_get_secure_cookies(tmp_path: Path) -> None:
    found = settings(tmp_path / "var", HTTPS_ONLY="1", CSRF_TRUSTED_ORIGINS="https://a.example, https://b.example")
    assert found["SESSION_COOKIE_SECURE"] is True
    assert found["SECURE_HSTS_SECONDS"] > 0
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://a.example", "https://b.example"]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "http", "use a whole number from 1 to 65535"),
        ("PORT", "70000", "use a whole number from 1 to 65535"),
        ("DEBUG", "maybe", "use 1 or 0"),
        ("RTP_PORTS", "500-400", "use a range of ports such as 40000-40999"),
        ("RTP_PORTS", "a-b", "use a range of ports such as 40000-40999"),
        ("FTP_PORT", "-1", "use a whole number from 1 to 65535"),
        ("LOG_LEVEL", "LOUD", "use one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("LOG_FORMAT", "xml", "use one of line, json"),
        ("AUDIT_DAYS", "-3", "use a whole number from 0 to 36500"),
    ],
)
def test_a_bad_value_is_one_sentence_that_names_the_variable(
    tmp_path: Path, name: str, value: str, sentence: str
) -> None:
    environ = {**os.environ, "DATA_DIR": str(tmp_path), name: value}
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor"], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(f"{name} is {value!r}; {sentence}")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DATABASE_URL", "foo://hunter2@x", "DATABASE_URL cannot be used; it begins with sqlite:// or postgres://"),
        ("REDIS_URL", "http://hunter2@x", "REDIS_URL cannot be used; it begins with redis:// or rediss:// or unix://"),
        ("SECRET_KEY", "hunter2", "SECRET_KEY is too short to be a key"),
        ("TRUSTED_PROXIES", "10.0.0.1, proxy", "TRUSTED_PROXIES has 'proxy'; use addresses or networks"),
    ],
)
def test_nothing_is_started_with_a_value_that_cannot_be(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    environ = {key: value for key, value in os.environ.items() if key not in OURS} | {name: value}
    command = [sys.executable, "manage.py", "up", "--port", "0", "--data-dir", str(tmp_path / "var")]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr.startswith(sentence), done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr
    assert "web" not in done.stdout


def test_a_redis_that_is_not_there_is_told_before_anything_starts(tmp_path: Path) -> None:
    environ = {key: value for key, value in os.environ.items() if key not in OURS}
    environ |= {"REDIS_URL": "redis://127.0.0.1:1/0"}
    command = [sys.executable, "manage.py", "up", "--port", "0", "--data-dir", str(tmp_path / "var")]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr.startswith("The Redis of REDIS_URL does not answer at 127.0.0.1:1 (")


def test_files_are_for_this_user_alone(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir(mode=0o755)
    environ = {key: value for key, value in os.environ.items() if key not in OURS} | {"DATA_DIR": str(tmp_path / "var")}
    command = [sys.executable, "manage.py", "prepare"]
    done = subprocess.run(command, cwd=ROOT, env={**environ, "DEMO": "0"}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    files = [path for path in (tmp_path / "var").rglob("*") if path.is_file()]
    assert (tmp_path / "var" / "vms.sqlite3") in files
    assert [path.name for path in files if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"VMS_ADMIN_PASSWORD": "short"}, "password"),
        ({"VMS_ADMIN_USER": "a/b"}, "letters"),
    ],
)
def test_an_administrator_that_cannot_be_is_a_sentence_and_makes_nobody(
    tmp_path: Path, variables: dict[str, str], sentence: str
) -> None:
    environ = {key: value for key, value in os.environ.items() if key not in OURS}
    environ |= {"DATA_DIR": str(tmp_path / "var"), "DEMO": "0"}
    command = [sys.executable, "manage.py", "prepare"]
    refused = subprocess.run(
        command, cwd=ROOT, env={**environ, **variables}, capture_output=True, text=True, timeout=60
    )
    assert refused.returncode == 1
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "var" / "initial-admin-password").exists()
    again = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "var" / "initial-admin-password").read_text().startswith("admin\n")


def test_a_deep_data_directory_gets_a_short_socket_path(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-rather-long-name"] * 8)
    assert len(str(environment.socket_dir(deep) / "redis.sock")) < 104
    assert environment.socket_dir(deep) == environment.socket_dir(deep)
    assert environment.socket_dir(deep) != environment.socket_dir(deep / "other")


def test_state_lives_where_the_command_is_run_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATA_DIR")
    assert environment.data_dir() == tmp_path / "var"
