#!/usr/bin/env python
"""The door to every command of the product. See `manage.py help`."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vms.settings")
    if sys.argv[1:2] == ["up"]:
        # The supervisor never loads Django: it must start at once, stay small and outlive whatever breaks above it.
        from vms.supervisor import main as supervise

        sys.exit(supervise(sys.argv[2:]))
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
