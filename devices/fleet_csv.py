"""The fleet as a table: exported as CSV, and taken back by import, which adds and changes devices and removes none.

An address (host and port) is a device: a row with a known address changes that device, another adds one. What a row
leaves empty stays as it is, or takes its default; passwords are never exported, and an empty one changes nothing. All
rows are imported or none: what is wrong is told with its line. A dry run does all of it and takes it back.

Cells that a spreadsheet would run as formulas carry an apostrophe in front, which import takes away again.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest

from accounts import audit
from accounts.api_base import parse_json
from accounts.policy import Action, those_allowed
from accounts.problems import Problem
from devices import fleet
from devices.models import Device, Site

COLUMNS = ("name", "family", "scheme", "host", "port", "username", "password", "site", "tags", "enabled", "options")
NEEDED = ("family", "host")
MOST_ROWS = 2000
LONGEST_CELL = 4096
ERRORS_TOLD = 20
_YES, _NO = {"yes", "true", "1", "on"}, {"no", "false", "0", "off"}
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_DEFUSED = re.compile(r"'+[=+\-@\t\r]")


@dataclass(frozen=True)
class Row:
    """What becomes of one line. `changes` is name → [old, new]."""

    line: int
    action: str  # add, change or same
    name: str
    address: str
    changes: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Imported:
    dry_run: bool
    rows: list[Row]
    sites: list[str]  # that are new

    def count(self, action: str) -> int:
        return sum(row.action == action for row in self.rows)


# --- Cells ------------------------------------------------------------------------------------------------------------
def defused(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def armed(cell: str) -> str:
    """The inverse of `defused`."""
    return cell[1:] if _DEFUSED.match(cell) else cell


# --- Export -----------------------------------------------------------------------------------------------------------
def export(devices: Iterable[Device]) -> Iterator[str]:
    """The table, line by line."""
    yield _line(COLUMNS)
    for device in devices:
        yield _line(
            (
                device.name,
                device.family,
                device.scheme,
                device.host,
                str(device.port),
                device.username,
                "",
                device.site.name,
                ", ".join(sorted(tag.name for tag in device.tags.all())),
                "yes" if device.enabled else "no",
                json.dumps(device.options, sort_keys=True, ensure_ascii=False) if device.options else "",
            )
        )


def _line(cells: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow([defused(cell) for cell in cells])
    return text.getvalue()


# --- Import -----------------------------------------------------------------------------------------------------------
def read(raw: bytes) -> list[tuple[int, dict[str, str]]]:
    """The rows with the numbers of their lines; Problem 400 for what is not such a table."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise Problem(400, f"Line {line}: this is not UTF-8. Save the table as CSV UTF-8.") from None
    if "\x00" in text:
        raise Problem(400, f"Line {text[: text.index(chr(0))].count(chr(10)) + 1}: there is a NUL character in it.")
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=";" if "," not in first else ",")
    rows: list[tuple[int, dict[str, str]]] = []
    header: list[str] = []
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise Problem(400, f"Line {line}: this is not CSV ({error}).") from None
        if cells is None:
            break
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header = _header(line, cells)
            continue
        if len(rows) >= MOST_ROWS:
            raise Problem(400, f"Line {line}: import at most {MOST_ROWS} devices at once.")
        if len(cells) != len(header):
            raise Problem(400, f"Line {line}: there are {len(cells)} cells, but the first line names {len(header)}.")
        if any(len(cell) > LONGEST_CELL for cell in cells):
            raise Problem(400, f"Line {line}: a cell is longer than {LONGEST_CELL} characters.")
        rows.append((line, dict(zip(header, map(armed, cells), strict=True))))
    if not header:
        raise Problem(400, f"The table is empty. Its first line must name columns: {', '.join(COLUMNS)}.")
    return rows


