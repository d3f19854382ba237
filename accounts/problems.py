"""What went wrong, in a form that pages and the API can both tell: a status, a sentence, and the field it is about."""

from __future__ import annotations


class Problem(Exception):
    """Raised below a view; the API answers `{"error": sentence, "field": field}`, a page shows it beside the field."""

    def __init__(self, status: int, sentence: str, field: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.field = field
        self.retry_after = retry_after  # seconds


class Unconfirmed(Problem):
    """What was asked for does something to people that they have not agreed to yet; nothing was done so far."""

    def __init__(self, consequence: str, doing: str) -> None:
        super().__init__(409, f"{consequence} Send it again with confirm to {doing}.", "confirm")
        self.consequence = consequence  # sentences


class LastAdministrator(Problem):
    def __init__(self) -> None:
        super().__init__(
            409,
            "This is the last active administrator with a grant on everything. Make another one first: "
            "without one, nobody could manage this installation any more.",
        )
