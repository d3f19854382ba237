"""The house stands as drawn: imports point down only."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# From the roof to the floor; each room may use what stands after it.
ROOMS = ["vms", "recordings", "streaming", "devices", "accounts"]
ALONE = "simulators"
# What starts and installs the product, before anything else is there.
DJANGO_FREE = {"vms/supervisor.py", "vms/environment.py", "vms/tools.py", "vms/install.py"}


def imports(path: Path) -> Iterator[str]:
    """Every absolute module name that a file imports, at the top or inside a function."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def sources(room: str) -> list[Path]:
    return sorted(path for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_down(room: str) -> None:
    above = {*ROOMS[: ROOMS.index(room)], ALONE}
    # `manage.py simulate` hands over to the simulators' own command line; nothing else of the product may touch them.
    allowed = {"vms/management/commands/simulate.py"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(room)
        if str(path.relative_to(ROOT)) not in allowed
        for name in imports(path)
        if name.split(".")[0] in above
    ]
    assert sources(room)
    assert wrong == []


def test_simulators_are_tied_to_nothing_of_the_product() -> None:
    tied = {*ROOMS, "django", "celery", "channels", "redis", "tests"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(ALONE)
        for name in imports(path)
        if name.split(".")[0] in tied
    ]
    assert sources(ALONE)
    assert wrong == []


def test_the_wire_parsers_do_no_io() -> None:
    """Bytes in, events out: no sockets, no clocks, no logging, no framework."""
    kept_out = {"socket", "asyncio", "time", "logging", "threading", "django", "channels", "redis", "httpx"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources("streaming/wire")
        for name in imports(path)
        if name.split(".")[0] in kept_out
    ]
    assert sources("streaming/wire")
    assert wrong == []


@pytest.mark.parametrize("name", sorted(DJANGO_FREE))
def test_what_starts_the_product_needs_only_the_standard_library(name: str) -> None:
    outside = [
        module
        for module in imports(ROOT / name)
        if module.split(".")[0] not in sys.stdlib_module_names and module.split(".")[0] != "vms"
    ]
    assert outside == []
    ours = {f"{module.replace('.', '/')}.py" for module in imports(ROOT / name) if module.startswith("vms.")}
    assert {each for each in ours if (ROOT / each).exists()} <= DJANGO_FREE


def test_a_new_room_is_noticed() -> None:
    """A folder with Python in it is a room of the house, or its neighbour `tests`."""
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found == {*ROOMS, ALONE, "tests"}
