#!/usr/bin/env python
"""The door to every command of the product. See `manage.py help`."""

import os
import sys

from vms.environment import BadEnvironment


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vms.settings")
    if sys.argv[1:2] == ["up"]:
        # The supervisor never loads Django: it must start at once, stay small and outlive whatever breaks above it.
        from vms.supervisor import main as supervise

        sys.exit(supervise(sys.argv[2:]))
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("The product is not installed for this Python. Run `make install`, then use .venv/bin/python.")
    try:
        execute_from_command_line(sys.argv)
    except BadEnvironment as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
