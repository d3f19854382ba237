"""What a driver does around a command that somebody runs by hand (`devices.console`): fill in what nobody can know,
such as the UID of a session, do first what the document wants first, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from devices.cgi import Values
from devices.gateway import Reply


async def _nothing() -> None:
    pass


@dataclass
class ByHand:
    """One command that is being run: its values with what was left out filled in. `note` tells people what was done
    beside it; it is complete when the block has ended."""

    values: Values
    note: str = ""
    reply: Reply | None = None  # set by whoever ran it, once it was answered
    stop: Callable[[], Awaitable[None]] = _nothing  # to be awaited while an answer that lasts is still open

    def tell(self, sentence: str) -> None:
        self.note = f"{self.note} {sentence}".strip()
