"""`manage.py simulate FAMILY --port P …`: one simulated device, for demos, tests and integrators."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Run one simulated device; see `python -m simulators --help` for what each family takes."
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        # The simulators parse their own command line: they are a program of their own, tied to nothing here.
        from simulators.__main__ import main

        sys.exit(main(argv[2:]))

    def add_arguments(self, parser: CommandParser) -> None: ...

    def handle(self, *args: Any, **options: Any) -> None: ...
