"""`manage.py alive`: exit status 0 while the schedule and a worker do their work. A health check for containers."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from vms import health


class Command(BaseCommand):
    help = "Say whether background work goes on (exit status 0 if it does)."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        sentence = health.check_redis() or health.check_worker()
        if sentence:
            self.stderr.write(sentence)
        sys.exit(1 if sentence else 0)
