"""`manage.py familytables` writes `docs/families/` from the catalogues of commands."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from devices.families import tables


class Command(BaseCommand):
    help = "Write docs/families/ from the catalogues of commands. With --check, only say whether it is up to date."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")

    def handle(self, *args: Any, **options: Any) -> None:
        for path, text in tables.pages().items():
            if path.exists() and path.read_text() == text:
                continue
            if options["check"]:
                raise CommandError(f"{path.name} is stale. Run: python manage.py familytables")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            self.stdout.write(f"wrote {path}")
