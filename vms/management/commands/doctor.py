"""`manage.py doctor`: is this installation fit? Each problem with its cure; exit status 1 if there is one."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from vms.doctor import examine


class Command(BaseCommand):
    help = "Check the installation and name each problem with its cure."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        problems = 0
        for finding in examine():
            self.stdout.write(f"{finding.level:<8} {finding.about}: {finding.text}")
            problems += finding.level == "problem"
        self.stdout.write("fit to run" if not problems else f"{problems} problem{'s' if problems > 1 else ''} to solve")
        sys.exit(1 if problems else 0)