def _header(line: int, cells: list[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    for name in names:
        if name not in COLUMNS:
            raise Problem(400, f"Line {line}: there is no column {name[:40]!r}; use {', '.join(COLUMNS)}.")
        if names.count(name) > 1:
            raise Problem(400, f"Line {line}: the column {name} stands twice.")
    for name in NEEDED:
        if name not in names:
            raise Problem(400, f"Line {line}: the column {name} is missing.")
    return names


def import_table(request: HttpRequest, raw: bytes, *, dry_run: bool) -> Imported:
    """Add and change devices as the table has it; all of it or nothing."""
    rows = read(raw)
    done: list[Row] = []
    errors: list[str] = []
    added: list[Device] = []
    changed: list[Device] = []
    new_sites: list[str] = []
    known = {
        (device.host, device.port): device
        for device in Device.objects.visible_to(request.user).select_related("site").prefetch_related("tags")
    }
    changeable = those_allowed(request.user, Action.CONFIGURE, Device, [device.pk for device in known.values()])
    seen: dict[tuple[str, int], int] = {}
    with transaction.atomic():
        for line, cells in rows:
            try:
                values = _values(cells)
                address = fleet.checked_address(values)
                place = (address["host"], address["port"])
                if place in seen:
                    raise Problem(400, f"{place[0]}:{place[1]} stands in line {seen[place]} already.")
                seen[place] = line
                _add_site(request, values, new_sites)
                device = known.get(place)
                if device is None:
                    device = fleet.insert_device(request, **values)
                    added.append(device)
                    done.append(Row(line, "add", device.name, f"{place[0]}:{place[1]}"))
                    continue
                changes = _changes(device, cells, values)
                if changes and device.pk not in changeable:
                    raise PermissionDenied(f"You may not configure {device.name}.")
                pairs = fleet.apply_changes(request, device, changes) if changes else {}
                if pairs:
                    changed.append(device)
                done.append(Row(line, "change" if pairs else "same", device.name, f"{place[0]}:{place[1]}", pairs))
            except Problem as problem:
                errors.append(f"Line {line}: {problem.sentence}")
            except PermissionDenied as denied:
                errors.append(f"Line {line}: {denied}")
        if errors or dry_run:
            transaction.set_rollback(True)
        else:
            audit.record(request, "import devices", added=len(added), changed=len(changed), rows=len(rows))
    if errors:
        more = f" And {len(errors) - ERRORS_TOLD} more lines." if len(errors) > ERRORS_TOLD else ""
        raise Problem(400, " ".join(errors[:ERRORS_TOLD]) + more)
    if not dry_run:
        for device in added:
            fleet.announce_added(device)
        for device in changed:
            fleet.announce_changed(device)
    return Imported(dry_run, done, new_sites)


def _values(cells: dict[str, str]) -> dict[str, Any]:
    """What a new device would be made of."""
    scheme = cells.get("scheme", "").strip().lower() or "http"
    port = cells.get("port", "").strip()
    if port and not re.fullmatch(r"[0-9]{1,5}", port):
        raise Problem(400, "The port must be a number from 1 to 65535.", "port")
    enabled = cells.get("enabled", "").strip().lower() or "yes"
    if enabled not in _YES | _NO:
        raise Problem(400, "Enabled must be yes or no.", "enabled")
    return {
        "name": cells.get("name", "").strip(),
        "family": cells["family"].strip().lower(),
        "scheme": scheme,
        "host": cells["host"],
        "port": int(port) if port else None,
        "username": cells.get("username", ""),
        "password": cells.get("password", ""),
        "site": cells.get("site", "").strip() or None,
        "tags": cells.get("tags", "").split(","),
        "enabled": enabled in _YES,
        "options": _options(cells.get("options", "").strip()),
    }


def _options(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        options = parse_json(text.encode())
    except Problem as problem:
        raise Problem(400, f"The options cannot be read: {problem.sentence}", "options") from None
    if not isinstance(options, dict):
        raise Problem(400, 'The options must be a JSON object, such as {"poll_seconds": 30}.', "options")
    return options


def _changes(device: Device, cells: dict[str, str], values: dict[str, Any]) -> dict[str, Any]:
    """What the row says of a known device: only columns that are there; of name, site and password only when filled."""
    changes = {name: values[name] for name in values if name in cells and name not in ("host", "port")}
    for name in ("name", "site", "password"):
        if not changes.get(name):
            changes.pop(name, None)
    for name in ("scheme", "enabled"):
        if not cells.get(name, "").strip():
            changes.pop(name, None)
    if changes.get("site") == device.site.name:
        del changes["site"]
    return changes


def _add_site(request: HttpRequest, values: dict[str, Any], new_sites: list[str]) -> None:
    """A site nobody has made yet is made, by whom may."""
    name = values["site"]
    if name and name not in new_sites and not Site.objects.filter(name=name).exists():
        fleet.add_site(request, name)
        new_sites.append(name)
