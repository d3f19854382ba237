"""The vendors' documents as we have them, in tables for people: `docs/families/<family>.md`.

Written from the catalogues by `manage.py familytables`; a test tells when the files are stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from devices.cgi import Choice, Command, Fixed, Param
from devices.cgi.groups import Group, Setting, why_not_kept
from devices.families import driver_class, families
from devices.families.base import Driver
from devices.models import Family

FOLDER = settings.BASE_DIR / "docs" / "families"
LONGEST_LIST = 40  # choices; the rest is told by its number


def pages() -> dict[Path, str]:
    """Every page by its file."""
    return {FOLDER / f"{family}.md": page(family) for family in families()}


def page(family: str) -> str:
    return "\n".join(_lines(family, driver_class(family))) + "\n"


def _lines(family: str, driver: type[Driver]) -> Iterator[str]:
    catalogue = driver.catalogue
    paths = len({command.path for command in catalogue})
    yield f"# {Family(family).label}: commands and settings"
    yield ""
    yield f"{len(catalogue)} commands on {paths} paths, and {len(driver.all_groups)} groups of settings."
    yield "Written by `manage.py familytables` from the catalogue in"
    yield f"`devices/families/{family}/`; change it there."
    yield ""
    yield "## Commands"
    for command in catalogue:
        yield ""
        yield from _command(command)
    if driver.all_groups:
        yield ""
        yield "## Settings"
    for group in driver.all_groups:
        yield ""
        yield from _group(group)
    if driver.notes:
        yield ""
        yield driver.notes.rstrip()


def _command(command: Command) -> Iterator[str]:
    yield f"### {command.id} ({command.section})"
    yield ""
    yield f"{' or '.join(command.methods)} `{command.path}` · {command.access.value} · {command.kind.value}"
    for sentence in filter(None, (command.title, command.note)):
        yield ""
        yield _cell(sentence)
    if command.danger:
        yield ""
        yield f"**Danger{_only_for(command)}:** {command.danger}"
    if command.unrunnable:
        yield ""
        yield f"**Never sent:** {command.unrunnable}"
    if command.params:
        yield ""
        yield "| parameter | values | |"
        yield "|---|---|---|"
        for param in command.params:
            yield f"| {_name(param)} | {_cell(_values(param))} | {_cell(_about(param))} |"
    for constraint in command.constraints:
        yield ""
        yield f"- {_cell(constraint.sentence())}"
    if command.replies:
        yield ""
        yield f"Reply ({command.shape.kind}): {', '.join(f'`{name}`' for name in command.replies)}"


def _only_for(command: Command) -> str:
    names = (f"`{name}`" + "".join(f"=`{value}`" for value in values) for name, values in command.danger_for.items())
    return f" of {', '.join(names)}" if command.danger_for else ""


def _group(group: Group) -> Iterator[str]:
    reads = ", ".join(f"`{ask.command.id}`" for ask in group.reads) or "nothing"
    writes = ", ".join(dict.fromkeys(f"`{writer.id}`" for each in group.settings if (writer := group.writer(each))))
    yield f"### {group.title} (`{group.id}`)"
    yield ""
    yield f"Read by {reads}; written by {writes or 'nothing'}."
    if group.note:
        yield ""
        yield group.note
    yield ""
    yield "| setting | values | restored from snapshots |"
    yield "|---|---|---|"
    for setting in group.settings:
        yield f"| `{setting.name}` | {_cell(_rule(group, setting))} | {why_not_kept(group, setting) or 'yes'} |"


def _rule(group: Group, setting: Setting) -> str:
    rule = group.rule(setting)
    return "read only" if rule is None else _values(rule)


def _name(param: Param) -> str:
    wire = f" (sent as `{param.spelling}`)" if param.spelling != param.name else ""
    return f"`{param.name}`{wire}"


def _values(param: Param) -> str:
    if isinstance(param, Fixed):
        return f"`{param.value}` always"
    if isinstance(param, Choice):
        words = [f"`{word}` {label}".strip() for word, label in param.choices.items()]
        more = f" … {len(words)} in all" if len(words) > LONGEST_LIST else ""
        return ", ".join(words[:LONGEST_LIST]) + more
    return param.allowed()


def _about(param: Param) -> str:
    marks = [word for word, true in (("required", param.required), ("secret", param.secret)) if true]
    return "; ".join(filter(None, [param.note, *marks]))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
