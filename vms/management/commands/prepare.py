"""`manage.py prepare`: tables, first administrator, demo fleet. `up` does it by itself; compose runs it once."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from vms.prepare import prepare, sentence_for


class Command(BaseCommand):
    help = "Bring the database up to date and make the first administrator."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            prepare()
        except Exception as error:
            sentence = sentence_for(error)
            if sentence is None:
                raise
            self.stderr.write(sentence)
            sys.exit(1)
