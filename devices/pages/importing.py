"""The fleet as a table: looked at first, then taken in as it was looked at.

The table stays in the browser meanwhile, since there may be passwords in it; its digest tells that it is the same.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.guards import page
from accounts.policy import Action
from accounts.problems import Problem
from devices import fleet_csv
from devices.pages.frame import is_part

LARGEST = 4 * 1024 * 1024  # bytes
ROWS_SHOWN = 500


@page(Action.CONFIGURE)
@require_http_methods(["GET", "HEAD", "POST"])
def import_page(request: HttpRequest) -> HttpResponse:
    context: dict[str, Any] = {"columns": fleet_csv.COLUMNS}
    if request.method != "POST":
        return render(request, "devices/import.html", context)
    status = 200
    try:
        table = _table(request)
        digest = hashlib.sha256(table).hexdigest()
        wanted = request.POST.get("checked", "") if "apply" in request.POST else ""
        if wanted == digest:
            done = fleet_csv.import_table(request, table, dry_run=False)
            messages.success(request, _in_words(done))
            return redirect("devices:list")
        found = fleet_csv.import_table(request, table, dry_run=True)
        context |= {
            "found": found,
            "rows": [row for row in found.rows if row.action != "same"][:ROWS_SHOWN],
            "adds": found.count("add"),
            "changes": found.count("change"),
            "same": found.count("same"),
            "digest": digest,
            "another": bool(wanted),
        }
    except Problem as problem:
        context["problem"] = problem.sentence
        status = problem.status
    if is_part(request):
        return render(request, "devices/parts/import.html", context)
    return render(request, "devices/import.html", context, status=status)


def _table(request: HttpRequest) -> bytes:
    file = request.FILES.get("table")
    if file is None:
        raise Problem(400, "Choose the file first.")
    if (file.size or 0) > LARGEST:
        raise Problem(400, f"The file is larger than {LARGEST // 1024 // 1024} MB.")
    return bytes(file.read())


def _in_words(done: fleet_csv.Imported) -> str:
    return f"{done.count('add')} added, {done.count('change')} changed, {done.count('same')} as they were."
