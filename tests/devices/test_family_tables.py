"""The tables of docs/families say what the catalogues say, and the API publishes the same."""

import io

import pytest
from django.core.management import CommandError, call_command

from devices.families import driver_class, families, tables


@pytest.mark.parametrize("family", families())
def test_the_written_tables_are_what_the_catalogue_says(family: str) -> None:
    path = tables.FOLDER / f"{family}.md"
    assert path.exists(), "run: python manage.py familytables"
    assert path.read_text() == tables.page(family), "run: python manage.py familytables"


@pytest.mark.parametrize("family", families())
def test_every_command_and_parameter_has_its_row(family: str) -> None:
    page = tables.page(family)
    for command in driver_class(family).catalogue:
        assert f"### {command.id} ({command.section})" in page
        for param in command.params:
            assert f"| `{param.name}`" in page


def test_stale_tables_are_told_and_rewritten(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "FOLDER", tmp_path)
    with pytest.raises(CommandError, match=r"\.md is stale. Run: python manage.py familytables"):
        call_command("familytables", "--check")
    call_command("familytables", stdout=io.StringIO())
    call_command("familytables", "--check")
