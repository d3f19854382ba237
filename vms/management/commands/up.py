"""Lists `up` among the commands. manage.py hands it to vms.supervisor before Django is loaded; so does this."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from vms.supervisor import main


class Command(BaseCommand):
    help = "Start the whole product and keep it running."
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        sys.exit(main(argv[2:]))

    def handle(self, *args: Any, **options: Any) -> None: ...
