"""`manage.py apitoken USER` prints a new bearer token and nothing else."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

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
        role = Role(options["role"]) if options["role"] else None
        try:
            plain = _new_token(options["user"], role, options["name"])
        except Problem as problem:
            raise CommandError(problem.sentence) from None
        except DatabaseError as error:
            raise CommandError(f"The database cannot be used: {error}. manage.py doctor tells more.") from None
        self.stdout.write(plain)


def _new_token(username: str, role: Role | None, name: str) -> str:
    user = User.objects.filter(username__iexact=username).first()
    if user is None:
        raise CommandError(f"There is no user {username}.")
    if not user.is_active:
        raise CommandError(f"The user {user.username} is disabled; a token would open nothing.")
    return tokens.create(None, user, name=name, role=role)[1]
