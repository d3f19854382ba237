"""The socket behind every address that has none."""

from typing import ClassVar

from django.core.exceptions import ObjectDoesNotExist

from accounts.policy import Policy, Standing
from accounts.sockets import GuardedConsumer


class NoSuchSocket(GuardedConsumer):
    """Closes with 4404, as for a thing that one may not see: no traceback for whoever tries addresses."""

    policy: ClassVar[Policy] = Standing.PUBLIC

    def find_thing(self) -> None:
        raise ObjectDoesNotExist("There is no socket at this address.")
