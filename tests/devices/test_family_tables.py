"""The tables of docs/families say what the catalogues say, and the API publishes the same."""

import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts import tokens
from accounts.models import Role, User
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


def _asked(path: str) -> tuple[int, object]:
    user = User.objects.create_user("viewer", None, role=Role.VIEWER)
    _, plain = tokens.create(None, user, name="test")
    answer = Client(HTTP_AUTHORIZATION=f"Bearer {plain}").get(f"/api/v1/{path}")
    return answer.status_code, json.loads(answer.content)


@pytest.mark.django_db
@pytest.mark.parametrize("family", families())
def test_the_api_publishes_the_document_as_data(family: str) -> None:
    status, commands = _asked(f"families/{family}/commands")
    assert status == 200
    assert isinstance(commands, list)
    assert [command["id"] for command in commands] == [each.id for each in driver_class(family).catalogue]
    for command in commands:
        assert {"id", "path", "methods", "access", "kind", "params", "reply", "constraints"} <= set(command)
        for param in command["params"]:
            promised = {"name", "type", "required", "fixed", "choices", "min", "max", "max_length"}
            assert promised <= set(param), param["name"]


@pytest.mark.django_db
def test_commands_of_an_unknown_family_are_not_found() -> None:
    status, answer = _asked("families/nobody/commands")
    assert status == 404
    assert "There is no family nobody" in str(answer)
