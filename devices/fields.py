"""Fields of forms, made from the vendors' documents: settings of a group, parameters of a command.

A field shows what the document says of it, and carries what it was when it was shown: only what a person changed is
sent on, so that whatever somebody else changed meanwhile stays. What is allowed, the documents decide, not the field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

LONGEST = 2000  # characters of one value; no document allows nearly as many
_SHORT = {"number", "digits", "ipv4", "mac", "hex"}


@dataclass
class DocumentField:
    """One field as a template shows it. `text` is what it holds, `was` what it held when it was first shown."""

    name: str
    label: str
    kind: str  # choice, number, password, fixed, output, text
    text: str
    was: str
    choices: list[tuple[str, str]] = field(default_factory=list)
    help: list[str] = field(default_factory=list)
    allowed: str = ""
    not_restorable: str = ""
    required: bool = False
    low: int | None = None
    high: int | None = None
    step: int | None = None
    max_length: int | None = None
    short: bool = False
    error: str = ""
    may_be_empty: bool = False  # the document lets it be sent without a value, which is not leaving it out
    empty: bool = False  # and that is wanted

    @property
    def input_type(self) -> str:
        return {"number": "number", "password": "password"}.get(self.kind, "text")


def text_of(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


def field_of(
    facts: Mapping[str, Any], value: Any, typed: QueryDict | None = None, *, keep_secrets: bool = False
) -> DocumentField:
    """The field for what `schema` or a command's `facts` say of one value, as it is or as somebody typed it.

    A secret that was typed goes back only to who is asked to confirm it; everybody else has to enter it again.
    """
    name = facts["name"]
    secret = bool(facts["secret"])
    read_only = facts.get("read_only", False)
    was = "" if secret else text_of(value)
    text = was
    if typed is not None:
        was = typed.get(f"was.{name}", was)
        text = typed.get(f"to.{name}", was)
    lost = secret and text != "" and not keep_secrets
    if lost:
        text = ""
    choices = [(str(word), _meaning(word, label)) for word, label in (facts.get("choices") or {}).items()]
    if facts.get("of"):  # several values in one field
        choices = []
    if choices and text and text not in {word for word, _ in choices}:
        choices.insert(0, (text, f"{text} (not in the document)"))
    label = str(facts.get("label") or facts.get("note") or name)
    return DocumentField(
        name=name,
        label=label,
        kind=_kind(facts, secret, read_only),
        text=text,
        was=was,
        choices=choices,
        help=[
            each
            for each in ("Enter it again." if lost else "", facts.get("help"), *facts.get("conditions", ()))
            if each
        ],
        allowed="" if choices or read_only else str(facts.get("allowed") or ""),
        not_restorable=str(facts.get("not_restorable") or "") if not read_only else "",
        required=bool(facts["required"]) and facts["fixed"] is None,
        low=facts["min"],
        high=facts["max"],
        step=facts.get("step"),
        max_length=facts["max_length"],
        short=facts["type"] in _SHORT,
        may_be_empty=facts.get("may_be_empty", False),
        empty=typed is not None and typed.get(f"empty.{name}") == "1",
    )


def _meaning(word: Any, label: str) -> str:
    return label or str(word)


def _kind(facts: Mapping[str, Any], secret: bool, read_only: bool) -> str:
    if read_only:
        return "output"
    if facts["fixed"] is not None:
        return "fixed"
    if secret:
        return "password"
    if facts.get("choices") and not facts.get("of"):
        return "choice"
    return "number" if facts["type"] == "number" else "text"


def changed(names: Iterable[str], sent: QueryDict) -> dict[str, str]:
    """What a person changed in a form of such fields: the values that are not what they were."""
    found = {}
    for name in names:
        text = sent.get(f"to.{name}")
        if text is not None and text != sent.get(f"was.{name}", ""):
            found[name] = text[: LONGEST + 1]
    return found
