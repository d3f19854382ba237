"""What the documents point to exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).resolve().exists()]
    assert missing == []


def test_every_variable_of_the_settings_is_described() -> None:
    read = re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "vms" / "settings.py").read_text())
    described = (ROOT / "docs" / "operating.md").read_text()
    assert len(read) > 15
    assert [name for name in read if f"`{name}`" not in described and name != "DEBUG"] == []


def test_every_dependency_has_its_reason() -> None:
    reasons = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text()
    for file in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / file).read_text().splitlines():
            if name := re.match(r"[a-z][\w-]*", line):
                assert "==" in line, f"{line} is pinned"
                assert name[0] in reasons, f"{name[0]} has a reason"
