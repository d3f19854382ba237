"""Ways in which real firmware differs from its document, chosen by name when a device is made.

A family lists its own as name and meaning; a device without any is exactly as the document says. They exist so that a
client's tolerance can be tested against a device that needs it.
"""

from __future__ import annotations

from collections.abc import Mapping


def chosen(names: str, known: Mapping[str, str]) -> frozenset[str]:
    """The oddities of a comma list; raises ValueError for one that is not known."""
    wanted = frozenset(name.strip() for name in names.split(",") if name.strip())
    for name in sorted(wanted - set(known)):
        raise ValueError(f"There is no oddity '{name}'; there are: {', '.join(known)}.")
    return wanted
