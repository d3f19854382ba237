"""`manage.py apitoken USER` prints a new bearer token and nothing else."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import tokens
from accounts.models import Role, User
from accounts.problems import Problem


class Command(BaseCommand):
    help = "Print a new API token of a user (Authorization: Bearer TOKEN). It is shown this once and never again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the user name")
        parser.add_argument(
            "--role", choices=Role.values, help="what the token may do at most; the user's own by default"
        )
        parser.add_argument("--name", default="command line", help="what the list of tokens calls it")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username__iexact=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']}.")
        if not user.is_active:
            raise CommandError(f"The user {user.username} is disabled; a token would open nothing.")
        role = Role(options["role"]) if options["role"] else None
        try:
            _, plain = tokens.create(None, user, name=options["name"], role=role)
        except Problem as problem:
            raise CommandError(problem.sentence) from None
        self.stdout.write(plain)
