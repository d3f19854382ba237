"""What an administrator can set about how we talk to a device: `Device.options`.

Each family lists its options; unknown ones and bad values are refused with a sentence, never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class BadOption(ValueError):
    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.name = name


@dataclass(frozen=True)
class Option:
    name: str
    default: Any
    help: str

    def check(self, value: Any) -> Any:
        """The value as it is kept; BadOption when it cannot be used."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        return {"name": self.name, "default": self.default, "help": self.help}


@dataclass(frozen=True)
class WordOption(Option):
    words: tuple[str, ...]

    def check(self, value: Any) -> str:
        if isinstance(value, bool) or str(value) not in self.words:
            raise BadOption(self.name, f"Option {self.name} cannot be {value!r}; use {' or '.join(self.words)}.")
        return str(value)

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "choices": list(self.words)}


@dataclass(frozen=True)
class NumberOption(Option):
    low: int
    high: int

    def check(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            raise BadOption(
                self.name, f"Option {self.name} cannot be {value!r}; use a whole number from {self.low} to {self.high}."
            )
        return value

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "min": self.low, "max": self.high}


@dataclass(frozen=True)
class FlagOption(Option):
    def check(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise BadOption(self.name, f"Option {self.name} cannot be {value!r}; use true or false.")
        return value


@dataclass(frozen=True)
class PathOption(Option):
    """A path on the device, as it stands in its address."""

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(r"/[A-Za-z0-9._~/-]{1,99}", value):
            raise BadOption(
                self.name,
                f"Option {self.name} cannot be {value!r}; use a path such as {self.default}: a slash, then letters, "
                "digits and . _ ~ / -, at most 100 characters.",
            )
        return value


COMMON = (
    WordOption("tls", "verify", "How the device's certificate is checked.", ("verify", "pin", "off")),
    FlagOption("legacy", False, "Try undocumented forms when the documented one fails."),
    NumberOption("poll_seconds", 10, "Seconds between two looks at the device.", 2, 3600),
)


def checked(options: tuple[Option, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    known = {option.name: option for option in options}
    kept = {}
    for name, value in given.items():
        if name not in known:
            raise BadOption(name, f"This family has no option {name}; it knows {', '.join(known)}.")
        kept[name] = known[name].check(value)
    return kept


def value_of(options: tuple[Option, ...], given: Mapping[str, Any], name: str) -> Any:
    """The option as set, or its default."""
    option = next(option for option in options if option.name == name)
    return given.get(name, option.default)
