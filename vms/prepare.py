"""What has to be so before the first page can be served: tables, an administrator, and perhaps a demo fleet."""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from accounts.models import User
from accounts.problems import Problem
from accounts.users import first_administrator
from devices import demo
from devices.models import Device
from vms import environment


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two starts of the same installation must not migrate side by side."""
    with (settings.DATA_DIR / "run" / "prepare").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if connection.vendor == "postgresql":  # other machines share the database, not the folder
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(711)")
                try:
                    yield
                finally:
                    cursor.execute("SELECT pg_advisory_unlock(711)")
        else:
            yield


def prepare() -> None:
    (settings.DATA_DIR / "run").mkdir(mode=0o700, parents=True, exist_ok=True)
    with one_at_a_time():
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", interactive=False, verbosity=0)
        first_start = not User.objects.exists()
        # Before the administrator, who ends the first start: whatever fails here is tried again by the next one.
        if environment.flag("DEMO", True) and first_start and not Device.objects.exists():
            demo.create_demo_fleet()
        elif Device.objects.filter(simulated=True).exists():
            demo.refresh_demo_ports()
        if first_start:
            with transaction.atomic():  # no administrator without the password having been kept, whatever happens
                make_first_administrator()


def make_first_administrator() -> None:
    """A password we made up is one-time: it is kept where only this user can read it, until it is used."""
    name = environment.text("VMS_ADMIN_USER", "admin")
    password = first_administrator(name, environment.text("VMS_ADMIN_PASSWORD") or None)
    if password is not None:
        kept = settings.DATA_DIR / "initial-admin-password"
        kept.unlink(missing_ok=True)
        descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{name}\n{password}\n")


def sentence_for(error: Exception) -> str | None:
    """What a user can do about a start that failed; None for what is our own mistake and needs its traceback."""
    if isinstance(error, environment.BadEnvironment | ImproperlyConfigured):
        return str(error)
    if isinstance(error, Problem):  # what was asked for by VMS_ADMIN_USER or VMS_ADMIN_PASSWORD cannot be
        return error.sentence
    if isinstance(error, DatabaseError):
        engine = "SQLite" if connection.vendor == "sqlite" else "PostgreSQL"
        return (
            f"The database cannot be used: {str(error).strip()}. Check that {engine} can be reached and written "
            f"({'the data directory ' + str(settings.DATA_DIR) if engine == 'SQLite' else 'DATABASE_URL'}); "
            "`manage.py doctor` looks closer."
        )
    if isinstance(error, OSError):
        return f"{error.filename or 'A file'} cannot be used ({error.strerror}). `manage.py doctor` looks closer."
    return None
