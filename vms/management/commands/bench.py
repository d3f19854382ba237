"""`manage.py bench NAME`: one JSON line with figures and versions."""

import argparse
import importlib
import json
import pkgutil
import platform
import signal
import sys
from typing import Any

import av
import django
from django.core.management.base import BaseCommand, CommandParser

from vms import bench

HELPERS = ("browser", "film", "fleet", "product", "relay_client", "relay_server", "replay")


def names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if module.name not in HELPERS)


class Command(BaseCommand):
    help = "Run a benchmark: " + ", ".join(names())
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=names())
        parser.add_argument("arguments", nargs=argparse.REMAINDER)

    def handle(self, *args: Any, **options: Any) -> None:
        # What a benchmark has started must not outlive it, whoever ends it.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        figures = importlib.import_module(f"vms.bench.{options['name']}").run(options["arguments"])
        versions = {"python": platform.python_version(), "django": django.__version__, "av": av.__version__}
        self.stdout.write(json.dumps({"bench": options["name"], **figures, "versions": versions}))
